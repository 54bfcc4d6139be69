# SPDX-License-Identifier: Apache-2.0
"""Plans of exchanges between companies: what to give to whom, by month or hour, what it is worth, and to whom everybody matters."""

from mangrove.plan.symbiosis.between import units
from mangrove.plan.symbiosis.hours import Course, Hours, hours
from mangrove.plan.symbiosis.model import APPROACH, PARTS, Case, Party, Terms, Unit
from mangrove.plan.symbiosis.optimum import Solution, solve
from mangrove.plan.symbiosis.outcome import Left, NewExchange, NewUnit, SymbiosisPlan, document, result
from mangrove.plan.symbiosis.problem import UNMIXED, Pairs, assemble
from mangrove.plan.symbiosis.value import Values, only

__all__ = [
    "APPROACH", "PARTS", "UNMIXED", "Case", "Course", "Hours", "Left", "NewExchange", "NewUnit", "Pairs", "Party", "Solution", "SymbiosisPlan", "Terms", "Unit", "Values",
    "assemble", "document", "hours", "only", "result", "solve", "units",
]  # fmt: skip
