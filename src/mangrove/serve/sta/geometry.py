# SPDX-License-Identifier: Apache-2.0
"""The spatial functions of `$filter`, on GeoJSON values and WKT literals, by shapely.

Comes in: text of a geometry (GeoJSON geometry or Feature, or WKT). Goes out: the answer of one spatial function, or None when the
text is no geometry. Coordinates are degrees (WGS 84): distances and lengths are in degrees, as in the example of the standard
(OGC 18-088, 9.3.3.5.1) and in FROST.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mangrove.serve.sta.errors import StaError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MOST_WKT = 4000


@lru_cache(maxsize=2048)
def shape_of(text: str) -> BaseGeometry | None:
    """The geometry in `text`; None when it is none."""
    import shapely
    from shapely.geometry import shape

    try:
        if not text.lstrip().startswith("{"):
            return shapely.from_wkt(text.partition(";")[2] if text.upper().startswith("SRID") else text)
        value = json.loads(text)
        value = value.get("geometry") if value.get("type") == "Feature" else value
        return shape(value)
    except (ValueError, TypeError, AttributeError, KeyError, shapely.errors.ShapelyError):
        return None


def check_wkt(text: str) -> str:
    """`text` when it is WKT of a geometry; raises `StaError` `sta.not_wkt`."""
    if len(text) > MOST_WKT or text.lstrip().startswith("{") or shape_of(text) is None:
        raise StaError("sta.not_wkt", text=text[:80])
    return text


def is_geometry(value: Any) -> bool:
    """Whether a JSON value is a GeoJSON geometry or Feature."""
    return isinstance(value, dict) and shape_of(json.dumps(value)) is not None


def answer(
    name: str, first: str | None, second: str | None = None, pattern: str | None = None
) -> float | None:
    """The spatial function `name` of two geometries; None when one of them is none.

    Example:
        >>> answer("st_within", "POINT (1 1)", "POLYGON ((0 0, 0 2, 2 2, 2 0, 0 0))")
        1
    """
    import shapely

    left = shape_of(first) if isinstance(first, str) else None
    right = shape_of(second) if isinstance(second, str) else None
    if left is None or (right is None and name != "geo.length"):
        return None
    try:
        if name == "geo.length":
            return float(left.length)
        if name == "geo.distance":
            return float(left.distance(right))
        if name == "st_relate":
            return int(left.relate_pattern(right, pattern or ""))
        return int(getattr(left, name.rpartition("_")[2].rpartition(".")[2])(right))
    except (shapely.errors.ShapelyError, ValueError):
        return None
