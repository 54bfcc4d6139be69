# SPDX-License-Identifier: Apache-2.0
"""Exchanges between companies: the best new ones, who gains what, and what breaks when one leaves.

Comes in: an opened territory with offers and needs. Goes out: a `Planned`, a `Shared`, a `Without`: values that say themselves in Vietnamese
or English, and a record of the kind `exchange_plan` that pages show without solving anything. Verbs do not know each other; this
module hands the plan of one to the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove import exchange_inputs, listings, rules
from mangrove.errors import MangroveError, Problem, RequestError, did_you_mean
from mangrove.plan import symbiosis
from mangrove.plan.symbiosis import SymbiosisPlan, Terms
from mangrove.plan.symbiosis.between import UNIT_KINDS, is_candidate
from mangrove.rules import costs
from mangrove.settle import exchange_prices, gains
from mangrove.settle.gains import RULES
from mangrove.units import Quantity, unit

if TYPE_CHECKING:
    from mangrove.exchange_hours import Hourly
    from mangrove.handle import Handle
    from mangrove.plan.symbiosis import Case, NewExchange
    from mangrove.plan.symbiosis.model import Ints
    from mangrove.settle.game import Bools, Floats
    from mangrove.territory.model import Listing, Territory

KIND = "exchange_plan"
"""Kind of the records in the ledger."""
RADIUS = 50.0
"""Kilometers within which partners are looked for unless asked otherwise; a listing may name a smaller radius."""
SMALL = 12, 100
"""Members of a block of exchanges, and of all of them, up to which shares and losses are stored with it; beyond they are found when asked for."""
MANY, SHOWN = 300, 20
"""Members up to which shares are found at all; companies that are taken out in turn where there are more than `SMALL`."""
_KILO = 1000.0


@dataclass(frozen=True, eq=False)
class Planned:
    """The best new exchanges of a territory.

    Attributes:
        plan: exchanges, worth, what stays; radius: km; on: day of the factors; record: id in the ledger; empty when it was not stored.
        notes: what people should know besides the plan's own problems.
    """

    plan: SymbiosisPlan
    territory: str
    radius: float
    on: date
    notes: tuple[Problem, ...] = ()
    record: str = ""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that people should know."""
        return (*self.notes, *self.plan.problems)

    @cached_property
    def values(self) -> symbiosis.Values:
        """Worth of any group of companies: the game is played on the links that the plan opens where links cost once."""
        case, found = self.plan.case, self.plan.solution
        if not case.has_choices:
            return symbiosis.Values(case)
        used = found.amount.sum(axis=1) > 0
        missing = [
            u for u, one in enumerate(case.units) if one.is_once and not one.capacity and not found.sizes[u]
        ]
        return symbiosis.Values(case, used | ((case.fixed == 0) & ~np.isin(case.unit, missing)))

    @property
    def is_small(self) -> bool:
        """Whether shares and losses are found within seconds."""
        if len(self.plan.case.members) > SMALL[1]:
            return False
        return all(len(block.members) <= SMALL[0] for block in self.values.blocks)

    @cached_property
    def shared(self) -> Shared:
        """Who gains what."""
        return _shared(self)

    @cached_property
    def leaving(self) -> tuple[Without, ...]:
        """What breaks when each company leaves, the dearest first; of many companies, of those with the most worth in exchanges."""
        worth: dict[str, float] = {}
        for one in self.plan.exchanges:
            for place in {one.giver, one.taker, one.owner} - {""}:
                worth[place] = worth.get(place, 0.0) + one.total
        most = sorted(worth, key=lambda place: -worth[place])
        found = [_without(self, place) for place in (most if self.is_small else most[:SHOWN])]
        return tuple(sorted(found, key=lambda one: -one.loss))

    def text(self, lang: str = "en") -> str:
        """The plan for people."""
        from mangrove import printing_exchange

        return printing_exchange.plan_text(self, lang)

    def document(self) -> dict[str, Any]:
        """The plan, the shares and the losses as plain JSON data."""
        return {
            "mangrove": version("mangrove"), "territory": self.territory, "radius_km": self.radius, "on": self.on.isoformat(),
            **symbiosis.document(self.plan),
            "shares": self.shared.document() if self.is_small else None,
            "without": [one.document() for one in self.leaving] if self.is_small else None,
            "notes": [
                {"code": one.code, "severity": one.severity, "en": one.line("en"), "vi": one.line("vi")} for one in self.problems
            ],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shared:
    """Who gains what from the exchanges of a plan: shares by rule, and the price of each exchange that gives them."""

    planned: Planned
    gains: gains.Gains
    prices: Mapping[str, exchange_prices.Prices]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What people should know."""
        return self.planned.problems

    def text(self, lang: str = "en", rules: Sequence[str] = RULES) -> str:
        """The shares under some rules for people."""
        from mangrove import printing_exchange

        return printing_exchange.shares_text(self, lang, rules)

    def document(self) -> dict[str, Any]:
        """The shares as plain JSON data; money is VND/yr, prices VND per unit of the offer."""
        found = self.gains
        return {
            "members": list(found.members), "worth": found.worth, "losses": found.losses.tolist(), "errors": found.errors.tolist(),
            "core_is_empty": found.core_is_empty,
            "rules": {rule: _rule(self, rule) for rule in found.shares},
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Without:
    """What breaks when one company leaves.

    Attributes:
        place: who leaves; loss: VND/yr that all lose together when the others make the best of it; of: worth of the plan.
        stops: ids of exchanges of the plan that it is part of; replaced: what the others exchange instead, as (id, units a year more).
        others: VND/yr that the others lose beyond what it would have got itself (Shapley value; by prices where there are many companies).
    """

    place: str
    name: str
    loss: float
    of: float
    co2: float
    others: float
    stops: tuple[NewExchange, ...]
    replaced: tuple[tuple[str, float, str], ...]
    shortfall: tuple[tuple[str, float, str], ...]
    planned: Planned

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What people should know."""
        return self.planned.problems

    def text(self, lang: str = "en") -> str:
        """The loss for people."""
        from mangrove import printing_exchange

        return printing_exchange.without_text((self,), lang)

    def document(self) -> dict[str, Any]:
        """The loss as plain JSON data."""
        return {
            "place": self.place, "name": self.name, "loss": self.loss, "of": self.of, "co2": self.co2, "others": self.others,
            "stops": [one.id for one in self.stops],
            "replaced": [{"id": id_, "more": more, "unit": per} for id_, more, per in self.replaced],
            "unserved": [{"id": id_, "less": less, "unit": per} for id_, less, per in self.shortfall],
        }  # fmt: skip


def plan(
    park: Handle,
    *,
    radius: float = RADIUS,
    on: date | None = None,
    way: str = "auto",
    store: bool = True,
    carbon_price: float | None = None,
    **terms: Any,
) -> Planned:
    """The new exchanges of most worth, beside what runs already.

    Args:
        park: an opened territory.
        radius: km within which partners are looked for.
        on: day of the factors; today when left out. Listings and exchanges that are over by then do not count.
        way: see `mangrove.plan.symbiosis.solve`.
        store: keep the plan in the ledger, so that pages can show it.
        carbon_price: VND/t CO2e; that of the territory's `energy: carbon_price` when left out, else avoided emissions are not paid for.
        **terms: see `mangrove.plan.symbiosis.Terms`; what is left out (or None) is as the territory's `symbiosis` says, else as usual.

    Raises:
        RequestError: nothing is offered or needed, a term makes no sense.
        InfeasibleError: a least amount that nothing can meet.
    """
    given = {name: value for name, value in terms.items() if value is not None}
    asked = _terms({**_declared(park), **given, "carbon_price": _carbon_price(park, carbon_price)})
    day = on or datetime.now(park.territory.tz).date()
    entered = listings.known(park)
    territory = replace(park.territory, offers=_still(entered.offers, day), needs=_still(entered.needs, day))
    ends = territory.offers and territory.needs
    proposed = exchange_inputs.pairs(territory, radius) if ends else _none()
    used, said = exchange_inputs.running(park, territory, day)
    carbon, more = exchange_inputs.factors(territory, day)
    rate, told = _discount(park, territory, day)
    units = symbiosis.units(territory.assets, rate)
    asked, extra = _told(park, asked, day, treated=any(one.power for one in units))
    extra += told
    case = symbiosis.assemble(territory, proposed, terms=asked, used=used, carbon=carbon, units=units)
    names = {id_: place.name for id_, place in park.territory.places.items()}
    found = symbiosis.result(case, symbiosis.solve(case, way=way), names)
    planned = Planned(found, park.territory.name, radius, day, (*entered.problems, *extra, *said, *more))
    return _stored(park, planned) if store else planned


def shares(park: Handle, planned: Planned | None = None, **asked: Any) -> Shared:
    """Who gains what from a plan; without one, from the plan of the terms that were stored last.

    Raises:
        RequestError, InfeasibleError: see `plan`.
    """
    return (planned or again(park, **asked)).shared


def without(
    park: Handle, place: str = "", planned: Planned | None = None, **asked: Any
) -> tuple[Without, ...]:
    """What breaks when a company leaves; without one, for every company of the plan, the dearest first.

    Raises:
        RequestError: `exchange.unknown_place`, and see `plan`.
    """
    planned = planned or again(park, **asked)
    if not place:
        return planned.leaving
    known = {
        **{id_: id_ for id_ in planned.plan.members},
        **{planned.plan.places[id_]: id_ for id_ in planned.plan.members},
    }
    if place not in known:
        raise RequestError("exchange.unknown_place", text=place, hint=did_you_mean(place, known))
    return (_without(planned, known[place]),)


def again(park: Handle, **asked: Any) -> Planned:
    """The plan on the terms that were stored last, from what is declared and metered now; without any, on the usual terms."""
    last = park.newest(KIND) if park.store.is_dir() else None
    if last is not None and not asked:
        asked = {"radius": last["radius_km"], **last["terms"]}
        if last["terms"].get("power_price") is not None:
            asked.pop("power_carbon", None)
    return plan(park, store=False, **asked)


def hours(
    park: Handle,
    day: str | date,
    days: int = 1,
    *,
    planned: Planned | None = None,
    power_price: float | None = None,
    **asked: Any,
) -> Hourly:
    """What flows hour by hour on some days over the exchanges of a plan; without one, of the plan of the terms stored last.

    Args:
        park: an opened territory.
        day: the first local day (`2024-06-05`).
        days: how many, at most 31.
        planned: from `plan`.
        power_price: VND/kWh in every hour, in the place of the contracts.
        **asked: terms, see `plan`.

    Raises:
        RequestError: `base.not_a_date`, `exchange.bad_days`, and see `plan`.
    """
    from mangrove import exchange_hours

    return exchange_hours.hours(park, day, days, planned=planned, power_price=power_price, **asked)


def _still(known: Mapping[str, Listing], day: date) -> dict[str, Listing]:
    """The listings that are not over on a day."""
    return {id_: one for id_, one in known.items() if one.valid_to is None or one.valid_to > day}


def _none() -> symbiosis.Pairs:
    empty = np.zeros(0, dtype=np.int64)
    return symbiosis.Pairs((), (), empty, empty, np.zeros(0), np.zeros(0))


def _terms(asked: Mapping[str, Any]) -> Terms:
    """Terms that make sense.

    Raises:
        RequestError: `exchange.bad_share`, `exchange.unknown_term`, `exchange.bad_term`.
    """
    known = {one.name for one in fields(Terms)}
    for name, value in asked.items():
        if name not in known:
            raise RequestError("exchange.unknown_term", text=name, options=", ".join(sorted(known)))
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise RequestError("exchange.bad_term", name=name, text=value)
    share = asked.get("most_share")
    if share is not None and not 0 < share <= 1:
        raise RequestError("exchange.bad_share", text=f"{share * 100:g} %")
    return Terms(**asked)


def _declared(park: Handle) -> dict[str, float]:
    """The terms that `symbiosis` of territory.yaml declares."""
    known = {one.name for one in fields(Terms)}
    said = park.territory.settings.get("symbiosis")
    rows = said.items() if isinstance(said, Mapping) else ()
    return {name: float(value) for name, value in rows if name in known and value is not None}


def _carbon_price(park: Handle, asked: float | None) -> float:
    """The price that is asked for, else the declared one, else none."""
    declared = park.territory.settings.get("energy")
    price = declared.get("carbon_price") if isinstance(declared, Mapping) else None
    return float(price or 0.0) if asked is None else asked


def _discount(park: Handle, territory: Territory, day: date) -> tuple[float, list[Problem]]:
    """The discount rate of units that may be built: the declared one, else that of the rules, which is then said."""
    declared = park.territory.settings.get("energy")
    rate = declared.get("discount") if isinstance(declared, Mapping) else None
    if rate is not None or not any(
        is_candidate(one) for one in territory.assets.values() if one.type in UNIT_KINDS
    ):
        return float(rate or 0.0), []
    found = costs.finance("discount/offtaker", day)
    data = {"rate": f"{100 * found.value:g} %", "status": found.status}
    return found.value, [Problem("exchange.discount", data, severity="note")]


def share(text: str | None) -> float | None:
    """`60%`, `60 %` or `0.6` as a fraction.

    Raises:
        RequestError: `exchange.bad_share`.

    Example:
        >>> share("60%")
        0.6
    """
    if text is None:
        return None
    try:
        return Quantity.parse(text.replace("%", " %"), "1").to("1")
    except MangroveError:
        raise RequestError("exchange.bad_share", text=text) from None


def as_json(*found: Planned | Shared | Without) -> str:
    """One document as JSON; several as a list."""
    documents = [one.document() for one in found]
    return json.dumps(documents[0] if len(found) == 1 else documents, ensure_ascii=False, indent=1)


def _told(park: Handle, terms: Terms, day: date, *, treated: bool) -> tuple[Terms, list[Problem]]:
    """The terms with the grid's factor for treatment, and what is not reckoned because nobody said it."""
    notes = []
    if terms.transport is None:
        notes.append(Problem("exchange.no_transport", {}, severity="note"))
    if not terms.carbon_price:
        notes.append(Problem("exchange.no_carbon_price", {}, severity="note"))
    if treated and terms.power_price is None:
        notes.append(Problem("exchange.no_power_price", {}, severity="note"))
    if treated and not terms.power_carbon and park.territory.gwp is not None:
        try:
            amount = Quantity(1.0, unit("kWh"))
            kg = exchange_inputs.activity(rules.load(), park.territory, "grid/vn", day, amount)
            terms = replace(terms, power_carbon=kg)
        except MangroveError as error:
            data = {"id": "grid", "activity": "grid/vn", "unit": "kWh", "why": error.text()}
            notes.append(Problem("exchange.no_factor", data, severity="warning"))
    return terms, notes


def _stored(park: Handle, planned: Planned) -> Planned:
    """The plan with the id of its record."""
    # a record is one short transaction beside whoever writes values, so an existing ledger need not be opened for writing
    with park.reader() if park.store.is_dir() else park.writer() as ledger:
        text = json.dumps(planned.document(), sort_keys=True, ensure_ascii=False, allow_nan=False)
        record = ledger.put_record(KIND, text.encode())
    kept = Planned(planned.plan, planned.territory, planned.radius, planned.on, planned.notes, record)
    kept.__dict__.update(
        {name: planned.__dict__[name] for name in ("values", "shared", "leaving") if name in planned.__dict__}
    )
    return kept


# --- shares ------------------------------------------------------------------------------------------------------------


def _shared(planned: Planned) -> Shared:
    """Shares of every group, and the prices of the plan's exchanges under each rule.

    Raises:
        RequestError: `exchange.too_many`.
    """
    values, found = planned.values, planned.plan
    if len(values.members) > MANY:
        raise RequestError("exchange.too_many", count=len(values.members), most=MANY)
    joined = [_joined(values, group) for group in values.groups]
    made = gains.gains(joined, duals=found.by_price)
    deals = deals_of(planned)
    prices = {
        rule: exchange_prices.prices(
            deals, dict(zip(made.members, made.shares[rule].tolist(), strict=True)), _idle(planned)
        )
        for rule in made.shares
    }
    return Shared(planned, made, prices)


def _joined(values: symbiosis.Values, group: Ints) -> gains.Joined:
    """The game of one group, and the parts that add up to it."""
    blocks = values.blocks_of(group)
    at = {int(member): i for i, member in enumerate(group)}
    columns = [[at[int(member)] for member in block.members] for block in blocks]

    def worth(masks: Bools) -> Floats:
        parts = [block.many(masks[:, own]) for block, own in zip(blocks, columns, strict=True)]
        return np.sum(parts, axis=0) if parts else np.zeros(len(masks))

    names = values.members
    parts = tuple(gains.Joined(tuple(names[i] for i in block.members), block.many) for block in blocks)
    return gains.Joined(tuple(names[i] for i in group), worth, parts)


def deals_of(planned: Planned) -> list[exchange_prices.Deal]:
    """The exchanges of a plan before any payment: what each side is spared and spends.

    The giver is spared disposal (and gets what its avoided emissions are worth), the owner of a unit pays for treatment, the taker is
    spared the purchase and pays for the way.
    """
    case, found = planned.plan.case, planned.plan.exchanges
    losses = planned.values.losses_of_arcs(np.array([one.arc for one in found], dtype=np.int64))
    return [_deal(case, one, float(loss)) for one, loss in zip(found, losses, strict=True)]


def _idle(planned: Planned) -> list[tuple[str, str]]:
    """(taker, giver) and (taker, owner of the unit) of the exchanges that could be and are not in the plan."""
    case, used = planned.plan.case, {one.arc for one in planned.plan.exchanges}
    found = [case.places(arc) for arc in planned.values.usable.tolist() if arc not in used]
    return list(
        dict.fromkeys((end[1], other) for end in found if len(end) > 1 for other in (end[0], *end[2:]))
    )


def _deal(case: Case, one: NewExchange, loss: float) -> exchange_prices.Deal:
    offer = case.offers[case.offer[one.arc]]
    paid = (offer.carbon or 0.0) * one.amount * case.terms.carbon_price / _KILO
    giver = one.worth.get(offer.part, 0.0) + paid
    owner = one.worth.get("treatment", 0.0) + one.worth.get("unit", 0.0) if one.owner else 0.0
    return exchange_prices.Deal(
        one.giver, one.taker, one.amount, giver, one.total - giver - owner, one.owner, owner, loss
    )


def _rule(shared: Shared, rule: str) -> dict[str, Any]:
    """One rule as plain data."""
    found, prices = shared.gains, shared.prices[rule]
    against = found.objections[rule]
    return {
        "shares": found.shares[rule].tolist(),
        "at_risk": found.at_risk(rule).tolist(),
        "objection": {"coalition": list(against.coalition), "gets": against.gets, "alone": against.alone},
        "aside": dict(prices.aside),
        "standby": [{"payer": payer, "payee": payee, "money": money} for (payer, payee), money in prices.standby.items()],
        "prices": [
            {
                "id": one.id, "low": deal.low, "high": deal.high, "price": deal.price, "fee": deal.fee, "giver": deal.giver,
                "taker": deal.taker, "owner": deal.owner, "beside": deal.beside, "if_taker_stops": deal.if_taker_stops, "if_giver_stops": deal.if_giver_stops,
            }
            for one, deal in zip(shared.planned.plan.exchanges, prices.deals, strict=True)
        ],
    }  # fmt: skip


# --- without -----------------------------------------------------------------------------------------------------------


def _without(planned: Planned, place: str) -> Without:
    """The plan solved again without one company."""
    found, case = planned.plan, planned.plan.case
    stays = np.array([place not in case.places(a) for a in range(len(case))], dtype=bool)
    if planned.values.open_only is not None:
        stays &= planned.values.open_only
    rest = symbiosis.only(case, np.flatnonzero(stays))
    left = symbiosis.result(rest, symbiosis.solve(rest), found.places)
    before = {one.id: one for one in found.exchanges}
    more = []
    for one in left.exchanges:
        extra = one.amount - (before[one.id].amount if one.id in before else 0.0)
        if extra > 1e-6 * max(one.amount, 1.0):
            more.append((one.id, extra, one.counted))
    lost = {one.id: one for one in left.needs}
    short = [
        (one.id, one.planned - lost[one.id].planned, one.counted)
        for one in found.needs
        if one.place != place and one.planned - lost[one.id].planned > 1e-6 * max(one.planned, 1.0)
    ]
    loss = max(found.worth - left.worth, 0.0)
    own = planned.shared.gains.of("shapley", place) if planned.is_small else found.by_price.get(place, 0.0)
    return Without(
        place, found.places.get(place, place), loss, found.worth, found.co2 - left.co2,
        max(loss - own, 0.0),
        tuple(one for one in found.exchanges if place in (one.giver, one.taker, one.owner)), tuple(more), tuple(short), planned,
    )  # fmt: skip


def newest(park: Handle) -> dict[str, Any] | None:
    """The newest stored plan as plain data, for pages; None without any."""
    return park.newest(KIND) if park.store.is_dir() else None


def recorded_at(park: Handle) -> datetime | None:
    """When the newest plan was stored."""
    if not park.store.is_dir():
        return None
    with park.reader() as ledger:
        stored = ledger.records(KIND)
    return stored[-1][1].astimezone(UTC) if stored else None
