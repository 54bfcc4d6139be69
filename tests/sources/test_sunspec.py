"""SunSpec: the chain of models, scale factors, "not available", and set-points of a battery behind the guard."""

import csv
import struct
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.meters import PADDED, Meter, floats, sunspec

import mangrove as mg
from mangrove.errors import RuleError, SourceError
from mangrove.operate.devices import HEARTBEAT, Guard, Limits, Setpoint
from mangrove.sources.modbus import Link, ModbusReader, Register
from mangrove.sources.sunspec import COMMON, ModbusBattery, SunSpec, batteries, models, point_of, text_of
from mangrove.territory.model import Device, Point
from mangrove.testing import energy_park

NOON = datetime(2026, 6, 1, 5, tzinfo=UTC)


def registers(text, size):
    body = text.encode().ljust(2 * size, b"\0")
    return list(struct.unpack(f">{size}H", body))


INVERTER = (
    103,
    {"W": 4321, "W_SF": -1, "WH": [0x0001, 0x86A0], "WH_SF": 1, "A": 0xFFFF, "A_SF": -2, "PF": -995, "PF_SF": -3, "St": 4},
)  # fmt: skip
METER = (203, {"W": -1500, "W_SF": 1, "TotWhImp": [0x0012, 0xD687], "TotWh_SF": 0})
BATTERY = (802, {"SoC": 635, "SoC_SF": -1, "WHRtg": 2150, "WHRtg_SF": 2, "NCyc": [0, 412]})
COMMON_MODEL = (1, {"Mn": registers("Mangrove", 16), "Md": registers("Test 1", 16)})


def read(meter, *addresses):
    link = Link("127.0.0.1", meter.port, timeout=0.5)
    try:
        found = SunSpec(link).read([point_of(address) for address in addresses])
        return list(found.values.values()), found.problem
    finally:
        link.close()


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_the_models_are_found_at_each_of_the_three_bases(base):
    with Meter(sunspec([COMMON_MODEL, INVERTER, METER], base)) as meter:
        link = Link("127.0.0.1", meter.port, timeout=0.5)
        chain = SunSpec(link).chain()
        link.close()
    # lengths as the SunSpec Information Model Reference prints them: common 66, inverter 50, meter 105
    assert {model: place.length for model, place in chain.items()} == {1: 66, 103: 50, 203: 105}
    assert chain[103].address == base + 2 + 68


def test_values_are_scaled_and_what_is_not_available_is_none():
    with Meter(sunspec([COMMON_MODEL, INVERTER, METER, BATTERY])) as meter:
        values, problem = read(
            meter, "103.W", "103.WH", "103.A", "103.PF", "103.Hz", "103.St", "203.W", "203.TotWhImp",
            "802.SoC", "802.WHRtg", "802.NCyc", "802.SoH",
        )  # fmt: skip
    assert problem is None
    assert values == [432.1, 1_000_000.0, None, -0.995, None, 4.0, -15_000.0, 1_234_567.0, 63.5, 215_000.0, 412, None]  # fmt: skip


def test_float_models_and_names_of_the_maker_are_read():
    with Meter(sunspec([COMMON_MODEL, (113, {"W": floats(7250.5), "WH": floats(1.5e6)})])) as meter:
        values, _ = read(meter, "113.W", "113.WH", "113.TmpCab")
        link = Link("127.0.0.1", meter.port, timeout=0.5)
        _, words = SunSpec(link).words_of(COMMON)
        link.close()
    assert values == [7250.5, 1.5e6, None]
    assert [text_of(words[2:18]), text_of(words[18:34])] == ["Mangrove", "Test 1"]


def test_an_energy_register_of_a_64_bit_model_is_exact_to_the_watt_hour():
    with Meter(sunspec([(701, {"TotWhInj": [0, 0x0001, 0x2345, 0x6789], "TotWh_SF": 0, "W": 0xFF38, "W_SF": 0})])) as meter:  # fmt: skip
        values, _ = read(meter, "701.TotWhInj", "701.W")
    assert values == [0x123456789, -200.0]


def test_an_accumulator_of_zero_means_that_there_is_none():
    with Meter(sunspec([(103, {"WH": [0, 0], "WH_SF": 0})])) as meter:
        assert read(meter, "103.WH")[0] == [None]


def test_a_missing_model_and_a_short_one_concern_only_their_points():
    with Meter(sunspec([INVERTER])) as meter:
        values, problem = read(meter, "103.W", "802.SoC")
        assert values == [432.1, None]
        assert problem.code == "devices.sunspec_model"
        meter.words[40003] = 14  # a device whose model 103 ends after W_SF
        meter.words.update({40004 + 14: 0xFFFF, 40005 + 14: 0})
        values, problem = read(meter, "103.A", "103.WH")
        assert problem.data["point"] in ("WH", "WH_SF")


def test_a_device_without_the_mark_or_with_an_endless_chain_is_an_error():
    with Meter({40000: 1, 40001: 2}) as meter, pytest.raises(SourceError) as error:
        read(meter, "103.W")
    assert error.value.code == "devices.no_sunspec"
    words = sunspec([]) | {at: 64001 if at % 2 == 0 else 0 for at in range(40002, 40400)}
    with Meter(words) as meter, pytest.raises(SourceError) as error:
        read(meter, "103.W")
    assert error.value.code == "devices.sunspec_chain"


def test_points_of_a_declared_device_bring_their_unit():
    with Meter(sunspec([INVERTER])) as meter:
        device = Device("inv", "modbus", "roof", f"tcp://127.0.0.1:{meter.port}")
        one = ModbusReader(device, [Point("inv", "103.W", "f"), Point("inv", "103.WH", "g")])
        answer = one.read()
        asked = len(meter.asked)
        one.read()
        one.close()
    assert answer.samples["103.W"].value == 432.1
    assert one.unit("103.WH").to("kWh") == 1e-3
    assert len(meter.asked) == asked + 1  # the chain is walked once, and then one request reads it all
    with pytest.raises(RuleError):  # no flow is in amperes
        ModbusReader(device, [Point("inv", "103.A", "f")]).unit("103.A")


def test_no_two_points_of_a_model_share_a_register_and_no_gap_is_longer_than_padding():
    # the lengths of the models in the SunSpec Information Model Reference, without the registers of number and length
    lengths = {1: 66, 101: 50, 103: 50, 111: 60, 113: 60, 120: 26, 124: 24, 201: 105, 203: 105, 204: 105, 213: 124, 802: 62, 803: 26}  # fmt: skip
    for model, table in models().items():
        taken = sorted((point.offset, point.offset + point.size) for point in table.values())
        for (_, end), (begin, _) in pairwise(taken):
            assert end <= begin <= end + 1, f"model {model} at {begin}"
        for point in table.values():
            assert not point.scale or point.scale in table or point.scale.lstrip("-").isdigit()
        if model in lengths:
            unused = 1 if model in PADDED else 0
            assert taken[-1][1] + unused - 2 == lengths[model]


def test_the_table_of_points_is_read_as_it_is_written():
    text = (resources.files("mangrove.sources") / "sunspec_models.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert sum(len(row["models"].split()) for row in rows) == sum(len(table) for table in models().values())


# Set-points

STORAGE = {"WChaMax": 5000, "WChaMax_SF": 1, "StorCtl_Mod": 0, "ChaState": 400, "ChaState_SF": -1, "InWRte": 10000,
           "OutWRte": 10000, "InOutWRte_SF": -2, "InOutWRte_RvrtTms": 0, "InOutWRte_WinTms": 0}  # fmt: skip


def signed(word):
    return word - 0x10000 if word >= 0x8000 else word


def told(meter):
    """What stands in the device now: mode, InWRte and OutWRte in percent, seconds until it returns to its own control."""
    at = {name: 40002 + point.offset for name, point in models()[124].items()}
    word = {name: meter.words[address] for name, address in at.items()}
    return (
        word["StorCtl_Mod"],
        signed(word["InWRte"]) / 100,
        signed(word["OutWRte"]) / 100,
        word["InOutWRte_RvrtTms"],
    )


def battery(meter, capacity=100.0):
    return ModbusBattery("b", Link("127.0.0.1", meter.port, timeout=0.5), capacity)


def setpoint(power, minutes=15):
    return Setpoint("b", power, NOON, NOON + timedelta(minutes=minutes))


def test_charging_and_discharging_are_told_as_a_window_without_width():
    with Meter(sunspec([(124, STORAGE)])) as meter:
        one = battery(meter)
        one.write(setpoint(12.5))
        assert told(meter) == (3, 25.0, -25.0, 900)
        assert (one.read().power, one.read().level) == (12.5, 40.0)
        one.write(setpoint(-40.0, minutes=5))
        assert told(meter) == (3, -80.0, 80.0, 300)
        assert one.read().power == -40.0
        one.write(setpoint(0.0))
        assert told(meter)[:3] == (3, 0.0, 0.0)
        one._link.close()


def test_the_rates_are_written_before_the_mode_and_in_one_request():
    with Meter(sunspec([(124, STORAGE)])) as meter:
        one = battery(meter)
        one.write(setpoint(10.0))
        one._link.close()
        first = 40002 + models()[124]["OutWRte"].offset
        assert [address for address, _ in meter.told] == [first, 40002 + models()[124]["StorCtl_Mod"].offset]
        assert len(meter.told[0][1]) == 4


def test_the_greatest_discharge_of_the_nameplate_is_the_base_of_the_rate_of_discharge():
    with Meter(sunspec([(124, STORAGE), (120, {"MaxDisChaRte": 4000, "MaxDisChaRte_SF": 1})])) as meter:
        one = battery(meter)
        one.write(setpoint(-20.0))
        assert told(meter)[1:3] == (-40.0, 50.0)
        assert (one.read().low, one.read().high) == (-40.0, 50.0)
        one._link.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=4),
    high=st.floats(1, 80),
    ramp=st.floats(1, 100),
)
def test_the_device_is_never_told_more_than_the_guard_and_the_device_allow(asked, high, ramp, running):
    meter, one = running
    guard = Guard(one, Limits(-high, high, ramp))
    for power in asked:
        written = guard.write(setpoint(power), NOON)
        _, into, out, seconds = told(meter)
        assert written.sent is not None
        assert abs(into) / 100 * 50 <= min(high, 50) + 1e-9
        assert out == -into
        assert (
            abs(into / 100 * 50 - written.sent) <= 0.005 + 1e-9
        )  # a hundredth of a percent of 50 kW, towards zero
        assert 1 <= seconds <= HEARTBEAT.total_seconds()


@pytest.fixture(scope="module")
def running():
    with Meter(sunspec([(124, STORAGE)])) as meter:
        one = battery(meter)
        yield meter, one
        one._link.close()


def test_a_device_that_cannot_be_told_is_unreachable_for_the_guard_and_nothing_was_written():
    with Meter(sunspec([(124, STORAGE | {"InOutWRte_SF": 0x8000})])) as meter:
        one = battery(meter)
        with pytest.raises(SourceError) as error:
            one.write(setpoint(10.0))
        assert error.value.code == "devices.not_writable"
        assert Guard(one, Limits(-50, 50)).write(setpoint(10.0), NOON).reason == "unreachable"
        assert meter.told == []
        one._link.close()
    assert Guard(one, Limits(-50, 50)).write(setpoint(10.0), NOON).reason == "unreachable"


def test_an_inverter_that_cannot_return_by_itself_keeps_its_registers():
    without = STORAGE | {"InOutWRte_RvrtTms": 0xFFFF, "InOutWRte_WinTms": 0xFFFF}
    with Meter(sunspec([(124, without)])) as meter:
        one = battery(meter)
        one.write(setpoint(10.0))
        one._link.close()
        assert told(meter) == (3, 20.0, -20.0, 0xFFFF)


def test_a_declared_battery_is_found_by_its_asset(tmp_path):
    park = mg.open(energy_park(tmp_path))
    with Meter(sunspec([(124, STORAGE)])) as meter:
        device = Device(
            "inv", "modbus", "works", f"tcp://127.0.0.1:{meter.port}", parameters={"asset": "works_battery"}
        )
        territory = replace(park.territory, devices={"inv": device})
        later = NOON + timedelta(minutes=10)
        one = batteries(territory, lambda: later)["works_battery"]
        one.write(Setpoint("works_battery", 5.0, NOON, NOON + timedelta(minutes=15)))
        assert told(meter) == (3, 10.0, -10.0, 300)  # what is left, not what was given
        assert one.read().level == pytest.approx(80.0)  # 40 % of the declared 200 kWh
        one._link.close()
    wrong = replace(device, parameters={"asset": "works_batery"})
    with pytest.raises(SourceError, match="did you mean 'works_battery'"):
        batteries(replace(territory, devices={"inv": wrong}), lambda: NOON)


@given(st.text(max_size=20))
def test_any_text_is_a_point_or_a_named_error(text):
    for read_address in (point_of, Register.parse):
        with suppress(SourceError):  # and nothing else
            read_address(text)
