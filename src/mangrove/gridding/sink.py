# SPDX-License-Identifier: Apache-2.0
"""A file under HDF5 that never fails before its eyes: HDF5 keeps what it could not write, tries again at exit and crashes the process.

Comes in: an open file and what HDF5 writes. Goes out: the same bytes in the file; once the disk refuses, what follows is kept in memory, so
that HDF5 can read it back and close in peace, and `check` raises what the disk said.
"""

from __future__ import annotations

import os
from typing import BinaryIO


class Sink:
    """What h5py takes for a file: seek, tell, read into, write, truncate, flush.

    Args:
        raw: an unbuffered file, open for reading and writing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile(buffering=0) as raw:
        ...     sink, back = Sink(raw), bytearray(4)
        ...     done = sink.write(b"HDF5"), sink.seek(0), sink.readinto(back)
        ...     sink.check()
        >>> done, bytes(back)
        ((4, 0, 4), b'HDF5')
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw.fileno()
        self._at = 0
        self._kept: list[tuple[int, bytes]] = []
        self._end = os.fstat(self._raw).st_size
        self._failure: OSError | None = None

    def check(self) -> None:
        """Raises what the disk said, if it refused anything.

        Raises:
            OSError: of the first refusal.
        """
        if self._failure is not None:
            raise self._failure

    def write(self, data: bytes | memoryview) -> int:
        """Writes all of it; how many bytes."""
        view = memoryview(data).cast("B")
        done = 0
        while self._failure is None and done < len(view):
            try:
                done += os.pwrite(self._raw, view[done:], self._at + done)
            except OSError as error:
                self._failure = error
        if done < len(view):
            self._kept.append((self._at + done, bytes(view[done:])))
        self._at += len(view)
        self._end = max(self._end, self._at)
        return len(view)

    def readinto(self, target: bytearray | memoryview) -> int:
        """Reads what was written, whether it is on the disk or kept; holes are zeros. How many bytes lie before the end."""
        view = memoryview(target).cast("B")
        first, count = self._at, max(0, min(len(view), self._end - self._at))
        found = os.pread(self._raw, count, first)
        view[:count] = found.ljust(count, b"\0")
        for start, part in self._kept:
            low, high = max(first, start), min(first + count, start + len(part))
            if low < high:
                view[low - first : high - first] = part[low - start : high - start]
        self._at += count
        return count

    def read(self, count: int = -1) -> bytes:
        """As `readinto`, into new bytes."""
        made = bytearray(max(0, self._end - self._at) if count < 0 else count)
        return bytes(made[: self.readinto(made)])

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Where it stands then."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Cuts or lengthens the file."""
        self._end = self._at if size is None else size
        if self._failure is None:
            try:
                os.ftruncate(self._raw, self._end)
            except OSError as error:
                self._failure = error
        return self._end

    def flush(self) -> None:
        """Nothing is held back."""
