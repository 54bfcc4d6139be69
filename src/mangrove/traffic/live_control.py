# SPDX-License-Identifier: Apache-2.0
"""Signals of a simulation that somebody else has started: SUMO with `--remote-port`, or libsumo or traci in the own process.

Comes in: the running simulation and a controller. Goes out: its decisions as they fall, and signals that run their installed programs
again when control ends: over yellow and red, with the guards of the controller, unless the simulation is over anyway.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from mangrove.errors import MissingExtraError, RequestError, SourceError, Where, did_you_mean
from mangrove.traffic.detection import Seen, Sensors
from mangrove.traffic.guards import OUT
from mangrove.traffic.phases import Signal
from mangrove.traffic.signals import Decision, WaveController

PORTS = 65535
PATIENCE = 86_400.0
"""s: a day is the longest that anybody is waited for."""
_ORDERS = 2**31
"""Places of clients that SUMO's interface can say."""
_ONLINE = "online"
"""SUMO's name for the program of a signal that somebody sets state by state."""
_LONGEST = 180.0
"""s in which guards bring every signal to red: least green, a long crossing, yellow, a junction that empties."""
_VERSION = struct.pack("!iBB", 6, 2, 0)
"""The question for the version in SUMO's interface (TraCI): length, length of the command, its number 0."""
_ANSWER = (11, 4096)
"""Bytes that an answer to it has at least and at most."""
_FAILURES = ("FatalTraCIError", "TraCIException")
_PAUSE = 0.2
_LONGEST_STEP, _TINY = 1.0, 1e-6


@dataclass(frozen=True)
class Driven:
    """How control went.

    Attributes:
        begin, end: simulated s; signals: ids of those controlled; decisions: how many there were.
        why: what ended it: "ended" (the simulation), "seconds" (as many as were asked for), "stopped" (by `stop`).
        abrupt: signals that got their program back without yellow and red, because the simulation was over or they could not clear.
    """

    begin: float
    end: float
    signals: tuple[str, ...]
    decisions: int
    why: str
    abrupt: tuple[str, ...]


def drive(
    sim: Any,
    control: Any,
    *,
    seconds: float | None = None,
    told: Callable[[dict[str, Any]], object] | None = None,
    stop: Callable[[], bool] = lambda: False,
    wanted: Sequence[str] = (),
) -> Driven:
    """Let a controller drive the signals of a running simulation, and give them back.

    Goes on until the end that SUMO was started with; without one, until all vehicles have arrived and no more will come.

    Args:
        sim: the module libsumo or traci with a simulation loaded, or a connection of traci; it stands before a step.
        control: a `WaveController`, or any `simulate.Control`.
        seconds: simulated s after which control ends.
        told: is called with each decision of a `WaveController` as plain values: time, signal, from, to (states, None for the
            installed program), reason, worth (of each state). Without it decisions stay in `control.log`.
        stop: is asked before each simulated second whether to end. Interrupting traci in the middle of an answer makes the connection
            useless: handlers of signals should only make `stop` true.
        wanted: signals that the simulation must have, such as those of the network that is meant.

    Raises:
        RequestError: `traffic.live_other_net` (a signal of `wanted` is missing), `traffic.live_no_signals`, `traffic.live_taken` (another client controls a signal), `traffic.live_unknown` (a
            signal that the controller asks for), `traffic.live_step` (steps longer than 1 s). SourceError: `traffic.live_lost`.
    """
    driving = _Driving(sim, control, told)
    with _said_by_sumo(driving):
        driving.start(wanted)
        begun = driving.now
        until = math.inf if seconds is None else begun + seconds
        try:
            why = driving.until(until, stop)
        except Exception as error:
            if not _of_sumo(error):  # such as a full disk: the simulation is still there
                driving.told = None
                driving.clear()
                driving.give_back()
            raise
        if why != "ended":
            driving.clear()
        abrupt = driving.give_back()
    return Driven(begun, driving.now, tuple(driving.programs), driving.count, why, abrupt)


def connect(port: int, host: str = "localhost", *, wait: float = 10.0, order: int | None = None) -> Any:
    """A connection to a SUMO that listens at a port; `drive` takes it, `part` ends it.

    Args:
        port: as given to SUMO's `--remote-port`.
        host: where it runs.
        wait: s in which it must listen and answer; with `--num-clients` SUMO answers when the last client has come.
        order: place of this client among several, as SUMO's `setOrder`.

    Raises:
        MissingExtraError: traci is not installed. RequestError: `traffic.live_port`, `traffic.live_wait`, `traffic.live_order`.
        SourceError: `traffic.live_nobody` (nobody listens), `traffic.live_silent` (no answer in time), `traffic.live_not_sumo`
            (another kind of server).
    """
    if not 0 < port <= PORTS:
        raise RequestError("traffic.live_port", port=port)
    if not 0 <= wait <= PATIENCE:
        raise RequestError("traffic.live_wait", wait=f"{wait:g}", most=f"{PATIENCE:g}")
    if order is not None and not 0 <= order < _ORDERS:
        raise RequestError("traffic.live_order", order=order)
    try:
        traci = import_module("traci")
    except ImportError:
        raise MissingExtraError("traffic") from None
    ends = time.monotonic() + wait
    connection = _reached(traci, host, port, ends)
    where = Where(host, port)
    line = connection._socket  # noqa: SLF001 - traci has no way to wait for an answer but not for ever
    try:
        line.settimeout(max(ends - time.monotonic(), _PAUSE))
        line.sendall(_VERSION)
        (length,) = struct.unpack("!i", _exactly(line, 4))
        known = _ANSWER[0] <= length <= _ANSWER[1] and _exactly(line, length - 4)[1:3] == b"\0\0"
        line.settimeout(None)
    except TimeoutError:
        line.close()
        raise SourceError("traffic.live_silent", where=where, wait=f"{wait:g}") from None
    except OSError:
        known = False
    if not known:
        line.close()
        raise SourceError("traffic.live_not_sumo", where=where)
    if order is not None:
        connection.setOrder(order)
    return connection


def part(connection: Any) -> None:
    """End a connection, also one that is lost already. A SUMO without further clients ends, too."""
    try:
        connection.close(wait=False)
    except Exception as error:
        if not _of_sumo(error):
            raise


class Leaving:
    """Sensors that call themselves broken once control is to end, so that every signal goes back to its program over yellow and red.

    Attributes:
        now: whether it is time to leave.
    """

    def __init__(self, behind: Sensors) -> None:
        self.behind, self.now = behind, False
        self.lanes: dict[str, int] = {}
        self.exits: dict[str, int] = {}

    def start(self, sim: Any, signals: Sequence[Signal], reach: float) -> None:
        """As the sensors behind."""
        self.behind.start(sim, signals, reach)
        self.lanes, self.exits = self.behind.lanes, self.behind.exits

    def look(self, sim: Any) -> Seen:
        """What the sensors behind see."""
        seen = self.behind.look(sim)
        unknown = np.full(len(seen.queue), np.nan)
        return Seen(unknown, unknown, seen.blocked, seen.inside) if self.now else seen


class _Driving:
    """A controller at work.

    Attributes:
        now: simulated s; programs: the installed program of each signal under control; count: decisions so far.
    """

    def __init__(self, sim: Any, control: Any, told: Callable[[dict[str, Any]], object] | None) -> None:
        self.sim, self.control, self.told = sim, control, told
        self.wave = control if isinstance(control, WaveController) else None
        self.now, self.count, self._kept = math.nan, 0, 0
        self.programs: dict[str, str] = {}

    def start(self, wanted: Sequence[str]) -> None:
        """Let the controller get ready; see `drive` for what is refused."""
        self._time()
        step = float(self.sim.simulation.getDeltaT())
        if step > _LONGEST_STEP:
            raise RequestError("traffic.live_step", step=f"{step:g}")
        lights = self.sim.trafficlight
        known = tuple(lights.getIDList())
        for name in wanted:
            if name not in known:
                raise RequestError("traffic.live_other_net", signal=name)
        for name in (self.wave and self.wave.only) or known:
            if name not in known:
                raise RequestError("traffic.live_unknown", signal=name, hint=did_you_mean(name, known))
            self.programs[name] = lights.getProgram(name)
            if self.programs[name] == _ONLINE:
                raise RequestError("traffic.live_taken", signal=name)
        if self.wave is not None:
            seeing = self.wave.sensors
            behind = seeing.behind if isinstance(seeing, Leaving) else seeing  # a controller may drive again
            self.leaving = self.wave.sensors = Leaving(behind)
        self.control.start(self.sim)
        if self.wave is not None:
            self.states = {signal.id: signal.states for signal in self.wave.signals}
            self.programs = {name: self.programs[name] for name in self.states}
            self._kept = len(self.wave.log)
        if not self.programs:
            raise RequestError("traffic.live_no_signals")

    def until(self, last: float, stop: Callable[[], bool]) -> str:
        """Second by second until something ends it; says what."""
        end = float(self.sim.simulation.getEndTime())
        while not stop():
            if self.now >= last:
                return "seconds"
            over = self.now >= end if end > 0 else self.sim.simulation.getMinExpectedNumber() <= 0
            if over:
                return "ended"
            self._second()
            self._tell()
        return "stopped"

    def clear(self) -> None:
        """Bring every signal to its program over yellow and red, as its guards want it."""
        if self.wave is None:
            return
        self.leaving.now = True
        latest = self.now + _LONGEST
        while self.now < latest and any(guard is not None for guard in self.wave.guards):
            self._second()
        self._tell()

    def give_back(self) -> tuple[str, ...]:
        """Give every signal that is still held its program; which these were."""
        lights = self.sim.trafficlight
        held = tuple(name for name in self.programs if lights.getProgram(name) == _ONLINE)
        for name in held:
            lights.setProgram(name, self.programs[name])
        return held

    def _time(self) -> None:
        self.now = float(self.sim.simulation.getTime())

    def _second(self) -> None:
        """One simulated second: the controller speaks, then SUMO moves."""
        self.control.step(self.sim, self.now)
        then = self.now + 1.0 - _TINY
        while self.now < then:
            self.sim.simulationStep()
            self._time()

    def _tell(self) -> None:
        """Tells the decisions of the last second."""
        if self.wave is None:
            return
        new = self.wave.log[self._kept :]
        if self.leaving.now:
            new = [replace(one, reason="handed_back") if one.after == OUT else one for one in new]
            self.wave.log[self._kept :] = new
        self.count += len(new)
        self._kept = len(self.wave.log)
        if self.told is not None and new:
            del self.wave.log[-len(new) :]
            self._kept = len(self.wave.log)
            for one in new:
                self.told(self._plain(one))

    def _plain(self, one: Decision) -> dict[str, Any]:
        """A decision as plain values."""
        states = self.states[one.signal]
        before, after = (None if at == OUT else states[at] for at in (one.before, one.after))
        worth = {state: round(score, 3) for state, score in zip(states, one.scores, strict=False)}
        return {
            "time": one.time, "signal": one.signal, "from": before, "to": after, "reason": one.reason, "worth": worth,
        }  # fmt: skip


def _reached(traci: Any, host: str, port: int, ends: float) -> Any:
    """A connection to whoever listens; tries again until it is time to end."""
    where = Where(host, port)
    while True:
        try:
            return traci.connection.Connection(host, port, process=None, traceFile=None, traceGetters=True)
        except socket.gaierror as error:
            raise SourceError("traffic.live_nobody", where=where, reason=error.strerror) from None
        except OSError as error:
            if time.monotonic() >= ends:
                reason = error.strerror or str(error)
                raise SourceError("traffic.live_nobody", where=where, reason=reason) from None
            time.sleep(_PAUSE)


def _exactly(line: socket.socket, count: int) -> bytes:
    """So many bytes; an OSError when there are no more."""
    found = b""
    while len(found) < count:
        more = line.recv(count - len(found))
        if not more:
            raise ConnectionResetError
        found += more
    return found


@contextmanager
def _said_by_sumo(driving: _Driving) -> Iterator[None]:
    """Errors of libsumo and traci as errors of this package."""
    try:
        yield
    except Exception as error:
        if not _of_sumo(error):
            raise
        detail = str(error).strip() or type(error).__name__
        raise SourceError("traffic.live_lost", time=f"{driving.now:g}", detail=detail) from None


def _of_sumo(error: Exception) -> bool:
    """Whether SUMO or the line to it failed; libsumo and traci have classes of their own with the same names."""
    return isinstance(error, ConnectionError) or any(
        kind.__name__ in _FAILURES for kind in type(error).__mro__
    )
