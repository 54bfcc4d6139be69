# SPDX-License-Identifier: Apache-2.0
"""Reported totals: taken as they are, bound to the GWP set of their report."""

import pytest


def test_a_reported_gas_is_its_mass(ask):
    assert ask("reported:CH4", "t").kg("CH4") == pytest.approx(1000)


def test_reported_co2e_names_its_gwp_set(ask):
    (coefficient,) = ask("reported:CO2e", "t", parameters={"gwp": "AR4"}).pick("CO2e")
    assert (coefficient.value, coefficient.note) == (pytest.approx(1000), "AR4")


def test_co2e_without_a_set_is_a_gap(ask):
    assert ask("reported:CO2e", "t").codes == ["methods.needs_parameter"]
    assert ask("reported", "t").codes == ["methods.needs_gas"]
