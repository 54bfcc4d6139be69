# SPDX-License-Identifier: Apache-2.0
"""Trips from counts: what a dense linear-Gaussian update says, synthetic truth, intervals that hold, and counts that cannot be."""

from dataclasses import replace

import numpy as np
import pytest
from tests.traffic.roadways import grid, tntp, trips_of

from mangrove.errors import RequestError
from mangrove.traffic.equilibrium import user_equilibrium
from mangrove.traffic.roads import Roads
from mangrove.traffic.trips import Spread, estimate_trips


def perturbed(rng, trips, spread=0.3):
    """Prior trips that are off by origin, by destination and by pair."""
    zones = len(trips)
    noise = rng.normal(0, spread, (zones, 1)) + rng.normal(0, spread, (1, zones))
    return trips * np.exp(noise + rng.normal(0, spread, trips.shape))


def test_one_count_on_the_only_road_is_the_gaussian_update_in_logarithms():
    roads = Roads([0], [1], [1.0], [1e9], 0.15, 4.0, zones=2, nodes=2, length=[3.0])
    spread = Spread(0.2, 0.1, 0.2)
    found = estimate_trips(roads, trips_of(2, (0, 1, 100.0)), [0], [120.0], 0.05, spread=spread, rounds=40)
    # the mode of a normal prior of log g with sd 0.3 and a count with sd 6: a root of one equation
    logs = np.linspace(0.0, 0.3, 300_001)
    density = -(logs**2) / (2 * 0.3**2) - (120.0 - 100.0 * np.exp(logs)) ** 2 / (2 * 6.0**2)
    assert found.trips[0, 1] == pytest.approx(100.0 * np.exp(logs[density.argmax()]), rel=1e-3)
    slope = found.trips[0, 1]
    sd = 3.0 * slope * np.sqrt(1 / (1 / 0.3**2 + slope**2 / 6.0**2))
    assert found.distance_sd == pytest.approx(sd, rel=1e-3)
    assert found.distance == pytest.approx(3.0 * slope)


def test_counts_bring_trips_closer_to_the_truth_and_the_distance_into_its_interval():
    inside, before, after = 0, [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        roads = grid(rng, side=6, zones=8)
        roads = replace(roads, length=rng.uniform(0.2, 1.0, len(roads)))
        truth = rng.uniform(1, 12, (8, 8))
        real = user_equilibrium(roads, truth, gap=1e-6)
        used = np.flatnonzero(real.flow > 1)
        links = rng.choice(used, len(used) // 4, replace=False)
        counts = real.flow[links] * (1 + rng.normal(0, 0.05, len(links)))
        prior = perturbed(rng, truth)
        found = estimate_trips(roads, prior, links, counts, 0.05)
        distance = (real.flow * roads.length).sum()
        inside += abs(found.distance - distance) < 1.96 * found.distance_sd
        before.append(abs(user_equilibrium(roads, prior).flow @ roads.length / distance - 1))
        after.append(abs(found.distance / distance - 1))
    assert inside >= 10
    assert np.mean(after) < np.mean(before) / 3


def test_counts_that_contradict_each_other_make_the_interval_wider():
    # one road in two pieces, counted with 100 and 200: at 5 % both cannot be, whatever the trips
    roads = Roads([0, 1], [1, 2], 1.0, 1e9, 0.15, 4.0, zones=3, nodes=3, length=[1.0, 1.0])
    one, two = (
        estimate_trips(roads, trips_of(3, (0, 2, 150.0)), [0, 1], counts, 0.05)
        for counts in ([150.0, 150.0], [100.0, 200.0])
    )
    assert one.strain == 1.0
    # the sum of squares at the mode, by hand: residuals of both counts and of the prior (sd 0.3 three times)
    logs = np.linspace(-0.5, 0.5, 100_001)
    flow = 150.0 * np.exp(logs)
    squares = ((100 - flow) / 5) ** 2 + ((200 - flow) / 10) ** 2 + logs**2 / (3 * 0.3**2)
    assert two.strain == pytest.approx(np.sqrt(squares.min() / 2), rel=0.02)
    assert two.distance_sd > 3 * one.distance_sd


def test_exact_counts_everywhere_give_back_the_flows():
    rng = np.random.default_rng(5)
    roads = grid(rng)
    truth = rng.uniform(1, 10, (6, 6))
    real = user_equilibrium(roads, truth, gap=1e-7)
    used = np.flatnonzero(real.flow > 0.5)
    found = estimate_trips(roads, perturbed(rng, truth), used, real.flow[used], 0.005, gap=1e-6, rounds=15)
    np.testing.assert_allclose(found.equilibrium.flow[used], real.flow[used], rtol=0.05)


def test_pairs_without_prior_trips_stay_without():
    roads = grid(np.random.default_rng(1))
    prior = trips_of(6, (0, 3, 10.0), (2, 5, 4.0))
    flow = user_equilibrium(roads, prior).flow
    links = np.flatnonzero(flow > 0)[:3]
    found = estimate_trips(roads, prior, links, flow[links] * 1.5)
    assert set(zip(*np.nonzero(found.trips), strict=True)) == {(0, 3), (2, 5)}


@pytest.mark.parametrize(
    ("links", "counts", "code"),
    [
        ([0, 0], [1.0, 1.0], "traffic.count_links"),
        ([0], [1.0, 2.0], "traffic.count_links"),
        ([9], [1.0], "traffic.bad_counts"),
        ([0], [-1.0], "traffic.bad_counts"),
        ([0], [np.nan], "traffic.bad_counts"),
    ],
)
def test_counts_that_cannot_be_are_refused(links, counts, code):
    roads = Roads([0], [1], [1.0], 10.0, 0.15, 4.0, zones=2, nodes=2)
    with pytest.raises(RequestError) as caught:
        estimate_trips(roads, trips_of(2, (0, 1, 5.0)), links, counts)
    assert caught.value.code == code


@pytest.mark.data
def test_fifteen_percent_of_anaheims_links_give_its_distance(data_dir):
    roads, trips, _ = tntp(data_dir, "Anaheim")
    base = next((data_dir / "traffic" / "tntp" / "Anaheim").glob("*_net.tntp")).read_text()
    rows = [
        line.split()[3]
        for line in base.split("<END OF METADATA>")[1].splitlines()
        if line.strip()[:1].isdigit()
    ]
    roads = replace(roads, length=np.array(rows, dtype=float))
    rng = np.random.default_rng(11)
    real = user_equilibrium(roads, trips, gap=1e-5)
    used = np.flatnonzero(real.flow > 50)
    links = rng.choice(used, round(0.15 * len(used)), replace=False)
    counts = real.flow[links] * (1 + rng.normal(0, 0.05, len(links)))
    found = estimate_trips(roads, perturbed(rng, trips), links, np.maximum(counts, 0.0))
    assert found.distance == pytest.approx(real.flow @ roads.length, rel=0.03)
