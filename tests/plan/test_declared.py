"""A site's meters, contract and assets become a sizing problem; the planned year goes back under its own run."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.plan.site import DAYS, END, FILES, START, build, meters, rows

import mangrove as mg
from mangrove.errors import DataQualityError, DeclarationError, RequestError
from mangrove.ledger import Origin
from mangrove.plan.declared import Wishes, case_of
from mangrove.plan.finance import Money
from mangrove.plan.prices import calendars
from mangrove.plan.problem import Limits, Outage, Size
from mangrove.plan.record import document, inputs_hash, metered, store
from mangrove.plan.report_model import tables
from mangrove.plan.size import size
from mangrove.plan.study import regimes, sensitivity


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mill"))


@pytest.fixture(scope="module")
def case(park):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return case_of(park.territory, snapshot, "mill", START, END, wishes=Wishes(name="roof-2030"))


def test_the_load_is_what_the_energy_balance_leaves(case):
    assert case.loads["electricity"] == pytest.approx(meters()[-1])
    assert case.steps == DAYS * 24


def test_the_connection_is_priced_by_its_contract_with_the_hours_of_the_law(case):
    grid = case.supplies[0]
    evening = grid.buy.reshape(DAYS, 24)[0]
    assert evening[18] == grid.buy.max() == pytest.approx(2182.0)
    assert evening[17] == pytest.approx((2182.0 + 1275.0) / 2)  # the peak begins at 17:30
    assert evening[2] == pytest.approx(859.0)
    assert grid.demand == pytest.approx(235414.0)
    assert grid.share == pytest.approx(0.5)  # since 26/06/2026
    assert grid.upper == 10000.0
    assert grid.export == 2000.0
    assert 0.5 < grid.factor < 0.9


def test_assets_can_be_sized_with_the_costs_that_they_declare(case):
    roof, bess = case.assets
    assert (roof.kind, bess.kind) == ("pv", "battery")
    assert roof.sizes() == {"roof": Size(cost=16e6, om=240e3, life=25, existing=200.0, most=3000.0)}
    assert np.max(roof.series["profile"]) == pytest.approx(0.8, rel=1e-3)
    assert bess.sizes()["bess"] == Size(life=12, existing=50.0)
    assert bess.sizes()["bess/energy"] == Size(cost=4.5e6, life=12, existing=100.0, most=4000.0)
    assert case.money == Money(years=25, discount=0.1, tax=0.2, energy=0.04, export=0.04, om=0.03)
    assert case.carbon == pytest.approx(100000.0)


def test_what_nobody_declared_is_assumed_and_shown_with_its_source(park, case):
    assert [row.row for row in case.assumed] == [
        "years",
        "tax/standard",
        "escalation/electricity",
        "escalation/om",
    ]
    shown = next(table for table in tables(size(case, days=None), "en") if table.title.startswith("Assumed"))
    assert shown.rows[1][1:3] == ("20 %", "unofficial")
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        own = case_of(park.territory, snapshot, "mill", START, END, wishes=Wishes(money=Money(discount=0.07)))
    assert own.assumed == ()
    assert own.money.discount == 0.07


def test_before_building_the_year_costs_what_its_load_costs(case):
    found = size(case, days=4, timezone="Asia/Ho_Chi_Minh")
    assert found.before is not None
    assert found.before.energy["roof"] == pytest.approx(meters()[2].sum() * 8760 / (DAYS * 24), rel=1e-6)
    assert found.built["roof"] > 0
    assert found.sizes["bess/energy"] - 100 == pytest.approx(2 * (found.sizes["bess"] - 50), abs=1e-3)
    bills = found.after.bills["grid"]
    assert len(bills) == 1
    labels = {line.label for line in bills[0].lines}
    assert len(labels) >= 3
    energy = sum(
        line.quantity
        for line in bills[0].lines
        if line.unit == "kWh" and line.quantity > 0 and line.amount > 0
    )
    assert energy == pytest.approx(found.after.series["grid"].sum(), rel=1e-6)


def test_the_plan_is_stored_and_measured_by_the_same_formula_as_the_meters(park, case):
    found = size(case, days=4, timezone="Asia/Ho_Chi_Minh")
    with park.writer() as ledger:
        record, receipt = store(ledger, park.territory, found)
        again, twice = store(ledger, park.territory, found)
    assert receipt is not None
    assert receipt.rows == DAYS * 24 * (4 + 1 + 1 + 2)
    assert again == record
    assert twice is not None
    assert twice.duplicate
    planned = mg.measure(
        park, START.astimezone(park.territory.tz), END.astimezone(park.territory.tz), run="plan/roof-2030"
    )
    kilograms = sum(planned.to_arrow().column("co2e_kg").to_pylist())
    expected = float(found.after.series["grid"].sum() * case.supplies[0].factor)
    assert kilograms == pytest.approx(expected, rel=1e-6)
    with park.reader() as ledger:
        kind, text, _ = ledger.record(record)
    told = json.loads(text)
    assert kind == "plan"
    assert told["sizes"]["roof"] == pytest.approx(found.sizes["roof"])
    assert told["question"]["inputs"] == inputs_hash(case)


def test_the_same_question_has_the_same_record(case):
    once, twice = (json.dumps(document(size(case, days=4)), sort_keys=True) for _ in range(2))
    assert once == twice


def test_every_planned_stream_has_its_flow(case):
    assert list(metered(case)) == [
        ("mill.power", [("grid", 1.0)]),
        ("mill.sold", [("grid export", 1.0)]),
        ("mill.sun", [("roof", 1.0)]),
        ("mill.in", [("bess charge", 1.0)]),
        ("mill.out", [("bess discharge", 1.0)]),
    ]


def test_a_record_says_the_same_for_the_same_question(case):
    one = document(size(case, days=None))
    assert json.loads(json.dumps(one, allow_nan=False)) == json.loads(json.dumps(one))
    assert inputs_hash(case) == inputs_hash(replace(case))
    assert inputs_hash(case) != inputs_hash(replace(case, carbon=1.0))


def test_two_calendars_of_the_law_are_answered_side_by_side(park, case):
    grids = calendars(case.supplies[0], case.starts, 1.0, park.territory.tz)
    found = sensitivity(case, regimes(case, grids), days=4)
    assert [one.name for one in found] == ["roof-2030", "legacy", "963"]
    assert found[1].cost != pytest.approx(found[2].cost, rel=1e-6)
    assert found[2].cost == pytest.approx(found[0].cost, rel=1e-9)


def test_wishes_reach_the_case(park):
    wishes = Wishes(
        money=Money(years=10, discount=0.08), limits=Limits(area=9000.0), outages=(Outage(30, 2, {"electricity": 0.3}),),
        carbon=0.0, areas={"roof": 6.0}, degradation={"roof": 0.005},
    )  # fmt: skip
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        case = case_of(park.territory, snapshot, "mill", START, END, wishes=wishes)
    found = size(case, days=4)
    assert found.sizes["roof"] * 6.0 <= 9000.0 * (1 + 1e-6)
    assert not found.relaxed
    assert found.survival(0.3, 2.0).hours[30] == 2.0


def test_a_meter_with_a_gap_is_named_with_its_first_hour(tmp_path):
    park = build(tmp_path)
    gap = END + timedelta(hours=3)
    with (
        park.reader() as ledger,
        ledger.snapshot() as snapshot,
        pytest.raises(DataQualityError) as caught,
    ):
        case_of(park.territory, snapshot, "mill", START, gap)
    assert caught.value.code == "plan.gaps"
    assert caught.value.problem.data["count"] == 3
    assert "2026-07-28T17" in caught.value.problem.data["first"]


def test_values_that_do_not_count_are_gaps(tmp_path):
    park = build(tmp_path)
    quality = np.zeros(DAYS * 24, dtype=np.int8)
    quality[5] = 5
    with park.writer() as ledger:
        ledger.append(rows("mill.sun", meters()[2] + 1, quality=quality), Origin("test:again", "1"))
    with (
        park.reader() as ledger,
        ledger.snapshot() as snapshot,
        pytest.raises(DataQualityError) as caught,
    ):
        case_of(park.territory, snapshot, "mill", START, END)
    assert caught.value.problem.data["flow"] == "mill.sun"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("; flow=mill.power;", "; flow=mill.pwr;", "plan.unknown_flow"),
        ("capacity=10 MW; export=2 MW; flow=mill.power;", "capacity=10 MW; export=2 MW;", "plan.unmetered"),
        ("mill_grid,mill,grid", "mill_grid,park,grid", "plan.no_site"),
        ("capacity=200 kWp; max", "max", "plan.no_profile"),
    ],
)
def test_what_a_plan_needs_and_the_territory_lacks_is_named(tmp_path, monkeypatch, old, new, code):
    for name in ("assets.csv", "territory.yaml"):
        monkeypatch.setitem(FILES, name, FILES[name].replace(old, new))
    park = build(tmp_path)
    with (
        park.reader() as ledger,
        ledger.snapshot() as snapshot,
        pytest.raises((RequestError, DeclarationError)) as caught,
    ):
        case_of(park.territory, snapshot, "mill", START, END)
    codes = {problem.code for problem in caught.value.problems} | {caught.value.code}
    assert code in codes
