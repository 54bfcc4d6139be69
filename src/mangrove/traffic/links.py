# SPDX-License-Identifier: Apache-2.0
"""What a simulation did on each street: vehicles, seconds, meters, lost time and emissions by interval and vehicle type.

Comes in: the network, what is asked, and the file that SUMO wrote for its edges. Goes out: `Links`. What happens on a junction belongs to
the street that leads into it, so that streets add up to all traffic. A vehicle is where its front is: SUMO counts seconds and lost time on
both of two edges while a vehicle is on both, and in meters and emissions on one.
"""

from __future__ import annotations

import gzip
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from mangrove.errors import SourceError, Where
from mangrove.traffic.outcome import GRAM, POLLUTANTS, parse

Floats = npt.NDArray[np.float64]

FILE, ASKED = "links.xml.gz", "links.add.xml"
"""What SUMO writes, and the additional file that asks for it."""
WHOLE = ("",)
"""Kinds of a run that is not split by vehicle type."""
_TYPELESS = "DEFAULT_VEHTYPE"
_DEFAULTS = "DEFAULT_"
_TRAFFIC = ("sampledSeconds", "timeLoss", "distance", "entered", "departed", "left", "arrived")
_EMITTED = ("sampledSeconds", *(f"{name}_abs" for name in (*POLLUTANTS, "electricity")))


@dataclass(frozen=True, eq=False)
class Links:
    """T intervals, L streets, C vehicle types.

    Attributes:
        ids: (L,) edges of the network in its order; kinds: (C,) vehicle types, one empty name when they are not told apart.
        starts: (T,) s; the last interval may be shorter than the others: it ends with the run.
        entered, left: (T, L, C) vehicles that came onto the street, by driving or by setting off, and that left it by driving or by
            arriving. A vehicle that SUMO lifts away and that ends its trip in the air is never told to have left.
        vehicle_seconds: (T, L, C) s that vehicles spent on it; distance: m that they drove.
        time_loss: (T, L, C) s lost against the speed that each vehicle wished for.
        emissions: (T, L, C, 5) g of `POLLUTANTS`; electricity: (T, L, C) Wh.

    A vehicle that SUMO lifts away drives on no street until it is set down: it loses no time and emits nothing in the air, for streets and trips alike,
    while its trip counts the meters and the seconds. With 232 teleports of 3,028 vehicles (ingolstadt21, 2.5 times its demand) streets lacked 44 m and 15 s
    a teleport, 0.2 and 0.3 % of all, and of lost time and CO2 nothing but what runs without teleports lack.

    Invariants: without teleports, sums over streets are those of the trips, but for the second in which a vehicle enters, which SUMO
    counts for trips only: meters are equal, seconds, lost time and emissions less by up to one second a vehicle. In the model of queues
    (meso) streets also count the whole piece of road that a vehicle has only begun when the run ends.
    """

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    starts: Floats
    entered: Floats
    left: Floats
    vehicle_seconds: Floats
    distance: Floats
    time_loss: Floats
    emissions: Floats
    electricity: Floats

    @property
    def speed(self) -> Floats:
        """(T, L, C) mean speed in space, m/s: meters over seconds; NaN where nobody was."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(
                np.where(self.vehicle_seconds > 0, self.distance / self.vehicle_seconds, np.nan)
            )

    @property
    def vehicles(self) -> Floats:
        """(T, L, C) vehicles that passed: the mean of those that came and those that left."""
        return (self.entered + self.left) / 2.0


def ask(folder: Path, cells: float, kinds: Sequence[str]) -> Path:
    """Write the additional file that makes SUMO tell of its edges every `cells` seconds, for each of `kinds`."""
    lines = []
    for number, kind in enumerate(kinds):
        only = f" vTypes={quoteattr(kind)}" if kind else ""
        given = f'file="{FILE}" period="{cells:.12g}" withInternal="true" excludeEmpty="true"{only}'
        lines.append(f'<edgeData id="t{number}" {given} writeAttributes="{" ".join(_TRAFFIC)}"/>')
        lines.append(
            f'<edgeData id="e{number}" type="emissions" {given} writeAttributes="{" ".join(_EMITTED)}"/>'
        )
    path = folder / ASKED
    path.write_text("<additional>" + "".join(lines) + "</additional>", encoding="utf-8")
    return path


def read(folder: Path, net: Path, kinds: Sequence[str], times: tuple[float, float], cells: float) -> Links:
    """What SUMO told of its edges.

    Args:
        folder: with the results of the run.
        net: the network of the run.
        kinds: as given to `ask`.
        times: begin and end of the run, s.
        cells: s of an interval.

    Raises:
        SourceError: a file is cut short or is no network. LedgerError: the disk was full.
    """
    edges = Edges(net)
    begin, end = times
    shape = (math.ceil((end - begin) / cells - 1e-9), len(edges.at), len(kinds))
    rows = {"t": array("d"), "e": array("d")}
    wanted = {"t": _TRAFFIC, "e": _EMITTED}
    into, names, cell, kind = rows["t"], wanted["t"], 0, 0

    def interval(row: dict[str, str]) -> None:
        nonlocal into, names, cell, kind
        into, names, kind = rows[row["id"][0]], wanted[row["id"][0]], int(row["id"][1:])
        cell = min(round((float(row["begin"]) - begin) / cells), shape[0] - 1)

    def edge(row: dict[str, str]) -> None:
        into.append((cell * shape[1] + edges.at[row["id"]]) * shape[2] + kind)
        into.extend([float(row.get(name, 0.0)) for name in names])

    parse(folder / FILE, {"interval": interval, "edge": edge})
    driven = np.array(rows["t"]).reshape(-1, 1 + len(_TRAFFIC))
    emitted = np.array(rows["e"]).reshape(-1, 1 + len(_EMITTED))
    return _summed(edges, tuple(kinds), begin + cells * np.arange(float(shape[0])), driven, emitted)


def _summed(edges: Edges, kinds: tuple[str, ...], starts: Floats, driven: Floats, emitted: Floats) -> Links:
    """Rows of edges as arrays of streets: the ways inside junctions go to the streets that lead into them."""
    shape = (len(starts), len(edges.ids), len(kinds))
    size = len(starts) * len(edges.at) * len(kinds)
    at, front = driven[:, 0].astype(np.int64), np.zeros(size)
    front[emitted[:, 0].astype(np.int64)] = emitted[:, 1]
    seconds, loss, distance, entered, departed, left, arrived = driven[:, 1:].T
    # the share of a vehicle's seconds in which its front is here
    loss = np.divide(loss * front[at], seconds, out=np.zeros(len(at)), where=seconds > 0)

    def cells(keys: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        time, edge, kind = np.unravel_index(keys.astype(np.int64), (len(starts), len(edges.at), len(kinds)))
        owner = edges.owner[edge]
        return (time * shape[1] + owner) * shape[2] + kind, edge == owner

    street, own = cells(driven[:, 0])
    crossing, _ = cells(emitted[:, 0])

    def added(where: npt.NDArray[np.int64], amounts: Floats) -> Floats:
        return np.asarray(np.bincount(where, amounts, math.prod(shape)), dtype=np.float64).reshape(shape)

    gases = [added(crossing, column) * GRAM for column in emitted[:, 2 : 2 + len(POLLUTANTS)].T]
    return Links(
        edges.ids, kinds, starts,
        entered=added(street[own], (entered + departed)[own]),
        left=added(street[own], (left + arrived)[own]),
        vehicle_seconds=added(crossing, emitted[:, 1]),
        distance=added(street, distance),
        time_loss=added(street, loss),
        emissions=np.stack(gases, axis=-1),
        electricity=added(crossing, emitted[:, -1]),
    )  # fmt: skip


class Edges:
    """The edges of a network, the ways inside its junctions behind them.

    Attributes:
        ids: (L,) streets in the order of the file; at: the number of every edge, those inside junctions after the streets.
        owner: the street that each edge belongs to: itself, or the one that leads into the junction.
    """

    ids: tuple[str, ...]
    at: Mapping[str, int]
    owner: npt.NDArray[np.int64]

    def __init__(self, net: Path) -> None:
        streets: list[str] = []
        inside: list[str] = []
        before: dict[str, str] = {}

        def edge(row: dict[str, str]) -> None:
            if row.get("function", "normal") in ("normal", "connector"):
                streets.append(row["id"])
            elif row["function"] == "internal":
                inside.append(row["id"])

        def connection(row: dict[str, str]) -> None:
            if "via" in row:
                before[row["via"].rsplit("_", 1)[0]] = row["from"]

        scan(net, {"edge": edge, "connection": connection})
        self.ids = tuple(streets)
        self.at = {name: number for number, name in enumerate((*streets, *inside))}
        owner = list(range(len(streets)))
        for name in inside:
            street, seen = name, 0
            while street in before and seen < len(inside) and self.at.get(street, -1) >= len(streets):
                street, seen = before[street], seen + 1
            owner.append(self.at.get(street, self.at[name]))
        # a way that no street leads into is never driven on
        self.owner = np.array([one if one < len(streets) else 0 for one in owner], dtype=np.int64)


def vehicle_types(files: Sequence[Path]) -> tuple[str, ...]:
    """The vehicle types that routes and additional files declare, in their order, and SUMO's own ones where they are used.

    Raises:
        SourceError: `traffic.no_file`.
    """
    found: dict[str, None] = {}

    def declared(row: dict[str, str]) -> None:
        found.setdefault(row["id"])

    def used(row: dict[str, str]) -> None:
        kind = row.get("type", _TYPELESS)
        if kind.startswith(_DEFAULTS):
            found.setdefault(kind)

    watch = {"vType": declared, **dict.fromkeys(("vehicle", "trip", "flow"), used)}
    for path in files:
        scan(path, watch)
    return tuple(found) or (_TYPELESS,)


def scan(path: Path, watch: Mapping[str, Any]) -> None:
    """Call the watcher of each element of a file that was given to SUMO, which may be zipped.

    Raises:
        SourceError: `traffic.no_file`, with the line.
    """
    parser = expat.ParserCreate()

    def begin(name: str, row: dict[str, str]) -> None:
        if name in watch:
            watch[name](row)

    parser.StartElementHandler = begin
    text, line = "", 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            parser.ParseFile(stream)
    except expat.ExpatError as error:
        text, line = str(error), error.lineno
    except (OSError, EOFError) as error:
        text = str(getattr(error, "strerror", None) or error)
    except KeyError as error:
        text, line = str(error), parser.CurrentLineNumber
    if text:
        raise SourceError("traffic.no_file", where=Where(str(path), line), reason=text)
