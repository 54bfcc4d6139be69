# SPDX-License-Identifier: Apache-2.0
"""The screen "Operate": its numbers are those of the ledger, no tenant sees another's, decisions show their price and end in time."""

import json
import re
import shutil
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.operate_world import NOW, Still, planned_park
from tests.serve.access.browser import Browser

import mangrove as mg
from mangrove.operate.devices import limits_at
from mangrove.operate.site import site_at
from mangrove.rules import contracts
from mangrove.serve import app as web
from mangrove.serve import overrides, schedules
from mangrove.serve.access import SYSTEM, Access, Accounts, Settings
from mangrove.serve.access import routes as doors
from mangrove.serve.access.gate import guard
from mangrove.serve.access.passwords import Hasher
from mangrove.serve.overrides import consequence
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.sources.intake import Intake

DAY = timedelta(days=1)
OPERATOR = Principal("u1", "An", "user", "operator")
FORM = {"site": "works", "device": "works_battery", "power": "40", "minutes": "60", "note": "test"}


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return planned_park(tmp_path_factory.mktemp("operate"))


@contextmanager
def site(park, principal=OPERATOR, clock=None, notes=None):
    """A server of the screens and of decisions for one principal; decisions are written into the park's own ledger."""
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        live = Live(park, clock or Still(), intake)
        access = web.Fixed(principal)
        kept = notes if notes is not None else []
        routes = overrides.router(live, access, lambda *said: kept.append(said))
        with TestClient(
            web.create(live, access=access, routers=[routes]), raise_server_exceptions=False
        ) as http:
            http.live = live
            yield http


def copied(park, folder):
    """The same park in a folder of its own, for what writes decisions."""
    shutil.copytree(park.territory.path, folder / "park")
    return mg.open(folder / "park")


def kilowatts(park, key, first, last, length=0.25):
    """What the ledger holds of a series of kWh, as kW by start."""
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        rows = snapshot.values([key], first, last).to_pylist()
    return {row["start"]: row["value"] / length for row in rows}


def series(http, name, column, **asked):
    rows = http.get("/operate.json", params={"site": "works", **asked}).json()["series"]
    return {
        np.datetime64(row["start"].replace("+00:00", ""), "s").item(): row[column]
        for row in rows
        if row["series"] == name and row[column] is not None
    }


def test_what_happened_at_the_connection_is_what_its_two_meters_said(park):
    drawn, sold = (kilowatts(park, key, NOW - DAY, NOW) for key in ("works.in", "works.out"))
    with site(park) as http:
        shown = series(http, "grid", "actual_kw")
    assert len(shown) == 96
    assert [shown[at] for at in sorted(shown)] == pytest.approx(
        [drawn[at] - sold[at] for at in sorted(drawn)]
    )


def test_the_schedule_of_the_battery_is_that_of_the_ledger(park):
    into, out = (
        kilowatts(park, f"schedule:{key}", NOW, NOW + DAY) for key in ("works.charged", "works.given")
    )
    with site(park) as http:
        shown = series(http, "works_battery", "schedule_kw")
    planned = [shown[at] for at in sorted(shown) if at < (NOW + DAY).replace(tzinfo=None)]
    assert len(planned) == 96
    assert planned == pytest.approx([into[at] - out[at] for at in sorted(into)], abs=1e-3)


def test_the_band_of_the_roof_is_the_two_outer_quantiles_of_the_forecast(park):
    low, high = (kilowatts(park, f"forecast/{q}:works.sun", NOW, NOW + DAY) for q in ("q10", "q90"))
    with site(park) as http:
        lows, highs = (series(http, "works_roof", f"{end}_kw") for end in ("low", "high"))
    assert len(low) == len(high) == 96
    for ledger, page in ((low, lows), (high, highs)):
        assert [page[at.replace(tzinfo=None)] for at in sorted(ledger)] == pytest.approx(
            [ledger[at] for at in sorted(ledger)]
        )


def test_the_level_follows_from_the_power_and_the_declared_round_trip(park):
    way = 0.9**0.5  # a round trip of 90 % is shared equally between the way in and the way out
    with site(park) as http:
        power, level = (series(http, "works_battery", name) for name in ("schedule_kw", "level_kwh"))
    times = sorted(level)[:96]
    gained = [power[at] * 0.25 * (way if power[at] > 0 else 1 / way) for at in times]
    assert np.diff([level[at] for at in times]) == pytest.approx(gained[1:], abs=0.05)
    assert all(-1e-6 <= level[at] <= 200 + 1e-6 for at in times)


def test_what_the_plan_saves_is_the_difference_of_its_two_accounts(park):
    with site(park) as http:
        said = http.get("/operate.json", params={"site": "works"}).json()
        page = http.get("/operate", params={"site": "works", "lang": "en"}).text
        power, level = (series(http, "works_battery", name) for name in ("schedule_kw", "level_kwh"))
    drawn = sum(kilowatts(park, "schedule:works.in", NOW, NOW + DAY).values()) * 0.25
    first, last = (sorted(level)[i] for i in (0, 95))
    way = 0.9**0.5
    morning = level[first] - power[first] * 0.25 * (way if power[first] > 0 else 1 / way)
    owed = (morning - level[last]) / way  # kWh to have the battery as full as in the morning
    assert said["plan"]["kwh"] == pytest.approx(drawn + max(owed, 0.0), rel=1e-4)
    assert said["saved"]["money"] == pytest.approx(said["without"]["money"] - said["plan"]["money"])
    assert f"{said['saved']['money']:,.0f}" in page


def test_a_plan_older_than_two_hours_orders_nothing_and_says_so(park):
    with site(park, clock=Still(NOW + timedelta(hours=2))) as http:
        said = http.get("/operate.json", params={"site": "works"}).json()
        page = http.get("/operate", params={"site": "works", "lang": "en"}).text
    assert said["stale"]
    assert all(order["kw"] is None for order in said["orders"])
    assert "orders nothing any more" in page


def test_the_order_of_each_quarter_is_the_planned_power_of_that_quarter(park):
    planned = kilowatts(park, "schedule:works.swap", NOW, NOW + DAY)
    for minutes in (0, 20, 50, 110):
        with site(park, clock=Still(NOW + timedelta(minutes=minutes))) as http:
            said = http.get("/operate.json", params={"site": "works"}).json()["orders"]
        at = NOW + timedelta(minutes=minutes // 15 * 15)
        swaps = next(order for order in said if order["device"] == "swaps")
        assert max(swaps["kw"], 0.0) == pytest.approx(planned[at], abs=1e-3)
        assert swaps["took"] == "nobody"


# Who sees what


@pytest.mark.parametrize("twin", ["", ".json", ".csv", ".svg"])
def test_a_tenant_sees_its_own_site_and_no_other_in_any_twin(park, twin):
    with site(park, Principal("2", "Bình", "user", "tenant", "depot")) as http:
        own = http.get(f"/operate{twin}", params={"lang": "en"})
        other = http.get(f"/operate{twin}", params={"site": "works"})
        absent = http.get(f"/operate{twin}", params={"site": "moon"})
        chart = http.get(f"/operate{twin}", params={"site": "works", "chart": "grid", "table": "orders"})
    assert own.status_code == 200
    assert not re.search(r"works_|works\b|Nhà máy cơ khí", own.text)
    assert {other.status_code, absent.status_code, chart.status_code} == {404}
    assert other.json()["problems"][0]["text"] == absent.json()["problems"][0]["text"].replace(
        "moon", "works"
    )


def test_a_tenant_decides_nothing(park):
    with site(park, Principal("2", "Bình", "user", "tenant", "works")) as http:
        page = http.get("/operate", params={"lang": "en"}).text
        refused = [http.post("/operate/override", data=FORM), http.get("/operate/override", params=FORM)]
    assert "/operate/override" not in page
    assert {one.status_code // 100 for one in refused} == {4}
    assert not schedules.decisions(Live(park, Still()), NOW)


def test_the_city_does_not_see_single_sites(park):
    with site(park, Principal("3", "City", "user", "city")) as http:
        assert http.get("/operate.json").status_code == 403


# Decisions


def test_the_consequence_is_energy_times_price_and_factor(park):
    """An hour at 40 kW instead of the plan, computed from the schedule of the ledger and the contract."""
    into, out, drawn, sold = (
        kilowatts(park, f"schedule:{key}", NOW, NOW + timedelta(hours=1))
        for key in ("works.charged", "works.given", "works.in", "works.out")
    )
    starts = np.datetime64(NOW.replace(tzinfo=None), "s") + np.arange(4) * np.timedelta64(900, "s")
    terms = contracts.of(park.territory, "works").terms(starts, 0.25, park.territory.tz)
    cost = energy = 0.0
    for i, at in enumerate(sorted(into)):
        before, change = drawn[at] - sold[at], 40.0 - (into[at] - out[at])
        after = before + change
        energy += change / 4
        cost += (max(after, 0) - max(before, 0)) / 4 * terms.buy[i]
        cost -= (max(-after, 0) - max(-before, 0)) / 4 * 671
    with site(park) as http:
        from mangrove.serve.pages import operate

        view = http.app.state.site.view(_request({"site": "works"}), OPERATOR)
        page = operate.build(http.live, view)
        found = overrides.consequence_of(page, overrides.asked_of(page, FORM, NOW))
    assert found.energy == pytest.approx(energy, abs=1e-3)
    assert found.cost == pytest.approx(cost, rel=1e-4)
    assert found.hours == 1.0


def test_selling_less_costs_its_price_and_emits_nothing():
    one = np.ones(2)
    found = consequence(10.0, 0 * one, -50 * one, one / 2, buy=2000 * one, sell=671 * one, factor=0.6)
    assert (found.energy, found.cost, found.kilograms) == (10.0, 6710.0, 0.0)


def test_the_consequence_is_shown_before_anything_is_stored(park):
    notes = []
    with site(park, notes=notes) as http:
        page = http.get("/operate/override", params=FORM | {"lang": "en"})
        vietnamese = http.get("/operate/override", params=FORM | {"lang": "vi"})
    assert page.status_code == vietnamese.status_code == 200
    assert "What it changes" in page.text
    assert "Ảnh hưởng" in vietnamese.text
    assert not notes
    assert not schedules.decisions(Live(park, Still()), NOW)


def test_a_battery_that_cannot_hold_a_decision_is_announced(park):
    """200 kWh at most, some of it there already: 80 kW for ten hours cannot be taken."""
    with site(park) as http:
        long = http.get(
            "/operate/override", params=FORM | {"power": "80", "minutes": "600", "lang": "en"}
        ).text
        short = http.get("/operate/override", params=FORM | {"power": "1", "minutes": "5", "lang": "en"}).text
        level = min(series(http, "works_battery", "level_kwh").items())[1]
    (minutes,) = re.findall(r"full after about (\d+) minutes", long)
    assert float(minutes) == pytest.approx((200 - level) / (80 * 0.9**0.5) * 60, abs=1)
    assert "full after" not in short


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"power": "80.5"}, "page_operate.beyond"),
        ({"power": "-81"}, "page_operate.beyond"),
        ({"power": "nan"}, "page_operate.bad_power"),
        ({"power": "much"}, "page_operate.bad_power"),
        ({"minutes": "0"}, "page_operate.bad_minutes"),
        ({"minutes": "1441"}, "page_operate.bad_minutes"),
        ({"device": "works_roof"}, "page_operate.no_device"),
        ({"device": ""}, "page_operate.no_device"),
        ({"site": "depot"}, "page_operate.no_device"),
        ({"site": "moon"}, "live.no_place"),
    ],
)
def test_a_decision_beyond_the_limits_is_refused_with_the_limit(park, change, code):
    with site(park) as http:
        told = http.post("/operate/override", data=FORM | change, follow_redirects=False)
    assert told.status_code in {400, 404}
    problem = told.json()["problems"][0]
    assert problem["code"] == code
    if code == "page_operate.beyond":
        limits = limits_at(site_at(park.territory, "works"))["works_battery"]
        assert f"{limits.low:g}" in problem["text"]
        assert f"{limits.high:g}" in problem["text"]
    assert not schedules.decisions(Live(park, Still()), NOW)


def test_a_decision_holds_until_it_expires_and_is_written_into_the_log(park, tmp_path):
    clock, notes = Still(), []
    with site(copied(park, tmp_path), clock=clock, notes=notes) as http:
        answer = http.post("/operate/override", data=FORM | {"power": "-20,5"}, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        assert [(action, who.name, said["power_kw"]) for action, who, said in notes] == [
            ("device.overridden", "An", -20.5)
        ]

        def order():
            said = http.get("/operate.json", params={"site": "works"}).json()["orders"]
            return next(one for one in said if one["device"] == "works_battery")

        assert (order()["kw"], order()["source"]) == (-20.5, "override")
        page = http.get("/operate", params={"site": "works", "lang": "en"}).text
        assert "decided by An" in page
        clock.move(timedelta(minutes=59, seconds=59))
        assert order()["source"] == "override"
        clock.move(timedelta(seconds=1))
        assert order()["source"] == "plan"
        assert not http.get("/operate.json", params={"site": "works"}).json()["overrides"]
        # a second one is taken back
        http.post("/operate/override", data=FORM)
        assert order()["kw"] == 40.0
        http.post("/operate/override", data={"site": "works", "device": "works_battery", "end": "1"})
        assert order()["source"] == "plan"
        assert [note[0] for note in notes][-1] == "device.released"


def test_a_form_without_the_token_of_the_page_is_refused_and_so_is_a_visitor(park, tmp_path):
    park = copied(park, tmp_path)
    with (
        Accounts(park.territory.path, Still(), hasher=Hasher(passes=1, memory=32)) as accounts,
        park.writer() as ledger,
        Intake(ledger, park.territory) as intake,
    ):
        live = Live(park, Still(), intake)
        access = Access(accounts, park.territory, Settings.of({"guest": "operator"}))
        made = accounts.users.add("An", "operator", by=SYSTEM)
        accounts.users.set_password(made.id, "bốn mùa xuân hạ", by=SYSTEM)
        routes = [overrides.router(live, access, accounts.audit.record), doors.router(access)]
        app = web.create(live, access=access, routers=routes, middleware=[lambda app: guard(app, access)])
        browser = Browser(app)
        asked = "/operate/override?" + "&".join(f"{name}={text}" for name, text in FORM.items())
        try:
            guest_ = browser.post("/operate/override", FORM | {"csrf": browser.token(asked)})
            browser.sign_in("An", "bốn mùa xuân hạ")
            without = browser.post("/operate/override", FORM)
            wrong = browser.post("/operate/override", FORM | {"csrf": "x"})
            fine = browser.post("/operate/override", FORM | {"csrf": browser.token(asked)})
        finally:
            browser.close()
        answers = [one.status_code for one in (guest_, without, wrong, fine)]
        assert answers == [403, 403, 403, 303], fine.text
        logged = [record.action for record in accounts.audit.show(action="device")]
    assert logged == ["device.overridden"]


# The page


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_the_page_works_without_script_in_both_languages(park, lang):
    with site(park, guest("operator")) as http:
        page = http.get("/operate", params={"site": "works", "lang": lang}).text
        table = http.get("/operate.csv", params={"site": "works"}).text
    assert page.count('class="chart"') == page.count("<svg") >= 6
    assert (
        'name="csrf"'
        not in page.partition('method="get" action="/operate/override"')[2].partition("</form>")[0]
    )
    assert "page_operate." not in page
    assert len(table.splitlines()) > 288


def test_a_chart_gets_its_columns_with_the_band_and_the_hours_of_prices(park):
    with site(park) as http:
        said = http.get("/operate.json", params={"site": "works", "chart": "works_roof", "lang": "en"}).json()
        absent = http.get("/operate.json", params={"site": "works", "chart": "moon"})
    assert len(said["x"]) == 288
    assert [one["name"] for one in said["series"]] == ["measured", "plan", "forecast"]
    assert len(said["series"][2]["low"]) == 288
    assert said["behind"][0]["from"] == said["x"][0]
    assert said["behind"][-1]["to"] == said["x"][-1] + 900
    assert absent.status_code == 404


def test_a_record_of_a_schedule_is_small_json_without_nan(park):
    with park.reader() as ledger:
        documents = [ledger.record(id_)[1] for id_, _ in ledger.records("schedule")]
    assert len(documents) == 2
    for document in documents:
        assert len(document) < 200_000
        said = json.loads(document, parse_constant=pytest.fail)
        assert sum(said["hours"]) in {24.0, 48.0}
        assert len(said["starts"]) == len(said["import_kw"]) == len(said["price"])


def _request(params):
    from starlette.requests import Request

    query = "&".join(f"{name}={text}" for name, text in params.items()).encode()
    return Request(
        {"type": "http", "query_string": query, "headers": [], "method": "GET", "path": "/operate"}
    )
