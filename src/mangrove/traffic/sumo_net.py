# SPDX-License-Identifier: Apache-2.0
"""SUMO road networks: read into arrays, and made into `Roads` that trips can be assigned to.

Comes in: a `.net.xml` or `.net.xml.gz` as netconvert writes it. Goes out: a `SumoNet` (edges, junctions, connections, signal programs,
shapes in WGS84), and from it a `RoadMap`: links in motorcycle units with the zones in front. Internal edges (the ways inside
junctions), crossings and footpaths are left out; turns that the net forbids stay possible in `Roads`, whose nodes are the junctions.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, SourceError, Where, did_you_mean
from mangrove.traffic.roads import Floats, Ints

MOTORCYCLE = "motorcycle"
_KMH = 3.6
_UNKNOWN = "!"
"""What netconvert writes for a network without a projection."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal with its installed program.

    Attributes:
        id: as in the net; kind: static, actuated, ...; offset: s.
        states: one word a phase, a letter a link (SUMO's: G and g are green); durations: (P,) s.
    """

    id: str
    kind: str
    offset: float
    states: tuple[str, ...]
    durations: Floats

    @property
    def cycle(self) -> float:
        """Length of the cycle, s."""
        return float(self.durations.sum())

    def green(self) -> Floats:
        """(links,) share of the cycle in which each link of the signal is green."""
        width = max((len(state) for state in self.states), default=0)
        on = np.array([[letter in "Gg" for letter in state.ljust(width, "r")] for state in self.states])
        return self.durations @ on / self.cycle if self.cycle else np.ones(width)


@dataclass(frozen=True)
class Connections:
    """From which edge to which, over which lanes; signal is -1 where no signal controls the movement.

    Attributes: source, target (C,) edges; from_lane, to_lane (C,); signal (C,) number of the signal; index (C,) its link there.
    """

    source: Ints
    target: Ints
    from_lane: Ints
    to_lane: Ints
    signal: Ints
    index: Ints


@dataclass(frozen=True)
class SumoNet:
    """A road network as SUMO sees it: E edges between N junctions.

    Attributes:
        path: the file; ids: (E,) of edges; names: (E,) of streets, empty where the net has none; kinds: (E,) types, `highway.primary`.
        start, end: (E,) junctions; lanes: (E,) that the vehicle class may use (0: none); speed: (E,) km/h; length: (E,) km.
        junctions: (N,) ids; xy: (N, 2) m in the plane of the net; points, pointers: shapes of edges, edge e has
            points[pointers[e] : pointers[e + 1]].
        signals: in file order; connections: movements between edges.
        projection, offset: from the plane of the net to the projection's coordinates.
    """

    path: Path
    ids: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    start: Ints
    end: Ints
    lanes: Ints
    speed: Floats
    length: Floats
    junctions: tuple[str, ...]
    xy: Floats
    points: Floats
    pointers: Ints
    signals: tuple[Signal, ...]
    connections: Connections
    projection: str
    offset: tuple[float, float]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def number(self) -> Mapping[str, int]:
        """The number of every edge by its id."""
        return {name: at for at, name in enumerate(self.ids)}

    @cached_property
    def lonlat(self) -> Floats:
        """(N, 2) longitude and latitude of the junctions, WGS84 degrees.

        Raises:
            SourceError: `roads.no_projection`: the net lies in a plane of its own.
        """
        return self.to_lonlat(self.xy)

    @cached_property
    def shapes(self) -> tuple[Floats, ...]:
        """(E,) lines of the edges, each (k, 2) longitude and latitude; see `lonlat`."""
        return tuple(np.split(self.to_lonlat(self.points), self.pointers[1:-1]))

    def to_lonlat(self, xy: Floats) -> Floats:
        """Points of the plane of the net as longitude and latitude."""
        moved = np.asarray(xy, dtype=np.float64) - np.array(self.offset)
        east, north = self._transformer().transform(moved[:, 0], moved[:, 1])
        return np.column_stack([east, north])

    def to_xy(self, lonlat: Floats) -> Floats:
        """Longitude and latitude as points of the plane of the net, m."""
        given = np.asarray(lonlat, dtype=np.float64)
        x, y = self._transformer().transform(given[:, 0], given[:, 1], direction="INVERSE")
        placed: Floats = np.column_stack([x, y]) + np.array(self.offset)
        return placed

    def _transformer(self) -> Any:
        from pyproj import Transformer

        if self.projection == _UNKNOWN:
            raise SourceError("roads.no_projection", where=Where(self.path.name))
        return Transformer.from_crs(self.projection, "EPSG:4326", always_xy=True)

    def green(self, signals: tuple[Signal, ...] | None = None) -> tuple[Floats, Floats]:
        """(E,) share of the cycle in which an edge may discharge, and (E,) length of that cycle in s (0 where no signal stands).

        The share is the mean over the lanes of an edge of the greenest movement of each lane.

        Args:
            signals: other programs for the same signals; None: those of the net.
        """
        used = self.signals if signals is None else signals
        share, cycle = np.ones(len(self)), np.zeros(len(self))
        if not used:
            return share, cycle
        shares = [signal.green() for signal in used]
        begins = np.cumsum([0, *(len(s) for s in shares)])
        link = self.connections
        at = np.flatnonzero(link.signal >= 0)
        place = begins[link.signal[at]] + np.minimum(
            link.index[at], np.array([len(s) for s in shares])[link.signal[at]] - 1
        )
        greens = np.concatenate(shares)[place]
        wide = int(max(link.from_lane.max(initial=0), 0)) + 1
        best = np.full(len(self) * wide, -1.0)
        np.maximum.at(best, link.source[at] * wide + link.from_lane[at], greens)
        lanes = best.reshape(-1, wide)
        held = lanes >= 0
        count = held.sum(axis=1)
        some = count > 0
        share[some] = np.where(held, lanes, 0.0).sum(axis=1)[some] / count[some]
        length = np.array([signal.cycle for signal in used])
        cycle[link.source[at]] = length[link.signal[at]]
        return share, cycle


def read_net(path: Path, vehicle: str = MOTORCYCLE) -> SumoNet:
    """Reads a network file of SUMO.

    Args:
        path: `.net.xml`, or the same with gzip.
        vehicle: class of SUMO whose lanes are counted: `motorcycle`, `passenger`, `bus`, ...

    Raises:
        SourceError: `roads.no_file`, `roads.not_a_net` (no XML, cut off, another kind of file; with its line), `roads.unknown_end` (an
            edge or connection names what the file lacks).
    """
    reader = _Reader(Path(path), vehicle)
    _parse(Path(path), reader)
    return reader.net()


def _parse(path: Path, reader: _Reader) -> None:
    """Runs the parser over a file."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.begin
    reader.parser = parser
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            parser.ParseFile(file)
    except FileNotFoundError:
        raise SourceError("roads.no_file", path=path) from None
    except expat.ExpatError as error:
        raise _no_net(path, parser, expat.errors.messages[error.code]) from None
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise _no_net(path, parser, f"{type(error).__name__}: {error}") from None


def _no_net(path: Path, parser: Any, text: str) -> SourceError:
    where = Where(path.name, max(parser.CurrentLineNumber, 0))
    return SourceError("roads.not_a_net", where=where, text=text)


class _Reader:
    """Collects what the parser meets; called for each element of the file."""

    parser: Any

    def __init__(self, path: Path, vehicle: str) -> None:
        self.path, self.vehicle = path, vehicle
        self.edges: list[tuple[str, str, str, str, str, str, int]] = []
        self.lanes: list[list[tuple[float, float, bool]]] = []
        self.junctions: dict[str, tuple[float, float]] = {}
        self.connections: list[tuple[str, str, int, int, str, int]] = []
        self.programs: dict[str, tuple[str, float, list[tuple[float, str]]]] = {}
        self.location = (_UNKNOWN, (0.0, 0.0))
        self.inside = self.first = False
        self.open: list[tuple[float, str]] = []
        self.known = {
            "edge": self._edge, "lane": self._lane, "connection": self._connection, "junction": self._junction,
            "tlLogic": self._program, "phase": self._phase, "location": self._location,
        }  # fmt: skip

    def begin(self, tag: str, a: dict[str, str]) -> None:
        """One element of the file."""
        take = self.known.get(tag)
        if take:
            take(a)
        elif not self.first and tag != "net":
            raise ValueError(tag)
        self.first = True

    def _edge(self, a: dict[str, str]) -> None:
        self.inside = a.get("function", "normal") == "normal"
        if self.inside:
            line = self.parser.CurrentLineNumber
            words = (a.get("name", ""), a.get("type", ""), a.get("shape", ""))
            self.edges.append((a["id"], a["from"], a["to"], *words, line))
            self.lanes.append([])

    def _lane(self, a: dict[str, str]) -> None:
        if self.inside:
            self.lanes[-1].append((float(a["speed"]), float(a["length"]), self._open_to(a)))

    def _connection(self, a: dict[str, str]) -> None:
        if a["from"][0] != ":":
            row = (a["from"], a["to"], int(a["fromLane"]), int(a["toLane"]))
            self.connections.append((*row, a.get("tl", ""), int(a.get("linkIndex", -1))))

    def _junction(self, a: dict[str, str]) -> None:
        if a.get("type") != "internal":
            self.junctions[a["id"]] = (float(a["x"]), float(a["y"]))

    def _program(self, a: dict[str, str]) -> None:
        self.open = []  # further programs of a signal are not the one that runs
        if a["id"] not in self.programs:
            self.programs[a["id"]] = (a.get("type", "static"), float(a.get("offset", 0)), self.open)

    def _phase(self, a: dict[str, str]) -> None:
        self.open.append((float(a["duration"]), a["state"]))

    def _location(self, a: dict[str, str]) -> None:
        east, north = (float(part) for part in a["netOffset"].split(","))
        self.location = (a.get("projParameter", _UNKNOWN), (east, north))

    def _open_to(self, a: dict[str, str]) -> bool:
        """Whether the vehicle class may use a lane."""
        if "allow" in a:
            return a["allow"] == "all" or self.vehicle in a["allow"].split()
        return a.get("disallow") != "all" and self.vehicle not in a.get("disallow", "").split()

    def net(self) -> SumoNet:
        """The network, once the file is read."""
        if not self.edges:
            raise SourceError("roads.not_a_net", where=Where(self.path.name), text="no edges")
        node = {name: at for at, name in enumerate(self.junctions)}
        for name, *between, _, _, _, line in self.edges:
            for junction in map(str, between):
                if junction not in node:
                    where = Where(self.path.name, line)
                    raise SourceError("roads.unknown_end", where=where, edge=name, junction=junction)
        ids, start, end, names, kinds, shapes, _ = zip(*self.edges, strict=True)
        begins = np.array([node[name] for name in start], dtype=np.int32)
        ends = np.array([node[name] for name in end], dtype=np.int32)
        xy = np.array(list(self.junctions.values()))
        points, pointers = _lines(shapes, xy, begins, ends)
        usable = [[lane for lane in lanes if lane[2]] or lanes for lanes in self.lanes]
        projection, offset = self.location
        return SumoNet(
            self.path, ids, names, kinds, begins, ends,
            np.array([sum(lane[2] for lane in lanes) for lanes in self.lanes], dtype=np.int32),
            np.array([_KMH * max((lane[0] for lane in lanes), default=0.0) for lanes in usable]),
            np.array([sum(lane[1] for lane in lanes) / max(len(lanes), 1) for lanes in usable]) / 1000,
            tuple(self.junctions), xy, points, pointers, self.signals(), self._connections(ids), projection, offset,
        )  # fmt: skip

    def signals(self) -> tuple[Signal, ...]:
        """The signals with their first programs."""
        return tuple(
            Signal(name, kind, offset, tuple(s for _, s in phases), np.array([d for d, _ in phases]))
            for name, (kind, offset, phases) in self.programs.items()
        )

    def _connections(self, ids: tuple[str, ...]) -> Connections:
        edge = {name: at for at, name in enumerate(ids)}
        signal = {name: at for at, name in enumerate(self.programs)}
        kept = [row for row in self.connections if row[0] in edge and row[1] in edge]
        rows = [(edge[a], edge[b], i, j, signal.get(tl, -1), at) for a, b, i, j, tl, at in kept]
        columns: npt.NDArray[np.int32] = np.array(rows, dtype=np.int32).reshape(-1, 6).T
        return Connections(*columns)


def _lines(shapes: tuple[str, ...], xy: Floats, start: Ints, end: Ints) -> tuple[Floats, Ints]:
    """Points of all edges, and where each edge's begin; an edge without a shape of its own is straight between its junctions."""
    counts = np.array([text.count(",") for text in shapes])
    drawn = counts > 0
    pointers = np.concatenate([[0], np.cumsum(np.where(drawn, counts, 2))]).astype(np.int32)
    points = np.empty((pointers[-1], 2))
    straight = np.flatnonzero(~drawn)
    points[pointers[straight]], points[pointers[straight] + 1] = xy[start[straight]], xy[end[straight]]
    pairs = [pair.split(",")[:2] for line in shapes if line for pair in line.split()]
    if pairs:
        points[np.repeat(drawn, np.diff(pointers))] = np.array(pairs, dtype=np.float64)
    return points, pointers


def read_programs(path: Path, net: SumoNet) -> tuple[Signal, ...]:
    """The signals of a net with the programs of a SUMO additional file; those that the file leaves out keep theirs.

    Raises:
        SourceError: `roads.no_file`, `roads.not_a_net`; `roads.unknown_signal`, `roads.other_signal` (another number of links).
    """
    reader = _Reader(Path(path), MOTORCYCLE)
    reader.first = True
    _parse(Path(path), reader)
    known = {signal.id: signal for signal in net.signals}
    for signal in reader.signals():
        if signal.id not in known:
            hint = did_you_mean(signal.id, known)
            raise SourceError(
                "roads.unknown_signal", where=Where(Path(path).name), signal=signal.id, hint=hint
            )
        widths = [{len(state) for state in one.states} for one in (signal, known[signal.id])]
        if widths[0] != widths[1]:
            raise SourceError("roads.other_signal", where=Where(Path(path).name), signal=signal.id)
        known[signal.id] = signal
    return tuple(known.values())


def edges_in(net: SumoNet, polygon: Any) -> npt.NDArray[np.bool_]:
    """(E,) whether the middle of an edge lies inside a polygon (shapely, WGS84)."""
    import shapely

    middle = (net.xy[net.start] + net.xy[net.end]) / 2
    place = net.to_lonlat(middle)
    inside: npt.NDArray[np.bool_] = shapely.contains_xy(polygon, place[:, 0], place[:, 1])
    return inside


def edge_numbers(net: SumoNet, ids: tuple[str, ...]) -> Ints:
    """Numbers of edges by id.

    Raises:
        RequestError: `roads.unknown_edge`.
    """
    for name in ids:
        if name not in net.number:
            raise RequestError("roads.unknown_edge", edge=name, hint=did_you_mean(name, net.ids))
    return np.array([net.number[name] for name in ids], dtype=np.int32)
