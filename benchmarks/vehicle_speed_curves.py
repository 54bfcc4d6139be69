# SPDX-License-Identifier: Apache-2.0
"""The HBEFA rows of `rules/data/vehicle_speed_curves.csv`, made again: SUMO's emission classes driven over an hour of five real networks.

Comes in: SUMO with its `emissionsDrivingCycle`, District 1/3 with its demand (`MANGROVE_DATA`), networks of the package `sumo-rl` with
motorbikes put into their demand. Goes out: one row per vehicle class, technology and pollutant on stdout: the curve of speed v and speed limit
w, a + b/v + c v + d v2 + w (e w + f (w - v)), over cells of link and five minutes, weighted with vehicle-kilometers, District 1/3 twice as much
as the others together, and how far single cells lie from it. Run: `python benchmarks/vehicle_speed_curves.py > rows.csv`.

Why the limit: every street of District 1/3 has one of 40 km/h. At the same mean speed a street of 50 km/h has 12 to 29 % more CO2 (20 to 35 km/h): vehicles
that stand as long as they do elsewhere speed up to more. Why slow: below 2 km/h vehicles emit by the hour and not by the kilometer.

A link is counted with the crossing behind it: a sixth of the emissions happens there. Trajectories: motorcycles for two-wheelers, cars for
cars, trucks for vans, buses and trucks (stops at bus stops are not in them). District 1/3: the first hour of the 90 s plan, seed 4; the others
as `streets_twin` drives them; sublane 0.8 m.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyarrow.csv as arrow

from mangrove import streets_demand, streets_twin

HOME = Path(os.environ["SUMO_HOME"])
DATA = Path(os.environ["MANGROVE_DATA"]) / "traffic/hcmc/district1_3"
POLLUTANTS = {"CO": 4, "CO2": 5, "HC": 6, "PM": 7, "NOx": 8, "fuel": 9, "electricity": 10}
"""Column of `emissionsDrivingCycle`: mg/s, electricity in Wh/s."""
ERRORS = ("CO2", "CO", "HC", "fuel", "NOx", "PM")
"""Order of the published errors of fit (SUMO documentation, HBEFA4-based), in percent."""
CLASSES: dict[str, tuple[str, str, str, tuple[float, ...]]] = {
    **{f"MC_4S_le250cc_{euro}": ("motorbike", euro, "moto", (2.97, 13.73, 12.06, 2.97, 16.67, 12.83)) for euro in ("preEuro", "Euro-1", "Euro-2", "Euro-3")},
    **{f"MC_4S_le250cc_{euro}": ("motorbike", euro, "moto", (2.42, 16.72, 16.83, 2.42, 28.22, 17.67)) for euro in ("Euro-4", "Euro-5", "Euro-6")},
    "MC_BEV": ("electric_motorbike", "battery", "moto", (1.40,)),
    "PC_petrol_Euro-1": ("car", "petrol Euro-1", "car", (4.91, 46.58, 30.13, 4.91, 13.09, 56.05)),
    "PC_petrol_Euro-2": ("car", "petrol Euro-2", "car", (4.74, 77.42, 27.27, 4.74, 21.60, 56.17)),
    "PC_petrol_Euro-3": ("car", "petrol Euro-3", "car", (4.73, 79.68, 29.58, 4.73, 21.87, 51.83)),
    "PC_petrol_Euro-4": ("car", "petrol Euro-4", "car", (4.32, 89.31, 55.25, 4.32, 15.90, 50.77)),
    "PC_petrol_Euro-5": ("car", "petrol Euro-5", "car", (4.36, 92.95, 44.90, 4.36, 13.61, 26.28)),
    "PC_petrol_Euro-6ab": ("car", "petrol Euro-6", "car", (4.17, 60.35, 27.12, 4.17, 15.20, 21.70)),
    "PC_diesel_Euro-2": ("car", "diesel Euro-2", "car", (7.44, 15.33, 4.85, 7.44, 13.94, 9.35)),
    "PC_diesel_Euro-3": ("car", "diesel Euro-3", "car", (7.58, 38.18, 8.16, 7.58, 17.22, 9.33)),
    "PC_diesel_Euro-4": ("car", "diesel Euro-4", "car", (7.46, 20.81, 4.07, 7.46, 23.40, 7.94)),
    "PC_diesel_Euro-5": ("car", "diesel Euro-5", "car", (7.06, 49.18, 7.78, 7.06, 16.83, 9.78)),
    "PC_diesel_Euro-6ab": ("car", "diesel Euro-6", "car", (7.03, 14.57, 15.64, 7.03, 21.56, 17.67)),
    "PC_BEV": ("electric_car", "battery", "car", (5.04,)),
    "LCV_diesel_N1-III_Euro-1": ("light_truck", "diesel Euro-1", "truck", (8.19, 11.86, 5.67, 8.19, 8.96, 10.79)),
    "LCV_diesel_N1-III_Euro-2": ("light_truck", "diesel Euro-2", "truck", (5.78, 12.42, 5.61, 5.78, 9.71, 7.77)),
    "LCV_diesel_N1-III_Euro-3": ("light_truck", "diesel Euro-3", "truck", (6.39, 37.58, 10.44, 6.39, 9.24, 7.68)),
    "LCV_diesel_N1-III_Euro-4": ("light_truck", "diesel Euro-4", "truck", (6.68, 26.43, 4.17, 6.68, 10.66, 7.95)),
    "LCV_diesel_N1-III_Euro-5": ("light_truck", "diesel Euro-5", "truck", (5.94, 30.24, 12.64, 5.94, 17.65, 12.82)),
    "LCV_diesel_N1-III_Euro-6ab": ("light_truck", "diesel Euro-6", "truck", (6.39, 32.94, 37.98, 6.39, 15.68, 20.77)),
    "UBus_Midi_le15t_Euro-II": ("minibus", "diesel Euro-II", "truck", (16.59, 26.51, 10.66, 16.59, 14.60, 12.51)),
    "UBus_Midi_le15t_Euro-III": ("minibus", "diesel Euro-III", "truck", (17.15, 24.86, 9.43, 17.15, 17.39, 8.08)),
    "UBus_Midi_le15t_Euro-IV_EGR": ("minibus", "diesel Euro-IV", "truck", (18.23, 17.77, 15.02, 18.23, 21.40, 18.52)),
    "UBus_Std_gt15-18t_Euro-I": ("bus", "diesel Euro-I", "truck", (16.76, 12.00, 11.40, 16.76, 21.83, 10.75)),
    "UBus_Std_gt15-18t_Euro-II": ("bus", "diesel Euro-II", "truck", (17.08, 14.53, 8.66, 17.08, 19.05, 13.38)),
    "UBus_Std_gt15-18t_Euro-III": ("bus", "diesel Euro-III", "truck", (17.60, 22.35, 13.12, 17.60, 20.23, 10.19)),
    "UBus_Std_gt15-18t_Euro-IV_SCR": ("bus", "diesel Euro-IV", "truck", (18.57, 29.94, 9.05, 18.57, 19.35, 18.76)),
    "UBus_Electric_Std_gt15-18t": ("electric_bus", "battery", "truck", (9.03,)),
    "RT_gt14-20t_Euro-I": ("truck", "diesel Euro-I", "truck", (19.35, 18.99, 8.93, 19.35, 19.58, 13.34)),
    "RT_gt14-20t_Euro-II": ("truck", "diesel Euro-II", "truck", (20.81, 27.36, 10.70, 20.81, 18.36, 17.35)),
    "RT_gt14-20t_Euro-III": ("truck", "diesel Euro-III", "truck", (21.43, 22.18, 9.44, 21.43, 17.58, 12.94)),
    "RT_gt14-20t_Euro-IV_SCR": ("truck", "diesel Euro-IV", "truck", (21.84, 29.90, 14.36, 21.84, 15.54, 23.24)),
    "RT_gt14-20t_Euro-V_SCR": ("truck", "diesel Euro-V", "truck", (21.40, 27.31, 17.45, 21.40, 23.75, 21.19)),
}  # fmt: skip
SUMO_CLASS = {
    "motorbike": "motorcycle", "electric_motorbike": "motorcycle", "car": "passenger", "electric_car": "passenger", "light_truck": "truck",
    "minibus": "bus", "bus": "bus", "electric_bus": "bus", "truck": "truck",
}  # fmt: skip
NETS = {"district1_3": 8.0, "cologne3": 1.0, "cologne8": 1.0, "ingolstadt7": 1.0, "ingolstadt21": 1.0}
"""Networks, and what each weighs in the fit: the streets of motorbikes twice as much as all others. Never driven here: cologne1, ingolstadt1."""
KIND = {"moto": "motorbike", "truck": "light_truck"}
SEED, HOUR, WARM = 20261603, 3600, 900
SLOWEST, LEAST_LIMIT, FASTEST = 0.5, 20.0, 50.0
"""Least speed and limit, km/h, and the greatest of both: what is less or greater is taken as these. Of these networks ingolstadt21 alone has
streets above 50 km/h, with a tenth of its vehicle-kilometers, and the type of motorcycles drives 14 m/s at most."""
INTERVAL, LEAST_KM, BIKES = 300, 0.05, 3
"""Seconds of a cell; cells with less are left out; one motorcycle of so many is driven."""


def main() -> None:
    """One row per class and pollutant."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = _trajectories(Path(os.environ.get("MANGROVE_TRAJECTORIES", folder)))
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(["class", "vehicle", "technology", "pollutant", *"abcdef", "model_error", "link_scatter", "scatter"])  # fmt: skip
        for name, (vehicle, technology, kind, errors) in CLASSES.items():
            table = _driven(Path(folder), name, vehicle, seconds[kind])
            if len(errors) == 1:
                wanted = {"electricity": errors[0]}
            else:
                wanted = dict(zip(ERRORS, errors, strict=True))
            for pollutant, error in wanted.items():
                row = _fit(seconds[kind], table[:, POLLUTANTS[pollutant]] / 1e3)
                out.writerow([name, vehicle, technology, pollutant, *(f"{x:.5g}" for x in row[:6]), error / 100, *(f"{x:.3f}" for x in row[6:])])  # fmt: skip
                sys.stdout.flush()


def _trajectories(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Speed, acceleration and cell of every second of every vehicle, by kind, in order of vehicles; limit and weight of each cell."""
    parts: dict[str, list[dict[str, np.ndarray]]] = {"moto": [], "car": [], "truck": []}
    for name, weight in NETS.items():
        net, made = _simulated(name, folder)
        rows = arrow.read_csv(made, parse_options=arrow.ParseOptions(delimiter=";")).to_pandas().dropna()
        approach, limit = _approaches(net)
        lanes = {lane: lane.rsplit("_", 1)[0] for lane in rows.vehicle_lane.unique()}
        rows["edge"] = rows.vehicle_lane.map({lane: approach.get(edge, edge) for lane, edge in lanes.items()})
        rows = rows.sort_values(["vehicle_id", "timestep_time"])
        for kind, found in parts.items():
            whole = rows[rows.vehicle_type.isin([kind, KIND.get(kind, kind)])]
            every = BIKES if kind == "moto" else 1
            part = whole[whole.vehicle_id.astype("category").cat.codes % every == 0]
            interval = (part.timestep_time // INTERVAL).astype(int).astype(str)
            cell = (part.edge + ";" + interval).astype("category").cat
            km = part.vehicle_speed.sum() / 1000
            found.append(
                {
                    "speed": part.vehicle_speed.to_numpy(),
                    "acceleration": part.vehicle_acceleration.to_numpy(),
                    "cell": cell.codes.to_numpy(),
                    "limit": np.array([limit.get(one.rsplit(";", 1)[0], np.nan) for one in cell.categories]),
                    "weight": np.full(len(cell.categories), weight / km),
                    "share": np.full(len(cell.categories), weight / len(cell.categories)),
                }
            )
    return {kind: _joined(found) for kind, found in parts.items()}


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The networks one after the other, cells numbered through."""
    before = np.cumsum([0] + [len(part["limit"]) for part in parts])
    for part, first in zip(parts, before, strict=False):
        part["cell"] = part["cell"] + first
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _simulated(name: str, folder: Path) -> tuple[Path, Path]:
    """A network, and where SUMO's table of all vehicles in all seconds lies."""
    made, routes = folder / f"{name}.csv", DATA / "hcm.rou.xml"
    net, begin, end, seed = DATA / "before.net.xml", 0, HOUR, 4
    if name in streets_twin.NETS:
        net, routes = streets_twin.scenario(name) / f"{name}.net.xml", folder / f"{name}.rou.xml"
        begin, end, seed = streets_demand.PEAK * HOUR, (streets_demand.PEAK + 1) * HOUR, SEED
    if not made.exists():
        if name in streets_twin.NETS:
            hours = streets_demand.shape(streets_demand.PEAK - 1, streets_demand.PEAK + 1)
            streets_demand.write([net.with_name(f"{name}.rou.xml")], routes, seed=SEED, hours=hours)
        subprocess.run(
            [HOME / "bin/sumo", "-n", net, "-r", routes, "--begin", str(max(begin - WARM, 0)), "--end", str(end), "--seed", str(seed),
             "--lateral-resolution", "0.8", "--time-to-teleport", "120", "--no-step-log", "--no-warnings", "--fcd-output", made,
             "--device.fcd.begin", str(begin), "--fcd-output.acceleration", "--fcd-output.attributes", "id,speed,type,lane,acceleration"],
            check=True,
        )  # fmt: skip
    return net, made


def _approaches(net: Path) -> tuple[dict[str, str], dict[str, float]]:
    """The edge from which each edge inside a crossing is entered, and the limit of each edge outside, km/h."""
    tree = ET.parse(net).getroot()
    from_ = {
        one.get("via").rsplit("_", 1)[0]: one.get("from")
        for one in tree.findall("connection")
        if one.get("via")
    }
    limit = {one.get("id"): float(one.find("lane").get("speed")) * 3.6 for one in tree.findall("edge")}

    def outside(edge: str) -> str:
        return outside(from_[edge]) if edge.startswith(":") and edge in from_ else edge

    return {edge: outside(edge) for edge in from_}, limit


def _driven(folder: Path, name: str, vehicle: str, seconds: dict[str, np.ndarray]) -> np.ndarray:
    """What the class emits each second. The type is named because mass and coasting of SUMO hang on its class."""
    cycle, out, types = folder / "cycle.csv", folder / "out.csv", folder / "types.xml"
    types.write_text(
        f'<additional><vType id="driven" vClass="{SUMO_CLASS[vehicle]}" emissionClass="HBEFA4/{name}"/></additional>'
    )
    count = np.arange(len(seconds["speed"]))
    np.savetxt(cycle, np.column_stack([count, seconds["speed"], seconds["acceleration"]]), "%g", ";")
    subprocess.run(
        [HOME / "bin/emissionsDrivingCycle", "-t", cycle, "--additional-files", types, "--vtype", "driven", "-o", out],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return arrow.read_csv(
        out, read_options=arrow.ReadOptions(autogenerate_column_names=True), parse_options=arrow.ParseOptions(delimiter=";")
    ).to_pandas().to_numpy()[:, :11]  # fmt: skip


def _fit(seconds: dict[str, np.ndarray], grams: np.ndarray) -> tuple[float, ...]:
    """Coefficients a to f, and the scatter of cells: relative variance = link_scatter^2 + scatter^2 / vehicle-km."""
    km = np.bincount(seconds["cell"], seconds["speed"] / 1000)
    hours = np.bincount(seconds["cell"]) / 3600
    mass = np.bincount(seconds["cell"], grams)
    use = (km > LEAST_KM) & np.isfinite(seconds["limit"])
    km, mass, share = km[use], mass[use], seconds["share"][use]
    speed = np.clip(km / hours[use], SLOWEST, FASTEST)
    limit = np.maximum(np.clip(seconds["limit"][use], LEAST_LIMIT, FASTEST), speed)
    one, behind = np.ones_like(speed), limit - speed
    terms = np.column_stack([one, 1 / speed, speed, speed**2, limit**2, limit * behind])
    root = np.sqrt(km * seconds["weight"][use])
    curve = np.linalg.lstsq(terms * root[:, None], mass / km * root, rcond=None)[0]
    fitted = terms @ curve
    square = (mass / km / fitted - 1) ** 2
    near = square < np.quantile(square, 0.99)
    design = np.column_stack([np.ones(near.sum()), 1 / km[near]])
    weight = np.sqrt(share[near]) / (0.02 + 0.02 / km[near])
    scatter = np.linalg.lstsq(design * weight[:, None], square[near] * weight, rcond=None)[0]
    return (*curve, *np.sqrt(np.maximum(scatter, 0)))


if __name__ == "__main__":
    main()
