# SPDX-License-Identifier: Apache-2.0
"""A virtual meter at work: estimates hour by hour, what reference campaigns teach it, when it calls, when it asks to be measured.

Comes in: a fitted meter, inputs in order of time, the readings of short reference campaigns, what is wanted of it. Goes out: estimates
with intervals, the campaigns with what each found, alarms, and requests for the next campaign. A row is estimated with what was known
before it: a campaign counts from the row after its last.

Level and gain are followed by a Kalman filter over campaigns. The level has the two parts that the validation showed: one that lasts, one
that fades within days. Before the first campaign both are as uncertain as on blocks that were not seen; what a campaign teaches fades as
fast as its subject. Misses larger than promised widen the intervals, and so does a row outside the known domain.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mangrove.inference.drift import alarmed, cusum
from mangrove.inference.virtual import LEVELS, Bools, Floats, Ints, Meter, campaigns, edges

BETWEEN_ALARMS = 200.0
"""Mean number of campaigns between two false alarms about drift."""
_GAIN_SHARE = 0.5
"""What the gain may be wrong by, at one standard deviation of the readings, as a share of what the lasting level may."""
_LASTS = 10.0
"""Blocks over which the lasting level and the gain fade: about the time that the meter was fitted on."""
_PROMISED = 5.0
"""Campaigns that the misses of the validation count like, when intervals are learnt from them and from campaigns."""
_FORGET = 0.95
"""Weight of a campaign's misses when the next one comes."""
_BEYOND = 8.0
"""A campaign whose median surprises by more standard deviations than this is believed: the lasting level may be as far off as it says."""
_NEAR_LIMIT = 0.2
"""Share of the last day's rows whose interval may reach the limit before a campaign is asked for: single ones are noise."""
REASONS = ("domain", "limit", "width", "age")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a meter.

    Attributes:
        every: rows after which a campaign is due anyway; limit: of the reading, which the 95 % interval should not reach unseen.
        width: widest half of a 95 % interval that will do; longest: readings of one campaign, more are cut into several.
    """

    every: float = np.inf
    limit: float = np.inf
    width: float = np.inf
    longest: int = 24


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign found: its rows, readings, mean miss before and after it, the standardized surprise, and whether drift was called."""

    first: int
    last: int
    readings: int
    before: float
    after: float
    surprise: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A campaign is asked for from `row` on; `reasons` are of `REASONS`."""

    row: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Tracked:
    """A meter over T rows.

    Attributes:
        value: (T,), NaN where an input is missing; bounds: (4, T) at `LEVELS`; sd: (T,).
        distance: (T,) from the domain, above 1 outside; outside: (T,) where the domain alarm holds.
        campaigns, requests: in order of time.
    """

    value: Floats
    bounds: Floats
    sd: Floats
    distance: Floats
    outside: Bools
    campaigns: tuple[Campaign, ...]
    requests: tuple[Request, ...]


def track(
    meter: Meter,
    x: Floats,
    y: Floats,
    wanted: Wanted | None = None,
    *,
    between_alarms: float = BETWEEN_ALARMS,
    recalibrate: bool = True,
) -> Tracked:
    """Runs a meter over rows that follow those it was fitted on.

    Args:
        meter: fitted.
        x: (T, p) inputs in order of time.
        y: (T,) reference readings, NaN where there are none.
        wanted: what decides when a campaign is asked for.
        between_alarms: mean number of campaigns between false alarms about drift.
        recalibrate: follow level and gain; without it campaigns are only compared.
    """
    wanted = wanted or Wanted()
    raw, size = meter.raw(x), meter.size(x)
    distance = meter.domain.distance(x)
    parts = list(campaigns(np.where(np.isfinite(raw), y, np.nan), wanted.longest))
    state = _State(meter, raw, size, y, distance)
    surprises = []
    alarm = False
    for rows in parts:
        surprises.append(state.take(rows, recalibrate=recalibrate))
        calls = cusum(np.array(surprises), between_alarms).alarm
        alarm = bool(calls[-1])
        state.note(rows, alarm=alarm, recalibrate=recalibrate)
    state.run_to(len(raw))
    sd = np.hypot(size, np.sqrt(state.doubt)) * np.maximum(distance, 1.0)
    value = np.maximum(raw + state.shift, meter.lower)
    bounds = np.maximum(raw + state.shift + state.edges * sd, meter.lower)
    outside = alarmed(distance)
    ends = [one.last for one in state.campaigns]
    requests = _requests(bounds, distance, ends, wanted, len(raw))
    return Tracked(value, bounds, sd, distance, outside, tuple(state.campaigns), requests)


class _State:
    """The filter of level and gain; `shift`, `doubt` (T,) and `edges` (4, T) are what it knew before each row.

    `reading - raw = lasting + fading + gain v + noise` with `v` the raw estimate in standard deviations around the mean of what was learnt.
    """

    def __init__(self, meter: Meter, raw: Floats, size: Floats, y: Floats, distance: Floats) -> None:
        parts = meter.memory
        self._meter, self._raw, self._size, self._y = meter, raw, size, y
        one = np.ones(len(raw))
        self._rows = np.column_stack([one, one, (raw - meter.center) / meter.spread])
        self._start = np.diag([parts.lasting, parts.fading, _GAIN_SHARE**2 * parts.lasting]) + 1e-18 * np.eye(
            3
        )
        self._time = np.array([_LASTS * meter.length, parts.rows, _LASTS * meter.length])
        self._mean, self._cov, self._at = np.zeros(3), self._start.copy(), 0
        self._wide = np.maximum(distance, 1.0)
        self._scores, self._weights = meter.scores, _PROMISED * meter.weights
        self.shift, self.doubt, self.edges = (
            np.zeros(len(raw)),
            np.zeros(len(raw)),
            np.zeros((len(LEVELS), len(raw))),
        )
        self.campaigns: list[Campaign] = []

    def take(self, rows: Ints, *, recalibrate: bool) -> float:
        """Runs to the end of a campaign, learns from it, and gives how surprising its mean miss was, in standard deviations."""
        self.run_to(int(rows[-1]) + 1)
        h, missed = self._rows[rows], (self._y - self._raw)[rows]
        noise = self._size[rows] ** 2 * min(self._meter.memory.hours, len(rows))
        middle = h.mean(axis=0)
        expected = float(middle @ self._cov @ middle + noise.mean() / len(rows))
        self._before = missed - h @ self._mean
        self._surprise = float(self._before.mean() / np.sqrt(expected))
        usual = float(np.median(self._before))
        if recalibrate and usual**2 > _BEYOND**2 * expected:
            self._cov[0, 0] += usual**2 - expected
        spread = np.einsum("ni,ij,nj->n", h, self._cov, h) + self._size[rows] ** 2
        scores = self._before / np.sqrt(spread) / self._wide[rows]
        self._scores = np.append(self._scores, scores)
        self._weights = np.append(_FORGET * self._weights, np.full(len(rows), 1 / len(rows)))
        if recalibrate:
            gain = np.linalg.inv(np.linalg.inv(self._cov) + (h / noise[:, None]).T @ h)
            self._mean = self._mean + gain @ ((h / noise[:, None]).T @ self._before)
            self._cov = np.asarray(gain, dtype=np.float64)
        self._after = missed - h @ self._mean
        return self._surprise

    def note(self, rows: Ints, *, alarm: bool, recalibrate: bool) -> None:
        """Keeps what the campaign found; after an alarm about drift the next ones may move the meter as far as the first could."""
        if alarm and recalibrate:
            self._cov = self._cov + self._start
        self.campaigns.append(
            Campaign(
                int(rows[0]), int(rows[-1]), len(rows), -float(self._before.mean()), -float(self._after.mean()),
                self._surprise, alarm,
            )
        )  # fmt: skip

    def run_to(self, row: int) -> None:
        """Says shift and doubt of the rows before `row` with what is known now, and goes there: levels fade, doubt grows back."""
        rows = np.arange(self._at, row)
        if not len(rows):
            return
        h = self._rows[rows]
        left = np.exp(-(rows - self._at + 1)[:, None] / self._time)
        self.shift[rows] = (h * left) @ self._mean
        known = np.einsum("ni,ij,nj->n", h * left, self._cov, h * left)
        self.doubt[rows] = np.maximum(known + h**2 * (1 - left**2) @ np.diag(self._start), 0.0)
        self.edges[:, rows] = edges(self._scores, self._weights, self._meter.groups + len(self.campaigns))[
            :, None
        ]
        last = np.diag(left[-1])
        self._mean = last @ self._mean
        self._cov = last @ self._cov @ last + np.diag((1 - left[-1] ** 2) * np.diag(self._start))
        self._at = row


def _requests(
    bounds: Floats, distance: Floats, ends: list[int], wanted: Wanted, rows: int
) -> tuple[Request, ...]:
    """The first row after each campaign on which something asks for the next, with all that asks within a day of it."""
    with np.errstate(invalid="ignore"):
        flags = {
            "domain": alarmed(distance),
            "limit": _often(bounds[3] > wanted.limit, bounds[0], _NEAR_LIMIT),
            "width": _often((bounds[3] - bounds[0]) / 2 > wanted.width, bounds[0], 0.5),
        }
    marks = [-1, *ends, rows]
    found = []
    for begin, end in itertools.pairwise(marks):
        first = {name: np.flatnonzero(flag[begin + 1 : end]) + begin + 1 for name, flag in flags.items()}
        asked = {name: int(at[0]) for name, at in first.items() if len(at)}
        if begin + wanted.every < end:
            asked["age"] = int(begin + wanted.every)
        if asked:
            row = min(asked.values())
            found.append(Request(row, tuple(name for name in REASONS if asked.get(name, rows) < row + 24)))
    return tuple(found)


def _often(flag: Bools, known: Floats, share: float) -> Bools:
    """Where a flag holds for more than a share of the last day's known rows."""
    return alarmed(np.where(np.isfinite(known), np.where(flag, 2.0, 0.0), np.nan), share)
