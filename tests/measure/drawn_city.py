# SPDX-License-Identifier: Apache-2.0
"""A small city with outlines: three wards, a mill with a point, a road across two wards, a workshop that is not drawn, homes everywhere."""

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path

import shapely

import mangrove as mg
from mangrove.handle import Handle

WARDS = {
    "west": shapely.box(106.60, 10.70, 106.65, 10.80),
    "middle": shapely.box(106.65, 10.70, 106.70, 10.80),
    "east": shapely.box(106.70, 10.70, 106.75, 10.80),
}
POPULATION = {"west": 10_000, "middle": 30_000, "east": 60_000}
ROAD = shapely.LineString([(106.66, 10.71), (106.74, 10.71)])
MILL = (106.62, 10.75)
FILES = {
    "territory.yaml": """\
name: Thành phố Vẽ
kind: city
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: vi
gwp: AR5
boundary:
  root: city
""",
    "places.csv": """\
id,name,kind,parent,population,lon,lat
city,Thành phố Vẽ,city,,,,
west,Phường Tây,ward,city,10000,,
middle,Phường Giữa,ward,city,30000,,
east,Phường Đông,ward,city,60000,,
mill,Nhà máy,facility,west,,106.62,10.75
shop,Xưởng,facility,middle,,,
road,Đường 1,link,city,,,
""",
    "flows.csv": """\
id,place,carrier,unit,step,sector,scope,semantics,spread,gpc,factor,name
mill.power,mill,electricity,kWh,1h,industry,2,sum,,I.3.2,,Điện nhà máy
shop.coal,shop,fuel:anthracite,t,1d,industry,1,sum,,I.3.1,combustion/manufacturing/anthracite,Than
road.fuel,road,fuel:diesel,L,1mo,transport,1,sum,,II.1.1,combustion/road/diesel,Dầu
homes.power,city,electricity,MWh,1y,residential,2,sum,population,I.1.2,,Điện sinh hoạt
""",
}
FIRST, HOURS = datetime.fromisoformat("2023-01-01"), 8760


def power(hour: int) -> float:
    """The kWh of the mill in an hour of the year."""
    return 1000.0 + 400.0 * (hour % 24 > 6) + hour / 100


def drawn_city(folder: Path) -> Handle:
    """The city with the values of 2023 in its ledger."""
    city, meters = folder / "city", folder / "meters"
    for path in (city, meters):
        path.mkdir(parents=True)
    for name, text in FILES.items():
        (city / name).write_text(text, encoding="utf-8")
    features = [
        {"type": "Feature", "properties": {"id": name}, "geometry": shapely.geometry.mapping(shape)}
        for name, shape in {**WARDS, "road": ROAD}.items()
    ]
    collection = {"type": "FeatureCollection", "features": features}
    (city / "places.geojson").write_text(json.dumps(collection), encoding="utf-8")
    tables = {
        "mill.csv": [["time", "mill.power"], *([FIRST + timedelta(hours=i), power(i)] for i in range(HOURS))],
        "coal.csv": [["time", "shop.coal"], *([FIRST + timedelta(days=i), 2 + i % 7] for i in range(365))],
        "fuel.csv": [
            ["time", "road.fuel"],
            *([FIRST.replace(month=m), 9000 + 100 * m] for m in range(1, 13)),
        ],
        "homes.csv": [["time", "homes.power"], [FIRST, 5000]],
    }
    for name, rows in tables.items():
        with (meters / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    handle = mg.open(city)
    mg.ingest(handle, *(meters / name for name in tables), screen=False)
    return handle
