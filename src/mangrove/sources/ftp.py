# SPDX-License-Identifier: Apache-2.0
"""FTP: the few operations that drops of files need, with TLS when asked, and folders that look the same.

Comes in: an address (`ftp://user@host[:port]/path`, `ftps://...` for TLS) and a password from the environment or a secret file. Goes
out: a `Server` that lists, fetches and stores files; a `Folder` does the same on this machine. A file is stored under a temporary
name and then renamed, so that no reader sees half of it. Errors are `SourceError`.
"""

from __future__ import annotations

import ftplib
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from mangrove.errors import SourceError
from mangrove.ledger.catalog import sync
from mangrove.territory.model import Device

TIMEOUT = 20.0
"""Seconds until a server that says nothing counts as silent."""
MOST_BYTES = 256 << 20
"""A file larger than this is not fetched: a monitoring file has a few kilobytes, a year of a meter a few megabytes."""
TEMPORARY = (".part", ".tmp", ".filepart")
"""Endings of files that are still being written."""
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Listed:
    """A file on a server: its name, and what changes when its content does."""

    name: str
    size: int
    modified: str


class Store(Protocol):
    """A place for files: a server or a folder."""

    def put(self, name: str, body: bytes) -> None:
        """Stores a file, also over an older one."""

    def close(self) -> None:
        """Ends the connection."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is."""

    host: str
    port: int
    user: str
    path: str
    tls: bool

    @classmethod
    def of(cls, device: Device) -> Address:
        """Reads the address of a device; raises `devices.bad_address`, or `devices.password_declared` when it holds a password."""
        try:
            parts = urlsplit(device.address)
            fine = parts.scheme in ("ftp", "ftps") and bool(parts.hostname) and not parts.query
            port = parts.port or ftplib.FTP_PORT
        except ValueError:
            fine = False
        if not fine:
            raise SourceError(
                "devices.bad_address",
                where=device.where,
                address=device.address,
                protocol="ftp",
                example="ftp://user@10.0.0.8/out",
            )
        if parts.password:
            raise SourceError("devices.password_declared", where=device.where, device=device.id)
        user = unquote(parts.username or "anonymous")
        return cls(str(parts.hostname), port, user, unquote(parts.path) or "/", parts.scheme == "ftps")


class Server:
    """A folder on an FTP server. It connects when it is used, and anew after an error.

    Args:
        address: of the server.
        password: of its user.
        ca_file: certificate of the authority that signed the server's; None: those that the machine trusts.
        timeout: seconds.
    """

    def __init__(
        self, address: Address, password: str, ca_file: Path | None = None, timeout: float = TIMEOUT
    ) -> None:
        self.address = address
        self._password, self._ca_file, self._timeout = password, ca_file, timeout
        self._ftp: ftplib.FTP | None = None

    def list(self) -> list[Listed]:
        """The files of the folder, without those still being written and without hidden ones.

        Raises:
            SourceError: `devices.no_answer`, `devices.ftp_refused`.
        """
        with self._connected() as ftp:
            try:
                found = [
                    Listed(name, int(facts.get("size", "0")), facts.get("modify", ""))
                    for name, facts in ftp.mlsd(facts=["type", "size", "modify"])
                    if facts.get("type", "file") == "file"
                ]
            except ftplib.error_perm as error:
                if not str(error).startswith(("500", "501", "502", "504")):
                    raise
                found = list(self._plain(ftp))  # a server that does not know MLSD (RFC 3659)
        return [
            one for one in found if not one.name.startswith(".") and not one.name.lower().endswith(TEMPORARY)
        ]

    def get(self, name: str, take: Callable[[bytes], object]) -> None:
        """Gives the bytes of a file to `take`, piece by piece; raises `devices.ftp_size` beyond `MOST_BYTES`."""
        room = MOST_BYTES

        def piece(body: bytes) -> None:
            nonlocal room
            room -= len(body)
            if room < 0:
                raise SourceError("devices.ftp_size", name=name, limit=MOST_BYTES >> 20)
            take(body)

        with self._connected() as ftp:
            ftp.retrbinary(f"RETR {name}", piece, _BLOCK)

    def put(self, name: str, body: bytes) -> None:
        """Stores a file under a temporary name and renames it; one of the same name is replaced."""
        import io

        part = f"{name}.part"
        with self._connected() as ftp:
            ftp.storbinary(f"STOR {part}", io.BytesIO(body), _BLOCK)
            try:
                ftp.rename(part, name)
            except ftplib.error_perm:  # some servers do not rename over another file
                ftp.delete(name)
                ftp.rename(part, name)

    def close(self) -> None:
        """Ends the connection."""
        ftp, self._ftp = self._ftp, None
        if ftp is not None:
            with suppress(OSError, EOFError, ftplib.Error):
                ftp.quit()
            ftp.close()

    @contextmanager
    def _connected(self) -> Iterator[ftplib.FTP]:
        """The connection; an error in the body ends it and becomes a `SourceError`."""
        where = f"{'ftps' if self.address.tls else 'ftp'}://{self.address.host}:{self.address.port}"
        try:
            if self._ftp is None:
                self._ftp = self._connect()
            yield self._ftp
        except ftplib.error_perm as error:
            self.close()
            raise SourceError("devices.ftp_refused", address=where, reason=str(error)[:200]) from error
        except (OSError, EOFError, ftplib.Error, ValueError) as error:
            self.close()
            reason = str(error)[:200] or type(error).__name__
            raise SourceError("devices.no_answer", address=where, reason=reason) from error
        except BaseException:
            self.close()
            raise

    def _connect(self) -> ftplib.FTP:
        if self.address.tls:
            ca_file = None if self._ca_file is None else str(self._ca_file)
            context = ssl.create_default_context(cafile=ca_file)
            ftp: ftplib.FTP = ftplib.FTP_TLS(context=context, timeout=self._timeout)  # noqa: S321 - with TLS it is as safe as HTTPS
        else:
            ftp = ftplib.FTP(timeout=self._timeout)  # noqa: S321 - the authority's servers speak it; `ftps://` asks for TLS
        try:
            ftp.connect(self.address.host, self.address.port)
            ftp.login(self.address.user, self._password)
            if isinstance(ftp, ftplib.FTP_TLS):
                ftp.prot_p()
            ftp.voidcmd("TYPE I")
            ftp.cwd(self.address.path)
        except BaseException:
            ftp.close()
            raise
        return ftp

    def _plain(self, ftp: ftplib.FTP) -> Iterator[Listed]:
        """Names by NLST, with the size and time that the server gives for each; what has no size is no file."""
        entries = ftp.nlst()
        ftp.voidcmd("TYPE I")  # the list was text, and servers tell no sizes of text
        for entry in entries:
            name = PurePosixPath(entry).name
            try:
                size = ftp.size(name)
                modified = ftp.voidcmd(f"MDTM {name}").split()[-1]
            except ftplib.error_perm:
                continue
            if size is not None:
                yield Listed(name, size, modified)


class Folder:
    """A folder on this machine, in place of a server.

    Args:
        path: the folder; it must exist, so that a disk that is not mounted is an outage and no new folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, body: bytes) -> None:
        """Stores a file under a temporary name and renames it; it is on disk when this returns."""
        if not self.path.is_dir():
            raise SourceError("devices.no_folder", path=str(self.path))
        try:
            write(self.path / name, body)
        except OSError as error:
            raise SourceError("devices.no_answer", address=str(self.path), reason=str(error)) from error

    def close(self) -> None:
        """Nothing to end."""


def write(path: Path, body: bytes) -> None:
    """Writes a file so that after a loss of power it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)


def modified_at(listed: Listed) -> datetime:
    """When a file was changed (`20260601050000[.sss]`, UTC); the earliest instant when the server does not say."""
    with suppress(ValueError):
        return datetime.strptime(listed.modified[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return datetime.min.replace(tzinfo=UTC)


def is_plain(name: str) -> bool:
    """Whether a name from outside is a plain file name: no folder, nothing hidden, no control characters, not too long.

    Example:
        >>> is_plain("HP_KHI_20260601050000.txt"), is_plain("../etc/passwd")
        (True, False)
    """
    fine = bool(name) and len(name.encode()) <= 200 and not name.startswith(".")  # noqa: PLR2004 - 255 less our endings
    return fine and name.isprintable() and not any(mark in name for mark in '/\\:*?"<>|')
