# SPDX-License-Identifier: Apache-2.0
"""Values out over HTTP, for machines: which flows there are, and what is stored of them.

Comes in: names of flows, a period, maybe a run and a moment of knowledge. Goes out: columnar JSON, CSV or an Arrow stream with the
columns that a request with values has, so what is read here can be sent elsewhere as it is. Only flows in the caller's scope exist.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from mangrove.errors import MangroveError, RequestError, SourceError
from mangrove.ledger.types import series
from mangrove.serve import requests
from mangrove.serve.scope import Principal, Scope
from mangrove.serve.state import Live
from mangrove.sources.registers import SUFFIX
from mangrove.sources.sheet import encoded
from mangrove.territory.model import Territory
from mangrove.times import Span, instant

READERS = ("admin", "operator", "tenant", "city", "worker")
MOST_VALUES = 1_000_000
"""Values of one answer: 20 MB as Arrow."""


def router(live: Live, access: Any) -> APIRouter:
    """The routes that read flows and values; `access.need(*roles)` gives the `Principal` or refuses."""
    api = APIRouter(tags=["values out"])
    _flows(api, live, access)
    _values(api, live, access)
    return api


def _flows(api: APIRouter, live: Live, access: Any) -> None:
    who: Any = Depends(access.need(*READERS, "device"))

    def respond(form: str, principal: Principal) -> Response:
        return requests.table_answer(flow_table(live.territory, Scope(live.territory, principal)), form)

    @api.get("/api/v1/flows")
    @api.get("/api/v1/flows.json", include_in_schema=False)
    def flows(principal: Principal = who) -> Response:
        """The flows that the caller may read or write."""
        return respond("json", principal)

    @api.get("/api/v1/flows.csv", **requests.gives("text/csv"))
    def flows_csv(principal: Principal = who) -> Response:
        """The same as CSV."""
        return respond("csv", principal)

    @api.get("/api/v1/flows.arrow", **requests.gives(requests.FORMS["arrow"]))
    def flows_arrow(principal: Principal = who) -> Response:
        """The same as an Arrow stream."""
        return respond("arrow", principal)


def flow_table(territory: Territory, scope: Scope) -> pa.Table:
    """The flows in a scope, in the order of the declaration."""
    mine = scope.flows | scope.writes
    rows = [flow for flow in territory.flows.values() if flow.id in mine]
    text = pa.string()
    return pa.table(
        {
            "flow": pa.array([one.id for one in rows], text),
            "name": pa.array([one.name for one in rows], text),
            "place": pa.array([one.place for one in rows], text),
            "carrier": pa.array([str(one.carrier) for one in rows], text),
            "unit": pa.array([one.unit.text for one in rows], text),
            "step": pa.array([str(one.step) if one.step is not None else None for one in rows], text),
            "semantics": pa.array([one.semantics for one in rows], text),
            "sector": pa.array([one.sector for one in rows], text),
            "scope": pa.array([one.scope for one in rows], pa.int64()),
            "meter": pa.array([one.meter for one in rows], text),
            "reads": pa.array([one.id in scope.flows for one in rows], pa.bool_()),
            "writes": pa.array([one.id in scope.writes for one in rows], pa.bool_()),
        }
    )


class Asked(BaseModel):
    """What is asked for."""

    flow: list[str] = Field(
        min_length=1, max_length=1000, description="ids; `ID#register` is the register of a counter"
    )
    start: str = Field(description="a period (2024-06) or, with `end`, the first instant", max_length=40)
    end: str = Field("", description="the first instant that no longer counts", max_length=40)
    run: str = Field("measured", description="measured, or a forecast, schedule or plan", max_length=200)
    as_of: str = Field("", description="what was known then", max_length=40)


def _values(api: APIRouter, live: Live, access: Any) -> None:
    who: Any = Depends(access.need(*READERS))

    def respond(form: str, request: Request, principal: Principal, asked: Asked) -> Response:
        try:
            return requests.table_answer(read(live, principal, asked), form)
        except MangroveError as error:
            return requests.refused(error, requests.language(request, live.territory.lang))

    @api.get("/api/v1/values")
    @api.get("/api/v1/values.json", include_in_schema=False)
    def values(request: Request, asked: Annotated[Asked, Query()], principal: Principal = who) -> Response:
        """Values of flows in a period: columns flow, ts (start of the interval, UTC), value, quality."""
        return respond("json", request, principal, asked)

    @api.get("/api/v1/values.csv", **requests.gives("text/csv"))
    def values_csv(
        request: Request, asked: Annotated[Asked, Query()], principal: Principal = who
    ) -> Response:
        """The same as CSV."""
        return respond("csv", request, principal, asked)

    @api.get("/api/v1/values.arrow", **requests.gives(requests.FORMS["arrow"]))
    def values_arrow(
        request: Request, asked: Annotated[Asked, Query()], principal: Principal = who
    ) -> Response:
        """The same as an Arrow stream."""
        return respond("arrow", request, principal, asked)


def read(live: Live, principal: Principal, asked: Asked) -> pa.Table:
    """The values that were asked for, as a table with the columns of a request with values.

    Raises:
        SourceError: `ingest.no_flow` for a flow that is not in the scope, whether it exists or not; `ingest.too_much`.
        RequestError: no such period.
    """
    scope = Scope(live.territory, principal)
    for flow in asked.flow:
        if flow.removesuffix(SUFFIX) not in scope.flows:
            raise SourceError("ingest.no_flow", flow=flow)
    span = _span(live.territory, asked.start, asked.end)
    keys = {series(flow, asked.run): flow for flow in asked.flow}
    _check_size(live.territory, asked.flow, span)
    when = _instant(live.territory, asked.as_of) if asked.as_of else None
    with live.park.reader() as ledger, ledger.snapshot(as_of=when) as snapshot:
        rows = snapshot.values(list(keys), span.start, span.end)
    if rows.num_rows > MOST_VALUES:
        raise SourceError("ingest.too_much", most=MOST_VALUES)
    index, words = encoded(_one(rows.column("flow")))
    names = pa.array([keys[word] for word in words], pa.string())
    flows = pa.DictionaryArray.from_arrays(pa.array(index), names).cast(pa.string())
    return pa.table(
        {"flow": flows, "ts": rows.column("start"), **{k: rows.column(k) for k in ("value", "quality")}}
    )


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _span(territory: Territory, start: str, end: str) -> Span:
    try:
        return Span.asked(start, end or None, territory.tz)
    except (ValueError, OverflowError) as error:
        raise RequestError("ingest.bad_time", text=str(error)[:80]) from None


def _instant(territory: Territory, written: str) -> datetime:
    try:
        return instant(written, territory.tz).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestError("ingest.bad_time", text=written[:80]) from None


def _check_size(territory: Territory, flows: list[str], span: Span) -> None:
    """Refuses what would have far too many values before anything is read."""
    seconds = (span.end - span.start).total_seconds()
    steps = [territory.flows[flow.removesuffix(SUFFIX)].step for flow in flows]
    if sum(seconds / step.seconds for step in steps if step is not None and step.seconds) > 2 * MOST_VALUES:
        raise SourceError("ingest.too_much", most=MOST_VALUES)
