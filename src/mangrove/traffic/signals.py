# SPDX-License-Identifier: Apache-2.0
"""The guarded adaptive controller: each second each signal gives green to the wave that is most worth it.

Comes in: what stands and comes on the last meters of each lane. Goes out: a state for each signal, and a log that says why. A phase is
worth the vehicles that it would let go, weighted by how freely they would go and how long they have waited, unless their exits are
blocked; the running phase has a bonus, so that it is not changed for nothing. Guards hold whatever the scores say (`guards.Guard`): least
green, yellow, pedestrians; nobody starves; a signal whose detectors fail returns to its installed program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.traffic.detection import Cameras, Seen, Sensors
from mangrove.traffic.guards import OUT, Guard, Limits
from mangrove.traffic.phases import GREEN, Signal, read_signals

Floats = npt.NDArray[np.float64]

_STARVED = 50.0
"""Bonus of a phase that serves a starving lane: above any queue that fits into the reach of the detectors."""
_SOUND = 60.0
"""s without a fault after which a detector that said it was broken is trusted again."""


@dataclass(frozen=True, slots=True)
class Wave:
    """The parameters of the score; one set for all signals.

    Attributes:
        reach: m of each lane that are seen; moving: weight of a moving vehicle, a standing one counts 1; rolling: what it counts more
        when it has green now and would have to stop; permissive: weight of permissive green; stay, stay_share: bonus of the running
        phase, and as a share of its worth; age: per second that a lane has had a queue; maximum: s of green at most while others
        wait; starve: s after which a queue must be served.
        recall: s after which a lane gets green although nobody is seen on it, as its camera may be blind (crossings of
        pedestrians, who are not seen: `starve`); silence: s without any vehicle after which the detectors of a signal are taken for
        broken; limits: see `guards.Limits`.
    """

    reach: float = 60.0
    moving: float = 1.2
    rolling: float = 0.6
    permissive: float = 0.65
    stay: float = 0.5
    stay_share: float = 0.2
    age: float = 0.1
    maximum: float = 60.0
    starve: float = 75.0
    recall: float = 180.0
    silence: float = 300.0
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Decision:
    """One change at a signal: when, from which phase to which, the worth of every phase, and why.

    Attributes: before, after: green states by number, `guards.OUT` for the installed program; reason: "worth", "maximum" (green),
    "starved", "detectors" (broken: back to the installed program) or "recovered".
    """

    time: float
    signal: str
    before: int
    after: int
    scores: tuple[float, ...]
    reason: str


class WaveController:
    """A `Control` for all signals of a network.

    A signal is taken over when its installed program shows a green state, and returns to that program, over yellow and red, while its
    detectors are taken for broken.

    Args:
        wave: parameters.
        sensors: what it sees; `Cameras` when none are given.
        only: ids of the signals to control, None for all.
    """

    def __init__(
        self, wave: Wave | None = None, sensors: Sensors | None = None, only: frozenset[str] | None = None
    ) -> None:
        self.wave, self.sensors, self.only = wave or Wave(), sensors or Cameras(), only
        self.log: list[Decision] = []

    def start(self, sim: Any) -> None:
        """Read the signals and subscribe to what happens before them."""
        signals = [s for s in read_signals(sim) if self.only is None or s.id in self.only]
        self.sensors.start(sim, signals, self.wave.reach)
        self.scores = Scores(signals, self.sensors, self.wave)
        self.health = Health(self.scores.lane, self.wave.silence)
        self.signals = signals
        self.guards: list[Guard | None] = [None] * len(signals)
        self._shown = [""] * len(signals)
        self._returned = [False] * len(signals)

    def step(self, sim: Any, t: float) -> None:
        """Decide for each signal and show it."""
        seen = self.sensors.look(sim)
        broken = self.health.broken(seen)
        worth = self.scores.of(seen, [-1 if g is None or g.clearing else g.phase for g in self.guards])
        for number in range(len(self.signals)):
            if self.guards[number] is None and not broken[number]:
                self._take(sim, number, t)
            guard = self.guards[number]
            if guard is None:
                continue
            if guard.free and broken[number]:
                self._note(t, number, guard.phase, OUT, worth, "detectors")
                guard.wish(OUT)
            elif guard.free:
                self._decide(t, number, guard, worth)
            state = guard.show(seen.inside.get(number, {}))
            if guard.gone:
                self._release(sim, number)
            elif state != self._shown[number]:
                sim.trafficlight.setRedYellowGreenState(guard.signal.id, state)
                self._shown[number] = state

    def finish(self) -> list[Decision]:
        """The log."""
        return self.log

    def _decide(self, t: float, number: int, guard: Guard, worth: Floats) -> None:
        """Ask for the phase that is worth most, with a bonus for the running one."""
        now, scores = guard.phase, worth[number, : len(guard.signal.states)].copy()
        own = scores[now]
        scores[now] += self.wave.stay + self.wave.stay_share * abs(own)
        others = np.delete(scores, now)
        late = guard.green >= self.wave.maximum and others.max() > 0.0
        if late:
            scores[now] = -np.inf
        best = int(scores.argmax())
        if best != now:
            starved = scores[best] >= _STARVED
            self._note(t, number, now, best, worth, "maximum" if late else "starved" if starved else "worth")
            guard.wish(best)

    def _take(self, sim: Any, number: int, t: float) -> None:
        """Take a signal over when its program shows one of its green states."""
        signal = self.signals[number]
        state = sim.trafficlight.getRedYellowGreenState(signal.id)
        if state not in signal.states:
            return
        guard = Guard(signal, self.wave.limits, signal.states.index(state))
        if self._returned[number]:
            self.log.append(Decision(t, signal.id, OUT, guard.phase, (), "recovered"))
        self.guards[number] = guard

    def _release(self, sim: Any, number: int) -> None:
        """Give a signal, all red now, back to its installed program."""
        signal = self.signals[number]
        sim.trafficlight.setProgram(signal.id, signal.program)
        self.guards[number], self._shown[number], self._returned[number] = None, "", True

    def _note(self, t: float, number: int, before: int, after: int, worth: Floats, reason: str) -> None:
        signal = self.signals[number]
        scores = tuple(float(x) for x in worth[number, : len(signal.states)])
        self.log.append(Decision(t, signal.id, before, after, scores, reason))


class Health:
    """Which signals have broken detectors: one that says so itself (NaN), or all of a signal silent for too long.

    A signal that is truly empty for so long returns to its program too, which harms nobody; the first vehicle seen brings it back.
    """

    def __init__(self, lane: npt.NDArray[np.int64], silence: float) -> None:
        self.lane, self.silence = lane, silence
        self._silent = np.zeros(len(lane))
        self._sound = np.full(len(lane), _SOUND)

    def broken(self, seen: Seen) -> npt.NDArray[np.bool_]:
        """(S,) whether the detectors of a signal are taken for broken."""
        count = np.append(seen.queue + seen.moving, 0.0)[self.lane].sum(axis=1)
        self._silent = np.where(count > 0.0, 0.0, self._silent + 1.0)
        self._sound = np.where(np.isnan(count), 0.0, self._sound + 1.0)
        return np.asarray((self._sound < _SOUND) | (self._silent > self.silence))


class Scores:
    """The worth of every phase of every signal, all at once.

    Tables are padded to the largest signal: S signals, P phases, J lanes, L links.
    """

    def __init__(self, signals: list[Signal], sensors: Sensors, wave: Wave) -> None:
        self.wave = wave
        s = len(signals)
        p = max((len(one.states) for one in signals), default=0)
        j = max((len(one.lanes) for one in signals), default=0)
        link = max((len(one.lane) for one in signals), default=0)
        lanes, exits = len(sensors.lanes), len(sensors.exits)
        self.lane = np.full((s, j), lanes)
        self.exit = np.full((s, link), exits)
        self.weight = np.zeros((s, p, j))
        self.green = np.zeros((s, p, link))
        self.member = np.zeros((s, link, j))
        self.patience = np.full(lanes, wave.recall)
        for n, one in enumerate(signals):
            self.lane[n, : len(one.lanes)] = [sensors.lanes[name] for name in one.lanes]
            self.weight[n, : len(one.states), : len(one.lanes)] = one.weights(wave.permissive)
            for number, of in enumerate(one.lane):
                if of >= 0:
                    self.exit[n, number] = sensors.exits.get(one.exits[number], exits)
                    self.member[n, number, of] = 1.0
                    if one.crossing[number]:
                        self.patience[self.lane[n, of]] = wave.starve
            for number, state in enumerate(one.states):
                self.green[n, number, : len(state)] = [letter in GREEN for letter in state]
        self.serves = self.weight > 0
        self.age, self.unserved = np.zeros(lanes), np.zeros(lanes + 1)

    def of(self, seen: Seen, phases: list[int]) -> Floats:
        """(S, P) worth of the phases at this second; ages of queues grow.

        Args:
            seen: detections.
            phases: (S,) the green state that each signal shows, -1 for none.
        """
        wave = self.wave
        queue, moving = np.nan_to_num(seen.queue), np.nan_to_num(seen.moving)
        self.age = np.where(queue > 0, self.age + 1.0, 0.0)
        self.unserved += 1.0
        shown = np.array(phases, dtype=int)
        self.unserved[self.lane[self.serves[np.arange(len(shown)), shown] & (shown >= 0)[:, None]]] = 0.0
        call = queue + wave.moving * moving + wave.age * self.age
        late = np.where(self.age > wave.starve, _STARVED + self.age, 0.0)
        late += np.where(self.unserved[:-1] > self.patience, _STARVED + self.unserved[:-1], 0.0)
        open_ = 1.0 - np.append(seen.blocked, False)[self.exit]
        free = (self.green * open_[:, None, :]) @ self.member > 0
        each, overdue, rolls = (np.append(x, 0.0)[self.lane][:, None, :] for x in (call, late, moving))
        runs = np.arange(self.green.shape[1])[None, :, None] == shown[:, None, None]
        each = each + wave.rolling * runs * rolls
        return np.asarray((free * (self.weight * each + self.serves * overdue)).sum(axis=2))
