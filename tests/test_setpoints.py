# SPDX-License-Identifier: Apache-2.0
"""Orders reach declared devices within their limits, are renewed, and end: a simulated inverter on loopback, a clock that is moved."""

import asyncio
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from tests.operate_world import NOW, Still, planned_park
from tests.sources.meters import Meter, sunspec

import mangrove as mg
from mangrove import setpoints
from mangrove.errors import RequestError
from mangrove.operate.devices import Reading
from mangrove.serve import schedules
from mangrove.serve.schedules import OVERRIDE, Override
from mangrove.serve.state import Live
from mangrove.setpoints import RETRY, Setpoints, Sockets, SwapStation
from mangrove.sources.intake import Intake
from mangrove.sources.sunspec import models

STORAGE = {
    "WChaMax": 20000, "WChaMax_SF": 1, "StorCtl_Mod": 0, "ChaState": 400, "ChaState_SF": -1, "InWRte": 0, "OutWRte": 0,
    "InOutWRte_SF": -2, "InOutWRte_WinTms": 0, "InOutWRte_RvrtTms": 0, "ChaGriSet": 1,
}  # fmt: skip
"""A SunSpec battery of 200 kW whose rates are hundredths of a percent."""
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def meter():
    with Meter(sunspec([(124, STORAGE)])) as running:
        yield running


@pytest.fixture(scope="module")
def park(tmp_path_factory, meter):
    devices = (
        "id,protocol,place,address,every,parameters\n"
        f"inverter,modbus,works,tcp://127.0.0.1:{meter.port},15min,asset=works_battery; timeout=0.5 s\n"
    )
    return planned_park(tmp_path_factory.mktemp("setpoints"), devices)


@contextmanager
def running(park, clock, devices=None):
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        live = Live(park, clock, intake)
        found = setpoints.declared(live, None, None) if devices is None else devices
        loop = Setpoints(live, found)
        try:
            yield live, loop
        finally:
            for one in found.values():
                link = getattr(one, "_link", None)
                if link is not None:
                    link.close()


def register(meter, name):
    word = meter.words[40002 + models()[124][name].offset]
    return word - 0x10000 if word >= 0x8000 else word


def kilowatts(meter):
    """What stands in the registers of the inverter: the rate of charge, 100 % being 200 kW, in hundredths of a percent."""
    assert register(meter, "InWRte") == -register(meter, "OutWRte")
    return register(meter, "InWRte") / 10_000 * 200


def planned(park, key, at):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        (row,) = snapshot.values([f"schedule:{key}"], at, at + 15 * MINUTE).to_pylist()
    return row["value"] / 0.25


def decide(live, power, minutes, start=NOW):
    one = Override("", "works", "works_battery", power, start, start + minutes * MINUTE, "An")
    live.intake.call(lambda ledger: ledger.put_record(OVERRIDE, one.document())).result(10)


def test_the_plan_of_each_quarter_reaches_the_inverter_and_then_its_safe_power(park, meter):
    clock = Still()
    with running(park, clock) as (live, loop):
        for quarter in range(8):
            clock.at = NOW + quarter * 15 * MINUTE
            assert [one.reason for one in loop.step()] == ["sent"]
            wanted = planned(park, "works.charged", clock.at) - planned(park, "works.given", clock.at)
            assert kilowatts(meter) == pytest.approx(wanted, abs=0.02)
            assert register(meter, "StorCtl_Mod") == 3
            assert register(meter, "InOutWRte_RvrtTms") == 900
            assert loop.step() == [], "what stands there already is not said twice"
        clock.at = NOW + 120 * MINUTE  # the plan is two hours old: nothing holds any more
        assert [(one.sent, one.reason) for one in loop.step()] == [(0.0, "expired")]
        assert kilowatts(meter) == 0.0
        assert loop.state()[0].status == "ok"
        live.intake.call(lambda ledger: None).result(10)
        answer = schedules.told(live)["works_battery"]
        assert (answer.sent, answer.reason, answer.at) == (0.0, "expired", clock.at)


def test_a_decision_goes_before_the_plan_is_renewed_and_ends(tmp_path, park, meter):
    clock = Still(NOW + timedelta(hours=3))  # the plan is too old: the decision stands alone
    with running(park, clock) as (live, loop):
        assert loop.step() == [], "a device that was told nothing is left to its own control"
        decide(live, -30.0, 40, clock.at)
        assert [one.sent for one in loop.step()] == [-30.0]
        assert kilowatts(meter) == -30.0
        renewed = 0
        for _ in range(39):
            clock.move(MINUTE)
            renewed += len(loop.step())
            assert kilowatts(meter) == -30.0
            left = loop._kept["works_battery"].guard.expires - clock.at
            assert timedelta(0) < left <= 15 * MINUTE
        assert 2 <= renewed <= 4
        clock.move(MINUTE)
        assert [(one.sent, one.reason) for one in loop.step()] == [(0.0, "expired")]
        assert kilowatts(meter) == 0.0


def test_a_decision_that_is_taken_back_ends_at_once(park, meter):
    clock = Still(NOW + timedelta(hours=5))
    with running(park, clock) as (live, loop):
        decide(live, 25.0, 60, clock.at)
        loop.step()
        assert kilowatts(meter) == 25.0
        clock.move(MINUTE)
        decide(live, None, 0, clock.at)
        loop.step()
        assert kilowatts(meter) == 0.0


def test_a_record_beyond_the_limits_never_gets_past_the_guard(park, meter):
    """A battery of 80 kW behind an inverter of 200 kW: whoever writes a record of 500 kW, 80 kW is what it hears."""
    clock = Still(NOW + timedelta(hours=7))
    with running(park, clock) as (live, loop):
        for asked, sent in ((500.0, 80.0), (-500.0, -80.0)):
            decide(live, asked, 10, clock.at)
            (written,) = loop.step()
            assert (written.sent, written.reason) == (sent, "limit")
            assert kilowatts(meter) == sent
            clock.move(MINUTE)
        live.intake.call(lambda ledger: None).result(10)
        assert schedules.told(live)["works_battery"].sent == -80.0


def test_a_device_that_is_away_is_named_and_tried_again(park, meter):
    clock = Still(NOW + timedelta(hours=9))
    with running(park, clock) as (live, loop):
        decide(live, 10.0, 30, clock.at)
        meter.refuse = 4  # "server device failure"
        try:
            assert [(one.sent, one.reason) for one in loop.step()] == [(None, "unreachable")]
            health = loop.state()[0]
            assert (health.device, health.status, health.problem.code) == (
                "inverter", "failing", "page_operate.unreachable",
            )  # fmt: skip
            assert loop.step() == [], "it is not asked at every look"
        finally:
            meter.refuse = None
        clock.move(RETRY)
        assert [one.sent for one in loop.step()] == [10.0]
        assert loop.state()[0].status == "ok"


def test_the_loop_runs_by_itself_and_stops(park, meter, monkeypatch):
    monkeypatch.setattr(setpoints, "LOOK", 0.01)
    clock = Still(NOW + timedelta(hours=11))
    with running(park, clock) as (live, loop):
        decide(live, 15.0, 30, clock.at)
        loop.start()
        wait = threading.Event()
        for _ in range(1000):
            if meter.words and kilowatts(meter) == 15.0:
                break
            wait.wait(0.01)
        loop.stop()
    assert kilowatts(meter) == 15.0


def test_without_a_declared_device_nothing_happens(park):
    with running(park, Still(), {}) as (live, loop):
        assert loop.step() == []
        assert loop.state() == ()
        loop.start()
        loop.stop()
        with pytest.raises(RequestError) as refused:
            Setpoints(live, {"moon": SwapStation("moon", "m", None)})
    assert refused.value.code == "page_operate.no_device"


class Broker:
    def __init__(self):
        self.said = []

    def set_swap(self, device, power, until):
        self.said.append((device, power, until))


def test_a_swap_station_is_told_its_planned_power_through_the_broker(park):
    broker, clock = Broker(), Still()
    with running(park, clock, {"swaps": SwapStation("swaps", "station-1", broker)}) as (_, loop):
        loop.step()
    wanted = planned(park, "works.swap", NOW)
    ((device, power, until),) = broker.said
    assert (device, until) == ("station-1", NOW + 15 * MINUTE)
    assert power == pytest.approx(wanted, abs=1e-3)


class Socket:
    def __init__(self, name, fails=False):
        self.id, self.fails, self.said = name, fails, []

    def read(self):
        return Reading(1.0, None, 0.0, 7.0)

    def write(self, setpoint):
        if self.fails:
            raise TimeoutError
        self.said.append(setpoint.power)


def test_a_charger_shares_its_power_among_its_sockets_and_one_that_fails_stops_no_other(park):
    parts = [Socket("a"), Socket("b", fails=True), Socket("c"), Socket("d")]
    whole = Sockets("chargers", parts)
    assert (whole.read().power, whole.read().high) == (4.0, 28.0)
    with running(park, Still(), {"chargers": whole}) as (live, loop):
        stored = schedules.schedules(live, ["works"])["works"]
        (written,) = loop.step()
    total = stored.devices["chargers"].power[0]
    assert total > 0, "a vehicle stands there at eight"
    assert written.reason == "unreachable"
    assert [part.said for part in parts] == [
        [pytest.approx(total / 4)],
        [],
        *[[pytest.approx(total / 4)]] * 2,
    ]


def test_devices_are_found_by_what_they_are_declared_to_be(tmp_path):
    """A station by the flow of its meter, a charger by the flow of its connectors, a battery by its asset."""
    folder = tmp_path / "park"
    mg.testing.energy_park(folder)
    (folder / "devices.csv").write_text(
        "id,protocol,place,address,every,parameters\nstation-1,mqtt,works,,,\n"
        "box-1,ocpp,works,,,power=7 kW\ninverter,modbus,works,tcp://127.0.0.1:9,15min,asset=works_battery\n",
        encoding="utf-8",
    )
    (folder / "points.csv").write_text(
        "device,address,flow,unit,form\nstation-1,mg/station-1/swap/meter#import,works.swap,kWh,swap\n"
        "box-1,connector/1/Energy.Active.Import.Register,works.ev,kWh,\n",
        encoding="utf-8",
    )
    park = mg.open(folder)

    class Chargers:
        loop: asyncio.AbstractEventLoop | None = None

    found = setpoints.declared(Live(park, Still()), Broker(), Chargers())
    assert set(found) == {"swaps", "chargers", "works_battery"}
    assert [part.id for part in found["chargers"].parts] == ["box-1"]
    assert found["swaps"].device == "station-1"
    assert set(setpoints.declared(Live(park, Still()), None, None)) == {"works_battery"}
