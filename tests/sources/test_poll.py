"""The poller: readings on the step, gaps where none came, growing pauses, and what a reading becomes."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.fields import NOON, At, Box, amount, declared, power, register
from tests.sources.meters import Meter, sunspec

from mangrove.errors import Problem, RequestError, SourceError
from mangrove.inference.runs import read_series
from mangrove.ledger.types import Quality
from mangrove.serve.clock import Clock
from mangrove.sources.intake import Intake
from mangrove.sources.modbus import ModbusReader
from mangrove.sources.poll import Answer, Poller, Sample, ask, connectors, health, secret
from mangrove.sources.problems import RejectedError
from mangrove.territory import load
from mangrove.territory.model import Device, Point
from mangrove.testing import park_of
from mangrove.times import Step
from mangrove.units import Quantity, unit

MINUTE = timedelta(minutes=1)


class Said:
    """A reader that gives what a test puts into it; a missing answer is a device that does not answer."""

    def __init__(self, samples=None, units=None):
        self.samples, self.units, self.asked = samples, units or {}, 0

    def read(self):
        self.asked += 1
        if self.samples is None:
            raise TimeoutError("timed out")
        return Answer({address: Sample(value) if not isinstance(value, Sample) else value
                       for address, value in self.samples.items()})  # fmt: skip

    def close(self):
        pass

    def unit(self, address):
        return self.units.get(address)


def meter(every="15min", **parameters):
    return Device("meter", "modbus", "site", "tcp://127.0.0.1:1", Step.parse(every), parameters)


def poller(folder, flows, points, said, every="15min", *, at=NOON):
    park = declared(folder, flows, [meter(every)], points)
    box, clock = Box(), At(at)
    return (
        Poller(park.territory.devices["meter"], park.territory, box, clock, said, chance=lambda: 0.5),
        box,
        clock,
    )


def point(flow, address="p", written=None, scale=1.0, **parameters):
    return Point("meter", address, flow, unit(written) if written else None, "", scale, parameters)


def test_a_device_is_asked_on_its_steps_and_its_reading_stands_at_the_step(tmp_path):
    said = Said({"p": 3000.0})
    one, box, clock = poller(tmp_path, [power()], [point("power", written="W")], said)
    assert one.turn() == 900
    clock.at += 7 * MINUTE
    assert one.turn() == 480
    clock.at += 8 * MINUTE
    said.samples = {"p": 4500.0}
    one.turn()
    assert said.asked == 2
    assert box.rows == [("power", NOON, 3.0, 0), ("power", NOON + 15 * MINUTE, 4.5, 0)]
    assert box.origins[0].source == "modbus:meter"


def test_after_a_start_within_a_step_the_first_answer_makes_no_value(tmp_path):
    said = Said({"p": 1.0})
    one, box, clock = poller(tmp_path, [power()], [point("power")], said, at=NOON + 7 * MINUTE)
    assert one.turn() == 480
    assert (said.asked, box.rows, one.state()[0].status) == (1, [], "ok")
    clock.at = NOON + 15 * MINUTE
    one.turn()
    assert [row[1] for row in box.rows] == [NOON + 15 * MINUTE]


def test_a_missed_reading_makes_no_value(tmp_path):
    said = Said({"p": 1.0})
    one, box, clock = poller(tmp_path, [power()], [point("power")], said)
    one.turn()
    said.samples = None
    while clock.at < NOON + 30 * MINUTE:
        clock.at += 30 * timedelta(seconds=1)
        one.turn()
    said.samples = {"p": 9.0}
    clock.at = NOON + 45 * MINUTE
    one.turn()
    assert [row[1] - NOON for row in box.rows] == [0 * MINUTE, 45 * MINUTE]


def test_the_clock_that_jumps_over_steps_makes_no_values_for_them(tmp_path):
    one, box, clock = poller(tmp_path, [power()], [point("power")], Said({"p": 1.0}))
    one.turn()
    clock.at += 100 * MINUTE
    one.turn()
    assert [row[1] - NOON for row in box.rows] == [0 * MINUTE, 90 * MINUTE]


def test_pauses_between_attempts_grow_to_a_minute_and_end_with_an_answer(tmp_path):
    said = Said(None)
    one, box, clock = poller(tmp_path, [power()], [point("power")], said)
    waits = []
    for _ in range(9):
        waits.append(one.turn())
        clock.at += timedelta(seconds=waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    state = one.state()[0]
    assert (state.status, state.last, state.problem.code) == ("failing", None, "devices.no_answer")
    said.samples = {"p": 5.0}
    assert one.turn() == (NOON + 15 * MINUTE - clock.at).total_seconds()
    assert box.rows == [("power", NOON, 5.0, 0)]
    assert one.state()[0] == health(one.device, clock.at, clock.at)


def test_readings_within_a_step_become_their_mean_when_the_step_is_over(tmp_path):
    said = Said({"p": 0.0})
    one, box, clock = poller(tmp_path, [power()], [point("power")], said, every="1min")
    for minute in range(31):
        clock.at = NOON + minute * MINUTE
        said.samples = {"p": float(minute)}
        one.turn()
    assert box.rows == [("power", NOON, 7.0, 0), ("power", NOON + 15 * MINUTE, 22.0, 0)]


def test_a_mean_of_too_few_readings_is_marked_and_one_of_none_is_a_gap(tmp_path):
    said = Said({"p": 2.0})
    one, box, clock = poller(tmp_path, [power()], [point("power")], said, every="1min")
    for minute in (*range(11), 15 + 14, 60):  # 11 of 15, 1 of 15, none, none
        clock.at = NOON + minute * MINUTE
        one.turn()
    assert [(row[1] - NOON, row[3]) for row in box.rows] == [
        (0 * MINUTE, Quality.FILLED),
        (15 * MINUTE, Quality.FILLED),
    ]


def test_a_register_is_stored_as_it_was_read_at_the_instant_of_reading(tmp_path):
    said = Said({"p": 1_234_500.0})
    one, box, clock = poller(tmp_path, [register()], [point("energy", written="Wh")], said)
    clock.at = NOON + timedelta(seconds=1.7)
    one.turn()
    assert box.rows == []  # a start within a step
    clock.at = NOON + 15 * MINUTE + timedelta(seconds=2.4)
    one.turn()
    assert box.rows == [("energy", NOON + 15 * MINUTE + timedelta(seconds=2), 1234.5, 0)]


def test_registers_become_amounts_whose_sum_is_their_difference(tmp_path):
    park = declared(tmp_path / "park", [register()], [meter()], [point("energy", written="Wh")])
    said, clock = Said({"p": 0.0}), At()
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        one = Poller(park.territory.devices["meter"], park.territory, intake, clock, said)
        for step, wh in enumerate([100_000, 103_000, 107_000, 107_500]):
            said.samples = {"p": float(wh)}
            clock.at = NOON + step * 15 * MINUTE
            one.turn()
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        found = read_series(snapshot, "energy", 0, 2**62)
    assert found.value.tolist() == [3.0, 4.0, 0.5]


def test_energy_is_made_of_power_only_when_that_is_declared_and_it_is_marked(tmp_path):
    with pytest.raises(RejectedError) as error:
        poller(tmp_path / "a", [amount()], [point("amount", written="kW")], Said())
    assert error.value.problems[0].code == "devices.sum_from_power"
    said = Said()
    one, box, clock = poller(
        tmp_path / "b", [amount()], [point("amount", written="kW", integrate="yes")], said, every="5min"
    )
    for minute, kw in [(0, 10.0), (5, 20.0), (10, 20.0), (15, 40.0), (20, 40.0), (25, 40.0), (30, 40.0)]:
        clock.at, said.samples = NOON + minute * MINUTE, {"p": kw}
        one.turn()
    # trapezoids of 5 min: (10+20)/2/12 + 20/12 + (20+40)/2/12 = 5.4167 kWh, then 10 kWh
    assert [row[1] - NOON for row in box.rows] == [0 * MINUTE, 15 * MINUTE]
    assert [row[2] for row in box.rows] == pytest.approx([65 / 12, 10.0])
    assert {row[3] for row in box.rows} == {Quality.FILLED}


def test_a_step_with_a_missing_reading_gives_no_energy(tmp_path):
    said = Said({"p": 12.0})
    one, box, clock = poller(
        tmp_path, [amount()], [point("amount", written="kW", integrate="yes")], said, every="5min"
    )
    for minute in (0, 5, 15, 20, 25, 30):  # 10 is missing
        clock.at = NOON + minute * MINUTE
        one.turn()
    assert [(row[1] - NOON, row[2]) for row in box.rows] == [(15 * MINUTE, pytest.approx(3.0))]


def test_amounts_of_the_device_belong_to_the_time_before_they_are_read(tmp_path):
    said = Said()
    one, box, clock = poller(
        tmp_path, [amount()], [point("amount", written="Wh", amount="yes")], said, every="5min"
    )
    for minute in (0, 5, 10, 15, 20, 30, 35, 40, 45):  # 25 is missing
        clock.at, said.samples = NOON + minute * MINUTE, {"p": float(minute)}
        one.turn()
    assert [(row[1] - NOON, row[2]) for row in box.rows] == [
        (0 * MINUTE, pytest.approx(0.030)),  # 5 + 10 + 15 Wh
        (30 * MINUTE, pytest.approx(0.120)),
    ]


def test_a_state_is_the_first_reading_of_its_step(tmp_path):
    said = Said()
    level = {"id": "level", "carrier": "electricity", "unit": "%", "step": "15min", "semantics": "state"}
    one, box, clock = poller(tmp_path, [level], [point("level")], said, every="5min")
    for minute in range(0, 25, 5):
        clock.at, said.samples = NOON + minute * MINUTE, {"p": float(minute)}
        one.turn()
    assert [(row[1] - NOON, row[2]) for row in box.rows] == [(0 * MINUTE, 0.0), (15 * MINUTE, 15.0)]


@given(
    st.lists(st.floats(0, 1e3), min_size=7, max_size=7),
    st.sampled_from([("4min", 4), ("5min", 5), ("7min", 7)]),
)
def test_energy_of_steps_is_the_area_under_the_readings(tmp_path_factory, kw, every):
    name, minutes = every
    said = Said()
    one, box, clock = poller(
        tmp_path_factory.mktemp("park"), [amount("1min")], [point("amount", written="kW", integrate="yes")], said, name,
        at=datetime(2026, 6, 1, tzinfo=UTC),
    )  # fmt: skip
    begin = clock.at
    for i, value in enumerate(kw):
        clock.at, said.samples = begin + i * minutes * MINUTE, {"p": value}
        one.turn()
    area = sum((a + b) / 2 * minutes / 60 for a, b in pairwise(kw))
    assert sum(row[2] for row in box.rows) == pytest.approx(area)
    assert len(box.rows) == 6 * minutes


@pytest.mark.parametrize(
    ("flow", "given", "code"),
    [
        (amount(), {"written": "kWh"}, "devices.sum_from_register"),
        (amount(), {"written": "t"}, "devices.unit"),
        (power(), {"written": "kWh"}, "devices.unit"),
        (register(), {"written": "kW"}, "devices.unit"),
        (amount(), {"written": "kW", "integrate": "perhaps"}, "devices.yes_or_no"),
        (amount(step=""), {"written": "kW", "integrate": "yes"}, "devices.needs_step"),
    ],
)
def test_a_point_that_cannot_be_its_flow_is_refused_at_the_start(tmp_path, flow, given, code):
    with pytest.raises(RejectedError) as error:
        poller(tmp_path, [flow], [point(flow["id"], **given)], Said())
    assert [problem.code for problem in error.value.problems] == [code]
    assert code not in error.value.problems[0].text("vi")  # the sentence exists


def test_a_declared_unit_that_is_not_the_one_of_the_protocol_is_refused(tmp_path):
    said = Said(units={"p": unit("W")})
    with pytest.raises(RejectedError) as error:
        poller(tmp_path, [power()], [point("power", written="kW")], said)
    assert error.value.problems[0].code == "devices.unit_differs"
    one, box, _ = poller(tmp_path / "b", [power()], [point("power")], Said({"p": 500.0}, {"p": unit("W")}))
    one.turn()
    assert box.rows[0][2] == 0.5


def test_bad_readings_keep_their_quality_and_a_time_ahead_is_a_clock_error(tmp_path):
    said = Said({"p": Sample(1.0, Quality.FAULT), "q": Sample(2.0, at=NOON + 6 * MINUTE), "r": None})
    flows = [power(id="a"), power(id="b"), power(id="c")]
    points = [point("a", "p"), point("b", "q"), point("c", "r")]
    one, box, _ = poller(tmp_path, flows, points, said)
    one.turn()
    assert [(row[0], row[3]) for row in box.rows] == [("a", Quality.FAULT), ("b", Quality.CLOCK)]


def test_what_the_intake_has_no_room_for_is_handed_in_later_in_order(tmp_path):
    said = Said({"p": 1.0})
    one, box, clock = poller(tmp_path, [power()], [point("power")], said)
    box.refuse = SourceError("sources.busy", rows=1)
    for step in range(3):
        clock.at = NOON + step * 15 * MINUTE
        one.turn()
    assert one.state()[0].problem.code == "sources.busy"
    box.refuse = None
    clock.at += MINUTE
    one.turn()
    assert [row[1] - NOON for row in box.rows] == [0 * MINUTE, 15 * MINUTE, 30 * MINUTE]


def test_a_device_that_hangs_blocks_no_other(tmp_path):
    hangs, done = threading.Event(), threading.Event()

    class Hanging(Said):
        def read(self):
            hangs.set()
            done.wait(20)
            return super().read()

    class Answering(Said):
        def read(self):
            answer = super().read()
            done.set()
            return answer

    park = declared(tmp_path, [power()], [meter()], [point("power")])
    device = park.territory.devices["meter"]
    first = Poller(device, park.territory, Box(), At(), Hanging({"p": 1.0}))
    second = Poller(device, park.territory, Box(), At(), Answering({"p": 1.0}))
    first.start()
    assert hangs.wait(10)
    second.start()
    assert done.wait(10)
    first.stop()
    second.stop()


def test_a_thread_asks_on_the_steps_of_a_clock_that_runs_faster(tmp_path):
    class Hearing(Box):
        def put(self, *said, **more):
            receipt = super().put(*said, **more)
            if len(self.rows) >= 3:
                heard.set()
            return receipt

    heard, box = threading.Event(), Hearing()
    park = declared(tmp_path, [power()], [meter()], [point("power")])
    clock = Clock(NOON + 14 * MINUTE, speed=7200)  # a quarter of an hour in an eighth of a second
    one = Poller(park.territory.devices["meter"], park.territory, box, clock, Said({"p": 1.0}))
    one.start()
    assert heard.wait(30)
    one.stop()
    starts = [row[1] for row in box.rows]
    assert all((start - NOON) % (15 * MINUTE) == 0 * MINUTE for start in starts)
    assert len(set(starts)) == len(starts)
    assert one.state()[0].status == "ok"


def test_a_clock_that_stands_still_keeps_the_thread_quiet(tmp_path):
    said = Said({"p": 1.0})
    park = declared(tmp_path, [power()], [meter()], [point("power")])
    box = Box()
    one = Poller(park.territory.devices["meter"], park.territory, box, Clock(NOON, speed=0), said)
    one.start()
    one.stop()
    assert said.asked <= 1


def test_health_says_late_after_two_steps_and_never_before_anything_came():
    device = meter("5min")
    assert health(device, NOON, None).status == "never"
    assert health(device, NOON, NOON - 10 * MINUTE).status == "ok"
    assert health(device, NOON, NOON - 11 * MINUTE).status == "late"
    assert health(device, NOON, NOON, Problem("devices.no_answer"), failing=True).status == "failing"


def test_a_password_comes_from_the_environment_or_a_file_that_only_its_owner_reads(tmp_path, monkeypatch):
    assert secret("ftp-1", tmp_path) == ""
    (tmp_path / "ftp-1").write_text("tide\n", encoding="utf-8")
    (tmp_path / "ftp-1").chmod(0o644)
    with pytest.raises(SourceError) as error:
        secret("ftp-1", tmp_path)
    assert error.value.code == "devices.secret_open"
    (tmp_path / "ftp-1").chmod(0o600)
    assert secret("ftp-1", tmp_path) == "tide"
    monkeypatch.setenv("MANGROVE_PASSWORD_FTP_1", "flood")
    assert secret("ftp-1", tmp_path) == "flood"


def test_a_meter_that_counts_in_time_is_read_over_the_wire_into_the_ledger(tmp_path):
    with Meter({0: 0x0001, 1: 0x86A0, 2: 2500}) as wire:
        device = Device("meter", "modbus", "site", f"tcp://127.0.0.1:{wire.port}", Step.parse("15min"),
                        {"timeout": Quantity.parse("0.3 s")})  # fmt: skip
        points = [
            point("energy", "holding:0:uint32", "Wh"),
            point("power", "holding:2", "W"),
        ]
        park = declared(tmp_path, [register(), power()], [device], points)
        clock, box = At(), Box()
        one = Poller(device, park.territory, box, clock, ModbusReader(device, points), chance=lambda: 0.5)
        for step in range(8):
            clock.at = NOON + step * 15 * MINUTE
            wire.silent = step in (3, 4)  # the line is down for half an hour
            one.turn()
            wire.words[1] += 2500 // 4
            wire.words[2] += 10
        one._reader.close()
    energy = [row for row in box.rows if row[0] == "energy"]
    assert [(row[1] - NOON) / (15 * MINUTE) for row in energy] == [0, 1, 2, 5, 6, 7]
    assert energy[-1][2] - energy[0][2] == pytest.approx(7 * 0.625)
    assert [row[2] for row in box.rows if row[0] == "power"] == pytest.approx(
        [2.5, 2.51, 2.52, 2.55, 2.56, 2.57]
    )


def test_all_mistakes_of_all_devices_are_listed_at_once(tmp_path):
    devices = [Device("a", "modbus", "site", "nowhere"), Device("b", "modbus", "site", "tcp://127.0.0.1:1"),
               Device("c", "mqtt", "site"), Device("../d", "file", "site", "drop")]  # fmt: skip
    points = [Point("b", "holding:x", "power")]
    park = declared(tmp_path, [power()], devices, points)
    with pytest.raises(RejectedError) as error:
        connectors(park.territory, Box(), At(), tmp_path)
    assert [problem.code for problem in error.value.problems] == [
        "devices.bad_address",
        "devices.bad_register",
        "devices.bad_id",
    ]


FILES = {
    "devices.csv": """\
id,protocol,place,address,every,parameters
roof,modbus,site,tcp://127.0.0.1:{port},15min,unit=1; timeout=1 s
""",
    "points.csv": """\
device,address,flow,unit,parameters
roof,103.WH,energy,,
roof,holding:9:int16,power,W,sf=holding:10; na=sunspec
""",
}


def test_devices_declared_in_files_are_asked_and_their_values_stand_in_the_ledger(tmp_path):
    words = sunspec([(103, {"WH": [0x0001, 0x86A0], "WH_SF": 0})]) | {9: 0x8000, 10: 1}
    with Meter(words) as wire:
        folder = park_of(tmp_path, [register(), power()])
        for name, text in FILES.items():
            (folder / name).write_text(text.format(port=wire.port), encoding="utf-8")
        territory = load(folder)
        box = Box()
        (fleet,) = connectors(territory, box, At(), folder / ".mangrove")
        (one,) = fleet.members
        one.turn()
        wire.words[9] = 250
        answer = ask(territory, "roof", folder / ".mangrove", At())
        one._reader.close()
    assert box.rows == [("energy", NOON, 100.0, 0)]
    assert [state.device for state in fleet.state()] == ["roof"]
    assert {address: sample.value for address, sample in answer.samples.items()} == {
        "103.WH": 100_000.0,
        "holding:9:int16": 2500.0,
    }


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("unit=1", "units=1", "devices.unknown_parameter"),
        ("unit=1", "unit=one", "devices.bad_parameter"),
        ("unit=1", "unit=1.5", "devices.bad_parameter"),
        ("sf=holding:10", "scale=holding:10", "devices.unknown_parameter"),
        ("na=sunspec", "na=none", "devices.bad_parameter"),
        ("103.WH", "103.A", "base.unknown_unit"),
    ],
)
def test_a_mistake_in_the_files_is_named_with_its_place(tmp_path, old, new, code):
    folder = park_of(tmp_path, [register(), power()])
    for name, text in FILES.items():
        (folder / name).write_text(text.format(port=1).replace(old, new), encoding="utf-8")
    with pytest.raises(RejectedError) as error:
        connectors(load(folder), Box(), At(), folder)
    assert [problem.code for problem in error.value.problems] == [code]
    assert error.value.problems[0].where.file.endswith(".csv")
    assert error.value.problems[0].where.line in (2, 3)


def test_only_devices_that_are_asked_can_be_asked(tmp_path):
    park = declared(tmp_path, [power()], [Device("c", "mqtt", "site")])
    with pytest.raises(RequestError) as error:
        ask(park.territory, "c", tmp_path, At())
    assert error.value.code == "devices.not_asked"


def test_a_folder_of_the_dispatch_center_is_watched_by_its_own_connector(tmp_path, world):
    from mangrove.sources.dispatch_center import DispatchCenter

    device = Device("nsmo", "file", "park", "files", parameters={"form": "dispatch_center"})
    park = replace(world(), devices={"nsmo": device})
    (fleet,) = connectors(park, None, Clock(), tmp_path / ".mangrove")
    assert [type(one) for one in fleet.members] == [DispatchCenter]
