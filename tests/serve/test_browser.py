# SPDX-License-Identifier: Apache-2.0
"""In a real browser: every page in both languages for everybody, also by keyboard, without script and without WebGL; pages that live."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.serve.city_world import riverside
from tests.serve.exchange_world import exchanging
from tests.serve.street_world import streets
from tests.serve.whole import Whole, built, shared_energy, six_companies
from tests.servers import listening

from mangrove.serve import screens
from mangrove.serve.access import SYSTEM

CHROMIUM = "/usr/bin/chromium"
PERIOD = "period=2023-06&compare=none"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WHY = f"/why?{PERIOD}&by=place&key=mill"
ERROR = "/now?period=nonsense"
PAGES = [
    *(f"/{screen.name}?{PERIOD}" for screen in screens.screens() if screen.menu),
    WHY,
    "/login",
    "/enter/TOKEN",
    "/account",
    "/access/users",
    "/access/keys",
    "/access/audit",
    ERROR,
]
pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).exists() and not os.environ.get("CI"), reason="needs a browser at /usr/bin/chromium"
)


@pytest.fixture(scope="module")
def park(tmp_path_factory) -> Iterator[Whole]:
    with built(six_companies(tmp_path_factory.mktemp("browser") / "park")) as whole:
        yield whole


@pytest.fixture(scope="module")
def energy(tmp_path_factory) -> Iterator[Whole]:
    """A park with sites that can be operated."""
    with built(shared_energy(tmp_path_factory.mktemp("operated") / "park")) as whole:
        yield whole


@pytest.fixture(scope="module")
def riverbank(tmp_path_factory) -> Iterator[Whole]:
    """A city with sensors."""
    with built(riverside(tmp_path_factory.mktemp("watched") / "city", records=False)) as whole:
        yield whole


@pytest.fixture(scope="module")
def bartering(tmp_path_factory) -> Iterator[Whole]:
    """A park whose companies exchange what is left over."""
    with built(exchanging(tmp_path_factory.mktemp("bartered") / "park")) as whole:
        yield whole


@pytest.fixture(scope="module")
def counting(tmp_path_factory) -> Iterator[Whole]:
    """A city whose streets are counted."""
    with built(streets(tmp_path_factory.mktemp("counted") / "city")) as whole:
        yield whole


@pytest.fixture(scope="module")
def address(park) -> Iterator[str]:
    """The server that everybody here looks at."""
    with listening(park.app) as found:
        yield found


@pytest.fixture(scope="module")
def operated(energy) -> Iterator[str]:
    """The server of the park with sites."""
    with listening(energy.app) as found:
        yield found


@pytest.fixture(scope="module")
def watched(riverbank) -> Iterator[str]:
    """The server of the city with sensors."""
    with listening(riverbank.app) as found:
        yield found


@pytest.fixture(scope="module")
def bartered(bartering) -> Iterator[str]:
    """The server of the park with exchanges."""
    with listening(bartering.app) as found:
        yield found


@pytest.fixture(scope="module")
def counted(counting) -> Iterator[str]:
    """The server of the city with counted streets."""
    with listening(counting.app) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser without WebGL."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
        )
        yield browser
        browser.close()


class Visit:
    """A visitor with pages, and what the browser asked for and complained about."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.address = address
        self.page: Page = context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.faults.append(said.text))

    def go(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    @property
    def elsewhere(self) -> list[str]:
        """Addresses of others that were asked for."""
        return [url for url in self.asked if not url.startswith((self.address + "/", "blob:", "data:"))]


@pytest.fixture
def visit(  # noqa: PLR0917 - fixtures are asked for by name
    chromium, park, energy, riverbank, bartering, counting, address, operated, watched, bartered, counted
) -> Iterator[Callable[..., Visit]]:
    """Opens a page as the administrator; nothing may be asked of anybody else, and nothing may go wrong."""
    opened: list[tuple[BrowserContext, Visit, bool]] = []

    def start(
        path: str = "", *, script: bool = True, signed_in: bool = True, lang: str = "", errs: bool = False
    ) -> Visit:
        whole, at = (park, address)
        if "operate" in path:
            whole, at = energy, operated
        if "surroundings" in path:
            whole, at = riverbank, watched
        if "symbiosis" in path:
            whole, at = bartering, bartered
        if "traffic" in path:
            whole, at = counting, counted
        context = chromium.new_context(viewport=DESKTOP, java_script_enabled=script, locale="vi-VN")
        cookies = [{"name": "mangrove", "value": whole.sessions["admin"], "url": at}] * signed_in
        cookies += [{"name": "lang", "value": lang, "url": at}] * bool(lang)
        context.add_cookies(cookies)  # type: ignore[arg-type]
        opened.append((context, Visit(context, at), errs))
        return opened[-1][1]

    yield start
    for context, _, _ in opened:
        context.close()
    for _, one, errs in opened:
        assert one.elsewhere == []
        assert errs or one.faults == []


def violations(page: Page) -> list[Any]:
    """What axe-core finds: rule and elements."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:160] for node in one["nodes"]][:4]) for one in found]


def posted(address: str, key: str, values: dict[str, list[Any]]) -> None:
    """Values, sent as a gateway does."""
    request = urllib.request.Request(
        f"{address}/api/v1/values",
        json.dumps(values).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- every page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_on_a_desk_and_on_a_phone(visit, park, path, lang):
    if "TOKEN" in path:
        path = park.accounts.links.make("invite", park.accounts.users.find("city person"), by=SYSTEM)
    one = visit(path, lang=lang, signed_in=not path.startswith(("/login", "/enter")), errs=path == ERROR)
    page = one.go(path)
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("h1")).to_have_count(1)
    assert violations(page) == []
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (
        "the page scrolls sideways"
    )
    if path == ERROR:
        assert all("400" in text for text in one.faults)


@pytest.mark.parametrize("name", [one.name for one in screens.screens() if one.menu])
def test_a_screen_says_everything_without_script(visit, name):
    page = visit(name, script=False, lang="en").go(f"/{name}?{PERIOD}")
    assert page.locator("nav.menu a").count() >= 4
    expect(page.locator("nav.menu a[aria-current=page]")).to_have_count(1)
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("main p").first).not_to_be_empty()
    page.fill("form.control input[name=period]", "2023-06-05")
    page.select_option("form.control select[name=compare]", "previous")
    page.click("form.control button")
    assert f"/{name}?" in page.url
    assert "period=2023-06-05" in page.url
    assert "compare=previous" in page.url
    expect(page.locator("form.control .shown")).to_contain_text("2023")
    page.click("nav.menu a >> nth=0")
    assert "period=2023-06-05" in page.url, "what was chosen stays"


def test_the_answer_its_table_and_its_proof_are_there_without_script(visit):
    page = visit(script=False, lang="en").go(f"/now?{PERIOD}")
    expect(page.locator(".answer")).to_contain_text("CO₂e")
    expect(page.locator("main table").first).to_be_visible()
    page.locator("a.why").first.click()
    assert "/why?" in page.url
    expect(page.locator("main table").first).to_be_visible()


def test_signing_in_needs_no_script(visit, park):
    name = park.accounts.users.add("Người mới", "operator", "", by=SYSTEM)
    park.accounts.users.set_password(name.id, "correct horse battery", by=SYSTEM)
    page = visit(script=False, signed_in=False).go(f"/map?{PERIOD}")
    assert "/login?next=" in page.url
    page.fill("input[name=name]", "Người mới")
    page.fill("input[name=password]", "correct horse battery")
    page.click("main button")
    assert page.url.endswith(f"/map?{PERIOD}")


# --- the keyboard ------------------------------------------------------------------------------------------------------

REACHED = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")];
  return all.filter((one) => one.tabIndex >= 0 && !one.disabled && one.type !== "hidden" && one.checkVisibility()
    && !one.closest("dialog:not([open])"));
}"""
FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  return {index: window.reached.indexOf(one), ring, what: one.outerHTML.slice(0, 120)};
}"""


@pytest.mark.parametrize("name", [one.name for one in screens.screens() if one.menu])
def test_the_tabulator_reaches_every_control_and_shows_where_it_is(visit, name):
    page = visit(name, lang="en").go(f"/{name}?{PERIOD}")
    page.wait_for_load_state("load")
    page.wait_for_timeout(200)
    count = page.evaluate(f"(window.reached = ({REACHED})()).length")
    missing = set(range(count))
    for step in range(count + 5):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUS)
        missing.discard(found["index"])
        if found["index"] >= 0:
            assert found["ring"], found["what"]
        if step == 0:
            assert "skip" in found["what"], "the way past the menu comes first"
        if not missing:
            break
    left = page.evaluate(
        "(left) => left.map((i) => window.reached[i].outerHTML.slice(0, 120))", sorted(missing)
    )
    assert left == []


def test_the_skip_link_leads_past_the_menu(visit):
    page = visit().go(f"/now?{PERIOD}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_proof_opens_and_closes_by_keyboard_and_gives_the_focus_back(visit):
    page = visit().go(f"/now?{PERIOD}")
    link = page.locator("a.why").first
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#proof[open] #proof-body h1")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#proof[open]")).to_have_count(0)
    assert link.evaluate("(one) => one === document.activeElement")
    assert page.url.endswith(f"/now?{PERIOD}")


# --- what is special ---------------------------------------------------------------------------------------------------


def test_without_webgl_the_map_is_a_drawing(visit):
    page = visit().go(f"/map?{PERIOD}")
    page.wait_for_selector('#map[data-state="drawing"]', state="attached")
    expect(page.locator("#map-drawing svg")).to_be_visible()


def test_streets_are_stepped_through_without_script(visit):
    page = visit("traffic", script=False, lang="en").go("/traffic?period=2023-06-05")
    expect(page.locator("#traffic-drawing svg path[data-link]")).to_have_count(4)
    expect(page.locator("#traffic-player")).to_be_hidden()
    page.click("#traffic-steps a[rel=prev]")
    assert "t=2023-06-05T07%3A50" in page.url
    page.click('.choice a:has-text("speed") >> nth=0')
    assert "show=speed" in page.url
    assert "t=2023-06-05T07%3A50" in page.url
    page.click("#traffic-worst tbody th a >> nth=0")
    assert "at=" in page.url
    expect(page.locator("#traffic-drawing svg")).to_be_visible()


def test_streets_are_played_with_a_script_and_what_one_stops_at_has_its_address(visit):
    page = visit("traffic", lang="en").go("/traffic?period=2023-06-05&t=2023-06-05T06:00")
    page.wait_for_selector("#traffic-player:not([hidden])")
    page.click("#traffic-play")
    expect(page.locator("#traffic-drawing")).to_have_class("street-map playing")
    until(lambda: int(page.locator("#traffic-slider").input_value()) > 1)
    page.click("#traffic-play")
    expect(page.locator("#traffic-drawing")).to_have_class("street-map")
    shown = page.locator("#traffic-instant").inner_text()
    assert f"t=2023-06-05T{shown[:5]}" in page.url.replace("%3A", ":")
    expect(page.locator("#traffic-drawing svg path[data-link]")).to_have_count(4)


def test_the_language_changes_and_the_address_stays(visit, address):
    path = "/now?period=2023-06&compare=none&place=mill"
    page = visit(lang="vi").go(path)
    page.click("nav.langs a[lang=en]")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert set(page.url.removeprefix(address + "/now?").split("&")) == set(path.partition("?")[2].split("&"))
    page.go_back()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_value_that_arrives_changes_the_page_without_loading_it_again(visit, park, address):
    page = visit(lang="en").go(f"/now?{PERIOD}")
    answer = page.locator(".answer").inner_text()
    page.evaluate("window.kept = 1")
    moment = datetime(2023, 6, 19, 20, tzinfo=UTC).isoformat()
    posted(address, park.keys["operator"], {"flow": ["mill.power"], "ts": [moment], "value": [9e6]})
    expect(page.locator(".answer")).not_to_have_text(answer, timeout=15_000)
    assert page.evaluate("window.kept") == 1


def test_a_page_that_nobody_looks_at_closes_its_stream(visit, park):
    until(lambda: len(park.live.hub) == 0)  # those of the pages before
    page = visit().go(f"/now?{PERIOD}")
    until(lambda: len(park.live.hub) == 1)
    hide = "(h) => { Object.defineProperty(document, 'hidden', {value: h, configurable: true}); document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    until(lambda: len(park.live.hub) == 0)
    page.evaluate(hide, False)
    until(lambda: len(park.live.hub) == 1)
    page.goto("about:blank")
    until(lambda: len(park.live.hub) == 0)
