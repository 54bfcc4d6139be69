# SPDX-License-Identifier: Apache-2.0
"""Wedges add up: what hangs from the baseline and what is left below are the baseline again, in every year."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.figures import wedges
from mangrove.figures.palette import ALARM

YEARS = [2025, 2030]
ACTIONS = {"sun": [0.0, 30.0], "boiler": [0.0, 20.0]}


def edges(drawing):
    """Upper and lower edge, pixels from above, at the last year, of every area by the name in its tooltip."""
    found = {}
    for path in drawing.all("path"):
        if path.get("d").endswith("Z") and path.get("stroke-width") == "0.8":
            corners = [tuple(map(float, p.split(","))) for p in re.split("[ML]", path.get("d")[:-1])[1:]]
            right = max(x for x, _ in corners)
            found[path.find("{*}title").text.split(":")[0]] = sorted(y for x, y in corners if x == right)
    return found


def test_wedges_hang_from_the_baseline_one_after_another_and_the_rest_is_what_is_left(read):
    found = edges(read(wedges(YEARS, [100.0, 100.0], ACTIONS, title="w", lang="en")))
    (top, a), (b, c), (d, zero) = found["sun"], found["boiler"], found["left"]
    assert a == b
    assert c == d
    assert (a - top) / (zero - top) == pytest.approx(0.3, abs=0.002)
    assert (zero - d) / (zero - top) == pytest.approx(0.5, abs=0.002)


def test_names_say_the_amount_of_the_last_year_with_its_sign(read):
    drawing = read(wedges(YEARS, [100.0, 120.0], ACTIONS | {"plant": [0.0, -10.0]}, title="w", lang="en"))
    assert {"sun: −30", "boiler: −20", "plant: +10", "left: 80"} <= set(drawing.words)
    assert "left: 80 t CO₂e" in drawing.summary


def test_an_action_that_raises_emissions_stands_on_the_baseline(read):
    found = edges(
        read(wedges(YEARS, [100.0, 100.0], {"sun": [0, 30], "plant": [0, -10]}, title="w", lang="en"))
    )
    assert found["plant"][1] == found["sun"][0]
    assert found["plant"][0] < found["plant"][1]


def test_a_target_is_a_mark_at_its_year_and_amount(read):
    drawing = read(wedges(YEARS, [100.0, 100.0], ACTIONS, title="w", lang="vi", targets={2030: 50.0}))
    (mark,) = [p for p in drawing.all("path") if p.get("stroke") == ALARM]
    x, y = map(float, re.match(r"M([-\d.]+),([-\d.]+)l", mark.get("d")).groups())
    found = edges(drawing)
    assert y + 6 == pytest.approx(found["còn lại"][0], abs=0.11)
    assert any(tip.startswith("mục tiêu 2030: 50 tấn") for tip in drawing.tips)
    assert x > 300


def test_a_year_in_which_an_amount_is_missing_is_left_out_and_marked(read):
    actions = {"sun": [0.0, math.nan, 30.0]}
    drawing = read(wedges([2025, 2026, 2027], [9.0, 9.0, 9.0], actions, title="w", lang="en"))
    (mark,) = drawing.all("circle")
    assert mark.get("fill") == ALARM
    assert mark.find("{*}title").text == "2026: no data"


def test_a_series_of_another_length_is_refused():
    with pytest.raises(RequestError, match="sun"):
        wedges(YEARS, [1.0, 2.0], {"sun": [1.0]}, title="w")


amount = st.one_of(st.floats(-1e12, 1e12, allow_subnormal=False), st.just(math.nan))
rows = st.tuples(amount, amount, amount)


@settings(max_examples=60, deadline=None)
@given(
    rows, st.dictionaries(st.text(max_size=20), rows, max_size=4), st.text(), st.sampled_from(["vi", "en"])
)
def test_nothing_breaks_a_figure_of_wedges(read, baseline, actions, title, lang):
    given_ = {"targets": {2031: baseline[0]}, "basis": dict.fromkeys(actions, "assumed")}
    text = wedges([2025, 2026, 2030], baseline, actions, title=title, lang=lang, **given_)
    read(text)
    assert text == wedges([2025, 2026, 2030], baseline, actions, title=title, lang=lang, **given_)
