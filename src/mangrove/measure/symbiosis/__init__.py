# SPDX-License-Identifier: Apache-2.0
"""Verified exchanges: what running exchanges really do, by their meters, what they save, and how circular a territory is.

Comes in: running exchanges, their effects, the ledger. Goes out: `Verified` (reconciled amounts, savings, avoided emissions in an account
of their own) and circularity indicators.
"""

from mangrove.measure.symbiosis.circularity import Circularity, Indicator, circularity
from mangrove.measure.symbiosis.types import EffectSum, Figure, Product, Property, Reading, Row, Saving
from mangrove.measure.symbiosis.verify import Verified, verify

__all__ = [
    "Circularity", "EffectSum", "Figure", "Indicator", "Product", "Property", "Reading", "Row", "Saving", "Verified", "circularity",
    "verify",
]  # fmt: skip
