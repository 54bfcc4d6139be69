# SPDX-License-Identifier: Apache-2.0
"""The page of plans: the numbers are those of the comparison, parts add up, and nobody reads a company's plan in them."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from tests.plan import scenario_world as world
from tests.serve import city_world

import mangrove as mg
from mangrove.compare import adopt, compare
from mangrove.errors import RequestError
from mangrove.serve import app as web
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import plans
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live
from mangrove.testing import two_factory_park

NOW = datetime(2027, 1, 20, 5, tzinfo=UTC)
CITY = Principal("2", "Sở", "user", "city")
TENANT = Principal("1", "An", "user", "tenant", "site")
ONE = """\
name: lo-moi
title: Lò mới
from: 2026
to: 2028
baseline:
  year: 2025
actions:
  - id: kiln
    type: change_activity
    from: 2027-01-01
    flow: [kiln]
    change: -40 %
    uncertainty: 10 %
    source: assumed here
    status: assumed
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A park with two adopted scenarios and a measured first year of them."""
    base = tmp_path_factory.mktemp("plans")
    park = world.park(base / "park")
    world.store(park, 2026, 0.98)
    adopt(park, world.write(base, *world.ALL, head=world.HEAD.replace("A test", "Tất cả")))
    adopt(park, world.write(base, world.SAVING, head=world.HEAD.replace("{name}", "saving")))
    return Live(park, Clock(NOW, 0))


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    park = city_world.riverside(tmp_path_factory.mktemp("city") / "city")
    (park.territory.path / "one.yaml").write_text(ONE, encoding="utf-8")
    adopt(park, park.territory.path / "one.yaml")
    return city_world.live(park)


def page(live, principal=None, **params):
    view = views.read(
        live.territory,
        {"lang": "en", **params},
        now=NOW,
        principal=principal or guest("operator"),
        period="year",
    )
    return plans.build(live, view)


def http(live, principal=None):
    return TestClient(web.create(live, access=web.Fixed(principal or guest("operator"))))


def test_the_years_are_those_of_the_comparison(live):
    found = page(live, a="test")
    known = [
        row
        for row in compare(live.park, "test", "baseline").to_arrow().to_pylist()
        if row["account"] == "inventory"
    ]
    assert [row.difference for row in found.totals] == pytest.approx(
        [row["difference"] / 1000 for row in known]
    )
    assert [row.low for row in found.totals] == pytest.approx([row["difference_low"] / 1000 for row in known])


@pytest.mark.parametrize("year", [2026, 2027, 2028])
def test_the_parts_of_the_actions_add_up_to_the_difference(live, year):
    found = page(live, a="test", year=str(year))
    assert found.year == year
    assert sum(part.value for part in found.parts) == pytest.approx(found.total.difference, rel=1e-9)
    assert {part.action for part in found.parts} == {"roof", "trucks", "saving", "cleaner", "briquettes"}


@pytest.mark.parametrize("by", plans.BY)
def test_the_rows_of_a_year_add_up_to_it(live, by):
    found = page(live, a="test", by=by, year="2027")
    inventory = [row for row in found.rows if row.account == "inventory"]
    assert sum(row.a for row in inventory) == pytest.approx(found.total.a, rel=1e-9)
    assert sum(row.difference for row in inventory) == pytest.approx(found.total.difference, rel=1e-9)


def test_two_plans_beside_each_other(live):
    found, back = page(live, a="test", b="saving"), page(live, a="saving", b="test")
    assert [row.difference for row in found.totals] == pytest.approx([-row.difference for row in back.totals])
    assert set(found.figures("en")) == {"difference"}, "wedges are against the baseline"


def test_what_meters_say_stands_below_with_a_verdict(live):
    found = page(live, a="saving")
    (row,) = (row for row in found.real if row.account == "inventory")
    assert row.year == 2026
    assert row.b < row.a, "2 % less was used; the plan takes a little off one of the fuels"
    assert row.verdict in {"ahead", "on_plan"}
    assert row.verdict == next(one for one in page(live, a="saving", b="measured").totals).verdict


def test_a_hand_check_of_the_city(city):
    found = page(city, a="xe-dien")
    assert [row.difference for row in found.totals] == pytest.approx([-9_000, -15_000, -15_000])
    assert page(city, a="xe-dien").real == (), "nothing of its years is measured"
    assert (
        "No month of this plan has been measured yet"
        in http(city).get("/plans?a=xe-dien&lang=en", headers={"accept": "text/html"}).text
    )


def test_what_is_spread_over_wards_differs_in_each_by_its_share(city):
    people = {ward: count for ward, (_, count) in city_world.WARDS.items()}
    rows = {row.key: row.difference for row in page(city, a="xe-dien", by="ward", year="2026").rows}
    expected = {ward: -9_000 * count / sum(people.values()) for ward, count in people.items()}
    assert rows == pytest.approx(expected)


def test_the_city_reads_a_plan_of_nobody_in_particular_but_no_action(city):
    found = page(city, CITY, a="xe-dien")
    assert found.told
    assert [row.difference for row in found.totals] == pytest.approx([-9_000, -15_000, -15_000])
    assert found.parts == ()
    assert "wedges" not in found.figures("en")
    with pytest.raises(RequestError):
        page(city, CITY, a="xe-dien", by="place")


def test_the_city_reads_no_plan_of_one_company(city):
    assert page(city, a="lo-moi").total.difference == pytest.approx(-18_000)
    found = page(city, CITY, a="lo-moi")
    assert not found.told
    assert found.json()["years"] == found.json()["rows"] == found.json()["actions"] == []
    assert found.figures("en") == {}
    text = http(city, CITY).get("/plans?a=lo-moi&lang=en", headers={"accept": "text/html"}).text
    assert "18,000" not in text
    assert "Fewer than three companies" in text


def test_a_tenant_has_no_page_of_plans(live):
    assert http(live, TENANT).get("/plans.json").status_code == 403


@pytest.mark.parametrize("side", ["../../etc/passwd.yaml", "scenario.yaml", "tset", "*"])
def test_a_side_is_a_name_and_never_a_file(live, side):
    with pytest.raises(RequestError) as caught:
        page(live, a=side)
    assert caught.value.code == "live.unknown_choice"
    if side == "tset":
        assert "test" in str(caught.value)


def test_a_year_without_numbers_is_the_last_one(live):
    assert page(live, a="test", year="2050").year == 2028


def test_without_a_plan_the_page_says_how_to_make_one(tmp_path):
    park = mg.open(two_factory_park(tmp_path / "park"))
    with park.writer():
        pass
    text = http(Live(park, Clock(NOW, 0))).get("/plans?lang=en", headers={"accept": "text/html"}).text
    assert "mangrove plan adopt" in text


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_page_and_twins_say_the_same(live, lang):
    client = http(live)
    html = client.get("/plans", params={"lang": lang, "a": "test"}, headers={"accept": "text/html"}).text
    said = client.get("/plans.json", params={"lang": lang, "a": "test"}).json()
    assert "Tất cả" in html
    for problem in said["problems"]:
        assert problem["text"].split("'")[0] in html.replace("&#39;", "'").replace("&amp;", "&")
    for table in ("years", "rows", "actions", "measured"):
        assert client.get("/plans.csv", params={"table": table, "a": "test"}).status_code == 200
    for figure in ("difference", "wedges"):
        assert client.get("/plans.svg", params={"figure": figure, "a": "test"}).text.startswith("<svg")


# --- runs of adopted scenarios on the other pages ---------------------------------------------------------------------------


def test_the_run_of_a_scenario_is_measured_by_its_own_declaration(live):
    rows = compare(live.park, "test", "baseline").to_arrow().to_pylist()
    known = {
        row["start"].astimezone(live.territory.tz).year: row["a"]
        for row in rows
        if row["account"] == "inventory"
    }
    for year in (2026, 2027, 2028):
        assert live.measure(str(year), run="plan/test").total()["co2e_kg"] == pytest.approx(
            known[year], rel=1e-9
        )


@pytest.mark.parametrize("path", ["/now", "/map", "/inventory", "/change", "/why"])
def test_pages_that_know_only_the_declared_flows_refuse_it_and_say_where_it_is(live, path):
    answer = http(live).get(
        f"{path}.json" if path != "/why" else "/why.json", params={"scenario": "plan/test"}
    )
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["code"] == "live.run_of_scenario"
    html = http(live).get(path, headers={"accept": "text/html"}).text
    assert "plan/test" not in html, "it is not offered either"
