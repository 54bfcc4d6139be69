# SPDX-License-Identifier: Apache-2.0
"""Users, their names, their passwords and what happens after wrong ones."""

from __future__ import annotations

import sqlite3
import stat
import threading
import unicodedata
from datetime import timedelta

import pytest
from tests.serve.access.conftest import ADMIN, PASSWORD, ROOT, user

from mangrove.serve.access import limits, passwords
from mangrove.serve.access.accounts import Accounts
from mangrove.serve.access.passwords import Hasher
from mangrove.serve.access.problems import AccessError, DeniedError
from mangrove.serve.access.store import MIGRATIONS
from mangrove.serve.scope import Principal


class refused:  # noqa: N801 - reads as a sentence
    """The block raises this error, and says so in both languages."""

    def __init__(self, code: str) -> None:
        self.code = f"access.{code}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> bool:
        assert isinstance(error, AccessError), f"{self.code} was not raised"
        assert error.code == self.code
        assert error.text("vi") != error.text("en")
        return True


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_belongs_to_its_owner_and_syncs_every_commit(accounts):
    assert stat.S_IMODE(accounts.store.path.stat().st_mode) == 0o600
    for name, value in (
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("user_version", 1),
    ):
        assert accounts.store.row(f"PRAGMA {name}") == (value,)
    for side in ("-wal", "-shm"):
        path = accounts.store.path.with_name(accounts.store.path.name + side)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_secret_stands_in_the_file(folder, accounts, admin):
    link = accounts.links.make("reset", accounts.users.find(ADMIN), by=admin).rpartition("/")[2]
    _, key = accounts.keys.add("k", "device", device="gate-1", by=admin)
    session = accounts.sessions.open(accounts.users.find(ADMIN))
    accounts.store.row("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = accounts.store.path.read_bytes()
    for secret in (link, key, session, PASSWORD):
        assert secret.encode() not in kept


def test_a_file_of_a_newer_version_is_left_alone(folder, clock):
    Accounts(folder, clock).close()
    path = folder / ".mangrove" / "access.db"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with refused("newer_store"):
        Accounts(folder, clock)


def test_a_file_that_is_no_database_is_named(folder, clock):
    (folder / ".mangrove").mkdir()
    (folder / ".mangrove" / "access.db").write_bytes(b"not a database at all" * 100)
    with refused("bad_store"):
        Accounts(folder, clock)


def test_two_processes_share_one_file(folder, clock, accounts, admin):
    with Accounts(folder, clock, hasher=Hasher(passes=1, memory=32)) as shell:
        shell.users.add("Từ dòng lệnh", "operator", by=ROOT)
        accounts.users.add("Từ trang", "operator", by=admin)
        assert [u.name for u in shell.users.all()] == [ADMIN, "Từ dòng lệnh", "Từ trang"]
        assert shell.audit.verify() == []


# --- the first administrator -----------------------------------------------------------------------------------------


def test_the_first_administrator_comes_through_a_link_that_works_once(accounts, clock):
    token = accounts.first_link().rpartition("/")[2]
    assert len(token) >= 43  # 256 bits in base64url
    made = accounts.links.use(token, "An", PASSWORD)
    assert (made.role, made.place) == ("admin", "")
    with refused("bad_link"):
        accounts.links.use(token, "Bình", PASSWORD)
    assert accounts.first_link() == ""
    assert [u.name for u in accounts.users.all()] == ["An"]


def test_a_new_first_link_replaces_the_one_before_and_ends_after_a_day(accounts, clock):
    old, new = (accounts.first_link().rpartition("/")[2] for _ in range(2))
    with refused("bad_link"):
        accounts.links.find(old)
    clock.move(hours=23, minutes=59)
    assert accounts.links.find(new).purpose == "first"
    clock.move(minutes=1)
    with refused("bad_link"):
        accounts.links.use(new, "An", PASSWORD)


def test_no_account_exists_before_somebody_makes_one(accounts):
    assert accounts.users.all() == []
    assert accounts.keys.all() == []
    for name in ("admin", "root", "mangrove", ""):
        with refused("wrong"):
            accounts.users.attempt(name, "admin")


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_vietnamese_name_is_the_same_however_it_is_typed(accounts, admin):
    assert accounts.users.find(ADMIN).name == unicodedata.normalize("NFC", ADMIN)
    for typed in (
        unicodedata.normalize("NFD", ADMIN),
        ADMIN.replace("Hoà", "Hòa"),
        ADMIN.upper(),
        f"  {ADMIN.replace(' ', '   ')} ",
        unicodedata.normalize("NFD", ADMIN.replace("Hoà", "HÒA")),
    ):
        assert accounts.users.attempt(typed, PASSWORD).name == ADMIN
        with refused("name_taken"):
            accounts.users.add(typed, "operator", by=admin)
    assert accounts.users.add("Nguyễn Thị Hoa", "operator", by=admin).name == "Nguyễn Thị Hoa", (
        "another tone, another name"
    )


@pytest.mark.parametrize("name", ["", "   ", "a" * 65, "An\u202eimda", "An\u200b", "\x00"])
def test_a_name_that_cannot_be_seen_is_refused(accounts, name):
    with refused("bad_name"):
        accounts.users.add(name, "operator", by=ROOT)


def test_users_are_sorted_as_a_vietnamese_dictionary_does(accounts):
    for name in ("Đống Đa", "Ấp Bắc", "Dĩ An"):
        accounts.users.add(name, "operator", by=ROOT)
    assert [u.name for u in accounts.users.all()] == ["Ấp Bắc", "Dĩ An", "Đống Đa"]


# --- roles -----------------------------------------------------------------------------------------------------------


def test_a_role_goes_with_the_place_that_it_needs(accounts):
    for role, place, code in (
        ("tenant", "", "place_needed"),
        ("admin", "mill", "place_refused"),
        ("device", "", "bad_role"),
        ("chief", "", "bad_role"),
    ):
        with refused(code):
            accounts.users.add("An", role, place, by=ROOT)
    for role, place, device, code in (
        ("device", "", "", "device_needed"),
        ("tenant", "mill", "gate-1", "device_refused"),
        ("tenant", "", "", "place_needed"),
    ):
        with refused(code):
            accounts.keys.add("k", role, place, device=device, by=ROOT)


def test_the_last_administrator_stays(accounts, admin):
    id_ = int(admin.id[1:])
    for change in ({"disabled": True}, {"role": "operator"}):
        with refused("last_admin"):
            accounts.users.change(id_, by=admin, **change)
    assert accounts.users.get(id_).role == "admin"
    assert not accounts.users.get(id_).disabled
    user(accounts, "Trần Văn Bình", "admin")
    assert accounts.users.change(id_, by=admin, disabled=True).disabled


def test_whoever_waits_for_an_invitation_does_not_count_as_an_administrator(accounts, admin):
    accounts.users.add("Trần Văn Bình", "admin", by=admin)
    with refused("last_admin"):
        accounts.users.change(int(admin.id[1:]), by=admin, disabled=True)


def test_a_long_connection_ends_with_what_it_was_allowed(accounts, admin, clock):
    tenant = user(accounts, "An", "tenant", "mill")
    key, _ = accounts.keys.add("k", "operator", by=ROOT)
    assert accounts.alive(tenant)
    assert accounts.alive(key.principal)
    accounts.users.change(int(tenant.id[1:]), by=admin, place="shop")
    accounts.keys.revoke(key.id, by=admin)
    assert not accounts.alive(tenant)
    assert not accounts.alive(key.principal)
    assert not accounts.alive(Principal("u999", "x", "user", "admin"))


# --- passwords -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("elevenchars", "password_short"),
        ("mật khẩu ạ", "password_short"),
        ("a" * 257, "password_long"),
        ("aaaaaaaaaaaa", "password_common"),
        ("abcabcabcabc", "password_common"),
        ("123456789012", "password_common"),
        ("qwertyuiopasd", "password_common"),
        ("Password123!", "password_common"),
        ("Mật khẩu 2026!!", "password_common"),
        ("mangrove1234", "password_common"),
        ("Nguyễn Thị Hoà 1990", "password_name"),
        ("NGUYEN THI HOA", "password_name"),
        ("khu cong nghiep thu nghiem", "password_name"),
    ],
)
def test_a_password_that_anybody_would_try_is_refused(password, code):
    with refused(code):
        passwords.check(password, names=(ADMIN, "Khu công nghiệp Thử Nghiệm"))


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "một hai ba bốn năm",
        "twelve chars",
        "839201746283",
        "🌱🌳🌴🎋🌾🌿☘🍀🍁🍂🍃🌲",
        "x9" + "kq vz tm rw" * 20,
    ],
)
def test_any_kind_of_characters_will_do(password):
    passwords.check(password, names=(ADMIN,))


def test_a_password_is_the_same_however_its_accents_are_typed(accounts):
    principal = user(accounts, "An", "operator", password=unicodedata.normalize("NFD", "một hai ba bốn năm"))
    assert (
        accounts.users.attempt("An", unicodedata.normalize("NFC", "một hai ba bốn năm")).principal
        == principal
    )


def test_the_hash_is_argon2id_with_the_costs_of_rfc_9106():
    kept = Hasher().hash(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Hasher().verify(PASSWORD, kept) == (True, None)
    assert Hasher().verify(PASSWORD + " ", kept)[0] is False


def test_a_hash_with_old_costs_is_renewed_at_the_next_sign_in(folder, clock, accounts, admin):
    before = accounts.store.row("SELECT hash FROM users")
    with Accounts(folder, clock, hasher=Hasher(passes=2, memory=64)) as dearer:
        dearer.users.attempt(ADMIN, PASSWORD)
    (after,) = accounts.store.row("SELECT hash FROM users")
    assert "m=64,t=2" in after
    assert before != (after,)


def test_a_name_without_an_account_costs_a_hash_too(accounts, monkeypatch):
    looked = []
    monkeypatch.setattr(
        accounts.users.hasher, "verify", lambda password, kept: (looked.append(kept), (False, None))[1]
    )
    with refused("wrong"):
        accounts.users.attempt("nobody", "x")
    assert looked == [None], "the hasher compares with the hash of nobody, which takes as long"
    for typed in ("x", "the hash of nobody's password"):
        assert Hasher(passes=1, memory=32).verify(typed, None) == (False, None)


# --- too many tries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [ADMIN, "nobody at all"])
def test_wrong_passwords_delay_and_then_lock_also_for_the_right_one(accounts, admin, clock, name):
    for tries in range(1, limits.MOST_TRIES + 1):
        with refused("wrong"):
            accounts.users.attempt(name, "wrong password")
        wait = limits.delay(tries)
        if wait:
            clock.move(seconds=wait.total_seconds() - 0.5)
            with refused("locked"):
                accounts.users.attempt(name, PASSWORD)  # too early, and not counted
        clock.move(seconds=0.5 if tries < limits.MOST_TRIES else -800)
    with pytest.raises(DeniedError) as caught:
        accounts.users.attempt(name, PASSWORD)
    assert caught.value.status == 429
    assert caught.value.headers["Retry-After"] == "801"
    clock.move(minutes=15)
    if name == ADMIN:
        assert accounts.users.attempt(name, PASSWORD).name == ADMIN
        with refused("wrong"):
            accounts.users.attempt(name, "wrong")  # counted from the beginning
        assert accounts.users.attempt(name, PASSWORD).name == ADMIN
    else:
        with refused("wrong"):
            accounts.users.attempt(name, PASSWORD)


def test_delays_grow_to_a_quarter_of_an_hour():
    seconds = [limits.delay(n).total_seconds() for n in range(1, 12)]
    assert seconds == [0, 0, 0, 1, 2, 4, 8, 16, 32, 900, 900]
    assert limits.MOST_TRIES <= 100  # SP 800-63B: no more than 100 in a row
    assert limits.delay(10) == timedelta(minutes=15)


def test_tries_at_the_same_moment_are_all_counted(accounts, admin, monkeypatch):
    looked = []

    def slow(password: str, kept: str | None) -> tuple[bool, None]:
        looked.append(password)
        barrier.wait(timeout=5)
        return False, None

    barrier = threading.Barrier(limits.FREE_TRIES + 1)
    monkeypatch.setattr(accounts.users.hasher, "verify", slow)
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            accounts.users.attempt(ADMIN, "x")
        except DeniedError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == limits.FREE_TRIES + 1, "the next one has to wait for a second"
    assert outcomes.count("access.locked") == 20 - len(looked)


def test_a_file_that_another_process_holds_is_told_and_nothing_is_written(folder, accounts, admin):
    accounts.store.row("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(accounts.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with refused("store_refuses"):
        accounts.users.add("An", "operator", by=admin)
    other.execute("ROLLBACK")
    other.close()
    assert accounts.users.add("An", "operator", by=admin).name == "An"
    assert accounts.audit.verify() == []


def test_the_right_password_of_a_disabled_user_is_wrong(accounts, admin):
    principal = user(accounts, "An", "operator")
    accounts.users.change(int(principal.id[1:]), by=admin, disabled=True)
    with refused("wrong"):
        accounts.users.attempt("An", PASSWORD)
    accounts.users.change(int(principal.id[1:]), by=admin, disabled=False)
    assert accounts.users.attempt("An", PASSWORD).principal == principal


def test_an_administrator_unlocks_with_a_new_link(accounts, admin, clock):
    principal = user(accounts, "An", "operator")
    for _ in range(30):
        try:
            accounts.users.attempt("An", "wrong")
        except DeniedError as error:
            clock.move(seconds=min(int(error.headers.get("Retry-After", 0)), 899))
    token = accounts.links.make("reset", accounts.users.find("An"), by=admin).rpartition("/")[2]
    accounts.links.use(token, "", "another long password")
    assert accounts.users.attempt("An", "another long password").principal == principal


def test_ten_thousand_failed_sign_ins_grow_no_memory(accounts, monkeypatch):
    monkeypatch.setattr(accounts.users.hasher, "verify", lambda *_: (False, None))
    monkeypatch.setattr(accounts.audit, "record", lambda *_: None)
    accounts.users.unknown = limits.Tries(most=1_000)
    buckets = limits.Buckets(1, 10, most=1_000)
    for number in range(10_000):
        buckets.take(f"192.0.2.{number}")
        with pytest.raises(DeniedError):
            accounts.users.attempt(f"name {number}", "x")
    assert len(accounts.users.unknown) == 1_000
    assert len(buckets) == 1_000


def test_what_is_typed_as_an_unknown_name_is_not_written_down(accounts):
    with refused("wrong"):
        accounts.users.attempt("my secret password by mistake", "x", address="192.0.2.1")
    (record,) = accounts.audit.show(action="user.login_failed")
    assert "secret" not in record.who + record.detail
    assert record.data == {"address": "192.0.2.1", "tries": 1}


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_has_256_random_bits_and_only_its_hash_is_kept(accounts):
    key, secret = accounts.keys.add("k", "operator", by=ROOT)
    assert secret.startswith("mg_")
    assert len(secret) == 3 + 43
    assert key.prefix == secret[:8]
    row = accounts.store.row("SELECT * FROM keys")
    assert secret not in map(str, row)
    assert len({accounts.keys.add("k", "operator", by=ROOT)[1] for _ in range(20)}) == 20


def test_the_time_of_last_use_is_written_once_a_minute(accounts, clock):
    key, secret = accounts.keys.add("k", "operator", by=ROOT)
    seen = []
    for seconds in (0, 30, 31):
        clock.move(seconds=seconds)
        accounts.keys.find(secret)
        seen.append(accounts.keys.get(key.id).last_used)
    assert seen[0] == seen[1] < seen[2]


def test_the_broker_knows_each_device_by_its_newest_key(accounts):
    _, first = accounts.keys.add("gate", "device", device="gate-1", by=ROOT)
    _, second = accounts.keys.add("gate again", "device", device="gate-1", by=ROOT)
    accounts.keys.add("person", "operator", by=ROOT)
    found = accounts.keys.broker_hashes()
    assert list(found) == ["gate-1"]
    _, kind, rounds, salt, hashed = found["gate-1"].split("$")
    assert kind == "7"
    import base64
    import hashlib

    def again(secret):
        key = hashlib.pbkdf2_hmac("sha512", secret.encode(), base64.b64decode(salt), int(rounds))
        return base64.b64encode(key).decode()

    assert again(second) == hashed != again(first)
