# SPDX-License-Identifier: Apache-2.0
"""MQTT: messages in, acknowledged after the ledger has committed them.

Comes in: QoS 1 messages of a Mosquitto broker. Goes out: batches, many messages per commit. The session is kept at the
broker (`clean_session=False`, a fixed client id) and acknowledged by hand after the commit, so a consumer that dies loses
nothing: the broker sends again what was not acknowledged, and the ledger recognizes values that it has. A message that is no
reading goes to quarantine with its reason and is acknowledged like the others: it must not come back for ever.

The network loop runs in the caller's thread, between commits; so the thread that commits is the one that acknowledges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from uuid import uuid4

import numpy as np

from mangrove.errors import Problem, RequestError, SourceError, did_you_mean
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Receipt, Rejected
from mangrove.sources.convert import Values
from mangrove.sources.messages_in import BadMessageError, Decoder, Reading
from mangrove.sources.registers import SUFFIX, Pending
from mangrove.territory.model import Territory

GROUP = 5000
"""Messages per commit at most: at about 30 us a message, a sixth of a second of work between two syncs."""
WAIT = 0.2
"""Seconds from the first message of a group to its commit at the latest."""
DERIVE_EVERY = 5.0
"""Seconds between two derivations of amounts from registers."""
TOPICS = "mg/#"
_RETRY_MOST = 30.0
_END = 253_402_300_799_000_000


@dataclass(slots=True)
class ListenReport:
    """What a listener did: messages acknowledged, values stored, messages in quarantine, commits, reconnections."""

    messages: int = 0
    stored: int = 0
    unchanged: int = 0
    quarantined: int = 0
    commits: int = 0
    reconnects: int = 0


@dataclass(slots=True)
class _Message:
    topic: str
    payload: bytes
    mid: int
    qos: int
    dup: bool


@dataclass
class _Listener:
    """One connection: collects messages, commits groups, acknowledges."""

    ledger: Ledger
    decoder: Decoder
    registers: Pending
    source: str
    topics: tuple[str, ...] = (TOPICS,)
    client: Any = None
    waiting: list[_Message] = field(default_factory=list)
    first_at: float = 0.0
    refused: str = ""
    report: ListenReport = field(default_factory=ListenReport)

    def on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
        else:
            self.refused = ""
            client.subscribe([(topic, 1) for topic in self.topics])

    def on_disconnect(self, *_: Any) -> None:
        self.waiting.clear()  # not acknowledged, so the broker sends them again

    def on_message(self, _client: Any, _data: Any, message: Any) -> None:
        if not self.waiting:
            self.first_at = time.monotonic()
        self.waiting.append(
            _Message(message.topic, bytes(message.payload), message.mid, message.qos, bool(message.dup))
        )

    def due(self, group: int, wait: float) -> bool:
        return len(self.waiting) >= group or (bool(self.waiting) and time.monotonic() - self.first_at >= wait)

    def commit(self) -> Receipt | None:
        """Stores everything that waits and acknowledges it. A ledger that refuses raises, and nothing is acknowledged."""
        group, self.waiting = self.waiting, []
        if not group:
            return None
        readings, rejected = self._decode(group)
        values = self.registers.rename(as_values(readings))
        key = sha256()
        for message in group:
            key.update(f"{len(message.topic)}:{message.topic}:{len(message.payload)}:".encode())
            key.update(message.payload)
        origin = Origin(self.source, key.hexdigest())
        receipt = self.ledger.append(values.table(), origin, rejected=rejected)
        if receipt.duplicate and not all(message.dup for message in group):
            # The same words said anew (a value set back to what it was): the rows decide, not the words.
            origin = Origin(self.source, f"{key.hexdigest()}:{uuid4().hex}")
            receipt = self.ledger.append(values.table(), origin)
        self.registers.seen(values, receipt)
        for message in group:
            self.client.ack(message.mid, message.qos)
        self._count(group, receipt, rejected)
        return receipt

    def _decode(self, group: list[_Message]) -> tuple[list[Reading], list[Rejected]]:
        """All readings of a group, one per flow and start (the last), and the messages and values to set aside."""
        now = datetime.now(UTC)
        found: dict[tuple[str, int], Reading] = {}
        rejected: list[Rejected] = []
        for message in group:
            try:
                readings = self.decoder.decode(message.topic, message.payload, now)
            except BadMessageError as error:
                rejected.append(Rejected(message.payload, error.problem))
                continue
            for one in readings:
                old = found.get((one.flow, one.start))
                if old is not None and old != one:
                    data = {"flow": one.flow, "text": f"{old.value:g}", "line": 0}
                    rejected.append(
                        Rejected(message.payload, Problem("sources.repeated", data, severity="warning"))
                    )
                found[one.flow, one.start] = one
        return list(found.values()), rejected

    def _count(self, group: list[_Message], receipt: Receipt, rejected: list[Rejected]) -> None:
        report = self.report
        report.messages += len(group)
        report.commits += 1
        if not receipt.duplicate:
            report.stored += receipt.rows
            report.unchanged += receipt.unchanged
            report.quarantined += len(rejected)


def listen(
    ledger: Ledger,
    territory: Territory,
    *,
    host: str = "127.0.0.1",
    port: int = 1883,
    topics: Mapping[str, str] | None = None,
    client_id: str = "mangrove",
    username: str | None = None,
    password: str | None = None,
    ca_file: Path | None = None,
    group: int = GROUP,
    wait: float = WAIT,
    stop: Callable[[], bool] | None = None,
    on_commit: Callable[[Receipt], None] | None = None,
) -> ListenReport:
    """Listens until `stop()` is true; call it in a thread or process of its own.

    Args:
        ledger: open for writing.
        territory: its flows say what may come in and in which unit.
        host: of the broker.
        port: of the broker.
        topics: the topic table, topic to flow id. Default: everything below `mg/`; a topic then ends in the id or the
            meter of its flow, or the payload names the flow.
        client_id: name of the session that the broker keeps; two listeners must not share one.
        username: of the credentials, when the broker asks for them.
        password: likewise.
        ca_file: certificate of the authority that signed the broker's; given, the connection uses TLS.
        group: messages per commit at most.
        wait: seconds from the first message of a group to its commit at the latest.
        stop: asked several times a second.
        on_commit: told every receipt, after the messages were acknowledged.

    Returns:
        Counts.

    Raises:
        SourceError: the broker refuses the credentials, or cannot be reached at the start.
        RequestError: the topic table names a flow that is not declared.
        LedgerError: the ledger refuses; what was not committed stays with the broker.
    """
    table = dict(topics or {})
    for flow in table.values():
        if flow not in territory.flows:
            raise RequestError(
                "sources.unknown_flow", flow=flow, hint=did_you_mean(flow, territory.flows), rows=0
            )
    listener = _Listener(
        ledger,
        Decoder(territory, table),
        Pending(ledger, territory),
        f"mqtt:{client_id}",
        tuple(table) or (TOPICS,),
    )
    client = _client(listener, client_id, username, password, ca_file)
    _catch_up(listener.registers)
    try:
        client.connect(host, port, keepalive=60)
    except OSError as error:
        raise SourceError("sources.broker_refused", host=host, port=port, reason=str(error)) from error
    try:
        _run(
            listener, (host, port), group=group, wait=wait, stop=stop or (lambda: False), on_commit=on_commit
        )
    finally:
        client.disconnect()
    return listener.report


def _client(
    listener: _Listener, client_id: str, username: str | None, password: str | None, ca_file: Path | None
) -> Any:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False, manual_ack=True)
    if username is not None:
        client.username_pw_set(username, password)
    if ca_file is not None:
        client.tls_set(ca_certs=str(ca_file))
    client.on_connect = listener.on_connect
    client.on_disconnect = listener.on_disconnect
    client.on_message = listener.on_message
    listener.client = client
    return client


def _run(
    listener: _Listener,
    address: tuple[str, int],
    *,
    group: int,
    wait: float,
    stop: Callable[[], bool],
    on_commit: Callable[[Receipt], None] | None,
) -> None:
    """The loop: network, commit when a group is due, derive registers now and then, reconnect with growing pauses."""
    pause, derived_at = 0.2, time.monotonic()
    while not stop():
        if listener.client.loop(timeout=wait / 4 if listener.waiting else 0.1) != 0:
            if listener.refused:
                raise SourceError(
                    "sources.broker_refused", host=address[0], port=address[1], reason=listener.refused
                )
            time.sleep(pause)
            pause = min(2 * pause, _RETRY_MOST)
            listener.report.reconnects += 1
            try:
                listener.client.reconnect()
            except OSError:
                continue
            continue
        pause = 0.2
        if listener.due(group, wait):
            receipt = listener.commit()
            if on_commit is not None and receipt is not None:
                on_commit(receipt)
        if listener.registers.touched and time.monotonic() - derived_at > DERIVE_EVERY:
            list(listener.registers.derive())
            derived_at = time.monotonic()
    listener.commit()
    listener.client.loop(timeout=0.05)  # sends the last acknowledgements
    list(listener.registers.derive())


def _catch_up(registers: Pending) -> None:
    """Derives the amounts of all registers once: an earlier listener may have died between storing and deriving."""
    with registers.ledger.snapshot() as snapshot:
        known = set(snapshot.flow_ids())
    for flow in registers.territory.flows.values():
        if flow.semantics == "counter" and flow.id + SUFFIX in known:
            registers.touched[flow.id] = (0, _END)
    list(registers.derive())


def as_values(readings: list[Reading]) -> Values:
    """Readings as columns."""
    names = list(dict.fromkeys(one.flow for one in readings))
    index = {name: i for i, name in enumerate(names)}
    return Values(
        names,
        np.array([index[one.flow] for one in readings], dtype=np.int32),
        np.array([one.start for one in readings], dtype=np.int64),
        np.array([one.value for one in readings], dtype=np.float64),
        np.array([one.quality for one in readings], dtype=np.uint8),
        np.zeros(len(readings), dtype=np.int64),
    )


def broker_files(folder: Path, port: int = 1883) -> Path:
    """Writes the shipped broker configuration and access list into `folder`; start it with `mosquitto -c <path>`."""
    folder.mkdir(parents=True, exist_ok=True)
    shipped = resources.files("mangrove.sources")
    text = (shipped / "mosquitto.conf").read_text(encoding="utf-8")
    filled = Template(text).substitute(port=port, folder=folder.resolve())
    (folder / "mosquitto.acl").write_text(
        (shipped / "mosquitto.acl").read_text(encoding="utf-8"), encoding="utf-8"
    )
    path = folder / "mosquitto.conf"
    path.write_text(filled, encoding="utf-8")
    return path
