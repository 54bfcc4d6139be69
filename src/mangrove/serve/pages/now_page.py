# SPDX-License-Identifier: Apache-2.0
"""What the Now screen shows, as data, as tables and as figures; `now.py` puts it together.

Comes in: an answer, contributors, hours and cards. Goes out: the JSON, the tables and the SVG of the screen, and the addresses of
the proofs of its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from mangrove import messages
from mangrove.figures import Bar, Stage, Stretch, band_lines, interval_bars, numbers, waterfall
from mangrove.figures.numbers import typeset, unit_label
from mangrove.serve.pages.now_model import MOST, THRESHOLD, Floats, Hours, Projection
from mangrove.serve.view import View, written
from mangrove.serve.words import Words
from mangrove.times import Span

OTHERS = "page_now.others"
_KG = 1000.0
_ROUNDING = 1e-9
_WHOLE = 10_000.0
"""Differences from here on, in t, are shown without decimals."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a total stands to what it is compared with; amounts in kg CO2e, of what both sides have.

    Attributes:
        status: `above`, `below`, `on` (the difference is smaller than its interval), `unknown`, or `alone` (compared with nothing).
        reason: why it is unknown: `plan`, `base`, `values`, `coverage` (too little of what is due) or `early` (too little is due);
            empty otherwise.
        difference, low, high: with its 95 % interval, NaN where no error is stated.
        share: share of what is due of the base that has a counterpart; counted: share of all of the base.
    """

    status: str
    reason: str
    actual: float
    base: float
    difference: float
    low: float
    high: float
    share: float
    counted: float

    @property
    def percent(self) -> float:
        """The difference as a share of the base."""
        return self.difference / self.base if self.base else math.nan


@dataclass(frozen=True, slots=True)
class Row:
    """One contributor: a tenant, a ward, a sector, a flow, or the others together (then `key` is empty and `merged` set).

    Amounts are kg CO2e: `actual` and `base` of what both have, `waiting` of the base without a value that is
    due, `early` without one that is not due yet.
    """

    column: str
    key: str
    name: str
    actual: float
    base: float
    difference: float
    low: float
    high: float
    waiting: float
    early: float
    place: str = ""
    merged: bool = False

    @property
    def silent(self) -> bool:
        """Whether nothing at all has arrived: then there is no number, and never a zero."""
        return not self.actual and self.waiting + self.early > 0


@dataclass(frozen=True, slots=True)
class Card:
    """One number beside the answer: `page_now.card_<name>` with its unit; `more` is a sentence below it with `data`."""

    name: str
    value: float | None
    unit: str
    more: str = ""
    data: Mapping[str, float] = field(default_factory=dict)
    percent: bool = False

    def sentence(self, w: Words) -> str:
        """What stands below the number."""
        data = {
            name: value if isinstance(value, int) else f"{w.n(value)} {self.unit}"
            for name, value in self.data.items()
        }
        return w.t(f"page_now.{self.more}", **data)


@dataclass(frozen=True)
class Now:
    """What the screen shows.

    Attributes:
        view: for whom; span: the hours compared; period: the same as text for links; base_span, base_run: of the base.
        focus: id of the place that the answer is about, empty for the whole territory; focus_name: its name.
        answer: of the focus; whole: of the territory when the focus is a part of it.
        groups: what moved it, by tenant (or ward, or flow); sectors: by sector; causes: by amount and by factor, kg CO2e.
        flows: by flow, of those whose readings the reader may see; unplanned: kg measured that the base knows nothing of.
        projection: None without a plan, or when the period is over; hours: the last and the next hours; cards: other numbers.
        health: whether a page of data health exists; hourly: whether any of it is metered by the hour.
    """

    view: View
    span: Span
    base_run: str
    base_span: Span | None
    focus: str
    focus_name: str
    answer: Answer
    whole: Answer | None
    groups: tuple[Row, ...]
    sectors: tuple[Row, ...]
    flows: tuple[Row, ...]
    causes: tuple[float, float]
    unplanned: float
    projection: Projection | None
    hours: Hours
    cards: tuple[Card, ...]
    run: str
    health: bool = False
    hourly: bool = True

    @property
    def period(self) -> str:
        """The hours that are compared, as a period of an address."""
        return written(self.span, self.view.tz)

    @property
    def compared(self) -> bool:
        """Whether there is anything to compare with."""
        return self.answer.status != "alone" and self.answer.reason not in {"plan", "base", "values"}

    @property
    def threshold(self) -> dict[str, float]:
        """What an answer needs, by the reason for which there is none."""
        return {"coverage": THRESHOLD, "early": MOST} | dict.fromkeys(("plan", "base", "values"), THRESHOLD)

    @property
    def level(self) -> str:
        """By what the first table groups: `place`, `ward` or `flow`."""
        found = {row.column for row in self.groups}
        return found.pop() if found in ({"ward"}, {"flow"}) else "place"

    @property
    def factor(self) -> float:
        """The part of the difference that the factors made; rounding of equal factors is none."""
        return self.causes[1] if abs(self.causes[1]) > _ROUNDING * abs(self.answer.base) else 0.0

    @property
    def last_day(self) -> date:
        """The last day of the period."""
        return self.view.period.last_day(self.view.tz)

    def decimals(self, rows: Sequence[Row]) -> int:
        """Decimals with which the largest difference of a table in t CO2e shows three digits."""
        largest = max(
            (abs(row.difference if self.compared else row.actual) / _KG for row in rows), default=0.0
        )
        return min(max(2 - math.floor(math.log10(largest)), 1), 2) if 0 < largest < _WHOLE else 0

    @property
    def over(self) -> bool:
        """Whether the period is over."""
        return self.span.end >= self.view.period.end

    def day(self, w: Words) -> str:
        """The last day that is looked at: "today", or its date."""
        last = self.span.last_day(self.view.tz)
        return w.t("page_now.today") if last == self.view.now.astimezone(self.view.tz).date() else w.day(last)

    def hours_note(self, w: Words) -> str:
        """What must be known to read the curve."""
        one, said = self.hours, []
        drawn = np.isfinite(one.actual[: sum(start < one.until for start in one.starts)])
        if not drawn.all():
            said.append(w.t("page_now.hours_gap"))
        if one.left_out:
            said.append(w.t("page_now.hours_left_out", count=one.left_out))
        if np.isfinite(one.low).any():
            said.append(w.t("page_now.hours_band"))
        elif np.isfinite(one.plan).any() and one.starts[-1] >= one.until:
            said.append(w.t("page_now.hours_no_band", threshold=w.percent(THRESHOLD, 0)))
        return " ".join(said)

    def why(self, row: Row | None = None, *, base: bool = False) -> str:
        """The proof of a number: of a row, or of the total; empty when it has none of its own."""
        question = {"period": self.period, "run": self.run}
        if base:
            if self.base_span is None:
                return ""
            question = {"period": written(self.base_span, self.view.tz), "run": self.base_run}
        if row is not None:
            if row.merged or not row.key or self.view.scope.suppresses:
                return ""
            question |= {"by": row.column, "key": row.key}
        elif self.focus:
            question |= {"by": self.view.territory.places[self.focus].kind, "key": self.focus}
        return self.view.why(**question)

    @property
    def waiting(self) -> float:
        """Mass (kg CO2e) of the base without a value that is due."""
        return math.fsum(row.waiting for row in self.sectors)

    @property
    def early(self) -> float:
        """Mass (kg CO2e) of the base without a value because it is not due yet."""
        return math.fsum(row.early for row in self.sectors)

    def late(self) -> list[Row]:
        """The contributors of which something has not arrived, largest first."""
        found = [row for row in self.groups if row.waiting > 0]
        return sorted(found, key=lambda row: -row.waiting)

    def json(self) -> dict[str, Any]:
        """Everything that the page shows, in kg CO2e, and the hours in t CO2e."""
        return {
            "screen": "now",
            "span": {"start": self.span.start, "end": self.span.end},
            "now": self.view.now,
            "place": self.focus,
            "run": self.run,
            "compare": self.view.compare,
            "base": {"run": self.base_run, **({"start": self.base_span.start, "end": self.base_span.end} if self.base_span else {})},
            "unit": "kg CO2e",
            "threshold": THRESHOLD,
            "answer": _plain(self.answer) | {"percent": self.answer.percent},
            "whole": None if self.whole is None else _plain(self.whole) | {"percent": self.whole.percent},
            "groups": [_plain(row) for row in self.groups],
            "sectors": [_plain(row) for row in self.sectors],
            "flows": [_plain(row) for row in self.flows],
            "causes": {"amount": self.causes[0], "factor": self.causes[1]} if self.compared else None,
            "unplanned": self.unplanned,
            "projection": None if self.projection is None else _plain(self.projection) | {"total": self.projection.total},
            "cards": [_plain(card) for card in self.cards],
            **self._lines(),
        }  # fmt: skip

    def tables(self) -> dict[str, pa.Table]:
        """Contributors, sectors, flows and hours; amounts in kg CO2e."""
        lines = {name: getattr(self.hours, name) for name in ("actual", "plan", "low", "middle", "high")}
        hours = {"start": pa.array(list(self.hours.starts), pa.timestamp("us", "UTC"))} | {
            f"{name}_kg": pa.array(values) for name, values in lines.items()
        }
        return {
            "groups": _table(self.groups),
            "sectors": _table(self.sectors),
            "flows": _table(self.flows),
            "hours": pa.table(hours),
        }

    def figures(self, lang: str) -> dict[str, str]:
        """From the plan to what was measured, by group and by sector; the last hours."""
        title = {
            name: messages.render(f"page_now.figure_{name}", lang) for name in ("groups", "sectors", "hours")
        }
        found = {
            "groups": self._steps(self.groups, title["groups"], lang),
            "sectors": self._steps(self.sectors, title["sectors"], lang),
            "hours": self._curve(title["hours"], lang),
        }
        return {name: drawn for name, drawn in found.items() if drawn}

    def _lines(self) -> dict[str, Any]:
        """The hours as `static/charts.js` draws them: columns in t CO2e an hour."""
        one, lang = self.hours, self.view.lang
        unit = typeset(unit_label("t CO2e/h", lang))

        def line(name: str, **more: Any) -> dict[str, Any]:
            said = messages.render(f"page_now.line_{name}", lang)
            return {"name": said, "unit": unit, "values": _tonnes(getattr(one, name)), **more}

        series = [line("actual")]
        if np.isfinite(one.plan).any():
            series.append(line("plan"))
        if np.isfinite(one.middle).any():
            series.append(line("middle", dash=True, low=_tonnes(one.low), high=_tonnes(one.high)))
        table = self.view.link("now.csv", table="hours")
        return {"x": [int(start.timestamp()) for start in one.starts], "series": series, "table": table}

    def _steps(self, rows: Sequence[Row], title: str, lang: str) -> str:
        """A waterfall from the base to what was measured; bars when there is nothing to compare with."""
        if self.answer.reason == "values" or not rows:
            return ""
        if not self.compared:
            bars = [Bar(_name(row, lang), row.actual / _KG, row.low / _KG, row.high / _KG) for row in rows]
            return interval_bars(bars, title=title, lang=lang, heading=False)
        ends = [(messages.render(f"page_now.side_{self.view.compare}", lang), self.answer.base)]
        ends.append((messages.render("page_now.side_actual", lang), self.answer.actual))
        first, last = (Stage(typeset(label), value / _KG, total=True) for label, value in ends)
        steps = [
            Stage(_name(x, lang), None)
            if x.silent
            else Stage(_name(x, lang), x.difference / _KG, x.low / _KG, x.high / _KG)
            for x in rows
        ]
        return waterfall([first, *steps, last], title=title, lang=lang, heading=False)

    def _curve(self, title: str, lang: str) -> str:
        """The last and the next hours as lines."""
        one, tz = self.hours, self.view.tz
        if not self.hourly or (not np.isfinite(one.actual).any() and not np.isfinite(one.plan).any()):
            return ""
        begin = one.starts[0].astimezone(tz)
        offset = begin.hour + begin.minute / 60
        edges = [offset + index for index in range(len(one.starts) + 1)]
        lines = {"actual": one.actual, "plan": one.plan, "middle": one.middle}
        said = {
            messages.render(f"page_now.line_{name}", lang): list(values / _KG)
            for name, values in lines.items()
            if name == "actual" or np.isfinite(values).any()
        }
        ribbon = None
        if np.isfinite(one.low).any() and np.isfinite(one.high).any():
            ribbon = (messages.render("page_now.line_band", lang), list(one.low / _KG), list(one.high / _KG))
        return band_lines(
            edges,
            said,
            title=title,
            unit="t CO2e/h",
            ribbon=ribbon,
            behind=_days(one.starts, offset, self.view, lang),
            until=offset + (one.until - one.starts[0]) / timedelta(hours=1),
            width=1100,
            height=230,
            lang=lang,
            heading=False,
        )


def _name(row: Row, lang: str) -> str:
    """The name of a row in the reader's language."""
    if row.merged:
        return messages.render(OTHERS, lang)
    return row.name or messages.render("page_now.nowhere", lang)


def _days(starts: Sequence[datetime], offset: float, view: View, lang: str) -> list[Stretch]:
    """A strip with the date over each day."""
    found = []
    for index, start in enumerate(starts):
        local = start.astimezone(view.tz)
        if index == 0 or local.hour == 0:
            rest = 24 - local.hour - local.minute / 60
            first = offset + index
            last = min(first + rest, offset + len(starts))
            found.append(Stretch(first, last, numbers.day(local.date(), lang), 1 if local.day % 2 else 0))
    return found


def _tonnes(values: Floats) -> list[float | None]:
    return [float(x) / _KG if math.isfinite(x) else None for x in values]


def _table(rows: Sequence[Row]) -> pa.Table:
    names = ("actual", "base", "difference", "low", "high", "waiting", "early")
    columns: dict[str, Any] = {
        "column": [row.column for row in rows],
        "key": [row.key for row in rows],
        "name": [OTHERS if row.merged else row.name for row in rows],
    }
    made = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return pa.table(
        made | {f"{name}_kg": pa.array([getattr(row, name) for row in rows], pa.float64()) for name in names}
    )


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__ if name != "view"}
