# SPDX-License-Identifier: Apache-2.0
"""Bodies that are made to break a server: each gets a named refusal, costs little, and is not read for strangers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from tests.serve.access.browser import FORM, Browser

JSON = {"content-type": "application/json"}
DOCUMENTS = ("/api/v1/corrections", "/api/v1/records", "/api/v1/sessions")


class Endless:
    """A body without end, and how much of it was read."""

    def __init__(self) -> None:
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.read < 64 << 20:
            self.read += 1 << 20
            yield b" " * (1 << 20)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_body_of_a_stranger_is_not_read(server, path):
    browser, body = Browser(server.app), Endless()
    answer = browser.ask("POST", path, content=body, headers=JSON | {"authorization": "Bearer mg_stranger"})
    assert answer.status_code == 401
    assert body.read == 0
    browser.close()


@pytest.mark.parametrize("path", DOCUMENTS[:1])
def test_a_document_has_an_end(asks, path):
    body = Endless()
    answer = asks("operator", "POST", path, content=body, headers=JSON)
    assert answer.status_code == 413
    assert body.read <= 9 << 20


@pytest.mark.parametrize("path", ["/login", "/enter/x"])
def test_a_form_of_a_stranger_says_how_long_it_is_and_is_short(server, path):
    browser, body = Browser(server.app), Endless()
    token = browser.token("/login")
    headers = FORM | {
        "x-csrf": token,
        "content-type": "application/x-www-form-urlencoded",
        "origin": browser.base,
    }
    assert browser.ask("POST", path, content=body, headers=headers).status_code == 413
    assert body.read == 0
    assert browser.ask("POST", path, content=b"a" * (1 << 20), headers=headers).status_code == 413
    browser.close()


def nested(depth: int) -> bytes:
    return b'[{"flow":' + b"[" * depth + b"]" * depth + b',"ts":1,"value":1}]'


HALF = json.dumps("\ud800").encode()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        nested(1000),
        b'{"flow":"mill.power","ts":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b',"value":1}',
        b'{"flow":' + HALF + b',"ts":1,"value":1}',
        b'{"flow":"mill.power","ts":' + HALF + b',"value":1}',
        b'{"flow":"mill.power","ts":NaN,"value":' + HALF + b"}",
        b'{"flow":"mill.power","ts":' + b"9" * 5000 + b',"value":1}',
    ],
)
@pytest.mark.parametrize("role", ["operator", "device"])
def test_readings_that_are_made_to_break_the_reader_are_refused_by_name(asks, body, role):
    answer = asks(role, "POST", "/api/v1/values", content=body, headers=JSON)
    assert answer.status_code in {200, 400, 403}
    assert answer.json()["problems"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"flow":"mill.power","ts":1' + b"0" * 30 + b',"value":1,"reason":"x"}',
        b'{"flow":"mill.power","ts":1e300,"value":1,"reason":"x"}',
        b'{"flow":"mill.power","ts":' + HALF + b',"value":1,"reason":"x"}',
        b'{"flow":"mill.power","ts":1,"value":1,"reason":' + HALF + b"}",
        b'{"a":' * 100_000,
    ],
)
def test_a_correction_that_is_none_is_refused(asks, body):
    assert (
        400 <= asks("operator", "POST", "/api/v1/corrections", content=body, headers=JSON).status_code < 500
    )


def test_a_refusal_does_not_say_again_what_was_sent(asks):
    secret = "mg_" + "s" * 40
    answer = asks(
        "operator",
        "POST",
        "/api/v1/corrections",
        content=json.dumps({"flow": 1, "password": secret}),
        headers=JSON,
    )
    assert answer.status_code == 422
    assert secret not in answer.text


def test_rows_that_cannot_be_read_have_an_end_for_each_sender(asks, server):
    long = "x" * 2_000
    body = json.dumps([{"flow": "mill.power", "ts": long, "value": 1}] * 3_000)
    codes = [
        asks("other tenant", "POST", "/api/v1/values", content=body.replace("mill", "forge"), headers=JSON)
        for _ in range(12)
    ]
    statuses = [one.status_code for one in codes]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert codes[-1].json()["problems"][0]["code"] == "limits.rubbish"
    good = json.dumps([{"flow": "forge.power", "ts": "2023-06-19T20:00:00Z", "value": 1}])
    assert asks("other tenant", "POST", "/api/v1/values", content=good, headers=JSON).status_code == 200
    other = json.dumps([{"flow": "mill.power", "ts": "?", "value": 1}])
    assert asks("tenant", "POST", "/api/v1/values", content=other, headers=JSON).status_code == 200


def test_numbers_and_dates_of_administrators_forms_have_bounds(asks):
    page = asks("admin", "GET", "/access/keys", headers=FORM)
    token = page.text.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": token, "role": "operator", "name": "n", "expires": "9999-12-31"}
    origin = FORM | {"origin": "http://127.0.0.1:8000"}
    assert asks("admin", "POST", "/access/keys", data=form, headers=origin).status_code == 422
    assert (
        asks("admin", "POST", f"/access/users/{10**30}", data={"csrf": token}, headers=origin).status_code
        == 422
    )
