"""Defaults come from dated rows, with their status; what is declared takes their place."""

from datetime import date

import pytest

from mangrove.errors import RuleError
from mangrove.plan.defaults import money, sizes

DAY = date(2026, 9, 1)


def test_a_battery_has_costs_of_power_and_energy_and_of_its_replacement():
    found, rows = sizes("battery_li_ion", "north", DAY, life=12)
    rate = 26400
    assert (found["power"].cost, found["power"].again, found["power"].life) == (400 * rate, 200 * rate, 10)
    assert (found["energy"].cost, found["energy"].again) == (300 * rate, 150 * rate)
    assert {row.status for row in rows} == {"unofficial"}
    assert all(row.document for row in rows)


def test_every_rate_of_the_default_money_has_its_row():
    found, rows = money(DAY)
    assert (found.years, found.discount, found.tax, found.energy, found.om) == (25, 0.10, 0.20, 0.04, 0.03)
    assert len(rows) == 5


def test_a_technology_without_rows_is_refused():
    with pytest.raises(RuleError) as caught:
        sizes("pv_balcony", "south", DAY, life=25)
    assert caught.value.code == "rules.no_cost"
