# SPDX-License-Identifier: Apache-2.0
"""The estimate against brute force, against the Kalman smoother, and against truths drawn from the priors."""

import numpy as np
import pytest
from tests.measure.nowcast.twins import PRIORS, TURN, ZONE, Twin, day, flow, total

from mangrove.inference import state_space
from mangrove.measure.nowcast import Annual, Priors
from mangrove.measure.nowcast.model import Fact, Model, Process, Target, build
from mangrove.measure.nowcast.posterior import Functional, Posterior

RUNS = 300


def tiny(noise: float, value: float) -> Model:
    """Three days of one target: a level with sd 0.5, an AR(1) of sd 0.3, and the log of the sum of the days."""
    model = Model(np.arange(3), [object()], np.zeros((1, 3)))
    model.columns = [[]]
    model.add(0, "level", np.ones(3), 0.5)
    model.processes.append(Process("days", 0.6, {0: np.full(3, 0.3)}))
    model.facts.append(Fact("sum", "total", "x", ((0, np.arange(3), 1.0),), value, noise))
    return model


@pytest.mark.parametrize(("noise", "value"), [(0.05, np.log(3.0)), (0.1, np.log(4.5)), (0.3, np.log(2.0))])
def test_a_total_of_exponentials_is_estimated_as_brute_force_does(noise, value):
    found = Posterior(tiny(noise, value))
    draw = np.random.default_rng(0)
    count = 2_000_000
    level = 0.5 * draw.standard_normal(count)
    x = level + 0.3 * state_space.ar1_paths(0.6, 1.0, np.ones(3), draw.standard_normal((3, count)))
    weight = np.exp(-0.5 * ((np.log(np.exp(x).sum(axis=0)) - value) / noise) ** 2)
    weight /= weight.sum()
    mean = x @ weight
    sd = np.sqrt(((x - mean[:, None]) ** 2) @ weight)
    expected = np.exp(x).sum(axis=0) @ weight
    np.testing.assert_allclose(found.mean[0], mean, atol=0.015)
    np.testing.assert_allclose(np.sqrt(found.variance[0]), sd, rtol=0.03)
    assert np.exp(found.mean[0] + found.variance[0] / 2).sum() == pytest.approx(expected, rel=0.01)


def test_direct_facts_on_days_give_what_the_kalman_smoother_gives():
    days = np.arange(40)
    model = Model(days, [object()], np.zeros((1, 40)))
    model.columns = [[]]
    model.add(0, "level", np.ones(40), 2.0)
    model.processes.append(Process("days", 0.9, {0: np.full(40, 0.5)}))
    y = np.random.default_rng(3).standard_normal(40)
    seen = [0, 3, 4, 17, 30]
    for at in seen:
        model.facts.append(
            Fact(f"meter {at}", "meter", "x", ((0, np.array([at]), 1.0),), float(y[at]), 0.2, direct=True)
        )
    found = Posterior(model)
    states = state_space.States.ar1(0.9, 0.5).beside(state_space.States.constants(1, 4.0))
    rows = np.full((40, 1), np.nan)
    rows[seen, 0] = y[seen]
    same = state_space.smooth(states, rows, np.ones((40, 1, 2)), np.full((40, 1), 0.04))
    np.testing.assert_allclose(found.mean[0], same.mean.sum(axis=1), atol=1e-10)
    np.testing.assert_allclose(found.variance[0], same.variance.sum(axis=(1, 2)), atol=1e-10)


def test_samples_have_the_mean_and_the_covariance_of_the_estimate():
    twin = Twin(1)
    found = twin.posterior()
    at = np.flatnonzero(twin.window)[::7]
    (drawn,), _ = found.samples(4000, 2, [at])
    spread = np.sqrt(found.variance[:, at])
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.06)
    assert np.abs(drawn.mean(axis=0) / spread).max() < 0.08
    days = [Functional(((0, np.eye(len(twin.days))[day]),)) for day in at[:2]]
    block = found.block(days)
    expected = found.covariance(block, block)
    np.testing.assert_allclose(np.cov(drawn[:, 0, :2].T), expected, rtol=0.08)


def test_few_samples_of_sums_have_exactly_the_width_of_the_estimate():
    twin = Twin(4)
    found = twin.posterior()
    at = np.flatnonzero(twin.window)
    (drawn,), _ = found.samples(20, 3, [at])
    weights = np.zeros(len(twin.days))
    weights[at] = 1 / len(at)
    block = found.block([Functional(((number, weights),)) for number in range(2)])
    means = drawn.mean(axis=2)
    np.testing.assert_allclose(means.T @ means / 20, found.covariance(block, block), rtol=1e-6)


@pytest.fixture(scope="module")
def ranks():
    """For many drawn truths: whether they lie in the bands of 80 and 95 %, and their errors, with one inventory two years old."""
    inside, off = [], []
    for seed in range(RUNS):
        twin = Twin(seed)
        drawn = np.sort(twin.samples(twin.posterior()))
        share = np.searchsorted(drawn, twin.truth) / (len(drawn) + 1)
        inside.append((0.1 <= share < 0.9, 0.025 <= share < 0.975))
        off.append(drawn.mean() / twin.truth - 1)
    return np.array(inside).mean(axis=0), np.array(off)


def test_the_bands_cover_as_much_as_they_say(ranks):
    share80, share95 = ranks[0]
    three = 3 * np.sqrt(np.array([0.8 * 0.2, 0.95 * 0.05]) / RUNS)
    assert abs(share80 - 0.8) < three[0]
    assert abs(share95 - 0.95) < three[1]


def test_the_mean_is_no_way_off_on_average(ranks):
    off = np.log1p(ranks[1])
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(RUNS) + 0.01


def width(found: Posterior, twin: Twin) -> float:
    """Standard deviation of the mean log of the window: one and the same sum, whatever is estimated."""
    weights = np.zeros((2, len(twin.days)))
    weights[:, twin.window] = 1 / (2 * twin.window.sum())
    block = found.block([Functional(tuple(enumerate(weights)))])
    return float(np.sqrt(found.covariance(block, block)[0, 0]))


@pytest.mark.parametrize("seed", range(4))
def test_an_older_inventory_is_wider_and_more_inventories_never_widen(seed):
    fresh, stale = Twin(seed, (2025,)), Twin(seed, (2022,))
    assert width(stale.posterior(driven=False), stale) > width(fresh.posterior(driven=False), fresh)
    two = Twin(seed, (2023, 2024))
    assert width(two.posterior(), two) <= width(two.posterior(count=1), two) * (1 + 1e-4)


def test_the_variance_of_a_stale_level_grows_by_the_yearly_prior():
    calm = Priors(annual={"": Annual(0.1, 0.0)}, day_sd=1e-6, day_phi=0.5)
    one, sd = flow("road"), {}
    for age in (1, 4):
        days = np.concatenate([np.arange(day(2020), day(2021)), [day(2020 + age, 7)]])
        target = Target(one, 1.0, (total(one, 2020, 100.0),), (), np.zeros(len(days)))
        sd[age] = float(Posterior(build(days, [target], {}, calm, ZONE)).variance[0, -1])
    assert sd[4] - sd[1] == pytest.approx(3 * 0.1**2 * 1.065**2, rel=0.02)


def test_two_neighboring_years_differ_by_the_declared_sd_although_levels_turn_slowly():
    days = np.arange(day(2021), day(2025))
    model = build(
        days,
        [Target(flow("road"), 1.0, (total(flow("road"), 2021, 1.0),), (), np.zeros(len(days)))],
        {},
        Priors(annual={"": Annual(0.1, 0.0)}, day_sd=1e-9),
        ZONE,
    )
    weights = np.zeros(len(days))
    weights[(days >= day(2022)) & (days < day(2023))] = -1 / 365
    weights[(days >= day(2023)) & (days < day(2024))] = 1 / 365
    model.facts = []
    found = Posterior(model)
    block = found.block([Functional(((0, weights),))])
    assert np.sqrt(found.covariance(block, block)[0, 0]) == pytest.approx(0.1, rel=0.01)
    assert TURN < 100


def test_with_the_newest_inventory_only_the_expected_total_of_its_year_is_the_inventory():
    one = flow("road", uncertainty=0.4)
    days = np.arange(day(2025), day(2026))
    target = Target(one, 1.0, (total(one, 2025, 1234.0),), (), 0.2 * np.sin(days / 9.0))
    found = Posterior(build(days, [target], {}, PRIORS, ZONE))
    assert np.exp(found.mean + found.variance / 2).sum() == pytest.approx(1234.0, rel=1e-5)


def metered_days(seen):
    """Ten days of one target, some of them read."""
    model = Model(np.arange(10), [object()], np.zeros((1, 10)))
    model.columns = [[]]
    model.add(0, "level", np.ones(10), 1.0)
    model.processes.append(Process("days", 0.7, {0: np.full(10, 0.4)}))
    model.facts += [
        Fact(f"{at}", "meter", "x", ((0, np.array([at]), 1.0),), 0.1 * at, 0.1, direct=True) for at in seen
    ]
    return Posterior(model)


def test_leaving_a_fact_out_widens_by_what_the_estimate_says():
    seen, functional = [1, 2, 6, 9], [Functional(((0, np.full(10, 0.1)),))]
    found = metered_days(seen)
    block = found.block(functional)
    claimed, before = found.without(block), found.covariance(block, block)[0, 0]
    for number in range(len(seen)):
        less = metered_days([at for at in seen if at != seen[number]])
        again = less.block(functional)
        assert less.covariance(again, again)[0, 0] - before == pytest.approx(claimed[number], rel=1e-9)
