# SPDX-License-Identifier: Apache-2.0
"""The plan of a year hour by hour: what flows when over the exchanges that it opens, when units run, what stays in tanks.

Comes in: a `SymbiosisPlan` and, for some hours, the course of offers and needs, the price of electricity and what the grid emits. Goes
out: `Hours`. The rows are those of the year (`build.py`) with a column for each hour: amounts of a month become rates (a month has 8766 / 12
hours, as wherever rates are told by month) times a course with the mean one over the month; what is built stands and its cost is spent.
Stores end as they began. A least amount of a link binds its month, not its hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from mangrove.errors import Problem
from mangrove.network.handles import Stream
from mangrove.network.result import Plan
from mangrove.plan.symbiosis.between import HOURS
from mangrove.plan.symbiosis.build import Built, build
from mangrove.plan.symbiosis.model import PARTS, Case, Floats, Ints, Party
from mangrove.plan.symbiosis.optimum import read_amounts
from mangrove.plan.symbiosis.outcome import NewExchange, SymbiosisPlan
from mangrove.plan.symbiosis.value import only

_KILO = 1000.0


@dataclass(frozen=True, eq=False)
class Course:
    """What the hours bring from outside.

    Attributes:
        starts: (T,) of the hours. month: (T,) 0 for January.
        shapes: by id of an offer or need, (T,) its rate over its mean of the month; flat where there is none.
        price: by place, (T,) VND/kWh of electricity. carbon: (T,) kg CO2e/kWh of it.
    """

    starts: tuple[datetime, ...]
    month: Ints
    shapes: Mapping[str, Floats]
    price: Mapping[str, Floats]
    carbon: Floats

    def shape(self, id_: str) -> Floats:
        """(T,) of an offer or a need."""
        return self.shapes.get(id_, np.ones(len(self.starts)))


@dataclass(frozen=True, slots=True)
class HourlyExchange:
    """One exchange in the hours.

    Attributes:
        id, name, need_name, giver, taker, unit, counted: as in the plan. amounts: (T,) units of the offer.
        worth: VND by part; co2: t CO2e avoided.
    """

    id: str
    name: str
    need_name: str
    giver: str
    taker: str
    unit: str
    counted: str
    amounts: tuple[float, ...]
    worth: Mapping[str, float]
    co2: float

    @property
    def amount(self) -> float:
        """Units of the offer in all hours."""
        return sum(self.amounts)

    @property
    def total(self) -> float:
        """VND."""
        return sum(self.worth.values())


@dataclass(frozen=True, slots=True)
class HourlyEnd:
    """An offer or a need in the hours, all (T,): there or wanted, flowing, left (unused or unmet), in its tank at the end of each hour.

    `price` is VND per unit, what one more unit in that hour would be worth.
    """

    id: str
    place: str
    side: str
    name: str
    counted: str
    declared: tuple[float, ...]
    flowing: tuple[float, ...]
    left: tuple[float, ...]
    stored: tuple[float, ...]
    price: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HourlyUnit:
    """A treatment unit or heat pump in the hours, all (T,): what leaves it, kWh that it uses and kWh bought of these, VND/kWh."""

    id: str
    place: str
    name: str
    counted: str
    capacity: float
    leaves: tuple[float, ...]
    power: tuple[float, ...]
    bought: tuple[float, ...]
    price: tuple[float, ...]


@dataclass(frozen=True)
class Hours:
    """What flows when.

    Attributes:
        starts: of the hours. exchanges, offers, needs, units: their courses.
        worth: VND in all hours, fixed costs not included (they are spent); problems: what people should know.
    """

    starts: tuple[datetime, ...]
    exchanges: tuple[HourlyExchange, ...]
    offers: tuple[HourlyEnd, ...]
    needs: tuple[HourlyEnd, ...]
    units: tuple[HourlyUnit, ...]
    worth: float
    problems: tuple[Problem, ...] = field(default=())

    @property
    def co2(self) -> float:
        """Tonnes of CO2e avoided."""
        return sum(one.co2 for one in self.exchanges)

    def parts(self) -> dict[str, float]:
        """VND by part; adds up to worth."""
        return {part: sum(one.worth.get(part, 0.0) for one in self.exchanges) for part in PARTS}

    def document(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "starts": [one.isoformat() for one in self.starts], "worth": self.worth, "parts": self.parts(), "co2": self.co2,
            "exchanges": [{**asdict(one), "amount": one.amount, "total": one.total} for one in self.exchanges],
            "offers": [asdict(one) for one in self.offers],
            "needs": [asdict(one) for one in self.needs],
            "units": [asdict(one) for one in self.units],
        }  # fmt: skip


def hours(plan: SymbiosisPlan, course: Course) -> Hours:
    """The amounts of most worth in some hours, over the exchanges that the plan opens.

    Args:
        plan: of a year.
        course: the hours, one after the other.
    """
    case = hourly(plan, course)
    shown = sorted(plan.exchanges, key=lambda one: one.arc)
    if not len(case):
        none = np.zeros((0, case.steps))
        ends = [_ends(case, side, *_nothing(case, side)) for side in ("offer", "need")]
        return Hours(course.starts, (), ends[0], ends[1], tuple(_units(case, course, none, None)), 0.0)
    built = build(case)
    found = built.net.solve()
    amount = np.maximum(read_amounts(built, found), 0.0)
    exchanges = [_exchange(case, course, one, a, amount[a]) for a, one in enumerate(shown)]
    order = {one.arc: n for n, one in enumerate(plan.exchanges)}
    ranked = [exchanges[a] for a in sorted(range(len(shown)), key=lambda a: order[shown[a].arc])]
    offers = _ends(case, "offer", *_flows(built, found, "offer"))
    needs = _ends(case, "need", *_flows(built, found, "need"))
    units = tuple(_units(case, course, amount, _bought(built, found)))
    return Hours(course.starts, tuple(ranked), offers, needs, units, -found.cost)


def hourly(plan: SymbiosisPlan, course: Course) -> Case:
    """The case of the hours: only the exchanges of the plan, in the order of their arcs, and what is built stands."""
    arcs = np.array(sorted(one.arc for one in plan.exchanges), dtype=np.int64)
    part, month, steps = only(plan.case, arcs), course.month, len(course.starts)
    sizes = plan.solution.sizes if len(plan.solution.sizes) else np.zeros(len(part.units))
    units = tuple(
        replace(one, capacity=(one.capacity + size) / HOURS, most=None, price=0.0, fixed=0.0)
        for one, size in zip(part.units, sizes.tolist(), strict=True)
    )
    carbon = course.carbon * part.terms.carbon_price / _KILO
    paid = [course.price.get(one.place, np.zeros(steps)) + carbon for one in units]
    return replace(
        part,
        offers=_rates(part.offers, course), needs=_rates(part.needs, course), units=units,
        capacity=part.capacity[:, month] / HOURS, least=np.zeros((len(part), steps)), fixed=np.zeros(len(part)),
        groups=tuple(
            replace(one, limit=one.limit[month] / HOURS * course.shape(part.needs[part.need[one.arcs[0]]].id))
            for one in part.groups
        ),
        electricity=np.array(paid).reshape(len(units), steps),
    )  # fmt: skip


def _rates(parties: Sequence[Party], course: Course) -> tuple[Party, ...]:
    """Parties with amounts by hour."""
    return tuple(
        replace(
            one,
            amounts=one.amounts[course.month] / HOURS * course.shape(one.id),
            declared=one.declared[course.month] / HOURS * course.shape(one.id),
        )
        for one in parties
    )


def _flows(built: Built, found: Plan, side: str) -> tuple[Floats, Floats, Floats]:
    """(n, T) of what comes in or goes out, levels of tanks, and prices."""
    word, store, nodes, sign = (
        ("supply", "store", built.offers, 1.0) if side == "offer" else ("demand", "stock", built.needs, -1.0)
    )
    stream = built.net.handles[word]
    assert isinstance(stream, Stream)
    flow = found.rate(stream)[:, 0]
    level = np.zeros_like(flow)
    if store in built.stores:
        level[_stored(built, store)] = found.level(built.stores[store])[:, 0]
    return flow, level, np.maximum(sign * found.price(nodes)[:, 0], 0.0)


def _stored(built: Built, store: str) -> Ints:
    """Positions of the parties with a tank."""
    from mangrove.plan.symbiosis.amounts import storage

    parties = built.case.offers if store == "store" else built.case.needs
    return np.flatnonzero([storage(one) > 0 for one in parties])


def _nothing(case: Case, side: str) -> tuple[Floats, Floats, Floats]:
    none = np.zeros((len(case.offers if side == "offer" else case.needs), case.steps))
    return none, none, none


def _ends(case: Case, side: str, flow: Floats, level: Floats, price: Floats) -> tuple[HourlyEnd, ...]:
    parties = case.offers if side == "offer" else case.needs
    return tuple(
        HourlyEnd(
            one.id, one.place, side, one.listing.name or one.listing.text or one.id, one.unit, tuple(one.amounts.tolist()),
            tuple(flow[n].tolist()), tuple(np.maximum(one.amounts - flow[n], 0.0).tolist()), tuple(level[n].tolist()),
            tuple(price[n].tolist()),
        )
        for n, one in enumerate(parties)
    )  # fmt: skip


def _exchange(case: Case, course: Course, one: NewExchange, arc: int, amount: Floats) -> HourlyExchange:
    """An exchange with its worth by part, its electricity at the price and with the emissions of each hour."""
    total, carbon_price = float(amount.sum()), case.terms.carbon_price / _KILO
    worth = {part: float(case.money[part][arc]) * total for part in PARTS}
    unit = case.units[case.unit[arc]] if case.unit[arc] >= 0 else None
    price = course.price.get(unit.place, np.zeros(len(amount))) if unit else np.zeros(len(amount))
    if case.need[arc] < 0:  # electricity for a unit: what is not bought then
        saved = _KILO * float(course.carbon @ amount)
        worth["purchase"], worth["carbon"] = _KILO * float(price @ amount), saved * carbon_price
    else:
        used = float(case.power[arc]) * amount
        saved = float(case.carbon[arc]) * total - float(course.carbon @ used)
        worth["treatment"] -= float(price @ used)
        worth["carbon"] -= float(course.carbon @ used) * carbon_price
    return HourlyExchange(
        one.id, one.name, one.need_name, one.giver, one.taker, one.unit, one.counted, tuple(amount.tolist()),
        {part: money for part, money in worth.items() if money}, saved / _KILO,
    )  # fmt: skip


def _bought(built: Built, found: Plan) -> Floats | None:
    """(U, T) kWh from the grid."""
    stream = built.net.handles.get("grid")
    return _KILO * found.rate(stream)[:, 0] if isinstance(stream, Stream) else None


def _units(case: Case, course: Course, amount: Floats, bought: Floats | None) -> list[HourlyUnit]:
    """The units that stand."""
    made = []
    for u, one in enumerate(case.units):
        through = np.flatnonzero((case.unit == u) & (case.need >= 0))
        leaves = one.recovery * amount[through].sum(axis=0) if len(through) else np.zeros(case.steps)
        power = (
            (case.power[through, None] * amount[through]).sum(axis=0)
            if len(through)
            else np.zeros(case.steps)
        )
        if not one.capacity:
            continue
        made.append(
            HourlyUnit(
                one.id, one.place, one.name or one.id, one.unit, one.capacity, tuple(leaves.tolist()), tuple(power.tolist()),
                tuple((np.zeros(case.steps) if bought is None else bought[u]).tolist()),
                tuple(course.price.get(one.place, np.zeros(case.steps)).tolist()),
            )
        )  # fmt: skip
    return made
