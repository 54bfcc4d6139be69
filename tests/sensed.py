# SPDX-License-Identifier: Apache-2.0
"""A place with methane sensors around an unknown source: declared, ingested and true, for tests of what sensors can tell."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from mangrove.inference.concentration import kg_per_ppm
from mangrove.inference.plume import Winds, footprint, path_footprint
from mangrove.ledger import Ledger, Origin
from mangrove.testing import values

LON, LAT = 106.70, 10.77
SOURCE = (40.0, -25.0, 1.0)
RATE = 0.004
"""kg/s: 14.4 kg/h."""
START = datetime(2024, 3, 1, tzinfo=UTC)
STEPS, MINUTES = 216, 20
_SENSORS = ((-220, -180), (230, -160), (200, 210), (-190, 200), (0, 280))


def degrees(x, y):
    """Lon and lat of a point x m east and y m north of the middle, on a sphere (0.5 % of what the ellipsoid gives)."""
    import pyproj

    back = pyproj.Transformer.from_crs(
        f"+proj=aeqd +lat_0={LAT} +lon_0={LON} +datum=WGS84 +units=m", "EPSG:4326", always_xy=True
    )
    return back.transform(x, y)


def weather(seed=3):
    """Speeds (m/s) and directions that the wind comes from (degrees), turning round the compass in three days."""
    rng = np.random.default_rng(seed)
    speed = 2.5 + np.cumsum(rng.normal(0, 0.15, STEPS)).clip(-1.2, 2)
    return speed, (np.linspace(0, 720, STEPS) + np.cumsum(rng.normal(0, 6, STEPS))) % 360


def readings(seed=4, noise=0.02, rate=RATE):
    """(6, STEPS) ppm of five points and one open path around the source, on a background of 1.95 ppm."""
    rng = np.random.default_rng(seed)
    speed, degree = weather()
    from mangrove.inference.dispersion_classes import by_hour

    clock = np.array([np.datetime64(moment.replace(tzinfo=None), "us") for moment in moments()])
    winds = Winds.coming_from(speed, degree, mixing=1000.0, stability=by_hour(speed, clock, LON, LAT))
    at = np.array([(x, y, 3.0) for x, y in _SENSORS])
    seen = footprint(at, [SOURCE], winds)[..., 0]
    path = path_footprint([(-200.0, -60.0, 3.0)], [(220.0, -120.0, 3.0)], [SOURCE], winds)[..., 0]
    signal = rate * np.vstack([seen, path]) / kg_per_ppm("ch4")
    return (
        1.95
        + signal * (1 + 0.3 * rng.standard_normal(signal.shape))
        + noise * rng.standard_normal(signal.shape)
    )


def moments():
    """The starts of the readings."""
    return [START + timedelta(minutes=MINUTES) * i for i in range(STEPS)]


def declared(folder: Path) -> Path:
    """Writes the territory."""
    folder.mkdir(parents=True, exist_ok=True)
    spots = [(f"s{i}", x, y) for i, (x, y) in enumerate(_SENSORS)]
    spots += [("laser", -200.0, -60.0), ("mirror", 220.0, -120.0), ("mast", 10.0, 10.0)]
    rows = [
        f"{name},{name},facility,town,{degrees(x, y)[0]:.8f},{degrees(x, y)[1]:.8f}" for name, x, y in spots
    ]
    (folder / "territory.yaml").write_text(
        "name: Town\nkind: city\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: en\ngwp: AR5\nboundary:\n  root: town\n"
    )
    (folder / "places.csv").write_text(
        "\n".join(["id,name,kind,parent,lon,lat", "town,Town,city,,,", *rows, ""])
    )
    air = [f"ch4.s{i},s{i},,air:ch4,ppm,20min,state,height=3 m" for i in range(len(_SENSORS))]
    air.append("ch4.path,laser,mirror,air:ch4,ppm,20min,state,height=3 m")
    wind = [
        "speed,mast,,weather:wind_speed,m/s,20min,state,",
        "from,mast,,weather:wind_from,deg,20min,state,",
    ]
    head = "id,place,to_place,carrier,unit,step,semantics,parameters"
    (folder / "flows.csv").write_text("\n".join([head, *air, *wind, ""]))
    return folder


def sensed_town(folder: Path, *, turned=0.0, rate=RATE) -> Path:
    """The territory with three days of readings in its ledger; `turned`: degrees by which the stored direction is wrong."""
    declared(folder)
    speed, degree = weather()
    names = [f"ch4.s{i}" for i in range(len(_SENSORS))] + ["ch4.path"]
    columns = [
        *zip(names, readings(rate=rate), strict=True),
        ("speed", speed),
        ("from", (degree + turned) % 360),
    ]
    rows = [(name, at, float(v)) for name, column in columns for at, v in zip(moments(), column, strict=True)]
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(values(rows), Origin("file:sensors.csv", "1"))
    return folder
