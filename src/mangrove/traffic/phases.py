# SPDX-License-Identifier: Apache-2.0
"""The green states of installed signal programs, and what each of them lets go.

Comes in: the programs and controlled links of a running simulation (or plain words of states). Goes out: a `Signal` each: its distinct
green states, the lanes that lead to it, and which links of which lane each state serves. A controller chooses among these states only,
so that the conflict matrix of the installed program holds whatever it decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

GREEN = "Gg"
_STOPPED = "rs"
_ENDING = "yu"


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal: L links, J lanes that lead to it (crossings of pedestrians are lanes too), P green states.

    Attributes:
        id, program: names; states: the P green states, one letter a link; cycle: the installed program as (state, seconds) in its order.
        lanes: (J,) ids; lane: (L,) which lane a link starts from, -1 for a link that nobody uses; exits: (L,) ids of the lanes that
            links lead to; via: (L,) ids of the ways within the junction, empty where the net has none.
        crossing: (L,) m that a pedestrian walks, 0 for vehicles.
        foes: (L,) the links whose ways within the junction cross or join that of a link.
    """

    id: str
    program: str
    states: tuple[str, ...]
    cycle: tuple[tuple[str, float], ...]
    lanes: tuple[str, ...]
    lane: tuple[int, ...]
    exits: tuple[str, ...]
    via: tuple[str, ...]
    crossing: tuple[float, ...]
    foes: tuple[frozenset[int], ...]

    def weights(self, permissive: float) -> Floats:
        """(P, J) share of a lane's links that a state lets go, permissive green counting `permissive`."""
        table = np.zeros((len(self.states), len(self.lanes)))
        links = np.bincount([j for j in self.lane if j >= 0], minlength=len(self.lanes))
        for p, state in enumerate(self.states):
            for link, j in enumerate(self.lane):
                if j >= 0:
                    table[p, j] += {"G": 1.0, "g": permissive}.get(state[link], 0.0) / links[j]
        return table

    def walk(self, state: str, speed: float) -> float:
        """Seconds that the longest crossing which is green in `state` takes at `speed` m/s."""
        return max(
            (m / speed for m, letter in zip(self.crossing, state, strict=True) if letter in GREEN),
            default=0.0,
        )


def green_states(states: Sequence[str]) -> tuple[str, ...]:
    """The distinct states with green and without yellow, in their order.

    Example:
        >>> green_states(["GGrr", "yyrr", "rrGg", "rryy", "GGrr"])
        ('GGrr', 'rrGg')
    """
    chosen = (s for s in states if any(c in GREEN for c in s) and not any(c in _ENDING for c in s))
    return tuple(dict.fromkeys(chosen))


def clearance(now: str, then: str) -> str:
    """The state between two states: every green that ends is yellow; the rest stays as it is.

    Example:
        >>> clearance("GGgrr", "GrrGG")
        'Gyyrr'
    """
    return "".join("y" if a in GREEN and b in _STOPPED else a for a, b in zip(now, then, strict=True))


def read_signals(sim: Any) -> list[Signal]:
    """All signals of a running simulation that have more than one green state."""
    found = (_signal(sim, name) for name in sorted(sim.trafficlight.getIDList()))
    return [signal for signal in found if len(signal.states) > 1]


def _signal(sim: Any, name: str) -> Signal:
    program = sim.trafficlight.getProgram(name)
    logics = sim.trafficlight.getAllProgramLogics(name)
    logic = next(one for one in logics if one.programID == program)
    cycle = tuple((phase.state, float(phase.duration)) for phase in logic.phases)
    controlled = sim.trafficlight.getControlledLinks(name)
    links = [group[0] if group else None for group in controlled]
    links += [None] * (max(len(state) for state, _ in cycle) - len(links))  # letters that no link uses
    lanes = tuple(dict.fromkeys(link[0] for link in links if link))
    number = {lane: j for j, lane in enumerate(lanes)}
    via = tuple(link[2] if link else "" for link in links)
    return Signal(
        id=name,
        program=program,
        states=green_states([state for state, _ in cycle]),
        cycle=cycle,
        lanes=lanes,
        lane=tuple(number[link[0]] if link else -1 for link in links),
        exits=tuple(link[1] if link else "" for link in links),
        via=via,
        crossing=tuple(_crossing(sim, link) for link in links),
        foes=_foes(sim, via, [link[0] if link else "" for link in links]),
    )


def _crossing(sim: Any, link: tuple[str, str, str] | None) -> float:
    """Length of the crossing that a link leads over; 0 for a link of vehicles."""
    if link is None or not link[0].startswith(":"):
        return 0.0
    return float(sim.lane.getLength(link[1]))


def ways(sim: Any, via: str) -> list[str]:
    """The lanes within a junction that a link leads over, from the first one, `via`; none for a link without."""
    found: list[str] = []
    while via and via not in found:
        found.append(via)
        via = next((link[4] for link in sim.lane.getLinks(via) if link[4]), "")
    return found


def _foes(sim: Any, via: Sequence[str], origin: Sequence[str]) -> tuple[frozenset[int], ...]:
    """(L,) the links from other lanes whose ways cross or join that of a link."""
    over = [ways(sim, one) for one in via]
    against = [{foe for way in each for foe in sim.lane.getInternalFoes(way)} for each in over]
    return tuple(
        frozenset(
            other
            for other, each in enumerate(over)
            if origin[other] != origin[link] and against[link].intersection(each)
        )
        for link in range(len(over))
    )
