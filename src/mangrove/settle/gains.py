# SPDX-License-Identifier: Apache-2.0
"""Who gains what from exchanges: shares under three rules, held against every group that could leave, and what each partner is worth.

Comes in: groups of companies that exchanges join, with the worth of any coalition of each. Goes out: `Gains`: the Shapley value (exact up
to 12 members of a group, sampled beyond, with errors), the point of the core nearest to it, the shares by prices of the linear
program (Owen 1975), who objects most to each, and what is lost when a member leaves (N-1).

Groups that no exchange joins add up: v(S) = sum of v_g(S and g), so the core is the product of their cores. Exchanges of other things add up,
too, also where the same companies have a part in both, and the Shapley value is additive: it is the sum of the values of such parts, exact
for a park of forty companies when no part has more than 12. A gain is the negative cost of `mangrove.settle.game`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mangrove.errors import RequestError
from mangrove.settle.core import Search, nearest_core
from mangrove.settle.game import Bools, Floats, Found, Game, shapley

RULES = ("shapley", "core", "duals")
"""The Shapley value, the point of the core nearest to it, prices of the linear program."""
_SMALL = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Companies that exchanges join, and the worth of (k, m) coalitions of them as (k,) money.

    `parts` are games of some of the members that do not depend on each other and add up to this one; empty when there are none.
    """

    members: tuple[str, ...]
    worth: Callable[[Bools], Floats]
    parts: tuple[Joined, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaving:
    """The coalition that would gain most on its own: what its members get together, what it is worth alone; empty when nobody would."""

    coalition: tuple[str, ...] = ()
    gets: float = 0.0
    alone: float = 0.0

    @property
    def objects(self) -> bool:
        """Whether anybody would gain by leaving."""
        return bool(self.coalition)


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """Shares of the members.

    Attributes:
        members: names; worth: money of all together.
        shares: (n,) money by rule; every rule adds up to `worth`.
        errors: (n,) standard errors of sampled Shapley values, 0 where exact.
        objections: by rule, who would gain most by leaving.
        core_is_empty: whether no shares exist to which nobody objects; the rule `core` is then the least core.
        losses: (n,) money that is lost when a member leaves and the others make the best of it.
        found: how the Shapley value of each group was found.
    """

    members: tuple[str, ...]
    worth: float
    shares: Mapping[str, Floats]
    errors: Floats
    objections: Mapping[str, Leaving]
    core_is_empty: bool
    losses: Floats
    found: tuple[Found, ...]

    def of(self, rule: str, member: str) -> float:
        """The share of a member under a rule."""
        return float(self.shares[rule][self.members.index(member)])

    def at_risk(self, rule: str) -> Floats:
        """(n,) what the others lose when a member leaves: the loss less what it would have got itself."""
        risk: Floats = np.maximum(self.losses - self.shares[rule], 0.0)
        return risk


def gains(
    groups: Sequence[Joined],
    *,
    duals: Mapping[str, float] | None = None,
    rules: Sequence[str] = RULES,
    permutations: int = 200,
    seed: int = 0,
    search: Search | None = None,
) -> Gains:
    """Shares of every member of every group.

    Args:
        groups: no member in two of them.
        duals: money of each member by the prices of the linear program; needed for the rule `duals`.
        rules: of `RULES`.
        permutations: orders that are sampled in groups of more than 12 members.
        seed: of the sample.
        search: how objections are looked for; all coalitions of groups up to 16 members by default.

    Raises:
        RequestError: `exchange.unknown_rule`.

    Example:
        >>> pair = Joined(("mill", "works"), lambda s: 10.0 * s.all(axis=1))
        >>> made = gains([pair], duals={"mill": 10.0, "works": 0.0})
        >>> made.shares["shapley"].tolist(), made.losses.tolist(), made.core_is_empty
        ([5.0, 5.0], [10.0, 10.0], False)
    """
    for rule in rules:
        if rule not in RULES:
            raise RequestError("exchange.unknown_rule", text=rule, options=", ".join(RULES))
    search = search or Search(seed=seed)
    parts = [_of_group(one, duals, rules, search, permutations=permutations, seed=seed) for one in groups]
    members = tuple(name for one in groups for name in one.members)
    shares = {
        rule: _joined([part.shares[rule] for part in parts])
        for rule in rules
        if rule != "duals" or duals is not None
    }
    return Gains(
        members, sum(part.worth for part in parts), shares, _joined([part.errors for part in parts]),
        {rule: max((part.objections[rule] for part in parts), key=_gain, default=Leaving()) for rule in shares},
        any(part.core_is_empty for part in parts), _joined([part.losses for part in parts]),
        tuple(found for part in parts for found in part.found),
    )  # fmt: skip


def _gain(one: Leaving) -> float:
    return one.alone - one.gets


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _of_group(
    group: Joined,
    duals: Mapping[str, float] | None,
    rules: Sequence[str],
    search: Search,
    *,
    permutations: int,
    seed: int,
) -> Gains:
    """The gains of one group."""
    game = Game(group.members, many=lambda masks: -group.worth(masks))
    n, worth = len(game), -game.grand
    fair, errors, found = _shapley(group, permutations, seed)
    shares, empty = {"shapley": fair}, False
    if "core" in rules and n > 1 and worth > 0:
        near = nearest_core(game, -fair, search=search)
        shares["core"] = -near.shares
        empty = (near.epsilon or 0.0) > _SMALL * game.scale
    elif "core" in rules:
        shares["core"] = fair
    if "duals" in rules and duals is not None:
        shares["duals"] = np.array([duals.get(name, 0.0) for name in group.members])
    losses = np.maximum(worth + game.costs(~np.eye(n, dtype=bool)), 0.0) if n > 1 else np.array([worth])
    objections = {rule: _leaving(game, money, search) for rule, money in shares.items()}
    return Gains(group.members, worth, shares, errors, objections, empty, losses, found)


def _shapley(group: Joined, permutations: int, seed: int) -> tuple[Floats, Floats, tuple[Found, ...]]:
    """(n,) Shapley value, its standard errors, and how it was found: the sum over parts, whose errors are independent."""
    at = {name: i for i, name in enumerate(group.members)}
    total, squares, found = np.zeros(len(at)), np.zeros(len(at)), []
    for part in group.parts or (group,):
        game = Game(part.members, many=lambda masks, part=part: -part.worth(masks))  # type: ignore[misc]
        fair = shapley(game, permutations=permutations, seed=seed)
        rows = [at[name] for name in part.members]
        total[rows] -= fair.shares
        squares[rows] += 0.0 if fair.errors is None else fair.errors**2
        found.append(fair.found)
    return total, np.sqrt(squares), tuple(found)


def _leaving(game: Game, money: Floats, search: Search) -> Leaving:
    """Who would gain most on their own; rounding does not count."""
    if len(game) < 2:  # noqa: PLR2004 - one alone has nobody to leave
        return Leaving()
    worst = search.worst(game, -money)
    if worst.excess <= _SMALL * game.scale:
        return Leaving()
    return Leaving(worst.coalition, -worst.pays, -worst.alone)
