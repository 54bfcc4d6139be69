# SPDX-License-Identifier: Apache-2.0
"""Verification finds what was changed behind the ledger's back."""

from __future__ import annotations

import hashlib

import pyarrow.parquet as pq
import pytest
from tests.ledger.worlds import series

from mangrove.ledger import Ledger, Origin, catalog


@pytest.fixture
def root(tmp_path):
    root = tmp_path / ".mangrove"
    with Ledger.open(root) as ledger:
        ledger.append(series("mill", [1, 2, 3]), Origin("a", "1", inputs=("x", "y"), note="first"))
        ledger.append(series("mill", [5]), Origin("a", "2"))
        ledger.seal()
        ledger.append(series("office", [7, 8]), Origin("b", "1"))
        ledger.put_record("measurement", b"{}")
    return root


def findings(root):
    with Ledger.open(root, read_only=True) as ledger:
        return {(problem.code, *problem.data.values()) for problem in ledger.verify()}


def change(root, sql, *values):
    db = catalog.writer(root)
    assert db.execute(sql, values).rowcount == 1
    db.close()


def segment(root, part):
    with catalog.reader(root) as db:
        return next(one for one in catalog.parts(db, "segment") if one.part == part)


def test_an_untouched_store_verifies(root):
    assert findings(root) == set()


@pytest.mark.parametrize("place", [4, 100, -5])
def test_one_flipped_byte_in_a_file_is_found(root, place):
    path = segment(root, "base").path
    body = bytearray((root / path).read_bytes())
    body[place] ^= 1
    (root / path).write_bytes(body)
    assert findings(root) == {("ledger.file_changed", path)}


def test_a_missing_file_is_found(root):
    path = segment(root, "late").path
    (root / path).unlink()
    assert findings(root) == {("ledger.file_missing", path)}


def test_a_changed_value_is_found_even_when_the_file_is_listed_with_its_new_hash(root):
    part = segment(root, "base")
    rows = pq.read_table(root / part.path)
    forged = rows.set_column(2, "value", [[1.0, 2.0, 4.0]]).cast(rows.schema)
    pq.write_table(forged, root / part.path)
    sha256 = hashlib.sha256((root / part.path).read_bytes()).hexdigest()
    change(root, "update segment set sha256 = ? where path = ?", sha256, part.path)
    assert findings(root) == {("ledger.content_changed", 1)}


@pytest.mark.parametrize(
    "assignment",
    [
        "recorded_at = recorded_at - 1",
        "source = 'other'",
        "seq = '9'",
        "rows = 4",
        "unchanged = 1",
        "rejected = 1",
        "run = 'plan'",
        "model = 'x'",
        "version = '2'",
        "inputs = '[\"xy\"]'",
        "note = ''",
        "prev = hash",
    ],
)
def test_a_changed_field_of_a_batch_breaks_the_chain_there(root, assignment):
    change(root, f"update batch set {assignment} where id = 1")
    assert ("ledger.chain_broken", 1) in findings(root)


def test_a_removed_batch_breaks_the_chain_after_it(root):
    change(root, "delete from batch where id = 2")
    assert ("ledger.chain_broken", 3) in findings(root)


def test_a_flow_with_another_name_breaks_the_chain(root):
    change(root, "update flow set key = 'pv' where key = 'office'")
    assert findings(root) == {("ledger.chain_broken", 3)}


def test_a_changed_hot_row_is_found(root):
    change(root, "update hot set base = zeroblob(length(base))")
    assert {code for code, *_ in findings(root)} == {"ledger.hot_changed", "ledger.content_changed"}


def test_a_changed_record_is_found(root):
    change(root, "update record set document = x'00'")
    assert {code for code, *_ in findings(root)} == {"ledger.record_changed"}
