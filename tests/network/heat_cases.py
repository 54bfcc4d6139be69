# SPDX-License-Identifier: Apache-2.0
"""Heat problems with published targets, a slow problem table that shares no code with the engine, and random streams."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from mangrove.network.heat import Streams
from mangrove.network.total_site import Utility


@dataclass(frozen=True)
class Published:
    """A problem of the literature: supply, target, CP; least difference; hot and cold utility; pinch hot / cold side."""

    source: str
    rows: tuple[tuple[float, float, float], ...]
    dt: float
    hot: float
    cold: float
    pinch: tuple[float, float]

    @property
    def streams(self):
        """As the engine takes them."""
        supply, target, cp = zip(*self.rows, strict=True)
        return Streams.of(supply, target, cp=cp)


PUBLISHED = (
    Published("Linnhoff & Hindmarsh 1983, Chem. Eng. Sci. 38:745 (kW, degC)",
              ((170, 60, 3), (150, 30, 1.5), (20, 135, 2), (80, 140, 4)), 10, 20, 60, (90, 80)),
    Published("Smith 2005, Chemical Process Design and Integration, chapter 16 (MW, degC)",
              ((250, 40, 0.15), (200, 80, 0.25), (20, 180, 0.2), (140, 230, 0.3)), 10, 7.5, 10, (150, 140)),
    Published("Papoulias & Grossmann 1983; Biegler, Grossmann & Westerberg 1997, chapter 10 (MW, K)",
              ((400, 120, 1), (340, 120, 2), (160, 400, 1.5), (100, 250, 1.3)), 20, 60, 225, (340, 320)),
    Published("Seider, Seader & Lewin, Product and Process Design Principles, four streams (10^3 Btu/h, degF)",
              ((260, 160, 30), (250, 130, 15), (120, 235, 20), (180, 240, 40)), 10, 500, 600, (190, 180)),
)  # fmt: skip


def table(streams, dt):
    """Hot and cold utility by the problem table in plain Python, levels and streams in two loops."""
    spans = []
    for i in range(len(streams)):
        own = streams.contribution[i]
        own = dt / 2 if np.isnan(own) else own
        shift = -own if streams.gives[i] else own
        ends = sorted((streams.supply[i] + shift, streams.target[i] + shift))
        spans.append((*ends, streams.heat[i] if streams.gives[i] else -streams.heat[i]))
    levels = sorted({end for low, high, _ in spans for end in (low, high)}, reverse=True)
    passing, least = 0.0, 0.0
    for upper, lower in zip(levels, [*levels[1:], None], strict=True):
        passing += sum(heat for low, high, heat in spans if low == high == upper)  # at constant temperature
        least = min(least, passing)
        if lower is not None:
            for low, high, heat in spans:
                if low <= lower and high >= upper and low < high:
                    passing += heat * (upper - lower) / (high - low)
            least = min(least, passing)
    return -least, passing - least


@st.composite
def random_streams(draw, most=8):
    """Streams at whole degrees, some at constant temperature, some with their own contribution."""
    count = draw(st.integers(1, most))
    ends = st.integers(0, 300)
    supply = draw(st.lists(ends, min_size=count, max_size=count))
    target = draw(st.lists(ends, min_size=count, max_size=count))
    heat = draw(st.lists(st.integers(0, 1000), min_size=count, max_size=count))
    gives = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    own = draw(st.lists(st.sampled_from([np.nan, 0.0, 2.5, 7.0]), min_size=count, max_size=count))
    plants = draw(st.lists(st.sampled_from("ab"), min_size=count, max_size=count))
    return Streams.of(supply, target, heat=heat, gives=gives, contribution=own, plants=plants)


def number(cell):
    """The value of a cell that may carry a unit."""
    return cell["value"] if isinstance(cell, dict) else cell


def stored(folder: Path):
    """The stored problems: name, streams, utilities, targets by name."""
    for path in sorted((folder / "stream_data").glob("p_*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        result = json.loads((folder / "results" / f"r_{path.name[2:]}").read_text(encoding="utf-8"))
        rows = case["streams"]
        fields = [
            [number(row[key]) for row in rows] for key in ("t_supply", "t_target", "heat_flow", "dt_cont")
        ]
        streams = Streams.of(
            *fields[:2], heat=fields[2], contribution=fields[3], plants=[row["zone"] for row in rows]
        )
        utilities = [_utility(row) for row in case["utilities"]]
        yield path.stem[2:], streams, utilities, result["targets"]


def _utility(row):
    """Where no second temperature is stored, that program lets the utility change by 0.01 K."""
    start, end = number(row["t_supply"]), number(row["t_target"])
    if end is None:
        end = start + (0.01 if row["type"] == "Cold" else -0.01)
    return Utility(
        row["name"], max(start, end), min(start, end), number(row["dt_cont"]),
        heats=row["type"] in ("Hot", "Both"), cools=row["type"] in ("Cold", "Both"),
    )  # fmt: skip
