# SPDX-License-Identifier: Apache-2.0
"""Default costs, finance and the carbon price: each with its row, status and source; nothing without one."""

import json
from datetime import date

import pytest

from mangrove.errors import RequestError, RuleError
from mangrove.rules import costs, tables, tariffs


@pytest.mark.parametrize(
    ("technology", "region", "parameter", "value", "unit"),
    [
        ("pv_rooftop", "north", "capital", 650 * 26_400, "VND/kW"),
        ("pv_ground", "central", "om", 8 * 26_400, "VND/kW/yr"),
        ("wind_onshore", "south", "capital", 1350 * 26_400, "VND/kW"),
        ("battery_li_ion", "south", "capital_energy", 270 * 26_400, "VND/kWh"),
        ("battery_li_ion", "north", "replacement_year", 10, "yr"),
        ("diesel_generator", "south", "efficiency_full_load", 0.35, "1"),
    ],
)
def test_costs_are_converted_and_name_their_row(technology, region, parameter, value, unit):
    amount = costs.cost(technology, region)[parameter]
    assert (amount.value, amount.unit) == (pytest.approx(value), unit)
    assert amount.status == "unofficial"
    assert amount.document
    assert amount.row.startswith(technology)
    assert amount.row.endswith(parameter)
    assert ("26400 VND/USD" in amount.note) == unit.startswith("VND")


def test_no_default_is_without_unit_source_and_status():
    for name in ("technology_costs", "finance_defaults"):
        for row in tables.rows(name):
            assert float(row["value"]) > 0
            assert row["unit"]
            assert row["document"]
            assert row["status"] == "unofficial"
            assert tables.day(row["valid_from"])


def test_defaults_of_finance_are_fractions_and_numbers():
    assert costs.finance("tax/standard").value == pytest.approx(0.2)
    assert costs.finance("years").value == 25
    holiday = (
        4 * 0 + 9 * costs.finance("tax/renewable").value / 2 + 12 * costs.finance("tax/renewable").value
    ) / 25
    assert costs.finance("tax/renewable_mean").value == pytest.approx(holiday)


def test_what_is_not_known_is_refused():
    with pytest.raises(RuleError, match="pv_rooftop south"):
        costs.cost("pv_roof", "south")
    with pytest.raises(RuleError):
        costs.cost("pv_rooftop", "east")
    with pytest.raises(RuleError):
        costs.cost("pv_rooftop", "south", date(2020, 1, 1))
    with pytest.raises(RuleError, match="discount/offtaker"):
        costs.finance("discount/oftaker")


def test_the_carbon_price_is_the_middle_of_the_trades_and_a_declared_one_wins():
    traded = costs.carbon_price(date(2026, 9, 17))
    assert (traded.low, traded.value, traded.high, traded.status) == (130_000, 133_000, 136_000, "official")
    assert "7 trades" in traded.note
    declared = costs.carbon_price(date(2020, 1, 1), declared=200_000)
    assert (declared.value, declared.status) == (200_000, "declared")
    with pytest.raises(RuleError):
        costs.carbon_price(date(2026, 6, 28))
    with pytest.raises(RequestError):
        costs.carbon_price(date(2026, 9, 17), declared=float("nan"))


def test_the_price_of_surplus_is_dated_and_unofficial():
    row = tariffs.parameter_row("rooftop_surplus_price", date(2026, 5, 1))
    assert (row.value, row.status) == (671, "unofficial")
    with pytest.raises(RuleError):
        tariffs.parameter_row("rooftop_surplus_price", date(2025, 5, 31))


@pytest.mark.data
def test_costs_and_finance_equal_the_published_files(data_dir):
    folder = data_dir / "energy" / "vietnam"
    printed = json.loads((folder / "vn_tech_costs_2025.json").read_text(encoding="utf-8"))["data"]
    places = {
        "pv_rooftop": printed["PV"]["rooftop"], "pv_ground": printed["PV"]["ground"],
        "wind_onshore": printed["Wind"]["onshore"], "battery_li_ion": printed["ElectricStorage"]["li_ion"],
    }  # fmt: skip
    for technology, regions in places.items():
        for region, values in regions.items():
            found = costs.cost(technology, region)
            names = {
                "installed_cost_per_kw": "capital",
                "installed_cost_per_kwh": "capital_energy",
                "om_cost_per_kw": "om",
            }
            for name, value in values.items():
                assert found[names[name]].printed.split()[0] == str(value)
    finance = json.loads((folder / "vn_financial_defaults_2025.json").read_text(encoding="utf-8"))["data"][
        "standard"
    ]
    assert costs.finance("discount/offtaker").value == pytest.approx(
        finance["offtaker_discount_rate_fraction"]
    )
    assert costs.finance("tax/standard").value == pytest.approx(finance["owner_tax_rate_fraction"])
    assert costs.finance("escalation/electricity").value == pytest.approx(
        finance["elec_cost_escalation_rate_fraction"]
    )


@pytest.mark.data
def test_charging_and_other_percentages_equal_the_published_file(data_dir):
    printed = json.loads(
        (data_dir / "energy" / "vietnam" / "vn_tariff_2025.json").read_text(encoding="utf-8")
    )["data"]
    rates = printed["rate_multipliers"]
    base = printed["base_avg_price_vnd_per_kwh"]
    lists = {
        ("ev_charging", ">1 kV"): rates["commercial"]["ev_charging"]["medium_voltage_and_above_1kv"],
        ("ev_charging", "<=1 kV"): rates["commercial"]["ev_charging"]["low_voltage_1kv_and_below"],
        ("production_14", "220 kV"): rates["production"]["high_voltage_220kv"],
        ("production_14", ">35 kV"): rates["production"]["high_voltage_above_35kv_below_220kv"],
        ("production_14", ">1-35 kV"): rates["production"]["medium_voltage_above_1kv_to_35kv"],
        ("production_14", "<=1 kV"): rates["production"]["low_voltage_1kv_and_below"],
    }
    for (customer, voltage), shares in lists.items():
        rows = tariffs.price(customer, voltage, date(2026, 5, 1))
        assert [rows[p].price for p in tariffs.PERIODS] == [
            round(base * shares[p]) for p in ("offpeak", "standard", "peak")
        ]
