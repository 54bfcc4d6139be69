# SPDX-License-Identifier: Apache-2.0
"""One request that reads: a path and options to an entity, a collection, a property or references.

Comes in: a `Call` (method, path, query, body, who asks). Goes out: an `Answer` (status, JSON or text, headers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mangrove.serve.sta import documents
from mangrove.serve.sta.errors import MISSING, NOT_IMPLEMENTED, StaError
from mangrove.serve.sta.model import Kind, Model
from mangrove.serve.sta.represent import Represent, next_link
from mangrove.serve.sta.rows import Row, Rows, Where
from mangrove.serve.sta.url import Target, parse_options, parse_path
from mangrove.times import to_us

if TYPE_CHECKING:
    from mangrove.serve.scope import Scope
    from mangrove.serve.sta.service import SensorThings


@dataclass(frozen=True)
class Call:
    """One request; `root` is the URL of the service root without a slash at the end, `path` what follows it (unquoted)."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    root: str = ""
    who: str = ""
    content_type: str = "application/json"
    key: str = ""
    lang: str = "en"


@dataclass(frozen=True)
class Answer:
    """Status, content (JSON value, text, or None for nothing) and headers."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Request:
    """One request that reads, while it is answered."""

    def __init__(self, service: SensorThings, model: Model, call: Call, scope: Scope) -> None:
        self.service, self.model, self.call, self.scope = service, model, call, scope
        self.store = service.store
        sight = service.sight(scope, writes=call.method not in ("GET", "HEAD"))
        self.rows = Rows(model, self.store, service.readings, sight)
        self.show = Represent(model, call.root, self.rows)

    def now(self) -> int:
        """The server's time, microseconds."""
        return to_us(self.service.clock.now())

    # Reading

    def read(self, path: str) -> Answer:  # noqa: PLR0911 - one line for each kind of target
        """GET: whatever the path leads to."""
        if not path:
            return Answer(200, documents.service(self.model, self.call.root))
        if path == "$metadata" and not self.model.prefix:
            return Answer(200, documents.metadata(self.model))
        target = parse_path(path, self.model)
        kind = target.last.kind
        options = parse_options(self.call.query, self.model, kind, collection=target.collection, now=self.now)
        where, row = self.walk(target)
        url = f"{self.call.root}/{path}"
        if target.prop:
            if row is None:
                raise AssertionError
            return self.property(target, kind, row)
        if target.counted:
            return Answer(
                200, str(self.rows.count(kind, where, options.filter)), {"Content-Type": "text/plain"}
            )
        if target.ref:
            return self.references(target, where, row)
        if not target.collection:
            assert row is not None
            body = self.show.entities(kind, [row], options)[0]
            return Answer(200, self.in_context(body, f"{kind.plural}/$entity", options.format))
        if options.array:
            return Answer(200, self.show.data_arrays(where, options, url))
        page = self.show.page(kind, where, options, url)
        return Answer(200, self.in_context(page, kind.plural, options.format))

    def in_context(self, body: dict[str, Any], fragment: str, form: str = "") -> dict[str, Any]:
        """2.0 says in every answer where its meaning stands; `$format=...metadata=none` leaves it out."""
        if self.model.prefix:
            return body
        if form and not form.replace(" ", "").startswith(("application/json", "json")):
            raise StaError("sta.no_format", NOT_IMPLEMENTED, text=form)
        if "metadata=none" in form or "metadata=minimal" in form:
            body = documents.stripped(body)
        if "metadata=none" in form:
            return body
        return {"@context": f"{self.call.root}/$metadata#{fragment}", **body}

    def walk(self, target: Target) -> tuple[Where, Row | None]:
        """Follows a path: the condition of its last segment, and the entity when it leads to one."""
        where, row, before = Where(), None, None
        for step in target.steps:
            where = Where()
            if step.nav is not None:
                assert row is not None
                assert before is not None
                where = self.rows.linked(row, step.nav)
            if step.many:
                return where, None
            if step.id is not None:
                row = self.rows.one(step.kind, step.id, where)
            else:
                found, _ = self.rows.page(
                    step.kind,
                    where,
                    parse_options("$top=1", self.model, step.kind, collection=True, now=self.now),
                )
                row = found[0] if found else None
            if row is None:
                raise StaError("sta.no_entity", MISSING, path=self.call.path[:200])
            before = step.kind
        return where, row

    def property(self, target: Target, kind: Kind, row: Row) -> Answer:
        """One property, or its raw value; nothing (204) when it is null."""
        name, *rest = target.prop
        if name in ("id", self.model.control("id")):
            value: Any = row["id"]
        elif name == self.model.control("selfLink"):
            value = self.show.link(kind, row["id"])
        else:
            value = self.show.value(kind, kind.props[name], row)
        for key in rest:
            if not isinstance(value, dict) or key not in value:
                raise StaError("sta.no_path", MISSING, path=self.call.path[:200])
            value = value[key]
        if value is None:
            return Answer(204)
        if target.raw:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            return Answer(200, text, {"Content-Type": "text/plain; charset=utf-8"})
        last = rest[-1] if rest else name
        if self.model.prefix:
            return Answer(200, {last: value})
        return Answer(
            200, {"@context": f"{self.call.root}/$metadata#{kind.plural}({row['id']})/{last}", "value": value}
        )

    def references(self, target: Target, where: Where, row: Row | None) -> Answer:
        """The URLs of what a path leads to."""
        kind = target.last.kind
        name = self.model.control("selfLink" if self.model.prefix else "id")
        if row is not None:
            one = {name: self.show.link(kind, row["id"])}
            if self.model.prefix:
                return Answer(200, {"value": [one]})
            return Answer(200, {"@context": f"{self.call.root}/$metadata#$ref", **one})
        options = parse_options(self.call.query, self.model, kind, collection=True, now=self.now)
        rows, more = self.rows.page(kind, where, options)
        body: dict[str, Any] = {"value": [{name: self.show.link(kind, one["id"])} for one in rows]}
        if more:
            body[self.model.control("nextLink")] = next_link(
                f"{self.call.root}/{self.call.path.strip('/')}", options
            )
        return Answer(
            200,
            body
            if self.model.prefix
            else {"@context": f"{self.call.root}/$metadata#Collection($ref)", **body},
        )
