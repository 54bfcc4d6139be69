# SPDX-License-Identifier: Apache-2.0
"""What stands and comes before each signal, second by second, as cameras that see the last meters of each lane would tell.

Comes in: a running simulation. Goes out: queues, moving vehicles, blocked exits and vehicles stuck within the junction. A queue is
measured along the way to the stop line and not by the last lane object: networks split lanes into pieces of a few meters. NaN is the
word of a detector that knows it is broken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mangrove.traffic.phases import Signal, ways

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_VEHICLES, _SPEED, _LANE, _AT = 0xA4, 0x40, 0x51, 0x56
"""Numbers of SUMO's interface: the domain of vehicles; speed, lane and position on the lane of a vehicle."""
_STANDS, _JAMMED = 0.5, 0.2
"""m/s below which a vehicle is in a queue, and below which it blocks an exit."""
_STUCK = 1.0
"""m/s below which a vehicle within a junction has not got through."""
_SETS_OFF, _OUT = 2.0, 2.5
"""m/s2 with which a vehicle that was stuck speeds up; s before it is out of the junction from which on it is in nobody's way."""
_EXIT = 10.0
"""m of an exit lane that must not be occupied by a standing vehicle."""


@dataclass(frozen=True)
class Seen:
    """What the detectors say of K lanes and E exit lanes at one second.

    Attributes:
        queue, moving: (K,) vehicles in reach, NaN from a broken detector; blocked: (E,) exit lanes.
        inside: for each signal (by number) the vehicles that have stood within the junction and are not out of it yet, by link.
    """

    queue: Floats
    moving: Floats
    blocked: Mask
    inside: dict[int, dict[int, int]]


class Sensors(Protocol):
    """Where a controller learns what happens; replace it to show a controller false or missing detections."""

    lanes: dict[str, int]
    exits: dict[str, int]

    def start(self, sim: Any, signals: Sequence[Signal], reach: float) -> None:
        """Get ready to watch `signals`, `reach` m of each lane."""

    def look(self, sim: Any) -> Seen:
        """What stands and moves now."""


@dataclass
class Cameras:
    """Sees all vehicles within reach of the signals, through one subscription for each junction."""

    lanes: dict[str, int] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)

    def start(self, sim: Any, signals: Sequence[Signal], reach: float) -> None:
        """Subscribe to the vehicles around each signal."""
        self._reach = reach
        self.lanes = _numbers(lane for signal in signals for lane in signal.lanes)
        self.exits = _numbers(lane for signal in signals for lane in signal.exits if lane)
        self._length = {lane: sim.lane.getLength(lane) for lane in self.lanes}
        self._link = {
            (s.id, n): self.lanes[s.lanes[j]] for s in signals for n, j in enumerate(s.lane) if j >= 0
        }
        self._inside = {
            way: (number, link, rest)
            for number, s in enumerate(signals)
            for link, via in enumerate(s.via)
            for way, rest in _ways(sim, via)
        }
        self._way: dict[str, tuple[str, int, float]] = {}
        self._stood: set[str] = set()
        for junction, around in _circles(sim, signals, reach).items():
            sim.junction.subscribeContext(junction, _VEHICLES, around, [_SPEED, _LANE, _AT])

    def look(self, sim: Any) -> Seen:
        """Count vehicles by lane."""
        near: dict[str, dict[int, Any]] = {}
        for vehicles in sim.junction.getAllContextSubscriptionResults().values():
            near.update(vehicles)
        queue, moving = np.zeros(len(self.lanes)), np.zeros(len(self.lanes))
        inside: dict[int, dict[int, int]] = {}
        stood: set[str] = set()
        blocked = np.zeros(len(self.exits), bool)
        before: dict[str, tuple[str, int, float]] = {}
        for name, row in near.items():
            if _LANE not in row:
                continue
            lane, at, speed = row[_LANE], row[_AT], row[_SPEED]
            way = self._way.get(name)
            if way is None or way[0] != lane:
                way = self._find(sim, name, lane, at)
            before[name] = way
            if way[1] >= 0 and way[2] - at <= self._reach:
                (queue if speed < _STANDS else moving)[way[1]] += 1.0
            if speed < _JAMMED and at < _EXIT and lane in self.exits:
                blocked[self.exits[lane]] = True
            if lane in self._inside:
                number, link, rest = self._inside[lane]
                if speed < _STUCK or name in self._stood:
                    stood.add(name)
                    if speed < _STUCK or _seconds(rest - at, speed) > _OUT:
                        by_link = inside.setdefault(number, {})
                        by_link[link] = by_link.get(link, 0) + 1
        self._way, self._stood = before, stood
        return Seen(queue, moving, blocked, inside)

    def _find(self, sim: Any, name: str, lane: str, at: float) -> tuple[str, int, float]:
        """The lane of the next signal that the vehicle will use, and how far its stop line is from the start of `lane`."""
        if lane in self._length:
            return lane, self.lanes[lane], self._length[lane]
        ahead = sim.vehicle.getNextTLS(name) if lane else ()
        if not ahead:
            return lane, -1, 0.0
        signal, link, distance = ahead[0][:3]
        return lane, self._link.get((signal, link), -1), distance + at


@dataclass
class Blinded:
    """Cameras of which some fail: `dead` ones say NaN (a known fault), others say that nobody is there (an unknown fault).

    Attributes:
        lanes_out: ids of lanes that are not seen, None for all; since: s from which on, counted in looks.
    """

    dead: bool = False
    lanes_out: frozenset[str] | None = None
    since: int = 0
    behind: Cameras = field(default_factory=Cameras)

    @property
    def lanes(self) -> dict[str, int]:
        """Numbers of lanes."""
        return self.behind.lanes

    @property
    def exits(self) -> dict[str, int]:
        """Numbers of exit lanes."""
        return self.behind.exits

    def start(self, sim: Any, signals: Sequence[Signal], reach: float) -> None:
        """As the cameras behind."""
        self.behind.start(sim, signals, reach)
        self._looks = 0
        gone = [self.lanes_out is None or lane in self.lanes_out for lane in self.behind.lanes]
        self._out = np.array(gone, bool)

    def look(self, sim: Any) -> Seen:
        """What the cameras see, without what is hidden."""
        seen = self.behind.look(sim)
        self._looks += 1
        if self._looks <= self.since:
            return seen
        word = np.nan if self.dead else 0.0
        queue, moving = np.where(self._out, word, seen.queue), np.where(self._out, word, seen.moving)
        everything = self.lanes_out is None
        return Seen(queue, moving, seen.blocked & (not everything), {} if everything else seen.inside)


def _numbers(names: Any) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _seconds(distance: float, speed: float) -> float:
    """Seconds to drive `distance` m from `speed` m/s, speeding up as a vehicle does that sets off."""
    return (math.sqrt(speed * speed + 2.0 * _SETS_OFF * max(distance, 0.0)) - speed) / _SETS_OFF


def _ways(sim: Any, via: str) -> list[tuple[str, float]]:
    """The lanes within a junction that a link leads over, each with the meters from its start to the end of the last one."""
    found = ways(sim, via)
    lengths = [float(sim.lane.getLength(way)) for way in found]
    return [(way, sum(lengths[number:])) for number, way in enumerate(found)]


def _circles(sim: Any, signals: Sequence[Signal], reach: float) -> dict[str, float]:
    """For each junction the radius around its center in which everything within reach of its stop lines lies."""
    radius: dict[str, float] = {}
    for signal in signals:
        for link, j in enumerate(signal.lane):
            lane = signal.lanes[j]
            if j < 0 or signal.crossing[link]:
                continue
            end = sim.lane.getShape(lane)[-1]
            junction = _junction(sim, signal.via[link], end)
            x, y = sim.junction.getPosition(junction)
            around = float(np.hypot(end[0] - x, end[1] - y)) + reach + 1.0
            radius[junction] = max(radius.get(junction, 0.0), around)
    return radius


def _junction(sim: Any, via: str, end: tuple[float, float]) -> str:
    """The junction that a link leads over, by the name of its way inside; else the one nearest to the end of its lane."""
    if via.startswith(":"):
        return str(via[1:].rsplit("_", 2)[0])
    places: dict[str, tuple[float, float]] = {
        name: sim.junction.getPosition(name) for name in sim.junction.getIDList()
    }
    return min(places, key=lambda name: (places[name][0] - end[0]) ** 2 + (places[name][1] - end[1]) ** 2)
