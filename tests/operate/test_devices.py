# SPDX-License-Identifier: Apache-2.0
"""Nothing that is asked and nothing that a device answers gets a set-point past the declared limits."""

import csv
import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operate.worlds import BATTERY

from mangrove.errors import RequestError
from mangrove.operate.devices import (
    HEARTBEAT,
    Guard,
    Journal,
    Limits,
    Reading,
    Setpoint,
    SimulatedBattery,
    limits_of,
)
from mangrove.operate.site import Battery

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
ANY = st.floats(allow_nan=True, allow_infinity=True)
POWER = st.floats(-1e6, 1e6)


class Hostile:
    """Answers what it is told to, and remembers what it was told."""

    id = "hostile"

    def __init__(self, answers):
        self.answers = iter(answers)
        self.told = []

    def read(self):
        answer = next(self.answers, None)
        if answer is None:
            raise ConnectionError
        return answer

    def write(self, setpoint):
        self.told.append(setpoint.power)
        if len(self.told) % 5 == 0:
            raise TimeoutError


def ask(device, power, *, start=NOON, lasts=HEARTBEAT):
    return Setpoint(device, power, start, start + lasts)


@given(
    asked=st.lists(POWER, max_size=30),
    answers=st.lists(st.builds(Reading, power=ANY, level=ANY, low=ANY, high=ANY) | st.none(), max_size=30),
    low=st.floats(-1e3, 0),
    high=st.floats(0, 1e3),
    ramp=st.floats(0.1, 1e4),
)
def test_no_set_point_leaves_the_declared_limits_or_the_ramp(asked, answers, low, high, ramp):
    device = Hostile(answers)
    guard = Guard(device, Limits(low, high, ramp=ramp))
    reached = []
    for power in asked:
        written = guard.write(ask("hostile", power), NOON)
        if written.sent is not None:
            reached.append(written.sent)
    assert all(low <= power <= high for power in device.told)
    assert all(abs(b - a) <= ramp * (1 + 1e-9) for a, b in pairwise(reached))


@pytest.mark.parametrize("power", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_and_not_sent(power):
    device = Hostile([])
    with pytest.raises(RequestError) as refused:
        Guard(device, Limits(-10.0, 10.0)).write(ask("hostile", power), NOON)
    assert refused.value.code == "operate.not_a_setpoint"
    assert device.told == []


def test_a_set_point_for_another_device_is_refused():
    with pytest.raises(RequestError) as refused:
        Guard(Hostile([]), Limits(-10.0, 10.0)).write(ask("another", 1.0), NOON)
    assert refused.value.code == "operate.wrong_device"


def test_an_expired_set_point_is_not_sent():
    device = Hostile([])
    written = Guard(device, Limits(-10.0, 10.0)).write(ask("hostile", 5.0), NOON + HEARTBEAT)
    assert (written.sent, written.reason, device.told) == (None, "expired", [])


def test_a_device_that_hears_nothing_any_more_gets_its_safe_power():
    battery = SimulatedBattery(BATTERY, 100.0)
    guard = Guard(battery, Limits(-100.0, 80.0, safe=-5.0))
    guard.write(ask("battery", 50.0), NOON)
    assert guard.beat(NOON + timedelta(minutes=14)) is None
    assert guard.beat(NOON + timedelta(minutes=15)).sent == -5.0
    assert battery.power == -5.0


def test_a_long_set_point_holds_no_longer_than_a_heartbeat():
    guard = Guard(SimulatedBattery(BATTERY, 100.0), limits_of(BATTERY))
    guard.write(ask("battery", 50.0, lasts=timedelta(days=1)), NOON)
    assert guard.beat(NOON + HEARTBEAT).asked.reason == "expired"


def test_a_device_may_narrow_its_limits_but_not_widen_them():
    guard = Guard(
        Hostile([Reading(0.0, low=-1e9, high=1e9), Reading(0.0, low=-3.0, high=3.0)]), Limits(-10.0, 10.0)
    )
    assert (guard.write(ask("hostile", 50.0), NOON).sent, guard.write(ask("hostile", 8.0), NOON).sent) == (
        10.0,
        3.0,
    )


def test_a_device_that_cannot_be_reached_is_named_and_does_not_raise():
    device = Hostile([])
    guard = Guard(device, Limits(-10.0, 10.0))
    outcomes = [guard.write(ask("hostile", float(i)), NOON).reason for i in range(5)]
    assert outcomes[-1] == "unreachable"
    assert guard.beat(NOON).asked.reason == "expired"


@pytest.mark.parametrize(
    "limits",
    [{"low": 1.0, "high": 2.0}, {"low": math.nan, "high": 1.0}, {"low": -1.0, "high": 1.0, "ramp": 0.0}],
)
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(RequestError) as refused:
        Limits(**limits)
    assert refused.value.code == "operate.bad_limits"


@given(
    powers=st.lists(st.floats(-500, 500), max_size=40),
    start=st.floats(0, 200),
    taper=st.none() | st.tuples(st.floats(0, 0.99), st.floats(0, 1)),
)
def test_a_simulated_battery_never_makes_energy_and_stays_between_empty_and_full(powers, start, taper):
    battery = Battery("b", 200.0, 80.0, 100.0, (0.95, 0.94), floor=10.0, loss=0.001, taper=taper)
    device = SimulatedBattery(battery, start)
    for power in powers:
        before = device.level
        device.write(ask("b", power))
        flowed = device.advance(0.25)
        kept = before * 0.999**0.25
        gained = flowed * 0.25 * (0.95 if flowed > 0 else 1 / 0.94)
        assert device.level == pytest.approx(kept + gained, abs=1e-9)
        assert -100.0 <= flowed <= 80.0
        assert 0.0 <= device.level <= 200.0
        if flowed < 0:
            assert device.level >= 10.0 - 1e-9


def test_a_full_battery_refuses_to_charge_and_an_empty_one_to_give():
    device = SimulatedBattery(BATTERY, 200.0)
    device.write(ask("battery", 80.0))
    assert device.advance(0.25) == 0.0
    device.level = 0.0
    device.write(ask("battery", -80.0))
    assert device.advance(0.25) == 0.0


def test_a_journal_keeps_every_set_point(tmp_path):
    heard = []
    journal = Journal("battery", tmp_path / "setpoints.csv", heard.append)
    guard = Guard(journal, limits_of(BATTERY))
    guard.write(ask("battery", 50.0), NOON)
    guard.write(ask("battery", -500.0), NOON)
    rows = list(csv.DictReader((tmp_path / "setpoints.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["power_kw"]) for row in rows] == [50.0, -100.0]
    assert rows[0]["expires"] == "2026-09-01T12:15:00+00:00"
    assert [one.power for one in heard] == [50.0, -100.0]
    assert journal.read().power == -100.0
