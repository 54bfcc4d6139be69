# SPDX-License-Identifier: Apache-2.0
"""MQTT: messages in, acknowledged after the ledger has committed them; set-points and requests out.

Comes in: QoS 1 messages of a broker. Goes out: batches, many messages per commit. The session is kept at the broker
(`clean_session=False`, a fixed client id) and acknowledged by hand after the commit, so a consumer that dies loses nothing: the broker
sends again what was not acknowledged, and the ledger recognizes values that it has. A message that is no reading goes to quarantine
with its reason and is acknowledged like the others: it must not come back for ever.

One loop serves both the command that owns a ledger (`listen`) and the server whose intake owns it (`MqttConnector`). The network runs in
the same thread, between commits; so the thread that commits is the one that acknowledges.
"""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from mangrove.errors import LedgerError, MangroveError, Problem, SourceError
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Receipt, Rejected
from mangrove.sources import mqtt_points, mqtt_swap
from mangrove.sources.convert import Values
from mangrove.sources.events import Events
from mangrove.sources.intake import Intake
from mangrove.sources.mqtt_decode import Decoder
from mangrove.sources.poll import Clock, Health
from mangrove.sources.registers import SUFFIX, Pending
from mangrove.territory.model import Territory

GROUP = 5000
"""Messages per commit at most: at about 15 us a message, less than a tenth of a second of work between two syncs."""
GROUP_BYTES = 16 << 20
"""Bytes of payloads per commit: the shipped broker takes messages of 4 MiB, and a group of those must not fill the memory."""
WAIT = 0.2
"""Seconds from the first message of a group to its commit at the latest."""
DERIVE_EVERY = 5.0
"""Seconds between two derivations of amounts from registers and events."""
CLIENT_ID = "mangrove"
_RETRY_FIRST, _RETRY_MOST = 0.2, 30.0
_KEEPALIVE = 60
_PATIENCE = 30.0
_END = 253_402_300_799_000_000
_LATE_STEPS = 2
_PUBACK = 0x4002
"""The two fixed bytes of an acknowledgement (MQTT 3.1.1, 3.4.1): packet type 4, two bytes follow."""


@dataclass(slots=True)
class ListenReport:
    """What a listener did: messages acknowledged, values stored, messages in quarantine, commits, reconnections."""

    messages: int = 0
    stored: int = 0
    unchanged: int = 0
    quarantined: int = 0
    commits: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and how it lets us in."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    client_id: str = CLIENT_ID


class Store(Protocol):
    """What a listener hands its groups to."""

    def put(self, values: Values, origin: Origin, rejected: Sequence[Rejected]) -> Receipt:
        """Stores a group; it is on disk when this returns.

        Raises:
            LedgerError: the ledger refuses.
            SourceError: `sources.busy`, `sources.closed`.
        """

    def settle(self, *, ended: bool = False) -> None:
        """Derives amounts from registers and events when it is time."""


class Machine:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)


class _Own:
    """A ledger that this process owns."""

    def __init__(self, ledger: Ledger, territory: Territory, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.derived = 0.0
        self.registers = Pending(ledger, territory)
        self.events = Events(territory)
        with ledger.snapshot() as snapshot:
            known = set(snapshot.flow_ids())
        for (
            flow
        ) in territory.flows.values():  # an earlier listener may have died between storing and deriving
            if flow.semantics == "counter" and flow.id + SUFFIX in known:
                self.registers.touched[flow.id] = (0, _END)
        self.events.catch_up(ledger)
        self.settle(ended=True)

    def put(self, values: Values, origin: Origin, rejected: Sequence[Rejected]) -> Receipt:
        renamed = self.registers.rename(values)
        receipt = self.ledger.append(renamed.table(), origin, rejected=rejected)
        self.registers.seen(renamed, receipt)
        self.events.seen(values)
        return receipt

    def settle(self, *, ended: bool = False) -> None:
        now = time.monotonic()
        if ended or now - self.derived > DERIVE_EVERY:
            list(self.registers.derive())
            self.events.derive(self.ledger, self.clock.now())
            self.derived = now


class _Shared:
    """A ledger behind the intake of a server; registers are the intake's, events are ours."""

    def __init__(self, intake: Intake, territory: Territory, clock: Clock) -> None:
        self.intake = intake
        self.clock = clock
        self.events = Events(territory)
        self.derived = 0.0
        self.ready = False

    def put(self, values: Values, origin: Origin, rejected: Sequence[Rejected]) -> Receipt:
        if not self.ready:
            self.intake.call(self.events.catch_up).result(_PATIENCE)
            self.ready = True
        receipt = self.intake.put(values, origin, rejected, timeout=_PATIENCE)
        self.events.seen(values)
        return receipt

    def settle(self, *, ended: bool = False) -> None:
        now = time.monotonic()
        if self.events.touched and (ended or now - self.derived > DERIVE_EVERY):
            self.intake.call(lambda ledger: self.events.derive(ledger, self.clock.now())).result(_PATIENCE)
            self.derived = now


_Message = tuple[str, bytes, int, int, bool]
"""Topic, payload, number, quality of service, whether the broker sends it again."""


class _Session:
    """One kept session at a broker: collects messages, commits groups, acknowledges, publishes."""

    def __init__(self, store: Store, territory: Territory, address: Address, clock: Clock) -> None:
        mqtt_points.check(territory)
        self.store = store
        self.decoder = Decoder(territory)
        self.address = address
        self.clock = clock
        self.report = ListenReport()
        self.waiting: list[_Message] = []
        self.outgoing: deque[tuple[str, bytes, int, bool]] = deque()
        self.heard: dict[str, datetime] = {}
        self.connected = False
        self.refused = ""
        self.client = self._client()
        self._first_at, self._size = 0.0, 0

    def _client(self) -> Any:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        where = self.address
        client = Client(CallbackAPIVersion.VERSION2, where.client_id, clean_session=False, manual_ack=True)
        if where.username is not None:
            client.username_pw_set(where.username, where.password)
        if where.ca_file is not None:
            client.tls_set(ca_certs=str(where.ca_file))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.refused = str(reason) if reason.is_failure else ""
        self.connected = not reason.is_failure
        if self.connected:
            client.subscribe([(topic, 1) for topic in self.decoder.routes.subscriptions()])

    def _on_disconnect(self, *_: Any) -> None:
        self.connected = False
        self.waiting.clear()  # not acknowledged, so the broker sends them again

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        if not self.waiting:
            self._first_at, self._size = time.monotonic(), 0
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        payload = bytes(message.payload)
        self._size += len(payload)
        self.waiting.append((topic, payload, message.mid, message.qos, message.dup))

    def pump(self, timeout: float, most: int) -> int:
        """Lets the network work: what has arrived is collected, what waits to go out is sent; 0 when all is well."""
        while self.outgoing and self.connected:
            topic, payload, qos, retain = self.outgoing.popleft()
            self.client.publish(topic, payload, qos=qos, retain=retain)
        code = int(self.client.loop(timeout))
        count = -1
        while (
            code == 0 and count < len(self.waiting) < most and self._size < GROUP_BYTES
        ):  # reads on without asking the system each time
            count = len(self.waiting)
            code = int(self.client.loop_read())
        return code

    def due(self, group: int, wait: float) -> bool:
        """Whether the waiting messages should be committed now."""
        if not self.waiting:
            return False
        full = len(self.waiting) >= group or self._size >= GROUP_BYTES
        return full or time.monotonic() - self._first_at >= wait

    def commit(self) -> Receipt | None:
        """Stores everything that waits and acknowledges it. A store that refuses raises, and nothing is acknowledged."""
        group, self.waiting = self.waiting, []
        if not group:
            return None
        now = self.clock.now()
        topics, payloads, numbers, qos, dup = zip(*group, strict=True)
        found = self.decoder.group(topics, payloads, now)
        key = _key(topics, payloads)
        origin = Origin(f"mqtt:{self.address.client_id}", key)
        receipt = self.store.put(found.values, origin, found.rejected)
        if receipt.duplicate and not all(dup):
            # The same words said anew (a value set back to what it was): the rows decide, not the words.
            receipt = self.store.put(found.values, Origin(origin.source, f"{key}:{uuid4().hex}"), ())
        acknowledge(self.client, [number for number, level in zip(numbers, qos, strict=True) if level])
        self.outgoing.extend((topic, payload, 0, False) for topic, payload in found.answers)
        self._count(len(group), receipt, len(found.rejected))
        for topic in set(topics):
            device = self.decoder.routes.device(topic)
            if device:
                self.heard[device] = now
        return receipt

    def _count(self, messages: int, receipt: Receipt, rejected: int) -> None:
        report = self.report
        report.messages += messages
        report.commits += 1
        if not receipt.duplicate:
            report.stored += receipt.rows
            report.unchanged += receipt.unchanged
            report.quarantined += rejected

    def connect(self) -> None:
        """Opens the connection.

        Raises:
            SourceError: `sources.broker_refused`: it cannot be reached.
        """
        where = self.address
        try:
            self.client.connect(where.host, where.port, keepalive=_KEEPALIVE)
        except (OSError, ValueError) as error:
            raise self.refusal(str(error)) from error

    def refusal(self, reason: str) -> SourceError:
        """The error of a broker that does not let us in."""
        return SourceError(
            "sources.broker_refused", host=self.address.host, port=self.address.port, reason=reason
        )

    def leave(self) -> None:
        """Ends the connection, not the session: the broker keeps what was not acknowledged."""
        self.waiting.clear()
        with suppress(OSError):
            self.client.disconnect()


def listen(
    ledger: Ledger,
    territory: Territory,
    *,
    address: Address | None = None,
    group: int = GROUP,
    wait: float = WAIT,
    clock: Clock | None = None,
    stop: Callable[[], bool] | None = None,
    on_commit: Callable[[Receipt], None] | None = None,
) -> ListenReport:
    """Listens until `stop()` is true; call it in a thread or process of its own.

    Args:
        ledger: open for writing.
        territory: its flows say what may come in, its points what stands on which topic.
        address: of the broker; two listeners must not share a client id.
        group: messages per commit at most.
        wait: seconds from the first message of a group to its commit at the latest.
        clock: says what time it is; None means the machine's.
        stop: asked several times a second.
        on_commit: told every receipt, after the messages were acknowledged.

    Returns:
        Counts.

    Raises:
        SourceError: the broker refuses the credentials or cannot be reached at the start; a point cannot be read.
        LedgerError: the ledger refuses; what was not committed stays with the broker.
    """
    stop = stop or (lambda: False)
    clock = clock or Machine()
    store = _Own(ledger, territory, clock)
    session = _Session(store, territory, address or Address(), clock)
    session.connect()
    pause = _RETRY_FIRST
    try:
        while not stop():
            if _turn(session, group, wait, on_commit):
                pause = _RETRY_FIRST
                continue
            if session.refused:
                raise session.refusal(session.refused)
            pause = _reconnect(session, pause, stop)
        _last(session, on_commit)
    finally:
        session.leave()
    store.settle(ended=True)
    return session.report


def _turn(
    session: _Session, group: int, wait: float, on_commit: Callable[[Receipt], None] | None = None
) -> bool:
    """One turn of the loop; false when the connection is gone."""
    if session.pump(wait / 4 if session.waiting else 0.1, group) != 0:
        return False
    if session.due(group, wait):
        receipt = session.commit()
        if on_commit is not None and receipt is not None:
            on_commit(receipt)
    session.store.settle()
    return True


def _last(session: _Session, on_commit: Callable[[Receipt], None] | None = None) -> None:
    """Commits what waits and sends the last acknowledgements."""
    receipt = session.commit()
    if on_commit is not None and receipt is not None:
        on_commit(receipt)
    session.client.loop(timeout=0.05)


def _reconnect(session: _Session, pause: float, stop: Callable[[], bool]) -> float:
    """Waits, tries to connect again, and says how long to wait the next time."""
    until = time.monotonic() + pause
    while time.monotonic() < until and not stop():
        time.sleep(min(0.05, pause))
    if not stop():
        session.report.reconnects += 1
        with suppress(SourceError):
            session.connect()
    return min(2 * pause, _RETRY_MOST)


def _key(topics: Sequence[str], payloads: Sequence[bytes]) -> str:
    """What makes a group recognizable when it comes again: its words, with their lengths."""
    lengths = np.array([[len(topic) for topic in topics], [len(payload) for payload in payloads]])
    key = sha256(lengths.tobytes())
    key.update("".join(topics).encode(errors="surrogatepass"))
    key.update(b"".join(payloads))
    return key.hexdigest()


def acknowledge(client: Any, numbers: Sequence[int]) -> None:
    """Acknowledges messages of QoS 1, all in one write: the library's own way is a system call for each.

    Args:
        client: a connected paho client whose network runs in this thread.
        numbers: packet identifiers, in the order of arrival (MQTT 3.1.1, 4.6).
    """
    while client.want_write():  # what is half sent must be finished first
        if client.loop_write() != 0:
            return
    packets = np.empty(len(numbers), dtype=[("fixed", ">u2"), ("number", ">u2")])
    packets["fixed"], packets["number"] = _PUBACK, numbers
    left = memoryview(packets.tobytes())
    while left and (socket := client.socket()) is not None:
        try:
            left = left[socket.send(left) :]
        except (BlockingIOError, InterruptedError, TimeoutError):
            select.select([], [socket], [], 1.0)
        except OSError as error:  # TLS has its own way of saying "not now"
            if type(error).__name__ not in ("SSLWantWriteError", "SSLWantReadError"):
                return  # the connection is gone; what was not acknowledged comes again
            select.select([], [socket], [], 1.0)


class MqttConnector:
    """The MQTT door of a server: a thread that hands groups of messages to the intake, and a way out for set-points.

    When the intake is full or the ledger refuses, nothing is acknowledged: the connection is closed, opened again after a growing
    pause, and the broker sends again.
    """

    def __init__(
        self,
        intake: Intake,
        territory: Territory,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 1883,
        *,
        username: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
        client_id: str = CLIENT_ID,
        group: int = GROUP,
        wait: float = WAIT,
    ) -> None:
        self.territory = territory
        self.clock = clock
        address = Address(host, port, username, password, ca_file, client_id)
        self._session = _Session(_Shared(intake, territory, clock), territory, address, clock)
        self._group, self._wait = group, wait
        self._problem: Problem | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread; a broker that is not there yet is tried again and again."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Commits and acknowledges what waits, then ends the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def report(self) -> ListenReport:
        """Counts since the start."""
        return self._session.report

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._session.connected

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publishes with QoS 1 as soon as there is a connection; from any thread."""
        self._session.outgoing.append((topic, payload, 1, retain))

    def set_swap(self, device: str, power: float, until: datetime) -> None:
        """Asks a battery-swap station to draw `power` kW (negative: to feed in) until `until`."""
        payload = mqtt_swap.set_payload(power, self.clock.now(), until)
        self.send(mqtt_swap.set_topic(device), payload, retain=True)

    def state(self) -> tuple[Health, ...]:
        """How each declared MQTT device is doing."""
        return tuple(
            self._health(device.id) for device in self.territory.devices.values() if device.protocol == "mqtt"
        )

    def _health(self, device: str) -> Health:
        last = self._session.heard.get(device)
        routes = self._session.decoder.routes
        if self._problem is not None:
            return Health(device, "failing", last, self._problem)
        if any(routes.device_of_source(source) == device for source in self._session.decoder.nodes.silent):
            return Health(
                device, "failing", last, Problem("mqtt.silent", {"device": device}, severity="warning")
            )
        if last is None:
            return Health(device, "never")
        steps = [
            flow.step.seconds
            for point in self.territory.points
            if point.device == device and (flow := self.territory.flows[point.flow]).step is not None
            if flow.step is not None and flow.step.seconds
        ]
        late = steps and self.clock.now() - last > _LATE_STEPS * timedelta(seconds=min(steps))
        return Health(device, "late" if late else "ok", last)

    def _run(self) -> None:
        session, stop, pause = self._session, self._ended.is_set, 0.0
        while not stop():
            try:
                if session.client.socket() is None:
                    self._problem = self._problem or self._gone()
                    pause = _reconnect(session, pause, stop) or _RETRY_FIRST
                elif _turn(session, self._group, self._wait):
                    if session.connected:
                        self._problem, pause = None, 0.0
                else:
                    self._problem = self._gone()
            except (MangroveError, TimeoutError) as error:
                self._problem = (
                    error.problem
                    if isinstance(error, MangroveError)
                    else Problem("sources.busy", {"rows": 0})
                )
                session.leave()
                pause = max(pause, _RETRY_FIRST)
        with suppress(LedgerError, SourceError, TimeoutError):
            _last(session)
            session.store.settle(ended=True)
        session.leave()

    def _gone(self) -> Problem:
        where = self._session.address
        data = {"host": where.host, "port": where.port}
        if self._session.refused:
            return Problem("mqtt.broker_refused", {**data, "reason": self._session.refused})
        return Problem("mqtt.broker_gone", data)
