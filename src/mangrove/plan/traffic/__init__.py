# SPDX-License-Identifier: Apache-2.0
"""Plans for streets judged before they are built: edits of network, fleet and demand, compared by equilibrium.

Comes in: a `Case` (roads, trips, fleet, people) and edits with dates. Goes out: a `Verdict`: what changes in travel time, access,
distance, emissions, exposure and electricity, with the confidence that one plan beats another.
"""
