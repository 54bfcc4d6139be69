# SPDX-License-Identifier: Apache-2.0
"""The formula: amounts x coefficients, in any view, with the variance of every number.

Comes in: a `Plan`, its `Timeline` and a connection that holds the table `amount` (see `amounts.py`). Goes out: Arrow columns of
kilograms, CO2 equivalents, variances and covered hours per group, label and time bucket, all by plain SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mangrove.ledger import Ledger, Snapshot, queries
from mangrove.measure import amounts
from mangrove.measure.amounts import sql, table
from mangrove.measure.plan import Plan
from mangrove.measure.timeline import Timeline, instants
from mangrove.times import Span

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class View:
    """How lines and places are grouped.

    Attributes:
        members: `(flow, group, share)`: the share of the flow that belongs to the group.
        labels: for every line its label, a small integer; None leaves the line out.
    """

    members: Sequence[tuple[str, int, float]]
    labels: Sequence[int | None]


class Engine:
    """One plan on one table of amounts; every view of it is one query.

    Args:
        plan: what to measure.
        timeline: the segments that the amounts are cut into.
        connection: holds the table `amount`; gets the engine's own tables.
    """

    def __init__(self, plan: Plan, timeline: Timeline, connection: duckdb.DuckDBPyConnection) -> None:
        self.plan = plan
        self.timeline = timeline
        self._db = connection
        self._numbers = plan.sources()
        buckets = timeline.buckets()
        self._register(
            "bucket", {"segment": (pa.int32(), range(len(buckets))), "bucket": (pa.int32(), buckets)}
        )

    def emissions(self, view: View, *, with_uncertainty: bool = True) -> pa.Table:
        """One row per group, label and bucket that has values, sorted by bucket, group, label.

        Columns: grp, label, bucket (int32); amount (of one line); kg, co2e; kg_middle, co2e_middle (with the shifts of `Doubt`s); kg_variance, co2e_variance (null without any stated error);
        hours (flow-hours that counted values of the group stand for).
        """
        self._register_lines(view)
        self._register_members(view)
        self._register_errors(self.plan.errors() if with_uncertainty else [])
        parts = {name: sql(name) for name in ("emission", "variance", "coverage")}
        return self._db.sql(Template(sql("measured")).substitute(parts)).to_arrow_table()

    def counts(self) -> dict[str, dict[str, Any]]:
        """Per flow with values: amount, hours, n, n_excluded, n_estimated."""
        rows = self._db.sql(
            "select flow, sum(total) as amount, sum(hours) as hours, cast(sum(n) as bigint) as n, "
            "cast(sum(n_excluded) as bigint) as n_excluded, cast(sum(n_estimated) as bigint) as n_estimated "
            "from amount group by flow"
        )
        names = list(self._numbers)
        found = rows.to_arrow_table().to_pylist()
        return {names[row["flow"]]: row for row in found if row["flow"] < len(names)}

    def _register(self, name: str, columns: dict[str, tuple[pa.DataType, Any]]) -> None:
        self._db.register(name, table(columns))

    def _register_lines(self, view: View) -> None:
        """`coefficient`: the lines that the view shows, with the segments `[first, last)` in which they hold.

        `covered`: the segments in which a flow has any of them, as stretches that do not overlap.
        """
        bounds = self.timeline.bounds()
        shown = [
            (line, label)
            for line, label in zip(self.plan.lines, view.labels, strict=True)
            if label is not None
        ]
        lines = [line for line, _ in shown]
        flows = [self.plan.source_of(line) if line.response else self._numbers[line.flow] for line in lines]
        shifts = self.plan.shifts()
        first = bounds.searchsorted(instants([line.valid_from for line in lines]))
        last = bounds.searchsorted(instants([line.valid_to for line in lines]))
        self._register(
            "coefficient",
            {
                "line": (pa.int32(), [line.index for line in lines]),
                "flow": (pa.int32(), flows),
                "label": (pa.int32(), [label for _, label in shown]),
                "kg": (pa.float64(), [line.kg for line in lines]),
                "weight": (pa.float64(), [line.weight for line in lines]),
                "shift": (pa.float64(), [shifts.get(line.flow, 0.0) for line in lines]),
                "first": (pa.int32(), first),
                "last": (pa.int32(), last),
            },
        )
        of_flow = [self._numbers[line.flow] for line in lines]
        stretches = _merged(sorted(zip(of_flow, first.tolist(), last.tolist(), strict=True)))
        flow, start, stop = zip(*stretches, strict=True) if stretches else ((), (), ())
        self._register(
            "covered", {"flow": (pa.int32(), flow), "first": (pa.int32(), start), "last": (pa.int32(), stop)}
        )

    def _register_members(self, view: View) -> None:
        """`member`: the groups of every flow, and of the releases of its responses."""
        numbers = {name: [number] for name, number in self._numbers.items()}
        for line in self.plan.lines:
            if line.response:
                numbers[line.flow].append(self.plan.source_of(line))
        rows = [(number, group, share) for flow, group, share in view.members for number in numbers[flow]]
        flow, group, share = zip(*rows, strict=True) if rows else ((), (), ())
        self._register(
            "member", {"flow": (pa.int32(), flow), "grp": (pa.int32(), group), "share": (pa.float64(), share)}
        )

    def _register_errors(self, errors: Sequence[tuple[int, str, float]]) -> None:
        ids = {name: number for number, name in enumerate(dict.fromkeys(name for _, name, _ in errors))}
        self._register(
            "error",
            {
                "line": (pa.int32(), [line for line, _, _ in errors]),
                "error": (pa.int32(), [ids[name] for _, name, _ in errors]),
                "sd": (pa.float64(), [sd for _, _, sd in errors]),
            },
        )


def _merged(stretches: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Sorted `(flow, first, last)` with those that touch or overlap joined."""
    found: list[tuple[int, int, int]] = []
    for flow, first, last in stretches:
        if found and found[-1][0] == flow and first <= found[-1][2]:
            found[-1] = (flow, found[-1][1], max(last, found[-1][2]))
        else:
            found.append((flow, first, last))
    return found


@contextmanager
def on_ledger(
    plan: Plan, folder: Path, cut: int, *, window: Span | None = None, reading_plan: str = "auto"
) -> Iterator[tuple[Engine, Snapshot]]:
    """The engine over the values that the ledger in `folder` held at `cut`; `window` is one bucket, when only that is asked."""
    timeline = Timeline.of(plan, window)
    with Ledger.open(folder, read_only=True) as ledger, ledger.snapshot(cut=cut) as snapshot:
        amounts.read(plan, timeline, snapshot, reading_plan)
        yield Engine(plan, timeline, snapshot.connection), snapshot


@contextmanager
def on_amounts(plan: Plan, known: pa.Table) -> Iterator[Engine]:
    """The engine over amounts that were read before, by a plan with the same lines and the same buckets."""
    with closing(queries.connect(rows=known.num_rows)) as connection:
        connection.register("amount", known)
        yield Engine(plan, Timeline.of(plan), connection)
