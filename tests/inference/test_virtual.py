# SPDX-License-Identifier: Apache-2.0
"""Virtual meters: judged by time, calibrated, recalibrated by short campaigns, quick to call when they are out of their depth."""

import csv
import inspect

import numpy as np
import pytest

from mangrove.errors import DataQualityError
from mangrove.inference import virtual
from mangrove.inference.virtual import Ridge, campaigns, fit, names_of
from mangrove.inference.virtual_track import Wanted, track

LEARNT = 24 * 150


def stack(rows, seed=0, shift=0.0, gain=1.0, noise=1.0):
    """Load, temperature, oxygen and the NOx that follows from them; `shift` and `gain` bend the later truth."""
    rng = np.random.default_rng(seed)
    hour = np.arange(rows)
    load = 0.7 + 0.2 * np.sin(hour / 24 * 2 * np.pi) + 0.1 * np.sin(hour / 700) + rng.normal(0, 0.05, rows)
    warm = 25 + 6 * np.sin(hour / 2000) + rng.normal(0, 2, rows)
    oxygen = 12 + 4 * (1 - load) + rng.normal(0, 0.3, rows)
    day = np.repeat(rng.normal(0, 0.5, rows // 24 + 1), 24)[:rows]
    y = 40 + 60 * load**2 - 0.5 * warm + 2 * (oxygen - 13) + day + rng.normal(0, noise, rows)
    return np.column_stack([load, warm, oxygen]), gain * y + shift


@pytest.fixture(scope="module")
def meter():
    return fit(*stack(LEARNT))


def test_there_is_no_random_split():
    words = inspect.getsource(virtual).lower()
    assert "shuffle=" not in words
    assert "permutation" not in words
    assert list(inspect.signature(fit).parameters) == ["x", "y", "blocks"]


def test_every_block_is_predicted_from_earlier_ones_alone():
    x, y = stack(LEARNT)
    block = np.arange(LEARNT) * 10 // LEARNT
    said = virtual._forward(Ridge, x, y, block)
    y[block >= 6] += 1000.0
    again = virtual._forward(Ridge, x, y, block)
    np.testing.assert_array_equal(said[block <= 6], again[block <= 6])
    assert np.isnan(said[block < 3]).all()


def test_a_known_law_is_found_out_to_its_noise(meter):
    x, y = stack(2000, seed=5)
    assert np.abs(meter.raw(x) - y).mean() < 1.3 * np.hypot(1.0, 0.5) * np.sqrt(2 / np.pi)
    assert meter.skill > 0.7


def test_the_validation_does_not_promise_more_than_new_time_holds(meter):
    x, y = stack(3000, seed=8)
    promised = np.mean([fold.mae for fold in meter.folds])
    assert np.abs(meter.raw(x) - y).mean() < 1.15 * promised


def test_intervals_cover_what_they_say(meter):
    inside = []
    for seed in range(4):
        x, y = stack(2000, seed=20 + seed)
        low95, low80, high80, high95 = track(meter, x, np.full(len(y), np.nan)).bounds
        inside.append([np.mean((low80 <= y) & (y <= high80)), np.mean((low95 <= y) & (y <= high95))])
    in80, in95 = np.mean(inside, axis=0)
    assert 0.76 < in80 < 0.90
    assert 0.93 < in95 < 0.995


def test_a_short_campaign_removes_most_of_a_bias(meter):
    x, y = stack(1500, seed=3, shift=12.0)
    reference = np.full(len(y), np.nan)
    reference[100:148] = y[100:148]
    found = track(meter, x, reference)
    bias = found.value - y
    assert abs(bias[:100].mean()) > 11
    assert abs(bias[200:900].mean()) < 4
    unmoved = track(meter, x, reference, recalibrate=False)
    assert abs((unmoved.value - y)[200:].mean()) > 11


def test_campaigns_that_go_on_find_the_gain_too(meter):
    x, y = stack(3000, seed=4, gain=1.15)
    reference = np.where(np.arange(len(y)) % 72 < 24, y, np.nan)
    found = track(meter, x, reference)
    late = np.arange(len(y)) > 1500
    missed = (found.value - y)[late]
    assert abs(missed.mean()) < 0.15 * abs((meter.raw(x) - y)[late].mean())
    slope = np.polyfit(y[late], found.value[late], 1)[0]
    assert 0.93 < slope < 1.05


def test_what_a_campaign_teaches_counts_only_afterwards(meter):
    x, y = stack(600, seed=3, shift=12.0)
    reference = np.full(len(y), np.nan)
    reference[300:324] = y[300:324]
    without = track(meter, x, np.full(len(y), np.nan))
    found = track(meter, x, reference)
    np.testing.assert_array_equal(found.value[:324], without.value[:324])
    assert (found.value[324:330] > without.value[324:330] + 4).all()


def test_drift_of_the_reference_is_called_and_none_without_it(meter):
    x, y = stack(6000, seed=11)
    sampled = np.where(np.arange(len(y)) % 240 < 24, y, np.nan)
    assert not any(one.alarm for one in track(meter, x, sampled).campaigns)
    drifting = sampled * np.linspace(1.0, 1.3, len(y))
    called = [one.alarm for one in track(meter, x, drifting).campaigns]
    assert any(called[:8])


def test_a_frozen_input_leaves_the_domain(meter):
    x, y = stack(800, seed=6)
    x[400:, 0] = x[400, 0]
    found = track(meter, x, np.full(len(y), np.nan))
    assert not found.outside[:400].any()
    assert found.outside[400:].mean() > 0.25
    asked = [one for one in found.requests if "domain" in one.reasons]
    assert len(asked) == 1
    assert 400 < asked[0].row < 450


def test_a_campaign_is_asked_for_when_it_is_due_or_the_limit_is_near(meter):
    x, y = stack(1000, seed=13)
    nothing = np.full(len(y), np.nan)
    assert track(meter, x, nothing).requests == ()
    (request,) = track(meter, x, nothing, Wanted(every=500)).requests
    assert (request.row, request.reasons) == (499, ("age",))
    done = nothing.copy()
    done[400:424] = y[400:424]
    (request,) = track(meter, x, done, Wanted(every=500)).requests
    assert request.row == 923
    assert track(meter, x, nothing, Wanted(limit=40.0)).requests[0].reasons[0] == "limit"
    assert track(meter, x, nothing, Wanted(width=0.1)).requests[0].reasons == ("width",)


def test_a_missing_input_gives_no_estimate(meter):
    x, y = stack(100, seed=2)
    x[10:20, 1] = np.nan
    found = track(meter, x, np.full(len(y), np.nan))
    assert np.isnan(found.value[10:20]).all()
    assert np.isnan(found.bounds[:, 10:20]).all()
    assert np.isfinite(found.value[20:]).all()


def test_too_few_readings_are_refused():
    x, y = stack(400)
    y[95:] = np.nan
    with pytest.raises(DataQualityError, match="95"):
        fit(x, y)


def test_a_stuck_reference_teaches_nothing():
    x, y = stack(400)
    with pytest.raises(DataQualityError) as error:
        fit(x, np.full_like(y, 7.5))
    assert error.value.code == "virtual.constant"


def test_inputs_that_never_vary_give_no_skill():
    _, y = stack(1500)
    found = fit(np.ones((1500, 2)), y)
    assert found.skill < 0.05
    assert (found.domain.distance(np.full((5, 2), 3.0)) > 1).all()


def test_the_same_rows_give_the_same_meter():
    x, y = stack(1200)
    one, two = fit(x, y), fit(x, y)
    np.testing.assert_array_equal(one.raw(x), two.raw(x))


def test_long_readings_are_cut_and_short_gaps_bridged():
    y = np.full(200, np.nan)
    y[0:60] = 1.0
    y[70:72] = 1.0
    y[150] = 1.0
    assert [len(rows) for rows in campaigns(y)] == [21, 21, 20, 1]
    assert names_of() == ("low95", "low80", "high80", "high95")


@pytest.mark.data
@pytest.mark.parametrize(("gas", "constant", "line"), [("NOX", 7.37, 5.83), ("CO", 1.32, 1.02)])
def test_a_year_that_was_not_seen_is_estimated_better_than_by_the_mean_or_a_line(
    gas, constant, line, data_dir
):
    folder = data_dir / "sensing"
    tables = []
    for year in (2011, 2012):
        with (folder / f"uci_gas_turbine_{year}.csv").open(encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    inputs = [name for name in tables[0][0] if name not in {"CO", "NOX"}]
    x, later = (np.array([[float(row[name]) for name in inputs] for row in table]) for table in tables)
    y, truth = (np.array([float(row[gas]) for row in table]) for table in tables)
    assert np.abs(y.mean() - truth).mean() == pytest.approx(constant, abs=0.01)
    a, b = (np.column_stack([np.ones(len(one)), one]) for one in (x, later))
    assert np.abs(b @ np.linalg.lstsq(a, y, rcond=None)[0] - truth).mean() == pytest.approx(line, abs=0.01)
    meter = fit(x, y)
    assert meter.skill > 0.5
    found = track(meter, later, np.full(len(truth), np.nan))
    assert np.abs(found.value - truth).mean() < 0.9 * line
    assert np.mean((found.bounds[0] <= truth) & (truth <= found.bounds[3])) > 0.88
