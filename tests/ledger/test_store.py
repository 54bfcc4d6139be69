# SPDX-License-Identifier: Apache-2.0
"""The writer: receipts, refusals, quarantine, one writer at a time, readers that leave no trace."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from tests.ledger.worlds import T0, at, series, table

from mangrove.errors import LedgerError, Problem
from mangrove.ledger import Ledger, Origin, Rejected, catalog, sealing, store


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / ".mangrove") as opened:
        yield opened


def origin(seq, source="file:meters.csv"):
    return Origin(source, str(seq))


def refused(ledger):
    return [(row["code"], row["raw"].decode()) for row in ledger.quarantine().to_pylist()]


def test_a_receipt_says_what_was_stored(ledger):
    receipt = ledger.append(series("mill", [1, 2, 3]), origin(1))
    assert (receipt.batch, receipt.rows, receipt.duplicate, receipt.rejected) == (1, 3, False, 0)
    assert abs(receipt.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert ledger.batches().column("hash").to_pylist() == [receipt.hash]


def test_a_batch_that_is_sent_again_changes_nothing_even_after_sealing_and_reopening(ledger):
    first = ledger.append(series("mill", [1, 2, 3]), origin(1))
    ledger.seal()
    ledger.close()
    with Ledger.open(ledger.root) as again:
        second = again.append(series("mill", [9, 9, 9]), origin(1))
        assert second.duplicate
        assert (second.batch, second.hash) == (first.batch, first.hash)
        assert again.batches().num_rows == 1


def test_the_same_batch_twice_in_one_group_is_stored_once(ledger):
    receipts = ledger.append_group(
        [(series("mill", [1]), origin(1), ()), (series("mill", [2]), origin(1), ())]
    )
    assert [r.duplicate for r in receipts] == [False, True]
    assert {r.batch for r in receipts} == {1}


def test_rows_that_say_nothing_new_are_left_out_and_counted(ledger):
    ledger.append(series("mill", [1, 2, 3]), origin(1))
    receipt = ledger.append(series("mill", [1, 2, 4]), origin(2))
    assert (receipt.rows, receipt.unchanged) == (1, 2)


def test_a_value_that_stays_absent_says_nothing_new(ledger):
    ledger.append(table([("mill", T0, None, 9)]), origin(1))
    assert ledger.append(table([("mill", T0, None, 9)]), origin(2)).unchanged == 1


def test_a_poisoned_row_is_quarantined_with_its_reason_and_the_rest_goes_in(ledger):
    rows = [
        ("mill", at(0), 1.0, 0),
        ("mill", at(1), float("inf"), 0),
        ("mill", at(2), None, 0),
        ("mill", at(3), None, 9),
        ("mill", datetime(1969, 12, 31, tzinfo=UTC), 1.0, 0),
        ("mill", datetime.now(UTC) + timedelta(days=4000), 1.0, 0),
        ("mill", at(4), 1.0, 11),
        (None, at(5), 1.0, 0),
        ("mill", None, 1.0, 0),
    ]
    receipt = ledger.append(table(rows), origin(1))
    assert (receipt.rows, receipt.rejected) == (2, 7)
    assert [code for code, _ in refused(ledger)] == [
        "ledger.not_finite",
        "ledger.not_finite",
        "ledger.before_1970",
        "ledger.far_future",
        "ledger.unknown_quality",
        "ledger.no_flow",
        "ledger.no_start",
    ]
    assert refused(ledger)[0][1] == "mill,2024-03-01T00:01:00+00:00,inf,0"


def test_of_two_rows_of_one_batch_with_the_same_start_the_last_counts(ledger):
    receipt = ledger.append(table([("mill", T0, 1.0, 0), ("mill", T0, 2.0, 0)]), origin(1))
    assert (receipt.rows, receipt.rejected) == (1, 1)
    assert refused(ledger) == [("ledger.repeated", "mill,2024-03-01T00:00:00+00:00,1.0,0")]
    with ledger.snapshot() as snapshot:
        assert snapshot.values(["mill"], T0, at(1)).column("value").to_pylist() == [2.0]


def test_rows_that_the_caller_could_not_read_are_kept_with_the_batch(ledger):
    bad = Rejected(b"12;abc", Problem("base.not_a_date", {"text": "abc"}), line=7)
    assert ledger.append(series("mill", [1]), origin(1), rejected=[bad]).rejected == 1
    row = ledger.quarantine().to_pylist()[0]
    assert (row["line"], row["raw"], row["code"]) == (7, b"12;abc", "base.not_a_date")
    assert json.loads(row["data"]) == {"text": "abc"}


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (series("mill", [1]).drop_columns("value"), "ledger.missing_column"),
        (series("mill", [1]).set_column(0, "flow", pa.array([7])), "ledger.wrong_column"),
        (series("mill", [1]).set_column(2, "value", pa.array(["1,5"])), "ledger.wrong_column"),
        (
            series("mill", [1]).set_column(1, "start", pa.array([T0.replace(tzinfo=None)])),
            "ledger.wrong_column",
        ),
    ],
)
def test_a_wrong_column_is_refused_and_nothing_is_stored(ledger, broken, code):
    with pytest.raises(LedgerError) as error:
        ledger.append(broken, origin(1))
    assert error.value.code == code
    assert ledger.batches().num_rows == 0
    assert ledger.append(series("mill", [1]), origin(1)).batch == 1


def test_flows_may_come_as_a_dictionary_with_unused_and_null_keys(ledger):
    column = pa.DictionaryArray.from_arrays(pa.array([2, None], pa.int32()), pa.array(["a", "b", "mill"]))
    rows = table([("x", at(0), 1.0, 0), ("x", at(1), 1.0, 0)]).set_column(0, "flow", column)
    assert ledger.append(rows, origin(1)).rejected == 1
    with ledger.snapshot() as snapshot:
        assert list(snapshot.flow_ids()) == ["mill"]


def test_a_second_writer_is_told_that_the_ledger_is_locked(ledger, monkeypatch):
    monkeypatch.setattr(catalog, "LOCK_PATIENCE", 0.05)
    with pytest.raises(LedgerError) as error:
        Ledger.open(ledger.root)
    assert error.value.code == "ledger.locked"
    ledger.close()
    Ledger.open(ledger.root).close()


def test_reading_creates_no_file_and_needs_no_writer(ledger):
    ledger.append(series("mill", [1, 2]), origin(1))
    ledger.close()
    before = sorted(ledger.root.rglob("*"))
    with Ledger.open(ledger.root, read_only=True) as reading, reading.snapshot() as snapshot:
        assert snapshot.values(["mill"], T0, at(5)).num_rows == 2
        assert reading.verify() == []
        with pytest.raises(LedgerError) as error:
            reading.append(series("mill", [3]), origin(2))
        assert error.value.code == "ledger.read_only"
    assert sorted(ledger.root.rglob("*")) == before


def test_there_is_nothing_to_read_before_the_first_write(tmp_path):
    with pytest.raises(LedgerError) as error:
        Ledger.open(tmp_path / "none", read_only=True)
    assert error.value.code == "ledger.missing"
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_an_unknown_format_is_refused(ledger):
    ledger.close()
    db = catalog.writer(ledger.root)
    db.execute("update meta set value = '99'")
    db.close()
    with pytest.raises(LedgerError) as error:
        Ledger.open(ledger.root)
    assert error.value.code == "ledger.format"


def test_as_of_answers_what_was_known_then(ledger):
    first = ledger.append(series("mill", [1, 2]), origin(1)).recorded_at
    second = ledger.append(series("mill", [5]), origin(2)).recorded_at
    assert second > first
    assert [ledger.cut(first - timedelta(hours=1)), ledger.cut(first), ledger.cut(second), ledger.cut()] == [
        0,
        1,
        2,
        2,
    ]
    with ledger.snapshot(as_of=first) as snapshot:
        assert snapshot.values(["mill"], T0, at(5)).column("value").to_pylist() == [1, 2]


def test_knowledge_never_goes_back_in_time_when_the_clock_does(ledger, monkeypatch):
    first = ledger.append(series("mill", [1]), origin(1)).recorded_at

    class Slow(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2020, 1, 1, tzinfo=tz)

    monkeypatch.setattr(store, "datetime", Slow)
    assert (
        ledger.append(table([("mill", datetime(2019, 1, 1, tzinfo=UTC), 1.0, 0)]), origin(2)).recorded_at
        > first
    )


def test_many_hot_rows_are_sealed_by_the_append_that_makes_them_many(ledger, monkeypatch):
    monkeypatch.setattr(sealing, "SEAL_ROWS", 5)
    ledger.append(series("mill", [1, 2, 3]), origin(1))
    assert list((ledger.root / "segments").iterdir()) == []
    ledger.append(series("mill", [1, 2, 3], first=60), origin(2))
    assert len(list((ledger.root / "segments").iterdir())) == 1
    assert ledger.seal() == 0


def test_an_append_is_acknowledged_even_when_its_seal_fails(ledger, monkeypatch):
    def full(*_):
        raise LedgerError("ledger.disk", reason="test")

    monkeypatch.setattr(sealing, "SEAL_ROWS", 1)
    monkeypatch.setattr(sealing, "seal", full)
    assert ledger.append(series("mill", [1, 2, 3]), origin(1)).rows == 3
    monkeypatch.undo()
    assert ledger.seal() == 3


def test_leftovers_of_an_interrupted_seal_are_swept_by_the_next_writer_only(ledger):
    ledger.append(series("mill", [1, 2]), origin(1))
    ledger.seal()
    ledger.close()
    orphan, torn = (
        ledger.root / "segments" / "2024-01-01.0000.parquet",
        ledger.root / "rollups" / "x.parquet.tmp",
    )
    orphan.write_bytes(b"x")
    torn.write_bytes(b"x")
    Ledger.open(ledger.root, read_only=True).close()
    assert orphan.exists()
    with Ledger.open(ledger.root) as again:
        assert not orphan.exists()
        assert not torn.exists()
        assert again.verify() == []
    assert (ledger.root / "lost" / orphan.name).read_bytes() == b"x"  # whole files are kept aside


def test_values_newer_than_a_restored_catalogue_are_kept_aside(ledger):
    """Somebody puts an older copy of the catalogue back: the segments that it does not know are not deleted."""
    ledger.append(series("mill", [1, 2]), origin(1))
    ledger.seal()
    ledger.close()
    older = (ledger.root / "catalog.db").read_bytes()
    with Ledger.open(ledger.root) as again:
        again.append(series("shop", [3, 4]), origin(2))
        again.seal()
    for name in ("catalog.db-wal", "catalog.db-shm"):
        (ledger.root / name).unlink(missing_ok=True)
    (ledger.root / "catalog.db").write_bytes(older)
    newer = {path.name for path in (ledger.root / "segments").iterdir()}
    with Ledger.open(ledger.root) as restored:
        assert restored.batches().num_rows == 1
        assert restored.verify() == []
    kept = {path.name for folder in ("segments", "lost") for path in (ledger.root / folder).iterdir()}
    assert newer <= kept


def test_replaced_files_stay_for_the_grace_period(ledger, monkeypatch):
    for n in range(3):
        ledger.append(series("mill", [n], first=n), origin(n))
        ledger.seal()
    segments = ledger.root / "segments"
    with ledger.snapshot() as before:
        assert ledger.compact() == 6
        assert len(list(segments.iterdir())) == 4
        assert before.values(["mill"], T0, at(9)).num_rows == 3
    monkeypatch.setattr(store, "GRACE", timedelta(0))
    ledger.append(series("mill", [9], first=9), origin(9))
    ledger.seal()
    assert len(list(segments.iterdir())) == 2


def test_records_are_named_by_their_content(ledger):
    id_ = ledger.put_record("measurement", b"{}", b"payload")
    assert ledger.put_record("measurement", b"{}", b"payload") == id_
    assert ledger.put_record("measurement", b"{", b"}payload") != id_
    assert ledger.record(id_[:8]) == ("measurement", b"{}", b"payload")
    assert id_ in {found for found, _ in ledger.records("measurement")}
    assert ledger.records("other") == []


@pytest.mark.parametrize(("asked", "code"), [("abc", "ledger.not_an_id"), ("0" * 12, "ledger.no_record")])
def test_a_record_that_is_not_there_is_an_error(ledger, asked, code):
    with pytest.raises(LedgerError) as error:
        ledger.record(asked)
    assert error.value.code == code


@pytest.mark.parametrize("empty", [False, True])
def test_without_its_catalogue_a_ledger_is_refused_and_keeps_its_files(empty, ledger):
    ledger.append(series("mill", [1, 2]), origin(1))
    ledger.seal()
    ledger.close()
    for file in ledger.root.glob("catalog.db*"):
        file.unlink()
    if empty:
        (ledger.root / "catalog.db").touch()
    kept = sorted(ledger.root.glob("*/*.parquet"))
    with pytest.raises(LedgerError) as error:
        Ledger.open(ledger.root)
    assert error.value.code == "ledger.no_catalog"
    assert sorted(ledger.root.glob("*/*.parquet")) == kept != []
