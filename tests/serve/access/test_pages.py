# SPDX-License-Identifier: Apache-2.0
"""The pages: forms without scripts, labels, what is shown once, what nobody else sees."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tests.serve.access.conftest import ADMIN, PASSWORD, ROOT, user

from mangrove.serve.access import csrf


class Form(HTMLParser):
    """Inputs with their attributes, labels, and what has a name for a screen reader."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inputs: list[dict[str, str | None]] = []
        self.labels: set[str] = set()
        self.alerts = 0
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in {"input", "select"}:
            self.inputs.append(found)
        if tag == "label":
            self.labels.add(found.get("for") or "")
        self.alerts += found.get("role") == "alert"
        if found.get("id"):
            self.ids.append(found["id"] or "")

    def check(self) -> None:
        """Every visible field has a label, a place for the password manager, and an id of its own."""
        for one in self.inputs:
            if one.get("type") == "hidden":
                continue
            assert one.get("id") in self.labels or one.get("aria-label"), one
        assert len(self.ids) == len(set(self.ids)), self.ids


def test_a_newcomer_becomes_administrator_and_sees_the_account(serve, browse, accounts):
    app, _ = serve()
    browser, link = browse(app), accounts.first_link()
    page = browser.get(link)
    assert page.status_code == 200
    Form(page.text).check()
    form = {"csrf": browser.token(link), "name": ADMIN, "password": PASSWORD, "again": PASSWORD}
    answer = browser.post(link, form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    account = browser.get("/account")
    assert ADMIN in account.text
    Form(account.text).check()
    again = browse(app).get(link)
    assert again.status_code == 404
    assert PASSWORD not in account.text


@pytest.mark.parametrize(
    "case",
    [
        ("short", "short", "ít nhất 12"),
        (PASSWORD, "other", "không giống nhau"),
        ("Mat khau 123456", "", "ai cũng thử"),
    ],
)
def test_a_refused_password_is_explained_above_the_form(serve, browse, accounts, case):
    password, again, words = case
    browser, link = browse(serve()[0]), accounts.first_link()
    answer = browser.post(
        link, {"csrf": browser.token(link), "name": "An", "password": password, "again": again}
    )
    assert answer.status_code == 422
    found = Form(answer.text)
    found.check()
    assert found.alerts == 1
    assert words in answer.text
    assert 'value="An"' in answer.text, "what was typed stays"
    assert password not in answer.text
    assert accounts.links.find(link.rpartition("/")[2]), "the link is not used up"


def test_the_form_to_sign_in_is_made_for_password_managers_and_screen_readers(serve, browse, admin):
    browser = browse(serve()[0])
    page = browser.get("/login")
    fields = {one.get("name"): one for one in Form(page.text).inputs}
    assert fields["name"]["autocomplete"] == "username"
    assert fields["password"]["autocomplete"] == "current-password"
    assert "<script" not in page.text
    assert page.headers["cache-control"] == "no-store"
    wrong = browser.sign_in(ADMIN, "wrong password")
    assert wrong.status_code == 401
    assert Form(wrong.text).alerts == 1
    assert "tên hoặc mật khẩu không đúng" in wrong.text
    assert (
        "the name or the password is wrong"
        in browser.post("/login?lang=en", {"csrf": browser.token("/login")}).text
    )


def test_the_answer_to_a_wrong_name_is_the_answer_to_a_wrong_password(serve, browse, admin):
    browser = browse(serve()[0])
    masked = [
        re.sub(r'value="[^"]*"', "", browser.sign_in(n, "wrong password").text) for n in (ADMIN, "Không ai")
    ]
    assert masked[0] == masked[1]


def test_the_language_that_was_chosen_at_the_door_stays(serve, browse, admin):
    browser = browse(serve()[0])
    assert '<html lang="vi"' in browser.get("/login", **{"accept-language": "en"}).text, "the territory's"
    assert '<html lang="en"' in browser.get("/login?lang=en").text
    browser.sign_in(ADMIN, PASSWORD)
    assert '<html lang="en"' in browser.get("/account").text
    assert browser.get("/login?lang=xx").status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/\t/evil.example",
        "/\n/evil.example", "evil", "", "///evil.example", "%2f%2fevil.example", "\x00/a",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site_after_signing_in(serve, browse, admin, target):
    answer = browse(serve()[0]).sign_in(ADMIN, PASSWORD, next_=target)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert csrf.local(target) == "/"


def test_a_page_of_this_server_is_where_one_goes_after_signing_in(serve, browse, admin):
    answer = browse(serve()[0]).sign_in(ADMIN, PASSWORD, next_="/now?period=week&lang=vi")
    assert answer.headers["location"] == "/now?period=week&lang=vi"


def test_signing_in_needs_the_token_of_this_visit(serve, browse, admin):
    app, _ = serve()
    mine, other = browse(app), browse(app)
    form = {"name": ADMIN, "password": PASSWORD}
    assert mine.post("/login", form).status_code == 403
    assert mine.post("/login", form | {"csrf": other.token("/login")}).status_code == 403
    assert "mangrove" not in mine.http.cookies


def test_too_many_tries_from_one_address_are_told_when_to_come_back(serve, browse, admin):
    app, _ = serve(login_rate=0.1, login_burst=3)
    browser = browse(app)
    found = [browser.sign_in(f"name {n}", "wrong password") for n in range(5)]
    assert [one.status_code for one in found] == [401, 401, 401, 429, 429]
    assert 1 <= int(found[-1].headers["retry-after"]) <= 10
    assert Form(found[-1].text).alerts == 1
    assert browse(app, client=("192.0.2.8", 1)).sign_in(ADMIN, PASSWORD).status_code == 303


def test_signing_out_ends_the_session_and_needs_a_form(serve, browse, accounts, admin):
    browser = browse(serve()[0])
    browser.sign_in(ADMIN, PASSWORD)
    token = browser.http.cookies["mangrove"]
    assert browser.get("/logout").status_code == 405, "a link or a picture cannot sign anybody out"
    answer = browser.post("/logout", {"csrf": browser.token("/account")})
    assert answer.headers["location"] == "/login"
    assert accounts.sessions.find(token) is None
    assert browser.get("/account").status_code == 303


def test_changing_the_password_asks_for_the_old_one_and_keeps_only_this_session(
    serve, browse, accounts, admin
):
    app, _ = serve()
    browser, elsewhere = browse(app), browse(app)
    for one in (browser, elsewhere):
        one.sign_in(ADMIN, PASSWORD)
    new = "một mật khẩu hoàn toàn khác"
    form = {"csrf": browser.token("/account"), "password": new, "again": new}
    assert browser.post("/account/password", form | {"old": "wrong"}).status_code == 401
    answer = browser.post("/account/password", form | {"old": PASSWORD})
    assert answer.status_code == 303
    assert 'role="status"' in browser.get(answer.headers["location"]).text
    assert elsewhere.get("/account").status_code == 303
    assert accounts.users.attempt(ADMIN, new)


def test_an_administrator_invites_changes_and_disables(serve, browse, accounts, admin):
    app, _ = serve()
    browser = browse(app)
    browser.sign_in(ADMIN, PASSWORD)
    token = browser.token("/access/users")
    Form(browser.get("/access/users").text).check()
    made = browser.post(
        "/access/users", {"csrf": token, "name": "Lê An", "role": "tenant", "place": "mill", "lang": "en"}
    )
    assert made.status_code == 200
    link = re.search(r"http://127\.0\.0\.1:8000(/enter/[\w-]+)", made.text)[1]
    assert link not in browser.get("/access/users").text, "it is shown once"
    guest = browse(app)
    answer = guest.post(
        link, {"csrf": guest.token(link), "password": "tenant password 1", "again": "tenant password 1"}
    )
    assert answer.status_code == 303
    assert guest.http.cookies["lang"] == "en"
    assert guest.get("/places/mill").status_code == 200
    id_ = accounts.users.find("Lê An").id
    edit = browser.get(f"/access/users?edit={id_}").text
    Form(edit).check()
    assert f'action="/access/users/{id_}"' in edit
    assert browser.get("/access/users?edit=999").status_code == 404
    assert (
        browser.post(f"/access/users/{id_}", {"csrf": token, "role": "operator", "place": ""}).status_code
        == 200
    )
    assert guest.get("/places/shop").status_code == 200
    assert browser.post(f"/access/users/{id_}", {"csrf": token, "disabled": "1"}).status_code == 200
    assert guest.get("/places/shop").status_code == 303
    for form in (
        {"name": "X", "role": "tenant", "place": ""},
        {"name": "X", "role": "tenant", "place": "atlantis"},
    ):
        wrong = browser.post("/access/users", {"csrf": token, "lang": "vi"} | form)
        assert wrong.status_code == 422
        assert Form(wrong.text).alerts == 1


def test_a_key_is_shown_once_and_revoked_at_once(serve, browse, accounts, admin):
    app, _ = serve()
    browser = browse(app)
    browser.sign_in(ADMIN, PASSWORD)
    token = browser.token("/access/keys")
    Form(browser.get("/access/keys").text).check()
    form = {
        "csrf": token,
        "name": "Trụ sạc",
        "role": "device",
        "device": "charger-1",
        "place": "",
        "expires": "2026-12-31",
    }
    made = browser.post("/access/keys", form)
    secret = re.search(r"<p><code>([0-9a-f]{40})</code>", made.text)[1]
    assert secret not in browser.get("/access/keys").text
    assert accounts.device_password("charger-1", secret)
    key = accounts.keys.all()[0]
    assert key.expires.isoformat() == "2026-12-31T17:00:00+00:00", "the end of the last day in Viet Nam"
    browser.post(f"/access/keys/{key.principal.id}/revoke", {"csrf": token})
    assert not accounts.device_password("charger-1", secret)
    for wrong in (
        {"role": "device", "device": "toaster"},
        {"role": "tenant"},
        {"role": "device"},
        {"expires": "2020-01-01"},
    ):
        assert (
            browser.post("/access/keys", {"csrf": token, "name": "x", "role": "operator"} | wrong).status_code
            == 422
        )


@pytest.mark.parametrize(("role", "place"), [("tenant", "mill"), ("operator", ""), ("city", "")])
def test_nobody_but_administrators_sees_users_keys_and_the_log(serve, browse, accounts, role, place):
    app, _ = serve()
    user(accounts, "Lê An", role, place)
    browser = browse(app)
    browser.sign_in("Lê An", PASSWORD)
    for path in ("/access/users", "/access/keys", "/access/audit"):
        answer = browser.get(path)
        assert answer.status_code == 403
        assert "Lê An" not in answer.text
    token = browser.token("/account")
    for path in (
        "/access/users",
        "/access/users/1",
        "/access/users/1/link",
        "/access/keys",
        "/access/keys/k1/revoke",
    ):
        assert (
            browser.post(path, {"csrf": token, "name": "X", "role": "admin", "disabled": "1"}).status_code
            == 403
        )
    assert [u.name for u in accounts.users.all()] == ["Lê An"]


def test_a_key_of_an_administrator_does_not_make_other_keys_visible_to_guests(serve, browse, accounts):
    app, _ = serve(guest="operator")
    assert browse(app).get("/access/keys").status_code == 403
    _, secret = accounts.keys.add("k", "admin", by=ROOT)
    headers = {"authorization": f"Bearer {secret}", "accept": "application/json"}
    for method, path in (
        ("GET", "/account"),
        ("GET", "/access/keys"),
        ("POST", "/access/keys"),
        ("POST", "/access/users"),
    ):
        assert browse(app).ask(method, path, headers=headers).status_code == 403, "a key makes no other keys"


def test_the_log_is_shown_with_its_head_and_what_is_wrong_with_it(serve, browse, accounts, admin):
    browser = browse(serve()[0])
    browser.sign_in(ADMIN, PASSWORD)
    page = browser.get("/access/audit").text
    assert str(accounts.audit.head()) in page
    assert "user.login" in page
    Form(page).check()
    assert 'role="status"' in browser.get("/access/audit?verify=1").text
    with accounts.store.write() as db:
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit SET detail = '{}' WHERE id = 2")
    broken = browser.get("/access/audit?verify=1").text
    assert Form(broken).alerts == 1


def test_what_a_name_says_is_never_markup(serve, browse, accounts, admin):
    browser = browse(serve()[0])
    browser.sign_in(ADMIN, PASSWORD)
    form = {
        "csrf": browser.token("/access/users"),
        "name": "<script>alert(1)</script>",
        "role": "operator",
        "place": "",
        "lang": "",
    }
    page = browser.post("/access/users", form).text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_both_languages_say_everything(serve, browse, accounts, admin):
    browser = browse(serve()[0])
    browser.sign_in(ADMIN, PASSWORD)
    accounts.keys.add("k", "device", device="gate-1", by=admin)
    for path in ("/account", "/access/users", "/access/keys", "/access/audit"):
        for lang in ("vi", "en"):
            page = browser.get(f"{path}?lang={lang}").text
            assert f'<html lang="{lang}"' in page
            assert not re.search(r"access\.[a-z_]+\b", re.sub(r"user\.login|/access/\w+", "", page)), path
