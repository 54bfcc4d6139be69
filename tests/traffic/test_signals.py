# SPDX-License-Identifier: Apache-2.0
"""The signal controller: hard rules under any wish, worth by hand, asymmetric demand, and detectors that fail."""

import importlib.util
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.traffic.detection import Blinded, Cameras, Seen
from mangrove.traffic.guards import OUT, Guard, Limits
from mangrove.traffic.phases import Signal, clearance, green_states, read_signals
from mangrove.traffic.signals import Health, Scores, Wave, WaveController
from mangrove.traffic.simulate import Run, simulate

STATES = ("GGrrr", "rrGgr", "rGrrG")
CROSSING = ((0, 2), (0, 3), (1, 2), (2, 4), (3, 4))
LIMITS = Limits(all_red=1.0, walk_speed=1.0)


def crossroads(states=STATES, crossing=(0.0, 0.0, 0.0, 0.0, 12.0)):
    """Two lanes, one of them with a turn on permissive green, and a crossing of 12 m."""
    return Signal(
        id="x", program="0", states=states, cycle=tuple((s, 30.0) for s in states), lanes=("a", "b", ":w"),
        lane=(0, 0, 1, 1, 2), exits=("o", "p", "o", "p", ":c"), via=("",) * 5, crossing=crossing,
        foes=tuple(frozenset(b for one in CROSSING if a in one for b in one if b != a) for a in range(5)),
    )  # fmt: skip


wishes = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=60, max_size=300)


@given(wishes)
def test_no_wish_breaks_a_hard_rule(asked):
    guard = Guard(crossroads(), LIMITS)
    shown = []
    for phase, stuck in asked:
        guard.wish(phase)
        shown.append(guard.show({0: 1, 2: 2} if stuck else {}))
    runs = []
    for state in shown:
        if runs and runs[-1][0] == state:
            runs[-1][1] += 1
        else:
            runs.append([state, 1])
    for (now, lasted), (then, _) in pairwise(runs):
        for link in range(4):
            assert not (now[link] in "Gg" and then[link] == "r"), "a vehicle's green ends in yellow"
            assert not (now[link] == "y" and lasted < LIMITS.yellow)
        if now in STATES:
            assert lasted >= LIMITS.minimum
    for state, _ in runs:
        assert not any(state[a] in "Gg" and state[b] in "Gg" for a, b in ((0, 2), (0, 3), (2, 4), (3, 4)))
    for at, (now, then) in enumerate(pairwise(shown)):
        if now[4] == "G" and then[4] == "r":  # 12 m at 1 m/s: nobody drives onto the crossing for 12 s
            assert all(state[2] != "G" for state in shown[at + 1 : at + 13])
            assert shown[: at + 1][-7:] == ["rGrrG"] * min(7, at + 1)


@given(st.integers(0, 2), st.integers(0, 2), st.integers(0, 40))
def test_the_next_green_waits_for_a_blocked_junction_but_not_for_ever(start, end, stuck):
    guard = Guard(crossroads(crossing=(0.0,) * 5), LIMITS, start)
    for _ in range(7):
        guard.show()
    if not guard.wish(end):
        assert start == end
        return
    now, then = STATES[start], STATES[end]
    new = {link for link in range(5) if now[link] == "r" and then[link] in "Gg"}
    ended = {link for link in range(5) if now[link] in "Gg" and then[link] == "r"}
    blocking = {a: 2 for one in CROSSING for a in one if a in ended and new.intersection(one) - {a}}
    seconds = 0
    while guard.show(blocking if seconds < stuck else {}) != STATES[end]:
        seconds += 1
        assert seconds <= 3 + 1 + LIMITS.clear
    waits = blocking and stuck > 4
    assert seconds == (min(max(stuck, 4), 4 + LIMITS.clear) if waits else 4)


@pytest.mark.parametrize(
    ("start", "end", "inside", "waits"),
    [
        ("rrGgr", "GGrrr", {2: 1}, True),  # it had the right of way and did not get through: in the way
        ("rrGgr", "GGrrr", {3: 1}, False),  # one that turns has room to stand
        ("rrGgr", "GGrrr", {3: 2}, True),  # the second one has not
        ("rrGgr", "GGrrr", {0: 1}, False),  # it may go on now
        ("rrGgr", "rGrrr", {3: 5}, False),  # its way crosses only link 0, which stays red
        ("rrGgr", "rGrrr", {4: 1}, False),
    ],
)
def test_only_who_stands_across_the_next_green_holds_it_up(start, end, inside, waits):
    guard = Guard(crossroads(states=(start, end), crossing=(0.0,) * 5), Limits())
    for _ in range(7):
        guard.show()
    guard.wish(1)
    shown = [guard.show(inside) for _ in range(4)]
    assert (shown[-1] != end) == waits


def test_the_way_out_leads_over_yellow_to_all_red():
    guard = Guard(crossroads(crossing=(0.0,) * 5), Limits())
    shown = [guard.show() for _ in range(7)]
    assert guard.wish(OUT)
    while not guard.gone:
        shown.append(guard.show())
    assert shown == ["GGrrr"] * 7 + ["yyrrr"] * 3 + ["rrrrr"]


def test_green_states_and_clearances():
    assert green_states(["GGrr", "GyrG", "yyrr", "rrrr", "rrGg", "GGrr"]) == ("GGrr", "rrGg")
    assert clearance("GGggr", "GrgGG") == "Gyggr"


def junction():
    """A signal over one junction: link 0 goes over `:j_0_0`, link 1 turns over `:j_1_0` and, from its waiting place on, `:j_2_0`."""
    after = {":j_1_0": ":j_2_0"}
    foes = {":j_0_0": (":j_2_0",), ":j_1_0": (), ":j_2_0": (":j_0_0",)}
    length = {"a": 200.0, "b": 200.0, "c": 200.0, ":j_0_0": 30.0, ":j_1_0": 12.0, ":j_2_0": 10.0}
    vehicles = {}
    phases = [SimpleNamespace(state=state, duration=30.0) for state in ("Gr", "rg")]
    return SimpleNamespace(
        vehicles=vehicles,
        trafficlight=SimpleNamespace(
            getIDList=lambda: ("j",),
            getProgram=lambda name: "0",
            getAllProgramLogics=lambda name: [SimpleNamespace(programID="0", phases=phases)],
            getControlledLinks=lambda name: [[("a", "c", ":j_0_0")], [("b", "c", ":j_1_0")]],
        ),
        lane=SimpleNamespace(
            getLength=length.__getitem__,
            getShape=lambda lane: ((0.0, -200.0), (0.0, -15.0)),
            getLinks=lambda lane: [("c", True, True, True, after.get(lane, ""))],
            getInternalFoes=foes.__getitem__,
        ),
        junction=SimpleNamespace(
            getPosition=lambda name: (0.0, 0.0),
            subscribeContext=lambda *what: None,
            getAllContextSubscriptionResults=lambda: {"j": vehicles},
        ),
        vehicle=SimpleNamespace(getNextTLS=lambda name: ()),
    )


def test_ways_that_cross_behind_a_waiting_place_are_in_conflict_too():
    (signal,) = read_signals(junction())
    assert signal.foes == (frozenset({1}), frozenset({0}))


def test_a_vehicle_that_stood_within_the_junction_counts_until_it_is_nearly_out():
    sim, cameras = junction(), Cameras()
    cameras.start(sim, read_signals(sim), 60.0)

    def look(lane, at, speed):
        sim.vehicles["v"] = {0x40: speed, 0x51: lane, 0x56: at}
        return cameras.look(sim).inside

    assert look(":j_0_0", 5.0, 8.0) == {}, "who drives through is in nobody's way"
    assert look(":j_0_0", 9.0, 0.0) == {0: {0: 1}}
    assert look(":j_0_0", 12.0, 4.0) == {0: {0: 1}}, "18 m at 4 m/s and speeding up: 2.7 s"
    assert look(":j_0_0", 18.0, 6.0) == {}, "1.6 s"
    assert look(":j_1_0", 12.0, 0.0) == {0: {1: 1}}
    assert look("c", 3.0, 0.0) == {}, "out"
    assert look(":j_0_0", 9.0, 4.0) == {}, "and forgotten"


def sensors():
    return SimpleNamespace(lanes={"a": 0, "b": 1, ":w": 2}, exits={"o": 0, "p": 1, ":c": 2})


def seen(queue, moving, blocked=(False, False, False)):
    return Seen(np.array(queue, float), np.array(moving, float), np.array(blocked), {})


def test_the_worth_of_a_phase_is_what_the_formula_says():
    scores = Scores([crossroads()], sensors(), Wave())
    worth = scores.of(seen([4, 2, 0], [1, 3, 0]), [1])[0]
    a, b = 4 + 1.2 * 1 + 0.1, 2 + (1.2 + 0.6) * 3 + 0.1  # those that roll at green count more: phase 1 runs
    # lane b: one link G, one g in phase 1; lane a: half of its links in phase 2
    assert worth == pytest.approx([a, b * (1 + 0.65) / 2, a / 2])
    worth = Scores([crossroads()], sensors(), Wave()).of(seen([4, 2, 0], [1, 3, 0]), [-1])[0]
    assert worth[1] == pytest.approx((2 + 1.2 * 3 + 0.1) * (1 + 0.65) / 2)
    # both exits of lane b are blocked: worth nothing; one exit of a is free
    worth = scores.of(seen([4, 2, 0], [1, 3, 0], [True, True, False]), [1])[0]
    assert worth[:2] == pytest.approx([0, 0])
    worth = scores.of(seen([4, 2, 0], [1, 3, 0], [True, False, False]), [1])[0]
    assert worth[1] > 0


def test_nobody_starves_seen_or_unseen_and_pedestrians_come_soonest():
    scores = Scores([crossroads()], sensors(), Wave())
    for second in range(200):
        worth = scores.of(seen([30, 0, 0], [9, 0, 0]), [0])[0]
        assert (worth[2] > worth[0]) == (second >= 75), "the crossing is served after 75 s"
        assert (worth[1] > 50) == (second >= 180), "a lane that looks empty after 180 s"


def test_detectors_are_broken_when_they_say_so_or_see_nothing_for_long():
    health = Health(np.array([[0, 1, 2]]), 300.0)
    assert not health.broken(seen([1, 0, 0], [0, 0, 0]))[0]
    assert health.broken(seen([np.nan, 0, 0], [0, 0, 0]))[0]
    later = [bool(health.broken(seen([1, 0, 0], [0, 0, 0]))[0]) for _ in range(61)]
    assert later == [True] * 59 + [False] * 2, "trusted again after a minute"
    silent = [bool(health.broken(seen([0, 0, 0], [0, 0, 0]))[0]) for _ in range(302)]
    assert silent == [False] * 300 + [True] * 2
    assert not health.broken(seen([0, 0, 0], [0, 1, 0]))[0]


pytest.importorskip("libsumo", reason="the extra traffic") if importlib.util.find_spec(
    "libsumo"
) is None else None
FOLDER = Path(importlib.util.find_spec("sumo_rl").origin).parent / "nets" / "single-intersection"
RUN = Run(FOLDER / "single-intersection.net.xml", [], 0, 300, seed=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Five minutes, five times as many vehicles from the west as from the north."""
    path = tmp_path_factory.mktemp("routes") / "uneven.rou.xml"
    path.write_text(
        '<routes><flow id="n" from="n_t" to="t_s" begin="0" end="300" vehsPerHour="200"/>'
        '<flow id="w" from="w_t" to="t_e" begin="0" end="300" vehsPerHour="1000" departLane="best"/></routes>'
    )
    return replace(RUN, routes=[path])


@pytest.fixture(scope="module")
def fixed(run):
    return simulate(run)


@pytest.fixture(scope="module")
def ours(run):
    return simulate(run, WaveController())


def test_it_beats_the_installed_plan_on_uneven_demand_in_delay_and_co2(fixed, ours):
    assert ours.delay < 0.6 * fixed.delay
    assert ours.co2_g_per_vehicle < 0.9 * fixed.co2_g_per_vehicle
    assert ours.collisions == 0


def test_every_change_is_explained_by_its_scores(ours):
    assert ours.control
    for decision in ours.control:
        assert decision.reason in {"worth", "maximum", "starved"}
        if decision.reason == "worth":
            assert decision.scores[decision.after] == max(decision.scores)
            assert decision.scores[decision.after] > 1.2 * decision.scores[decision.before] + 0.5
    for before, after in pairwise(ours.control):
        assert after.time - before.time >= 7 + 3
        assert after.before == before.after


def test_the_same_seed_gives_the_same_decisions(run, ours):
    again = simulate(run, WaveController())
    assert again.control == ours.control
    assert np.array_equal(again.trips.delay, ours.trips.delay)


def test_signals_with_dead_detectors_run_their_installed_plan(run, fixed):
    dead = simulate(run, WaveController(sensors=Blinded(dead=True)))
    assert dead.delay == pytest.approx(fixed.delay)
    late = simulate(run, WaveController(sensors=Blinded(dead=True, since=60)))
    assert [d.reason for d in late.control][-1] == "detectors"
    assert late.control[-1].after == OUT
    assert 60 <= late.control[-1].time < 80
    assert not late.collisions


def test_blind_cameras_that_nobody_notices_lose(run, ours):
    """The negative control: what it sees is what makes it good."""
    blind = simulate(run, WaveController(Wave(silence=np.inf), sensors=Blinded()))
    assert blind.delay > 1.5 * ours.delay
    noticed = simulate(run, WaveController(Wave(silence=60.0), sensors=Blinded()))
    assert noticed.control[-1].reason == "detectors"
    assert noticed.delay < blind.delay


def test_vehicles_before_a_blind_camera_are_served_all_the_same(run):
    hidden = frozenset({"n_t_0", "n_t_1"})
    found = simulate(run, WaveController(Wave(recall=60.0), sensors=Blinded(lanes_out=hidden)))
    north = np.array([name.startswith("n") for name in found.trips.ids])
    assert found.trips.waiting[north & found.trips.arrived].max() < 60 + 10 + 10
    assert "starved" in {d.reason for d in found.control}
