# SPDX-License-Identifier: Apache-2.0
"""Conversions are tested against published factors and the molar volume of an ideal gas."""

import pytest

from mangrove.errors import RequestError
from mangrove.inference.concentration import kg_per_ppm, molar_mass, to_kg


@pytest.mark.parametrize(
    ("gas", "micrograms"), [("no2", 1.88), ("so2", 2.62), ("o3", 1.96), ("co", 1.145), ("co2", 1.80)]
)
def test_a_ppb_weighs_what_air_quality_tables_say_at_25_degrees(gas, micrograms):
    # UK-AIR conversion factors are for 20 degC; these are 298 K and 1013 hPa, as US and Vietnamese standards use.
    assert kg_per_ppm(gas) / 1e3 * 1e9 == pytest.approx(micrograms, rel=2e-3)


def test_a_mole_of_gas_fills_22_414_liters_at_freezing():
    assert kg_per_ppm("ch4", 0.0, 1013.25) == pytest.approx(1e-6 * molar_mass("ch4") / 22.414, rel=1e-5)


def test_ppm_and_ppb_agree_and_masses_need_no_gas():
    assert to_kg(1900.0, "ppb", "ch4") == pytest.approx(to_kg(1.9, "ppm", "ch4"))
    assert to_kg(35.0, "ug/m3", "pm25") == pytest.approx(3.5e-8)


@pytest.mark.parametrize(
    ("unit", "gas", "code"),
    [("ppm", "pm25", "locate.no_molar_mass"), ("kWh", "ch4", "locate.no_concentration")],
)
def test_what_cannot_be_converted_is_named(unit, gas, code):
    with pytest.raises(RequestError) as caught:
        to_kg(1.0, unit, gas)
    assert caught.value.code == code
