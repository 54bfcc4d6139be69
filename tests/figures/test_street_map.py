"""Maps of streets: classes, sides of the road, gaps, marks, what is drawn once."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from mangrove.figures import Shape
from mangrove.figures.links import (
    CHANGE,
    HEAT,
    PACE,
    Classes,
    LinkMap,
    Mark,
    Road,
    amount_classes,
    aside,
    change_classes,
    fixed_classes,
)
from mangrove.figures.palette import luminance

LON, LAT = 106.70, 10.78
SVG = "{http://www.w3.org/2000/svg}"


def road(name, *points):
    return Road(name, name.title(), np.array([(LON + x / 1000, LAT + y / 1000) for x, y in points]))


THERE, BACK = road("there", (0, 0), (10, 0)), road("back", (10, 0), (0, 0))
UP = road("up", (10, 0), (10, 8))
MAP = LinkMap((THERE, BACK, UP), (road("quiet", (0, 0), (0, 8)),))
TWO = Classes((1.0,), ("#ffffb2", "#bd0026"), ("< 1", "≥ 1"))


def drawn(plan=MAP, values=None, **more):
    given = {"there": 0.5, "back": 2.0, "up": float("nan")} if values is None else values
    return ET.fromstring(plan.draw(given, TWO, title="CO2", lang="en", **more))


def lines(tree):
    return {one.get("data-link"): one for one in tree.iter(f"{SVG}path") if one.get("data-link")}


def points(path):
    return np.array([[float(v) for v in pair.split(",")] for pair in re.split("[ML]", path.get("d"))[1:]])


def test_a_line_has_the_color_of_its_class_and_a_gap_is_dashed():
    found = lines(drawn())
    assert (found["there"].get("stroke"), found["back"].get("stroke")) == TWO.colors
    assert found["up"].get("stroke-dasharray")
    assert not found["there"].get("stroke-dasharray")


def test_two_directions_lie_side_by_side_each_on_the_right_of_its_way():
    found = lines(drawn())
    there, back = points(found["there"]), points(found["back"])
    assert there[0, 0] < there[1, 0], "east is right"
    assert np.all(there[:, 1] > back[:, 1]), "who drives east keeps south, who drives west north"
    apart = there[:, 1].mean() - back[:, 1].mean()
    assert apart == pytest.approx(MAP.stroke + 1.2, abs=0.2)
    assert points(found["up"])[:, 0].std() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("turn", [0, 37, 90, 200])
def test_a_line_is_moved_by_a_right_angle_whatever_its_direction(turn):
    a = np.radians(turn)
    line = np.array([[0.0, 0.0], [50 * np.cos(a), 50 * np.sin(a)]])
    moved = aside(line, 3.0)
    step, shift = line[1], moved - line
    assert shift @ step == pytest.approx([0, 0], abs=1e-9)
    assert np.hypot(*shift.T) == pytest.approx([3, 3])
    assert step[0] * shift[0, 1] - step[1] * shift[0, 0] > 0, "right of the way where y points down"


def test_what_nobody_counts_is_gray_and_an_estimate_of_it_thin_and_marked():
    tree = drawn(estimated={"quiet": 2.0})
    groups = [one for one in tree.iter(f"{SVG}g") if one.get("data-estimated")]
    (estimate,) = [one for one in groups[0] if one.get("stroke") == TWO.colors[1]]
    assert float(estimate.get("stroke-width")) < MAP.stroke
    assert "quiet" not in lines(tree)


def test_the_legend_is_left_to_the_page_when_it_writes_its_own():
    texts = ["".join(one.itertext()) for one in drawn().iter(f"{SVG}text")]
    assert "≥ 1" in texts
    bare = ["".join(one.itertext()) for one in drawn(key=False).iter(f"{SVG}text")]
    assert "≥ 1" not in bare


def test_a_map_cut_to_a_street_shows_it_larger_and_leaves_far_ones_out():
    near = LinkMap((*MAP.roads, road("far", (90, 90), (95, 95))), focus=frozenset({"there"}))
    whole = LinkMap(near.roads)
    assert near.factor > 2 * whole.factor
    assert "far" not in near.lines
    assert "far" in whole.lines
    widths = [float(one.get("stroke-width", 0)) for one in drawn(near).iter(f"{SVG}path")]
    assert max(widths) > max(float(one.get("stroke-width", 0)) for one in drawn(whole).iter(f"{SVG}path")), (
        "it stands out"
    )


def test_of_many_streets_only_the_largest_have_words_and_none_is_lost():
    roads = tuple(road(f"r{i}", (i, 0), (i, 5)) for i in range(30))
    values = {f"r{i}": float(i - 15) for i in range(30)}
    tree = ET.fromstring(
        LinkMap(roads).draw(values, change_classes(np.arange(-15.0, 15), "en"), title="t", lang="en", most=4)
    )
    assert set(lines(tree)) == {"r0", "r1", "r2", "r29"}
    strokes = [one for one in tree.iter(f"{SVG}path") if one.get("stroke") in CHANGE]
    assert sum(one.get("d").count("M") for one in strokes) == 30


def test_marks_stand_at_their_streets_and_not_outside():
    tree = drawn(marks=[Mark("1", "worst", "back"), Mark("2", "far", point=(LON + 1, LAT))])
    said = [one.text for one in tree.iter(f"{SVG}title")]
    assert "worst" in said
    assert "far" not in said


def test_outlines_lie_under_the_streets_at_their_true_place():
    """A ward whose west side runs along the street that leads north shares its pixels."""
    ring = [
        (LON + 0.01, LAT),
        (LON + 0.02, LAT),
        (LON + 0.02, LAT + 0.008),
        (LON + 0.01, LAT + 0.008),
        (LON + 0.01, LAT),
    ]
    ward = Shape("w", "Ward", {"type": "Polygon", "coordinates": [ring]})
    far = Shape("s", "South", {"type": "Polygon", "coordinates": [[(x, y - 3) for x, y in ring]]})
    plan = LinkMap(MAP.roads, areas=(ward, far))
    tree = ET.fromstring(plan.draw({}, TWO, title="t", lang="en"))
    (area,) = [
        one
        for one in tree.iter(f"{SVG}path")
        if one.find(f"{SVG}title") is not None and one.find(f"{SVG}title").text == "Ward"
    ]
    west = float(re.match(r"M(-?[\d.]+)", area.get("d")).group(1))
    corners = [west]
    for dx in re.findall(r"[l ](-?[\d.]+),", area.get("d")):
        corners.append(corners[-1] + float(dx))
    assert min(corners) == pytest.approx(points(lines(tree)["up"])[0, 0], abs=0.6)


def test_a_network_without_degrees_is_drawn_in_its_own_plane():
    flat = LinkMap(
        (
            Road("a", "A", np.array([[0.0, 0.0], [1.0, 0.0]])),
            Road("b", "B", np.array([[1.0, 0.0], [1.0, 0.5]])),
        ),
        degrees=False,
    )
    assert flat.factor == pytest.approx(flat.width / 1.1)
    assert len(lines(ET.fromstring(flat.draw({"a": 1.0}, TWO, title="t", lang="vi")))) == 2


def test_classes_of_amounts_rise_and_hold_a_fifth_each_but_for_the_worst_twentieth():
    values = np.arange(1.0, 10_001.0)
    found = amount_classes(values, "en")
    assert list(found.breaks) == sorted(set(found.breaks))
    shares = np.bincount([found.index(v) for v in values]) / len(values)
    assert shares == pytest.approx([0.2, 0.2, 0.2, 0.2, 0.15, 0.05], abs=0.01)
    assert found.colors == HEAT
    assert found.index(float("nan")) == -1
    assert amount_classes(np.array([np.nan, 0.0]), "en").colors == HEAT[:1]
    assert len(amount_classes(np.full(9, 3.0), "en").breaks) == 1


def test_classes_of_change_are_alike_on_both_sides_of_nothing():
    found = change_classes(np.array([-8.0, -1, 0, 0.5, 3, 9]), "en")
    assert np.array(found.breaks) == pytest.approx(-np.array(found.breaks)[::-1])
    assert found.color(0.0) == CHANGE[3]
    assert found.color(-100.0) == CHANGE[0]
    assert found.color(100.0) == CHANGE[-1]
    assert change_classes(np.zeros(3), "en").color(0.0) == CHANGE[3]


def test_classes_with_fixed_limits_say_their_unit():
    found = fixed_classes((0.3, 0.5), PACE[:3], "vi", 100.0, " %")
    assert found.words == ("< 30 %", "30 % – 50 %", "≥ 50 %")


def test_colors_of_amounts_fall_in_lightness_so_that_gray_print_keeps_their_order():
    light = [luminance(color) for color in HEAT]
    assert light == sorted(light, reverse=True)


def test_the_same_map_gives_the_same_bytes():
    assert MAP.draw({"there": 1.0}, TWO, title="t", lang="en") == MAP.draw(
        {"there": 1.0}, TWO, title="t", lang="en"
    )


def test_words_of_streets_are_escaped():
    evil = Road("<x>", "<script>", np.array([[LON, LAT], [LON + 0.01, LAT]]))
    text = LinkMap((evil,)).draw({"<x>": 1.0}, TWO, title="<b>", lang="en")
    ET.fromstring(text)
    assert "<script>" not in text
