# SPDX-License-Identifier: Apache-2.0
"""Verified exchanges and circularity as text and JSON for the command line.

Comes in: a `Verified`, a `Circularity`. Goes out: text for stdout, in the form of the language; JSON keeps full precision.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import number, percent
from mangrove.printing import grid

if TYPE_CHECKING:
    from mangrove.measure.symbiosis import Circularity, Figure, Row, Verified
    from mangrove.measure.types import Term

_KG = 1000.0


def verified_text(made: Verified, lang: str) -> str:
    """The table of all exchanges: what the meters say, what was reconciled, what it saved."""
    currency = made.territory.currency
    columns = ("exchange", "sent", "received", "amount", "", "unit", "saved", "avoided", "", "status")
    header = [_say(f"column_{word}", lang, currency=currency) if word else "95 %" for word in columns]
    body = [_line(made, name, lang) for name in made.exchanges]
    total = made.avoided()
    if len(body) > 1:
        saved = made.saved()
        body.append([_say("total", lang), "", "", "", "", "", _value(saved, lang), *_tonnes(total, lang), ""])
    return "\n".join([*_title(made, lang), *grid(header, body, left={0, 5, 9})])


def exchange_text(made: Verified, exchange: str, lang: str) -> str:
    """One exchange by period, and the arithmetic of its emissions."""
    tz = made.territory.tz
    header = [_say(f"column_{word}", lang) for word in ("period", "sent", "received", "amount")]
    header += ["95 %", _say("column_unit", lang), "p", _say("column_status", lang)]
    body = [
        [
            f"{row.start.astimezone(tz):%Y-%m-%d}", *(_reading(row, end, lang) for end in ("sent", "received")),
            _value(row.taken, lang), _interval(row.taken, lang), row.unit, "" if row.p is None else number(row.p, lang, digits=2),
            _say(f"status_{row.status}", lang) + (f" ({', '.join(row.suspects)}?)" if row.suspects else ""),
        ]
        for row in made.of(exchange)
    ]  # fmt: skip
    return "\n".join([*grid(header, body, left={0, 5, 7}), "", *arithmetic(made, exchange, lang)])


def arithmetic(made: Verified, exchange: str, lang: str) -> list[str]:
    """The products behind the avoided emissions of the last period with any, and the documents of their factors."""
    shown = [one for one in made.savings if one.exchange == exchange and one.products]
    if not shown:
        return [_say("no_arithmetic", lang)]
    last = max(one.start for one in shown)
    lines = [_say("arithmetic", lang, exchange=exchange)]
    sources = {}
    for one in (one for one in shown if one.start == last):
        base = f"{number(one.base, lang, digits=6)} {one.base_unit} × {one.per}"
        effect, side = _say(f"effect_{one.effect}", lang), _say(f"side_{one.side}", lang)
        lines.append(f"  {effect} ({side}): {base} = {number(one.amount.value, lang, digits=6)} {one.unit}")
        for part in one.products:
            terms = " ".join(
                f"{'×' if term.power > 0 else '÷'} {_quantity(term, lang)} [{term.symbol}]"
                for term in part.terms
            )
            kg = number(one.amount.value * part.co2e_kg, lang, digits=6)
            lines.append(f"    {terms} × {number(part.weight, lang)} [{part.gas}, {part.gwp}] = {kg} kg CO2e")
            sources.update({term.factor.id: term for term in part.terms if term.factor})
    for id_, term in sources.items():
        factor = term.factor
        assert factor is not None
        status = messages.render(f"base.status_{factor.status}", lang)
        data = {
            "symbol": term.symbol,
            "value": factor.printed_value or factor.value,
            "unit": factor.printed_unit or factor.unit,
        }
        lines.append(
            "  "
            + _say(
                "source",
                lang,
                **data,
                source=factor.source,
                id=id_,
                status=status,
                hash=factor.content_hash[:12],
            )
        )
    return lines


def verified_json(made: Verified, lang: str, circular: Circularity | None = None) -> str:
    """Everything as JSON, with the problems in the language; numbers keep full precision."""
    from mangrove.measure.symbiosis.store import document

    found: dict[str, Any] = {"record": made.record, **document(made)}
    found["problems"] = [
        {"code": one.code, "severity": one.severity, "where": str(one.where or ""), "text": one.text(lang)}
        for one in made.problems
    ]
    if circular is not None:
        found["circularity"] = circular.to_dict(lang)
    return json.dumps(found, ensure_ascii=False, indent=1)


def circularity_text(found: Circularity, lang: str) -> str:
    """The indicators with numerator, denominator and coverage; what is not known says why."""
    tz = found.territory.tz
    start, end = (f"{moment.astimezone(tz):%Y-%m-%d}" for moment in (found.span.start, found.span.end))
    header = [
        _say(f"column_{word}", lang)
        for word in ("indicator", "share", "numerator", "denominator", "unit", "coverage")
    ]
    body, reasons = [], []
    for one in found.indicators:
        name = _say(one.name, lang)
        share = _say("unknown", lang) if one.value is None else percent(one.value, lang)
        parts = [
            _say("unknown", lang) if part is None else number(part, lang, digits=4)
            for part in (one.numerator, one.denominator)
        ]
        body.append(
            [name, share, *parts, one.unit, "" if one.coverage is None else percent(one.coverage, lang)]
        )
        if one.reason is not None:
            reasons.append(_say("not_known", lang, indicator=name, reason=one.reason.text(lang)))
    title = _say("circularity_title", lang, name=found.territory.name, start=start, end=end)
    return "\n".join([title, "", *grid(header, body, left={0, 4}), *reasons])


def _line(made: Verified, name: str, lang: str) -> list[str]:
    rows = made.of(name)
    amount = made.amount(name)
    sums = [_sum(rows, end, lang) for end in ("sent", "received")]
    if name in made.uncounted:
        status = _say("not_counted", lang)
    else:
        kinds = Counter(row.status for row in rows)
        status = ", ".join(f"{_say(f'status_{kind}', lang)} {count}" for kind, count in kinds.items())
    saved, avoided = made.saved(name), _tonnes(made.avoided(name), lang)
    return [
        name,
        *sums,
        _value(amount, lang),
        _interval(amount, lang),
        rows[0].unit,
        _value(saved, lang),
        *avoided,
        status,
    ]


def _sum(rows: tuple[Row, ...], end: str, lang: str) -> str:
    """What one meter says in all complete periods; empty without a meter."""
    readings = [one for row in rows if (one := getattr(row, end)) is not None]
    known = [one.amount for one in readings if one.amount is not None]
    return "" if not readings else number(sum(known), lang, digits=5) if known else _say("unknown", lang)


def _reading(row: Row, end: str, lang: str) -> str:
    one = getattr(row, end)
    return (
        ""
        if one is None
        else _say("unknown", lang)
        if one.amount is None
        else number(one.amount, lang, digits=5)
    )


def _quantity(term: Term, lang: str) -> str:
    """A number with its unit; the unit 1 is not written."""
    return number(term.value, lang, digits=6) + ("" if term.unit == "1" else f" {term.unit}")


def _value(one: Figure | None, lang: str, scale: float = 1.0) -> str:
    return _say("unknown", lang) if one is None else number(one.value / scale, lang, digits=5)


def _interval(one: Figure | None, lang: str, scale: float = 1.0) -> str:
    if one is None or one.low is None or one.high is None:
        return _say("unknown", lang)
    return f"{number(one.low / scale, lang, digits=4)} … {number(one.high / scale, lang, digits=4)}"


def _tonnes(one: Figure | None, lang: str) -> list[str]:
    return [_value(one, lang, _KG), _interval(one, lang, _KG)]


def _title(made: Verified, lang: str) -> list[str]:
    tz = made.territory.tz
    start, end = (f"{moment.astimezone(tz):%Y-%m-%d}" for moment in (made.span.start, made.span.end))
    return [_say("title", lang, name=made.territory.name, start=start, end=end, gwp=made.gwp), ""]


def _say(word: str, lang: str, **data: Any) -> str:
    return messages.render(f"symbiosis.{word}", lang, **data)
