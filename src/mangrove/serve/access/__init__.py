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

from mangrove.serve.access.accounts import Accounts
from mangrove.serve.access.audit import Audit, Head, verify
from mangrove.serve.access.problems import AccessError, DeniedError

__all__ = ["AccessError", "Accounts", "Audit", "DeniedError", "Head", "verify"]
