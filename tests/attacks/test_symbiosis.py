# SPDX-License-Identifier: Apache-2.0
"""Attacks on the exchange of by-products: nobody passes for another, nothing is cut short, one listing takes no plan away, sums tell no company."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, timedelta
from html import unescape

import pytest
from tests.serve import exchange_world as world
from tests.serve.access.browser import Browser
from tests.serve.whole import NOW, built

import mangrove as mg
from mangrove import exchange, listings, matches
from mangrove.errors import DeclarationError, RequestError
from mangrove.serve import view as views
from mangrove.serve.access import SYSTEM
from mangrove.serve.clock import Clock
from mangrove.serve.pages import symbiosis
from mangrove.serve.scope import Principal
from mangrove.serve.state import Live

CITY = Principal("3", "Sở", "user", "city")
MINE = {
    "side": "offer", "id": "bụi", "place": "mill", "carrier": "waste:100208", "name": "Bụi lọc", "text": "bụi lọc túi",
    "codes": "ewc=100208", "quantity": "4 t/month",
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with built(world.exchanging(tmp_path_factory.mktemp("attacked") / "park")) as made:
        made.sessions["kiln"] = made.accounts.sessions.open(
            made.accounts.users.add("kiln person", "tenant", "kiln", by=SYSTEM)
        )
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


def put_up(browser, **changes):
    form = MINE | changes | {"csrf": browser.token("/symbiosis/enter?lang=en")}
    return browser.post("/symbiosis/listings?lang=en", form)


@pytest.mark.parametrize(
    "id_", ["bụi", " bụi", "bụi\t", unicodedata.normalize("NFD", "bụi"), f" {unicodedata.normalize('NFD', 'bụi')} "]
)  # fmt: skip
def test_nobody_takes_the_listing_of_another_however_its_key_is_typed(whole, visitor, id_):
    put_up(visitor("tenant"))
    answer = put_up(visitor("kiln"), place="kiln", name="FORGED", id=id_)
    assert answer.status_code == 422
    assert "is taken by another company" in unescape(answer.text)
    assert listings.known(whole.live.park).offers["bụi"].place == "mill"


def test_what_is_put_up_stands_on_the_board_at_once_and_is_gone_at_once(visitor):
    mill = visitor("tenant")

    def ids():
        return {one["id"] for one in mill.get("/symbiosis.json").json()["listings"]}

    assert "at_once" not in ids()
    assert put_up(mill, id="at_once").status_code == 303
    assert "at_once" in ids()
    form = {"csrf": mill.token("/symbiosis/enter"), "id": "at_once", "side": "offer", "withdraw": "yes"}
    assert mill.post("/symbiosis/listings", form).status_code == 303
    assert "at_once" not in ids()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "x" * 501}, "'text' holds more than 500"),
        ({"name": "two\nlines"}, "U+000A"),
        ({"name": "\u202egnitset"}, "U+202E"),
        ({"quantity": "1e300 t/month"}, "1e+300"),
        ({"quality": "x=1e250 %"}, "1e+250"),
        ({"otherwise_cost": "1e300 VND/t"}, "1e+300"),
    ],
)
def test_what_is_too_long_too_large_or_turns_text_around_is_refused_by_name(whole, visitor, changes, words):
    answer = put_up(visitor("tenant"), id="odd", **changes)
    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert "odd" not in listings.known(whole.live.park).offers


def test_a_form_without_its_token_and_one_of_ten_megabytes_change_nothing(whole, visitor):
    mill = visitor("tenant")
    before = listings.revision(whole.live.park)
    assert mill.post("/symbiosis/listings", MINE | {"id": "no_token"}).status_code == 403
    huge = MINE | {"id": "huge", "text": "x" * 10_000_000, "csrf": mill.token("/symbiosis/enter")}
    assert mill.post("/symbiosis/listings", huge).status_code == 413
    assert listings.revision(whole.live.park) == before


def test_names_that_are_formulas_or_scripts_are_words_on_the_page_and_in_the_table(visitor):
    mill = visitor("tenant")
    put_up(
        mill, id="<script>", name='=HYPERLINK("http://evil.example","x")', text="<script>alert(1)</script>"
    )
    page = mill.get("/symbiosis?lang=en").text
    assert not re.search(r"<script>(alert|\"|')", page)
    cells = mill.get("/symbiosis.csv?table=listings").text
    assert ",=HYPERLINK" not in cells
    assert ',"=HYPERLINK' not in cells


def test_a_declared_number_beyond_all_measure_is_named_with_its_cell(tmp_path):
    folder = tmp_path / "park"
    world.exchanging(folder)
    rows = (folder / "needs.csv").read_text(encoding="utf-8").replace("2000000 VND/t", "1e300 VND/t")
    (folder / "needs.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(DeclarationError) as caught:
        mg.open(folder)
    (said,) = caught.value.problems
    assert (said.code, said.where.file, said.where.line) == ("territory.beyond", "needs.csv", 2)


# --- what is over -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def over(tmp_path):
    """The offer of scale ended long ago."""
    folder = tmp_path / "park"
    world.exchanging(folder)
    head, *rows = (folder / "offers.csv").read_text(encoding="utf-8").splitlines()
    told = [f"{head},valid_to", *(f"{row},{'2020-01-01' if row.startswith('scale') else ''}" for row in rows)]
    (folder / "offers.csv").write_text("\n".join(told) + "\n", encoding="utf-8")
    return mg.open(folder)


def test_an_offer_that_is_over_is_neither_matched_nor_planned_nor_on_the_board(over):
    found = matches.match(over)
    assert "scale" not in {one.id for one in found.offers}
    (said,) = [one for one in found.problems if one.code == "match.over"]
    assert said.text("en") == "1 offers or needs are over and are left out: scale"
    assert all(one.offer != "scale" for one in exchange.plan(over, radius=500.0, store=False).plan.exchanges)
    assert "scale" not in {
        one.id for one in looked_at(over, Principal("1", "An", "user", "operator")).board.listings
    }


def test_an_offer_that_is_over_is_matched_when_it_is_asked_for_by_name(over):
    assert [one.id for one in matches.match(over, offer="scale").offers] == ["scale"]


def test_a_listing_is_over_on_the_day_that_it_ends(over):
    day = date(2020, 1, 1)
    offers = over.territory.offers
    assert "scale" in listings.current(offers, day - timedelta(days=1))
    assert "scale" not in listings.current(offers, day)


# --- sums -------------------------------------------------------------------------------------------------------------------


def looked_at(park, principal, **params):
    live = Live(park, Clock(NOW, 0))
    view = views.read(live.territory, {"lang": "en", **params}, now=NOW, principal=principal, period="year")
    return symbiosis.build(live, view)


def test_the_city_sees_no_sum_of_months_in_which_one_exchange_alone_ran(tmp_path):
    folder = tmp_path / "park"
    world.exchanging(folder)
    head, *rows = (folder / "exchanges.csv").read_text(encoding="utf-8").splitlines()
    told = [
        f"{head},valid_from",
        *(f"{row},{'' if row.startswith('whey') else '2023-03-01'}" for row in rows),
    ]
    (folder / "exchanges.csv").write_text("\n".join(told) + "\n", encoding="utf-8")
    park = mg.open(folder)
    alone = looked_at(park, CITY, period="2023-01")
    assert (alone.saved, alone.told) == (None, False)
    assert looked_at(park, CITY, period="2023-04").saved is not None


def test_the_city_sees_no_avoided_emissions_that_one_exchange_alone_avoids(tmp_path):
    folder = tmp_path / "park"
    world.exchanging(folder)
    head, first, *rows = (folder / "effects.csv").read_text(encoding="utf-8").splitlines()
    factor = ["slag_lime,primary_material,1 t clinker/t,taker,111000 VND/t,process/cement/clinker"]
    told = [f"{head},factor", *factor, *(f"{row}," for row in rows)]
    (folder / "effects.csv").write_text("\n".join(told) + "\n", encoding="utf-8")
    assert first.startswith("slag_lime,primary_material")
    park = mg.open(folder)
    assert looked_at(park, Principal("1", "An", "user", "operator")).co2 is not None
    seen = looked_at(park, CITY)
    assert (seen.co2, seen.saved is None) == (None, False)


def test_a_withdrawn_key_that_nobody_entered_is_named(tmp_path):
    park = world.exchanging(tmp_path / "park")
    with pytest.raises(RequestError) as caught:
        listings.withdraw(park, "nobody", author="An")
    assert caught.value.code == "match.no_listing"
