# SPDX-License-Identifier: Apache-2.0
"""Combustion: units do not matter, carbon is conserved, biological CO2 stands apart."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mangrove.measure.methods.combustion import GASES
from mangrove.units import unit

MASSES, ENERGIES, VOLUMES = ("kg", "t", "g", "kt"), ("GJ", "TJ", "kWh", "toe", "MMBtu"), ("L", "m3", "bbl")

# Mass of carbon per mass of fuel at most (pure carbon, or the hydrocarbon itself): chemistry, not a factor table.
CARBON = {
    "anthracite": 1.0,
    "diesel": 0.875,
    "gasoline": 0.88,
    "fuel_oil": 0.89,
    "lpg": 0.828,
    "natural_gas": 0.75,
}


@pytest.mark.parametrize("fuel", ["diesel", "gasoline", "fuel_oil", "lpg", "naphtha"])
def test_the_same_fuel_in_any_unit_gives_the_same_kilograms(ask, book, fuel):
    """One tonne as mass, as its energy, and as its volume."""
    energy = book.parameter(f"fuel/{fuel}/ncv").value * 1e-3  # TJ/t
    by_volume = ask(f"fuel:{fuel}", "L", parameters={"use": "manufacturing"})
    density = next(t for t in by_volume.pick("CO2")[0].terms if t.symbol == "rho").value
    for gas in GASES:
        expected = ask(f"fuel:{fuel}", "t").kg(gas)
        for name in MASSES:
            assert ask(f"fuel:{fuel}", name).kg(gas) == pytest.approx(expected * unit(name).to("t"))
        for name in ENERGIES:
            assert ask(f"fuel:{fuel}", name).kg(gas) * energy == pytest.approx(
                expected * unit(name).to("TJ"), rel=1e-9
            )
        for name in VOLUMES:
            tonnes = unit(name).to("L") * density / 1000
            assert ask(f"fuel:{fuel}", name).kg(gas) == pytest.approx(expected * tonnes)


@given(ncv=st.floats(5, 60), density=st.floats(0.82, 0.86), amount=st.floats(1e-3, 1e6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_declared_calorific_values_and_densities_close_the_circle(ask, ncv, density, amount):
    """Liters, their mass and their energy give one number, whatever the fuel of the flow is like."""
    stated = {"ncv": f"{ncv!r} TJ/Gg", "density": f"{density!r} kg/L"}
    liters = amount * ask("fuel:diesel", "L", parameters=stated).kg("CO2")
    mass = amount * density * ask("fuel:diesel", "kg", parameters=stated).kg("CO2")
    energy = amount * density * ncv * 1e-3 * ask("fuel:diesel", "GJ").kg("CO2")
    assert liters == pytest.approx(mass) == pytest.approx(energy)


@pytest.mark.parametrize("fuel", sorted(CARBON))
def test_no_fuel_gives_more_co2_than_its_carbon_allows(ask, fuel):
    """Kg CO2 per kg of fuel <= carbon content x 44/12; half a percent for rounded molar masses."""
    assert ask(f"fuel:{fuel}", "kg").kg("CO2") <= CARBON[fuel] * 44 / 12 * 1.005


@pytest.mark.parametrize("fuel", ["wood", "charcoal", "biogas", "biodiesel"])
def test_biological_co2_is_a_memo_and_its_other_gases_are_not(ask, fuel):
    burnt = ask(f"fuel:{fuel}", "t")
    assert not burnt.pick("CO2")
    assert burnt.kg("CO2", account="memo") > 0
    assert burnt.kg("CH4") > 0
    assert burnt.kg("N2O") > 0


def test_a_blend_divides_its_co2_and_loses_none(ask):
    """Gasoline with 5 % of its carbon from ethanol."""
    blend = ask("fuel:gasoline", "t", method="mobile_combustion", parameters={"biogenic_share": "5 %"})
    pure = ask("fuel:gasoline", "t", method="mobile_combustion")
    assert blend.kg("CO2") == pytest.approx(0.95 * pure.kg("CO2"))
    assert blend.kg("CO2") + blend.kg("CO2", account="memo") == pytest.approx(pure.kg("CO2"))
    assert blend.kg("CH4") == pytest.approx(pure.kg("CH4"))


def test_the_use_decides_methane(ask):
    """Anthracite: 1 kg CH4/TJ in power plants, 10 in industry, 300 at home (Decision 2626, I.1.2, 1.26, 1.80)."""
    found = {
        use: ask("fuel:anthracite", "TJ", parameters={"use": use}).kg("CH4")
        for use in ("energy_industries", "manufacturing", "residential")
    }
    assert found == pytest.approx({"energy_industries": 1.0, "manufacturing": 10.0, "residential": 300.0})


def test_diesel_on_the_road_by_hand(ask):
    """1,000 L x 0.84 kg/L x 43 TJ/Gg: 36.12 GJ; 74,100 kg CO2/TJ and 3.9 kg N2O/TJ (Decision 2626, I.1.46, 1.48)."""
    burnt = ask("fuel:diesel", "L", method="mobile_combustion", parameters={"density": "0.84 kg/L"})
    assert 1000 * burnt.kg("CO2") == pytest.approx(0.03612 * 74100)
    assert 1000 * burnt.kg("N2O") == pytest.approx(0.03612 * 3.9)


def test_jet_fuel_takes_the_factors_of_all_aviation_fuels(ask):
    """Decision 2626, I.1.44 and 1.45."""
    burnt = ask("fuel:jet_kerosene", "TJ", factor="combustion/aviation/jet_kerosene")
    assert (burnt.kg("CO2"), burnt.kg("CH4"), burnt.kg("N2O")) == pytest.approx((71500, 0.5, 2.0))


def test_a_density_that_no_diesel_has_is_refused(ask):
    """0.913 kg/L stands in a widely used table and makes liters 9 % too heavy; the same table has a kerosene of 0.848."""
    burnt = ask("fuel:diesel", "L", parameters={"density": "0.913 kg/L"})
    assert set(burnt.codes) == {"methods.implausible_density"}
    assert not burnt.result.coefficients
    assert set(ask("fuel:kerosene", "L").codes) == {"methods.implausible_density"}


def test_a_mean_power_of_fuel_is_an_energy_per_hour(ask):
    """1 MW for one hour is 3.6 GJ; the engine multiplies by the hours."""
    rate, amount = ask("fuel:natural_gas", "MW", semantics="mean"), ask("fuel:natural_gas", "GJ")
    assert rate.kg("CO2") == pytest.approx(3.6 * amount.kg("CO2"))


def test_normal_cubic_meters_need_a_density_of_their_own(ask):
    gas = ask("fuel:natural_gas", "Nm3", parameters={"density": "0.75 kg/Nm3"})
    assert gas.kg("CO2") == pytest.approx(0.75 * 48e-6 * 56100)


def test_incomplete_oxidation_lessens_carbon_dioxide_alone(ask):
    full, partial = ask("fuel:coke", "t"), ask("fuel:coke", "t", parameters={"oxidation": "98 %"})
    assert partial.kg("CO2") == pytest.approx(0.98 * full.kg("CO2"))
    assert partial.kg("CH4") == pytest.approx(full.kg("CH4"))
