# SPDX-License-Identifier: Apache-2.0
"""Plans: two of the adopted scenarios, the baseline and what was measured beside each other, and what each action does.

Comes in: adopted scenarios and a view that names two sides (`?a=&b=`), rows (`?by=`) and a year (`?year=`). Goes out: both sides and their
difference by year and by row with intervals, the part of each action, and what meters say against the plan. Whoever sees everything sees
it all; the city sees a difference only when companies enough are in it, and never what a single place or action does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.compare import BASELINE, Comparison, compare
from mangrove.compare_sides import MEASURED
from mangrove.errors import MangroveError, Problem
from mangrove.figures import Stage, waterfall, wedges
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View, choice
from mangrove.territory.model import Territory

BY = ("sector", "place", "gas")
"""What the rows may be; wards too where there are any."""
_WARD = "ward"
_INVENTORY = "inventory"
_SUMS = ("a", "b", "difference")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Row:
    """A year or a group of one year: t CO2e of both sides and of their difference with its interval; `shown` is false where it may not be told."""

    key: str
    label: str
    account: str
    year: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    verdict: str = ""
    shown: bool = True


@dataclass(frozen=True)
class Part:
    """What one action does in the year: t CO2e against the baseline (its share, last of all, alone)."""

    action: str
    label: str
    value: float
    error: float
    last_in: float
    alone: float


@dataclass(frozen=True)
class Plans:
    """The page.

    Attributes:
        view: what is looked at; names: adopted scenarios, by name with their titles; a, b: the sides; by: one of `BY`.
        found: the comparison, None without scenarios or common time; year: the one that is looked at.
        rows: of the year, the largest difference first; real: the years against what was measured, empty without common time.
        problems: what to know; told: whether the difference may be told to this reader.
    """

    view: View
    names: Mapping[str, str]
    a: str
    b: str
    by: str
    found: Comparison | None = None
    year: int = 0
    rows: tuple[Row, ...] = ()
    real: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    told: bool = True

    @cached_property
    def totals(self) -> tuple[Row, ...]:
        """The inventory by year."""
        if self.found is None or not self.told:
            return ()
        return tuple(row for row in _years(self.found) if row.account == _INVENTORY)

    @property
    def years(self) -> list[int]:
        """The years that can be looked at."""
        return (
            [] if self.found is None else [start.astimezone(self.view.tz).year for start in self.found.starts]
        )

    @property
    def options(self) -> tuple[str, ...]:
        """What the rows may be."""
        return rows_of(self.view.territory)

    @property
    def total(self) -> Row | None:
        """The year that is looked at."""
        return next((row for row in self.totals if row.year == self.year), None)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What each action of a does in the year; nothing for readers who see totals only."""
        if self.found is None or not self.view.scope.whole:
            return ()
        labels, tz = self.found.labels, self.view.tz
        found = [
            Part(one.action, labels[one.action], one.value / 1000, one.error / 1000, one.last_in / 1000, one.alone / 1000)
            for one in self.found.parts()
            if one.scenario == self.a
            and one.account == _INVENTORY
            and one.start.astimezone(tz).year == self.year
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda part: part.value))

    def name(self, side: str) -> str:
        """What people call a side."""
        if side in (BASELINE, MEASURED):
            return messages.render(f"scenario.{side}", self.view.lang)
        return self.names.get(side) or side

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        tables = self.tables()
        return {
            "scenarios": list(self.names),
            "a": self.a,
            "b": self.b,
            "by": self.by,
            "year": self.year or None,
            "unit": "t CO2e",
            "gwp": None if self.found is None else self.found.gwp,
            **{name: tables[name].to_pylist() for name in ("years", "rows", "actions", "measured")},
            "problems": [{"code": one.code, "text": one.text(self.view.lang)} for one in self.problems],
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """By year, by row of the year, by action, and against what was measured."""
        parts = {
            "action": [one.action for one in self.parts],
            "name": [one.label for one in self.parts],
            **{
                f"{name}_t_co2e": pa.array([getattr(one, name) for one in self.parts], pa.float64())
                for name in ("value", "last_in", "alone")
            },
        }
        return {
            "years": _table(self.totals),
            "rows": _table([row for row in self.rows if row.shown], key=self.by),
            "actions": pa.table({name: _texts(cells) for name, cells in parts.items()}),
            "measured": _table(self.real),
        }

    def figures(self, lang: str) -> Mapping[str, str]:
        """From one side to the other in the year; over the years what the actions take away from the baseline."""
        total = self.total
        if self.found is None or total is None:
            return {}
        found = {"difference": self._waterfall(total, lang)}
        if self.b == BASELINE and self.view.scope.whole and len(self.years) > 1:
            found["wedges"] = self._wedges(self.found, lang)
        return found

    def _waterfall(self, total: Row, lang: str) -> str:
        steps = [Stage(part.label, part.value) for part in self.parts] if self.b == BASELINE else []
        ends = [
            Stage(self.name(side), value, total=True)
            for side, value in ((self.b, total.b), (self.a, total.a))
        ]
        title = messages.render("page_plans.figure_difference", lang, year=total.year)
        return waterfall([ends[0], *steps, ends[1]], title=title, lang=lang, heading=False)

    def _wedges(self, found: Comparison, lang: str) -> str:
        cuts: dict[str, list[float]] = {}
        for one in found.parts():
            if one.scenario == self.a and one.account == _INVENTORY:
                cuts.setdefault(found.labels[one.action], []).append(-one.value / 1000)
        title = messages.render("page_plans.figure_wedges", lang)
        base = [row.b for row in self.totals]
        return wedges(self.years, base, cuts, title=title, lang=lang, heading=False)


def build(live: Live, view: View) -> Plans:
    """The page for one view.

    Raises:
        RequestError: `live.unknown_choice` for a side or a row that there is not; a year without numbers is the last one that has some.
    """
    names = {one.name: str(one.document.get("title") or one.name) for one in live.adopted()}
    options = rows_of(live.territory) if view.scope.whole else BY[:1]
    by = choice("by", view.params.get("by", ""), options)
    if not names:
        return Plans(view, names, "", "", by)
    newest = next(reversed(names))
    a = choice("a", view.params.get("a", ""), (newest, *names))
    b = choice("b", view.params.get("b", ""), (BASELINE, MEASURED, *names))
    try:
        found = _compared(live, a, b, by)
    except MangroveError as error:
        return Plans(view, names, a, b, by, problems=tuple(error.problems))
    years = [start.astimezone(view.tz).year for start in found.starts]
    asked = view.params.get("year", "")
    year = next((one for one in years if str(one) == asked), years[-1])
    told = _told(live, view, a, b)
    real: tuple[Row, ...] = ()
    if MEASURED not in (a, b) and told and _told(live, view, a, MEASURED):
        real = _real(live, a)
    rows = _rows(live, view, found, by, year) if told else ()
    problems = found.problems if view.scope.whole else ()
    return Plans(view, names, a, b, by, found, year, rows, real, problems, told)


def rows_of(territory: Territory) -> tuple[str, ...]:
    """What the rows may be for a territory."""
    wards = any(place.kind == _WARD for place in territory.places.values())
    return (*BY[:2], _WARD, *BY[2:]) if wards else BY


def _compared(live: Live, a: str, b: str, by: str) -> Comparison:
    """A comparison of two names (never of files), once for all who look."""
    key = ("compare", live.cut(), a, b, by)
    return live.kept.get(key, lambda: compare(live.park, a, b, by=(by,)))


def _real(live: Live, a: str) -> tuple[Row, ...]:
    """What meters say against a plan by year; nothing as long as no month of it was measured."""
    try:
        return _years(_compared(live, a, MEASURED, "sector"))
    except MangroveError:
        return ()


def _told(live: Live, view: View, a: str, b: str) -> bool:
    """Whether a reader may know a difference: all of it, or when companies enough are in it."""
    if view.scope.whole:
        return True
    if not view.scope.suppresses:
        return False
    try:
        return view.scope.enough(_moved(live, a, b))
    except MangroveError:
        return False


def _moved(live: Live, a: str, b: str) -> list[str]:
    """The declared flows in which two sides differ; all of them when one is what was measured."""
    flows = live.territory.flows
    if MEASURED in (a, b):
        return list(flows)
    rows = _compared(live, a, b, "flow").to_arrow().to_pylist()
    moved = {row["flow"].partition("~")[0] for row in rows if abs(row["difference"]) > 0}
    return [flow for flow in flows if flow in moved]


def _years(found: Comparison) -> tuple[Row, ...]:
    rows = sorted(
        found.total().to_pylist(),
        key=lambda row: (row["account"] != _INVENTORY, row["account"], row["start"]),
    )
    tz = _zone(found)
    return tuple(_row(row, "", "", row["start"].astimezone(tz).year) for row in rows)


def _zone(found: Comparison) -> Any:
    return next(side.case.declared.tz for side in found.sides if hasattr(side, "case"))


def _rows(live: Live, view: View, found: Comparison, by: str, year: int) -> tuple[Row, ...]:
    """The groups of one year, the largest difference first."""
    made = [
        _row(row, row[by], _label(live, by, row[by]), year)
        for row in found.to_arrow().to_pylist()
        if row["start"].astimezone(view.tz).year == year and (row["a"] or row["b"])
    ]
    made.sort(key=lambda row: (row.account != _INVENTORY, row.account, -abs(row.difference), row.key))
    if view.scope.whole:
        return tuple(made[:_LONGEST])
    members: dict[str, list[str]] = {}
    for flow in _moved(live, *found.names):
        members.setdefault(live.territory.flows[flow].sector, []).append(flow)
    inventory = [row for row in made if row.account == _INVENTORY]
    shown = view.scope.disclosed({row.key: row.difference for row in inventory}, members)
    return tuple(
        row if row.key in shown else Row(row.key, row.label, row.account, year, *(math.nan,) * 5, shown=False)
        for row in inventory
    )


def _row(row: Mapping[str, Any], key: str, label: str, year: int) -> Row:
    a, b, difference, low, high = (row[name] / 1000 for name in (*_SUMS, "difference_low", "difference_high"))
    return Row(key, label, row["account"], year, a, b, difference, low, high, row.get("verdict", ""))


def _label(live: Live, by: str, key: str) -> str:
    if by == "sector":
        return live.territory.sectors.get(key, key)
    if by in ("place", _WARD) and key in live.territory.places:
        return live.territory.places[key].name
    return key


def _table(rows: Sequence[Row], key: str = "") -> pa.Table:
    columns: dict[str, Any] = {"year": pa.array([row.year for row in rows], pa.int64())}
    columns["account"] = pa.array([row.account for row in rows], pa.string())
    if key:
        columns[key] = pa.array([row.key for row in rows], pa.string())
        columns["name"] = pa.array([row.label for row in rows], pa.string())
    for name in (*_SUMS, "low", "high"):
        column = f"difference_{name}" if name in ("low", "high") else name
        columns[f"{column}_t_co2e"] = pa.array(
            [getattr(row, name) for row in rows], pa.float64(), from_pandas=True
        )
    columns["verdict"] = pa.array([row.verdict for row in rows], pa.string())
    return pa.table(columns)


def _texts(cells: Any) -> Any:
    return cells if isinstance(cells, pa.Array) else pa.array(cells, pa.string())


SCREEN = Screen(
    "plans",
    order=45,
    model=build,
    template="plans.html",
    period="year",
    roles=("admin", "operator", "city", "worker"),
    keeps=("a", "b", "by", "year"),
)
