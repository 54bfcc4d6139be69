# SPDX-License-Identifier: Apache-2.0
"""A territory with sensors around an unknown source: found, stored, said in two languages, and honest when it cannot know."""

import json
import math
import shutil

import pytest
from tests.sensed import RATE, SOURCE, declared, degrees, sensed_town
from typer.testing import CliRunner

import mangrove as mg
from mangrove.cli import app
from mangrove.errors import DataQualityError, RequestError
from mangrove.ledger import Ledger
from mangrove.locate import KIND, as_json, locate, text

PERIOD = ("2024-03-01", "2024-03-05")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return sensed_town(tmp_path_factory.mktemp("town") / "town")


@pytest.fixture(scope="module")
def report(town):
    return locate(mg.open(town), "ch4", *PERIOD, draws=150)


def away(lon, lat):
    """Meters from the true source."""
    there = degrees(*SOURCE[:2])
    return math.hypot((lon - there[0]) * 111_320 * math.cos(math.radians(lat)), (lat - there[1]) * 110_600)


def test_the_source_is_found_on_the_map_with_its_rate(report):
    (one,) = report.sources
    assert away(one.lon, one.lat) < 12
    assert one.low < RATE * 3600 < one.high
    assert one.axes[0] < 40
    assert report.probability > 0.95
    assert report.wind.code == "locate.convention_fits"
    assert sum(map(sum, report.density)) == pytest.approx(1.0)


def test_the_record_is_geojson_that_a_map_can_pin(town, report):
    document = mg.open(town).newest(KIND)
    assert document == json.loads(json.dumps(report.document()))
    point, region = document["features"]
    assert point["geometry"]["type"] == "Point"
    ring = region["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    west, east = min(lon for lon, _ in ring), max(lon for lon, _ in ring)
    assert west < point["geometry"]["coordinates"][0] < east
    assert set(document["sensors"]) == {"ch4.s0", "ch4.s1", "ch4.s2", "ch4.s3", "ch4.s4", "ch4.path"}


def test_people_read_it_in_two_languages(town, report):
    territory = mg.open(town).territory
    assert "kg/h" in text(report, "en", territory)
    assert "nguồn thải" in text(report, "vi", territory)
    assert json.loads(as_json(report))["record"] == report.record


def test_a_direction_stored_the_wrong_way_round_is_named_and_not_mended(tmp_path):
    town = sensed_town(tmp_path / "town", turned=180.0)
    report = locate(mg.open(town), "ch4", *PERIOD, draws=60, store=False)
    assert report.wind.code == "locate.wrong_convention"
    assert "where the wind goes to" in report.wind.text("en")
    assert mg.open(town).newest(KIND) is None


def test_the_command_says_where_and_ends_with_4_when_the_wind_is_wrong(tmp_path, town):
    def run(folder, *words):
        return CliRunner().invoke(
            app, ["locate", str(folder), "--species", "ch4", "--from", "2024-03-01", "--draws", "60", *words]
        )

    done = run(town, "--to", "2024-03-05", "--area", "town", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "source 1 of ch4" in done.stdout
    turned = sensed_town(tmp_path / "town", turned=180.0)
    assert run(turned, "--to", "2024-03-05", "--json").exit_code == 4


def test_a_species_nobody_measures_is_named(town):
    with pytest.raises(RequestError) as caught:
        locate(mg.open(town), "co", *PERIOD)
    assert caught.value.code == "locate.no_species"
    with pytest.raises(RequestError) as nowhere:
        locate(mg.open(town), "ch4", *PERIOD, area="twon")
    assert "did you mean 'town'" in nowhere.value.text()


def test_no_values_no_positions_and_no_wind_are_named(tmp_path):
    folder = declared(tmp_path / "town")
    with Ledger.open(folder / ".mangrove"):
        pass
    with pytest.raises(DataQualityError) as empty:
        locate(mg.open(folder), "ch4", *PERIOD)
    assert empty.value.code == "locate.too_few"
    windless = tmp_path / "windless"
    shutil.copytree(folder, windless)
    flows = (windless / "flows.csv").read_text().splitlines()
    (windless / "flows.csv").write_text("\n".join(line for line in flows if "weather" not in line) + "\n")
    sensed = sensed_town(tmp_path / "sensed")
    shutil.rmtree(windless / ".mangrove")
    shutil.copytree(sensed / ".mangrove", windless / ".mangrove")
    with pytest.raises(DataQualityError) as still:
        locate(mg.open(windless), "ch4", *PERIOD)
    assert still.value.code == "locate.no_wind"
    places = (folder / "places.csv").read_text().splitlines()
    bare = [places[0], *(",".join([*line.split(",")[:4], "", ""]) for line in places[1:])]
    (folder / "places.csv").write_text("\n".join(bare) + "\n")
    with pytest.raises(DataQualityError) as lost:
        locate(mg.open(folder), "ch4", *PERIOD)
    assert lost.value.code == "locate.no_positions"


def test_what_plumes_cannot_tell_is_refused_by_name(town, tmp_path):
    for words, code in (
        ({"terrain": "mars"}, "locate.no_such_terrain"),
        ({"height": 1e9}, "locate.bad_height"),
    ):
        with pytest.raises(RequestError) as caught:
            locate(mg.open(town), "ch4", *PERIOD, **words)
        assert caught.value.code == code
    folder = declared(tmp_path / "far")
    lines = (folder / "places.csv").read_text().splitlines()
    moved = [
        ",".join([*line.split(",")[:4], "105.85", "21.03"]) if line[:3] == "s0," else line for line in lines
    ]
    (folder / "places.csv").write_text("\n".join([*moved, ""]))
    with pytest.raises(RequestError) as far:
        locate(mg.open(folder), "ch4", *PERIOD)
    assert far.value.code == "locate.area_too_wide"


@pytest.mark.parametrize("words", [("--height", "1e9"), ("--terrain", "mars")])
def test_the_command_takes_no_height_or_terrain_that_is_none(town, words):
    done = CliRunner().invoke(app, ["locate", str(town), "--species", "ch4", "--from", "2024-03-01", *words])
    assert done.exit_code == 2
