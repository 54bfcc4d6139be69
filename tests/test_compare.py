# SPDX-License-Identifier: Apache-2.0
"""Comparing scenarios: the one formula, intervals against Monte Carlo, parts that close, plans against meters."""

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.plan import scenario_world as world
from typer.testing import CliRunner

import mangrove as mg
from mangrove import compare as comparing
from mangrove import rules, testing
from mangrove.cli import app
from mangrove.errors import RequestError
from mangrove.ledger import Origin
from mangrove.plan import scenario_store
from mangrove.plan.scenario import SD

ALONE = ("inventory", "avoided")
GRID = 0.6592  # kg CO2/kWh in 2023, the last official year (letter 1726/BDKH-PTCBT)


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return world.park(tmp_path_factory.mktemp("compare") / "park")


@pytest.fixture
def other(tmp_path):
    return world.park(tmp_path / "park")


def rows(found, **wanted):
    return [row for row in found.to_arrow().to_pylist() if all(row[k] == v for k, v in wanted.items())]


def column(found, name, **wanted):
    return np.array([row[name] for row in rows(found, **wanted)])


def test_without_actions_a_scenario_is_its_baseline(park, tmp_path):
    found = comparing.compare(park, world.write(tmp_path), "baseline", by=["sector"])
    assert column(found, "a") == pytest.approx(column(found, "b"), rel=1e-12)
    assert (column(found, "difference") == 0).all()
    assert (column(found, "difference_low") == 0).all(), "everything is shared"
    assert found.parts() == ()


def test_the_baseline_is_the_base_year_as_it_was_measured(park, tmp_path):
    head = world.HEAD.replace("from: 2026\nto: 2028", "from: 2025\nto: 2025") + "  factors: dated\n"
    found = comparing.compare(park, world.write(tmp_path, head=head), "baseline", by=["sector"])
    measured = mg.measure(park, "2024", by=["sector"], store=False).to_arrow().to_pylist()
    fuels = {row["sector"]: row["co2e_kg"] for row in measured if row["sector"] == "transport"}
    assert column(found, "a", sector="transport")[0] == pytest.approx(fuels["transport"], rel=1e-12)
    assert "measure.not_computed" in {p.code for p in found.problems}, (
        "no factor of 2025 is a gap that is said"
    )


def test_measuring_the_plan_gives_the_numbers_of_the_comparison(other, tmp_path):
    path = world.write(tmp_path, *world.ALL)
    before = comparing.compare(other, path, "baseline", by=["sector", "gas"])
    adopted = comparing.adopt(other, path)
    after = comparing.compare(other, "test", "baseline", by=["sector", "gas"])
    measured = mg.measure(
        other, "2026", "2029", by=["sector", "gas"], every="1y", accounts=ALONE, run="plan/test"
    )
    said = {
        (r["account"], r["sector"], r["gas"], r["start"]): r["co2e_kg"]
        for r in measured.to_arrow().to_pylist()
    }
    for found in (before, after):
        mine = {(r["account"], r["sector"], r["gas"], r["start"]): r["a"] for r in rows(found)}
        assert mine == pytest.approx({key: said.get(key, 0.0) for key in mine}, rel=1e-12)
        assert set(said) <= set(mine)
    assert adopted.receipt.rows == 36 * 6
    assert mg.replay(other, measured.record).total() == measured.total(), (
        "a plan is replayed as any measurement"
    )


def test_a_plan_keeps_what_it_was_computed_from(other, tmp_path):
    path = world.write(tmp_path, *world.ALL)
    comparing.adopt(other, path)
    then = comparing.compare(other, "test", "baseline").to_arrow()
    world.store(other, 2024, 1.5, "correction")
    path.unlink()
    assert comparing.compare(other, "test", "baseline").to_arrow() == then
    assert [one.name for one in comparing.adopted(other)] == ["test"]


def test_adopting_the_same_again_changes_nothing_and_a_shorter_one_withdraws_the_rest(other, tmp_path):
    path = world.write(tmp_path, world.TRUCKS)
    assert not comparing.adopt(other, path).receipt.duplicate
    assert comparing.adopt(other, path).receipt.duplicate
    comparing.adopt(
        other, world.write(tmp_path, world.TRUCKS, head=world.HEAD.replace("to: 2028", "to: 2026"))
    )
    last = mg.measure(other, "2028", run="plan/test", store=False)
    assert last.to_arrow().num_rows == 0 or np.isnan(last.total()["co2e_kg"])
    assert mg.measure(other, "2026", run="plan/test", store=False).total()["co2e_kg"] > 0


def test_a_baseline_may_repeat_another_run_than_the_meters(other, tmp_path):
    rows_ = [("coal", datetime(2023, 12, 31, 17, tzinfo=UTC) + timedelta(days=d), 10.0) for d in range(366)]
    with other.writer() as ledger:
        ledger.append(testing.values(rows_), Origin("test", "n", run="estimate/nowcast"))
    head = world.HEAD + "  run: estimate/nowcast\n"
    found = comparing.compare(other, world.write(tmp_path, head=head), "baseline", by=["flow"])
    assert {row["flow"] for row in rows(found)} == {"coal"}
    nowcast = mg.measure(other, "2024", run="estimate/nowcast", store=False).total()["co2e_kg"]
    assert column(found, "a") == pytest.approx(np.full(3, nowcast), rel=1e-12)
    assert {p.data["flow"] for p in found.problems if p.code == "scenario.no_base"} >= {"grid", "diesel"}


def test_a_plan_of_another_kind_keeps_its_name(other, tmp_path):
    board = tmp_path / "board.csv"
    board.write_text("flow,period,amount,unit\ncoal,2026,900,t\n", encoding="utf-8")
    mg.budget(other, board, name="test")
    with pytest.raises(RequestError) as caught:
        comparing.adopt(other, world.write(tmp_path))
    assert caught.value.code == "scenario.name_taken"
    comparing.adopt(other, world.write(tmp_path, name="other"))
    with pytest.raises(RequestError) as caught:
        mg.budget(other, board, name="other")
    assert caught.value.code == "scenario.name_adopted"


def test_the_difference_is_the_closed_form(park, tmp_path):
    found = comparing.compare(park, world.write(tmp_path, world.ROOF), "baseline", "2028", by=["gas"])
    hours, year = 366 * 24, 8766
    saved = 100 * 1100 / year * hours * GRID
    row = rows(found, account="inventory", gas="CO2")[0]
    assert row["difference"] == pytest.approx(-saved, rel=1e-9)
    grid = next(f for f in rules.load().factors if f.id == "DCC:grid:2023")
    width = np.hypot(
        0.10, rules.load().uncertainty(grid)[0] if np.isfinite(rules.load().uncertainty(grid)[0]) else 0.0
    )
    assert row["difference_high"] - row["difference_low"] == pytest.approx(2 * width * saved, rel=1e-6)
    assert width * saved < 0.05 * (row["a_high"] - row["a_low"]), "what both share has left the difference"
    avoided = rows(found, account="avoided", gas="CO2")[0]
    assert avoided["difference"] == pytest.approx(100 * 1200 / year * hours * GRID, rel=1e-9)


def test_the_interval_of_the_difference_agrees_with_monte_carlo(park, tmp_path):
    found = comparing.compare(park, world.write(tmp_path, world.TRUCKS, world.SAVING), "baseline", "2028")
    row = rows(found, account="inventory")[0]
    plan = found.sides[0].formula.plan
    lines = [line for line in plan.lines if line.flow == "diesel" and line.weight]
    rng = np.random.default_rng(1)
    count = 100_000

    def errors(uncertainty):
        return 1 + uncertainty / SD * rng.standard_normal(count)

    grid_line = next(line for line in plan.lines if line.flow == "grid" and line.gas == "CO2")
    shared = {
        t.shared or (line.flow, t.symbol): t.uncertainty
        for line in [*lines, grid_line]
        for t in line.terms
        if t.uncertainty
    }
    drawn = {name: errors(u) for name, u in shared.items()}

    def per_unit(line):
        found = np.full(count, line.kg * line.weight)
        for term in line.terms:
            if term.uncertainty:
                found *= drawn[term.shared or (line.flow, term.symbol)] ** term.power
        return found

    diesel = sum(900.0 + 10 * n for n in range(12)) * errors(0.03)
    change, share, ratio = -0.1 * errors(0.3), 0.4 * errors(0.2), 3 * errors(0.15)
    stock = diesel * (1 + change)
    burnt = sum(per_unit(line) for line in lines)
    total = stock * (1 - share) * burnt + stock * share * ratio * per_unit(grid_line) - diesel * burnt
    assert row["difference"] == pytest.approx(total.mean(), rel=0.01)
    low, high = np.quantile(total, [0.025, 0.975])
    assert row["difference_high"] - row["difference_low"] == pytest.approx(high - low, rel=0.03)


def test_rows_add_up_and_so_do_their_errors(park, tmp_path):
    path = world.write(tmp_path, *world.ALL)
    fine = comparing.compare(park, path, "baseline", by=["sector", "gas"])
    whole = comparing.compare(park, path, "baseline")
    again = fine.total().to_pylist()
    for row in rows(whole):
        parts = [r for r in rows(fine) if (r["account"], r["start"]) == (row["account"], row["start"])]
        assert sum(r["difference"] for r in parts) == pytest.approx(row["difference"], rel=1e-12, abs=1e-9)
        same = next(r for r in again if (r["account"], r["start"]) == (row["account"], row["start"]))
        assert same["difference_low"] == pytest.approx(row["difference_low"], rel=1e-9)


def test_parts_of_actions_close_and_stand_between_last_and_first(park, tmp_path):
    found = comparing.compare(park, world.write(tmp_path, *world.ALL), "baseline")
    parts = found.parts()
    for row in rows(found):
        own = [p for p in parts if (p.account, p.start) == (row["account"], row["start"])]
        assert sum(p.value for p in own) == pytest.approx(row["difference"], rel=1e-9, abs=1e-9)
        assert all(p.error == 0 for p in own)
    roof = next(p for p in parts if p.action == "roof" and p.start.year == 2027 and p.account == "inventory")
    assert roof.alone < roof.value < roof.last_in < 0, "a roof saves less once the grid is cleaner"


def test_two_independent_actions_have_the_parts_that_they_have_alone(park, tmp_path):
    found = comparing.compare(park, world.write(tmp_path, world.ROOF, world.FUEL), "baseline")
    for part in found.parts():
        assert part.value == pytest.approx(part.alone, rel=1e-9, abs=1e-6)
        assert part.value == pytest.approx(part.last_in, rel=1e-9, abs=1e-6)


def test_sampled_parts_close_too_and_state_their_error(park, tmp_path):
    path = world.write(tmp_path, *world.ALL)
    exact = comparing.compare(park, path, "baseline", "2028").parts()
    found = comparing.compare(park, path, "baseline", "2028", orders=60, seed=2)
    sampled = found.parts()
    assert sum(p.value for p in sampled if p.account == "inventory") == pytest.approx(
        rows(found, account="inventory")[0]["difference"], rel=1e-9
    )
    for one, other in zip(exact, sampled, strict=True):
        assert abs(one.value - other.value) <= 4 * other.error + 1e-6


def test_actions_that_both_scenarios_share_cancel(park, tmp_path):
    a = world.write(tmp_path, world.TRUCKS, world.SAVING, name="a")
    b = world.write(tmp_path, world.TRUCKS, name="b")
    found = comparing.compare(park, a, b, "2028")
    row = rows(found, account="inventory")[0]
    own = comparing.compare(park, b, "baseline", "2028")
    width = row["difference_high"] - row["difference_low"]
    size = 2 * abs(row["difference"])
    assert 0.29 * size < width < 0.5 * size, "its own 30 %, and little of what the trucks leave open"
    assert rows(own, account="inventory")[0]["difference"] != 0


def test_avoided_emissions_stand_in_an_account_of_their_own(park, tmp_path):
    found = comparing.compare(park, world.write(tmp_path, world.ROOF), "baseline")
    assert {row["account"] for row in rows(found)} == {"inventory", "avoided"}
    assert (column(found, "difference", account="avoided") > 0).all()
    assert (column(found, "difference", account="inventory") < 0).all()


@pytest.mark.parametrize(("scale", "verdict"), [(0.8, "ahead"), (1.0, "on_plan"), (1.3, "behind")])
def test_meters_say_ahead_on_plan_or_behind(other, tmp_path, scale, verdict):
    head = world.HEAD.replace("year: 2024", "year: 2025")
    with other.writer():
        pass
    world.store(other, 2025)
    path = world.write(tmp_path, world.FUEL, head=head)
    comparing.adopt(other, path)
    world.store(other, 2026, scale)
    found = comparing.compare(other, "measured", "test")
    row = rows(found, account="inventory")[0]
    assert row["verdict"] == verdict
    assert row["difference"] == pytest.approx((scale - 1) * row["b"], rel=1e-9, abs=1e-3)
    assert len(found.starts) == 1, "2027 and 2028 have no meters yet"


def test_against_meters_only_months_of_flows_that_both_cover_count(other, tmp_path):
    comparing.adopt(other, world.write(tmp_path))
    with other.writer() as ledger:
        start = datetime(2026, 1, 31, 17, tzinfo=UTC)
        hours = [("grid", start + timedelta(hours=h), 90.0) for h in range(28 * 24 + 100)]
        ledger.append(testing.values(hours), Origin("test", "february"))
    found = comparing.compare(other, "measured", "test", by=["flow"], every="1mo")
    assert [start.astimezone(other.territory.tz).date() for start in found.starts] == [date(2026, 2, 1)]
    grid = rows(found, flow="grid")[0]
    assert grid["a"] == pytest.approx(28 * 24 * 90 * GRID)
    assert all(row["b"] == 0 for row in rows(found) if row["flow"] != "grid")
    assert {p.data["flow"] for p in found.problems if p.code == "scenario.not_measured"} == {
        "pv",
        "diesel",
        "coal",
        "boiler",
    }


def test_questions_that_make_no_sense_are_refused(park, tmp_path):
    path = world.write(tmp_path)
    for call, code in (
        (lambda: comparing.compare(park, "baseline", "measured"), "scenario.two_special"),
        (lambda: comparing.compare(park, "nothing", "baseline"), "scenario.unknown"),
        (lambda: comparing.compare(park, path, "baseline", every="1d"), "scenario.no_step"),
        (lambda: comparing.compare(park, path, "baseline", "2035"), "scenario.no_common_time"),
        (lambda: comparing.compare(park, path, "measured"), "scenario.no_common_time"),
    ):
        with pytest.raises(RequestError) as caught:
            call()
        assert caught.value.code == code
    with park.reader() as ledger, pytest.raises(RequestError) as caught:
        scenario_store.find(ledger, "x")
    assert caught.value.code == "scenario.no_such_plan"


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (b"\xff", None, "JSON"),
        (b"[]", None, "JSON"),
        (b'{"name": "torn"}', "torn", "title"),
        (b'{"name": "torn", "title": "", "first": 2024, "last": 2030, "actions": 5}', "torn", "actions"),
    ],
)
def test_an_adopted_plan_that_cannot_be_read_is_told_and_the_others_are_listed(
    other, tmp_path, text, name, reason
):
    comparing.adopt(other, world.write(tmp_path, world.TRUCKS))
    with other.writer() as ledger:
        record = ledger.put_record(scenario_store.KIND, text)
    left_out = []
    names = [one.name for one in comparing.adopted(other, left_out)]
    assert names == ["test"]
    (problem,) = left_out
    assert (problem.data["name"], problem.data["record"]) == (name or record[:12], record[:12])
    assert reason in problem.text("vi")
    with pytest.raises(RequestError) as caught:
        comparing.compare(other, name or record[:12], "baseline")
    assert caught.value.code == "scenario.unreadable"


def test_the_commands_speak_both_languages_and_draw(other, tmp_path):
    folder, file = str(other.territory.path), str(world.write(tmp_path, *world.ALL))
    run = CliRunner()
    assert "adopted test" in run.invoke(app, ["plan", "adopt", folder, file]).output
    assert "test" in run.invoke(app, ["plan", "list", folder]).output
    figure = tmp_path / "wedges.svg"
    done = run.invoke(
        app, ["plan", "compare", folder, "test", "baseline", "--lang", "vi", "--figure", str(figure)]
    )
    assert done.exit_code == 0
    assert "chênh lệch" in done.output
    assert figure.read_text(encoding="utf-8").startswith("<svg")
    data = json.loads(
        run.invoke(app, ["plan", "compare", folder, "test", file, "--json", "--from", "2026"]).stdout
    )
    assert all(row["difference"] == 0 for row in data["rows"])
    listed = json.loads(run.invoke(app, ["plan", "list", folder, "--json"]).stdout)
    assert [one["name"] for one in listed] == ["test"]
