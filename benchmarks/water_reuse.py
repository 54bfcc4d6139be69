# SPDX-License-Identifier: Apache-2.0
"""Water reuse and pooling: every published optimum, the search by levels beside SCIP, and CPU of large sites beside the pinch.

Run `python benchmarks/water_reuse.py`. The peer of the linear program is the pinch, which needs no solver (it knows no pipes and no second
contaminant), and scipy's linprog on the same rows; the peer of the levels is SCIP.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scipy.optimize import linprog
from tests.network import water_cases as cases

from mangrove.network.pooling import content_rows, flow_rows, solve_pooling
from mangrove.network.water_pinch import water_target
from mangrove.network.water_problem import water_model
from mangrove.network.water_reuse import Sink, Source, Treatment, WaterProblem, reuse_water, water_game


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and what came out."""
    begun = time.process_time()
    made = work()
    return time.process_time() - begun, made


def published() -> None:
    """Relative error of each published optimum."""
    print("published optimum                     value      found   error     CPU")

    def line(name: str, wanted: float, work: Callable[[], float]) -> None:
        cpu, found = spent(work)
        print(f"{name:30} {wanted:12.3f} {found:10.3f} {abs(found - wanted) / abs(wanted):7.4%} {cpu:6.3f} s")

    fresh = lambda problem, **more: reuse_water(problem, **more).fresh  # noqa: E731 - a short word for a table
    membrane = {"treatments": [Treatment("m", 5.0)]}
    line("Wang and Smith", 90.0, lambda: fresh(cases.loads(cases.WANG_SMITH)))
    line("  without reuse", 112.5, lambda: reuse_water(cases.loads(cases.WANG_SMITH)).no_reuse)
    line("  regeneration recycling", 20.0, lambda: fresh(cases.loads(cases.WANG_SMITH, **membrane)))
    line(
        "  its treated water",
        73.684,
        lambda: reuse_water(cases.loads(cases.WANG_SMITH, **membrane)).treated["m"],
    )
    line("Olesen and Polley 1997", 157.142857, lambda: fresh(cases.loads(cases.OLESEN_POLLEY)))
    line("Polley and Polley", 70.0, lambda: fresh(cases.flows(*cases.POLLEY)))
    line("Sorin and Bedard", 200.0, lambda: fresh(cases.flows(*cases.SORIN_BEDARD)))
    for coalition, wanted in cases.PLANT_OPTIMA.items():
        line(
            f"three plants, {coalition}",
            wanted,
            lambda c=coalition: water_game(cases.plants())[1](frozenset(c)),
        )
    for method in ("levels", "scip"):
        line(f"refinery, {method}", 105.6, lambda m=method: fresh(cases.refinery(), method=m, gap=1e-4))
        pools = {"Haverly 1": (cases.haverly(), 400), "Haverly 2": (cases.haverly(x_most=600.0), 600),
                 "Haverly 3": (cases.haverly(b_cost=13.0), 750), "Foulds 2": (cases.foulds(), 1100)}  # fmt: skip
        for name, (problem, profit) in pools.items():
            line(
                f"{name}, {method}",
                profit,
                lambda p=problem, m=method: -solve_pooling(p, method=m, gap=1e-5).cost,
            )
    for method in ("levels", "scip"):
        cpu, plan = spent(lambda m=method: solve_pooling(cases.adhya(), method=m, gap=1e-4, time_limit=30.0))
        print(
            f"Adhya 1 (549.803), {method}: {-plan.cost:.3f}, bound {-plan.bound:.3f}, gap {plan.gap:.2%}, {cpu:.1f} s"
        )


def large(count: int) -> None:
    """A drawn site with `count` sources and as many sinks: every pair is a possible match."""
    rng = np.random.default_rng(7)
    draw = lambda: (rng.lognormal(2.5, 1.0, count), rng.integers(0, 400, count) * 2.5)  # noqa: E731
    sinks = [Sink(f"k{i}", float(f), float(c)) for i, (f, c) in enumerate(zip(*draw(), strict=True))]
    sources = [Source(f"s{i}", float(f), float(c)) for i, (f, c) in enumerate(zip(*draw(), strict=True))]
    problem = WaterProblem(sinks=sinks, sources=sources)
    cpu, plan = spent(lambda: reuse_water(problem))
    aim, target = spent(lambda: water_target(problem))
    model = water_model(problem)
    p, _ = model.pooling.scaled(model.fresh.astype(float))
    program, x = flow_rows(p)
    content_rows(program, p, x, [(x, p.content[p.start, 0])], exact=False)
    matrix, low, high = program.matrix(), program.row_lower, program.row_upper
    same = np.isfinite(low) & (low == high)
    most, least = np.isfinite(high) & ~same, np.isfinite(low) & ~same
    from scipy import sparse

    rows = sparse.vstack([matrix.tocsr()[most], -matrix.tocsr()[least]])
    bounds = np.column_stack([program.lower, np.where(np.isfinite(program.upper), program.upper, np.inf)])
    peer, found = spent(
        lambda: linprog(program.cost, A_ub=rows, b_ub=np.concatenate([high[most], -low[least]]),
                        A_eq=matrix.tocsr()[same], b_eq=low[same], bounds=bounds)
    )  # fmt: skip
    assert abs(plan.fresh - target.fresh) <= 1e-6 * max(target.fresh, 1.0)
    assert abs(found.fun - target.fresh) <= 1e-3
    print(
        f"{count:5} sources and sinks, {len(p.start):7} arcs: {cpu:6.2f} s for fresh water, money and no reuse; one linear program by"
        f" linprog {peer:.2f} s (ratio {cpu / peer:.1f}); pinch {aim * 1000:.2f} ms; fresh {plan.fresh:.1f} t/h, difference"
        f" {abs(plan.fresh - target.fresh):.1e}"
    )


if __name__ == "__main__":
    published()
    for size in (20, 100, 300):
        large(size)
