"""A battery-swap station: packs are conserved, whole packs cost no more than divided ones, two-way pays when prices differ enough."""

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network
from mangrove.network.assets import KINDS, Setting, base
from mangrove.network.assets.swap_station import classes
from mangrove.territory.cells import parameters
from mangrove.territory.model import Asset

STATION = "packs=60 item; bays=20 item; pack_energy=1.6 kWh; charger=400 W; return_level=20 %"


def day_of_swaps(total=90, seed=3):
    """Made up: `total` swaps over 96 quarter hours, twice as likely around 7:00 and 17:30 as at other times of the day."""
    hour = np.arange(96) / 4
    weight = 0.2 + np.exp(-(((hour - 7.0) / 1.2) ** 2)) + 1.3 * np.exp(-(((hour - 17.5) / 1.5) ** 2))
    weight[hour < 5] = 0.02
    return np.random.default_rng(seed).multinomial(total, weight / weight.sum()).astype(float)


def prices(low=1190.0, normal=1833.0, high=3398.0, steps=96):
    """22-110 kV production (Decision 1279/QD-BCT) by the hours of Decision 963/QD-BCT, a working day."""
    hour = np.arange(steps) * 24 / steps
    return np.where(hour < 6, low, np.where((hour >= 17.5) & (hour < 22.5), high, normal))


def station(text=STATION, demand=None, buy=None, sell=None, load=0.0, **more):
    demand = day_of_swaps() if demand is None else demand
    net = Network(Horizon.regular(len(demand), 24 / len(demand)))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=prices()[: len(demand)] if buy is None else buy)
    if sell is not None:
        net.sink("export", bus, cost=-sell)
    net.sink("load", bus, amount=np.full(len(demand), load))
    kind = KINDS["swap_station"]
    values = base.read(Asset("s", "p", "swap_station", parameters(text)), kind)
    setting = Setting(net, lambda place, carrier: bus, "p", series={"demand": demand}, **more)
    return net, grid, kind.build(setting, "s", values), values


@pytest.mark.parametrize(("returns", "gap"), [("return_level=0 %", 1e-6), ("return_level=20 %", 0.01)])
def test_whole_packs_cost_no_more_than_divided_ones(returns, gap):
    text = STATION.replace("return_level=20 %", returns)
    net, _, built, _ = station(text, now={"packs": [6.0] * 4 + [0.0] * 13 + [36.0]})
    plan = net.solve()
    own = built.extra["classes"]
    scale = np.ones(net.program.width)
    whole = np.zeros(net.program.width)
    for role, unit in (("charge", own.up), ("discharge", own.down), ("swaps", 4.0), ("unserved", 4.0)):
        columns = built.streams[role].columns.ravel()
        scale[columns], whole[columns] = unit, 1
    program = net.program
    found = milp(
        program.cost * scale,
        constraints=LinearConstraint(program.matrix() * scale[None, :], program.row_lower, program.row_upper),
        bounds=Bounds(program.lower, program.upper / scale),
        integrality=whole,
        options={"time_limit": 60.0, "mip_rel_gap": 1e-7},
    )
    assert found.status == 0
    assert plan.cost * (1 - 1e-6) <= found.fun <= plan.cost * (1 + gap)
    moved = found.x[built.streams["charge"].columns]
    assert np.abs(moved - np.round(moved)).max() < 1e-6


def test_packs_are_neither_made_nor_lost_and_no_full_pack_leaves_that_is_not_there():
    demand = day_of_swaps()
    net, grid, built, values = station(demand=demand)
    plan = net.solve()
    packs = plan._x[built.extra["packs"]][:, 0]
    assert packs.sum(axis=0) == pytest.approx(np.full(96, 60.0))
    assert packs.min() > -1e-9
    served = plan[built.streams["swaps"]] * 0.25
    assert served == pytest.approx(demand)
    full_before = np.roll(packs[-1], 1)
    assert (served <= full_before + 1e-7).all()
    # energy: what the meter sees x efficiency = what the packs carry away
    own, eta = built.extra["classes"], values["round_trip"] ** 0.5
    level = float(own.returned @ np.arange(own.count)) * own.energy
    metered = plan[grid].sum() * 0.25
    assert metered * eta == pytest.approx(demand.sum() * (1.6 - level), rel=1e-9)
    working = plan.rate(built.streams["charge"]).sum(axis=(0, 1)) / own.up
    assert working.max() <= 20.0 + 1e-7


def test_two_way_pays_as_soon_as_peak_over_off_peak_exceeds_the_losses_and_never_costs_more():
    quiet = np.zeros(24)
    quiet[8] = 20.0
    for ratio, pays in ((1.10, False), (1.15, True), (2.86, True)):  # 1 / round trip = 1.113
        buy = prices(1190.0, 1190.0, 1190.0 * ratio, 24)
        costs = []
        for two_way in ("no", "yes"):
            net, _, built, _ = station(f"{STATION}; two_way={two_way}", quiet, buy=buy, load=30.0)
            plan = net.solve()
            costs.append(plan.cost)
        assert costs[1] <= costs[0] + 1e-6
        given = plan.rate(built.streams["discharge"]).sum()
        assert (given > 1.0) == pays
        assert (costs[0] - costs[1] > 1000.0) == pays


def test_wear_stops_a_discharge_that_would_earn_less():
    quiet = np.zeros(24)
    buy = prices(1190.0, 1190.0, 3398.0, 24)
    worn = f"{STATION}; two_way=yes; replacement=6000000 VND/kWh; cycles=2000"
    net, _, built, values = station(worn, quiet, buy=buy, load=30.0)
    assert values["replacement"] / values["cycles"] == 3000.0
    assert net.solve().rate(built.streams["discharge"]).sum() == pytest.approx(0.0, abs=1e-6)


def test_demand_beyond_the_bays_is_reported_as_swaps_not_served():
    rush = np.zeros(96)
    rush[10:30] = 10.0
    net, _, built, _ = station(demand=rush, start=0.5)
    plan = net.solve()
    relaxed = {one.name: one for one in plan.relaxed}
    assert "s service" in relaxed
    lost = plan[built.streams["unserved"]].sum() * 0.25
    assert relaxed["s service"].amount == pytest.approx(lost, rel=1e-6)
    assert 0 < lost < rush.sum()


@pytest.mark.parametrize("more", ["", "; two_way=yes"])
def test_only_bays_and_what_lies_outside_the_station_are_limits_worth_widening(more):
    rush = np.zeros(96)
    rush[10:30] = 10.0
    for demand in (rush, None):
        net, *_ = station(STATION + more, demand=demand, start=0.5)
        plan = net.solve()
        assert {limit.name for limit in net.limits} == {"grid", "s bays"}
        assert {shadow.name for shadow in plan.shadows()} <= {"grid", "s bays"}
        assert {lost.remedy.name for lost in plan.relaxed if lost.remedy} <= {"s bays"}


def test_the_price_of_a_bay_lies_between_what_one_less_costs_and_one_more_saves():
    costs, worth = {}, 0.0
    for bays in (14, 15, 16):
        net, *_ = station(STATION.replace("bays=20 item", f"bays={bays} item"))
        plan = net.solve()
        assert not plan.relaxed
        costs[bays] = plan.cost
        if bays == 15:
            worth = {shadow.name: shadow.value for shadow in plan.shadows()}["s bays"]
    assert 0 < costs[15] - costs[16] <= worth * (1 + 1e-6)
    assert worth <= (costs[14] - costs[15]) * (1 + 1e-6)


def test_a_service_level_below_all_leaves_the_dear_swaps_out_when_a_lost_swap_is_cheap():
    net, _, built, _ = station(f"{STATION}; service=90 %; lost_swap=100 VND/item")
    plan = net.solve()
    assert plan[built.streams["unserved"]].sum() * 0.25 == pytest.approx(9.0)


def test_the_start_is_kept_and_as_many_full_packs_stand_there_at_the_end():
    count = classes(
        base.read(Asset("s", "p", "swap_station", parameters(STATION)), KINDS["swap_station"]), 0.25
    ).count
    begin = np.zeros(count)
    begin[0], begin[-1] = 25.0, 35.0
    net, _, built, _ = station(now={"packs": begin})
    plan = net.solve()
    assert plan._x[built.extra["packs"]][-1, 0, -1] >= 35.0 - 1e-6
    with pytest.raises(RequestError) as raised:
        station(now={"packs": [1.0, 2.0]})
    assert raised.value.code == "assets.packs"


@pytest.mark.parametrize("hours", [0.25, 0.5, 1.0])
def test_a_pack_has_a_whole_number_of_classes_and_no_bay_draws_more_than_its_charger(hours):
    values = base.read(Asset("s", "p", "swap_station", parameters(STATION)), KINDS["swap_station"])
    own = classes(values, hours)
    assert own.energy * (own.count - 1) == pytest.approx(1.6)
    assert own.up <= 0.4 + 1e-12
    assert own.returned.sum() == pytest.approx(1.0)
    assert own.returned @ np.arange(own.count) == pytest.approx(0.2 * (own.count - 1))
