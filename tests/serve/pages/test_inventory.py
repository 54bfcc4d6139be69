"""The inventory page: its cells are the measurement's, its proofs open, and nobody reads another's figures in it."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.errors import RequestError
from mangrove.ledger.types import Origin
from mangrove.serve import app as web
from mangrove.serve import exports
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import inventory
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import park_of, two_factory_park, values

NOW = datetime(2023, 6, 10, 5, tzinfo=UTC)
SO_FAR = ("2023-01-01", "2023-06-10T12:00")
TENANT = Principal("1", "An", "user", "tenant", "shop")
CITY = Principal("2", "Sở", "user", "city")


@pytest.fixture
def park(tmp_path):
    park = mg.open(two_factory_park(tmp_path / "park"))
    with park.writer() as ledger:
        rows = []
        for year in (2022, 2023):
            first = datetime(year, 6, 1, tzinfo=UTC) - timedelta(hours=7)
            rows += [("mill.power", first + timedelta(hours=i), 100.0 * (year - 2020)) for i in range(48)]
            rows += [("shop.power", first + timedelta(hours=i), 10.0) for i in range(48)]
            rows += [("mill.coal", first, 2.0), ("shop.diesel", first, 300.0)]
        ledger.append(values(rows), Origin("file:a.csv", "1"))
    return park


def page(park, principal=None, **params):
    live = Live(park, Clock(NOW, 0))
    view = views.read(
        park.territory, params, now=NOW, principal=principal or guest("operator"), period="year"
    )
    return inventory.build(live, view)


@pytest.mark.parametrize("by", ["sector", "scope", "category", "flow"])
def test_every_row_is_the_measurement_grouped_so(park, by):
    found = {line.key: line for line in page(park, by=by).lines}
    rows = mg.measure(park, *SO_FAR, by=[by], store=False).to_arrow().to_pylist()
    expected = {row[by] or "": row for row in rows if row["co2e_kg"]}
    assert set(found) == set(expected)
    for key, line in found.items():
        assert line.total == pytest.approx(expected[key]["co2e_kg"] / 1000, rel=1e-12)
        assert line.low == pytest.approx(expected[key]["co2e_low"] / 1000, rel=1e-12)
        assert sum(line.gases.values()) == pytest.approx(line.total, rel=1e-12)


def test_the_total_has_the_interval_of_the_measurement(park):
    total = page(park).total
    expected = mg.measure(park, *SO_FAR, store=False).total()
    assert (total.total, total.low, total.high) == pytest.approx(
        tuple(expected[f"co2e_{end}"] / 1000 for end in ("kg", "low", "high")), rel=1e-12
    )


def test_the_years_stand_side_by_side(park):
    found = page(park)
    assert found.years == (2022, 2023)
    assert found.partial == 2023
    for index, year in enumerate(found.years):
        span = (str(year),) if year < 2023 else SO_FAR
        rows = mg.measure(park, *span, by=["sector"], store=False).to_arrow().to_pylist()
        for row in rows:
            assert found.history[row["sector"]][index] == pytest.approx(row["co2e_kg"] / 1000, rel=1e-12)


def test_page_and_twins_say_the_same(park):
    live = Live(park, Clock(NOW, 0))
    with TestClient(web.create(live, access=web.Fixed(guest("operator")))) as http:
        data = http.get("/inventory.json").json()
        table = list(csv.DictReader(io.StringIO(http.get("/inventory.csv").text.lstrip("\ufeff"))))
        assert http.get("/inventory.csv", params={"table": "years"}).status_code == 200
        assert http.get("/inventory.svg").text.startswith("<svg")
        assert http.get("/inventory", params={"lang": "vi"}).status_code == 200
    assert {row["key"]: row["t_co2e"] for row in data["rows"]} == pytest.approx(
        {row["sector"]: float(row["total_t_co2e"]) for row in table}
    )


def test_each_number_of_the_page_opens_its_proof(park):
    live = Live(park, Clock(NOW, 0))
    with TestClient(web.create(live, access=web.Fixed(guest("operator")))) as http:
        for line in page(park).lines:
            for gas, tonnes in line.gases.items():
                query = {"period": "year", "by": "sector,gas", "key": f"{line.key},{gas}"}
                proof = http.get("/why.json", params=query).json()
                assert proof["co2e_kg"] / 1000 == pytest.approx(tonnes, rel=1e-12)


def test_a_tenant_reads_the_inventory_of_its_own(park):
    found = page(park, TENANT)
    rows = mg.measure(park, *SO_FAR, by=["flow"], store=False).to_arrow().to_pylist()
    own = sum(row["co2e_kg"] for row in rows if row["flow"].startswith("shop")) / 1000
    assert found.total.total == pytest.approx(own, rel=1e-12)
    assert [line.key for line in found.lines] == ["machinery"]
    assert "steel" not in str(found.json()) + str(found.tables()) + str(found.figures("vi"))


def test_the_city_is_told_the_total_of_the_territory_and_of_no_company_in_it(park):
    assert page(park, CITY).total.total == pytest.approx(page(park).total.total, rel=1e-12)
    with pytest.raises(RequestError) as refused:
        page(park, CITY, place="mill")
    assert refused.value.code == "live.not_yours"


def test_the_city_reads_the_total_of_many_and_no_cell_of_one(tmp_path):
    flows = [
        {
            "id": f"m{i}",
            "carrier": "electricity",
            "unit": "kWh",
            "step": "1h",
            "scope": "2",
            "place": f"f{i}",
            "sector": f"s{i // 3}",
        }
        for i in range(4)
    ]
    folder = park_of(tmp_path / "many", flows)
    with (folder / "places.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"f{i},Company {i},facility,park\n" for i in range(4))
    park = mg.open(folder)
    with park.writer() as ledger:
        ledger.append(
            values([(f"m{i}", NOW - timedelta(hours=5), 100.0) for i in range(4)]), Origin("file:a", "1")
        )
    found = page(park, CITY)
    assert found.total.total == pytest.approx(page(park).total.total)
    assert not any(
        line.shown for line in found.lines
    )  # the row of three would tell the row of one by subtraction
    assert found.tables()["inventory"].num_rows == 0
    assert not found.history
    with pytest.raises(RequestError):
        page(park, CITY, by="flow")


def test_rows_that_do_not_exist_are_named(park):
    with pytest.raises(RequestError) as refused:
        page(park, by="sectr")
    assert "sector" in refused.value.text()


@pytest.mark.parametrize("kind", ["html", "scopes", "iso14064", "circular38"])
def test_an_official_form_comes_as_a_file_and_is_recorded(park, kind):
    went = []

    def allowed():
        went.append(kind)
        return guest("operator")

    live = Live(park, Clock(NOW, 0))
    app = web.create(live, access=web.Fixed(guest("operator")), routers=[exports.router(live, allowed)])
    with TestClient(app) as http:
        answer = http.get(f"/inventory/form/{kind}", params={"period": "2023"})
    assert answer.status_code == 200, answer.text
    assert answer.content[:2] == b"PK" or kind == "html"
    assert went == [kind]


def test_forms_are_for_those_who_see_all(park):
    live = Live(park, Clock(NOW, 0))
    app = web.create(live, access=web.Fixed(TENANT), routers=[exports.router(live, lambda: TENANT)])
    with TestClient(app) as http:
        assert http.get("/inventory/form/html", params={"period": "2023"}).status_code == 403
        assert http.get("/inventory/form/nothing", params={"period": "2023"}).status_code == 400
