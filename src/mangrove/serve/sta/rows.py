# SPDX-License-Identifier: Apache-2.0
"""Entities as rows: found in the store and in the ledger, filtered, sorted and paged.

Comes in: a kind, a condition that says where to look (all, those of a Thing, one id) and options. Goes out: plain rows with
the columns of the entity. Observations come from the store and the ledger and are merged into one order; nobody who reads
can tell them apart, except by their ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mangrove.ledger.types import Quality
from mangrove.serve.sta.errors import StaError
from mangrove.serve.sta.expressions import Node, Order, Path, paths
from mangrove.serve.sta.model import Kind, Model, Nav
from mangrove.serve.sta.readings import Question, Reading, Readings
from mangrove.serve.sta.sql import VALUES_OF_FLOWS, Binds, Sqlite, require_one_way
from mangrove.serve.sta.store import Store
from mangrove.serve.sta.url import Options

Row = dict[str, Any]
_STORED = re.compile(r"s(\d{1,18})", re.ASCII)
_LEDGER = re.compile(r"(\d{1,9})-(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)
_OBSERVATION = (
    "id", "datastream", "feature", "phen_start", "phen_end", "result", "result_kind", "result_time", "valid_start",
    "valid_end", "quality", "parameters",
)  # fmt: skip


@dataclass(frozen=True)
class Sight:
    """Which rows a caller may see: everything, or the entities of some places and the Datastreams of some flows."""

    whole: bool = True
    places: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()

    @property
    def binds(self) -> dict[str, Any]:
        """The values that `condition` refers to."""
        return {"sight_places": json.dumps(self.places), "sight_flows": json.dumps(self.flows)}

    def condition(self, table: str, alias: str) -> str:  # noqa: PLR0911 - one line for each kind
        """SQL that is true for a row of `table` that may be seen; empty when all may be."""
        if self.whole:
            return ""
        place = f"{alias}.place in (select value from json_each(:sight_places))"
        if table == "datastream":
            flow = f"{alias}.flow in (select value from json_each(:sight_flows))"
            return f"case when {alias}.flow is null then {place} else {flow} end"
        below = self.condition("datastream", f"{alias}_d") if table != "datastream" else ""
        if table == "observation":
            return f"exists (select 1 from datastream {alias}_d where {alias}_d.id = {alias}.datastream and {below})"
        if table == "sensor":
            used = (
                f"exists (select 1 from datastream {alias}_d where {alias}_d.sensor = {alias}.id and {below})"
            )
            return f"({place} or {used})"
        if table == "historical_location":
            thing = self.condition("thing", f"{alias}_t")
            return f"exists (select 1 from thing {alias}_t where {alias}_t.id = {alias}.thing and {thing})"
        if table in ("observed_property", "feature_type"):
            return f"({alias}.place is null or {place})"
        return place


@dataclass(frozen=True)
class Where:
    """A condition over `t`, the rows of one kind."""

    sql: str = "true"
    binds: dict[str, Any] = field(default_factory=dict)


class Rows:
    """Finds rows for one request.

    Args:
        model: the vocabulary; store, readings: where entities and values stand; sight: what the caller may see.
    """

    def __init__(self, model: Model, store: Store, readings: Readings, sight: Sight) -> None:
        self.model, self.store, self.readings, self.sight = model, store, readings, sight

    def page(self, kind: Kind, where: Where, options: Options) -> tuple[list[Row], bool]:
        """The rows of one page, and whether there are more."""
        if kind.table == "observation":
            found = self._observations(where, options, options.top + 1)
        else:
            found = self._entities(kind, where, options, options.top + 1, options.skip)
        return found[: options.top], len(found) > options.top

    def count(self, kind: Kind, where: Where, filter_: Node | None) -> int:
        """How many rows meet the filter, over all pages."""
        binds = Binds(":", {**self.sight.binds, **where.binds})
        source, condition = self._compiled(kind, where, filter_, binds)
        stored = self.store.rows(f"select count(*) from {source} where {condition}", binds.values)[0][0]
        if kind.table != "observation" or not self._has_flows(where):
            return int(stored)
        return int(stored) + self.readings.count(self._question(where, Options(filter=filter_), 0, 0))

    def one(self, kind: Kind, id_: str, where: Where) -> Row | None:
        """The entity with this id inside `where`; None when there is none to be seen."""
        if kind.table == "observation":
            return self._observation(id_, where)
        if not id_.isdecimal():
            return None
        narrowed = Where(f"({where.sql}) and t.id = :one", {**where.binds, "one": int(id_)})
        found = self._entities(kind, narrowed, Options(), 1, 0)
        return found[0] if found else None

    def linked(self, row: Row, nav: Nav) -> Where:
        """The condition for what a link of an entity leads to."""
        if nav.pairs:
            table, mine, other = nav.pairs
            return Where(
                f"t.id in (select {other} from {table} where {mine} = :from_id)", {"from_id": row["id"]}
            )
        if nav.back:
            return Where(f"t.{nav.back} = :from_id", {"from_id": row["id"]})
        return Where("t.id = :from_id", {"from_id": row[nav.fk]})

    def many_observations(
        self, column: str, parents: Sequence[int], options: Options
    ) -> dict[int, tuple[list[Row], bool]]:
        """Observations of many Datastreams (or Features) at once, for `$expand`: rows by parent, and whether there are more."""
        inside = Where(
            f"t.{column} in (select value from json_each(:parents))", {"parents": json.dumps(list(parents))}
        )
        n = options.top + 1
        order = self._order(options)
        grouped: dict[int, list[tuple[Row, tuple[Any, ...]]]] = {parent: [] for parent in parents}
        both = options.skip + n
        if self._has_flows(inside):
            question = self._question(inside, options, both, 0, group=column)
            for reading in self.readings.rows(question):
                grouped[int(reading.group or 0)].append((self._of_reading(reading), reading.keys))
            self._add_extras([row for rows in grouped.values() for row, _ in rows])
        with_stored = {
            row[0] for row in self.store.rows(
                f"select distinct {column} from observation t where {inside.sql}", inside.binds)
        }  # fmt: skip
        for parent in with_stored & set(grouped):
            where = Where(f"t.{column} = :parent", {"parent": parent})
            grouped[parent] += self._stored(where, options, both, 0)
        pages = {}
        for parent, found in grouped.items():
            rows = _sorted(found, order)[options.skip : options.skip + n]
            pages[parent] = (rows[: options.top], len(rows) > options.top)
        return pages

    # Entities of the store

    def _entities(self, kind: Kind, where: Where, options: Options, limit: int, offset: int) -> list[Row]:
        binds = Binds(":", {**self.sight.binds, **where.binds})
        source, condition = self._compiled(kind, where, options.filter, binds, options.order)
        emitter = self._emitter
        terms = [f"{emitter.emit(term.node)}{' desc' if term.descending else ''}" for term in options.order]
        names, texts = self._columns(kind)
        source = f"{kind.table} t {' '.join(emitter.joins)}" if terms else source
        rows = self.store.rows(
            f"select {', '.join(texts)} from {source} where {condition} "
            f"order by {', '.join([*terms, 't.id'])} limit {int(limit)} offset {int(offset)}",
            binds.values,
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _columns(self, kind: Kind) -> tuple[list[str], list[str]]:
        """Names and expressions of what a row of a kind holds: id, key, properties and the columns of its links."""
        names, texts = ["id", "key"], ["t.id", "t.key"]
        for prop in kind.props.values():
            for index, text in enumerate(prop.sql):
                names.append(f"{prop.name}.{index}")
                texts.append(text.format(t="t"))
        for nav in kind.navs.values():
            if nav.fk:
                names.append(nav.fk)
                texts.append(f"t.{nav.fk}")
        return names, texts

    def _compiled(
        self, kind: Kind, where: Where, filter_: Node | None, binds: Binds, order: Sequence[Order] = ()
    ) -> tuple[str, str]:
        """Source and condition; the emitter stays for the terms of the order."""
        seen = self.sight.condition
        self._emitter = Sqlite(self.model, binds, "t", seen)
        if any(nav.many for term in order for path in paths(term.node) for nav in path.navs):
            raise StaError("sta.many_in_order")
        conditions = [f"({where.sql})"]
        if visible := seen(kind.table, "t"):
            conditions.append(f"({visible})")
        if filter_ is not None:
            conditions.append(self._filter(kind, filter_, binds))
        return f"{kind.table} t {' '.join(self._emitter.joins)}", " and ".join(conditions)

    def _filter(self, kind: Kind, filter_: Node, binds: Binds) -> str:
        """The filter as a condition over `t`."""
        require_one_way(filter_, 0 if kind.table == "observation" else 1)
        chains = [path.navs for path in paths(filter_) if path.navs]
        if not chains:
            return self._emitter.emit(filter_)
        if not any(nav.many for navs in chains for nav in navs):
            return self._emitter.emit(filter_)
        inner = Sqlite(self.model, binds, "y", self.sight.condition, unique="z")
        text = inner.emit(filter_)
        found = f"t.id in (select y.id from {kind.table} y {' '.join(inner.joins)} where {text})"
        if not any(nav.name == "Observations" for navs in chains for nav in navs):
            return found
        question = Question(self.model, self.sight.condition, binds=self.sight.binds, filter=filter_)
        roots = json.dumps(self.readings.roots(question, kind.name))
        return f"({found} or t.id in (select value from json_each({binds.add(roots)})))"

    # Observations of both

    def _observations(self, where: Where, options: Options, n: int) -> list[Row]:
        has_flows, has_stored = self._has_flows(where), self._has_stored(where)
        if options.filter is not None:
            require_one_way(options.filter, 0)
        if has_flows and has_stored:
            both = options.skip + n
            found = self._of_ledger(where, options, both, 0) + self._stored(where, options, both, 0)
            rows = _sorted(found, self._order(options))[options.skip : both]
        elif has_flows:
            rows = [row for row, _ in self._of_ledger(where, options, n, options.skip)]
        else:
            rows = [row for row, _ in self._stored(where, options, n, options.skip)]
        self._add_extras(rows)
        return rows

    def _order(self, options: Options) -> tuple[Order, ...]:
        """What was asked for, else the time of the phenomenon."""
        if options.order:
            return options.order
        kind = self.model.kinds["Observation"]
        return (Order(Path((), kind, "phenomenonTime", (), "period"), descending=False),)

    def _question(self, where: Where, options: Options, limit: int, offset: int, group: str = "") -> Question:
        return Question(
            self.model, self.sight.condition, where.sql, {**self.sight.binds, **where.binds}, options.filter,
            self._order(options) if limit else (), limit, offset, group,
        )  # fmt: skip

    def _of_ledger(
        self, where: Where, options: Options, limit: int, offset: int
    ) -> list[tuple[Row, tuple[Any, ...]]]:
        readings = self.readings.rows(self._question(where, options, limit, offset))
        return [(self._of_reading(reading), reading.keys) for reading in readings]

    def _stored(
        self, where: Where, options: Options, limit: int, offset: int
    ) -> list[tuple[Row, tuple[Any, ...]]]:
        kind = self.model.kinds["Observation"]
        binds = Binds(":", {**self.sight.binds, **where.binds})
        order = self._order(options)
        _, condition = self._compiled(kind, where, options.filter, binds, order)
        keys = [self._emitter.emit(term.node) for term in order]
        terms = [f"{key}{' desc' if term.descending else ''}" for key, term in zip(keys, order, strict=True)]
        columns = ", ".join(f"t.{name}" for name in _OBSERVATION)
        rows = self.store.rows(
            f"select {columns}, {', '.join(keys)} from observation t {' '.join(self._emitter.joins)} "
            f"where {condition} order by {', '.join(terms)}, t.id limit {int(limit)} offset {int(offset)}",
            binds.values,
        )
        size = len(_OBSERVATION)
        return [(_of_stored(row[:size]), row[size:]) for row in rows]

    def _has_flows(self, where: Where) -> bool:
        seen = self.sight.condition("datastream", "d") or "true"
        sql = f"select 1 from {VALUES_OF_FLOWS} t join datastream d on d.id = t.id where ({where.sql}) and {seen} limit 1"
        return bool(self.store.rows(sql, {**self.sight.binds, **where.binds}))

    def _has_stored(self, where: Where) -> bool:
        return bool(self.store.rows(f"select 1 from observation t where ({where.sql}) limit 1", where.binds))

    def _observation(self, id_: str, where: Where) -> Row | None:
        if match := _STORED.fullmatch(id_):
            narrowed = Where(f"({where.sql}) and t.id = :one", {**where.binds, "one": int(match[1])})
            found = self._stored(narrowed, Options(), 1, 0)
            return found[0][0] if found else None
        match = _LEDGER.fullmatch(id_)
        if match is None:
            return None
        found_one = self.readings.one(int(match[1]), int(match[2]), int(match[3]) if match[3] else None)
        if found_one is None:
            return None
        series, reading = found_one
        seen = self.sight.condition("datastream", "d") or "true"
        rows = self.store.rows(
            f"select t.id, t.feature from {VALUES_OF_FLOWS} t join datastream d on d.id = t.id "
            f"where t.series = :series and ({where.sql}) and {seen}",
            {**self.sight.binds, **where.binds, "series": series},
        )
        if not rows:
            return None
        end = self.readings.end_of(series, reading.start)
        row = self._of_reading(
            reading._replace(
                datastream=rows[0][0], feature=rows[0][1], end=None if end == reading.start else end
            )
        )
        self._add_extras([row])
        return row

    def _of_reading(self, reading: Reading) -> Row:
        quality = Quality(reading.quality)
        return {
            "id": f"{reading.flow}-{reading.start}",
            "datastream": reading.datastream,
            "feature": reading.feature,
            "phen_start": reading.start,
            "phen_end": reading.end,
            "result": reading.value,
            "result_time": None,
            "valid_start": None,
            "valid_end": None,
            "quality": {"code": int(quality), "name": quality.name.lower()},
            "parameters": {"batch": reading.batch},
            "batch": reading.batch,
        }

    def _add_extras(self, rows: Sequence[Row]) -> None:
        """When values were recorded, and what a client said beside them."""
        mine = [row for row in rows if "batch" in row]
        if not mine:
            return
        for row, recorded in zip(mine, self.readings.recorded([row["batch"] for row in mine]), strict=True):
            row["result_time"] = recorded
        if not self.store.rows("select 1 from extra limit 1"):
            return
        wanted = json.dumps([[row["datastream"], row["phen_start"]] for row in mine])
        found = self.store.rows(
            "select d.id, e.start, e.result_time, e.valid_start, e.valid_end, e.quality, e.parameters "
            "from json_each(:wanted) w join datastream d on d.id = json_extract(w.value, '$[0]') "
            "join extra e on e.series = d.series and e.start = json_extract(w.value, '$[1]')",
            {"wanted": wanted},
        )
        extras = {(row[0], row[1]): row[2:] for row in found}
        for row in mine:
            result_time, valid_start, valid_end, quality, parameters = extras.get(
                (row["datastream"], row["phen_start"]), (None,) * 5
            )
            row["result_time"] = result_time if result_time is not None else row["result_time"]
            row["valid_start"], row["valid_end"] = valid_start, valid_end
            if quality is not None:
                row["quality"] = {**row["quality"], "said": json.loads(quality)}
            if parameters is not None:
                row["parameters"] = {**json.loads(parameters), **row["parameters"]}


def _of_stored(row: Sequence[Any]) -> Row:
    found = dict(zip(_OBSERVATION, row, strict=True))
    found["number"] = found["id"]
    found["id"] = f"s{found['id']}"
    kind = found.pop("result_kind")
    if kind == "b":
        found["result"] = bool(found["result"])
    elif kind == "j":
        found["result"] = json.loads(found["result"])
    for name in ("quality", "parameters"):
        found[name] = None if found[name] is None else json.loads(found[name])
    return found


def _rank(value: Any) -> tuple[int, Any]:
    """How SQLite and DuckDB sort: nothing, then numbers, then text."""
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, int | float) else (2, str(value))


def _sorted(found: list[tuple[Row, tuple[Any, ...]]], order: Sequence[Order]) -> list[Row]:
    """Rows of both sources in one order; equal ones stay as they are: the ledger's first."""
    for index in reversed(range(len(order))):
        found = sorted(found, key=lambda pair, i=index: _rank(pair[1][i]), reverse=order[index].descending)  # type: ignore[misc]
    return [row for row, _ in found]
