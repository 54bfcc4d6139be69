# SPDX-License-Identifier: Apache-2.0
"""Every route of the server that `mangrove serve` runs: for whom it is, and that a stranger and a device get nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from tests.serve.access.browser import assert_a_stranger_gets_nothing, assert_every_route_is_declared
from tests.serve.access.conftest import ROOT

import mangrove as mg
from mangrove import server
from mangrove.serve.access import Access, Settings
from mangrove.serve.access.table import declared_roles
from mangrove.serve.sta import SensorThings
from mangrove.serve.state import Live
from mangrove.sources.intake import Intake


@pytest.fixture
def whole(folder, accounts) -> Iterator[FastAPI]:
    """The application with all its routers, over an empty ledger."""
    park = mg.open(folder)
    access = Access(accounts, park.territory, Settings.of({"login_burst": 100_000, "api_burst": 100_000}))
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        live = Live(park, intake=intake)
        with (
            park.reader() as reading,
            SensorThings(park.territory, reading, live.store, intake=intake, clock=live.clock) as sta,
        ):
            yield server.build(live, access, sta)


def test_every_route_says_for_whom_it_is(whole):
    assert_every_route_is_declared(whole)


def test_a_stranger_gets_nothing_anywhere(whole):
    assert assert_a_stranger_gets_nothing(whole, {"place": "mill", "lang": "en"}) > 50


def test_what_needs_nobody_is_a_short_list(whole):
    public = {one.path for one in declared_roles(whole) if one.roles == ("public",)}
    assert public <= {
        "/static",
        "/healthz",
        "/favicon.ico",
        "/openapi.json",
        "/login",
        "/enter/{token}",
        "/ocpp/{identity}",
    }


def test_a_device_is_told_no_total_and_no_reading(whole, browse, accounts):
    _, secret = accounts.keys.add("gate", "device", device="gate-1", by=ROOT)
    headers = {"authorization": f"Bearer {secret}", "accept": "application/json"}
    browser, told = browse(whole), {}
    for route in declared_roles(whole):
        if "GET" not in route.methods or route.roles == ("public",) or route.path == "/events":
            continue
        path = re.sub(r"{[^}]*}", "mill", route.path)
        answer = browser.ask("GET", path, headers=headers)
        if answer.status_code == 200:
            told[route.path] = answer.text
    allowed = {
        "/api/v1/clock",
        "/api/v1/flows",
        "/api/v1/flows.json",
        "/api/v1/flows.csv",
        "/api/v1/flows.arrow",
    }
    assert set(told) <= allowed
    assert all("shop" not in text for text in told.values()), "a device sees the flows of its own place only"
