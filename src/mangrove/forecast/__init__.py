# SPDX-License-Identifier: Apache-2.0
"""Verb: what will flow in the next days, with quantiles, samples and a score against the naive forecast.

The package is also the verb itself: `mangrove.forecast(park, ...)` calls `mangrove.api.forecast`.
"""

from mangrove.verbs import make_callable

make_callable(__name__)
