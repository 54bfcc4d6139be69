# SPDX-License-Identifier: Apache-2.0
"""The scenarios beside the examples: they read, every number has a source and a status, and their ratios follow from what they cite."""

from pathlib import Path

import pytest

from mangrove import rules
from mangrove.plan.scenario_file import read
from mangrove.territory import load

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*/scenarios/*.yaml"))


@pytest.fixture(scope="module")
def territories():
    return {name: load(EXAMPLES / name) for name in ("city", "park")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_an_example_reads_and_states_where_its_numbers_come_from(territories, path):
    scenario = read(territories[path.parent.parent.name], path)
    assert scenario.name == path.stem
    assert scenario.actions
    assert all(
        action.source and action.status and action.error + action.ratio_error for action in scenario.actions
    )


def test_the_furnace_needs_the_heat_that_its_oil_had(territories):
    scenario = read(territories["park"], EXAMPLES / "park" / "scenarios" / "fuel-switch.yaml")
    furnace = next(action for action in scenario.actions if action.id == "furnace_gas")
    assert furnace.ratio == rules.load().parameter("fuel/fuel_oil/ncv").value


def test_the_motorbikes_are_the_share_and_ratio_that_their_source_says(territories):
    scenario = read(territories["city"], EXAMPLES / "city" / "scenarios" / "ride-hailing.yaml")
    (bikes,) = scenario.actions
    burnt = 400_000 * 100 * 300 * 57e-6  # t CO2
    assert bikes.share == pytest.approx(burnt / 19_926_289.4, rel=0.02)
    energy = rules.load().parameter("vehicle/electric_motorcycle/energy").value  # kWh/vehicle_km
    assert bikes.ratio == pytest.approx(energy / 57e-6 / 1000, rel=0.01)  # MWh/t
