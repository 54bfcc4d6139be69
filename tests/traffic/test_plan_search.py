# SPDX-License-Identifier: Apache-2.0
"""The search for a fixed-time plan: every vector keeps the limits, a bad plan is left behind, an interruption keeps the best."""

import math
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.traffic.crossroads import GRID, SINGLE, flows, with_plan

from mangrove.errors import InfeasibleError, MissingExtraError, RequestError, SourceError
from mangrove.traffic import demand_draws
from mangrove.traffic.fixed_plan import FixedPlan, SignalPlan, Stage, problems_of, read_plan
from mangrove.traffic.movements import least_greens, read_movements
from mangrove.traffic.plan_search import Limits, Setting, Space, critical_flows, period, search, split

WE_NS = (("w_t t_e", 1500), ("n_t t_s", 300))
"""Five times as many vehicles from the west as from the north."""


@cache
def space(net, low=50.0, high=130.0):
    plan = read_plan(net)
    return Space(plan, Limits(least_greens(plan, read_movements(net)), (low, high)))


# --- vectors ----------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_vector_decodes_to_a_plan_within_all_limits(data):
    which = space(data.draw(st.sampled_from([SINGLE, GRID])))
    finite = st.floats(-1e6, 1e6)
    z = np.array(data.draw(st.lists(finite, min_size=which.size, max_size=which.size)))
    plan = which.decode(z)
    assert problems_of(plan, which.limits.least, which.limits.cycle) == []
    cycles = {signal.cycle for signal in plan.signals}
    assert len(cycles) == 1
    cycle = cycles.pop()
    assert cycle == int(cycle)
    for signal, installed in zip(plan.signals, which.plan.signals, strict=True):
        assert 0 <= signal.offset < cycle
        assert [s.state for s in signal.stages] == [s.state for s in installed.stages]
        assert [s.clearing for s in signal.stages] == [s.clearing for s in installed.stages]
        assert math.fsum(s.green + s.lost for s in signal.stages) == pytest.approx(cycle, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1e-6, 1e6), st.integers(1, 40)), min_size=1, max_size=8),
    st.integers(0, 200),
    st.integers(0, 999),
)
def test_greens_keep_their_least_and_sum_to_what_is_available(rows, more, thousandths):
    weights, least = np.array([w for w, _ in rows]), [float(m) for _, m in rows]
    available = round(sum(least) + more + thousandths / 1000, 3)
    greens = split(weights, least, available)
    assert all(g >= m for g, m in zip(greens, least, strict=True))
    assert math.fsum(greens) == pytest.approx(available, abs=1e-6)


def test_the_zero_vector_is_the_installed_plan_where_that_keeps_the_limits():
    (signal,) = space(SINGLE).decode(np.zeros(space(SINGLE).size)).signals
    (installed,) = read_plan(SINGLE).signals
    assert signal == installed


def test_a_vector_of_a_cycle_and_splits_decodes_to_them():
    which = space(SINGLE)
    (signal,) = which.decode(which.vector(64, {"t": (3.0, 1.0)})).signals
    assert [stage.green for stage in signal.stages] == [45, 15]


def test_fractional_clearing_times_stay_and_the_cycle_is_still_exact():
    plan = FixedPlan(
        (SignalPlan("a", 0.0, (Stage("Gr", 40, (("yr", 3.5),)), Stage("rG", 40, (("ry", 3.25),)))),)
    )
    which = Space(plan, Limits({"a": (7.0, 7.0)}, (50.0, 90.0)))
    (signal,) = which.decode(np.full(which.size, 0.3)).signals
    assert signal.cycle == round(signal.cycle)
    assert signal.lost == 6.75


def test_least_greens_above_the_highest_cycle_say_which_signal_and_what_would_do():
    plan = read_plan(SINGLE)
    with pytest.raises(InfeasibleError) as refused:
        Space(plan, Limits({"t": (40.0, 50.0)}, (50.0, 90.0)))
    # 40 + 50 + twice 2 s of yellow
    assert refused.value.problem.data == {"signal": "t", "needed": 94, "high": "90"}
    assert Space(plan, Limits({"t": (40.0, 50.0)}, (50.0, 94.0))).cycle == (94, 94)
    assert "94" in refused.value.text("vi")


# --- flows and demand -------------------------------------------------------------------------------------------------


def test_critical_flows_are_those_of_the_busiest_lane_in_motorcycle_units(tmp_path):
    routes = flows(tmp_path / "a.rou.xml", *WE_NS, end=3600)
    # cars count 3.4; the two roads have two lanes each
    assert critical_flows(read_plan(SINGLE), read_movements(SINGLE), [routes]) == {
        "t": (pytest.approx(300 * 3.4 / 2), pytest.approx(1500 * 3.4 / 2))
    }


def test_a_draw_has_the_expected_number_of_vehicles_sorted_by_departure(tmp_path):
    rows = "".join(f'<vehicle id="v{n}" depart="{n}"><route edges="w_t t_e"/></vehicle>' for n in range(2000))
    (tmp_path / "a.rou.xml").write_text(f"<routes>{rows}</routes>", encoding="utf-8")
    counts, first = [], None
    for seed in range(12):
        out = tmp_path / f"{seed}.xml"
        counts.append(demand_draws.draw([tmp_path / "a.rou.xml"], out, seed))
        drawn = demand_draws.read_routes([out])
        times = [float(v.get("depart")) for v in drawn]
        assert times == sorted(times)
        assert len({v.get("id") for v in drawn}) == len(drawn)
        first = first or out.read_bytes()
    # a Poisson count of 2,000 has the standard deviation 44.7; the mean of twelve lies within 4 x 44.7 / sqrt(12)
    assert abs(np.mean(counts) - 2000) < 52
    assert 15 < np.std(counts, ddof=1) < 100
    demand_draws.draw([tmp_path / "a.rou.xml"], tmp_path / "again.xml", 0)
    assert (tmp_path / "again.xml").read_bytes() == first


@pytest.mark.parametrize(
    ("text", "code"),
    [("<routes/>", "signals.no_vehicles"), ("<routes><vehicle", "signals.routes_unreadable")],
)
def test_routes_without_vehicles_or_cut_short_are_named(tmp_path, text, code):
    (tmp_path / "a.rou.xml").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        period([tmp_path / "a.rou.xml"])
    assert refused.value.code == code
    assert refused.value.problem.where.file == "a.rou.xml"


def test_the_period_is_that_of_the_departures(tmp_path):
    rows = '<vehicle id="a" depart="130"/><trip id="b" depart="500"/>'
    (tmp_path / "a.rou.xml").write_text(f"<routes>{rows}</routes>", encoding="utf-8")
    assert period([tmp_path / "a.rou.xml"]) == (120.0, 540.0)
    with pytest.raises(RequestError, match="600"):
        period([tmp_path / "a.rou.xml"], 600.0, 500.0)


# --- search -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bad(tmp_path):
    """A crossroads whose plan gives the empty road four times the green of the full one."""
    return with_plan(SINGLE, tmp_path / "bad.net.xml", (72, 12))


def limits_of(net, **words):
    plan = read_plan(net)
    return plan, Limits(least_greens(plan, read_movements(net)), **words)


def test_thirty_runs_leave_a_bad_plan_behind(bad, tmp_path):
    routes = flows(tmp_path / "a.rou.xml", *WE_NS)
    plan, limits = limits_of(bad)
    flow = critical_flows(plan, read_movements(bad), [routes])
    told = []
    setting = Setting(evaluations=30, draws=1)
    found = search(bad, [routes], plan, limits, setting, flows=flow, progress=lambda *said: told.append(said))
    west, north = (
        next(s for s in found.plan.signals[0].stages if s.state == state) for state in ("rrGG", "GGrr")
    )
    assert found.figures[0][0] < 0.5 * found.figures[1][0], "less than half the delay"
    assert found.figures[0][1] < found.figures[1][1], "and less CO2"
    assert west.green > north.green, "the full road gets more green"
    assert problems_of(found.plan, limits.least, limits.cycle) == []
    assert found.evaluations <= 30
    costs = [cost for _, cost in found.history]
    assert costs == sorted(costs, reverse=True)
    assert told[-1][:2] == (30, 30)


def test_the_same_seed_finds_the_same_plan(bad, tmp_path):
    routes = flows(tmp_path / "a.rou.xml", *WE_NS, end=120)
    plan, limits = limits_of(bad)
    flow = critical_flows(plan, read_movements(bad), [routes])
    one, two = (
        search(bad, [routes], plan, limits, Setting(evaluations=24, draws=1, seed=5), flows=flow)
        for _ in range(2)
    )
    assert one == two


def test_webster_splits_are_tried_as_a_start(bad, tmp_path):
    routes = flows(tmp_path / "a.rou.xml", *WE_NS, end=120)
    plan, limits = limits_of(bad)
    blind = search(bad, [routes], plan, limits, Setting(evaluations=12, draws=1))
    seeing = search(bad, [routes], plan, limits, Setting(evaluations=12, draws=1), flows={"t": (1.0, 5.0)})
    assert seeing.cost < blind.cost


def test_two_processes_find_what_one_finds(bad, tmp_path):
    routes = flows(tmp_path / "a.rou.xml", *WE_NS, end=60)
    plan, limits = limits_of(bad)
    one, two = (
        search(bad, [routes], plan, limits, Setting(evaluations=8, draws=1, workers=workers))
        for workers in (1, 2)
    )
    assert one == two


def test_without_the_library_of_the_strategy_the_extra_is_named(bad, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cma", None)
    plan, limits = limits_of(bad)
    with pytest.raises(MissingExtraError, match="traffic"):
        search(
            bad,
            [flows(tmp_path / "a.rou.xml", *WE_NS, end=60)],
            plan,
            limits,
            Setting(evaluations=8, draws=1),
        )


def test_an_interrupted_search_keeps_its_best(bad, tmp_path):
    routes = flows(tmp_path / "a.rou.xml", *WE_NS, end=120)
    plan, limits = limits_of(bad)

    def stop(spent, allowed, share):
        if spent > 20:
            raise KeyboardInterrupt

    found = search(bad, [routes], plan, limits, Setting(evaluations=400, draws=1), progress=stop)
    assert found.interrupted
    assert found.evaluations < 60
    assert found.cost < found.installed_cost
    assert problems_of(found.plan, limits.least, limits.cycle) == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"evaluations": 2}, "evaluations"),
        ({"draws": 0}, "draws"),
        ({"workers": 0}, "workers"),
        ({"co2_weight": -1.0}, "co2_weight"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(bad, tmp_path, words, name):
    plan, limits = limits_of(bad)
    with pytest.raises(RequestError) as refused:
        search(bad, [flows(tmp_path / "a.rou.xml", *WE_NS)], plan, limits, Setting(**words))
    assert refused.value.problem.data["name"] == name
