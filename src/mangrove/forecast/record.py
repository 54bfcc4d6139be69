# SPDX-License-Identifier: Apache-2.0
"""The record of the forecasters: what was said of each flow, what happened, and what repeating the week before would have been worth.

Comes in: stored forecasts and the values that arrived since. Goes out: records of kind `forecast_score`, one for each forecast whose
hours are over, and a table of them by flow, model and hours ahead. A forecast is scored as it was issued (later ones never change it),
against the naive forecast made from what the ledger held when it was issued. Scored once, it is not scored again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.forecast import features
from mangrove.forecast.calendar import DAY, Clock, Floats, Ints, Times
from mangrove.forecast.models.naive import Naive
from mangrove.forecast.score import pinball
from mangrove.forecast.table import Table
from mangrove.inference.days import day_numbers
from mangrove.inference.runs import read_series
from mangrove.inference.series import SECOND, usable
from mangrove.ledger import Ledger, Snapshot
from mangrove.ledger.types import series
from mangrove.rules import holidays
from mangrove.territory.model import Flow, Territory
from mangrove.times import to_us

KIND = "forecast_score"
VERSION = "1"
EDGES = (0, 6, 24, 48, 168, 336)
"""Hours ahead at which a row of the table ends and the next begins: during the day, the day ahead, the next, the week, two weeks."""
REACH = timedelta(days=45)
"""Forecasts that were stored longer ago are not looked at again: values that late are rare, and every forecast would be read each time."""
_NAIVE_DAYS = 8 * 7 + features.REACH + 7
"""Days that the naive forecast and its bands are made of."""
_RECORD = re.compile(r"record:([0-9a-f]{64})")
_ENOUGH = 0.5
"""Share of a forecast's steps that need a value before it is scored."""
SUMS = (
    "steps", "size", "absolute", "pinball", "naive_absolute", "naive_pinball", "told", "inside", "promised",
)  # fmt: skip
"""What is kept of each flow and horizon: sums, so that any rows can be added up. `told` counts the steps at which band or value differ
from zero, `inside` those of them inside the band, `promised` how many the bands promise (see `mangrove.forecast.score`)."""


class Keeps(Protocol):
    """What stores records: a ledger that is open for writing, or a server."""

    def put_record(self, kind: str, document: bytes, payload: bytes = b"") -> str:
        """Stores an immutable record."""
        ...


def score_stored(reader: Ledger, writer: Keeps, territory: Territory, now: datetime) -> int:
    """Scores what is due and stores it; the number of flows scored."""
    count = 0
    for document in due(reader, territory, now):
        count += len(document["flows"])
        writer.put_record(KIND, json.dumps(document, sort_keys=True).encode())
    return count


def due(ledger: Ledger, territory: Territory, now: datetime) -> Iterator[dict[str, Any]]:
    """The scores of stored forecasts that are over at `now`, have values, and were not scored before; nothing is stored."""
    since = datetime.now(UTC) - REACH
    recent = [id_ for id_, at in ledger.records("forecast") if at >= since]
    done: dict[str, set[str]] = {}
    for id_, at in ledger.records(KIND):
        if at >= since:
            document = json.loads(ledger.record(id_)[1])
            done.setdefault(document["forecast"], set()).update(document["flows"])
    batches = _batches(ledger, set(recent))
    for id_ in recent:
        said = json.loads(ledger.record(id_)[1])
        flows = [
            name
            for name in said.get("flows", {})
            if name in territory.flows and name not in done.get(id_, ())
        ]
        if not flows or id_ not in batches:
            continue
        one = _Stored(id_, said, *batches[id_])
        if one.ends(territory, flows) > now:
            continue
        with (
            ledger.snapshot() as happened,
            ledger.snapshot(cut=one.batch) as issued,
            ledger.snapshot(cut=int(said["cut"])) as before,
        ):
            scored = {
                name: found
                for name in flows
                if (found := one.score(territory, name, happened, issued, before))
            }
        if scored:
            yield {
                "forecast": id_, "origin": said["origin"], "model": said["model"], "version": said["version"],
                "scored_by": VERSION, "flows": scored,
            }  # fmt: skip


@dataclass(frozen=True)
class _Stored:
    """One stored forecast: its record, the highest of its batches, and its runs by probability."""

    id: str
    said: Mapping[str, Any]
    batch: int
    runs: Mapping[float, str]

    @property
    def origin(self) -> datetime:
        """The first instant that was forecast."""
        return datetime.fromisoformat(self.said["origin"])

    def ends(self, territory: Territory, flows: Sequence[str]) -> datetime:
        """When the last of its steps is over."""
        return max(
            self.origin + timedelta(seconds=self._steps(name) * _seconds(territory.flows[name]))
            for name in flows
        )

    def score(
        self, territory: Territory, name: str, happened: Snapshot, issued: Snapshot, before: Snapshot
    ) -> dict[str, dict[str, float]]:
        """Sums by hours ahead; empty while too few values have come."""
        flow, levels = territory.flows[name], tuple(sorted(self.runs))
        low, high = to_us(self.origin), to_us(self.ends(territory, [name])) + _seconds(flow) * SECOND
        said = {level: read_series(issued, series(name, self.runs[level]), low, high) for level in levels}
        starts = said[levels[0]].start[: self._steps(name)]
        if not len(starts) or any(
            not np.array_equal(one.start[: len(starts)], starts) for one in said.values()
        ):
            return {}
        quantiles = np.stack([said[level].value[: len(starts)] for level in levels])
        real = read_series(happened, name, low, high)
        real = real.pick(usable(real.quality))
        actual = _aligned(starts, real.start, real.value)
        naive = naive_quantiles(
            before, flow, territory, starts=_times(starts), levels=levels, origin=self.origin
        )
        use = ~np.isnan(actual) & ~np.isnan(naive).any(axis=0)
        if not use.any() or use.mean() < _ENOUGH:
            return {}
        hours = (starts - low) / (3600 * SECOND)
        lower = 0.0 if (real.value >= 0).all() else None
        found = {}
        for first, last in pairwise(EDGES):
            part = use & (hours >= first) & (hours < last)
            if part.any():
                found[f"{first}-{last}"] = sums(
                    quantiles[:, part], levels, actual[part], naive[:, part], lower
                )
        return found

    def _steps(self, name: str) -> int:
        return int(self.said["flows"][name]["steps"])


def sums(
    quantiles: Floats, levels: Sequence[float], actual: Floats, naive: Floats, lower: float | None
) -> dict[str, float]:
    """The sums of `SUMS` over steps: quantiles and naive (Q, T), actual (T,), all known."""
    middle = int(np.argmin(np.abs(np.asarray(levels) - 0.5)))
    told = (actual != 0) | (quantiles[-1] > quantiles[0])
    inside = told & (actual >= quantiles[0]) & (actual <= quantiles[-1])
    bound = told & (quantiles[0] <= lower) if lower is not None else np.zeros(len(actual), dtype=bool)
    both = float(levels[-1] - levels[0])
    return {
        "steps": float(len(actual)),
        "size": float(np.abs(actual).sum()),
        "absolute": float(np.abs(actual - quantiles[middle]).sum()),
        "pinball": float(pinball(quantiles, levels, actual).mean(axis=0).sum()),
        "naive_absolute": float(np.abs(actual - naive[middle]).sum()),
        "naive_pinball": float(pinball(naive, levels, actual).mean(axis=0).sum()),
        "told": float(told.sum()),
        "inside": float(inside.sum()),
        "promised": float(both * told.sum() + levels[0] * bound.sum()),
    }


def naive_quantiles(
    before: Snapshot,
    flow: Flow,
    territory: Territory,
    *,
    starts: Times,
    levels: Sequence[float],
    origin: datetime,
) -> Floats:
    """What repeating the week before said of `starts`, with its usual misses, from what was known at `origin`; shape (Q, T)."""
    step = _seconds(flow)
    clock = Clock.of(step / 3600, territory.tz)
    end = to_us(origin) - step * SECOND
    known = read_series(before, flow.id, end - _NAIVE_DAYS * DAY * SECOND, end + 1)
    known = known.pick(usable(known.quality))
    if not len(known):
        return np.full((len(levels), len(starts)), np.nan)
    table = Table(clock)
    table.put(_times(known.start), known.value)
    day, slot = clock.locate(starts)
    today = int(
        clock.locate(np.array([origin.astimezone(UTC).replace(tzinfo=None)], dtype="datetime64[s]"))[0][0]
    )
    off = day_numbers(holidays.days(territory.timezone))
    model = Naive(tuple(levels))
    past = np.arange(max(table.first + 7, today - 8 * 7), today)
    if not len(past):
        return np.full((len(levels), len(starts)), np.nan)
    model.fit(features.build(table.before(today), table.first, past, off))
    days = np.unique(day)
    said = model.predict(features.build(table.rows, table.first, days, off))
    found: Floats = said[:, np.searchsorted(days, day), slot]
    return found


def scores(ledger: Ledger, flows: Sequence[str] = (), since: datetime | None = None) -> pa.Table:
    """The record of the forecasters, one row a flow, model and stretch of hours ahead.

    Args:
        ledger: open for reading.
        flows: ids; all when empty.
        since: forecasts from this origin on; all when None.

    Returns:
        Columns flow, model, from_hour, to_hour, forecasts, steps, mae, naive_mae (in the flow's unit), pinball, naive_pinball (over the mean
        size of the values), skill (1 - pinball / naive pinball), coverage, promised.
    """
    documents = (json.loads(ledger.record(id_)[1]) for id_, _ in ledger.records(KIND))
    return table_of(documents, flows, since)


def table_of(
    documents: Iterator[Mapping[str, Any]], flows: Sequence[str] = (), since: datetime | None = None
) -> pa.Table:
    """The table of `scores` from the documents of its records."""
    total: dict[tuple[str, str, int, int], dict[str, float]] = {}
    for document in documents:
        if since is not None and datetime.fromisoformat(document["origin"]) < since:
            continue
        for name, parts in document["flows"].items():
            if flows and name not in flows:
                continue
            for stretch, values in parts.items():
                first, last = stretch.split("-")
                row = total.setdefault(
                    (name, document["model"], int(first), int(last)), dict.fromkeys(("forecasts", *SUMS), 0.0)
                )
                row["forecasts"] += 1
                for key in SUMS:
                    row[key] += values[key]
    rows = [_row(key, total[key]) for key in sorted(total)]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        ("flow", pa.string()), ("model", pa.string()), ("from_hour", pa.int32()), ("to_hour", pa.int32()),
        ("forecasts", pa.int64()), ("steps", pa.int64()),
        *((name, pa.float64()) for name in (
            "mae", "naive_mae", "pinball", "naive_pinball", "skill", "coverage", "promised",
        )),
    ]
)  # fmt: skip


def _row(key: tuple[str, str, int, int], found: Mapping[str, float]) -> dict[str, Any]:
    def share(part: float, whole: float) -> float | None:
        return part / whole if whole > 0 else None

    ratio = share(found["pinball"], found["naive_pinball"])
    return {
        "flow": key[0], "model": key[1], "from_hour": key[2], "to_hour": key[3],
        "forecasts": int(found["forecasts"]), "steps": int(found["steps"]),
        "mae": share(found["absolute"], found["steps"]), "naive_mae": share(found["naive_absolute"], found["steps"]),
        "pinball": share(found["pinball"], found["size"]), "naive_pinball": share(found["naive_pinball"], found["size"]),
        "skill": None if ratio is None else 1 - ratio,
        "coverage": share(found["inside"], found["told"]), "promised": share(found["promised"], found["told"]),
    }  # fmt: skip


def _batches(ledger: Ledger, wanted: set[str]) -> dict[str, tuple[int, dict[float, str]]]:
    """By record: the highest of the batches that hold it, and their runs by probability."""
    found: dict[str, tuple[int, dict[float, str]]] = {}
    for row in ledger.batches().select(["batch", "run", "inputs"]).to_pylist():
        kind, _, name = row["run"].partition("/")
        if kind != "forecast" or not re.fullmatch(r"(?:q[0-9.]+)?", name):
            continue
        for record in wanted.intersection(_RECORD.findall(row["inputs"])):
            batch, runs = found.setdefault(record, (0, {}))
            runs[float(name[1:]) / 100 if name else 0.5] = row["run"]
            found[record] = (max(batch, row["batch"]), runs)
    return found


def _aligned(starts: Ints, known: Ints, values: Floats) -> Floats:
    """The values at `starts`, NaN where there is none."""
    if not len(known):
        return np.full(len(starts), np.nan)
    at = np.minimum(np.searchsorted(known, starts), len(known) - 1)
    return np.where(known[at] == starts, values[at], np.nan)


def _seconds(flow: Flow) -> int:
    assert flow.step is not None
    return flow.step.seconds


def _times(us: Ints) -> npt.NDArray[np.datetime64]:
    return us.astype("datetime64[us]").astype("datetime64[s]")
