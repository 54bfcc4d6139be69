# SPDX-License-Identifier: Apache-2.0
"""From a measurement to the cells that official tables add up.

Comes in: a plan and its store. Goes out: one `Cell` per flow, gas, account and view of the span, with its standard deviation and
the rules behind it. All official tables are sums of these cells, so they agree with each other and with every view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from mangrove.measure import plan as plans
from mangrove.measure.cells import Cell
from mangrove.measure.question import ACCOUNTS, BOTH_VIEWS
from mangrove.measure.result import Emissions
from mangrove.rules.types import STATUSES

if TYPE_CHECKING:
    from mangrove.measure.plan import Line
    from mangrove.rules import Rules


def cells_of(result: Emissions, rules: Rules) -> list[Cell]:
    """The cells of the whole span of a measurement, in all accounts and both views of purchased electricity.

    `activity` is the whole amount of the flow, the same on each of its cells.
    """
    everything = in_accounts(result, rules, ACCOUNTS, view=BOTH_VIEWS)
    plan = everything.plan
    variances: dict[int, float] = {}
    for number, _, deviation in plan.errors():
        variances[number] = variances.get(number, 0.0) + deviation**2
    amounts = {count.flow: count.amount for count in everything.flows}
    cells = []
    for leaf in everything.leaves:
        flow, line = plan.flows[leaf.flow], plan.lines[leaf.line]
        relative = variances.get(leaf.line)
        cells.append(
            Cell(
                flow=flow.id,
                place=flow.place,
                gas=leaf.gas,
                kg=leaf.kg,
                sd=None if relative is None else abs(leaf.kg) * sqrt(relative),
                scope=flow.scope,
                sector=flow.sector,
                gpc=flow.gpc,
                category=flow.category,
                account=leaf.account,
                view=line.view,
                activity=amounts[flow.id],
                activity_unit=plan.amount_unit(flow.id),
                factor_ids=tuple(dict.fromkeys(term.factor.id for term in line.terms if term.factor)),
                status=weakest_status(line),
                note=line.note,
            )
        )
    return cells


def in_accounts(result: Emissions, rules: Rules, accounts: Sequence[str], *, view: str = "") -> Emissions:
    """The same question on the same values, for other accounts (and another view of purchased electricity)."""
    old = result.plan.question
    question = replace(old, by=(), every=None, accounts=tuple(accounts), view=view or old.view)
    plan = replace(plans.build(result.plan.territory, rules, question), doubts=result.plan.doubts)
    return Emissions(plan, result.folder, result.cut)


def weakest_status(line: Line) -> str:
    """The weakest status among the rules of a line; empty when no rule enters it."""
    ranks = [STATUSES.index(term.factor.status) for term in line.terms if term.factor]
    return STATUSES[max(ranks)] if ranks else ""


def calorific_values(result: Emissions) -> dict[str, float]:
    """TJ per unit of every fuel flow, from the terms that its coefficients really used (kg CO2 per unit over kg CO2/TJ)."""
    found = {}
    for line in result.plan.lines:
        for term in line.terms:
            if (
                term.factor
                and term.factor.gas == "CO2"
                and term.unit.replace(" ", "").endswith("/TJ")
                and term.value
            ):
                found[line.flow] = line.kg / term.value
    return found
