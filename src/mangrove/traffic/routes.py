# SPDX-License-Identifier: Apache-2.0
"""Bus routes on the streets: the way that a timetable draws, as links of the road map.

Comes in: a `RoadMap` and a `Way` (a line of longitude and latitude, or stops in their order). Goes out: a `Track`: the links that the
buses drive, and how much of the way lies where the map has no street. Points along the way are matched to links by the most likely
sequence of links (a hidden Markov model: Newson and Krumm 2009, "Hidden Markov Map Matching Through Noise and Sparseness"): near the
points, and hardly longer between them than the way itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, Where
from mangrove.traffic.road_map import RoadMap
from mangrove.traffic.roads import Floats, Ints

HOURS = 24
NEAR = 0.1
"""km: streets farther from a drawn way are not its streets; digitized ways lie within some tens of meters."""
NEAR_STOP = 0.2
"""km: likewise for stops, which lie beside wide streets and in stations."""
_STEP = 0.15
"""km between points along a drawn way."""
_NOISE, _NOISE_STOP = 0.02, 0.05
"""km: standard deviation of points and stops across the street."""
_DETOUR, _DETOUR_STOP = 0.05, 0.3
"""km: how much longer than the straight line the streets between two points are: scale of an exponential distribution."""
_MOST = 8
"""Links that a point may lie on."""
_BACK = 0.03
"""km that noise may send a bus backwards on its street."""
_RANGE, _ROOM = 4.0, 1.0
"""Streets between two points are looked for up to this many times their distance, and some km more."""


@dataclass(frozen=True, eq=False)
class Way:
    """One way of a bus route on a day.

    Attributes:
        route: its name; points: (k, 2) lon, lat of the line, or of the stops when `shaped` is false; stops: (s, 2) lon, lat.
        by_hour: (24,) buses that set out in each hour of the day; where: the file it comes from.
        speed: km/h from the first stop to the last, along straight lines between stops; 0 where nobody says.
    """

    route: str
    points: Floats
    stops: Floats
    by_hour: Floats
    shaped: bool = True
    where: Where | None = None
    speed: float = 0.0


@dataclass(frozen=True, eq=False)
class Track:
    """A way on the streets.

    Attributes:
        links: (k,) in driving order; where streets are missing, the next link does not begin where the one before ends.
        kilometers: of the way; left_out: of it where no street lies.
    """

    links: Ints
    kilometers: float
    left_out: float


def tracks(road: RoadMap, ways: Sequence[Way]) -> tuple[Track, ...]:
    """The links that the buses of some ways drive.

    Raises:
        RequestError: `roads.route_far` (no street near any point of a way), `roads.bad_points`.
        SourceError: `roads.no_projection`.
    """
    streets = _Streets(road) if ways else None
    return tuple(_track(streets, way) for way in ways if streets)


@dataclass(frozen=True, eq=False)
class _Near:
    """Links that a point may lie on: (m,) links, km from the point, km from the beginning of the link."""

    links: Ints
    off: Floats
    along: Floats


class _Streets:
    """Links as lines in the plane of the net, km, and the graph of their junctions."""

    def __init__(self, road: RoadMap) -> None:
        import shapely
        from scipy.sparse import csr_array

        roads = road.roads
        street = (roads.tail >= roads.zones) & (roads.head >= roads.zones) & (road.lanes > 0)
        self.links = np.flatnonzero(street)
        self.road = road
        net = road.net
        pieces = np.split(net.points / 1e3, net.pointers[1:-1])
        ends = net.to_xy(road.ends[roads.zones :]) / 1e3
        lines = []
        for link in self.links:
            edge = road.edge[link]
            drawn = pieces[edge] if edge >= 0 else ()
            own = ends[[roads.tail[link] - roads.zones, roads.head[link] - roads.zones]]
            lines.append(drawn if len(drawn) > 1 else own)
        self.lines = [shapely.LineString(line) for line in lines]
        self.tree = shapely.STRtree(self.lines)
        self.tail, self.head = roads.tail[self.links], roads.head[self.links]
        self.length = road.length[self.links]
        order = np.argsort(-self.length, kind="stable")  # of parallel links the shortest stays
        self.between = {(int(self.tail[k]), int(self.head[k])): int(k) for k in order}
        pairs = np.array(list(self.between)).reshape(-1, 2)
        weights = self.length[list(self.between.values())]
        self.graph = csr_array((weights, (pairs[:, 0], pairs[:, 1])), shape=(roads.nodes, roads.nodes))

    def near(self, place: Floats, most: float) -> _Near:
        """The links within `most` km of a place, the nearest first; numbers are those of `self.links`."""
        import shapely

        point = shapely.Point(place)
        at = self.tree.query(point, predicate="dwithin", distance=most)
        lines = np.array(self.lines, dtype=object)[at]
        off = shapely.distance(lines, point)
        order = np.argsort(off, kind="stable")[:_MOST]
        lines, at = lines[order], at[order]
        # a link is as long as the net says, which is not quite as long as its line
        share = shapely.line_locate_point(lines, point, normalized=True) if len(at) else np.zeros(0)
        return _Near(at.astype(np.int32), off[order], share * self.length[at])

    def distance(self, places: Floats) -> float:
        """Kilometers from the streets to the nearest of some places."""
        import shapely

        _, far = self.tree.query_nearest(shapely.points(places), return_distance=True)
        return float(far.min())

    def ways(self, sources: Ints, most: float) -> tuple[Floats, Ints]:
        """(m, N) km from junctions to all within `most` km, and the junctions before."""
        from scipy.sparse.csgraph import dijkstra

        return dijkstra(self.graph, indices=sources, limit=most, return_predecessors=True)  # type: ignore[no-any-return]


def _track(streets: _Streets, way: Way) -> Track:
    points = np.asarray(way.points, dtype=np.float64)
    if len(points) < 2 or not np.isfinite(points).all():  # noqa: PLR2004 - a way has two ends
        raise RequestError("roads.bad_points", where=way.where)
    places = streets.road.net.to_xy(points) / 1e3
    if way.shaped:
        places = _resampled(places)
    near = NEAR if way.shaped else NEAR_STOP
    found = [streets.near(place, near) for place in places]
    far = np.linalg.norm(np.diff(places, axis=0), axis=1)
    links: list[int] = []
    driven = 0.0
    for first, last in _runs(streets, found, far):
        links += _likeliest(streets, found[first:last], far[first : last - 1], shaped=way.shaped)
        driven += float(far[first : last - 1].sum())
    if not links:
        away = streets.distance(places)
        raise RequestError("roads.route_far", where=way.where, route=way.route, meters=round(1e3 * away))
    whole = float(far.sum())
    return Track(np.array(links, dtype=np.int32), whole, max(whole - driven, 0.0))


def _resampled(places: Floats) -> Floats:
    """Points at most `_STEP` apart along a line, its ends among them."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))])
    count = max(int(np.ceil(along[-1] / _STEP)), 1) + 1
    wanted = np.linspace(0.0, along[-1], count)
    return np.column_stack([np.interp(wanted, along, places[:, k]) for k in (0, 1)])


def _runs(streets: _Streets, found: list[_Near], far: Floats) -> list[tuple[int, int]]:
    """Stretches (first, beyond the last) of two or more points that lie on streets and are joined by streets."""
    runs, first = [], 0
    for at in range(len(found) + 1):
        here = at < len(found) and len(found[at].links) > 0
        if here and at > first and not _joined(streets, found[at - 1], found[at], float(far[at - 1])):
            runs.append((first, at))
            first = at
        elif not here:
            runs.append((first, at))
            first = at + 1
    return [(a, b) for a, b in runs if b - a > 1]


def _joined(streets: _Streets, one: _Near, other: _Near, far: float) -> bool:
    return bool(np.isfinite(_between(streets, one, other, far)).any())


def _between(streets: _Streets, one: _Near, other: _Near, far: float) -> Floats:
    """(m, n) km along the streets from each place of a point to each of the next."""
    km, _ = streets.ways(streets.head[one.links], _RANGE * far + _ROOM)
    rest = streets.length[one.links] - one.along
    whole: Floats = rest[:, None] + km[:, streets.tail[other.links]] + other.along[None, :]
    same = one.links[:, None] == other.links[None, :]
    ahead = other.along[None, :] - one.along[:, None]
    return np.where(same & (ahead >= -_BACK), np.maximum(ahead, 0.0), whole)


def _likeliest(streets: _Streets, found: list[_Near], far: Floats, *, shaped: bool) -> list[int]:
    """Links (of the road map) of the likeliest drive past the points: Viterbi's recursion over minus the logarithm of its likelihood."""
    noise, scale = (_NOISE, _DETOUR) if shaped else (_NOISE_STOP, _DETOUR_STOP)
    costs = [(one.off / noise) ** 2 / 2 for one in found]
    total, before = costs[0], []
    for at in range(1, len(found)):
        driven = _between(streets, found[at - 1], found[at], float(far[at - 1]))
        step = total[:, None] + np.abs(driven - far[at - 1]) / scale
        before.append(step.argmin(axis=0))
        total = step.min(axis=0) + costs[at]
    chosen = [int(total.argmin())]
    for row in before[::-1]:
        chosen.append(int(row[chosen[-1]]))
    chosen.reverse()
    return _joined_up(streets, found, chosen, far)


def _joined_up(streets: _Streets, found: list[_Near], chosen: list[int], far: Floats) -> list[int]:
    """The chosen links with those between them; the first and the last only when more than half of them is driven."""
    numbers = [int(one.links[k]) for one, k in zip(found, chosen, strict=True)]
    path = [numbers[0]]
    for at in range(1, len(numbers)):
        last, new = numbers[at - 1], numbers[at]
        ahead = found[at].along[chosen[at]] - found[at - 1].along[chosen[at - 1]]
        if new == last and ahead >= -_BACK:
            continue
        path += _shortest(streets, int(streets.head[last]), int(streets.tail[new]), float(far[at - 1]))
        path.append(new)
    if len(path) > 1 and found[0].along[chosen[0]] > streets.length[path[0]] / 2:
        path = path[1:]
    if len(path) > 1 and found[-1].along[chosen[-1]] < streets.length[path[-1]] / 2:
        path = path[:-1]
    return [int(streets.links[k]) for k in _without_spurs(streets, path)]


def _without_spurs(streets: _Streets, path: list[int]) -> list[int]:
    """A path without turning round at the end of a short link: noise puts a point on a side street, and no bus goes there and back."""
    kept: list[int] = []
    for link in path:
        back = (
            kept
            and streets.tail[link] == streets.head[kept[-1]]
            and streets.head[link] == streets.tail[kept[-1]]
        )
        if back and streets.length[link] < NEAR:
            kept.pop()
        else:
            kept.append(link)
    return kept or path


def _shortest(streets: _Streets, start: int, end: int, far: float) -> list[int]:
    """Links of the shortest way between two junctions."""
    if start == end:
        return []
    _, before = streets.ways(np.array([start], dtype=np.int32), _RANGE * far + _ROOM)
    path: list[int] = []
    row: npt.NDArray[Any] = before[0]
    while end != start:
        path.append(streets.between[int(row[end]), end])
        end = int(row[end])
    return path[::-1]
