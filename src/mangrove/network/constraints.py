# SPDX-License-Identifier: Apache-2.0
"""The rows of a network: one constraint, one function, the equation in its docstring.

Comes in: a program, index arrays of columns, and coefficients. Goes out: the indices of the rows. Symbols: n items, S scenarios
(probability pi), T steps of length h_t that occur w_t times. All functions are vectorized over items, scenarios and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.handles import Capacity
from mangrove.network.horizon import Horizon
from mangrove.network.program import FREE, Program

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Owners = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Arriving:
    """Columns that flow into some of n nodes, each item into one of them.

    Attributes:
        columns: (m, S, T). to: (m,) the node of each item. gain: broadcasts to `columns`; what arrives of one unit.
        content: (m, Q) of each contaminant. origin: (m,) number of where it comes from.
    """

    columns: Ints
    to: Ints
    gain: Floats
    content: Floats
    origin: Ints


def within_capacity(
    lp: Program,
    name: str,
    columns: Ints,
    *,
    capacity: Capacity,
    profile: Floats,
    horizon: Horizon,
    owners: Owners,
) -> Ints:
    """x_t - p_t sum_{v alive in y(t)} B_v <= p_t existing_{y(t)}: a rate (or level) stays within a size that is chosen.

    Args:
        lp: the program.
        name: for messages.
        columns: (n, S, T) rates or levels.
        capacity: sizes; (n or 1) items.
        profile: broadcasts to (n, S, T); output per unit of size.
        horizon: says which investment year a step belongs to.
        owners: one an item.
    """
    year = horizon.year if columns.shape[2] == horizon.steps else np.zeros(columns.shape[2], np.int64)
    existing = capacity.existing[:, None, :][:, :, year]
    rows = lp.rows(name, columns.shape, upper=profile * existing, owners=owners)
    lp.terms(rows, columns, 1.0)
    for v in range(capacity.columns.shape[1]):
        alive = capacity.alive[v][year].astype(np.float64)
        lp.terms(rows, capacity.columns[:, v][:, None, None], -(profile * alive))
    return rows


def at_least_capacity(
    lp: Program,
    name: str,
    columns: Ints,
    *,
    capacity: Capacity,
    share: Floats,
    horizon: Horizon,
    owners: Owners,
) -> Ints:
    """x_t - l_t sum_{v alive in y(t)} B_v >= l_t existing_{y(t)}: a minimum output per unit of a size that is chosen."""
    existing = capacity.existing[:, None, :][:, :, horizon.year]
    rows = lp.rows(name, columns.shape, lower=share * existing, owners=owners)
    lp.terms(rows, columns, 1.0)
    for v in range(capacity.columns.shape[1]):
        alive = capacity.alive[v][horizon.year].astype(np.float64)
        lp.terms(rows, capacity.columns[:, v][:, None, None], -(share * alive))
    return rows


def size_limit(
    lp: Program, name: str, capacity: Capacity, *, lower: Floats, upper: Floats, owners: Owners
) -> Ints:
    """lower_y <= existing_y + sum_{v alive in y} B_v <= upper_y, for several investment years."""
    rows = lp.rows(
        name,
        capacity.existing.shape,
        lower=lower - capacity.existing,
        upper=upper - capacity.existing,
        owners=owners,
    )
    for v in range(capacity.columns.shape[1]):
        lp.terms(rows, capacity.columns[:, v, None], capacity.alive[v].astype(np.float64)[None, :])
    return rows


def store_level(
    lp: Program,
    name: str,
    level: Ints,
    flows: tuple[tuple[Ints, Floats], ...],
    *,
    keep: Floats,
    owners: Owners,
    cyclic: bool,
) -> Ints:
    """e_t - k_t e_{t-1} - sum_f c_ft x_ft = 0: what was there (less its losses) plus what came, minus what went.

    Args:
        lp: the program.
        name: for messages.
        level: (n, S, T) levels at the end of each step.
        flows: pairs of columns (n, S, T) and coefficients (amount per rate: h eta+, or -h / eta-).
        keep: (n or 1, 1, T) share k_t = (1 - loss)^h of the level that is left after a step.
        owners: one an item.
        cyclic: the level before the first step is the level after the last; else it is on the right-hand side of the first row.
    """
    rows = lp.rows(name, level.shape, lower=0.0, upper=0.0, owners=owners)
    lp.terms(rows, level, 1.0)
    lp.terms(rows[:, :, 1:], level[:, :, :-1], -keep[:, :, 1:])
    if cyclic:
        lp.terms(rows[:, :, :1], level[:, :, -1:], -keep[:, :, :1])
    for columns, coefficient in flows:
        lp.terms(rows, columns, -coefficient)
    return rows


def store_across_days(
    lp: Program,
    name: str,
    level: Ints,
    flows: tuple[tuple[Ints, Floats], ...],
    *,
    keep: Floats,
    horizon: Horizon,
    owners: Owners,
) -> tuple[Ints, Ints, Ints]:
    """Storage between representative days (Kotzur et al., Applied Energy 213 (2018) 123): X_{d+1} = k_day X_d + x_{p(d),last}.

    Within representative day p the level x (free sign) starts at 0; X_d is the level at the beginning of real day d; lowest and
    highest x of a representative day bound what the real day sees: k_day X_d + lo_p(d) >= 0 and X_d + hi_p(d) <= E. Exact without
    losses; with losses on the safe side, because X_d decays during the day. The store is cyclic over the year.

    Returns:
        Columns X (n, S, D) at the beginning of each day; columns k_day X + lo and X + hi (n, S, D), to be bounded by floor and
        size.
    """
    n, scenarios, steps = level.shape
    order = horizon.order if horizon.order is not None else np.zeros(1, np.int64)
    kinds = int(horizon.period.max()) + 1
    each = steps // kinds
    rows = lp.rows(name, level.shape, lower=0.0, upper=0.0, owners=owners)
    lp.terms(rows, level, 1.0)
    later = np.arange(steps) % each != 0
    lp.terms(rows[:, :, later], level[:, :, np.flatnonzero(later) - 1], -keep[:, :, later])
    for columns, coefficient in flows:
        lp.terms(rows, columns, -coefficient)
    extremes = []
    for word, sign in (("lowest", -1.0), ("highest", 1.0)):
        low, high = (-FREE, 0.0) if sign < 0 else (0.0, FREE)
        bound = lp.columns(f"{name} {word}", (n, scenarios, kinds), lower=low, upper=high, owners=owners)
        edge = lp.rows(f"{name} {word}", level.shape, lower=0.0, owners=owners)
        lp.terms(edge, bound[:, :, horizon.period], sign)
        lp.terms(edge, level, -sign)
        extremes.append(bound)
    days = len(order)
    start = lp.columns(f"{name} day", (n, scenarios, days), lower=0.0, owners=owners)
    chain = lp.rows(f"{name} day", start.shape, lower=0.0, upper=0.0, owners=owners)
    kept = np.prod(keep[:, :, :each], axis=2, keepdims=True)
    lp.terms(chain, np.roll(start, -1, axis=2), 1.0)
    lp.terms(chain, start, -kept)
    lp.terms(chain, level[:, :, order * each + each - 1], -1.0)
    seen = []
    for word, bound in zip(("least", "most"), extremes, strict=True):
        total = lp.columns(
            f"{name} {word}", start.shape, lower=-FREE if word == "most" else 0.0, owners=owners
        )
        link = lp.rows(f"{name} {word}", start.shape, lower=0.0, upper=0.0, owners=owners)
        lp.terms(link, total, 1.0)
        lp.terms(link, start, -kept if word == "least" else -1.0)
        lp.terms(link, bound[:, :, order], -1.0)
        seen.append(total)
    return start, seen[0], seen[1]


def peak(
    lp: Program,
    name: str,
    peaks: Ints,
    streams: tuple[Ints, ...],
    *,
    member: npt.NDArray[np.bool_],
    block: Ints,
    horizon: Horizon,
) -> Ints:
    """P_g - sum_{t in b} h_t x_t / sum_{t in b} h_t >= 0: the billed peak is no less than the mean of any of its blocks.

    Args:
        lp: the program.
        name: for messages.
        peaks: (S, G) columns.
        streams: columns (n, S, T) each; their sum is metered.
        member: (G, T) whether the step counts for the group.
        block: (T,) number of the averaging block of each step (two steps of 15 min make a block of 30 min), from 0 up.
        horizon: lengths of the steps.

    Returns:
        Rows (S, K), one for each block and group that it belongs to.
    """
    first = np.flatnonzero(np.r_[True, block[1:] != block[:-1]])
    numbers = block[first]
    group, which = np.nonzero(member[:, first])
    scenarios = peaks.shape[0]
    rows = lp.rows(name, (scenarios, len(group)), lower=0.0)
    lp.terms(rows, peaks[:, group], 1.0)
    length = np.add.reduceat(horizon.hours, first)
    size = np.diff(np.r_[first, len(block)])
    if (size == 1).all():
        for columns in streams:
            lp.terms(rows[None], columns[:, :, first[which]], -1.0)
        return rows
    position = np.full(int(numbers.max()) + 1, -1)
    position[numbers] = np.arange(len(first))
    for row_of_group in np.unique(group):
        rows_of_block = np.full(len(first), -1)
        mine = group == row_of_group
        rows_of_block[which[mine]] = np.flatnonzero(mine)
        of_step = rows_of_block[position[block]]
        used = np.flatnonzero(of_step >= 0)
        share = horizon.hours[used] / length[position[block[used]]]
        for columns in streams:
            lp.terms(rows[None][:, :, of_step[used]], columns[:, :, used], -share)
    return rows


def budget(
    lp: Program,
    name: str,
    *,
    rates: tuple[tuple[Ints, Floats], ...],
    sizes: tuple[tuple[Ints, Floats], ...],
    scenarios: int,
    amount: Floats,
    owner: str,
) -> Ints:
    """A limit: lower <= sum_t w_t h_t sum_f a_ft x_ft + sum_c a_c K_c <= upper in every scenario (the caller sets both)."""
    rows = lp.rows(name, (scenarios,), owners=(owner,))
    for columns, coefficient in rates:
        lp.terms(rows[None, :, None], columns, coefficient * amount)
    for columns, coefficient in sizes:
        lp.terms(rows[None, None, :], columns[:, :, None], coefficient)
    return rows


def session_energy(lp: Program, name: str, charging: Ints, gain: Floats, owners: Owners) -> Ints:
    """A stay: need_i <= sum_t h_t eta_i z_it <= room_i: what a vehicle gets (the caller sets both)."""
    rows = lp.rows(name, charging.shape[:2], lower=0.0, owners=owners)
    lp.terms(rows[:, :, None], charging, gain)
    return rows


def blend(
    lp: Program,
    name: str,
    parts: tuple[Arriving, ...],
    *,
    limit: Floats,
    sign: Floats,
    shape: tuple[int, int],
    owners: Owners,
) -> Ints:
    """sum_a k_a x_at (c_aq - C_jq) <= 0: what flows into node j together keeps the limit C of contaminant q in every step.

    Linear, because the contents c of what arrives are known (the source-sink model). With the sign -1 it is a least content.

    Args:
        lp: the program.
        name: for messages.
        parts: what arrives.
        limit: (n, Q); infinite where there is none.
        sign: (Q,) 1 for at most, -1 for at least.
        shape: (S, T).
        owners: one a node.

    Returns:
        Rows (K, S, T), one for each finite limit, in the order of `limit`.
    """
    node, which = np.nonzero(np.isfinite(limit))
    number = np.full(limit.shape, -1)
    number[node, which] = np.arange(len(node))
    rows = lp.rows(name, (len(node), *shape), upper=0.0, owners=tuple(owners[i] for i in node))
    for part in parts:
        for q in range(limit.shape[1]):
            used = np.flatnonzero(number[part.to, q] >= 0)
            at = number[part.to[used], q]
            excess = sign[q] * (part.content[used, q] - limit[part.to[used], q])
            gain = np.broadcast_to(part.gain, part.columns.shape)[used]
            lp.terms(rows[at], part.columns[used], excess[:, None, None] * gain)
    return rows


def most_share(
    lp: Program,
    name: str,
    parts: tuple[Arriving, ...],
    *,
    share: Floats,
    shape: tuple[int, int],
    owners: Owners,
) -> Ints:
    """sum_{a from i} k_a x_at - s_j sum_a k_a x_at <= 0: of what flows into node j, no origin i sends more than the share s_j.

    The inner sum is a column of its own (g_jt - sum_a k_a x_at = 0), so that the rows stay short.

    Args:
        lp: the program.
        name: for messages.
        parts: what arrives; equal origins count together.
        share: (n,) between 0 and 1.
        shape: (S, T).
        owners: one a node.

    Returns:
        Rows (K, S, T), one for each node and origin.
    """
    got = lp.columns(f"{name} got", (len(share), *shape), owners=owners)
    total = lp.rows(f"{name} got", got.shape, lower=0.0, upper=0.0, owners=owners)
    lp.terms(total, got, 1.0)
    to = np.concatenate([part.to for part in parts])
    origin = np.concatenate([part.origin for part in parts])
    pairs, pair = np.unique(np.stack([to, origin]), axis=1, return_inverse=True)
    pair = pair.ravel()
    rows = lp.rows(name, (pairs.shape[1], *shape), upper=0.0, owners=tuple(owners[j] for j in pairs[0]))
    lp.terms(rows, got[pairs[0]], -share[pairs[0]][:, None, None])
    start = 0
    for part in parts:
        mine = pair[start : start + len(part.to)]
        start += len(part.to)
        lp.terms(total[part.to], part.columns, -part.gain)
        lp.terms(rows[mine], part.columns, part.gain)
    return rows


def signs(name: str, sense: Sequence[str], kinds: int) -> Floats:
    """1 for `<=` and -1 for `>=`, (Q,), from one word for all or one a contaminant.

    Raises:
        RequestError: `network.unknown_sense`.
    """
    words = (sense,) * kinds if isinstance(sense, str) else tuple(sense)
    for word in words:
        if word not in ("<=", ">="):
            raise RequestError("network.unknown_sense", name=name, text=word)
    if len(words) != kinds:
        raise RequestError(
            "network.bad_shape", name=name, what="sense", got=str(len(words)), wanted=str(kinds)
        )
    return np.array([1.0 if word == "<=" else -1.0 for word in words])
