# SPDX-License-Identifier: Apache-2.0
"""The sections of the energy page.

Comes in: the model and the language. Goes out: HTML fragments, one a section. Each figure and table carries its unit and its basis; a
number that does not exist is said in red words.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from mangrove import messages
from mangrove.errors import Problem
from mangrove.figures import (
    Bar,
    Spot,
    Stretch,
    balance_areas,
    band_lines,
    frontier,
    interval_bars,
    numbers,
    stacked_bars,
)
from mangrove.operate.backtest import PERFECT, PLAN
from mangrove.plan.result import Sizing
from mangrove.serve.energy_model import EnergyModel, Floats, Missing, SiteDay, Sizings
from mangrove.serve.energy_words import Words, dong, signed
from mangrove.serve.html import Column, el, text
from mangrove.settle.share import Sharing

_COLORS = {
    "grid": "#332288", "sun": "#ddcc77", "wind": "#88ccee", "battery": "#44aa99", "packs": "#117733", "load": "#cc6677",
    "vehicles": "#882255", "machines": "#aa4499", "export": "#999933",
}  # fmt: skip
"""One color for each kind of stream, on both sides of the axis (Paul Tol's scheme "muted")."""
_WORTHS, _MEMBERS, _ALIKE = 3, 4, 3
_GAVE_WAY = ("operate.not_ready",)
"""Codes of notes that tell of a promise that could not be kept."""


def dispatch(words: Words, model: EnergyModel) -> str:
    """The day of every site."""
    parts = [el("p", words.html("dispatch_lead"))]
    for one in model.days:
        if isinstance(one, Missing):
            parts.append(words.missing(one))
            continue
        parts += [el("h3", text(one.name)), _accounts(words, one), _balance(words, one),
                  _levels(words, one), _loads(words, one), _told(words, one)]  # fmt: skip
    return "".join(parts)


def _accounts(words: Words, one: SiteDay) -> str:
    """Cards: what the day costs and emits, and the same without."""
    lang = words.lang
    cards = [(words.say("day_cost"), dong(words, one.account.cost), "")]
    if one.bare is not None:
        change = one.account.cost - one.bare.cost
        cards.append((words.say(f"day_{one.against}"), dong(words, one.bare.cost), words.say("day_change", amount=f"{signed(change, lang)} {words.sign}")))  # fmt: skip
    cards.append((words.say("day_drawn"), f"{text(numbers.fixed(one.account.drawn, lang))} {el('small', 'kWh')}",
                  words.say("day_bare", amount=f"{numbers.fixed(one.bare.drawn, lang)} kWh") if one.bare else ""))  # fmt: skip
    kilograms = one.account.emissions
    value = words.page.missing() if kilograms is None else f"{text(numbers.fixed(kilograms, lang))} {el('small', text('kg CO2'))}"  # fmt: skip
    without = one.bare.emissions if one.bare else None
    more = "" if without is None else words.say("day_bare", amount=f"{numbers.fixed(without, lang)} kg")
    cards.append((words.say("day_co2"), value, more))
    items = [
        el("li", el("span", text(name), class_="name"), el("span", value, class_="value"), el("span", text(more), class_="more"))
        for name, value, more in cards
    ]  # fmt: skip
    return el("ul", *items, class_="cards")


def _behind(words: Words, one: SiteDay) -> list[Stretch]:
    """Hours of one price period each."""
    found = []
    names = [words.say(f"period_{level}") for level in range(3)]
    for level, run in groupby(range(len(one.period)), key=lambda i: int(one.period[i])):
        steps = list(run)
        found.append(
            Stretch(float(one.edges[steps[0]]), float(one.edges[steps[-1] + 1]), names[level], level)
        )
    return found


def _balance(words: Words, one: SiteDay) -> str:
    title = words.say("figure_balance", name=one.name)
    above = {words.say(f"in_{kind}"): rates.tolist() for kind, rates in one.supply.items()}
    below = {words.say(f"out_{kind}"): rates.tolist() for kind, rates in one.use.items()}
    colors = {words.say(f"in_{kind}"): _COLORS[kind] for kind in one.supply}
    colors |= {words.say(f"out_{kind}"): _COLORS[kind] for kind in one.use}
    svg = balance_areas(
        one.edges.tolist(), above, below, title=title, behind=_behind(words, one), colors=colors, lang=words.lang, heading=False,
    )  # fmt: skip
    prices = [_price(words, one, level) for level in range(3)]
    note = words.say("balance_note", prices="; ".join(price for price in prices if price))
    if "vehicles" in one.use:
        note = f"{note} {words.say('vehicles_note')}"
    return words.page.figure(svg, title, basis=("modelled", *one.bases), note=note)


def _price(words: Words, one: SiteDay, level: int) -> str:
    """The mean price of a period."""
    inside = one.period == level
    if not inside.any():
        return ""
    amount = numbers.fixed(float(one.price[inside].mean()), words.lang)
    return f"{words.say(f'period_{level}')} {amount} {words.sign}/kWh"


def _levels(words: Words, one: SiteDay) -> str:
    if not one.levels:
        return ""
    title = words.say("figure_level")
    lines = {name: level.tolist() for name, level in one.levels.items()}
    svg = band_lines(
        one.edges.tolist(), lines, title=title, unit="kWh", behind=_behind(words, one), lang=words.lang, height=110, heading=False,
    )  # fmt: skip
    return words.page.figure(svg, title, basis=("modelled",))


def _loads(words: Words, one: SiteDay) -> str:
    """What was expected beside what was measured."""
    title = words.say(f"figure_{one.of}", name=one.name)
    lines = {words.say("line_planned"): one.planned.tolist()}
    bases, note = ["modelled"], ""
    if one.measured is not None:
        lines = {words.say("line_measured"): one.measured.tolist()} | lines
        bases += one.metered
    else:
        note = words.say("not_measured")
    ribbon = None
    if one.expected is not None:
        low, _, high = one.expected
        ends = [numbers.percent(share, words.lang, decimals=0) for share in one.bounds]
        ribbon = (words.say("ribbon", low=ends[0], high=ends[1]), low.tolist(), high.tolist())
        note = " ".join(part for part in (note, _hit(words, one, low, high)) if part)
    elif one.of == "load":
        note = " ".join(part for part in (note, words.say("no_forecast")) if part)
    svg = band_lines(
        one.edges.tolist(),
        lines,
        title=title,
        ribbon=ribbon,
        behind=_behind(words, one),
        lang=words.lang,
        heading=False,
    )
    return words.page.figure(svg, title, basis=bases, note=note)


def _hit(words: Words, one: SiteDay, low: Floats, high: Floats) -> str:
    """How often the meter stayed inside the band."""
    if one.measured is None:
        return ""
    known = ~np.isnan(one.measured)
    inside = (one.measured >= low) & (one.measured <= high) & known
    share = float(inside.sum() / known.sum())
    wanted = numbers.percent(one.bounds[1] - one.bounds[0], words.lang, decimals=0)
    return words.say("hit", share=numbers.percent(share, words.lang, decimals=0), wanted=wanted)


def _told(words: Words, one: SiteDay) -> str:
    """What gave way, what limits cost, what was guessed."""
    parts = [el("h4", words.html("gave_way"))]
    gone = [_relaxed(words, item) for item in one.relaxed]
    gone += _grouped([note for note in one.notes if note.code in _GAVE_WAY], words.lang, words)
    if gone:
        parts.append(el("ul", *(el("li", text(line), class_="alarm") for line in gone), class_="said"))
    else:
        parts.append(el("p", words.html("nothing_gave_way")))
    worth = [w for w in one.worth if w.value >= 1.0][:_WORTHS]
    if worth:
        hours = numbers.number(one.hours, words.lang)
        lines = [
            words.say(
                _worth_code(w.kind),
                name=words.limit(w.name),
                value=words.money(w.value),
                hours=hours,
                steps=w.steps,
            )
            for w in worth
        ]
        parts += [
            el("h4", words.html("worth")),
            el("ul", *(el("li", text(line)) for line in lines), class_="said"),
        ]
    lines = _grouped([note for note in one.notes if note.code not in _GAVE_WAY], words.lang, words)
    if lines:
        parts += [
            el("h4", words.html("notes")),
            el("ul", *(el("li", text(line)) for line in lines), class_="said"),
        ]
    return "".join(parts)


def _grouped(notes: list[Problem], lang: str, words: Words) -> list[str]:
    """Notes in words; of many of one kind the first ones, and how many more there are."""
    found = []
    for code in dict.fromkeys(note.code for note in notes):
        alike = [note.text(lang) for note in notes if note.code == code]
        found += alike[:_ALIKE]
        if len(alike) > _ALIKE:
            found.append(words.say("more_alike", count=len(alike) - _ALIKE))
    return found


def _relaxed(words: Words, item: object) -> str:
    """What gave way, in a sentence."""
    amount = numbers.number(float(getattr(item, "amount", float("nan"))), words.lang)
    steps = getattr(item, "steps", 0)
    return words.say("relaxed", name=words.limit(str(getattr(item, "name", ""))), amount=amount, steps=steps)


def _worth_code(kind: str) -> str:
    """The sentence for a kind of limit."""
    code = f"worth_{kind}"
    return code if f"energy.{code}" in messages.codes("energy") else "worth_other"


def sizing(words: Words, model: EnergyModel) -> str:
    """Sizes and money under each calendar, and cost against carbon."""
    found = model.sizings
    if isinstance(found, Missing):
        return words.missing(found)
    parts = [
        el("p", words.html("sizing_lead", name=found.name)),
        _regimes(words, found),
        _frontier(words, found),
    ]
    said = [words.say("weather", source=found.weather)] if found.weather else []
    said += [words.say("cost_note", name=name, note=note) for name, note in found.costs]
    if said:
        parts.append(el("ul", *(el("li", text(line)) for line in said), class_="said"))
    return "".join(parts)


def _regimes(words: Words, found: Sizings) -> str:
    """One column a calendar."""
    page, results = words.page, found.results
    columns = [Column(words.say("size_what")), Column(words.say("size_unit"))]
    columns += [Column(words.calendar(name), "number") for name in results]
    rows = []
    case = next(iter(results.values())).case
    for name in case.sizes():
        unit = _size_unit(name)
        label = found.names.get(name.removesuffix("/energy"), name)
        rows.append(
            [text(label), unit, *(_number(words, _whole(one.sizes.get(name))) for one in results.values())]
        )
        row = [text(words.say("size_preview", name=label)), unit]
        rows.append([*row, *(_preview(words, one, name) for one in results.values())])
    by, money = words.unit.worth, words.unit.name
    for code, unit, of in _MONEY:
        shown = {"money": money, "years": words.say("years")}.get(unit, unit)
        values = [of(one) / (by if unit == "money" else 1.0) for one in results.values()]
        rows.append(
            [words.html(code), text(shown), *(_number(words, value, code in _SHARES) for value in values)]
        )
    title = words.say("table_sizing", name=found.name)
    return page.table(title, columns, rows, note=words.say("sizing_note"))


def _irr(one: Sizing) -> float:
    return one.flow.irr.rate * 100 if one.flow is not None else float("nan")


def _payback(one: Sizing) -> float:
    return one.flow.payback if one.flow is not None else float("nan")


_MONEY = (
    ("size_invested", "money", lambda one: sum(bought.cost for bought in one.purchases)),
    ("size_npv", "money", lambda one: one.npv),
    ("size_irr", "%", _irr),
    ("size_payback", "years", _payback),
    ("size_before", "t CO2", lambda one: one.before.emissions if one.before is not None else float("nan")),
    ("size_after", "t CO2", lambda one: one.after.emissions),
    ("size_error", "%", lambda one: one.preview.error * 100 if one.preview is not None else float("nan")),
    (
        "size_gap",
        "%",
        lambda one: (one.preview.cost / one.cost - 1) * 100 if one.preview is not None else float("nan"),
    ),
)
"""Rows of the table of regimes: message code, unit, amount."""


def _whole(size: float | None) -> float | None:
    """A size without what the tolerance of a solver leaves."""
    return None if size is None else round(size, 1)


_SHARES = ("size_irr", "size_error", "size_gap")


def _number(words: Words, value: float | None, share: bool = False) -> str:  # noqa: FBT001, FBT002 - two ways to round
    if value is None or not numbers.is_number(value):
        return words.page.missing()
    return text(numbers.fixed(value, words.lang, decimals=2) if share else numbers.number(value, words.lang))


def _preview(words: Words, one: Sizing, name: str) -> str:
    return "–" if one.preview is None else _number(words, _whole(one.preview.sizes.get(name)))


def _frontier(words: Words, found: Sizings) -> str:
    """Cost against carbon, with the sizes of each point in its tooltip."""
    if not found.points:
        return el("p", words.html("no_frontier"), class_="alarm")
    lang, unit = words.lang, words.unit
    spots: list[Spot] = []
    for one in found.points:
        sizes = [
            f"{found.names.get(name.removesuffix('/energy'), name)} {numbers.number(size, lang)} {_size_unit(name)}"
            for name, size in one.sizes.items()
            if size > 0
        ]
        label = {0: words.say("least_cost"), len(found.points) - 1: words.say("least_carbon")}.get(
            len(spots), ""
        )
        spots.append(Spot(one.emissions, one.cost / unit.worth, label, note=", ".join(sizes)))
    title = words.say("figure_frontier", name=found.name, calendar=words.calendar(found.frontier_of))
    svg = frontier(
        spots, title=title, across=(words.say("yearly"), "t CO2"), up=(words.say("cost_over"), unit.name), lang=lang, heading=False,
    )  # fmt: skip
    return words.page.figure(svg, title, basis=("modelled", "assumed"), note=words.say("frontier_note"))


def _size_unit(name: str) -> str:
    return "kWh" if name.endswith("/energy") else "kW"


def bill(words: Words, model: EnergyModel) -> str:
    """Who pays what, by which rule, and who would object."""
    found = model.sharing
    if isinstance(found, Missing):
        return words.missing(found)
    first, last = found.span.start, found.span.end
    hours = (last - first).total_seconds() / 3600
    lead = words.html(
        "bill_lead", members=len(found.members), rule=_rule(words, found.rule), days=round(hours / 24)
    )
    return "".join(
        [
            el("p", lead),
            _members(words, found, model),
            _savings(words, found, model),
            _rules(words, found),
            _sum(words, found),
            _links(words, found, model),
        ]
    )


def _rule(words: Words, rule: str) -> str:
    return messages.render(f"settle.rule_{rule}", words.lang)


def _members(words: Words, found: Sharing, model: EnergyModel) -> str:
    """Bars: what each pays, and what it saves against being alone."""
    pays, saves, more = (words.say(code) for code in ("bar_pays", "bar_saves", "bar_more"))
    rows = []
    for one in found.statements:
        parts = {pays: one.total * one.unit / 1e6}
        parts[saves if one.saving >= 0 else more] = abs(one.saving) * one.unit / 1e6
        rows.append(Bar(one.name, None, basis="", parts=parts))
    title = words.say("figure_members")
    unit = words.say("millions", currency=words.sign)
    svg = stacked_bars(
        rows,
        title=title,
        unit=unit,
        lang=words.lang,
        colors={pays: "#332288", saves: "#44aa99", more: "#cc6677"},
        heading=False,
    )
    return words.page.figure(svg, title, basis=model.bases, note=words.say("members_note"))


def _savings(words: Words, found: Sharing, model: EnergyModel) -> str:
    """Bars of what sharing saves each member alone; small members are not seen beside a mill otherwise."""
    rows = [Bar(one.name, one.saving * one.unit / 1e6) for one in found.statements]
    title = words.say("figure_savings")
    unit = words.say("millions", currency=words.sign)
    svg = interval_bars(rows, title=title, unit=unit, lang=words.lang, heading=False)
    return words.page.figure(svg, title, basis=model.bases)


def _rules(words: Words, found: Sharing) -> str:
    """Every rule with the coalition that would gain most by leaving."""
    columns = [Column(words.say("rule")), Column(words.say("rule_found")), Column(words.say("rule_worst")),
               Column(words.say("rule_excess"), "number", words.sign)]  # fmt: skip
    unit = found.statements[0].unit
    rows = []
    for rule, allocation in found.settlement.allocations.items():
        one = found.settlement.objections[rule]
        names = [found.names[member] for member in one.coalition]
        shown = ", ".join(names[:_MEMBERS]) + (f" + {len(names) - _MEMBERS}" if len(names) > _MEMBERS else "")
        who = text(shown) if one.objects else el("span", words.html("nobody"), class_="good")
        gain = numbers.fixed(round(one.excess / unit) * unit if one.objects else 0.0, words.lang)
        name = text(_rule(words, rule))
        rows.append(
            [
                el("b", name) if rule == found.rule else name,
                text(allocation.found.text(words.lang)),
                who,
                text(gain),
            ]
        )
    return words.page.table(words.say("table_rules"), columns, rows, note=words.say("rules_note"))


def _sum(words: Words, found: Sharing) -> str:
    """The sum of the statements beside what the park pays."""
    unit = found.statements[0].unit
    total = sum(one.total for one in found.statements)
    exact = round(found.cost / unit)
    data = {
        "count": len(found.statements),
        "total": words.money(total * unit),
        "cost": words.money(exact * unit),
    }
    if total == exact:
        return el("p", words.html("sum_agrees", **data))
    return el("p", words.html("sum_differs", **data), class_="alarm")


def _links(words: Words, found: Sharing, model: EnergyModel) -> str:
    """Links to the statements beside the page."""
    if not model.statements:
        return ""
    pages = [("park", words.say("statement_park"))]
    pages += [
        ("".join(c if c.isalnum() or c in "-_." else "_" for c in one.member), one.name)
        for one in found.statements
    ]
    items = [el("li", el("a", text(name), href=f"{model.statements}/{page}.html")) for page, name in pages]
    return el("p", words.html("statements")) + el("ul", *items, class_="said links")


def past(words: Words, model: EnergyModel) -> str:
    """What the plan would have cost in the past, beside perfect foresight and simple rules."""
    found = model.past
    if isinstance(found, Missing):
        return words.missing(found)
    lang, result = words.lang, found.result
    span = f"{numbers.day(found.first, lang)} – {numbers.day(found.last, lang)}"
    columns = [Column(words.say("policy")), Column(words.say("policy_cost"), "number", words.sign),
               Column(words.say("policy_regret"), "number", words.sign), Column(words.say("policy_reached"), "number"),
               Column(words.say("policy_co2"), "number", "kg CO2")]  # fmt: skip
    rows = []
    for name, account in sorted(result.accounts.items(), key=lambda item: item[1].cost):
        known = f"energy.policy_{name}" in messages.codes("energy")
        label = words.html(f"policy_{name}") if known else text(name)
        regret, reached = result.regret(name), result.share_reached(name)
        rows.append([
            el("b", label) if name == PLAN else label,
            text(numbers.fixed(account.cost, lang)),
            "–" if name == PERFECT else text(numbers.fixed(regret, lang)),
            text(numbers.percent(reached, lang, decimals=0)),
            words.page.missing() if account.emissions is None else text(numbers.fixed(account.emissions, lang)),
        ])  # fmt: skip
    title = words.say("table_past", name=found.name, span=span)
    lead = el("p", words.html("past_lead", name=found.name))
    note = words.say("past_note" if result.complete else "past_incomplete")
    return lead + words.page.table(title, columns, rows, note=note)


def basis(words: Words, model: EnergyModel) -> str:
    """Where the numbers come from."""
    lines = [words.say(f"basis_{name}") for name in ("derived", "generated") if name in model.bases]
    lines += [words.say("basis_plan"), words.say("basis_sizes")]
    for document, status in model.sources:
        lines.append(words.say("basis_price", document=document, status=_status(words, status)))
    if model.factor is not None:
        value, document, status = model.factor
        shown = numbers.number(value, words.lang, digits=4)
        lines.append(words.say("basis_factor", value=shown, document=document, status=_status(words, status)))
    if model.carbon:
        price = numbers.fixed(model.carbon, words.lang)
        lines.append(words.say("basis_carbon", price=price, currency=words.sign))
    else:
        lines.append(words.say("basis_no_carbon"))
    if model.traded is not None:
        low, high, document, status = model.traded
        ends = {"low": numbers.fixed(low, words.lang), "high": numbers.fixed(high, words.lang)}
        said = {"currency": words.sign, "document": document, "status": _status(words, status)}
        lines.append(words.say("basis_traded", **ends, **said))
    lines.append(words.say("basis_vat"))
    return el("ul", *(el("li", text(line)) for line in lines), class_="said")


def _status(words: Words, status: str) -> str:
    """The status of a source, in words."""
    code = f"settle.source_{status}"
    return messages.render(code, words.lang) if code in messages.codes("settle") else status
