# SPDX-License-Identifier: Apache-2.0
"""Livestock: a herd counted in three ways, manure by hand."""

import pytest

MANURE = {"manure_system": "digester", "climate": "warm", "animal_mass": "60 kg/head"}


def test_a_herd_counted_by_year_by_month_and_at_every_moment_is_the_same(ask):
    """78 kg CH4/head/yr (Decision 2626, III.1.1)."""
    counted = {"method": "enteric_fermentation"}
    yearly = ask("livestock:dairy_cattle", "head", step="1y", **counted).kg("CH4")
    monthly = ask("livestock:dairy_cattle", "head", step="1mo", **counted).kg("CH4")
    standing = ask("livestock:dairy_cattle", "head", semantics="state", **counted).kg("CH4")
    assert yearly == pytest.approx(78) == pytest.approx(12 * monthly) == pytest.approx(8766 * standing)


def test_pig_manure_in_a_digester_by_hand(ask):
    """60 kg x 5.8 kg VS/t/day x 365.25 days x 0.29 m3/kg x 0.67 kg/m3 x 13.17 % (Decision 2626, III.1)."""
    herd = ask("livestock:swine", "head", step="1y", method="manure_management", parameters=MANURE)
    assert herd.kg("CH4") == pytest.approx(0.06 * 5.8 * 365.25 * 0.29 * 0.67 * 0.1317)
    assert herd.kg("N2O") == 0.0


def test_nitrous_oxide_of_compost_by_hand(ask):
    """60 kg x 0.42 kg N/t/day x 365.25 days x 0.01 kg N2O-N/kg N x 44/28."""
    herd = ask(
        "livestock:swine",
        "head",
        step="1y",
        method="manure_management",
        parameters={**MANURE, "manure_system": "composting"},
    )
    assert herd.kg("N2O") == pytest.approx(0.06 * 0.42 * 365.25 * 0.01 * 44 / 28)


def test_the_default_counts_digestion_and_manure(ask):
    herd = ask("livestock:swine", "head", step="1y", parameters={**MANURE, "manure_share": "50 %"})
    enteric = ask("livestock:swine", "head", step="1y", method="enteric_fermentation")
    manure = ask("livestock:swine", "head", step="1y", method="manure_management", parameters=MANURE)
    assert herd.kg("CH4") == pytest.approx(enteric.kg("CH4") + 0.5 * manure.kg("CH4"))


def test_manure_without_a_system_is_a_gap_and_digestion_stands(ask):
    herd = ask("livestock:buffalo", "head", step="1y")
    assert herd.kg("CH4") == pytest.approx(76)
    assert set(herd.codes) == {"methods.needs_parameter"}


def test_poultry_has_no_digestion(ask):
    herd = ask("livestock:poultry", "head", step="1y", method="enteric_fermentation")
    assert (herd.result.coefficients, herd.result.gaps) == ((), ())
