# SPDX-License-Identifier: Apache-2.0
"""What threatens a territory now, for one reader: alerts, stations and gauges that the reader may know of.

Comes in: the live state and a view. Goes out: the hazards of a moment, read once for all who look at the same cut, and of them what stands
at the reader's own places or at nobody's company: the level of a river is no secret, what a company measures at its fence is its own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mangrove import hazard
from mangrove.errors import Problem
from mangrove.hazard import Alert, Hazards
from mangrove.ledger import Snapshot
from mangrove.serve.scope import Scope
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Flow, Territory

KINDS = ("water_level", "air", "weather")
"""Carriers that say something of the surroundings."""
_LOOKED_AT = frozenset({"rain", "temperature", "humidity"})
_COMPANIES = frozenset({"facility", "building", "lot"})


def fits(territory: Territory) -> bool:
    """Whether a territory declares anything that watches its surroundings."""
    return any(flow.carrier.kind in KINDS for flow in territory.flows.values())


def watched(scope: Scope) -> tuple[Flow, ...]:
    """The flows of the surroundings that a reader may know of."""
    flows = scope.territory.flows.values()
    return tuple(flow for flow in flows if flow.carrier.kind in KINDS and open_to(scope, flow.place))


def open_to(scope: Scope, place: str) -> bool:
    """Whether a reader may know what is measured in the air, the water or the weather at a place."""
    if scope.sees(place):
        return True
    return scope.totals and not any(node.kind in _COMPANIES for node in scope.territory.ancestors(place))


def at(live: Live, view: View, moment: datetime | None = None) -> Hazards:
    """The hazards at a moment (now, when left out), without what the reader may not know."""
    when = moment or view.now
    minute = when.replace(second=0, microsecond=0)
    if not live.cut():
        return Hazards(when)
    found = live.kept.get(("hazards", live.cut(), minute), lambda: _read(live, when))
    known = {flow.id for flow in watched(view.scope)}
    return replace(
        found,
        alerts=[one for one in found.alerts if one.flow in known],
        stations=[one for one in found.stations if open_to(view.scope, one.place)],
        problems=[one for one in found.problems if one.data.get("flow", "") in known],
    )


def worst(live: Live, view: View) -> tuple[Alert, int] | None:
    """The worst alert of now and how many there are; None without any."""
    if not fits(live.territory):
        return None
    alerts = at(live, view).alerts
    return (alerts[0], len(alerts)) if alerts else None


def _read(live: Live, when: datetime) -> Hazards:
    with live.snapshot() as snapshot:
        found = hazard.read(snapshot, live.territory, when)
        found.problems += _silent(snapshot, live.territory, when)
    return found


def _silent(snapshot: Snapshot, territory: Territory, when: datetime) -> list[Problem]:
    """Sensors that no alert looks at and that have not spoken for hours: the wind is as silent as the rain."""
    others = [
        flow
        for flow in territory.flows.values()
        if flow.carrier.kind == "weather" and flow.carrier.code not in _LOOKED_AT
    ]
    table = snapshot.values([flow.id for flow in others], when - hazard.LOOK_BACK, when)
    newest = {
        row["flow"]: row["start_max"]
        for row in table.group_by("flow").aggregate([("start", "max")]).to_pylist()
    }
    found = []
    for flow in others:
        last = newest.get(flow.id)
        length = timedelta(hours=3 * flow.step.hours) if flow.step else hazard.STALE
        if last is None:
            found.append(Problem("hazard.no_values", {"flow": flow.id}, severity="note"))
        elif when - last > max(hazard.STALE, length):
            shown = last.astimezone(territory.tz).strftime("%Y-%m-%d %H:%M")
            found.append(Problem("hazard.stale", {"flow": flow.id, "newest": shown}, severity="warning"))
    return found
