# SPDX-License-Identifier: Apache-2.0
"""Bills reproduce the published examples; schedules share energy without losing any."""

import csv
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RuleError
from mangrove.rules import tariffs

DAY = date(2026, 5, 1)
MONDAY, SUNDAY = datetime.fromisoformat("2026-05-04"), datetime.fromisoformat("2026-05-03")
CLOCK = st.datetimes(datetime.fromisoformat("2025-01-01"), datetime.fromisoformat("2027-01-01"))
QUARTER = timedelta(minutes=15)


def hourly(start: datetime, kw: float, hours: int = 24) -> list[tuple[datetime, float]]:
    return [(start + timedelta(hours=h), kw) for h in range(hours)]


def test_production_at_110_kv_with_vat():
    bill = tariffs.bill({"normal": 100, "offpeak": 50, "peak": 10}, "production", ">=110 kV", DAY)
    assert bill.total == pytest.approx(292_744.8, rel=1e-12)
    assert [(line.label, line.amount) for line in bill.lines] == [
        ("offpeak", 57_300),
        ("normal", 181_100),
        ("peak", 32_660),
    ]
    assert bill.subtotal + bill.vat == bill.total


def test_business_below_6_kv_at_peak():
    assert tariffs.bill({"peak": 200}, "business", "<6 kV", DAY).total == pytest.approx(
        1_171_152.0, rel=1e-12
    )


@pytest.mark.parametrize("name", ["legacy", "963"])
def test_a_flat_load_costs_the_same_under_both_schedules(name):
    energy = tariffs.schedule(name).split(hourly(MONDAY, 100), timedelta(hours=1))
    assert energy == {
        "peak": pytest.approx(500),
        "offpeak": pytest.approx(600),
        "normal": pytest.approx(1300),
    }
    assert tariffs.bill(energy, "production", "6-<22 kV", DAY, vat=0).total == pytest.approx(
        4_963_100, rel=1e-12
    )


def test_a_solar_shape_avoids_less_under_the_new_hours():
    values = [(MONDAY + timedelta(hours=h), max(0.0, 100 - 4 * (h - 12) ** 2)) for h in range(6, 19)]
    cost = {
        name: tariffs.bill(
            tariffs.schedule(name).split(values, timedelta(hours=1)), "production", "6-<22 kV", DAY, vat=0
        ).total
        for name in ("legacy", "963")
    }
    assert cost["963"] < 0.9 * cost["legacy"]


@pytest.mark.parametrize(
    ("name", "clock", "period"),
    [
        ("legacy", "09:29", "normal"), ("legacy", "09:30", "peak"), ("legacy", "11:30", "normal"), ("legacy", "17:00", "peak"),
        ("legacy", "20:00", "normal"), ("legacy", "22:00", "offpeak"), ("legacy", "03:59", "offpeak"),
        ("963", "05:59", "offpeak"), ("963", "06:00", "normal"), ("963", "10:00", "normal"), ("963", "17:30", "peak"),
        ("963", "22:29", "peak"), ("963", "22:30", "normal"), ("963", "00:00", "offpeak"),
    ],
)  # fmt: skip
def test_the_hours_of_a_weekday(name, clock, period):
    hour, minute = map(int, clock.split(":"))
    assert tariffs.schedule(name).period(MONDAY.replace(hour=hour, minute=minute)) == period


@pytest.mark.parametrize("name", ["legacy", "963"])
def test_sunday_has_no_peak_and_six_hours_off_peak(name):
    energy = tariffs.schedule(name).split(hourly(SUNDAY, 1), timedelta(hours=1))
    assert energy == {"peak": 0, "offpeak": pytest.approx(6), "normal": pytest.approx(18)}


@settings(deadline=None)
@given(
    start=CLOCK,
    minutes=st.integers(1, 3000),
    kwh=st.floats(0, 1e6),
    name=st.sampled_from(["legacy", "963"]),
)
def test_sharing_an_interval_keeps_its_energy(start, minutes, kwh, name):
    energy = tariffs.schedule(name).split([(start, kwh)], timedelta(minutes=minutes))
    assert sum(energy.values()) == pytest.approx(kwh, rel=1e-9)


@given(start=CLOCK, name=st.sampled_from(["legacy", "963"]))
def test_a_short_interval_lies_in_the_period_of_its_start(start, name):
    schedule = tariffs.schedule(name)
    (period,) = [
        p
        for p, kwh in schedule.split(
            [(start.replace(second=0, microsecond=0), 1.0)], timedelta(minutes=1)
        ).items()
        if kwh
    ]
    assert period == schedule.period(start)


def test_the_five_tiers_are_percentages_of_the_mean_price():
    tiers = [p.price for p in tariffs.prices() if p.customer == "residential_5tier"]
    assert tiers == [round(2204.0655 * percent / 100) for percent in (90, 108, 136, 162, 180)]


def test_a_household_pays_each_tier_at_its_price():
    bill = tariffs.residential_bill(250, DAY, vat=0)
    assert bill.total == 50 * 1984 + 50 * 2050 + 100 * 2380 + 50 * 2998
    five = tariffs.residential_bill(250, DAY, tiers="residential_5tier", vat=0)
    assert five.total == 100 * 1984 + 100 * 2380 + 50 * 2998
    assert tariffs.residential_bill(450, DAY, vat=0).lines[-1].quantity == 50


def test_half_a_month_has_half_tiers():
    half = tariffs.residential_bill(125, DAY, days=(15, 30), vat=0)
    assert half.total == pytest.approx(tariffs.residential_bill(250, DAY, vat=0).total / 2)


@given(st.floats(0, 5000), st.floats(0, 5000), st.sampled_from(["residential", "residential_5tier"]))
def test_more_use_never_costs_less_and_every_kwh_is_billed(first, second, tiers):
    low, high = sorted((first, second))
    bill = tariffs.residential_bill(high, DAY, tiers=tiers)
    assert tariffs.residential_bill(low, DAY, tiers=tiers).total <= bill.total + 1e-6
    assert sum(line.quantity for line in bill.lines) == pytest.approx(high, abs=1e-9)


def test_the_two_component_pilot_adds_capacity_and_energy():
    bill = tariffs.two_component_bill(1000, {"normal": 100_000, "peak": 20_000}, "6-<22 kV", DAY, vat=0)
    assert bill.total == 240_050 * 1000 + 1280 * 100_000 + 2189 * 20_000
    with pytest.raises(RuleError):
        tariffs.two_component_bill(1000, {}, "6-<22 kV", date(2024, 1, 1))


TERMS = tariffs.DppaTerms(strike=2100, fmp=1700, cfmp=1700, kpp=1.027263, adder=523.34)


def test_one_matched_kwh_of_a_grid_dppa():
    assert tariffs.dppa_price(TERMS) == pytest.approx(2669.6871, rel=1e-9)


def test_a_customer_with_a_grid_dppa():
    bill = tariffs.dppa_bill(5000, 2000, 1833, TERMS)
    amounts = {line.label: line.amount for line in bill.lines}
    assert amounts == {
        "shortfall": pytest.approx(5_499_000),
        "evn_dppa": pytest.approx(4_539_374.2, rel=1e-9),
        "cfd": pytest.approx(800_000),
    }
    assert bill.total == pytest.approx(10_838_374.2, rel=1e-9)
    assert tariffs.average_price([bill], 5000) == pytest.approx(2167.6748, rel=1e-6)


def test_the_dated_numbers_of_the_dppa_give_the_example_adder_and_losses():
    assert tariffs.parameter("cdppa", DAY) + tariffs.parameter("pcl", DAY) == pytest.approx(523.34)
    kpp = tariffs.parameter("kpp/22-<110 kV", DAY)
    assert tariffs.matched_output(1.02 * kpp * 1000, kpp) == pytest.approx(1000)


def test_the_rooftop_cap_and_the_vat_change_on_their_days():
    assert tariffs.parameter("rooftop_surplus_cap", date(2026, 6, 25)) == 20
    assert tariffs.parameter("rooftop_surplus_cap", date(2026, 6, 26)) == 50
    assert tariffs.vat_rate(date(2026, 12, 31)) == pytest.approx(0.08)
    with pytest.raises(RuleError):
        tariffs.vat_rate(date(2027, 1, 1))


def test_wrong_names_and_days_are_refused_with_what_exists():
    with pytest.raises(RuleError, match="production 6-<22 kV"):
        tariffs.bill({"peak": 1}, "production", "10 kV", DAY)
    with pytest.raises(RuleError):
        tariffs.bill({"peak": 1}, "production", "6-<22 kV", date(2020, 1, 1))
    with pytest.raises(RuleError, match="legacy, 963"):
        tariffs.schedule("qd963")
    with pytest.raises(RuleError):
        tariffs.residential_bill(10, DAY, tiers="residential_7tier")


@pytest.mark.data
def test_prices_equal_the_published_table(data_dir):
    path: Path = data_dir / "rules" / "vn_tariff_1279.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if row["customer"] in ("production", "business"):
                voltage = row["voltage_or_tier"].replace("kV", " kV")
                found = tariffs.price(row["customer"], voltage, DAY)[row["period"]]
                assert found.price == float(row["price"])
            elif row["price"]:
                assert float(row["price"]) in {
                    p.price for p in tariffs.prices() if p.customer.startswith("residential")
                }
