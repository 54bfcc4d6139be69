# SPDX-License-Identifier: Apache-2.0
"""Map matching on the network of inner Ho Chi Minh City: streets found, speeds found, positions a second, memory for a million.

Comes in: the network of `MANGROVE_DATA`. Goes out: one line for each sampling. Drives follow shortest ways between random junctions at
8 m/s with 8 m of noise; the share of the edges driven that the matching found, the distance, and the error of speeds. Run it with
`python benchmarks/traffic_probes.py`; with `--million` also a file of a million rows, with the peak memory of reading and matching.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

import real
from mangrove.traffic.matching_probes import Probes, match, read_probes
from mangrove.traffic.sumo_net import SumoNet, read_net

NET = "hcm_inner_2017.net.xml.gz"
SPEED, NOISE = 8.0, 8.0
LEAST_KM, DRIVES = 1.0, 400


def main() -> None:
    """Prints the table."""
    net = read_net(real.folder("traffic/hcmc") / NET)
    random = np.random.default_rng(1)
    ways = _ways(net, random, DRIVES)
    print(f"{len(net)} edges, {len(ways)} drives of {np.mean([_km(net, way) for way in ways]):.1f} km")
    with tempfile.TemporaryDirectory() as cache:
        for every in (5.0, 20.0):
            probes = _positions(net, ways, every, random)
            match(net, probes, cache=Path(cache))  # the table of shortest ways is made once
            begun = time.perf_counter()
            drives = match(net, probes, cache=Path(cache))
            seconds = time.perf_counter() - begun
            found = [set(drives.edge[drives.vehicle == n].tolist()) for n in range(len(ways))]
            known = sum(len(set(way[1:-1]) & one) for way, one in zip(ways, found, strict=True))
            whole = sum(len(set(way[1:-1])) for way in ways)
            missed = [e for way, one in zip(ways, found, strict=True) for e in set(way[1:-1]) - one]
            far = 1 - net.length[missed].sum() / sum(_km(net, way) for way in ways)
            pace = drives.km.sum() / drives.hours.sum() / 3.6
            print(
                f"every {every:g} s: {known / whole:.1%} of edges, {far:.1%} of the distance, {drives.matched / drives.points:.1%} of positions on streets, "
                f"speed {pace / SPEED - 1:+.1%}, {drives.points / seconds:,.0f} positions/s with start"
            )
        if "--million" in sys.argv:
            _million(net, ways, random, Path(cache))


def _million(net: SumoNet, ways: list[list[int]], random: np.random.Generator, cache: Path) -> None:
    """Reads and matches a file of a million rows."""
    one = _positions(net, ways, 5.0, random)
    copies = 1_000_000 // len(one) + 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probes.csv"
        with path.open("w") as file:
            file.write("time,vehicle,lon,lat\n")
            for copy in range(copies):
                stamp = ((one.time + 7 * copy) * 1000).astype("datetime64[ms]")
                file.writelines(
                    f"{t}+00:00,v{v}-{copy},{lon:.6f},{lat:.6f}\n"
                    for t, v, (lon, lat) in zip(stamp, one.vehicle, one.lonlat, strict=True)
                )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.perf_counter()
        probes = read_probes(path, ZoneInfo("Asia/Ho_Chi_Minh"))
        read = time.perf_counter() - begun
        drives = match(net, probes, cache=cache)
        drives.means(0.0, 300)
        matched = time.perf_counter() - begun - read
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(
            f"{len(probes):,} rows ({path.stat().st_size / 1e6:.0f} MB): read in {read:.0f} s, matched in {matched:.0f} s; "
            f"peak {before / 1024:.0f} -> {own / 1024:.0f} MB, and {child / 1024:.0f} MB in the process that matches"
        )


def _ways(net: SumoNet, random: np.random.Generator, count: int) -> list[list[int]]:
    """Edges of shortest ways between random junctions of the part where every junction reaches every other."""
    used = np.flatnonzero(net.lanes > 0)
    nodes = len(net.xy)
    length = np.full(len(net), np.inf)
    length[used] = np.maximum(net.length[used], 1e-6)
    order = used[np.argsort(-length[used])]  # of parallel edges the shortest stays
    best = {(int(net.start[e]), int(net.end[e])): int(e) for e in order}
    ends = np.array(list(best))
    cost = length[list(best.values())]
    graph = sparse.csr_array((cost, (ends[:, 0], ends[:, 1])), shape=(nodes, nodes))
    part = connected_components(graph, connection="strong")[1]
    inside = np.flatnonzero(part == np.bincount(part).argmax())
    ways = []
    for origin in random.choice(inside, count // 4):
        before = dijkstra(graph, indices=origin, return_predecessors=True)[1]
        for target in random.choice(inside, 4):
            way, node = [], int(target)
            while node != origin and before[node] >= 0:
                way.append(best[int(before[node]), node])
                node = int(before[node])
            if sum(net.length[way]) >= LEAST_KM:
                ways.append(way[::-1])
    return ways


def _km(net: SumoNet, way: list[int]) -> float:
    return float(net.length[way].sum())


def _positions(net: SumoNet, ways: list[list[int]], every: float, random: np.random.Generator) -> Probes:
    """Noisy positions along the lines of the edges, one vehicle a way."""
    vehicle, when, where = [], [], []
    for number, way in enumerate(ways):
        line = np.vstack([net.points[net.pointers[e] : net.pointers[e + 1]] for e in way])
        far = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        at = np.arange(0.0, far[-1], SPEED * every)
        xy = np.column_stack([np.interp(at, far, line[:, k]) for k in (0, 1)])
        where.append(net.to_lonlat(xy + NOISE * random.standard_normal(xy.shape)))
        when.append(1_780_445_100.0 + at / SPEED)
        vehicle.append(np.full(len(at), number, dtype=np.int32))
    return Probes(np.concatenate(vehicle), np.concatenate(when), np.concatenate(where))


if __name__ == "__main__":
    main()
