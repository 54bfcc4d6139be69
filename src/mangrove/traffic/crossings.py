# SPDX-License-Identifier: Apache-2.0
"""How long the way through the crossing behind an edge is: a sixth of a street's emissions happens there, with vehicles that accelerate.

Comes in: a network file of SUMO. Goes out: kilometers by edge, the mean over its movements. `SumoNet.length` ends at the stop line; what
counts, probes and emissions call a link is that length and this one.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from xml.etree import ElementTree as ET

from mangrove.errors import SourceError, Where
from mangrove.traffic.roads import Floats
from mangrove.traffic.sumo_net import SumoNet

_DEEPEST = 8
"""Most pieces into which a movement through a crossing is cut."""


def link_lengths(net: SumoNet) -> Floats:
    """(E,) km of every edge with the crossing behind it."""
    import numpy as np

    behind = crossing_lengths(net.path)
    return np.asarray(net.length + np.array([behind.get(name, 0.0) for name in net.ids]))


def crossing_lengths(path: Path) -> dict[str, float]:
    """Kilometers from the stop line of an edge to where the next one begins, the mean of its movements.

    Raises:
        SourceError: `roads.not_a_net`.
    """
    lane, after, movements = _inside(Path(path))
    found: dict[str, list[float]] = {}
    for edge, first in movements:
        km, via = 0.0, first
        for _ in range(_DEEPEST):
            if not via:
                break
            km += lane.get(via, 0.0)
            via = after.get(via, "")
        found.setdefault(edge, []).append(km)
    return {edge: sum(each) / len(each) for edge, each in found.items()}


def _inside(path: Path) -> tuple[dict[str, float], dict[str, str], list[tuple[str, str]]]:
    """Lengths of the lanes inside crossings, which lane follows which, and the movements with their first lane."""
    lane: dict[str, float] = {}
    after: dict[str, str] = {}
    movements: list[tuple[str, str]] = []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for _, one in ET.iterparse(file):  # noqa: S314 - a file that SUMO itself would read
                if one.tag == "lane" and one.get("id", "")[:1] == ":":
                    lane[one.get("id", "")] = float(one.get("length", 0)) / 1000
                elif one.tag == "connection" and one.get("from", "")[:1] == ":":
                    after[f"{one.get('from')}_{one.get('fromLane')}"] = one.get("via", "")
                elif one.tag == "connection" and one.get("via"):
                    movements.append((one.get("from", ""), one.get("via", "")))
                if one.tag in ("edge", "connection", "junction"):
                    one.clear()
    except (ET.ParseError, OSError, EOFError, ValueError) as error:
        raise SourceError("roads.not_a_net", where=Where(path.name), text=str(error)) from None
    return lane, after, movements
