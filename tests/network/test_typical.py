"""Typical days stand for the year: sums kept, extremes kept, kinds of days apart, the same answer each time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.network.typical import typical_days


def year(seed=0, days=60):
    rng = np.random.default_rng(seed)
    hour = np.arange(days * 24) % 24
    return {
        "load": 1000 + 300 * np.sin(hour / 24 * 2 * np.pi) + rng.normal(0, 60, days * 24),
        "sun": np.clip(np.sin((hour - 6) / 12 * np.pi), 0, 1) * np.repeat(rng.uniform(0.2, 1, days), 24),
        "price": np.where((hour >= 18) & (hour < 22), 3.0, 1.0),
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 70))
def test_every_day_is_represented_and_every_sum_is_kept(seed, count):
    profiles = year(seed)
    found = typical_days(profiles, count=count, highest=["load"])
    assert found.counts.sum() == 60
    assert (found.counts > 0).all()
    assert len(found.days) <= count + 1
    for name, values in profiles.items():
        assert found.spread(found.profiles[name]).sum() == pytest.approx(values.sum(), rel=1e-9)
        assert found.profiles[name].max() <= values.max() + 1e-9
        assert found.profiles[name].min() >= min(values.min(), 0.0) - 1e-9


def test_as_many_days_as_the_year_has_give_the_year_back():
    profiles = year(1, days=20)
    found = typical_days(profiles, count=20, highest=["load"])
    for name, values in profiles.items():
        assert found.spread(found.profiles[name]) == pytest.approx(values)


def test_the_day_of_the_highest_load_stands_for_itself():
    profiles = year(2)
    found = typical_days(profiles, count=5, highest=["load"])
    day = int(profiles["load"].argmax() // 24)
    own = int(found.order[day])
    assert found.counts[own] == 1
    assert found.profiles["load"].max() == profiles["load"].max()
    assert found.days[own] == day


def test_days_of_different_kinds_never_share_a_representative():
    kinds = (np.arange(60) % 7 == 6).astype(int)
    found = typical_days(year(3), count=4, kinds=kinds)
    assert len(found.days) == 4
    for own in range(4):
        assert len(set(kinds[found.order == own])) == 1
    assert len(typical_days(year(3), count=1, kinds=kinds).days) == 2


def test_exact_profiles_are_those_of_real_days():
    profiles = year(4)
    found = typical_days(profiles, count=6, exact=["sun"])
    table = profiles["sun"].reshape(-1, 24)
    assert np.array_equal(found.profiles["sun"].reshape(-1, 24), table[found.days])


def test_the_same_year_gives_the_same_days():
    first, second = (typical_days(year(5), count=7, highest=["load"]) for _ in range(2))
    assert np.array_equal(first.order, second.order)
    assert all(np.array_equal(first.profiles[n], second.profiles[n]) for n in first.profiles)


def test_days_are_numbered_as_they_first_occur():
    order = typical_days(year(6), count=8).order
    first = [int(np.flatnonzero(order == number)[0]) for number in range(order.max() + 1)]
    assert first == sorted(first)


def test_steps_of_a_month_are_those_of_its_representative_days():
    found = typical_days(year(7), count=6)
    months = np.repeat([0, 1], 30)
    steps = found.occurs(months)
    for month in (0, 1):
        days = np.unique(found.order[months == month])
        assert np.array_equal(np.unique(steps[month] // 24), days)
        assert len(steps[month]) == len(days) * 24


def test_the_horizon_counts_every_hour_of_the_year():
    found = typical_days(year(8), count=5)
    assert found.horizon.amount.sum() == pytest.approx(60 * 24)


def test_more_days_describe_the_year_better():
    profiles = year(9)
    errors = []
    for count in (1, 4, 16, 60):
        found = typical_days(profiles, count=count)
        errors.append(np.abs(found.spread(found.profiles["sun"]) - profiles["sun"]).mean())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("profiles", "options", "code"),
    [
        ({"load": np.ones(25)}, {}, "network.not_whole_days"),
        ({"load": np.ones(24), "sun": np.ones(48)}, {}, "network.not_whole_days"),
        ({}, {}, "network.not_whole_days"),
        ({"load": np.ones(24)}, {"hours": 0.7}, "network.not_whole_days"),
        ({"load": np.full(24, np.nan)}, {}, "network.bad_profile"),
        ({"load": np.ones(24)}, {"highest": ["lod"]}, "network.unknown_profile"),
        ({"load": np.ones(24)}, {"count": 0}, "network.bad_count"),
    ],
)
def test_profiles_that_are_no_days_are_refused_by_name(profiles, options, code):
    with pytest.raises(RequestError) as caught:
        typical_days(profiles, **options)
    assert caught.value.code == code
