# SPDX-License-Identifier: Apache-2.0
"""A waterfall meets its totals: rows hang from each other, the rest is named, and a cut axis is announced."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.figures import Stage, waterfall
from mangrove.figures.palette import ALARM


def bars(drawing):
    """Start and end, pixels, of every row by the label in its tooltip."""
    found = {}
    for path in drawing.all("path"):
        tip = path.find("{*}title")
        if tip is not None:
            corners = [
                tuple(map(float, p.split(","))) for p in re.split("[ML]", path.get("d").rstrip("Z"))[1:]
            ]
            found[tip.text.split(":")[0]] = (corners[0][0], corners[2][0])
    for rect in drawing.all("rect"):
        tip = rect.find("{*}title")
        if tip is not None:
            x, wide = float(rect.get("x")), float(rect.get("width"))
            found[tip.text.split(":")[0]] = (x, x + wide)
    return found


PLAN = [
    Stage("plan", 100.0, total=True),
    Stage("weather", 60.0, 50.0, 70.0),
    Stage("load", -90.0),
    Stage("actual", 70.0, total=True),
]


def test_each_contribution_begins_where_the_one_above_ended_and_the_last_ends_at_the_total(read):
    found = bars(read(waterfall(PLAN, title="w", lang="en")))
    zero, plan = found["plan"]
    assert found["weather"][0] == pytest.approx(plan, abs=0.11)
    assert found["weather"][1] - plan == pytest.approx((plan - zero) * 0.6, abs=0.2)
    assert found["load"][0] == pytest.approx(found["weather"][1], abs=0.11)
    assert found["load"][1] == pytest.approx(found["actual"][1], abs=0.11)
    assert found["actual"][1] - zero == pytest.approx((plan - zero) * 0.7, abs=0.2)


def test_numbers_of_contributions_carry_their_sign_and_totals_do_not(read):
    words = read(waterfall(PLAN, title="w", lang="en")).words
    assert {"100", "+60", "−90", "70", "(50–70)"} <= set(words)
    assert "not explained" not in words


def test_what_the_rows_leave_open_is_a_row_of_its_own(read):
    rows = [*PLAN[:-1], Stage("actual", 75.0, total=True)]
    drawing = read(waterfall(rows, title="w", lang="vi"))
    assert "+5" in drawing.words
    assert "chưa giải thích được" in drawing.words
    found = bars(drawing)
    assert found["chưa giải thích được"] == pytest.approx((found["load"][1], found["actual"][1]), abs=0.11)


def test_a_contribution_without_a_number_is_red_and_its_share_is_not_explained(read):
    rows = [Stage("plan", 100.0, total=True), Stage("lost", math.nan), Stage("actual", 110.0, total=True)]
    drawing = read(waterfall(rows, title="w", lang="en"))
    (missing,) = [text for text in drawing.all("text") if text.text == "no data"]
    assert missing.get("fill") == ALARM
    assert "+10" in drawing.words


def test_small_contributions_cut_the_axis_and_the_figure_says_so(read):
    rows = [
        Stage("plan", 1000.0, total=True), Stage("weather", 10.0), Stage("actual", 1010.0, total=True),
    ]  # fmt: skip
    drawing = read(waterfall(rows, title="w", lang="en"))
    assert any("does not begin at zero" in word for word in drawing.words)
    start, end = bars(drawing)["weather"]
    assert end - start > 100
    assert not any("does not begin" in word for word in read(waterfall(PLAN, title="w", lang="en")).words)


def test_the_unit_is_chosen_by_the_contributions_so_that_they_keep_their_digits(read):
    rows = [
        Stage("plan", 1_234.0, total=True), Stage("a", 42.0), Stage("b", -61.0), Stage("c", 36.0),
        Stage("actual", 1_251.0, total=True),
    ]  # fmt: skip
    words = read(waterfall(rows, title="w", lang="en")).words
    assert {"+42", "−61", "+36", "1,230", "1,250"} <= set(words)


amount = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan), st.none())
basis = st.sampled_from(["", "measured", "modelled", "assumed", "generated", "hearsay"])
stages = st.lists(
    st.builds(Stage, st.text(max_size=80), amount, amount, amount, basis, st.booleans()), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(stages, st.text(), st.sampled_from(["vi", "en"]))
def test_nothing_breaks_a_waterfall(read, rows, title, lang):
    text = waterfall(rows, title=title, lang=lang)
    read(text)
    assert text == waterfall(rows, title=title, lang=lang)
