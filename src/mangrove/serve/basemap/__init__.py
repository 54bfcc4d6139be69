# SPDX-License-Identifier: Apache-2.0
"""A basemap of one's own: the boundaries of a territory as vector tiles in one file, so that a map needs no server of others.

Comes in: the places of a territory and boundary files (GeoJSON, WGS84). Goes out: a PMTiles archive with the layers `area` (places),
`land` (what belongs to no place: neighbors, islands), `outline` and `label`. What the boundary files hold is on the map at every zoom: an
island too small for a pixel becomes a pixel, it is never lost. The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mangrove.errors import RequestError
from mangrove.handle import STORE

if TYPE_CHECKING:
    from fastapi import APIRouter

    from mangrove.serve.scope import Guard
    from mangrove.serve.state import Live
    from mangrove.territory.model import Territory

FILE = "basemap.pmtiles"
DEEPEST = 16
"""Zoom beyond which tiles only repeat themselves: a pixel is then about a meter."""


def build(
    territory: Territory,
    files: Sequence[Path] = (),
    out: Path | None = None,
    *,
    zooms: tuple[int, int] | None = None,
) -> Path:
    """Writes the basemap of a territory and gives its path.

    Args:
        territory: its places with geometry are the areas.
        files: boundary files; a feature that belongs to a place draws it, one that belongs to none is drawn as land around.
        out: where to write; the file that `mangrove serve` looks for when None.
        zooms: first and last zoom; chosen from the extent and the size of the areas when None.

    Raises:
        RequestError: `page_map.no_boundaries` when nothing has an outline, `page_map.bad_zooms`.
        DeclarationError: a file is no valid GeoJSON.
    """
    from mangrove.serve.basemap import coverage, gather, tiles

    if zooms is not None and not 0 <= zooms[0] <= zooms[1] <= DEEPEST:
        raise RequestError("page_map.bad_zooms", first=zooms[0], last=zooms[1], most=DEEPEST)
    found = gather.features(territory, [Path(file) for file in files])
    if not any(feature.drawn for feature in found):
        raise RequestError("page_map.no_boundaries", name=territory.name)
    path = default_path(territory) if out is None else Path(out)
    first, last = zooms or tiles.zoom_range(found)
    prepared = coverage.prepare(found, last)
    layers = (coverage.at_zoom(prepared, zoom) for zoom in range(first, last + 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    tiles.write(path, layers, name=territory.name, bounds=gather.bounds(found))
    return path


def default_path(territory: Territory) -> Path:
    """The file that `mangrove serve` looks for."""
    return territory.path / STORE / FILE


def router(live: Live, access: Guard) -> APIRouter:
    """The routes of the basemap and of outlines, for the application."""
    from mangrove.serve.basemap import route

    return route.router(live, access)
