# SPDX-License-Identifier: Apache-2.0
"""The rules that people use today, and the safe rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operate.worlds import START, charging, workshop

from mangrove.errors import DataQualityError, InfeasibleError, RequestError
from mangrove.operate.execute import Plant
from mangrove.operate.rules import OFFPEAK, PEAK, RULES, View, highest_so_far, peak_shaving
from mangrove.operate.safe import Freshness, safe_rule, stale, why
from mangrove.operate.state import SECOND, Session, State

HOUR = 3600 * SECOND


def view(load, sun, *, level=100.0, period=1, peak=0.0, sessions=()):
    return View(State(START, {"battery": level}, sessions, peak=peak), 900, load, sun, period)


def power(rule, *args, **options):
    return RULES[rule](workshop(), view(*args, **options)).powers.get("battery", 0.0)


def test_self_consumption_stores_surplus_and_covers_load():
    assert power("self_consumption", 20.0, 90.0) == 70.0
    assert power("self_consumption", 90.0, 20.0) == -70.0
    assert power("self_consumption", 90.0, 20.0, level=0.0) == 0.0


def test_time_of_use_charges_off_peak_gives_in_the_peak_and_rests_otherwise():
    assert power("time_of_use", 50.0, 0.0, period=OFFPEAK) == 80.0
    assert power("time_of_use", 50.0, 0.0, period=PEAK) == -50.0
    assert power("time_of_use", 50.0, 0.0) == 0.0


def test_peak_shaving_holds_a_threshold():
    assert peak_shaving(workshop(), view(150.0, 0.0), threshold=100.0).powers["battery"] == -50.0
    assert peak_shaving(workshop(), view(70.0, 0.0), threshold=100.0).powers["battery"] == 30.0
    assert peak_shaving(workshop(), view(150.0, 0.0, peak=140.0)).powers["battery"] == -10.0


def test_without_storage_the_battery_rests():
    assert power("no_storage", 150.0, 0.0) == 0.0


def test_vehicles_charge_at_once_within_the_connection():
    stays = tuple(Session(f"{i}", "plugs", START, START + (5 - i) * HOUR, 20.0) for i in range(4))
    site = charging()
    orders = RULES["no_storage"](site, view(50.0, 0.0, sessions=stays))
    assert set(orders.powers.values()) == {7.0}
    tight = RULES["no_storage"](site, view(390.0, 0.0, sessions=stays))
    assert tight.powers == {"3": 7.0, "2": pytest.approx(3.0), "1": 0.0, "0": 0.0}


@given(
    load=st.floats(0, 500),
    sun=st.floats(0, 120),
    level=st.floats(0, 200),
    rule=st.sampled_from(list(RULES)),
    period=st.integers(0, 2),
)
def test_no_rule_asks_for_more_than_the_battery_can(load, sun, level, rule, period):
    ordered = power(rule, load, sun, level=level, period=period)
    least, most = Plant(workshop(), levels={"battery": level}).devices["battery"].room(0.25)
    assert least - 1e-9 <= ordered <= most + 1e-9


def test_the_highest_load_so_far_does_not_know_the_present():
    assert highest_so_far(np.array([5.0, 3.0, 9.0, 1.0])).tolist() == [0.0, 5.0, 5.0, 9.0]


def test_the_safe_rule_keeps_a_reserve_and_names_its_reason():
    orders = safe_rule(workshop(), view(150.0, 0.0, level=45.0, peak=120.0), "operate.stale_forecast")
    assert orders.powers["battery"] == pytest.approx(-5.0 * 0.94 / 0.25)
    assert (orders.by, orders.reason, orders.ceiling) == ("safe", "operate.stale_forecast", 120.0)


@pytest.mark.parametrize("load", [np.nan, np.inf])
def test_without_readings_the_safe_rule_lets_the_battery_rest(load):
    assert safe_rule(workshop(), view(load, 0.0), "x").powers == {"battery": 0.0}


def test_old_and_missing_inputs_are_listed_with_their_age():
    found = stale(START, {"roof": START - 7 * HOUR, "load": START - HOUR}, {"meter": None}, Freshness())
    assert [(one.code, one.data["name"], one.data["hours"]) for one in found] == [
        ("operate.stale_forecast", "roof", "7.0"),
        ("operate.stale_reading", "meter", "-"),
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InfeasibleError("network.infeasible", names="", first=""), "operate.safe_infeasible"),
        (RequestError("network.time_limit", seconds=1), "operate.safe_late"),
        (DataQualityError("operate.gap", name="x", count=1, at=""), "operate.gap"),
        (ZeroDivisionError(), "operate.safe_solver"),
    ],
)
def test_every_failure_has_a_reason(error, reason):
    assert why(error) == reason
