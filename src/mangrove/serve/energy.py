# SPDX-License-Identifier: Apache-2.0
"""The energy page: today's dispatch, what to build, the shared bill and a back-test, in one HTML file that prints on A4.

Comes in: an `EnergyModel` and a language. Goes out: the file. It needs no script and asks no other computer for anything; every
figure says where its numbers come from, and a part that could not be made says why. The same model gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mangrove.errors import RequestError
from mangrove.figures import numbers
from mangrove.messages import LANGUAGES
from mangrove.serve import energy_sections as sections
from mangrove.serve.energy_model import EnergyModel, Missing, SiteDay
from mangrove.serve.energy_words import Words, billions, dong, signed
from mangrove.serve.html import document, el, text

_STYLE = """
h4 { margin: 16px 0 4px; font-size: 14.5px; break-after: avoid; } .links { columns: 2; }
.hero .cards { margin: 0; grid-template-columns: repeat(3, 1fr); } .hero .cards li { background: #fff; } .hero .cards .value { font-size: 20px; }
.said { margin: 8px 0 18px; padding-left: 20px; } .said li { margin-bottom: 4px; max-width: 78ch; }
.alarm { color: var(--alarm); font-weight: 650; }
@media (max-width: 720px) { .hero .cards { grid-template-columns: 1fr; } }
"""
_SECTIONS: tuple[tuple[str, Callable[[Words, EnergyModel], str]], ...] = (
    ("dispatch", sections.dispatch),
    ("sizing", sections.sizing),
    ("bill", sections.bill),
    ("past", sections.past),
    ("basis", sections.basis),
)


def write(model: EnergyModel, path: Path, lang: str = "vi") -> Path:
    """Writes the page of `model` to `path` in `lang` (`vi` or `en`) and gives the path back.

    Raises:
        RequestError: `report.unknown_language`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(model, lang), encoding="utf-8", newline="\n")
    return path


def render(model: EnergyModel, lang: str = "vi") -> str:
    """The page as HTML text.

    Raises:
        RequestError: `report.unknown_language`.
    """
    if lang not in LANGUAGES:
        raise RequestError("report.unknown_language", text=lang, options=", ".join(LANGUAGES))
    words = Words(lang, model.currency)
    parts = [
        el("section", el("h2", f"{number}. ", words.html(f"section_{name}"), id=name), section(words, model))
        for number, (name, section) in enumerate(_SECTIONS, start=1)
    ]
    body = [_top(words, model), el("main", _summary(words, model), *parts, id="content"), _foot(words, model)]
    title = f"{words.html('title')} – {text(model.territory)} – {text(numbers.day(model.day, words.lang))}"
    return document(lang, title, el("div", *body, class_="sheet"), _STYLE)


def _top(words: Words, model: EnergyModel) -> str:
    """The letterhead: what this is, of whom, of which day."""
    facts = [
        ("day", numbers.day(model.day, words.lang)),
        ("prices", words.say("prices_of", currency=words.sign, day=_prices_of(words, model))),
        ("timezone", model.timezone),
    ]
    facts += [(f"record_{verb}", record[:12]) for verb, record in model.records.items() if record]
    items = [el("div", el("dt", words.html(name)), el("dd", text(value))) for name, value in facts]
    return el(
        "header",
        el("p", words.html("title"), class_="eyebrow"),
        el("h1", text(model.territory)),
        el("dl", *items, class_="facts"),
        class_="top",
    )


def _prices_of(words: Words, model: EnergyModel) -> str:
    """The day whose prices are used."""
    return numbers.day(model.prices_on or model.day, words.lang)


def _summary(words: Words, model: EnergyModel) -> str:
    """One number of each part; red words where there is none."""
    notice = el("p", words.html("generated_notice"), class_="notice") if "generated" in model.bases else ""
    cards = [*(_day_card(words, one) for one in model.days), _sizing_card(words, model),
             _bill_card(words, model), _past_card(words, model)]  # fmt: skip
    inner = el("ul", *cards, class_="cards")
    return el(
        "section", el("h2", words.html("summary"), id="summary"), notice, el("div", inner, class_="hero")
    )


def _card(words: Words, name: str, value: str, more: str = "") -> str:
    shown = el("span", value or words.page.missing(), class_="value")
    return el(
        "li",
        el("span", text(name), class_="name"),
        shown,
        el("span", text(more), class_="more") if more else "",
    )


def _day_card(words: Words, one: SiteDay | Missing) -> str:
    if isinstance(one, Missing):
        return _card(words, words.say("card_day", name=one.part.partition(":")[2]), "")
    name = words.say("card_day", name=one.name)
    if one.bare is None:
        return _card(words, name, dong(words, one.account.cost))
    saved = one.bare.cost - one.account.cost
    more = words.say(f"card_{one.against}")
    if one.account.emissions is not None and one.bare.emissions is not None:
        kilograms = signed(one.account.emissions - one.bare.emissions, words.lang)
        more = f"{more}; {kilograms} kg CO2"
    return _card(
        words, name, text(words.say("saves" if saved >= 0 else "loses", amount=words.money(abs(saved)))), more
    )


def _sizing_card(words: Words, model: EnergyModel) -> str:
    found = model.sizings
    if isinstance(found, Missing) or not found.results:
        return _card(words, words.say("card_sizing", name="", calendar=""), "")
    calendar, sizing = list(found.results.items())[-1]
    known = numbers.is_number(sizing.npv)
    rate = sizing.flow.irr.rate if sizing.flow is not None else float("nan")
    more = words.say("card_irr", rate=numbers.percent(rate, words.lang)) if numbers.is_number(rate) else ""
    name = words.say("card_sizing", name=found.name, calendar=words.calendar(calendar))
    return _card(words, name, text(billions(words, sizing.npv)) if known else "", more)


def _bill_card(words: Words, model: EnergyModel) -> str:
    found = model.sharing
    if isinstance(found, Missing):
        return _card(words, words.say("card_bill"), "")
    alone, total = (sum(getattr(one, name) for one in found.statements) for name in ("alone", "total"))
    share = numbers.percent((alone - total) / alone, words.lang) if alone else ""
    value = dong(words, (alone - total) * found.statements[0].unit)
    return _card(words, words.say("card_bill"), value, words.say("card_share", share=share))


def _past_card(words: Words, model: EnergyModel) -> str:
    found = model.past
    name = words.say("card_past")
    if isinstance(found, Missing):
        return _card(words, name, "")
    reached = found.result.share_reached()
    value = text(numbers.percent(reached, words.lang, decimals=0)) if numbers.is_number(reached) else ""
    return _card(words, name, value, words.say("card_past_more"))


def _foot(words: Words, model: EnergyModel) -> str:
    program = f"Mangrove {model.version}".strip()
    return el("footer", el("p", words.html("foot", program=program)), el("p", words.page.say("foot_marks")))
