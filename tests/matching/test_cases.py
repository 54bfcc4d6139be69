# SPDX-License-Identifier: Apache-2.0
"""Files of past exchanges, what a territory says besides its listings, and who took such things before."""

import pytest

from mangrove import testing
from mangrove.errors import DeclarationError
from mangrove.matching import Case
from mangrove.matching.cases import read_cases
from mangrove.matching.declared import coordinates, running, trades
from mangrove.matching.receivers import Receivers
from mangrove.territory import load

GOOD = "text,ewc,nace_from,nace_to,id\nBlast furnace slag,10 02 02,2410,23.51,a\nBã bia,020704;020702,1105,0146;0147,\n"


def written(folder, text):
    path = folder / "cases.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_past_exchanges_is_read_row_by_row(tmp_path):
    first, second = read_cases(written(tmp_path, GOOD.replace("10 02 02", "100202")))
    assert first == Case(("2410",), ("2351",), "Blast furnace slag", ("100202",), id="a")
    assert (second.ewc, second.nace_to, second.id) == (("020704", "020702"), ("0146", "0147"), "2")


def test_every_problem_is_named_with_its_place_in_both_languages(tmp_path):
    text = "text,ewc,nace_from,nace_to\nslag,100299,x,2351\n,,2410,2351\nash,100204,,\n"
    with pytest.raises(DeclarationError) as error:
        read_cases(written(tmp_path, text))
    found = {(one.code, one.where.line, one.where.column) for one in error.value.problems}
    assert found == {
        ("match.case_trade", 2, 13), ("match.case_empty", 3, 1), ("match.case_code", 4, 5), ("territory.blank", 4, 13),
    }  # fmt: skip
    assert "cases.csv:4:5: '100204' is not a six-digit waste code" in error.value.text("en")
    assert "không phải mã chất thải" in error.value.text("vi")


def test_a_column_that_nobody_knows_and_a_file_that_is_not_there_are_problems(tmp_path):
    with pytest.raises(DeclarationError, match="nace_too"):
        read_cases(written(tmp_path, "text,nace_to,nace_too\nslag,2351,1\n"))
    with pytest.raises(DeclarationError, match="nowhere"):
        read_cases(tmp_path / "nowhere.csv")


def test_a_place_without_coordinates_stands_where_the_place_around_it_stands(tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    (folder / "places.csv").write_text(
        "id,name,kind,parent,lon,lat\npark,Park,park,,106.7,20.8\nmill,Mill,facility,park,106.71,20.81\nshop,Shop,facility,park,,\n",
        encoding="utf-8",
    )
    assert coordinates(load(folder)) == {
        "park": (106.7, 20.8),
        "mill": (106.71, 20.81),
        "shop": (106.7, 20.8),
    }


def test_trades_come_from_listings_and_running_exchanges_are_cases(tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    (folder / "offers.csv").write_text(
        "id,place,carrier,codes,quantity\nslag,mill,waste:100202,nace=2410,10 t/month\n", encoding="utf-8"
    )
    (folder / "exchanges.csv").write_text(
        "id,place,to_place,carrier,name,sent\nx,mill,shop,waste:100202,Xỉ thép,mill.coal\n", encoding="utf-8"
    )
    territory = load(folder)
    known = trades(territory)
    assert known == {"mill": ("2410",)}
    assert running(territory, known) == [
        Case(("2410",), (), "Xỉ thép", ("100202",), id="x", study="x", giver="mill", taker="shop")
    ]


def test_the_industry_that_took_the_same_waste_stands_first():
    cases = [
        Case(("2410",), ("2351",), "blast furnace slag", ("100202",)), Case(("1105",), ("0146",), "spent grains", ("020704",)),
        Case(("1105",), ("3821",), "mixed waste", ("200301",)),
    ]  # fmt: skip
    asked = [Case((), (), "steel slag", ("100202",)), Case(("1105",), (), "brewer's spent grain", ())]
    assert [one[0] for one in Receivers(cases).rank(asked)] == ["23", "01"]
    assert Receivers([]).rank(asked) == [(), ()]
