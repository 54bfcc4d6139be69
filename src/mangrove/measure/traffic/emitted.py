# SPDX-License-Identifier: Apache-2.0
"""What the observed streets emit: amounts of all links, those counted by class and those split by shares alike.

Comes in: a `LinkState` and factor curves of its classes. Goes out: `Amounts` with the errors of cells and links.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mangrove.measure.traffic.state import LinkState
from mangrove.traffic.emissions import Amounts, Factors, of_classes, of_total


def emitted(state: LinkState, factors: Factors) -> Amounts:
    """Grams (kWh) of every cell; the classes of `factors` are those of the state."""
    cells, links = state.flow.shape[:2]
    pollutants = len(factors.pollutants)
    mass = np.zeros((*state.flow.shape, pollutants))
    own, link = np.zeros((2, cells, links, pollutants))
    for part, reckon in ((~state.by_total, _classed), (state.by_total, _shared)):
        if part.any():
            made = reckon(state, part, factors)
            mass[:, part], own[:, part], link[:, part] = made.mass, made.own, made.link
    stays = mass.sum(axis=2) * state.link_error[:, None]
    shared = mass.sum(axis=2) * state.common_error[:, None]
    return Amounts(mass, own, np.hypot(link, stays), shared)


def _classed(state: LinkState, links: npt.NDArray[np.bool_], factors: Factors) -> Amounts:
    """Links that are counted by class."""
    return of_classes(
        state.flow[:, links],
        state.speed[:, links],
        state.streets.length[links],
        factors,
        limit=state.streets.limit[links],
        flow_error=state.flow_error[:, links],
        speed_error=state.speed_error[:, links],
    )


def _shared(state: LinkState, links: npt.NDArray[np.bool_], factors: Factors) -> Amounts:
    """Links whose vehicles are split by shares."""
    return of_total(
        state.flow[:, links].sum(axis=2),
        state.shares,
        state.speed[:, links],
        state.streets.length[links],
        factors,
        limit=state.streets.limit[links],
        flow_error=state.flow_error[:, links].max(axis=2, initial=0.0),
        speed_error=state.speed_error[:, links],
        mix_error=state.mix_error,
    )
