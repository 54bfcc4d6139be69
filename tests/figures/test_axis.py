# SPDX-License-Identifier: Apache-2.0
"""Axes cover their data with round numbers and name the months."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.figures.axis import extent, month_ticks, ticks

amount = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(amount, amount)
def test_ticks_cover_the_range_evenly_and_are_few(first, second):
    low, high = sorted((first, second))
    found = ticks(low, high)
    assert 2 <= len(found) <= 12
    reach = found[-1] - found[0]
    assert found[0] <= low + 1e-6 * reach
    assert found[-1] >= high - 1e-6 * reach
    steps = [b - a for a, b in pairwise(found)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_the_extent_holds_zero_and_skips_what_is_no_number():
    assert extent([3.0, None, float("nan"), float("inf")]) == (0.0, 3.0)
    assert extent([]) == (0.0, 0.0)


def test_a_year_has_twelve_months_and_names_the_year_once():
    found = month_ticks(date(2024, 1, 1), 366, "vi")
    assert [offset for offset, _ in found[:3]] == [0, 31, 60]
    assert [name for _, name in found[:2]] == ["T1/2024", "T2"]
    assert len(found) == 12


def test_long_spans_are_thinned_and_short_ones_keep_a_name():
    assert len(month_ticks(date(2015, 1, 1), 3650, "en")) <= 13
    assert month_ticks(date(2024, 5, 20), 3, "en") == [(0, "May 2024")]
    assert month_ticks(date(2024, 5, 20), 0, "en") == []
