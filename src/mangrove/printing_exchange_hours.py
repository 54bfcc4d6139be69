# SPDX-License-Identifier: Apache-2.0
"""Hours of a plan of exchanges as text for the command line.

Comes in: an `Hourly`. Goes out: text for stdout: what flows when, when units run and at which price, what stays unused or unmet. Hours are by
the local clock; JSON keeps every number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import number, unit_label

if TYPE_CHECKING:
    from mangrove.exchange_hours import Hourly
    from mangrove.plan.symbiosis.hours import HourlyEnd, HourlyExchange, HourlyUnit

_MILLION = 1e6
_SMALL = 1e-6


def hours_text(made: Hourly, lang: str = "en") -> str:
    """The days for people."""
    found = made.hours
    data = {"name": made.planned.territory, "day": made.day.isoformat(), "count": len(found.starts)}
    lines = [_say("hours_title", lang, **data)]
    flowing = [one for one in found.exchanges if one.amount > _SMALL]
    if not flowing:
        return "\n".join([*lines, _say("hours_none", lang)])
    knows = made.planned.plan.knows_co2
    summary = {"worth": _millions(found.worth, lang), "co2": number(found.co2, lang)}
    lines.append(_say("hours_summary" if knows else "hours_summary_unknown", lang, **summary))
    for place, one in enumerate(flowing, start=1):
        lines += ["", *_exchange(made, one, place, lang)]
    running = [one for one in found.units if max(one.leaves) > _SMALL]
    if running:
        lines += [
            "",
            _say("hours_units", lang),
            *(line for one in running for line in _unit(made, one, lang)),
        ]
    taking = {end for one in made.planned.plan.exchanges for end in (one.offer, one.need)}
    for side, word in (("offers", "hours_unused"), ("needs", "hours_unmet")):
        left = [
            one
            for one in getattr(found, side)
            if one.id in taking and sum(one.left) > _SMALL * max(sum(one.declared), 1.0)
        ]
        if left:
            lines += ["", _say(word, lang), *_lefts(left, lang)]
    return "\n".join(lines)


def _exchange(made: Hourly, one: HourlyExchange, place: int, lang: str) -> list[str]:
    names = made.planned.plan.places
    ends = {
        "giver": names.get(one.giver, one.giver), "taker": names.get(one.taker, one.taker), "name": one.name, "need": one.need_name,
    }  # fmt: skip
    data = {
        "amount": number(one.amount, lang),
        "unit": unit_label(one.counted, lang),
        "worth": _millions(one.total, lang),
    }
    lines = [f"{place:>2}. " + _say("line", lang, **ends), "    " + _say("hours_amount", lang, **data)]
    return [*lines, *(f"    {line}" for line in _course(made, one.amounts, lang))]


def _unit(made: Hourly, one: HourlyUnit, lang: str) -> list[str]:
    """How long a unit runs, its electricity, and when."""
    bought = sum(one.bought)
    paid = sum(price * kwh for price, kwh in zip(one.price, one.bought, strict=True))
    data = {
        "name": one.name, "leaves": number(sum(one.leaves), lang), "unit": unit_label(one.counted, lang),
        "running": sum(value > _SMALL * one.capacity for value in one.leaves), "count": len(one.leaves),
        "power": number(sum(one.power), lang), "bought": number(bought, lang), "price": number(paid / bought if bought else 0.0, lang),
    }  # fmt: skip
    return [
        "  " + _say("hours_unit", lang, **data),
        *(f"    {line}" for line in _course(made, one.leaves, lang)),
    ]


def _lefts(left: Iterable[HourlyEnd], lang: str) -> list[str]:
    return [
        "  "
        + _say(
            "hours_left", lang, name=one.name, id=one.id, left=number(sum(one.left), lang), declared=number(sum(one.declared), lang),
            unit=unit_label(one.counted, lang),
        )
        for one in left
    ]  # fmt: skip


def _course(made: Hourly, amounts: Sequence[float], lang: str) -> list[str]:
    """One line a day: every hour, or that all hours are the same."""
    if max(amounts) - min(amounts) <= _SMALL * max(*amounts, 1.0):
        return [_say("hours_even", lang, amount=number(amounts[0], lang))]
    days: dict[date, list[float]] = {}
    for start, amount in zip(made.hours.starts, amounts, strict=True):
        days.setdefault(start.date(), []).append(amount)
    return [
        _say(
            "hours_course",
            lang,
            day=day.isoformat(),
            hours="  ".join(number(value, lang, digits=2) for value in values),
        )
        for day, values in days.items()
    ]


def _millions(money: float, lang: str) -> str:
    return number(round(float(money) / _MILLION, 3), lang)


def _say(word: str, lang: str, **data: Any) -> str:
    return messages.render(f"exchange.{word}", lang, **data)
