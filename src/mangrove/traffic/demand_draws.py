# SPDX-License-Identifier: Apache-2.0
"""Draws of the demand: other days with the same traffic, so that a plan is not fitted to one list of vehicles.

Comes in: route files of SUMO (vehicles, trips, flows). Goes out: a file with as many expected vehicles, drawn again (a Poisson
bootstrap: each vehicle comes 0, 1, 2, ... times, one time on average) with its departure moved a little. The spread of a total is
then that of a Poisson count, which is what one hour of free arrivals shows; days that differ by more are given as files.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from mangrove.errors import SourceError, Where
from mangrove.rules.roads import motorcycle_units

JITTER = 60.0
"""Departures move by up to this many seconds either way; a modelling choice, below the length of most cycles."""
STRIP = 0.8
"""m, about the width of a motorbike (0.75 m in the vehicle type that HCMC is simulated with): SUMO's lateral resolution for them."""
_TWO_WHEELED = ("motorcycle", "moped", "bicycle")
_VEHICLES = ("vehicle", "trip")
_CLASSES = {
    "motorcycle": "motorbike",
    "moped": "motorbike",
    "bicycle": "bicycle",
    "bus": "bus",
    "truck": "truck",
}
"""Classes of the rules by SUMO's; others count as cars."""
_NUMBERS = {
    **dict.fromkeys(_VEHICLES, ("depart",)),
    "flow": ("begin", "end", "vehsPerHour", "probability", "number", "period"),
}
"""What must be numbers or times, unless it is one of SUMO's words."""
_WORDS = ("triggered", "containerTriggered", "split", "begin")
_CLOCK = (1.0, 60.0, 3600.0, 86400.0)
_RATES = ("vehsPerHour", "probability", "number")


def draw(routes: Sequence[Path], out: Path, seed: int, *, begin: float = 0.0, jitter: float = JITTER) -> int:
    """Writes another draw of the same demand; returns how many vehicles (and flows) stand in it.

    Args:
        routes: files of SUMO. Types and routes are kept, vehicles and trips drawn again, rates of flows multiplied by
            Poisson(n) / n where n is the vehicles they bring.
        out: the file written, sorted by departure.
        seed: the same seed gives the same draw.
        begin: no departure before, s.
        jitter: departures move by up to this, s.

    Raises:
        SourceError: `signals.routes_unreadable`, `signals.no_vehicles`.
    """
    random = np.random.default_rng(seed)
    fixed: list[Any] = []
    drawn: list[tuple[float, Any]] = []
    for element in read_routes(routes):
        if element.tag in _VEHICLES and time(element.get("depart")) is not None:
            drawn.extend(_again(element, random, begin, jitter))
        elif element.tag == "flow":
            drawn.append((time(element.get("begin")) or begin, _flow(element, random)))
        else:
            fixed.append(element)
    drawn.sort(key=lambda pair: pair[0])
    root = ET.Element("routes")
    root.extend([*fixed, *(element for _, element in drawn)])
    ET.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    return len(drawn)


_MOST = {"vehsPerHour": 3.6e6, "number": 1e8, "probability": 1.0}
"""Most of a flow: a vehicle a millisecond, which is as far as SUMO's clock tells them apart; as many as fit in memory; one each second."""


def read_routes(routes: Sequence[Path]) -> list[Any]:
    """The elements of route files, in order.

    Raises:
        SourceError: `signals.routes_unreadable` with its line; `signals.bad_number` (a time or a rate is none, or more than SUMO's clock can tell
        apart); `signals.id_twice`; `signals.routes_twice`; `signals.no_vehicles` when no file brings one.
    """
    elements: list[Any] = []
    if len({Path(path).resolve() for path in routes}) < len(routes):
        raise SourceError("signals.routes_twice", where=Where(", ".join(Path(path).name for path in routes)))
    for path in routes:
        try:
            with gzip.open(path) if str(path).endswith(".gz") else Path(path).open("rb") as file:
                elements.extend(_checked(element, path) for element in ET.parse(file).getroot())  # noqa: S314 - what SUMO would read
        except ET.ParseError as error:
            where = Where(Path(path).name, error.position[0], error.position[1] + 1)
            raise SourceError("signals.routes_unreadable", where=where, text=error.msg) from None
        except (OSError, EOFError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise SourceError("signals.routes_unreadable", where=Where(str(path)), text=text) from None
    if not any(element.tag in (*_VEHICLES, "flow") for element in elements):
        raise SourceError("signals.no_vehicles", where=Where(", ".join(Path(path).name for path in routes)))
    _once(elements, routes)
    return elements


def _once(elements: Sequence[Any], routes: Sequence[Path]) -> None:
    """Raises SourceError when two vehicles, or two flows, have one name: SUMO takes the first of them and stops at the second."""
    for tags in (_VEHICLES, ("flow",)):
        seen: set[str] = set()
        for element in elements:
            name = element.get("id", "") if element.tag in tags else ""
            if name and name in seen:
                where = Where(", ".join(Path(path).name for path in routes))
                raise SourceError("signals.id_twice", where=where, element=element.tag, id=name)
            seen.add(name)


def routes_of(elements: Sequence[Any]) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """Routes that are stated edge by edge: (edges, motorcycle units on them, top speed in m/s); flows count with their vehicles."""
    kinds = {element.get("id"): element for element in elements if element.tag == "vType"}
    named = {element.get("id"): element for element in elements if element.tag == "route"}
    for element in elements:
        if element.tag not in ("vehicle", "flow"):
            continue
        route = element.find("route")
        route = named.get(element.get("route")) if route is None else route
        if route is None:
            continue
        kind = kinds.get(element.get("type"))
        vehicle = "passenger" if kind is None else kind.get("vClass", "passenger")
        units = motorcycle_units(_CLASSES.get(vehicle, "car"))
        if element.tag == "flow":
            begin, end = (time(element.get(word)) or 0.0 for word in ("begin", "end"))
            units *= vehicles_of_flow(element.attrib, max(end - begin, 0.0))
        fastest = None if kind is None else time(kind.get("maxSpeed"))
        yield tuple(route.get("edges", "").split()), units, math.inf if fastest is None else fastest


def departures(elements: Sequence[Any]) -> tuple[float, float]:
    """The first and the last departure, s; flows last until they end.

    Example:
        >>> departures([ET.fromstring('<vehicle id="a" depart="8"/>')])
        (8.0, 8.0)
    """
    found: list[float] = []
    for element in elements:
        if element.tag in _VEHICLES:
            found.append(time(element.get("depart")) or 0.0)
        elif element.tag == "flow":
            begin = time(element.get("begin")) or 0.0
            end = time(element.get("end"))
            found.extend([begin, begin + 3600.0 if end is None else end])
    return min(found), max(found)


def strip(elements: Sequence[Any]) -> float | None:
    """Width of the lateral strips in which traffic must be simulated, m: `STRIP` where two-wheelers filter through, None for lanes."""
    kinds = [element for element in elements if element.tag == "vType"]
    filtering = any(
        kind.get("vClass") in _TWO_WHEELED or kind.get("latAlignment") == "arbitrary" for kind in kinds
    )
    return STRIP if filtering else None


def _again(element: Any, random: np.random.Generator, begin: float, jitter: float) -> list[tuple[float, Any]]:
    """The copies of one vehicle: Poisson(1) of them."""
    depart = time(element.get("depart")) or 0.0
    copies = []
    for number in range(int(random.poisson(1.0))):
        moved = max(begin, depart + float(random.uniform(-jitter, jitter))) if jitter else depart
        words = {**element.attrib, "depart": f"{moved:.2f}", "id": f"{element.get('id')}.{number}"}
        copy = ET.Element(element.tag, words)
        copy.extend(list(element))
        copies.append((round(moved, 2), copy))
    return copies


def _flow(element: Any, random: np.random.Generator) -> Any:
    """A flow with its rate drawn again."""
    words = dict(element.attrib)
    length = (time(words.get("end")) or 3600.0) - (time(words.get("begin")) or 0.0)
    expected = vehicles_of_flow(words, length)
    factor = float(random.poisson(expected)) / expected if expected > 0 else 1.0
    for name in _RATES:
        if name in words:
            value = float(words[name]) * factor
            words[name] = (
                str(round(value))
                if name == "number"
                else f"{min(value, 1.0) if name == 'probability' else value:.6g}"
            )
    if "period" in words and factor > 0 and time(words["period"]) is not None:
        words["period"] = f"{float(words['period']) / factor:.6g}"
    copy = ET.Element("flow", words)
    copy.extend(list(element))
    return copy


def vehicles_of_flow(words: dict[str, str], length: float) -> float:
    """How many vehicles a flow is expected to bring in `length` seconds."""
    if "number" in words:
        return float(words["number"])
    if "vehsPerHour" in words:
        return float(words["vehsPerHour"]) * length / 3600
    if "probability" in words:
        return float(words["probability"]) * length
    period = time(words.get("period"))
    return length / period if period else 0.0


def time(text: str | None) -> float | None:
    """Seconds; None for words ("triggered", "exp(0.1)") and for what is missing or no time.

    Example:
        >>> time("8.5"), time("7:30:00"), time("nan")
        (8.5, 27000.0, None)
    """
    parts = (text or "").split(":")
    try:
        value = sum(float(part) * size for part, size in zip(reversed(parts), _CLOCK, strict=False))
    except ValueError:
        return None
    return value if math.isfinite(value) and len(parts) in (1, 3, 4) else None


def _checked(element: Any, path: Path) -> Any:
    """The element, when its numbers are some."""
    for name in _NUMBERS.get(element.tag, ()):
        text = element.get(name)
        if text is None or text in _WORDS or text.startswith("exp("):
            continue
        value = time(text)
        if value is None or (name in _MOST and not 0 <= value <= _MOST[name]):
            data = {"element": element.tag, "id": element.get("id", ""), "name": name, "value": text}
            raise SourceError("signals.bad_number", where=Where(Path(path).name), **data)
    return element
