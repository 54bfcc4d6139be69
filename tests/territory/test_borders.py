"""How values of old and new places stand for each other, against sums made by hand."""

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import FLOWS, PLACES, good

from mangrove.errors import RequestError
from mangrove.territory import Borders, level_of, shares, tree_on
from mangrove.territory.model import Crosswalk, Place, Territory

NEW, OLD = date(2025, 7, 1), date(2025, 6, 30)


def city(tmp_path, **population):
    places = PLACES
    for name, people in population.items():
        places = "\n".join(
            line.replace(",,106", f",{people},106") if line.startswith(name + ",") else line
            for line in places.splitlines()
        )
    return good(tmp_path, {"places.csv": places, "flows.csv": FLOWS})


def test_the_tree_of_a_day_has_only_the_places_of_that_day(tmp_path):
    before, after = tree_on(city(tmp_path), OLD), tree_on(city(tmp_path), NEW)
    assert before.children["city"] == ("old1", "old2", "old3")
    assert after.children["city"] == ("north", "south")
    assert set(after.places) == {"city", "north", "south"}


def test_a_place_stands_for_itself_and_for_what_contains_it(tmp_path):
    world = city(tmp_path)
    assert shares(world, "north", "ward", NEW) == [("north", 1.0)]
    assert shares(world, "north", "city", NEW) == [("city", 1.0)]
    assert level_of(world, "north", "city", NEW) == "city"
    assert level_of(world, "north", "lot", NEW) is None


def test_a_larger_place_stands_for_its_parts_by_population_or_area(tmp_path):
    world = city(tmp_path)
    assert shares(world, "city", "ward", NEW) == [("north", 0.75), ("south", 0.25)]
    assert shares(world, "city", "ward", NEW, by="area") == [("north", 0.25), ("south", 0.75)]
    assert shares(world, "city", "ward", OLD, by="area") == [("old1", 0.3), ("old2", 0.2), ("old3", 0.5)]


def test_an_old_place_follows_its_listed_shares(tmp_path):
    world = city(tmp_path)
    assert shares(world, "old1", "ward", NEW) == [("north", 1.0)]
    assert shares(world, "old2", "ward", NEW) == [("north", 0.75), ("south", 0.25)]
    assert shares(world, "old2", "city", NEW) == [("city", 1.0)]
    assert level_of(world, "old2", "city", NEW) == "city"
    assert level_of(world, "old2", "ward", NEW) is None


def test_a_new_place_goes_back_to_the_old_ones_by_what_each_gave(tmp_path):
    world = city(tmp_path, old1=1000, old2=2000, old3=500)
    assert shares(world, "north", "ward", OLD) == [("old1", 0.4), ("old2", 0.6)]  # 1000 and 0.75 x 2000
    assert shares(world, "south", "ward", OLD) == [("old2", 0.5), ("old3", 0.5)]  # 0.25 x 2000 and 500


def districts(**population) -> Territory:
    """Two old districts of two wards each; the wards merge crosswise into three new ones."""
    rows = [
        ("d1", "district", None), ("d2", "district", None), ("a", "ward", "d1"), ("b", "ward", "d1"), ("c", "ward", "d2"),
        ("e", "ward", "d2"),
    ]  # fmt: skip
    places = {i: Place(i, i.upper(), k, p, None, NEW, population=population.get(i)) for i, k, p in rows}
    for i in ("x", "y", "z"):
        places[i] = Place(i, i.upper(), "ward", None, NEW, None, population=population.get(i))
    walk = (Crosswalk("a", "x"), Crosswalk("b", "y"), Crosswalk("c", "y"), Crosswalk("e", "z"))
    return Territory(None, "T", "city", "Asia/Ho_Chi_Minh", "VND", "vi", None, places, {}, crosswalk=walk)


def test_a_larger_old_place_is_spread_over_what_came_from_it_by_the_population_of_its_parts():
    world = districts(a=300, b=100, c=50, e=50)
    assert shares(world, "d1", "ward", NEW) == [("x", 0.75), ("y", 0.25)]
    assert shares(world, "d2", "ward", NEW) == [("y", 0.5), ("z", 0.5)]


def test_without_it_the_population_of_the_new_places_serves_only_when_none_is_mixed():
    world = districts(x=300, y=100, z=100)
    with pytest.raises(RequestError) as caught:
        shares(world, "d1", "ward", NEW)
    assert caught.value.code == "territory.mixed_origin"
    assert caught.value.problem.data["missing"] == "Y"
    assert "Y" in caught.value.text("vi")
    whole = Territory(
        None, "T", "city", "Asia/Ho_Chi_Minh", "VND", "vi", None, world.places, {},
        crosswalk=(Crosswalk("a", "x"), Crosswalk("b", "y"), Crosswalk("c", "z"), Crosswalk("e", "z")),
    )  # fmt: skip
    assert shares(whole, "d1", "ward", NEW) == [("x", 0.75), ("y", 0.25)]


def test_an_unknown_population_is_an_error_that_names_the_place(tmp_path):
    with pytest.raises(RequestError) as caught:
        shares(city(tmp_path), "city", "ward", OLD)
    assert caught.value.problem.data["missing"] == "Phường 1, Phường 2, Phường 3"


def test_nobody_living_anywhere_is_an_error_too():
    places = {i: Place(i, i.upper(), "ward", "r", population=0) for i in "xyz"}
    places["r"] = Place("r", "R", "city")
    world = Territory(None, "T", "city", "Asia/Ho_Chi_Minh", "VND", "vi", None, places, {})
    with pytest.raises(RequestError, match="X, Y, Z"):
        shares(world, "r", "ward", NEW)


@given(st.lists(st.floats(1e-3, 1e7), min_size=2, max_size=60))
def test_shares_add_up_to_exactly_one(people):
    places = {"r": Place("r", "R", "city")}
    places |= {f"w{n}": Place(f"w{n}", "W", "ward", "r", population=p) for n, p in enumerate(people)}
    world = Territory(None, "T", "city", "Asia/Ho_Chi_Minh", "VND", "vi", None, places, {})
    found = Borders(world).shares("r", "ward", NEW)
    assert math.fsum(share for _, share in found) == 1.0
    assert [key for key, _ in found] == [f"w{n}" for n in range(len(people))]
    for (_, share), weight in zip(found, people, strict=True):
        assert share == pytest.approx(weight / sum(people), rel=1e-9, abs=1e-15)
