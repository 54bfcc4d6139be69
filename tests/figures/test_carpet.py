# SPDX-License-Identifier: Apache-2.0
"""The hourly carpet holds every hour, marks what is missing, and stays small."""

import base64
import math
import struct
import zlib
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mangrove.errors import RequestError
from mangrove.figures import carpet
from mangrove.figures.carpet import _GAP_GRAY, _GAP_RED, _NEGATIVE


def pixels(drawing):
    """The palette indices of the embedded image, at two by two pixels an hour."""
    (image,) = drawing.all("image")
    png = base64.b64decode(image.get("href").split(",")[1])
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", png[start - 8 : start - 4])
    rows = np.frombuffer(zlib.decompress(png[start : start + length]), np.uint8).reshape(height, width + 1)
    return rows[:, 1:]


def test_a_year_of_hours_is_small_and_complete(read):
    year = np.random.default_rng(0).uniform(1, 9, (24, 366))
    text = carpet(year, start=date(2024, 1, 1), title="Theo giờ")
    assert len(text.encode()) < 60_000
    assert pixels(read(text)).shape == (48, 732)


def test_a_higher_hour_has_a_darker_color_and_hours_stand_where_they_belong(read):
    day = np.zeros((24, 2))
    day[7, 1], day[18, 0] = 5.0, 10.0
    cells = pixels(read(carpet(day, start=date(2024, 1, 1), title="x")))[::2, ::2]
    assert cells[18, 0] > cells[7, 1] > cells[0, 0] == 0
    assert np.count_nonzero(cells) == 2


def test_a_missing_hour_is_checked_and_counted_and_a_negative_one_has_its_own_color(read):
    day = np.ones((24, 1))
    day[3], day[4] = math.nan, -2.0
    drawing = read(carpet(day, start=date(2024, 1, 1), title="x", lang="en"))
    cells = pixels(drawing)
    assert set(cells[6:8].ravel()) == {_GAP_RED, _GAP_GRAY}
    assert set(cells[8:10].ravel()) == {_NEGATIVE}
    assert "no data: 1 h (4.2 %)" in drawing.words
    assert "below zero" in drawing.words


@pytest.mark.parametrize("shape", [(23, 5), (24,), (24, 0), (2, 24, 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(RequestError) as caught:
        carpet(np.zeros(shape), start=date(2024, 1, 1), title="x")
    assert caught.value.code == "figures.carpet_shape"


def test_the_summary_names_the_highest_hour(read):
    day = np.ones((24, 40))
    day[14, 31] = 8.0
    drawing = read(carpet(day, start=date(2024, 1, 1), title="x", lang="en", unit="t CO2e/h"))
    assert "8 t CO₂e/h at 14:00 1 Feb 2024" in drawing.summary


amounts = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan))


@settings(max_examples=30, deadline=None)
@given(arrays(float, st.tuples(st.just(24), st.integers(1, 6)), elements=amounts), st.text())
def test_no_amount_breaks_a_carpet(read, matrix, title):
    text = carpet(matrix, start=date(2024, 12, 30), title=title)
    read(text)
    assert text == carpet(matrix, start=date(2024, 12, 30), title=title)
