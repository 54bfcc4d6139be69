# SPDX-License-Identifier: Apache-2.0
"""What is kept of verified exchanges: a record of kind `exchanges`, and the reconciled amounts as the run `estimate/exchanges`.

Comes in: a `Verified` and a ledger open for writing. Goes out: the id of the record. The record holds every number with what it rests on:
the cut of the ledger and its chain, batches, hashes of declaration, rules and factor rows.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mangrove.ledger import Ledger, Origin, Quality
from mangrove.measure.plan import is_rate
from mangrove.measure.symbiosis.types import Figure, Row, Saving
from mangrove.territory.model import Flow
from mangrove.territory.symbiosis import amount_unit
from mangrove.units import unit

if TYPE_CHECKING:
    from mangrove.measure.symbiosis.verify import Verified

KIND = "exchanges"
RUN = "estimate/exchanges"
MODEL, VERSION = "exchange balance", "1"


def write(ledger: Ledger, made: Verified) -> str:
    """Stores the record, then the reconciled amounts with it as an input; returns the record's id.

    Verified again with nothing new but batches that no exchange rests on, the newest record stands.
    """
    fresh = json.loads(json.dumps(document(made)))
    kept = ledger.records(KIND)
    if kept and {**json.loads(ledger.record(kept[-1][0])[1]), "cut": made.cut} == fresh:
        return str(kept[-1][0])
    record = str(ledger.put_record(KIND, json.dumps(fresh, sort_keys=True, ensure_ascii=False).encode()))
    rows = _values(made)
    if rows.num_rows:
        inputs = (f"cut:{made.cut}", f"record:{record}", f"territory:{made.territory.content_hash}")
        ledger.append(rows, Origin(f"model:{MODEL}", f"{made.cut}:{record}", RUN, MODEL, VERSION, inputs))
    return record


def document(made: Verified) -> dict[str, Any]:
    """Everything as plain data: numbers in the units that they name, money in the territory's currency, masses in kg CO2e."""
    factors = {
        one.id: one
        for row in made.savings
        for part in row.products
        for term in part.terms
        if (one := term.factor)
    }
    return {
        "model": MODEL,
        "version": VERSION,
        "start": made.span.start.isoformat(),
        "end": made.span.end.isoformat(),
        "every": str(made.every),
        "gwp": made.gwp,
        "currency": made.territory.currency,
        "cut": made.cut,
        "territory": made.territory.content_hash,
        "rules": made.rules_hash,
        "account": "avoided",
        "rows": [_row(row) for row in made.rows],
        "savings": [_saving(one) for one in made.savings],
        "totals": [_totals(made, name) for name in made.exchanges],
        "total": {"saved": figure(made.saved()), "co2e_kg": figure(made.avoided())},
        "factors": {
            name: {
                "hash": one.content_hash,
                "status": one.status,
                "source": str(one.source),
                "value": one.value,
                "unit": one.unit,
            }
            for name, one in factors.items()
        },
        "batches": {
            name: [
                {"batch": one.batch, "source": one.source, "hash": one.hash, "used": one.used}
                for one in batches
            ]
            for name, batches in made.batches.items()
            if name in made.exchanges
        },
        "problems": [
            {
                "code": one.code,
                "severity": one.severity,
                "where": str(one.where or ""),
                "text": one.text("en"),
            }
            for one in made.problems
        ],
    }


def figure(one: Figure | None) -> dict[str, float | None] | None:
    """A number with its interval as plain data."""
    return None if one is None else {"value": one.value, "sd": one.sd, "low95": one.low, "high95": one.high}


def _totals(made: Verified, exchange: str) -> dict[str, Any]:
    rows = made.of(exchange)
    return {
        "exchange": exchange,
        "counted": exchange not in made.uncounted,
        "unit": rows[0].unit,
        "given": figure(made.amount(exchange, "given")),
        "taken": figure(made.amount(exchange)),
        "paid": figure(made.paid(exchange)),
        "saved": figure(made.saved(exchange)),
        "co2e_kg": figure(made.avoided(exchange)),
        "gaps": [start.isoformat() for start in made.gaps(exchange)],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "exchange": row.exchange, "start": row.start.isoformat(), "end": row.end.isoformat(), "unit": row.unit, "status": row.status,
        "sent": asdict(row.sent) if row.sent else None, "received": asdict(row.received) if row.received else None,
        "given": figure(row.given), "taken": figure(row.taken), "paid": figure(row.paid),
        "chi2": None if row.chi2 == float("inf") else row.chi2, "freedom": row.freedom, "p": row.p, "suspects": list(row.suspects),
        "properties": [{**asdict(one), "breached": one.breached} for one in row.properties],
    }  # fmt: skip


def _saving(one: Saving) -> dict[str, Any]:
    return {
        "exchange": one.exchange, "effect": one.effect, "side": one.side, "place": one.place, "code": one.code,
        "start": one.start.isoformat(), "base": one.base, "base_unit": one.base_unit, "per": one.per,
        "amount": figure(one.amount), "unit": one.unit, "money": figure(one.money), "co2e_kg": figure(one.co2e), "lacks": one.lacks,
        "products": [
            {
                "gas": part.gas, "gwp": part.weight, "co2e_kg_per_unit": part.co2e_kg, "factors": list(part.factors),
                "terms": [[term.symbol, term.value, term.unit, term.power] for term in part.terms],
            }
            for part in one.products
        ],
    }  # fmt: skip


def _values(made: Verified) -> pa.Table:
    """Reconciled amounts by meter and period, in the unit of the flow; a rate is the mean of its period."""
    rows: list[tuple[str, Any, float]] = []
    for row in made.rows:
        for reading, amount in ((row.sent, row.given), (row.received, row.taken)):
            if reading is not None and amount is not None and row.exchange not in made.uncounted:
                flow = made.territory.flows[reading.flow]
                rows.append((flow.id, row.start, _in_flow(flow, amount.value, row)))
    names, starts, values = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "flow": pa.array(names, pa.string()),
            "start": pa.array(starts, pa.timestamp("us", tz="UTC")),
            "value": pa.array(values, pa.float64()),
            "quality": pa.array([int(Quality.GOOD)] * len(rows), pa.uint8()),
        }
    )


def _in_flow(flow: Flow, amount: float, row: Row) -> float:
    summed = amount * unit(row.unit).to(amount_unit(flow))
    if not is_rate(flow):
        return summed
    hours = (row.end - row.start).total_seconds() / 3600
    return summed * amount_unit(flow).to(flow.unit * unit("h")) / hours
