# SPDX-License-Identifier: Apache-2.0
"""The plan of exchanges as people read it: each new exchange with its amounts and worth by part, what stays unused, and why.

Comes in: a `Case` and its `Solution`. Goes out: a `SymbiosisPlan`: frozen values and plain data. Money is VND/yr, masses of CO2e are
t/yr; avoided emissions are those of the counterfactual that is declared and stand in an account of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from mangrove.errors import Problem, Sentence
from mangrove.messages import LANGUAGES
from mangrove.plan.symbiosis import amounts as kept
from mangrove.plan.symbiosis.between import HOURS
from mangrove.plan.symbiosis.model import PARTS, Case, Floats, Ints, Party
from mangrove.plan.symbiosis.optimum import Solution

_SMALL = 1e-6
_KILO = 1000.0


@dataclass(frozen=True, slots=True)
class NewExchange:
    """One exchange of the plan.

    Attributes:
        offer, need: ids of the listings; need is the id of a unit where electricity is given to one. unit: id of the unit it goes
            through; empty: none.
        giver, taker: ids of places; owner: of the unit; empty: none.
        name, need_name: for people. counted: in what `amounts` (12,) are: units of the offer a month.
        arrives: units of the need a year.
        worth: VND/yr by part (see `PARTS`, and `unit`, `fixed`: its share of a unit that is built, and opening the link); co2: t CO2e/yr avoided.
        known_co2: whether both sides state what would happen without the exchange, with a factor.
        distance: km; score: of the match; reasons: by language.
        mixed: properties that meet their limit only in a mix with others.
        arc: position in the case.
    """

    offer: str
    need: str
    giver: str
    taker: str
    name: str
    need_name: str
    counted: str
    amounts: tuple[float, ...]
    arrives: float
    worth: Mapping[str, float]
    co2: float
    known_co2: bool
    distance: float
    score: float
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unit: str = ""
    owner: str = ""
    mixed: tuple[str, ...] = ()
    arc: int = -1

    @property
    def amount(self) -> float:
        """Units of the offer a year."""
        return sum(self.amounts)

    @property
    def total(self) -> float:
        """VND/yr."""
        return sum(self.worth.values())

    @property
    def id(self) -> str:
        """A name for it: offer>need, with the unit between them."""
        return ">".join(filter(None, (self.offer, self.unit if self.unit != self.need else "", self.need)))


@dataclass(frozen=True, slots=True)
class NewUnit:
    """A treatment unit or heat pump that may be built, and whether the plan builds it.

    Attributes:
        id, place: of the asset; owner: name of the place; name: for people.
        built: whether; stands, size: capacity that is there, and that is new; rate: in what both are (m3/h, kW).
        leaves: what leaves it a year, in `counted`.
        cost: VND/yr of what is built; its exchanges bear it by what passes through it (part `unit`).
    """

    id: str
    place: str
    owner: str
    name: str
    built: bool
    stands: float
    size: float
    rate: str
    leaves: float
    counted: str
    cost: float


@dataclass(frozen=True, slots=True)
class Left:
    """What stays of an offer or a need: units a year, of how much, and why.

    Attributes:
        id, place, name, side, counted: of the listing.
        declared: units a year; running: of these in exchanges that run; planned: in new ones; left: neither.
        price: VND per unit, what one more unit would be worth (mean over the year).
        why: by language; empty when next to nothing is left.
    """

    id: str
    place: str
    name: str
    side: str
    counted: str
    declared: float
    running: float
    planned: float
    left: float
    price: float
    why: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class SymbiosisPlan:
    """The plan.

    Attributes:
        exchanges: most worth first; offers, needs: what stays of each.
        worth: VND/yr; bound: no plan is worth more; gap: relative distance to it; complete: False when time ended the search.
        by_price: VND/yr of each place when everybody is paid what one more unit is worth.
        places: names by id; case, solution: what it was made from; problems: what people should know.
        units: those that may be built, what is built first.
    """

    exchanges: tuple[NewExchange, ...]
    offers: tuple[Left, ...]
    needs: tuple[Left, ...]
    worth: float
    bound: float
    gap: float
    complete: bool
    by_price: Mapping[str, float]
    places: Mapping[str, str]
    case: Case
    solution: Solution
    problems: tuple[Problem, ...] = ()
    units: tuple[NewUnit, ...] = ()

    @property
    def co2(self) -> float:
        """Tonnes of CO2e a year avoided, as far as factors are declared."""
        return sum(one.co2 for one in self.exchanges)

    @property
    def knows_co2(self) -> bool:
        """Whether any exchange states what it avoids; else nothing is known, which is not nothing."""
        return any(one.known_co2 or one.co2 for one in self.exchanges)

    @property
    def members(self) -> tuple[str, ...]:
        """Places that give, take or treat something in the plan."""
        ends = [place for one in self.exchanges for place in (one.giver, one.taker, one.owner)]
        return tuple(dict.fromkeys(filter(None, ends)))

    def parts(self) -> dict[str, float]:
        """VND/yr by part; adds up to worth."""
        return {
            part: sum(one.worth.get(part, 0.0) for one in self.exchanges)
            for part in (*PARTS, "unit", "fixed")
        }


def result(case: Case, found: Solution, places: Mapping[str, str]) -> SymbiosisPlan:
    """The plan of a case and its solution; `places` are names by id."""
    used = found.amount.sum(axis=1)
    least = _SMALL * np.maximum(case.supply.sum(axis=1), 1.0)[case.offer] if len(case) else np.zeros(0)
    arcs = np.flatnonzero(used > least)
    costs, leaves = _costs(case, found), _leaves(case, found)
    per = np.divide(costs, leaves, out=np.zeros(len(costs)), where=leaves > 0)
    exchanges = [_exchange(case, found, int(arc), per) for arc in arcs]
    exchanges.sort(key=lambda one: (-one.total, one.id))
    return SymbiosisPlan(
        tuple(exchanges), tuple(_Side.of(case, found, "offer").lefts()), tuple(_Side.of(case, found, "need").lefts()),
        found.worth, found.bound, found.gap, found.complete, found.by_price, places, case, found, case.notes,
        tuple(sorted(_units(case, found, places), key=lambda one: (not one.built, one.id))),
    )  # fmt: skip


def _costs(case: Case, found: Solution) -> Floats:
    """(U,) VND/yr of what is built of each unit."""
    if not len(found.sizes):
        return np.zeros(len(case.units))
    price, fixed = (np.array([getattr(one, name) for one in case.units]) for name in ("price", "fixed"))
    costs: Floats = price * found.sizes + np.where(found.sizes > 0, fixed, 0.0)
    return costs


def _leaves(case: Case, found: Solution) -> Floats:
    """(U,) what leaves each unit a year."""
    through = np.flatnonzero((case.unit >= 0) & (case.need >= 0))
    recovery = np.array([one.recovery for one in case.units])
    amount = found.amount[through].sum(axis=1) * recovery[case.unit[through]] if len(through) else None
    return np.bincount(case.unit[through], amount, minlength=len(case.units)).astype(float)


def _units(case: Case, found: Solution, places: Mapping[str, str]) -> Iterator[NewUnit]:
    """The units that are a choice."""
    costs, leaves = _costs(case, found), _leaves(case, found)
    for u, one in enumerate(case.units):
        if one.most is None:
            continue
        rate, scale = ("kW", _KILO) if one.unit == "MWh" else (f"{one.unit}/h", 1.0)
        size = float(found.sizes[u]) if len(found.sizes) else 0.0
        yield NewUnit(
            one.id, one.place, places.get(one.place, one.place), one.name or one.id, size > 0, one.capacity / HOURS * scale,
            size / HOURS * scale, rate, float(leaves[u]), one.unit, float(costs[u]),
        )  # fmt: skip


def _exchange(case: Case, found: Solution, arc: int, per: Floats) -> NewExchange:
    offer = case.offers[case.offer[arc]]
    unit = case.units[case.unit[arc]] if case.unit[arc] >= 0 else None
    need = case.needs[case.need[arc]] if case.need[arc] >= 0 else None
    total = float(found.amount[arc].sum())
    worth = {part: float(case.money[part][arc]) * total for part in PARTS}
    power = float(case.power[arc]) * total
    worth["treatment"] -= power * (case.terms.power_price or 0.0)
    co2 = float(case.carbon[arc]) * total - power * case.terms.power_carbon
    worth["carbon"] -= power * case.terms.power_carbon * case.terms.carbon_price / _KILO
    if unit is not None and need is not None:
        worth["unit"] = -float(per[case.unit[arc]]) * unit.recovery * total
    worth["fixed"] = -float(case.fixed[arc])
    return NewExchange(
        offer.id, need.id if need else unit.id if unit else "", offer.place,
        need.place if need else unit.place if unit else "", _name(offer), _name(need) if need else unit.id if unit else "",
        offer.unit, tuple(np.maximum(found.amount[arc], 0.0).tolist()), total * float(case.ratio[arc]),
        {part: money for part, money in worth.items() if money}, co2 / _KILO,
        all(one.carbon is not None for one in (offer, need) if one is not None),
        float(case.distance[arc]), float(case.score[arc]), case.reasons[arc] if case.reasons else {},
        unit.id if unit else "", unit.place if unit and need else "", _beyond(case, np.array([arc])), arc,
    )  # fmt: skip


def _beyond(case: Case, arcs: Ints) -> tuple[str, ...]:
    """The properties in which some of the arcs are beyond the limit of their need by themselves."""
    return tuple(
        dict.fromkeys(
            blend.name for blend in case.blends if (blend.excess[np.isin(blend.arcs, arcs)] > _SMALL).any()
        )
    )


def _name(party: Party) -> str:
    return party.listing.name or party.listing.text or party.id


@dataclass(frozen=True, eq=False)
class _Side:
    """All offers, or all needs: what flows at each, and the arcs that end there.

    Attributes:
        case, found: the plan; parties: this side, others: the other one; at, far: (A,) positions of the ends of each arc.
        flow, far_flow: (n, 12) of this side and of the other. arcs: positions of the arcs of each party.
    """

    case: Case
    found: Solution
    parties: tuple[Party, ...]
    others: tuple[Party, ...]
    at: Ints
    far: Ints
    flow: Floats
    far_flow: Floats
    prices: Floats
    arcs: tuple[Ints, ...]

    @classmethod
    def of(cls, case: Case, found: Solution, side: str) -> _Side:
        """One side of a plan."""
        ends = [
            (case.offers, case.offer, found.amount, found.supply_price),
            (case.needs, case.need, found.amount * case.ratio[:, None], found.demand_price),
        ]
        own, other = ends if side == "offer" else ends[::-1]
        order = np.argsort(own[1], kind="stable")
        edges = np.searchsorted(own[1][order], np.arange(len(own[0]) + 1))
        arcs = tuple(order[low:high] for low, high in pairwise(edges))
        return cls(
            case, found, own[0], other[0], own[1], other[1], _summed(own[1], own[2], len(own[0])),
            _summed(other[1], other[2], len(other[0])), own[3], arcs,
        )  # fmt: skip

    def lefts(self) -> Iterator[Left]:
        """What stays of every party."""
        for n, one in enumerate(self.parties):
            left = np.maximum(one.amounts - self.flow[n], 0.0)
            declared, rest = float(one.declared.sum()), float(left.sum())
            yield Left(
                one.id, one.place, _name(one), one.listing.side, one.unit, declared, float((one.declared - one.amounts).sum()),
                float(self.flow[n].sum()), rest, float(self.prices[n].mean()),
                self.why(n, left) if rest > _SMALL * max(declared, 1.0) else {},
            )  # fmt: skip

    def why(self, n: int, left: Floats) -> Mapping[str, str]:
        """Why something stays, by language."""
        one, arcs = self.parties[n], self.arcs[n]
        if not len(arcs) and one.id in self.case.refused:
            said = self.case.refused[one.id]
            return {
                lang: Sentence("exchange.why_refused", (("text", text),)).text(lang)
                for lang, text in said.items()
            }
        reason = self.reason(arcs, left, one.listing.side)
        return {lang: reason.text(lang) for lang in LANGUAGES}

    def reason(self, arcs: Ints, left: Floats, side: str) -> Sentence:
        """Nobody fits, no fitting partner gains, partners have no more, or a limit binds."""
        case = self.case
        if not len(arcs):
            return Sentence("exchange.why_nobody")
        per = case.worth[arcs] - case.power[arcs] * case.power_price
        if (per <= 0).all():
            best = int(np.argmax(per))
            money = (("best", round(float(per[best]))), ("unit", case.offers[case.offer[arcs[best]]].unit))
            return Sentence("exchange.why_no_gain", money)
        good = arcs[(per > 0) & (case.need[arcs] >= 0)]
        months = np.flatnonzero(left > _SMALL)
        full = np.array([self.is_full(int(other), months) for other in self.far[good]], dtype=bool)
        rest = good[~full]
        if not len(rest):
            return Sentence(f"exchange.why_full_{side}", (("names", self.names(good)),))
        limits = ", ".join(_beyond(case, rest))
        if limits:
            return Sentence("exchange.why_quality", (("names", self.names(rest)), ("limits", limits)))
        closed = not self.found.amount[rest].any() and (case.fixed[rest] > 0).any()
        shared = any(np.isin(group.arcs, rest).any() for group in case.groups)
        if self.unbuilt(rest):
            return Sentence("exchange.why_unit", (("names", self.names(rest)),))
        word = "why_fixed" if closed else "why_share" if shared else "why_limit"
        return Sentence(f"exchange.{word}", (("names", self.names(rest)),))

    def unbuilt(self, arcs: Ints) -> bool:
        """Whether all these arcs go through units that could be built and are not."""
        sizes, units = self.found.sizes, self.case.units
        missing = [
            u >= 0 and units[u].most is not None and not units[u].capacity and not sizes[u]
            for u in self.case.unit[arcs].tolist()
        ]
        return all(missing)

    def names(self, arcs: Ints) -> str:
        """The partners of some arcs."""
        return ", ".join(dict.fromkeys(_name(self.others[other]) for other in self.far[arcs].tolist()))

    def is_full(self, other: int, months: Ints) -> bool:
        """Whether a partner can take (or give) no more in the months in which something is left."""
        flow, most = self.far_flow[other], self.others[other].amounts
        if kept.storage(self.others[other]):
            flow, most = np.full_like(flow, flow.sum()), np.full_like(most, most.sum())
        return bool((flow[months] >= most[months] * (1 - _SMALL) - _SMALL).all())


def _summed(at: Ints, amount: Floats, count: int) -> Floats:
    """(count, 12) sums of the amounts of arcs by where they end; an arc that ends nowhere (-1) counts for nobody."""
    total = np.zeros((count, amount.shape[1]))
    np.add.at(total, at[at >= 0], amount[at >= 0])
    return total


def document(plan: SymbiosisPlan) -> dict[str, Any]:
    """The plan as plain JSON data."""
    return {
        "worth": plan.worth, "bound": plan.bound, "gap": plan.gap, "complete": plan.complete, "way": plan.solution.way,
        "co2": plan.co2 if plan.knows_co2 else None, "parts": plan.parts(), "currency": "VND",
        "terms": {
            name: getattr(plan.case.terms, name) for name in plan.case.terms.__slots__
        },
        "exchanges": [_one(one) for one in plan.exchanges],
        "offers": [_left(one) for one in plan.offers],
        "needs": [_left(one) for one in plan.needs],
        "units": [asdict(one) for one in plan.units],
        "by_price": dict(plan.by_price),
        "places": dict(plan.places),
        "notes": [
            {"code": one.code, "severity": one.severity, "en": one.line("en"), "vi": one.line("vi")} for one in plan.problems
        ],
    }  # fmt: skip


def _one(one: NewExchange) -> dict[str, Any]:
    return {
        "id": one.id, "offer": one.offer, "need": one.need, "giver": one.giver, "taker": one.taker, "unit": one.unit, "owner": one.owner,
        "name": one.name, "need_name": one.need_name, "counted": one.counted, "amounts": list(one.amounts), "amount": one.amount,
        "arrives": one.arrives, "worth": dict(one.worth), "total": one.total, "co2": one.co2, "known_co2": one.known_co2,
        "distance_km": one.distance, "score": one.score, "reasons": {lang: list(said) for lang, said in one.reasons.items()}, "mixed": list(one.mixed),
    }  # fmt: skip


def _left(one: Left) -> dict[str, Any]:
    return {
        "id": one.id, "place": one.place, "name": one.name, "counted": one.counted, "declared": one.declared, "running": one.running,
        "planned": one.planned, "left": one.left, "price": one.price,
        "why": dict(one.why),
    }  # fmt: skip
