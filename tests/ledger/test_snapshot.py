# SPDX-License-Identifier: Apache-2.0
"""Small reads: values, history, lineage."""

from __future__ import annotations

import pytest
from tests.ledger.worlds import T0, at, series, table

from mangrove.errors import LedgerError
from mangrove.ledger import Ledger, Origin


@pytest.fixture(params=["hot", "sealed", "compacted"])
def ledger(tmp_path, request):
    """Three minutes of two flows; then minute 1 of `mill` is corrected by a model."""
    with Ledger.open(tmp_path) as opened:
        opened.append(series("mill", [1, 2, 3]), Origin("file:a.csv", "1"))
        opened.append(series("office", [10, 20]), Origin("file:b.csv", "1", note="bills"))
        if request.param != "hot":
            opened.seal()
        correction = Origin(
            "model:screening", "1", run="estimate", model="screening", version="2", inputs=("ab",)
        )
        opened.append(table([("mill", at(1), 2.5, 7)]), correction)
        if request.param == "compacted":
            opened.seal()
            opened.compact()
        yield opened


def test_values_are_current_sorted_and_in_utc(ledger):
    with ledger.snapshot() as snapshot:
        rows = snapshot.values(["office", "mill", "unknown"], T0, at(2)).to_pylist()
    assert [(r["flow"], r["start"], r["value"], r["quality"], r["batch"]) for r in rows] == [
        ("mill", at(0), 1.0, 0, 1),
        ("mill", at(1), 2.5, 7, 3),
        ("office", at(0), 10.0, 0, 2),
        ("office", at(1), 20.0, 0, 2),
    ]


def test_history_shows_every_version_with_when_and_from_whom(ledger):
    with ledger.snapshot() as snapshot:
        rows = snapshot.history("mill", at(1), at(2)).to_pylist()
    assert [(r["value"], r["source"], r["run"]) for r in rows] == [
        (2.0, "file:a.csv", "measured"),
        (2.5, "model:screening", "estimate"),
    ]
    assert rows[0]["recorded_at"] < rows[1]["recorded_at"]


def test_lineage_names_exactly_the_batches_of_the_current_values(ledger):
    with ledger.snapshot() as snapshot:
        infos = snapshot.lineage(["mill"], T0, at(3))
        assert [(i.batch, i.used, i.model, i.inputs) for i in infos] == [
            (1, 2, "", ()),
            (3, 1, "screening", ("ab",)),
        ]
        assert [i.batch for i in snapshot.lineage(["mill"], at(1), at(2))] == [3]
        assert [i.batch for i in snapshot.lineage(None, T0, at(1))] == [1, 2]
    hashes = ledger.batches().column("hash").to_pylist()
    assert [i.hash for i in infos] == [hashes[0], hashes[2]]


def test_a_snapshot_stays_as_it_was_taken(ledger):
    with ledger.snapshot() as snapshot:
        ledger.append(series("mill", [7, 7, 7]), Origin("file:c.csv", "1"))
        ledger.seal()
        assert snapshot.values(["mill"], T0, at(1)).column("value").to_pylist() == [1.0]
        assert snapshot.cut == 3


def test_an_earlier_cut_knows_neither_later_values_nor_later_flows(ledger):
    with ledger.snapshot(cut=1) as snapshot:
        assert list(snapshot.flow_ids()) == ["mill"]
        assert snapshot.values(["mill", "office"], T0, at(9)).column("value").to_pylist() == [1, 2, 3]
        assert snapshot.connection.execute("select count(*) from batch").fetchone() == (1,)


def test_the_relations_have_the_columns_that_they_promise(ledger):
    with ledger.snapshot() as snapshot:
        for relation, columns in {
            "flow": [("flow", "INTEGER"), ("key", "VARCHAR")],
            "reading": [
                ("flow", "INTEGER"),
                ("start", "TIMESTAMP"),
                ("value", "DOUBLE"),
                ("quality", "UTINYINT"),
                ("batch", "BIGINT"),
            ],
        }.items():
            rows = snapshot.connection.execute(f"describe {relation}").fetchall()
            assert [(name, kind) for name, kind, *_ in rows] == columns


@pytest.mark.parametrize(
    "damage", [lambda body: body[: len(body) // 2], lambda body: b"x" * len(body), lambda _: None]
)
def test_a_damaged_file_is_an_error_in_words_that_names_the_way_on(damage, tmp_path):
    with Ledger.open(tmp_path / ".mangrove") as ledger:
        ledger.append(series("mill", range(50)), Origin("file:m.csv", "1"))
        ledger.seal()
    (path,) = (tmp_path / ".mangrove" / "segments").iterdir()
    body = damage(path.read_bytes())
    path.unlink() if body is None else path.write_bytes(body)
    with (
        Ledger.open(tmp_path / ".mangrove", read_only=True) as ledger,
        pytest.raises(LedgerError) as error,
        ledger.snapshot() as snapshot,
    ):
        snapshot.connection.sql("select sum(value) from reading").fetchall()
    assert error.value.code == "ledger.unreadable"
    assert "mangrove verify" in error.value.text("vi")
