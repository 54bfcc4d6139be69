# SPDX-License-Identifier: Apache-2.0
"""The reference page names every activity key, fuel and public call."""

from pathlib import Path

import pytest

from mangrove.rules import Rules, load, tables

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")


def test_every_activity_key_is_documented():
    missing = [
        key
        for key in load().activities
        if not key.startswith(("combustion/", "fuel/")) and f"`{key}`" not in PAGE
    ]
    assert missing == []


def test_every_fuel_use_and_alias_is_documented():
    uses = {key.split("/")[1] for key in load().activities if key.startswith("combustion/")}
    for name in (*tables.fuels(), *uses, *tables.aliases()):
        assert f"`{name}`" in PAGE


def test_every_question_of_the_rule_book_is_documented():
    public = [name for name in vars(Rules) if not name.startswith("_") and callable(getattr(Rules, name))]
    assert [name for name in public if f"`{name}(" not in PAGE] == []


@pytest.mark.parametrize("prefix", sorted({factor.id.split(":")[0] for factor in load().factors}))
def test_every_source_prefix_is_explained(prefix):
    assert f"`{prefix}`" in PAGE
