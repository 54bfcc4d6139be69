"""Published optima, the pinch as an independent method, balances of water and load, plants that share, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.water_cases import (
    OLESEN_POLLEY,
    PLANT_OPTIMA,
    POLLEY,
    SORIN_BEDARD,
    WANG_SMITH,
    flows,
    loads,
    plants,
    refinery,
)

from mangrove.errors import InfeasibleError, MangroveError, RequestError
from mangrove.network.water_pinch import regeneration_target, water_target
from mangrove.network.water_reuse import (
    WASTE,
    Discharge,
    Fresh,
    Operation,
    Pipe,
    Sink,
    Source,
    Treatment,
    WaterProblem,
    no_reuse,
    reuse_water,
    water_game,
)

TIGHT = {"rel": 1e-4}


# --- published optima -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "fresh"), [(WANG_SMITH, 90.0), (OLESEN_POLLEY, 157.142857)])
def test_published_fresh_water_of_fixed_loads(rows, fresh):
    plan = reuse_water(loads(rows))
    assert plan.fresh == pytest.approx(fresh, **TIGHT)
    assert plan.gap == 0
    assert water_target(loads(rows)).fresh == pytest.approx(fresh, **TIGHT)


@pytest.mark.parametrize(("case", "fresh", "waste"), [(POLLEY, 70.0, 50.0), (SORIN_BEDARD, 200.0, 120.0)])
def test_published_fresh_and_waste_water_of_fixed_flows(case, fresh, waste):
    plan, target = reuse_water(flows(*case)), water_target(flows(*case))
    for found in (plan, target):
        assert (found.fresh, found.waste) == (pytest.approx(fresh, **TIGHT), pytest.approx(waste, **TIGHT))


def test_published_pinches():
    assert water_target(loads(WANG_SMITH)).pinch == 100.0
    assert water_target(flows(*POLLEY)).pinch == 150.0


def test_wang_and_smith_without_reuse_with_recycling_and_with_water_treated_once():
    assert no_reuse(loads(WANG_SMITH)) == pytest.approx(112.5, **TIGHT)
    again = reuse_water(loads(WANG_SMITH, treatments=[Treatment("membrane", 5.0)]))
    assert (again.fresh, again.treated["membrane"]) == (
        pytest.approx(20.0, **TIGHT),
        pytest.approx(73.684, **TIGHT),
    )
    once = reuse_water(loads(WANG_SMITH, treatments=[Treatment("membrane", 5.0, once=True)]))
    # all fresh water is treated once: 9 kg/h are due below 100 ppm, F (100 - 0) + F (100 - 5) = 9,000 g/h; printed as 46.2
    assert once.fresh == pytest.approx(9000 / 195, **TIGHT)
    assert once.treated["membrane"] == pytest.approx(9000 / 195, **TIGHT)


@pytest.mark.parametrize("coalition", PLANT_OPTIMA)
def test_every_coalition_of_three_plants_needs_what_is_published(coalition):
    members, value = water_game(plants())
    assert members == ("A", "B", "C")
    assert value(frozenset(coalition)) == pytest.approx(PLANT_OPTIMA[coalition], **TIGHT)


@pytest.mark.parametrize("method", ["levels", "scip"])
def test_the_refinery_with_three_contaminants_needs_what_is_published(method):
    if method == "scip":
        pytest.importorskip("pyscipopt")
    plan = reuse_water(refinery(), method=method, gap=1e-4)
    assert plan.fresh == pytest.approx(105.6, abs=0.05)  # printed with one decimal
    assert plan.no_reuse == pytest.approx(133.0, abs=0.05)
    assert plan.bound <= plan.fresh <= plan.bound * (1 + 1e-4)
    balanced(refinery(), plan)


@pytest.mark.data
def test_every_published_optimum_of_the_file(data_dir):
    cases = json.loads((data_dir / "symbiosis" / "published_optima.json").read_text(encoding="utf-8"))
    for case in cases.values():
        if case.get("type") == "fixed_load":
            made = loads(case["ops_load_kgph_cin_cout_ppm"])
            assert reuse_water(made).fresh == pytest.approx(case["opt_fresh_tph"], **TIGHT)
        elif case.get("type") == "fixed_flow":
            plan = reuse_water(flows(case["sinks_F_C"], case["sources_F_C"]))
            assert plan.fresh == pytest.approx(case["opt_fresh_tph"], **TIGHT)
            assert plan.waste == pytest.approx(case["waste"], **TIGHT)
        elif case.get("type") == "interplant_fixed_flow":
            assert case["opt"] == PLANT_OPTIMA
            for name, rows in case["plants"].items():
                found = reuse_water(flows(rows["sinks"], rows["sources"])).fresh
                assert found == pytest.approx(case["opt"][name], **TIGHT)


# --- laws -----------------------------------------------------------------------------------------------------------------

PPM = st.integers(0, 20).map(lambda k: 25.0 * k)
FLOW = st.integers(1, 200).map(float)
OPERATIONS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 10), st.integers(1, 10)), min_size=1, max_size=6
).map(lambda rows: [(load, 25.0 * inlet, 25.0 * (inlet + rise)) for load, inlet, rise in rows])
SIDES = st.lists(st.tuples(FLOW, PPM), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(OPERATIONS, SIDES, SIDES)
def test_the_program_needs_what_the_pinch_says(rows, sinks, sources):
    fixed = flows(sinks, sources)
    problem = WaterProblem(operations=loads(rows).operations, sinks=fixed.sinks, sources=fixed.sources)
    plan, target = reuse_water(problem), water_target(problem)
    assert plan.fresh == pytest.approx(target.fresh, rel=1e-6, abs=1e-6)
    assert plan.waste == pytest.approx(target.waste, rel=1e-6, abs=1e-5)
    assert plan.fresh <= plan.no_reuse + 1e-6
    balanced(problem, plan)


@settings(max_examples=25, deadline=None)
@given(OPERATIONS, st.sampled_from([5.0, 30.0, 60.0, 120.0]))
def test_treatment_that_water_may_pass_again_needs_what_its_target_says(rows, outlet):
    problem = loads(rows, treatments=[Treatment("t", outlet)])
    plan = reuse_water(problem)
    fresh, treated = regeneration_target(loads(rows), outlet)
    assert plan.fresh == pytest.approx(fresh, rel=1e-6, abs=1e-6)
    assert plan.treated["t"] == pytest.approx(treated, rel=1e-5, abs=1e-4)
    balanced(problem, plan)
    once = reuse_water(loads(rows, treatments=[Treatment("t", outlet, once=True)]))
    assert plan.fresh - 1e-5 <= once.fresh <= water_target(loads(rows)).fresh + 1e-5


def balanced(problem, plan):
    """Water and loads, counted from the matches alone: conserved, and within every limit."""
    into, out = (
        (lambda name: [m for m in plan.matches if m.end == name]),
        (lambda name: [m for m in plan.matches if m.start == name]),
    )

    def sums(matches):
        carried = sum((m.flow * np.array(m.ppm) for m in matches), np.zeros(len(problem.contaminants)))
        return sum(m.flow for m in matches), carried

    for one in problem.operations:
        (came, arrived), (left, carried) = sums(into(one.name)), sums(out(one.name))
        assert came == pytest.approx(left, abs=1e-4)
        assert carried - arrived == pytest.approx(
            np.array(one.load) * 1000.0 + np.zeros_like(arrived), rel=1e-4, abs=1e-2
        )
        assert (arrived <= np.array(one.inlet) * came + 1e-2).all()
        assert (carried <= np.array(one.outlet) * left + 1e-2).all()
    for sink in problem.sinks:
        came, arrived = sums(into(sink.name))
        assert came == pytest.approx(sink.flow, abs=1e-4)
        assert (arrived <= np.array(sink.ppm) * came + 1e-2).all()
    for source in problem.sources:
        assert sums(out(source.name))[0] == pytest.approx(source.flow, abs=1e-4)
    assert sums(into(WASTE))[0] == pytest.approx(plan.waste, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=2, max_size=3))
def test_plants_together_never_need_more_than_apart_and_apart_is_their_sum(rows):
    parts = [flows(*sides, plant=f"plant {k} ") for k, sides in enumerate(rows)]
    problem = WaterProblem(
        sinks=[s for p in parts for s in p.sinks], sources=[s for p in parts for s in p.sources], between=None
    )
    apart = reuse_water(problem).fresh
    _, value = water_game(problem)
    assert apart == pytest.approx(
        sum(value(frozenset([plant])) for plant in problem.plants), rel=1e-6, abs=1e-5
    )
    joint = WaterProblem(sinks=problem.sinks, sources=problem.sources)
    assert reuse_water(joint).fresh <= apart + 1e-5
    assert reuse_water(joint).fresh == pytest.approx(water_target(joint).fresh, rel=1e-6, abs=1e-5)


# --- money, pipes, qualities ----------------------------------------------------------------------------------------------

TWO = {"sinks": [Sink("wash", 10, 50, "a")], "sources": [Source("rinse", 10, 50, "b")]}


def test_a_pipe_is_built_when_it_saves_more_than_it_costs():
    fresh = [Fresh("city", price=2.0)]
    for fixed, cost in ((15.0, 15.0), (25.0, 20.0)):  # ten tonnes of fresh water cost 20
        problem = WaterProblem(**TWO, fresh=fresh, between=Pipe(fixed=fixed))
        plan = reuse_water(problem, objective="cost")
        assert plan.cost == pytest.approx(cost)
        assert plan.value == plan.cost
    plan = reuse_water(WaterProblem(**TWO, fresh=fresh, between=Pipe(cost=0.5, most=4.0)), objective="cost")
    assert plan.cost == pytest.approx(4 * 0.5 + 6 * 2.0)


def test_a_pipe_that_is_named_stands_before_the_rule():
    shut = WaterProblem(**TWO, pipes={("rinse", "wash"): None})
    assert reuse_water(shut).fresh == pytest.approx(10.0)
    open_ = WaterProblem(**TWO, between=None, pipes={("rinse", "wash"): Pipe(most=3.0)})
    assert reuse_water(open_).fresh == pytest.approx(7.0)


def test_the_cheaper_fresh_water_is_taken_as_far_as_it_is_clean_enough():
    fresh = [Fresh("city", 0.0, 3.0), Fresh("river", 20.0, 1.0)]
    plan = reuse_water(
        WaterProblem(sinks=[Sink("clean", 10, 0), Sink("rough", 10, 10)], fresh=fresh), objective="cost"
    )
    # clean water for the first; half and half for the second
    assert plan.by_fresh == {"city": pytest.approx(15.0), "river": pytest.approx(5.0)}
    assert plan.cost == pytest.approx(50.0)


def test_a_charge_on_wastewater_and_electricity_decide_how_much_is_treated():
    def cost(charge, price):
        problem = loads(
            WANG_SMITH, fresh=[Fresh(price=1.0)], discharge=Discharge(charge), electricity_price=price,
            treatments=[Treatment("membrane", 5.0, electricity=1.5)],
        )  # fmt: skip
        return reuse_water(problem, objective="cost")

    dear, cheap = cost(0.0, 10.0), cost(1.0, 0.1)
    assert (dear.fresh, dear.electricity) == (pytest.approx(90.0), 0.0)
    assert cheap.fresh == pytest.approx(20.0)
    assert cheap.electricity == pytest.approx(1.5 * 73.684, rel=1e-4)
    assert cheap.cost == pytest.approx(20.0 + 20.0 + 0.1 * cheap.electricity, rel=1e-6)


@pytest.mark.parametrize("method", ["levels", "scip"])
def test_a_removal_ratio_and_a_limit_on_the_discharge_have_a_closed_form(method):
    if method == "scip":
        pytest.importorskip("pyscipopt")
    problem = WaterProblem(
        sources=[Source("works", 99, 100)], discharge=Discharge(ppm=10.0),
        treatments=[Treatment("lagoon", removal=0.95, price=1.0)],
    )  # fmt: skip
    plan = reuse_water(problem, objective="cost", method=method, gap=1e-5)
    # 99 t/h go out: (99 - x) 100 + 5 x = 99 * 10
    assert plan.treated["lagoon"] == pytest.approx(99 * 90 / 95, rel=1e-4)
    assert plan.outlets["lagoon"] == (pytest.approx(5.0, rel=1e-4),)


def test_treatment_that_rejects_water_gives_back_less():
    problem = WaterProblem(
        sources=[Source("used", 10, 100)],
        sinks=[Sink("wash", 10, 0)],
        treatments=[Treatment("ro", 0.0, recovery=0.75)],
    )
    plan = reuse_water(problem)
    assert (plan.fresh, plan.treated["ro"]) == (pytest.approx(2.5), pytest.approx(10.0))


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: loads([(2, 100, 100)]), "reuse.inlet"),
        (lambda: loads([(2, -1, 100)]), "reuse.range"),
        (lambda: WaterProblem(discharge=Discharge(ppm=-1.0)), "reuse.range"),
        (lambda: loads([(float("nan"), 0, 100)]), "reuse.range"),
        (lambda: WaterProblem(sinks=[Sink("x", float("inf"), 0)]), "reuse.range"),
        (lambda: WaterProblem(sinks=[Sink("x", 1, (0.0, 1.0))]), "reuse.shape"),
        (lambda: WaterProblem(sinks=[Sink("x", 1, 0), Sink("x", 1, 0)]), "network.name_twice"),
        (lambda: WaterProblem(treatments=[Treatment("x", removal=1.2)]), "reuse.range"),
        (lambda: WaterProblem(treatments=[Treatment("x", removal=0.5, once=True)]), "reuse.once"),
        (lambda: reuse_water(loads(WANG_SMITH), objective="mud"), "reuse.unknown_method"),
        (lambda: reuse_water(loads(WANG_SMITH), method="mud"), "reuse.unknown_method"),
        (lambda: water_target(refinery()), "reuse.pinch_single"),
    ],
)
def test_what_means_nothing_is_refused_in_both_languages(make, code):
    with pytest.raises(RequestError) as raised:
        make()
    assert raised.value.code == code
    for lang in ("en", "vi"):
        assert code not in raised.value.text(lang)
        assert "{" not in raised.value.text(lang)


def test_a_need_for_cleaner_water_than_there_is_is_infeasible():
    problem = WaterProblem(sinks=[Sink("boiler", 10, 5)], fresh=[Fresh("river", 20)])
    for find in (reuse_water, water_target):
        with pytest.raises(InfeasibleError) as raised:
            find(problem)
        assert raised.value.code == "reuse.infeasible"
    assert np.isnan(no_reuse(problem))
    assert reuse_water(
        WaterProblem(sinks=problem.sinks, fresh=problem.fresh, treatments=[Treatment("softening", 1.0)])
    ).fresh == pytest.approx(10.0)


def test_nobody_needs_nothing():
    plan = reuse_water(WaterProblem(sources=[Source("s", 3, 50)]))
    assert (plan.fresh, plan.waste, plan.no_reuse) == (0.0, 3.0, 0.0)
    assert [(m.start, m.end, m.flow) for m in plan.matches] == [("s", WASTE, 3.0)]
    assert reuse_water(WaterProblem()).matches == ()
    assert issubclass(RequestError, MangroveError)
    assert Operation("o", 1, 0, 100).plant == ""
