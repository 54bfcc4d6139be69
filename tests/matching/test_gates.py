# SPDX-License-Identifier: Apache-2.0
"""Hard filters: no score opens them, and what is unknown stays and is asked for."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.matching.listed import CENTER, named, need, offer, together

from mangrove.matching import candidates
from mangrove.matching.gates import covers

SLAG = {"codes": "ewc=100202"}
ACID = {"codes": "ewc=110105"}


def matched(one, other, where=None, **options):
    return candidates([one], [other], where=together(one, other) if where is None else where, **options)


def refusal(one, other, lang="en", **options):
    """The reasons for which the only pair is refused; it must not be a candidate."""
    found = matched(one, other, **options)
    assert named(found) == []
    (refused,) = found.refused(lang)
    return " | ".join(refused.reasons)


def test_dates_that_do_not_overlap_refuse():
    one = offer("a", "waste", valid_to=date(2026, 1, 1), **SLAG)
    assert "2026-01-01" in refusal(one, need("b", "material", valid_from=date(2026, 1, 1), **SLAG))
    assert named(matched(one, need("b", "material", valid_from=date(2025, 12, 31), **SLAG))) == [("a", "b")]


def test_a_hazardous_waste_goes_only_where_permits_cover_its_code():
    one = offer("a", "waste:110105")
    assert "110105" in refusal(one, need("b", "material", **ACID))
    assert "110105" in refusal(one, need("b", "material", permits=("1002", "110107"), **ACID))
    for permit in ("110105", "1101", "11"):
        found = matched(one, need("b", "material", permits=(permit,), **ACID))
        assert named(found) == [("a", "b")]
        assert any("hazardous" in reason for reason in found.reasons(0))


def test_a_hazardous_waste_without_a_code_is_refused_everywhere():
    one = offer("a", "waste", text="axit tẩy gỉ", hazardous=True)
    assert "without a waste code" in refusal(
        one, need("b", "material", text="axit tẩy gỉ", permits=("1101",), **ACID)
    )


def test_a_need_that_wants_nothing_hazardous_gets_nothing_hazardous():
    one = offer("a", "waste:110105")
    assert "wants nothing hazardous" in refusal(
        one, need("b", "material", permits=("11",), hazardous=False, **ACID)
    )


def test_a_waste_that_is_declared_harmless_needs_no_permit_where_none_is_listed():
    one = offer("a", "waste:100202", hazardous=False)
    assert named(matched(one, need("b", "material", **SLAG))) == [("a", "b")]


def test_permits_that_are_listed_must_cover_every_waste_code():
    one = offer("a", "waste", codes="ewc=100202 100903")
    assert "100903" in refusal(one, need("b", "material", permits=("1002",), **SLAG))
    assert named(matched(one, need("b", "material", permits=("1002", "1009"), **SLAG))) == [("a", "b")]


@pytest.mark.parametrize(
    ("had", "limit", "passes"),
    [
        ("chloride=0.4 %", "chloride<=0.5 %", True),
        ("chloride=0.5 %", "chloride<=0.5 %", True),
        ("chloride=5000 mg/kg", "chloride<=0.5 %", True),
        ("chloride=5001 mg/kg", "chloride<=0.5 %", False),
        ("Chloride=0.6 %", "chloride<=0.5 %", False),
        ("purity=89 %", "purity>=90 %", False),
        ("purity=90 %", "purity>=90 %", True),
        ("moisture=5 %", "moisture>=2 %; moisture<=4 %", False),
        ("moisture=3 %", "moisture>=2 %; moisture<=4 %", True),
    ],
)
def test_a_stated_property_must_hold_the_limit(had, limit, passes):
    one, other = offer("a", "waste", quality=had, **SLAG), need("b", "material", quality=limit, **SLAG)
    if passes:
        found = matched(one, other)
        assert named(found) == [("a", "b")]
        assert found.asks(0) == []
    else:
        assert refusal(one, other)


@pytest.mark.parametrize("had", ["", "moisture=3 %", "chloride=5 mg/L"])
def test_a_property_that_is_not_stated_or_not_comparable_is_asked_for(had):
    one, other = (
        offer("a", "waste", quality=had, **SLAG),
        need("b", "material", quality="chloride<=0.5 %", **SLAG),
    )
    found = matched(one, other)
    assert found.asks(0) == ["ask for chloride (needed <= 0.5 %)"]
    assert found.asks(0, "vi") == ["hỏi chloride (cần <= 0,5 %)"]


def test_the_smallest_of_three_radii_holds():
    one, other = offer("a", "waste", radius="30 km", **SLAG), need("b", "material", radius="12 km", **SLAG)
    where = {"a": CENTER, "b": (CENTER[0], CENTER[1] + 10 / 111.195)}
    found = matched(one, other, where)
    assert found.distance_km[0] == pytest.approx(10, rel=1e-3)
    assert "beyond 9 km" in refusal(one, other, where=where, radius_km=9)
    tight = need("b", "material", radius="9.9 km", **SLAG)
    assert "beyond 9.9 km" in refusal(one, tight, where=where)
    assert "beyond 9.9 km" in refusal(offer("a", "waste", radius="9.9 km", **SLAG), other, where=where)


def test_an_unknown_place_stays_and_is_asked_for():
    one, other = offer("a", "waste", **SLAG), need("b", "material", radius="1 km", **SLAG)
    found = matched(one, other, {"a": CENTER})
    assert named(found) == [("a", "b")]
    assert found.asks(0) == ["ask for the coordinates of b: the distance is unknown"]


def test_what_stands_at_one_place_is_no_exchange():
    one, other = offer("a", "waste", "mill", **SLAG), need("b", "material", "mill", **SLAG)
    found = matched(one, other)
    assert named(found) == []
    assert found.refused() == []


@given(
    st.lists(st.sampled_from(["10", "1002", "100202", "11", "100903"])),
    st.sampled_from(["100202", "100903", "110105"]),
)
def test_a_permit_covers_what_begins_with_it(permits, code):
    assert covers(permits, code) == any(code[: len(permit)] == permit for permit in permits)
