# SPDX-License-Identifier: Apache-2.0
"""What the inventory says was emitted while sensors looked: by source (sector and zone), cell and hour.

Comes in: an opened territory, a period. Goes out: classes of the measured field on a grid, each with its hours. The live estimate counts
when there is one; else the newest year that has values, on the same weekdays, shaped by its profiles.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse
import shapely

from mangrove.errors import DataQualityError, Problem, RequestError
from mangrove.gridding import Grid, project, utm
from mangrove.measure import places_on_map
from mangrove.measure.fields import TerritoryField, field_of
from mangrove.times import HOUR, Span, utc

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.measure.result import Emissions
    from mangrove.territory.model import Flow, Place

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LIVE = "estimate/nowcast"
MOST_CELLS = 6750
_WEEKS = timedelta(days=364)
_YEARS_BACK = 4
_FINEST = 250.0


@dataclass(frozen=True, eq=False)
class Sources:
    """Prior emissions.

    Attributes:
        sectors: names; zones: places; gpc: reference of each class.
        gas: of each class; sector: (C,) number of the sector of each class; hourly: (C, T) kg in each hour.
        maps: (C, cells) share of each class in each cell; cells: (cells, 3) m; zone: (cells,) number of the zone; size: m.
        origin: the run or the year that it comes from.
    """

    sectors: tuple[str, ...]
    zones: tuple[Place, ...]
    gpc: tuple[str, ...]
    gas: tuple[str, ...]
    sector: Ints
    hourly: Floats
    maps: scipy.sparse.csr_array
    cells: Floats
    zone: Ints
    size: float
    epsg: int
    origin: str
    problems: tuple[Problem, ...]


def sources(park: Handle, span: Span, zone: str) -> Sources:
    """Emissions of the inventory at the place where they arise (scope 1), over the hours of a period.

    Raises:
        DataQualityError: `sensing.no_prior`; RequestError: see `places_on_map.zones`.
    """
    found, origin, shift = _newest(park, span)
    kind = zone or places_on_map.drawn_kind(park.territory, found.plan.question.borders)
    zones = places_on_map.zones(found.plan, kind) if kind else ()
    shapes = [one for one in (places_on_map.outline(place) for place in zones) if one is not None]
    if not shapes or len(shapes) < len(zones):
        raise (
            DataQualityError("sensing.no_zones", kind=kind)
            if kind
            else DataQualityError("sensing.nothing_drawn")
        )
    epsg = utm(shapes)
    outlines = project(shapes, epsg)
    grid = _grid(outlines, epsg)
    field = field_of(found, grid)
    first = int((span.start - shift - utc(field.starts[0])) / HOUR)
    local = [k for k in range(len(field.flows)) if park.territory.flows[field.flows[k]].scope == 1]
    if not local:
        raise _nothing(park, span)
    return _sources(park, field, local, (first, first + math.ceil(span.hours)), zones, outlines, grid, origin)


def _sources(  # noqa: PLR0917 - private
    park: Handle,
    field: TerritoryField,
    local: list[int],
    hours: tuple[int, int],
    zones: tuple[Place, ...],
    outlines: npt.NDArray[np.object_],
    grid: Grid,
    origin: str,
) -> Sources:
    flows = [park.territory.flows[field.flows[k]] for k in local]
    names = [flow.sector or flow.gpc or flow.id for flow in flows]
    sectors = tuple(dict.fromkeys(names))
    x, y = grid.centers()
    cells = np.column_stack([np.tile(x, grid.ny), np.repeat(y, grid.nx), np.full(grid.cells, _RELEASE)])
    maps = scipy.sparse.csr_array(field.field.maps[local])
    used = np.flatnonzero(np.asarray(maps.sum(axis=0)).ravel() > 0)
    away = shapely.distance(shapely.points(cells[used, :2])[:, None], outlines[None, :])
    hourly = field.field.profiles[local, hours[0] : hours[1]] * field.field.levels[local][:, None]
    return Sources(
        sectors=sectors,
        zones=zones,
        gpc=tuple(flow.gpc for flow in flows),
        gas=tuple(_gas(field.gases[k].lower(), flow.gpc) for k, flow in zip(local, flows, strict=True)),
        sector=np.array([sectors.index(name) for name in names]),
        hourly=np.asarray(hourly),
        maps=scipy.sparse.csr_array(maps[:, used]),
        cells=cells[used],
        zone=np.argmin(away, axis=1),
        size=grid.dx,
        epsg=grid.epsg,
        origin=origin,
        problems=(
            *(p for p in field.problems if p.code.startswith("gridding.")),
            *_as_co2([field.gases[k].lower() for k in local], flows),
        ),
    )


_BURNT = re.compile(r"(I\.[1-5]|II\.[1-5])\.")
"""References whose scope 1 is fuel that burns: CH4 and N2O are a few percent of its CO2e (IPCC 2006, volume 2, tables 2.2 and 3.2.2)."""


def _gas(gas: str, gpc: str) -> str:
    """What is in the air: CO2e of burnt fuel is read as CO2."""
    return "co2" if gas == "co2e" and _BURNT.match(gpc) else gas


def _as_co2(gases: list[str], flows: list[Flow]) -> list[Problem]:
    """Says which flows were read so."""
    read = [flow.id for gas, flow in zip(gases, flows, strict=True) if gas != _gas(gas, flow.gpc)]
    return [Problem("sensing.co2e_as_co2", {"flows": ", ".join(read)}, severity="note")] if read else []


_RELEASE = 10.0
"""m: height of release of what a map shares out: roofs and exhausts mixed by buildings; assumed. Stacks need a model of their own."""


def _grid(outlines: npt.NDArray[np.object_], epsg: int) -> Grid:
    """Square cells that hold the zones: at most 6,750, no finer than 250 m."""
    west, south, east, north = shapely.total_bounds(outlines).tolist()
    cell = max(math.ceil(math.sqrt((east - west) * (north - south) / MOST_CELLS) / 50) * 50.0, _FINEST)
    return Grid.around(outlines, cell, epsg)


def _newest(park: Handle, span: Span) -> tuple[Emissions, str, timedelta]:
    """A measurement that covers the period: the live estimate, or a whole year and how far the period lies behind it."""
    live = _measured(park, span, LIVE)
    if live is not None:
        return live, LIVE, timedelta(0)
    last = span.end.astimezone(park.territory.tz).year
    for year in range(last, last - _YEARS_BACK, -1):
        whole = Span.parse(str(year), park.territory.tz)
        shift = timedelta(0)
        while span.end - shift > whole.end:
            shift += _WEEKS
        if span.start - shift >= whole.start:
            found = _measured(park, whole, "measured")
            if found is not None:
                return found, str(year), shift
    raise _nothing(park, span)


def _nothing(park: Handle, span: Span) -> DataQualityError:
    """No direct emissions in a period, said in local time."""
    first, last = (f"{one.astimezone(park.territory.tz):%Y-%m-%d %H:%M}" for one in (span.start, span.end))
    return DataQualityError("sensing.no_prior", start=first, end=last)


def _measured(park: Handle, span: Span, run: str) -> Emissions | None:
    """Emissions of the inventory from one run; None when nothing was measured."""
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import question as questions
    from mangrove.measure.result import Emissions

    try:
        question = questions.resolve(park.territory, span.start, span.end, by=("flow", "gas"), run=run)
    except RequestError:
        return None
    plan = plans.build(park.territory, rules.load(), question)
    with park.reader() as ledger:
        found = Emissions(plan, park.store, ledger.cut(None))
    return found if found.to_arrow().num_rows else None
