# SPDX-License-Identifier: Apache-2.0
"""A planning round on a ledger: what is read, what is written, and who is told."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.operate import park
from tests.operate.park import NOW
from tests.operate.worlds import BATTERY, HCM, QUARTER, charging, measured, two_part

import mangrove as mg
from mangrove.errors import DeclarationError, RequestError
from mangrove.ledger import Ledger, Origin, series
from mangrove.operate.devices import Journal, SimulatedBattery, limits_at
from mangrove.operate.plan import Options
from mangrove.operate.prices import Prices
from mangrove.operate.readings import Window
from mangrove.operate.readings import measured as read
from mangrove.operate.readings import power as run_power
from mangrove.operate.run import Request, operate, state_of
from mangrove.operate.safe import Freshness
from mangrove.operate.site import sites
from mangrove.operate.state import SECOND, Session

SHORT = Options(horizon=24.0, fine=12.0)
ASKED = Request(options=SHORT)
HOUR = timedelta(hours=1)


@pytest.fixture
def works(tmp_path):
    return park.load(park.declare(tmp_path / "works"))


@pytest.fixture
def ledger(works):
    with Ledger.open(works.path / ".mangrove") as opened:
        park.ingest(opened)
        yield opened


def stored(ledger, flow, run="schedule"):
    with ledger.snapshot() as snapshot:
        table = snapshot.values(
            [series(flow, run)], datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
        )
    return dict(zip(table.column("start").to_pylist(), table.column("value").to_pylist(), strict=True))


def now(moment=NOW):
    return datetime.fromtimestamp(int(moment.astype(np.int64)), UTC)


def test_the_declared_works_is_a_site(works):
    (site,) = sites(works)
    assert (site.place, site.importing, site.exporting) == ("works", 400.0, 60.0)
    assert site.generators[0].capacity == 120.0
    assert site.batteries[0].efficiency == (pytest.approx(0.9**0.5), pytest.approx(0.9**0.5))
    assert site.inputs == ("works#load", "sun")


def test_a_round_plans_from_the_meters_and_writes_a_schedule(works, ledger):
    (schedule,) = operate(works, ledger, NOW, request=ASKED)
    assert (schedule.by, schedule.reason, schedule.place) == ("plan", "", "works")
    assert {problem.code for problem in schedule.problems} == {
        "operate.persistence",
        "operate.level_followed",
    }
    assert schedule.setpoints[0].device == "battery"
    bought, charged, given = (stored(ledger, flow) for flow in ("bought", "charged", "given"))
    assert len(bought) == 96
    assert min(bought) == now()
    sun = stored(ledger, "sun")
    assert len(sun) == 24
    power = np.array(list(charged.values())) - np.array(list(given.values())) * 4000
    assert power[0] == pytest.approx(schedule.setpoints[0].power, abs=1e-6)
    plan = schedule.plan
    energy = float((plan.imported[0] * plan.hours).sum())
    assert sum(bought.values()) == pytest.approx(energy)
    assert np.array(list(bought.values())).max() <= 100.0 + 1e-9


def test_a_schedule_is_no_reading(works, ledger):
    before = stored(ledger, "bought", "measured")
    operate(works, ledger, NOW, request=ASKED)
    assert stored(ledger, "bought", "measured") == before
    emissions = mg.measure(mg.open(works.path), "2026-09-08", run="schedule", allow=["unofficial"])
    assert [problem.text() for problem in emissions.problems] == []
    assert emissions.total()["co2e_kg"] > 0.0


def test_the_same_round_twice_is_stored_once(works, ledger):
    first, second = (operate(works, ledger, NOW, request=ASKED)[0].receipt for _ in range(2))
    assert (first.duplicate, second.duplicate, second.batch) == (False, True, first.batch)


def test_a_later_round_replaces_the_schedule_of_the_hours_to_come(works, ledger):
    operate(works, ledger, NOW, request=ASKED)
    before = stored(ledger, "bought")
    later = NOW + QUARTER * SECOND
    asked = replace(ASKED, levels={"battery": 200.0}, freshness=Freshness(readings=2.0))
    (schedule,) = operate(works, ledger, later, request=asked)
    assert schedule.setpoints[0].start == now(later)
    after = stored(ledger, "bought")
    assert after[now()] == before[now()]
    assert after != before


def test_what_is_carried_comes_from_the_meters(works, ledger):
    (site,) = sites(works)
    at = NOW + QUARTER * SECOND
    first = NOW - 7 * 96 * QUARTER * SECOND
    park_grid = measured(park.DAYS)
    with ledger.snapshot() as snapshot:
        meters = read(snapshot, works, site, Window(first, QUARTER, 7 * 96 + 1))
    tariff = Prices.of(two_part(), first, 10 * 96, QUARTER, HCM)
    state, notes = state_of(site, meters, tariff, at, ASKED)
    drawn = meters.flows["bought"].power[: 7 * 96]
    assert state.peak == pytest.approx(np.nanmax(drawn.reshape(-1, 2).mean(axis=1)))
    assert len(state.window) == 1
    assert [note.code for note in notes] == ["operate.level_followed"]
    assert meters.grid.values["works#load"][:96] == pytest.approx(
        park_grid.values["shop#load"][:96] + np.zeros(96), abs=1e-6
    ) or np.allclose(
        meters.grid.values["works#load"][:96].mean(), park_grid.values["shop#load"][:96].mean(), rtol=0.02
    )


def test_a_stale_meter_hands_over_to_the_safe_rule(works, ledger):
    (schedule,) = operate(works, ledger, NOW + 5 * 3600 * SECOND, request=ASKED)
    assert (schedule.by, schedule.reason) == ("safe", "operate.stale_reading")
    assert schedule.setpoints[0].power == 0.0
    assert schedule.receipt is None
    assert any("bought" in problem.text("vi") for problem in schedule.problems)


def test_a_forecast_of_the_ledger_is_used_and_a_stale_one_is_not(works, ledger):
    cloudy = np.zeros(48)
    ledger.append(park.values("sun", NOW, 3600, cloudy), Origin("forecast", "1", "forecast"))
    (schedule,) = operate(works, ledger, NOW, request=ASKED)
    # It was recorded today, which is long before or after the moment that is planned: age counts from the record.
    age = float((NOW - np.datetime64(datetime.now(UTC).replace(tzinfo=None), "s")) / SECOND) / 3600
    if age > 6:
        assert schedule.reason == "operate.stale_forecast"
    generous = replace(ASKED, freshness=Freshness(forecasts=1e9))
    (schedule,) = operate(works, ledger, NOW, request=generous)
    assert schedule.by == "plan"
    assert schedule.plan.generated["roof"].max() == 0.0
    strict = replace(ASKED, freshness=Freshness(forecasts=-1e9))
    (schedule,) = operate(works, ledger, NOW, request=strict)
    assert (schedule.by, schedule.reason) == ("safe", "operate.stale_forecast")


def test_a_plan_that_cannot_be_made_hands_over_to_the_safe_rule(works, ledger):
    def outlook(at):
        raise ZeroDivisionError

    (schedule,) = operate(works, ledger, NOW, request=replace(ASKED, outlook=outlook))
    assert (schedule.by, schedule.reason) == ("safe", "operate.safe_solver")
    assert "ZeroDivisionError" in schedule.problems[-1].text()


def test_devices_are_told_after_the_schedule_is_stored(works, ledger, tmp_path):
    battery = SimulatedBattery(replace(BATTERY, id="battery"), 100.0)
    heard = []
    journal = Journal("battery", tmp_path / "j.csv", lambda _: heard.append(ledger.cut()))
    before = ledger.cut()
    (schedule,) = operate(works, ledger, NOW, request=replace(ASKED, devices={"battery": journal}))
    assert heard == [before + 1]
    assert schedule.written[0].sent == pytest.approx(schedule.setpoints[0].power)
    (again,) = operate(works, ledger, NOW, request=replace(ASKED, devices={"battery": battery}), store=False)
    assert again.written == ()
    assert again.receipt is None


CHILD = """
import os, signal, sys
from tests.operate import park
from tests.operate.test_run import ASKED
from mangrove.ledger import Ledger
from mangrove.operate import run
works = park.load(park.Path(sys.argv[1]))
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "before": run._publish = die
else: run.limits_at = die
with Ledger.open(works.path / ".mangrove") as ledger:
    from mangrove.operate.devices import Journal
    from dataclasses import replace
    device = Journal("battery", works.path / "journal.txt")
    run.operate(works, ledger, park.NOW, request=replace(ASKED, devices={"battery": device}))
"""


@pytest.mark.parametrize(("when", "schedules"), [("before", 0), ("after", 1)])
def test_a_kill_between_plan_store_and_devices_leaves_a_whole_ledger(works, when, schedules):
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(works.path), when],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not (works.path / "journal.txt").exists()
    with Ledger.open(works.path / ".mangrove") as ledger:
        assert ledger.verify() == []
        runs = ledger.batches().column("run").to_pylist()
        assert runs.count("schedule") == schedules
        (schedule,) = operate(works, ledger, NOW, request=ASKED)
        assert schedule.receipt.duplicate == bool(schedules)
        assert len(stored(ledger, "bought")) == 96


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("assets", "grid,works,grid,", "furnace,works,furnace,", "operate.no_site"),
        ("assets", "flow=bought", "flow=bougt", "operate.unknown_flow"),
        (
            "assets",
            "battery,works,battery,energy=200 kWh",
            "second,works,grid,capacity=1 MW\nbattery,works,battery,energy=200 kWh",
            "operate.two_grids",
        ),
    ],
)
def test_a_declaration_that_is_no_site_is_named_with_its_line(tmp_path, file, old, new, code):
    works = park.load(park.declare(tmp_path / "works", **{file: park.FILES[f"{file}.csv"].replace(old, new)}))
    with pytest.raises((RequestError, DeclarationError)) as refused:
        sites(works)
    assert code in {problem.code for problem in refused.value.problems}


def test_a_battery_that_is_metered_one_way_only_is_named(tmp_path):
    bare = park.FILES["assets.csv"].replace("; discharge_flow=given", "")
    works = park.load(park.declare(tmp_path / "works", assets=bare))
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger)
        with pytest.raises(RequestError) as refused:
            operate(works, ledger, NOW, request=replace(ASKED, levels={"battery": 50.0}))
    assert refused.value.code == "operate.unmetered"


def test_a_battery_and_an_export_that_nobody_meters_were_idle_and_a_note_says_so(tmp_path):
    bare = park.FILES["assets.csv"].replace("; charge_flow=charged; discharge_flow=given", "")
    works = park.load(park.declare(tmp_path / "works", assets=bare.replace("; export_flow=sold", "")))
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger)
        (schedule,) = operate(works, ledger, NOW, request=ASKED)
    assert schedule.by == "plan"
    notes = {problem.code for problem in schedule.problems}
    assert {"operate.battery_unmetered", "operate.export_unmetered", "operate.level_guessed"} <= notes
    assert set(schedule.flows) == {"bought", "sun"}


def test_a_battery_whose_meters_never_said_anything_was_idle(works):
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger, leave_out=("charged", "given"))
        (schedule,) = operate(works, ledger, NOW, request=ASKED)
    assert schedule.by == "plan"
    assert {"operate.battery_unmetered", "operate.level_guessed"} <= {one.code for one in schedule.problems}
    assert schedule.plan.imported.max() > 10.0


def test_an_asset_that_is_only_planned_is_not_operated(tmp_path):
    planned = park.FILES["assets.csv"].replace(
        "energy=200 kWh; power=80 kW", "max_energy=200 kWh; c_rate=0.5 1/h; cost=5000000 VND/kWh; life=10 yr"
    )
    works = park.load(park.declare(tmp_path / "works", assets=planned))
    assert sites(works)[0].batteries == ()


def test_an_unknown_place_is_named_with_those_that_are_sites(works, ledger):
    with pytest.raises(RequestError) as refused:
        operate(works, ledger, NOW, places=["hall"])
    assert refused.value.code == "operate.unknown_site"
    assert "works" in str(refused.value)


def test_what_may_still_be_sold_counts_from_the_first_of_january(tmp_path):
    capped = park.FILES["territory.yaml"].replace("export: law", "export: law\n    export_cap: 20 %")
    works = park.load(park.declare(tmp_path / "works", territory=capped))
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger)
        new_year = np.datetime64("2025-12-31T17:00:00", "s")
        ledger.append(
            park.values("sun", new_year - 7200 * SECOND, 3600, np.full(4, 50.0)), Origin("m", "old sun")
        )
        (schedule,) = operate(works, ledger, NOW, request=ASKED)
        with ledger.snapshot() as snapshot:
            window = Window(new_year, QUARTER, int((NOW - new_year) / SECOND) // QUARTER)
            made, sold = (
                float(np.nansum(run_power(snapshot, works.flows[name], window).power)) / 4
                for name in ("sun", "sold")
            )
    allowed = schedule.plan.solved._net.program.row_upper[
        schedule.plan.solved._net.handles["export cap"].rows
    ][0]
    left = 0.2 * made - sold
    assert made > 100.0
    assert allowed == pytest.approx(left if left > 0 else 0.0, abs=1e-6) or allowed == pytest.approx(
        left, abs=1e-6
    )


def test_every_kind_of_device_has_its_declared_limits():
    site = charging()
    stay = Session("a", "plugs", NOW, NOW + 3600 * SECOND, 5.0, power=3.0)
    limits = limits_at(site, [stay])
    assert (limits["battery"].low, limits["battery"].high) == (-100.0, 80.0)
    assert (limits["a"].low, limits["a"].high) == (0.0, 3.0)
