"""Days of a plan by the hour: courses from meters, prices from contracts, what nobody metered or agreed, and the words for it."""

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests import trading
from tests.doors import mangrove

import mangrove as mg
from mangrove import exchange, testing
from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Origin

FLOWS = trading.FLOWS + "course,mill,,wastewater,m3,1h,sum,2 %\ndaily,works,,wastewater,m3,1d,sum,2 %\n"
OFFERS = trading.OFFERS + (
    "drain,mill,wastewater,Nước rửa,,7305 m3/month,COD=300 mg/L,,,1000 VND/m3,,flow=course; storage=100 m3\n"
    "brine,works,wastewater,Nước cô đặc,,10 m3/month,COD=200 mg/L,,,10 VND/m3,,flow=daily\n"
)
NEEDS = trading.NEEDS + (
    "cooling,bricks,water@reuse,Nước làm mát,,7305 m3/month,COD<=40 mg/L,,,12000 VND/m3,,storage=100 m3\n"
    "rinse,paper,water@reuse,Nước rửa,,10 m3/month,COD<=40 mg/L,,,12000 VND/m3,,flow=nobody\n"
)
ASSETS = "id,place,type,name,parameters\nuf,works,water_treatment,Siêu lọc,capacity=30 m3/h; consumption=2 kWh/m3; outlets='COD=30 mg/L'\n"
TOU = trading.TERRITORY + (
    "tariffs:\n  - id: works\n    carrier: electricity\n    places: [works]\n    kind: tou\n    customer: production\n    voltage: 6-<22 kV\n    source: made up\n"
)
DAY = date(2025, 6, 4)


def shape(hour):
    """Three times as much by day as by night, with the mean one."""
    return 1.5 if 6 <= hour < 18 else 0.5


def folder(path, territory=TOU):
    """The park with a plant, and June 2025 of the meter of its drain."""
    trading.metered(path, flows=FLOWS, offers=OFFERS, needs=NEEDS, assets=ASSETS)
    (path / "territory.yaml").write_text(territory, encoding="utf-8")
    first = datetime(2025, 6, 1, tzinfo=UTC) - timedelta(hours=7)
    rows = [("course", first + timedelta(hours=t), 40.0 * shape(t % 24)) for t in range(30 * 24) if t % 97]
    with Ledger.open(path / ".mangrove") as ledger:
        ledger.append(testing.values(rows), Origin("test", "2"))
    return path


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return mg.open(folder(tmp_path_factory.mktemp("hours")))


@pytest.fixture(scope="module")
def planned(park):
    return exchange.plan(park, on=date(2025, 6, 1), power_price=2000.0)


@pytest.fixture(scope="module")
def made(park, planned):
    return exchange.hours(park, "2025-06-04", planned=planned)


def codes(made):
    return {one.code for one in made.problems}


def test_an_offer_follows_its_meter_and_brings_the_amount_of_its_month(made):
    (drain,) = (one for one in made.hours.offers if one.id == "drain")
    assert np.array(drain.declared) == pytest.approx([10.0 * shape(hour) for hour in range(24)], rel=1e-3)
    assert made.hours.starts[0].isoformat() == "2025-06-04T00:00:00+07:00"


def test_electricity_is_bought_at_the_contracts_price_of_each_hour(made, planned):
    (unit,) = made.hours.units
    assert (min(unit.price), max(unit.price)) == (
        1234.0,
        3508.0,
    )  # Decision 1279/QD-BCT, production at 6 to 22 kV, before VAT
    assert sum(unit.power) == pytest.approx(sum(unit.leaves) * 2)
    mean = np.dot(unit.price, unit.bought) / sum(unit.bought)
    assert mean < np.mean(unit.price)  # tanks let it wait for cheaper hours
    assert unit.bought == pytest.approx(unit.power)


def test_a_price_that_is_asked_for_stands_above_the_contract(park, planned):
    flat = exchange.hours(park, DAY, planned=planned, power_price=2000.0)
    assert set(flat.hours.units[0].price) == {2000.0}
    # courses have the mean one over the month, and tanks level them out within the day: the day is its part of the month
    month = sum(one.total for one in planned.plan.exchanges) / 12
    assert flat.hours.worth == pytest.approx(month * 24 / 730.5, rel=2e-3)


def test_what_is_not_known_by_the_hour_is_said(made):
    assert codes(made) == {"exchange.no_course", "exchange.unknown_flow", "exchange.hours_carbon"}
    for lang in ("en", "vi"):
        said = [made.text(lang), *(one.line(lang) for one in made.problems)]
        assert not any("exchange." in text or "{" in text for text in said), said
    assert "Siêu lọc" in made.text("vi")


def test_without_a_contract_the_plans_price_holds_and_a_month_without_hours_is_even(tmp_path):
    park = mg.open(folder(tmp_path, trading.TERRITORY))
    plan = exchange.plan(park, on=date(2025, 6, 1), power_price=1234.0, store=False)
    other = exchange.hours(park, "2025-07-04", 2, planned=plan)
    assert {"exchange.hours_flat", "exchange.course_unread"} <= codes(other)
    assert set(other.hours.units[0].price) == {1234.0}
    (drain,) = (one for one in other.hours.offers if one.id == "drain")
    assert drain.declared == pytest.approx((10.0,) * 48)


def test_what_ran_in_each_hour_counts_where_it_is_known_for_all_of_them(park, planned, monkeypatch):
    known = np.where(np.arange(24) < 12, 0.3, 0.9)
    table = pa.table({"physical_kg_per_kwh": pa.array(known)})
    monkeypatch.setattr("mangrove.measure.grid_intensity.hourly_intensity", lambda *_, **__: table)
    found = exchange.hours(park, DAY, planned=planned)
    assert "exchange.hours_carbon" not in codes(found)
    treated = sum(one.co2 for one in found.hours.exchanges if one.unit == "uf")
    assert treated == pytest.approx(-float(known @ found.hours.units[0].power) / 1000)
    table = pa.table({"physical_kg_per_kwh": pa.array([None, *known[1:].tolist()])})
    assert "exchange.hours_carbon" in codes(exchange.hours(park, DAY, planned=planned))


@pytest.mark.parametrize(
    ("day", "days", "code"), [("2025-06", 1, "base.not_a_date"), ("2025-06-04", 0, "exchange.bad_days")]
)
def test_a_day_and_a_number_of_days_must_make_sense(park, day, days, code):
    with pytest.raises(RequestError) as raised:
        exchange.hours(park, day, days)
    assert raised.value.code == code


def test_the_command_answers_on_the_terms_that_were_stored_last(park, planned):
    done = mangrove("exchange", "hours", str(park.territory.path), "--day", "2025-06-04", "--json")
    document = json.loads(done.out)
    assert len(document["starts"]) == 24
    assert document["worth"] == pytest.approx(exchange.hours(park, DAY).hours.worth)
    assert {"slag>stone", "drain>uf>cooling"} <= {one["id"] for one in document["exchanges"]}
