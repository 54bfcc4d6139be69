# SPDX-License-Identifier: Apache-2.0
"""A made-up city of sixteen junctions and four wards to judge plans on."""

import numpy as np
from tests.traffic.small_net import grid_text, squares

from mangrove.plan.traffic.case import case_of
from mangrove.traffic.demand import Demand
from mangrove.traffic.road_map import roads_of
from mangrove.traffic.sumo_net import read_net

CLASSES = ("electric_motorbike", "bus", "electric_bus")


def city(folder, *, trips=3_000.0, mix=None, side=4, zones=2, seed=1, **others):
    """A case: `trips` motorcycle units between every two of its wards, with some chance."""
    path = folder / "grid.net.xml"
    path.write_text(grid_text(side=side))
    net = read_net(path)
    road = roads_of(net, squares(net, zones), connectors=2)
    count, rng = zones * zones, np.random.default_rng(seed)
    table = trips * rng.uniform(0.5, 1.5, (count, count))
    np.fill_diagonal(table, 0.0)
    demand = Demand(table, mix or {"motorbike": 0.87, "car": 0.1, "light_truck": 0.03})
    people = rng.uniform(10_000, 30_000, count)
    return case_of(road, demand, people, people[::-1] / 2, more=CLASSES, **others)
