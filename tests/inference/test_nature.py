# SPDX-License-Identifier: Apache-2.0
"""Screening of air, weather and water levels: nature's bounds hold, nature's moods pass."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mangrove.inference import nature
from mangrove.inference.runs import limits_of
from mangrove.inference.screening import Screened, screen
from mangrove.inference.series import DAY, SECOND, Series
from mangrove.ledger.types import Quality
from mangrove.territory.model import Carrier, Flow
from mangrove.times import Step
from mangrove.units import Quantity, unit

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
HOUR = 3600 * SECOND
MIDNIGHT = 1_704_042_000 * SECOND


def flow(carrier: str, written: str, **more: object) -> Flow:
    return Flow("f", "p", Carrier.parse(carrier), unit(written), Step.parse("1h"), semantics="state", **more)  # type: ignore[arg-type]


def screened(values: np.ndarray, of: Flow) -> Screened:
    start = MIDNIGHT + np.arange(len(values)) * HOUR
    series = Series(start, np.asarray(values, float), np.zeros(len(values), np.uint8))
    return screen(series, HOUR, limits_of(of), HANOI)


def codes(values: np.ndarray, of: Flow) -> np.ndarray:
    return screened(values, of).series.quality


def test_a_wind_that_turns_through_north_is_no_spike_and_no_fault():
    rng = np.random.default_rng(1)
    turning = np.mod(rng.normal(0, 15, 60 * 24), 360)
    assert turning.min() < 10
    assert turning.max() > 350
    assert not codes(turning, flow("weather:wind_from", "deg")).any()


@pytest.mark.parametrize(
    ("carrier", "written", "values", "wrong"),
    [
        ("weather:wind_from", "deg", [0, 359.9, 360, 361, -1], [3, 4]),
        ("weather:humidity", "%", [0, 100, 100.5, -0.1], [2, 3]),
        ("weather:humidity", "1", [0, 1, 1.005], [2]),
        ("weather:temperature", "degC", [-10, 45, 99], [2]),
        ("weather:pressure", "hPa", [850, 1013, 101_300], [2]),
        ("weather:wind_speed", "m/s", [0, 60, -1, 300], [2, 3]),
        ("air:pm25", "ug/m3", [0, 500, -3], [2]),
        ("air:co2", "ppm", [420, -1], [1]),
        ("water_level:tide", "m", [-2.5, 4], []),
    ],
)
def test_what_nature_does_not_do_is_out_of_range(carrier, written, values, wrong):
    found = codes(np.array(values, float), flow(carrier, written))
    assert np.flatnonzero(found == Quality.RANGE).tolist() == wrong


def test_a_declared_bound_stands_before_natures():
    declared = flow("air:pm25", "ug/m3", parameters={"minimum": Quantity.parse("-5 ug/m3")})
    assert codes(np.array([-3.0, -6.0, 2.0]), declared).tolist() == [0, Quality.RANGE, 0]


def rain(values: np.ndarray, step: str = "1h") -> Flow:
    of = flow("weather:rain", "mm")
    return replace(of, semantics="sum", step=Step.parse(step))


def test_weeks_without_rain_and_one_downpour_are_left_alone():
    values = np.zeros(120 * 24)
    values[50 * 24 : 50 * 24 + 3] = [12.0, 96.4, 31.0]
    values[90 * 24] = 0.4
    found = screened(values, rain(values))
    assert not found.changed.any()
    assert found.findings == ()


def test_rain_below_zero_and_more_than_ever_fell_are_out_of_range():
    values = np.array([0.0, -0.2, 400.0, 402.0])
    assert np.flatnonzero(codes(values, rain(values)) == Quality.RANGE).tolist() == [1, 3]
    assert nature.bounds(rain(values, "1d"))[1] == pytest.approx(24 * 401)


def test_a_dust_sensor_that_says_one_number_all_day_is_stuck_and_a_firework_is_not():
    rng = np.random.default_rng(2)
    values = np.round(30 + 8 * np.sin(np.arange(40 * 24) / 24 * 2 * np.pi) + rng.normal(0, 3, 40 * 24), 1)
    values[400] = 900.0
    values[500:530] = values[500]
    found = codes(values, flow("air:pm25", "ug/m3"))
    assert np.flatnonzero(found).tolist() == list(range(501, 530))
    assert set(found[501:530].tolist()) == {int(Quality.STUCK)}


def test_humidity_may_stay_at_its_bound():
    values = np.concatenate([np.linspace(60, 99, 200), np.full(60, 100.0), np.linspace(99, 60, 200)])
    assert not codes(values, flow("weather:humidity", "%")).any()


def test_other_carriers_keep_the_rules_of_their_semantics():
    assert nature.rules(replace(flow("electricity", "kWh"), semantics="sum")) is None
    assert not codes(np.repeat(7.5, DAY * 30 // HOUR), flow("electricity", "kW")).any()
