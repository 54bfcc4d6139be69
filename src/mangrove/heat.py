# SPDX-License-Identifier: Apache-2.0
"""Heat between plants, from a table of streams: targets, pinch, what joining plants saves, and where a heat pump pays.

Comes in: a CSV file, one stream a row. Goes out: a `HeatStudy`, its text, its JSON and its figure. The columns are those of
`COLUMNS`; a cell may carry its unit (`90 degC`, `194 degF`, `3 MW`, `1.5 kW/K`), a bare number is in degC, kW, kW/K or K.
All that is wrong with the file is said at once, each with its line and column. The method stands in `mangrove.network.heat`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.errors import DeclarationError, Problem, RequestError, did_you_mean
from mangrove.figures.numbers import number
from mangrove.printing import grid
from mangrove.territory.tables import Column, Parsed, parse_table, read_table
from mangrove.units import Quantity, unit

if TYPE_CHECKING:
    from mangrove.network.heat import Streams, Targets
    from mangrove.network.heat_lift import Lift

RATIOS = (2.0, 3.0, 4.0)
"""Prices of a kWh of electricity over one of heat for which a heat pump is looked for: a table, not an assumption."""
ROLES = ("hot", "cold")
_SCALES = {"degc": (1.0, 0.0), "k": (1.0, -273.15), "degf": (5.0 / 9.0, -160.0 / 9.0)}
"""Degrees Celsius = factor x number + offset; exact by definition (SI brochure, 9th edition; NIST SP 811, B.8)."""
_ALIASES = {"°c": "degc", "oc": "degc", "c": "degc", "°f": "degf", "of": "degf", "f": "degf", "": "degc"}
_CELL = re.compile(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(\S.*?)?\s*")


@dataclass(frozen=True)
class HeatStudy:
    """What a table of streams says.

    Attributes:
        streams: those of the table; a row with `latent` and a change of temperature is two.
        dt_min: least temperature difference in K, for streams without their own.
        plants: targets of each plant alone, in the order of the file.
        joined: targets of all streams together.
        lifts: for each ratio of prices the heat pump that pays best across the joint pinch; None where none pays.
        now: hot and cold utility in use, where the column `utility` is filled; None where it is not.
        problems: warnings.
    """

    streams: Streams
    dt_min: float
    plants: Mapping[str, Targets]
    joined: Targets
    lifts: Mapping[float, Lift | None]
    now: tuple[float, float] | None
    problems: tuple[Problem, ...]

    @property
    def alone(self) -> tuple[float, float]:
        """Hot and cold utility of all plants, each for itself."""
        parts = self.plants.values()
        return math.fsum(t.hot_utility for t in parts), math.fsum(t.cold_utility for t in parts)


def study(path: str | Path, dt: str | float = 10.0) -> HeatStudy:
    """Reads a table of streams and finds its targets.

    Args:
        path: the CSV file.
        dt: least temperature difference between streams without a contribution: kelvins, or text with a unit ("18 degF").

    Raises:
        DeclarationError: the file has errors; all of them.
        RequestError: `heat.bad_difference`.
    """
    from mangrove.network.heat import pinch
    from mangrove.network.heat_lift import lift

    least = difference(dt) if isinstance(dt, str) else dt
    path = Path(path)
    parsed, problems = _read(path)
    made = _streams(parsed, problems)
    streams = made[0]
    joined = pinch(streams, least)
    names = dict.fromkeys(streams.plants)
    plants = {name: pinch(streams.of_plant(name), least) for name in names}
    now = _now(parsed)
    problems += _crossing(parsed, made, joined, least, now)
    lifts = {ratio: lift(joined, ratio=ratio, approach=least / 2) for ratio in RATIOS}
    return HeatStudy(streams, least, plants, joined, lifts, now, tuple(problems))


def temperature(text: str) -> float:
    """Degrees Celsius from "90", "90 degC", "363.15 K" or "194 degF".

    Raises:
        RequestError: `heat.not_a_temperature`.

    Example:
        >>> temperature("90"), temperature("212 °F"), temperature("300 K")
        (90.0, 100.0, 26.85)
    """
    match = _CELL.fullmatch(text)
    word = (match[2] or "").casefold() if match else "?"
    scale = _SCALES.get(_ALIASES.get(word, word))
    if match is None or scale is None or not math.isfinite(float(match[1])):
        raise RequestError("heat.not_a_temperature", text=text)
    factor, offset = scale
    return round(float(match[1]) * factor + offset, 9)


def difference(text: str) -> float:
    """Kelvins, 0 or more, from "10", "10K" or "18 degF".

    Raises:
        RequestError: `heat.bad_difference`.

    Example:
        >>> difference("10K"), difference("18 degF")
        (10.0, 10.0)
    """
    match = _CELL.fullmatch(text)
    word = (match[2] or "").casefold() if match else "?"
    scale = _SCALES.get(_ALIASES.get(word, word))
    value = float(match[1]) if match else math.nan
    if scale is None or not 0 <= value < math.inf:
        raise RequestError("heat.bad_difference", value=text)
    return round(value * scale[0], 9)


def _amount(target: str) -> Callable[[str], float]:
    """A parser of numbers of 0 or more in `target`, bare or with a unit."""

    def parse(text: str) -> float:
        match = _CELL.fullmatch(text)
        if match is None:
            raise RequestError("heat.not_an_amount", text=text, unit=target)
        written = unit(match[2]) if match[2] else unit(target)
        value = Quantity(float(match[1]), written).to(target)
        if not 0 <= value < math.inf:
            raise RequestError("heat.negative_amount", text=text)
        return value

    return parse


def _role(text: str) -> str:
    if text.casefold() not in ROLES:
        hint = did_you_mean(text, ROLES)
        raise RequestError("territory.not_an_option", text=text, options=", ".join(ROLES), hint=hint)
    return text.casefold()


COLUMNS = (
    Column("name", str, "What the stream is called.", required=True),
    Column("plant", str, "The plant that it belongs to; all blank: one plant.", default=""),
    Column("supply", temperature, "Temperature at which it comes: degC, or with a unit.", required=True, numeric=True),
    Column("target", temperature, "Temperature at which it must go.", required=True, numeric=True),
    Column("cp", _amount("kW/K"), "Heat capacity flow: kW/K, or with a unit.", numeric=True),
    Column("heat", _amount("kW"), "Heat flow, in place of cp: kW, or with a unit.", numeric=True),
    Column("latent", _amount("kW"), "Heat of condensing or boiling at the hotter end, besides cp or heat.", numeric=True),
    Column("role", _role, "`hot` gives heat, `cold` takes it; needed where supply and target are the same."),
    Column("dt", difference, "Its own contribution to the least temperature difference, K.", numeric=True),
    Column("utility", _amount("kW"), "Steam or cooling that it uses today, to find heat that crosses the pinch.", numeric=True),
)  # fmt: skip
"""The columns of a table of streams."""


def _read(path: Path) -> tuple[Parsed, list[Problem]]:
    """The cells of the file, and what is wrong with single ones.

    Raises:
        DeclarationError: the file, its header or all of it cannot be read.
    """
    table, problems = read_table(path, path.name)
    parsed, found = parse_table(table, COLUMNS)
    problems += found
    _stop(problems, to=table.header_line)
    if not table.rows:
        raise DeclarationError([Problem("heat.no_rows", {}, table.header_where(0))])
    return parsed, problems


def _stop(problems: list[Problem], to: float = math.inf) -> None:
    """Raises all problems when one of them, as far as the line `to`, is an error."""
    if any(one.severity == "error" and (one.where is None or one.where.line <= to) for one in problems):
        raise DeclarationError(sorted(problems, key=lambda one: (one.where is None, one.where)))


def _streams(parsed: Parsed, problems: list[Problem]) -> tuple[Streams, list[int]]:
    """The streams, and the row of each; a row with latent heat and a change of temperature makes two.

    Raises:
        DeclarationError: rows contradict themselves.
    """
    from mangrove.network.heat import Streams

    made: list[tuple[str, str, float, float, float, bool, float]] = []
    of_row: list[int] = []
    unread = {one.where.line for one in problems if one.where is not None and one.severity == "error"}
    for row, (name, plant, supply, target, cp, heat, latent, role, dt, _) in enumerate(parsed.records()):
        if parsed.where(row).line in unread:
            continue
        said = list(_faults(parsed, row))
        problems += said
        if any(problem.severity == "error" for problem in said):
            continue
        hot = supply > target if supply != target else role == "hot"
        own = math.nan if dt is None else dt
        hotter = max(supply, target)
        if supply != target and (cp is not None or heat is not None):
            flow = heat if heat is not None else cp * abs(target - supply)
            made.append((name, plant, supply, target, flow, hot, own))
            of_row.append(row)
        still = latent if latent is not None else heat if supply == target else None
        if still is not None:
            made.append((name, plant, hotter, hotter, still, hot, own))
            of_row.append(row)
    _stop(problems)
    names, plants, supplies, targets, flows, gives, owns = zip(*made, strict=True)
    streams = Streams.of(supplies, targets, heat=flows, gives=gives, contribution=owns, names=names, plants=plants)  # fmt: skip
    return streams, of_row


def _faults(parsed: Parsed, row: int) -> Iterator[Problem]:
    """What is wrong with one row whose cells can be read."""
    values = {name: column[row] for name, column in parsed.values.items()}
    supply, target, role, name = (values[key] for key in ("supply", "target", "role", "name"))
    equal = supply == target
    for column in ("supply", "target"):
        if values[column] < -273.15:  # noqa: PLR2004 - absolute zero
            data = {"name": name, "what": column, "value": f"{values[column]:g}"}
            yield Problem("heat.too_cold", data, parsed.where(row, column))
    given = {key for key in ("cp", "heat", "latent") if values[key] is not None}
    if equal and not given & {"heat", "latent"}:
        data = {"name": name, "temperature": f"{supply:g}"}
        yield Problem("heat.no_latent", data, parsed.where(row, "target"))
    elif not given:
        yield Problem("heat.no_heat", {"name": name}, parsed.where(row))
    if given >= {"cp", "heat"} or (equal and given >= {"heat", "latent"}):
        yield Problem("heat.two_amounts", {"name": name}, parsed.where(row, "heat"))
    if equal and role is None and given & {"heat", "latent"}:
        data = {"name": name, "temperature": f"{supply:g}"}
        yield Problem("heat.no_direction", data, parsed.where(row, "role"))
    elif not equal and role is not None and (role == "hot") != (supply > target):
        data = {"name": name, "role": role, "supply": f"{supply:g}", "target": f"{target:g}"}
        yield Problem("heat.reversed", data, parsed.where(row, "role"), severity="warning")


def _now(parsed: Parsed) -> tuple[float, float] | None:
    """Hot and cold utility in use today; None where no row says it."""
    sums = {True: 0.0, False: 0.0}
    known = False
    for supply, target, role, amount in zip(*(parsed.values[key] for key in ("supply", "target", "role", "utility")), strict=True):  # fmt: skip
        if amount is not None:
            known = True
            sums[supply < target or (supply == target and role == "cold")] += amount
    return (sums[True], sums[False]) if known else None


def _crossing(
    parsed: Parsed,
    made: tuple[Streams, list[int]],
    joined: Targets,
    dt_min: float,
    now: tuple[float, float] | None,
) -> Iterator[Problem]:
    """Warnings: heat that crosses the pinch today, and the rows heated below it or cooled above it."""
    if now is None:
        return
    across = now[0] - joined.hot_utility
    if across > 1e-6 * max(now[0], 1.0):
        sums = {"now": round(now[0], 1), "target": round(joined.hot_utility, 1), "heat": round(across, 1)}
        yield Problem("heat.cross_pinch", sums, severity="warning")
    if joined.threshold:
        return
    streams, of_row = made
    low, high = streams.shifted(dt_min)
    parts: dict[int, list[int]] = {}
    for i, row in enumerate(of_row):
        parts.setdefault(row, []).append(i)
    for row, ends in parts.items():
        amount = parsed.values["utility"][row]
        if not amount:
            continue
        data: dict[str, Any] = {"name": streams.names[ends[0]], "heat": round(amount, 1)}
        if streams.gives[ends[0]] and low[ends].min() >= joined.pinches[-1]:
            yield Problem("heat.cooled_above", data, parsed.where(row, "utility"), severity="warning")
        elif not streams.gives[ends[0]] and high[ends].max() <= joined.pinches[0]:
            yield Problem("heat.heated_below", data, parsed.where(row, "utility"), severity="warning")


def as_text(found: HeatStudy, lang: str = "en") -> str:
    """The study for people; heat flows in kW."""
    say: Callable[..., str] = lambda word, **data: messages.render(f"heat.{word}", lang, **data)  # noqa: E731
    shown: Callable[[float], str] = lambda value: number(value, lang, digits=5)  # noqa: E731
    header = ["", *(f"{say(word)} (kW)" for word in ("hot", "cold", "recovered")), f"{say('pinch')} (degC)"]
    rows = [[name or say("one_plant"), *_cells(t, lang)] for name, t in found.plants.items()]
    if len(found.plants) > 1:
        recovered = math.fsum(t.recovered for t in found.plants.values())
        rows.append([say("alone"), *(shown(v) for v in (*found.alone, recovered)), ""])
        rows.append([say("joined"), *_cells(found.joined, lang)])
    lines = [say("head", count=len(found.streams), plants=len(found.plants), dt=shown(found.dt_min)), ""]
    lines += grid(header, rows, left={0})
    if len(found.plants) > 1:
        saved = found.alone[0] - found.joined.hot_utility
        lines += ["", say("saving", heat=shown(saved))]
    if found.now is not None:
        hot, cold = (shown(v) for v in found.now)
        lines += ["", say("today", hot=hot, cold=cold, saved=shown(found.now[0] - found.joined.hot_utility))]
    return "\n".join([*lines, "", *_lift_lines(found, lang)])


def _cells(targets: Targets, lang: str) -> list[str]:
    """Targets as cells: three heat flows and the pinch, hot side / cold side, or the shifted temperature."""
    flows = [
        number(v, lang, digits=5) for v in (targets.hot_utility, targets.cold_utility, targets.recovered)
    ]
    if targets.threshold:
        return [*flows, messages.render("heat.threshold", lang)]
    if not targets.sides:
        words = ", ".join(number(one, lang, digits=5) for one in targets.pinches)
        return [*flows, messages.render("heat.shifted", lang, temperature=words)]
    sides = (" / ".join(number(one, lang, digits=5) for one in pair) for pair in targets.sides)
    return [*flows, ", ".join(sides)]


def _lift_lines(found: HeatStudy, lang: str) -> list[str]:
    """The heat pumps that pay, by ratio of prices."""
    if found.joined.threshold:
        return [messages.render("heat.no_pump", lang)]
    words = ("ratio", "from", "to", "pump_heat", "power", "cop")
    header = [messages.render(f"heat.{word}", lang) for word in words]
    rows = []
    for ratio, one in found.lifts.items():
        cells = ["-"] * 5
        if one is not None:
            cells = [number(v, lang) for v in (one.evaporating, one.condensing, one.heat, one.power, one.cop)]
        rows.append([number(ratio, lang), *cells])
    return [messages.render("heat.pumps", lang), *grid(header, rows, left=set())]


def as_json(found: HeatStudy) -> str:
    """The study as JSON: kW, degC, K."""
    result: dict[str, Any] = {
        "streams": len(found.streams),
        "dt_min_K": found.dt_min,
        "plants": {name: _document(t) for name, t in found.plants.items()},
        "alone": {"hot_utility_kW": found.alone[0], "cold_utility_kW": found.alone[1]},
        "joined": _document(found.joined),
        "saving_kW": found.alone[0] - found.joined.hot_utility,
        "heat_pumps": [
            {"price_ratio": ratio, "pump": None if one is None else asdict(one)}
            for ratio, one in found.lifts.items()
        ],
    }
    if found.now is not None:
        result["now"] = {"hot_utility_kW": found.now[0], "cold_utility_kW": found.now[1]}
    return json.dumps(result, ensure_ascii=False, indent=1)


def _document(targets: Targets) -> dict[str, Any]:
    return {
        "hot_utility_kW": targets.hot_utility,
        "cold_utility_kW": targets.cold_utility,
        "recovered_kW": targets.recovered,
        "threshold": targets.threshold,
        "pinch_shifted_degC": [] if targets.threshold else list(targets.pinches),
        "pinch_degC": []
        if targets.threshold
        else [{"hot": hot, "cold": cold} for hot, cold in targets.sides],
    }


def figure(found: HeatStudy, lang: str = "en") -> str:
    """The composite curves of all streams with their utilities and pinch, as SVG."""
    from mangrove.figures.composite import composite_curves

    targets = found.joined
    return composite_curves(
        (targets.hot.heat.tolist(), targets.hot.temperature.tolist()),
        (targets.cold.heat.tolist(), targets.cold.temperature.tolist()),
        title=messages.render("heat.figure", lang, count=len(found.streams), plants=len(found.plants)),
        pinches=() if targets.threshold else targets.sides,
        lang=lang,
    )
