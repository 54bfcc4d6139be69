# SPDX-License-Identifier: Apache-2.0
"""Units convert by their published definitions, never across dimensions, and nothing unknown is guessed."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove import units
from mangrove.errors import RuleError
from mangrove.units import Quantity, unit

NAMES = sorted(units._TABLE)
names = st.sampled_from(NAMES)
numbers = st.floats(1e-6, 1e9)

PUBLISHED = [
    # SI brochure, 9th edition, tables 1, 4, 7 and 8
    ("kWh", "MJ", 3.6), ("t", "kg", 1000.0), ("ha", "m2", 10_000.0), ("L", "m3", 0.001), ("day", "s", 86_400.0), ("h", "min", 60.0),
    ("bar", "kPa", 100.0), ("Gg", "kt", 1.0), ("Mg", "t", 1.0), ("Tg", "Mt", 1.0), ("km2", "ha", 100.0), ("MPa", "bar", 10.0),
    # IEA, Energy Statistics Manual, annex 3: conversion equivalents
    ("toe", "GJ", 41.868), ("toe", "MWh", 11.63), ("ktoe", "TJ", 41.868), ("toe", "Gcal", 10.0), ("Gcal", "GJ", 4.1868), ("GWh", "TJ", 3.6),
    # ISO 80000-5 (Btu, international table); NIST SP 811, appendix B.8 (ton of refrigeration, pound, barrel, mile)
    ("MMBtu", "GJ", 1.05505585262), ("therm", "Btu", 100_000.0), ("RT", "kW", 3.516853), ("lb", "g", 453.59237), ("bbl", "L", 158.987294928),
    ("mile", "km", 1.609344),
    # as Vietnamese tables print them
    ("mkWh", "GWh", 1.0), ("tấn", "kg", 1000.0), ("kVND", "đồng", 1000.0), ("lít", "m3", 0.001),
]  # fmt: skip


@pytest.mark.parametrize(("written", "target", "factor"), PUBLISHED)
def test_a_conversion_has_its_published_value(written, target, factor):
    assert unit(written).to(target) == pytest.approx(factor, rel=1e-6 if written == "RT" else 1e-12)


@given(names, names, numbers)
def test_a_number_comes_back_from_every_unit_that_it_can_be_turned_into(left, right, number):
    if not unit(left).converts_to(right):
        with pytest.raises(RuleError) as refused:
            unit(left).to(right)
        assert refused.value.code == "base.unit_mismatch"
        return
    there = number * unit(left).to(right)
    assert there * unit(right).to(left) == pytest.approx(number, rel=1e-12)
    assert Quantity(number, unit(left)).to(right) == pytest.approx(there, rel=1e-15)


@given(names, names, names)
def test_conversion_does_not_depend_on_the_way(a, b, c):
    if unit(a).converts_to(b) and unit(b).converts_to(c):
        assert unit(a).to(b) * unit(b).to(c) == pytest.approx(unit(a).to(c), rel=1e-12)


@given(names, names)
def test_products_and_quotients_add_and_subtract_dimensions(a, b):
    left, right = unit(a), unit(b)
    pairs = list(zip(left.dimension, right.dimension, strict=True))
    assert (left * right).dimension == tuple(x + y for x, y in pairs)
    assert (left / right).dimension == tuple(x - y for x, y in pairs)
    assert (left * right / right).dimension == left.dimension
    assert (left * right / right).scale == pytest.approx(left.scale, rel=1e-12)


@given(names, names)
def test_what_is_written_is_what_is_calculated(a, b):
    assert unit(f"{a}/{b}").dimension == (unit(a) / unit(b)).dimension
    assert unit(f"{a}/{b}").scale == pytest.approx((unit(a) / unit(b)).scale, rel=1e-12)
    assert unit(f"{a}*{b}").dimension == unit(f"{a} {b}").dimension == (unit(a) * unit(b)).dimension


@given(names, names)
def test_the_text_of_a_product_or_quotient_can_be_read_again(a, b):
    for made in (unit(a) * unit(b), unit(a) / unit(b)):
        again = unit(str(made))
        assert again.dimension == made.dimension
        assert again.scale == pytest.approx(made.scale, rel=1e-12)


@pytest.mark.parametrize("alias", sorted(units._ALIASES))
def test_every_other_spelling_is_its_unit(alias):
    meant = units._ALIASES[alias]
    assert meant in units._TABLE, f"{alias} stands for {meant}, which is no unit"
    assert alias not in units._TABLE, f"{alias} is a unit of its own"
    assert "/" in alias or (unit(alias).scale, unit(alias).dimension) == (
        unit(meant).scale,
        unit(meant).dimension,
    )


@pytest.mark.parametrize("gas", ["CO2", "CO2e", "CO2tđ", "CO2eq", "CH4", "N2O"])
@pytest.mark.parametrize("mass", ["kg", "g", "t", "kt", "Mt", "Gg"])
def test_a_mass_glued_to_its_gas_is_that_mass_of_the_gas(mass, gas):
    glued, apart = unit(f"{mass}{gas}"), unit(f"{mass} {gas}")
    assert (glued.scale, glued.dimension, glued.of) == (apart.scale, apart.dimension, gas)
    assert unit(f"{mass}{gas}/kWh").of == gas
    assert glued.to(mass) == 1.0


def test_what_is_measured_and_what_it_is_divided_by_are_kept_as_printed():
    read = unit("t CO2/t clinker")
    assert (read.of, read.per) == ("CO2", "clinker")
    assert read.dimension == unit("1").dimension
    assert unit("kg CH4/head/yr").to("t/head/yr") == pytest.approx(0.001)
    assert unit("kt/10^6 m3 gas").to("kg/m3") == pytest.approx(1.0)


@pytest.mark.parametrize("normal", ["Nm3", "kNm3", "Nm³"])
@pytest.mark.parametrize("volume", ["m3", "L", "kL", "bbl", "m³"])
def test_a_normal_cubic_meter_never_becomes_a_cubic_meter(normal, volume):
    assert not unit(normal).converts_to(volume)
    assert not unit(f"mg/{normal}").converts_to(f"mg/{volume}")
    with pytest.raises(RuleError):
        unit(normal).to(volume)


@pytest.mark.parametrize(
    "written",
    ["", " ", "/", "kg/", "/kg", "kg//kg", "clinker", "kw", "KG", "nm3", "k g", "lakh", "-5 kg", "1e3 kg",
     "10^3", "5", "0 kg", "kWh/0 h", "10^999 kg", "kWh 10^3", "kWh 5", "10^99 10^99 10^99 10^99 kg", "kg/10^99 10^99 10^99 10^99 kg"],
)  # fmt: skip
def test_what_is_no_unit_is_refused_and_not_guessed(written):
    with pytest.raises(RuleError) as refused:
        unit(written)
    assert refused.value.code == "base.unknown_unit"


@pytest.mark.parametrize(
    ("written", "meant"), [("kw", "kW"), ("nm3", "Nm3"), ("KG", "kg"), ("tonns", "tonnes")]
)
def test_a_near_miss_names_the_unit_that_is_near(written, meant):
    with pytest.raises(RuleError) as refused:
        unit(written)
    assert f"'{meant}'" in refused.value.text("en")
    assert f"«{meant}»" in refused.value.text("vi")


@given(st.text(max_size=20))
def test_any_text_is_a_unit_of_known_size_or_is_refused(written):
    with suppress(RuleError):
        assert 0 < unit(written).scale < math.inf


@given(st.floats(allow_nan=False, allow_infinity=False), names)
def test_a_quantity_reads_the_number_that_was_written(number, name):
    read = Quantity.parse(f"{number!r} {name}")
    assert read.value == number
    assert read.unit == unit(name)
    assert read.to(name) == number


@pytest.mark.parametrize(
    "written", ["", "kW", "nan kW", "inf kW", "1e999 kW", "1,5 kW", "1.5.2 kW", "--1 kW"]
)
def test_what_is_no_quantity_is_refused(written):
    with pytest.raises(RuleError) as refused:
        Quantity.parse(written)
    assert refused.value.code == "base.not_a_quantity"


def test_a_bare_number_is_allowed_only_where_a_bare_number_is_expected():
    assert Quantity.parse("0.85", "1").to("%") == pytest.approx(85)
    assert Quantity.parse("85 %", "1").to("1") == pytest.approx(0.85)
    for written, expected, code in [
        ("200", "kW", "base.not_a_quantity"),
        ("200 kWh", "kW", "base.unit_mismatch"),
        ("200 kq", "kW", "base.unknown_unit"),
    ]:
        with pytest.raises(RuleError) as refused:
            Quantity.parse(written, expected)
        assert refused.value.code == code
