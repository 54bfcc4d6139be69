# SPDX-License-Identifier: Apache-2.0
"""Removals stand in their own account, with a positive sign."""

import pytest


def test_a_growing_mangrove_by_hand(ask):
    """5 m3/ha/yr x 0.87 t/m3 x 0.47 t C/t x 44/12 (Decision 2626, III.2.1 and 2.5), roots 0.3 of what is above."""
    grown = {"increment": "5 m3/ha/yr", "forest": "mangrove", "root_ratio": "30 %"}
    forest = ask("land:forest", "ha", step="1y", parameters=grown)
    assert forest.kg("CO2", account="removal") == pytest.approx(1000 * 5 * 0.87 * 1.3 * 0.47 * 44 / 12)
    assert not forest.pick("CO2")


def test_stated_growth_needs_no_volume(ask):
    forest = ask("land:forest", "ha", semantics="state", parameters={"growth": "8 t/ha/yr"})
    assert 8766 * forest.kg("CO2", account="removal") == pytest.approx(8000 * 0.47 * 44 / 12)


def test_a_forest_whose_growth_nobody_knows_is_a_gap(ask):
    assert ask("land:forest", "ha", step="1y").codes == ["methods.needs_parameter"]


def test_drained_soils_emit_by_area_and_time(ask):
    """20 t C/ha/yr (Decision 2626, III.2.11) and 16 kg N2O-N/ha/yr (III.3.28)."""
    drained = ask(
        "land:crop", "ha", step="1y", method="land_emission", factor="land/cropland/drained_organic"
    )
    assert drained.kg("CO2") == pytest.approx(20_000 * 44 / 12)
    nitrous = ask("land:crop", "ha", step="1y", method="land_emission", factor="soils/n2o/organic/crop_grass")
    assert nitrous.kg("N2O") == pytest.approx(16 * 44 / 28)


def test_captured_co2_is_a_removal_as_far_as_it_stays(ask):
    captured = ask("CO2", "t", method="carbon_capture", parameters={"stored_share": "99 %"})
    assert captured.kg("CO2", account="removal") == pytest.approx(990)
    assert not captured.pick("CO2")
