"""Modbus TCP: registers to numbers, few requests, and devices that refuse, fall silent or go away."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.constants import ExcCodes
from tests.sources.meters import Meter, floats

from mangrove.errors import SourceError
from mangrove.sources.modbus import MOST_WORDS, Block, ModbusReader, Register, blocks, decode
from mangrove.territory.model import Device, Point
from mangrove.units import Quantity


def device(port, **parameters):
    given = {"timeout": Quantity.parse("0.3 s")} | parameters
    return Device("m", "modbus", "site", f"tcp://127.0.0.1:{port}", parameters=given)


def point(address, **parameters):
    return Point("m", address, "f", parameters=parameters)


def reader(meter, *points, **parameters):
    return ModbusReader(device(meter.port, **parameters), points)


def value(meter, address, **parameters):
    one = reader(meter, point(address, **parameters))
    try:
        return one.read().samples[address].value
    finally:
        one.close()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("holding:0:int16", -2.0),
        ("holding:0:uint16", 65534.0),
        ("holding:0", 65534.0),
        ("holding:1:int32", -100_000.0),
        ("holding:3:uint32", 4_000_000_000.0),
        ("holding:5:uint64", 2.0**40),
        ("holding:5:int64", 2.0**40),
        ("holding:9:float32", 230.5),
        ("holding:11:float32:swap", 230.5),
        ("input:13:float64", 1e-3),
    ],
)
def test_every_type_is_read_as_it_was_written(address, expected):
    body = struct.pack(">hiIq", -2, -100_000, 4_000_000_000, 2**40) + struct.pack(">f", 230.5)
    words = list(struct.unpack(f">{len(body) // 2}H", body))
    words += list(reversed(floats(230.5))) + list(struct.unpack(">4H", struct.pack(">d", 1e-3)))
    with Meter(dict(enumerate(words))) as meter:
        assert value(meter, address) == expected


@given(st.sampled_from(["int16", "uint16", "int32", "uint32", "float32"]), st.data())
def test_decoding_turns_round_what_struct_packs(kind, data):
    letter = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f"}[kind]
    size = struct.calcsize(">" + letter)
    bits = data.draw(st.binary(min_size=size, max_size=size))
    words = list(struct.unpack(f">{size // 2}H", bits))
    found, again = decode(words, kind), decode(words[::-1], kind, swap=True)
    assert found == again
    if found is not None:
        assert struct.pack(">" + letter, found if kind == "float32" else int(found)) == bits


def test_a_scale_factor_register_is_a_power_of_ten_and_not_available_makes_no_value():
    with Meter({10: 1234, 11: 0xFFFF, 12: 0x8000, 13: 0xFFFF, 20: 0x7FC0, 21: 0}) as meter:
        assert value(meter, "holding:10", sf="holding:11") == pytest.approx(123.4)
        assert value(meter, "holding:10", sf="holding:12") is None
        assert value(meter, "holding:13") == 65535
        assert value(meter, "holding:13", na="sunspec") is None
        assert value(meter, "holding:13", na=Quantity.parse("65535")) is None
        assert value(meter, "holding:20:float32") is None


def test_neighbors_are_read_in_one_request_and_distant_ones_in_two():
    with Meter({i: i for i in range(400)}) as meter:
        one = reader(meter, *(point(f"holding:{at}") for at in (0, 5, 20, 124, 125, 300)))
        answer = one.read()
        one.close()
        assert [answer.samples[f"holding:{at}"].value for at in (0, 20, 125, 300)] == [0, 20, 125, 300]
        assert meter.asked == [(0, 21), (124, 2), (300, 1)]


@given(st.lists(st.tuples(st.integers(0, 600), st.sampled_from(["uint16", "int32", "float64"])), min_size=1))
def test_blocks_hold_every_register_and_keep_the_limit_of_the_protocol(wanted):
    registers = [Register("holding", address, kind) for address, kind in wanted]
    found = blocks(registers)
    assert all(block.words <= MOST_WORDS for block in found)
    for one in registers:
        assert any(b.address <= one.address and one.address + one.words <= b.address + b.words for b in found)
    assert blocks([Register("holding", 0), Register("holding", 17)]) == [Block("holding", 0, 18)]
    assert len(blocks([Register("holding", 0), Register("holding", 18)])) == 2


def test_a_register_that_the_device_lacks_costs_only_itself():
    with Meter({0: 1, 2: 3}) as meter:
        one = reader(meter, point("holding:0"), point("holding:1"), point("holding:2"))
        first = one.read()  # read as one block, which the device refuses
        assert first.problem.code == "devices.modbus_exception"
        second = one.read()
        one.close()
        assert [second.samples[f"holding:{i}"].value for i in range(3)] == [1, None, 3]
        assert second.problem.data["number"] == 2
        assert second.problem.data["address"] == "holding:1"


def test_an_exception_of_the_device_is_an_error_of_the_device():
    with Meter({0: 1}) as meter:
        one = reader(meter, point("holding:0"))
        meter.refuse = ExcCodes.DEVICE_BUSY
        with pytest.raises(SourceError) as error:
            one.read()
        one.close()
        assert "server device busy" in str(error.value)


def test_a_wrong_unit_is_said():
    with Meter({0: 1}, unit=3) as meter:
        one = reader(meter, point("holding:0"), unit=Quantity.parse("7"))
        with pytest.raises(SourceError) as error:
            one.read()
        one.close()
        assert error.value.code == "devices.modbus_exception"
        assert error.value.problem.data["number"] in (4, 11)  # the server's word for it; a gateway says 11


def test_a_silent_device_runs_into_its_time_limit_and_the_late_answer_is_not_taken_for_the_next():
    with Meter({0: 1}) as meter:
        one = reader(meter, point("holding:0"))
        meter.silent = True
        with pytest.raises(SourceError) as error:
            one.read()
        assert error.value.code == "devices.no_answer"
        meter.silent = False
        meter.words[0] = 2
        assert one.read().samples["holding:0"].value == 2
        one.close()


def test_a_device_that_restarts_is_found_again():
    with Meter({0: 1}) as meter:
        one = reader(meter, point("holding:0"))
        assert one.read().samples["holding:0"].value == 1
    with pytest.raises(SourceError):
        one.read()
    with Meter({0: 5}, port=meter.port):
        assert one.read().samples["holding:0"].value == 5
    one.close()


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("coil:1", "devices.bad_register"),
        ("holding:70000", "devices.bad_register"),
        ("holding:1:int17", "devices.register_type"),
        ("999.W", "devices.sunspec_unknown"),
        ("103.Wat", "devices.sunspec_point"),
    ],
)
def test_an_address_that_is_no_register_is_an_error_with_a_hint(address, code):
    with pytest.raises(SourceError) as error:
        ModbusReader(device(502), [point(address)])
    assert error.value.code == code


@pytest.mark.parametrize("address", ["10.0.0.7:502", "udp://10.0.0.7", "tcp://", "tcp://host:99999"])
def test_an_address_that_is_no_device_is_an_error(address):
    with pytest.raises(SourceError) as error:
        ModbusReader(Device("m", "modbus", "site", address), [point("holding:0")])
    assert error.value.code == "devices.bad_address"


def test_a_missing_library_is_said_with_the_line_that_installs_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pymodbus.client", None)
    with pytest.raises(Exception, match="devices"):
        ModbusReader(device(502), [point("holding:0")])
