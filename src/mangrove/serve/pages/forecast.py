# SPDX-License-Identifier: Apache-2.0
"""What comes next: the newest forecast of a flow with its band beside what was measured, and how good its forecaster has been.

Comes in: a view with a flow (`?flow=`), stored forecasts, their later scores and the emissions that they mean. Goes out: three days back and
a week ahead of that flow and of the emissions of what the reader sees, and the record of the forecasters against repeating the week
before. A forecaster that is worse than that says so here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove import messages, outlook
from mangrove.errors import RequestError, did_you_mean
from mangrove.figures import band_lines
from mangrove.forecast.record import KIND, table_of
from mangrove.inference.runs import read_series
from mangrove.inference.series import usable
from mangrove.ledger import Snapshot
from mangrove.ledger.types import series
from mangrove.serve import records
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Flow
from mangrove.times import Span, to_us, utc

Floats = npt.NDArray[np.float64]
BACK, AHEAD = timedelta(days=3), timedelta(days=7)
RUNS = {"q10": "forecast/q10", "q50": "forecast", "q90": "forecast/q90"}
"""The series of a forecast, by quantile."""
_WIDTH, _HEIGHT = 1100, 240
_MOST = 200
"""Forecasts whose scores are added up: the newest ones."""


@dataclass(frozen=True)
class Curve:
    """One flow around now; all arrays have shape (T,), NaN where nothing is known.

    Attributes:
        starts: UTC; actual: what was measured; low, middle, high: quantiles 10, 50 and 90 % of the newest forecast of each step.
    """

    flow: Flow
    starts: npt.NDArray[np.datetime64]
    actual: Floats
    low: Floats
    middle: Floats
    high: Floats

    @property
    def inside(self) -> float:
        """Share of the steps with both a value and a band whose value lies inside the band; NaN without any."""
        both = ~(np.isnan(self.actual) | np.isnan(self.low) | np.isnan(self.high))
        held = (self.actual >= self.low) & (self.actual <= self.high)
        return float(held[both].mean()) if both.any() else math.nan


@dataclass(frozen=True)
class Ahead:
    """Emissions by the hour around now, t CO2e; all arrays have shape (T,), NaN where nothing is known.

    Attributes:
        starts: UTC; actual: what was measured; bands: quantiles of what is expected, shape (Q, T), at `levels`.
        missing: how many flows emit and were not forecast; physical: whether electricity counts by the forecast of the grid.
    """

    starts: npt.NDArray[np.datetime64]
    actual: Floats
    bands: Floats
    levels: tuple[float, ...]
    missing: int
    physical: bool


@dataclass(frozen=True)
class Forecasts:
    """The page.

    Attributes:
        view: what is looked at; flows: those with a forecast that the reader may see; curve: of the chosen one, None without any.
        scores: rows of `mangrove.forecast.record.scores` for these flows; ahead: the emissions that the forecasts mean, None without any.
    """

    view: View
    flows: tuple[Flow, ...]
    curve: Curve | None
    scores: pa.Table
    ahead: Ahead | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The record, the flow that is shown first."""
        chosen = self.curve.flow.id if self.curve else ""
        return sorted(
            self.scores.to_pylist(), key=lambda row: (row["flow"] != chosen, row["flow"], row["from_hour"])
        )

    def name(self, flow: str) -> str:
        """The name of a flow for people."""
        declared = self.view.territory.flows.get(flow)
        return (declared.name if declared else "") or flow

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        return {
            "flow": self.curve.flow.id if self.curve else None,
            "flows": [flow.id for flow in self.flows],
            "unit": self.curve.flow.unit.text if self.curve else None,
            "inside": None if self.curve is None or math.isnan(self.curve.inside) else self.curve.inside,
            "curve": self.tables()["forecast"].to_pylist(),
            "scores": self.scores.to_pylist(),
            "emissions": None if self.ahead is None else self.tables()["emissions"].to_pylist(),
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """The forecast beside what was measured, the record, and the emissions ahead."""
        found = self._tables()
        if self.ahead is not None:
            ahead = self.ahead
            columns = {
                f"q{level * 100:g}_t_co2e": band
                for level, band in zip(ahead.levels, ahead.bands, strict=True)
            }
            found["emissions"] = _table(ahead.starts, {"actual_t_co2e": ahead.actual, **columns})
        return found

    def _tables(self) -> dict[str, pa.Table]:
        curve = self.curve
        if curve is None:
            return {
                "forecast": pa.table({"start": pa.array([], pa.timestamp("us", "UTC"))}),
                "scores": self.scores,
            }
        columns = {"actual": curve.actual, "q10": curve.low, "q50": curve.middle, "q90": curve.high}
        return {"forecast": _table(curve.starts, columns), "scores": self.scores}

    def figures(self, lang: str) -> Mapping[str, str]:
        """The flow with its band, and the emissions with theirs."""
        found = {}
        if self.curve is not None:
            curve = self.curve
            band = (curve.low, curve.middle, curve.high)
            unit = curve.flow.unit.text
            known = (curve.starts, curve.actual, band)
            found["forecast"] = self._drawn(self.name(curve.flow.id), unit, lang, _step(curve.flow), *known)
        if self.ahead is not None:
            ahead = self.ahead
            title = messages.render("page_forecast.emissions", lang)
            band = (ahead.bands[0], ahead.bands[len(ahead.levels) // 2], ahead.bands[-1])
            known = (ahead.starts, ahead.actual, band)
            found["emissions"] = self._drawn(title, "t CO2e", lang, 3600, *known)
        return found

    def _drawn(  # noqa: PLR0917 - what is drawn, then how
        self,
        title: str,
        unit: str,
        lang: str,
        seconds: int,
        starts: npt.NDArray[np.datetime64],
        actual: Floats,
        band: tuple[Floats, Floats, Floats],
    ) -> str:
        midnight = utc(starts[0]).astimezone(self.view.tz).replace(hour=0, minute=0, second=0)
        first = (utc(starts[0]) - midnight).total_seconds() / 3600
        edges = [first + i * seconds / 3600 for i in range(len(starts) + 1)]
        low, middle, high = (part.tolist() for part in band)
        said = {
            messages.render("page_forecast.actual", lang): actual.tolist(),
            messages.render("page_forecast.middle", lang): middle,
        }
        ribbon = (messages.render("page_forecast.band", lang), low, high)
        return band_lines(
            edges, said, title=title, unit=unit, ribbon=ribbon, lang=lang, until=-math.inf, first=midnight.date(),
            width=_WIDTH, height=_HEIGHT, heading=False,
        )  # fmt: skip


def build(live: Live, view: View) -> Forecasts:
    """The page for one view.

    Raises:
        RequestError: `page_forecast.no_flow` for a flow without a forecast that the reader may see.
    """
    if not live.cut():
        return Forecasts(view, (), None, table_of(iter(())))
    with live.snapshot() as snapshot:
        known = snapshot.flow_ids()
        seen = view.scope.flows
        flows = tuple(
            flow
            for flow in live.territory.flows.values()
            if flow.id in seen and series(flow.id, "forecast") in known and flow.step is not None
        )
        chosen = _chosen(flows, view)
        curve = _curve(snapshot, chosen, view.now) if chosen is not None else None
    return Forecasts(view, flows, curve, _scores(live, flows), _ahead(live, view))


def _ahead(live: Live, view: View) -> Ahead | None:
    """The emissions that the forecasts mean, for the place that the reader looks at or sees."""
    place = view.place or ("" if view.scope.whole else view.principal.place)
    if place and not view.scope.sees(place):
        return None
    with live.park.reader() as ledger:
        found = outlook.newest(ledger)
    band = None if found is None else found.band(place=place)
    if found is None or band is None:
        return None
    hours, quantiles = band
    first = np.datetime64((view.now - BACK).replace(tzinfo=None, minute=0, second=0, microsecond=0), "s")
    count = int((hours[-1] - first) / np.timedelta64(3600, "s")) + 1
    if hours[-1] < np.datetime64(view.now.replace(tzinfo=None), "s") or count < 1:
        return None
    starts = first + np.arange(count) * np.timedelta64(3600, "s")
    past = Span(utc(starts[0]), max(view.span.end, view.now).replace(minute=0, second=0, microsecond=0))
    rows = live.table(live.measure(past, every="1h", place=place), every="1h")
    actual = np.full(count, math.nan)
    at = ((rows["start"].to_numpy().astype("datetime64[s]") - first) / np.timedelta64(3600, "s")).astype(
        np.int64
    )
    inside = (at >= 0) & (at < count)
    actual[at[inside]] = rows["co2e_kg"].to_numpy()[inside] / 1000
    bands = np.full((len(found.levels), count), math.nan)
    at = ((hours - first) / np.timedelta64(3600, "s")).astype(np.int64)
    inside = at >= 0
    bands[:, at[inside]] = quantiles[:, inside]
    return Ahead(starts, actual, bands, found.levels, len(found.missing), found.physical)


def _table(starts: npt.NDArray[np.datetime64], columns: Mapping[str, Floats]) -> pa.Table:
    begins = pa.array(starts.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))
    return pa.table(
        {"start": begins, **{name: pa.array(values, from_pandas=True) for name, values in columns.items()}}
    )


def _chosen(flows: Sequence[Flow], view: View) -> Flow | None:
    asked = view.params.get("flow", "")
    for flow in flows:
        if asked in ("", flow.id):
            return flow
    if asked:
        names = [flow.id for flow in flows]
        raise RequestError("page_forecast.no_flow", flow=asked[:40], hint=did_you_mean(asked, names))
    return None


def _curve(snapshot: Snapshot, flow: Flow, now: datetime) -> Curve:
    """What was measured and forecast around now, on the steps of the flow."""
    low, high = (to_us(moment) for moment in (now - BACK, now + AHEAD))
    step = _step(flow) * 1_000_000
    grid = np.arange(low - low % step, high, step)
    found: dict[str, Floats] = {}
    for name, run in {"actual": "measured", **RUNS}.items():
        known = read_series(snapshot, series(flow.id, run), low - step, high)
        known = known.pick(usable(known.quality))
        values = np.full(len(grid), math.nan)
        at = (known.start - grid[0]) // step
        inside = (at >= 0) & (at < len(grid))
        values[at[inside]] = known.value[inside]
        found[name] = values
    found["actual"][grid >= to_us(now)] = math.nan
    told = ~np.isnan(np.stack(list(found.values()))).all(axis=0)
    last = int(np.flatnonzero(told)[-1]) + 1 if told.any() else len(grid)
    grid, found = grid[:last], {name: values[:last] for name, values in found.items()}
    begins = grid.astype("datetime64[us]").astype("datetime64[s]")
    return Curve(flow, begins, found["actual"], found["q10"], found["q50"], found["q90"])


def _scores(live: Live, flows: Sequence[Flow]) -> pa.Table:
    """The record of the newest scores, for the flows that the reader may see."""
    names = [flow.id for flow in flows]
    documents = (one.document for one in records.newest(live, KIND, _MOST)) if names else iter(())
    return table_of(documents, names)


def _step(flow: Flow) -> int:
    assert flow.step is not None
    return flow.step.seconds or 86_400


SCREEN = Screen(
    "forecast",
    order=22,
    model=build,
    template="forecast.html",
    keeps=("flow",),
    roles=("admin", "operator", "tenant", "worker"),
)
