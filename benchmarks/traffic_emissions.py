# SPDX-License-Identifier: Apache-2.0
"""From counts and speeds to CO2, against what SUMO's vehicles emitted one by one, under signals that the curves were not made with.

The shipped curves come from one hour of District 1/3 under the 90 s plan with seed 4, and one of four networks of Cologne and Ingolstadt
(`vehicle_speed_curves.py`). Here they meet another plan with other seeds, signals that answer traffic, other demands of these networks, and two
networks that they never saw. Known of each link (with the crossing behind it) and five minutes: the speed limit, how many vehicles and how
fast on average, by class or all together with the shares of the whole city.
Run `python benchmarks/traffic_emissions.py [FOLDER]`; what SUMO said of the streets is kept in FOLDER and it is not run again.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

import real
from mangrove import streets_demand, streets_twin
from mangrove.traffic.crossings import crossing_lengths
from mangrove.traffic.emissions import Amounts, factors, of_classes, of_total, roll_up
from mangrove.traffic.links import Links
from mangrove.traffic.simulate import Run, simulate

KINDS = {"moto": "motorbike", "car": "car", "truck": "light_truck"}
REGIMES = {
    "as fitted, seed 1": ("before", 1, False),
    "other plan, seed 2": ("after", 2, False),
    "other plan, seed 5": ("after", 5, False),
    "actuated, seed 3": ("before", 3, True),
}
ELSEWHERE = {
    "Cologne 1, never fitted": ("cologne1", 20262603, False),
    "Ingolstadt 1, never fitted": ("ingolstadt1", 20262603, False),
    "Cologne 3": ("cologne3", 20262603, False),
    "Cologne 8": ("cologne8", 20262603, False),
    "Cologne 8, actuated": ("cologne8", 20263603, True),
    "Ingolstadt 7": ("ingolstadt7", 20262603, False),
    "Ingolstadt 7, actuated": ("ingolstadt7", 20263603, True),
    "Ingolstadt 21": ("ingolstadt21", 20262603, False),
}
"""Networks of `sumo-rl` with motorbikes put in, and demands that the curves were not made with."""
SLOWEST = 0.5
"""km/h: curves go no lower."""
INTERVAL, Z90, WARM, HOUR = 300, 1.645, 900, 3600
PARTIAL = 0.5
"""Standard deviation of a count at both ends of a link as a measure of its vehicle-kilometers, vehicles: some are on it at both bounds."""


def main() -> None:
    """One table: regime by what is known."""
    data = real.folder("traffic/hcmc/district1_3")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    made = factors(list(KINDS.values()), ["CO2"], source="hbefa")
    shares = None
    print(f"{'regime':26} {'known':28} {'total':>7} {'WAPE':>6} {'R2':>6} {'90 % cover':>10}   CPU")
    for number, (regime, (net, seed, actuated)) in enumerate(REGIMES.items()):
        links = simulated(data, folder / f"{number}.pickle", net, seed, actuated=actuated)
        cells = Cells(data / f"{net}.net.xml", links)
        shares = cells.km.sum(axis=(0, 1)) / cells.km.sum() if shares is None else shares
        for known, amounts, spent in cells.estimates(made, shares):
            print(f"{regime:26} {known:28} {cells.judged(amounts)} {spent:6.3f} s")
        whole = roll_up(amounts, np.ones((1, cells.km.shape[1])), made)
        kg = [value[0, 0] / 1000 for value in (whole.mass, whole.low, whole.high, whole.state_sd)]
        print(
            f"{'':26} city {kg[0]:.0f} kg/h, 90 % with the factors {kg[1]:.0f} to {kg[2]:.0f}; streets alone +-{kg[3]:.0f} (sd)"
        )
    for regime, (net, seed, actuated) in ELSEWHERE.items():
        links = elsewhere(folder / f"{net}-{seed}.pickle", net, seed, actuated=actuated)
        cells = Cells(network(net), links, skip=WARM // INTERVAL)
        known, amounts, spent = next(cells.estimates(made, cells.km.sum(axis=(0, 1)) / cells.km.sum()))
        print(f"{regime:26} {known:28} {cells.judged(amounts)} {spent:6.3f} s")


def network(net: str) -> Path:
    """The file of a network of `sumo-rl`."""
    return streets_twin.scenario(net) / f"{net}.net.xml"


def elsewhere(file: Path, net: str, seed: int, *, actuated: bool) -> Links:
    """The streets of a network of `sumo-rl`, a quarter of an hour in which it fills and one hour."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        first = streets_demand.PEAK * HOUR
        with tempfile.TemporaryDirectory() as folder:
            extra, routes = Path(folder) / "signals.add.xml", Path(folder) / "demand.rou.xml"
            extra.write_text(f"<additional>{answering(network(net)) if actuated else ''}</additional>")
            hours = streets_demand.shape(streets_demand.PEAK - 1, streets_demand.PEAK + 1)
            streets_demand.write([network(net).with_name(f"{net}.rou.xml")], routes, seed=seed, hours=hours)
            run = Run(
                network(net), [routes], first - WARM, first + HOUR, seed=seed, sublane=0.8, teleport=120,
                additional=[extra], every=600, cells=INTERVAL, kinds=True,
            )  # fmt: skip
            links = simulate(run).links
        assert links.kinds == tuple(KINDS.values())
        file.write_bytes(pickle.dumps(links))
    return pickle.loads(file.read_bytes())


def simulated(data: Path, file: Path, net: str, seed: int, *, actuated: bool) -> Links:
    """The streets of one hour, five minutes by five minutes."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            extra = Path(folder) / "signals.add.xml"
            extra.write_text(
                f"<additional>{answering(data / f'{net}.net.xml') if actuated else ''}</additional>"
            )
            run = Run(
                data / f"{net}.net.xml", [data / "hcm.rou.xml"], 0, 3600, seed=seed, sublane=0.8, teleport=120,
                additional=[extra], every=60, cells=INTERVAL, kinds=True,
            )  # fmt: skip
            links = simulate(run).links
        assert links.kinds == tuple(KINDS)
        file.write_bytes(pickle.dumps(links))
    return pickle.loads(file.read_bytes())


def answering(net: Path) -> str:
    """The signals of a net as SUMO's actuated programs, greens of 7 to 60 s."""
    found = []
    for logic in ET.parse(net).getroot().findall("tlLogic"):
        new = ET.Element("tlLogic", dict(logic.attrib, type="actuated", programID="answering"))
        for phase in logic.findall("phase"):
            words = {name: phase.get(name) for name in ("duration", "state")}
            if "y" not in words["state"].lower() and float(words["duration"]) > 6:
                words |= {"minDur": "7", "maxDur": "60"}
            ET.SubElement(new, "phase", words)
        found.append(ET.tostring(new, encoding="unicode"))
    return "".join(found)


class Cells:
    """Links by five minutes: (T, L, C) vehicles, vehicle-km, hours and grams of CO2; a link has the crossing behind it.

    The first `skip` intervals are left out.
    """

    def __init__(self, net: Path, links: Links, skip: int = 0) -> None:
        own = {edge.get("id"): edge.find("lane") for edge in ET.parse(net).getroot().findall("edge")}
        behind = crossing_lengths(net)
        self.length = np.array(
            [float(own[name].get("length")) / 1000 + behind.get(name, 0.0) for name in links.ids]
        )
        self.limit = np.array([float(own[name].get("speed")) * 3.6 for name in links.ids])
        self.count, self.km = links.vehicles[skip:], links.distance[skip:] / 1000
        self.hours, self.grams = links.vehicle_seconds[skip:] / 3600, links.emissions[skip:, ..., 0]

    def estimates(self, made, shares):
        """What is known, what follows, and the CPU seconds of the arithmetic."""
        speed = self.km / np.maximum(self.hours, 1e-9)
        common = self.km.sum(axis=2) / np.maximum(self.hours.sum(axis=2), 1e-9)
        for known, flow in (("flow", self.km / self.length[:, None]), ("counts at both ends", self.count)):
            error = 0.0 if known == "flow" else PARTIAL / np.maximum(flow, PARTIAL)
            whole = flow.sum(axis=2)
            begun = time.process_time()
            slow, limit = np.maximum(speed, SLOWEST), self.limit
            amounts = of_classes(flow, slow, self.length, made, limit=limit, flow_error=error)
            yield f"{known}, classes", amounts, time.process_time() - begun
            error = 0.0 if known == "flow" else PARTIAL / np.maximum(whole, PARTIAL)
            begun = time.process_time()
            slow = np.maximum(common, SLOWEST)
            amounts = of_total(whole, shares, slow, self.length, made, limit=limit, flow_error=error)
            yield f"{known}, total", amounts, time.process_time() - begun

    def judged(self, amounts: Amounts) -> str:
        """Error of the total, weighted error and R2 of cells, and the share of cells inside their 90 % intervals."""
        driven = self.count.sum(axis=2) > 0
        found, sd = amounts.by_link[..., 0][driven], amounts.sd[..., 0][driven]
        truth = self.grams.sum(axis=2)[driven]
        off = truth - found
        r2 = 1 - (off**2).sum() / ((truth - truth.mean()) ** 2).sum()
        inside = np.mean(np.abs(off) <= Z90 * sd)
        return f"{found.sum() / truth.sum() - 1:+7.2%} {np.abs(off).sum() / truth.sum():6.1%} {r2:6.3f} {inside:10.1%}"


if __name__ == "__main__":
    main()
