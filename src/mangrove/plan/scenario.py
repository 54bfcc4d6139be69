# SPDX-License-Identifier: Apache-2.0
"""Scenarios: dated actions on a territory, and the algebra that turns a baseline and a set of actions into amounts of flows.

Comes in: a checked `Scenario` and the amounts of a base year by flow and month. Goes out: the amounts of every flow in every month
of the horizon, for all actions or any subset of them, with every uncertain number moved or not. Nothing here knows emissions:
whoever multiplies the amounts with factors does it by the one formula.

The algebra does not depend on the order in which actions are written. For flow f and month t, with the level l(t) of each action
(0 before it begins, 1 once its ramp is over):

    demand   D[f]  = base[f] x growth x product of (1 + change_i x l_i)  +  sum of amount_j x hours x l_j
    stock    S[f]  = D[f] + sum over switches k into f of ratio_k x share_k x l_k x S[from_k]
    stays    R[f]  = S[f] x (1 - sum over switches k out of f of share_k x l_k)
    factors        : of R[f] the shares of `switch_factor` are counted with another factor, the rest with the flow's own

Scales multiply and amounts add, so neither asks who came first. Shares are of the whole stock of that month and may not add up to more
than all of it, so that two switches can never move the same liter twice. Switches form no circle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import RequestError, Where
from mangrove.territory.model import Flow, LocalFactor, Territory
from mangrove.times import Span, Step
from mangrove.units import Quantity

Floats: TypeAlias = NDArray[np.float64]

MONTH = Step(months=1)
SD = 1.959963984540054
"""Half-widths of the 95 % interval of a normal distribution over its standard deviation."""
_ROUNDING = 1e-9
NOWHERE = -1
"""The target of what ends without anything taking its place."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast a sector grows without any action; an empty sector is every flow that no other row names.

    `rate` a year, as a fraction; `error`: half-width of its 95 % interval, as a fraction a year as well.
    """

    sector: str
    rate: float
    error: float
    source: str
    status: str

    @property
    def key(self) -> str:
        """The name of its error: scenarios that assume the same growth are wrong together."""
        return f"growth:{self.sector}:{self.rate!r}:{self.source}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What happens without any action: the months of `year` of the series `run` again and again, with growth.

    `factors`: `last` (a factor whose last official year is over holds on) or `dated` (then there is a gap, and it is said).
    """

    year: int
    run: str = "measured"
    factors: str = "last"
    growth: tuple[Growth, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What an asset changes in a flow once it runs: `amount` an hour, in the unit of the flow's amounts; `error`: relative half-width."""

    flow: str
    amount: float
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class Action:
    """One dated change; which fields count depends on `type` (see `mangrove.plan.actions`).

    Attributes:
        id, type, name: what it is.
        first: first day; ramp_to: the day on which a ramp is over; last: the day on which it ends again; ramp: `step`, `linear`, `s_curve`.
        flows: the flows that it works on, resolved from place, sector and flow.
        to: the flow that a switch leads to; share: of the stock; ratio: amount of `to` per amount that is moved.
        change: relative change of an activity; effects: absolute changes.
        factor: activity key of another factor; rows: dated factor rows of the derived territory.
        asset: id of an asset that comes or goes; kind, place, parameters: of one that comes.
        error, ratio_error: half-widths of the 95 % intervals of share, change or amounts, and of the ratio; relative.
        source, status: where the numbers come from; digest: of what the action says.
    """

    id: str
    type: str
    first: date
    name: str = ""
    last: date | None = None
    ramp: str = "step"
    ramp_to: date | None = None
    flows: tuple[str, ...] = ()
    to: str = ""
    share: float = 1.0
    ratio: float = 1.0
    change: float = 0.0
    effects: tuple[Effect, ...] = ()
    factor: str = ""
    rows: tuple[LocalFactor, ...] = ()
    asset: str = ""
    kind: str = ""
    place: str = ""
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    error: float = 0.0
    ratio_error: float = 0.0
    source: str = ""
    status: str = ""
    note: str = ""
    digest: str = ""
    where: Where | None = None

    @property
    def key(self) -> str:
        """The name of its errors: the same action in two scenarios is wrong in both."""
        return f"action:{self.id}:{self.digest[:16]}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file of dated actions that makes sense.

    Attributes:
        name: of the run `plan/<name>`; file: its name; digest: SHA-256 of what it says.
        first, last: calendar years, both counted; flows: flows that it needs beside the declared ones.
    """

    name: str
    title: str
    note: str
    file: str
    digest: str
    first: int
    last: int
    baseline: Baseline
    flows: tuple[Flow, ...] = ()
    actions: tuple[Action, ...] = ()

    @property
    def run(self) -> str:
        """The run of the ledger."""
        return f"plan/{self.name}"

    def span(self, territory: Territory) -> Span:
        """The whole horizon."""
        return Span.between(str(self.first), str(self.last + 1), territory.tz)


@dataclass(frozen=True, slots=True)
class Base:
    """The amounts of a base year: `amounts` (F, 12), NaN where there is no value; hours: (12,) of its months."""

    flows: tuple[str, ...]
    amounts: Floats
    hours: Floats


@dataclass(frozen=True, slots=True)
class Move:
    """A share of the stock of one flow that another one takes over; indices of flows and of the action."""

    action: int
    source: int
    target: int
    share: float
    ratio: float


class Pathway:
    """A scenario over a base year.

    Args:
        scenario: the actions.
        territory: the derived territory: every flow, also those that the scenario adds.
        base: amounts of the base year by flow; flows of the scenario itself begin at zero.

    Attributes:
        flows: ids, in the order of the rows of all amounts; starts: UTC starts of the months; hours: (T,) their lengths.
    """

    def __init__(self, scenario: Scenario, territory: Territory, base: Base) -> None:
        self.scenario, self.territory = scenario, territory
        span = scenario.span(territory)
        self.starts: list[datetime] = MONTH.starts(span, territory.tz)
        bounds = np.array([moment.timestamp() for moment in [*self.starts, span.end]])
        self.hours: Floats = np.diff(bounds) / 3600
        self.years = np.array([moment.astimezone(territory.tz).year for moment in self.starts])
        known = dict(zip(base.flows, base.amounts, strict=True))
        targets = {
            name for action in scenario.actions for name in (action.to, *(e.flow for e in action.effects))
        }
        own = {flow.id for flow in scenario.flows} | split_ids(scenario)
        self.flows = tuple(
            name
            for name in territory.flows
            if name in own | targets or np.isfinite(known.get(name, np.nan)).any()
        )
        self.index = {name: number for number, name in enumerate(self.flows)}
        none = np.zeros(12)
        yearly = np.array([np.nan_to_num(known.get(name, none)) for name in self.flows]).reshape(-1, 12)
        self.base: Floats = np.tile(yearly, scenario.last - scenario.first + 1)
        self.unmeasured = tuple(name for name in self.flows if name not in own and name not in known)
        self._levels = np.array([self._level(action, bounds) for action in scenario.actions]).reshape(
            -1, len(self.hours)
        )
        self._technologies = self._moves()
        self._order = self._sorted()
        self._meters = self._meter_errors()

    def amounts(
        self, active: Collection[int] | None = None, moved: str = "", *, strict: bool = False
    ) -> Floats:
        """The amounts (F, T) with the actions `active` (all when None), in the units of the flows' amounts.

        Args:
            active: positions in `scenario.actions`.
            moved: name of an error (see `errors`) that is one standard deviation up.
            strict: refuse shares above the stock and flows that fall below zero.

        Raises:
            RequestError: `scenario.too_much` or `scenario.negative`.
        """
        on = range(len(self.scenario.actions)) if active is None else sorted(active)
        stock = self._demand(on, moved)
        leaving = np.zeros_like(stock)
        by_source: dict[int, list[Move]] = {}
        for move in self._technologies:
            if move.action in on:
                by_source.setdefault(move.source, []).append(move)
        for source in self._order:
            for move in by_source.get(source, ()):
                part = self._share(move, moved) * self._levels[move.action]
                leaving[source] += part
                ratio = move.ratio * self._up(move.action, "ratio", moved)
                if move.target != NOWHERE:
                    stock[move.target] += part * ratio * stock[source]
        if strict:
            self._refuse(leaving, stock, on)
        stock *= 1 - leaving
        return self._by_factor(stock, on, moved, strict=strict)

    def errors(self) -> list[str]:
        """The names of all errors of the amounts: meters of the base year, growth, numbers of actions."""
        names: dict[str, None] = dict.fromkeys(self._meters)
        names |= dict.fromkeys(row.key for row in self.scenario.baseline.growth if row.error)
        for action in self.scenario.actions:
            if action.error or any(effect.error for effect in action.effects):
                names[f"{action.key}:size"] = None
            if action.ratio_error:
                names[f"{action.key}:ratio"] = None
        return list(names)

    # The algebra

    def _demand(self, on: Collection[int], moved: str) -> Floats:
        """Base x growth x scales + amounts."""
        demand = self.base * self._growth(moved)
        for name, deviation in self._meters.get(moved, {}).items():
            demand[self.index[name]] *= 1 + deviation
        for number in on:
            action = self.scenario.actions[number]
            if action.change:
                rows = [self.index[name] for name in action.flows if name in self.index]
                demand[rows] *= 1 + action.change * self._up(number, "size", moved) * self._levels[number]
        for number in on:
            action = self.scenario.actions[number]
            for effect in action.effects:
                error = effect.error or action.error
                up = 1 + error / SD if moved == f"{action.key}:size" else 1.0
                demand[self.index[effect.flow]] += effect.amount * up * self.hours * self._levels[number]
        return demand

    def _growth(self, moved: str) -> Floats:
        """(F, T) what the base is multiplied with."""
        baseline = self.scenario.baseline
        rows = {row.sector: row for row in baseline.growth}
        after = self.years - baseline.year
        found = np.ones((len(self.flows), len(after)))
        for number, name in enumerate(self.flows):
            row = rows.get(self.territory.flows[name].sector) or rows.get("")
            if row:
                found[number] = (1 + row.rate + (row.error / SD if moved == row.key else 0.0)) ** after
        return found

    def _share(self, move: Move, moved: str) -> float:
        return move.share * self._up(move.action, "size", moved)

    def _up(self, number: int, what: str, moved: str) -> float:
        """1, or one standard deviation more when this error is the one that is moved."""
        action = self.scenario.actions[number]
        error = action.ratio_error if what == "ratio" else action.error
        return 1 + error / SD if error and moved == f"{action.key}:{what}" else 1.0

    def _by_factor(self, stays: Floats, on: Collection[int], moved: str, *, strict: bool) -> Floats:
        """Takes what another factor counts out of each flow and gives it to the flow of that factor."""
        found = stays.copy()
        for number in on:
            action = self.scenario.actions[number]
            for name in action.flows if action.factor else ():
                if name not in self.index:
                    continue
                part = (
                    stays[self.index[name]]
                    * action.share
                    * self._up(number, "size", moved)
                    * self._levels[number]
                )
                found[self.index[name]] -= part
                found[self.index[split_id(name, action)]] += part
        if strict:
            self._refuse_factors(on)
        return found

    def _moves(self) -> list[Move]:
        return [
            Move(number, self.index[name], self.index[action.to] if action.to else NOWHERE, action.share, action.ratio)
            for number, action in enumerate(self.scenario.actions)
            if action.type in ("switch_technology", "retire_asset")
            for name in action.flows
            if name in self.index
        ]  # fmt: skip

    def _sorted(self) -> list[int]:
        """Flows in an order in which each comes after all that lead into it."""
        graph: dict[int, set[int]] = {}
        for move in self._technologies:
            graph.setdefault(move.target, set()).add(move.source)
        try:
            return [node for node in TopologicalSorter(graph).static_order() if node != NOWHERE]
        except CycleError as error:
            names = " -> ".join(self.flows[number] for number in reversed(error.args[1]))
            raise RequestError("scenario.circle", chain=names) from None

    def _level(self, action: Action, bounds: Floats) -> Floats:
        """(T,) the mean level of an action in every month."""
        first = datetime.combine(action.first, datetime.min.time(), self.territory.tz).timestamp()
        full = datetime.combine(
            action.ramp_to or action.first, datetime.min.time(), self.territory.tz
        ).timestamp()
        risen = np.array([_risen(moment, first, full, action.ramp) for moment in bounds])
        if action.last:
            end = datetime.combine(action.last, datetime.min.time(), self.territory.tz).timestamp()
            risen = np.minimum(risen, _risen(end, first, full, action.ramp))
        return np.diff(risen) / np.diff(bounds)

    def _meter_errors(self) -> dict[str, dict[str, float]]:
        """By meter: its flows with their relative standard deviations."""
        found: dict[str, dict[str, float]] = {}
        for name in self.flows:
            flow = self.territory.flows[name]
            if flow.uncertainty and self.base[self.index[name]].any():
                found.setdefault(f"meter:{flow.meter or flow.id}", {})[name] = flow.uncertainty / SD
        return found

    def _refuse(self, leaving: Floats, stock: Floats, on: Collection[int]) -> None:
        over = np.argwhere(leaving > 1 + _ROUNDING)
        if len(over):
            row, month = over[0]
            data: dict[str, Any] = {
                "flow": self.flows[row],
                "month": self._month(month),
                "percent": f"{100 * leaving[row, month]:.1f}",
            }
            names = {
                self.scenario.actions[m.action].id
                for m in self._technologies
                if m.source == row and m.action in on
            }
            raise RequestError("scenario.too_much", actions=", ".join(sorted(names)), **data)
        sinks = self.base < 0  # growing forests, for example: what is negative before may stay so
        below = np.argwhere((stock < -_ROUNDING * np.maximum(np.abs(self.base), 1.0)) & ~sinks)
        if len(below):
            row, month = below[0]
            raise RequestError("scenario.negative", flow=self.flows[row], month=self._month(month))

    def _refuse_factors(self, on: Collection[int]) -> None:
        total: dict[str, Floats] = {}
        for number in on:
            action = self.scenario.actions[number]
            for name in action.flows if action.factor else ():
                total[name] = total.get(name, np.zeros(len(self.hours))) + action.share * self._levels[number]
        for name, share in total.items():
            if (share > 1 + _ROUNDING).any():
                month = int(np.argmax(share > 1 + _ROUNDING))
                said: dict[str, Any] = {
                    "flow": name,
                    "month": self._month(month),
                    "percent": f"{100 * share[month]:.1f}",
                }
                names = sorted(a.id for a in self.scenario.actions if a.factor and name in a.flows)
                raise RequestError("scenario.too_much", actions=", ".join(names), **said)

    def _month(self, month: int) -> str:
        return f"{self.starts[month].astimezone(self.territory.tz):%Y-%m}"


def split_id(flow: str, action: Action) -> str:
    """The id of the flow that holds the part of `flow` which an action counts with another factor."""
    return f"{flow}~{action.id}"


def split_ids(scenario: Scenario) -> set[str]:
    """The ids of all such flows."""
    return {split_id(flow, action) for action in scenario.actions if action.factor for flow in action.flows}


def _risen(moment: float, first: float, full: float, ramp: str) -> float:
    """The integral of the level from the beginning to `moment`, in seconds.

    Linear: l = x. S-curve: l = 3 x^2 - 2 x^3, with x from 0 at `first` to 1 at `full`; both then stay at 1.
    """
    length = full - first
    if moment <= first:
        return 0.0
    if length <= 0 or ramp == "step":
        return moment - first
    x = min((moment - first) / length, 1.0)
    inside = x * x / 2 if ramp == "linear" else x**3 - x**4 / 2
    return length * inside + max(moment - full, 0.0)
