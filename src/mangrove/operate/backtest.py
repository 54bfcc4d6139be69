# SPDX-License-Identifier: Apache-2.0
"""A year in closed loop: what a rolling plan would have cost, beside perfect foresight and beside the rules that people use.

Comes in: a site, measured series, a contract and an outlook. Goes out: a `Backtest`: one account a policy, the regret of each against
perfect foresight, and a table by month. Every policy acts on the same simulated devices and is billed by the same contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mangrove.errors import RequestError, did_you_mean
from mangrove.operate.account import Account, Rates, settle
from mangrove.operate.execute import Plant
from mangrove.operate.loop import ByPlan, ByRule, Controller, Course, Progress, run
from mangrove.operate.outlook import Grid, Outlook, persistence
from mangrove.operate.perfect import perfect_foresight
from mangrove.operate.plan import Options, Planner
from mangrove.operate.prices import Prices
from mangrove.operate.rules import RULES, Rule
from mangrove.operate.site import Battery, Site
from mangrove.operate.state import Session
from mangrove.operate.units import Unit

if TYPE_CHECKING:
    import pyarrow as pa

DAY = 86_400
PLAN, PERFECT = "plan", "perfect"


@dataclass(frozen=True, eq=False)
class Backtest:
    """The accounts of all policies over one span.

    Attributes:
        accounts: by policy: `plan`, the rules, `perfect`.
        courses: what happened in each step, by policy.
        complete: whether every policy ran to the end; after an interrupt all are billed for the steps that all have.
    """

    accounts: Mapping[str, Account]
    courses: Mapping[str, Course]
    complete: bool

    def regret(self, name: str = PLAN) -> float:
        """Money that a policy cost above perfect foresight; NaN when that was not computed."""
        if PERFECT not in self.accounts:
            return float("nan")
        return self.accounts[name].cost - self.accounts[PERFECT].cost

    def share_reached(self, name: str = PLAN, base: str = "no_storage") -> float:
        """How much of the greatest possible saving against `base` a policy reached; NaN when nothing can be saved."""
        if PERFECT not in self.accounts or base not in self.accounts:
            return float("nan")
        possible = self.accounts[base].cost - self.accounts[PERFECT].cost
        return (
            (self.accounts[base].cost - self.accounts[name].cost) / possible if possible > 0 else float("nan")
        )

    def to_arrow(self) -> pa.Table:
        """One row a policy and month: policy, month, cost, imported, exported, generated, peak, emissions."""
        import pyarrow as pa

        rows = [(name, month) for name, account in self.accounts.items() for month in account.months]
        columns = ("cost", "imported", "exported", "generated", "peak", "emissions")
        return pa.table(
            {
                "policy": pa.array([name for name, _ in rows], pa.string()),
                "month": pa.array([month.name for _, month in rows], pa.string()),
                **{
                    name: pa.array([getattr(month, name) for _, month in rows], pa.float64())
                    for name in columns
                },
            }
        )


@dataclass(frozen=True, slots=True)
class Setup:
    """How devices behave in a back-test, which a plan may not know.

    Attributes:
        levels: kWh in the batteries and stores of heat (kg in those of hydrogen) at the beginning.
        ramp: largest change of a set-point, kW a step.
        batteries: what the batteries really are, where that is not what is declared.
        sessions: vehicles; announce: hours before arrival at which one is known.
        every: steps between two plans.
        units: what boilers, heat pumps and stores really are, where that is not what is declared.
    """

    levels: Mapping[str, float] | None = None
    ramp: float = float("inf")
    batteries: Sequence[Battery] = ()
    sessions: Sequence[Session] = ()
    announce: float = 24.0
    every: int = 1
    units: Sequence[Unit] = ()


def backtest(
    site: Site,
    measured: Grid,
    rates: Rates,
    *,
    outlook: Outlook | None = None,
    options: Options | None = None,
    setup: Setup | None = None,
    rules: Sequence[str] | Mapping[str, Rule] = tuple(RULES),
    foresight: bool = True,
    progress: Progress | None = None,
) -> Backtest:
    """Runs the rolling plan, the rules and perfect foresight over measured series.

    Args:
        site: what is operated.
        measured: the series of `site.inputs`, kW, without gaps.
        rates: contract, clock, emission factor and carbon price.
        outlook: what the plan expects at each moment; persistence when left out.
        options: of the plan.
        setup: of the devices.
        rules: names of `RULES`, or rules by name.
        foresight: whether perfect foresight is computed; without it there is no regret.
        progress: told the policy, the steps done and the steps in all, after every day.

    Raises:
        RequestError, DataQualityError: see `mangrove.operate.loop.run`; `operate.unknown_rule`.
    """
    options = options or Options(seconds=measured.seconds, carbon=rates.per_kwh)
    setup = setup or Setup()
    ahead = int(options.horizon * 3600 // measured.seconds) + 1
    prices = Prices.of(rates.contract, measured.start, measured.steps + ahead, measured.seconds, rates.tz)
    if outlook is None:
        outlook = _persistence(site, measured, options)
    controllers: list[Controller] = [ByPlan(Planner(site, prices, options), outlook, PLAN, setup.every)]
    controllers += [ByRule(site, name, rule) for name, rule in _chosen(rules).items()]
    courses: dict[str, Course] = {}
    for controller in controllers:
        plant = Plant(
            site, batteries=setup.batteries, levels=setup.levels, ramp=setup.ramp, units=setup.units
        )
        courses[controller.name] = run(
            site, measured, prices, controller, plant=plant, sessions=setup.sessions, announce=setup.announce,
            progress=progress,
        )  # fmt: skip
        if courses[controller.name].steps < measured.steps:
            break
    done = min(course.steps for course in courses.values())
    if foresight and done:
        with suppress(KeyboardInterrupt):
            courses[PERFECT] = perfect_foresight(
                site, measured, prices, levels=dict(courses[PLAN].start), sessions=setup.sessions,
                carbon=rates.per_kwh, steps=done,
            )  # fmt: skip
    for course in courses.values():
        course.steps = done
    accounts = {name: settle(site, course, prices, rates, measured.start) for name, course in courses.items()}
    complete = done == measured.steps and len(courses) == len(controllers) + foresight
    return Backtest(accounts, courses, complete)


def _persistence(site: Site, measured: Grid, options: Options) -> Outlook:
    """The outlook of somebody without a forecast: last week's load, yesterday's sun."""
    own = dict.fromkeys(site.generation, DAY)
    steps = int(options.horizon * 3600 // measured.seconds)
    return persistence(measured, steps, scenarios=options.scenarios, seasons=own)


def _chosen(rules: Sequence[str] | Mapping[str, Rule]) -> dict[str, Rule]:
    """Rules by name."""
    if isinstance(rules, Mapping):
        return dict(rules)
    for name in rules:
        if name not in RULES:
            raise RequestError(
                "operate.unknown_rule", name=name, hint=did_you_mean(name, RULES), options=", ".join(RULES)
            )
    return {name: RULES[name] for name in rules}


__all__: Sequence[Any] = ("Backtest", "Setup", "backtest")
