# SPDX-License-Identifier: Apache-2.0
"""Screening finds injected faults and leaves real, clean series alone."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mangrove.inference import screening
from mangrove.inference.screening import Limits, screen
from mangrove.inference.series import DAY, SECOND, Series
from mangrove.ledger.types import Quality

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
HOUR = 3600 * SECOND
QUARTER = 900 * SECOND
MIDNIGHT = 1_704_042_000 * SECOND  # 2024-01-01 00:00 in Ha Noi


def plant(days: int = 120, step: int = QUARTER, seed: int = 1) -> Series:
    """A factory: base load, two shifts on working days, five percent noise; no value twice."""
    rng = np.random.default_rng(seed)
    start = MIDNIGHT + np.arange(days * DAY // step) * step
    hour = (start - MIDNIGHT) % DAY / HOUR
    weekday = (start - MIDNIGHT) // DAY % 7 < 6
    load = 20 + 60 * weekday * ((hour >= 6) & (hour < 22)) * (1 - 0.3 * ((hour >= 11.5) & (hour < 13)))
    return Series(start, load * rng.normal(1, 0.05, len(start)), np.zeros(len(start), np.uint8))


def changed(series: Series, **columns: np.ndarray) -> Series:
    return Series(
        columns.get("start", series.start),
        columns.get("value", series.value),
        columns.get("quality", series.quality),
    )


def found(series: Series, code: Quality, step: int = QUARTER, limits: Limits | None = None) -> np.ndarray:
    result = screen(series, step, limits or Limits(), HANOI)
    return np.flatnonzero(result.series.quality == code)


def test_a_clean_series_gets_no_code_and_no_finding():
    result = screen(plant(), QUARTER, Limits(), HANOI)
    assert not result.changed.any()
    assert result.findings == ()


def test_every_missing_step_becomes_a_row_and_every_gap_a_finding():
    series = plant(10)
    keep = np.ones(len(series), dtype=bool)
    keep[[5, 100, 101, 102]] = False
    result = screen(series.pick(keep), QUARTER, Limits(), HANOI)
    assert len(result.series) == len(series)
    assert np.flatnonzero(result.series.quality == Quality.MISSING).tolist() == [5, 100, 101, 102]
    assert np.isnan(result.series.value[[5, 100, 101, 102]]).all()
    assert [(one.rule, one.rows) for one in result.findings] == [("gap", 1), ("gap", 3)]


def test_gaps_before_the_first_and_after_the_last_row_of_an_asked_span_are_found():
    series = plant(2)
    low, high = MIDNIGHT - DAY, MIDNIGHT + 3 * DAY
    result = screen(series, QUARTER, Limits(), HANOI, low=low, high=high)
    assert (result.series.quality == Quality.MISSING).sum() == 2 * 96
    nothing = screen(Series.empty(), QUARTER, Limits(), HANOI, low=low, high=high)
    assert (nothing.series.quality == Quality.MISSING).sum() == 4 * 96


def test_data_coarser_than_declared_is_said_and_not_called_a_gap():
    series = plant(20, HOUR)
    result = screen(series, QUARTER, Limits(), HANOI)
    assert not result.changed.any()
    assert [(one.rule, one.detail) for one in result.findings] == [("step", 3600.0)]


def test_values_out_of_bounds_are_marked():
    series = plant(3)
    value = series.value.copy()
    value[7], value[9] = -1.0, 500.0
    faulty = changed(series, value=value)
    assert found(faulty, Quality.RANGE).tolist() == [7]
    assert found(faulty, Quality.RANGE, limits=Limits(maximum=200.0)).tolist() == [7, 9]
    assert found(faulty, Quality.RANGE, limits=Limits(minimum=-5.0)).tolist() == []
    assert found(faulty, Quality.RANGE, limits=Limits(semantics="mean")).tolist() == []


@pytest.mark.parametrize("at", [500, 3000, 7000])
def test_a_meter_that_repeats_a_value_for_a_day_is_stuck_after_the_first(at):
    series = plant()
    value = series.value.copy()
    value[at : at + 96] = value[at]
    assert found(changed(series, value=value), Quality.STUCK).tolist() == list(range(at + 1, at + 96))


def test_zeros_and_set_points_are_not_stuck():
    series = plant()
    hour = (series.start - MIDNIGHT) % DAY / HOUR
    sun = np.where((hour > 6) & (hour < 18), series.value, 0.0)
    assert not len(found(changed(series, value=sun), Quality.STUCK))
    set_point = np.where((hour > 6) & (hour < 22), 50.0, 20.0)
    assert not len(found(changed(series, value=set_point), Quality.STUCK))
    rounded = np.round(series.value / 10) * 10
    assert not len(found(changed(series, value=rounded), Quality.STUCK))


@pytest.mark.parametrize("factor", [5.0, 10.0, 1000.0])
def test_jumps_of_a_few_steps_are_spikes(factor):
    series = plant()
    places = np.array([1000, 2500, 4001, 4002, 7777])
    value = series.value.copy()
    value[places] = 80 * factor
    assert found(changed(series, value=value), Quality.SPIKE).tolist() == places.tolist()


def test_a_new_machine_that_stays_is_not_a_spike():
    series = plant()
    value = series.value.copy()
    value[6000:] += 300
    assert not len(found(changed(series, value=value), Quality.SPIKE))


@pytest.mark.parametrize("hours", [-2, -1, 1, 2])
def test_days_with_a_shifted_clock_are_found_with_their_shift(hours):
    series = plant(140)
    value = series.value.copy()
    days = slice(70 * 96, 84 * 96)
    value[days] = np.roll(series.value, hours * 4)[days]
    result = screen(changed(series, value=value), QUARTER, Limits(), HANOI)
    marked = np.flatnonzero(result.series.quality == Quality.CLOCK)
    inside = (marked >= days.start) & (marked < days.stop)
    assert inside.sum() >= 0.9 * 14 * 96
    assert (~inside).sum() <= 96
    assert {one.detail for one in result.findings if one.rule == "clock"} == {float(hours)}


def test_a_dead_meter_at_zero_is_reported_but_its_values_still_count():
    series = plant()
    value = series.value.copy()
    value[5000:5200] = 0.0
    result = screen(changed(series, value=value), QUARTER, Limits(), HANOI)
    assert [(one.rule, one.rows) for one in result.findings] == [("zero", 200)]
    assert not result.changed.any()


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_values_in_another_unit_are_reported_but_still_count(factor):
    """Three days of kWh sent as MWh (or the other way): one finding over exactly these days, no code."""
    series = plant()
    wrong = slice(60 * 96, 63 * 96)
    value = series.value.copy()
    value[wrong] *= factor
    result = screen(changed(series, value=value), QUARTER, Limits(), HANOI)
    levels = [one for one in result.findings if one.rule == "level"]
    assert [(one.start, one.rows) for one in levels] == [(int(series.start[wrong.start]), 3 * 96)]
    assert levels[0].detail == pytest.approx(factor, rel=0.5)


def test_a_holiday_week_at_the_base_load_is_not_another_level():
    series = plant()
    value = series.value.copy()
    value[40 * 96 : 47 * 96] = 20.0 + np.arange(7 * 96) % 7 * 0.01
    result = screen(changed(series, value=value), QUARTER, Limits(), HANOI)
    assert "level" not in {one.rule for one in result.findings}


def test_codes_that_came_in_are_kept():
    series = plant(20)
    quality = series.quality.copy()
    quality[100:300], quality[500] = Quality.FAULT, Quality.MANUAL
    value = series.value.copy()
    value[100:300] = 7.0
    result = screen(changed(series, value=value, quality=quality), QUARTER, Limits(), HANOI)
    assert result.series.quality.tolist() == quality.tolist()


def test_a_state_is_only_looked_at_for_gaps_and_bounds():
    series = plant()
    value = series.value.copy()
    value[100:400], value[5000] = 7.0, 1e6
    result = screen(changed(series, value=value), QUARTER, Limits(semantics="state"), HANOI)
    assert not result.changed.any()


def steel(data_dir) -> Series:
    lines = (
        (data_dir / "load" / "uci_steel_industry_2018_15min.csv").read_text(encoding="utf-8-sig").splitlines()
    )
    value = np.array([float(line.split(",")[1]) for line in lines[1:]])
    start = 1_514_732_400 * SECOND + np.arange(len(value)) * QUARTER  # 2018-01-01 00:00 in Seoul
    return Series(start, value, np.zeros(len(value), np.uint8))


def home(data_dir, number: int, column: str, tz: ZoneInfo) -> Series:
    """A CityLearn home; its rows are hours of the wall clock from 2016-07-31 23:00."""
    from mangrove.sources.stamps import WallClock, to_utc

    path = data_dir / "load" / "citylearn2022_fontana" / f"Building_{number}.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    place = lines[0].split(",").index(column)
    value = np.array([float(line.split(",")[place]) for line in lines[1:]])
    wall = 1_470_006_000 * SECOND + np.arange(len(value)) * HOUR
    no = np.zeros(len(wall), dtype=bool)
    utc, _ = to_utc(WallClock(wall, no, no, np.zeros(len(wall), np.uint8)), tz)
    keep = np.concatenate([[True], np.diff(utc) > 0])
    return Series(utc[keep], value[keep], np.zeros(int(keep.sum()), np.uint8))


@pytest.mark.data
def test_false_alarms_on_real_loads_stay_below_one_in_a_thousand(data_dir):
    los_angeles = ZoneInfo("America/Los_Angeles")
    flagged = rows = 0
    cases = [(steel(data_dir), QUARTER, ZoneInfo("Asia/Seoul"))]
    cases += [(home(data_dir, n, "non_shiftable_load", los_angeles), HOUR, los_angeles) for n in range(1, 18)]
    for series, step, tz in cases:
        quality = screen(series, step, Limits(), tz).series.quality
        flagged += int(((quality != Quality.GOOD) & (quality != Quality.MISSING)).sum())
        rows += len(series)
    assert rows > 180_000
    assert flagged / rows < 0.001


@pytest.mark.data
def test_false_alarms_on_real_solar_series_stay_below_one_in_a_thousand(data_dir):
    los_angeles = ZoneInfo("America/Los_Angeles")
    flagged = rows = 0
    for number in range(1, 18):
        series = home(data_dir, number, "solar_generation", los_angeles)
        quality = screen(series, HOUR, Limits(), los_angeles).series.quality
        flagged += int(((quality != Quality.GOOD) & (quality != Quality.MISSING)).sum())
        rows += len(series)
    assert flagged / rows < 0.001


@pytest.mark.data
def test_the_end_of_summer_time_is_found_in_real_solar_series_read_with_a_fixed_offset(data_dir):
    """The files follow the Californian wall clock; read with a fixed offset, the sun moves an hour on 2016-11-06."""
    fixed = ZoneInfo("Etc/GMT+8")
    hits = 0
    for number in range(1, 18):
        series = home(data_dir, number, "solar_generation", fixed)
        clocks = [f for f in screen(series, HOUR, Limits(), fixed).findings if f.rule == "clock"]
        november = 1_478_390_400 * SECOND  # 2016-11-06 00:00 UTC
        hits += any(abs(one.start - november) < 3 * DAY and one.detail == -1 for one in clocks)
    assert hits >= 12


@pytest.mark.data
@pytest.mark.parametrize("seed", range(3))
def test_faults_injected_into_the_steel_series_are_found(data_dir, seed):
    rng = np.random.default_rng(seed)
    clean = steel(data_dir)
    value = clean.value.copy()
    spike = rng.choice(len(value), 20, replace=False)
    value[spike] = value.max() * rng.uniform(3, 50, 20)
    stuck = int(rng.integers(5000, 30_000))
    value[stuck : stuck + 96] = value[stuck] + 0.5
    result = screen(changed(clean, value=value), QUARTER, Limits(), ZoneInfo("Asia/Seoul"))
    quality = result.series.quality
    free = np.setdiff1d(spike, np.arange(stuck, stuck + 96))
    assert (quality[free] == Quality.SPIKE).mean() >= 0.95
    assert np.isin(quality[stuck + 1 : stuck + 96], [Quality.STUCK, Quality.SPIKE]).all()
    untouched = np.setdiff1d(np.arange(len(value)), np.concatenate([spike, np.arange(stuck, stuck + 96)]))
    assert (quality[untouched] != Quality.GOOD).mean() < 0.001


@pytest.mark.data
def test_most_shifted_fortnights_of_the_steel_series_are_found(data_dir):
    clean, seoul = steel(data_dir), ZoneInfo("Asia/Seoul")
    rates = []
    for day in range(70, 330, 20):
        value = clean.value.copy()
        span = slice(day * 96, (day + 14) * 96)
        value[span] = np.roll(clean.value, 4)[span]
        quality = screen(changed(clean, value=value), QUARTER, Limits(), seoul).series.quality
        rates.append((quality[span] == Quality.CLOCK).mean())
    assert np.mean(rates) > 0.7


def test_every_threshold_is_a_documented_constant():
    source = screening.__doc__ or ""
    assert all(rule in source for rule in ("gap", "range", "stuck", "spike", "clock", "zero run"))
