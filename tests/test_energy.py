# SPDX-License-Identifier: Apache-2.0
"""How the energy verbs are joined: sessions of the ledger become vehicles, readings become forecasts, sites run side by side."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from tests.doors import sharing_park

import mangrove as mg
from mangrove import energy, testing
from mangrove.ledger import Ledger, sessions
from mangrove.operate.plan import Options
from mangrove.operate.readings import Window, measured
from mangrove.operate.site import site_at
from mangrove.times import Span

EIGHT = np.datetime64("2023-06-28T01:00:00", "s")
"""Eight in the morning of 28 June 2023 in Viet Nam: the first of four vehicles comes."""
HOUR, QUARTER = np.timedelta64(3600, "s"), 900
DAY = 96


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return mg.open(sharing_park(tmp_path_factory.mktemp("energy")))


@pytest.fixture(scope="module")
def works(park):
    return site_at(park.territory, "works")


def vehicles(park, site, at, hours=24.0):
    with park.reader() as ledger:
        return energy.vehicles_at(ledger, site, at, hours)


def grid_of(park, site, first, days):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        window = Window(np.datetime64(first, "s"), QUARTER, days * DAY)
        return measured(snapshot, park.territory, site, window, controlled=True, planned=True).grid


def test_the_world_is_declared_without_fault_and_its_meters_balance(tmp_path, park):
    assert mg.check(testing.energy_park(tmp_path / "park")) == []
    days = mg.measure(park, "2023-06-05", "2023-06-26", by=["flow"], store=False)
    assert all(flow.coverage == 1.0 for flow in days.flows)


def test_stays_of_the_ledger_become_vehicles(park, works):
    found = vehicles(park, works, EIGHT)
    assert [one.charger for one in found] == ["chargers"] * 4
    assert [one.energy for one in found] == [12.0, 14.0, 16.0, 18.0]
    assert [int((one.depart - one.arrive) / HOUR) for one in found] == [8] * 4
    assert [one.delivered for one in found] == [0.0] * 4
    assert len({one.id for one in found}) == 4


def test_a_vehicle_that_is_there_has_got_its_share_and_keeps_its_name(park, works):
    before, later = vehicles(park, works, EIGHT), vehicles(park, works, EIGHT + 4 * HOUR)
    assert [one.id for one in later] == [one.id for one in before]
    assert later[0].delivered == pytest.approx(6.0)
    after = vehicles(park, works, EIGHT + 8 * HOUR + np.timedelta64(900, "s"), hours=1.0)
    assert [one.id for one in after] == [one.id for one in before[2:]], "those that left are gone"
    assert vehicles(park, works, EIGHT + 10 * HOUR, hours=1.0) == ()


def test_two_stays_at_the_same_hours_are_two_vehicles(tmp_path):
    park = mg.open(testing.energy_park(tmp_path / "park"))
    start, end = (datetime(2023, 6, 28, hour, tzinfo=UTC) for hour in (1, 5))
    table = pa.table(
        {"start": [start, start], "end": [end, end], "amount": [5.0, 9.0]}, schema=sessions.COLUMNS
    )
    with Ledger.open(park.store) as ledger:
        sessions.put(ledger, "works.ev", table, "test")
    found = vehicles(park, site_at(park.territory, "works"), EIGHT)
    assert sorted(one.energy for one in found) == [5.0, 9.0]
    assert len({one.id for one in found}) == 2


def test_a_site_without_chargers_has_no_vehicles(park):
    assert vehicles(park, site_at(park.territory, "depot"), EIGHT) == ()


def test_what_is_forecast_does_not_change_with_what_comes_later(park, works):
    options = Options(horizon=24.0, fine=24.0)
    grid = grid_of(park, works, "2023-05-31T17:00:00", days=27)
    at = grid.start + 24 * DAY * np.timedelta64(QUARTER, "s")
    said = energy.forecasting(park, grid, options, works)(at)
    assert set(said) == set(works.inputs)
    assert all(series.shape == (1, DAY + 1) for series in said.values())
    for series in grid.values.values():
        series[24 * DAY :] = 1e6
    again = energy.forecasting(park, grid, options, works)(at)
    assert all((again[name] == said[name]).all() for name in said)


def test_scenarios_are_as_many_as_asked_and_none_is_negative(park, works):
    grid = grid_of(park, works, "2023-05-31T17:00:00", days=27)
    said = energy.forecasting(park, grid, Options(horizon=24.0, fine=24.0, scenarios=5), works)(
        grid.start + 24 * DAY * np.timedelta64(QUARTER, "s")
    )
    assert all(series.shape == (5, DAY + 1) for series in said.values())
    assert all((series >= 0).all() for series in said.values())


def test_a_back_test_of_a_day_is_forecast_from_the_weeks_before_it(park, works, monkeypatch):
    made = energy.forecasting
    seen = []

    def remembered(park, grid, *rest):
        seen.append(grid)
        return made(park, grid, *rest)

    monkeypatch.setattr(energy, "forecasting", remembered)
    done = mg.backtest(park, "2023-06-27", rules=[])
    (grid,) = seen
    known = grid_of(park, replace(works, stations=()), "2023-05-31T17:00:00", days=27)
    weeks = slice(-20 * DAY, None)
    np.testing.assert_allclose(grid.values["works#load"][weeks], known.values["works#load"][weeks])
    assert done.regret("plan") < 0.01 * done.accounts["perfect"].cost


def test_sites_in_processes_of_their_own_answer_as_in_this_one(park):
    asked = {"start": "2023-06-27", "forecasts": "perfect", "rules": []}
    here, there = (mg.each_site(mg.backtest, park, jobs=jobs, **asked) for jobs in (1, 2))
    assert list(here) == list(there) == ["works", "depot"]
    for place, done in here.items():
        assert there[place].accounts["plan"].cost == done.accounts["plan"].cost


def test_several_sites_are_sized_and_nothing_is_stored(park):
    with park.reader() as ledger:
        before = ledger.batches().num_rows
    import mangrove.plan  # from now on `mg.plan` is the package, which can be called

    for jobs in (1, 2):
        found = mg.each_site(mangrove.plan, park, jobs=jobs, start="2023-06-01", end="2023-06-29", full=False)
        assert list(found) == ["depot"], "nothing can be sized at the works"
        assert all(made.record == "" for made in found.values())
    with park.reader() as ledger:
        assert ledger.batches().num_rows == before


def test_the_word_generated_is_a_year_of_weather_at_the_site(park, tmp_path):
    span = Span.parse("2023-06", park.territory.tz)
    year, file = energy.weather_for(park, span, "depot", ["generated", tmp_path / "hanoi.epw"])
    assert file == tmp_path / "hanoi.epw"
    assert (year.lat, year.lon) == (20.8, 106.7)
    again, _ = energy.weather_for(park, span, "depot", ["generated", "x"])
    assert (again.ghi == year.ghi).all()
    with pytest.raises(mg.RequestError) as refused:
        energy.weather_for(park, span, "park", ["generated"])
    assert refused.value.code == "cli.no_coordinates"


def test_without_a_measured_week_a_plan_still_stands_and_says_what_it_repeats(tmp_path):
    folder = testing.energy_park(tmp_path / "park")
    park = mg.open(folder)
    mg.ingest(park, *testing.energy_meters(tmp_path / "meters", days=3), screen=False)
    (depot,) = mg.operate(park, "2023-06-03T12:00", places=["depot"])
    assert depot.by == "plan"
    assert depot.flows["depot.in"][1].min() >= 0.0
