# SPDX-License-Identifier: Apache-2.0
"""Requests that a page of ours made, told from requests that a stranger's page made in a visitor's browser.

Comes in: a secret that only the visitor's cookie holds, and what a request says about where it comes from. Goes out: tokens for forms
and yes or no. A token is derived from the secret and masked anew each time, so that compressed pages do not give it away
(RFC 7457, section 2.6). The check of the origin stands beside it (Fetch Metadata; OWASP Cross-Site Request Forgery Prevention).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

FIELD = "csrf"
HEADER = "x-csrf"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
_SIZE = hashlib.sha256().digest_size


def token(anchor: str) -> str:
    """A token for a form of the visitor whose cookie is `anchor`.

    Example:
        >>> token("a") != token("a"), good(token("a"), "a"), good(token("a"), "b")
        (True, True, False)
    """
    mask = secrets.token_bytes(_SIZE)
    return base64.urlsafe_b64encode(mask + _masked(_raw(anchor), mask)).decode()


def good(said: str, anchor: str) -> bool:
    """Whether `said` is a token of the visitor whose cookie is `anchor`; takes the same time for every wrong one."""
    try:
        found = base64.b64decode(said.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    if not anchor or len(found) != 2 * _SIZE:
        return False
    return hmac.compare_digest(_masked(found[_SIZE:], found[:_SIZE]), _raw(anchor))


def same_origin(headers: Mapping[str, str], own: str) -> bool:
    """Whether a request comes from a page of `own` (`https://host:port`), as far as its headers tell.

    A browser always says one of them with a form; a program that says none has to know the token anyway.

    Example:
        >>> same_origin({"origin": "https://evil.example"}, "https://park.example")
        False
    """
    if (origin := headers.get("origin")) is not None:
        return origin.casefold() == own.casefold()
    if (site := headers.get("sec-fetch-site")) is not None:
        return site in {"same-origin", "none"}
    if referer := headers.get("referer"):
        found = urlsplit(referer)
        return f"{found.scheme}://{found.netloc}".casefold() == own.casefold()
    return True


def local(address: str) -> str:
    r"""`address` when it is a path of this server, else `/`: nobody is sent elsewhere after signing in.

    Example:
        >>> local("/now?period=week"), local("//evil.example"), local("https://evil.example"), local("/\\evil.example")
        ('/now?period=week', '/', '/', '/')
    """
    plain = address.isprintable() and "\\" not in address and not address.startswith("//")
    return address if plain and address.startswith("/") else "/"


def _raw(anchor: str) -> bytes:
    return hmac.new(anchor.encode(), b"mangrove csrf", hashlib.sha256).digest()


def _masked(text: bytes, mask: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(text, mask, strict=True))
