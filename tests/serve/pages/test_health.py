"""Data health: what is late, stuck or missing, ordered by the tonnes of the reported total that rest on it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove.errors import Problem
from mangrove.ledger.types import Origin, Quality, Rejected
from mangrove.serve import app as web
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import health
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.sources.poll import Health
from mangrove.testing import two_factory_park, values
from mangrove.times import Step

NOW = datetime(2023, 6, 10, 5, tzinfo=UTC)  # noon in Việt Nam
FIRST = datetime(2023, 5, 31, 17, tzinfo=UTC)


def hours(flow, last, amount=100.0):
    count = int((last - FIRST) / timedelta(hours=1))
    return [(flow, FIRST + timedelta(hours=i), amount) for i in range(count)]


@pytest.fixture
def park(tmp_path):
    park = mg.open(two_factory_park(tmp_path / "park"))
    with park.writer() as ledger:
        rows = hours("mill.power", NOW) + hours("shop.power", NOW - timedelta(hours=7), 10.0)
        ledger.append(values(rows), Origin("file:a.csv", "1"))
        stuck = [("mill.power", NOW - timedelta(hours=i), 100.0) for i in (3, 4, 5)]
        ledger.append(values(stuck, quality=int(Quality.STUCK)), Origin("model:screening", "1"))
        bad = Rejected(b"x", Problem("ledger.no_flow"))
        ledger.append(values([]), Origin("http:k1", "1"), rejected=[bad, bad])
    return park


def page(park, principal=None, **params):
    live = Live(park, Clock(NOW, 0))
    view = views.read(park.territory, params, now=NOW, principal=principal or guest("operator"))
    return health.build(live, view)


def test_an_input_touches_the_tonnes_that_the_measurement_gives_it(park):
    found = {fault.flow: fault.touches for fault in page(park).faults if fault.kind in {"late", "excluded"}}
    rows = mg.measure(park, "2023", by=["flow"], store=False).to_arrow().to_pylist()
    measured = {row["flow"]: row["co2e_kg"] / 1000 for row in rows}
    assert found == pytest.approx({flow: measured[flow] for flow in ("mill.power", "shop.power")}, rel=1e-12)


def test_the_worst_stands_first_and_what_nobody_knows_before_it(park):
    kinds = [(fault.kind, fault.flow) for fault in page(park).faults]
    known = [flow for kind, flow in kinds if kind in {"late", "excluded"}]
    assert known == ["mill.power", "shop.power"]
    assert kinds.index(("never", "mill.coal")) < kinds.index(("excluded", "mill.power"))


def test_a_late_input_says_since_when_and_how_many_values(park):
    (late,) = (fault for fault in page(park).faults if fault.kind == "late")
    assert (late.flow, late.since, late.count) == ("shop.power", NOW - timedelta(hours=7), 7)


def test_stuck_values_are_counted_where_they_are(park):
    (stuck,) = (fault for fault in page(park).faults if fault.detail == "stuck")
    assert (stuck.flow, stuck.count, stuck.since) == ("mill.power", 3, NOW - timedelta(hours=5))


def test_rows_that_could_not_be_read_name_their_sender(park):
    (bad,) = (fault for fault in page(park).faults if fault.kind == "quarantine")
    assert (bad.name, bad.place, bad.count) == ("http:k1", "ledger.no_flow", 2)


def test_the_share_is_that_of_the_reported_total(park):
    found = page(park)
    total = mg.measure(park, "2023", store=False).total()["co2e_kg"] / 1000
    assert found.total == pytest.approx(total, rel=1e-12)
    assert found.share == pytest.approx(1.0)  # both inputs with values have a fault


def test_a_device_that_does_not_answer_is_a_fault(park):
    live = Live(park, Clock(NOW, 0))
    live.health.append(
        lambda: (Health("gate", "failing", NOW, Problem("ledger.no_flow")), Health("fine", "ok"))
    )
    view = views.read(park.territory, {}, now=NOW, principal=guest("operator"))
    devices = [fault for fault in health.build(live, view).faults if fault.kind == "device"]
    assert [(fault.name, fault.detail) for fault in devices] == [("gate", "failing")]


def test_a_tenant_hears_of_its_own_inputs_only(park):
    found = page(park, Principal("1", "An", "user", "tenant", "shop"))
    assert {fault.flow for fault in found.faults} == {"shop.power", "shop.diesel"}
    assert "mill" not in str(found.tables()) + str(found.figures("vi"))


def test_the_city_hears_how_much_and_not_who(park):
    principal = Principal("1", "Sở", "user", "city")
    found = page(park, principal)
    assert found.share == pytest.approx(1.0)
    assert found.tables()["faults"].num_rows == 0
    assert not found.figures("vi")
    app = web.create(Live(park, Clock(NOW, 0)), access=web.Fixed(principal))
    with TestClient(app) as http:
        for path in ("/health", "/health.json", "/health.csv"):
            assert "mill" not in http.get(path).text.replace(park.territory.name, "")


def test_a_park_without_a_ledger_says_that_nothing_was_measured(tmp_path):
    found = page(mg.open(two_factory_park(tmp_path / "new")))
    assert found.state == "empty"
    assert not found.faults


@pytest.mark.parametrize(
    ("step", "ago", "late"),
    [
        ("15min", timedelta(minutes=29), 0),
        ("15min", timedelta(minutes=44), 0),
        ("15min", timedelta(minutes=45), 2),
        ("1h", timedelta(hours=3), 2),
        ("1d", timedelta(days=1, hours=23), 0),
        ("1d", timedelta(days=2), 1),
        ("1mo", timedelta(days=39), 0),
        ("1mo", timedelta(days=70), 1),
    ],
)
def test_an_input_is_late_after_whole_intervals_that_did_not_come(park, step, ago, late):
    view = views.read(park.territory, {}, now=NOW, principal=guest("operator"))
    assert health.late_intervals(Step.parse(step), NOW - ago, NOW, view) == late


def test_an_input_without_a_step_is_never_late(park):
    view = views.read(park.territory, {}, now=NOW, principal=guest("operator"))
    assert health.late_intervals(None, NOW - timedelta(days=900), NOW, view) == 0


def test_a_page_lists_the_worst_faults_and_the_table_has_all(park):
    found = page(park)
    one = found.faults[0]
    many = replace(found, faults=tuple(replace(one, flow=f"f{i}", count=i) for i in range(120)))
    assert many.listed == many.faults[: len(many.listed)]
    assert 20 < len(many.listed) < 100
    assert many.tables()["faults"].num_rows == 120
    assert found.listed == found.faults
