# SPDX-License-Identifier: Apache-2.0
"""`mangrove raster`: what a territory emits, as a file for models of the air and for maps.

Comes in: a handle, a period, a size of cells or a kind of place, a run. Goes out: NetCDF (CF) or GeoParquet, and a `Raster` that says what
the file holds, what lies outside of it and how much of it is a model. The measurement is the verb's, its field comes from
`measure.fields`, the files are written by `gridding`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove import api, messages
from mangrove.errors import Problem, RequestError, RuleError, did_you_mean
from mangrove.gridding import Grid, geoparquet, netcdf, project, utm
from mangrove.gridding.layers import Layer, Steps, Zones, size_of
from mangrove.measure import fields, places_on_map
from mangrove.measure.fields import SHAPED, TerritoryField
from mangrove.times import Step
from mangrove.units import Quantity
from mangrove.verbs import make_callable

if TYPE_CHECKING:
    from mangrove.gridding.grid import Shapes
    from mangrove.handle import Handle
    from mangrove.measure.result import Emissions

WGS84 = 4326
"""Code of longitudes and latitudes."""
WRITERS = {".nc": netcdf.write, ".parquet": geoparquet.write}
"""By the ending of the file."""
_TELL = 1e-6
"""Share outside the file that is worth a word."""


@dataclass(frozen=True)
class Raster:
    """What was written.

    Attributes:
        path: the file; frame: its grid or its zones; start, end: UTC; steps: number of maps.
        gases: kilograms in the file by gas; outside: kilograms by gas that lie in no cell or place.
        co2e: kilograms of CO2 equivalents in the file, None without a GWP set; gwp: its name.
        prior: share of the CO2 equivalents (or else of the kilograms) whose hours are a shape and no metered values.
        problems: what is missing, outside, or a model.
    """

    path: Path
    frame: Grid | Zones
    start: datetime
    end: datetime
    steps: int
    gases: dict[str, float]
    outside: dict[str, float]
    co2e: float | None
    gwp: str
    prior: float
    problems: tuple[Problem, ...]


def raster(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    out: str | Path,
    cell: str = "1km",
    by: str = "grid",
    every: str | Step = "1h",
    run: str = "measured",
    gwp: str | None = None,
    seasons: bool | None = None,
    holidays: bool = True,
    cache: Path | None = None,
) -> Raster:
    """Writes the emissions of a period on a grid, or by places of a kind.

    Args:
        park: an opened territory.
        start: a period ("2024"), or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        out: the file: `.nc` for NetCDF, `.parquet` for GeoParquet.
        cell: size of the cells: "1km", "500m" in the UTM zone of the territory, or "0.01deg" along meridians and parallels.
        by: `grid`, `wards` (the smallest places that are drawn), or a kind of place.
        every: length of the steps of the file: hours, days, months or years.
        run: whose values, as in `mangrove.measure`.
        gwp: GWP set of the total; the territory's own when left out.
        seasons: whether European months shape the year; None: only in Europe.
        holidays: whether public holidays count as Sundays.
        cache: folder that keeps the weights of the shapes on the grid.

    Raises:
        RequestError: `gridding.unknown_format`, `gridding.not_a_length`, `gridding.unknown_target`, `gridding.nothing_drawn`, or what
            `mangrove.measure` refuses.
    """
    path = Path(out)
    if path.suffix not in WRITERS:
        raise RequestError("gridding.unknown_format", name=path.name)
    emissions = api.measure(park, start, end, gwp=gwp, run=run, by=("gas",), store=False)
    target = _target(emissions, by, cell)
    made = fields.field_of(emissions, target, seasons=seasons, holidays=holidays, cache=cache)
    frame = made.zones if isinstance(made.zones, Grid) else _zones(made)
    steps = _steps(made, every, park)
    layers = _layers(made)
    WRITERS[path.suffix](path, layers, frame, steps, attributes=_attributes(park, emissions, made))
    return _told(path, frame, made, emissions, len(steps))


def _target(emissions: Emissions, by: str, cell: str) -> Grid | str:
    """The grid around everything that is drawn, or the kind of place."""
    territory, day = emissions.plan.territory, emissions.plan.question.borders
    if by == "grid":
        shapes = _drawn(emissions)
        size, in_degrees = _size(cell)
        epsg = utm(shapes)  # checks that they are degrees, too
        if in_degrees:
            return Grid.around(shapes, size, WGS84)
        return Grid.around(project(shapes, epsg), size, epsg)
    kinds = dict.fromkeys(place.kind for place in territory.places.values())
    kind = (places_on_map.drawn_kind(territory, day) or "ward") if by == "wards" else by
    if kind not in kinds:
        raise RequestError(
            "gridding.unknown_target", by=by, options=", ".join(kinds), hint=did_you_mean(by, kinds)
        )
    return kind


def _drawn(emissions: Emissions) -> Shapes:
    """Everything that a flow of the measurement lies in."""
    shapes = places_on_map.layout(emissions.plan, list(emissions.plan.flows)).shapes
    if not len(shapes):
        raise RequestError("gridding.nothing_drawn")
    return shapes


def _size(cell: str) -> tuple[float, bool]:
    """The size of a cell in meters, or in degrees and that it is so."""
    try:
        if cell.rstrip().endswith("deg"):
            return Quantity.parse(_spaced(cell), "deg").to("deg"), True
        return Quantity.parse(_spaced(cell), "m").to("m"), False
    except (RuleError, RequestError):
        raise RequestError("gridding.not_a_length", text=cell) from None


def _spaced(cell: str) -> str:
    """`1km` as quantities are written: `1 km`."""
    number = cell.rstrip("abcdefghijklmnopqrstuvwxyz ")
    return f"{number} {cell[len(number) :].strip()}"


def _zones(made: TerritoryField) -> Zones:
    """The places of a field with their outlines."""
    assert not isinstance(made.zones, Grid)
    shapes = np.empty(len(made.zones), dtype=object)
    shapes[:] = [places_on_map.outline(place) for place in made.zones]
    return Zones(tuple(p.id for p in made.zones), tuple(p.name for p in made.zones), shapes)


def _steps(made: TerritoryField, every: str | Step, park: Handle) -> Steps:
    """The steps of the file on the territory's calendar."""
    step = Step.parse(every) if isinstance(every, str) else every
    edges = made.edges(step, park.territory.tz)
    times = np.append(made.starts, made.starts[-1] + np.timedelta64(1, "h"))[edges]
    return Steps(tuple(edges), times)


def _layers(made: TerritoryField) -> list[Layer]:
    """One layer for each gas and sector, gases in the order in which they appear."""
    pairs = dict.fromkeys(zip(made.gases, made.sectors, strict=True))
    return [
        Layer(gas, sector, made.field.only(made.classes(gas=gas, sector=sector))) for gas, sector in pairs
    ]


def _attributes(park: Handle, emissions: Emissions, made: TerritoryField) -> dict[str, str]:
    """What the file says of itself."""
    question = emissions.plan.question
    shares = f"{100 * _prior(made):.1f} % of the emissions are shared out in time by shapes that are a prior, not measured"
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "title": f"Emissions of {park.territory.name}",
        "institution": park.territory.name,
        "source": f"mangrove {version('mangrove')}, run {question.run}, ledger batch {emissions.cut}",
        "history": f"{now}: created by mangrove raster",
        "references": "temporal shapes: Denier van der Gon et al. 2011, TNO, MACC deliverable D_D-EMIS 1.3",
        "comment": f"{shares}; kilograms that have no position are left out",
        "time_zone": park.territory.timezone,
    }


def _prior(made: TerritoryField) -> float:
    """The share whose hours are a shape: of the CO2 equivalents, or else of the kilograms."""
    sizes = np.abs(made.field.levels if made.co2e is None else np.nan_to_num(made.co2e))
    shaped = np.array([basis == SHAPED for basis in made.bases])
    return float(sizes[shaped].sum() / sizes.sum()) if sizes.sum() else 0.0


def _told(path: Path, frame: Grid | Zones, made: TerritoryField, emissions: Emissions, steps: int) -> Raster:
    """What the file holds, with a word on what it does not."""
    question = emissions.plan.question
    gases = {gas: made.total(gas=gas) for gas in dict.fromkeys(made.gases)}
    outside = made.outside
    problems = list(made.problems)
    for gas, missing in outside.items():
        if abs(missing) > _TELL * abs(gases[gas] + missing):
            percent = 100 * missing / (gases[gas] + missing)
            data = {"gas": gas, "percent": float(f"{percent:.3g}")}
            problems.append(Problem("gridding.outside", data, severity="warning"))
    prior = _prior(made)
    if prior > 0:
        problems.append(Problem("gridding.prior", {"percent": round(100 * prior, 1)}, severity="note"))
    return Raster(
        path=path,
        frame=frame,
        start=question.span.start,
        end=question.span.end,
        steps=steps,
        gases=gases,
        outside=outside,
        co2e=made.total() if made.co2e is not None else None,
        gwp=question.gwp or "",
        prior=prior,
        problems=tuple(problems),
    )


def as_text(made: Raster, lang: str = "en") -> str:
    """What was written, for people."""
    from mangrove.figures.numbers import number

    on_grid = isinstance(made.frame, Grid)
    code = "gridding.said_grid" if on_grid else "gridding.said_zones"
    size = (
        f"{made.frame.dx:g} {'°' if made.frame.in_degrees else 'm'}" if isinstance(made.frame, Grid) else ""
    )
    lines = [
        messages.render(code, lang, path=made.path, count=size_of(made.frame), steps=made.steps, cell=size)
    ]
    for gas, kilograms in made.gases.items():
        tonnes, beside = (number(kg / 1000, lang, digits=6) for kg in (kilograms, made.outside[gas]))
        lines.append(messages.render("gridding.said_gas", lang, gas=gas, tonnes=tonnes, outside=beside))
    if made.co2e is not None:
        tonnes = number(made.co2e / 1000, lang, digits=6)
        lines.append(messages.render("gridding.said_co2e", lang, gwp=made.gwp, tonnes=tonnes))
    return "\n".join(lines)


def as_json(made: Raster) -> str:
    """What was written, for programs."""
    frame: dict[str, Any]
    if isinstance(made.frame, Grid):
        grid = made.frame
        size = "cell_deg" if grid.in_degrees else "cell_m"
        frame = {"cells": grid.cells, "columns": grid.nx, "rows": grid.ny, size: grid.dx, "epsg": grid.epsg}
    else:
        frame = {"zones": list(made.frame.ids)}
    body = {
        "path": str(made.path),
        "start": made.start.isoformat(),
        "end": made.end.isoformat(),
        "steps": made.steps,
        **frame,
        "kg": made.gases,
        "outside_kg": made.outside,
        "co2e_kg": made.co2e,
        "gwp": made.gwp,
        "prior_share": made.prior,
        "problems": _codes(made.problems),
    }
    return json.dumps(body, ensure_ascii=False, indent=2)


def _codes(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [
        {"code": problem.code, "severity": problem.severity, "text": problem.text("en")}
        for problem in problems
    ]


make_callable(__name__)
