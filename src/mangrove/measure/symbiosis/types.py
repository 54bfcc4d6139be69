# SPDX-License-Identifier: Apache-2.0
"""The shapes of verified exchanges: what the meters said in a period, what was reconciled, what it saved, with its proof.

Comes in: nothing. Goes out: frozen rows that pages, forms and records read. A number that is not known is None; a sum that lacks
periods says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt
from typing import TypeAlias

from mangrove.measure.types import Term
from mangrove.measure.uncertainty import Z95

Errors: TypeAlias = Mapping[str, float]
"""Standard deviations by the error that causes them, signed: numbers with an error of the same name move together."""

RECONCILED, ONE_METER, DERIVED, GAP, IDLE = "reconciled", "one_meter", "derived", "gap", "idle"
STATUSES = (RECONCILED, ONE_METER, DERIVED, GAP, IDLE)
"""Two meters or more made one amount; no second meter tests the first; no meter of its own but what a larger balance leaves for it; no
amount; the exchange did not run in this period."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its errors; `sd` is None when a part of it has no stated uncertainty.

    Example:
        >>> both = Figure(10.0, {"meter:a": 3.0}) + Figure(5.0, {"meter:a": 1.0, "grid": 3.0})
        >>> both.value, both.sd
        (15.0, 5.0)
    """

    value: float
    errors: Errors | None = field(default_factory=dict)

    def __add__(self, other: Figure) -> Figure:
        if self.errors is None or other.errors is None:
            return Figure(self.value + other.value, None)
        names = dict.fromkeys([*self.errors, *other.errors])
        both = {name: self.errors.get(name, 0.0) + other.errors.get(name, 0.0) for name in names}
        return Figure(self.value + other.value, both)

    def times(self, factor: float) -> Figure:
        """The number and its errors times an exact factor."""
        errors = None if self.errors is None else {name: sd * factor for name, sd in self.errors.items()}
        return Figure(self.value * factor, errors)

    def with_error(self, name: str, relative: float | None) -> Figure:
        """The number with one more relative error (a standard deviation); None: it is not known."""
        if relative is None or self.errors is None:
            return Figure(self.value, None)
        if not relative:
            return self
        return self + Figure(0.0, {name: self.value * relative})

    @property
    def sd(self) -> float | None:
        """The standard deviation; None when it is not known."""
        return None if self.errors is None else sqrt(sum(sd * sd for sd in self.errors.values()))

    @property
    def low(self) -> float | None:
        """The lower end of the 95 % interval."""
        return None if self.sd is None else self.value - Z95 * self.sd

    @property
    def high(self) -> float | None:
        """The upper end of the 95 % interval."""
        return None if self.sd is None else self.value + Z95 * self.sd


def total(figures: list[Figure]) -> Figure | None:
    """The sum of figures; None of none."""
    if not figures:
        return None
    errors: dict[str, float] = {}
    for one in figures:
        for name, sd in (one.errors or {}).items():
            errors[name] = errors.get(name, 0.0) + sd
    known = all(one.errors is not None for one in figures)
    return Figure(sum(one.value for one in figures), errors if known else None)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one meter says of one period.

    Attributes:
        flow: its id; amount: in the unit of the exchange; None when it is not complete.
        coverage: share of the time that counted values stand for; None when the flow states no step.
    """

    flow: str
    amount: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Property:
    """A declared property of what is exchanged, weighted with the amounts of the period.

    Attributes:
        name: as declared (`quality_<name>`); flow: the state flow; mean: in `unit`; None without values.
        low, high: limits in `unit`, when declared; breached: whether the mean lies outside; None when it is not known.
    """

    name: str
    flow: str
    mean: float | None
    unit: str
    low: float | None = None
    high: float | None = None

    @property
    def breached(self) -> bool | None:
        """Whether the mean lies outside its limits; None without a mean or a limit."""
        if self.mean is None or (self.low is None and self.high is None):
            return None
        return (self.low is not None and self.mean < self.low) or (
            self.high is not None and self.mean > self.high
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange in one period.

    Attributes:
        exchange: id; start, end: of the period, UTC; unit: of all amounts (`t`, `m3`, `kWh`, ...).
        status: see `STATUSES`.
        sent, received: what the meters say; None for an end without a meter.
        given, taken: reconciled amounts at both ends; None in a gap.
        paid: what the taker pays the giver, in the territory's currency (below zero: the giver pays); None without a price.
        chi2, freedom, p: global test of the balances that the exchange stands in; None without redundancy.
        suspects: flows whose meters the test points at; more than one when the balances cannot tell which.
        properties: of what is exchanged.
    """

    exchange: str
    start: datetime
    end: datetime
    unit: str
    status: str
    sent: Reading | None = None
    received: Reading | None = None
    given: Figure | None = None
    taken: Figure | None = None
    paid: Figure | None = None
    chi2: float | None = None
    freedom: int = 0
    p: float | None = None
    suspects: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """The arithmetic of avoided emissions of one gas: amount x terms x GWP.

    Attributes:
        gas, gwp, weight: the gas, the name of the set and kg CO2e per kg; terms: kg per unit of the effect's amount.
        first, last: UTC, when the coefficient holds.
    """

    gas: str
    gwp: str
    weight: float
    terms: tuple[Term, ...]
    first: datetime
    last: datetime

    @property
    def co2e_kg(self) -> float:
        """Kilograms of CO2e per unit of the amount."""
        value = self.weight
        for term in self.terms:
            value *= term.value**term.power
        return value

    @property
    def factors(self) -> tuple[str, ...]:
        """The ids of the factor rows."""
        return tuple(term.factor.id for term in self.terms if term.factor)

    @property
    def hashes(self) -> tuple[str, ...]:
        """The content hashes of the factor rows."""
        return tuple(term.factor.content_hash for term in self.terms if term.factor)


@dataclass(frozen=True, slots=True)
class Saving:
    """One effect of one exchange in one period; below zero it is used, not saved.

    Attributes:
        exchange, effect, side: as declared; place: the giver's or the taker's; code: fuel or material of the factor, or empty.
        start: of the period; base: the exchanged amount at that side, in `base_unit`; per: the declared effect (`0.95 t/t`).
        amount: in `unit`; money: in the territory's currency, None without a price.
        co2e: kg CO2e avoided; None when no factor is declared, or none holds, or another account already counts it.
        products: the arithmetic of `co2e`; lacks: whether a factor is declared but none holds throughout the period.
    """

    exchange: str
    effect: str
    side: str
    place: str
    code: str
    start: datetime
    base: float
    base_unit: str
    per: str
    amount: Figure
    unit: str
    money: Figure | None = None
    co2e: Figure | None = None
    products: tuple[Product, ...] = ()
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class EffectSum:
    """What exchanges saved at one place in a year, of one kind: a quantity of the annual forms.

    Attributes:
        effect, side, place: what is saved, by whom; code: fuel or material of the factor (`diesel`), or empty.
        amount: in `unit` (kWh, MJ, m3, t, ...), below zero when used; money: saved, in the territory's currency.
        co2e_kg: avoided; None when no factor was declared.
        exchanges: ids; batches: ids of the batches of the values; factors: ids of factor rows.
        periods: how many exchange periods were counted; missing: `exchange start` of those that are gaps; lacking: of those that are
            not in `co2e_kg` because no factor holds in them.
    """

    effect: str
    code: str
    side: str
    place: str
    amount: float
    unit: str
    money: float | None
    co2e_kg: float | None
    amount_sd: float | None
    money_sd: float | None
    co2e_sd: float | None
    exchanges: tuple[str, ...]
    batches: tuple[int, ...]
    factors: tuple[str, ...]
    periods: int
    missing: tuple[str, ...]
    lacking: tuple[str, ...] = ()
