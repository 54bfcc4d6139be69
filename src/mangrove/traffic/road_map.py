# SPDX-License-Identifier: Apache-2.0
"""A road network of SUMO as `Roads` for assignment, with what leads back to its edges and zones.

Comes in: a `SumoNet` and zones, as polygons or as points. Goes out: a `RoadMap`: zones first, then junctions; one link for each edge that
vehicles may use, and connectors between zones and junctions. Flows are motorcycle units per hour, times minutes. Capacity is that
of the lanes (measured in Hanoi) times the green share where a signal stands; free-flow time is length over speed, no
faster than the legal limit, plus Webster's delay on an empty approach, C (1 - g)^2 / 2 (Webster 1958, "Traffic signal settings").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.rules import roads as rules
from mangrove.traffic.roads import Floats, Ints, Roads
from mangrove.traffic.sumo_net import Signal, SumoNet

CONNECTOR = -1
_MINUTES = 60.0
_NEAREST = 8
"""Connectors of a zone: junctions spread over it."""
_TRACK = ("railway", "footway", "path", "steps", "pedestrian", "cycleway", "track")
"""Words in the type of an edge that no motor traffic of a city uses, whatever lanes it claims."""
_MEASURED = 4
"""Most lanes for which a capacity was measured."""
EARTH = 6371.0088
"""Mean radius of the earth, km (IUGG)."""


@dataclass(frozen=True)
class RoadMap:
    """Roads for assignment and where they come from.

    Attributes:
        net: the network; roads: links, times in minutes, flows in motorcycle units per hour.
        edge: (A,) edge of the net, -1: a connector or a road that is not in the net.
        zones: (Z,) ids; centers: (Z, 2) lon, lat; zone: (A,) zone in which the middle of a link lies, -1: in none.
        lanes: (A,) of general traffic, 0 for connectors; speed: (A,) km/h on the empty link; polygons: of the zones, when there are.
        green: (A,) share of the cycle, 1 without a signal; cycle: (A,) s, 0 without; ends: (N, 2) lon, lat of the nodes.
    """

    net: SumoNet
    roads: Roads
    edge: Ints
    zones: tuple[str, ...]
    centers: Floats
    zone: Ints
    lanes: Ints
    speed: Floats
    green: Floats
    cycle: Floats
    ends: Floats
    polygons: tuple[Any, ...] | None = None

    @property
    def length(self) -> Floats:
        """(A,) km."""
        assert self.roads.length is not None
        return self.roads.length

    def links_of(self, edges: Ints) -> Ints:
        """The links of some edges; edges that no vehicle may use have none."""
        found: Ints = np.flatnonzero(np.isin(self.edge, edges)).astype(np.int32)
        return found

    def with_lanes(self, lanes: Ints, **changes: Any) -> RoadMap:
        """The same map with other lanes, greens, speeds: capacity and time follow. A link without lanes is closed."""
        changed = replace(self, lanes=np.asarray(lanes, dtype=np.int32), **changes)
        roads = changed.roads
        street = changed.cycle >= 0
        capacity = np.where(street, capacity_of(changed.lanes) * changed.green, roads.capacity)
        time = np.where(
            street, empty_time(changed.length, changed.speed, changed.green, changed.cycle), roads.time
        )
        return replace(changed, roads=replace(roads, capacity=capacity, time=time))


def roads_of(
    net: SumoNet,
    zones: Mapping[str, Any] | Floats,
    *,
    names: Sequence[str] = (),
    signals: tuple[Signal, ...] | None = None,
    connectors: int = _NEAREST,
    gates: bool = False,
) -> RoadMap:
    """Roads in motorcycle units.

    Args:
        net: the network.
        zones: polygons by id (shapely, or GeoJSON geometries; WGS84), or points (Z, 2) lon, lat, each of which begins at the nearest
            junction that a street leaves, and ends at the nearest that a street enters.
        names: ids of points; numbers when left out.
        signals: other programs for the signals of the net.
        connectors: junctions that a polygon is connected to, spread over it.
        gates: points are junctions, each connected to itself only: where no street leads away, no trip begins.

    Raises:
        RequestError: `roads.no_zones`, `roads.zone_outside` (no junction in a polygon, or a point farther than 2 km from any).
    """
    used = np.flatnonzero((net.lanes > 0) & ~_tracks(net))
    ids, centers, polygons, joined = _joined(
        net,
        zones,
        names,
        (np.append(net.start[used], net.end[used]),) if gates else (net.start[used], net.end[used]),
        connectors,
    )
    count = len(ids)
    if not count:
        raise RequestError("roads.no_zones")
    green, cycle = net.green(signals)
    ends = np.vstack([centers, net.lonlat])
    pairs = np.array(
        [(z, count + j) for z, junctions in enumerate(joined) for j in junctions], dtype=np.int32
    )
    both = np.vstack([pairs, pairs[:, ::-1]])
    far = distance(ends[both[:, 0]], ends[both[:, 1]])
    fastest = np.where(net.lanes > 1, rules.value("fastest", "2"), rules.value("fastest", "1"))
    speed = np.minimum(net.speed, fastest)[used]
    middle = (net.lonlat[net.start[used]] + net.lonlat[net.end[used]]) / 2
    none = np.zeros(len(both))
    length = np.concatenate([net.length[used], far])
    lanes = np.concatenate([net.lanes[used], none]).astype(np.int32)
    shares = np.concatenate([green[used], none + 1])
    cycles = np.concatenate([cycle[used], none - 1])
    walk = _MINUTES * far / rules.value("access", "speed")
    roads = Roads(
        np.concatenate([net.start[used] + count, both[:, 0]]).astype(np.int32),
        np.concatenate([net.end[used] + count, both[:, 1]]).astype(np.int32),
        np.concatenate([empty_time(net.length[used], speed, green[used], cycle[used]), walk]),
        np.concatenate([capacity_of(net.lanes[used]) * green[used], none + 1e9]),
        np.concatenate([np.full(len(used), rules.value("travel_time", "b")), none]),
        np.full(len(length), rules.value("travel_time", "power")),
        zones=count, nodes=len(ends), first_thru=count, length=length,
    )  # fmt: skip
    return RoadMap(
        net, roads, np.concatenate([used, none + CONNECTOR]).astype(np.int32), ids, centers,
        np.concatenate([_zone_of(middle, centers, polygons), both.min(axis=1)]).astype(np.int32), lanes,
        np.concatenate([speed, none + rules.value("access", "speed")]), shares, cycles, ends, polygons,
    )  # fmt: skip


def capacity_of(lanes: Ints) -> Floats:
    """(A,) motorcycle units per hour of streets by their lanes; beyond four each lane adds a fourth of four."""
    table = np.array([0.0] + [rules.value("capacity", str(n)) for n in range(1, _MEASURED + 1)])
    known = table[np.minimum(lanes, _MEASURED)]
    capacity: Floats = known * np.maximum(lanes, _MEASURED) / _MEASURED
    return capacity


def empty_time(length: Floats, speed: Floats, green: Floats, cycle: Floats) -> Floats:
    """(A,) minutes on an empty street: driving, and half of what is left of the cycle after its green, on average over arrivals."""
    driven = _MINUTES * length / np.maximum(speed, 1.0)
    waited = np.maximum(cycle, 0.0) * (1.0 - green) ** 2 / 2 / _MINUTES
    whole: Floats = driven + waited
    return whole


def distance(one: Floats, other: Floats) -> Floats:
    """(k,) km between points of lon, lat on a sphere, for distances within a city."""
    middle = np.radians((one[:, 1] + other[:, 1]) / 2)
    east = np.radians(other[:, 0] - one[:, 0]) * np.cos(middle)
    north = np.radians(other[:, 1] - one[:, 1])
    far: Floats = EARTH * np.hypot(east, north)
    return far


def _tracks(net: SumoNet) -> Any:
    return np.array([any(word in kind for word in _TRACK) for kind in net.kinds], dtype=np.bool_)


def _joined(
    net: SumoNet,
    zones: Mapping[str, Any] | Floats,
    names: Sequence[str],
    both: tuple[Ints, ...],
    connectors: int,
) -> tuple[tuple[str, ...], Floats, tuple[Any, ...] | None, list[Ints]]:
    """Ids, centers and polygons of the zones, and the junctions each is connected to; both: where streets start and end, or all of these."""
    import shapely
    from shapely.geometry import shape

    reached = np.unique(np.concatenate(both))
    places = net.lonlat[reached]
    if not isinstance(zones, Mapping):
        points = np.asarray(zones, dtype=np.float64).reshape(-1, 2)
        ids = tuple(names) or tuple(str(at) for at in range(len(points)))
        near = [_way_in_and_out(net, point, both) for point in points]
        for name, junctions in zip(ids, near, strict=True):
            if not len(junctions):
                raise RequestError("roads.zone_outside", zone=name)
        return ids, points, None, near
    polygons = tuple(z if hasattr(z, "geom_type") else shape(z) for z in zones.values())
    joined = []
    for name, polygon in zip(zones, polygons, strict=True):
        inside = reached[shapely.contains_xy(polygon, places[:, 0], places[:, 1])]
        if not len(inside):
            raise RequestError("roads.zone_outside", zone=name)
        center = np.array([[polygon.centroid.x, polygon.centroid.y]])
        joined.append(inside[_spread_out(net.lonlat[inside], center, connectors)])
    centers = np.array([[p.centroid.x, p.centroid.y] for p in polygons]).reshape(-1, 2)
    return tuple(zones), centers, polygons, joined


def _way_in_and_out(net: SumoNet, point: Floats, both: tuple[Ints, ...]) -> Ints:
    """The nearest junctions that a street leaves and enters, no farther than a zone may lie: one, but at the ends of one-way streets."""
    found = []
    for ends in both:
        junctions = np.unique(ends)
        far = distance(net.lonlat[junctions], point[None].repeat(len(junctions), 0))
        if len(far) and far.min() <= FARTHEST:
            found.append(int(junctions[far.argmin()]))
    return np.unique(found).astype(np.int32)


FARTHEST = 2.0
"""Farthest junction, km, that a zone given as a point may be connected to."""


def _spread_out(points: Floats, center: Floats, count: int) -> Ints:
    """Up to `count` of the points: the one nearest to the center, then again and again the one farthest from those chosen."""
    far = distance(points, center.repeat(len(points), 0))
    chosen = [int(far.argmin())]
    left = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        left = np.minimum(left, distance(points, points[chosen[-1]][None].repeat(len(points), 0)))
        chosen.append(int(left.argmax()))
    return np.unique(chosen).astype(np.int32)


def _zone_of(places: Floats, centers: Floats, polygons: tuple[Any, ...] | None) -> Ints:
    """(k,) zone in which a place lies; without polygons that of the nearest center."""
    import shapely

    if polygons is None:
        from scipy.spatial import cKDTree

        scale = np.array([np.cos(np.radians(centers[:, 1].mean())), 1.0])
        return cKDTree(centers * scale).query(places * scale)[1].astype(np.int32)  # type: ignore[no-any-return]
    tree = shapely.STRtree(polygons)
    point, zone = tree.query(shapely.points(places), predicate="within")
    found = np.full(len(places), CONNECTOR, dtype=np.int32)
    found[point[::-1]] = zone[::-1]
    return found
