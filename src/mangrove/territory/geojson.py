# SPDX-License-Identifier: Apache-2.0
"""True boundaries: reading GeoJSON and giving its geometries to the places that they belong to.

Comes in: a GeoJSON file as GIS programs export it (WGS84). Goes out: features with the line and column where they
stand, and geometries by place. A feature belongs to the place with its `id`, or with its GSO `code`, or else to the
only place with its name, in whatever Unicode form and tone placement that is written.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mangrove import text as words
from mangrove.errors import Problem, Where
from mangrove.territory.model import Place
from mangrove.territory.tables import Table, read_text

GEOMETRY_TYPES = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
_NAME_PROPERTIES = ("name", "fullName", "full_name", "ten", "Ten", "NAME")
_CODE_PROPERTIES = ("code", "ward_code", "ma", "Ma")
_DEPTH = 20  # a multipolygon in a collection nests eight deep
_RING = 4  # a closed ring repeats its first position (RFC 7946, section 3.1.6)


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a collection, with its place in the file."""

    id: str
    properties: Mapping[str, Any]
    geometry: Mapping[str, Any] | None
    where: Where

    def words(self, names: tuple[str, ...]) -> list[str]:
        """The properties among `names` that are given, as text."""
        return [str(self.properties[name]) for name in names if self.properties.get(name) not in (None, "")]


@dataclass(frozen=True)
class FeatureTable(Table):
    """The properties of features as a table, so that places are read in one way from either file."""

    wheres: Sequence[Where] = ()

    def where(self, row: int, column: str = "") -> Where:  # noqa: ARG002 - a feature has one place
        """The place of the feature."""
        return self.wheres[row]

    def header_where(self, index: int) -> Where:
        """The place of the first feature that has the property."""
        return next(self.wheres[row] for row, cell in enumerate(self.cells[index]) if cell)


def feature_table(features: Sequence[Feature], file: str) -> FeatureTable:
    """The properties of all features, by name; a feature's own `id` stands for a missing property `id`."""
    rows = [{**feature.properties, **({"id": feature.id} if feature.id else {})} for feature in features]
    header = list(dict.fromkeys(name for row in rows for name, value in row.items() if value is not None))
    cells = [[_cell(row.get(name)) for row in rows] for name in header]
    wheres = [feature.where for feature in features]
    return FeatureTable(file, (), header, [where.line for where in wheres], cells, wheres=wheres)


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_features(path: Path, file: str) -> tuple[list[Feature], list[Problem]]:
    """All features of a GeoJSON FeatureCollection, and every problem of form or position."""
    text, problems = read_text(path, file)
    if problems:
        return [], problems
    ends = [index for index, char in enumerate(text) if char == "\n"]

    def where(offset: int) -> Where:
        line = bisect.bisect_left(ends, offset)
        return Where(file, line + 1, offset - (ends[line - 1] if line else -1))

    try:
        document = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return [], [Problem("territory.geojson_broken", {"text": error.msg}, where(error.pos))]
    except RecursionError:
        return [], [Problem("territory.too_deep", {"limit": _DEPTH}, Where(file, 1, 1))]
    except ValueError as error:
        return [], [Problem("territory.geojson_broken", {"text": str(error)}, Where(file, 1, 1))]
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        return [], [Problem("territory.geojson_not_a_collection", {}, Where(file, 1, 1))]
    features = []
    offsets = _offsets(text, len(document["features"]))
    for raw, offset in zip(document["features"], offsets, strict=False):
        feature, said = _feature(raw, where(offset))
        problems += said
        if feature:
            features.append(feature)
    return features, problems


def _refuse(name: str) -> float:
    raise ValueError(name)


def _offsets(text: str, count: int) -> Iterator[int]:
    """Where each feature begins: decodes the array once more, one element at a time."""
    decoder = json.JSONDecoder()
    position = text.find("[", text.find('"features"')) + 1
    for _ in range(count):
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        yield position
        try:
            _, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError:
            continue


def _feature(raw: Any, where: Where) -> tuple[Feature | None, list[Problem]]:
    """One feature, with the problems of its geometry."""
    if not isinstance(raw, dict) or not isinstance(raw.get("properties") or {}, dict):
        return None, [Problem("territory.geojson_broken", {"text": "Feature"}, where)]
    properties = raw.get("properties") or {}
    given = raw.get("id", properties.get("id", ""))
    geometry = raw.get("geometry")
    feature = Feature("" if given is None else str(given), properties, geometry, where)
    if geometry is None:
        return feature, []
    fault = _fault(geometry)
    if fault:
        code, data = fault
        return None, [Problem(code, data, where)]
    return feature, []


def _fault(geometry: Any) -> tuple[str, dict[str, Any]] | None:
    """What is wrong with a geometry, if anything."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in GEOMETRY_TYPES:
        return "territory.geojson_geometry", {"text": str(kind), "options": ", ".join(GEOMETRY_TYPES)}
    depth = {
        "Point": 0,
        "LineString": 1,
        "MultiPoint": 1,
        "Polygon": 2,
        "MultiLineString": 2,
        "MultiPolygon": 3,
    }[kind]
    try:
        for position in _positions(geometry.get("coordinates"), depth, closed="Polygon" in kind):
            if not (-180 <= position[0] <= 180 and -90 <= position[1] <= 90):  # noqa: PLR2004 - degrees
                return "territory.geojson_not_wgs84", {"text": f"{position[0]:g}, {position[1]:g}"}
    except (TypeError, ValueError, IndexError, KeyError):
        return "territory.geojson_geometry", {
            "text": f"{kind} coordinates",
            "options": ", ".join(GEOMETRY_TYPES),
        }
    return None


def _positions(coordinates: Any, depth: int, *, closed: bool) -> Iterator[tuple[float, float]]:
    """All positions of nested coordinates; raises ValueError for what is no coordinate array."""
    if depth == 0:
        lon, lat = coordinates[0], coordinates[1]
        if isinstance(lon, bool) or not isinstance(lon, int | float) or not isinstance(lat, int | float):
            raise TypeError
        yield float(lon), float(lat)
        return
    if not isinstance(coordinates, list) or not coordinates:
        raise ValueError
    if depth == 1 and closed and (len(coordinates) < _RING or coordinates[0] != coordinates[-1]):
        raise ValueError
    for part in coordinates:
        yield from _positions(part, depth - 1, closed=closed)


def match(features: list[Feature], places: Mapping[str, Place]) -> tuple[dict[str, Feature], list[Problem]]:
    """Which place each feature draws; features without a place, or with several, are warnings."""
    codes: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for place in places.values():
        if place.valid_to is None:
            codes.setdefault(place.props.get("code", place.id), []).append(place.id)
        names.setdefault(words.canonical(place.name).casefold(), []).append(place.id)
    found: dict[str, Feature] = {}
    problems = []
    for feature in features:
        if feature.geometry is None:
            continue
        ids = _candidates(feature, places, codes, names)
        label = feature.id or " / ".join(feature.words(_CODE_PROPERTIES) + feature.words(_NAME_PROPERTIES))
        if not ids:
            problems.append(Problem("territory.unmatched_feature", {"name": label}, feature.where, "warning"))
        elif len(ids) > 1 or ids[0] in found:
            data = {"name": label, "ids": ", ".join(ids)}
            problems.append(Problem("territory.ambiguous_feature", data, feature.where, "warning"))
        else:
            found[ids[0]] = feature
    return found, problems


def _candidates(
    feature: Feature,
    places: Mapping[str, Place],
    codes: Mapping[str, list[str]],
    names: Mapping[str, list[str]],
) -> list[str]:
    """The ids of the places that the feature may draw, by the first key that finds any."""
    if feature.id in places:
        return [feature.id]
    for code in feature.words(_CODE_PROPERTIES):
        if code in codes:
            return codes[code]
    for name in reversed(feature.words(_NAME_PROPERTIES)):
        ids = names.get(words.canonical(name).casefold(), [])
        current = [id_ for id_ in ids if places[id_].valid_to is None]
        if ids:
            return current or ids
    return []
