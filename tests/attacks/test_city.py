# SPDX-License-Identifier: Apache-2.0
"""A city that is declared, fed and asked badly: every command names what is wrong, and none answers with what is no number."""

import re
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from tests import sensed
from tests.doors import mangrove

from mangrove import testing
from mangrove.ledger import Ledger, Origin

FACTOR = "activity,gas,value,unit,source\ngrid/vn,CO2,0.65,t CO2/MWh,test\n"
NEW_YEAR = np.datetime64("2025-12-31T17:00", "us")
"""Midnight of 1 January 2026 in Ho Chi Minh City."""


def series(flow: str, hours: int, value: float = 100.0, first: np.datetime64 = NEW_YEAR) -> pa.Table:
    """A value every hour from `first` on, a little up and down."""
    at = np.arange(hours)
    starts = (first + at * np.timedelta64(1, "h")).tolist()
    return testing.values(zip([flow] * hours, starts, value * (1 + 0.1 * np.sin(at / 4)), strict=True))


def store(folder: Path, *tables: pa.Table) -> None:
    """Puts tables into the ledger of a territory."""
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(pa.concat_tables(tables), Origin("test", uuid4().hex))


def site(folder: Path) -> Path:
    """A park with one hourly meter and one that is silent."""
    meter = {"carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2", "sector": "works"}
    testing.park_of(folder, [{"id": "m", **meter}, {"id": "silent", **meter}])
    (folder / "factors.csv").write_text(FACTOR)
    return folder


@pytest.mark.parametrize("hours", [5, 30, 6 * 24])
def test_a_meter_of_some_hours_is_no_nowcast(tmp_path, hours):
    """With fewer than seven whole days nothing is known of its usual week: a sentence, and nothing stored."""
    folder = site(tmp_path)
    store(folder, series("m", hours))
    done = mangrove("nowcast", folder, "--at", "2026-01-08")
    assert done.code == 4
    assert "7 whole days" in done.err
    assert (
        "estimate/nowcast"
        not in mangrove("readings", folder, "m", "--from", "2026-01", "--run", "estimate/nowcast").out
    )


def test_a_meter_of_a_week_is_a_nowcast(tmp_path):
    folder = site(tmp_path)
    store(folder, series("m", 7 * 24 + 5))
    done = mangrove("nowcast", folder, "--at", "2026-01-08T05:00", "--by", "flow")
    assert done.code == 0
    assert "silent" in done.err
    assert "no data" not in done.out


def test_a_nowcast_without_a_factor_says_so_in_the_readers_language(tmp_path):
    """The reason is a sentence in a sentence in a sentence; all of them are in Vietnamese."""
    folder = site(tmp_path)
    (folder / "factors.csv").unlink()
    store(folder, series("m", 24 * 30))
    said = {lang: mangrove("nowcast", folder, "--at", "2026-02-01", "--lang", lang) for lang in ("en", "vi")}
    assert [one.code for one in said.values()] == [4, 4]
    assert "no factor for CO2 of 'grid/vn'" in said["en"].err
    assert "không có hệ số" in said["vi"].err
    assert not re.search(r"no factor|there is", said["vi"].err)


@pytest.mark.parametrize(("elasticity", "spread"), [("1e308", "0.1"), ("1", "1e9"), ("-11", "0.1")])
def test_a_driver_beyond_what_anything_drives_is_refused(tmp_path, elasticity, spread):
    """With such numbers every tonne is lost in the noise of the series, and soon in no number at all."""
    folder = testing.three_ward_city(tmp_path)
    flows = (folder / "flows.csv").read_text(encoding="utf-8")
    index = "feeders,city,index:power,1,1h,,,state,,,2 %,Lộ ra\n"
    (folder / "flows.csv").write_text(flows + index, encoding="utf-8")
    (folder / "drivers.csv").write_text(
        f"target,index,elasticity,spread\nI.1.2,feeders,{elasticity},{spread}\n"
    )
    done = mangrove("check", folder)
    assert done.code == 1
    assert "drivers.csv:2:" in done.out
    assert "not between" in done.out


def city(folder: Path) -> Path:
    """Three wards with homes by the year and a market by the hour, in 2024; only the reported road has emissions without a factor."""
    testing.three_ward_city(folder)
    flows = (folder / "flows.csv").read_text(encoding="utf-8").replace("\n", ",,\n")
    flows = flows.replace(",,\n", ",method,parameters\n", 1)
    road = "road,city,reported:CO2e,t,1y,transport,1,sum,population,II.1.1,10 %,Đường,reported,gwp=AR5\n"
    (folder / "flows.csv").write_text(flows + road, encoding="utf-8")
    year = np.datetime64("2023-12-31T17:00", "us").tolist()
    totals = testing.values([("homes.power", year, 1e5), ("road", year, 5e4)])
    store(folder, totals, series("market.power", 400 * 24, first=np.datetime64("2023-12-31T17:00", "us")))
    return folder


@pytest.mark.parametrize(
    "words", [("--by", "rubbish"), ("--by", "gas"), ("--every", "x"), ("--every", "90min")]
)
def test_a_table_that_cannot_be_made_stores_nothing(tmp_path, words):
    folder = city(tmp_path)
    with Ledger.open(folder / ".mangrove", read_only=True) as ledger, ledger.snapshot() as snapshot:
        before = snapshot.cut
    assert mangrove("nowcast", folder, "--at", "2025-01-15", *words).code == 1
    with Ledger.open(folder / ".mangrove", read_only=True) as ledger, ledger.snapshot() as snapshot:
        assert snapshot.cut == before


def test_what_was_not_computed_has_no_rank(tmp_path):
    """No factor of 2024 is official: homes and market are unknown, not zero, and the command says so."""
    done = mangrove("hotspots", city(tmp_path), "--from", "2024", "--by", "sector")
    assert done.code == 0
    assert "transport" in done.out
    assert "residential" not in done.out
    assert "homes.power" in done.err
    assert "no factor" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("hotspots", "--from", "2025"),
        ("why", "--from", "2025-01"),
        ("raster", "--from", "2025-01", "--by", "wards", "--out", "x.parquet"),
    ],
)
@pytest.mark.parametrize(("lang", "reason"), [("en", "no factor for CO2"), ("vi", "không có hệ số CO2")])
def test_nothing_to_tell_has_a_reason(tmp_path, monkeypatch, words, lang, reason):
    """Only the market was read in 2025, and no official factor holds then."""
    monkeypatch.chdir(tmp_path)
    done = mangrove(words[0], city(tmp_path / "city"), *words[1:], "--lang", lang)
    assert done.code == 1
    assert reason in done.err


def watched(folder: Path, *flows: str) -> Path:
    """The three wards with gauges in the first of them."""
    testing.three_ward_city(folder)
    head = "id,place,carrier,unit,step,semantics,parameters"
    (folder / "flows.csv").write_text("\n".join([head, *flows, ""]), encoding="utf-8")
    store(folder, *(series(one.split(",")[0], 48, 50.0) for one in flows))
    return folder


LEVEL = "river,hoa,water_level:river,m,1h,state,station=P. An; alarm1=1.5 m"


@pytest.mark.parametrize(
    "bad",
    [
        "other,hoa,weather:temperature,K,1h,state,",
        "other,hoa,weather:temperature,kWh,1h,state,",
        "other,hoa,weather:rain,kg,1h,sum,",
        "other,hoa,water_level:road,m,1h,state,alarm1=10 kg",
        "other,hoa,water_level:road,m,1h,state,alarm1=3 m; alarm2=1 m",
    ],
)
def test_one_gauge_that_is_declared_wrongly_is_named_and_does_not_silence_the_others(tmp_path, bad):
    done = mangrove("alerts", watched(tmp_path, bad, LEVEL), "--at", "2026-01-02T23:30")
    assert done.code == 0
    assert "P. An" in done.out
    assert "extremely hot" not in done.out
    assert "other" in done.err


def test_names_of_stations_keep_their_points_and_numbers_get_commas(tmp_path):
    done = mangrove("alerts", watched(tmp_path, LEVEL), "--at", "2026-01-02T23:30", "--lang", "vi")
    assert "P. An (1,5 m)" in done.out


def test_a_territory_without_gauges_is_not_called_safe(tmp_path):
    done = mangrove("alerts", city(tmp_path))
    assert "nothing is watched" in done.err


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_two_instruments_at_one_place_count_alike(tmp_path, order):
    """Clean air at 5 ug/m3 beside 300 ug/m3: alone they are an index below 50 and above 300, and neither order hides the other."""
    flows = [f"{one},hoa,air:pm25,ug/m3,1h,state," for one in order]
    testing.three_ward_city(tmp_path)
    head = "id,place,carrier,unit,step,semantics,parameters"
    (tmp_path / "flows.csv").write_text("\n".join([head, *flows, ""]), encoding="utf-8")
    store(tmp_path, series("a", 48, 5.0), series("b", 48, 300.0))
    done = mangrove("alerts", tmp_path, "--at", "2026-01-02T23:30")
    found = re.search(r"VN_AQI (\d+)", done.out)
    assert found is not None
    assert 150 < int(found[1]) < 300


def test_a_geopackage_that_cannot_be_written_is_an_error_of_a_file(tmp_path):
    """And what stood there before is not lost."""
    pytest.importorskip("wntr")
    from tests.hydraulics.nets import supply

    folder = city(tmp_path / "city")
    words = ("water", folder, supply("Net1"), "--from", "2024-01-01", "--flow", "market.power", "--dry-run")
    done = mangrove(*words, "--gpkg", tmp_path / "nowhere" / "x.gpkg")
    assert done.code == 1
    assert "nowhere" in done.err
    assert mangrove(*words, "--gpkg", tmp_path / "x.gpkg").code == 0
    assert [path.name for path in tmp_path.iterdir() if path.name != "city"] == ["x.gpkg"]


def test_a_wind_in_kilometers_an_hour_is_the_same_wind(tmp_path):
    """The rate of a source is proportional to the wind: read as m/s it would be 3.6 times too large."""
    folder = sensed.sensed_town(tmp_path)
    words = (
        "locate",
        folder,
        "--species",
        "ch4",
        "--from",
        "2024-03-01",
        "--to",
        "2024-03-05",
        "--draws",
        "60",
    )
    asked = (*words, "--dry-run", "--json")
    meters = mangrove(*asked)
    path = folder / "flows.csv"
    path.write_text(path.read_text().replace("weather:wind_speed,m/s", "weather:wind_speed,km/h"))
    starts = [moment.replace(tzinfo=None) for moment in sensed.moments()]
    fast = sensed.weather()[0] * 3.6
    store(folder, testing.values(zip(["speed"] * len(starts), starts, fast.tolist(), strict=True)))
    kilometers = mangrove(*asked)
    rates = [
        [float(one) for one in re.findall(r'"rate_kg_per_h": ([\d.]+)', done.out)]
        for done in (meters, kilometers)
    ]
    assert rates[0]
    assert rates[1] == pytest.approx(rates[0], rel=1e-6)
