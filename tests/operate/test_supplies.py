# SPDX-License-Identifier: Apache-2.0
"""What a declared site can be supplied with: a price is declared or a note says what is missing; the whole way from files to a schedule."""

import numpy as np
import pytest
from tests.operate import park
from tests.operate.factory import unit
from tests.operate.park import NOW

from mangrove.ledger import Ledger, Origin
from mangrove.operate.past import Question, backtest_on_ledger
from mangrove.operate.plan import Options
from mangrove.operate.run import Request, operate
from mangrove.operate.site import sites
from mangrove.operate.supplies import equip
from mangrove.operate.units import making, metered, ports, worths
from mangrove.times import Span

ASSETS = """\
boiler,works,boiler,capacity=200 kW; efficiency=80 %; fuel=fuel:wood; flow=boiler_heat
pump,hall,heat_pump,capacity=60 kW; cop=3; flow=pump_heat
tank,works,thermal_store,capacity=400 kWh; power=100 kW; loss=0.5 %/h; charge_flow=tank_in; discharge_flow=tank_out
diesel,works,generator,capacity=50 kW
heat,hall,load,carrier=heat; flow=heat_used
wash,works,shiftable_load,share=50 %; flow=wash
oven,works,batch,power=30 kW; duration=2 h; runs=2; flow=oven
"""
FLOWS = """\
boiler_heat,works,heat,kWh,15min,,sum,
pump_heat,works,heat,kWh,15min,,sum,
heat_used,hall,heat,MWh,1h,,sum,
tank_in,works,heat,kWh,15min,,sum,
tank_out,works,heat,kWh,15min,,sum,
wash,works,electricity,kWh,15min,,sum,
oven,works,electricity,kWh,15min,,sum,
wood,works,fuel:wood,kWh,1d,,sum,wood/chips
"""
TARIFFS = """\
  - id: wood
    kind: flat
    carrier: fuel:wood
    price: 900 VND/kWh
    source: test
energy:
  carbon_price: 100000 VND/t
"""


def declare(folder, tariffs=TARIFFS, assets=ASSETS):
    flows = (
        park.FILES["flows.csv"]
        .replace("semantics", "semantics,factor", 1)
        .replace("sum\n", "sum,\n")
        .replace("mean\n", "mean,\n")
    )
    changes = {
        "assets": park.FILES["assets.csv"] + assets,
        "flows": flows + FLOWS,
        "territory": park.FILES["territory.yaml"] + tariffs,
        "factors": park.FILES["factors.csv"] + "wood/chips,CO2,0.36,kg CO2/kWh,test\n",
    }
    return park.load(park.declare(folder, **changes))


def ingest(ledger):
    """A week with 60 kW of heat, of which the pump gives 24; 8 kW for washing; the oven ran half a run this morning."""
    park.ingest(ledger)
    hours = (park.DAYS - 1) * 24
    first = NOW - hours * 3600 * np.timedelta64(1, "s")
    full = {"pump_heat": 6.0, "wash": 2.0, "oven": 0.0, "boiler_heat": 9.0}
    for flow, each in full.items():
        ledger.append(park.values(flow, first, 900, np.full(hours * 4, each)), Origin("m", flow))
    tank = np.zeros(hours * 4)
    ledger.append(
        park.values("tank_in", first, 900, np.where(np.arange(hours * 4) < 96, 5.0, tank)), Origin("m", "in")
    )
    ledger.append(park.values("tank_out", first, 900, tank), Origin("m", "out"))
    ledger.append(park.values("heat_used", first, 3600, np.full(hours, 0.06)), Origin("m", "heat"))


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    return declare(tmp_path_factory.mktemp("works") / "works")


@pytest.fixture(scope="module")
def schedule(works):
    with Ledger.open(works.path / ".mangrove") as ledger:
        ingest(ledger)
        (found,) = operate(works, ledger, NOW, request=Request(options=Options(horizon=24.0)))
    return found


def test_a_fuel_has_the_price_of_its_record_and_the_factor_of_its_flow(works):
    (site,) = sites(works)
    (wood,) = equip(works, site, _day(), carbon=0.1).supplies
    assert (wood.carrier, wood.price) == ("fuel:wood", 900.0)
    assert wood.factor == pytest.approx(0.36)
    assert wood.cost == pytest.approx(900.0 + 0.036)


def _day():
    from datetime import date

    return date(2026, 9, 1)


def test_what_nothing_can_feed_is_named_and_left_out(works):
    (site,) = sites(works)
    assert {one.id for one in site.units} == {"boiler", "pump", "tank", "wash", "oven"}
    assert [(one.code, one.data["id"], one.data["carrier"]) for one in site.gaps] == [
        ("operate.no_supply", "diesel", "fuel:diesel")
    ]


def test_without_any_source_of_heat_the_need_is_named_too(tmp_path):
    bare = "boiler,works,boiler,capacity=200 kW; efficiency=80 %; fuel=fuel:wood\nheat,hall,load,carrier=heat; flow=heat_used\n"
    (site,) = sites(declare(tmp_path / "works", tariffs="", assets=bare))
    assert (site.units, site.needs) == ((), ())
    assert [one.data["id"] for one in site.gaps] == ["boiler", "heat"]


def test_a_load_without_a_meter_and_a_pump_without_a_source_are_named(tmp_path):
    bare = "pump,works,heat_pump,capacity=60 kW; hot=55 degC\nheat,hall,load,carrier=heat\nwash,works,shiftable_load,share=50 %\n"
    (site,) = sites(declare(tmp_path / "works", assets=bare))
    assert {one.code for one in site.gaps} == {"operate.no_source", "operate.no_demand"}
    assert site.units == ()


def test_the_schedule_has_every_declared_flow(schedule):
    assert schedule.by == "plan", [one.text() for one in schedule.problems]
    assert {"boiler_heat", "pump_heat", "heat_used", "tank_in", "tank_out", "wash", "oven"} <= set(
        schedule.flows
    )
    total = {flow: float(values.sum()) for flow, (_, values) in schedule.flows.items()}
    assert total["heat_used"] == pytest.approx(24 * 0.06)
    assert total["oven"] == pytest.approx(2 * 60.0)
    assert total["wash"] == pytest.approx(96 * 2.0)
    assert {one.device for one in schedule.setpoints} == {"battery", "boiler", "pump", "tank", "wash", "oven"}


def test_levels_of_a_store_follow_from_its_meters(schedule):
    (level,) = [one.data["level"] for one in schedule.problems if one.data.get("id") == "tank"]
    # full after its first day, then six days of losses of 0.5 % an hour
    assert level == pytest.approx(400.0 * 0.995**144, abs=0.1)


def test_the_electricity_of_a_heat_pump_is_not_in_the_load_that_nobody_controls(works, schedule):
    from mangrove.operate.readings import Window, measured

    (site,) = sites(works)
    with Ledger.open(works.path / ".mangrove") as ledger, ledger.snapshot() as snapshot:
        found = measured(
            snapshot, works, site, Window(NOW - 96 * 900 * np.timedelta64(1, "s"), 900, 96), planned=True
        )
    bought = found.flows["bought"].power + found.flows["sun"].power - found.flows["sold"].power
    battery = found.flows["given"].power - found.flows["charged"].power
    assert found.grid.values["works#load"] == pytest.approx(bought + battery - 24.0 / 3 - 8.0)


def test_a_back_test_of_the_same_files_runs_units_and_leaves_flexible_loads_in_the_load(works, schedule):
    with Ledger.open(works.path / ".mangrove") as ledger, ledger.snapshot() as snapshot:
        span = Span.asked("2026-09-05", "2026-09-06", works.tz)
        asked = Question(options=Options(horizon=12.0, fine=6.0), rules=("no_storage",))
        found = backtest_on_ledger(works, snapshot, span, asked)
    assert found.complete
    assert found.accounts["plan"].cost <= found.accounts["no_storage"].cost
    assert found.courses["plan"].powers["pump"].max() > 1.0


def test_what_units_bring_and_what_carriers_cost():
    boiler = unit("b", "boiler", "capacity=9 kW; efficiency=80 %; fuel=fuel:wood; output=steam; flow=x")
    assert ports(boiler) == {"output": {"fuel:wood": -1.25, "steam": 1.0}}
    assert metered((boiler,)) == {"x": "steam"}
    chain = [
        unit("e", "electrolyzer", "capacity=9 kW; consumption=50 kWh/kg"),
        unit("c", "compressor", "capacity=9 kg/h; consumption=2 kWh/kg"),
    ]
    assert worths(making(chain), {"electricity": 1000.0})["hydrogen@compressed"] == pytest.approx(52_000.0)


def test_a_need_whose_meter_never_said_anything_is_left_out_and_named(tmp_path):
    works = declare(tmp_path / "works")
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger)
        (found,) = operate(works, ledger, NOW, request=Request(options=Options(horizon=24.0)))
    assert found.by == "plan", found.reason
    silent = {one.data["id"] for one in found.problems if one.code == "operate.no_demand"}
    assert silent == {"heat", "wash"}
    assert "heat_used" not in found.flows
