"""Every kind of asset is sized by its own file: optima by hand, the same answer as the lean form, outages, years, studies."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests.plan.worlds import ONE_YEAR, factory, seeded

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network
from mangrove.network.assets import KINDS, Setting, base
from mangrove.network.assets.battery import ROUND_TRIP
from mangrove.plan.finance import Money
from mangrove.plan.placed import LOADS, Placed
from mangrove.plan.problem import Case, Limits, Outage, Size, Supply, battery, pv
from mangrove.plan.report_model import balance_figure, tables
from mangrove.plan.size import size
from mangrove.plan.study import choices, costing, frontier, sensitivity, stacked
from mangrove.territory.cells import parameters
from mangrove.territory.model import Asset

DAY_NIGHT = np.where(np.arange(24) < 12, 1.0, 3.0)
COST = {"kW": "VND/kW", "kWh": "VND/kWh", "kg": "VND/kg", "kg/h": "VND*h/kg", "m3/h": "VND*h/m3"}


def placed(name, kind, text, **series):
    values = base.read(Asset(name, "site", kind, parameters(text)), KINDS[kind])
    return Placed(name, kind, values, series, "site")


def constant(level):
    return np.full(24, float(level))


@pytest.mark.parametrize("seed", range(4))
def test_the_lean_form_and_the_asset_files_have_the_same_optimum(seed):
    _, sun, _ = seeded(14, seed)
    eta = ROUND_TRIP**0.5
    things = (
        pv("roof", sun, cost=16e6, om=2.4e5, life=25.0, most=4000.0, degradation=0.005),
        battery(
            "bank", power=Size(cost=3e6, life=12.0, most=3000.0), energy=Size(cost=4.5e6, life=12.0, most=9000.0),
            efficiency=(eta, eta), floor=0.1,
        ),
    )  # fmt: skip
    lean = factory(14, seed, candidates=things, outages=(Outage(40, 3.0, {"electricity": 0.4}),))
    roof = placed(
        "roof", "pv", "max_capacity=4 MWp; cost=16000000 VND/kW; om=240000 VND/kW/yr; life=25 yr", profile=sun
    )
    bank = placed(
        "bank", "battery",
        "max_energy=9 MWh; max_power=3 MW; cost=4500000 VND/kWh; cost_power=3000000 VND/kW; life=12 yr; floor=10 %",
    )  # fmt: skip
    assets = (replace(roof, degradation=0.005), bank)
    one, other = size(lean, days=4), size(replace(lean, candidates=(), assets=assets), days=4)
    assert other.cost == pytest.approx(one.cost, rel=1e-6)
    assert dict(other.sizes) == pytest.approx(dict(one.sizes), rel=1e-4)
    assert other.preview.cost == pytest.approx(one.preview.cost, rel=1e-6)
    assert other.npv == pytest.approx(one.npv, rel=1e-6)
    assert other.lcoe == pytest.approx(one.lcoe, rel=1e-6)
    assert other.after.emissions == pytest.approx(one.after.emissions, rel=1e-6)
    assert other.survival(0.4, 3).hours.mean() == pytest.approx(one.survival(0.4, 3).hours.mean(), abs=0.05)
    assert other.survival(0.4, 3).hours[40] == 3.0


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_costs_what_a_network_of_the_asset_files_alone_costs(seed):
    load, sun, price = seeded(7, seed)
    terms = SimpleNamespace(
        buy=price, sell=np.full(len(load), 600.0), demand=90000.0, month=np.zeros(len(load), dtype=np.int64), window=1.0
    )  # fmt: skip
    texts = {
        "grid": "capacity=0 kW; max_capacity=5 MW; export=500 kW; cost=40000 VND/kW; life=30 yr",
        "pv": "max_capacity=4 MWp; cost=200000 VND/kW; life=25 yr",
        "battery": "max_energy=9 MWh; c_rate=0.5 1/h; cost=30000 VND/kWh; life=12 yr",
    }
    net = Network(Horizon.regular(len(load), 1.0))
    bus = net.node("electricity")
    net.sink("load", bus, amount=load)
    for kind, text in texts.items():
        setting = Setting(
            net, lambda *_: bus, "site", {"profile": sun}, price=lambda cost, om, _: cost + om, terms=terms
        )
        KINDS[kind].build(setting, kind, base.read(Asset(kind, "site", kind, parameters(text)), KINDS[kind]))
    net.pairs.clear()
    assets = tuple(
        placed(kind, kind, texts[kind], **({"profile": sun} if kind == "pv" else {}))
        for kind in ("pv", "battery")
    )
    years = 8760 / len(load)
    grid = Supply(
        "grid", buy=price / years, sell=terms.sell / years, export=500.0, demand=terms.demand / 12, month=terms.month, window=1.0,
        size=Size(cost=40000.0, life=30.0, most=5000.0),
    )  # fmt: skip
    case = Case({"electricity": load}, (grid,), assets=assets, money=ONE_YEAR)
    assert size(case, days=None).cost == pytest.approx(net.solve().cost, rel=1e-6)


def heating(gas, **more):
    """Heat of 100 kW all day; electricity at 1 by night and 3 by day; a heat pump, a store, a boiler, a CHP unit."""
    assets = (
        placed("pump", "heat_pump", "cop=4; max_capacity=500 kW; cost=400 VND/kW; life=20 yr"),
        placed("tank", "thermal_store", "loss=0 %/h; max_capacity=5 MWh; cost=50 VND/kWh; life=20 yr"),
        placed("boiler", "boiler", "efficiency=80 %; fuel=fuel:natural_gas; max_capacity=500 kW; cost=100 VND/kW; life=20 yr"),
        placed("unit", "chp", "electric=40 %; thermal=40 %; fuel=fuel:natural_gas; max_capacity=500 kW; cost=2000 VND/kW; life=20 yr"),
    )  # fmt: skip
    supplies = (Supply("grid", buy=DAY_NIGHT), Supply("gas", "fuel:natural_gas", buy=gas, factor=0.2))
    loads = {"electricity": constant(100), "heat": constant(100)}
    return Case(loads, supplies, assets=assets, money=ONE_YEAR, **more)


def test_a_heat_pump_runs_by_night_into_a_store_where_the_night_is_cheap():
    """200 kW for 12 h at 1/4 of a kWh each; gas at 9 is no rival: 365 x (electricity 100 x 48 + 12 x 200 / 4)."""
    found = size(heating(gas=9.0), days=None)
    assert found.sizes == pytest.approx({"pump": 200.0, "tank": 1200.0, "boiler": 0.0, "unit": 0.0}, abs=1e-4)
    assert found.cost == pytest.approx(365 * (4800 + 600) + 200 * 400 + 1200 * 50)
    assert found.before is None
    assert found.after.energy["pump"] == pytest.approx(365 * 2400)
    assert found.after.energy["tank charge"] == pytest.approx(365 * 1200)


def test_a_power_unit_serves_both_loads_where_gas_is_cheap():
    """100 kW of both from 250 kW of gas, at 0.1 a kWh: less than the cheapest hour of the grid, so it runs all day."""
    found = size(heating(gas=0.1), days=None)
    assert found.sizes == pytest.approx({"pump": 0.0, "tank": 0.0, "boiler": 0.0, "unit": 100.0}, abs=1e-4)
    assert found.cost == pytest.approx(8760 * 250 * 0.1 + 100 * 2000)
    assert found.after.emissions == pytest.approx(8760 * 250 * 0.2 / 1e3)


def test_what_is_burnt_counts_against_the_renewable_share_and_what_a_heat_pump_takes_counts_as_used():
    """Half of the electricity must come from the sun: half of 100 kW and of the 25 kW that heat takes."""
    case = heating(gas=0.1, limits=Limits(renewable=0.5))
    sun = placed("sun", "pv", "max_capacity=1 MWp; cost=10000 VND/kW; life=20 yr", profile=constant(1))
    found = size(replace(case, assets=(*case.assets, sun)), days=None)
    after = found.after.energy
    used = 8760 * 100 + after["pump"] / 4
    assert not found.relaxed
    assert after["grid"] + after["unit"] <= 0.5 * used * (1 + 1e-6)


def test_a_chain_of_hydrogen_by_hand():
    """10 kg/h at pressure: 20 kg/h by night at 50 kWh/kg, half of it kept; the compressor takes 2 kWh/kg all day."""
    assets = (
        placed(
            "cells", "electrolyzer", "consumption=50 kWh/kg; max_capacity=5 MW; cost=100 VND/kW; life=20 yr"
        ),
        placed("tank", "hydrogen_store", "max_capacity=5 t; cost=20 VND/kg; life=20 yr"),
        placed(
            "press", "compressor", "consumption=2 kWh/kg; max_capacity=100 kg/h; cost=5 VND*h/kg; life=20 yr"
        ),
        placed("water", "fuel_cell", "efficiency=50 %; max_capacity=1 MW; cost=1 VND/kW; life=20 yr"),
    )
    loads = {"electricity": constant(0), "hydrogen@compressed": constant(10)}
    case = Case(loads, (Supply("grid", buy=DAY_NIGHT),), assets=assets, money=ONE_YEAR)
    found = size(case, days=None)
    assert found.sizes == pytest.approx(
        {"cells": 1000.0, "tank": 120.0, "press": 10.0, "water": 0.0}, abs=1e-4
    )
    assert found.cost == pytest.approx(365 * (12 * 1000 + 24 * 10 * 2 * 2) + 1000 * 100 + 120 * 20 + 10 * 5)
    shown = {
        row[0]: row[-1] for row in next(t for t in tables(found, "en") if t.title.startswith("A year")).rows
    }
    assert (shown["press"], shown["cells"], shown["grid"]) == ("t", "MWh", "MWh")


def test_the_connection_grows_as_far_as_it_is_worth_it():
    """A load of 100 kW and, in one hour, of 300: 100 stand, and 200 more cost less than going without."""
    load = constant(100)
    load[18] = 300
    grid = Supply("grid", buy=2.0, size=Size(cost=500.0, life=20.0, existing=100.0, most=1000.0))
    found = size(Case({"electricity": load}, (grid,), money=ONE_YEAR), days=None)
    assert found.sizes["grid"] == pytest.approx(300.0)
    assert found.cost == pytest.approx(365 * 2600 * 2 + 200 * 500)
    assert found.before is None
    store = battery("bank", power=Size(cost=1.0), energy=Size(cost=100.0))
    shaved = size(Case({"electricity": load}, (grid,), (store,), money=ONE_YEAR), days=None)
    assert shaved.sizes["grid"] == pytest.approx(2600 / 24)
    assert costing(found.case, "grid", 2.0).case.sizes()["grid"].cost == 1000.0
    unlimited = size(
        replace(found.case, supplies=(replace(grid, size=replace(grid.size, most=200.0)),)), days=None
    )
    assert unlimited.after.served["electricity"] == pytest.approx(1 - 100 / 2600)


def test_loads_that_can_wait_or_give_way_save_what_they_should():
    """24 x 10 kW move to the cheap half; 5 kW are worth less than the dear hours; both are used up to that."""
    assets = (
        placed("washing", "shiftable_load", "window=24 h; power=20 kW", demand=constant(10)),
        placed("cooling", "curtailable_load", "value=2 VND/kWh; share=50 %", demand=constant(10)),
    )
    case = Case({"electricity": constant(0)}, (Supply("grid", buy=DAY_NIGHT),), assets=assets, money=ONE_YEAR)
    found = size(case, days=None)
    assert found.cost == pytest.approx(365 * (240 * 1 + 12 * 10 * 1 + 12 * 5 * 3 + 12 * 5 * 2))
    assert found.after.energy["washing used"] == pytest.approx(365 * 240)
    assert found.after.energy["cooling used"] == pytest.approx(365 * 180)
    assert found.after.served == pytest.approx({"electricity": 1.0, "washing": 1.0, "cooling": 1.0})
    assert found.after.running.energy == pytest.approx(found.cost)
    assert "washing used" in balance_figure(found, lang="en")


def test_a_swap_station_is_planned_with_over_hours_and_over_typical_days():
    swaps = np.where((np.arange(96) % 24 >= 8) & (np.arange(96) % 24 < 18), 4.0, 0.0)
    station = placed(
        "swaps",
        "swap_station",
        "packs=40 item; bays=40 item; pack_energy=1.6 kWh; charger=400 W; round_trip=100 %",
        demand=swaps,
    )
    case = Case(
        {"electricity": np.full(96, 5.0)}, (Supply("grid", buy=np.tile(DAY_NIGHT, 4)),), assets=(station,), money=ONE_YEAR
    )  # fmt: skip
    found = size(case, days=2)
    assert found.after.served["swaps"] == pytest.approx(1.0)
    assert found.after.energy["swaps charge"] == pytest.approx(365 * 40 * 1.6, rel=1e-6)
    assert found.preview.estimate >= found.cost * (1 - 1e-9)  # each typical day must end as it began


def test_a_generator_is_bought_for_an_outage_and_its_fuel_is_still_brought():
    assets = (
        placed(
            "engine",
            "generator",
            "efficiency=40 %; fuel=fuel:diesel; max_capacity=1 MW; cost=100 VND/kW; life=20 yr",
        ),
        placed("pump", "heat_pump", "cop=4; capacity=100 kW"),
        placed("tank", "thermal_store", "loss=0 %/h; capacity=300 kWh"),
    )
    supplies = (Supply("grid", buy=1.0), Supply("diesel", "fuel:diesel", buy=5.0))
    loads = {"electricity": constant(80), "heat": constant(40)}
    lost = Outage(6, 4.0, {"electricity": 0.5, "heat": 1.0})
    found = size(Case(loads, supplies, assets=assets, money=ONE_YEAR, outages=(lost,)), days=None)
    assert found.sizes["engine"] == pytest.approx(40.0)  # the store is full enough for the heat
    assert found.after.levels["tank"][5] >= 160.0 - 1e-6
    assert found.survival(0.5, 4).probability(4) == 1.0
    colder = replace(found.case, assets=assets[:2])
    assert size(colder, days=None).sizes["engine"] == pytest.approx(50.0)  # 40 / 4 more for the heat pump
    dry = replace(lost, fails=("grid", "diesel"))
    assert size(replace(colder, outages=(dry,)), days=None).relaxed[0].name.startswith("outage 1")


def test_the_preview_survives_an_outage_with_the_store_of_the_real_day():
    days = 6
    cold = np.repeat([40.0, 60.0, 80.0, 40.0, 60.0, 80.0], 24)
    assets = (
        placed(
            "boiler",
            "boiler",
            "efficiency=100 %; fuel=electricity; max_capacity=500 kW; cost=1 VND/kW; life=20 yr",
        ),
        placed("tank", "thermal_store", "loss=1 %/h; max_capacity=5 MWh; cost=1 VND/kWh; life=20 yr"),
    )
    lost = Outage(60, 3.0, {"heat": 1.0})
    loads = {"electricity": np.ones(24 * days), "heat": cold}
    case = Case(
        loads, (Supply("grid", buy=np.tile(DAY_NIGHT, days)),), assets=assets, money=ONE_YEAR, outages=(lost,)
    )
    found = size(case, days=days)
    assert not found.relaxed
    assert found.preview.cost == pytest.approx(found.cost, rel=1e-5)


def test_years_sensitivities_and_frontiers_work_with_assets():
    case = heating(gas=1.0, carbon=100.0)
    assert choices(case) == ["pump", "tank", "boiler", "unit"]
    dear = sensitivity(case, [costing(case, "pump", 50.0)], full=True)
    assert dear[1].sizes["pump"] < dear[0].sizes["pump"]
    both = stacked([case, replace(case, loads={**case.loads, "heat": constant(200)})])
    assert size(both, days=None).sizes["pump"] > dear[0].sizes["pump"]
    points = frontier(case, 3, full=True)
    assert points[-1].emissions < points[0].emissions
    assert points[-1].cost > points[0].cost
    varying = placed(
        "air",
        "heat_pump",
        "hot=60 degC; max_capacity=1 MW; cost=9 VND/kW; life=20 yr",
        temperature=np.linspace(-5, 30, 24),
    )
    air = replace(case, assets=(varying, *case.assets[1:]))
    twice = stacked(
        [air, replace(air, assets=(replace(varying, series={"temperature": constant(30)}), *air.assets[1:]))]
    )
    assert twice.assets[0].series["temperature"].shape == (48,)
    assert size(air, days=1).preview.cost >= size(air, days=None).cost * (1 - 1e-9)


@pytest.mark.parametrize(
    "kind",
    [
        k.name
        for k in KINDS.values()
        if any(p.name == "max_capacity" for p in k.parameters) and k.name != "grid"
    ],
)
def test_every_kind_with_a_size_can_be_sized(kind):
    unit = next(p.unit for p in KINDS[kind].parameters if p.name == "max_capacity")
    text = KINDS[kind].example.replace("capacity=", "max_capacity=") + f"; cost=1 {COST[unit]}; life=10 yr"
    one = placed("it", kind, text, **({"profile": constant(0.5)} if kind in {"pv", "wind"} else {}))
    gives, works = one.carriers
    supplies = tuple(
        Supply(f"buy {c}", c, buy=DAY_NIGHT)
        for c in sorted({"electricity", *works} - (gives - {"electricity"}))
    )
    loads = {"electricity": constant(10)} | {
        c: constant(10) for c in gives | works if kind.endswith("store") or c in gives
    }
    found = size(Case(loads, supplies, assets=(one,), money=ONE_YEAR), days=1)
    chosen = one.sizes()["it"]
    assert 0.0 < found.sizes["it"] <= chosen.most * (1 + 1e-9) or kind in {"fuel_cell", "generator", "chp"}
    assert found.after.complete
    again = size(replace(found.case, assets=(one.resized(found.sizes),)), days=None)
    assert again.cost + sum(bought.cost for bought in found.purchases) == pytest.approx(found.cost, rel=1e-6)


def test_kinds_of_loads_are_known():
    assert set(KINDS) >= LOADS


def test_an_asset_that_nothing_feeds_is_refused_by_name():
    lonely = placed("boiler", "boiler", "efficiency=80 %; fuel=fuel:wood; capacity=5 kW")
    with pytest.raises(RequestError) as caught:
        Case({"electricity": constant(1)}, (Supply(),), assets=(lonely,))
    assert caught.value.code == "plan.unknown_carrier"
    assert caught.value.problem.data["carrier"] == "fuel:wood"


def test_money_of_later_years_weighs_running_costs_of_assets_as_it_does_energy():
    """Twenty years, prices that rise: wear is part of what a year costs, so the cash flows still add up to the value."""
    bank = placed(
        "bank", "battery",
        "max_energy=1 MWh; c_rate=0.5 1/h; cost=500 VND/kWh; life=10 yr; replacement=400 VND/kWh; cycles=5000; round_trip=90 %",
    )  # fmt: skip
    money = Money(years=20, discount=0.08, tax=0.2, energy=0.03)
    case = Case({"electricity": constant(100)}, (Supply("grid", buy=DAY_NIGHT),), assets=(bank,), money=money)
    found = size(case, days=None)
    assert found.built["bank/energy"] > 0
    assert found.flow.npv == pytest.approx(found.npv, rel=1e-6)
