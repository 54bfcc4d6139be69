# SPDX-License-Identifier: Apache-2.0
"""How fast the network core plans, beside PyPSA, linopy and Pyomo on the same problems with the same HiGHS in the same run.

Run: `python benchmarks/energy.py [--peers PYTHON] [--rounds N] [--jobs day warm ...] [--loop STEPS]`. `--peers` names the Python of an
environment with `benchmarks/requirements-peers.in`; without it only our own figures are printed. Every tool and problem has a process
of its own, one thread, and counts the CPU seconds of build and solve after imports (the least of N rounds) and the peak
memory of the process. The problems are those of `tests/network/instances.py`. The bars are those that the project set itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from tests.network import instances
from tests.network.built import Site, preview_network, week_network, year_network

from mangrove.network import Network

BARS = {
    "day": 0.050,
    "warm": 0.015,
    "loop": 600.0,
    "scenarios": 1.5,
    "week": 0.3,
    "preview": 0.6,
    "year": 30.0,
}
"""CPU seconds; `warm` for each plan, `loop` for a closed-loop year of 35,040 plans."""
PEERS = {
    "day": ("pypsa", "linopy", "pyomo"),
    "scenarios": ("linopy", "pyomo"),
    "week": ("pypsa", "linopy", "pyomo"),
    "year": ("pypsa", "linopy", "pyomo"),
}
TIMES = {("day", "pypsa"): 25.0, ("day", "linopy"): 10.0}
"""How many times less CPU than the peer."""
MEMORY = 500.0
"""MB that the sizing year may take."""
AGREE = 1e-6
YEAR_OF_PLANS = 35_040


# --- a closed loop -----------------------------------------------------------------------------------------------------


class Loop:
    """A site that plans 24 h ahead every 15 minutes, does the first step, and plans again from where it is.

    Load and sun follow the site day with the noise of each day; each of the chargers has one stay a day.
    """

    def __init__(self, days: int, seed: int = 6) -> None:
        rng = np.random.default_rng(seed)
        self.day = day = instances.site_day()
        self.load = np.tile(day.load[0], days + 1) * np.exp(0.04 * rng.standard_normal((days + 1) * 96))
        cloud = np.repeat(rng.uniform(0.3, 1.1, days + 1), 96)
        self.pv = np.tile(day.pv[0], days + 1) * cloud
        self.price = np.tile(day.buy, days + 1)
        shift = 96 * np.arange(days + 2)[:, None]
        self.arrive, self.depart = day.sessions.arrive + shift, day.sessions.depart + shift
        self.energy = day.sessions.energy * rng.uniform(0.5, 1.0, (days + 2, len(day.sessions.arrive)))
        self.site = Site.of(day)
        self.site.net.solve()
        self.level, self.metered, self.cost = day.start.copy(), 0.0, 0.0
        self.stay = np.zeros(len(day.sessions.arrive), dtype=np.int64)  # number of each charger's stay
        self.left = self.energy[0].copy()

    def stays(self, now: int) -> dict[str, Any]:
        """The stay of each charger that is going on or comes next, as the plan of this step sees it."""
        slot, day = np.arange(len(self.stay)), self.day
        gone = self.depart[self.stay, slot] <= now
        self.stay[gone] += 1
        self.left[gone] = self.energy[self.stay[gone], slot[gone]]
        arrive, depart = self.arrive[self.stay, slot] - now, self.depart[self.stay, slot] - now
        begin, end = np.clip(arrive, 0, 96), np.clip(depart, 0, 96)
        step = day.sessions.power * day.sessions.efficiency * day.hours
        later = step * (depart - end)
        need = np.minimum(np.maximum(self.left - later, 0.0), step * (end - begin))
        return {"arrive": begin, "depart": end, "energy": need}

    def step(self, now: int) -> int:
        """Plans, does the first step, and returns the iterations of the solver."""
        site, day, ahead = self.site, self.day, slice(now, now + 96)
        net = site.net
        if now % (96 * 30) == 0:
            self.metered = 0.0
        net.update(site.load, amount=self.load[ahead])
        net.update(site.pv, upper=self.pv[ahead])
        net.update(site.grid, cost=self.price[ahead])
        net.update(site.batteries, start=self.level, end=day.start)
        net.update(site.vehicles, **self.stays(now))
        net.update(site.peak, metered=[self.metered])
        plan = net.solve()
        self.level = np.clip(plan.level(site.batteries)[:, 0, 0], 0.0, day.energy)
        given = plan.rate(site.vehicles.charging)[:, 0, 0] * day.sessions.efficiency * day.hours
        self.left = np.maximum(self.left - given, 0.0)
        bought, sold = plan[site.grid][0], plan[site.export][0]
        self.metered = max(self.metered, float(bought))
        self.cost += day.hours * float(bought * self.price[now] - sold * day.sell[0])
        return plan.iterations


# --- measuring ---------------------------------------------------------------------------------------------------------


def clock(
    rounds: int, build: Callable[[], Network], after: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """The fastest round of build, solve and what follows."""
    best: dict[str, Any] = {}
    for _ in range(rounds):
        begin = time.process_time()
        net = build()
        built = time.process_time()
        plan = net.solve()
        if after is not None:
            after(plan)
        end = time.process_time()
        if not best or end - begin < best["total"]:
            best = {
                "total": end - begin,
                "build": built - begin,
                "solve": end - built,
                "objective": plan.cost,
            }
            best["note"] = f"{plan.solver}, {plan.iterations} iterations"
    return best


def week_job(rounds: int) -> dict[str, Any]:
    """Solve and settlement are timed; the coalitions are the check of the settlement."""
    week = instances.park_week()
    shares: dict[str, float] = {}
    best = clock(rounds, lambda: week_network(week), lambda plan: shares.update(plan.shares()))
    per_firm = np.array([shares[f"firm {i}"] for i in range(week.firms)])
    whole = best["objective"]
    sampled = instances.coalitions(week)
    alone = np.array([week_network(instances.only(week, members)).solve().cost for members in sampled])
    overcharged = (sampled @ per_firm - alone) / whole
    rest = abs(sum(shares.values()) - whole) / whole
    best["note"] += (
        f"; {int((overcharged > 1e-9).sum())} of {len(sampled)} coalitions object"
        f" (worst {overcharged.max():+.1e} of the cost), shares sum to {rest:.0e}, common {shares.get('park', 0.0) / whole:.0e}"
    )
    return best


def warm_job(steps: int) -> dict[str, Any]:
    """CPU of each plan in a closed loop."""
    loop = Loop(steps // 96 + 1)
    seconds, iterations = np.zeros(steps), 0
    for now in range(steps):
        begin = time.process_time()
        iterations += loop.step(now)
        seconds[now] = time.process_time() - begin
    middle, late = np.quantile(seconds, [0.5, 0.99])
    note = f"median {1e3 * middle:.1f}, p99 {1e3 * late:.1f} ms, {iterations / steps:.0f} iterations a plan"
    return {"total": float(seconds.mean()), "objective": loop.cost, "note": note, "sum": float(seconds.sum())}


def measure(job: str, rounds: int, loop: int) -> dict[str, Any]:
    """One job of ours, in this process."""
    if job == "day":
        day = instances.site_day()
        found = clock(rounds, lambda: Site.of(day).net)
    elif job == "scenarios":
        cloudy = instances.stochastic_day()
        found = clock(rounds, lambda: Site.of(cloudy).net)
    elif job == "week":
        found = week_job(rounds)
    elif job in {"warm", "loop"}:
        found = warm_job(loop if job == "loop" else 192)
        if job == "loop":
            found["note"] = f"{loop:,} plans in {found['sum']:.0f} s; " + found["note"]
            found["total"] = found["sum"] * YEAR_OF_PLANS / loop
    else:
        year = instances.sizing_year()
        build = year_network if job == "year" else preview_network
        found = clock(1 if job == "year" else rounds, lambda: build(year))
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def child(command: list[str]) -> dict[str, Any]:
    """The line of JSON of a process of its own."""
    once = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **once})
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def report(job: str, ours: dict[str, Any], others: list[dict[str, Any]]) -> None:
    """The lines of one job."""
    held = "" if ours["total"] <= BARS[job] else "  MISSED"
    print(
        f"{job}\n  mangrove  {ours['total']:9.4f} s  {ours['memory']:6.0f} MB   bar {BARS[job]} s{held}   {ours['note']}"
    )
    if job == "year" and ours["memory"] > MEMORY:
        print(f"            MISSED: more than {MEMORY:.0f} MB")
    for peer in others:
        ratio = peer["total"] / ours["total"]
        apart = abs(peer["objective"] - ours["objective"]) / abs(ours["objective"])
        bar = TIMES.get((job, peer["tool"]))
        said = "" if bar is None else f"   bar {bar:.0f} x" + ("" if ratio >= bar else "  MISSED")
        same = f"   objective differs by {apart:.0e}" + ("" if apart <= AGREE else "  MISSED")
        print(
            f"  {peer['tool']:8}  {peer['total']:9.4f} s  {peer['memory']:6.0f} MB   {ratio:6.1f} x{same}{said}"
            f"   (build {peer['build']:.3f}, solve {peer['solve']:.3f}; {peer['version']}, HiGHS {peer['highs']})"
        )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="Python of the environment with PyPSA, linopy and Pyomo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", nargs="+", choices=list(BARS), default=list(BARS))
    parser.add_argument("--loop", type=int, default=YEAR_OF_PLANS, help="plans of the closed loop")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.rounds, given.loop)))
        return
    here = Path(__file__)
    print(f"CPU seconds of build and solve, one thread, least of {given.rounds} rounds")
    answers: dict[str, float] = {}
    for job in given.jobs:
        limits = ["--rounds", str(given.rounds), "--loop", str(given.loop)]
        ours = child([sys.executable, str(here), "--child", job, *limits])
        tools = PEERS.get(job, ()) if given.peers else ()
        rounds = "1" if job == "year" else str(given.rounds)
        others = [child([given.peers, str(here.with_name("energy_peers.py")), t, job, rounds]) for t in tools]
        report(job, ours, others)
        answers[job] = ours["objective"]
    if {"preview", "year"} <= set(answers):
        print(f"the preview costs {answers['preview'] / answers['year'] - 1:+.2%} of the full year")


if __name__ == "__main__":
    main()
