# SPDX-License-Identifier: Apache-2.0
"""Words of by-products, with and without tone marks."""

import pytest

from mangrove.matching import catalog
from mangrove.matching.words import by_products, glossary, pivot
from mangrove.text import fold


def test_every_code_of_the_glossary_is_an_entry_of_the_list_of_waste():
    known = {one.code for one in catalog.wastes()}
    assert {code for phrase in glossary() for code in phrase.ewc} <= known


def test_no_phrase_stands_in_the_glossary_twice():
    spelled = [one.vi for one in glossary()]
    assert len(spelled) == len(set(spelled))


@pytest.mark.parametrize("phrase", [one.vi for one in glossary() if " " in one.vi])
def test_a_phrase_is_found_with_and_without_tone_marks_and_in_capitals(phrase):
    found = {
        one.vi
        for text in (phrase, fold(phrase), phrase.upper())
        for one in by_products(f"Cần bán {text}, 5 tấn")
    }
    assert any(fold(one) == fold(phrase) for one in found)
    assert phrase in {one.vi for one in by_products(phrase)}


def test_a_tone_mark_that_is_written_counts():
    assert by_products("bã bia")[0].en == "brewer's spent grains"
    assert by_products("ba bia")[0].en == "brewer's spent grains"
    assert by_products("bà bia") == []


def test_one_bare_syllable_is_no_by_product():
    assert by_products("xi") == []
    assert by_products("xỉ")[0].ewc[0] == "100101"


def test_the_longest_phrase_is_meant():
    assert [one.vi for one in by_products("xỉ lò điện hồ quang và xỉ than")] == ["xỉ lò điện", "xỉ than"]


def test_old_and_new_placing_of_tone_marks_are_the_same():
    assert by_products("phụ phẩm thuỷ sản") == by_products("phụ phẩm thủy sản") != []


@pytest.mark.parametrize("text", ["", "   ", "🙂🙂", "!!!", "\u200b"])
def test_nothing_is_found_in_nothing(text):
    assert by_products(text) == []
    assert isinstance(pivot(text), str)
