# SPDX-License-Identifier: Apache-2.0
"""The adaptive controller on six published signal benchmarks (RESCO), against their fixed plans and the best published delay.

Needs SUMO 1.9.2, the version of the published results, beside Mangrove's source: in a virtual environment with numpy and the wheel
eclipse-sumo 1.9.2 (it carries libsumo in `sumo/tools`):

    export MANGROVE_DATA=... PYTHONPATH=src:$(python -c "import sumo; print(sumo.__path__[0])")/tools
    python benchmarks/resco.py --seeds 101,102,103,104,105

One hour from the start below, teleports off, vehicles still on the road or before it count. `--blind` is the negative control: cameras
that see nothing and a controller that does not notice.
"""

import argparse
import json
import statistics

import numpy as np

from mangrove.traffic.detection import Blinded
from mangrove.traffic.signals import Wave, WaveController
from mangrove.traffic.simulate import Run, simulate
from real import folder

BEGIN = {
    "cologne1": 25200, "ingolstadt1": 57600, "grid4x4": 0, "cologne8": 25200, "ingolstadt7": 57600, "cologne3": 25200,
}  # fmt: skip
LOCKED = 900.0
"""s of standing that nothing but a deadlock brings about on these nets."""


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--nets", default=",".join(BEGIN))
    ask.add_argument("--seeds", default="101,102,103,104,105")
    ask.add_argument("--plans", default="fixed,ours")
    asked = ask.parse_args()
    data = folder("traffic") / "resco"
    published = json.loads((data / "published_results.json").read_text())
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    for net in asked.nets.split(","):
        best = min((method["timeLoss"][1], name.split()[0]) for name, method in published[net].items())
        print(f"{net}: best published {best[0]:.1f} s ({best[1]})", flush=True)
        for plan in asked.plans.split(","):
            report(data, net, plan, seeds)


def report(data, net: str, plan: str, seeds: list[int]) -> None:
    """One line: median and range over the seeds."""
    outcomes, locked = [], []
    for seed in seeds:
        found = simulate(run_of(data, net, seed), control(plan))
        outcomes.append(found)
        if found.trips.waiting.max() > LOCKED:
            locked.append((seed, round(found.delay)))
    delay, co2, stops = (
        [getattr(o, name) for o in outcomes] for name in ("delay", "co2_g_per_vehicle", "stops")
    )
    print(
        f"  {plan:6s} delay {statistics.median(delay):.1f} s ({min(delay):.1f} to {max(delay):.1f}, mean {np.mean(delay):.1f}), "
        f"CO2 {statistics.median(co2):.1f} g ({min(co2):.1f} to {max(co2):.1f}), stops {statistics.median(stops):.2f}, "
        f"teleports {sum(o.teleports.total for o in outcomes)}, collisions {sum(o.collisions for o in outcomes)}, "
        f"locked {locked or 'none'}, CPU {sum(o.seconds for o in outcomes) / len(seeds):.2f} s a run",
        flush=True,
    )


def control(plan: str) -> WaveController | None:
    """The controller of a plan; None is the net's own."""
    if plan == "blind":
        return WaveController(Wave(silence=np.inf), sensors=Blinded())
    return WaveController() if plan == "ours" else None


def run_of(data, net: str, seed: int) -> Run:
    """One hour of a net."""
    routes = data / ("grid4x4_1.rou.xml" if net == "grid4x4" else f"{net}.rou.xml")
    return Run(data / f"{net}.net.xml", [routes], BEGIN[net], BEGIN[net] + 3600, seed=seed)


if __name__ == "__main__":
    main()
