# SPDX-License-Identifier: Apache-2.0
"""Search finds factors in both languages, without accents and with typing mistakes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.rules import load

RULES = load()


@pytest.mark.parametrize(
    "query", ["than antraxit", "Than Antraxit", "anthracite", "anthracit", "THAN ANTRAXÍT"]
)
def test_anthracite_is_found_in_both_languages(query):
    found = RULES.find(query)
    assert found
    assert all(match.activity.endswith(("anthracite", "anthracite/ncv")) for match in found)
    factory = next(match for match in found if match.activity == "combustion/manufacturing/anthracite")
    assert {row.id.split(":")[0] for row in factory.rows} == {"QD2626", "IPCC2006"}


@pytest.mark.parametrize(
    ("query", "activity"),
    [
        ("dầu DO đường bộ", "combustion/road/diesel"),
        ("dau do duong bo", "combustion/road/diesel"),
        ("khí hóa lỏng dân dụng", "combustion/residential/lpg"),
        ("khi hoá long dan dung", "combustion/residential/lpg"),
        ("điện lưới", "grid/vn"),
        ("dien luoi viet nam", "grid/vn"),
        ("grid electricty", "grid/vn"),
        ("xi măng clinker", "process/cement/clinker"),
        ("trâu", "livestock/enteric/buffalo"),
        ("bể tự hoại", "wastewater/domestic/mcf/septic"),
        ("basic oxygen furnace", "process/steel/bof"),
        ("QD2626 II 3 1", "process/steel/bof"),
    ],
)
def test_activities_are_found_by_what_people_type(query, activity):
    assert activity in [match.activity for match in RULES.find(query)]


def test_a_search_shows_where_sources_disagree():
    (steel,) = [m for m in RULES.find("thép thô BOF") if m.activity == "process/steel/bof"]
    assert [row.value for row in steel.conflicts[0].rows] == [2.47, 1.46]


def test_one_language_can_be_searched_alone():
    assert any(m.activity.endswith("anthracite") for m in RULES.find("antraxit", lang="vi"))
    assert not RULES.find("antraxit chế tạo", lang="en")


def test_nothing_is_found_for_nothing():
    assert RULES.find("") == []
    assert RULES.find("   ,.;") == []
    assert RULES.find("zzzzqqqq xyzzy") == []
    assert RULES.find("diesel", limit=0) == []
    assert len(RULES.find("diesel", limit=3)) == 3


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.sampled_from([None, "vi", "en", "fr"]), st.integers(-3, 50))
def test_a_search_never_fails_and_keeps_its_limit(query, lang, limit):
    found = RULES.find(query, lang, limit)
    assert len(found) <= max(limit, 0)
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    assert all(0 < m.score <= 1 for m in found)
