# SPDX-License-Identifier: Apache-2.0
"""One request that writes: create, change, delete, many Observations at once, a batch of requests.

Comes in: a `Call` with a body. Goes out: an `Answer`, after what it says is on disk. Entities are made and changed by those who see
the whole territory; values of a declared flow are written by whoever may write the flow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from mangrove.serve.scope import GUEST
from mangrove.serve.sta import patches
from mangrove.serve.sta.errors import BAD, FORBIDDEN, NOT_IMPLEMENTED, StaError
from mangrove.serve.sta.model import Kind
from mangrove.serve.sta.observe import Observer, Stream, Value, store_observation
from mangrove.serve.sta.request import Answer, Call, Request
from mangrove.serve.sta.rows import Row, Where
from mangrove.serve.sta.url import Options, Target, parse_path
from mangrove.serve.sta.write import Writer, declared, named

MOST_BODY = 8 << 20
"""Bytes of a request's body."""
MOST_BATCH, MOST_ARRAY = 100, 100_000
"""Requests in one batch; Observations in one CreateObservations."""


EDITORS = ("admin", "operator")
"""Roles that change and delete; a batch is asked too, because it comes in as a POST."""


class Change(Request):
    """One request that writes, while it is answered."""

    def answer(self) -> Answer:
        """The answer to any request of this service."""
        method, path = self.call.method, self.call.path.strip("/")
        if method not in ("GET", "HEAD") and self.scope.principal.kind == GUEST:
            raise StaError("sta.forbidden", FORBIDDEN, who=self.call.who)
        if method == "POST" and path == "CreateObservations" and self.model.prefix:
            return self.create_observations()
        if method == "POST" and path == "$batch":
            return self.batch()
        if method in ("GET", "HEAD"):
            if self.scope.principal.role == "device":  # it reads nothing, also not inside a batch
                raise StaError("sta.forbidden", FORBIDDEN, who=self.call.who)
            return self.read(path)
        actions: dict[str, Callable[[Target], Answer]] = {
            "POST": self.create, "PATCH": self.update, "PUT": self.update, "DELETE": self.delete,
        }  # fmt: skip
        if method not in actions:
            raise StaError("sta.method", 405, method=method)
        target = parse_path(path, self.model)
        if (
            not target.steps
            or target.prop
            or target.ref
            or target.counted
            or target.collection != (method == "POST")
        ):
            raise StaError("sta.method", 405, method=method)
        return actions[method](target)

    def body(self) -> Any:
        """The JSON of the request: finite numbers, whole characters."""
        return read_json(self.call.body)

    def observer(self) -> Observer:
        """Writes Observations in the name of the caller."""
        service = self.service
        return Observer(
            self.store, service.readings, service.intake, service.clock, self.call.who, seq=self.call.key
        )

    def writer(self, db: Any) -> Writer:
        """Writes entities in a transaction."""
        return Writer(self.model, self.store, db, self.now(), frozenset(self.service.territory.places))

    def require_whole(self) -> None:
        """Entities are made and changed by those who see the whole territory."""
        if not self.scope.whole:
            raise StaError("sta.forbidden", FORBIDDEN, who=self.call.who)

    def require_stream(self, stream: Stream) -> None:
        """Values of a declared flow are written by who may write the flow; others by who sees the whole."""
        if stream.flow not in self.scope.writes if stream.flow else not self.scope.whole:
            raise StaError("sta.forbidden", FORBIDDEN, who=self.call.who)

    def create(self, target: Target) -> Answer:
        """POST: an entity in a collection; 201 with its URL."""
        kind, nav = target.last.kind, target.last.nav
        parent: tuple[Kind, Row] | None = None
        if nav is not None:
            before = Target(target.steps[:-1])
            _, row = self.walk(before)
            assert row is not None
            parent = (before.last.kind, row)
        body = self.body()
        if not isinstance(body, dict):
            raise StaError("sta.not_object")
        if parent is not None and nav is not None:
            body = self.under(kind, body, nav.inverse, parent)
        if kind.table == "observation":
            id_: Any = self.create_observation(body)
        else:
            self.require_whole()
            with self.store.writing() as db:
                id_ = self.writer(db).create(kind, body)
        row = self.rows.one(kind, str(id_), Where())
        headers = {"Location": self.show.link(kind, id_)}
        if row is None:  # written by a device that reads nothing
            return Answer(201, None, headers)
        return Answer(
            201,
            self.in_context(
                self.show.entity(kind, row, Options()),
                f"{kind.plural}/$entity",
            ),
            headers,
        )

    def under(
        self, kind: Kind, body: dict[str, Any], inverse: str, parent: tuple[Kind, Row]
    ) -> dict[str, Any]:
        """A body that also names the entity under which it is posted."""
        link = {self.model.control("id"): parent[1]["id"]}
        nav = kind.navs[inverse]
        return {**body, inverse: [*body.get(inverse, []), link] if nav.many and not nav.fk else link}

    def stream_of(self, value: Any) -> Stream | None:
        """The Datastream that a body names; None when it brings its own."""
        if not isinstance(value, dict):
            raise StaError("sta.missing", kind="Observation", name="Datastream")
        id_ = named(self.model, self.model.kinds["Datastream"], value)
        if id_ is None:
            return None
        if self.rows.one(self.model.kinds["Datastream"], str(id_), Where()) is None:
            raise StaError("sta.bad_link", kind="Observation", name="Datastream")
        return self.observer().stream(id_)

    def create_observation(self, body: dict[str, Any]) -> str:
        """Writes one Observation into the ledger or the store; its id."""
        stream = self.stream_of(body.get("Datastream"))
        if stream is None:
            self.require_whole()
            with self.store.writing() as db:
                return f"s{self.writer(db).create(self.model.kinds['Observation'], body)}"
        self.require_stream(stream)
        if "result" not in body:
            raise StaError("sta.missing", kind="Observation", name="result")
        observer = self.observer()
        Writer(self.model, self.store, None, 0, frozenset()).properties(  # type: ignore[arg-type]
            self.model.kinds["Observation"], body, complete=True
        )
        value = observer.for_ledger(stream, body, self.model)
        if value is not None:
            return observer.put([value])[0]
        with self.store.writing() as db:
            return store_observation(self.writer(db), stream, body)

    def create_observations(self) -> Answer:
        """`CreateObservations`: many at once; an element that cannot be written is answered with "error"."""
        groups = self.body()
        if not isinstance(groups, list):
            raise StaError("sta.not_object")
        kind, observer = self.model.kinds["Observation"], self.observer()
        answers: list[str] = []
        values: list[tuple[int, Value]] = []
        with self.store.writing() as db:
            writer = self.writer(db)
            for stream, item in self.elements(groups):
                try:
                    if stream is None:
                        answers.append("error")
                        continue
                    self.require_stream(stream)
                    writer.properties(kind, item, complete=True)
                    value = observer.for_ledger(stream, item, self.model)
                    if value is not None:
                        values.append((len(answers), value))
                        answers.append("")
                    else:
                        answers.append(self.show.link(kind, store_observation(writer, stream, item)))
                except StaError:
                    answers.append("error")
            if values:
                ids = observer.put([value for _, value in values])
                for (index, _), id_ in zip(values, ids, strict=True):
                    answers[index] = self.show.link(kind, id_)
        return Answer(201, answers)

    def elements(self, groups: list[Any]) -> list[tuple[Stream | None, dict[str, Any]]]:
        """The Observations of a dataArray request as bodies, with their Datastreams."""
        found: list[tuple[Stream | None, dict[str, Any]]] = []
        for group in groups:
            if (
                not isinstance(group, dict)
                or not isinstance(group.get("components"), list)
                or not isinstance(group.get("dataArray"), list)
            ):
                raise StaError("sta.missing", kind="CreateObservations", name="components, dataArray")
            names = [str(name) for name in group["components"]]
            for name in ("phenomenonTime", "result"):
                if name not in names:
                    raise StaError("sta.missing", kind="CreateObservations", name=name)
            try:
                stream = self.stream_of(group.get("Datastream"))
            except StaError:
                stream = None
            for array in group["dataArray"]:
                item: dict[str, Any] = {}
                for name, value in zip(names, array if isinstance(array, list) else [], strict=False):
                    if name == "FeatureOfInterest/id":
                        item["FeatureOfInterest"] = {"@iot.id": value}
                    else:
                        item[name] = value
                found.append((stream, item))
        if len(found) > MOST_ARRAY:
            raise StaError("sta.too_many", 413, most=MOST_ARRAY)
        return found

    def changeable(self, target: Target) -> tuple[Kind, Row]:
        """The entity of a path, when this caller may change it."""
        _, row = self.walk(target)
        assert row is not None
        kind = target.last.kind
        if self.scope.principal.role not in EDITORS:
            raise StaError("sta.forbidden", FORBIDDEN, who=self.call.who)
        if kind.table == "observation":
            stream = self.observer().stream(row["datastream"])
            assert stream is not None
            self.require_stream(stream)
            self.note(kind, row)
            return kind, row
        self.require_whole()
        if declared(row.get("key")):
            raise StaError("sta.declared", FORBIDDEN, path=f"{kind.plural}({row['id']})")
        self.note(kind, row)
        return kind, row

    def note(self, kind: Kind, row: Row) -> None:
        """Tells the audit log before anything changes: a change that cannot be recorded does not happen."""
        if self.service.audit is not None:
            action = "sta.deleted" if self.call.method == "DELETE" else "sta.changed"
            if "batch" in row:
                action = "reading.corrected"
            detail = {
                "method": self.call.method,
                "entity": f"{kind.plural}({row['id']})",
                "body": self.call.body.decode("utf-8", "replace")[:2000],
            }
            self.service.audit(action, self.scope.principal, detail)

    def update(self, target: Target) -> Answer:
        """PATCH, PUT and JSON Patch of one entity."""
        kind, row = self.changeable(target)
        body, replace = self.body(), self.call.method == "PUT"
        if self.call.content_type.startswith("application/json-patch+json"):
            shown = self.show.entity(kind, row, Options())
            document = {
                name: shown[name] for name, prop in kind.props.items() if name in shown and prop.columns
            }
            body, replace = patches.apply(document, body), True
        if not isinstance(body, dict):
            raise StaError("sta.not_object")
        if kind.table == "observation" and any(name in body for name in kind.navs):
            self.require_whole()  # it would move into another Datastream
        with self.store.writing() as db:
            writer = self.writer(db)
            if kind.table == "observation" and "batch" in row:
                for nav in kind.navs.values():
                    writer.only_ids(kind, nav, body.get(nav.name))
                writer.properties(kind, body, complete=replace)
            else:
                writer.update(kind, row, body, replace=replace)
        if kind.table == "observation" and "batch" in row:
            self.observer().change(row, body, self.model)
        fresh = self.rows.one(kind, str(row["id"]), Where())
        assert fresh is not None
        shown = self.show.entity(kind, fresh, Options())
        return Answer(200, self.in_context(shown, f"{kind.plural}/$entity"))

    def delete(self, target: Target) -> Answer:
        """DELETE of one entity and of what cannot be without it."""
        kind, row = self.changeable(target)
        if kind.table == "observation" and "batch" in row:
            self.observer().forget(row)
            return Answer(204)
        id_ = row["number"] if kind.table == "observation" else row["id"]
        with self.store.writing() as db:
            self.writer(db).delete(kind.table, [int(id_)])
        return Answer(204)

    def batch(self) -> Answer:
        """A JSON batch (OData 4.01, as FROST speaks it): requests one after the other, each with its own answer."""
        body = self.body()
        requests = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(requests, list) or not all(isinstance(one, dict) for one in requests):
            raise StaError("sta.missing", kind="$batch", name="requests")
        if len(requests) > MOST_BATCH:
            raise StaError("sta.too_many", 413, most=MOST_BATCH)
        answers = []
        for one in requests:
            if "atomicityGroup" in one:
                raise StaError("sta.no_format", NOT_IMPLEMENTED, text="atomicityGroup")
            path, _, query = str(one.get("url", "")).removeprefix(self.call.root).partition("?")
            inner = Call(
                str(one.get("method", "")).upper(), path.lstrip("/"), query, json.dumps(one.get("body")).encode(),
                self.call.root, self.call.who, lang=self.call.lang,
            )  # fmt: skip
            answer = (
                Answer(BAD)
                if inner.path == "$batch"
                else self.service.handle(self.model.version, inner, self.scope)
            )
            said: dict[str, Any] = {"id": one.get("id"), "status": answer.status}
            if answer.headers.get("Location"):
                said["location"] = answer.headers["Location"]
            if answer.content is not None:
                said["body"] = answer.content
            answers.append(said)
        return Answer(200, {"responses": answers})


def read_json(body: bytes) -> Any:
    """JSON of a client; raises `StaError` `sta.not_json` also for NaN and for halves of characters."""
    if len(body) > MOST_BODY:
        raise StaError("sta.too_long", 413, most=MOST_BODY)
    try:
        value = json.loads(body, parse_constant=_refuse, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise StaError("sta.not_json", reason=str(error)[:200]) from None
    return value


def _refuse(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
