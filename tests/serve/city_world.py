# SPDX-License-Identifier: Apache-2.0
"""A made-up riverside city: three wards, four companies, sensors, a gauge, a nowcast, a located source, an inversion, a plan.

Comes in: a folder. Goes out: an opened territory with values up to `NOW`. All numbers are made up and the same on every call.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mangrove as mg
from mangrove import rules
from mangrove.compare import adopt
from mangrove.errors import Problem
from mangrove.ledger.types import Origin
from mangrove.locate import Report, Source
from mangrove.measure.nowcast import nowcast
from mangrove.serve.clock import Clock
from mangrove.serve.state import Live
from mangrove.testing import values

NOW = datetime(2026, 6, 30, 5, 20, tzinfo=UTC)
"""12:20 on 30 June 2026 in Việt Nam."""
HOURS = 24 * 8
FIRST = NOW.replace(minute=0) - timedelta(hours=HOURS)
TERRITORY = """\
name: Thành phố Ven Sông
kind: city
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary: {root: city}
sectors: {transport: Giao thông, industry: Công nghiệp, homes: Nhà ở}
"""
WARDS = {
    "w1": ("Phường Bến Nghé", 40_000),
    "w2": ("Phường Thạnh Mỹ", 25_000),
    "w3": ("Phường Long Sơn", 35_000),
}
COMPANIES = {"mill": "w1", "forge": "w1", "kiln": "w2", "dairy": "w3"}
TONNES = {
    "mill": 60_000.0,
    "forge": 20_000.0,
    "kiln": 45_000.0,
    "dairy": 15_000.0,
    "road": 90_000.0,
    "homes": 30_000.0,
}
FLOWS = """\
id,place,carrier,unit,step,semantics,sector,scope,spread,gpc,uncertainty,method,parameters,name,account
road,city,reported:CO2e,t,1y,sum,transport,1,population,II.1.1,10 %,reported,gwp=AR5,Xe trên đường,inventory
homes,city,reported:CO2e,t,1y,sum,homes,1,population,I.1.1,15 %,reported,gwp=AR5,Đun nấu,inventory
mill,mill,reported:CO2e,t,1y,sum,industry,1,,I.3.1,5 %,reported,gwp=AR5,Nhà máy thép,inventory
forge,forge,reported:CO2e,t,1y,sum,industry,1,,I.3.1,5 %,reported,gwp=AR5,Lò rèn,inventory
kiln,kiln,reported:CO2e,t,1y,sum,industry,1,,I.3.1,5 %,reported,gwp=AR5,Lò vôi,inventory
dairy,dairy,reported:CO2e,t,1y,sum,industry,1,,I.3.1,5 %,reported,gwp=AR5,Sữa,inventory
traffic,city,index:traffic,1,1h,state,,,,,5 %,,,Lưu lượng xe,memo
tower.pm25,tower,air:pm25,ug/m3,1h,state,,,,,,,,Bụi mịn,memo
tower.no2,tower,air:no2,ug/m3,1h,state,,,,,,,,NO2,memo
fence.ch4,fence,air:ch4,ug/m3,1h,state,,,,,,,,CH4 hàng rào,memo
quay.level,quay,water_level:river,m,1h,state,,,,,,,alarm1=1.4 m; alarm2=1.6 m; alarm3=1.8 m,Mực nước,memo
quay.rain,quay,weather:rain,mm,1h,sum,,,,,,,,Mưa,memo
tower.wind,tower,weather:wind_speed,m/s,1h,state,,,,,,,,Gió,memo
"""
SCENARIO = """\
name: xe-dien
title: Xe điện
from: 2026
to: 2028
baseline:
  year: 2025
actions:
  - id: buses
    type: change_activity
    from: 2026-01-01
    sector: transport
    change: -10 %
    uncertainty: 30 %
    source: assumed here
    status: assumed
    name: Xe buýt điện
  - id: stoves
    type: change_activity
    from: 2027-01-01
    flow: [homes]
    change: -20 %
    uncertainty: 20 %
    source: assumed here
    status: assumed
    name: Bếp điện
"""


def riverside(folder: Path, *, records: bool = True) -> mg.Handle:
    """The city with a year of inventory and eight days of sensors; with `records` also what the verbs make of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "territory.yaml").write_text(TERRITORY, encoding="utf-8")
    (folder / "flows.csv").write_text(FLOWS, encoding="utf-8")
    (folder / "places.csv").write_text(_places(), encoding="utf-8")
    (folder / "places.geojson").write_text(json.dumps(_outlines()), encoding="utf-8")
    (folder / "drivers.csv").write_text(
        "target,index,elasticity,spread\nII.1.1,traffic,0.9,0.1\n", encoding="utf-8"
    )
    park = mg.open(folder)
    with park.writer() as ledger:
        year = datetime(2024, 12, 31, 17, tzinfo=UTC)
        ledger.append(
            values([(name, year, tonnes) for name, tonnes in TONNES.items()]), Origin("file:inventory", "1")
        )
        ledger.append(values(_sensed()), Origin("file:sensors", "1"))
        ahead = [
            ("quay.level", NOW.replace(minute=0) + timedelta(hours=h), 1.62 + 0.05 * h) for h in range(1, 7)
        ]
        ledger.append(values(ahead), Origin("model:level", "1", run="forecast"))
        if records:
            ledger.put_record("source", json.dumps(located().document()).encode())
            ledger.put_record("inversion", json.dumps(INVERSION).encode())
            nowcast(ledger, park.territory, rules.load(), NOW, "2026-06-01")
    if records:
        (folder / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
        adopt(park, folder / "scenario.yaml")
    return park


def live(park: mg.Handle) -> Live:
    """The city as a server shows it at `NOW`."""
    return Live(park, Clock(NOW, 0))


def located() -> Report:
    """A leak in the second ward."""
    ring = tuple(
        (106.715 + 0.002 * math.cos(a / 6 * math.pi), 10.795 + 0.001 * math.sin(a / 6 * math.pi))
        for a in range(12)
    )
    source = Source(106.715, 10.795, ((900.0, 0.0), (0.0, 400.0)), ring, 4.2, 3.1, 5.9)
    return Report(
        "ch4", NOW - timedelta(days=5), NOW - timedelta(days=1), ("fence.ch4",), (source,), 0.98,
        Problem("locate.convention_fits", {}, severity="note"), (), ((106.7, 106.72), (10.79, 10.8)), ((1.0,),), 96, 1.2,
    )  # fmt: skip


def _amount(before: float, after: float, low: float, high: float, learned: float) -> dict[str, object]:
    return {
        "prior": before, "prior_sd": 0.2 * before, "mean": after, "sd": (high - low) / 4, "low": low, "high": high,
        "learned": learned, "identifiable": learned >= 0.5,
    }  # fmt: skip


def _instrument(flow: str, start: float, end: float, *, drifts: bool) -> dict[str, object]:
    return {
        "flow": flow, "gain_start": start, "gain_end": end, "gain_sd": 0.03, "offset_start": 0.1, "offset_end": 0.4,
        "offset_sd": 0.2, "drifts": drifts,
    }  # fmt: skip


INVERSION = {
    "targets": [{"target": "II.1.1", "zone": "", "log_mean": 0.2, "learned": 0.8}],
    "covariance": [[0.01]],
    "from": (NOW - timedelta(days=7)).isoformat(),
    "to": NOW.isoformat(),
    "version": "1",
    "species": ["no2"],
    "stations": ["tower"],
    "prior": "2025",
    "total_kg": _amount(5e6, 5.6e6, 5.1e6, 6.2e6, 0.8),
    "sectors": {
        "transport": _amount(2e6, 2.6e6, 2.2e6, 3.0e6, 0.8),
        "industry": _amount(2.5e6, 2.5e6, 1.9e6, 3.1e6, 0.1),
        "homes": _amount(0.5e6, 0.5e6, 0.3e6, 0.8e6, 0.6),
    },
    "zones": {zone: _amount(1.6e6, 1.8e6, 1.5e6, 2.1e6, 0.7) for zone in WARDS},
    "instruments": [_instrument("tower.pm25", 1.0, 1.02, drifts=False), _instrument("tower.no2", 1.0, 1.31, drifts=True)],
    "background": {"no2": {"mean": 12.0, "least": 8.0, "most": 18.0}},
    "diagnostics": {
        "readings": 168, "chi2": 1.1, "dofs": 3.2, "log_evidence": -400.0, "noise_scale": 1.0, "prior_scale": 1.0,
        "left_out": {"tower": {"chi2": 1.2, "bias": 0.3, "rmse": 2.0}},
    },
    "declaration": "",
    "notes": [],
}  # fmt: skip


def _places() -> str:
    rows = ["id,name,kind,parent,population,area_km2,lon,lat", "city,Thành phố Ven Sông,city,,,,,"]
    for number, (ward, (name, people)) in enumerate(WARDS.items()):
        rows.append(f"{ward},{name},ward,city,{people},4,{106.705 + number / 100},10.795")
    for number, (company, ward) in enumerate(COMPANIES.items()):
        rows.append(
            f"{company},Công ty {company.title()},facility,{ward},,,{106.703 + number / 120:.5f},10.797"
        )
    rows += ["tower,Trạm Tháp,station,w1,,,106.706,10.793", "quay,Bến Bạch Đằng,station,w2,,,106.716,10.792"]
    rows.append("fence,Hàng rào nhà máy thép,station,mill,,,106.7035,10.7975")
    return "\n".join(rows) + "\n"


def _outlines() -> dict[str, object]:
    features = []
    for number, ward in enumerate(WARDS):
        west = 106.70 + number / 100
        ring = [[west, 10.79], [west + 0.01, 10.79], [west + 0.01, 10.80], [west, 10.80], [west, 10.79]]
        features.append(
            {
                "type": "Feature",
                "id": ward,
                "properties": {},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    return {"type": "FeatureCollection", "features": features}


def _sensed() -> list[tuple[str, datetime, float]]:
    rows = []
    for hour in range(HOURS + 1):
        at = FIRST + timedelta(hours=hour)
        day = math.cos((hour % 24) / 24 * 2 * math.pi)
        rows += [
            ("tower.pm25", at, 62.0 + 15 * day),
            ("tower.no2", at, 40.0 + 12 * day),
            ("fence.ch4", at, 1300.0 + 40 * day),
            ("quay.level", at, 1.2 + 0.25 * day + 0.22 * hour / HOURS),
            ("quay.rain", at, 0.0),
        ]
    rows += [
        ("tower.wind", FIRST + timedelta(hours=h), 2.0) for h in range(HOURS - 48)
    ]  # silent for two days
    start = datetime(2024, 12, 31, 17, tzinfo=UTC)
    for hour in range(int((NOW - start) / timedelta(hours=1))):
        local = (hour % 24) / 24
        rows.append(
            ("traffic", start + timedelta(hours=hour), 1000.0 + 500 * math.sin((local - 0.25) * 2 * math.pi))
        )
    return rows
