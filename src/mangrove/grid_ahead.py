# SPDX-License-Identifier: Apache-2.0
"""`mangrove grid --forecast` and `--zones`: the days after the last published one, and zones that exchange electricity.

Comes in: an opened territory and a period. Goes out: rows to print, lines for people, a record of what was forecast; and, once the days
of earlier forecasts are published, how good those were. The measuring verb gives the past, the forecasting verb the days to come.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mangrove import messages
from mangrove.errors import DataQualityError
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.forecast.grid_carbon import GridForecast
    from mangrove.forecast.grid_features import DailyMix
    from mangrove.handle import Handle
    from mangrove.ledger import Ledger, Snapshot
    from mangrove.territory.model import Territory

Floats = npt.NDArray[np.float64]
KIND = "grid_forecast"
MODEL, VERSION = "grid_mix", "1"
_HISTORY = timedelta(days=4 * 366)
"""The forecaster forgets: older days would change nothing."""
_COURSES = 70
"""Days whose hours are reconstructed for the course of a day."""


@dataclass(frozen=True, eq=False)
class Ahead:
    """A forecast of the grid: `rows` to print, `record` (empty when nothing was kept), the forecast, and earlier ones' scores."""

    rows: list[dict[str, object]]
    record: str
    found: GridForecast
    scored: list[tuple[int, int, float, float, float]]

    def lines(self, lang: str) -> list[str]:
        """What people should know."""
        one = self.found
        data = {
            "origin": one.origin.isoformat(),
            "error": _percent(float(one.error[0])),
            "naive": _percent(float(one.naive[0])),
            "in80": _percent(one.coverage[0]),
            "in95": _percent(one.coverage[1]),
        }
        said = [messages.render("gridcarbon.proven", lang, **data)]
        for lead, days, ours, naive, inside in self.scored:
            said.append(
                messages.render(
                    "gridcarbon.scored", lang, lead=lead, days=days, error=ours, naive=naive, inside=inside
                )
            )
        said.append(messages.render("gridcarbon.hours_rest", lang))
        if self.record:
            said.append(messages.render("cli.stored_as", lang, record=self.record[:12]))
        return said


def ahead(park: Handle, span: Span, days: int, *, factor: float = 1.0, store: bool = True) -> Ahead:
    """Forecasts the days after the last one published in a period, and keeps the forecast.

    Args:
        park: the territory.
        span: nothing after its end is used.
        days: 1 to 7.
        factor: for the losses on the way to a meter; see `grid_intensity.delivered`.
        store: keep a record.

    Raises:
        DataQualityError: `gridcarbon.too_short`.
    """
    from mangrove.forecast import grid_carbon

    with park.reader() as ledger:
        with ledger.snapshot() as snapshot:
            mix = daily_mix(snapshot, park.territory, span.end)
            found = grid_carbon.forecast_days(mix, days)
            hours = _course(snapshot, park.territory, mix, found)
            cut, hindsight = snapshot.cut, snapshot.span()[1] / 1e6 > span.end.timestamp()
        by_hour = grid_carbon.hourly(found, hours, _tail(mix, found.origin), mix.zone)
        record = ledger.put_record(KIND, _document(found, mix, cut, hindsight=hindsight)) if store else ""
        scored = scores(ledger, mix)
    tz = park.territory.tz
    rows = [
        _row(_start(day, 0, tz), "1d", found.quantiles[:, k] * factor) for k, day in enumerate(found.days)
    ]
    rows += [
        _row(_start(day, hour, tz), "1h", by_hour[:, k, hour] * factor)
        for k, day in enumerate(found.days)
        for hour in range(by_hour.shape[2])
    ]
    return Ahead(rows, record, found, scored)


def daily_mix(snapshot: Snapshot, territory: Territory, end: datetime) -> DailyMix:
    """The days before `end` with their physical intensity, kg CO2/kWh.

    Raises:
        DataQualityError: `gridcarbon.too_short`: nothing is stored.
    """
    from mangrove.forecast.grid_carbon import FEWEST_DAYS
    from mangrove.forecast.grid_features import DailyMix
    from mangrove.measure import grid_intensity

    low, high = snapshot.span()
    if high <= low:
        raise DataQualityError("gridcarbon.too_short", days=0, fewest=FEWEST_DAYS)
    begin = max(datetime.fromtimestamp(low / 1e6, UTC), end - _HISTORY)
    end = max(
        min(end, datetime.fromtimestamp(high / 1e6, UTC) + timedelta(days=1)), begin + timedelta(days=1)
    )
    days = grid_intensity.days_of(snapshot, territory, Span(begin, end))
    factors = grid_intensity.direct_factors()
    own = [name for name in days.energy if factors[name].value is not None]
    known = np.sum([days.energy[name] for name in own], axis=0)
    carbon = np.sum([days.energy[name] * (factors[name].value or 0.0) for name in own], axis=0)
    gap = np.isnan(np.stack(list(days.energy.values()))).any(axis=0) | ~(known > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        intensity = np.where(gap, np.nan, carbon / known)
    return DailyMix(days.days[0], dict(days.energy), intensity, territory.timezone)


def zone_rows(park: Handle, span: Span, factor: float = 1.0) -> tuple[list[dict[str, object]], list[str]]:
    """The traced hours of the zones of a grid, what is consumed multiplied with `factor`, and the names of the columns."""
    from mangrove.measure import zone_intensity

    with park.reader() as ledger, ledger.snapshot() as snapshot:
        table = zone_intensity.zone_intensity(snapshot, park.territory, span)
    rows = table.to_pylist()
    for row in rows:
        row["start"] = row["start"].astimezone(park.territory.tz).isoformat()
        if row["consumed_kg_per_kwh"] is not None:
            row["consumed_kg_per_kwh"] *= factor
    return rows, table.column_names


def zone_summary(rows: Sequence[dict[str, object]], lang: str) -> list[str]:
    """A line a zone: what it generated and what it consumed, per kWh, and how many hours are gaps."""
    said = []
    for zone in dict.fromkeys(str(row["zone"]) for row in rows):
        mine = [row for row in rows if row["zone"] == zone]
        used = [row["consumed_kg_per_kwh"] for row in mine if row["consumed_kg_per_kwh"] is not None]
        made = [row["produced_kg_per_kwh"] for row in mine if row["produced_kg_per_kwh"] is not None]
        data: dict[str, object] = {"zone": zone, "hours": len(used), "all": len(mine)}
        if not used:
            said.append(messages.render("gridcarbon.zone_unknown", lang, **data))
            continue
        data["consumed"] = float(np.mean(np.array(used, dtype=np.float64)))
        if made:
            data["produced"] = float(np.mean(np.array(made, dtype=np.float64)))
            said.append(messages.render("gridcarbon.zone", lang, **data))
        else:
            said.append(messages.render("gridcarbon.zone_imports", lang, **data))
    return [*said, messages.render("gridcarbon.traced", lang)]


def scores(ledger: Ledger, mix: DailyMix) -> list[tuple[int, int, float, float, float]]:
    """How good kept forecasts were: lead, days, mean absolute error in % (ours, the origin's value), share inside 80 % in %.

    A day that was forecast several times from the same origin counts once, as it was forecast last. What was forecast when its days
    were already stored does not count.
    """
    known = dict(zip((int(n) for n in mix.numbers), mix.intensity, strict=True))
    kept: dict[tuple[int, int], tuple[float, float, float, float, float]] = {}
    for id_, _ in ledger.records(KIND):
        document = json.loads(ledger.record(id_)[1])
        if document["hindsight"]:
            continue
        origin = int(np.datetime64(document["origin"], "D").astype(np.int64))
        before = known.get(origin, np.nan)
        low, middle, high = (document["quantiles"][k] for k in (1, 2, 3))
        for k in range(len(middle)):
            truth = known.get(origin + k + 1, np.nan)
            if np.isfinite(truth) and np.isfinite(before):
                kept[origin, k + 1] = (truth, before, low[k], middle[k], high[k])
    found = []
    for lead in sorted({lead for _, lead in kept}):
        rows = np.array([row for (_, one), row in kept.items() if one == lead])
        truth, before, low, middle, high = rows.T
        ours = _percent(float(np.mean(np.abs(middle - truth) / truth)))
        naive = _percent(float(np.mean(np.abs(before - truth) / truth)))
        inside = _percent(float(np.mean((low <= truth) & (truth <= high))))
        found.append((lead, len(rows), ours, naive, inside))
    return found


def _course(snapshot: Snapshot, territory: Territory, mix: DailyMix, found: GridForecast) -> Floats:
    """(D, 24) intensities of the hours of the last days."""
    from mangrove.measure import grid_intensity

    count = len(_tail(mix, found.origin))
    first = found.origin - timedelta(days=count - 1)
    span = Span.between(first, found.origin + timedelta(days=1), territory.tz)
    table = grid_intensity.hourly_intensity(snapshot, span, territory.tz, territory=territory)
    values = table["physical_kg_per_kwh"].to_numpy(zero_copy_only=False).astype(np.float64)
    hours: Floats = values.reshape(count, grid_intensity.HOURS)
    return hours


def _tail(mix: DailyMix, origin: date) -> Floats:
    """The intensities of the last days up to the origin."""
    last = (origin - mix.first).days + 1
    return mix.intensity[max(last - _COURSES, 0) : last]


def _document(found: GridForecast, mix: DailyMix, cut: int, *, hindsight: bool) -> bytes:
    document = {
        "hindsight": hindsight,
        "origin": found.origin.isoformat(),
        "model": MODEL,
        "version": VERSION,
        "unit": "kg CO2/kWh",
        "cut": cut,
        "inputs": sha256(np.ascontiguousarray(mix.intensity).tobytes()).hexdigest(),
        "levels": list(found.levels),
        "quantiles": found.quantiles.tolist(),
        "proven": {
            "error": found.error.tolist(),
            "naive": found.naive.tolist(),
            "coverage": list(found.coverage),
        },
    }
    return json.dumps(document, sort_keys=True).encode()


def _percent(share: float) -> float:
    """Three digits are enough for people."""
    return float(f"{100 * share:.3g}")


def _row(start: datetime, step: str, quantiles: Floats) -> dict[str, object]:
    low95, low80, middle, high80, high95 = (round(float(q), 6) for q in quantiles)
    return {
        "start": start.isoformat(),
        "step": step,
        "physical_kg_per_kwh": middle,
        "low80": low80,
        "high80": high80,
        "low95": low95,
        "high95": high95,
    }


def _start(day: date, hour: int, tz: object) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=tz)  # type: ignore[arg-type]
