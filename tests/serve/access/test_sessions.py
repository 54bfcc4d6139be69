# SPDX-License-Identifier: Apache-2.0
"""Sessions: how long they live, what ends them, and that a link works once."""

from __future__ import annotations

import threading

import pytest
from tests.serve.access.conftest import ADMIN, PASSWORD, user

from mangrove.serve.access.problems import AccessError


def test_a_session_ends_after_an_hour_without_a_request(accounts, admin, clock):
    token = accounts.sessions.open(accounts.users.find(ADMIN))
    clock.move(minutes=59, seconds=59)
    assert accounts.sessions.find(token).name == ADMIN
    clock.move(minutes=59, seconds=59)
    assert accounts.sessions.find(token).name == ADMIN
    clock.move(hours=1)
    assert accounts.sessions.find(token) is None
    assert len(accounts.sessions) == 0


def test_a_session_ends_after_twelve_hours_however_busy(accounts, admin, clock):
    token = accounts.sessions.open(accounts.users.find(ADMIN))
    for _ in range(23):
        clock.move(minutes=30)
        assert accounts.sessions.find(token)
    clock.move(minutes=30)
    assert accounts.sessions.find(token) is None


def test_a_disabled_user_has_no_session_from_that_moment_on(accounts, admin, serve, browse):
    app, _ = serve()
    tenant = user(accounts, "An", "tenant", "mill")
    browser = browse(app)
    browser.sign_in("An", PASSWORD)
    assert browser.get("/places/mill").status_code == 200
    accounts.users.change(int(tenant.id[1:]), by=admin, disabled=True)
    assert browser.get("/places/mill").status_code == 303
    accounts.users.change(int(tenant.id[1:]), by=admin, disabled=False)
    assert browser.get("/places/mill").status_code == 303, "the old session does not come back"


def test_a_session_of_a_disabled_user_is_worthless_even_where_it_was_left_behind(accounts, admin):
    token = accounts.sessions.open(accounts.users.find(ADMIN))
    with accounts.store.write() as db:
        db.execute("UPDATE users SET disabled = 1")
    assert accounts.sessions.find(token) is None


def test_a_new_role_holds_from_the_next_request_on(accounts, admin, serve, browse):
    app, _ = serve()
    tenant = user(accounts, "An", "tenant", "mill")
    browser = browse(app)
    browser.sign_in("An", PASSWORD)
    accounts.users.change(int(tenant.id[1:]), by=admin, place="shop")
    assert (browser.get("/places/mill").status_code, browser.get("/places/shop").status_code) == (404, 200)


def test_a_new_password_ends_every_session(accounts, admin):
    token = accounts.sessions.open(accounts.users.find(ADMIN))
    accounts.users.set_password(int(admin.id[1:]), "another long password", by=admin)
    assert accounts.sessions.find(token) is None


def test_signing_in_makes_a_new_session_and_ends_the_one_that_came_along(serve, browse, accounts, admin):
    app, _ = serve()
    user(accounts, "An", "operator")
    browser = browse(app)
    planted = accounts.sessions.open(accounts.users.find("An"))
    browser.http.cookies.set("mangrove", planted, domain="127.0.0.1", path="/")
    browser.sign_in(ADMIN, PASSWORD)
    token = browser.http.cookies["mangrove"]
    assert token != planted
    assert accounts.sessions.find(planted) is None
    assert accounts.sessions.find(token).name == ADMIN


def test_a_cookie_that_somebody_made_up_is_no_session(serve, browse):
    browser = browse(serve()[0])
    browser.http.cookies.set("mangrove", "made-up", domain="127.0.0.1", path="/")
    assert browser.get("/places/mill").status_code == 303
    browser.get("/login")
    assert browser.http.cookies.get("mangrove") == "made-up", "and it is never taken over"


def test_old_sessions_are_swept_away(accounts, admin, clock):
    for _ in range(5):
        accounts.sessions.open(accounts.users.find(ADMIN))
    clock.move(hours=2)
    accounts.sessions.open(accounts.users.find(ADMIN))
    assert len(accounts.sessions) == 1


def test_a_link_opens_once_also_when_many_try_at_the_same_moment(accounts, admin):
    made = accounts.users.add("An", "operator", by=admin)
    token = accounts.links.make("invite", made, by=admin).rpartition("/")[2]
    outcomes: list[str] = []

    def enter(number: int) -> None:
        try:
            accounts.links.use(token, "", f"long password {number}")
            outcomes.append("in")
        except AccessError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=enter, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["access.bad_link"] * 7 + ["in"]


def test_entering_by_a_link_is_a_sign_in(accounts, admin):
    record = accounts.audit.show(action="user.login")[0]
    assert (record.who, record.data) == (f"{admin.id} {ADMIN}", {"link": "first"})
    assert accounts.users.find(ADMIN).last_login


def test_a_link_of_a_disabled_user_is_worthless(accounts, admin):
    made = accounts.users.add("An", "operator", by=admin)
    token = accounts.links.make("invite", made, by=admin).rpartition("/")[2]
    accounts.users.change(made.id, by=admin, disabled=True)
    later = accounts.links.make("invite", made, by=admin).rpartition("/")[2]
    for one in (token, later):
        with pytest.raises(AccessError) as caught:
            accounts.links.find(one)
        assert caught.value.code == "access.bad_link"
