"""Exchanges on arrays: against scipy and `Network`, against laws of any exchange, and with input that makes no sense."""

import tracemalloc
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.exchanges import drawn, network, scipy_worth, with_quality, with_units

from mangrove.errors import RequestError
from mangrove.network.exchange import (
    Exchanges,
    Units,
    _Built,
    design,
    exchange_lp,
    treatment_cost,
    without,
    worth,
)
from mangrove.network.exchange_problem import checked
from mangrove.network.parts import Pieces

seeds = st.integers(0, 10_000)
few = settings(max_examples=15, deadline=None)


def variants(seed):
    """One problem in every kind: months, quality, shares, capacities, stores, units."""
    rng = np.random.default_rng(seed)
    plain = drawn(seed)
    months = drawn(seed, steps=3)
    return {
        "plain": plain,
        "months": months,
        "quality": with_quality(months, seed),
        "share": drawn(seed, links=20, most_share=0.6),
        "capacity": replace(plain, capacity=rng.uniform(0, 4, 12)),
        "store": replace(months, supply_store=rng.uniform(0, 9, 5), demand_store=rng.uniform(0, 9, 4)),
        "units": with_units(with_quality(months, seed), seed),
    }


# --- the same optimum by three ways --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", variants(0))
@pytest.mark.parametrize("seed", range(6))
def test_the_worth_is_that_of_scipy(kind, seed):
    problem = variants(seed)[kind]
    assert exchange_lp(problem).worth == pytest.approx(scipy_worth(problem), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("kind", ["plain", "months", "quality", "share", "capacity", "store"])
@pytest.mark.parametrize("seed", range(6))
def test_a_network_of_the_same_exchanges_has_the_same_worth(kind, seed):
    problem = variants(seed)[kind]
    net, _, _ = network(problem)
    assert exchange_lp(problem).worth == pytest.approx(-net.solve().cost, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("seed", range(8))
def test_a_small_design_is_the_optimum_of_scipys_search(seed):
    rng = np.random.default_rng(seed)
    problem = replace(drawn(seed, steps=2), fixed=rng.uniform(0, 15, 12))
    best = scipy_worth(problem, whole=True)
    found = design(problem, gap=1e-6)
    assert found.worth == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert found.bound >= best - 1e-6
    assert found.gap < 2e-4
    net, _, handle = network(problem, fixed=True)
    plan = net.solve(gap=1e-6)
    assert -plan.cost == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert -plan.bound >= best - 1e-6
    assert plan.costs().get("having it", 0.0) == pytest.approx(problem.fixed[plan.opened(handle)].sum())


@pytest.mark.parametrize("seed", range(1, 3))
def test_lots_and_treatment_units_are_chosen_as_scipys_search_does(seed):
    rng = np.random.default_rng(seed)
    problem = with_units(with_quality(drawn(seed, steps=2), seed), seed)
    count = len(problem.start)
    problem = replace(problem, fixed=rng.uniform(0, 4, count), lot=rng.uniform(0, 4, count))
    found = design(problem, gap=1e-6)
    assert found.worth == pytest.approx(scipy_worth(problem, whole=True), rel=1e-5, abs=1e-5)
    carried = found.amount > 1e-6
    assert (
        found.amount[carried] >= np.broadcast_to(problem.lot[:, None], carried.shape)[carried] - 1e-6
    ).all()


def test_months_without_stores_are_planned_apart():
    problem = drawn(3, steps=4)
    each = [
        replace(problem, supply=problem.supply[:, t], demand=problem.demand[:, t], value=problem.value[:, t])
        for t in range(4)
    ]
    assert exchange_lp(problem).worth == pytest.approx(sum(exchange_lp(one).worth for one in each))


def test_what_waits_in_a_store_comes_back_in_a_later_month():
    # 6 t in January, wanted 2 t a month: with room for 4 t all of it is worth 5 a t, less 1 a t and month of waiting
    problem = Exchanges(
        supply=[[6.0, 0.0, 0.0]], demand=[[2.0, 2.0, 2.0]], start=[0], end=[0], value=[5.0], supply_store=4.0, store_cost=1.0
    )  # fmt: skip
    plan = exchange_lp(problem)
    assert plan.amount.tolist() == [[2.0, 2.0, 2.0]]
    assert plan.supply_stored.tolist() == [[4.0, 2.0, 0.0]]
    assert plan.worth == pytest.approx(30.0 - 6.0)


def test_dirty_water_reaches_a_clean_user_only_through_treatment():
    problem = Exchanges(
        supply=[10.0], demand=[4.0], start=[0, 0, 1], end=[0, 1, 0], value=[3.0, 0.0, 3.0], content=[[100.0]],
        limit=[[20.0]],
        units=Units(capacity=[8.0], cost=treatment_cost(0.5, 2.0, price=0.25), fixed=[2.0], recovery=0.8, content=[[10.0]]),
    )  # fmt: skip
    plan = design(problem)
    assert plan.amount[:, 0].tolist() == pytest.approx(
        [1 / 9 * 4, 32 / 9 / 0.8, 32 / 9]
    )  # 100 x + 10 (4 - x) = 20 * 4
    assert plan.worth == pytest.approx(3.0 * 4 - 32 / 9 / 0.8 - 2.0)
    assert plan.built.tolist() == [True]


def test_a_least_content_holds_for_the_mixture():
    problem = Exchanges(
        supply=[5.0, 5.0], demand=[9.0], start=[0, 1], end=[0, 0], value=[1.0, 1.0], content=[[8.0], [16.0]], limit=[[13.0]],
        sense=[">="],
    )  # fmt: skip
    assert exchange_lp(problem).amount[:, 0].tolist() == pytest.approx([3.0, 5.0])  # 5 (16 - 13) = x (13 - 8)


# --- prices ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["plain", "quality", "share"])
def test_no_group_of_members_gets_more_alone_than_its_prices_give(kind, seed):
    problem = drawn(seed, gives=3, takes=3, links=9, most_share=0.6 if kind == "share" else None)
    problem = with_quality(problem, seed) if kind == "quality" else problem
    plan = exchange_lp(problem)
    gain = np.r_[plan.supply_price * problem.supply, plan.demand_price * problem.demand][:, 0]
    assert gain.sum() == pytest.approx(plan.worth, rel=1e-7)
    for group in chain.from_iterable(combinations(range(6), size) for size in range(2, 6)):
        inside = np.isin(np.arange(6), group)
        alone = replace(
            problem, supply=problem.supply * inside[:3, None], demand=problem.demand * inside[3:, None]
        )
        assert exchange_lp(alone).worth <= gain[inside].sum() + 1e-6


def test_a_price_is_what_one_more_unit_is_worth():
    problem = variants(4)["quality"]
    plan = exchange_lp(problem)
    more = problem.supply.copy()
    more[2, 1] += 1e-4
    gained = exchange_lp(replace(problem, supply=more)).worth - plan.worth
    assert gained / 1e-4 == pytest.approx(plan.supply_price[2, 1], abs=1e-5)


# --- who is missed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "quality", "store", "units"])
def test_the_loss_of_a_partner_is_that_of_a_plan_made_without_him(kind):
    problem = variants(7)[kind]
    plan = exchange_lp(problem)
    for side, name in (("supply", "suppliers"), ("demand", "demands")):
        amount = getattr(problem, side)
        found = without(problem, plan, **{name: np.arange(len(amount))})
        for k in range(len(amount)):
            rest = amount.copy()
            rest[k] = 0.0
            cold = exchange_lp(replace(problem, **{side: rest})).worth
            assert found[k] == pytest.approx(plan.worth - cold, abs=1e-7)


def test_a_member_takes_his_supplies_and_demands_with_him():
    problem = drawn(2)
    plan = exchange_lp(problem)
    supply, demand = problem.supply.copy(), problem.demand.copy()
    supply[[0, 3]] = 0.0
    demand[1] = 0.0
    left = exchange_lp(replace(problem, supply=supply, demand=demand)).worth
    found = without(problem, plan, members=[([0, 3], [1]), ([], [])])
    assert found == pytest.approx([plan.worth - left, 0.0])


def test_after_a_design_the_rest_keeps_to_the_links_that_were_opened():
    problem = Exchanges(
        supply=[4.0, 4.0], demand=[4.0], start=[0, 1], end=[0, 0], value=[3.0, 2.0], fixed=[1.0, 1.0]
    )
    plan = design(problem)
    assert plan.opened.tolist() == [True, False]
    assert without(problem, plan, suppliers=[0, 1]) == pytest.approx([12.0, 0.0])
    free = replace(problem, fixed=0.0)
    assert without(free, exchange_lp(free), suppliers=[0]) == pytest.approx([4.0])


# --- laws -----------------------------------------------------------------------------------------------------------------


@few
@given(seed=seeds)
def test_nobody_gives_more_than_he_has_or_gets_more_than_he_takes(seed):
    problem = variants(seed)["units"]
    plan = exchange_lp(problem)
    for side, at, amount in (("start", problem.start, problem.supply), ("end", problem.end, problem.demand)):
        total = np.zeros((len(amount) + 2, 3))
        np.add.at(total, at, plan.amount)
        assert (total[: len(amount)] <= amount + 1e-7).all(), side
        through = plan.treated if side == "end" else plan.treated * np.array([[0.9], [0.7]])
        assert (total[len(amount) :] <= through + 1e-7).all(), side


@few
@given(seed=seeds, who=st.integers(0, 4))
def test_to_lose_a_supplier_never_helps(seed, who):
    problem = with_quality(drawn(seed), seed)
    assert without(problem, exchange_lp(problem), suppliers=[who])[0] >= 0.0
    rest = problem.supply.copy()
    rest[who] = 0.0
    assert exchange_lp(replace(problem, supply=rest)).worth <= exchange_lp(problem).worth + 1e-7


@few
@given(seed=seeds, value=st.floats(-5, 5))
def test_one_more_link_never_hurts(seed, value):
    problem = with_quality(drawn(seed), seed)
    more = replace(
        problem,
        start=np.r_[problem.start, seed % 5],
        end=np.r_[problem.end, seed % 4],
        value=np.r_[problem.value, [[value]]],
    )
    assert exchange_lp(more).worth >= exchange_lp(problem).worth - 1e-7


@few
@given(seed=seeds, scale=st.floats(0, 20))
def test_a_design_lies_between_nothing_and_its_bound_and_that_below_the_program_without_fixed_costs(
    seed, scale
):
    rng = np.random.default_rng(seed)
    problem = replace(drawn(seed, steps=2), fixed=scale * rng.uniform(0, 1, 12))
    plan = design(problem)
    used = plan.amount.sum(axis=1) > 1e-6
    assert plan.worth == pytest.approx(
        (problem.value * plan.amount).sum() - problem.fixed[used].sum(), abs=1e-5
    )
    assert -1e-7 <= plan.worth <= plan.bound + 1e-7
    assert plan.bound <= exchange_lp(problem).worth + 1e-6
    assert plan.gap == pytest.approx(
        (plan.bound - plan.worth) / plan.bound if plan.bound > 1e-9 else 0.0, abs=1e-6
    )


@few
@given(seed=seeds)
def test_two_parks_that_do_not_touch_are_worth_the_sum_of_both(seed):
    one, other = drawn(seed), drawn(seed + 1)
    both = Exchanges(
        supply=np.r_[one.supply, other.supply], demand=np.r_[one.demand, other.demand],
        start=np.r_[one.start, other.start + 5], end=np.r_[one.end, other.end + 4], value=np.r_[one.value, other.value],
    )  # fmt: skip
    assert exchange_lp(both).worth == pytest.approx(exchange_lp(one).worth + exchange_lp(other).worth)


# --- large components are searched by slopes --------------------------------------------------------------------------------


def test_a_design_too_large_to_search_whole_still_states_a_true_bound():
    rng = np.random.default_rng(5)
    problem = drawn(5, gives=40, takes=40, links=800, fixed=rng.uniform(0, 12, 800))
    slopes = design(problem, gap=1.0, time_limit=None)
    searched = design(problem, gap=0.0, time_limit=2.0)
    assert slopes.worth <= searched.worth + 1e-7 <= min(slopes.bound, searched.bound) + 1e-6
    assert slopes.gap < 0.15


# --- input that makes no sense ------------------------------------------------------------------------------------------------


def test_without_links_nothing_is_exchanged():
    none = Exchanges(supply=[1.0, 2.0], demand=[3.0], start=[], end=[], value=[])
    for plan in (exchange_lp(none), design(none)):
        assert plan.worth == plan.bound == plan.gap == 0.0
        assert plan.amount.shape == (0, 1)
        assert without(none, plan, suppliers=[0, 1]).tolist() == [0.0, 0.0]


def test_supplies_of_zero_and_links_that_only_cost_carry_nothing():
    plan = design(
        Exchanges(supply=[0.0, 5.0], demand=[3.0], start=[0, 1], end=[0, 0], value=[2.0, -1.0], fixed=1.0)
    )
    assert plan.amount.tolist() == [[0.0], [0.0]]
    assert not plan.opened.any()
    assert plan.worth == 0.0


def test_endless_demand_is_fine_where_the_supply_has_an_end():
    plan = exchange_lp(Exchanges(supply=[5.0], demand=[np.inf], start=[0], end=[0], value=[2.0]))
    assert plan.worth == 10.0


GOOD = {"supply": [1.0, 2.0], "demand": [3.0], "start": [0, 1], "end": [0, 0], "value": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"supply": [1.0, -2.0]}, "network.negative", {"what": "supply", "first": 1, "value": -2.0}),
        ({"supply": [1.0, np.nan]}, "network.not_a_number", {"what": "supply", "first": 1}),
        ({"demand": ["much"]}, "network.not_a_number", {"what": "demand"}),
        ({"value": [1.0, np.inf]}, "network.not_a_number", {"what": "value", "first": 1}),
        ({"value": [1.0, 2.0, 3.0]}, "network.bad_shape", {"what": "value", "wanted": "2 x 1"}),
        ({"start": [0, 2]}, "network.bad_index", {"what": "start", "first": 1, "value": 2.0, "most": 1}),
        ({"end": [0, 0.5]}, "network.bad_index", {"what": "end", "first": 1}),
        ({"end": [0]}, "network.bad_shape", {"what": "end", "got": "1", "wanted": "2"}),
        ({"capacity": [-1.0, 1.0]}, "network.negative", {"what": "capacity", "first": 0}),
        ({"fixed": [np.inf, 1.0]}, "network.not_a_number", {"what": "fixed"}),
        ({"lot": -1.0}, "network.negative", {"what": "lot"}),
        ({"content": [[1.0], [-1.0]], "limit": [[2.0]]}, "network.negative", {"what": "content", "first": 1}),
        ({"content": [[1.0], [np.nan]], "limit": [[2.0]]}, "network.not_a_number", {"what": "content"}),
        ({"content": [[1.0], [1.0]]}, "network.no_quality", {"what": "limit"}),
        (
            {"content": [[1.0], [1.0]], "limit": [[2.0]], "units": Units(capacity=[1.0])},
            "network.no_quality",
            {"what": "unit content"},
        ),
        ({"content": [[1.0], [1.0]], "limit": [[2.0]], "sense": ["<"]}, "network.unknown_sense", {"text": "<"}),
        ({"most_share": 1.5}, "network.share_range", {"what": "most_share", "value": 1.5}),
        ({"most_share": np.nan}, "network.not_a_number", {"what": "most_share"}),
        ({"supply": [1.0, np.inf], "demand": [np.inf]}, "network.endless", {"first": 1, "start": 1, "end": 0}),
        ({"units": Units(capacity=[1.0], recovery=1.2)}, "network.share_range", {"what": "recovery"}),
        (
            {"units": Units(capacity=[1.0]), "start": [0, 2], "end": [0, 1]},
            "network.unit_to_unit",
            {"first": 1},
        ),
    ],
)  # fmt: skip
def test_bad_numbers_are_named_with_their_place(change, code, place):
    for verb in (exchange_lp, design):
        with pytest.raises(RequestError) as error:
            verb(Exchanges(**{**GOOD, **change}))
        assert error.value.code == code
        assert error.value.problem.data.items() >= place.items()
        assert all(error.value.problem.text(lang) for lang in ("en", "vi"))


def test_a_partner_who_does_not_exist_cannot_be_taken_out():
    problem = Exchanges(**GOOD)
    with pytest.raises(RequestError) as error:
        without(problem, exchange_lp(problem), suppliers=[2])
    assert error.value.code == "network.bad_index"


def test_a_plan_of_another_problem_is_refused():
    with pytest.raises(RequestError) as error:
        without(drawn(1), exchange_lp(Exchanges(**GOOD)), suppliers=[0])
    assert error.value.code == "network.bad_shape"


def test_a_gap_or_time_that_is_no_number_is_refused():
    for what in ("gap", "time_limit"):
        with pytest.raises(RequestError) as error:
            design(Exchanges(**GOOD), **{what: float("nan")})
        assert error.value.code == "network.bad_limit"


def test_a_hundred_thousand_links_need_less_than_100_mb_of_arrays():
    rng = np.random.default_rng(1)
    n = 10_000
    problem = Exchanges(
        supply=rng.lognormal(4, 1, n), demand=rng.lognormal(4, 1, n), start=np.repeat(np.arange(n), 10),
        end=(np.repeat(np.arange(n), 10) + rng.integers(0, 40, 10 * n)) % n, value=rng.uniform(1, 5, 10 * n),
    )  # fmt: skip
    tracemalloc.start()
    pieces = Pieces(_Built(checked(problem)).lp)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pieces.lp.cost) == 100_000
    assert most < 100e6


def test_the_worth_of_a_link_is_what_both_sides_avoid_less_transport_and_carbon():
    assert worth(30.0, 12.0, transport_cost_per_tkm=0.15, distance=[10.0, 100.0], carbon_price=0.05, delta_co2=40.0) == (
        pytest.approx([30 + 12 - 1.5 - 2, 30 + 12 - 15 - 2])
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_units_that_cost_by_their_size_are_the_best_of_all_subsets(seed):
    rng = np.random.default_rng(seed)
    problem = with_units(with_quality(drawn(seed, steps=3), seed), seed)
    sized = rng.uniform(0.2, 2.0, 2)
    problem = replace(problem, units=replace(problem.units, size_cost=sized))
    found = design(problem, gap=1e-7)
    worths = []
    for some in chain.from_iterable(combinations(range(2), size) for size in range(3)):
        room = np.where(np.isin([0, 1], some), problem.units.capacity, 0.0)
        alone = exchange_lp(replace(problem, units=replace(problem.units, capacity=room)))
        worths.append(alone.worth - float(np.sum(problem.units.fixed[list(some)])))
        spent = float(alone.size @ sized)
        assert alone.worth + spent == pytest.approx(
            float((alone.amount * problem.value).sum() - (alone.treated * problem.units.cost[:, None]).sum()),
            rel=1e-7,
        )
        assert alone.size == pytest.approx(alone.treated.max(axis=1), abs=1e-7)
    assert found.worth == pytest.approx(max(worths), rel=1e-6, abs=1e-6)
    assert found.bound >= max(worths) - 1e-5
