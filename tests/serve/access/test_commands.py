# SPDX-License-Identifier: Apache-2.0
"""The commands: data on stdout, words on stderr, a sentence for every mistake."""

from __future__ import annotations

import json
import re
import sqlite3

import pytest
from tests.doors import mangrove
from tests.serve.access.conftest import PASSWORD

from mangrove.serve.access import commands
from mangrove.serve.access.accounts import Accounts
from mangrove.serve.access.passwords import Hasher


@pytest.fixture
def shop(folder, admin, accounts):
    """A folder with an administrator."""
    accounts.close()
    return folder


def test_a_new_user_gets_a_link_that_opens_its_account(shop, clock):
    done = mangrove(
        "user",
        "add",
        shop,
        "Lê Thị An",
        "--role",
        "tenant",
        "--place",
        "mill",
        "--url",
        "https://park.example/",
    )
    assert done.code == 0
    link = re.fullmatch(r"https://park\.example/enter/([\w-]{43})\n", done.out)
    assert link, "only the link stands on stdout"
    with Accounts(shop, hasher=Hasher(passes=1, memory=32)) as accounts:
        made = accounts.links.use(link[1], "", PASSWORD)
        assert (made.name, made.role, made.place) == ("Lê Thị An", "tenant", "mill")
        assert accounts.audit.show(action="user.added")[0].who.startswith("shell ")


def test_the_lists_show_what_is_there_and_no_secret(shop):
    mangrove("user", "add", shop, "Lê Thị An", "--role", "city")
    secret = mangrove("key", "add", shop, "Trụ sạc", "--role", "device", "--device", "charger-1").out.strip()
    assert re.fullmatch(r"[0-9a-f]{40}", secret)
    for group, word in (("user", "Lê Thị An"), ("key", "charger-1")):
        plain, data = mangrove(group, "list", shop, "--lang", "vi"), mangrove(group, "list", shop, "--json")
        assert word in plain.out
        assert json.loads(data.out)
        assert secret not in plain.out + data.out
        assert "argon2" not in data.out


def test_a_user_is_disabled_enabled_and_given_a_new_link(shop):
    name = "Nguyễn Thị Hoà"
    refused = mangrove("user", "disable", shop, name)
    assert refused.code == 1
    assert "last administrator" in refused.err
    mangrove("user", "add", shop, "An", "--role", "operator")
    assert mangrove("user", "disable", shop, "AN").code == 0
    assert {u.name: u.disabled for u in commands.users(shop)} == {name: False, "An": True}
    assert mangrove("user", "disable", shop, "An", "--enable").code == 0
    assert mangrove("user", "link", shop, "An").out.startswith("/enter/")
    assert mangrove("user", "link", shop).code == 1, "there is a first administrator already"


def test_the_first_link_can_be_asked_for_on_the_command_line(folder):
    done = mangrove("user", "link", folder)
    assert done.code == 0
    assert "first administrator" in done.err


def test_a_key_is_added_used_and_revoked(shop):
    done = mangrove("key", "add", shop, "Kế toán", "--role", "operator", "--expires", "2999-12-31")
    assert done.out.startswith("mg_")
    with Accounts(shop) as accounts:
        key = accounts.keys.find(done.out.strip())
        assert key.expires.isoformat() == "2999-12-31T17:00:00+00:00"
    assert mangrove("key", "revoke", shop, key.principal.id).code == 0
    with Accounts(shop) as accounts:
        assert accounts.keys.find(done.out.strip()) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("user", "add", "An", "--role", "chief"), "is not a role"),
        (("user", "add", "An", "--role", "tenant"), "needs a place"),
        (("user", "add", "An", "--role", "tenant", "--place", "mil"), "did you mean 'mill'?"),
        (("user", "add", "An", "--role", "city", "--speaks", "fr"), "is not a language"),
        (("user", "link", "Nobody"), "there is no user"),
        (("key", "add", "k", "--role", "device"), "needs a device"),
        (("key", "add", "k", "--role", "device", "--device", "gate-3"), "did you mean 'gate-"),
        (("key", "add", "k", "--role", "city", "--expires", "31/12/2026"), "is not a date"),
        (("key", "add", "k", "--role", "city", "--expires", "2020-12-31"), "cannot expire before"),
        (("key", "revoke", "k99"), "there is no key"),
        (("key", "revoke", "../etc"), "there is no key"),
        (("audit", "verify", "--head", "x"), "is not a head"),
    ],
)
def test_a_mistake_gets_a_sentence(shop, words, said):
    group, verb, *rest = words
    done = mangrove(group, verb, shop, *rest)
    assert done.code == 1
    assert done.out == ""
    assert said in done.err


def test_the_log_is_shown_and_verified_against_a_head_that_was_kept(shop):
    kept = mangrove("audit", "head", shop).out.strip()
    mangrove("user", "add", shop, "An", "--role", "operator")
    assert mangrove("audit", "verify", shop, "--head", kept).code == 0
    shown = mangrove("audit", "show", shop, "--last", "1", "--action", "user.added")
    assert '"name":"An"' in shown.out
    records = json.loads(mangrove("audit", "show", shop, "--json").out)
    assert records[0]["prev"] == records[1]["hash"]
    db = sqlite3.connect(shop / ".mangrove" / "access.db")
    db.execute("DROP TRIGGER audit_no_update")
    db.execute("UPDATE audit SET who = 'somebody else' WHERE id = 2")
    db.commit()
    db.close()
    done = mangrove("audit", "verify", shop, "--lang", "vi")
    assert done.code == 1
    assert "access.db:2: bản ghi 2 đã bị sửa" in done.err


def test_a_control_character_in_the_log_does_not_reach_the_terminal(shop):
    with Accounts(shop) as accounts:
        from mangrove.serve.access import SYSTEM

        accounts.audit.record("export.made", SYSTEM, {"path": "\x1b[31m"})
    assert "\x1b" not in mangrove("audit", "show", shop).out


def test_a_folder_without_accounts_has_no_log(folder):
    for verb in ("show", "verify", "head"):
        done = mangrove("audit", verb, folder)
        assert done.code == 1
        assert "no accounts" in done.err
