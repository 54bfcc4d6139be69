# SPDX-License-Identifier: Apache-2.0
"""Finds an unknown source: reads the air sensors and the wind of a territory, asks the engine, stores and says what it found.

Comes in: a handle, a species, a period and perhaps a place to search in. Goes out: position and rate of the source with their uncertainty, in
degrees and kg/h, the probability that there is one, and what the readings say about the wind's convention; a record of kind `source`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.errors import DataQualityError, Problem, RequestError, did_you_mean
from mangrove.times import Span
from mangrove.verbs import make_callable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mangrove.handle import Handle
    from mangrove.inference.locate import Located
    from mangrove.inference.plume import Winds
    from mangrove.inference.wind import Finding
    from mangrove.ledger import Snapshot
    from mangrove.territory.model import Flow, Place, Territory

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

KIND, VERSION = "source", "1"
INLET = 3.0
"""m: height of a sensor without a declared one. Directive 2008/50/EC, annex III C: inlets stand between 1.5 m and 4 m."""
MIXING = 1000.0
"""m: height of the mixing layer where none is measured; near a source it does not matter."""
_ELLIPSE = 5.991
"""95 % of a chi-square with two degrees of freedom."""
_CORNERS, _KG_PER_HOUR = 48, 3600.0
_FEW, _LEAST_SPREAD = 5, 0.02
_SURE = 0.95
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """One source that was found.

    Attributes:
        lon, lat: WGS84 degrees of the mean position.
        covariance: east and north, m2, rows of a 2 x 2 matrix; ellipse: lon, lat of the corners of the 95 % region.
        rate: median in kg/h; low, high: its 95 % interval.
    """

    lon: float
    lat: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    ellipse: tuple[tuple[float, float], ...]
    rate: float
    low: float
    high: float

    @property
    def axes(self) -> tuple[float, float]:
        """Half axes of the 95 % region in m, the longer first."""
        (a, b), (_, d) = self.covariance
        middle, half = (a + d) / 2, math.hypot((a - d) / 2, b)
        return math.sqrt(_ELLIPSE * (middle + half)), math.sqrt(_ELLIPSE * max(middle - half, 0.0))


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a period.

    Attributes:
        species, start, end: what was asked; sensors: ids of the flows used.
        sources: the strongest first; probability: that there is one at all.
        wind: what the readings say about the convention of the wind direction; notes: what else to know.
        edges: lon and lat of the edges of the map; density: probability of each cell, rows from south to north.
        times: how many times had readings and a wind; inflation: see `mangrove.inference.locate.Located`.
        record: id of the stored record; empty when nothing was stored.
    """

    species: str
    start: datetime
    end: datetime
    sensors: tuple[str, ...]
    sources: tuple[Source, ...]
    probability: float
    wind: Problem
    notes: tuple[Problem, ...]
    edges: tuple[tuple[float, ...], tuple[float, ...]]
    density: tuple[tuple[float, ...], ...]
    times: int
    inflation: float
    record: str = ""

    def problems(self) -> list[Problem]:
        """What to know, the wind first."""
        return [self.wind, *self.notes]

    def document(self) -> dict[str, Any]:
        """The report as GeoJSON: a point and a region for each source, everything else beside them."""
        features: list[dict[str, Any]] = []
        for number, one in enumerate(self.sources, start=1):
            said = {
                "source": number, "species": self.species, "rate_kg_per_h": one.rate, "low_kg_per_h": one.low,
                "high_kg_per_h": one.high, "covariance_m2": one.covariance, "probability": self.probability,
                "half_axes_m": one.axes,
            }  # fmt: skip
            ring = [*one.ellipse, one.ellipse[0]]
            shapes = (
                {"type": "Point", "coordinates": [one.lon, one.lat]},
                {"type": "Polygon", "coordinates": [ring]},
            )
            features += [{"type": "Feature", "geometry": shape, "properties": said} for shape in shapes]
        return {
            "type": "FeatureCollection", "features": features, "species": self.species, "sensors": self.sensors,
            "start": self.start.isoformat(), "end": self.end.isoformat(), "probability": self.probability,
            "times": self.times, "inflation": self.inflation, "version": VERSION,
            "wind": {"code": self.wind.code, "text": self.wind.text("en"), "severity": self.wind.severity},
            "notes": [note.text("en") for note in self.notes],
            "map": {"lon": self.edges[0], "lat": self.edges[1], "probability": self.density},
        }  # fmt: skip


def locate(
    park: Handle,
    species: str,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    area: str | None = None,
    height: float = 1.0,
    sources: int = 1,
    terrain: str = "urban",
    draws: int = 600,
    seed: int = 0,
    store: bool = True,
) -> Report:
    """Finds the position and the rate of an unknown source from the sensors of a territory.

    Args:
        park: an opened territory with flows `air:SPECIES` at places with lon and lat, and `weather:wind_speed` and
            `weather:wind_from` at one place.
        species: `ch4`, `co`, ...
        start: a period, or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        area: id of a place to search in; around the sensors when left out.
        height: of the release in m, 0 to 1000.
        sources: how many to look for.
        terrain: `urban` or `rural`.
        draws: of the posterior.
        seed: of the sampler.
        store: keep the result as a record of kind `source`.

    Raises:
        RequestError: no such species, place, period, terrain or height; an area wider than 100 km.
        DataQualityError: no sensors with positions, no wind, too few readings.
    """
    import numpy as np

    from mangrove.inference import locate as engine
    from mangrove.inference.plume import require_terrain
    from mangrove.inference.wind import conventions

    require_terrain(terrain)
    beliefs = engine.Beliefs(height=height)
    territory = park.territory
    span = Span.asked(start, end, territory.tz)
    sensors = _sensors(territory, species)
    plane = _Plane.around(
        [territory.places[p] for flow in sensors for p in (flow.place, flow.to_place or flow.place)]
    )
    starts, ends = _stand(territory, sensors, plane)
    box = _box(territory, area, plane, np.vstack([starts, ends]))
    engine.require_area(box)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        world = _read(snapshot, territory, sensors, span, plane, terrain)
    finding = conventions(world.values, world.starts, world.ends, world.direction, world.winds, box=box)
    readings = engine.Readings(world.values, world.starts, world.ends)
    found = engine.locate(
        readings, world.winds, box, sources=sources, beliefs=beliefs, draws=draws, seed=seed
    )
    report = _told(species, span, sensors, plane, found, finding, world)
    if not store:
        return report
    with park.reader() as ledger:
        record = ledger.put_record(KIND, json.dumps(report.document(), sort_keys=True).encode())
    return replace(report, record=record)


def _sensors(territory: Territory, species: str) -> list[Flow]:
    """The flows that measure a species in the air at places with a position."""
    air = [flow for flow in territory.flows.values() if flow.carrier.kind == "air"]
    named = [flow for flow in air if flow.carrier.code == species]
    if not named:
        known = sorted({flow.carrier.code for flow in air})
        hint = did_you_mean(species, known)
        raise RequestError("locate.no_species", species=species, hint=hint, options=", ".join(known) or "-")
    here = [
        flow for flow in named
        if all(_at(territory.places[p]) for p in (flow.place, flow.to_place or flow.place))
    ]  # fmt: skip
    if not here:
        raise DataQualityError(
            "locate.no_positions", species=species, places=", ".join(f.place for f in named)
        )
    return here


def _at(place: Place) -> bool:
    return place.lon is not None and place.lat is not None


@dataclass(frozen=True)
class _Plane:
    """Meters east and north of a point: an azimuthal equidistant projection, true to a millimeter over some kilometers."""

    there: Any
    back: Any

    @classmethod
    def around(cls, places: Sequence[Place]) -> _Plane:
        """The plane whose middle is the mean of the places."""
        import pyproj

        lon = sum(p.lon or 0.0 for p in places) / len(places)
        lat = sum(p.lat or 0.0 for p in places) / len(places)
        flat = f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m"
        there = pyproj.Transformer.from_crs("EPSG:4326", flat, always_xy=True)
        back = pyproj.Transformer.from_crs(flat, "EPSG:4326", always_xy=True)
        return cls(there, back)

    def meters(self, lon: float, lat: float) -> tuple[float, float]:
        """East and north."""
        x, y = self.there.transform(lon, lat)
        return float(x), float(y)

    def degrees(self, x: float, y: float) -> tuple[float, float]:
        """Lon and lat."""
        lon, lat = self.back.transform(x, y)
        return float(lon), float(lat)


@dataclass
class _World:
    """Readings (m, T) in kg/m3, positions (m, 3), the direction as written and the winds at T times."""

    values: Floats
    starts: Floats
    ends: Floats
    direction: Floats
    winds: Winds
    notes: list[Problem] = field(default_factory=list)


def _read(  # noqa: PLR0917 - private
    snapshot: Snapshot, territory: Territory, sensors: Sequence[Flow], span: Span, plane: _Plane, terrain: str
) -> _World:
    """The readings and the wind on common times."""
    import numpy as np

    from mangrove.inference.concentration import to_kg

    series = [_series(snapshot, flow.id, span) for flow in sensors]
    if not any(len(times) for times, _ in series):
        raise DataQualityError("locate.too_few", count=0, least=20)
    moments = np.unique(np.concatenate([times for times, _ in series]))
    step = min(int(flow.step.hours * 3600 * _MICRO) if flow.step else 3600 * _MICRO for flow in sensors)
    values = np.full((len(sensors), len(moments)), np.nan)
    for row, flow, (times, amounts) in zip(values, sensors, series, strict=True):
        row[np.searchsorted(moments, times)] = to_kg(amounts, str(flow.unit), flow.carrier.code)
    direction, winds = _winds(snapshot, territory, span, moments, step, plane, terrain)
    windy = np.isfinite(direction)
    notes = []
    if not windy.all():
        notes.append(
            Problem(
                "locate.no_wind_then", {"count": int((~windy).sum()), "all": len(windy)}, severity="warning"
            )
        )
    if not windy.any():
        raise DataQualityError("locate.no_wind")
    starts, ends = _stand(territory, sensors, plane)
    return _World(values[:, windy], starts, ends, direction[windy], winds(windy), notes)


def _stand(territory: Territory, sensors: Sequence[Flow], plane: _Plane) -> tuple[Floats, Floats]:
    """Positions of instruments and of reflectors, (m, 3) each, m; a point has the same twice."""
    import numpy as np

    near, far = (
        np.array([_position(territory, flow, plane, far=far) for flow in sensors]) for far in (False, True)
    )
    return near, far


def _position(territory: Territory, flow: Flow, plane: _Plane, *, far: bool) -> tuple[float, float, float]:
    place = territory.places[flow.to_place if far and flow.to_place else flow.place]
    height = flow.parameters.get("height")
    up = INLET if height is None or isinstance(height, str) else height.to("m")
    return (*plane.meters(place.lon or 0.0, place.lat or 0.0), up)


def _series(snapshot: Snapshot, flow: str, span: Span) -> tuple[Ints, Floats]:
    """Starts (microseconds) and usable values."""
    from mangrove.inference.runs import read_series
    from mangrove.inference.series import usable

    low, high = (int(moment.timestamp() * _MICRO) for moment in (span.start, span.end))
    rows = read_series(snapshot, flow, low, high)
    rows = rows.pick(usable(rows.quality))
    return rows.start, rows.value


def _winds(  # noqa: PLR0917 - private
    snapshot: Snapshot,
    territory: Territory,
    span: Span,
    moments: Ints,
    step: int,
    plane: _Plane,
    terrain: str,
) -> tuple[Floats, Any]:
    """The written direction at each moment (NaN where there is no wind), and the winds of a selection of moments."""
    import numpy as np

    from mangrove.inference.dispersion_classes import by_hour, classes
    from mangrove.inference.plume import Winds
    from mangrove.inference.wind import toward

    speed_of, from_of = _vane(territory, plane)
    times, written = _series(snapshot, from_of.id, span)
    fast_times, fast = _series(snapshot, speed_of.id, span)
    fast = fast * speed_of.unit.to("m/s")
    both, here, there = np.intersect1d(times, fast_times, return_indices=True)
    if not len(both):
        raise DataQualityError("locate.no_wind")
    east, north = toward(written[here])
    every = max(step, int(from_of.step.hours * 3600 * _MICRO) if from_of.step else step)
    mean = _binned(both, np.column_stack([east, north, fast[there]]), moments, step, every)
    direction = np.degrees(np.arctan2(-mean[:, 0], -mean[:, 1])) % 360
    length = np.hypot(mean[:, 0], mean[:, 1])
    length[length == 0] = np.nan
    sun = _nearest(snapshot, territory, span, "irradiance", moments, step)
    lid = _nearest(snapshot, territory, span, "mixing_height", moments, step)
    lon, lat = plane.degrees(0.0, 0.0)
    clock = moments.astype("datetime64[us]")
    stable = by_hour(np.nan_to_num(mean[:, 2]), clock, lon, lat)
    if sun is not None:
        stable = np.where(np.isfinite(sun), classes(np.nan_to_num(mean[:, 2]), np.nan_to_num(sun)), stable)
    top = np.full(len(moments), MIXING) if lid is None else np.where(lid > 0, lid, MIXING)

    def of(rows: Any) -> Winds:
        made = Winds(
            mean[rows, 2],
            mean[rows, 0] / length[rows],
            mean[rows, 1] / length[rows],
            top[rows],
            stable[rows],
            terrain,
        )
        spread = mean[rows, 3]
        measured = np.isfinite(spread)
        if not measured.any():
            return made
        widths = made.coefficients().copy()
        widths[measured, :3] = np.column_stack(
            [np.maximum(spread[measured], _LEAST_SPREAD), 0 * spread[measured], 0 * spread[measured]]
        )
        return replace(made, widths=widths)

    direction[~np.isfinite(mean[:, 2]) | ~np.isfinite(length)] = np.nan
    return direction, of


def _vane(territory: Territory, plane: _Plane) -> tuple[Flow, Flow]:
    """The flows of wind speed and direction at the place nearest to the sensors that has both."""
    kinds: dict[str, dict[str, Flow]] = {"wind_speed": {}, "wind_from": {}}
    for flow in territory.flows.values():
        if flow.carrier.kind == "weather" and flow.carrier.code in kinds:
            kinds[flow.carrier.code].setdefault(flow.place, flow)
    places = [place for place in kinds["wind_speed"] if place in kinds["wind_from"]]
    if not places:
        raise DataQualityError("locate.no_wind")

    def away(name: str) -> float:
        place = territory.places[name]
        return math.hypot(*plane.meters(place.lon, place.lat)) if _at(place) else math.inf  # type: ignore[arg-type]

    best = min(places, key=away)
    return kinds["wind_speed"][best], kinds["wind_from"][best]


def _binned(times: Ints, columns: Floats, moments: Ints, step: int, every: int) -> Floats:
    """Wind in `[moment, moment + step)`, or the last that still holds: (T, 4), NaN where there is none.

    Columns: means of east, north and speed; the tangent of the direction's standard deviation (Yamartino 1984, J. Clim. Appl. Meteorol.
    23:1362) where five values tell it.
    """
    import numpy as np

    low, high = np.searchsorted(times, moments), np.searchsorted(times, moments + step)
    total = np.vstack([np.zeros(3), np.cumsum(columns, axis=0)])
    count = high - low
    mean = (total[high] - total[low]) / np.maximum(count, 1)[:, None]
    last = np.maximum(high - 1, 0)
    holds = (count == 0) & (times[last] <= moments) & (moments < times[last] + every)
    mean[holds] = columns[last[holds]]
    mean[(count == 0) & ~holds] = np.nan
    loose = np.sqrt(np.clip(1 - mean[:, 0] ** 2 - mean[:, 1] ** 2, 0, 1))
    sigma = np.arcsin(loose) * (1 + (2 / math.sqrt(3) - 1) * loose**3)
    return np.column_stack([mean, np.where(count >= _FEW, np.tan(np.minimum(sigma, 1.2)), np.nan)])


_UNITS = {"mixing_height": "m", "irradiance": "W/m2"}


def _nearest(  # noqa: PLR0917 - private
    snapshot: Snapshot, territory: Territory, span: Span, code: str, moments: Ints, step: int
) -> Floats | None:
    """A weather flow at the moments, the last value that holds (an hour at most); None when there is none."""
    import numpy as np

    for flow in territory.flows.values():
        if flow.carrier.kind == "weather" and flow.carrier.code == code:
            times, values = _series(snapshot, flow.id, span)
            if not len(times):
                continue
            last = np.searchsorted(times, moments + step) - 1
            age = moments - times[np.maximum(last, 0)]
            values = values * flow.unit.to(_UNITS[code])
            return np.where((last >= 0) & (age < 3600 * _MICRO), values[np.maximum(last, 0)], np.nan)
    return None


def _box(
    territory: Territory, area: str | None, plane: _Plane, points: Floats
) -> tuple[float, float, float, float]:
    """The area to search, m: that of a place, or the sensors' own.

    The latter is widened on each side by the sensors' extent: by 100 m at least, and not beyond the widest area that is searched.
    """
    import numpy as np

    from mangrove.inference.locate import WIDEST

    if area is not None:
        if area not in territory.places:
            raise RequestError("locate.no_area", place=area, hint=did_you_mean(area, territory.places))
        at = np.array(list(_outline(territory, area, plane)))
        if len(at) < 3:  # noqa: PLR2004 - corners of an area
            raise RequestError("locate.area_without_shape", place=area)
        (x0, y0), (x1, y1) = at.min(axis=0), at.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    extent = float((high - low).max())
    margin = max(min(extent, (WIDEST - extent) / 2), 100.0)
    return tuple(float(v) for v in (*(low - margin), *(high + margin)))  # type: ignore[return-value]


def _outline(territory: Territory, area: str, plane: _Plane) -> Iterator[tuple[float, float]]:
    """Corners of a place's boundary, or the positions of the places in it."""
    shape = territory.places[area].geometry
    if shape is not None:
        yield from (plane.meters(lon, lat) for lon, lat in _corners(shape["coordinates"]))
        return
    for place in territory.places.values():
        if place.lon is not None and place.lat is not None and territory.lies_in(place.id, area):
            yield plane.meters(place.lon, place.lat)


def _corners(node: Any) -> Iterator[tuple[float, float]]:
    """The positions inside nested GeoJSON coordinates."""
    if node and isinstance(node[0], int | float):
        yield float(node[0]), float(node[1])
        return
    for part in node:
        yield from _corners(part)


def _told(  # noqa: PLR0917 - private
    species: str,
    span: Span,
    sensors: Sequence[Flow],
    plane: _Plane,
    found: Located,
    finding: Finding,
    world: _World,
) -> Report:
    """The engine's answer in degrees and kg/h."""
    notes = list(world.notes)
    if found.probability < _SURE:
        notes.append(
            Problem("locate.perhaps_none", {"percent": round(100 * found.probability)}, severity="warning")
        )
    edges_x, edges_y, share = found.density(40)
    lon = tuple(plane.degrees(float(x), float(edges_y.mean()))[0] for x in edges_x)
    lat = tuple(plane.degrees(float(edges_x.mean()), float(y))[1] for y in edges_y)
    made = tuple(_source(found, k, plane) for k in range(found.x.shape[1]))
    wide = max(edges_x[-1] - edges_x[0], edges_y[-1] - edges_y[0])
    if made and 2 * made[0].axes[0] > wide / 2:
        notes.append(Problem("locate.hardly_known", {"axis": round(made[0].axes[0])}, severity="warning"))
    return Report(
        species, span.start, span.end, tuple(flow.id for flow in sensors), made, found.probability, finding.problem(),
        tuple(notes), (lon, lat), tuple(tuple(float(v) for v in row) for row in share),
        world.values.shape[1], found.inflation,
    )  # fmt: skip


def _source(found: Located, k: int, plane: _Plane) -> Source:
    import numpy as np

    x, y = found.mean(k)
    cover = found.covariance(k)
    root = np.linalg.cholesky(cover + 1e-9 * np.eye(2)) * math.sqrt(_ELLIPSE)
    angle = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    ring = (root @ np.vstack([np.cos(angle), np.sin(angle)])).T + np.array([x, y])
    rate, low, high = (value * _KG_PER_HOUR for value in found.interval(source=k))
    lon, lat = plane.degrees(x, y)
    square = ((float(cover[0, 0]), float(cover[0, 1])), (float(cover[1, 0]), float(cover[1, 1])))
    return Source(
        lon, lat, square, tuple(plane.degrees(float(a), float(b)) for a, b in ring), rate, low, high
    )


def text(report: Report, lang: str, territory: Territory) -> str:
    """The report for people, a line for each thing."""
    lines = []
    for number, one in enumerate(report.sources, start=1):
        long, short = one.axes
        said = {
            "number": number, "species": report.species, "lat": f"{one.lat:.6f}", "lon": f"{one.lon:.6f}",
            "long": float(f"{long:.3g}"), "short": float(f"{short:.3g}"), "rate": float(f"{one.rate:.3g}"),
            "low": float(f"{one.low:.3g}"), "high": float(f"{one.high:.3g}"),
        }  # fmt: skip
        lines += [messages.render(f"locate.{line}", lang, **said) for line in ("at", "rate")]
    lines.append(
        messages.render("locate.probability", lang, percent=float(f"{100 * report.probability:.3g}"))
    )
    names = ", ".join(territory.flows[name].name or name for name in report.sensors)
    lines.append(messages.render("locate.from", lang, sensors=names, times=report.times))
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """The report as one JSON document."""
    return json.dumps(report.document() | {"record": report.record}, indent=2, ensure_ascii=False)


make_callable(__name__)
