# SPDX-License-Identifier: Apache-2.0
"""Equilibria against AequilibraE and the published flows, trips from counts, and a verdict on the inner city of Ho Chi Minh City.

Networks of Transportation Networks for Research and of OpenStreetMap, named by MANGROVE_DATA. The peer runs in an interpreter of its own,
named by AEQUILIBRAE (a Python with aequilibrae 1.7); without it its column is left out.
`python benchmarks/assignment.py [equilibrium|counts|verdict|gaps]`
"""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mangrove.traffic.equilibrium import user_equilibrium
from mangrove.traffic.roads import Roads
from mangrove.traffic.trips import estimate_trips
from real import folder

PEER = r"""
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from aequilibrae.matrix import AequilibraeMatrix
from aequilibrae.paths import Graph, TrafficAssignment, TrafficClass
data = np.load(sys.argv[1]); gap = float(sys.argv[2]); cores = int(sys.argv[3]); zones = int(data["zones"])
net = pd.DataFrame({"link_id": np.arange(1, len(data["tail"]) + 1), "a_node": data["tail"] + 1, "b_node": data["head"] + 1,
    "direction": 1, "free_flow_time": np.maximum(data["time"], 1e-6), "capacity": np.maximum(data["capacity"], 1e-3), "b": data["b"],
    "power": np.maximum(data["power"], 1.0001), "distance": 1.0})
graph = Graph(); graph.network = net; graph.prepare_graph(np.arange(1, zones + 1)); graph.set_graph("free_flow_time")
graph.set_skimming(["free_flow_time"]); graph.set_blocked_centroid_flows(bool(data["blocked"]))
matrix = AequilibraeMatrix(); matrix.create_empty(zones=zones, matrix_names=["m"], memory_only=True)
matrix.index = np.arange(1, zones + 1); matrix.matrix["m"][:] = data["trips"]; matrix.computational_view(["m"])
assign = TrafficAssignment(); cars = TrafficClass("car", graph, matrix); assign.set_classes([cars]); assign.set_vdf("BPR")
assign.set_vdf_parameters({"alpha": "b", "beta": "power"}); assign.set_capacity_field("capacity"); assign.set_time_field("free_flow_time")
assign.set_algorithm("bfw"); assign.max_iter = 3000; assign.rgap_target = gap; assign.set_cores(cores)
wall, cpu = time.time(), time.process_time()
assign.execute(log_specification=False)
wall, cpu = time.time() - wall, time.process_time() - cpu
report = assign.report()
print("\n" + json.dumps({"wall": wall, "cpu": cpu, "gap": float(report["rgap"].iloc[-1]), "rounds": int(report["iteration"].iloc[-1])}))
"""


def network(name):
    """Roads with lengths, trips, published flow by link, toll by link in cents."""
    base = folder("traffic") / "tntp" / name
    head, body = next(base.glob("*_net.tntp")).read_text().split("<END OF METADATA>")
    meta = dict(re.findall(r"<(.+?)>\s*(\d+)", head))
    rows = [line.rstrip("; \t").split()[:9] for line in body.splitlines() if line.strip()[:1].isdigit()]
    start, end, capacity, length, minutes, b, power, _, cents = np.array(rows, dtype=float).T
    zones, nodes, first = (int(meta[k]) for k in ("NUMBER OF ZONES", "NUMBER OF NODES", "FIRST THRU NODE"))
    roads = Roads(start - 1, end - 1, minutes, capacity, b, power, zones, nodes, first - 1, length=length)
    trips = np.zeros((zones, zones))
    for part in next(base.glob("*_trips.tntp")).read_text().split("<END OF METADATA>")[1].split("Origin")[1:]:
        for zone, count in re.findall(r"(\d+)\s*:\s*([\d.]+)", part):
            trips[int(part.split()[0]) - 1, int(zone) - 1] = float(count)
    rows = [
        r.split()[:3]
        for r in next(base.glob("*_flow.tntp")).read_text().splitlines()
        if r.strip()[:1].isdigit()
    ]
    flows = {(int(a) - 1, int(z) - 1): float(x) for a, z, x in rows}
    published = np.array(
        [flows.get(ends, np.nan) for ends in zip(roads.tail.tolist(), roads.head.tolist(), strict=True)]
    )
    return roads, trips, published, cents


def timed(work):
    """Least CPU and wall seconds of three runs, and the last result."""
    seconds = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        seconds.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = np.min(seconds, axis=0)
    return cpu, wall, found


def peer(roads, trips, gap, cores=2):
    """What AequilibraE needs for the same network, or None."""
    python = os.environ.get("AEQUILIBRAE")
    if not python:
        return None
    file = f"/tmp/assignment_{os.getpid()}.npz"
    np.savez(
        file, tail=roads.tail, head=roads.head, time=roads.time, capacity=roads.capacity, b=roads.b, power=roads.power,
        trips=trips, zones=roads.zones, blocked=roads.first_thru > 0,
    )  # fmt: skip
    done = subprocess.run(
        [python, "-c", PEER, file, str(gap), str(cores)], capture_output=True, text=True, check=False
    )
    Path(file).unlink()
    if done.returncode:
        print("peer failed:", done.stderr.strip().splitlines()[-1:])
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def equilibrium():
    user_equilibrium(Roads([0], [1], 1.0, 1.0, 0.15, 4.0, 2, 2), np.array([[0, 1.0], [0, 0]]), method="bush")
    user_equilibrium(Roads([0], [1], 1.0, 1.0, 0.15, 4.0, 2, 2), np.array([[0, 1.0], [0, 0]]), method="link")
    for name in ("SiouxFalls", "Anaheim", "Barcelona", "Winnipeg", "Chicago-Sketch"):
        roads, trips, published, cents = network(name)
        for gap in (1e-4, 1e-6):
            cpu, wall, found = timed(lambda r=roads, t=trips, g=gap: user_equilibrium(r, t, gap=g))
            text = f"{name} {gap:g}: {found.method} {wall:.3f} s wall, {cpu:.3f} s CPU, gap {found.gap:.1e}, {found.rounds} rounds"
            other = peer(roads, trips, gap)
            if other:
                text += (
                    f"; AequilibraE BFW, 2 cores: {other['wall']:.2f} s wall, {other['cpu']:.2f} s CPU, gap {other['gap']:.1e}, "
                    f"{other['rounds']} iterations: {other['wall'] / wall:.0f} x (CPU {other['cpu'] / cpu:.0f} x)"
                )
            print(text, flush=True)
        if (
            name == "Chicago-Sketch"
        ):  # its published flows weigh a mile with 0.04 and a cent with 0.02 minutes
            roads = replace(roads, toll=0.04 * roads.length + 0.02 * cents)
        found = user_equilibrium(roads, trips, gap=1e-9, rounds=300)
        known = np.isfinite(published)
        if known.all():
            better = roads.potential(found.flow) / roads.potential(published) - 1
            strict = (roads.b > 0) & (roads.power > 0)  # links of constant cost may share flow in many ways
            off = np.abs(found.flow - published)[strict].sum() / published[strict].sum()
            print(
                f"  at gap {found.gap:.0e}: potential v published {better:+.1e}, flows differ by {off:.1e} of the sum"
            )


def counts():
    for name, seeds in (("Anaheim", 12), ("Chicago-Sketch", 5)):
        roads, trips, _, _ = network(name)
        real = user_equilibrium(roads, trips, gap=1e-5, method="bush")
        big, distance = np.flatnonzero(real.flow > 50), (real.flow * roads.length).sum()
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            z = roads.zones
            noise = rng.normal(0, 0.3, (z, 1)) + rng.normal(0, 0.3, (1, z)) + rng.normal(0, 0.3, (z, z))
            links = rng.choice(big, round(0.15 * len(big)), replace=False)
            seen = np.maximum(real.flow[links] * (1 + rng.normal(0, 0.05, len(links))), 0)
            prior = trips * np.exp(noise)
            before = user_equilibrium(roads, prior, gap=1e-4, method="bush")
            start = time.process_time()
            found = estimate_trips(roads, prior, links, seen, 0.05)
            cpu = time.process_time() - start
            print(
                f"{name} 15 % of links, seed {seed}: VKT {(before.flow @ roads.length) / distance - 1:+.1%} -> "
                f"{found.distance / distance - 1:+.2%} (sd {found.distance_sd / distance:.2%}), {found.rounds} rounds, {cpu:.1f} s CPU",
                flush=True,
            )


def inner_city(squares=9):
    """The inner city in one-kilometer squares; people and jobs in proportion to the length of streets (made up, for the time it takes)."""
    from shapely import contains_xy
    from shapely.geometry import box

    from mangrove.plan.traffic.case import case_of
    from mangrove.traffic import paths
    from mangrove.traffic.demand import Rates, four_step
    from mangrove.traffic.equilibrium import graph_of
    from mangrove.traffic.road_map import roads_of
    from mangrove.traffic.sumo_net import read_net

    start = time.process_time()
    net = read_net(folder("traffic") / "hcmc" / "hcm_inner_2017.net.xml.gz")
    print(f"inner city: {len(net)} edges read in {time.process_time() - start:.2f} s CPU")
    low, high = net.lonlat.min(axis=0), net.lonlat.max(axis=0)
    x, y = (np.linspace(low[k], high[k], squares + 1) for k in (0, 1))
    boxes = {f"z{i}_{j}": box(x[i], y[j], x[i + 1], y[j + 1]) for i in range(squares) for j in range(squares)}
    boxes = {k: b for k, b in boxes.items() if contains_xy(b, *net.lonlat.T).sum() >= 10}
    road = roads_of(net, boxes)
    weight = np.bincount(road.zone[road.zone >= 0], road.length[road.zone >= 0], len(boxes))
    people, jobs = weight / weight.sum() * 1.2e6, weight / weight.sum() * 6e5
    minutes = paths.skim(len(boxes), road.roads.time, graph_of(road.roads))
    demand = four_step(people, jobs, minutes, Rates(mean_minutes=8))
    return case_of(road, demand, people, jobs, more=("electric_motorbike", "bus", "electric_bus"))


def edits_of(case):
    """One edit of each kind that costs time."""
    from mangrove.plan.traffic.edits import Edit

    stations = [[106.698, 10.772], [106.70, 10.78], [106.705, 10.79], [106.715, 10.80]]
    zone = [z for z in ("z5_3", "z6_3", "z6_4", "z5_4") if z in case.map.zones]
    into = {"classes": ["motorbike"], "into": "electric_motorbike", "switch": 0.5, "leave": 0.1}
    return {
        "metro": Edit("m", "transit_line", {"stations": stations, "radius": 0.8, "share": 0.3}, error=0.5),
        "30 % electric": Edit(
            "e", "electrify", {"class": "motorbike", "into": "electric_motorbike", "share": 0.3}, error=0.2
        ),
        "low-emission zone": Edit("l", "low_emission_zone", {"zones": zone, **into}, error=0.3),
        "toll": Edit("t", "toll", {"zones": zone, "amount": 5_000, "value_of_time": 30_000}),
    }


def verdict():
    from mangrove.plan.traffic.verdict import evaluate

    case = inner_city()
    print(
        f"{len(case.map.zones)} zones, {len(case.map.roads)} links, {case.trips.sum():.0f} motorcycle units an hour"
    )
    day = replace(case, hours=np.array([0.1] * 5 + [0.5, 0.8, 1, 1] + [0.75] * 7 + [0.9, 1, 1] + [0.5] * 5))
    plans = edits_of(case)
    evaluate(case, [plans["low-emission zone"]], draws=1)  # compiles
    whole = [
        ("metro, a day of three levels", day, "metro"),
        ("low-emission zone, likewise", day, "low-emission zone"),
    ]
    for label, what, name in [(name, case, name) for name in plans] + whole:
        cpu, wall = time.process_time(), time.time()
        found = evaluate(what, [plans[name]])
        cpu, wall = time.process_time() - cpu, time.time() - wall
        change = found.difference("CO2", "plan")
        print(
            f"{label}: verdict in {cpu:.1f} s CPU, {wall:.1f} s wall; CO2 {change.relative:+.2%} "
            f"[{change.low / 1e6:+.2f}, {change.high / 1e6:+.2f}] t, better with {change.confidence:.0%}",
            flush=True,
        )


def gaps():
    """Differences of verdicts at several gaps against those at 1e-7, relative to themselves."""
    from mangrove.plan.traffic.verdict import compare

    case = inner_city()
    for name, edit in edits_of(case).items():
        exact = None
        for gap in (1e-7, 1e-6, 1e-5, 1e-4):
            cpu = time.process_time()
            found = compare(case, {"plan": [edit]}, gap=gap, draws=4)
            cpu = time.process_time() - cpu
            means = {
                key: found.difference(key, "plan").mean for key in ("CO2", "hours", "minutes", "exposure")
            }
            exact = exact or means
            off = ", ".join(
                f"{key} {(means[key] - exact[key]) / (abs(exact[key]) or 1):+.2%}" for key in means
            )
            print(f"{name} at {gap:g}: {cpu:.1f} s CPU; off by {off}", flush=True)


if __name__ == "__main__":
    for part in sys.argv[1:] or ("equilibrium", "counts", "verdict"):
        {"equilibrium": equilibrium, "counts": counts, "verdict": verdict, "gaps": gaps}[part]()
