# SPDX-License-Identifier: Apache-2.0
"""People: their accounts, what each may do, and whether a name and a password belong together.

Comes in: names, roles, places, passwords. Goes out: users. A name is kept in one spelling (NFC, tone marks in one place, see
`mangrove.text.canonical`) and no two users differ only in spelling or case. Every change is recorded in the audit log in the same
transaction. Wrong passwords delay the next try and lock the account for a while; the answer is the same for a name that nobody has.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mangrove import text
from mangrove.messages import LANGUAGES
from mangrove.serve.access import limits
from mangrove.serve.access.audit import Audit
from mangrove.serve.access.passwords import Hasher
from mangrove.serve.access.problems import AccessError, DeniedError, too_often
from mangrove.serve.access.store import Store, maybe, moment_of
from mangrove.serve.scope import Principal

USER_ROLES = ("admin", "operator", "tenant", "city")
"""Roles of people; `device` and `worker` are for keys."""
LONGEST_NAME = 64
STRANGER = Principal("-", "", "guest", "")
"""Who a record names when nobody is signed in."""
_COLUMNS = (
    "id, name, lang, role, place, hash IS NOT NULL, disabled, created, last_login, locked_until, issuer"
)
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class User:
    """An account of a person.

    Attributes:
        role: one of `USER_ROLES`; place: root of its subtree, empty for the whole territory.
        enters: whether it has a password or an identity elsewhere; without, it waits for its invitation to be used.
        issuer: who signs it in instead of a password (OpenID Connect), else None.
    """

    id: int
    name: str
    lang: str
    role: str
    place: str
    has_password: bool
    disabled: bool
    created: datetime
    last_login: datetime | None
    locked_until: datetime | None
    issuer: str | None

    @property
    def principal(self) -> Principal:
        """Who it is to the rest of Mangrove."""
        return Principal(f"u{self.id}", self.name, "user", self.role, self.place)

    @property
    def enters(self) -> bool:
        """Whether it can sign in."""
        return not self.disabled and (self.has_password or self.issuer is not None)


class Users:
    """All accounts of a territory."""

    def __init__(self, store: Store, audit: Audit, hasher: Hasher) -> None:
        self._store = store
        self._audit = audit
        self.hasher = hasher
        self.unknown = limits.Tries()

    def attempt(self, name: str, password: str, *, address: str = "") -> User:
        """The user that `name` and `password` belong to; signs nobody in by itself.

        Raises:
            DeniedError: `access.locked` (429, also for the right password), `access.wrong` (401).
        """
        key = name_key(name)
        id_, kept, failed = self._counted(key)
        same, renewed = self.hasher.verify(password, kept)
        if not same:
            action = "user.locked" if failed >= limits.MOST_TRIES else "user.login_failed"
            who = (
                self.get(id_).principal if id_ else STRANGER
            )  # an unknown name may be a password typed in the wrong field
            self._audit.record(action, who, {"address": address, "tries": failed})
            raise DeniedError("access.wrong", status=401)
        with self._store.write() as db:
            db.execute(
                "UPDATE users SET failed = 0, locked_until = NULL, last_login = ?, hash = ? WHERE id = ?",
                (self._store.stamp(), renewed or kept, id_),
            )
            user = self.get(id_)
            self._audit.record("user.login", user.principal, {"address": address})
        return user

    def _counted(self, key: str) -> tuple[int, str | None, int]:
        """Counts a try before its password is looked at, so that many at the same moment are not one.

        Returns:
            The number of the user (0 for nobody), its hash (None when nothing opens it), the tries in a row with this one.
        """
        with self._store.write() as db:
            row = self._store.row(
                "SELECT id, hash, disabled, failed, locked_until FROM users WHERE name_key = ?", key
            )
            id_, kept, disabled, failed, until = row or (0, None, 0, *self.unknown.of(key))
            now = self._store.stamp()
            if until and until > now:
                raise too_often("access.locked", (until - now) / _MILLION)
            until = now + int(limits.delay(failed + 1).total_seconds() * _MILLION)
            if id_:
                db.execute(
                    "UPDATE users SET failed = ?, locked_until = ? WHERE id = ?", (failed + 1, until, id_)
                )
            else:
                self.unknown.put(key, failed + 1, until)
            return id_, None if disabled else kept, failed + 1

    def add(
        self,
        name: str,
        role: str,
        place: str = "",
        *,
        lang: str = "",
        by: Principal,
        identity: tuple[str, str] | None = None,
    ) -> User:
        """A new account without a password; a link lets its owner choose one.

        Args:
            name: unique among users, whatever its spelling or case.
            role: one of `USER_ROLES`.
            place: needed by tenants, refused for admins.
            lang: of the pages; empty for the territory's.
            by: who does this.
            identity: (issuer, subject) of someone who is signed in elsewhere.

        Raises:
            AccessError: `access.bad_name`, `access.name_taken`, `access.bad_role`, `access.place_needed`, `access.place_refused`.
        """
        said, key = proper_name(name), name_key(name)
        check_role(role, place, USER_ROLES)
        check_lang(lang)
        issuer, subject = identity or (None, None)
        with self._store.write() as db:
            if self._store.row("SELECT 1 FROM users WHERE name_key = ?", key):
                raise AccessError("access.name_taken", name=said)
            made = db.execute(
                "INSERT INTO users (name, name_key, lang, role, place, created, issuer, subject) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (said, key, lang, role, place, self._store.stamp(), issuer, subject),
            )
            user = self.get(int(made.lastrowid or 0))
            detail = {"user": user.principal.id, "name": said, "role": role, "place": place}
            self._audit.record("user.added", by, detail)
        return user

    def change(self, id_: int, *, by: Principal, **changes: str | bool) -> User:
        """Changes `name`, `role`, `place`, `lang` or `disabled`; what a user may do holds from the next request on.

        Raises:
            AccessError: as `add`; `access.no_user`; `access.last_admin` when nobody could administer any more.
        """
        assert set(changes) <= {"name", "role", "place", "lang", "disabled"}
        with self._store.write() as db:
            before = self.get(id_)
            new = {
                name: changes.get(name, getattr(before, name))
                for name in ("role", "place", "lang", "disabled")
            }
            check_role(str(new["role"]), str(new["place"]), USER_ROLES)
            check_lang(str(new["lang"]))
            name = proper_name(str(changes.get("name", before.name)))
            taken = self._store.row("SELECT 1 FROM users WHERE name_key = ? AND id <> ?", name_key(name), id_)
            if taken:
                raise AccessError("access.name_taken", name=name)
            db.execute(
                "UPDATE users SET name = ?, name_key = ?, role = ?, place = ?, lang = ?, disabled = ? WHERE id = ?",
                (name, name_key(name), *new.values(), id_),
            )
            if new["disabled"]:
                self.forget(id_)
            if before.role == "admin" and before.enters and not self.administered():
                raise AccessError("access.last_admin", name=before.name)
            self._audit.record("user.changed", by, {"user": before.principal.id, **changes})
            return self.get(id_)

    def set_password(self, id_: int, password: str, *, by: Principal) -> None:
        """Keeps a password that `passwords.check` accepted, ends every session and unlocks the account."""
        self.keep_password(id_, self.hasher.hash(password), by=by)

    def keep_password(self, id_: int, kept: str, *, by: Principal) -> None:
        """As `set_password`, with the hash."""
        with self._store.write() as db:
            user = self.get(id_)
            db.execute("UPDATE users SET hash = ?, failed = 0, locked_until = NULL WHERE id = ?", (kept, id_))
            self.forget(id_)
            self._audit.record("user.password", by, {"user": user.principal.id})

    def forget(self, id_: int) -> None:
        """Ends the sessions of a user and makes its unused links worthless."""
        with self._store.write() as db:
            db.execute("DELETE FROM sessions WHERE user = ?", (id_,))
            db.execute("DELETE FROM links WHERE user = ? AND used IS NULL", (id_,))

    def signed_in(self, id_: int, detail: dict[str, str]) -> User:
        """Records that someone was signed in without a password: by a link, or elsewhere."""
        with self._store.write() as db:
            db.execute("UPDATE users SET last_login = ? WHERE id = ?", (self._store.stamp(), id_))
            user = self.get(id_)
            self._audit.record("user.login", user.principal, detail)
        return user

    def get(self, id_: int) -> User:
        """The user of a number; raises `AccessError` when there is none."""
        row = self._store.row(f"SELECT {_COLUMNS} FROM users WHERE id = ?", id_)
        if row is None:
            raise AccessError("access.no_user", name=id_)
        return user_of(row)

    def find(self, name: str) -> User:
        """The user of a name, in any spelling; raises `AccessError` when there is none."""
        row = self._store.row(f"SELECT {_COLUMNS} FROM users WHERE name_key = ?", name_key(name))
        if row is None:
            raise AccessError("access.no_user", name=name)
        return user_of(row)

    def identity(self, issuer: str, subject: str) -> User | None:
        """The user whom `issuer` knows as `subject`."""
        found = self._store.row(
            f"SELECT {_COLUMNS} FROM users WHERE issuer = ? AND subject = ?", issuer, subject
        )
        return user_of(found) if found else None

    def all(self) -> list[User]:
        """Every user, by name as a Vietnamese dictionary sorts."""
        found = [user_of(row) for row in self._store.rows(f"SELECT {_COLUMNS} FROM users")]
        return sorted(found, key=lambda user: text.sort_key(user.name))

    def administered(self) -> bool:
        """Whether some administrator can sign in."""
        return any(user.role == "admin" and user.enters for user in self.all())


def user_of(row: tuple[Any, ...]) -> User:
    """A user from its row."""
    id_, name, lang, role, place, has_password, disabled, created, last, locked, issuer = row
    return User(
        id=id_,
        name=name,
        lang=lang,
        role=role,
        place=place,
        has_password=bool(has_password),
        disabled=bool(disabled),
        created=moment_of(created),
        last_login=maybe(last),
        locked_until=maybe(locked),
        issuer=issuer,
    )


def proper_name(name: str) -> str:
    """A name in the one spelling in which it is kept; raises `AccessError` for none, a long one, or invisible characters.

    Example:
        >>> proper_name("  Nguyễn Thị Hòa ")
        'Nguyễn Thị Hoà'
    """
    said = text.canonical(name)
    hidden = any(unicodedata.category(char)[0] == "C" for char in said)
    if not said or len(said) > LONGEST_NAME or hidden:
        raise AccessError("access.bad_name", most=LONGEST_NAME)
    return said


def name_key(name: str) -> str:
    """What two spellings of one name share."""
    return text.canonical(unicodedata.normalize("NFKC", name)[: 4 * LONGEST_NAME]).casefold()


def check_role(role: str, place: str, options: tuple[str, ...]) -> None:
    """Refuses an unknown role, a tenant without a place, and an administrator of a part."""
    if role not in options:
        raise AccessError("access.bad_role", role=role, options=", ".join(options))
    if role == "tenant" and not place:
        raise AccessError("access.place_needed", role=role)
    if role in {"admin", "worker"} and place:
        raise AccessError("access.place_refused", role=role)


def check_lang(lang: str) -> None:
    """Refuses a language that the pages do not have; an empty one means the territory's."""
    if lang and lang not in LANGUAGES:
        raise AccessError("access.bad_lang", word=lang, options=", ".join(LANGUAGES))
