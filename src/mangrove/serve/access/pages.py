# SPDX-License-Identifier: Apache-2.0
"""How pages about access are drawn: the ones before the door show nothing of the territory but its name.

Comes in: a request, a template and its data. Goes out: HTML in the reader's language, and answers to refusals: a page or JSON, or the
way to the sign-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.websockets import WebSocket

from mangrove.messages import LANGUAGES
from mangrove.serve.access import csrf
from mangrove.serve.access.problems import AccessError, DeniedError
from mangrove.serve.scope import Principal
from mangrove.serve.words import Words

if TYPE_CHECKING:
    from mangrove.serve.access.gate import Access
    from mangrove.serve.app import Site

_A_YEAR = 31_536_000
_BAD_REQUEST, _NOT_FOUND = 400, 404
_MISSING = frozenset({"access.no_user", "access.no_key", "access.bad_link"})


def access_of(request: HTTPConnection) -> Access:
    """The access of the server that got a request."""
    found: Access = request.app.state.access
    return found


def site_of(request: HTTPConnection) -> Site:
    """The frame of the pages of the server that got a request."""
    found: Site = request.app.state.site
    return found


def door(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """A page for somebody who is not signed in."""
    site, access, lang = site_of(request), access_of(request), language(request)
    text = site.pages.get_template(f"access/{template}").render(
        w=Words(lang, access.territory.tz, "access"),
        territory=access.territory.name,
        csrf=csrf.token(access.anchor(request)),
        path=request.url.path,
        problems=context.pop("problems", []),
        **context,
    )
    answer = HTMLResponse(text, status, headers)
    if request.query_params.get("lang") == lang:
        keep_language(answer, lang)
    return answer


def keep_language(answer: Response, lang: str) -> None:
    """Keeps the language of a reader in a cookie, as the switch of the other pages does."""
    answer.set_cookie("lang", lang, max_age=_A_YEAR, samesite="lax", httponly=True)


def room(
    request: Request, principal: Principal, template: str, *, status: int = 200, **context: Any
) -> HTMLResponse:
    """A page for somebody who is signed in, in the frame of all pages."""
    site = site_of(request)
    view = site.view(request, principal)
    context.setdefault("problems", [])
    return site.page(request, f"access/{template}", view, status=status, **context)


def language(request: HTTPConnection) -> str:
    """The language of a reader: asked for, kept, or the territory's."""
    for word in (request.query_params.get("lang", ""), request.cookies.get("lang", "")):
        if word in LANGUAGES:
            return word
    return access_of(request).territory.lang


async def fields(request: Request) -> dict[str, str]:
    """The words of a form."""
    return {name: word for name, word in (await request.form()).items() if isinstance(word, str)}


def answer_refusals(app: FastAPI) -> None:
    """Makes `app` answer every `AccessError` in the reader's language, with the status that it asks for."""

    async def answer(request: HTTPConnection, error: Exception) -> Response | None:
        assert isinstance(error, AccessError)
        if isinstance(request, WebSocket):
            await request.close(1008)
            return None
        return _answered(request, error)

    app.add_exception_handler(AccessError, answer)  # type: ignore[arg-type]  # Starlette names requests only


def _answered(request: HTTPConnection, error: AccessError) -> Response:
    status = _NOT_FOUND if error.code in _MISSING else _BAD_REQUEST
    headers: dict[str, str] = {}
    html = "text/html" in request.headers.get("accept", "")
    if isinstance(error, DeniedError):
        status, headers = error.status, error.headers
        if html and error.location and "authorization" not in request.headers:
            return RedirectResponse(error.location, 303)
    lang = language(request)
    if not html:
        found = [{"code": one.code, "text": one.text(lang)} for one in error.problems]
        return JSONResponse({"problems": found}, status, headers)
    site = site_of(request)
    words = Words(lang, site.live.territory.tz)
    text = site.pages.get_template("error.html").render(
        w=words, problems=[words.problem(one) for one in error.problems], back="/", status=status
    )
    return HTMLResponse(text, status, headers)
