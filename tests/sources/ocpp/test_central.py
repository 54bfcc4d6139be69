"""Chargers of both versions over real websockets: what they say is stored once, what they are told they obey, and nothing they send ends the server."""

import asyncio
import contextlib
import json
from datetime import timedelta

import pyarrow as pa
import pytest
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.ocpp.rig import NOON, PARAMETERS, Rig, charger_park, when

from mangrove.errors import MissingExtraError, RequestError, SourceError
from mangrove.ledger.types import Origin, Quality
from mangrove.operate.devices import Guard, Limits, Setpoint
from mangrove.serve.clock import Clock
from mangrove.sources.ocpp import CentralSystem, OcppCharger, Period

VERSIONS = ("ocpp1.6", "ocpp2.0.1")
WORDS = (
    "BootNotification", "Heartbeat", "StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent", "StatusNotification",
    "Authorize", "connectorId", "idTag", "meterStart", "meterStop", "timestamp", "transactionId", "meterValue", "evseId", "Started",
    "2024-06-05T05:00:00Z", "eventType", "transactionInfo", "seqNo", "triggerReason", "sampledValue", "value",
)  # fmt: skip


@pytest.fixture
def park(tmp_path):
    return charger_park(tmp_path)


async def until(done):
    """Waits for what another thread or the far end brings about."""
    for _ in range(1000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def raw(rig, version, frames, answers):
    """Sends frames as they are, and gives so many answers; then shows that the connection still lives."""
    async with rig.connect("CP1", version) as wire:
        for frame in frames:
            await wire.send(frame)
        got = [json.loads(await asyncio.wait_for(wire.recv(), 5)) for _ in range(answers)]
        await wire.send('[2,"last","Heartbeat",{}]')
        assert json.loads(await asyncio.wait_for(wire.recv(), 5))[:2] == [3, "last"]
        return got


async def charge16(charger):
    """30 minutes at 10 kW: 5 kWh."""
    await charger.boot()
    number = (await charger.begin(-60, 1000)).transaction_id
    await charger.draw(-55, 1833, 10_000, number)
    await charger.draw(-50, 2667, 12_000, number)
    await charger.draw(-45, 3500, 9_000, number)
    await charger.end(number, -30, 6000)
    return number


async def charge201(charger):
    await charger.boot()
    await charger.event("Started", "tx-1", 0, -60, 1000)
    await charger.event("Updated", "tx-1", 1, -55, 1833, watts=10_000)
    await charger.event("Updated", "tx-1", 2, -50, 2667, watts=12_000)
    await charger.event("Updated", "tx-1", 3, -45, 3500, watts=9_000)
    await charger.event("Ended", "tx-1", 4, -30, 6000)
    return "tx-1"


@pytest.mark.parametrize(("version", "charge"), [("ocpp1.6", charge16), ("ocpp2.0.1", charge201)])
def test_a_charge_is_a_session_and_values_of_its_flows_and_is_stored_when_it_is_answered(
    park, version, charge
):
    with Rig(park) as rig:

        async def story():
            async with rig.charger(version=version) as charger:
                await charge(charger)
                sessions = rig.sessions("CP1.kwh")  # the answer to the last message is the acknowledgement
                assert [(one["start"], one["end"], one["amount"]) for one in sessions] == [
                    (NOON - timedelta(hours=1), NOON - timedelta(minutes=30), 5.0)
                ]
                assert [one.status for one in rig.system.state()] == ["ok", "never"]
                assert rig.system.seen("CP1").version == version.removeprefix("ocpp")

        asyncio.run(story())
        powers = rig.values("CP1.kw")
        assert [(one["start"], one["value"]) for one in powers] == [
            (NOON - timedelta(hours=1), pytest.approx(11.0)),  # the mean of 10 and 12 kW in that quarter
            (NOON - timedelta(minutes=45), pytest.approx(9.0)),
        ]
    amounts = rig.values("CP1.kwh")  # derived from the register by the intake
    assert sum(one["value"] for one in amounts) == pytest.approx(5.0)


@pytest.mark.parametrize(("version", "charge"), [("ocpp1.6", charge16), ("ocpp2.0.1", charge201)])
def test_messages_that_come_again_count_once_also_after_a_restart(park, version, charge):
    async def story(rig):
        async with rig.charger(version=version) as charger:
            return await charge(charger)

    with Rig(park) as rig:
        first = asyncio.run(story(rig))
        assert asyncio.run(story(rig)) == first
    with Rig(park) as rig:
        assert asyncio.run(story(rig)) == first
        assert len(rig.sessions("CP1.kwh")) == 1
        assert len(rig.values("CP1.kwh#register")) == 5
        assert [one["value"] for one in rig.values("CP1.kw")] == pytest.approx([11.0, 9.0])


def test_a_transaction_goes_on_over_a_lost_connection_and_a_restart_and_its_number_is_never_given_again(park):
    async def start(rig):
        async with rig.charger() as charger:
            return (await charger.begin(-60, 1000)).transaction_id

    async def rest(rig, number):
        async with rig.charger() as charger:
            other = (await charger.begin(-10, 6000)).transaction_id
            await charger.end(number, -30, 6000)
        return other

    with Rig(park) as rig:
        number = asyncio.run(start(rig))
    with Rig(park) as rig:
        other = asyncio.run(rest(rig, number))
        assert [one["amount"] for one in rig.sessions("CP1.kwh")] == [5.0]
    with Rig(park) as rig:
        third = asyncio.run(start_other(rig))
    assert len({number, other, third}) == 3


async def start_other(rig):
    async with rig.charger("CP2") as charger:
        return (await charger.begin(-1, 0)).transaction_id


def test_a_transaction_that_was_offline_for_a_month_is_taken_with_its_old_times(park):
    month = -30 * 24 * 60

    async def story(rig):
        async with rig.charger(version="ocpp2.0.1") as charger:
            await charger.event("Started", "old", 0, month, 100, offline=True)
            await charger.event("Ended", "old", 1, month + 60, 7100, offline=True)

    with Rig(park) as rig:
        asyncio.run(story(rig))
        (session,) = rig.sessions("CP1.kwh")
        assert (session["amount"], session["start"]) == (7.0, NOON - timedelta(days=30))
        assert {one["quality"] for one in rig.values("CP1.kwh#register")} == {Quality.GOOD}


def test_an_end_that_arrives_before_its_start_becomes_a_session_when_the_start_comes(park):
    async def story(rig):
        async with rig.charger(version="ocpp2.0.1") as charger:
            await charger.event("Ended", "late", 1, -10, 3000)
            assert rig.sessions("CP1.kwh") == []
            await charger.event("Started", "late", 0, -40, 1000)

    with Rig(park) as rig:
        asyncio.run(story(rig))
        assert [one["amount"] for one in rig.sessions("CP1.kwh")] == [2.0]
        assert rig.quarantine() == ["ocpp.unknown_transaction"]


def test_a_register_that_starts_again_is_counted_on_and_one_that_falls_says_nothing(park):
    async def story(rig):
        async with rig.charger() as charger:
            rolled = (await charger.begin(-60, 999_900)).transaction_id
            await charger.end(rolled, -30, 400)
            fell = (await charger.begin(-20, 8000)).transaction_id
            await charger.end(fell, -10, 5000)

    with Rig(park) as rig:
        asyncio.run(story(rig))
        assert [one["amount"] for one in rig.sessions("CP1.kwh")] == [0.5]
        assert rig.quarantine() == ["ocpp.no_energy"]


def test_a_clock_that_is_wrong_marks_the_values_and_keeps_no_session(park):
    async def story(rig):
        async with rig.charger() as charger:
            number = (await charger.begin(60, 1000)).transaction_id
            await charger.draw(70, 2000, 5000, number)
            await charger.end(number, 90, 4000)

    with Rig(park) as rig:
        asyncio.run(story(rig))
        assert {one["quality"] for one in rig.values("CP1.kw")} == {Quality.CLOCK}
        assert {one["quality"] for one in rig.values("CP1.kwh#register")} == {Quality.CLOCK}
        assert rig.sessions("CP1.kwh") == []
        assert rig.quarantine() == ["ocpp.bad_session"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_charger_obeys_the_profile_within_its_declared_limit_and_falls_back_to_the_safe_power(
    park, version
):
    hour = timedelta(hours=1)
    asked = [Period(NOON, NOON + hour, 11.0), Period(NOON + hour, NOON + 2 * hour, 50.0)]

    async def story(rig):
        async with rig.charger(version=version) as charger:
            await charger.boot()
            await until(lambda: charger.profiles)
            assert charger.allowed(NOON) == 4000.0
            sent = await rig.asked(rig.system.set_profile("CP1", 1, asked))
            assert (sent.purpose, sent.reason) == ("TxDefaultProfile", "limit")
            assert charger.allowed(NOON) == 11_000.0
            assert charger.allowed(NOON + 1.5 * hour) == 22_000.0  # 50 kW was asked, 22 kW is declared
            assert charger.allowed(NOON + 3 * hour) == 4000.0  # the plan is over, the safe power remains
            said = await rig.asked(rig.system.composite("CP1", 1, hour / 2))
            assert [one.power for one in said] == [11.0, 11.0]
            assert await rig.asked(rig.system.clear_profile("CP1", 1))
            assert not await rig.asked(rig.system.clear_profile("CP1", 1))
            assert charger.allowed(NOON) == 4000.0

    with Rig(park) as rig:
        asyncio.run(story(rig))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_running_transaction_gets_a_profile_of_its_own(park, version):
    async def story(rig):
        async with rig.charger(version=version) as charger:
            if version == "ocpp1.6":
                number = (await charger.begin(-5, 0)).transaction_id
            else:
                number = "tx-7"
                await charger.event("Started", number, 0, -5, 0)
            sent = await rig.asked(
                rig.system.set_profile("CP1", 1, [Period(NOON, NOON + timedelta(hours=1), 7.0)])
            )
            assert sent.purpose == "TxProfile"
            (said,) = charger.profiles.values()
            assert said["transaction_id"] == number

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_a_charger_behind_the_guard_of_operate_never_hears_more_than_its_limits(park):
    async def story(rig):
        async with rig.charger() as charger:
            await charger.boot()
            guard = Guard(OcppCharger(rig.system, "CP1", 1, id="chargers"), Limits(0.0, 16.0))
            wish = Setpoint("chargers", 40.0, NOON, NOON + timedelta(hours=6))
            written = await asyncio.to_thread(guard.write, wish, NOON)
            assert (written.sent, written.reason) == (16.0, "limit")
            assert charger.allowed(NOON) == 16_000.0
            assert (
                charger.allowed(NOON + timedelta(minutes=16)) == 4000.0
            )  # the heartbeat of the guard has passed
            return guard

    with Rig(park) as rig:
        guard = asyncio.run(story(rig))
        gone = guard.write(Setpoint("chargers", 5.0, NOON, NOON + timedelta(hours=1)), NOON)
        assert gone.reason == "unreachable"


def test_the_schedule_of_operate_reaches_the_charger_as_a_profile(park):
    starts = [NOON + timedelta(minutes=15) * k for k in range(4)]
    rows = schedule_of([11.0, 11.0, 7.0, 0.0])

    async def story(rig):
        async with rig.charger() as charger:
            rig.intake.offer(rows, Origin("operate:shop", "1", "schedule")).result(10)
            with park.reader() as ledger, ledger.snapshot() as snapshot:
                (sent,) = await rig.asked(rig.system.apply_schedule(snapshot))
            assert [one.power for one in sent.periods] == [11.0, 7.0, 0.0]
            assert [charger.allowed(at) for at in starts] == [11_000.0, 11_000.0, 7000.0, 0.0]
            assert (
                charger.allowed(starts[-1] + timedelta(minutes=15)) is None
            )  # over, and this one never booted

    with Rig(park) as rig:
        asyncio.run(story(rig))


def schedule_of(powers, first=NOON):
    """A schedule of kW by quarters of an hour as operate writes it."""
    starts = [first + timedelta(minutes=15) * k for k in range(len(powers))]
    return pa.table(
        {
            "flow": ["CP1.kw"] * len(powers),
            "start": pa.array(starts, pa.timestamp("us", tz="UTC")),
            "value": powers,
            "quality": pa.array([0] * len(powers), pa.uint8()),
        }
    )


def test_chargers_are_kept_on_the_schedule_when_it_changes_when_they_charge_and_when_they_come_back(park):
    @contextlib.contextmanager
    def snapshots():
        with park.reader() as ledger, ledger.snapshot() as snapshot:
            yield snapshot

    def plan(rig, number, powers):
        rig.intake.offer(schedule_of(powers), Origin("operate:shop", number, "schedule")).result(10)

    async def story(rig):
        async with rig.charger() as charger:
            await charger.boot()
            plan(rig, "1", [11.0, 7.0])
            task = asyncio.run_coroutine_threadsafe(rig.system.follow(snapshots, every=0.05), rig.system.loop)
            await until(lambda: charger.allowed(NOON) == 11_000.0)
            plan(rig, "2", [6.0, 7.0])
            await until(lambda: charger.allowed(NOON) == 6000.0)
            await charger.begin(-5, 0)
            await until(
                lambda: any(
                    said["charging_profile_purpose"] == "TxProfile" for said in charger.profiles.values()
                )
            )
            told = dict(charger.profiles)
            await asyncio.sleep(0.3)
            assert charger.profiles == told  # nothing changed: nothing is said again
        async with rig.charger() as again:
            await until(lambda: again.profiles)
            task.cancel()

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_who_is_not_declared_or_has_the_wrong_password_is_refused(park):
    async def refused(rig, **asked):
        with pytest.raises(websockets.InvalidStatus) as error:
            async with rig.connect(**asked):
                pass
        return error.value.response.status_code

    async def story(rig):
        assert await refused(rig, name="CP9") == 404
        assert await refused(rig, name="CP1", password="wrong") == 401
        assert await refused(rig, name="CP1", user="CP2", password="secret-two") == 401

    with Rig(park) as rig:
        asyncio.run(story(rig))


@pytest.mark.parametrize("version", ["ocpp1.2", None])
def test_a_charger_that_speaks_no_version_of_ours_is_let_in_without_one_and_sent_away(park, version):
    async def story(rig):
        async with rig.connect("CP1", version) as wire:
            assert wire.subprotocol is None
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await wire.recv()
            assert closed.value.rcvd.code == 1002

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_the_newer_of_two_connections_of_one_charger_wins(park):
    async def story(rig):
        async with rig.connect() as older, rig.connect() as newer:
            await newer.send('[2,"1","Heartbeat",{}]')
            assert json.loads(await newer.recv())[0] == 3
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await older.recv()
            assert closed.value.rcvd.code == 1008
            assert rig.system.state()[0].status == "ok"
        await until(lambda: rig.system.state()[0].status != "ok")
        assert rig.system.state()[0].status == "failing"

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_frames_that_are_no_messages_are_answered_with_errors_where_that_can_be_said(park):
    deep = "[" * 100_000

    async def story(rig):
        with_id = ['[2,"a","Heartbeat"]', '[2,"b",{},{}]', '[2,"c","Heartbeat",[1]]', '[9,"d"]']
        got = await raw(rig, "ocpp1.6", ["{", "[]", "7", deep, *with_id], 4)
        assert [(one[0], one[1], one[2]) for one in got] == [
            (4, name, "FormationViolation") for name in "abcd"
        ]
        got = await raw(rig, "ocpp2.0.1", ["{", '[2,"e","Nonsense",{}]'], 2)
        assert [one[:3] for one in got] == [[4, "-1", "RpcFrameworkError"], [4, "e", "NotSupported"]]

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_unknown_actions_and_wrong_payloads_get_their_error_and_unasked_answers_are_dropped(park):
    stop = {"transactionId": 1, "meterStop": 1, "timestamp": "yesterday"}
    frames = [
        '[2,"1","Nonsense",{}]',
        '[2,"2","Reset",{"type":"Hard"}]',
        '[2,"3","StartTransaction",{"connectorId":1}]',
        json.dumps([2, "4", "StopTransaction", stop]),
        *['[3,"never asked",{}]'] * 50,
    ]

    async def story(rig):
        got = await raw(rig, "ocpp1.6", frames, 4)
        codes = {one[1]: one[2] for one in got}
        assert codes == {
            "1": "NotSupported",
            "2": "NotImplemented",
            "3": "ProtocolError",
            "4": "InternalError",
        }
        link = rig.system._links.get("CP1")
        assert link is None or link.charger._response_queue.empty()

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_a_message_that_is_too_large_closes_the_connection_and_nothing_else(park):
    async def story(rig):
        async with rig.connect("CP2") as other:
            async with rig.connect("CP1") as wire:
                await wire.send(json.dumps([2, "1", "DataTransfer", {"vendorId": "x" * (1 << 20)}]))
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await wire.recv()
                assert closed.value.rcvd.code == 1009
            async with rig.connect("CP1") as wire:
                await wire.send(b"\x00\x01")
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await wire.recv()
                assert closed.value.rcvd.code == 1003
            await other.send('[2,"1","Heartbeat",{}]')
            assert json.loads(await other.recv())[0] == 3

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_only_listed_cards_charge_where_cards_are_listed(tmp_path):
    park = charger_park(tmp_path, {**PARAMETERS, "tags": "04A2 04FF"})

    async def story(rig):
        async with rig.charger() as charger:
            assert (await charger.begin(-5, 0, "04A2")).id_tag_info["status"] == "Accepted"
            assert (await charger.begin(-4, 0, "stranger")).id_tag_info["status"] == "Invalid"

    with Rig(park) as rig:
        asyncio.run(story(rig))


def test_a_full_queue_is_no_acknowledgement_and_the_charger_can_send_again(park, monkeypatch):
    start = {"connectorId": 1, "idTag": "t", "meterStart": 5, "timestamp": when(-1)}

    def busy(*_):
        raise SourceError("sources.busy", rows=500_000)

    async def story(rig):
        async with rig.connect() as wire:
            ask = json.dumps([2, "1", "StartTransaction", start])
            with monkeypatch.context() as full:
                full.setattr(rig.intake, "offer", busy)
                await wire.send(ask)
                assert json.loads(await wire.recv())[:3] == [4, "1", "InternalError"]
            await wire.send(ask)
            assert json.loads(await wire.recv())[2]["transactionId"] == 1

    with Rig(park) as rig:
        asyncio.run(story(rig))
        assert [one["value"] for one in rig.values("CP1.kwh#register")] == [0.005]


def test_a_connection_that_ends_while_an_answer_is_awaited_is_told_at_once(park):
    one = [Period(NOON, NOON + timedelta(hours=1), 5.0)]

    async def story(rig):
        async with rig.connect() as wire:
            await wire.send('[2,"1","Heartbeat",{}]')
            await wire.recv()
            sending = asyncio.create_task(rig.asked(rig.system.set_profile("CP1", 1, one)))
            assert json.loads(await wire.recv())[2] == "SetChargingProfile"
        with pytest.raises(RequestError) as error:
            await sending
        assert error.value.code == "ocpp.no_answer"

    with Rig(park) as rig:
        asyncio.run(story(rig))


FRAMES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
CALLS = st.tuples(
    st.just(2),
    st.text(max_size=40),
    st.sampled_from(WORDS),
    st.dictionaries(st.sampled_from(WORDS), FRAMES, max_size=5),
)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_frame_ends_the_connection_or_the_server(park, version):
    with Rig(park) as rig, asyncio.Runner() as runner:
        wire = runner.run(rig.connect("CP1", version).__aenter__())

        @settings(
            max_examples=60,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(FRAMES | CALLS, min_size=1, max_size=4))
        def send(frames):
            async def story():
                for frame in frames:
                    await wire.send(json.dumps(frame))
                await wire.send('[2,"the last one","Heartbeat",{}]')
                async with asyncio.timeout(20):
                    while json.loads(await wire.recv())[:2] != [3, "the last one"]:
                        pass

            runner.run(story())

        send()
        runner.run(wire.close())


def test_what_cannot_be_sent_says_why(park):
    one = [Period(NOON, NOON + timedelta(hours=1), 5.0)]
    with Rig(park) as rig:
        for device, code in (("CP9", "ocpp.unknown_device"), ("CP1", "ocpp.not_connected")):
            with pytest.raises(RequestError) as error:
                asyncio.run(rig.system.set_profile(device, 1, one))
            assert error.value.code == code


def test_without_the_package_the_way_to_install_it_is_named(park, monkeypatch):
    monkeypatch.setattr("mangrove.sources.ocpp.central.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as error:
        CentralSystem(None, park.territory, Clock(NOON, speed=0), lambda *_: True)
    assert "mangrove[devices]" in str(error.value)
