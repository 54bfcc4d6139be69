# SPDX-License-Identifier: Apache-2.0
"""Fixed-time plans: read as stages, written so that SUMO shows the same lights, with the time that people need to cross."""

import subprocess
import xml.etree.ElementTree as ET

import pytest
from tests.traffic.crossroads import GRID, NETS, SINGLE, one_signal

from mangrove.errors import RequestError, SourceError
from mangrove.traffic import sumo
from mangrove.traffic.fixed_plan import FixedPlan, problems_of, read_plan, write_plan
from mangrove.traffic.movements import least_greens, read_movements
from mangrove.traffic.plan_table import COLUMNS, header, plan_rows


def lights(phases, offset, seconds):
    """What a program shows at whole seconds, by SUMO's rule: a positive offset delays it."""
    cycle = sum(length for _, length in phases)
    shown = []
    for t in range(seconds):
        at = (t - offset) % cycle
        for state, length in phases:
            if at < length:
                shown.append(state)
                break
            at -= length
    return shown


def phases_of(signal):
    return [phase for stage in signal.stages for phase in ((stage.state, stage.green), *stage.clearing)]


def test_a_stage_is_a_green_with_what_clears_it(tmp_path):
    net = one_signal(tmp_path / "a.net.xml", ("Gr", 30), ("yr", 3), ("rr", 2), ("rG", 20), ("ry", 4))
    (signal,) = read_plan(net).signals
    assert [(s.state, s.green, s.yellow, s.all_red) for s in signal.stages] == [
        ("Gr", 30, 3, 2),
        ("rG", 20, 4, 0),
    ]
    assert (signal.cycle, signal.lost, signal.offset) == (59, 9, 5)


def test_a_program_that_begins_with_yellow_is_turned_and_shows_the_same_lights(tmp_path):
    rows = (("ry", 3), ("rr", 1.5), ("Gr", 30), ("yr", 3), ("rG", 22.5))
    (signal,) = read_plan(one_signal(tmp_path / "a.net.xml", *rows)).signals
    assert signal.stages[0].state == "Gr"
    assert signal.stages[-1].clearing == (("ry", 3), ("rr", 1.5))
    assert lights(phases_of(signal), signal.offset, 130) == lights(rows, 5, 130)


def test_people_who_may_no_longer_start_to_cross_belong_to_the_clearing_of_their_stage(tmp_path):
    rows = (("GrG", 20), ("Grr", 5), ("yrr", 3), ("rGr", 20), ("ryr", 3))
    (signal,) = read_plan(one_signal(tmp_path / "a.net.xml", *rows, crossing=True)).signals
    assert len(signal.stages) == 2
    assert signal.stages[0].clearing == (("Grr", 5), ("yrr", 3))


@pytest.mark.parametrize("net", sorted(NETS.rglob("*.net.xml")), ids=lambda path: path.stem)
def test_every_net_with_signals_goes_to_a_file_and_back_exactly(net, tmp_path):
    if "<tlLogic" not in net.read_text(encoding="utf-8"):
        with pytest.raises(SourceError) as refused:
            read_plan(net)
        assert refused.value.code == "signals.no_signals"
        return
    plan = read_plan(net)
    write_plan(plan, tmp_path / "plan.add.xml")
    assert read_plan(tmp_path / "plan.add.xml").signals == plan.signals


def test_sumo_accepts_the_file_and_shows_its_lights_at_every_second(tmp_path):
    plan = read_plan(GRID)
    changed = FixedPlan(tuple(s.timed((20, 7, 17, 8), 3 * n) for n, s in enumerate(plan.signals)))
    write_plan(changed, tmp_path / "plan.add.xml")
    save = tmp_path / "save.add.xml"
    save.write_text(
        '<additional><timedEvent type="SaveTLSStates" source="1" dest="shown.xml"/>'
        '<timedEvent type="SaveTLSStates" source="2" dest="shown2.xml"/></additional>',
        encoding="utf-8",
    )
    command = [
        sumo.binary(),
        "-n",
        GRID,
        "-a",
        f"{tmp_path / 'plan.add.xml'},{save}",
        "-e",
        "150",
        "--no-step-log",
        "--xml-validation",
        "never",
    ]
    subprocess.run(
        [str(word) for word in command], check=True, env=dict(sumo.environment()), capture_output=True
    )
    for file, number in (("shown.xml", 0), ("shown2.xml", 1)):
        rows = list(ET.parse(tmp_path / file).getroot().iter("tlsState"))
        signal = changed.signals[number]
        assert {row.get("programID") for row in rows} == {"mangrove"}
        shown = [row.get("state") for row in rows]
        assert shown == lights(phases_of(signal), signal.offset, len(shown))


def test_a_drawn_crossing_keeps_walk_and_clearance(tmp_path):
    rows = (("GrG", 20), ("yrr", 3), ("rGr", 20), ("ryr", 3))
    net = one_signal(tmp_path / "a.net.xml", *rows, crossing=True)
    plan, known = read_plan(net), read_movements(net)
    # walk 7 s + 21.40 m / 1.07 m/s = 27 s, of which 3 s pass while the road is yellow
    assert least_greens(plan, known, 7.0, "crossings") == {"c": (24.0, 7.0)}
    assert least_greens(plan, known, 7.0, "none") == {"c": (7.0, 7.0)}
    assert least_greens(plan, known, 7.0, 30.0) == {"c": (30.0, 30.0)}


def test_without_drawn_crossings_people_cross_the_road_that_stands_still(tmp_path):
    net = one_signal(tmp_path / "a.net.xml", ("Gr", 30), ("yr", 3), ("rG", 20), ("ry", 4))
    # north road: two lanes of 3.5 m and one back of 3.0 m, crossed in stage 2: 7 + 10 / 1.07 - 4 = 12.3 s
    # west road: one lane of 3.2 m: 7 + 3.2 / 1.07 - 3 = 7.0 s in stage 1
    least = least_greens(read_plan(net), read_movements(net), 5.0)
    assert least == {"c": (7.0, 13.0)}


def test_a_word_that_says_nothing_about_pedestrians_is_refused(tmp_path):
    net = one_signal(tmp_path / "a.net.xml", ("Gr", 30), ("yr", 3))
    with pytest.raises(RequestError) as refused:
        least_greens(read_plan(net), {}, 7.0, "rods")
    assert refused.value.code == "signals.unknown_pedestrians"


def test_what_of_an_installed_plan_breaks_its_limits_is_said_for_each_stage(tmp_path):
    net = one_signal(tmp_path / "a.net.xml", ("Gr", 30), ("yr", 3), ("rG", 10), ("ry", 4))
    found = problems_of(read_plan(net), {"c": (31.0, 10.0)}, (50.0, 60.0))
    assert [(p.code, p.data.get("stage")) for p in found] == [
        ("signals.green_too_short", 1),
        ("signals.cycle_out_of_bounds", None),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("<net><tlLogic id='c'>", "signals.unreadable", 1),
        ("<net>\n<edge></net>", "signals.unreadable", 2),
        ("<net/>", "signals.no_signals", 0),
        ("<net><tlLogic id='c'><phase duration='x' state='G'/></tlLogic></net>", "signals.bad_phase", 0),
        ("<net><tlLogic id='c'><phase duration='-3' state='G'/></tlLogic></net>", "signals.bad_phase", 0),
        ("<net><tlLogic id='c' type='rail_signal'/></net>", "signals.no_signals", 0),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, text, code, line):
    (tmp_path / "a.net.xml").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        read_plan(tmp_path / "a.net.xml")
    problem = refused.value.problem
    assert (problem.code, problem.where.file, problem.where.line) == (code, "a.net.xml", line)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"none\.net\.xml"):
        read_plan(tmp_path / "none.net.xml")


def test_the_table_for_the_field_names_streets_turns_and_times(tmp_path):
    rows = (("GrG", 20), ("yrr", 3), ("rGr", 20), ("ryr", 3))
    net = one_signal(tmp_path / "a.net.xml", *rows, crossing=True)
    plan, known = read_plan(net), read_movements(net)
    table = plan_rows(plan, known, {"c": (20.0, 7.0)}, "vi")
    first = dict(zip(COLUMNS, table[0], strict=True))
    assert first["movements"] == "Lê Lợi ↑; lối qua đường: 1"
    assert [first[name] for name in ("green", "yellow", "all_red", "cycle", "offset", "least_green")] == [
        "20",
        "3",
        "0",
        "46",
        "5",
        "20",
    ]
    assert dict(zip(COLUMNS, table[1], strict=True))["begins"] == "23"
    assert header("vi")[3] == "xanh (s)"
    assert len(header("en")) == len(COLUMNS)


def test_the_single_intersection_of_the_registry_is_read_as_two_stages():
    (signal,) = read_plan(SINGLE).signals
    assert [(s.state, s.green, s.yellow) for s in signal.stages] == [("GGrr", 42, 2), ("rrGG", 42, 2)]
