# SPDX-License-Identifier: Apache-2.0
"""Signals of Ho Chi Minh City, District 1 and 3: the plan before, SUMO's actuated control, and the adaptive controller.

    MANGROVE_DATA=... python benchmarks/signals.py --draws 1,2,3 --plans ours,actuated,before

30 signals, 8,241 vehicles an hour, 87 % motorbikes that filter (lateral strips of 0.8 m), HBEFA4 classes, stuck vehicles lifted after
120 s and counted. Each draw moves every departure by up to two minutes at random, the same for all plans. "Before" is a reconstruction
(90 s, Webster splits), not the city's plan. Each run takes minutes; one runs at a time.
"""

import argparse
import re
import tempfile
from pathlib import Path

from mangrove.traffic.signals import WaveController
from mangrove.traffic.simulate import Run, simulate
from real import folder


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--draws", default="1,2,3")
    ask.add_argument("--plans", default="ours,actuated,before")
    ask.add_argument("--end", type=float, default=3600.0)
    ask.add_argument("--teleport", type=float, default=120.0)
    asked = ask.parse_args()
    data = folder("traffic") / "hcmc" / "district1_3"
    with tempfile.TemporaryDirectory() as name:
        for draw in asked.draws.split(","):
            for plan in asked.plans.split(","):
                net = actuated(data, Path(name)) if plan == "actuated" else data / "before.net.xml"
                run = Run(
                    net,
                    [data / "hcm.rou.xml"],
                    0,
                    asked.end,
                    seed=int(draw),
                    sublane=0.8,
                    teleport=asked.teleport,
                    options={"random-depart-offset": "120"},
                )
                found = simulate(run, WaveController() if plan == "ours" else None)
                lifted = 100 * found.teleports.jam / max(found.departed, 1)
                print(f"draw {draw} {plan:9s} {found.text()}, jam teleports {lifted:.2f} %", flush=True)


def actuated(data: Path, place: Path) -> Path:
    """The net with every program actuated: greens of 7 to 60 s as vehicles come."""
    text = (data / "before.net.xml").read_text()
    text = re.sub(r'(<tlLogic [^>]*type=)"static"', r'\1"actuated"', text)

    def phase(found: re.Match[str]) -> str:
        state = found.group(2)
        green = any(c in "Gg" for c in state) and "y" not in state
        return (
            found.group(0).replace("<phase ", '<phase minDur="7" maxDur="60" ') if green else found.group(0)
        )

    path = place / "actuated.net.xml"
    path.write_text(re.sub(r'<phase duration="([\d.]+)" state="(\w+)"', phase, text))
    return path


if __name__ == "__main__":
    main()
