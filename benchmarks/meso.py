# SPDX-License-Identifier: Apache-2.0
"""How much faster than the clock the inner city of Ho Chi Minh City is simulated: queues (meso), with streets told of, and single vehicles.

9 x 9 km, 11,901 edges, 141 signals; trips between random streets at 8.3 a second, the load of the reference figures; emissions on, one
thread, signals at work. Bar: meso at least 200 times real time. The network is named by MANGROVE_DATA.
`python benchmarks/meso.py [MINUTES]`
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

import real
from mangrove.traffic import sumo
from mangrove.traffic.simulate import Run, simulate
from mangrove.traffic.sumo_net import read_net

RATE = 8.3
"""Trips a second."""
TYPES = {
    "moto": (0.87, 'vClass="motorcycle" emissionClass="HBEFA4/MC_4S_le250cc_Euro-3"'),
    "car": (0.10, 'vClass="passenger" emissionClass="HBEFA4/PC_petrol_Euro-4"'),
    "truck": (0.03, 'vClass="truck" emissionClass="HBEFA4/LCV_diesel_N1-III_Euro-4"'),
}
SUBLANE = 0.8
BAR = 200.0


def main() -> None:
    """A line for each way to simulate the same trips."""
    net = real.folder("traffic/hcmc") / "hcm_inner_2017.net.xml.gz"
    seconds = 60.0 * float(sys.argv[1] if len(sys.argv) > 1 else 30)
    with tempfile.TemporaryDirectory() as folder:
        wanted = trips(net, Path(folder) / "random.trips.xml", seconds)
        routes = Path(folder) / "random.rou.xml"
        router = [sumo.binary("duarouter"), "-n", str(net), "-r", str(wanted), "-o", str(routes)]
        spent = sumo.run([*router, "--ignore-errors", "--xml-validation", "never"], Path(folder))
        print(f"routes on the empty network: {spent:.1f} s CPU, not counted below")
        run = Run(net, [routes], 0, seconds, seed=1, every=60)
        said("meso", replace(run, meso=True), BAR)
        said("meso, the network each second", replace(run, meso=True, every=1))
        said("meso, without emissions", replace(run, meso=True, emissions=False))
        said("meso, streets by class and 5 min", replace(run, meso=True, cells=300, kinds=True))
        said("micro, lanes, 5 min", replace(run, end=300))
        said("micro, strips of 0.8 m, 5 min", replace(run, end=300, sublane=SUBLANE))


def said(name: str, run: Run, bar: float = 0.0) -> None:
    """Simulates and prints."""
    done = simulate(run)
    speed = (run.end - run.begin) / done.seconds
    updates = done.steps.running.sum() * run.every / done.seconds
    missed = "" if speed >= bar else f"  BELOW THE BAR OF {bar:.0f}"
    print(
        f"{name:34} {speed:6.0f} x real time, {updates / 1000:5.0f} k vehicle-seconds/s, {done.seconds:5.1f} s CPU, "
        f"{done.departed} departed, {done.arrived} arrived, {done.never_departed} waiting{missed}",
        flush=True,
    )


def trips(net: Path, file: Path, seconds: float) -> Path:
    """Random trips between streets of the part of the net in which every street is reached from every other, by lanes and length."""
    read = read_net(net, "passenger")
    count, link = len(read), read.connections
    joined = coo_matrix((np.ones(len(link.source)), (link.source, link.target)), shape=(count, count))
    _, part = connected_components(joined, connection="strong")
    usable = (part == np.bincount(part).argmax()) & (read.lanes > 0) & (read.length > 0.02)
    weight = np.where(usable, read.length * read.lanes, 0.0)
    random = np.random.default_rng(1)
    number = round(RATE * seconds)
    ends = random.choice(count, (number, 2), p=weight / weight.sum())
    kinds = random.choice(list(TYPES), number, p=[share for share, _ in TYPES.values()])
    departs = np.sort(random.uniform(0, seconds, number))
    lines = [f'<vType id="{kind}" {words}/>' for kind, (_, words) in TYPES.items()]
    lines += [
        f'<trip id="t{n}" type="{kind}" depart="{depart:.2f}" from="{read.ids[a]}" to="{read.ids[b]}" departLane="best" departSpeed="max"/>'
        for n, (kind, depart, (a, b)) in enumerate(zip(kinds, departs, ends, strict=True))
    ]
    file.write_text("<routes>" + "\n".join(lines) + "</routes>", encoding="utf-8")
    return file


if __name__ == "__main__":
    main()
