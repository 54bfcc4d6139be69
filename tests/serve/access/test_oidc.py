# SPDX-License-Identifier: Apache-2.0
"""Signing in elsewhere, against a provider on this machine that signs real tokens and can be told to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from tests.serve.access.conftest import ADMIN, ROOT

from mangrove.serve.access.oidc import Visits
from mangrove.serve.access.problems import AccessError, DeniedError
from mangrove.serve.access.settings import Settings

OURS = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
STRANGER = RSAKey.generate_key(2048, {"kid": "k1"})
CLIENT, SECRET = "mangrove", "a secret of the client"


@dataclass
class Provider:
    """A provider of identities: what it signs can be changed by each test.

    Attributes:
        person: the claims of whoever signs in; lies: what stands in the token instead.
        sign: how the token is made, None for RS256 with the published key.
    """

    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "s-1", "name": "Phạm Thị Ngân", "groups": ["staff", "mill-team"]}
    )
    lies: dict[str, Any] = field(default_factory=dict)
    sign: Any = None
    issuer: str = ""
    described: dict[str, Any] = field(default_factory=dict)
    now: Any = None

    def __post_init__(self) -> None:
        self.key = OURS
        self.published = [self.key]
        self.codes: dict[str, dict[str, str]] = {}
        self.used: list[dict[str, str]] = []

    def authorize(self, url: str) -> str:
        """What a browser brings back: the person has signed in and agreed."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        back = urlsplit(asked["redirect_uri"])
        return f"{back.path}?code={code}&state={asked['state']}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The answer of the token endpoint; a code is good once, with the verifier that its challenge was made from."""
        asked = self.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".replace(" ", "%20").encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if asked is None or authorization not in {f"Basic {basic}", f"Basic {plain}"}:
            return 400, {"error": "invalid_grant"}
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant", "error_description": "verifier"}
        if form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        self.used.append(form)
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.identity(asked["nonce"])}

    def identity(self, nonce: str) -> str:
        now = int(self.now().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            **self.person,
            **self.lies,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.sign is not None:
            return self.sign(claims)
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def answer(self, path: str) -> dict[str, Any]:
        if path == "/jwks":
            return {"keys": [key.as_dict(private=False) for key in self.published]}
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            **self.described,
        }


@pytest.fixture
def provider(clock) -> Iterator[Provider]:
    made = Provider(now=clock.now)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, made.answer(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._send(*made.token(form, self.headers.get("authorization", "")))

        def _send(self, status: int, data: dict[str, Any]) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def told(provider, tmp_path, monkeypatch) -> dict[str, Any]:
    monkeypatch.setenv("TEST_OIDC_SECRET", SECRET)
    return {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret_env": "TEST_OIDC_SECRET",
        "label": "Cổng của khu",
        "map": [
            {"value": "mangrove-admins", "role": "admin"},
            {"value": "mill-team", "role": "tenant", "place": "mill"},
            {"value": "shop-team", "role": "tenant", "place": "shop"},
        ],
    }


@pytest.fixture
def visit(serve, browse, provider, told):
    """Goes to the provider and comes back; gives the browser and the last answer."""
    app, _ = serve(oidc=told, login_burst=100)

    def go(browser=None, path: str = "/login/oidc?next=/places/mill"):
        browser = browser or browse(app)
        sent = browser.get(path)
        assert sent.status_code == 303, sent.text
        assert sent.headers["location"].startswith(f"{provider.issuer}/authorize?")
        return browser, browser.get(provider.authorize(sent.headers["location"]))

    go.app = app
    return go


def test_somebody_whom_the_table_names_gets_an_account_at_the_first_sign_in(visit, accounts, admin):
    browser, answer = visit()
    assert (answer.status_code, answer.headers["location"]) == (303, "/places/mill")
    assert browser.get("/places/mill").status_code == 200
    assert browser.get("/places/shop").status_code == 404
    made = accounts.users.find("Phạm Thị Ngân")
    assert (made.role, made.place, made.has_password) == ("tenant", "mill", False)
    assert made.enters
    visit()
    assert [u.name for u in accounts.users.all()] == [ADMIN, "Phạm Thị Ngân"], (
        "the second time it is the same account"
    )
    assert [r.action for r in accounts.audit.show(last=1)] == ["user.login"]


def test_the_page_to_sign_in_offers_the_provider(visit, browse):
    page = browse(visit.app).get("/login?lang=vi").text
    assert "Đăng nhập bằng Cổng của khu" in page
    assert 'href="/login/oidc?next=/"' in page


def test_role_and_place_follow_the_table_at_every_sign_in(visit, accounts, admin, provider):
    visit()
    provider.person["groups"] = "shop-team"  # one word instead of a list
    visit()
    assert accounts.users.find("Phạm Thị Ngân").place == "shop"
    provider.person["groups"] = ["staff"]
    browser, answer = visit()
    assert answer.status_code == 403
    assert "access.oidc_nobody" not in answer.text, "it is said in words"
    assert browser.get("/places/shop").status_code == 303


def test_whoever_the_table_does_not_name_gets_no_account(visit, accounts, admin, provider):
    for groups in ([], None, ["staff"], {"mill-team": True, "x": 1} and ["MILL-TEAM"], 7 and ["7"]):
        provider.person["groups"] = groups
        assert visit()[1].status_code == 403
    assert [u.name for u in accounts.users.all()] == [ADMIN]


def test_a_disabled_account_stays_outside(visit, accounts, admin):
    visit()
    accounts.users.change(accounts.users.find("Phạm Thị Ngân").id, by=ROOT, disabled=True)
    assert visit()[1].status_code == 403


def test_a_name_that_somebody_has_does_not_become_that_somebody(visit, accounts, admin, provider):
    provider.person["name"] = ADMIN
    browser, answer = visit()
    assert answer.status_code == 303
    assert browser.get("/access/users").status_code == 403
    assert [u.name for u in accounts.users.all()] == [ADMIN, f"{ADMIN} (s-1)"]
    assert accounts.users.find(ADMIN).issuer is None


def _unsigned(claims: dict[str, Any]) -> str:
    def part(data: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}."


@pytest.mark.parametrize(
    "lies",
    [
        {"nonce": "the nonce of another visit"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["another client", "a third"]},
        {"aud": [CLIENT, "another client"]},
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": 4_000_000_000, "exp": 4_000_000_300},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_opens_nothing(visit, accounts, admin, provider, lies):
    provider.lies = lies
    browser, answer = visit()
    assert answer.status_code == 403
    assert "danh tính mà dịch vụ đăng nhập gửi đến không hợp lệ" in answer.text
    assert "mangrove" not in browser.http.cookies
    assert [u.name for u in accounts.users.all()] == [ADMIN]


@pytest.mark.parametrize(
    "sign",
    [
        _unsigned,
        lambda claims: jwt.encode({"alg": "RS256", "kid": "k1"}, claims, STRANGER),
        lambda claims: jwt.encode({"alg": "RS256", "kid": "unknown"}, claims, STRANGER),
        lambda claims: jwt.encode({"alg": "HS256", "kid": "k1"}, claims, OctKey.import_key(SECRET)),
        lambda claims: jwt.encode({"alg": "RS256", "kid": "k1"}, claims, STRANGER).rpartition(".")[0] + ".",
        lambda claims: "",
        lambda claims: "a.b.c",
    ],
    ids=[
        "none",
        "another key",
        "an unknown key",
        "the client's secret",
        "no signature",
        "nothing",
        "nonsense",
    ],
)
def test_a_token_that_is_not_signed_by_the_provider_opens_nothing(visit, accounts, admin, provider, sign):
    provider.sign = sign
    _, answer = visit()
    assert answer.status_code == 403
    assert "không hợp lệ" in answer.text
    assert [u.name for u in accounts.users.all()] == [ADMIN]


def test_a_token_that_is_a_minute_old_is_good_and_one_of_an_hour_is_not(visit, provider, clock):
    now = int(clock.now().timestamp())
    provider.lies = {"exp": now - 30}
    assert visit()[1].status_code == 303
    provider.lies = {"exp": now - 3600}
    assert visit()[1].status_code == 403


def test_new_keys_of_the_provider_are_fetched_when_a_token_names_one(visit, provider):
    assert visit()[1].status_code == 303
    provider.key = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig"})
    provider.published.append(provider.key)
    assert visit()[1].status_code == 303


def test_a_sign_in_belongs_to_the_browser_that_began_it_and_works_once(visit, browse, provider):
    mine, other = browse(visit.app), browse(visit.app)
    other.get("/login")
    sent = mine.get("/login/oidc")
    back = provider.authorize(sent.headers["location"])
    assert other.get(back).status_code == 403, "somebody was given a link to another's sign-in"
    sent = mine.get("/login/oidc")
    back = provider.authorize(sent.headers["location"])
    assert mine.get(back).status_code == 303
    assert mine.get(back).status_code == 403
    assert mine.get("/login/oidc/back?code=x&state=made-up").status_code == 403
    assert mine.get("/login/oidc/back").status_code == 403


def test_a_state_is_taken_once_within_ten_minutes_and_a_thousand_are_kept():
    now = [0.0]
    visits = Visits(lambda: now[0])
    state, visit = visits.begin("browser", "/")
    assert visits.take(state, "browser") == visit
    late, _ = visits.begin("browser", "/")
    first, _ = visits.begin("browser", "/")
    for _ in range(1_000):
        last, _ = visits.begin("browser", "/")
    for gone in (state, first):
        with pytest.raises(DeniedError):
            visits.take(gone, "browser")
    now[0] = 600.0
    for old in (late, last):
        with pytest.raises(DeniedError):
            visits.take(old, "browser")


def test_what_the_provider_refuses_is_said(visit, browse, provider):
    browser = browse(visit.app)
    sent = browser.get("/login/oidc")
    state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
    answer = browser.get(f"/login/oidc/back?error=access_denied&state={state}")
    assert answer.status_code == 403
    assert "access_denied" in answer.text
    sent = browser.get("/login/oidc")
    back = provider.authorize(sent.headers["location"])
    provider.codes.clear()
    assert browser.get(back).status_code == 403
    sent = browser.get("/login/oidc")
    assert (
        browser.get(provider.authorize(sent.headers["location"]) + "&iss=https://evil.example").status_code
        == 403
    )


def test_the_verifier_goes_to_the_provider_and_never_to_the_browser(visit, browse, provider):
    browser = browse(visit.app)
    sent = browser.get("/login/oidc")
    browser.get(provider.authorize(sent.headers["location"]))
    (used,) = provider.used
    assert len(used["code_verifier"]) >= 43  # RFC 7636, section 4.1
    assert used["code_verifier"] not in sent.headers["location"]


def test_a_provider_that_names_another_issuer_or_is_away_is_not_used(serve, browse, provider, told):
    provider.described = {"issuer": "https://evil.example"}
    app, _ = serve(oidc=told)
    assert browse(app).get("/login/oidc").status_code == 502
    gone, _ = serve(oidc=told | {"issuer": "http://127.0.0.1:9"})
    answer = browse(gone).get("/login/oidc?lang=en")
    assert answer.status_code == 502
    assert "cannot be used" in answer.text


def test_nobody_is_sent_elsewhere_after_signing_in_elsewhere(visit):
    assert visit(path="/login/oidc?next=//evil.example")[1].headers["location"] == "/"


def test_without_a_provider_there_is_no_such_route(serve, browse):
    assert browse(serve()[0]).get("/login/oidc").status_code == 404


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (
            {"oidc": {"issuer": "https://id.example", "client_id": "m", "client_secret": "x"}},
            "secret_in_settings",
        ),
        ({"oidc": {"issuer": "http://id.example", "client_id": "m"}}, "bad_setting"),
        ({"oidc": {"issuer": "https://id.example"}}, "bad_setting"),
        (
            {
                "oidc": {
                    "issuer": "https://id.example",
                    "client_id": "m",
                    "map": [{"value": "a", "role": "chief"}],
                }
            },
            "bad_role",
        ),
        (
            {
                "oidc": {
                    "issuer": "https://id.example",
                    "client_id": "m",
                    "map": [{"value": "a", "role": "tenant"}],
                }
            },
            "place_needed",
        ),
        (
            {"oidc": {"issuer": "https://id.example", "client_id": "m", "map": [{"role": "city"}]}},
            "bad_setting",
        ),
        ({"oidc": {"issuer": "https://id.example", "client_id": "m", "grups": "x"}}, "unknown_setting"),
        ({"oidc": "https://id.example"}, "bad_setting"),
        ({"guest": "chief"}, "bad_setting"),
        ({"trusted_proxies": ["the proxy"]}, "bad_setting"),
        ({"trusted_proxies": "10.0.0.1"}, "bad_setting"),
        ({"api_rate": 0}, "bad_setting"),
        ({"api_rate": True}, "bad_setting"),
        ({"api_rate": float("nan")}, "bad_setting"),
        ({"password_length": 8}, "bad_setting"),
        ({"pasword_length": 15}, "unknown_setting"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(told, code):
    with pytest.raises(AccessError) as caught:
        Settings.of(told)
    assert caught.value.code == f"access.{code}"


def test_the_secret_of_the_client_stands_in_a_file_or_in_the_environment(tmp_path, monkeypatch):
    base = {"issuer": "https://id.example", "client_id": "m"}
    path = tmp_path / "secret"
    path.write_text("from the file\n", encoding="utf-8")
    monkeypatch.setenv("A_SECRET", "from the environment")
    for said, found in (
        ({}, ""),
        ({"client_secret_file": str(path)}, "from the file"),
        ({"client_secret_env": "A_SECRET"}, "from the environment"),
    ):
        assert Settings.of({"oidc": base | said}).oidc.secret == found
    for said in ({"client_secret_file": str(tmp_path / "none")}, {"client_secret_env": "NO_SUCH_SECRET"}):
        with pytest.raises(AccessError):
            _ = Settings.of({"oidc": base | said}).oidc.secret
