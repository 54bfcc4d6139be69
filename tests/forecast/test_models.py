"""Each model learns what is there to learn, deterministically."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.forecast import features, models
from mangrove.forecast.calendar import Clock
from mangrove.forecast.forecaster import Forecaster
from mangrove.forecast.models.clear_sky import irradiance
from mangrove.forecast.models.residuals import by_slot
from mangrove.times import zone

LEVELS = (0.1, 0.5, 0.9)
NO_DAYS = np.empty(0, dtype=np.int64)


def frames(days=90, sigma=1.0, weather=None):
    """A weekly pattern with noise: the frame of all days but the last, and that of the last day."""
    rng = np.random.default_rng(3)
    number = 19_800 + np.arange(days)
    pattern = 20 + 5 * np.sin(np.arange(24) / 24 * 2 * np.pi)[None] * (1 + (number % 7))[:, None]
    values = pattern + sigma * rng.normal(size=pattern.shape)
    past = features.build(values, 19_800, number[7:-1], NO_DAYS, None if weather is None else weather[7:-1])
    last = features.build(
        values[:-1], 19_800, number[-1:], NO_DAYS, None if weather is None else weather[-1:]
    )
    return past, last, pattern[-1]


@pytest.mark.parametrize("name", ["naive", "ridge", "boosted"])
def test_a_weekly_pattern_is_found_with_bands_that_hold_the_noise(name):
    past, last, truth = frames()
    model = models.make(name, LEVELS)
    model.fit(past)
    low, middle, high = model.predict(last)[:, 0]
    assert np.abs(middle - truth).mean() < 1.6
    assert 1.0 < (high - low).mean() < 6.0
    assert ((truth > low) & (truth < high)).mean() > 0.8


@pytest.mark.parametrize("name", models.NAMES)
def test_a_model_gives_the_same_numbers_again(name):
    sky = np.repeat(np.maximum(np.sin(np.arange(24) / 24 * np.pi), 0)[None, :, None], 90, axis=0)
    said = []
    for _ in range(2):
        past, last, _ = frames(weather=sky)
        model = models.make(name, LEVELS)
        model.fit(past)
        said.append(model.predict(last))
    np.testing.assert_array_equal(*said)


def test_ridge_uses_weather_forecasts():
    rng = np.random.default_rng(5)
    weather = rng.uniform(0, 10, (90, 24, 1))
    past, last, truth = frames(weather=weather)
    past.target[:] += 3 * past.weather[:, :, 0]
    model = models.make("ridge", LEVELS)
    model.fit(past)
    middle = model.predict(last)[1, 0]
    assert np.corrcoef(middle - truth, last.weather[0, :, 0])[0, 1] > 0.9


def test_an_unknown_model_is_named_with_what_there_is():
    with pytest.raises(RequestError) as error:
        models.make("rigde", LEVELS)
    assert "ridge" in str(error.value)


def test_residual_quantiles_belong_to_their_slot_and_never_fail_on_holes():
    residuals = np.full((50, 24), np.nan)
    residuals[:, 12] = np.linspace(-1, 1, 50)
    found = by_slot(residuals, LEVELS)
    np.testing.assert_allclose(found[:, 12], [-0.8, 0, 0.8], atol=0.02)
    assert np.isfinite(found).all()
    assert (by_slot(np.full((3, 24), np.nan), LEVELS) == 0).all()


def test_the_clear_sky_of_saigon_is_high_at_noon_and_zero_at_night():
    clock = Clock.of(1.0, zone("Asia/Ho_Chi_Minh"))
    day = int(np.datetime64("2024-04-20", "D").astype(int))  # the sun stands nearly overhead
    sky = irradiance(np.array([day]), clock, 10.8, 106.7)[0]
    assert sky[[0, 3, 22]].tolist() == [0, 0, 0]
    assert 1000 < sky[11] < 1060
    assert sky.argmax() == 11


def test_a_column_that_stood_still_for_months_does_not_blow_up_when_it_moves():
    """A meter whose evenings read next to nothing, until one evening does not: found on a real home."""
    rng = np.random.default_rng(4)
    values = 2.0 + rng.normal(0, 0.3, (90, 24))
    values[:, 20:] = rng.uniform(0.9e-7, 1.1e-7, (90, 4))
    starts = np.datetime64("2024-01-01", "s") + np.arange(values.size) * np.timedelta64(3600, "s")
    one = Forecaster(1.0, "UTC", 48, models=("ridge",)).fit(starts[: 89 * 24], values.ravel()[: 89 * 24])
    values[89, 20:] = 0.02
    one.observe(starts[89 * 24 :], values[89])
    assert one.issue(starts[-1] + np.timedelta64(3600, "s")).quantiles.max() < 6
