# SPDX-License-Identifier: Apache-2.0
"""The settlement of a community: one optimum, its shares under every rule, and the coalition that objects most to each.

Comes in: a `Community` and the names of rules. Goes out: a `Settlement`. The shares by duals lie in the core by
construction; the others are shown beside them, because a share that nobody can better may still be felt as unfair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mangrove.errors import RequestError, did_you_mean
from mangrove.settle.community import Community
from mangrove.settle.core import Search, least_core, nearest_core
from mangrove.settle.game import Allocation, Floats, Objection, shapley
from mangrove.settle.pool import Pool, block_means
from mangrove.settle.rates import mid_market_rate, pro_rata, supply_demand_ratio

RULES = ("duals", "shapley", "nearest_core", "least_core", "mmr", "sdr", "pro_rata", "energy")
BUDGET = 600
"""Coalition costs that may be solved for one answer when there is no formula (some milliseconds each for a week of ten members)."""

CORE_MOST = 200
"""Members up to which the least core and the nearest core point are looked for: ten seconds, and growing with the cube."""


@dataclass(frozen=True, slots=True, eq=False)
class Settlement:
    """What a community pays and how it is divided.

    Attributes:
        community: who; cost: money that all pay together.
        alone: (n,) what each would pay alone; marginal: (n,) what each adds to the cost of the others (the least that the others
            may ask of it).
        pool: what each brought to the pool; its `base` holds wear and demand charges.
        allocations: by rule; objections: by rule, the coalition that would save most on its own.
        rent: money that a binding common limit costs the members; operator: whether it goes to the park's operator.
        left_out: rules asked for that would take too long: more coalition costs than the budget, or more than `CORE_MOST` members.
    """

    community: Community
    cost: float
    alone: Floats
    marginal: Floats
    pool: Pool
    allocations: dict[str, Allocation]
    objections: dict[str, Objection]
    rent: float = 0.0
    operator: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def saving(self) -> float:
        """What all save together."""
        return float(self.alone.sum() - self.cost)


def settle(
    community: Community,
    rules: Sequence[str] = RULES,
    *,
    rent: str = "rights",
    budget: int = BUDGET,
    samples: int = 150,
    seed: int = 0,
    check: bool = True,
) -> Settlement:
    """Settles the sharing of a community.

    Args:
        community: who shares.
        rules: some of `RULES`.
        rent: who gets the rent of a binding common limit: `rights` or `operator`.
        budget: coalition costs that may be solved by program for each rule (there is no limit where costs have a formula).
        samples: random coalitions looked at beyond those of `worst_objection`.
        seed: of the samples.
        check: look for the worst objection to each rule and for what each member adds; without it `objections` is empty and
            `marginal` not a number, which for many members with batteries saves hundreds of programs.

    Raises:
        RequestError: `settle.unknown_rule`, `settle.unknown_rent`.
        InfeasibleError: the members together cannot serve their loads.

    Example:
        >>> two = Community(("a", "b"), np.array([[2.0], [0.0]]), np.array([[0.0], [1.0]]), np.array([10.0]), np.array([4.0]))
        >>> found = settle(two)
        >>> found.cost, found.saving, found.allocations["mmr"].shares.tolist(), found.objections["duals"].objects
        (10.0, 6.0, [17.0, -7.0], False)
    """
    for rule in rules:
        if rule not in RULES:
            raise RequestError(
                "settle.unknown_rule", word=rule, options=", ".join(RULES), hint=did_you_mean(rule, RULES)
            )
    duals, pool, cost, rented = _optimum(community, rent)
    game = community.game
    free = community.has_formula
    search = Search(
        exact=16 if free else int(np.log2(budget)), samples=samples, seed=seed, climbs=8 if free else 0
    )
    makers = {"duals": lambda: duals, **_makers(community, pool, cost, search, budget)}
    allocations = {rule: makers[rule]() for rule in rules if rule in makers}
    return Settlement(
        community,
        cost,
        game.alone,
        cost - game.costs(~np.eye(len(game), dtype=bool)) if check else np.full(len(game), np.nan),
        pool,
        allocations,
        {rule: search.worst(game, made.shares) for rule, made in allocations.items()} if check else {},
        rented,
        operator=rent == "operator",
        left_out=tuple(rule for rule in rules if rule not in makers),
    )


def _optimum(community: Community, rent: str) -> tuple[Allocation, Pool, float, float]:
    """Shares by duals, the pool, the cost, and the rent of the common limit."""
    from mangrove.settle import programs

    if community.has_formula:
        pool = community.brought
        duals = formula_duals(community, pool)
        if community.demand:
            pool = pool.with_base(programs.demand_shares(community, pool))
        return duals, pool, community.cost(), 0.0
    plan, parts = programs.solve(community)
    duals, rented = programs.dual_shares(community, plan, rent)
    return duals, programs.planned_pool(community, plan, parts), plan.cost, rented


def formula_duals(community: Community, pool: Pool) -> Allocation:
    """Shares by duals without a solver; a demand charge raises the price of the steps in the common peak.

    The dual of the peak of a group spreads its price evenly over the steps of the block that sets it, so the retail price there is
    p + r / (steps x hours); any block that reaches the peak gives an optimal dual, and the first is taken.
    """
    if not community.demand:
        return pool.duals()
    taken = np.maximum((pool.demand - pool.surplus).sum(axis=0), 0.0) / community.hours
    steps = len(taken)
    groups = np.zeros(steps, np.int64) if community.group is None else community.group
    block = np.arange(steps) // community.window
    more = np.zeros(steps)
    for group in np.unique(groups[:: community.window]):
        means = np.where(groups[:: community.window] == group, block_means(taken, community.window), -1.0)
        inside = block == int(np.argmax(means))
        more[inside & (taken > 0.0)] += community.demand / (inside.sum() * community.hours)
    return replace(pool, buy=pool.buy + more).duals()


def _makers(
    community: Community,
    pool: Pool,
    cost: float,
    search: Search,
    budget: int,
) -> dict[str, Callable[[], Allocation]]:
    """How each rule is computed; rules that cost too much are not in it."""
    game = community.game
    n = len(game)
    energy = community.load.sum(axis=1)
    makers: dict[str, Callable[[], Allocation]] = {
        "mmr": lambda: mid_market_rate(pool),
        "sdr": lambda: supply_demand_ratio(pool),
        "pro_rata": lambda: pro_rata(game.members, cost, game.alone),
        "energy": lambda: pro_rata(game.members, cost, energy, "energy"),
    }
    orders = 200 if community.has_formula else min(200, budget // n)
    exact = 12 if community.has_formula else search.exact
    if n <= exact or orders >= 4:  # noqa: PLR2004 - two antithetic pairs
        makers["shapley"] = lambda: shapley(game, exact=exact, permutations=orders, seed=search.seed)
    if "shapley" in makers and n <= CORE_MOST:
        makers["nearest_core"] = lambda: nearest_core(
            game, shapley(game, exact=exact, permutations=orders, seed=search.seed).shares, search=search
        )
        makers["least_core"] = lambda: least_core(game, search=search)
    return makers
