# SPDX-License-Identifier: Apache-2.0
"""Concentrations as volume fractions and as masses: ppm, ppb, kg/m3, ug/m3 at a temperature and a pressure.

Comes in: numbers in one, the gas, and the air's temperature and pressure. Goes out: numbers in the other. An instrument that reads ppm
and a plume that carries kg/s meet here.
"""

from __future__ import annotations

from typing import Any

from mangrove.errors import RequestError, did_you_mean

GAS_CONSTANT = 8.314462618
"""J/(mol K): CODATA 2018 (exact since the SI of 2019)."""
KELVIN = 273.15
STANDARD_TEMPERATURE, STANDARD_PRESSURE = 25.0, 1013.25
"""degC and hPa to which mass concentrations of gases are stated: 25 degC and 760 mm of mercury, US 40 CFR 50.3."""

ATOMS = {"C": 12.011, "H": 1.008, "O": 15.999, "N": 14.007, "S": 32.06}
"""g/mol: IUPAC standard atomic weights, abridged (2021), Pure Appl. Chem. 94:573."""
_FORMULAS = {
    "co": {"C": 1, "O": 1}, "co2": {"C": 1, "O": 2}, "ch4": {"C": 1, "H": 4}, "no2": {"N": 1, "O": 2}, "no": {"N": 1, "O": 1},
    "n2o": {"N": 2, "O": 1}, "o3": {"O": 3}, "so2": {"S": 1, "O": 2},
}  # fmt: skip


def molar_mass(gas: str) -> float:
    """Of a gas in g/mol, from its atoms.

    Raises:
        RequestError: a species without a molar mass, such as PM2.5, or an unknown one.

    Example:
        >>> round(molar_mass("ch4"), 3)
        16.043
    """
    formula = _FORMULAS.get(gas.lower())
    if formula is None:
        raise RequestError("locate.no_molar_mass", gas=gas, hint=did_you_mean(gas, _FORMULAS))
    return sum(ATOMS[atom] * count for atom, count in formula.items())


def kg_per_ppm(gas: str, temperature: Any = STANDARD_TEMPERATURE, pressure: Any = STANDARD_PRESSURE) -> Any:
    """The kg/m3 that one ppm (1e-6 by volume) of a gas weighs: 1e-6 p M / (R T), the law of ideal gases.

    Args:
        gas: `ch4`, `co`, ...
        temperature: degC, a number or an array.
        pressure: hPa, a number or an array.

    Example:
        >>> round(kg_per_ppm("no2") * 1e9, 0)  # the 1.88 ug/m3 a ppb that air quality reports use
        1880.0
    """
    return 1e-6 * (pressure * 100.0) * (molar_mass(gas) / 1000.0) / (GAS_CONSTANT * (temperature + KELVIN))


def to_kg(
    values: Any,
    unit: str,
    gas: str,
    temperature: Any = STANDARD_TEMPERATURE,
    pressure: Any = STANDARD_PRESSURE,
) -> Any:
    """Values in `ppm`, `ppb` or a mass per volume (`ug/m3`, `mg/m3`, `kg/m3`) as kg/m3.

    Raises:
        RequestError: another unit, or a volume fraction of what is no gas.

    Example:
        >>> to_kg(1.0, "mg/m3", "pm25")
        1e-06
    """
    masses = {"ug/m3": 1e-9, "µg/m3": 1e-9, "mg/m3": 1e-6, "g/m3": 1e-3, "kg/m3": 1.0}
    shares = {"ppm": 1.0, "ppb": 1e-3}
    if unit in masses:
        return values * masses[unit]
    if unit in shares:
        return values * shares[unit] * kg_per_ppm(gas, temperature, pressure)
    raise RequestError("locate.no_concentration", unit=unit)
