# SPDX-License-Identifier: Apache-2.0
"""The routes that give a replica away: what there is, and any file of it by its SHA-256.

Comes in: requests of another server with a key. Goes out: a manifest with a copy of the catalogue of this moment, and files. A replica
holds everything that a territory measured, in detail, so administrators and workers get it, and of the city only the key that the park's
administrator named `replica` for this purpose; it can read nothing else in detail and write nothing.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Response
from starlette.responses import FileResponse

from mangrove.errors import MangroveError, SourceError
from mangrove.ledger import catalog
from mangrove.replicate import COPY, Manifest, hashes, offer
from mangrove.serve import requests
from mangrove.serve.scope import Principal, Scope
from mangrove.serve.state import Live

FOLDER = "replica"
KEY_NAME = "replica"
KEPT = 2
"""Copies of the catalogue that are kept: the latest, and the one that somebody may still be fetching."""
FRESH = 600.0
"""Seconds after which a manifest is made anew although nothing was stored: files that were compacted away leave within the hour."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def router(live: Live, access: Any) -> APIRouter:
    """The routes; `access.need(*roles, guests=False)` gives the `Principal` or refuses."""
    copies = Copies(live)
    api = APIRouter(tags=["replica"])
    who: Any = Depends(access.need("admin", "worker", "city", guests=False))

    @api.get("/api/v1/replica/manifest")
    def manifest(principal: Principal = who) -> Response:
        """What a replica of this moment consists of."""
        try:
            _may(live, principal)
            return requests.answer(copies.fresh().document())
        except MangroveError as error:
            return requests.refused(error)

    @api.get("/api/v1/replica/files/{sha256}", response_class=Response)
    def file(sha256: str, principal: Principal = who) -> Response:
        """One file of a manifest that was given."""
        try:
            _may(live, principal)
            path = copies.path(sha256)
        except MangroveError as error:
            return requests.refused(error)
        return FileResponse(path, media_type="application/octet-stream")

    return api


def _may(live: Live, principal: Principal) -> None:
    """Refuses a key of a part of the territory, and every key of the city but the one named `replica`."""
    if principal.role == "city":
        allowed = principal.kind == "key" and principal.name == KEY_NAME and not principal.place
    else:
        allowed = Scope(live.territory, principal).whole
    if not allowed:
        raise SourceError("keeping.not_for_key")


class Copies:
    """The latest manifests, with the copies of the catalogue beside the store."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._mutex = threading.Lock()
        self._given: list[Manifest] = []
        self._made = 0
        self._state, self._at = (0, ""), 0.0

    def fresh(self) -> Manifest:
        """A manifest of now; the last one when nothing was stored since."""
        with self._mutex, catalog.guarded():
            folder = self._live.store / FOLDER
            with self._live.park.reader() as ledger:
                state = (ledger.cut(), self._live.territory.content_hash)
            young = time.monotonic() - self._at < FRESH
            if self._given and self._state == state and young and self._there(folder, self._given[-1]):
                return self._given[-1]
            self._state, self._at = state, time.monotonic()
            folder.mkdir(exist_ok=True)
            self._made += 1
            part = folder / f"{self._made}.tmp"
            made = offer(self._live.territory.path, part)
            part.rename(folder / f"{made.catalog.sha256}.db")
            self._given = [*self._given, made][-KEPT:]
            kept = {f"{one.catalog.sha256}.db" for one in self._given}
            for path in folder.iterdir():
                if path.name not in kept:
                    path.unlink()
            return made

    @staticmethod
    def _there(folder: Path, manifest: Manifest) -> bool:
        return (folder / f"{manifest.catalog.sha256}.db").is_file()

    def path(self, sha256: str) -> Path:
        """Where the file with a hash is.

        Raises:
            SourceError: `keeping.no_file`.
        """
        with self._mutex:
            name = hashes(self._given).get(sha256) if _SHA256.fullmatch(sha256) else None
        if name is None:
            raise SourceError("keeping.no_file", sha256=sha256[:80])
        store, folder = self._live.store, self._live.territory.path
        path = (
            store / FOLDER / f"{sha256}.db"
            if name == COPY
            else store / name
            if "/" in name
            else folder / name
        )
        if not path.is_file():
            raise SourceError("keeping.no_file", sha256=sha256)
        return path
