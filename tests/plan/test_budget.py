"""Plans that people write down: amounts are kept, courses are usual ones, and every wrong cell is named where it stands."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import mangrove as mg
from mangrove import api
from mangrove.errors import DeclarationError, LedgerError
from mangrove.ledger.types import Origin
from mangrove.plan import budget
from mangrove.testing import park_of, two_factory_park, values

ROOT = Path(__file__).parent.parent.parent
MONDAY = datetime(2023, 5, 1, tzinfo=UTC) - timedelta(hours=7)
"""Midnight in Việt Nam of a Monday, a month before the plan."""


@pytest.fixture
def park(tmp_path):
    return mg.open(two_factory_park(tmp_path / "park"))


def plan(tmp_path, *rows, name="june.csv"):
    path = tmp_path / name
    path.write_text("flow,period,amount,unit\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def readings(park, run, flow, period="2023-06"):
    table = mg.readings(park, flow, period, run=run)
    return np.array(table.column("value").to_pylist())


def test_the_values_of_a_period_add_up_to_its_amount(park, tmp_path):
    file = plan(
        tmp_path, "mill.power,2023-06,123.4567,MWh", "mill.coal,2023-06,31,t", "shop.diesel,2023-06,700,L"
    )
    assert api.budget(park, file).budget.run == "plan/june"
    sums = {
        flow: math.fsum(readings(park, "plan/june", flow))
        for flow in ("mill.power", "mill.coal", "shop.diesel")
    }
    assert sums == pytest.approx(
        {"mill.power": 123_456.7, "mill.coal": 31.0, "shop.diesel": 700.0}, rel=1e-14
    )


def test_each_flow_stands_at_its_own_step(park, tmp_path):
    api.budget(
        park, plan(tmp_path, "mill.power,2023,8760,kWh", "mill.coal,2023-02,28,t", "shop.diesel,2023,12,kL")
    )
    assert len(readings(park, "plan/june", "mill.power", "2023")) == 8760
    assert readings(park, "plan/june", "mill.coal", "2023") == pytest.approx(np.ones(28))
    monthly = readings(park, "plan/june", "shop.diesel", "2023")
    assert monthly == pytest.approx(
        [12_000 * days / 365 for days in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)]
    )


def test_the_emissions_of_a_plan_are_its_amounts_times_the_factors_of_the_meters(park, tmp_path):
    with park.writer() as ledger:
        rows = [("mill.power", MONDAY + timedelta(hours=i), 100.0) for i in range(24 * 31)]
        ledger.append(values(rows), Origin("file:test", "1"))
    api.budget(park, plan(tmp_path, "mill.power,2023-05,37200,kWh"))
    measured = mg.measure(park, "2023-05", store=False).total()["co2e_kg"]
    planned = mg.measure(park, "2023-05", run="plan/june", store=False).total()["co2e_kg"]
    assert planned == pytest.approx(measured / 2, rel=1e-12)


def test_a_month_follows_the_median_of_the_hours_of_the_week_before_it(park, tmp_path):
    course = 10.0 + np.arange(168)
    with park.writer() as ledger:
        rows = [("mill.power", MONDAY + timedelta(hours=i), float(course[i % 168])) for i in range(24 * 28)]
        rows[30] = (*rows[30][:2], 9_999.0)
        ledger.append(values(rows), Origin("file:test", "1"))
    adopted = api.budget(park, plan(tmp_path, "mill.power,2023-06,100000,kWh"))
    assert adopted.patterns == {"mill.power": "before"}
    thursday = 3 * 24  # 1 June 2023
    expected = course[(thursday + np.arange(720)) % 168]
    assert readings(park, "plan/june", "mill.power") == pytest.approx(
        expected * 100_000 / expected.sum(), rel=1e-9
    )


def test_without_earlier_readings_the_first_weeks_of_the_plan_give_the_course(park, tmp_path):
    with park.writer() as ledger:
        rows = [("mill.power", MONDAY + timedelta(days=31, hours=i), float(1 + i % 24)) for i in range(72)]
        ledger.append(values(rows), Origin("file:test", "1"))
    adopted = api.budget(park, plan(tmp_path, "mill.power,2023-06,300,kWh", "shop.power,2023-06,720,kWh"))
    assert adopted.patterns == {"mill.power": "begin", "shop.power": "even"}
    assert readings(park, "plan/june", "mill.power")[:24] == pytest.approx(np.arange(1, 25) / 30)
    assert readings(park, "plan/june", "shop.power") == pytest.approx(np.ones(720))


def test_a_rate_becomes_its_amount_over_the_hours_and_a_state_stays_a_level(tmp_path):
    flows = [
        {"id": "p", "carrier": "electricity", "unit": "kW", "step": "15min", "semantics": "mean", "scope": "2"},
        {"id": "a", "carrier": "land:forest", "unit": "ha", "step": "1mo", "semantics": "state"},
    ]  # fmt: skip
    park = mg.open(park_of(tmp_path / "park", flows))
    adopted = api.budget(park, plan(tmp_path, "p,2023-06,1.44,MWh", "a,2023-06,14,ha"))
    assert adopted.patterns == {"p": "even", "a": "level"}
    assert readings(park, "plan/june", "p") == pytest.approx(np.full(4 * 720, 2.0))
    assert readings(park, "plan/june", "a") == pytest.approx([14.0])


def test_the_same_file_is_the_same_batch_and_says_so(park, tmp_path):
    file = plan(tmp_path, "mill.power,2023-06,720,kWh")
    first, again = api.budget(park, file), api.budget(park, file)
    assert again.receipt.duplicate
    assert again.receipt.batch == first.receipt.batch
    assert [code for code, _ in budget.told(again, park.territory.tz)] == ["known"]
    other = api.budget(park, plan(tmp_path, "mill.power,2023-06,721,kWh"))
    assert other.receipt.batch > first.receipt.batch
    assert math.fsum(readings(park, "plan/june", "mill.power")) > 720


def test_the_record_holds_what_the_file_says(park, tmp_path):
    adopted = api.budget(park, plan(tmp_path, "mill.power,2023-06,720,kWh"), name="board")
    with park.reader() as ledger:
        document = json.loads(ledger.record(adopted.record)[1])
    assert document["lines"] == [{"flow": "mill.power", "period": "2023-06", "amount": 720.0, "unit": "kWh"}]
    assert (document["name"], document["basis"], document["batch"]) == (
        "board",
        "declared",
        adopted.receipt.batch,
    )


@pytest.mark.parametrize(
    ("row", "code", "column"),
    [
        ("mill.powr,2023-06,1,kWh", "plan.budget_flow", 1),
        ("mill.power,2023-W05,1,kWh", "plan.budget_period", 12),
        ("mill.power,2023-06-01,1,kWh", "plan.budget_period", 12),
        ("mill.power,2023-13,1,kWh", "base.not_a_period", 12),
        ("mill.power,2023-06,-1,kWh", "territory.negative", 20),
        ("mill.power,2023-06,nan,kWh", "territory.not_a_number", 20),
        ("mill.power,2023-06,1,t", "base.unit_mismatch", 22),
        ("mill.power,2023-06,1,kWhh", "base.unknown_unit", 22),
        ("mill.power,2023-06,,kWh", "territory.blank", 20),
    ],
)
def test_a_wrong_cell_is_named_where_it_stands(park, tmp_path, row, code, column):
    with pytest.raises(DeclarationError) as caught:
        api.budget(park, plan(tmp_path, "mill.power,2022,1,kWh", row))
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.where)) == (code, f"june.csv:3:{column}")
    assert "mill.power" in problem.text("en") or code != "plan.budget_flow"


def test_a_time_cannot_be_planned_twice_and_a_step_not_be_divided(park, tmp_path):
    with pytest.raises(DeclarationError) as caught:
        api.budget(
            park,
            plan(tmp_path, "mill.power,2023,1,kWh", "shop.power,2023-06,1,kWh", "mill.power,2023-06,1,kWh"),
        )
    assert [(x.code, x.where.line) for x in caught.value.problems] == [("plan.budget_twice", 4)]
    yearly = mg.open(
        park_of(tmp_path / "yearly", [{"id": "y", "carrier": "electricity", "unit": "MWh", "step": "1y"}])
    )
    with pytest.raises(DeclarationError) as caught:
        api.budget(yearly, plan(tmp_path, "y,2023-06,1,kWh"))
    assert [x.code for x in caught.value.problems] == ["plan.budget_step"]


def test_a_file_without_rows_or_with_a_strange_name_is_refused(park, tmp_path):
    with pytest.raises(DeclarationError) as caught:
        api.budget(park, plan(tmp_path))
    assert [x.code for x in caught.value.problems] == ["plan.budget_empty"]
    with pytest.raises(LedgerError):
        api.budget(park, plan(tmp_path, "mill.power,2023,1,kWh"), name="my plan")
    with pytest.raises(DeclarationError):
        api.budget(park, tmp_path / "nowhere.csv")


def test_the_plan_of_the_example_park_covers_its_inventory_month_by_month():
    park = mg.open(ROOT / "examples" / "park")
    read = budget.read(park.territory, ROOT / "examples" / "park" / "plans" / "2024.csv")
    table, patterns = budget.values(park.territory, read)
    declared = {
        flow.id
        for flow in park.territory.flows.values()
        if flow.scope is not None and flow.account == "inventory"
    }
    assert {flow.id for flow in read.flows} == declared == set(patterns)
    assert len(read.lines) == 12 * len(declared)
    planned = math.fsum(line.own for line in read.lines if line.flow.id == "steel_electricity")
    steel = table.filter(np.array(table.column("flow").to_pylist()) == "steel_electricity")
    assert math.fsum(steel.column("value").to_pylist()) == pytest.approx(planned, rel=1e-12)
