# SPDX-License-Identifier: Apache-2.0
"""What the meters of the declared sites say over a period, as arrays: one row a site, one column a step.

Comes in: a territory, a snapshot of its ledger and a period. Goes out: `Measured`: kWh in and out of every site, its wire, its
contract's prices. A site is the place of a `grid` asset; the asset names the flows of its meter (`flow` and `export_flow`), or
the meters of what stands behind it are added up.
When a `grid` asset stands at a place around the other sites, that place is the park with the one meter that is billed.
A step without a value is an error that names it: gaps are filled by `mangrove repair`, where that is honest, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mangrove.errors import DataQualityError, RequestError, did_you_mean
from mangrove.ledger import COUNTED, Snapshot
from mangrove.rules import contracts
from mangrove.rules.contracts import Contract, Terms
from mangrove.settle.game import Floats
from mangrove.territory.model import Asset, Flow, Link, Territory
from mangrove.times import Span, Step
from mangrove.units import Quantity

_LONGEST = 3600
"""Seconds: prices change within the day, so a longer step cannot be settled."""
ContractOf = Callable[[str], Contract]
_USES = ("load", "curtailable_load", "shiftable_load", "batch", "charger", "swap_station", "electrolyzer", "compressor",
         "chiller", "heat_pump", "pump", "water_treatment")  # fmt: skip
_MAKES = ("pv", "wind", "generator", "fuel_cell", "chp")
_BEHIND = {
    **{kind: {"flow": 1.0} for kind in _USES},
    **{kind: {"flow": -1.0} for kind in _MAKES},
    "battery": {"charge_flow": 1.0, "discharge_flow": -1.0},
    "swap_station": {"flow": 1.0, "discharge_flow": -1.0},
}
"""The sign with which the electricity meters of each type of asset count for the site."""
_BUILT = ("energy", "capacity", "power", "packs", "flow")
"""One of these says that an asset is there already, not only to be sized."""


@dataclass(frozen=True, slots=True)
class Sites:
    """The declared sites: `places` (ids) with their grid assets; `park` is the asset of the common meter, or None."""

    places: tuple[str, ...]
    assets: tuple[Asset, ...]
    park: Asset | None


@dataclass(frozen=True, slots=True)
class Meter:
    """What is read for one site: flows with their signs.

    `one` says that the meter of the connection itself is read, import and export apart. `unmetered` are assets behind the
    connection that are there but have no meter, so what they did is not known and counts as nothing.
    """

    signed: tuple[tuple[Flow, float], ...]
    one: bool
    unmetered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Arrays over n sites and T steps.

    Attributes:
        sites: who; step: length of a step; starts: (T,) UTC.
        taken, given: (n, T) kWh through each site's meter, in and out.
        terms: prices of each site's contract; those of the park when it has the one meter.
        wire: (n,) kW of each site's link, None when no link is declared; fee: money per kWh that is shared.
        unmetered: assets of sites without a meter of their own whose doings are not known.
        slowest: a flow whose step is the one settled by, where others are read more often; else empty.
    """

    sites: Sites
    step: Step
    starts: NDArray[np.datetime64]
    taken: Floats
    given: Floats
    terms: tuple[Terms, ...]
    wire: Floats | None
    fee: float
    unmetered: tuple[str, ...] = ()
    slowest: str = ""

    @property
    def hours(self) -> float:
        """Length of a step in hours."""
        return self.step.hours


def read(
    territory: Territory, snapshot: Snapshot, span: Span, contract_of: ContractOf | None = None
) -> Measured:
    """Reads the meters of all sites over `span`.

    Raises:
        RequestError: `settle.no_sites`, `settle.no_meter`, `settle.unknown_flow`, `settle.step_too_long`, `settle.link_cost`,
            `settle.two_fees`, `settle.flow_twice`, `settle.span_not_steps`.
        DataQualityError: `settle.gap`.
        RuleError: the contract of a site, see `mangrove.rules.contracts.of`.
    """
    sites = sites_of(territory)
    meters = [_meter(territory, sites, asset) for asset in sites.assets]
    flows = [flow for meter in meters for flow, _ in meter.signed]
    _all_different(sites, flows)
    step = _common_step(flows)
    count = _count(span, step)
    table = snapshot.values([flow.id for flow in flows], span.start, span.end)
    amounts = {flow.id: _amounts(table, flow, span, step, count) for flow in flows}
    taken, given = (
        np.array(side) for side in zip(*(_through(meter, amounts) for meter in meters), strict=True)
    )
    starts = np.datetime64(span.start.replace(tzinfo=None), "s") + np.arange(count) * step.seconds
    day = span.start.astimezone(territory.tz).date()
    find = contract_of or (lambda place: contracts.of(territory, place, on=day))
    billed = sites.places if sites.park is None else (sites.park.place,)
    prices: dict[Contract, Terms] = {}
    terms = []
    for place in billed:
        contract = find(place)
        known = prices.get(contract) or contract.terms(starts, step.hours, territory.tz)
        prices[contract] = known
        terms.append(known)
    wire, fee = wires(territory, sites)
    unmetered = tuple(name for meter in meters for name in meter.unmetered)
    return Measured(sites, step, starts, taken, given, tuple(terms), wire, fee, unmetered, _slowest(flows))


@dataclass(frozen=True, slots=True, eq=False)
class OneSite:
    """What went through the connection of one site: (T,) starts in UTC, the step, kWh in and out.

    `generated` is what was made behind it; None where nothing that generates has a meter.
    """

    starts: NDArray[np.datetime64]
    step: Step
    taken: Floats
    given: Floats
    generated: Floats | None


def read_site(territory: Territory, snapshot: Snapshot, span: Span, place: str) -> OneSite:
    """Reads the meters of one site.

    Raises:
        RequestError: `settle.unknown_site`, and what `read` raises.
        DataQualityError: `settle.gap`.
    """
    sites = sites_of(territory)
    grids = dict(zip(sites.places, sites.assets, strict=True))
    if place not in grids:
        hint = did_you_mean(place, grids)
        raise RequestError("settle.unknown_site", place=place, hint=hint, options=", ".join(grids))
    meter = _meter(territory, sites, grids[place])
    makers = [
        flow
        for asset in territory.assets.values()
        if asset.type in _MAKES
        and _home(territory, sites, asset) == place
        and (flow := _flow(territory, asset, "flow"))
    ]
    flows = list({flow.id: flow for flow in (*(flow for flow, _ in meter.signed), *makers)}.values())
    step = _common_step(flows)
    count = _count(span, step)
    table = snapshot.values([flow.id for flow in flows], span.start, span.end)
    amounts = {flow.id: _amounts(table, flow, span, step, count) for flow in flows}
    taken, given = _through(meter, amounts)
    generated = sum((amounts[flow.id] for flow in makers), np.zeros(count)) if makers else None
    starts = np.datetime64(span.start.replace(tzinfo=None), "s") + np.arange(count) * step.seconds
    return OneSite(starts, step, taken, given, generated)


def sites_of(territory: Territory) -> Sites:
    """The sites of a territory.

    Raises:
        RequestError: `settle.no_sites` when fewer than one site is declared, `settle.two_grids` when a place has two.
    """
    grids: dict[str, Asset] = {}
    for asset in territory.assets.values():
        if asset.type == "grid":
            if asset.place in grids:
                raise RequestError("settle.two_grids", where=asset.where, place=asset.place)
            grids[asset.place] = asset
    around = {
        node.id
        for place in grids
        for node in territory.ancestors(place)
        if node.id != place and node.id in grids
    }
    members = {place: asset for place, asset in grids.items() if place not in around}
    if not members:
        raise RequestError("settle.no_sites")
    park = grids[min(around)] if len(around) == 1 else None
    return Sites(tuple(members), tuple(members.values()), park)


def wires(territory: Territory, sites: Sites) -> tuple[Floats | None, float]:
    """(n,) kW that each site's links carry, and the fee per kWh; no limit where no link of electricity is declared.

    Raises:
        RequestError: `settle.link_cost` for a cost that is not money per energy, `settle.two_fees` for different ones.
    """
    links = [link for link in territory.links.values() if link.carrier.kind == "electricity"]
    if not links:
        return None, 0.0
    fees = {_fee(link) for link in links}
    if len(fees) > 1:
        raise RequestError(
            "settle.two_fees", where=links[0].where, fees=", ".join(f"{fee:g}" for fee in sorted(fees))
        )
    capacity = [
        sum(_capacity(link) for link in links if place in (link.place, link.to_place))
        for place in sites.places
    ]
    return np.array(capacity), fees.pop()


def _capacity(link: Link) -> float:
    given = link.parameters.get("capacity")
    return given.to("kW") if isinstance(given, Quantity) else np.inf


def _fee(link: Link) -> float:
    given = link.parameters.get("cost")
    if given is None:
        return 0.0
    if not isinstance(given, Quantity) or not given.unit.converts_to("VND/kWh"):
        raise RequestError("settle.link_cost", where=link.where, link=link.id, cost=str(given))
    return given.to("VND/kWh")


def _meter(territory: Territory, sites: Sites, grid: Asset) -> Meter:
    """The flows of a site's own meter, or else those of what stands behind it."""
    own = [
        (flow, sign)
        for role, sign in (("flow", 1.0), ("export_flow", -1.0))
        if (flow := _flow(territory, grid, role))
    ]
    if own and own[0][1] > 0.0:
        return Meter(tuple(own), one=True)
    signed, unmetered = [], []
    for asset in territory.assets.values():
        if _home(territory, sites, asset) != grid.place or asset.type not in _BEHIND:
            continue
        found = [
            (flow, sign)
            for role, sign in _BEHIND[asset.type].items()
            if (flow := _flow(territory, asset, role))
        ]
        signed += [(flow, sign) for flow, sign in found if flow.carrier.kind == "electricity"]
        if not found and any(name in asset.parameters for name in _BUILT):
            unmetered.append(asset.id)
    if not signed:
        raise RequestError("settle.no_meter", where=grid.where, asset=grid.id)
    return Meter(tuple(signed), one=False, unmetered=tuple(unmetered))


def _home(territory: Territory, sites: Sites, asset: Asset) -> str | None:
    """The site behind whose connection an asset stands."""
    return next((place.id for place in territory.ancestors(asset.place) if place.id in sites.places), None)


def _flow(territory: Territory, asset: Asset, role: str) -> Flow | None:
    """The flow that an asset names for a role, when it names one."""
    name = asset.parameters.get(role)
    if name is None:
        return None
    if str(name) not in territory.flows:
        hint = did_you_mean(str(name), territory.flows)
        raise RequestError(
            "settle.unknown_flow", where=asset.where, asset=asset.id, flow=str(name), hint=hint
        )
    return territory.flows[str(name)]


def _through(meter: Meter, amounts: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """(T,) kWh in and out of a site: read apart at its own meter, else net of what stands behind it."""
    into = sum((amounts[flow.id] for flow, sign in meter.signed if sign > 0.0), np.zeros(1))
    out = sum((amounts[flow.id] for flow, sign in meter.signed if sign < 0.0), np.zeros(1))
    into, out = np.broadcast_arrays(into, out)
    if meter.one:
        return into, out
    return np.maximum(into - out, 0.0), np.maximum(out - into, 0.0)


def _all_different(sites: Sites, flows: list[Flow]) -> None:
    """A meter that two sites name would be billed twice."""
    seen: set[str] = set()
    for flow in flows:
        if flow.id in seen:
            raise RequestError("settle.flow_twice", where=sites.assets[0].where, flow=flow.id)
        seen.add(flow.id)


def _common_step(flows: list[Flow]) -> Step:
    """The longest step of the meters; shorter ones must divide it."""
    for flow in flows:
        if (
            flow.step is None
            or not flow.step.seconds
            or flow.step.seconds > _LONGEST
            or flow.semantics == "state"
        ):
            raise RequestError(
                "settle.step_too_long", where=flow.where, flow=flow.id, step=str(flow.step or "-")
            )
    longest = max(flow.step.seconds for flow in flows if flow.step)
    for flow in flows:
        if flow.step and longest % flow.step.seconds:
            raise RequestError("settle.step_too_long", where=flow.where, flow=flow.id, step=str(flow.step))
    return Step(seconds=longest)


def _slowest(flows: list[Flow]) -> str:
    """The first flow with the longest step, when some flow has a shorter one."""
    seconds = [flow.step.seconds for flow in flows if flow.step]
    return "" if min(seconds) == max(seconds) else flows[seconds.index(max(seconds))].id


def _count(span: Span, step: Step) -> int:
    count, rest = divmod(span.end - span.start, timedelta(seconds=step.seconds))
    if rest:
        raise RequestError("settle.span_not_steps", step=str(step))
    return count


def _amounts(table: pa.Table, flow: Flow, span: Span, step: Step, count: int) -> Floats:
    """(T,) kWh of one flow; every step must be full."""
    assert flow.step is not None
    rows = table.filter(pa.compute.equal(table.column("flow"), flow.id))
    good = np.isin(rows.column("quality").to_numpy(), [int(code) for code in COUNTED])
    starts = rows.column("start").cast(pa.int64()).to_numpy()[good]
    values = rows.column("value").to_numpy()[good]
    if flow.semantics == "mean":
        rate = flow.unit.to("kW")
        values = values * rate * flow.step.hours
    else:
        values = values * flow.unit.to("kWh")
    begin = int((span.start - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    at = (starts - begin) // (step.seconds * 1_000_000)
    sums = np.bincount(at, values, minlength=count)
    seen = np.bincount(at, minlength=count)
    short = np.flatnonzero(seen < step.seconds // flow.step.seconds)
    if len(short):
        first = span.start + timedelta(seconds=int(short[0]) * step.seconds)
        raise DataQualityError(
            "settle.gap", flow=flow.id, count=len(short), total=count, first=f"{first:%Y-%m-%d %H:%M} UTC"
        )
    if (sums < 0.0).any():
        raise DataQualityError("settle.negative", flow=flow.id, count=int((sums < 0.0).sum()))
    return sums.astype(np.float64)


def names(territory: Territory, places: tuple[str, ...]) -> Mapping[str, str]:
    """The name for people of each place."""
    return {place: territory.places[place].name or place for place in places}
