# SPDX-License-Identifier: Apache-2.0
"""What is kept of a nowcast: hourly values of the run `estimate/nowcast`, and a record from which its intervals can be made again.

Comes in: a `Nowcast`. Goes out: a batch (values that did not change are left out by the ledger) and a record of kind `nowcast`: inputs,
priors, seed, the expected amounts and standard deviations of the logs by flow and day, and the covariance of the flows' totals.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mangrove.ledger import Ledger, Origin, Quality
from mangrove.measure.nowcast.inputs import Floats
from mangrove.measure.nowcast.priors import Priors
from mangrove.measure.plan import NOWCAST

if TYPE_CHECKING:
    from mangrove.measure.nowcast.result import Nowcast

KIND = "nowcast"
MODEL, VERSION = "nowcast", "1"
_DIGITS = 9
"""Significant digits of a stored value: a sum of doubles in another order is then the same value, and no new row."""


def write(ledger: Ledger, made: Nowcast, priors: Priors) -> str:
    """Stores the record, then the values with it as an input; returns the record's id."""
    record = ledger.put_record(
        KIND, json.dumps(_document(made, priors), sort_keys=True).encode(), _summary(made)
    )
    made.record = record
    rows = _rows(made)
    inputs = (f"cut:{made.cut}", f"record:{record}", f"territory:{made.territory.content_hash}")
    ledger.append(rows, Origin(f"model:{MODEL}", f"{made.cut}:{record}", NOWCAST, MODEL, VERSION, inputs))
    return str(record)


def _rows(made: Nowcast) -> pa.Table:
    """One row per flow and hour, in the unit of the flow."""
    values = rounded(made.hourly())
    starts = pa.array(np.tile(made.days.start, len(made.flows)), pa.int64()).cast(
        pa.timestamp("us", tz="UTC")
    )
    names = pa.array(made.targets, pa.string()).take(
        pa.array(np.repeat(np.arange(len(made.flows)), len(made.days.start)))
    )
    quality = pa.array(np.full(values.size, int(Quality.GOOD), np.uint8))
    return pa.table({"flow": names, "start": starts, "value": pa.array(values.ravel()), "quality": quality})


def rounded(values: Floats) -> Floats:
    """Values with nine significant digits.

    Example:
        >>> rounded(np.array([123.456789012345, 0.0])).tolist()
        [123.456789, 0.0]
    """
    size = np.floor(np.log10(np.abs(values), out=np.zeros_like(values), where=values != 0))
    scale = 10.0 ** (_DIGITS - 1 - size)
    return np.asarray(np.round(values * scale) / scale)


def _document(made: Nowcast, priors: Priors) -> dict[str, object]:
    """Everything that makes the nowcast again: the cut of the ledger, the declaration, the seed, the priors; and the total."""
    figure = made.total()
    return {
        "model": MODEL,
        "version": VERSION,
        "at": made.at.isoformat(),
        "start": made.span.start.isoformat(),
        "cut": made.cut,
        "territory": made.territory.content_hash,
        "seed": made.seed,
        "samples": len(made.factors),
        "flows": list(made.targets),
        "modeled": made.modeled,
        "priors": {
            **{key: value for key, value in asdict(priors).items() if key not in ("annual", "effects")},
            "annual": {key: asdict(one) for key, one in priors.annual.items()},
            "effects": {f"{kind}/{gpc}": asdict(one) for (kind, gpc), one in priors.effects.items()},
        },
        "facts": [[one.name, one.kind, one.target, one.until.isoformat()] for one in made.facts],
        "notes": [one.code for one in made.notes],
        "total": {
            "gwp": made.plan.question.gwp,
            "co2e_kg": figure.mean,
            "low95": figure.low,
            "high95": figure.high,
        },
    }


def _summary(made: Nowcast) -> bytes:
    """Means and standard deviations by flow and day, and the covariance of the logs of the flows' totals, compressed."""
    days = made.days
    sd = np.log(np.abs(days.samples), out=np.zeros_like(days.samples), where=days.samples != 0).std(axis=0)
    totals = np.abs(days.samples.sum(axis=2))
    logs = np.log(totals, out=np.zeros_like(totals), where=totals > 0)
    covariance = np.atleast_2d(np.cov(logs.T))
    sink = io.BytesIO()
    np.savez_compressed(
        sink,
        mean=days.mean.astype(np.float32),
        sd=sd.astype(np.float32),
        covariance=covariance,
        kg=days.kg[:, :1],
        start=days.start[:1],
    )
    return sink.getvalue()
