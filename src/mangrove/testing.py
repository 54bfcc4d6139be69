# SPDX-License-Identifier: Apache-2.0
"""Small real worlds for tests and examples: a two-factory park, a three-ward city, and a park that shares its energy.

Comes in: an empty folder. Goes out: the folder with a declaration that passes `mangrove check`, and helpers that make tables of
values. Third parties use the same worlds to test their own methods and sources.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import exp, isclose, isnan, pi, sin
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_PARK = {
    "territory.yaml": """\
name: Khu công nghiệp Thử Nghiệm
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: park
""",
    "places.csv": """\
id,name,kind,parent
park,Khu công nghiệp Thử Nghiệm,park,
mill,Nhà máy thép,facility,park
shop,Xưởng cơ khí,facility,park
""",
    "flows.csv": """\
id,place,carrier,unit,step,sector,scope,semantics,factor,uncertainty,meter,name
mill.power,mill,electricity,kWh,1h,steel,2,sum,,2 %,EVN-1,Điện lò hồ quang
mill.coal,mill,fuel:anthracite,t,1d,steel,1,sum,combustion/manufacturing/anthracite,5 %,scale-1,Than antraxit
shop.power,shop,electricity,kWh,1h,machinery,2,sum,,2 %,EVN-2,Điện xưởng
shop.diesel,shop,fuel:diesel,L,1mo,machinery,1,sum,combustion/manufacturing/diesel,3 %,pump-1,Dầu diesel máy phát
""",
}
_CITY = {
    "territory.yaml": """\
name: Thành phố Ba Phường
kind: city
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: city
""",
    "places.csv": """\
id,name,kind,parent,area_km2,population,valid_from,valid_to
city,Thành phố Ba Phường,city,,30,60000,,
hoa,Phường Hoà Bình,ward,city,10,10000,2025-07-01,
thuy,Phường Thuỷ Lợi,ward,city,15,20000,2025-07-01,
dong,Phường Đống Đa,ward,city,5,30000,2025-07-01,
old1,Phường 1,ward,city,15,10000,,2025-07-01
old2,Phường 2,ward,city,15,50000,,2025-07-01
""",
    "crosswalk.csv": """\
old,new,share
old1,hoa,1
old2,thuy,0.4
old2,dong,0.6
""",
    "flows.csv": """\
id,place,carrier,unit,step,sector,scope,semantics,spread,gpc,uncertainty,name
homes.power,city,electricity,MWh,1y,residential,2,sum,population,I.1.2,5 %,Điện sinh hoạt
market.power,old1,electricity,kWh,1h,commercial,2,sum,,I.2.2,2 %,Điện chợ
""",
}
_ENERGY = {
    "territory.yaml": """\
name: Khu năng lượng Thử Nghiệm
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
    vat: 8 %
    prices_on: 2026-11-01
energy:
  discount: 10 %
""",
    "places.csv": """\
id,name,kind,parent,lat,lon
park,Khu năng lượng Thử Nghiệm,park,,,
works,Nhà máy cơ khí,facility,park,20.8,106.7
depot,Kho vận,facility,park,20.8,106.7
""",
    "flows.csv": """\
id,place,carrier,unit,step,semantics,scope,name
works.in,works,electricity,kWh,15min,sum,2,Điện mua của nhà máy
works.out,works,electricity,kWh,15min,sum,,Điện bán của nhà máy
works.sun,works,electricity,kWh,15min,sum,,Điện mặt trời nhà máy
works.charged,works,electricity,kWh,15min,sum,,Pin nạp
works.given,works,electricity,kWh,15min,sum,,Pin phát
works.ev,works,electricity,kWh,15min,sum,,Sạc xe điện
works.swap,works,electricity,kWh,15min,sum,,Điện trạm đổi pin
works.swaps,works,material:battery_pack,item,15min,sum,,Lượt đổi pin
depot.in,depot,electricity,kWh,1h,sum,2,Điện mua của kho
depot.out,depot,electricity,kWh,1h,sum,,Điện bán của kho
depot.sun,depot,electricity,kWh,1h,sum,,Điện mặt trời kho
""",
    "assets.csv": """\
id,place,type,name,parameters
works_grid,works,grid,Đấu nối nhà máy,capacity=500 kW; export=150 kW; flow=works.in; export_flow=works.out
works_roof,works,pv,Mái nhà máy,capacity=150 kWp; tilt=10; azimuth=180; flow=works.sun
works_battery,works,battery,Pin lưu trữ,energy=200 kWh; power=80 kW; round_trip=90 %; charge_flow=works.charged; discharge_flow=works.given
chargers,works,charger,Trụ sạc,power=7 kW; count=4 item; flow=works.ev
swaps,works,swap_station,Trạm đổi pin,packs=40 item; bays=20 item; pack_energy=1.6 kWh; charger=400 W; flow=works.swap; demand_flow=works.swaps
depot_grid,depot,grid,Đấu nối kho,capacity=300 kW; export=300 kW; flow=depot.in; export_flow=depot.out
depot_roof,depot,pv,Mái kho,capacity=200 kWp; max_capacity=400 kWp; cost=16000000 VND/kW; om=240000 VND/kW/yr; life=25 yr; flow=depot.sun
depot_battery,depot,battery,Pin dự kiến,max_energy=500 kWh; max_power=250 kW; cost=4500000 VND/kWh; life=12 yr
""",
    "links.csv": """\
id,place,to_place,carrier,capacity,cost
works_wire,works,park,electricity,200 kW,60 VND/kWh
depot_wire,depot,park,electricity,200 kW,60 VND/kWh
""",
}
_ENERGY_MAPPING = """\
files:
  - match: "works.csv"
    time: time
    stamp: start
  - match: "depot.csv"
    time: time
    stamp: start
  - match: "stays.csv"
    time: start
    unit: kWh
    sessions: {start: start, end: end, value: kwh, flow: works.ev}
"""
_DAY_STEPS, _SUNDAY = 96, 7


def two_factory_park(folder: Path) -> Path:
    """Writes a park with a steel mill and a workshop: hourly electricity, daily coal, monthly diesel."""
    return _write(folder, _PARK)


def three_ward_city(folder: Path) -> Path:
    """Writes a city of three wards that came from two old ones on 1 July 2025, with a city-wide annual flow."""
    return _write(folder, _CITY)


def energy_park(folder: Path) -> Path:
    """Writes a park of two sites that share energy over wires, with a contract of Việt Nam at the prices of November 2026.

    The works has a roof, a battery, four chargers and a battery-swap station; the depot a roof that may grow and a battery that
    may be built.
    """
    return _write(folder, _ENERGY)


def energy_meters(folder: Path, first: str = "2023-06-01", days: int = 28) -> list[Path]:
    """Meter files of the energy park from a day on, with a mapping file beside them: made up, and the same on every call.

    The works has a two-shift load with less on Sundays, a battery that takes at noon and gives at dusk, one stay of a vehicle a day
    and charger, and a swap every quarter of an hour by day; the depot works days. Import, export and all parts balance.

    Returns:
        The files to ingest: two tables of readings and one of charging stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    works, depot, stays = [], [], []
    for day in range(days):
        midnight = datetime.fromisoformat(first) + timedelta(days=day)
        stays += [_stay(midnight, charger) for charger in range(4)]
        quarters = [_quarter(midnight, step, day) for step in range(_DAY_STEPS)]
        works += [row for row, _ in quarters]
        for hour in range(24):
            net = sum(quarters[4 * hour + part][1] for part in range(4))
            sun = 200 / 150 * sum(float(quarters[4 * hour + part][0]["works.sun"]) for part in range(4))
            row = {"depot.in": max(net - sun, 0.0), "depot.out": max(sun - net, 0.0), "depot.sun": sun}
            depot.append(
                {"time": str(midnight + timedelta(hours=hour)), **{k: f"{v:.4f}" for k, v in row.items()}}
            )
    for name, rows in (("works", works), ("depot", depot), ("stays", stays)):
        _write_rows(folder / f"{name}.csv", rows)
    (folder / "mapping.yaml").write_text(_ENERGY_MAPPING, encoding="utf-8")
    return [folder / f"{name}.csv" for name in ("works", "depot", "stays")]


def _stay(midnight: datetime, charger: int) -> dict[str, str]:
    """A vehicle that comes in the morning, stays eight hours and takes 12 to 18 kWh."""
    start = midnight + timedelta(hours=8, minutes=15 * charger)
    return {"start": str(start), "end": str(start + timedelta(hours=8)), "kwh": str(12 + 2 * charger)}


def _quarter(midnight: datetime, step: int, day: int) -> tuple[dict[str, str], float]:
    """What the meters of the works say in a quarter of an hour (kWh), and what the depot uses in it."""
    at = midnight + timedelta(minutes=15 * step)
    hour, rest = step / 4, 0.5 if at.isoweekday() == _SUNDAY else 1.0
    sun = 150 / 4 * 0.8 * max(sin((hour - 6) / 12 * pi), 0.0) * (0.75 + 0.25 * sin(2.4 * day))
    load = rest * (25 + 30 * exp(-(((hour - 10) / 4) ** 2)) + 20 * exp(-(((hour - 19) / 2.5) ** 2)))
    charged, given = 10.0 * _during(hour, 11, 13), 8.0 * _during(hour, 18, 20)
    taken = sum((12 + 2 * one) / 32 * _during(hour, 8 + one / 4, 16 + one / 4) for one in range(4))
    swaps = _during(hour, 6, 22)
    net = load + charged + taken + 1.35 * swaps - given - sun
    row = {
        "works.in": max(net, 0.0), "works.out": max(-net, 0.0), "works.sun": sun, "works.charged": charged,
        "works.given": given, "works.swap": 1.35 * swaps, "works.swaps": swaps,
    }  # fmt: skip
    used = 10 + 5 * rest * _during(hour, 8, 18)
    return {"time": str(at), **{name: f"{value:.4f}" for name, value in row.items()}}, used


def _during(hour: float, first: float, end: float) -> float:
    """1 from the first hour until the end, else 0."""
    return float(first <= hour < end)


def park_of(
    folder: Path,
    flows: Sequence[Mapping[str, str]],
    *,
    factors: Sequence[Mapping[str, str]] = (),
    timezone: str = "Asia/Ho_Chi_Minh",
    gwp: str = "AR5",
) -> Path:
    """Writes a park of one facility, `site`, with the given flows and local factors.

    Args:
        folder: an empty folder.
        flows: rows of `flows.csv` by column; `id`, `carrier` and `unit` are needed, the place is `site` unless stated.
        factors: rows of `factors.csv` by column.
        timezone: IANA name.
        gwp: the GWP set of its reports.

    Example:
        >>> import tempfile
        >>> folder = park_of(Path(tempfile.mkdtemp()), [{"id": "m", "carrier": "electricity", "unit": "kWh", "scope": "2"}])
        >>> sorted(path.name for path in folder.iterdir())
        ['flows.csv', 'places.csv', 'territory.yaml']
    """
    _write(
        folder,
        {
            "territory.yaml": f"name: Site\nkind: park\ntimezone: {timezone}\ncurrency: VND\nlang: en\ngwp: {gwp}\n"
            "boundary:\n  root: park\n",
            "places.csv": "id,name,kind,parent\npark,Park,park,\nsite,Site,facility,park\n",
        },
    )
    _write_rows(folder / "flows.csv", [{"place": "site", **flow} for flow in flows])
    if factors:
        _write_rows(folder / "factors.csv", [{"source": "test", **factor} for factor in factors])
    return folder


def _write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def values(rows: Iterable[tuple[str, datetime, float]], quality: int = 0) -> pa.Table:
    """A table of values as the ledger takes them: `(flow, start, value)`; naive starts are UTC."""
    import pyarrow as pa

    listed = list(rows)
    starts = [start if start.tzinfo else start.replace(tzinfo=UTC) for _, start, _ in listed]
    return pa.table(
        {
            "flow": pa.array([flow for flow, _, _ in listed], pa.string()),
            "start": pa.array(starts, pa.timestamp("us", tz="UTC")),
            "value": pa.array([value for _, _, value in listed], pa.float64()),
            "quality": pa.array([quality] * len(listed), pa.uint8()),
        }
    )


def steady(
    flow: str, start: datetime, step: timedelta, count: int, value: float
) -> list[tuple[str, datetime, float]]:
    """Rows of one flow that repeat the same value every step."""
    return [(flow, start + i * step, value) for i in range(count)]


def assert_same_rows(now: pa.Table, then: pa.Table) -> None:
    """Asserts that two result tables are the same but for the order of summation (1e-12)."""
    assert now.column_names == then.column_names
    for name in now.column_names:
        pairs = zip(now.column(name).to_pylist(), then.column(name).to_pylist(), strict=True)
        for row, (a, b) in enumerate(pairs):
            same = isclose(a, b, rel_tol=1e-12) or (isnan(a) and isnan(b)) if isinstance(a, float) else a == b
            assert same, f"row {row}, {name}: {a} instead of {b}"
