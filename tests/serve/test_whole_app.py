# SPDX-License-Identifier: Apache-2.0
"""Every route of the whole application, asked by everybody who should not have what it gives."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from itertools import combinations
from urllib.parse import quote

import httpx
import pytest
from tests.serve.access.browser import Browser
from tests.serve.whole import COMPANIES, MINE, OTHERS, SCREENS, Whole, built, shared_energy, six_companies

from mangrove.serve.access import SYSTEM
from mangrove.serve.access.sessions import LONGEST
from mangrove.serve.access.store import digest
from mangrove.serve.access.table import PUBLIC, declared_roles
from mangrove.serve.scope import ROLES

ENDINGS = ("", ".json", ".csv", ".svg")
JSON = {"accept": "application/json"}
STREAM = "/events"
PERIOD = "period=2023-06"
GRID = 0.6592
"""kg CO2 for a kWh of the grid of Việt Nam in 2023 (letter 1726/BĐKH-PTCBT of 3 December 2024)."""


@pytest.fixture(scope="module")
def park(tmp_path_factory) -> Iterator[Whole]:
    with built(six_companies(tmp_path_factory.mktemp("six") / "park")) as whole:
        yield whole


@pytest.fixture(scope="module")
def energy(tmp_path_factory) -> Iterator[Whole]:
    with built(shared_energy(tmp_path_factory.mktemp("energy") / "park")) as whole:
        yield whole


@pytest.fixture(scope="module")
def homely(tmp_path_factory) -> Iterator[Whole]:
    """A server whose visitors from its own machine look with the city's eyes."""
    with built(six_companies(tmp_path_factory.mktemp("homely") / "park"), guest="city") as whole:
        yield whole


class Caller:
    """One principal: what it sends with every request."""

    def __init__(self, whole: Whole, key: str = "", session: str = "", **more: object) -> None:
        self._browser = Browser(whole.app, **more)  # type: ignore[arg-type]
        self._headers = {**JSON, **({"authorization": f"Bearer {key}"} if key else {})}
        if session:
            self._browser.http.cookies.set("mangrove", session)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        headers = self._headers | more.pop("headers", {})  # type: ignore[operator]
        return self._browser.ask(method, path, headers=headers, **more)

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)

    def close(self) -> None:
        self._browser.close()


@pytest.fixture
def caller() -> Iterator[object]:
    made: list[Caller] = []

    def make(whole: Whole, **how: object) -> Caller:
        made.append(Caller(whole, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def routes(whole: Whole) -> list[tuple[str, str, tuple[str, ...]]]:
    """Every method of every route that is not public, at paths that name things which exist."""
    place = next(one for one in reversed(whole.live.territory.places))
    names = {"lang": "en", "kind": "html", "number": "1", "place": place, "sha256": "0" * 64, "token": "x"}
    found = []
    for one in declared_roles(whole.app):
        if one.roles == PUBLIC:
            continue
        rest = "Things" if "/sta/" in one.path else f"urn:ngsi-ld:Thing:{place}"
        path = re.sub(r"{(\w+)[^}]*}", lambda m, rest=rest: {**names, "rest": rest}.get(m[1], "1"), one.path)
        found += [(method, path, one.roles or ()) for method in sorted(one.methods or {"GET"})]
    return found


def names_of(whole: Whole, places: set[str]) -> list[str]:
    """Everything that tells of places: their ids and names, and those of their flows, meters and devices."""
    territory = whole.live.territory
    flows = [one for one in territory.flows.values() if one.place in places]
    devices = [one for one in territory.devices.values() if one.place in places]
    words = [
        *(territory.places[one].name for one in places),
        *(text for one in flows for text in (one.id, one.name, one.meter)),
        *(text for one in devices for text in (one.id, one.name)),
        *(asset.name for asset in territory.assets.values() if asset.place in places),
    ]
    return [one for one in words if one]


def told(answer: httpx.Response, words: list[str]) -> list[str]:
    """Which of the words stand in an answer, however they are written there."""
    text = answer.content.decode("utf-8", "replace")
    plain = "\n".join([text, unescape(text), *answer.headers.values()])
    if answer.content and "json" in answer.headers.get("content-type", ""):
        plain += json.dumps(answer.json(), ensure_ascii=False)
    return [one for one in words if one in plain or quote(one) in plain]


# --- who has no business here ------------------------------------------------------------------------------------------


@pytest.fixture(params=["park", "energy"])
def world(request) -> Whole:
    return request.getfixturevalue(request.param)


def test_every_route_of_the_whole_application_says_for_whom_it_is(world):
    assert [one.path for one in declared_roles(world.app) if not one.roles] == []
    assert {role for *_, roles in routes(world) for role in roles} <= set(ROLES)


@pytest.mark.parametrize("who", ["nobody", "a stranger's token", "a revoked key", "an expired session"])
def test_whom_nobody_knows_gets_nothing_from_any_route(world, caller, who):
    accounts = world.accounts
    how = {
        "nobody": {},
        "a stranger's token": {"key": "mg_1_stranger"},
        "a revoked key": {"key": world.keys["revoked"]},
    }
    if who == "an expired session":
        token = accounts.sessions.open(accounts.users.find("operator person"))
        late = (accounts.store.clock.now() - LONGEST - timedelta(minutes=1)).timestamp() * 1e6
        with accounts.store.write() as db:
            db.execute(
                "UPDATE sessions SET expires = ?, seen = ? WHERE digest = ?",
                (int(late), int(late), digest(token)),
            )
        how[who] = {"session": token}
    visitor = caller(world, **how[who])
    secrets = names_of(world, set(world.live.territory.places) - {"park"})
    for method, path, _ in routes(world):
        answer = visitor.ask(method, path)
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"
        assert told(answer, secrets) == [], f"{method} {path}"
        page = visitor.ask(method, path, headers={"accept": "text/html", "sec-fetch-mode": "navigate"})
        assert page.status_code in {303, 401}, f"{method} {path}: {page.status_code}"
        assert told(page, secrets) == []


def test_a_route_refuses_every_role_that_it_does_not_declare(world, caller):
    tried = 0
    for role in ("operator", "tenant", "city", "device"):
        if role not in world.keys:
            continue
        visitor = caller(world, key=world.keys[role])
        secrets = names_of(world, set(world.live.territory.places) - {"park"})
        for method, path, roles in routes(world):
            if role in roles:
                continue
            answer = visitor.ask(method, path)
            assert answer.status_code == 403, f"{role} {method} {path}: {answer.status_code}"
            assert told(answer, secrets) == [], f"{role} {method} {path}"
            tried += 1
    assert tried > 40


# --- one tenant and the others -------------------------------------------------------------------------------------------


def test_no_route_tells_a_tenant_the_name_of_anything_of_the_others(world, caller):
    facilities = {one.id for one in world.live.territory.places.values() if one.kind == "facility"}
    own = next(iter(facilities & {MINE, "works"}))
    secrets = names_of(world, facilities - {own})
    visitor = caller(world, session=world.sessions["tenant"])
    seen = 0
    for method, path, roles in routes(world):
        if method != "GET" or "tenant" not in roles or path == STREAM:
            continue
        for query in ("", f"?{PERIOD}", f"?{PERIOD}&lang=en&place={own}"):
            answer = visitor.get(path + query)
            assert answer.status_code < 500, f"{path}{query}: {answer.text[:300]}"
            assert told(answer, secrets) == [], f"{path}{query}"
            seen += answer.status_code == 200
    assert seen > 30


def theirs(place: str) -> list[str]:
    """Addresses that ask for what belongs to another company, or for totals that only that company is in."""
    flow = f"{place}.power"
    asked = f"flow={flow}&start=2023-06"
    cells = [f"by=place&key={place}", f"by=flow&key={flow}"]
    return [
        *(f"/api/v1/values{end}?{asked}" for end in ("", ".json", ".csv", ".arrow")),
        f"/api/v1/values?flow={flow}%23register&start=2023-06",
        *(f"/why{end}?{PERIOD}&{cell}" for end in ("", ".json") for cell in cells),
        f"/why.json?{PERIOD}&by=sector&key={COMPANIES[place][1]}",
        f"/sta/v1.1/Things('{place}')",
        f"/sta/v1.1/Datastreams('{flow}')",
        f"/sta/v1.1/Datastreams('{flow}')/Observations",
        f"/sta/v2.0/Datastreams('{flow}')/Observations",
        f"/ngsi-ld/v1/entities/urn:ngsi-ld:Thing:{place}",
        f"/inventory/form/html?{PERIOD}",
        "/api/v1/replica/manifest",
    ]


def test_a_tenant_that_asks_with_the_ids_of_another_is_told_that_there_is_no_such_thing(park, caller):
    visitor = caller(park, key=park.keys["tenant"])
    for place in OTHERS:
        words = names_of(park, {place})
        for path in theirs(place):
            answer = visitor.get(path)
            assert answer.status_code in {400, 403, 404}, f"{path}: {answer.status_code} {answer.text[:200]}"
            asked = [one for one in words if one in path]
            assert set(told(answer, words)) <= set(asked), f"{path}: {answer.text[:300]}"


def test_what_is_missing_and_what_belongs_to_another_look_alike(park, caller):
    visitor = caller(park, key=park.keys["tenant"])
    for path in theirs("forge"):
        if "sector" in path:
            continue
        other, missing = visitor.get(path), visitor.get(path.replace("forge", "ghost"))
        assert other.status_code == missing.status_code, path
        assert other.text.replace("forge", "X") == missing.text.replace("ghost", "X"), path


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_in_focus_on_another_company_holds_nothing_of_it(park, caller, screen):
    visitor = caller(park, session=park.sessions["tenant"])
    for place in OTHERS:
        secret = secret_numbers(place)
        for ending in ENDINGS:
            path = f"/{screen}{ending}?{PERIOD}&lang=en&place={place}"
            answer = visitor.get(path)
            assert answer.status_code < 500
            assert told(answer, names_of(park, {place})) == [], path
            assert leaks(answer, ending, secret) == [], path


# --- numbers ---------------------------------------------------------------------------------------------------------------


def energy_of(place: str, hours: float) -> float:
    """What the first hours of June took in kWh, as the worlds say them."""
    rate = COMPANIES[place][2]
    return sum(rate * (1 + (i % 24) / 240) for i in range(int(hours)))


def secret_numbers(*places: str) -> list[float]:
    """What a company used and emitted, in the units in which it might be told."""
    kwh = sum(energy_of(place, 19 * 24) for place in places)
    return [kwh * factor / scale for factor in (1, GRID) for scale in (1, 1e3, 1e6)]


def numbers_in(text: str) -> list[float]:
    """All numbers that stand in a text with at least three digits that count."""
    found = []
    for word in re.findall(r"(?<![\w.#-])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])", text):
        plain = word.replace(",", "")
        if len(re.sub(r"\D", "", plain).strip("0")) > 3:
            found.append(float(plain))
    return found


def leaks(answer: httpx.Response, ending: str, secret: list[float]) -> list[float]:
    """The numbers of an answer that tell a secret one, as far as four digits tell it."""
    if answer.status_code != 200:
        return []
    text = answer.text
    if ending in {"", ".svg"}:
        text = unescape(re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL))
    return [n for n in numbers_in(text) for one in secret if abs(n - one) < 5e-4 * one]


def city_cells() -> list[tuple[str, ...]]:
    """Groups of companies that are too small to be told: each alone and every two."""
    return [*((one,) for one in COMPANIES), *combinations(COMPANIES, 2)]


def test_the_check_finds_a_number_where_it_may_be_told(park, caller):
    operator = caller(park, key=park.keys["operator"])
    for path, ending in (("/inventory.json", ".json"), ("/inventory.csv", ".csv")):
        answer = operator.get(f"{path}?{PERIOD}&by=sector&lang=en")
        assert leaks(answer, ending, secret_numbers("mill")), answer.text[:2000]


CITY = [
    f"/{screen}{ending}?{PERIOD}&lang=en{extra}"
    for screen in SCREENS
    for ending in ENDINGS
    for extra in ("", "&place=mill", "&by=place", "&by=sector", "&by=scope", "&by=carrier")
]
CITY += [f"/inventory.csv?{PERIOD}&table=years", "/now.json?period=2023-06-05..2023-06-19&place=dairy"]
CITY += [f"/map.json?{PERIOD}&sector={sector}&lang=en" for sector in ("steel", "forging", "food")]
CITY += [
    "/api/v1/values?flow=mill.power&start=2023-06",
    "/map/places.geojson",
    "/sta/v1.1/Things?$expand=Datastreams",
]
CITY += [f"/why{end}?{PERIOD}&by={by}&key={key}" for end in ("", ".json") for by, key in (
    ("place", "mill"), ("flow", "mill.power"), ("sector", "steel"), ("sector", "food"), ("meter", "PM-mill-1"))]  # fmt: skip


@pytest.mark.parametrize("who", ["a session", "a key", "a guest of this machine"])
def test_the_city_sees_no_figure_of_fewer_than_three_companies(request, caller, who):
    whole = request.getfixturevalue("homely" if "guest" in who else "park")
    visitor = (
        caller(whole)
        if "guest" in who
        else caller(whole, key=whole.keys["city"])
        if who == "a key"
        else caller(whole, session=whole.sessions["city"])
    )
    secret = [n for group in city_cells() for n in secret_numbers(*group)]
    details = [one for one in names_of(whole, set(COMPANIES)) if "PM-" in one or "gate" in one]
    fine = 0
    for path in CITY:
        answer = visitor.get(path)
        assert answer.status_code < 500, f"{path}: {answer.text[:300]}"
        ending = "." + path.partition("?")[0].rpartition(".")[2] if "." in path.partition("?")[0] else ""
        assert leaks(answer, ending, secret) == [], path
        assert told(answer, details) == [] or "key=PM-" in path, path
        fine += answer.status_code == 200
    assert fine > 30


def test_the_cells_that_the_city_is_not_shown_cannot_be_computed_from_the_others(park, caller):
    visitor = caller(park, session=park.sessions["city"])
    rows = visitor.get(f"/inventory.json?{PERIOD}&by=sector").json()["rows"]
    hidden = [one["key"] for one in rows if not one["shown"]]
    assert set(hidden) == {"steel", "forging", "cement"}, "one company each; three together"
    assert all(one["t_co2e"] is None and one["by_gas_t"] is None for one in rows if not one["shown"])
    table = list(csv.DictReader(visitor.get(f"/inventory.csv?{PERIOD}&by=sector").text.splitlines()))
    assert not {one["sector"] for one in table} & set(hidden)


# --- guests ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"client": ("192.0.2.7", 5000)},
        {"base": "http://park.example:8000"},
        {"forwarded": True},
    ],
)
def test_a_guest_is_somebody_at_this_machine_only(homely, caller, how):
    headers = {"x-forwarded-for": "192.0.2.7"} if how.pop("forwarded", False) else {}
    visitor = caller(homely, **how)
    for method, path, _ in routes(homely):
        answer = visitor.ask(method, path, headers=headers)
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"


def test_a_guest_changes_nothing(homely, caller):
    visitor = caller(homely)
    before = homely.live.intake.call(lambda ledger: ledger.cut()).result()
    for method, path, _ in routes(homely):
        if method not in {"GET", "HEAD"}:
            answer = visitor.ask(method, path, headers={"origin": "http://127.0.0.1:8000"})
            assert answer.status_code in {403, 405}, f"{method} {path}: {answer.status_code}"
    assert homely.live.intake.call(lambda ledger: ledger.cut()).result() == before


def test_a_session_that_ends_while_the_page_is_open_gets_nothing_more(park, caller):
    made = park.accounts.users.add("short visit", "operator", "", by=SYSTEM)
    token = park.accounts.sessions.open(made)
    visitor = caller(park, session=token)
    assert visitor.get(f"/now.json?{PERIOD}").status_code == 200
    park.accounts.users.change(made.id, by=SYSTEM, disabled=True)
    assert visitor.get(f"/now.json?{PERIOD}").status_code == 401
