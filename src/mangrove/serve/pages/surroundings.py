# SPDX-License-Identifier: Apache-2.0
"""What happens around: alerts of now, the air of each station, the last days of a gauge or a sensor, what sensors say about emissions.

Comes in: a view with a series (`?flow=`), values of air, weather and water, stored inversions and virtual meters. Goes out: alerts with
the rule that says so, the index of air with its band and advice, limits exceeded with their document, a series with its alarm lines, the
newest inversion, and the reference measurements that virtual meters ask for. What is too old to say anything is said to be so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove import messages
from mangrove.errors import RequestError, RuleError, did_you_mean
from mangrove.figures import band_lines
from mangrove.hazard import Hazards, Station, levels_of
from mangrove.inference.runs import read_series
from mangrove.inference.series import usable
from mangrove.ledger import Snapshot
from mangrove.ledger.types import series
from mangrove.rules import air_quality, flood
from mangrove.serve import hazards
from mangrove.serve.screens import Screen
from mangrove.serve.sensed import Sensed, sensed
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.serve.virtual_meters import Meter, meters
from mangrove.territory.model import Flow
from mangrove.times import to_us, utc

Floats = npt.NDArray[np.float64]
BACK, AHEAD = timedelta(days=7), timedelta(days=2)
_HOUR = 3600 * 1_000_000
_WIDTH, _HEIGHT = 1100, 240
_LIMITED = ("1h", "8h", "24h")
"""Averaging times whose limits are drawn: a line of a year says nothing of a week."""


@dataclass(frozen=True)
class Course:
    """The last days of one flow, by the hour; all arrays have shape (T,), NaN where nothing is known.

    Attributes:
        starts: UTC; actual: measured; ahead: forecast; unit: of both; lines: alarm levels and limits by their name.
    """

    flow: Flow
    starts: npt.NDArray[np.datetime64]
    actual: Floats
    ahead: Floats
    unit: str
    lines: Mapping[str, float]


@dataclass(frozen=True)
class Surroundings:
    """The page.

    Attributes:
        view: what is looked at; found: alerts, stations and problems that the reader may know of; at: the moment.
        flows: the series that can be chosen; course: of the chosen one, None when nothing has values.
        sensed: the newest inversion, None without one; meters: virtual meters with what they ask for.
    """

    view: View
    found: Hazards
    at: datetime
    flows: tuple[Flow, ...]
    course: Course | None
    sensed: Sensed | None
    meters: tuple[Meter, ...]

    @property
    def running(self) -> bool:
        """Whether the page tells of now, and not of the end of a period that is over."""
        return self.at == self.view.now

    def place(self, id_: str) -> str:
        """The name of a place."""
        declared = self.view.territory.places.get(id_)
        return declared.name if declared else id_

    def name(self, flow: Flow) -> str:
        """What people call a series: where and what."""
        return f"{self.place(flow.place)}: {flow.name or flow.carrier.code}"

    def band(self, station: Station) -> air_quality.Level | None:
        """The band of the index of the hour."""
        return None if station.index.value is None else air_quality.level_of(station.index.value)

    def color(self, station: Station) -> str:
        """The color of the band, as the decision gives it."""
        band = self.band(station)
        return "#ffffff" if band is None else "#" + "".join(f"{part:02x}" for part in band.rgb)

    @cached_property
    def stations(self) -> Sequence[Station]:
        """The stations that measure anything of the index; a sensor of methane has none."""
        asked = (*air_quality.PARTICLES, *air_quality.GASES)
        wanted = {
            flow.place for flow in self.flows if flow.carrier.kind == "air" and flow.carrier.code in asked
        }
        return [one for one in self.found.stations if one.place in wanted]

    @cached_property
    def stale(self) -> Sequence[Any]:
        """What is silent or too old, the worst first."""
        return sorted(self.found.problems, key=lambda one: one.severity != "warning")

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        tables = self.tables()
        return {
            "at": self.at,
            "alerts": tables["alerts"].to_pylist(),
            "stations": tables["stations"].to_pylist(),
            "exceeded": tables["exceeded"].to_pylist(),
            "series": None if self.course is None else self.course.flow.id,
            "unit": None if self.course is None else self.course.unit,
            "lines": None if self.course is None else dict(self.course.lines),
            "values": tables["series"].to_pylist(),
            "flows": [flow.id for flow in self.flows],
            "inversion": None if self.sensed is None else self.sensed.json(),
            "virtual": [one.json() for one in self.meters],
            "problems": [{"code": one.code, "text": one.text(self.view.lang)} for one in self.stale],
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """Alerts, stations, limits exceeded, the series, and what sensors say."""
        lang = self.view.lang
        found = {
            "alerts": _rows(
                [
                    {
                        "kind": one.kind, "level": one.level, "place": one.place, "flow": one.flow, "value": one.value,
                        "unit": one.unit, "since": one.since, "rule": one.rule[lang], "trend_per_hour": one.trend,
                        "expected": one.crossing, "source": one.source, "status": one.status,
                    }
                    for one in self.found.alerts
                ],
                ("kind", "place"),
            ),
            "stations": _rows([self._station(one) for one in self.stations], ("place",)),
            "exceeded": _rows(
                [
                    {
                        "place": one.place, "pollutant": limit.pollutant, "averaging": limit.averaging, "limit_ug_m3": limit.value,
                        "mean_ug_m3": mean, "document": limit.document, "status": limit.status, "source": limit.source,
                    }
                    for one in self.found.stations
                    for limit, mean in one.exceeded
                ],
                ("place", "pollutant"),
            ),
            "series": self._series(),
        }  # fmt: skip
        return found | (self.sensed.tables() if self.sensed else {})

    def _station(self, one: Station) -> dict[str, Any]:
        band = self.band(one)
        return {
            "place": one.place,
            "hour": one.hour,
            "vn_aqi": one.index.value,
            "pollutant": one.index.pollutant,
            "band": None if band is None else band.key,
            "vn_aqi_day": one.day.value,
            **{f"vn_aqi_{name}": value for name, value in sorted(one.index.by_pollutant.items())},
        }

    def _series(self) -> pa.Table:
        course = self.course
        if course is None:
            return _rows([], ("start",))
        return pa.table(
            {
                "start": pa.array(course.starts.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC")),
                "measured": pa.array(course.actual, from_pandas=True),
                "forecast": pa.array(course.ahead, from_pandas=True),
            }
        )

    def figures(self, lang: str) -> Mapping[str, str]:
        """The series with its lines, and what the sensors make of the inventory."""
        found = {} if self.course is None else {"series": self._drawn(self.course, lang)}
        return found | (self.sensed.figures(lang) if self.sensed else {})

    def _drawn(self, course: Course, lang: str) -> str:
        midnight = utc(course.starts[0]).astimezone(self.view.tz).replace(hour=0, minute=0, second=0)
        first = (utc(course.starts[0]) - midnight).total_seconds() / 3600
        edges = [first + i for i in range(len(course.starts) + 1)]
        said = {messages.render("page_surroundings.measured", lang): course.actual.tolist()}
        if not np.isnan(course.ahead).all():
            said[messages.render("page_surroundings.ahead", lang)] = course.ahead.tolist()
        said |= {name: [level] * len(course.starts) for name, level in course.lines.items()}
        return band_lines(
            edges, said, title=self.name(course.flow), unit=course.unit, lang=lang, until=-math.inf,
            first=midnight.date(), width=_WIDTH, height=_HEIGHT, heading=False,
        )  # fmt: skip


def build(live: Live, view: View) -> Surroundings:
    """The page for one view.

    Raises:
        RequestError: `page_surroundings.no_flow` for a series that the reader may not know of.
    """
    at = view.now if view.period.end > view.now else view.span.end
    found = hazards.at(live, view, at)
    flows = hazards.watched(view.scope)
    chosen = _chosen(flows, found, view)
    course = None
    if chosen is not None and live.cut():
        with live.snapshot() as snapshot:
            course = _course(snapshot, chosen, at, view)
    return Surroundings(view, found, at, flows, course, sensed(live, view), meters(live, view))


def _chosen(flows: Sequence[Flow], found: Hazards, view: View) -> Flow | None:
    """The series that was asked for; else that of the worst alert, of the worst air, or the first."""
    named = {flow.id: flow for flow in flows}
    asked = view.params.get("flow", "")
    if asked and asked not in named:
        hint = did_you_mean(asked, named)
        raise RequestError("page_surroundings.no_flow", flow=asked[:40], hint=hint)
    if asked:
        return named[asked]
    if found.alerts:
        return named[found.alerts[0].flow]
    ordered = sorted(flows, key=lambda flow: hazards.KINDS.index(flow.carrier.kind))
    return ordered[0] if ordered else None


def _course(snapshot: Snapshot, flow: Flow, at: datetime, view: View) -> Course:
    """Hourly means (sums of rain) of the days before a moment, the forecast after it, and the levels that matter."""
    low, high, now = (to_us(moment) for moment in (at - BACK, at + AHEAD, at))
    low -= low % _HOUR
    count = (high - low) // _HOUR + 1
    found = {}
    for name, run, end in (("actual", "measured", now + 1), ("ahead", "forecast", high)):
        known = read_series(snapshot, series(flow.id, run), low, end)
        known = known.pick(usable(known.quality) & (known.start >= (low if name == "actual" else now)))
        hour = (known.start - low) // _HOUR
        sums = np.bincount(hour, known.value, minlength=count)
        counts = np.bincount(hour, minlength=count)
        with np.errstate(invalid="ignore"):
            found[name] = np.where(
                counts > 0, sums / (1 if flow.semantics == "sum" else np.maximum(counts, 1)), np.nan
            )
    factor, unit = _shown_in(flow)
    told = ~(np.isnan(found["actual"]) & np.isnan(found["ahead"]))
    last = int(np.flatnonzero(told)[-1]) + 1 if told.any() else (now - low) // _HOUR + 1
    starts = (low + np.arange(last) * _HOUR).astype("datetime64[us]").astype("datetime64[s]")
    actual, ahead = (found[name][:last] * factor for name in ("actual", "ahead"))
    return Course(flow, starts, actual, ahead, unit, _lines(flow, at, view))


def _shown_in(flow: Flow) -> tuple[float, str]:
    """What values are multiplied with, and the unit then: levels in meters, air in ug/m3."""
    if flow.carrier.kind == "water_level":
        return flow.unit.to("m"), "m"
    if flow.carrier.kind == "air":
        try:
            return float(air_quality.micrograms(np.ones(1), flow.unit, flow.carrier.code)[0]), "ug/m3"
        except RuleError:
            pass
    return 1.0, flow.unit.text


def _lines(flow: Flow, at: datetime, view: View) -> dict[str, float]:
    """Alarm levels of a gauge, limits of a pollutant, classes of heat."""
    day, lang = at.astimezone(view.tz).date(), view.lang
    if flow.carrier.kind == "water_level":
        rule = levels_of(flow, day)
        levels = rule.levels if rule else ()
        return {
            messages.render("page_surroundings.alarm", lang, level=number): level
            for number, level in enumerate(levels, 1)
            if level is not None
        }
    if flow.carrier.kind == "air":
        return {
            f"{limit.document} {limit.averaging}": limit.value
            for limit in air_quality.limits(day)
            if limit.pollutant == flow.carrier.code and limit.averaging in _LIMITED
        }
    if flow.carrier.code == "temperature" and flow.unit.text == "degC":
        return {one.name[lang]: one.above for one in flood.classes("heat", day)}
    return {}


def _rows(rows: Sequence[Mapping[str, Any]], least: Sequence[str]) -> pa.Table:
    """A table of rows; with its first columns when there are none."""
    if not rows:
        return pa.table({name: pa.array([], pa.string()) for name in least})
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})


SCREEN = Screen(
    "surroundings",
    order=35,
    model=build,
    template="surroundings.html",
    period="week",
    keeps=("flow",),
    fits=hazards.fits,
)
