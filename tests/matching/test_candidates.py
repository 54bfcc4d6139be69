# SPDX-License-Identifier: Apache-2.0
"""Pairs against a search by hand over all of them, levels of heat and water, memory, words, and odd worlds."""

from math import asin, cos, isnan, radians, sin, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.matching.listed import CENTER, named, need, offer, together

from mangrove.errors import RequestError
from mangrove.matching import Case, EwcCoder, candidates
from mangrove.matching.agree import saturated

CODES = ["100202", "100201", "100903", "030105", "150101", "150102"]


@pytest.fixture(scope="module")
def coder():
    return EwcCoder()


def matched(*listings, where=None, **options):
    offers, needs = ([one for one in listings if one.side == side] for side in ("offer", "need"))
    return candidates(offers, needs, where=together(*listings) if where is None else where, **options)


def haversine(one, other):
    (lon1, lat1), (lon2, lat2) = (tuple(map(radians, point)) for point in (one, other))
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0088 * asin(sqrt(chord))


def by_hand(offers, needs, where, radius):
    """Score and km of every pair of goods without words: 0.6 times the share of digits that are the same, inside the radius."""
    found = {}
    for one in offers:
        for other in needs:
            a, b = one.codes["ewc"][0], other.codes["ewc"][0]
            agreed = next(
                (worth for digits, worth in ((6, 1.0), (4, 0.6), (2, 0.25)) if a[:digits] == b[:digits]), 0
            )
            km = haversine(where[one.place], where[other.place])
            if 0.6 * agreed >= 0.1 and km <= radius:
                found[one.id, other.id] = 0.6 * agreed, km
    return found


worlds = st.integers(0, 2**32 - 1)


def drawn(seed, count=12):
    rng = np.random.default_rng(seed)
    listings = [
        maker(f"{kind}{n}", carrier, codes=f"ewc={rng.choice(CODES)}", name="-", hazardous=False)
        for kind, maker, carrier in (("o", offer, "material"), ("n", need, "material"))
        for n in range(count)
    ]
    where = {
        one.place: (CENTER[0] + rng.uniform(0, 0.6), CENTER[1] + rng.uniform(0, 0.6)) for one in listings
    }
    return listings[:count], listings[count:], where


@settings(max_examples=25, deadline=None)
@given(worlds, st.floats(1, 80))
def test_all_pairs_are_found_with_the_scores_of_a_search_by_hand(seed, radius):
    offers, needs, where = drawn(seed)
    found = candidates(offers, needs, where=where, radius_km=radius, keep=50, coder=EwcCoder())
    expected = by_hand(offers, needs, where, radius)
    assert set(named(found)) == set(expected)
    for pair, score, km in zip(named(found), found.score, found.distance_km, strict=True):
        assert (score, km) == pytest.approx(expected[pair], rel=1e-6, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(worlds, st.integers(1, 4))
def test_what_is_kept_is_the_best_of_each_offer_and_of_each_need(seed, keep):
    offers, needs, where = drawn(seed)
    found = candidates(offers, needs, where=where, keep=keep, coder=EwcCoder())
    every = {
        pair: score - 1e-3 * km / (km + 50) for pair, (score, km) in by_hand(offers, needs, where, 50).items()
    }
    expected = set()
    for side in (0, 1):
        for id_ in {pair[side] for pair in every}:
            ranked = sorted((pair for pair in every if pair[side] == id_), key=lambda pair: -every[pair])
            expected |= set(ranked[:keep])
    assert set(named(found)) == expected
    assert list(found.score) == sorted(found.score, reverse=True)


def test_blocks_of_any_size_find_the_same(monkeypatch):
    offers, needs, where = drawn(7, 40)
    whole = candidates(offers, needs, where=where, keep=3)
    monkeypatch.setattr("mangrove.matching.scan._PAIRS", 100)
    blocks = candidates(offers, needs, where=where, keep=3)
    assert named(whole) == named(blocks)
    assert np.array_equal(whole.score, blocks.score)


def test_the_same_code_stands_before_the_group_and_the_group_before_the_chapter():
    found = matched(
        offer("a", "waste:100202"),
        *(need(f"n{code}", "material", codes=f"ewc={code}") for code in ("101208", "100202", "100210")),
    )
    assert [pair[1] for pair in named(found)] == ["n100202", "n100210", "n101208"]
    assert found.reasons(0)[0] == "both name EWC 100202: unprocessed slag"
    assert found.reasons(1)[0].startswith("both belong to EWC 1002")
    assert found.reasons(0, "vi")[0] == "cả hai ghi EWC 100202: xỉ chưa chế biến"


def test_a_vietnamese_offer_without_codes_meets_an_english_need_by_way_of_codes(coder):
    found = matched(
        offer("a", "waste", text="Mùn cưa và dăm bào gỗ keo khô"), need("b", "material", text="sawdust, wood shavings for particle board"),
        coder=coder,
    )  # fmt: skip
    assert named(found) == [("a", "b")]
    said = " ".join(found.reasons(0))
    assert "030105" in said
    assert "read from its words" in said


def test_products_meet_by_customs_codes():
    found = matched(offer("a", "material", codes="hs=7204.41"), need("b", "material", codes="hs=7204"))
    assert "HS 7204" in found.reasons(0)[0]


@pytest.mark.parametrize(
    ("had", "wanted", "serves"),
    [
        ("heat@90degC", "heat@80degC", True), ("heat@80degC", "heat@80degC", True), ("heat@79degC", "heat@80degC", False),
        ("steam@10bar", "steam@6bar", True), ("steam@6bar", "steam@10bar", False), ("steam@10bar", "heat@170degC", True),
        ("steam@10bar", "heat@190degC", False), ("heat@200degC", "steam@10bar", True), ("heat@150degC", "steam@10bar", False),
        ("cooling@7degC", "cooling@12degC", True), ("cooling@12degC", "cooling@7degC", False),
    ],
)  # fmt: skip
def test_heat_serves_what_is_colder_steam_what_has_less_pressure_cold_what_is_warmer(had, wanted, serves):
    found = matched(offer("a", had), need("b", wanted))
    assert (named(found) == [("a", "b")]) == serves
    assert (found.refused() == []) == serves


def test_the_temperature_may_stand_in_the_quality_and_is_asked_for_where_nobody_says_it():
    found = matched(offer("a", "heat", quality="temperature=95 degC"), need("b", "heat@80degC"))
    assert found.reasons(0)[0] == "heat of 95 °C serves 80 °C"
    assert matched(offer("a", "heat"), need("b", "heat@80degC")).asks(0) == ["ask for the temperature of a"]


def test_heat_that_is_just_hot_enough_stands_before_heat_that_is_much_hotter():
    found = matched(offer("hot", "heat@300degC"), offer("warm", "heat@85degC"), need("n", "heat@80degC"))
    assert [pair[0] for pair in named(found)] == ["warm", "hot"]


@pytest.mark.parametrize(("bar", "celsius"), [(1.01325, 100.0), (5.0, 151.8), (10.0, 179.9), (40.0, 250.4)])
def test_saturated_steam_is_as_hot_as_steam_tables_say(bar, celsius):
    """IAPWS-IF97 saturation temperatures, to 1 K."""
    assert saturated(bar) == pytest.approx(celsius, abs=1.0)


def test_water_is_decided_by_its_limits_and_known_quality_stands_first():
    limits = "COD<=60 mg/L; TSS<=30 mg/L"
    found = matched(
        offer("clean", "water@reuse", quality="COD=41 mg/L; TSS=24 mg/L"), offer("half", "water@reuse", quality="COD=41 mg/L"),
        offer("dirty", "wastewater@raw", quality="COD=300 mg/L; TSS=24 mg/L"), need("n", "water@reuse", quality=limits),
    )  # fmt: skip
    assert [pair[0] for pair in named(found)] == ["clean", "half"]
    assert found.asks(1) == ["ask for TSS (needed <= 30 mg/L)"]
    assert "COD is 300 mg/L" in found.refused()[0].reasons[0]


def test_water_for_a_need_without_limits_is_a_question():
    found = matched(offer("a", "wastewater@raw"), need("n", "water@reuse"))
    assert found.asks(0) == ["ask which quality n bears: it states no limits"]


def test_kinds_that_cannot_replace_each_other_never_meet():
    found = matched(
        offer("a", "electricity"),
        offer("b", "waste:100202"),
        need("n", "water@clean"),
        need("m", "heat@80degC"),
    )
    assert len(found) == 0
    assert named(matched(offer("a", "electricity"), need("n", "electricity"))) == [("a", "n")]


def test_memory_lifts_the_industry_that_took_such_things_before():
    cases = [Case(("2410",), ("2351",), "blast furnace slag", ("100202",), id="7")]
    found = matched(
        offer("a", "waste:100202", codes="nace=2410"), need("cement", "material", codes="ewc=100202; nace=2351"),
        need("shop", "material", codes="ewc=100202; nace=4711"), cases=cases,
    )  # fmt: skip
    assert [pair[1] for pair in named(found)] == ["cement", "shop"]
    assert found.pairs.memory[0] == pytest.approx(1.0)
    assert found.pairs.memory[1] == 0
    assert any(reason.startswith("past exchange 7") for reason in found.reasons(0))


def test_technologies_answer_wishes_by_codes_and_words():
    catalogue = {
        "heat_pump": ("Bơm nhiệt nhiệt độ cao nâng nhiệt thải lên 90 độ", ""), "uf": ("Màng siêu lọc tách dầu khỏi nhũ tương", "ewc=120109"),
        "zinc": ("Thu hồi kẽm từ bụi lò điện", "ewc=100207"), "audit": ("Compressed air leak audit", ""), "solar": ("Điện mặt trời mái nhà", ""),
        "compost": ("Ủ phân compost từ rác hữu cơ", "ewc=200108"), "digester": ("Biogas digester for food waste", "ewc=200108"),
        "ro": ("Thẩm thấu ngược tái sử dụng nước thải", ""), "dryer": ("Sludge dryer with waste heat", "ewc=190812"), "brick": ("Gạch không nung từ xỉ", "ewc=100202"),
    }  # fmt: skip
    wishes = {
        "emulsion": ("Muốn tách dầu khỏi nhũ tương cắt gọt thải", "ewc=120109", "uf"), "dust": ("Recover zinc from EAF dust", "ewc=100207", "zinc"),
        "leaks": ("Nghi rò rỉ khí nén ban đêm", "", "audit"), "sludge": ("Bùn thải sinh học quá ẩm", "ewc=190812", "dryer"),
        "heat": ("Need hot water of 90 degrees from waste heat with a heat pump", "", "heat_pump"),
    }  # fmt: skip
    offers = [
        offer(id_, "service:technology", text=text, codes=codes) for id_, (text, codes) in catalogue.items()
    ]
    needs = [
        need(id_, "service:technology", text=text, codes=codes) for id_, (text, codes, _) in wishes.items()
    ]
    found = matched(*offers, *needs)
    best = {}
    for one, other in named(found):
        best.setdefault(other, one)
    assert best == {id_: right for id_, (_, _, right) in wishes.items()}


@pytest.mark.parametrize("text", ["", "🙂🙂🙂", "   ", "\u0301", "a" * 5000])
def test_odd_texts_are_matched_like_others(text, coder):
    found = matched(
        offer("a", "waste", text=text, codes="ewc=100202"),
        need("b", "material", text=text, codes="ewc=100202"),
        coder=coder,
    )
    assert named(found) == [("a", "b")]
    assert (
        matched(offer("a", "waste", text=text), need("b", "material", text=text), coder=coder).score.max(
            initial=0
        )
        <= 1
    )


def test_one_side_alone_gives_no_pairs(coder):
    for listings in ([offer("a", "waste:100202")], [need("a", "material")], []):
        found = matched(*listings, coder=coder)
        assert len(found) == 0
        assert found.refused() == []


def test_a_thousand_equal_listings_keep_the_nearest_of_each(coder):
    offers = [
        offer(f"o{n}", "waste", text="xỉ thép", codes="ewc=100202", hazardous=False) for n in range(1000)
    ]
    needs = [need(f"n{n}", "material", text="xỉ thép", codes="ewc=100202") for n in range(1000)]
    where = {
        one.place: (CENTER[0], CENTER[1] + n / 11120)
        for listings in (offers, needs)
        for n, one in enumerate(listings)
    }
    found = candidates(offers, needs, where=where, keep=1, coder=coder)
    assert {(f"o{n}", f"n{n}") for n in range(1000)} <= set(named(found))
    assert found.distance_km.max() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "options", [{"keep": 0}, {"radius_km": 0}, {"radius_km": -1}, {"radius_km": float("nan")}]
)
def test_a_question_that_makes_no_sense_is_refused(options):
    with pytest.raises(RequestError):
        matched(offer("a", "waste:100202"), need("b", "material"), **options)


def test_scores_lie_between_zero_and_one_and_distances_are_known_or_not(coder):
    offers, needs, where = drawn(1)
    where.pop(offers[0].place)
    found = candidates(offers, needs, where=where, coder=coder)
    assert ((found.score > 0) & (found.score <= 1)).all()
    lost = [
        isnan(km) for pair, km in zip(named(found), found.distance_km, strict=True) if pair[0] == offers[0].id
    ]
    assert all(lost)


def test_amounts_in_other_units_are_compared_and_those_that_cannot_are_asked_for():
    ton = offer("a", "waste", codes="ewc=100202", quantity="120 t/month")
    assert "offered 120, needed 200 t/month on average" in matched(
        ton, need("b", "material", codes="ewc=100202", quantity="2400 t/yr")
    ).reasons(0)
    assert any(
        "m3/d" in ask
        for ask in matched(ton, need("b", "material", codes="ewc=100202", quantity="3 m3/d")).asks(0)
    )


def test_a_code_counts_once_where_nobody_wrote_words(coder):
    silent = matched(
        offer("o", "waste:100202"),
        need("n", "material", codes="ewc=100202", permits=("100202",)),
        coder=coder,
    )
    said = matched(
        offer("o", "waste:100202", name="steel slag"),
        need("n", "material", name="steel slag", codes="ewc=100202", permits=("100202",)),
        coder=coder,
    )
    assert float(silent.score[0]) == pytest.approx(0.6), "six digits are the same, and no word was written"
    assert float(silent.pairs.words[0]) == 0.0
    assert not any("words" in text for text in silent.reasons(0))
    assert float(said.pairs.words[0]) == pytest.approx(1.0)
    assert any("words" in text for text in said.reasons(0))


def test_words_on_one_side_are_compared_with_the_label_of_the_code_on_the_other(coder):
    label = "unprocessed slag"  # entry 10 02 02 of Decision 2014/955/EU
    found = matched(offer("o", "waste:100202"), need("n", "material", name=label), coder=coder)
    assert float(found.pairs.words[0]) == pytest.approx(1.0)
