# SPDX-License-Identifier: Apache-2.0
"""Fixed-time plan for District 1/3 of Ho Chi Minh City: searched in the mesoscopic model, checked in the microscopic one.

    MANGROVE_DATA=... python benchmarks/signal_plans.py [--evaluations 800] [--draws 3] [--plan FILE.add.xml]

Bar: at least 40 % less delay and 12 % less CO2 than the 90 s plan, on draws of the demand and seeds that the search never saw, jam
teleports below 0.5 % of vehicles. `--plan` checks a plan that was searched before.
"""

import argparse
import time
from pathlib import Path

import real
from mangrove import printing_signals, signals
from mangrove.traffic.fixed_plan import read_plan, write_plan
from mangrove.traffic.plan_search import Setting

NSGA = "after.net.xml"


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--evaluations", type=int, default=800)
    asked.add_argument("--draws", type=int, default=3)
    asked.add_argument("--pedestrian", default="roads")
    asked.add_argument("--plan", type=Path)
    asked.add_argument(
        "--start",
        type=Path,
        help="go on from this plan: second leg with --carbon-weight 1 --step 0.2 --seed 2",
    )
    asked.add_argument("--carbon-weight", type=float, default=0.5)
    asked.add_argument("--step", type=float, default=0.4)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--out", type=Path, default=Path("district1_3.add.xml"))
    given = asked.parse_args()
    place = real.folder("traffic/hcmc/district1_3")
    net, routes = place / "before.net.xml", [place / "hcm.rou.xml"]
    if given.plan is None:
        search(net, routes, given)
    authors = Path("authors.add.xml")
    write_plan(read_plan(place / NSGA), authors, "authors")
    ways = ["installed", f"fixed:{given.plan or given.out}", f"fixed:{authors}"]
    start = time.perf_counter()
    compared = signals.run(
        net, routes, ways, draws=given.draws, names=("90 s plan", "searched", "authors' NSGA-II")
    )
    print(f"check: {compared.seconds:.0f} s CPU, {time.perf_counter() - start:.0f} s wall")
    print(printing_signals.comparison_text(compared))
    jams = compared.mean("searched", "jam_teleports") / float(compared.vehicles[1].mean())
    print(f"searched: delay {compared.change('searched', 'delay'):+.1%} (bar -40 %), ", end="")
    print(f"CO2 {compared.change('searched', 'co2'):+.1%} (bar -12 %), jam teleports {jams:.2%} (bar 0.5 %)")
    authors.unlink()


def search(net: Path, routes: list[Path], given: argparse.Namespace) -> None:
    """Searches the plan, writes it and says how it went."""
    start, cpu = time.perf_counter(), time.process_time()
    weight, step = given.carbon_weight, given.step
    setting = Setting(evaluations=given.evaluations, co2_weight=weight, step=step, seed=given.seed)
    searched = signals.search(
        net, routes, setting=setting, pedestrians=given.pedestrian, verify=0, start=given.start,
        progress=lambda spent, allowed, share: print(f"  {spent} of {allowed} runs: {share:.1%}", flush=True),
    )  # fmt: skip
    print(printing_signals.searched_text(searched))
    print(
        f"search: {time.perf_counter() - start:.0f} s wall, {time.process_time() - cpu:.0f} s CPU besides SUMO's"
    )
    write_plan(searched.found.plan, given.out)


if __name__ == "__main__":
    main()
