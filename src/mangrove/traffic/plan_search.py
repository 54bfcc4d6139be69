# SPDX-License-Identifier: Apache-2.0
"""Search for a fixed-time plan: cycle, splits and offsets of all signals at once, judged by simulation.

Comes in: a network with signals, routes, limits. Goes out: the best plan found and how the search went. Plans are vectors of an
evolution strategy (separable CMA-ES, Ros and Hansen 2008); each is judged by SUMO's mesoscopic model on several draws of the demand,
the same for all plans of a generation and others in the next. Every vector decodes to a plan that keeps all limits, so no plan outside
them is ever judged. What comes out is a proposal: `verdict.compare` says what it does in the microscopic model on other draws.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import InfeasibleError, MissingExtraError, RequestError
from mangrove.traffic import demand_draws
from mangrove.traffic.fixed_plan import FixedPlan, write_plan
from mangrove.traffic.movements import Movement
from mangrove.traffic.outcome import Outcome
from mangrove.traffic.progression import Link, coordinated
from mangrove.traffic.simulate import LATEST, LONGEST, Run, many

Floats = npt.NDArray[np.float64]

CYCLES = (50.0, 130.0)
"""s: bounds of the common cycle; a declared default."""
NEVER_DEPARTED = 1800.0
"""s that a vehicle counts which never entered: a penalty of this search, half of the usual hour."""
CO2_WEIGHT = 0.5
"""s of delay that one g of CO2 per vehicle weighs; a declared preference."""
_CYCLE, _SPLIT, _OFFSET = 0.25, 0.4, 0.25
"""One unit of a vector: of the logarithm of the cycle, of the logarithm of a green, of the offset in cycles."""
MOST_DRAWS = 1000
"""Draws of the demand: a mean of a thousand is known to 3 % of the spread of one, and each is a simulation."""
_MOST_EVALUATIONS, _MOST_POPULATION = 10**7, 10_000
_MOST_WEIGHT = 1e6
"""s for a gram: nothing but CO2 counts long before."""
_LEAST_STEP, _MOST_STEP = 1e-6, 100.0
_MOST_SEED = 2**32 - 1
"""Of the random numbers of CMA-ES."""
_LEAST_POPULATION = 4
_POOL = 4
"""Draws made for each draw that a plan is judged on: one part to choose the best, the others in turn."""
_COORDINATED = 3
"""Starts that are also tried with coordinated offsets."""
_RARELY = 600.0
"""s between the rows of the network's state, which no search reads; SUMO spends half of a large run on one a second."""
_CLIMBS = (0.0, 1 / 6, 1 / 3, 1 / 2, 2 / 3)
"""Where between its lowest and highest value the cycle of a start lies."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of a plan: least green of each stage by signal, s, and bounds of the common cycle, s."""

    least: Mapping[str, tuple[float, ...]]
    cycle: tuple[float, float] = CYCLES


@dataclass(frozen=True, slots=True)
class Setting:
    """How to search.

    Attributes:
        evaluations: mesoscopic runs, all told; draws: of the demand for each plan; population: plans in a generation.
        co2_weight: s of delay that 1 g of CO2 per vehicle weighs.
        step: how far the first generation spreads, in units of a vector; less when going on from a good plan.
        seed: of everything random; workers: processes.
        begin, end: s of the simulation; None: from the first to the last departure.
    """

    evaluations: int = 600
    draws: int = 2
    population: int = 20
    co2_weight: float = CO2_WEIGHT
    step: float = 0.4
    seed: int = 1
    workers: int = 1
    begin: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        plan: the best plan; installed: the one that the search started from.
        cost, installed_cost: the objective of both on the same draws, s; (delay, CO2) of both in `figures`, s and g per vehicle.
        evaluations: runs spent; history: (runs, best cost) whenever it fell.
        interrupted: the search was stopped early; the plan is the best until then.
    """

    plan: FixedPlan
    installed: FixedPlan
    cost: float
    installed_cost: float
    figures: tuple[tuple[float, float], tuple[float, float]]
    evaluations: int
    history: tuple[tuple[int, float], ...]
    interrupted: bool = False


Progress = Callable[[int, int, float], None]
"""Called with runs spent, runs allowed, and the best cost as a share of the installed plan's."""


def search(
    net: Path,
    routes: Sequence[Path],
    plan: FixedPlan,
    limits: Limits,
    setting: Setting | None = None,
    *,
    flows: Mapping[str, Sequence[float]] | None = None,
    links: Sequence[Link] = (),
    progress: Progress | None = None,
) -> Found:
    """Searches a plan that loses less time and emits less CO2 than the installed one.

    Args:
        net: the network.
        routes: the demand.
        plan: the installed one.
        limits: kept by every plan that is judged.
        setting: how to search.
        flows: critical flow of each stage by signal (`critical_flows`); the search then also tries Webster's splits as a start.
        links: who drives from stage to stage (`progression.links_of`); the search then also tries offsets that let platoons through.
        progress: called after each round of runs. An interruption (also one that it raises) ends the search with the best so far.

    Raises:
        RequestError: `signals.bad_setting`. InfeasibleError: `signals.no_room`. MissingExtraError: cma is not installed.
        SourceError: files or the simulation fail.
    """
    setting = setting or Setting()
    _check(setting)
    space = Space(plan, limits)
    best: _Best | None = None
    with tempfile.TemporaryDirectory(prefix="mangrove-plan-") as folder:
        judge = _Judge(net, routes, setting, Path(folder))
        try:
            best, start = _start(space, judge, flows or {}, links)
            strategy = _strategy(start, setting, setting.evaluations - judge.spent)
            number, cost = 0, (strategy.popsize + 2) * setting.draws
            while judge.spent + cost <= setting.evaluations:
                if progress:
                    progress(judge.spent, setting.evaluations, best.judged.cost / best.before.cost)
                number += 1
                _generation(strategy, space, judge, best, number)
        except KeyboardInterrupt:
            if best is None:
                raise
            return best.found(judge.spent, interrupted=True)
    if progress:
        progress(setting.evaluations, setting.evaluations, best.judged.cost / best.before.cost)
    return best.found(judge.spent, interrupted=False)


class Space:
    """Vectors as plans: the cycle, a weight for each stage, an offset for each signal.

    For a vector z: cycle `C = clip(C0 exp(0.25 z0))` in whole seconds; greens in proportion to `g exp(0.4 z)`, none below its least, in
    whole seconds (what is left of a fractional clearing time goes to the longest), summing to C less the clearing times; offsets
    `o C / C_installed + 0.25 C z` modulo C. C0 is the median of the installed cycles, g the installed green, o the installed offset.

    Raises:
        InfeasibleError: `signals.no_room`: least greens and clearing times of a signal exceed the highest cycle.
    """

    def __init__(self, plan: FixedPlan, limits: Limits) -> None:
        self.plan = plan
        self.limits = limits
        self.sizes = [len(signal.stages) for signal in plan.signals]
        self.size = 1 + sum(self.sizes) + len(plan)
        low, high = limits.cycle
        if not 0 < low <= high:
            raise RequestError("signals.bad_cycle", low=f"{low:g}", high=f"{high:g}")
        needs = {s.id: round(sum(limits.least[s.id]) + s.lost, 3) for s in plan.signals}
        tightest = max(needs, key=lambda name: needs[name])
        if math.ceil(needs[tightest] - 1e-9) > math.floor(high):
            needed = math.ceil(needs[tightest] - 1e-9)
            raise InfeasibleError("signals.no_room", signal=tightest, needed=needed, high=f"{high:g}")
        self.cycle = (max(math.ceil(low), math.ceil(needs[tightest] - 1e-9)), math.floor(high))
        if self.cycle[0] > self.cycle[1]:
            raise RequestError("signals.bad_cycle", low=f"{low:g}", high=f"{high:g}")
        self.median = float(np.median([signal.cycle for signal in plan.signals]))

    def decode(self, z: Floats) -> FixedPlan:
        """The plan of a vector of `size` numbers; any finite numbers give a plan within the limits."""
        cycle = self._cycle(float(z[0]))
        signals, at = [], 1
        offsets = z[1 + sum(self.sizes) :]
        for signal, size, turn in zip(self.plan.signals, self.sizes, offsets, strict=True):
            pull = np.clip(_SPLIT * np.asarray(z[at : at + size], dtype=np.float64), -20.0, 20.0)
            weights = np.array([stage.green for stage in signal.stages]) * np.exp(pull)
            greens = split(weights, self.limits.least[signal.id], cycle - signal.lost)
            offset = signal.offset * cycle / signal.cycle + _OFFSET * cycle * float(turn)
            signals.append(signal.timed(greens, round(math.fmod(offset, cycle)) % cycle))
            at += size
        return replace(self.plan, signals=tuple(signals))

    def vector(self, cycle: float, weights: Mapping[str, Sequence[float]] | None = None) -> Floats:
        """The vector of a cycle and of splits in proportion to weights (the installed ones without); offsets as installed."""
        z = np.zeros(self.size)
        z[0] = math.log(cycle / self.median) / _CYCLE
        at = 1
        for signal, size in zip(self.plan.signals, self.sizes, strict=True):
            given = np.asarray(weights[signal.id], dtype=np.float64) if weights else np.zeros(size)
            if given.sum() > 0:
                share = np.maximum(given / given.sum(), 0.02)
                green = np.array([stage.green for stage in signal.stages])
                ratio = np.log(share / (green / green.sum()))
                z[at : at + size] = ratio / _SPLIT
            at += size
        return z

    def moved(self, z: Floats, plan: FixedPlan) -> Floats:
        """The vector with the offsets of a plan that has its cycle."""
        changed = z.copy()
        start = 1 + sum(self.sizes)
        for number, (signal, wished) in enumerate(zip(self.plan.signals, plan.signals, strict=True)):
            shift = (wished.offset - signal.offset * wished.cycle / signal.cycle) % wished.cycle
            shift -= wished.cycle if shift > wished.cycle / 2 else 0.0
            changed[start + number] = shift / (_OFFSET * wished.cycle)
        return changed

    def _cycle(self, z: float) -> int:
        wished = self.median * math.exp(min(max(_CYCLE * z, -20.0), 20.0))
        return int(min(max(round(wished), self.cycle[0]), self.cycle[1]))


def split(weights: Floats, least: Sequence[float], available: float) -> list[float]:
    """Greens in proportion to weights, none below its least, that sum to what is available.

    Example:
        >>> split(np.array([3.0, 1.0]), (7, 15), 40)
        [25.0, 15.0]
    """
    floor = np.asarray(least, dtype=np.float64)
    green, free = floor.copy(), np.ones(len(floor), dtype=bool)
    for _ in range(len(floor)):
        share = weights[free] / weights[free].sum() * (available - floor[~free].sum())
        low = share < floor[free]
        green[free] = np.maximum(share, floor[free])
        if not low.any():
            break
        free[np.flatnonzero(free)[low]] = False
        if not free.any():
            break
    whole = np.maximum(np.floor(green + 1e-9), floor)
    rest = round(available - float(whole.sum()), 3)
    order = np.argsort(whole - green, kind="stable")
    whole[order[: int(rest)]] += 1.0
    whole[int(whole.argmax())] += rest - int(rest)
    return [round(float(value), 3) for value in whole]


def critical_flows(
    plan: FixedPlan, movements: Mapping[str, Sequence[Movement]], routes: Sequence[Path]
) -> dict[str, tuple[float, ...]]:
    """The critical flow of each stage by signal: motorcycle units per lane of its busiest approach (Webster 1958).

    Only vehicles that state the edges of their route count; where none does, all flows are 0 and Webster's splits are unknown. Flow
    ratios are flows per lane, as if all lanes had the same saturation flow.
    """
    turns: dict[tuple[str, str], float] = {}
    for edges, units, _ in demand_draws.routes_of(demand_draws.read_routes(routes)):
        for pair in pairwise(edges):
            turns[pair] = turns.get(pair, 0.0) + units
    found = {}
    for signal in plan.signals:
        known = [m for m in movements.get(signal.id, ()) if m.crossing is None]
        rows = []
        for stage in signal.stages:
            load: dict[str, float] = {}
            for pair in dict.fromkeys((m.source, m.target) for m in known if _is_green(stage.state, m.index)):
                load[pair[0]] = load.get(pair[0], 0.0) + turns.get(pair, 0.0)
            lanes = {m.source: max(m.lanes, 1) for m in known}
            rows.append(max((flow / lanes[source] for source, flow in load.items()), default=0.0))
        found[signal.id] = tuple(rows)
    return found


def cost_of(outcome: Outcome, co2_weight: float) -> float:
    """Delay with its penalty for vehicles that never entered, plus weighted CO2, s per vehicle.

    Args:
        outcome: of a run.
        co2_weight: s per g.
    """
    trips = outcome.trips
    if not len(trips.ids):
        return NEVER_DEPARTED
    delay = float(np.where(trips.departed, trips.delay, NEVER_DEPARTED).mean())
    co2 = outcome.co2_g_per_vehicle
    return delay + (co2_weight * co2 if math.isfinite(co2) else 0.0)


def period(
    routes: Sequence[Path], begin: float | None = None, end: float | None = None
) -> tuple[float, float]:
    """When a simulation of routes begins and ends, s: from the first departure to the last, in whole minutes, unless given.

    Raises:
        RequestError: `signals.bad_period`, `signals.too_long`.
    """
    times = demand_draws.departures(demand_draws.read_routes(routes))
    first = math.floor(times[0] / 60) * 60.0 if begin is None else float(begin)
    last = max(math.ceil(times[1] / 60) * 60.0, first + 60.0) if end is None else float(end)
    if not 0 <= first < last:
        raise RequestError("signals.bad_period", begin=f"{first:.12g}", end=f"{last:.12g}")
    if last - first > LONGEST or last > LATEST:
        data: dict[str, Any] = {
            "begin": f"{first:.12g}",
            "end": f"{last:.12g}",
            "most": f"{LONGEST:.12g}",
            "latest": f"{LATEST:.12g}",
        }
        raise RequestError("signals.too_long", **data)
    return first, last


def draws_of(routes: Sequence[Path], folder: Path, seeds: Sequence[int], begin: float) -> list[Path]:
    """Draws of the demand as files, one for each seed."""
    files = [folder / f"draw{number}.rou.xml" for number in range(len(seeds))]
    for seed, file in zip(seeds, files, strict=True):
        demand_draws.draw(routes, file, seed, begin=begin)
    return files


def _start(
    space: Space, judge: _Judge, flows: Mapping[str, Sequence[float]], links: Sequence[Link]
) -> tuple[_Best, Floats]:
    """Judges what a search may begin with, and gives the best of it.

    The installed programs; then, within the limits, the plan, its splits and Webster's at several cycles, and the best of these with
    coordinated offsets.
    """
    best = _Best(space.plan, judge([None], judge.fixed)[0])
    low, high = space.cycle
    cycles = sorted({round(low * (high / low) ** climb) for climb in _CLIMBS})
    splits = [None, flows] if any(any(row) for row in flows.values()) else [None]
    vectors = [np.zeros(space.size)]
    vectors += [space.vector(cycle, weights) for weights in splits for cycle in cycles]
    judged = _offered(space, judge, best, vectors)
    if links:
        order = np.argsort([verdict.cost for verdict in judged])[:_COORDINATED]
        moved = [space.moved(vectors[n], coordinated(space.decode(vectors[n]), links)) for n in order]
        judged += _offered(space, judge, best, moved)
        vectors += moved
    return best, vectors[int(np.argmin([verdict.cost for verdict in judged]))]


def _offered(space: Space, judge: _Judge, best: _Best, vectors: Sequence[Floats]) -> list[_Judged]:
    """Vectors judged on the fixed draws and offered as the best, as many as the allowance lets."""
    room = (judge.setting.evaluations - judge.spent) // judge.setting.draws
    plans = [space.decode(vector) for vector in vectors[: max(0, room)]]
    judged = judge(plans, judge.fixed) if plans else []
    for plan, verdict in zip(plans, judged, strict=True):
        best.offer(plan, verdict, judge.spent)
    return judged


def _generation(strategy: Any, space: Space, judge: _Judge, best: _Best, number: int) -> None:
    """One generation: its plans on draws of their own; its best and its mean then against the best so far."""
    vectors = strategy.ask()
    judged = judge([space.decode(vector) for vector in vectors], judge.rotated(number), number)
    costs = [verdict.cost for verdict in judged]
    strategy.tell(vectors, costs)
    plans = [space.decode(vector) for vector in (vectors[int(np.argmin(costs))], strategy.mean)]
    for plan, verdict in zip(plans, judge(plans, judge.fixed), strict=True):
        best.offer(plan, verdict, judge.spent)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Cost, and (delay s, CO2 g per vehicle), means over draws."""

    cost: float
    figures: tuple[float, float]


@dataclass
class _Best:
    """The best plan within the limits so far, and what the installed one costs on the same draws."""

    installed: FixedPlan
    before: _Judged
    plan: FixedPlan | None = None
    judged: _Judged = _Judged(math.inf, (math.nan, math.nan))
    history: list[tuple[int, float]] = field(default_factory=list)

    def offer(self, plan: FixedPlan, judged: _Judged, spent: int) -> None:
        """Keeps a plan that costs less."""
        if self.plan is None or judged.cost < self.judged.cost:
            self.plan, self.judged = plan, judged
            self.history.append((spent, judged.cost))

    def found(self, spent: int, *, interrupted: bool) -> Found:
        """The best as a result."""
        assert self.plan is not None
        costs = (self.judged.cost, self.before.cost)
        figures = (self.judged.figures, self.before.figures)
        return Found(self.plan, self.installed, *costs, figures, spent, tuple(self.history), interrupted)


class _Judge:
    """Runs plans in the mesoscopic model on draws of the demand."""

    def __init__(self, net: Path, routes: Sequence[Path], setting: Setting, folder: Path) -> None:
        self.net, self.setting, self.folder = net, setting, folder
        self.begin, self.end = period(routes, setting.begin, setting.end)
        self.spent = 0
        states = np.random.SeedSequence(setting.seed).generate_state(_POOL * setting.draws)
        self.seeds = [int(state >> 1) for state in states]
        self.draws = draws_of(routes, folder, self.seeds, self.begin)
        self.fixed = list(range(setting.draws))

    def rotated(self, generation: int) -> list[int]:
        """The draws of a generation: some of those on which the best is not chosen."""
        random = np.random.default_rng((self.setting.seed, generation))
        others = np.arange(self.setting.draws, len(self.draws))
        return [int(n) for n in random.choice(others, self.setting.draws, replace=False)]

    def __call__(
        self, plans: Sequence[FixedPlan | None], draws: Sequence[int], turn: int = 0
    ) -> list[_Judged]:
        """Judges plans (None: the installed programs), all on the same draws and seeds."""
        files = [self._file(number, plan) for number, plan in enumerate(plans)]
        runs = [self._run(file, n, turn) for file in files for n in draws]
        outcomes = many(runs, self.setting.workers)
        self.spent += len(runs)
        rows = [(cost_of(o, self.setting.co2_weight), o.delay, o.co2_g_per_vehicle) for o in outcomes]
        means = np.array(rows).reshape(len(plans), len(draws), 3).mean(axis=1)
        return [_Judged(float(row[0]), (float(row[1]), float(row[2]))) for row in means]

    def _run(self, file: Path | None, draw: int, turn: int) -> Run:
        seed = (self.seeds[draw] + turn) % 2**31
        added = [file] if file else []
        return Run(
            self.net, [self.draws[draw]], self.begin, self.end, seed=seed, meso=True, additional=added, every=_RARELY
        )  # fmt: skip

    def _file(self, number: int, plan: FixedPlan | None) -> Path | None:
        if plan is None:
            return None
        file = self.folder / f"plan{number}.add.xml"
        write_plan(plan, file)
        return file


def _strategy(start: Floats, setting: Setting, left: int) -> Any:
    """The evolution strategy; its generations get smaller when few runs are left."""
    try:
        cma: Any = import_module("cma")
    except ImportError:
        raise MissingExtraError("traffic") from None
    population = min(setting.population, max(_LEAST_POPULATION, left // (3 * setting.draws) - 2))
    words = {"CMA_diagonal": True, "popsize": population, "seed": setting.seed, "verbose": -9}
    return cma.CMAEvolutionStrategy(start, setting.step, words)


def _check(setting: Setting) -> None:
    within(
        draws=(setting.draws, 1, MOST_DRAWS),
        evaluations=(setting.evaluations, 4 * setting.draws, _MOST_EVALUATIONS),
        population=(setting.population, _LEAST_POPULATION, _MOST_POPULATION),
        workers=(setting.workers, 1, math.inf),
        seed=(setting.seed, 1, _MOST_SEED),
        step=(setting.step, _LEAST_STEP, _MOST_STEP),
        co2_weight=(setting.co2_weight, 0, _MOST_WEIGHT),
    )


def within(**settings: tuple[float, float, float]) -> None:
    """Raises RequestError `signals.bad_setting` for a setting outside its bounds; each is given as (value, least, most)."""
    for name, (value, least, most) in settings.items():
        if not (least <= value <= most and math.isfinite(value)):
            code = "signals.bad_setting" if math.isinf(most) else "signals.bad_range"
            raise RequestError(
                code, name=name, value=f"{value:.12g}", least=f"{least:g}", most=f"{most:.12g}"
            )


def _is_green(state: str, index: int) -> bool:
    return index < len(state) and state[index] in "Gg"
