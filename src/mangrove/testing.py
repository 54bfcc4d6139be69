# SPDX-License-Identifier: Apache-2.0
"""Small real worlds for tests and examples: a two-factory park and a three-ward city.

Comes in: an empty folder. Goes out: the folder with a declaration that passes `mangrove check`, and helpers that make tables of
values. Third parties use the same worlds to test their own methods and sources.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isclose, isnan
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


def two_factory_park(folder: Path) -> Path:
    """Writes a park with a steel mill and a workshop: hourly electricity, daily coal, monthly diesel."""
    return _write(folder, _PARK)


def three_ward_city(folder: Path) -> Path:
    """Writes a city of three wards that came from two old ones on 1 July 2025, with a city-wide annual flow."""
    return _write(folder, _CITY)


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
