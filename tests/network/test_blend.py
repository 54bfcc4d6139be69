"""Quality, shares and fixed costs of a network: published water targets, closed forms, and input that makes no sense."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network, bounds

HOUR = Horizon.regular(1, 1.0)


def reuse(sources, sinks):
    """Water of sources (t/h, ppm) to sinks (t/h, ppm at most); fresh water costs 1; returns the least fresh water."""
    net = Network(HOUR)
    flow, content = np.array(sources).T
    need, limit = np.array(sinks).T
    have = net.node([f"source {i}" for i in range(len(flow))])
    take = net.node([f"sink {j}" for j in range(len(need))])
    well = net.node("well")
    net.source("out", have, upper=flow[:, None, None])
    net.source("fresh", well, cost=1.0)
    net.sink("need", take, amount=need[:, None, None], tier=None)
    i, j = (part.ravel() for part in np.indices((len(flow), len(need))))
    pipes = net.link("pipe", have[i], take[j])
    clean = net.link("clean", well[[0] * len(need)], take)
    net.blend("ppm", take, [(pipes, content[i][:, None]), (clean, 0.0)], limit[:, None])
    return net.solve().cost


PP00 = ([(50, 50), (100, 100), (70, 150), (60, 250)], [(50, 20), (100, 50), (80, 100), (70, 200)])
SB99 = (
    [(120, 100), (80, 140), (140, 180), (80, 230), (195, 250)],
    [(120, 0), (80, 50), (80, 50), (140, 140), (80, 170), (195, 240)],
)
A = (
    [(20, 100), (66.67, 80), (100, 100), (41.67, 800), (10, 800)],
    [(20, 0), (66.67, 50), (100, 50), (41.67, 80), (10, 400)],
)
B = (
    [(20, 100), (66.67, 80), (15.63, 400), (42.86, 800), (6.67, 1000)],
    [(20, 0), (66.67, 50), (15.63, 80), (42.86, 100), (6.67, 400)],
)
C = (
    [(20, 100), (80, 50), (50, 125), (40, 800), (300, 150)],
    [(20, 0), (80, 25), (50, 25), (40, 50), (300, 100)],
)


@pytest.mark.parametrize(
    ("case", "fresh"),
    [
        (PP00, 70.0),  # Polley and Polley 2000
        (SB99, 200.0),  # Sorin and Bédard 1999
        (A, 98.335),  # Olesen and Polley 1996; Chew et al. 2008: three plants alone and together
        (B, 54.649),
        (C, 186.667),
        ((A[0] + B[0] + C[0], A[1] + B[1] + C[1]), 314.361),
    ],
)
def test_the_least_fresh_water_is_the_published_one(case, fresh):
    assert reuse(*case) == pytest.approx(fresh, rel=1e-4)


def mixing(limit, sense="<=", content=((9.0, 1.0), (1.0, 5.0))):
    """Two sources of up to 10, worth 2 and 1 a unit at one sink."""
    net = Network(HOUR)
    works, use = net.node(["w1", "w2"]), net.node("use")
    net.source("out", works, upper=10.0)
    ways = net.link("way", works, use, cost=np.array([-2.0, -1.0])[:, None, None])
    net.sink("take", use)
    condition = net.blend("quality", use, [(ways, content)], limit, sense)
    return net, ways, condition


def test_several_contaminants_hold_at_once():
    net, ways, _ = mixing([[5.0, 4.0]])
    x = net.solve()[ways][:, 0]
    assert x == pytest.approx([10.0, 10.0])  # (9 + 1) / 2 = 5, (1 + 5) / 2 = 3
    net, ways, _ = mixing([[3.0, 4.0]])
    x = net.solve()[ways][:, 0]
    assert x == pytest.approx([10 / 3, 10.0])  # x1 (9 - 3) = 10 (3 - 1)
    net, ways, _ = mixing([[np.inf, 2.0]])
    x = net.solve()[ways][:, 0]
    assert x == pytest.approx([10.0, 10 / 3])  # x2 (5 - 2) = 10 (2 - 1)


def test_at_least_and_at_most_stand_side_by_side():
    net, ways, _ = mixing([[5.0, 4.0]], ["<=", ">="])
    x = net.solve()[ways][:, 0]
    assert x == pytest.approx([10 / 3, 10.0])  # x2 (5 - 4) = x1 (4 - 1)


def test_a_limit_that_binds_has_a_shadow_price():
    net, _, _ = mixing([[3.0, 4.0]])
    assert {shadow.kind for shadow in net.solve().shadows()} >= {"blend"}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_mixture_keeps_the_limit_in_every_step_and_scenario(seed):
    rng = np.random.default_rng(seed)
    net = Network(Horizon.regular(3, 0.5), probabilities=(0.4, 0.6))
    works, use = net.node([f"w{i}" for i in range(4)]), net.node(["u0", "u1"])
    net.source("out", works, upper=rng.uniform(1, 5, (4, 2, 3)))
    content, limit = rng.uniform(0, 10, (8, 2)), rng.uniform(2, 8, (2, 2))
    start, end = np.repeat(np.arange(4), 2), np.tile([0, 1], 4)
    ways = net.link("way", works[start], use[end], loss=0.2, cost=-rng.uniform(0, 2, (8, 2, 3)))
    net.sink("take", use, upper=6.0)
    net.blend("quality", use, [(ways, content)], limit)
    net.share("share", use, [ways], 0.7)
    rate = net.solve().rate(ways)
    for j in range(2):
        mine = end == j
        total = rate[mine].sum(axis=0)
        mass = np.einsum("ast,aq->qst", rate[mine], content[mine])
        assert (mass <= limit[j][:, None, None] * total + 1e-6).all()
        assert (rate[mine] <= 0.7 * total + 1e-6).all()


def test_two_links_from_one_origin_count_together_for_its_share():
    net = Network(HOUR)
    works, use = net.node(["w1", "w2"]), net.node("use")
    net.source("out", works, upper=10.0)
    rail = net.link("rail", works[0], use, cost=-3.0, capacity=4.0)
    road = net.link("road", works, use, cost=np.array([-2.0, -1.0])[:, None, None])
    net.sink("take", use, upper=8.0)
    net.share("half", use, [rail, road], 0.5)
    plan = net.solve()
    assert (float(plan[rail][0]), *plan[road][:, 0]) == pytest.approx((4.0, 0.0, 4.0))


# --- fixed costs ------------------------------------------------------------------------------------------------------------


def pipes(cost, **more):
    """Two works, (3, 5) and (2, 2) t/h in two hours, to one user of 4 t/h, who saves 30 a t; each pipe costs once."""
    net = Network(Horizon.regular(2, 1.0))
    works, use = net.node(["a1", "a2"], owner=["one", "two"]), net.node("use", owner="user")
    net.source("out", works, upper=[[3.0, 5.0], [2.0, 2.0]])
    ways = net.link("pipe", works, use)
    net.sink("take", use, upper=4.0, cost=-30.0)
    return net, ways, net.fixed("laying", ways, cost, **more)


def test_a_pipe_is_laid_only_when_it_earns_its_cost():
    net, ways, laying = pipes([50.0, 60.0])
    plan = net.solve()
    assert plan.opened(laying).tolist() == [True, False]  # the second would add 1 t: 30 for 60
    assert plan.cost == pytest.approx(50.0 - 30.0 * 7.0)
    assert plan.costs() == pytest.approx({"take": -210.0, "laying": 50.0})
    assert sum(plan.shares().values()) == pytest.approx(plan.cost)
    assert (plan.bound, plan.gap, plan.status) == (
        pytest.approx(plan.cost),
        pytest.approx(0.0, abs=1e-4),
        "optimal",
    )
    net.update(laying, cost=[50.0, 1.0])
    plan = net.solve()
    assert plan.opened(laying).tolist() == [True, True]
    assert plan[ways].sum() == pytest.approx(8.0)


def test_a_demand_that_must_be_met_opens_what_it_needs():
    net = Network(HOUR)
    works, use = net.node(["a1", "a2"]), net.node("use")
    net.source("out", works, upper=[[3.0], [9.0]])
    ways = net.link("pipe", works, use, cost=np.array([0.0, 1.0])[:, None, None])
    net.sink("need", use, amount=5.0)
    laying = net.fixed("laying", ways, [10.0, 20.0])
    plan = net.solve()
    assert plan.opened(laying).tolist() == [False, True]  # 20 + 5; both would cost 30 + 2
    assert plan.cost == pytest.approx(25.0)
    assert plan.bound <= plan.cost
    assert not plan.relaxed


def test_what_gives_way_is_found_before_anything_is_opened():
    net = Network(HOUR)
    works, use = net.node("a"), net.node("use")
    net.source("out", works, upper=3.0)
    ways = net.link("pipe", works, use)
    need = net.sink("need", use, amount=5.0)
    laying = net.fixed("laying", ways, 7.0)
    plan = net.solve()
    assert plan.shortfall(need).sum() == pytest.approx(2.0)
    assert plan.opened(laying).all()
    assert plan.cost == pytest.approx(7.0)


def test_one_opening_serves_all_scenarios_and_steps():
    net = Network(Horizon.regular(2, 1.0), probabilities=(0.5, 0.5), here_and_now=1)
    bus = net.node("bus")
    unit = net.converter("unit", [(bus, 1.0)], upper=4.0, cost=1.0)
    net.source("grid", bus, cost=5.0)
    net.sink("need", bus, amount=[[2.0, 3.0], [2.0, 4.0]])
    build = net.fixed("build", unit, 15.0)
    plan = net.solve()
    assert plan.opened(build).tolist() == [True]
    assert plan.cost == pytest.approx(15.0 + 2.0 + 0.5 * 3.0 + 0.5 * 4.0)  # the grid would cost 27.5
    assert plan.bound <= plan.cost + 1e-9
    net.update(build, cost=23.0)
    plan = net.solve()
    assert (plan.opened(build).tolist(), plan.cost) == ([False], pytest.approx(27.5))


def test_a_plan_without_fixed_costs_is_its_own_bound():
    net, _, _ = mixing([[3.0, 4.0]])
    plan = net.solve()
    assert (plan.bound, plan.gap) == (plan.cost, 0.0)


def test_a_plan_with_a_minimum_has_the_bound_of_its_search():
    net = Network(HOUR)
    bus = net.node("bus")
    engine = net.source("engine", bus, cost=1.0, upper=10.0)
    net.source("grid", bus, cost=3.0)
    net.sink("load", bus, amount=2.0)
    net.sink("dump", bus, cost=1.0)
    net.minimum(engine, 4.0)
    plan = net.solve()
    assert plan.cost == pytest.approx(6.0)  # 6 from the grid, or 4 + 2 dumped
    assert 2.0 - 1e-9 <= plan.bound <= plan.cost


def test_bounds_pass_along_a_chain_of_losses():
    net = Network(HOUR)
    a, b, c = net.node("a"), net.node("b"), net.node("c")
    net.source("in", a, upper=8.0)
    first, second = net.link("first", a, b, loss=0.5), net.link("second", b, c)
    net.sink("out", c, upper=3.0)
    most = bounds.most(net.program)
    assert (most[first.columns].item(), most[second.columns].item()) == pytest.approx((6.0, 3.0))


# --- input that makes no sense ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "content", "code"),
    [
        ([[5.0, 4.0]], ((9.0, -1.0), (1.0, 5.0)), "network.negative"),
        ([[5.0, 4.0]], ((9.0, np.nan), (1.0, 5.0)), "network.not_a_number"),
        ([[5.0, 4.0]], ((9.0, np.inf), (1.0, 5.0)), "network.not_a_number"),
        ([[-5.0, 4.0]], ((9.0, 1.0), (1.0, 5.0)), "network.negative"),
        ([[5.0, 4.0, 3.0]], ((9.0, 1.0), (1.0, 5.0)), "network.bad_shape"),
        ([[5.0], [4.0]], ((9.0,), (1.0,)), "network.bad_shape"),
        ([[5.0, 4.0]], ((9.0, 1.0), (1.0, 5.0), (1.0, 1.0)), "network.bad_shape"),
        ([[5.0, 4.0]], "dirty", "network.not_a_number"),
    ],
)
def test_bad_contents_and_limits_are_refused_by_name(limit, content, code):
    with pytest.raises(RequestError) as error:
        mixing(limit, content=content)
    assert error.value.code == code
    assert error.value.problem.data["name"] == "quality"


def test_a_stream_that_flows_elsewhere_cannot_be_blended():
    net, _, _ = mixing([[5.0, 4.0]])
    other = net.node("other")
    stray = net.source("stray", other, upper=1.0)
    for wrong in (lambda: net.blend("mix", net.handles["use"], [(stray, 1.0)], 5.0), lambda: net.share("s", other, [net.handles["way"]], 0.5)):  # fmt: skip
        with pytest.raises(RequestError) as error:
            wrong()
        assert error.value.code == "network.not_at_node"


def test_a_stream_of_another_network_is_foreign():
    net, _, _ = mixing([[5.0, 4.0]])
    _, ways, _ = mixing([[5.0, 4.0]])
    for wrong in (
        lambda: net.blend("mix", net.handles["use"], [(ways, 1.0)], 5.0),
        lambda: net.fixed("f", ways, 1.0),
    ):
        with pytest.raises(RequestError) as error:
            wrong()
        assert error.value.code == "network.foreign"


def test_a_fixed_cost_without_a_bound_says_so_and_a_bound_by_hand_helps():
    net = Network(HOUR)
    bus = net.node("bus")
    made = net.source("made", bus, cost=1.0)
    net.sink("sold", bus, cost=0.0)
    net.fixed("license", made, 5.0)
    with pytest.raises(RequestError) as error:
        net.solve()
    assert error.value.code == "network.no_bound"
    net = Network(HOUR)
    bus = net.node("bus")
    made = net.source("made", bus, cost=1.0, upper=8.0)
    net.sink("sold", bus, cost=-2.0)
    licensed = net.fixed("license", made, 5.0, most=6.0)
    plan = net.solve()
    assert plan.opened(licensed).all()
    assert (plan[made].item(), plan.cost, plan.bound) == pytest.approx((6.0, -1.0, -1.0))


@pytest.mark.parametrize(
    ("cost", "most", "code"),
    [
        (-1.0, None, "network.negative"),
        (float("nan"), None, "network.not_a_number"),
        (float("inf"), None, "network.not_a_number"),
        ([1.0, 2.0, 3.0], None, "network.bad_shape"),
        (1.0, -1.0, "network.negative"),
    ],
)
def test_bad_fixed_costs_are_refused(cost, most, code):
    with pytest.raises(RequestError) as error:
        pipes(cost, most=most)
    assert error.value.code == code


def test_a_stream_has_one_fixed_cost_and_one_direction():
    net, ways, _ = pipes(50.0)
    both = net.link("both", *(net.node(name) for name in ("x", "y")))
    net.update(both, lower=-1.0, upper=1.0)
    for stream, code in ((ways, "network.fixed_twice"), (both, "network.two_ways")):
        with pytest.raises(RequestError) as error:
            net.fixed("again", stream, 1.0)
        assert error.value.code == code
        assert all(error.value.problem.text(lang) for lang in ("en", "vi"))


def test_a_share_lies_between_nothing_and_all():
    net, ways, _ = mixing([[5.0, 4.0]])
    with pytest.raises(RequestError) as error:
        net.share("share", net.handles["use"], [ways], 1.5)
    assert error.value.code == "network.share_range"
