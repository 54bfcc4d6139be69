# SPDX-License-Identifier: Apache-2.0
"""Which roles each route of an application is for, as declared beside the route; what is not declared is refused.

Comes in: an application. Goes out: a table of its routes with their roles, for tests, for the documentation, and for the middleware
that answers 403 where a route has none. A route declares its roles by a dependency (`need`, `Access.caller`), a mounted application
or a route of another kind by the table `app.state.roles`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PUBLIC = ("public",)
"""The roles of a route that needs nobody."""
ROLES = "roles"
"""Attribute of a dependency that says for which roles it lets a request pass."""
COOKIES = "mangrove.cookies"
"""Key of the ASGI scope: cookies that the answer sets besides its own."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A route: its path, its methods (empty for all, and for a WebSocket), its roles; None when it declares none."""

    path: str
    methods: frozenset[str]
    roles: tuple[str, ...] | None
    mounted: bool = False

    def fits(self, method: str, path: str) -> bool:
        """Whether a request is for this route, before routes further down are asked."""
        pattern = compile_path(self.path.rstrip("/") + "/{path:path}" if self.mounted else self.path)[0]
        return bool(pattern.match(path)) and (not self.methods or not method or method in self.methods)

    def example(self) -> str:
        """A path that fits, with `1` for each parameter."""
        return re.sub(r"{[^}]*}", "1", self.path)


def declared_roles(app: FastAPI) -> list[Declared]:
    """Every route of `app`, in the order in which they are asked."""
    told = getattr(app.state, "roles", {})
    return list(_walk(app.routes, told))


def _walk(routes: Any, told: dict[str, tuple[str, ...]]) -> Iterator[Declared]:
    for route in routes:
        if hasattr(
            route, "effective_candidates"
        ):  # a router that FastAPI includes without copying its routes
            yield from _walk(route.effective_candidates(), told)
            continue
        found = getattr(route, "starlette_route", None) or route
        path = getattr(found, "path", None)
        if path is None:  # nobody can say what this answers to, so it is as if it answered to everything
            yield Declared("/{path:path}", frozenset(), None)
            continue
        mounted = hasattr(found, "routes") and getattr(found, "endpoint", None) is None
        roles = told.get(path) or _roles_of(getattr(found, "dependant", None))
        yield Declared(path, frozenset(getattr(found, "methods", None) or ()), roles, mounted)


def _roles_of(dependant: Any) -> tuple[str, ...] | None:
    """The roles that every declaration among the dependencies of a route lets pass."""
    found: tuple[str, ...] | None = None
    for one in getattr(dependant, "dependencies", ()):
        here = getattr(one.call, ROLES, None)
        for roles in (here, _roles_of(one)):
            if roles is not None:
                found = tuple(roles) if found is None else tuple(role for role in found if role in roles)
    return found


class Gate:
    """ASGI middleware: refuses routes without declared roles; sets the cookies that dependencies asked for."""

    def __init__(self, app: ASGIApp, site: FastAPI) -> None:
        self.app = app
        self.site = site
        self._table: list[Declared] | None = None
        self._open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        if self._undeclared(scope.get("method", ""), scope["path"]):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await JSONResponse({"problems": [{"code": "access.undeclared"}]}, 403)(scope, receive, send)
            return
        cookies: list[str] = []
        scope[COOKIES] = cookies

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and cookies:
                extra = [(b"set-cookie", cookie.encode("latin-1")) for cookie in cookies]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self.app(scope, receive, answer)

    def _undeclared(self, method: str, path: str) -> bool:
        if self._table is None:  # routes are complete once the first request comes
            self._table = declared_roles(self.site)
            self._open = all(one.roles is not None for one in self._table)
        if self._open:
            return False
        return next((one.roles is None for one in self._table if one.fits(method, path)), False)
