# SPDX-License-Identifier: Apache-2.0
"""Verb: flows x factors, with uncertainty, in views that agree, and every number explained.

The package is also the verb itself: `mangrove.measure(park, "2024")` calls `mangrove.api.measure`.
"""

from mangrove.verbs import make_callable

make_callable(__name__)
