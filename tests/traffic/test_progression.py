# SPDX-License-Identifier: Apache-2.0
"""Coordinated offsets: a platoon that drives 37 s to the next signal meets green when that signal's clock runs 37 s later."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.traffic.crossroads import GRID, flows

from mangrove.traffic.fixed_plan import FixedPlan, SignalPlan, Stage, read_plan
from mangrove.traffic.movements import read_movements
from mangrove.traffic.progression import Link, coordinated, links_of


def signal(name, green, cycle=60, offset=0):
    stages = (Stage("Gr", green, (("yr", 3.0),)), Stage("rG", cycle - green - 6, (("ry", 3.0),)))
    return SignalPlan(name, float(offset), stages)


def waiting(plan, links):
    """Flow-weighted mean wait by walking through every second of every platoon."""
    total = 0.0
    for link in links:
        source, target = plan.signals[link.source], plan.signals[link.target]
        cycle = target.cycle
        start = source.offset + sum(s.green + s.lost for s in source.stages[: link.leave])
        opens = target.offset + sum(s.green + s.lost for s in target.stages[: link.arrive])
        waits = []
        for second in range(int(source.stages[link.leave].green)):
            at = (start + second + 0.5 + link.seconds - opens) % cycle
            waits.append(0.0 if at < target.stages[link.arrive].green else cycle - at)
        total += link.flow * np.mean(waits)
    return total


def test_a_line_of_signals_gets_offsets_of_its_driving_times():
    plan = FixedPlan(tuple(signal(name, 27) for name in "abcd"))
    links = [Link(n, 0, n + 1, 0, 100.0, seconds) for n, seconds in enumerate((37.0, 20.0, 55.0))]
    found = coordinated(plan, links)
    assert waiting(found, links) == 0
    offsets = [s.offset for s in found.signals]
    assert [(b - a) % 60 for a, b in pairwise(offsets)] == [37, 20, 55]


def test_a_platoon_of_the_second_stage_counts_from_when_that_stage_begins():
    plan = FixedPlan((signal("a", 40), signal("b", 14)))
    # leaves 43 s after a's clock for 14 s and drives 10 s: b's first stage, 14 s too, opens 53 s after a's clock
    links = [Link(0, 1, 1, 0, 1.0, 10.0)]
    first, second = coordinated(plan, links).signals
    assert (second.offset - first.offset) % 60 == 53


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(10, 44), st.integers(0, 59)), min_size=2, max_size=6),
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 1),
            st.integers(0, 5),
            st.integers(0, 1),
            st.floats(1, 900),
            st.floats(1, 200),
        ),
        max_size=12,
    ),
)
def test_coordination_never_makes_platoons_wait_longer(signals, rows):
    plan = FixedPlan(tuple(signal(str(n), green, offset=o) for n, (green, o) in enumerate(signals)))
    links = [Link(a % len(signals), i, b % len(signals), j, f, s) for a, i, b, j, f, s in rows]
    found = coordinated(plan, links)
    assert waiting(found, links) <= waiting(plan, links) + 1e-6
    assert [s.stages for s in found.signals] == [s.stages for s in plan.signals]
    assert all(0 <= s.offset < 60 for s in found.signals)


def test_links_are_what_vehicles_drive_from_stage_to_stage(tmp_path):
    plan, known = read_plan(GRID), read_movements(GRID)
    # through two signals of the grid, straight on
    pairs = {(m.source, m.target): (name, m) for name, rows in known.items() for m in rows}
    first, second = next(
        (a, b)
        for a in pairs
        for b in pairs
        if a[1] == b[0] and pairs[a][1].turn == pairs[b][1].turn == "s" and a[0] != b[1]
    )
    routes = flows(tmp_path / "a.rou.xml", (f"{first[0]} {first[1]} {second[1]}", 720), end=600)
    (link,) = links_of(GRID, plan, known, [routes])
    names = [signal.id for signal in plan.signals]
    assert (names[link.source], names[link.target]) == (pairs[first][0], pairs[second][0])
    # 720 per hour for 600 s, cars of 3.4 motorcycle units
    assert link.flow == pytest.approx(120 * 3.4)
    assert 1 < link.seconds < 60
