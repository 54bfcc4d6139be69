"""A made-up city of four square wards with traffic, factories, twelve stations and a wind: its readings come from a known truth."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

import mangrove as mg
from mangrove.inference.plume import footprint
from mangrove.ledger import Origin
from mangrove.times import Span

START, DAYS = datetime(2026, 3, 1, 17, tzinfo=UTC), 5
LON, LAT, SIDE = 106.70, 10.80, 0.04
HOURS = 24 * DAYS
UNCERTAINTY = {"co2": "0.1 %", "co": "5 %"}
SPECIES = ("co2", "co")


def city(folder: Path, *, stations=8, species=SPECIES, wards=2) -> mg.Handle:
    """Writes and opens the city: hourly fuel of traffic and factories in each ward."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    features = [_feature("city", "Thành phố Cảm Biến", "city", None, None)]
    flows = []
    for row in range(wards):
        for column in range(wards):
            ward = f"w{row}{column}"
            west, south = LON + column * SIDE, LAT + row * SIDE
            ring = [
                [west, south],
                [west + SIDE, south],
                [west + SIDE, south + SIDE],
                [west, south + SIDE],
                [west, south],
            ]
            features.append(
                _feature(
                    ward, f"Phường {row}{column}", "ward", "city", {"type": "Polygon", "coordinates": [ring]}
                )
            )
            flows.append(
                f"{ward}.road,{ward},fuel:gasoline,t,1h,road,1,sum,II.1.1,combustion/road/gasoline,,"
            )
            flows.append(
                f"{ward}.works,{ward},fuel:anthracite,t,1h,industry,1,sum,I.3.1,combustion/manufacturing/anthracite,,"
            )
    for number in range(stations):
        lon, lat = (first + random.uniform(0.05, 0.95) * wards * SIDE for first in (LON, LAT))
        features.append(_feature(f"s{number}", f"Trạm {number}", "station", "city", None, lon=lon, lat=lat))
        flows += [
            f"s{number}.{name},s{number},air:{name},ug/m3,1h,,,state,,,{UNCERTAINTY[name]},"
            for name in species
        ]
    for code, unit in (("wind_speed", "m/s"), ("wind_from", "deg"), ("mixing_height", "m")):
        flows.append(f"met.{code},s0,weather:{code},{unit},1h,,,state,,,,")
    (folder / "territory.yaml").write_text(
        "name: Thành phố Cảm Biến\nkind: city\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: vi\ngwp: AR5\nboundary:\n  root: city\n",
        encoding="utf-8",
    )
    (folder / "places.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8"
    )
    header = "id,place,carrier,unit,step,sector,scope,semantics,gpc,factor,uncertainty,name\n"
    (folder / "flows.csv").write_text(header + "\n".join(flows) + "\n", encoding="utf-8")
    return mg.open(folder)


def _feature(id_, name, kind, parent, geometry, **position):
    properties = {"id": id_, "name": name, "kind": kind, **({"parent": parent} if parent else {}), **position}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def weather(seed=3):
    """Wind speed, direction it comes from, mixing height, hour by hour."""
    random = np.random.default_rng(seed)
    local = (np.arange(HOURS)) % 24
    direction = (np.cumsum(random.normal(0, 25, HOURS)) + 135) % 360
    speed = 2.0 + 1.5 * random.random(HOURS)
    mixing = np.where((local >= 8) & (local < 18), 1200.0, 300.0)
    return speed, direction, mixing


def fill(park: mg.Handle, multipliers=None, *, drift=None, seed=1, from_is_toward=False, land=None):
    """Stores activity, weather and readings of a truth in which sectors emit `multipliers` times the inventory.

    `drift`: (station, factor at the end). `land`: what air from the east holds more of each species than air from the west, ug/m3. Returns
    the true multipliers.
    """
    from mangrove.measure import sensing, sensing_prior

    random = np.random.default_rng(seed)
    true = {"road": 1.0, "industry": 1.0, **(multipliers or {})}
    local = np.arange(HOURS) % 24
    road = (
        1.0
        + 0.8 * np.exp(-((local - 7.5) ** 2) / 4)
        + 0.9 * np.exp(-((local - 17.5) ** 2) / 5)
        - 0.7 * (local < 5)
    )
    series = {}
    for flow in park.territory.flows.values():
        if flow.sector == "road":
            series[flow.id] = 6.0 * road
        elif flow.sector == "industry":
            series[flow.id] = np.full(HOURS, 12.0)
    speed, direction, mixing = weather()
    series |= {"met.wind_speed": speed, "met.wind_from": direction, "met.mixing_height": mixing}
    _store(park, series, "activity")
    readings = {f.id: np.full(HOURS, 1.0) for f in park.territory.flows.values() if f.carrier.kind == "air"}
    _store(park, readings, "first")  # so that the sensors are there; the truth corrects them
    span = Span(START, START + timedelta(hours=HOURS))
    prior = sensing_prior.sources(park, span, "")
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        seen = sensing.read(snapshot, park.territory, span, (), prior.epsg, "urban")
    seen, ratios, _, _ = sensing._with_ratios(seen, prior)
    air = footprint(seen.start, prior.cells, seen.winds, cell_size=prior.size, dtype=np.float32)
    response = sensing._responses(seen, prior, ratios, air)
    factor = np.array([true[name] for name in prior.sectors])
    signal = (response * factor[None, None, :, None]).sum(axis=(2, 3))
    walks = {
        "co2": 750_000.0 + np.cumsum(random.normal(0, 200.0, HOURS)),
        "co": 300.0 + np.cumsum(random.normal(0, 3.0, HOURS)),
    }
    for row, flow in enumerate(seen.flows):
        value = signal[row] + walks[flow.carrier.code]
        if land:
            value = value + land[flow.carrier.code] * (direction < 180)
        if drift and flow.place == drift[0]:
            value = value * np.linspace(1.0, drift[1], HOURS)
        readings[flow.id] = value * (
            1 + (0.0005 if flow.carrier.code == "co2" else 0.02) * random.standard_normal(HOURS)
        )
    _store(park, readings, "truth")
    if from_is_toward:
        _store(park, {"met.wind_from": (direction + 180) % 360}, "turned")
    return true


def _store(park, series, seq, run="measured"):
    starts = [START + timedelta(hours=hour) for hour in range(HOURS)]
    table = pa.table({
        "flow": pa.array([name for name in series for _ in starts], pa.string()),
        "start": pa.array(starts * len(series), pa.timestamp("us", tz="UTC")),
        "value": pa.array(np.concatenate(list(series.values())), pa.float64()),
    })  # fmt: skip
    with park.writer() as ledger:
        ledger.append(table, Origin("test", seq, run))
