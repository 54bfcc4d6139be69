# SPDX-License-Identifier: Apache-2.0
"""Maps color places by amount, hatch what is unknown, set far islands apart, and stay small."""

import json
import math
import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.figures import Shape, choropleth, voronoi_cells
from mangrove.figures.geo import Point
from mangrove.figures.maps import class_breaks, spread
from mangrove.figures.palette import ALARM, NO_DATA


def square(west, south, size=0.1):
    ring = [
        [west, south],
        [west + size, south],
        [west + size, south + size],
        [west, south + size],
        [west, south],
    ]
    return {"type": "Polygon", "coordinates": [ring]}


def grid(count):
    return [
        Shape(f"w{i}", f"Phường {i}", square(106 + 0.1 * (i % 4), 10 + 0.1 * (i // 4))) for i in range(count)
    ]


def test_every_place_is_one_path_with_its_name_and_number(read):
    shapes = grid(8)
    drawing = read(choropleth(shapes, {s.id: 1000.0 * i for i, s in enumerate(shapes)}, title="Bản đồ"))
    tips = [tip for tip in drawing.tips if tip.startswith("Phường")]
    assert len(tips) == 8
    assert "Phường 3: 3 nghìn tấn CO₂tđ" in tips


def test_an_amount_that_may_not_be_shown_is_on_no_part_of_the_map(read):
    shapes = grid(4)
    values = {"w0": 1.0, "w1": 5.0, "w2": 123_456.0}
    drawing = read(choropleth(shapes, values, title="m", lang="en", hidden={"w2"}, keyed=True))
    assert "123" not in drawing.text
    assert "Phường 2: not shown" in drawing.tips
    assert "not shown" in drawing.words
    keys = {path.get("data-place") for path in drawing.all("path")} - {None}
    assert keys == {"w0", "w1", "w2", "w3"}
    assert "Without data: 1" in drawing.summary


def test_a_place_without_a_number_is_hatched_and_never_drawn_as_zero(read):
    shapes = grid(4)
    values = {"w0": 0.0, "w1": 5.0, "w2": math.nan}
    drawing = read(choropleth(shapes, values, title="m", lang="en"))
    fills = {
        path.find("{*}title").text: path.get("fill")
        for path in drawing.all("path")
        if path.find("{*}title") is not None
    }
    assert fills["Phường 2: no data"] == fills["Phường 3: no data"]
    assert fills["Phường 2: no data"] == NO_DATA
    hatch = [path for path in drawing.all("path") if path.get("stroke") == ALARM]
    assert len(hatch) == 1
    assert hatch[0].get("d").count("M") > 10
    assert fills["Phường 0: 0 t CO₂e"].startswith("#")
    assert "no data" in drawing.words
    assert "Without data: 2" in drawing.summary


def test_a_removal_has_a_color_outside_the_scale(read):
    shapes = grid(4)
    drawing = read(choropleth(shapes, {"w0": -5.0, "w1": 1.0, "w2": 2.0, "w3": 3.0}, title="m", lang="en"))
    assert "removal (negative)" in drawing.words


def test_bases_are_textures_named_in_the_legend(read):
    shapes = grid(4)
    basis = {"w0": "measured", "w1": "modelled", "w2": "assumed", "w3": "generated"}
    drawing = read(choropleth(shapes, {s.id: 1.0 for s in shapes}, title="m", lang="en", basis=basis))
    assert {"measured", "modelled", "assumed", "generated"} <= set(drawing.words)
    kinds = {pattern.get("id").split("-")[1] for pattern in drawing.root.findall(".//{*}pattern")}
    assert kinds == {"stripes", "dots", "grid"}


def test_far_islands_stand_in_a_frame_of_their_own(read):
    shapes = [*grid(12), Shape("island", "Đặc khu Côn Đảo", square(106.6, 8.7, 0.05))]
    drawing = read(choropleth(shapes, {s.id: 1.0 for s in shapes}, title="m"))
    assert "Đặc khu Côn Đảo" in drawing.words
    assert any(rect.get("stroke-dasharray") for rect in drawing.all("rect"))


def test_amounts_without_an_outline_or_a_place_are_told_with_their_sum(read):
    shapes = [*grid(4), Shape("x", "X", None)]
    drawing = read(choropleth(shapes, {"w0": 1.0, "x": 7.0, "elsewhere": 3.0}, title="m", lang="en"))
    assert any("1 places without an outline" in words and "7 t" in words for words in drawing.words)
    assert any("belong to no place" in words and "3 t" in words for words in drawing.words)


def test_class_limits_rise_and_split_the_values_about_evenly():
    values = list(np.random.default_rng(0).lognormal(8, 1, 500))
    breaks = class_breaks(values, 5)
    assert breaks == sorted(set(breaks))
    counts = np.bincount(np.searchsorted(breaks, values, side="right"), minlength=5)
    assert counts.min() > 80
    assert class_breaks([7.0, 7.0, 7.0]) == []
    assert class_breaks([]) == []


def test_badges_move_apart_until_they_do_not_touch():
    anchors = np.array([[50.0, 50.0]] * 6 + [[51.0, 50.0], [300.0, 10.0]])
    spots = spread(anchors, 18)
    for a, b in combinations(spots, 2):
        assert np.hypot(*(a - b)) > 17
    assert np.allclose(spots[-1], anchors[-1], atol=0.2)


amount = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan), st.none())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(amount, st.text(max_size=60)), max_size=9),
    st.text(max_size=200),
    st.sampled_from(["vi", "en"]),
)
def test_no_amount_and_no_name_breaks_a_map(read, rows, title, lang):
    shapes = [Shape(f"w{i}", name, square(106 + 0.1 * i, 10)) for i, (_, name) in enumerate(rows)]
    values = {f"w{i}": value for i, (value, _) in enumerate(rows) if value is not None}
    first = choropleth(shapes, values, title=title, lang=lang)
    read(first)
    assert first == choropleth(shapes, values, title=title, lang=lang)


@pytest.mark.data
@pytest.mark.parametrize(
    ("city", "count", "island"), [("hcmc", 168, "Đặc khu Côn Đảo"), ("haiphong", 114, "Đặc khu Bạch Long Vĩ")]
)
def test_a_city_of_all_its_wards_is_complete_and_under_250_kb(read, data_dir, city, count, island):
    collection = json.loads((data_dir / f"territory/wards_{city}_post_merger.geojson").read_text("utf-8"))
    shapes = [
        Shape(f["properties"]["code"], f["properties"]["fullName"], f["geometry"])
        for f in collection["features"]
    ]
    rng = np.random.default_rng(7)
    text = choropleth(shapes, {s.id: float(rng.lognormal(9, 1)) for s in shapes}, title="Bản đồ")
    assert len(text.encode()) < 250_000
    drawing = read(text)
    names = {tip.split(":")[0] for tip in drawing.tips}
    assert len(shapes) == count
    assert {shape.name for shape in shapes} <= names
    assert island in drawing.words
    ranks = [words for words in drawing.words if re.fullmatch(r"\d{1,2}", words)]
    assert {str(i) for i in range(1, 11)} <= set(ranks)


def test_a_schematic_map_says_that_it_is_one(read):
    points = [Point(f"p{i}", f"P{i}", 106 + 0.02 * (i % 5), 10 + 0.02 * (i // 5)) for i in range(20)]
    drawing = read(choropleth(voronoi_cells(points), {"p1": 5.0}, title="m", lang="en"))
    assert any(words.startswith("Schematic") for words in drawing.words)
    assert any("no true boundaries" in words for words in drawing.words)
