# SPDX-License-Identifier: Apache-2.0
"""Dynamic assignment by UXsim: when queues grow and vanish, which a static equilibrium cannot say.

Comes in: `Roads` with lengths and the trips of an hour. Goes out: what went over each link and how long it took, trips that arrived and that
did not. UXsim (Seo 2025, "UXsim: lightweight mesoscopic traffic flow simulator in pure Python", in its compiled mode) moves platoons by
Newell's car following, with a kinematic wave on each link; here a vehicle is a motorcycle unit.
"""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mangrove.errors import MissingExtraError, RequestError
from mangrove.traffic.equilibrium import checked_trips
from mangrove.traffic.roads import LEAST_TIME, Floats, Roads

_HOUR = 3600.0
_MINUTE = 60.0
_JAM = 0.2
"""Motorcycle units per meter and lane in a jam. UXsim's own for cars; as motorbikes stand side by side it errs toward long queues."""
_REACTION = 1.0
"""Reaction time of Newell's model, s: UXsim's own."""
_SHORTEST = 0.01
"""Links shorter than this many km are made that long: a platoon needs room; their time stays."""
_MOST_LANES = 60


@dataclass(frozen=True)
class Dynamic:
    """What a dynamic assignment gives.

    Attributes:
        volume: (A,) motorcycle units that left each link; time: (A,) minutes they took on average, free-flow where nobody went.
        trips, arrived: motorcycle units that were to go, and that arrived before the end.
        minutes: mean travel time of those that arrived; delay: mean minutes beyond free flow of their routes.
    """

    volume: Floats
    time: Floats
    trips: float
    arrived: float
    minutes: float
    delay: float


def simulate_dynamic(
    roads: Roads, trips: Floats, *, hours: float = 1.0, until: float = 2.0, platoon: int = 10, seed: int = 0,
    threads: int = 1,
) -> Dynamic:  # fmt: skip
    """Moves the trips through the network in time.

    Args:
        roads: with lengths; times in minutes.
        trips: (Z, Z) per hour; they leave evenly during `hours`.
        hours: how long trips leave.
        until: hour at which the run ends.
        platoon: motorcycle units that move as one; parts of a platoon are rounded by chance, so that totals hold. At a bottleneck of
            1,000 an hour platoons of 1, 2 and 5 wait 4, 9 and 19 % less than a queue of fluid.
        seed: of departures and of route choice.
        threads: of the compiled engine.

    Raises:
        MissingExtraError: UXsim is not installed.
        RequestError: `traffic.bad_trips`, `roads.no_lengths`.
    """
    found = checked_trips(roads, trips)
    if roads.length is None:
        raise RequestError("roads.no_lengths")
    world = _world(roads, until, platoon, seed, threads)
    sent = _depart(world, found, roads, hours, platoon, seed)
    with contextlib.redirect_stdout(io.StringIO()):
        world.exec_simulation()
        table = world.analyzer.link_to_pandas()
        whole = world.analyzer.basic_to_pandas()
    order = table["link"].astype(int).to_numpy()
    volume, time = np.zeros(len(roads)), np.array(roads.time, dtype=np.float64)
    volume[order] = table["traffic_volume"]
    taken = table["average_travel_time"].to_numpy() / _MINUTE
    time[order] = np.where((taken > 0) & (volume[order] > 0), taken, time[order])
    first = whole.iloc[0]
    return Dynamic(
        volume, time, sent, float(first["completed_trips"]),
        float(first["average_travel_time"]) / _MINUTE, float(first["average_delay"]) / _MINUTE,
    )  # fmt: skip


def _world(roads: Roads, until: float, platoon: int, seed: int, threads: int) -> Any:
    """The network as UXsim takes it; zones that nobody drives through are two nodes, one to leave and one to arrive."""
    try:
        from uxsim import World
    except ImportError:
        raise MissingExtraError("traffic") from None
    assert roads.length is not None
    with contextlib.redirect_stdout(io.StringIO()):
        world = World(
            name="", deltan=platoon, reaction_time=_REACTION, tmax=until * _HOUR, print_mode=0, save_mode=0, show_mode=0,
            random_seed=seed, cpp=True, threads=threads,
        )  # fmt: skip
        for node in range(roads.nodes):
            world.addNode(str(node), node, 0)
            if node < roads.first_thru:
                world.addNode(f"to {node}", node, 0)
        speed = 1000 * np.maximum(roads.length, _SHORTEST) / (np.maximum(roads.time, LEAST_TIME) * _MINUTE)
        lane = 1 / (_REACTION + 1 / (speed * _JAM))
        for link in range(len(roads)):
            wide = min(max(math.ceil(roads.capacity[link] / _HOUR / lane[link]), 1), _MOST_LANES)
            head = int(roads.head[link])
            world.addLink(
                str(link), str(roads.tail[link]), f"to {head}" if head < roads.first_thru else str(head),
                length=1000 * max(roads.length[link], _SHORTEST), free_flow_speed=speed[link], number_of_lanes=wide,
                jam_density_per_lane=_JAM, capacity_out=min(roads.capacity[link] / _HOUR, wide * lane[link]),
            )  # fmt: skip
    return world


def _depart(world: Any, trips: Floats, roads: Roads, hours: float, platoon: int, seed: int) -> float:
    """Adds the platoons of every pair at even distances in time; returns the motorcycle units that were added."""
    rng = np.random.default_rng(seed)
    wanted = trips * hours / platoon
    np.fill_diagonal(wanted, 0.0)
    counts = np.floor(wanted + rng.random(wanted.shape)).astype(np.int64)
    origin, destination = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T
    times = rng.uniform(0, hours * _HOUR, len(origin))
    for at in np.argsort(times):
        end = int(destination[at])
        name = f"to {end}" if end < roads.first_thru else str(end)
        world.addVehicle(str(origin[at]), name, float(times[at]))
    return float(counts.sum() * platoon)
