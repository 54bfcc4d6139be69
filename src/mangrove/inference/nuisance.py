# SPDX-License-Identifier: Apache-2.0
"""What stands between emissions and readings and nobody asked for: drift of instruments, background air, the height of mixing.

Comes in: times and labels of readings. Goes out: the columns of random walks in their increments, whose priors are independent: the
walks of a Kalman smoother as blocks of one linear system.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def walk_basis(hours: Floats, step: float, span: float) -> Floats:
    """Columns of a walk with knots every `step` hours from 0 to `span`, straight between them: (n, 1 + knots).

    The first column is the value at 0, each later one the increment over one step: 0 before it, 1 after it.

    Example:
        >>> walk_basis(np.array([0.0, 12.0, 36.0]), 24.0, 48.0).tolist()
        [[1.0, 0.0, 0.0], [1.0, 0.5, 0.0], [1.0, 1.0, 0.5]]
    """
    knots = max(int(np.ceil(span / step - 1e-9)), 0)
    ramps = np.clip((hours[:, None] - step * np.arange(knots)[None, :]) / step, 0.0, 1.0)
    return np.concatenate([np.ones((len(hours), 1)), ramps], axis=1)


def by_label(basis: Floats, labels: Ints, count: int) -> Floats:
    """A copy of `basis` for each label, (n, count * columns), label by label: zero where a reading has another label."""
    mine = labels[:, None] == np.arange(count)[None, :]
    copies: Floats = (mine[:, :, None] * basis[:, None, :]).reshape(len(labels), -1)
    return copies


def walk_sd(columns: int, initial: Floats, step: Floats) -> Floats:
    """Standard deviations of the columns of `by_label`: `initial` and `step` have one for each label."""
    sd = np.repeat(np.asarray(step, dtype=float)[:, None], columns, axis=1)
    sd[:, 0] = initial
    return sd.reshape(-1)


def one_hot(labels: Ints, count: int) -> Floats:
    """(n, count): 1 in the column of the label.

    Example:
        >>> one_hot(np.array([1, 0]), 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    hot: Floats = (labels[:, None] == np.arange(count)[None, :]).astype(float)
    return hot


def upwind_background(
    reading: Floats, position: Floats, toward: Floats, *, reach: float = 0.0
) -> tuple[Floats, Ints]:
    """What came into the city with the wind: the least of the readings in the third of the sensors that stands furthest upwind.

    Args:
        reading: (s, T) of one species, NaN where missing.
        position: (s, 2) m.
        toward: (T, 2) unit vectors the air moves to.
        reach: meters that a sensor may stand behind the first and still count as upwind.

    Returns:
        (T,) background, NaN without a reading upwind, and (T,) the sensor that gave it, -1 for none.
    """
    along = position @ toward.T
    third = np.quantile(along, 1 / 3, axis=0)
    upwind = along <= np.maximum(third, along.min(axis=0) + reach)[None, :] + 1e-9
    candidates = np.where(upwind & np.isfinite(reading), reading, np.inf)
    giver = np.argmin(candidates, axis=0)
    least = candidates[giver, np.arange(reading.shape[1])]
    known = np.isfinite(least)
    return np.where(known, least, np.nan), np.where(known, giver, -1).astype(np.int64)
