# SPDX-License-Identifier: Apache-2.0
"""A cost curve stands in the order of cost, and its areas are the money of its actions."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.figures import Block, cost_curve
from mangrove.figures.palette import ALARM

BLOCKS = [Block("boiler", 30.0, 12.0), Block("lamps", 10.0, -4.0), Block("pumps", 20.0, 6.0)]
WORDS = {"title": "c", "unit": "t", "money": "USD/t", "lang": "en"}


def boxes(drawing):
    """Left, top, width, height of every block by its name."""
    return {
        rect.find("{*}title").text.split(". ")[1].split(":")[0]: tuple(
            float(rect.get(key)) for key in ("x", "y", "width", "height")
        )
        for rect in drawing.all("rect")
        if rect.find("{*}title") is not None
    }


def test_blocks_stand_side_by_side_from_the_cheapest_to_the_dearest(read):
    found = boxes(read(cost_curve(BLOCKS, **WORDS)))
    order = sorted(found, key=lambda name: found[name][0])
    assert order == ["lamps", "pumps", "boiler"]
    for left, right in (order[:2], order[1:]):
        assert found[left][0] + found[left][2] == pytest.approx(found[right][0], abs=0.11)


def test_the_area_of_a_block_is_the_money_of_the_action(read):
    found = boxes(read(cost_curve(BLOCKS, **WORDS)))
    area = {name: box[2] * box[3] for name, box in found.items()}
    assert area["boiler"] / area["pumps"] == pytest.approx(30 * 12 / (20 * 6), rel=0.01)
    assert area["lamps"] / area["pumps"] == pytest.approx(10 * 4 / (20 * 6), rel=0.01)
    assert found["lamps"][1] == pytest.approx(found["pumps"][1] + found["pumps"][3], abs=0.11)


def test_numbers_on_the_blocks_lead_to_the_list_below(read):
    words = read(cost_curve(BLOCKS, **WORDS)).words
    assert words.count("1") == words.count("3") == 2
    assert "10 t · −4 USD/t" in words


def test_lines_stand_at_the_price_and_at_what_is_wanted(read):
    drawing = read(cost_curve(BLOCKS, **WORDS, price=("price", 6.0), wanted=("goal", 30.0)))
    across, up = (one for one in drawing.all("line") if one.get("stroke") == ALARM)
    found = boxes(drawing)
    assert float(across.get("y1")) == pytest.approx(found["pumps"][1], abs=0.11)
    assert float(up.get("x1")) == pytest.approx(found["boiler"][0], abs=0.11)
    assert {"price: 6 USD/t", "goal: 30 t"} <= set(drawing.words)


def test_an_action_that_cannot_be_drawn_is_named(read):
    drawing = read(cost_curve([*BLOCKS, Block("lost", math.nan, 1.0), Block("none", 0.0, 1.0)], **WORDS))
    assert len(boxes(drawing)) == 3
    assert any("lost, none" in word for word in drawing.words)


amount = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan))
blocks = st.lists(
    st.builds(Block, st.text(max_size=40), amount, amount, st.sampled_from(["", "assumed", "?"])), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(blocks, st.text(), st.tuples(amount, amount), st.sampled_from(["vi", "en"]))
def test_nothing_breaks_a_cost_curve(read, found, title, ends, lang):
    text = cost_curve(found, title=title, price=("p", ends[0]), wanted=("w", ends[1]), lang=lang)
    read(text)
    assert text == cost_curve(found, title=title, price=("p", ends[0]), wanted=("w", ends[1]), lang=lang)
