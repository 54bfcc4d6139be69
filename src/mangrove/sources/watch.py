# SPDX-License-Identifier: Apache-2.0
"""Watched folders and FTP servers: files that arrive while a server runs.

Comes in: files of a folder (a device of protocol `file`) or of an FTP server (`ftp`), of every form that `ingest` reads; tables are read
by the mapping that the device's parameter `mapping` names, or by `mapping.yaml` beside them. Goes out: values, through the
intake's writer. Files are taken oldest first. A file moves to `done/` after its values are on disk, or to `failed/` with its reason
beside it; after a crash it is taken again, and the ledger recognizes it by its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mangrove.errors import LedgerError, MangroveError, Problem, SourceError
from mangrove.ledger import Ledger
from mangrove.ledger.catalog import sync
from mangrove.sources import files, monitoring
from mangrove.sources.ftp import TEMPORARY, Address, Listed, Server, is_plain, modified_at
from mangrove.sources.intake import Intake
from mangrove.sources.mapping import Mapping
from mangrove.sources.poll import Clock, Turning, secret
from mangrove.sources.tables import SUFFIXES
from mangrove.territory.model import Device, Territory

LOOK_EVERY = {"file": 5.0, "ftp": 60.0}
"""Seconds between two looks at a folder or a server, or less when the device declares less."""
SETTLE = 2.0
"""Seconds without change after which a file counts as complete."""
KEEP = timedelta(days=60)
"""Fetched files stay in the spool so long, as loggers keep theirs (Circular 10/2021/TT-BTNMT)."""
PATIENCE = 600.0
"""Seconds to wait for the writer with one file."""


class Watcher(Turning):
    """Takes the files of one device; a `Connector`.

    Args:
        device: protocol `file` (address: a folder, beside the territory's files unless absolute) or `ftp`
            (`ftp://user@host/path`); parameters `mapping` (a file), `keep=yes` (leave files where they are), `ca` (a file).
        territory: its flows.
        intake: its writer stores the values.
        clock: says what time it is.
        folder: the territory's `.mangrove` folder.
        settle: seconds without change after which a file counts as complete.

    Raises:
        SourceError: `devices.bad_address`, `devices.no_folder` (none is named; one that is missing is an outage),
            `devices.password_declared`; the mapping has errors.
    """

    def __init__(
        self,
        device: Device,
        territory: Territory,
        intake: Intake,
        clock: Clock,
        folder: Path,
        *,
        settle: float = SETTLE,
    ) -> None:
        super().__init__(device, clock, "watch", self._close)
        self._territory, self._intake, self._settle = territory, intake, settle
        self._keep = device.parameters.get("keep") == "yes" and device.protocol == "file"
        self._mapping = _mapping(device, territory)
        self._left: dict[str, tuple[int, int]] = {}
        most = LOOK_EVERY[device.protocol]
        every = device.every.hours * 3600 if device.every is not None else most
        self._every = timedelta(seconds=min(every, most))
        self._mirror: _Mirror | None = None
        if device.protocol == "ftp":
            self._mirror = _Mirror(device, territory, folder, clock)
            self.folder = self._mirror.spool
        else:
            self.folder = territory.path / device.address
            if not device.address:
                raise SourceError("devices.no_folder", where=device.where, path=str(self.folder))

    def turn(self) -> float:
        """Looks when it is time; returns the seconds until the next look."""
        return self.attempt(self._turn)

    def _turn(self, now: datetime) -> tuple[datetime, Problem | None]:
        fetched = self._mirror.fetch() if self._mirror is not None else None
        return now + self._every, self.look() or fetched

    def look(self) -> Problem | None:
        """Takes every complete file of the folder, oldest first; the last problem of a file that was set aside.

        Raises:
            SourceError: `devices.no_folder`.
            LedgerError: the store refuses; the file stays for the next look.
        """
        if not self.folder.is_dir():
            raise SourceError("devices.no_folder", path=str(self.folder))
        problem: Problem | None = None
        for path in self._waiting():
            try:
                self._intake.call(self._work(path)).result(PATIENCE)
            except (LedgerError, TimeoutError):
                raise
            except Exception as error:
                if isinstance(error, MangroveError) and error.code == "sources.closed":
                    raise
                problem = self._aside(path, error)
            else:
                self._done(path)
            self._pace.last = self._clock.now()
        return problem

    def _work(self, path: Path) -> Callable[[Ledger], object]:
        """What the writer does with a file. Screening is left to the workers, so that it does not hold up the writer."""

        def take(ledger: Ledger) -> object:
            return files.ingest(ledger, self._territory, [path], mapping=self._mapping, screen=False)

        return take

    def _waiting(self) -> list[Path]:
        """Complete files, by the time in their name (or of their last change), then by name."""
        now = time.time()  # the machine's own: it is compared with times that the file system keeps
        found = []
        for path in self.folder.iterdir():
            if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or not path.is_file():
                continue
            if path.name.lower().endswith(TEMPORARY):
                continue
            stat = path.stat()
            if now - stat.st_mtime < self._settle or self._left.get(path.name) == _key(stat):
                continue
            changed = datetime.fromtimestamp(stat.st_mtime, UTC)
            found.append((monitoring.parse_name(path.name)[1] or changed, path.name, path))
        return [path for _, _, path in sorted(found)]

    def _done(self, path: Path) -> None:
        if self._keep:
            self._left[path.name] = _key(path.stat())
        else:
            monitoring.move_aside(path, self.folder / "done")

    def _aside(self, path: Path, error: Exception) -> Problem:
        """Sets a file aside with its reason."""
        known = isinstance(error, MangroveError)
        reason = error.text() if isinstance(error, MangroveError) else f"{type(error).__name__}: {error}"
        if self._keep:
            self._left[path.name] = _key(path.stat())
        else:
            target = monitoring.move_aside(path, self.folder / "failed")
            target.with_name(target.name + ".reason").write_text(reason + "\n", encoding="utf-8")
        said = reason.splitlines()[0] if known and reason else reason
        return Problem("devices.file_failed", {"name": path.name, "reason": said[:300]})

    def _close(self) -> None:
        if self._mirror is not None:
            self._mirror.close()


def _mapping(device: Device, territory: Territory) -> Mapping | None:
    """The mapping that the device names, read once."""
    named = device.parameters.get("mapping")
    if not isinstance(named, str) or not named:
        return None
    return Mapping.read(territory.path / named)


def _key(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


class _Mirror:
    """Fetches the new files of an FTP server into a spool folder, oldest first.

    What was fetched stands in `seen.db` beside the files: name, size, time of change, SHA-256. A file counts as complete when two
    looks in a row find it unchanged.
    """

    def __init__(self, device: Device, territory: Territory, folder: Path, clock: Clock) -> None:
        ca = device.parameters.get("ca")
        self._server = Server(
            Address.of(device),
            secret(device.id, folder / "secrets"),
            territory.path / ca if isinstance(ca, str) else None,
        )
        self.spool = folder / "spool" / device.id
        self.spool.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._before: set[Listed] = set()
        with closing(self._db()) as db:
            db.execute(
                "create table if not exists seen (name text, size integer, modified text, sha256 text, at real, "
                "primary key (name, size, modified))"
            )

    def fetch(self) -> Problem | None:
        """Fetches what is new; the last problem of a file that is not taken.

        Raises:
            SourceError: the server does not answer, or refuses.
        """
        listed = self._server.list()
        problem: Problem | None = None
        with closing(self._db()) as db:
            known = set(db.execute("select name, size, modified from seen").fetchall())
            for one in sorted(listed, key=_age):
                if (one.name, one.size, one.modified) in known or one not in self._before:
                    continue
                if not is_plain(one.name):
                    problem = Problem("devices.ftp_name", {"name": one.name[:100]})
                    continue
                try:
                    self._take(one, db)
                except SourceError as error:
                    if error.code != "devices.ftp_size":
                        raise
                    problem = error.problem
        self._before = set(listed)
        self._prune()
        return problem

    def close(self) -> None:
        """Ends the connection."""
        self._server.close()

    def _take(self, one: Listed, db: sqlite3.Connection) -> None:
        """Fetches one file; its name is noted after it is on disk. The same bytes under the same name are not taken twice."""
        digest = hashlib.sha256()
        part = self.spool / f"{one.name}.part"
        with part.open("wb") as file:

            def keep(body: bytes) -> None:
                digest.update(body)
                file.write(body)

            self._server.get(one.name, keep)
            file.flush()
            os.fsync(file.fileno())
        sha = digest.hexdigest()
        same = db.execute("select 1 from seen where name = ? and sha256 = ?", (one.name, sha)).fetchone()
        if same:
            part.unlink()
        else:
            part.replace(self.spool / one.name)
            sync(self.spool)
        with db:
            row = (one.name, one.size, one.modified, sha, self._clock.now().timestamp())
            db.execute("insert or replace into seen values (?, ?, ?, ?, ?)", row)

    def _db(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.spool / "seen.db")
        db.execute("pragma synchronous = full")
        return db

    def _prune(self) -> None:
        """Deletes files that were stored more than `KEEP` ago."""
        done = self.spool / "done"
        if not done.is_dir():
            return
        oldest = time.time() - KEEP.total_seconds()  # the machine's own: file times are
        for path in done.iterdir():
            if path.stat().st_mtime < oldest:
                path.unlink()


def _age(one: Listed) -> tuple[datetime, str]:
    return monitoring.parse_name(one.name)[1] or modified_at(one), one.name
