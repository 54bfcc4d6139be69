# SPDX-License-Identifier: Apache-2.0
"""Equilibrium flows against closed forms, published optima, a convex program, and what equilibrium means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from tests.traffic.roadways import grid, tntp, trips_of

from mangrove.errors import RequestError
from mangrove.traffic.equilibrium import Users, continued, shared_equilibrium, user_equilibrium
from mangrove.traffic.paths import Graph, heap_of, shortest
from mangrove.traffic.roads import Roads

BOTH = pytest.mark.parametrize("method", ["bush", "link"])


def braess(*, shortcut):
    """Braess 1968: six travelers from 0 to 3; the shortcut makes everybody's way longer (83 to 92)."""
    links = [(0, 2, 0, 10), (2, 1, 50, 1), (0, 3, 50, 1), (3, 1, 0, 10)] + [(2, 3, 10, 1)] * shortcut
    tail, head, free, steep = (np.array(column, dtype=float) for column in zip(*links, strict=True))
    # time = free + steep x, written as the network's function: t0 (1 + b x / cap)
    floor = np.maximum(free, 1e-6)
    return Roads(tail, head, floor, np.ones(len(links)), steep / floor, np.ones(len(links)), zones=2, nodes=4)


@BOTH
@pytest.mark.parametrize(("shortcut", "time"), [(False, 83.0), (True, 92.0)])
def test_braess_travelers_are_slower_with_the_shortcut(method, shortcut, time):
    found = user_equilibrium(
        braess(shortcut=shortcut), trips_of(2, (0, 1, 6.0)), gap=1e-7, method=method, rounds=20_000
    )
    assert found.total / 6 == pytest.approx(time, rel=1e-5)


@BOTH
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    demand=st.floats(1.0, 40.0),
)
def test_two_roads_share_trips_so_that_both_cost_the_same(method, seed, demand):
    rng = np.random.default_rng(seed)
    time, capacity = rng.uniform(1, 10, 2), rng.uniform(2, 20, 2)
    b, power = rng.uniform(0.1, 2, 2), rng.choice([1.0, 2.0, 4.0, 5.2], 2)
    roads = Roads([0, 0], [1, 1], time, capacity, b, power, zones=2, nodes=2)
    found = user_equilibrium(roads, trips_of(2, (0, 1, demand)), gap=1e-9, method=method)
    best = minimize_scalar(
        lambda x: roads.potential(np.array([x, demand - x])),
        bounds=(0, demand),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert found.flow.sum() == pytest.approx(demand)
    assert roads.potential(found.flow) <= best.fun * (1 + 1e-8)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_both_algorithms_find_the_same_flows_and_every_node_is_balanced(seed):
    rng = np.random.default_rng(seed)
    roads = grid(rng)
    trips = rng.uniform(0, 15, (6, 6))
    one = user_equilibrium(roads, trips, gap=1e-8, method="bush")
    other = user_equilibrium(roads, trips, gap=1e-5, method="link")
    assert one.gap <= 1e-8
    # the potential is convex, so a gap bounds how far above the least one it can be
    above = roads.potential(other.flow) - roads.potential(one.flow)
    assert -1e-8 * one.total <= above <= 1e-5 * other.total
    away = trips - np.diag(np.diag(trips))
    for origin, flow in enumerate(one.by_origin):
        into = np.bincount(roads.head, flow, roads.nodes) - np.bincount(roads.tail, flow, roads.nodes)
        wanted = np.zeros(roads.nodes)
        wanted[:6] = away[origin]
        wanted[origin] -= away[origin].sum()
        np.testing.assert_allclose(into, wanted, atol=1e-6)
    np.testing.assert_allclose(one.by_origin.sum(axis=0), one.flow, atol=1e-6)


def test_nobody_drives_through_a_zone():
    # The way over zone 1 would be cheaper.
    roads = Roads(
        [0, 1, 0, 3], [1, 2, 3, 2], [1.0, 1.0, 5.0, 5.0], 10.0, 0.15, 4.0, zones=3, nodes=4, first_thru=3
    )
    found = user_equilibrium(roads, trips_of(3, (0, 2, 4.0)))
    assert found.flow.tolist() == [0.0, 0.0, 4.0, 4.0]


def test_trips_that_no_road_connects_are_counted():
    roads = Roads([0], [1], [1.0], 10.0, 0.15, 4.0, zones=3, nodes=3)
    found = user_equilibrium(roads, trips_of(3, (0, 1, 4.0), (0, 2, 2.5)))
    assert (found.unserved, found.flow.tolist()) == (2.5, [4.0])


@BOTH
def test_no_trips_no_traffic(method):
    roads = Roads([0], [1], [1.0], 10.0, 0.15, 4.0, zones=2, nodes=2)
    found = user_equilibrium(roads, np.zeros((2, 2)), method=method)
    assert (found.flow.tolist(), found.gap) == ([0.0], 0.0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tail": [5]}, "traffic.bad_links"),
        ({"time": [np.nan]}, "traffic.bad_links"),
        ({"capacity": [-1.0]}, "traffic.bad_links"),
        ({"head": [1, 0]}, "traffic.link_count"),
        ({"zones": 3}, "traffic.bad_zones"),
    ],
)
def test_roads_that_cannot_be_are_refused(change, code):
    good = {"tail": [0], "head": [1], "time": [1.0], "capacity": [1.0], "b": [0.15], "power": [4.0]}
    with pytest.raises(RequestError) as caught:
        Roads(**{**good, "zones": 2, "nodes": 2, **change})
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("trips", "code"),
    [
        (np.zeros((3, 3)), "traffic.trips_shape"),
        (np.array([[0, -1], [0, 0]]), "traffic.bad_trips"),
        (np.array([[0, np.inf], [0, 0]]), "traffic.bad_trips"),
    ],
)
def test_trips_that_cannot_be_are_refused(trips, code):
    roads = Roads([0], [1], [1.0], 10.0, 0.15, 4.0, zones=2, nodes=2)
    with pytest.raises(RequestError) as caught:
        user_equilibrium(roads, trips)
    assert caught.value.code == code


def test_a_method_that_there_is_not_is_refused():
    roads = Roads([0], [1], [1.0], 10.0, 0.15, 4.0, zones=2, nodes=2)
    with pytest.raises(RequestError) as caught:
        user_equilibrium(roads, np.zeros((2, 2)), method="bushes")
    assert caught.value.code == "traffic.unknown_method"


def test_cheapest_paths_are_those_of_an_independent_program():
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    roads = grid(np.random.default_rng(3))
    graph = Graph(roads.tail, roads.head, *roads.leaving, *roads.entering, 0, roads.nodes)
    label, pred = np.empty(roads.nodes), np.empty(roads.nodes, np.int32)
    shortest(7, roads.time, graph, label, pred, heap_of(graph))
    dense = csr_array((roads.time, (roads.tail, roads.head)), shape=(roads.nodes, roads.nodes))
    np.testing.assert_allclose(label, dijkstra(dense, indices=7))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "total"), [("SiouxFalls", 7_480_225.3), ("Anaheim", 1_419_913.8), ("Barcelona", None)]
)
def test_published_optima_are_found(data_dir, name, total):
    roads, trips, published = tntp(data_dir, name)
    found = user_equilibrium(roads, trips, gap=1e-9)
    if total:
        assert found.total == pytest.approx(total, rel=1e-6)
    rows = [line.split()[:3] for line in published.read_text().splitlines() if line.strip()[:1].isdigit()]
    flows = {(int(a) - 1, int(b) - 1): float(x) for a, b, x in rows}
    given_there = np.array(
        [flows[ends] for ends in zip(roads.tail.tolist(), roads.head.tolist(), strict=True)]
    )
    # Links of constant cost may share flow in many ways, so the potential is compared, and flows where it is strict.
    assert roads.potential(found.flow) <= roads.potential(given_there) * (1 + 1e-7)
    strict = (roads.b > 0) & (given_there > 1)
    off = np.abs(found.flow - given_there)[strict].sum() / given_there[strict].sum()
    assert off < 1e-3


def split_trips(rng, zones=6):
    """Trips of two groups."""
    trips = rng.uniform(1, 12, (2, zones, zones))
    trips[:, np.arange(zones), np.arange(zones)] = 0.0
    return trips


@pytest.mark.parametrize("seed", range(4))
def test_groups_with_the_same_rights_share_the_flow_of_one(seed):
    rng = np.random.default_rng(seed)
    roads, trips = grid(rng), split_trips(rng)
    one = user_equilibrium(roads, trips.sum(axis=0), gap=1e-10, method="bush")
    two = shared_equilibrium(roads, [Users(trips[0]), Users(trips[1])], gap=1e-10)
    np.testing.assert_allclose(two.flow, one.flow, atol=1e-4)
    np.testing.assert_allclose(two.by_origin.sum(axis=(0, 1)), two.flow, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_of_a_banned_or_tolled_group_gains_by_another_path_that_it_may_take(seed):
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    rng = np.random.default_rng(seed)
    roads, trips = grid(rng), split_trips(rng)
    closed = np.zeros(len(roads), bool)
    closed[rng.choice(80, 6, replace=False)] = True  # streets, not the ways of zones
    toll = rng.uniform(0, 2, len(roads))
    found = shared_equilibrium(roads, [Users(trips[0], closed=closed), Users(trips[1], toll=toll)], gap=1e-9)
    assert found.by_origin[0][:, closed].sum() == 0.0
    costs = roads.cost(found.flow)
    for own, cost, table in zip(
        found.by_origin, (np.where(closed, np.inf, costs), costs + toll), trips, strict=True
    ):
        spent = float((own * np.where(np.isfinite(cost), cost, 0.0)).sum())
        least = 0.0
        for origin in range(6):
            # no path leads through another zone
            good = np.isfinite(cost) & ((roads.tail >= 6) | (roads.tail == origin))
            net = csr_array(
                (cost[good], (roads.tail[good], roads.head[good])), shape=(roads.nodes, roads.nodes)
            )
            least += float(table[origin] @ dijkstra(net, indices=origin)[:6])
        assert spent == pytest.approx(least, rel=1e-7)


def test_an_equilibrium_goes_on_from_another_one_of_other_streets_and_trips():
    rng = np.random.default_rng(3)
    roads, trips = grid(rng), split_trips(rng)[0]
    before = user_equilibrium(roads, trips, gap=1e-6, method="bush")
    closed = before.flow > np.quantile(before.flow, 0.9)
    closed[80:] = False
    wanted = trips * rng.uniform(0.5, 2.0, trips.shape)
    for users in ([Users(wanted, closed=closed)], [Users(wanted, closed=closed), Users(trips)]):
        start = continued(roads, users, before.by_origin[None], before.bushes[None])
        warm = shared_equilibrium(roads, users, gap=1e-10, start=start)
        cold = shared_equilibrium(roads, users, gap=1e-10)
        np.testing.assert_allclose(warm.flow, cold.flow, atol=1e-4)
    again = continued(roads, [Users(trips)], before.by_origin[None], before.bushes[None])
    assert shared_equilibrium(roads, [Users(trips)], gap=1e-6, start=again).rounds == 1
