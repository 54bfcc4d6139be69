# SPDX-License-Identifier: Apache-2.0
"""A day's figures draw means as steps, stack without losing an amount, and mark what is not known."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.figures import Stretch, balance_areas, band_lines

EDGES = [0, 6, 12, 18, 24]


def corners(path):
    return [tuple(map(float, spot)) for spot in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.get("d"))]


def depth(path):
    """How far a path reaches from above to below, pixels."""
    heights = [y for _, y in corners(path)]
    return max(heights) - min(heights)


def test_a_layer_is_as_thick_as_its_amount_and_begins_where_the_last_one_ends(read):
    drawing = read(
        balance_areas(EDGES, {"grid": [2] * 4, "sun": [6] * 4}, {"load": [8] * 4}, title="t", lang="en")
    )
    grid, sun, load = drawing.all("path")
    assert depth(sun) == pytest.approx(3 * depth(grid), abs=0.3)
    assert depth(load) == pytest.approx(4 * depth(grid), abs=0.3)
    assert min(y for _, y in corners(grid)) == max(y for _, y in corners(sun))
    assert max(y for _, y in corners(grid)) == min(y for _, y in corners(load))


def test_means_are_drawn_as_steps(read):
    drawing = read(band_lines(EDGES, {"load": [1, 1, 3, 3]}, title="t", lang="en"))
    (line,) = drawing.all("path")
    spots = corners(line)
    assert len(spots) == 4, "flat stretches have no corner inside"
    assert spots[1][0] == spots[2][0]


def test_hours_of_a_price_are_named_behind_the_plot(read):
    behind = [Stretch(0, 6, "thấp điểm", 0), Stretch(6, 24, "bình thường", 1)]
    drawing = read(band_lines(EDGES, {"load": [1] * 4}, title="t", behind=behind))
    assert {"thấp điểm", "bình thường"} <= set(drawing.words)
    assert "00:00–06:00: thấp điểm" in drawing.tips


def test_a_step_without_a_number_breaks_the_line_and_is_marked(read):
    drawing = read(band_lines(EDGES, {"load": [1, math.nan, 3, 3]}, title="t", lang="en"))
    assert len(drawing.all("path")) == 2
    assert len([line for line in drawing.all("line") if line.get("stroke-width") == "4"]) == 1
    drawing = read(balance_areas(EDGES, {"grid": [1, math.nan, 3, 3]}, {}, title="t", lang="en"))
    assert len(drawing.all("path")) == 2


def test_the_summary_says_amounts_of_the_day_and_reaches(read):
    areas = read(balance_areas([0, 0.5, 1], {"grid": [2, 4]}, {"load": [2, 4]}, title="t", lang="en"))
    assert "grid: 3" in areas.summary
    assert "kW x h" in areas.summary
    lines = read(
        band_lines(EDGES, {"load": [1, 2, 3, math.nan], "lost": [math.nan] * 4}, title="t", lang="en")
    )
    assert lines.summary == "load: 1 – 3; lost: no data"


def test_a_series_of_another_length_is_refused():
    with pytest.raises(RequestError, match="for 4 periods"):
        balance_areas(EDGES, {"grid": [1]}, {}, title="t")
    with pytest.raises(RequestError, match="for 4 periods"):
        band_lines(EDGES, {}, ribbon=("q", [1] * 4, [2]), title="t")


amount = st.one_of(st.floats(-1e9, 1e9, allow_subnormal=False), st.just(math.nan))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(amount, amount), max_size=9), st.text(max_size=20), st.sampled_from(["vi", "en"]))
def test_any_amounts_give_a_sound_figure(read, amounts, name, lang):
    edges = list(range(len(amounts) + 1))
    first, second = ([pair[i] for pair in amounts] for i in (0, 1))
    read(balance_areas(edges, {name: first}, {f"{name} ": second}, title=name, lang=lang))
    read(band_lines(edges, {name: first}, ribbon=("r", first, second), title=name, lang=lang))
