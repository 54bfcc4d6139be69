# SPDX-License-Identifier: Apache-2.0
"""The carbon intensity of the electricity that each zone of a grid consumes, hour by hour, with the exchanges between zones traced.

Comes in: a territory whose places of kind `grid_zone` declare generation by source and flows of electricity from zone to zone, and what
was measured. Goes out: for each zone and hour what a kWh generated there emits, what a kWh consumed there emits, and how much of the
latter came from the zone itself. An hour in which something upstream was not measured is a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import RequestError
from mangrove.inference import flow_tracing
from mangrove.inference.power import Window, power
from mangrove.ledger import Snapshot
from mangrove.measure.grid_intensity import SOURCES, direct_factors
from mangrove.territory.model import Flow, Territory
from mangrove.times import Span

Floats = npt.NDArray[np.float64]
ZONE = "grid_zone"
COLUMNS = (
    "zone",
    "start",
    "produced_kg_per_kwh",
    "consumed_kg_per_kwh",
    "own_share",
    "net_import_mwh",
    "coverage",
)
_HOUR = 3600
_MWH = 1e-3


@dataclass(frozen=True)
class Zones:
    """What a territory declares of a grid in zones.

    Attributes:
        ids: places of kind `grid_zone`, in file order; generation: by zone, the flows of each source.
        exchanges: flows of electricity from a zone to another.
    """

    ids: tuple[str, ...]
    generation: dict[str, list[tuple[str, Flow]]]
    exchanges: tuple[Flow, ...]


def zones_of(territory: Territory) -> Zones:
    """The zones, their generation and their exchanges."""
    ids = tuple(place.id for place in territory.places.values() if place.kind == ZONE)
    generation: dict[str, list[tuple[str, Flow]]] = {one: [] for one in ids}
    exchanges = []
    for flow in territory.flows.values():
        if flow.carrier.kind != "electricity" or flow.place not in generation:
            continue
        if flow.to_place is not None:
            if flow.to_place in generation:
                exchanges.append(flow)
        elif flow.carrier.code in SOURCES and not flow.carrier.level:
            generation[flow.place].append((flow.carrier.code, flow))
    return Zones(ids, generation, tuple(exchanges))


def zone_intensity(snapshot: Snapshot, territory: Territory, span: Span) -> pa.Table:
    """The intensity of each zone and hour of `span`.

    The direct factors of the sources are those of the national grid (`direct_factors`); energy without a factor of its own takes the
    mean of its zone, and `coverage` says how much of what is consumed has one.

    Returns:
        Columns zone, start (UTC), produced_kg_per_kwh and consumed_kg_per_kwh (null: not known), own_share (of the consumption that was
        generated in the zone), net_import_mwh, coverage.

    Raises:
        RequestError: `gridcarbon.no_zones`: no place of kind `grid_zone` has generation.
    """
    zones = zones_of(territory)
    if not any(zones.generation.values()):
        raise RequestError("gridcarbon.no_zones")
    start = np.datetime64(span.start.replace(tzinfo=None) - span.start.utcoffset(), "s")  # type: ignore[operator]
    hours = max(round((span.end - span.start).total_seconds() / _HOUR), 1)
    window = Window(start, _HOUR, hours)
    made, carbon, known = _generation(snapshot, zones, window)
    exchange = _exchange(snapshot, zones, window)
    with np.errstate(invalid="ignore", divide="ignore"):
        produced = carbon / known
        covered = known / made
    shares = flow_tracing.origins(made, exchange)
    own = np.diagonal(shares, axis1=1, axis2=2)
    columns = {
        "produced_kg_per_kwh": produced,
        "consumed_kg_per_kwh": flow_tracing.trace(made, produced, exchange),
        "own_share": own,
        "net_import_mwh": (flow_tracing.consumed(made, exchange) - made) * _MWH,
        "coverage": flow_tracing.trace(made, covered, exchange),
    }
    starts = start.astype("datetime64[us]").astype(np.int64) + np.arange(hours) * _HOUR * 1_000_000
    moments = pa.array(np.tile(starts, len(zones.ids))).cast(pa.timestamp("us", tz="UTC"))
    table = {"zone": pa.array(np.repeat(np.array(zones.ids, dtype=object), hours)), "start": moments}
    for name, values in columns.items():
        flat = np.ascontiguousarray(values.T).ravel()
        table[name] = pa.array(flat, mask=np.isnan(flat))
    return pa.table(table).select(COLUMNS)


def _generation(snapshot: Snapshot, zones: Zones, window: Window) -> tuple[Floats, Floats, Floats]:
    """KWh generated, kg emitted, and kWh with a factor, (T, Z) each; NaN where a declared source was not measured."""
    factors = direct_factors()
    made = np.zeros((window.steps, len(zones.ids)))
    carbon, known = made.copy(), made.copy()
    for z, zone in enumerate(zones.ids):
        for source, flow in zones.generation[zone]:
            energy = power(snapshot, flow, window).power
            made[:, z] += energy
            value = factors[source].value
            if value is not None:
                carbon[:, z] += energy * value
                known[:, z] += energy
    return made, carbon, known


def _exchange(snapshot: Snapshot, zones: Zones, window: Window) -> Floats:
    """KWh from the zone of the row to the zone of the column, (T, Z, Z); a negative reading flows the other way."""
    place = {zone: z for z, zone in enumerate(zones.ids)}
    found = np.zeros((window.steps, len(place), len(place)))
    for flow in zones.exchanges:
        assert flow.to_place is not None
        energy = power(snapshot, flow, window).power
        found[:, place[flow.place], place[flow.to_place]] += np.maximum(energy, 0.0)
        found[:, place[flow.to_place], place[flow.place]] += np.maximum(-energy, 0.0)
    return found
