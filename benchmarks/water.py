# SPDX-License-Identifier: Apache-2.0
"""CPU of water networks: Net6 (3,356 nodes) over 24 hours, and a drainage grid of 900 nodes under a design storm.

Run `python benchmarks/water.py`. Beside it: wntr's own EpanetSimulator on the same file, and `swmm_run` of swmm-toolkit, which writes
the same report, on the same text. The CPU of the adapter is that of its child process from start to end, start of Python included.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import wntr
from swmm.toolkit import solver

from mangrove.hydraulics import read_network, simulate_drainage, simulate_supply, storm
from mangrove.hydraulics.drainage import _rained_on


def spent(work: Callable[[], object]) -> tuple[float, object]:
    """CPU seconds of this process and of the children that it waited for, and what the work returned."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
    made = work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.process_time() - begun + children, made


def grid(folder: Path, side: int = 30) -> Path:
    """A drainage grid of `side` squared nodes that falls to one corner, a hectare a node, written here."""
    lines = ["[OPTIONS]", "FLOW_UNITS CMS", "INFILTRATION HORTON", "FLOW_ROUTING DYNWAVE", "START_DATE 01/01/2020",
             "END_DATE 01/02/2020", "REPORT_STEP 00:05:00", "WET_STEP 00:01:00", "DRY_STEP 01:00:00", "ROUTING_STEP 5",
             "[RAINGAGES]", "G INTENSITY 1:00 1 TIMESERIES T", "[TIMESERIES]", "T 0:00 0"]  # fmt: skip
    cells = [(r, c) for r in range(side) for c in range(side)]
    lines += ["[JUNCTIONS]", *(f"J{r}_{c} {5 + 0.1 * (r + c):.2f} 2.5 0 0 0" for r, c in cells)]
    lines += ["[OUTFALLS]", "O 4.5 FREE NO", "[CONDUITS]", "CO J0_0 O 100 0.013 0 0"]
    lines += [f"C{r}_{c} J{r}_{c} J{r}_{c - 1} 100 0.013 0 0" if c else f"C{r}_{c} J{r}_0 J{r - 1}_0 100 0.013 0 0" for r, c in cells if r or c]  # fmt: skip
    lines += ["[XSECTIONS]", "CO CIRCULAR 3 0 0 0"]
    lines += [f"C{r}_{c} CIRCULAR {0.6 if c else 1.5} 0 0 0" for r, c in cells if r or c]
    lines += ["[SUBCATCHMENTS]", *(f"S{r}_{c} G J{r}_{c} 1 60 100 0.5 0" for r, c in cells)]
    lines += ["[SUBAREAS]", *(f"S{r}_{c} 0.012 0.1 1.3 2.5 25 OUTLET" for r, c in cells)]
    lines += ["[INFILTRATION]", *(f"S{r}_{c} 75 12 4 7 0" for r, c in cells)]
    path = folder / "grid.inp"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def supply(hours: float) -> None:
    """Net6 with the adapter and with wntr."""
    path = Path(wntr.__file__).parent / "library" / "networks" / "Net6.inp"
    network = read_network(path)
    cpu, made = spent(lambda: simulate_supply(network, hours=hours))

    def peer() -> object:
        model = wntr.network.WaterNetworkModel(str(path))
        model.options.time.duration = hours * 3600
        with tempfile.TemporaryDirectory() as folder:
            return wntr.sim.EpanetSimulator(model).run_sim(file_prefix=str(Path(folder) / "net"))

    other, _ = spent(peer)
    kwh = made.energy.sum()  # type: ignore[attr-defined]
    solved = made.cpu  # type: ignore[attr-defined]
    print(
        f"Net6, {len(network.nodes):,} nodes, {hours:g} h: {cpu:.2f} CPU s ({solved:.2f} in EPANET), {kwh:,.0f} kWh of pumping"
    )
    print(f"  wntr, file to results: {other:.2f} CPU s; ratio {cpu / other:.2f}")


def drainage(hours: float) -> None:
    """The grid with the adapter and with swmm-toolkit alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = read_network(grid(folder))
        rain = storm(100.0, 3.0, datetime(2026, 9, 1))  # noqa: DTZ001 - the clock on the wall
        cpu, made = spent(lambda: simulate_drainage(network, rain, after=hours - 3))
        bare = folder / "bare.inp"
        bare.write_text("\n".join(_rained_on(network, rain, hours - 3)) + "\n", encoding="utf-8")
        other, _ = spent(lambda: solver.swmm_run(str(bare), str(folder / "b.rpt"), str(folder / "b.out")))
    flooded = len(made.flooded_nodes)  # type: ignore[attr-defined]
    error = made.routing_error  # type: ignore[attr-defined]
    print(
        f"SWMM, {len(network.nodes):,} nodes, dynamic wave, 5 s, {hours:g} h: {cpu:.2f} CPU s; {flooded} nodes flood, error {error:.2f} %"
    )
    print(f"  swmm_run alone: {other:.2f} CPU s; ratio {cpu / other:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    asked = parser.parse_args()
    supply(asked.hours)
    drainage(asked.hours)
