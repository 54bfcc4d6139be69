# SPDX-License-Identifier: Apache-2.0
"""Pins: where degrees say, sensors below sources, nothing outside the frame; maps that share their classes."""

import re

import numpy as np
import pytest

from mangrove.figures import Shape, choropleth
from mangrove.figures.pins import Pin, draw_pins

FRAME = (0.0, 0.0, 100.0, 100.0)
SENSOR = Pin("s", "sensor <A>", 10.0, 20.0)
SOURCE = Pin("leak", "Leak", 50.0, 60.0, mark="1", ring=((40.0, 60.0), (50.0, 50.0), (60.0, 60.0)))


def same(spots):
    """Degrees are pixels."""
    return np.asarray(spots, float)


def square(name, west):
    ring = [[west, 10.0], [west + 1, 10.0], [west + 1, 11.0], [west, 11.0], [west, 10.0]]
    return Shape(name, name, {"type": "Polygon", "coordinates": [ring]})


def test_a_sensor_is_a_disc_at_its_place_and_its_label_is_escaped():
    drawn = draw_pins([SENSOR], same, FRAME)
    assert 'cx="10" cy="20"' in drawn
    assert "sensor &lt;A&gt;" in drawn


def test_a_source_is_a_diamond_with_its_mark_and_its_region_on_top_of_sensors():
    drawn = draw_pins([SOURCE, SENSOR], same, FRAME)
    assert "M40,60L50,50L60,60Z" in drawn
    assert re.search(r"<text x=\"50\"[^>]*>1</text>", drawn)
    assert drawn.index("<circle") < drawn.index('data-pin="leak"')


def test_a_pin_outside_the_frame_is_not_drawn():
    assert draw_pins([Pin("far", "far", 101.0, 5.0)], same, FRAME) == ""


def test_a_map_draws_its_pins_where_its_areas_lie():
    pins = [Pin(str(lon), str(lon), lon, 10.5) for lon in (100.0, 101.0, 102.0)]
    drawn = choropleth([square("a", 100.0), square("b", 101.0)], {"a": 1.0, "b": 2.0}, title="t", pins=pins)
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)" cy="[\d.]+" r="3.4"', drawn)]
    assert len(xs) == 3
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)


def test_maps_that_are_like_each_other_color_the_same_amount_alike():
    shapes, like = [square("a", 100.0), square("b", 101.0)], [1.0, 2.0, 10.0, 20.0, 30.0]

    def color(amounts):
        drawn = choropleth(shapes, amounts, title="t", keyed=True, like=like)
        return dict(re.findall(r'fill="(#\w+)" data-place="(\w+)"', drawn)), re.findall(
            r">([\d,.]+ – [\d,.]+)<", drawn
        )

    first, legend = color({"a": 2.0, "b": 2.0})
    second, other = color({"a": 30.0, "b": 2.0})
    assert legend == other
    assert {name: fill for fill, name in first.items()}["b"] == {name: fill for fill, name in second.items()}[
        "b"
    ]
