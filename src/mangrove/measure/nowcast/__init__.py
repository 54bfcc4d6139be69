# SPDX-License-Identifier: Apache-2.0
"""Emissions to the present hour: the inventory anchors the level, live series drive the change, and each fact narrows the interval.

Comes in: a territory with an inventory in its ledger, `drivers.csv` and live series, metered flows, inversions of sensors. Goes out: a
`Nowcast` (tables by ward, sector and hour with intervals), values of the run `estimate/nowcast`, a record. How it is done stands in
docs/explanation/nowcast.md.
"""

from mangrove.measure.nowcast.live import Fact, Figure
from mangrove.measure.nowcast.priors import Annual, Effect, Priors, default
from mangrove.measure.nowcast.result import Known, Nowcast
from mangrove.measure.nowcast.run import nowcast

__all__ = ["Annual", "Effect", "Fact", "Figure", "Known", "Nowcast", "Priors", "default", "nowcast"]
