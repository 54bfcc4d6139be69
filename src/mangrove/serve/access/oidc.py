# SPDX-License-Identifier: Apache-2.0
"""Signing in with an identity from elsewhere: OpenID Connect, authorization code flow with PKCE.

Comes in: the address of a provider and a table of who gets which role (see `settings.Oidc`). Goes out: the same sessions as for
passwords. An account is made when somebody whom the table names signs in for the first time; whoever it does not name stays
outside, also with an account. What a provider says is believed only with a signature of a key that it publishes, for this client,
for this visit, and not too late (OpenID Connect Core 1.0, 3.1.3.7; RFC 7636; RFC 9700). The work with other computers is done by
authlib and joserfc (extra `oidc`).
"""

from __future__ import annotations

import hmac
import importlib.util
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mangrove.errors import MissingExtraError
from mangrove.serve.access import csrf
from mangrove.serve.access.gate import Access, public
from mangrove.serve.access.pages import access_of
from mangrove.serve.access.problems import AccessError, DeniedError, too_often
from mangrove.serve.access.routes import admit
from mangrove.serve.access.settings import Grant, Oidc
from mangrove.serve.access.store import digest
from mangrove.serve.access.users import LONGEST_NAME, User
from mangrove.serve.scope import Principal

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures that are accepted: only those with a public key, so neither `none` nor a secret that the client knows (RFC 8725, 3.1)."""
LEEWAY = 60
"""Seconds by which the clocks of both sides may differ."""
_PATIENCE = 10.0
_KEPT = 3600.0
_VISIT = 600.0
_MOST_VISITS = 1_000
_BACK = "/login/oidc/back"


@dataclass(frozen=True, slots=True)
class Visit:
    """A sign-in that has begun: what only this browser and this server know."""

    nonce: str
    verifier: str
    browser: str
    next: str
    until: float


class Visits:
    """Sign-ins that have begun, by state; each is taken once, and at most a thousand are kept."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: OrderedDict[str, Visit] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, browser: str, next_: str) -> tuple[str, Visit]:
        """A new state and what belongs to it."""
        state = secrets.token_urlsafe(32)
        until = self._now() + _VISIT
        visit = Visit(secrets.token_urlsafe(32), secrets.token_urlsafe(48), digest(browser), next_, until)
        with self._lock:
            self._kept[digest(state)] = visit
            while len(self._kept) > _MOST_VISITS:
                self._kept.popitem(last=False)
        return state, visit

    def take(self, state: str, browser: str) -> Visit:
        """What belongs to a state, once, and only for the browser that began.

        Raises:
            DeniedError: `access.oidc_state`.
        """
        with self._lock:
            visit = self._kept.pop(digest(state), None)
        if visit is None or self._now() >= visit.until:
            raise DeniedError("access.oidc_state", status=403)
        if not hmac.compare_digest(visit.browser, digest(browser)):
            raise DeniedError("access.oidc_state", status=403)
        return visit


class Provider:
    """A provider of identities: its published description and keys, kept for an hour.

    Args:
        settings: see `Oidc`.
        now: seconds since 1970, for the times in tokens.
    """

    def __init__(self, settings: Oidc, now: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.visits = Visits()
        self._now = now
        self._facts: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None

    def address(self, redirect: str, state: str, visit: Visit) -> str:
        """Where the browser is sent to sign in."""
        facts = self._described()
        with self._client(redirect) as client:
            url, _ = client.create_authorization_url(
                facts["authorization_endpoint"], state=state, nonce=visit.nonce, code_verifier=visit.verifier
            )
        return str(url)

    def identity(self, redirect: str, code: str, visit: Visit) -> dict[str, Any]:
        """The claims of whoever came back with `code`.

        Raises:
            DeniedError: `access.oidc_refused`, `access.oidc_away`, `access.oidc_token`.
        """
        from authlib.integrations.base_client.errors import OAuthError
        from httpx import HTTPError

        facts = self._described()
        try:
            with self._client(redirect) as client:
                answer = client.fetch_token(facts["token_endpoint"], code=code, code_verifier=visit.verifier)
        except OAuthError as error:
            raise DeniedError("access.oidc_refused", status=403, reason=str(error)[:200]) from None
        except (HTTPError, ValueError) as error:
            raise _away(error) from None
        return self.claims(str(answer.get("id_token", "")), visit.nonce)

    def claims(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an identity token, when it is good.

        Raises:
            DeniedError: `access.oidc_token`: the signature, `iss`, `aud`, `azp`, `exp`, `iat`, `nonce` or `sub` is not as it must be.
        """
        from joserfc import jwt
        from joserfc.errors import JoseError

        asked = jwt.JWTClaimsRegistry(
            now=lambda: int(self._now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            claims = self._decoded(token).claims
            asked.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise _bad(type(error).__name__) from None
        said = claims.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
            raise _bad("nonce")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
            raise _bad("azp")
        if claims.get("azp", self.settings.client_id) != self.settings.client_id:
            raise _bad("azp")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise _bad("sub")
        return dict(claims)

    def _decoded(self, token: str) -> Any:
        """The token with its signature verified; keys are fetched again when it names one that is not known."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError

        try:
            return jwt.decode(token, self._published(), algorithms=list(ALGORITHMS))
        except InvalidKeyIdError:
            return jwt.decode(token, self._published(anew=True), algorithms=list(ALGORITHMS))

    def _described(self) -> dict[str, Any]:
        """The provider's description (OpenID Connect Discovery 1.0), which must name the issuer that was set up."""
        if self._facts is None or time.monotonic() >= self._facts[0]:
            facts = _fetched(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            if facts.get("issuer") != self.settings.issuer or not all(facts.get(name) for name in needed):
                raise DeniedError("access.oidc_away", status=502, reason="issuer")
            self._facts = (time.monotonic() + _KEPT, facts)
        return self._facts[1]

    def _published(self, *, anew: bool = False) -> Any:
        from joserfc.jwk import KeySet

        if anew or self._keys is None or time.monotonic() >= self._keys[0]:
            found = KeySet.import_key_set(_fetched(self._described()["jwks_uri"]))
            self._keys = (time.monotonic() + _KEPT, found)
        return self._keys[1]

    def _client(self, redirect: str) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        settings = self.settings
        return OAuth2Client(
            settings.client_id,
            settings.secret or None,
            token_endpoint_auth_method="client_secret_basic" if settings.secret else "none",
            scope=settings.scope,
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=_PATIENCE,
            trust_env=False,
        )


def grant_of(settings: Oidc, claims: Mapping[str, Any]) -> Grant | None:
    """The first grant of the table that fits the claims.

    Example:
        >>> table = Oidc("https://id.example", "mangrove", map=(Grant("ops", "operator"),))
        >>> grant_of(table, {"groups": ["staff", "ops"]}).role
        'operator'
    """
    said = claims.get(settings.claim)
    words = {said} if isinstance(said, str) else {word for word in said or () if isinstance(word, str)}
    return next((grant for grant in settings.map if grant.value in words), None)


def known(access: Access, claims: Mapping[str, Any], address: str) -> User:
    """The user of an identity, made at the first sign-in; its role and place are what the table says today.

    Raises:
        DeniedError: `access.oidc_nobody` when the table does not name it, or its account is disabled.
    """
    settings = access.settings.oidc
    assert settings is not None
    accounts, subject = access.accounts, str(claims["sub"])
    by = Principal("oidc", settings.issuer, "system", "admin")
    grant = grant_of(settings, claims)
    with accounts.store.write():
        user = accounts.users.identity(settings.issuer, subject)
        if grant is None or (user is not None and user.disabled):
            if user is not None:
                accounts.users.forget(user.id)
            accounts.audit.record("user.login_failed", by, {"subject": subject, "address": address})
        elif user is None:
            name = _free_name(access, claims)
            user = accounts.users.add(
                name, grant.role, grant.place, by=by, identity=(settings.issuer, subject)
            )
        elif (user.role, user.place) != (grant.role, grant.place):
            user = accounts.users.change(user.id, by=by, role=grant.role, place=grant.place)
        if grant is not None and user is not None and not user.disabled:
            return accounts.users.signed_in(user.id, {"address": address, "issuer": settings.issuer})
    raise DeniedError("access.oidc_nobody", status=403)


def _free_name(access: Access, claims: Mapping[str, Any]) -> str:
    """A name that nobody has: what the provider calls this person, with the subject where somebody else is called so."""
    said = claims.get("name") or claims.get("preferred_username") or claims["sub"]
    printable = "".join(char for char in str(said) if char.isprintable()).strip()[: LONGEST_NAME // 2]
    for name in (printable, f"{printable} ({str(claims['sub'])[: LONGEST_NAME // 4]})"):
        try:
            access.accounts.users.find(name)
        except AccessError:
            return name
    return f"{printable[: LONGEST_NAME // 4]} ({digest(str(claims['sub']))[:16]})"


def router() -> APIRouter:
    """The two routes of signing in elsewhere."""
    made = APIRouter(tags=["access"], include_in_schema=False, dependencies=[Depends(public)])
    made.add_api_route("/login/oidc", begin, methods=["GET"])
    made.add_api_route(_BACK, back, methods=["GET"])
    return made


async def begin(request: Request) -> Response:
    """Sends the browser to the provider."""
    access = access_of(request)
    provider = provider_of(access)
    if wait := access.logins.take(access.address(request)):
        raise too_often("access.too_often", wait)
    next_ = csrf.local(request.query_params.get("next", "/"))
    state, visit = provider.visits.begin(access.anchor(request), next_)
    url = await run_in_threadpool(provider.address, access.origin(request) + _BACK, state, visit)
    return RedirectResponse(url, 303)


async def back(request: Request) -> Response:
    """Takes the browser back from the provider and signs it in."""
    access, said = access_of(request), request.query_params
    provider = provider_of(access)
    visit = provider.visits.take(said.get("state", ""), access.anchor(request))
    if "error" in said or "code" not in said:
        raise DeniedError("access.oidc_refused", status=403, reason=said.get("error", "code")[:80])
    if said.get("iss", provider.settings.issuer) != provider.settings.issuer:  # RFC 9207
        raise DeniedError("access.oidc_refused", status=403, reason="iss")
    redirect = access.origin(request) + _BACK
    claims = await run_in_threadpool(provider.identity, redirect, said["code"], visit)
    user = await run_in_threadpool(partial(known, access, claims, access.address(request)))
    return await admit(request, user, visit.next)


def provider_of(access: Access) -> Provider:
    """The provider of a server.

    Raises:
        DeniedError: `access.oidc_off` when none is set up.
        MissingExtraError: the extra `oidc` is not installed.
    """
    if access.settings.oidc is None:
        raise DeniedError("access.oidc_off", status=404)
    if not all(importlib.util.find_spec(name) for name in ("authlib", "httpx", "joserfc")):
        raise MissingExtraError("oidc")
    if access.provider is None:
        clock = access.accounts.store.clock
        access.provider = Provider(access.settings.oidc, lambda: clock.now().timestamp())
    found: Provider = access.provider
    return found


def _fetched(url: str) -> dict[str, Any]:
    """A JSON document of the provider; no redirection is followed."""
    import httpx

    try:
        with httpx.Client(timeout=_PATIENCE, trust_env=False) as client:
            found: dict[str, Any] = client.get(url).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise _away(error) from None
    return found


def _away(error: Exception) -> DeniedError:
    return DeniedError("access.oidc_away", status=502, reason=type(error).__name__)


def _bad(reason: str) -> DeniedError:
    return DeniedError("access.oidc_token", status=403, reason=reason)
