# SPDX-License-Identifier: Apache-2.0
"""A frontier shows where its points lie, names them, and says that its axes do not begin at zero."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.figures import Spot, frontier

AXES = {"across": ("emissions", "t CO2"), "up": ("cost", "billion VND")}


def circles(drawing):
    return [(float(one.get("cx")), float(one.get("cy"))) for one in drawing.all("circle")]


def test_points_lie_in_proportion_to_their_amounts(read):
    spots = [Spot(100, 10), Spot(200, 6), Spot(400, 4)]
    found = circles(read(frontier(spots, title="f", lang="en", **AXES)))
    across = [x for x, _ in found]
    assert abs((across[2] - across[1]) - 2 * (across[1] - across[0])) < 0.3
    assert found[0][1] < found[1][1] < found[2][1]


def test_the_line_goes_through_the_points_in_order_and_leaves_strong_ones_aside(read):
    spots = [Spot(3, 1), Spot(1, 3), Spot(2, 2), Spot(3, 3, "today", strong=True)]
    drawing = read(frontier(spots, title="f", lang="en", **AXES))
    path = drawing.all("path")[0].get("d")
    assert path.count("L") == 2
    xs = [float(part.split(",")[0]) for part in path[1:].split("L")]
    assert xs == sorted(xs)
    assert "today" in drawing.words


def test_tips_say_both_amounts_in_the_language_of_the_reader(read):
    spots = [Spot(1500, 2.5, "A", "roof: 4 kW"), Spot(1200, 3.5)]
    english = read(frontier(spots, title="f", lang="en", **AXES))
    assert "A: emissions 1.5 kt CO₂, cost 2.5 billion VND; roof: 4 kW" in english.tips
    vietnamese = read(
        frontier(spots, title="f", lang="vi", across=("phát thải", "t CO2"), up=("chi phí", "tỷ đồng"))
    )
    assert any("1,5 nghìn tấn" in tip for tip in vietnamese.tips)
    assert any("không bắt đầu từ 0" in word for word in vietnamese.words)


def test_an_amount_that_is_not_a_number_is_named_not_drawn(read):
    drawing = read(frontier([Spot(1, math.nan, "lost"), Spot(1, 2, "kept")], title="f", lang="en", **AXES))
    assert len(circles(drawing)) == 1
    assert "lost: no data" in drawing.summary


amount = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(amount, amount, st.text(max_size=20)), max_size=12), st.sampled_from(["vi", "en"]))
def test_any_points_give_a_sound_figure(read, points, lang):
    read(frontier([Spot(x, y, name) for x, y, name in points], title="f", lang=lang, **AXES))
