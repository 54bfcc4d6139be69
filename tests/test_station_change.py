# SPDX-License-Identifier: Apache-2.0
"""A station before and after: the cause named, the weather taken out, what cannot be known said, and the real HealthyAir stations."""

import csv
import json
import shutil
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.stationed import stationed_city
from typer.testing import CliRunner

import mangrove as mg
from mangrove.cli import app
from mangrove.errors import DataQualityError, RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.station_change import KIND, as_json, station_change, text
from mangrove.testing import values

SIDES = ("2024-02-01..2024-04-01", "2024-04")


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    return stationed_city(tmp_path_factory.mktemp("street") / "street")


def test_a_closed_road_is_activity(street):
    report = station_change(mg.open(street), "a", *SIDES)
    assert report.change.likely == "activity"
    assert (report.change.change < -0.1).all()
    assert (report.change.contrasts[:, 2] < report.change.contrasts[:, 0]).all()
    assert report.weather == ("wind", "temperature")
    assert set(report.neighbors) == {"co.b", "no2.b"}
    assert mg.open(street).newest(KIND)["causes"]["activity"] > 0.8


def test_the_neighbor_where_nothing_happened_is_left_in_peace(street):
    report = station_change(mg.open(street), "b", *SIDES, store=False)
    assert (report.change.low95 < 0).all()
    assert (report.change.high95 > 0).all()


def test_a_drifting_instrument_is_named(tmp_path):
    park = mg.open(stationed_city(tmp_path / "s", cause="instrument"))
    report = station_change(park, "a", *SIDES)
    assert report.change.likely == "instrument"
    assert "co is suspected" in text(report, "en", park.territory)
    assert "thiết bị" in text(report, "vi", park.territory)
    assert json.loads(as_json(report))["record"] == report.record


def test_without_wind_it_says_so(tmp_path):
    park = mg.open(stationed_city(tmp_path / "s", wind=False))
    report = station_change(park, "a", *SIDES, species=("co",), store=False)
    assert {note.code for note in report.notes} >= {
        "locate.without_wind",
        "locate.one_species",
        "locate.no_whole_year",
    }


def test_the_command_prints_a_line_a_species(street):
    words = [
        "station-change",
        str(street),
        "--station",
        "a",
        "--before",
        SIDES[0],
        "--after",
        SIDES[1],
        "--dry-run",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "co:" in done.stdout
    assert "no2:" in done.stdout
    assert CliRunner().invoke(app, [*words, "--json"]).stdout.startswith("{")


def test_what_cannot_be_asked_is_named(street, tmp_path):
    park = mg.open(street)
    for words, code in (
        (("c", *SIDES), "locate.no_area"),
        (("a", SIDES[1], SIDES[0]), "locate.sides_overlap"),
    ):
        with pytest.raises(RequestError) as caught:
            station_change(park, *words)
        assert caught.value.code == code
    with pytest.raises(RequestError) as caught:
        station_change(park, "a", *SIDES, species=("so2",))
    assert caught.value.code == "locate.no_species"
    with pytest.raises(DataQualityError) as few:
        station_change(park, "a", "2024-02-01..2024-02-10", "2024-04")
    assert few.value.code == "locate.few_days_before"


def test_only_flows_that_stand_at_the_place_are_its_station(street):
    with pytest.raises(RequestError) as caught:
        station_change(mg.open(street), "city", *SIDES, store=False)
    assert caught.value.code == "locate.station_below"
    assert "a, b" in caught.value.text("en")
    assert "a, b" in caught.value.text("vi")


def test_of_two_instruments_of_a_species_people_choose_one(street, tmp_path):
    folder = tmp_path / "street"
    shutil.copytree(street, folder)
    with (folder / "flows.csv").open("a") as file:
        file.write("co.spare,a,air:co,ug/m3,1h,state\n")
    park = mg.open(folder)
    with pytest.raises(RequestError) as caught:
        station_change(park, "a", *SIDES, store=False)
    assert caught.value.code == "locate.two_instruments"
    assert "co.a, co.spare" in caught.value.text("en")
    report = station_change(park, "a", *SIDES, species=("co.a", "no2"), store=False)
    assert report.flows == ("co.a", "no2.a")


def test_periods_that_overlap_are_said_in_local_time(street):
    with pytest.raises(RequestError) as caught:
        station_change(mg.open(street), "a", SIDES[1], SIDES[0])
    assert "2024-05-01 00:00" in caught.value.text("en")
    assert "+00:00" not in caught.value.text("vi")


@pytest.mark.data
def test_healthyair_stations_have_no_wind_and_their_answer_says_so(data_dir, tmp_path):
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    columns = {"co": "CO", "no2": "NO2", "pm25": "PM2.5"}
    folder = tmp_path / "hcmc"
    folder.mkdir()
    (folder / "territory.yaml").write_text(
        "name: HCMC\nkind: city\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: vi\ngwp: AR5\nboundary:\n  root: city\n"
    )
    stations = range(1, 7)
    (folder / "places.csv").write_text(
        "\n".join(
            [
                "id,name,kind,parent",
                "city,City,city,",
                *(f"s{i},Station {i},facility,city" for i in stations),
                "",
            ]
        )
    )
    flows = [f"{code}.{i},s{i},air:{code},ug/m3,1h,state" for i in stations for code in columns]
    flows += [f"t.{i},s{i},weather:temperature,degC,1h,state" for i in stations]
    flows += [f"rh.{i},s{i},weather:humidity,%,1h,state" for i in stations]
    (folder / "flows.csv").write_text("\n".join(["id,place,carrier,unit,step,semantics", *flows, ""]))
    rows = {}
    with (data_dir / "air" / "healthyair_hcmc_hourly.csv").open() as file:
        for row in csv.DictReader(file):
            at = datetime.strptime(row["date"], "%d-%m-%Y %H:%M").replace(tzinfo=zone)
            named = {
                **{code: row[column] for code, column in columns.items()},
                "t": row["Temperature"],
                "rh": row["Humidity"],
            }
            for code, value in named.items():
                if value and float(value) > 0:
                    rows[f"{code}.{row['Station_No']}", at] = float(value)
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(
            values([(name, at, v) for (name, at), v in rows.items()]), Origin("file:healthyair.csv", "1")
        )
    report = station_change(mg.open(folder), "s4", "2021-11-15..2022-02-01", "2022-02-10..2022-04-15")
    assert {"locate.without_wind", "locate.no_whole_year"} <= {note.code for note in report.notes}
    assert report.weather == ("temperature", "humidity")
    assert (report.change.low95 < report.change.high95).all()
    assert sum(report.change.causes.values()) == pytest.approx(1.0)
    assert timedelta(days=1) * report.change.days[1] <= report.after.end - report.after.start + timedelta(
        days=1
    )
