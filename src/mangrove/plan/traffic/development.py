# SPDX-License-Identifier: Apache-2.0
"""Edits of where people live and work: development of wards, also along a transit line.

Comes in: a `Case` and the keys of an edit. Goes out: the case with other people, jobs and trips. Development near a line (transit-oriented
development) makes fewer trips on the road than the same development elsewhere; how many fewer is stated by whoever plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.plan.traffic.case import Case, Served, Stream
from mangrove.plan.traffic.trip_edits import share
from mangrove.traffic.demand import grown
from mangrove.traffic.roads import Floats


def develop(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """Population and jobs of some zones change; trips from and to them grow with them, balanced by Furness.

    With a line (`near`), new trips between places near it use it with the stated share. Let dT be the new trips of all modes between two
    zones, s the share, and w the part of the new trips' ends that is near the line: in developed zones `within` of what is built, in
    others the part of the zone near the line. The road gets dT (1 - s w(origin) w(destination)). Trips of today stay as the line
    itself left them. Trips that Furness takes away elsewhere are taken off the road as they are.

    Keys: zones; population, jobs: relative changes (0.2: a fifth more); near: id of an edit that makes a line; share of new trips between
    places near it that use it; within: part of what is built that is near it (all, when left out).

    On a day on which the line does not run, all new trips drive.
    """
    people, work = np.ones(len(case.map.zones)), np.ones(len(case.map.zones))
    zones = [case.zone(name) for name in values["zones"]]
    for column, key in ((people, "population"), (work, "jobs")):
        change = float(values.get(key) or 0.0) * scale
        if not -1 <= change < np.inf:
            raise RequestError("roads.bad_value", key=key, value=change)
        column[zones] += change
    line = _line(case, values)
    streams = []
    for stream in case.streams:
        trips = grown(stream.trips, people, work)
        if line is not None:
            trips = _beside(stream, trips, line, zones, values)
        streams.append(replace(stream, trips=trips))
    return replace(case, streams=tuple(streams), population=case.population * people, jobs=case.jobs * work)


def _line(case: Case, values: Mapping[str, Any]) -> Served | None:
    """The line that is built beside, if it runs on the day.

    Raises:
        RequestError: `roads.near_share`: one of `near` and `share` without the other.
    """
    if (values.get("near") is None) != (values.get("share") is None):
        raise RequestError("roads.near_share", key="near" if values.get("near") is None else "share")
    return next((one for one in case.served if one.id == values.get("near")), None)


def _beside(
    stream: Stream, trips: Floats, line: Served, zones: list[int], values: Mapping[str, Any]
) -> Floats:
    """(Z, Z) trips on the road when what is new was built beside a line."""
    ends = line.near.copy()
    ends[zones] = share(1.0 if values.get("within") is None else values["within"])
    new = np.maximum(trips - stream.trips, 0.0)
    # today's trips on the road are what the line left of all trips; so are the new ones, which grew out of them
    left = 1 - line.share * np.outer(line.near, line.near)
    whole = np.divide(new, left, out=np.zeros_like(new), where=left > 0)
    road: Floats = whole * (1 - share(values["share"]) * np.outer(ends, ends))
    kept: Floats = np.minimum(trips, stream.trips) + road
    return kept
