# SPDX-License-Identifier: Apache-2.0
"""The map in time: the amounts of places over the steps of a span, as few numbers as they are made of.

Comes in: the flows of a map, where each of them lies, and a step. Goes out: frames. Each flow is one course over time, each place a mix of
courses, so a city of a hundred wards and a month of hours is a table of courses and a table of shares: value[t, z] = sum over k of
course[k, t] share[k, z]. Whoever may not see single flows gets courses of the places that may be shown, and no others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.serve.map_values import Asked, Field, MapValues, area_of, shown_rows
from mangrove.serve.view import View
from mangrove.territory.model import Place
from mangrove.times import Span, Step, instant

Floats = npt.NDArray[np.float64]
Stakes = Mapping[str, Mapping[str, float]]
STEPS = {"hour": ("1h", 1.0), "day": ("1d", 24.0), "month": ("1mo", 744.0)}
"""The steps of a map in time by their words in the address, with their hours at most."""
MOST = 750
"""Frames of one map: the hours of a month."""


@dataclass(frozen=True)
class Frames:
    """The steps of a map.

    Attributes:
        starts: UTC; end: of the last one; index: which one is shown; every: the word of the step.
        places: ids; courses: (K, T) t CO2e, NaN where nothing is known; shares: (K, Z) of each place in each course, in the unit asked for.
    """

    starts: tuple[datetime, ...]
    end: datetime
    index: int
    every: str
    places: tuple[str, ...]
    courses: Floats
    shares: Floats

    @property
    def span(self) -> Span:
        """The step that is shown."""
        return Span(self.starts[self.index], (*self.starts[1:], self.end)[self.index])

    def instants(self, tz: ZoneInfo) -> list[tuple[str, datetime]]:
        """The steps, as the address writes them, with their starts."""
        return [(f"{start.astimezone(tz):%Y-%m-%dT%H:%M}", start) for start in self.starts]

    @cached_property
    def values(self) -> Floats:
        """(T, Z) amounts of all places, NaN where nothing is known."""
        known = np.isfinite(self.courses)
        total = np.where(known, self.courses, 0.0).T @ self.shares
        return np.where(known.T.astype(float) @ np.abs(self.shares) > 0, total, np.nan)

    def json(self) -> dict[str, Any]:
        """The courses and the shares, six digits each; what is not known is null."""
        return {
            "every": self.every,
            "starts": list(self.starts),
            "end": self.end,
            "shown": self.index,
            "courses": [[_short(value) for value in row] for row in self.courses.tolist()],
            "shares": [
                {place: _short(share) for place, share in zip(self.places, row, strict=True) if share}
                for row in self.shares.tolist()
            ],
        }


def steps_of(span: Span) -> tuple[str, ...]:
    """The words of the steps that a span can be cut into: more than one of them, and not more than `MOST`.

    Example:
        >>> from datetime import UTC, datetime
        >>> steps_of(Span(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)))
        ('hour', 'day')
    """
    return tuple(word for word, (_, hours) in STEPS.items() if 1 < math.ceil(span.hours / hours) <= MOST)


def frames(field: Field, found: MapValues, stakes: Stakes, every: str) -> Frames | None:
    """The steps of the span of a field; None when nothing in it has a value.

    Args:
        field: the flows of the map.
        found: what the map of the whole span shows, with what its reader may not see left out.
        stakes: share of each place in each flow.
        every: a word of `STEPS`.

    Raises:
        RequestError: `page_map.too_many_frames`, `live.bad_period` for an instant that is none.
    """
    view = field.view
    if every not in steps_of(view.span):
        options = ", ".join(steps_of(view.span)) or "–"
        raise RequestError("page_map.too_many_frames", every=every[:20], most=MOST, options=options)
    starts, flows, amounts = _amounts(field, every)
    places = [cell.place for cell in found.cells]
    ids = tuple(place.id for place in places)
    courses, shares = _ranks(flows, amounts, stakes, ids)
    if not view.scope.whole:
        values = Frames(tuple(starts), view.span.end, 0, every, ids, courses, shares).values
        courses, shares = _told(field, found, stakes, flows, amounts, values)
    told = np.flatnonzero(np.isfinite(courses).any(axis=0)) if len(courses) else np.array([], int)
    if not len(told):
        return None
    first, last = int(told[0]), int(told[-1]) + 1
    end = starts[last] if last < len(starts) else view.span.end
    scale = np.nan_to_num(np.array([_per(place, found.asked) for place in places]))
    kept = tuple(starts[first:last])
    return Frames(kept, end, _index(view, kept), every, ids, courses[:, first:last], shares * scale)


def _amounts(field: Field, every: str) -> tuple[list[datetime], list[str], Floats]:
    """Starts, flows, and (K, T) tonnes of each flow in each step; NaN without values."""
    view = field.view
    step = Step.parse(STEPS[every][0])
    starts = step.starts(view.span, view.tz)
    table = field.live.table(field.result, by=["flow"], every=step, with_uncertainty=False)
    names = table.column("flow").to_pylist()
    flows = [name for name in dict.fromkeys(names) if name in field.flows]
    row = {name: number for number, name in enumerate(flows)}
    found = np.full((len(flows), len(starts)), np.nan)
    column = {moment: number for number, moment in enumerate(starts)}
    for name, moment, kg in zip(
        names, table.column("start").to_pylist(), table.column("co2e_kg").to_pylist(), strict=True
    ):
        if name in row and moment in column and kg is not None:
            found[row[name], column[moment]] = kg / 1000
    return starts, flows, found


def _ranks(
    flows: Sequence[str], amounts: Floats, stakes: Stakes, places: Sequence[str]
) -> tuple[Floats, Floats]:
    """Courses and shares: flows that lie in the same places with the same shares are one course."""
    patterns: dict[tuple[tuple[str, float], ...], list[int]] = {}
    for number, flow in enumerate(flows):
        if stake := stakes.get(flow):
            patterns.setdefault(tuple(sorted(stake.items())), []).append(number)
    where = {place: number for number, place in enumerate(places)}
    courses, shares = (
        np.full((len(patterns), amounts.shape[1]), np.nan),
        np.zeros((len(patterns), len(places))),
    )
    for row, (pattern, members) in enumerate(patterns.items()):
        known = np.isfinite(amounts[members]).any(axis=0)
        courses[row] = np.where(known, np.nansum(amounts[members], axis=0), np.nan)
        for place, share in pattern:
            shares[row, where[place]] = share
    return courses, shares


def _told(  # noqa: PLR0917 - private
    field: Field, found: MapValues, stakes: Stakes, flows: Sequence[str], amounts: Floats, values: Floats
) -> tuple[Floats, Floats]:
    """A course for each place that may be shown, with gaps at the steps at which it may not be."""
    scope = field.view.scope
    open_to = np.array([not cell.hidden for cell in found.cells], dtype=bool)
    masked = np.where(open_to, values, np.nan)
    if scope.suppresses:
        masked[~_disclosed(field, found, stakes, flows, amounts, values)] = np.nan
    kept = np.flatnonzero(np.isfinite(masked).any(axis=0))
    return masked[:, kept].T, np.eye(masked.shape[1])[kept]


def _disclosed(  # noqa: PLR0917 - private
    field: Field, found: MapValues, stakes: Stakes, flows: Sequence[str], amounts: Floats, values: Floats
) -> npt.NDArray[np.bool_]:
    """(T, Z) which places may be told at which step, each step for itself.

    What is told hangs on which flows are known and zero, and on the order of the places by size, so steps that are alike in these
    are decided once.
    """
    rows = [cell.place.id for cell in found.cells]
    told = np.zeros(values.shape, dtype=bool)
    if field.view.place or field.asked.sector:
        return told
    nowhere = [number for number, flow in enumerate(flows) if flow in stakes and not stakes[flow]]
    rest = np.nansum(amounts[nowhere], axis=0)
    sizes = np.column_stack([np.abs(np.nan_to_num(values, nan=np.inf)), np.abs(rest)])
    order = np.argsort(sizes, axis=1, kind="stable")
    decided: dict[bytes, npt.NDArray[np.bool_]] = {}
    for step in range(len(values)):
        now = amounts[:, step]
        key = np.isfinite(now).tobytes() + (now == 0).tobytes() + order[step].tobytes()
        if key not in decided:
            known = {
                name: float(amount) for name, amount in zip(flows, now, strict=True) if np.isfinite(amount)
            }
            shown = shown_rows(field.view.scope, known, stakes, rows)
            decided[key] = np.array([row in shown for row in rows], dtype=bool)
        told[step] = decided[key]
    return told


def _per(place: Place, asked: Asked) -> float:
    """What an amount of a place is multiplied with; NaN when the place has no such number."""
    by = {"none": 1.0, "person": place.population, "area": area_of(place) if asked.norm == "area" else 0}[
        asked.norm
    ]
    return 1 / by if by else math.nan


def _index(view: View, starts: Sequence[datetime]) -> int:
    """The step that holds the instant of the address, or now; the first or the last one when it lies outside."""
    said = view.params.get("t", "")
    try:
        moment = instant(said, view.tz) if said else view.now
    except (ValueError, OverflowError, RequestError):
        raise RequestError("page_map.bad_instant", text=said[:40]) from None
    return max(sum(start <= moment for start in starts) - 1, 0)


def _short(value: float) -> float | None:
    """Six digits; None for what is not a number."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
