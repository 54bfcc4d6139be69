# SPDX-License-Identifier: Apache-2.0
"""Listings that people enter: the newest holds, withdrawn ones are gone, bad ones are refused or left out by name."""

import json

import pytest

import mangrove as mg
from mangrove import listings, matches, testing
from mangrove.errors import DeclarationError, RequestError

SLAG = {
    "id": "slag",
    "place": "mill",
    "carrier": "waste:100202",
    "text": "Xỉ lò điện",
    "codes": "ewc=10.02.02",
    "quantity": "40 t/month",
}


@pytest.fixture
def park(tmp_path):
    return mg.open(testing.two_factory_park(tmp_path / "park"))


def test_an_entered_listing_reads_like_a_row_of_the_table(park):
    listings.enter(park, "offer", SLAG, author="an")
    listings.enter(
        park, "need", {**SLAG, "id": "fill", "place": "Xưởng cơ khí", "carrier": "material"}, author="bình"
    )
    offers, needs = matches.listings(park)
    assert (offers["slag"].side, offers["slag"].codes) == ("offer", {"ewc": ("100202",)})
    assert offers["slag"].quantity.months("t") == (40.0,) * 12
    assert needs["fill"].place == "shop"
    found = matches.match(park)
    assert [(row["offer"], row["need"]) for row in found.document()["proposals"]] == [("slag", "fill")]


def test_an_id_in_decomposed_letters_is_the_same_id(park):
    for id_ in ("xi\u0309", "x\u1ec9"):
        listings.enter(park, "offer", {**SLAG, "id": id_}, author="an")
    assert set(listings.known(park).offers) == {"x\u1ec9"}


def test_the_newest_record_of_an_id_holds_and_a_withdrawn_one_is_gone(park):
    for quantity in ("40 t/month", "50 t/month", "40 t/month"):
        listings.enter(park, "offer", {**SLAG, "quantity": quantity}, author="an")
    assert listings.known(park).offers["slag"].quantity.values == (40.0,)
    listings.withdraw(park, "slag", author="an")
    assert listings.known(park).offers == {}
    listings.enter(park, "offer", SLAG, author="an")
    assert set(listings.known(park).offers) == {"slag"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"carrier": "wast:100202"}, "territory.unknown_carrier"), ({"place": "nowhere"}, "territory.unknown_place"),
        ({"quantity": "-4 t/month"}, "territory.negative"), ({"quantity": ""}, "territory.no_quantity"),
        ({"codes": "ewc=100204"}, "territory.unknown_code"), ({"quality": "chloride<=4 %"}, "territory.quality_sense"),
        ({"valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "territory.dates_reversed"), ({"price": "5 t"}, "territory.not_a_price"),
    ],
)  # fmt: skip
def test_a_cell_that_the_declaration_would_refuse_is_refused(park, fields, code):
    with pytest.raises(DeclarationError) as error:
        listings.enter(park, "offer", {**SLAG, **fields}, author="an")
    assert code in {one.code for one in error.value.problems}
    assert error.value.text("vi") != error.value.text("en")
    assert listings.known(park).offers == {}


@pytest.mark.parametrize(
    ("side", "fields"),
    [
        ("gift", {}),
        ("offer", {"id": ""}),
        ("offer", {"quantty": "4 t/month"}),
        ("offer", {"price": 5}),
        ("offer", {"place": " "}),
        ("offer", {"text": "\x1b[2J"}),
    ],
)
def test_a_side_a_field_or_a_value_that_cannot_be_is_refused(park, side, fields):
    with pytest.raises(RequestError):
        listings.enter(park, side, {**SLAG, **fields}, author="an")


def test_a_declared_id_cannot_be_entered_again_and_what_nobody_entered_cannot_be_withdrawn():
    park = mg.open("examples/park")
    with pytest.raises(RequestError, match=r"offers\.csv"):
        listings.parse(park.territory, {**SLAG, "side": "offer"})
    with pytest.raises(RequestError):
        listings.withdraw(park, "nothing", author="an")


def test_a_record_that_cannot_be_read_any_more_is_left_out_and_named(park):
    listings.enter(park, "offer", SLAG, author="an")
    document = {
        **SLAG,
        "id": "old",
        "place": "torn_down",
        "side": "offer",
        "author": "an",
        "at": "2026-01-01",
        "withdrawn": False,
    }
    with park.writer() as ledger:
        ledger.put_record(listings.KIND, json.dumps(document).encode())
        ledger.put_record(listings.KIND, b"[1]")
        ledger.put_record(listings.KIND, b"{}")
    known = listings.known(park)
    assert set(known.offers) == {"slag"}
    assert any("torn_down" in one.text("en") and one.severity == "warning" for one in known.problems)
    assert matches.match(park).problems[: len(known.problems)] == known.problems
