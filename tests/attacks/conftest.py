# SPDX-License-Identifier: Apache-2.0
"""One server over the hostile park for all attacks that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.attacks.hostile import hostile_park
from tests.serve.access.browser import Browser
from tests.serve.whole import Whole, built


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Whole]:
    with built(hostile_park(tmp_path_factory.mktemp("hostile") / "park")) as whole:
        yield whole


@pytest.fixture(scope="module")
def asks(server) -> Iterator[object]:
    """`asks(role, method, path, ...)`: a request with the key of a role, or with the session of an administrator."""
    browsers: dict[str, Browser] = {}

    def ask(role, method, path, **more):
        browser = browsers.setdefault(role, Browser(server.app))
        headers = {"authorization": f"Bearer {server.keys[role]}"} if role in server.keys else {}
        if role == "admin":
            browser.http.cookies.set("mangrove", server.sessions["admin"])
        return browser.ask(method, path, **{**more, "headers": headers | more.get("headers", {})})

    ask.browsers = browsers  # type: ignore[attr-defined]
    yield ask
    for one in browsers.values():
        one.close()
