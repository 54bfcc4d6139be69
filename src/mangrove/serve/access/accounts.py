# SPDX-License-Identifier: Apache-2.0
"""The accounts of a territory: users, keys, sessions, links and the audit log over one file.

Comes in: the folder of a territory. Goes out: an `Accounts`, which the server, the commands and the tests share. Nothing here knows
of HTTP.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from mangrove.serve.access.audit import SYSTEM, Audit
from mangrove.serve.access.keys import Keys
from mangrove.serve.access.passwords import Hasher
from mangrove.serve.access.problems import AccessError
from mangrove.serve.access.sessions import Links, Sessions
from mangrove.serve.access.store import Store, Tells
from mangrove.serve.access.users import Users
from mangrove.serve.clock import Clock
from mangrove.serve.scope import GUEST, Principal


class Accounts:
    """Who has access to one territory.

    Args:
        folder: of the territory; the accounts stand in its `.mangrove/access.db`, which is made when it does not exist.
        clock: tells the time of sessions, links and records. It is the machine's own time by default, also in a demonstration
            whose values are from another year: a session must not end because a replay runs fast.
        hasher: of passwords.

    Attributes:
        users, keys, sessions, links, audit: the parts.

    Example:
        >>> import tempfile
        >>> accounts = Accounts(Path(tempfile.mkdtemp()))
        >>> accounts.first_link()[:7], accounts.users.all()
        ('/enter/', [])
        >>> accounts.close()
    """

    def __init__(self, folder: Path, clock: Tells | None = None, *, hasher: Hasher | None = None) -> None:
        self.store = Store(Path(folder), clock or Clock())
        self.audit = Audit(self.store)
        self.users = Users(self.store, self.audit, hasher or Hasher())
        self.keys = Keys(self.store, self.audit)
        self.sessions = Sessions(self.store, self.users)
        self.links = Links(self.store, self.users, self.audit)
        self._first = threading.Lock()

    def first_link(self) -> str:
        """The path at which the first administrator chooses a name and a password; empty when there is one already.

        Each call makes a new link and the one before worthless; it works for 24 h.
        """
        with self._first:
            return "" if self.users.administered() else self.links.make("first", None, by=SYSTEM)

    def alive(self, principal: Principal) -> bool:
        """Whether a principal may still do what it could at the beginning of a long connection (a stream, a charger)."""
        if principal.kind == GUEST:
            return True
        try:
            if principal.kind == "key":
                key = self.keys.get(int(principal.id[1:]))
                return key.works(self.store.clock.now())
            user = self.users.get(int(principal.id[1:]))
        except (AccessError, ValueError):
            return False
        return user.enters and user.principal.key == principal.key

    def device_password(self, device: str, password: str | bytes) -> bool:
        """Whether `password` opens the connection of a declared device (OCPP, MQTT); never raises."""
        key = self.keys.of_pair(device, password)
        return key is not None and key.role == "device" and key.device == device

    def close(self) -> None:
        """Ends the connection to the file."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
