# SPDX-License-Identifier: Apache-2.0
"""The page of symbiosis: sums are those of the meters, a company sees its own side only, the city sums only; listings are put up and withdrawn."""

import re
from html import unescape

import pytest
from tests.serve import exchange_world as world
from tests.serve.access.browser import Browser
from tests.serve.whole import NOW, built

from mangrove import listings
from mangrove.errors import RequestError
from mangrove.serve import view as views
from mangrove.serve.clock import Clock
from mangrove.serve.pages import symbiosis
from mangrove.serve.scope import Principal, guest
from mangrove.serve.state import Live

KILN = Principal("1", "An", "user", "tenant", "kiln")
BAKERY = Principal("2", "Bình", "user", "tenant", "bakery")
CITY = Principal("3", "Sở", "user", "city")


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return world.exchanging(tmp_path_factory.mktemp("exchanges") / "park")


@pytest.fixture(scope="module")
def live(park):
    return Live(park, Clock(NOW, 0))


def page(live, principal=None, **params):
    view = views.read(
        live.territory, {"lang": "en", **params}, now=NOW, principal=principal or guest("operator"), period="year"
    )  # fmt: skip
    return symbiosis.build(live, view)


def test_sums_are_those_of_the_meters(live):
    found = page(live)
    slag, whey, swarf = found.running
    assert slag.taken.value == pytest.approx(world.MONTHS * world.SLAG)
    assert slag.saved.value == pytest.approx(world.MONTHS * world.SLAG * (111_000 + 222_000))
    assert whey.saved.value == pytest.approx(world.MONTHS * world.WHEY * 0.5 * 3_330_000)
    assert found.saved.value == pytest.approx(sum(one.saved.value for one in (slag, whey, swarf)))
    assert (slag.verified, slag.months, slag.gaps) == (world.MONTHS, world.MONTHS, 0)


def test_only_whole_months_that_have_passed_count(live):
    assert page(live, period="2023-06").running == ()
    assert page(live, period="2023-03").running[0].taken.value == pytest.approx(world.SLAG)
    assert page(live, period="2023-01-10..2023-04-10").running[0].months == 2


def test_a_company_sees_the_exchanges_that_it_is_part_of_and_its_own_side_of_the_savings(live):
    (slag,) = page(live, KILN).running
    assert slag.exchange.id == "slag_lime"
    assert slag.saved.value == pytest.approx(world.MONTHS * world.SLAG * 111_000)
    assert slag.co2 is None
    assert page(live, KILN).problems == ()


def test_the_plan_of_a_company_holds_its_own_exchanges_and_no_money_that_would_tell_a_partners_cost(live):
    mine = page(live, KILN).plan
    assert {one.id for one in mine.ideas} == {"scale>iron"}
    assert [(one.worth, one.price, dict(one.parts)) for one in mine.ideas] == [(None, None, {})]
    assert mine.members == ()
    everything = page(live).plan
    assert {one.place for one in everything.members} >= {"mill", "kiln", "dairy", "brewery"}
    assert sum(one.shares["shapley"] for one in everything.members) == pytest.approx(everything.worth, abs=10)
    assert page(live, CITY).plan is None


def test_the_city_sees_sums_only_and_no_listing(live):
    found = page(live, CITY)
    assert (found.running, found.board.listings, found.park) == ((), (), None)
    assert found.told
    assert found.saved.value == pytest.approx(page(live).saved.value)
    assert (found.board.offers, found.board.needs) == (2, 2)


def test_what_a_listing_costs_its_owner_otherwise_is_told_to_nobody(live):
    for who in (None, KILN, BAKERY, CITY):
        assert "987" not in str(page(live, who).board)


def test_the_ribbons_balance_and_a_width_that_there_is_not_is_refused(live):
    assert set(page(live).figures("vi")) == {"exchanges", "gains", "losses"}
    assert "Xỉ cho lò vôi: 1 nghìn tấn" in unescape(page(live, by="t").figures("vi")["exchanges"])
    with pytest.raises(RequestError) as caught:
        page(live, by="tonnes")
    assert caught.value.code == "live.unknown_choice"


def test_what_has_no_ribbon_is_named_and_guests_are_not_invited_to_enter(live):
    found = page(live, by="co2")
    assert set(found.undrawn) == {"Xỉ cho lò vôi", "Váng sữa", "Phoi"}  # no factor is declared
    assert page(live).undrawn == ()
    assert not page(live).may_enter
    assert page(live, KILN).may_enter
    assert not page(live, CITY).may_enter


def test_a_company_that_gives_one_thing_and_takes_another_is_drawn_without_a_circle(tmp_path):
    park = world.exchanging(tmp_path / "park")
    rows = (park.territory.path / "exchanges.csv").read_text(encoding="utf-8")
    rows = rows.replace("forge,brewery", "kiln,mill")
    (park.territory.path / "exchanges.csv").write_text(rows, encoding="utf-8")
    from mangrove import open as opened

    again = Live(opened(park.territory.path), Clock(NOW, 0))
    assert "svg" in page(again).figures("en")["exchanges"]


# --- the whole application ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    park = world.exchanging(tmp_path_factory.mktemp("whole") / "park")
    with built(park) as made:
        yield made


@pytest.fixture
def visitor(whole):
    opened = []

    def enter(role):
        browser = Browser(whole.app)
        opened.append(browser)
        browser.http.cookies.set("mangrove", whole.sessions[role])
        return browser

    yield enter
    for one in opened:
        one.close()


GOOD = {
    "side": "offer", "id": "dust", "place": "mill", "carrier": "waste:100208", "name": "Bụi lọc <b>",
    "text": "bụi lọc túi", "codes": "ewc=100208", "quantity": "4 t/month", "quality": "", "price": "", "otherwise_cost": "", "permits": "",
}  # fmt: skip


def put_up(browser, **changes):
    form = GOOD | changes | {"csrf": browser.token("/symbiosis/enter?lang=en")}
    return browser.post("/symbiosis/listings?lang=en", form)


def test_a_company_puts_up_an_offer_that_everybody_sees_and_withdraws_it(whole, visitor):
    mill = visitor("tenant")
    answer = put_up(mill)
    assert (answer.status_code, answer.headers["location"]) == (303, "/symbiosis?lang=en")
    assert "dust" in listings.known(whole.live.park).offers
    text = visitor("operator").get("/symbiosis?lang=en&period=2023").text
    assert "Bụi lọc &lt;b&gt;" in text
    form = {"csrf": mill.token("/symbiosis/enter"), "id": "dust", "side": "offer", "withdraw": "yes"}
    assert mill.post("/symbiosis/listings", form).status_code == 303
    assert "dust" not in listings.known(whole.live.park).offers


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"place": "forge"}, "forge"),
        ({"quantity": "4 t"}, "4 t"),
        ({"quality": "moisture=-3 %"}, "-3 %"),
        ({"codes": "ewc=999999"}, "999999"),
        ({"id": "scale"}, "scale"),
        ({"carrier": "wasted:1"}, "wasted:1"),
        ({"side": "gift"}, "gift"),
        ({"id": ""}, ""),
    ],
)
def test_what_cannot_be_is_named_in_the_form_and_nothing_is_stored(whole, visitor, changes, words):
    before = listings.known(whole.live.park).offers.keys()
    answer = put_up(visitor("tenant"), **changes)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert words in unescape(answer.text)
    assert listings.known(whole.live.park).offers.keys() == before


def test_nobody_overwrites_or_withdraws_what_another_company_entered(whole, visitor):
    put_up(visitor("operator"), id="forge_dust", place="forge")
    mill = visitor("tenant")
    assert put_up(mill, id="forge_dust").status_code == 422
    form = {"csrf": mill.token("/symbiosis/enter"), "id": "forge_dust", "withdraw": "yes"}
    assert mill.post("/symbiosis/listings", form).status_code in {400, 403, 404, 422}
    assert listings.known(whole.live.park).offers["forge_dust"].place == "forge"


def test_the_city_neither_enters_nor_prints_a_companys_form(visitor):
    city = visitor("city")
    for path in ("/symbiosis/enter", "/symbiosis/form?form=B.4&place=mill&period=2023"):
        assert city.get(path).status_code == 403


def test_a_company_prints_its_own_form_and_no_other(visitor):
    mill = visitor("tenant")
    own = mill.get("/symbiosis/form?form=B.4&place=mill&period=2023&lang=en")
    assert own.status_code == 200
    assert re.search(r"B\.4", own.text)
    for path in ("/symbiosis/form?form=A.4&period=2023", "/symbiosis/form?form=B.4&place=forge&period=2023"):
        assert mill.get(path).status_code in {400, 403, 404}


def test_the_form_that_a_company_prints_holds_no_word_of_the_exchanges_of_others(visitor):
    made = visitor("operator").get("/symbiosis/form?form=A.4&period=2023&lang=en").text
    assert "swarf_ballast" in made, "what is doubtful about each exchange is told to who runs the park"
    for lang in ("en", "vi"):
        own = unescape(
            visitor("tenant").get(f"/symbiosis/form?form=B.4&place=mill&period=2023&lang={lang}").text
        )
        assert "slag_lime" in own
        for word in (
            "whey_bread",
            "swarf_ballast",
            "dairy.",
            "bakery.",
            "forge.",
            "brewery.",
            "Váng sữa",
            "Phoi",
            "Bánh mì",
            "Bia ",
        ):
            assert word not in own, (lang, word)


def test_the_operator_prints_the_form_of_the_park_with_the_tonnes_of_the_meters(visitor):
    answer = visitor("operator").get("/symbiosis/form?form=A.4&period=2023&lang=en")
    assert answer.status_code == 200
    assert "Circular 05/2025" in answer.text
    assert "1,250" in unescape(answer.text)  # 1,000 of slag, half of 200 of whey, 150 of swarf
