# SPDX-License-Identifier: Apache-2.0
"""Backups: everything of a territory in one file while its server runs, and the way back.

Comes in: the folder of a territory; or a backup and an empty folder. Goes out: a tar file whose first member, `manifest.json`, names
every file with its SHA-256; or a folder that holds exactly that, checked down to the chain of the ledger. The catalogue is copied
first and the immutable files that it lists after it, so the copy is consistent whatever is written in between. A backup holds
accounts and the audit log too: it is readable by its owner only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mangrove.errors import DataQualityError, LedgerError, RequestError
from mangrove.handle import STORE
from mangrove.ledger import catalog, replica, verify
from mangrove.ledger.files import LOST, ROLLUPS, SEGMENTS
from mangrove.ledger.replica import Entry

FORMAT = "1"
MANIFEST = "manifest.json"
_MOST_MANIFEST = 256 << 20
_SKIPPED = frozenset({catalog.LOCK, "replica.lock"})
_FLEETING = ("-wal", "-shm", "-journal", ".tmp")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds: its files, how far its ledger goes, when and by which version it was made."""

    files: tuple[Entry, ...]
    batch: int
    hash: str
    made: str
    version: str

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry.bytes for entry in self.files)


def backup(folder: Path, target: Path) -> Backup:
    """Writes the territory in `folder` with its ledger, accounts and declaration to the new file `target`.

    A server may run meanwhile. The file appears under its name only when it is whole and on disk.

    Raises:
        RequestError: `keeping.no_territory`, `keeping.exists`.
        LedgerError: the ledger cannot be read, the disk refuses, or a file changed under way (`keeping.source_changed`).
    """
    if not (folder / "territory.yaml").is_file():
        raise RequestError("keeping.no_territory", path=folder)
    if target.exists():
        raise RequestError("keeping.exists", path=target)
    with catalog.guarded(), tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as place:
        work = Path(place)
        found, sources = _gather(folder, work)
        part = work / "backup.tar"
        with tarfile.open(_private(part), "w", format=tarfile.PAX_FORMAT) as tar:
            _add_bytes(tar, MANIFEST, json.dumps({"format": FORMAT, **asdict(found)}, indent=1).encode())
            for entry in found.files:
                _add_file(tar, entry, sources[entry.path])
        catalog.sync(part)
        part.rename(target)
        catalog.sync(target.parent)
    return found


def _gather(folder: Path, work: Path) -> tuple[Backup, dict[str, Path]]:
    """What belongs to the backup, and where each file is; what may change while it is read is copied into `work` first."""
    store = folder / STORE
    entries: list[Entry] = []
    sources: dict[str, Path] = {}
    head = replica.Head()

    def take(path: str, source: Path) -> None:
        sources[path] = source
        entries.append(Entry(path, replica.digest(source), source.stat().st_size))

    if (store / catalog.CATALOG).is_file():
        copy = work / catalog.CATALOG
        replica.copy_catalog(store, copy)
        head = replica.head(copy)
        take(f"{STORE}/{catalog.CATALOG}", copy)
        for entry in replica.files(copy):
            sources[f"{STORE}/{entry.path}"] = store / entry.path
            entries.append(Entry(f"{STORE}/{entry.path}", entry.sha256, entry.bytes))
    for path in (*_beside(store), *_declared(folder)):
        copy = work / f"{len(sources)}.copy"
        try:
            if path.suffix == ".db":
                _copy_database(path, copy)
            else:
                shutil.copyfile(path, copy)
        except FileNotFoundError:  # it was moved meanwhile, as files of a drop folder are
            continue
        take(str(PurePosixPath(*path.relative_to(folder).parts)), copy)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Backup(tuple(entries), head.batch, head.hash, made, version("mangrove")), sources


def _beside(store: Path) -> Iterator[Path]:
    """The files of the store that are not the ledger's: accounts, things, what connectors keep."""
    for path in sorted(store.rglob("*")) if store.is_dir() else ():
        first = path.relative_to(store).parts[0]
        if (
            first in {SEGMENTS, ROLLUPS, LOST, "replica"}
            or path.name in _SKIPPED
            or path.name.endswith(_FLEETING)
        ):
            continue
        if path.is_file() and not path.is_symlink() and first != catalog.CATALOG:
            yield path


def _declared(folder: Path) -> Iterator[Path]:
    """The files of the territory itself."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and not path.is_symlink() and not path.name.endswith(_FLEETING):
            yield path


def _copy_database(source: Path, out: Path) -> None:
    """A consistent copy of a database that may be written to."""
    if not source.is_file():  # connecting would make it
        raise FileNotFoundError(source)
    with closing(sqlite3.connect(source, timeout=30)) as db, closing(sqlite3.connect(out)) as copy:
        db.backup(copy)
        copy.execute("pragma journal_mode = delete")


def _private(path: Path) -> Path:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    import io

    tar.addfile(_member(name, len(data)), io.BytesIO(data))


def _add_file(tar: tarfile.TarFile, entry: Entry, source: Path) -> None:
    """Adds a file, reading it once; a file that is not what the manifest says ends the backup."""
    try:
        with source.open("rb") as file:
            through = _Hashing(file)
            tar.addfile(_member(entry.path, entry.bytes), through)
            if file.read(1) or through.hash.hexdigest() != entry.sha256:
                raise LedgerError("keeping.source_changed", path=source)
    except (FileNotFoundError, tarfile.TarError) as error:
        raise LedgerError("keeping.source_changed", path=source) from error
    except OSError as error:
        if error.errno is None:  # what `tarfile` says of a file that became shorter
            raise LedgerError("keeping.source_changed", path=source) from error
        raise


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        return data


def restore(source: Path, folder: Path) -> Backup:
    """Makes the territory of a backup in `folder`, which must be empty or not exist.

    Every file is compared with the manifest and the ledger is verified before the folder gets its name.

    Raises:
        RequestError: `keeping.not_empty`.
        DataQualityError: the backup is no backup, ends too early, was changed, lacks or has a file too many; or its ledger does
            not hold what it acknowledged. Nothing was made.
    """
    if (folder.is_dir() and any(folder.iterdir())) or (folder.exists() and not folder.is_dir()):
        raise RequestError("keeping.not_empty", path=folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        with catalog.guarded():
            found = _unpack(source, work)
            store = work / STORE
            if (store / catalog.CATALOG).is_file():
                for name in (SEGMENTS, ROLLUPS):
                    (store / name).mkdir(exist_ok=True)
                problems = verify.verify(store)
                if problems:
                    raise DataQualityError("keeping.bad_ledger", reason=problems[0].text())
            work.chmod(0o755)
            if folder.is_dir():
                folder.rmdir()
            work.rename(folder)
            catalog.sync(folder.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return found


def _unpack(source: Path, work: Path) -> Backup:
    """The files of a backup, written into `work` and compared with its manifest."""
    try:
        with tarfile.open(source, "r:") as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST:
                raise DataQualityError("keeping.not_a_backup", path=source, reason=MANIFEST)
            found = _manifest(source, _read(tar, first))
            expected = {entry.path: entry for entry in found.files}
            for member in iter(tar.next, None):
                entry = expected.pop(member.name, None)
                if entry is None or not member.isreg():
                    raise DataQualityError("keeping.stray", path=source, name=member.name[:200])
                _write(tar, member, entry, work / entry.path, source)
    except tarfile.ReadError as error:
        code = (
            "keeping.truncated"
            if "end" in str(error) or "truncated" in str(error)
            else "keeping.not_a_backup"
        )
        raise DataQualityError(code, path=source, reason=str(error)) from None
    except (tarfile.TarError, EOFError) as error:
        raise DataQualityError("keeping.not_a_backup", path=source, reason=str(error)) from None
    if expected:
        name = next(iter(expected))
        ended = source.stat().st_size % tarfile.RECORDSIZE != 0
        if ended:
            raise DataQualityError("keeping.truncated", path=source, reason=name)
        raise DataQualityError("keeping.missing", path=source, name=name)
    return found


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    data = file.read(_MOST_MANIFEST) if file is not None else b""
    if len(data) < member.size:
        raise tarfile.ReadError("unexpected end of data")
    return data


def _manifest(source: Path, data: bytes) -> Backup:
    try:
        document: dict[str, Any] = json.loads(data)
        if document["format"] != FORMAT:
            raise DataQualityError("keeping.format", found=document["format"], known=FORMAT)
        files = entries(document["files"])
        return Backup(files, int(document["batch"]), document["hash"], document["made"], document["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataQualityError("keeping.not_a_backup", path=source, reason=repr(error)[:200]) from None


def entries(listed: Sequence[dict[str, Any]]) -> tuple[Entry, ...]:
    """Entries of a manifest; a path that leaves the folder is an error.

    Raises:
        ValueError: a path is absolute, goes up, or stands twice.
    """
    found = tuple(Entry(str(one["path"]), str(one["sha256"]), int(one["bytes"])) for one in listed)
    for entry in found:
        path = PurePosixPath(entry.path)
        if (
            path.is_absolute()
            or not path.parts
            or {"..", "."} & set(path.parts)
            or "\0" in entry.path
            or "\\" in entry.path
        ):
            raise ValueError(entry.path)
    if len({entry.path for entry in found}) < len(found):
        raise ValueError(found[0].path)
    return found


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry, out: Path, source: Path) -> None:
    """One file, durable, with the hash that the manifest names."""
    file = tar.extractfile(member)
    assert file is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    through = _Hashing(file)
    with _private(out).open("wb") as target:
        shutil.copyfileobj(through, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
        size = target.tell()
    if size < member.size:
        raise tarfile.ReadError(f"unexpected end of data: {entry.path}")
    if through.hash.hexdigest() != entry.sha256:
        raise DataQualityError("keeping.changed", path=source, name=entry.path)
