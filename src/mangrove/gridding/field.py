# SPDX-License-Identifier: Apache-2.0
"""Emissions as profiles x maps: what a city emits in any zone and any hour, without ever holding the cube.

Comes in: for each class of emissions (a flow, a sector, a gas) a level, a profile over time and a map over zones. Goes out: series of a
zone, maps of an hour, totals of any span. The work is that of the classes, so an hourly year of a ward takes milliseconds. All arrays
belong to one library of the array API (NumPy, PyTorch, CuPy, ...); the maps may be sparse with NumPy.

`E[k, z, t] = levels[k] * maps[k, z] * profiles[k, t]`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import array_api_compat
import numpy as np
import scipy.sparse

from mangrove.errors import RequestError


@dataclass(frozen=True, eq=False)
class Field:
    """K classes over T steps and Z zones.

    Attributes:
        profiles: share of the level in each step, shape (K, T); a row adds up to one when its level is the total of all steps.
        maps: share of the level in each zone, shape (K, Z); a row adds up to the share that lies inside. May be a sparse array.
        levels: amount of each class, shape (K,), in any unit (kg).

    Raises:
        RequestError: `gridding.bad_shape` when the shapes do not fit.

    Example:
        >>> field = Field(np.array([[0.25, 0.75]]), np.array([[0.4, 0.6]]), np.array([100.0]))
        >>> field.zone(1).tolist(), field.total()
        ([15.0, 45.0], 100.0)
    """

    profiles: Any
    maps: Any
    levels: Any
    _sums: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        classes = self.levels.shape[0]
        shapes = (tuple(self.profiles.shape), tuple(self.maps.shape), tuple(self.levels.shape))
        if (
            [len(shape) for shape in shapes] != [2, 2, 1]
            or shapes[0][0] != classes
            or shapes[1][0] != classes
        ):
            raise RequestError("gridding.bad_shape", profiles=shapes[0], maps=shapes[1], levels=shapes[2])
        if scipy.sparse.issparse(self.maps):
            object.__setattr__(self, "maps", scipy.sparse.csc_array(self.maps))
        if self._sums is None:
            object.__setattr__(self, "_sums", self._prefix_sums())

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return int(self.profiles.shape[1])

    @property
    def zones(self) -> int:
        """Number of zones Z."""
        return int(self.maps.shape[1])

    def zone(self, zone: int, classes: Any = None) -> Any:
        """The series of one zone, shape (T,): of all classes, or of those whose positions are given."""
        share = self.maps[:, [zone]].toarray()[:, 0] if self._sparse else self.maps[:, zone]
        return self._mixed(self.levels * share, classes)

    def series(self, classes: Any = None) -> Any:
        """The series of all zones together, shape (T,)."""
        return self._mixed(self.levels * self._inside, classes)

    def at(self, step: int, classes: Any = None) -> Any:
        """The map of one step, shape (Z,)."""
        return self._map(self.profiles[:, step], classes)

    def over(self, first: int = 0, last: int | None = None, classes: Any = None) -> Any:
        """The map of the steps `[first, last)` together, shape (Z,); by prefix sums, whatever their number."""
        end = self.steps if last is None else last
        return self._map(self._sums[:, end] - self._sums[:, first], classes)

    def total(self, first: int = 0, last: int | None = None, classes: Any = None) -> float:
        """Everything in the steps `[first, last)`."""
        end = self.steps if last is None else last
        amounts = self.levels * self._inside * (self._sums[:, end] - self._sums[:, first])
        return float(self._xp.sum(self._taken(amounts, classes)))

    def maps_of(self, edges: Sequence[int], classes: Any = None) -> Iterator[Any]:
        """One map of shape (Z,) for each pair of neighbors in `edges`, one after the other."""
        for first, last in pairwise(edges):
            yield self.over(first, last, classes)

    def only(self, classes: Any) -> Field:
        """The field of some of the classes, by their positions."""
        picked = [self._taken(part, classes) for part in (self.profiles, self.maps, self.levels)]
        return Field(*picked)

    def scaled(self, levels: Any) -> Field:
        """The same profiles and maps with other levels: what a new meter reading or another gas changes."""
        return replace(self, levels=levels)

    @property
    def _xp(self) -> Any:
        return array_api_compat.array_namespace(self.levels)

    @property
    def _sparse(self) -> bool:
        return bool(scipy.sparse.issparse(self.maps))

    @property
    def _inside(self) -> Any:
        """Share of each class that lies in any zone, shape (K,)."""
        return np.asarray(self.maps.sum(axis=1)) if self._sparse else self._xp.sum(self.maps, axis=1)

    def _prefix_sums(self) -> Any:
        """Sums of the profiles before each step, shape (K, T + 1)."""
        xp = self._xp
        zero = xp.zeros(
            (self.profiles.shape[0], 1),
            dtype=self.profiles.dtype,
            device=array_api_compat.device(self.profiles),
        )
        return xp.concat([zero, xp.cumulative_sum(self.profiles, axis=1)], axis=1)

    def _taken(self, part: Any, classes: Any) -> Any:
        if classes is None:
            return part
        if scipy.sparse.issparse(part):
            return part[np.asarray(classes), :]
        xp = self._xp
        return xp.take(
            part, xp.asarray(classes, dtype=xp.int64, device=array_api_compat.device(part)), axis=0
        )

    def _mixed(self, amounts: Any, classes: Any) -> Any:
        """Profiles added up with the weights `amounts`, shape (T,)."""
        return self._xp.matmul(self._taken(amounts, classes), self._taken(self.profiles, classes))

    def _map(self, shares: Any, classes: Any) -> Any:
        """Maps added up, each by the share of its level, shape (Z,)."""
        amounts = self._taken(self.levels * shares, classes)
        maps = self._taken(self.maps, classes)
        return amounts @ maps if self._sparse else self._xp.matmul(amounts, maps)
