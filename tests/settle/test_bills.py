# SPDX-License-Identifier: Apache-2.0
"""The bill of a site is its meter times the price list, hour by hour, and other calendars stand beside it."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.settle.worlds import START, declare, ingest, readings

import mangrove as mg
from mangrove.errors import RequestError

PRICES = {"offpeak": 1190.0, "normal": 1833.0, "peak": 3398.0}
"""Production, 22 to 110 kV, Decision 1279/QD-BCT."""


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return ingest(declare(tmp_path_factory.mktemp("park")), readings())


def by_hand(amounts):
    """VND before VAT under the hours before Decision 963: half of 09:00, half of 11:00, 17:00 to 20:00 are peak but on Sundays."""
    total = 0.0
    for hour, kwh in enumerate(amounts):
        local = (START + timedelta(hours=hour)).astimezone(ZoneInfo("Asia/Ho_Chi_Minh"))
        sunday, at = local.weekday() == 6, local.hour
        peak = 0.0 if sunday else {9: 0.5, 10: 1.0, 11: 0.5, 17: 1.0, 18: 1.0, 19: 1.0}.get(at, 0.0)
        low = 1.0 if at >= 22 or at < 4 else 0.0
        price = peak * PRICES["peak"] + low * PRICES["offpeak"] + (1.0 - peak - low) * PRICES["normal"]
        total += kwh * price
    return total


def test_a_bill_is_the_meter_times_the_price_list(park):
    made = mg.api.bill(park, "mill", "2026-03-01", "2026-03-08")
    amounts = readings()["mill.in"]
    assert sum(month.subtotal for month in made.bills) == pytest.approx(by_hand(amounts), rel=1e-12)
    assert made.total == pytest.approx(by_hand(amounts) * 1.08, rel=1e-12)
    assert made.imported == pytest.approx(amounts.sum(), rel=1e-12)


def test_lines_add_up_to_the_energy_of_the_meter(park):
    made = mg.api.bill(park, "office", "2026-03-01", "2026-03-08")
    assert sum(line.quantity for month in made.bills for line in month.lines) == pytest.approx(made.imported)


def test_calendars_stand_side_by_side_with_the_same_energy(park):
    made = mg.api.bill(park, "mill", "2026-03-01", "2026-03-08", regimes=("legacy", "963"))
    rows = {row.label: row for row in made.comparison}
    energy = {name: sum(rows[p].quantity[name] for p in PRICES) for name in ("legacy", "963")}
    assert energy["legacy"] == pytest.approx(energy["963"])
    assert rows["total"].amount["legacy"] == pytest.approx(made.total)
    assert rows["total"].amount["963"] != pytest.approx(made.total)
    assert np.isfinite(list(rows["vat"].amount.values())).all()


def test_a_place_without_a_connection_is_named_with_those_that_have_one(park):
    with pytest.raises(RequestError) as caught:
        mg.api.bill(park, "mil", "2026-03-01", "2026-03-08")
    assert caught.value.code == "settle.unknown_site"
    assert "mill" in caught.value.text("vi")
