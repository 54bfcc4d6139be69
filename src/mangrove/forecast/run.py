# SPDX-License-Identifier: Apache-2.0
"""Forecasts over a ledger: read what was known, forecast each flow, store what was said and how good it has been.

Comes in: a ledger, a territory, flows and an origin. Goes out: batches of runs `forecast` (the median) and `forecast/q10`, ... (the other
quantiles), a record with scores and inputs, and a report. A flow that cannot be forecast gets a reason instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256

import numpy as np
import pyarrow as pa

from mangrove.errors import DataQualityError, Problem, RequestError, did_you_mean
from mangrove.forecast.calendar import DAY, Floats, Times
from mangrove.forecast.daily import HISTORY
from mangrove.forecast.forecaster import FEWEST_DAYS, Forecast, Forecaster, joint_samples, utc
from mangrove.forecast.outside import Outside
from mangrove.forecast.totals import Reconciler, candidates, totals
from mangrove.inference.runs import limits_of, read_series
from mangrove.inference.series import SECOND, Series, common_phase, local_time, usable
from mangrove.ledger import Ledger, Origin, Quality, Receipt, Snapshot
from mangrove.rules import holidays
from mangrove.territory.model import Flow, Territory
from mangrove.times import Step, from_us, instant, to_us

MODEL, VERSION = "mix", "1"
LONGEST = 14
"""Days that a forecast reaches at most: beyond them the weather decides, and nothing here knows it."""
_STALE_HOURS = 24
_DAY_OF_23_HOURS = 82_800
"""The shortest that a daily step lasts, in seconds: the clock was set forward on it."""


@dataclass
class ForecastReport:
    """What was forecast from an origin, what could not be and why, and where it is stored.

    Attributes:
        origin: UTC; forecasts: by flow, in the order asked; reasons: by flow, why there is none.
        notes: what to know about the forecasts there are.
        totals: what was made to add up, see `mangrove.forecast.totals`.
        record: id of the stored record with scores and inputs; receipts: of the batches. Empty when nothing was stored.
    """

    origin: datetime
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    reasons: dict[str, Problem] = field(default_factory=dict)
    notes: list[Problem] = field(default_factory=list)
    totals: list[Reconciler] = field(default_factory=list)
    record: str = ""
    receipts: list[Receipt] = field(default_factory=list)

    def problems(self) -> list[Problem]:
        """The reasons, then the notes."""
        return [*self.reasons.values(), *self.notes]

    def samples(self, count: int, seed: int = 0) -> dict[str, Floats]:
        """Joint possible futures by flow, shape (count, T) each; flows with other steps are sampled apart. Totals are the sums of their parts."""
        alone = self.forecasts | {
            name: one for tree in self.totals for name, one in zip(tree.tree.names, tree.base, strict=True)
        }
        found: dict[str, Floats] = {}
        for steps in dict.fromkeys(len(one.starts) for one in alone.values()):
            names = [name for name, one in alone.items() if len(one.starts) == steps]
            drawn = joint_samples([alone[name] for name in names], count, seed)
            found.update(zip(names, drawn, strict=True))
        for tree in self.totals:
            added = tree.reconciled(np.stack([found[name] for name in tree.tree.names]))
            found.update(zip(tree.tree.names, added, strict=True))
        return {name: found[name] for name in self.forecasts}

    def to_arrow(self) -> pa.Table:
        """One row a step: flow, start (UTC), one column a quantile (`q10`, `q50`, ...)."""
        tables = [_wide(name, one) for name, one in self.forecasts.items()]
        return pa.concat_tables(tables) if tables else pa.table({"flow": [], "start": []})


def forecast(
    ledger: Ledger,
    territory: Territory,
    flows: Sequence[str] = (),
    origin: str | date | datetime | None = None,
    horizon: str | Step = "48h",
    *,
    as_of: datetime | None = None,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    models: Sequence[str] = ("naive", "profile", "ridge", "boosted"),
    weather: Mapping[str, tuple[Times, Floats]] | None = None,
    lagged_weather: bool = False,
    reconcile: bool = True,
    store: bool = True,
) -> ForecastReport:
    """Forecasts flows from an origin on and stores the result.

    Args:
        ledger: open for writing when `store`.
        territory: says step, meaning and limits of each flow.
        flows: flow ids; default: all that have values and a step that divides a day, but the weather: its forecasts come from elsewhere.
        origin: the first instant that is forecast, local time when naive; default: the end of the newest value.
        horizon: how far ahead, up to 14 days.
        as_of: use what was recorded until then. Default: until the origin, when one is given; a history that was imported later
            was not known then, and only `as_of` says that it may be used all the same. Values that end after the origin never are.
        quantiles: probabilities, ascending; the one nearest to 0.5 is stored as the forecast itself.
        models: see `Forecaster`; flows metered by a declared PV asset get the clear sky as well.
        weather: by flow, forecasts of the weather as in `Forecaster.fit`. Without it what the ledger holds of the weather flows around
            a flow is used, see `mangrove.forecast.outside`.
        lagged_weather: describe days by the weather observed on the day before as well, where the ledger holds no forecast of it.
        reconcile: make totals and their parts add up, where the measured values show that a flow is a total.
        store: keep the forecasts and their record.

    Raises:
        RequestError: an unknown flow, a horizon that makes no sense.
        DataQualityError: `forecast.no_flows`.
    """
    for name in flows:
        if name not in territory.flows:
            raise RequestError("forecast.unknown_flow", flow=name, hint=did_you_mean(name, territory.flows))
    names = list(flows) or [
        name for name, flow in territory.flows.items() if _steps_of(flow) and flow.carrier.kind != "weather"
    ]
    moment = instant(origin, territory.tz) if origin is not None else None
    if moment is not None and as_of is None:
        as_of = moment
    hours = _hours(horizon)
    with ledger.snapshot(as_of=as_of) as snapshot:
        moment = moment or _newest(snapshot, territory, names)
        report, sources = ForecastReport(moment), {}
        possible = candidates(territory, names) if reconcile else {}
        needed = {one for total, parts in possible.items() for one in (total, *parts)}
        histories: dict[str, Series] = {}
        outside = Outside(snapshot, territory, moment, lagged=lagged_weather)
        for name in names:
            one = _Ask(territory, territory.flows[name], moment, hours, tuple(quantiles), tuple(models))
            try:
                history = one.history(snapshot)
                report.forecasts[name] = one.forecast(history, (weather or {}).get(name), outside)
            except (DataQualityError, RequestError) as error:
                report.reasons[name] = error.problem
                continue
            sources[name] = _digest(history)
            report.notes += one.notes(history, report.forecasts[name])
            if name in needed:
                histories[name] = history
        cut = snapshot.cut
    _add_up(report, territory, histories)
    _explain_later(ledger, report)
    report.notes += _calendar_notes(territory, report)
    if store and report.forecasts:
        _store(ledger, report, sources, cut)
    return report


@dataclass(frozen=True, slots=True)
class _Ask:
    """One flow to forecast from one origin."""

    territory: Territory
    flow: Flow
    origin: datetime
    hours: float
    quantiles: tuple[float, ...]
    models: tuple[str, ...]

    def history(self, snapshot: Snapshot) -> Series:
        """The usable values whose interval ended by the origin; `DataQualityError` when there is none."""
        flow = self.flow
        step = _steps_of(flow)
        if not step:
            raise DataQualityError("forecast.no_step", flow=flow.id)
        end = to_us(self.origin) - min(step, _DAY_OF_23_HOURS) * SECOND
        series = read_series(snapshot, flow.id, end - (HISTORY + 28) * DAY * SECOND, end + 1)
        series = series.pick(usable(series.quality))
        phase = local_time(series.start, self.territory.tz) % (step * SECOND)
        series = series.pick(phase == common_phase(phase, step * SECOND))
        while len(series) and self._ends_later(int(series.start[-1])):
            series = series.pick(np.arange(len(series) - 1))
        if not len(series):
            raise DataQualityError("forecast.no_values", flow=flow.id, origin=self._written())
        return series

    def _ends_later(self, start: int) -> bool:
        """Whether the interval that begins at `start` (microseconds) has not ended by the origin."""
        return _after(self.flow, start, self.territory) > self.origin

    def forecast(self, history: Series, weather: tuple[Times, Floats] | None, outside: Outside) -> Forecast:
        """Fits and issues; `DataQualityError` when the history is too short."""
        flow, step = self.flow, _steps_of(self.flow)
        site = _site(self.territory, flow)
        models = (*self.models, "clear_sky") if site else self.models
        one = Forecaster(
            step / 3600,
            self.territory.tz,
            max(round(self.hours * 3600 / step), 1),
            self.quantiles,
            _lower(flow, history),
            models=models,
            holidays=holidays.days(self.territory.timezone),
            site=site,
        )
        starts = history.start.astype("datetime64[us]").astype("datetime64[s]")
        try:
            observed = None
            if weather is None:
                weather, observed = outside.of(flow, step, round(self.hours * 3600))
            found = one.fit(starts, history.value, weather, observed).issue(utc(self.origin))
        except DataQualityError as error:
            data = {**error.problem.data, "flow": flow.id, "origin": self._written()}
            raise DataQualityError("forecast.flow_too_short", **data) from error
        if np.isnan(found.quantiles).any():
            raise DataQualityError("forecast.too_old", flow=flow.id, origin=self._written())
        return found

    def notes(self, history: Series, found: Forecast) -> list[Problem]:
        """What to know: an old last value, no skill."""
        notes = []
        age = (to_us(self.origin) - int(history.start[-1])) / SECOND / 3600 - _steps_of(self.flow) / 3600
        if age > _STALE_HOURS:
            data = {"flow": self.flow.id, "hours": f"{age:g}", "origin": self._written()}
            notes.append(Problem("forecast.stale", data, severity="warning"))
        if found.score is not None and found.score.skill <= 0:
            days = {"flow": self.flow.id, "days": found.score.days}
            notes.append(Problem("forecast.worse_than_naive", days, severity="note"))
        return notes

    def _written(self) -> str:
        return self.origin.astimezone(self.territory.tz).strftime("%Y-%m-%d %H:%M")


def run_of(level: float, median: float) -> str:
    """The run under which a quantile is stored: `forecast` for the median, `forecast/q10` for 0.1.

    Example:
        >>> run_of(0.5, 0.5), run_of(0.1, 0.5), run_of(0.975, 0.5)
        ('forecast', 'forecast/q10', 'forecast/q97.5')
    """
    return "forecast" if level == median else f"forecast/q{level * 100:g}"


def _store(ledger: Ledger, report: ForecastReport, sources: Mapping[str, str], cut: int) -> None:
    """Stores the record, then the quantiles with it as an input; all batches are on disk or none is."""
    document = {
        "origin": report.origin.isoformat(),
        "model": MODEL,
        "version": VERSION,
        "cut": cut,
        "quantiles": list(next(iter(report.forecasts.values())).levels),
        "totals": [tree.as_dict() for tree in report.totals],
        "flows": {
            name: {
                "steps": len(one.starts),
                "inputs": sources[name],
                "weights": one.weights,
                "score": one.score.as_dict() if one.score else None,
            }
            for name, one in report.forecasts.items()
        },
        "reasons": {name: reason.code for name, reason in report.reasons.items()},
    }
    report.record = ledger.put_record("forecast", json.dumps(document, sort_keys=True).encode())
    inputs = (f"cut:{cut}", f"record:{report.record}", *(f"values:{digest}" for digest in sources.values()))
    skills = {name: one.score.skill for name, one in report.forecasts.items() if one.score is not None}
    note = "skill over the weekly naive forecast: " + ", ".join(
        f"{name} {skill:.2f}" for name, skill in skills.items()
    )
    tables: dict[str, list[pa.Table]] = {}
    for name, one in report.forecasts.items():
        middle = min(one.levels, key=lambda level: abs(level - 0.5))
        for level, values in zip(one.levels, one.quantiles, strict=True):
            tables.setdefault(run_of(level, middle), []).append(_rows(name, one.starts, values))
    report.receipts = ledger.append_group(
        [
            (
                pa.concat_tables(parts),
                Origin("model:forecast", f"{run}:{report.record}", run, MODEL, VERSION, inputs, note),
                (),
            )
            for run, parts in tables.items()
        ]
    )


def _rows(flow: str, starts: Times, values: Floats) -> pa.Table:
    """Rows of one flow as the ledger takes them."""
    return pa.table(
        {
            "flow": pa.array([flow] * len(starts), pa.string()),
            "start": pa.array(starts.astype("datetime64[us]").astype(np.int64)).cast(
                pa.timestamp("us", tz="UTC")
            ),
            "value": pa.array(values, pa.float64()),
            "quality": pa.array([int(Quality.GOOD)] * len(starts), pa.uint8()),
        }
    )


def _wide(flow: str, one: Forecast) -> pa.Table:
    table = _rows(flow, one.starts, one.median).select(["flow", "start"])
    for level, values in zip(one.levels, one.quantiles, strict=True):
        table = table.append_column(f"q{level * 100:g}", pa.array(values))
    return table


def _steps_of(flow: Flow) -> int:
    """The step of a flow in seconds; 0 when it has none that divides a day."""
    seconds = flow.step.seconds if flow.step is not None else 0
    return seconds if seconds >= 60 and DAY % seconds == 0 else 0  # noqa: PLR2004 - a minute


def _hours(horizon: str | Step) -> float:
    step = Step.parse(horizon) if isinstance(horizon, str) else horizon
    if not 0 < step.hours <= 24 * LONGEST:
        raise RequestError("forecast.bad_period", text=step, most=LONGEST)
    return step.hours


def _newest(snapshot: Snapshot, territory: Territory, names: Sequence[str]) -> datetime:
    """The end of the newest value of the flows; `DataQualityError` when there is none."""
    low, high = snapshot.span()
    ends = []
    for name in names:
        step = _steps_of(territory.flows[name])
        series = read_series(snapshot, name, max(low, high - HISTORY * DAY * SECOND), high) if step else None
        if series is not None and len(series):
            ends.append(_after(territory.flows[name], int(series.start[-1]), territory))
    if not ends:
        raise DataQualityError("forecast.no_flows")
    return max(ends)


def _add_up(report: ForecastReport, territory: Territory, histories: Mapping[str, Series]) -> None:
    """Replaces the forecasts of totals and parts by ones that add up."""
    known = {name: one for name, one in report.forecasts.items() if name in histories}
    trees, notes = totals(territory, histories, known)
    report.notes += notes
    for tree in trees:
        made = Reconciler.of(tree, known)
        report.totals.append(made)
        report.forecasts.update(made.forecasts())
        data = {"totals": ", ".join(tree.parts), "flows": len(tree.names), "method": made.method}
        report.notes.append(Problem("forecast.reconciled", data, severity="note"))


def _explain_later(ledger: Ledger, report: ForecastReport) -> None:
    """Says of flows without known values whether they were only recorded after the origin."""
    missing = [name for name, reason in report.reasons.items() if reason.code == "forecast.no_values"]
    if not missing:
        return
    with ledger.snapshot() as snapshot:
        low = to_us(report.origin) - FEWEST_DAYS * DAY * SECOND
        for name in missing:
            if len(read_series(snapshot, name, low, to_us(report.origin))):
                data = report.reasons[name].data
                report.reasons[name] = Problem("forecast.recorded_later", data)


def _calendar_notes(territory: Territory, report: ForecastReport) -> list[Problem]:
    """A note when the forecast reaches into a year whose days off were not announced yet."""
    if territory.timezone not in holidays.ZONES:
        return []
    starts = [one.starts for one in report.forecasts.values()]
    years = sorted({1970 + int(y) for s in starts for y in np.unique(s.astype("datetime64[Y]").astype(int))})
    unknown = [str(year) for year in years if year not in holidays.years()]
    return (
        [Problem("forecast.no_calendar", {"years": ", ".join(unknown)}, severity="note")] if unknown else []
    )


def _lower(flow: Flow, history: Series) -> float | None:
    """The declared minimum of a flow; else 0 for one that never was negative; else None."""
    declared = limits_of(flow).minimum if flow.semantics != "state" else None
    if declared is not None:
        return declared
    return 0.0 if (history.value >= 0).all() else None


def _site(territory: Territory, flow: Flow) -> tuple[float, float] | None:
    """Latitude and longitude of the PV asset that `flow` meters; None for other flows."""
    for asset in territory.assets.values():
        if asset.type == "pv" and asset.parameters.get("flow") == flow.id:
            spots = [(asset.lat, asset.lon)] + [(p.lat, p.lon) for p in territory.ancestors(asset.place)]
            for lat, lon in spots:
                if lat is not None and lon is not None:
                    return lat, lon
    return None


def _digest(series: Series) -> str:
    """SHA-256 over the values that went in."""
    digest = sha256(series.start.tobytes())
    digest.update(series.value.tobytes())
    return digest.hexdigest()


def _after(flow: Flow, start: int, territory: Territory) -> datetime:
    """The end of the interval of `flow` that begins at `start` (microseconds)."""
    assert flow.step is not None
    return flow.step.after(from_us(start), territory.tz)
