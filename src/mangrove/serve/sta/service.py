# SPDX-License-Identifier: Apache-2.0
"""The service: one method, from a request to an answer, for both versions of the standard.

Comes in: a `Call` (method, path, query, body, who asks). Goes out: an `Answer` (status, JSON or text, headers). Nothing here
knows of HTTP libraries. What a caller may not see does not exist for it (404); what it may see but not change is 403.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mangrove.errors import LedgerError, SourceError
from mangrove.ledger import Ledger
from mangrove.ledger.catalog import to_us
from mangrove.serve.clock import Clock
from mangrove.serve.sta import documents, patches
from mangrove.serve.sta.declared import synchronize
from mangrove.serve.sta.errors import BAD, BUSY, FORBIDDEN, MISSING, NOT_IMPLEMENTED, SLOW, StaError
from mangrove.serve.sta.model import V11, V20, Kind, Model
from mangrove.serve.sta.observe import Observer, Stream, Value, store_observation
from mangrove.serve.sta.readings import Readings
from mangrove.serve.sta.represent import Represent
from mangrove.serve.sta.rows import Row, Rows, Sight, Where
from mangrove.serve.sta.store import Store
from mangrove.serve.sta.url import Target, parse_options, parse_path
from mangrove.serve.sta.write import Writer, declared, named
from mangrove.territory.model import Territory

if TYPE_CHECKING:
    from mangrove.serve.scope import Scope
    from mangrove.sources.intake import Intake

MODELS: Mapping[str, Model] = {"v1.1": V11, "v2.0": V20}
MOST_BODY = 8 << 20
"""Bytes of a request's body."""
MOST_BATCH, MOST_ARRAY = 100, 100_000
"""Requests in one batch; Observations in one CreateObservations."""
_RETRY = {"Retry-After": "1"}
Note = Callable[[str, str, Mapping[str, Any]], None]


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


class SensorThings:
    """The SensorThings service of one territory; use it in a `with` statement.

    Args:
        territory: what is declared; ledger: opened read-only; folder: where `things.db` stands (the ledger's folder).
        intake: the writer of values; None for a service that only reads them.
        clock: says what time it is.
        audit: told of every change and deletion by a client: action, who, detail.
    """

    def __init__(
        self,
        territory: Territory,
        ledger: Ledger,
        folder: Path,
        *,
        intake: Intake | None = None,
        clock: Clock | None = None,
        audit: Note | None = None,
    ) -> None:
        self.territory, self.intake, self.clock = territory, intake, clock or Clock()
        self.readings = Readings(ledger, territory)
        self.store = Store(folder, self.readings.span)
        self.readings.store = self.store
        self.audit = audit
        synchronize(self.store, territory, self.clock)

    def refresh(self, territory: Territory) -> None:
        """Takes a changed declaration; entities keep their ids."""
        self.territory = self.readings.territory = territory
        synchronize(self.store, territory, self.clock)

    def handle(self, version: str, call: Call, scope: Scope) -> Answer:
        """Answers one request; never raises for what a client did."""
        model = MODELS[version]
        try:
            return _Request(self, model, call, scope).answer()
        except StaError as error:
            headers = _RETRY if error.status == SLOW else {}
            return Answer(error.status, error.body(call.lang), headers)
        except SourceError as error:
            body = {"code": BUSY, "type": error.code, "message": error.text(call.lang)}
            return Answer(BUSY, body, _RETRY)
        except (LedgerError, TimeoutError) as error:
            text = error.text(call.lang) if isinstance(error, LedgerError) else "timeout"
            return Answer(SLOW, {"code": SLOW, "type": "ledger", "message": text}, _RETRY)

    def sight(self, scope: Scope, *, writes: bool = False) -> Sight:
        """What a scope may see; with `writes` also the Datastreams that it may only write to."""
        if scope.whole:
            return Sight()
        places = tuple(place for place in self.territory.places if scope.sees(place))
        flows = scope.flows | scope.writes if writes else scope.flows
        return Sight(whole=False, places=places, flows=tuple(sorted(flows)))

    def close(self) -> None:
        """Closes the store and the snapshot."""
        self.readings.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Request:
    """One request while it is answered."""

    def __init__(self, service: SensorThings, model: Model, call: Call, scope: Scope) -> None:
        self.service, self.model, self.call, self.scope = service, model, call, scope
        self.store = service.store
        sight = service.sight(scope, writes=call.method not in ("GET", "HEAD"))
        self.rows = Rows(model, self.store, service.readings, sight)
        self.show = Represent(model, call.root, self.rows)

    def now(self) -> int:
        return to_us(self.service.clock.now())

    def answer(self) -> Answer:
        method, path = self.call.method, self.call.path.strip("/")
        if method == "POST" and path == "CreateObservations" and self.model.prefix:
            return self.create_observations()
        if method == "POST" and path == "$batch":
            return self.batch()
        if method in ("GET", "HEAD"):
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

    # Reading

    def read(self, path: str) -> Answer:  # noqa: PLR0911 - one line for each kind of target
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
            from mangrove.serve.sta.represent import next_link

            body[self.model.control("nextLink")] = next_link(
                f"{self.call.root}/{self.call.path.strip('/')}", options
            )
        return Answer(
            200,
            body
            if self.model.prefix
            else {"@context": f"{self.call.root}/$metadata#Collection($ref)", **body},
        )

    # Writing

    def body(self) -> Any:
        """The JSON of the request: finite numbers, whole characters."""
        return read_json(self.call.body)

    def observer(self) -> Observer:
        service = self.service
        return Observer(
            self.store, service.readings, service.intake, service.clock, self.call.who, seq=self.call.key
        )

    def writer(self, db: Any) -> Writer:
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
                self.show.entity(
                    kind, row, parse_options("", self.model, kind, collection=False, now=self.now)
                ),
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
            detail = {
                "entity": f"{kind.plural}({row['id']})",
                "body": self.call.body.decode("utf-8", "replace")[:2000],
            }
            self.service.audit(action, self.call.who, detail)

    def update(self, target: Target) -> Answer:
        kind, row = self.changeable(target)
        body, replace = self.body(), self.call.method == "PUT"
        if self.call.content_type.startswith("application/json-patch+json"):
            shown = self.show.entity(
                kind, row, parse_options("", self.model, kind, collection=False, now=self.now)
            )
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
        shown = self.show.entity(
            kind, fresh, parse_options("", self.model, kind, collection=False, now=self.now)
        )
        return Answer(200, self.in_context(shown, f"{kind.plural}/$entity"))

    def delete(self, target: Target) -> Answer:
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
