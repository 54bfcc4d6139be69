"""Cells become values or say what was expected."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import MangroveError
from mangrove.territory import cells


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_number_reads_as_itself(value):
    assert cells.number(repr(value)) == value


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", "1,5", "0x10", "", "1e9999", "１２"])
def test_what_python_would_accept_is_not_a_number_yet(text):
    with pytest.raises(MangroveError, match=r"."):
        cells.number(text)


def test_a_percentage_is_a_fraction():
    assert cells.percentage("5 %") == 0.05
    assert cells.percentage("12.5%") == 0.125


def test_parameters_are_quantities_or_words():
    values = cells.parameters(
        "enthalpy=2776 kJ/kg; boiler_efficiency=85 %; fuel=anthracite; since=2024-01-01;"
    )
    assert values["enthalpy"].to("MJ/kg") == pytest.approx(2.776)
    assert values["boiler_efficiency"].to("1") == pytest.approx(0.85)
    assert (values["fuel"], values["since"]) == ("anthracite", "2024-01-01")


def test_parameters_have_one_spelling_whatever_their_order_and_spaces():
    one, other = cells.parameters("b=2.0 kW; a=x"), cells.parameters("a = x;b=2 kW")
    assert cells.parameters_text(one) == cells.parameters_text(other)


def test_a_temperature_may_be_negative_and_a_capacity_may_not():
    assert cells.parameters("supply=-5 degC")["supply"].value == -5
    with pytest.raises(MangroveError, match="-5 kW"):
        cells.parameters("capacity=-5 kW")


def test_ids_are_the_same_in_both_unicode_forms():
    assert cells.identifier(unicodedata.normalize("NFD", "Sông-Đước")) == "Sông-Đước"


@pytest.mark.parametrize("text", ["I.1.1", "II.4.3", "IV.2", "VI.1", "V.3"])
def test_references_of_the_gpc_are_known_by_their_form(text):
    assert cells.gpc(text) == text


@pytest.mark.parametrize("unit", ["kg CO2/TJ", "g CH4/MJ", "t CO2/t clinker"])
def test_a_factor_is_a_mass_per_activity(unit):
    assert cells.mass_per_activity(unit).text == unit


@pytest.mark.parametrize("unit", ["kg CO2", "TJ/kg", "MWh/t"])
def test_other_units_are_no_factors(unit):
    with pytest.raises(MangroveError):
        cells.mass_per_activity(unit)
