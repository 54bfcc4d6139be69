# SPDX-License-Identifier: Apache-2.0
"""What a course cost: the bills of the contract, wear, emissions, and what it still owes for the energy that it took out.

Comes in: a `Course` (of a plan, a rule, or perfect foresight), prices and a contract. Goes out: an `Account` with one row a month.
Every policy is billed by the same contract from the same meters; a battery that ends emptier than it began pays for the difference
at the mean price, so that nobody wins by selling what was there before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove import rules
from mangrove.errors import RuleError
from mangrove.operate.loop import Course
from mangrove.operate.machines import ends
from mangrove.operate.prices import Prices, Tariff
from mangrove.operate.site import Site
from mangrove.operate.state import SECOND
from mangrove.operate.units import STORES, making
from mangrove.rules import contracts
from mangrove.territory.model import Territory
from mangrove.units import unit

Floats = npt.NDArray[np.float64]
GRID = "grid/vn"
"""Activity key of the emission factor of the public grid."""
KG_PER_TONNE = 1000.0


@dataclass(frozen=True, slots=True)
class Month:
    """One month of one policy: money, kWh drawn, sold and generated, the billed kW, kg of CO2 (None without a factor)."""

    name: str
    cost: float
    imported: float
    exported: float
    generated: float
    peak: float
    emissions: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """What a policy cost over the whole span.

    Attributes:
        name: of the policy; steps: that were run.
        bills: money of all bills, before VAT; fuel: of what was bought beside electricity; wear: of batteries, and what drivers get for energy of their vehicles; owed: for energy that is missing at the end; carbon: emissions
            times a carbon price.
        emissions: kg of CO2 of what was drawn; None without a factor.
        lines: money by line of the bills.
        lacking: kWh (kg, m3) of other carriers that no unit could give.
        overload: kWh above the connection's limit; missing: kWh that vehicles lacked when they left.
        takeovers: reason -> steps in which the safe rule ruled; planning: seconds of the median and of the longest plan.
        months: one row a month.
    """

    name: str
    steps: int
    bills: float
    wear: float
    owed: float
    carbon: float
    emissions: float | None
    lines: Mapping[str, float]
    overload: float
    missing: float
    takeovers: Mapping[str, int]
    planning: tuple[float, float]
    months: tuple[Month, ...]
    fuel: float = 0.0
    lacking: float = 0.0

    @property
    def cost(self) -> float:
        """All money: what a plan makes least."""
        return self.bills + self.fuel + self.wear + self.owed + self.carbon


@dataclass(frozen=True, slots=True)
class Rates:
    """What counts beside the contract.

    Attributes:
        contract, tz: who bills, on which clock.
        factor: kg of CO2 per kWh drawn, a number or (T,); None: unknown.
        carbon: money per kg of CO2.
    """

    contract: Tariff
    tz: ZoneInfo
    factor: float | Floats | None = None
    carbon: float = 0.0

    @property
    def per_kwh(self) -> float:
        """Money per kWh drawn that the carbon price adds, at the mean factor."""
        return 0.0 if self.factor is None else self.carbon * float(np.mean(self.factor))


def rates_of(
    territory: Territory, site: Site, on: date, *, contract: Tariff | None = None, allow: Sequence[str] = ()
) -> Rates:
    """What a territory declares for a site: its contract, the factor of the grid on a day, and a carbon price when it states one.

    Args:
        territory: as declared.
        site: whose bills.
        on: the day whose contract and factor hold.
        contract: in place of the declared one.
        allow: statuses of factors accepted besides official ones; without any factor emissions stay unknown.

    Raises:
        RuleError: no contract covers the site.
    """
    chosen: Tariff = contract or contracts.of(territory, site.place, on=on)
    declared: Any = territory.settings.get("energy") or {}
    price = declared.get("carbon_price")
    flow = territory.flows.get(site.import_flow)
    activity = (flow.factor if flow is not None else "") or GRID
    try:
        found = rules.load().select(activity, "CO2", on, local=territory.factors, allow=allow)
    except RuleError:
        factor = None
    else:
        factor = found.chosen.value * unit(found.chosen.unit).to("kg/kWh")
    return Rates(chosen, territory.tz, factor, 0.0 if price is None else float(price) / KG_PER_TONNE)


def settle(site: Site, course: Course, prices: Prices, rates: Rates, start: np.datetime64) -> Account:
    """The account of a course whose first step begins at `start`."""
    steps = course.steps
    hours = prices.hours
    first = prices.index(start)
    starts = start + np.arange(steps) * (prices.seconds * SECOND)
    drawn, sold, own = (
        np.maximum(series[:steps], 0.0) * hours
        for series in (course.imported, course.exported, course.generated)
    )
    bills = rates.contract.bills(starts, hours, rates.tz, drawn, sold, own) if steps else ()
    emitted = None
    if rates.factor is not None:
        emitted = drawn * (rates.factor if np.ndim(rates.factor) == 0 else np.asarray(rates.factor)[:steps])
    fuel, burnt = _bought(site, course, hours)
    if emitted is not None:
        emitted = emitted + burnt
    month = prices.month[first : first + steps]
    month = month - month[:1]
    wear = float(course.paid[:steps].sum()) + sum(
        b.wear * float(np.maximum(-course.powers[b.id][:steps], 0.0).sum()) * hours for b in site.batteries
    )
    lacking = sum(float(rates[:steps].sum()) for rates in course.lacking.values()) * hours
    takeovers, planning = dict(course.takeovers), course.planning
    return Account(
        name=course.name,
        steps=steps,
        bills=float(sum(bill.subtotal for bill in bills)),
        wear=wear,
        owed=owed(site, course, prices, first),
        carbon=0.0 if emitted is None else rates.carbon * float(emitted.sum()),
        emissions=None if emitted is None else float(emitted.sum()),
        lines=_lines(bills),
        overload=float(course.overload[:steps].sum()) * hours,
        missing=float(course.missing[:steps].sum()),
        takeovers=takeovers,
        planning=(float(np.median(planning)), float(planning.max())) if len(planning) else (0.0, 0.0),
        months=tuple(
            Month(
                prices.months[int(prices.month[first]) + number],
                float(bill.subtotal),
                float(drawn[month == number].sum()),
                float(sold[month == number].sum()),
                float(own[month == number].sum()),
                _peak(drawn[month == number] / hours, prices.window),
                None if emitted is None else float(emitted[month == number].sum()),
            )
            for number, bill in enumerate(bills)
        ),
        fuel=fuel,
        lacking=lacking,
    )


def _bought(site: Site, course: Course, hours: float) -> tuple[float, Floats]:
    """Money of what was bought beside electricity, and kg of CO2 a step of what declares a factor."""
    money, burnt = 0.0, np.zeros(course.steps)
    for one in site.supplies:
        amount = course.bought.get(one.carrier, np.zeros(course.steps))[: course.steps] * hours
        money += one.price * float(amount.sum())
        burnt += (one.factor or 0.0) * amount
    return money, burnt


def owed(site: Site, course: Course, prices: Prices, first: int) -> float:
    """Money that it costs to charge the batteries to the level at which they began, at the mean price of the span."""
    if not course.steps:
        return 0.0
    mean = float(prices.buy[first : first + course.steps].mean())
    lacking = 0.0
    for b in site.batteries:
        end = float(course.levels[b.id][course.steps - 1])
        lacking += max(course.start[b.id] - end, 0.0) / b.efficiency[0]
    worth = ends(site, making(site.units), mean)
    for one in site.units:
        if one.kind in STORES:
            end = float(course.levels[one.id][course.steps - 1])
            lacking += max(course.start[one.id] - end, 0.0) * worth.get(one.carrier, 0.0) / mean
    return lacking * mean


def _peak(power: Floats, window: int) -> float:
    """KW, the highest mean over whole windows."""
    whole = len(power) // window * window
    blocks = power[:whole].reshape(-1, window).mean(axis=1)
    rest = power[whole:]
    return float(max(blocks.max(initial=0.0), rest.mean() if len(rest) else 0.0))


def _lines(bills: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for bill in bills:
        for line in bill.lines:
            found[line.label] = found.get(line.label, 0.0) + line.amount
    return found
