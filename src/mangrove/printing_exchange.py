# SPDX-License-Identifier: Apache-2.0
"""Plans of exchanges, shares and losses as text for the command line.

Comes in: what `mangrove.exchange` found. Goes out: text for stdout. Money for people is in millions of dong a year where it is a sum, in
dong where it is a price; JSON keeps full precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import number, percent, unit_label
from mangrove.printing import grid
from mangrove.settle.gains import RULES

if TYPE_CHECKING:
    from mangrove.exchange import Planned, Shared, Without
    from mangrove.plan.symbiosis import Left, NewExchange, NewUnit
    from mangrove.settle.exchange_prices import Price

_MILLION = 1e6
_LONGEST = 30
_ONE_SIDED = 1e-9
_DONG = 1.0
_FEW = 4
"""Members of a coalition that are named one by one even when they are most."""


def plan_text(planned: Planned, lang: str = "en") -> str:
    """What is worth doing, exchange by exchange, and what stays with its reason."""
    found = planned.plan
    lines = [_say("title", lang, name=planned.territory)]
    if not found.exchanges:
        lines.append(_say("none", lang))
    else:
        data = {
            "count": len(found.exchanges), "worth": _millions(found.worth, lang), "co2": number(found.co2, lang), "bound": _millions(found.bound, lang),
            "gap": percent(found.gap, lang, decimals=2),
        }  # fmt: skip
        lines.append(_say("summary" if found.knows_co2 else "summary_unknown", lang, **data))
        lines.append(_say("bound", lang, **data) if found.complete else _say("bound_cut", lang, **data))
    for place, one in enumerate(found.exchanges[:_LONGEST], start=1):
        lines += ["", *_exchange(planned, one, place, lang)]
    if found.units:
        lines += ["", _say("units_title", lang), *(_unit(one, lang) for one in found.units)]
    if len(found.exchanges) > _LONGEST:
        lines += ["", _say("more", lang, count=len(found.exchanges) - _LONGEST)]
    for side in ("offers", "needs"):
        left = [one for one in getattr(found, side) if one.why]
        if left:
            lines += ["", _say(f"left_{side}", lang), *_lefts(left, lang)]
    return "\n".join(lines)


def _exchange(planned: Planned, one: NewExchange, place: int, lang: str) -> list[str]:
    """Three or four lines about one exchange: who, how much, what it is worth and of what, why."""
    names = planned.plan.places
    ends = {
        "giver": names.get(one.giver, one.giver),
        "taker": names.get(one.taker, one.taker),
        "name": one.name,
        "need": one.need_name,
    }
    per = unit_label(one.counted, lang)
    data = {
        "amount": number(one.amount, lang), "unit": per, "worth": _millions(one.total, lang),
        "each": number(one.total / one.amount, lang), "co2": number(one.co2, lang, digits=2),
    }  # fmt: skip
    lines = [f"{place:>2}. " + _say("line", lang, **ends), "    " + _say("amount", lang, **data)]
    parts = [f"{_say(f'part_{part}', lang)} {_millions(money, lang)}" for part, money in one.worth.items()]
    lines.append("    " + _say("parts", lang, parts=", ".join(parts)))
    if one.known_co2 or one.co2:
        lines.append(
            "    "
            + _say("co2" if one.co2 >= 0 else "co2_more", lang, **{**data, "co2": number(abs(one.co2), lang)})
        )
    if one.unit and one.unit != one.need:
        lines.append("    " + _say("through", lang, unit=one.unit, owner=names.get(one.owner, one.owner)))
    if one.mixed:
        lines.append("    " + _say("mixed", lang, limits=", ".join(one.mixed)))
    reasons = one.reasons.get(lang, ())
    if reasons:
        lines.append("    " + _say("why", lang, reasons="; ".join(reasons)))
    if max(one.amounts) > min(one.amounts) * (1 + _ONE_SIDED) + _ONE_SIDED:
        lines.append(
            "    " + _say("months", lang, months="  ".join(number(value, lang) for value in one.amounts))
        )
    return lines


def _unit(one: NewUnit, lang: str) -> str:
    """Whether a unit is built, where, how large, and what it costs."""
    data = {
        "name": one.name, "owner": one.owner, "size": number(one.size, lang), "rate": unit_label(one.rate, lang),
        "cost": _millions(one.cost, lang), "leaves": number(one.leaves, lang), "unit": unit_label(one.counted, lang),
    }  # fmt: skip
    return "  " + _say("unit_built" if one.built else "unit_not_built", lang, **data)


def _lefts(left: Iterable[Left], lang: str) -> list[str]:
    """What stays: how much, what one more unit would be worth, why."""
    return [
        "  "
        + _say(
            "left", lang, name=one.name, id=one.id, left=number(one.left, lang), unit=unit_label(one.counted, lang),
            declared=number(one.declared, lang), why=one.why[lang],
        )
        for one in left
    ]  # fmt: skip


def shares_text(shared: Shared, lang: str = "en", rules: Sequence[str] = RULES) -> str:
    """What each company keeps under each rule, who would object, and the prices that give the first rule."""
    found, names = shared.gains, shared.planned.plan.places
    rules = [rule for rule in rules if rule in found.shares]
    if not found.members or not shared.planned.plan.exchanges:
        return _say("none", lang)
    main = rules[0]
    header = [
        _say("company", lang),
        *(_say(f"rule_{rule}", lang) for rule in rules),
        _say("loss", lang),
        _say("others", lang),
    ]
    risk = found.at_risk(main)
    taking = [
        i
        for i in range(len(found.members))
        if max(found.losses[i], *(abs(found.shares[rule][i]) for rule in rules)) >= _DONG
    ]
    order = sorted(taking, key=lambda i: -found.shares[main][i])
    body = [
        [
            names.get(found.members[i], found.members[i]), *(_spread(shared, rule, i, lang) for rule in rules),
            _millions(found.losses[i], lang), _millions(risk[i], lang),
        ]
        for i in order
    ]  # fmt: skip
    sums = [_say("all", lang), *(_millions(found.shares[rule].sum(), lang) for rule in rules), "", ""]
    lines = [
        _say("shares_title", lang, worth=_millions(found.worth, lang)),
        "",
        *grid(header, [*body, sums], left={0}),
        "",
    ]
    lines += [_say(f"about_{rule}", lang) for rule in rules]
    if "shapley" in rules:
        sampled = any(one.how == "sample" for one in found.found)
        lines.append(_say("sampled" if sampled else "exact", lang))
    lines += [_objection(shared, rule, lang) for rule in rules]
    lines += [
        "",
        _say("prices_title", lang, rule=_say(f"rule_{main}", lang)),
        "",
        *_prices(shared, main, lang),
    ]
    return "\n".join(lines)


def _spread(shared: Shared, rule: str, member: int, lang: str) -> str:
    """A share, with twice its standard error where it was sampled."""
    error = shared.gains.errors[member] if rule == "shapley" else 0.0
    text = _millions(shared.gains.shares[rule][member], lang)
    return f"{text} ± {_millions(2 * error, lang)}" if error else text


def _objection(shared: Shared, rule: str, lang: str) -> str:
    """Who would gain most by leaving under a rule."""
    against, names = shared.gains.objections[rule], shared.planned.plan.places
    title = _say(f"rule_{rule}", lang)
    if not against.objects:
        return _say("nobody_leaves", lang, rule=title)
    members = shared.gains.members
    rest = [one for one in members if one not in against.coalition]
    word = "leaves" if len(against.coalition) <= max(len(rest), _FEW) else "leave_out"
    shown = against.coalition if word == "leaves" else rest
    data = {
        "rule": title, "names": ", ".join(names.get(one, one) for one in shown),
        "gets": _millions(against.gets, lang), "alone": _millions(against.alone, lang),
    }  # fmt: skip
    text = _say(word, lang, **data)
    return f"{text} {_say('core_empty', lang)}" if rule == "core" and shared.gains.core_is_empty else text


def _prices(shared: Shared, rule: str, lang: str) -> list[str]:
    """The price of each exchange between the two reservation prices, and take-or-pay."""
    prices, plan = shared.prices[rule], shared.planned.plan
    header = [
        _say(word, lang) for word in ("exchange", "per", "low", "price", "high", "stop_taker", "stop_giver")
    ]
    body = [_price_row(one, deal, lang) for one, deal in zip(plan.exchanges, prices.deals, strict=True)]
    lines = grid(header, body, left={0, 1})
    lines += ["", _say("about_prices", lang)]
    for one, deal in zip(plan.exchanges, prices.deals, strict=True):
        if deal.beside:
            ends = (one.taker, one.giver) if deal.beside > 0 else (one.giver, one.taker)
            payer, payee = (plan.places.get(end, end) for end in ends)
            lines.append(
                _say(
                    "beside",
                    lang,
                    payer=payer,
                    payee=payee,
                    exchange=one.name,
                    money=_millions(abs(deal.beside), lang),
                )
            )
        if deal.fee:
            fee = {
                "unit": one.unit,
                "fee": number(deal.fee, lang),
                "per": unit_label(one.counted, lang),
                "exchange": one.name,
            }
            lines.append(_say("fee", lang, **fee))
    for (payer, payee), money in prices.standby.items():
        names = {"payer": plan.places.get(payer, payer), "payee": plan.places.get(payee, payee)}
        lines.append(_say("standby", lang, **names, money=_millions(money, lang)))
    for member, money in prices.aside.items():
        word = "aside_gets" if money > 0 else "aside_pays"
        lines.append(
            _say(word, lang, name=plan.places.get(member, member), money=_millions(abs(money), lang))
        )
    return lines


def _price_row(one: NewExchange, deal: Price, lang: str) -> list[str]:
    money = (deal.low, deal.price, deal.high, deal.if_taker_stops, deal.if_giver_stops)
    return [one.id, unit_label(one.counted, lang), *(number(value, lang) for value in money)]


def without_text(found: Sequence[Without], lang: str = "en") -> str:
    """What breaks when each company leaves."""
    if not found:
        return _say("none", lang)
    lines = [_say("without_title", lang)]
    for one in found:
        share = percent(one.loss / one.of if one.of else 0.0, lang, decimals=0)
        data = {
            "name": one.name,
            "loss": _millions(one.loss, lang),
            "share": share,
            "others": _millions(one.others, lang),
        }
        lines += ["", _say("leaves_line", lang, **data)]
        lines.append("  " + _say("stops", lang, names="; ".join(f"{x.name} ({x.id})" for x in one.stops)))
        if one.co2:
            lines.append("  " + _say("co2_lost", lang, co2=number(one.co2, lang)))
        lines += [
            "  " + _say("replaced", lang, id=id_, amount=number(more, lang), unit=unit_label(per, lang))
            for id_, more, per in one.replaced
        ]
        lines += [
            "  " + _say("short", lang, id=id_, amount=number(less, lang), unit=unit_label(per, lang))
            for id_, less, per in one.shortfall
        ]
    return "\n".join(lines)


def _millions(money: float, lang: str) -> str:
    """VND as millions with three digits, a thousand dong at the finest."""
    return number(round(float(money) / _MILLION, 3), lang)


def _say(word: str, lang: str, **data: Any) -> str:
    return messages.render(f"exchange.{word}", lang, **data)
