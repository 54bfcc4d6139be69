# SPDX-License-Identifier: Apache-2.0
"""Events to amounts: battery swaps, trips, batches that are reported one by one.

Comes in: events of flows that have a step. They are stored as they are under `<flow>#event`, each at its own instant, so that one
that is reported again, even after a restart, is the same row and counts once. Goes out: the sum per step under `<flow>`, in a batch
of its own that names its model. Between two events the steps without one hold zero; after the latest event nothing is said.

The sums are a function of the set of events: one that arrives late changes its step and no other.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.inference.runs import as_table, read_series
from mangrove.inference.series import Series, usable
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Receipt
from mangrove.sources.convert import Values
from mangrove.sources.registers import boundary_index, boundary_start
from mangrove.sources.stamps import DAY, SECOND, Ints
from mangrove.territory.model import Flow, Territory
from mangrove.times import Step

SUFFIX = "#event"
VERSION = "1"
AROUND = 45 * DAY
"""How far the event before is looked for; a longer silence is a gap and not a row of zeros."""
_END = 253_402_300_799 * SECOND


def key_of(flow: Flow) -> str:
    """The key under which the events of a flow stand: its own id when it has no step to add them up in."""
    return flow.id + SUFFIX if flow.step is not None else flow.id


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
    """The events that came in since the last derivation; `seen` and `derive` may run in different threads."""

    territory: Territory
    touched: dict[str, tuple[int, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self, values: Values) -> None:
        """Remembers which flows of events a stored batch touched, and when."""
        for index, name in enumerate(values.names):
            starts = values.start[values.flow == index] if name.endswith(SUFFIX) else ()
            if len(starts):
                self._touch(name.removesuffix(SUFFIX), int(starts.min()), int(starts.max()))

    def catch_up(self, ledger: Ledger) -> None:
        """Marks everything: an earlier process may have died between storing events and adding them up."""
        with ledger.snapshot() as snapshot:
            known, (low, high) = set(snapshot.flow_ids()), snapshot.span()
        for flow in self.territory.flows.values():
            if flow.step is not None and flow.id + SUFFIX in known:
                self._touch(flow.id, low, high)

    def derive(self, ledger: Ledger) -> list[Receipt]:
        """Stores the sums of every step that may have changed; what stays the same is not stored again."""
        with self._lock:
            touched, self.touched = self.touched, {}
        try:
            found = [
                derive(ledger, self.territory.flows[name], self.territory.tz, window)
                for name, window in touched.items()
            ]
        except BaseException:
            for name, window in touched.items():
                self._touch(name, *window)
            raise
        return [receipt for receipt in found if receipt is not None]

    def _touch(self, flow: str, low: int, high: int) -> None:
        with self._lock:
            before = self.touched.get(flow, (low, high))
            self.touched[flow] = (min(before[0], low), max(before[1], high))


def derive(ledger: Ledger, flow: Flow, tz: ZoneInfo, touched: tuple[int, int]) -> Receipt | None:
    """Adds up the events of a flow from the one before `touched` to the one after it; None when nothing changed."""
    step = flow.step if flow.step is not None else Step(seconds=3600)
    with ledger.snapshot() as snapshot:
        events = read_series(snapshot, flow.id + SUFFIX, touched[0] - AROUND, min(touched[1] + AROUND, _END))
        rows = sums(events.pick(usable(events.quality)), step, tz, touched)
        if not len(rows):
            return None
        known = read_series(snapshot, flow.id, int(rows.start[0]), int(rows.start[-1]) + 1)
        cut = snapshot.cut
    changed = rows.pick(~_same(rows, known))
    if not len(changed):
        return None
    key = sha256(changed.start.tobytes() + changed.value.tobytes()).hexdigest()
    origin = Origin("model:event", f"{flow.id}:{cut}:{key}", "measured", model="event", version=VERSION)
    return ledger.append(as_table(flow.id, changed), origin)


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


def _same(rows: Series, known: Series) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which rows the ledger holds already."""
    if not len(known):
        return np.zeros(len(rows), dtype=bool)
    place = np.minimum(np.searchsorted(known.start, rows.start), len(known) - 1)
    return np.asarray(
        (known.start[place] == rows.start)
        & (known.value[place] == rows.value)
        & (known.quality[place] == rows.quality)
    )
