# SPDX-License-Identifier: Apache-2.0
"""Money over years: present worth, levelized cost, net present value, internal rate of return, payback, cash flows by year.

Comes in: prices of today, rates by year, what one year of operation costs. Goes out: factors that turn a yearly amount
into money of today, and a table of cash flows. The conventions are those of REopt (operating costs lower the taxed
profit; year 1 pays prices that have risen once; energy that degrades is levelized with the escalation of its price), so
that published results can be reproduced to the last digit; `decimals=5` copies its rounding of present-worth factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats: TypeAlias = npt.NDArray[np.float64]

_LONGEST = 100
"""Years; a plan beyond a century is a slip of the pen."""
_GRID = 4000
"""Points at which the net present value is looked at when cash flows change sign more than once."""
_LOWEST, _HIGHEST = -0.99, 1e6
"""Rates of return between which a root is looked for in that case."""


@dataclass(frozen=True, slots=True)
class Money:
    """How money of different years is compared.

    Attributes:
        years: length of the study.
        discount: yearly rate of the one who pays (fraction, nominal when the escalations are).
        tax: rate on profit, against which operating costs count; holiday: rates of the first years that replace it
            (four years free and nine at half of 10 %: `(0,) * 4 + (0.05,) * 9` with `tax=0.10`).
        energy, export, om, carbon: yearly rise of the prices of energy, of what is sold, of operation and of carbon.
        depreciation: years over which an investment is written off in equal parts against profit; 0 for never.
        salvage: whether the part of a life that is left at the end counts as an income.
        decimals: places to which present-worth factors are rounded; None for not at all, 5 to copy REopt.

    Example:
        >>> round(Money(years=25, discount=0.10, energy=0.05).worth("energy"), 5)
        14.43651
    """

    years: int = 25
    discount: float = 0.10
    tax: float = 0.0
    holiday: tuple[float, ...] = ()
    energy: float = 0.0
    export: float = 0.0
    om: float = 0.0
    carbon: float = 0.0
    depreciation: int = 0
    salvage: bool = False
    decimals: int | None = None

    def __post_init__(self) -> None:
        """Raises `RequestError` (`plan.bad_money`) for a rate or a length that makes no sense."""
        for item in fields(self):
            value = getattr(self, item.name)
            if not _sensible(item.name, value):
                raise RequestError("plan.bad_money", name=item.name, value=str(value))

    def taxes(self) -> Floats:
        """The tax rate of each year 1..N, (N,)."""
        rates = np.full(self.years, self.tax)
        rates[: len(self.holiday)] = self.holiday[: self.years]
        return rates

    def worth(self, escalation: str = "om") -> float:
        """Money of today, after tax, of one unit paid each year at prices that rise as `escalation` says."""
        rate = getattr(self, escalation)
        if not self.holiday:
            return (1.0 - self.tax) * present_worth(self.years, rate, self.discount, self.decimals)
        return float(((1.0 - self.taxes()) * _ratios(self.years, rate, self.discount)).sum())

    def level(self, degradation: float) -> float:
        """Mean yearly output over the study as a share of the first year's, see `levelized`."""
        return levelized(degradation, self.years, self.energy, self.discount)

    def discounted(self, flows: Floats) -> Floats:
        """Cash flows of the years 0..N in money of today."""
        powers: Floats = (1.0 + self.discount) ** -np.arange(len(flows), dtype=float)
        return flows * powers


def _sensible(name: str, value: object) -> bool:
    """Whether a field of `Money` has a value that can be computed with."""
    if name == "salvage" or value is None:
        return True
    if name == "years":
        return isinstance(value, int) and 1 <= value <= _LONGEST
    if name in {"depreciation", "decimals"}:
        return isinstance(value, int) and 0 <= value <= _LONGEST
    rates = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(rate, int | float) and math.isfinite(rate) for rate in rates):
        return False
    low, high = (0.0, 1.0) if name in {"tax", "holiday"} else (-1.0, math.inf)
    return all((low <= rate if name in {"tax", "holiday"} else low < rate) and rate <= high for rate in rates)


def _ratios(years: int, escalation: float, discount: float) -> Floats:
    """((1 + escalation) / (1 + discount)) ** y for y = 1..N."""
    ratio: Floats = ((1.0 + escalation) / (1.0 + discount)) ** np.arange(1, years + 1, dtype=float)
    return ratio


def present_worth(years: int, escalation: float, discount: float, decimals: int | None = None) -> float:
    """Money of today of one unit a year: sum over y = 1..N of ((1 + escalation) / (1 + discount)) ** y.

    Example:
        >>> round(present_worth(25, 0.0, 0.10), 4), present_worth(3, 0.05, 0.05)
        (9.077, 3.0)
    """
    worth = float(_ratios(years, escalation, discount).sum())
    return worth if decimals is None else round(worth, decimals)


def annuity(years: float, discount: float) -> float:
    """Yearly payment that is worth one unit today: d / (1 - (1 + d) ** -N).

    Example:
        >>> round(annuity(25, 0.10), 6), annuity(20, 0.0)
        (0.110168, 0.05)
    """
    return 1.0 / years if discount == 0 else discount / -math.expm1(-years * math.log1p(discount))


def levelized(degradation: float, years: int, escalation: float, discount: float) -> float:
    """Output that, the same every year, is worth as much as one that falls by `degradation` a year.

    sum r^y (1 - degradation)^(y-1) / sum r^y, r = (1 + escalation) / (1 + discount).

    Example:
        >>> round(levelized(0.005, 25, 0.05, 0.10), 4)
        0.9534
    """
    worth = _ratios(years, escalation, discount)
    left = (1.0 - degradation) ** np.arange(years, dtype=float)
    return float((worth * left).sum() / worth.sum())


def replacement_years(life: float, years: int) -> tuple[int, ...]:
    """The years in which something that lasts `life` years is bought again before the study ends.

    Example:
        >>> replacement_years(10, 25), replacement_years(25, 25)
        ((10, 20), ())
    """
    if not math.isfinite(life):
        return ()
    count = math.ceil(years / life - 1e-9) - 1
    return tuple(math.ceil(life * k - 1e-9) for k in range(1, count + 1))


def left_over(life: float, years: int) -> float:
    """The share of the last purchase that is not used up at the end of the study, in a straight line.

    Example:
        >>> left_over(10, 25), left_over(25, 25)
        (0.5, 0.0)
    """
    if not math.isfinite(life):
        return 0.0
    last = (0, *replacement_years(life, years))[-1]
    return max(0.0, 1.0 - (years - last) / life)


def npv(flows: Sequence[float] | Floats, discount: float) -> float:
    """Net present value of cash flows of the years 0..N.

    Example:
        >>> round(npv([-100.0, 121.0], 0.10), 6)
        10.0
    """
    values = np.asarray(flows, dtype=float)
    return float((values * (1.0 + discount) ** -np.arange(len(values), dtype=float)).sum())


@dataclass(frozen=True, slots=True)
class Return:
    """A rate of return, or the reason why there is none (a message code), or several.

    Attributes:
        rate: the rate (fraction); NaN when there is none.
        reason: empty, `plan.no_investment`, `plan.no_income`, `plan.no_rate` or `plan.several_rates`.
        rates: all rates found, smallest first.
    """

    rate: float
    reason: str = ""
    rates: tuple[float, ...] = ()


def irr(flows: Sequence[float] | Floats) -> Return:
    """Internal rate of return: the rate at which the net present value is zero.

    Cash flows that change sign once have exactly one rate above -100 % (Descartes), found by bisection to machine
    precision. With more changes every root between -99 % and a million is looked for; when there are several, none of
    them is *the* rate, and the answer says so.

    Example:
        >>> round(irr([-100.0, 60.0, 60.0]).rate, 6)
        0.130662
        >>> irr([-100.0, -5.0]).reason
        'plan.no_income'
    """
    values = np.trim_zeros(np.asarray(flows, dtype=float))
    signs = np.sign(values[values != 0])
    if not (signs < 0).any():
        return Return(math.nan, "plan.no_investment")
    if not (signs > 0).any():
        return Return(math.nan, "plan.no_income")
    if np.count_nonzero(np.diff(signs)) == 1:
        rate = _only_root(values)
        return Return(rate, "", (rate,)) if math.isfinite(rate) else Return(math.nan, "plan.no_rate")
    grid = np.expm1(np.linspace(math.log1p(_LOWEST), math.log1p(_HIGHEST), _GRID))
    worth = np.sign(_worth(values, grid))
    spots = np.flatnonzero(worth[:-1] * worth[1:] < 0)
    found = [_bisect(values, float(grid[i]), float(grid[i + 1])) for i in spots]
    found += [float(rate) for rate in grid[worth == 0]]
    rates = tuple(sorted(found))
    if len(rates) == 1:
        return Return(rates[0], "", rates)
    return Return(math.nan, "plan.several_rates" if rates else "plan.no_rate", rates)


def _worth(values: Floats, rates: Floats) -> Floats:
    """Net present value at each rate, divided by a positive number so that it cannot overflow (Horner)."""
    factor = 1.0 / (1.0 + rates)
    forward = factor <= 1.0
    total = np.zeros_like(rates)
    for flow in values[::-1]:  # one pass over the years of the study
        total = np.where(forward, total * factor + flow, total)
    other = np.zeros_like(rates)
    for flow in values:
        other = np.where(forward, other, other / factor + flow)
    return np.where(forward, total, other)


def _only_root(values: Floats) -> float:
    """The one rate above -100 %; NaN when it lies beyond what a float can say."""
    low, high = -0.5, 1.0
    first = math.copysign(1.0, values[0])
    at = _worth(values, np.array([low, high]))
    while at[1] * first < 0 and high < 1 / np.finfo(float).eps:
        high *= 4.0
        at[1] = _worth(values, np.array([high]))[0]
    while at[0] * first > 0 and 1.0 + low > np.finfo(float).eps:
        low = -1.0 + (1.0 + low) / 4.0
        at[0] = _worth(values, np.array([low]))[0]
    return _bisect(values, low, high) if at[0] * at[1] <= 0 else math.nan


def _bisect(values: Floats, low: float, high: float) -> float:
    """The root between two rates of different sign, by bisection in log(1 + rate)."""
    left, right = math.log1p(low), math.log1p(high)
    sign = np.sign(_worth(values, np.array([math.expm1(left)]))[0])
    if sign == 0:
        return low
    for _ in range(200):
        middle = (left + right) / 2
        if middle in {left, right}:
            break
        here = _worth(values, np.array([math.expm1(middle)]))[0] * sign
        left, right = (middle, right) if here > 0 else (left, middle)
    return math.expm1((left + right) / 2)


def payback(flows: Sequence[float] | Floats) -> float:
    """Years until the sum of cash flows reaches zero and stays there, with a straight line inside the year; infinite if never.

    Example:
        >>> payback([-100.0, 40.0, 40.0, 40.0]), payback([0.0, 0.0]), payback([-1.0, 0.5])
        (2.5, 0.0, inf)
    """
    total = np.cumsum(np.asarray(flows, dtype=float))
    below = np.flatnonzero(total < -1e-9 * max(1.0, float(np.abs(total).max(initial=0.0))))
    if not len(below):
        return 0.0
    last = int(below[-1])
    if last == len(total) - 1:
        return math.inf
    return last + float(-total[last] / (total[last + 1] - total[last]))


def lcoe(cost: float, energy: float, money: Money, degradation: float = 0.0) -> float:
    """Levelized cost of energy: cost of today over the discounted energy of all years, at prices that do not rise.

    Args:
        cost: investment, operation and replacement after tax, in money of today.
        energy: output of the first year.
        money: the study.
        degradation: yearly loss of output (fraction).

    Example:
        >>> lcoe(0.0, 10.0, Money()), lcoe(10.0, 0.0, Money())
        (0.0, inf)
    """
    years = np.arange(1, money.years + 1, dtype=float)
    worth = ((1.0 - degradation) ** (years - 1) * (1.0 + money.discount) ** -years).sum() * energy
    return float(cost / worth) if worth > 0 else math.inf if cost > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is bought and kept running.

    Attributes:
        name: of the thing; cost: investment in year 0; om: operation a year; life: years; again: cost of each replacement.
    """

    name: str
    cost: float
    om: float = 0.0
    life: float = math.inf
    again: float = 0.0


def lifecycle(purchase: Purchase, money: Money) -> float:
    """Investment, operation, replacements, less written-off tax and what is left over, after tax, in money of today."""
    flows = sum(_purchase_flows(purchase, money).values(), np.zeros(money.years + 1))
    return float(-money.discounted(flows).sum()) + _rounding(purchase, money)


def _rounding(purchase: Purchase, money: Money) -> float:
    """What the rounded present-worth factor of operation adds to the exact one."""
    if money.decimals is None or money.holiday:
        return 0.0
    exact = (1.0 - money.tax) * present_worth(money.years, money.om, money.discount)
    return purchase.om * (money.worth("om") - exact)


def _purchase_flows(purchase: Purchase, money: Money) -> dict[str, Floats]:
    """Cash flows of the years 0..N that a purchase causes, by kind; money that leaves is negative."""
    years = money.years
    keep = np.concatenate([[1.0], 1.0 - money.taxes()])
    flows = {
        name: np.zeros(years + 1) for name in ("investment", "om", "replacement", "depreciation", "salvage")
    }
    flows["investment"][0] = -purchase.cost
    flows["om"][1:] = -purchase.om * (1.0 + money.om) ** np.arange(1, years + 1) * keep[1:]
    for year in replacement_years(purchase.life, years):
        flows["replacement"][year] -= purchase.again * keep[year]
    if money.depreciation:
        span = slice(1, min(money.depreciation, years) + 1)
        flows["depreciation"][span] = purchase.cost / money.depreciation * money.taxes()[: span.stop - 1]
    if money.salvage:
        last = purchase.again if replacement_years(purchase.life, years) else purchase.cost
        flows["salvage"][years] = last * left_over(purchase.life, years) * keep[years]
    return flows


@dataclass(frozen=True, slots=True)
class Running:
    """What one year of operation costs, at prices of today: bought energy and power, income from sales, carbon."""

    energy: float
    export: float = 0.0
    carbon: float = 0.0


@dataclass(frozen=True, slots=True)
class CashFlow:
    """Cash flows of the years 0..N of doing it against not doing it.

    Attributes:
        money: the study; columns: (N + 1,) each, by kind; money that leaves is negative.
    """

    money: Money
    columns: dict[str, Floats]

    @property
    def net(self) -> Floats:
        """The sum of all columns, (N + 1,)."""
        total: Floats = sum(self.columns.values(), np.zeros(self.money.years + 1))
        return total

    @property
    def npv(self) -> float:
        """Net present value."""
        return float(self.money.discounted(self.net).sum())

    @property
    def irr(self) -> Return:
        """Internal rate of return, or why there is none."""
        return irr(self.net)

    @property
    def payback(self) -> float:
        """Years until the investment came back, not discounted; infinite if never."""
        return payback(self.net)

    @property
    def discounted_payback(self) -> float:
        """Years until the investment came back with interest; infinite if never."""
        return payback(self.money.discounted(self.net))

    def rows(self) -> list[dict[str, float]]:
        """One row a year: every column, the net, the discounted net and its sum so far."""
        net = self.net
        discounted = self.money.discounted(net)
        table = {**self.columns, "net": net, "discounted": discounted, "cumulative": np.cumsum(discounted)}
        return [
            {"year": float(y), **{name: float(values[y]) for name, values in table.items()}}
            for y in range(self.money.years + 1)
        ]


def cash_flow(purchases: Sequence[Purchase], before: Running, after: Running, money: Money) -> CashFlow:
    """Cash flows of investing in `purchases` and running at `after` instead of at `before`.

    Example:
        >>> flow = cash_flow([Purchase("pv", 100.0)], Running(50.0), Running(0.0), Money(years=3, discount=0.1))
        >>> [float(round(v)) for v in flow.net], round(flow.npv, 3)
        ([-100.0, 50.0, 50.0, 50.0], 24.343)
    """
    columns: dict[str, Floats] = {}
    for purchase in purchases:
        for name, flows in _purchase_flows(purchase, money).items():
            columns[name] = columns.get(name, np.zeros(money.years + 1)) + flows
    keep = 1.0 - money.taxes()
    for name, sign in (("energy", -1.0), ("export", 1.0), ("carbon", -1.0)):
        saved = sign * (getattr(after, name) - getattr(before, name))
        rising = (1.0 + getattr(money, name)) ** np.arange(1, money.years + 1)
        columns[name] = np.concatenate([[0.0], saved * rising * keep])
    return CashFlow(money, columns)
