# SPDX-License-Identifier: Apache-2.0
"""The hard rules of one signal, whatever a controller wishes: minimum green, yellow, clearance, time for pedestrians.

Comes in: a wish for a green state each second. Goes out: the state to show. No wish can shorten a green, skip a yellow or send vehicles
onto a crossing on which people still walk. Pure logic without a simulation, so that properties can be tested on millions of seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mangrove.traffic.phases import GREEN, Signal, clearance

WALK_MIN = 7.0
"""s; a walk interval lasts at least this long (FHWA, MUTCD 2009, section 4E.06, paragraph 11)."""
WALK_SPEED = 1.07
"""m/s, 3.5 ft/s, at which the clearance time of a crossing is computed (FHWA, MUTCD 2009, section 4E.06, paragraph 7)."""

_ROOM = 2
"""Vehicles that turn on permissive green for whom a junction has no room; each other one that stands within it counts as many."""

OUT = -1
"""A wish for no green at all: the way from control to the installed program leads over it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times that hold always, s: least green, yellow, all red after yellow; walkers' least green and speed (m/s).

    `clear` is how long the next green waits at most for vehicles that are stuck within the junction.
    """

    minimum: float = 7.0
    yellow: float = 3.0
    all_red: float = 0.0
    clear: float = 15.0
    walk: float = WALK_MIN
    walk_speed: float = WALK_SPEED


class Guard:
    """Carries one signal from green state to green state.

    Invariants: what `show` returns is one of the signal's green states, the clearance between two of them, or such a state with
    crossings or everything red; a green state lasts at least its minimum; a link of vehicles that loses its green is yellow first.
    """

    def __init__(self, signal: Signal, limits: Limits, phase: int = 0) -> None:
        self.signal, self.limits = signal, limits
        self.phase, self.green = phase, 0.0
        self._coming: list[tuple[str, float]] = []
        self._then = phase
        self._left = self._waited = 0.0
        self._minimum = [
            max(limits.minimum, limits.walk if signal.walk(state, 1.0) else 0.0) for state in signal.states
        ]

    @property
    def clearing(self) -> bool:
        """Whether the signal is between two green states."""
        return bool(self._coming)

    @property
    def free(self) -> bool:
        """Whether a wish for another state would be granted now."""
        return not self._coming and self.green >= self._minimum[self.phase]

    @property
    def gone(self) -> bool:
        """Whether the way out that a wish for `OUT` began has come to its end: everything is red."""
        return self._then == OUT and not self._coming

    def wish(self, phase: int) -> bool:
        """Ask for the green state `phase`, or for `OUT`; whether it was granted."""
        if not self.free or phase == self.phase:
            return False
        self._then = phase
        self._coming = self.between(self.signal.states[self.phase], self._target)
        if self._coming:
            self._left = self._coming[0][1]
        else:
            self.phase, self.green = phase, 0.0
        return True

    @property
    def _target(self) -> str:
        return self.signal.states[self._then] if self._then != OUT else "r" * len(self.signal.lane)

    def between(self, now: str, then: str) -> list[tuple[str, float]]:
        """States with their seconds that lead from one green state to another."""
        limits, steps = self.limits, []
        ends = [
            m > 0 and a in GREEN and b not in GREEN
            for m, a, b in zip(self.signal.crossing, now, then, strict=True)
        ]
        if any(ends):
            now = "".join("r" if end else a for end, a in zip(ends, now, strict=True))
            longest = max(m for m, end in zip(self.signal.crossing, ends, strict=True) if end)
            rest = longest / limits.walk_speed
            if any(a in GREEN and b not in GREEN for a, b in zip(now, then, strict=True)):
                rest -= limits.yellow + limits.all_red
            if rest > 0.0:
                steps.append((now, rest))
        amber = clearance(now, then)
        if "y" in amber:
            steps.append((amber, limits.yellow))
            if limits.all_red:
                steps.append((amber.replace("y", "r"), limits.all_red))
        return steps

    def show(self, inside: Mapping[int, int] = MappingProxyType({})) -> str:
        """The state for the next second; time passes.

        Args:
            inside: vehicles that are stuck within the junction, by the link they use; see `occupied`.
        """
        while self._coming and self._left <= 0.0:
            if len(self._coming) == 1 and self._waited < self.limits.clear and self.occupied(inside):
                self._waited += 1.0
                return self._coming[0][0].replace("y", "r")
            self._coming.pop(0)
            if self._coming:
                self._left += self._coming[0][1]
            else:
                self.phase, self.green, self._waited = self._then, 0.0, 0.0
        if self.gone:
            return self._target
        if self._coming:
            self._left -= 1.0
            return self._coming[0][0]
        self.green += 1.0
        return self.signal.states[self.phase]

    def occupied(self, inside: Mapping[int, int]) -> bool:
        """Whether vehicles within the junction are in the way of the next green, so that it has to wait.

        One that turned on permissive green stands where the junction has room for it and gets out by itself; a second one, or one
        that had the right of way, stands across other ways: entered by the next stream, the junction can lock for good.
        """
        then = self._target
        now = self.signal.states[self.phase]
        new = {link for link, letter in enumerate(then) if letter in GREEN and now[link] not in GREEN}
        room = sum(
            count if now[link] == "g" else _ROOM * count
            for link, count in inside.items()
            if then[link] not in GREEN and (self._then == OUT or self.signal.foes[link] & new)
        )
        return room >= _ROOM
