# SPDX-License-Identifier: Apache-2.0
"""Weights kept on disk under the hash of everything that goes in.

Comes in: shapes, a target, a folder of the caller. Goes out: the matrix that was kept, or nothing. A file is written beside its place and
then renamed; it carries the hash of its own content, so that a damaged one is found and computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import shapely

from mangrove.gridding.grid import Grid, Shapes

_VERSION = b"mangrove-weights-1"
"""Changes with the meaning of a weight, so that older files are not found any more."""
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def key(shapes: Shapes, target: Any, *, repair: bool) -> str:
    """SHA-256 (hex) over the bytes of the shapes and of the target."""
    digest = hashlib.sha256(_VERSION + (b"r" if repair else b"s"))
    _add(digest, shapes)
    if isinstance(target, Grid):
        digest.update(repr(target).encode())
    else:
        _add(digest, np.asarray(target, dtype=object))
    return digest.hexdigest()


def load(folder: Path, name: str) -> scipy.sparse.csr_array | None:
    """The matrix kept under `name`; None when there is none, or when it is damaged."""
    path = folder / f"{name}.npz"
    try:
        with path.open("rb") as body, np.load(body, allow_pickle=False) as file:
            parts = {part: file[part] for part in ("data", "indices", "indptr", "shape")}
            if str(file["digest"]) != _digest(parts.values()):
                return None
    except _DAMAGE:
        return None
    shape = tuple(int(n) for n in parts["shape"])
    return scipy.sparse.csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=shape)


def save(folder: Path, name: str, matrix: scipy.sparse.csr_array) -> None:
    """Keeps a matrix; a folder that cannot be written to is no reason to fail, for the matrix can be computed again."""
    parts = {
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
        "shape": np.array(matrix.shape, dtype=np.int64),
    }
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=name[:8], suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, digest=np.array(_digest(parts.values())), **parts)
            Path(temporary).replace(folder / f"{name}.npz")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _add(digest: Any, shapes: Shapes) -> None:
    """The shapes as well-known binary, each with its length, so that no two lists read alike."""
    for written in shapely.to_wkb(shapes):
        body = written or b""
        digest.update(len(body).to_bytes(8, "little"))
        digest.update(body)


def _digest(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(part.dtype).encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
