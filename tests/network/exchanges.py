"""Drawn exchange problems, and the same problems written down a second time for scipy: what the tests compare with."""

from dataclasses import replace
from itertools import product

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from mangrove.network import Horizon, Network
from mangrove.network.exchange import Exchanges, Units


def drawn(seed, *, gives=5, takes=4, steps=1, links=12, **more) -> Exchanges:
    """A small problem of five supplies and four demands; `more` replaces fields."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(product(range(gives), range(takes))))
    some = pairs[rng.choice(len(pairs), min(links, len(pairs)), replace=False)]
    problem = Exchanges(
        supply=rng.uniform(1, 10, (gives, steps)),
        demand=rng.uniform(1, 10, (takes, steps)),
        start=some[:, 0],
        end=some[:, 1],
        value=rng.uniform(-1, 5, (len(some), steps)),
    )
    return replace(problem, **more)


def with_quality(problem: Exchanges, seed: int, kinds: int = 2) -> Exchanges:
    """The problem with contents and limits of two contaminants, some limits missing."""
    rng = np.random.default_rng(seed)
    limit = rng.uniform(20, 80, (len(problem.demand), kinds))
    limit[rng.uniform(size=limit.shape) < 0.2] = np.inf
    return replace(problem, content=rng.uniform(0, 100, (len(problem.supply), kinds)), limit=limit)


def with_units(problem: Exchanges, seed: int) -> Exchanges:
    """Two treatment units that every supply can reach and that reach every demand."""
    rng = np.random.default_rng(seed)
    gives, takes, steps = len(problem.supply), len(problem.demand), problem.supply.shape[1]
    into = np.array(list(product(range(gives), (takes, takes + 1))))
    out = np.array(list(product((gives, gives + 1), range(takes))))
    new = np.concatenate([into, out])
    value = np.concatenate([rng.uniform(0, 1, (len(into), steps)), rng.uniform(1, 5, (len(out), steps))])
    units = Units(
        capacity=rng.uniform(3, 9, 2), cost=rng.uniform(0, 1, 2), fixed=rng.uniform(0, 8, 2),
        recovery=[0.9, 0.7], content=[[5.0, 5.0], [1.0, 30.0]], inlet=[[90.0, np.inf], [np.inf, 60.0]],
    )  # fmt: skip
    return replace(
        problem, start=np.r_[problem.start, new[:, 0]], end=np.r_[problem.end, new[:, 1]],
        value=np.concatenate([problem.value, value]), units=units,
    )  # fmt: skip


def scipy_worth(problem: Exchanges, *, whole: bool = False) -> float:  # noqa: C901, PLR0912, PLR0915 - plain loops on purpose
    """The best worth by scipy, row by row in plain loops; with `whole` also fixed costs and lots, by its search."""
    p = problem
    gives, takes, (links, steps) = len(p.supply), len(p.demand), np.shape(p.value)
    u = p.units
    count = 0 if u is None else len(u.capacity)
    width = links * steps + count * steps + (gives + takes) * steps + links + count + links * steps
    x = lambda a, t: a * steps + t  # noqa: E731 - a short name for a position
    z = lambda k, t: links * steps + k * steps + t  # noqa: E731
    e = lambda i, t: (links + count) * steps + i * steps + t  # noqa: E731
    y = lambda a: (links + count + gives + takes) * steps + a  # noqa: E731
    b = lambda a, t: y(links + count) + a * steps + t  # noqa: E731
    cost, upper = np.zeros(width), np.full(width, np.inf)
    rows, low, high = [], [], []

    def row(terms, least, most):
        line = np.zeros(width)
        for at, value in terms:
            line[at] += value
        rows.append(line), low.append(least), high.append(most)

    fixed, lot = np.broadcast_to(p.fixed, links), np.broadcast_to(p.lot, links)
    capacity = np.broadcast_to(np.reshape(p.capacity, (-1, 1)), (links, steps))
    upper[y(0) :] = 1.0
    if not whole:
        upper[y(0) : b(0, 0)] = 0.0
    stores = np.r_[np.broadcast_to(p.supply_store, gives), np.broadcast_to(p.demand_store, takes)]
    for i, t in product(range(gives + takes), range(steps)):
        upper[e(i, t)], cost[e(i, t)] = (stores[i] if steps > 1 else 0.0), p.store_cost
    for a, t in product(range(links), range(steps)):
        cost[x(a, t)], upper[x(a, t)] = -p.value[a, t], capacity[a, t]
        if whole:
            row([(x(a, t), 1), (b(a, t), -1e3)], -np.inf, 0)
            row([(x(a, t), 1), (b(a, t), -lot[a])], 0, np.inf)
            row([(b(a, t), 1), (y(a), -1)], -np.inf, 0)
    for a in range(links):
        cost[y(a)] = fixed[a]
    for t in range(steps):
        for i in range(gives):
            mine = [(x(a, t), 1) for a in range(links) if p.start[a] == i]
            row([*mine, (e(i, t), 1), (e(i, t - 1 if t else steps - 1), -1)], -np.inf, p.supply[i, t])
        for j in range(takes):
            mine = [(x(a, t), 1) for a in range(links) if p.end[a] == j]
            i = gives + j
            row([*mine, (e(i, t), -1), (e(i, t - 1 if t else steps - 1), 1)], -np.inf, p.demand[j, t])
            if p.most_share is not None:
                for origin in range(gives + count):
                    got = [(at, -p.most_share) for at, _ in mine]
                    his = [(x(a, t), 1) for a in range(links) if p.end[a] == j and p.start[a] == origin]
                    row(got + his, -np.inf, 0)
        for k in range(count):
            cost[z(k, t)] = u.cost[k]
            row([(x(a, t), 1) for a in range(links) if p.end[a] == takes + k] + [(z(k, t), -1)], 0, 0)
            row(
                [(x(a, t), 1) for a in range(links) if p.start[a] == gives + k] + [(z(k, t), -u.recovery[k])],
                -np.inf,
                0,
            )
            upper[z(k, t)] = u.capacity[k]
            cost[y(links + k)] = u.fixed[k]
            if whole:
                row([(z(k, t), 1), (y(links + k), -1e3)], -np.inf, 0)
        if p.content is not None:
            content = p.content if u is None else np.concatenate([p.content, u.content])
            limit = p.limit if u is None else np.concatenate([p.limit, u.inlet])
            for j, q in zip(*np.nonzero(np.isfinite(limit)), strict=True):
                mine = [
                    (x(a, t), content[p.start[a], q] - limit[j, q]) for a in range(links) if p.end[a] == j
                ]
                row(mine, -np.inf, 0)
    limits, table = Bounds(0, upper), LinearConstraint(np.array(rows), low, high)
    if whole:
        binary = np.zeros(width)
        binary[y(0) :] = 1
        found = milp(cost, integrality=binary, bounds=limits, constraints=table, options={"mip_rel_gap": 0.0})
    else:
        lines, most = np.array(rows), np.array(high)
        equal = np.array(low) == most
        found = linprog(
            cost, lines[~equal], most[~equal], lines[equal] if equal.any() else None,
            most[equal] if equal.any() else None, bounds=np.c_[np.zeros(width), upper],
        )  # fmt: skip
    assert found.status == 0
    return -found.fun


def network(problem: Exchanges, *, fixed: bool = False):
    """The problem as a `Network` of nodes, sources, sinks and links; returns it with its links."""
    p = problem
    gives, takes, steps = len(p.supply), len(p.demand), p.supply.shape[1]
    net = Network(Horizon.regular(steps, 1.0))
    give = net.node([f"give {i}" for i in range(gives)], owner=[f"give {i}" for i in range(gives)])
    take = net.node([f"take {j}" for j in range(takes)], owner=[f"take {j}" for j in range(takes)])
    net.source("supply", give, upper=p.supply[:, None, :])
    net.sink("demand", take, upper=p.demand[:, None, :])
    capacity = np.broadcast_to(np.reshape(p.capacity, (-1, 1)), p.value.shape)[:, None, :]
    links = net.link("link", give[p.start], take[p.end], cost=-p.value[:, None, :], capacity=capacity)
    if p.content is not None:
        net.blend("quality", take, [(links, p.content[p.start])], p.limit)
    if p.most_share is not None:
        net.share("share", take, [links], p.most_share)
    for name, side, size in (("supply store", give, p.supply_store), ("demand store", take, p.demand_store)):
        if np.any(size):
            net.store(name, side, energy=size[:, None, None], wear=0.0, charge=np.inf, discharge=np.inf)
    handle = net.fixed("having it", links, p.fixed) if fixed else None
    return net, links, handle
