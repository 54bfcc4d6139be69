# SPDX-License-Identifier: Apache-2.0
"""What a sizing found: sizes, what they cost and save, what a year with them looks like, and what each limit is worth.

Comes in: a solved model of a case. Goes out: frozen values with plain dictionaries and arrays, for tables, figures, records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mangrove.network import Capacity, Plan, Relaxation
from mangrove.plan import placed
from mangrove.plan.build import KILO, Model
from mangrove.plan.finance import CashFlow, Purchase, Running, cash_flow, lcoe, lifecycle
from mangrove.plan.outages import Survival, streams_of, survival
from mangrove.plan.problem import ELECTRICITY, SOURCE, STORE, Case, Floats, Supply, full

_NOTHING = 1e-7
"""New capacity below this share of the highest load is what the tolerance of the solver leaves."""
_NEGLIGIBLE = 1e-9
"""Shadow prices below this share of the whole cost per unit are what the solver's tolerance leaves."""


@dataclass(frozen=True, eq=False)
class State:
    """A year of operation with given sizes.

    Attributes:
        sizes: by name; series: (T,) rates by stream; levels: (T,) usable levels by store, at the end of each step.
        running: a year at prices of today; emissions: t CO2 a year.
        energy: amounts a year by stream, in the unit of its carrier (kWh).
        peaks: by supply, the billed peak of each month.
        served: share of each load that is met, by carrier and by asset; bills: itemized bills by supply, where its contract is known.
        relaxed: what gave way.
    """

    sizes: Mapping[str, float]
    series: Mapping[str, Floats]
    levels: Mapping[str, Floats]
    running: Running
    emissions: float
    energy: Mapping[str, float]
    peaks: Mapping[str, Floats]
    served: Mapping[str, float]
    bills: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    relaxed: tuple[Relaxation, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every load is met."""
        return all(share > 1 - 1e-6 for share in self.served.values())


@dataclass(frozen=True, slots=True)
class Worth:
    """What one more unit of a limit would save.

    Attributes:
        name, kind: of the limit (`size`, `capacity`, `budget`, ...).
        value: money of today over the study; yearly: the same as an equal sum every year. The cap on emissions counts in t
            CO2 a year, so its `yearly` is the price of a tonne.
    """

    name: str
    kind: str
    value: float
    yearly: float


@dataclass(frozen=True, slots=True)
class Effort:
    """How an answer was found: solver, rows and columns of the problem, iterations, seconds (wall) with building.

    `status` is `optimal`, or `limit` when no solver reached its tolerances.
    """

    solver: str
    rows: int
    columns: int
    iterations: int
    seconds: float
    status: str = "optimal"


@dataclass(frozen=True, slots=True)
class Preview:
    """The answer of typical days, and how wrong it was.

    Attributes:
        days: representative days; sizes: what they would build.
        estimate: cost that the typical days promised; cost: what these sizes cost over every hour of the year.
        effort: of the preview; checked: seconds for the check over the year.
    """

    days: int
    sizes: Mapping[str, float]
    estimate: float
    cost: float
    effort: Effort
    checked: float

    @property
    def error(self) -> float:
        """Promised over true cost, less one: the error of the typical days themselves."""
        return self.estimate / self.cost - 1.0 if self.cost else math.nan


@dataclass(frozen=True, eq=False)
class Sizing:
    """The result of a sizing.

    Attributes:
        case: what was asked; cost: cost over the study in money of today, of the plan.
        after: the year with the plan; before: the year without building, None when the loads cannot be met without.
        cost_before: the same cost without building.
        preview: the answer of the typical days; None when it was not asked for.
        worth: shadow prices, largest first.
        effort: how it was found; exact: whether every hour of the year was optimized (else sizes are the preview's).
        record: id of its record in the ledger, empty when it was not stored.
    """

    case: Case
    cost: float
    after: State
    before: State | None
    cost_before: float
    preview: Preview | None
    worth: tuple[Worth, ...]
    effort: Effort
    exact: bool
    record: str = ""

    @property
    def sizes(self) -> Mapping[str, float]:
        """Sizes in place with the plan, by name."""
        return self.after.sizes

    @property
    def relaxed(self) -> tuple[Relaxation, ...]:
        """What gave way."""
        return self.after.relaxed

    @property
    def built(self) -> dict[str, float]:
        """New capacity by name."""
        return {name: max(0.0, self.sizes[name] - size.existing) for name, size in self.case.sizes().items()}

    @property
    def purchases(self) -> list[Purchase]:
        """What is bought."""
        return purchases(self.case, self.sizes)

    @cached_property
    def flow(self) -> CashFlow | None:
        """Cash flows by year against not building; None when there is no year without building to compare with."""
        if self.before is None:
            return None
        return cash_flow(self.purchases, self.before.running, self.after.running, self.case.money)

    @property
    def npv(self) -> float:
        """Net present value: what the plan saves over the study; NaN without a year to compare with."""
        return self.cost_before - self.cost if self.before is not None else math.nan

    @property
    def saved(self) -> float:
        """Emissions avoided, t CO2 a year; NaN without a year to compare with."""
        return self.before.emissions - self.after.emissions if self.before is not None else math.nan

    @cached_property
    def lcoe(self) -> dict[str, float]:
        """Levelized cost of what each new source gives (money per unit used), without what is curtailed."""
        found, money = {}, self.case.money
        for one in self.case.candidates:
            new = self.built[one.name] if one.shape == SOURCE else 0.0
            if new > 0:
                share = new / self.sizes[one.name]
                used = self.after.energy[one.name] * share / money.level(one.degradation)
                cost = lifecycle(one.size.purchase(one.name, new), money) + one.running * used * money.worth(
                    "energy"
                )
                found[one.name] = lcoe(cost, used, money, one.degradation)
        for asset in self.case.assets:
            new = self.built[asset.name] if asset.kind in placed.RENEWABLE else 0.0
            if new > 0:
                used = (
                    self.after.energy[asset.name]
                    * new
                    / self.sizes[asset.name]
                    / money.level(asset.degradation)
                )
                cost = lifecycle(asset.sizes()[asset.name].purchase(asset.name, new), money)
                found[asset.name] = lcoe(cost, used, money, asset.degradation)
        return found

    def survival(self, critical: float = 1.0, longest: float = 24.0) -> Survival:
        """How long `critical` of the electricity load is kept up when the grid fails, for every starting step."""
        return survival(self.case, self.sizes, self.after.levels, critical=critical, longest=longest)


def purchases(case: Case, sizes: Mapping[str, float]) -> list[Purchase]:
    """What has to be bought to have these sizes."""
    return [
        size.purchase(name, sizes[name] - size.existing)
        for name, size in case.sizes().items()
        if sizes[name] > size.existing
    ]


def owned(case: Case, sizes: Mapping[str, float]) -> float:
    """Cost over the study of what has to be bought, in money of today."""
    return sum(lifecycle(one, case.money) for one in purchases(case, sizes))


def state(built: Model, plan: Plan) -> State:
    """What a year of the plan looks like."""
    case, view = built.case, built.view
    sizes = {
        name: float(plan.size(size)[0]) if isinstance(size, Capacity) else size
        for name, size in built.sizes.items()
    }
    least = _NOTHING * max(float(load.max()) for load in case.loads.values())
    for name, size in case.sizes().items():
        if sizes[name] - size.existing < least:
            sizes[name] = size.existing
    series = {name: view.spread(plan[stream]) for name, stream in streams_of(built).items()}
    for part in built.parts.values():
        series |= {name: view.spread(rate) for name, rate in placed.series(built, plan, part)}
    levels = {}
    if view.days is None:
        levels = {name: plan.level(store)[0, 0] for name, store in built.stores.items()}
        for name, part in built.parts.items():
            level = placed.levels(built, plan, part)
            levels |= {} if level is None else {name: level}
    energy = {name: float(values.sum()) * case.hours * case.annual for name, values in series.items()}
    peaks = {name: np.asarray(plan.peak(peak), dtype=float) for name, peak in built.peaks.items()}
    served = {}
    for carrier, load in case.loads.items():
        lost = float((plan.shortfall(built.net.handles[f"load {carrier}"]) * view.horizon.weights).sum())  # type: ignore[arg-type]
        served[carrier] = 1.0 - lost / max(float(load.sum()) * case.hours, 1e-300)
    for name, part in built.parts.items():
        met = placed.served(built, plan, part)
        if met is not None:
            served[name] = met
    by_use = sum(placed.running(built, plan, part) for part in built.parts.values())
    return State(
        sizes, series, levels, _running(case, series, peaks, energy, by_use), _emissions(case, series, energy), energy, peaks,
        served, relaxed=plan.relaxed,
    )  # fmt: skip


def _running(
    case: Case,
    series: Mapping[str, Floats],
    peaks: Mapping[str, Floats],
    energy: Mapping[str, float],
    by_use: float,
) -> Running:
    """A year at prices of today: energy, power, fuel and `by_use`, what assets cost by use; sales; carbon."""
    yearly = case.hours * case.annual
    bought, sold = by_use, 0.0
    for supply in case.supplies:
        bought += float(full(supply.buy, case.steps) @ series[supply.name]) * yearly
        if supply.name in peaks:
            price = np.broadcast_to(np.asarray(supply.demand, dtype=float), peaks[supply.name].shape)
            bought += float(price @ peaks[supply.name]) * 12.0 / supply.months
        name = f"{supply.name} export"
        if name in series and supply.sell is not None:
            sold += float(full(supply.sell, case.steps) @ series[name]) * yearly
    for one in case.candidates:
        name = f"{one.name} discharge" if one.shape == STORE else one.name
        bought += one.running * energy.get(name, 0.0)
    return Running(bought, sold, case.carbon * _emissions(case, series, energy))


def _emissions(case: Case, series: Mapping[str, Floats], energy: Mapping[str, float]) -> float:
    """T CO2 a year."""
    total = sum(one.emissions * energy.get(one.name, 0.0) for one in case.candidates)
    for supply in case.supplies:
        total += float(full(supply.factor, case.steps) @ series[supply.name]) * case.hours * case.annual
    return float(total) * KILO


def worth_of(case: Case, plan: Plan) -> tuple[Worth, ...]:
    """The shadow prices that matter, largest first."""
    least = _NEGLIGIBLE * abs(plan.cost)
    every_year = case.money.discounted(np.r_[0.0, np.ones(case.money.years)]).sum()
    inner = {f"{one.name} hours" for one in case.candidates} | {
        f"{one.name}/energy usable size" for one in case.candidates
    }
    inner |= {name for one in case.assets for name in one.inner}
    kept = [shadow for shadow in plan.shadows() if shadow.value > least and shadow.name not in inner]
    names = {f"{one.name} {word}": name for one in case.assets for word, name in one.named.items()}
    return tuple(
        Worth(
            names.get(shadow.name, shadow.name.removesuffix(" size")),
            shadow.kind,
            shadow.value,
            float(shadow.value / every_year),
        )
        for shadow in kept
    )


def bills_of(case: Case, series: Mapping[str, Floats], timezone: str) -> dict[str, tuple[Any, ...]]:
    """Itemized bills by supply, for those with a contract."""
    found = {}
    for supply in case.supplies:
        if supply.contract is not None:
            found[supply.name] = _bills(case, supply, series, timezone)
    return found


def _bills(case: Case, supply: Supply, series: Mapping[str, Floats], timezone: str) -> tuple[Any, ...]:
    """Bills of one connection, month by month."""
    own = [
        series[one.name]
        for one in case.candidates
        if one.shape == SOURCE and one.carrier == ELECTRICITY and one.name in series
    ] + [series[one.name] for one in case.assets if one.kind in placed.RENEWABLE]
    sold = series.get(f"{supply.name} export")
    made = np.sum(own, axis=0) * case.hours if own else np.zeros(case.steps)
    return tuple(
        supply.contract.bills(
            case.starts,
            case.hours,
            timezone,
            np.maximum(series[supply.name], 0.0) * case.hours,
            None if sold is None else np.maximum(sold, 0.0) * case.hours,
            None if sold is None else np.maximum(made, 0.0),
        )
    )
