# SPDX-License-Identifier: Apache-2.0
"""Sums by bucket: the cases that the random histories of `test_model.py` may miss, each told as a story."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.ledger.worlds import T0, at, series, table

from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.ledger.activity import Question
from mangrove.times import Step

LATE = at(600)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path) as opened:
        yield opened


def sums(ledger, *, cut=None, end=LATE, **question):
    """The same rows by all three plans: (start in minutes, total, n, n_excluded, batch_max)."""
    answers = []
    with ledger.snapshot(cut=cut) as snapshot:
        for plan in ("naive", "raw", "rollup", "auto"):
            view = snapshot.activity(T0, end, plan=plan, view=f"v_{plan}", **question)
            rows = snapshot.connection.execute(
                f"select start, total, n, n_excluded, batch_max from {view} order by start"
            ).fetchall()
            zero = T0.replace(tzinfo=None)
            answers.append([((start - zero) / timedelta(minutes=1), *rest) for start, *rest in rows])
    assert answers[0] == answers[1] == answers[2] == answers[3]
    return answers[0]


def test_an_hour_sealed_in_two_parts_is_one_sum(ledger):
    for n in range(2):
        ledger.append(series("mill", [1] * 30, first=30 * n), Origin("a", str(n)))
        ledger.seal()
    assert sums(ledger) == [(0, 60, 60, 0, 2)]


def test_a_value_and_its_correction_sealed_together_count_once(ledger):
    ledger.append(series("mill", [1, 1]), Origin("a", "1"))
    ledger.append(series("mill", [5]), Origin("a", "2"))
    ledger.seal()
    assert sums(ledger) == [(0, 6, 2, 0, 2)]


def test_a_correction_counts_before_and_after_it_is_sealed_and_compacted(ledger):
    ledger.append(series("mill", [1, 1]), Origin("a", "1"))
    ledger.seal()
    ledger.append(series("mill", [5]), Origin("a", "2"))
    for step in (lambda: None, ledger.seal, ledger.compact):
        step()
        assert sums(ledger) == [(0, 6, 2, 0, 2)]
        assert sums(ledger, cut=1) == [(0, 2, 2, 0, 1)]


def test_values_that_follow_a_correction_add_to_the_corrected_hour(ledger):
    ledger.append(series("mill", [1, 1]), Origin("a", "1"))
    ledger.seal()
    ledger.append(series("mill", [5]), Origin("a", "2"))
    ledger.seal()
    ledger.append(series("mill", [10], first=40), Origin("a", "3"))
    ledger.seal()
    assert sums(ledger) == [(0, 16, 3, 0, 3)]
    assert sums(ledger, cut=2) == [(0, 6, 2, 0, 2)]


def test_an_hour_sealed_at_once_is_still_known_batch_by_batch(ledger):
    for n in range(3):
        ledger.append(series("mill", [1], first=n), Origin("a", str(n)))
    ledger.seal()
    assert [sums(ledger, cut=cut) for cut in range(4)] == [[], *([(0, n, n, 0, n)] for n in (1, 2, 3))]


def test_hours_that_came_later_are_unknown_before_though_one_file_holds_both(ledger):
    ledger.append(series("mill", [1, 1]), Origin("a", "1"))
    ledger.append(series("mill", [1, 1], first=60), Origin("a", "2"))
    ledger.seal()
    assert sums(ledger, cut=1) == [(0, 2, 2, 0, 1)]
    assert sums(ledger) == [(0, 2, 2, 0, 1), (60, 2, 2, 0, 2)]


def test_data_sixty_days_late_is_a_first_arrival_and_needs_no_correction(ledger):
    ledger.append(series("mill", [1, 1], first=86_400), Origin("a", "1"))
    ledger.seal()
    ledger.append(series("mill", [2, 2]), Origin("a", "2"))
    ledger.seal()
    assert {path.name[:10] for path in (ledger.root / "segments").iterdir()} == {"2024-03-01", "2024-04-30"}
    assert sums(ledger) == [(0, 4, 2, 0, 2)]


def test_what_is_not_counted_is_shown_and_not_summed(ledger):
    rows = [
        ("mill", at(0), 4.0, 0),
        ("mill", at(1), 9.0, 2),
        ("mill", at(2), None, 9),
        ("mill", at(70), 3.0, 1),
    ]
    ledger.append(table(rows), Origin("a", "1"))
    ledger.seal()
    assert sums(ledger) == [(0, 4, 1, 1, 1), (60, None, 0, 1, 1)]  # a marker of a missing value is no value


def test_a_bucket_is_split_at_an_edge_inside_it(ledger):
    ledger.append(series("mill", [1] * 120), Origin("a", "1"))
    ledger.seal()
    assert sums(ledger, edges=[at(45)]) == [(0, 45, 45, 0, 1), (45, 15, 15, 0, 1), (60, 60, 60, 0, 1)]
    day = Step.parse("1d")
    assert sums(ledger, edges=[at(60)], bucket=day) == [(0, 60, 60, 0, 1), (60, 60, 60, 0, 1)]
    assert sums(ledger, edges=[at(45), at(60)], bucket=day) == [
        (0, 45, 45, 0, 1),
        (45, 15, 15, 0, 1),
        (60, 60, 60, 0, 1),
    ]


def test_a_window_may_begin_and_end_inside_an_hour(ledger):
    ledger.append(series("mill", [1] * 120), Origin("a", "1"))
    ledger.seal()
    assert sums(ledger, end=at(100)) == [(0, 60, 60, 0, 1), (60, 40, 40, 0, 1)]


def test_quarter_hours_come_from_raw_values(ledger):
    ledger.append(series("mill", [1] * 40), Origin("a", "1"))
    assert sums(ledger, bucket=Step.parse("15min"), edges=[at(20)]) == [
        (0, 15, 15, 0, 1),
        (15, 5, 5, 0, 1),
        (20, 10, 10, 0, 1),
        (30, 10, 10, 0, 1),
    ]


def test_a_compacted_store_needs_no_adding_up(ledger):
    for n in range(3):
        ledger.append(series("mill", [1] * 30, first=30 * n), Origin("a", str(n)))
        ledger.seal()
    ledger.compact()
    assert sums(ledger) == [(0, 60, 60, 0, 2), (60, 30, 30, 0, 3)]


def test_an_empty_ledger_gives_an_empty_view(ledger):
    assert sums(ledger) == []


@pytest.mark.parametrize("bucket", ["7min", "90min", "2d", "1mo"])
def test_a_bucket_that_does_not_fit_the_hours_is_refused(ledger, bucket):
    with ledger.snapshot() as snapshot, pytest.raises(RequestError) as error:
        snapshot.activity(T0, at(60), bucket=Step.parse(bucket))
    assert error.value.code == "ledger.bucket"


def test_wrong_plans_names_and_windows_are_refused(ledger):
    with ledger.snapshot() as snapshot:
        for arguments, code in (
            ({"plan": "magic"}, "ledger.plan"),
            ({"view": "x; drop table flow"}, "ledger.view_name"),
            ({"end": T0}, "ledger.window_reversed"),
        ):
            with pytest.raises(RequestError) as error:
                snapshot.activity(**{"start": T0, "end": at(60), **arguments})
            assert error.value.code == code


def test_labels_are_the_latest_of_bucket_edge_and_window():
    hour = 3_600_000_000
    ask = Question(
        start=hour // 2, end=9 * hour, flow_filter="", edges=(2 * hour,), bucket=3 * 3600, view="v"
    )
    assert [ask.label(i * hour) // (hour // 2) for i in (1, 2, 3, 7)] == [1, 4, 6, 12]
