# SPDX-License-Identifier: Apache-2.0
"""What people do on the page of symbiosis: put up an offer or a need, withdraw it, print an annual form.

Comes in: a form of an operator, an administrator or a company. Goes out: a record of kind `listing` and a line in the audit log, or the same
form with every problem named; and the annual form of a year as a page that prints. A company enters and withdraws at its own places only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from mangrove import listings
from mangrove.errors import MangroveError, Problem, RequestError
from mangrove.measure.eip import forms
from mangrove.rules.eip import FORMS
from mangrove.serve.pages import symbiosis
from mangrove.serve.scope import Principal
from mangrove.serve.state import Live
from mangrove.serve.view import View, choice
from mangrove.territory.model import Place

WRITERS = ("admin", "operator", "tenant")
FIELDS = (
    "id", "place", "carrier", "name", "text", "codes", "quantity", "quality", "price", "otherwise_cost", "permits",
)  # fmt: skip
_LONGEST = 500


def router(live: Live, access: Any, audit: Callable[..., object]) -> APIRouter:
    """The routes of listings and forms.

    Args:
        live: what is served.
        access: who may pass.
        audit: keeps who did what.
    """
    api = APIRouter(tags=["symbiosis"], include_in_schema=False)
    who: Any = Depends(access.need(*WRITERS))
    signed_in: Any = Depends(access.need(*WRITERS, guests=False))

    def view_of(request: Request, principal: Principal) -> View:
        found: View = request.app.state.site.view(request, principal, symbiosis.SCREEN)
        return found

    def form(
        request: Request, view: View, said: Mapping[str, str], problems: tuple[Problem, ...]
    ) -> Response:
        data = {"said": said, "problems": problems, "places": places_of(view), "fields": FIELDS[3:]}
        answer: Response = request.app.state.site.page(
            request, "symbiosis_enter.html", view, page=data, writable=live.intake is not None
        )
        answer.status_code = 422 if problems else 200
        return answer

    @api.get("/symbiosis/enter")
    def show(request: Request, principal: Principal = who) -> Response:
        """The empty form of a listing."""
        return form(request, view_of(request, principal), {}, ())

    @api.post("/symbiosis/listings")
    async def enter(request: Request, principal: Principal = signed_in) -> Response:
        """Puts a listing up, or withdraws one."""
        said = {name: word for name, word in (await request.form()).items() if isinstance(word, str)}
        view = view_of(request, principal)
        if live.intake is None:
            raise RequestError("page_symbiosis.read_only")
        if said.get("withdraw"):
            record = await run_in_threadpool(_withdraw, live, view, said.get("id", ""))
            action = "listing.withdrawn"
        else:
            try:
                record = await run_in_threadpool(_enter, live, view, said)
            except MangroveError as error:
                return form(request, view, said, tuple(error.problems))
            action = "listing.entered"
        detail = {"side": said.get("side", ""), "id": said.get("id", ""), "record": record}
        await run_in_threadpool(audit, action, principal, detail)
        live.hub.publish("moved", {"cut": live.cut(), "now": live.clock.now().isoformat()})
        kept = {name: view.params[name] for name in ("lang",) if name in view.params}
        return RedirectResponse("/symbiosis" + (f"?{urlencode(kept)}" if kept else ""), 303)

    @api.get("/symbiosis/form")
    def printed(request: Request, principal: Principal = who) -> HTMLResponse:
        """One annual form of the year in view, to be printed."""
        view = view_of(request, principal)
        name = choice("form", view.params.get("form", ""), FORMS)
        place = view.place or None
        if not view.scope.whole and (place is None or not view.scope.sees(place)):
            raise RequestError("page_symbiosis.not_yours", place=place or view.territory.name)
        year = view.span.start.astimezone(view.tz).year
        made = live.kept.get(
            ("form", name, place, year, live.cut()), lambda: forms.form(live.park, name, year, place=place)
        )
        return HTMLResponse(made.html(view.lang))

    return api


def places_of(view: View) -> list[Place]:
    """The companies at whose places the reader may put something up."""
    kinds = {"facility", "building", "lot"}
    return [one for one in view.territory.places.values() if one.kind in kinds and view.scope.sees(one.id)]


def _enter(live: Live, view: View, said: Mapping[str, str]) -> str:
    """Checks and stores one listing.

    Raises:
        RequestError: `page_symbiosis.not_yours`, or what `listings.enter` refuses.
        DeclarationError: cells that cannot be read.
    """
    for name in FIELDS:
        if len(said.get(name, "")) > _LONGEST:
            raise RequestError("page_symbiosis.too_long", field=name, most=_LONGEST)
    place = said.get("place", "")
    if place not in {one.id for one in places_of(view)}:
        raise RequestError("page_symbiosis.not_yours", place=place[:40])
    known, id_ = known_places(live), listings.id_of(said.get("id", ""))
    if id_ in known and not view.scope.sees(known[id_]):
        raise RequestError("page_symbiosis.id_taken", id=id_[:40])
    fields = {name: said.get(name, "").strip() for name in FIELDS}
    return listings.enter(live.park, said.get("side", ""), fields, author=view.principal.name)


def _withdraw(live: Live, view: View, id_: str) -> str:
    known, id_ = known_places(live), listings.id_of(id_)
    if id_ not in known:
        raise RequestError("page_symbiosis.no_listing", id=id_[:40])
    if id_ in view.territory.offers or id_ in view.territory.needs:
        raise RequestError("page_symbiosis.declared", id=id_)
    if not view.scope.sees(known[id_]):
        raise RequestError("page_symbiosis.not_yours", place=view.territory.places[known[id_]].name)
    return listings.withdraw(live.park, id_, author=view.principal.name)


def known_places(live: Live) -> dict[str, str]:
    """The place of every listing that is up, by id."""
    found = listings.known(live.park)
    return {one.id: one.place for side in (found.offers, found.needs) for one in side.values()}
