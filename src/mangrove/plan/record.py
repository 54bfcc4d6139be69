# SPDX-License-Identifier: Apache-2.0
"""The plan in the ledger: its year as values of the declared flows, and the result as a record.

Comes in: a `Sizing` and an open ledger. Goes out: batches under the run `plan/<name>`, so that `measure(park, year,
run="plan/<name>")` gives the emissions of the plan by the same formula as those of the meters; and a record with what was
asked and what came out, found again by its id.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.ledger import Ledger, Origin, Receipt
from mangrove.plan.problem import Case, Floats
from mangrove.plan.result import Effort, Sizing
from mangrove.territory.model import Flow, Territory

KIND = "plan"
MODEL = "plan/size"


def store(ledger: Ledger, territory: Territory, sizing: Sizing) -> tuple[str, Receipt | None]:
    """Writes the planned year and the record.

    Args:
        ledger: open for writing; territory: says the unit and step of each flow.
        territory: see `ledger`.
        sizing: the result.

    Returns:
        The id of the record, and the receipt of the values; None when the case names no declared flow.

    Raises:
        LedgerError: the store refuses.
    """
    text = json.dumps(document(sizing), sort_keys=True, ensure_ascii=False, allow_nan=False)
    record = ledger.put_record(KIND, text.encode())
    table = values(territory, sizing)
    if table is None:
        return record, None
    run = f"plan/{sizing.case.name}"
    origin = Origin(
        "model:plan",
        f"{run}:{record}",
        run,
        MODEL,
        version("mangrove"),
        (inputs_hash(sizing.case),),
        sizing.case.name,
    )
    return record, ledger.append(table, origin)


def values(territory: Territory, sizing: Sizing) -> pa.Table | None:
    """Rows (flow, start, value) of the planned year, each in the unit and step of its flow; None when there are none."""
    case, parts = sizing.case, []
    for flow, streams in metered(case):
        known = [
            sizing.after.series[name] * factor for name, factor in streams if name in sizing.after.series
        ]
        if flow in territory.flows and known:
            rates = np.maximum(np.sum(known, axis=0), 0.0)
            starts, found = _in_step(territory.flows[flow], case, rates)
            parts.append(
                pa.table(
                    {
                        "flow": pa.array([flow] * len(starts), pa.string()),
                        "start": pa.array(starts.astype("datetime64[us]").astype(np.int64)).cast(
                            pa.timestamp("us", tz="UTC")
                        ),
                        "value": pa.array(found, pa.float64()),
                    }
                )
            )
    return pa.concat_tables(parts) if parts else None


def metered(case: Case) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Declared flows of a case: (flow, streams of the result with the amount of the flow per unit of each)."""
    for supply in case.supplies:
        for role, flow in supply.flows.items():
            yield flow, [(supply.name if role == "import" else f"{supply.name} {role}", 1.0)]
    for one in case.candidates:
        for role, flow in one.flows.items():
            yield flow, [(f"{one.name} {role}" if role in {"charge", "discharge"} else one.name, 1.0)]
    for asset in case.assets:
        yield from asset.metered()


def _in_step(flow: Flow, case: Case, rates: Floats) -> tuple[npt.NDArray[np.datetime64], Floats]:
    """Starts and values of (T,) rates at the step of the flow where one is a multiple of the other, else at that of the case."""
    own = flow.step.seconds / 3600 if flow.step is not None and flow.step.seconds else case.hours
    starts, hours = case.starts, case.hours
    finer, coarser = case.hours / own, own / case.hours
    if finer > 1 and finer == round(finer):
        rates, hours = np.repeat(rates, round(finer)), own
        starts = np.repeat(starts, round(finer)) + np.tile(
            np.arange(round(finer)) * np.timedelta64(round(own * 3600), "s"), case.steps
        )
    elif coarser > 1 and coarser == round(coarser) and case.steps % round(coarser) == 0:
        rates, hours = rates.reshape(-1, round(coarser)).mean(axis=1), own
        starts = starts[:: round(coarser)]
    if flow.semantics in {"mean", "state"}:
        for canonical in ("kW", "kg/h", "m3/h"):
            if flow.unit.converts_to(canonical):
                return starts, rates / flow.unit.to(canonical)
    for canonical in ("kWh", "kg", "m3"):
        if flow.unit.converts_to(canonical):
            return starts, rates * hours / flow.unit.to(canonical)
    return starts, rates * hours


def inputs_hash(case: Case) -> str:
    """SHA-256 of every number and series that the problem consists of."""
    digest = hashlib.sha256()
    for whose, what, given in case.series():
        digest.update(f"{whose}/{what}".encode())
        digest.update(np.ascontiguousarray(given, dtype=np.float64).tobytes())
    digest.update(json.dumps(_asked(case), sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _asked(case: Case) -> dict[str, Any]:
    """What was asked, without the series."""
    return {
        "name": case.name,
        "start": str(case.start),
        "hours": case.hours,
        "steps": case.steps,
        "money": asdict(case.money),
        "carbon": case.carbon,
        "limits": asdict(case.limits),
        "outages": [asdict(outage) for outage in case.outages],
        "sizes": {name: _finite(asdict(size)) for name, size in case.sizes().items()},
        "assumed": [{"row": one.row, "value": one.value, "status": one.status} for one in case.assumed],
        "supplies": [supply.name for supply in case.supplies],
        "assets": {one.name: {"type": one.kind, **one.values.document()} for one in case.assets},
        "notes": [one.text() for one in case.notes],
    }


def document(sizing: Sizing) -> dict[str, Any]:
    """The question and the answer as plain data; numbers that do not exist are None."""
    flow = sizing.flow
    return {
        "question": {**_asked(sizing.case), "inputs": inputs_hash(sizing.case)},
        "sizes": dict(sizing.sizes),
        "built": sizing.built,
        "cost": sizing.cost,
        "cost_before": _number(sizing.cost_before),
        "npv": _number(sizing.npv),
        "irr": _number(flow.irr.rate) if flow is not None else None,
        "irr_reason": flow.irr.reason if flow is not None else "",
        "payback": _number(flow.payback) if flow is not None else None,
        "discounted_payback": _number(flow.discounted_payback) if flow is not None else None,
        "lcoe": _finite(sizing.lcoe),
        "emissions": sizing.after.emissions,
        "emissions_before": sizing.before.emissions if sizing.before is not None else None,
        "energy": dict(sizing.after.energy),
        "energy_before": dict(sizing.before.energy) if sizing.before is not None else None,
        "worth": [asdict(one) for one in sizing.worth],
        "relaxed": [
            {"name": one.name, "tier": one.tier, "amount": one.amount, "first": one.first, "last": one.last}
            for one in sizing.relaxed
        ],
        "preview": _preview(sizing),
        "solver": _effort(sizing.effort),
        "exact": sizing.exact,
    }


def _effort(effort: Effort) -> dict[str, Any]:
    """How an answer was found, without the time that it took: the same question has the same record."""
    return {key: value for key, value in asdict(effort).items() if key != "seconds"}


def _preview(sizing: Sizing) -> dict[str, Any] | None:
    """The answer of the typical days."""
    one = sizing.preview
    if one is None:
        return None
    return {
        "days": one.days,
        "sizes": dict(one.sizes),
        "estimate": one.estimate,
        "cost": one.cost,
        "error": _number(one.error),
        "solver": _effort(one.effort),
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _finite(data: dict[str, Any]) -> dict[str, Any]:
    """The same data with None for numbers that JSON does not have."""
    return {key: (_number(value) if isinstance(value, float) else value) for key, value in data.items()}
