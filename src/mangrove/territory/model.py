# SPDX-License-Identifier: Apache-2.0
"""The declared nouns: places, carriers, flows, assets, links, and the territory that holds them.

Nothing here reads files: `load.py` builds these frozen values from a folder and reports every problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from mangrove.errors import RuleError, Where, did_you_mean
from mangrove.times import Step
from mangrove.units import Quantity, Unit

CARRIER_KINDS = (
    "electricity", "heat", "steam", "cooling", "water", "wastewater", "fuel", "hydrogen", "material", "waste",
    "refrigerant", "process", "vehicle_km", "livestock", "cropland", "land", "gas", "CO2", "reported", "stack",
    "air", "weather", "water_level", "index", "service", "vehicles", "speed",
)  # fmt: skip
SCHEMES = ("ewc", "cpa", "cpc", "hs", "vsic", "isic", "nace")
"""Classifications by which offers and needs say what they are: wastes, products (three lists), activities (three lists)."""
EFFECTS = (
    "electricity", "fuel", "water", "wastewater", "waste_treated", "waste_reused", "waste_recycled", "primary_material",
    "secondary_material", "chemicals", "transport", "service",
)  # fmt: skip
"""What an exchange saves or uses; the first ten are the quantities of the annual forms of Circular 05/2025."""
EXCHANGE_KINDS = ("exchange", "shared_infrastructure", "service", "other_park", "other")
"""The types of symbiosis of Circular 05/2025."""
PROTOCOLS = ("mqtt", "http", "modbus", "opcua", "ocpp", "ftp", "file")


@dataclass(frozen=True, slots=True)
class Carrier:
    """What flows: `(kind, code, level)`, written `kind:code@level`; code and level may be empty.

    Example:
        >>> Carrier.parse("fuel:anthracite").code
        'anthracite'
    """

    kind: str
    code: str = ""
    level: str = ""

    @classmethod
    def parse(cls, text: str) -> Carrier:
        """Reads `electricity`, `fuel:diesel`, `heat@120degC`; raises `RuleError` for an unknown kind."""
        head, _, level = text.strip().partition("@")
        kind, _, code = head.partition(":")
        if kind not in CARRIER_KINDS:
            hint = did_you_mean(kind, CARRIER_KINDS)
            raise RuleError(
                "territory.unknown_carrier", text=text, options=", ".join(CARRIER_KINDS), hint=hint
            )
        return cls(kind, code, level)

    def __str__(self) -> str:
        return self.kind + (f":{self.code}" if self.code else "") + (f"@{self.level}" if self.level else "")


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the containment tree, with its validity dates (half-open: `valid_to` is the first day it is gone).

    Attributes:
        id: unique key.
        parent: the place that contains it; None for a root.
        kind: `city`, `province`, `district`, `ward`, `park`, `lot`, `facility`, `building`, `link`, `country`, ...
        name_key: `mangrove.text.canonical(name)`.
        area: km2; population: persons; lon, lat: WGS84 degrees of the center.
        geometry: a GeoJSON geometry (WGS84) when the true boundary was given.
        props: further declared columns, as text.
    """

    id: str
    name: str
    kind: str
    parent: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    area: float | None = None
    population: float | None = None
    lon: float | None = None
    lat: float | None = None
    geometry: Mapping[str, object] | None = None
    props: Mapping[str, str] = field(default_factory=dict)
    where: Where | None = None

    def valid_on(self, day: date) -> bool:
        """Whether the place exists on `day`."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """A declared stream of one carrier at one place.

    Attributes:
        id: unique key; readings name it.
        place, to_place: ids of places; `to_place` only for a flow between places.
        unit: unit of the stored values (readings in another unit are converted at the door).
        step: nominal length of one value's interval; None when it varies (then each file says).
        semantics: `sum` (amount in the interval), `mean` (rate: the amount is value x hours, unit per hour or a power),
            `counter` (register that only grows; increments are derived), `state` (no amount).
        sector: free word of the territory's own sector list; scope: 1, 2, 3 or None (outside the inventory).
        gpc: GPC reference number ("I.3.1"); category: ISO 14064-1 category ("1".."6").
        method: name of a measuring method; empty means the default for the carrier kind.
        factor: activity key of the factor ("combustion/manufacturing/anthracite"); empty means the method's default.
        parameters: named quantities that the method needs ("boiler_efficiency": 85 %); text values keep their text.
        uncertainty: half-width of the 95 % interval of the values, as a fraction; None when not stated.
        meter: identity of the meter or provider; flows with the same meter share its error.
        account: `inventory`, `memo` (shown beside it), `avoided` or `removal`.
        spread: how a value stands for smaller places: empty, `population`, `area` (basis: modelled).
        basis: `fact`, `derived`, `assumed`, `generated`: where the numbers come from.
        note: the source of the numbers, in words.
    """

    id: str
    place: str
    carrier: Carrier
    unit: Unit
    step: Step | None = None
    to_place: str | None = None
    semantics: str = "sum"
    name: str = ""
    sector: str = ""
    scope: int | None = None
    gpc: str = ""
    category: str = ""
    method: str = ""
    factor: str = ""
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    uncertainty: float | None = None
    meter: str = ""
    account: str = "inventory"
    spread: str = ""
    basis: str = ""
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that can be operated or sized; `parameters` are quantities ("200 kW") or words.

    `lon` and `lat` (WGS84 degrees) place it exactly when `place` is larger; `basis` and `note` say where the facts come from.
    """

    id: str
    place: str
    type: str
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    where: Where | None = None
    name: str = ""
    lon: float | None = None
    lat: float | None = None
    basis: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Who may exchange what with whom."""

    id: str
    place: str
    to_place: str
    carrier: Carrier
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """Something that speaks a protocol: a gateway, an inverter, a charger, a monitoring station.

    Attributes:
        protocol: one of `PROTOCOLS`.
        address: where it is (`tcp://10.0.0.7:502`, `opc.tcp://...`, a folder); empty for one that calls us.
        every: time between two readings of a device that is asked; None for one that sends by itself.
        parameters: what its protocol needs besides ("unit": 1).
    """

    id: str
    protocol: str
    place: str
    address: str = ""
    every: Step | None = None
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    name: str = ""
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """What a device says at one address is a value of a flow.

    Attributes:
        device, flow: ids; address: a topic, a register, a node (see docs/reference/territory.md).
        unit: of what the device says; None means the flow's own.
        form: how the value is written (`json`, `number`, `sparkplug`, `chirpstack`, ...); empty means what is usual for the protocol.
        scale: what the number is multiplied with, before units are converted.
    """

    device: str
    address: str
    flow: str
    unit: Unit | None = None
    form: str = ""
    scale: float = 1.0
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """A live series that says how emissions change: `log E` moves by `elasticity` times the log of the series.

    Attributes:
        target: a GPC reference ("I.2.2"), a sector word or the id of a flow: what is driven.
        index: id of the flow whose values drive it (kWh of a feeder, vehicles counted, tonnes sold, an index of production).
        elasticity: change of the emissions in percent when the series changes by one percent; `spread`: the standard deviation with
            which it is known.
        place: where the driver holds; empty: everywhere.
    """

    target: str
    index: str
    elasticity: float = 1.0
    spread: float = 0.25
    place: str | None = None
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class VirtualMeter:
    """A flow without an analyser that is estimated from process data.

    Attributes:
        flow: id of the flow that is estimated; inputs: ids of the flows that it is estimated from.
        reference: id of the flow that holds reference measurements; None: what was measured of `flow` itself.
        parameters: see docs/reference/territory.md.
    """

    flow: str
    inputs: tuple[str, ...]
    reference: str | None = None
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """One rate, or twelve of them from January to December, in one unit per time (`t/month`, `m3/d`).

    Example:
        >>> from mangrove.units import unit
        >>> Rates((24.0,), unit("t/yr")).months("t")[0]
        2.0
    """

    values: tuple[float, ...]
    unit: Unit

    def months(self, amount: str) -> tuple[float, ...]:
        """Twelve amounts, January first, in the unit `amount`; a month counts as the twelfth part of a year."""
        scale = self.unit.to(f"{amount}/yr") / 12
        held = self.values * 12 if len(self.values) == 1 else self.values
        return tuple(value * scale for value in held)


@dataclass(frozen=True, slots=True)
class Quality:
    """One property: what an offer has (`=`), or what a need bears at most (`<=`) or must have at least (`>=`)."""

    name: str
    sense: str
    value: Quantity


@dataclass(frozen=True, slots=True)
class Listing:
    """An offer or a need: a by-product, water, heat, or a service such as a technology, and what is looked for.

    Attributes:
        side: `offer` or `need`.
        carrier: what flows; `service:technology`, `service:expertise`, ... for what does not.
        text: what it is, in free words, Vietnamese or English.
        codes: codes by scheme (see `SCHEMES`).
        quantity: how much, by month when it varies; None for a service.
        quality: properties of an offer, limits of a need.
        price: money per unit, what is asked or paid (an offer below zero pays its taker); None: open.
        otherwise: activity key of the factor of what happens without an exchange: how an offer is disposed of, what a need is made from.
        otherwise_cost: money per unit of that.
        hazardous: whether it is hazardous; None: as its code says.
        permits: offers: number of the permit; needs: waste codes (or their beginnings) that the place is permitted to take.
        radius: farthest partner.
        valid_from, valid_to: first day, first day after.
        parameters: see docs/reference/territory.md.
    """

    id: str
    side: str
    place: str
    carrier: Carrier
    name: str = ""
    text: str = ""
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quantity: Rates | None = None
    quality: tuple[Quality, ...] = ()
    price: Quantity | None = None
    otherwise: str = ""
    otherwise_cost: Quantity | None = None
    hazardous: bool | None = None
    permits: tuple[str, ...] = ()
    radius: Quantity | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    basis: str = ""
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A running exchange between two places, with its meters.

    Attributes:
        place, to_place: who gives, who takes.
        carrier: what is exchanged; codes: by scheme.
        kind: one of `EXCHANGE_KINDS`.
        sent, received: ids of the flows that meter it at both ends (one of them at least).
        price: money per unit that the taker pays (below zero: the giver pays).
        valid_from, valid_to: first day, first day after.
        parameters: see docs/reference/territory.md.
    """

    id: str
    place: str
    to_place: str
    carrier: Carrier
    name: str = ""
    kind: str = "exchange"
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sent: str | None = None
    received: str | None = None
    price: Quantity | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    parameters: Mapping[str, Quantity | str] = field(default_factory=dict)
    basis: str = ""
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What one unit of an exchange saves (above zero) or uses (below zero), against what would happen without it.

    Attributes:
        exchange: id; effect: one of `EFFECTS`; side: `giver` or `taker`, who saves or uses it.
        amount: per unit of the exchange: `0.95 t/t`, `-0.4 kWh/m3`.
        factor: activity key of the factor of what is saved; empty: no emissions are reckoned.
        price: money per unit of what is saved.
        uncertainty: half-width of the 95 % interval of the amount, as a fraction.
    """

    exchange: str
    effect: str
    amount: Quantity
    side: str = "taker"
    factor: str = ""
    price: Quantity | None = None
    uncertainty: float | None = None
    basis: str = ""
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody answered to an indicator or a form field that no meter can say.

    Attributes:
        indicator: its code; place: of whom; None: the whole territory; year: the year that it is about.
        value: as written: a number with its unit, `yes` or `no`, or words; evidence: the document that shows it.
    """

    indicator: str
    year: int
    value: str
    place: str | None = None
    evidence: str = ""
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class LocalFactor:
    """A row of the territory's own `factors.csv`; it stands above the built-in tables.

    `unit` is mass of the gas per unit of activity ("kg CO2/TJ"); `source` says who approved it.
    """

    activity: str
    gas: str
    value: float
    unit: Unit
    source: str
    valid_from: date | None = None
    valid_to: date | None = None
    uncertainty: float | None = None
    note: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Crosswalk:
    """One line of the old-to-new table of boundaries: `share` of `old` (by population) lies in `new`."""

    old: str
    new: str
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class NotationKey:
    """A declared notation key: the GPC reference `gpc` is NO, NE, IE or C, with the reason."""

    gpc: str
    key: str
    reason: str = ""


@dataclass(frozen=True)
class Territory:
    """A city or a park as declared. Build it with `mangrove.territory.load`.

    Attributes:
        path: the folder; name, kind (`city` or `park`); timezone (IANA); currency; lang (`vi` or `en`).
        gwp: the GWP set its reports use by default ("AR5"), or None.
        places, flows, assets, links, devices: by id, in file order.
        points: which address of which device is which flow.
        drivers: which live series drives which emissions; virtual: flows that are estimated from others.
        offers, needs: what is offered and looked for; exchanges: what runs; effects: what exchanges save; answers: to indicators.
        crosswalk: old-to-new boundaries; notation: declared notation keys.
        content_hash: SHA-256 (hex) over the parsed declaration, independent of formatting.
    """

    path: Path
    name: str
    kind: str
    timezone: str
    currency: str
    lang: str
    gwp: str | None
    places: Mapping[str, Place]
    flows: Mapping[str, Flow]
    assets: Mapping[str, Asset] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    factors: tuple[LocalFactor, ...] = ()
    devices: Mapping[str, Device] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    drivers: tuple[Driver, ...] = ()
    virtual: tuple[VirtualMeter, ...] = ()
    offers: Mapping[str, Listing] = field(default_factory=dict)
    needs: Mapping[str, Listing] = field(default_factory=dict)
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    answers: tuple[Answer, ...] = ()
    crosswalk: tuple[Crosswalk, ...] = ()
    notation: tuple[NotationKey, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    content_hash: str = ""

    @property
    def tz(self) -> ZoneInfo:
        """The territory's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def sectors(self) -> Mapping[str, str]:
        """The declared sector words with their names for people; empty when none are declared."""
        named = self.settings.get("sectors")
        return {word: str(name) for word, name in named.items()} if isinstance(named, Mapping) else {}

    @cached_property
    def exchange_meters(self) -> frozenset[str]:
        """Ids of the flows that meter running exchanges."""
        ends = (end for one in self.exchanges.values() for end in (one.sent, one.received))
        return frozenset(end for end in ends if end)

    def ancestors(self, place: str) -> Iterator[Place]:
        """The place itself, its parent, and so on up to its root."""
        current: str | None = place
        while current is not None:
            node = self.places[current]
            yield node
            current = node.parent

    def lies_in(self, place: str, outer: str) -> bool:
        """Whether `place` is `outer` or inside it."""
        return any(node.id == outer for node in self.ancestors(place))

    def children(self, place: str, on: date | None = None) -> list[Place]:
        """The places directly inside `place` (that exist on the day `on`, when given), in file order."""
        return [p for p in self.places.values() if p.parent == place and (on is None or p.valid_on(on))]
