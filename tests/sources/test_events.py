# SPDX-License-Identifier: Apache-2.0
"""Events and samples become values of steps; the values depend on what was reported and not on when it arrived."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.inference.series import Series
from mangrove.ledger import Origin, Quality
from mangrove.sources import events
from mangrove.sources.events import Events
from mangrove.sources.messages_in import Reading, as_values
from mangrove.times import Step

MINUTE = 60 * 10**6
START = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 10**6
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
QUARTER = Step.parse("15min")
END = datetime(2026, 12, 1, tzinfo=UTC)


def hear(
    ledger, kept: Events, name: str, *rows: tuple[float, float], now: datetime = END, seq: str = ""
) -> None:
    """Stores values at minutes after the start, as a connector does, and derives."""
    values = as_values([Reading(name, START + int(minute * MINUTE), value) for minute, value in rows])
    ledger.append(values.table(), Origin("mqtt:test", seq or repr(rows)))
    kept.seen(values)
    kept.derive(ledger, now)


@pytest.fixture
def park(world, flow):
    return world(flow("swaps", "item"), flow("power", "kW", semantics="mean"), flow("free", step=None))


def test_events_are_added_up_and_steps_between_them_hold_zero(park, ledger, rows):
    hear(ledger, Events(park), "swaps#event", (1, 1), (14, 1), (46, 1))
    assert rows("swaps") == [
        ("2026-11-01T00:00", 2.0, 0),
        ("2026-11-01T00:15", 0.0, 0),
        ("2026-11-01T00:30", 0.0, 0),
        ("2026-11-01T00:45", 1.0, 0),
    ]


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=12, unique=True), st.randoms(use_true_random=False)
)
def test_the_sum_over_all_steps_is_the_number_of_events(minutes, random):
    at = START + np.sort(np.array(minutes)) * MINUTE
    said = Series(at, np.ones(len(at)), np.zeros(len(at), np.uint8))
    whole = events.sums(said, QUARTER, HANOI, (int(at[0]), int(at[-1])))
    assert whole.value.sum() == len(minutes)
    one = random.choice(at.tolist())  # what a single late event touches agrees with the whole
    part = events.sums(said, QUARTER, HANOI, (one, one))
    place = np.searchsorted(whole.start, part.start)
    assert part.value.tolist() == whole.value[place].tolist()


def test_an_event_that_comes_late_or_twice_changes_its_own_step_only(park, ledger, rows):
    kept = Events(park)
    hear(ledger, kept, "swaps#event", (1, 1), (46, 1))
    hear(ledger, kept, "swaps#event", (20, 1))
    hear(ledger, Events(park), "swaps#event", (20, 1), seq="again")
    assert [value for _, value, _ in rows("swaps")] == [1.0, 1.0, 0.0, 1.0]


def test_what_was_stored_before_a_crash_is_derived_afterwards(park, ledger, rows):
    values = as_values([Reading("swaps#event", START, 1.0)])
    ledger.append(values.table(), Origin("mqtt:test", "1"))
    kept = Events(park)
    kept.catch_up(ledger)
    kept.derive(ledger, END)
    assert rows("swaps") == [("2026-11-01T00:00", 1.0, 0)]
    assert kept.derive(ledger, END) == []


def test_a_mean_is_made_when_its_step_is_over_and_a_hole_makes_it_an_estimate(park, ledger, rows):
    kept = Events(park)
    minute = datetime(2026, 11, 1, tzinfo=UTC)
    dense = [(i, 2.0 + i % 2) for i in range(0, 14, 2)]
    hear(ledger, kept, "power#sample", *dense, now=minute + timedelta(minutes=14))
    assert rows("power") == []
    hear(ledger, kept, "power#sample", (14, 9.0), (16, 5.0), now=minute + timedelta(minutes=17))
    assert rows("power") == [("2026-11-01T00:00", (7 * 2 + 9) / 8, Quality.GOOD)]
    kept.derive(ledger, minute + timedelta(minutes=31))
    assert rows("power")[1] == ("2026-11-01T00:15", 5.0, Quality.FILLED)


@pytest.mark.parametrize("step", ["15min", "1h", "1d", "1mo"])
def test_the_start_of_a_step_is_not_after_the_instant_and_less_than_a_step_before(step):
    asked = Step.parse(step)
    at = START + np.arange(0, 90 * 24 * 60, 7) * MINUTE
    start = events.step_start(at, asked, HANOI)
    assert (start <= at).all()
    assert (at - start < 31 * 86_400 * 10**6).all()
    assert (events.step_start(start, asked, HANOI) == start).all()
    if asked.seconds:
        assert (at - start < asked.seconds * 10**6).all()


def test_events_of_a_flow_without_step_stand_under_its_own_name(park):
    assert events.event_key(park.flows["free"]) == "free"
    assert events.event_key(park.flows["swaps"]) == "swaps#event"
    assert events.sample_key(park.flows["swaps"]) == "swaps"
    assert events.sample_key(park.flows["power"]) == "power#sample"
