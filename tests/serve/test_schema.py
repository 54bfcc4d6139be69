# SPDX-License-Identifier: Apache-2.0
"""Made-up requests to every operation of the description of the whole application: nothing breaks, answers are as declared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
from tests.serve.access.browser import Browser
from tests.serve.whole import MINE, SCREENS, Whole, built, six_companies

from mangrove.serve.access.table import declared_roles

WHO = ("operator", "tenant", "device")
EXAMPLES = 8
"""Requests to each operation as each principal."""
STREAM = "/events"
PAGES = (*SCREENS, "why")
MOMENTS = [
    "0001", "0000", "9999", "10000", "9999-12-31", "0001-01-01", "9999-12", "0001-01-01..9999-12-31", "9999-12-31T23:59:59.999999Z",
    "2023-06", "2023-06-01..2023-06-01", "2023-06-02..2023-06-01", "2023-02-30", "2023-W10", "..", "2023-06..", "..2023", "-1", "1e400",
    "2023-06-05T00:00:00+99:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00", "today", "week", "month", "year",
    "٢٠٢٣", "2023\x00", "\ud800", "'; drop table flow; --", "\u202e2023", "99999999999999999999", "1686000000", "nan", "inf", "",
]  # fmt: skip
"""Dates and periods that people and programs get wrong."""
WORDS = [
    "", "0", "-1", "18446744073709551616", "\x00", "a\x00b", "\ud83d", "\udfff", "é\u0301", "%", "%00", "%c3%28", "../../etc/passwd", "'", '"', "\\",
    "\n\r", "<script>", "${7*7}", "{{7*7}}", "mill", "mill.power", "park", "steel", "place", "flow", "sector,gas", "gas", "account", "forecast/a",
    "plan", "measured", "schedule/", "plan/2023", "x" * 5_000, "🌿", "ß", "none", "null", "NaN", "1e999", "table", "years", "circular38", "html",
]  # fmt: skip
"""Words that are known to the application, and words that break programs."""
TEXT = st.one_of(st.sampled_from(WORDS), st.sampled_from(MOMENTS), st.text(max_size=12))
ASKED = {
    "period": st.one_of(st.sampled_from(MOMENTS), st.text(alphabet="0123456789-.:TZW+", max_size=20)),
    "lang": st.sampled_from(["vi", "en", "xx", "", "\x00"]),
}
CHECKS = [content_type_conformance, response_schema_conformance, response_headers_conformance]
NAMES = {
    "now": ("rows", "t"),
    "map": ("sector", "level", "norm", "carrier", "sort", "kind", "every", "t"),
    "surroundings": ("flow", "table", "figure"),
    "plans": ("a", "b", "by", "year", "table", "figure"),
    "symbiosis": ("by", "table", "figure"),
    "traffic": ("show", "t", "rank", "at", "study", "way", "look", "plan", "table", "figure"),
    "forecast": ("flow", "table", "figure"),
    "change": ("by", "table", "figure"),
    "inventory": ("by", "table"),
    "health": ("table",),
    "why": ("by", "key", "run"),
}
ODATA = ("$filter", "$select", "$expand", "$orderby", "$top", "$skip", "$count", "$resultFormat")
FILTERS = [
    "phenomenonTime gt 9999-12-31T23:59:59Z", "phenomenonTime lt 0001-01-01T00:00:00Z", "result gt 1e999", "result div 0 eq 1", "result mod 0 eq 0",
    "substringof('\x00',name)", "(" * 200, "not " * 300 + "true", "year(phenomenonTime) eq 99999999999999999999", "name eq 'a''b'", "id eq null",
    "geo.distance(location, geography'POINT(1e999 0)') lt 1", "st_within(location, geography'POLYGON((0 0))')", "result eq NaN", "1 eq 1", "name",
    "phenomenonTime add duration'P99999999Y' gt now()", "Datastreams/Thing/name eq 'x'", "Observations($top=1)", "Datastreams($expand=Datastreams)",
]  # fmt: skip


@pytest.fixture(scope="module")
def park(tmp_path_factory) -> Iterator[Whole]:
    with built(six_companies(tmp_path_factory.mktemp("schema") / "park")) as whole:
        yield whole


@pytest.fixture(scope="module", params=WHO)
def visitor(request, park) -> Iterator[Browser]:
    """One that may write, one that sees a part, one that may only write: each with a key."""
    browser = Browser(park.app)
    browser.http.headers["authorization"] = f"Bearer {park.keys[request.param]}"
    yield browser
    browser.close()


def bounded(examples: int = EXAMPLES) -> Any:
    """So many examples, the same at every run."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def operations(whole: Whole) -> dict[str, Any]:
    """The operations of the description by method and path; the stream of events never ends."""
    schema = schemathesis.openapi.from_dict(whole.app.openapi())
    found = (one.ok() for one in schema.get_all_operations())
    return {one.label: one for one in found if one.path != STREAM}


def test_the_description_names_every_route_for_programs(park):
    described = {label.partition(" ")[2] for label in operations(park)} | {STREAM}
    for route in declared_roles(park.app):
        if route.path.startswith(("/api/", "/metrics")) and not route.path.endswith((".json",)):
            assert route.path in described, route.path


def test_requests_made_from_the_description_break_nothing_and_answers_are_as_declared(park, visitor):
    for label, operation in operations(park).items():
        _try_operation(visitor, label, operation)


def _try_operation(visitor: Browser, label: str, operation: Any) -> None:
    @bounded()
    @given(case=operation.as_strategy())
    def ask(case):
        answer = visitor.ask(**sent(case))
        assert answer.status_code < 500, f"{label}: {answer.text[:300]}"
        if declared(operation, answer.status_code):
            case.validate_response(answer, checks=CHECKS)

    ask()


def declared(operation: Any, status: int) -> bool:
    """Whether the description says what an answer with this status is."""
    return str(status) in operation.definition.raw["responses"]


def sent(case: Any) -> dict[str, Any]:
    """A request of httpx."""
    how = case.as_transport_kwargs(base_url="http://127.0.0.1:8000")
    body = how.get("data")
    return {
        "method": how["method"],
        "path": how["url"],
        "params": how.get("params"),
        "headers": {name: text for name, text in dict(how["headers"]).items() if text is not None},
        **({"json": how["json"]} if "json" in how else {}),
        **({"content": body} if isinstance(body, bytes | str) else {"data": body} if body else {}),
    }


# --- words of addresses, which the description does not tell of ----------------------------------------------------------


def quoted(text: str) -> str:
    """A word of an address, also when it is no text at all."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def fine(visitor: Browser, path: str) -> None:
    answer = visitor.ask("GET", path)
    assert answer.status_code < 500 or answer.json()["type"] == "sta.no_format", (
        f"{path}: {answer.text[:300]}"
    )


@pytest.mark.parametrize("screen", PAGES)
def test_no_period_and_no_word_in_the_address_of_a_page_breaks_it(visitor, screen):
    endings = ("", ".json") if screen == "why" else ("", ".json", ".csv", ".svg")
    names = (*NAMES[screen], "place", "compare", "scenario", "table", "figure")

    @bounded(25)
    @given(
        st.sampled_from(endings),
        ASKED["period"],
        ASKED["lang"],
        st.dictionaries(st.sampled_from(names), TEXT, max_size=3),
    )
    def ask(ending, period, lang, more):
        words = {"period": period, "lang": lang, **more}
        fine(visitor, f"/{screen}{ending}?" + "&".join(f"{k}={quoted(v)}" for k, v in words.items()))

    ask()
    for moment, more in zip(
        MOMENTS, cycle(("", "&compare=year", "&compare=previous", "&scenario=plan/x")), strict=False
    ):
        fine(visitor, f"/{screen}.json?period={quoted(moment)}{more}")


@pytest.mark.parametrize(
    "query",
    ["%c3%28", "%ff=%fe", "period=%ff", "period=2023&period=%00", "=", "&&&", "a=b=c", "lang=%ed%a0%80"],
)
def test_a_query_that_is_no_text_breaks_no_page(visitor, query):
    for screen in PAGES:
        fine(visitor, f"/{screen}.json?{query}")
    for path in (
        "/api/v1/values",
        "/api/v1/flows",
        "/lang/en",
        "/login",
        "/enter/x",
        "/sta/v1.1/Things",
        "/ngsi-ld/v1/entities",
    ):
        fine(visitor, f"{path}?{query}")


@pytest.mark.parametrize("name", ["start", "end", "as_of"])
def test_no_moment_breaks_the_values_that_are_given_out(visitor, name):
    for ending in ("", ".csv", ".arrow"):
        for moment in MOMENTS:
            asked = {"flow": f"{MINE}.power", "start": "2023-06", name: moment}
            fine(visitor, f"/api/v1/values{ending}?" + "&".join(f"{k}={quoted(v)}" for k, v in asked.items()))


def test_no_word_breaks_a_path_or_a_name(visitor):
    for word in map(quoted, WORDS):
        for path in (
            f"/{word}", f"/lang/{word}", f"/lang/en?back={word}", f"/enter/{word}", f"/login?next={word}", f"/static/{word}",
            f"/inventory/form/{word}", f"/api/v1/replica/files/{word}", f"/api/v1/values?flow={word}&start=2023-06",
            f"/api/v1/values?flow={MINE}.power&start=2023-06&run={word}", f"/ngsi-ld/v1/entities/{word}",
            f"/ngsi-ld/v1/entities?type={word}&limit={word}&q={word}", f"/map/places.geojson?level={word}&place={word}",
        ):  # fmt: skip
            fine(visitor, path)


@pytest.mark.parametrize("version", ["v1.1", "v2.0"])
def test_no_word_breaks_the_sensor_standard(visitor, version):
    @bounded(25)
    @given(
        st.sampled_from(["Things", "Datastreams", "Observations"]),
        st.dictionaries(st.sampled_from(ODATA), TEXT | st.sampled_from(FILTERS), max_size=3),
    )
    def ask(entity, options):
        fine(visitor, f"/sta/{version}/{entity}?" + "&".join(f"{k}={quoted(v)}" for k, v in options.items()))

    ask()
    for text in FILTERS:
        for option in ("$filter", "$expand", "$orderby"):
            fine(visitor, f"/sta/{version}/Observations?{option}={quoted(text)}")
    for word in map(quoted, WORDS):
        fine(visitor, f"/sta/{version}/Things('{word}')")
        fine(visitor, f"/sta/{version}/Things('{MINE}')/{word}")


BODIES = [
    b"", b"\x00", b"\xff\xfe", b"[]", b"{}", b"null", b"1e999", b'{"a":' * 2_000, b"[" * 100_000, b'"\\ud800"', b"a,b\n1,2,3\n", b"flow,ts,value\n",
    b"flow,ts,value\nmill.power,99999999999999999999,1\n", b'{"flow":["mill.power"],"ts":["9999-12-31T23:59:59Z"],"value":[1e308]}',
    b'{"flow":["mill.power"],"ts":["0001-01-01T00:00:00Z"],"value":[1]}', b'{"flow":["mill.power"],"ts":[1e300],"value":[1]}',
    b'{"flow":["mill.power"],"ts":[NaN],"value":[NaN]}', b'{"flow":"mill.power","ts":1,"value":{}}', b"mill,x=1 power=1 99999999999999999999",
    b'{"flow":["mill.power\\u0000"],"ts":["2023-06-01"],"value":["1"]}', b"mill power=1e999", b"\x1f\x8b\x08", b"\xff\xff\xff\xff\x10\x00\x00\x00",
]  # fmt: skip
KINDS = (
    "application/json",
    "text/csv",
    "text/plain",
    "application/vnd.apache.arrow.stream",
    "",
    "x/y",
    "application/json; charset=utf-16",
)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/values",
        "/api/v2/write",
        "/write?precision=s",
        "/api/v1/corrections",
        "/api/v1/records",
        "/api/v1/sessions",
        "/sta/v1.1/Observations",
        "/sta/v2.0/$batch",
    ],
)
def test_no_body_breaks_a_door(visitor, path):
    for body in BODIES:
        for kind in KINDS:
            for packed in ("", "gzip", "zstd") if kind == KINDS[0] else ("",):
                headers = {"content-type": kind, **({"content-encoding": packed} if packed else {})}
                answer = visitor.ask("POST", path, content=body, headers=headers)
                assert answer.status_code < 500, f"{path} {kind} {body[:60]!r}: {answer.text[:300]}"
