# SPDX-License-Identifier: Apache-2.0
"""Matching: words become codes, offers and needs become candidates with reasons. It ranks; people decide.

Comes in: offers, needs, past exchanges, coordinates. Goes out: pairs with a score, the reasons in words, and why other pairs were
refused. Nothing here opens a territory or a ledger.
"""

from mangrove.matching.candidates import Candidates, Refusal, candidates
from mangrove.matching.coder import EwcCoder, Ranked, fit_weights
from mangrove.matching.types import Case

__all__ = ["Candidates", "Case", "EwcCoder", "Ranked", "Refusal", "candidates", "fit_weights"]
