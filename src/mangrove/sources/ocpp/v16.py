# SPDX-License-Identifier: Apache-2.0
"""OCPP 1.6-J: its messages read for the desk, and what the desk answers written in its words.

Comes in: messages that the `ocpp` package has checked against the schemas of version 1.6. Goes out: answers, after the desk has
stored what the message carried, and the profiles of a charger that speaks 1.6. Imported only when such a charger connects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import (
    AuthorizationStatus,
    ChargingRateUnitType,
    DataTransferStatus,
    GenericStatus,
    RegistrationStatus,
)

from mangrove.sources.ocpp.desk import Desk, words_key
from mangrove.sources.ocpp.link import LOGGER, Guarded, Socket, routes
from mangrove.sources.ocpp.points import REGISTER, Sample
from mangrove.sources.ocpp.profiles import Charger, Period, default_profile, profile, read_schedule, written

PROTOCOL = "ocpp1.6"


class Charger16(Guarded, ChargePoint):  # type: ignore[misc]
    """The other end of one connection in version 1.6.

    Args:
        desk: of this charger; socket: the connection; now: the clock; beat: seconds between two heartbeats.
        booted: called after a boot was answered.
    """

    def __init__(
        self, desk: Desk, socket: Socket, now: Callable[[], datetime], beat: int, booted: Callable[[], None]
    ) -> None:
        super().__init__(desk.device, socket, response_timeout=30, logger=LOGGER)
        self.desk, self.now, self.beat, self.booted = desk, now, beat, booted
        self.gone = asyncio.Event()
        self.route_map = routes(
            {
                "BootNotification": self._boot,
                "Heartbeat": lambda **_: call_result.Heartbeat(written(self.now())),
                "StatusNotification": self._status,
                "Authorize": lambda id_tag: call_result.Authorize({"status": self._tag(id_tag)}),
                "StartTransaction": self._start,
                "StopTransaction": self._stop,
                "MeterValues": self._meter,
                "DataTransfer": lambda **_: call_result.DataTransfer(DataTransferStatus.unknown_vendor_id),
                "DiagnosticsStatusNotification": lambda **_: call_result.DiagnosticsStatusNotification(),
                "FirmwareStatusNotification": lambda **_: call_result.FirmwareStatusNotification(),
                "LogStatusNotification": lambda **_: call_result.LogStatusNotification(),
                "SecurityEventNotification": lambda **_: call_result.SecurityEventNotification(),
                "SignedFirmwareStatusNotification": lambda **_: (
                    call_result.SignedFirmwareStatusNotification()
                ),
                "SignCertificate": lambda **_: call_result.SignCertificate(GenericStatus.rejected),
            }
        )
        self.route_map["BootNotification"]["_after_action"] = lambda **_: self.booted()

    async def set_profile(
        self, charger: Charger, connector: int, periods: Sequence[Period], transaction: str | None
    ) -> str:
        """Sends powers over time and gives the charger's word about them (`Accepted`, `Rejected`, `NotSupported`)."""
        said = _profile(profile(charger, connector, periods, transaction))
        if transaction is not None:
            said["transaction_id"] = int(transaction)
        answer = await self.ask(call.SetChargingProfile(connector, said))
        return str(answer.status)

    async def set_default(self, charger: Charger) -> str:
        """Sends the profile that remains; empty when none is declared."""
        found = default_profile(charger)
        return str((await self.ask(call.SetChargingProfile(0, _profile(found)))).status) if found else ""

    async def clear_profile(self, profile_id: int) -> str:
        """Takes a profile back (`Accepted`, or `Unknown` when the charger has none)."""
        return str((await self.ask(call.ClearChargingProfile(id=profile_id))).status)

    async def composite(self, charger: Charger, connector: int, duration: timedelta) -> tuple[Period, ...]:
        """What the charger says that it will allow; empty when it does not say."""
        seconds = round(duration.total_seconds())
        unit = ChargingRateUnitType(charger.unit)
        answer = await self.ask(call.GetCompositeSchedule(connector, seconds, unit))
        if answer.status != "Accepted" or not answer.charging_schedule:
            return ()
        start = read_time(answer.schedule_start) if answer.schedule_start else self.now()
        return read_schedule(charger, start, answer.charging_schedule)

    def _boot(self, charge_point_vendor: str, charge_point_model: str, **_: Any) -> Any:
        self.desk.seen.version, self.desk.seen.model = "1.6", f"{charge_point_vendor} {charge_point_model}"
        return call_result.BootNotification(written(self.now()), self.beat, RegistrationStatus.accepted)

    def _status(self, connector_id: int, status: str, **_: Any) -> Any:
        self.desk.status(connector_id, status)
        return call_result.StatusNotification()

    def _tag(self, tag: str) -> AuthorizationStatus:
        return AuthorizationStatus.accepted if self.desk.allows(tag) else AuthorizationStatus.invalid

    async def _start(self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **_: Any) -> Any:
        at = read_time(timestamp)
        begun = await self.desk.begin(connector_id, at, float(meter_start), id_tag, now=self.now())
        return call_result.StartTransaction(int(begun.number), {"status": self._tag(id_tag)})

    async def _stop(
        self,
        transaction_id: int,
        meter_stop: int,
        timestamp: str,
        id_tag: str = "",
        transaction_data: Any = (),
        **_: Any,
    ) -> Any:
        number = str(transaction_id)
        start = self.desk.journal.starts.get((self.desk.device, number))
        samples = samples_of(start.connector, transaction_data) if start else []
        await self.desk.end(number, read_time(timestamp), float(meter_stop), samples, self.now())
        return call_result.StopTransaction({"status": self._tag(id_tag)} if id_tag else None)

    async def _meter(
        self, connector_id: int, meter_value: list[Any], transaction_id: int | None = None
    ) -> Any:
        samples = samples_of(connector_id, meter_value)
        await self.desk.meter(
            samples, words_key("meter", (connector_id, transaction_id, meter_value)), self.now()
        )
        return call_result.MeterValues()


def samples_of(connector: int, meter_value: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """The samples of a message; a value without a measurand is the energy register (OCPP 1.6, SampledValue).

    Signed data and texts that are no numbers become NaN, which the wiring sets aside.
    """
    return [
        Sample(
            connector,
            one.get("measurand", REGISTER),
            read_time(group["timestamp"]),
            _number(one),
            one.get("unit", ""),
            one.get("phase", ""),
            one.get("location", "Outlet"),
        )
        for group in meter_value
        for one in group["sampled_value"]
    ]


def read_time(text: str) -> datetime:
    """An instant to the millisecond; one without a zone is UTC.

    Raises:
        ValueError: it is no time.
    """
    at = datetime.fromisoformat(text)
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _number(one: Mapping[str, Any]) -> float:
    try:
        return float(one["value"]) if one.get("format", "Raw") == "Raw" else float("nan")
    except ValueError:
        return float("nan")


def _profile(said: Mapping[str, Any]) -> dict[str, Any]:
    """The shared words of a profile in those of 1.6."""
    rest = {key: value for key, value in said.items() if key != "id"}
    return {"charging_profile_id": said["id"], **rest}
