# SPDX-License-Identifier: Apache-2.0
"""Which way a wind direction is meant: the convention under which the readings hang together with the wind.

Comes in: readings of sensors, speeds, and directions as they were written. Goes out: how well each convention explains the readings,
and a problem when the declared one does not and another does. Nothing is turned silently: the declaration is for people to mend.

A direction may say where the wind comes from or goes to, clockwise from north (`from`, `toward`) or as an angle counter-clockwise from east
(`angle_toward`, `angle_from`), in degrees or radians. Read the wrong way, plume and data decorrelate and a rate is garbage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem, RequestError, Sentence, did_you_mean
from mangrove.inference.plume import Winds, footprint, path_footprint

Floats = npt.NDArray[np.float64]

CONVENTIONS = ("from", "toward", "angle_toward", "angle_from")
SURE = 2.0
"""Standard errors by which another convention must fit better, over blocks of time, before the declared one is called wrong."""
LEAST_SHARE = 0.1
"""Share of the readings' variance that a convention must explain before it is taken for right."""
_BLOCKS = 24
_MORE = 1.5
_CELLS = 24
_TURN = 2 * math.pi


@dataclass(frozen=True, slots=True)
class Fit:
    """How one convention does: the share of the readings' variance that the best single source explains, and where it would be."""

    convention: str
    unit: str
    explained: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What the readings say about the convention.

    Attributes:
        fits: of every convention, the best first; declared: the one that was declared.
        ahead: standard errors, over blocks of time, by which the best fits better than the declared one; 0 when that is the best.
    """

    fits: tuple[Fit, ...]
    declared: Fit
    ahead: float

    @property
    def best(self) -> Fit:
        """The convention that fits best."""
        return self.fits[0]

    @property
    def wrong(self) -> bool:
        """Whether another convention fits clearly better."""
        return self.best is not self.declared and self.ahead > SURE and self._clear(self.declared)

    @property
    def decided(self) -> bool:
        """Whether the readings support the declared convention and no other about as well."""
        return self.best is self.declared and all(self._clear(fit) for fit in self.fits[1:])

    def _clear(self, other: Fit) -> bool:
        """Whether the best explains enough, and half as much again as another."""
        return self.best.explained > max(LEAST_SHARE, _MORE * other.explained)

    def problem(self) -> Problem:
        """The finding as a sentence: an error when the declaration is wrong, a note when it fits or nothing can be said."""
        other = self.fits[1] if self.best is self.declared else self.best
        data = {
            "declared": _named(self.declared),
            "share": round(100 * self.declared.explained),
            "best": _named(other),
            "best_share": round(100 * other.explained),
            "ahead": round(self.ahead, 1),
        }
        if self.wrong:
            return Problem("locate.wrong_convention", data, severity="error")
        code = "locate.convention_fits" if self.decided else "locate.convention_open"
        return Problem(code, data, severity="note")


def _named(fit: Fit) -> Sentence:
    return Sentence(f"locate.wind_{fit.convention}_{fit.unit}")


def toward(direction: npt.ArrayLike, convention: str = "from", unit: str = "deg") -> tuple[Floats, Floats]:
    """Unit vectors (east, north) that the air moves to.

    Raises:
        RequestError: an unknown convention.

    Example:
        >>> east, north = toward([270.0], "from")
        >>> float(east[0].round(9)), float(abs(north[0]).round(9))
        (1.0, 0.0)
    """
    if convention not in CONVENTIONS:
        raise RequestError(
            "locate.no_such_convention", text=convention, hint=did_you_mean(convention, CONVENTIONS),
            options=", ".join(CONVENTIONS),
        )  # fmt: skip
    angle = np.asarray(direction, dtype=float)
    angle = np.radians(angle) if unit == "deg" else angle
    sine, cosine = np.sin(angle), np.cos(angle)
    east, north = (cosine, sine) if convention.startswith("angle") else (sine, cosine)
    sign = -1.0 if convention in {"from", "angle_from"} else 1.0
    return sign * east, sign * north


def conventions(
    values: Floats,
    starts: Floats,
    ends: Floats,
    direction: npt.ArrayLike,
    winds: Winds,
    *,
    box: tuple[float, float, float, float] | None = None,
    places: npt.ArrayLike | None = None,
    declared: str = "from",
    unit: str = "deg",
) -> Finding:
    """Compares the conventions: under each, the best single source is sought and the readings it explains are counted.

    With the source unknown, one point sensor cannot tell from where to: the source is then mirrored. Several sensors around it can, and so
    can known `places` of sources.

    Args:
        values: (m, T) readings, NaN where there is none.
        starts: (m, 3) positions of points or instruments, m.
        ends: (m, 3) of reflectors; a point has the same twice.
        direction: (T,) as written.
        winds: speeds, mixing and classes; its directions are not looked at.
        box: where the source may be: x0, y0, x1, y1 in m; needed without `places`.
        places: (n, 3) known places of sources, in the place of a box.
        declared: the convention that was declared.
        unit: `deg` or `rad`.

    Raises:
        RequestError: neither box nor places.
    """
    spots = _spots(box, places)
    written = np.asarray(direction, dtype=float)
    units = ["deg", "rad"] if np.nanmax(np.abs(written)) <= _TURN + 1e-6 else [unit]
    fits, left = [], {}
    for one in dict.fromkeys([unit, *units]):
        for name in CONVENTIONS:
            east, north = toward(written, name, one)
            fit, blocks = _fit(values, starts, ends, replace(winds, toward_x=east, toward_y=north), spots)
            fits.append(Fit(name, one, *fit))
            left[name, one] = blocks
    fits.sort(key=lambda fit: -fit.explained)
    own = next(fit for fit in fits if (fit.convention, fit.unit) == (declared, unit))
    gain = left[own.convention, own.unit] - left[fits[0].convention, fits[0].unit]
    error = gain.std(ddof=1) * math.sqrt(len(gain))
    return Finding(tuple(fits), own, float(gain.sum() / error) if error > 0 else 0.0)


def _spots(box: tuple[float, float, float, float] | None, places: npt.ArrayLike | None) -> Floats:
    """Places at which a source is tried, (n, 3)."""
    if places is not None:
        return np.atleast_2d(np.asarray(places, dtype=float))
    if box is None:
        raise RequestError("locate.empty_area")
    x = np.linspace(box[0], box[2], 2 * _CELLS + 1)[1::2]
    y = np.linspace(box[1], box[3], 2 * _CELLS + 1)[1::2]
    east, north = np.meshgrid(x, y)
    return np.column_stack([east.ravel(), north.ravel(), np.ones(east.size)])


def _fit(
    values: Floats, starts: Floats, ends: Floats, winds: Winds, spots: Floats
) -> tuple[tuple[float, float, float], Floats]:
    """Explained share and place of the best source, and what it leaves unexplained in each block of time."""
    path = np.any(starts != ends, axis=1)
    seen = np.empty((len(starts), len(winds), len(spots)))
    if path.any():
        seen[path] = path_footprint(starts[path], ends[path], spots, winds, pieces=8)
    if not path.all():
        seen[~path] = footprint(starts[~path], spots, winds)
    there = np.isfinite(values)
    weight = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    y = np.where(there, values - (np.nan_to_num(values) * weight).sum(axis=1, keepdims=True), 0.0)
    limit = 3 * np.sqrt((y**2).sum() / max(there.sum(), 1))
    y = np.clip(y, -limit, limit)  # a few spikes do not choose the convention
    h = np.where(there[..., None], seen - (seen * weight[..., None]).sum(axis=1, keepdims=True), 0.0)
    cross, power = np.einsum("mt,mtn->n", y, h), np.einsum("mtn,mtn->n", h, h)
    rate = np.maximum(cross, 0.0) / np.where(power > 0, power, np.inf)
    explained = rate * cross / max(float((y**2).sum()), np.finfo(float).tiny)  # nothing varies: 0, no warning
    best = int(np.argmax(explained))
    losses = np.abs(y - rate[best] * h[..., best]).sum(axis=0)
    blocks = np.array([part.sum() for part in np.array_split(losses, min(_BLOCKS, len(losses)))])
    return (float(explained[best]), float(spots[best, 0]), float(spots[best, 1])), blocks
