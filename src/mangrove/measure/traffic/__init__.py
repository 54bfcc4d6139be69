# SPDX-License-Identifier: Apache-2.0
"""Observed traffic: counts and speeds become the state of every street and what it emits, as values of flows.

Comes in: values of flows of the kinds `vehicles` and `speed`. Goes out: flow and speed by street, class and five minutes, with errors and
a mark where a value was filled; emissions by street and place; hourly values of the run `estimate/traffic`.
"""

from mangrove.measure.traffic.state import LinkState, observe
from mangrove.measure.traffic.store import RUN, write
from mangrove.measure.traffic.streets import Streets, streets

__all__ = ["RUN", "LinkState", "Streets", "observe", "streets", "write"]
