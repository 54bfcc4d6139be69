# SPDX-License-Identifier: Apache-2.0
"""The report: one self-contained HTML file that prints on A4, needs no script and asks no other computer for anything.

Comes in: a `ReportModel` and a language. Goes out: the file. Every figure and table carries its number and its basis; the
same model gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from mangrove.errors import RequestError
from mangrove.figures import numbers
from mangrove.messages import LANGUAGES
from mangrove.serve import report_evidence, report_sections
from mangrove.serve.html import Page, document, el, text
from mangrove.serve.report_model import Card, ReportModel

Section = Callable[[Page, ReportModel], str]

_SECTIONS: tuple[tuple[str, Section], ...] = (
    ("where", report_sections.where),
    ("what", report_sections.what),
    ("when", report_sections.when),
    ("sure", report_sections.sure),
    ("data", report_evidence.data),
    ("factors", report_evidence.factors),
    ("conditions", report_evidence.conditions),
    ("checking", report_evidence.checking),
)


def write_report(model: ReportModel, path: Path, lang: str = "vi") -> Path:
    """Writes the report of `model` to `path` in `lang` (`vi` or `en`) and gives the path back.

    Raises:
        RequestError: `report.unknown_language`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(model, lang), encoding="utf-8", newline="\n")
    return path


def render_report(model: ReportModel, lang: str = "vi") -> str:
    """The report as HTML text.

    Raises:
        RequestError: `report.unknown_language`.
    """
    if lang not in LANGUAGES:
        raise RequestError("report.unknown_language", text=lang, options=", ".join(LANGUAGES))
    page = Page(lang)
    summary = _summary(page, model)
    drawn = [(name, section(page, model)) for name, section in _SECTIONS]
    sections = [(name, body) for name, body in drawn if body]
    content = [
        el("section", el("h2", f"{number}. ", page.say(f"section_{name}"), id=name), body)
        for number, (name, body) in enumerate(sections, start=1)
    ]
    sheet = el(
        "div",
        _top(page, model),
        el("main", summary, _contents(page, [name for name, _ in sections]), *content, id="content"),
        _foot(page, model),
        class_="sheet",
    )
    title = f"{page.say('title')} – {text(model.territory)} – {text(_period(page, model))}"
    return document(page.lang, title, sheet)


def _period(page: Page, model: ReportModel) -> str:
    """The period as people name it: a whole year, else its first and last day."""
    first, last = model.start, model.end - timedelta(days=1)
    if (first.month, first.day, last.month, last.day, first.year) == (1, 1, 12, 31, last.year):
        return page.words("year", year=first.year)
    return f"{numbers.day(first, page.lang)} – {numbers.day(last, page.lang)}"


def _top(page: Page, model: ReportModel) -> str:
    """The letterhead: what this is, of whom, for when, under which rules."""
    facts = [("period", text(_period(page, model))), ("gwp", page.say("gwp_set", gwp=model.gwp))]
    if model.boundary:
        facts.append(("boundary", text(page.word(model.boundary))))
    if model.as_of:
        local = model.as_of.astimezone(ZoneInfo(model.timezone))
        facts.append(("as_of", text(f"{numbers.day(local.date(), page.lang)} {local:%H:%M}")))
    facts.append(("timezone", text(model.timezone)))
    items = [el("div", el("dt", page.say(name)), el("dd", value)) for name, value in facts]
    kind = "title_park" if model.kind == "park" else "title_city"
    return el(
        "header",
        el("p", page.say(kind), class_="eyebrow"),
        el("h1", text(model.territory)),
        el("dl", *items, class_="facts"),
        class_="top",
    )


def _summary(page: Page, model: ReportModel) -> str:
    """The total with its interval, the headline cards, the scopes."""
    size = abs(model.total.value) if model.total.value is not None else None
    scaling = numbers.scale(size, "t CO2e", page.lang)
    value, ends = numbers.interval(model.total.value, model.total.low, model.total.high, scaling)
    known = numbers.is_number(model.total.value)
    total = f"{text(value)} {el('small', text(scaling.label))}" if known else page.missing()
    lines = [
        el("p", page.say("total"), " ", page.basis(model.total.basis), class_="lead"),
        el("p", total, class_="total"),
    ]
    if ends:
        lines.append(el("p", page.say("range", ends=f"{ends} {scaling.label}"), class_="range"))
    hero = el("div", *lines, class_="hero")
    cards = el("ul", *(_card(page, card) for card in model.cards), class_="cards") if model.cards else ""
    scopes = report_sections.scope_bar(page, model.scopes) if model.scopes else ""
    return el(
        "section", el("h2", page.say("summary"), id="summary"), _notice(page, model), hero, cards, scopes
    )


def _notice(page: Page, model: ReportModel) -> str:
    """A warning on the first page when numbers were made by a generator."""
    bases = {model.total.basis, *(condition.basis for condition in model.conditions)}
    return el("p", page.say("generated_notice"), class_="notice") if "generated" in bases else ""


def _card(page: Page, card: Card) -> str:
    size = abs(card.amount.value) if card.amount.value is not None else None
    scaling = numbers.scale(size, card.unit, page.lang)
    if numbers.is_number(card.amount.value):
        shown = scaling.text(card.amount.value, digits=card.digits)
        value = f"{text(shown)} {el('small', text(scaling.label))}"
    else:
        value = page.missing()
    _, ends = numbers.interval(card.amount.value, card.amount.low, card.amount.high, scaling)
    notes = [page.words("range_short", ends=ends) if ends else "", page.word(card.note)]
    more = el("span", text(" · ".join(n for n in notes if n)), class_="more") if any(notes) else ""
    mark = el("span", page.basis(card.amount.basis), class_="more") if card.amount.basis else ""
    name = el("span", text(page.word(card.label)), class_="name")
    return el("li", name, el("span", value, class_="value"), more, mark)


def _contents(page: Page, names: list[str]) -> str:
    items = [el("li", el("a", page.say(f"section_{name}"), href=f"#{name}")) for name in names]
    return el("nav", el("p", page.say("contents")), el("ol", *items), aria_label=page.words("contents"))


def _foot(page: Page, model: ReportModel) -> str:
    program = f"Mangrove {model.version}".strip()
    return el("footer", el("p", page.say("foot", program=program)), el("p", page.say("foot_marks")))
