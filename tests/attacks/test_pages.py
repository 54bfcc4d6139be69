# SPDX-License-Identifier: Apache-2.0
"""Names that are attacks, and addresses that are: no page, figure or table carries them where they would work."""

from __future__ import annotations

import csv
import io
from urllib.parse import quote

import pytest
from tests.attacks.hostile import MARK

from mangrove.serve.app import POLICY

HTML = {"accept": "text/html"}
SCREENS = ("now", "map", "inventory", "health", "operate")
ROLES = ("operator", "tenant", "city")
PARAMETERS = (
    "period",
    "compare",
    "scenario",
    "place",
    "lang",
    "by",
    "key",
    "q",
    "site",
    "chart",
    "run",
    "t",
    "back",
)


def paths():
    mark = quote(MARK)
    for screen in (*SCREENS, "why"):
        yield f"/{screen}?period=2023-06"
        yield from (f"/{screen}?{name}={mark}" for name in PARAMETERS)
    for screen in SCREENS:
        yield from (f"/{screen}{ending}" for ending in (".json", ".csv", ".svg"))
        yield from (f"/{screen}.csv?table={mark}", f"/{screen}.svg?figure={mark}")
    yield from (
        "/",
        "/login",
        f"/login?next={mark}",
        f"/enter/{mark}",
        f"/{mark}",
        f"/static/{mark}",
        f"/lang/{mark}",
    )
    yield from (
        "/why?by=place&key=mill",
        "/why?by=flow&key=mill.power",
        f"/sta/v1.1/{mark}",
        f"/operate/override?device={mark}",
    )
    yield from (
        "/sta/v1.1/Things",
        f"/sta/v1.1/Things?$filter={mark}",
        f"/inventory/form/{mark}",
        "/now?period=",
    )


@pytest.mark.parametrize("role", [*ROLES, "admin", "nobody"])
def test_no_answer_carries_markup_that_somebody_typed_and_every_answer_forbids_scripts_of_others(asks, role):
    own = (
        "/access/users?edit=1",
        "/access/keys",
        "/access/audit",
        f"/access/audit?action={quote(MARK)}",
        "/account",
    )
    for path in (*paths(), *(own if role == "admin" else ())):
        answer = asks(role, "GET", path, headers=HTML)
        assert answer.status_code < 500, path
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        if "json" not in answer.headers.get("content-type", "") and "csv" not in answer.headers.get(
            "content-type", ""
        ):
            assert "<xss" not in answer.text, path
        assert "49" not in answer.headers.get("location", ""), path


def test_scripts_are_allowed_from_this_server_only_and_never_in_the_page():
    assert "script-src 'self';" in POLICY
    assert "default-src 'none'" in POLICY
    assert "base-uri 'none'" in POLICY


@pytest.mark.parametrize("screen", SCREENS)
def test_no_cell_of_a_table_for_spreadsheets_is_a_formula(asks, screen):
    rows = list(csv.reader(io.StringIO(asks("operator", "GET", f"/{screen}.csv?period=2023-06").text)))
    texts = [cell for row in rows for cell in row if cell and not _number(cell)]
    assert texts
    assert [cell for cell in texts if cell[0] in "=+-@\t\r"] == []


def _number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "back", ["//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example", "\\/evil"]
)
def test_the_switch_of_languages_leads_to_paths_of_this_server_only(asks, back):
    answer = asks("operator", "GET", f"/lang/en?back={quote(back)}", headers=HTML)
    assert answer.headers["location"] in {
        "/",
        "/%09/evil.example",
    }  # a browser takes an escaped tab for a letter


@pytest.mark.parametrize(
    "period", ["0001..9999", "1900..2100", "0001", "9999", "9999-12-31", "2023-06-20..2023-06-01", "\0"]
)
def test_no_page_computes_a_period_without_end(asks, period):
    for path in (*(f"/{screen}" for screen in SCREENS), "/why", "/inventory/form/html"):
        answer = asks("operator", "GET", f"{path}?period={quote(period)}&compare=year")
        assert 400 <= answer.status_code < 500 or path == "/operate", (path, period)


def test_the_hours_of_a_page_are_bounded_whatever_period_is_asked(asks):
    assert (
        asks("tenant", "GET", "/now.json?period=1990..2023-06-19").json()["problems"][0]["code"]
        == "limits.long_period"
    )
    assert asks("tenant", "GET", "/inventory.json?period=1990..2023-06-19").status_code == 200


def test_a_proof_names_each_column_once(asks):
    by, key = ",".join(["flow"] * 1000), ",".join(["mill.power"] * 1000)
    assert asks("operator", "GET", f"/why.json?by={by}&key={key}").status_code == 400
