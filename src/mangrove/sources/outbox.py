# SPDX-License-Identifier: Apache-2.0
"""The outbox: monitoring files of the territory's stations, written from the ledger and sent to the authority.

Comes in: a device of protocol `ftp` or `file` with the parameter `send=STATION[,STATION...]`, and the ledger. Goes out: one file for
each station and moment (Circular 10/2021/TT-BTNMT, every five minutes), sent oldest first, also after an outage.

    .mangrove/outbox/<device>/from       the last batch of the ledger whose values have been written as files
    .mangrove/outbox/<device>/waiting/   files to be sent; sent/ those that were, for sixty days

A file moves from `waiting/` to `sent/` after the server has it. A crash in between sends it once more, with the same name and the same
bytes; none is lost. A value that arrives late, or is corrected, is sent in a new file of the same name when its bytes differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from mangrove.errors import Problem, SourceError
from mangrove.ledger import Ledger
from mangrove.ledger.catalog import CATALOG
from mangrove.ledger.types import Quality
from mangrove.sources.ftp import Address, Folder, Server, Store, is_plain, write
from mangrove.sources.monitoring import CYCLE, SYMBOLS, Record, file_name, parse_name, status_of
from mangrove.sources.monitoring import write as write_records
from mangrove.sources.poll import Clock, Turning, secret
from mangrove.sources.sampling import micro
from mangrove.sources.stamps import instant_of
from mangrove.territory.model import Device, Flow, Territory
from mangrove.text import fold

KEEP = timedelta(days=60)
"""Sent files stay so long, and so late a value is still sent: loggers keep sixty days (Circular 10/2021/TT-BTNMT)."""
DELAY = timedelta(seconds=60)
"""Time from the end of a cycle to its file, so that the values of all symbols of a station can arrive."""
EVERY = timedelta(seconds=CYCLE.seconds)
MOST_AT_ONCE = 500
"""Files sent in one turn at most, so that the end of a server does not wait for a long queue."""


@dataclass(frozen=True, slots=True)
class Line:
    """A flow that is a line in a station's files."""

    flow: str
    station: str
    symbol: str
    unit: str
    step: timedelta


class Outbox(Turning):
    """Writes and sends the files of one receiver; a `Connector`.

    At its very first start it begins with what arrives from then on.

    Args:
        device: address `ftp://user@host/path`, `ftps://...`, or a folder for protocol `file`; parameters `send` (stations) and `ca`.
        territory: its flows whose meter is `STATION/SYMBOL`.
        clock: says what time it is.
        folder: the territory's `.mangrove` folder, which holds the ledger.
        store: where files go; None: what the address says.

    Raises:
        SourceError: `devices.bad_address`, `devices.no_folder`, `devices.no_station`, `devices.outbox_file`.
    """

    def __init__(
        self, device: Device, territory: Territory, clock: Clock, folder: Path, *, store: Store | None = None
    ) -> None:
        self._ledger = folder
        self._lines = {line.flow: line for line in lines(device, territory)}
        self._store = store or _store(device, territory, folder)
        self.box = folder / "outbox" / device.id
        self.waiting, self.sent = self.box / "waiting", self.box / "sent"
        for place in (self.waiting, self.sent):
            place.mkdir(parents=True, exist_ok=True)
        super().__init__(device, clock, "outbox", self._store.close)

    def turn(self) -> float:
        """Writes files of what is new and sends what waits; returns the seconds until the next turn."""
        return self.attempt(self._exchange)

    def _exchange(self, now: datetime) -> tuple[datetime, Problem | None]:
        self.write(now)
        self.send()
        self._prune(now)
        return next_turn(now), None

    def write(self, now: datetime) -> int:
        """Writes the files of moments with values that are new since the last time; returns how many.

        The mark moves only after the files are on disk, and not past values whose cycle is not over.
        """
        if not (self._ledger / CATALOG).is_file():
            return 0
        with Ledger.open(self._ledger, read_only=True) as ledger, ledger.snapshot() as snapshot:
            cut, mark = snapshot.cut, self._mark()
            if mark is None or mark >= cut:
                found: dict[tuple[datetime, str], list[Record]] = {}
                undone = cut
            else:
                rows = snapshot.values(list(self._lines), now - KEEP, now + timedelta(days=1))
                found, undone = _moments(rows, self._lines, mark, now)
        count = sum(self._write_file(file_name(name, at), records) for (at, name), records in found.items())
        if mark != min(undone, cut):
            write(self.box / "from", f"{min(undone, cut)}\n".encode())
        return count

    def send(self) -> int:
        """Sends what waits, oldest first; returns how many files.

        Raises:
            SourceError: the receiver does not answer or refuses; the rest waits.
        """
        queue = sorted(self.waiting.glob("*.txt"), key=_age)[:MOST_AT_ONCE]
        for path in queue:
            self._store.put(path.name, path.read_bytes())
            path.replace(self.sent / path.name)
            self._pace.last = self._clock.now()
        return len(queue)

    def _write_file(self, name: str, records: Sequence[Record]) -> bool:
        """Writes one file, unless the same one waits already or was the last one sent; whether it did."""
        body = write_records(records)
        for place in (self.waiting, self.sent):
            path = place / name
            if path.is_file():
                if path.read_bytes() == body:
                    return False
                break
        write(self.waiting / name, body)
        return True

    def _mark(self) -> int | None:
        path = self.box / "from"
        if not path.is_file():
            return None
        try:
            return int(path.read_text(encoding="ascii"))
        except ValueError as error:
            raise SourceError("devices.outbox_file", path=str(path), reason=str(error)) from error

    def _prune(self, now: datetime) -> None:
        """Deletes sent files whose moment is longer ago than `KEEP`."""
        for path in self.sent.glob("*.txt"):
            at = parse_name(path.name)[1]
            if at is not None and at < now - KEEP:
                path.unlink()


def next_turn(now: datetime) -> datetime:
    """The next moment at which files are due: a cycle's end and the delay.

    Example:
        >>> next_turn(datetime(2026, 6, 1, 5, 0, tzinfo=UTC)).isoformat()
        '2026-06-01T05:01:00+00:00'
    """
    cycle = EVERY.total_seconds()
    begun = now.timestamp() - DELAY.total_seconds()
    return datetime.fromtimestamp((begun // cycle + 1) * cycle + DELAY.total_seconds(), UTC)


def lines(device: Device, territory: Territory) -> list[Line]:
    """The flows that stand in the files of the stations that the device's parameter `send` names.

    Raises:
        SourceError: `devices.no_station`: no flow has a meter of the station.
    """
    said = device.parameters.get("send")
    stations = [name.strip() for name in said.split(",")] if isinstance(said, str) else []
    symbols = {fold(symbol): symbol for symbol in SYMBOLS}
    found: list[Line] = []
    for station in stations or [""]:
        mine = [
            Line(flow.id, station, symbols[fold(symbol)], flow.unit.text, _step(flow))
            for flow in territory.flows.values()
            for place, _, symbol in [flow.meter.rpartition("/")]
            if fold(place) == fold(station) and station and fold(symbol) in symbols
        ]
        if not mine or not is_plain(station):
            raise SourceError("devices.no_station", where=device.where, station=station)
        found += sorted(mine, key=lambda line: SYMBOLS.index(line.symbol))
    return found


def _step(flow: Flow) -> timedelta:
    return timedelta(hours=(flow.step or CYCLE).hours)


def _moments(
    rows: pa.Table, known: Mapping[str, Line], mark: int, now: datetime
) -> tuple[dict[tuple[datetime, str], list[Record]], int]:
    """The records of every station and moment with a value of a later batch than `mark`, oldest first.

    Returns:
        Records by moment and station, in the order of the lines; and the batch up to which no value waits for its cycle to end.
    """
    names = rows.column("flow").to_pylist()
    order = {flow: i for i, flow in enumerate(known)}
    line = np.array([order[name] for name in names], dtype=np.int64)
    stations = sorted({one.station for one in known.values()})
    step = np.array([one.step // timedelta(microseconds=1) for one in known.values()], dtype=np.int64)
    place = np.array([stations.index(one.station) for one in known.values()], dtype=np.int64)
    end = rows.column("start").cast("int64").to_numpy() + step[line]
    batch = rows.column("batch").to_numpy()
    ended = end <= micro(now - DELAY)
    fresh = batch > mark
    undone = int(batch[fresh & ~ended].min(initial=np.iinfo(np.int64).max)) - 1
    key = end * len(stations) + place[line]
    chosen = np.flatnonzero(ended & np.isin(key, key[fresh & ended]))
    found: dict[tuple[datetime, str], list[Record]] = {}
    value, quality = rows.column("value").to_numpy(), rows.column("quality").to_numpy()
    lines_in_order = list(known.values())
    for i in chosen[np.lexsort((line[chosen], key[chosen]))].tolist():
        one, at = lines_in_order[line[i]], instant_of(int(end[i]))
        absent = np.isnan(value[i]) or quality[i] == Quality.MISSING
        record = Record(one.symbol, None if absent else float(value[i]), one.unit, at, status_of(quality[i]))
        found.setdefault((at, one.station), []).append(record)
    return found, undone


def _store(device: Device, territory: Territory, folder: Path) -> Store:
    if device.protocol == "file":
        if not device.address:
            raise SourceError("devices.no_folder", where=device.where, path="")
        return Folder(territory.path / device.address)
    ca = device.parameters.get("ca")
    ca_file = territory.path / ca if isinstance(ca, str) else None
    return Server(Address.of(device), secret(device.id, folder / "secrets"), ca_file)


def _age(path: Path) -> tuple[datetime, str]:
    return parse_name(path.name)[1] or datetime.min.replace(tzinfo=UTC), path.name
