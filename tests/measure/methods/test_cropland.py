# SPDX-License-Identifier: Apache-2.0
"""Rice, soils and field burning, by hand from Decision 2626 and the 2006 Guidelines."""

import pytest

SOUTH = {"season": "winter_spring", "region": "south"}


def test_a_rice_season_in_the_south_by_hand(ask):
    """95 days x 1.95 kg CH4/ha/day x SFw 0.55 (Decision 2626, III.3.35 and 3.51)."""
    grown = ask("cropland:rice", "ha", parameters={**SOUTH, "water": "multiple_aeration", "days": "95 day"})
    assert grown.kg("CH4") == pytest.approx(95 * 1.95 * 0.55)


def test_area_days_need_no_days(ask):
    grown = ask("cropland:rice", "ha*day", parameters={**SOUTH, "water": "continuous"})
    assert grown.kg("CH4") == pytest.approx(1.95)


def test_straw_raises_methane_by_the_printed_power(ask):
    """SFo = (1 + 0.43 t/ha x 1)^0.59 with the tabled rate of the season (Decision 2626, III.3.37 and 3.43)."""
    base = {**SOUTH, "water": "continuous", "days": "100 day"}
    plain = ask("cropland:rice", "ha", parameters=base)
    straw = ask("cropland:rice", "ha", parameters={**base, "amendment": "straw_under_30_days"})
    assert straw.kg("CH4") / plain.kg("CH4") == pytest.approx(1.43**0.59)


def test_rows_that_contradict_each_other_are_refused(ask):
    """Items III.3.39 and 3.46 print 0.76 and 0.57 t/ha for the same season in the north."""
    north = {"season": "winter_spring", "region": "north", "water": "continuous", "days": "100 day"}
    grown = ask("cropland:rice", "ha", parameters={**north, "amendment": "straw_under_30_days"})
    assert grown.codes == ["rules.ambiguous"]
    stated = {**north, "amendment": "straw_under_30_days", "amendment_rate": "0.7 t/ha"}
    assert ask("cropland:rice", "ha", parameters=stated).kg("CH4") == pytest.approx(161 * 1.7**0.59)


def test_upland_rice_emits_nothing(ask):
    grown = ask("cropland:rice", "ha", parameters={"water": "upland", "days": "100 day"})
    assert grown.kg("CH4") == 0.0


def test_nitrogen_on_soils_by_hand(ask):
    """0.01 + 0.10 x 0.01 + 0.30 x 0.0075 kg N2O-N/kg N for mineral fertilizer (IPCC 2006 V4 Tables 11.1 and 11.3)."""
    spread = ask("material:N", "kg", method="managed_soils", parameters={"nitrogen_source": "synthetic"})
    assert spread.kg("N2O") == pytest.approx((0.01 + 0.10 * 0.01 + 0.30 * 0.0075) * 44 / 28)
    urea = {"nitrogen_source": "organic", "nitrogen_content": "46 %", "crop": "maize"}
    maize = ask("material:N", "kg", method="managed_soils", parameters=urea)
    assert maize.kg("N2O") == pytest.approx(0.46 * (0.0098 + 0.20 * 0.01 + 0.30 * 0.0075) * 44 / 28)
    assert ask("material:N", "kg", method="managed_soils").codes == ["methods.needs_parameter"]


def test_lime_and_urea_release_their_carbon(ask):
    """0.12 t C/t limestone, 0.20 t C/t urea (Decision 2626, III.3.8 and 3.10)."""
    assert ask("material:limestone", "t", method="soil_carbonates").kg("CO2") == pytest.approx(440)
    assert ask("material:urea", "t", method="soil_carbonates").kg("CO2") == pytest.approx(200 * 44 / 12)


def test_burnt_residues_by_hand(ask):
    """2.7 g CH4 and 0.07 g N2O per kg dry matter; forest burns 0.55 of its load (Decision 2626, III.3.1 to 3.5)."""
    straw = ask("material:straw", "t", method="biomass_burning", parameters={"vegetation": "crop_residues"})
    assert (straw.kg("CH4"), straw.kg("N2O")) == pytest.approx((2.7, 0.07))
    forest = ask(
        "land:x", "ha", method="biomass_burning", parameters={"vegetation": "forest", "fuel_load": "20 t/ha"}
    )
    assert forest.kg("CH4") == pytest.approx(20 * 0.55 * 6.8)
    assert not forest.pick("CO2")
