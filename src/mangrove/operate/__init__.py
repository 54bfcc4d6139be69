# SPDX-License-Identifier: Apache-2.0
"""Verb: set-points for what can be operated, re-planned as the day goes on, and proven on a year that is past.

The package is also the verb itself: `mangrove.operate(park)` calls `mangrove.api.operate`.
"""

from mangrove.verbs import make_callable

make_callable(__name__)
