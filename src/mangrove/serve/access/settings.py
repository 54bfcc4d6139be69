# SPDX-License-Identifier: Apache-2.0
"""What an operator may set about access: guests, proxies, limits, signing in elsewhere.

Comes in: the table `access` of the settings of a server, as read from YAML. Goes out: frozen `Settings`; every unknown key and every
value of the wrong kind is an error. No secret stands in the settings: they name a file or an environment variable.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mangrove.errors import did_you_mean
from mangrove.serve.access.passwords import MIN_LENGTH
from mangrove.serve.access.problems import AccessError
from mangrove.serve.access.users import USER_ROLES, check_role

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Grant:
    """Who has `value` in the claim gets `role` for `place`."""

    value: str
    role: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Oidc:
    """A provider of OpenID Connect.

    Attributes:
        issuer: its address, as it names itself; client_id: what it calls this server.
        client_secret_file, client_secret_env: where the secret stands; neither for a public client.
        label: words of the button; claim: name of the list (or word) in the identity that `map` looks at.
        map: the first grant that fits decides; nobody else gets in.
        scope: what is asked of the provider.
    """

    issuer: str
    client_id: str
    client_secret_file: str = ""
    client_secret_env: str = ""
    label: str = ""
    claim: str = "groups"
    map: tuple[Grant, ...] = ()
    scope: str = "openid profile"

    @property
    def secret(self) -> str:
        """The client's secret, empty for a public client; raises `AccessError` when its place is empty."""
        if self.client_secret_file:
            path = Path(self.client_secret_file)
            found = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        elif self.client_secret_env:
            found = os.environ.get(self.client_secret_env, "").strip()
        else:
            return ""
        if not found:
            raise AccessError(
                "access.no_client_secret", place=self.client_secret_file or self.client_secret_env
            )
        return found


@dataclass(frozen=True, slots=True)
class Settings:
    """How access is set up.

    Attributes:
        guest: role of whoever looks from this machine without signing in, empty for nobody.
        trusted_proxies: addresses or networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        login_rate, login_burst: tries to sign in from one address: new ones a second, and at first.
        api_rate, api_burst: requests of one principal, likewise.
        password_length: characters that a new password must have.
        oidc: a provider, None for passwords only.
    """

    guest: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    login_rate: float = 0.1
    login_burst: float = 10.0
    api_rate: float = 50.0
    api_burst: float = 500.0
    password_length: int = MIN_LENGTH
    oidc: Oidc | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Settings:
        """The settings of a table.

        Raises:
            AccessError: `access.bad_setting` for an unknown key or a value of the wrong kind.

        Example:
            >>> Settings.of({"trusted_proxies": ["127.0.0.1"], "api_rate": 10}).api_rate
            10.0
        """
        _known(told, cls)
        said: dict[str, Any] = {}
        if guest := told.get("guest"):
            if guest not in USER_ROLES:
                raise _bad("guest", guest)
            said["guest"] = guest
        if "trusted_proxies" in told:
            said["trusted_proxies"] = tuple(_network(one) for one in _list("trusted_proxies", told))
        for name in ("login_rate", "login_burst", "api_rate", "api_burst"):
            if name in told:
                said[name] = _positive(name, told[name])
        if "password_length" in told:
            length = told["password_length"]
            if not isinstance(length, int) or not MIN_LENGTH <= length <= 64:  # noqa: PLR2004 - SP 800-63B: 64 are always allowed
                raise _bad("password_length", length)
            said["password_length"] = length
        if told.get("oidc") is not None:
            said["oidc"] = _oidc(told["oidc"])
        return cls(**said)


def _oidc(told: object) -> Oidc:
    if not isinstance(told, Mapping):
        raise _bad("oidc", told)
    if "client_secret" in told:
        raise AccessError("access.secret_in_settings")
    _known(told, Oidc)
    words = {name: text for name, text in told.items() if name != "map"}
    for name, text in words.items():
        if not isinstance(text, str):
            raise _bad(f"oidc.{name}", text)
    for name in ("issuer", "client_id"):
        if not words.get(name):
            raise _bad(f"oidc.{name}", "")
    issuer = urlsplit(words["issuer"])
    if issuer.scheme != "https" and issuer.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise _bad("oidc.issuer", words["issuer"])
    grants = []
    for row in _list("map", told):
        if not isinstance(row, Mapping) or not row.get("value"):
            raise _bad("oidc.map", row)
        _known(row, Grant)
        grant = Grant(*(str(row.get(name, "")) for name in ("value", "role", "place")))
        check_role(grant.role, grant.place, USER_ROLES)
        grants.append(grant)
    return Oidc(**words, map=tuple(grants))


def _known(told: Mapping[str, Any], kind: type) -> None:
    options = [field.name for field in fields(kind)]
    for name in told:
        if name not in options:
            raise AccessError(
                "access.unknown_setting",
                name=name,
                options=", ".join(options),
                hint=did_you_mean(name, options),
            )


def _list(name: str, told: Mapping[str, Any]) -> Sequence[Any]:
    found = told.get(name, [])
    if not isinstance(found, list | tuple):
        raise _bad(name, found)
    return found


def _network(text: object) -> Network:
    try:
        return ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        raise _bad("trusted_proxies", text) from None


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:  # noqa: PLR2004
        raise _bad(name, value)
    return float(value)


def _bad(name: str, value: object) -> AccessError:
    return AccessError("access.bad_setting", name=name, value=str(value)[:80])
