# SPDX-License-Identifier: Apache-2.0
"""The routes of the map's outlines: the basemap in pieces, and outlines as GeoJSON where there is no basemap.

Comes in: the live state and who may pass. Goes out: a router with `/basemap.pmtiles` (HTTP Range, RFC 9110, section 14; 404 without a
file) and `/map/places.geojson`. Outlines carry no amounts; names of places that the reader may not see are left out of the GeoJSON.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse

from mangrove.serve import view as views
from mangrove.serve.basemap import FILE, default_path, outlines
from mangrove.serve.map_values import day_of, levels_of, root_of, rows_below
from mangrove.serve.requests import gives
from mangrove.serve.scope import Guard, Principal, Scope
from mangrove.serve.state import Live

BASEMAP, PLACES = f"/{FILE}", "/map/places.geojson"
ROLES = ("admin", "operator", "tenant", "city", "worker")
"""Who may open the map may have its outlines."""


def router(live: Live, access: Guard) -> APIRouter:
    """The routes; the basemap may appear, change or go while the server runs."""
    routes = APIRouter(tags=["map"])
    who: Any = Depends(access.need(*ROLES))

    @routes.head(BASEMAP, response_class=FileResponse, include_in_schema=False)
    @routes.get(BASEMAP, response_class=FileResponse)
    def basemap(principal: Principal = who) -> FileResponse:
        file = default_path(live.territory)
        # it holds the names of all places: others get the outlines that they may know
        if not file.is_file() or not Scope(live.territory, principal).whole:
            raise HTTPException(404)
        # said so that no middleware packs the file: its tiles are packed already, and a range counts bytes as stored
        headers = {"cache-control": "no-cache", "content-encoding": "identity"}
        return FileResponse(file, media_type="application/vnd.pmtiles", headers=headers)

    @routes.get(PLACES, **gives("application/geo+json"))
    def places(request: Request, principal: Principal = who) -> Response:
        view = views.read(
            live.territory, dict(request.query_params), now=live.clock.now(), principal=principal
        )
        territory, day = live.territory, day_of(live.territory, view)
        levels = levels_of(territory)
        level = view.params.get("level", "")
        focus = territory.places.get(view.place) or root_of(territory)
        rows = tuple(rows_below(territory, focus, level if level in levels else levels[0], day))
        key = ("outlines", territory.content_hash, rows, principal.key)

        def named(place: str) -> bool:
            return view.scope.suppresses or view.scope.sees(place)  # the city holds back amounts, not names

        made = live.kept.get(key, lambda: orjson.dumps(outlines.collection(territory, rows, named)))
        return Response(made, media_type="application/geo+json", headers={"cache-control": "no-cache"})

    return routes
