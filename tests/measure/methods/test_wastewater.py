# SPDX-License-Identifier: Apache-2.0
"""Wastewater: one load in three ways of measuring it, tabled factors by hand."""

import pytest


def test_a_cubic_meter_of_industrial_wastewater_by_hand(ask):
    """800 mg COD/L x 0.25 kg CH4/kg COD x 0.8 (Decision 2626, IV.4.6 and 4.9) = 0.16 kg CH4/m3."""
    water = ask("wastewater:industrial", "m3", parameters={"cod": "800 mg/L", "system": "anaerobic_deep"})
    assert water.kg("CH4") == pytest.approx(0.16)


def test_water_load_and_people_give_the_same_methane(ask):
    """200 L a person and day of 200 mg BOD/L is 40 g BOD a person and day."""
    system = {"system": "septic", "nitrogen": "40 mg/L"}
    water = ask("wastewater:domestic", "m3", parameters={**system, "bod": "200 mg/L"})
    load = ask("wastewater:domestic", "kg", parameters={"system": "septic"})
    people = ask(
        "wastewater:domestic",
        "person",
        semantics="state",
        parameters={"system": "septic", "bod": "40 g/person/day", "nitrogen": "8 g/person/day"},
    )
    assert water.kg("CH4") == pytest.approx(0.2 * load.kg("CH4"))
    assert 24 * people.kg("CH4") == pytest.approx(0.2 * water.kg("CH4"))
    assert 24 * people.kg("N2O") == pytest.approx(0.2 * water.kg("N2O"))


def test_nitrous_oxide_of_the_effluent_by_hand(ask):
    """40 mg N/L x 0.01 kg N2O-N/kg N x 44/28 (Decision 2626, IV.4.5)."""
    water = ask(
        "wastewater:domestic",
        "m3",
        parameters={"bod": "200 mg/L", "nitrogen": "40 mg/L", "system": "untreated"},
    )
    assert water.kg("N2O") == pytest.approx(0.04 * 0.01 * 44 / 28)


def test_sludge_and_recovery_lessen_methane(ask):
    plain = {"cod": "800 mg/L", "mcf": "80 %"}
    full = ask("wastewater:industrial", "m3", parameters=plain)
    less = ask(
        "wastewater:industrial", "m3", parameters={**plain, "sludge_share": "20 %", "recovered_share": "50 %"}
    )
    assert less.kg("CH4") == pytest.approx(0.8 * 0.5 * full.kg("CH4"))


def test_nitrogen_that_nobody_measured_is_a_gap_and_methane_stands(ask):
    water = ask("wastewater:domestic", "m3", parameters={"bod": "200 mg/L", "system": "septic"})
    assert water.kg("CH4") == pytest.approx(0.2 * 0.6 * 0.5)
    assert water.codes == ["methods.needs_parameter"]
