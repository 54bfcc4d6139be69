"""`$filter` against an independent evaluation, and against nonsense."""

import math
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = "/sta/v1.1"
DATASTREAM = {
    "name": "log", "description": "x", "observationType": "x", "unitOfMeasurement": {"name": "a", "symbol": "b", "definition": "c"},
    "Sensor": {"name": "s", "description": "x", "encodingType": "text/plain", "metadata": "m"},
    "ObservedProperty": {"name": "p", "description": "x", "definition": "http://example.org/p"},
}  # fmt: skip
RESULTS = [0, 1, -2, 2.5, 7, "ab", "abc", "", "7", True, False, {"a": 1}, None, 12, -0.5]
HOUR = 3_600_000_000
FIRST = 1_717_200_000_000_000  # 2024-06-01T00:00:00Z


@pytest.fixture(scope="module")
def rows(shared):
    """Results in the store and in the ledger: (id, where, result, start hour)."""
    place = {
        "name": "l",
        "description": "x",
        "encodingType": "application/geo+json",
        "location": {"type": "Point", "coordinates": [1, 2]},
    }
    observations = [
        {"result": result, "phenomenonTime": f"2024-06-01T{hour:02}:00:00Z"}
        for hour, result in enumerate(RESULTS)
    ]
    stream = {**DATASTREAM, "Observations": observations}
    body = {"name": "t", "description": "x", "Locations": [place], "Datastreams": [stream]}
    assert shared.client.post(f"{ROOT}/Things", json=body).status_code == 201
    shared.fill("mill.power", [0.0, 1.0, 2.5, 7.0, -2.0, 12.0])
    found = shared.get("Observations", top=1000, expand="Datastream($select=name)").json()["value"]
    return [
        (row["@iot.id"], row["Datastream"]["name"], row.get("result"), int(row["phenomenonTime"][11:13]), "/" in row["phenomenonTime"])
        for row in found
    ]  # fmt: skip


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def arithmetic(op, a, b):
    if a is None or b is None:
        return None
    if op in ("div", "mod") and b == 0:
        return None
    return {
        "add": lambda: a + b,
        "sub": lambda: a - b,
        "mul": lambda: a * b,
        "div": lambda: a / b,
        "mod": lambda: math.fmod(a, b),
    }[op]()


def compare(op, a, b):
    if op == "eq":
        return a == b
    if op == "ne":
        return a != b
    if a is None or b is None:
        return False
    return {"gt": a > b, "ge": a >= b, "lt": a < b, "le": a <= b}[op]


def logic(op, a, b):
    """Three-valued, as OData and SQL have it."""
    if op == "and":
        return False if False in (a, b) else None if None in (a, b) else True
    return True if True in (a, b) else None if None in (a, b) else False


numbers = st.sampled_from([0.0, 1.0, -2.0, 2.5, 7.0, 3.0])
number = st.recursive(
    st.one_of(
        numbers.map(lambda n: (f"{n:g}", lambda row, n=n: n)),
        st.just(("result", lambda row: row[2] if is_number(row[2]) else None)),
        st.just(("hour(phenomenonTime)", lambda row: row[3])),
        st.just(("length(Datastream/name)", lambda row: len(row[1]))),
    ),
    lambda inner: st.builds(
        lambda op, a, b: (f"({a[0]} {op} {b[0]})", lambda row: arithmetic(op, a[1](row), b[1](row))),
        st.sampled_from(["add", "sub", "mul", "div", "mod"]), inner, inner,
    ),
    max_leaves=4,
)  # fmt: skip
text = st.one_of(
    st.sampled_from(["ab", "abc", "", "7", "c", "it's"]).map(
        lambda t: ("'" + t.replace("'", "''") + "'", lambda row, t=t: t)
    ),
    st.just(("result", lambda row: row[2] if isinstance(row[2], str) else None)),
    st.just(("Datastream/name", lambda row: row[1])),
    st.just(("toupper(Datastream/name)", lambda row: row[1].upper())),
)
COMPARISONS = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"])


def nulls(name, function, a, b):
    return (
        f"{name}({a[0]},{b[0]})",
        lambda row: None if None in (a[1](row), b[1](row)) else function(a[1](row), b[1](row)),
    )


def not_both_any(pair):
    return not (pair[1][0] == "result" and pair[2][0] == "result")


leaf = st.one_of(
    st.tuples(COMPARISONS, number, number).filter(not_both_any).map(
        lambda p: (f"{p[1][0]} {p[0]} {p[2][0]}", lambda row: compare(p[0], p[1][1](row), p[2][1](row)))),
    st.tuples(COMPARISONS, text, text).filter(not_both_any).map(
        lambda p: (f"{p[1][0]} {p[0]} {p[2][0]}", lambda row: compare(p[0], p[1][1](row), p[2][1](row)))),
    st.builds(lambda a, b: nulls("substringof", lambda x, y: x in y, a, b), text, text),
    st.builds(lambda a, b: nulls("startswith", str.startswith, a, b), text, text),
    st.builds(lambda a, b: nulls("endswith", str.endswith, a, b), text, text),
    st.builds(lambda a, b: (f"indexof({a[0]},{b[0]}) eq 0", lambda row: None not in (a[1](row), b[1](row)) and a[1](row).find(b[1](row)) == 0), text, text),
    st.sampled_from([True, False]).map(lambda b: (f"result eq {str(b).lower()}", lambda row: row[2] is b)),
    st.just(("result eq null", lambda row: row[2] is None)), st.just(("result ne null", lambda row: row[2] is not None)),
)  # fmt: skip
logical = st.recursive(
    leaf,
    lambda inner: st.one_of(
        inner.map(lambda a: (f"not ({a[0]})", lambda row: None if a[1](row) is None else not a[1](row))),
        st.builds(
            lambda op, a, b: (f"({a[0]}) {op} ({b[0]})", lambda row: logic(op, a[1](row), b[1](row))),
            st.sampled_from(["and", "or"]), inner, inner,
        ),
    ),
    max_leaves=4,
)  # fmt: skip
QUIET = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@settings(max_examples=150, **QUIET)
@given(expression=logical)
def test_a_filter_selects_what_python_selects(shared, rows, expression):
    written, meant = expression
    answer = shared.get("Observations", filter=written, top=1000, select="id")
    assert answer.status_code == 200, f"{written}: {answer.text}"
    expected = {row[0] for row in rows if meant(row) is True}
    assert {row["@iot.id"] for row in answer.json()["value"]} == expected, written


TIMES = st.integers(0, 16)


@settings(max_examples=40, **QUIET)
@given(op=COMPARISONS, hour=TIMES)
def test_times_compare_as_documented(shared, rows, op, hour):
    def meant(row):
        start, end = row[3], row[3] + (1 if row[4] else 0)
        return {
            "eq": start == end == hour, "ne": not start == end == hour, "lt": end <= hour and start < hour,
            "gt": start > hour, "le": end <= hour, "ge": start >= hour,
        }[op]  # fmt: skip

    answer = shared.get(
        "Observations", filter=f"phenomenonTime {op} 2024-06-01T{hour:02}:00:00Z", top=1000, select="id"
    )
    assert {row["@iot.id"] for row in answer.json()["value"]} == {row[0] for row in rows if meant(row)}


@settings(max_examples=20, **QUIET)
@given(
    page=st.integers(1, 9),
    order=st.sampled_from(
        ["result", "result desc", "phenomenonTime desc", "id", "Datastream/name,result desc", ""]
    ),
)
def test_pages_over_both_sources_lose_and_repeat_nothing(shared, rows, page, order):
    seen, skip = [], 0
    options = {"orderby": order} if order else {}
    whole = [row["@iot.id"] for row in shared.get("Observations", top=1000, **options).json()["value"]]
    while True:
        part = shared.get("Observations", top=page, skip=skip, select="id", **options).json()
        seen += [row["@iot.id"] for row in part["value"]]
        skip += page
        if "@iot.nextLink" not in part:
            break
    assert seen == whole
    assert sorted(seen) == sorted(row[0] for row in rows)


WORDS = st.sampled_from([
    "result", "name", "id", "Datastream", "Datastreams", "Observations", "Thing", "Things", "/", "(", ")", "(1)", "('0-1')", ",", ";", "$filter=", "$expand=",
    "$orderby=", "$top=", "$select=", " eq ", " gt ", " and ", " or ", " not ", "'", "''", "1", "-1", "1e308", "9" * 30, "null", "true", "geography'POINT (1 1)'",
    "st_within", "substring", "round", "year", "phenomenonTime", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z/2023-01-01T00:00:00Z", "duration'PT1H'", "duration'P'",
    "properties", "properties/a", "parameters/batch", "resultQuality", "%", "\x00", "é", "𝒳", "@iot.id", "$ref", "$value", "$count", "now()", "mod", " in (1,2)", " sub ",
    " add ", " div 0", "desc", "=", "&", "*", "--", '"', "\\", "Locations/location", "location", "date(", "time(", "12:00:00", "0001-01-01T00:00:00Z", "resultTime",
])  # fmt: skip
NONSENSE = st.lists(WORDS, max_size=9).map("".join) | st.text(max_size=30)
KINDS = st.sampled_from(
    [
        "Things",
        "Datastreams",
        "Observations",
        "Locations",
        "Sensors",
        "FeaturesOfInterest",
        "HistoricalLocations",
        "ObservedProperties",
    ]
)
OPTION = st.sampled_from(
    ["$filter", "$expand", "$orderby", "$select", "$top", "$skip", "$count", "$resultFormat"]
)


@settings(max_examples=200, **QUIET)
@given(kind=KINDS, option=OPTION, text=NONSENSE)
def test_no_query_is_a_server_error(shared, rows, kind, option, text):
    for version in ("v1.1", "v2.0"):
        name = {"FeaturesOfInterest": "Features"}.get(kind, kind) if version == "v2.0" else kind
        answer = shared.client.get(f"/sta/{version}/{name}?{option}={quote(text.encode('utf-8', 'replace'))}")
        assert answer.status_code in {200, 400, 404, 413, 501}, answer.text


@settings(max_examples=120, **QUIET)
@given(method=st.sampled_from(["GET", "PATCH", "DELETE", "PUT"]), text=NONSENSE)
def test_no_path_is_a_server_error(shared, rows, method, text):
    path = quote(text.encode("utf-8", "replace"))
    answer = shared.client.request(method, f"{ROOT}/Things({path})/{path}", content=b"{}")
    assert answer.status_code < 500
    assert shared.client.request(method, f"{ROOT}/x{path}", content=b"{}").status_code < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "name", "description", "properties", "@iot.id", "Thing", "Locations", "location", "encodingType", "result", "phenomenonTime", "Datastream", "time",
        "definition", "metadata", "unitOfMeasurement", "observationType", "Sensor", "ObservedProperty", "feature", "components", "dataArray", "id",
    ]), inner, max_size=6), max_leaves=12)  # fmt: skip


@settings(max_examples=200, **QUIET)
@given(
    kind=st.sampled_from(
        ["Things", "Datastreams", "Observations", "Locations", "CreateObservations", "$batch"]
    ),
    body=JSON,
)
def test_no_body_is_a_server_error(shared, rows, kind, body):
    answer = shared.client.post(f"{ROOT}/{kind}", json=body)
    assert answer.status_code < 500
    if answer.status_code == 201 and kind not in ("CreateObservations", "$batch"):
        shared.client.delete(answer.headers["location"])
