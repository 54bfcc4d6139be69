# SPDX-License-Identifier: Apache-2.0
"""Verb: which capacities to build, over a year or several, with what they cost, save and emit.

Comes in: a `Case` from plain arrays (`problem`) or from a territory (`declared`). Goes out: a `Sizing` (`size`), what it depends on
(`study`), tables and figures (`report_model`), the planned year in the ledger (`record`). The package is also the verb
itself: `mangrove.plan(park, "2025")` calls `mangrove.api.plan`.
"""

from mangrove.verbs import make_callable

make_callable(__name__)
