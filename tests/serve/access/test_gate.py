# SPDX-License-Identifier: Apache-2.0
"""Who gets in, with what, from where; and what is refused."""

from __future__ import annotations

import base64
from typing import Annotated

import pytest
from fastapi import Depends, WebSocket
from starlette.requests import HTTPConnection
from tests.serve.access.browser import assert_a_stranger_gets_nothing, assert_every_route_is_declared
from tests.serve.access.conftest import PASSWORD, ROOT, user

from mangrove.serve.access import csrf
from mangrove.serve.access.gate import audited, need
from mangrove.serve.access.table import declared_roles
from mangrove.serve.scope import Principal


def bearer(secret: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"authorization": f"{scheme} {secret}"}


def basic(name: str, password: str | bytes) -> dict[str, str]:
    said = password.encode() if isinstance(password, str) else password
    return {"authorization": "Basic " + base64.b64encode(name.encode() + b":" + said).decode()}


def test_a_program_without_a_key_gets_401_with_a_challenge(serve, browse):
    answer = browse(serve()[0]).ask("GET", "/places/mill")
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["www-authenticate"]
    assert answer.json()["problems"][0]["code"] == "access.unknown"


def test_a_reader_of_pages_is_led_to_the_sign_in_and_back_to_the_page(serve, browse):
    answer = browse(serve()[0]).get("/places/mill?period=week")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/places/mill%3Fperiod%3Dweek"


def test_a_key_opens_as_bearer_as_token_and_as_the_password_of_its_id(serve, browse, accounts):
    app, _ = serve()
    key, secret = accounts.keys.add("Kế toán", "operator", by=ROOT)
    browser = browse(app)
    for headers in (bearer(secret), bearer(secret, "Token"), basic(key.principal.id, secret)):
        answer = browser.ask("GET", "/places/shop", headers=headers)
        assert answer.json() == {"place": "shop", "who": key.principal.id}
    for headers in (
        bearer(secret[:-1] + "!"),
        basic("k999", secret),
        basic("", secret),
        {"authorization": "Basic %%"},
    ):
        assert browser.ask("GET", "/places/shop", headers=headers).status_code == 401


def test_a_key_needs_no_form_token_but_a_cookie_beside_it_is_not_looked_at(serve, browse, accounts, admin):
    app, _ = serve()
    _, secret = accounts.keys.add("gate", "device", device="gate-1", by=ROOT)
    browser = browse(app)
    assert browser.ask("POST", "/things", headers=bearer(secret)).json()["device"] == "gate-1"
    browser.sign_in(admin.name, PASSWORD)
    assert browser.ask("GET", "/places/mill", headers=bearer("mg_wrong")).status_code == 401


def test_the_key_of_one_tenant_finds_nothing_at_the_place_of_another(serve, browse, accounts):
    app, _ = serve()
    _, secret = accounts.keys.add("Thép", "tenant", "mill", by=ROOT)
    browser = browse(app)
    assert browser.ask("GET", "/places/mill", headers=bearer(secret)).status_code == 200
    other = browser.ask("GET", "/places/shop", headers=bearer(secret))
    nowhere = browser.ask("GET", "/places/atlantis", headers=bearer(secret))
    assert (other.status_code, nowhere.status_code) == (404, 404)
    assert other.json() == nowhere.json(), "the answer tells whether the place exists"


def test_a_device_may_write_but_neither_read_nor_administer(serve, browse, accounts):
    app, _ = serve()
    _, secret = accounts.keys.add("gate", "device", device="gate-1", by=ROOT)
    browser = browse(app)
    assert browser.ask("POST", "/things", headers=basic("gate-1", secret)).status_code == 200
    assert browser.ask("POST", "/things", headers=basic("gate-2", secret)).status_code == 401
    assert browser.ask("GET", "/places/mill", headers=bearer(secret)).status_code == 403
    assert browser.ask("GET", "/access/users", headers=bearer(secret)).status_code == 403


def test_an_expired_and_a_revoked_key_open_nothing(serve, browse, accounts, clock):
    app, _ = serve()
    short, first = accounts.keys.add("a", "operator", by=ROOT, expires=clock.now().replace(hour=9))
    other, second = accounts.keys.add("b", "operator", by=ROOT)
    browser = browse(app)
    clock.move(hours=1)
    accounts.keys.revoke(other.id, by=ROOT)
    for secret in (first, second):
        assert browser.ask("GET", "/places/mill", headers=bearer(secret)).status_code == 401
    assert not short.works(clock.now())


def test_an_account_of_a_place_that_is_not_declared_any_more_sees_nothing(serve, browse, accounts):
    app, _ = serve()
    _, gone = accounts.keys.add("a", "tenant", "pulled_down", by=ROOT)
    _, dumb = accounts.keys.add("b", "device", device="sold", by=ROOT)
    browser = browse(app)
    assert browser.ask("GET", "/places/mill", headers=bearer(gone)).status_code == 403
    assert browser.ask("POST", "/things", headers=bearer(dumb)).status_code == 403


def test_a_charger_may_send_the_bytes_whose_hex_form_its_key_is(accounts):
    _, secret = accounts.keys.add("Trụ sạc", "device", device="charger-1", short=True, by=ROOT)
    assert len(secret) == 40  # OCPP 2.0.1 A00.FR.205: 16 to 40 characters; OCPP 1.6-J: hex of 16 to 20 bytes
    assert 16 <= len(bytes.fromhex(secret)) <= 20
    assert accounts.device_password("charger-1", secret)
    assert accounts.device_password("charger-1", bytes.fromhex(secret))
    assert not accounts.device_password("gate-1", secret)
    assert not accounts.device_password(accounts.keys.all()[0].principal.id, secret)
    assert not accounts.device_password("charger-1", bytes.fromhex(secret)[:-1])
    assert not accounts.device_password("charger-1", "")


def test_too_many_requests_of_one_principal_are_told_when_to_come_back(serve, browse, accounts):
    app, _ = serve(api_rate=0.5, api_burst=3)
    _, loud = accounts.keys.add("loud", "operator", by=ROOT)
    _, calm = accounts.keys.add("calm", "operator", by=ROOT)
    browser = browse(app)
    answers = [browser.ask("GET", "/places/mill", headers=bearer(loud)) for _ in range(5)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    assert browser.ask("GET", "/places/mill", headers=bearer(calm)).status_code == 200


def test_wrong_keys_are_slowed_down_without_harm_to_good_ones_beside_them(serve, browse, accounts):
    app, _ = serve(login_burst=3)
    _, good = accounts.keys.add("good", "operator", by=ROOT)
    browser = browse(app)
    found = [browser.ask("GET", "/places/mill", headers=bearer(f"mg_{i}")).status_code for i in range(5)]
    assert found == [401, 401, 401, 429, 429]
    assert browser.ask("GET", "/places/mill", headers=bearer(good)).status_code == 200


# --- guests and proxies ----------------------------------------------------------------------------------------------


def test_a_guest_may_look_from_this_machine_only(serve, browse):
    app, _ = serve(guest="operator")
    assert browse(app).get("/places/mill").status_code == 200
    assert browse(app, client=("192.0.2.7", 5000)).get("/places/mill").status_code == 303
    assert browse(app).get("/places/mill", **{"x-forwarded-for": "192.0.2.7"}).status_code == 303
    rebound = browse(app, base="http://rebound.example:8000")
    assert rebound.get("/places/mill").status_code == 303, (
        "a name that points to 127.0.0.1 is not this machine"
    )


def test_a_guest_never_administers_even_in_the_role_of_an_administrator(serve, browse):
    app, _ = serve(guest="admin")
    assert browse(app).get("/access/users").status_code == 403


def test_a_guest_changes_things_only_through_our_own_pages(serve, browse):
    app, access = serve(guest="operator")
    browser = browse(app)
    assert browser.post("/things").status_code == 403
    assert browser.post("/things", {"csrf": browser.token("/login")}).status_code == 200
    assert access.settings.guest == "operator"


def test_forwarded_addresses_are_believed_from_trusted_proxies_only(serve):
    _, access = serve(trusted_proxies=["10.0.0.0/8"])

    def seen(peer: str, forwarded: str, proto: str = "https") -> tuple[str, bool]:
        headers = [
            (b"x-forwarded-for", forwarded.encode()),
            (b"x-forwarded-proto", proto.encode()),
            (b"host", b"park.example"),
        ]
        scope = {
            "type": "http",
            "client": (peer, 1),
            "headers": headers,
            "scheme": "http",
            "path": "/",
            "server": ("h", 80),
        }
        request = HTTPConnection(scope)
        return access.address(request), access.secure(request)

    assert seen("10.1.1.1", "198.51.100.9") == ("198.51.100.9", True)
    assert seen("10.1.1.1", "6.6.6.6, 198.51.100.9, 10.2.2.2") == ("198.51.100.9", True), (
        "the client wrote 6.6.6.6 itself"
    )
    assert seen("203.0.113.5", "198.51.100.9") == ("203.0.113.5", False)
    assert seen("10.1.1.1", "2001:db8:1:2::7") == ("2001:db8:1:2::/64", True)


def test_behind_tls_the_cookie_is_secure_and_bound_to_its_host(serve, browse, accounts, admin):
    app, _ = serve()
    cookie = (
        browse(app, base="https://park.example")
        .sign_in(admin.name, PASSWORD)
        .headers.get_list("set-cookie")[0]
    )
    assert cookie.startswith("__Host-mangrove=")
    for part in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    plain = browse(app).sign_in(admin.name, PASSWORD).headers.get_list("set-cookie")[0]
    assert plain.startswith("mangrove=")
    assert "HttpOnly" in plain
    assert "Secure" not in plain


# --- forms of our own ------------------------------------------------------------------------------------------------


def test_a_form_needs_the_token_of_its_own_session(serve, browse, accounts, admin):
    app, _ = serve()
    user(accounts, "Trần Văn Bình", "operator")
    mine, other = browse(app), browse(app)
    mine.sign_in(admin.name, PASSWORD)
    other.sign_in("Trần Văn Bình", PASSWORD)
    good = mine.token("/account")
    assert mine.post("/things", {"csrf": good}).status_code == 200
    assert mine.ask("POST", "/things", headers={"x-csrf": good}).status_code == 200, (
        "a script sends it as a header"
    )
    for wrong in ("", "x", good[:-4] + "AAAA", other.token("/account"), "ế"):
        assert mine.post("/things", {"csrf": wrong}).status_code == 403
    assert mine.ask("POST", "/things", headers={"x-csrf": "wrong"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8000"},
    ],
)
def test_a_form_from_another_origin_is_refused_even_with_the_right_token(serve, browse, admin, headers):
    app, _ = serve()
    browser = browse(app)
    browser.sign_in(admin.name, PASSWORD)
    assert browser.post("/things", {"csrf": browser.token("/account")}, **headers).status_code == 403


def test_what_a_browser_says_without_an_origin_is_looked_at_too():
    own = "https://park.example"
    assert not csrf.same_origin({"sec-fetch-site": "cross-site"}, own)
    assert not csrf.same_origin({"sec-fetch-site": "same-site"}, own)
    assert not csrf.same_origin({"referer": "https://evil.example/park.example"}, own)
    assert csrf.same_origin({"referer": "https://park.example/login"}, own)
    assert csrf.same_origin({}, own)


def test_tokens_and_secrets_are_compared_in_constant_time(monkeypatch, accounts):
    compared = []

    def watch(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr("hmac.compare_digest", watch)
    assert csrf.good(csrf.token("a"), "a")
    assert not csrf.good(csrf.token("a"), "b")
    _, secret = accounts.keys.add("x", "operator", by=ROOT)
    assert accounts.keys.find(secret)
    assert len(compared) == 3
    assert all(secret not in (left, right) for left, right in compared), "only its hash is compared"


def test_nobody_has_a_token_without_a_cookie():
    assert not csrf.good(csrf.token(""), "")


def test_a_token_looks_different_on_every_page():
    assert len({csrf.token("anchor") for _ in range(50)}) == 50


# --- routes ----------------------------------------------------------------------------------------------------------


def test_every_route_of_the_server_says_for_whom_it_is(serve):
    app, _ = serve()
    assert_every_route_is_declared(app)
    table = {(one.path, method): one.roles for one in declared_roles(app) for method in one.methods}
    assert table["/places/{place}", "GET"] == ("admin", "operator", "tenant")
    assert table["/access/users", "POST"] == ("admin",)
    assert table["/login", "POST"] == ("public",)


def test_a_route_that_says_nothing_is_refused_to_everybody(serve, browse, admin):
    app, _ = serve()

    @app.get("/forgotten/{number}")
    def forgotten(number: int) -> int:
        return number

    @app.websocket("/socket")
    async def socket(connection: WebSocket) -> None:
        await connection.accept()

    assert {one.path for one in declared_roles(app) if one.roles is None} == {
        "/forgotten/{number}",
        "/socket",
    }
    with pytest.raises(AssertionError, match="forgotten"):
        assert_every_route_is_declared(app)
    browser = browse(app)
    browser.sign_in(admin.name, PASSWORD)
    assert browser.get("/forgotten/3").status_code == 403
    assert browser.get("/places/mill").status_code == 200


def test_a_strangers_key_reads_nothing_on_any_route(serve):
    app, _ = serve(login_burst=1000)
    assert assert_a_stranger_gets_nothing(app, {"place": "mill", "lang": "en"}) > 15


def test_an_export_is_written_down(serve, browse, accounts):
    app, _ = serve()

    @app.get("/out.csv")
    async def out(who: Annotated[Principal, Depends(audited("export.made", "operator"))]) -> str:
        return who.id

    _, secret = accounts.keys.add("x", "operator", by=ROOT)
    browse(app).ask("GET", "/out.csv?period=2024", headers=bearer(secret))
    (record,) = accounts.audit.show(action="export.made")
    assert record.data == {"address": "127.0.0.1", "path": "/out.csv", "query": "period=2024"}


def test_a_role_that_does_not_exist_is_a_mistake_of_the_programmer():
    with pytest.raises(AssertionError):
        need("amdin")
    with pytest.raises(AssertionError):
        need()
