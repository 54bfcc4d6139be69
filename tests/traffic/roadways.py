# SPDX-License-Identifier: Apache-2.0
"""Road networks for tests: made-up streets, and the published ones of Transportation Networks for Research."""

import re

import numpy as np

from mangrove.traffic.roads import Roads


def trips_of(zones, *pairs):
    trips = np.zeros((zones, zones))
    for origin, destination, count in pairs:
        trips[origin, destination] = count
    return trips


def grid(rng, side=5, zones=6):
    """Streets in both directions between crossings, with zones on top that nobody drives through."""
    node = zones + np.arange(side * side).reshape(side, side)
    pairs = [*zip(node[:, :-1].ravel(), node[:, 1:].ravel(), strict=True)]
    pairs += [*zip(node[:-1].ravel(), node[1:].ravel(), strict=True)]
    pairs += [(zone, int(rng.choice(node.ravel()))) for zone in range(zones)]
    ends = np.array(pairs + [(b, a) for a, b in pairs])
    count = len(ends)
    return Roads(
        ends[:, 0], ends[:, 1], rng.uniform(1, 5, count), rng.uniform(20, 60, count), np.full(count, 0.15),
        np.full(count, 4.0), zones=zones, nodes=int(ends.max()) + 1, first_thru=zones,
    )  # fmt: skip


def tntp(folder, name):
    """A network and its trips in the format of Transportation Networks for Research."""
    base = folder / "traffic" / "tntp" / name
    head, body = next(base.glob("*_net.tntp")).read_text().split("<END OF METADATA>")
    meta = dict(re.findall(r"<(.+?)>\s*(\d+)", head))
    rows = [line.rstrip("; \t").split()[:7] for line in body.splitlines() if line.strip()[:1].isdigit()]
    start, end, capacity, _, time, b, power = np.array(rows, dtype=float).T
    zones, nodes, first = (
        int(meta[key]) for key in ("NUMBER OF ZONES", "NUMBER OF NODES", "FIRST THRU NODE")
    )
    roads = Roads(start - 1, end - 1, time, capacity, b, power, zones, nodes, first - 1)
    trips = np.zeros((zones, zones))
    text = next(base.glob("*_trips.tntp")).read_text().split("<END OF METADATA>")[1]
    for part in text.split("Origin")[1:]:
        origin = int(part.split()[0])
        for zone, count in re.findall(r"(\d+)\s*:\s*([\d.]+)", part):
            trips[origin - 1, int(zone) - 1] = float(count)
    return roads, trips, next(base.glob("*_flow.tntp"))
