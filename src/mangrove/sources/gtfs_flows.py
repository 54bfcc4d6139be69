# SPDX-License-Identifier: Apache-2.0
"""Public transport into the ledger: which route is which flow, scheduled values as run `schedule/gtfs`, driven ones as measured.

Comes in: a territory, a timetable and, where there is one, a record of what ran. Goes out: batches like those of any source, and a
report. A flow takes the routes that its meter names (ids or short names, with commas); a flow without a meter takes every other route
of the mode that its carrier names: `vehicle_km:bus` (kilometers), `index:delay` (seconds or minutes), `index:service` (share of trips).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import Problem
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin
from mangrove.sources import gtfs, gtfs_realtime
from mangrove.sources.gtfs import Feed
from mangrove.sources.gtfs_realtime import Record, ServiceAlert
from mangrove.territory.model import Flow, Territory
from mangrove.text import fold
from mangrove.times import Span

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCHEDULED = "schedule/gtfs"
"""The run of what a timetable says."""
_VERSION = "1"
_MODE_PARAMETER = "mode"
_HOUR = 3600


@dataclass
class TransitReport:
    """What came in.

    Attributes:
        routes, trips, stops: of the timetable; scheduled_km, scheduled_trips: of the period; driven_km: of the messages.
        flows: flow id to the ids of its routes; rows: values stored; alerts: of the operator; duplicate: nothing was new.
    """

    routes: int
    trips: int
    stops: int
    scheduled_km: float
    scheduled_trips: float
    driven_km: float = 0.0
    flows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: int = 0
    duplicate: bool = False
    alerts: list[ServiceAlert] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def ingest(
    ledger: Ledger,
    territory: Territory,
    path: Path,
    span: Span,
    *,
    realtime: Path | None = None,
    now: datetime | None = None,
) -> TransitReport:
    """Stores the service of a period.

    Args:
        ledger: open for writing.
        territory: its flows say which routes are wanted.
        path: the timetable, a zip or a folder.
        span: the period of the timetable that is stored.
        realtime: a message or a folder of messages.
        now: when the messages are asked about this moment.

    Raises:
        SourceError: see `gtfs.read`, `gtfs_realtime.read`.
        LedgerError: the ledger refuses.
    """
    feed = gtfs.read(path)
    planned = gtfs.service(feed, span)
    report = TransitReport(
        len(feed.routes),
        len(feed.trips),
        len(feed.stops),
        float(planned.km.sum()),
        float(planned.trips.sum()),
    )
    wanted = routes_of(territory, feed)
    report.flows = {flow: tuple(feed.routes[n] for n in routes) for flow, routes in wanted.items()}
    if not any(wanted.values()):
        report.problems.append(Problem("gtfs.no_flows", {"modes": ", ".join(sorted(set(feed.modes)))}, severity="warning"))  # fmt: skip
    kilometers = {
        name: routes for name, routes in wanted.items() if territory.flows[name].carrier.kind == "vehicle_km"
    }
    tables = [
        _table(territory.flows[name], feed, planned.start, planned.km[routes].sum(axis=0), total=True)
        for name, routes in kilometers.items()
    ]
    key = f"{_digest(path)}:{span.start.isoformat()}:{span.end.isoformat()}:{sorted(report.flows.items())}"
    _append(
        ledger,
        tables,
        Origin(f"gtfs:{path.name}", _hash(key), run=SCHEDULED, model="gtfs", version=_VERSION),
        report,
    )
    record = gtfs_realtime.read(realtime, feed, now=now) if realtime is not None else None
    if record is not None and realtime is not None:
        report.alerts, report.driven_km = record.alerts, float(np.nansum(record.km))
        report.problems += record.problems
        key = f"{_digest(realtime)}:{sorted(report.flows.items())}"
        ran = Origin(f"gtfs-rt:{realtime.name}", _hash(key), model="gtfs-rt", version=_VERSION)
        _append(ledger, _driven(territory, feed, wanted, record), ran, report)
    return report


def routes_of(territory: Territory, feed: Feed) -> dict[str, list[int]]:
    """The numbers of the routes of each flow; a route that a meter names belongs to no flow of its whole mode."""
    names: dict[str, list[int]] = {}
    for number, (id_, short) in enumerate(zip(feed.routes, feed.names, strict=True)):
        for name in {fold(id_), fold(short)}:
            names.setdefault(name, []).append(number)
    flows = [flow for flow in territory.flows.values() if _kind(flow)]
    found = {
        flow.id: sorted({n for part in flow.meter.split(",") for n in names.get(fold(part.strip()), ())})
        for flow in flows
        if flow.meter
    }
    for flow in flows:
        if not flow.meter:
            taken = {
                n for id_, own in found.items() if territory.flows[id_].carrier == flow.carrier for n in own
            }
            mode = str(flow.parameters.get(_MODE_PARAMETER, "")) or (
                flow.carrier.code if flow.carrier.kind == "vehicle_km" else ""
            )
            found[flow.id] = [
                n for n, own in enumerate(feed.modes) if n not in taken and (not mode or own == mode)
            ]
    return {id_: routes for id_, routes in found.items() if routes}


def _kind(flow: Flow) -> bool:
    return flow.carrier.kind == "vehicle_km" or (flow.carrier.kind, flow.carrier.code) in {
        ("index", "delay"), ("index", "service"),
    }  # fmt: skip


def _driven(territory: Territory, feed: Feed, wanted: dict[str, list[int]], record: Record) -> list[pa.Table]:
    """What ran as values: kilometers, delays and the share of trips, each where something is known."""
    tables = []
    for id_, routes in wanted.items():
        flow = territory.flows[id_]
        if flow.carrier.kind == "vehicle_km":
            known = np.isfinite(record.km[routes]).any(axis=0)
            values = np.where(known, np.nansum(record.km[routes], axis=0), np.nan)
            tables.append(_table(flow, feed, record.start, values, total=True))
        elif flow.carrier.code == "delay":
            seconds = _mean(record.delay[routes]) * (1 / 60 if str(flow.unit) == "min" else 1.0)
            tables.append(_table(flow, feed, record.start, seconds, total=False))
        else:
            planned, ran = record.scheduled[routes], np.minimum(record.ran[routes], record.scheduled[routes])
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.where(
                    np.nansum(planned, axis=0) > 0,
                    np.nansum(ran, axis=0) / np.nansum(planned, axis=0),
                    np.nan,
                )
            tables.append(_table(flow, feed, record.start, share / (flow.unit.to("1") or 1.0), total=False))
    return tables


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _table(flow: Flow, feed: Feed, start: datetime, values: Floats, *, total: bool) -> pa.Table:
    """Hourly values of a flow in its unit and at its step; hours without a value are left out."""
    scaled = values / flow.unit.to("vehicle_km") if total else values
    first = int(start.timestamp()) // _HOUR
    known = np.flatnonzero(np.isfinite(scaled))
    starts: Ints = np.asarray((first + known) * _HOUR, np.int64)
    kept: Floats = np.asarray(scaled[known], np.float64)
    if total and flow.step is not None and flow.step.hours > 1:
        step = flow.step
        floors = np.array([int(step.floor(datetime.fromtimestamp(at, UTC), feed.tz).timestamp()) for at in starts.tolist()], np.int64)  # fmt: skip
        starts, group = np.unique(floors, return_inverse=True)
        kept = np.asarray(np.bincount(group, weights=kept, minlength=len(starts)), np.float64)
    moments = pa.array(starts * 1_000_000, pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.table({"flow": pa.array([flow.id] * len(starts), pa.string()), "start": moments, "value": kept})  # fmt: skip


def _append(ledger: Ledger, tables: list[pa.Table], origin: Origin, report: TransitReport) -> None:
    filled = [table for table in tables if table.num_rows]
    if filled:
        receipt = ledger.append(pa.concat_tables(filled), origin)
        report.rows += 0 if receipt.duplicate else receipt.rows
        report.duplicate = receipt.duplicate


def _digest(path: Path) -> str:
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for one in files:
        found.update(one.name.encode() + b"\0" + one.read_bytes())
    return found.hexdigest()


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
