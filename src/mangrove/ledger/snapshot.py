# SPDX-License-Identifier: Apache-2.0
"""A snapshot: everything known at one cut, as plain relations in DuckDB.

Comes in: one consistent `View` of the catalogue (listed files and hot rows). Goes out: the relations `flow`, `batch`,
`version` and `reading`, sums by bucket (see `activity.py`), and small tables for `explain`. A snapshot holds no lock
and no transaction, so any number of processes read while one writes; files that it knows stay for the grace period.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import LedgerError
from mangrove.ledger import activity, queries, records
from mangrove.ledger.catalog import Part, View
from mangrove.ledger.columns import ROWS, decode
from mangrove.ledger.types import BatchInfo
from mangrove.times import Step, to_us

if TYPE_CHECKING:
    import duckdb

HOUR = Step(seconds=3600)
Window = tuple[int, int]
"""Half-open, in microseconds since 1970 in UTC."""


class Snapshot:
    """What the ledger held at `cut`; use it in a `with` statement, from one thread.

    Relations of `connection` (starts are UTC timestamps without a zone):
        flow(flow, key); batch(batch, source, seq, rows, ..., hash);
        version(flow, start, value, quality, batch): every stored row;
        reading(flow, start, value, quality, batch): the current row of each (flow, start).
    """

    def __init__(self, root: Path, view: View, memory_limit: str = queries.MEMORY_LIMIT) -> None:
        self.cut = view.cut
        self._root, self._view = root, view
        self._segments = [part for part in view.segments if part.batch_min <= view.cut]
        self._db = queries.connect(memory_limit, sum(part.rows for part in self._segments))
        with unreadable(OSError):
            self._has_hot = {part: self._register_hot(part) for part in ("base", "late")}

    def _register_hot(self, part: str) -> bool:
        """Registers the hot rows of one family up to the cut; whether there are any."""
        bodies = [base if part == "base" else late for base, late in self._view.hot]
        tables = [decode(body) for body in bodies if body is not None]
        rows = pa.concat_tables(tables) if tables else ROWS.empty_table()
        if self.cut < self._view.latest:
            rows = rows.filter(pc.field("batch") <= self.cut)
        self._db.register(f"hot_{part}", rows)
        return bool(rows.num_rows)

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection with the relations of the class description; made at the first use."""
        ids, keys = zip(*self._view.flows, strict=True) if self._view.flows else ((), ())
        self._db.register(
            "flow", pa.table({"flow": pa.array(ids, pa.int32()), "key": pa.array(keys, pa.string())})
        )
        self._db.register("batch", records.batches(self._root, self.cut))
        self._db.execute(f"create temp view version as {self.versions()}")
        self._db.execute(f"create temp view reading as {self.readings()}")
        return self._db

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {key: id_ for id_, key in self._view.flows}

    def flow_ids(self) -> dict[str, int]:
        """The ids of all flows with values, by key."""
        return dict(self._ids)

    def activity(
        self,
        start: datetime,
        end: datetime,
        *,
        flows: Sequence[str] | None = None,
        edges: Sequence[datetime] = (),
        bucket: Step = HOUR,
        plan: str = "auto",
        view: str = "activity",
    ) -> str:
        """Sums of the values that start in `[start, end)`, by flow and bucket, as a lazy view of `connection`.

        The view has the columns flow, start (UTC: the bucket's start, or the edge or the `start` inside the bucket
        from which the part counts), total (sum of the counted values, null when none is), n (values counted),
        n_excluded (values present but not counted; a marker of a missing value is no value), n_estimated (values marked
        as filled), low and high (of the counted values), batch_max (latest batch of them all). A bucket without a row
        has no values at all.

        Args:
            start: first instant; naive times are UTC.
            end: first instant after.
            flows: keys; None means all. A key without values gives no rows.
            edges: instants at which buckets are split, because something that multiplies the values changes there.
            bucket: a divisor of an hour, or whole hours up to a day; buckets begin at multiples of it since 1970 UTC.
            plan: `rollup` (hourly sums of the files; raw values only where they must be), `raw`, `naive` (the
                definition, for tests) or `auto` (`rollup` for whole hours, else `raw`). All give the same rows; sums
                may differ in the order of addition.
            view: name of the view to make.

        Returns:
            `view`.

        Raises:
            RequestError: an impossible bucket, plan or name.
        """
        question = activity.Question(
            start=to_us(start),
            end=to_us(end),
            flow_filter=self._flow_filter(flows),
            edges=tuple(sorted({to_us(edge) for edge in edges})),
            bucket=activity.check_bucket(bucket),
            view=view,
        )
        activity.create(self, question, activity.check_plan(plan))
        return view

    def values(self, flows: Sequence[str], start: datetime, end: datetime) -> pa.Table:
        """The current values of `flows` that start in `[start, end)`: flow, start, value, quality, batch; sorted."""
        return self._small(self.readings([(to_us(start), to_us(end))], self._flow_filter(flows)))

    def history(self, flow: str, start: datetime, end: datetime) -> pa.Table:
        """All versions of the values of one flow, oldest first at each start, with when and from whom they came."""
        rows = self._small(self.versions([(to_us(start), to_us(end))], self._flow_filter([flow])))
        batches = records.batches(self._root, self.cut).select(["batch", "recorded_at", "source", "run"])
        joined = rows.join(batches, "batch")
        return joined.sort_by([("start", "ascending"), ("batch", "ascending")])

    def lineage(self, flows: Sequence[str] | None, start: datetime, end: datetime) -> list[BatchInfo]:
        """The batches that the current values in `[start, end)` come from, exactly, oldest first."""
        rows = self.readings([(to_us(start), to_us(end))], self._flow_filter(flows))
        used = dict(self._db.execute(f"select batch, count(*) from ({rows}) group by batch").fetchall())
        return records.infos(self._root, used)

    def _small(self, rows: str) -> pa.Table:
        """`rows` with flow keys and UTC starts, sorted."""
        ids = pa.array([id_ for id_, _ in self._view.flows], pa.int32())
        keys = pa.array([key for _, key in self._view.flows], pa.string())
        table = queries.arrow(self._db, f"select * from ({rows}) order by flow, start, batch")
        named = keys.take(pc.index_in(table.column("flow").combine_chunks(), ids))
        start = table.column("start").cast(pa.timestamp("us", "UTC"))
        return table.set_column(0, "flow", named).set_column(1, "start", start)

    def _flow_filter(self, flows: Sequence[str] | None) -> str:
        """The condition on `flow`; empty when all flows are meant."""
        if flows is None:
            return ""
        ids = sorted({self._ids[key] for key in flows if key in self._ids})
        if len(ids) == len(self._ids):
            return ""
        if not ids:
            return "flow < 0"
        return f"flow between {ids[0]} and {ids[-1]} and flow in ({', '.join(map(str, ids))})"

    def span(self) -> Window:
        """The window that holds every stored value; (0, 0) when there is none."""
        ends = [(part.start_min, part.start_max) for part in self._segments]
        for part, present in self._has_hot.items():
            if present:
                low, high = self._db.execute(
                    f"select epoch_us(min(start)), epoch_us(max(start)) from hot_{part}"
                ).fetchall()[0]
                ends.append((low, high))
        return (min(low for low, _ in ends), max(high for _, high in ends) + 1) if ends else (0, 0)

    def rollups(self, part: str, window: Window) -> list[Part]:
        """The listed roll-up files of one family with hours that touch `window` and are known at the cut."""
        hour = 3_600_000_000
        return [
            one
            for one in self._view.rollups
            if one.part == part and one.batch_min <= self.cut and one.overlaps(window[0] - hour, window[1])
        ]

    def path(self, part: Part) -> str:
        """Where a listed file is."""
        return str(self._root / part.path)

    @property
    def has_corrections_in_hot(self) -> bool:
        """Whether hot rows correct earlier ones."""
        return self._has_hot["late"]

    @property
    def has_hot(self) -> bool:
        """Whether there are hot first arrivals."""
        return self._has_hot["base"]

    def versions(self, windows: Sequence[Window] | None = None, condition: str = "") -> str:
        """A relation of all versions that start in `windows` (all, when None) and meet `condition`."""
        both = [text for part in ("base", "late") if (text := self._family(part, windows, condition))]
        return " union all ".join(both) or self._nothing()

    def readings(self, windows: Sequence[Window] | None = None, condition: str = "") -> str:
        """A relation of the current values that start in `windows` (all, when None) and meet `condition`."""
        base = self._family("base", windows, condition)
        late = self._family("late", windows, condition)
        if not late:
            return base or self._nothing()
        return queries.fill("reading", base=f"({base or self._nothing()})", late=f"({late})")

    def _nothing(self) -> str:
        return f"select {queries.ROW} from hot_base where false"

    def _family(self, part: str, windows: Sequence[Window] | None, condition: str) -> str:
        """The rows of one family up to the cut; empty text when there cannot be any."""
        near = [
            one
            for one in self._segments
            if one.part == part and (windows is None or any(one.overlaps(*window) for window in windows))
        ]
        within = "" if windows is None else " or ".join(
            f"start >= {queries.instant(low)} and start < {queries.instant(high)}" for low, high in windows
        )  # fmt: skip
        whole = [one for one in near if one.batch_max <= self.cut]
        split = [one for one in near if one.batch_max > self.cut]
        selects = []
        for parts, known in ((whole, ""), (split, f"batch <= {self.cut}")):
            if parts:
                source = queries.files(self.path(one) for one in parts)
                selects.append(_select(source, within, condition, known))
        if self._has_hot[part]:
            selects.append(_select(f"hot_{part}", within, condition))
        return " union all ".join(selects)

    def close(self) -> None:
        """Closes the connection; its views are gone."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, Exception):
            with unreadable():
                raise error


@contextmanager
def unreadable(*others: type[Exception]) -> Iterator[None]:
    """Turns what DuckDB and Arrow (and `others`) say about damaged files into a `LedgerError`.

    A wrong query stays a wrong query, and want of memory stays want of memory.
    """
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException, pa.ArrowInvalid, *others) as error:
        raise LedgerError("ledger.unreadable", reason=_first_line(error)) from error
    except duckdb.Error as error:
        if type(error) is not duckdb.Error:  # what its Parquet reader throws has no class of its own
            raise
        raise LedgerError("ledger.unreadable", reason=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), repr(error))


def _select(source: str, *conditions: str) -> str:
    given = " and ".join(f"({condition})" for condition in conditions if condition)
    return f"select {queries.ROW} from {source}" + (f" where {given}" if given else "")
