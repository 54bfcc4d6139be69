# SPDX-License-Identifier: Apache-2.0
"""Schedules as records: what a plan says of every device of a site, what people decided instead, and what devices were told.

Comes in: a schedule of `mangrove.operate`, or the records of a ledger. Goes out: a small JSON document of each, and from them the
order that holds for a device now: the one of a person until it expires, else that of the plan while the plan is young enough, else
none, and then the device falls back to its safe power.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import MangroveError, Problem
from mangrove.ledger.catalog import CATALOG, reader
from mangrove.operate.account import rates_of
from mangrove.operate.devices import NO_LIMIT, Limits, limits_at
from mangrove.operate.site import Site, site_at
from mangrove.serve.energy_day import day_of
from mangrove.serve.energy_model import Account, Missing
from mangrove.serve.state import Live
from mangrove.territory.model import Territory
from mangrove.times import from_us, utc

if TYPE_CHECKING:
    from mangrove.ledger import Snapshot
    from mangrove.operate.plan import Plan
    from mangrove.operate.run import Schedule

Floats = npt.NDArray[np.float64]
SCHEDULE, OVERRIDE, TOLD = "schedule", "override", "told"
"""Kinds of records."""
STALE = timedelta(hours=2)
"""A plan older than this orders nothing any more: the worker makes one every hour, so two were missed."""
FORECAST_STALE = timedelta(hours=6)
"""A forecast older than this is named: the worker makes one every three hours, and the safe rule waits as long."""
MOST_HOURS = 24.0
"""An order of a person holds for a day at most: the plan's short steps reach no further."""
_DIGITS = 6
_LOOKED = 400
"""Records looked through, newest first, for one of each site or device."""


@dataclass(frozen=True, slots=True)
class Device:
    """What a plan says of one device: kW by step (positive takes power), kWh at the end of each step where it stores."""

    id: str
    kind: str
    power: tuple[float, ...]
    level: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Stored:
    """A schedule as its record has it.

    Attributes:
        id: of the record; place: of the site; at: from when it plans; by: `plan` or `safe`; reason: of the safe rule.
        starts, ends: of the steps; devices: by id; drawn, sold: kW at the connection by step.
        setpoints: kW for the first step, by device; until: when they expire.
        cost, without: of the first day, and of the same day without the plan; against: how (`no_battery`, `as_metered`, or empty).
        problems: what was stale, guessed or gave way.
    """

    id: str
    place: str
    at: datetime
    by: str
    reason: str
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    devices: Mapping[str, Device]
    drawn: tuple[float, ...]
    sold: tuple[float, ...]
    setpoints: Mapping[str, float]
    until: datetime
    cost: Account | None
    without: Account | None
    against: str
    hours: float
    problems: tuple[Problem, ...]

    def step(self, now: datetime) -> int | None:
        """The step that holds `now`."""
        for i, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            if start <= now < end:
                return i
        return None


@dataclass(frozen=True, slots=True)
class Override:
    """What a person decided for a device: kW from `start` until `expires`; None ends an earlier decision."""

    id: str
    site: str
    device: str
    power: float | None
    start: datetime
    expires: datetime
    by: str
    note: str = ""

    def document(self) -> bytes:
        """The record."""
        return _written(
            {
                "format": 1,
                "site": self.site,
                "device": self.device,
                "power_kw": self.power,
                "start": self.start.isoformat(),
                "expires": self.expires.isoformat(),
                "by": self.by,
                "note": self.note,
            }
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an order: kW asked and sent (None: not reached), why they differ, until when it holds, and when."""

    device: str
    asked: float
    sent: float | None
    reason: str
    expires: datetime
    at: datetime

    def document(self) -> bytes:
        """The record."""
        return _written(
            {
                "format": 1,
                "device": self.device,
                "asked_kw": self.asked,
                "sent_kw": self.sent,
                "reason": self.reason,
                "expires": self.expires.isoformat(),
                "at": self.at.isoformat(),
            }
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What a device is to do now: kW from `start` until `expires`; source: `plan`, `safe` or `override`; by: whom, or why."""

    device: str
    power: float
    start: datetime
    expires: datetime
    source: str
    by: str = ""


# What holds now


def orders(stored: Stored | None, decided: Mapping[str, Override], now: datetime) -> dict[str, Order]:
    """The orders that hold at `now`, by device.

    Args:
        stored: the newest schedule of the site; None when there is none.
        decided: the decisions of people that hold, by device of the site.
        now: the present instant.
    """
    found: dict[str, Order] = {}
    if stored is not None and now - stored.at < STALE:
        step = stored.step(now) if stored.by == "plan" else None
        if step is not None:
            start, end = stored.starts[step], stored.ends[step]
            for one in stored.devices.values():
                if one.kind != "generator":
                    found[one.id] = Order(one.id, one.power[step], start, end, "plan")
        elif stored.by != "plan" and now < stored.until:
            for id_, power in stored.setpoints.items():
                found[id_] = Order(id_, power, stored.at, stored.until, "safe", stored.reason)
    for id_, decision in decided.items():
        if decision.power is not None and decision.start <= now < decision.expires:
            found[id_] = Order(id_, decision.power, decision.start, decision.expires, "override", decision.by)
    return found


def limits_of(site: Site) -> dict[str, Limits]:
    """What every device of a site may be told: batteries, swap stations and units, and each charger as a whole."""
    found = {id_: one for id_, one in limits_at(site).items() if one.high < NO_LIMIT}
    for charger in site.chargers:
        found[charger.id] = Limits(-charger.discharge * charger.count, charger.power * charger.count)
    return found


# From records


def newest(store: Path, kind: str, count: int = _LOOKED) -> list[tuple[str, datetime]]:
    """Ids and times of the latest records of a kind, newest first; none when there is no ledger."""
    if not (store / CATALOG).is_file():
        return []
    with reader(store) as db:
        rows = db.execute(
            "select id, recorded_at from record where kind = ? order by recorded_at desc, rowid desc limit ?",
            (kind, count),
        ).fetchall()
    return [(id_, from_us(at)) for id_, at in rows]


def schedules(live: Live, places: Iterable[str]) -> dict[str, Stored]:
    """The newest schedule of each of `places`."""
    wanted, found = set(places), {}
    for id_, _ in newest(live.store, SCHEDULE):
        if not wanted:
            break
        place = _document(live, id_).get("place", "")
        if place in wanted:
            wanted.discard(place)
            found[place] = live.kept.get((SCHEDULE, id_), lambda id_=id_: _stored(id_, _document(live, id_)))  # type: ignore[misc]
    return found


def decisions(live: Live, now: datetime) -> dict[str, Override]:
    """What people decided and still holds at `now`, by device; the latest decision about a device counts."""
    found: dict[str, Override] = {}
    for id_, _ in newest(live.store, OVERRIDE):
        one = _decided(id_, _document(live, id_))
        found.setdefault(one.device, one)
    return {id_: one for id_, one in found.items() if one.power is not None and now < one.expires}


def told(live: Live) -> dict[str, Told]:
    """The latest answer of each device."""
    found: dict[str, Told] = {}
    for id_, _ in newest(live.store, TOLD):
        said = _document(live, id_)
        found.setdefault(
            said["device"],
            Told(
                said["device"],
                said["asked_kw"],
                said["sent_kw"],
                said["reason"],
                datetime.fromisoformat(said["expires"]),
                datetime.fromisoformat(said["at"]),
            ),
        )
    return found


def forecast_at(live: Live, flows: Sequence[str]) -> datetime | None:
    """From when the newest forecast of any of `flows` looks ahead; None when there is none."""
    wanted = set(flows)
    for id_, _ in newest(live.store, "forecast", 50):
        said = _document(live, id_)
        if wanted & set(said.get("flows", ())):
            return datetime.fromisoformat(said["origin"]).astimezone(UTC)
    return None


def _document(live: Live, id_: str) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        with live.park.reader() as ledger:
            found: dict[str, Any] = json.loads(ledger.record(id_)[1])
        return found

    return live.kept.get(("record", id_), read)


def _stored(id_: str, said: Mapping[str, Any]) -> Stored:
    when = datetime.fromisoformat
    starts = tuple(datetime.fromtimestamp(second, UTC) for second in said["starts"])
    lengths = (timedelta(hours=hours) for hours in said["hours"])
    at = when(said["at"])
    return Stored(
        id=id_,
        place=said["place"],
        at=at,
        by=said["by"],
        reason=said["reason"],
        starts=starts,
        ends=tuple(start + length for start, length in zip(starts, lengths, strict=True)),
        devices={
            one["id"]: Device(
                one["id"], one["kind"], _numbers(one["power_kw"]), _numbers(one.get("level_kwh", []))
            )
            for one in said["devices"]
        },
        drawn=_numbers(said["import_kw"]),
        sold=_numbers(said["export_kw"]),
        setpoints={one["device"]: one["power_kw"] for one in said["setpoints"]},
        until=max((when(one["expires"]) for one in said["setpoints"]), default=at),
        cost=_account(said["cost"]),
        without=_account(said["without"]),
        against=said["against"],
        hours=said["cost_hours"],
        problems=tuple(Problem(one["code"], one["data"], None, one["severity"]) for one in said["problems"]),
    )


def _decided(id_: str, said: Mapping[str, Any]) -> Override:
    start, expires = (datetime.fromisoformat(said[name]) for name in ("start", "expires"))
    return Override(
        id_, said["site"], said["device"], said["power_kw"], start, expires, said["by"], said["note"]
    )


def _account(said: Mapping[str, Any] | None) -> Account | None:
    return None if said is None else Account(said["money"], said["kg_co2"], said["kwh"])


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if value is None else float(value) for value in values)


# To records


def document(territory: Territory, snapshot: Snapshot, schedule: Schedule) -> bytes:
    """The record of a schedule: some tens of kilobytes.

    Args:
        territory: as declared.
        snapshot: of the ledger on which the schedule was made.
        schedule: see `mangrove.operate.run.Schedule`.
    """
    site, plan, at = site_at(territory, schedule.place), schedule.plan, utc(schedule.at)
    keep = slice(plan.lead, None) if plan is not None else slice(0)
    cost, without, against = _accounts(territory, snapshot, schedule)
    said: dict[str, Any] = {
        "format": 1,
        "place": schedule.place,
        "at": at.isoformat(),
        "by": schedule.by,
        "reason": schedule.reason,
        "currency": territory.currency,
        "setpoints": [
            {
                "device": one.device,
                "power_kw": _round(one.power),
                "start": one.start.isoformat(),
                "expires": one.expires.isoformat(),
                "reason": one.reason,
            }
            for one in schedule.setpoints
        ],
        "starts": [] if plan is None else [int(s) for s in plan.starts[keep].astype(np.int64)],
        "hours": [] if plan is None else [float(h) for h in plan.hours[keep]],
        "import_kw": [] if plan is None else _row(plan.imported, keep),
        "export_kw": [] if plan is None else _row(plan.exported, keep),
        "devices": [] if plan is None else _devices(site, plan, keep),
        "price": _prices(territory, site, schedule),
        "cost": cost,
        "without": without,
        "against": against,
        "cost_hours": 24.0,
        "problems": [
            {"code": one.code, "severity": one.severity, "data": {k: _plain(v) for k, v in one.data.items()}}
            for one in schedule.problems
        ],
    }
    return _written(said)


def _devices(site: Site, plan: Plan, keep: slice) -> list[dict[str, Any]]:
    """What the plan says of each device; vehicles are told by their charger."""
    found: list[dict[str, Any]] = []

    def add(id_: str, kind: str, power: Floats, level: Floats | None = None) -> None:
        one = {"id": id_, "kind": kind, "power_kw": _row(power, keep)}
        found.append(one if level is None else one | {"level_kwh": _row(level, keep)})

    for battery in site.batteries:
        add(battery.id, "battery", plan.powers[battery.id], plan.levels.get(battery.id))
    for station in site.stations:
        add(station.id, "swap_station", plan.powers[station.id])
    known = {one.id for one in site.batteries} | {one.id for one in site.stations}
    for charger in site.chargers:
        own = [rates for id_, rates in plan.powers.items() if id_ not in known and _at(id_, charger.id, site)]
        if own:
            add(charger.id, "charger", np.sum(own, axis=0))
    for generator in site.generators:
        add(generator.id, "generator", plan.generated[generator.id])
    for id_, rates in plan.machines.items():
        add(id_, "unit", rates, plan.levels.get(id_))
    return found


def _at(session: str, charger: str, site: Site) -> bool:
    """Whether a vehicle stands at a charger: its name begins with it, or there is no other."""
    return session.startswith(f"{charger}:") or len(site.chargers) == 1


def _accounts(
    territory: Territory, snapshot: Snapshot, schedule: Schedule
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str]:
    """The first day of the plan and the same day without it, as the energy page bills them."""
    try:
        day = day_of(territory, snapshot, schedule)
    except MangroveError:
        return None, None, ""
    if isinstance(day, Missing):
        return None, None, ""

    def said(one: Account | None) -> dict[str, Any] | None:
        if one is None:
            return None
        kg = None if one.emissions is None else _round(one.emissions)
        return {"money": _round(one.cost), "kg_co2": kg, "kwh": _round(one.drawn)}

    return said(day.account), said(day.bare), day.against


def _prices(territory: Territory, site: Site, schedule: Schedule) -> list[float | None]:
    """Money per kWh at the beginning of each step."""
    plan = schedule.plan
    if plan is None:
        return []
    starts = plan.starts[plan.lead :]
    contract = rates_of(territory, site, utc(schedule.at).astimezone(territory.tz).date()).contract
    terms = contract.terms(starts, float(plan.hours[plan.lead]), territory.tz)
    return [_round(float(price)) for price in np.asarray(terms.buy, dtype=np.float64)]


def _row(rates: Floats, keep: slice) -> list[float | None]:
    """The mean over the scenarios, without the steps that are over."""
    return [_round(float(value)) for value in np.atleast_2d(rates).mean(axis=0)[keep]]


def _round(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}") + 0.0


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return _round(value)
    return value if isinstance(value, int | str | bool) or value is None else str(value)


def _written(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
