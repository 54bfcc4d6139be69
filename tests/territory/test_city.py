"""Hồ Chí Minh City as declared: its facts against the totals that were published, and against the real files."""

import csv
import json
import math
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from mangrove.errors import RequestError
from mangrove.territory import attach_boundaries, check, level_of, shares, tree_on

FOLDER = Path(__file__).parents[2] / "examples" / "city"
NEW, OLD = date(2025, 7, 1), date(2016, 1, 1)
BASIC, BASIC_PLUS, TERRITORIAL = 46886183.40653648, 52185643.90058307, 28787565.728707243
"""Totals printed in the row Ho Chi Minh City_2016 of the C40 database, version 30.05.2023."""


@pytest.fixture(scope="module")
def city():
    territory, found = check(FOLDER)
    assert found == []
    return territory


def rows(name):
    with (FOLDER / "values" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_city_has_168_wards_since_the_merger(city):
    after, before = tree_on(city, NEW), tree_on(city, OLD)
    wards = [after.places[ward] for ward in after.children["hcmc-2025"]]
    assert Counter(ward.props["type"] for ward in wards) == {"Phường": 113, "Xã": 54, "Đặc khu": 1}
    assert sum(ward.population for ward in wards) == 14_668_098
    assert sum(ward.area for ward in wards) == pytest.approx(
        6772.59, rel=0.002
    )  # the area of Resolution 202/2025/QH15
    assert sum(place.kind == "ward" for place in before.places.values()) == 441
    assert sum(place.kind == "district" for place in before.places.values()) == 38


def test_every_old_ward_became_a_new_one(city):
    assert {line.old for line in city.crosswalk} >= {
        p.id for p in tree_on(city, OLD).places.values() if p.kind == "ward"
    }
    assert {line.new for line in city.crosswalk} == set(tree_on(city, NEW).children["hcmc-2025"])


def test_the_inventory_adds_up_to_the_published_totals(city):
    values = {row["flow"]: float(row["value"]) for row in rows("inventory_2016.csv")}
    by_ref = {flow.gpc: values[flow.id] for flow in city.flows.values() if flow.gpc}
    plus = {ref for ref in by_ref if ref.startswith(("IV", "V")) or ref.endswith(".3")}
    assert math.fsum(by_ref.values()) == pytest.approx(BASIC_PLUS, abs=1e-6)
    assert math.fsum(value for ref, value in by_ref.items() if ref not in plus) == pytest.approx(
        BASIC, abs=1e-6
    )
    scope_1 = [by_ref[flow.gpc] for flow in city.flows.values() if flow.gpc and flow.scope == 1]
    assert math.fsum(scope_1) == pytest.approx(TERRITORIAL, abs=1e-6)


def test_every_reference_has_a_number_or_a_notation_key(city):
    numbers = {flow.gpc for flow in city.flows.values() if flow.gpc}
    keys = {row.gpc for row in city.notation}
    assert not numbers & keys
    assert len(numbers | keys) == 54


def test_the_old_city_stands_for_the_102_wards_that_came_from_it(city):
    found = dict(shares(city, "hcmc-old", "ward", NEW))
    people = {ward: city.places[ward].population for ward in found}
    assert len(found) == 102
    assert {city.places[ward].props["old_province"] for ward in found} == {"Thành phố Hồ Chí Minh"}
    assert math.fsum(found.values()) == 1.0
    for ward, share in found.items():
        assert share == pytest.approx(people[ward] / sum(people.values()), rel=1e-12)
    parts = [
        shares(city, place, "ward", NEW) for place in ("hcmc-old", "binh-duong-old", "ba-ria-vung-tau-old")
    ]
    assert sum(map(len, parts)) == 168


def test_old_wards_without_a_population_are_named_not_guessed(city):
    with pytest.raises(RequestError) as caught:
        shares(city, "hcmc-old", "ward", OLD)
    assert caught.value.code == "territory.no_weight"
    assert caught.value.problem.data["missing"].endswith("… (+268)")


def test_con_dao_stays_itself(city):
    assert shares(city, "ba-ria-vung-tau-huyen-con-dao-old", "ward", NEW) == [("26732", 1.0)]
    assert level_of(city, "26732", "district", OLD) == "ba-ria-vung-tau-huyen-con-dao-old"


def test_a_ward_is_reported_in_the_borders_before_and_after(city):
    assert shares(city, "26881-old", "ward", NEW) == [("26882", 1.0)]
    assert shares(city, "26882", "city", OLD) == [("hcmc-old", 1.0)]
    assert level_of(city, "26881-old", "district", OLD) == "hcmc-quan-go-vap-old"


def test_wards_that_were_cut_stay_in_their_old_province(city):
    cut = [place for place in city.places.values() if place.props.get("split_into")]
    assert len(cut) == 47
    for place in cut:
        others = place.props["split_into"].split()
        assert {city.places[ward].props["old_province"] for ward in others} == {place.props["old_province"]}


def test_the_generation_mix_has_its_days_and_its_gaps(city):
    mix = rows("vn_daily_mix.csv")
    days = [date.fromisoformat(row["start"]) for row in mix]
    assert (len(mix), days[0], days[-1]) == (1292, date(2022, 1, 1), date(2025, 11, 11))
    assert days == sorted(set(days))
    assert set(mix[0]) - {"start"} <= set(city.flows)
    assert all(
        city.flows[name].account == "memo" and city.flows[name].scope is None
        for name in mix[0]
        if name != "start"
    )
    total = math.fsum(float(value) for row in mix for name, value in row.items() if name == "vn-coal")
    assert total / len(mix) == pytest.approx(377, abs=30)  # about half of some 750 GWh a day


def test_power_plants_of_the_city_stand_in_their_wards(city):
    assert len(city.assets) == 304
    inside = [asset for asset in city.assets.values() if asset.place != "vn"]
    assert {asset.name for asset in inside} >= {"Phu My 1", "Hiep Phuoc", "Thu Duc"}
    assert city.places[city.assets["wri-1030742"].place].name == "Phường Phú Mỹ"
    assert Counter(asset.parameters["fuel"] for asset in city.assets.values())["hydro"] == 242


@pytest.mark.data
def test_the_inventory_is_the_row_of_the_real_workbook(city, data_dir):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(
        data_dir / "inventory" / "C40_GPC_Database.xlsx", read_only=True, data_only=True
    )
    sheet = book["GHG Dashboard Data - Inventory"].iter_rows(values_only=True)
    header = next(sheet)
    row = dict(zip(header, next(r for r in sheet if r[8] == "Ho Chi Minh City_2016"), strict=False))
    values = {line["flow"]: float(line["value"]) for line in rows("inventory_2016.csv")}
    for flow in city.flows.values():
        if flow.gpc:
            assert values[flow.id] == row[flow.gpc]
    for key in city.notation:
        assert row[key.gpc] == key.key
    assert (city.places["hcmc-old"].population, city.places["hcmc-old"].area) == (
        row["Population"],
        row["Area"],
    )


@pytest.mark.data
def test_the_wards_are_those_of_the_real_boundaries(city, data_dir):
    path = data_dir / "territory" / "wards_hcmc_post_merger.geojson"
    drawn, found = attach_boundaries(city, path)
    assert found == []
    assert sum(place.geometry is not None for place in drawn.places.values()) == 168
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        place = city.places[feature["properties"]["code"]]
        assert (place.name, place.area) == (
            feature["properties"]["fullName"],
            feature["properties"]["areaKm2"],
        )


@pytest.mark.data
def test_the_mix_is_the_real_series_as_printed(data_dir):
    names = {"import": "imp", "other": "oth", "generation": "tot"}
    with (data_dir / "grid" / "vn_daily_mix_clean_2022_2025.csv").open(encoding="utf-8") as file:
        for real, ours in zip(csv.DictReader(file), rows("vn_daily_mix.csv"), strict=True):
            assert real["date"] == ours["start"]
            for name, value in ours.items():
                if name != "start":
                    fuel = name.removeprefix("vn-")
                    assert float(value) == pytest.approx(float(real[names.get(fuel, fuel)]), abs=0.051)
