# SPDX-License-Identifier: Apache-2.0
"""The verdict: what plans change, with intervals, and the confidence that one beats another.

Comes in: a `Case` and plans (lists of edits). Goes out: a `Verdict`. Everything uncertain is drawn, and drawn once for all plans: trips,
shares of edits, factors (common random numbers; Law 2015, "Simulation Modeling and Analysis", 11.2), so that what two plans have in
common cancels out of their difference and does not hide it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from mangrove.errors import Problem, RequestError
from mangrove.plan.traffic import power
from mangrove.plan.traffic.case import ELECTRICITY, Case
from mangrove.plan.traffic.edits import SD, Edit, Period, through_day
from mangrove.plan.traffic.flows import GAP, Solved, assign
from mangrove.plan.traffic.observe import Near, Observation, observe, steps
from mangrove.traffic.charging import Driven, Mode
from mangrove.traffic.roads import Floats

TODAY = "today"
DRAWS = 8
"""Draws of trips."""
WORKERS = 2
"""Draws at a time."""
FACTOR_DRAWS = 50
"""Draws of factors for each draw of trips."""
QUANTILES = (0.05, 0.95)
_EXPOSED = ("PM", "NOx", "CO2")
TIE = 1e-12
"""Differences below, relative to what they are of, are rounding: no difference."""


@dataclass(frozen=True)
class Measure:
    """What is compared: its key, unit, and whether more of it is better (1), worse (-1) or neither (0)."""

    key: str
    unit: str
    sense: int


@dataclass(frozen=True)
class Difference:
    """Plan minus plan: mean, 90 % interval, the mean relative to the plan it is compared with, confidence that it is better.

    The confidence is None where neither more nor less is better, and where no draw makes a difference.
    """

    mean: float
    low: float
    high: float
    relative: float
    confidence: float | None


@dataclass(frozen=True)
class Verdict:
    """Plans compared.

    Attributes:
        plans: names, `today` first; measures: what is compared.
        samples: by measure, (plans, S) draws that belong together.
        zones: ids, the last empty: outside all; zone: by pollutant, (plans, Z + 1) mean grams (kWh).
        kwh: (plans, H, Z + 1) mean electricity driven by hour and zone; driven: by plan, what each electric class drives in a day.
        daily: whether sums are of a day (else of the hour of the trips).
        problems: what the reader must know: trips without a way, shares at their limit, ...
        first: (plans) observations of the first draw, for maps.
    """

    plans: tuple[str, ...]
    measures: tuple[Measure, ...]
    samples: Mapping[str, Floats]
    zones: tuple[str, ...]
    zone: Mapping[str, Floats]
    kwh: Floats
    daily: bool
    problems: tuple[Problem, ...]
    first: tuple[Observation, ...]
    driven: tuple[Mapping[str, Driven], ...] = ()

    def mean(self, measure: str, plan: str) -> float:
        """The mean of a measure over the draws."""
        return float(self.samples[measure][self._at(plan)].mean())

    def difference(self, measure: str, plan: str, other: str = TODAY) -> Difference:
        """What a plan changes against another."""
        rows = self.samples[measure]
        change = rows[self._at(plan)] - rows[self._at(other)]
        sense = next(m.sense for m in self.measures if m.key == measure)
        base = float(rows[self._at(other)].mean())
        close = TIE * max(abs(base), 1e-300)
        tie = np.abs(change) <= close
        change = np.where(tie, 0.0, change)  # what is left of a tie is rounding
        low, high = (float(q) for q in np.quantile(change, QUANTILES))
        better = (sense * change > close).mean() + tie.mean() / 2
        mean = float(change.mean())
        sure = float(better) if sense and not tie.all() else None
        return Difference(mean, low, high, mean / base if base else 0.0, sure)

    def charged(self, plan: str, modes: tuple[Mode, ...], only: str = "") -> Floats:
        """(24, Z + 1) kWh that vehicles charge by hour and zone, see `traffic.charging`.

        Args:
            plan: its name.
            modes: of charging.
            only: a class or a mode; all when left out.

        Raises:
            RequestError: `roads.load_hours`: the hours of a day are not known.
        """
        if not self.daily:
            raise RequestError("roads.load_hours")
        at = self._at(plan)
        found = power.loads(self.driven[at], self.kwh[at], modes, self.zones[:-1])
        chosen = [load for names, load in found.items() if not only or only in names]
        whole: Floats = np.sum([np.zeros_like(self.kwh[at]), *chosen], axis=0)
        return whole

    def _at(self, plan: str) -> int:
        if plan not in self.plans:
            raise RequestError("roads.unknown_plan", text=plan, options=", ".join(self.plans))
        return self.plans.index(plan)


def evaluate(
    case: Case, edits: Sequence[Edit], *, on: date | None = None, draws: int = DRAWS, seed: int = 0
) -> Verdict:
    """What edits change; see `compare`. The plan is called `plan`."""
    return compare(case, {"plan": edits}, on=on, draws=draws, seed=seed)


def compare(
    case: Case, plans: Mapping[str, Sequence[Edit]], *, on: date | None = None, draws: int = DRAWS,
    seed: int = 0, common: bool = True, workers: int = WORKERS, gap: float = GAP, progress: Callable[[int, int], None] | None = None,
) -> Verdict:  # fmt: skip
    """Compares plans with each other and with what is there today.

    Args:
        case: today.
        plans: edits by the name of the plan.
        on: the day on which plans are looked at; None: all edits hold.
        draws: of trips; each meets `FACTOR_DRAWS` draws of factors.
        seed: of all draws.
        common: whether plans share their draws; only a test has a reason to say no.
        workers: draws at a time.
        gap: relative gap of the equilibria.
        progress: is called with how many equilibria are done and how many there are.

    Raises:
        RequestError: `roads.plan_name`, and what edits refuse.
    """
    if not plans or TODAY in plans:
        raise RequestError("roads.plan_name", text=TODAY)
    named: dict[str, Sequence[Edit]] = {TODAY: (), **plans}
    exposed = next((p for p in _EXPOSED if p in case.factors.pollutants), case.factors.pollutants[0])
    work = _Work(case, named, on, seed, case.factors.pollutants.index(exposed), common=common, gap=gap)
    seen: list[list[Observation]] = [[] for _ in named]
    with ThreadPoolExecutor(workers) as pool:
        for done, row in enumerate(pool.map(work.draw, range(draws))):
            for one, found in zip(seen, row, strict=True):
                one.append(found)
            if progress:
                progress((done + 1) * len(named), draws * len(named))
    seeds = [seed] * len(named) if common else [seed + at for at in range(len(named))]
    return _verdict(case, tuple(named), seen, exposed, seeds)


class _Work:
    """Draws, one after another or in threads: compiled passes let other threads run, and no draw needs another one.

    Equilibria of a plan begin at that of its edits without draws, so that what it comes to depends on nothing but its edits and the seed.
    """

    def __init__(
        self, case: Case, plans: Mapping[str, Sequence[Edit]], on: date | None, seed: int, pollutant: int, *,
        common: bool, gap: float,
    ) -> None:  # fmt: skip
        self.case, self.plans, self.on, self.seed = case, plans, on, seed
        self.pollutant, self.common, self.gap = pollutant, common, gap
        today: tuple[Solved, ...] = ()
        self.begin: list[tuple[Solved, ...]] = []
        for edits in plans.values():
            self.begin.append(_solved(through_day(case, edits, on), gap, today))
            today = today or self.begin[0]

    def draw(self, draw: int) -> list[Observation]:
        """What each plan comes to in one draw."""
        found: list[Observation] = []
        trips = before = None
        today: tuple[Solved, ...] = ()
        for at, edits in enumerate(self.plans.values()):
            seeds = [self.seed, draw] if self.common else [self.seed, draw, at]
            drawn = _drawn(self.case, edits, self.on, seeds)
            trips = drawn[0].case.trips if trips is None or not self.common else trips
            one = observe(drawn, before, self.pollutant, trips, near=Near(self.begin[at], today, self.gap))
            before, today = before or one.skims, today or one.solved
            found.append(one)
        return [one.light(power.ends(one.flows) if draw == 0 else None) for one in found]


def _solved(day: Sequence[Period], gap: float, today: tuple[Solved, ...]) -> tuple[Solved, ...]:
    """The equilibria of a day without draws."""
    found = []
    for step in steps(day):
        near = today[step.number] if today else None
        solved = assign(step.case, step.level, gap, begin=near, known=near).solved
        found += [solved] if solved else []
    return tuple(found)


def _drawn(case: Case, edits: Sequence[Edit], on: date | None, seed: list[int]) -> tuple[Period, ...]:
    """The day of a plan in one draw: shares of edits and trips are off by the same amounts in every plan that has them."""
    scales = {}
    for edit in edits:
        rng = np.random.default_rng([*seed, zlib.crc32(edit.id.encode())])
        scales[edit.id] = max(1.0 + edit.error / SD * float(rng.standard_normal()), 0.0)
    rng, zones, spread = np.random.default_rng(seed), len(case.map.zones), case.spread
    logs = (
        spread.origin * rng.standard_normal((zones, 1))
        + spread.destination * rng.standard_normal((1, zones))
        + spread.pair * rng.standard_normal((zones, zones))
    )
    factor = np.exp(logs - (spread.origin**2 + spread.destination**2 + spread.pair**2) / 2)
    return tuple(
        replace(
            part,
            case=replace(
                part.case, streams=tuple(replace(s, trips=s.trips * factor) for s in part.case.streams)
            ),
        )
        for part in through_day(case, edits, on, scales)
    )


def _verdict(
    case: Case, names: tuple[str, ...], seen: list[list[Observation]], exposed: str, seeds: list[int]
) -> Verdict:
    """Observations as samples."""
    draws = len(seen[0])
    made: dict[str, list[Floats]] = {}
    for rows, seed in zip(seen, seeds, strict=True):
        factors = case.factors.draws(draws * FACTOR_DRAWS, seed).reshape(
            draws, FACTOR_DRAWS, len(case.classes), -1
        )
        totals = np.array([one.zone.sum(axis=0) for one in rows])
        mass = np.einsum("dkcp,dcp->pdk", factors, totals).reshape(totals.shape[-1], -1)
        for name, row in zip(case.factors.pollutants, mass, strict=True):
            made.setdefault(name, []).append(row)
        if rows[0].exposure is not None:
            near = np.array([one.exposure for one in rows])
            p = case.factors.pollutants.index(exposed)
            made.setdefault("exposure", []).append(np.einsum("dkc,dc->dk", factors[..., p], near).ravel())
        for key in ("minutes", "hours", "km", "access"):
            values = np.array([getattr(one, key) for one in rows])
            made.setdefault(key, []).append(np.repeat(values, FACTOR_DRAWS))
    daily = case.hours is not None
    samples = {key: np.array(rows) for key, rows in made.items()}
    zone = {
        name: np.array([np.mean([one.zone[:, :, p].sum(axis=1) for one in rows], axis=0) for rows in seen])
        for p, name in enumerate(case.factors.pollutants)
    }
    kwh = np.array([np.mean([one.kwh for one in rows], axis=0) for rows in seen])
    return Verdict(
        names, _measures(samples, exposed, "d" if daily else "h"), samples, (*case.map.zones, ""), zone, kwh, daily,
        tuple(_problems(names, seen)), tuple(rows[0] for rows in seen), tuple(_driven(rows) for rows in seen),
    )  # fmt: skip


def _driven(rows: list[Observation]) -> dict[str, Driven]:
    """What the electric classes of a plan drive: mean of the draws, between the zones of the first one."""
    first = rows[0]
    assert first.ends is not None
    return power.driven(first.flows, first.ends, np.mean([one.by_class for one in rows], axis=0))


def _measures(samples: Mapping[str, Floats], exposed: str, per: str) -> tuple[Measure, ...]:
    known = {
        "minutes": Measure("minutes", "min/trip", -1), "hours": Measure("hours", f"h/{per}", -1),
        "km": Measure("km", f"km/{per}", 0), "access": Measure("access", "jobs", 1),
        ELECTRICITY: Measure(ELECTRICITY, f"kWh/{per}", 0),
        "exposure": Measure("exposure", f"g {exposed}/km2/{per}", -1),
    }  # fmt: skip
    order = [
        "minutes",
        "hours",
        "access",
        "km",
        *(k for k in samples if k not in known),
        "exposure",
        ELECTRICITY,
    ]
    return tuple(known.get(key, Measure(key, f"g/{per}", -1)) for key in order if key in samples)


def _problems(names: tuple[str, ...], seen: list[list[Observation]]) -> list[Problem]:
    """Trips without a way, and what the cases themselves say, each once."""
    found = []
    for name, rows in zip(names, seen, strict=True):
        lost = float(np.mean([one.unserved for one in rows]))
        trips = float(np.mean([one.unserved + one.flows.driven for one in rows]))
        if lost > 1e-9 * max(trips, 1.0):
            data = {"plan": name, "units": f"{lost:.0f}", "percent": f"{100 * lost / trips:.1f}"}
            found.append(Problem("roads.unserved", data, severity="warning"))
    notes = {note.text(): note for rows in seen for note in rows[0].notes}
    return [*found, *notes.values()]
