# SPDX-License-Identifier: Apache-2.0
"""Gaussian puffs: what a source gives to sensors when the wind changes on the way, or when there is hardly any.

Comes in: one wind for the whole area at each time, positions, and how long a step lasts. Goes out: how much of what is released in each
step is at each sensor in each later step, so that a release that changes is found by the same algebra as a steady one. A puff moves
with the wind, widens with the distance it has gone (and, in calm air, with its age), and is reflected by the ground and the mixing
height. In a steady wind a train of puffs is the plume.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.inference.plume import Winds, _spread, _vertical, compiled

Floats = npt.NDArray[np.float64]

DRIFT = 0.3
"""m/s: the speed of the meandering by which a puff widens when the mean wind is weaker. Velocities of horizontal fluctuations in calm
nights lie around 0.3 to 0.5 m/s: Hanna 1983, J. Clim. Appl. Meteorol. 22:1424 (0.5 m/s); the lower end keeps plumes sharp."""
_REACH = 6.0
_FINE = 0.5
"""Distance between two puffs of a train in widths of the puff, at which the train is smooth."""
_MOST = 400


def response(
    receptors: npt.ArrayLike,
    source: npt.ArrayLike,
    winds: Winds,
    *,
    seconds: float,
    reach: int = 60,
) -> Floats:
    """What a source released in each step gives to each receptor in the same step and later ones.

    C(receptor, t) = sum over lags of response[:, t - lag, lag] x rate(t - lag): mean concentration over step t.

    Args:
        receptors: (m, 3) positions, m.
        source: (3,) position, m.
        winds: at T steps; the classes and mixing heights as for the plume.
        seconds: length of a step.
        reach: steps that a puff is followed.

    Returns:
        (m, T, reach) in s/m3: releasing step, and lag in steps.

    Raises:
        RequestError: a step or reach of nothing.
    """
    at = np.ascontiguousarray(receptors, dtype=np.float64)
    of = np.ascontiguousarray(source, dtype=np.float64)
    if not seconds > 0 or reach < 1 or at.ndim != 2 or at.shape[1] != 3 or of.shape != (3,):  # noqa: PLR2004 - axes
        raise RequestError("locate.bad_positions")
    found = np.zeros((len(at), len(winds), reach))
    rows = winds.rows()
    rows[:, 0] = winds.speed  # a puff needs no floor: it stays where it is
    _follow(at, of, rows, float(seconds), found)
    return found


def concentrations(found: Floats, rate: npt.ArrayLike) -> Floats:
    """(m, T) kg/m3 that a release of rate(t) kg/s (a number, or (T,)) gives, from a `response`.

    Example:
        >>> concentrations(np.ones((1, 4, 2)), [1.0, 0.0, 0.0, 2.0]).tolist()
        [[1.0, 1.0, 0.0, 2.0]]
    """
    receptors, times, reach = found.shape
    amount = np.broadcast_to(np.asarray(rate, dtype=float), (times,))
    total = np.zeros((receptors, times))
    for lag in range(min(reach, times)):
        total[:, lag:] += found[:, : times - lag, lag] * amount[: times - lag]
    return total


@compiled
def _follow(at: Any, of: Any, rows: Any, seconds: float, found: Any) -> None:
    """Releases puffs evenly in each step and adds what each leaves at each receptor, averaged over each step."""
    receptors, times, _ = found.shape
    for start in range(times):
        gone = max(rows[start, 0], DRIFT) * seconds
        near = 1e30
        for i in range(receptors):
            near = min(near, math.hypot(at[i, 0] - of[0], at[i, 1] - of[1]))
        width = max(_spread(max(near, 1.0), rows[start, 4], rows[start, 5], rows[start, 6]), 0.2)
        puffs = int(min(max(math.ceil(gone / (_FINE * width)), 4), _MOST))
        _train(at, of, rows, seconds, start, puffs, found)


@compiled
def _train(at: Any, of: Any, rows: Any, seconds: float, start: int, puffs: int, found: Any) -> None:  # noqa: PLR0917 - compiled functions take no keywords
    """Puffs released within step `start`: each is sampled `puffs` times a step, so that a train is smooth in time as well."""
    receptors, times, reach = found.shape
    part = seconds / puffs
    share = part / puffs  # mass of a puff of 1 kg/s is `part`; each sample stands for 1/puffs of a step
    for k in range(puffs):
        x, y, gone = 0.0, 0.0, 0.0
        for lag in range(min(reach, times - start)):
            row = rows[start + lag]
            first = k if lag == 0 else 0
            for s in range(first, puffs):
                move = row[0] * part * (0.5 if lag == 0 and s == k else 1.0)
                x, y = x + move * row[1], y + move * row[2]
                drift = DRIFT * part * (0.5 if lag == 0 and s == k else 1.0)
                gone += max(move, drift)
                side = max(_spread(gone, row[4], row[5], row[6]), 1e-3)
                thick = max(_spread(gone, row[7], row[8], row[9]), 1e-3)
                for i in range(receptors):
                    dx, dy = at[i, 0] - of[0] - x, at[i, 1] - of[1] - y
                    far = (dx * dx + dy * dy) / (side * side)
                    if far < _REACH * _REACH:
                        level = math.exp(-0.5 * far) / (2 * math.pi * side * side)
                        found[i, start, lag] += share * level * _vertical(at[i, 2], of[2], thick, row[3])
