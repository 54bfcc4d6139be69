# SPDX-License-Identifier: Apache-2.0
"""Dynamic assignment: as the static one on empty streets, a queue where more wants through than can, and vehicles that do not vanish."""

import numpy as np
import pytest
from tests.traffic.roadways import trips_of

from mangrove.errors import RequestError
from mangrove.traffic.dynamic import simulate_dynamic
from mangrove.traffic.equilibrium import user_equilibrium
from mangrove.traffic.roads import Roads

pytest.importorskip("uxsim")


def streets(capacity):
    """Zone 0 to zone 1 over two junctions, and around by a longer street."""
    return Roads(
        [0, 2, 3, 2, 4], [2, 3, 1, 4, 3], [0.5, 2.0, 0.5, 2.0, 2.0], [1e5, capacity, 1e5, 1e5, 1e5], 0.15, 4.0,
        zones=2, nodes=5, first_thru=2, length=[0.3, 1.2, 0.3, 1.2, 1.2],
    )  # fmt: skip


def test_empty_streets_take_the_static_time_and_carry_the_static_flow():
    roads, trips = streets(8_000.0), trips_of(2, (0, 1, 300.0))
    still = user_equilibrium(roads, trips)
    moving = simulate_dynamic(roads, trips, platoon=1, seed=2)
    assert moving.arrived == moving.trips
    assert moving.trips == pytest.approx(300, abs=1)
    assert moving.minutes == pytest.approx(still.total / 300, rel=0.02)
    np.testing.assert_allclose(moving.volume, still.flow, atol=2)


def test_what_wants_through_beyond_capacity_waits():
    roads = streets(1_000.0)
    columns = [getattr(roads, name)[:3] for name in ("tail", "head", "time", "capacity")]
    roads = Roads(*columns, 0.15, 4.0, zones=2, nodes=4, first_thru=2, length=roads.length[:3])
    moving = simulate_dynamic(roads, trips_of(2, (0, 1, 1_500.0)), platoon=1, until=3.0)
    # 1500 in one hour through 1000 an hour: the queue is 500 long at its end, half an hour of waiting; 15 minutes on average
    assert moving.arrived == moving.trips
    assert moving.delay == pytest.approx(15.0, rel=0.05)


def test_those_who_have_not_arrived_are_counted():
    moving = simulate_dynamic(streets(1_000.0), trips_of(2, (0, 1, 20_000.0)), platoon=20, until=1.0)
    assert 0 < moving.arrived < moving.trips


def test_roads_without_lengths_are_refused():
    roads = Roads([0], [1], [1.0], [10.0], 0.15, 4.0, zones=2, nodes=2)
    with pytest.raises(RequestError) as caught:
        simulate_dynamic(roads, trips_of(2, (0, 1, 5.0)))
    assert caught.value.code == "roads.no_lengths"
