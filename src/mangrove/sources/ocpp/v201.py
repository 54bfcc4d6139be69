# SPDX-License-Identifier: Apache-2.0
"""OCPP 2.0.1: its messages read for the desk, and what the desk answers written in its words.

Comes in: messages that the `ocpp` package has checked against the schemas of version 2.0.1. Goes out: answers, after the desk has
stored what the message carried, and the profiles of a charger that speaks 2.0.1. Imported only when such a charger connects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.enums import ChargingRateUnitEnumType

from mangrove.sources.ocpp.desk import Desk, words_key
from mangrove.sources.ocpp.link import LOGGER, Guarded, Socket, routes
from mangrove.sources.ocpp.points import REGISTER, Sample
from mangrove.sources.ocpp.profiles import Charger, Period, default_profile, profile, read_schedule, written
from mangrove.sources.ocpp.v16 import read_time

PROTOCOL = "ocpp2.0.1"
_POLITE: Mapping[str, Mapping[str, Any]] = {
    "ClearedChargingLimit": {}, "FirmwareStatusNotification": {}, "LogStatusNotification": {}, "NotifyChargingLimit": {},
    "NotifyCustomerInformation": {}, "NotifyDisplayMessages": {}, "NotifyEvent": {}, "NotifyMonitoringReport": {},
    "NotifyReport": {}, "PublishFirmwareStatusNotification": {}, "ReportChargingProfiles": {}, "ReservationStatusUpdate": {},
    "SecurityEventNotification": {}, "DataTransfer": {"status": "UnknownVendorId"}, "SignCertificate": {"status": "Rejected"},
    "NotifyEVChargingNeeds": {"status": "Rejected"}, "NotifyEVChargingSchedule": {"status": "Accepted"},
    "GetCertificateStatus": {"status": "Failed"}, "Get15118EVCertificate": {"status": "Failed", "exi_response": ""},
}  # fmt: skip
"""Messages that carry nothing for us, and what they are answered."""


class Charger201(Guarded, ChargePoint):  # type: ignore[misc]
    """The other end of one connection in version 2.0.1; arguments as `Charger16`."""

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
                "Authorize": lambda id_token, **_: call_result.Authorize({"status": self._token(id_token)}),
                "TransactionEvent": self._event,
                "MeterValues": self._meter,
                **{action: _polite(action, words) for action, words in _POLITE.items()},
            }
        )
        self.route_map["BootNotification"]["_after_action"] = lambda **_: self.booted()

    async def set_profile(
        self, charger: Charger, connector: int, periods: Sequence[Period], transaction: str | None
    ) -> str:
        """Sends powers over time and gives the charger's word about them (`Accepted`, `Rejected`)."""
        said = _profile(profile(charger, connector, periods, transaction))
        if transaction is not None:
            said["transaction_id"] = transaction
        return str((await self.ask(call.SetChargingProfile(connector, said))).status)

    async def set_default(self, charger: Charger) -> str:
        """Sends the profile that remains; empty when none is declared."""
        found = default_profile(charger)
        return str((await self.ask(call.SetChargingProfile(0, _profile(found)))).status) if found else ""

    async def clear_profile(self, profile_id: int) -> str:
        """Takes a profile back (`Accepted`, or `Unknown` when the charger has none)."""
        return str((await self.ask(call.ClearChargingProfile(charging_profile_id=profile_id))).status)

    async def composite(self, charger: Charger, connector: int, duration: timedelta) -> tuple[Period, ...]:
        """What the charger says that it will allow; empty when it does not say."""
        seconds = round(duration.total_seconds())
        unit = ChargingRateUnitEnumType(charger.unit)
        answer = await self.ask(call.GetCompositeSchedule(seconds, connector, unit))
        if answer.status != "Accepted" or not answer.schedule:
            return ()
        return read_schedule(charger, read_time(answer.schedule["schedule_start"]), answer.schedule)

    def _boot(self, charging_station: Mapping[str, Any], **_: Any) -> Any:
        model = f"{charging_station['vendor_name']} {charging_station['model']}"
        self.desk.seen.version, self.desk.seen.model = "2.0.1", model
        return call_result.BootNotification(written(self.now()), self.beat, "Accepted")

    def _status(self, evse_id: int, connector_status: str, **_: Any) -> Any:
        self.desk.status(evse_id, connector_status)
        return call_result.StatusNotification()

    def _token(self, token: Mapping[str, Any]) -> str:
        return "Accepted" if self.desk.allows(str(token["id_token"])) else "Invalid"

    async def _event(
        self, *, event_type: str, timestamp: str, seq_no: int, transaction_info: Mapping[str, Any],
        evse: Mapping[str, Any] | None = None, id_token: Mapping[str, Any] | None = None, meter_value: Any = (), **_: Any,
    ) -> Any:  # fmt: skip
        """Started, Updated or Ended of a transaction; the number of the event within it makes it recognizable."""
        desk, now, at = self.desk, self.now(), read_time(timestamp)
        number = str(transaction_info["transaction_id"])
        start = desk.journal.starts.get((desk.device, number))
        connector = int(evse["id"]) if evse else start.connector if start else 0
        samples = samples_of(connector, meter_value)
        desk.follow(number, samples)
        if event_type == "Started":
            tag = str(id_token["id_token"]) if id_token else ""
            await desk.begin(connector, at, register_of(samples, last=False), tag, now=now, number=number)
        if event_type == "Ended":
            await desk.meter(samples, f"{number}:{seq_no}", now)
            await desk.end(number, at, register_of(samples, last=True), [], now)
        elif samples:
            await desk.meter(samples, f"{number}:{seq_no}", now)
        return call_result.TransactionEvent(
            id_token_info={"status": self._token(id_token)} if id_token else None
        )

    async def _meter(self, evse_id: int, meter_value: list[Any], **_: Any) -> Any:
        samples = samples_of(evse_id, meter_value)
        await self.desk.meter(samples, words_key("meter", (evse_id, meter_value)), self.now())
        return call_result.MeterValues()


def samples_of(connector: int, meter_value: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """The samples of a message; a value without a measurand is the energy register, and `multiplier` a power of ten."""
    found = []
    for group in meter_value:
        at = read_time(group["timestamp"])
        for one in group["sampled_value"]:
            measure = one.get("unit_of_measure") or {}
            value = float(one["value"]) * 10.0 ** int(measure.get("multiplier", 0))
            found.append(
                Sample(
                    connector, one.get("measurand", REGISTER), at, value, measure.get("unit", ""), one.get("phase", ""),
                    one.get("location", "Outlet"),
                )
            )  # fmt: skip
    return found


def register_of(samples: Sequence[Sample], *, last: bool) -> float | None:
    """The energy register in Wh among samples: the last or the first of them; None without one."""
    found = [
        one.value * (1000.0 if one.unit == "kWh" else 1.0)
        for one in samples
        if one.measurand == REGISTER and not one.phase and one.location == "Outlet"
    ]
    return found[-1 if last else 0] if found else None


def _polite(action: str, words: Mapping[str, Any]) -> Callable[..., Any]:
    result = getattr(call_result, action)
    return lambda **_: result(**words)


def _profile(said: Mapping[str, Any]) -> dict[str, Any]:
    """The shared words of a profile in those of 2.0.1, where a profile holds a list of schedules."""
    return {**said, "charging_schedule": [{"id": said["id"], **said["charging_schedule"]}]}
