# SPDX-License-Identifier: Apache-2.0
"""Charging profiles: from kW over time to what a charger is told, within declared limits and never for ever.

Comes in: periods of power, explicit or from the run `schedule` of the ledger, and what the territory declares about a charger. Goes
out: the profile as both versions write it, and the same powers read back. A profile has a duration; when it is over, the default
profile remains, which holds the declared safe power. Limits are those of `mangrove.operate.devices`: what a charger answers cannot
widen them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mangrove.errors import DeclarationError, Problem, RequestError, did_you_mean
from mangrove.ledger.types import series
from mangrove.operate.devices import Limits, Reading, Setpoint
from mangrove.territory.model import Device, Territory
from mangrove.units import Quantity

if TYPE_CHECKING:
    from mangrove.ledger import Snapshot

T = TypeVar("T")

PARAMETERS: Mapping[str, str] = {
    "power": "kW", "safe_power": "kW", "min_power": "kW", "voltage": "1", "phases": "1", "rate_unit": "", "tags": "",
    "most_periods": "1",
}  # fmt: skip
"""What a device of protocol `ocpp` may declare, and the unit of each; an empty unit is a word."""
LONGEST = timedelta(hours=48)
"""No profile holds longer: schedules look at most 48 hours ahead."""
DEFAULT, PLANNED = 0, 1
"""Stack levels: the default that remains, and the plan above it. The lower level holds where the higher says nothing (OCPP 1.6
edition 2, section 3.13, stacking charging profiles; OCPP 2.0.1 part 2, block K)."""
_IDS = 10
"""Profile ids: ten for each connector, one for each purpose, so that a new plan replaces the one before."""
_PURPOSES = ("default", "TxDefaultProfile", "TxProfile")


@dataclass(frozen=True, slots=True)
class Period:
    """At most so many kW from `start` until `end` (UTC)."""

    start: datetime
    end: datetime
    power: float


@dataclass(frozen=True, slots=True)
class Sent:
    """What a charger was told.

    Attributes:
        device, connector: whom; purpose: `TxProfile` while a transaction runs, else `TxDefaultProfile`.
        periods: what it accepted, within the declared limits; None in `asked` that equal it.
        reason: `sent`; `limit` when a limit moved a power; `short` when the charger keeps fewer periods than were asked.
    """

    device: str
    connector: int
    purpose: str
    periods: tuple[Period, ...]
    reason: str = "sent"


@dataclass(frozen=True, slots=True)
class Charger:
    """What a territory declares about a charger, in kW, volts and numbers.

    Attributes:
        power: most of one connector; None: not declared, and then no profile is sent.
        safe_power: what the default profile allows; None: no default profile, the charger's own setting remains.
        min_power: below this it should not charge at all (`minChargingRate`).
        unit: `W` or `A`; amperes are per phase, I = P / (voltage x phases).
        tags: who may charge; None: everybody.
        most_periods: periods that the charger keeps in one schedule; None: any number.
    """

    device: str
    power: float | None = None
    safe_power: float | None = None
    min_power: float | None = None
    unit: str = "W"
    voltage: float = math.nan
    phases: int = 3
    tags: frozenset[str] | None = None
    most_periods: int | None = None

    @classmethod
    def of(cls, device: Device) -> Charger:
        """Reads the parameters of a declared device.

        Raises:
            DeclarationError: a parameter that no charger has, a unit that does not fit, amperes without a voltage.
        """
        problems = [
            Problem(
                "ocpp.bad_parameter", {"name": name, "hint": did_you_mean(name, PARAMETERS)}, device.where
            )
            for name, value in device.parameters.items()
            if name not in PARAMETERS or not _fits(value, PARAMETERS[name])
        ]
        known = {name: value for name, value in device.parameters.items() if name in PARAMETERS}
        if known.get("rate_unit", "W") not in ("W", "A") or (
            known.get("rate_unit") == "A" and "voltage" not in known
        ):
            problems.append(Problem("ocpp.bad_rate_unit", {}, device.where))
        if problems:
            raise DeclarationError(problems)
        number = {
            name: value.to(PARAMETERS[name]) for name, value in known.items() if isinstance(value, Quantity)
        }
        tags = known.get("tags")
        most = number.get("most_periods")
        charger = cls(
            device.id, number.get("power"), number.get("safe_power"), number.get("min_power"),
            str(known.get("rate_unit", "W")), number.get("voltage", math.nan), int(number.get("phases", 3)),
            frozenset(str(tags).split()) if tags is not None else None, int(most) if most is not None else None,
        )  # fmt: skip
        if charger.power is not None and (charger.safe_power or 0.0) > charger.power:
            raise DeclarationError([Problem("ocpp.safe_above_power", {"device": device.id}, device.where)])
        return charger

    @property
    def limits(self) -> Limits:
        """The declared limits of one connector.

        Raises:
            RequestError: `ocpp.no_power`: without a declared power nothing may be sent.
        """
        if self.power is None:
            raise RequestError("ocpp.no_power", device=self.device)
        return Limits(0.0, self.power, safe=self.safe_power or 0.0)

    def rate(self, power: float) -> float:
        """A power in the charger's unit, rounded down to a tenth: schedules have one decimal (OCPP 1.6, SetChargingProfile.json)."""
        whole = power * 1000.0 / (1.0 if self.unit == "W" else self.voltage * self.phases)
        return math.floor(round(whole * 10.0, 6)) / 10.0

    def from_rate(self, rate: float, unit: str, phases: int | None = None) -> float:
        """The other way round, kW."""
        return rate / 1000.0 * (1.0 if unit == "W" else self.voltage * (phases or self.phases))


def within(periods: Sequence[Period], charger: Charger) -> tuple[tuple[Period, ...], str]:
    """The periods inside the declared limits, joined where they are alike, and whether one was moved.

    Raises:
        RequestError: `ocpp.bad_periods` (none, not finite, not one after the other, longer than two days), `ocpp.no_power`.
    """
    limits = charger.limits
    chained = all(a.end == b.start for a, b in pairwise(periods))
    fine = periods and chained and all(math.isfinite(one.power) and one.start < one.end for one in periods)
    if not fine or periods[-1].end - periods[0].start > LONGEST:
        raise RequestError(
            "ocpp.bad_periods", device=charger.device, hours=f"{LONGEST / timedelta(hours=1):g}"
        )
    reason = "sent"
    found: list[Period] = []
    for one in periods:
        power = min(max(one.power, limits.low), limits.high)
        reason = "limit" if power != one.power else reason
        if found and found[-1].power == power:
            found[-1] = Period(found[-1].start, one.end, power)
        else:
            found.append(Period(one.start, one.end, power))
    if charger.most_periods is not None and len(found) > charger.most_periods:
        return tuple(found[: charger.most_periods]), "short"
    return tuple(found), reason


def profile(
    charger: Charger, connector: int, periods: Sequence[Period], transaction: str | None
) -> dict[str, Any]:
    """A profile with a duration, in the words that both versions share (without what only one of them has)."""
    purpose = "TxProfile" if transaction is not None else "TxDefaultProfile"
    start = periods[0].start
    schedule: dict[str, Any] = {
        "start_schedule": written(start),
        "duration": round((periods[-1].end - start).total_seconds()),
        "charging_rate_unit": charger.unit,
        "charging_schedule_period": [
            {"start_period": round((one.start - start).total_seconds()), "limit": charger.rate(one.power)}
            for one in periods
        ],
    }
    if charger.min_power is not None:
        schedule["min_charging_rate"] = charger.rate(charger.min_power)
    return _profile(connector, purpose, PLANNED, "Absolute", schedule)


def default_profile(charger: Charger) -> dict[str, Any] | None:
    """The profile that remains when no other holds: the safe power, without an end, for all connectors."""
    if charger.safe_power is None:
        return None
    schedule = {
        "charging_rate_unit": charger.unit,
        "charging_schedule_period": [{"start_period": 0, "limit": charger.rate(charger.limits.safe)}],
    }
    return _profile(0, "default", DEFAULT, "Relative", schedule)


def profile_id(connector: int, purpose: str) -> int:
    """The id of a profile: `default`, `TxDefaultProfile` or `TxProfile` of a connector."""
    return connector * _IDS + _PURPOSES.index(purpose) + 1


def read_schedule(charger: Charger, start: datetime, schedule: Mapping[str, Any]) -> tuple[Period, ...]:
    """What a charger says that it will do (GetCompositeSchedule), in kW."""
    steps = schedule["charging_schedule_period"]
    edges = [start + timedelta(seconds=step["start_period"]) for step in steps]
    end = start + timedelta(seconds=schedule.get("duration") or 0)
    unit = schedule["charging_rate_unit"]
    powers = [charger.from_rate(float(step["limit"]), unit, step.get("number_phases")) for step in steps]
    spans = zip(edges, [*edges[1:], max(end, edges[-1])], powers, strict=True)
    return tuple(Period(low, high, power) for low, high, power in spans)


def planned(
    snapshot: Snapshot, territory: Territory, flow: str, start: datetime, end: datetime
) -> tuple[Period, ...]:
    """The powers of the run `schedule` of a flow from `start` on, as far as its steps follow one another.

    Amounts of a step become its mean power. Nothing is made up after a missing step: the profile ends there.
    """
    declared = territory.flows[flow]
    if declared.step is None:
        return ()
    begin = declared.step.floor(start, territory.tz)
    rows = snapshot.values([series(flow, "schedule")], begin, end).to_pylist()
    size = timedelta(hours=declared.step.hours)
    mean = declared.semantics == "mean"
    factor = declared.unit.to("kW") if mean else declared.unit.to("kWh") / declared.step.hours
    found: list[Period] = []
    for row in rows:
        at = row["start"].astimezone(UTC) if row["start"].tzinfo else row["start"].replace(tzinfo=UTC)
        if (found and at != found[-1].end) or (not found and at != begin) or row["value"] is None:
            break
        found.append(Period(max(at, start), at + size, row["value"] * factor))
    return tuple(found)


class System(Protocol):
    """What the adapter below needs of the central system."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop in which its connections live."""

    def power(self, device: str, connector: int) -> float | None:
        """KW that the connector said last."""

    def charger(self, device: str) -> Charger:
        """What is declared about it."""

    def set_profile(self, device: str, connector: int, periods: Sequence[Period]) -> Awaitable[Sent]:
        """Tells it powers over time."""


class OcppCharger:
    """One connector as a device of `mangrove.operate`: it stands behind a `Guard` like every other.

    A set-point becomes a profile that ends when the set-point does. `read` and `write` are for a thread other than that of the
    server's loop, as planning rounds have; `write` raises when the charger cannot be reached, and the guard notes it.

    Args:
        system: the central system.
        device: charge point identity.
        connector: 1 for the first.
        id: of the asset or session that operate knows; the device's unless given.
        timeout: seconds until an unanswered profile counts as unreachable.
    """

    def __init__(
        self,
        system: System,
        device: str,
        connector: int,
        *,
        id: str = "",  # noqa: A002 - the field's word
        timeout: float = 30.0,
    ) -> None:
        self._system, self._device, self._connector = system, device, connector
        self._id = id or device
        self._timeout = timeout

    @property
    def id(self) -> str:
        """The id that operate knows."""
        return self._id

    def read(self) -> Reading:
        """What it draws now, 0 kW when it has not said, and what it may draw at most."""
        power = self._system.power(self._device, self._connector)
        limits = self._system.charger(self._device).limits
        return Reading(0.0 if power is None else power, None, limits.low, limits.high)

    def write(self, setpoint: Setpoint) -> None:
        """Sends a profile of one period.

        Raises:
            RequestError: the charger is not connected, does not answer or refuses.
        """
        period = Period(setpoint.start, setpoint.expires, setpoint.power)
        loop = self._system.loop
        if loop is None:
            raise RequestError("ocpp.not_connected", device=self._device)
        _wait(lambda: self._system.set_profile(self._device, self._connector, [period]), loop, self._timeout)


def written(at: datetime) -> str:
    """An instant as OCPP writes it: UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wait(work: Callable[[], Awaitable[T]], loop: asyncio.AbstractEventLoop, timeout: float) -> T:
    async def run() -> T:
        return await work()

    return asyncio.run_coroutine_threadsafe(run(), loop).result(timeout)


def _fits(value: Quantity | str, wanted: str) -> bool:
    if not wanted:
        return True
    return isinstance(value, Quantity) and value.unit.converts_to(wanted)


def _profile(
    connector: int, purpose: str, level: int, kind: str, schedule: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "id": profile_id(connector, purpose),
        "stack_level": level,
        "charging_profile_purpose": "TxDefaultProfile" if purpose == "default" else purpose,
        "charging_profile_kind": kind,
        "charging_schedule": dict(schedule),
    }
