"""A mill with a grid connection, a small roof and a battery, declared as files and metered for some weeks."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

import mangrove as mg
from mangrove.ledger import Origin

START = datetime(2026, 6, 30, 17, tzinfo=UTC)  # 00:00 on 1 July in Viet Nam
DAYS = 28
END = datetime(2026, 7, 28, 17, tzinfo=UTC)
FILES = {
    "territory.yaml": """\
name: Khu công nghiệp Thử Nghiệm
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: park
tariffs:
  - id: evn
    carrier: electricity
    source: Decision 1279/QD-BCT
    kind: two_component
    customer: production
    voltage: 22-<110 kV
    hours: "963"
    export: law
energy:
  discount: 10 %
  carbon_price: 100000 VND/t
""",
    "places.csv": "id,name,kind,parent,lon,lat\npark,Khu,park,,106.7,20.8\nmill,Nhà máy,facility,park,106.7,20.8\n",
    "flows.csv": """\
id,place,carrier,unit,step,sector,scope,semantics,factor
mill.power,mill,electricity,kWh,15min,steel,2,sum,grid/vn@2023
mill.sold,mill,electricity,kWh,1h,steel,,sum,
mill.sun,mill,electricity,kW,1h,steel,,mean,
mill.in,mill,electricity,kWh,1h,steel,,sum,
mill.out,mill,electricity,kWh,1h,steel,,sum,
""",
    "assets.csv": """\
id,place,type,parameters
mill_grid,mill,grid,capacity=10 MW; export=2 MW; flow=mill.power; export_flow=mill.sold
roof,mill,pv,capacity=200 kWp; max_capacity=3 MWp; cost=16000000 VND/kW; om=240000 VND/kW/yr; life=25 yr; flow=mill.sun
bess,mill,battery,energy=100 kWh; power=50 kW; round_trip=90 %; max_energy=4 MWh; cost=4500000 VND/kWh; life=12 yr; charge_flow=mill.in; discharge_flow=mill.out
""",
}


def rows(flow, values, hours=1.0, quality=None):
    """A table of values from `START` on."""
    first = int(START.timestamp() * 1e6)
    starts = first + (np.arange(len(values)) * hours * 3600e6).astype(np.int64)
    table = {
        "flow": [flow] * len(values),
        "start": pa.array(starts).cast(pa.timestamp("us", tz="UTC")),
        "value": np.asarray(values, dtype=float),
    }
    return pa.table(table if quality is None else {**table, "quality": pa.array(quality, pa.int8())})


def meters():
    """What the meters say, kW by hour: drawn, sold, sun, in, out."""
    hour = np.arange(DAYS * 24) % 24
    sun = 160 * np.clip(np.sin(np.pi * (hour - 6) / 12), 0, None)
    into, out = np.where(hour == 3, 40.0, 0.0), np.where(hour == 19, 36.0, 0.0)
    load = 900 + 400 * np.exp(-(((hour - 14) / 4.0) ** 2))
    sold = np.zeros(DAYS * 24)
    return load - sun + into - out + sold, sold, sun, into, out, load


def build(folder):
    """The opened territory with its values."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    park = mg.open(folder)
    drawn, sold, sun, into, out, _ = meters()
    tables = [
        rows("mill.power", np.repeat(drawn, 4) / 4, 0.25),
        rows("mill.sold", sold),
        rows("mill.sun", sun),
    ]
    tables += [rows("mill.in", into), rows("mill.out", out)]
    with park.writer() as ledger:
        for number, table in enumerate(tables):
            ledger.append(table, Origin("test:meters", str(number)))
    return park
