# SPDX-License-Identifier: Apache-2.0
"""Charging: nothing is lost, the closed forms of a charge, dwell as a count of vehicles one by one, and what cannot be stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.traffic.charging import Driven, Mode, charged, checked, halves, spread_of

ZONES = ("a", "b", "c")
DAYTIME = np.array([0.1] * 6 + [0.5, 1.0, 1.0] + [0.6] * 8 + [1.0, 1.0, 0.7] + [0.3] * 4)


def driven(hours=DAYTIME, trips=100.0):
    return Driven(np.asarray(hours, dtype=float), np.array([3.0, 1.0, 0.0]), np.array([0.0, 1.0, 4.0]), trips)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["home", "work", "swap", "depot"]),
    seed=st.integers(0, 10_000),
    numbers=st.tuples(st.floats(0, 1), st.floats(0.2, 50), st.floats(0.5, 1.0)),
    delay=st.floats(0, 30),
    energy=st.none() | st.floats(0.1, 100),
)
def test_what_is_charged_is_what_is_driven_over_the_efficiency(name, seed, numbers, delay, energy):
    hours = np.random.default_rng(seed).uniform(0, 5, 24)
    zones = ("b", "c") if name in ("swap", "depot") else ()
    share, _, efficiency = numbers
    mode = Mode(name, *numbers, zones=zones, delay=delay, energy=energy)
    found = charged(driven(hours), mode, ZONES)
    assert found.sum() == pytest.approx(share * hours.sum() / efficiency)
    assert (found >= -1e-12).all()


def test_homes_get_what_begins_there_workplaces_what_ends_there_stations_equal_parts():
    one = driven()
    home = charged(one, Mode("home", 1.0, 2.0, 1.0), ZONES).sum(axis=0)
    work = charged(one, Mode("work", 1.0, 2.0, 1.0), ZONES).sum(axis=0)
    swap = charged(one, Mode("swap", 1.0, 2.0, 1.0, zones=("a", "c")), ZONES).sum(axis=0)
    whole = DAYTIME.sum()
    assert home == pytest.approx([0.75 * whole, 0.25 * whole, 0.0])
    assert work == pytest.approx([0.0, 0.2 * whole, 0.8 * whole])
    assert swap == pytest.approx([0.5 * whole, 0.0, 0.5 * whole])


@pytest.mark.parametrize(("duration", "delay"), [(0.3, 0.0), (1.0, 0.5), (3.7, 2.0), (8.0, 0.25)])
def test_a_charge_by_the_hour_is_that_of_many_vehicles_one_by_one(duration, delay):
    vehicles, steps = 400, 2_000
    at = (np.arange(vehicles) + 0.5) / vehicles
    found = np.zeros(len(spread_of(duration, delay)))
    moments = (np.arange(steps) + 0.5) / steps * duration
    for arrival in at:
        hour = (arrival + delay + moments).astype(int)
        found += np.bincount(hour, minlength=len(found)) / steps / vehicles
    np.testing.assert_allclose(spread_of(duration, delay), found, atol=2e-3)
    assert spread_of(duration, delay).sum() == pytest.approx(1.0)


def test_the_halves_of_a_day_are_its_whole_and_come_one_after_the_other():
    out, back = halves(DAYTIME)
    np.testing.assert_allclose((out + back) / 2, DAYTIME / DAYTIME.sum())
    assert out.sum() == pytest.approx(1.0)
    # no more than one hour belongs to both
    assert ((out > 1e-12) & (back > 1e-12)).sum() <= 1
    assert np.flatnonzero(out > 1e-12).max() <= np.flatnonzero(back > 1e-12).min()


def test_homes_charge_in_the_evening_workplaces_in_the_morning_and_a_delay_comes_later():
    one = driven(trips=1e6)  # short charges
    home, work, late = (
        charged(one, mode, ZONES).sum(axis=1)
        for mode in (
            Mode("home", 1.0, 3.0, 1.0),
            Mode("work", 1.0, 3.0, 1.0),
            Mode("home", 1.0, 3.0, 1.0, delay=5.0),
        )
    )
    assert home[6:11].sum() == pytest.approx(0.0, abs=1e-9)
    assert work[18:23].sum() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(late, np.roll(home, 5), atol=1e-12)


def test_a_slower_charger_takes_longer_and_peaks_lower():
    day = np.zeros(24)
    day[[8, 18]] = 50.0
    fast, slow = (
        charged(driven(day, trips=20.0), Mode("home", 1.0, power, 0.8), ZONES).sum(axis=1)
        for power in (11.0, 2.0)
    )
    # 100 kWh by ten vehicles, 12.5 kWh each: 1.1 and 6.3 hours
    assert fast.max() > 2 * slow.max()
    assert (fast > 1e-9).sum() == 3
    assert (slow > 1e-9).sum() == 8
    assert slow.max() == pytest.approx(10 * 2.0)  # all at once


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"name": "street"}, "mode"),
        ({"share": 1.2}, "share"),
        ({"power": 0.0}, "power"),
        ({"efficiency": 0.0}, "efficiency"),
        ({"efficiency": 1.1}, "efficiency"),
        ({"delay": -1.0}, "delay"),
        ({"energy": 0.0}, "energy"),
        ({"name": "swap"}, "zones"),
        ({"zones": ("a",)}, "zones"),
    ],
)
def test_modes_that_cannot_be_are_refused_by_their_key(values, key):
    with pytest.raises(RequestError) as caught:
        Mode(**{"name": "home", "share": 0.5, "power": 2.0, "efficiency": 0.9, **values})
    assert caught.value.problem.data["key"] == f"charging/{key}"


@pytest.mark.parametrize(
    ("modes", "code"),
    [
        ([Mode("home", 0.5, 2.0, 0.9)], "roads.charging_shares"),
        ([Mode("home", 1.0, 2.0, 0.9), Mode("work", 0.5, 2.0, 0.9, classes=("x",))], "roads.charging_shares"),
        ([Mode("home", 1.0, 2.0, 0.9, classes=("y",))], "roads.unknown_class"),
        ([Mode("swap", 1.0, 2.0, 0.9, zones=("z",))], "roads.unknown_zone"),
        ([Mode("home", 1.0, 2.0, 0.9)], None),
        ([Mode("home", 0.4, 2.0, 0.9, classes=("x",)), Mode("swap", 0.6, 2.0, 0.9, ("x",), ("a",))], None),
    ],
)
def test_shares_of_a_class_come_to_the_whole(modes, code):
    if code is None:
        checked(tuple(modes), ("x",), ZONES)
        return
    with pytest.raises(RequestError) as caught:
        checked(tuple(modes), ("x",), ZONES)
    assert caught.value.code == code
