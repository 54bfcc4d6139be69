# SPDX-License-Identifier: Apache-2.0
"""A declared works with a grid connection, a roof, a battery and meters, and its ledger, for the tests of a planning round."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from tests.operate.worlds import QUARTER, measured

from mangrove import territory
from mangrove.ledger import Ledger, Origin
from mangrove.operate.state import SECOND

FILES = {
    "territory.yaml": """\
name: Works
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: en
gwp: AR5
boundary:
  root: park
tariffs:
  - id: retail
    kind: two_component
    carrier: electricity
    customer: production
    voltage: 22-<110 kV
    hours: "963"
    export: law
    vat: 8 %
    source: test
""",
    "places.csv": "id,name,kind,parent\npark,Park,park,\nworks,Works,facility,park\nhall,Hall,building,works\n",
    "flows.csv": """\
id,place,carrier,unit,step,scope,semantics
bought,works,electricity,kWh,15min,2,sum
sold,works,electricity,kWh,15min,,sum
sun,hall,electricity,kWh,1h,,sum
charged,works,electricity,kW,15min,,mean
given,works,electricity,MWh,15min,,sum
""",
    "factors.csv": "activity,gas,value,unit,source\ngrid/vn,CO2,0.66,t CO2/MWh,test\n",
    "assets.csv": """\
id,place,type,parameters
grid,works,grid,capacity=400 kW; export=60 kW; flow=bought; export_flow=sold
roof,hall,pv,capacity=120 kWp; tilt=10; azimuth=180; flow=sun
battery,works,battery,energy=200 kWh; power=80 kW; round_trip=90 %; charge_flow=charged; discharge_flow=given
""",
}
DAYS = 8
NOW = (
    measured(DAYS).start + (DAYS - 1) * 96 * QUARTER * SECOND
)  # midnight, a day before the readings would end


def declare(folder: Path, **changes: str) -> Path:
    """Writes the declaration; `changes` replace files by their name without the suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(changes.get(name.partition(".")[0], text), encoding="utf-8")
    return folder


def load(folder: Path):
    """The declared works."""
    return territory.load(folder)


def values(flow: str, start: np.datetime64, seconds: int, numbers: np.ndarray) -> pa.Table:
    """Values of one flow as the ledger takes them."""
    starts = start + np.arange(len(numbers)) * seconds * SECOND
    when = [datetime.fromtimestamp(int(one.astype(np.int64)), UTC) for one in starts]
    return pa.table(
        {
            "flow": pa.array([flow] * len(when), pa.string()),
            "start": pa.array(when, pa.timestamp("us", "UTC")),
            "value": pa.array(numbers, pa.float64()),
        }
    )


def ingest(ledger: Ledger, until: np.datetime64 = NOW, leave_out: tuple[str, ...] = ()) -> None:
    """Stores what the meters said until a moment: the battery charged 20 kW for two hours at noon and gave 10 kW at dusk."""
    grid = measured(DAYS)
    load_, sun = grid.values["shop#load"], np.repeat(grid.values["roof"].reshape(-1, 4).mean(axis=1), 4)
    hour = np.arange(len(load_)) / 4 % 24
    charge, give = (
        np.where((hour >= 12) & (hour < 14), 20.0, 0.0),
        np.where((hour >= 18) & (hour < 20), 10.0, 0.0),
    )
    net = load_ + charge - give - sun
    count = int((until - grid.start) / SECOND) // QUARTER
    for flow, seconds, numbers in (
        ("bought", QUARTER, np.maximum(net, 0.0) / 4),
        ("sold", QUARTER, np.maximum(-net, 0.0) / 4),
        ("sun", 3600, sun.reshape(-1, 4).mean(axis=1)),
        ("charged", QUARTER, charge),
        ("given", QUARTER, give / 4000.0),
    ):
        if flow in leave_out:
            continue
        kept = numbers[: count * QUARTER // seconds]
        ledger.append(values(flow, grid.start, seconds, kept), Origin("meters", flow))
