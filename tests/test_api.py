# SPDX-License-Identifier: Apache-2.0
"""The verbs in Python: the same answers as on the command line, the ledger closed behind them, errors with codes."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tests.doors import COAL, GRID, HOURS, MILL, SHOP, mangrove, measured_park, meters, sharing_park

import mangrove as mg
from mangrove import api, testing
from mangrove.handle import STORE
from mangrove.ledger import Ledger

POWER = HOURS * (MILL + SHOP) * GRID


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return measured_park(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def park(folder):
    return mg.open(folder)


def test_every_public_name_is_there_and_no_other():
    assert sorted(mg.__all__) == sorted(dir(mg))
    for name in mg.__all__:
        assert getattr(mg, name) is not None
    with pytest.raises(AttributeError, match="nosuch"):
        mg.nosuch  # noqa: B018


def test_importing_loads_nothing_heavy():
    heavy = "numpy pyarrow duckdb pandas polars shapely pydantic openpyxl docx typer highspy scipy sklearn lightgbm pvlib"
    script = f"import sys, mangrove; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_verb_can_be_called_before_and_after_its_package_is_imported(folder):
    script = (
        "import sys, mangrove as mg\n"
        "park = mg.open(sys.argv[1])\n"
        "first = mg.measure(park, '2023', store=False).total()\n"
        "import mangrove.measure, mangrove.measure.result\n"
        "from mangrove import measure\n"
        "assert mg.measure(park, '2023', store=False).total() == measure(park, '2023', store=False).total() == first\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script, folder], check=True)


def test_opening_takes_text_or_a_path_and_makes_nothing(tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    before = sorted(tmp_path.rglob("*"))
    assert mg.open(folder).territory == mg.open(str(folder)).territory
    assert mg.open(folder).store == folder / STORE
    assert mg.check(folder) == mg.check(str(folder)) == []
    assert sorted(tmp_path.rglob("*")) == before
    assert "Khu công nghiệp Thử Nghiệm" in repr(mg.open(folder))


def test_a_broken_declaration_cannot_be_opened_and_check_lists_the_same_problems(tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    (folder / "places.csv").write_text("id,name,kind,parent\nmill,Mill,facility,nowhere\n", encoding="utf-8")
    with pytest.raises(mg.DeclarationError) as refused:
        mg.open(folder)
    listed = mg.check(folder)
    assert {problem.code for problem in refused.value.problems} <= {problem.code for problem in listed}
    assert len(listed) > 3
    assert all(problem.where and problem.text("vi") for problem in listed)


def test_the_whole_way_in_python(tmp_path):
    park = mg.open(testing.two_factory_park(tmp_path / "park"))
    report = mg.ingest(park, *meters(tmp_path / "meters"), screen=False)
    assert sum(file.stored for file in report.files) == 2 * HOURS + 365 + 12
    result = mg.measure(park, "2023", by=["place", "gas"], gwp="AR5")
    table = result.to_arrow()
    assert table.column_names == [
        "place",
        "gas",
        "kg",
        "kg_low",
        "kg_high",
        "co2e_kg",
        "co2e_low",
        "co2e_high",
        "coverage",
    ]
    frame = result.to_pandas()
    assert list(frame.columns) == table.column_names
    assert result.to_polars().columns == table.column_names
    assert frame["co2e_kg"].sum() == pytest.approx(result.total()["co2e_kg"])
    assert mg.replay(park, result.record).to_arrow() == table
    assert all(change.after == change.before for change in mg.diff(park, result.record))


def test_the_same_files_again_change_nothing(folder, park, tmp_path):
    before = mg.measure(park, "2023", store=False).total()
    again = mg.ingest(park, *meters(tmp_path / "meters"), screen=False)
    assert sum(file.stored for file in again.files) == 0
    assert mg.measure(park, "2023", store=False).total() == before


@pytest.mark.parametrize(
    ("start", "end"),
    [("2023", None), ("2023-01-01", "2024-01-01"), (date(2023, 1, 1), date(2024, 1, 1)), ("2023-01", "2024"),
     (datetime(2022, 12, 31, 17, tzinfo=UTC), datetime(2023, 12, 31, 17, tzinfo=UTC)), ("2022-12-31T17:00Z", "2024-01-01T00:00+07:00")],
)  # fmt: skip
def test_a_year_may_be_named_in_many_ways(park, start, end):
    table = mg.measure(park, start, end, by=["carrier"], store=False).to_arrow().to_pylist()
    assert {row["carrier"]: row["co2e_kg"] for row in table}["electricity"] == pytest.approx(POWER)


def test_a_date_alone_is_that_day(park):
    assert mg.measure(park, date(2023, 3, 1), store=False).plan.question.span.hours == 24


def test_python_and_the_command_line_give_the_same_rows(folder, park):
    rows = mg.measure(park, "2023", by=["sector"], every="1mo", store=False).to_arrow().to_pylist()
    shown = json.loads(
        mangrove(
            "measure", folder, "--from", "2023", "--by", "sector", "--every", "1mo", "--json", "--no-store"
        ).out
    )
    assert [{**row, "start": row["start"].isoformat()} for row in rows] == shown


def test_a_measurement_is_kept_only_when_asked(park):
    known = {id_ for id_, _, _ in mg.records(park)}
    assert mg.measure(park, "2023-05", store=False).record == ""
    assert {id_ for id_, _, _ in mg.records(park)} == known
    kept = mg.measure(park, "2023-05").record
    assert {id_ for id_, _, _ in mg.records(park)} == known | {kept}
    assert mg.measure(park, "2023-05").record == kept, "the same question and the same values are one record"


def test_records_are_listed_with_their_questions_oldest_first(park, folder):
    first, second = mg.measure(park, "2023-06").record, mg.measure(park, "2023-07", by=["gas"]).record
    listed = mg.records(folder)
    assert [id_ for id_, _, _ in listed if id_ in (first, second)] == [first, second]
    assert [when for _, when, _ in listed] == sorted(when for _, when, _ in listed)
    assert {id_: question["by"] for id_, _, question in listed}[second] == ["gas"]


def test_a_record_is_replayed_though_the_declaration_is_gone(folder, park, tmp_path):
    record = mg.measure(park, "2023").record
    other = tmp_path / "other"
    shutil.copytree(folder / STORE, other / STORE)
    assert mg.replay(other, record[:8]).total() == mg.measure(park, "2023", store=False).total()
    with pytest.raises(mg.DeclarationError):
        mg.open(other)


def test_what_was_known_then_is_answered_now(folder, tmp_path):
    own = Path(shutil.copytree(folder, tmp_path / "park"))
    park = mg.open(own)
    old = mg.measure(park, "2023", by=["flow"])
    before = datetime.now(UTC)
    (tmp_path / "late.csv").write_text("time,mill.coal\n2023-06-01,80\n", encoding="utf-8")
    mg.ingest(park, tmp_path / "late.csv", screen=False)
    now = mg.measure(park, "2023", by=["flow"])
    then = mg.measure(park, "2023", by=["flow"], as_of=before)
    assert then.to_arrow() == old.to_arrow()
    assert now.total()["co2e_kg"] > old.total()["co2e_kg"]
    moved = [change for change in mg.diff(park, old.record, now.record) if change.after != change.before]
    assert {change.flow for change in moved} == {"mill.coal"}
    assert sum(c.after - c.before for c in moved) == pytest.approx(
        now.total()["co2e_kg"] - old.total()["co2e_kg"]
    )
    coal = {row["flow"]: row["co2e_kg"] for row in old.to_arrow().to_pylist()}["mill.coal"]
    assert sum(c.after - c.before for c in moved) == pytest.approx(coal * (80 - COAL) / (365 * COAL))


def test_repair_fills_a_short_gap_marks_it_and_leaves_a_long_one(tmp_path):
    park = mg.open(testing.two_factory_park(tmp_path / "park"))
    hours = [
        f"2023-01-{1 + h // 24:02}T{h % 24:02}:00,{100 + h % 24}"
        for h in range(24 * 28)
        if h != 100 and not 300 <= h < 400
    ]
    (tmp_path / "m.csv").write_text("time,mill.power\n" + "\n".join(hours) + "\n", encoding="utf-8")
    mg.ingest(park, tmp_path / "m.csv", screen=False)
    before = mg.measure(park, "2023-01", store=False)
    done = mg.repair(park, "2023-01", flows=["mill.power"])
    assert done.rows == 1
    after = mg.measure(park, "2023-01", store=False)
    assert after.total()["co2e_kg"] - before.total()["co2e_kg"] == pytest.approx(
        (100 + 100 % 24) * GRID, rel=1e-9
    )
    (count,) = [count for count in after.flows if count.flow == "mill.power"]
    assert count.estimated == 1
    assert any(problem.code == "measure.estimated" for problem in after.problems)


def test_the_ledger_is_closed_behind_every_verb(park):
    mg.measure(park, "2023")
    with Ledger.open(park.store):
        pass
    with park.writer(), pytest.raises(mg.LedgerError) as refused, park.writer():
        pass
    assert refused.value.code == "ledger.locked"


@pytest.mark.parametrize("verb", ["measure", "replay", "diff", "repair", "records"])
def test_without_a_ledger_a_verb_says_so_and_makes_none(tmp_path, verb):
    park = mg.open(testing.two_factory_park(tmp_path / "park"))
    with pytest.raises(mg.LedgerError):
        getattr(api, verb)(park, *([] if verb == "records" else ["2023"]))
    assert not park.store.exists()


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"gwp": "AR7"}, mg.RuleError), ({"by": ["plase"]}, mg.RequestError), ({"every": "7min"}, mg.RequestError), ({"view": "x"}, mg.RequestError),
     ({"accounts": ["x"]}, mg.RequestError), ({"borders": "x"}, mg.RequestError), ({"as_of": "x"}, mg.RequestError), ({"end": "2022"}, mg.RequestError)],
    ids=str,
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_with_a_code(park, options, kind):
    with pytest.raises(kind) as refused:
        mg.measure(park, "2023", **options)
    assert refused.value.exit_code == 1
    assert refused.value.text("en") != refused.value.text("vi")


# --- energy ------------------------------------------------------------------------------------------------------------

NOON = "2023-06-28T12:00"


@pytest.fixture(scope="module")
def sharing(tmp_path_factory):
    """The folder of a park that shares its energy; tests read it."""
    return sharing_park(tmp_path_factory.mktemp("sharing"))


@pytest.fixture
def own(sharing, tmp_path):
    """The same park, opened, for a test that writes."""
    return mg.open(shutil.copytree(sharing, tmp_path / "own"))


def amounts(park, flow, start, end=None, **run):
    """Start -> value that counts of a flow."""
    table = mg.readings(park, flow, start, end, **run)
    return dict(zip(table["start"].to_pylist(), table["value"].to_pylist(), strict=True))


def test_a_schedule_never_replaces_a_reading(own):
    before = {flow: mg.readings(own, flow, "2023-06") for flow in own.territory.flows}
    total = mg.measure(own, "2023-06-28", by=["flow"], store=False).to_arrow()
    works, depot = mg.operate(own, NOON)
    assert {flow: mg.readings(own, flow, "2023-06") for flow in own.territory.flows} == before
    testing.assert_same_rows(mg.measure(own, "2023-06-28", by=["flow"], store=False).to_arrow(), total)
    assert (works.by, depot.by) == ("plan", "plan")
    assert len(amounts(own, "works.in", "2023-06-28", run="schedule")) == 4 * 12


def test_emissions_of_a_schedule_are_those_of_its_flows(own):
    schedules = mg.operate(own, NOON)
    drawn = sum(schedule.flows[f"{schedule.place}.in"][1].sum() for schedule in schedules)
    emissions = mg.measure(own, NOON, "2023-07-01", by=["flow"], run="schedule", store=False)
    assert emissions.total()["co2e_kg"] == pytest.approx(drawn * GRID)
    bought = amounts(own, "works.in", NOON, "2023-06-29T12:00", run="schedule")
    assert list(bought.values()) == pytest.approx(schedules[0].flows["works.in"][1][: len(bought)].tolist())


def test_operating_twice_at_the_same_moment_gives_the_same_plan(own):
    first, second = mg.operate(own, NOON), mg.operate(own, NOON)
    for one, other in zip(first, second, strict=True):
        assert one.setpoints == other.setpoints
        assert one.flows.keys() == other.flows.keys()
        for flow, (starts, values) in one.flows.items():
            assert (other.flows[flow][0] == starts).all()
            assert other.flows[flow][1] == pytest.approx(values, abs=1e-9)
    dry = mg.operate(own, NOON, places=["depot"], store=False)
    assert [one.receipt for one in dry] == [None]
    assert dry[0].setpoints == first[1].setpoints


def test_a_forecast_is_a_series_beside_the_readings(own):
    report = mg.forecast(own, ["works.in", "depot.in"], "2023-06-28", horizon="1d", as_of="2100")
    assert sorted(report.forecasts) == ["depot.in", "works.in"]
    table = report.to_arrow().to_pylist()
    assert len(table) == 96 + 24
    assert all(row["q10"] <= row["q50"] <= row["q90"] for row in table)
    said = {row["start"]: row["q50"] for row in table if row["flow"] == "depot.in"}
    assert amounts(own, "depot.in", "2023-06-28", run="forecast") == said
    emissions = mg.measure(own, "2023-06-28", by=["flow"], run="forecast", store=False)
    kilos = {row["flow"]: row["co2e_kg"] for row in emissions.to_arrow().to_pylist()}
    assert kilos["depot.in"] == pytest.approx(sum(said.values()) * GRID)


def test_a_forecast_knows_nothing_of_what_came_later(own, tmp_path):
    asked = {"flows": ["works.in"], "at": "2023-06-28", "horizon": "1d", "as_of": "2100", "store": False}
    before = mg.forecast(own, **asked).to_arrow()
    (tmp_path / "later.csv").write_text("time,works.in\n2023-06-28T03:00,9999\n", encoding="utf-8")
    mg.ingest(own, tmp_path / "later.csv", screen=False)
    assert mg.forecast(own, **asked).to_arrow() == before


@pytest.mark.parametrize("forecasts", ["mix", "persistence", "perfect"])
def test_nobody_beats_perfect_foresight(sharing, forecasts):
    done = mg.backtest(mg.open(sharing), "2023-06-27", forecasts=forecasts)
    least = done.accounts["perfect"].cost
    assert all(account.cost >= least - 1.0 for account in done.accounts.values())
    assert done.accounts["plan"].cost <= done.accounts["no_storage"].cost
    assert done.accounts["plan"].missing == pytest.approx(0.0, abs=1e-6)
    assert done.complete
    if forecasts == "perfect":
        assert done.regret("plan") <= 0.001 * least


def test_the_rules_of_a_back_test_can_be_chosen(sharing):
    done = mg.backtest(mg.open(sharing), "2023-06-27", forecasts="perfect", rules=["no_storage"])
    assert set(done.accounts) == {"plan", "no_storage", "perfect"}
    with pytest.raises(mg.RequestError) as refused:
        mg.backtest(mg.open(sharing), "2023-06-27", rules=["no_strage"])
    assert refused.value.code == "operate.unknown_rule"


def test_each_site_is_asked_the_same(sharing):
    park = mg.open(sharing)
    asked = {"start": "2023-06-27", "forecasts": "perfect", "rules": []}
    both = mg.each_site(mg.backtest, park, **asked)
    assert list(both) == ["works", "depot"]
    for place, done in both.items():
        alone = mg.backtest(park, place=place, **asked)
        assert done.accounts["plan"].cost == alone.accounts["plan"].cost
    with pytest.raises(mg.RequestError, match="nowhere"):
        mg.each_site(mg.backtest, park, places=["nowhere"], **asked)


def test_shares_sum_to_the_cost_to_the_dong(own):
    made = mg.settle(own, "2023-06-05", "2023-06-12")
    assert sum(one.total for one in made.statements) == round(made.cost)
    for one in made.statements:
        assert sum(line.amount for line in one.lines) == one.total
        assert one.saving >= 0
    for rule, allocation in made.settlement.allocations.items():
        assert allocation.total == pytest.approx(made.settlement.cost), rule
    assert made.record
    assert mg.settle(own, "2023-06-05", "2023-06-12", store=False).to_dict() == made.to_dict()


def flat(folder, price):
    """The park with one price at all hours."""
    text = (folder / "territory.yaml").read_text(encoding="utf-8")
    text = text.replace("kind: tou", f"kind: flat\n    price: {price} VND/kWh")
    kept = [
        line for line in text.splitlines(keepends=True) if "customer:" not in line and "voltage:" not in line
    ]
    (folder / "territory.yaml").write_text("".join(kept), encoding="utf-8")
    return mg.open(folder)


def test_the_dearer_the_grid_the_more_is_built(sharing, tmp_path):
    roofs, costs, drawn = [], [], []
    for price in (900, 1800, 3600):
        park = flat(Path(shutil.copytree(sharing, tmp_path / str(price))), price)
        made = mg.plan(park, "2023-06-01", "2023-06-29", place="depot", store=False)
        roofs.append(made.sizes["depot_roof"])
        costs.append(made.cost)
        drawn.append(made.after.energy["grid"])
        assert made.cost <= made.cost_before * (1 + 1e-9)
    assert roofs == sorted(roofs)
    assert roofs[0] < roofs[-1]
    assert costs == sorted(costs)
    assert drawn == sorted(drawn, reverse=True)


def test_a_planned_year_is_measured_like_the_meters(own):
    from mangrove.plan.declared import Wishes

    asked = {"place": "depot", "wishes": Wishes(name="roof-2030")}
    made = mg.plan(own, "2023-06-01", "2023-06-29", **asked)
    assert made.record
    emissions = mg.measure(own, "2023-06-01", "2023-06-29", by=["flow"], run="plan/roof-2030", store=False)
    found = {row["flow"]: row["co2e_kg"] for row in emissions.to_arrow().to_pylist()}
    drawn = amounts(own, "depot.in", "2023-06-01", "2023-06-29", run="plan/roof-2030")
    assert found["depot.in"] == pytest.approx(sum(drawn.values()) * GRID)
    assert len(drawn) == 28 * 24
    assert mg.plan(own, "2023-06-01", "2023-06-29", store=False, **asked).record == ""


@pytest.mark.parametrize("verb", ["forecast", "operate", "backtest", "plan", "settle"])
def test_without_a_ledger_an_energy_verb_says_so_and_makes_none(tmp_path, verb):
    park = mg.open(testing.energy_park(tmp_path / "park"))
    where = {"place": "depot"} if verb == "plan" else {}
    asked = [] if verb in {"forecast", "operate"} else ["2023-06"]
    with pytest.raises(mg.LedgerError):
        getattr(mg, verb)(park, *asked, **where)
    assert not park.store.exists()


def test_a_check_also_reads_the_parameters_of_assets_and_doubts_a_mistyped_kind(tmp_path):
    folder = measured_park(tmp_path)
    (folder / "assets.csv").write_text(
        "id,place,type,parameters\n"
        "b1,mill,battery,energy=1 MWh; power=500 kW; round_trip=120 %\n"
        "b2,mill,battery,enrgy=1 MWh; energy=1 MWh; power=500 kW\n"
        "b3,mill,battery,energy=1 MWh; power=500 kW; charge_flow=nowhere\n"
        "b4,mill,batery,energy=1 MWh; power=500 kW\n"
        "f1,mill,furnace,capacity=9 MW\n"
    )
    found = mg.check(folder)
    assert [(problem.code, problem.severity, problem.where.line) for problem in found] == [
        ("assets.out_of_range", "error", 2),
        ("assets.unknown_parameter", "error", 3),
        ("assets.unknown_flow", "error", 4),
        ("assets.unknown_type", "warning", 5),
    ]


def test_a_check_finds_a_second_connection_a_site_without_a_contract_and_half_a_charger(tmp_path):
    folder = measured_park(tmp_path)
    (folder / "assets.csv").write_text(
        "id,place,type,parameters\n"
        "g1,mill,grid,capacity=1 MW\n"
        "g2,mill,grid,capacity=2 MW\n"
        "c1,mill,charger,power=7 kW; count=1.5 item\n"
        "b1,mill,battery,energy=nan MWh; power=500 kW\n"
    )
    found = mg.check(folder)
    assert [(problem.code, problem.severity, problem.where.line) for problem in found] == [
        ("assets.not_whole", "error", 4),
        ("assets.not_a_number", "error", 5),
        ("assets.no_contract", "warning", 2),
        ("assets.two_grids", "error", 3),
    ]
    assert all(problem.text("en") != problem.text("vi") for problem in found)
    assert "'g1'" in found[2].text("en")
    assert "«g1»" in found[3].text("vi")
    with (folder / "territory.yaml").open("a") as file:
        file.write(
            "tariffs:\n  - {id: t, carrier: electricity, kind: flat, price: 2000 VND/kWh, source: own}\n"
        )
    assert mg.check(folder) == [found[0], found[1], found[3]]
