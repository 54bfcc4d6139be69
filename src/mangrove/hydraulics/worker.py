# SPDX-License-Identifier: Apache-2.0
"""The child process in which the solvers run: `python -m mangrove.hydraulics.worker FOLDER`.

Comes in: a folder with `net.inp` and `job.json`. Goes out: `out.npz` and `said.json` in the same folder; when the solver refuses the
file, its words (its report is whole only when this process has ended). EPANET runs through the library of wntr, SWMM through that of swmm-toolkit.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

_ENERGY, _PUMP, _DURATION = 13, 2, 0
"""EN_ENERGY, EN_PUMP and EN_DURATION of the EPANET 2.2 toolkit."""
_LINK_COUNT = 2
_PROLOG, _TITLES, _ID = 15, 240 + 260 + 260 + 32 + 32, 32
"""Numbers, bytes of text and length of an id in EPANET's output file (EPANET 2 Users Manual, Appendix C.3)."""
_PUMP_RECORD, _NODE_RESULTS, _LINK_RESULTS = 7, 4, 8
_STRIDE = 300
"""Seconds that SWMM runs between two looks; its own steps are as the file says."""


def main(folder: Path) -> None:
    """Does the job that lies in `folder`."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    try:
        arrays, said = (supply if job["task"] == "supply" else drainage)(folder, job)
    except ImportError as error:
        said = {"missing": str(error)}
    except Exception as error:  # noqa: BLE001 - solvers raise bare exceptions; what they mean stands in their report
        said = {"error": str(error)}
    else:
        np.savez(folder / "out.npz", **arrays)
    (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")


def supply(folder: Path, job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hydraulics of a supply network, and the power of each pump between any two events.

    Returns:
        Arrays in the units of the file: `demand`, `head`, `pressure` (T, N), `flow`, `velocity` (T, L) at `times` (T,) s; `power`
        (S, P) kW over the spans that start at `event` (S,) s and last `span` (S,) s; EPANET's own `energy` (P, 6) of each pump.
    """
    begun = time.process_time()
    engine = _toolkit().ENepanet()
    engine.ENopen(*(str(folder / name) for name in ("net.inp", "net.rpt", "net.bin")))
    if job.get("duration"):
        engine.ENsettimeparam(_DURATION, int(job["duration"]))
    links = range(1, engine.ENgetcount(_LINK_COUNT) + 1)
    pumps = [link for link in links if engine.ENgetlinktype(link) == _PUMP]
    engine.ENopenH()
    engine.ENinitH(1)
    events, spans, power = [], [], []
    while True:
        at = engine.ENrunH()
        power.append([engine.ENgetlinkvalue(pump, _ENERGY) for pump in pumps])
        span = engine.ENnextH()
        events.append(at)
        spans.append(span)
        if span <= 0:
            break
    engine.ENcloseH()
    engine.ENsaveH()
    engine.ENclose()
    arrays = _results(folder / "net.bin")
    arrays |= {
        "event": np.array(events, float), "span": np.array(spans, float),
        "power": np.array(power, float).reshape(len(events), len(pumps)), "pumps": np.array(pumps, int) - 1,
    }  # fmt: skip
    warnings = [str(one) for one in engine.errcodelist]
    return arrays, {"cpu": time.process_time() - begun, "warnings": sorted(set(warnings))}


def _toolkit() -> Any:
    """The door of wntr to the EPANET library, without the rest of wntr, whose import takes longer than most runs.

    The packages around the module are put there without being run; this process does nothing else with wntr.
    """
    outer = importlib.util.find_spec("wntr")
    if outer is None or not outer.submodule_search_locations:
        raise ImportError("wntr")
    folder = Path(next(iter(outer.submodule_search_locations))) / "epanet"
    inner = importlib.util.spec_from_file_location(
        "wntr.epanet", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    try:
        for spec in (outer, inner):
            if spec is not None:
                sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        return importlib.import_module("wntr.epanet.toolkit")
    except (ImportError, AttributeError):  # another wntr needs more of itself
        for name in [name for name in sys.modules if name.split(".")[0] == "wntr"]:
            del sys.modules[name]
        return importlib.import_module("wntr.epanet.toolkit")


def _results(path: Path) -> dict[str, Any]:
    """EPANET's output file as arrays."""
    raw = np.fromfile(path, np.uint8)
    head = raw[: 4 * _PROLOG].view("<i4")
    nodes, tanks, links, pumps = (int(head[i]) for i in (2, 3, 4, 5))
    units, start, step, duration = (int(head[i]) for i in (9, 12, 13, 14))
    at = 4 * _PROLOG + _TITLES
    ids = raw[at : at + _ID * (nodes + links)].reshape(-1, _ID)
    names = [bytes(row).split(b"\0")[0].decode("utf-8", "replace") for row in ids]
    at += _ID * (nodes + links) + 4 * (3 * links + 2 * tanks + nodes + 2 * links)
    energy = raw[at : at + 4 * _PUMP_RECORD * pumps].view("<f4").reshape(pumps, _PUMP_RECORD)[:, 1:]
    at += 4 * (_PUMP_RECORD * pumps + 1)
    count = (duration - start) // step + 1
    width = _NODE_RESULTS * nodes + _LINK_RESULTS * links
    table = raw[at : at + 4 * width * count].view("<f4").reshape(count, width)
    node = table[:, : _NODE_RESULTS * nodes].reshape(count, _NODE_RESULTS, nodes)
    link = table[:, _NODE_RESULTS * nodes :].reshape(count, _LINK_RESULTS, links)
    return {
        "times": start + step * np.arange(count, dtype=float), "units": np.array(units),
        "node_ids": np.array(names[:nodes]), "link_ids": np.array(names[nodes:]), "energy": energy.astype(float),
        "demand": node[:, 0], "head": node[:, 1], "pressure": node[:, 2], "flow": link[:, 0], "velocity": link[:, 1],
    }  # fmt: skip


def drainage(folder: Path, job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runoff and routing of a drainage network.

    Returns:
        Arrays in the units of the file: `flooded` (N,) volume, `flooded_hours`, `overflow` (highest), `depth` (highest), `outflow`
        of outfalls by node; `full_hours` (both ends), `limited_hours` by link; the totals of runoff and routing, and their errors.
    """
    del job
    from swmm.toolkit import shared_enum, solver

    begun = time.process_time()
    solver.swmm_open(*(str(folder / name) for name in ("net.inp", "net.rpt", "net.out")))
    solver.swmm_start(1)
    while solver.swmm_stride(_STRIDE) > 0:
        pass
    kinds = shared_enum.ObjectType
    names = {
        kind: [solver.project_get_id(kind, i) for i in range(solver.project_get_count(kind))]
        for kind in (kinds.NODE, kinds.LINK)
    }
    nodes = [solver.node_get_stats(i) for i in range(len(names[kinds.NODE]))]
    links = [solver.link_get_stats(i) for i in range(len(names[kinds.LINK]))]
    routing, runoff = solver.system_get_routing_totals(), solver.system_get_runoff_totals()
    arrays = {
        "node_ids": np.array(names[kinds.NODE]), "link_ids": np.array(names[kinds.LINK]),
        "flooded": np.array([one.volFlooded for one in nodes], float),
        "flooded_hours": np.array([one.timeFlooded for one in nodes], float),
        "overflow": np.array([one.maxOverflow for one in nodes], float),
        "depth": np.array([one.maxDepth for one in nodes], float),
        "full_hours": np.array([one.timeSurcharged for one in links], float),
        "limited_hours": np.array([one.timeCapacityLimited for one in links], float),
    }  # fmt: skip
    totals = {name: float(getattr(routing, name)) for name in _ROUTING}
    rain = {name: float(getattr(runoff, name)) for name in _RUNOFF}
    solver.swmm_end()
    errors = [float(one) for one in solver.swmm_get_mass_balance()]
    solver.swmm_report()
    solver.swmm_close()
    said = {"cpu": time.process_time() - begun, "routing": totals, "runoff": rain, "errors": errors}
    said["warnings"] = sorted(set(re.findall(r"WARNING \d+:[^\n]*", _report(folder))))
    said["report"] = _report(folder)
    return arrays, said


_ROUTING = ("dwInflow", "wwInflow", "gwInflow", "iiInflow", "exInflow", "flooding", "outflow", "evapLoss", "seepLoss", "initStorage", "finalStorage")  # fmt: skip
_RUNOFF = ("rainfall", "evap", "infil", "runoff", "drains", "runon", "initStorage", "finalStorage")


def _report(folder: Path) -> str:
    path = folder / "net.rpt"
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
