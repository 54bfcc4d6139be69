# SPDX-License-Identifier: Apache-2.0
"""The clock of flexible loads: in which window each step of a plan lies, which runs are still due today, which have begun.

Comes in: the steps of a plan, the state, declared windows and runs. Goes out: the `Moment` that `mangrove.operate.machines` builds
from. Windows and days begin by the meter's clock, not by the plan's first step: a plan that is made anew every quarter of an hour would
otherwise put everything off for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mangrove.operate.machines import Moment
from mangrove.operate.state import HOUR_SECONDS, State
from mangrove.operate.units import Unit

if TYPE_CHECKING:
    from mangrove.operate.plan import Layout
    from mangrove.operate.site import Site

Floats = npt.NDArray[np.float64]
DAY_HOURS = 24.0
_SMALL = 1e-6


def moment_of(
    site: Site,
    layout: Layout,
    state: State,
    series: Mapping[str, Floats],
    *,
    lead: int,
    offset: int,
    worth: Mapping[str, float],
) -> Moment:
    """What the units of a site need to know of a round.

    Args:
        site: with its units.
        layout: the steps of the plan.
        state: now.
        series: (S, T) by name.
        lead: steps of the plan that are over.
        offset: seconds by which the meter's clock is ahead of UTC.
        worth: money per unit of each carrier.
    """
    begin = int(state.at.astype("datetime64[s]").astype(np.int64)) - lead * layout.seconds
    local = begin + offset + layout.edges[:-1] * layout.seconds
    windows, days, going = {}, {}, {}
    for unit in site.units:
        if unit.kind == "shiftable_load":
            number = windows_of(local, unit.values["window"])
            windows[unit.id] = np.maximum(number - number[lead], 0)
        elif unit.kind == "batch":
            days[unit.id], going[unit.id] = runs_of(
                unit, layout, begin + offset, lead, state.done.get(unit.id, 0.0)
            )
    return Moment(series, state.levels, lead, windows, state.owed, days, going, worth)


def windows_of(local: npt.NDArray[np.int64], hours: float) -> npt.NDArray[np.int64]:
    """(T,) number of the window in which each second of a clock lies.

    Example:
        >>> windows_of(np.array([0, 5 * 3600, 6 * 3600]), 6.0).tolist()
        [0, 0, 1]
    """
    found: npt.NDArray[np.int64] = np.floor(local / (hours * HOUR_SECONDS) + 1e-9).astype(np.int64)
    return found


def runs_of(
    unit: Unit, layout: Layout, local: int, lead: int, done: float
) -> tuple[list[tuple[float, float, float]], Floats]:
    """(first hour, last hour, runs) of each day that ends inside the horizon, and (T,) kW of a run that has begun.

    The runs of a batch are those of a day by the meter's clock; a day whose last hour lies behind the horizon is planned later.

    Args:
        unit: the batch; `earliest` and `latest` are hours of the day.
        layout: the steps.
        local: seconds by the meter's clock at which the horizon begins; lead: steps of it that are over.
        lead: see `local`.
        done: kWh that its runs have drawn today.
    """
    v, step = unit.values, layout.seconds / HOUR_SECONDS
    horizon = float(layout.hours.sum())
    midnight = -(((local + lead * layout.seconds) % (24 * HOUR_SECONDS)) / HOUR_SECONDS) + lead * step
    length = max(1, round(v["duration"] / step))
    count, part = divmod(done / (v["power"] * length * step), 1.0) if v["power"] > 0 else (0.0, 0.0)
    going = np.zeros(len(layout.hours))
    left = v["runs"] - count - part
    if unit.values.word("whole") == "yes" and _SMALL < part < 1.0 - _SMALL:
        going[lead : lead + round((1.0 - part) * length)] = v["power"]
        left = v["runs"] - count - 1.0
    first, last = v.get("earliest", 0.0), min(v.get("latest", DAY_HOURS), DAY_HOURS)
    found = [(midnight + first, midnight + last, max(left, 0.0))]
    day = midnight + DAY_HOURS
    while day + last <= horizon + _SMALL:
        found.append((day + first, day + last, v["runs"]))
        day += DAY_HOURS
    return found, going
