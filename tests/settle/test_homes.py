# SPDX-License-Identifier: Apache-2.0
"""A real community: 17 homes of Fontana, California, with roofs, over a week of 2016 (CityLearn Challenge 2022, EPRI; MIT)."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mangrove.settle.community import Community, Storage
from mangrove.settle.scale import aggregate
from mangrove.settle.settlement import settle

pytestmark = pytest.mark.data
HOMES = 17
EXPORT = 0.05
"""USD/kWh for surplus: chosen for this test, the data set has no such price."""
FROM, HOURS = 24 * 14, 168


def column(path: Path, name: str) -> np.ndarray:
    with path.open(encoding="utf-8", newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])[FROM : FROM + HOURS]


@pytest.fixture(scope="module")
def homes(data_dir) -> Community:
    folder = data_dir / "load" / "citylearn2022_fontana"
    paths = [folder / f"Building_{i}.csv" for i in range(1, HOMES + 1)]
    load = np.array([column(path, "non_shiftable_load") for path in paths])
    sun = np.array([column(path, "solar_generation") for path in paths]) / 1000.0  # W per kWp
    built = json.loads((folder / "schema.json").read_text(encoding="utf-8"))["buildings"]
    roofs = np.array([built[path.stem]["pv"]["attributes"]["nominal_power"] for path in paths])
    price = column(folder / "pricing.csv", "electricity_pricing")
    names = tuple(path.stem for path in paths)
    return Community(names, load, sun * roofs[:, None], price, np.full(HOURS, EXPORT), fee=0.01)


def test_the_homes_save_by_sharing_and_none_of_131070_coalitions_objects(homes):
    """17 homes have 131,072 coalitions; the search looks at a sample, all of them are looked at here once."""
    found = settle(homes, ["duals"])
    assert found.saving > 0.0
    assert found.allocations["duals"].total == pytest.approx(found.cost, rel=1e-12)
    shares = found.allocations["duals"].shares
    rows = np.arange(1, (1 << HOMES) - 1)
    worst = -np.inf
    for part in np.array_split(rows, 64):
        masks = (part[:, None] >> np.arange(HOMES) & 1).astype(bool)
        worst = max(worst, float((masks @ shares - homes.costs(masks)).max()))
    assert worst <= 1e-9 * found.cost


def test_price_rules_leave_some_homes_with_an_objection(homes):
    found = settle(homes, ["mmr", "sdr", "pro_rata"])
    assert all(objection.objects for objection in found.objections.values())
    for allocation in found.allocations.values():
        assert allocation.total == pytest.approx(found.cost, rel=1e-12)


def test_with_batteries_the_homes_are_planned_as_groups_within_a_stated_gap(homes):
    """6.4 kWh and 5 kW a home, efficiency 90 % there and back, as in the schema of the data set."""
    from dataclasses import replace

    one = np.ones(HOMES)
    battery = Storage(6.4 * one, 5.0 * one, 5.0 * one, (0.9**0.5, 0.9**0.5), 0.0)
    found = aggregate(replace(homes, storage=battery))
    assert found.upper < homes.cost()
    assert 0.0 <= found.gap < 0.002
