# SPDX-License-Identifier: Apache-2.0
"""Tiles: features of each zoom cut by tile, written as Mapbox Vector Tiles into one PMTiles archive.

Comes in: features on integer grids, zoom by zoom. Goes out: a file. A tile reaches 8 pixels over its edge, so that lines run through.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import shapely
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from shapely.geometry.base import BaseGeometry

from mangrove.serve.basemap.coverage import EXTENT, PIXEL, Layered
from mangrove.serve.basemap.gather import MapFeature

BUFFER = 8 * PIXEL
_DEEPEST, _MOST_STEPS, _MOST_TILES = 16, 9, 12_000
_FEW_TILES = 9
_SMALL_PIXELS = 128
"""Pixels across a small area (the tenth percentile) at the last zoom: enough to see its outline; beyond, the map only enlarges."""


def zoom_range(found: Sequence[MapFeature]) -> tuple[int, int]:
    """The zoom at which all fits into a tile with room around, and the one at which small areas are seen well.

    Places decide when there are any: land around them is only seen from afar.
    """
    everything = shapely.total_bounds([f.polygon for f in found if f.drawn])
    own = [f.polygon for f in found if f.id and f.drawn] or [f.polygon for f in found if f.drawn]
    wide = max(everything[2] - everything[0], everything[3] - everything[1], 1e-9)
    first = min(max(math.floor(math.log2(1 / wide)) - 1, 0), _DEEPEST - 1)
    left, top, right, bottom = shapely.total_bounds(own)
    small = float(np.quantile(np.sqrt(shapely.area(own)), 0.1))
    last = math.ceil(math.log2(_SMALL_PIXELS / 512 / max(small, 1e-9)))
    near = min(max(math.floor(math.log2(1 / max(right - left, bottom - top, 1e-9))), first), _DEEPEST)
    last = min(max(last, near + 1), near + _MOST_STEPS, _DEEPEST)
    while last > first and (right - left) * (bottom - top) * 4**last > _MOST_TILES:
        last -= 1
    return first, last


def write(
    path: Path, layers: Iterable[Layered], *, name: str, bounds: tuple[float, float, float, float]
) -> None:
    """Writes the archive; a reader sees the old file or the whole new one.

    Args:
        path: the file.
        layers: zooms in rising order.
        name: of the map, for its metadata.
        bounds: west, south, east, north in degrees; the map opens there.
    """
    fresh = path.with_suffix(".part")
    with fresh.open("wb") as file:
        writer = Writer(file)
        first = last = -1
        for layered in layers:
            first, last = (layered.zoom if first < 0 else first), layered.zoom
            encoded = {zxy_to_tileid(layered.zoom, x, y): _encode(tile) for (x, y), tile in _cut(layered)}
            for tile_id in sorted(encoded):
                writer.write_tile(tile_id, gzip.compress(encoded[tile_id], 9, mtime=0))
        west, south, east, north = (round(value * 1e7) for value in bounds)
        header = {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_lon_e7": west,
            "min_lat_e7": south,
            "max_lon_e7": east,
            "max_lat_e7": north,
            "center_zoom": first,
            "center_lon_e7": (west + east) // 2,
            "center_lat_e7": (south + north) // 2,
        }
        writer.finalize(header, _metadata(name, first, last))
    fresh.replace(path)


def _metadata(name: str, first: int, last: int) -> dict[str, Any]:
    """What PMTiles calls JSON metadata (specification 3, section 5): the layers and their fields."""
    fields = {"id": "String", "kind": "String", "name": "String", "name_en": "String"}
    names = {
        "area": fields,
        "land": fields,
        "outline": {"kind": "String"},
        "label": fields | {"rank": "Number"},
    }
    return {
        "name": name,
        "type": "baselayer",
        "vector_layers": [
            {"id": layer, "fields": said, "minzoom": first, "maxzoom": last} for layer, said in names.items()
        ],
    }


Drawn = tuple[str, dict[str, Any], BaseGeometry]


def _cut(layered: Layered) -> Iterator[tuple[tuple[int, int], list[Drawn]]]:
    """The tiles of a zoom with what lies in each: layer, properties, geometry relative to the tile's corner."""
    features = list(_listed(layered))
    tiles: dict[tuple[int, int], list[int]] = {}
    reach = _reach(layered)
    for index, (_, _, geometry) in enumerate(features):
        shapely.prepare(geometry)
        for tile in _touched(geometry, layered.zoom, reach):
            tiles.setdefault(tile, []).append(index)
    for tile in sorted(tiles):
        frame = _box(tile, BUFFER)
        cut = []
        for index in tiles[tile]:
            layer, properties, geometry = features[index]
            if geometry.intersects(frame):
                inside = geometry if frame.covers(geometry) else shapely.intersection(geometry, frame)
                moved = shapely.transform(
                    _same_kind(inside, geometry), lambda xy, t=tile: xy - np.multiply(t, EXTENT)
                )
                cut.append((layer, properties, moved))
        if cut:
            yield tile, cut


def _reach(layered: Layered) -> BaseGeometry:
    """Where tiles are written: around the places, by their own size; everywhere while that is a few tiles."""
    everything = shapely.total_bounds([f.polygon for f in layered.areas])
    own = [f.polygon for f in layered.areas if f.id]
    few = (everything[2] - everything[0]) * (everything[3] - everything[1]) <= 64 * EXTENT**2
    if few or not own:
        return shapely.box(*everything).buffer(EXTENT)
    left, top, right, bottom = shapely.total_bounds(own)
    return shapely.box(left, top, right, bottom).buffer(max(right - left, bottom - top, EXTENT) / 2)


def _listed(layered: Layered) -> Iterator[Drawn]:
    """All features of a zoom with their layer and properties."""
    for feature in layered.areas:
        if feature.id:
            yield "area", _properties(feature), feature.polygon
        else:
            yield from (("land", _properties(feature), part) for part in shapely.get_parts(feature.polygon))
    for kind, line in layered.outlines:
        yield from (("outline", {"kind": kind}, part) for part in shapely.get_parts(line))
    steps = EXTENT * 2**layered.zoom
    for feature, rank in layered.points:
        if feature.point is not None and feature.name:
            x, y = feature.point
            yield (
                "label",
                _properties(feature) | {"rank": rank},
                shapely.Point(round(x * steps), round(y * steps)),
            )


def _properties(feature: MapFeature) -> dict[str, Any]:
    said = {"id": feature.id, "kind": feature.kind, "name": feature.name, "name_en": feature.name_en}
    return {key: text for key, text in said.items() if text}


def _touched(geometry: BaseGeometry, zoom: int, reach: BaseGeometry) -> Iterator[tuple[int, int]]:
    """The tiles that a geometry lies in: those inside `reach`, and all of them when they are few, as for far islands."""
    left, top, right, bottom = geometry.bounds
    most = 2**zoom - 1
    first = [max(math.floor((edge - BUFFER) / EXTENT), 0) for edge in (left, top)]
    last = [min(math.floor((edge + BUFFER) / EXTENT), most) for edge in (right, bottom)]
    few = (last[0] - first[0] + 1) * (last[1] - first[1] + 1) <= _FEW_TILES
    if not few:
        window = shapely.box(left, top, right, bottom).intersection(reach).bounds
        if not all(map(math.isfinite, window)):
            return
        first = [
            max(math.floor((edge - BUFFER) / EXTENT), low) for edge, low in zip(window, first, strict=False)
        ]
        last = [
            min(math.floor((edge + BUFFER) / EXTENT), top_)
            for edge, top_ in zip(window[2:], last, strict=True)
        ]
    for x in range(first[0], last[0] + 1):
        for y in range(first[1], last[1] + 1):
            if (few or reach.intersects(_box((x, y)))) and geometry.intersects(_box((x, y), BUFFER)):
                yield x, y


def _box(tile: tuple[int, int], buffer: int = 0) -> BaseGeometry:
    x, y = tile[0] * EXTENT, tile[1] * EXTENT
    return shapely.box(x - buffer, y - buffer, x + EXTENT + buffer, y + EXTENT + buffer)


def _same_kind(cut: BaseGeometry, whole: BaseGeometry) -> BaseGeometry:
    """The parts of a cut that are of the kind of the whole: areas stay areas, lines stay lines."""
    wanted = (
        "Polygon" if "Polygon" in whole.geom_type else "LineString" if "Line" in whole.geom_type else "Point"
    )
    parts = [p for p in shapely.get_parts(shapely.get_parts(cut)) if p.geom_type == wanted]
    many = {
        "Polygon": shapely.MultiPolygon,
        "LineString": shapely.MultiLineString,
        "Point": shapely.MultiPoint,
    }
    return parts[0] if len(parts) == 1 else many[wanted](parts)


def _encode(drawn: Sequence[Drawn]) -> bytes:
    """One tile as protocol buffer; y counts downward."""
    layers = [
        {
            "name": name,
            "features": [
                {"geometry": geometry, "properties": said}
                for layer, said, geometry in drawn
                if layer == name and not geometry.is_empty
            ],
        }
        for name in ("land", "area", "outline", "label")
    ]
    options = {"y_coord_down": True, "extents": EXTENT}
    return bytes(mapbox_vector_tile.encode([x for x in layers if x["features"]], default_options=options))
