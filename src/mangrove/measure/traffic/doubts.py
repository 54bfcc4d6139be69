# SPDX-License-Identifier: Apache-2.0
"""The errors of traffic's values: kept with the record when values are stored, and given to every measurement that reads them.

Comes in: amounts with their errors and the curves they were made with; later a plan and the ledger. Goes out: for each flow that takes
results the standard deviations of its amount by what shares them, and a `Plan` with `Doubt`s. The error of a curve is one for all streets,
wards and hours of a class of vehicles, so it does not average out in a city; what counts and streets add is of each flow, that of
streets nobody counts is shared. Hours of one flow are taken as moving together, so that no interval is too narrow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove.errors import LedgerError
from mangrove.ledger import Ledger
from mangrove.ledger.types import HAPPENED, BatchInfo
from mangrove.measure.plan import TRAFFIC, Doubt, Plan
from mangrove.measure.traffic.streets import Floats
from mangrove.traffic.emissions import Amounts, Factors

if TYPE_CHECKING:
    from mangrove.measure.traffic.store import Target

PARAMETER = "vehicles"
"""A flow with this parameter takes what vehicles do at its place."""
MODEL = "traffic"
RECORD = "record:"
MOST_RECORDS = 64
"""Records that are read for one measurement; of more, as many are taken evenly: shares of classes change little from hour to hour."""
_DIGITS = 6


def of_targets(
    amounts: Amounts, factors: Factors, taking: Sequence[Target], weights: Floats
) -> dict[str, dict[str, Any]]:
    """What the record keeps for each flow that takes a pollutant: amount, shift and standard deviations, g (kWh).

    Args:
        amounts: of all cells.
        factors: with which they were made.
        taking: the flows.
        weights: (Z, L) share of each link in the place of each.
    """
    mass, own = amounts.mass.sum(axis=0), amounts.own.sum(axis=0)
    link = amounts.link.sum(axis=0)
    shared = None if amounts.shared is None else amounts.shared.sum(axis=0)
    found = {}
    for one, weight in zip(taking, weights, strict=True):
        p, classes = one.pollutant, list(one.classes)
        amount = weight @ mass[:, :, p]
        total = float(amount[classes].sum()) if p >= 0 else 0.0
        if total <= 0:
            continue
        part = total / float(amount.sum())
        doubts = {}
        shift = 0.0
        for c in classes:
            curve = factors.curves[c][p]
            if curve and amount[c] > 0:
                shift += float(amount[c]) * (curve.mean - 1)
                name = f"traffic:{curve.vehicle}/{'CO2' if curve.pollutant == 'fuel' else curve.pollutant}"
                doubts[name] = float(amount[c]) * curve.spread
        doubts[f"traffic:{one.flow.id}"] = part * math.sqrt(float(weight**2 @ (own[:, p] + link[:, p] ** 2)))
        if shared is not None:
            doubts["traffic:uncounted"] = part * float(weight @ shared[:, p])
        found[one.flow.id] = {
            "amount": _short(total),
            "shift": _short(shift),
            "sd": {name: _short(value) for name, value in doubts.items()},
        }
    return found


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def with_doubts(plan: Plan, ledger: Ledger, cut: int) -> Plan:
    """The plan with the errors of the values that traffic stored; unchanged where none were asked for.

    Args:
        plan: of a measurement.
        ledger: open.
        cut: the last batch that counts.
    """
    if plan.question.run not in (TRAFFIC, *HAPPENED):
        return plan
    flows = [flow.id for flow in plan.flows.values() if PARAMETER in flow.parameters]
    if not flows or not cut:
        return plan
    span = plan.question.span
    with ledger.snapshot(cut=cut) as snapshot:
        batches = snapshot.lineage([plan.series(name) for name in flows], span.start, span.end)
    kept, known = _documents(ledger, batches)
    return replace(plan, doubts=tuple(_doubts(flows, kept, known))) if kept else plan


def _documents(
    ledger: Ledger, batches: Sequence[BatchInfo]
) -> tuple[list[tuple[float, Mapping[str, Any]]], float]:
    """What each record keeps of errors with its weight, and the share of all values that rest on any.

    The weight is how many values rest on a record, for each cell of its own.
    """
    rests: dict[str, float] = {}
    for one in batches:
        for name in one.inputs:
            if name.startswith(RECORD) and one.used and one.model == MODEL:
                rests[name] = rests.get(name, 0.0) + one.used
    names = list(rests)
    if len(names) > MOST_RECORDS:
        names = [names[at] for at in np.linspace(0, len(names) - 1, MOST_RECORDS).astype(int)]
    found = []
    for name in names:
        try:
            document = json.loads(ledger.record(name.removeprefix(RECORD))[1])
        except (
            LedgerError
        ):  # values were copied without their records: the measurement notes what states no error
            continue
        if isinstance(document.get("doubts"), dict):
            found.append((rests[name] / max(document["cells"], 1), document["doubts"]))
    return found, sum(rests.values()) / max(sum(one.used for one in batches), 1)


def _doubts(
    flows: Sequence[str], kept: Sequence[tuple[float, Mapping[str, Any]]], known: float
) -> list[Doubt]:
    """Errors of each flow relative to its amount over all records, each counting by its amount."""
    found = []
    for flow in flows:
        sums: dict[str, float] = {}
        amount = shift = 0.0
        for weight, document in kept:
            one = document.get(flow)
            if one is None:
                continue
            amount += weight * one["amount"]
            shift += weight * one["shift"]
            for name, sd in one["sd"].items():
                sums[name] = sums.get(name, 0.0) + weight * sd
        for number, (name, sd) in enumerate(sums.items()):
            moved = known * shift / amount if not number else 0.0
            found.append(Doubt(flow, name, known * sd / amount, moved))
    return found
