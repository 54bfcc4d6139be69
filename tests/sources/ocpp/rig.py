"""A central system on a loopback port over a real ledger, and simulated chargers of both versions over real websockets."""

import asyncio
import base64
import contextlib
import dataclasses
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
import websockets
from fastapi import FastAPI
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

import mangrove as mg
from mangrove.serve.clock import Clock
from mangrove.sources.intake import Intake
from mangrove.sources.ocpp import CentralSystem, router
from mangrove.territory.model import Carrier, Device, Flow, Point
from mangrove.testing import two_factory_park
from mangrove.times import Step
from mangrove.units import Quantity, unit

NOON = datetime(2024, 6, 5, 5, tzinfo=UTC)  # 12:00 in Viet Nam
PASSWORDS = {"CP1": "secret-one", "CP2": "secret-two"}
PARAMETERS = {"power": Quantity.parse("22 kW"), "safe_power": Quantity.parse("4 kW")}


def charger_park(folder: Path, parameters=PARAMETERS):
    """The two-factory park with two chargers at the shop: a register (15 min) and a mean power each."""
    park = mg.open(two_factory_park(folder))
    quarter, flows, points = Step.parse("15min"), {}, []
    for name in ("CP1", "CP2"):
        power = Flow(f"{name}.kw", "shop", Carrier("electricity"), unit("kW"), quarter, semantics="mean")
        energy = Flow(
            f"{name}.kwh", "shop", Carrier("electricity"), unit("kWh"), quarter, semantics="counter"
        )
        flows |= {power.id: power, energy.id: energy}
        points += [
            Point(name, "connector/1/Power.Active.Import", power.id),
            Point(name, "connector/1/Energy.Active.Import.Register", energy.id),
        ]
    devices = {name: Device(name, "ocpp", "shop", parameters=parameters) for name in PASSWORDS}
    territory = dataclasses.replace(
        park.territory, flows={**park.territory.flows, **flows}, devices=devices, points=tuple(points)
    )
    return dataclasses.replace(park, territory=territory)


class Rig:
    """One server over the ledger of a park; leave it and enter a new one to restart."""

    def __init__(self, park, now=NOON):
        self.park, self.clock = park, Clock(now, speed=0)

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        ledger = self._stack.enter_context(self.park.writer())
        self.intake = self._stack.enter_context(Intake(ledger, self.park.territory))
        self.system = CentralSystem(
            self.intake, self.park.territory, self.clock, lambda who, word: PASSWORDS.get(who) == word
        )
        app = FastAPI()
        app.include_router(router(self.system))
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws_max_size=4 << 20)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self.thread.start()
        self._stack.callback(listener.close)
        return self

    def __exit__(self, *error):
        self.server.should_exit = True
        self.thread.join()
        self._stack.close()

    def ask(self, awaitable):
        """Runs something of the central system in the server's loop, as pages and planning rounds do."""
        return asyncio.run_coroutine_threadsafe(awaitable, self.system.loop).result(10)

    async def asked(self, awaitable):
        return await asyncio.to_thread(self.ask, awaitable)

    def connect(self, name="CP1", version="ocpp1.6", password=None, user=None):
        code = base64.b64encode(f"{user or name}:{password or PASSWORDS.get(name, 'x')}".encode()).decode()
        return websockets.connect(
            f"ws://127.0.0.1:{self.port}/ocpp/{name}",
            subprotocols=[version] if version else None,
            additional_headers={"Authorization": f"Basic {code}"},
            max_size=None,
        )

    @contextlib.asynccontextmanager
    async def charger(self, name="CP1", version="ocpp1.6"):
        """A simulated charger that runs while the block does."""
        async with self.connect(name, version) as wire:
            charger = (Sim16 if version == "ocpp1.6" else Sim201)(name, wire)
            task = asyncio.create_task(charger.start())
            try:
                yield charger
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, websockets.ConnectionClosed):
                    await task

    def values(self, flow):
        with self.park.reader() as ledger, ledger.snapshot() as snapshot:
            return snapshot.values([flow], NOON - timedelta(days=400), NOON + timedelta(days=2)).to_pylist()

    def sessions(self, flow):
        from mangrove.ledger import sessions

        return sessions.read(
            self.park.store, flow, NOON - timedelta(days=400), NOON + timedelta(days=2)
        ).to_pylist()

    def quarantine(self):
        with self.park.reader() as ledger:
            return [row["code"] for row in ledger.quarantine().to_pylist()]


def when(minutes=0.0):
    return (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


class Obeys:
    """What a charger does with profiles: it keeps them by id, and draws what the highest one that holds allows."""

    def setup(self):
        self.profiles = {}

    def allowed(self, at):
        """The limit in W at an instant: TxProfile before TxDefaultProfile, higher stack level first."""
        found = []
        for said in self.profiles.values():
            schedule = said["schedule"]
            start = datetime.fromisoformat(schedule.get("start_schedule", when(-10_000)))
            passed = (at - start).total_seconds()
            if passed < 0 or passed >= schedule.get("duration", float("inf")):
                continue
            steps = [step for step in schedule["charging_schedule_period"] if step["start_period"] <= passed]
            rank = (said["charging_profile_purpose"] == "TxProfile", said["stack_level"])
            found.append((rank, float(steps[-1]["limit"])))
        return max(found)[1] if found else None


class Sim16(Obeys, ChargePoint16):
    def __init__(self, *args):
        super().__init__(*args)
        self.setup()

    @on("SetChargingProfile")
    def on_profile(self, connector_id, cs_charging_profiles):
        said = cs_charging_profiles
        self.profiles[said["charging_profile_id"]] = {**said, "schedule": said["charging_schedule"]}
        return result16.SetChargingProfile("Accepted")

    @on("ClearChargingProfile")
    def on_clear(self, id=None, **_):  # noqa: A002
        return result16.ClearChargingProfile("Accepted" if self.profiles.pop(id, None) else "Unknown")

    @on("GetCompositeSchedule")
    def on_composite(self, connector_id, duration, charging_rate_unit=None):
        steps = [
            {"start_period": at, "limit": self.allowed(NOON + timedelta(seconds=at))}
            for at in range(0, duration, 900)
        ]
        schedule = {"charging_rate_unit": "W", "charging_schedule_period": steps, "duration": duration}
        return result16.GetCompositeSchedule("Accepted", connector_id, when(), schedule)

    async def boot(self):
        return await self.call(call16.BootNotification("Model", "Maker"))

    async def begin(self, minutes, meter, tag="card"):
        return await self.call(call16.StartTransaction(1, tag, meter, when(minutes)))

    async def draw(self, minutes, meter, watts, number=None):
        sampled = [
            {"value": str(meter), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": str(watts), "measurand": "Power.Active.Import", "unit": "W"},
        ]
        return await self.call(
            call16.MeterValues(1, [{"timestamp": when(minutes), "sampled_value": sampled}], number)
        )

    async def end(self, number, minutes, meter):
        return await self.call(call16.StopTransaction(meter, when(minutes), number))


class Sim201(Obeys, ChargePoint201):
    def __init__(self, *args):
        super().__init__(*args)
        self.setup()

    @on("SetChargingProfile")
    def on_profile(self, evse_id, charging_profile, **_):
        said = charging_profile
        self.profiles[said["id"]] = {**said, "schedule": said["charging_schedule"][0]}
        return result201.SetChargingProfile("Accepted")

    @on("ClearChargingProfile")
    def on_clear(self, charging_profile_id=None, **_):
        found = self.profiles.pop(charging_profile_id, None)
        return result201.ClearChargingProfile("Accepted" if found else "Unknown")

    @on("GetCompositeSchedule")
    def on_composite(self, duration, evse_id, **_):
        steps = [
            {"start_period": at, "limit": self.allowed(NOON + timedelta(seconds=at))}
            for at in range(0, duration, 900)
        ]
        schedule = {
            "evse_id": evse_id, "duration": duration, "schedule_start": when(), "charging_rate_unit": "W",
            "charging_schedule_period": steps,
        }  # fmt: skip
        return result201.GetCompositeSchedule("Accepted", schedule=schedule)

    async def boot(self):
        return await self.call(
            call201.BootNotification({"model": "Model", "vendor_name": "Maker"}, "PowerUp")
        )

    async def event(self, kind, number, seq, minutes, meter=None, *, watts=None, **more):
        sampled = []
        if meter is not None:
            measure = {"unit": "Wh"}
            sampled.append(
                {"value": meter, "measurand": "Energy.Active.Import.Register", "unit_of_measure": measure}
            )
        if watts is not None:
            sampled.append(
                {
                    "value": watts / 1000,
                    "measurand": "Power.Active.Import",
                    "unit_of_measure": {"unit": "W", "multiplier": 3},
                }
            )
        values = [{"timestamp": when(minutes), "sampled_value": sampled}] if sampled else None
        trigger = {"Started": "Authorized", "Updated": "MeterValuePeriodic", "Ended": "StopAuthorized"}[kind]
        return await self.call(
            call201.TransactionEvent(
                kind, when(minutes), trigger, seq, {"transaction_id": number}, meter_value=values,
                evse={"id": 1} if kind == "Started" else None, **more,
            )
        )  # fmt: skip
