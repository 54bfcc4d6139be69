# SPDX-License-Identifier: Apache-2.0
"""The least core by row generation, and the point of it that lies nearest to given shares.

Comes in: a `Game`. Goes out: an `Allocation`. Not every coalition need be costed: a linear program over the coalitions found
so far proposes shares, the coalition that objects most to them is added, until nobody objects any more (row generation, as
Drechsel and Kimms 2010 and EnergyCommunity.jl do). Where the search for objections is by sample, so is the answer, and it
says so.

    least core:    min eps   s.t.  x(N) = c(N),  x(S) <= c(S) + eps  for every S other than none and all
    nearest point: min sum_i (x_i - t_i)^2  over the shares with that eps
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mangrove.errors import RequestError
from mangrove.settle.game import (
    CLIMBS,
    CORE_EXACT,
    TOLERANCE,
    Allocation,
    Bools,
    Floats,
    Found,
    Game,
    Objection,
    worst_objection,
)

_ROUNDS = 500


@dataclass(frozen=True, slots=True)
class Search:
    """How objections are looked for: among all coalitions up to `exact` members, else by `samples` seeded ones and a search."""

    exact: int = CORE_EXACT
    samples: int = 150
    seed: int = 0
    climbs: int = CLIMBS

    def worst(self, game: Game, shares: Floats) -> Objection:
        """The worst objection found."""
        return worst_objection(
            game, shares, exact=self.exact, samples=self.samples, seed=self.seed, climbs=self.climbs
        )


def least_core(game: Game, *, target: Floats | None = None, search: Search | None = None) -> Allocation:
    """The shares whose worst excess is least; among those the ones nearest to `target`.

    `epsilon` of the answer is the least worst excess: negative or zero when the core is not empty (every coalition then saves
    at least -epsilon by staying), positive when it is empty.

    Args:
        game: at least two members.
        target: (n,) shares to stay near to; by default in proportion to what each pays alone.
        search: how objections are looked for; all coalitions up to 16 members by default.

    Raises:
        RequestError: `settle.not_converged`, or a target of another length.
    """
    search = search or Search()
    if len(game) == 1:
        return Allocation("least_core", game.members, np.array([game.grand]), Found("all", 1), epsilon=0.0)
    masks = _first_rows(game)
    scale = game.scale
    for _ in range(_ROUNDS):
        shares, epsilon = _least_epsilon(game, masks, scale)
        objection = search.worst(game, shares)
        if objection.excess <= epsilon + TOLERANCE * scale:
            break
        masks = np.concatenate([masks, game.mask(objection.coalition)[None]])
    else:
        raise RequestError("settle.not_converged", count=_ROUNDS)
    near = _nearest(game, _target(game, target), epsilon, masks, search)
    found = Found("all" if len(game) <= search.exact else "rows", game.evaluations)
    return Allocation("least_core", game.members, near, found, epsilon=epsilon)


def nearest_core(game: Game, shares: Floats, *, search: Search | None = None) -> Allocation:
    """The point of the core (of the least core, when the core is empty) nearest to `shares`, such as the Shapley value."""
    search = search or Search()
    least = least_core(game, target=shares, search=search)
    epsilon = least.epsilon or 0.0
    if len(game) == 1 or epsilon >= 0.0:
        return Allocation("nearest_core", game.members, least.shares, least.found, epsilon=epsilon)
    near = _nearest(game, _target(game, shares), 0.0, _first_rows(game), search)
    return Allocation("nearest_core", game.members, near, least.found, epsilon=0.0)


def _first_rows(game: Game) -> Bools:
    """Each member alone, and all but one."""
    one = np.eye(len(game), dtype=bool)
    return one if len(game) == 2 else np.concatenate([one, ~one])  # noqa: PLR2004 - of two, all but one is one


def _target(game: Game, target: Floats | None) -> Floats:
    if target is None:
        return proportional(game.grand, game.alone)
    target = np.asarray(target, dtype=float)
    if target.shape != (len(game),) or not np.isfinite(target).all():
        raise RequestError("settle.wrong_length", name="target", count=target.size, expected=len(game))
    return target


def proportional(total: float, weights: Floats) -> Floats:
    """`total` in proportion to weights of one sign; where signs are mixed, the difference in proportion to their sizes.

    Example:
        >>> proportional(90.0, np.array([60.0, 40.0])).tolist()
        [54.0, 36.0]
        >>> proportional(20.0, np.array([60.0, -20.0])).tolist()
        [45.0, -25.0]
    """
    size = np.abs(weights)
    if not size.sum():
        return np.full(len(weights), total / len(weights))
    shares: Floats = weights + (total - weights.sum()) * size / size.sum()
    return shares


def _least_epsilon(game: Game, masks: Bools, scale: float) -> tuple[Floats, float]:
    """The linear program over the rows so far; shares are bounded by a multiple of the costs so that it always has an end."""
    from scipy.optimize import linprog

    n = len(game)
    costs = game.costs(masks) / scale
    use = np.isfinite(costs)
    rows = np.column_stack([masks[use].astype(float), -np.ones(int(use.sum()))])
    objective = np.append(np.zeros(n), 1.0)
    whole = np.append(np.ones(n), 0.0)[None]
    done = linprog(
        objective, rows, costs[use], whole, [game.grand / scale], bounds=(None, None), method="highs"
    )
    if done.status:
        raise RequestError("settle.not_converged", count=len(masks))
    return done.x[:n] * scale, float(done.x[n]) * scale


def _nearest(game: Game, target: Floats, epsilon: float, masks: Bools, search: Search) -> Floats:
    """Row generation around the projection; a slack of 1e-9 of the total keeps a least core of one point reachable."""
    scale = game.scale
    for _ in range(_ROUNDS):
        costs = game.costs(masks)
        use = np.isfinite(costs)
        limits: Floats = (costs[use] + epsilon) / scale + TOLERANCE / 2
        shares: Floats = project(target / scale, masks[use].astype(float), limits, game.grand / scale) * scale
        objection = search.worst(game, shares)
        if objection.excess <= epsilon + TOLERANCE * scale:
            return shares
        masks = np.concatenate([masks, game.mask(objection.coalition)[None]])
    raise RequestError("settle.not_converged", count=_ROUNDS)


def project(target: Floats, rows: Floats, limits: Floats, total: float) -> Floats:
    """The point nearest to `target` with rows @ x <= limits and sum x = total, by nonnegative least squares.

    Least distance programming (Lawson and Hanson 1974, chapter 23): in an orthonormal basis Q of the plane sum x = total,
    x = t + Q z, the shortest z with -rows Q z >= rows t - limits comes from one nonnegative least-squares problem.

    Example:
        >>> project(np.array([1.0, 0.0]), np.array([[1.0, 0.0]]), np.array([0.25]), 1.0).round(9).tolist()
        [0.25, 0.75]
    """
    from scipy.optimize import nnls

    n = len(target)
    on_plane = target + (total - target.sum()) / n
    lack = rows @ on_plane - limits
    if (lack <= 0.0).all():
        return np.asarray(on_plane)
    basis = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, 1:]]))[0][:, 1:]
    matrix = np.vstack([-(rows @ basis).T, lack[None]])
    goal = np.append(np.zeros(n - 1), 1.0)
    weights, _ = nnls(matrix, goal, maxiter=50 * (len(lack) + n))
    rest = matrix @ weights - goal
    if abs(rest[-1]) < 1e-14:  # noqa: PLR2004 - no point meets all rows
        raise RequestError("settle.not_converged", count=len(lack))
    shares: Floats = on_plane + basis @ (-rest[:-1] / rest[-1])
    return shares
