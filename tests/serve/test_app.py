"""The frame of the application: proofs, errors in the reader's language, headers, streams, static files."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.serve import app as web
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import two_factory_park, values

NOW = datetime(2023, 6, 5, 3, tzinfo=UTC)


@pytest.fixture
def live(tmp_path):
    park = mg.open(two_factory_park(tmp_path / "park"))
    start = datetime(2023, 5, 31, 17, tzinfo=UTC)
    with park.writer() as ledger:
        rows = [("mill.power", start + timedelta(hours=i), 100.0) for i in range(100)]
        rows += [("shop.power", start + timedelta(hours=i), 10.0) for i in range(100)]
        ledger.append(values(rows), Origin("file:test", "1"))
    return Live(park, Clock(NOW, 0))


def client(live, principal):
    return TestClient(web.create(live, access=web.Fixed(principal)), raise_server_exceptions=False)


def test_the_proof_of_a_number_adds_up_to_the_measurement(live):
    with client(live, guest("operator")) as http:
        proof = http.get("/why.json", params={"period": "2023-06", "by": "place", "key": "mill"}).json()
    expected = mg.measure(live.park, "2023-06", by=["place"], store=False).to_arrow().to_pylist()
    mill = next(row["co2e_kg"] for row in expected if row["place"] == "mill")
    assert proof["co2e_kg"] == pytest.approx(mill, rel=1e-12)
    assert sum(part["co2e_kg"] for part in proof["proof"]["parts"]) == pytest.approx(mill, rel=1e-12)


def test_the_page_of_a_proof_names_the_document_of_the_factor(live):
    with client(live, guest("operator")) as http:
        page = http.get("/why", params={"period": "2023-06", "by": "place", "key": "mill", "lang": "en"})
    assert page.status_code == 200, page.text
    assert "file:test" in page.text
    assert "Where this number comes from" in page.text


def test_a_tenant_sees_the_proof_of_its_own_number_and_of_no_other(live):
    with client(live, Principal("1", "An", "user", "tenant", "shop")) as http:
        own = http.get("/why.json", params={"period": "2023-06", "by": "place", "key": "shop"})
        other = http.get("/why.json", params={"period": "2023-06", "by": "place", "key": "mill"})
        total = http.get("/why.json", params={"period": "2023-06"})
    assert own.json()["proof"]["parts"]
    assert other.status_code == 400
    assert other.json()["problems"][0]["code"] == "live.not_yours"
    assert total.json()["proof"] is None
    assert total.json()["co2e_kg"] > own.json()["co2e_kg"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"period": "2030"}, "live.future_period"),
        ({"period": "soon"}, "live.bad_period"),
        ({"period": "2023-06-31"}, "live.bad_period"),
        ({"period": "2023-06..2023-05"}, "live.bad_period"),
        ({"by": "place", "key": "moon"}, "live.no_cell"),
        ({"by": "moon", "key": "x"}, "measure.unknown_column"),
        ({"lang": "fr"}, "live.unknown_choice"),
        ({"compare": "fr"}, "live.unknown_choice"),
        ({"place": "moon"}, "live.no_place"),
        ({"scenario": "dream"}, "measure.unknown_run"),
    ],
)
def test_a_wrong_address_is_answered_with_its_code_and_as_a_page(live, query, code):
    with client(live, guest("operator")) as http:
        data = http.get("/why.json", params=query)
        page = http.get("/why", params=query, headers={"accept": "text/html"})
    assert data.status_code in {400, 404}
    assert data.json()["problems"][0]["code"] == code
    assert page.status_code == data.status_code
    assert "<html" in page.text


def test_every_answer_carries_the_headers_that_keep_a_page_safe(live):
    with client(live, guest("operator")) as http:
        for path in ("/healthz", "/why.json", "/static/app.css", "/nowhere"):
            headers = http.get(path).headers
            assert "script-src 'self'" in headers["content-security-policy"], path
            assert headers["x-content-type-options"] == "nosniff"


def test_the_language_is_kept_and_leads_back_to_this_server_only(live):
    with client(live, guest("operator")) as http:
        answer = http.get("/lang/en", params={"back": "//evil.example/"}, follow_redirects=False)
        assert answer.headers["location"] == "/"
        answer = http.get("/lang/en", params={"back": "/why?period=2023"}, follow_redirects=False)
        assert answer.headers["location"] == "/why?period=2023"
        assert "Where this number comes from" in http.get("/why", params={"period": "2023-06"}).text


def test_static_files_with_a_version_are_kept_for_a_year(live):
    with client(live, guest("operator")) as http:
        assert "immutable" in http.get("/static/app.css?v=1").headers["cache-control"]
        assert "immutable" not in http.get("/static/app.css").headers.get("cache-control", "")


def test_the_document_of_the_interface_lists_the_routes(live):
    with client(live, guest("operator")) as http:
        paths = json.loads(http.get("/openapi.json").text)["paths"]
    assert {"/why", "/why.json", "/events", "/healthz"} <= set(paths)
