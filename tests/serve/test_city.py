# SPDX-License-Identifier: Apache-2.0
"""The server of a city: the way to the newest year, notation keys, the map of the wards, the grid, parks that report.

Comes in: the committed example city with its published values, the three-ward city. Goes out: what its pages and their twins say, against the
files of the example and against measurements made without the server.
"""

import csv
import io
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.replicate import replicate
from mangrove.serve import app as web
from mangrove.serve import newest
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import three_ward_city, two_factory_park, values

NOW = datetime(2026, 3, 10, 5, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "examples" / "city"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The example city with its values taken in, and a park whose ledger was replicated to it."""
    base = tmp_path_factory.mktemp("federation")
    city = base / "city"
    shutil.copytree(EXAMPLE, city, ignore=shutil.ignore_patterns(".mangrove", "places.geojson"))
    mg.ingest(
        mg.open(city),
        *(city / "values" / name for name in ("inventory_2016.csv", "vn_daily_mix.csv")),
        screen=False,
    )
    park = mg.open(two_factory_park(base / "park"))
    first = datetime(2023, 6, 1, tzinfo=UTC) - timedelta(hours=7)
    with park.writer() as ledger:
        ledger.append(
            values([("mill.power", first + timedelta(hours=i), 100.0) for i in range(48)]),
            Origin("file:a.csv", "1"),
        )
    replicate(park.territory.path, city / ".mangrove" / "replicas" / "works")
    return city


@pytest.fixture(scope="module")
def live(folder):
    return Live(mg.open(folder), Clock(NOW, 0))


def client(live, role="operator", principal=None):
    return TestClient(web.create(live, access=web.Fixed(principal or guest(role))))


@pytest.fixture(scope="module")
def city(live):
    return client(live)


def stated():
    """T CO2e by reference as the committed file states them."""
    rows = csv.DictReader(io.StringIO((EXAMPLE / "values" / "inventory_2016.csv").read_text("utf-8")))
    return {
        row["flow"].removeprefix("gpc-"): float(row["value"])
        for row in rows
        if row["flow"].startswith("gpc-")
    }


@pytest.mark.parametrize("lang", ["en", "vi"])
@pytest.mark.parametrize("screen", ["now", "map", "inventory"])
def test_a_period_without_values_leads_to_the_newest_year(city, screen, lang):
    page = city.get(f"/{screen}", params={"lang": lang}).text
    assert f'href="/{screen}?lang={lang}&amp;period=2016"' in page
    there = city.get(f"/{screen}", params={"period": "2016", "lang": lang}).text
    assert {"en": "Newest values", "vi": "Số liệu mới nhất"}[lang] in page
    assert {"en": "Newest values", "vi": "Số liệu mới nhất"}[lang] not in there


def test_a_city_without_plan_and_with_one_year_compares_with_nothing(city):
    found = city.get("/now.json", params={"period": "2016"}).json()
    assert found["compare"] == "none"
    assert found["answer"]["actual"] == pytest.approx(1000 * sum(stated().values()), rel=1e-9)


def test_a_city_with_two_years_compares_years(tmp_path):
    park = mg.open(three_ward_city(tmp_path / "city"))
    rows = [
        ("homes.power", datetime(year - 1, 12, 31, 17, tzinfo=UTC), 100.0 * (year - 2020))
        for year in (2022, 2023)
    ]
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("file:a.csv", "1"))
    live = Live(park, Clock(NOW, 0))
    assert newest.comparison(live, NOW) == "year"
    assert newest.year(live, NOW, ["homes.power"]) == 2023
    found = client(live).get("/now.json", params={"period": "2023"}).json()
    assert found["compare"] == "year"
    expected = [mg.measure(park, str(year), store=False).total()["co2e_kg"] for year in (2023, 2022)]
    assert [found["answer"][side] for side in ("actual", "base")] == pytest.approx(expected, rel=1e-9)


def test_the_newest_values_of_a_meter_lead_to_their_month(tmp_path):
    park = mg.open(three_ward_city(tmp_path / "city"))
    with park.writer() as ledger:
        ledger.append(
            values([("market.power", datetime(2024, 5, 31, 18, tzinfo=UTC), 5.0)]), Origin("file:a.csv", "1")
        )
    page = client(Live(park, Clock(NOW, 0))).get("/inventory", params={"lang": "en"}).text
    assert "period=2024-06" in page


def test_a_city_without_a_connection_has_nothing_to_operate(city):
    assert "/operate" not in city.get("/now").text
    answer = city.get("/operate", params={"lang": "en"})
    assert answer.status_code == 400
    assert [one["code"] for one in answer.json()["problems"]] == ["page_operate.nothing"]


def test_every_reference_stands_in_its_order_with_its_number_or_its_key(city, live):
    rows = {row["key"]: row for row in city.get("/inventory.json", params={"period": "2016"}).json()["rows"]}
    declared = {one.gpc: one.key for one in live.territory.notation}
    assert {key: row["notation"] for key, row in rows.items() if row["notation"]} == declared
    numbers = {key: row["t_co2e"] for key, row in rows.items() if not row["notation"]}
    assert numbers == pytest.approx(stated(), rel=1e-9)
    keys = list(rows)
    assert keys.index("I.4.4") < keys.index("I.5.1") < keys.index("II.1.1") < keys.index("V.1")
    table = list(
        csv.DictReader(
            io.StringIO(city.get("/inventory.csv", params={"period": "2016"}).text.lstrip("\ufeff"))
        )
    )
    assert {row["gpc"]: row["notation"] for row in table if row["notation"]} == declared
    assert all(not row["total_t_co2e"] for row in table if row["notation"])


def test_the_wards_are_ranked_and_found_without_tone_marks(city):
    page = city.get("/map", params={"period": "2016", "q": "thu duc", "lang": "en"}).text
    assert "Phường Thủ Đức" in page
    cells = city.get("/map.json", params={"period": "2016"}).json()["places"]
    assert len(cells) == 168
    known = {id_: cell for id_, cell in cells.items() if cell["value"] is not None}
    assert {cell["basis"] for cell in known.values()} == {"modelled"}
    assert sum(cell["value"] for cell in known.values()) == pytest.approx(sum(stated().values()), rel=1e-6)
    ranked = sorted(known.values(), key=lambda cell: cell["rank"])
    assert [cell["value"] for cell in ranked] == sorted((cell["value"] for cell in ranked), reverse=True)


def test_health_speaks_of_the_newest_year_and_of_values_that_people_enter(city):
    found = city.get("/health.json").json()
    assert found["year"] == 2016
    assert found["total_t_co2e"] == pytest.approx(sum(stated().values()), rel=1e-9)
    assert found["touched_share"] == pytest.approx(1.0)
    late = {row["flow"]: row for row in found["faults"] if row["kind"] == "late"}
    assert late["gpc-I.1.1"]["count"] == 9  # 2017 to 2025: the year 2026 is not over
    assert not [row for row in found["faults"] if row["kind"] == "never"]
    assert "gateway" not in city.get("/health", params={"lang": "en"}).text


def test_the_grid_stands_beside_the_official_factor_and_gaps_stay_empty(city):
    text = city.get("/inventory.csv", params={"period": "2023-12", "table": "grid"}).text.lstrip("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 72
    assert rows[0]["start"].startswith("2023-12-28T17:00")
    assert {float(row["official_kg_per_kwh"]) for row in rows} == {0.6592}
    assert all(
        0.3 < float(row["low"]) <= float(row["physical_kg_per_kwh"]) <= float(row["high"]) < 0.9
        for row in rows
    )
    first = city.get("/inventory.json", params={"period": "2016"}).json()["grid"]
    assert first[-1]["start"].startswith("2025-11-11T16:00")
    assert {row["official_kg_per_kwh"] for row in first} == {None}


def test_days_that_were_not_published_are_gaps(city):
    text = city.get(
        "/inventory.csv", params={"period": "2022-01-01..2022-01-04", "table": "grid"}
    ).text.lstrip("\ufeff")
    rows = [
        row
        for row in csv.DictReader(io.StringIO(text))
        if row["start"] >= "2022-01-01T17" and row["start"] < "2022-01-02T17"
    ]
    assert len(rows) == 24
    assert {(row["physical_kg_per_kwh"], row["course"]) for row in rows} == {("", "gap")}


def test_a_park_that_reports_stands_beside_the_inventory_and_never_in_it(city, folder):
    found = city.get("/inventory.json", params={"period": "2016"}).json()
    assert found["total_t_co2e"] == pytest.approx(sum(stated().values()), rel=1e-9)
    expected = mg.measure(mg.open(folder.parent / "park"), "2023", store=False).total()["co2e_kg"] / 1000
    (park,) = found["parks"]
    assert (park["park"], park["year"], park["verified"]) == ("Khu công nghiệp Thử Nghiệm", 2023, True)
    assert park["total_t_co2e"] == pytest.approx(expected, rel=1e-9)


def test_who_is_not_told_of_parks_sees_none(live):
    ward = next(place.id for place in live.territory.places.values() if place.kind == "ward")
    tenant = client(live, principal=Principal("1", "An", "user", "tenant", ward))
    assert tenant.get("/inventory.json", params={"period": "2016"}).json()["parks"] == []
    assert len(client(live, "city").get("/inventory.json", params={"period": "2016"}).json()["parks"]) == 1


def test_the_city_itself_is_told_all_rows_because_no_company_is_in_them(live):
    rows = client(live, "city").get("/inventory.json", params={"period": "2016"}).json()["rows"]
    assert {row["key"]: row["t_co2e"] for row in rows if row["shown"]} == pytest.approx(stated(), rel=1e-9)


def test_a_replica_that_was_tampered_with_says_so(folder, tmp_path):
    import sqlite3

    city = tmp_path / "city"
    shutil.copytree(folder, city)
    with sqlite3.connect(city / ".mangrove/replicas/works/.mangrove/catalog.db") as db:
        db.execute("update batch set source = 'file:other.csv'")
    db.close()
    (park,) = (
        client(Live(mg.open(city), Clock(NOW, 0)))
        .get("/inventory.json", params={"period": "2016"})
        .json()["parks"]
    )
    assert not park["verified"]


def test_totals_of_a_park_have_no_proofs_that_the_city_may_not_open(folder):
    """Every proof that a page of totals offers opens: the one of the whole, which needs no single company."""
    park = client(Live(mg.open(folder.parent / "park"), Clock(NOW, 0)), "city")
    for screen in ("now", "inventory"):
        page = park.get(f"/{screen}", params={"period": "2023-06", "lang": "en"}).text
        links = {part.split('"')[0].replace("&amp;", "&") for part in page.split('hx-get="')[1:]}
        assert links
        assert {park.get(link).status_code for link in links} == {200}


def test_gases_are_told_to_the_city_only_when_nobody_stands_alone_behind_one(folder):
    park = Live(mg.open(folder.parent / "park"), Clock(NOW, 0))
    asked = {"period": "2023-06", "by": "scope"}
    told = client(park, "city").get("/inventory.json", params=asked).json()
    assert told["total_t_co2e"] == client(park).get("/inventory.json", params=asked).json()["total_t_co2e"]
    assert not any(row["shown"] or row["by_gas_t_co2e"] for row in told["rows"])
    assert (
        "_t_co2e"
        not in client(park, "city").get("/inventory.csv", params=asked).text.split("total_t_co2e")[0]
    )


def test_the_order_of_what_is_not_shown_tells_nothing(folder):
    """Rows that are held back stand by name: by size, their order would tell who emits more."""
    live = Live(mg.open(folder.parent / "park"), Clock(NOW, 0))
    rows = (
        client(live, "city")
        .get("/inventory.json", params={"period": "2023-06", "by": "category"})
        .json()["rows"]
    )
    hidden = [row["name"] for row in rows if not row["shown"]]
    assert hidden == sorted(hidden)


def test_forms_are_offered_only_to_those_who_get_them(folder, city):
    park = client(Live(mg.open(folder.parent / "park"), Clock(NOW, 0)), "city")
    assert "/inventory/form/" not in park.get("/inventory", params={"period": "2023-06"}).text
    assert "/inventory/form/gpc?period=2016" in city.get("/inventory", params={"period": "2016"}).text
