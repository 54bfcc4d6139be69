"""Photovoltaics and wind: yields near published ones, an independent chain of models, shapes and limits."""

import json

import numpy as np
import pandas as pd
import pytest

from mangrove.errors import RequestError
from mangrove.network import weather_files
from mangrove.network.assets import pv, wind
from mangrove.network.weather import WeatherYear

YEAR = np.arange("2018-12-31T17", "2019-12-31T17", dtype="datetime64[h]").astype("datetime64[s]")


@pytest.fixture(scope="module")
def ninh_sim(data_dir):
    return weather_files.read(data_dir / "weather" / "ninhsim_himawari_2019_60min.csv")


@pytest.mark.data
def test_the_yield_lies_within_5_percent_of_pvwatts_a_hundred_kilometers_away(ninh_sim, data_dir):
    """PVWatts 1,528.9 kWh/kWp at 11.55 N 108.98 E (published REopt case); here 12.52 N in the year 2019."""
    text = (data_dir / "energy/reopt/north_thuan_scenario_a_reopt-results.json").read_text()
    published = np.array(json.loads(text)["PV"]["production_factor_series"])
    found = pv.output(
        ninh_sim,
        12.52,
        109.03,
        11.55,
        180.0,
        starts=YEAR,
        hours=1.0,
        losses=0.14,
        dc_to_ac=1.2,
        mount="ground",
    )
    assert found.sum() == pytest.approx(published.sum(), rel=0.05)
    assert found.max() == pytest.approx(published.max(), rel=0.06)
    by_hour = found.reshape(-1, 24).mean(axis=0), published.reshape(-1, 24).mean(axis=0)
    assert np.corrcoef(*by_hour)[0, 1] > 0.998
    warm, cool = (
        pv.output(ninh_sim, 12.52, 109.03, 11.55, 180.0, starts=YEAR, hours=1.0, mount=m).sum()
        for m in ("roof", "ground")
    )
    assert 0.90 < warm / cool < 0.97


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:DatetimeIndex.dayofyear is deprecated")
def test_an_independent_chain_of_pvlib_gives_the_same_power(ninh_sim):
    """The ModelChain of pvlib with PVWatts and the same sub-models, at the moments of the satellite."""
    from pvlib import location, modelchain, pvsystem
    from pvlib.temperature import TEMPERATURE_MODEL_PARAMETERS

    array = pvsystem.PVSystem(
        surface_tilt=10.0, surface_azimuth=170.0, albedo=pv.ALBEDO, losses_parameters={"losses": 0},
        module_parameters={"pdc0": 1.0, "gamma_pdc": -0.0047}, inverter_parameters={"pdc0": 1.0 / (1.1 * 0.96)},
        temperature_model_parameters=TEMPERATURE_MODEL_PARAMETERS["sapm"]["close_mount_glass_glass"],
    )  # fmt: skip
    chain = modelchain.ModelChain(
        array, location.Location(12.52, 109.03), aoi_model="physical", spectral_model="no_loss", losses_model="no_loss",
        transposition_model="haydavies",
    )  # fmt: skip
    day = slice(24 * 100, 24 * 130)
    index = pd.DatetimeIndex(ninh_sim.middles[day]).tz_localize("UTC")
    columns = {
        "ghi": ninh_sim.ghi,
        "dni": ninh_sim.dni,
        "dhi": ninh_sim.dhi,
        "temp_air": ninh_sim.temperature,
        "wind_speed": ninh_sim.wind,
    }
    chain.run_model(pd.DataFrame({name: values[day] for name, values in columns.items()}, index=index))
    expected = chain.results.ac.clip(lower=0).fillna(0).to_numpy()
    short = ninh_sim.middles[day] - np.timedelta64(60, "s")
    found = pv.output(ninh_sim, 12.52, 109.03, 10.0, 170.0, starts=short, hours=1 / 30, losses=0.0)
    assert found.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert np.abs(found - expected).mean() < 0.006


@pytest.mark.data
def test_shorter_steps_and_another_year_keep_the_yield(ninh_sim):
    quarter = np.arange("2026-01-01", "2027-01-01", 15, dtype="datetime64[m]").astype("datetime64[s]")
    hourly = pv.output(ninh_sim, 12.52, 109.03, 10.0, 180.0, starts=YEAR, hours=1.0).sum()
    assert pv.output(
        ninh_sim, 12.52, 109.03, 10.0, 180.0, starts=quarter, hours=0.25
    ).sum() / 4 == pytest.approx(hourly, rel=0.005)


@pytest.mark.data
def test_measured_irradiance_alone_gives_nearly_the_same_and_a_measured_output_calibrates(ninh_sim):
    short = slice(0, 24 * 60)
    options = {"starts": ninh_sim.starts[short], "hours": 1.0}
    full = pv.output(ninh_sim, 12.52, 109.03, 10.0, 180.0, 240.0, **options)
    split = pv.from_measured(
        ninh_sim.ghi[short], ninh_sim.temperature[short], ninh_sim.wind[short], lat=12.52, lon=109.03, tilt=10.0,
        azimuth=180.0, capacity=240.0, **options,
    )  # fmt: skip
    assert split.sum() == pytest.approx(full.sum(), rel=0.02)
    noise = np.random.default_rng(1).normal(0, 1, len(full))
    metered = np.maximum(0.87 * full + noise, 0.0)
    metered[5:9] = np.nan
    factor, error = pv.calibrate(full, metered)
    assert factor == pytest.approx(0.87, abs=0.002)
    assert error < 0.03
    with pytest.raises(RequestError):
        pv.calibrate(full, np.full(len(full), np.nan))


@pytest.mark.data
def test_weather_of_another_place_is_refused(ninh_sim):
    with pytest.raises(RequestError) as raised:
        pv.output(ninh_sim, 21.0, 105.8, 10.0, 180.0, starts=YEAR[:24], hours=1.0)
    assert raised.value.code == "assets.weather_far"


def test_under_standard_conditions_a_kilowatt_peak_gives_its_rating_less_the_losses():
    plane = np.array([0.0, 500.0, 1000.0, 1400.0])
    cold = np.full(4, -2.0)  # cells near 25 degrees at 1000 W/m2 with 10 m/s of wind
    power = pv.power_of_plane(plane, cold, np.full(4, 10.0), losses=0.0, gamma=0.0, dc_to_ac=1.0)
    assert power[0] == 0.0
    assert power[1] == pytest.approx(0.5 * 0.96, rel=0.01)
    assert power[2] == pytest.approx(0.96, rel=0.01)
    assert power[3] == pytest.approx(1.0)  # the inverter's rating
    lossy = pv.power_of_plane(plane, cold, np.full(4, 10.0), losses=0.14, gamma=0.0, dc_to_ac=1.0)
    assert lossy[1] / power[1] == pytest.approx(0.86, abs=0.01)
    with pytest.raises(RequestError):
        pv.power_of_plane(plane, cold, cold, mount="carport")


def test_hot_cells_give_less_by_the_temperature_coefficient():
    plane, wind_speed = np.array([800.0]), np.array([3.0])
    at = [float(pv.power_of_plane(plane, np.array([t]), wind_speed, gamma=-0.004)[0]) for t in (20.0, 30.0)]
    assert 1 - at[1] / at[0] == pytest.approx(0.04 / (1 - 0.004 * (20 + 0.034 * 800 - 25)), rel=0.25)


def test_declared_arrays_become_profiles(values):
    starts = np.arange("2026-01-01", "2026-01-03", dtype="datetime64[h]").astype("datetime64[s]")
    light = np.tile(np.maximum(0.0, 900 * np.cos((np.arange(24) - 5) / 24 * 2 * np.pi)), 2)
    weather = WeatherYear(
        starts,
        1.0,
        light,
        0.6 * light,
        0.4 * light,
        np.full(48, 28.0),
        np.full(48, 2.0),
        12.5,
        109.0,
        "made up",
    )
    array = values("pv", "capacity=100 kWp")
    profile = pv.simulate(array, weather, 12.5, 109.0, starts=starts, hours=1.0)
    assert 0.4 < profile.max() < 1.0 / pv.DC_TO_AC + 1e-9
    better = values("pv", "capacity=100 kWp; gamma=0.2 %/degC; losses=5 %")
    assert pv.simulate(better, weather, 12.5, 109.0, starts=starts, hours=1.0).sum() > profile.sum()


def windy(speed):
    starts = np.arange("2026-01-01", "2026-01-02", dtype="datetime64[h]").astype("datetime64[s]")
    zero = np.zeros(24)
    return WeatherYear(
        starts, 1.0, zero, zero, zero, zero + 27, np.full(24, speed), 12.5, 109.0, "made up"
    ), starts


@pytest.mark.parametrize(
    ("speed", "power"), [(2.0, 0.0), (8.0, 1771.1), (10.0, 3448.4), (15.0, 5000.0), (25.5, 0.0)]
)
def test_the_reference_turbine_follows_its_published_curve(speed, power):
    """NREL 5 MW reference turbine (turbine-models archive): 1,771.1 kW at 8 m/s, 3,448.4 at 10, 5,000 from 11.4 to 25 m/s."""
    weather, starts = windy(speed)
    found = wind.output(weather, 5000.0, starts=starts, hours=1.0, hub=weather.wind_height)
    assert found == pytest.approx(np.full(24, power), abs=0.1)


def test_wind_grows_with_height_and_thins_with_the_air():
    weather, starts = windy(6.0)
    low, high = (wind.output(weather, starts=starts, hours=1.0, hub=h).mean() for h in (10.0, 90.0))
    expected = np.interp(6.0 * 9.0 ** (1 / 7), *wind.CURVE)
    assert high == pytest.approx(expected)
    assert high > low
    thin = wind.output(weather, starts=starts, hours=1.0, density=1.0).mean()
    assert thin < high
    with pytest.raises(RequestError):
        wind.output(weather, starts=starts, hours=1.0, curve=([0, 5, 3], [0, 1, 1]))
