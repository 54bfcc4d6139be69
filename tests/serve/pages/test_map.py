# SPDX-License-Identifier: Apache-2.0
"""The map shows one set of amounts in three ways, adds up to the total, and keeps from each reader what is not for him."""

import csv
import io
import math
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.serve import app as web
from mangrove.serve import basemap
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import park_of, values

HOURS = 96
START = datetime(2023, 5, 31, 17, tzinfo=UTC)
NOW = START + timedelta(hours=HOURS)
PLACES = [
    {"id": "park", "name": "Khu công nghiệp", "kind": "park"},
    {"id": "north", "name": "Lô Bắc", "kind": "lot", "parent": "park", "area_km2": "0.5", "lon": "106.70", "lat": "20.91"},
    {"id": "south", "name": "Lô Nam", "kind": "lot", "parent": "park", "area_km2": "0.25", "lon": "106.70", "lat": "20.89"},
    {"id": "mill", "name": "Nhà máy thép", "kind": "facility", "parent": "north", "lon": "106.69", "lat": "20.91"},
    {"id": "shop", "name": "Xưởng đúc Ấp Bắc", "kind": "facility", "parent": "north", "lon": "106.70", "lat": "20.91"},
    {"id": "dairy", "name": "Đường sữa", "kind": "facility", "parent": "north", "lon": "106.71", "lat": "20.91"},
    {"id": "depot", "name": "Bến xe", "kind": "facility", "parent": "south", "lon": "106.70", "lat": "20.89"},
    {"id": "empty", "name": "Kho chờ", "kind": "facility", "parent": "south", "lon": "106.71", "lat": "20.89"},
]  # fmt: skip
KW = {"mill": 1000.0, "shop": 100.0, "dairy": 300.0, "depot": 50.0, "park": 20.0}
SECTORS = {
    "mill": "steel",
    "shop": "steel",
    "dairy": "food",
    "depot": "transport",
    "empty": "transport",
    "park": "office",
}


def flow(place):
    return {
        "id": f"{place}.power", "place": place, "carrier": "electricity", "unit": "kWh", "step": "1h", "sector": SECTORS[place],
        "scope": "2", "uncertainty": "2 %", "meter": f"M-{place}", "name": f"Điện {place}",
    }  # fmt: skip


WATER = {
    "id": "dairy.water", "place": "dairy", "carrier": "water:clean", "unit": "m3", "step": "1h", "sector": "food",
    "name": "Nước sạch",
}  # fmt: skip


def world(folder, more=()):
    """The park; `more` are facilities of the southern lot besides those that it has, each with 30 kW."""
    flows = [flow(place) for place in SECTORS] + [WATER]
    flows += [flow("depot") | {"id": f"{place}.power", "place": place} for place in more]
    park_of(folder, flows)
    with (folder / "places.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "name", "kind", "parent", "area_km2", "lon", "lat"])
        writer.writeheader()
        writer.writerows(PLACES)
        writer.writerows(
            {"id": place, "name": place, "kind": "facility", "parent": "south"} for place in more
        )
    park = mg.open(folder)
    amounts = KW | dict.fromkeys(more, 30.0)
    rows = [
        (f"{place}.power", START + timedelta(hours=i), kw)
        for place, kw in amounts.items()
        for i in range(HOURS)
    ] + [("dairy.water", START + timedelta(hours=i), 2.5) for i in range(HOURS)]
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("file:test", "1"))
    return Live(park, Clock(NOW, 0))


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    return world(tmp_path_factory.mktemp("map") / "park")


def get(live, path="/map.json", who=None, **params):
    guard = web.Fixed(who or guest("operator"))
    app = web.create(live, access=guard, routers=[basemap.router(live, guard)])
    with TestClient(app, raise_server_exceptions=False) as http:
        return http.get(path, params={"period": "2023-06", "lang": "en"} | params)


def amounts(data):
    return {id_: place["value"] for id_, place in data["places"].items() if place["value"] is not None}


TENANT = Principal("1", "An", "user", "tenant", "mill")
CITY = guest("city")


def test_sites_and_what_lies_at_none_of_them_add_up_to_the_measurement(live):
    data = get(live).json()
    total = mg.measure(live.park, "2023-06", store=False).total()["co2e_kg"] / 1000
    assert set(data["places"]) == {"mill", "shop", "dairy", "depot", "empty"}
    assert math.fsum([*amounts(data).values(), data["elsewhere"]]) == pytest.approx(total, rel=1e-9)
    assert data["total"] == pytest.approx(total, rel=1e-9)


def test_amounts_are_in_proportion_to_the_meters_and_have_their_intervals(live):
    data = get(live).json()
    found = amounts(data)
    assert found["mill"] / found["depot"] == pytest.approx(20.0)
    mill = data["places"]["mill"]
    assert mill["low"] < mill["value"] < mill["high"]
    assert mill["coverage"] == pytest.approx(1.0)
    assert [data["places"][p]["rank"] for p in ("mill", "dairy", "shop", "depot")] == [1, 2, 3, 4]


def test_parts_are_the_sums_of_their_sites(live):
    sites, parts = amounts(get(live).json()), amounts(get(live, level="parts").json())
    assert parts["north"] == pytest.approx(sites["mill"] + sites["shop"] + sites["dairy"])
    assert parts["south"] == pytest.approx(sites["depot"])


def test_a_place_in_focus_shows_its_parts_and_its_flows(live):
    data = get(live, place="north").json()
    assert set(data["places"]) == {"mill", "shop", "dairy"}
    assert data["total"] == pytest.approx(sum(amounts(data).values()))
    page = get(live, "/map", place="mill").text
    assert "Điện mill" in page
    assert "Điện shop" not in page


def test_energy_and_water_are_what_the_meters_counted(live):
    energy = get(live, metric="energy").json()
    assert energy["unit"] == "MWh"
    assert amounts(energy)["mill"] == pytest.approx(1000.0 * HOURS / 1000)
    water = get(live, metric="water").json()
    assert amounts(water) == {"dairy": pytest.approx(2.5 * HOURS)}


def test_amounts_by_area_are_amounts_over_the_declared_square_kilometers(live):
    plain, by_area = (amounts(get(live, level="parts", norm=norm).json()) for norm in ("none", "area"))
    assert by_area == {
        "north": pytest.approx(plain["north"] / 0.5),
        "south": pytest.approx(plain["south"] / 0.25),
    }
    assert amounts(get(live, norm="person").json()) == {}


def test_sectors_divide_the_amounts_without_rest(live):
    whole = get(live).json()["total"]
    parts = [get(live, sector=sector).json()["total"] for sector in ("steel", "food", "transport", "office")]
    assert math.fsum(parts) == pytest.approx(whole)
    assert set(amounts(get(live, sector="steel").json())) == {"mill", "shop"}


def test_a_place_without_values_has_no_amount_and_is_hatched(live):
    empty = get(live).json()["places"]["empty"]
    assert empty["value"] is None
    assert empty["texture"] == "hatch"
    assert empty["shown"] == "no data"
    assert not empty["hidden"]


def test_a_tenant_sees_its_own_place_and_one_sum_of_the_others(live):
    whole, own = get(live).json(), get(live, who=TENANT).json()
    assert amounts(own) == {"mill": pytest.approx(amounts(whole)["mill"])}
    assert own["others"] == pytest.approx(whole["total"] - amounts(whole)["mill"])
    assert {id_ for id_, place in own["places"].items() if place["hidden"]} == {
        "shop",
        "dairy",
        "depot",
        "empty",
    }
    assert own["places"]["shop"]["texture"] == "hidden"
    for path in ("/map", "/map.json", "/map.csv", "/map.svg", "/map/places.geojson"):
        assert "Xưởng đúc" not in get(live, path, TENANT).text, path
        assert "Xưởng đúc" in get(live, path, CITY).text, path


def test_no_twin_of_a_tenant_holds_a_number_of_another(live):
    other = amounts(get(live).json())["dairy"]
    secret = re.compile(rf"\b{re.escape(f'{other:.4g}'.rstrip('0'))}")
    for path in ("/map", "/map.json", "/map.csv", "/map.svg"):
        for level in ("sites", "parts"):
            assert not secret.search(get(live, path, TENANT, level=level).text), path
    one = get(live, who=TENANT, place="dairy")
    assert (one.status_code, one.json()["problems"][0]["code"]) == (404, "live.no_place")


def test_a_tenant_does_not_learn_one_company_through_a_sector(live):
    found = get(live, who=TENANT, sector="food").json()
    assert (found["total"], found["others"], amounts(found)) == (None, None, {})


def test_the_city_sees_places_with_companies_enough_and_no_others(tmp_path):
    live = world(tmp_path / "park", ["yard"])
    sites = get(live, who=CITY).json()
    assert amounts(sites) == {}
    assert sites["total"] is not None
    parts, true = get(live, who=CITY, level="parts").json(), amounts(get(live, level="parts").json())
    assert amounts(parts) == {"north": pytest.approx(true["north"])}, "three companies"
    assert parts["places"]["south"]["hidden"], "two companies"
    assert parts["elsewhere"] is None
    assert parts["others"] == pytest.approx(parts["total"] - true["north"]), "three companies in two cells"
    inside = get(live, who=CITY, place="north").json()
    assert (amounts(inside), inside["total"]) == ({}, pytest.approx(true["north"]))
    south = get(live, who=CITY, place="south").json()
    assert (amounts(south), south["total"], south["others"]) == ({}, None, None)


def test_the_city_sees_no_place_when_two_companies_would_remain(live):
    parts = get(live, who=CITY, level="parts").json()
    assert amounts(parts) == {}, "the depot and the park itself remain: each would read the other's figure"
    assert parts["total"] is not None


def test_the_city_learns_no_sector_of_a_lot_from_the_others(live):
    for sector in ("steel", "food", "transport", "office"):
        for level in ("parts", "sites"):
            found = get(live, who=CITY, sector=sector, level=level).json()
            assert (amounts(found), found["total"], found["others"]) == ({}, None, None), sector


def test_the_page_its_list_and_its_drawing_say_the_same_numbers(live):
    data, page = get(live).json(), get(live, "/map").text
    rows = list(csv.DictReader(io.StringIO(get(live, "/map.csv").text.lstrip("\ufeff"))))
    assert [row["place"] for row in rows[:2]] == ["mill", "dairy"]
    for row in rows:
        value = data["places"][row["place"]]["value"]
        assert (float(row["value"]) if row["value"] else None) == (
            pytest.approx(value) if value is not None else None
        )
    drawing = get(live, "/map.svg").text
    for id_, place in data["places"].items():
        assert f'data-place="{id_}"' in drawing
        assert f'data-place="{id_}"' in page
        shown = place["shown"].replace("CO₂e", "CO₂e")
        assert f"{place['name']}: {shown}" in drawing


def test_the_list_is_sorted_as_vietnamese_dictionaries_do_and_found_without_tone_marks(live):
    def listed(**params):
        text = get(live, "/map", **params).text
        return re.findall(r'<tr data-place="(\w+)"', text)

    assert listed(sort="name") == ["depot", "dairy", "empty", "mill", "shop"]
    assert listed(q="ap bac") == ["shop"]
    assert listed(q="DUONG sua") == ["dairy"]
    assert listed(q="nowhere") == []


def test_every_emission_on_the_list_leads_to_a_proof_of_the_same_number(live):
    page = get(live, "/map").text
    links = [link.replace("&amp;", "&") for link in re.findall(r'class="why" href="(/why\?[^"]+)"', page)]
    assert len(links) == 4
    asked = dict(parse_qsl(urlsplit(links[0]).query))
    assert (asked["by"], asked["key"]) == ("place", "mill")
    proof = get(live, "/why.json", **asked)
    assert proof.json()["co2e_kg"] / 1000 == pytest.approx(amounts(get(live).json())["mill"], rel=1e-9)


def test_who_may_not_open_a_proof_gets_no_link_to_it(live):
    page = get(live, "/map", CITY, level="parts").text
    assert "Lô Bắc" in page
    assert "/why?" not in page
    own = get(live, "/map", TENANT).text
    assert re.findall(r"key=(\w+)", " ".join(re.findall(r'href="(/why\?[^"]+)"', own))) == ["mill"]


def test_outlines_and_the_frame_of_the_map_fit_the_places(live):
    geometry = get(live).json()["geometry"]
    assert geometry["kind"] == "geojson"
    west, south, east, north = geometry["bounds"]
    assert west < 106.69
    assert east > 106.71
    assert south < 20.89
    assert north > 20.91
    asked = dict(parse_qsl(urlsplit(geometry["address"]).query))
    found = get(live, "/map/places.geojson", **asked).json()["features"]
    assert {feature["properties"]["id"] for feature in found} == {"mill", "shop", "dairy", "depot", "empty"}


@pytest.mark.parametrize(
    "wrong", [{"metric": "noise"}, {"norm": "head"}, {"level": "x"}, {"sector": "steal"}, {"sort": "size"}]
)
def test_a_wrong_choice_is_named_with_what_there_is(live, wrong):
    answer = get(live, **wrong)
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["code"] == "live.unknown_choice"


def test_names_with_markup_are_text(live):
    page = get(live, "/map", q='"><script>alert(1)</script>').text
    assert "<script>alert" not in page
