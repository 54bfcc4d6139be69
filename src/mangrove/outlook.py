# SPDX-License-Identifier: Apache-2.0
"""What comes next, joined: the emissions that forecasts mean, and how good the forecasters have been.

Comes in: an opened territory and a report of forecasts. Goes out: bands of emissions by place, sector and scope, kept as a record that
pages read; the table of scores. Emissions are forecast by the formula that measures them: possible futures of every flow at once, times
coefficients that carry the errors of their factors, the same error wherever two flows share it. A median of emissions is therefore not
the sum of medians of flows, and its band is narrower than the sum of theirs.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, LedgerError, RequestError
from mangrove.times import Span, instant

if TYPE_CHECKING:
    import pyarrow as pa

    from mangrove.forecast.record import Keeps
    from mangrove.forecast.run import ForecastReport
    from mangrove.handle import Handle
    from mangrove.ledger import Ledger
    from mangrove.measure.plan import Line, Plan
    from mangrove.territory.model import Flow, Territory

Floats = npt.NDArray[np.float64]
Key = tuple[str, str, str]
KIND = "emission_forecast"
SAMPLES = 400
LEVELS = (0.1, 0.5, 0.9)
_HOUR = np.timedelta64(3600, "s")
_GRID_DAYS = timedelta(days=400)
_SECONDS = 3600
_TONNE = 1000.0


@dataclass(frozen=True, eq=False)
class Intensity:
    """A forecast of what the grid emits, kg CO2 a kWh: starts of hours (H,), probabilities, quantiles (Q, H)."""

    starts: npt.NDArray[np.datetime64]
    levels: tuple[float, ...]
    quantiles: Floats

    def samples(self, starts: npt.NDArray[np.datetime64], ranks: Floats) -> Floats:
        """Possible courses (S, T), each at one rank of the forecast: a day's mix errs as a whole. NaN for hours that were not forecast."""
        at = np.clip(np.searchsorted(self.starts, starts), 0, len(self.starts) - 1)
        grid = np.array([np.interp(ranks, self.levels, column) for column in self.quantiles.T]).T
        return np.where(self.starts[at] == starts, grid[:, at], np.nan)


@dataclass(frozen=True, eq=False)
class EmissionOutlook:
    """What will be emitted from an origin on.

    Attributes:
        origin: UTC; starts: of hours, UTC, shape (T,); levels: probabilities, shape (Q,).
        bands: t CO2e an hour, shape (Q, T), by (place, sector, scope): empty words mean all. There are rows for everything, for every
            place (with all inside it), sector and scope, and for every place by scope.
        totals: t CO2e from the origin to the end, shape (Q,), by the same keys.
        missing: flows that emit and have no forecast; their emissions are not in it.
        physical: whether purchased electricity counts by the forecast of the grid instead of the official factor.
    """

    origin: datetime
    starts: npt.NDArray[np.datetime64]
    levels: tuple[float, ...]
    bands: Mapping[Key, Floats]
    totals: Mapping[Key, Floats]
    missing: tuple[str, ...] = ()
    physical: bool = False

    def band(
        self, place: str = "", sector: str = "", scope: str = ""
    ) -> tuple[npt.NDArray[np.datetime64], Floats] | None:
        """Starts (T,) and quantiles (Q, T) in t CO2e an hour; None where nothing was forecast."""
        found = self.bands.get((place, sector, scope))
        return None if found is None else (self.starts, found)


def emissions(
    park: Handle,
    report: ForecastReport,
    *,
    gwp: str | None = None,
    allow: Sequence[str] = (),
    intensity: Intensity | None = None,
    count: int = SAMPLES,
    seed: int = 0,
) -> EmissionOutlook:
    """Pushes forecasts through the formula.

    Args:
        park: an opened territory.
        report: of `mangrove.forecast`, with all flows that shall count.
        gwp: GWP set; the territory's own when left out.
        allow: statuses of factors accepted besides official and default ones.
        intensity: what the grid is expected to emit; purchased electricity then counts by it, hour by hour, instead of by the official
            factor. The two are different numbers: only the second belongs in a report.
        count: number of samples.
        seed: of the samples.

    Raises:
        RequestError: `measure.gwp_not_named`.
        DataQualityError: `forecast.no_emissions`: none of the forecast flows emits anything.
    """
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import question as questions

    starts = _hours(report)
    begin, end = (
        datetime.fromtimestamp(int(at.astype(np.int64)), UTC) for at in (starts[0], starts[-1] + _HOUR)
    )
    question = questions.resolve(park.territory, begin, end, gwp=gwp, allow=allow, run="forecast")
    plan = plans.build(park.territory, rules.load(), question)
    drawn = report.samples(count, seed)
    rng = np.random.Generator(np.random.PCG64(seed + 1))
    moved = multipliers(plan, count, rng)
    grid = None if intensity is None else intensity.samples(starts, (rng.permutation(count) + 0.5) / count)
    push = _Push(plan, report, drawn, starts, moved, grid)
    by_key: dict[Key, Floats] = {}
    for flow in plan.flows.values():
        tonnes = push.tonnes(flow)
        if tonnes is None:
            continue
        for key in _keys(park.territory, flow):
            known = by_key.get(key)
            by_key[key] = tonnes if known is None else known + tonnes
    if not by_key:
        raise DataQualityError("forecast.no_emissions")
    emitting = {line.flow for line in plan.lines if line.weight}
    missing = tuple(name for name in plan.flows if name in emitting and not push.known(name))
    return EmissionOutlook(
        report.origin, starts, LEVELS,
        {key: np.quantile(one, LEVELS, axis=0) for key, one in by_key.items()},
        {key: np.quantile(one.sum(axis=1), LEVELS) for key, one in by_key.items()},
        missing, intensity is not None,
    )  # fmt: skip


def multipliers(plan: Plan, count: int, rng: np.random.Generator) -> Floats:
    """What the errors of factors and meters do to every line in every sample, shape (lines, count): lognormal with mean 1.

    One number a shared error and sample, as `mangrove.measure.uncertainty.monte_carlo` draws them.
    """
    errors = plan.errors()
    names = {name: number for number, name in enumerate(dict.fromkeys(name for _, name, _ in errors))}
    normal = rng.standard_normal((len(names), count))
    exponent = np.zeros((len(plan.lines), count))
    for line, name, deviation in errors:
        variance = np.log1p(deviation**2)
        exponent[line] += np.sign(deviation) * (np.sqrt(variance) * normal[names[name]] - variance / 2)
    return np.asarray(np.exp(exponent))


@dataclass(frozen=True, eq=False)
class _Push:
    """The formula on samples: S of them, T hours.

    Attributes:
        plan: coefficients; report, drawn: forecasts and their joint samples by flow; starts: of the hours, shape (T,).
        moved: see `multipliers`; grid: kg CO2 a kWh, shape (S, T), NaN where it was not forecast; None for the official factor.
    """

    plan: Plan
    report: ForecastReport
    drawn: Mapping[str, Floats]
    starts: npt.NDArray[np.datetime64]
    moved: Floats
    grid: Floats | None

    @cached_property
    def lines(self) -> dict[str, list[Line]]:
        """The lines with CO2e by flow; what is released over years is left out."""
        found: dict[str, list[Line]] = {}
        for line in self.plan.lines:
            if line.weight and line.response is None:
                found.setdefault(line.flow, []).append(line)
        return found

    def known(self, name: str) -> bool:
        """Whether all that makes the amount of a flow was forecast, on the same steps."""
        parts = [flow.id for flow in self.plan.measured_by(name)]
        return all(one in self.drawn for one in parts) and len({self.drawn[one].shape for one in parts}) == 1

    def tonnes(self, flow: Flow) -> Floats | None:
        """Tonnes CO2e of one flow, shape (S, T); None without a forecast."""
        if flow.step is None or not self.known(flow.id) or flow.id not in self.lines:
            return None
        amount = self._amount(flow, flow.step.seconds)
        found = np.zeros(amount.shape)
        for line in self.lines[flow.id]:
            weight = line.weight or 0.0
            holds = (self.starts >= _second(line.valid_from)) & (self.starts < _second(line.valid_to))
            rate = self.moved[line.index][:, None] * line.kg * weight * holds
            if self.grid is not None and _is_grid(line):
                energy = flow.unit.to("kWh" if flow.semantics == "sum" else "kW")
                rate = np.where(np.isnan(self.grid), rate, self.grid * energy * weight * holds)
            found += amount * rate
        return found / _TONNE

    def _amount(self, flow: Flow, seconds: int) -> Floats:
        """Samples of the amount of a flow by hour, shape (S, T); a longer value is spread evenly over its hours."""
        from mangrove.measure.plan import is_rate

        values = self.drawn[flow.id]
        other = self.plan.products.get(flow.id)
        if other is not None:
            values = values * self.drawn[other]
        if is_rate(flow):
            values = values * (seconds / _SECONDS)
        own = self.report.forecasts[flow.id].starts
        found = np.zeros((len(self.starts), len(values)))
        hours = max(seconds // _SECONDS, 1)
        at = np.searchsorted(self.starts, own, side="right")[:, None] - 1 + np.arange(hours)
        spread = np.repeat(values.T[:, None] / hours, hours, axis=1)
        inside = at < len(self.starts)
        np.add.at(found, at[inside], spread[inside])
        return found.T


def _is_grid(line: Line) -> bool:
    """Whether a line is purchased electricity at the factor of the grid and nothing else."""
    only = line.terms[0].factor if len(line.terms) == 1 else None
    if only is None or line.gas != "CO2" or line.view != "location":
        return False
    return only.activity.startswith("grid/")


def _keys(territory: Territory, flow: Flow) -> list[Key]:
    """The rows in which a flow counts."""
    scope = "" if flow.scope is None else str(flow.scope)
    places = ["", *(node.id for node in territory.ancestors(flow.place))]
    keys = [(place, "", "") for place in places]
    if scope:
        keys += [(place, "", scope) for place in places]
    if flow.sector:
        keys.append(("", flow.sector, ""))
    return keys


def _hours(report: ForecastReport) -> npt.NDArray[np.datetime64]:
    """The hours from the origin to the end of the shortest forecast: beyond it a part would look like the whole."""
    if not report.forecasts:
        raise DataQualityError("forecast.no_emissions")
    first = min(one.starts[0] for one in report.forecasts.values()).astype("datetime64[h]")
    ends = [
        one.starts[-1] + (one.starts[-1] - one.starts[0]) / max(len(one.starts) - 1, 1)
        for one in report.forecasts.values()
    ]
    count = max(int((min(ends) - first.astype("datetime64[s]")) / _HOUR), 1)
    return np.asarray(first.astype("datetime64[s]") + np.arange(count) * _HOUR)


def keep(writer: Keeps, outlook: EmissionOutlook) -> str:
    """Stores an outlook; the id of its record."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = list(outlook.bands)
    columns: dict[str, Any] = {
        name: pa.array([key[i] for key in keys]).dictionary_encode()
        for i, name in enumerate(("place", "sector", "scope"))
    }
    for i, level in enumerate(outlook.levels):
        flat = np.concatenate([outlook.bands[key][i] for key in keys]).astype(np.float32)
        width = len(outlook.starts)
        columns[f"q{level * 100:g}"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), width)
        columns[f"total_q{level * 100:g}"] = pa.array([float(outlook.totals[key][i]) for key in keys])
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    document = {
        "origin": outlook.origin.isoformat(), "first": str(outlook.starts[0]), "hours": len(outlook.starts),
        "levels": list(outlook.levels), "missing": list(outlook.missing), "physical": outlook.physical, "unit": "t CO2e",
    }  # fmt: skip
    return writer.put_record(KIND, json.dumps(document, sort_keys=True).encode(), sink.getvalue())


def newest(ledger: Ledger, as_of: datetime | None = None) -> EmissionOutlook | None:
    """The outlook that was kept last (until `as_of`); None when there is none."""
    import pyarrow.parquet as pq

    kept = [id_ for id_, at in ledger.records(KIND) if as_of is None or at <= as_of]
    if not kept:
        return None
    _, text, payload = ledger.record(kept[-1])
    said = json.loads(text)
    table = pq.read_table(io.BytesIO(payload))
    keys = list(zip(*(table.column(name).to_pylist() for name in ("place", "sector", "scope")), strict=True))
    names = [f"q{level * 100:g}" for level in said["levels"]]
    bands = np.stack([
        table.column(name).combine_chunks().flatten().to_numpy().reshape(len(keys), said["hours"]) for name in names
    ]).astype(np.float64)  # fmt: skip
    totals = np.stack([table.column(f"total_{name}").to_numpy() for name in names])
    starts = np.datetime64(said["first"], "s") + np.arange(said["hours"]) * _HOUR
    return EmissionOutlook(
        datetime.fromisoformat(said["origin"]), starts, tuple(said["levels"]),
        {key: bands[:, i] for i, key in enumerate(keys)}, {key: totals[:, i] for i, key in enumerate(keys)},
        tuple(said["missing"]), said["physical"],
    )  # fmt: skip


def grid_intensity(park: Handle, at: datetime, days: int = 7) -> Intensity | None:
    """The forecast of the grid's hours after `at`; None where the ledger does not hold the country's generation."""
    from mangrove import grid_ahead

    try:
        found = grid_ahead.ahead(park, Span(at - _GRID_DAYS, at), days, store=False)
    except (DataQualityError, RequestError):  # too few days, or no country's generation is declared
        return None
    hours = [row for row in found.rows if row["step"] == "1h"]
    if not hours:
        return None
    starts = [datetime.fromisoformat(str(row["start"])).astimezone(UTC).replace(tzinfo=None) for row in hours]
    names = ("low95", "low80", "physical_kg_per_kwh", "high80", "high95")
    quantiles = np.array([[float(str(row[name])) for row in hours] for name in names])
    return Intensity(np.array(starts, dtype="datetime64[s]"), found.found.levels, quantiles)


def scores(park: Handle, flows: Sequence[str] = (), start: str | date | datetime | None = None) -> pa.Table:
    """Scores what is due, where nobody else is writing, and gives the record of the forecasters; see `mangrove.forecast.record.scores`.

    Raises:
        LedgerError: there is no store yet.
    """
    from mangrove.forecast import record

    with park.reader():
        pass  # without a ledger there is nothing to score, and none is made
    try:
        with park.writer() as ledger:
            record.score_stored(ledger, ledger, park.territory, datetime.now(UTC))
    except LedgerError as error:
        if error.problem.code != "ledger.locked":  # whoever writes scores them: the worker of a server does
            raise
    with park.reader() as ledger:
        return record.scores(ledger, flows, None if start is None else instant(start, park.territory.tz))


def _second(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "s")
