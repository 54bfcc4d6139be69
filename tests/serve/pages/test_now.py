"""The Now screen: the difference is that of two measurements, like for like, and nobody sees what belongs to others."""

import json
import math
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient

import mangrove as mg
from mangrove import api
from mangrove.ledger.types import Origin
from mangrove.serve import app as web
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import now, now_model
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import park_of, two_factory_park, values
from mangrove.times import Span

MIDNIGHT = datetime(2023, 5, 31, 17, tzinfo=UTC)
"""1 June 2023 in Việt Nam."""
NOW = MIDNIGHT + timedelta(days=4, hours=10, minutes=20)
HOURS = 4 * 24 + 10
PLAN = (
    "mill.power,2023-06,72000,kWh",
    "shop.power,2023-06,14400,kWh",
    "mill.coal,2023-06,60,t",
)  # 100 and 20 kWh/h
TENANT = Principal("1", "An", "user", "tenant", "shop")


def hourly(flow, value, count=HOURS, start=MIDNIGHT):
    return [(flow, start + timedelta(hours=i), float(value)) for i in range(count)]


def daily(flow, value, count=5, start=MIDNIGHT):
    return [(flow, start + timedelta(days=i), float(value)) for i in range(count)]


def put(park, rows, run="measured", seq="1"):
    with park.writer() as ledger:
        ledger.append(values(rows), Origin("file:test", seq, run))


def planned(park, tmp_path, *rows, name="board"):
    path = tmp_path / f"{name}.csv"
    path.write_text("flow,period,amount,unit\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return api.budget(park, path)


@pytest.fixture
def park(tmp_path):
    return mg.open(two_factory_park(tmp_path / "park"))


@pytest.fixture
def full(park, tmp_path):
    """Everything has arrived: the mill used 160 kWh an hour, the shop 15, the mill 2 t of coal a day."""
    put(park, hourly("mill.power", 160) + hourly("shop.power", 15) + daily("mill.coal", 2))
    planned(park, tmp_path, *PLAN)
    return Live(park, Clock(NOW, 0))


def page(live, principal=None, **params):
    principal = principal or guest("operator")
    view = views.read(live.territory, params, now=live.clock.now(), principal=principal, lang="en")
    return now.build(live, view)


def client(live, principal=None):
    access = web.Fixed(principal or guest("operator"))
    return TestClient(web.create(live, access=access), raise_server_exceptions=False)


def total(live, run="measured", flow=None, span=None):
    start, end = span or (MIDNIGHT, MIDNIGHT + timedelta(hours=HOURS))
    rows = mg.measure(live.park, start, end, by=["flow"], run=run, store=False).to_arrow().to_pylist()
    return sum(row["co2e_kg"] for row in rows if flow in (None, row["flow"]))


# --- the answer --------------------------------------------------------------------------------------------------------


def test_the_difference_is_that_of_two_measurements_of_the_same_whole_hours(full):
    model = page(full)
    assert (model.span.start, model.span.end) == (MIDNIGHT, MIDNIGHT + timedelta(hours=HOURS))
    assert model.answer.actual == pytest.approx(total(full), rel=1e-12)
    assert model.answer.base == pytest.approx(total(full, "plan/board"), rel=1e-12)
    assert model.answer.difference == pytest.approx(total(full) - total(full, "plan/board"), rel=1e-9)
    assert (model.answer.status, model.answer.share) == ("above", 1.0)


def test_contributors_causes_and_hours_add_up_to_the_answer(full):
    model = page(full)
    answer = model.answer
    for rows in (model.groups, model.sectors, model.flows):
        assert math.fsum(row.difference for row in rows) == pytest.approx(answer.difference, rel=1e-9)
        assert math.fsum(row.actual for row in rows) == pytest.approx(answer.actual, rel=1e-9)
        assert math.fsum(row.base for row in rows) == pytest.approx(answer.base, rel=1e-9)
    assert math.fsum(model.causes) == pytest.approx(answer.difference, rel=1e-9)
    assert model.factor == 0.0, "plan and meters are computed with the same factors"
    last = total(full, span=(model.span.end - timedelta(hours=36), model.span.end))
    assert np.nansum(model.hours.actual) == pytest.approx(last, rel=1e-9)


def test_errors_that_both_sides_share_move_them_together(tmp_path):
    flows = [
        {
            "id": "m",
            "carrier": "electricity",
            "unit": "kWh",
            "step": "1h",
            "scope": "2",
            "uncertainty": "2 %",
            "meter": "M",
        }
    ]
    factor = {
        "activity": "grid/vn",
        "gas": "CO2",
        "value": "0.5",
        "unit": "kg CO2/kWh",
        "uncertainty": "10 %",
    }
    live = Live(mg.open(park_of(tmp_path / "park", flows, factors=[factor])), Clock(NOW, 0))
    put(live.park, hourly("m", 110))
    planned(live.park, tmp_path, "m,2023-06,72000,kWh")
    answer = page(live).answer
    a, b = 55.0 * HOURS, 50.0 * HOURS
    assert (answer.actual, answer.base) == pytest.approx((a, b), rel=1e-12)
    half = math.hypot((a - b) * 0.10, a * 0.02)  # the factor moves both, the meter only what was measured
    assert (answer.low, answer.high) == pytest.approx((a - b - half, a - b + half), rel=1e-9)
    alone = page(live, compare="none").answer
    assert (alone.high - alone.actual) == pytest.approx(a * math.hypot(0.10, 0.02), rel=1e-9)


def test_a_difference_within_the_error_of_the_meters_is_no_difference(park, tmp_path):
    put(park, hourly("mill.power", 100.5) + hourly("shop.power", 20) + daily("mill.coal", 2))
    planned(park, tmp_path, *PLAN)
    answer = page(Live(park, Clock(NOW, 0))).answer
    assert answer.status == "on"
    assert answer.low < 0 < answer.difference < answer.high


# --- like for like -----------------------------------------------------------------------------------------------------


def test_what_has_not_arrived_is_left_out_and_never_counts_as_zero(park, tmp_path):
    put(park, hourly("mill.power", 160) + hourly("shop.power", 20, 40) + daily("mill.coal", 2))
    planned(park, tmp_path, *PLAN)
    live = Live(park, Clock(NOW, 0))
    model = page(live)
    whole = total(live, "plan/board")
    missing = total(live, "plan/board", "shop.power") * (HOURS - 40) / HOURS
    assert model.waiting == pytest.approx(missing, rel=1e-9)
    assert model.answer.share == pytest.approx(1 - missing / whole, rel=1e-9)
    assert [row.key for row in model.late()] == ["shop"]
    shop = next(row for row in model.groups if row.key == "shop")
    assert shop.difference == pytest.approx(0.0, abs=1e-9)
    assert model.answer.status == "above"


def test_a_bill_of_the_month_is_not_late_before_the_month_is_over(park, tmp_path):
    put(
        park,
        hourly("mill.power", 160, 24 * 30) + hourly("shop.power", 15, 24 * 30) + daily("mill.coal", 2, 30),
    )
    planned(park, tmp_path, *PLAN, "shop.diesel,2023-06,3000,L")
    june = page(Live(park, Clock(NOW, 0)))
    assert (june.answer.status, june.answer.share, june.waiting) == ("above", 1.0, 0.0)
    assert june.early == pytest.approx(
        total(Live(park, Clock(NOW, 0)), "plan/board", "shop.diesel"), rel=1e-9
    )
    assert june.answer.counted == pytest.approx(june.answer.base / (june.answer.base + june.early), rel=1e-9)
    july = page(Live(park, Clock(MIDNIGHT + timedelta(days=31), 0)), period="2023-06")
    assert july.early == 0.0
    assert july.waiting == pytest.approx(june.early * 720 / HOURS, rel=1e-9)
    diesel = next(row for row in july.flows if row.key == "shop.diesel")
    assert diesel.silent
    with client(Live(park, Clock(NOW, 0))) as http:
        assert "Not due yet" in http.get("/now", params={"lang": "en"}).text


def test_when_most_is_billed_by_the_month_there_is_no_answer_before_its_end(park, tmp_path):
    put(park, hourly("shop.power", 15))
    planned(park, tmp_path, PLAN[1], "shop.diesel,2023-06,90000,L")
    answer = page(Live(park, Clock(NOW, 0))).answer
    assert (answer.status, answer.reason, answer.share) == ("unknown", "early", 1.0)


def test_with_too_little_of_the_planned_emissions_there_is_no_answer(park, tmp_path):
    put(park, hourly("shop.power", 20))
    planned(park, tmp_path, *PLAN)
    model = page(Live(park, Clock(NOW, 0)))
    assert (model.answer.status, model.answer.reason) == ("unknown", "coverage")
    assert model.answer.share < now_model.THRESHOLD
    with client(Live(park, Clock(NOW, 0))) as http:
        text = http.get("/now", params={"lang": "en"}).text
    assert "cannot be said" in text
    assert re.search(r"at least 75.%", text)


def test_what_the_plan_knows_nothing_of_is_told_and_left_out(park, tmp_path):
    put(park, hourly("mill.power", 110) + hourly("shop.power", 15) + daily("mill.coal", 2))
    planned(park, tmp_path, PLAN[0], PLAN[2])
    live = Live(park, Clock(NOW, 0))
    model = page(live)
    assert model.unplanned == pytest.approx(total(live, flow="shop.power"), rel=1e-9)
    assert model.answer.actual == pytest.approx(total(live) - model.unplanned, rel=1e-9)
    assert model.projection.unknown == ("shop.power",)


def test_a_coarse_value_counts_for_the_hours_that_are_over(full):
    model = page(full)
    coal = next(row for row in model.flows if row.key == "mill.coal")
    assert coal.actual == pytest.approx(total(full, flow="mill.coal"), rel=1e-12)
    assert coal.difference == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("reason", ["plan", "base", "year", "values"])
def test_why_there_is_no_answer_is_said(park, tmp_path, reason):
    put(park, hourly("mill.power", 1, 5, MIDNIGHT - timedelta(days=9)))
    if reason != "values":
        put(park, hourly("mill.power", 110), seq="2")
    if reason != "plan":
        planned(park, tmp_path, *(("mill.power,2022-06,1,kWh",) if reason == "base" else PLAN))
    live = Live(park, Clock(NOW, 0))
    params = {"compare": "year"} if reason == "year" else {}
    assert page(live, **params).answer.reason == ("base" if reason == "year" else reason)
    with client(live) as http:
        answers = [http.get("/now", params={**params, "lang": lang}) for lang in ("en", "vi")]
    assert [answer.status_code for answer in answers] == [200, 200]


# --- other times -------------------------------------------------------------------------------------------------------


def test_the_period_before_is_compared_hour_by_hour(park):
    before = datetime(2023, 4, 30, 17, tzinfo=UTC)
    put(park, hourly("mill.power", 110) + hourly("mill.power", 100, 24 * 31, before))
    live = Live(park, Clock(NOW, 0))
    model = page(live, compare="previous")
    expected = total(live, span=(before, before + timedelta(hours=HOURS)))
    assert model.answer.base == pytest.approx(expected, rel=1e-12)
    assert model.answer.percent == pytest.approx(0.10, rel=1e-9)
    assert model.base_span.end - model.base_span.start == timedelta(hours=HOURS)


def test_a_new_factor_is_told_apart_from_another_amount(tmp_path):
    flows = [
        {"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2", "uncertainty": "2 %"}
    ]
    factors = [
        {"activity": "grid/vn", "gas": "CO2", "value": "0.5", "unit": "kg CO2/kWh", "valid_to": "2023-01-01"},
        {"activity": "grid/vn", "gas": "CO2", "value": "0.6", "unit": "kg CO2/kWh", "valid_from": "2023-01-01"},
    ]  # fmt: skip
    live = Live(mg.open(park_of(tmp_path / "park", flows, factors=factors)), Clock(NOW, 0))
    year = datetime(2022, 5, 31, 17, tzinfo=UTC)
    put(live.park, hourly("m", 120) + hourly("m", 100, 720, year))
    model = page(live, compare="year")
    assert model.answer.difference == pytest.approx((120 * 0.6 - 100 * 0.5) * HOURS, rel=1e-12)
    assert model.causes == pytest.approx(((120 - 100) * 0.55 * HOURS, (0.6 - 0.5) * 110 * HOURS), rel=1e-9)


# --- to the end of the period ------------------------------------------------------------------------------------------


def test_the_rest_of_the_period_is_the_forecast_where_there_is_one_and_else_the_plan(full):
    ahead = MIDNIGHT + timedelta(hours=HOURS)
    put(full.park, hourly("mill.power", 90, 24, ahead), run="forecast", seq="2")
    live = Live(full.park, Clock(NOW, 0))
    to = page(live).projection
    month = (MIDNIGHT, MIDNIGHT + timedelta(days=30))
    assert to.done == pytest.approx(total(live), rel=1e-9)
    assert to.forecast == pytest.approx(total(live, "forecast", span=month), rel=1e-9)
    covered = total(live, "plan/board", "mill.power", (ahead, ahead + timedelta(hours=24)))
    assert to.planned == pytest.approx(total(live, "plan/board", span=(ahead, month[1])) - covered, rel=1e-9)
    assert to.plan == pytest.approx(total(live, "plan/board", span=month), rel=1e-9)
    assert to.total == pytest.approx(to.done + to.forecast + to.planned)


def test_a_period_that_is_over_is_not_projected(full):
    live = Live(full.park, Clock(MIDNIGHT + timedelta(days=40), 0))
    assert page(live, period="2023-06").projection is None


def test_the_band_of_the_forecast_stands_around_its_middle(full):
    ahead = MIDNIGHT + timedelta(hours=HOURS)
    for seq, (run, mill, shop) in enumerate(
        (("forecast/q10", 80, 10), ("forecast", 90, 12), ("forecast/q90", 120, 16)), start=2
    ):
        rows = (
            hourly("mill.power", mill, 24, ahead)
            + hourly("shop.power", shop, 24, ahead)
            + daily("mill.coal", 2, 6)
        )
        put(full.park, rows, run=run, seq=str(seq))
    one = page(Live(full.park, Clock(NOW, 0))).hours
    drawn = np.isfinite(one.low)
    assert drawn.sum() >= 12
    assert (one.low[drawn] < one.middle[drawn]).all()
    assert (one.middle[drawn] < one.high[drawn]).all()
    assert np.isnan(one.actual[[start >= ahead for start in one.starts]]).all()


def test_an_hour_that_lacks_values_is_not_drawn_low(park, tmp_path):
    rows = [row for row in hourly("shop.power", 20) if row[1] != MIDNIGHT + timedelta(hours=90)]
    put(park, hourly("mill.power", 110) + rows + daily("mill.coal", 2))
    planned(park, tmp_path, *PLAN)
    one = page(Live(park, Clock(NOW, 0))).hours
    lost = [
        start
        for start, value in zip(one.starts, one.actual, strict=True)
        if math.isnan(value) and start < one.until
    ]
    assert lost == [MIDNIGHT + timedelta(hours=90)]


# --- which plan --------------------------------------------------------------------------------------------------------


def test_the_plan_adopted_last_is_the_one_to_compare_with_unless_another_is_chosen(full, tmp_path):
    planned(full.park, tmp_path, "mill.power,2023-06,36000,kWh", name="other")
    put(full.park, hourly("mill.power", 1), run="plan/roof", seq="9")
    live = Live(full.park, Clock(NOW, 0))
    assert page(live).base_run == "plan/other"
    chosen = page(live, scenario="plan/board")
    assert (chosen.base_run, chosen.run) == ("plan/board", "measured")
    assert chosen.answer.actual == pytest.approx(total(live), rel=1e-12)
    assert chosen.span.end <= NOW


# --- who sees what -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compare", ["plan", "previous", "none"])
def test_a_tenant_sees_its_own_part_and_the_total_and_nothing_of_others(full, compare):
    model = page(full, guest("operator"), compare=compare)
    mill = next(row for row in model.groups if row.key == "mill")
    secrets = {f"{number:.1f}"[:6] for number in (mill.actual, mill.base, mill.difference) if abs(number) > 1}
    with client(full, TENANT) as http:
        answers = {
            path: http.get(path, params={"compare": compare})
            for path in (
                "/now", "/now.json", "/now.csv", "/now.csv?table=sectors", "/now.csv?table=flows", "/now.svg",
                "/now.svg?figure=sectors", "/now.svg?figure=hours",
            )
        }  # fmt: skip
    for path, answer in answers.items():
        if path.endswith("figure=sectors") and answer.status_code == 404:
            continue
        assert answer.status_code == 200, (path, answer.text)
        for word in ("mill", "Nhà máy thép", "steel", "Điện lò", *secrets):
            assert word not in answer.text, (path, word)
    data = json.loads(answers["/now.json"].text)
    assert data["whole"]["actual"] == pytest.approx(model.answer.actual, rel=1e-12)
    assert data["answer"]["actual"] < data["whole"]["actual"]
    assert {row["key"] for row in data["flows"]} == {"shop.power", "shop.diesel"}


def test_a_tenant_may_not_ask_for_the_place_of_another(full):
    with client(full, TENANT) as http:
        for path in ("/now", "/now.json", "/now.csv", "/now.svg"):
            answer = http.get(path, params={"place": "mill"})
            assert answer.status_code in {400, 403, 404}, path
            assert "live.no" in answer.text
            assert "Nhà máy" not in answer.text


def test_a_tenant_that_looks_at_the_whole_sees_the_others_as_one(full):
    with client(full, TENANT) as http:
        data = http.get("/now.json", params={"place": "park"}).json()
        text = http.get("/now", params={"place": "park"}).text
    assert [(row["key"], row["merged"]) for row in data["groups"]] == [("shop", False), ("", True)]
    assert {row["key"] for row in data["flows"]} == {"shop.power", "shop.diesel"}
    assert not re.search("mill|Nhà máy thép|steel|Điện lò", text + json.dumps(data))


def test_the_city_sees_no_total_of_fewer_than_three_companies(full):
    with client(full, guest("city")) as http:
        data = http.get("/now.json").json()
        page_ = http.get("/now")
        assert http.get("/now.json", params={"place": "shop"}).status_code == 400
    assert page_.status_code == 200
    assert data["groups"] == data["flows"] == []
    assert all(row["merged"] for row in data["sectors"])
    assert not re.search("mill|shop|Nhà máy thép|Xưởng", page_.text)


def test_a_place_in_focus_is_compared_alone_beside_the_whole(full):
    model = page(full, place="mill")
    assert model.answer.actual == pytest.approx(
        total(full, flow="mill.power") + total(full, flow="mill.coal"), rel=1e-9
    )
    assert {row.key for row in model.groups} == {"mill.power", "mill.coal"}
    assert model.whole.actual == pytest.approx(total(full), rel=1e-9)


# --- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "vi"])
@pytest.mark.parametrize("compare", ["plan", "previous", "year", "none"])
def test_the_page_says_everything_in_both_languages(full, lang, compare):
    with client(full) as http:
        for period in ("month", "today", "week", "2023"):
            text = http.get("/now", params={"lang": lang, "compare": compare, "period": period}).text
            assert "<h1>" in text
            assert not re.search(r"page_now\.|live\.(?!js)[a-z]|\{\w+\}|\bnan\b", text)
            assert 'id="now-live" data-live' in text


def test_a_number_of_the_page_opens_its_proof_with_the_same_number(full):
    model = page(full)
    with client(full) as http:
        text = http.get("/now").text
        links = {link.replace("&amp;", "&") for link in re.findall(r'class="why" href="(/why\?[^"]+)"', text)}
        assert len(links) >= 2 + 2 * len(model.groups)
        for row in model.groups:
            for base, expected in ((False, row.actual), (True, row.base)):
                address = model.why(row, base=base)
                assert address in links
                proof = http.get(address.replace("/why?", "/why.json?")).json()
                assert proof["co2e_kg"] == pytest.approx(expected, rel=1e-9)


def test_the_twins_are_the_model(full):
    model = page(full)
    with client(full) as http:
        data = http.get("/now.json").json()
        table = http.get("/now.csv", params={"table": "sectors"}).text.splitlines()
        figure = http.get("/now.svg", params={"figure": "hours"})
    assert data["answer"]["difference"] == pytest.approx(model.answer.difference, rel=1e-12)
    measured, plan = data["series"]
    assert len(data["x"]) == len(measured["values"]) == len(plan["values"]) == len(model.hours.starts)
    assert measured["values"][0] == pytest.approx(model.hours.actual[0] / 1000)
    assert len(table) == 1 + len(model.sectors)
    assert figure.headers["content-type"].startswith("image/svg+xml")


def test_new_values_change_what_is_measured_but_the_plan_is_not_read_again(full):
    first = page(full)
    put(full.park, hourly("mill.power", 200, 1, MIDNIGHT + timedelta(hours=HOURS - 1)), seq="later")
    later = Live(full.park, Clock(NOW, 0))
    assert page(later).answer.actual > first.answer.actual
    span = Span(first.span.start, first.view.period.end)
    stamp = now_model.runs(later).stamp("plan/board")
    assert now_model.runs(full).stamp("plan/board") == stamp
    assert now_model.grid(later, span, "plan/board", stamp) is now_model.grid(
        later, span, "plan/board", stamp
    )
