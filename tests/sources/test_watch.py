"""Watched folders and FTP servers: every file once, oldest first, whatever breaks on the way."""

import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest
from tests.sources.fields import NOON, At, declared
from tests.sources.ftpd import Ftp, FtpTls

from mangrove.errors import LedgerError, SourceError
from mangrove.inference.runs import read_series
from mangrove.ledger.types import Quality
from mangrove.sources import files
from mangrove.sources.ftp import Address, Server, is_plain
from mangrove.sources.intake import Intake
from mangrove.sources.monitoring import Record, file_name, write
from mangrove.sources.poll import Fleet
from mangrove.sources.watch import Watcher
from mangrove.territory.model import Device

STACK = {"id": "so2", "carrier": "gas:SO2", "unit": "mg/Nm3", "step": "5min", "semantics": "state", "meter": "KHI/SO2"}  # fmt: skip
POWER = {"id": "mill", "carrier": "electricity", "unit": "kWh", "step": "1h", "semantics": "sum"}
FIVE = timedelta(minutes=5)


def monitoring_file(folder, step, value, status="00", station="KHI"):
    at = NOON + step * FIVE
    path = folder / file_name(station, at)
    path.write_bytes(write([Record("SO2", value, "mg/Nm3", at, status)]))
    return path


class World:
    """A park with a running intake and one watcher."""

    def __init__(self, folder, device):
        self.park = declared(folder, [STACK, POWER], [device])
        self.clock = At()
        self.folder = self.park.store

    def __enter__(self):
        self._writer = self.park.writer()
        self.ledger = self._writer.__enter__()
        self.intake = Intake(self.ledger, self.park.territory)
        self.intake.start()
        return self

    def __exit__(self, *_):
        self.intake.stop()
        self._writer.__exit__(None, None, None)

    def watcher(self, **more):
        device = next(iter(self.park.territory.devices.values()))
        return Watcher(device, self.park.territory, self.intake, self.clock, self.folder, settle=0, **more)

    def series(self, flow):
        with self.park.reader() as ledger, ledger.snapshot() as snapshot:
            return read_series(snapshot, flow, 0, 2**62)


@pytest.fixture
def drop(tmp_path):
    (tmp_path / "drop").mkdir()
    with World(tmp_path / "park", Device("d", "file", "site", str(tmp_path / "drop"))) as world:
        world.drop = tmp_path / "drop"
        yield world


def test_files_of_stations_are_taken_oldest_first_and_move_after_they_are_stored(drop):
    for step in (2, 0, 1):
        monitoring_file(drop.drop, step, 10.0 + step, "02" if step == 1 else "00")
    one = drop.watcher()
    assert one.look() is None
    series = drop.series("so2")
    assert series.value.tolist() == [10.0, 11.0, 12.0]
    assert series.quality.tolist() == [Quality.GOOD, Quality.FAULT, Quality.GOOD]
    assert sorted(path.name for path in drop.drop.glob("done/*")) == [
        file_name("KHI", NOON + step * FIVE) for step in range(3)
    ]
    batches = drop.ledger.batches().column("source").to_pylist()
    assert batches == ["station:KHI"] * 3
    assert one.state()[0].last == NOON


def test_tables_are_read_by_the_mapping_that_the_device_names(tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    device = Device("d", "file", "site", str(drop), parameters={"mapping": "meters.yaml"})
    with World(tmp_path / "park", device) as world:
        (tmp_path / "park" / "meters.yaml").write_text(
            "files:\n  - match: '*.csv'\n    time: t\n    stamp: start\n    columns:\n      mill: {column: wh, unit: Wh}\n"
        )
        (drop / "day.csv").write_text("t,wh\n2026-06-01 00:00,1500\n2026-06-01 01:00,2500\n")
        assert world.watcher().look() is None
        assert world.series("mill").value.tolist() == [1.5, 2.5]


def test_a_file_that_cannot_be_read_is_set_aside_with_its_reason_and_the_others_are_taken(drop):
    (drop.drop / "AAA.csv").write_text("nothing,to,see\n")
    monitoring_file(drop.drop, 0, 1.0)
    monitoring_file(drop.drop, 1, 1.0, station="OTHER").write_bytes(b"\xff\xfe\x00")
    problem = drop.watcher().look()
    assert problem.code == "devices.file_failed"
    assert len(drop.series("so2").value) == 1
    assert (drop.drop / "failed" / "AAA.csv.reason").read_text()


def test_a_reader_that_breaks_sets_its_file_aside(drop, monkeypatch):
    monitoring_file(drop.drop, 0, 1.0)
    monkeypatch.setattr(files, "ingest", lambda *_, **__: 1 / 0)
    assert "ZeroDivisionError" in drop.watcher().look().data["reason"]
    assert (drop.drop / "failed").is_dir()


def test_a_store_that_refuses_leaves_the_file_for_the_next_look(drop, monkeypatch):
    monitoring_file(drop.drop, 0, 1.0)
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise LedgerError("ledger.disk", reason="full")

        patch.setattr(files, "ingest", full)
        one = drop.watcher()
        wait = one.turn()
        assert one.state()[0].status == "failing"
        assert 0 < wait <= 2
    drop.clock.at += timedelta(seconds=wait + 1)
    one.turn()
    assert one.state()[0].status == "ok"
    assert len(drop.series("so2").value) == 1


def test_a_file_taken_again_after_a_crash_changes_nothing(drop):
    path = monitoring_file(drop.drop, 0, 1.0)
    body = path.read_bytes()
    drop.watcher().look()
    path.write_bytes(body)  # as if the crash had come before the move
    drop.watcher().look()
    assert drop.ledger.batches().num_rows == 1
    assert len(list(drop.drop.glob("done/*"))) == 2


def test_files_that_are_still_being_written_wait(drop):
    monitoring_file(drop.drop, 0, 1.0)
    hidden = [drop.drop / name for name in ("a.txt.part", ".b.txt", "c.tmp")]
    for path in hidden:
        path.write_text("half")
    device = next(iter(drop.park.territory.devices.values()))
    slow = Watcher(device, drop.park.territory, drop.intake, drop.clock, drop.folder, settle=3600)
    slow.look()
    assert not (drop.drop / "done").exists()
    drop.watcher().look()
    assert len(list(drop.drop.glob("done/*"))) == 1
    assert all(path.exists() for path in hidden)


def test_files_can_stay_where_they_are(tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    with World(
        tmp_path / "park", Device("d", "file", "site", str(drop), parameters={"keep": "yes"})
    ) as world:
        path = monitoring_file(drop, 0, 1.0)
        one = world.watcher()
        one.look()
        one.look()
        assert path.exists()
        monitoring_file(drop, 0, 5.0)
        os.utime(path, (2e9, 2e9))
        one._settle = -1e12
        one.look()
        assert world.series("so2").value.tolist() == [5.0]


def test_a_folder_that_is_missing_is_an_outage_and_one_that_is_not_named_an_error(drop):
    monitoring_file(drop.drop, 0, 1.0)
    one = drop.watcher()
    drop.drop.rename(drop.drop.with_name("away"))
    one.turn()
    assert (one.state()[0].status, one.state()[0].problem.code) == ("failing", "devices.no_folder")
    drop.drop.with_name("away").rename(drop.drop)
    drop.clock.at += timedelta(minutes=1)
    one.turn()
    assert one.state()[0].status == "ok"
    with pytest.raises(SourceError) as error:
        Watcher(Device("d", "file", "site"), drop.park.territory, drop.intake, drop.clock, drop.folder)
    assert error.value.code == "devices.no_folder"


def test_a_thread_takes_files_while_it_runs_and_ends_when_it_is_told(drop):
    stored = threading.Event()
    drop.intake.call(lambda _: None).result()
    one = Fleet([drop.watcher()])
    take = drop.intake.call

    def call(work):
        done = take(work)
        done.add_done_callback(lambda _: stored.set())
        return done

    drop.intake.call = call
    monitoring_file(drop.drop, 0, 1.0)
    one.start()
    assert stored.wait(30)
    one.stop()
    assert [state.status for state in one.state()] == ["ok"]
    assert len(list(drop.drop.glob("done/*"))) == 1


# FTP


@pytest.fixture
def remote(tmp_path, monkeypatch):
    monkeypatch.setenv("MANGROVE_PASSWORD_D", "tide")
    folder = tmp_path / "remote"
    folder.mkdir()
    with (
        Ftp(folder) as server,
        World(tmp_path / "park", Device("d", "ftp", "site", server.address())) as world,
    ):
        world.remote, world.server = folder, server
        yield world


def look_twice(world, one):
    for _ in range(2):
        world.clock.at += timedelta(minutes=1)
        one.turn()


def test_new_files_of_a_server_are_fetched_once(remote):
    for step in (1, 0):
        monitoring_file(remote.remote, step, float(step))
    one = remote.watcher()
    look_twice(remote, one)
    assert remote.series("so2").value.tolist() == [0.0, 1.0]
    monitoring_file(remote.remote, 2, 2.0)
    look_twice(remote, one)
    one._close()
    again = remote.watcher()  # after a restart nothing is fetched anew
    look_twice(remote, again)
    again._close()
    assert remote.series("so2").value.tolist() == [0.0, 1.0, 2.0]
    assert remote.ledger.batches().num_rows == 3
    assert len(list(remote.remote.iterdir())) == 3  # the server's files stay


def test_a_file_that_grows_is_fetched_when_it_has_stopped(remote):
    path = monitoring_file(remote.remote, 0, 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    one = remote.watcher()
    one.turn()
    path.write_bytes(whole)
    look_twice(remote, one)
    look_twice(remote, one)
    one._close()
    assert remote.series("so2").value.tolist() == [1.0]
    assert remote.ledger.quarantine().num_rows == 0


def test_a_server_that_is_down_is_failing_and_then_caught_up(remote, tmp_path):
    monitoring_file(remote.remote, 0, 1.0)
    one = remote.watcher()
    remote.server.__exit__()
    one.turn()
    state = one.state()[0]
    assert (state.status, state.problem.code) == ("failing", "devices.no_answer")
    with Ftp(remote.remote, port=remote.server.port):
        look_twice(remote, one)
        look_twice(remote, one)
        assert one.state()[0].status == "ok"
        assert len(remote.series("so2").value) == 1
        one._close()
    remote.server.__enter__()


def test_a_wrong_password_is_said(remote, monkeypatch):
    monkeypatch.setenv("MANGROVE_PASSWORD_D", "wrong")
    one = remote.watcher()
    one.turn()
    assert one.state()[0].problem.code == "devices.ftp_refused"


def test_a_password_in_the_declaration_is_refused(tmp_path):
    with pytest.raises(SourceError) as error:
        Address.of(Device("d", "ftp", "site", "ftp://station:tide@127.0.0.1/"))
    assert error.value.code == "devices.password_declared"
    assert "tide" not in str(error.value)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a\nb", "", "x" * 300, "c:d"])
def test_names_that_lead_elsewhere_are_no_plain_names(name):
    assert not is_plain(name)


def test_tls_protects_files_and_a_server_of_another_authority_is_refused(tmp_path):
    key = tmp_path / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", tmp_path / "ca.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    key.write_text(key.read_text() + (tmp_path / "ca.pem").read_text())
    folder = tmp_path / "remote"
    folder.mkdir()
    with FtpTls(folder, key) as ftp:
        address = Address.of(Device("d", "ftp", "site", f"ftps://station@127.0.0.1:{ftp.port}/"))
        server = Server(address, "tide", tmp_path / "ca.pem", timeout=5)
        server.put("a.txt", b"1")
        server.put("a.txt", b"22")
        assert [(one.name, one.size) for one in server.list()] == [("a.txt", 2)]
        pieces = []
        server.get("a.txt", pieces.append)
        assert b"".join(pieces) == b"22"
        server.close()
        with pytest.raises(SourceError) as error:
            Server(address, "tide", timeout=5).list()
        assert error.value.code == "devices.no_answer"


def test_a_server_without_mlsd_is_read_by_names(tmp_path, monkeypatch):
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"123")
    (folder / "sub").mkdir()
    with Ftp(folder) as ftp:
        server = Server(Address.of(Device("d", "ftp", "site", ftp.address())), "tide", timeout=5)
        with server._connected() as raw:
            import ftplib

            def unknown(*_, **__):
                raise ftplib.error_perm("500 Unknown command")

            monkeypatch.setattr(raw, "mlsd", unknown)
        found = server.list()
        server.close()
    assert [(one.name, one.size) for one in found] == [("a.txt", 3)]
    assert found[0].modified >= datetime(2000, 1, 1, tzinfo=UTC).strftime("%Y")
