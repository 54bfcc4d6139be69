# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, choosing a password, one's own account: pages with forms that need no script.

Comes in: forms. Goes out: sessions, pages, redirections to paths of this server only. `router` holds all routes of
access; `gate.guard` stands in front of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mangrove.serve.access import csrf, passwords
from mangrove.serve.access.gate import Access, need, public
from mangrove.serve.access.pages import access_of, door, fields, keep_language, language, room
from mangrove.serve.access.problems import AccessError, DeniedError, too_often
from mangrove.serve.access.sessions import OneTime
from mangrove.serve.access.users import User
from mangrove.serve.scope import Principal

T = TypeVar("T")
MOST_WAITING = 32
"""Sign-ins that wait for a password to be hashed; more are told to come back."""
_MISMATCH = AccessError("access.password_mismatch")
_people = need("admin", "operator", "tenant", "city", guests=False, keys=False)


def router(access: Access) -> APIRouter:
    """All routes of access: the door, the pages of administrators, signing in elsewhere where that is set up."""
    from mangrove.serve.access import admin, oidc

    whole = _doors()
    whole.include_router(admin.router())
    if access.settings.oidc is not None:
        whole.include_router(oidc.router())
    return whole


def _doors() -> APIRouter:
    """The routes of the door."""
    router = APIRouter(tags=["access"], include_in_schema=False)
    anyone = [Depends(public)]
    router.add_api_route("/login", login_page, methods=["GET"], dependencies=anyone)
    router.add_api_route("/login", login, methods=["POST"], dependencies=anyone)
    router.add_api_route("/enter/{token}", enter_page, methods=["GET"], dependencies=anyone)
    router.add_api_route("/enter/{token}", enter, methods=["POST"], dependencies=anyone)
    router.add_api_route("/logout", logout, methods=["POST"])
    router.add_api_route("/account", account_page, methods=["GET"])
    router.add_api_route("/account/password", change_password, methods=["POST"])
    return router


async def login_page(request: Request) -> Response:
    """The form to sign in."""
    return _login_form(request, next_=csrf.local(request.query_params.get("next", "/")))


async def login(request: Request) -> Response:
    """Signs somebody in: a new session, whatever cookie came with the form."""
    access = access_of(request)
    await access.from_our_page(request)
    form, address = await fields(request), access.address(request)
    name, next_ = form.get("name", ""), csrf.local(form.get("next", "/"))
    try:
        if wait := access.logins.take(address):
            raise too_often("access.too_often", wait)
        attempt = partial(access.accounts.users.attempt, name, form.get("password", ""), address=address)
        user = await hashing(access, attempt)
    except DeniedError as error:
        return _login_form(request, next_=next_, name=name, error=error)
    return await admit(request, user, next_)


async def enter_page(request: Request, token: str) -> Response:
    """The form behind a one-time link."""
    link = await run_in_threadpool(access_of(request).accounts.links.find, token)
    return _enter_form(request, link)


async def enter(request: Request, token: str) -> Response:
    """Uses a one-time link: keeps the password, signs in."""
    access = access_of(request)
    await access.from_our_page(request)
    form, links = await fields(request), access.accounts.links
    link = await run_in_threadpool(links.find, token)
    name = link.user.name if link.user else form.get("name", "")
    try:
        if wait := access.logins.take(access.address(request)):
            raise too_often("access.too_often", wait)
        password = _chosen(access, form, name)
        user = await hashing(access, partial(links.use, token, name, password))
    except AccessError as error:
        if error.code == "access.bad_link":
            raise
        return _enter_form(request, link, name=name, error=error)
    return await admit(request, user, "/")


async def logout(request: Request, principal: Principal = Depends(_people)) -> Response:  # noqa: B008
    """Ends the session of this browser."""
    access = access_of(request)
    await run_in_threadpool(access.accounts.sessions.close, access.session(request))
    await run_in_threadpool(access.accounts.audit.record, "user.logout", principal)
    access.end(request)
    return RedirectResponse("/login", 303)


async def account_page(request: Request, principal: Principal = Depends(_people)) -> Response:  # noqa: B008
    """One's own account."""
    return await _account(request, principal)


async def change_password(request: Request, principal: Principal = Depends(_people)) -> Response:  # noqa: B008
    """Changes one's own password: the one before is asked for, all other sessions end, this one gets a new token."""
    access, form = access_of(request), await fields(request)
    users, id_ = access.accounts.users, _user_id(principal)
    address = access.address(request)
    try:
        if wait := access.logins.take(address):
            raise too_often("access.too_often", wait)
        old = partial(users.attempt, principal.name, form.get("old", ""), address=address)
        await hashing(access, old)
        password = _chosen(access, form, principal.name)
        await hashing(access, partial(users.set_password, id_, password, by=principal))
    except AccessError as error:
        return await _account(request, principal, error=error)
    return await admit(request, users.get(id_), "/account?changed=1")


# --- shared ----------------------------------------------------------------------------------------------------------


async def admit(request: Request, user: User, next_: str) -> Response:
    """A new session for `user`, its cookie, and the way to `next_`."""
    access = access_of(request)
    sessions = access.accounts.sessions
    token = await run_in_threadpool(partial(sessions.open, user, instead_of=access.session(request)))
    access.begin(request, token)
    answer = RedirectResponse(next_, 303)
    if user.lang:
        keep_language(answer, user.lang)
    return answer


async def hashing(access: Access, work: Callable[[], T]) -> T:
    """Runs work that hashes a password beside the other threads, so that many sign-ins do not stop the pages.

    Raises:
        DeniedError: `access.too_often` when too many wait already.
    """
    if access.hashers.statistics().tasks_waiting >= MOST_WAITING:
        raise too_often("access.too_often", 1.0)
    return await anyio.to_thread.run_sync(work, limiter=access.hashers)


def _chosen(access: Access, form: dict[str, str], name: str) -> str:
    """The password that a form chooses, when both fields agree and it is accepted."""
    password = form.get("password", "")
    names = (name, access.territory.name)
    passwords.check(password, names=names, least=access.settings.password_length)
    if password != form.get("again", ""):
        raise _MISMATCH
    return password


def _user_id(principal: Principal) -> int:
    return int(principal.id[1:])


def _login_form(
    request: Request, *, next_: str, name: str = "", error: DeniedError | None = None
) -> Response:
    access = access_of(request)
    provider = access.settings.oidc
    return door(
        request,
        "login.html",
        status=error.status if error else 200,
        headers={k: v for k, v in error.headers.items() if k == "Retry-After"} if error else None,
        next=next_,
        name=name,
        provider=(provider.label or provider.issuer) if provider else "",
        empty=not access.accounts.users.administered(),
        problems=_said(error, language(request)),
    )


def _enter_form(
    request: Request, link: OneTime, *, name: str = "", error: AccessError | None = None
) -> Response:
    least = access_of(request).settings.password_length
    problems = _said(error, language(request))
    status = _status(error)
    return door(request, "enter.html", status=status, link=link, name=name, least=least, problems=problems)


async def _account(request: Request, principal: Principal, *, error: AccessError | None = None) -> Response:
    access = access_of(request)
    user = await run_in_threadpool(access.accounts.users.get, _user_id(principal))
    context: dict[str, Any] = {
        "user": user,
        "least": access.settings.password_length,
        "changed": "changed" in request.query_params and error is None,
        "place": access.territory.places[user.place].name if user.place else "",
        "problems": _said(error, language(request)),
    }
    return await run_in_threadpool(
        partial(room, request, principal, "account.html", status=_status(error), **context)
    )


def _said(error: AccessError | None, lang: str) -> list[str]:
    return [problem.text(lang) for problem in error.problems] if error else []


def _status(error: AccessError | None) -> int:
    """200 for a page without an error; 422 for a form whose words are refused."""
    if error is None:
        return 200
    return error.status if isinstance(error, DeniedError) else 422
