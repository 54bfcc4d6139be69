# SPDX-License-Identifier: Apache-2.0
"""A browser for tests, and the walk over all routes of an application with the key of a stranger.

Comes in: an ASGI application. Goes out: answers; assertions that hold for every route that anybody ever adds.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
from fastapi import FastAPI

from mangrove.serve.access.table import PUBLIC, declared_roles

FORM = {"accept": "text/html", "sec-fetch-mode": "navigate"}


class Browser:
    """One visitor: cookies, pages, forms. Answers of forms are not followed."""

    def __init__(
        self, app: FastAPI, base: str = "http://127.0.0.1:8000", client: tuple[str, int] = ("127.0.0.1", 5000)
    ) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=app, client=client, raise_app_exceptions=True)
        self.http = httpx.AsyncClient(transport=transport, base_url=base)
        self.base = base

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; the stream of events is not waited for."""
        return self._runner.run(self.http.request(method, path, **more))

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A page, as a person opens it."""
        return self.ask("GET", path, headers={**FORM, **headers})

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """A form, as a browser sends it, with the token of the page that holds it when none is given."""
        origin = {"origin": self.base, "sec-fetch-site": "same-origin"}
        return self.ask("POST", path, data=form or {}, headers={**FORM, **origin, **headers})

    def token(self, path: str) -> str:
        """The token of the forms of a page."""
        page = self.get(path)
        assert page.status_code == 200, page.text
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found, page.text
        return found[1]

    def sign_in(self, name: str, password: str, next_: str = "/account") -> httpx.Response:
        """Signs in through the form."""
        form = {"csrf": self.token("/login"), "name": name, "password": password, "next": next_}
        return self.post("/login", form)

    def close(self) -> None:
        """Ends it."""
        self._runner.run(self.http.aclose())
        self._runner.close()


def assert_every_route_is_declared(app: FastAPI) -> None:
    """Fails for a route that does not say for whom it is."""
    missing = [one.path for one in declared_roles(app) if one.roles is None]
    assert missing == [], f"routes without declared roles: {missing}"


def assert_a_stranger_gets_nothing(
    app: FastAPI, ids: dict[str, str] | None = None, skip: tuple[str, ...] = ()
) -> int:
    """Fails for a route that answers the key of nobody with anything but 401, 404 or, for what is public, its public page.

    Args:
        app: the application.
        ids: what stands for a path parameter ({"place": "shop"}); `1` for the others.
        skip: public paths that answer otherwise on purpose.

    Returns:
        How many requests were refused.
    """
    browser, refused = Browser(app), 0
    try:
        for route in declared_roles(app):
            if route.roles == PUBLIC or route.path in skip:
                continue
            path = re.sub(r"{(\w+)[^}]*}", lambda m: (ids or {}).get(m[1], "1"), route.path)
            for method in sorted(route.methods or {"GET"}):
                answer = browser.ask(
                    method,
                    path,
                    headers={"authorization": "Bearer mg_stranger", "accept": "application/json"},
                )
                assert answer.status_code in {401, 404, 429}, f"{method} {path}: {answer.status_code}"
                assert browser.ask(method, path).status_code in {401, 404, 429}, f"{method} {path}"
                refused += 1
    finally:
        browser.close()
    return refused
