# SPDX-License-Identifier: Apache-2.0
"""Numbers are read by the marks that a column shows, and refused when a mark can be read both ways."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.sources.numbers import BAD, MISSING, OK, NumberStyle, parse, weigh


@pytest.mark.parametrize(
    ("cells", "decimal"),
    [
        (["1.234,5", "7"], ","),
        (["1,234.5", "7"], "."),
        (["3,17", "4"], ","),
        (["3.17", "4"], "."),
        (["0.123", "4.567"], "."),
        (["0,123", "4,567"], ","),
        (["1.234.567"], ","),
        (["1,234,567"], "."),
        (["12", "1500"], "."),
        (["3,066", "887", "10,196", "9,941", "2,989", "12,000"], "."),
        (["3.066", "887", "10.196", "9.941", "2.989", "12.000"], ","),
        (["1 234,5", "2 000,25"], ","),
    ],
)
def test_the_decimal_mark_follows_from_what_the_column_shows(cells: list[str], decimal: str) -> None:
    style = weigh(pa.array(cells)).style()
    assert style is not None
    assert style.decimal == decimal


@pytest.mark.parametrize("cells", [["1.234"], ["1,234", "5,678"], ["12.345", "67.890", "1.200"]])
def test_a_mark_that_could_group_thousands_or_part_decimals_is_ambiguous(cells: list[str]) -> None:
    assert weigh(pa.array(cells)).style() is None


@pytest.mark.parametrize(
    ("cell", "style", "value"),
    [
        ("1.234,5", ",", 1234.5),
        ("1,234.5", ".", 1234.5),
        ("1\u00a0234,5", ",", 1234.5),
        ("1\u202f234\u202f567", ".", 1234567.0),
        ("12'345.5", ".", 12345.5),
        ("−3,5", ",", -3.5),
        ("+2.5", ".", 2.5),
        ("1.5e3", ",", 1500.0),
        ("1.50000000000000000e+00", ",", 1.5),
        (" 7 ", ".", 7.0),
        (".5", ".", 0.5),
    ],
)
def test_a_number_is_read_by_its_marks(cell: str, style: str, value: float) -> None:
    values, codes = parse(pa.array([cell, "x"]), NumberStyle(style))
    assert codes.tolist() == [OK, BAD]
    assert values[0] == value


@pytest.mark.parametrize(
    "cell", ["1,23,456", "1.2.3", "12a", "1,5", "#REF!", "inf", "1e999", "--5", "0x10", "१२"]
)
def test_what_is_no_number_in_the_style_of_the_column_is_bad_and_never_guessed(cell: str) -> None:
    values, codes = parse(pa.array([cell]), NumberStyle("."))
    assert codes.tolist() == [BAD]
    assert np.isnan(values[0])


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "NaN", "-", "null", None])
def test_an_empty_cell_is_missing_and_not_bad(cell: str | None) -> None:
    assert parse(pa.array([cell, "1"], pa.string()), NumberStyle(","))[1].tolist() == [MISSING, OK]


@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1))
def test_numbers_written_with_points_or_commas_are_read_back_exactly(numbers: list[float]) -> None:
    cells = [repr(n) if "e" in repr(n) else f"{n!r}" for n in numbers]
    assert parse(pa.array(cells), NumberStyle("."))[0].tolist() == numbers
    commas = [c if "e" in c else c.replace(".", ",") for c in cells]
    assert parse(pa.array(commas), NumberStyle(","))[0].tolist() == numbers


@given(st.integers(-(10**12), 10**12), st.sampled_from([",", ".", " ", "\u00a0", "'"]))
def test_grouped_thousands_are_read_back(number: int, mark: str) -> None:
    written = f"{number:,}".replace(",", mark)
    decimal = "," if mark == "." else "."
    assert parse(pa.array([written]), NumberStyle(decimal))[0].tolist() == [float(number)]


@given(st.lists(st.text(), max_size=20), st.sampled_from([".", ","]))
def test_no_text_breaks_the_reader(cells: list[str], mark: str) -> None:
    values, codes = parse(pa.array(cells, pa.string()), NumberStyle(mark))
    assert len(values) == len(codes) == len(cells)
    assert np.isfinite(values[codes == OK]).all()
    weigh(pa.array(cells, pa.string())).style()
