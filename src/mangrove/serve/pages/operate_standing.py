# SPDX-License-Identifier: Apache-2.0
"""What stands at a site this very moment: the plan, how old it is, what devices are to do and whether they do it.

Comes in: the live state and a site. Goes out: a `Standing`, whose parts are looked up whenever they are asked for: they move with the
clock and with people, not with the values of the ledger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.operate.site import Site
from mangrove.serve import schedules
from mangrove.serve.schedules import FORECAST_STALE, STALE, Order, Override, Stored, Told
from mangrove.serve.state import Live

_FIRST_HOURS = 6
"""Hours ahead whose steps are listed."""
_GAVE_WAY = frozenset({"operate.gave_way", "operate.not_ready"})


@dataclass(frozen=True, slots=True)
class Row:
    """What one device is to do now: its order, what it answered, what it may be told at most."""

    id: str
    name: str
    order: Order | None
    told: Told | None
    low: float
    high: float

    @property
    def took(self) -> str:
        """`taken`, `held` (within a limit), `unreachable`, `waiting` (not told since the order holds), `nobody`: nothing can tell it."""
        if self.told is None:
            return "nobody"
        if (
            self.order is None
            or self.told.at < self.order.start
            or not _same(self.told.asked, self.order.power)
        ):
            return "waiting"
        if self.told.sent is None:
            return "unreachable"
        return "taken" if _same(self.told.sent, self.order.power) else "held"


class Standing:
    """A site at this moment.

    Args:
        live: what is served.
        site: what is operated.
    """

    def __init__(self, live: Live, site: Site) -> None:
        self.live, self.site = live, site

    @property
    def now(self) -> datetime:
        """The present instant."""
        return self.live.clock.now()

    @property
    def stored(self) -> Stored | None:
        """The newest schedule."""
        return schedules.schedules(self.live, [self.site.place]).get(self.site.place)

    @property
    def age(self) -> float | None:
        """Seconds since the plan begins; None without one."""
        stored = self.stored
        return None if stored is None else max((self.now - stored.at).total_seconds(), 0.0)

    @property
    def forecast_age(self) -> float | None:
        """Seconds since the newest forecast begins; None without one."""
        at = schedules.forecast_at(self.live, (*self.site.inputs, *self.site.flows))
        return None if at is None else max((self.now - at).total_seconds(), 0.0)

    @property
    def stale(self) -> bool:
        """Whether the plan is missing or too old to order anything."""
        return self.age is None or self.age >= STALE.total_seconds()

    @property
    def forecast_stale(self) -> bool:
        """Whether the forecast is that old."""
        return self.forecast_age is not None and self.forecast_age >= FORECAST_STALE.total_seconds()

    @property
    def overrides(self) -> dict[str, Override]:
        """What people decided about devices of this site and still holds."""
        return {
            id_: one
            for id_, one in schedules.decisions(self.live, self.now).items()
            if one.site == self.site.place
        }

    @property
    def rows(self) -> list[Row]:
        """The orders that hold now, for everything that takes one."""
        found = schedules.orders(self.stored, self.overrides, self.now)
        answers = schedules.told(self.live)
        return [
            Row(id_, self.name(id_), found.get(id_), answers.get(id_), limits.low, limits.high)
            for id_, limits in schedules.limits_of(self.site).items()
        ]

    @property
    def next(self) -> list[tuple[datetime, dict[str, float]]]:
        """KW by device in the steps of the next hours, one row for each change."""
        stored, now = self.stored, self.now
        if stored is None or self.stale:
            return []
        devices = [device for device in stored.devices.values() if device.kind != "generator"]
        found: list[tuple[datetime, dict[str, float]]] = []
        for i, start in enumerate(stored.starts):
            if stored.ends[i] <= now or start >= now + timedelta(hours=_FIRST_HOURS):
                continue
            powers = {device.id: device.power[i] for device in devices}
            if not found or any(not _same(powers[id_], found[-1][1][id_]) for id_ in powers):
                found.append((start, powers))
        return found

    @property
    def problems(self) -> list[Problem]:
        """What was stale or guessed when the plan was made."""
        stored = self.stored
        return [] if stored is None else [x for x in stored.problems if x.code not in _GAVE_WAY]

    @property
    def gave_way(self) -> list[Problem]:
        """What gave way in the plan, each with what would help most."""
        stored = self.stored
        return [] if stored is None else [x for x in stored.problems if x.code in _GAVE_WAY]

    @property
    def saved(self) -> tuple[float, float | None] | None:
        """Money and kg of CO2 that the first day of the plan spares; None when nobody can say."""
        stored = self.stored
        if stored is None or stored.cost is None or stored.without is None:
            return None
        kilograms = None
        if stored.cost.emissions is not None and stored.without.emissions is not None:
            kilograms = stored.without.emissions - stored.cost.emissions
        return stored.without.cost - stored.cost.cost, kilograms

    def limits(self, device: str) -> tuple[str, float, float]:
        """The name of a device and what it may be told, kW.

        Raises:
            RequestError: `page_operate.no_device`.
        """
        known = schedules.limits_of(self.site)
        if device not in known:
            hint, options = did_you_mean(device, known), ", ".join(known) or "–"
            raise RequestError("page_operate.no_device", device=device[:40], hint=hint, options=options)
        return self.name(device), known[device].low, known[device].high

    def name(self, id_: str) -> str:
        """The name of an asset."""
        asset = self.live.territory.assets.get(id_)
        return asset.name if asset is not None and asset.name else id_


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=0.05)
