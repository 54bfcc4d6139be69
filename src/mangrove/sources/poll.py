# SPDX-License-Identifier: Apache-2.0
"""Devices that are asked: one thread for each, readings on the step, a gap where none came.

Comes in: a declared device with its points, and a `Reader` that speaks its protocol. Goes out: values in the intake, and the device's
`Health` for pages. A device is asked at the beginning of each of its steps (every 15 minutes means at :00, :15, ...) by the injected
clock. One that does not answer is asked again after growing pauses, blocks no other device, and makes no value. What was read
while the intake had no room is kept and handed in later.
"""

from __future__ import annotations

import os
import random
import re
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from mangrove.errors import LedgerError, MangroveError, Problem, RequestError, SourceError, did_you_mean
from mangrove.ledger.types import Origin, Quality
from mangrove.sources.ftp import is_plain
from mangrove.sources.intake import Intake
from mangrove.sources.messages_in import AHEAD, Reading, as_values
from mangrove.sources.problems import RejectedError
from mangrove.sources.sampling import Collector, collector
from mangrove.territory.model import Device, Point, Territory
from mangrove.times import Step
from mangrove.units import Unit

EVERY = Step(seconds=900)
"""Time within which something is expected of a device that declares no `every`: a quarter of an hour, as most meters bill."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a device that failed is asked again: doubled after each failure, up to a minute."""
MOST_KEPT = 10_000
"""Batches kept while the intake has no room; beyond, the oldest is given up and the health says so."""
PARAMETERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "modbus": (("unit", "timeout", "asset"), ("sf", "na", "integrate", "amount")),
    "opcua": (("user", "security", "timeout"), ("integrate", "amount")),
    "file": (("mapping", "keep", "send", "form"), ()),
    "ftp": (("mapping", "ca", "send"), ()),
}
"""What a device of each protocol may say besides, and what its points may."""
_DISPATCH = "dispatch_center"
"""The parameter `form` of a folder with the files of the national dispatch center."""
STATUSES = ("ok", "late", "failing", "never")
_LONGEST_WAIT, _SHORTEST_WAIT = 5.0, 0.02


@dataclass(frozen=True, slots=True)
class Health:
    """How a device is doing, for pages.

    Attributes:
        device: id.
        status: `ok`; `late`: nothing came for two of its steps; `failing`: the last attempt failed; `never`: nothing came and
            nothing failed since the start.
        last: when it last said something, UTC.
        problem: the last error; also one that concerns only a part of it while the rest is `ok`.
    """

    device: str
    status: str
    last: datetime | None = None
    problem: Problem | None = None


class Clock(Protocol):
    """The clock that everything live asks."""

    def now(self) -> datetime:
        """The instant, UTC."""


class Connector(Protocol):
    """What stands between the intake and one protocol; a server starts and stops all of them."""

    def start(self) -> None:
        """Begins; returns at once."""

    def stop(self) -> None:
        """Ends; returns when nothing of it runs any more."""

    def state(self) -> tuple[Health, ...]:
        """One health for each device."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a device said at one address: None when it says that it has no value; `at` when it gave a time."""

    value: float | None
    quality: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a device said when it was asked; `problem` concerns addresses that failed while others answered."""

    samples: Mapping[str, Sample]
    problem: Problem | None = None


class Reader(Protocol):
    """One device in one protocol. It connects when it must and may raise anything; it is used by one thread."""

    def read(self) -> Answer:
        """Asks the device for all its points; samples by address of the point."""

    def close(self) -> None:
        """Ends the connection."""

    def unit(self, address: str) -> Unit | None:
        """The unit that the protocol itself knows for an address."""


def health(
    device: Device,
    now: datetime,
    last: datetime | None,
    problem: Problem | None = None,
    *,
    failing: bool = False,
) -> Health:
    """The health of a device from when it last said something and what failed.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> meter = Device("meter", "modbus", "mill", every=Step.parse("15min"))
        >>> health(meter, noon, noon - timedelta(minutes=31)).status
        'late'
    """
    if failing:
        status = "failing"
    elif last is None:
        status = "never"
    else:
        allowed = 2 * timedelta(hours=(device.every or EVERY).hours)
        status = "late" if now - last > allowed else "ok"
    return Health(device.id, status, last, problem)


@dataclass
class Pace:
    """When a connector tries next, and how it went.

    Attributes:
        due: the next attempt; last: when something came; failures: in a row; problem: the last one.
        chance: numbers from 0 to 1 that spread attempts after a failure.
    """

    chance: Callable[[], float] = random.random
    due: datetime | None = None
    last: datetime | None = None
    failures: int = 0
    problem: Problem | None = None

    def fail(self, now: datetime, problem: Problem) -> None:
        """Puts the next attempt off: by a second, and twice as long after each further failure, up to a minute."""
        self.problem = problem
        pause = min(FIRST_PAUSE * 2**self.failures, LONGEST_PAUSE) * (0.5 + self.chance())
        self.failures = min(self.failures + 1, 30)
        self.due = now + timedelta(seconds=pause)

    def fine(self, due: datetime, problem: Problem | None = None) -> None:
        """An attempt went well; the next one is at `due`."""
        self.failures, self.due, self.problem = 0, due, problem

    def health(self, device: Device, now: datetime) -> Health:
        """The health of the device."""
        return health(device, now, self.last, self.problem, failing=self.failures > 0)


class Runner:
    """A thread that calls `turn`, waits as many seconds of the clock as that says, and calls it again.

    Args:
        name: of the thread.
        turn: what to do.
        clock: its `speed` turns seconds of the clock into real ones.
        close: called at the end, in the same thread.
    """

    def __init__(
        self, name: str, turn: Callable[[], float], clock: Clock, close: Callable[[], None] = lambda: None
    ) -> None:
        self._name, self._turn, self._clock, self._close = name, turn, clock, close
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the turn that is under way."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                speed = float(getattr(self._clock, "speed", 1.0))
                wait = self._turn() / speed if speed > 0 else _LONGEST_WAIT
                self._ended.wait(min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT))
        finally:
            self._close()


def collectors(
    device: Device, territory: Territory, unit_of: Callable[[str], Unit | None]
) -> list[tuple[Point, Collector]]:
    """The points of a device, each with what makes values of its readings.

    Raises:
        RejectedError: `devices.rejected`, with every point that makes no sense.
    """
    found: list[tuple[Point, Collector]] = []
    problems: list[Problem] = []
    for point in territory.points:
        if point.device != device.id:
            continue
        try:
            flow = territory.flows[point.flow]
            said = unit_of(point.address)
            found.append((point, collector(point, flow, said, device.every or EVERY, territory.tz)))
        except MangroveError as error:
            problems += [replace(problem, where=problem.where or point.where) for problem in error.problems]
    if problems:
        raise RejectedError("devices.rejected", problems)
    return found


class Turning(ABC):
    """A connector that does something again and again in a thread of its own; what it does stands in `turn`.

    Args:
        device: as declared; clock: says when it is time; name: of the thread, before the id of the device.
        close: called at the end, in the same thread.
        chance: numbers from 0 to 1 that spread retries.
    """

    def __init__(
        self,
        device: Device,
        clock: Clock,
        name: str,
        close: Callable[[], None] = lambda: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.device = device
        self._clock = clock
        self._pace = Pace(chance)
        self._runner = Runner(f"{name}:{device.id}", self.turn, clock, close)

    def start(self) -> None:
        """Begins; returns at once."""
        self._runner.start()

    def stop(self) -> None:
        """Ends after what is under way."""
        self._runner.stop()

    def state(self) -> tuple[Health, ...]:
        """The health of the device."""
        return (self._pace.health(self.device, self._clock.now()),)

    @abstractmethod
    def turn(self) -> float:
        """Does what is due; returns the seconds (of the clock) until it is due again."""

    def attempt(self, work: Callable[[datetime], tuple[datetime, Problem | None]]) -> float:
        """Runs `work` when it is due: it gives when it is due again, and what went wrong with a part of it.

        Whatever it raises is kept as the device's problem, and it is tried again after a growing pause.
        """
        now, pace = self._clock.now(), self._pace
        if pace.due is None:
            pace.due = now
        if now >= pace.due:
            try:
                due, problem = work(now)
            except Exception as error:  # noqa: BLE001 - a device may fail in any way; it must not stop the others
                pace.fail(now, problem_of(self.device, error))
            else:
                pace.fine(due, problem)
        return (pace.due - now).total_seconds()


class Poller(Turning):
    """Asks one device on its steps; a `Connector`.

    Args:
        device: as declared.
        territory: its flows and points.
        intake: takes the values.
        clock: says when it is time.
        reader: speaks the protocol.
        chance: numbers from 0 to 1 that spread retries, so that devices behind one gateway do not return together.

    Raises:
        RejectedError: a point of the device cannot be a value of its flow.
    """

    def __init__(
        self,
        device: Device,
        territory: Territory,
        intake: Intake,
        clock: Clock,
        reader: Reader,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(device, clock, "poll", reader.close, chance)
        self._intake, self._reader = intake, reader
        self._tz, self._flows = territory.tz, territory.flows
        self._every = device.every or EVERY
        self._points = collectors(device, territory, reader.unit)
        self._step: datetime | None = None
        self._kept: deque[tuple[list[Reading], Origin]] = deque()

    def turn(self) -> float:
        """Asks the device when it is due; returns the seconds (of the clock) until it is due again.

        The first answer after a start within a step only shows that the device answers: a reading from the middle of a step
        is not taken for the one of its beginning.
        """
        if self._pace.due is None:
            now = self._clock.now()
            step = self._every.floor(now, self._tz)
            self._step = None if now == step else step
        waits = self.attempt(self._ask)
        self._hand_in()
        return waits

    def _ask(self, now: datetime) -> tuple[datetime, Problem | None]:
        """One question; due again when the next step begins."""
        answer = self._reader.read()
        step = self._every.floor(now, self._tz)
        self._pace.last = now
        self._take(answer, now, step)
        return self._every.after(step, self._tz), answer.problem

    def _take(self, answer: Answer, now: datetime, step: datetime) -> None:
        """Keeps what steps that are over give, and what this answer gives when it is the first of its step."""
        readings = [one for _, box in self._points for one in box.until(now)]
        if step != self._step:
            readings += self._readings(answer, now.replace(microsecond=0))
            self._step = step
        self._keep(readings, now)

    def _readings(self, answer: Answer, at: datetime) -> list[Reading]:
        """The readings of the flows, at the time of the question.

        A register keeps the time that the device gives with it; for the others such a time is only looked at: a value that
        has not changed for an hour is still the value of now. One ahead of the clock is a clock error.
        """
        found: list[Reading] = []
        for point, box in self._points:
            sample = answer.samples.get(point.address)
            if sample is None or (sample.value is None and sample.quality == Quality.GOOD):
                continue
            quality = sample.quality
            if sample.at is not None and sample.at > at + AHEAD and quality == Quality.GOOD:
                quality = Quality.CLOCK
            value = float("nan") if sample.value is None else sample.value
            counts = self._flows[point.flow].semantics == "counter" and quality != Quality.CLOCK
            found += box.add(sample.at if counts and sample.at else at, value, int(quality))
        return found

    def _keep(self, readings: list[Reading], now: datetime) -> None:
        if not readings:
            return
        source = f"{self.device.protocol}:{self.device.id}"
        self._kept.append((readings, Origin(source, now.isoformat())))
        if len(self._kept) > MOST_KEPT:
            self._kept.popleft()
            self._pace.problem = Problem("devices.given_up", {"count": MOST_KEPT})

    def _hand_in(self) -> None:
        """Gives the intake what waits, oldest first; what it refuses stays for the next turn."""
        while self._kept:
            readings, origin = self._kept[0]
            try:
                self._intake.put(as_values(readings), origin)
            except (SourceError, LedgerError) as error:
                self._pace.problem = error.problem
                return
            self._kept.popleft()


def problem_of(device: Device, error: Exception) -> Problem:
    """What went wrong, as a sentence: a driver's own exception becomes `devices.no_answer`."""
    if isinstance(error, MangroveError):
        return error.problem
    reason = str(error)[:200] or type(error).__name__
    return Problem("devices.no_answer", {"address": device.address, "reason": reason})


def secret(device: str, folder: Path | None = None) -> str:
    """The password of a device: from the environment, or from a file that only its owner can read; empty when there is none.

    The variable is `MANGROVE_PASSWORD_` and the id in capitals with `_` for all that is no letter or digit; the file is
    `folder/<id>`, or `<id>` in the folder that a service manager names in `CREDENTIALS_DIRECTORY`.

    Raises:
        SourceError: `devices.secret_open`: others can read the file.
    """
    name = "MANGROVE_PASSWORD_" + re.sub(r"[^A-Z0-9]", "_", device.upper())
    if name in os.environ:
        return os.environ[name]
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    for place in (folder, Path(given) if given else None):
        path = place / device if place is not None else None
        if path is None or not path.is_file():
            continue
        if path.stat().st_mode & 0o007:
            raise SourceError("devices.secret_open", path=str(path))
        return path.read_text(encoding="utf-8").strip()
    return ""


class Fleet:
    """Connectors as one: they end side by side, so that many silent devices take no longer than one.

    Args:
        members: one for each device.
    """

    def __init__(self, members: Sequence[Connector]) -> None:
        self.members = tuple(members)

    def start(self) -> None:
        """Starts all of them."""
        for one in self.members:
            one.start()

    def stop(self) -> None:
        """Ends all of them."""
        threads = [threading.Thread(target=one.stop) for one in self.members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def state(self) -> tuple[Health, ...]:
        """The health of every device."""
        return tuple(health for one in self.members for health in one.state())


def connectors(territory: Territory, intake: Intake, clock: Clock, folder: Path) -> list[Fleet]:
    """The connectors of all declared devices that are asked (Modbus, OPC UA, folders, FTP servers), as one; none without such devices.

    Args:
        territory: its devices and points.
        intake: takes the values.
        clock: says when it is time.
        folder: the territory's `.mangrove` folder: spools, and passwords in `secrets/`.

    Raises:
        RejectedError: `devices.rejected`, with the problems of all devices.
        MissingExtraError: a library for one of the protocols is not installed.
    """
    found: list[Connector] = []
    problems: list[Problem] = []
    for device in territory.devices.values():
        try:
            one = _connector(device, territory, intake, clock, folder)
        except (SourceError, RejectedError) as error:
            problems += [replace(problem, where=problem.where or device.where) for problem in error.problems]
        else:
            found += [one] if one is not None else []
    if problems:
        raise RejectedError("devices.rejected", problems)
    return [Fleet(found)] if found else []


def ask(territory: Territory, device: str, folder: Path, clock: Clock) -> Answer:
    """Asks a declared device once and stores nothing; to try an address.

    Args:
        territory: as for `connectors`.
        device: id of one that is asked (Modbus, OPC UA).
        folder: the territory's `.mangrove` folder, for passwords.
        clock: what a sane time is.

    Raises:
        RequestError: `devices.not_asked`.
        SourceError: its declaration makes no sense, or it does not answer.
    """
    declared = territory.devices.get(device)
    reader = None if declared is None else _reader(declared, territory, folder, clock)
    if reader is None:
        asked = [one.id for one in territory.devices.values() if one.protocol in ("modbus", "opcua")]
        raise RequestError(
            "devices.not_asked", device=device, hint=did_you_mean(device, asked), options=", ".join(asked)
        )
    try:
        return reader.read()
    finally:
        reader.close()


def _reader(device: Device, territory: Territory, folder: Path, clock: Clock) -> Reader | None:
    """What speaks the protocol of a device that is asked; None for the others."""
    points: Sequence[Point] = [point for point in territory.points if point.device == device.id]
    if device.protocol == "modbus":
        from mangrove.sources.modbus import ModbusReader

        return ModbusReader(device, points)
    if device.protocol == "opcua":
        from mangrove.sources.opcua import OpcReader

        return OpcReader(device, points, secret(device.id, folder / "secrets"), clock)
    return None


def _connector(
    device: Device, territory: Territory, intake: Intake, clock: Clock, folder: Path
) -> Connector | None:
    """The connector of one device; None for protocols in which devices call us."""
    if device.protocol in PARAMETERS and not is_plain(device.id):
        raise SourceError("devices.bad_id", where=device.where, device=device.id)
    _check_parameters(device, territory)
    reader = _reader(device, territory, folder, clock)
    if reader is not None:
        return Poller(device, territory, intake, clock, reader)
    if device.protocol in ("file", "ftp") and "send" in device.parameters:
        from mangrove.sources.outbox import Outbox

        return Outbox(device, territory, clock, folder)
    if device.parameters.get("form") == _DISPATCH:
        from mangrove.sources.dispatch_center import DispatchCenter

        return DispatchCenter(intake, territory, clock, folder.parent / device.address)
    if device.protocol in ("file", "ftp"):
        from mangrove.sources.watch import Watcher

        return Watcher(device, territory, intake, clock, folder)
    return None


def _check_parameters(device: Device, territory: Territory) -> None:
    """Refuses parameters that nothing reads, so that a typing mistake does not lose one."""
    if device.protocol not in PARAMETERS:
        return
    of_device, of_point = PARAMETERS[device.protocol]
    said = [(name, device.where, of_device) for name in device.parameters]
    for point in territory.points:
        if point.device == device.id:
            said += [(name, point.where, of_point) for name in point.parameters]
    for name, where, known in said:
        if name not in known:
            hint, options = did_you_mean(name, known), ", ".join(known)
            raise SourceError("devices.unknown_parameter", where=where, name=name, hint=hint, options=options)
