# SPDX-License-Identifier: Apache-2.0
"""Metrics for Prometheus: what came in, what waits, what is stored, which devices and flows are silent.

Comes in: the live state. Goes out: one page in the text format of Prometheus, version 0.0.4 ("Exposition formats", Prometheus
documentation). A page has a bounded number of lines whatever the number of flows: the flows that lag most are named, the
others are counted.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Depends, Response

from mangrove.errors import LedgerError
from mangrove.ledger import catalog
from mangrove.ledger.columns import Columns, decode
from mangrove.serve.state import Live
from mangrove.sources.registers import SUFFIX

if TYPE_CHECKING:
    from mangrove.sources.intake import Arrival

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_FLOWS = 100
"""Flows that are named, those that lag most; Prometheus asks for few label values ("Metric and label naming")."""
MOST_DEVICES = 500
LATE_AFTER = 3.0
"""Steps without a value after the one that is due, from which on a flow counts as late."""
Sample = tuple[Mapping[str, str], float]


def router(live: Live, access: Any) -> APIRouter:
    """`GET /metrics`, for administrators and operators (also by a key of theirs)."""
    metrics = Metrics(live)
    api = APIRouter(tags=["operation"])
    who: Any = Depends(access.need("admin", "operator", guests=False))

    @api.get("/metrics", dependencies=[who], response_class=Response)
    def page() -> Response:
        """The state of the server in the text format of Prometheus."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    return api


class Metrics:
    """Follows what arrives and writes the page."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._last: dict[str, int] | None = None
        self._fresh: dict[str, int] = {}
        self._mutex = threading.Lock()
        if live.intake is not None:
            live.intake.subscribe(self._hear)

    def text(self) -> str:
        """The page."""
        lines: list[str] = []
        for name, kind, words, samples in (
            *self._intake(),
            *self._store(),
            *self._flows(),
            *self._devices(),
            *_process(),
        ):
            lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
        return "\n".join(lines) + "\n"

    def _hear(self, arrival: Arrival) -> None:
        with self._mutex:
            for key, at in arrival.last.items():
                self._fresh[key] = max(self._fresh.get(key, at), at)

    def _intake(self) -> Iterable[tuple[str, str, str, list[Sample]]]:
        intake = self._live.intake
        if intake is None:
            return
        counters, depth = intake.counters, intake.depth
        for name, words, value in (
            ("batches", "Batches that were committed.", counters.batches),
            ("rows", "Values that were stored.", counters.rows),
            ("unchanged", "Values that said what was known.", counters.unchanged),
            ("rejected", "Rows that were quarantined.", counters.rejected),
            ("duplicates", "Batches that had come before.", counters.duplicates),
            ("commits", "Commits, each with a sync.", counters.commits),
            ("refused", "Batches turned away because the queue was full.", counters.refused),
            ("failed", "Batches that the store refused.", counters.failed),
            ("commit_seconds", "Seconds spent in commits.", counters.seconds),
        ):
            yield f"mangrove_{name}_total", "counter", words, [({}, float(value))]
        for name, value in (("rows", depth.rows), ("bytes", depth.bytes), ("batches", depth.batches)):
            yield (
                f"mangrove_queue_{name}",
                "gauge",
                f"What waits to be committed: {name}.",
                [({}, float(value))],
            )

    def _store(self) -> Iterable[tuple[str, str, str, list[Sample]]]:
        try:
            found = _stored(self._live.store)
        except LedgerError:
            return
        for name, words, value in found:
            yield f"mangrove_{name}", "gauge", words, [({}, value)]

    def _flows(self) -> Iterable[tuple[str, str, str, list[Sample]]]:
        last, now = self._latest(), self._live.clock.now()
        lags: dict[str, float] = {}
        silent = 0
        for flow in self._live.territory.flows.values():
            if flow.step is None or not flow.step.seconds:
                continue
            at = last.get(flow.id + SUFFIX if flow.semantics == "counter" else flow.id)
            if at is None:
                silent += 1
            else:
                lags[flow.id] = lag(at, now, flow.step.seconds)
        late = sum(steps > LATE_AFTER for steps in lags.values())
        counts = {"on_time": len(lags) - late, "late": late, "silent": silent}
        words = f"Flows with a fixed step: late means more than {LATE_AFTER:g} steps overdue, silent without any value."
        yield "mangrove_flows", "gauge", words, [({"state": state}, float(n)) for state, n in counts.items()]
        worst = sorted(lags, key=lags.__getitem__, reverse=True)[:MOST_FLOWS]
        words = f"Steps by which the next value of a flow is overdue; the {MOST_FLOWS} greatest."
        yield "mangrove_flow_lag_steps", "gauge", words, [({"flow": flow}, lags[flow]) for flow in worst]

    def _latest(self) -> dict[str, int]:
        """The latest start of each series: what was stored at the first look, and what arrived since."""
        if self._last is None:
            self._last = latest(self._live.store)
        with self._mutex:
            for key, at in self._fresh.items():
                self._last[key] = max(self._last.get(key, at), at)
            self._fresh.clear()
        return self._last

    def _devices(self) -> Iterable[tuple[str, str, str, list[Sample]]]:
        states = [one for health in self._live.health for one in health()][:MOST_DEVICES]
        if states:
            samples: list[Sample] = [({"device": one.device, "status": one.status}, 1.0) for one in states]
            yield "mangrove_device", "gauge", "How each device is doing; see Data health.", samples


def lag(last: int, now: datetime, step: int) -> float:
    """Steps by which the next value is overdue: its interval begins at `last` + step and ends a step later.

    Example:
        >>> from datetime import UTC
        >>> lag(0, datetime(1970, 1, 1, 5, tzinfo=UTC), 3600)
        3.0
    """
    return max((now.timestamp() - last / 1e6) / step - 2, 0.0)


def latest(store: Path) -> dict[str, int]:
    """The latest start of every series in the store, microseconds UTC."""
    try:
        with catalog.reader(store) as db:
            found = dict(db.execute("select key, watermark from flow where watermark is not null"))
            keys = [key for (key,) in db.execute("select key from flow order by id")]
            hot = [body for (body,) in db.execute("select base from hot where base is not null")]
    except LedgerError:
        return {}
    marks = np.array([found.get(key, -1) for key in keys] or [-1], np.int64)
    for body in hot:
        rows = Columns.of(decode(body))
        np.maximum.at(marks, rows.flow, rows.start)
    return {key: int(at) for key, at in zip(keys, marks[: len(keys)].tolist(), strict=True) if at >= 0}


def _stored(store: Path) -> list[tuple[str, str, float]]:
    with catalog.reader(store) as db:
        files, rows, size, sealed = db.execute(
            "select count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0), coalesce(max(batch_max), 0) "
            "from segment where retired is null"
        ).fetchone()
        hot = db.execute("select coalesce(sum(rows), 0) from batch where id > ?", (sealed,)).fetchone()[0]
        cut = catalog.cut_at(db, None)
        bad = db.execute("select coalesce(max(id), 0) from quarantine").fetchone()[0]
    return [
        ("sealed_rows", "Versions of values in sealed files.", float(rows)),
        ("sealed_bytes", "Bytes of the sealed files of values.", float(size)),
        ("segments", "Sealed files of values.", float(files)),
        ("hot_rows", "Versions of values that are not sealed yet.", float(hot)),
        ("last_batch", "Id of the latest batch.", float(cut)),
        ("quarantined_rows", "Rows in quarantine.", float(bad)),
    ]


def _process() -> Iterable[tuple[str, str, str, list[Sample]]]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    words = "Total user and system CPU time spent in seconds."
    yield "process_cpu_seconds_total", "counter", words, [({}, usage.ru_utime + usage.ru_stime)]
    yield (
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
        [({}, float(resident()))],
    )


def resident() -> int:
    """Resident memory of this process in bytes; the greatest so far where the system does not say the present one."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    r"""A label value: backslash, quotation mark and line end are escaped.

    Example:
        >>> _escaped('a"b')
        'a\\"b'
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{value:.17g}" if value % 1 else f"{value:.0f}"
