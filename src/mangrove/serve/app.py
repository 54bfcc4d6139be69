# SPDX-License-Identifier: Apache-2.0
"""The web application: routes of screens and their twins, the proof of a number, the stream of events, the frame of every page.

Comes in: the live state, who may see what, and further routers (ingest, SensorThings, accounts). Goes out: an ASGI application. It
holds no state of its own. A person's error is answered in the person's language, as a page or as JSON with its code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse

from mangrove import messages
from mangrove.errors import LedgerError, MangroveError, RequestError, SourceError
from mangrove.printing import as_csv
from mangrove.serve import hazards, newest
from mangrove.serve import screens as registry
from mangrove.serve import view as views
from mangrove.serve.requests import gives, text_of
from mangrove.serve.scope import GUEST, Guard, Principal
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.serve.words import Words

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self' blob:; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Styles may stand in the page because figures carry theirs; scripts may not."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_YEAR = "public, max-age=31536000, immutable"
_STATUS = {
    "sources.busy": 429,
    "sources.closed": 503,
    "ledger.disk": 507,
    "ledger.locked": 503,
    "live.no_place": 404,
    "live.no_table": 404,
    "live.no_figure": 404,
}


@dataclass(frozen=True)
class Fixed:
    """Everyone is one principal: for tests and notebooks."""

    principal: Principal

    @property
    def caller(self) -> Callable[[], Principal]:
        """Gives the principal."""
        return lambda: self.principal

    def need(self, *roles: str, guests: bool = True) -> Callable[[], Principal]:
        """Gives the principal when it has one of the roles."""

        def allowed() -> Principal:
            if self.principal.role not in roles or (self.principal.kind == GUEST and not guests):
                raise RequestError("live.not_for_role", role=self.principal.role)
            return self.principal

        return allowed

    def alive(self, principal: Principal) -> bool:
        """Nobody is ever sent away."""
        return principal == self.principal


@dataclass(frozen=True)
class Site:
    """What the frame of a page needs: templates, the live state, who may pass."""

    live: Live
    access: Guard
    pages: Environment

    def view(self, request: Request, principal: Principal, screen: Screen | None = None) -> View:
        """The view of a request, for a screen when there is one."""
        asked, now = request.headers.get("accept-language", "")[:2].lower(), self.live.clock.now()
        lang = asked if asked in messages.LANGUAGES else ""
        view = views.read(
            self.live.territory,
            dict(request.query_params),
            now=now,
            principal=principal,
            lang=request.cookies.get("lang") or (lang if not self.live.territory.lang else ""),
            period=screen.period if screen else "month",
            compare=newest.comparison(self.live, now),
            screen=screen.name if screen else "",
            keeps=screen.keeps if screen else (),
        )
        if view.scenario in self.scenarios():
            raise RequestError("live.run_of_scenario", name=view.scenario.partition("/")[2])
        return view

    def page(
        self, request: Request, template: str, view: View, *, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page in its frame."""
        text = self.pages.get_template(template).render(
            w=Words(view.lang, view.tz),
            view=view,
            live=self.live,
            request=request,
            path=request.url.path.lstrip("/"),
            menu=[
                s
                for s in registry.screens()
                if s.menu and view.principal.role in s.roles and s.fits(view.territory)
            ],
            runs=self.runs(),
            newest=lambda: newest.newest(self.live, view),
            newest_inside=lambda: newest.inside(self.live, view),
            worst=lambda: hazards.worst(self.live, view),
            version=version("mangrove"),
            csrf=getattr(request.state, "csrf", ""),
            **context,
        )
        return HTMLResponse(text, status)

    def runs(self) -> Sequence[str]:
        """The runs that have values: what was measured first."""
        return self.live.kept.get(("runs", self.live.cut()), self._runs)

    def scenarios(self) -> frozenset[str]:
        """The runs of adopted scenarios: their flows are those of a derived declaration, so only the page of plans shows them."""
        return frozenset(f"plan/{one.name}" for one in self.live.adopted())

    def _runs(self) -> Sequence[str]:
        if not self.live.cut():
            return ("measured",)
        with self.live.snapshot() as snapshot:
            heads = {key.partition(":")[0] for key in snapshot.flow_ids() if ":" in key}
        heads -= self.scenarios()
        return (
            "measured",
            *sorted(
                head
                for head in heads
                if head.partition("/")[0] in {"estimate", "forecast", "schedule", "plan"}
            ),
        )


def create(
    live: Live,
    *,
    access: Guard,
    routers: Sequence[APIRouter] = (),
    middleware: Sequence[Callable[[FastAPI], None]] = (),
    started: Callable[[], None] | None = None,
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
) -> FastAPI:
    """The application.

    Args:
        live: what is served.
        access: who may pass.
        routers: further routes.
        middleware: functions that add middleware, the outermost last.
        started: called once the application is up.
        background: coroutines that run as long as it does; they are canceled at its end.
    """

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        live.hub.bind(asyncio.get_running_loop())
        tasks = [asyncio.create_task(run()) for run in background]
        if started is not None:
            started()
        yield
        live.hub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(
        title=f"Mangrove: {live.territory.name}",
        version=version("mangrove"),
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    site = Site(live, access, _templates())
    app.state.site = site
    app.state.roles = {}
    app.include_router(_frame(site))
    for screen in registry.screens():
        app.include_router(_screen(site, screen))
    for router in routers:
        app.include_router(router)
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.add_exception_handler(MangroveError, _refused(site))
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(ClientDisconnect, lambda *_: Response(status_code=400))
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.middleware("http")(_headers)
    for add in middleware:
        add(app)
    return app


def _templates() -> Environment:
    env = Environment(
        loader=PackageLoader("mangrove.serve", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["static"] = _static_address
    return env


def _static_address(name: str) -> str:
    """The address of a static file; it changes when the file does, so that browsers may keep it for ever."""
    return f"/static/{name}?v={int((STATIC / name).stat().st_mtime)}"


class _Static(StaticFiles):
    """Static files that browsers keep when their address carries a version."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        if b"v=" in scope.get("query_string", b""):
            response.headers["cache-control"] = _YEAR
        return response


async def _headers(request: Request, call_next: Callable[[Request], Any]) -> Any:
    response = await call_next(request)
    for name, text in HEADERS.items():
        response.headers.setdefault(name, text)
    if not request.url.path.startswith("/static/"):
        response.headers.setdefault("cache-control", "no-store")
    return response


def _screen(site: Site, screen: Screen) -> APIRouter:
    """The page of a screen and its twins."""
    router = APIRouter(tags=["screens"])
    who = Depends(site.access.need(*screen.roles))

    def model(request: Request, principal: Principal) -> tuple[View, Any]:
        view = site.view(request, principal, screen)
        return view, registry.build(screen, site.live, view)

    @router.get(f"/{screen.name}", response_class=HTMLResponse, name=screen.name)
    def page(request: Request, principal: Principal = who) -> HTMLResponse:
        view, built = model(request, principal)
        return site.page(request, screen.template, view, page=built, screen=screen)

    @router.get(f"/{screen.name}.json", name=f"{screen.name}.json")
    def as_json(request: Request, principal: Principal = who) -> JSONResponse:
        return JSONResponse(_plain(model(request, principal)[1].json()))

    @router.get(f"/{screen.name}.csv", name=f"{screen.name}.csv", **gives("text/csv"))
    def as_table(request: Request, table: str = "", principal: Principal = who) -> Response:
        found = registry.one("table", model(request, principal)[1].tables(), table)
        name = f'attachment; filename="{screen.name}{f"-{table}" if table else ""}.csv"'
        return Response(
            as_csv(found, guarded=True),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": name},
        )

    @router.get(f"/{screen.name}.svg", name=f"{screen.name}.svg", **gives("image/svg+xml"))
    def as_figure(request: Request, figure: str = "", principal: Principal = who) -> Response:
        view, built = model(request, principal)
        found = registry.one("figure", built.figures(view.lang), figure)
        return Response(found, media_type="image/svg+xml")

    return router


def _frame(site: Site) -> APIRouter:
    """The routes that belong to no screen."""
    from mangrove.serve.why import prove

    router = APIRouter(tags=["frame"])
    live = site.live
    who = Depends(site.access.caller)

    @router.get("/", include_in_schema=False, dependencies=[who])
    def first() -> RedirectResponse:
        return RedirectResponse(f"/{registry.screens()[0].name}", 303)

    @router.get("/events", response_class=StreamingResponse)
    async def events(principal: Principal = who) -> Response:
        return _events(site, principal)

    @router.get("/why", response_class=HTMLResponse)
    def why(request: Request, principal: Principal = who) -> HTMLResponse:
        view = site.view(request, principal)
        return site.page(request, "why.html", view, proof=prove(live, view))

    @router.get("/why.json")
    def why_json(request: Request, principal: Principal = who) -> JSONResponse:
        return JSONResponse(_plain(prove(live, site.view(request, principal)).json()))

    @router.get("/lang/{lang}", include_in_schema=False, dependencies=[who])
    def lang(lang: str, back: str = "/") -> RedirectResponse:
        if lang not in messages.LANGUAGES:
            raise RequestError(
                "live.unknown_choice",
                name="lang",
                word=lang[:40],
                options=", ".join(messages.LANGUAGES),
                hint="",
            )
        local = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
        response = RedirectResponse(local, 303)
        response.set_cookie("lang", lang, max_age=31_536_000, samesite="lax", httponly=True)
        return response

    @router.get("/api/v1/clock", dependencies=[who])
    def clock() -> dict[str, Any]:
        return {"now": live.clock.now().isoformat(), "speed": live.clock.speed if live.clock.replays else 1.0}

    @router.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok", "version": version("mangrove")}

    @router.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(STATIC / "mangrove.svg", media_type="image/svg+xml")

    return router


def _events(site: Site, principal: Principal) -> Response:
    """A stream of events, while there are not too many."""
    if site.live.hub.full(principal.id):
        return Response(status_code=503, headers={"retry-after": "30"})
    return StreamingResponse(
        site.live.hub.stream(lambda: site.access.alive(principal), principal.id),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


def _refused(site: Site) -> Callable[[Request, Exception], Any]:
    """Answers an error of a person in the person's language."""

    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, MangroveError)
        status = status_of(error)
        page = "text/html" in request.headers.get("accept", "")
        elsewhere: str = getattr(error, "location", "")
        if page and elsewhere:
            return RedirectResponse(elsewhere, 303)
        lang = request.query_params.get("lang") or request.cookies.get("lang") or site.live.territory.lang
        lang = lang if lang in messages.LANGUAGES else site.live.territory.lang
        headers = dict(getattr(error, "headers", None) or {}) or (
            {"retry-after": "1"} if status in {429, 503} else {}
        )
        if page:
            words = Words(lang, site.live.territory.tz)
            back = (
                "/?" + urlencode({"lang": request.query_params["lang"]})
                if "lang" in request.query_params
                else "/"
            )
            text = site.pages.get_template("error.html").render(
                w=words, problems=[words.problem(one) for one in error.problems], back=back, status=status
            )
            return HTMLResponse(text, status, headers)
        found = [{"code": one.code, "text": one.text(lang)} for one in error.problems]
        return JSONResponse({"problems": found}, status, headers)

    return answer


def _misread(_request: Request, error: Exception) -> Response:
    """Says where a request is not as described; what it said there is not said again: it may be no text and no number."""
    assert isinstance(error, RequestValidationError)
    found = [
        {"type": one["type"], "loc": [text_of(str(part)) for part in one["loc"]], "msg": text_of(one["msg"])}
        for one in error.errors()
    ]
    return JSONResponse({"detail": found}, 422)


def status_of(error: MangroveError) -> int:
    """The HTTP status of an error; a refusal of access carries its own."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status
    if error.code in _STATUS:
        return _STATUS[error.code]
    if error.code == "live.not_for_role":
        return 403
    if isinstance(error, RequestError | SourceError):
        return 400
    return 500 if isinstance(error, LedgerError) and error.code != "ledger.missing" else 409


def _plain(value: Any) -> Any:
    """Data for JSON: what is not a number is null, times are ISO 8601 in UTC."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - not a number
    return value if isinstance(value, str | int | bool | type(None)) else str(value)
