# SPDX-License-Identifier: Apache-2.0
"""Rows as the JSON of the standard, with control information, selected properties and expanded links.

Comes in: rows and options. Goes out: dictionaries ready for JSON: `@iot.id`, `@iot.selfLink`, navigation links and times as text in
1.1; `@id`, `@navigationLink` and times as objects in 2.0; and pages with count and `nextLink`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from mangrove.serve.sta.errors import TOO_LARGE, StaError
from mangrove.serve.sta.model import ANY, GEO, OBJECT, PERIOD, TIME, Kind, Model, Prop
from mangrove.serve.sta.moments import write_instant, write_period
from mangrove.serve.sta.rows import Row, Rows, Where
from mangrove.serve.sta.url import Expand, Options

MOST_ENTITIES = 20_000
"""Entities in one answer, expanded ones included."""
Json = dict[str, Any]


class Represent:
    """Writes the answers of one request.

    Args:
        model: the vocabulary; root: URL of the service root, without a slash at the end; rows: where rows come from.
    """

    def __init__(self, model: Model, root: str, rows: Rows) -> None:
        self.model, self.root, self.rows = model, root, rows
        self.left = MOST_ENTITIES

    def link(self, kind: Kind, id_: Any) -> str:
        """The URL of an entity."""
        key = str(id_) if isinstance(id_, int) else "'" + quote(str(id_).replace("'", "''")) + "'"
        return f"{self.root}/{kind.plural}({key})"

    def page(self, kind: Kind, where: Where, options: Options, url: str) -> Json:
        """A collection: count when asked for, the entities of the page, and where the next page is."""
        answer: Json = {}
        if options.count:
            answer[self.model.control("count")] = self.rows.count(kind, where, options.filter)
        rows, more = self.rows.page(kind, where, options)
        answer["value"] = self.entities(kind, rows, options)
        if more and options.top > 0:
            answer[self.model.control("nextLink")] = next_link(url, options)
        return answer

    def entities(self, kind: Kind, rows: Sequence[Row], options: Options) -> list[Json]:
        """Several entities of one kind, with what is expanded."""
        self.left -= len(rows)
        if self.left < 0:
            raise StaError("sta.too_many", TOO_LARGE, most=MOST_ENTITIES)
        answers = [self.entity(kind, row, options) for row in rows]
        for expand in options.expand:
            self.expand(kind, rows, answers, expand)
        return answers

    def entity(self, kind: Kind, row: Row, options: Options) -> Json:
        """One entity without what is expanded."""
        chosen = None if options.select is None else {names[0] for names in options.select}
        expanded = {expand.nav.name for expand in options.expand}
        control, link = self.model.control, self.link(kind, row["id"])
        answer: Json = {}
        if self.model.prefix:
            if chosen is None or chosen & {"id", control("id")}:
                answer[control("id")] = row["id"]
            if chosen is None or control("selfLink") in chosen:
                answer[control("selfLink")] = link
        else:
            answer[control("id")] = link
            if chosen is None or "id" in chosen:
                answer["id"] = row["id"]
        for prop in kind.props.values():
            if chosen is not None and prop.name not in chosen:
                continue
            value = self.value(kind, prop, row)
            if value is not None or prop.mandatory or (prop.shown and self.model.prefix):
                answer[prop.name] = value if chosen is None else _part(value, prop.name, options.select or ())
        for nav in kind.navs.values():
            if (chosen is None or nav.name in chosen) and nav.name not in expanded:
                answer[f"{nav.name}{control('navigationLink')}"] = f"{link}/{nav.name}"
        return answer

    def value(self, kind: Kind, prop: Prop, row: Row) -> Any:  # noqa: PLR0911 - one line for each type
        """The value of one property."""
        if kind.table == "observation":
            if prop.name in ("result", "resultQuality", "parameters", "properties"):
                value = row[{"result": "result", "resultQuality": "quality"}.get(prop.name, "parameters")]
                if prop.name == "properties" and row["quality"] is not None:
                    return {**(value or {}), "resultQuality": row["quality"]}
                return value
            columns = [row[name] for name in prop.columns]
        else:
            columns = [row[f"{prop.name}.{index}"] for index in range(len(prop.sql))]
        if columns[0] is None:
            return None
        if prop.type in (OBJECT, GEO, ANY):
            return json.loads(columns[0])
        if prop.type == TIME:
            return write_instant(columns[0])
        if prop.type == PERIOD:
            return self.period(columns[0], columns[1])
        return columns[0]

    def period(self, start: int, end: int | None) -> str | Json:
        """A time in the form of the version."""
        if self.model.prefix:
            return write_period(start, end)
        both: Json = {"start": write_instant(start)}
        return both if end is None else {**both, "end": write_instant(end)}

    def expand(self, kind: Kind, rows: Sequence[Row], answers: Sequence[Json], expand: Expand) -> None:
        """Puts the entities behind one link into the answers."""
        nav, target, options = expand.nav, expand.kind, expand.options
        if not nav.many:
            self._expand_one(rows, answers, expand)
            return
        many: Mapping[int, tuple[list[Row], bool]] = {}
        if target.table == "observation" and nav.back:
            many = self.rows.many_observations(nav.back, [row["id"] for row in rows], options)
        for row, answer in zip(rows, answers, strict=True):
            where = self.rows.linked(row, nav)
            found, more = many[row["id"]] if row["id"] in many else self.rows.page(target, where, options)
            if options.count:
                answer[f"{nav.name}{self.model.control('count')}"] = self.rows.count(
                    target, where, options.filter
                )
            answer[nav.name] = self.entities(target, found, options)
            if more and options.top > 0:
                url = f"{self.link(kind, row['id'])}/{nav.name}"
                answer[f"{nav.name}{self.model.control('nextLink')}"] = next_link(url, options)

    def _expand_one(self, rows: Sequence[Row], answers: Sequence[Json], expand: Expand) -> None:
        nav, target = expand.nav, expand.kind
        ids = sorted({row[nav.fk] for row in rows if row[nav.fk] is not None})
        where = Where("t.id in (select value from json_each(:ids))", {"ids": json.dumps(ids)})
        limits = Options(top=len(ids), filter=expand.options.filter)
        found, _ = self.rows.page(target, where, limits)
        shown = {
            row["id"]: one
            for row, one in zip(found, self.entities(target, found, expand.options), strict=True)
        }
        for row, answer in zip(rows, answers, strict=True):
            answer[nav.name] = shown.get(row[nav.fk])

    def data_arrays(self, where: Where, options: Options, url: str) -> Json:
        """Observations grouped by Datastream as arrays (OGC 18-088 clause 13.1)."""
        kind = self.model.kinds["Observation"]
        answer: Json = {}
        if options.count:
            answer[self.model.control("count")] = self.rows.count(kind, where, options.filter)
        rows, more = self.rows.page(kind, where, options)
        names = [names[0] for names in options.select] if options.select else ["id", *kind.props]
        groups: dict[int, list[list[Any]]] = {}
        for row in rows:
            values = [
                row["id"] if name == "id" else self.value(kind, kind.props[name], row) for name in names
            ]
            groups.setdefault(row["datastream"], []).append(values)
        streams = self.model.kinds["Datastream"]
        answer["value"] = [
            {
                f"Datastream{self.model.control('navigationLink')}": self.link(streams, datastream),
                "components": names,
                f"dataArray{self.model.control('count')}": len(array),
                "dataArray": array,
            }
            for datastream, array in groups.items()
        ]
        if more and options.top > 0:
            answer[self.model.control("nextLink")] = next_link(url, options)
        return answer


def next_link(url: str, options: Options) -> str:
    """The URL of the page after this one: all options as they were, `$skip` further on."""
    raw = {**options.raw, "$top": str(options.top), "$skip": str(options.skip + options.top)}
    if "$top" not in options.raw:
        raw.pop("$top")
    return url + "?" + "&".join(f"{name}={quote(value, safe=_SAFE)}" for name, value in raw.items())


_SAFE = "$(),/:;'@*"


def _part(value: Any, name: str, select: Sequence[tuple[str, ...]]) -> Any:
    """What `$select=properties/x` leaves of a JSON value."""
    chosen = [names[1:] for names in select if names[0] == name]
    if () in chosen or not isinstance(value, dict):
        return value
    left: Json = {}
    for names in chosen:
        source, target = value, left
        for key in names[:-1]:
            source = source.get(key, {}) if isinstance(source, dict) else {}
            target = target.setdefault(key, {})
        if isinstance(source, dict) and names[-1] in source:
            target[names[-1]] = source[names[-1]]
    return left
