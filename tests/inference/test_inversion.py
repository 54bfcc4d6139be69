"""Inversion of sensors on made-up cities whose truth is known: totals, drift, changes, backgrounds, honesty."""

from dataclasses import replace

import numpy as np
import pytest
from tests.inference.sensor_world import build, observed, true_total, truth

from mangrove.errors import RequestError
from mangrove.inference.gaussian import posterior
from mangrove.inference.inversion import Beliefs, Model, invert
from mangrove.inference.sensor_model import WIND_SECTORS


@pytest.fixture(scope="module")
def world():
    return build(stations=6, days=4)


def test_derivatives_are_those_of_the_prediction(world):
    state = truth(world, 0)
    _, slope = world.model.linearized(state)
    random = np.random.default_rng(1)
    step = random.normal(size=len(state))
    near = (world.model.predict(state + 1e-6 * step) - world.model.predict(state - 1e-6 * step)) / 2e-6
    np.testing.assert_allclose(slope @ step, near, rtol=1e-4, atol=1e-4)


def test_prior_multipliers_have_a_mean_of_one(world):
    part = world.model.parts["multipliers"]
    variance = np.sum(part.left(np.eye(len(part.mean))) ** 2, axis=1)
    np.testing.assert_allclose(np.exp(part.mean + variance / 2), 1.0)


def test_the_truth_lies_inside_the_interval_as_often_as_said(world):
    """20 cities drawn from the prior: 19 expected inside 95 %; fewer than 16 has a chance below 1 in 300 when calibrated."""
    inside, chi = [], []
    for run in range(20):
        state = truth(world, run)
        found = invert(observed(world, state, run), world.beliefs)
        city = found.amount()
        inside.append(city.low <= true_total(world, state) <= city.high)
        chi.append(found.chi2)
    assert sum(inside) >= 16
    assert 0.9 < np.mean(chi) < 1.1


def test_readings_narrow_the_city_total(world):
    found = invert(observed(world, truth(world, 3), 3), world.beliefs)
    city = found.amount()
    assert city.identifiable
    assert city.sd < city.prior_sd
    assert 0 < found.dofs < len(found.state)


def test_a_drifting_sensor_moves_the_city_total_by_less_than_two_percent_and_is_found():
    world = build(stations=16, days=5, cells=16)
    scene = observed(world, truth(world, 1), 1)
    clean = invert(scene, world.beliefs)
    mine = scene.series == 4
    drifted = np.where(mine, scene.reading * (1 + 0.3 * scene.hour / scene.hour.max()), scene.reading)
    found = invert(replace(scene, reading=drifted), world.beliefs)
    assert found.amount().mean == pytest.approx(clean.amount().mean, rel=0.02)
    change = [one.gain_change[0] for one in found.drift]
    assert int(np.argmax(np.abs(change))) == 4
    assert change[4] > 0.05


def test_a_change_of_traffic_goes_to_traffic_and_not_to_drift():
    """Half of the traffic from the third day on, seen in two species at every station."""
    beliefs = Beliefs(change=0.2)
    world = build(stations=10, days=5, species=2, beliefs=beliefs)
    calm = np.concatenate([part.mean for part in world.model.parts.values()])
    changed = calm.copy()
    steps = changed[world.model.slices["change"]].reshape(-1, world.model.sectors)
    steps[1:3, 0] = np.log(0.5) / 2
    changed[world.model.slices["change"]] = steps.reshape(-1)
    found = invert(observed(world, changed, 0), world.beliefs)
    walk = found.estimate.mean[world.model.slices["change"]].reshape(-1, world.model.sectors)
    assert np.exp(walk[:, 0].sum()) == pytest.approx(0.5, abs=0.15)
    assert np.exp(walk[:, 1].sum()) == pytest.approx(1.0, abs=0.25)
    assert max(abs(np.expm1(one.gain_change[0])) for one in found.drift) < 0.12


def test_a_background_by_wind_explains_two_air_masses_far_better_than_one():
    world = build(stations=8, days=5, seed=2)
    state = truth(world, 2)
    state[world.model.slices["background"]][-WIND_SECTORS:] = 0.0
    scene = observed(world, state, 2)
    north = np.isin(scene.wind, [0, 1, 2, 7])
    scene = replace(scene, reading=scene.reading + 15.0 * north)
    found, blind = invert(scene, world.beliefs), invert(scene, replace(world.beliefs, by_wind=1e-6))
    by_wind = found.state[found.model.slices["background"]][-WIND_SECTORS:]
    blown = np.unique(scene.wind)
    sides = [by_wind[blown[np.isin(blown, [0, 1, 2, 7]) == side]].mean() for side in (True, False)]
    assert sides[0] - sides[1] == pytest.approx(15.0, abs=3.0)
    assert found.estimate.log_evidence > blind.estimate.log_evidence + 100
    city = found.amount()
    assert city.low < true_total(world, state) < city.high
    assert abs(city.mean - true_total(world, state)) < abs(blind.amount().mean - true_total(world, state))


def test_what_no_sensor_sees_keeps_its_prior_and_is_said_to():
    world = build(stations=4, days=3)
    scene = observed(world, truth(world, 0), 0)
    blind = scene.response.copy()
    blind[:, 0] = 0.0
    beliefs = replace(world.beliefs, sector=1e-3, zone=1e-3, change=1e-3, fit=False)
    scene = replace(scene, response=blind)
    found = invert(scene, beliefs)
    share = np.zeros(len(scene.prior))
    share[0] = 1.0
    alone = found.amount(share)
    assert not alone.identifiable
    assert alone.mean == pytest.approx(alone.prior, rel=0.01)
    assert found.averaging_kernel[0, 0] == pytest.approx(0.0, abs=1e-4)


def test_leaving_a_station_out_equals_estimating_without_it(world):
    scene = observed(world, truth(world, 2), 2)
    found = invert(scene, replace(world.beliefs, likelihood="gaussian", fit=False))
    predicted, slope = world.model.linearized(found.state)
    here = scene.stations == 3
    y = scene.reading - predicted + slope @ found.state
    rest = posterior(slope[~here], y[~here], world.model.noise[~here], found.prior)
    again = posterior(slope, y, world.model.noise, found.prior).leave_out(scene.stations)[3]
    np.testing.assert_allclose(again.misfit, y[here] - slope[here] @ rest.mean, atol=1e-6)
    assert found.left_out.keys() == set(range(6))


def test_single_wild_readings_do_not_move_the_result(world):
    scene = observed(world, truth(world, 5), 5)
    wild = scene.reading.copy()
    wild[::97] += 300.0
    clean = invert(scene, world.beliefs).amount().mean
    wild_scene = replace(scene, reading=wild)
    moved = {
        likelihood: abs(
            invert(wild_scene, replace(world.beliefs, likelihood=likelihood)).amount().mean / clean - 1
        )
        for likelihood in ("gaussian", "huber", "student")
    }
    assert moved["student"] < 0.05
    assert moved["student"] < moved["huber"] < moved["gaussian"]


def test_ratios_of_species_stay_free_where_only_pollutants_are_measured():
    """A second species with an unknown ratio: the reference alone fixes the level, the other's ratio is learned."""
    world = build(stations=6, days=4, species=2)
    state = np.concatenate([part.mean for part in world.model.parts.values()])
    at = world.model.slices["ratio"]
    state[at.start + world.model.sectors : at.stop] = np.log(1.5)
    found = invert(observed(world, state, 1), world.beliefs)
    learned = found.estimate.mean[at].reshape(2, -1)
    assert np.all(learned[0] == 0)
    assert np.exp(learned[1, 0]) == pytest.approx(1.5, abs=0.35)


def test_the_evidence_chooses_the_length_over_which_zones_are_alike(world):
    scene = observed(world, truth(world, 0), 0)
    found = invert(scene, replace(world.beliefs, zone=0.5, own=0.05, lengths=(0.5, 8.0)))
    assert found.model.beliefs.length in (0.5, 8.0)


def test_shapes_and_numbers_that_do_not_fit_are_refused(world):
    with pytest.raises(RequestError, match="shapes"):
        replace(world.scene, hour=world.scene.hour[:-1])
    with pytest.raises(RequestError, match="finite"):
        replace(world.scene, reading=np.full(len(world.scene.reading), np.nan))
    with pytest.raises(RequestError, match="likelihood"):
        invert(world.scene, replace(world.beliefs, likelihood="cauchy"))
    assert isinstance(world.model, Model)
