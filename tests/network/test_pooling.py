"""Published pooling optima by levels and by SCIP, a search over the pool's content as an independent method, and bounds that hold."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.network.water_cases import adhya, foulds, haverly, pool

from mangrove.errors import InfeasibleError, MissingExtraError, RequestError
from mangrove.network.pooling import Pooling, solve_pooling, true_contents

METHODS = [
    "levels",
    pytest.param(
        "scip", marks=pytest.mark.skipif("not __import__('importlib.util').util.find_spec('pyscipopt')")
    ),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("problem", "profit"),
    [(haverly(), 400), (haverly(x_most=600.0), 600), (haverly(b_cost=13.0), 750), (foulds(), 1100)],
    ids=["haverly 1", "haverly 2", "haverly 3", "foulds 2"],
)
def test_published_profits(problem, profit, method):
    plan = solve_pooling(problem, method=method, gap=1e-5)
    assert plan.cost == pytest.approx(-profit, rel=1e-5)
    assert plan.bound == pytest.approx(-profit, rel=1e-4)
    assert plan.method == method
    obeys(problem, plan.flow)


def test_four_contents_in_two_pools_are_exact_by_scip_and_bounded_by_levels():
    pytest.importorskip("pyscipopt")
    assert solve_pooling(adhya(), method="scip", gap=1e-5).cost == pytest.approx(-549.803, rel=1e-5)
    plan = solve_pooling(adhya(), method="levels", gap=0.2, time_limit=2.0)
    assert plan.bound <= -549.80
    assert plan.cost >= -549.81
    assert plan.gap == pytest.approx((plan.cost - plan.bound) / abs(plan.cost))
    obeys(adhya(), plan.flow)


def obeys(problem, flow):
    """Balances and limits, with contents worked out again by letting water go around many times."""
    i, u = len(problem.supplies), len(problem.units)
    content = np.zeros((u, problem.contents))
    for _ in range(300):
        quality = np.concatenate([problem.content, content])
        for k in range(u):
            into, out = problem.end == k, flow[problem.start == i + k].sum()
            if out > 1e-9:
                load = problem.keep[k] * (flow[into] @ quality[problem.start[into]]) + problem.load[k]
                content[k] = load / out
    quality = np.concatenate([problem.content, content])
    for j in range(len(problem.demands)):
        into = problem.end == u + j
        arriving, load = flow[into].sum(), flow[into] @ quality[problem.start[into]]
        assert (load <= problem.limit[j] * arriving + 1e-4).all()
        assert problem.demand_least[j] - 1e-6 <= arriving <= problem.demand_most[j] + 1e-6
    for k in range(u):
        into, out = problem.end == k, problem.start == i + k
        assert flow[out].sum() == pytest.approx(problem.recovery[k] * flow[into].sum(), abs=1e-6)
    assert true_contents(problem, flow) == pytest.approx(content, abs=1e-6)


def best_over_contents(problem, points=401):
    """The cheapest of many linear programs, one for each content of the only pool; built without the code under test."""
    i, arcs = len(problem.supplies), range(len(problem.start))
    best = np.inf
    for c in np.linspace(problem.content.min(), problem.content.max(), points):
        quality = [*problem.content[:, 0], c]
        less, most, equal = [], [], []
        for j in range(len(problem.demands)):
            less.append(
                [(quality[problem.start[a]] - problem.limit[j, 0]) * (problem.end[a] == 1 + j) for a in arcs]
            )
            most.append(0.0)
            less.append([1.0 * (problem.end[a] == 1 + j) for a in arcs])
            most.append(problem.demand_most[j])
        equal.append([1.0 * (problem.start[a] == i) - 1.0 * (problem.end[a] == 0) for a in arcs])
        equal.append(
            [c * (problem.start[a] == i) - quality[problem.start[a]] * (problem.end[a] == 0) for a in arcs]
        )
        found = linprog(problem.cost, A_ub=less, b_ub=most, A_eq=equal, b_eq=[0.0, 0.0])
        best = min(best, found.fun) if found.success else best
    return best


def test_haverly_by_trying_every_content_of_the_pool():
    assert best_over_contents(haverly()) == pytest.approx(-400.0)


COST, CONTENT = st.integers(1, 20), st.integers(0, 8).map(lambda k: k / 2)


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.tuples(CONTENT, COST), min_size=3, max_size=3),
    st.lists(st.tuples(CONTENT, COST, st.sampled_from([50, 100, 200])), min_size=2, max_size=2),
)
def test_levels_find_what_trying_every_content_finds_and_never_claim_more(supplies, demands):
    problem = pool(supplies, demands, [(0, 1)], direct=[2])
    plan = solve_pooling(problem, method="levels", gap=1e-4, time_limit=10.0)
    tried = best_over_contents(problem, points=101)
    scale = 1e-4 * max(abs(tried), 1.0)
    assert plan.bound <= tried + scale
    assert plan.cost <= tried + scale  # the grid of contents has a step, the plan has none
    obeys(problem, plan.flow)


def two_treatments():
    """Three wastewaters, two contaminants, two treatments of fixed removal ratio that may feed each other, one limit on the discharge."""
    flows, content = [40.0, 40.0, 40.0], [(100.0, 20.0), (15.0, 200.0), (200.0, 1000.0)]
    start, end, cost = [], [], []
    for s in range(5):
        for e in range(3):
            if s - 3 != e:
                start.append(s), end.append(e), cost.append((3.0, 5.0, 0.0)[e])
    return Pooling(
        supplies=("a", "b", "c"), units=("one", "two"), demands=("river",), content=content, supply_least=flows, supply_most=flows,
        limit=[(50.0, 50.0)], keep=[(0.1, 1.0), (0.8, 0.05)], unit_most=240.0, start=start, end=end, cost=cost,
    )  # fmt: skip


def test_treatment_of_removal_ratios_fed_by_mixed_streams_is_the_same_by_levels_and_by_scip():
    pytest.importorskip("pyscipopt")
    exact = solve_pooling(two_treatments(), method="scip", gap=1e-4)
    plan = solve_pooling(two_treatments(), method="levels", gap=2e-2, time_limit=5.0)
    assert plan.bound <= exact.cost * (1 + 1e-4)
    assert exact.bound <= plan.cost * (1 + 1e-4)
    for found in (exact, plan):
        obeys(two_treatments(), found.flow)


def test_a_fixed_cost_opens_one_arc_only():
    problem = Pooling(
        supplies=("a", "b"), demands=("d",), content=[[0.0], [0.0]], limit=[[1.0]], supply_most=[8.0, 8.0], demand_least=[8.0],
        demand_most=[8.0], start=[0, 1], end=[0, 0], cost=[1.0, 0.5], fixed=[1.0, 6.0],
    )  # fmt: skip
    plan = solve_pooling(problem)
    assert plan.cost == pytest.approx(9.0)
    assert plan.opened.tolist() == [True, False]


def test_without_scip_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyscipopt", None)
    with pytest.raises(MissingExtraError) as raised:
        solve_pooling(haverly(), method="scip")
    assert "scip" in raised.value.text()
    monkeypatch.setattr("mangrove.network.pooling.has_scip", lambda: False)
    assert solve_pooling(haverly()).method == "levels"


def test_limits_that_contradict_each_other_are_infeasible_by_every_method():
    problem = pool([(3, 6), (2, 16)], [(1.0, 9, 100)], [(0, 1)], demand_least=[50.0])
    for method in ("levels", "auto"):
        with pytest.raises(InfeasibleError) as raised:
            solve_pooling(problem, method=method)
        assert raised.value.code == "reuse.infeasible"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"content": [[1.0], [-1.0], [0.0]]}, "network.negative"),
        ({"content": [[1.0], [np.nan], [0.0]]}, "network.not_a_number"),
        ({"start": [0, 1, 3, 3, 2, 9]}, "network.bad_shape"),
        ({"unit_most": [1.0, 2.0]}, "network.bad_shape"),
    ],
)
def test_arrays_that_mean_nothing_are_refused(change, code):
    good = haverly()
    rows = {
        name: getattr(good, name)
        for name in ("supplies", "units", "demands", "content", "limit", "start", "end", "cost")
    }
    with pytest.raises(RequestError) as raised:
        Pooling(**(rows | {"unit_most": 300.0, "demand_most": [100.0, 200.0]} | change))
    assert raised.value.code == code


def test_an_open_content_without_an_upper_end_is_named():
    endless = pool([(3, 6), (1, 16)], [(2.5, 9, np.inf)], [(0, 1)], unit_most=np.inf)
    with pytest.raises(RequestError) as raised:
        solve_pooling(endless, method="levels")
    assert raised.value.code == "reuse.unbounded"
    assert "p0" in raised.value.text()
