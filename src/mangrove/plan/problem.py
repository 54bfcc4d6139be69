# SPDX-License-Identifier: Apache-2.0
"""A sizing problem as plain data: what is needed, what can be bought, what can be built, within which limits.

Comes in: arrays over a year (or several) of equal steps, prices, candidates with their costs. Goes out: a frozen, checked
`Case`. Rates are kW (or any unit an hour), amounts kWh, money is in one currency, emissions are kg CO2. Nothing is assumed:
what a candidate costs, how long it lives and what a kWh emits is said by the caller, with the source that the caller has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, did_you_mean
from mangrove.plan.finance import Money, Purchase, lifecycle

if TYPE_CHECKING:
    from mangrove.errors import Problem
    from mangrove.plan.placed import Placed

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Series: TypeAlias = float | Floats

HOURS_OF_YEAR = 8760.0
ELECTRICITY = "electricity"
SOURCE, STORE, CONVERTER = "source", "store", "converter"
SHAPES = (SOURCE, STORE, CONVERTER)


@dataclass(frozen=True, slots=True)
class Size:
    """A capacity that is chosen.

    Attributes:
        cost: investment per unit of new capacity; om: money a year per unit; again: money per unit when its life is over
            and the study is not, None for `cost`; life: years.
        existing: what stands already and costs nothing; least, most: of the whole, existing part included.
        area: m2 taken by one unit.
    """

    cost: float = 0.0
    om: float = 0.0
    life: float = math.inf
    again: float | None = None
    existing: float = 0.0
    least: float = 0.0
    most: float = math.inf
    area: float = 0.0

    def purchase(self, name: str, amount: float) -> Purchase:
        """Buying `amount` of new capacity."""
        again = self.cost if self.again is None else self.again
        return Purchase(name, self.cost * amount, self.om * amount, self.life, again * amount)

    def worth(self, money: Money) -> float:
        """What one unit costs over the study, in money of today."""
        return lifecycle(self.purchase("", 1.0), money)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Something that can be built. Make one with `pv`, `wind`, `generator`, `battery`, `tank` or `converter`.

    Attributes:
        name: unique; type: for people ("pv", "electrolyzer"); shape: `source`, `store` or `converter`.
        size: the rate (kW); room: the amount (kWh), for stores.
        carrier: what it gives or keeps; ports: for converters, carrier -> rate per unit of activity (negative: takes).
        profile: largest output per kW, number or (T,).
        degradation: yearly loss of output; efficiency: (in, out); loss: share of the level lost an hour; floor: share of
            the room that stays filled; ratio: hours of room per kW when fixed; lean: no losses and no limit of rate.
        begin: share of a fixed room that is filled at the start, with a free level at the end, as other tools do it (energy
            for nothing at the end of the year); None: the year ends as it began.
        running: money per unit of output; emissions: kg CO2 per unit of output; renewable: counts as such.
        flows: role -> declared flow, for the ledger.
    """

    name: str
    type: str
    shape: str
    size: Size = field(default_factory=Size)
    room: Size | None = None
    carrier: str = ELECTRICITY
    ports: Mapping[str, float] = field(default_factory=dict)
    profile: Series = 1.0
    degradation: float = 0.0
    efficiency: tuple[float, float] = (1.0, 1.0)
    loss: float = 0.0
    floor: float = 0.0
    ratio: float | None = None
    lean: bool = False
    begin: float | None = None
    running: float = 0.0
    emissions: float = 0.0
    renewable: bool = False
    flows: Mapping[str, str] = field(default_factory=dict)

    def sizes(self) -> dict[str, Size]:
        """What is chosen, by name: `battery` (kW) and `battery/energy` (kWh)."""
        found = {} if self.lean else {self.name: self.size}
        return {**found, f"{self.name}/energy": self.room} if self.room is not None else found

    def resized(self, name: str, **changes: Any) -> Candidate:
        """The same candidate with other data of one of its sizes."""
        if name.endswith("/energy") and self.room is not None:
            return replace(self, room=replace(self.room, **changes))
        return replace(self, size=replace(self.size, **changes))


def pv(name: str, profile: Series, *, degradation: float = 0.0, area: float = 0.0, **size: Any) -> Candidate:
    """Photovoltaics: `profile` (T,) is the output per kWp in the first year; `area` m2 per kWp; `size` as in `Size`."""
    return Candidate(
        name, "pv", SOURCE, Size(area=area, **size), profile=profile, degradation=degradation, renewable=True
    )


def wind(name: str, profile: Series, *, area: float = 0.0, **size: Any) -> Candidate:
    """Wind power: `profile` (T,) is the output per kW; `size` as in `Size`."""
    return Candidate(name, "wind", SOURCE, Size(area=area, **size), profile=profile, renewable=True)


def generator(
    name: str, *, running: float, emissions: float, carrier: str = ELECTRICITY, **size: Any
) -> Candidate:
    """A generator or boiler that can always run: `running` money and `emissions` kg CO2 per kWh of output."""
    return Candidate(
        name, "generator", SOURCE, Size(**size), carrier=carrier, running=running, emissions=emissions
    )


def battery(
    name: str,
    *,
    power: Size,
    energy: Size,
    efficiency: tuple[float, float] = (1.0, 1.0),
    loss: float = 0.0,
    floor: float = 0.0,
    ratio: float | None = None,
    wear: float = 0.0,
    carrier: str = ELECTRICITY,
    kind: str = "battery",
    begin: float | None = None,
) -> Candidate:
    """A store with a size of its rate (kW) and of its room (kWh); `wear` money per kWh given back."""
    return Candidate(
        name, kind, STORE, power, energy, carrier, efficiency=efficiency, loss=loss, floor=floor, ratio=ratio, running=wear, begin=begin
    )  # fmt: skip


def tank(name: str, carrier: str, *, loss: float = 0.0, **room: Any) -> Candidate:
    """A store without a limit of rate and without losses of its own turning (hydrogen, water, heat); `room` as in `Size`."""
    return Candidate(name, "tank", STORE, room=Size(**room), carrier=carrier, loss=loss, lean=True)


def converter(
    name: str, ports: Mapping[str, float], *, kind: str = CONVERTER, running: float = 0.0, **size: Any
) -> Candidate:
    """A process: `ports` gives carrier -> rate per unit of its size (negative: what it takes).

    Example:
        >>> converter("electrolyzer", {"electricity": -1.0, "hydrogen": 0.7}, cost=900.0, most=500.0).shape
        'converter'
    """
    first = next((carrier for carrier, rate in ports.items() if rate > 0), "")
    return Candidate(name, kind, CONVERTER, Size(**size), carrier=first, ports=dict(ports), running=running)


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """What can be bought (and sold) at a connection: the grid, a fuel, hydrogen by truck.

    Attributes:
        name: unique; carrier: what it brings.
        buy: money per unit, number or (T,); upper: largest rate, number or (T,).
        sell: money per unit sold, None for never; export: largest rate sold; share: most that may be sold over the year, as a
            share of what renewable candidates give (the cap of rooftop surplus).
        demand: money per unit of the highest rate of a month, number or one a month; month: (T,) number of the billing
            month of each step from 0 up, -1 for none; window: hours over which the rate is averaged.
        factor: kg CO2 per unit, number or (T,).
        contract: a `rules.contracts.Contract`, for itemized bills; None when prices were given by hand.
        flows: role (`import`, `export`) -> declared flow.
        size: the largest rate as a choice (a larger connection), in place of `upper`; None when it is fixed.
    """

    name: str = "grid"
    carrier: str = ELECTRICITY
    buy: Series = 0.0
    upper: Series = math.inf
    sell: Series | None = None
    export: float = math.inf
    share: float | None = None
    demand: Series = 0.0
    month: Ints | None = None
    window: float = 0.5
    factor: Series = 0.0
    contract: Any = None
    flows: Mapping[str, str] = field(default_factory=dict)
    size: Size | None = None

    @property
    def months(self) -> int:
        """Billing months in the data; 0 without a demand charge."""
        return 0 if self.month is None or not np.any(self.demand) else int(self.month.max()) + 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan must keep to; None: no limit.

    Attributes:
        co2: t CO2 a year; renewable: smallest share of the electricity used that is not bought and not burnt.
        area: m2 for all candidates; money: investment of new capacity.
    """

    co2: float | None = None
    renewable: float | None = None
    area: float | None = None
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """A failure of the grid that must be survived: from step `start`, for `hours`, with a share of each load kept up.

    Attributes:
        start: step at which it begins; hours: its length.
        critical: carrier -> share of the load that must be served; what is not named may be dropped.
        fails: names of the supplies that fail; empty: all that bring electricity.
    """

    start: int
    hours: float
    critical: Mapping[str, float] = field(default_factory=lambda: {ELECTRICITY: 1.0})
    fails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A sizing problem.

    Attributes:
        loads: carrier -> (T,) rate that is needed.
        supplies, candidates: what can be bought and built; assets: declared ones, built by their own files (`placed`).
        hours: length of a step (h); start: first instant (UTC); years: weather years in the data, one after the other.
        money: how years are compared; carbon: price per t CO2.
        limits, outages: what must hold.
        name: of the plan.
        assumed: rows of the rules (`rules.costs.Amount`) that stand in for what nobody declared; they are shown.
        notes: what a reader must know about how something was counted; shown below the table of sizes.

    Invariants:
        all series have T steps; a carrier that is needed can be bought or made.
    """

    loads: Mapping[str, Floats]
    supplies: tuple[Supply, ...]
    candidates: tuple[Candidate, ...] = ()
    hours: float = 1.0
    start: np.datetime64 = field(default_factory=lambda: np.datetime64("2025-01-01T00:00:00", "s"))
    money: Money = field(default_factory=Money)
    carbon: float = 0.0
    limits: Limits = field(default_factory=Limits)
    outages: tuple[Outage, ...] = ()
    name: str = "plan"
    assumed: tuple[Any, ...] = ()
    assets: tuple[Placed, ...] = ()
    notes: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        """Raises `RequestError` for data that cannot be planned with, named."""
        check(self)

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(next(iter(self.loads.values())))

    @property
    def annual(self) -> float:
        """What an amount over all steps is multiplied by to be an amount of one year.

        Whole years of 365 or 366 days count as years; any other length is scaled by its hours.
        """
        years = self.steps * self.hours / HOURS_OF_YEAR
        whole = round(years)
        return 1.0 / (whole if whole and abs(years - whole) <= whole * 2 / 365 else years)

    @property
    def starts(self) -> npt.NDArray[np.datetime64]:
        """(T,) first instant of each step, UTC."""
        length = np.timedelta64(round(self.hours * 3600), "s")
        found: npt.NDArray[np.datetime64] = (
            self.start.astype("datetime64[s]") + np.arange(self.steps) * length
        )
        return found

    def sizes(self) -> dict[str, Size]:
        """Everything that is chosen, by name."""
        found = {supply.name: supply.size for supply in self.supplies if supply.size is not None}
        for one in self.candidates:
            found |= one.sizes()
        for asset in self.assets:
            found |= asset.sizes()
        return found

    @property
    def names(self) -> list[str]:
        """Names of supplies, candidates and assets, which differ."""
        found = [one.name for one in self.supplies] + [one.name for one in self.candidates]
        return found + [one.name for one in self.assets]

    def existing(self) -> dict[str, float]:
        """The sizes without building anything."""
        return {name: size.existing for name, size in self.sizes().items()}

    def series(self) -> Iterator[tuple[str, str, Series]]:
        """Every number or series over time: (whose, what, values)."""
        for carrier, values in self.loads.items():
            yield carrier, "load", values
        for supply in self.supplies:
            for what in ("buy", "sell", "factor", "upper"):
                values = getattr(supply, what)
                if values is not None:
                    yield supply.name, what, values
        for candidate in self.candidates:
            yield candidate.name, "profile", candidate.profile
        for asset in self.assets:
            for what, values in asset.series.items():
                yield asset.name, what, values


def full(values: Series, steps: int) -> Floats:
    """A number or a series as (T,)."""
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (steps,))


def check(case: Case) -> None:
    """Raises `RequestError` for the first thing about `case` that cannot be planned with.

    Codes: `plan.no_load`, `plan.bad_length`, `plan.bad_value`, `plan.name_twice`, `plan.bad_size`, `plan.unknown_carrier`,
    `plan.bad_outage`, `plan.unknown_supply`, `plan.bad_limit`.
    """
    if not case.loads or not (math.isfinite(case.hours) and case.hours > 0):
        raise RequestError("plan.no_load")
    for whose, what, values in case.series():
        _check_series(case, whose, what, values)
    names = case.names
    for name in names:
        if names.count(name) > 1:
            raise RequestError("plan.name_twice", name=name)
    for name, size in case.sizes().items():
        _check_size(name, size)
    _check_carriers(case)
    for limit in fields(case.limits):
        value = getattr(case.limits, limit.name)
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise RequestError("plan.bad_limit", name=limit.name, value=str(value))
    for outage in case.outages:
        _check_outage(case, outage)


def _check_carriers(case: Case) -> None:
    """Every carrier that is needed can be bought or made; every candidate works on a carrier that exists."""
    given = {supply.carrier for supply in case.supplies}
    for one in case.candidates:
        if one.shape == SOURCE:
            given.add(one.carrier)
        given |= {carrier for carrier, rate in one.ports.items() if rate > 0}
    for asset in case.assets:
        given |= asset.carriers[0]
    for asset in case.assets:
        for carrier in sorted(asset.carriers[1] - given - set(case.loads)):
            hint = did_you_mean(carrier, given)
            raise RequestError("plan.unknown_carrier", name=asset.name, carrier=carrier, hint=hint)
    for candidate in case.candidates:
        _check_candidate(candidate, given | set(case.loads) | set(candidate.ports))
    for carrier in case.loads:
        if carrier not in given:
            hint = did_you_mean(carrier, given)
            raise RequestError("plan.unknown_carrier", name=carrier, carrier=carrier, hint=hint)


def _check_series(case: Case, whose: str, what: str, values: Series) -> None:
    """The right length, finite (limits may be infinite), and not negative unless it is a price."""
    array = np.asarray(values, dtype=np.float64)
    if (
        array.ndim > 1
        or (array.ndim == 1 and len(array) != case.steps)
        or (what == "load" and not array.ndim)
    ):
        raise RequestError("plan.bad_length", name=whose, what=what, have=int(array.size), want=case.steps)
    bad = np.isnan(array) if what == "upper" else ~np.isfinite(array)
    if what not in {"buy", "sell", "temperature"}:
        bad |= array < 0
    if bad.any():
        first = int(np.argmax(np.atleast_1d(bad)))
        value = float(np.atleast_1d(array)[first])
        raise RequestError("plan.bad_value", name=whose, what=what, step=first, value=str(value))


def _check_size(name: str, size: Size) -> None:
    """No negative money, no limits that cross."""
    for item in fields(size):
        value = getattr(size, item.name)
        if value is not None and not (value >= 0):
            raise RequestError("plan.bad_size", name=name, what=item.name, value=str(value))
    if size.least > size.most or size.existing > size.most or size.life <= 0:
        value = f"{size.existing:g} .. {size.least:g} .. {size.most:g}"
        raise RequestError("plan.bad_size", name=name, what="most" if size.life > 0 else "life", value=value)
    if not all(map(math.isfinite, (size.cost, size.om, size.existing, size.least, size.area))):
        raise RequestError("plan.bad_size", name=name, what="cost", value=str(size.cost))


def _check_candidate(candidate: Candidate, known: set[str]) -> None:
    """A known shape, shares between 0 and 1, carriers that exist."""
    shares = {"efficiency": min(candidate.efficiency), "loss": 1 - candidate.loss, "floor": 1 - candidate.floor,
              "degradation": 1 - candidate.degradation}  # fmt: skip
    for what, value in shares.items():
        if not 0 < value <= 1 or max(candidate.efficiency) > 1:
            raise RequestError("plan.bad_size", name=candidate.name, what=what, value=str(value))
    if candidate.shape not in SHAPES or (candidate.shape == STORE) != (candidate.room is not None):
        raise RequestError("plan.bad_size", name=candidate.name, what="shape", value=candidate.shape)
    room = candidate.room
    if candidate.begin is not None and (
        room is None or room.least != room.most or not 0 <= candidate.begin <= 1
    ):
        raise RequestError("plan.bad_size", name=candidate.name, what="begin", value=str(candidate.begin))
    if candidate.shape == CONVERTER and not candidate.ports:
        raise RequestError("plan.bad_size", name=candidate.name, what="ports", value="-")
    if candidate.carrier not in known:
        raise RequestError(
            "plan.unknown_carrier", name=candidate.name, carrier=candidate.carrier,
            hint=did_you_mean(candidate.carrier, known),
        )  # fmt: skip


def _check_outage(case: Case, outage: Outage) -> None:
    """Begins inside the data, lasts at most all of it, names loads and supplies that exist."""
    if not 0 <= outage.start < case.steps or not 0 < outage.hours <= case.steps * case.hours:
        raise RequestError("plan.bad_outage", start=outage.start, hours=outage.hours, steps=case.steps)
    for carrier, share in outage.critical.items():
        if carrier not in case.loads or not 0 <= share <= 1:
            raise RequestError("plan.bad_outage", start=outage.start, hours=outage.hours, steps=case.steps)
    names = [supply.name for supply in case.supplies]
    for name in outage.fails:
        if name not in names:
            raise RequestError("plan.unknown_supply", name=name, hint=did_you_mean(name, names))
