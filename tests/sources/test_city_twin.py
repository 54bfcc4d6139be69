# SPDX-License-Identifier: Apache-2.0
"""The city twin keeps the statistics it leans on, follows its hidden truth, and is the same on every run."""

import csv
import shutil
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.doors import EXAMPLES

from mangrove.errors import SourceError
from mangrove.sources import city_twin, city_twin_recipe, city_twin_weather
from mangrove.territory import check, load


def copy(target: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / "city", target, ignore=shutil.ignore_patterns(".mangrove")))


def columns(path: Path) -> dict[str, np.ndarray]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: np.array([row[name] for row in rows], "datetime64[h]")
        if name == "start"
        else np.array([float(row[name] or "nan") for row in rows])
        for name in rows[0]
    }


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    folder = copy(tmp_path_factory.mktemp("twin") / "city")
    return folder, city_twin.write(folder)


@pytest.fixture(scope="module")
def hours(twin):
    return columns(twin[1][0])


@pytest.fixture(scope="module")
def air(twin):
    return columns(twin[1][1])


@pytest.fixture(scope="module")
def truth(twin):
    return city_twin.truth(twin[0])


def test_the_same_seed_gives_the_same_bytes(twin, tmp_path):
    again = copy(tmp_path / "city")
    for first, second in zip(twin[1], city_twin.write(again), strict=True):
        assert first.read_bytes() == second.read_bytes()
    for name in ("places.csv", "flows.csv", "drivers.csv", "places.geojson"):
        assert (twin[0] / name).read_bytes() == (again / name).read_bytes()


def test_another_seed_gives_another_twin_under_the_same_truth(twin, tmp_path):
    other = copy(tmp_path / "city")
    path = other / city_twin_recipe.FILE
    path.write_text(path.read_text(encoding="utf-8").replace("seed: 20250620", "seed: 7"), encoding="utf-8")
    assert city_twin.write(other)[1].read_bytes() != twin[1][1].read_bytes()


def test_the_declared_twin_is_valid_and_every_added_row_says_that_it_is_generated(twin):
    territory, problems = check(twin[0])
    assert territory is not None
    assert not problems
    before = load(EXAMPLES / "city")
    added = [flow for name, flow in territory.flows.items() if name not in before.flows]
    assert added
    assert {flow.basis for flow in added} == {"generated"}
    assert all(flow.id.startswith("tw-") and flow.account == "memo" and not flow.scope for flow in added)


def test_the_published_city_stays_as_it_was(twin):
    before, after = load(EXAMPLES / "city"), load(twin[0])
    for name, flow in before.flows.items():
        same = after.flows[name]
        assert (flow.place, flow.carrier, flow.unit, flow.scope, flow.note) == (
            same.place, same.carrier, same.unit, same.scope, same.note,
        )  # fmt: skip


def test_only_hours_that_are_over_are_written_when_a_moment_is_named(tmp_path):
    folder = copy(tmp_path / "city")
    for path in city_twin.write(folder, datetime(2025, 6, 20, 10)):  # noqa: DTZ001 - local
        assert columns(path)["start"].max() == np.datetime64("2025-06-20T09", "h")


def test_a_second_writing_adds_nothing_more(twin):
    before = [(twin[0] / name).read_bytes() for name in ("places.csv", "flows.csv", "drivers.csv")]
    city_twin.declare(twin[0])
    assert before == [(twin[0] / name).read_bytes() for name in ("places.csv", "flows.csv", "drivers.csv")]


def test_temperature_and_humidity_keep_the_means_of_their_months_and_hours(hours):
    month, hour = hours["start"].astype("datetime64[M]").astype(int) % 12, hours["start"].astype(int) % 24
    for name, slack in (("temperature", 0.7), ("humidity", 3.0)):
        series = hours[f"tw-{name}"]
        means = np.array([series[month == m].mean() for m in range(12)])
        assert np.abs(means - city_twin_weather.values(f"{name}_month")).max() < slack
        course = np.array([series[hour == h].mean() for h in range(24)])
        expected = city_twin_weather.values(f"{name}_hour")
        assert np.corrcoef(course, expected)[0, 1] > 0.99


def test_a_year_has_the_rain_of_the_climate_table_and_a_wet_season(hours):
    year = hours["start"] < np.datetime64("2025-06-01T00", "h")
    months = hours["start"].astype("datetime64[M]").astype(int) % 12
    rain = hours["tw-rain"][year]
    assert rain.sum() == pytest.approx(sum(city_twin_weather.RAIN), rel=0.25)
    dry = np.isin(months[year], (0, 1, 2))
    assert rain[dry].sum() < 0.1 * rain.sum()


def test_harmonic_analysis_finds_the_declared_constituents_and_springs_after_the_moon(hours):
    """Speeds in degrees an hour: Schureman 1958 (Manual of Harmonic Analysis of Tides), table 2. Full moon of 17 October 2024, 11:26 UTC."""
    speeds = np.array([28.9841042, 30.0, 15.0410686, 13.9430356])
    level = hours["tw-phu-an-level"]
    since = (hours["start"] - np.datetime64("2024-10-17T18", "h")).astype(float)  # 11:26 UTC is 18:26 there
    waves = np.radians(speeds[None, :] * since[:, None])
    season = 2 * np.pi * since[:, None] / 8766
    columns_ = np.column_stack(
        [np.cos(waves), np.sin(waves), np.cos(season), np.sin(season), np.ones(len(since))]
    )
    found, *_ = np.linalg.lstsq(columns_, level, rcond=None)
    amplitude = np.hypot(found[:4], found[4:8])
    assert amplitude == pytest.approx(city_twin_weather.TIDES["phu-an"][1], abs=0.02)
    crest = np.degrees(np.arctan2(found[4:6], found[:2]))  # phase lags at the full moon
    age = ((crest[0] - crest[1] + 180) % 360 - 180) / (speeds[0] - speeds[1])
    assert 0 < age < 72, "spring tides follow the moon by up to three days"
    assert -2.5 < level.min() < -1.0
    assert 1.5 < level.max() < 1.8


def test_the_event_lowers_traffic_by_what_the_truth_says(twin, truth, hours):
    territory = load(twin[0])
    at = hours["start"].astype("datetime64[D]")
    inside = (at >= np.datetime64(truth.event.from_)) & (at < np.datetime64(truth.event.to))
    before = (at >= np.datetime64(truth.event.from_) - 28) & (at < np.datetime64(truth.event.from_))
    assert territory.flows["tw-traffic"].carrier.kind == "index"
    drop = hours["tw-traffic"][inside].mean() / hours["tw-traffic"][before].mean() - 1.0
    assert drop == pytest.approx(truth.event.change, abs=0.04)


def test_readings_keep_the_level_of_the_real_stations(air):
    for species in ("co", "no2", "pm25"):
        real = city_twin_weather.values(f"{species}_hour").mean()
        mine = np.nanmean([air[name] for name in air if name.endswith(f"-{species}")])
        assert 0.5 * real < mine < 2.0 * real


def test_more_road_emissions_raise_what_the_stations_read(twin, truth, air, tmp_path):
    folder = copy(tmp_path / "city")
    path = folder / city_twin_recipe.FILE
    path.write_text(
        path.read_text(encoding="utf-8").replace("multiplier: 1.15", "multiplier: 1.5"), encoding="utf-8"
    )
    more = columns(city_twin.write(folder)[1])
    raised = np.nanmean(more["tw-air-1-co2"]) - np.nanmean(air["tw-air-1-co2"])
    assert raised > 0
    assert truth.road.multiplier == 1.15


def test_one_instrument_drifts_and_no_other(twin, truth, air, tmp_path):
    folder = copy(tmp_path / "city")
    path = folder / city_twin_recipe.FILE
    path.write_text(path.read_text(encoding="utf-8").replace("gain: 1.30", "gain: 1.0"), encoding="utf-8")
    sound = columns(city_twin.write(folder)[1])
    late = sound["start"] >= np.datetime64(truth.drift.to, "h")
    for name in air.keys() - {"start"}:
        ratio = air[name][late] / sound[name][late]
        expected = truth.drift.gain if name == truth.drift.flow else 1.0
        assert np.nanmax(np.abs(ratio - expected)) < 1e-3


def test_the_true_amount_of_a_whole_leap_year_shape_is_the_inventory_times_the_truth(twin, truth):
    """Over a year of hours the course has the mean 1, so the road emits its annual total times the multiplier."""
    from mangrove.times import Span

    territory = load(twin[0])
    span = Span.asked("2024-06-08", "2025-06-07", territory.tz)
    total = city_twin.true_amount(territory, truth, "transport", span) / 1000.0
    road, ships = 19926289.411521345, 83624.48985650405
    assert total == pytest.approx((truth.road.multiplier * road + ships) * 364 / 366, rel=0.02)


def test_a_truth_with_an_unknown_key_or_a_wrong_unit_is_an_error(tmp_path):
    folder = copy(tmp_path / "city")
    path = folder / city_twin_recipe.FILE
    good = path.read_text(encoding="utf-8")
    for old, new in (
        ("rate: 45 kg/h", "rate: many"),
        ("seed: 20250620", "sed: 1"),
        ("gain: 1.30", "gain: -1"),
    ):
        path.write_text(good.replace(old, new), encoding="utf-8")
        with pytest.raises(SourceError) as caught:
            city_twin.truth(folder)
        assert caught.value.code == "twin.bad"


def test_a_territory_without_a_twin_says_so(tmp_path):
    with pytest.raises(SourceError) as caught:
        city_twin.write(tmp_path)
    assert caught.value.code == "twin.none"


def test_the_truth_stands_in_its_file(truth):
    assert truth.event.from_ == date(2025, 6, 9)
    assert truth.source.rate.to("kg/h") == 45.0
