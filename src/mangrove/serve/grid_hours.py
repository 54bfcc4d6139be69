# SPDX-License-Identifier: Apache-2.0
"""The carbon of the national grid by the hour, for a city that declares the daily generation: a few days beside the official factor.

Comes in: the live state of a territory with daily flows of a country's electricity by source, and a view. Goes out: the three days up to the
last published one, hour by hour, as a table with the physical and the official intensity in columns of their own, and as a figure; and the newest
stored forecast of the days after, with its bands. The two are never mixed: the physical one follows the power plants, inventories and reports take the official one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove import messages
from mangrove.figures import Stretch, band_lines, numbers
from mangrove.ledger.types import COUNTED
from mangrove.measure import grid_intensity
from mangrove.serve import records
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.times import Span

Floats = npt.NDArray[np.float64]
DAYS = 3
FORECAST = "grid_forecast"
"""The kind of the records of forecasts."""
_NEAR = timedelta(days=7)
"""A forecast stands beside days that are not further from its origin than this."""


@dataclass(frozen=True)
class GridHours:
    """Some days of the grid.

    Attributes:
        table: as `mangrove.measure.grid_intensity.hourly_intensity` gives it; first, last: local days.
        elsewhere: whether the period of the page has no published day, so that the newest days stand here.
        ahead: the days after as the newest stored forecast sees them (day, q2.5, q10, q50, q90, q97.5 of the physical intensity); None without one.
    """

    table: pa.Table
    first: date
    last: date
    elsewhere: bool
    ahead: pa.Table | None = None

    def column(self, name: str) -> Floats:
        """One column, NaN where nothing was published."""
        return np.asarray(self.table.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)

    @property
    def least(self) -> float:
        """The lowest physical intensity of an hour, kg CO2/kWh."""
        return float(np.nanmin(self.column("physical_kg_per_kwh")))

    @property
    def most(self) -> float:
        """The highest physical intensity of an hour, kg CO2/kWh."""
        return float(np.nanmax(self.column("physical_kg_per_kwh")))

    @property
    def official(self) -> float:
        """The official factor of the last day, kg CO2/kWh; NaN when none is published for its year."""
        return float(self.column("official_kg_per_kwh")[-1])

    @property
    def missing(self) -> int:
        """Days that were not published."""
        return int(np.isnan(self.column("physical_kg_per_kwh")).sum()) // grid_intensity.HOURS

    def figure(self, lang: str) -> str:
        """The days as lines; days that were not published are marked red."""
        physical, official = self.column("physical_kg_per_kwh"), self.column("official_kg_per_kwh")
        said = {messages.render("grid_hours.physical", lang): list(physical)}
        if np.isfinite(official).any():
            said[messages.render("grid_hours.official", lang)] = list(official)
        hours = len(physical)
        strips = [
            Stretch(24.0 * k, 24.0 * (k + 1), numbers.day(self.first + timedelta(days=k), lang), k % 2)
            for k in range(hours // grid_intensity.HOURS)
        ]
        ribbon = (
            messages.render("grid_hours.range", lang),
            list(self.column("low")),
            list(self.column("high")),
        )
        return band_lines(
            [float(hour) for hour in range(hours + 1)],
            said,
            title=messages.render("grid_hours.title", lang),
            unit="kg CO2/kWh",
            ribbon=ribbon,
            behind=strips,
            width=1100,
            height=200,
            lang=lang,
            heading=False,
        )


def days(live: Live, view: View) -> GridHours | None:
    """The days up to the last published day of the period, or up to the newest published day when the period has none.

    None when the territory declares no daily generation, or nothing of it was published yet.
    """
    flows = grid_intensity.grid_flows(live.territory)
    wanted = [flows.get((name, "")) for name in grid_intensity.REQUIRED]
    if not live.cut() or not all(wanted):
        return None
    ids = [flow.id for flow in wanted if flow is not None]
    for start, end, elsewhere in ((view.span.start, view.span.end, False), (None, view.now, True)):
        key = ("grid_hours.last", live.cut(), start, end if start else end.date())
        last = live.kept.get(key, partial(_last, live, ids, start, end))
        if last is not None:
            found = _kept(live, last.astimezone(view.tz).date(), elsewhere=elsewhere)
            return replace(found, ahead=_ahead(live, found.last))
    return None


def _ahead(live: Live, last: date) -> pa.Table | None:
    """The newest stored forecast from near a day on: one row a day, kg CO2/kWh."""
    for record in records.newest(live, FORECAST):
        document = record.document
        origin = date.fromisoformat(str(document["origin"]))
        if abs(origin - last) > _NEAR:
            return None
        quantiles = document["quantiles"]
        days_after = [origin + timedelta(days=k + 1) for k in range(len(quantiles[0]))]
        columns = {
            f"q{100 * level:g}": pa.array([float(one) for one in row], pa.float64())
            for level, row in zip(document["levels"], quantiles, strict=True)
        }
        return pa.table({"day": pa.array(days_after), **columns})
    return None


def _kept(live: Live, last: date, *, elsewhere: bool) -> GridHours:
    table = live.kept.get(("grid_hours", live.cut(), last), lambda: _hours(live, last))
    return GridHours(table, last - timedelta(days=DAYS - 1), last, elsewhere)


def _hours(live: Live, last: date) -> pa.Table:
    """The hours of the days until one."""
    tz = live.territory.tz
    span = Span.between(last - timedelta(days=DAYS - 1), last + timedelta(days=1), tz)
    with live.snapshot() as snapshot:
        return grid_intensity.hourly_intensity(snapshot, span, tz, territory=live.territory)


def _last(live: Live, flows: list[str], start: datetime | None, end: datetime) -> datetime | None:
    """The last day with values of all sources."""
    marks = ", ".join("?" for _ in flows)
    codes = ", ".join(str(int(code)) for code in COUNTED)
    since = "" if start is None else "and r.start >= ? "
    query = (
        "select r.start from reading r join flow f on f.flow = r.flow "
        f"where f.key in ({marks}) and r.start < ? {since}and r.quality in ({codes}) group by r.start having count(*) = {len(flows)} "
        "order by r.start desc limit 1"
    )
    times = [moment.astimezone(UTC).replace(tzinfo=None) for moment in (end, start) if moment is not None]
    with live.snapshot() as snapshot:
        row = snapshot.connection.execute(query, [*flows, *times]).fetchone()
    return None if row is None else row[0].replace(tzinfo=UTC)
