# SPDX-License-Identifier: Apache-2.0
"""The route of the basemap: the PMTiles file in pieces, as a map asks for them (HTTP Range, RFC 9110, section 14).

Comes in: the path of the file. Goes out: a router with `/basemap.pmtiles`. The file is read as it is; without one the answer is 404.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import FileResponse

from mangrove.serve.basemap import FILE

ADDRESS = f"/{FILE}"


def router(path: Callable[[], Path], caller: Callable[..., Any] | None = None) -> APIRouter:
    """The route.

    Args:
        path: gives the file, which may appear, change or go while the server runs.
        caller: FastAPI dependency that refuses strangers; outlines are no secret of a company, but a private park may hide them.
    """
    routes = APIRouter(tags=["map"])

    @routes.api_route(
        ADDRESS,
        methods=["GET", "HEAD"],
        response_class=FileResponse,
        dependencies=[] if caller is None else [Depends(caller)],
    )
    def basemap() -> FileResponse:
        file = path()
        if not file.is_file():
            raise HTTPException(404)
        # said so that no middleware packs the file: its tiles are packed already, and a range counts bytes as stored
        headers = {"cache-control": "no-cache", "content-encoding": "identity"}
        return FileResponse(file, media_type="application/vnd.pmtiles", headers=headers)

    return routes
