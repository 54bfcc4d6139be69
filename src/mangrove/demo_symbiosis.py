# SPDX-License-Identifier: Apache-2.0
"""The symbiosis part of the demo: what runs, what could, what it is worth and to whom, what breaks, and the annual form.

Comes in: the prepared working copy of the example park. Goes out: six questions with the commands that answer them and short answers on
stdout, the stored plan of exchanges, and the annual form A.4 beside the reports. Offers, needs, prices and meters of the park are made
up; the form says which of its numbers come from the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from mangrove import exchange, matches, messages
from mangrove.demo_story import Part, tell
from mangrove.figures.numbers import number
from mangrove.handle import Handle
from mangrove.measure.eip import forms
from mangrove.measure.eip.indicators import indicators
from mangrove.measure.symbiosis.verify import verify

FORM = "A.4"
_TOP = 3
_MILLION, _TONNE = 1e6, 1e3
_FACTOR_DAY = (6, 30)
"""Month and day of the year of the readings whose factors hold for the plan: its middle."""


def show(park: Handle, out: Path, year: int, lang: str) -> Path:
    """Asks the questions, prints command and answer, and writes the form; gives its path."""
    story = _Story(park, year, lang)
    tell(story.parts(), story.say, lang)
    path = out / "form_A4.html"
    path.write_text(story.form.html(lang), encoding="utf-8")
    return path


@dataclass
class _Story:
    park: Handle
    year: int
    lang: str

    def parts(self) -> list[Part]:
        """The questions in the order in which an operator meets them: name, command, what makes the answer."""
        folder = self.park.territory.path
        return [
            Part("runs", f"exchange verify {folder} --year {self.year}", self._runs),
            Part("match", f"match {folder}", self._match),
            Part("plan", f"exchange plan {folder}", self._plan),
            Part("shares", f"exchange shares {folder}", self._shares),
            Part("without", f"exchange without {folder}", self._without),
            Part("eip", f"eip {folder} --year {self.year} --gaps", self._eip),
        ]

    def say(self, code: str, **data: object) -> str:
        """A sentence of the story."""
        return messages.render(f"demo.symbiosis_{code}", self.lang, **data)

    @cached_property
    def planned(self) -> exchange.Planned:
        """The plan, stored so that pages show it."""
        return exchange.plan(self.park, on=date(self.year, *_FACTOR_DAY))

    @cached_property
    def form(self) -> forms.Form:
        """The annual form of the park."""
        return forms.form(self.park, FORM, self.year)

    def _n(self, value: float) -> str:
        return number(value, self.lang)

    def _runs(self) -> Iterator[str]:
        with self.park.reader() as ledger:
            found = verify(ledger, self.park.territory, str(self.year))
        saved, avoided = found.saved(), found.avoided()
        if saved and avoided:
            money, carbon = self._n(saved.value / _MILLION), self._n(avoided.value / _TONNE)
            yield self.say("saved", count=len(found.exchanges), money=money, carbon=carbon)
        doubtful = {one: row for one in found.exchanges for row in found.of(one) if row.suspects}
        for id_, row in doubtful.items():
            month = f"{row.start.astimezone(self.park.territory.tz):%m/%Y}"
            yield self.say("doubtful", id=id_, month=month, flows=", ".join(row.suspects))

    def _match(self) -> Iterator[str]:
        found = matches.match(self.park)
        rows = [row for row in found.document(self.lang)["proposals"] if not row["running"]]
        yield self.say("candidates", count=len(found), new=len(rows))
        for row in rows[:_TOP]:
            yield self.say(
                "candidate", offer=row["offer"], need=row["need"], score=self._n(row["score"]), why=row["reasons"][0]
            )  # fmt: skip

    def _plan(self) -> Iterator[str]:
        plan = self.planned.plan
        yield self.say(
            "worth", count=len(plan.exchanges), money=self._n(plan.worth / _MILLION), carbon=self._n(plan.co2),
            gap=self._n(plan.gap * 100),
        )  # fmt: skip
        for one in plan.exchanges[:_TOP]:
            yield self.say(
                "one", name=one.name, giver=plan.places[one.giver], taker=plan.places[one.taker], unit=one.counted,
                amount=self._n(one.amount), money=self._n(one.total / _MILLION),
            )  # fmt: skip

    def _shares(self) -> Iterator[str]:
        found = self.planned.shared.gains
        order = sorted(found.members, key=lambda name: -found.of("shapley", name))
        for name in order[:_TOP]:
            money = self._n(found.of("shapley", name) / _MILLION)
            yield self.say("share", name=self.planned.plan.places[name], money=money)
        yield self.say("core_empty" if found.core_is_empty else "core")

    def _without(self) -> Iterator[str]:
        for one in self.planned.leaving[:_TOP]:
            money, others = self._n(one.loss / _MILLION), self._n(one.others / _MILLION)
            yield self.say("leaves", name=one.name, money=money, others=others, count=len(one.stops))

    def _eip(self) -> Iterator[str]:
        found = indicators(self.park, self.year, framework="vn")
        counts = {verdict: found.count(verdict) for verdict in ("met", "missed", "unknown")}
        yield self.say("indicators", **counts)
        yield self.say("form", form=FORM, count=len(self.form.from_ledger), blanks=len(self.form.blanks))
