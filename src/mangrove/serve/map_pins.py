# SPDX-License-Identifier: Apache-2.0
"""Points of the map: air sensors, and sources that were located from them, with rate, region and what is said of the wind.

Comes in: declared sensors with positions, records of kind `source` (GeoJSON inside). Goes out: pins for the drawn map, features for the one
that can be moved, rows for the list. A located source points at somebody: only who sees everything sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mangrove import messages
from mangrove.figures import numbers
from mangrove.figures.pins import Pin
from mangrove.serve import hazards, records
from mangrove.serve.records import Record
from mangrove.serve.state import Live
from mangrove.serve.view import View

KIND = "source"
_READ, _MOST = 50, 9


@dataclass(frozen=True)
class Located:
    """One source: its number on the map, its record, and its point and region of the record."""

    number: int
    record: Record
    point: dict[str, Any]
    region: dict[str, Any] | None

    @property
    def said(self) -> dict[str, Any]:
        """Rate in kg/h with its interval, half axes in m, probability."""
        found: dict[str, Any] = self.point["properties"]
        return found

    @property
    def position(self) -> tuple[float, float]:
        """Longitude and latitude."""
        lon, lat = self.point["geometry"]["coordinates"][:2]
        return float(lon), float(lat)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The readings that it rests on: from when to when."""
        first, last = (datetime.fromisoformat(str(self.record.document[name])) for name in ("start", "end"))
        return first, last

    @property
    def notes(self) -> list[str]:
        """What is said of the wind, then the rest, as it was stored."""
        document = self.record.document
        return [str(document["wind"]["text"]), *map(str, document["notes"])]

    def rate(self, lang: str) -> str:
        """The rate with its interval, in words."""
        middle, low, high = (
            numbers.number(float(self.said[name]), lang)
            for name in ("rate_kg_per_h", "low_kg_per_h", "high_kg_per_h")
        )
        unit = numbers.typeset(numbers.unit_label("kg/h", lang))
        return f"{middle} {unit} ({low} – {high})"

    def json(self) -> dict[str, Any]:
        """Everything of it."""
        document = self.record.document
        return {
            "number": self.number, "record": self.record.id, "species": document["species"], "lon": self.position[0],
            "lat": self.position[1], "rate_kg_per_h": self.said["rate_kg_per_h"], "low_kg_per_h": self.said["low_kg_per_h"],
            "high_kg_per_h": self.said["high_kg_per_h"], "half_axes_m": self.said["half_axes_m"],
            "probability": self.said["probability"], "start": document["start"], "end": document["end"],
            "sensors": document["sensors"], "wind": document["wind"], "notes": document["notes"],
            "region": None if self.region is None else self.region["geometry"],
        }  # fmt: skip


@dataclass(frozen=True)
class Sensor:
    """One place with sensors of the air."""

    place: str
    name: str
    lon: float
    lat: float
    species: tuple[str, ...]


@dataclass(frozen=True)
class Points:
    """Sensors and sources of one map; `other` is the newest source of another period, None without one."""

    sensors: tuple[Sensor, ...]
    sources: tuple[Located, ...]
    other: Located | None = None

    def pins(self, lang: str) -> list[Pin]:
        """For the drawn map."""
        found = [
            Pin(one.place, f"{one.name}: {', '.join(one.species)}", one.lon, one.lat) for one in self.sensors
        ]
        for source in self.sources:
            ring = source.region["geometry"]["coordinates"][0] if source.region else ()
            label = messages.render(
                "page_map.pin",
                lang,
                number=source.number,
                species=source.said["species"],
                rate=source.rate(lang),
            )
            corners = tuple((float(a), float(b)) for a, b in ring)
            found.append(
                Pin(f"source-{source.number}", label, *source.position, mark=str(source.number), ring=corners)
            )
        return found

    def geojson(self, lang: str) -> dict[str, Any]:
        """For the map that can be moved."""
        features = []
        for pin in self.pins(lang):
            properties = {"id": pin.id, "label": pin.label, "mark": pin.mark}
            if pin.ring:
                ring = {"type": "Polygon", "coordinates": [[list(corner) for corner in pin.ring]]}
                features.append({"type": "Feature", "properties": properties, "geometry": ring})
            point = {"type": "Point", "coordinates": [pin.lon, pin.lat]}
            features.append({"type": "Feature", "properties": properties, "geometry": point})
        return {"type": "FeatureCollection", "features": features}


def points(live: Live, view: View) -> Points:
    """The points that the reader may see."""
    sensors = _sensors(view)
    if not view.scope.whole:
        return Points(sensors, ())
    found: list[Located] = []
    other = None
    for record in records.newest(live, KIND, _READ):
        first, last = (datetime.fromisoformat(str(record.document[name])) for name in ("start", "end"))
        inside = first < view.period.end and last > view.period.start
        for point, region in _features(record):
            if inside and len(found) < _MOST:
                found.append(Located(len(found) + 1, record, point, region))
            elif not inside and other is None:
                other = Located(0, record, point, region)
    return Points(sensors, tuple(found), other if not found else None)


def _features(record: Record) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Points with their regions, by the number of the source."""
    features: Sequence[dict[str, Any]] = record.document.get("features", [])
    regions = {one["properties"]["source"]: one for one in features if one["geometry"]["type"] == "Polygon"}
    return [
        (one, regions.get(one["properties"]["source"]))
        for one in features
        if one["geometry"]["type"] == "Point"
    ]


def _sensors(view: View) -> tuple[Sensor, ...]:
    places: dict[str, list[str]] = {}
    for flow in hazards.watched(view.scope):
        if flow.carrier.kind == "air":
            places.setdefault(flow.place, []).append(flow.carrier.code)
    found = []
    for id_, species in sorted(places.items()):
        place = view.territory.places[id_]
        if place.lon is not None and place.lat is not None:
            found.append(Sensor(id_, place.name, place.lon, place.lat, tuple(dict.fromkeys(species))))
    return tuple(found)
