# SPDX-License-Identifier: Apache-2.0
"""The closed loop: step by step a controller decides, simulated devices act on the measured load, and the state moves on.

Comes in: a site, measured series, prices and a controller (a rule, or the rolling plan with its safe rule). Goes out: a `Course`: what
was drawn, sold, generated and charged in each step, and when and why the safe rule took over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, MangroveError, RequestError
from mangrove.operate.execute import Done, Orders, Plant
from mangrove.operate.outlook import Grid, Outlook
from mangrove.operate.plan import Plan, Planner
from mangrove.operate.prices import Prices
from mangrove.operate.rules import Rule, View, highest_so_far
from mangrove.operate.safe import safe_rule, why
from mangrove.operate.site import Site
from mangrove.operate.state import SECOND, Session, State
from mangrove.operate.units import FLEXIBLE

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Told the name of a policy, the steps that are done and the steps in all."""


class Controller(Protocol):
    """Decides what the devices of a site do in a step."""

    name: str

    def decide(self, view: View) -> Orders:
        """The orders for the step that begins now."""


@dataclass
class ByRule:
    """A rule as a controller."""

    site: Site
    name: str
    rule: Rule

    def decide(self, view: View) -> Orders:
        """What the rule says."""
        return self.rule(self.site, view)


@dataclass
class ByPlan:
    """The rolling plan as a controller; when a plan cannot be made the safe rule takes over for the step.

    Attributes:
        planner, outlook: how it plans, and from what.
        name: in reports; every: steps between two plans.
        seconds: of computation that each plan took.
    """

    planner: Planner
    outlook: Outlook
    name: str = "plan"
    every: int = 1
    seconds: list[float] = field(default_factory=list)
    plan: Plan | None = None
    _age: int = 0

    def decide(self, view: View) -> Orders:
        """The set-points of a new plan, or those that the last one has for this step."""
        if self.plan is not None and 0 < self._age < self.every:
            step, self._age = self._age, self._age + 1
            return self._orders(view, step)
        began = time.perf_counter()
        try:
            self.plan = self.planner.replan(view.state, self.outlook(view.state.at))
        except MangroveError as error:
            self.plan, self._age = None, 0
            return safe_rule(self.planner.site, view, why(error))
        self.seconds.append(time.perf_counter() - began)
        self._age = 1
        return self._orders(view, 0)

    def _orders(self, view: View, step: int) -> Orders:
        """The orders of the last plan for a step of it, with what the fast loop needs to act on what was not foreseen."""
        plan, prices = self.plan, self.planner.prices
        assert plan is not None
        at = prices.index(view.state.at)
        worth = {id_: float(money[plan.lead + step]) for id_, money in plan.worth.items()}
        paid = view.state.allowance is None or view.state.allowance > 0
        buy, sell = (
            float(prices.buy[at]) + self.planner.options.carbon,
            float(prices.sell[at]) if paid else 0.0,
        )
        return Orders(plan.orders(step), plan.ceiling(step), worth=worth, buy=buy, sell=sell)


@dataclass(eq=False)
class Course:
    """What happened over the T steps of a run; kW where nothing else is said.

    Attributes:
        name: of the controller; steps: how many of the T are done.
        load, available: measured; imported, exported, generated, overload: at the connection.
        powers: by battery, positive charges; levels: kWh at the end of each step, by battery.
        delivered: kWh into vehicles; missing: kWh that vehicles lacked when they left, in the step of leaving.
        start: kWh in each battery at the beginning.
        takeovers: reason -> steps in which the safe rule ruled.
        planning: (n,) seconds of each plan.
        bought: units per hour by carrier that is bought beside electricity; lacking: by carrier, what no unit could give.
        electric: kW that the units drew from the bus.
        paid: money to drivers for what their vehicles gave.
    """

    name: str
    load: Floats
    available: Floats
    start: Mapping[str, float]
    steps: int = 0
    imported: Floats = field(init=False)
    exported: Floats = field(init=False)
    generated: Floats = field(init=False)
    overload: Floats = field(init=False)
    delivered: Floats = field(init=False)
    missing: Floats = field(init=False)
    powers: dict[str, Floats] = field(init=False)
    levels: dict[str, Floats] = field(init=False)
    takeovers: dict[str, int] = field(default_factory=dict)
    bought: dict[str, Floats] = field(default_factory=dict)
    lacking: dict[str, Floats] = field(default_factory=dict)
    electric: Floats = field(init=False)
    paid: Floats = field(init=False)
    planning: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        steps = len(self.load)
        for name in (
            "imported",
            "exported",
            "generated",
            "overload",
            "delivered",
            "missing",
            "electric",
            "paid",
        ):
            setattr(self, name, np.zeros(steps))
        self.powers = {id_: np.zeros(steps) for id_ in self.start}
        self.levels = {id_: np.zeros(steps) for id_ in self.start}

    def note(self, step: int, done: Done, orders: Orders, levels: Mapping[str, float]) -> None:
        """Writes one step down."""
        self.imported[step], self.exported[step] = done.imported, done.exported
        self.generated[step], self.overload[step] = done.generated, done.overload
        self.delivered[step], self.paid[step] = sum(done.delivered.values()), done.paid
        for id_, power in done.powers.items():
            self.powers[id_][step] = power
        for id_, level in levels.items():
            self.levels[id_][step] = level
        if done.worked is not None:
            self.electric[step] = done.worked.electric
            rates = [(self.bought, done.worked.bought), (self.lacking, done.worked.lacking)]
            for known, given in (*rates, (self.powers, done.worked.powers)):
                for id_, rate in given.items():
                    known.setdefault(id_, np.zeros(len(self.load)))[step] = rate
        if orders.reason:
            self.takeovers[orders.reason] = self.takeovers.get(orders.reason, 0) + 1
        self.steps = step + 1


def run(
    site: Site,
    measured: Grid,
    prices: Prices,
    controller: Controller,
    *,
    plant: Plant | None = None,
    sessions: Sequence[Session] = (),
    announce: float = 24.0,
    progress: Progress | None = None,
) -> Course:
    """Runs a controller over measured series.

    Args:
        site: what is operated.
        measured: the series of `site.inputs`, without gaps, from a whole window of the demand meter on.
        prices: cover the measured steps.
        controller: see `Controller`.
        plant: the simulated devices; those declared, at their floor, when left out.
        sessions: vehicles.
        announce: hours before arrival at which a vehicle is known.
        progress: told after every day; an interrupt (Ctrl-C) keeps what is done so far.

    Raises:
        DataQualityError: `operate.gap`. RequestError: `operate.no_series`, `operate.not_a_window`.
    """
    load, available = series(site, measured, prices)
    plant = plant or Plant(site)
    course = Course(controller.name, load, available, plant.levels)
    first = prices.index(measured.start)
    highest = highest_so_far(load - available)
    coming = sorted(sessions, key=lambda one: (one.arrive, one.id))
    known = 0
    allowance = None if prices.cap is None else 0.0
    state = State(measured.start, plant.levels, month=int(prices.month[first]), allowance=allowance)
    day = max(86_400 // measured.seconds, 1)
    try:
        for step in range(measured.steps):
            heard = state.at + round(announce * 3600) * SECOND
            fresh = known
            while known < len(coming) and coming[known].arrive <= heard:
                known += 1
            if known > fresh:
                state = _with(state, coming[fresh:known])
            at = first + step
            view = View(
                state,
                measured.seconds,
                float(load[step]),
                float(available[step]),
                int(prices.period[at]),
                float(highest[step]),
            )
            orders = controller.decide(view)
            done = plant.step(
                state.at, measured.seconds, view.load, view.generated, orders, state.sessions,
                needs={need.name: float(measured.values[need.name][step]) for need in site.needs},
                price=float(prices.buy[at]),
            )  # fmt: skip
            course.note(step, done, orders, plant.levels)
            state = _next(state, done, prices, at, course)
            state = replace(state, levels=plant.levels)
            if progress and (step + 1) % day == 0:
                progress(controller.name, step + 1, measured.steps)
    except KeyboardInterrupt:
        pass
    if isinstance(controller, ByPlan):
        course.planning = np.array(controller.seconds)
    return course


def series(site: Site, measured: Grid, prices: Prices) -> tuple[Floats, Floats]:
    """(T,) kW of load and of all own generation, checked."""
    if site.stations:
        raise RequestError("operate.no_station_loop", ids=", ".join(one.id for one in site.stations))
    flexible = [unit.id for unit in site.units if unit.kind in FLEXIBLE]
    if flexible:
        raise RequestError("operate.no_flexible_loop", ids=", ".join(flexible))
    for name in site.inputs:
        if name not in measured.values:
            raise RequestError("operate.no_series", name=name, known=", ".join(measured.values) or "-")
        bad = ~np.isfinite(measured.values[name])
        if bad.any():
            at = measured.starts[int(np.argmax(bad))]
            raise DataQualityError("operate.gap", name=name, count=int(bad.sum()), at=str(at))
    length = prices.window * measured.seconds
    if measured.seconds != prices.seconds or int(measured.start.astype(np.int64)) % length:
        raise RequestError("operate.not_a_window", start=str(measured.start), minutes=length // 60)
    load, *own = (measured.values[name] for name in site.inputs)
    available = np.zeros(measured.steps)
    for one, generator in zip(own, site.generators, strict=False):
        available += np.clip(one, 0.0, generator.capacity)
    return load, available


def _with(state: State, sessions: Sequence[Session]) -> State:
    """The state with more announced vehicles."""
    return replace(state, sessions=(*state.sessions, *sessions))


def _next(state: State, done: Done, prices: Prices, at: int, course: Course) -> State:
    """The state after a step; what leaving vehicles lack is written down."""
    until = state.at + prices.seconds * SECOND
    for one in state.sessions:
        if one.depart <= until:
            lacking = one.energy - one.delivered - done.delivered.get(one.id, 0.0)
            course.missing[course.steps - 1] += max(lacking, 0.0)
    grown = 0.0
    if prices.cap is not None:
        grown = (float(prices.cap[at]) * done.generated - done.exported) * prices.hours
    after = state.after(
        until,
        done.imported,
        int(prices.month[at]),
        window=prices.window,
        levels=state.levels,
        delivered=done.delivered,
        allowance=grown,
    )
    turned = prices.cap is not None and at + 1 < len(prices.year) and prices.year[at + 1] != prices.year[at]
    if turned:
        return replace(after, allowance=0.0)
    return after
