# SPDX-License-Identifier: Apache-2.0
"""Signals of a SUMO that somebody else runs: the same decisions as in process, a safe way back, and whatever may be at a port."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from tests.traffic.crossroads import GRID, SINGLE, flows, one_signal
from typer.testing import CliRunner

from mangrove import signals
from mangrove.cli_signals import signals_app
from mangrove.errors import MangroveError, MissingExtraError, RequestError, SourceError
from mangrove.traffic import live_control, sumo
from mangrove.traffic.signals import WaveController
from mangrove.traffic.simulate import Run, simulate
from mangrove.traffic.sumo_net import read_net

traci = pytest.importorskip("traci")
WE_NS = (("w_t t_e", 700), ("n_t t_s", 500))


def free_port():
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return line.getsockname()[1]


@contextmanager
def running(net, routes, *options):
    """A SUMO that listens; its process and its port."""
    port = free_port()
    command = [
        sumo.binary(),
        "-n",
        str(net),
        "-r",
        str(routes),
        "--remote-port",
        str(port),
        "--no-step-log",
        "true",
    ]
    command += ["--xml-validation", "never", "--seed", "1", "--time-to-teleport", "-1", *map(str, options)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=sumo.environment()
    )
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    return flows(tmp_path_factory.mktemp("live") / "a.rou.xml", *WE_NS, end=240)


def test_over_the_line_decisions_and_states_are_those_of_the_same_run_in_process(routes):
    there = simulate(Run(SINGLE, [routes], 0, 200, seed=1), WaveController()).control
    told = []
    with running(SINGLE, routes, "--end", 200) as (process, port):
        driven = signals.live(port, told=told.append)
        assert process.wait(10) == 0, "SUMO ends with its last client"
    assert (driven.begin, driven.end, driven.why, driven.signals) == (0.0, 200.0, "ended", ("t",))
    assert driven.decisions == len(told) == len(there) > 4
    assert [(one["time"], one["reason"]) for one in told] == [(one.time, one.reason) for one in there]
    for mine, other in zip(told, there, strict=True):
        assert tuple(mine["worth"].values()) == pytest.approx(other.scores, abs=1e-3)
        assert list(mine["worth"]).index(mine["to"]) == other.after
        assert mine["from"] != mine["to"]


def test_control_goes_on_until_everybody_has_arrived_when_no_end_is_set(routes):
    with running(SINGLE, routes) as (_, port):
        connection = live_control.connect(port)
        driven = live_control.drive(connection, WaveController())
        assert connection.simulation.getMinExpectedNumber() == 0
        live_control.part(connection)
    assert driven.why == "ended"
    assert 240 < driven.end < 400


def test_after_the_asked_seconds_the_installed_program_runs_again_over_yellow_and_red(routes):
    with running(SINGLE, routes, "--end", 300) as (_, port):
        connection = live_control.connect(port)
        shown = []
        move = connection.simulationStep

        def step():
            move()
            shown.append(connection.trafficlight.getRedYellowGreenState("t"))

        connection.simulationStep = step
        told = []
        driven = live_control.drive(connection, WaveController(), seconds=100, told=told.append)
        assert connection.trafficlight.getProgram("t") == "0"
        assert driven.abrupt == ()
        for _ in range(20):
            step()
        live_control.part(connection)
    assert driven.why == "seconds"
    assert 100 < driven.end < 130
    assert told[-1]["reason"] == "handed_back"
    assert told[-1]["to"] is None
    for before, after in pairwise(shown):
        for one, other in zip(before, after, strict=True):
            assert (one in "Gg") <= (other in "Ggy"), "green ends with yellow"


def test_a_controller_that_has_left_can_drive_again(routes):
    with running(SINGLE, routes, "--end", 300) as (_, port):
        connection = live_control.connect(port)
        control = WaveController()
        first = live_control.drive(connection, control, seconds=60)
        again = live_control.drive(connection, control, seconds=100)
        live_control.part(connection)
    assert again.begin == first.end
    assert again.decisions > 3
    assert [one.reason for one in control.log].count("handed_back") == 2, "once for each way back"


def test_only_the_signals_that_are_asked_for_are_touched(tmp_path):
    demand = flows(tmp_path / "g.rou.xml", (" ".join(two_edges(GRID)), 300), end=60)
    with running(GRID, demand, "--end", 60) as (_, port):
        connection = live_control.connect(port)
        names = connection.trafficlight.getIDList()
        driven = live_control.drive(connection, WaveController(only=frozenset(names[:1])))
        assert driven.signals == names[:1]
        with pytest.raises(RequestError) as refused:
            live_control.drive(connection, WaveController(only=frozenset({names[0] + "x"})))
        assert refused.value.code == "traffic.live_unknown"
        connection.trafficlight.setRedYellowGreenState(names[0], "r" * 30)
        with pytest.raises(RequestError) as refused:
            live_control.drive(connection, WaveController())
        assert refused.value.code == "traffic.live_taken"
        live_control.part(connection)


def two_edges(net):
    """Two edges of a net, one that leads to the other."""
    read = read_net(net)
    return read.ids[read.connections.source[0]], read.ids[read.connections.target[0]]


def test_a_full_disk_of_the_log_gives_the_signals_back_first(routes):
    def full(one):
        raise OSError(28, "No space left on device")

    with running(SINGLE, routes, "--end", 300) as (_, port):
        connection = live_control.connect(port)
        with pytest.raises(OSError, match="No space"):
            live_control.drive(connection, WaveController(), told=full)
        assert connection.trafficlight.getProgram("t") == "0"
        live_control.part(connection)


def test_any_control_can_drive_and_a_program_it_leaves_behind_is_put_back(routes):
    class Red:
        def start(self, sim):
            self.calls = []

        def step(self, sim, t):
            self.calls.append(t)
            sim.trafficlight.setRedYellowGreenState(
                "t", "r" * len(sim.trafficlight.getRedYellowGreenState("t"))
            )

    red = Red()
    with running(SINGLE, routes, "--end", 300, "--step-length", 0.5) as (_, port):
        connection = live_control.connect(port)
        driven = live_control.drive(connection, red, seconds=20)
        assert connection.trafficlight.getProgram("t") == "0"
        live_control.part(connection)
    assert red.calls == [float(t) for t in range(20)]
    assert driven.abrupt == ("t",)
    assert driven.decisions == 0


def test_two_clients_see_the_program_back_after_ctrl_c(routes, tmp_path):
    """The second client only moves time on and watches; the first is the command, told to stop."""
    log = tmp_path / "log.jsonl"
    with running(SINGLE, routes, "--end", 100_000, "--num-clients", 2) as (_, port):
        command = [sys.executable, "-m", "mangrove", "signals", "live", "--port", str(port), "--order", "1"]
        command += ["--net", str(SINGLE), "--log", str(log), "--lang", "vi", "--wait", "30s"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        watching = live_control.connect(port, wait=30, order=2)
        watching._socket.settimeout(60)
        programs = []
        try:
            for _ in range(120):
                watching.simulationStep()
                programs.append(watching.trafficlight.getProgram("t"))
            process.send_signal(signal.SIGINT)
            ends_ = time.monotonic() + 20
            while process.poll() is None and time.monotonic() < ends_:
                watching.simulationStep()
                programs.append(watching.trafficlight.getProgram("t"))
            assert process.wait(1) == 130
            assert watching.trafficlight.getProgram("t") == "0"
            said = process.stderr.read().decode()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
            live_control.part(watching)
    assert "online" in programs
    assert "Đang trả các nút đèn" in said
    assert "Đã dừng" in said
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert set(lines[0]) == {"time", "signal", "from", "to", "reason", "worth"}
    assert lines[-1]["reason"] == "handed_back"


def test_a_simulation_that_dies_halfway_is_said_with_its_second(routes):
    with running(SINGLE, routes, "--end", 100_000) as (process, port):
        count = []

        def told(one):
            count.append(one)
            if len(count) == 3:
                process.kill()

        with pytest.raises(SourceError) as lost:
            signals.live(port, told=told)
    assert lost.value.code == "traffic.live_lost"
    assert f"second {count[-1]['time'] + 1:g}" in lost.value.text()


@contextmanager
def answering(reply):
    """A server that sends something to whoever comes, and keeps the line open."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(1)
        lines = []

        def serve():
            line, _ = door.accept()
            lines.append(line)
            line.recv(64)
            line.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()[1]
        thread.join(5)
        for line in lines:
            line.close()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "traffic.live_not_sumo"),
        (b"\0\0\0\x0f\x07\x05\0\0\0\0\0\0\0\0\0", "traffic.live_not_sumo"),
        (b"", "traffic.live_silent"),
        (b"\0\0\0\x0f\x07", "traffic.live_silent"),
    ],
)
def test_another_server_at_the_port_is_told_apart_from_sumo(reply, code):
    patience = 0.5 if code.endswith("silent") else 20
    with answering(reply) as port, pytest.raises(SourceError) as refused:
        live_control.connect(port, wait=patience)
    both(refused.value, code)
    assert str(port) in refused.value.text()


def test_nobody_at_the_port_an_unknown_host_and_no_port_at_all_are_named(monkeypatch):
    for host, port, code in (
        ("localhost", free_port(), "traffic.live_nobody"),
        ("no-such-host.invalid", 8813, "traffic.live_nobody"),
        ("localhost", 70_000, "traffic.live_port"),
    ):
        with pytest.raises(MangroveError) as refused:
            live_control.connect(port, host, wait=0.3)
        both(refused.value, code)
    monkeypatch.setitem(sys.modules, "traci", None)
    with pytest.raises(MissingExtraError, match="traffic"):
        live_control.connect(8813)


def both(error, code):
    """The error has the code and speaks two languages."""
    assert error.code == code
    texts = {error.text(lang) for lang in ("en", "vi")}
    assert len(texts) == 2
    assert not any("{" in text or code in text for text in texts)


def test_a_net_that_is_not_the_one_that_runs_and_nets_without_signals_are_refused(routes, tmp_path):
    other = one_signal(tmp_path / "other.net.xml", ("Gr", 30), ("yr", 3), ("rG", 30), ("ry", 3))
    with running(SINGLE, routes, "--end", 100) as (_, port), pytest.raises(RequestError) as refused:
        signals.live(port, net=other)
    both(refused.value, "traffic.live_other_net")
    empty = tmp_path / "empty.net.xml"
    empty.write_text("<net/>")
    with pytest.raises(MangroveError) as refused:
        signals.live(1, net=empty)
    both(refused.value, "signals.no_signals")
    bare = tmp_path / "bare.net.xml"
    text = re.sub(r"<tlLogic.*?</tlLogic>", "", SINGLE.read_text(), flags=re.DOTALL)
    text = re.sub(r' tl="t" linkIndex="\d+"', "", text).replace('type="traffic_light"', 'type="priority"')
    bare.write_text(text)
    with running(bare, routes, "--end", 100) as (_, port), pytest.raises(RequestError) as refused:
        signals.live(port)
    both(refused.value, "traffic.live_no_signals")


def test_steps_longer_than_a_second_are_refused(routes):
    with running(SINGLE, routes, "--end", 100, "--step-length", 2) as (_, port):
        with pytest.raises(RequestError) as refused:
            signals.live(port)
        both(refused.value, "traffic.live_step")


def test_the_command_says_what_it_did_and_prints_decisions(routes):
    with running(SINGLE, routes, "--end", 120) as (_, port):
        done = CliRunner().invoke(
            signals_app, ["live", "--port", str(port), "--log", "-", "--seconds", "60s"]
        )
    assert done.exit_code == 0, done.output
    assert "They run their installed programs again" in done.stderr
    assert json.loads(done.stdout.splitlines()[0])["signal"] == "t"


def test_less_time_is_lost_than_under_the_installed_program(routes, tmp_path):
    with running(
        SINGLE,
        routes,
        "--end",
        240,
        "--statistic-output",
        tmp_path / "ours.xml",
        "--duration-log.statistics",
        "true",
    ) as (process, port):
        signals.live(port)
        process.wait(10)
    plain = simulate(Run(SINGLE, [routes], 0, 240, seed=1))
    trips = ET.parse(tmp_path / "ours.xml").getroot().find("vehicleTripStatistics")
    ours = float(trips.get("timeLoss"))
    assert ours < 0.9 * plain.trips.time_loss[plain.trips.arrived].mean()
