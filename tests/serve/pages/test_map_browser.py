# SPDX-License-Identifier: Apache-2.0
"""In a real browser: the map with WebGL, without it and without script; the list drives it; charts keep the reader's zoom."""

import csv
import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from playwright.sync_api import sync_playwright
from tests.servers import listening

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.serve import app as web
from mangrove.serve import basemap
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import park_of, values

CHROMIUM = "/usr/bin/chromium"
START = datetime(2023, 5, 31, 17, tzinfo=UTC)
SITES = {
    "mill": ("Nhà máy thép", 106.69),
    "shop": ("Xưởng đúc Ấp Bắc", 106.70),
    "dairy": ("Đường sữa", 106.71),
}
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs a browser at /usr/bin/chromium")


def square(lon):
    ring = [[lon, 20.9], [lon + 0.009, 20.9], [lon + 0.009, 20.91], [lon, 20.91], [lon, 20.9]]
    return {"type": "Polygon", "coordinates": [ring]}


def charts():
    """A page with a chart, and its columns, which grow by one hour with each look."""
    routes = APIRouter()
    looks = []

    @routes.get("/series.json")
    def series():
        looks.append(1)
        x = [int(START.timestamp()) + 3600 * i for i in range(47 + len(looks))]
        load = [None if i == 5 else 1000.0 + 10 * i for i in range(len(x))]
        return {"x": x, "series": [{"name": "Điện", "unit": "kW", "values": load, "low": load, "high": load}]}

    @routes.get("/charts", response_class=HTMLResponse)
    def page():
        chart = '<div class="chart" data-src="/series.json" data-kind="band"></div>'
        head = '<title>c</title><script type="module" src="/static/charts.js"></script>'
        zone = "Asia/Ho_Chi_Minh"
        return f'<!doctype html><html lang="vi" data-tz="{zone}"><head>{head}</head><body><main>{chart}</main></body></html>'

    return routes


def make(folder, *, tiles):
    flows = [
        {
            "id": f"{site}.power",
            "place": site,
            "carrier": "electricity",
            "unit": "kWh",
            "step": "1h",
            "scope": "2",
        }
        for site in SITES
    ]
    park_of(folder, flows)
    rows = [["id", "name", "kind", "parent", "lon", "lat"], ["park", "Khu công nghiệp", "park", "", "", ""]]
    rows += [[id_, name, "facility", "park", lon + 0.0045, 20.905] for id_, (name, lon) in SITES.items()]
    with (folder / "places.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    if tiles:
        features = [
            {"type": "Feature", "id": id_, "properties": {}, "geometry": square(lon)}
            for id_, (_, lon) in SITES.items()
        ]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        (folder / "places.geojson").write_text(text, encoding="utf-8")
    park = mg.open(folder)
    with park.writer() as ledger:
        meters = [
            (f"{site}.power", START + timedelta(hours=i), 100.0 * (rank + 1))
            for rank, site in enumerate(SITES)
            for i in range(96)
        ]
        ledger.append(values(meters), Origin("file:test", "1"))
    if tiles:
        basemap.build(park.territory)
    return Live(park, Clock(START + timedelta(hours=96), 0))


@pytest.fixture(scope="module")
def serve():
    """Starts servers on free ports of this machine; gives their addresses."""

    def start(live, principal):
        guard = web.Fixed(principal)
        app = web.create(live, access=guard, routers=[basemap.router(live, guard), charts()])
        return servers.enter_context(listening(app))

    with ExitStack() as servers:
        yield start


@pytest.fixture(scope="module")
def plain(serve, tmp_path_factory):
    return serve(make(tmp_path_factory.mktemp("plain") / "park", tiles=False), guest("operator"))


@pytest.fixture(scope="module")
def tiled(serve, tmp_path_factory):
    return serve(make(tmp_path_factory.mktemp("tiled") / "park", tiles=True), guest("operator"))


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture
def opened(chromium):
    """Opens pages; every page that was opened must have asked this machine only and logged no error."""
    closing, asked, faults = [], [], []

    def go(address, *, args=(), script=True):
        browser = chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *args])
        closing.append(browser)
        page = browser.new_page(
            viewport={"width": 1200, "height": 900},
            java_script_enabled=script,
            timezone_id="America/New_York",
        )
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda said: said.type == "error" and "favicon" not in said.text and faults.append(said.text),
        )
        page.goto(address)
        return page

    yield go
    for browser in closing:
        browser.close()
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))] == []
    assert faults == []


def state(page, wanted):
    page.wait_for_selector(f'#map[data-state="{wanted}"]', state="attached", timeout=20_000)


NO_WEBGL = ("--disable-gpu", "--disable-3d-apis")


@pytest.mark.parametrize("kind", ["plain", "tiled"])
def test_with_webgl_the_map_can_be_moved_and_names_the_place_below_the_pointer(opened, request, kind):
    page = opened(f"{request.getfixturevalue(kind)}/map?lang=en&period=2023-06")
    page.evaluate("localStorage.setItem('mangrove-map', 'map')")
    page.reload()
    state(page, "map")
    assert page.is_hidden("#map-drawing")
    assert page.is_visible("#map-legend")
    box = page.locator("#map canvas").bounding_box()
    for _ in range(40):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 + 3)
        if page.is_visible(".map-tip"):
            break
        page.wait_for_timeout(100)
    assert page.inner_text(".map-tip").startswith("Xưởng đúc Ấp Bắc: ")
    assert page.locator("tr.on").get_attribute("data-place") == "shop"
    with page.expect_response("**/map.json*") as again:
        page.evaluate("document.dispatchEvent(new CustomEvent('mg:tick'))")
    assert again.value.ok


def test_without_webgl_the_drawn_map_stays_and_follows_the_list(opened, plain):
    page = opened(f"{plain}/map?lang=vi&period=2023-06", args=NO_WEBGL)
    state(page, "drawing")
    assert page.is_visible("#map-drawing svg")
    assert page.is_hidden("#map-switch")
    page.focus('tr[data-place="dairy"] th a')
    assert page.locator("#map-drawing path.on").first.get_attribute("data-place") == "dairy"
    page.hover('tr[data-place="mill"]')
    assert page.locator("#map-drawing path.on").first.get_attribute("data-place") == "mill"


def test_names_are_found_while_they_are_typed_without_tone_marks(opened, plain):
    page = opened(f"{plain}/map?lang=vi&period=2023-06", args=NO_WEBGL)
    state(page, "drawing")
    page.fill("#map-search", "DUONG")
    assert [row.get_attribute("data-place") for row in page.locator("tr[data-place]:visible").all()] == [
        "dairy"
    ]


def test_without_script_the_drawing_is_there_and_the_list_leads_into_places(opened, plain):
    page = opened(f"{plain}/map?lang=en&period=2023-06", script=False)
    assert page.is_visible("#map-drawing svg")
    assert page.locator("#map-drawing path[data-place] title").count() == 3
    page.click('tr[data-place="mill"] th a')
    assert "place=mill" in page.url
    assert page.is_visible("#map-flows")


def test_a_tenant_reads_no_other_name_on_the_map(opened, serve, tmp_path):
    address = serve(make(tmp_path / "park", tiles=True), Principal("1", "An", "user", "tenant", "mill"))
    page = opened(f"{address}/map?lang=en&period=2023-06", args=NO_WEBGL)
    state(page, "drawing")
    assert "Nhà máy thép" in page.content()
    assert "Đường sữa" not in page.content()


@pytest.mark.parametrize("args", [(), NO_WEBGL])
def test_the_page_has_no_violation_of_accessibility(opened, plain, args):
    page = opened(f"{plain}/map?lang=en&period=2023-06", args=args)
    page.wait_for_selector("#map[data-state]", state="attached")
    page.wait_for_timeout(500)
    found = Axe().run(page)
    assert [
        (one["id"], [n["html"][:120] for n in one["nodes"]]) for one in found.response["violations"]
    ] == []


def test_a_chart_tells_its_series_in_territory_time_and_keeps_its_zoom(opened, plain):
    page = opened(f"{plain}/charts", args=NO_WEBGL)
    page.wait_for_selector(".chart canvas")
    chart = page.locator(".chart")
    assert chart.get_attribute("aria-label").startswith(
        "00:00 01/06/2023 – 23:00 02/06/2023. Điện: từ 1.000 đến 1.470"
    )
    assert chart.locator("a").get_attribute("href") == "/series.csv"
    chart.focus()
    page.keyboard.press("+")
    shown = "document.querySelector('.chart canvas').toDataURL()"
    zoomed = page.evaluate(shown)
    page.evaluate("document.dispatchEvent(new CustomEvent('mg:tick'))")
    page.wait_for_selector('.chart[aria-label*="00:00 03/06/2023"]')
    page.wait_for_timeout(100)
    assert page.evaluate(shown) == zoomed, "new values lie outside of what the reader looks at"
    page.keyboard.press("0")
    page.wait_for_timeout(100)
    assert page.evaluate(shown) != zoomed
