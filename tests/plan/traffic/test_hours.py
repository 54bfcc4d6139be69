# SPDX-License-Identifier: Apache-2.0
"""Edits that hold in some hours of the day: parts of the day add up to the day, and other hours stay as they are."""

import numpy as np
import pytest
from tests.plan.traffic.streets import city
from tests.plan.traffic.timetable import write_feed

from mangrove.plan.traffic.edits import Edit, through_day
from mangrove.plan.traffic.observe import observe
from mangrove.plan.traffic.verdict import evaluate
from mangrove.sources.gtfs_ways import Timetable

HOURS = np.array(
    [0.05] * 5
    + [0.3, 0.8, 1.0, 0.9, 0.6, 0.5, 0.5, 0.6, 0.5, 0.5, 0.6, 0.9, 1.0, 0.8, 0.5, 0.3, 0.2, 0.1, 0.05]
)
TOLL = {"zones": ["z00"], "amount": 20_000.0, "value_of_time": 30_000.0}
FLEET = Edit("fleet", "electrify", {"class": "motorbike", "into": "electric_motorbike", "share": 0.3})


@pytest.fixture
def case(tmp_path):
    return city(tmp_path, trips=5_000.0, hours=HOURS)


def hours(*held):
    return tuple(hour in held for hour in range(24))


def seen(case, *edits):
    return observe(through_day(case, [FLEET, *edits]))


def test_all_hours_are_the_whole_day(case):
    always, each = (
        seen(case, Edit("toll", "toll", TOLL)),
        seen(case, Edit("toll", "toll", TOLL, hours=hours(*range(24)))),
    )
    assert each.km == pytest.approx(always.km, rel=1e-6)
    np.testing.assert_allclose(each.kwh, always.kwh, rtol=1e-6)
    np.testing.assert_allclose(each.zone, always.zone, rtol=1e-6)


def test_parts_of_the_day_add_up_to_it(case):
    """Every level of traffic meets the toll in some hours; the sum is that of the hours with and without it."""
    held = (6, 7, 8, 12, 17, 22)
    never, always = seen(case), seen(case, Edit("toll", "toll", TOLL))
    some = seen(case, Edit("toll", "toll", TOLL, hours=hours(*held)))
    other = [hour for hour in range(24) if hour not in held]
    assert some.kwh.sum(axis=1)[other] == pytest.approx(never.kwh.sum(axis=1)[other], rel=0.01)
    assert some.kwh.sum(axis=1)[list(held)] == pytest.approx(always.kwh.sum(axis=1)[list(held)], rel=0.01)
    assert min(never.km, always.km) <= some.km <= max(never.km, always.km)
    by_zone = some.zone[:, :, -1].sum(axis=1)
    np.testing.assert_allclose(some.kwh.sum(axis=0), by_zone, rtol=1e-9)


def test_a_zone_in_the_peak_bans_nobody_at_night(case):
    zone = {"zones": ["z00"], "classes": ["motorbike"], "into": "electric_motorbike", "switch": 1.0}
    night = seen(case, Edit("zone", "low_emission_zone", zone, hours=hours(7, 8, 17)))
    never = seen(case)
    quiet = [hour for hour in range(24) if hour not in (7, 8, 17)]
    assert night.kwh.sum(axis=1)[quiet] == pytest.approx(never.kwh.sum(axis=1)[quiet], rel=0.01)
    assert night.kwh[7].sum() > 1.2 * never.kwh[7].sum()


def test_a_verdict_of_a_peak_toll_lies_between_none_and_one_of_the_day(case):
    peak = evaluate(case, [Edit("toll", "toll", TOLL, hours=hours(7, 8, 17))], draws=2)
    day = evaluate(case, [Edit("toll", "toll", TOLL)], draws=2)
    one, all_ = (found.difference("km", "plan").mean for found in (peak, day))
    assert 0 < one / all_ < 1


def test_electric_buses_draw_power_in_the_hours_of_their_timetable(case, tmp_path):
    table = Timetable(write_feed(tmp_path / "feed.zip", case.map.net))
    edit = Edit("bus", "bus_line", {"gtfs": table, "routes": ["01"], "class": "electric_bus"})
    found = observe(through_day(case, [edit]))
    km = 36 * 2.0
    power = found.kwh.sum()
    assert 1.0 < power / km < 4.0  # kWh per km of an electric bus
    runs = {hour for hour in range(24) if found.kwh[hour].sum() > 1e-9}
    assert {7, 8, 16} <= runs
