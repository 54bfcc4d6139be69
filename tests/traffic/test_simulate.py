# SPDX-License-Identifier: Apache-2.0
"""Simulations with SUMO: what is conserved, the same seed twice, errors that say what is wrong, and nothing left behind."""

import importlib.util
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mangrove.errors import LedgerError, MissingExtraError, RequestError, SourceError
from mangrove.traffic import outcome, sumo
from mangrove.traffic.simulate import LONGEST, Run, many, simulate

pytest.importorskip("sumolib")
NETS = Path(importlib.util.find_spec("sumo_rl").origin).parent / "nets"
FOLDER = NETS / "single-intersection"
RUN = Run(FOLDER / "single-intersection.net.xml", [FOLDER / "single-intersection.rou.xml"], 0, 300, seed=1)


class Idle:
    """A control that counts its calls and touches nothing."""

    def start(self, sim):
        self.seconds = []

    def step(self, sim, t):
        self.seconds.append(t)

    def finish(self):
        return self.seconds


@pytest.fixture(scope="module")
def plain():
    return simulate(RUN)


def test_vehicles_are_conserved_at_every_second(plain):
    trips, steps = plain.trips, plain.steps
    assert plain.departed == plain.arrived + plain.unfinished
    assert len(trips.ids) == plain.departed + plain.never_departed
    assert steps.running[-1] == plain.unfinished
    assert steps.arrived[-1] == plain.arrived
    assert steps.waiting[-1] == plain.never_departed
    assert (np.diff(steps.arrived) >= 0).all()


def test_delay_counts_those_who_never_entered_and_co2_those_who_did(plain):
    trips = plain.trips
    never = ~trips.departed
    assert never.any()
    assert (trips.time_loss[never] == 0).all()
    assert (trips.depart_delay[never] > 0).all()
    by_hand = sum(t + d for t, d in zip(trips.time_loss, trips.depart_delay, strict=True)) / len(trips.ids)
    assert plain.delay == pytest.approx(by_hand)
    assert trips.emissions[never].sum() == 0
    assert plain.co2_g_per_vehicle * plain.departed == pytest.approx(trips.emissions[:, 0].sum())
    # a finished car of 300 m: between a free ride and a long stand, whatever the class (g/km of HBEFA cars)
    done = trips.arrived
    assert 100 < 1000 * trips.emissions[done, 0].sum() / trips.length[done].sum() < 1000


def test_a_control_that_touches_nothing_changes_nothing_and_is_called_each_second(plain):
    idle = simulate(RUN, Idle())
    assert np.array_equal(idle.trips.delay, plain.trips.delay)
    assert np.array_equal(idle.trips.emissions, plain.trips.emissions)
    assert idle.control == [float(t) for t in range(300)]


def test_the_same_seed_gives_the_same_trips_and_another_seed_others(plain):
    same, other = many([RUN, replace(RUN, seed=2)])
    assert np.array_equal(same.trips.delay, plain.trips.delay)
    assert same.trips.ids == plain.trips.ids
    assert len(other.trips.ids) != len(plain.trips.ids) or other.delay != plain.delay


def test_queues_and_lateral_strips_and_half_seconds_simulate_the_same_demand(plain):
    meso = simulate(replace(RUN, meso=True))
    strips = simulate(replace(RUN, sublane=0.8))
    halves = simulate(replace(RUN, step=0.5, end=60), Idle())
    for found in (meso, strips):
        assert found.departed == found.arrived + found.unfinished
        assert found.trips.emissions[:, 0].sum() > 0
    assert halves.control == [float(t) for t in range(60)]


def test_the_network_may_be_told_of_less_often_and_nothing_else_changes(plain):
    rarely = simulate(replace(RUN, every=60))
    assert rarely.steps.time.tolist() == [0.0, 60.0, 120.0, 180.0, 240.0]
    at = np.searchsorted(plain.steps.time, rarely.steps.time)
    assert np.array_equal(rarely.steps.running, plain.steps.running[at])
    assert np.array_equal(rarely.trips.delay, plain.trips.delay)


def test_emissions_follow_the_class_of_the_vehicle_type(tmp_path):
    def routes(name):
        path = tmp_path / f"{name.rpartition('/')[2]}.rou.xml"
        path.write_text(
            f'<routes><vType id="x" vClass="motorcycle" emissionClass="{name}"/><route id="r" edges="w_t t_e"/>'
            '<flow id="f" type="x" route="r" begin="0" end="200" period="10"/></routes>'
        )
        return replace(RUN, routes=[path])

    petrol = simulate(routes("HBEFA4/MC_4S_le250cc_Euro-3")).trips
    battery = simulate(routes("HBEFA4/MC_BEV")).trips
    kilometers = petrol.length.sum() / 1000
    assert 20 < petrol.emissions[:, 0].sum() / kilometers < 120  # g/km of small motorbikes, stop and go
    assert battery.emissions[:, 0].sum() == 0
    assert 0.02 < battery.electricity.sum() / 1000 / kilometers < 0.12  # kWh/km


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"net": Path("/nowhere/x.net.xml")}, SourceError, "traffic.no_file"),
        ({"net": Path(__file__)}, SourceError, "traffic.net_unreadable"),
        ({"end": 0}, RequestError, "traffic.run_times"),
        ({"step": 0}, RequestError, "traffic.run_step"),
        ({"meso": True, "sublane": 0.8}, RequestError, "traffic.meso_sublane"),
        ({"sublane": 1e-6}, RequestError, "traffic.run_sublane"),
        ({"begin": -1.0}, RequestError, "traffic.run_times"),
        ({"end": 3.6e303}, RequestError, "traffic.run_times"),
        ({"end": 32 * 86_400.0}, RequestError, "traffic.run_long"),
        ({"teleport": 3.6e303}, RequestError, "traffic.run_teleport"),
        ({"sublane": 1e300}, RequestError, "traffic.run_sublane"),
        ({"teleport": float("nan")}, RequestError, "traffic.run_teleport"),
        ({"every": 0.5}, RequestError, "traffic.run_every"),
        ({"begin": float("nan")}, RequestError, "traffic.run_times"),
        ({"end": float("inf")}, RequestError, "traffic.run_times"),
        ({"options": {"seed": "3"}}, RequestError, "traffic.run_option"),
        ({"options": {"no-such-option": "1"}}, SourceError, "traffic.sumo_failed"),
        ({"net": NETS / "2x2grid" / "2x2.net.xml"}, SourceError, "traffic.routes_misfit"),
    ],
)
def test_what_cannot_be_simulated_is_a_named_error_in_both_languages(change, kind, code):
    with pytest.raises(kind) as caught:
        simulate(replace(RUN, **change))
    assert caught.value.code == code
    for lang in ("en", "vi"):
        assert code not in caught.value.text(lang)
        assert "{" not in caught.value.text(lang)


def test_a_control_that_fails_shows_its_error(tmp_path):
    with pytest.raises(SourceError) as caught:
        simulate(RUN, Broken())
    assert "no such junction" in str(caught.value)


@pytest.mark.parametrize("control", [None, Idle()])
def test_a_cut_network_is_named_with_its_line_under_control_and_without(tmp_path, control):
    cut = tmp_path / "half.net.xml"
    text = RUN.net.read_text()
    cut.write_text(text[: len(text) // 2])
    with pytest.raises(SourceError) as caught:
        simulate(replace(RUN, net=cut), control)
    assert caught.value.code == "traffic.net_unreadable"
    assert caught.value.problem.where.file == str(cut)
    assert caught.value.problem.where.line >= len(cut.read_text().splitlines())
    assert "Traceback" not in caught.value.text()


class Broken(Idle):
    def step(self, sim, t):
        raise ValueError("no such junction")


def test_without_sumo_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(sumo, "homes", list)
    monkeypatch.setattr(sumo.shutil, "which", lambda name: None)
    with pytest.raises(MissingExtraError, match="traffic"):
        simulate(RUN)


def test_a_full_disk_and_a_cut_result_are_told_apart(tmp_path, monkeypatch):
    for name in ("trips", "summary", "statistics"):
        (tmp_path / f"{name}.xml").write_text("<tripinfos><tripinfo")
    with pytest.raises(SourceError) as caught:
        outcome.read(tmp_path, 0.0)
    assert caught.value.code == "traffic.output_cut"
    monkeypatch.setattr(sumo, "full", lambda folder: True)
    with pytest.raises(LedgerError) as caught:
        outcome.read(tmp_path, 0.0)
    assert caught.value.code == "traffic.disk_full"


def children():
    running = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
    return {int(pid) for pid in running if _parent(pid) == os.getpid()}


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture
def interruptible():
    """Ctrl-C raises, whatever an earlier test in this process has made of it."""
    held = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, held)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_all_simulations_at_once():
    before = children()
    long = replace(RUN, end=LONGEST)

    def interrupt():
        while len(children() - before) < 2:
            time.sleep(0.02)
        signal.raise_signal(signal.SIGINT)

    killer = threading.Thread(target=interrupt)
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        many([long, replace(long, seed=2), replace(long, seed=3)])
    killer.join()
    assert children() - before == set()


def test_an_exception_of_the_listener_ends_the_run():
    before = children()

    def enough(share):
        assert 0 <= share <= 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        simulate(replace(RUN, end=LONGEST), progress=enough)
    assert children() - before == set()


def test_the_first_failure_ends_the_others():
    with pytest.raises(SourceError):
        many([replace(RUN, end=LONGEST), replace(RUN, options={"no-such-option": "1"})])


def test_workers_and_controls_must_make_sense():
    with pytest.raises(RequestError):
        many([RUN], workers=0)
    with pytest.raises(RequestError):
        many([RUN], controls=[])
