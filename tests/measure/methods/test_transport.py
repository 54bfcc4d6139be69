# SPDX-License-Identifier: Apache-2.0
"""Vehicle-kilometers: a factor that is not official is used only because there is no other, and says so."""

import pytest


def test_a_fleet_with_its_own_factor(ask):
    driven = ask("vehicle_km:motorcycle", "vehicle_km", parameters={"factor": "90.83 g/vehicle_km"})
    assert 1000 * driven.kg("CO2") == pytest.approx(90.83)


def test_a_car_by_the_only_table_there_is(ask):
    """294 g/km, an alternate row."""
    (coefficient,) = ask("vehicle_km:car", "vehicle_km").pick("CO2")
    assert coefficient.value == pytest.approx(0.294)
    assert "rules.caution_alternate" in coefficient.note.split()


def test_a_class_without_a_name_is_a_gap(ask):
    assert ask("vehicle_km", "vehicle_km").codes == ["methods.needs_parameter"]
