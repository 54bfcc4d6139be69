# SPDX-License-Identifier: Apache-2.0
"""A furnace with a virtual meter: its analyser worked for 120 days, its process data go on for 30 more."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

import mangrove as mg
from mangrove.ledger import Origin, Quality
from mangrove.testing import park_of

START = datetime(2024, 1, 1, tzinfo=UTC)
LEARNT = 24 * 120
ALL = 24 * 150
FLOWS = [
    {
        "id": "load",
        "carrier": "electricity",
        "unit": "MW",
        "step": "15min",
        "semantics": "mean",
        "account": "memo",
    },
    {"id": "oxygen", "carrier": "index:o2", "unit": "1", "step": "1h", "semantics": "state"},
    {"id": "warm", "carrier": "weather:temperature", "unit": "degC", "step": "3h", "semantics": "state"},
    {"id": "nox", "carrier": "index:nox", "unit": "1", "step": "1h", "semantics": "state"},
    {"id": "test", "carrier": "index:nox_test", "unit": "1", "step": "1h", "semantics": "state"},
]


def column(name, hours, values):
    starts = [START + timedelta(hours=float(hour)) for hour in hours]
    return pa.table(
        {
            "flow": pa.array([name] * len(starts), pa.string()),
            "start": pa.array(starts, pa.timestamp("us", tz="UTC")),
            "value": pa.array(np.asarray(values, dtype=float)),
            "quality": pa.array([int(Quality.GOOD)] * len(starts), pa.uint8()),
        }
    )


def plant(folder, parameters="", reference="", shift=0.0):
    """A furnace whose analyser worked for 120 days; gives the park and the truth of all hours."""
    park_of(folder, FLOWS)
    (folder / "virtual.csv").write_text(
        f"flow,inputs,reference,parameters\nnox,load oxygen warm,{reference},{parameters}\n", encoding="utf-8"
    )
    rng = np.random.default_rng(1)
    hour = np.arange(ALL)
    load = 5 + 2 * np.sin(hour / 24 * 2 * np.pi) + 0.5 * np.sin(hour / 300) + rng.normal(0, 0.3, ALL)
    oxygen = 8 - 0.5 * load + rng.normal(0, 0.2, ALL)
    warm = np.repeat(25 + rng.normal(0, 3, ALL // 3), 3)
    truth = 30 + 8 * load + 3 * oxygen - 0.4 * warm + rng.normal(0, 1, ALL)
    truth[LEARNT:] += shift
    park = mg.open(folder)
    parts = [
        column("load", np.arange(4 * ALL) / 4, np.repeat(load, 4) + np.tile([-0.1, 0.1, -0.1, 0.1], ALL)),
        column("oxygen", hour, oxygen),
        column("warm", hour[::3], warm[::3]),
        column(reference or "nox", hour[:LEARNT], truth[:LEARNT]),
    ]
    with park.writer() as ledger:
        ledger.append(pa.concat_tables(parts), Origin("test", "1"))
    return park, truth
