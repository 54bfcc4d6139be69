# SPDX-License-Identifier: Apache-2.0
"""What a measurement says hour by hour and place by place, kept as profiles x maps.

Comes in: a measurement, and cells or a kind of place. Goes out: a `TerritoryField`: one class for each flow and gas, with its kilograms, its
profile over the hours and its map. Nothing is computed anew:

- the kilograms are those of the measurement, hour by hour where values stand for an hour or less, and step by step where they stand for
  longer; within such a step the shape of the flow's GPC reference says when (see `profiles`), so every step keeps its total;
- the map is how `measure --by` shares a flow out (`places_on_map`), laid on cells by exact weights. A flow whose place lies in no place of the
  kind (a road through several wards) is shared out by what its drawing crosses.

So totals of the field are those of the measurement, whatever the cells and steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse
import shapely

from mangrove.errors import Problem, RequestError
from mangrove.gridding import Field, Grid, project, utm, weights
from mangrove.inference.series import Floats
from mangrove.ledger.types import HAPPENED
from mangrove.measure import places_on_map, profiles
from mangrove.measure.result import Emissions, nothing_in
from mangrove.territory.model import Flow, Place
from mangrove.times import HOUR, Span, Step, utc

Times = npt.NDArray[np.datetime64]

_FINE = Step(seconds=3600)
_DAY_SECONDS = 86_400
_NEARLY_NOTHING = 1e-9
"""Amounts of both signs whose sum is smaller than this share of their sizes have no profile of their sum: they stand as they are."""
_ROUNDING = 1e-12
"""Shares of a map that miss one by less are rounding."""
METERED, SHAPED = "metered", "prior"


@dataclass(frozen=True)
class TerritoryField:
    """Emissions of a territory over whole hours, as K classes.

    Attributes:
        field: kilograms: profiles (K, T), maps (K, Z), levels (K,).
        co2e: kilograms of CO2 equivalents of each class, shape (K,); NaN where the GWP set has no value, None without a set.
        starts: UTC starts of the hours, shape (T,).
        flows, gases, sectors: of each class.
        bases: of each class `metered` (values by the hour), `prior` (shared out in time by a shape), or the run whose hourly values it has.
        zones: the places of the maps, or the grid.
        problems: what is a model, has no position or could not be measured.
    """

    field: Field
    co2e: Floats | None
    starts: Times
    flows: tuple[str, ...]
    gases: tuple[str, ...]
    sectors: tuple[str, ...]
    bases: tuple[str, ...]
    zones: tuple[Place, ...] | Grid
    problems: tuple[Problem, ...] = ()

    def classes(self, *, gas: str = "", sector: str | None = None, flow: str = "") -> list[int]:
        """Positions of the classes of a gas, a sector, a flow, or of all that are named together."""
        return [
            k
            for k in range(len(self.flows))
            if (not gas or self.gases[k] == gas)
            and (sector is None or self.sectors[k] == sector)
            and (not flow or self.flows[k] == flow)
        ]

    @cached_property
    def co2e_field(self) -> Field:
        """The same in kilograms of CO2 equivalents; gases without a value in the set count nothing, as in `measure`.

        Raises:
            RequestError: `measure.gwp_not_named` when the measurement names no GWP set.
        """
        if self.co2e is None:
            raise RequestError("measure.gwp_not_named")
        return self.field.scaled(np.nan_to_num(self.co2e))

    def series(self, zone: str, *, gas: str = "", sector: str | None = None) -> Floats:
        """Hourly kilograms in one place, shape (T,): of a gas, or of CO2 equivalents when none is named.

        Raises:
            RequestError: `gridding.no_such_zone`; `measure.gwp_not_named`.
        """
        ids = [] if isinstance(self.zones, Grid) else [place.id for place in self.zones]
        if zone not in ids:
            raise RequestError("gridding.no_such_zone", zone=zone)
        field = self.field if gas else self.co2e_field
        return np.asarray(field.zone(ids.index(zone), self.classes(gas=gas, sector=sector)))

    def total(self, *, gas: str = "", sector: str | None = None) -> float:
        """Kilograms inside the maps over the whole span."""
        field = self.field if gas else self.co2e_field
        return float(field.total(classes=self.classes(gas=gas, sector=sector)))

    @property
    def outside(self) -> dict[str, float]:
        """Kilograms of each gas that lie in no zone or cell: without a position, or beside the grid."""
        shares = 1 - np.asarray(self.field.maps.sum(axis=1)).ravel()
        missing = self.field.levels * np.where(np.abs(shares) > _ROUNDING, shares, 0.0)
        found: dict[str, float] = {}
        for gas, kilograms in zip(self.gases, missing.tolist(), strict=True):
            found[gas] = found.get(gas, 0.0) + kilograms
        return found

    def edges(self, every: str | Step, tz: ZoneInfo) -> list[int]:
        """Positions of the hours at which steps of the calendar of `tz` begin, and the end; shape (steps + 1,).

        Raises:
            RequestError: `measure.step_does_not_fit` for a step that is not whole hours.
        """
        step = Step.parse(every) if isinstance(every, str) else every
        if step.seconds % _FINE.seconds:
            raise RequestError("measure.step_does_not_fit", step=str(step))
        first, last = utc(self.starts[0]), utc(self.starts[-1]) + HOUR
        return [*(int((at - first) / HOUR) for at in step.starts(Span(first, last), tz)), len(self.starts)]


def field_of(
    emissions: Emissions,
    target: Grid | str,
    *,
    seasons: bool | None = None,
    holidays: bool = True,
    cache: Path | None = None,
) -> TerritoryField:
    """The field of a measurement: over the cells of a grid, or over the places of a kind ("ward").

    Args:
        emissions: a measurement over whole hours.
        target: a grid in a projected system, or a kind of place.
        seasons: whether shapes of the months count (see `mangrove.measure.profiles.shape`).
        holidays: whether public holidays count as Sundays.
        cache: folder that keeps the weights of the shapes on the grid.

    Raises:
        RequestError: `gridding.not_whole_hours`, `gridding.no_such_kind`, `gridding.nothing_measured`.
    """
    rows = _rows(emissions)
    if not rows:
        raise nothing_in("gridding.nothing_measured", emissions)
    plan = emissions.plan
    hourly = METERED if plan.question.run in HAPPENED else plan.question.run
    times = _Times(emissions, seasons=seasons, holidays=holidays)
    by_hour = np.stack([times.hours(row) for row in rows])
    levels = by_hour.sum(axis=1)
    plain = np.abs(levels) <= _NEARLY_NOTHING * np.abs(by_hour).sum(axis=1)
    scale = np.where(plain, 1.0, levels)
    flows = [row.flow for row in rows]
    problems: tuple[Problem, ...] = ()
    zones: tuple[Place, ...] | Grid
    if isinstance(target, Grid):
        zones = target
        maps, problems = _maps_on_grid(emissions, flows, target, cache)
    else:
        zones = places_on_map.zones(plan, target)
        maps = _maps_on_places(emissions, flows, target, zones, cache)
    return TerritoryField(
        field=Field(by_hour / scale[:, None], maps, scale),
        co2e=_co2e(rows, scale) if plan.gwp is not None else None,
        starts=times.starts,
        flows=tuple(flows),
        gases=tuple(row.gas for row in rows),
        sectors=tuple(plan.flows[flow].sector for flow in flows),
        bases=tuple(hourly if times.is_fine(plan.flows[flow]) else SHAPED for flow in flows),
        zones=zones,
        problems=(*problems, *emissions.problems),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One flow and gas: the buckets that have values, their kilograms and their CO2 equivalents."""

    flow: str
    gas: str
    starts: Times
    kg: Floats
    co2e: Floats


def _rows(emissions: Emissions) -> list[_Row]:
    """All flows and gases that have values, in declared order, each in steps of its own."""
    plan = emissions.plan
    asked = plan.question.accounts
    account = "inventory" if "inventory" in asked else asked[0]
    steps: dict[Step, list[str]] = {}
    for flow in plan.flows.values():
        steps.setdefault(_own_step(flow), []).append(flow.id)
    found: dict[tuple[str, str], _Row] = {}
    for step, flows in steps.items():
        made = emissions.table(by=("flow", "gas"), every=step, with_uncertainty=False, accounts=(account,))
        made = made.filter(pc.is_in(made["flow"], pa.array(flows)))
        for row in _split(made):
            found[row.flow, row.gas] = row
    order = {flow: number for number, flow in enumerate(plan.flows)}
    return [found[key] for key in sorted(found, key=lambda key: (order[key[0]], key[1]))]


def _split(made: pa.Table) -> Iterator[_Row]:
    """The rows of a table by flow and gas."""
    if not made.num_rows:
        return
    made = made.sort_by([("flow", "ascending"), ("gas", "ascending"), ("start", "ascending")])
    flows, gases = made["flow"].to_pylist(), made["gas"].to_pylist()
    starts = made["start"].cast(pa.timestamp("us")).to_numpy()
    kilograms = made["kg"].to_numpy()
    co2e = made["co2e_kg"].to_numpy() if "co2e_kg" in made.column_names else np.full(len(kilograms), np.nan)
    keys = list(zip(flows, gases, strict=True))
    cuts = [0, *(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    for first, last in pairwise(cuts):
        part = slice(first, last)
        yield _Row(*keys[first], starts[part], np.nan_to_num(kilograms[part]), co2e[part])


def _own_step(flow: Flow) -> Step:
    """The step in which the values of a flow are looked at: an hour, or as long as one value, or a month where lengths vary."""
    if flow.step is None:
        return Step(months=1)
    if flow.step.months or flow.step.seconds % _DAY_SECONDS == 0:
        return flow.step
    if flow.step.seconds <= _FINE.seconds:
        return _FINE
    whole = flow.step.seconds % _FINE.seconds == 0 and _DAY_SECONDS % flow.step.seconds == 0
    return flow.step if whole else Step(seconds=_DAY_SECONDS)


class _Times:
    """The hours of a measurement, and how amounts of longer steps lie in them."""

    def __init__(self, emissions: Emissions, *, seasons: bool | None, holidays: bool) -> None:
        self.plan = emissions.plan
        span = self.plan.question.span
        if (span.start - datetime(1970, 1, 1, tzinfo=UTC)) % HOUR or (span.end - span.start) % HOUR:
            raise RequestError("gridding.not_whole_hours", start=span.start, end=span.end)
        first = np.datetime64(span.start.replace(tzinfo=None), "us")
        self.starts: Times = first + np.arange(int(span.hours)) * np.timedelta64(1, "h")
        self._seasons, self._holidays = seasons, holidays
        self._shapes: dict[str, Floats] = {}

    def is_fine(self, flow: Flow) -> bool:
        """Whether the flow has values by the hour."""
        return _own_step(flow) == _FINE

    def hours(self, row: _Row) -> Floats:
        """Kilograms in every hour, shape (T,)."""
        flow = self.plan.flows[row.flow]
        found = np.zeros(len(self.starts))
        at = ((row.starts - self.starts[0]) // np.timedelta64(1, "h")).astype(np.int64)
        if self.is_fine(flow):
            found[at] = row.kg
            return found
        steps = _own_step(flow).starts(self.plan.question.span, self.plan.territory.tz)
        edges = np.array([(start - steps[0]) // timedelta(hours=1) for start in steps], dtype=np.int64)
        amounts = np.zeros(len(edges))
        amounts[np.searchsorted(edges, at)] = row.kg
        shape = self._shape(flow)
        sums = np.add.reduceat(shape, edges)
        lengths = np.diff(np.append(edges, len(shape)))
        # Where the shape says that nothing happens in a step that has an amount, the amount is even.
        empty = np.repeat(sums <= 0, lengths)
        shape = np.where(empty, 1.0, shape)
        sums = np.where(sums <= 0, lengths, sums)
        return np.asarray(shape * np.repeat(amounts / sums, lengths))

    def _shape(self, flow: Flow) -> Floats:
        if flow.gpc not in self._shapes:
            tz = self.plan.territory.tz
            self._shapes[flow.gpc] = profiles.shape(
                flow.gpc, self.starts, tz, seasons=self._seasons, holidays=self._holidays
            )
        return self._shapes[flow.gpc]


def _co2e(rows: Sequence[_Row], levels: Floats) -> Floats:
    """CO2 equivalents of each class: its level times what a kilogram of its gas weighs, which is the same in every step."""
    found = np.full(len(rows), np.nan)
    for k, row in enumerate(rows):
        largest = int(np.abs(row.kg).argmax())
        if row.kg[largest]:
            found[k] = row.co2e[largest] / row.kg[largest] * levels[k]
    return found


def _maps_on_places(
    emissions: Emissions, flows: Sequence[str], kind: str, zones: Sequence[Place], cache: Path | None
) -> scipy.sparse.csr_array:
    """The share of each flow in each place of a kind, shape (K, Z): by the tree, or by what its own drawing crosses."""
    named = list(dict.fromkeys(flows))
    shares = places_on_map.in_zones(emissions.plan, kind, named)
    number = {place.id: z for z, place in enumerate(zones)}
    entries = [
        (k, number[place], share) for k, flow in enumerate(named) for place, share in shares[flow].items()
    ]
    lost = [k for k, flow in enumerate(named) if not shares[flow]]
    found = _matrix(entries, (len(named), len(zones)))
    shapes, outlines = places_on_map.crossing(emissions.plan, [named[k] for k in lost], zones)
    if shapes.size and not shapely.is_missing(shapes).all():
        epsg = utm(shapes)
        crossed = weights(project(shapes, epsg), project(outlines, epsg), repair=True, cache=cache)
        found = found + _matrix([(k, i, 1.0) for i, k in enumerate(lost)], (len(named), len(lost))) @ crossed
    position = {flow: k for k, flow in enumerate(named)}
    return scipy.sparse.csr_array(found)[[position[flow] for flow in flows], :]


def _matrix(entries: Sequence[tuple[int, int, float]], shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """A sparse matrix of `(row, column, value)`."""
    rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
    at = (np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64))
    return scipy.sparse.coo_array((np.array(values, dtype=float), at), shape=shape).tocsr()


def _maps_on_grid(
    emissions: Emissions, flows: Sequence[str], grid: Grid, cache: Path | None
) -> tuple[scipy.sparse.csr_array, tuple[Problem, ...]]:
    """The share of each flow in each cell, shape (K, cells), and what had to be decided."""
    made = places_on_map.layout(emissions.plan, list(dict.fromkeys(flows)))
    if not len(made.shapes):
        return scipy.sparse.csr_array((len(flows), grid.cells)), made.problems
    on_grid = weights(project(made.shapes, grid.epsg), grid, names=made.names, cache=cache)
    entries = [(k, p, share) for k, flow in enumerate(flows) for p, share in made.shares[flow]]
    shares = _matrix(entries, (len(flows), len(made.shapes)))
    return scipy.sparse.csr_array(shares @ on_grid), made.problems
