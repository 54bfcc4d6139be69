# SPDX-License-Identifier: Apache-2.0
"""How the energy page speaks: its sentences, its money, its signs.

Comes in: message codes of the room `energy` and amounts. Goes out: text in one language, escaped where it is HTML.
"""

from __future__ import annotations

from mangrove import messages
from mangrove.figures import numbers
from mangrove.plan.report_model import Unit
from mangrove.serve.energy_model import Missing
from mangrove.serve.html import Page, el, text

_BILLION = 1e9


class Words:
    """The language of a page, with the running numbers of its figures and tables."""

    def __init__(self, lang: str, currency: str) -> None:
        self.lang = lang
        self.currency = currency
        self.page = Page(lang)

    @property
    def sign(self) -> str:
        """The sign of the currency."""
        return "đ" if self.lang == "vi" and self.currency == "VND" else self.currency

    @property
    def unit(self) -> Unit:
        """Money of years: billions."""
        return Unit(self.say("billions", currency=self.sign), _BILLION, self.sign)

    def say(self, code: str, **data: object) -> str:
        """The sentence of `energy.<code>`."""
        return messages.render(f"energy.{code}", self.lang, **data)

    def html(self, code: str, **data: object) -> str:
        """The same, made safe."""
        return text(self.say(code, **data))

    def money(self, amount: float) -> str:
        """An amount in whole units of the currency: `1.234.567 đ`."""
        return f"{numbers.fixed(amount, self.lang)}\u00a0{self.sign}"

    def calendar(self, name: str) -> str:
        """The name of a calendar of time-of-use hours."""
        code = f"hours_{name}"
        return self.say(code) if f"energy.{code}" in messages.codes("energy") else name

    def limit(self, name: str) -> str:
        """The name of a limit: of an asset, or of a part of every site in words."""
        code = f"limit_{name.replace(' ', '_')}"
        return self.say(code) if f"energy.{code}" in messages.codes("energy") else name

    def missing(self, part: Missing) -> str:
        """Why a part is not there, in the color of an alarm."""
        about = part.part.partition(":")[2]
        head = f"{about}: " if about else ""
        return el("p", text(f"{head}{self.say('not_made')} {part.reason.text(self.lang)}"), class_="alarm")


def dong(words: Words, amount: float) -> str:
    """Money for a card: the number, and its unit smaller."""
    return f"{text(numbers.fixed(amount, words.lang))} {el('small', text(words.sign))}"


def billions(words: Words, amount: float) -> str:
    """Money of years, in billions."""
    return f"{numbers.number(amount / words.unit.worth, words.lang)} {words.unit.name}"


def signed(amount: float, lang: str) -> str:
    """A change with its sign."""
    return f"{'+' if amount > 0 else ''}{numbers.fixed(amount, lang)}"
