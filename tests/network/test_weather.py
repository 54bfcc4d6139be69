"""Weather: stamps mean what each format says, nothing is filled in silently, seasons stand for other years."""

import csv

import numpy as np
import pytest

from mangrove.errors import RequestError, SourceError
from mangrove.network import weather_files, weather_made
from mangrove.network.weather import WeatherYear, parts, sun

NSRDB = "weather/ninhsim_himawari_2019_60min.csv"
EPW = "weather/Singapore-Changi_1990_2010_TMY.epw"


def hours(first, last):
    return np.arange(first, last, dtype="datetime64[h]").astype("datetime64[s]")


def flat_year(starts, **more):
    count = len(starts)
    zenith, _, top = sun(starts + np.timedelta64(1800, "s"), 12.5, 109.0)
    ghi = 0.6 * top * np.maximum(np.cos(np.radians(zenith)), 0.0)
    given = {
        "ghi": ghi, "dni": 0.5 * ghi, "dhi": 0.3 * ghi, "temperature": np.full(count, 27.0), "wind": np.full(count, 3.0),
    }  # fmt: skip
    return WeatherYear(starts, 1.0, **{**given, **more}, lat=12.5, lon=109.0, source="made up", instant=True)


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.data
def test_an_nsrdb_stamp_is_the_moment_of_the_image_and_both_downloads_read_the_same(data_dir):
    plain = weather_files.read(data_dir / NSRDB)
    other = weather_files.read(next((data_dir / "weather").glob("nsrdb_12*.csv")))
    assert plain.starts[0] == np.datetime64("2018-12-31T16:30:00")
    assert plain.middles[0] == np.datetime64("2018-12-31T17:00:00")  # 2019-01-01 00:00, UTC+7
    assert (plain.ghi == other.ghi).all()
    assert plain.ghi.sum() / 1000 == pytest.approx(2042.3, abs=0.1)
    with (data_dir / NSRDB).open(encoding="latin-1") as file:
        rows = list(csv.DictReader(file.read().splitlines()[2:]))
    zenith, _, _ = sun(plain.middles, plain.lat, plain.lon)
    published = np.array([float(row["Solar Zenith Angle"]) for row in rows])
    assert (
        np.abs(zenith - published).mean() < 0.05
    )  # with the stamp as the middle; half an hour off it is 6 degrees


@pytest.mark.data
def test_an_epw_stamp_ends_its_hour(data_dir):
    year = weather_files.read(data_dir / EPW)
    assert year.starts[0] == np.datetime64(
        "2004-12-31T16:00:00"
    )  # row "1/1 hour 1" begins at midnight, UTC+8
    assert (len(year.starts), year.lat, year.lon) == (8760, 1.367, 103.983)
    assert year.temperature[0] == 25.6
    zenith, _, _ = sun(year.middles, year.lat, year.lon)
    assert year.ghi[zenith > 97.0].max() == 0.0
    up = np.maximum(np.cos(np.radians(zenith)), 0)
    aligned, early, late = (np.corrcoef(np.roll(up, shift), year.ghi)[0, 1] for shift in (0, -1, 1))
    assert aligned > max(early, late)


@pytest.mark.data
@pytest.mark.parametrize("file", [NSRDB, EPW])
def test_weather_at_other_moments_keeps_the_energy_of_the_year(data_dir, file):
    year = weather_files.read(data_dir / file)
    quarter = np.arange("2026-01-01", "2027-01-01", 15, dtype="datetime64[m]").astype("datetime64[s]")
    found = year.sample(parts(quarter, 0.25, 1))
    assert found.ghi.sum() / 4 == pytest.approx(year.ghi.sum(), rel=0.003)
    assert found.dhi.sum() / 4 == pytest.approx(year.dhi.sum(), rel=0.03)
    assert found.dni.sum() / 4 == pytest.approx(year.dni.sum(), rel=0.02)
    assert found.temperature.mean() == pytest.approx(year.temperature.mean(), abs=0.01)
    own = year.sample(year.middles)
    assert np.abs(own.ghi - year.ghi).mean() < 1.0


def test_another_year_takes_the_same_season_and_the_29th_repeats_the_28th():
    year = flat_year(hours("2019-01-01", "2020-01-01"), temperature=np.arange(8760.0) / 100)
    found = year.sample(
        np.array(["2024-02-28T12:30", "2024-02-29T12:30", "2024-03-01T12:30"], dtype="datetime64[s]")
    )
    own = year.sample(np.array(["2019-02-28T12:30", "2019-03-01T12:30"], dtype="datetime64[s]"))
    assert found.temperature.tolist() == pytest.approx(
        [own.temperature[0], own.temperature[0], own.temperature[1]]
    )
    leap = flat_year(hours("2020-01-01", "2021-01-01"), temperature=np.arange(8784.0) / 100)
    found = leap.sample(np.array(["2019-03-01T12:30", "2024-02-29T12:30"], dtype="datetime64[s]"))
    own = leap.sample(np.array(["2020-03-01T12:30", "2020-02-29T12:30"], dtype="datetime64[s]"))
    assert found.temperature.tolist() == pytest.approx(own.temperature.tolist())


def test_a_short_series_does_not_stand_for_other_days():
    week = flat_year(hours("2026-01-01", "2026-01-08"))
    week.sample(hours("2026-01-02", "2026-01-03"))
    with pytest.raises(RequestError) as raised:
        week.sample(hours("2026-01-07", "2026-01-09"))
    assert raised.value.code == "assets.weather_not_covered"


@pytest.mark.parametrize(("field", "value", "code"), [
    ("ghi", np.nan, "assets.weather_bad"), ("wind", -1.0, "assets.weather_bad"), ("temperature", np.inf, "assets.weather_bad"),
])  # fmt: skip
def test_bad_values_are_refused_with_their_time(field, value, code):
    starts = hours("2026-01-01", "2026-01-03")
    values = np.ones(48)
    values[30] = value
    with pytest.raises(RequestError) as raised:
        flat_year(starts, **{field: values})
    assert raised.value.code == code
    assert "2026-01-02T06" in raised.value.text("vi")


CSV = "time,sun,t,w\n" + "\n".join(
    f"2026-01-{1 + h // 24:02d} {h % 24:02d}:00,{max(0, 12 - abs(h % 24 - 12)) * 50},27,2.5"
    for h in range(72)
)
COLUMNS = {"ghi": "sun", "temperature": "t", "wind": "w"}


@pytest.mark.parametrize(("stamp", "first"), [
    ("start", "2025-12-31T17:00:00"), ("middle", "2025-12-31T16:30:00"), ("end", "2025-12-31T16:00:00"),
])  # fmt: skip
def test_a_plain_table_says_what_its_stamps_mark(tmp_path, stamp, first):
    path = written(tmp_path, "w.csv", CSV)
    year = weather_files.read_csv(
        path, COLUMNS, time="time", zone=7, stamp=stamp, lat=12.5, lon=109.0, source="logger"
    )
    assert year.starts[0] == np.datetime64(first)
    assert year.basis == "derived"  # the split into beam and diffuse is computed
    up = np.cos(np.radians(sun(year.middles, 12.5, 109.0)[0]))
    high = up > 0.2
    assert (year.dhi + year.dni * up)[high] == pytest.approx(year.ghi[high], abs=1.0)


@pytest.mark.parametrize(("old", "new", "code", "line"), [
    ("2026-01-01 05:00,250,27,2.5\n", "", "assets.weather_gap", 7),
    ("2026-01-01 05:00,250,27,2.5", "2026-01-01 05:00,,27,2.5", "assets.weather_missing", 7),
    ("2026-01-01 05:00,250,27,2.5", "2026-01-01 05:00,2500,27,2.5", "assets.weather_value", 7),
    ("2026-01-01 05:00,250,27,2.5", "2026-01-01 05:00,many,27,2.5", "assets.weather_number", 7),
    ("2026-01-01 05:00,", "5 o'clock,", "assets.weather_number", 7),
    ("time,sun", "time,moon", "assets.weather_column", 1),
])  # fmt: skip
def test_a_fault_in_a_file_is_named_with_its_line(tmp_path, old, new, code, line):
    path = written(tmp_path, "w.csv", CSV.replace(old, new, 1))
    with pytest.raises(SourceError) as raised:
        weather_files.read_csv(
            path, COLUMNS, time="time", zone=7, stamp="start", lat=12.5, lon=109.0, source="logger"
        )
    assert raised.value.code == code
    assert raised.value.problem.where.line == line
    assert raised.value.text("vi") != raised.value.text("en")


def test_requests_that_make_no_sense_are_refused(tmp_path):
    path = written(tmp_path, "w.csv", CSV)
    rest = {"time": "time", "zone": 7, "lat": 12.5, "lon": 109.0, "source": "x"}
    for columns, stamp, code in (
        ({**COLUMNS, "rain": "w"}, "start", "assets.weather_quantity"), (COLUMNS, "begin", "assets.weather_stamp"),
        ({"ghi": "sun"}, "start", "assets.weather_needs"),
    ):  # fmt: skip
        with pytest.raises(RequestError) as raised:
            weather_files.read_csv(path, columns, stamp=stamp, **rest)
        assert raised.value.code == code
    with pytest.raises(SourceError) as unknown:
        weather_files.read(path)
    assert unknown.value.code == "assets.weather_format"
    with pytest.raises(SourceError) as gone:
        weather_files.read(tmp_path / "none.epw")
    assert gone.value.code == "assets.weather_unreadable"


def test_a_typical_year_of_pvgis_is_brought_into_one_year(tmp_path):
    months = (2013, 2008, 2016, 2011, 2009, 2015, 2007, 2010, 2014, 2012, 2006, 2005)
    rows = []
    for month, year in enumerate(months, 1):
        day = np.datetime64(f"{year}-{month:02d}-01")
        while str(day)[5:7] == f"{month:02d}" and str(day)[5:] != "02-29":
            rows += [
                f"{str(day).replace('-', '')}:{h:02d}00,25.0,80,{h * 10.0},{h * 8.0},{h * 3.0},400,2.0,90,101000"
                for h in range(24)
            ]
            day += 1
    text = (
        "Latitude (decimal degrees): 12.500\nLongitude (decimal degrees): 109.000\nElevation (m): 10\n"
        "Irradiance Time Offset (h): 0.5\n\ntime(UTC),T2m,RH,G(h),Gb(n),Gd(h),IR(h),WS10m,WD10m,SP\n"
        + "\n".join(rows)
        + "\n\nT2m: air\n"
    )
    year = weather_files.read(written(tmp_path, "tmy.csv", text))
    assert len(year.starts) == 8760
    assert year.starts[0] == np.datetime64("2013-01-01T00:00:00")  # offset + half an hour - half a step
    assert year.starts[-1] == np.datetime64("2013-12-31T23:00:00")
    assert year.instant
    assert year.ghi[12] == 120.0


def test_a_year_without_its_29_february_is_moved_into_a_common_year(tmp_path):
    starts = [t for t in hours("2020-01-01", "2021-01-01") if not str(t).startswith("2020-02-29")]
    text = "time,sun,t,w\n" + "\n".join(f"{t},0,27,2" for t in starts)
    year = weather_files.read_csv(
        written(tmp_path, "w.csv", text),
        COLUMNS,
        time="time",
        zone=0,
        stamp="start",
        lat=0,
        lon=0,
        source="x",
    )
    assert (str(year.starts[0]), str(year.starts[-1])) == ("2019-01-01T00:00:00", "2019-12-31T23:00:00")


def test_a_generated_year_says_so_repeats_by_its_seed_and_follows_its_coordinate():
    year = weather_made.generate(2026, 12.52, 109.03, 5)
    again = weather_made.generate(2026, 12.52, 109.03, 5)
    other = weather_made.generate(2026, 12.52, 109.03, 6)
    assert year.basis == "generated"
    assert "seed 5" in year.source
    assert (year.ghi == again.ghi).all()
    assert (year.wind == again.wind).all()
    assert (year.ghi != other.ghi).any()
    assert year.starts[0] == np.datetime64("2025-12-31T17:00:00")
    north = weather_made.generate(2024, 21.03, 105.85, 5)
    assert len(north.starts) == 8784
    june, december = (north.ghi.reshape(-1, 24).sum(axis=1)[first : first + 28].max() for first in (153, 336))
    assert june / december > 1.4  # the clearest days at 21 N: the sun stands much higher in June
    with pytest.raises(RequestError):
        weather_made.generate(26, 12.5, 109.0, 1)
    with pytest.raises(RequestError):
        weather_made.generate(2026, 125.0, 109.0, 1)


@pytest.mark.data
def test_generated_years_have_the_statistics_of_the_real_one(data_dir):
    real = weather_files.read(data_dir / NSRDB)
    years = [weather_made.generate(2026, 12.52, 109.03, seed) for seed in range(8)]
    total = np.array([year.ghi.sum() for year in years])
    assert total.mean() == pytest.approx(real.ghi.sum(), rel=0.02)
    assert np.abs(total / real.ghi.sum() - 1).max() < 0.06
    for name, tolerance in (("dni", 0.05), ("dhi", 0.10), ("temperature", 0.01), ("wind", 0.05)):
        made = np.mean([getattr(year, name).mean() for year in years])
        assert made == pytest.approx(getattr(real, name).mean(), rel=tolerance), name

    def daily(year):
        return year.ghi.reshape(-1, 24).sum(axis=1)

    def persistence(year):
        return np.corrcoef(daily(year)[1:], daily(year)[:-1])[0, 1]

    assert np.mean([persistence(year) for year in years]) == pytest.approx(persistence(real), abs=0.12)
    assert np.mean([daily(year).std() for year in years]) == pytest.approx(daily(real).std(), rel=0.1)


@pytest.mark.data
def test_the_table_of_statistics_is_what_the_real_year_gives(data_dir):
    rows = weather_made.statistics(weather_files.read(data_dir / NSRDB), 7.0)
    shipped = weather_made._table()
    found = {}
    for name, _, _, value, _ in rows:
        found.setdefault(name, []).append(float(value))
    assert found.keys() == shipped.keys()
    for name, values in found.items():
        assert values == pytest.approx(shipped[name], abs=2e-4), name
