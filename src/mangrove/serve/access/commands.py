# SPDX-License-Identifier: Apache-2.0
"""The commands about access: users, keys and the audit log of a territory, from the machine where it stands.

Comes in: a folder and words. Goes out: what was made or found. Whoever may read the file of accounts is the operator of the machine,
so a command asks for no password; who called it is written into the log by the name of the account of the system. A server that
runs need not be stopped: both use the same file, and what is changed here holds from the next request on.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from mangrove import api, messages
from mangrove.errors import Problem, did_you_mean
from mangrove.printing import grid
from mangrove.serve.access.accounts import Accounts
from mangrove.serve.access.audit import Audit, Head, Record
from mangrove.serve.access.keys import Key, last_moment, number_of
from mangrove.serve.access.problems import AccessError
from mangrove.serve.access.store import Store
from mangrove.serve.access.users import User
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal
from mangrove.territory.model import Territory


def shell() -> Principal:
    """Who calls a command: the account of the operating system."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        name = "?"
    return Principal("shell", name, "user", "admin")


def add_user(folder: Path, name: str, role: str, place: str = "", *, speaks: str = "") -> tuple[User, str]:
    """A new user and the path of its invitation.

    Args:
        folder: of the territory.
        name: of the user.
        role: one of `USER_ROLES`.
        place: id of a declared place; empty for the whole.
        speaks: language of its pages; empty for the territory's.

    Raises:
        AccessError: as `Users.add`; `access.no_place`.
    """
    _declared(api.open(folder).territory, place)
    with _opened(folder) as accounts, accounts.store.write():
        user = accounts.users.add(name, role, place, lang=speaks, by=shell())
        return user, accounts.links.make("invite", user, by=shell())


def link_user(folder: Path, name: str = "") -> str:
    """The path of a one-time link for a user; without a name the one of the first administrator.

    Raises:
        AccessError: `access.no_user`; `access.administered` when there is an administrator already and no name.
    """
    with _opened(folder) as accounts:
        if not name:
            if link := accounts.first_link():
                return link
            raise AccessError("access.administered")
        user = accounts.users.find(name)
        return accounts.links.make("reset" if user.has_password else "invite", user, by=shell())


def disable_user(folder: Path, name: str, *, disabled: bool = True) -> User:
    """Disables a user and ends its sessions, or enables it again."""
    with _opened(folder) as accounts:
        return accounts.users.change(accounts.users.find(name).id, by=shell(), disabled=disabled)


def users(folder: Path) -> list[User]:
    """All users."""
    with _opened(folder) as accounts:
        return accounts.users.all()


def add_key(
    folder: Path, name: str, role: str, place: str = "", *, device: str = "", expires: str = ""
) -> tuple[Key, str]:
    """A new key and its secret.

    Args:
        folder: of the territory.
        name: for people.
        role: one of `mangrove.serve.scope.ROLES`.
        place: id of a declared place; empty for the whole.
        device: id of a declared device, for the role `device`.
        expires: its last day (2026-12-31), local; empty for none.

    Raises:
        AccessError: as `Keys.add`; `access.no_place`, `access.no_device`.
    """
    territory = api.open(folder).territory
    _declared(territory, place)
    found = territory.devices.get(device)
    if device and found is None:
        hint = did_you_mean(device, territory.devices)
        raise AccessError("access.no_device", device=device, hint=hint)
    until = last_moment(expires, territory.tz)
    short = found is not None and found.protocol == "ocpp"
    with _opened(folder) as accounts:
        return accounts.keys.add(name, role, place, device=device, expires=until, short=short, by=shell())


def revoke_key(folder: Path, key: str) -> Key:
    """Makes a key (`k3`) worthless."""
    with _opened(folder) as accounts:
        return accounts.keys.revoke(number_of(key), by=shell())


def keys(folder: Path) -> list[Key]:
    """All keys, newest first."""
    with _opened(folder) as accounts:
        return accounts.keys.all()


def log(folder: Path, *, last: int = 50, action: str = "") -> list[Record]:
    """The last records of the audit log, newest first."""
    with _log(folder) as audit:
        return audit.show(last=last, action=action)


def head(folder: Path) -> Head:
    """The head of the chain, to be kept elsewhere."""
    with _log(folder) as audit:
        return audit.head()


def verify(folder: Path, kept: str = "") -> tuple[list[Problem], Head]:
    """The findings of the audit log, against a head that was kept when one is given, and its present head."""
    asked = Head.parse(kept) if kept else None
    with _log(folder) as audit:
        return audit.verify(asked), audit.head()


# --- for the screen --------------------------------------------------------------------------------------------------


def users_text(found: Sequence[User], tz: ZoneInfo, lang: str) -> str:
    """Users as a table for people."""
    body = [
        [
            user.name,
            _word(f"live.role_{user.role}", lang),
            user.place,
            _word(f"access.{_state(user)}", lang),
            _when(user.last_login, tz),
        ]
        for user in found
    ]
    return _table(("name", "role", "place", "state", "last_seen"), body, lang)


def keys_text(found: Sequence[Key], tz: ZoneInfo, lang: str) -> str:
    """Keys as a table for people."""
    now = Clock().now()
    body = []
    for key in found:
        state = "active" if key.works(now) else "revoked" if key.revoked else "expired"
        words = [key.principal.id, key.prefix + "…", key.name, _word(f"live.role_{key.role}", lang)]
        words += [key.device or key.place, _word(f"access.{state}", lang), _when(key.last_used, tz)]
        body.append(words)
    return _table(("key", "begins", "name", "role", "belongs", "state", "last_used"), body, lang)


def log_text(found: Sequence[Record], tz: ZoneInfo, lang: str) -> str:
    """Records as a table for people; a control character in a name or a path shows its code."""
    body = [
        [str(record.id), _when(record.at, tz), _plain(record.who), record.action, _plain(record.detail)]
        for record in found
    ]
    return _table(("number", "when", "who", "action", "detail"), body, lang)


def as_json(found: Sequence[User] | Sequence[Key] | Sequence[Record]) -> str:
    """The same as JSON, with UTC times; no secret is among it."""
    return json.dumps([_fields(one) for one in found], ensure_ascii=False, indent=2, default=str)


def _fields(one: User | Key | Record) -> dict[str, Any]:
    if isinstance(one, Record):
        return {
            "id": one.id,
            "at": one.at.isoformat(),
            "who": one.who,
            "action": one.action,
            "detail": one.data,
            "prev": one.prev,
            "hash": one.hash,
        }
    found = {name: getattr(one, name) for name in one.__slots__}
    found = {name: word.isoformat() if isinstance(word, datetime) else word for name, word in found.items()}
    return {**found, "id": one.principal.id}


def _state(user: User) -> str:
    return "disabled" if user.disabled else "active" if user.enters else "invited"


def _table(heads: Sequence[str], body: Sequence[Sequence[str]], lang: str) -> str:
    header = [_word(f"access.{name}", lang) for name in heads]
    if not body:
        return _word("cli.no_rows", lang)
    return "\n".join(grid(header, body, left=set(range(len(heads)))))


def _word(code: str, lang: str) -> str:
    return messages.render(code, lang)


def _when(moment: datetime | None, tz: ZoneInfo) -> str:
    return moment.astimezone(tz).strftime("%Y-%m-%d %H:%M") if moment else "-"


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _declared(territory: Territory, place: str) -> None:
    if place and place not in territory.places:
        raise AccessError("access.no_place", place=place, hint=did_you_mean(place, territory.places))


@contextmanager
def _opened(folder: Path) -> Iterator[Accounts]:
    """The accounts of a territory that is declared."""
    with Accounts(api.open(folder).territory.path) as accounts:
        yield accounts


@contextmanager
def _log(folder: Path) -> Iterator[Audit]:
    """The log alone, without writing to the file."""
    store = Store(folder, Clock(), read_only=True)
    try:
        yield Audit(store)
    finally:
        store.close()
