# SPDX-License-Identifier: Apache-2.0
"""Checks on the facts themselves: the density hidden in a volumetric factor, and the keys nearest to a wrong one.

A factor in kg CO2 per liter contains a density that nobody sees. Comes in: all factors. Goes out: that density,
kg per liter = (kg CO2 per L) / (kg CO2 per TJ x TJ per kg), beside the plausible band of the fuel.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from mangrove.rules import tables
from mangrove.rules.types import DensityCheck, Factor
from mangrove.units import unit


def densities(factors: Sequence[Factor]) -> list[DensityCheck]:
    """Every printed density and every density implied by a volumetric factor, against the band of its fuel."""
    by_id = {factor.id: factor for factor in factors}
    found = []
    for factor in factors:
        family, fuel, *rest = [*factor.activity.split("/"), ""]
        if family == "fuel" and rest[0] == "density":
            found.append(_check(factor, fuel, factor.value * unit(factor.unit).to("kg/m3")))
        elif family == "volume":
            found.append(_check(factor, fuel, _implied(factor, fuel, by_id)))
    return [check for check in found if check is not None]


def _implied(factor: Factor, fuel: str, by_id: dict[str, Factor]) -> float:
    """The density in kg/m3 behind a volumetric CO2 factor, with the IPCC 2006 NCV and CO2 factor of the fuel."""
    carbon, heat = by_id[f"IPCC2006:manufacturing:{fuel}:CO2"], by_id[f"IPCC2006:ncv:{fuel}"]
    per_volume = factor.value * unit(factor.unit).to("kg/m3")
    per_mass = carbon.value * unit(carbon.unit).to("kg/TJ") * heat.value * unit(heat.unit).to("TJ/kg")
    return per_volume / per_mass


def _check(factor: Factor, fuel: str, per_m3: float) -> DensityCheck | None:
    """The check of one density (kg/m3); None when no band is known for the fuel."""
    band = tables.fuels()[fuel]
    if band.density_low is None or band.density_high is None:
        return None
    density = per_m3 * unit("kg/m3").to(band.density_unit)
    return DensityCheck(factor, fuel, density, band.density_low, band.density_high, band.density_unit)


def nearest(key: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The activity keys that look most like `key`: by whole text, else by its last part."""
    listed = sorted(set(known))
    near = difflib.get_close_matches(key.casefold(), listed, n=count, cutoff=0.6)
    if near:
        return near
    last = {name.rsplit("/", 1)[-1]: name for name in listed}
    return [
        last[part] for part in difflib.get_close_matches(key.rsplit("/", 1)[-1], last, n=count, cutoff=0.6)
    ]
