# SPDX-License-Identifier: Apache-2.0
"""One Vietnamese name is one name, however it was typed; other names stay other names."""

import csv
import random
import re
import unicodedata
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.text import canonical, fold, same_name, sort_key, suggest

TONES = {"huyền": "\u0300", "sắc": "\u0301", "ngã": "\u0303", "hỏi": "\u0309", "nặng": "\u0323"}
ONSETS = ["", "b", "ch", "d", "đ", "gi", "h", "k", "kh", "l", "m", "n", "ng", "ngh", "nh", "ph", "s", "t", "th", "tr", "x"]  # fmt: skip
PAIRS = ["oa", "oe", "uy"]
RIMES = ["oan", "oang", "oanh", "oai", "oay", "oat", "oac", "oen", "oet", "uynh", "uyt", "uych", "uyên", "uyêt", "uyu"]  # fmt: skip
DICTIONARY = [
    # order of letters (a ă â b c d đ e ê …) and of tones (none, huyền, hỏi, ngã, sắc, nặng), as in the general Vietnamese
    # dictionaries, for example "Từ điển tiếng Việt" (Hoàng Phê ed., Viện Ngôn ngữ học)
    "a", "á", "ai", "ái", "an", "ao", "ăn", "ấm", "ân", "ba", "bà", "bả", "bã", "bá", "bạ", "băng", "bân", "ca", "cà", "cả", "cá", "cha",
    "da", "dạ", "dân", "đa", "đà", "đá", "đăng", "đâu", "em", "ê", "ga", "gà", "hoa", "hoà", "hoả", "hoá", "hoạ", "ma", "mà", "mả", "mã",
    "má", "mạ", "mo", "mò", "mô", "mồ", "mơ", "mờ", "nga", "ngã", "tu", "tù", "tủ", "tú", "tụ", "tư", "từ", "tử", "tứ", "tự", "xa", "ý",
]  # fmt: skip


def shuffled(words: list[str]) -> list[str]:
    return random.Random(7).sample(words, len(words))


def placed(syllable: str, tone: str, position: int) -> str:
    """`syllable` with the tone on its letter at `position`."""
    return unicodedata.normalize("NFC", syllable[: position + 1] + tone + syllable[position + 1 :])


def spellings(syllable: str, tone: str) -> tuple[str, str]:
    """Old and new placement on the two vowels at the end of `syllable`."""
    return placed(syllable, tone, len(syllable) - 2), placed(syllable, tone, len(syllable) - 1)


@pytest.mark.parametrize(("onset", "pair"), list(product(ONSETS, PAIRS)))
def test_the_tone_on_either_vowel_is_one_spelling(onset, pair):
    for tone in TONES.values():
        traditional, modern = spellings(onset + pair, tone)
        assert traditional != modern
        forms = [
            unicodedata.normalize(form, change(word))
            for form, word, change in product(
                ("NFC", "NFD"), (traditional, modern), (str, str.upper, str.title)
            )
        ]
        assert len({canonical(form).casefold() for form in forms}) == 1
        assert all(same_name(a, b) for a in forms for b in forms)
        assert canonical(traditional) == modern


@pytest.mark.parametrize(("traditional", "modern"), [
    ("hòa", "hoà"), ("thúy", "thuý"), ("khỏe", "khoẻ"), ("thủy", "thuỷ"), ("Hòa Bình", "Hoà Bình"), ("KHÓA", "KHOÁ"), ("ủy ban", "uỷ ban"),
    ("Phường Thủy Nguyên", "Phường Thuỷ Nguyên"), ("Khánh Hòa", "Khánh Hoà"), ("xòe", "xoè"), ("họa", "hoạ"), ("lũy", "luỹ"),
])  # fmt: skip
def test_names_in_old_and_new_placement_are_the_same(traditional, modern):
    assert same_name(traditional, modern)
    assert canonical(traditional) == canonical(modern) == modern


@pytest.mark.parametrize(
    "word",
    ["quý", "Quý", "quỳ", "quỷ", "quỹ", "quỵ", "quá", "quà", "quả", "Quế", "của", "mùa", "Chùa", "lúa", "tủa", "đũa", "lụa", "Cửa Lò",
     "mía", "Nghĩa", "thuế", "Huế", "thuở", "bào", "đèo", "tàu", "núi", "khuỷu", "Bùi"],
)  # fmt: skip
def test_words_whose_tone_has_one_place_stay_as_they_are(word):
    assert canonical(word) == unicodedata.normalize("NFC", word)


@pytest.mark.parametrize(("onset", "rime"), list(product(["t", "h", "kh", "ng"], RIMES)))
def test_a_syllable_that_ends_in_more_letters_keeps_its_tone(onset, rime):
    base = "ê" if "ê" in rime else "yu" if rime == "uyu" else rime[1]
    written = placed(onset + rime, TONES["sắc"], (onset + rime).index(base[0]))
    assert canonical(written) == written


def test_words_with_other_tones_or_letters_are_other_names():
    pairs = [
        ("hoà", "hoá"),
        ("hoà", "hoa"),
        ("thuý", "thuỳ"),
        ("Đống Đa", "Dong Da"),
        ("mua", "mưa"),
        ("Phường 1", "Phường 10"),
    ]
    assert not any(same_name(left, right) for left, right in pairs)  # fmt: skip


letters = st.text("aăâbcdđeêghiklmnoôơpqrstuưvxyAĂÂĐÊÔƠƯY \u0300\u0301\u0303\u0309\u0323", max_size=24)


@given(letters)
def test_the_canonical_spelling_is_its_own_canonical_spelling(text):
    once = canonical(text)
    assert canonical(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert canonical(unicodedata.normalize("NFD", text)) == once
    assert canonical(f"  {text} ") == once


@given(letters)
def test_folding_forgets_every_mark_and_case_and_nothing_else(text):
    folded = fold(text)
    assert fold(folded) == folded
    assert folded.isascii()
    assert fold(canonical(text)) == folded == fold(text.upper()) == fold(unicodedata.normalize("NFD", text))
    assert len(folded.replace(" ", "")) == sum(
        not unicodedata.combining(c) and not c.isspace() for c in unicodedata.normalize("NFD", text)
    )


def test_a_search_without_accents_finds_the_name():
    assert fold("Khu công nghiệp NAM CẦU KIỀN") == "khu cong nghiep nam cau kien"
    assert fold("Đặc khu Côn Đảo") == fold("ĐẶC KHU CÔN ĐẢO") == "dac khu con dao"


def test_words_sort_as_in_a_dictionary():
    assert sorted(shuffled(DICTIONARY), key=sort_key) == DICTIONARY
    decomposed = [unicodedata.normalize("NFD", word) for word in DICTIONARY]
    assert sorted(shuffled(decomposed), key=sort_key) == decomposed


def test_a_shorter_name_goes_before_a_longer_one_and_words_before_letters():
    names = ["Ấp Bắc", "Ba Đình", "Ba Vì", "Ban Mê", "Đà Lạt", "Đà Nẵng", "Đống Đa", "Em", "Hoàn Kiếm"]
    assert sorted(shuffled(names), key=sort_key) == names


@given(letters, letters)
def test_capitals_do_not_change_the_order(left, right):
    assert (sort_key(left) < sort_key(right)) == (sort_key(left.upper()) < sort_key(right.upper()))


def test_a_suggestion_is_one_of_the_options_or_nothing():
    assert suggest("dien", ["điện", "nước"]) == "điện"
    assert suggest("efficency", ["efficiency", "energy"]) == "efficiency"
    assert suggest("xyz", ["điện", "nước"]) is None
    assert suggest("", ["a"]) is None
    assert suggest("a", []) is None


@pytest.mark.data
def test_the_real_wards_join_in_every_spelling_without_loss(data_dir):
    path = data_dir / "territory/wards_joined_hcmc_hp_hy.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 300
    keys = {(row["prov"], canonical(row["fullName"]).casefold()): row["code"] for row in rows}
    assert len(keys) == len(rows), "two wards of one province became one"
    old = str.maketrans({"\u0300": "", "\u0301": "", "\u0303": "", "\u0309": "", "\u0323": ""})
    moved = 0
    for row in rows:
        for spelling in typed(row["fullName"]):
            moved += unicodedata.normalize("NFC", spelling) != row["fullName"]
            assert keys[row["prov"], canonical(spelling).casefold()] == row["code"]
        bare = unicodedata.normalize("NFD", row["fullName"]).translate(old)
        assert fold(bare) == fold(row["fullName"])
    assert moved > 20


def typed(name: str) -> list[str]:
    """The ways in which a name is typed: composed, decomposed, capitals, tone on either vowel of oa, oe, uy."""
    other = [name]
    for pair, tone in product(PAIRS, TONES.values()):
        for old, new in (spellings(pair, tone), spellings(pair, tone)[::-1]):
            other.append(re.sub(rf"(?<!q){old}(?!\w)", new, name, flags=re.IGNORECASE))
    distinct = dict.fromkeys(other)
    return [form for one in distinct for form in (one, one.upper(), unicodedata.normalize("NFD", one))]
