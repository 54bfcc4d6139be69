# SPDX-License-Identifier: Apache-2.0
"""Amounts by place for a map: emission, energy or water of a span, at the level below the place in focus, for one reader.

Comes in: the live state, a view, what to show. Goes out: one `Cell` for each place with its amount, interval, basis and coverage, and
what belongs to no single place, so that the cells and the rest add up to the total of the focus. What the reader may not see has no
amount here: a cell is hidden before any figure or twin is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from mangrove.errors import RequestError
from mangrove.figures.geo import Shape, parts_of
from mangrove.ledger.types import COUNTED, RUNS
from mangrove.measure import leaves
from mangrove.measure.plan import NOWCAST, hours_per_value, is_rate
from mangrove.measure.question import FLOW_COLUMNS
from mangrove.measure.result import Emissions
from mangrove.serve import nowcast_bands
from mangrove.serve.scope import Scope
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory import level_of, shares, tree_on
from mangrove.territory.model import Flow, Place, Territory
from mangrove.units import Quantity, Unit, unit

METRICS = {"emission": "t CO2e", "energy": "MWh", "water": "m3", "wastewater": "m3"}
"""What a map shows, with its unit."""
NORMS = ("none", "person", "area")
LEVELS = ("parts", "sites")
"""The places directly below the focus, or the places that have flows of their own."""
ENERGY = frozenset({"electricity", "heat", "steam", "cooling", "fuel", "hydrogen"})
_TJ_IN_MWH = 1e6 / 3.6e3
_USED_WATER = frozenset({"wastewater", "treated"})
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Asked:
    """What a map is asked to show: one of `METRICS`, `NORMS` and `LEVELS`, and a sector (empty for all)."""

    metric: str = "emission"
    norm: str = "none"
    level: str = "parts"
    sector: str = ""

    @property
    def unit(self) -> str:
        """Unit of the amounts after dividing."""
        return METRICS[self.metric] + {"none": "", "person": "/person", "area": "/km2"}[self.norm]


@dataclass(frozen=True, slots=True)
class Cell:
    """One place on the map.

    Attributes:
        value: amount in the unit that was asked for; NaN when there is none; low, high: its 95 % interval, NaN when not stated.
        basis: how most of it came about; coverage: share of the span with counted values, NaN when not known.
        hidden: it may not be shown to the reader; value and all are NaN then.
        flows: how many flows stand behind it.
    """

    place: Place
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    basis: str = ""
    coverage: float = math.nan
    hidden: bool = False
    flows: int = 0


@dataclass(frozen=True)
class MapValues:
    """All cells, what lies at no single one of them, and the total.

    Attributes:
        focus: the place whose parts are shown, None for the whole territory.
        rest: amount of the places that the reader may not see one by one; elsewhere: amount at the focus itself; NaN when there is none.
        total: of the focus, before dividing by persons or area.
        column: the column of a measurement whose keys are the places, for proofs; empty when there is none.
        sectors: all sectors of the flows behind this map.
    """

    asked: Asked
    focus: Place | None
    cells: tuple[Cell, ...]
    elsewhere: float
    total: float
    column: str
    sectors: tuple[str, ...]
    rest: float = math.nan


def values(live: Live, view: View, asked: Asked) -> MapValues:
    """The amounts by place that the reader of `view` may see."""
    territory = live.territory
    field, focus, rows, stakes = laid(live, view, asked)
    cells = [field.cell(territory.places[id_], stakes) for id_ in rows]
    column = _column(territory, rows, asked.level)
    if asked.metric == "emission" and view.scenario == NOWCAST:
        cells = [
            _banded(cell, ends)
            for cell, ends in zip(cells, nowcast_bands.bands(field, stakes, rows), strict=True)
        ]
    elif asked.metric == "emission" and column:
        cells = _with_intervals(live, field.result, cells, column, asked.sector)
    known = {id_: field.amounts[id_] for id_ in stakes if id_ in field.amounts}
    left = {id_: amount * (1 - math.fsum(stakes[id_].values())) for id_, amount in known.items()}
    elsewhere = [amount for id_, amount in left.items() if math.fsum(stakes[id_].values()) < 1 - _ROUNDING]
    found = MapValues(
        asked=asked,
        focus=focus if view.place else None,
        cells=tuple(cells),
        elsewhere=math.fsum(elsewhere) if elsewhere else math.nan,
        total=math.fsum(known.values()) if known else math.nan,
        column=column,
        sectors=field.sectors,
    )
    return _divided(_disclosed(found, field, stakes, focus))


def laid(
    live: Live, view: View, asked: Asked
) -> tuple[Field, Place | None, list[str], dict[str, dict[str, float]]]:
    """The flows of a map, its focus, the places that it shows, and which share of each flow lies in which of them."""
    territory = live.territory
    field = Field(live, view, asked)
    focus = territory.places.get(view.place) or root_of(territory)
    rows = rows_below(territory, focus, asked.level, field.day)
    return field, focus, rows, field.stakes(rows, focus)


def rows_below(territory: Territory, focus: Place | None, level: str, day: date) -> list[str]:
    """Ids of the places that a map shows: the parts of the focus, or the places in it with flows of their own; else the focus itself."""
    tree = tree_on(territory, day)
    if level == "sites":
        inside = {flow.place for flow in territory.flows.values() if _inside(territory, flow.place, focus)}
        found = [id_ for id_ in tree.places if id_ in inside and (focus is None or id_ != focus.id)]
    else:
        found = list(tree.children.get(focus.id if focus else None, ()))
    return found or ([focus.id] if focus is not None else [])


def root_of(territory: Territory) -> Place | None:
    """The declared root of the boundary, or the only place without a parent."""
    boundary = territory.settings.get("boundary")
    named = str(boundary.get("root")) if isinstance(boundary, Mapping) else ""
    if named in territory.places:
        return territory.places[named]
    roots = [place for place in territory.places.values() if place.parent is None]
    return roots[0] if len(roots) == 1 else None


def day_of(territory: Territory, view: View) -> date:
    """The day whose borders count: the declared one, or the last of the span."""
    boundary = territory.settings.get("boundary")
    day = boundary.get("on") if isinstance(boundary, Mapping) else None
    return day if isinstance(day, date) else view.span.last_day(view.tz)


def levels_of(territory: Territory) -> tuple[str, ...]:
    """The levels in the order in which they are offered: a park opens with its sites, a city with its parts."""
    return LEVELS if territory.kind == "city" else LEVELS[::-1]


def metrics_of(territory: Territory) -> tuple[str, ...]:
    """The metrics for which the territory has flows."""
    return tuple(
        metric
        for metric in METRICS
        if metric == "emission" or any(counts(flow, metric) for flow in territory.flows.values())
    )


def counts(flow: Flow, metric: str) -> bool:
    """Whether the amount of a flow is part of a metric.

    Energy is what is taken in or burnt at a place: own generation (an account of its own) is left out, and so is what goes on to
    another place. Water is what is taken in; wastewater what arrives at a works, not what leaves it.
    """
    kind, code = flow.carrier.kind, flow.carrier.code
    if metric == "emission":
        return True
    if flow.semantics == "state" or flow.to_place is not None or flow.account != "inventory":
        return False
    if metric == "energy":
        return kind in ENERGY
    return (
        kind == "water"
        and amount_unit(flow).converts_to("m3")
        and (code == "wastewater" if metric == "wastewater" else code not in _USED_WATER)
    )


def amount_unit(flow: Flow) -> Unit:
    """The unit of an amount over time: of a rate, times hours."""
    return flow.unit * unit("h") if is_rate(flow) else flow.unit


def _inside(territory: Territory, place: str, focus: Place | None) -> bool:
    return focus is None or territory.lies_in(place, focus.id)


def _column(territory: Territory, rows: Sequence[str], level: str) -> str:
    """The column of a measurement whose keys are the rows, or empty."""
    if level == "sites":
        return "place"
    kinds = {territory.places[id_].kind for id_ in rows}
    nested = any(node.kind in kinds for id_ in rows for node in list(territory.ancestors(id_))[1:])
    return kinds.pop() if len(kinds) == 1 and not nested and not kinds & set(FLOW_COLUMNS) else ""


class Field:
    """All flows of a metric with their amounts, and where each of them lies.

    Attributes:
        day: whose borders count; result: the measurement by flow.
        flows: the flows of the metric and sector; sectors: all sectors of the metric.
        amounts: by flow, in the unit of the metric; covered: share of the span with counted values by flow.
    """

    def __init__(self, live: Live, view: View, asked: Asked) -> None:
        self.live, self.view, self.asked = live, view, asked
        self.territory = live.territory
        self.day = day_of(live.territory, view)
        of_metric = {f.id: f for f in live.territory.flows.values() if counts(f, asked.metric)}
        self.sectors = tuple(sorted({flow.sector for flow in of_metric.values()} - {""}))
        self.flows = {id_: f for id_, f in of_metric.items() if not asked.sector or f.sector == asked.sector}
        self.result = live.measure(view.span, by=["flow"], run=view.scenario)
        self.amounts, self.covered = self._emission() if asked.metric == "emission" else self._taken()

    def _emission(self) -> tuple[dict[str, float], dict[str, float]]:
        """Tonnes of CO2 equivalent and coverage by flow."""
        rows = [row for row in self.result.to_arrow().to_pylist() if row["flow"] in self.flows]
        shares = {count.flow: count.coverage for count in self.result.flows if count.flow in self.flows}
        return (
            {row["flow"]: row["co2e_kg"] / 1000 for row in rows if math.isfinite(row["co2e_kg"])},
            {id_: math.nan if share is None else share for id_, share in shares.items()},
        )

    def _taken(self) -> tuple[dict[str, float], dict[str, float]]:
        """Amounts of energy or water and coverage by flow; a flow that cannot be converted has no amount and no coverage."""
        measured = {count.flow: count for count in self.result.flows}
        raw = {id_: (measured[id_].amount, measured[id_].coverage) for id_ in self.flows if id_ in measured}
        raw |= self._unmeasured([flow for id_, flow in self.flows.items() if id_ not in measured])
        calorific = leaves.calorific_values(self.result)
        amounts, covered = {}, {}
        for id_, (amount, share) in raw.items():
            factor = _factor(self.flows[id_], METRICS[self.asked.metric], calorific.get(id_))
            if math.isfinite(amount) and factor is not None:
                amounts[id_] = amount * factor
            covered[id_] = 0.0 if factor is None else math.nan if share is None else share
        return amounts, covered

    def _unmeasured(self, flows: Sequence[Flow]) -> dict[str, tuple[float, float | None]]:
        """Amounts of flows that no method reads, straight from the ledger, each value cut to the span."""
        if not flows or self.view.scenario != RUNS[0] or not self.live.cut():
            return {}
        start, end = self.view.span.start, self.view.span.end
        with self.live.snapshot() as snapshot:
            before = start - timedelta(hours=max((hours_per_value(f) or 0.0 for f in flows), default=0.0))
            table = snapshot.values([flow.id for flow in flows], before, end)
        ids, begin, value, quality = (
            table.column(name).to_numpy(zero_copy_only=False)
            for name in ("flow", "start", "value", "quality")
        )
        counted = np.isin(quality, [int(code) for code in COUNTED]) & np.isfinite(value)
        found: dict[str, tuple[float, float | None]] = {}
        for flow in flows:
            hours = hours_per_value(flow)
            own = counted & (ids == flow.id)
            if hours is None or not own.any():
                continue
            length = np.timedelta64(round(hours * 3600), "s")
            first, last = (np.datetime64(moment.replace(tzinfo=None), "us") for moment in (start, end))
            inside = np.clip(
                (np.minimum(begin[own] + length, last) - np.maximum(begin[own], first)) / length, 0, 1
            )
            amount = float(np.sum(value[own] * inside)) * (hours if is_rate(flow) else 1.0)
            found[flow.id] = (amount, min(float(inside.sum()) * hours / self.view.span.hours, 1.0))
        return found

    def stakes(self, rows: Sequence[str], focus: Place | None) -> dict[str, dict[str, float]]:
        """For each flow that belongs to the focus, the rows for which it stands and with which share."""
        wanted, kinds = set(rows), list(dict.fromkeys(self.territory.places[id_].kind for id_ in rows))
        found = {}
        for flow in self.flows.values():
            stake = self._stake(flow, wanted, kinds)
            if stake or _inside(self.territory, flow.place, focus):
                found[flow.id] = stake
        return found

    def _stake(self, flow: Flow, rows: set[str], kinds: Sequence[str]) -> dict[str, float]:
        for kind in kinds if flow.spread else ():
            with suppress(RequestError):
                parts = shares(self.territory, flow.place, kind, self.day, flow.spread)
                if own := {id_: share for id_, share in parts if id_ in rows}:
                    return own
        for node in self.territory.ancestors(flow.place):
            if node.id in rows:
                return {node.id: 1.0}
        if not self.territory.places[flow.place].valid_on(self.day):
            for kind in kinds:
                above = level_of(self.territory, flow.place, kind, self.day)
                if above in rows:
                    return {str(above): 1.0}
        return {}

    def cell(self, place: Place, stakes: Mapping[str, Mapping[str, float]]) -> Cell:
        """The amount of one place with the basis of most of it."""
        own = {id_: stake[place.id] for id_, stake in stakes.items() if place.id in stake}
        parts = {id_: self.amounts[id_] * share for id_, share in own.items() if id_ in self.amounts}
        sizes: dict[str, float] = {}
        for id_, amount in parts.items():
            basis = self.basis(self.flows[id_])
            sizes[basis] = sizes.get(basis, 0.0) + abs(amount)
        known = {id_: self.covered[id_] for id_ in own if math.isfinite(self.covered.get(id_, math.nan))}
        return Cell(
            place,
            math.fsum(parts.values()) if parts else math.nan,
            basis=max(sizes, key=lambda name: (sizes[name], name)) if sizes else "",
            coverage=math.fsum(known.values()) / len(known) if known else math.nan,
            flows=len(own),
        )

    def basis(self, flow: Flow) -> str:
        """How the amounts of a flow come about: a value spread over places, or of another run, is a model's."""
        if flow.spread or self.view.scenario != RUNS[0]:
            return "modelled"
        return flow.basis or "measured"


def _banded(cell: Cell, ends: tuple[float, float]) -> Cell:
    return replace(cell, low=ends[0], high=ends[1]) if math.isfinite(cell.value) else cell


def _factor(flow: Flow, wanted: str, calorific: float | None) -> float | None:
    """What turns an amount of the flow into the wanted unit; None when nothing declared or measured says so."""
    own = amount_unit(flow)
    if own.converts_to(wanted):
        return own.to(wanted)
    if calorific is not None and wanted == METRICS["energy"]:
        return calorific * _TJ_IN_MWH
    enthalpy = flow.parameters.get("enthalpy")
    if isinstance(enthalpy, Quantity) and own.converts_to("kg") and wanted == METRICS["energy"]:
        return own.to("kg") * enthalpy.to("kJ/kg") * unit("kJ").to("MWh")
    return None


def _with_intervals(
    live: Live, result: Emissions, cells: Sequence[Cell], column: str, sector: str
) -> list[Cell]:
    """The cells with the intervals of a measurement by place, where that measures the same amount."""
    by = [column, "sector"] if sector else [column]
    rows = live.table(result, by=by).to_pylist()
    ends = {row[column]: row for row in rows if not sector or row["sector"] == sector}
    found = []
    for cell in cells:
        row = ends.get(cell.place.id)
        if row is not None and math.isclose(row["co2e_kg"] / 1000, cell.value, rel_tol=1e-6):
            cell = replace(cell, low=row["co2e_low"] / 1000, high=row["co2e_high"] / 1000)  # noqa: PLW2901
        found.append(cell)
    return found


Stakes = Mapping[str, Mapping[str, float]]


def _disclosed(found: MapValues, field: Field, stakes: Stakes, focus: Place | None) -> MapValues:
    """What the reader may see: everything, the own places and one sum of the others, or totals with companies enough in them."""
    scope = field.view.scope
    if scope.whole:
        return found
    if scope.suppresses:
        shown, whole = _suppressed(found, field, stakes, focus)
    else:
        shown, whole = _own(found, field, stakes, focus)
    cells = [c if c.place.id in shown else Cell(c.place, hidden=True) for c in found.cells]
    lost = [c.value for c in found.cells if c.place.id not in shown and math.isfinite(c.value)]
    if "" not in shown and math.isfinite(found.elsewhere):
        lost.append(found.elsewhere)
    return replace(
        found,
        cells=tuple(cells),
        rest=math.fsum(lost) if lost and whole else math.nan,
        elsewhere=found.elsewhere if "" in shown else math.nan,
        total=found.total if whole or not lost else math.nan,
    )


def _own(found: MapValues, field: Field, stakes: Stakes, focus: Place | None) -> tuple[frozenset[str], bool]:
    """The reader's own places (an empty id for what lies at the focus itself), and whether totals of the others may be told.

    Totals of the whole territory may; those of one sector only when companies enough stand behind what is not the reader's.
    """
    scope = field.view.scope
    shown = {cell.place.id for cell in found.cells if scope.sees(cell.place.id)}
    if focus is not None and scope.sees(focus.id):
        shown.add("")
    others = [
        id_ for id_, stake in stakes.items() if not (set(stake) or {""}) <= shown and id_ in field.amounts
    ]
    at_root = focus is None or focus == root_of(field.territory)
    enough = not field.asked.sector or scope.enough(others)
    return frozenset(shown), scope.totals and at_root and enough


def _suppressed(
    found: MapValues, field: Field, stakes: Stakes, focus: Place | None
) -> tuple[frozenset[str], bool]:
    """The cells with companies enough in them, and whether the focus itself has: at each level above it must be one of the cells shown."""
    scope, territory = field.view.scope, field.territory
    every = Field(field.live, field.view, replace(field.asked, sector="")) if field.asked.sector else field
    node, root = focus, root_of(territory)
    while node is not None and node.parent is not None and (root is None or node.id != root.id):
        siblings = rows_below(territory, territory.places[node.parent], "parts", field.day)
        if node.id not in _shown(every, every.stakes(siblings, territory.places[node.parent]), siblings):
            return frozenset(), False
        node = territory.places[node.parent]
    own = focus is not None and root is not None and focus.id != root.id
    if (own or field.asked.sector) and not scope.enough(id_ for id_ in stakes if id_ in field.amounts):
        return frozenset(), False  # the total of the whole territory is always told
    rows = [cell.place.id for cell in found.cells]
    shown = _shown(field, stakes, rows)
    if field.asked.sector:
        lies = every.stakes(rows, focus)
        shown = frozenset(row for row in shown if field.asked.sector in _sectors_shown(every, lies, row))
    return shown, True


def _shown(field: Field, stakes: Stakes, rows: Sequence[str]) -> frozenset[str]:
    """The rows of one table that may be shown beside its sum; the empty id is what lies at none of them."""
    return shown_rows(field.view.scope, field.amounts, stakes, rows)


def shown_rows(
    scope: Scope, amounts: Mapping[str, float], stakes: Stakes, rows: Sequence[str]
) -> frozenset[str]:
    """The same for any amounts of the flows, such as those of one step."""
    totals: dict[str, float] = {}
    members: dict[str, list[str]] = {}
    for id_, stake in stakes.items():
        for row, share in stake.items() or [("", 1.0)]:
            if id_ in amounts and (row in rows or not row):
                totals[row] = totals.get(row, 0.0) + amounts[id_] * share
                members.setdefault(row, []).append(id_)
    return scope.disclosed(totals, members)


def _sectors_shown(every: Field, stakes: Stakes, row: str) -> frozenset[str]:
    """The sectors of one place that may be shown beside the place's sum."""
    totals: dict[str, float] = {}
    members: dict[str, list[str]] = {}
    for id_, stake in stakes.items():
        if row in stake and id_ in every.amounts:
            sector = every.flows[id_].sector
            totals[sector] = totals.get(sector, 0.0) + every.amounts[id_] * stake[row]
            members.setdefault(sector, []).append(id_)
    return every.view.scope.disclosed(totals, members)


def _divided(found: MapValues) -> MapValues:
    """The cells by person or by square kilometer; a place without that number has no amount."""
    if found.asked.norm == "none":
        return found
    cells = []
    for cell in found.cells:
        by = cell.place.population if found.asked.norm == "person" else area_of(cell.place)
        scale = 1 / by if by else math.nan
        cells.append(replace(cell, value=cell.value * scale, low=cell.low * scale, high=cell.high * scale))
    return replace(found, cells=tuple(cells), rest=math.nan, elsewhere=math.nan)


def area_of(place: Place) -> float | None:
    """Square kilometers: declared, or of the outline on a plane that is true at its latitude."""
    if place.area is not None or place.geometry is None:
        return place.area
    return sum(part.polygon.area for part in parts_of([Shape(place.id, place.name, place.geometry)])) or None
