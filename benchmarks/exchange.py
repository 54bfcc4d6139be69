# SPDX-License-Identifier: Apache-2.0
"""How fast exchanges are planned in made-up parks of a thousand and of ten thousand offers, beside a plain search of HiGHS.

Run: `python benchmarks/exchange.py [--peer SECONDS] [--only 1000]`. The parks: n offers and n wants of 200 codes (Zipf), in 8
clusters in 300 x 300 km, lognormal quantities; every offer may go to the ten nearest wants of its code within 50 km. A unit is
worth what its code is, 30 % more or less by pair, less transport; a link costs once, and more when it is long. All numbers are
drawn (seed 6); CPU seconds of one thread. The peer is the same HiGHS, given the same program with a binary for each link and the
same tight bounds, stopped at a limit of wall time (`--peer 0` leaves it out). The bars are those that the project set itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from mangrove.network.exchange import ExchangePlan, Exchanges, design, exchange_lp, without
from mangrove.network.program import Program
from mangrove.network.solver import Solver

BARS = {"lp": 3.0, "design": 15.0, "gap": 0.05, "loss": 5.0, "year": 30.0}
"""CPU seconds: a program, a design, the loss of 1,000 suppliers of the small park, twelve months; `gap` to the bound."""
CODES, CLUSTERS, SPREAD, SIDE, RADIUS, NEAREST = 200, 8, 10.0, 300.0, 50.0, 10
"""Codes, clusters, their spread and the side of the region in km, the radius in km and the wants that an offer sees."""


def park(n: int, seed: int = 6) -> Exchanges:
    """A made-up region with n offers and n wants."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(1, CODES + 1)
    centers = rng.uniform(0, SIDE, (CLUSTERS, 2))

    def members() -> tuple[Any, Any, Any]:
        at = centers[rng.integers(CLUSTERS, size=n)] + rng.normal(0, SPREAD, (n, 2))
        return at, rng.choice(CODES, n, p=share / share.sum()), rng.lognormal(np.log(100), 1.0, n)

    (here, offered, supply), (there, wanted, demand) = members(), members()
    price = rng.lognormal(np.log(40), 0.5, CODES)
    links = []
    for code in range(CODES):
        i, j = np.flatnonzero(offered == code), np.flatnonzero(wanted == code)
        if not len(i) or not len(j):
            continue
        far, near = cKDTree(there[j]).query(
            here[i], k=[*range(1, min(NEAREST, len(j)) + 1)], distance_upper_bound=RADIUS
        )
        which, rank = np.nonzero(np.isfinite(far))
        links.append(np.stack([i[which], j[near[which, rank]], far[which, rank]]))
    start, end, km = np.concatenate(links, axis=1)
    start, end = start.astype(int), end.astype(int)
    value = price[offered[start]] * rng.uniform(0.7, 1.3, len(km)) - 0.3 * km
    return Exchanges(supply=supply, demand=demand, start=start, end=end, value=value, fixed=900.0 + 30.0 * km)


def year(problem: Exchanges, seed: int = 7) -> Exchanges:
    """Twelve months whose supplies and demands go up and down by about 30 %, each for itself."""
    rng = np.random.default_rng(seed)
    shape = (len(problem.supply), 12)
    return replace(
        problem,
        supply=problem.supply[:, None] / 12 * rng.lognormal(0, 0.3, shape),
        demand=problem.demand[:, None] / 12 * rng.lognormal(0, 0.3, shape),
    )


def plain(problem: Exchanges, seconds: float) -> tuple[float, float, float]:
    """HiGHS alone with a binary for each link and min(supply, demand) as its bound: (worth, bound, CPU seconds)."""
    began = time.process_time()
    lp, links = Program(), len(problem.start)
    x = lp.columns("x", (links,), cost=-problem.value)
    y = lp.columns("y", (links,), upper=1.0, cost=problem.fixed)
    give, take = (
        lp.rows(name, side.shape, upper=side) for name, side in (("s", problem.supply), ("d", problem.demand))
    )
    lp.terms(give[problem.start], x, 1.0)
    lp.terms(take[problem.end], x, 1.0)
    rows = lp.rows("open", (links,), upper=0.0)
    lp.terms(rows, x, 1.0)
    lp.terms(rows, y, -np.minimum(problem.supply[problem.start], problem.demand[problem.end]))
    found = Solver(lp, integers=y).solve(lp, time_limit=seconds)
    return -float(lp.cost @ found.columns), -found.bound, time.process_time() - began


def clock(job: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a job, and what it gave."""
    began = time.process_time()
    found = job()
    return time.process_time() - began, found


def say(job: str, seconds: float, bar: float | None = None, note: str = "") -> None:
    """One line of the report."""
    verdict = "" if bar is None else f"bar {bar:g} s: {'ok' if seconds <= bar else 'MISSED'}"
    print(f"  {job:42s} {seconds:8.3f} s  {verdict:16s} {note}")


def losses(problem: Exchanges, plan: ExchangePlan) -> None:
    """The loss of each of the first 1,000 suppliers, and ten of them against plans made without him."""
    count = min(1_000, len(problem.supply))
    seconds, lost = clock(lambda: without(problem, plan, suppliers=np.arange(count)))
    worst = 0.0
    for i in np.linspace(0, count - 1, 10).astype(int):
        rest = problem.supply.copy()
        rest[i] = 0.0
        worst = max(worst, abs(plan.worth - exchange_lp(replace(problem, supply=rest)).worth - lost[i]))
    say(
        f"loss of {count} suppliers, one by one",
        seconds,
        BARS["loss"],
        f"ten solved cold differ by {worst:.1e} at most",
    )


def main() -> None:
    """Prints all figures of both parks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer", type=float, default=60.0, help="seconds of wall time for HiGHS alone; 0: none"
    )
    parser.add_argument("--only", type=int, help="1000 or 10000")
    asked = parser.parse_args()
    for n in [asked.only] if asked.only else [1_000, 10_000]:
        problem = park(n)
        print(f"{n} offers, {n} wants, {len(problem.start)} links")
        seconds, plan = clock(lambda problem=problem: exchange_lp(problem))
        say("amounts (linear program)", seconds, BARS["lp"], f"worth {plan.worth:,.0f}")
        losses(problem, plan)
        months = year(problem)
        seconds, twelve = clock(lambda months=months: exchange_lp(months))
        say("twelve months", seconds, BARS["year"], f"worth {twelve.worth:,.0f}")
        best = None
        for note, limit in (("slope scaling", 0.0), ("and 10 s of search", 10.0)):
            seconds, best = clock(
                lambda problem=problem, limit=limit: design(problem, gap=1e-3, time_limit=limit)
            )
            say(
                f"links to open, {note}",
                seconds,
                BARS["design"],
                f"worth {best.worth:,.0f}, {best.gap:.2%} to the bound",
            )
        seconds, twelve = clock(lambda months=months: design(months, time_limit=0.0))
        say(
            "links to open for twelve months",
            seconds,
            None,
            f"worth {twelve.worth:,.0f}, {twelve.gap:.2%} to the bound",
        )
        if asked.peer:
            worth, bound, seconds = plain(problem, asked.peer)
            gap = (bound - worth) / bound
            say(
                f"HiGHS alone, {asked.peer:g} s",
                seconds,
                None,
                f"worth {worth:,.0f}, {gap:.2%} to its own bound; ours {best.worth / worth:.4f} x",
            )


if __name__ == "__main__":
    main()
