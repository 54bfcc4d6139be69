# SPDX-License-Identifier: Apache-2.0
"""A factor knows when it holds, and its hash covers every field."""

from dataclasses import fields, replace
from datetime import date

import pytest

from mangrove.rules import Factor, Selection, Source

FACTOR = Factor(
    "QD2626:X", "process/x", "CO2", 2.0, "t CO2/t", "direct", "official", Source("Decision", "Appendix I", "1.1"),
    valid_from=date(2024, 1, 1), valid_to=date(2025, 1, 1),
)  # fmt: skip


def test_validity_is_half_open():
    days = [date(2023, 12, 31), date(2024, 1, 1), date(2024, 12, 31), date(2025, 1, 1)]
    assert [FACTOR.valid_on(day) for day in days] == [False, True, True, False]


@pytest.mark.parametrize("name", [field.name for field in fields(Factor)])
def test_changing_any_field_changes_the_hash(name):
    other = {
        "source": Source("Other"),
        "value": 3.0,
        "uncertainty": 0.1,
        "valid_from": None,
        "valid_to": None,
    }
    changed = replace(FACTOR, **{name: other.get(name, "changed")})
    assert changed.content_hash != FACTOR.content_hash


def test_a_source_reads_as_document_article_and_item():
    assert str(FACTOR.source) == "Decision, Appendix I, 1.1"


def test_a_selection_without_a_caution_says_nothing():
    assert Selection(FACTOR).caution_text("vi") == ""
