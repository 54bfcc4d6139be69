# SPDX-License-Identifier: Apache-2.0
"""Pages for administrators: users, keys and the audit log.

Comes in: forms of an administrator who signed in (a key or a guest may not). Goes out: lists and forms; a new key and a new link are
shown in the answer to the form, once, and stand in no address.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mangrove import text
from mangrove.errors import did_you_mean
from mangrove.serve.access.gate import Access, need
from mangrove.serve.access.keys import last_moment, number_of
from mangrove.serve.access.pages import access_of, fields, language, room
from mangrove.serve.access.problems import AccessError
from mangrove.serve.access.users import USER_ROLES
from mangrove.serve.scope import ROLES, Principal

SHOWN = 200
"""Records of the log on its page."""
_DIGITS = 15
Number = Annotated[int, Path(ge=0, lt=10**_DIGITS)]
"""The number of a user; SQLite holds no larger ones."""
_admin = Depends(need("admin", guests=False, keys=False))


def router() -> APIRouter:
    """The routes of administrators."""
    made = APIRouter(tags=["access"], include_in_schema=False)
    made.add_api_route("/access/users", users_page, methods=["GET"])
    made.add_api_route("/access/users", add_user, methods=["POST"])
    made.add_api_route("/access/users/{number}", change_user, methods=["POST"])
    made.add_api_route("/access/users/{number}/link", link_user, methods=["POST"])
    made.add_api_route("/access/keys", keys_page, methods=["GET"])
    made.add_api_route("/access/keys", add_key, methods=["POST"])
    made.add_api_route("/access/keys/{number}/revoke", revoke_key, methods=["POST"])
    made.add_api_route("/access/audit", audit_page, methods=["GET"])
    return made


async def users_page(request: Request, principal: Principal = _admin) -> Response:
    """All users, and the form of the one that is to be changed (`?edit=3`)."""
    asked = request.query_params.get("edit", "")
    users = access_of(request).accounts.users
    edited = users.get(int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < _DIGITS else None
    return await _users(request, principal, edited=edited)


async def add_user(request: Request, principal: Principal = _admin) -> Response:
    """A new user and its invitation."""
    access, form = access_of(request), await fields(request)

    def work() -> dict[str, Any]:
        place = known_place(access, form.get("place", ""))
        accounts = access.accounts
        with accounts.store.write():
            user = accounts.users.add(
                form.get("name", ""), form.get("role", ""), place, lang=form.get("lang", ""), by=principal
            )
            return {"link": accounts.links.make("invite", user, by=principal), "linked": user}

    return await _done(request, principal, _users, work)


async def change_user(request: Request, number: Number, principal: Principal = _admin) -> Response:
    """Another role or place, another language, disabled or not."""
    access, form = access_of(request), await fields(request)
    changes: dict[str, str | bool] = {name: form[name] for name in ("role", "place", "lang") if name in form}
    if form.get("disabled") in {"0", "1"}:
        changes["disabled"] = form["disabled"] == "1"

    def work() -> dict[str, Any]:
        known_place(access, str(changes.get("place", "")))
        access.accounts.users.change(number, by=principal, **changes)
        return {}

    return await _done(request, principal, _users, work)


async def link_user(request: Request, number: Number, principal: Principal = _admin) -> Response:
    """A link with which a user chooses a new password."""
    accounts = access_of(request).accounts

    def work() -> dict[str, Any]:
        user = accounts.users.get(number)
        purpose = "reset" if user.has_password else "invite"
        return {"link": accounts.links.make(purpose, user, by=principal), "linked": user}

    return await _done(request, principal, _users, work)


async def keys_page(request: Request, principal: Principal = _admin) -> Response:
    """All keys."""
    return await _keys(request, principal)


async def add_key(request: Request, principal: Principal = _admin) -> Response:
    """A new key, shown once."""
    access, form = access_of(request), await fields(request)

    def work() -> dict[str, Any]:
        key, secret = access.accounts.keys.add(
            form.get("name", ""),
            form.get("role", ""),
            known_place(access, form.get("place", "")),
            device=known_device(access, form.get("device", "")),
            short=for_charger(access, form.get("device", "")),
            expires=last_moment(form.get("expires", ""), access.territory.tz),
            by=principal,
        )
        return {"secret": secret, "made": key}

    return await _done(request, principal, _keys, work)


async def revoke_key(request: Request, number: str, principal: Principal = _admin) -> Response:
    """Makes a key worthless."""
    keys = access_of(request).accounts.keys

    def work() -> dict[str, Any]:
        keys.revoke(number_of(number), by=principal)
        return {}

    return await _done(request, principal, _keys, work)


async def audit_page(request: Request, principal: Principal = _admin) -> Response:
    """The last records of the log, its head, and when asked (`?verify=1`) whether the whole chain holds."""
    audit = access_of(request).accounts.audit

    def draw() -> Response:
        action = request.query_params.get("action", "")
        records = audit.show(last=SHOWN, action=action)
        asked = "verify" in request.query_params  # a second for fifty thousand records
        problems = [problem.text(language(request)) for problem in audit.verify()] if asked else []
        context: dict[str, Any] = {
            "records": records,
            "head": audit.head(),
            "problems": problems,
            "action": action,
            "verified": asked,
        }
        return room(request, principal, "audit.html", **context)

    return await run_in_threadpool(draw)


# --- shared ----------------------------------------------------------------------------------------------------------


def known_place(access: Access, place: str) -> str:
    """`place` when it is declared or empty; raises `AccessError` otherwise."""
    if place and place not in access.territory.places:
        hint = did_you_mean(place, access.territory.places)
        raise AccessError("access.no_place", place=place[:80], hint=hint)
    return place


def known_device(access: Access, device: str) -> str:
    """`device` when it is declared or empty; raises `AccessError` otherwise."""
    if device and device not in access.territory.devices:
        hint = did_you_mean(device, access.territory.devices)
        raise AccessError("access.no_device", device=device[:80], hint=hint)
    return device


def for_charger(access: Access, device: str) -> bool:
    """Whether a device is a charger, whose password must be short."""
    found = access.territory.devices.get(device)
    return found is not None and found.protocol == "ocpp"


async def _done(request: Request, principal: Principal, page: Any, work: Any) -> Response:
    """Does `work` and shows the page with what it gives, or with what was wrong."""
    try:
        found = await run_in_threadpool(work)
    except AccessError as error:
        problems = [problem.text(language(request)) for problem in error.problems]
        answer: Response = await page(request, principal, status=422, problems=problems)
        return answer
    shown: Response = await page(request, principal, **found)
    return shown


async def _users(request: Request, principal: Principal, *, status: int = 200, **found: Any) -> Response:
    access = access_of(request)
    context: dict[str, Any] = {
        "users": await run_in_threadpool(access.accounts.users.all),
        "roles": USER_ROLES,
        "places": _places(access),
        "link": "",
        "linked": None,
        "edited": None,
        "origin": access.origin(request),
        **found,
    }
    return await run_in_threadpool(partial(room, request, principal, "users.html", status=status, **context))


async def _keys(request: Request, principal: Principal, *, status: int = 200, **found: Any) -> Response:
    access = access_of(request)
    context: dict[str, Any] = {
        "keys": await run_in_threadpool(access.accounts.keys.all),
        "now": access.accounts.store.clock.now(),
        "roles": ROLES,
        "places": _places(access),
        "devices": sorted(access.territory.devices),
        "secret": "",
        "made": None,
        **found,
    }
    return await run_in_threadpool(partial(room, request, principal, "keys.html", status=status, **context))


def _places(access: Access) -> list[tuple[str, str]]:
    """Every place as (id, name), by name."""
    found = [(place.id, place.name) for place in access.territory.places.values()]
    return sorted(found, key=lambda one: text.sort_key(one[1]))
