# SPDX-License-Identifier: Apache-2.0
"""Pinch targets: how much heat a set of streams can give to each other, and what hot and cold utilities must still do.

Comes in: streams with supply and target temperature and heat flow, each with its contribution to the least temperature
difference. Goes out: the smallest hot and cold utility, the pinch, the heat cascade and the composite curves. The method is
the problem table (Linnhoff & Flower 1978, AIChE J. 24:633), done for all streams at once. Streams at constant temperature
(steam that condenses, water that boils) make intervals of no width, so that they are exact. `heat_cascade` is the same as a
linear program inside a `Network`.

Notation: shifted temperature T* = T - c of a stream that gives heat, T + c of one that takes heat, where c is its
contribution (half of the least difference when both sides have the same). Heat may pass from T* to any lower T*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
ABSOLUTE_ZERO = -273.15
"""Degrees Celsius; exact by definition (SI brochure, 9th edition, 2.3.1)."""
SAME = 1e-6
"""Kelvin; a stream that changes by less counts as one at constant temperature: its CP would drown all others in rounding."""
_ROUNDING = 1e-9


def pinch(streams: Streams, dt_min: float = 10.0) -> Targets:
    """The targets of all streams together.

    Args:
        streams: n streams.
        dt_min: least temperature difference in K between streams without a contribution of their own (half for each side).

    Raises:
        RequestError: `heat.bad_difference`: `dt_min` is negative or not a number.

    Example:
        The four streams of Linnhoff & Hindmarsh 1983 (Chem. Eng. Sci. 38:745).

        >>> four = Streams.of([170, 150, 20, 80], [60, 30, 135, 140], cp=[3, 1.5, 2, 4])
        >>> found = pinch(four, 10)
        >>> found.hot_utility, found.cold_utility, found.sides
        (20.0, 60.0, ((90.0, 80.0),))
    """
    low, high = streams.shifted(dt_min)
    levels = grid(low, high)
    net = spread(levels, low, high, np.where(streams.gives, streams.heat, -streams.heat))
    return _targets(streams, dt_min, levels, net)


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """Streams that give or take heat.

    Attributes:
        supply, target: (n,) temperatures in degrees Celsius.
        heat: (n,) heat flow, 0 or more, in any unit of power.
        gives: (n,) whether the stream gives heat ("hot"); the others take it ("cold").
        contribution: (n,) K; what the stream adds to the least difference; NaN: half of the common one.
        names, plants: n words each; streams of one plant may be joined directly without crossing a fence.
    """

    supply: Floats
    target: Floats
    heat: Floats
    gives: Bools
    contribution: Floats
    names: tuple[str, ...]
    plants: tuple[str, ...]

    @classmethod
    def of(
        cls,
        supply: Any,
        target: Any,
        *,
        heat: Any = None,
        cp: Any = None,
        gives: Any = None,
        contribution: Any = np.nan,
        names: Sequence[str] = (),
        plants: Sequence[str] = (),
    ) -> Streams:
        """Streams from plain numbers.

        Args:
            supply: (n,) degrees Celsius.
            target: (n,) degrees Celsius.
            heat: (n,) heat flow; where it is NaN (or left out) it is cp x |target - supply|.
            cp: (n,) heat capacity flow, power per K.
            gives: (n,) whether it gives heat; only asked where supply and target are the same.
            contribution: (n,) K, or one number; NaN: half of the common least difference.
            names: n words; "1", "2", ... when left out.
            plants: n words; all "" when left out.

        Raises:
            RequestError: `heat.no_streams`, `heat.shape`, `heat.not_finite`, `heat.below_zero`, `heat.too_cold`,
                `heat.no_direction`, `heat.no_heat`; each names the stream.
        """
        start, end = (np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (supply, target))
        n = len(start)
        if not n:
            raise RequestError("heat.no_streams")
        labels = tuple(names) or tuple(str(i + 1) for i in range(n))
        sites = tuple(plants) or ("",) * n
        arrays = {
            what: np.full(n, np.nan) if value is None else np.asarray(value, dtype=np.float64)
            for what, value in (("heat", heat), ("cp", cp), ("contribution", contribution))
        }
        counts = {"target": len(end), "names": len(labels), "plants": len(sites)}
        counts |= {what: len(value) for what, value in arrays.items() if value.ndim}
        for what, count in counts.items():
            if count != n:
                raise RequestError("heat.shape", what=what, got=count, wanted=n)
        flow, capacity, own = (np.array(np.broadcast_to(v, n)) for v in arrays.values())
        flow = np.where(np.isnan(flow), capacity * np.abs(end - start), flow)
        _checked(labels, {"supply": start, "target": end, "heat": flow, "contribution": own}, capacity)
        equal = np.abs(end - start) < SAME
        if gives is None:
            hot = start > end
            _refuse(labels, equal, "heat.no_direction", temperature=start)
        else:
            hot = np.where(equal, np.broadcast_to(np.asarray(gives, dtype=bool), n), start > end)
        return cls(start, np.where(equal, start, end), flow, hot, own, labels, sites)

    def __len__(self) -> int:
        return len(self.supply)

    def __getitem__(self, which: Any) -> Streams:
        """Some of the streams, by positions or by a mask."""
        at = np.arange(len(self))[which]
        names, plants = (tuple(words[i] for i in at) for words in (self.names, self.plants))
        start, end, heat, own = (one[at] for one in (self.supply, self.target, self.heat, self.contribution))
        return Streams(start, end, heat, self.gives[at], own, names, plants)

    def of_plant(self, plant: str) -> Streams:
        """The streams of one plant."""
        return self[[i for i, one in enumerate(self.plants) if one == plant]]

    def contributions(self, dt_min: float) -> Floats:
        """(n,) K; half of `dt_min` where a stream has none of its own.

        Raises:
            RequestError: `heat.bad_difference`.
        """
        if not 0 <= dt_min < np.inf:
            raise RequestError("heat.bad_difference", value=str(dt_min))
        return np.where(np.isnan(self.contribution), dt_min / 2, self.contribution)

    def shifted(self, dt_min: float) -> tuple[Floats, Floats]:
        """(n,) lower and (n,) upper shifted temperature of each stream."""
        shift = np.where(self.gives, -1.0, 1.0) * self.contributions(dt_min)
        ends = np.stack([self.supply + shift, self.target + shift])
        return ends.min(axis=0), ends.max(axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A line of a temperature-heat diagram: `heat` and `temperature`, point by point, from cold to hot."""

    heat: Floats
    temperature: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What the streams can do at best.

    Attributes:
        hot_utility, cold_utility: the least that must be heated and cooled from outside.
        recovered: heat that streams give to streams.
        levels: (G,) shifted temperatures from cold to hot; one stands twice where a stream has constant temperature.
        cascade: (G,) heat that passes each level downward, never negative; with `levels` it is the grand composite curve.
        pinches: shifted temperatures that no heat passes, from cold to hot; at an end of `levels` for threshold problems.
        sides: temperature of the giving and the taking streams at each pinch; empty when contributions differ from stream
            to stream, because then only the shifted temperature is one number.
        hot, cold: composite curves at real temperatures; the cold one begins at `cold_utility`.
    """

    hot_utility: float
    cold_utility: float
    recovered: float
    levels: Floats
    cascade: Floats
    pinches: tuple[float, ...]
    sides: tuple[tuple[float, float], ...]
    hot: Curve
    cold: Curve

    @property
    def threshold(self) -> bool:
        """Whether one of the two utilities is not needed at all."""
        return self.hot_utility == 0.0 or self.cold_utility == 0.0

    @property
    def grand(self) -> Curve:
        """The grand composite curve, at shifted temperatures."""
        return Curve(self.cascade, self.levels)


def grid(low: Floats, high: Floats) -> Floats:
    """Levels from cold to hot: every end once, and twice where something has constant temperature.

    Example:
        >>> grid(np.array([20.0, 100.0]), np.array([80.0, 100.0]))
        array([ 20.,  80., 100., 100.])
    """
    return np.sort(np.concatenate([np.unique(np.concatenate([low, high])), np.unique(low[low == high])]))


def spread(levels: Floats, low: Floats, high: Floats, heat: Floats) -> Floats:
    """(G - 1,) heat of all streams in each interval between levels.

    Args:
        levels: (G,) a `grid` that holds every end.
        low: (n,) lower end.
        high: (n,) upper end.
        heat: (n,) signed heat, even over the stream's temperatures.
    """
    still = low == high
    first, last = np.searchsorted(levels, low), np.searchsorted(levels, high)
    moving = ~still
    slope = heat[moving] / (high - low)[moving]
    count = len(levels)
    begun = np.bincount(first[moving], slope, count) - np.bincount(last[moving], slope, count)
    open_ = np.cumsum(
        np.bincount(first[moving], minlength=count) - np.bincount(last[moving], minlength=count)
    )
    even = np.where(open_ > 0, np.cumsum(begun), 0.0)[:-1] * np.diff(levels)
    total: Floats = even + np.bincount(first[still], heat[still], count)[:-1]
    return total


def curve(low: Floats, high: Floats, heat: Floats, start: float = 0.0) -> Curve:
    """The composite curve of streams; it begins at `start`."""
    if not len(low):
        return Curve(np.zeros(0), np.zeros(0))
    levels = grid(low, high)
    return Curve(start + np.concatenate([[0.0], np.cumsum(spread(levels, low, high, heat))]), levels)


def _targets(streams: Streams, dt_min: float, levels: Floats, net: Floats) -> Targets:
    """The cascade: heat that passes each level is what all intervals above it give, lifted until it is nowhere negative."""
    passing = np.concatenate([np.cumsum(net[::-1])[::-1], [0.0]])
    given, taken = (float(streams.heat[mask].sum()) for mask in (streams.gives, ~streams.gives))
    small = _ROUNDING * max(given + taken, 1e-300)
    lift = -float(passing.min())
    hot = 0.0 if lift < small else lift
    cascade = passing + hot
    cascade[cascade < small] = 0.0
    cold = float(cascade[0])
    pinches = np.unique(levels[cascade == 0.0])
    ends = [np.stack([streams.supply, streams.target])[:, mask] for mask in (streams.gives, ~streams.gives)]
    sides = _sides(streams, dt_min, pinches)
    return Targets(
        hot_utility=hot,
        cold_utility=cold,
        recovered=given - cold,
        levels=levels,
        cascade=cascade,
        pinches=tuple(float(one) for one in pinches),
        sides=sides,
        hot=curve(ends[0].min(axis=0), ends[0].max(axis=0), streams.heat[streams.gives]),
        cold=curve(ends[1].min(axis=0), ends[1].max(axis=0), streams.heat[~streams.gives], cold),
    )


def _sides(streams: Streams, dt_min: float, pinches: Floats) -> tuple[tuple[float, float], ...]:
    """Real temperatures of both sides at each pinch, where all streams of a side have the same contribution."""
    own = streams.contributions(dt_min)
    shift = []
    for mask in (streams.gives, ~streams.gives):
        one = np.unique(own[mask])
        if len(one) > 1:
            return ()
        shift.append(float(one[0]) if len(one) else dt_min / 2)
    return tuple((float(level) + shift[0], float(level) - shift[1]) for level in pinches)


def _checked(names: Sequence[str], arrays: dict[str, Floats], cp: Floats) -> None:
    """Refuses numbers that no stream can have."""
    _refuse(names, np.isnan(arrays["heat"]) & np.isnan(cp), "heat.no_heat")
    for what in ("supply", "target", "heat"):
        _refuse(names, ~np.isfinite(arrays[what]), "heat.not_finite", what=what)
    _refuse(names, np.isinf(arrays["contribution"]), "heat.not_finite", what="contribution")
    for what, value in (("cp", cp), ("heat", arrays["heat"]), ("contribution", arrays["contribution"])):
        _refuse(names, value < 0, "heat.below_zero", what=what, value=value)
    for what in ("supply", "target"):
        _refuse(names, arrays[what] < ABSOLUTE_ZERO, "heat.too_cold", what=what, value=arrays[what])


def _refuse(names: Sequence[str], bad: Bools, code: str, **data: Any) -> None:
    """Raises `code` for the first stream that is bad, with its own number in the place of each array."""
    if not bad.any():
        return
    i = int(np.argmax(bad))
    said: dict[str, Any] = {
        key: f"{one[i]:g}" if isinstance(one, np.ndarray) else one for key, one in data.items()
    }
    raise RequestError(code, name=names[i], **said)
