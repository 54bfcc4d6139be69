# SPDX-License-Identifier: Apache-2.0
"""Sessions of people who signed in, and links that work once.

Comes in: a user, or the token of a cookie or an address. Goes out: tokens of 256 random bits, of which only the SHA-256 is kept;
the user of a token as long as it is good. A session ends after an hour without a request and after twelve hours in any case
(SP 800-63B asks for both limits at its second level: 30 minutes and 12 hours in revision 3, 4.2.3; an hour and 24 hours in revision
4, 2.2.3). A user that is disabled has no session from that moment on.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from mangrove.serve.access.audit import Audit
from mangrove.serve.access.problems import AccessError
from mangrove.serve.access.store import Store, digest, moment_of
from mangrove.serve.access.users import User, Users
from mangrove.serve.scope import Principal

LONGEST = timedelta(hours=12)
IDLE = timedelta(hours=1)
LINK_LIFE = timedelta(hours=24)
PURPOSES = ("first", "invite", "reset")
_MICROSECOND = timedelta(microseconds=1)
_SEEN_EVERY = timedelta(minutes=1)
"""The last request is written down at most so often."""


class Sessions:
    """All open sessions."""

    def __init__(self, store: Store, users: Users) -> None:
        self._store = store
        self._users = users

    def open(self, user: User, *, instead_of: str = "") -> str:
        """A new session and its token; `instead_of` is a token that ends with it, so that none outlives a sign-in."""
        token, now = secrets.token_urlsafe(32), self._store.stamp()
        with self._store.write() as db:
            idle = now - IDLE // _MICROSECOND
            old = digest(instead_of)
            db.execute("DELETE FROM sessions WHERE expires <= ? OR seen <= ? OR digest = ?", (now, idle, old))
            db.execute(
                "INSERT INTO sessions (digest, user, created, seen, expires) VALUES (?, ?, ?, ?, ?)",
                (digest(token), user.id, now, now, now + LONGEST // _MICROSECOND),
            )
        return token

    def find(self, token: str) -> User | None:
        """The user of a good session; this counts as a request of it."""
        hashed, now = digest(token), self._store.stamp()
        row = self._store.row("SELECT user, seen, expires FROM sessions WHERE digest = ?", hashed)
        if row is None:
            return None
        id_, seen, expires = row
        if now >= expires or now - seen >= IDLE // _MICROSECOND:
            self._store.note("DELETE FROM sessions WHERE digest = ?", hashed)
            return None
        user = self._users.get(id_)
        if user.disabled:
            return None
        if now - seen >= _SEEN_EVERY // _MICROSECOND:
            self._store.note("UPDATE sessions SET seen = ? WHERE digest = ?", now, hashed)
        return user

    def close(self, token: str) -> None:
        """Ends a session."""
        with self._store.write() as db:
            db.execute("DELETE FROM sessions WHERE digest = ?", (digest(token),))

    def __len__(self) -> int:
        return int((self._store.row("SELECT count(*) FROM sessions") or (0,))[0])


@dataclass(frozen=True, slots=True)
class OneTime:
    """A link that was not used yet: for what, and for whom (None: whoever becomes the first administrator)."""

    purpose: str
    user: User | None
    expires: datetime


class Links:
    """Links that let someone choose a password, once."""

    def __init__(self, store: Store, users: Users, audit: Audit) -> None:
        self._store = store
        self._users = users
        self._audit = audit

    def make(self, purpose: str, user: User | None, *, by: Principal) -> str:
        """The path of a new link, `/enter/TOKEN`; earlier ones for the same user are worthless from now on."""
        assert purpose in PURPOSES
        token, now = secrets.token_urlsafe(32), self._store.stamp()
        with self._store.write() as db:
            db.execute("DELETE FROM links WHERE user IS ? AND used IS NULL", (user.id if user else None,))
            db.execute(
                "INSERT INTO links (digest, purpose, user, created, expires) VALUES (?, ?, ?, ?, ?)",
                (digest(token), purpose, user.id if user else None, now, now + LINK_LIFE // _MICROSECOND),
            )
            detail = {"purpose": purpose, "user": user.principal.id if user else ""}
            self._audit.record("user.link", by, detail)
        return f"/enter/{token}"

    def find(self, token: str) -> OneTime:
        """What a link is for, without using it.

        Raises:
            AccessError: `access.bad_link` when it does not exist, was used, is too old, or is of a disabled user.
        """
        row = self._store.row(
            "SELECT purpose, user, expires, used FROM links WHERE digest = ?", digest(token)
        )
        if row is None or row[3] is not None or self._store.stamp() >= row[2]:
            raise AccessError("access.bad_link")
        user = None if row[1] is None else self._users.get(row[1])
        if (user is not None and user.disabled) or (user is None and self._users.administered()):
            raise AccessError("access.bad_link")
        return OneTime(row[0], user, moment_of(row[2]))

    def use(self, token: str, name: str, password: str) -> User:
        """Uses a link up: sets the password of its user, or makes the first administrator of that name.

        The password was accepted by `passwords.check`. A link opens once, also when two try at the same moment.

        Raises:
            AccessError: as `find`; as `Users.add` for the name of the first administrator.
        """
        self.find(token)  # a stranger with a wrong link does not get a slow hash for it
        kept = self._users.hasher.hash(password)
        with self._store.write() as db:
            link = self.find(token)
            user = link.user
            if user is None:
                by = Principal("link", link.purpose, "user", "admin")
                user = self._users.add(name, "admin", by=by)
            db.execute("UPDATE links SET used = ? WHERE digest = ?", (self._store.stamp(), digest(token)))
            self._users.keep_password(user.id, kept, by=user.principal)
            return self._users.signed_in(user.id, {"link": link.purpose})
