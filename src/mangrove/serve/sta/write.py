# SPDX-License-Identifier: Apache-2.0
"""Entities created, changed and deleted: with everything inline in one transaction, or not at all.

Comes in: JSON of a client. Goes out: rows of the store. What must be given, what may be linked and what goes with a deleted entity
follow tables 24 and 25 of OGC 18-088. Entities that the territory declares are changed in its folder, never here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from mangrove.errors import did_you_mean
from mangrove.serve.sta import geometry, moments
from mangrove.serve.sta.declared import GEOJSON, GONE, MEASUREMENT, UNITS
from mangrove.serve.sta.errors import FORBIDDEN, StaError
from mangrove.serve.sta.model import GEO, OBJECT, PERIOD, TEXT, TIME, Kind, Model, Nav, Prop
from mangrove.serve.sta.store import Store

Json = Mapping[str, Any]
_LONG = 2**63
CASCADE: dict[str, tuple[tuple[str, str], ...]] = {
    "thing": (("datastream", "thing"), ("historical_location", "thing")),
    "sensor": (("datastream", "sensor"),),
    "observed_property": (("datastream", "observed_property"),),
    "datastream": (("observation", "datastream"),),
    "feature": (("observation", "feature"),),
}
"""What is deleted with a row: (table, column that names the row)."""
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "thing": (("thing_location", "thing"),),
    "location": (("thing_location", "location"), ("historical_location_location", "location")),
    "historical_location": (("historical_location_location", "historical_location"),),
    "datastream": (("datastream_ultimate", "datastream"),),
    "feature": (("datastream_ultimate", "feature"), ("feature_feature_type", "feature")),
    "feature_type": (("feature_feature_type", "feature_type"),),
}


def declared(key: str | None) -> bool:
    """Whether the entity with this key stands in the territory's folder."""
    return key is not None and not key.startswith(GONE)


class Writer:
    """Writes for one request, inside a transaction that the caller holds.

    Args:
        model: the vocabulary of what comes in; now: microseconds; places: ids of the declared places.
    """

    def __init__(
        self, model: Model, store: Store, db: sqlite3.Connection, now: int, places: frozenset[str]
    ) -> None:
        self.model, self.store, self.db, self.now, self.places = model, store, db, now, places

    def create(self, kind: Kind, body: Any, given: Mapping[str, Any] | None = None) -> int:  # noqa: C901 - step by step
        """Inserts an entity and what is inline in it; returns its id.

        Args:
            kind: of the entity.
            body: its JSON.
            given: columns that the place of the request settles (`Things(1)/Datastreams`: thing).

        Raises:
            StaError: something is missing, unknown, of the wrong type, or links to nothing.
        """
        if not isinstance(body, dict):
            raise StaError("sta.not_object")
        columns: dict[str, Any] = {**(given or {}), **self.properties(kind, body, complete=True)}
        for nav in kind.navs.values():
            if nav.fk and nav.fk not in columns:
                linked = self.single(kind, nav, body.get(nav.name))
                if linked is not None:
                    columns[nav.fk] = linked
                elif nav.mandatory:
                    raise StaError("sta.missing", kind=kind.name, name=nav.name)
        for nav in kind.navs.values():
            if nav.mandatory and nav.many and not nav.fk and not body.get(nav.name):
                raise StaError("sta.missing", kind=kind.name, name=nav.name)
        self.complete(kind, columns, body)
        names = ", ".join(columns)
        marks = ", ".join(f":{name}" for name in columns)
        cursor = self.db.execute(f"insert into {kind.table} ({names}) values ({marks})", columns)
        id_ = int(cursor.lastrowid or 0)
        for nav in kind.navs.values():
            if nav.many and not nav.fk and body.get(nav.name) is not None:
                self.many(kind, id_, nav, body[nav.name])
        if kind.table == "historical_location":
            self.moved(id_, columns)
        return id_

    def update(self, kind: Kind, row: Mapping[str, Any], body: Any, *, replace: bool) -> None:
        """Merges (PATCH) or replaces (PUT) the properties of an entity; links may name entities by their id."""
        if not isinstance(body, dict):
            raise StaError("sta.not_object")
        id_ = int(row["number"] if kind.table == "observation" else row["id"])
        for nav in kind.navs.values():
            self.only_ids(kind, nav, body.get(nav.name))
        columns = self.properties(kind, body, complete=replace)
        if replace:
            missing = [
                prop for prop in kind.props.values() if prop.columns and prop.columns[0] not in columns
            ]
            columns.update({name: None for prop in missing for name in prop.columns if name != "phen_start"})
        for nav in kind.navs.values():
            if nav.fk and body.get(nav.name) is not None:
                columns[nav.fk] = self.single(kind, nav, body[nav.name])
        if kind.table == "datastream" and ("unit" in columns) != ("result_type" in columns):
            said = self.db.execute(
                "select name, observed_property from datastream where id = ?", (id_,)
            ).fetchone()
            known = {"name": said[0], "observed_property": said[1], **columns}
            self.describe(known)
            columns |= {name: known[name] for name in ("unit", "result_type")}
        if columns:
            sets = ", ".join(f"{name} = :{name}" for name in columns)
            self.db.execute(f"update {kind.table} set {sets} where id = :row_id", {**columns, "row_id": id_})
        for nav in kind.navs.values():
            if nav.many and not nav.fk and body.get(nav.name) is not None:
                self.many(kind, id_, nav, body[nav.name])

    def delete(self, table: str, ids: list[int]) -> None:
        """Deletes rows and what cannot be without them."""
        if not ids:
            return
        listed = json.dumps(ids)
        if table == "location":
            self.delete("historical_location", self.ids(
                "select historical_location from historical_location_location where location in (select value from json_each(?))",
                listed))  # fmt: skip
        if table == "feature":
            self.db.execute(
                "update datastream set feature = null where feature in (select value from json_each(?))",
                (listed,),
            )
        for child, column in CASCADE.get(table, ()):
            if child == "observation":
                self.db.execute(
                    f"delete from observation where {column} in (select value from json_each(?))", (listed,)
                )
            else:
                self.delete(
                    child,
                    self.ids(
                        f"select id from {child} where {column} in (select value from json_each(?))", listed
                    ),
                )
        for pairs, column in PAIRS.get(table, ()):
            self.db.execute(
                f"delete from {pairs} where {column} in (select value from json_each(?))", (listed,)
            )
        self.db.execute(f"delete from {table} where id in (select value from json_each(?))", (listed,))

    def ids(self, sql: str, *binds: Any) -> list[int]:
        """The first column of a query."""
        return [row[0] for row in self.db.execute(sql, binds).fetchall()]

    # Properties

    def properties(self, kind: Kind, body: Json, *, complete: bool) -> dict[str, Any]:  # noqa: C901 - all checks of a body
        """The columns that the properties in `body` set."""
        columns: dict[str, Any] = {}
        for name, value in body.items():
            if name in kind.navs or name == "id" or name.startswith("@") or "@" in name:
                continue
            prop = kind.props.get(name)
            if prop is None:
                hint = did_you_mean(name, [*kind.props, *kind.navs])
                raise StaError("sta.unknown_key", kind=kind.name, name=name, hint=hint)
            if prop.columns and (value is not None or not prop.mandatory or name == "result"):
                columns.update(encode(kind, prop, value))
        if complete:
            for prop in kind.props.values():
                if prop.mandatory and prop.columns[0] not in columns:
                    raise StaError("sta.missing", kind=kind.name, name=prop.name)
        for given, encoding in (("location", "encoding_type"), ("feature", "encoding_type")):
            if kind.table == given and given in columns and "geo+json" in str(columns.get(encoding, "")):
                value = json.loads(columns[given])
                located = isinstance(value, dict) and not (
                    value.get("type") == "Feature" and value.get("geometry") is None
                )
                if not isinstance(value, dict) or (located and not geometry.is_geometry(value)):
                    raise StaError("sta.not_geojson", name=given, encoding=columns[encoding])
        return columns

    def complete(self, kind: Kind, columns: dict[str, Any], body: Json) -> None:
        """What the service itself adds when an entity is created."""
        if kind.table == "datastream":
            columns["place"] = self.db.execute(
                "select place from thing where id = ?", (columns["thing"],)
            ).fetchone()[0]
            self.describe(columns)
        elif kind.table == "observation":
            columns.setdefault("phen_start", self.now)
            if columns.get("feature") is None and self.model.prefix:
                columns["feature"] = self.feature_of(columns["datastream"])
        elif kind.table != "historical_location":
            place = (body.get("properties") or {}).get("place")
            columns["place"] = place if place in self.places else columns.get("place")

    def describe(self, columns: dict[str, Any]) -> None:
        """The unit in the words of the other version of the standard."""
        if columns.get("result_type") is None:
            unit = json.loads(columns["unit"])
            definition = str(unit.get("definition") or "")
            code: str | None = definition.removeprefix(UNITS).removeprefix("ucum:")
            uom = {"code": code} if code != definition else {"href": definition}
            columns["result_type"] = json.dumps({
                "type": "Quantity", "label": columns["name"], "definition": f"ObservedProperties({columns['observed_property']})",
                "uom": {**uom, "label": unit.get("name"), "symbol": unit.get("symbol")}})  # fmt: skip
        elif columns.get("unit") is None:
            uom = json.loads(columns["result_type"]).get("uom") or {}
            code = uom.get("code")
            columns["unit"] = json.dumps({
                "name": uom.get("label") or code, "symbol": uom.get("symbol") or code,
                "definition": UNITS + code if code else uom.get("href")})  # fmt: skip
            columns["observation_type"] = MEASUREMENT

    def feature_of(self, datastream: int) -> int:
        """The Feature made from the Location of the Datastream's Thing: an existing one, or a new one."""
        thing, default = self.db.execute(
            "select thing, feature from datastream where id = ?", (datastream,)
        ).fetchone()
        if default is not None:
            return int(default)
        location = self.db.execute(
            "select l.id, l.place, l.name, l.description, l.encoding_type, l.location from thing_location p "
            "join location l on l.id = p.location where p.thing = ? "
            "order by l.encoding_type like '%geo+json' desc, l.id limit 1", (thing,)).fetchone()  # fmt: skip
        if location is None:
            key = self.db.execute("select key from thing where id = ?", (thing,)).fetchone()[0]
            found = (
                self.db.execute("select id from feature where key = ?", (key,)).fetchone() if key else None
            )
            if found is None:
                raise StaError("sta.no_location")
            return int(found[0])
        known = self.db.execute(
            "select id from feature where location = ? order by id limit 1", location[:1]
        ).fetchone()
        if known:
            return int(known[0])
        cursor = self.db.execute(
            "insert into feature (location, place, name, description, encoding_type, feature) values (?, ?, ?, ?, ?, ?)",
            location,
        )
        return int(cursor.lastrowid or 0)

    # Links

    def single(self, kind: Kind, nav: Nav, value: Any) -> int | None:
        """The id behind a link to one entity: an existing one, or a new one that is inline."""
        if nav.many and isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value is None:
            return None
        if not isinstance(value, dict):
            raise StaError("sta.bad_link", kind=kind.name, name=nav.name)
        target = self.model.kinds[nav.target]
        id_ = self.named(target, value)
        if id_ is None:
            return self.create(target, value)
        if not self.db.execute(f"select 1 from {target.table} where id = ?", (id_,)).fetchone():
            raise StaError("sta.bad_link", kind=kind.name, name=nav.name)
        return id_

    def named(self, kind: Kind, value: Json) -> int | None:
        """See `named`."""
        return named(self.model, kind, value)

    def many(self, kind: Kind, id_: int, nav: Nav, value: Any) -> None:
        """Links to, or creates, the entities of a collection."""
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise StaError("sta.bad_link", kind=kind.name, name=nav.name)
        target = self.model.kinds[nav.target]
        if nav.pairs:
            others = [self.single(kind, nav, one) for one in value]
            self.pair(nav.pairs, id_, [other for other in others if other is not None])
            return
        for one in value:
            child = self.named(target, one)
            if child is None:
                self.create(target, one, {nav.back: id_})
                continue
            key = self.db.execute(f"select key from {target.table} where id = ?", (child,)).fetchone()
            if key is None:
                raise StaError("sta.bad_link", kind=kind.name, name=nav.name)
            if declared(key[0]):
                raise StaError("sta.declared", FORBIDDEN, path=f"{target.plural}({child})")
            self.db.execute(f"update {target.table} set {nav.back} = ? where id = ?", (id_, child))

    def pair(self, pairs: tuple[str, str, str], mine: int, others: list[int]) -> None:
        """Rows of a table of pairs; a Thing that gets Locations moves to them."""
        table, left, right = pairs
        if table == "thing_location":
            moves = [(mine, others)] if left == "thing" else [(other, [mine]) for other in others]
            for thing, locations in moves:
                self.move(thing, locations, self.now, note=True)
            return
        self.db.executemany(
            f"insert or ignore into {table} ({left}, {right}) values (?, ?)",
            [(mine, other) for other in others],
        )

    def move(self, thing: int, locations: list[int], time: int, *, note: bool) -> None:
        """Puts a Thing at Locations (in place of those in the same encoding) and notes when."""
        key = self.db.execute("select key from thing where id = ?", (thing,)).fetchone()
        if key is not None and declared(key[0]):
            raise StaError("sta.declared", FORBIDDEN, path=f"Things({thing})")
        listed = json.dumps(locations)
        self.db.execute(
            "delete from thing_location where thing = ? and location in (select id from location where encoding_type in "
            "(select encoding_type from location where id in (select value from json_each(?))))", (thing, listed))  # fmt: skip
        self.db.executemany(
            "insert or ignore into thing_location values (?, ?)", [(thing, one) for one in locations]
        )
        if note:
            row = self.db.execute(
                "insert into historical_location (time, thing) values (?, ?)", (time, thing)
            )
            self.db.executemany(
                "insert or ignore into historical_location_location values (?, ?)",
                [(row.lastrowid, one) for one in locations],
            )

    def moved(self, id_: int, columns: Json) -> None:
        """A HistoricalLocation that is the latest of its Thing says where the Thing is now."""
        later = self.db.execute(
            "select 1 from historical_location where thing = ? and time > ? limit 1",
            (columns["thing"], columns["time"]),
        ).fetchone()
        locations = self.ids(
            "select location from historical_location_location where historical_location = ?", id_
        )
        if later is None and locations:
            self.move(columns["thing"], locations, columns["time"], note=False)

    def only_ids(self, kind: Kind, nav: Nav, value: Any) -> None:
        """Refuses inline entities in an update."""
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not (
                isinstance(one, dict) and self.named(kind, one) is not None and len(one) == 1
            ):
                raise StaError("sta.inline", kind=kind.name, name=nav.name)


def named(model: Model, kind: Kind, value: Json) -> int | None:
    """The id in `{"@iot.id": 1}` (2.0: `{"@id": "Things(1)"}` or `{"id": 1}`); None when an entity is inline.

    Raises:
        StaError: `sta.bad_link`: it is no id.
    """
    control = model.control("id")
    id_ = value.get(control)
    if id_ is None and set(value) == {"id"}:
        id_ = value["id"]
    if id_ is None:
        return None
    text = str(id_)
    if not model.prefix and "(" in text:
        text = text.rpartition("(")[2].rstrip(")")
    text = text.strip("'")
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:  # noqa: PLR2004 - digits of a 64-bit number
        raise StaError("sta.bad_link", kind=kind.name, name=control)
    return int(text)


def encode(kind: Kind, prop: Prop, value: Any) -> dict[str, Any]:
    """The columns of one property; raises `StaError` `sta.bad_value` or `sta.not_a_time`.

    Example:
        >>> from mangrove.serve.sta.model import V11
        >>> observation = V11.kinds["Observation"]
        >>> encode(observation, observation.props["result"], 3)
        {'result': 3, 'result_kind': 'n'}
    """
    if prop.name == "result":
        return dict(zip(prop.columns, result_of(value), strict=True))
    if value is None:
        return dict.fromkeys(prop.columns)
    if prop.type == TIME:
        if not isinstance(value, str):
            raise StaError("sta.not_a_time", text=value)
        return {prop.columns[0]: moments.read_instant(value)}
    if prop.type == PERIOD:
        return dict(zip(prop.columns, moments.read_period(value), strict=True))
    if prop.type == TEXT:
        if not isinstance(value, str):
            raise StaError("sta.bad_value", kind=kind.name, name=prop.name, expected="text")
        return {prop.columns[0]: value}
    if prop.type == OBJECT and not isinstance(value, dict):
        raise StaError("sta.bad_value", kind=kind.name, name=prop.name, expected="{...}")
    if prop.type == GEO and prop.name == "observedArea" and not geometry.is_geometry(value):
        raise StaError("sta.not_geojson", name=prop.name, encoding=GEOJSON)
    return {prop.columns[0]: json.dumps(value, ensure_ascii=False)}


def result_of(value: Any) -> tuple[Any, str]:
    """A result as it is stored, and its kind: n number, t text, b truth, j JSON, z nothing."""
    if value is None:
        return None, "z"
    if isinstance(value, bool):
        return int(value), "b"
    if isinstance(value, int | float):
        return (float(value) if abs(value) >= _LONG else value), "n"
    if isinstance(value, str):
        return value, "t"
    return json.dumps(value, ensure_ascii=False), "j"
