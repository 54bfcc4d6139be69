# SPDX-License-Identifier: Apache-2.0
"""What the territory declares, as entities: places, flows, meters and carriers under ids that never change.

Comes in: a territory. Goes out: rows of the store with a `key` ("place:mill", "flow:mill.power"), written when the declaration
changed. A place is a Thing, a Location (when its position is known) and a Feature; a flow is a Datastream; a meter or a device is a
Sensor; a carrier in a unit is an ObservedProperty. What is no longer declared stays, and belongs to whoever administers the API.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mangrove.serve.clock import Clock
from mangrove.serve.sta.store import Store
from mangrove.serve.sta.ucum import ucum
from mangrove.sources.registers import SUFFIX
from mangrove.territory.model import Flow, Place, Territory
from mangrove.times import to_us

FORM = "1"
"""Version of what this module writes; another one makes every declared entity new at the next start."""
GONE = "was:"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
UNITS = "http://www.opengis.net/def/uom/UCUM/"
GEOJSON = "application/geo+json"


def synchronize(store: Store, territory: Territory, clock: Clock) -> bool:
    """Writes the declared entities when the declaration is not the one of the last time; whether anything was written."""
    mark = f"{FORM}:{territory.content_hash}"
    known = store.rows("select value from meta where key = 'declared'")
    if known == [(mark,)]:
        return False
    with store.writing() as db:
        _Writer(db, territory, to_us(clock.now())).write()
        db.execute("insert or replace into meta values ('declared', ?)", (mark,))
    return True


def geometry_of(place: Place) -> Mapping[str, Any] | None:
    """The GeoJSON geometry of a place: its boundary, else its center, else None."""
    if place.geometry is not None:
        return place.geometry
    if place.lon is None or place.lat is None:
        return None
    return {"type": "Point", "coordinates": [place.lon, place.lat]}


class _Writer:
    """One synchronization inside one transaction."""

    def __init__(self, db: sqlite3.Connection, territory: Territory, now: int) -> None:
        self.db, self.territory, self.now = db, territory, now
        self.keys: dict[str, set[str]] = {}
        self.devices = {point.flow: point.device for point in territory.points}

    def write(self) -> None:
        for place in self.territory.places.values():
            self.place(place)
        for flow in self.territory.flows.values():
            self.flow(flow)
        for table in ("thing", "location", "feature", "sensor", "observed_property", "datastream"):
            self.let_go(table)

    def put(self, table: str, key: str, **values: Any) -> int:
        """Inserts or updates the row of `key`; returns its id."""
        self.keys.setdefault(table, set()).add(key)
        texts = {
            name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
            for name, value in values.items()
        }
        found = self.db.execute(f"select id from {table} where key in (?, ?)", (key, GONE + key)).fetchone()
        if found:
            sets = ", ".join(f"{name} = :{name}" for name in texts)
            self.db.execute(
                f"update {table} set key = :key, {sets} where id = :id", {**texts, "key": key, "id": found[0]}
            )
            return int(found[0])
        names = ", ".join(texts)
        marks = ", ".join(f":{name}" for name in texts)
        cursor = self.db.execute(
            f"insert into {table} (key, {names}) values (:key, {marks})", {**texts, "key": key}
        )
        return int(cursor.lastrowid or 0)

    def let_go(self, table: str) -> None:
        """What is no longer declared loses its key, but keeps its id for the day when it is declared again."""
        rows = self.db.execute(
            f"select id, key from {table} where key is not null and key not like '{GONE}%'"
        ).fetchall()
        gone = [(GONE + key, id_) for id_, key in rows if key not in self.keys.get(table, set())]
        series = ", series = null, flow = null" if table == "datastream" else ""
        self.db.executemany(f"update {table} set key = ?{series} where id = ?", gone)

    def place(self, place: Place) -> None:
        key, geometry = f"place:{place.id}", geometry_of(place)
        properties: dict[str, Any] = {"place": place.id, "kind": place.kind, **place.props}
        if place.parent is not None:
            properties["parent"] = place.parent
        for name in ("area", "population"):
            if getattr(place, name) is not None:
                properties[name] = getattr(place, name)
        for name in ("valid_from", "valid_to"):
            if getattr(place, name) is not None:
                properties[name] = getattr(place, name).isoformat()
        said = {"place": place.id, "name": place.name, "description": place.kind, "properties": properties}
        thing = self.put("thing", key, **said)
        feature = {"type": "Feature", "properties": {"place": place.id}, "geometry": geometry}
        location = None
        if geometry is not None:
            location = self.put("location", key, **said, encoding_type=GEOJSON, location=dict(geometry))
            self.locate(thing, location)
        shape = feature if geometry is None else dict(geometry)
        self.put("feature", key, **said, encoding_type=GEOJSON, feature=shape, location=location)

    def locate(self, thing: int, location: int) -> None:
        linked = self.db.execute(
            "insert or ignore into thing_location values (?, ?)", (thing, location)
        ).rowcount
        if linked:
            row = self.db.execute(
                "insert into historical_location (time, thing) values (?, ?)", (self.now, thing)
            )
            self.db.execute(
                "insert into historical_location_location values (?, ?)", (row.lastrowid, location)
            )

    def flow(self, flow: Flow) -> None:
        """A Datastream; a counter is two: what its register says, and the amounts between (read only)."""
        if flow.semantics == "counter":
            self.datastream(flow, f"flow:{flow.id}", flow.id + SUFFIX, interval=False)
            self.datastream(flow, f"amount:{flow.id}", flow.id, interval=True)
        else:
            self.datastream(flow, f"flow:{flow.id}", flow.id, interval=flow.semantics in ("sum", "mean"))

    def datastream(self, flow: Flow, key: str, series: str, *, interval: bool) -> None:
        territory, amount = self.territory, key.startswith("amount:")
        place = territory.places[flow.place]
        step = flow.step if interval else None
        property_id, property_name = self.observed_property(flow, register=series.endswith(SUFFIX))
        code = ucum(flow.unit.text)
        properties: dict[str, Any] = {
            "flow": flow.id, "place": flow.place, "carrier": str(flow.carrier), "declared": True,
            "semantics": "sum" if amount else flow.semantics, "basis": flow.basis, "sector": flow.sector,
            "scope": flow.scope, "step": str(flow.step) if flow.step else None, "to_place": flow.to_place, "meter": flow.meter,
        }  # fmt: skip
        geometry = geometry_of(place)
        feature = self.db.execute("select id from feature where key = ?", (f"place:{place.id}",)).fetchone()[
            0
        ]
        name = flow.name or flow.id
        self.put(
            "datastream",
            key,
            place=flow.place,
            name=f"{name} ({flow.id}, Δ)" if amount else name,
            description=flow.note or f"{flow.carrier} · {place.name}",
            observation_type=MEASUREMENT,
            unit={"name": flow.unit.text, "symbol": flow.unit.text, "definition": UNITS + code},
            result_type={
                "type": "Quantity",
                "label": property_name,
                "definition": f"ObservedProperties({property_id})",
                "uom": {"code": code, "symbol": flow.unit.text},
            },
            observed_area=None if geometry is None else dict(geometry),
            properties={name: value for name, value in properties.items() if value not in (None, "")},
            thing=self.db.execute("select id from thing where key = ?", (f"place:{place.id}",)).fetchone()[0],
            sensor=self.sensor(flow),
            observed_property=property_id,
            feature=feature,
            flow=flow.id,
            series=series,
            step=step.seconds * 1_000_000 if step and step.seconds else None,
            months=step.months if step else 0,
            writable=0 if amount else 1,
        )

    def observed_property(self, flow: Flow, *, register: bool) -> tuple[int, str]:
        what = "register" if register else {"mean": "rate", "state": "state"}.get(flow.semantics, "amount")
        name = f"{flow.carrier} · {what} [{flow.unit.text}]"
        tail = quote(f"{flow.carrier}:{what}:{ucum(flow.unit.text)}", safe=":@")
        id_ = self.put(
            "observed_property",
            f"carrier:{flow.carrier}:{what}:{flow.unit.text}",
            name=name,
            definition=f"urn:x-mangrove:carrier:{tail}",
            description=name,
            properties={"carrier": str(flow.carrier), "what": what, "unit": ucum(flow.unit.text)},
        )
        return id_, name

    def sensor(self, flow: Flow) -> int:
        device = self.territory.devices.get(self.devices.get(flow.id, ""))
        if device is not None:
            key, name, note = f"device:{device.id}", device.name or device.id, device.note or device.protocol
            properties: dict[str, Any] = {"device": device.id, "protocol": device.protocol}
        elif flow.meter:
            key, name, note, properties = f"meter:{flow.meter}", flow.meter, flow.meter, {"meter": flow.meter}
        else:
            key, name, note, properties = (
                f"source:{flow.id}",
                flow.id,
                flow.note or flow.id,
                {"flow": flow.id},
            )
        return self.put(
            "sensor", key, place=flow.place, name=name, description=note, encoding_type="text/plain", metadata=json.dumps(note, ensure_ascii=False),
            properties=properties,
        )  # fmt: skip
