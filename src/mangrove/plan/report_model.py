# SPDX-License-Identifier: Apache-2.0
"""A sizing as people read it: tables of plain rows in either language, and figures as SVG.

Comes in: a `Sizing`, outcomes of a sensitivity, points of a frontier. Goes out: `Table` values (headings, rows of texts and numbers)
for the command line, pages and workbooks, and figures made of the pieces of `mangrove.figures`. Money is shown in the unit that
the caller names (`tỷ đồng` is 1e9 VND); nothing is rounded before it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mangrove import messages
from mangrove.figures import Bar, Spot, frontier, interval_bars, stacked_series
from mangrove.figures.numbers import fixed
from mangrove.figures.numbers import month as month_name
from mangrove.plan import placed
from mangrove.plan.problem import Case, Floats
from mangrove.plan.result import Preview, Sizing, State
from mangrove.plan.study import Outcome, Point

Cell = str | float | None
_DUST = 1e-6
"""Amounts below this share of the largest are what the tolerance of the solver leaves."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: a title, headings, rows as wide as the headings, notes. None is a number that does not exist."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of money for tables: its name, how much one is, and the currency of prices per kWh."""

    name: str = "VND"
    worth: float = 1.0
    currency: str = "VND"


def say(word: str, lang: str, **data: object) -> str:
    """The text `plan.<word>`."""
    return messages.render(f"plan.{word}", lang, **data)


def tables(sizing: Sizing, lang: str = "vi", unit: Unit | None = None) -> list[Table]:
    """Every table of a sizing, in the order in which they are read."""
    shown = unit or Unit()
    found = [sizes(sizing, lang), money(sizing, lang, shown), energy(sizing, lang)]
    found += bills(sizing, lang, shown)
    if sizing.worth:
        found.append(worth(sizing, lang, shown))
    if sizing.relaxed:
        found.append(relaxed(sizing, lang))
    if sizing.flow is not None:
        found.append(cash_flow(sizing, lang, shown))
    if sizing.case.assumed:
        found.append(assumed(sizing, lang))
    return found


def assumed(sizing: Sizing, lang: str = "vi") -> Table:
    """What nobody declared and rows of the rules stand in for, each with its status and source."""
    rows = tuple((one.row, one.printed, one.status, one.document, one.note) for one in sizing.case.assumed)
    return Table(say("assumed", lang), _heads(lang, "what", "value", "status", "document", "note"), rows)


def sizes(sizing: Sizing, lang: str = "vi") -> Table:
    """What stands, what the preview would build, what the plan builds, and the difference; without a plan only the first two."""
    preview = sizing.preview
    rows: list[tuple[Cell, ...]] = []
    for name, size in sizing.case.sizes().items():
        best = sizing.sizes[name]
        first = preview.sizes[name] if preview is not None else None
        apart = (first / best - 1.0) * 100 if first is not None and best > 0 else None
        found = (first, best, apart) if sizing.exact else (first,)
        rows.append((name, size.existing, *found, _size_unit(sizing.case, name)))
    warnings = tuple(one.text(lang) for one in sizing.case.notes if one.severity == "warning")
    others = tuple(one.text(lang) for one in sizing.case.notes if one.severity != "warning")
    told = (_preview_told(sizing, preview, lang),) if preview is not None else ()
    words = ("plan", "difference") if sizing.exact else ()
    return Table(
        say("sizes", lang),
        _heads(lang, "what", "existing", "preview", *words, "unit"),
        tuple(rows),
        (*warnings, *told, *others),
    )


def _preview_told(sizing: Sizing, preview: Preview, lang: str) -> str:
    """How good the typical days were; how much their sizes cost more can be said only beside the plan over every hour."""
    data: dict[str, object] = {
        "days": preview.days,
        "seconds": fixed(preview.effort.seconds, lang, decimals=2),
        "error": fixed(preview.error * 100, lang, decimals=2),
    }
    if not sizing.exact:
        return say("preview_only", lang, **data)
    better = preview.cost / sizing.cost - 1.0 if sizing.cost else math.nan
    return say("preview_note", lang, **data, gap=fixed(better * 100, lang, decimals=2))


def money(sizing: Sizing, lang: str = "vi", unit: Unit | None = None) -> Table:
    """Cost over the study, value, rate of return, payback, levelized costs."""
    by = (unit or Unit()).worth
    name = (unit or Unit()).name
    flow = sizing.flow
    invested = sum(one.cost for one in sizing.purchases)
    rows: list[tuple[Cell, ...]] = [
        (say("investment", lang), invested / by, name),
        (say("cost_before", lang), _known(sizing.cost_before / by), name),
        (say("cost_after", lang), sizing.cost / by, name),
        (say("npv", lang), _known(sizing.npv / by), name),
    ]
    notes = []
    if flow is not None:
        rate = flow.irr
        rows.append((say("irr", lang), _known(rate.rate * 100), "%"))
        for word in ("payback", "discounted_payback"):
            after = _known(getattr(flow, word)) if invested > 0 else None
            rows.append((say(word, lang), after, say("years", lang)))
        if rate.reason:
            notes.append(messages.render(rate.reason, lang))
    else:
        notes.append(say("no_before", lang))
    rows += [
        (say("lcoe", lang, name=one), value, f"{(unit or Unit()).currency}/kWh")
        for one, value in sizing.lcoe.items()
    ]
    return Table(say("money", lang), _heads(lang, "what", "amount", "unit"), tuple(rows), tuple(notes))


def energy(sizing: Sizing, lang: str = "vi") -> Table:
    """Amounts of one year and emissions, before and after."""
    before = sizing.before
    rows: list[tuple[Cell, ...]] = []
    after = _without_dust(sizing.case, sizing.after)
    told = _without_dust(sizing.case, before) if before is not None else {}
    for name, amount in after.items():
        unit, worth = _unit(sizing.case, name)
        was = told.get(name, 0.0) / worth if before is not None else None
        rows.append((name, was, amount / worth, unit))
    was = before.emissions if before is not None else None
    rows.append((say("emissions", lang), was, sizing.after.emissions, "t CO2"))
    return Table(say("energy", lang), _heads(lang, "what", "before", "after", "unit"), tuple(rows))


def _without_dust(case: Case, state: State) -> dict[str, float]:
    """Amounts a year; nothing for what has no size, and for what is dust of the solver beside the largest in the same unit."""
    largest: dict[str, float] = {}
    for name, amount in state.energy.items():
        unit = _unit(case, name)[0]
        largest[unit] = max(largest.get(unit, 0.0), abs(amount))
    nothing: set[str] = set()
    things = {one.name: one.sizes() for one in case.candidates} | {
        one.name: one.sizes() for one in case.assets
    }
    for thing, sizes in things.items():
        if sizes and not any(state.sizes.get(size, 0.0) for size in sizes):
            nothing |= {name for name in state.energy if name == thing or name.startswith(f"{thing} ")}
    return {
        name: 0.0 if name in nothing or abs(amount) <= _DUST * largest[_unit(case, name)[0]] else amount
        for name, amount in state.energy.items()
    }


def _size_unit(case: Case, name: str) -> str:
    """The unit of a size."""
    for asset in case.assets:
        if name in asset.units:
            return asset.units[name]
    return "kWh" if name.endswith("/energy") else "kW"


def _unit(case: Case, stream: str) -> tuple[str, float]:
    """The unit in which a stream is shown, and how many of its own units that is."""
    carriers = {one.name: one.carrier for one in case.supplies} | {
        one.name: one.carrier for one in case.candidates
    }
    carriers |= {name: carrier for asset in case.assets for name, carrier in asset.shown().items()}
    carrier = carriers.get(stream) or carriers.get(stream.rpartition(" ")[0], "")
    return {"hydrogen": ("t", 1e3), "water": ("m3", 1.0), "wastewater": ("m3", 1.0), "item": ("", 1.0)}.get(
        carrier.partition("@")[0], ("MWh", 1e3)
    )


def bills(sizing: Sizing, lang: str = "vi", unit: Unit | None = None) -> list[Table]:
    """The lines of the bills over all months, before and after; one table a contract."""
    by = (unit or Unit()).worth
    found = []
    for supply, after in sizing.after.bills.items():
        sums: dict[str, list[float]] = {}
        was = sizing.before.bills.get(supply, ()) if sizing.before is not None else ()
        for position, several in enumerate((was, after)):
            for bill in several:
                for line in bill.lines:
                    sums.setdefault(line.label, [0.0, 0.0])[position] += line.amount
        rows = [(label, pair[0] / by if was else None, pair[1] / by) for label, pair in sums.items()]
        totals = [sum(bill.subtotal for bill in several) / by for several in (was, after)]
        rows.append((say("total", lang), totals[0] if was else None, totals[1]))
        title = say("bills", lang, name=supply, unit=(unit or Unit()).name)
        found.append(Table(title, _heads(lang, "what", "before", "after"), tuple(rows)))
    return found


def worth(sizing: Sizing, lang: str = "vi", unit: Unit | None = None) -> Table:
    """What one more unit of each limit that binds would save."""
    by = (unit or Unit()).worth
    rows = tuple((one.name, one.value / by, one.yearly / by) for one in sizing.worth)
    name = (unit or Unit()).name
    return Table(say("worth", lang, unit=name), _heads(lang, "what", "over_study", "a_year"), rows)


def relaxed(sizing: Sizing, lang: str = "vi") -> Table:
    """What gave way."""
    rows = tuple((one.name, one.amount, float(one.steps), one.unit_cost) for one in sizing.relaxed)
    return Table(say("relaxed", lang), _heads(lang, "what", "amount", "steps", "unit_cost"), rows)


def cash_flow(sizing: Sizing, lang: str = "vi", unit: Unit | None = None) -> Table:
    """Cash flows by year."""
    assert sizing.flow is not None
    by = (unit or Unit()).worth
    rows = sizing.flow.rows()
    used = [name for name in rows[0] if name == "year" or any(row[name] for row in rows)]
    cells = tuple(tuple(row[name] / (1.0 if name == "year" else by) for name in used) for row in rows)
    return Table(
        say("cash_flow", lang, unit=(unit or Unit()).name),
        tuple(say(f"flow_{name}", lang) for name in used),
        cells,
    )


def sensitivity_table(outcomes: Sequence[Outcome], lang: str = "vi", unit: Unit | None = None) -> Table:
    """One row a variation: value, rate of return, payback, emissions, sizes."""
    by = (unit or Unit()).worth
    names = list(outcomes[0].sizes) if outcomes else []
    rows = tuple(
        (
            _named(one, lang), _known(one.value), _known(one.saved / by), _known(one.irr * 100), _known(one.payback),
            one.emissions, *(one.sizes[name] for name in names),
        )
        for one in outcomes
    )  # fmt: skip
    heads = _heads(lang, "what", "value", "npv", "irr", "payback", "emissions")
    return Table(say("sensitivity", lang, unit=(unit or Unit()).name), (*heads, *names), rows)


def frontier_table(points: Sequence[Point], lang: str = "vi", unit: Unit | None = None) -> Table:
    """One row a point: emissions, cost, price of the last tonne, sizes."""
    by = (unit or Unit()).worth
    names = list(points[0].sizes) if points else []
    rows = tuple(
        (one.emissions, one.cost / by, one.price / by, *(one.sizes[name] for name in names)) for one in points
    )
    heads = _heads(lang, "emissions", "cost_after", "tonne")
    return Table(say("frontier", lang, unit=(unit or Unit()).name), (*heads, *names), rows)


def frontier_figure(
    points: Sequence[Point],
    sizing: Sizing | None = None,
    *,
    lang: str = "vi",
    unit: Unit | None = None,
    width: float = 800,
) -> str:
    """Cost against carbon; with a sizing also today and the plan."""
    shown = unit or Unit()
    spots = [
        Spot(
            one.emissions,
            one.cost / shown.worth,
            note=_sizes_told(one, lang),
            label=_end(points, one, lang, planned=sizing is not None),
        )
        for one in points
    ]
    if sizing is not None:
        spots.append(Spot(sizing.after.emissions, sizing.cost / shown.worth, say("plan", lang), strong=True))
        if sizing.before is not None:
            today = Spot(
                sizing.before.emissions, sizing.cost_before / shown.worth, say("before", lang), strong=True
            )
            spots.append(today)
    return frontier(
        spots, title=say("frontier", lang, unit=shown.name), across=(say("emissions", lang), "t CO2"),
        up=(say("cost_after", lang), shown.name), lang=lang, width=width,
    )  # fmt: skip


def sensitivity_figure(outcomes: Sequence[Outcome], *, lang: str = "vi", unit: Unit | None = None) -> str:
    """What each variation saves over the study, as bars."""
    shown = unit or Unit()
    bars = [Bar(_named(one, lang), one.saved / shown.worth) for one in outcomes]
    return interval_bars(bars, title=say("npv", lang), unit=shown.name, lang=lang)


def cash_figure(sizing: Sizing, *, lang: str = "vi", unit: Unit | None = None) -> str:
    """Cash flows by year, stacked."""
    assert sizing.flow is not None
    shown = unit or Unit()
    years = [str(year) for year in range(sizing.case.money.years + 1)]
    series = {
        say(f"flow_{name}", lang): (values / shown.worth).tolist()
        for name, values in sizing.flow.columns.items()
        if np.any(values)
    }
    title = say("cash_flow", lang, unit=shown.name)
    return stacked_series(years, series, title=title, unit=shown.name, lang=lang)


def balance_figure(sizing: Sizing, *, lang: str = "vi", which: str = "after") -> str:
    """Where the electricity of each month comes from and where it goes (below zero), MWh."""
    state: State | None = getattr(sizing, which)
    assert state is not None
    case = sizing.case
    months = case.starts.astype("datetime64[M]").astype(int) % 12
    outward = {f"{one.name} charge" for one in case.candidates} | {
        f"{one.name} export" for one in case.supplies
    }
    outward |= {one.name for one in case.candidates if one.ports.get("electricity", 0.0) < 0}
    electric = _electric(sizing)
    series: dict[str, list[float]] = {}
    for name, values in state.series.items():
        if name in electric and np.any(values > 0):
            sign = -1.0 if name in outward else 1.0
            series[name] = [sign * _monthly(values, months, m) * case.hours / 1e3 for m in range(12)]
    for asset in case.assets:
        for name, values in placed.electric(asset, state.series):
            if np.any(values):
                series[name] = [_monthly(values, months, m) * case.hours / 1e3 for m in range(12)]
    names = [month_name(m, lang) for m in range(1, 13)]
    return stacked_series(names, series, title=say(f"balance_{which}", lang), unit="MWh", lang=lang)


def _monthly(values: Floats, months: Floats, month: int) -> float:
    inside = months == month
    return float(values[inside].sum()) if inside.any() else math.nan


def _electric(sizing: Sizing) -> set[str]:
    """The streams that carry electricity."""
    found = set()
    for supply in sizing.case.supplies:
        if supply.carrier == "electricity":
            found |= {supply.name, f"{supply.name} export"}
    for one in sizing.case.candidates:
        if one.carrier == "electricity" or "electricity" in one.ports:
            found |= {one.name, f"{one.name} charge", f"{one.name} discharge"}
    return found


def _heads(lang: str, *words: str) -> tuple[str, ...]:
    return tuple(say(word, lang) for word in words)


def _known(value: float) -> float | None:
    """The number, or None where there is none."""
    return value if math.isfinite(value) else None


def _named(one: Outcome, lang: str) -> str:
    """The name of a variation for people."""
    kind = say(f"vary_{one.kind}", lang)
    if one.kind in {"price", "cost"}:
        return f"{kind} {one.name} {(one.value - 1.0) * 100:+.0f} %"
    if one.kind == "discount":
        return f"{kind} {one.value * 100:.3g} %"
    return f"{kind} {one.name}".strip() if one.name else f"{kind} {one.value:g}"


def _end(points: Sequence[Point], one: Point, lang: str, *, planned: bool) -> str:
    """The ends of the line have names; where the plan is drawn, it stands at the least cost and has that name."""
    if one is points[0]:
        return "" if planned else say("least_cost", lang)
    return say("least_carbon", lang) if one is points[-1] else ""


def _sizes_told(one: Point, lang: str) -> str:
    from mangrove.figures.numbers import number

    return ", ".join(f"{name} {number(size, lang)}" for name, size in one.sizes.items() if size > 0)
