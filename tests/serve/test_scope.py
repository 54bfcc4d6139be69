# SPDX-License-Identifier: Apache-2.0
"""Who sees, writes and is told what: every role over a small park, and that totals for the city tell nobody's figure.

Comes in: the two-factory park, a park with as many companies as a case needs, the three-ward city. Goes out: the rights of each role,
and for generated tables that no cell with too few companies can be computed from what is shown and the sum.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mangrove as mg
from mangrove.serve.scope import ROLES, THRESHOLD, Principal, Scope, guest
from mangrove.testing import three_ward_city, two_factory_park

MILL = {"mill.power", "mill.coal"}
ALL = MILL | {"shop.power", "shop.diesel"}
LETTERS = "abcdefgh"


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return mg.open(two_factory_park(tmp_path_factory.mktemp("park"))).territory


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A park of eight companies with three flows each, and one flow of the city beside it."""
    folder = two_factory_park(tmp_path_factory.mktemp("many"))
    places = ["id,name,kind,parent", "park,Park,park,"] + [f"{x},{x},facility,park" for x in LETTERS]
    flows = ["id,place,carrier,unit,step,semantics"]
    flows += [f"{x}{i},{x},electricity,kWh,1h,sum" for x in LETTERS for i in range(3)]
    (folder / "places.csv").write_text("\n".join(places) + "\n", "utf-8")
    (folder / "flows.csv").write_text("\n".join(flows) + "\n", "utf-8")
    return mg.open(folder).territory


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return mg.open(three_ward_city(tmp_path_factory.mktemp("city"))).territory


def scope(territory, role, place="", device=""):
    return Scope(territory, Principal("1", "An", "user", role, place, device))


@pytest.mark.parametrize(
    ("role", "place", "flows", "writes", "whole", "totals"),
    [
        ("admin", "", ALL, ALL, True, True),
        ("operator", "", ALL, ALL, True, True),
        ("operator", "park", ALL, ALL, True, True),
        ("operator", "mill", MILL, MILL, False, True),
        ("worker", "", ALL, ALL, True, True),
        ("tenant", "mill", MILL, MILL, False, True),
        ("tenant", "", set(), set(), False, True),
        ("city", "", set(), set(), False, True),
        ("device", "", set(), set(), False, False),
    ],
)
def test_each_role_reads_and_writes_its_own(park, role, place, flows, writes, whole, totals):  # noqa: PLR0917 - a table
    one = scope(park, role, place)
    assert (one.flows, one.writes, one.whole, one.totals) == (flows, writes, whole, totals)
    assert {p for p in park.places if one.sees(p)} == {park.flows[f].place for f in flows} | (
        {"park"} if whole else set()
    )


def test_every_role_has_a_case_above():
    assert set(ROLES) == {"admin", "operator", "tenant", "city", "device", "worker"}


def test_a_tenant_knows_what_is_above_it_and_nothing_beside_it(park):
    one = scope(park, "tenant", "mill")
    assert [one.knows(place) for place in ("mill", "park", "shop", "nowhere")] == [True, True, False, False]


def test_the_city_knows_all_places_and_sees_none(park):
    one = scope(park, "city")
    assert all(one.knows(place) and not one.sees(place) for place in park.places)


def test_a_device_knows_no_place(park):
    assert not any(scope(park, "device").knows(place) for place in park.places)


def test_a_guest_is_told_what_its_role_is_told(park):
    assert guest("city").key == Principal("7", "Sở", "user", "city").key
    assert Scope(park, guest("city")).suppresses


def test_only_the_city_is_told_less_than_all_cells(park):
    totals, members = {"mill": 5.0, "shop": 1.0}, {"mill": ["mill.power"], "shop": ["shop.power"]}
    for role in ROLES:
        shown = scope(park, role, "mill" if role == "tenant" else "").disclosed(totals, members)
        assert shown == (frozenset() if role == "city" else {"mill", "shop"})


def test_others_are_never_two_companies_alone(many):
    """Two are held back; the third company in the rest is the smallest cell that may be shown."""
    totals = {"a": 1.0, "b": 2.0, "cde": 30.0, "fgh": 20.0}
    members = {key: [f"{x}0" for x in key] for key in totals}
    assert scope(many, "city").disclosed(totals, members) == {"cde"}


def test_a_cell_of_nothing_hides_nobody(many):
    totals = {"a": 1.0, "b": 2.0, "cde": 30.0, "fgh": 0.0}
    members = {key: [f"{x}0" for x in key] for key in totals}
    assert scope(many, "city").disclosed(totals, members) == {"fgh"}


def test_a_company_in_two_cells_is_one_company(many):
    one = scope(many, "city")
    assert one.companies(["a0", "a1", "b0"]) == 2
    assert not one.enough(["a0", "a1", "b0"])
    assert one.enough(["a0", "b0", "c0"])


def test_what_is_known_of_a_whole_city_is_no_companys_figure(city):
    one = scope(city, "city")
    assert one.companies(city.flows) == 0
    assert one.disclosed({"I.1.2": 3.0}, {"I.1.2": ["homes.power"]}) == {"I.1.2"}
    assert one.tells(["market.power"])


def test_a_part_is_told_only_when_the_rest_tells_nobody_either(many):
    one = scope(many, "city")
    flows = sorted(many.flows)
    assert one.tells(flows)
    assert one.tells([f for f in flows if f[0] in "abc"])
    assert not one.tells([f for f in flows if f[0] in "ab"])
    assert not one.tells([f for f in flows if f[0] in "abcdef"])


tables = st.dictionaries(
    st.sampled_from(["r1", "r2", "r3", "r4", "r5"]),
    st.tuples(
        st.lists(st.sampled_from([f"{x}{i}" for x in LETTERS for i in range(3)]), max_size=6, unique=True),
        st.one_of(st.just(0.0), st.just(math.nan), st.floats(-1e6, 1e6)),
    ),
    max_size=5,
)


@given(table=tables, threshold=st.integers(2, 4))
def test_no_hidden_cell_of_few_companies_can_be_computed(many, table, threshold):
    """With the sum and the shown cells only the sum of the hidden cells is determined, so that is what must tell nobody."""
    one = Scope(many, Principal("1", "An", "user", "city"), threshold=threshold)
    totals = {key: total for key, (_, total) in table.items()}
    members = {key: flows for key, (flows, _) in table.items()}
    shown = one.disclosed(totals, members)
    hidden = set(totals) - shown
    assert all(one.enough(members[key]) for key in shown)
    behind = [f for key in hidden if totals[key] and math.isfinite(totals[key]) for f in members[key]]
    assert not shown or not hidden or one.companies(behind) >= threshold
    weighing = [key for key in hidden if totals[key] and math.isfinite(totals[key])]
    if shown and len(weighing) == 1:
        assert one.enough(members[weighing[0]])


def test_the_threshold_is_that_of_statistical_offices():
    assert THRESHOLD == 3
