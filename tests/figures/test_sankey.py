# SPDX-License-Identifier: Apache-2.0
"""Ribbons conserve their flow, labels keep apart, and nothing disappears silently."""

import math
import re
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.figures import SankeyLink, sankey

LINKS = [
    SankeyLink("Điện", "Công nghiệp", 60.0),
    SankeyLink("Dầu", "Công nghiệp", 20.0),
    SankeyLink("Dầu", "Giao thông", 40.0),
    SankeyLink("Công nghiệp", "CO2", 80.0),
    SankeyLink("Giao thông", "CO2", 39.0),
    SankeyLink("Giao thông", "CH4", 1.0),
]


def ribbons(drawing):
    """Thickness at both ends of every ribbon by its tooltip."""
    found = {}
    for path in drawing.all("path"):
        tip = path.find("{*}title")
        if tip is not None and "→" in (tip.text or ""):
            y = re.match(
                r"M\S+?,([-\d.]+)C\S+ \S+ \S+?,([-\d.]+)V([-\d.]+)C\S+ \S+ \S+?,([-\d.]+)z", path.get("d")
            )
            top1, top2, low2, low1 = (float(y[i]) for i in (1, 2, 3, 4))
            found[tip.text] = (low1 - top1, low2 - top2)
    return found


def test_ribbons_are_as_thick_as_their_amounts_at_both_ends(read):
    found = ribbons(read(sankey(LINKS, title="s", lang="en")))
    unit = found["Điện → Công nghiệp: 60 t CO₂e"][0] / 60
    assert len(found) == len(LINKS)
    for link, (left, right) in zip(LINKS, found.values(), strict=True):
        assert left == pytest.approx(link.value * unit, abs=0.021)
        assert right == pytest.approx(left, abs=0.021)


def test_a_node_is_as_high_as_the_ribbons_on_its_fuller_side(read):
    drawing = read(sankey(LINKS, title="s", lang="en"))
    heights = {r.find("{*}title").text.split("  ")[0]: float(r.get("height")) for r in drawing.all("rect")}
    into, out = defaultdict(float), defaultdict(float)
    for tip, (left, right) in ribbons(drawing).items():
        source, target = tip.split(":")[0].replace("CO₂", "CO2").replace("CH₄", "CH4").split(" → ")
        out[source] += left
        into[target] += right
    for name, height in heights.items():
        plain = name.replace("CO₂", "CO2").replace("CH₄", "CH4")
        assert height == pytest.approx(max(into[plain], out[plain]), abs=0.15)


def labels_by_column(drawing):
    columns = defaultdict(list)
    for text in drawing.all("text"):
        if text.find("{*}tspan") is not None:
            columns[text.get("x")].append(float(text.get("y")))
    return columns


def test_labels_of_forty_links_do_not_touch(read):
    links = [
        SankeyLink(f"carrier {i}", f"sector {(i * j) % 7}", 10.0 ** (i % 6))
        for i in range(17)
        for j in (1, 2)
    ]
    links += [SankeyLink(f"sector {i}", "CO2", 5.0) for i in range(6)]
    drawing = read(sankey(links, title="s"))
    assert len(links) == 40
    for levels in labels_by_column(drawing).values():
        assert all(b - a >= 14 for a, b in pairwise(sorted(levels)))


def test_a_negative_or_missing_link_is_named_below_and_not_drawn(read):
    links = [*LINKS, SankeyLink("Rừng", "CO2", -5.0), SankeyLink("Than", "Công nghiệp", math.nan)]
    drawing = read(sankey(links, title="s", lang="en"))
    note = " ".join(words for words in drawing.words if "Rừng" in words or "Than" in words)
    assert "−5" in note
    assert "no data" in note
    assert len(ribbons(drawing)) == len(LINKS)


def test_a_circle_is_refused_with_its_nodes():
    with pytest.raises(RequestError) as caught:
        sankey([SankeyLink("a", "b", 1.0), SankeyLink("b", "a", 1.0)], title="s")
    assert caught.value.code == "figures.sankey_cycle"


def test_without_links_the_figure_says_that_there_is_no_data(read):
    assert read(sankey([], title="s", lang="en")).summary == "no data"


amount = st.one_of(st.floats(-1e9, 1e9, allow_subnormal=False), st.just(math.nan), st.just(0.0))
links = st.lists(
    st.builds(
        lambda a, b, v: SankeyLink(f"a{a}", f"b{b}", v), st.integers(0, 9), st.text(max_size=40), amount
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(links, st.text())
def test_no_name_and_no_amount_breaks_a_sankey(read, found, title):
    text = sankey(found, title=title)
    drawing = read(text)
    assert text == sankey(found, title=title)
    for levels in labels_by_column(drawing).values():
        assert all(b - a >= 13.9 for a, b in pairwise(sorted(levels)))
