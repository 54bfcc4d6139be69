# SPDX-License-Identifier: Apache-2.0
"""Replicas: a park's ledger and declaration, carried to its city by copying files that never change.

Comes in: a source (the folder of a territory, or the address of its server and a key) and a target folder. Goes out: a target that is
a readable territory. Only files that are missing there are copied, each is compared with its SHA-256, and the catalogue is replaced
last in one step: whoever reads sees the old state or the new one, also when the copying is killed at any moment. A replica never goes
back, and a source whose hash chain does not continue the replica's is refused. What is not sealed yet travels in the catalogue.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mangrove.backup import entries
from mangrove.errors import DataQualityError, LedgerError, RequestError, SourceError
from mangrove.handle import STORE
from mangrove.ledger import catalog, files, replica
from mangrove.ledger.replica import Entry, Head

if TYPE_CHECKING:
    from fastapi import APIRouter

FORMAT = "1"
COPY = "catalog"
"""Path of the copy of the catalogue in a manifest."""
STATE = "replica.json"
_LOCK = "replica.lock"
_NEW = "catalog.new"
_TIMEOUT = 60.0
_BLOCK = 1 << 20
_MOST_MANIFEST = 256 << 20
DECLARED = (".yaml", ".yml", ".csv", ".geojson", ".json")
"""Files of a declaration: those at the top of a territory's folder with these endings."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a source offers.

    Attributes:
        batch, hash: how far its ledger goes.
        catalog: the copy of its catalogue; files: segments and roll-ups that it lists; declaration: files of the territory.
    """

    batch: int
    hash: str
    catalog: Entry
    files: tuple[Entry, ...]
    declaration: tuple[Entry, ...]

    def document(self) -> dict[str, Any]:
        """The manifest as JSON is written."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, document: Any, source: str) -> Manifest:
        """The manifest of a document.

        Raises:
            SourceError: `keeping.bad_manifest`, `keeping.format`.
        """
        try:
            if document["format"] != FORMAT:
                raise SourceError("keeping.format", found=document["format"], known=FORMAT)
            listed = entries([document["catalog"], *document["files"], *document["declaration"]])
            count = len(document["files"]) + 1
            declared = listed[count:]
            if listed[0].path != COPY or not all(replica.well_named(one) for one in listed[1:count]):
                raise SourceError("keeping.bad_manifest", source=source, reason="files")
            if any(
                "/" in one.path or one.path.startswith(".") or not one.path.endswith(DECLARED)
                for one in declared
            ):
                raise SourceError("keeping.bad_manifest", source=source, reason="declaration")
            return cls(int(document["batch"]), str(document["hash"]), listed[0], listed[1:count], declared)
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError("keeping.bad_manifest", source=source, reason=repr(error)[:200]) from None


@dataclass(frozen=True, slots=True)
class Replicated:
    """What one replication did."""

    copied: int
    bytes: int
    kept: int
    before: int
    batch: int


class Source(Protocol):
    """Where a replica comes from."""

    name: str

    def manifest(self) -> Manifest:
        """What there is."""

    def blocks(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of one of its files."""


def replicate(source: str | Path, target: Path, key: str = "") -> Replicated:
    """Brings the replica in `target` up to date with `source`.

    Args:
        source: the folder of a territory, or the http(s) address of its server.
        target: a folder that is empty, missing, or a replica made before.
        key: an API key of the server.

    Raises:
        RequestError: `keeping.no_territory`, `keeping.target_foreign`.
        SourceError: the source cannot be reached, refuses, or sends what its manifest does not say.
        DataQualityError: `keeping.backwards`, `keeping.forked`, `keeping.broken_chain`. The replica stays as it was.
        LedgerError: the disk refuses, or somebody writes to the replica.
    """
    written = str(source)
    store = target / STORE
    with catalog.guarded(), _only_one(target):
        remote = written.startswith(("http://", "https://"))
        origin: Source = Server(written, key) if remote else Folder(Path(source), store)
        manifest = origin.manifest()
        old = replica.head(_settled(store)) if (store / catalog.CATALOG).is_file() else Head()
        if manifest.batch < old.batch:
            raise DataQualityError(
                "keeping.backwards", source=origin.name, found=manifest.batch, known=old.batch
            )
        copied = _fetch(origin, manifest, store)
        _check_catalog(origin, manifest, old, store / _NEW)
        declared = _declaration(origin, manifest, target)
        _switch(store, manifest)
        _sweep(target, store, manifest)
    fresh = [entry for entry in manifest.files if entry in copied]
    size = sum(entry.bytes for entry in copied) + declared
    return Replicated(len(fresh), size, len(manifest.files) - len(fresh), old.batch, manifest.batch)


def router(live: Any, access: Any) -> APIRouter:
    """The routes of a server that give a replica away; see `mangrove.serve.replica`."""
    from mangrove.serve import replica as routes

    return routes.router(live, access)


@contextmanager
def _only_one(target: Path) -> Iterator[None]:
    """Makes the folders of a replica and keeps a second replication out."""
    store = target / STORE
    known = (store / STATE).is_file()
    if (store / catalog.CATALOG).is_file() and not known:
        raise RequestError("keeping.target_foreign", path=target)
    if not known and target.is_dir() and any(one.name != STORE for one in target.iterdir()):
        raise RequestError("keeping.target_foreign", path=target)
    files.prepare(store)
    handle = os.open(store / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerError("keeping.target_busy", path=target) from None
        if not known:
            _write_durably(store / STATE, b"{}")
        yield
    finally:
        os.close(handle)


def _settled(store: Path) -> Path:
    """The catalogue of the replica as one file: what a reader recorded in it stands in a log of its own until then."""
    path = store / catalog.CATALOG
    try:
        replica.fold(path)
    except LedgerError as error:
        raise LedgerError("keeping.target_busy", path=store) from error
    return path


def _fetch(origin: Source, manifest: Manifest, store: Path) -> list[Entry]:
    """Copies the files that are missing, and the catalogue under another name; gives what was copied."""
    copied = []
    for entry in manifest.files:
        path = store / entry.path
        if path.is_file() and path.stat().st_size == entry.bytes:
            continue
        _copy(origin, entry, path)
        copied.append(entry)
    for name in (files.SEGMENTS, files.ROLLUPS):
        catalog.sync(store / name)
    _copy(origin, manifest.catalog, store / _NEW)
    return [*copied, manifest.catalog]


def _copy(origin: Source, entry: Entry, path: Path) -> None:
    """One file: written beside its place, compared, durable, then named."""
    part = path.with_name(path.name + ".tmp")
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file:
        for block in origin.blocks(entry):
            digest.update(block)
            size += len(block)
            if size > entry.bytes:
                break
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if size != entry.bytes or digest.hexdigest() != entry.sha256:
        part.unlink()
        raise SourceError("keeping.bad_file", name=entry.path, source=origin.name)
    part.replace(path)


def _check_catalog(origin: Source, manifest: Manifest, old: Head, new: Path) -> None:
    """The new catalogue continues the old one, its chain holds, and it lists what was copied."""
    try:
        problems = [problem.text() for problem in replica.chain_problems(new)]
        found, listed = replica.head(new), set(replica.files(new))
    except (LedgerError, ValueError) as error:
        raise DataQualityError("keeping.broken_chain", source=origin.name, reason=str(error)) from None
    if problems:
        raise DataQualityError("keeping.broken_chain", source=origin.name, reason=problems[0])
    if found.batch < old.batch:
        raise DataQualityError("keeping.backwards", source=origin.name, found=found.batch, known=old.batch)
    if not replica.continues(new, old):
        raise DataQualityError("keeping.forked", source=origin.name, batch=old.batch)
    if listed != set(manifest.files):
        raise DataQualityError("keeping.broken_chain", source=origin.name, reason="manifest")


def _declaration(origin: Source, manifest: Manifest, target: Path) -> int:
    """Replaces the files of the declaration that changed; gives the bytes that were copied."""
    size = 0
    for entry in manifest.declaration:
        path = target / entry.path
        if not path.is_file() or replica.digest(path) != entry.sha256:
            _copy(origin, entry, path)
            size += entry.bytes
    catalog.sync(target)
    return size


def _switch(store: Path, manifest: Manifest) -> None:
    """Puts the new catalogue in place of the old one, in one step."""
    new, path = store / _NEW, store / catalog.CATALOG
    try:
        lock = catalog.lock_for_writing(store)
    except LedgerError as error:
        raise LedgerError("keeping.target_busy", path=store) from error
    try:
        if path.is_file():
            replica.keep_records(_settled(store), new)
        catalog.sync(new)
        new.replace(path)
        catalog.sync(store)
    finally:
        os.close(lock)
    state = {"batch": manifest.batch, "hash": manifest.hash}
    known = _state(store)
    gone = {**known.get("gone", {})}
    _write_durably(
        store / STATE, json.dumps({**state, "gone": gone, "declared": known.get("declared", [])}).encode()
    )


def _sweep(target: Path, store: Path, manifest: Manifest) -> None:
    """Removes what is listed no more: files of values after the grace period of readers, files of the declaration at once."""
    import time

    known = _state(store)
    listed = {entry.path for entry in manifest.files}
    now, gone = time.time(), dict[str, float]()
    for folder in (files.SEGMENTS, files.ROLLUPS):
        for path in (store / folder).iterdir():
            name = f"{folder}/{path.name}"
            if name in listed:
                continue
            since = float(known.get("gone", {}).get(name, now))
            if path.suffix == ".tmp" or now - since > catalog_grace():
                path.unlink()
            else:
                gone[name] = since
    declared = [entry.path for entry in manifest.declaration]
    for name in set(known.get("declared", [])) - set(declared):
        if "/" not in name and not name.startswith("."):
            (target / name).unlink(missing_ok=True)
    state = {"batch": manifest.batch, "hash": manifest.hash, "gone": gone, "declared": declared}
    _write_durably(store / STATE, json.dumps(state).encode())


def catalog_grace() -> float:
    """Seconds for which readers may still know a file that is listed no more."""
    from mangrove.ledger.store import GRACE

    return GRACE.total_seconds()


def _state(store: Path) -> dict[str, Any]:
    try:
        found = json.loads((store / STATE).read_bytes())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write_durably(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".tmp")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    catalog.sync(path.parent)


def declared_files(folder: Path) -> list[Path]:
    """The files of the declaration of the territory in `folder`."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in DECLARED and path.is_file() and not path.name.startswith(".")
    )


def offer(folder: Path, copy: Path) -> Manifest:
    """What the territory in `folder` offers; its catalogue is copied to the new file `copy`.

    Raises:
        LedgerError: `ledger.missing`: there is no ledger yet.
    """
    replica.copy_catalog(folder / STORE, copy)
    head = replica.head(copy)
    declared = [
        Entry(path.name, replica.digest(path), path.stat().st_size) for path in declared_files(folder)
    ]
    body = Entry(COPY, replica.digest(copy), copy.stat().st_size)
    return Manifest(head.batch, head.hash, body, tuple(replica.files(copy)), tuple(declared))


class Folder:
    """A source on this machine.

    Args:
        folder: of a territory.
        work: a folder in which the copy of the catalogue may stand for a while.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        if not (folder / "territory.yaml").is_file():
            raise RequestError("keeping.no_territory", path=folder)
        self.name = str(folder)
        self._folder, self._copy = folder, work / "catalog.copy"

    def manifest(self) -> Manifest:
        """What there is now."""
        return offer(self._folder, self._copy)

    def blocks(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file."""
        at = self._copy if entry.path == COPY else self._folder
        path = at if entry.path == COPY else at / STORE / entry.path if "/" in entry.path else at / entry.path
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
        if entry.path == COPY:
            path.unlink()


class Server:
    """A source behind an address; a redirection is refused, so that the key goes nowhere else."""

    def __init__(self, address: str, key: str) -> None:
        self.name = address
        self._base = address.rstrip("/") + "/api/v1/replica/"
        self._key = key
        self._opener = urllib.request.build_opener(_NoRedirect())

    def manifest(self) -> Manifest:
        """What there is now."""
        data = b"".join(self._blocks("manifest", _MOST_MANIFEST))
        try:
            document = json.loads(data)
        except ValueError as error:
            raise SourceError("keeping.bad_manifest", source=self.name, reason=str(error)) from None
        return Manifest.read(document, self.name)

    def blocks(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file, by its SHA-256."""
        return self._blocks(f"files/{urllib.parse.quote(entry.sha256, safe='')}", entry.bytes + 1)

    def _blocks(self, path: str, most: int) -> Iterator[bytes]:
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            request = urllib.request.Request(self._base + path, headers=headers)  # noqa: S310 - http or https, checked by the caller
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                while most > 0 and (block := answer.read(min(_BLOCK, most))):
                    most -= len(block)
                    yield block
        except urllib.error.HTTPError as error:
            raise SourceError("keeping.refused", source=self.name, status=error.code) from None
        except (OSError, ValueError) as error:
            raise SourceError("keeping.unreachable", source=self.name, reason=str(error)[:200]) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """No redirection is followed."""


def hashes(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Paths of all files of manifests, by SHA-256; the catalogue's is `catalog`."""
    return {
        entry.sha256: entry.path for one in manifests for entry in (*one.declaration, *one.files, one.catalog)
    }
