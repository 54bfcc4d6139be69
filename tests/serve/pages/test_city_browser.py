# SPDX-License-Identifier: Apache-2.0
"""In a real browser: the pages of a city in both languages, on a desk and on a phone, without script; time that plays from one answer."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from tests.serve import city_world
from tests.servers import listening

from mangrove.serve import app as web
from mangrove.serve import basemap
from mangrove.serve.scope import guest

CHROMIUM = "/usr/bin/chromium"
NO_WEBGL = ("--disable-3d-apis",)
PLAYED = "/map?period=week&every=hour&scenario=estimate/nowcast"
PAGES = ["/surroundings?period=week", "/plans?period=year", PLAYED, "/now?period=2025"]
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs a browser at /usr/bin/chromium")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    live = city_world.live(city_world.riverside(tmp_path_factory.mktemp("city") / "city"))
    guard = web.Fixed(guest("operator"))
    app = web.create(live, access=guard, routers=[basemap.router(live, guard)])
    with listening(app) as found:
        yield found


@pytest.fixture(scope="module")
def browsers():
    with sync_playwright() as playwright:
        made = {
            args: playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *args])
            for args in ((), NO_WEBGL)
        }
        yield made
        for one in made.values():
            one.close()


@pytest.fixture
def opened(browsers, address):
    """Opens a page; nothing may be asked of anybody else, and nothing may go wrong."""
    contexts, faults, asked = [], [], []

    def start(path, *, args=NO_WEBGL, script=True, size=(1280, 900)):
        context = browsers[args].new_context(
            viewport={"width": size[0], "height": size[1]}, java_script_enabled=script
        )
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        page.goto(address + path)
        contexts.append(context)
        page.asked = asked
        return page

    yield start
    for context in contexts:
        context.close()
    assert faults == []
    assert [url for url in asked if not url.startswith((address + "/", "blob:", "data:"))] == []


def shown(page):
    """The first number of the list."""
    return page.locator("#map-list [data-value]").first.inner_text().split("\n")[0]


def slide(page, index):
    page.evaluate(
        f"(s => {{ s.value = {index}; s.dispatchEvent(new Event('input')); }})(document.getElementById('map-slider'))"
    )


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_city_is_accessible_on_a_desk_and_on_a_phone(opened, path, lang):
    page = opened(f"{path}&lang={lang}")
    expect(page.locator("h1")).to_have_count(1)
    for size in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
        page.set_viewport_size(size)
        page.wait_for_timeout(150)
        found = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_without_script_links_lead_through_time(opened):
    page = opened(PLAYED + "&lang=en", script=False)
    expect(page.locator("#map-player")).to_be_hidden()
    before = page.locator("#map-instant").inner_text()
    page.click("#map-earlier")
    expect(page.locator("#map-instant")).not_to_have_text(before)
    assert "every=hour" in page.url
    page.select_option("#map-instants select", index=3)
    page.click("#map-instants button")
    expect(page.locator("#map-instant")).to_contain_text("03:00 24 Jun 2026")
    expect(page.locator("#map-list tr[data-place=w1] small").last).to_contain_text("–")


def test_the_slider_plays_from_one_answer_and_what_is_settled_on_has_its_interval(opened):
    page = opened(PLAYED + "&lang=en")
    page.wait_for_selector('#map[data-state="drawing"]', state="attached")
    first = len(page.asked)
    slide(page, 4)
    expect(page.locator("#map-instant")).to_have_text("04:00 24 Jun 2026")
    numbers, fills = set(), set()
    for index in range(5, 24):
        slide(page, index)
        expect(page.locator("#map-instant")).to_have_text(f"{index:02}:00 24 Jun 2026")
        numbers.add(shown(page))
        fills.add(page.locator('#map-drawing path[data-place="w1"]').get_attribute("fill"))
    assert len(numbers) > 5
    assert len(fills) > 1
    assert len(page.asked) == first + 1, "one answer for all steps"
    played = shown(page)
    expect(page.locator("#map-drawing g[data-ranks]").first).to_be_hidden()
    page.dispatch_event("#map-slider", "change")
    expect(page.locator("#map-drawing g[data-ranks]").first).to_be_visible()
    expect(page.locator("#map-list tr[data-place=w1] [data-value] small")).to_contain_text("–")
    assert shown(page) == played, "the page says what was played"
    assert "t=2026-06-24T23%3A00" in page.url
    page.reload()
    assert shown(page) == played


def test_new_values_do_not_stop_what_the_reader_plays(opened):
    page = opened(PLAYED + "&lang=en")
    page.wait_for_selector('#map[data-state="drawing"]', state="attached")
    slide(page, 4)
    expect(page.locator("#map-instant")).to_have_text("04:00 24 Jun 2026")
    asked = len(page.asked)
    page.evaluate("document.dispatchEvent(new CustomEvent('mg:tick'))")
    slide(page, 9)
    expect(page.locator("#map-instant")).to_have_text("09:00 24 Jun 2026")
    assert asked < len(page.asked) <= asked + 2, "the courses are asked for again"


def test_play_runs_and_stops(opened):
    page = opened(PLAYED + "&lang=en&t=2026-06-24T00:00")
    address = page.url
    page.click("#map-play")
    expect(page.locator("#map-play")).to_have_text("Pause")
    expect(page.locator("#map-instant")).to_have_text(
        re.compile(r"^(0[1-9]|1\d|2\d):00 2\d Jun 2026$"), timeout=20_000
    )
    page.click("#map-play")
    expect(page.locator("#map-play")).to_have_text("Play")
    page.wait_for_url(lambda url: url != address and "t=2026-06-2" in url)


def test_the_map_that_can_be_moved_plays_too_and_shows_pins(opened):
    page = opened(PLAYED + "&lang=en", args=())
    page.evaluate("localStorage.setItem('mangrove-map', 'map')")
    page.reload()
    page.wait_for_selector('#map[data-state="map"]', timeout=25_000)
    slide(page, 4)
    expect(page.locator("#map-instant")).to_have_text("04:00 24 Jun 2026")
    page.dispatch_event("#map-slider", "change")
    page.wait_for_url(re.compile("t=2026-06-24T04"))
    assert page.is_visible("#map canvas")


def test_a_pin_leads_to_what_is_said_of_the_source(opened):
    page = opened("/map?period=2026-06&lang=en")
    page.wait_for_selector('#map[data-state="drawing"]', state="attached")
    page.locator('g[data-pin="source-1"] text').click()
    assert page.url.endswith("#source-1")
    page.locator("#source-1-more summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#source-1-more ul")).to_be_visible()


def test_without_script_another_plan_side_and_year_can_be_chosen(opened):
    page = opened("/plans?lang=en", script=False)
    expect(page.locator(".answer")).to_contain_text("2028")
    page.select_option("select[name=year]", "2026")
    page.select_option("select[name=by]", "place")
    page.click("main form button")
    expect(page.locator(".answer")).to_contain_text("2026")
    assert "by=place" in page.url


def test_without_script_another_gauge_can_be_chosen(opened):
    page = opened("/surroundings?lang=en", script=False)
    expect(page.locator(".answer")).to_contain_text("alarm level 2")
    page.select_option("main select[name=flow]", "tower.pm25")
    page.click("main form button")
    expect(page.locator("figcaption").first).to_contain_text("Trạm Tháp")
