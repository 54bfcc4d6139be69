# SPDX-License-Identifier: Apache-2.0
"""Events and samples to values of steps: battery swaps that are reported one by one, powers that are read every few seconds.

Comes in: events of flows of amounts, samples of flows of means, of flows that have a step. They are stored as they are under
`<flow>#event` and `<flow>#sample`, each at its own instant, so that one that is reported again, even after a restart, is the same row
and counts once. Goes out: the sum (the mean) per step under `<flow>`, in a batch of its own that names its model.

Between two events the steps without one hold zero; after the latest event nothing is said. A mean is made when its step is over; when
samples leave a hole of more than a quarter of the step, it is marked FILLED. Both are functions of the set of what was reported: what
arrives late changes its step and no other.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b, sha256
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.inference.runs import as_table, read_series
from mangrove.inference.series import Series, usable
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Quality, Receipt
from mangrove.sources.convert import Values
from mangrove.sources.registers import boundary_index, boundary_start, same_rows
from mangrove.sources.stamps import DAY, SECOND, Ints
from mangrove.territory.model import Flow, Territory
from mangrove.times import Step

EVENT, SAMPLE = "#event", "#sample"
VERSION = "1"
AROUND = 45 * DAY
"""How far the event before is looked for; a longer silence is a gap and not a row of zeros."""
HOLE = 0.25
"""Share of a step without a sample above which its mean is an estimate: Directive 2008/50/EC, annex XI A asks for 75 % of the values."""
_END = 253_402_300_799 * SECOND


def event_key(flow: Flow) -> str:
    """The key under which the events of a flow stand: its own id when it has no step to add them up in."""
    return flow.id + EVENT if flow.step is not None else flow.id


def sample_key(flow: Flow) -> str:
    """The key under which momentary values stand: that of samples when their mean over a step is what the flow holds."""
    return flow.id + SAMPLE if flow.step is not None and flow.semantics == "mean" else flow.id


def apart(identity: str) -> int:
    """Microseconds (0 to 999) that set two events of one millisecond apart; they follow from the event's own identity."""
    return int.from_bytes(blake2b(identity.encode(errors="replace"), digest_size=4).digest()) % 1000


def step_start(at: Ints, step: Step, tz: ZoneInfo) -> Ints:
    """The start of the step that holds each instant; days, weeks and months are those of the zone.

    Example:
        >>> quarter = Step.parse("15min")
        >>> step_start(np.array([1_000_000_000]), quarter, ZoneInfo("UTC")).tolist()
        [900000000]
    """
    size = step.seconds * SECOND
    if not step.months and size % DAY:
        return np.asarray(at - at % size)
    index = boundary_index(at, step, tz)
    start = boundary_start(index, step, tz)
    return np.asarray(np.where(start > at, boundary_start(index - 1, step, tz), start))


@dataclass
class Events:
    """What came in since the last derivation, by key; `seen` and `derive` may run in different threads."""

    territory: Territory
    touched: dict[str, tuple[int, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self, values: Values) -> None:
        """Remembers which events and samples a stored batch brought, and of when."""
        for index, name in enumerate(values.names):
            if not name.endswith((EVENT, SAMPLE)):
                continue
            starts = values.start[values.flow == index]
            if len(starts):
                self._touch(name, int(starts.min()), int(starts.max()))

    def catch_up(self, ledger: Ledger) -> None:
        """Marks everything: an earlier process may have died between storing and deriving."""
        with ledger.snapshot() as snapshot:
            known, (low, high) = set(snapshot.flow_ids()), snapshot.span()
        for flow in self.territory.flows.values():
            for key in (flow.id + EVENT, flow.id + SAMPLE):
                if flow.step is not None and key in known:
                    self._touch(key, low, high)

    def derive(self, ledger: Ledger, now: datetime) -> list[Receipt]:
        """Stores the value of every step that may have changed; what stays the same is not stored again."""
        with self._lock:
            touched, self.touched = self.touched, {}
        found = []
        present = int(now.timestamp() * SECOND)
        while touched:
            key, window = touched.popitem()
            try:
                receipt, open_from = derive(ledger, self.territory, key, window, present)
            except BaseException:
                for name, its in ((key, window), *touched.items()):
                    self._touch(name, *its)
                raise
            if open_from is not None:
                self._touch(key, open_from, window[1])
            if receipt is not None:
                found.append(receipt)
        return found

    def _touch(self, key: str, low: int, high: int) -> None:
        with self._lock:
            before = self.touched.get(key, (low, high))
            self.touched[key] = (min(before[0], low), max(before[1], high))


def derive(
    ledger: Ledger, territory: Territory, key: str, touched: tuple[int, int], now: int
) -> tuple[Receipt | None, int | None]:
    """The values of the steps around `touched` (microseconds, as `now`) of the events or samples that stand under `key`.

    Returns:
        The receipt, None when nothing changed; and from when on something waits for its step to end, None when nothing does.
    """
    flow, tz = territory.flows[key.removesuffix(EVENT).removesuffix(SAMPLE)], territory.tz
    step = flow.step if flow.step is not None else Step(seconds=3600)
    model = "event" if key.endswith(EVENT) else "sample"
    reach = AROUND if model == "event" else int(step.hours * 3600 * SECOND)
    open_from = None
    with ledger.snapshot() as snapshot:
        said = read_series(snapshot, key, touched[0] - reach, min(touched[1] + reach, _END))
        said = said.pick(usable(said.quality))
        if model == "event":
            rows = sums(said, step, tz, touched)
        else:
            rows = means(said, step, tz)
            current = int(step_start(np.array([now]), step, tz)[0])
            open_from = current if touched[1] >= current else None
            first = int(step_start(np.array([touched[0]]), step, tz)[0])
            rows = rows.between(first, min(current, touched[1] + 1))
        if not len(rows):
            return None, open_from
        known = read_series(snapshot, flow.id, int(rows.start[0]), int(rows.start[-1]) + 1)
        cut = snapshot.cut
    changed = rows.pick(~same_rows(rows, known))
    if not len(changed):
        return None, open_from
    digest = sha256(changed.start.tobytes() + changed.value.tobytes() + changed.quality.tobytes()).hexdigest()
    origin = Origin(f"model:{model}", f"{flow.id}:{cut}:{digest}", "measured", model=model, version=VERSION)
    return ledger.append(as_table(flow.id, changed), origin), open_from


def means(samples: Series, step: Step, tz: ZoneInfo) -> Series:
    """The mean of the samples in each step that has any, GOOD or FILLED by how large a hole they leave."""
    if not len(samples):
        return Series.empty()
    starts = step_start(samples.start, step, tz)
    at, first, count = np.unique(starts, return_index=True, return_counts=True)
    total = np.add.reduceat(samples.value, first)
    ends = boundary_start(boundary_index(at, step, tz) + 1, step, tz)
    before = samples.start - np.where(
        np.arange(len(starts)) == np.repeat(first, count), starts, np.roll(samples.start, 1)
    )
    hole = np.maximum.reduceat(before, first)
    hole = np.maximum(hole, ends - samples.start[first + count - 1])
    quality = np.where(hole > HOLE * (ends - at), Quality.FILLED, Quality.GOOD).astype(np.uint8)
    return Series(at, total / count, quality)


def sums(events: Series, step: Step, tz: ZoneInfo, touched: tuple[int, int]) -> Series:
    """The sum of events in each step between the neighbors of `touched`, zeros included."""
    if not len(events):
        return Series.empty()
    starts = step_start(events.start, step, tz)
    before = events.start[events.start < touched[0]]
    after = events.start[events.start > touched[1]]
    ends = [max(int(events.start[0]), touched[0]) if not len(before) else int(before[-1])]
    ends.append(min(int(events.start[-1]), touched[1]) if not len(after) else int(after[0]))
    low, high = step_start(np.array(ends), step, tz).tolist()
    first, last = boundary_index(np.array([low, high]), step, tz).tolist()
    at = boundary_start(np.arange(first, last + 1), step, tz)
    within = (starts >= low) & (starts <= high)
    total = np.zeros(len(at))
    np.add.at(total, np.searchsorted(at, starts[within]), events.value[within])
    return Series(at, total, np.zeros(len(at), dtype=np.uint8))
