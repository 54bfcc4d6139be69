# SPDX-License-Identifier: Apache-2.0
"""The page of the surroundings: alerts with their rules, air with its band, what sensors say, and for whom."""

import json
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from tests.serve import city_world
from tests.serve.city_world import NOW

import mangrove as mg
from mangrove import hazard
from mangrove.errors import RequestError
from mangrove.ledger.types import Origin
from mangrove.serve import app as web
from mangrove.serve import view as views
from mangrove.serve.pages import surroundings
from mangrove.serve.scope import Principal, guest
from mangrove.testing import two_factory_park, values

MILL = Principal("1", "An", "user", "tenant", "mill")
DAIRY = Principal("2", "Bình", "user", "tenant", "dairy")
CITY = Principal("3", "Sở", "user", "city")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    return city_world.live(city_world.riverside(tmp_path_factory.mktemp("city") / "city"))


def page(live, principal=None, lang="en", **params):
    view = views.read(
        live.territory,
        {"lang": lang, **params},
        now=NOW,
        principal=principal or guest("operator"),
        period="week",
    )
    return surroundings.build(live, view)


def client(live, principal=None):
    return TestClient(web.create(live, access=web.Fixed(principal or guest("operator"))))


def test_the_alerts_are_those_of_the_command_with_the_rule_that_says_so(live):
    said = page(live).json()["alerts"]
    found = hazard.alerts(live.park, NOW)
    assert [(one["kind"], one["level"], one["flow"]) for one in said] == [
        (a.kind, a.level, a.flow) for a in found
    ]
    flood = said[0]
    assert (flood["kind"], flood["level"]) == ("flood", 2)
    assert flood["value"] == pytest.approx(1.67), "1.2 + 0.25 + 0.22 m, as the world says"
    assert flood["expected"] == NOW.replace(minute=0) + timedelta(hours=4), "the first forecast hour at 1.8 m"
    assert flood["rule"] == "alarm level 2 at Mực nước (1.6 m)"


def test_air_has_its_index_its_band_and_the_limits_that_it_exceeds_with_their_document(live):
    found = page(live)
    (station,) = found.stations
    assert station.place == "tower", "a sensor of methane has no index"
    assert station.index.pollutant == "pm25"
    assert found.band(station).low <= station.index.value <= found.band(station).high
    assert found.color(station) == "#ff7e00", "the orange of the band Kém"
    exceeded = {(row["pollutant"], row["averaging"], row["document"]) for row in found.json()["exceeded"]}
    assert ("pm25", "24h", "QCVN05") in exceeded, "62 ug/m3 on average, the limit is 45"


def test_the_series_of_the_worst_alert_comes_first_with_its_alarm_lines_and_its_forecast(live):
    found = page(live)
    assert found.course.flow.id == "quay.level"
    assert dict(found.course.lines) == {"alarm level 1": 1.4, "alarm level 2": 1.6, "alarm level 3": 1.8}
    rows = found.json()["values"]
    assert rows[-1]["forecast"] == pytest.approx(1.92)
    assert rows[-1]["measured"] is None
    assert sum(row["measured"] is not None for row in rows) == 7 * 24 + 1


def test_another_series_can_be_chosen_and_an_unknown_one_is_refused(live):
    found = page(live, flow="tower.pm25")
    assert found.course.unit == "ug/m3"
    assert found.course.lines["QCVN05 24h"] == 45
    with pytest.raises(RequestError) as caught:
        page(live, flow="tower.pm2")
    assert caught.value.code == "page_surroundings.no_flow"
    assert "tower.pm25" in str(caught.value)


def test_what_is_silent_is_said_and_gives_no_alert(live):
    assert ("hazard.stale", "tower.wind") in {(p.code, p.data["flow"]) for p in page(live).stale}


def test_a_period_that_is_over_shows_its_end(live):
    found = page(live, period="2026-06-27")
    assert not found.running
    assert found.at == found.view.span.end
    assert found.json()["values"][-1]["start"] <= found.at


def test_sensors_say_how_far_the_inventory_is_off_and_what_they_cannot_tell(live):
    said = page(live).json()["inversion"]
    by = {row["key"]: row for row in said["sectors"]}
    assert by["transport"]["multiplier"] == pytest.approx(1.3)
    assert (by["transport"]["low"], by["transport"]["high"]) == pytest.approx((1.1, 1.5))
    assert said["not_identifiable"] == ["Công nghiệp"]
    assert [one["flow"] for one in said["instruments"] if one["drifts"]] == ["tower.no2"]
    assert said["instruments"][0]["flow"] == "tower.no2", "what drifts comes first"


def test_the_city_reads_no_zone_of_few_companies_and_no_instrument(live):
    said = page(live, CITY).json()["inversion"]
    assert {row["key"] for row in said["sectors"]} == {"transport", "industry", "homes"}
    assert said["zones"] == []
    assert said["instruments"] == []
    assert said["diagnostics"] == {}


@pytest.mark.parametrize("who", [MILL, DAIRY, CITY])
def test_the_sensor_at_a_companys_fence_is_its_own(live, who):
    found = page(live, who)
    flows = {flow.id for flow in found.flows}
    assert {"tower.pm25", "quay.level"} <= flows, "the air of the city and its river are no secret"
    assert ("fence.ch4" in flows) == (who is MILL)
    text = client(live, who).get("/surroundings.json").text + client(live, who).get("/surroundings").text
    assert ("Hàng rào" in text) == (who is MILL)
    if who is not CITY:
        assert found.sensed is None, "an inversion tells of everybody"


def test_virtual_meters_say_what_drifted_and_what_they_ask_for(live, tmp_path):
    folder = two_factory_park(tmp_path / "park")
    (folder / "virtual.csv").write_text("flow,inputs,parameters\nmill.coal,mill.power,\n", encoding="utf-8")
    text = (folder / "flows.csv").read_text(encoding="utf-8").splitlines()
    with (folder / "flows.csv").open("a", encoding="utf-8") as file:
        row = dict.fromkeys(text[0].split(","), "") | {
            "id": "sky", "place": "park", "carrier": "weather:rain", "unit": "mm", "step": "1h", "semantics": "sum"
        }  # fmt: skip
        file.write(",".join(row.values()) + "\n")
    park = mg.open(folder)
    said = {
        "flow": "mill.coal", "start": "2026-06-01T00:00:00+00:00", "end": "2026-06-29T00:00:00+00:00", "estimates": 7, "outside": 2,
        "card": {"skill": 0.4},
        "campaigns": [{"first": "2026-06-20T00:00:00+00:00", "drift": True}, {"first": "2026-06-10T00:00:00+00:00", "drift": False}],
        "requests": [{"from": "2026-06-25T00:00:00+00:00", "reasons": ["limit", "age"]}],
    }  # fmt: skip
    with park.writer() as ledger:
        ledger.append(values([("sky", NOW, 0.0)]), Origin("file:sky", "1"))
        ledger.put_record("virtual", json.dumps(said).encode())
    served = city_world.live(park)
    (one,) = page(served).json()["virtual"]
    assert one["skill"] == 0.4
    assert [moment.day for moment in one["drifts"]] == [20]
    assert one["requests"][0]["reasons"] == ["limit", "age"]
    assert page(served, Principal("4", "Chi", "user", "tenant", "shop")).json()["virtual"] == []
    assert "the interval reaches the limit" in client(served).get("/surroundings?lang=en").text


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_page_and_twins_say_the_same(live, lang):
    http = client(live)
    html = http.get("/surroundings", params={"lang": lang}, headers={"accept": "text/html"}).text
    for alert in http.get("/surroundings.json", params={"lang": lang}).json()["alerts"]:
        assert alert["rule"] in html
    for table in ("alerts", "stations", "exceeded", "series", "inversion", "instruments"):
        assert http.get("/surroundings.csv", params={"table": table}).status_code == 200
    for figure in ("series", "multipliers"):
        assert http.get("/surroundings.svg", params={"figure": figure}).text.startswith("<svg")


def test_the_worst_alert_stands_on_the_first_page_with_the_way_to_all(live):
    html = client(live).get("/now?lang=en", headers={"accept": "text/html"}).text
    assert "alarm level 2 at Mực nước" in html
    assert 'href="/surroundings?lang=en"' in html


def test_a_park_without_sensors_has_no_such_page_in_its_menu(tmp_path):
    park = mg.open(two_factory_park(tmp_path / "park"))
    with park.writer():
        pass
    http = client(city_world.live(park))
    html = http.get("/now", headers={"accept": "text/html"}).text
    assert "/surroundings" not in html
    assert http.get("/surroundings.json").json()["alerts"] == [], "who asks all the same gets an empty page"
