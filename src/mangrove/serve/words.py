# SPDX-License-Identifier: Apache-2.0
"""The words and numbers of templates: sentences by code, numbers, units and times as the reader's language writes them.

Comes in: a language and a time zone. Goes out: a `Words`, which templates use as `w`: `w.t("now_above")` is the sentence of
`live.now_above`, `w.n(1234.5)` a number, `w.when(instant)` a local time. Everything is plain text; Jinja escapes it.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from mangrove import messages
from mangrove.errors import Hint, MangroveError, Problem, Sentence
from mangrove.figures import numbers
from mangrove.times import Span


class Words:
    """The language of one reader."""

    def __init__(self, lang: str, tz: ZoneInfo, room: str = "live") -> None:
        self.lang = lang
        self.tz = tz
        self._room = room

    def t(self, code: str, **data: Any) -> str:
        """The sentence of a code: `room.name`, or `name` of the room of the pages."""
        code = code if "." in code else f"{self._room}.{code}"
        said = {
            key: value.text(self.lang) if isinstance(value, Hint | Sentence) else value
            for key, value in data.items()
        }
        return numbers.typeset(messages.render(code, self.lang, **said))

    def column(self, name: str) -> str:
        """The title of a column of a measurement; a kind of place that has none is told as it is declared."""
        known = f"column.{name}" in messages.codes("column")
        return messages.render(f"column.{name}", self.lang) if known else name

    def problem(self, problem: Problem | MangroveError) -> str:
        """A finding in the reader's language."""
        return problem.text(self.lang)

    def n(self, value: float | None, digits: int = 3) -> str:
        """A number; words for one that is not known, never a zero."""
        return numbers.number(value, self.lang, digits=digits)

    def fixed(self, value: float | None, decimals: int = 0) -> str:
        """A number with a fixed count of decimals."""
        return numbers.fixed(value, self.lang, decimals=decimals)

    def signed(self, value: float | None, digits: int = 3) -> str:
        """A number that always shows its sign."""
        if value is None or not math.isfinite(value):
            return self.n(None)
        return ("+" if value > 0 else "") + self.n(value, digits)

    def percent(self, share: float | None, decimals: int = 1) -> str:
        """A share as a percentage."""
        return numbers.percent(share, self.lang, decimals=decimals)

    def unit(self, unit: str) -> str:
        """A unit as officials write it."""
        return numbers.typeset(numbers.unit_label(unit, self.lang))

    def day(self, moment: datetime | date) -> str:
        """A local date."""
        local = moment.astimezone(self.tz).date() if isinstance(moment, datetime) else moment
        return numbers.day(local, self.lang)

    def when(self, moment: datetime | None) -> str:
        """A local date and time to the minute."""
        if moment is None:
            return "–"
        local = moment.astimezone(self.tz)
        return f"{local:%H:%M} {self.day(moment)}"

    def span(self, span: Span) -> str:
        """A span: one day, or from when to when."""
        start, end = span.start.astimezone(self.tz), span.end.astimezone(self.tz)
        whole = start.time() == end.time() == datetime.min.time()
        if whole and (end.date() - start.date()).days == 1:
            return self.day(span.start)
        if whole:
            return f"{self.day(span.start)} – {self.day(span.last_day(self.tz))}"
        return f"{self.when(span.start)} – {self.when(span.end)}"

    def ago(self, seconds: float) -> str:
        """A length of time in its largest unit."""
        for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
            if seconds >= size:
                return self.t(f"live.ago_{name}", count=self.n(round(seconds / size), 3))
        return self.t("live.ago_now")
