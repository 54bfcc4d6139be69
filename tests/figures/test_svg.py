# SPDX-License-Identifier: Apache-2.0
"""The pieces of a figure are well-formed for any text, and text stays in its place."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from mangrove.figures import svg
from mangrove.figures.palette import Fills


@given(st.text())
def test_any_text_is_safe_in_an_element_and_in_an_attribute(text):
    drawn = svg.tag("g", svg.label(1, 2, text), svg.title(text), aria_label=text)
    ET.fromstring(drawn)


@given(st.text(max_size=80), st.floats(30, 300))
def test_clipped_text_fits_its_room(text, room):
    assert svg.text_width(svg.clip(text, room)) <= room


@given(st.lists(st.text("abcdeêô ", min_size=1, max_size=12), max_size=30), st.integers(1, 4))
def test_wrapped_text_has_at_most_the_rows_asked_for_and_each_fits(words, lines):
    rows = svg.wrap(" ".join(words), 90, lines=lines)
    assert len(rows) <= lines
    assert all(svg.text_width(row) <= 90 for row in rows)


def test_accents_do_not_widen_text_whatever_their_unicode_form():
    assert svg.text_width("Thủ Đức") == svg.text_width("Thủ Đức") == svg.text_width("Thu Đưc")


def test_two_figures_with_other_contents_have_other_ids():
    fills = Fills()
    fill = fills.no_data()
    frame = svg.Frame(100, "en", "one", "", "")
    first = frame.document(svg.rect(0, 0, 5, 5, fill), 10, fills)
    second = frame.document(svg.rect(0, 0, 6, 5, fill), 10, fills)
    ids = [{e.get("id") for e in ET.fromstring(text).iter() if e.get("id")} for text in (first, second)]
    assert all(len(found) == 1 for found in ids)
    assert not ids[0] & ids[1]


def test_a_legend_wraps_inside_its_width():
    drawn, height = svg.legend([("#000000", f"Lĩnh vực số {i}") for i in range(12)], 0, 0, 300)
    root = ET.fromstring(f"<g>{drawn}</g>")
    assert height > 40
    for box, words in zip(root.findall("rect"), root.findall("text"), strict=True):
        assert float(box.get("x", "0")) >= 0
        assert float(words.get("x", "0")) + svg.text_width(words.text or "") <= 300
