# SPDX-License-Identifier: Apache-2.0
"""Ways of timetables on the streets: the streets that were driven come back, and what lies elsewhere is told."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from tests.traffic.small_net import grid_text, squares

from mangrove.errors import MangroveError
from mangrove.traffic.road_map import roads_of
from mangrove.traffic.routes import Way, tracks
from mangrove.traffic.sumo_net import read_net


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "grid.net.xml"
    path.write_text(grid_text(side=5))
    net = read_net(path)
    return roads_of(net, squares(net))


def way(points, *, shaped=True, stops=None):
    points = np.asarray(points, dtype=np.float64)
    return Way("1", points, points if stops is None else stops, np.ones(24), shaped)


def line(road, names, noise=0.0, rng=None):
    """Points every 50 m along junctions."""
    net = road.net
    corners = net.xy[[net.junctions.index(name) for name in names]]
    steps = [np.linspace(a, b, 11)[:-1] for a, b in pairwise(corners)]
    points = np.vstack([*steps, corners[-1:]])
    return net.to_lonlat(points + (0 if rng is None else rng.normal(0, noise, points.shape)))


def named(road, track):
    return [road.net.ids[road.edge[link]] for link in track.links]


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_streets_that_were_driven_come_back(road, data):
    """A drive without turning round, of which every point is noisy by 8 m."""
    at, before, names = (2, 2), None, ["j2_2"]
    for _ in range(data.draw(st.integers(2, 9))):
        steps = [(at[0] + a, at[1] + b) for a, b in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        steps = [s for s in steps if 0 <= s[0] < 5 and 0 <= s[1] < 5 and s != before]
        before, at = at, data.draw(st.sampled_from(steps))
        names.append(f"j{at[0]}_{at[1]}")
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    (found,) = tracks(road, [way(line(road, names, 8.0, rng))])
    assert named(road, found) == [f"{a}-{b}" for a, b in pairwise(names)]
    assert found.left_out == 0.0


def test_out_and_back_on_one_street_is_both_directions(road):
    (found,) = tracks(road, [way(line(road, ["j0_0", "j0_1", "j0_2", "j1_2", "j0_2", "j0_1"]))])
    driven = ["j0_0-j0_1", "j0_1-j0_2", "j0_2-j1_2", "j1_2-j0_2", "j0_2-j0_1"]
    assert named(road, found) == driven
    assert road.length[found.links].sum() == pytest.approx(2.5)


def test_stops_are_joined_by_the_shortest_streets(road):
    net = road.net
    stops = net.xy[[net.junctions.index(name) for name in ("j0_0", "j0_3", "j3_3")]] + np.array([60.0, 12.0])
    (found,) = tracks(road, [way(net.to_lonlat(stops), shaped=False)])
    assert road.length[found.links].sum() == pytest.approx(3.0, abs=0.51)
    assert {"j0_1-j0_2", "j0_2-j0_3", "j0_3-j1_3", "j1_3-j2_3"} <= set(named(road, found))


def test_what_lies_beyond_the_net_is_left_out_and_told(road):
    inside = road.net.to_xy(line(road, ["j0_0", "j0_1", "j0_2", "j0_3", "j0_4"]))
    beyond = inside[-1] + np.column_stack([np.linspace(100, 3_000, 30), np.zeros(30)])
    (found,) = tracks(road, [way(road.net.to_lonlat(np.vstack([inside, beyond])))])
    assert named(road, found) == ["j0_0-j0_1", "j0_1-j0_2", "j0_2-j0_3", "j0_3-j0_4"]
    assert found.kilometers == pytest.approx(5.0, rel=1e-3)
    assert found.left_out == pytest.approx(3.0, abs=0.2)


def test_a_way_in_another_city_is_refused_with_its_distance(road):
    with pytest.raises(MangroveError) as caught:
        tracks(road, [way([[105.8, 21.0], [105.9, 21.0]])])
    assert caught.value.code == "roads.route_far"
    assert caught.value.problem.data["meters"] > 1e6
    with pytest.raises(MangroveError) as caught:
        tracks(road, [way([[105.8, np.nan], [105.9, 21.0]])])
    assert caught.value.code == "roads.bad_points"


@pytest.mark.data
def test_on_the_streets_of_a_real_city_most_kilometers_come_back(data_dir):
    """Shortest ways through inner Ho Chi Minh City, drawn with 5 m of noise at every point."""
    net = read_net(data_dir / "traffic/hcmc/hcm_inner_2017.net.xml.gz")
    road = roads_of(net, net.lonlat.mean(axis=0) + np.array([[0.0, 0.0], [0.01, 0.01]]))
    roads, rng = road.roads, np.random.default_rng(0)
    street = np.flatnonzero(road.edge >= 0)
    order = street[np.argsort(-road.length[street], kind="stable")]
    link = {(int(roads.tail[a]), int(roads.head[a])): int(a) for a in order}
    pairs = np.array(list(link))
    graph = csr_array(
        (road.length[list(link.values())], (pairs[:, 0], pairs[:, 1])), shape=(roads.nodes,) * 2
    )
    true, ways = [], []
    while len(ways) < 10:
        start, end = rng.choice(np.unique(roads.tail[street]), 2)
        far, before = dijkstra(graph, indices=int(start), return_predecessors=True)
        if not 3 < far[end] < 10:
            continue
        path: list[int] = []
        while end != start:
            path.append(link[int(before[end]), int(end)])
            end = before[end]
        true.append(path[::-1])
        points = np.vstack([net.to_xy(net.shapes[road.edge[at]]) for at in path[::-1]])
        ways.append(way(net.to_lonlat(points + rng.normal(0, 5, points.shape))))
    found = tracks(road, ways)
    both = sum(
        road.length[list(set(a) & set(b.links.tolist()))].sum() for a, b in zip(true, found, strict=True)
    )
    whole = sum(road.length[path].sum() for path in true)
    driven = sum(road.length[one.links].sum() for one in found)
    assert both / whole > 0.97
    assert driven / whole == pytest.approx(1.0, abs=0.03)
