# SPDX-License-Identifier: Apache-2.0
"""Burnt and treated waste: fossil and biological carbon add up, tabled factors by hand."""

import pytest


@pytest.mark.parametrize("method", ["incineration", "open_burning"])
@pytest.mark.parametrize("waste", ["plastics", "textiles", "paper", "food", "garden", "nappies", "wood"])
def test_fossil_and_biological_carbon_are_the_oxidized_carbon(ask, book, method, waste):
    burnt = ask(f"waste:{waste}", "t", method=method, parameters={"technology": "continuous_stoker"})
    dry, carbon = (book.parameter(f"incineration/{what}/{waste}").value for what in ("dry_matter", "carbon"))
    oxidized = 1.0 if method == "incineration" else 0.71
    total = burnt.kg("CO2") + burnt.kg("CO2", account="memo")
    assert total == pytest.approx(1000 * dry * carbon * oxidized * 44 / 12)


def test_plastics_in_a_grate_by_hand(ask):
    """Dm 1 x CF 0.75 x FCF 1 x OF 1 x 44/12 = 2.75 t CO2/t; 0.2 kg CH4/Gg; 47 g N2O/t (Decision 2626, IV.3)."""
    burnt = ask("waste:plastics", "t", method="incineration", parameters={"technology": "continuous_stoker"})
    assert burnt.kg("CO2") == pytest.approx(2750)
    assert burnt.kg("CO2", account="memo") == pytest.approx(0)
    assert burnt.kg("CH4") == pytest.approx(2e-4)
    assert burnt.kg("N2O") == pytest.approx(0.047)


def test_open_burning_by_hand(ask):
    """6,500 g CH4/t and 150 g N2O/t (Decision 2626, IV.3.24 and 3.25)."""
    burnt = ask("waste", "t", method="open_burning", parameters={"composition": "plastics 20 % + food 80 %"})
    assert burnt.kg("CH4") == pytest.approx(6.5)
    assert burnt.kg("N2O") == pytest.approx(0.15)
    assert burnt.kg("CO2") == pytest.approx(0.2 * 1000 * 0.75 * 0.71 * 44 / 12)


def test_an_incinerator_without_a_technology_still_has_its_carbon(ask):
    burnt = ask("waste:plastics", "t", method="incineration")
    assert burnt.kg("CO2") == pytest.approx(2750)
    assert burnt.codes == ["methods.needs_parameter"]


def test_biological_treatment_by_hand(ask):
    """Composting 4 g CH4 and 0.24 g N2O per kg wet; digestion 0.8 g CH4 (Decision 2626, IV.2.2, 2.4, 2.6)."""
    compost = ask("waste:food", "t", method="composting")
    assert (compost.kg("CH4"), compost.kg("N2O")) == pytest.approx((4.0, 0.24))
    dry = ask("waste:food", "t", method="composting", parameters={"basis": "dry"})
    assert (dry.kg("CH4"), dry.kg("N2O")) == pytest.approx((10.0, 0.6))
    digester = ask("waste:food", "t", method="anaerobic_digestion", parameters={"recovered_share": "25 %"})
    assert digester.kg("CH4") == pytest.approx(0.8 * 0.75)
    assert not digester.result.gaps
