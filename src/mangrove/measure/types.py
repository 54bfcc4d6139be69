# SPDX-License-Identifier: Apache-2.0
"""What a measuring method gives back: coefficients whose arithmetic can be read, and the errors they share.

A linear method turns one declared flow into `Coefficient`s: kilograms of one gas per unit of the flow, valid between
two instants, as an ordered product of `Term`s. The engine multiplies them with the flow's values in SQL; `explain`
prints the same terms. A method with memory (first-order decay) is a `Response` over the years instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from mangrove.rules.types import Factor


@dataclass(frozen=True, slots=True)
class Term:
    """One number in the product.

    Attributes:
        symbol: as in the method's equation ("NCV", "EF", "eta").
        value, unit: the number as used.
        power: +1 or -1 (a boiler efficiency divides).
        factor: the rule it comes from; None for a declared parameter or a unit conversion.
        origin: "rule", "parameter" (declared on the flow), "unit" (conversion) or "constant" (with its source in `note`).
        uncertainty: 95 % half-width as a fraction, 0 when exact.
        shared: id of the shared error; terms with the same id move together across all flows.
    """

    symbol: str
    value: float
    unit: str
    power: int = 1
    factor: Factor | None = None
    origin: str = "rule"
    uncertainty: float = 0.0
    shared: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """Kilograms of `gas` per unit of the flow (in the flow's declared unit), valid in `[valid_from, valid_to)` UTC.

    `account` is empty (the flow's own), or `avoided`, `removal` or `memo` when the method sends this gas elsewhere
    (biogenic CO2 is `memo`). `view` is empty, or names a parallel view: `market` for market-based scope 2, whose
    coefficients replace those with view `location` there and never add to them.
    """

    gas: str
    terms: tuple[Term, ...]
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    account: str = ""
    view: str = ""
    note: str = ""

    @property
    def value(self) -> float:
        """The product of the terms, in kg per unit of the flow."""
        return math.prod(term.value**term.power for term in self.terms)


@dataclass(frozen=True, slots=True)
class Response:
    """Kilograms of `gas` released in the years after an amount was deposited.

    `kernel[n]` is kg per unit of the flow released in the n-th calendar year after the year of deposit (n = 0 first).
    """

    gas: str
    kernel: tuple[float, ...]
    terms: tuple[Term, ...]
    account: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be computed: shown as a row that says so, never as a number."""

    code: str
    flow: str
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """All that a method says about one flow. A flow with a gap may still have coefficients for other gases or years."""

    coefficients: tuple[Coefficient, ...] = ()
    responses: tuple[Response, ...] = ()
    gaps: tuple[Gap, ...] = ()
    product_with: str = ""
    """Id of a second flow whose values multiply this one's at equal times (stack: concentration x gas flow)."""
