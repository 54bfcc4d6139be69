# SPDX-License-Identifier: Apache-2.0
"""Verified exchanges: what running exchanges really do, by their meters, what they save, and how circular a territory is.

Comes in: running exchanges, their effects, the ledger. Goes out: `Verified` (reconciled amounts, savings, avoided emissions in an account
of their own) and circularity indicators.
"""

from mangrove.measure.symbiosis.types import EffectSum, Figure, Product, Property, Reading, Row, Saving

__all__ = ["EffectSum", "Figure", "Product", "Property", "Reading", "Row", "Saving"]
