# SPDX-License-Identifier: Apache-2.0
"""Colors keep their promises: ordered by lightness, told apart, readable, and textures where a basis needs one."""

from itertools import combinations, pairwise

from mangrove.figures import palette
from mangrove.figures.palette import Fills


def lightness(color: str) -> float:
    """CIE L* from relative luminance (CIE 15:2004)."""
    y = palette.luminance(color)
    return 116 * y ** (1 / 3) - 16 if y > 216 / 24389 else y * 24389 / 27


def as_deuteranope(color: str) -> tuple[float, ...]:
    """How a green-blind reader sees `color` in linear light (Machado, Oliveira and Fernandes 2009, severity 1.0)."""
    linear = [(v / 255) ** 2.2 for v in palette.rgb(color)]
    rows = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
    return tuple(sum(a * b for a, b in zip(row, linear, strict=True)) for row in rows)


def test_the_sequential_colors_fall_in_lightness_all_the_way():
    shades = [lightness(palette.ramp(i / 40)) for i in range(41)]
    assert all(dark < light for light, dark in pairwise(shades))
    assert shades[0] - shades[-1] > 70


def test_neighboring_classes_differ_by_a_visible_step_of_lightness():
    for count in range(2, 8):
        steps = [a - b for a, b in pairwise(map(lightness, palette.classes(count)))]
        assert min(steps) > 6


def test_categories_stay_apart_for_a_green_blind_reader():
    for first, second in combinations(palette.CATEGORIES, 2):
        gap = (
            sum((a - b) ** 2 for a, b in zip(as_deuteranope(first), as_deuteranope(second), strict=True))
            ** 0.5
        )
        assert gap > 0.02, (first, second)


def test_text_colors_reach_the_contrast_of_wcag_aa():
    assert palette.contrast("#000000", "#ffffff") == 21
    for ink in (palette.INK, palette.MUTED, palette.ALARM):
        assert palette.contrast(ink, palette.PAPER) >= 4.5
    for color in (*palette.SEQUENTIAL, *palette.CATEGORIES):
        assert palette.contrast(palette.ink_on(color), color) >= 3  # marks of a texture: WCAG 2.2, 1.4.11


def test_a_basis_that_is_no_measurement_gets_a_texture_and_missing_data_a_red_hatch():
    fills = Fills()
    assert fills.fill("#44aa99", "measured") == fills.fill("#44aa99") == "#44aa99"
    textures = {fills.fill("#44aa99", basis) for basis in ("modelled", "assumed", "generated")}
    assert len(textures) == 3
    assert all(texture.startswith("url(#") for texture in textures)
    assert fills.fill("#44aa99", "heard somewhere") == fills.fill("#44aa99", "assumed")
    fills.no_data()
    assert palette.ALARM in fills.defs()


def test_small_series_are_folded_and_none_is_lost():
    totals = [("a", 5.0), ("b", 1.0), ("c", -9.0), ("d", 2.0)]
    assert palette.fold_small(totals, 2) == (["a", "c"], ["b", "d"])
    assert palette.fold_small(totals, 4) == (["a", "b", "c", "d"], [])
