# SPDX-License-Identifier: Apache-2.0
"""The format of a declared territory, written as data: every column of every table and every key of `territory.yaml`.

One row says the name, how it is read, whether it must be there and what it means. The checker, the JSON schema for
editors and the reference page all follow from these rows; nothing else knows the format.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mangrove.errors import MangroveError, RequestError, did_you_mean
from mangrove.rules.clauses import HOURS, LAW, NEEDS
from mangrove.territory import cells
from mangrove.territory.model import EFFECTS, EXCHANGE_KINDS, PROTOCOLS, SCHEMES, Carrier
from mangrove.territory.tables import Column
from mangrove.times import Step, parse_date, zone
from mangrove.units import Quantity, unit

TERRITORY_KINDS = ("city", "park")
LANGUAGES = ("vi", "en")
GWP_SETS = ("AR4", "AR5", "AR6")
SEMANTICS = ("sum", "mean", "counter", "state")
ACCOUNTS = ("inventory", "memo", "avoided", "removal")
SPREADS = ("population", "area")
BASES = ("fact", "derived", "assumed", "generated")
NOTATION_KEYS = ("NO", "NE", "IE", "C")
FLAGS = ("yes", "no", "true", "false")

_DATE_FROM = Column(
    "valid_from", parse_date, "first day on which it holds; blank: open (a place: as its parent)"
)
_DATE_TO = Column(
    "valid_to", parse_date, "first day on which it no longer holds; blank: open (a place: as its parent)"
)
_PARAMETERS = Column(
    "parameters", cells.parameters, "named quantities and words: `name=200 kW; fuel=anthracite`",
    default={}, canon=cells.parameters_text,
)  # fmt: skip
_BASIS = Column(
    "basis",
    cells.choice(BASES),
    "where the numbers come from: fact, derived, assumed or generated",
    default="",
)
_NOTE = Column("note", cells.name, "the source of the numbers, in words", default="")
_UNCERTAINTY = Column(
    "uncertainty", cells.percentage, "half-width of the 95 % interval of the values: `5 %`", numeric=True
)
_LON = Column("lon", cells.between(-180, 180), "longitude of the center, WGS84 degrees", numeric=True)
_LAT = Column("lat", cells.between(-90, 90), "latitude of the center, WGS84 degrees", numeric=True)


def _unit_text(value: Any) -> str:
    return str(value.text)


def _flag(text: str) -> bool:
    return cells.choice(FLAGS)(text) in ("yes", "true")


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 4):  # noqa: PLR2004 - a year has four digits
        raise MangroveError("territory.not_a_year", text=text)
    return int(text)


PLACES = (
    Column("id", cells.identifier, "unique key of the place", required=True),
    Column("name", cells.name, "name as people write it", required=True),
    Column(
        "kind",
        cells.identifier,
        "city, province, district, ward, park, lot, facility, building, ...",
        required=True,
    ),
    Column("parent", cells.name, "id (or unique name) of the place that contains it; blank for a root"),
    _DATE_FROM,
    _DATE_TO,
    Column("area_km2", cells.not_negative, "area in square kilometers", numeric=True),
    Column("population", cells.not_negative, "inhabitants", numeric=True),
    _LON,
    _LAT,
)
FLOWS = (
    Column("id", cells.identifier, "unique key of the flow; readings name it", required=True),
    Column("place", cells.name, "id (or unique name) of the place", required=True),
    Column("carrier", Carrier.parse, "what flows: `electricity`, `fuel:diesel`, `heat@120degC`", required=True),
    Column("unit", unit, "unit of the stored values", required=True, canon=_unit_text),
    Column("to_place", cells.name, "id of the receiving place, for a flow between places"),
    Column("step", Step.parse, "nominal length of one interval: `15min`, `1h`, `1d`, `1mo`, `1y`; blank: varies"),
    Column(
        "semantics", cells.choice(SEMANTICS),
        "sum (amount in the interval), mean (rate), counter (register that only grows), state (no amount)", default="sum",
    ),
    Column("name", cells.name, "name for people", default=""),
    Column("sector", cells.identifier, "a word of the list `sectors` of territory.yaml (any word when there is no list)", default=""),
    Column("scope", cells.scope, "1, 2 or 3; blank: outside the inventory"),
    Column("gpc", cells.gpc, "reference of the GPC: `I.3.1`", default=""),
    Column("category", cells.choice(tuple("123456")), "category of ISO 14064-1: 1 to 6", default=""),
    Column("method", cells.identifier, "name of a measuring method; blank: the default of the carrier", default=""),
    Column("factor", cells.identifier, "activity key of the factor; blank: the default of the method", default=""),
    _PARAMETERS,
    _UNCERTAINTY,
    Column("meter", cells.name, "identity of the meter or provider; flows with the same meter share its error", default=""),
    Column("account", cells.choice(ACCOUNTS), "the account in which its emissions stand: inventory, memo, avoided or removal", default="inventory"),
    Column("spread", cells.choice(SPREADS), "how a value stands for smaller places: by population or area; blank: not at all", default=""),
    _BASIS,
    _NOTE,
)  # fmt: skip
ASSETS = (
    Column("id", cells.identifier, "unique key of the asset", required=True),
    Column("place", cells.name, "id (or unique name) of the place", required=True),
    Column("type", cells.identifier, "pv, battery, boiler, chiller, power_plant, ...", required=True),
    Column("name", cells.name, "name for people", default=""),
    _PARAMETERS,
    _LON,
    _LAT,
    _BASIS,
    _NOTE,
)
LINKS = (
    Column("id", cells.identifier, "unique key of the link", required=True),
    Column("place", cells.name, "id (or unique name) of the giving place", required=True),
    Column("to_place", cells.name, "id (or unique name) of the receiving place", required=True),
    Column("carrier", Carrier.parse, "what may be exchanged", required=True),
    Column("capacity", cells.quantity, "largest rate, with unit: `5 MW`", canon=cells.quantity_text),
    Column(
        "distance", cells.quantity, "length of the connection, with unit: `1.2 km`", canon=cells.quantity_text
    ),
    Column("cost", cells.quantity, "cost, with unit: `120 MVND/yr`", canon=cells.quantity_text),
    _PARAMETERS,
)
FACTORS = (
    Column("activity", cells.identifier, "activity key that the row overrides: `combustion/manufacturing/anthracite`", required=True),
    Column("gas", cells.identifier, "CO2, CH4, N2O, HFC-134a, ...", required=True),
    Column("value", cells.not_negative, "the factor", required=True, numeric=True),
    Column("unit", cells.mass_per_activity, "mass of the gas per unit of activity: `kg CO2/TJ`", required=True, canon=_unit_text),
    Column("source", cells.name, "who approved or measured it: document, article, item", required=True),
    _DATE_FROM,
    _DATE_TO,
    _UNCERTAINTY,
    _NOTE,
)  # fmt: skip
CROSSWALK = (
    Column("old", cells.name, "id of the place that ended", required=True),
    Column("new", cells.name, "id of a place that came from it", required=True),
    Column(
        "share",
        cells.between(0, 1),
        "share of the old place (by population) that lies in the new one",
        default=1.0,
        numeric=True,
    ),
)
DEVICES = (
    Column("id", cells.identifier, "unique key of the device; at an MQTT broker also its user name", required=True),
    Column("protocol", cells.choice(PROTOCOLS), "mqtt, http, modbus, opcua, ocpp, ftp or file", required=True),
    Column("place", cells.name, "id (or unique name) of the place", required=True),
    Column("address", cells.name, "where it is asked: `tcp://10.0.0.7:502`, `opc.tcp://...`; blank for one that sends by itself", default=""),
    Column("every", Step.parse, "time between two readings of a device that is asked: `1min`"),
    _PARAMETERS,
    Column("name", cells.name, "name for people", default=""),
    Column("note", cells.name, "what should be known about it", default=""),
)  # fmt: skip
POINTS = (
    Column("device", cells.identifier, "id of the device", required=True),
    Column("address", cells.name, "where the device says it: an MQTT topic (`site/meter#object.energy`), a register, a node", required=True),
    Column("flow", cells.identifier, "id of the flow whose values these are", required=True),
    Column("unit", unit, "unit of what the device says; blank: that of the flow", canon=_unit_text),
    Column("form", cells.identifier, "how the value is written; blank: what is usual for the protocol", default=""),
    Column("scale", cells.not_zero, "what the number is multiplied with before its unit is converted", default=1.0, numeric=True),
    _PARAMETERS,
)  # fmt: skip
DRIVERS = (
    Column("target", cells.name, "what is driven: a GPC reference (`I.2.2`), a sector word or the id of a flow", required=True),
    Column("index", cells.identifier, "id of the flow whose values drive it", required=True),
    Column("elasticity", cells.elasticity, "change of the emissions in percent when the series changes by one percent, -10 to 10", default=1.0, numeric=True),
    Column("spread", cells.between(0, cells.MOST), "standard deviation with which the elasticity is known, 0 to 10", default=0.25, numeric=True),
    Column("place", cells.name, "id (or unique name) of the place where it holds; blank: everywhere"),
    _NOTE,
)  # fmt: skip
VIRTUAL = (
    Column("flow", cells.identifier, "id of the flow that is estimated", required=True),
    Column("inputs", cells.identifiers, "ids of the flows that it is estimated from, with spaces between them", required=True),
    Column("reference", cells.identifier, "id of the flow that holds reference measurements; blank: what was measured of the flow itself"),
    _PARAMETERS,
    _NOTE,
)  # fmt: skip
_CODES = Column(
    "codes", cells.codes, f"codes by classification ({', '.join(SCHEMES)}): `ewc=100202; hs=2618 2619`",
    default={}, canon=cells.codes_text,
)  # fmt: skip
_PRICE = "`150000 VND/t`"
LISTINGS = (
    Column("id", cells.identifier, "unique key among offers and needs", required=True),
    Column("place", cells.name, "id (or unique name) of the place", required=True),
    Column("carrier", Carrier.parse, "what flows: `waste:100202`, `material`, `heat@90degC`, `water@process`; `service:technology` for what does not", required=True),
    Column("name", cells.name, "name for people", default=""),
    Column("text", cells.name, "what it is, in free words, Vietnamese or English", default=""),
    _CODES,
    Column("quantity", cells.rates, "how much: one rate (`120 t/month`), or twelve from January and one unit (`9 9 10 ... t/month`)", canon=cells.rates_text),
    Column("quality", cells.quality, "an offer: what it has (`chloride=0.4 %`); a need: what it bears (`moisture<=12 %`, `purity>=90 %`)", default=(), canon=cells.quality_text),
    Column("price", cells.price, f"money per unit that is asked or paid: {_PRICE}; an offer below zero pays its taker; blank: open", canon=cells.quantity_text),
    Column("otherwise", cells.identifier, "activity key of the factor of what happens without an exchange: how it is disposed of, what is bought instead", default=""),
    Column("otherwise_cost", cells.price, f"money per unit of that: {_PRICE}", canon=cells.quantity_text),
    Column("hazardous", _flag, "whether it is hazardous: yes or no; blank: as its code says"),
    Column("permits", cells.identifiers, "a need: waste codes, or their beginnings, that the place is permitted to take; an offer: number of its permit", default=(), canon=" ".join),
    Column("radius", cells.quantity, "farthest partner: `50 km`", canon=cells.quantity_text),
    _DATE_FROM,
    _DATE_TO,
    _PARAMETERS,
    _BASIS,
    _NOTE,
)  # fmt: skip
EXCHANGES = (
    Column("id", cells.identifier, "unique key of the exchange", required=True),
    Column("place", cells.name, "id (or unique name) of the giving place", required=True),
    Column("to_place", cells.name, "id (or unique name) of the taking place", required=True),
    Column("carrier", Carrier.parse, "what is exchanged", required=True),
    Column("name", cells.name, "name for people", default=""),
    Column("kind", cells.choice(EXCHANGE_KINDS), "type of the symbiosis: exchange, shared_infrastructure, service, other_park, other", default="exchange"),
    _CODES,
    Column("sent", cells.identifier, "id of the flow that meters it where it leaves"),
    Column("received", cells.identifier, "id of the flow that meters it where it arrives"),
    Column("price", cells.price, f"money per unit that the taker pays: {_PRICE}; below zero: the giver pays", canon=cells.quantity_text),
    _DATE_FROM,
    _DATE_TO,
    _PARAMETERS,
    _BASIS,
    _NOTE,
)  # fmt: skip
EFFECTS_OF = (
    Column("exchange", cells.identifier, "id of the exchange", required=True),
    Column("effect", cells.choice(EFFECTS), f"what is saved or used: {', '.join(EFFECTS)}", required=True),
    Column("amount", cells.signed, "per unit of the exchange: `0.95 t/t`; below zero: used", required=True, canon=cells.quantity_text),
    Column("side", cells.choice(("giver", "taker")), "who saves or uses it: giver or taker", default="taker"),
    Column("factor", cells.identifier, "activity key of the factor of what is saved; blank: no emissions are reckoned", default=""),
    Column("price", cells.price, f"money per unit of what is saved: {_PRICE}", canon=cells.quantity_text),
    _UNCERTAINTY,
    _BASIS,
    _NOTE,
)  # fmt: skip
ANSWERS = (
    Column("indicator", cells.identifier, "code of the indicator or field: `A.5/PM.2`", required=True),
    Column("year", _year, "the year that it is about", required=True),
    Column("value", cells.name, "a number with its unit, `yes` or `no`, or words", required=True),
    Column("place", cells.name, "id (or unique name) of whose it is; blank: the whole territory"),
    Column("evidence", cells.name, "the document that shows it", default=""),
    _NOTE,
)  # fmt: skip
TABLES: Mapping[str, tuple[Column, ...]] = {
    "places.csv": PLACES,
    "flows.csv": FLOWS,
    "assets.csv": ASSETS,
    "links.csv": LINKS,
    "factors.csv": FACTORS,
    "crosswalk.csv": CROSSWALK,
    "devices.csv": DEVICES,
    "points.csv": POINTS,
    "drivers.csv": DRIVERS,
    "virtual.csv": VIRTUAL,
    "offers.csv": LISTINGS,
    "needs.csv": LISTINGS,
    "exchanges.csv": EXCHANGES,
    "effects.csv": EFFECTS_OF,
    "answers.csv": ANSWERS,
}


@dataclass(frozen=True, slots=True)
class Key:
    """What one key of `territory.yaml` may hold.

    Attributes:
        name: the key.
        about: what it means, in one sentence.
        parse: text to value, for a plain value.
        required: whether it must be there.
        default: the value when it is absent or empty.
        shape: `value`, `list` (of values), `record` (of `keys`), `records` (a list of them) or `map` (free keys to values).
        keys: the keys of a record.
        options: the words that the value may be, when they are few (for the JSON schema).
    """

    name: str
    about: str
    parse: Callable[[str], Any] = cells.name
    required: bool = False
    default: Any = None
    shape: str = "value"
    keys: tuple[Key, ...] = field(default=())
    options: tuple[str, ...] = ()


def _zone_name(text: str) -> str:
    """The name of an IANA time zone, with a suggestion when there is no such zone."""
    try:
        zone(text)
    except RequestError:
        hint = did_you_mean(text, zoneinfo.available_timezones())
        raise RequestError("territory.unknown_zone", text=text, hint=hint) from None
    return text


def _one_of(*options: str) -> dict[str, Any]:
    return {"parse": cells.choice(options), "options": options}


def _in(target: str) -> Callable[[str], float]:
    """A parser of quantities that are kept as numbers in `target`: `2100 VND/kWh`."""

    def parse(text: str) -> float:
        value = Quantity.parse(text, expected=target)
        if value.value < 0:
            raise MangroveError("territory.negative", text=text)
        return value.to(target)

    return parse


def _or_law(parse: Callable[[str], float]) -> Callable[[str], float | str]:
    """A parser that also takes the word `law`."""
    return lambda text: text if text == LAW else parse(text)


def _share(text: str) -> float:
    """`40 %` as 0.4, at most 100 %."""
    value = cells.percentage(text)
    if value > 1:
        raise MangroveError("territory.out_of_range", text=text, low="0 %", high="100 %")
    return value


SETTINGS = (
    Key("name", "name of the territory", required=True),
    Key("kind", "what it is", required=True, **_one_of(*TERRITORY_KINDS)),
    Key("timezone", "IANA time zone of its clocks: Asia/Ho_Chi_Minh", _zone_name, required=True),
    Key("currency", "ISO 4217 code of its money: VND", cells.identifier, required=True),
    Key("lang", "language of its reports", required=True, **_one_of(*LANGUAGES)),
    Key("gwp", "GWP set of its reports when none is asked for; empty: every report must name one", **_one_of(*GWP_SETS)),
    Key("note", "what a reader should know about the declaration", default=""),
    Key(
        "boundary", "the borders that reports use unless asked otherwise", shape="record", default={}, keys=(
            Key("root", "id of the place at the top of reports", cells.name),
            Key("on", "day whose borders are used", parse_date),
            Key("valid_from", "first day of the declared borders", parse_date),
            Key("valid_to", "first day after the declared borders", parse_date),
            Key("note", "the law or decision that drew them"),
        ),
    ),
    Key("place_columns", "further columns of places.csv, kept as text", cells.identifier, shape="list", default=[]),
    Key("sectors", "the sector words of this territory, each with its name for people", shape="map", default={}),
    Key(
        "targets", "what the territory has promised", shape="records", default=[], keys=(
            Key("id", "unique key", cells.identifier, required=True),
            Key("year", "target year", _year, required=True),
            Key("base_year", "year of comparison", _year),
            Key("reduction", "reduction against the base year: `20 %`", cells.percentage),
            Key("sector", "a sector word; empty: all", cells.identifier),
            Key("source", "the document that states it", required=True),
        ),
    ),
    Key(
        "tariffs", "contracts by which energy and water are paid", shape="records", default=[], keys=(
            Key("id", "unique key", cells.identifier, required=True),
            Key("name", "name for people"),
            Key("carrier", "what is bought or sold", Carrier.parse, required=True),
            Key("places", "ids of the places that it covers", cells.name, shape="list", default=[]),
            Key("valid_from", "first day", parse_date),
            Key("valid_to", "first day after the contract", parse_date),
            Key("source", "the contract or decision", required=True),
            Key("kind", "how electricity is paid; empty: the record is for the reader only", **_one_of(*NEEDS)),
            Key("customer", "customer group of the price list: production, business, residential, ..."),
            Key("voltage", "voltage as the price list prints it: `22-<110 kV`; what starts with `>` stands in quotes"),
            Key("hours", "calendar of the time-of-use periods; law: the one of each day", default=LAW, **_one_of(*HOURS)),
            Key("price", "price of a flat contract or of a private wire: `1900 VND/kWh`", _in("VND/kWh")),
            Key("demand", "price of the highest power of a month: `60000 VND/kW/month`", _in("VND/kW/month")),
            Key("export", "price of surplus that is fed in, or `law`; empty: none is paid", _or_law(_in("VND/kWh"))),
            Key("export_cap", "largest share of the own generation that is paid in a year, or `law`; empty: law", _or_law(_share)),
            Key("strike", "agreed price of a direct contract over the public grid: `2100 VND/kWh`", _in("VND/kWh")),
            Key("share", "share of the use that a direct contract covers: `40 %`", _share),
            Key("fmp", "full market price against which a direct contract is settled; empty: the mean of the rules", _in("VND/kWh")),
            Key("cfmp", "price of the market for matched energy of a direct contract; empty: the mean of the rules", _in("VND/kWh")),
            Key("kpp", "loss factor of the distribution grid of a direct contract; empty: that of the rules for the voltage", cells.not_negative),
            Key("monthly_use", "use of a household, from which its highest tier follows: `350 kWh`", _in("kWh")),
            Key("holidays_as_sunday", "whether public holidays are priced as Sundays", _flag, default=False),
            Key("holidays", "the public holidays; empty: those of the rules", parse_date, shape="list", default=[]),
            Key("prices_on", "the day whose prices, hours and parameters hold throughout, e.g. today's prices on last year's meters; empty: those of each day", parse_date),
            Key("vat", "VAT, when it is not that of the rules: `8 %`", _share),
        ),
    ),
    Key(
        "energy", "what operation and plans reckon with", shape="record", default={}, keys=(
            Key("carbon_price", "price of CO2: `135000 VND/t`; empty: the trades on the exchange", _in("VND/t")),
            Key("discount", "discount rate of plans: `10 %` a year", cells.percentage),
        ),
    ),
    Key(
        "traffic", "what traffic is reckoned with", shape="record", default={}, keys=(
            Key("network", "network file of SUMO (`.net.xml`, `.net.xml.gz`), inside the folder of the territory"),
            Key("shares", "share of each class in the vehicle-kilometers where only all vehicles are counted: `motorbike: 87 %`", _share, shape="map", default={}),
            Key("technologies", "emission standard of classes: `car: petrol Euro-5`; what is absent is assumed, and said", shape="map", default={}),
            Key("whole", "whether a server's worker estimates the streets that nobody counts, too", _flag, default=False),
        ),
    ),
    Key(
        "symbiosis", "what plans of exchanges reckon with; what is absent is not reckoned, and said", shape="record", default={}, keys=(
            Key("transport", "price of a truck: `2500 VND/t/km`", _in("VND/t/km")),
            Key("transport_carbon", "emissions of a truck: `0.1 kg CO2/t/km`", _in("kg CO2/t/km")),
            Key("handling", "loading and unloading: `30000 VND/t`", _in("VND/t")),
            Key("fixed_cost", "what opening a link costs a year: `20000000 VND/yr`", _in("VND/yr")),
            Key("most_share", "largest share of a need that one place may give: `60 %`", _share),
            Key("power_price", "price of electricity for treatment: `1900 VND/kWh`", _in("VND/kWh")),
            Key("approach", "least difference of temperature between offered and needed heat: `10 K`", _in("K")),
        ),
    ),
    Key(
        "notation", "GPC references without a number: NO, NE, IE or C, each with its reason", shape="records", default=[], keys=(
            Key("gpc", "reference of the GPC", cells.gpc, required=True),
            Key("key", "not occurring, not estimated, included elsewhere, confidential", required=True, **_one_of(*NOTATION_KEYS)),
            Key("reason", "why", default=""),
        ),
    ),
    Key(
        "facility", "what the facility report (Form 06) says in words; what is absent stays a blank in it", shape="record", default={}, keys=(
            Key("name", "name of the facility, when it is not that of the territory"),
            Key("address", "address"),
            Key("licence", "number, day and place of issue of the business licence"),
            Key("legal_representative", "name of the legal representative"),
            Key("legal_title", "position of the legal representative"),
            Key("field", "field of business and production"),
            Key("boundary", "boundary and scope of activity"),
            Key("infrastructure", "infrastructure and technology"),
            Key("sinks", "sinks of greenhouse gases, or that there are none"),
            Key("data_system", "how data are collected and kept"),
            Key("limitations", "causes of the limitations of the inventory"),
            Key("completeness", "the facility's view on the completeness of the report"),
            Key("suitability", "its view on the suitability of the method"),
            Key("sufficiency", "its view on the sufficiency of the data"),
            Key("representativeness", "its view on the representativeness of the data"),
            Key("anomalies", "its view on anomalies of the data"),
            Key("transparency", "its view on transparency and the boundary"),
        ),
    ),
    Key("values", "files to ingest, relative to the folder, in this order", shape="list", default=[]),
    Key("pointers", "further files or addresses, by name", shape="map", default={}),
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """The JSON schema of `territory.yaml`, for editors that complete and check while typing."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Mangrove territory.yaml",
        **_record_schema(SETTINGS),
    }


def _record_schema(keys: tuple[Key, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key.name for key in keys if key.required],
        "properties": {key.name: {"description": key.about, **_key_schema(key)} for key in keys},
    }


def _key_schema(key: Key) -> dict[str, Any]:
    """The schema of one key by its shape."""
    value: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
    if key.options:
        numbers = [int(word) for word in key.options if word.isdigit()]  # YAML reads 963 as a number
        value = {"enum": [*key.options, *numbers, *([] if key.required else [None])]}
    elif key.parse is parse_date:
        value = {"type": ["string", "null"], "format": "date"}
    elif key.parse is _year:
        value = {"type": ["integer", "null"]}
    shapes: dict[str, Callable[[], dict[str, Any]]] = {
        "value": lambda: value,
        "list": lambda: {"type": ["array", "null"], "items": value},
        "map": lambda: {"type": ["object", "null"], "additionalProperties": value},
        "record": lambda: _record_schema(key.keys),
        "records": lambda: {"type": ["array", "null"], "items": _record_schema(key.keys)},
    }
    return shapes[key.shape]()
