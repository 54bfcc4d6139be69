"""The live state: one cut for all readers, answers computed once, never stored."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.serve import state
from mangrove.serve.clock import Clock
from mangrove.serve.state import Kept, Live
from mangrove.testing import two_factory_park, values

START = datetime(2023, 6, 1, tzinfo=UTC)


def append(park, seq, amount=1.0):
    with park.writer() as ledger:
        rows = [("mill.power", START + timedelta(hours=i), amount) for i in range(3)]
        ledger.append(values(rows), Origin("file:a", str(seq)))


@pytest.fixture
def park(tmp_path):
    return mg.open(two_factory_park(tmp_path / "park"))


def test_an_answer_is_computed_once_for_all_who_ask_at_the_same_time():
    kept, made, gate = Kept(), [], threading.Barrier(8)

    def ask():
        gate.wait()
        assert kept.get("question", lambda: made.append(1) or "answer") == "answer"

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_an_answer_that_failed_is_asked_for_again():
    kept = Kept()
    with pytest.raises(ZeroDivisionError):
        kept.get("question", lambda: 1 / 0)
    assert kept.get("question", lambda: "answer") == "answer"


def test_what_was_asked_for_longest_ago_goes_first():
    kept = Kept(most=2)
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda key=key: key)
    assert kept.get("a", lambda: "new") == "a"
    assert kept.get("b", lambda: "new") == "new"


def test_readers_look_at_one_cut_until_it_moves(park, monkeypatch):
    append(park, 1)
    live = Live(park, Clock(START, 0))
    first = live.measure("2023-06")
    append(park, 2, 5.0)
    assert live.measure("2023-06") is first
    monkeypatch.setattr(state, "REFRESH", 0.0)
    monkeypatch.setattr(state, "EASE", 0.0)
    second = live.measure("2023-06")
    assert second.total()["co2e_kg"] == pytest.approx(5 * first.total()["co2e_kg"])


def test_looking_stores_nothing(park):
    append(park, 1)
    live = Live(park, Clock(START, 0))
    live.measure("2023-06", by=("place",)).to_arrow()
    assert mg.records(park) == []


def test_a_park_without_a_ledger_has_no_cut(park):
    assert Live(park).cut() == 0


def test_a_clock_that_runs_faster_begins_where_it_was_told():
    clock = Clock(START, speed=3600)
    assert clock.replays
    assert timedelta(0) <= clock.now() - START < timedelta(days=2)
    assert not Clock().replays
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(minutes=1)
