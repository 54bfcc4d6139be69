# SPDX-License-Identifier: Apache-2.0
"""The page Traffic: numbers are those of the counts, who sees which street, steps, ranks with reasons, stored comparisons, twins."""

import csv
import io
import json
import re
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy import stats
from tests.measure.traffic import counted_city
from tests.serve import street_world as world
from tests.serve.access.browser import Browser
from tests.serve.whole import NOW, built

import mangrove as mg
from mangrove import messages, street_plans, traffic_state
from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.plan.traffic.verdict import TIE
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import traffic
from mangrove.serve.scope import Principal, Scope, guest
from mangrove.serve.state import Live
from mangrove.testing import values
from mangrove.traffic.verdict import MEASURES

CITY = Principal("3", "Sở", "user", "city")
DEPOT = Principal("4", "Bãi", "user", "tenant", "depot")
MILL = Principal("5", "Máy", "user", "tenant", "mill")


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return world.streets(tmp_path_factory.mktemp("streets") / "city")


@pytest.fixture(scope="module")
def live(park):
    return Live(park, Clock(NOW, 0))


def look(live, principal=None, now=NOW, **params):
    params = {"lang": "en", "period": world.DAY, **params}
    return views.read(
        live.territory, params, now=now, principal=principal or guest("operator"), period="today",
        screen="traffic", keeps=traffic.SCREEN.keeps,
    )  # fmt: skip


def page(live, principal=None, now=NOW, **params):
    return traffic.build(live, look(live, principal, now, **params))


def test_the_newest_five_minutes_are_the_counts_times_twelve(live, park):
    found = page(live)
    state = traffic_state.state(park, world.START, world.START + timedelta(hours=world.HOURS))
    km = state.vehicle_km[-1].sum() * 12
    assert found.now.km == pytest.approx(km)
    assert found.now.speed == pytest.approx(
        state.vehicle_km[-1].sum() / (state.vehicle_km[-1] / state.speed[-1]).sum()
    )
    assert found.now.shares == {"read": 1.0, "filled": 0.0, "missing": 0.0}


def test_emissions_and_their_interval_are_those_of_the_command(live, park):
    report = traffic_state.traffic(
        park, world.START, world.START + timedelta(hours=world.HOURS), by="class", store=False
    )
    found = page(live)
    assert found.now.sum[0] == pytest.approx(report.total.amount / 1000)
    assert found.now.sum[1:] == pytest.approx((report.total.low / 1000, report.total.high / 1000))
    assert found.now.mass == pytest.approx(report.total.amount / world.HOURS), (
        "counts are the same in every cell"
    )
    assert found.sources == report.sources
    curve = found.tables()["curve"]
    motorbikes = np.nansum(curve["CO2_kg_per_h_motorbike"].to_numpy()) / 12
    assert motorbikes == pytest.approx(next(row.amount for row in report.rows if row.id == "motorbike"))


def test_the_table_of_factors_says_of_which_edition_each_is(live, browser):
    found = page(live)
    rows = found.tables()["sources"].to_pylist()
    of_class = {row["source"]: row for row in rows if row["class"] == "motorbike"}
    assert of_class["measured"]["published"] == "2023-09-15"
    assert of_class["consumption"]["published"] == ""
    assert of_class["hbefa"]["edition"] == "HBEFA 4.2 in SUMO"
    html = get(browser, f"/traffic?period={world.DAY}&lang=vi").text
    assert "công bố 29/08/2013" in html
    assert "không có ngày" in html


def test_the_doubt_of_the_factors_is_larger_than_that_of_counting(live):
    now = page(live).now
    assert (now.high - now.low) / 2 / now.mass > 2 * now.counting


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("speed", lambda state, at: 18.0),
        ("pace", lambda state, at: 18.0 / (13.89 * 3.6)),
        ("CO2", None),
    ],
)
def test_a_street_shows_its_value(live, shown, expected):
    found = page(live, show=shown)
    rows = {row["link"]: row for row in found.tables()["links"].to_pylist()}
    if expected is None:
        rate = found.found.rates("CO2")
        at = found.found.streets.ids.index("main")
        assert rows["main"][shown] == pytest.approx(rate.mass[at].sum() / rate.length[at])
    else:
        assert rows["main"][shown] == pytest.approx(expected(None, None))
    assert rows["main"]["street"] == "Lê Lợi"
    assert rows["main"]["basis"] == "read"


def test_steps_lead_through_the_counted_hours_and_a_time_outside_stays_at_the_edge(live):
    assert page(live).map.at == world.START + timedelta(hours=2) - timedelta(minutes=5)
    early = page(live, t="2023-06-05T06:07")
    assert early.map.at == world.START + timedelta(minutes=5)
    assert "t=2023-06-05T06%3A10" in early.step(1)
    assert "t=2023-06-05T07%3A05" in early.step(12)
    assert page(live, t="2023-06-05T00:00").step(-1) == ""
    with pytest.raises(RequestError) as refused:
        page(live, t="breakfast")
    assert refused.value.code == "page_map.bad_instant"


def test_of_a_long_period_the_last_day_with_counts_is_shown(live):
    found = page(live, period="2023-06")
    assert found.partly
    assert found.found.span.start.astimezone(found.view.tz).date().isoformat() == world.DAY
    assert page(live, period="2023-05").found is None


def test_hours_can_be_chosen(live):
    found = page(live, period="2023-06-05T06:00..2023-06-05T07:00")
    assert len(found.found.starts) == 12
    assert not found.partly
    assert [word for word, _, on in page(live).periods if on] == ["whole"]
    morning = page(live, period="2023-06-05T06:00..2023-06-05T09:00")
    assert [word for word, _, on in morning.periods if on] == ["morning"]
    assert morning.found.starts == page(live).found.starts


def test_where_nothing_was_counted_the_way_to_the_newest_counts_is_told(live):
    found = page(live, period="2023-06-10")
    assert (found.found, found.now, found.map) == (None, None, None)
    assert found.newest == world.DAY
    assert {one.code for one in found.problems} == {"vehicles.no_values"}


def test_cells_that_have_not_arrived_are_not_shown(tmp_path):
    """Half past seven: later cells do not exist; at eight one camera of four has sent."""
    park = world.streets(tmp_path / "city", records=False)
    now = world.START + timedelta(hours=2, minutes=10)
    with Ledger.open(park.store) as ledger:
        rows = [
            ("main_moto", world.START + timedelta(hours=2), 50.0),
            ("main_speed", world.START + timedelta(hours=2), 9.0),
        ]
        ledger.append(values(rows), Origin("late", "1"))
    found = page(Live(park, Clock(now, 0)), now=now, period="today")
    assert found.found.starts[-1] == world.START + timedelta(hours=2) - timedelta(minutes=5)
    assert found.now.at == found.found.starts[-1]


# --- who sees what -----------------------------------------------------------------------------------------------------


def test_the_city_sees_public_streets_and_nothing_of_a_companys_gate(live, tmp_path):
    mine, whole = page(live, CITY), page(live)
    assert set(whole.found.streets.ids) == {"main", "side", "third", "fourth"}
    assert set(mine.found.streets.ids) == {"main", "side", "third"}
    assert mine.found.hidden == 1
    counted_city.write_net(tmp_path)
    public = counted_city.city(tmp_path, more="traffic: {network: small.net.xml}\n")
    counted_city.fill(public, counted_city.USUAL, world.START)
    report = traffic_state.traffic(public, world.START, world.START + timedelta(hours=1), store=False)
    assert mine.now.mass == pytest.approx(report.total.amount), "as if the gate were not there"
    text = json.dumps(mine.json(), default=str)
    assert "fourth" not in text
    assert "Nội bộ" not in text


def test_the_sum_of_a_ward_with_one_gate_in_it_is_held_back_from_the_city(live):
    """The streets beside the gate are shown one by one, so that the sum would tell what passes the gate."""
    scope = Scope(live.territory, CITY)
    assert (scope.companies(["west_co2"]), scope.companies(["east_co2"]), scope.companies(["city_km"])) == (
        0,
        1,
        1,
    )
    totals = {"west": 1.0, "east": 2.0}
    members = {ward: [f"{ward}_co2"] for ward in totals}
    assert scope.disclosed(totals, members) == frozenset()
    assert Scope(live.territory, Principal("1", "An", "user", "operator")).disclosed(totals, members) == set(
        totals
    )


def test_a_company_sees_its_own_gate_only_and_no_plans_of_the_city(live):
    own = page(live, DEPOT)
    assert own.found.streets.ids == ("fourth",)
    assert (own.study, own.plans) == (None, None)
    other = page(live, MILL)
    assert other.found is None
    (problem,) = other.problems
    assert problem.text("en").startswith("4 streets are counted at places that you may not look into")
    assert other.newest == ""


def test_a_place_in_the_address_leaves_the_streets_elsewhere_out(live):
    assert set(page(live, place="west").found.streets.ids) == {"main"}
    assert set(page(live, place="east").found.streets.ids) == {"side", "third", "fourth"}
    assert set(page(live, CITY, place="east").found.streets.ids) == {"side", "third"}
    assert page(live, CITY, place="east").found.hidden == 1
    (problem,) = page(live, place="mill").problems
    assert problem.text("vi") == "Không có đoạn đường nào được đếm ở nơi này."


def test_two_readers_of_the_same_streets_do_not_share_a_map_with_names_of_places(live):
    """The outlines of wards carry names for who may know the place, and none for a company inside."""
    mine = page(live, DEPOT).map.plan
    theirs = page(live, place="depot").map.plan
    assert {one.id for one in mine.roads} == {one.id for one in theirs.roads} == {"fourth"}
    assert {one.name for one in theirs.areas} == {"West", "East"}
    assert {one.name for one in mine.areas} == {"", "East"}


# --- ranks -------------------------------------------------------------------------------------------------------------


def test_streets_are_ranked_by_what_was_asked_with_links_of_one_name_together(live):
    by_emission = page(live, rank="emission").worst
    assert {one.name for one in by_emission.streets} == {"Lê Lợi", "Hàm Nghi", "Nội bộ"}
    masses = [one.row.mass for one in by_emission.streets]
    assert masses == sorted(masses, reverse=True)
    lost = [one.row.lost for one in page(live, rank="delay").worst.streets]
    assert lost == sorted(lost, reverse=True)
    sums = [one.row.mass * one.row.length for one in page(live, rank="sum").worst.streets]
    assert sums == sorted(sums, reverse=True)
    assert page(live).worst.streets[0].where in {"West, East", "West"}


def test_the_reason_is_said_in_words_and_its_factors_stand_in_the_table(live):
    worst = page(live, rank="delay").worst
    first = worst.streets[0]
    assert first.name == "Lê Lợi"
    assert worst.why(first).startswith("1.")
    row = worst.tables()["corridors"].to_pylist()[0]
    product = row["times_busy"] * row["times_mix"] * row["times_slow"]
    assert product == pytest.approx(worst.cause(first).times)


def test_the_map_is_cut_to_a_street_or_a_junction_that_is_asked_for(live):
    assert page(live, at="Lê Lợi").map.plan.focus == {"main", "side"}
    assert page(live, at="b").map.plan.focus == {"main"}
    with pytest.raises(RequestError) as refused:
        page(live, at="Le Loi")
    assert refused.value.code == "page_traffic.no_street"
    assert "Lê Lợi" in refused.value.problem.text("vi")


# --- stored comparisons ------------------------------------------------------------------------------------------------


def test_intervals_of_a_signal_plan_are_students_t_on_pairs(live):
    study = page(live).study
    row = next(one for one in study.rows if (one.way, one.measure) == ("plan", "delay"))
    difference = np.array(world.DELAYS["plan"]) - np.array(world.DELAYS["installed"])
    half = stats.t.ppf(0.95, 2) * difference.std(ddof=1) / np.sqrt(3)
    assert row.change == pytest.approx(difference.mean() / 100)
    assert (row.low, row.high) == pytest.approx(
        ((difference.mean() - half) / 100, (difference.mean() + half) / 100)
    )
    assert row.less > 0.99
    assert row.sure == "good"
    assert {one.measure for one in study.rows} == set(MEASURES)


def test_a_way_that_loses_vehicles_is_flagged(live):
    assert {(one.way, one.measure) for one in page(live).study.doubtful} == {("adaptive", "unfinished")}


def test_teleports_stand_beside_the_maps_that_lack_them(tmp_path):
    document = world.study()
    at = list(MEASURES).index("teleports")
    for way, count in enumerate((4.0, 0.0, 1.5)):
        for row in document["values"][way]:
            row[at] = count
    park = world.streets(tmp_path / "city", records=False)
    with park.writer() as ledger:
        ledger.put_record("signals", json.dumps(document).encode())
    assert (
        page(Live(park, Clock(NOW, 0)), lang="vi").study.flown
        == "chương trình hiện có 4, plan 0, điều khiển thích ứng 1,5"
    )


def test_ways_with_a_name_of_their_own_keep_it_and_others_are_told_in_the_language(live):
    assert page(live, lang="en").study.against == ["plan", "adaptive control"]
    study = page(live, lang="vi").study
    assert study.against == ["plan", "điều khiển thích ứng"]
    assert "Trước: chương trình hiện có" in study.figures["signals_before"]


def test_junctions_that_gain_and_lose_most_and_both_maps(live):
    study = page(live).study
    assert [(one.id, one.change) for one in study.gain] == [("b", -2.0)]
    assert [(one.id, one.change) for one in study.lose] == [("c", 0.5)]
    drawn = study.figures
    assert set(drawn) == {"signals_before", "signals_change"}
    tree = ET.fromstring(drawn["signals_change"])
    found = {one.get("data-link"): one for one in tree.iter() if one.get("data-link")}
    assert set(found) == {"main", "side", "third"}
    assert found["main"].get("stroke") != found["side"].get("stroke")
    adaptive = page(live, way="adaptive").study
    assert np.isnan(adaptive.values[1]["third"]), "nobody was there"
    assert page(live, look="co2_kg_h").study.gain[0].change == -20.0


def test_the_newest_of_each_study_can_be_chosen_and_others_are_refused(tmp_path):
    park = world.streets(tmp_path / "city", records=False)
    with park.writer() as ledger:
        for name in ("noon", "peak", "noon"):
            ledger.put_record(
                "signals",
                json.dumps({**world.study(name), "made": f"2023-06-0{len(name)}T00:00:00+00:00"}).encode(),
            )
    live = Live(park, Clock(NOW, 0))
    found = page(live).study
    assert {found.name, *found.others} == {"noon", "peak"}
    assert page(live, study="peak").study.name == "peak"
    for wrong in ({"study": "night"}, {"way": "installed"}, {"look": "money"}):
        with pytest.raises(RequestError) as refused:
            page(live, **wrong)
        assert refused.value.code == "live.unknown_choice"


def test_a_study_of_another_network_has_its_table_and_no_map(tmp_path):
    park = world.streets(tmp_path / "city", records=False)
    document = world.study()
    document["links"]["ids"] = ["x1", "x2", "x3"]
    with park.writer() as ledger:
        ledger.put_record("signals", json.dumps(document).encode())
    study = page(Live(park, Clock(NOW, 0))).study
    assert study.figures == {}
    assert len(study.rows) == 2 * len(MEASURES)


BROKEN = [
    b"\xff\x00", b"", b"[]", b"{}",
    *(json.dumps({**world.study("odd"), key: value}).encode() for key, value in [
        ("values", "oops"), ("vehicles", [[1.0]]), ("made", "yesterday"), ("links", {}), ("signals", [{}]), ("seeds", []), ("name", ""), ("net", 5),
    ]),
]  # fmt: skip


@contextmanager
def reading(park):
    """An operator at the pages."""
    with built(park) as whole:
        one = Browser(whole.app)
        one.http.headers["authorization"] = f"Bearer {whole.keys['operator']}"
        yield one
        one.close()


PLANS = world.plans()
TORN = [
    b"\xff\x00", b'{"plans": [{}]}',
    *(json.dumps({**PLANS, key: value}).encode() for key, value in [
        ("claims", [{"id": "pilot"}]), ("problems", 5), ("assumptions", [1]), ("on", 2030), ("made", "yesterday"),
    ]),
]  # fmt: skip


def test_records_that_cannot_be_read_leave_the_page_with_those_that_can(tmp_path):
    park = world.streets(tmp_path / "city")
    before = page(Live(park, Clock(NOW, 0)))
    with park.writer() as ledger:
        for content in BROKEN:
            ledger.put_record("signals", content)
        for content in TORN:
            ledger.put_record("street_plans", content)
        for content in (b"no", b'{"problems": ["vehicles.estimated"]}', b'{"problems": 5}'):
            ledger.put_record("traffic", content)
    found = page(Live(park, Clock(NOW, 0)))
    assert (found.study.name, found.study.others) == (before.study.name, before.study.others)
    assert found.plans.names == before.plans.names
    assert found.map.whole is None
    assert found.tables().keys() == before.tables().keys()
    assert [len(found.left_out[part]) for part in ("signals", "roads")] == [6, len(TORN)]
    assert len(found.map.left_out) == 3


@pytest.mark.parametrize("rest", [True, False], ids=["beside others", "alone"])
@pytest.mark.parametrize(
    ("kind", "document", "why"),
    [
        ("signals", {**world.study("Giờ cao điểm"), "links": {}}, "live.record_lacks"),
        ("signals", {**world.study("Giờ cao điểm"), "values": 5}, "live.record_form"),
        ("street_plans", {"name": "Giờ cao điểm", "measures": []}, "live.record_lacks"),
    ],
)
def test_what_is_left_out_is_told_where_it_would_stand(tmp_path, rest, kind, document, why):
    park = world.streets(tmp_path / "city", records=rest)
    with park.writer() as ledger:
        record = ledger.put_record(kind, json.dumps(document).encode())
    part, key = {"signals": ("signals", "installed"), "street_plans": ("roads", "plans")}[kind]
    with reading(park) as browser:
        for lang in ("en", "vi"):
            text = unescape(get(browser, f"/traffic?period={world.DAY}&lang={lang}").text)
            panel = text[text.index(f'id="traffic-{part}"') :].partition("</section>")[0]
            assert "Giờ cao điểm" in panel
            assert record[:12] in panel
            assert messages.render(why, lang, key=key) in panel
        (told,) = get(browser, f"/traffic.json?period={world.DAY}&lang=en").json()["left_out"]
    assert (told["part"], told["record"], told["name"]) == (part, record, "Giờ cao điểm")


def test_a_study_that_a_later_one_of_its_name_replaced_is_not_missed(tmp_path):
    park = world.streets(tmp_path / "city", records=False)
    with park.writer() as ledger:
        ledger.put_record("signals", json.dumps({**world.study("peak"), "links": {}}).encode())
        ledger.put_record("signals", json.dumps(world.study("peak")).encode())
        ledger.put_record(
            "signals",
            json.dumps(
                {
                    **world.study("one"),
                    "names": ["installed"],
                    "values": [[[1.0]]],
                    "measures": ["delay"],
                    "vehicles": [[9.0]],
                    "seeds": [1],
                }
            ).encode(),
        )
    found = page(Live(park, Clock(NOW, 0)))
    assert found.study.name == "peak"
    assert [(one.name, one.why.code) for one in found.left_out["signals"]] == [
        ("one", "page_traffic.one_way")
    ]


def test_every_number_of_the_tables_has_its_unit(live):
    tables = page(live).tables()
    assert set(tables["signals"]["unit"].to_pylist()[:3]) == {"s/vehicle", "g/vehicle", "1/vehicle"}
    assert set(tables["signal_links"]["unit"].to_pylist()) == {"vehicle_h/h"}
    assert set(page(live, look="co2_kg_h").tables()["signal_junctions"]["unit"].to_pylist()) == {"kg/h"}
    assert set(tables["zones"]["unit"].to_pylist()) == {"kg/d"}
    assert set(tables["sources"]["unit"].to_pylist()) == {"g"}
    units = page(live).json()["now"]["units"]
    assert (units["mass"], units["km"], units["speed"]) == ("kg/h", "vehicle_km/h", "km/h")


def test_road_plans_are_told_with_their_zones_hours_and_claims(live):
    plans = page(live).plans
    assert list(plans.pairs) == [("metro", "today"), ("swap", "today"), ("swap", "metro")]
    carbon = next(one for one in plans.pairs["metro", "today"] if one.measure == "CO2")
    assert (carbon.base, carbon.mean, carbon.unit) == (9000.0, -1000.0, "kg/d")
    assert carbon.sure == "good"
    assert next(one for one in plans.pairs["metro", "today"] if one.measure == "km").confidence is None
    assert [one.name for one in plans.gain] == ["West", "outside all zones"]
    assert [(one.name, one.change) for one in plans.lose] == [("East", 200.0)]
    assert plans.kwh["swap"] == [13.0] * 24
    assert page(live, plan="swap").plans.lose[0].name == "West"
    assert list(plans.figures("en")) == ["road_kwh", "road_charged"]
    assert plans.tables()["road_charged"]["swap"].to_pylist() == [0.0] * 12 + [10.0] * 12
    assert plans.told(plans.claims[0]) == "pilot does not add up: it says 2 t"
    assert page(live, lang="vi").tables()["claims"]["text"].to_pylist() == ["pilot không hợp lý: nêu 2 t"]
    assert plans.said("min/trip", "vi") == "phút/chuyến"
    with pytest.raises(RequestError):
        page(live, plan="bridge")


@pytest.mark.parametrize(("relative", "shown"), [(10.0, True), (0.1, False), (-10.0, True), (-0.1, False)])
def test_the_page_takes_for_rounding_what_the_verdict_takes_for_it(tmp_path, relative, shown):
    document = world.plans()
    change = relative * TIE * 9e6
    document["measures"][1]["differences"][0] |= {"mean": change, "low": change, "high": change}
    park = world.streets(tmp_path / "city", records=False)
    with park.writer() as ledger:
        ledger.put_record("street_plans", json.dumps(document).encode())
    carbon = next(
        one for one in page(Live(park, Clock(NOW, 0))).plans.pairs["metro", "today"] if one.measure == "CO2"
    )
    assert carbon.mean == (pytest.approx(change / 1000) if shown else 0.0)


def test_a_verdict_on_plans_is_read_as_it_is_written(tmp_path):
    from tests.street_city import write_city

    city = write_city(tmp_path / "city")
    park = mg.open(city)
    judged = street_plans.compare(park, [tmp_path / "metro.yaml", tmp_path / "swap.yaml"], draws=2)
    with park.writer() as ledger:
        ledger.put_record("street_plans", json.dumps(judged.document()).encode())
    found = page(Live(park, Clock(NOW, 0)))
    assert not found.declared, "nothing is counted, plans are told all the same"
    plans = found.plans
    assert len(plans.pairs) == 3
    carbon = next(one for one in plans.pairs["metro", "today"] if one.measure == "CO2")
    said = judged.verdict.difference("CO2", "metro")
    assert (carbon.mean, carbon.low, carbon.high) == pytest.approx(
        (said.mean / 1000, said.low / 1000, said.high / 1000)
    )
    assert carbon.confidence == said.confidence
    zones = sum(one.after - one.before for one in plans.zones)
    zone = judged.verdict.zone["CO2"]
    assert zones * 1000 == pytest.approx(zone[1].sum() - zone[0].sum())
    assert sum(plans.kwh["swap"]) == pytest.approx(judged.verdict.kwh[2].sum())
    assert not plans.claims[0]["holds"]
    assert plans.tables()["claims"].num_rows == len(plans.claims)


def test_a_comparison_of_signals_is_read_as_it_is_written(tmp_path):
    """Streets and junctions of a document that `signals` makes of runs, on the network of the city."""
    from mangrove import signals
    from mangrove.traffic.verdict import Comparison, Streets

    park = world.streets(tmp_path / "city", records=False)
    rng = np.random.default_rng(3)
    rows = rng.uniform(1, 100, (2, 3, len(MEASURES)))
    lost = np.array([[3.0, 2.0, 1.0], [1.0, 2.5, np.nan]])
    speed = np.where(np.isfinite(lost), 20.0, np.nan)
    ids = ("main", "side", "third")
    compared = Comparison(
        ("installed", "plan"),
        rows,
        np.full((2, 3), 50.0),
        (1, 2, 3),
        0.0,
        Streets(ids, lost * 10, lost, speed),
    )
    document = signals.document(compared, tmp_path / "city" / "small.net.xml", "peak")
    with park.writer() as ledger:
        ledger.put_record("signals", json.dumps(document).encode())
    study = page(Live(park, Clock(NOW, 0))).study
    assert study.values[0] == {"main": 3.0, "side": 2.0, "third": 1.0}
    assert study.values[1]["side"] == 2.5
    assert np.isnan(study.values[1]["third"])
    for one in study.rows:
        assert one.before == pytest.approx(compared.mean("installed", one.measure))
        assert (one.low, one.high) == pytest.approx(compared.interval("plan", one.measure))
    assert set(study.figures) == {"signals_before", "signals_change"}


# --- twins and the page itself -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(park):
    with reading(park) as one:
        yield one


def get(browser, path):
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text[:300]
    return answer


def test_the_numbers_of_the_page_are_those_of_its_twins(browser):
    found = get(browser, f"/traffic.json?period={world.DAY}&lang=en").json()
    text = unescape(re.sub(r"<[^>]+>", "", get(browser, f"/traffic?period={world.DAY}&lang=en").text))
    assert f"{found['now']['mass']:.3g}" in text
    rows = list(
        csv.DictReader(io.StringIO(get(browser, f"/traffic.csv?period={world.DAY}&table=corridors").text))
    )
    assert [row["street"] for row in rows] == [row["street"] for row in found["corridors"]]
    for figure in ("map", "classes", "speed", "signals_before", "signals_change", "road_kwh"):
        ET.fromstring(get(browser, f"/traffic.svg?period={world.DAY}&figure={figure}").text)


def test_all_steps_of_the_map_are_one_letter_for_each_street(browser, live):
    frames = get(browser, f"/traffic.json?period={world.DAY}").json()["frames"]
    found = page(live)
    assert len(frames["steps"]) == len(frames["starts"]) == len(found.found.starts)
    for step, row in zip(frames["steps"], found.map.values, strict=True):
        said = ["" if letter == "-" else frames["colors"][int(letter)] for letter in step]
        assert said == [found.map.classes.color(value) for value in row]


@pytest.mark.parametrize(
    "wrong",
    [
        "show=money", "show=electricity", "rank=1", "at=%00", "at=" + "x" * 3000, "t=9999-12-31", "t=2023-06-05T25:00", "t=%F0%9F%8C%BF", "study=%27",
        "way=plan%00", "look=", "plan=today", "period=2023-06-05T06:00..2023-06-05T06:01", "period=0001", "period=2023-06-05&t=0001-01-01", "place=mill",
        "place=nowhere", "table=%3Cscript%3E", "figure=map",
    ],
)  # fmt: skip
def test_addresses_that_people_get_wrong_are_answered_or_refused_by_name(browser, wrong):
    for ending in ("", ".json", ".csv", ".svg"):
        period = "" if "period" in wrong else f"&period={world.DAY}"
        answer = browser.get(f"/traffic{ending}?{wrong}{period}")
        assert answer.status_code in {200, 400, 404}, (wrong, answer.status_code)
        assert "Traceback" not in answer.text
        assert "<script>" not in answer.text.replace('<script type="module"', "")


def test_electric_vehicles_have_kilowatt_hours(tmp_path):
    counted_city.write_net(tmp_path)
    flows = "".join(
        f"{link}_{kind},west,vehicles:{kind},vehicle,5min,sum,,,,link={link},,memo\n{link}_{kind}_v,west,speed:{kind},km/h,5min,state,,,,link={link},,memo\n"
        for link in ("main", "side")
        for kind in ("electric_motorbike", "motorbike")
    )
    park = counted_city.city(tmp_path, flows, "traffic: {network: small.net.xml}\n")
    usual = {
        f"{link}_{kind}": 100.0 for link in ("main", "side") for kind in ("electric_motorbike", "motorbike")
    }
    counted_city.fill(park, usual | {f"{name}_v": 20.0 for name in usual}, world.START)
    live = Live(park, Clock(NOW, 0))
    assert "electricity" in page(live).options
    found = page(live, show="electricity")
    report = traffic_state.traffic(
        park, world.START, world.START + timedelta(hours=1), pollutant="electricity", store=False
    )
    rate = found.found.rates("electricity")
    assert rate.mass.sum() == pytest.approx(report.total.amount)
    assert found.worst.streets[0].row.mass == pytest.approx(rate.mass.sum() / rate.length.sum()), (
        "both streets drive the same"
    )
    assert found.worst.unit == "kWh"
    assert found.map.unit == "kWh/km/h"


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_every_choice_leads_to_a_page(browser, lang):
    text = get(browser, f"/traffic?period={world.DAY}&lang={lang}").text
    links = {unescape(one) for one in re.findall(r'href="(/traffic\?[^"]+)"', text)}
    assert len(links) > 25
    for link in links:
        said = get(browser, link).text
        assert "page_traffic." not in said
        assert not re.search(r">\s*(nan|None)\b", said)


def test_the_page_stands_in_the_menu_where_vehicles_are_counted_only(live, tmp_path):
    assert traffic.fits(live.territory)
    from mangrove.testing import two_factory_park

    park = mg.open(two_factory_park(tmp_path / "park"))
    assert not traffic.fits(park.territory)
    found = page(Live(park, Clock(NOW, 0)))
    assert not found.declared
    assert found.json()["frames"] is None


def test_without_a_network_there_are_ranks_and_no_map(tmp_path):
    park = world.streets(tmp_path / "city", network=False, records=False)
    found = page(Live(park, Clock(NOW, 0)))
    assert found.map.plan is None
    assert "map" not in found.figures("en")
    assert "pace" not in found.options
    assert [one.name for one in found.worst.streets][:1] == ["main"]
    assert found.worst.junctions == ()
    assert np.isnan(found.now.lost)


def test_estimates_of_uncounted_streets_are_drawn_at_their_time_only(tmp_path):
    from mangrove.measure.traffic.store import KIND, detail

    park = world.streets(tmp_path / "city", records=False)
    end = world.START + timedelta(hours=1)
    traffic_state.traffic(park, world.START, end)
    with park.writer() as ledger:
        id_ = ledger.records(KIND)[-1][0]
        document, payload = ledger.record(id_)[1:]
        table = detail(payload)
        marked = np.where(np.array(table["link"].to_pylist()) == "fourth", 3, table["basis"].to_numpy())
        import pyarrow as pa

        table = table.set_column(
            table.schema.get_field_index("basis"), "basis", pa.array(marked.astype(np.uint8))
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        said = json.loads(document) | {"problems": ["vehicles.estimated"]}
        ledger.put_record(KIND, json.dumps(said).encode(), bytes(sink.getvalue()))
    live = Live(park, Clock(NOW, 0))
    inside, outside = page(live, t="2023-06-05T06:30"), page(live, t="2023-06-05T07:30")
    assert set(inside.map.estimates) == {"fourth"}
    rate = inside.found.rates("CO2")
    at = inside.found.streets.ids.index("fourth")
    assert inside.map.estimates["fourth"] == pytest.approx(rate.mass[at].sum() / rate.length[at], rel=0.01)
    assert page(live, t="2023-06-05T06:30", show="speed").map.estimates["fourth"] == pytest.approx(
        12, rel=1e-4
    )
    assert (outside.map.estimates, outside.map.whole) == ({}, (world.START, end))
