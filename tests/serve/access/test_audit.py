# SPDX-License-Identifier: Apache-2.0
"""The log: what stands in it, that it refuses changes, and that every kind of tampering is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from pathlib import Path

import pytest
from tests.serve.access.conftest import PASSWORD, ROOT, user

from mangrove.serve.access import audit
from mangrove.serve.access.audit import SYSTEM, Head
from mangrove.serve.access.problems import AccessError


@pytest.fixture
def log(accounts, clock) -> audit.Audit:
    for number in range(10):
        clock.move(seconds=1)
        accounts.audit.record("reading.corrected", ROOT, {"flow": f"mill.power{number}", "ghi chú": "Hoà"})
    return accounts.audit


def tamper(folder: Path, *statements: str) -> None:
    """What somebody with the file can do: the protection goes first."""
    db = sqlite3.connect(folder / ".mangrove" / "access.db")
    for name in ("audit_no_update", "audit_no_delete", "audit_next"):
        db.execute(f"DROP TRIGGER IF EXISTS {name}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def codes(folder: Path, head: Head | None = None) -> list[tuple[str, int]]:
    return [(p.code.removeprefix("access."), p.data["id"]) for p in audit.verify(folder, head)]


def test_a_hash_covers_every_field_with_its_length(log):
    record = log.show(last=1)[0]
    digest = hashlib.sha256()  # computed again from the words of the definition
    for field in (record.prev, str(record.id), str(record.stamp), record.who, record.action, record.detail):
        digest.update(len(field.encode()).to_bytes(8, "little") + field.encode())
    assert digest.hexdigest() == record.hash
    assert json.loads(record.detail) == {"flow": "mill.power9", "ghi chú": "Hoà"}
    assert log.show(last=2)[1].hash == record.prev


def test_the_chain_begins_at_the_genesis(accounts):
    assert accounts.audit.head() == Head(0, "0" * 64)
    assert accounts.audit.record("server.started", SYSTEM).prev == "0" * 64


def test_a_whole_chain_has_no_findings_also_while_the_server_writes(folder, log):
    assert audit.verify(folder) == []
    assert audit.verify(folder, log.head()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'x' WHERE id = 3",
        "DELETE FROM audit WHERE id = 3",
        "INSERT OR REPLACE INTO audit SELECT 3, at, 'x', action, detail, prev, hash FROM audit WHERE id = 3",
        "INSERT INTO audit SELECT 99, at, who, action, detail, prev, hash FROM audit WHERE id = 3",
        "REPLACE INTO audit (id, at, who, action, detail, prev, hash) VALUES (1, 0, '', '', '', '', '')",
    ],
)
def test_the_database_itself_refuses_to_change_a_record(folder, log, statement):
    db = sqlite3.connect(folder / ".mangrove" / "access.db")
    with pytest.raises(sqlite3.IntegrityError, match="append only"):
        db.execute(statement)
    db.close()
    assert audit.verify(folder) == []


@pytest.mark.parametrize(
    "column", ["at = at + 1", "who = 'u9 ' || who", "action = 'user.login'", "detail = '{}'", "hash = prev"]
)
def test_a_changed_record_is_named(folder, log, column):
    tamper(folder, f"UPDATE audit SET {column} WHERE id = 4")
    assert codes(folder)[0] == ("audit_changed", 4)


def test_a_record_whose_hash_was_made_anew_breaks_the_next_link(folder, log):
    changed = audit.Record(*_row(log, 4)[:4], detail="{}", prev=_row(log, 4)[5], hash="")
    tamper(folder, f"UPDATE audit SET detail = '{{}}', hash = '{changed.seal}' WHERE id = 4")
    assert codes(folder) == [("audit_moved", 5)]


def test_a_record_taken_out_is_missed(folder, log):
    tamper(folder, "DELETE FROM audit WHERE id = 4")
    assert codes(folder) == [("audit_gap", 4)]
    problem = audit.verify(folder)[0]
    assert problem.data["found"] == 5
    assert problem.text("vi") == "thiếu bản ghi 4; ở chỗ đó là 5"


def test_the_first_record_taken_out_is_missed(folder, log):
    tamper(folder, "DELETE FROM audit WHERE id = 1")
    assert codes(folder) == [("audit_gap", 1)]


def test_records_in_another_order_are_found(folder, log):
    tamper(
        folder,
        "UPDATE audit SET id = 99 WHERE id = 4",
        "UPDATE audit SET id = 4 WHERE id = 5",
        "UPDATE audit SET id = 5 WHERE id = 99",
    )
    assert codes(folder) == [("audit_changed", 4)]


def test_the_last_record_cut_off_is_found_by_a_head_that_was_kept(folder, log):
    kept = Head.parse(str(log.head()))
    tamper(folder, f"DELETE FROM audit WHERE id = {kept.id}")
    assert codes(folder) == [], "the chain that is left is whole"
    assert codes(folder, kept) == [("audit_cut", kept.id)]


def test_a_log_written_anew_is_found_by_a_head_that_was_kept(folder, log, accounts):
    kept = log.head()
    tamper(folder, "DELETE FROM audit")
    for _ in range(kept.id + 3):
        accounts.audit.record("user.login", ROOT)
    assert codes(folder) == []
    assert codes(folder, kept) == [("audit_other", kept.id)]


def test_later_records_do_not_make_an_older_head_wrong(folder, log):
    kept = log.head()
    log.record("user.login", ROOT)
    assert audit.verify(folder, kept) == []


def test_many_threads_make_one_chain(accounts):
    def write() -> None:
        for _ in range(20):
            accounts.audit.record("user.login", ROOT)

    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert accounts.audit.head().id == 100
    assert accounts.audit.verify() == []


def test_a_change_and_its_record_stand_together_or_not_at_all(accounts, monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(accounts.audit, "record", fails)
    for change in (
        lambda: accounts.users.add("An", "operator", by=ROOT),
        lambda: accounts.keys.add("k", "operator", by=ROOT),
    ):
        with pytest.raises(RuntimeError):
            change()
    assert accounts.users.all() == []
    assert accounts.keys.all() == []


def test_who_did_what_is_written_down(accounts, admin, serve, browse):
    app, _ = serve()
    accounts.audit.started(declaration="d1", rules="r1")
    tenant = user(accounts, "An", "tenant", "mill")
    browser = browse(app)
    browser.sign_in("An", "wrong password")
    browser.sign_in("An", PASSWORD)
    browser.post("/logout", {"csrf": browser.token("/account")})
    key, _ = accounts.keys.add("k", "operator", by=admin)
    accounts.keys.revoke(key.id, by=admin)
    accounts.keys.revoke(key.id, by=admin)  # nothing changes, nothing is written
    accounts.users.change(int(tenant.id[1:]), by=admin, disabled=True)
    accounts.audit.stopped()
    found = [(record.action, record.who.partition(" ")[0]) for record in reversed(accounts.audit.show())]
    u = tenant.id
    assert found[-9:] == [
        ("user.added", "u0"), ("user.password", "u0"), ("user.login_failed", u), ("user.login", u), ("user.logout", u),
        ("key.added", admin.id), ("key.revoked", admin.id), ("user.changed", admin.id), ("server.stopped", "system"),
    ]  # fmt: skip
    assert not any(PASSWORD in record.detail for record in accounts.audit.show())


def test_a_changed_declaration_and_changed_rules_are_noticed_at_the_start(accounts):
    assert accounts.audit.started(declaration="d1", rules="r1", version="1") == []
    assert accounts.audit.started(declaration="d1", rules="r1", version="1") == []
    assert accounts.audit.started(declaration="d2", rules="r1", version="1") == ["declaration.changed"]
    assert accounts.audit.started(declaration="d3", rules="r2", version="1") == [
        "declaration.changed",
        "rules.changed",
    ]
    (latest, *_) = accounts.audit.show(action="declaration.changed")
    assert latest.data == {"before": "d2", "after": "d3"}
    assert accounts.audit.verify() == []


@pytest.mark.parametrize("text", ["", "12", "x" * 66, "1 " + "g" * 64, f"-1 {'0' * 64}", f"1 {'0' * 63}"])
def test_a_head_that_is_none_is_refused(text):
    with pytest.raises(AccessError) as caught:
        Head.parse(text)
    assert caught.value.code == "access.not_a_head"


def test_an_action_has_a_name(accounts):
    with pytest.raises(AccessError):
        accounts.audit.record("User logged in", ROOT)


def test_a_folder_without_accounts_is_told_so(tmp_path):
    with pytest.raises(AccessError) as caught:
        audit.verify(tmp_path)
    assert caught.value.code == "access.no_store"
    assert not (tmp_path / ".mangrove").exists()


def _row(log: audit.Audit, id_: int) -> tuple:
    record = next(one for one in log.show() if one.id == id_)
    return (record.id, record.stamp, record.who, record.action, record.detail, record.prev, record.hash)
