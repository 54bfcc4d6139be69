# SPDX-License-Identifier: Apache-2.0
"""A back-test of a declared works on its own meters."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.operate import park
from tests.operate.worlds import QUARTER, START, measured

from mangrove.errors import DataQualityError, RequestError
from mangrove.ledger import Ledger, Origin, Quality
from mangrove.operate.account import rates_of
from mangrove.operate.outlook import perfect
from mangrove.operate.past import Question, backtest_on_ledger, steps_of
from mangrove.operate.plan import Options
from mangrove.operate.readings import Window, balance, imported, kilowatt_hours, level, power
from mangrove.operate.readings import measured as read
from mangrove.operate.site import sites
from mangrove.operate.state import SECOND
from mangrove.times import Span

SHORT = Options(horizon=24.0, fine=12.0)
SPAN = Span(datetime(2026, 8, 31, 17, 5, tzinfo=UTC), datetime(2026, 9, 2, 17, tzinfo=UTC))


def ask(**changes):
    return Question(options=SHORT, outlook=lambda grid, options: perfect(grid, 96), **changes)


@pytest.fixture
def works(tmp_path):
    return park.load(park.declare(tmp_path / "works"))


@pytest.fixture
def ledger(works):
    with Ledger.open(works.path / ".mangrove") as opened:
        park.ingest(opened)
        yield opened


def test_the_past_of_a_works_is_run_again(works, ledger):
    with ledger.snapshot() as snapshot:
        found = backtest_on_ledger(works, snapshot, SPAN, ask())
    assert found.complete
    course = found.courses["plan"]
    load = measured(park.DAYS).values["shop#load"][2 : 2 * 96]
    assert course.load == pytest.approx(load, abs=1e-6)
    assert found.accounts["perfect"].cost <= found.accounts["plan"].cost <= found.accounts["no_storage"].cost
    assert found.accounts["plan"].emissions == pytest.approx(course.imported.sum() / 4 * 0.66)


def test_a_battery_that_is_only_planned_was_not_there(tmp_path):
    bare = park.FILES["assets.csv"].replace("; charge_flow=charged; discharge_flow=given", "")
    works = park.load(park.declare(tmp_path / "works", assets=bare))
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger)
        with ledger.snapshot() as snapshot:
            found = backtest_on_ledger(works, snapshot, SPAN, ask(rules=("no_storage",)))
            bought = power(snapshot, works.flows["bought"], Window(START + 1800 * SECOND, QUARTER, 190)).power
    assert found.courses["no_storage"].imported == pytest.approx(bought, abs=1e-6)
    assert found.accounts["plan"].cost < found.accounts["no_storage"].cost


def test_a_hole_in_the_readings_stops_the_back_test_and_is_named(works, ledger):
    hole = park.values("bought", START + 40 * QUARTER * SECOND, QUARTER, np.full(3, 1.0))
    bad = hole.append_column("quality", np.full(3, int(Quality.FAULT), dtype=np.uint8)[None].tolist())
    ledger.append(bad, Origin("meters", "fault"))
    with ledger.snapshot() as snapshot, pytest.raises(DataQualityError) as refused:
        backtest_on_ledger(works, snapshot, SPAN, ask())
    assert (refused.value.code, refused.value.problem.data["count"]) == ("operate.gap", 3)


def test_a_place_without_a_connection_is_refused(works, ledger):
    with ledger.snapshot() as snapshot, pytest.raises(RequestError) as refused:
        backtest_on_ledger(works, snapshot, SPAN, ask(place="hall"))
    assert refused.value.code == "operate.unknown_site"


def test_a_span_is_cut_to_whole_half_hours():
    window = steps_of(SPAN, QUARTER)
    assert (window.start, window.steps) == (START + 1800 * SECOND, 2 * 96 - 2)


def test_the_declared_factor_and_carbon_price_are_used(tmp_path):
    text = park.FILES["territory.yaml"] + "energy:\n  carbon_price: 135000 VND/t\n"
    works = park.load(park.declare(tmp_path / "works", territory=text))
    rates = rates_of(works, sites(works)[0], datetime(2026, 9, 1, tzinfo=UTC).date())
    assert (rates.factor, rates.carbon) == (pytest.approx(0.66), pytest.approx(135.0))
    assert rates.per_kwh == pytest.approx(89.1)


def test_every_unit_and_step_becomes_mean_power(works, ledger):
    window = Window(START + 12 * 4 * QUARTER * SECOND, QUARTER, 8)
    with ledger.snapshot() as snapshot:
        found = {name: power(snapshot, works.flows[name], window) for name in ("charged", "sun")}
        dusk = power(snapshot, works.flows["given"], Window(START + 18 * 4 * QUARTER * SECOND, QUARTER, 12))
    assert found["charged"].power == pytest.approx(20.0)
    assert np.ptp(found["sun"].power.reshape(-1, 4), axis=1) == pytest.approx(0.0, abs=1e-9)
    assert dusk.power == pytest.approx(np.r_[np.full(8, 10.0), np.zeros(4)])
    assert dusk.until == START + 21 * 4 * QUARTER * SECOND
    assert kilowatt_hours(works.flows["given"]) == 1000.0


def test_where_nothing_was_measured_there_is_no_number(works, ledger):
    with ledger.snapshot() as snapshot:
        ahead = power(snapshot, works.flows["bought"], Window(park.NOW - QUARTER * SECOND, QUARTER, 4))
        before = power(snapshot, works.flows["bought"], Window(START - 96 * QUARTER * SECOND, QUARTER, 4))
    assert np.isnan(ahead.power).tolist() == [False, True, True, True]
    assert np.isnan(before.power).all()
    assert before.until is None


def test_the_balance_of_a_site_is_its_load(works):
    (site,) = sites(works)
    flows = {"bought": 100.0, "sold": 5.0, "sun": 30.0, "charged": 20.0, "given": 8.0}
    found = balance(site, {name: np.array([value, np.nan]) for name, value in flows.items()})
    assert found[0] == 113.0
    assert np.isnan(found[1])


def test_a_level_is_certain_once_the_battery_was_full_or_empty(works):
    battery = sites(works)[0].batteries[0]
    full = level(battery, np.full(100, 80.0), np.zeros(100), 0.25)
    after = level(battery, np.r_[np.full(100, 80.0), 0.0], np.r_[np.zeros(100), 40.0], 0.25)
    assert full == 200.0
    assert after == pytest.approx(200.0 - 10.0 / 0.9**0.5)
    assert level(battery, np.zeros(4), np.zeros(4), 0.25) == 100.0


def test_what_a_connection_without_a_meter_draws_is_what_is_behind_it(works, ledger):
    (site,) = sites(works)
    with ledger.snapshot() as snapshot:
        meters = read(snapshot, works, site, Window(START, QUARTER, 96))
    behind = imported(replace(site, import_flow=""), meters)
    assert behind == pytest.approx(meters.flows["bought"].power, abs=1e-6)
