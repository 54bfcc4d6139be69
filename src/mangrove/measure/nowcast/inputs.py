# SPDX-License-Identifier: Apache-2.0
"""What a nowcast reads from the ledger: the totals of inventories, daily and hourly series, and the inversions of sensors.

Comes in: a snapshot, flows, the moment of the nowcast. Goes out: `Total`s (an amount over whole local days, with its error and when it
became known), `Daily` series with the shape of each day, `Sensed` multipliers. Nothing that ends after the moment is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import DataQualityError
from mangrove.inference.series import SECOND, local_time, usable
from mangrove.ledger import Ledger, Snapshot
from mangrove.measure.plan import is_rate
from mangrove.measure.timeline import EPOCH
from mangrove.measure.uncertainty import Z95
from mangrove.territory.model import Flow
from mangrove.times import to_us
from mangrove.units import Unit, unit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_US = 86_400 * SECOND
HOUR_US = 3_600 * SECOND
MONTH_HOURS = 600
"""A step of more hours than this makes a flow's values totals of an inventory; shorter ones are meters."""
_TOTALS = 3
"""Years of an inventory that count: what came before is behind them on the random walk of the level."""
_WHOLE = 0.99
"""Share of a day's hours that must be there for the day to count as observed."""
_USUAL, _QUARTER_DAY, _DAY = 28, 6, 24
_WEEK, _WEEKS = 7, 104
LOOK_BACK = 800
"""Days before the window from which gaps of a meter are bridged: the window of a year earlier, and a year before that."""
METER_SD = 0.02
"""Error of a meter that states none: class 2 of IEC 62053-21."""
RECORD = "inversion"


@dataclass(frozen=True, slots=True)
class Total:
    """A fact: the amount of a flow over whole local days.

    Attributes:
        flow: its id; first, end: local day numbers, half-open; value: in the flow's unit, not zero.
        sd: standard deviation of the log of the error; None when none is stated. meter: whose error it is.
        ended: when the period ended; recorded: when it became known (UTC).
        metered: whether it is what a meter read, and no inventory.
    """

    flow: str
    first: int
    end: int
    value: float
    sd: float | None
    meter: str
    ended: datetime
    recorded: datetime | None = None
    metered: bool = False

    @property
    def name(self) -> str:
        """The flow, who read it when it is no inventory, and the first day."""
        who = f" {self.meter}" if self.metered else ""
        return f"{self.flow}{who} {np.datetime64(self.first, 'D')}"

    @property
    def days(self) -> Ints:
        """The day numbers it covers."""
        return np.arange(self.first, self.end)


@dataclass(frozen=True, slots=True)
class Daily:
    """A series by local day.

    Attributes:
        first: number of the first day; value: shape (D,), the day's total (of amounts) or mean (of states), NaN unless the day is whole.
        hours: the same by hour, shape (D, 24), NaN where nothing was; hourly: whether the series is that fine.
        last: end of the newest value, UTC.
    """

    first: int
    value: Floats
    hours: Floats
    hourly: bool
    last: datetime

    @property
    def whole(self) -> int:
        """How many days are whole."""
        return int(np.isfinite(self.value).sum())

    def on(self, days: Ints) -> Floats:
        """The values on day numbers; NaN outside."""
        at = days - self.first
        inside = (at >= 0) & (at < len(self.value))
        return np.where(inside, self.value[np.clip(at, 0, len(self.value) - 1)], np.nan)

    def hours_on(self, days: Ints) -> Floats:
        """The hours of day numbers, shape (n, 24); NaN outside."""
        at = days - self.first
        inside = (at >= 0) & (at < len(self.value))
        return np.where(inside[:, None], self.hours[np.clip(at, 0, len(self.value) - 1)], np.nan)


@dataclass(frozen=True, slots=True)
class Sensed:
    """What an inversion of sensors says: logs of multipliers of emissions by target and zone, with their covariance.

    Attributes:
        record: its id; targets, zones: of each multiplier (an empty zone is the whole territory); mean: shape (n,); covariance: (n, n).
        first, end: local day numbers of the period that was sensed.
    """

    record: str
    targets: tuple[str, ...]
    zones: tuple[str, ...]
    mean: Floats
    covariance: Floats
    first: int
    end: int


def is_inventory(flow: Flow) -> bool:
    """Whether the values of a flow are totals of months or years."""
    return flow.step is not None and flow.step.hours > MONTH_HOURS


def day_number(moment: datetime, tz: ZoneInfo) -> int:
    """The local day of an instant, counted from 1970.

    Example:
        >>> day_number(datetime(1970, 1, 1, 20, tzinfo=UTC), ZoneInfo("Asia/Ho_Chi_Minh"))
        1
    """
    return (moment.astimezone(tz).date() - EPOCH.date()).days


def midnight(day: int, tz: ZoneInfo) -> datetime:
    """The UTC instant at which a local day begins."""
    return (datetime(1970, 1, 1, tzinfo=tz) + timedelta(days=day)).astimezone(UTC)


def totals(snapshot: Snapshot, flows: Sequence[Flow], at: datetime, tz: ZoneInfo) -> list[Total]:
    """The totals of inventories that ended by `at`, the last years of each flow, oldest first."""
    names = [flow.id for flow in flows]
    rows = snapshot.values(names, EPOCH, at)
    known = (
        {one.batch: one.recorded_at for one in snapshot.lineage(names, EPOCH, at)} if rows.num_rows else {}
    )
    by_name = {flow.id: flow for flow in flows}
    found: dict[str, list[Total]] = {}
    counted = rows.filter(pc.is_finite(rows.column("value")))
    for row in counted.to_pylist():
        flow = by_name[row["flow"]]
        assert flow.step is not None
        end = flow.step.after(row["start"], tz)
        if end > at or not row["value"] or not usable(np.array([row["quality"]], np.uint8))[0]:
            continue
        hours = (end - row["start"]) / timedelta(hours=1) if is_rate(flow) else 1.0
        total = Total(
            flow.id,
            day_number(row["start"], tz),
            day_number(end, tz),
            row["value"] * hours,
            flow.uncertainty / Z95 if flow.uncertainty is not None else None,
            flow.meter or flow.id,
            end,
            known.get(row["batch"]),
        )
        found.setdefault(flow.id, []).append(total)
    return [one for name in names for one in _newest(found.get(name, []), by_name[name])]


def _newest(those: list[Total], flow: Flow) -> list[Total]:
    """The last years; only those with the sign of the last one, because a source that became a sink has another level."""
    if not those:
        return []
    assert flow.step is not None
    per_year = round(8766 / flow.step.hours) or 1
    last = sorted(those, key=lambda one: one.first)[-_TOTALS * per_year :]
    return [one for one in last if one.value * last[-1].value > 0]


def daily(
    snapshot: Snapshot, flows: Iterable[Flow], first: int, at: datetime, tz: ZoneInfo
) -> dict[str, Daily]:
    """The series of flows from a local day on until `at`, by day; a value that lasts longer stands for each of its days."""
    found: dict[str, Daily] = {}
    for flow in flows:
        rows = snapshot.values([flow.id], midnight(first, tz), at)
        if rows.num_rows and flow.step is not None:
            table = (
                _spread_out(flow, rows, at, tz) if flow.step.hours > _DAY else _whole_days(flow, rows, at, tz)
            )
            if table is not None:
                found[flow.id] = table
    return found


def _whole_days(flow: Flow, rows: pa.Table, at: datetime, tz: ZoneInfo) -> Daily | None:
    """Sums (of amounts) or means (of rates and states) by local day and hour."""
    column = rows.column
    start = pc.cast(column("start"), "int64").to_numpy()
    value = column("value").to_numpy().astype(float)
    quality = column("quality").to_numpy()
    assert flow.step is not None
    step = round(flow.step.hours * 3600) * SECOND
    keep = usable(quality) & np.isfinite(value) & (start + step <= to_us(at))
    start, value = start[keep], value[keep]
    if not len(start):
        return None
    amounts = flow.semantics in ("sum", "counter")
    wall = local_time(start, tz)
    day = wall // DAY_US
    first, size = int(day.min()), int(day.max() - day.min()) + 1
    per_day = max(round(DAY_US / step), 1)
    count = np.bincount(day - first, minlength=size)
    total = np.bincount(day - first, weights=value, minlength=size)
    short = count < _WHOLE * per_day
    made = np.where(short, np.nan, total if amounts else total / np.maximum(count, 1))
    hours = np.full((size, 24), np.nan)
    fine = step <= HOUR_US
    if fine:
        slot = (day - first) * 24 + wall % DAY_US // HOUR_US
        there = np.bincount(slot, minlength=size * 24)
        sums = np.bincount(slot, weights=value, minlength=size * 24)
        full = there >= max(round(HOUR_US / step), 1)
        hours = np.where(full, sums if amounts else sums / np.maximum(there, 1), np.nan).reshape(size, 24)
        made[-1] = _today(made, hours, amounts=amounts)
    end = EPOCH + timedelta(microseconds=int(start[-1]) + step)
    return Daily(first, made, hours, fine, end)


def _spread_out(flow: Flow, rows: pa.Table, at: datetime, tz: ZoneInfo) -> Daily | None:
    """Values of weeks or months: each day of a period has its part of an amount, or its state."""
    assert flow.step is not None
    parts = []
    for row in rows.to_pylist():
        end = flow.step.after(row["start"], tz)
        if end <= at and row["value"] is not None and usable(np.array([row["quality"]], np.uint8))[0]:
            parts.append((day_number(row["start"], tz), day_number(end, tz), row["value"], end))
    if not parts:
        return None
    first, last = min(part[0] for part in parts), max(part[1] for part in parts)
    value = np.full(last - first, np.nan)
    for begin, end_day, amount, _ in parts:
        value[begin - first : end_day - first] = (
            amount / (end_day - begin) if flow.semantics in ("sum", "counter") else amount
        )
    hours = np.full((len(value), 24), np.nan)
    return Daily(first, value, hours, hourly=False, last=max(part[3] for part in parts))


def measures(meter: Flow, target: Flow) -> bool:
    """Whether a flow beside the inventory is a meter of a target: the same place, GPC reference and carrier, read daily or finer."""
    return (
        meter.account == "memo"
        and meter.gpc == target.gpc != ""
        and (meter.place, meter.carrier) == (target.place, target.carrier)
        and meter.step is not None
        and meter.step.hours <= _DAY
        and _amount_unit(meter).converts_to(_amount_unit(target))
    )


def read_totals(target: Flow, meter: Flow, daily: Daily, at: datetime, tz: ZoneInfo) -> list[Total]:
    """What a meter of a target read in whole weeks, in the target's unit, over the last two years."""
    value = daily.value * (_amount_unit(meter).to(_amount_unit(target)) * (_DAY if is_rate(meter) else 1))
    sd = meter.uncertainty / Z95 if meter.uncertainty is not None else METER_SD
    found = []
    for at_day in range(-(daily.first + 3) % _WEEK, len(value) + 1 - _WEEK, _WEEK):
        amount, first = float(value[at_day : at_day + _WEEK].sum()), daily.first + at_day
        end = midnight(first + _WEEK, tz)
        if np.isfinite(amount) and amount and end <= at:
            found.append(
                Total(target.id, first, first + _WEEK, amount, sd, meter.meter or meter.id, end, metered=True)
            )
    return found[-_WEEKS:]


def _amount_unit(flow: Flow) -> Unit:
    """The unit of an amount of a flow: of a rate, its unit times hours."""
    return flow.unit * unit("h") if is_rate(flow) else flow.unit


def usual_day(value: Floats, hours: Floats) -> Floats | None:
    """The share of a day's amount that each hour has, from the last four whole weeks, shape (24,); None without a whole day."""
    whole = np.flatnonzero(np.isfinite(value) & np.isfinite(hours).all(axis=1))[-_USUAL:]
    sums = hours[whole].sum(axis=0)
    total = float(sums.sum())
    return np.asarray(sums / total) if total > 0 and (sums >= 0).all() else None


def _today(value: Floats, hours: Floats, *, amounts: bool) -> float:
    """The last day, which may not be over: scaled up from its hours by the usual day, once a quarter of it is known."""
    known = np.isfinite(hours[-1])
    if np.isfinite(value[-1]) or known.sum() < _QUARTER_DAY:
        return float(value[-1])
    usual = usual_day(value, hours)
    share = float(usual[known].sum()) if usual is not None else 0.0
    total = float(hours[-1][known].sum()) / share if share > 0 else float("nan")
    return total if amounts else total / 24


def sensed(ledger: Ledger, at: datetime, known: datetime | None, tz: ZoneInfo) -> list[Sensed]:
    """The inversions of periods that ended by `at`, recorded by `known` (None: whenever).

    A record of kind `inversion` is JSON: `{"targets": [{"target": "II.1.1", "zone": "ward-1", "log_mean": 0.1}, ...],
    "covariance": [[0.01, ...], ...], "from": "2026-11-01T00:00:00+07:00", "to": "2026-11-08T00:00:00+07:00"}`. A target is a flow, a GPC
    reference or a sector; an empty zone is the whole territory; the multiplier is of what the nowcast says without the inversion.

    Raises:
        DataQualityError: `nowcast.bad_inversion`.
    """
    found = []
    for id_, when in ledger.records(RECORD):
        if known is None or when <= known:
            try:
                one = _sensed(id_, json.loads(ledger.record(id_)[1]), tz)
            except (KeyError, TypeError, ValueError) as error:
                raise DataQualityError("nowcast.bad_inversion", record=id_[:12], reason=str(error)) from error
            if midnight(one.end, tz) <= at:
                found.append(one)
    return found


def _sensed(id_: str, document: Mapping[str, object], tz: ZoneInfo) -> Sensed:
    rows = document["targets"]
    assert isinstance(rows, list)
    size = len(rows)
    covariance = np.array(document["covariance"], dtype=float).reshape(size, size)
    first, end = (day_number(datetime.fromisoformat(str(document[key])), tz) for key in ("from", "to"))
    if not size or end <= first or np.linalg.eigvalsh(covariance).min() <= 0:
        raise ValueError("covariance" if size and end > first else "targets, from, to")
    return Sensed(
        id_,
        tuple(str(row["target"]) for row in rows),
        tuple(str(row.get("zone", "")) for row in rows),
        np.array([float(row["log_mean"]) for row in rows]),
        covariance,
        first,
        end,
    )
