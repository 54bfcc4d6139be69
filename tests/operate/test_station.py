# SPDX-License-Identifier: Apache-2.0
"""A site with a battery-swap station: packs by class are carried, and every swap that is promised is kept."""

import numpy as np
import pytest
from tests.operate import park
from tests.operate.park import NOW
from tests.operate.worlds import START, prices, two_prices, workshop

from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.network.assets.base import Values
from mangrove.operate.loop import run
from mangrove.operate.outlook import Grid
from mangrove.operate.plan import Options, Planner
from mangrove.operate.rules import View
from mangrove.operate.run import Request, operate
from mangrove.operate.safe import safe_rule
from mangrove.operate.site import Station, sites
from mangrove.operate.state import State

PARAMETERS = "packs=20 item; bays=8 item; pack_energy=1.6 kWh; charger=400 W; round_trip=81 %; flow=packs_charged; demand_flow=swaps"
NUMBERS = {
    "packs": 20.0, "bays": 8.0, "pack_energy": 1.6, "charger": 0.4, "round_trip": 0.81, "return_level": 0.0,
    "service": 1.0, "lost_swap": 0.0,
}  # fmt: skip
STATION = Station("swap", Values(NUMBERS, {"two_way": "no"}), demand_flow="swaps")
FULL = 18


def site():
    return workshop(batteries=(), stations=(STATION,))


def outlook(swaps):
    return {"shop#load": np.full(192, 50.0), "roof": np.zeros(192), "swaps": swaps}


def test_packs_are_charged_before_they_are_wanted_and_when_energy_is_cheap():
    swaps = np.zeros(192)
    swaps[60:68] = 1.0
    packs = np.zeros(FULL + 1)
    packs[0] = 20.0
    now = State(START, month=0, packs={"swap": packs})
    plan = Planner(site(), prices(two_prices()), Options(horizon=24.0)).replan(now, outlook(swaps))
    power = plan.powers["swap"][0]
    assert len(power) == 96
    assert 0.0 <= power.min() <= power.max() <= 8 * 0.4 + 1e-9
    # Eight packs of 1.6 kWh go out full; 90 % of what is drawn gets into them.
    assert power[:68].sum() / 4 == pytest.approx(8 * 1.6 / 0.9, rel=0.01)
    assert power[:24].sum() == pytest.approx(power.sum())
    assert not plan.relaxed


def test_swaps_that_cannot_be_kept_are_named():
    swaps = np.zeros(192)
    swaps[1] = 3.0
    packs = np.zeros(FULL + 1)
    packs[0] = 20.0
    now = State(START, month=0, packs={"swap": packs})
    plan = Planner(site(), prices(two_prices()), Options(horizon=24.0)).replan(now, outlook(swaps))
    (gave,) = plan.relaxed
    assert gave.name == "swap service"
    assert gave.amount == pytest.approx(3.0)


def test_the_safe_rule_charges_the_packs_within_the_connection():
    view = View(State(START), 900, 50.0, 0.0)
    assert safe_rule(site(), view, "x").powers["swap"] == pytest.approx(3.2)
    assert (
        safe_rule(workshop(batteries=(), stations=(STATION,), importing=51.0), view, "x").powers["swap"]
        == 1.0
    )


def test_the_closed_loop_says_that_it_knows_no_stations():
    with pytest.raises(RequestError) as refused:
        run(site(), Grid(START, 900, {}), prices(), None)
    assert refused.value.code == "operate.no_station_loop"


def test_a_declared_station_is_scheduled(tmp_path):
    changes = {
        "assets": park.FILES["assets.csv"] + f"station,works,swap_station,{PARAMETERS}\n",
        "flows": park.FILES["flows.csv"]
        + "packs_charged,works,electricity,kWh,15min,,sum\nswaps,works,process:swap,item,1h,,sum\n",
    }
    works = park.load(park.declare(tmp_path / "works", **changes))
    assert sites(works)[0].inputs == ("works#load", "sun", "swaps")
    with Ledger.open(works.path / ".mangrove") as ledger:
        park.ingest(ledger)
        hours = np.arange((park.DAYS - 1) * 24)
        first = NOW - len(hours) * 3600 * np.timedelta64(1, "s")
        ledger.append(
            park.values("swaps", first, 3600, np.where(hours % 24 == 17, 3.0, 0.0)), Origin("m", "s")
        )
        quarter = np.full(len(hours) * 4, 0.1)
        ledger.append(park.values("packs_charged", first, 900, quarter), Origin("m", "p"))
        (schedule,) = operate(works, ledger, NOW, request=Request(options=Options(horizon=24.0)))
        assert schedule.by == "plan", schedule.problems
        assert {one.device for one in schedule.setpoints} == {"battery", "station"}
        starts, energy = schedule.flows["packs_charged"]
    assert len(starts) == 96
    assert energy.sum() == pytest.approx(3 * 1.6 / 0.9, rel=0.02)
