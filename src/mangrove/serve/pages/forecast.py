# SPDX-License-Identifier: Apache-2.0
"""What comes next: the newest forecast of a flow with its band beside what was measured, and how good its forecaster has been.

Comes in: a view with a flow (`?flow=`), stored forecasts and their later scores. Goes out: three days back and a week ahead of that flow,
and the record of the forecasters against repeating the week before. A forecaster that is worse than that says so here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove import messages
from mangrove.errors import RequestError, did_you_mean
from mangrove.figures import band_lines
from mangrove.forecast.record import KIND, table_of
from mangrove.inference.runs import read_series
from mangrove.inference.series import usable
from mangrove.ledger import Snapshot
from mangrove.ledger.types import series
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Flow
from mangrove.times import utc

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
class Forecasts:
    """The page.

    Attributes:
        view: what is looked at; flows: those with a forecast that the reader may see; curve: of the chosen one, None without any.
        scores: rows of `mangrove.forecast.record.scores` for these flows.
    """

    view: View
    flows: tuple[Flow, ...]
    curve: Curve | None
    scores: pa.Table

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
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """The forecast beside what was measured, and the record."""
        curve = self.curve
        if curve is None:
            return {
                "forecast": pa.table({"start": pa.array([], pa.timestamp("us", "UTC"))}),
                "scores": self.scores,
            }
        columns = {"actual": curve.actual, "q10": curve.low, "q50": curve.middle, "q90": curve.high}
        starts = pa.array(curve.starts.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))
        table = pa.table(
            {
                "start": starts,
                **{name: pa.array(values, from_pandas=True) for name, values in columns.items()},
            }
        )
        return {"forecast": table, "scores": self.scores}

    def figures(self, lang: str) -> Mapping[str, str]:
        """The flow with its band."""
        curve = self.curve
        if curve is None:
            return {}
        midnight = utc(curve.starts[0]).astimezone(self.view.tz).replace(hour=0, minute=0, second=0)
        seconds = _step(curve.flow)
        first = (utc(curve.starts[0]) - midnight).total_seconds() / 3600
        edges = [first + i * seconds / 3600 for i in range(len(curve.starts) + 1)]
        said = {
            messages.render("page_forecast.actual", lang): curve.actual.tolist(),
            messages.render("page_forecast.middle", lang): curve.middle.tolist(),
        }
        band = (messages.render("page_forecast.band", lang), curve.low.tolist(), curve.high.tolist())
        drawn = band_lines(
            edges, said, title=self.name(curve.flow.id), unit=curve.flow.unit.text, ribbon=band, lang=lang,
            until=-math.inf, first=midnight.date(), width=_WIDTH, height=_HEIGHT, heading=False,
        )  # fmt: skip
        return {"forecast": drawn}


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
    return Forecasts(view, flows, curve, _scores(live, flows))


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
    low, high = (int(moment.timestamp() * 1_000_000) for moment in (now - BACK, now + AHEAD))
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
    found["actual"][grid >= int(now.timestamp() * 1_000_000)] = math.nan
    told = ~np.isnan(np.stack(list(found.values()))).all(axis=0)
    last = int(np.flatnonzero(told)[-1]) + 1 if told.any() else len(grid)
    grid, found = grid[:last], {name: values[:last] for name, values in found.items()}
    begins = grid.astype("datetime64[us]").astype("datetime64[s]")
    return Curve(flow, begins, found["actual"], found["q10"], found["q50"], found["q90"])


def _scores(live: Live, flows: Sequence[Flow]) -> pa.Table:
    """The record of the newest scores, for the flows that the reader may see."""
    names = [flow.id for flow in flows]

    def read() -> list[dict[str, Any]]:
        with live.park.reader() as ledger:
            kept = [id_ for id_, _ in ledger.records(KIND)][-_MOST:]
            return [json.loads(ledger.record(id_)[1]) for id_ in kept]

    documents = live.kept.get(("forecast scores", live.cut()), read)
    return table_of(iter(documents), names) if names else table_of(iter(()))


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
