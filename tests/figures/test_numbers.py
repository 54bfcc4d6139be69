# SPDX-License-Identifier: Apache-2.0
"""Numbers read the way officials and engineers of each language write them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.figures import numbers


@pytest.mark.parametrize(
    ("value", "lang", "digits", "text"),
    [
        (1234.5, "vi", 5, "1.234,5"),
        (1234.5, "en", 5, "1,234.5"),
        (46_912_345, "vi", 3, "46.900.000"),
        (0.5914, "vi", 4, "0,5914"),
        (-41.27, "en", 3, "−41.3"),
        (0.0, "vi", 3, "0"),
        (-0.0, "vi", 3, "0"),
        (999.9, "en", 3, "1,000"),
        (1.5e-7, "vi", 2, "1,5×10⁻⁷"),
    ],
)
def test_a_number_is_rounded_to_significant_digits_with_the_separators_of_its_language(
    value, lang, digits, text
):
    assert numbers.number(value, lang, digits=digits) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_said_in_words_and_never_zero(value):
    assert numbers.number(value, "vi") == "không có dữ liệu"
    assert numbers.fixed(value, "en") == "no data"
    assert numbers.percent(value, "en") == "no data"
    assert "0" not in numbers.scale(value, "t CO2e", "vi").full(value)


def test_tonnes_are_written_as_officials_write_them():
    assert numbers.scale(12.0, "t CO2e", "vi").label == "tấn CO2tđ"
    assert numbers.scale(12_345, "t CO2e", "vi").full(12_345) == "12,3 nghìn tấn CO2tđ"
    assert numbers.scale(46.9e6, "t CO2e", "en").full(46.9e6) == "46.9 Mt CO2e"
    assert numbers.scale(8e9, "kWh", "vi").full(8e9) == "8.000.000.000 kWh"
    assert numbers.unit_label("t CO2e/h", "vi") == "tấn CO2tđ/giờ"


def test_an_interval_is_rounded_to_two_digits_of_its_half_width():
    scaling = numbers.scale(46_912_345, "t CO2e", "vi")
    assert numbers.interval(46_912_345, 43_800_000, 50_020_000, scaling) == ("46,9", "43,8–50,0")
    assert numbers.interval(-3.0, -4.06, -1.94, numbers.scale(3.0, "t CO2e", "en")) == ("−3.0", "−4.1 … −1.9")


def test_an_interval_of_no_width_or_without_ends_still_shows_the_number():
    scaling = numbers.scale(5.0, "t CO2e", "en")
    assert numbers.interval(5.0, 5.0, 5.0, scaling)[0] == "5.00"
    assert numbers.interval(5.0, None, None, scaling) == ("5", "")
    assert numbers.interval(float("nan"), 1.0, 2.0, scaling) == ("no data", "")


def test_dates_months_and_formulas_are_written_in_the_language():
    assert numbers.day(date(2025, 7, 1), "vi") == "01/07/2025"
    assert numbers.day(date(2025, 7, 1), "en") == "1 Jul 2025"
    assert numbers.month(12, "vi") == "T12"
    assert numbers.typeset("t CO2e, CH4, N2O") == "t CO₂e, CH₄, N₂O"


@given(st.floats(min_value=-1e14, max_value=1e14, allow_subnormal=False), st.integers(1, 9))
def test_reading_a_written_number_back_gives_the_value_to_its_digits(value, digits):
    text = numbers.number(value, "vi", digits=digits).replace("−", "-")
    if "×10" in text:
        mantissa, power = text.split("×10")
        exponent = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        text = f"{mantissa}e{exponent}"
    back = float(text.replace(".", "").replace(",", "."))
    assert back == pytest.approx(value, rel=10.0 ** (1 - digits))
