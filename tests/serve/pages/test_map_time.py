# SPDX-License-Identifier: Apache-2.0
"""The map in time is the measurement cut into steps; its colors mean one thing; its intervals are the nowcast's; pins stand where they were found."""

import json
import math
import re
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from tests.serve import city_world
from tests.serve.city_world import NOW, TONNES, WARDS

import mangrove as mg
from mangrove import rules
from mangrove.measure.nowcast import nowcast
from mangrove.serve import app as web
from mangrove.serve import nowcast_bands
from mangrove.serve import view as views
from mangrove.serve.map_frames import MOST, steps_of
from mangrove.serve.map_values import Asked, Field
from mangrove.serve.scope import Principal, guest
from mangrove.times import Span

MILL = Principal("1", "An", "user", "tenant", "mill")
CITY = Principal("2", "Sở", "user", "city")
NOWCAST = "estimate/nowcast"


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return city_world.riverside(tmp_path_factory.mktemp("city") / "city")


@pytest.fixture(scope="module")
def live(park):
    return city_world.live(park)


def get(live, path="/map.json", who=None, **params):
    http = TestClient(
        web.create(live, access=web.Fixed(who or guest("operator"))), raise_server_exceptions=False
    )
    headers = {} if "." in path else {"accept": "text/html"}
    return http.get(path, params={"lang": "en", **params}, headers=headers)


def played(frames):
    """The amounts by step and place, as the script makes them of the answer."""
    found = []
    for step in range(len(frames["starts"])):
        amounts = {}
        for course, shares in zip(frames["courses"], frames["shares"], strict=True):
            if course[step] is not None:
                for place, share in shares.items():
                    amounts[place] = amounts.get(place, 0.0) + course[step] * share
        found.append(amounts)
    return found


def test_every_step_is_the_measurement_of_its_month(park, live):
    frames = get(live, period="2025", every="month").json()["frames"]
    assert len(frames["starts"]) == 12
    for month, amounts in enumerate(played(frames), start=1):
        rows = mg.measure(park, f"2025-{month:02}", by=["ward"], store=False).to_arrow().to_pylist()
        known = {row["ward"]: row["co2e_kg"] / 1000 for row in rows if row["ward"]}
        assert amounts == pytest.approx(known, rel=1e-5), "six digits each"


def test_the_steps_add_up_to_the_inventory(live):
    frames = get(live, period="2025", every="month").json()["frames"]
    assert sum(sum(step.values()) for step in played(frames)) == pytest.approx(sum(TONNES.values()), rel=1e-5)


def test_flows_that_lie_alike_are_one_course(live):
    frames = get(live, period="2025", every="month").json()["frames"]
    patterns = {tuple(sorted(shares.items())) for shares in frames["shares"]}
    assert len(patterns) == len(frames["shares"]) == 1 + len(WARDS), (
        "what is spread by people, and each ward's own"
    )


def test_what_is_shown_is_the_step_of_the_instant_with_its_proof(live):
    data = get(live, period="2025", every="month", t="2025-03-15T10:00").json()
    assert data["span"]["start"] == "2025-02-28T17:00:00+00:00"
    assert data["frames"]["shown"] == 2
    known = played(data["frames"])[2]
    assert {id_: place["value"] for id_, place in data["places"].items()} == pytest.approx(known, rel=1e-5)
    html = get(live, "/map", period="2025", every="month", t="2025-03-15T10:00").text
    assert "period=2025-03-01T00%3A00..2025-04-01T00%3A00" in html


def test_without_script_links_and_a_list_lead_through_time(live):
    html = get(live, "/map", period="2025", every="month", t="2025-03-15T10:00").text
    earlier, later = (re.search(rf'rel="{rel}" href="([^"]+)"', html)[1] for rel in ("prev", "next"))
    assert "t=2025-02-01T00%3A00" in earlier
    assert "t=2025-04-01T00%3A00" in later
    assert html.count('<option value="2025-') == 12
    first = get(live, "/map", period="2025", every="month", t="2025-01-01").text
    assert 'rel="prev"' not in first


def test_colors_mean_the_same_in_all_steps(live):
    looks = [
        get(live, period="week", every="hour", scenario=NOWCAST, t=moment).json()
        for moment in ("2026-06-25T03:00", "2026-06-25T17:00")
    ]
    assert looks[0]["breaks"] == looks[1]["breaks"]
    assert looks[0]["places"]["w1"]["color"] != looks[1]["places"]["w1"]["color"], "night and day differ"
    for look in looks:
        frames, shown = look["frames"], look["frames"]["shown"]
        value = played(frames)[shown]["w1"]
        assert (
            look["places"]["w1"]["color"] == frames["colors"][sum(value >= one for one in frames["breaks"])]
        )


def test_the_drawing_of_a_step_has_the_classes_of_all_steps(live):
    drawn = [
        get(live, "/map.svg", period="week", every="hour", scenario=NOWCAST, t=t).text
        for t in ("2026-06-25T03:00", "2026-06-25T17:00")
    ]
    legends = [re.findall(r">([\d.,]+ – [\d.,]+)<", one) for one in drawn]
    assert legends[0] == legends[1]
    assert legends[0]


def test_a_nowcast_ends_where_it_ends(live):
    frames = get(live, period="month", every="hour", scenario=NOWCAST).json()["frames"]
    assert frames["end"] == "2026-06-30T05:00:00+00:00", "the whole hours until it was made"
    assert get(live, period="2023-06", every="day").json()["frames"] is None
    assert "No step of this period" in get(live, "/map", period="2023-06", every="day").text


def test_the_interval_of_the_whole_is_not_narrower_than_that_of_the_record(park, live):
    view = views.read(
        park.territory, {"period": "2026-06", "scenario": NOWCAST}, now=NOW, principal=guest("operator")
    )
    known = nowcast_bands.known(live, view.tz)
    view = type(view)(**{**vars(view), "span": Span(known.start, known.at)})
    field = Field(live, view, Asked())
    ((low, high),) = nowcast_bands.bands(field, {name: {"city": 1.0} for name in field.flows}, ["city"])
    wide, told = math.log(known.total[2] / known.total[1]), math.log(high / low)
    assert wide * (1 - 1e-6) <= told < 1.25 * wide, "days are taken as moving together"
    assert low < known.total[0] < high


def test_intervals_of_wards_and_days_are_those_of_the_nowcast_itself(park, live):
    with park.writer() as ledger:
        made = nowcast(ledger, park.territory, rules.load(), NOW, "2026-06-01", stored=False)
    table = made.table(by=("ward",), every="1d").to_pylist()
    day = datetime(2026, 6, 19, 17, tzinfo=UTC)
    data = get(live, period="2026-06", every="day", scenario=NOWCAST, t="2026-06-20").json()
    for row in table:
        if row["start"] != day:
            continue
        cell = data["places"][row["ward"]]
        assert cell["value"] == pytest.approx(row["co2e_kg"] / 1000, rel=1e-6)
        wide, told = (
            math.log(high / low)
            for low, high in ((row["co2e_low95"], row["co2e_high95"]), (cell["low"], cell["high"]))
        )
        assert told == pytest.approx(wide, rel=0.3), "what the record keeps is not all that the nowcast knew"


def test_the_page_says_which_nowcast_it_shows(live):
    html = get(live, "/map", period="week", scenario=NOWCAST).text
    assert "Nowcast made for 12:00 30 Jun 2026" in html


def test_a_tenant_gets_the_courses_of_its_own_places_and_no_others(live):
    frames = get(live, who=MILL, period="2025", every="month", level="sites", lang="vi").json()["frames"]
    assert [list(shares) for shares in frames["shares"]] == [["mill"]]
    hours = [len(list(range(31))) * 24, 28 * 24]
    assert frames["courses"][0][0] == pytest.approx(TONNES["mill"] * hours[0] / 8760, rel=1e-5)
    assert frames["courses"][0][1] == pytest.approx(TONNES["mill"] * hours[1] / 8760, rel=1e-5)


def test_the_city_gets_no_step_of_places_with_few_companies(live):
    data = get(live, who=CITY, period="2025", every="month").json()
    assert data["frames"] is None, "no ward holds three companies"
    assert all(place["hidden"] for place in data["places"].values())


def test_steps_fit_the_period_and_words_that_do_not_are_refused(live):
    assert steps_of(Span.parse("2025", live.territory.tz)) == ("day", "month")
    assert steps_of(Span.parse("2025-01", live.territory.tz)) == ("hour", "day")
    assert MOST >= 31 * 24
    assert get(live, period="2025", every="hour").json()["problems"][0]["code"] == "page_map.too_many_frames"
    assert get(live, period="2025", every="moment").status_code == 400
    assert (
        get(live, period="2025", every="month", t="soon").json()["problems"][0]["code"]
        == "page_map.bad_instant"
    )


def test_the_frames_are_a_table_too(live):
    rows = get(live, "/map.csv", period="2025", every="month", table="frames").text.splitlines()
    assert len(rows) == 1 + 12 * len(WARDS)


# --- pins --------------------------------------------------------------------------------------------------------------


def test_a_located_source_is_a_pin_with_region_rate_and_what_is_said_of_it(live):
    data = get(live, period="2026-06").json()
    (source,) = data["sources"]
    assert (source["lon"], source["lat"]) == (106.715, 10.795)
    assert (source["low_kg_per_h"], source["rate_kg_per_h"], source["high_kg_per_h"]) == (3.1, 4.2, 5.9)
    html = get(live, "/map", period="2026-06").text
    assert 'data-pin="source-1"' in html
    assert 'id="source-1"' in html
    assert "4.2 kg/h (3.1 – 5.9)" in html
    assert source["wind"]["text"] in html.replace("&#39;", "'")
    kinds = [one["geometry"]["type"] for one in data["pins"]["features"] if one["properties"]["mark"]]
    assert kinds == ["Polygon", "Point"]


def test_pins_keep_their_distances_on_the_drawing(live):
    drawn = get(live, "/map.svg", period="2026-06").text
    mark = float(re.search(r'data-pin="source-1".*?<text x="([\d.]+)"', drawn)[1])
    spots = dict(re.findall(r'<circle cx="([\d.]+)"[^>]*><title>([^:]+):', drawn))
    x = {name: float(cx) for cx, name in spots.items()}
    scale = (x["Trạm Tháp"] - x["Hàng rào nhà máy thép"]) / (106.706 - 106.7035)
    assert mark == pytest.approx(x["Trạm Tháp"] + (106.715 - 106.706) * scale, abs=0.5)


@pytest.mark.parametrize("who", [MILL, CITY])
def test_a_source_points_at_somebody_so_only_who_sees_everything_sees_it(live, who):
    answer = get(live, who=who, period="2026-06")
    assert answer.json()["sources"] == []
    marks = [one["properties"] for one in answer.json()["pins"]["features"]]
    assert not any(one["mark"] for one in marks)
    assert ("fence" in {one["id"] for one in marks}) == (who is MILL)
    assert "4.2 kg/h" not in get(live, "/map", who=who, period="2026-06").text


def test_a_source_of_another_period_is_one_link_away(live):
    html = get(live, "/map", period="2025").text
    assert 'data-pin="source-1"' not in html
    assert "period=2026-06-25..2026-06-29" in html


def test_json_is_strict(live):
    text = get(live, period="week", every="hour", scenario=NOWCAST).text
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_the_city_gets_the_steps_of_places_with_companies_enough_and_of_none(tmp_path):
    """Six companies in one lot, one in another: the first lot may be told, step by step, as it is told alone."""
    from tests.serve.pages.test_map import world

    more = [f"works{n}" for n in range(4)]
    served = world(tmp_path / "park", more)
    steps = get(served, who=CITY, period="2023-06-01..2023-06-04", every="day", level="parts").json()
    for number, day in enumerate(("2023-06-01", "2023-06-02", "2023-06-03")):
        alone = get(served, who=CITY, period=day, level="parts").json()
        told = {id_: one["value"] for id_, one in alone["places"].items() if not one["hidden"]}
        assert told
        assert played(steps["frames"])[number] == pytest.approx(told, rel=1e-5)
