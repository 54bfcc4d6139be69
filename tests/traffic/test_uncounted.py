"""Flows on streets that nobody counts: on a grid whose true flows are an equilibrium of known trips."""

from pathlib import Path

import numpy as np
import pytest

from mangrove.errors import DataQualityError
from mangrove.traffic.equilibrium import user_equilibrium
from mangrove.traffic.road_map import roads_of
from mangrove.traffic.sumo_net import read_net
from mangrove.traffic.uncounted import estimate

SIDE = 4


def write_grid(folder: Path) -> Path:
    """A grid of 4 x 4 junctions, 300 m apart, streets both ways."""
    east, north = 680_000.0, 1_192_000.0
    at = {(i, j): (east + 300 * i, north + 300 * j) for i in range(SIDE) for j in range(SIDE)}
    lines = [
        '<net><location netOffset="0.00,0.00" projParameter="+proj=utm +zone=48 +ellps=WGS84 +datum=WGS84 +units=m"/>',
    ]
    for (i, j), (x, y) in at.items():
        for k, m in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if (k, m) in at:
                name, (u, v) = f"{i}{j}_{k}{m}", at[k, m]
                lanes = f'<lane id="{name}_0" index="0" speed="11.11" length="290" shape="{x},{y} {u},{v}"/>'
                lines.append(
                    f'<edge id="{name}" from="n{i}{j}" to="n{k}{m}" type="highway.primary">{lanes}</edge>'
                )
    lines += [f'<junction id="n{i}{j}" type="priority" x="{x}" y="{y}"/>' for (i, j), (x, y) in at.items()]
    path = folder / "grid.net.xml"
    path.write_text("\n".join([*lines, "</net>"]))
    return path


@pytest.fixture
def truth(tmp_path):
    """The grid and the flow of every edge under drawn trips between all junctions."""
    net = read_net(write_grid(tmp_path))
    roads = roads_of(net, net.lonlat)
    trips = np.random.default_rng(3).lognormal(3, 0.7, (SIDE**2, SIDE**2))
    np.fill_diagonal(trips, 0)
    found = user_equilibrium(roads.roads, trips, gap=1e-5)
    flow = np.zeros(len(net))
    flow[roads.edge[roads.edge >= 0]] = found.flow[roads.edge >= 0]
    return net, flow


def test_uncounted_streets_are_nearer_than_the_mean_of_the_counted_ones(truth):
    net, flow = truth
    random = np.random.default_rng(1)
    counted = random.permutation(len(net))[:24].astype(np.int32)
    other = np.setdiff1d(np.arange(len(net)), counted)
    found = estimate(net, counted, flow[counted])
    off = np.sqrt(np.mean((found.flow[other] - flow[other]) ** 2))
    guess = np.sqrt(np.mean((flow[counted].mean() - flow[other]) ** 2))
    assert off < guess
    assert found.flow[counted] == pytest.approx(flow[counted], rel=0.25)
    assert found.distance == pytest.approx(float(flow @ net.length), rel=0.1)
    assert 0 < found.error < 1
    assert ((found.speed > 1) & (found.speed < 41)).all()


def test_what_enters_a_junction_nearly_leaves_it(truth):
    net, flow = truth
    counted = np.arange(0, len(net), 2, dtype=np.int32)
    found = estimate(net, counted, flow[counted]).flow
    into = np.bincount(net.end, found, len(net.xy))
    out = np.bincount(net.start, found, len(net.xy))
    assert np.abs(into - out).max() < 0.25 * into.max()


def test_too_few_counts_are_refused(truth):
    net, flow = truth
    with pytest.raises(DataQualityError, match="8"):
        estimate(net, np.arange(5, dtype=np.int32), flow[:5])
