# SPDX-License-Identifier: Apache-2.0
"""A mapping file is read strictly: every problem is listed with its line and column."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mangrove.sources.mapping import Column, Mapping
from mangrove.sources.problems import RejectedError

GOOD = """
files:
  - match: "steel*.csv"
    delimiter: ";"
    skip: 3
    header: false
    time: [date, hour]
    date_order: dmy
    timezone: Asia/Ho_Chi_Minh
    stamp: end
    midnight: same_day
    decimal: ","
    columns:
      mill.electricity: {column: Usage_kWh, unit: kWh, scale: 40}
      office: "2"
  - match: "*.xlsx"
    long: {flow: meter, value: reading, names: {MTR-1: office}}
"""


def test_a_whole_mapping_is_read() -> None:
    first, second = Mapping.parse(GOOD).files
    assert first.time == ("date", "hour")
    assert (first.shape.delimiter, first.shape.skip, first.shape.header) == (";", 3, False)
    column = first.columns["mill.electricity"]
    assert (column.column, column.unit, column.scale) == ("Usage_kWh", "kWh", 40.0)
    assert isinstance(first.columns["office"], Column)
    assert second.long is not None
    assert second.long.names == {"MTR-1": "office"}


def test_the_first_entry_whose_pattern_matches_speaks_for_a_file() -> None:
    mapping = Mapping.parse(GOOD)
    assert mapping.for_file(Path("in/steel_2024.csv")) is mapping.files[0]
    assert mapping.for_file(Path("a.xlsx")) is mapping.files[1]
    assert mapping.for_file(Path("other.csv")) is None


def test_all_problems_are_listed_together_with_their_places() -> None:
    text = """files:
  - match: "*"
    colums: {a: b}
    stamp: middle
    timezone: Asia/Hanoi
    skip: three
    time_format: "%d/%m"
    columns: {a: {column: x, unit: kWhh}}
    sessions: {start: a, end: b, value: c}
  - time: date
"""
    with pytest.raises(RejectedError) as caught:
        Mapping.parse(text, "m.yaml")
    found = [(p.where.line, p.where.column, p.code) for p in caught.value.problems if p.where]
    assert found[0] == (3, 5, "sources.unknown_key")
    assert {code for _, _, code in found} == {
        "sources.unknown_key",
        "sources.bad_choice",
        "base.unknown_zone",
        "sources.not_number",
        "sources.bad_format",
        "sources.two_forms",
        "base.unknown_unit",
        "sources.flow_or_column",
        "sources.missing_key",
    }
    assert (10, 5, "sources.missing_key") in found
    assert "did you mean 'columns'" in caught.value.text("en")
    assert "columns" in caught.value.text("vi")


@pytest.mark.parametrize(
    "text", ["", "files: 3", "- a", "files: [1]", "a: [", "files:\n  - match: a\n    match: b\n"]
)
def test_a_document_of_another_form_is_refused_in_words(text: str) -> None:
    with pytest.raises(RejectedError) as caught:
        Mapping.parse(text)
    assert caught.value.text("vi")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["files", "match", "time", "columns", "long", "sessions", "unit", "decimal", "skip"]), inner, max_size=4)))  # fmt: skip
def test_no_document_breaks_the_reader(document: object) -> None:
    with suppress(RejectedError):
        Mapping.parse(yaml.safe_dump({"files": [document]}))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("columns: {mill: {column: a, scale: nan}}", "sources.not_factor"),
        ("columns: {mill: {column: a, scale: 1e400}}", "sources.not_factor"),
        ("columns: {mill: {column: a, scale: 0}}", "sources.not_factor"),
        ("delimiter: ab", "sources.one_character"),
    ],
)
def test_what_no_file_can_be_read_by_is_refused(text: str, code: str) -> None:
    with pytest.raises(RejectedError) as caught:
        Mapping.parse(f"files:\n  - match: '*'\n    {text}\n")
    assert [problem.code for problem in caught.value.problems] == [code]
