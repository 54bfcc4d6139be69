# SPDX-License-Identifier: Apache-2.0
"""Temperature-heat diagrams: what is drawn lies where the numbers are, and nothing breaks them."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.figures import UtilityStep, composite_curves, grand_composite, site_profile
from mangrove.figures.palette import ALARM

HOT = ([0.0, 45.0, 450.0, 510.0], [30.0, 60.0, 150.0, 170.0])
COLD = ([60.0, 180.0, 510.0, 530.0], [20.0, 80.0, 135.0, 140.0])
WORDS = {"title": "Four streams", "lang": "en"}
LEVELS = (
    UtilityStep("steam", 20.0, 155.0, 155.0, heats=True),
    UtilityStep("river", 60.0, 25.0, 15.0, heats=False),
    UtilityStep("unused", 0.0, 500.0, 500.0, heats=True),
)


def corners(path):
    """The points of a path in pixels."""
    return [tuple(map(float, pair.split(","))) for pair in re.split("[ML]", path.get("d"))[1:]]


def test_both_curves_pass_through_their_points_to_scale(read):
    drawing = read(composite_curves(HOT, COLD, **WORDS))
    lines = [corners(path) for path in drawing.all("path")]
    assert sorted(map(len, lines)) == [4, 4]
    cold, hot = lines
    scale = (hot[-1][0] - hot[0][0]) / 510
    assert cold[0][0] - hot[0][0] == pytest.approx(60 * scale, abs=0.2)
    degrees = (hot[0][1] - hot[-1][1]) / 140
    assert cold[0][1] - cold[-1][1] == pytest.approx(120 * degrees, abs=0.2)


def test_utilities_recovery_and_pinch_are_told_and_drawn(read):
    drawing = read(composite_curves(HOT, COLD, pinches=((90.0, 80.0),), **WORDS))
    wanted = {"hot utility: 20 kW", "cold utility: 60 kW", "recovered: 450 kW", "pinch 90 / 80 °C"}
    assert wanted <= set(drawing.words)
    assert all(words in drawing.summary for words in wanted)
    mark = next(one for one in drawing.all("line") if one.get("stroke") == ALARM)
    assert mark.get("x1") == mark.get("x2")


def test_hot_and_cold_differ_without_color_too(read):
    dashes = {path.get("stroke-dasharray") for path in read(composite_curves(HOT, COLD, **WORDS)).all("path")}
    assert None in dashes
    assert len(dashes) == 2


def test_the_page_is_said_in_vietnamese(read):
    drawing = read(composite_curves(HOT, COLD, title="Bốn dòng", lang="vi", pinches=((90.0, 80.0),)))
    assert {"nguồn nóng: 20 kW", "nhiệt độ (°C)", "công suất nhiệt (kW)"} <= set(drawing.words)


def test_a_threshold_problem_has_one_bracket_only(read):
    drawing = read(
        composite_curves(([0.0, 80.0, 400.0], [100.0, 120.0, 200.0]), ([320.0, 400.0], [20.0, 60.0]), **WORDS)
    )
    assert "cold utility: 320 kW" in drawing.words
    assert not any(words.startswith("hot utility") for words in drawing.words)


def test_the_staircase_of_utilities_begins_at_no_heat_and_leaves_out_what_is_not_used(read):
    drawing = read(grand_composite(([60.0, 0.0, 20.0], [25.0, 85.0, 145.0]), utilities=LEVELS, **WORDS))
    steps = {
        line.find("{*}title").text: line for line in drawing.all("line") if line.find("{*}title") is not None
    }
    assert set(steps) == {"steam: 20 kW", "river: 60 kW"}
    curve = corners(drawing.all("path")[0])
    for line in steps.values():
        assert float(line.get("x1")) == pytest.approx(curve[1][0], abs=0.2)
    assert float(steps["river: 60 kW"].get("x2")) == pytest.approx(curve[0][0], abs=0.2)


def test_a_site_loses_to_the_left_and_gets_to_the_right(read):
    drawing = read(
        site_profile(([0.0, 60.0], [25.0, 85.0]), ([0.0, 20.0], [85.0, 145.0]), utilities=LEVELS, **WORDS)
    )
    left, right = (corners(path) for path in drawing.all("path"))
    assert left[-1][0] == pytest.approx(right[0][0], abs=0.2)  # both begin at no heat
    assert left[0][0] < left[-1][0] < right[-1][0]
    assert {"heat to lose: 60 kW", "heat to get: 20 kW"} <= set(drawing.summary.split("; "))


amount = st.one_of(st.floats(-1e9, 1e9, allow_subnormal=False), st.just(math.nan))
points = st.lists(st.tuples(amount, amount), max_size=6).map(
    lambda rows: ([x for x, _ in rows], [y for _, y in rows])
)
levels = st.lists(
    st.builds(UtilityStep, st.text(max_size=20), amount, amount, amount, st.booleans()), max_size=4
)


@settings(max_examples=60, deadline=None)
@given(st.tuples(points, points), levels, st.text(max_size=30), st.sampled_from(["vi", "en"]))
def test_nothing_breaks_a_diagram(read, lines, utilities, title, lang):
    one, other = lines
    for text in (
        composite_curves(one, other, title=title, lang=lang, pinches=((1.0, 0.0), (math.nan, 2.0))),
        grand_composite(one, title=title, utilities=utilities, lang=lang),
        site_profile(one, other, title=title, utilities=utilities, lang=lang),
    ):
        read(text)
