# SPDX-License-Identifier: Apache-2.0
"""Virtual meters of NOx and CO at a gas turbine: fitted on 2011, tried on 2012, beside a constant, the last campaign and a line.

The rows are hourly and in order of time, without timestamps. "Shuffled" is what a random split of both years would have promised for the
same candidates: shown once, so that its optimism can be seen.

    MANGROVE_DATA=/path/to/data python benchmarks/virtual_meters.py
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np

import real
from mangrove.inference.virtual import CANDIDATES, Both, Meter, fit
from mangrove.inference.virtual_track import Tracked, Wanted, track

INPUTS = ("AT", "AP", "AH", "AFDP", "GTEP", "TIT", "TAT", "TEY", "CDP")
MONTH, DAY = 730, 24


def read(path: Path) -> dict[str, np.ndarray]:
    """The columns of a file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def matrix(table: dict[str, np.ndarray]) -> np.ndarray:
    """Inputs, (n, p)."""
    return np.column_stack([table[name] for name in INPUTS])


def sampled(y: np.ndarray, every: int, length: int = DAY) -> np.ndarray:
    """A campaign of `length` hours every `every` hours, else NaN."""
    hour = np.arange(len(y))
    return (
        np.where((hour % every < length) & (hour >= every), y, np.nan) if every else np.full(len(y), np.nan)
    )


def linear(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Least squares on the plain inputs."""
    a = np.column_stack([np.ones(len(x)), x])
    return np.column_stack([np.ones(len(new)), new]) @ np.linalg.lstsq(a, y, rcond=None)[0]


def shuffled(x: np.ndarray, y: np.ndarray, name: str) -> float:
    """Mean absolute miss on a random tenth of the rows: what no meter here is judged by."""
    pick = np.random.default_rng(0).permutation(len(y))
    test, train = pick[: len(y) // 10], np.sort(pick[len(y) // 10 :])
    model = CANDIDATES[name]() if name in CANDIDATES else Both()
    model.fit(x[train], y[train], np.arange(len(train)) * 10 // len(train))
    return float(np.abs(model.predict(x[test]) - y[test]).mean())


def last_campaign(y: np.ndarray, before: np.ndarray, every: int) -> np.ndarray:
    """The mean of the last campaign that had ended, held until the next."""
    found = np.full(len(y), before[-DAY:].mean())
    for begin in range(every, len(y), every):
        found[begin + DAY :] = y[begin : begin + DAY].mean()
    return found


def covered(found: Tracked, y: np.ndarray) -> tuple[float, float]:
    """Shares in the 80 and the 95 % interval, in percent."""
    inside = [
        100 * float(np.mean((found.bounds[a] <= y) & (y <= found.bounds[b]))) for a, b in ((1, 2), (0, 3))
    ]
    return inside[0], inside[1]


def tampered(meter: Meter, x: np.ndarray, y: np.ndarray) -> None:
    """Hours until the domain alarm calls when an input sensor lies, and calls without tampering."""
    half = len(x) // 2
    clean = track(meter, x, np.full(len(x), np.nan))
    begins = np.flatnonzero(clean.outside & ~np.append(False, clean.outside[:-1]))
    print(
        f"  untouched: {100 * clean.outside.mean():.1f} % of the hours of 2012 called outside, {len(begins)} calls"
    )
    cases = {
        "TIT reads 5 % low": ("TIT", lambda v: v * 0.95),
        "TIT reads 2 % low": ("TIT", lambda v: v * 0.98),
        "CDP frozen": ("CDP", lambda v: np.full_like(v, v[0])),
        "GTEP reads 20 % low": ("GTEP", lambda v: v * 0.8),
        "AT drifts to +15 degC": ("AT", lambda v: v + np.linspace(0, 15, len(v))),
    }
    for name, (column, change) in cases.items():
        bent = x.copy()
        k = INPUTS.index(column)
        bent[half:, k] = change(bent[half:, k])
        found = track(meter, bent, np.full(len(x), np.nan))
        at = np.flatnonzero(found.outside[half:])
        print(
            f"  {name}: called after {at[0] if len(at) else '-'} h, {100 * found.outside[half:].mean():.0f} % of the hours after"
        )
    drifting = sampled(y, MONTH) * np.linspace(1, 1.3, len(y))
    found = track(meter, x, drifting)
    alarms = [i + 1 for i, one in enumerate(found.campaigns) if one.alarm]
    honest = [i + 1 for i, one in enumerate(track(meter, x, sampled(y, MONTH)).campaigns) if one.alarm]
    print(
        f"  reference drifting to +30 % over the year: drift called at campaigns {alarms}; without drift {honest}"
    )


def main() -> None:
    """Prints the tables."""
    folder = real.folder("sensing")
    old, new = read(folder / "uci_gas_turbine_2011.csv"), read(folder / "uci_gas_turbine_2012.csv")
    x, later = matrix(old), matrix(new)
    for gas in ("NOX", "CO"):
        y, truth = old[gas], new[gas]
        began = time.process_time()
        meter = fit(x, y)
        spent = time.process_time() - began
        folds = np.array([one.covered for one in meter.folds]).mean(axis=0) * 100
        print(
            f"{gas}: {meter.name}; misses on later blocks { ({k: round(v, 3) for k, v in meter.misses.items()}) }; {spent:.1f} CPU s"
        )
        print(
            f"  validation: {np.mean([f.mae for f in meter.folds]):.3f}, constant {np.mean([f.constant for f in meter.folds]):.3f}, "
            f"block before {np.mean([f.latest for f in meter.folds]):.3f}, coverage {folds[0]:.1f} and {folds[1]:.1f}, {meter.memory}"
        )
        every = np.concatenate([truth])
        print(
            f"  2012: constant {np.abs(y.mean() - every).mean():.3f}, linear {np.abs(linear(x, y, later) - truth).mean():.3f}"
        )
        both, readings = np.concatenate([x, later]), np.concatenate([y, truth])
        print(f"  shuffled over both years: {shuffled(both, readings, meter.name):.3f}")
        for apart in (0, 3 * MONTH, MONTH, 7 * DAY):
            taken = sampled(truth, apart)
            found = track(meter, later, taken, Wanted(every=apart or np.inf))
            rest = np.isnan(taken)
            held = np.abs(last_campaign(truth, y, apart or len(truth) + 1) - truth)[rest].mean()
            missed = (found.value - truth)[rest]
            inside = covered(found, truth)
            half = (found.bounds[3] - found.bounds[0])[rest].mean() / 2
            r2 = 1 - (missed**2).sum() / ((truth[rest] - truth[rest].mean()) ** 2).sum()
            blocks = np.array([one.mean() for one in np.array_split(found.value - truth, 12)])
            print(
                f"  campaigns {len(found.campaigns):3d}: miss {np.abs(missed).mean():.3f} (held campaign {held:.3f}), bias {missed.mean():+.3f}, "
                f"rms of monthly bias {np.sqrt((blocks**2).mean()):.3f}, R2 {r2:.3f}, coverage {inside[0]:.1f} {inside[1]:.1f}, half width {half:.2f}"
            )
        tampered(meter, later, truth)


if __name__ == "__main__":
    main()
