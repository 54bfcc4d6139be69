# SPDX-License-Identifier: Apache-2.0
"""Dated external facts: factors, GWP sets, fuels, tariffs, codes; each with status and source."""

from mangrove.rules.book import Rules, load
from mangrove.rules.gwp import GwpSet, GwpValue, canonical_gas
from mangrove.rules.types import Conflict, DensityCheck, Factor, Fuel, Match, Selection, Source

__all__ = [
    "Conflict", "DensityCheck", "Factor", "Fuel", "GwpSet", "GwpValue", "Match", "Rules", "Selection", "Source",
    "canonical_gas", "load",
]  # fmt: skip
