# SPDX-License-Identifier: Apache-2.0
"""Refrigerants: formula 2.1, and the three stages of formula 2.2."""

import pytest


def life(ask, stage, **parameters):
    semantics = parameters.pop("semantics", "sum")
    measured = ask(
        "refrigerant:R-410A",
        "kg",
        method="refrigerant_life_cycle",
        semantics=semantics,
        parameters={"stage": stage, **parameters},
    )
    return measured.kg("R-410A")


def test_what_is_topped_up_escaped_whatever_its_unit(ask):
    assert ask("refrigerant:R-410A", "kg").kg("R-410A") == 1.0
    assert ask("refrigerant:R-410A", "t").kg("R-410A") == pytest.approx(1000)


def test_the_stages_of_formula_two_by_hand(ask):
    """C_A x k/100, C_O x x/100, C_D x y/100 x (1 - z/100)."""
    assert life(ask, "assembly", assembly_loss="1 %") == pytest.approx(0.01)
    assert life(ask, "operation", annual_loss="5 %") == pytest.approx(0.05)
    assert life(ask, "disposal", remaining_charge="80 %", recovery="70 %") == pytest.approx(0.8 * 0.3)


def test_a_standing_charge_loses_by_the_hour(ask):
    """5 % a year of 365.25 days; the engine multiplies by the hours."""
    assert life(ask, "operation", annual_loss="5 %", semantics="state") * 8766 == pytest.approx(0.05)


def test_a_range_of_the_guidelines_is_no_number(ask):
    measured = ask(
        "refrigerant:R-410A", "kg", method="refrigerant_life_cycle", parameters={"stage": "operation"}
    )
    assert measured.codes == ["methods.needs_parameter"]
    unknown = ask(
        "refrigerant:R-410A", "kg", method="refrigerant_life_cycle", parameters={"stage": "afterlife"}
    )
    assert unknown.codes == ["methods.bad_parameter"]
