# SPDX-License-Identifier: Apache-2.0
"""Escaping gases: coal, captured methane, oil and gas, direct releases."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mangrove.territory.model import LocalFactor
from mangrove.units import unit


def test_underground_coal_by_hand(ask):
    """(1.5789 + 0.1697) m3 CH4/t x 0.67 kg/m3 (Decision 2626, I.2.1 and I.2.2)."""
    mined = ask("material:coal", "t", method="coal_mining", parameters={"mine": "underground"})
    assert mined.kg("CH4") == pytest.approx((1.5789 + 0.1697) * 0.67)


def test_one_stage_of_surface_mining_by_its_key(ask):
    mined = ask("material:coal", "t", method="coal_mining", factor="fugitive/coal/surface/mining")
    assert mined.kg("CH4") == pytest.approx(0.05375 * 0.67)


def test_an_own_factor_by_volume_becomes_a_mass_with_a_density_that_shows(ask):
    own = LocalFactor("mine/own", "CH4", 2.0, unit("m3 CH4/t coal"), "measured")
    mined = ask("material:coal", "t", method="coal_mining", factor="mine/own", factors=(own,))
    (coefficient,) = mined.pick("CH4")
    assert coefficient.value == pytest.approx(2.0 * 0.67)
    assert "CF" in [term.symbol for term in coefficient.terms]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(efficiency=st.floats(0, 100))
def test_the_carbon_of_captured_methane_is_conserved(ask, efficiency):
    """Carbon in CO2 and in unburnt CH4 is the carbon of the methane."""
    captured = ask(
        "gas:CH4", "t", method="captured_methane", parameters={"combustion_efficiency": f"{efficiency!r} %"}
    )
    carbon = captured.kg("CO2") * 12 / 44 + captured.kg("CH4") * 12 / 16
    assert carbon == pytest.approx(1000 * 12 / 16)


def test_burnt_landfill_gas_is_biological(ask):
    captured = ask(
        "gas:CH4",
        "m3",
        method="captured_methane",
        parameters={"combustion_efficiency": "98 %", "origin": "biogenic"},
    )
    assert captured.kg("CO2", account="memo") == pytest.approx(0.67 * 0.98 * 44 / 16)
    assert not captured.pick("CO2")


def test_flaring_of_oil_gives_every_gas_of_its_source(ask):
    """Decision 2626, I.2.7 to I.2.9: 0.0405 kt CO2, 2.5e-5 kt CH4, 6.4e-7 kt N2O per 1,000 m3."""
    flared = ask("material:oil", "m3", method="fugitive_oil_gas", factor="fugitive/oil/production/flaring")
    found = [flared.kg(gas) for gas in ("CO2", "CH4", "N2O")]
    assert found == pytest.approx([40.5, 2.5e-2, 6.4e-4])


def test_a_leak_of_natural_gas_counts_its_methane(ask):
    leak = ask("gas:CH4", "m3", parameters={"content": "90 %"})
    assert leak.kg("CH4") == pytest.approx(0.9 * 0.67)
    assert ask("gas:SF6", "kg").kg("SF6") == pytest.approx(1.0)
    assert ask("gas:SF6", "m3").codes == ["methods.needs_parameter"]
