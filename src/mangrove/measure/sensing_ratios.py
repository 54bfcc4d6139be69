# SPDX-License-Identifier: Apache-2.0
"""How much of a pollutant comes with a tonne of CO2: ratios by GPC reference, so that an air-quality network constrains activity.

Comes in: species, GPC reference. Goes out: kg of the species per kg of CO2 with the standard deviation of its logarithm, source and status.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

NO2_OF_NOX = 0.8
"""Hourly NO2 over NOx in ambient air: the default of US EPA's ambient ratio method, `ARM_1hr = 0.80` in the source of AERMOD that had it; its later form,
ARM2, runs from 0.50 to 0.90 (`ARM2_Min`, `ARM2_Max`). The spread of the ratios covers it."""
SAME = ("co2", "ch4", "n2o")
"""Species that the inventory itself counts."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """kg per kg of CO2; sd: of its logarithm; status and source as of factors."""

    gpc: str
    species: str
    value: float
    sd: float
    status: str
    source: str
    note: str


def ratio(species: str, gpc: str) -> Ratio | None:
    """The ratio with the longest matching reference; None where no source states one.

    Example:
        >>> found = ratio("no2", "II.1.1")
        >>> round(found.value, 4), found.sd
        (0.0035, 0.6)
        >>> ratio("co", "III.1.1") is None
        True
    """
    asked, share = ("nox", NO2_OF_NOX) if species == "no2" else (species, 1.0)
    near = [one for one in _table() if one.species == asked and f"{gpc}.".startswith(f"{one.gpc}.")]
    if not near:
        return None
    best = max(near, key=lambda one: len(one.gpc))
    return Ratio(best.gpc, species, best.value * share, best.sd, best.status, best.source, best.note)


@cache
def _table() -> tuple[Ratio, ...]:
    text = resources.files("mangrove.measure").joinpath("co_emission.csv").read_text(encoding="utf-8")
    return tuple(
        Ratio(
            gpc=row["gpc"], species=row["species"], value=float(row["ratio"]), sd=float(row["sd"]),
            status=row["status"], source=row["source"], note=row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    )  # fmt: skip
