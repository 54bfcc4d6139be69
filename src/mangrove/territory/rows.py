# SPDX-License-Identifier: Apache-2.0
"""Flows, assets, links, local factors and the crosswalk: from parsed tables to frozen nouns.

Comes in: the tables of the folder and the places. Goes out: nouns by id, and every problem that needs more than one
cell to be seen: places that do not exist, ids given twice, a unit that its carrier cannot have, shares that do not
add up. Devices and points are read by `devices.py`, drivers and virtual meters by `estimated.py`,
offers, needs and exchanges by `symbiosis.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mangrove.errors import Problem, did_you_mean
from mangrove.territory import devices, estimated, symbiosis
from mangrove.territory.model import (
    Answer,
    Asset,
    Carrier,
    Crosswalk,
    Device,
    Driver,
    Effect,
    Exchange,
    Flow,
    Link,
    Listing,
    LocalFactor,
    Place,
    Point,
    VirtualMeter,
)
from mangrove.territory.places import Names, duplicates
from mangrove.territory.schema import TABLES
from mangrove.territory.tables import Parsed, Table, parse_table, read_table
from mangrove.units import Unit, unit

FILES = tuple(TABLES)
_OPTIONAL = (
    "assets.csv", "links.csv", "factors.csv", "crosswalk.csv", "devices.csv", "points.csv", "drivers.csv", "virtual.csv",
    "offers.csv", "needs.csv", "exchanges.csv", "effects.csv", "answers.csv",
)  # fmt: skip
_FLOW_FIELDS = (
    "id", "place", "carrier", "unit", "step", "to_place", "semantics", "name", "sector", "scope", "gpc", "category",
    "method", "factor", "parameters", "uncertainty", "meter", "account", "spread", "basis", "note",
)  # fmt: skip
_ENERGY, _MASS, _VOLUME, _NORMAL = "kWh", "kg", "m3", "Nm3"
# What an amount of a carrier can be counted in; carriers that are not listed take any unit.
_COUNTED_IN: Mapping[str, tuple[str, ...]] = {
    "electricity": (_ENERGY,), "heat": (_ENERGY,), "cooling": (_ENERGY,), "steam": (_ENERGY, _MASS),
    "fuel": (_ENERGY, _MASS, _VOLUME, _NORMAL), "hydrogen": (_ENERGY, _MASS, _NORMAL),
    "water": (_VOLUME, _MASS), "refrigerant": (_MASS,), "gas": (_MASS, _NORMAL, _VOLUME), "CO2": (_MASS, _NORMAL),
    "reported": (_MASS,), "vehicle_km": ("vehicle_km",), "vehicles": ("vehicle",), "livestock": ("head",), "land": ("ha",),
}  # fmt: skip
# What the air, the weather and levels of water are measured in, whatever their semantics; codes of the weather that are not listed take any unit.
_AIR, _LEVEL, _SPEED = ("ug/m3", "ug/Nm3", "ppm"), ("m",), ("km/h",)
_WEATHER: Mapping[str, tuple[str, ...]] = {
    "temperature": ("degC",), "humidity": ("%",), "wind_speed": ("m/s",), "wind_from": ("deg",), "mixing_height": ("m",),
    "rain": ("mm", "mm/h", "kg/m2", "kg/m2/h"), "irradiance": ("W/m2", "Wh/m2"), "pressure": ("hPa",),
}  # fmt: skip
_ANGLE = unit("deg")
_SHARE_ROUNDING = 1e-6


_FACTORS_OF = {
    "electricity": "grid/",
    "fuel": "combustion/",
    "livestock": "livestock/",
    "vehicle_km": "vehicle/",
}


@dataclass(frozen=True)
class Lookups:
    """What a flow may name: sector words, fuels, activities, and whether factors and methods exist (when somebody can say)."""

    sectors: Mapping[str, Any] = field(default_factory=dict)
    factor_exists: Callable[[str], bool] | None = None
    method_exists: Callable[[str], bool] | None = None
    fuels: Collection[str] = ()
    activities: Collection[str] = ()


@dataclass
class Tables:
    """All parsed tables but the places, by file name."""

    parsed: dict[str, Parsed] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass
class Nouns:
    """What the tables declare."""

    flows: dict[str, Flow] = field(default_factory=dict)
    assets: dict[str, Asset] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    factors: list[LocalFactor] = field(default_factory=list)
    crosswalk: list[Crosswalk] = field(default_factory=list)
    devices: dict[str, Device] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    drivers: list[Driver] = field(default_factory=list)
    virtual: list[VirtualMeter] = field(default_factory=list)
    offers: dict[str, Listing] = field(default_factory=dict)
    needs: dict[str, Listing] = field(default_factory=dict)
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_tables(folder: Path) -> Tables:
    """Reads `flows.csv` and the optional tables; a table that is not there is empty."""
    tables = Tables()
    for file, schema in TABLES.items():
        if file == "places.csv":
            continue
        path = folder / file
        table = Table(file)
        if path.exists() or file not in _OPTIONAL:
            table, said = read_table(path, file)
            tables.problems += said
        tables.parsed[file], said = parse_table(table, schema)
        tables.problems += said
    return tables


def build(tables: Tables, places: Mapping[str, Place], names: Names, lookups: Lookups) -> Nouns:
    """All nouns, with the problems that show only when the tables are seen together."""
    nouns = Nouns()
    flows, assets, links = (tables.parsed[file] for file in ("flows.csv", "assets.csv", "links.csv"))
    factors, crosswalk = tables.parsed["factors.csv"], tables.parsed["crosswalk.csv"]
    for parsed, columns in (
        (flows, ("place", "to_place")),
        (assets, ("place",)),
        (links, ("place", "to_place")),
        (crosswalk, ("old", "new")),
        (tables.parsed["devices.csv"], ("place",)),
        *(
            (tables.parsed[file], ("place",))
            for file in ("drivers.csv", "offers.csv", "needs.csv", "answers.csv")
        ),
        (tables.parsed["exchanges.csv"], ("place", "to_place")),
    ):
        if places:
            nouns.problems += _resolve(parsed, columns, names)
    for parsed in (flows, assets, links):
        nouns.problems += duplicates(parsed, "id")
    own = {key for key in factors.values["activity"] if key}
    nouns.problems += _flow_problems(flows, lookups, own)
    nouns.problems += _unfamiliar_activities(factors, lookups.activities)
    nouns.problems += _date_problems(factors)
    nouns.problems += _crosswalk_problems(crosswalk, places)
    nouns.flows = {flow.id: flow for flow in map(Flow, *flows.fields(_FLOW_FIELDS)) if flow.id}
    nouns.assets = {asset.id: asset for asset in _assets(assets) if asset.id}
    nouns.links = {link.id: link for link in _links(links) if link.id}
    nouns.factors = list(_factors(factors))
    nouns.crosswalk = [Crosswalk(*row) for row in crosswalk.records()]
    nouns.devices, nouns.points, said = devices.build(
        tables.parsed["devices.csv"], tables.parsed["points.csv"], nouns.flows
    )
    nouns.problems += said
    nouns.drivers, nouns.virtual, said = estimated.build(
        tables.parsed["drivers.csv"], tables.parsed["virtual.csv"], nouns.flows, lookups.sectors
    )
    nouns.problems += said
    for file, column in (("offers.csv", "otherwise"), ("needs.csv", "otherwise"), ("effects.csv", "factor")):
        named = tables.parsed[file]
        nouns.problems += _missing(named, column, "territory.unknown_factor", lookups.factor_exists, own)
    found, said = symbiosis.build(tables.parsed, nouns.flows)
    nouns.offers, nouns.needs, nouns.exchanges, nouns.effects, nouns.answers = found
    nouns.problems += said
    nouns.problems += symbiosis.outlived(tables.parsed, places)
    nouns.problems += _date_problems(tables.parsed["exchanges.csv"])
    for file in ("offers.csv", "needs.csv"):
        nouns.problems += _date_problems(tables.parsed[file])
    return nouns


def _assets(parsed: Parsed) -> Iterator[Asset]:
    return map(
        Asset,
        *_reordered(parsed, ("id", "place", "type", "parameters"), ("name", "lon", "lat", "basis", "note")),
    )


def _reordered(parsed: Parsed, before: tuple[str, ...], after: tuple[str, ...]) -> list[list[Any]]:
    return [*parsed.fields(before), *(parsed.values[name] for name in after)]


def _links(parsed: Parsed) -> Iterator[Link]:
    """Links; the columns capacity, distance and cost join the parameters."""
    own = ("capacity", "distance", "cost")
    columns = parsed.fields(("id", "place", "to_place", "carrier", "parameters", *own))
    for id_, place, to_place, carrier, parameters, *quantities, where in zip(*columns, strict=True):
        given = {key: value for key, value in zip(own, quantities, strict=True) if value is not None}
        yield Link(id_, place, to_place, carrier, {**parameters, **given}, where)


def _factors(parsed: Parsed) -> Iterator[LocalFactor]:
    names = ("activity", "gas", "value", "unit", "source", "valid_from", "valid_to", "uncertainty", "note")
    return map(LocalFactor, *parsed.fields(names))


def _resolve(parsed: Parsed, columns: tuple[str, ...], names: Names) -> list[Problem]:
    """Turns what was written into ids of places, in place."""
    problems = []
    for column in columns:
        values = parsed.values[column]
        answers = {written: names.find(written) for written in set(values) if written}
        bad = any(isinstance(answer, Problem) for answer in answers.values())
        if bad:
            for row, written in enumerate(values):
                answer = answers.get(written)
                if isinstance(answer, Problem):
                    problems.append(Problem(answer.code, answer.data, parsed.where(row, column)))
        if any(answer != written for written, answer in answers.items()):
            parsed.values[column] = [
                answer if isinstance(answer := answers.get(written, written), str) else written
                for written in values
            ]
    return problems


def _flow_problems(parsed: Parsed, lookups: Lookups, own_factors: set[str]) -> Iterator[Problem]:
    """What is wrong with single flows once their cells are read."""
    values = parsed.values
    memo: dict[Any, tuple[str, dict[str, Any]] | None] = {}
    shapes = zip(values["carrier"], values["unit"], values["semantics"], strict=True)
    for row, (carrier, counted, semantics) in enumerate(shapes):
        if carrier is None or counted is None:
            continue
        key = (carrier.kind, carrier.code, counted.text, semantics)
        if key not in memo:
            memo[key] = _unit_fault(carrier, counted, semantics)
        fault = memo[key]
        if fault:
            # one gauge that is declared wrongly must not silence the alarms of all others: a warning
            doubt = fault[0] == "territory.carrier_unit" and bool(_measured_in(carrier))
            yield Problem(*fault, parsed.where(row, "unit"), "warning" if doubt else "error")
    for row, (place, to_place) in enumerate(zip(values["place"], values["to_place"], strict=True)):
        if to_place and to_place == place:
            yield Problem("territory.same_place", {"text": place}, parsed.where(row, "to_place"))
    yield from _unknown_words(parsed, "sector", "territory.unknown_sector", lookups.sectors)
    yield from _missing(parsed, "factor", "territory.unknown_factor", lookups.factor_exists, own_factors)
    yield from _missing(parsed, "method", "territory.unknown_method", lookups.method_exists, set())
    yield from _unknown_fuels(parsed, lookups.fuels, own_factors)
    yield from _unlikely_factors(parsed, own_factors)


def _unlikely_factors(parsed: Parsed, own_factors: set[str]) -> Iterator[Problem]:
    """Factors of another carrier: coal burnt with the factor of diesel gives a number, and a wrong one."""
    for row, (carrier, factor) in enumerate(
        zip(parsed.values["carrier"], parsed.values["factor"], strict=True)
    ):
        family = _FACTORS_OF.get(carrier.kind) if carrier else None
        if not factor or family is None or factor in own_factors:
            continue
        other_fuel = carrier.kind == "fuel" and carrier.code and factor.rpartition("/")[2] != carrier.code
        if other_fuel or not factor.startswith(family):
            data = {"factor": factor, "carrier": str(carrier)}
            yield Problem("territory.unlikely_factor", data, parsed.where(row, "factor"), "warning")


def _unknown_fuels(parsed: Parsed, fuels: Collection[str], own_factors: set[str]) -> Iterator[Problem]:
    """Fuels that the rules do not know and that have no factor of the territory's own."""
    for row, carrier in enumerate(parsed.values["carrier"]):
        if not fuels or carrier is None or carrier.kind != "fuel" or carrier.code in fuels:
            continue
        if parsed.values["factor"][row] not in own_factors:
            data = {"text": carrier.code, "hint": did_you_mean(carrier.code, fuels)}
            yield Problem("territory.unknown_fuel", data, parsed.where(row, "carrier"))


def _unfamiliar_activities(parsed: Parsed, activities: Collection[str]) -> Iterator[Problem]:
    """Own factors for an activity that nobody else knows but that is nearly the name of one: likely a typing mistake."""
    for row, activity in enumerate(parsed.values["activity"] if activities else ()):
        if activity and activity.partition("@")[0] not in activities:
            hint = did_you_mean(activity, activities)
            if hint:
                data = {"text": activity, "hint": hint}
                yield Problem("territory.unfamiliar_activity", data, parsed.where(row, "activity"), "warning")


def _unit_fault(carrier: Carrier, counted: Unit, semantics: str) -> tuple[str, dict[str, Any]] | None:
    """Whether the unit fits the carrier and the meaning of the values (`mean` is a rate, the others are not)."""
    rate = counted.dimension[2] == -1
    if semantics == "mean" and not rate and carrier.kind != "stack":
        return "territory.mean_needs_rate", {"unit": counted.text}
    if semantics in ("sum", "counter") and rate and carrier.kind != "stack":
        return "territory.rate_needs_mean", {"unit": counted.text, "semantics": semantics}
    measured = _measured_in(carrier)
    if measured:
        if any(_expresses(counted, unit(option)) for option in measured):
            return None
        data = {"unit": counted.text, "carrier": str(carrier), "options": ", ".join(measured)}
        return "territory.carrier_unit", data
    options = _COUNTED_IN.get(carrier.kind)
    amount = counted * unit("h") if semantics == "mean" else counted
    if options and semantics != "state" and not any(amount.converts_to(option) for option in options):
        return "territory.carrier_unit", {
            "unit": counted.text,
            "carrier": carrier.kind,
            "options": ", ".join(options),
        }
    return None


def _measured_in(carrier: Carrier) -> tuple[str, ...]:
    """Units that show what a quantity of the surroundings is; empty for carriers that are counted."""
    if carrier.kind == "weather":
        return _WEATHER.get(carrier.code, ())
    return {"air": _AIR, "water_level": _LEVEL, "speed": _SPEED}.get(carrier.kind, ())


def _expresses(counted: Unit, option: Unit) -> bool:
    """Whether both say the same kind of quantity: an angle has the dimension of a share and is none."""
    angles = (counted.scale == _ANGLE.scale, option.scale == _ANGLE.scale)
    return counted.converts_to(option) and (counted.dimension != _ANGLE.dimension or angles[0] == angles[1])


def _unknown_words(parsed: Parsed, column: str, code: str, options: Mapping[str, Any]) -> Iterator[Problem]:
    """Words that are not on the declared list; without a list every word will do."""
    if not options:
        return
    for row, word in enumerate(parsed.values[column]):
        if word and word not in options:
            data = {"text": word, "options": ", ".join(options), "hint": did_you_mean(word, options)}
            yield Problem(code, data, parsed.where(row, column))


def _missing(
    parsed: Parsed, column: str, code: str, exists: Callable[[str], bool] | None, own: set[str]
) -> Iterator[Problem]:
    """Names that the rooms which own them do not know."""
    if exists is None:
        return
    known = {word: word in own or exists(word) for word in set(parsed.values[column]) if word}
    if all(known.values()):
        return
    for row, word in enumerate(parsed.values[column]):
        if word and not known[word]:
            yield Problem(code, {"text": word}, parsed.where(row, column))


def _date_problems(parsed: Parsed) -> Iterator[Problem]:
    """Validity that ends before it starts."""
    for row, (start, end) in enumerate(
        zip(parsed.values["valid_from"], parsed.values["valid_to"], strict=True)
    ):
        if start and end and start >= end:
            yield Problem(
                "territory.dates_reversed", {"start": start, "end": end}, parsed.where(row, "valid_to")
            )


def _crosswalk_problems(parsed: Parsed, places: Mapping[str, Place]) -> Iterator[Problem]:
    """Pairs given twice, pairs whose new place begins before the old one ends, shares that do not add up to one."""
    totals: dict[str, float] = {}
    last: dict[str, int] = {}
    seen: dict[tuple[str, str], int] = {}
    for row, (old, new, share) in enumerate(parsed.records()):
        if old is None or new is None:
            continue
        if (old, new) in seen:
            data = {"id": f"{old} > {new}", "first": str(parsed.where(seen[old, new], "old"))}
            yield Problem("territory.duplicate_id", data, parsed.where(row, "old"))
        seen.setdefault((old, new), row)
        totals[old] = totals.get(old, 0.0) + share
        last[old] = row
        before, after = places.get(old), places.get(new)
        if before and after and _overlap(before, after):
            yield Problem("territory.crosswalk_overlap", {"old": old, "new": new}, parsed.where(row, "new"))
    for old, total in totals.items():
        if abs(total - 1) > _SHARE_ROUNDING:
            data = {"old": old, "total": f"{total:.6g}"}
            yield Problem("territory.share_sum", data, parsed.where(last[old], "share"))


def _overlap(before: Place, after: Place) -> bool:
    """Whether the old place does not end before the new one begins."""
    return before.valid_to is None or after.valid_from is None or before.valid_to > after.valid_from
