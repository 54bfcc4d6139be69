# SPDX-License-Identifier: Apache-2.0
"""What sensors say about the inventory: multipliers of its sectors and zones, with what each instrument and the background did.

Comes in: an opened territory with flows of the kinds `air` and `weather` and an inventory. Goes out: a `Sensed` report, and a record of the
kind `inversion` that the nowcast reads as a fact.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, Problem, RequestError, Sentence
from mangrove.inference.covariance import Stacked
from mangrove.inference.gaussian import posterior
from mangrove.inference.inversion import invert as solve
from mangrove.inference.nuisance import upwind_background
from mangrove.inference.plume import footprint, path_footprint
from mangrove.inference.sensor_model import WIND_SECTORS, Beliefs, Model, Scene
from mangrove.inference.wind import CONVENTIONS, conventions, toward
from mangrove.measure.sensing_prior import Sources, sources
from mangrove.measure.sensing_ratios import SAME, ratio
from mangrove.measure.sensing_readings import Readings, read
from mangrove.measure.sensing_result import RECORD, Sensed
from mangrove.times import Span, utc

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.inference.wind import Finding

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
BY = ("zone", "sector")
REFERENCE = "co2"
"""Emissions are counted in it; the other species follow by their ratios."""
LEAST_READINGS = 24
_UG, _SECONDS = 1e9, 3600.0


def invert(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    species: Sequence[str] = (),
    by: str = "zone",
    zone: str = "",
    terrain: str = "urban",
    footprints: Sequence[str | Path] = (),
    beliefs: Beliefs | None = None,
    store: bool = True,
) -> Sensed:
    """Estimates how far emissions differ from the inventory, from the sensors of a territory.

    Args:
        park: an opened territory with values.
        start: a period, or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        species: `co2`, `co`, `no2`, ...; all that sensors measure and the inventory or a ratio knows when left out.
        by: `zone` for multipliers of sectors in zones, `sector` for sectors alone.
        zone: kind of place that is a zone ("ward"); the kind that is drawn when left out.
        terrain: `urban` or `rural`.
        footprints: files of STILT, FLEXPART or NAME, named after their station or in folders named so, in the place of the plume.
        beliefs: priors; widths of background and drift come from the spread of the readings.
        store: keep the record.

    Raises:
        RequestError, DataQualityError: `sensing.*`: no sensors, no wind, no inventory, too few readings.
    """
    if by not in BY:
        raise RequestError("sensing.by", by=by, options=", ".join(BY))
    span = Span.asked(start, end, park.territory.tz)
    prior = sources(park, span, zone)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        seen = read(snapshot, park.territory, span, tuple(species), prior.epsg, terrain)
    seen, ratios, sd, notes = _with_ratios(seen, prior)
    response = _responses(seen, prior, ratios, _air(seen, prior))
    held = np.zeros(response.shape[:2], dtype=bool)
    if footprints:
        from mangrove.measure.sensing_files import replace_by_files

        held = replace_by_files(response, footprints, seen, prior, ratios)
    scene, believed = _scene(park, seen, prior, response, by, beliefs or Beliefs(), held)
    believed = replace(believed, ratio=sd, reference=False)
    found = solve(scene, believed)
    finding = _convention(seen, prior)
    against = None if footprints else _against(park, seen, prior, ratios, believed)
    used = [_used(held & np.isfinite(seen.values))] if footprints else []
    notes = [
        *seen.problems,
        *notes,
        *prior.problems,
        *used,
        finding.problem(),
        *([against] if against else []),
    ]
    report = Sensed(park.territory, span, by, seen, prior, scene, found, tuple(notes))
    if store:
        document = json.dumps(report.document(), sort_keys=True).encode()
        with park.reader() as ledger:
            report = replace(report, record=ledger.put_record(RECORD, document))
    return report


def _used(held: Flags) -> Problem:
    """How many readings the footprint files explain; a warning when none."""
    data = {"count": int(held.sum()), "series": int(held.any(axis=1).sum())}
    return Problem("sensing.footprints_used", data, severity="note" if held.any() else "warning")


def _with_ratios(seen: Readings, prior: Sources) -> tuple[Readings, Floats, Floats, list[Problem]]:
    """Kg of each species per kg of each class (species, C), and the spread of each ratio (species, sectors)."""
    ratios = np.zeros((len(seen.species), len(prior.gas)))
    sd = np.zeros((len(seen.species), len(prior.sectors)))
    recalled: dict[str, None] = {}
    for s, name in enumerate(seen.species):
        for c, (gas, gpc) in enumerate(zip(prior.gas, prior.gpc, strict=True)):
            if name == gas:
                ratios[s, c] = 1.0
            elif name not in SAME and gas == REFERENCE and (known := ratio(name, gpc)) is not None:
                ratios[s, c] = known.value
                sd[s, prior.sector[c]] = max(sd[s, prior.sector[c]], known.sd)
                if known.status == "recalled":
                    recalled[f"{name}/CO2 {known.gpc}"] = None
    usable: npt.NDArray[np.bool_] = np.asarray(ratios.any(axis=1))
    notes = [
        Problem("sensing.no_ratio", {"species": name}, severity="warning")
        for name, good in zip(seen.species, usable, strict=True)
        if not good
    ]
    if not usable.any():
        raise DataQualityError("sensing.no_species_left", species=", ".join(seen.species))
    if recalled:
        notes.append(Problem("sensing.recalled_ratios", {"ratios": ", ".join(recalled)}, severity="note"))
    return _only(seen, usable), ratios[usable], sd[usable], notes


def _only(seen: Readings, usable: npt.NDArray[np.bool_]) -> Readings:
    """The series of some species."""
    rows = np.flatnonzero(usable[seen.of])
    names = tuple(name for name, good in zip(seen.species, usable, strict=True) if good)
    places = tuple(dict.fromkeys(seen.flows[row].place for row in rows))
    flows = tuple(seen.flows[row] for row in rows)
    return replace(
        seen, flows=flows, species=names, stations=places,
        of=np.array([names.index(flow.carrier.code) for flow in flows]),
        station=np.array([places.index(flow.place) for flow in flows]),
        start=seen.start[rows], end=seen.end[rows], values=seen.values[rows], error=seen.error[rows],
    )  # fmt: skip


def _air(seen: Readings, prior: Sources) -> npt.NDArray[np.float32]:
    """(series, T, cells) s/m3 by the plume."""
    found = np.empty((len(seen.flows), len(seen.starts), len(prior.cells)), dtype=np.float32)
    points = np.flatnonzero((seen.start == seen.end).all(axis=1))
    paths = np.setdiff1d(np.arange(len(seen.flows)), points)
    places, row = np.unique(seen.start[points], axis=0, return_inverse=True)
    if len(points):
        plumes = footprint(places, prior.cells, seen.winds, cell_size=prior.size, dtype=np.float32)
        found[points] = plumes[row]
    if len(paths):
        found[paths] = path_footprint(
            seen.start[paths],
            seen.end[paths],
            prior.cells,
            seen.winds,
            cell_size=prior.size,
            dtype=np.float32,
        )
    return found


def _responses(seen: Readings, prior: Sources, ratios: Floats, air: npt.NDArray[np.float32]) -> Floats:
    """(series, T, sectors, zones) ug/m3 that each source adds to each reading: profile x map x footprint, class by class."""
    zones, cells = len(prior.zones), len(prior.cells)
    found = np.zeros((*air.shape[:2], len(prior.sectors), zones))
    flat = air.reshape(-1, cells)
    inside = prior.zone[:, None] == np.arange(zones)[None, :]
    for c, sector in enumerate(prior.sector.tolist()):
        series = np.flatnonzero(ratios[seen.of, c] > 0)
        if not len(series):
            continue
        share = np.asarray(prior.maps[[c]].todense()).ravel()
        spread = (inside * share[:, None]).astype(np.float32)
        reached = (flat @ spread).reshape(*air.shape[:2], zones)
        scale = ratios[seen.of[series], c][:, None] * prior.hourly[c][None, :] / _SECONDS * _UG
        found[series, :, sector] += reached[series] * scale[:, :, None]
    return found


def _scene(  # noqa: PLR0917 - private
    park: Handle, seen: Readings, prior: Sources, response: Floats, by: str, beliefs: Beliefs, held: Flags
) -> tuple[Scene, Beliefs]:
    """The scene of the hours with readings and wind, and the beliefs in units of the readings; `held`: readings whose footprint is a file's."""
    sectors, zones = response.shape[2:]
    present = np.isfinite(seen.values) & seen.known[None, :]
    if present.sum() < LEAST_READINGS:
        raise DataQualityError("sensing.few_readings", count=int(present.sum()), least=LEAST_READINGS)
    series, hour = np.nonzero(present)
    by_source = response[present].reshape(len(series), -1)
    calm = (seen.winds.speed < seen.winds.calm)[hour] & ~held[present]
    weight = _weights(prior, sectors, zones)
    sector, zone = np.repeat(np.arange(sectors), zones), np.tile(np.arange(zones), sectors)
    if by == "sector":
        by_source = by_source.reshape(len(series), sectors, zones).sum(axis=2)
        weight = weight.reshape(sectors, zones).sum(axis=1)
        sector, zone = np.arange(sectors), np.zeros(sectors, dtype=np.int64)
    quartiles = _quartiles(seen)
    tz = park.territory.tz
    local = np.array([utc(moment).astimezone(tz).hour for moment in seen.starts])
    values = seen.values[present]
    scene = Scene(
        reading=values,
        response=by_source,
        series=series,
        hour=hour.astype(float),
        local_hour=local[hour],
        wind=(seen.direction // (360 / WIND_SECTORS)).astype(np.int64)[hour],
        noise=np.hypot(
            np.hypot(seen.error[series] * np.abs(values), _FLOOR * quartiles[seen.of[series]]),
            _CALM * calm * by_source.sum(axis=1),
        ),
        background=_background(seen)[seen.of[series], hour],
        station=seen.station,
        species=seen.of,
        sector=sector,
        zone=zone,
        prior=weight,
    )
    widths = replace(
        beliefs, background=_LEVEL * quartiles, background_rate=_WALK * quartiles, by_wind=_WIND * quartiles,
        offset=_OFFSET * quartiles, offset_rate=_OFFSET_WALK * quartiles,
    )  # fmt: skip
    return scene, widths


_CALM = 1.0
"""Error of a plume's hour slower than its least wind, as a share of what the prior expects: in calm air the direction is not known and the
dilution is that of the least wind, so such an hour says little. Assumed. A puff model would follow the air instead."""
_FLOOR, _LEVEL, _WALK, _WIND, _OFFSET, _OFFSET_WALK = 0.05, 0.5, 0.05, 0.15, 0.05, 0.02
"""Widths in interquartile ranges of a species' readings: floor of the noise, level of the background, its walk in an hour, difference between
wind sectors, offset of an instrument and its walk in a day. Assumed; the marginal likelihood scales background and noise."""


def _quartiles(seen: Readings) -> Floats:
    """(species,) interquartile range of the readings, never nothing."""
    found = np.zeros(len(seen.species))
    for s in range(len(found)):
        low, middle, high = np.nanpercentile(seen.values[seen.of == s], [25, 50, 75])
        found[s] = max(high - low, _STUCK * abs(middle), np.finfo(float).tiny)
    return found


_STUCK = 1e-3


def _weights(prior: Sources, sectors: int, zones: int) -> Floats:
    """(K,) kg of the reference gas (of all gases when it is not there) of each source over the period."""
    gases = REFERENCE if REFERENCE in prior.gas else ""
    kept = np.array([not gases or gas == gases for gas in prior.gas])
    inside = prior.zone[:, None] == np.arange(zones)[None, :]
    found = np.zeros((sectors, zones))
    shares = np.asarray(prior.maps @ inside.astype(float))
    np.add.at(found, prior.sector[kept], prior.hourly[kept].sum(axis=1)[:, None] * shares[kept])
    return found.reshape(-1)


def _background(seen: Readings) -> Floats:
    """(species, T): the least reading of the sensors upwind, smoothed over the day; the 5th percentile where none stands there."""
    toward = np.column_stack([seen.winds.toward_x, seen.winds.toward_y])
    found = np.zeros((len(seen.species), len(seen.starts)))
    for s in range(len(seen.species)):
        mine = seen.of == s
        least = float(np.nanpercentile(seen.values[mine], 5))
        if mine.sum() < _FEWEST_UPWIND:
            found[s] = least
            continue
        upwind, _ = upwind_background(seen.values[mine], seen.start[mine, :2], toward)
        found[s] = np.nanmedian(np.append(upwind, least))
    return found


_FEWEST_UPWIND = 3


def _convention(seen: Readings, prior: Sources) -> Finding:
    """Whether the readings agree with the declared convention of the wind, tried on the strongest cells of the inventory."""
    strength = np.asarray(prior.hourly.sum(axis=1) @ prior.maps).ravel()
    places = prior.cells[np.argsort(-strength)[:_TRIED]]
    kept = seen.known
    winds = seen.winds
    known = replace(
        winds, speed=winds.speed[kept], toward_x=winds.toward_x[kept], toward_y=winds.toward_y[kept],
        mixing=winds.mixing[kept], stability=winds.stability[kept],
    )  # fmt: skip
    mine = seen.of == 0
    return conventions(
        seen.values[mine][:, kept],
        seen.start[mine],
        seen.end[mine],
        seen.direction[kept],
        known,
        places=places,
    )


_TRIED = 100
_DECISIVE = 10.0
"""Log of the ratio of evidences, of readings thinned to every third hour, beyond which another convention is called right: e^10 to 1."""


def _against(
    park: Handle, seen: Readings, prior: Sources, ratios: Floats, beliefs: Beliefs
) -> Problem | None:
    """Whether the whole inventory explains the readings far better when the wind is read in another convention.

    The evidence of the linear model at the prior, for the first species, under each convention: a city has many sources, so what the best
    single source explains decides little.
    """
    first = _only(seen, np.arange(len(seen.species)) == 0)
    hours = np.flatnonzero(seen.known)[::_THIN]
    values = np.full_like(first.values, np.nan)
    values[:, hours] = first.values[:, hours]
    first = replace(first, values=values)
    found: dict[str, float] = {}
    for name in CONVENTIONS:
        east, north = toward(seen.direction, name)
        turned = replace(first, winds=replace(seen.winds, toward_x=east, toward_y=north))
        response = _responses(turned, prior, ratios[:1], _air(turned, prior))
        try:
            this, believed = _scene(
                park, turned, prior, response, "sector", beliefs, np.zeros(response.shape[:2], dtype=bool)
            )
        except DataQualityError:
            return None
        model = Model(
            replace(this, background=np.full(len(this.reading), np.percentile(this.reading, 5))),
            replace(believed, ratio=0.0),
        )
        start = np.concatenate([part.mean for part in model.parts.values()])
        predicted, slope = model.linearized(start)
        at_prior = posterior(
            slope, this.reading - predicted + slope @ start, model.noise, Stacked(tuple(model.parts.values()))
        )
        found[name] = at_prior.log_evidence
    best = max(found, key=lambda name: found[name])
    if found[best] - found["from"] <= _DECISIVE:
        return None
    data = {
        "best": Sentence(f"locate.wind_{best}_deg"),
        "declared": Sentence("locate.wind_from_deg"),
        "odds": round(found[best] - found["from"]),
    }
    return Problem("sensing.wind_convention", data, severity="error")


_THIN = 3
