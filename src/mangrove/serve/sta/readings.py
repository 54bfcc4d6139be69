# SPDX-License-Identifier: Apache-2.0
"""The values of the ledger as Observations: one query of DuckDB over a snapshot for each page.

Comes in: a `Question` (which Datastreams, which filter, which order). Goes out: rows with the flow's number, start, value, quality,
batch and the keys by which they are sorted; counts; and the entities that a filter on their Observations selects. A snapshot is
kept until a new batch arrives. Rows with the quality MISSING are no Observations: a value that was deleted is such a row.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.ledger import Ledger, Snapshot
from mangrove.ledger.catalog import CATALOG, reader
from mangrove.ledger.store import GRACE
from mangrove.ledger.types import Quality
from mangrove.serve.sta.errors import BAD, SLOW, StaError
from mangrove.serve.sta.expressions import Node, Order, paths
from mangrove.serve.sta.model import BOOL, NUMBER, TIME, Model
from mangrove.serve.sta.sql import VALUES_OF_FLOWS, Binds, Duck, Sqlite, is_start, window
from mangrove.serve.sta.store import PATIENCE, Store
from mangrove.sources.registers import SUFFIX
from mangrove.territory.model import Territory
from mangrove.times import from_us, to_us

Seen = Callable[[str, str], str]
_FAR = 2**62
_DAY = 86_400_000_000
_LONG = 7 * _DAY
_KEEP = GRACE.total_seconds() / 2
"""Seconds after which a snapshot is taken anew, although nothing came: files that it knows stay for the grace period."""
_FRESH = 0.25
"""Seconds for which the span of a Datastream is not looked up again, unless this process wrote."""
_FEW, _SURE = 20, 3
"""A page is looked for near an end of time only when there are 20 times as many values, in 3 times the length it should need."""
_FOREVER = (0, _FAR)


class Reading(NamedTuple):
    """One value.

    Attributes:
        flow: its number in the ledger; start, end: microseconds, end None for an instant; value, quality, batch.
        datastream, feature: ids; group: id of the entity under which it is expanded; keys: what it is sorted by.
    """

    flow: int
    start: int
    end: int | None
    value: float | None
    quality: int
    batch: int
    datastream: int
    feature: int | None
    group: int | None
    keys: tuple[Any, ...]


@dataclass(frozen=True)
class Question:
    """Which values are asked for.

    Attributes:
        model: the vocabulary of `filter` and `order`; seen: condition under which a row of a table may be seen.
        where: SQL over `t` (columns datastream, feature, series) that picks the Datastreams; binds: its values.
        group: column of `t` by which at most `limit` rows each are given; empty for one list.
    """

    model: Model
    seen: Seen
    where: str = "true"
    binds: dict[str, Any] = field(default_factory=dict)
    filter: Node | None = None
    order: Sequence[Order] = ()
    limit: int = 100
    offset: int = 0
    group: str = ""


class Readings:
    """Reads one ledger for the SensorThings service; its methods may be called from any thread."""

    def __init__(self, ledger: Ledger, territory: Territory) -> None:
        self.ledger, self.territory = ledger, territory
        self.store: Store | None = None
        self._mutex = threading.RLock()
        self._snapshot: Snapshot | None = None
        self._batches: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] = (np.empty(0, np.int64),) * 2
        self._taken = 0.0
        self._spans: dict[str, list[int]] = {}
        self._spans_cut = 0
        self._spans_at = -_FRESH
        self.counts: dict[str, int] = {}

    @property
    def none(self) -> bool:
        """Whether there is no ledger yet."""
        return not (self.ledger.root / CATALOG).is_file()

    def rows(self, question: Question) -> list[Reading]:
        """The values that the question asks for, in its order."""
        if self.none:
            return []
        with self.view() as snapshot:
            query = _Query(self, snapshot, question)
            if not query.possible:
                return []
            self._learn_spans(snapshot)
            found = query.nearest()
            if not question.group or not found:
                return found or query.rows()
            counts = Counter(reading.group for reading in found)
            whole = [group for group, n in counts.items() if n == question.limit]
            found = [reading for reading in found if counts[reading.group] == question.limit]
            others = f"({question.where}) and t.{question.group} not in (select value from json_each(:found_groups))"
            rest = replace(
                question, where=others, binds={**question.binds, "found_groups": json.dumps(whole)}
            )
            query = _Query(self, snapshot, rest)
            return found + (query.rows() if query.possible else [])

    def count(self, question: Question) -> int:
        """How many values there are without limit and offset."""
        if self.none:
            return 0
        with self.view() as snapshot:
            query = _Query(self, snapshot, question)
            return query.count() if query.possible else 0

    def roots(self, question: Question, kind: str) -> list[int]:
        """Ids of the entities of `kind` for which some value of the ledger meets a filter that leads to Observations."""
        if self.none:
            return []
        with self.view() as snapshot:
            query = _Query(self, snapshot, question, root=kind)
            return query.roots() if query.possible else []

    def one(self, flow: int, start: int, batch: int | None = None) -> tuple[str, Reading] | None:
        """The series and the current version (or that of `batch`) of one value; None when there is none."""
        if self.none:
            return None
        with self.view() as snapshot:
            keys = {number: key for key, number in snapshot.flow_ids().items()}
            if flow not in keys:
                return None
            narrow = [(start, start + 1)]
            text = snapshot.readings(narrow, f"flow = {int(flow)}")
            if batch is not None:
                text = snapshot.versions(narrow, f"flow = {int(flow)} and batch = {int(batch)}")
            found = self.run(snapshot, f"select value, quality, batch from ({text})", {})
        if not found or found[0][1] == Quality.MISSING:
            return None
        value, quality, stored = found[0]
        return keys[flow], Reading(flow, start, None, _number(value), quality, stored, 0, None, None, ())

    def number(self, series: str) -> int | None:
        """The number of a series in the ledger, once it has values."""
        with self.view() as snapshot:
            return snapshot.flow_ids().get(series)

    def recorded(self, batches: Sequence[int]) -> list[int]:
        """When batches were recorded, microseconds."""
        ids, times = self._batches
        index = np.searchsorted(ids, np.asarray(batches, dtype=np.int64))
        return [int(times[i]) for i in index]

    def span(self, series: str | None, edge: int) -> int | None:
        """Microseconds of the first start (0), the last end (1), the first (2) and the last (3) recording of a series."""
        if series is None or self.none:
            return None
        with self._mutex:
            if time.monotonic() - self._spans_at > _FRESH:  # asked four times for each Datastream of a page
                with self.view() as snapshot:
                    self._learn_spans(snapshot)
                self._spans_at = time.monotonic()
            found = self._spans.get(series)
        return None if found is None else found[edge]

    def touch(self) -> None:
        """Says that this process wrote: spans are looked up anew."""
        self._spans_at = -_FRESH

    def known_span(self, series: str) -> tuple[int, int]:
        """The first and the last start of a series, as far as known."""
        known = self._spans.get(series, (0,) * 5)
        return known[0], known[4]

    def _learn_spans(self, snapshot: Snapshot) -> None:
        """Adds what came since the last time; a deleted value does not make a span shorter."""
        if snapshot.cut <= self._spans_cut:
            return
        with reader(self.ledger.root) as db:
            low, high = db.execute(
                "select min(start_min), max(start_max) from batch where id > ? and id <= ?",
                (self._spans_cut, snapshot.cut),
            ).fetchone()
        windows = None if low is None else [(low, high + 1)]
        text = snapshot.versions(windows, f"batch > {self._spans_cut} and quality <> {int(Quality.MISSING)}")
        rows = self.run(
            snapshot,
            "select flow, epoch_us(min(start)), epoch_us(max(start)), min(batch), max(batch), count(*) "
            f"from ({text}) group by flow",
            {},
        )
        keys = {number: key for key, number in snapshot.flow_ids().items()}
        for flow, first, last, batch_min, batch_max, n in rows:
            key = keys[flow]
            recorded = self.recorded([batch_min, batch_max])
            self.counts[key] = self.counts.get(key, 0) + n
            known = self._spans.setdefault(key, [_FAR, -_FAR, _FAR, -_FAR, -_FAR])
            known[4] = max(known[4], last)
            known[0], known[1] = min(known[0], first), max(known[1], self.end_of(key, last))
            known[2], known[3] = min(known[2], recorded[0]), max(known[3], recorded[1])
        self._spans_cut = snapshot.cut

    def end_of(self, series: str, start: int) -> int:
        """The end of the interval that a value of the series stands for; its start when it is an instant."""
        flow = self.territory.flows.get(series)
        if flow is None or flow.step is None or series.endswith(SUFFIX) or flow.semantics == "state":
            return start
        return to_us(flow.step.after(from_us(start), self.territory.tz))

    # The snapshot

    @contextmanager
    def view(self) -> Iterator[Snapshot]:
        """The newest snapshot, for one thread at a time."""
        with self._mutex:
            cut, now = self.ledger.cut(), time.monotonic()
            if self._snapshot is None or self._snapshot.cut < cut or now - self._taken > _KEEP:
                if self._snapshot is not None:
                    self._snapshot.close()
                self._snapshot, self._taken = self.ledger.snapshot(), now
                self._learn_batches(self._snapshot.cut)
            yield self._snapshot

    def _learn_batches(self, cut: int) -> None:
        ids, times = self._batches
        last = int(ids[-1]) if len(ids) else 0
        with reader(self.ledger.root) as db:
            rows = db.execute(
                "select id, recorded_at from batch where id > ? and id <= ? order by id", (last, cut)
            ).fetchall()
        if rows:
            new = np.array(rows, dtype=np.int64)
            self._batches = (np.concatenate([ids, new[:, 0]]), np.concatenate([times, new[:, 1]]))

    def run(
        self, snapshot: Snapshot, sql: str, binds: dict[str, Any], **tables: pa.Table
    ) -> list[tuple[Any, ...]]:
        """All rows of a query; it is stopped after `PATIENCE` seconds."""
        import duckdb

        db = snapshot._db  # noqa: SLF001 - `connection` also reads every batch of the ledger, which a page must not pay for
        timer = threading.Timer(PATIENCE, db.interrupt)
        timer.daemon = True
        for name, table in tables.items():
            db.register(name, table)
        timer.start()
        try:
            rows: list[tuple[Any, ...]] = db.execute(sql, binds or None).fetchall()
        except duckdb.InterruptException:
            raise StaError("sta.slow", SLOW, seconds=PATIENCE) from None
        except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
            raise StaError("sta.not_computed", BAD, reason=str(error).splitlines()[0][:200]) from None
        finally:
            timer.cancel()
            for name in tables:
                db.unregister(name)
        return rows

    def batches(self) -> pa.Table:
        """Batch and time of recording (microseconds)."""
        ids, times = self._batches
        return pa.table({"batch": ids, "recorded_at": pa.array(times).cast(pa.timestamp("us"))})

    def close(self) -> None:
        """Closes the snapshot."""
        with self._mutex:
            if self._snapshot is not None:
                self._snapshot.close()
                self._snapshot = None


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else value  # noqa: PLR0124 - NaN is a value that is absent


_ARROW = {NUMBER: pa.float64(), TIME: pa.int64(), BOOL: pa.bool_(), "duration": pa.int64()}


class _Query:
    """One question, compiled: what SQLite knows about each Datastream, and the rest for DuckDB."""

    def __init__(self, readings: Readings, snapshot: Snapshot, question: Question, root: str = "") -> None:
        self.readings, self.snapshot, self.question = readings, snapshot, question
        assert readings.store is not None
        self.store = readings.store
        self.binds = Binds("$")
        wanted = [
            node for node in (question.filter, *(term.node for term in question.order)) if node is not None
        ]
        named = {path.prop for node in wanted for path in paths(node)}
        self.extras = bool(named & {"resultTime", "validTime"}) and bool(
            self.store.rows("select 1 from extra limit 1")
        )
        self.duck = Duck(self.binds, extras=self.extras)
        self.condition = "true" if question.filter is None else self.duck.emit(question.filter)
        self.in_filter = len(self.duck.columns)
        self.keys = [self.duck.emit(term.node) for term in question.order]
        self.many = False
        self.window: tuple[int, int] | None = None
        self.numbers = snapshot.flow_ids()
        self.dim = self._root_dimension(root) if root else self._dimension()

    @property
    def possible(self) -> bool:
        """Whether any flow with values is asked for."""
        return bool(self.dim.num_rows)

    def _dimension(self) -> pa.Table:
        """One row for each Datastream whose values are asked for (more when a filter leads to a collection)."""
        question = self.question
        binds = Binds(":", dict(question.binds))
        sqlite = Sqlite(question.model, binds, "t", question.seen, ledger=True)
        columns = [sqlite.emit(node) for node in self.duck.columns]
        self.many = any(nav.many for node in self.duck.columns for path in paths(node) for nav in path.navs)
        if any(
            nav.many
            for node in self.duck.columns[self.in_filter :]
            for path in paths(node)
            for nav in path.navs
        ):
            raise StaError("sta.many_in_order")
        group = f"t.{question.group}" if question.group else "null"
        seen = question.seen("datastream", "d") or "true"
        sql = (
            f"select d.series, t.id, t.feature, d.step, d.months, {group}, {', '.join(['0', *columns])} "
            f"from {VALUES_OF_FLOWS} t join datastream d on d.id = t.id {' '.join(sqlite.joins)} "
            f"where ({question.where}) and {seen}"
        )
        return self._table(self.store.rows(sql, binds.values), ("id", "feature", "step", "months", "grp"))

    def _root_dimension(self, root: str) -> pa.Table:
        """One row for each pair of an entity and a Datastream that its links to Observations lead to."""
        question = self.question
        binds = Binds(":", dict(question.binds))
        kind = question.model.kinds[root]
        sqlite = Sqlite(question.model, binds, "t", question.seen, ledger=True)
        assert question.filter is not None
        chain = next(
            path.navs[: [nav.name for nav in path.navs].index("Observations") + 1]
            for path in paths(question.filter)
            if any(nav.name == "Observations" for nav in path.navs)
        )
        values = sqlite.reach(chain)
        columns = [sqlite.emit(node) for node in self.duck.columns]
        sql = (
            f"select {values}.series, t.id, t.id, d.step, d.months, null, {', '.join(['0', *columns])} "
            f"from {kind.table} t {' '.join(sqlite.joins)} join datastream d on d.id = {values}.id "
            f"where {values}.series is not null and ({question.where})"
        )
        return self._table(self.store.rows(sql, binds.values), ("id", "feature", "step", "months", "grp"))

    def _table(self, rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> pa.Table:
        known = [row for row in rows if row[0] in self.numbers]
        columns: dict[str, pa.Array] = {"flow": pa.array([self.numbers[row[0]] for row in known], pa.int32())}
        for index, name in enumerate(names, start=1):
            columns[name] = pa.array([row[index] for row in known], pa.int64())
        tz = self.readings.territory.tz
        offset = datetime.now(tz).utcoffset()
        columns["shift"] = pa.array(
            [int(offset.total_seconds() * 1e6) if offset else 0] * len(known), pa.int64()
        )
        for index, node in enumerate(self.duck.columns):
            kind = _ARROW.get(node.type, pa.string())
            values = [row[len(names) + 2 + index] for row in known]
            if kind == pa.bool_():
                values = [None if value is None else bool(value) for value in values]
            columns[f"c{index}"] = pa.array(values, kind)
        self.series = sorted({row[0] for row in known})
        return pa.table(columns)

    def _source(self) -> str:
        """The values of the flows that are asked for, only from files that can hold some that meet the filter."""
        span = self.window or window(self.question.filter)
        low, high = span or _FOREVER
        windows = None if span is None else [(max(low, 0), max(min(high, 253_402_300_800_000_000), 1))]
        ids = sorted(set(self.dim.column("flow").to_pylist()))
        condition = f"flow between {ids[0]} and {ids[-1]} and flow in ({', '.join(map(str, ids))})"
        if len(ids) == len(self.numbers):
            condition = ""
        return self.snapshot.readings(windows, condition)

    def _from(self) -> str:
        """Source, joins and condition; `r` are the values, `dim` what is known about their Datastream."""
        joins = ""
        if self.duck.uses_batch:
            joins += " join sta_batch b on b.batch = r.batch"
        if self.extras:
            joins += " left join sta_extra x on x.flow = r.flow and x.start = r.start"
        condition = f"r.quality <> {int(Quality.MISSING)}"
        if self.many:
            inner = self.condition.replace("dim.", "e.")
            plain = "(select distinct flow, id, feature, step, months, grp, shift from sta_dim)"
            exists = f"exists (select 1 from sta_dim e where e.flow = r.flow and e.id = dim.id and {inner})"
            return f"from ({self._source()}) r join {plain} dim on dim.flow = r.flow{joins} where {condition} and {exists}"
        return f"from ({self._source()}) r join sta_dim dim on dim.flow = r.flow{joins} where {condition} and {self.condition}"

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        tables = {"sta_dim": self.dim}
        if self.duck.uses_batch:
            tables["sta_batch"] = self.readings.batches()
        if self.extras:
            tables["sta_extra"] = self._extra_table()
        used = {name: value for name, value in self.binds.values.items() if _uses(sql, name)}
        return self.readings.run(self.snapshot, sql, used, **tables)

    def _extra_table(self) -> pa.Table:
        marks = ", ".join("?" * len(self.series))
        rows = self.store.rows(
            f"select series, start, result_time, valid_start, valid_end from extra where series in ({marks})",
            self.series,
        )
        return pa.table(
            {
                "flow": pa.array([self.numbers[row[0]] for row in rows], pa.int32()),
                "start": pa.array([row[1] for row in rows], pa.int64()).cast(pa.timestamp("us")),
                **{
                    name: pa.array([row[i] for row in rows], pa.int64())
                    for i, name in enumerate(("result_time", "valid_start", "valid_end"), start=2)
                },
            }
        )

    def nearest(self) -> list[Reading]:
        """The page, looked for only near the end of time at which it begins; empty when that is not the whole page.

        Where the sort begins with the time, rows beyond a window cannot come before rows inside it: a window with rows
        enough gives the page, and files of other days are not opened.
        """
        question = self.question
        if not question.order or window(question.filter) is not None:
            return []
        first = question.order[0]
        if not is_start(first.node):
            return []
        wanted = question.limit + question.offset
        spans = [
            (*self.readings.known_span(series), self.readings.counts.get(series, 0)) for series in self.series
        ]
        low, high = min(span[0] for span in spans), max(span[1] for span in spans)
        if (
            question.group
        ):  # each has its own last values; those that are silent for long are looked for apart
            live = [
                span for span in spans
                if span[2] >= _FEW * wanted and abs((high - span[1]) if first.descending else (span[0] - low)) < _LONG
            ]  # fmt: skip
            needed = [int((last - start) * _SURE * wanted / n) for start, last, n in live]
            length = max(needed) + _LONG if needed else -1
        else:
            rows = sum(span[2] for span in spans)
            length = int((high - low) * _SURE * wanted / rows) if rows >= _FEW * wanted else -1
        if length < 0 or not wanted or high - low <= length:
            return []
        length += _DAY
        self.window = (high - length, high + 1) if first.descending else (low, low + length)
        found = self.rows()
        self.window = None
        return found if question.group or len(found) == question.limit else []

    def rows(self) -> list[Reading]:
        question = self.question
        keys = "".join(f", {key} as k{i}" for i, key in enumerate(self.keys))
        terms = [
            f"k{i} {'desc nulls last' if term.descending else 'asc nulls first'}"
            for i, term in enumerate(question.order)
        ]
        order = ", ".join([*terms, "r.flow", "r.start"])
        inner = (
            "select r.flow, epoch_us(r.start), r.value, r.quality, r.batch, dim.id, dim.feature, dim.grp"
            f"{keys} {self._from()}"
        )
        if question.group:
            ranked = f"row_number() over (partition by dim.grp order by {order})"
            for i in reversed(range(len(self.keys))):
                ranked = ranked.replace(f"k{i} ", f"{self.keys[i]} ")
            low, high = question.offset, question.offset + question.limit
            sql = f"{inner} qualify {ranked} > {low} and {ranked} <= {high} order by dim.grp, {order}"
        else:
            sql = f"{inner} order by {order} limit {int(question.limit)} offset {int(question.offset)}"
        found = self._run(sql)
        names = {number: key for key, number in self.numbers.items()}
        return [self._reading(row, names[row[0]]) for row in found]

    def _reading(self, row: tuple[Any, ...], series: str) -> Reading:
        flow, start, value, quality, batch, datastream, feature, group, *keys = row
        end = self.readings.end_of(series, start)
        return Reading(
            flow, start, None if end == start else end, _number(value), quality, batch, datastream, feature, group, tuple(keys)
        )  # fmt: skip

    def count(self) -> int:
        return int(self._run(f"select count(*) {self._from()}")[0][0])

    def roots(self) -> list[int]:
        return [row[0] for row in self._run(f"select distinct dim.id {self._from_plain()}")]

    def _from_plain(self) -> str:
        self.many = False
        return self._from()


def _uses(sql: str, name: str) -> bool:
    """Whether the place `$name` stands in the statement (DuckDB refuses values without a place)."""
    at = sql.find(f"${name}")
    while at >= 0:
        if not sql[at + len(name) + 1 : at + len(name) + 2].isdigit():
            return True
        at = sql.find(f"${name}", at + 1)
    return False
