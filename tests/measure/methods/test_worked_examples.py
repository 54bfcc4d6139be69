# SPDX-License-Identifier: Apache-2.0
"""The published worked examples, re-keyed: inputs and expected results as their sources print them."""

from datetime import date

import pytest

from mangrove.territory.model import LocalFactor
from mangrove.units import unit

EXACT = 1e-6


def local(activity, gas, value, written):
    return LocalFactor(activity, gas, value, unit(written), source="worked example")


def test_vn_01_ten_terajoules_of_anthracite_in_manufacturing(ask, book):
    """Circular 38/2023, formula 1: 983 t CO2, 0.1 t CH4, 0.015 t N2O; 989.775 t (AR5), 989.97 t (AR4)."""
    burnt = ask("fuel:anthracite", "TJ")
    tonnes = {gas: 10 * burnt.kg(gas) / 1000 for gas in ("CO2", "CH4", "N2O")}
    assert tonnes == pytest.approx({"CO2": 983.0, "CH4": 0.1, "N2O": 0.015}, rel=EXACT)
    for gwp, total in (("AR5", 989.775), ("AR4", 989.97)):
        weights = book.gwp(gwp)
        assert sum(t * weights.value(gas).value for gas, t in tonnes.items()) == pytest.approx(
            total, rel=EXACT
        )


def test_vn_02_a_thousand_megawatt_hours_of_grid_power(ask):
    """Circular 38/2023, formula 3, factor of 2023: 659.2 t CO2."""
    used = ask("electricity", "MWh", scope=2)
    assert 1000 * used.kg("CO2", view="location") / 1000 == pytest.approx(659.2, rel=EXACT)


def test_vn_03_a_thousand_tonnes_of_purchased_steam(ask):
    """Circular 38/2023, formula 4, as corrected by Decision 334: 2776 kJ/kg, 85 %, diesel: 242.002 t CO2."""
    steam = ask(
        "steam",
        "t",
        scope=2,
        parameters={"enthalpy": "2776 kJ/kg", "boiler_efficiency": "85 %", "fuel": "diesel"},
    )
    assert steam.kg("CO2") / 1000 == pytest.approx(0.24200188235294118, rel=EXACT)
    assert 1000 * steam.kg("CO2") / 1000 == pytest.approx(242.00188235294118, rel=EXACT)


def test_vn_05_a_million_cubic_meters_of_captured_methane(ask):
    """Circular 38/2023, formulas 5.2 and 5.3: 1,805.65 t CO2 and 13.4 t CH4 unburnt."""
    captured = ask("gas:CH4", "m3", method="captured_methane", parameters={"combustion_efficiency": "98 %"})
    assert 1e6 * captured.kg("CO2") / 1000 == pytest.approx(1805.65, rel=EXACT)
    assert 1e6 * captured.kg("CH4") / 1000 == pytest.approx(13.4, rel=EXACT)


def test_vn_06_ten_kilograms_of_refrigerant_bought(ask, book):
    """Circular 38/2023, formula 2.1: 14.3 (AR4), 13.0 (AR5), 15.3 (AR6) t CO2e."""
    bought = ask("refrigerant:HFC-134a", "kg")
    for gwp, tonnes in (("AR4", 14.3), ("AR5", 13.0), ("AR6", 15.3)):
        weight = book.gwp(gwp).value("HFC-134a").value
        assert 10 * bought.kg("HFC-134a") * weight / 1000 == pytest.approx(tonnes, rel=EXACT)


def test_s2_01_dual_reporting_of_ten_thousand_megawatt_hours(ask):
    """4,000 MWh under a PPA and 2,000 MWh with certificates at zero, residual 0.8: 7,100 and 3,200 t."""
    used = ask(
        "electricity",
        "MWh",
        scope=2,
        factor="grid/example",
        factors=(local("grid/example", "CO2", 0.71, "t CO2/MWh"),),
        parameters={
            "contract_share": "40 %",
            "contract_factor": "0 t/MWh",
            "certificate_share": "20 %",
            "certificate_factor": "0 t/MWh",
            "residual_factor": "0.8 t/MWh",
        },
    )
    assert 10_000 * used.kg("CO2", view="location") / 1000 == pytest.approx(7100, rel=EXACT)
    assert 10_000 * used.kg("CO2", view="market") / 1000 == pytest.approx(3200, rel=EXACT)


def test_city_01_a_hundred_cubic_meters_of_lpg_at_home(ask, book):
    """CityCatalyst validation sheet, GPC I.1.1, factors per cubic meter: 162.22 t CO2e."""
    key = "combustion/residential/sheet_lpg"
    printed = (("CO2", 1617.884), ("CH4", 0.1282), ("N2O", 0.002564))
    burnt = ask(
        "fuel:lpg",
        "m3",
        factor=key,
        factors=tuple(local(key, gas, value, f"kg {gas}/m3") for gas, value in printed),
    )
    weights = book.gwp("AR5")
    total = sum(100 * burnt.kg(gas) * weights.value(gas).value for gas, _ in printed) / 1000
    assert total == pytest.approx(162.2153, abs=0.01)


def test_city_02_a_hundred_kilograms_of_anthracite_at_home(ask, book):
    """CityCatalyst validation sheet, GPC I.1.1: 0.29 t CO2e; NCV x EF of IPCC gives the printed factors."""
    burnt = ask("fuel:anthracite", "kg", parameters={"use": "residential"})
    assert burnt.kg("CO2") == pytest.approx(2.62461, rel=1e-6)
    assert burnt.kg("CH4") == pytest.approx(0.00801, rel=1e-3)
    assert burnt.kg("N2O") == pytest.approx(4.01e-5, rel=2e-3)
    weights = book.gwp("AR5")
    total = sum(100 * burnt.kg(gas) * weights.value(gas).value for gas in ("CO2", "CH4", "N2O")) / 1000
    assert total == pytest.approx(0.286, abs=0.01)


def test_fod_01_a_thousand_tonnes_of_food_waste(ask):
    """IPCC 2006 V5, Eq 3.2 to 3.6: 16.484 t CH4 in the first year, 11.050 in the second, 50 t in all."""
    buried = ask(
        "waste:food",
        "t",
        method="solid_waste_decay",
        parameters={"site": "managed_anaerobic", "climate": "tropical_wet", "docf": "0.5"},
    )
    (response,) = buried.result.responses
    tonnes = [1000 * kg / 1000 for kg in response.kernel]
    assert tonnes[0] == 0.0  # a delay of six months: the reaction starts with the next calendar year
    assert tonnes[1] == pytest.approx(16.483998, rel=EXACT)
    assert tonnes[2] == pytest.approx(11.049554, rel=EXACT)
    assert sum(tonnes) == pytest.approx(50.0, rel=2 * EXACT)


def test_fod_01_with_the_docf_of_decision_2626_is_larger_by_forty_percent(ask):
    """Decision 2626, Appendix IV, item 1.19: DOCf 0.7 for food, used when the flow states none."""
    where = {"site": "managed_anaerobic", "climate": "tropical_wet"}
    buried = ask("waste:food", "t", method="solid_waste_decay", parameters=where)
    assert 1000 * buried.result.responses[0].kernel[1] / 1000 == pytest.approx(1.4 * 16.483998, rel=EXACT)


def test_the_grid_factor_of_a_year_without_an_official_one_is_a_gap(ask):
    """2024 has only an unofficial value: nothing without leave, 0.6811 t/MWh with it."""
    year = (date(2024, 1, 1), date(2025, 1, 1))
    silent = ask("electricity", "MWh", scope=2, span=year)
    assert not silent.result.coefficients
    assert silent.codes == ["rules.no_factor"]
    allowed = ask("electricity", "MWh", scope=2, span=year, allow=("unofficial",))
    assert allowed.kg("CO2", view="location") == pytest.approx(681.1, rel=EXACT)
