"""The outbox: files for the authority, oldest first after an outage, none lost when the process is killed."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.sources.fields import NOON, At, declared
from tests.sources.ftpd import Ftp

from mangrove.errors import SourceError
from mangrove.ledger.types import Origin, Quality
from mangrove.sources import monitoring
from mangrove.sources.ftp import Folder
from mangrove.sources.outbox import KEEP, Outbox, lines, next_turn
from mangrove.territory.model import Device
from mangrove.testing import values

FIVE = timedelta(minutes=5)


def flow(id, unit, symbol, station="KHI"):  # noqa: A002
    return {"id": id, "carrier": "gas:x", "unit": unit, "step": "5min", "semantics": "state", "meter": f"{station}/{symbol}"}  # fmt: skip


FLOWS = [flow("so2", "mg/Nm3", "SO2"), flow("temp", "degC", "Temp"), flow("dust", "mg/Nm3", "PM", "KHI2")]


class Kept:
    """A receiver that keeps what it is given, in order."""

    def __init__(self):
        self.files, self.down = [], False

    def put(self, name, body):
        if self.down:
            raise SourceError("devices.no_answer", address="here", reason="down")
        self.files.append((name, body))

    def close(self):
        pass


class World:
    def __init__(self, folder, receiver=None, address="", protocol="ftp", stations="KHI"):
        device = Device("authority", protocol, "site", address, parameters={"send": stations})
        self.park = declared(folder, FLOWS, [device])
        self.clock, self.receiver = At(), receiver
        self.device = device
        self.writer = self.park.writer()
        self.ledger = self.writer.__enter__()
        self.count = 0
        self.store(("temp", -1, 0.0))
        self.box = self.open()
        self.box.turn()  # the first start: from here on

    def open(self):
        return Outbox(self.device, self.park.territory, self.clock, self.park.store, store=self.receiver)

    def close(self):
        self.writer.__exit__(None, None, None)

    def store(self, *rows, quality=0):
        """Rows (flow, number of the cycle since noon, value)."""
        self.count += 1
        table = values([(name, NOON + step * FIVE, value) for name, step, value in rows], quality)
        self.ledger.append(table, Origin("test", str(self.count)))

    def at(self, step, seconds=60):
        self.clock.at = NOON + step * FIVE + timedelta(seconds=seconds)
        self.box._pace.due = None
        self.box.turn()
        return self.box.state()[0]


@pytest.fixture
def world(tmp_path):
    one = World(tmp_path / "park", Kept())
    yield one
    one.close()


def name(step, station="KHI"):
    return monitoring.file_name(station, NOON + step * FIVE)


def test_every_cycle_gives_one_file_with_a_line_for_each_symbol(world):
    world.store(("so2", 0, 31.5), ("temp", 0, 121.0), ("dust", 0, 4.0))
    assert world.at(1).status == "ok"
    assert [sent for sent, _ in world.receiver.files] == [name(1)]
    body = world.receiver.files[0][1]
    # the form of the annex: symbol, value, unit, local time, status, parted by tabs; noon in Viet Nam is 12:00
    assert body == b"Temp\t121.0\tdegC\t20260601120500\t00\r\nSO2\t31.5\tmg/Nm3\t20260601120500\t00\r\n"
    world.at(2)
    assert len(world.receiver.files) == 1  # a cycle without values has no file


def test_what_is_written_is_read_as_what_was_stored(world):
    world.store(("so2", 0, 31.5))
    world.store(("temp", 0, 99.25), quality=int(Quality.CALIBRATING))
    world.at(1)
    sent, body = world.receiver.files[0]
    found, rejected = monitoring.to_values(monitoring.read(body, name=sent), world.park.territory)
    table = found.table().to_pylist()
    assert rejected == []
    assert {(row["flow"], row["start"], row["value"], row["quality"]) for row in table} == {
        ("so2", NOON, 31.5, 0),
        ("temp", NOON, 99.25, int(Quality.CALIBRATING)),
    }


def test_a_file_waits_until_its_cycle_is_over_and_the_values_could_arrive(world):
    world.store(("so2", 0, 1.0))
    world.at(1, seconds=59)
    assert world.receiver.files == []
    world.store(("temp", 0, 2.0))
    world.at(1)
    assert len(world.receiver.files) == 1
    assert world.receiver.files[0][1].count(b"\r\n") == 2
    assert next_turn(NOON + FIVE) == NOON + FIVE + timedelta(seconds=60)


def test_several_stations_have_files_of_their_own(tmp_path):
    world = World(tmp_path / "park", Kept(), stations="KHI, KHI2")
    world.store(("so2", 0, 1.0), ("dust", 0, 2.0))
    world.at(1)
    world.close()
    assert {sent for sent, _ in world.receiver.files} == {name(1), name(1, "KHI2")}


def test_a_late_value_and_a_correction_are_sent_again_and_a_repetition_is_not(world):
    world.store(("so2", 0, 1.0))
    world.at(1)
    world.store(("temp", 0, 2.0))  # late
    world.at(2)
    world.store(("so2", 0, 1.5))  # corrected
    world.at(3)
    world.store(("so2", 0, 1.5), ("dust", 0, 3.0))  # nothing new for this station
    world.at(4)
    assert [sent for sent, _ in world.receiver.files] == [name(1)] * 3
    assert len({body for _, body in world.receiver.files}) == 3


def test_after_an_hour_without_the_server_all_files_come_oldest_first(tmp_path, monkeypatch):
    monkeypatch.setenv("MANGROVE_PASSWORD_AUTHORITY", "tide")
    remote = tmp_path / "remote"
    remote.mkdir()
    with Ftp(remote) as server:
        world = World(tmp_path / "park", None, server.address())
        world.store(("so2", 0, 0.0))
        assert world.at(1).status == "ok"
    for step in range(1, 13):
        world.store(("so2", step, float(step)))
        assert world.at(step + 1).status == "failing"
    assert world.box.state()[0].problem.code == "devices.no_answer"
    assert len(list(world.box.waiting.iterdir())) == 12
    with Ftp(remote, port=server.port) as again:
        world.store(("so2", 13, 13.0))
        assert world.at(14).status == "ok"
        world.box._store.close()
    world.close()
    assert again.received == [name(step) for step in range(2, 15)]
    assert sorted(path.name for path in remote.iterdir()) == [name(step) for step in range(1, 15)]
    for step in range(14):
        assert monitoring.read(remote / name(step + 1)).records[0].value == step
    assert list(world.box.waiting.iterdir()) == []


def test_a_server_that_breaks_in_the_middle_gets_the_rest_later_and_nothing_twice(world):
    for step in range(4):
        world.store(("so2", step, float(step)))
    put = world.receiver.put
    world.receiver.put = lambda sent, body: put(sent, body) if len(world.receiver.files) < 2 else 1 / 0
    assert world.at(4).status == "failing"
    world.receiver.put = put
    assert world.at(4).status == "ok"
    assert [sent for sent, _ in world.receiver.files] == [name(step) for step in range(1, 5)]


def test_files_are_kept_for_sixty_days(world):
    world.store(("so2", 0, 1.0))
    world.at(1)
    world.clock.at = NOON + KEEP
    world.box._pace.due = None
    world.box.turn()
    assert [path.name for path in world.box.sent.iterdir()] == [name(1)]
    world.clock.at = NOON + KEEP + 2 * FIVE
    world.box._pace.due = None
    world.box.turn()
    assert list(world.box.sent.iterdir()) == []


def test_a_folder_receives_whole_files_and_a_missing_one_is_an_outage(tmp_path):
    target = tmp_path / "authority"
    target.mkdir()
    world = World(tmp_path / "park", None, str(target), "file")
    world.store(("so2", 0, 1.0))
    target.rmdir()
    assert world.at(1).problem.code == "devices.no_folder"
    target.mkdir()
    world.at(1)
    world.close()
    assert [path.name for path in target.iterdir()] == [name(1)]


def test_a_station_that_no_flow_has_is_an_error(tmp_path):
    park = declared(tmp_path, FLOWS, [])
    with pytest.raises(SourceError) as error:
        lines(Device("a", "ftp", "site", parameters={"send": "NOWHERE"}), park.territory)
    assert error.value.code == "devices.no_station"


def test_a_mark_that_cannot_be_read_stops_the_outbox_and_says_so(world):
    (world.box.box / "from").write_text("x")
    world.store(("so2", 0, 1.0))
    assert world.at(1).problem.code == "devices.outbox_file"


CRASHING = textwrap.dedent(
    """
    import os, signal, sys
    from datetime import timedelta
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from tests.sources.fields import NOON, At, declared
    from tests.sources.test_outbox import FIVE, FLOWS
    from mangrove.sources.ftp import Folder
    from mangrove.sources.outbox import Outbox
    from mangrove.territory.model import Device

    moment = sys.argv[4]

    class Killed(Folder):
        count = 0
        def put(self, name, body):
            Killed.count += 1
            if moment == "before" and Killed.count == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            super().put(name, body)
            if moment == "after" and Killed.count == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    import mangrove as mg
    park = mg.open(Path(sys.argv[2]))
    device = Device("authority", "file", "site", sys.argv[3], parameters={"send": "KHI"})
    clock = At(NOON + 5 * FIVE)
    box = Outbox(device, park.territory, clock, park.store, store=Killed(Path(sys.argv[3])))
    if moment == "mark":
        import mangrove.sources.outbox as outbox
        real = outbox.write
        def write(path, body):
            if path.name == "from":
                os.kill(os.getpid(), signal.SIGKILL)
            real(path, body)
        outbox.write = write
    box.turn()
    """
)


@pytest.mark.parametrize("moment", ["before", "after", "mark", "none"])
def test_a_kill_at_any_moment_loses_no_file(tmp_path, moment):
    target = tmp_path / "authority"
    target.mkdir()
    world = World(tmp_path / "park", Folder(target), str(target), "file")
    for step in range(4):
        world.store(("so2", step, float(step)))
    world.close()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120

    def run(at):
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            CRASHING,
            root,
            str(tmp_path / "park"),
            str(target),
            at,
        ]
        return subprocess.run(command, check=False).returncode

    assert run(moment) == (0 if moment == "none" else -signal.SIGKILL)
    if moment in ("before", "after"):
        assert len(list(target.glob("*.txt"))) == (1 if moment == "before" else 2)
    assert run("none") == 0
    found = sorted(target.glob("*.txt"))
    assert [path.name for path in found] == [name(step) for step in range(1, 5)]
    assert [monitoring.read(path).records[0].value for path in found] == [0.0, 1.0, 2.0, 3.0]
    assert all(a.name < b.name for a, b in pairwise(found))
