# SPDX-License-Identifier: Apache-2.0
"""A cost game: members, what every group of them would pay on its own, and shares that can be held against it.

Comes in: members and a function from a coalition to its cost (money; less is better). Goes out: coalition costs, each
computed once; the Shapley value; the coalition that gains most by leaving. Every answer says how it was found: from all
coalitions, or from a seeded sample with its size.

Notation: c(S) is the cost of coalition S, x_i the share of member i, x(S) the sum of the shares of S. The excess of S is
x(S) - c(S): what S would save on its own. S objects when its excess is positive; the core are the shares of c(N) to which
no coalition objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.inference.shapley import EXACT as SHAPLEY_EXACT
from mangrove.inference.shapley import from_orders, from_table

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

CORE_EXACT = 16
"""Members up to which objections are looked for among all coalitions (65,536 costs)."""
TOLERANCE = 1e-9
"""Part of the size of the game below which an excess is rounding, not an objection."""
_CHUNK = 1024
CLIMBS = 8
"""Coalitions of the sample from which a search climbs."""


@dataclass(frozen=True, slots=True)
class Found:
    """How an answer was found: `all` coalitions, a `sample`, `rows` (row generation), `duals` or a `rule`; and from how many costs."""

    how: str
    count: int = 0

    def text(self, lang: str = "en") -> str:
        """The sentence in `lang`."""
        return messages.render(f"settle.found_{self.how}", lang, count=self.count)


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """What each member pays under one rule.

    Attributes:
        rule: `duals`, `shapley`, `least_core`, `nearest_core`, `mmr`, `sdr`, `pro_rata` or `energy`.
        members: in the order of `shares`.
        shares: (n,) money.
        found: how.
        errors: (n,) standard errors of sampled shares; None when there are none.
        epsilon: the worst excess of any coalition (least core only); None for the other rules.
        price: (T,) or (n, T) money/kWh that who receives pays to who gives, besides the fee; None where a rule has no price.
    """

    rule: str
    members: tuple[str, ...]
    shares: Floats
    found: Found
    errors: Floats | None = None
    epsilon: float | None = None
    price: Floats | None = None

    def of(self, member: str) -> float:
        """The share of one member."""
        return float(self.shares[self.members.index(member)])

    @property
    def total(self) -> float:
        """The sum of the shares."""
        return float(self.shares.sum())


@dataclass(frozen=True, slots=True)
class Objection:
    """The coalition with the largest excess: `pays` is x(S), `alone` is c(S); `scale` is money of the size of the game."""

    coalition: tuple[str, ...]
    pays: float
    alone: float
    scale: float
    found: Found

    @property
    def excess(self) -> float:
        """What the coalition would save on its own; negative when it gains by staying."""
        return self.pays - self.alone

    @property
    def objects(self) -> bool:
        """Whether the excess is more than rounding."""
        return self.excess > TOLERANCE * self.scale


@dataclass
class Game:
    """Members and the cost of every coalition, each computed at most once.

    Args:
        members: names, all different.
        value: the cost of a coalition of one or more members; infinite when it cannot serve itself.
        many: the same for many coalitions at once: (k, n) booleans to (k,) costs. Faster where costs have a formula.

    Example:
        >>> three = Game(("a", "b", "c"), lambda s: 10.0 * len(s) ** 0.5)
        >>> three.grand == three.cost(["a", "b", "c"])
        True
    """

    members: tuple[str, ...]
    value: Callable[[frozenset[str]], float] | None = None
    many: Callable[[Bools], Floats] | None = None
    _known: dict[bytes, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.members = tuple(self.members)
        if not self.members or len(set(self.members)) < len(self.members):
            raise RequestError("settle.members", count=len(self.members))
        if (self.value is None) == (self.many is None):
            raise RequestError("settle.no_cost")

    def __len__(self) -> int:
        return len(self.members)

    @property
    def evaluations(self) -> int:
        """How many coalition costs have been computed."""
        return len(self._known)

    def cost(self, coalition: Collection[str]) -> float:
        """The cost of one coalition; nobody costs nothing.

        Raises:
            RequestError: `settle.unknown_member`.
        """
        return float(self.costs(self.mask(coalition)[None])[0])

    def mask(self, coalition: Collection[str]) -> Bools:
        """(n,) which members are in the coalition."""
        strange = set(coalition) - set(self.members)
        if strange:
            raise RequestError("settle.unknown_member", name=min(strange))
        return np.array([name in set(coalition) for name in self.members])

    def names(self, mask: Bools) -> tuple[str, ...]:
        """The members of a coalition."""
        return tuple(name for name, inside in zip(self.members, mask, strict=True) if inside)

    def costs(self, masks: Bools) -> Floats:
        """(k, n) coalitions to (k,) costs."""
        masks = np.ascontiguousarray(masks, dtype=bool)
        keys = [row.tobytes() for row in np.packbits(masks, axis=1)]
        new = {key: row for row, key in enumerate(keys) if key not in self._known}
        if new:
            self._compute(list(new), masks[list(new.values())])
        return np.array([self._known[key] for key in keys], dtype=float)

    def _compute(self, keys: Sequence[bytes], masks: Bools) -> None:
        for low in range(0, len(keys), _CHUNK):
            part = masks[low : low + _CHUNK]
            if self.many is not None:
                found = np.asarray(self.many(part), dtype=float)
            else:
                assert self.value is not None
                found = np.array([self.value(frozenset(self.names(m))) if m.any() else 0.0 for m in part])
            found = np.where(part.any(axis=1), found, 0.0)
            if np.isnan(found).any():
                raise RequestError(
                    "settle.cost_unknown", names=", ".join(self.names(part[np.isnan(found)][0]))
                )
            self._known.update(zip(keys[low : low + _CHUNK], found.tolist(), strict=True))

    @cached_property
    def grand(self) -> float:
        """c(N): what all members pay together."""
        return float(self.costs(np.ones((1, len(self)), dtype=bool))[0])

    @cached_property
    def alone(self) -> Floats:
        """(n,) what each member pays on its own."""
        return self.costs(np.eye(len(self), dtype=bool))

    @cached_property
    def scale(self) -> float:
        """Money of the size of the game, so that tolerances mean the same in đồng and in euros, and also when bills cancel out."""
        alone = self.alone[np.isfinite(self.alone)]
        return max(abs(self.grand), float(np.abs(alone).sum()), 1e-300)

    @cached_property
    def table(self) -> Floats:
        """(2^n,) the cost of every coalition; bit i of the index says whether member i is in it."""
        if len(self) > CORE_EXACT:
            raise RequestError("settle.too_many_members", count=len(self), most=CORE_EXACT)
        return self.costs(every_coalition(len(self)))


def every_coalition(n: int) -> Bools:
    """(2^n, n) all coalitions of n members; bit i of the row number is column i.

    Example:
        >>> every_coalition(2).astype(int).tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(bool)


def shapley(game: Game, *, exact: int = SHAPLEY_EXACT, permutations: int = 200, seed: int = 0) -> Allocation:
    """The Shapley value: the mean of what a member adds to the cost, over all orders of arrival.

    Up to `exact` members from all coalitions: x_i = sum over S without i of |S|! (n-|S|-1)! / n! (c(S+i) - c(S))
    (Shapley 1953). Beyond, from `permutations` random orders in antithetic pairs (each order and its reverse), with
    standard errors; the shares then still sum to c(N), because every single order does.

    Raises:
        RequestError: `settle.cannot_stand_alone` when a coalition needed has no finite cost.
    """
    if len(game) <= exact:
        return _shapley_exact(game)
    return _shapley_sampled(game, permutations, seed)


def _shapley_exact(game: Game) -> Allocation:
    n, costs = len(game), game.table
    _need_finite(game, every_coalition(n), costs)
    return Allocation("shapley", game.members, from_table(costs), Found("all", 1 << n))


def _shapley_sampled(game: Game, permutations: int, seed: int) -> Allocation:
    if permutations < 4:  # noqa: PLR2004 - two pairs, below which there is no standard error
        raise RequestError("settle.too_few_orders", count=permutations)
    n, before = len(game), game.evaluations
    batch = max(_CHUNK // (2 * n), 1)
    shares, errors = from_orders(partial(_marginals, game), n, permutations, seed, batch=batch)
    return Allocation("shapley", game.members, shares, Found("sample", game.evaluations - before), errors)


def _marginals(game: Game, orders: NDArray[np.int64]) -> Floats:
    """(k, n) what each member adds to the cost when they come in each of the (k, n) orders."""
    count, n = orders.shape
    ranks = np.argsort(orders, axis=1)
    masks = (ranks[:, None, :] <= np.arange(n)[:, None]).reshape(-1, n)
    costs = game.costs(masks)
    _need_finite(game, masks, costs)
    added = np.diff(costs.reshape(count, n), prepend=0.0, axis=1)
    return np.take_along_axis(added, ranks, axis=1)


def _need_finite(game: Game, masks: Bools, costs: Floats) -> None:
    if not np.isfinite(costs).all():
        names = game.names(masks[~np.isfinite(costs)][0])
        raise RequestError("settle.cannot_stand_alone", names=", ".join(names))


def worst_objection(
    game: Game,
    shares: Floats,
    *,
    exact: int = CORE_EXACT,
    samples: int = 150,
    seed: int = 0,
    climbs: int = CLIMBS,
) -> Objection:
    """The coalition with the largest excess x(S) - c(S), among all (up to `exact` members) or by sample and search.

    Beyond `exact` members: each member alone, all but one, those who gain least by staying, and `samples` random coalitions of
    all sizes; from the best of them members are then added or dropped one at a time as long as the excess grows. The grand coalition does not
    count: it has nowhere to go.

    Raises:
        RequestError: `settle.wrong_length`.
    """
    shares = _checked(game, shares)
    before = game.evaluations
    if len(game) <= exact:
        last = -1 if len(game) > 1 else None
        masks = every_coalition(len(game))[1:last]
        excess = masks @ shares - game.table[1:last]
        best = int(np.argmax(excess))
        return _objection(game, shares, masks[best], Found("all", len(masks)))
    masks = np.concatenate([sampled_coalitions(len(game), samples, seed), _dearest_first(game, shares)])
    excess = masks @ shares - game.costs(masks)
    starts = masks[np.argsort(-excess, kind="stable")[: max(climbs, 1)]]
    tops = _climb(game, shares, starts) if climbs else starts
    best = int(np.argmax(tops @ shares - game.costs(tops)))
    return _objection(game, shares, tops[best], Found("sample", max(game.evaluations - before, len(masks))))


def _dearest_first(game: Game, shares: Floats) -> Bools:
    """(n-1, n) the 1, 2, ... members who gain least by staying."""
    rank = np.argsort(np.argsort(-(shares - game.alone), kind="stable"))
    return rank < np.arange(1, len(game))[:, None]


def objections(game: Game, shares: Floats, masks: Bools) -> Bools:
    """(k,) which of the (k, n) coalitions object to the shares."""
    shares = _checked(game, shares)
    excess: Floats = masks @ shares - game.costs(masks)
    return excess > TOLERANCE * game.scale


def sampled_coalitions(n: int, samples: int, seed: int = 0) -> Bools:
    """(k, n) each member alone, all but one, and `samples` random coalitions: sizes first, evenly, then who is in."""
    rng = np.random.default_rng(seed)
    one = np.eye(n, dtype=bool)
    sizes = rng.integers(2, max(n - 1, 3), samples)
    ranks = rng.random((samples, n)).argsort(axis=1).argsort(axis=1)
    masks = np.concatenate([one, ~one, ranks < sizes[:, None]])
    return masks[masks.any(axis=1) & ~masks.all(axis=1)]


def _climb(game: Game, shares: Floats, starts: Bools) -> Bools:
    """Moves the members whose going in or out raises the excess, from all (k, n) starts side by side, to local maxima.

    In a step the 1, 2, 4, 8, ... members with the largest gains move together; the best of these moves is taken. The last move of
    each climb was a single one that no other single move betters.
    """
    n = len(game)
    masks = starts.copy()
    here: Floats = masks @ shares - game.costs(masks)
    moving = np.arange(len(masks))
    powers = 2 ** np.arange(n.bit_length())
    while len(moving):
        at = masks[moving]
        alone = _excess(game, shares, at[:, None, :] ^ np.eye(n, dtype=bool))
        gain = alone - here[moving][:, None]
        rank = np.argsort(np.argsort(-gain, axis=1, kind="stable"), axis=1)
        flips = (rank[:, None, :] < powers[:, None]) & ((gain > 0.0)[:, None, :] | (rank == 0)[:, None, :])
        tried = at[:, None, :] ^ flips
        excess = _excess(game, shares, tried)
        best = np.argmax(excess, axis=1)
        rows = np.arange(len(moving))
        better = excess[rows, best] > here[moving] + TOLERANCE * game.scale
        masks[moving[better]] = tried[rows, best][better]
        here[moving[better]] = excess[rows, best][better]
        moving = moving[better]
    return masks


def _excess(game: Game, shares: Floats, masks: Bools) -> Floats:
    """(k, m) excess of (k, m, n) coalitions; nobody and everybody do not count."""
    flat = masks.reshape(-1, len(game))
    found: Floats = flat @ shares - game.costs(flat)
    found[~flat.any(axis=1) | flat.all(axis=1)] = -np.inf
    return found.reshape(masks.shape[:2])


def _objection(game: Game, shares: Floats, mask: Bools, found: Found) -> Objection:
    cost = float(game.costs(mask[None])[0])
    return Objection(game.names(mask), float(shares[mask].sum()), cost, game.scale, found)


def _checked(game: Game, shares: Floats) -> Floats:
    shares = np.asarray(shares, dtype=float)
    if shares.shape != (len(game),) or not np.isfinite(shares).all():
        raise RequestError("settle.wrong_length", name="shares", count=shares.size, expected=len(game))
    return shares
