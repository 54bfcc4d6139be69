# SPDX-License-Identifier: Apache-2.0
"""Purchased steam, heat and cooling: the printed traps of formula 4, and mixes of fuels."""

import pytest

STEAM = {"enthalpy": "2776 kJ/kg", "boiler_efficiency": "85 %", "fuel": "diesel"}


def test_the_divisor_is_ten_to_the_nine_and_the_efficiency_a_fraction(ask):
    """kJ/kg over 85 % times kg/TJ: 0.242 kg CO2 per kg of steam, neither 242 nor 0.00242."""
    assert ask("steam", "kg", scope=2, parameters=STEAM).kg("CO2") == pytest.approx(0.24200188235294118)


def test_an_efficiency_of_eighty_five_without_percent_is_refused(ask):
    steam = ask("steam", "t", scope=2, parameters={**STEAM, "boiler_efficiency": "85"})
    assert steam.codes == ["methods.not_a_fraction"]


def test_a_nameplate_rate_needs_the_hours_it_ran(ask):
    silent = ask("steam", "t/h", scope=2, parameters=STEAM)
    assert silent.codes == ["methods.needs_parameter"]
    assert silent.result.gaps[0].data["parameter"] == "operating_hours"
    stated = ask("steam", "t/h", scope=2, parameters={**STEAM, "operating_hours": "720 h"})
    assert stated.kg("CO2") == pytest.approx(720 * 242.00188235294118)


def test_a_mean_rate_has_its_hours_from_the_engine(ask):
    steam = ask("steam", "t/h", scope=2, semantics="mean", parameters=STEAM)
    assert steam.kg("CO2") == pytest.approx(242.00188235294118)


def test_heat_needs_no_enthalpy(ask):
    heat = ask("heat", "GJ", scope=2, parameters={"boiler_efficiency": "80 %", "fuel": "natural_gas"})
    assert heat.kg("CO2") == pytest.approx(56.1 / 0.8)


def test_a_mix_of_fuels_adds_up_and_sends_biological_co2_to_the_memo(ask):
    heat = ask(
        "heat",
        "TJ",
        scope=2,
        parameters={"boiler_efficiency": "100 %", "fuel": "anthracite 60 % + wood 40 %"},
    )
    assert heat.kg("CO2") == pytest.approx(0.6 * 98300)
    assert heat.kg("CO2", account="memo") == pytest.approx(0.4 * 112000)
    assert heat.kg("N2O") == pytest.approx(0.6 * 1.5 + 0.4 * 4)


def test_the_seller_s_factor_replaces_the_formula(ask):
    steam = ask("steam", "t", scope=2, parameters={"supplier_factor": "0.2 t/t"})
    assert steam.kg("CO2") == pytest.approx(200)


def test_cooling_is_the_electricity_of_its_chillers(ask):
    cold = ask("cooling", "MWh", scope=2, parameters={"cop": "4 kWh/kWh"})
    assert cold.kg("CO2") == pytest.approx(659.2 / 4)
