# SPDX-License-Identifier: Apache-2.0
"""How sure a map is: multipliers of the share that each place has in a flow that is spread by a proxy.

Comes in: shares of places, samples of what sensors said of zones. Goes out: samples of shares that add up to one in every sample and whose
mean is the declared share where no sensor spoke. Flows of one sector that are spread by the same proxy share its error.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mangrove.measure.nowcast.inputs import Floats
from mangrove.measure.nowcast.model import sensed_names_of
from mangrove.measure.question import FLOW_COLUMNS
from mangrove.territory.model import Flow, Territory

_ROUNDS = 50
_EVEN = 1e-12
Member = tuple[str, tuple[str, ...], float]


@dataclass(frozen=True)
class Zones:
    """Errors of maps.

    Attributes:
        sd: of the log multiplier of a place, where nothing is measured; count: of samples; seed: of the random numbers.
        sensed: logs of multipliers from sensors by what was sensed and place: prior and posterior samples, shape (count,) each.
    """

    sd: float
    count: int
    seed: int
    sensed: Mapping[tuple[str, str], tuple[Floats, Floats]]

    def level(self, by: Sequence[str], territory: Territory) -> str:
        """The kind of place among columns that lies deepest; empty when there is none."""
        depth = {
            place.kind: sum(1 for _ in territory.ancestors(place.id)) for place in territory.places.values()
        }
        kinds = [column for column in by if column not in FLOW_COLUMNS]
        return max(kinds, key=lambda kind: depth.get(kind, 0), default="")

    def multipliers(
        self, level: str, members: Sequence[Member], by: Sequence[str], flows: Sequence[Flow]
    ) -> dict[tuple[str, tuple[str, ...]], Floats]:
        """Samples of the share of each flow in each group, shape (count,), for flows that are spread over several places."""
        column = list(by).index(level)
        declared = {flow.id: flow for flow in flows}
        of_flow: dict[str, list[Member]] = {}
        for member in members:
            of_flow.setdefault(member[0], []).append(member)
        found = {}
        for name, parts in of_flow.items():
            if declared[name].spread and len(parts) > 1:
                places = [group[column] for _, group, _ in parts]
                share = np.array([share for _, _, share in parts])
                drawn = self._shares(declared[name], places, share)
                found.update({(name, parts[i][1]): drawn[:, i] for i in range(len(parts))})
        return found

    def _shares(self, flow: Flow, places: Sequence[str], share: Floats) -> Floats:
        """Samples of shares, shape (count, places)."""
        prior = np.empty((self.count, len(places)))
        moved = np.zeros_like(prior)
        for number, place in enumerate(places):
            spoken = [
                self.sensed[name, place] for name in sensed_names_of(flow) if (name, place) in self.sensed
            ]
            if spoken:
                prior[:, number] = spoken[0][0]
                moved[:, number] = spoken[0][1] - spoken[0][0]
            else:
                prior[:, number] = self.sd * self._normal(f"{flow.sector} {flow.spread} {place}")
        level = share.copy()
        weight = np.exp(prior)
        for _ in range(_ROUNDS):
            drawn = weight * level
            drawn /= drawn.sum(axis=1, keepdims=True)
            mean = drawn.mean(axis=0)
            if np.abs(mean - share).max() < _EVEN:
                break
            level *= np.divide(share, mean, out=np.ones_like(share), where=mean > 0)
        drawn = np.exp(prior + moved) * level
        drawn /= drawn.sum(axis=1, keepdims=True)
        return np.asarray(drawn if moved.any() else drawn + (share - drawn.mean(axis=0)))

    def _normal(self, name: str) -> Floats:
        """Standard normal numbers of a place, plus and minus."""
        half = np.random.default_rng((self.seed, zlib.crc32(name.encode()))).standard_normal(self.count // 2)
        return np.concatenate([half, -half])
