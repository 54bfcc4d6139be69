# SPDX-License-Identifier: Apache-2.0
"""What exchanges save: amounts by effect, money, and avoided emissions against the declared counterfactual, each counted once.

Comes in: reconciled amounts, declared effects, the rules. Goes out: savings by period with the arithmetic of their emissions. Avoided
emissions are a consequential account of their own; the same methods and the same choice of factors as those of the inventory make them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mangrove.errors import Problem, RuleError, Sentence
from mangrove.measure import methods
from mangrove.measure.symbiosis.nodes import window_of
from mangrove.measure.symbiosis.types import Figure, Product, Row, Saving
from mangrove.measure.types import Coefficient
from mangrove.measure.uncertainty import Z95
from mangrove.rules import GwpSet, Rules
from mangrove.territory.model import Carrier, Effect, Exchange, Flow, Territory
from mangrove.times import Span
from mangrove.units import Unit, unit

_TAIL = "/"
_UNITS = {
    unit("t").dimension: "t",
    unit("m3").dimension: "m3",
    unit("kWh").dimension: "MJ",
    unit("Nm3").dimension: "Nm3",
    unit("item").dimension: "item",
    unit("vehicle_km").dimension: "vehicle_km",
    unit("t*km").dimension: "t*km",
    unit("h").dimension: "h",
    unit("VND").dimension: "VND",
}
"""The unit in which effects of a dimension are added up; electricity in kWh, liquid fuels in liters (see `sum_unit`)."""


@dataclass(frozen=True, slots=True)
class Account:
    """How savings are reckoned.

    Attributes:
        territory, rules: the facts; gwp: the set; span: of the question; allow: statuses or ids of rules besides official ones.
        uncounted: positions of effects whose emissions another account or effect already counts; dropped: those not reckoned at all.
    """

    territory: Territory
    rules: Rules
    gwp: GwpSet
    span: Span
    allow: tuple[str, ...] = ()
    uncounted: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Factors:
    """The coefficients of one effect, and the gases that each period needs before its emissions are known."""

    coefficients: tuple[Coefficient, ...] = ()
    gases: frozenset[str] = frozenset()


_NONE = _Factors()


def savings(
    account: Account, rows: Sequence[Row], units: dict[str, Unit]
) -> tuple[list[Saving], list[Problem]]:
    """All savings of the periods in `rows`; `units` of the amounts by exchange."""
    found: list[Saving] = []
    problems: list[Problem] = []
    of: dict[str, list[Row]] = {}
    for row in rows:
        of.setdefault(row.exchange, []).append(row)
    for number, effect in enumerate(account.territory.effects):
        if effect.exchange not in of or number in account.dropped:
            continue
        counted = units[effect.exchange]
        shown = sum_unit(effect, counted)
        if shown is None:
            data = {
                "exchange": effect.exchange,
                "effect": name_of(effect),
                "unit": effect.amount.unit.text,
                "counted": counted.text,
            }
            problems.append(Problem("symbiosis.wrong_effect_unit", data, effect.where))
            continue
        factors, gaps = _factors(account, effect, shown) if effect.factor else (_NONE, [])
        problems += gaps
        if effect.uncertainty is None:
            data = {"exchange": effect.exchange, "effect": name_of(effect)}
            problems.append(Problem("symbiosis.exact_effect", data, effect.where, "note"))
        made = [one for row in of[effect.exchange] if (one := _saving(account, number, row, shown, factors))]
        found += made
        problems += _lacking(account, effect, made)
    return found, problems


def _lacking(account: Account, effect: Effect, made: Sequence[Saving]) -> Iterator[Problem]:
    """The periods in which no factor holds: what they avoid is in no sum."""
    starts = [f"{one.start.astimezone(account.territory.tz):%Y-%m-%d}" for one in made if one.lacks]
    if starts:
        data = {
            "exchange": effect.exchange,
            "effect": name_of(effect),
            "factor": effect.factor,
            "periods": ", ".join(starts),
        }
        yield Problem("symbiosis.lacking", data, effect.where, "warning")


def sum_unit(effect: Effect, counted: Unit) -> Unit | None:
    """The unit in which an effect is added up; None when its amount times that of the exchange has no unit that effects have.

    Example:
        >>> from mangrove.units import Quantity
        >>> str(sum_unit(Effect("e", "electricity", Quantity.parse("-0.3 kWh/m3")), unit("m3")))
        'kWh'
    """
    made = effect.amount.unit * counted
    if effect.effect == "electricity" and made.converts_to("kWh"):
        return unit("kWh")
    if effect.effect == "fuel" and made.converts_to("L"):
        return unit("L")
    name = _UNITS.get(made.dimension)
    return None if name is None else unit(name)


def code_of(effect: Effect) -> str:
    """The fuel or material of an effect's factor: the last word of its key (`combustion/road/diesel` is `diesel`)."""
    return "" if effect.effect == "electricity" else effect.factor.rsplit(_TAIL, 1)[-1].partition("@")[0]


def name_of(effect: Effect) -> Sentence:
    """What is saved, in the reader's words."""
    return Sentence(f"symbiosis.effect_{effect.effect}")


def place_of(effect: Effect, exchange: Exchange) -> str:
    """Whose saving it is."""
    return exchange.place if effect.side == "giver" else exchange.to_place


def _saving(account: Account, number: int, row: Row, shown: Unit, factors: _Factors) -> Saving | None:
    """One effect in one period: per unit of what leaves at the giver, of what arrives at the taker."""
    effect = account.territory.effects[number]
    exchange = account.territory.exchanges[effect.exchange]
    base = row.given if effect.side == "giver" else row.taken
    if base is None:
        return None
    per = effect.amount.value * (effect.amount.unit * unit(row.unit)).to(shown)
    width = None if effect.uncertainty is None else effect.uncertainty / Z95
    amount = base.times(per).with_error(f"effect:{number}:{effect.exchange}:{effect.effect}", width or 0.0)
    money = None
    if effect.price is not None:
        money = amount.times(effect.price.value * (effect.price.unit * shown).to("VND"))
    products = tuple(_products(account, row, factors.coefficients))
    co2e, counts = None, bool(effect.factor) and number not in account.uncounted
    if counts and factors.gases:
        span = window_of(exchange, account.territory).within(row.start, row.end)
        co2e = _avoided(amount, products, factors.gases, span)
    return Saving(
        effect.exchange, effect.effect, effect.side, place_of(effect, exchange), code_of(effect), row.start,
        base.value, row.unit, str(effect.amount), amount, shown.text, money, co2e, products,
        counts and co2e is None,
    )  # fmt: skip


def _avoided(
    amount: Figure, products: Sequence[Product], gases: frozenset[str], span: tuple[datetime, datetime]
) -> Figure | None:
    """The emissions of an amount, each coefficient for its share of the time; None when one of the gases has a hole."""
    first, last = span
    figure = Figure(0.0, {} if amount.errors is not None else None)
    held = dict.fromkeys(gases, timedelta(0))
    for one in products:
        part = min(one.last, last) - max(one.first, first)
        if part <= timedelta(0):
            continue
        held[one.gas] += part
        kilograms = amount.times(one.co2e_kg * (part / (last - first)))
        for term in one.terms:
            if term.uncertainty:
                name = term.shared or f"own:{term.symbol}"
                kilograms += Figure(0.0, {name: kilograms.value * term.power * term.uncertainty / Z95})
        figure += kilograms
    return figure if all(length >= last - first for length in held.values()) else None


def _products(account: Account, row: Row, coefficients: Sequence[Coefficient]) -> Iterator[Product]:
    for one in coefficients:
        first, last = one.valid_from or account.span.start, one.valid_to or account.span.end
        if first >= row.end or last <= row.start:
            continue
        weight = account.gwp.value(one.gas).value
        yield Product(one.gas, account.gwp.name, weight, one.terms, first, last)


def _factors(account: Account, effect: Effect, shown: Unit) -> tuple[_Factors, list[Problem]]:
    """Kilograms of each gas per unit of the effect, by the method of the inventory for such a factor."""
    territory = account.territory
    flow = _as_flow(effect, territory.exchanges[effect.exchange], shown)
    first = account.span.start.astimezone(territory.tz).date()
    after = account.span.last_day(territory.tz) + timedelta(days=1)
    made = methods.apply(flow, territory, account.rules, first, after, allow=account.allow)
    kept = [
        one
        for one in made.coefficients
        if one.view != "market" and one.account in ("", "inventory", "avoided")
    ]
    problems = [
        Problem(gap.code, {**gap.data, "flow": flow.id}, effect.where, "warning") for gap in made.gaps
    ]
    weighed = []
    for one in kept:
        try:
            account.gwp.value(one.gas)
            weighed.append(one)
        except RuleError as error:
            data = {**error.problem.data, "exchange": effect.exchange}
            problems.append(Problem(error.code, data, effect.where, "warning"))
    gases = {one.gas for one in weighed}
    if any(gap.data.get("gas") == "CO2" for gap in made.gaps):
        gases.add("CO2")  # without it the traces of other gases alone would pass for all that is avoided
    return _Factors(tuple(weighed), frozenset(gases)), problems


def _as_flow(effect: Effect, exchange: Exchange, shown: Unit) -> Flow:
    """What is saved, as the flow that the inventory would have without the exchange."""
    family = effect.factor.partition(_TAIL)[0]
    name = f"{effect.exchange}:{effect.effect}"
    if family == "grid":
        carrier, method, scope = Carrier("electricity"), "grid_electricity", 2
    elif family == "combustion":
        carrier, method, scope = Carrier("fuel", code_of(effect)), "combustion", 1
    else:
        carrier, method, scope = Carrier("material"), "process_factor", 3
    return Flow(
        name,
        place_of(effect, exchange),
        carrier,
        shown,
        scope=scope,
        method=method,
        factor=effect.factor,
        account="avoided",
    )
