"""The journal of transactions: numbers, repetitions, and what is running."""

from datetime import timedelta

import pytest
from tests.sources.ocpp.rig import NOON

from mangrove.ledger import Ledger
from mangrove.sources.ocpp.journal import End, Journal, Start, energy, micros, record


def test_the_same_start_has_the_same_number_before_and_after_it_is_stored():
    journal = Journal()
    first = journal.begin("CP1", 1, NOON, 5.0, "card")
    assert journal.begin("CP1", 1, NOON, 5.0, "card") == first
    journal.note(first)
    assert journal.begin("CP1", 1, NOON, 5.0, "card") == first
    assert journal.begin("CP1", 2, NOON, 5.0, "card").number != first.number


def test_a_number_that_a_charger_gave_itself_does_not_move_ours(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        record(ledger, Start("CP2", 1, "999999999", micros(NOON), None, "", ours=False))
        record(ledger, Start("CP1", 1, "7", micros(NOON), 1.0, "card"))
        journal = Journal.read(ledger)
    assert journal.begin("CP1", 1, NOON + timedelta(hours=1), 2.0, "card").number == "8"


def test_what_runs_is_the_latest_start_without_an_end_whatever_came_first():
    journal = Journal()
    older, newer = (Start("CP1", 1, str(k), micros(NOON) + k, 0.0, "") for k in (1, 2))
    journal.note(older)
    journal.note(newer)
    assert journal.running("CP1", 1) == newer
    journal.note(End("CP1", "2", micros(NOON) + 9, 5.0))
    assert journal.running("CP1", 1) == older
    assert journal.running("CP1", 2) is None
    journal.note(End("CP1", "3", micros(NOON) + 9, 5.0))
    journal.note(Start("CP1", 1, "3", micros(NOON) + 3, 0.0, ""))  # its end came before
    assert journal.running("CP1", 1) == older


def test_records_that_are_stored_twice_are_one(tmp_path):
    start, end = Start("CP1", 1, "1", micros(NOON), 1.0, "card"), End("CP1", "1", micros(NOON) + 1, 2.0)
    with Ledger.open(tmp_path) as ledger:
        assert record(ledger, start) == record(ledger, start)
        record(ledger, end)
        journal = Journal.read(ledger)
    assert (journal.starts, journal.ends) == ({("CP1", "1"): start}, {("CP1", "1"): end})


@pytest.mark.parametrize(
    ("begin", "end", "modulus", "wh"),
    [
        (1000.0, 8500.0, None, 7500.0),
        (1000.0, 1000.0, None, 0.0),
        (999_900.0, 400.0, None, 500.0),
        (8500.0, 1000.0, None, None),
        (4_294_967_000.0, 204.0, 4_294_967_296.0, 500.0),
        (None, 5.0, None, None),
        (5.0, None, None, None),
    ],
)
def test_energy_between_two_readings_follows_the_rule_of_registers(begin, end, modulus, wh):
    assert energy(begin, end, modulus) == wh
