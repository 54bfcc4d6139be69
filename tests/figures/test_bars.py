# SPDX-License-Identifier: Apache-2.0
"""Bars show amounts in proportion, intervals as whiskers, removals left of zero and missing numbers in red."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.figures import Bar, interval_bars, stacked_bars
from mangrove.figures.palette import ALARM


def boxes(drawing):
    """X and width of every bar by its tooltip."""
    return {
        rect.find("{*}title").text: (float(rect.get("x")), float(rect.get("width")))
        for rect in drawing.all("rect")
        if rect.find("{*}title") is not None
    }


def test_lengths_are_proportional_and_start_at_zero(read):
    drawing = read(interval_bars([Bar("A", 100.0), Bar("B", 50.0), Bar("R", -25.0)], title="b", lang="en"))
    found = boxes(drawing)
    (ax, aw), (bx, bw), (rx, rw) = (found[f"{key} t CO₂e"] for key in ("A: 100", "B: 50", "R: −25"))
    assert ax == bx == pytest.approx(rx + rw, abs=0.11)
    assert bw == pytest.approx(aw / 2, abs=0.11)
    assert rw == pytest.approx(aw / 4, abs=0.11)


def test_whiskers_span_the_interval(read):
    drawing = read(interval_bars([Bar("A", 100.0, 80.0, 130.0)], title="b", lang="en"))
    x, width = boxes(drawing)["A: 100 t CO₂e"]
    whisker = next(p for p in drawing.all("path") if p.get("stroke-width") == "1.4")
    low, high = (float(v) for v in re.findall(r"M([-\d.]+),", whisker.get("d"))[:2])
    assert low == pytest.approx(x + 0.8 * width, abs=0.2)
    assert high == pytest.approx(x + 1.3 * width, abs=0.2)
    assert "(80–130)" in drawing.words


def test_a_row_without_a_number_is_red_words_and_a_hatch(read):
    drawing = read(interval_bars([Bar("A", 1.0), Bar("B", math.nan), Bar("C", None)], title="b", lang="en"))
    missing = [text for text in drawing.all("text") if (text.text or "") == "no data"]
    assert [text.get("fill") for text in missing] == [ALARM, ALARM]
    hatched = [rect for rect in drawing.all("rect") if (rect.get("fill") or "").startswith("url")]
    assert len(hatched) == 2


def test_stacked_parts_stand_end_to_end_and_add_up(read):
    rows = [Bar("A", None, parts={"one": 30.0, "two": 50.0, "sink": -10.0})]
    drawing = read(stacked_bars(rows, title="b", lang="en"))
    found = boxes(drawing)
    one, two, sink = (found[f"A, {key} t CO₂e"] for key in ("one: 30", "two: 50", "sink: −10"))
    assert two[0] == pytest.approx(one[0] + one[1], abs=0.11)
    assert sink[0] + sink[1] == pytest.approx(one[0], abs=0.11)
    assert two[1] == pytest.approx(one[1] * 5 / 3, abs=0.2)
    assert "70" in drawing.words


def test_a_stack_with_a_missing_part_has_no_total(read):
    drawing = read(stacked_bars([Bar("A", None, parts={"one": 30.0, "two": math.nan})], title="b", lang="en"))
    assert "no data" in drawing.words
    totals = [
        text.text
        for text in drawing.all("text")
        if text.get("font-weight") and text.get("text-anchor") == "end"
    ]
    assert totals == ["no data"]


amount = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan), st.none())
number = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan))
basis = st.sampled_from(["", "measured", "modelled", "assumed", "generated", "hearsay"])
rows = st.lists(
    st.builds(
        Bar,
        st.text(max_size=120),
        amount,
        amount,
        amount,
        basis,
        st.dictionaries(st.text(max_size=20), number, max_size=4),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(rows, st.text())
def test_nothing_breaks_a_bar_chart(read, found, title):
    for draw in (interval_bars, stacked_bars):
        text = draw(found, title=title)
        read(text)
        assert text == draw(found, title=title)
