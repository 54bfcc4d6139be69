# SPDX-License-Identifier: Apache-2.0
"""Weather-normalized change at a station: reads its species, the weather and its neighbors, asks the engine, says what it found.

Comes in: a handle, a station (a place), a period before and a period after. Goes out: the change of each species with the weather taken
out, and the probability that activity, weather or an instrument did it; a record of kind `station_change`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mangrove import messages
from mangrove.errors import DataQualityError, Problem, RequestError, did_you_mean
from mangrove.times import Span, to_us
from mangrove.verbs import make_callable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mangrove.handle import Handle
    from mangrove.inference.station_change import Change
    from mangrove.ledger import Snapshot
    from mangrove.territory.model import Flow, Territory

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

KIND, VERSION = "station_change", "1"
ACTIVITY = "II.1.1"
"""GPC reference whose hours of the day stand for activity near a street: road transport."""
_HOUR_US = 3_600_000_000
_SATURDAY, _YEAR = 5, 365
_SURE = 0.8
_WEATHER = ("temperature", "humidity", "mixing_height", "irradiance", "pressure", "rain")
_MIN_SPEED = 0.3


@dataclass(frozen=True, slots=True)
class Report:
    """What changed at a station.

    Attributes:
        station: id of the place; before, after: the periods; change: see `mangrove.inference.station_change.Change`.
        flows: ids of the flows compared; weather: codes of the weather used; neighbors: ids of the flows of other stations.
        notes: what cannot be known here; record: id of the stored record.
    """

    station: str
    before: Span
    after: Span
    change: Change
    flows: tuple[str, ...]
    weather: tuple[str, ...]
    neighbors: tuple[str, ...]
    notes: tuple[Problem, ...]
    record: str = ""

    def document(self) -> dict[str, Any]:
        """The report as plain data."""
        made = self.change
        rows = [
            {
                "species": name, "raw": float(made.raw[i]), "change": float(made.change[i]), "weather": float(made.weather[i]),
                "low80": float(made.low80[i]), "high80": float(made.high80[i]), "low95": float(made.low95[i]),
                "high95": float(made.high95[i]), "night": float(made.contrasts[i, 0]), "day": float(made.contrasts[i, 1]),
                "rush": float(made.contrasts[i, 2]), "skill": float(made.skill[i]), "model": made.model[i],
                "suspect": float(made.suspect[i]),
            }
            for i, name in enumerate(made.species)
        ]  # fmt: skip
        return {
            "station": self.station, "before": [t.isoformat() for t in (self.before.start, self.before.end)],
            "after": [t.isoformat() for t in (self.after.start, self.after.end)], "days": list(made.days), "changes": rows,
            "causes": made.causes, "flows": self.flows, "weather": self.weather, "neighbors": self.neighbors,
            "notes": [note.text("en") for note in self.notes], "version": VERSION,
        }  # fmt: skip


def station_change(
    park: Handle,
    station: str,
    before: Span | str,
    after: Span | str,
    *,
    species: Sequence[str] = (),
    models: Sequence[str] = ("ridge",),
    store: bool = True,
) -> Report:
    """Compares a station before and after, with the weather taken out.

    Args:
        park: an opened territory.
        station: id of the place at which the flows `air:...` stand that are compared; those below it do not count.
        before: a period ("2024-03"), or two instants with `..` between ("2024-01-01..2024-03-15"); local time.
        after: the same.
        species: which ones, by species or by id of a flow; all of the station when empty.
        models: see `mangrove.inference.station_change.change`.
        store: keep the result as a record of kind `station_change`.

    Raises:
        RequestError: an unknown station, one at which no flow stands, two instruments of one species, or periods that overlap.
        DataQualityError: no readings, or no weather at all.
    """
    territory = park.territory
    spans = _span(before, territory.tz), _span(after, territory.tz)
    if spans[1].start < spans[0].end:
        before, after = (
            f"{one.astimezone(territory.tz):%Y-%m-%d %H:%M}" for one in (spans[0].end, spans[1].start)
        )
        raise RequestError("locate.sides_overlap", before=before, after=after)
    own, others = _flows(territory, station, species)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        report = _compared(snapshot, territory, station, spans, (own, others), models)
    if not store:
        return report
    with park.reader() as ledger:
        record = ledger.put_record(KIND, json.dumps(report.document(), sort_keys=True).encode())
    return replace(report, record=record)


def _span(text: Span | str, tz: ZoneInfo) -> Span:
    if isinstance(text, Span):
        return text
    start, _, end = text.partition("..")
    return Span.asked(start, end or None, tz)


def _flows(territory: Territory, station: str, species: Sequence[str]) -> tuple[list[Flow], list[Flow]]:
    """The flows that stand at the station, one a species, and those of other places."""
    if station not in territory.places:
        raise RequestError("locate.no_area", place=station, hint=did_you_mean(station, territory.places))
    air = [flow for flow in territory.flows.values() if flow.carrier.kind == "air"]
    here = [flow for flow in air if flow.place == station]
    below = sorted({flow.place for flow in air if territory.lies_in(flow.place, station)})
    if not here and below:
        raise RequestError("locate.station_below", place=station, options=", ".join(below))
    if not here:
        raise RequestError("locate.no_station", place=station)
    own: dict[str, list[Flow]] = {}
    for flow in here:
        own.setdefault(flow.carrier.code, []).append(flow)
    known = {**own, **{flow.id: [flow] for flow in here}}
    for name in species:
        if name not in known:
            hint = did_you_mean(name, known)
            raise RequestError("locate.no_species", species=name, hint=hint, options=", ".join(own))
    chosen = list({flow.id: flow for name in species or own for flow in known[name]}.values())
    _one_each(chosen, station)
    names = {flow.carrier.code for flow in chosen}
    others = [f for f in air if f.carrier.code in names and not territory.lies_in(f.place, station)]
    return chosen, others


def _one_each(flows: Sequence[Flow], station: str) -> None:
    """Two instruments of a species are not one series: people choose."""
    for code in dict.fromkeys(flow.carrier.code for flow in flows):
        same = [flow.id for flow in flows if flow.carrier.code == code]
        if len(same) > 1:
            raise RequestError("locate.two_instruments", species=code, place=station, options=", ".join(same))


def _compared(  # noqa: PLR0917 - private
    snapshot: Snapshot,
    territory: Territory,
    station: str,
    spans: tuple[Span, Span],
    flows: tuple[list[Flow], list[Flow]],
    models: Sequence[str],
) -> Report:
    """Everything on the hours from the first to the last."""
    import numpy as np

    from mangrove.inference import station_change as engine
    from mangrove.inference.days import weekdays
    from mangrove.inference.series import local_time
    from mangrove.measure import profiles

    first, last = (int(moment.timestamp()) // 3600 for moment in (spans[0].start, spans[1].end))
    starts = np.arange(first, last, dtype=np.int64) * _HOUR_US
    local = local_time(starts, territory.tz)
    day = local // (24 * _HOUR_US)
    sides = [(starts >= to_us(span.start)) & (starts < to_us(span.end)) for span in spans]
    hours = engine.Hours((local // _HOUR_US) % 24, weekdays(day) >= _SATURDAY, day, sides[0], sides[1])
    own, others = flows
    values = np.array([_hourly(snapshot, flow, starts) for flow in own])
    beside = [
        _together(snapshot, [f for f in others if f.carrier.code == flow.carrier.code], starts)
        for flow in own
    ]
    air, codes = _weather(snapshot, territory, station, starts)
    if not codes:
        raise DataQualityError("locate.no_weather", place=station)
    tuesday = np.arange("2024-06-03T00", "2024-06-06T00", dtype="datetime64[h]")
    clock = (local_time(tuesday.astype("datetime64[us]").astype(np.int64), territory.tz) // _HOUR_US) % 24
    road = profiles.shape(ACTIVITY, tuesday, territory.tz, seasons=False, holidays=False)
    activity = np.array([road[clock == hour].mean() for hour in range(24)])
    found = engine.change(
        [flow.carrier.code for flow in own], values, air, hours, activity,
        neighbors=np.array(beside) if others else None, models=models,
    )  # fmt: skip
    notes = _notes(spans, found, codes, others=bool(others))
    return Report(
        station,
        *spans,
        found,
        tuple(f.id for f in own),
        tuple(codes),
        tuple(f.id for f in others),
        tuple(notes),
    )


def _notes(spans: tuple[Span, Span], found: Change, codes: Sequence[str], *, others: bool) -> list[Problem]:
    """What cannot be told apart with what there is."""
    notes = []
    if "wind" not in codes:
        notes.append(Problem("locate.without_wind", {"weather": ", ".join(codes)}, severity="warning"))
    if not others:
        notes.append(Problem("locate.without_neighbors", severity="note"))
    if len(found.species) == 1:
        notes.append(Problem("locate.one_species", severity="note"))
    if spans[0].hours < _YEAR * 24:
        notes.append(Problem("locate.no_whole_year", {"days": found.days[0]}, severity="note"))
    if max(found.causes.values()) < _SURE:
        notes.append(
            Problem(
                "locate.cause_open", {"percent": round(100 * max(found.causes.values()))}, severity="note"
            )
        )
    return notes


def _hourly(snapshot: Snapshot, flow: Flow, starts: Ints) -> Floats:
    """(T,) hourly means of the usable values of a flow; NaN where there is none."""
    import numpy as np

    from mangrove.inference.runs import read_series
    from mangrove.inference.series import usable

    rows = read_series(snapshot, flow.id, int(starts[0]), int(starts[-1]) + _HOUR_US)
    rows = rows.pick(usable(rows.quality) & np.isfinite(rows.value))
    at = (rows.start - starts[0]) // _HOUR_US
    count = np.bincount(at, minlength=len(starts))
    total = np.bincount(at, rows.value, minlength=len(starts))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _together(snapshot: Snapshot, flows: Sequence[Flow], starts: Ints) -> Floats:
    """(T,) geometric mean of other stations, each divided by its own mean, so that a station that is missing for a while shifts nothing."""
    import numpy as np

    total, count = np.zeros(len(starts)), np.zeros(len(starts))
    for flow in flows:
        values = _hourly(snapshot, flow, starts)
        there = np.isfinite(values) & (values > 0)
        if there.any():
            log = np.log(np.where(there, values, 1.0))
            total += np.where(there, log - log[there].mean(), 0.0)
            count += there
    return np.where(count > 0, np.exp(total / np.maximum(count, 1)), np.nan)


def _weather(
    snapshot: Snapshot, territory: Territory, station: str, starts: Ints
) -> tuple[Floats, list[str]]:
    """(T, W) columns and the codes of the weather they stand for: the station's own flows before those of other places.

    A code without values in both periods is left out; so is wind without both speed and direction.
    """
    import numpy as np

    found: dict[str, Floats] = {}
    weather = [flow for flow in territory.flows.values() if flow.carrier.kind == "weather"]
    for flow in sorted(weather, key=lambda flow: not territory.lies_in(flow.place, station)):
        if flow.carrier.code not in found:
            values = _hourly(snapshot, flow, starts)
            if np.isfinite(values).mean() > 0.2:  # noqa: PLR2004 - a column that is mostly missing would take all hours with it
                found[flow.carrier.code] = values
    columns, codes = [], []
    if "wind_speed" in found and "wind_from" in found:
        speed, angle = found["wind_speed"], np.radians(found["wind_from"])
        columns += [np.log(np.maximum(speed, _MIN_SPEED)), -speed * np.sin(angle), -speed * np.cos(angle)]
        codes.append("wind")
    for code in _WEATHER:
        if code in found:
            columns.append(np.log1p(np.maximum(found[code], 0)) if code == "rain" else found[code])
            codes.append(code)
    return (np.column_stack(columns) if columns else np.empty((len(starts), 0))), codes


def text(report: Report, lang: str, territory: Territory) -> str:
    """The report for people: a line a species, then the causes."""
    made = report.change
    name = territory.places[report.station].name or report.station
    lines = [
        messages.render("locate.station_head", lang, station=name, before=made.days[0], after=made.days[1])
    ]
    for i, species in enumerate(made.species):
        said = {
            "species": species, "raw": _percent(made.raw[i]), "change": _percent(made.change[i]),
            "low80": _percent(made.low80[i]), "high80": _percent(made.high80[i]), "low95": _percent(made.low95[i]),
            "high95": _percent(made.high95[i]), "weather": _percent(made.weather[i]),
            "night": _percent(made.contrasts[i, 0]), "rush": _percent(made.contrasts[i, 2]),
            "skill": round(100 * float(made.skill[i])),
        }  # fmt: skip
        lines.append(messages.render("locate.station_species", lang, **said))
    shares = {cause: round(100 * share) for cause, share in made.causes.items()}
    lines.append(messages.render("locate.station_causes", lang, **shares))
    if made.likely == "instrument":
        lines.append(
            messages.render("locate.station_suspect", lang, species=made.species[int(made.suspect.argmax())])
        )
    return "\n".join(lines)


def _percent(share: float) -> float:
    return round(100 * float(share), 1)


def as_json(report: Report) -> str:
    """The report as one JSON document."""
    return json.dumps(report.document() | {"record": report.record}, indent=2, ensure_ascii=False)


make_callable(__name__)
