"""A small city whose streets are counted: two wards, four streets, a network of its own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from mangrove import api
from mangrove.ledger import Ledger, Origin
from mangrove.testing import values

START = datetime(2026, 6, 3, tzinfo=UTC) + timedelta(hours=0)  # a Wednesday, 07:00 in Ho Chi Minh City
CELLS = 12

TERRITORY = """name: Small city
kind: city
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: en
gwp: AR5
{more}"""
PLACES = """{{"type": "FeatureCollection", "features": [
{{"type": "Feature", "properties": {{"id": "city", "name": "City", "kind": "city"}}, "geometry": null}},
{{"type": "Feature", "properties": {{"id": "west", "name": "West", "kind": "ward", "parent": "city"}}, "geometry": {west}}},
{{"type": "Feature", "properties": {{"id": "east", "name": "East", "kind": "ward", "parent": "city"}}, "geometry": {east}}}
]}}"""
HEAD = "id,place,carrier,unit,step,semantics,scope,gpc,method,parameters,uncertainty,account\n"
FLOWS = """main_moto,west,vehicles:motorbike,vehicle,5min,sum,,,,link=main; length=400 m,,memo
main_car,west,vehicles:car,vehicle,5min,sum,,,,link=main; length=400 m,,memo
main_speed,west,speed,km/h,5min,state,,,,link=main; length=400 m,,memo
side_moto,east,vehicles:motorbike,vehicle,5min,sum,,,,link=side; length=250 m,,memo
side_car,east,vehicles:car,vehicle,5min,sum,,,,link=side; length=250 m,,memo
side_speed,east,speed,km/h,5min,state,,,,link=side; length=250 m,,memo
third_all,east,vehicles,vehicle,5min,sum,,,,link=third; length=300 m,,memo
third_speed,east,speed,km/h,5min,state,,,,link=third; length=300 m,,memo
"""
RESULTS = """west_co2,west,reported:CO2,kg,1h,sum,1,II.1.1,reported,vehicles=all,,inventory
east_co2,east,reported:CO2,t,1h,sum,1,II.1.1,reported,vehicles=all,,inventory
east_nox,east,reported:NOx,kg,1h,sum,1,II.1.1,reported,vehicles=all,,inventory
city_km,city,vehicle_km:motorbike,vehicle_km,1h,sum,,,,vehicles=motorbike,,memo
"""


def square(west: float, east: float) -> str:
    """A GeoJSON rectangle."""
    ring = [[west, 10.77], [east, 10.77], [east, 10.79], [west, 10.79], [west, 10.77]]
    return str({"type": "Polygon", "coordinates": [ring]}).replace("'", '"')


def city(folder: Path, flows: str = FLOWS + RESULTS, more: str = ""):
    """An opened city."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "territory.yaml").write_text(TERRITORY.format(more=more))
    (folder / "places.geojson").write_text(
        PLACES.format(west=square(106.66, 106.68), east=square(106.68, 106.70))
    )
    (folder / "flows.csv").write_text(HEAD + flows)
    return api.open(folder)


def fill(park, series: dict[str, object], start: datetime = START, step: int = 300) -> None:
    """Stores values of flows: a number for each interval, or one for all of an hour; None leaves one out."""
    rows = []
    for flow, given in series.items():
        each = [given] * (3600 // step) if np.isscalar(given) else list(given)
        rows += [
            (flow, start + timedelta(seconds=step * n), value)
            for n, value in enumerate(each)
            if value is not None
        ]
    with Ledger.open(park.store) as ledger:
        ledger.append(values(rows), Origin("test", f"{start.isoformat()}{sorted(series)}{len(rows)}"))


USUAL = {
    "main_moto": 120.0, "main_car": 10.0, "main_speed": 18.0, "side_moto": 60.0, "side_car": 4.0, "side_speed": 30.0,
    "third_all": 50.0, "third_speed": 24.0,
}  # fmt: skip


def counted(folder: Path) -> Path:
    """The folder of a city with an hour of counts; made once."""
    if not folder.exists():
        fill(city(folder), USUAL)
    return folder


NET = """<net>
<location netOffset="0.00,0.00" convBoundary="0,0,1,1" origBoundary="0,0,1,1" projParameter="+proj=utm +zone=48 +ellps=WGS84 +datum=WGS84 +units=m +no_defs"/>
<edge id=":b_0" function="internal"><lane id=":b_0_0" index="0" speed="8" length="20.0" shape="0,0 1,1"/></edge>
<edge id="main" from="a" to="b" type="highway.primary"><lane id="main_0" index="0" speed="13.89" length="380.0" shape="{ax},{y} {bx},{y}"/></edge>
<edge id="side" from="b" to="c" type="highway.primary"><lane id="side_0" index="0" speed="13.89" length="250.0" shape="{bx},{y} {cx},{y}"/></edge>
<edge id="third" from="c" to="d" type="highway.primary"><lane id="third_0" index="0" speed="13.89" length="300.0" shape="{cx},{y} {dx},{y}"/></edge>
<edge id="fourth" from="d" to="a" type="highway.primary"><lane id="fourth_0" index="0" speed="13.89" length="900.0" shape="{dx},{y} {ax},{y}"/></edge>
<junction id="a" type="priority" x="{ax}" y="{y}"/><junction id="b" type="priority" x="{bx}" y="{y}"/>
<junction id="c" type="priority" x="{cx}" y="{y}"/><junction id="d" type="priority" x="{dx}" y="{y}"/>
<connection from="main" to="side" fromLane="0" toLane="0" via=":b_0_0"/>
</net>"""


def write_net(folder: Path) -> None:
    """The network: the border between the wards cuts `main` in its middle."""
    from pyproj import Transformer

    to = Transformer.from_crs(
        "EPSG:4326", "+proj=utm +zone=48 +ellps=WGS84 +datum=WGS84 +units=m", always_xy=True
    )
    border, y = to.transform(106.68, 10.78)
    at = {"ax": border - 200, "bx": border + 200, "cx": border + 450, "dx": border + 750}
    (folder / "small.net.xml").write_text(
        NET.format(y=f"{y:.2f}", **{name: f"{x:.2f}" for name, x in at.items()})
    )


COUNTED = [f"{i}{j}_{i + 1}{j}" for i in range(3) for j in range(4)]
"""The streets of the grid that are counted."""


def silent_speeds(folder: Path):
    """The small city on its network, with counts and without speeds: these come from probe vehicles."""
    folder.mkdir()
    write_net(folder)
    made = city(folder, more="traffic:\n  network: small.net.xml\n")
    fill(made, {name: value for name, value in USUAL.items() if "speed" not in name})
    return made


def half_counted(folder: Path):
    """A city on a grid of streets of which twelve are counted."""
    from tests.traffic.test_uncounted import write_grid

    folder.mkdir()
    net = write_grid(folder)
    flows = "".join(
        f"m{n},city,vehicles:motorbike,vehicle,5min,sum,,,,link='{name}',,memo\n"
        f"s{n},city,speed,km/h,5min,state,,,,link='{name}',,memo\n"
        for n, name in enumerate(COUNTED)
    )
    flows += "city_co2,city,reported:CO2,kg,1h,sum,1,II.1.1,reported,vehicles=all,,inventory\n"
    made = city(folder, flows, more=f"traffic:\n  network: {net.name}\n")
    fill(made, {f"m{n}": 60.0 + n for n in range(12)} | {f"s{n}": 22.0 for n in range(12)})
    return made
