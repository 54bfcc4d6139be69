# SPDX-License-Identifier: Apache-2.0
"""What is carried from step to step."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operate.worlds import START

from mangrove.errors import RequestError
from mangrove.operate.state import SECOND, Session, State, metered_peak, moment

STEP = 900 * SECOND


@given(drawn=st.lists(st.floats(0, 1e4), min_size=1, max_size=50))
def test_the_carried_peak_is_the_highest_mean_of_whole_windows(drawn):
    state = State(START, month=0)
    for number, power in enumerate(drawn):
        state = state.after(START + (number + 1) * STEP, power, 0, window=2, levels={})
    peak, rest = metered_peak(np.array(drawn), 2)
    assert state.peak == pytest.approx(peak)
    assert state.window == pytest.approx(rest)


def test_a_new_month_begins_without_a_peak():
    state = State(START, month=3, peak=500.0).after(START + STEP, 80.0, 4, window=1, levels={})
    assert (state.month, state.peak) == (4, 80.0)


def test_an_export_does_not_lower_the_metered_mean():
    state = State(START, month=0).after(START + STEP, -50.0, 0, window=2, levels={})
    assert state.window == (0.0,)


def test_delivered_energy_is_carried_and_vehicles_leave():
    stays = (
        Session("a", "plugs", START, START + 2 * STEP, 5.0),
        Session("b", "plugs", START, START + STEP, 5.0),
    )
    state = State(START, sessions=stays).after(
        START + STEP, 0.0, 0, window=1, levels={}, delivered={"a": 1.5}
    )
    assert [(one.id, one.missing) for one in state.sessions] == [("a", 3.5)]


def test_the_export_allowance_grows_with_the_share_of_what_is_generated():
    state = State(START, allowance=10.0).after(START + STEP, 0.0, 0, window=1, levels={}, allowance=-4.0)
    assert state.allowance == 6.0
    assert State(START).after(START + STEP, 0.0, 0, window=1, levels={}, allowance=-4.0).allowance is None


def test_steps_without_a_reading_do_not_lower_a_mean():
    assert metered_peak(np.array([np.nan, 40.0, np.nan, np.nan]), 2) == (40.0, ())


@pytest.mark.parametrize("peak", [-1.0, np.nan, np.inf])
def test_a_state_that_cannot_be_is_refused(peak):
    with pytest.raises(RequestError) as refused:
        State(START, peak=peak)
    assert refused.value.code == "operate.bad_state"


def test_a_stay_that_ends_before_it_begins_and_an_impossible_need_are_refused():
    with pytest.raises(RequestError) as refused:
        Session("a", "plugs", START, START, 5.0)
    assert refused.value.code == "operate.session_reversed"
    with pytest.raises(RequestError) as refused:
        Session("a", "plugs", START, START + STEP, -5.0)
    assert refused.value.code == "operate.bad_number"


def test_a_moment_needs_a_time_zone():
    assert moment(datetime(2026, 8, 31, 17, tzinfo=UTC)) == START
    with pytest.raises(RequestError) as refused:
        moment(datetime(2026, 8, 31, 17))  # noqa: DTZ001 - what is refused
    assert refused.value.code == "operate.no_zone"
