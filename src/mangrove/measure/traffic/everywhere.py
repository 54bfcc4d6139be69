# SPDX-License-Identifier: Apache-2.0
"""The state of all streets of a network: what is observed, and beside it an estimate of what nobody counts.

Comes in: a `LinkState` of observed streets with their network. Goes out: a `LinkState` of all edges that vehicles may use; those without
a count are marked `Basis.ESTIMATED`, follow the clock of the observed ones, and keep the error that counts held back have shown.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, Problem
from mangrove.measure.traffic.state import Basis, LinkState, bearable
from mangrove.measure.traffic.streets import Floats
from mangrove.rules.roads import motorcycle_units
from mangrove.territory.model import Territory
from mangrove.traffic.crossings import link_lengths
from mangrove.traffic.uncounted import Everywhere, estimate

_PER_HOUR = 12


def everywhere(territory: Territory, state: LinkState, *, seed: int = 0) -> LinkState:
    """The state with the streets that nobody counts.

    Raises:
        DataQualityError: `vehicles.whole_network` (no network is declared), `vehicles.too_few_counts`.
        RequestError: `vehicles.too_long`.
    """
    net = state.streets.net
    if net is None:
        raise DataQualityError("vehicles.whole_network")
    bearable(len(state.starts), len(net), len(state.classes))
    units = np.array([motorcycle_units(name) for name in state.classes])
    known = state.basis != Basis.MISSING
    cells = np.maximum(known.sum(axis=0), 1)
    counts = (state.flow @ units).sum(axis=0) / cells * _PER_HOUR
    seen = known.any(axis=0)
    found = estimate(net, state.streets.edges[seen], counts[seen], seed=seed)
    counted = np.isin(np.arange(len(net)), state.streets.edges)
    other = np.flatnonzero(
        np.isfinite(found.flow) & (found.flow > 0) & ~counted & np.isfinite(found.speed)
    ).astype(np.int64)
    return _joined(territory, state, found, other, units)


def _joined(
    territory: Territory, state: LinkState, found: Everywhere, other: npt.NDArray[np.int64], units: Floats
) -> LinkState:
    """Observed and estimated links one after the other."""
    net, streets = state.streets.net, state.streets
    assert net is not None
    km = state.vehicle_km.sum(axis=(0, 1))
    shares = km / km.sum()
    clock = _clock(state, units)
    vehicles = found.flow[other] / (shares @ units) / _PER_HOUR
    flow = clock[:, None, None] * vehicles[:, None] * shares
    shape = flow.shape
    basis = np.where((state.basis != Basis.MISSING).any(axis=1), Basis.ESTIMATED, Basis.MISSING).astype(
        np.uint8
    )
    root = next(place.id for place in territory.places.values() if place.parent is None)
    more = replace(
        streets,
        ids=streets.ids + tuple(net.ids[edge] for edge in other),
        length=np.concatenate([streets.length, link_lengths(net)[other]]),
        limit=np.concatenate([streets.limit, net.speed[other]]),
        edges=np.concatenate([streets.edges, other]).astype(np.int32),
        places=streets.places + (root,) * len(other),
    )
    note = Problem(
        "vehicles.estimated",
        {"count": len(other), "error": f"{found.error:.0%}", "distance": f"{found.distance_error:.0%}"},
        severity="note",
    )
    speed = np.broadcast_to(found.speed[other][:, None], shape)
    return replace(
        state,
        streets=more,
        flow=np.concatenate([state.flow, flow], axis=1),
        speed=np.concatenate([state.speed, speed], axis=1),
        flow_error=np.concatenate([state.flow_error, np.zeros(shape)], axis=1),
        speed_error=np.concatenate([state.speed_error, np.zeros(shape)], axis=1),
        by_total=np.concatenate([state.by_total, np.zeros(len(other), dtype=bool)]),
        basis=np.concatenate([state.basis, np.repeat(basis[:, None], len(other), axis=1)], axis=1),
        link_error=np.concatenate([state.link_error, np.full(len(other), found.error)]),
        common_error=np.concatenate([state.common_error, np.full(len(other), found.distance_error)]),
        problems=(*state.problems, note),
    )


def _clock(state: LinkState, units: Floats) -> Floats:
    """(T,) flow of the streets that are known then, over their own means; 0 where none is."""
    known = state.basis != Basis.MISSING
    flow = (state.flow @ units) * known
    mean = flow.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    usual = known @ mean
    found: Floats = np.divide(flow.sum(axis=1), usual, out=np.zeros(len(flow)), where=usual > 0)
    return found
