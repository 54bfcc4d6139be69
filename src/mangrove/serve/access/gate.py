# SPDX-License-Identifier: Apache-2.0
"""The door of the server: who sends a request, and whether a person or a device of that role may have what it asks for.

Comes in: a request with the cookie of a session, with an API key, or with nothing. Goes out: a `Principal` and a `Scope`, or a
refusal: 401 for whom nobody knows (readers of pages are led to the sign-in), 403 for the wrong role, 429 for too many requests.
Requests that change something must come from a page of ours (see `csrf`) unless they carry a key.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import quote

import anyio
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request

from mangrove.serve import scope as scopes
from mangrove.serve.access import csrf, limits
from mangrove.serve.access.accounts import Accounts
from mangrove.serve.access.keys import Key
from mangrove.serve.access.problems import DeniedError, too_often
from mangrove.serve.access.settings import Settings
from mangrove.serve.access.table import COOKIES, PUBLIC, ROLES, Gate
from mangrove.serve.scope import GUEST, Principal, Scope
from mangrove.territory.model import Territory

MOST_FORM = 64 << 10
"""Bytes of a form; the longest one holds a note and two passwords."""
REALM = 'realm="Mangrove", charset="UTF-8"'
_PRE = "mangrove-visit"
_SESSION = "mangrove"
_WHO, _KNOWN, _VISIT = "mangrove.principal", "mangrove.session", "mangrove.visit"
"""Keys of the ASGI scope: the principal; a session token that was found good; the secret of a visit that has just begun."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
Allowed = Callable[[HTTPConnection], Awaitable[Principal]]


class Access:
    """Access to one server.

    Args:
        accounts: who there is.
        territory: what is declared; may be replaced when the declaration is read again.
        settings: see `Settings`.
    """

    def __init__(self, accounts: Accounts, territory: Territory, settings: Settings | None = None) -> None:
        self.accounts = accounts
        self.territory = territory
        self.settings = settings or Settings()
        said = self.settings
        self.logins = limits.Buckets(said.login_rate, said.login_burst)
        self.requests = limits.Buckets(said.api_rate, said.api_burst)
        self.provider: Any = None
        self.hashers = anyio.CapacityLimiter(2)
        self.strangers = limits.Buckets(said.login_rate, said.login_burst)

    async def caller(self, request: HTTPConnection) -> Principal:
        """Who sends this request; a dependency of FastAPI.

        Raises:
            DeniedError: 401, 403 or 429.
        """
        known = request.scope.get(_WHO)
        if known is not None:
            return cast("Principal", known)
        by_key = "authorization" in request.headers
        principal = await run_in_threadpool(self._of_key if by_key else self._of_visitor, request)
        if principal is None:
            raise self._unknown(request)
        wait = self.requests.take(principal.id if principal.kind != GUEST else self.address(request))
        if wait:
            raise too_often("access.too_often", wait)
        self._declared(principal)
        if not by_key:
            await self.from_our_page(request)
            request.state.csrf = csrf.token(self.anchor(request))
        request.scope[_WHO] = principal
        return principal

    setattr(caller, ROLES, scopes.ROLES)

    async def scope(self, request: HTTPConnection) -> Scope:
        """What the sender of this request may see; a dependency of FastAPI."""
        return Scope(self.territory, await self.caller(request))

    setattr(scope, ROLES, scopes.ROLES)

    @staticmethod
    def need(*roles: str, guests: bool = True, keys: bool = True) -> Allowed:
        """See `need`."""
        return need(*roles, guests=guests, keys=keys)

    def alive(self, principal: Principal) -> bool:
        """Whether a principal may still do what it could when a long connection began."""
        return self.accounts.alive(principal)

    def visible(self, principal: Principal, place: str) -> str:
        """`place`, when the principal sees it in detail.

        Raises:
            DeniedError: 404, the same for a place that does not exist and for one that belongs to somebody else.
        """
        if place not in self.territory.places or not Scope(self.territory, principal).sees(place):
            raise DeniedError("access.not_found", status=404)
        return place

    # --- who ---------------------------------------------------------------------------------------------------------

    def _of_key(self, request: HTTPConnection) -> Principal | None:
        """The principal of an API key; a wrong one is not forgiven by a good cookie beside it."""
        key = self._key(request.headers["authorization"])
        return key.principal if key else None

    def _key(self, header: str) -> Key | None:
        scheme, _, rest = header.partition(" ")
        if scheme.lower() in {"bearer", "token"}:
            return self.accounts.keys.find(rest.strip())
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
            username = name.decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        try:
            return self.accounts.keys.of_pair(username, password.decode("ascii"))
        except UnicodeDecodeError:
            return self.accounts.keys.of_pair(username, password)

    def _of_visitor(self, request: HTTPConnection) -> Principal | None:
        """The principal of a session, else the guest where there may be one."""
        if token := self.session(request):
            user = self.accounts.sessions.find(token)
            if user is not None:
                request.scope[_KNOWN] = token
                return user.principal
        return scopes.guest(self.settings.guest) if self.settings.guest and self._at_home(request) else None

    def _at_home(self, request: HTTPConnection) -> bool:
        """Whether the visitor sits at this machine: no proxy between, and no other name that somebody made to mean it."""
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        forwarded = any(one in request.headers for one in ("x-forwarded-for", "forwarded", "x-real-ip"))
        try:
            loopback = ipaddress.ip_address(request.client.host if request.client else "").is_loopback
        except ValueError:
            loopback = False
        return loopback and not forwarded and name.lower() in _LOOPBACK_NAMES

    def _unknown(self, request: HTTPConnection) -> DeniedError:
        """The refusal of somebody whom nobody knows."""
        if "authorization" in request.headers:
            wait = self.strangers.take(self.address(request))
            if wait:
                return too_often("access.too_often", wait)
        challenge = f"Bearer {REALM}"
        if "sec-fetch-mode" not in request.headers:  # a browser would open its own window at this word
            challenge = f"Basic {REALM}, {challenge}"
        method = request.scope.get("method", "")
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        back = f"?next={quote(csrf.local(path), safe='/')}" if method == "GET" and path != "/" else ""
        return DeniedError(
            "access.unknown", status=401, headers={"WWW-Authenticate": challenge}, location=f"/login{back}"
        )

    def _declared(self, principal: Principal) -> None:
        """Refuses a principal whose place or device is not declared any more."""
        if principal.place and principal.place not in self.territory.places:
            raise DeniedError("access.place_gone", status=403, place=principal.place)
        if principal.device and principal.device not in self.territory.devices:
            raise DeniedError("access.device_gone", status=403, device=principal.device)

    # --- where from --------------------------------------------------------------------------------------------------

    def address(self, request: HTTPConnection) -> str:
        """The address of the client as the nearest proxy that is trusted tells it; one for a whole IPv6 /64."""
        peer = request.client.host if request.client else ""
        hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
        while hops and self._trusted(peer):
            peer = hops.pop()
        return limits.neighborhood(peer)

    def secure(self, request: HTTPConnection) -> bool:
        """Whether the browser speaks TLS with us or with a trusted proxy."""
        said = request.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if said and self._trusted(request.client.host if request.client else ""):
            return said in {"https", "wss"}
        return request.url.scheme in {"https", "wss"}

    def origin(self, request: HTTPConnection) -> str:
        """The origin of our own pages as this browser sees it."""
        return f"{'https' if self.secure(request) else 'http'}://{request.headers.get('host', '')}"

    def _trusted(self, peer: str) -> bool:
        try:
            found = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(found in network for network in self.settings.trusted_proxies)

    # --- cookies and forms -------------------------------------------------------------------------------------------

    def session(self, request: HTTPConnection) -> str:
        """The token of the session cookie, empty without one."""
        return request.cookies.get(self._named(request, _SESSION), "")

    def anchor(self, request: HTTPConnection) -> str:
        """The secret that forms of this visitor are bound to: the session, else a cookie for the visit, made when missing."""
        token = self.session(request)
        if token and (request.scope.get(_KNOWN) == token or self.accounts.sessions.find(token) is not None):
            return token
        name = self._named(request, _PRE)
        made = request.scope.get(_VISIT) or request.cookies.get(name, "")
        if not made:
            made = secrets.token_urlsafe(32)
            request.scope[_VISIT] = made
            self.set_cookie(request, _PRE, made)
        return cast("str", made)

    def set_cookie(self, request: HTTPConnection, name: str, token: str) -> None:
        """A cookie of the answer: not for scripts, not for other sites, over TLS only where there is TLS, gone with the browser.

        Over TLS its name starts with `__Host-`, so that no other host of the same domain can set it.
        """
        parts = [f"{self._named(request, name)}={token}", "Path=/", "HttpOnly", "SameSite=Lax"]
        if self.secure(request):
            parts.append("Secure")
        if not token:
            parts.append("Max-Age=0")
        request.scope.setdefault(COOKIES, []).append("; ".join(parts))

    def begin(self, request: HTTPConnection, token: str) -> None:
        """The cookie of a session; the one of the visit before it is worthless from now on."""
        self.set_cookie(request, _SESSION, token)
        self.set_cookie(request, _PRE, "")

    def end(self, request: HTTPConnection) -> None:
        """Takes the cookie of a session away."""
        self.set_cookie(request, _SESSION, "")

    def _named(self, request: HTTPConnection, name: str) -> str:
        return f"__Host-{name}" if self.secure(request) else name

    async def from_our_page(self, request: HTTPConnection) -> None:
        """Refuses a request that changes something, or a WebSocket, when a page of another site made it.

        Raises:
            DeniedError: `access.foreign_page` (403).
        """
        socket = request.scope["type"] == "websocket"
        if not socket and request.scope.get("method") in csrf.SAFE:
            return
        if not csrf.same_origin(request.headers, self.origin(request)):
            raise DeniedError("access.foreign_page", status=403)
        if socket:
            return
        self._short(request)
        said = request.headers.get(csrf.HEADER) or await self._field(request)
        if not csrf.good(said, self.anchor(request)):
            raise DeniedError("access.foreign_page", status=403)

    @staticmethod
    def _short(request: HTTPConnection) -> None:
        """Refuses a form that is long, or does not say how long, before any of it is read: strangers may send forms too."""
        length = request.headers.get("content-length", "0")
        endless = "transfer-encoding" in request.headers
        if endless or not length.isdigit() or int(length[:18]) > MOST_FORM:
            raise DeniedError("access.form_too_long", status=413, most=MOST_FORM)

    async def _field(self, request: HTTPConnection) -> str:
        """The token in a form."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _FORMS or not isinstance(request, Request):
            return ""
        said = (await request.form()).get(csrf.FIELD)
        return said if isinstance(said, str) else ""


def need(*roles: str, guests: bool = True, keys: bool = True) -> Allowed:
    """A dependency that gives the principal of a request when it has one of `roles`.

    Args:
        roles: of `mangrove.serve.scope.ROLES`.
        guests: whether somebody who did not sign in may pass, where the server lets guests look at all.
        keys: whether a program with a key may pass.

    Raises:
        DeniedError: by the dependency: as `Access.caller`; `access.not_for_role` (403).
    """
    unknown = set(roles) - set(scopes.ROLES)
    assert roles, "a route must say for whom it is"
    assert not unknown, f"no such roles: {unknown}"

    async def allowed(request: HTTPConnection) -> Principal:
        access: Access = request.app.state.access
        principal = await access.caller(request)
        if principal.kind == "key" and not keys:
            raise DeniedError("access.not_for_keys", status=403)
        if principal.role not in roles or (principal.kind == GUEST and not guests):
            raise DeniedError("access.not_for_role", status=403, role=principal.role)
        return principal

    setattr(allowed, ROLES, roles)
    return allowed


async def public() -> None:
    """A dependency that says: this route needs nobody."""


setattr(public, ROLES, PUBLIC)


def audited(action: str, *roles: str) -> Allowed:
    """A dependency as `need`, which also records that what the route gives went out: `Depends(audited("export.made", "admin"))`."""
    inner = need(*roles)

    async def allowed(request: HTTPConnection) -> Principal:
        principal = await inner(request)
        access: Access = request.app.state.access
        detail = {"path": request.url.path, "query": request.url.query, "address": access.address(request)}
        await run_in_threadpool(access.accounts.audit.record, action, principal, detail)
        return principal

    setattr(allowed, ROLES, roles)
    return allowed


def guard(app: FastAPI, access: Access) -> None:
    """Puts the door in front of an application: `app.state.access`, the middleware, the answers to refusals, what is public."""
    from mangrove.serve.access.pages import answer_refusals

    app.state.access = access
    if not hasattr(app.state, "roles"):
        app.state.roles = {}
    for path in ("/static", "/healthz", "/favicon.ico", "/openapi.json"):
        app.state.roles.setdefault(path, PUBLIC)
    app.add_middleware(Gate, site=app)
    answer_refusals(app)
