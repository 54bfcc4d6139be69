# SPDX-License-Identifier: Apache-2.0
"""From the ledger to the arrays that a plan needs: mean kW on regular steps, whatever the unit and step of a flow.

Comes in: a snapshot, declared flows, a span of steps. Goes out: kW with NaN where nothing was measured, when a flow was read last, the
consumption that nobody controls by energy balance, and the levels that batteries must have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem, RequestError
from mangrove.inference.power import Series, Window, amount, count, kilowatt_hours, power, rate
from mangrove.ledger import Snapshot
from mangrove.operate.outlook import Grid
from mangrove.operate.site import Battery, Site
from mangrove.operate.supplies import counts
from mangrove.operate.units import ELECTRICITY, FLEXIBLE, STORES, Unit, electricity, kind_of, metered
from mangrove.territory.model import Territory

Floats = npt.NDArray[np.float64]
__all__ = [
    "Measured",
    "Series",
    "Window",
    "amount",
    "balance",
    "count",
    "guesses",
    "heard",
    "imported",
    "kilowatt_hours",
    "level",
    "measured",
    "power",
    "rate",
]


@dataclass(frozen=True, eq=False)
class Measured:
    """What the meters of a site say: kW by flow, and by the names of `Site.inputs`; when each flow was read last."""

    flows: Mapping[str, Series]
    grid: Grid

    @property
    def until(self) -> dict[str, np.datetime64 | None]:
        """The end of the last value of each flow."""
        return {name: one.until for name, one in self.flows.items()}


def measured(
    snapshot: Snapshot,
    territory: Territory,
    site: Site,
    window: Window,
    *,
    controlled: bool = False,
    planned: bool = False,
) -> Measured:
    """Everything that is metered at a site, and the consumption that nobody controls.

    Without a meter of its own that consumption is import - export + generation + discharge - charge (also of swap stations; - what vehicles take, when
    their charging is `controlled`).

    Args:
        snapshot: of the ledger.
        territory: as declared.
        site: what is metered.
        window: the steps.
        controlled: whether the vehicles' share is left out of the consumption.
        planned: a battery without meters was not there yet, and neither was one whose meters never said anything.

    Raises:
        RequestError: `operate.unmetered`, a part of the balance has no meter.
    """
    flows = {name: power(snapshot, territory.flows[name], window) for name in site.flows}
    for name, carrier in metered(site.units, site.needs).items():
        if counts(territory, name, carrier):
            flows[name] = rate(snapshot, territory.flows[name], window)
    asked = site
    site = replace(site, units=tuple(unit for unit in site.units if _spoke(unit, flows)))
    if planned:
        site = replace(site, batteries=tuple(b for b in site.batteries if was_there(b, flows)))
    values: dict[str, Floats] = {}
    if site.load_flows:
        values[site.load] = np.sum([flows[name].power for name in site.load_flows], axis=0)
    else:
        values[site.load] = balance(
            site, {name: one.power for name, one in flows.items()}, controlled=controlled
        )
    for station in site.stations:
        if station.demand_flow not in territory.flows:
            raise RequestError("operate.unmetered", place=site.place, id=f"{station.id} (demand_flow)")
        values[station.demand] = count(snapshot, territory.flows[station.demand_flow], window).power
    values.update(_asked(asked, flows))
    for generator in site.generators:
        name = generator.flow or generator.id
        if name not in flows:
            raise RequestError("operate.unmetered", place=site.place, id=generator.id)
        values[name] = np.maximum(flows[name].power, 0.0)
    return Measured(flows, Grid(window.start, window.seconds, values))


def _asked(site: Site, flows: Mapping[str, Series]) -> dict[str, Floats]:
    """Needs and demands of flexible loads, as far as their meters ever said anything; see `heard`."""
    names = [*(need.name for need in site.needs), *(unit.demand for unit in site.flexible)]
    return {
        name: np.maximum(flows[name].power, 0.0)
        for name in names
        if name in flows and flows[name].until is not None
    }


def heard(site: Site, meters: Measured) -> Site:
    """The site without needs and flexible loads whose meters never said anything; `gaps` names them."""
    names = {need.id: need.name for need in site.needs} | {unit.id: unit.demand for unit in site.flexible}
    silent = {
        id_ for id_, name in names.items() if name not in meters.flows or meters.flows[name].until is None
    }
    if not silent:
        return site
    notes = [
        Problem("operate.no_demand", {"place": site.place, "id": id_}, severity="note")
        for id_ in sorted(silent)
    ]
    needs = tuple(need for need in site.needs if need.id not in silent)
    units = tuple(unit for unit in site.units if unit.id not in silent)
    return replace(site, needs=needs, units=units, gaps=(*site.gaps, *notes))


def _spoke(unit: Unit, flows: Mapping[str, Series]) -> bool:
    """Whether the meter of a unit ever said anything."""
    flow = unit.values.word("flow")
    return flow in flows and flows[flow].until is not None


def was_there(battery: Battery, flows: Mapping[str, Series]) -> bool:
    """Whether the meters of a battery ever said anything."""
    named = [flows[flow] for flow in (battery.charge_flow, battery.discharge_flow) if flow]
    return any(one.until is not None for one in named)


def balance(site: Site, flows: Mapping[str, Floats], *, controlled: bool = False) -> Floats:
    """(T,) kW of consumption that nobody controls, by energy balance; never below zero, NaN where a meter is silent.

    A connection without a meter and with nothing but chargers and swap stations draws what these draw: what nobody controls
    there is the vehicles' share, and nothing when it is `controlled`. Without an export meter nothing was exported, and a
    battery or a unit without meters did nothing; `guesses` says so. What units take or give follows from what their meters count.
    """
    sockets = [charger.flow for charger in site.chargers]
    alone = not (site.generators or site.batteries) and sockets and all(sockets)
    if not site.import_flow and alone:
        drawn: Any = sum(flows[flow] for flow in sockets)
        return np.asarray(drawn * (0.0 if controlled else 1.0), dtype=np.float64)
    parts: list[tuple[str, str, float]] = [(site.place, site.import_flow, 1.0)]
    if site.exporting > 0 and site.export_flow:
        parts.append((site.place, site.export_flow, -1.0))
    parts += [(generator.id, generator.flow, 1.0) for generator in site.generators]
    for b in site.batteries:
        if b.charge_flow or b.discharge_flow:
            parts += [(b.id, b.charge_flow, -1.0), (b.id, b.discharge_flow, 1.0)]
    for one in site.stations:
        parts += [(one.id, one.charge_flow, -1.0)]
        parts += [(one.id, one.discharge_flow, 1.0)] if one.discharge_flow else []
    if controlled:
        parts += [(charger.id, charger.flow, -1.0) for charger in site.chargers]
    parts += [
        (unit.id, unit.values.word("flow"), share) for unit in site.units if (share := drawn_share(unit))
    ]
    total: Any = 0.0
    for id_, flow, sign in parts:
        if not flow:
            raise RequestError("operate.unmetered", place=site.place, id=id_)
        total = total + sign * flows[flow]
    load: Floats = np.maximum(total, 0.0)
    return load


def drawn_share(unit: Unit) -> float:
    """KW that a unit gives to the bus (negative: takes) per unit of what its `flow` counts."""
    if unit.kind in FLEXIBLE:
        return -1.0 if kind_of(unit.carrier) == ELECTRICITY else 0.0
    return electricity(unit) if unit.values.word("flow") and unit.kind not in STORES else 0.0


def imported(site: Site, meters: Measured) -> Floats:
    """(T,) kW drawn from the grid: its meter, or what the meters behind the connection add up to; NaN where they are silent."""
    if site.import_flow:
        return meters.flows[site.import_flow].power
    net = meters.grid.values[site.load] - sum(meters.grid.values[name] for name in site.generation)
    both = [(b.charge_flow, b.discharge_flow) for b in site.batteries]
    both += [(one.charge_flow, one.discharge_flow) for one in site.stations]
    for into, out in both:
        for flow, sign in ((into, 1.0), (out, -1.0)):
            if flow:
                net = net + sign * np.nan_to_num(meters.flows[flow].power)
    for unit in site.units:
        if _spoke(unit, meters.flows):
            net = net - drawn_share(unit) * np.nan_to_num(meters.flows[unit.values.word("flow")].power)
    drawn: Floats = np.maximum(net, 0.0)
    return drawn


def guesses(site: Site, flows: Mapping[str, Series]) -> Iterator[Problem]:
    """What the balance takes for nothing because nobody meters it, or because its meters never said anything."""
    if site.load_flows:
        return
    if site.exporting > 0 and not site.export_flow:
        yield Problem("operate.export_unmetered", {"place": site.place}, severity="note")
    for b in site.batteries:
        if not was_there(b, flows):
            yield Problem("operate.battery_unmetered", {"id": b.id}, severity="note")
    for unit in site.units:
        if unit.kind not in STORES and not _spoke(unit, flows):
            yield Problem("operate.unit_unmetered", {"id": unit.id}, severity="note")


def level(battery: Battery, charged: Floats, discharged: Floats, hours: float) -> float:
    """KWh in a battery after what its meters say, (T,) kW each.

    Nobody metered the level at the beginning, so both an empty and a full battery are followed, within what fits in; once
    the battery was full or empty the two are the same, and their mean is the answer.
    """
    gain = np.nan_to_num(charged) * battery.efficiency[0] - np.nan_to_num(discharged) / battery.efficiency[1]
    moves = gain * hours
    low, high = battery.floor, battery.energy
    keep = (1.0 - battery.loss) ** hours
    for move in moves.tolist():
        low = min(max(low * keep + move, battery.floor), battery.energy)
        high = min(max(high * keep + move, battery.floor), battery.energy)
    return (low + high) / 2.0
