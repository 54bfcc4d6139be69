# SPDX-License-Identifier: Apache-2.0
"""Every kind of unit in the plan of a site: what it costs can be checked by hand, every carrier balances, set-points keep the limits."""

from dataclasses import replace

import numpy as np
import pytest
from tests.operate.factory import LEVELS, NEEDS, SUPPLIES, UNITS, factory, series, unit
from tests.operate.worlds import START, prices, two_part, two_prices, workshop

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network
from mangrove.operate.devices import limits_at
from mangrove.operate.machines import Machines, Moment
from mangrove.operate.outlook import perfect
from mangrove.operate.plan import Options, Planner
from mangrove.operate.state import SECOND, State
from mangrove.operate.units import KINDS, Need, Supply

NOW = State(START, levels=LEVELS, month=0)
QUARTER = 900 * SECOND


def two_steps(*units, needs=(), supplies=SUPPLIES, free=(), price=(1000.0, 3000.0), load=0.0, **moment):
    """The units alone on a bus with two prices; two steps of an hour."""
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("shop")
    grid = net.source("grid", bus, cost=price)
    net.sink("sold", bus, cost=0.0)
    net.sink("load", bus, amount=np.full(2, load))
    site = workshop(units=units, needs=needs, supplies=supplies, free=free)
    given = {name: np.asarray(values, dtype=float)[None] for name, values in moment.pop("series", {}).items()}
    now = Moment(given, **moment)
    machines = Machines(net, bus, site, now)
    solved = net.solve()
    return (
        solved,
        {id_: kw[0].round(9).tolist() for id_, kw in machines.setpoints(solved, now).items()},
        solved[grid],
        machines,
    )


HEAT, COLD = Need("heat", "heat"), Need("cold", "cooling")


def test_a_boiler_burns_what_the_heat_takes_over_its_efficiency():
    solved, points, _, _ = two_steps(UNITS["boiler"], needs=(HEAT,), series={"heat#demand": [8.0, 16.0]})
    assert points == {"boiler": [8.0, 16.0]}
    assert solved.cost == pytest.approx(24.0 / 0.8 * 900.0)


def test_a_heat_pump_runs_while_electricity_is_cheap_and_the_boiler_while_it_is_dear():
    # heat of the pump costs 1000 / 3 or 3900 / 3 a kWh, that of the boiler 900 / 0.8
    solved, points, drawn, _ = two_steps(
        UNITS["boiler"],
        UNITS["pump"],
        needs=(HEAT,),
        series={"heat#demand": [30.0, 30.0]},
        price=(1000.0, 3900.0),
    )
    assert points == {"boiler": [0.0, 30.0], "pump": [30.0, 0.0]}
    assert drawn.tolist() == pytest.approx([10.0, 0.0])
    assert solved.cost == pytest.approx(10.0 * 1000.0 + 30.0 / 0.8 * 900.0)


def test_a_thermal_store_moves_heat_from_the_cheap_step_and_loses_some_on_the_way():
    lossy = unit("tank", "thermal_store", "capacity=400 kWh; power=100 kW; loss=50 %/h")
    solved, points, _, _ = two_steps(
        UNITS["pump"],
        lossy,
        needs=(HEAT,),
        series={"heat#demand": [0.0, 12.0]},
        levels={"tank": 8.0},
        price=(1000.0, 9000.0),
    )
    # 8 kWh have become 2 at the end of the second step; the missing 10 need 20 in the first.
    assert points["pump"] == [20.0, 0.0]
    assert points["tank"] == [20.0, -12.0]
    assert solved.cost == pytest.approx(20.0 / 3 * 1000.0)


def test_a_chiller_takes_its_electricity_over_its_cop():
    _, points, drawn, _ = two_steps(UNITS["chiller"], needs=(COLD,), series={"cold#demand": [8.0, 4.0]})
    assert points == {"chiller": [8.0, 4.0]}
    assert drawn.tolist() == pytest.approx([2.0, 1.0])


def test_cold_cannot_be_thrown_away_but_heat_can():
    assert two_steps(
        UNITS["chp"], needs=(HEAT,), series={"heat#demand": [0.0, 0.0]}, load=10.0, price=(9000.0, 9000.0)
    )[1] == {"chp": [10.0, 10.0]}
    _, _, _, machines = two_steps(UNITS["chiller"], needs=(COLD,), series={"cold#demand": [8.0, 4.0]})
    assert not [name for name in machines.net.handles if "vented" in name]


def test_combined_heat_and_power_gives_both_when_electricity_is_dear():
    plain = unit(
        "chp", "chp", "capacity=40 kW; electric=30 %; thermal=50 %; fuel=fuel:gas; heat_flow=chp_heat"
    )
    solved, points, drawn, machines = two_steps(
        plain,
        UNITS["boiler"],
        needs=(HEAT,),
        series={"heat#demand": [50.0, 50.0]},
        load=100.0,
        price=(1000.0, 6000.0),
    )
    # 1 kWh burns 1 / 0.3 of gas (5000) and saves electricity and 5 / 3 of heat at 1125.
    assert points == {"chp": [0.0, 40.0], "boiler": [50.0, 0.0]}
    assert drawn.tolist() == pytest.approx([100.0, 60.0])
    assert machines.flows(solved, Moment({}))["chp_heat"][0].tolist() == pytest.approx([0.0, 40.0 * 5 / 3])


def test_hydrogen_is_made_while_electricity_is_cheap_and_kept():
    need = Need("gas", "hydrogen")
    solved, points, drawn, machines = two_steps(
        UNITS["splitter"],
        UNITS["bottle"],
        needs=(need,),
        series={"gas#demand": [0.0, 0.5]},
        levels={"bottle": 0.1},
    )
    assert points == {"splitter": [22.0, 0.0]}
    assert drawn.tolist() == pytest.approx([22.0, 0.0])
    assert solved.level(machines.stores["bottle"])[0, 0].tolist() == pytest.approx([0.5, 0.0])
    assert machines.flows(solved, Moment({}))["hydrogen_made"][0].tolist() == pytest.approx([0.4, 0.0])


def test_a_fuel_cell_gives_electricity_when_it_is_dear():
    from mangrove.network.assets.fuel_cell import LHV

    _, points, _, _ = two_steps(
        UNITS["cell"], UNITS["bottle"], levels={"bottle": 5.0 / (0.5 * LHV)}, load=20.0
    )
    assert points["cell"] == pytest.approx([0.0, 5.0])


def test_a_generator_runs_when_diesel_is_cheaper_than_the_grid():
    cheap = (Supply("fuel:diesel", 600.0),)
    solved, points, _, machines = two_steps(UNITS["diesel"], supplies=cheap, load=60.0)
    burn = 1.0 / UNITS["diesel"].values["efficiency"]
    assert 1000.0 < 600.0 * burn < 3000.0
    assert points == {"diesel": [0.0, 50.0]}
    assert machines.flows(solved, Moment({}))["diesel_used"][0].tolist() == pytest.approx([0.0, 50.0 * burn])


def test_the_carbon_of_a_fuel_counts():
    dear = (Supply("fuel:diesel", 600.0, factor=0.27, carbon=0.27 * 5000.0),)
    assert two_steps(UNITS["diesel"], supplies=dear, load=60.0)[1] == {"diesel": [0.0, 0.0]}


def test_water_is_cleaned_and_lifted():
    from mangrove.network.assets.pump import lift

    need = Need("water", "water@pumped")
    _, points, drawn, _ = two_steps(
        UNITS["lift"],
        UNITS["cleaner"],
        needs=(need,),
        free=("wastewater",),
        series={"water#demand": [5.0, 5.0]},
    )
    assert points == {"lift": [5.0, 5.0], "cleaner": [5.0, 5.0]}
    assert drawn.tolist() == pytest.approx([5.0 * (0.6 + lift(50.0, 0.7))] * 2)


def test_a_compressor_takes_its_work():
    need = Need("gas", "hydrogen@compressed")
    _, points, drawn, _ = two_steps(
        UNITS["press"], UNITS["splitter"], needs=(need,), series={"gas#demand": [0.2, 0.2]}
    )
    assert points == {"press": [0.2, 0.2], "splitter": [11.0, 11.0]}
    assert drawn.tolist() == pytest.approx([11.24, 11.24])


def test_a_shiftable_load_moves_inside_its_window_and_owes_what_was_put_off():
    _, points, _, _ = two_steps(
        UNITS["wash"], series={"wash": [10.0, 10.0]}, windows={"wash": np.zeros(2, np.int64)}
    )
    assert points == {"wash": [10.0, 10.0]}  # it may not draw more than its highest movable demand: 5 kW
    strong = unit("wash", "shiftable_load", "share=50 %; power=30 kW; flow=wash")
    told = {"series": {"wash": [10.0, 10.0]}, "windows": {"wash": np.zeros(2, np.int64)}}
    assert two_steps(strong, **told)[1] == {"wash": [15.0, 5.0]}
    assert two_steps(strong, **told, owed={"wash": 4.0})[1] == {"wash": [19.0, 5.0]}
    assert two_steps(strong, **told, owed={"wash": -4.0})[1] == {"wash": [11.0, 5.0]}


def test_a_curtailable_load_is_left_out_when_electricity_costs_more_than_it_is_worth():
    _, points, _, _ = two_steps(UNITS["cool"], series={"cool": [10.0, 10.0]}, price=(1000.0, 21_000.0))
    assert points == {"cool": [10.0, 7.0]}


def test_a_batch_runs_in_the_cheap_step_and_one_that_has_begun_goes_on():
    short = unit("oven", "batch", "power=30 kW; duration=1 h; runs=1")
    assert two_steps(short, days={"oven": [(0.0, 2.0, 1.0)]})[1] == {"oven": [30.0, 0.0]}
    assert two_steps(short, days={"oven": [(1.0, 2.0, 1.0)]})[1] == {"oven": [0.0, 30.0]}
    assert two_steps(short, days={"oven": [(0.0, 2.0, 0.0)]}, going={"oven": np.array([30.0, 0.0])})[1] == {
        "oven": [30.0, 0.0]
    }


def test_what_a_store_holds_at_the_end_is_worth_what_making_it_costs():
    worth = {"heat": 300.0}  # heat of the pump costs 333 in the cheap step: not worth making for later
    _, points, _, _ = two_steps(
        UNITS["pump"],
        UNITS["tank"],
        needs=(HEAT,),
        series={"heat#demand": [0.0, 0.0]},
        levels={"tank": 50.0},
        worth=worth,
    )
    assert points == {"pump": [0.0, 0.0], "tank": [0.0, 0.0]}


def test_every_kind_is_tried_here():
    assert {one.kind for one in UNITS.values()} == set(KINDS)


@pytest.fixture(scope="module")
def everything():
    site = factory()
    planner = Planner(site, prices(two_part(), days=4), Options())
    return site, planner, planner.replan(NOW, perfect(series(site), 192)(START))


def test_a_factory_with_everything_at_once_balances_in_every_step(everything):
    site, planner, plan = everything
    load = series(site).values["shop#load"][:96]
    left = plan.imported + plan.generated["roof"] - plan.exported - load
    left = left - sum(plan.powers.values()) - sum(plan.electric.values())
    assert np.abs(left).max() < 1e-9
    assert len(plan.hours) == 96  # single steps: runs of a batch take a number of them
    rows = planner._machines.nodes.values()
    inside = np.concatenate([node.rows.ravel() for node in rows])
    lp = planner._net.program
    held = plan.solved._rows[inside]
    assert held == pytest.approx(np.clip(held, lp.row_lower[inside], lp.row_upper[inside]), abs=1e-9)


def test_set_points_lie_within_the_limits_of_every_device(everything):
    site, _, plan = everything
    limits = limits_at(site)
    assert set(plan.machines) == set(UNITS) - {"bottle"}
    for id_, kw in {**plan.machines, **plan.powers}.items():
        assert limits[id_].low - 1e-9 <= kw.min() <= kw.max() <= limits[id_].high + 1e-9, id_


def test_levels_of_stores_follow_from_what_goes_in(everything):
    _, _, plan = everything
    keep = (1 - 0.005) ** 0.25
    level = LEVELS["tank"]
    for into, after in zip(plan.machines["tank"][0], plan.levels["tank"][0], strict=True):
        level = level * keep + into * 0.25
        assert after == pytest.approx(level, abs=1e-6)


def test_runs_of_a_day_are_kept_and_energy_of_a_window_is_what_was_asked(everything):
    site, _, plan = everything
    assert plan.machines["oven"][0].sum() / 4 == pytest.approx(2 * 60.0)
    assert plan.machines["wash"][0].sum() == pytest.approx(series(site).values["wash"][:96].sum())


def test_a_warm_plan_costs_what_a_cold_one_does():
    ids = [id_ for id_, one in UNITS.items() if one.kind not in ("shiftable_load", "batch")]
    site = factory(*ids)
    warm = Planner(site, prices(two_part(), days=4), Options())
    outlook = perfect(series(site), 192)
    built = None
    for step in range(6):
        at = START + step * QUARTER
        levels = {
            "battery": 60.0 + 5 * step,
            "tank": 200.0 - 20 * step,
            "ice": 50.0 + step,
            "bottle": 5.0 - step / 4,
        }
        now = State(at, levels=levels, month=0, window=(90.0,) * (step % 2))
        found = warm.replan(now, outlook(at)).solved.cost
        cold = Planner(site, prices(two_part(), days=4), Options()).replan(now, outlook(at)).solved.cost
        assert found == pytest.approx(cold, rel=1e-9)
        assert built in (None, id(warm._net))
        built = id(warm._net)


def test_scenarios_share_the_set_points_of_the_next_hour():
    site = factory("boiler", "pump", "tank", needs=("heat",))
    planner = Planner(site, prices(two_part()), Options(horizon=24.0, scenarios=3))
    outlook = {name: np.stack([values[:96]] * 3) for name, values in series(site).values.items()}
    outlook["heat#demand"] = outlook["heat#demand"] * np.array([[0.9], [1.0], [1.1]])
    plan = planner.replan(NOW, outlook)
    for id_ in ("pump", "tank"):
        assert np.ptp(plan.machines[id_][:, :4], axis=0).max() < 1e-9


def test_a_heat_pump_follows_the_temperature_of_its_source_where_it_is_known():
    pump = unit("pump", "heat_pump", "capacity=60 kW; hot=55 degC")
    site = workshop(units=(pump,), needs=(Need("heat", "heat"),))
    outlook = {
        name: values[:96]
        for name, values in series(factory()).values.items()
        if name in ("shop#load", "roof")
    }
    outlook |= {"heat#demand": np.full(96, 20.0), "pump#temperature": np.where(np.arange(96) < 48, 5.0, 25.0)}
    plan = Planner(site, prices(two_prices()), Options(horizon=24.0)).replan(
        replace(NOW, levels=LEVELS), outlook
    )
    from mangrove.network.assets.heat_pump import cop

    assert plan.electric["pump"][0, [0, 60]] == pytest.approx([20.0 / cop(55.0, 5.0), 20.0 / cop(55.0, 25.0)])


def test_need_that_cannot_be_met_gives_way_and_is_named():
    site = factory("pump", needs=("heat",))
    outlook = perfect(series(site), 192)(START)
    outlook["heat#demand"] = np.full((1, 192), 100.0)
    plan = Planner(site, prices(two_prices()), Options(horizon=24.0)).replan(NOW, outlook)
    assert {one.name for one in plan.relaxed} == {"heat"}
    assert sum(one.amount for one in plan.relaxed) == pytest.approx(40.0 * 24)


def test_a_store_without_a_level_is_refused():
    site = factory("pump", "tank", needs=("heat",))
    with pytest.raises(RequestError) as refused:
        Planner(site, prices()).replan(
            State(START, levels={"battery": 0.0}), perfect(series(site), 192)(START)
        )
    assert refused.value.code == "operate.no_level"


def test_needs_are_those_of_the_factory():
    assert factory().inputs[2:] == (*(need.name for need in NEEDS), "wash", "cool")
