# SPDX-License-Identifier: Apache-2.0
"""Plumes, the controlled release at Chilbolton, and verdicts on stations: speed, errors against truth, and how often intervals hold.

    python benchmarks/locate.py footprint
    MANGROVE_DATA=... python benchmarks/locate.py release
    python benchmarks/locate.py coverage
    MANGROVE_DATA=... python benchmarks/locate.py stations
    python benchmarks/locate.py twins

Figures are CPU seconds of one core. The release: position (m) and rate (kg/s) are known and were not told to the engine; the wind is an
angle of where the air goes, which the test of conventions finds by itself.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import real
from mangrove.errors import DataQualityError
from mangrove.inference.concentration import kg_per_ppm
from mangrove.inference.locate import Beliefs, Readings, locate
from mangrove.inference.plume import Winds, footprint, projected
from mangrove.inference.station_change import Hours, change
from mangrove.inference.wind import conventions, toward

BOX = (20.0, -20.0, 100.0, 140.0)


def clocked(work):
    """The result of work and its CPU seconds."""
    start = time.process_time()
    made = work()
    return made, time.process_time() - start


def speed():
    """Footprints of 20 sensors x 168 hours x 6,750 cells."""
    rng = np.random.default_rng(0)
    east, north = np.meshgrid(np.arange(75) * 1000.0, np.arange(90) * 1000.0)
    cells = np.column_stack([east.ravel(), north.ravel(), np.zeros(east.size)])
    sensors = np.column_stack([rng.uniform(0, 75e3, 20), rng.uniform(0, 90e3, 20), np.full(20, 10.0)])
    winds = Winds.coming_from(
        rng.uniform(1, 6, 168), rng.uniform(0, 360, 168), mixing=rng.uniform(300, 1500, 168),
        stability=rng.integers(0, 6, 168),
    )  # fmt: skip
    maps = rng.random((len(cells), 12))
    footprint(sensors[:1], cells[:9], winds, cell_size=1000.0)
    projected(sensors[:1], cells[:9], winds, maps[:9], cell_size=1000.0)
    whole = min(clocked(lambda: footprint(sensors, cells, winds, cell_size=1000.0))[1] for _ in range(5))
    short = min(
        clocked(lambda: projected(sensors, cells, winds, maps, cell_size=1000.0))[1] for _ in range(5)
    )
    print(f"H, 20 x 168 x 6,750: {whole:.2f} CPU s; projected on 12 maps without H: {short:.2f} CPU s")


def release():
    """Chilbolton, source 1, all seven beams and all minutes; then the conventions of the wind."""
    folder = real.folder("sensing")
    ppm = np.loadtxt(folder / "chilbolton_ch4_ppm_source_1.csv", skiprows=1).reshape(7, -1)
    wind = np.loadtxt(folder / "chilbolton_wind_source_1.csv", skiprows=1, delimiter=",")
    places = json.loads((folder / "chilbolton_instruments.json").read_text())
    truth = json.loads((folder / "chilbolton_source_1_truth.json").read_text())
    (x, y, _), rate = truth["source_1_location"], truth["source_1_emission_rate"]
    ends = np.array([places[f"reflector_{i}"] for i in range(1, 8)], dtype=float)
    starts = np.array([places["line_of_sight_sensor"]] * 7, dtype=float)
    weight = kg_per_ppm("ch4", 15.0)
    count = len(wind)
    east, north = toward(wind[:, 1], "angle_toward")
    turbulence = np.column_stack([wind[:, 2], np.zeros((count, 2)), wind[:, 3], np.zeros((count, 2))])
    base = Winds(wind[:, 0], east, north, np.full(count, 1000.0), np.full(count, 2), "rural")
    variants = {
        "Briggs rural C, factors unknown": base,
        "measured turbulence, factors unknown": Winds(
            base.speed, east, north, base.mixing, base.stability, "rural", turbulence
        ),
    }
    for name, winds in variants.items():
        readings = Readings(ppm * weight, starts, ends)
        found, spent = clocked(lambda w=winds, r=readings: locate(r, w, BOX, beliefs=Beliefs(height=0.3)))
        mean = found.mean()
        middle, low, high = (v / rate for v in found.interval())
        axis = math.sqrt(5.991 * np.linalg.eigvalsh(found.covariance()).max())
        print(
            f"{name}: {math.hypot(mean[0] - x, mean[1] - y):.1f} m off, 95 % region to {axis:.0f} m, truth at rank "
            f"{found.rank_of(x, y):.2f}; rate / truth {middle:.2f} ({low:.2f} to {high:.2f}); residual "
            f"{found.residual / weight:.3f} ppm; variance widened {found.inflation:.1f} times; {spent:.0f} CPU s"
        )
    for known in (True, False):
        where = {"places": [(x, y, 0.3)]} if known else {"box": BOX}
        made = conventions(ppm * weight, starts, ends, wind[:, 1], base, **where)
        shares = ", ".join(f"{fit.convention} {fit.explained:.2f}" for fit in made.fits)
        print(
            f"conventions, source {'known' if known else 'unknown'}: {shares}; ahead of 'from' by {made.ahead:.1f}"
        )


def coverage(count=100):
    """Synthetic sources at random places: how often the 95 % region and interval hold the truth."""
    sensors = np.array([[-200.0, -150, 3], [210, -180, 3], [180, 220, 3], [-230, 190, 3]])
    inside = rates = 0
    off = []
    for seed in range(count):
        rng = np.random.default_rng([11, seed])
        degrees = np.linspace(0, 500, 60) + rng.normal(0, 15, 60)
        winds = Winds.coming_from(rng.uniform(1.2, 4, 60), degrees, mixing=800.0, stability=2)
        place = (*rng.uniform(-150, 150, 2), 1.0)
        signal = 0.002 * footprint(sensors, [place], winds)[..., 0]
        noisy = (
            1.3e-6
            + signal * (1 + 0.4 * rng.standard_normal(signal.shape))
            + 2e-8 * rng.standard_normal(signal.shape)
        )
        found = locate(Readings(noisy, sensors, sensors), winds, (-400, -400, 400, 400), draws=200, seed=seed)
        inside += found.rank_of(*place[:2]) <= 0.95
        _, low, high = found.interval()
        rates += low < 0.002 < high
        off.append(math.hypot(found.mean()[0] - place[0], found.mean()[1] - place[1]))
    print(
        f"{count} synthetic sources, 4 points, 60 times: region holds {inside}, rate interval {rates}, median {np.median(off):.0f} m off"
    )


def stations():
    """Causes put into the real HealthyAir stations: what the verdict is, without wind, by station."""
    with (real.folder("air") / "healthyair_hcmc_hourly.csv").open() as file:
        rows = list(csv.DictReader(file))
    start = datetime(
        2021, 10, 15, tzinfo=UTC
    )  # wall-clock time of Ho Chi Minh City, which knows no summer time
    species, count = ("CO", "NO2", "PM2.5"), 24 * 240
    values, weather = np.full((6, 3, count), np.nan), np.full((6, count, 2), np.nan)
    for row in rows:
        at = int(
            (datetime.strptime(row["date"], "%d-%m-%Y %H:%M").replace(tzinfo=UTC) - start).total_seconds()
            // 3600
        )
        if 0 <= at < count:
            station = int(row["Station_No"]) - 1
            values[station, :, at] = [float(row[name] or "nan") for name in species]
            weather[station, at] = [float(row[name] or "nan") for name in ("Temperature", "Humidity")]
    hour, day = np.arange(count) % 24, np.arange(count) // 24
    road = (
        np.array([2, 1, 1, 1, 2, 4, 10, 18, 18, 14, 12, 12, 13, 14, 14, 16, 20, 20, 15, 11, 8, 6, 5, 3]) / 10
    )
    road /= road.mean()
    for cause in ("nothing", "instrument +30 %", "activity -40 %"):
        verdicts: dict[str, int] = {}
        for station in range(6):
            for cut in (90, 120, 150):
                hours = Hours(
                    hour,
                    (day + 4) % 7 >= 5,
                    day,
                    (day >= cut - 80) & (day < cut),
                    (day >= cut) & (day < cut + 45),
                )
                own = values[station].copy()
                if cause.startswith("instrument"):
                    own[0, hours.after] *= 1.3
                if cause.startswith("activity"):
                    own[:, hours.after] *= 1 - 0.4 * np.minimum(road[hour[hours.after]] / road.max(), 1.0)
                others = np.nanmean(np.log(np.delete(values, station, axis=0)), axis=0)
                try:
                    made = change(species, own, weather[station], hours, road, neighbors=np.exp(others))
                except DataQualityError as error:
                    verdicts[type(error).__name__] = verdicts.get(type(error).__name__, 0) + 1
                    continue
                sure = made.likely if max(made.causes.values()) > 0.8 else "open"
                verdicts[sure] = verdicts.get(sure, 0) + 1
        print(f"HealthyAir, {cause}: {verdicts}")


def twins(count=30):
    """The synthetic stations of the tests: verdicts by true cause."""
    path = Path(__file__).parent.parent / "tests" / "inference" / "test_station_change.py"
    spec = importlib.util.spec_from_file_location("twins", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    for cause, size in (
        ("none", 0.0), ("air", 0.25), ("activity", -0.2), ("activity", -0.35), ("instrument", 0.15), ("instrument", 0.3),
    ):  # fmt: skip
        found = made.verdicts(cause, size, count)
        told = {
            name: sum(one.likely == name for one in found) for name in ("weather", "activity", "instrument")
        }
        alone = made.verdicts(cause, size, count, alone=True)
        single = {name: sum(one.likely == name for one in alone) for name in told}
        print(f"twins, {cause} {size:+.2f}: {told}; without neighbors {single}")


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", RuntimeWarning)
    {"footprint": speed, "release": release, "coverage": coverage, "stations": stations, "twins": twins}[
        sys.argv[1]
    ]()
