# SPDX-License-Identifier: Apache-2.0
"""Verb: who pays what when a park or a neighborhood shares its energy, in shares that no group can better on its own.

The package is also the verb itself: `mangrove.settle(park, "2024-03")` calls `mangrove.api.settle`.
"""

from mangrove.verbs import make_callable

make_callable(__name__)
