# SPDX-License-Identifier: Apache-2.0
"""Generated readings: the same for a seed, within bounds, and with the statistics of the real series."""

import csv
import hashlib
import shutil
import zlib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from openpyxl import load_workbook

from mangrove.errors import RequestError, SourceError
from mangrove.sources import generator_calibration as real
from mangrove.sources import generator_files as files
from mangrove.sources import generator_models as models
from mangrove.sources.generator import date_homes, generate, write_year
from mangrove.sources.generator_recipe import Charging, Load, Pv, State

PARK = Path(__file__).parents[2] / "examples" / "park"
LOADS = ("steel", "home_1", "home_4", "office", "three_shift", "cold_store", "wastewater")


def load(profile, year=2024, seed=1, **more):
    return generate(Load(model="load", profile=profile, **more), year, seed)["value"].to_numpy()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The year 2024 of the example park, written into a copy of it."""
    folder = tmp_path_factory.mktemp("park") / "park"
    shutil.copytree(PARK, folder, ignore=shutil.ignore_patterns("values", ".mangrove"))
    return folder, write_year(folder)


def digest(paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


# Determinism


def test_the_raw_numbers_are_those_of_pcg64_on_every_platform():
    stream = models.Stream(2024, "a name")
    bits = np.random.PCG64(np.random.SeedSequence([2024, 3435983682]))
    assert zlib.crc32(b"a name") == 3435983682
    expected = [((int(raw) >> 11) + 0.5) / 2**53 for raw in bits.random_raw(5)]
    assert stream.uniform(5).tolist() == expected


def test_the_first_quarter_hours_of_a_seed_never_change():
    values = np.round(load("steel", seed=7)[32:37], 2)
    assert values.tolist() == PINNED


def test_the_same_seed_gives_the_same_files_and_another_seed_others(written, tmp_path):
    folder, paths = written
    again = tmp_path / "again"
    shutil.copytree(folder, again, ignore=shutil.ignore_patterns("values"))
    assert digest(write_year(again)) == digest(paths)
    assert digest(write_year(again, seed=1)) != digest(paths)


def test_a_series_does_not_depend_on_what_else_is_generated():
    alone = generate(Load(model="load", profile="office"), 2024, 5, name="b")["value"]
    generate(Load(model="load", profile="steel"), 2024, 5, name="a")
    assert generate(Load(model="load", profile="office"), 2024, 5, name="b")["value"].equals(alone)


# Bounds


@pytest.mark.parametrize("profile", LOADS)
@pytest.mark.parametrize("seed", [0, 1, 99])
def test_no_load_is_negative_or_missing(profile, seed):
    values = load(profile, seed=seed)
    assert np.isfinite(values).all()
    assert values.min() >= 0


def test_the_sun_does_not_shine_at_night_and_never_above_the_clear_sky():
    table = generate(Pv(model="pv", kwp=100), 2024, 3)
    values = table["value"].to_numpy().reshape(-1, 96)
    times = models.Calendar.of(2024).starts(900)
    up = models.cos_zenith(times, 900, 20.9, 106.7, 7.0).reshape(-1, 96) > 0
    assert (values[~up] == 0).all()
    assert (values[:, :18] == 0).all()  # before 04:30
    assert (values[:, 78:] == 0).all()  # after 19:30
    assert values.max() < 100 * 0.25  # never more than the rated power for a quarter of an hour
    assert values[up].sum() > 0


def test_noon_is_where_the_sun_is_highest():
    times = models.Calendar.of(2024).starts(900)
    height = models.cos_zenith(times, 900, 20.9, 106.7, 7.0).reshape(-1, 96)
    noon = (np.argmax(height, axis=1) + 0.5) / 4
    # 106.7 E stands 1.7 degrees (6.8 min) east of the zone's meridian; the equation of time is within 16.5 min.
    assert abs(noon - (12 - 1.7 * 4 / 60)).max() < 16.5 / 60 + 0.26
    solstice = (date(2024, 6, 20) - date(2024, 1, 1)).days
    assert height[solstice].max() == pytest.approx(np.cos(np.radians(23.44 - 20.9)), abs=0.002)


def test_charging_sessions_stay_within_what_was_seen():
    table = generate(Charging(model="charging"), 2024, 2)
    start, end = (table[name].to_numpy().astype("datetime64[s]") for name in ("start", "end"))
    energy = table["value"].to_numpy()
    hours = (end - start).astype(float) / 3600
    assert (np.diff(start) > np.timedelta64(0, "s")).all()
    assert 0 <= energy.min() <= energy.max() <= 23.68  # the largest session of the real file
    assert 0 < hours.min() <= hours.max() <= 24
    assert (energy <= hours * 5.787 + 0.01).all()
    local = (start + np.timedelta64(7, "h")).astype("datetime64[D]")
    assert not np.isin(local, np.array(["2024-02-10", "2024-09-02"], dtype="datetime64[D]")).any()


def test_a_state_scatters_around_its_mean_by_its_spread():
    values = generate(State(model="state", mean=41, spread=0.12, decay=0.9), 2024, 1)["value"].to_numpy()
    assert values.mean() == pytest.approx(41, rel=0.02)
    assert values.std() / values.mean() == pytest.approx(0.12, rel=0.05)
    assert real.autocorrelation(values, 1) == pytest.approx(0.9, abs=0.02)


# The calendar


@pytest.mark.parametrize("profile", ["steel", "office", "three_shift"])
def test_tet_lowers_the_load(profile):
    daily = load(profile).reshape(366, -1).sum(axis=1)
    tet = slice((date(2024, 2, 8) - date(2024, 1, 1)).days, (date(2024, 2, 15) - date(2024, 1, 1)).days)
    weekdays = models.Calendar.of(2024).types() == 0
    assert daily[tet].mean() < 0.4 * daily[weekdays].mean()


def test_days_are_sorted_into_work_saturday_sunday_and_closed():
    types = models.Calendar.of(2024).types()
    assert len(types) == 366
    assert types[:7].tolist() == [3, 0, 0, 0, 0, 1, 2]  # Monday 1 January 2024 is a holiday
    assert (types == 3).sum() == 13


def test_a_year_without_a_calendar_is_refused():
    with pytest.raises(RequestError) as caught:
        load("steel", year=1999)
    assert caught.value.code == "generator.no_calendar"
    assert "2024" in caught.value.text()


def test_a_misspelled_profile_is_suggested():
    with pytest.raises(RequestError) as caught:
        load("stel")
    assert "'steel'" in caught.value.text()


def test_a_recipe_that_is_wrong_or_missing_is_refused(tmp_path):
    with pytest.raises(SourceError) as caught:
        write_year(tmp_path)
    assert caught.value.code == "generator.no_recipe"
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "recipe.yaml").write_text(
        "year: 2024\nseed: x\nsite: {latitude: 1, longitude: 2}\nfiles: []"
    )
    with pytest.raises(SourceError) as caught:
        write_year(tmp_path)
    assert caught.value.problem.data["at"] == "seed"


# The files


def rows(path, delimiter=","):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_the_park_writes_what_its_tenants_would_send(written):
    folder, paths = written
    names = {path.relative_to(folder / "values" / "2024").as_posix() for path in paths}
    assert "dien_nha_may_thep.csv" in names
    assert "mua_nhien_lieu.xlsx" in names
    assert sum(name.startswith("quan_trac/HP_SDC1_NUOCTHAI_202406") for name in names) == 576
    assert sum(path.stat().st_size for path in paths) < 25_000_000


def test_period_ending_stamps_write_midnight_as_24_00(written):
    table = rows(written[0] / "values/2024/dien_nha_may_thep.csv", ";")
    assert len(table) == 35136 + 1
    assert table[1][0] == "01/01/2024 00:15"
    assert table[96][0] == "01/01/2024 24:00"
    assert table[-1][0] == "31/12/2024 24:00"
    assert all("," in row[1] and "." not in row[1] for row in table[1:])


def test_the_faults_that_the_recipe_wants_are_in_the_files(written):
    folder = written[0] / "values/2024"
    parks = rows(folder / "cong_to_phan_khu.csv")
    machine = [row for row in parks if row[1] == "CT-MAY-01"]
    assert len(machine) == 35136 - 72 * 4
    stuck = [
        row[2] for row in parks if row[1] == "CT-DT-01" and "2024-10-15 03:15" <= row[0] <= "2024-10-16 05:00"
    ]
    assert len(stuck) == 26 * 4
    assert len(set(stuck)) == 1
    register = [float(row[1]) for row in rows(folder / "chi_so_kho_lanh.csv")[1:]]
    falls = [i for i in range(1, len(register)) if register[i] < register[i - 1]]
    assert len(falls) == 1
    assert len(register) == 35136 + 1  # the reading at the start of the year comes first
    late = rows(folder / "cong_to_nhua_thang_9_gui_muon.csv")
    first = rows(folder / "cong_to_nhua.csv")
    assert len(late) - 1 == 30 * 96
    assert not any(row[0].startswith("2024-09") for row in first)
    again = rows(folder / "cong_to_phan_khu_thang_5_gui_lai.csv")[1:]
    assert set(map(tuple, again)) < set(map(tuple, parks))


def test_a_second_meter_says_what_the_first_one_counts_but_for_its_error(written):
    _, *table = rows(written[0] / "values/2024/trao_doi.csv")
    sent, received = (np.array([float(row[column]) for row in table]) for column in (1, 2))
    ratio = received / sent
    assert ratio[8] == pytest.approx(0.98 * 1.25, abs=0.04)  # the scale stood wrong in September
    assert np.abs(np.delete(ratio, 8) / 0.98 - 1).max() < 4 * 0.008


def test_station_files_have_the_form_of_circular_10_2021(written):
    folder = written[0] / "values/2024/quan_trac"
    good = (folder / "HP_SDC1_NUOCTHAI_20240610000500.txt").read_bytes()
    lines = good.decode().split("\r\n")
    assert [line.split("\t")[0] for line in lines[:-1]] == ["Flow", "pH", "TSS", "COD"]
    assert all(line.split("\t")[3:] == ["20240610000500", "00"] for line in lines[:-1])
    broken = (folder / "HP_SDC1_NUOCTHAI_20240610080500.txt").read_text().splitlines()
    assert broken[-1] == "COD\t\tmg/L\t20240610080500\t02"


def test_typed_lists_hold_text_with_decimal_commas(written):
    folder = written[0] / "values/2024"
    fuels = list(load_workbook(folder / "mua_nhien_lieu.xlsx")["Nhiên liệu"].values)
    assert fuels[1][0] == "Kỳ từ ngày"
    assert fuels[2][0] == "01/01/2024"
    oil = [float(row[1].replace(",", ".")) for row in fuels[2:]]
    assert sum(oil) == pytest.approx(1300, rel=0.06)
    top_ups = list(load_workbook(folder / "moi_chat_lanh.xlsx")["Môi chất lạnh"].values)[2:]
    assert [month for month, row in enumerate(top_ups, start=1) if row[1] != "0,0"] == [3, 6, 9, 12]


def test_the_mills_output_follows_its_electricity():
    one = generate(Load(model="load", profile="steel", scale=25, stream="mill"), 2024, 3, name="a")
    other = generate(
        Load(model="load", profile="steel", scale=0.05, stream="mill"), 2024, 3, name="b", step=86400
    )
    daily = one["value"].to_numpy().reshape(-1, 96).sum(axis=1)
    np.testing.assert_allclose(other["value"].to_numpy(), daily / 500)


def test_an_outage_is_an_empty_cell_and_a_register_returns_to_zero():
    assert files.texts(np.array([1.25, np.nan]), 2, ",") == ["1,25", ""]


# Calibration against the real files


@pytest.mark.data
def test_the_tables_of_statistics_are_those_of_the_real_files(data_dir, tmp_path):
    shipped = Path(models.__file__).parent
    for path in real.write(data_dir, tmp_path):
        for have, expected in zip(rows(shipped / path.name), rows(path), strict=True):
            assert have == pytest.approx(expected) or have[:3] == expected[:3]
            for a, b in zip(have, expected, strict=True):
                assert a == b or float(a) == pytest.approx(float(b), rel=1e-3)


@pytest.fixture(scope="module")
def mill(data_dir):
    """The real steel works and five generated years with its own calendar of 2018."""
    series, closed = real.steel(data_dir)
    calendar = models.Calendar(2018, frozenset(closed))
    made = [models.load("steel", calendar, models.Stream(seed, "test"), 900) for seed in range(5)]
    return series, made


@pytest.mark.data
def test_the_generated_mill_has_the_statistics_of_the_real_one(mill):
    series, made = mill
    for values in made:
        assert values.mean() == pytest.approx(series.values.mean(), rel=0.08)
        for p, tolerance in ((0.1, 0.05), (0.5, 0.10), (0.9, 0.08)):
            assert np.quantile(values, p) == pytest.approx(np.quantile(series.values, p), rel=tolerance)
        assert values.max() <= series.values.max()
        assert real.autocorrelation(values, 1) == pytest.approx(
            real.autocorrelation(series.values, 1), abs=0.01
        )
        assert real.autocorrelation(values, 96) == pytest.approx(
            real.autocorrelation(series.values, 96), abs=0.09
        )


@pytest.mark.data
def test_five_generated_mill_years_have_the_mean_of_the_real_one(mill):
    series, made = mill
    assert np.mean(made) == pytest.approx(series.values.mean(), rel=0.03)


@pytest.mark.data
def test_the_generated_mill_has_the_weeks_of_the_real_one(mill):
    series, made = mill

    def ratio(values, kind):
        return values[series.types == kind].mean() / values[series.types == 0].mean()

    def profile(values):
        cells = series.types * 24 + series.hours
        return np.array([values[cells == c].mean() for c in range(72)])

    for values in made:
        assert ratio(values, 1) == pytest.approx(ratio(series.values, 1), rel=0.25)
        assert ratio(values, 2) == pytest.approx(ratio(series.values, 2), rel=0.35)
        assert np.corrcoef(profile(values), profile(series.values))[0, 1] > 0.95
    mean = np.mean(made, axis=0)
    assert ratio(mean, 1) == pytest.approx(ratio(series.values, 1), rel=0.1)
    assert ratio(mean, 2) == pytest.approx(ratio(series.values, 2), rel=0.15)


@pytest.mark.data
@pytest.mark.parametrize("number", [1, 4])
def test_the_generated_homes_have_the_statistics_of_the_real_ones(data_dir, number):
    series = real.home(data_dir, number)
    values = load(f"home_{number}")
    assert values.mean() == pytest.approx(series.values.mean(), rel=0.04)
    for p in (0.1, 0.5, 0.9):
        assert np.quantile(values, p) == pytest.approx(np.quantile(series.values, p), rel=0.06)
    assert real.autocorrelation(values, 1) == pytest.approx(real.autocorrelation(series.values, 1), abs=0.03)
    by_hour = [series.values[series.hours == hour].mean() for hour in range(24)]
    assert np.corrcoef(values.reshape(-1, 24).mean(axis=0), by_hour)[0, 1] > 0.95


@pytest.mark.data
def test_the_generated_sun_has_the_statistics_of_the_satellite_year(data_dir):
    sky = real.sun(data_dir)
    calendar = models.Calendar(2019, frozenset())
    years = [
        models.sunshine(12.53, 109.03, calendar, models.Stream(seed, "sun")).reshape(365, 24, 4).mean(axis=2)
        for seed in range(3)
    ]
    for made in years:
        assert made.sum() == pytest.approx(sky.measured.sum(), rel=0.05)
        assert np.corrcoef(made.mean(axis=0), sky.measured.mean(axis=0))[0, 1] > 0.95
        daily, seen = made.sum(axis=1), sky.measured.sum(axis=1)
        for p, tolerance in ((0.1, 0.2), (0.5, 0.08), (0.9, 0.06)):
            assert np.quantile(daily, p) == pytest.approx(np.quantile(seen, p), rel=tolerance)
    by_month = [np.mean([y[sky.months == m].mean() for y in years]) for m in range(1, 13)]
    seen = [sky.measured[sky.months == m].mean() for m in range(1, 13)]
    assert np.corrcoef(by_month, seen)[0, 1] > 0.9


@pytest.mark.data
def test_the_generated_sessions_have_the_statistics_of_the_real_ones(data_dir):
    found = real.sessions(data_dir)
    made = models.charging(models.Calendar.of(2024), models.Stream(1, "test"))
    hours = (made.ends - made.starts).astype(float) / 3600
    assert made.energy.mean() == pytest.approx(found.energy.mean(), rel=0.03)
    for p in (0.25, 0.5, 0.75, 0.9):
        assert np.quantile(made.energy, p) == pytest.approx(np.quantile(found.energy, p), rel=0.04)
        assert np.quantile(hours, p) == pytest.approx(np.quantile(found.hours, p), rel=0.04)
    arrivals = [
        np.bincount(h, minlength=24) / len(h)
        for h in (made_hours(made), np.array([s.hour for s in found.starts]))
    ]
    assert abs(arrivals[0] - arrivals[1]).max() < 0.015
    assert spearman(made.energy, hours) == pytest.approx(spearman(found.energy, found.hours), abs=0.05)


def made_hours(made):
    return (made.starts - made.starts.astype("datetime64[D]")).astype(int) // 3600


def spearman(left, right):
    ranks = [np.argsort(np.argsort(values)) for values in (left, right)]
    return np.corrcoef(*ranks)[0, 1]


PINNED = [2.58, 2.63, 2.64, 3.03, 3.18]


def test_flows_of_real_files_are_left_out(tmp_path):
    folder = tmp_path / "park"
    shutil.copytree(PARK, folder, ignore=shutil.ignore_patterns("values", ".mangrove"))
    paths = write_year(folder, 2018, without={"steel_electricity", "office_1_electricity"})
    names = {path.name for path in paths}
    assert "dien_nha_may_thep.csv" not in names
    assert rows(folder / "values/2018/van_phong.csv")[0] == ["time", "office_2", "wwtp", "canteen"]
    assert not any(name.startswith("HP_SDC1") for name in names)


@pytest.mark.data
def test_real_homes_are_dated_so_that_weekdays_stay(data_dir, tmp_path):
    first, _ = date_homes(data_dir, tmp_path)
    table = rows(first)
    assert table[1][0] == "2017-07-30T23:00"  # a Sunday, as 31 July 2016
    assert date(2017, 7, 30).weekday() == date(2016, 7, 31).weekday() == 6
    assert len(table) == 8761
    source = real.home(data_dir, 1)
    assert sum(float(row[1]) for row in table[1:]) == pytest.approx(source.values.sum())
