# SPDX-License-Identifier: Apache-2.0
"""The time of a measurement, cut twice: into the buckets that are asked for, and into segments in which nothing changes.

Comes in: a plan. Goes out: the starts of buckets and segments. A segment lies in one bucket and every coefficient either
holds in all of it or in none of it, so an amount per flow and segment is all that a measurement needs to know of values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mangrove.measure.plan import Plan
from mangrove.times import HOUR, Span

_MANY = 4
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Buckets and segments of a window.

    Attributes:
        window: the time that is looked at: the span of the question, or one bucket of it.
        starts: UTC starts of the buckets; the first is the start of the window.
        segments: UTC starts of the segments.
        stored: length that the ledger sums into: an hour, or the asked step when it is finer.
        clips: instants (microseconds since 1970) at which a coefficient changes, and the end of the question's span.
    """

    window: Span
    starts: Sequence[datetime]
    segments: Sequence[datetime]
    stored: timedelta
    clips: Ints

    @classmethod
    def of(cls, plan: Plan, window: Span | None = None) -> Timeline:
        """The time line of a plan; `window` is one bucket of it, when only that is looked at."""
        question, edges = plan.question, plan.edges()
        span, every = question.span, question.every
        if window is not None:
            starts = [window.start]
        else:
            starts = every.starts(span, plan.territory.tz) if every else [span.start]
        seen = window or span
        inside = {edge for edge in edges if seen.start < edge < seen.end}
        fine = every is not None and 0 < every.seconds < HOUR.total_seconds()
        return cls(
            window=seen,
            starts=starts,
            segments=sorted({*starts, *inside}),
            stored=timedelta(seconds=every.seconds) if every and fine else HOUR,
            clips=instants([*edges, span.end]),
        )

    @property
    def is_coarse(self) -> bool:
        """Whether a segment holds many stored buckets, so that adding them up first pays."""
        return len(self.segments) * _MANY * self.stored < self.window.end - self.window.start

    def cuts(self) -> list[datetime]:
        """Starts of segments that do not fall on a stored bucket."""
        return [moment for moment in self.segments if (moment - EPOCH) % self.stored]

    def bounds(self) -> Ints:
        """Microseconds since 1970 at which segments start, and the end of the last one; one more than segments."""
        return instants([*self.segments, self.window.end])

    def buckets(self) -> Ints:
        """The number of the bucket of every segment."""
        return np.searchsorted(instants(self.starts), instants(self.segments), side="right") - 1

    def hours(self) -> NDArray[np.float64]:
        """The length of every bucket in hours."""
        return np.diff(instants([*self.starts, self.window.end])) / 3.6e9

    def slots(self) -> tuple[Ints, Ints]:
        """Every instant that a stored bucket, or a piece of one, can start at, and the segment that it lies in."""
        first, last = microseconds(self.window.start), microseconds(self.window.end)
        length = self.stored // timedelta(microseconds=1)
        whole = np.maximum(np.arange(first - first % length, last, length), first)
        segments = self.bounds()[:-1]
        found = np.union1d(whole, segments)
        return found, np.searchsorted(segments, found, side="right") - 1


def bucket_of(plan: Plan, start: datetime) -> Span:
    """The bucket of the question that starts at `start`."""
    timeline = Timeline.of(plan)
    after = timeline.starts.index(start) + 1
    return Span(start, timeline.starts[after] if after < len(timeline.starts) else timeline.window.end)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def instants(moments: Sequence[datetime]) -> Ints:
    """Microseconds since 1970 of each instant."""
    return np.array([microseconds(moment) for moment in moments], dtype=np.int64)
