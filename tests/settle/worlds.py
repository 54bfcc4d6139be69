# SPDX-License-Identifier: Apache-2.0
"""A declared park of four sites with meters, contracts and wires, and a ledger with what the meters said."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

import mangrove as mg
from mangrove.ledger import Ledger, Origin

START = datetime(2026, 3, 1, tzinfo=UTC) - timedelta(hours=7)
"""Midnight of 1 March 2026 in Viet Nam."""
SITES = {"mill": (900.0, 0.0), "shop": (300.0, 700.0), "store": (250.0, 1200.0), "office": (120.0, 0.0)}
"""kW of load and kWp of sun of each site."""

TERRITORY = """\
name: Khu công nghiệp Thử Nghiệm
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: park
tariffs:
  - id: retail
    carrier: electricity
    source: test
    kind: tou
    customer: production
    voltage: 22-<110 kV
    export: 671 VND/kWh
"""
PLACES = """\
id,name,kind,parent
park,Khu công nghiệp Thử Nghiệm,park,
mill,Nhà máy thép,facility,park
shop,Xưởng cơ khí,facility,park
store,Kho lạnh,facility,park
office,Nhà điều hành,facility,park
"""


def declare(
    folder: Path,
    *,
    links: str = "",
    tariffs: str = "",
    park_meter: bool = False,
    drop: str = "",
    instead: str = "",
) -> Path:
    """Writes the declaration; `tariffs` adds records, `drop` removes a text from assets.csv, or puts `instead` in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "territory.yaml").write_text(TERRITORY + tariffs, encoding="utf-8")
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    flows = ["id,place,carrier,unit,step,semantics"]
    assets = ["id,place,type,parameters"]
    for site in SITES:
        flows += [f"{site}.in,{site},electricity,kWh,1h,sum", f"{site}.out,{site},electricity,MWh,30min,sum"]
        assets.append(
            f"{site}_grid,{site},grid,capacity=2 MW; export=2 MW; flow={site}.in; export_flow={site}.out"
        )
    if park_meter:
        assets.append("park_grid,park,grid,capacity=5 MW; flow=mill.in")
    (folder / "flows.csv").write_text("\n".join(flows) + "\n", encoding="utf-8")
    (folder / "assets.csv").write_text(
        ("\n".join(assets) + "\n").replace(drop, instead) if drop else "\n".join(assets) + "\n",
        encoding="utf-8",
    )
    if links:
        (folder / "links.csv").write_text(
            "id,place,to_place,carrier,capacity,cost\n" + links, encoding="utf-8"
        )
    return folder


def readings(hours: int = 168, seed: int = 3) -> dict[str, np.ndarray]:
    """KWh in and out of each site in each hour."""
    rng = np.random.default_rng(seed)
    hour = np.arange(hours) % 24
    found = {}
    for site, (load, roof) in SITES.items():
        use = load * (0.6 + 0.4 * ((hour >= 7) & (hour < 18))) * rng.uniform(0.9, 1.1, hours)
        net = use - roof * np.maximum(np.sin((hour - 6) * np.pi / 12), 0.0) * rng.uniform(0.5, 0.9, hours)
        found[f"{site}.in"], found[f"{site}.out"] = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    return found


def ingest(folder: Path, found: dict[str, np.ndarray], skip: tuple[str, int] | None = None) -> mg.Handle:
    """Stores the readings; exports as two half-hours in MWh. `skip` leaves out one value (flow, hour)."""
    with Ledger.open(folder / ".mangrove") as ledger:
        for flow, amounts in found.items():
            halves = flow.endswith(".out")
            step = timedelta(minutes=30 if halves else 60)
            values = np.repeat(amounts, 2) / 2 / 1000 if halves else amounts
            keep = [i for i in range(len(values)) if skip != (flow, i)]
            table = pa.table(
                {
                    "flow": pa.array([flow] * len(keep), pa.string()),
                    "start": pa.array([START + i * step for i in keep], pa.timestamp("us", tz="UTC")),
                    "value": pa.array(values[keep], pa.float64()),
                    "quality": pa.array([0] * len(keep), pa.uint8()),
                }
            )
            ledger.append(table, Origin("test", flow))
    return mg.open(folder)
