# SPDX-License-Identifier: Apache-2.0
"""What a nowcast rests on, how old it is, what is missing, and what people should know about it.

Comes in: an `Estimate`. Goes out: `Known` facts with their age and lateness, totals that are not there yet, and notes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mangrove.errors import Problem
from mangrove.measure.nowcast import inputs
from mangrove.measure.nowcast.estimate import Estimate, last_year
from mangrove.measure.nowcast.inputs import Total
from mangrove.measure.nowcast.reading import LEAST_DAYS
from mangrove.measure.nowcast.result import Known
from mangrove.measure.result import gap_problems
from mangrove.territory.model import Flow
from mangrove.times import HOUR

_NAMED = 5


def known(made: Estimate) -> tuple[Known, ...]:
    """What the nowcast rests on, with ages and lateness in hours."""
    reading = made.reading
    at, found = reading.span.end, []
    for those in reading.totals.values():
        for total in those:
            late = (total.recorded - total.ended) / HOUR if total.recorded is not None else None
            found.append(Known(total.name, "total", total.flow, total.ended, (at - total.ended) / HOUR, late))
    for name, those in reading.read.items():
        if those:
            ended = those[-1].ended
            found.append(Known(those[-1].meter, "meter", name, ended, (at - ended) / HOUR))
    for flow in reading.meters:
        last = reading.series[flow.id].last
        found.append(Known(flow.id, "meter", flow.id, last, (at - last) / HOUR))
    for driver in reading.territory.drivers:
        if driver.index in reading.series:
            last = reading.series[driver.index].last
            found.append(Known(driver.index, "index", driver.target, last, (at - last) / HOUR))
    for one in reading.inversions:
        end = inputs.midnight(one.end, reading.territory.tz)
        found.append(Known(one.record[:12], "inversion", ", ".join(one.targets), end, (at - end) / HOUR))
    return tuple(found)


def missing(made: Estimate) -> list[Total]:
    """The inventories of the last whole year that are not there yet, with the error that the flow states."""
    days, found = last_year(int(made.hours.days[-1])), []
    for flow in made.reading.targets:
        newest = made.reading.totals[flow.id][-1]
        if newest.end <= days[-1]:
            sd = made.priors.inventory_sd if newest.sd is None else newest.sd
            first, end = int(days[0]), int(days[-1]) + 1
            found.append(Total(flow.id, first, end, newest.value, sd, newest.meter, newest.ended))
    return found


def notes(made: Estimate) -> list[Problem]:
    """What to know about the numbers."""
    return [*made.notes, *_drivers(made), *_targets(made), *_left_out(made)]


def _drivers(made: Estimate) -> Iterator[Problem]:
    """What the declared drivers do not reach, and what they say of another year than the inventory."""
    declared = made.reading.territory.drivers
    if not declared:
        yield Problem("nowcast.no_drivers", {}, severity="warning")
    still = [one.flow.id for one in made.targets if not one.drivers]
    if still and declared:
        data = {"count": len(still), "total": len(made.targets), "flows": _some(still)}
        yield Problem("nowcast.not_driven", data, severity="note")
    for name, index in made.indices.items():
        if not index.whole and any(d.index == name for one in made.targets for d in one.drivers):
            data = {"index": name, "start": str(np.datetime64(index.reference[0], "D"))}
            yield Problem("nowcast.link_open", data, severity="warning")
    for driver in declared:
        if driver.place is not None:
            data = {"index": driver.index, "place": driver.place}
            yield Problem("nowcast.driver_of_a_part", data, severity="note")


def _targets(made: Estimate) -> Iterator[Problem]:
    """What is assumed of single flows."""
    unstated = [one.flow.id for one in made.targets if one.totals[-1].sd is None]
    if unstated:
        data = {"count": len(unstated), "total": len(made.targets)}
        yield Problem("nowcast.error_not_stated", data, severity="note")
    for one in made.meters:
        if one.missing:
            yield Problem(
                "nowcast.meter_bridged", {"flow": one.flow.id, "days": one.missing}, severity="note"
            )
    if any(zone for one in made.reading.inversions for zone in one.zones):
        yield Problem("nowcast.zones_differ", {}, severity="note")


def _left_out(made: Estimate) -> Iterator[Problem]:
    """Flows of the inventory that are not in the nowcast."""
    plan = made.reading.plan
    memory = {line.flow for line in plan.lines if line.response is not None}
    if memory:
        yield Problem("nowcast.not_linear", {"flows": ", ".join(sorted(memory))}, severity="warning")
    yield from gap_problems(plan.gaps)
    there = {flow.id for flow in made.flows}
    series = made.reading.series
    short = [
        name for name in plan.flows if name in series and name not in there and _is_meter(plan.flows[name])
    ]
    for name in short:
        data = {"flow": name, "count": series[name].whole, "least": LEAST_DAYS}
        yield Problem("nowcast.meter_too_short", data, severity="warning")
    silent = [name for name in plan.flows if name not in memory and name not in there and name not in short]
    if silent:
        data = {"flows": _some(silent), "count": len(silent)}
        yield Problem("nowcast.no_values", data, severity="warning")


def _is_meter(flow: Flow) -> bool:
    return not inputs.is_inventory(flow)


def _some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f", … (+{more})" if more > 0 else "")
