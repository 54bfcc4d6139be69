"""The forecaster knows nothing of the future, learns from every value and keeps its promises on the clock and on gaps."""

from datetime import UTC, datetime

import numpy as np
import pytest

from mangrove.errors import DataQualityError, RequestError
from mangrove.forecast.forecaster import Forecaster, joint_samples

HOUR = np.timedelta64(3600, "s")
CHEAP = ("naive", "ridge")
ZONE = "Asia/Ho_Chi_Minh"


def fitted(starts, values, models=CHEAP, zone=ZONE, horizon=48):
    return Forecaster(1.0, zone, horizon, models=models).fit(starts, values)


def test_an_office_is_forecast_far_better_than_by_last_week(office):
    starts, values = office
    forecast = fitted(starts[:-48], values[:-48]).issue(starts[-48])
    assert np.abs(forecast.median - values[-48:]).mean() < 2.2
    assert forecast.score.skill > 0.15
    assert forecast.score.mase < 0.85
    assert (np.diff(forecast.quantiles, axis=0) >= 0).all()
    assert abs(sum(forecast.weights.values()) - 1) < 1e-9


@pytest.mark.parametrize("models", [CHEAP, ("naive", "ridge", "boosted")])
def test_what_comes_after_the_origin_changes_nothing(office, models):
    starts, values = office
    cut = len(values) - 60  # noon of a day
    changed = values.copy()
    changed[cut:] = 1e6
    issued = []
    for series in (values, changed):
        one = Forecaster(1.0, ZONE, 48, models=models).fit(starts[: cut - 24], series[: cut - 24])
        one.observe(starts[cut - 24 : cut], series[cut - 24 : cut])
        issued.append(one.issue(starts[cut]))
        one.observe(starts[cut:], series[cut:])  # what comes later leaves what was issued alone
    np.testing.assert_array_equal(issued[0].quantiles, issued[1].quantiles)
    np.testing.assert_array_equal(issued[0].samples(10), issued[1].samples(10))


def test_an_origin_before_the_last_value_is_refused(office):
    one = fitted(*office)
    with pytest.raises(RequestError) as error:
        one.issue(office[0][-1])  # the last interval has begun but not ended
    assert error.value.code == "forecast.origin_before_data"


def test_values_given_one_by_one_count_as_those_given_at_once(office):
    starts, values = office
    at_once = fitted(starts[:-30], values[:-30])
    at_once.observe(starts[-30:], values[-30:])
    slowly = fitted(starts[:-30], values[:-30])
    for start, value in zip(starts[-30:], values[-30:], strict=True):
        slowly.issue(start)
        slowly.observe(start, value)
    end = starts[-1] + HOUR
    np.testing.assert_allclose(at_once.issue(end).quantiles, slowly.issue(end).quantiles)


def test_a_day_that_runs_higher_raises_the_rest_of_its_forecast():
    rng = np.random.default_rng(8)
    starts = np.datetime64("2024-01-01", "s") + np.arange(60 * 24) * HOUR
    level = np.repeat(rng.normal(0, 10, 60), 24)  # each day has a level of its own that nobody knows before
    values = 50 + 10 * np.sin(np.arange(len(starts)) / 24 * 2 * np.pi) + level + rng.normal(0, 1, len(starts))
    one = fitted(starts[:-24], values[:-24], zone="UTC", horizon=24)
    before = one.issue(starts[-24])
    one.observe(starts[-24:-16], before.median[:8] + 15)
    after = one.issue(starts[-16])
    assert (after.median[:8] - before.median[8:16]).mean() > 8
    assert (
        np.diff(after.quantiles[[0, -1], :4], axis=0).mean()
        < 0.7 * np.diff(before.quantiles[[0, -1], 8:12], axis=0).mean()
    )


def test_the_clock_that_changes_neither_moves_nor_loses_an_hour():
    starts = np.datetime64("2024-02-01", "s") + np.arange(70 * 24) * HOUR
    from zoneinfo import ZoneInfo

    local = [
        datetime.fromtimestamp(int(s.astype(int)), UTC).astimezone(ZoneInfo("Europe/Berlin")).hour
        for s in starts
    ]
    values = 10.0 + 20 * np.isin(local, [7, 8]) + np.random.default_rng(0).normal(0, 0.1, len(starts))
    origin = int(
        (np.datetime64("2024-03-30T23", "s") - starts[0]) / HOUR
    )  # local midnight of the 23-hour day
    forecast = fitted(starts[:origin], values[:origin], zone="Europe/Berlin").issue(starts[origin])
    assert len(forecast.starts) == 48
    assert np.abs(forecast.median - values[origin : origin + 48]).max() < 2
    after = fitted(starts[: origin + 144], values[: origin + 144], zone="Europe/Berlin").issue(
        starts[origin + 144]
    )
    assert np.abs(after.median - values[origin + 144 : origin + 192]).max() < 2


def test_gaps_are_not_zeros(office):
    starts, values = office
    holes = values.copy()
    holes[-72:-24] = np.nan
    holes[100:130] = np.nan
    whole = fitted(starts, values).issue(starts[-1] + HOUR)
    broken = fitted(starts, holes).issue(starts[-1] + HOUR)
    assert np.isfinite(broken.quantiles).all()
    assert np.abs(broken.median - whole.median).mean() < 2
    left_out = fitted(starts[~np.isnan(holes)], holes[~np.isnan(holes)]).issue(starts[-1] + HOUR)
    np.testing.assert_allclose(left_out.quantiles, broken.quantiles)


def test_days_without_any_value_are_passed_over(office):
    starts, values = office
    one = fitted(starts, values)
    forecast = one.issue(starts[-1] + 24 * 5 * HOUR)
    assert np.isfinite(forecast.quantiles).all()
    assert forecast.starts[0] == starts[-1] + 24 * 5 * HOUR


def test_a_price_may_be_negative_and_a_load_may_not():
    starts = np.datetime64("2024-01-01", "s") + np.arange(40 * 24) * HOUR
    price = 10 * np.sin(np.arange(len(starts)) / 24 * 2 * np.pi) + np.random.default_rng(0).normal(
        0, 3, len(starts)
    )
    free = Forecaster(1.0, "UTC", 24, lower=None, models=CHEAP).fit(starts, price).issue(starts[-1] + HOUR)
    bound = (
        Forecaster(1.0, "UTC", 24, models=CHEAP).fit(starts, np.maximum(price, 0)).issue(starts[-1] + HOUR)
    )
    assert free.quantiles.min() < -5
    assert bound.quantiles.min() == 0
    assert bound.samples(30).min() >= 0


@pytest.mark.parametrize("step_hours", [0.25, 24.0])
def test_quarter_hours_and_days_are_steps_too(step_hours):
    count = round(60 * 24 / step_hours)
    seconds = np.timedelta64(round(step_hours * 3600), "s")
    starts = np.datetime64("2024-01-01", "s") + np.arange(count) * seconds
    weekday = (starts.astype("datetime64[D]").astype(int) + 3) % 7
    values = 10.0 + 5 * (weekday < 5) + np.random.default_rng(0).normal(0, 0.5, count)
    ahead = round(48 / step_hours)
    forecast = (
        Forecaster(step_hours, "UTC", ahead, models=CHEAP).fit(starts, values).issue(starts[-1] + seconds)
    )
    assert forecast.quantiles.shape == (3, ahead)
    assert np.abs(forecast.median[0] - 15) < 1.5
    assert forecast.samples(7).shape == (7, ahead)


@pytest.mark.parametrize("zone", ["Asia/Ho_Chi_Minh", "Europe/Berlin", "Asia/Kolkata"])
def test_daily_values_begin_at_local_midnight_also_when_the_clock_changes(zone):
    clock = Forecaster(24.0, zone, 3, models=CHEAP)._clock
    first = int(np.datetime64("2024-01-29", "D").astype(int))
    starts = np.array([clock.midnight(first + i) for i in range(63)])  # the clock of Berlin changes on day 62
    values = 10.0 + np.arange(63) % 7
    forecast = Forecaster(24.0, zone, 3, models=CHEAP).fit(starts[:61], values[:61]).issue(starts[61])
    assert forecast.starts.tolist() == [clock.midnight(first + 61 + i).item() for i in range(3)]
    assert np.abs(forecast.median - [15, 16, 10]).max() < 0.5


def test_two_series_are_sampled_together(office):
    starts, values = office
    shared = np.repeat(np.random.default_rng(1).normal(0, 5, len(starts) // 24), 24)
    issued = [fitted(starts, np.maximum(values + shared + 10, 0)).issue(starts[-1] + HOUR) for _ in range(2)]
    one, other = joint_samples(issued, 50, seed=3)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda s, v: (s[:100], v[:100]), "forecast.too_short"),
        (lambda s, v: (s, v[:-1]), "forecast.lengths"),
        (lambda s, v: (s[:0], v[:0]), "forecast.lengths"),
        (lambda s, v: (s + (np.arange(len(s)) == 9) * np.timedelta64(60, "s"), v), "forecast.off_grid"),
        (lambda s, v: (s, np.where(np.arange(len(v)) == 7, np.inf, v)), "forecast.not_finite"),
        (lambda s, v: (s, np.full(len(v), np.nan)), "forecast.too_short"),
    ],
)
def test_a_history_that_cannot_be_used_is_refused_with_its_reason(office, change, code):
    with pytest.raises((DataQualityError, RequestError)) as error:
        fitted(*change(*office))
    assert error.value.code == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"quantiles": (0.9, 0.1)}, "forecast.bad_quantiles"),
        ({"quantiles": (0.0, 0.5)}, "forecast.bad_quantiles"),
        ({"quantiles": ()}, "forecast.bad_quantiles"),
        ({"horizon_steps": 0}, "forecast.bad_horizon"),
        ({"step_hours": 0.7}, "forecast.bad_step"),
        ({"models": ("oracle",)}, "forecast.unknown_model"),
        ({"models": ("clear_sky",)}, "forecast.no_site"),
        ({"tz": "Asia/Saigom"}, "base.unknown_zone"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(options, code):
    with pytest.raises(RequestError) as error:
        Forecaster(**({"step_hours": 1.0, "tz": "UTC", "horizon_steps": 24} | options))
    assert error.value.code == code


def test_nothing_is_forecast_before_a_history_was_given():
    with pytest.raises(RequestError, match="history"):
        Forecaster(1.0, "UTC", 24).issue(np.datetime64("2024-01-01", "s"))
