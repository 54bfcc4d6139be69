# SPDX-License-Identifier: Apache-2.0
"""How long the values of a file last, where that is not what the flow declares.

Comes in: the stamps of a file's rows and the declared flow. Goes out: the step by which the rows are read, and, before they
are stored, the rows that would count twice because the ledger already holds finer values inside their intervals. The energy
of an hour must come out the same whether a file writes it as one value or as four.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mangrove.inference.runs import read_series
from mangrove.inference.series import usable
from mangrove.ledger import Ledger
from mangrove.sources import stamps
from mangrove.sources.clocks import usual_step
from mangrove.sources.convert import Bad, Outcome
from mangrove.sources.stamps import DAY, SECOND, Ints, WallClock
from mangrove.territory.model import Flow
from mangrove.times import Step

SERIES = 8
"""Rows of one flow in a long file from which even distances are a series; fewer may be single corrections."""


def step_in_file(flow: Flow, clock: WallClock, rows: Ints | None, usual: Step | None) -> Step | None:
    """The step by which the rows of a flow are read.

    Args:
        flow: what is declared.
        clock: the stamps of the first rows.
        rows: positions of the rows of this flow in a long file; None for a wide file, in which every row is one of the flow.
        usual: the commonest distance in the file.

    Returns:
        The declared step, unless the rows show another: values that come more often than declared are shorter, and a
        regular series on the clock's own grid is longer. A few distant rows off that grid are single values of the
        declared step, such as corrections of nine o'clock on two days. Without a declared step, what the file shows.
    """
    declared = flow.step
    mine = clock if rows is None else _only(clock, rows)
    seen = usual if rows is None else usual_step(mine, None)
    if declared is None:
        return seen if seen is not None else usual
    if declared.months or seen is None or flow.semantics == "counter":
        return declared
    if seen.seconds <= declared.seconds:
        return seen
    few = rows is not None and len(rows) < SERIES
    return declared if few or not _on_grid(mine, seen) else seen


def _only(clock: WallClock, rows: Ints) -> WallClock:
    return WallClock(clock.at[rows], clock.absolute[rows], clock.end_of_day[rows], clock.codes[rows])


def _on_grid(clock: WallClock, step: Step) -> bool:
    """Whether all stamps lie on multiples of the step; of longer ones than a day, on midnights."""
    at = clock.at[clock.codes == stamps.FINE]
    return bool(np.all(at % min(step.seconds * SECOND, DAY) == 0))


def without_doubled(
    outcome: Outcome, steps: Mapping[str, Step | None], flows: Mapping[str, Flow], ledger: Ledger
) -> int:
    """Moves rows that would be counted twice from the values of `outcome` to its rejected rows.

    A value of a sum that lasts longer than its flow declares would be added to values that start inside its interval.

    Returns:
        How many rows were moved.
    """
    values = outcome.values
    keep = np.ones(len(values), dtype=bool)
    for index, name in enumerate(values.names):
        step, declared = steps.get(name), flows[name].step
        if step is None or declared is None or flows[name].semantics != "sum":
            continue
        if not step.seconds or step.seconds <= declared.seconds or declared.months:
            continue
        rows = np.flatnonzero(values.flow == index)
        if not len(rows):
            continue
        length = step.seconds * SECOND
        start = values.start[rows]
        with ledger.snapshot() as snapshot:
            known = read_series(snapshot, name, int(start.min()), int(start.max()) + length)
        finer = np.sort(known.start[usable(known.quality)])
        inside = np.searchsorted(finer, start + length) - np.searchsorted(finer, start + 1)
        for row, count in zip(rows[inside > 0].tolist(), inside[inside > 0].tolist(), strict=True):
            data = {"flow": name, "step": str(step), "declared": str(declared), "count": count}
            outcome.bad.append(Bad(int(values.line[row]), "sources.counted_twice", data))
            keep[row] = False
    outcome.values = values.pick(keep)
    return int(np.sum(~keep))
