# SPDX-License-Identifier: Apache-2.0
"""Backups of a territory whose server writes, and what a damaged one is told."""

import sqlite3
import tarfile
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import mangrove as mg
from mangrove.backup import MANIFEST, backup, restore
from mangrove.errors import DataQualityError, LedgerError, RequestError
from mangrove.ledger import Ledger, Origin, files, sealing
from mangrove.testing import steady, two_factory_park, values

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def batch(turn, rows=50):
    return values(steady("mill.power", START + turn * rows * HOUR, HOUR, rows, float(turn)))


@pytest.fixture
def park(tmp_path):
    park = mg.open(two_factory_park(tmp_path / "park"))
    with park.writer() as ledger:
        for turn in range(6):
            ledger.append(batch(turn), Origin("t", str(turn)))
            if turn == 3:
                ledger.seal()
    with closing(sqlite3.connect(park.store / "access.db")) as db:
        db.executescript(
            "pragma journal_mode = wal; create table users (name); insert into users values ('Lan');"
        )
    return park


@pytest.fixture
def saved(park, tmp_path):
    backup(park.territory.path, tmp_path / "b.tar")
    return tmp_path / "b.tar"


def stored(folder):
    with Ledger.open(folder / ".mangrove", read_only=True) as ledger:
        assert ledger.verify() == []
        with ledger.snapshot() as snapshot:
            rows = snapshot.values(["mill.power"], START, START + timedelta(days=3650))
        return ledger.cut(), rows.num_rows, ledger.batches().column("hash").to_pylist()


def test_a_backup_comes_back_as_it_was(park, saved, tmp_path):
    found = restore(saved, tmp_path / "back")
    assert stored(tmp_path / "back") == stored(park.territory.path)
    assert found.batch == 6
    assert mg.open(tmp_path / "back").territory.content_hash == park.territory.content_hash
    with closing(sqlite3.connect(tmp_path / "back" / ".mangrove" / "access.db")) as db:
        assert db.execute("select name from users").fetchall() == [("Lan",)]
    with mg.open(tmp_path / "back").writer() as ledger:
        assert ledger.append(batch(5), Origin("t", "5")).duplicate
        assert ledger.append(batch(6), Origin("t", "6")).batch == 7


def test_a_backup_is_for_its_owner_only_and_replaces_nothing(park, saved, tmp_path):
    assert saved.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RequestError, match="exists already"):
        backup(park.territory.path, saved)
    with pytest.raises(RequestError, match="territory"):
        backup(tmp_path / "nothing", tmp_path / "c.tar")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_backups_made_while_a_writer_appends_and_seals_hold_whole_batches(park, tmp_path, monkeypatch):
    monkeypatch.setattr(sealing, "SEAL_COMMITS", 5)
    acknowledged, stop = [], threading.Event()

    def write():
        with park.writer() as ledger:
            for turn in range(6, 400):
                acknowledged.append(ledger.append(batch(turn), Origin("t", str(turn))).batch)
                if turn % 20 == 0:
                    ledger.compact()
                if stop.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    counts = []
    for number in range(5):
        before = acknowledged[-1] if acknowledged else 6
        target = tmp_path / f"b{number}.tar"
        backup(park.territory.path, target)
        restore(target, tmp_path / f"back{number}")
        cut, rows, _ = stored(tmp_path / f"back{number}")
        assert cut >= before
        assert rows == 50 * cut
        counts.append(cut)
    stop.set()
    writer.join()
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_a_backup_that_ends_too_early_is_named(saved, tmp_path):
    whole = saved.read_bytes()
    with tarfile.open(saved) as tar:
        ends = [member.offset_data + member.size for member in tar]
    for size in (0, 100, 700, ends[0] - 3, ends[1] - 5, ends[1] + 100, ends[-2] + 600, len(whole) // 2):
        saved.write_bytes(whole[:size])
        with pytest.raises(DataQualityError) as error:
            restore(saved, tmp_path / "back")
        assert error.value.code in {"keeping.truncated", "keeping.not_a_backup", "keeping.missing"}, size
        assert not (tmp_path / "back").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "park"]


def test_a_flipped_bit_in_any_file_is_named(saved, tmp_path):
    whole = saved.read_bytes()
    with tarfile.open(saved) as tar:
        members = [member for member in tar if member.size and member.name != MANIFEST]
    for member in members:
        changed = bytearray(whole)
        changed[member.offset_data + member.size // 2] ^= 1
        saved.write_bytes(changed)
        with pytest.raises(DataQualityError) as error:
            restore(saved, tmp_path / "back")
        assert error.value.code == "keeping.changed"
        assert member.name in error.value.text()
    assert not (tmp_path / "back").exists()


def rewritten(source, change):
    """The backup with its members changed by `change(name, data)`; None leaves one out."""
    with tarfile.open(source) as tar:
        kept = [(member, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(source, "w") as tar:
        for member, data in kept:
            for name, body in change(member.name, data) or ():
                member.name, member.size = name, len(body)
                import io

                tar.addfile(member, io.BytesIO(body))


def test_a_missing_a_strange_and_a_straying_member_are_named(saved, tmp_path):
    whole = saved.read_bytes()
    rewritten(saved, lambda name, data: None if name.endswith("access.db") else [(name, data)])
    with pytest.raises(DataQualityError, match=r"lacks \.mangrove/access\.db"):
        restore(saved, tmp_path / "back")
    saved.write_bytes(whole)
    rewritten(
        saved,
        lambda name, data: [(name, data), ("more.txt", b"x")] if name == "flows.csv" else [(name, data)],
    )
    with pytest.raises(DataQualityError, match=r"holds more\.txt"):
        restore(saved, tmp_path / "back")
    saved.write_bytes(whole)
    rewritten(
        saved,
        lambda name, data: (
            [(name, data.replace(b'"flows.csv"', b'"../flows.csv"'))] if name == MANIFEST else [(name, data)]
        ),
    )
    with pytest.raises(DataQualityError) as error:
        restore(saved, tmp_path / "back")
    assert error.value.code == "keeping.not_a_backup"
    saved.write_bytes(whole)
    rewritten(
        saved,
        lambda name, data: (
            [(name, data.replace(b'"format": "1"', b'"format": "9"'))] if name == MANIFEST else [(name, data)]
        ),
    )
    with pytest.raises(DataQualityError, match="format 9"):
        restore(saved, tmp_path / "back")
    assert not (tmp_path / "flows.csv").exists()


def test_a_backup_is_restored_into_an_empty_folder_only(saved, tmp_path):
    (tmp_path / "back").mkdir()
    restore(saved, tmp_path / "back")
    with pytest.raises(RequestError, match="not empty"):
        restore(saved, tmp_path / "back")


def test_a_ledger_that_was_changed_before_the_backup_is_not_restored_silently(park, tmp_path):
    with closing(sqlite3.connect(park.store / "catalog.db")) as db:
        db.execute("update batch set rows = rows + 1 where id = 2")
        db.commit()
    backup(park.territory.path, tmp_path / "b.tar")
    with pytest.raises(DataQualityError, match="batch 2"):
        restore(tmp_path / "b.tar", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_damaged_segment_stops_the_backup(park, tmp_path):
    segment = next((park.store / files.SEGMENTS).iterdir())
    body = bytearray(segment.read_bytes())
    body[len(body) // 2] ^= 1
    segment.write_bytes(body)
    with pytest.raises(LedgerError, match="changed or removed"):
        backup(park.territory.path, tmp_path / "b.tar")
    segment.unlink()
    with pytest.raises(LedgerError, match="changed or removed"):
        backup(park.territory.path, tmp_path / "b.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["park"]


def test_a_territory_without_a_ledger_is_saved_too(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    assert backup(folder, tmp_path / "b.tar").batch == 0
    restore(tmp_path / "b.tar", tmp_path / "back")
    assert mg.open(tmp_path / "back").territory.name == mg.open(folder).territory.name
    assert not Path(tmp_path / "back" / ".mangrove" / "catalog.db").exists()


def test_files_that_come_and_go_meanwhile_do_not_stop_a_backup(park, tmp_path, monkeypatch):
    from mangrove import backup as module

    inbox = park.territory.path / "inbox"
    inbox.mkdir()
    (inbox / "going.txt").write_text("a")
    (inbox / "growing.txt").write_text("a")
    digest = module.replica.digest

    def while_it_changes(path):
        found = digest(path)
        (inbox / "growing.txt").write_text("changed and longer")
        return found

    listed = list(module._declared(park.territory.path))
    monkeypatch.setattr(module, "_declared", lambda _: listed)
    monkeypatch.setattr(module.replica, "digest", while_it_changes)
    (inbox / "going.txt").unlink()
    backup(park.territory.path, tmp_path / "b.tar")
    monkeypatch.undo()
    restore(tmp_path / "b.tar", tmp_path / "back")
    assert [path.name for path in (tmp_path / "back" / "inbox").iterdir()] == ["growing.txt"]
