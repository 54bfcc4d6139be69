# SPDX-License-Identifier: Apache-2.0
"""The routes of SensorThings and NGSI-LD: from HTTP to the service and back.

Comes in: requests under `/sta/v1.1`, `/sta/v2.0` and `/ngsi-ld/v1`. Goes out: the service's answers. Who asks is settled by the access
rules of the server before anything here runs; paths are not parsed by the framework, because the standard's are not made for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from mangrove.errors import LedgerError
from mangrove.serve.scope import Guard, Principal, Scope
from mangrove.serve.sta import ngsi
from mangrove.serve.sta.change import EDITORS, MOST_BODY
from mangrove.serve.sta.errors import BAD, TOO_LARGE, StaError
from mangrove.serve.sta.request import Answer, Call
from mangrove.serve.sta.service import MODELS, SensorThings

if TYPE_CHECKING:
    from starlette.datastructures import URL

READERS = ("admin", "operator", "tenant", "city", "worker")
WRITERS = ("admin", "operator", "tenant", "device", "worker")
"""Roles of the routes; what each may see or change inside is decided by its scope."""


def router(sta: SensorThings, access: Guard) -> APIRouter:
    """The routes of both versions and of NGSI-LD.

    Args:
        sta: the service.
        access: gives the dependency `need(*roles)` that yields the principal.
    """
    routes = APIRouter()

    def serve(version: str) -> Callable[..., Any]:
        async def answer(request: Request, principal: Principal) -> Response:
            body = await _body(request)
            if body is None:
                return _respond(_refused(StaError("sta.too_long", TOO_LARGE, most=MOST_BODY), request))
            try:
                call = _call(request, f"/sta/{version}", body, principal)
            except UnicodeDecodeError:
                return _respond(_refused(StaError("sta.no_path", BAD, path="?"), request))
            scope = Scope(sta.territory, principal)
            return _respond(await run_in_threadpool(sta.handle, version, call, scope))

        return answer

    for version in MODELS:
        for methods, roles in (
            (["GET", "HEAD"], READERS),
            (["POST"], WRITERS),
            (["PATCH", "PUT", "DELETE"], EDITORS),
        ):
            _add(routes, f"/sta/{version}", methods, serve(version), access.need(*roles))
    _add_ngsi(routes, sta, access)
    return routes


def _add(routes: APIRouter, prefix: str, methods: list[str], serve: Callable[..., Any], caller: Any) -> None:
    """One function for the service root and everything below it."""

    async def answer(request: Request, principal: Principal = Depends(caller)) -> Response:  # noqa: B008 - how FastAPI says it
        response: Response = await serve(request, principal)
        return response

    for path in (prefix, prefix + "/{rest:path}"):
        routes.add_api_route(path, answer, methods=methods, include_in_schema=False)


def _add_ngsi(routes: APIRouter, sta: SensorThings, access: Guard) -> None:
    caller = access.need(*READERS)

    def answer(request: Request, principal: Principal = Depends(caller)) -> Response:  # noqa: B008 - how FastAPI says it
        scope = Scope(sta.territory, principal)
        path = unquote(request.url.path).removeprefix("/ngsi-ld/v1")
        params, base = dict(request.query_params), _base(request.url)
        try:
            status, body = ngsi.answer(sta, sta.sight(scope), path, params, base)
        except (StaError, LedgerError) as error:
            status = 503
            body = {"type": "https://uri.etsi.org/ngsi-ld/errors/InternalError", "title": str(error)}
        return Response(orjson.dumps(body), status, media_type="application/ld+json")

    for path in (
        "/ngsi-ld/v1/entities",
        "/ngsi-ld/v1/entities/{rest:path}",
        "/ngsi-ld/v1/types",
        "/ngsi-ld/context.jsonld",
    ):
        routes.add_api_route(path, answer, methods=["GET"], include_in_schema=False)


async def _body(request: Request) -> bytes | None:
    """The body; None when it is longer than allowed."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BODY:
            return None
        parts.append(part)
    return b"".join(parts)


def _base(url: URL) -> str:
    return f"{url.scheme}://{url.netloc}"


def _call(request: Request, prefix: str, body: bytes, principal: Principal) -> Call:
    raw = request.scope.get("raw_path") or request.url.path.encode()
    mount = request.scope.get("root_path", "")
    path = unquote(raw.decode("ascii"), errors="strict").removeprefix(mount)
    return Call(
        request.method,
        path.removeprefix(prefix).lstrip("/"),
        request.scope["query_string"].decode("ascii"),
        body,
        f"{_base(request.url)}{mount}{prefix}",
        principal.id,
        request.headers.get("content-type", "application/json"),
        request.headers.get("idempotency-key", ""),
        "vi" if request.headers.get("accept-language", "").startswith("vi") else "en",
    )


def _refused(error: StaError, request: Request) -> Answer:
    return Answer(
        error.status,
        error.body("vi" if request.headers.get("accept-language", "").startswith("vi") else "en"),
    )


def _respond(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if answer.content is None:
        return Response(None, answer.status, headers)
    if isinstance(answer.content, str):
        kind = headers.pop("Content-Type", "text/plain; charset=utf-8")
        return Response(answer.content, answer.status, headers, media_type=kind)
    content = orjson.dumps(answer.content, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, answer.status, headers, media_type="application/json")
