# SPDX-License-Identifier: Apache-2.0
"""The pages of a sharing: one self-contained A4 statement for each member, and a summary of the park.

Comes in: a `Sharing` of the verb `settle` and a language. Goes out: HTML files without scripts that print on A4 and ask no other
computer for anything. Amounts are whole đồng and add up on the page; every rule stands beside the one that is paid by, with
the group that would gain most by leaving.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.figures import numbers
from mangrove.figures.sankey import SankeyLink, sankey
from mangrove.messages import LANGUAGES
from mangrove.serve.html import Column, Page, document, el, text

if TYPE_CHECKING:
    from mangrove.settle.share import Sharing
    from mangrove.settle.statement import Statement

_STYLE = """
p.note, .note { max-width: none; }
@page { margin: 12mm 15mm 15mm; }
@media print {
  header.top { padding-top: 6px; } dl.facts { margin: 6px 0 8px; gap: 3px 32px; }
  .sums { display: grid; grid-template-columns: 2fr 3fr; gap: 12px; } .sums .cards { margin: 0; grid-auto-flow: column; grid-template-columns: none; }
  .hero { padding: 8px 16px 6px; } .hero .total { font-size: 20pt; white-space: nowrap; } .sums .value { font-size: 12pt; white-space: nowrap; }
  .table, figure { margin: 6px 0 8px; } th, td { padding: 1.5px 6px; } footer { margin-top: 6px; padding-top: 3px; break-before: avoid; } footer p { margin: 0; }
  .note { margin: 3px 0 0; font-size: 8pt; } main > .note { break-before: auto; } dd, dt { line-height: 1.25; }
}
"""
"""A bill is one sheet of paper: closer than a report."""
_SUMMARY = "park.html"
_LISTED, _DRAWN = 5, 40
"""Members listed by name on a statement; streams drawn in the figure of the park."""


def write_statements(sharing: Sharing, folder: Path, lang: str = "vi") -> list[Path]:
    """Writes the summary (`park.html`) and a statement for each member (`<id>.html`) into `folder`; gives their paths.

    Raises:
        RequestError: `report.unknown_language`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {_SUMMARY: render_summary(sharing, lang)}
    pages |= {
        f"{_file(one.member)}.html": render_statement(sharing, one.member, lang) for one in sharing.statements
    }
    paths = []
    for name, page in pages.items():
        path = folder / name
        path.write_text(page, encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def render_statement(sharing: Sharing, member: str, lang: str = "vi") -> str:
    """The statement of one member as HTML.

    Raises:
        RequestError: `report.unknown_language`, `settle.unknown_member`.
    """
    page = _page(lang)
    found = next((one for one in sharing.statements if one.member == member), None)
    if found is None:
        raise RequestError("settle.unknown_member", name=member)
    body = [
        _top(sharing, lang, found.name, "page_title"),
        el("main", _total(found, lang), _lines(page, found), _partners(page, sharing, found), _rules(page, sharing, found),
           _notes(sharing, lang), id="content"),
        _foot(sharing, lang),
    ]  # fmt: skip
    title = f"{_say('page_title', lang)} – {found.name}"
    return document(lang, text(title), el("div", *body, class_="sheet"), _STYLE)


def render_summary(sharing: Sharing, lang: str = "vi") -> str:
    """The summary of the park as HTML: members, rules with their worst objection, who delivered to whom.

    Raises:
        RequestError: `report.unknown_language`.
    """
    page = _page(lang)
    body = [
        _top(sharing, lang, sharing.territory, "page_summary"),
        el("main", _park_total(sharing, lang), _members(page, sharing), _streams(page, sharing), _every_rule(page, sharing),
           _notes(sharing, lang), id="content"),
        _foot(sharing, lang),
    ]  # fmt: skip
    title = f"{_say('page_summary', lang)} – {sharing.territory}"
    return document(lang, text(title), el("div", *body, class_="sheet"), _STYLE)


def _page(lang: str) -> Page:
    if lang not in LANGUAGES:
        raise RequestError("report.unknown_language", text=lang, options=", ".join(LANGUAGES))
    return Page(lang)


def _file(member: str) -> str:
    """An id as the name of a file."""
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in member)


def _say(code: str, lang: str, **data: object) -> str:
    return messages.render(f"settle.{code}", lang, **data)


def _top(sharing: Sharing, lang: str, name: str, title: str) -> str:
    """The letterhead: who, which park, which period, by which rule."""
    tz = ZoneInfo(sharing.timezone)
    first = sharing.span.start.astimezone(tz).date()
    last = (sharing.span.end - timedelta(microseconds=1)).astimezone(tz).date()
    facts = [
        (_say("page_period", lang), f"{numbers.day(first, lang)} – {numbers.day(last, lang)}"),
        (_say("page_rule", lang), _say(f"rule_{sharing.rule}", lang)),
    ]
    if name != sharing.territory:
        facts.insert(0, (_say("page_park", lang), sharing.territory))
    if sharing.record:
        facts.append((_say("page_record", lang), sharing.record[:16]))
    items = [el("div", el("dt", text(label)), el("dd", text(value))) for label, value in facts]
    return el(
        "header",
        el("p", text(_say(title, lang)), class_="eyebrow"),
        el("h1", text(name)),
        el("dl", *items, class_="facts"),
        class_="top",
    )


def _total(found: Statement, lang: str) -> str:
    """What is to be paid (or will be paid out), what it would be alone, what is saved."""
    code = "page_to_pay" if found.total >= 0 else "page_to_get"
    hero = el(
        "div",
        el("p", text(_say(code, lang)), class_="lead"),
        el("p", text(found.money(abs(found.total), lang)), class_="total"),
        class_="hero",
    )
    percent = _percent(found.saving, found.alone, lang)
    cards = [("line_alone", found.money(found.alone, lang), ""), ("line_saving", found.money(found.saving, lang), percent)]  # fmt: skip
    return el("div", hero, _cards(cards, lang), class_="sums")


def _percent(saving: int, alone: int, lang: str) -> str:
    """What part of the cost alone is saved; nothing where such a part means nothing (who is paid, who pays more)."""
    return numbers.percent(saving / alone, lang) if 0 <= saving <= alone and alone else ""


def _cards(cards: Iterable[tuple[str, str, str]], lang: str) -> str:
    items = [
        el(
            "li",
            el("span", text(_say(code, lang)), class_="name"),
            el("span", text(value), class_="value"),
            el("span", text(more), class_="more") if more else "",
        )
        for code, value, more in cards
    ]
    return el("ul", *items, class_="cards")


def _lines(page: Page, found: Statement) -> str:
    """The lines in whole đồng, and their sum."""
    lang = page.lang
    columns = [Column(_say("page_line", lang)), Column(_say("page_energy", lang), "number", "kWh"),
               Column(_say("page_money", lang), "number", found.currency)]  # fmt: skip
    rows = [
        [text(line.label(lang)), _energy(line.energy, lang), _plain(found, line.amount, lang)]
        for line in found.lines
    ]
    rows.append([el("b", text(_say("line_total", lang))), "", el("b", _plain(found, found.total, lang))])
    return page.table(_say("page_lines", lang), columns, rows, note=_say("page_vat", lang))


def _energy(value: float | None, lang: str) -> str:
    return "" if value is None else text(numbers.fixed(value, lang))


def _plain(found: Statement, amount: int, lang: str) -> str:
    decimals = 0 if found.unit >= 1.0 else 2
    return text(numbers.fixed(amount * found.unit, lang, decimals=decimals))


def _partners(page: Page, sharing: Sharing, found: Statement) -> str:
    """From whom the member received, and to whom it gave; the largest partners first."""
    lang, got, gave = page.lang, dict(found.received_from), dict(found.given_to)
    partners = sorted({**got, **gave}, key=lambda name: -(got.get(name, 0.0) + gave.get(name, 0.0)))
    if not partners:
        return ""
    rows = [
        [text(sharing.names[name]), _energy(got.get(name, 0.0), lang), _energy(gave.get(name, 0.0), lang)]
        for name in partners[:_LISTED]
    ]
    others = partners[_LISTED:]
    if others:
        rest = (sum(side.get(name, 0.0) for name in others) for side in (got, gave))
        rows.append(
            [text(_say("page_others", lang, count=len(others))), *(_energy(kwh, lang) for kwh in rest)]
        )
    columns = [Column(_say("page_member", lang)), Column(_say("page_from", lang), "number", "kWh"),
               Column(_say("page_to", lang), "number", "kWh")]  # fmt: skip
    return page.table(_say("page_partners", lang), columns, rows)


def _rules(page: Page, sharing: Sharing, found: Statement) -> str:
    """What the member would pay under every rule, and what it would save."""
    lang = page.lang
    columns = [Column(_say("page_rule", lang)), Column(_say("line_total", lang), "number", found.currency),
               Column(_say("line_saving", lang), "number", found.currency)]  # fmt: skip
    rows = [
        [_rule(sharing, rule, lang), _plain(found, amount, lang), _plain(found, found.alone - amount, lang)]
        for rule, amount in found.shares.items()
    ]
    return page.table(_say("page_by_rule", lang), columns, rows, note=_objection(sharing, sharing.rule, lang))


def _rule(sharing: Sharing, rule: str, lang: str) -> str:
    """The name of a rule; the one that is paid by stands out."""
    words = text(_say(f"rule_{rule}", lang))
    return el("b", words) if rule == sharing.rule else words


def _objection(sharing: Sharing, rule: str, lang: str) -> str:
    """Whether a group would gain by leaving, in a sentence."""
    found = sharing.settlement.objections[rule]
    how = found.found.text(lang)
    if not found.objects:
        return _say("page_nobody", lang, how=how)
    amount = sharing.statements[0].money(round(found.excess / sharing.statements[0].unit), lang)
    return _say("page_somebody", lang, names=_names(sharing, found.coalition, lang), amount=amount, how=how)


def _names(sharing: Sharing, members: Sequence[str], lang: str) -> str:
    shown = ", ".join(sharing.names[name] for name in members[:_LISTED])
    more = len(members) - _LISTED
    return f"{shown}, {_say('page_others', lang, count=more)}" if more > 0 else shown


def _park_total(sharing: Sharing, lang: str) -> str:
    first = sharing.statements[0]
    total = sum(one.total for one in sharing.statements)
    alone = sum(one.alone for one in sharing.statements)
    shared = float(sharing.settlement.pool.shared.sum())
    hero = el(
        "div",
        el("p", text(_say("page_park_pays", lang)), class_="lead"),
        el("p", text(first.money(total, lang)), class_="total"),
        class_="hero",
    )
    percent = _percent(alone - total, alone, lang)
    cards = [
        ("line_alone", first.money(alone, lang), ""),
        ("line_saving", first.money(alone - total, lang), percent),
        ("page_shared", f"{numbers.fixed(shared, lang)} kWh", ""),
    ]
    return el("div", hero, _cards(cards, lang), class_="sums")


def _members(page: Page, sharing: Sharing) -> str:
    lang, currency = page.lang, sharing.currency
    columns = [Column(_say("page_member", lang)),
               *(Column(_say(f"col_{code}", lang), "number", unit) for code, unit in
                 (("received", "kWh"), ("given", "kWh"), ("alone", currency), ("total", currency), ("saving", currency)))]  # fmt: skip
    pool = sharing.settlement.pool
    received, given = pool.received.sum(axis=1), pool.given.sum(axis=1)
    rows = [
        [text(one.name), _energy(float(received[i]), lang), _energy(float(given[i]), lang),
         *(_plain(one, amount, lang) for amount in (one.alone, one.total, one.saving))]
        for i, one in enumerate(sharing.statements)
    ]  # fmt: skip
    sums = (sum(getattr(one, name) for one in sharing.statements) for name in ("alone", "total", "saving"))
    first = sharing.statements[0]
    rows.append([el("b", text(_say("page_all", lang))), _energy(float(received.sum()), lang), _energy(float(given.sum()), lang),
                 *(el("b", _plain(first, amount, lang)) for amount in sums)])  # fmt: skip
    return page.table(_say("page_members", lang), columns, rows, note=_say("page_vat", lang))


def _every_rule(page: Page, sharing: Sharing) -> str:
    """Every rule with the coalition that would gain most by leaving."""
    lang = page.lang
    columns = [Column(_say("page_rule", lang)), Column(_say("page_found", lang)), Column(_say("page_worst", lang)),
               Column(_say("page_excess", lang), "number", sharing.currency)]  # fmt: skip
    first = sharing.statements[0]
    rows = []
    for rule, allocation in sharing.settlement.allocations.items():
        found = sharing.settlement.objections[rule]
        who = text(_names(sharing, found.coalition, lang)) if found.objects else el("span", text(_say("page_none", lang)), class_="good")  # fmt: skip
        gain = _plain(first, round(max(found.excess, 0.0) / first.unit) if found.objects else 0, lang)
        rows.append([_rule(sharing, rule, lang), text(allocation.found.text(lang)), who, gain])
    how = sharing.settlement.objections[sharing.rule].found.text(lang)
    return page.table(
        _say("page_rules", lang), columns, rows, note=_say("page_objection_note", lang, how=how)
    )


def _streams(page: Page, sharing: Sharing) -> str:
    """Who delivered to whom; the largest streams, the rest is in the statements."""
    flat = [(float(kwh), i, j) for (i, j), kwh in np.ndenumerate(sharing.matrix) if kwh > 0.0]
    if not flat:
        return ""
    drawn = sorted(flat, reverse=True)[:_DRAWN]
    names = [sharing.names[member] for member in sharing.members]
    # a member may give by day and receive by night: the mark that is not seen keeps the two apart
    links = [SankeyLink(names[i], f"{names[j]}\u200b", kwh) for kwh, i, j in drawn]
    title = _say("page_streams", page.lang)
    svg = sankey(
        links, title=title, unit="kWh", lang=page.lang, height=max(160, 34 * len({j for _, _, j in drawn})),
        layers=(_say("page_giver", page.lang), _say("page_receiver", page.lang)), heading=False,
    )  # fmt: skip
    part = sum(kwh for kwh, _, _ in drawn) / sum(kwh for kwh, _, _ in flat)
    note = "" if len(drawn) == len(flat) else _say("page_part", page.lang, percent=numbers.percent(part, page.lang))  # fmt: skip
    return page.figure(svg, title, note=note)


def _notes(sharing: Sharing, lang: str) -> str:
    """What the numbers rest on: sources of the prices, and what was netted."""
    parts = [_say("page_sources", lang, sources="; ".join(_source(*one, lang) for one in sharing.sources))] if sharing.sources else []  # fmt: skip
    if sharing.netted >= 1.0:
        parts.append(_say("page_netted", lang, amount=numbers.fixed(sharing.netted, lang)))
    if sharing.slowest:
        parts.append(_say("page_step", lang, step=sharing.step, flow=sharing.slowest))
    if sharing.unmetered:
        parts.append(_say("page_unmetered", lang, names=", ".join(sharing.unmetered)))
    parts.append(_say("page_balance", lang))
    return "".join(el("p", text(part), class_="note") for part in parts)


def _source(document: str, status: str, lang: str) -> str:
    code = f"source_{status}"
    words = _say(code, lang) if f"settle.{code}" in messages.codes("settle") else status
    return f"{document} ({words})" if document else words


def _foot(sharing: Sharing, lang: str) -> str:
    from importlib.metadata import version

    words = _say("page_foot", lang, program=f"Mangrove {version('mangrove')}", batch=sharing.cut)
    return el("footer", el("p", text(words)))
