# SPDX-License-Identifier: Apache-2.0
"""Who may see and do what: users, sessions, API keys, the door of the server, and the audit log.

Comes in: requests, forms and commands. Goes out: a `Principal` for the rest of the server (what it sees is decided by
`mangrove.serve.scope`), and a log of every change that cannot be altered unseen. The rooms of this package, from the file upwards:

    store       the SQLite file, its tables and their versions
    audit       records chained by hashes
    users keys sessions    who there is; `accounts` holds them together
    passwords limits csrf  the rules of the door
    gate table  the door itself: principals, roles of routes, default refusal
    routes admin oidc      pages and signing in elsewhere
    commands    the same for the command line
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mangrove.serve.access.accounts import Accounts
from mangrove.serve.access.audit import SYSTEM, Audit, Head, verify
from mangrove.serve.access.problems import AccessError, DeniedError
from mangrove.serve.access.settings import Settings

if TYPE_CHECKING:
    from mangrove.serve.access.gate import Access, audited, guard, need, public

__all__ = [
    "SYSTEM",
    "Access",
    "AccessError",
    "Accounts",
    "Audit",
    "DeniedError",
    "Head",
    "Settings",
    "audited",
    "guard",
    "need",
    "public",
    "verify",
]


def __getattr__(name: str) -> Any:
    """The door, when it is asked for: the commands do without the libraries that it needs."""
    if name in {"Access", "audited", "guard", "need", "public"}:
        from mangrove.serve.access import gate

        return getattr(gate, name)
    raise AttributeError(name)
