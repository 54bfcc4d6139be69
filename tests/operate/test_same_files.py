# SPDX-License-Identifier: Apache-2.0
"""The planner writes connection, battery and sun itself: it must cost what the files of their kinds cost."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.operate.worlds import START, measured, prices, two_part, workshop

from mangrove.network import Horizon, Network
from mangrove.network.assets import KINDS, Setting, read
from mangrove.operate.plan import END_VALUE, Options, Planner
from mangrove.operate.site import Battery
from mangrove.operate.state import State
from mangrove.territory.cells import parameters
from mangrove.territory.model import Asset

DECLARED = {
    "grid": "capacity=400 kW; export=60 kW",
    "pv": "capacity=120 kWp; tilt=10; azimuth=180",
    "battery": "energy=200 kWh; power=80 kW; round_trip=90 %; floor=10 %; self_discharge=0.1 %/h; replacement=1800000 VND/kWh; "
    "cycles=6000; taper_from=80 %; taper_to=20 %",
}


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_costs_what_a_network_of_the_kinds_costs(seed):
    generator = np.random.default_rng(seed)
    level, metered = float(generator.uniform(20, 190)), float(generator.uniform(50, 150))
    grid, rated = measured(1, seed), prices(two_part())
    load, sun = (grid.values[name] for name in ("shop#load", "roof"))
    values = {
        kind: read(Asset(kind, "shop", kind, parameters(text)), KINDS[kind])
        for kind, text in DECLARED.items()
    }
    terms = SimpleNamespace(
        buy=rated.buy[:96],
        sell=rated.sell[:96],
        demand=rated.demand[0],
        month=rated.month[:96],
        window=0.5,
        export_cap=None,
    )
    net = Network(Horizon.regular(96, 0.25))
    bus = net.node("shop")
    net.sink("load", bus, amount=load)
    series = {"profile": np.minimum(sun, 120.0) / 120.0}
    setting = Setting(
        net, lambda *_: bus, "shop", series=series, start=level / 200.0, now={"metered": metered}, terms=terms
    )
    built = {kind: KINDS[kind].build(setting, kind, values[kind]) for kind in DECLARED}
    store = built["battery"].stores["energy"]
    wear, way = 300.0, 0.9**0.5
    # What only a rolling plan knows: levels are free at the end, and worth what they spare.
    net.program.row_lower[store.end] = 0.0
    net.program.cost[store.level[0, 0, -1]] = -(END_VALUE * way * rated.buy[:96].min() - wear)
    site = workshop(
        batteries=(
            Battery(
                "battery", energy=200.0, charge=80.0, discharge=80.0, efficiency=(way, way), floor=20.0, loss=0.001,
                wear=wear, taper=(0.8, 0.2),
            ),
        )
    )  # fmt: skip
    now = State(START, levels={"battery": level}, month=0, peak=metered)
    plan = Planner(site, rated, Options(horizon=24.0)).replan(now, {"shop#load": load, "roof": sun})
    solved = net.solve()
    assert plan.solved.cost == pytest.approx(solved.cost, rel=1e-6)
    assert plan.peak == pytest.approx(float(solved.peak(built["grid"].extra["peak"])[0]), rel=1e-6)
