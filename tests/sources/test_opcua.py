"""OPC UA: nodes of asyncua's own server on loopback, with bad statuses, strange clocks and a server that goes away."""

import asyncio
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import Server, ua
from tests.sources.fields import NOON, At, Box, declared, power, register

from mangrove.errors import SourceError
from mangrove.ledger.types import Quality
from mangrove.sources.opcua import OpcReader
from mangrove.sources.poll import Poller
from mangrove.territory.model import Device, Point
from mangrove.times import Step
from mangrove.units import Quantity

POWER, ENERGY, STATE = "ns=2;s=Boiler.Power", "ns=2;s=Boiler.Energy", "ns=2;s=Boiler.State"


class Works:
    """A server with a few nodes; `with Works() as works: works.set(POWER, 3.5)`."""

    def __init__(self, port=0):
        self.port = port or _free_port()

    @property
    def address(self):
        return f"opc.tcp://127.0.0.1:{self.port}/mangrove"

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def set(
        self, node, value, *, at=None, server=None, status=ua.StatusCodes.Good, kind=ua.VariantType.Double
    ):
        said = ua.DataValue(
            None if value is None else ua.Variant(value, kind),
            StatusCode=ua.StatusCode(status),
            SourceTimestamp=at,
            ServerTimestamp=server,
        )
        self.run(self.server.get_node(node).write_attribute(ua.AttributeIds.Value, said))

    async def _begin(self):
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint(self.address)
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self.server.register_namespace("urn:mangrove:test")
        for node in (POWER, ENERGY):
            await self.server.nodes.objects.add_variable(ua.NodeId.from_string(node), node, 0.0)
        await self.server.nodes.objects.add_variable(ua.NodeId.from_string(STATE), STATE, "idle")
        await self.server.start()

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.run(self._begin())
        return self

    def __exit__(self, *_):
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def device(address):
    return Device("boiler", "opcua", "site", address, Step.parse("15min"), {"timeout": Quantity.parse("1 s")})


def reader(works, *addresses, at=None):
    points = [Point("boiler", address, "power") for address in addresses]
    return OpcReader(device(works.address), points, "", At(at or datetime.now(UTC)))


@pytest.fixture(scope="module")
def works():
    with Works() as one:
        yield one


@pytest.fixture
def ask(works):
    readers = []

    def asked(*addresses, at=None):
        one = reader(works, *addresses, at=at)
        readers.append(one)
        return one.read()

    yield asked
    for one in readers:
        one.close()


def test_the_values_of_all_nodes_come_with_their_source_time(works, ask):
    works.set(POWER, 3.5, at=NOON - timedelta(seconds=2))
    works.set(ENERGY, 1200.0, at=NOON - timedelta(seconds=1))
    answer = ask(POWER, ENERGY, at=NOON)
    assert answer.problem is None
    assert (answer.samples[POWER].value, answer.samples[POWER].at) == (3.5, NOON - timedelta(seconds=2))
    assert (answer.samples[ENERGY].value, answer.samples[ENERGY].quality) == (1200.0, Quality.GOOD)


@pytest.mark.parametrize("kind", [ua.VariantType.Float, ua.VariantType.Int32, ua.VariantType.UInt16])
def test_numbers_of_every_kind_are_read(works, ask, kind):
    works.set(ENERGY, 42, kind=ua.VariantType.Double)
    node = f"ns=2;s=Kind.{kind.name}"
    works.run(works.server.nodes.objects.add_variable(ua.NodeId.from_string(node), node, 7, kind))
    assert ask(node).samples[node].value == 7.0


def test_a_bad_status_is_a_fault_and_without_a_value_it_is_missing(works, ask):
    works.set(POWER, 3.5, status=ua.StatusCodes.BadSensorFailure)
    works.set(ENERGY, None, status=ua.StatusCodes.BadWaitingForInitialData)
    answer = ask(POWER, ENERGY)
    assert answer.samples[POWER].quality in (Quality.FAULT, Quality.MISSING)
    assert answer.samples[ENERGY].quality == Quality.MISSING
    assert answer.problem.data["status"] == "BadSensorFailure"


def test_a_source_time_that_cannot_be_right_gives_way_to_the_server_with_quality_clock(works, ask):
    works.set(POWER, 1.0, at=NOON + timedelta(hours=3), server=NOON - timedelta(seconds=1))
    works.set(ENERGY, 2.0, at=datetime(1970, 1, 2), server=NOON)  # noqa: DTZ001 - what a device without a clock says
    samples = ask(POWER, ENERGY, at=NOON).samples
    assert samples[POWER].quality == samples[ENERGY].quality == Quality.CLOCK
    assert samples[POWER].at is None or abs(samples[POWER].at - NOON) < timedelta(minutes=15)


def test_a_value_that_has_not_changed_for_hours_is_the_value_of_now(works, ask):
    works.set(POWER, 6.0, at=NOON - timedelta(hours=5))
    sample = ask(POWER, at=NOON).samples[POWER]
    assert (sample.value, sample.quality, sample.at) == (6.0, Quality.GOOD, None)


def test_text_and_unknown_nodes_are_problems_of_their_points(works, ask):
    works.set(POWER, 1.0)
    answer = ask(POWER, STATE, "ns=2;s=Nowhere")
    assert answer.samples[POWER].value == 1.0
    assert answer.samples[STATE].value is None
    assert answer.samples["ns=2;s=Nowhere"].quality == Quality.MISSING
    assert answer.problem.code in ("devices.node_type", "devices.node_bad")


def test_a_server_that_goes_away_is_found_again():
    with Works() as works:
        one = reader(works, POWER)
        assert one.read().samples[POWER].value == 0.0
    with pytest.raises(SourceError) as error:
        one.read()
    assert error.value.code == "devices.no_answer"
    with Works(works.port) as again:
        again.set(POWER, 8.0)
        assert one.read().samples[POWER].value == 8.0
        one.close()


def test_a_poller_turns_nodes_into_values(works, tmp_path):
    boiler = device(works.address)
    points = [Point("boiler", POWER, "power"), Point("boiler", ENERGY, "energy")]
    park = declared(tmp_path, [power(), register()], [boiler], points)
    box, clock = Box(), At()
    works.set(POWER, 3.0, at=NOON - timedelta(seconds=4))
    works.set(ENERGY, 500.0, at=NOON - timedelta(seconds=4))
    one = Poller(boiler, park.territory, box, clock, OpcReader(boiler, points, "", clock))
    one.turn()
    one._reader.close()
    assert box.rows == [("power", NOON, 3.0, 0), ("energy", NOON - timedelta(seconds=4), 500.0, 0)]


@pytest.mark.parametrize(
    ("address", "node", "code"),
    [("http://x", POWER, "devices.bad_address"), ("opc.tcp://x", "Boiler Power", "devices.bad_node")],
)
def test_an_address_that_is_no_server_or_no_node_is_an_error(address, node, code):
    with pytest.raises(SourceError) as error:
        OpcReader(device(address), [Point("boiler", node, "power")], "", At())
    assert error.value.code == code
