# SPDX-License-Identifier: Apache-2.0
"""Edits of where people live and work: development of wards, also along a transit line.

Comes in: a `Case` and the keys of an edit. Goes out: the case with other people, jobs and trips. Development near a line (transit-oriented
development) makes fewer trips on the road than the same development elsewhere; how many fewer is stated by whoever plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.plan.traffic.case import Case, Served
from mangrove.plan.traffic.trip_edits import share
from mangrove.traffic.demand import grown
from mangrove.traffic.roads import Floats


def develop(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """Population and jobs of some zones change; trips of all modes grow with them, balanced by Furness.

    Let T be trips of all modes between two zones today, dT what is new, and L the part that lines leave on the road. The road gets T L of
    today's trips and dT L' of the new ones. Without `near`, L' = L: new trips use lines as today's do. With it, the line that is built
    beside leaves 1 - s w(origin) w(destination) of the new trips, where s is the share and w the part of the new trips' ends that is near
    it: in developed zones `within` of what is built, in others the part of the zone. Trips that Furness takes away are taken as T is.

    Keys: zones; population, jobs: relative changes (0.2: a fifth more); near: id of an edit that makes a line; share of new trips between
    places near it that use it; within: part of what is built that is near it (all, when left out).

    On a day on which the line does not run, nobody uses it.
    """
    people, work = np.ones(len(case.map.zones)), np.ones(len(case.map.zones))
    zones = [case.zone(name) for name in values["zones"]]
    for column, key in ((people, "population"), (work, "jobs")):
        more = float(values.get(key) or 0.0) * scale
        if not -1 <= more < np.inf:
            raise RequestError("roads.bad_value", key=key, value=more)
        column[zones] += more
    left = _left(case, case.served)
    new = _left_of_new(case, values, zones)
    # all streams together: one alone may hold the trips of a few zones only, which no balance fits
    whole = np.divide(case.trips, left, out=np.zeros_like(left), where=left > 0)
    change = grown(whole, people, work) - whole
    road = (whole + np.minimum(change, 0.0)) * left + np.maximum(change, 0.0) * new
    ratio = np.divide(road, case.trips, out=np.zeros_like(left), where=case.trips > 0)
    streams = tuple(replace(stream, trips=stream.trips * ratio) for stream in case.streams)
    return replace(case, streams=streams, population=case.population * people, jobs=case.jobs * work)


def _left(case: Case, lines: Sequence[Served]) -> Floats:
    """(Z, Z) part of the trips that lines leave on the road."""
    left: Floats = np.ones((len(case.map.zones),) * 2)
    for line in lines:
        left *= 1 - line.share * np.outer(line.near, line.near)
    return left


def _left_of_new(case: Case, values: Mapping[str, Any], zones: list[int]) -> Floats:
    """(Z, Z) part of the new trips that drives.

    Raises:
        RequestError: `roads.near_share`: one of `near` and `share` without the other; `roads.bad_value`: a share that is none.
    """
    if (values.get("near") is None) != (values.get("share") is None):
        raise RequestError("roads.near_share", key="near" if values.get("near") is None else "share")
    lines = []
    for line in case.served:
        if line.id != values.get("near"):
            lines.append(line)
            continue
        ends = line.near.copy()
        ends[zones] = share(1.0 if values.get("within") is None else values["within"])
        lines.append(Served(line.id, ends, share(values["share"])))
    return _left(case, lines)
