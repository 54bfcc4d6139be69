# SPDX-License-Identifier: Apache-2.0
"""API keys: random secrets for programs and devices, shown once, kept as SHA-256 only.

Comes in: a name, a role, a place or a device. Goes out: the secret, once; later the principal that it belongs to. A key of a device
is also its password for the MQTT broker, so its hash in the broker's own form is kept beside it.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mangrove.serve.access.audit import Audit
from mangrove.serve.access.problems import AccessError
from mangrove.serve.access.store import Store, digest, maybe, moment_of, stamp
from mangrove.serve.access.users import check_role, proper_name
from mangrove.serve.scope import ROLES, Principal
from mangrove.times import parse_date

MARK = "mg_"
_BYTES = 32
_SHORT_BYTES = 20
"""Chargers take at most 40 characters, which OCPP 1.6-J reads as the hex form of 16 to 20 bytes (AuthorizationKey, Improved
security for OCPP 1.6-J, 2nd edition; OCPP 2.0.1 part 2, A00.FR.205: 16 to 40 characters): 160 random bits."""
_SHOWN = 8
_USED_EVERY = 60_000_000
"""Microseconds: the time of last use is written down at most once a minute."""
_COLUMNS = "id, name, role, place, device, prefix, created, expires, revoked, last_used"


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key: not the key itself.

    Attributes:
        prefix: its first characters, by which its owner tells it from others.
        device: id of the declared device that it belongs to, empty for none.
    """

    id: int
    name: str
    role: str
    place: str
    device: str
    prefix: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None

    @property
    def principal(self) -> Principal:
        """Who it is to the rest of Mangrove."""
        return Principal(f"k{self.id}", self.name, "key", self.role, self.place, self.device)

    def works(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Keys:
    """All keys of a territory."""

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store = store
        self._audit = audit

    def add(
        self,
        name: str,
        role: str,
        place: str = "",
        *,
        device: str = "",
        expires: datetime | None = None,
        short: bool = False,
        by: Principal,
    ) -> tuple[Key, str]:
        """A new key and its secret, which is not to be had again.

        Args:
            name: for people; need not be unique.
            role: one of `mangrove.serve.scope.ROLES`.
            place: as for users.
            device: needed by the role `device`, refused for others.
            expires: from when on it opens nothing; None means never.
            short: 160 bits in 40 characters, for chargers.
            by: who does this.

        Raises:
            AccessError: `access.bad_name`, `access.bad_role`, `access.place_needed`, `access.place_refused`,
                `access.device_needed`, `access.device_refused`, `access.bad_expiry`.
        """
        from mangrove.sources.broker import hashed

        said = proper_name(name)
        check_role(role, place, ROLES)
        if (role == "device") != bool(device):
            raise AccessError(
                "access.device_needed" if role == "device" else "access.device_refused", role=role
            )
        if expires is not None and expires <= self._store.clock.now():
            raise AccessError("access.bad_expiry", when=expires.isoformat())
        secret = secrets.token_hex(_SHORT_BYTES) if short else MARK + secrets.token_urlsafe(_BYTES)
        broker = hashed(secret) if device else ""
        with self._store.write() as db:
            made = db.execute(
                "INSERT INTO keys (name, role, place, device, digest, prefix, broker, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    said, role, place, device, digest(secret), secret[:_SHOWN], broker, self._store.stamp(),
                    None if expires is None else stamp(expires),
                ),
            )  # fmt: skip
            key = self.get(int(made.lastrowid or 0))
            detail = {"key": key.principal.id, "name": said, "role": role, "place": place, "device": device}
            self._audit.record("key.added", by, detail)
        return key, secret

    def find(self, secret: str) -> Key | None:
        """The working key of a secret, or None.

        The secret itself is never compared: only its SHA-256 is looked up, so the time of the look-up tells nothing of it.
        """
        hashed = digest(secret)
        row = self._store.row(f"SELECT digest, {_COLUMNS} FROM keys WHERE digest = ?", hashed)
        if row is None or not hmac.compare_digest(row[0], hashed):
            return None
        key, now = _key_of(row[1:]), self._store.clock.now()
        if not key.works(now):
            return None
        if key.last_used is None or stamp(now) - stamp(key.last_used) >= _USED_EVERY:
            self._store.note("UPDATE keys SET last_used = ? WHERE id = ?", stamp(now), key.id)
        return key

    def of_pair(self, username: str, password: str | bytes) -> Key | None:
        """The working key of a pair of HTTP Basic or MQTT: `username` is its id (`k3`) or its device.

        A charger of OCPP 1.6-J sends the bytes whose hex form the key is.
        """
        said = [password] if isinstance(password, str) else [password.hex(), password.decode("latin-1")]
        for secret in said:
            key = self.find(secret)
            if key is not None and username in {key.principal.id, key.device} - {""}:
                return key
        return None

    def revoke(self, id_: int, *, by: Principal) -> Key:
        """Makes a key worthless at once; raises `AccessError` when there is no such key."""
        with self._store.write() as db:
            key = self.get(id_)
            if key.revoked is None:
                db.execute("UPDATE keys SET revoked = ? WHERE id = ?", (self._store.stamp(), id_))
                self._audit.record("key.revoked", by, {"key": key.principal.id, "name": key.name})
            return self.get(id_)

    def get(self, id_: int) -> Key:
        """The key of a number; raises `AccessError` when there is none."""
        row = self._store.row(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", id_)
        if row is None:
            raise AccessError("access.no_key", key=f"k{id_}")
        return _key_of(row)

    def all(self) -> list[Key]:
        """Every key, newest first."""
        return [_key_of(row) for row in self._store.rows(f"SELECT {_COLUMNS} FROM keys ORDER BY id DESC")]

    def broker_hashes(self) -> dict[str, str]:
        """The password of each device as a Mosquitto broker keeps it, from its newest working key."""
        now, found = self._store.clock.now(), {}
        for row in self._store.rows(f"SELECT broker, {_COLUMNS} FROM keys WHERE broker <> '' ORDER BY id"):
            key = _key_of(row[1:])
            if key.works(now):
                found[key.device] = row[0]
        return found


def number_of(word: str) -> int:
    """The number in the id of a key (`k3` or `3`); raises `AccessError` for anything else.

    Example:
        >>> number_of("k3")
        3
    """
    digits = word.strip().removeprefix("k")
    if not (digits.isascii() and digits.isdigit() and len(digits) < _BYTES // 2):
        raise AccessError("access.no_key", key=word)
    return int(digits)


def last_moment(day: str, tz: ZoneInfo) -> datetime | None:
    """The end of a day in `tz`; None for no day.

    Example:
        >>> last_moment("2026-12-31", ZoneInfo("Asia/Ho_Chi_Minh")).isoformat()
        '2027-01-01T00:00:00+07:00'
    """
    if not day.strip():
        return None
    try:
        return datetime.combine(parse_date(day), time(), tz) + timedelta(days=1)
    except OverflowError:
        raise AccessError("access.bad_expiry", when=day.strip()[:40]) from None


def _key_of(row: tuple[Any, ...]) -> Key:
    id_, name, role, place, device, prefix, created, expires, revoked, last = row
    return Key(
        id=id_,
        name=name,
        role=role,
        place=place,
        device=device,
        prefix=prefix,
        created=moment_of(created),
        expires=maybe(expires),
        revoked=maybe(revoked),
        last_used=maybe(last),
    )
