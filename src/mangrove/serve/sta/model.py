# SPDX-License-Identifier: Apache-2.0
"""The data model of SensorThings as data: kinds of entities, their properties and how they are linked.

Nothing comes in. Goes out: `V11` and `V20`, two vocabularies over the same tables (OGC 18-088 clause 8, OGC 23-019 clause 8).
A property says in which SQL expressions it stands, so that reading, filtering, sorting and writing need no code per kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXT, NUMBER, BOOL, ANY, OBJECT, GEO, TIME, PERIOD = (
    "text", "number", "bool", "any", "object", "geo", "time", "period",
)  # fmt: skip
"""Types of properties. `any` is decided row by row; `period` is an instant or an interval (two columns)."""


@dataclass(frozen=True, slots=True)
class Prop:
    """A property of a kind.

    Attributes:
        name: as the standard writes it; type: one of the types above.
        sql: SQL expressions with `{t}` for the table (one, or start and end of a period).
        columns: the columns that a write sets; empty for what the service derives itself.
        mandatory: must be given when an entity is created, and is shown even when it is null.
    """

    name: str
    type: str
    sql: tuple[str, ...]
    columns: tuple[str, ...] = ()
    mandatory: bool = False
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Nav:
    """A link to other entities: by a column of this table, by a column of the target's, or by a table of pairs.

    Attributes:
        target: name of the kind; many: whether it leads to a collection; mandatory: must be given at creation.
        fk: column of this table; back: column of the target's table; pairs: (table, column of this, column of target).
        inverse: name of the link that leads back.
    """

    name: str
    target: str
    many: bool
    fk: str = ""
    back: str = ""
    pairs: tuple[str, str, str] | None = None
    mandatory: bool = False
    inverse: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Kind:
    """One kind of entity; `table` is where it stands in the store."""

    name: str
    plural: str
    table: str
    props: Mapping[str, Prop]
    navs: Mapping[str, Nav] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A version of the standard: its kinds by singular and plural name, and how control information is written.

    Example:
        >>> V11.kinds["Thing"].plural, V11.control("id"), V20.control("id")
        ('Things', '@iot.id', '@id')
    """

    version: str
    prefix: str
    kinds: Mapping[str, Kind]
    plurals: Mapping[str, Kind]

    def control(self, name: str) -> str:
        """The name of a control information: `@iot.id` in 1.1, `@id` in 2.0."""
        return f"@{self.prefix}{name}"

    def kind_of(self, table: str) -> Kind:
        """The kind that stands in `table`."""
        return next(kind for kind in self.kinds.values() if kind.table == table)


def _plain(name: str, column: str, type_: str = TEXT, *, mandatory: bool = False) -> Prop:
    return Prop(name, type_, (f"{{t}}.{column}",), (column,), mandatory)


def _span(name: str, first: str, last: str, which: int) -> Prop:
    """The span of a Datastream's Observations: of the ledger (a function of the store) and of the stored ones."""
    start = f"(select min({first}) from observation o where o.datastream = {{t}}.id)"
    end = f"(select max({last}) from observation o where o.datastream = {{t}}.id)"
    ledger = [f"ledger_span({{t}}.series, {2 * which + i})" for i in (0, 1)]
    both = tuple(
        f"{pick}(coalesce({one}, {two}), coalesce({two}, {one}))"
        for pick, one, two in (("min", ledger[0], start), ("max", ledger[1], end))
    )
    return Prop(name, PERIOD, both)


def _props(*props: Prop) -> dict[str, Prop]:
    return {prop.name: prop for prop in props}


def _navs(*navs: Nav) -> dict[str, Nav]:
    return {nav.name: nav for nav in navs}


_PHENOMENON = Prop(
    "phenomenonTime", PERIOD, ("{t}.phen_start", "{t}.phen_end"), ("phen_start", "phen_end"), shown=True
)
_RESULT = Prop("result", ANY, ("{t}.result",), ("result", "result_kind"), mandatory=True)
_RESULT_TIME = Prop("resultTime", TIME, ("{t}.result_time",), ("result_time",), shown=True)
_VALID = Prop("validTime", PERIOD, ("{t}.valid_start", "{t}.valid_end"), ("valid_start", "valid_end"))
_SPANS = (
    _plain("observedArea", "observed_area", GEO),
    _span("phenomenonTime", "phen_start", "coalesce(phen_end, phen_start)", 0),
    _span("resultTime", "result_time", "result_time", 1),
)


class _Words:
    """What 1.1 and 2.0 write differently: the Feature, the description of results, and what must be given."""

    def __init__(self, version: int) -> None:
        self.old = version == 1
        self.name = _plain("name", "name", mandatory=True)
        self.description = _plain("description", "description", mandatory=self.old)
        self.properties = _plain("properties", "properties", OBJECT)
        self.define = () if self.old else (_plain("definition", "definition"),)
        self.encoding = _plain("encodingType", "encoding_type", mandatory=True)
        self.feature = "FeatureOfInterest" if self.old else "Feature"
        self.features = "FeaturesOfInterest" if self.old else "Features"
        self.role = "FeatureOfInterest" if self.old else "ProximateFeatureOfInterest"
        self.property_role = "ObservedProperty" if self.old else "ObservedProperties"

    @property
    def results(self) -> tuple[Prop, ...]:
        """How a Datastream describes its results."""
        if self.old:
            return (
                _plain("observationType", "observation_type", mandatory=True),
                _plain("unitOfMeasurement", "unit", OBJECT, mandatory=True),
            )
        return (
            _plain("definition", "definition"),
            _plain("resultType", "result_type", OBJECT, mandatory=True),
            _plain("resultEncoding", "result_encoding", OBJECT),
        )

    @property
    def beside(self) -> tuple[Prop, ...]:
        """What stands beside the result of an Observation."""
        if self.old:
            return (_plain("resultQuality", "quality", ANY), _plain("parameters", "parameters", OBJECT))
        return (_plain("properties", "parameters", OBJECT),)


def _where(w: _Words) -> list[Kind]:
    """Things and where they are and were."""
    located = ("thing_location", "thing", "location")
    been = ("historical_location_location", "historical_location", "location")
    turned = [(table, right, left) for table, left, right in (located, been)]
    place = _plain("location", "location", GEO, mandatory=True)
    return [
        Kind("Thing", "Things", "thing", _props(w.name, w.description, *w.define, w.properties), _navs(
            Nav("Locations", "Location", many=True, pairs=located, inverse="Things"),
            Nav("HistoricalLocations", "HistoricalLocation", many=True, back="thing", inverse="Thing"),
            Nav("Datastreams", "Datastream", many=True, back="thing", inverse="Thing"))),
        Kind("Location", "Locations", "location", _props(
            w.name, w.description, *w.define, w.encoding, place, w.properties), _navs(
            Nav("Things", "Thing", many=True, pairs=turned[0], inverse="Locations"),
            Nav("HistoricalLocations", "HistoricalLocation", many=True, pairs=turned[1], inverse="Locations"))),
        Kind("HistoricalLocation", "HistoricalLocations", "historical_location", _props(
            _plain("time", "time", TIME, mandatory=True)), _navs(
            Nav("Thing", "Thing", many=False, fk="thing", mandatory=True, inverse="HistoricalLocations"),
            Nav("Locations", "Location", many=True, pairs=been, mandatory=True, inverse="HistoricalLocations"))),
    ]  # fmt: skip


def _how(w: _Words) -> list[Kind]:
    """Datastreams, with what and of what they are measured."""
    features = () if w.old else (
        Nav(w.role, w.feature, many=False, fk="feature", inverse="DatastreamsProximate"),
        Nav("UltimateFeaturesOfInterest", w.feature, many=True,
            pairs=("datastream_ultimate", "datastream", "feature"), inverse="DatastreamsUltimate"),
    )  # fmt: skip
    return [
        Kind("Datastream", "Datastreams", "datastream", _props(
            w.name, w.description, *w.results, *_SPANS, w.properties), _navs(
            Nav("Thing", "Thing", many=False, fk="thing", mandatory=True, inverse="Datastreams"),
            Nav("Sensor", "Sensor", many=False, fk="sensor", mandatory=True, inverse="Datastreams"),
            Nav(w.property_role, "ObservedProperty", many=not w.old, fk="observed_property", mandatory=True,
                inverse="Datastreams"),
            Nav("Observations", "Observation", many=True, back="datastream", inverse="Datastream"),
            *features)),
        Kind("Sensor", "Sensors", "sensor", _props(
            w.name, w.description, *w.define, _plain("encodingType", "encoding_type", mandatory=w.old),
            _plain("metadata", "metadata", ANY, mandatory=w.old), w.properties), _navs(
            Nav("Datastreams", "Datastream", many=True, back="sensor", inverse="Sensor"))),
        Kind("ObservedProperty", "ObservedProperties", "observed_property", _props(
            w.name, _plain("definition", "definition", mandatory=True), w.description, w.properties), _navs(
            Nav("Datastreams", "Datastream", many=True, back="observed_property", inverse=w.property_role))),
    ]  # fmt: skip


def _what(w: _Words) -> list[Kind]:
    """Observations and the features that they are about."""
    pairs = ("feature_feature_type", "feature", "feature_type")
    roles = () if w.old else (
        Nav("DatastreamsProximate", "Datastream", many=True, back="feature", inverse=w.role),
        Nav("DatastreamsUltimate", "Datastream", many=True,
            pairs=("datastream_ultimate", "feature", "datastream"), inverse="UltimateFeaturesOfInterest"),
        Nav("FeatureTypes", "FeatureType", many=True, pairs=pairs, inverse="Features"),
    )  # fmt: skip
    shape = _plain("feature", "feature", GEO, mandatory=True)
    kinds = [
        Kind("Observation", "Observations", "observation", _props(
            _PHENOMENON, _RESULT, _RESULT_TIME, _VALID, *w.beside), _navs(
            Nav("Datastream", "Datastream", many=False, fk="datastream", mandatory=True, inverse="Observations"),
            Nav(w.role, w.feature, many=False, fk="feature", inverse="Observations"))),
        Kind(w.feature, w.features, "feature", _props(
            w.name, w.description, *w.define, w.encoding, shape, w.properties), _navs(
            Nav("Observations", "Observation", many=True, back="feature", inverse=w.role), *roles)),
    ]  # fmt: skip
    if w.old:
        return kinds
    back = (pairs[0], pairs[2], pairs[1])
    features = Nav("Features", "Feature", many=True, pairs=back, inverse="FeatureTypes")
    props = _props(w.name, *w.define, w.description, w.properties)
    return [*kinds, Kind("FeatureType", "FeatureTypes", "feature_type", props, _navs(features))]


def _model(version: str, prefix: str, number: int) -> Model:
    words = _Words(number)
    kinds = {kind.name: kind for kind in (*_where(words), *_how(words), *_what(words))}
    return Model(version, prefix, kinds, {kind.plural: kind for kind in kinds.values()})


V11 = _model("v1.1", "iot.", 1)
V20 = _model("v2.0", "", 2)
