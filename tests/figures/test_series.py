# SPDX-License-Identifier: Apache-2.0
"""Columns along time add up, gaps are marked, and a missing month never looks like a low one."""

import math
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.figures import Coverage, coverage_strip, sparkline, stacked_series


def heights(drawing):
    return {
        rect.find("{*}title").text: float(rect.get("height"))
        for rect in drawing.all("rect")
        if rect.find("{*}title") is not None
    }


def test_column_heights_are_proportional(read):
    found = heights(
        read(stacked_series(["T1", "T2"], {"a": [10.0, 20.0], "b": [5.0, -5.0]}, title="s", lang="en"))
    )
    unit = found["T1, a: 10 t CO₂e"] / 10
    assert found["T2, a: 20 t CO₂e"] == pytest.approx(20 * unit, abs=0.2)
    assert found["T2, b: −5 t CO₂e"] == pytest.approx(5 * unit, abs=0.2)


def test_a_missing_month_is_hatched_and_named(read):
    drawing = read(
        stacked_series(["T1", "T2"], {"a": [10.0, math.nan], "b": [1.0, 2.0]}, title="s", lang="en")
    )
    assert "T2: a: no data" in heights(drawing)
    assert "incomplete: data is missing" in drawing.words


def test_small_series_become_others_and_the_sum_is_kept(read):
    series = {f"s{i}": [float(i)] for i in range(1, 13)}
    drawing = read(stacked_series(["T1"], series, title="s", lang="en", most=5))
    assert "8 others" in drawing.words
    assert "T1, 8 others: 36 t CO₂e" in heights(drawing)


def test_a_series_of_another_length_is_refused():
    with pytest.raises(RequestError) as caught:
        stacked_series(["T1", "T2"], {"a": [1.0]}, title="s")
    assert caught.value.code == "figures.series_length"


def test_coverage_shows_full_partial_and_missing_days(read):
    rows = [
        Coverage("đồng hồ", [1.0] * 10 + [0.5] * 4 + [0.0] * 2),
        Coverage("mới", [math.nan] * 8 + [1.0] * 8),
    ]
    drawing = read(coverage_strip(rows, start=date(2024, 1, 1), title="c", lang="en"))
    tips = drawing.tips[1:]
    assert tips == ["100.0 %, 10 days", "50.0 %, 4 days", "0.0 %, 2 days", "100.0 %, 8 days"]
    assert "75.0 %" in drawing.words


def test_a_sparkline_breaks_where_data_is_missing(read):
    drawing = read(sparkline([1.0, 2.0, math.nan, 3.0, 4.0], title="x"))
    assert len(drawing.all("path")) == 2
    assert len(drawing.all("line")) == 1
    assert len(drawing.text) < 1000


amount = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 14).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.dictionaries(st.text(max_size=30), st.lists(amount, min_size=n, max_size=n), max_size=12),
        )
    ),
    st.text(),
)
def test_nothing_breaks_a_series(read, case, title):
    count, series = case
    periods = [f"T{i}" for i in range(count)]
    text = stacked_series(periods, series, title=title)
    read(text)
    assert text == stacked_series(periods, series, title=title)
    for values in series.values():
        read(sparkline(values, title=title))
    read(coverage_strip([Coverage(k, v) for k, v in series.items()], start=date(2024, 2, 28), title=title))
