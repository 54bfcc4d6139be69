# SPDX-License-Identifier: Apache-2.0
"""Contracts: published bills, the calendar minute by minute, dated changes, and sums that hold."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError, RuleError
from mangrove.rules import contracts, tariffs
from mangrove.rules.contracts import Contract
from mangrove.territory import load

VN = "Asia/Ho_Chi_Minh"
MILL = Contract("tou", "production", "6-<22 kV")
QUARTER = 0.25


def steps(first: str, last: str, hours: float, zone: str = VN) -> np.ndarray:
    """Starts in UTC of the steps between two local times."""
    start, end = (
        np.datetime64(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None), "s")
        for day in (first, last)
    )  # fmt: skip
    return np.arange(start, end, np.timedelta64(round(hours * 3600), "s"))


def local(starts: np.ndarray, zone: str = VN) -> list[datetime]:
    return [
        moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        for moment in starts.tolist()
    ]


MONDAY = steps("2026-05-04", "2026-05-05", 1.0)


def one_bill(contract: Contract, starts: np.ndarray, hours: float, use, **energy) -> tariffs.Bill:
    (bill,) = contract.bills(starts, hours, VN, np.asarray(use, float) * np.ones(len(starts)), **energy)
    return bill


def amounts(bill: tariffs.Bill) -> dict[str, float]:
    return {line.label: line.amount for line in bill.lines}


# --- published examples ---------------------------------------------------------------------------------------------


def test_production_at_110_kv_with_vat_as_published():
    use = np.zeros(24)
    use[[2, 8, 18]] = 50, 100, 10  # off-peak, normal, peak
    bill = one_bill(Contract("tou", "production", ">=110 kV", hours="963"), MONDAY, 1.0, use)
    assert bill.total == pytest.approx(292_744.8, rel=1e-12)  # TAR-01
    assert bill.month == "2026-05"


def test_business_below_6_kv_at_peak_as_published():
    use = np.zeros(24)
    use[19] = 200
    bill = one_bill(Contract("tou", "business", "<6 kV"), MONDAY, 1.0, use)
    assert bill.total == pytest.approx(1_171_152.0, rel=1e-12)  # TAR-03


@pytest.mark.parametrize("hours", [0.25, 0.5, 1.0, 2.0, 1 / 60])
@pytest.mark.parametrize("name", ["legacy", "963"])
def test_a_flat_load_costs_the_same_under_both_calendars_at_every_step(name, hours):
    day = steps("2026-05-04", "2026-05-05", hours)
    bill = one_bill(replace(MILL, vat=0.0).with_hours(name), day, hours, 100 * hours)
    assert bill.total == pytest.approx(4_963_100, rel=1e-12)  # TOU-01


def test_hours_and_a_half_are_shared_so_that_the_peak_has_five_hours():
    terms = MILL.with_hours("963").terms(MONDAY, 1.0, VN)
    assert terms.shares.sum(axis=0).tolist() == [
        6.0,
        13.0,
        5.0,
    ]  # hours 17 to 22 as whole peak hours would be six
    assert terms.shares[17].tolist() == [0.0, 0.5, 0.5]
    assert terms.buy[17] == (1899 + 3508) / 2
    assert terms.period[[5, 6, 17, 18, 22]].tolist() == [0, 1, 2, 2, 2]


DPPA = Contract(
    "dppa", "production", "22-<110 kV", hours="963", strike=2100, fmp=1700, cfmp=1700, share=0.4, vat=0.0
)


def test_one_matched_kwh_of_a_grid_dppa_as_published():
    terms = replace(DPPA, share=1.0).terms(MONDAY, 1.0, VN)
    assert terms.buy == pytest.approx(2669.6871, rel=1e-9)  # DPPA-01


def test_a_customer_with_a_grid_dppa_as_published():
    use = np.zeros(24)
    use[8] = 5000
    bill = one_bill(DPPA, MONDAY, 1.0, use)  # DPPA-02: 2000 of 5000 kWh in a normal hour
    assert amounts(bill) == {
        "normal": pytest.approx(5_499_000),
        "evn_dppa": pytest.approx(4_539_374.2, rel=1e-9),
        "cfd": pytest.approx(800_000),
    }
    assert bill.total / 5000 == pytest.approx(2167.6748, rel=1e-6)
    assert bill.total == pytest.approx(use @ DPPA.terms(MONDAY, 1.0, VN).buy)


def test_a_metered_generator_covers_what_falls_into_the_same_step():
    output = np.zeros(24)
    output[[8, 20]] = 1.02 * 1.027263 * 2000, 9999  # no use at 20:00: what is generated then covers nothing
    use = np.zeros(24)
    use[8] = 5000
    assert amounts(one_bill(DPPA, MONDAY, 1.0, use, contracted=output)) == pytest.approx(
        amounts(one_bill(DPPA, MONDAY, 1.0, use))
    )


def test_the_difference_contract_pays_back_when_the_market_is_above_the_strike_and_bears_no_vat():
    bill = one_bill(replace(DPPA, strike=1500, vat=None), MONDAY, 1.0, 100)
    assert amounts(bill)["cfd"] == pytest.approx(-200 * 0.4 * 2400)
    taxed = sum(amount for label, amount in amounts(bill).items() if label != "cfd")
    assert bill.vat == pytest.approx(0.08 * taxed)


def test_a_private_wire_has_the_negotiated_price():
    wire = Contract("dppa", "production", "22-<110 kV", hours="963", price=1500, share=1.0)
    assert set(wire.terms(MONDAY, 1.0, VN).buy) == {1500.0}
    assert [line.label for line in one_bill(wire, MONDAY, 1.0, 100).lines] == ["private_wire"]
    output = np.full(24, 30.0)
    lines = {line.label: line.quantity for line in one_bill(wire, MONDAY, 1.0, 100, contracted=output).lines}
    assert lines["private_wire"] == pytest.approx(720)
    assert sum(lines.values()) == pytest.approx(2400)


def test_the_two_component_pilot_adds_the_capacity_of_the_best_half_hour():
    contract = Contract("two_component", voltage="6-<22 kV", hours="963", vat=0.0)
    month = steps("2026-05-01", "2026-06-01", QUARTER)
    use = np.full(len(month), 100.0)
    use[1001] = 350.0  # 400 kW, 1,400 kW: the half hour from 1000 to 1001 has a mean of 900 kW
    bill = one_bill(contract, month, QUARTER, use)
    by_hand = tariffs.two_component_bill(
        900.0,
        {line.label: line.quantity for line in bill.lines if line.unit == "kWh"},
        "6-<22 kV",
        date(2026, 5, 1),
        vat=0.0,
    )
    assert bill.total == pytest.approx(by_hand.total, rel=1e-12)
    assert contract.terms(month, QUARTER, VN).demand == 240_050
    lines = amounts(bill)
    assert lines["capacity"] == 240_050 * 900
    assert sum(line.quantity for line in bill.lines if line.unit == "kWh") == pytest.approx(use.sum())


def test_half_hours_are_those_of_the_clock_not_of_the_series():
    contract = Contract("flat", price=0.0, demand=1.0, vat=0.0)
    month = steps("2026-05-01T00:15", "2026-05-02", QUARTER)
    use = np.zeros(len(month))
    use[[4, 5]] = 100.0  # 01:15 and 01:30 stand in two half hours
    assert amounts(one_bill(contract, month, QUARTER, use))["capacity"] == 200.0
    use[[4, 5, 6]] = 0.0, 100.0, 100.0  # 01:30 and 01:45 in one
    assert amounts(one_bill(contract, month, QUARTER, use))["capacity"] == 400.0


def test_a_household_pays_by_tier_and_part_of_a_month_has_smaller_tiers():
    home = Contract("residential", vat=0.0)
    june = steps("2026-06-01", "2026-07-01", 1.0)
    assert one_bill(home, june, 1.0, 250 / 720).total == pytest.approx(
        50 * 1984 + 50 * 2050 + 100 * 2380 + 50 * 2998
    )
    half = one_bill(home, june[:360], 1.0, 250 / 720)
    assert half.total == pytest.approx(one_bill(home, june, 1.0, 250 / 720).total / 2)
    five = Contract("residential", "residential_5tier", vat=0.0)
    assert one_bill(five, june, 1.0, 250 / 720).total == pytest.approx(100 * 1984 + 100 * 2380 + 50 * 2998)


def test_one_more_kwh_of_a_household_costs_its_tier_and_is_unknown_without_its_use():
    assert np.isnan(Contract("residential").terms(MONDAY, 1.0, VN).buy).all()
    for use, price in ((49, 1984), (50, 2050), (350, 3350), (5000, 3460)):
        assert set(Contract("residential", monthly_use=use).terms(MONDAY, 1.0, VN).buy) == {float(price)}


@pytest.mark.parametrize(
    ("voltage", "percent"), [(">1 kV", (71, 118, 174)), ("<=1 kV", (75, 125, 195))]
)  # Decision 14/2025/QD-TTg, one secondary source
def test_charging_prices_are_percentages_of_the_mean_price_and_unofficial(voltage, percent):
    terms = Contract("ev_charging", voltage=voltage, hours="963").terms(MONDAY, 1.0, VN)
    assert terms.buy[[0, 8, 19]].tolist() == [round(2204.0655 * p / 100) for p in percent]
    assert {source.status for source in terms.sources if source.what == "price"} == {"unofficial"}


# --- the calendar ---------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(
    start=st.datetimes(datetime.fromisoformat("2025-06-01"), datetime.fromisoformat("2026-12-20")),
    minutes=st.sampled_from([1, 5, 15, 30, 45, 60, 90, 1440]),
    count=st.integers(1, 60),
    name=st.sampled_from(["legacy", "963", "law"]),
)
def test_prices_of_steps_are_means_of_their_minutes(start, minutes, count, name):
    """The vectorised terms against `Schedule.period`, minute by minute."""
    start = start.replace(second=0, microsecond=0)
    starts = np.datetime64(start, "s") + np.arange(count) * np.timedelta64(minutes * 60, "s")
    terms = MILL.with_hours(name).terms(starts, minutes / 60, VN)
    walls = local(np.datetime64(start, "s") + np.arange(count * minutes) * np.timedelta64(60, "s"))
    change = datetime.fromisoformat("2026-04-22")
    prices = tariffs.price("production", "6-<22 kV", date(2026, 1, 1))
    by_minute = [
        prices[
            tariffs.schedule(
                name if name != "law" else ("963" if wall >= change else "legacy")
            ).period(wall)
        ].price
        for wall in walls
    ]  # fmt: skip
    assert terms.buy == pytest.approx(np.reshape(by_minute, (count, minutes)).mean(axis=1), rel=1e-12)
    assert terms.shares.sum(axis=1) == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(
    start=st.datetimes(datetime.fromisoformat("2026-03-20"), datetime.fromisoformat("2026-11-05")),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_the_calendar_follows_a_clock_that_is_changed(start, zone):
    starts = np.datetime64(start.replace(second=0, microsecond=0, minute=0), "s") + np.arange(
        300
    ) * np.timedelta64(900, "s")
    terms = replace(MILL, hours="963", vat=0.1).terms(starts, QUARTER, zone)
    periods = [tariffs.PERIODS.index(tariffs.schedule("963").period(wall)) for wall in local(starts, zone)]
    assert terms.period.tolist() == periods


def test_months_and_years_begin_at_local_midnight():
    terms = MILL.terms(steps("2025-12-31T23:00", "2026-02-01T01:00", QUARTER), QUARTER, VN)
    assert terms.months == ("2025-12", "2026-01", "2026-02")
    assert np.bincount(terms.month).tolist() == [4, 31 * 96, 4]


def test_the_law_changes_the_hours_on_its_day():
    starts = steps("2026-04-21", "2026-04-23", QUARTER)
    law, old, new = (
        MILL.with_hours(name).terms(starts, QUARTER, VN).period for name in ("law", "legacy", "963")
    )
    assert (law[:96] == old[:96]).all()
    assert (law[96:] == new[96:]).all()
    assert (old != new).any()
    named = {s.what for s in MILL.terms(starts, QUARTER, VN).sources}
    assert {"hours legacy", "hours 963"} <= named
    assert "hours 963" not in {s.what for s in MILL.terms(starts[:96], QUARTER, VN).sources}


def test_holidays_are_sundays_only_when_asked_and_only_where_known():
    tet = steps("2026-02-17", "2026-02-18", 1.0)
    days = (date(2026, 2, 17),)
    assert (MILL.terms(tet, 1.0, VN).period == 2).any()
    quiet = replace(MILL, holidays_as_sunday=True, holidays=days).terms(tet, 1.0, VN)
    assert not (quiet.period == 2).any()
    assert ("holidays as Sundays", "declared") in {(s.what, s.status) for s in quiet.sources}
    with pytest.raises(RuleError) as failed:
        replace(MILL, holidays_as_sunday=True, vat=0.1).terms(steps("2031-02-17", "2031-02-18", 1.0), 1.0, VN)
    assert failed.value.code == "rules.no_holidays"
    first_of_may = steps("2025-06-01", "2025-09-03", 1.0)
    listed = replace(MILL, holidays_as_sunday=True).terms(first_of_may, 1.0, VN)
    assert not (listed.period[-24:] == 2).any()  # 2 September, National Day, is in the table of the rules


def test_prices_of_one_day_can_hold_throughout():
    old = steps("2018-01-01", "2018-01-02", 1.0)
    with pytest.raises(RuleError) as failed:
        MILL.terms(old, 1.0, VN)
    assert failed.value.code == "rules.not_that_day"
    assert "2025-05-10" in str(failed.value)
    pinned = replace(MILL, prices_on=date(2026, 5, 1)).terms(old, 1.0, VN)
    assert (pinned.buy == MILL.terms(MONDAY, 1.0, VN).buy).all()
    assert pinned.months == ("2018-01",)


def test_a_solar_shape_is_worth_less_under_the_new_hours():
    sun = np.maximum(0.0, 100 - 4 * (np.arange(24) - 12.0) ** 2)
    worth = {
        name: float(sun @ MILL.with_hours(name).terms(MONDAY, 1.0, VN).buy) for name in ("legacy", "963")
    }
    assert worth["963"] < 0.9 * worth["legacy"]


# --- sums -----------------------------------------------------------------------------------------------------------

YEAR = steps("2026-01-01", "2027-01-01", 1.0)
RANDOM = np.random.default_rng(7)
LOAD = RANDOM.gamma(2.0, 150.0, len(YEAR))


def test_a_year_is_the_sum_of_its_months_and_of_its_prices():
    bills = MILL.bills(YEAR, 1.0, VN, LOAD)
    assert [bill.month for bill in bills] == [f"2026-{n:02d}" for n in range(1, 13)]
    terms = MILL.terms(YEAR, 1.0, VN)
    assert sum(bill.subtotal for bill in bills) == pytest.approx(LOAD @ terms.buy, abs=0.5)  # to the dong
    assert sum(bill.total for bill in bills) == pytest.approx(1.08 * (LOAD @ terms.buy), abs=0.5)
    assert sum(line.quantity for bill in bills for line in bill.lines) == pytest.approx(LOAD.sum(), rel=1e-12)
    for number, bill in enumerate(bills):
        (alone,) = MILL.bills(YEAR[terms.month == number], 1.0, VN, LOAD[terms.month == number])
        assert alone.total == pytest.approx(bill.total, abs=0.5)
        assert bill.total == pytest.approx(sum(line.amount for line in bill.lines) + bill.vat, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), min_size=48, max_size=48))
def test_the_energy_of_a_sum_costs_the_sum_of_both(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    starts = steps("2026-04-21", "2026-04-23", 1.0)
    contract = Contract("two_component", voltage="22-<110 kV")

    def energy(use: np.ndarray) -> float:
        (bill,) = contract.bills(starts, 1.0, VN, use)
        return sum(line.amount for line in bill.lines if line.unit == "kWh")

    assert energy(first + second) == pytest.approx(energy(first) + energy(second), abs=0.5)
    (both,), (one,), (other,) = (
        contract.bills(starts, 1.0, VN, use) for use in (first + second, first, second)
    )

    def capacity(bill: tariffs.Bill) -> float:
        return sum(line.amount for line in bill.lines if line.unit == "kW")

    assert (
        capacity(both) <= capacity(one) + capacity(other) + 0.5
    )  # peaks that do not coincide cost less together


def test_regimes_stand_beside_each_other():
    rows = {row.label: row for row in contracts.compare(MILL, YEAR, 1.0, VN, LOAD)}
    for name in ("legacy", "963"):
        bills = MILL.with_hours(name).bills(YEAR, 1.0, VN, LOAD)
        assert rows["total"].amount[name] == pytest.approx(sum(bill.total for bill in bills))
        assert rows["peak"].quantity[name] == pytest.approx(
            sum(line.quantity for bill in bills for line in bill.lines if line.label == "peak")
        )
    assert list(rows) == ["offpeak", "normal", "peak", "subtotal", "vat", "total"]
    pilot = Contract("two_component", voltage="6-<22 kV", name="pilot")
    rows = {row.label: row for row in contracts.compare(MILL, YEAR, 1.0, VN, LOAD, regimes=("law", pilot))}
    assert rows["capacity"].amount["law"] == 0.0
    assert rows["capacity"].amount["pilot"] > 0


# --- surplus --------------------------------------------------------------------------------------------------------


def test_surplus_is_paid_up_to_a_share_of_the_generation_of_the_year_and_the_share_changes_on_its_day():
    contract = replace(MILL, export="law")
    made, sold = np.full(len(YEAR), 100.0), np.full(len(YEAR), 40.0)
    terms = contract.terms(YEAR, 1.0, VN)
    change = int((steps("2026-01-01", "2026-06-26", 1.0)).size)
    assert isinstance(terms.export_cap, np.ndarray)
    assert terms.export_cap[[change - 1, change]] == pytest.approx([0.2, 0.5])
    assert set(terms.sell) == {671.0}
    bills = contract.bills(YEAR, 1.0, VN, LOAD, sold, made)
    paid = sum(line.quantity for bill in bills for line in bill.lines if line.label == "export")
    assert paid == pytest.approx(min(sold.sum(), made @ terms.export_cap))
    credit = sum(line.amount for bill in bills for line in bill.lines if line.label == "export")
    assert credit == pytest.approx(-671 * paid)
    rest = sum(line.quantity for bill in bills for line in bill.lines if line.label == "export_over_cap")
    assert paid + rest == pytest.approx(sold.sum())
    assert sum(bill.vat for bill in bills) == pytest.approx(0.08 * (LOAD @ terms.buy))


def test_a_declared_price_and_cap_win_and_the_year_begins_anew():
    contract = replace(MILL, export=1000.0, export_cap=0.5)
    starts = steps("2025-12-31", "2026-01-02", 1.0)
    made = np.full(48, 10.0)
    sold = np.repeat(
        [2.0, 9.0], 24
    )  # 48 of 120 kWh on the last day, 216 of 120 on the first of the next year
    bills = contract.bills(starts, 1.0, VN, np.zeros(48), sold, made)
    assert [amounts(bill) for bill in bills] == [
        {"export": -48_000.0},
        {"export": -120_000.0, "export_over_cap": 0.0},
    ]
    assert contract.terms(starts, 1.0, VN).export_cap == 0.5
    assert bills[1].total == -120_000.0


def test_a_month_catches_up_on_surplus_that_one_before_had_too_much():
    contract = replace(MILL, export=1000.0, export_cap=0.5)
    starts = steps("2026-01-31", "2026-02-02", 1.0)
    sold = np.repeat([9.0, 1.0], 24)
    bills = contract.bills(starts, 1.0, VN, np.zeros(48), sold, np.full(48, 10.0))
    quantities = [{line.label: line.quantity for line in bill.lines} for bill in bills]
    assert quantities == [
        {"export": 120.0, "export_over_cap": 96.0},
        {"export": 120.0, "export_over_cap": -96.0},
    ]


def test_surplus_without_a_price_earns_nothing_and_a_cap_needs_the_generation():
    terms = MILL.terms(MONDAY, 1.0, VN)
    assert (set(terms.sell), terms.export_cap) == ({0.0}, None)
    assert amounts(one_bill(MILL, MONDAY, 1.0, 0.0, exported=np.ones(24))) == {"export": 0.0}
    with pytest.raises(RequestError) as failed:
        one_bill(replace(MILL, export="law"), MONDAY, 1.0, 0.0, exported=np.ones(24))
    assert failed.value.code == "rules.generation_needed"


def test_every_line_has_words_in_both_languages():
    wire = replace(DPPA, strike=None, price=1.0, fmp=None, cfmp=None, export=1.0, export_cap=0.1)
    day = {"exported": np.ones(24), "generated": np.ones(24)}
    cases = [
        one_bill(DPPA, MONDAY, 1.0, 1.0), one_bill(wire, MONDAY, 1.0, 1.0, **day),
        one_bill(Contract("two_component", voltage="<6 kV"), MONDAY, 1.0, 1.0),
        one_bill(Contract("flat", price=1.0), MONDAY, 1.0, 1.0), one_bill(Contract("residential"), MONDAY, 1.0, 50.0),
        tariffs.dppa_bill(5, 2, 1833, tariffs.DppaTerms(2100, 1700, 1700, 1.027263, 523.34)),
    ]  # fmt: skip
    lines = [line for bill in cases for line in bill.lines]
    assert len({line.label for line in lines}) > 15
    for line in lines:
        assert line.text("en") != line.text("vi")
        assert "rules." not in line.text("en") + line.text("vi")


def test_a_voltage_without_a_published_loss_factor_needs_it_declared():
    office = replace(DPPA, customer="business", voltage=">=22 kV")
    with pytest.raises(RuleError) as failed:
        office.terms(MONDAY, 1.0, VN)
    assert (failed.value.code, failed.value.problem.data["key"]) == ("rules.declare_price", "kpp")
    declared_loss = replace(office, kpp=1.027263, share=1.0)
    assert declared_loss.terms(MONDAY, 1.0, VN).buy == pytest.approx(2669.6871, rel=1e-9)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"kind": "tow"}, "rules.unknown_kind"),
        ({"kind": "tou", "customer": "prodution", "voltage": "<6 kV"}, "rules.unknown_customer"),
        ({"kind": "tou", "customer": "ev_charging", "voltage": ">1 kV"}, "rules.unknown_customer"),
        ({"kind": "tou", "customer": "business", "voltage": ">=110 kV"}, "rules.unknown_voltage"),
        ({"kind": "flat"}, "rules.contract_needs"),
        ({"kind": "flat", "price": float("nan")}, "rules.bad_amount"),
        ({"kind": "flat", "price": -1.0}, "rules.bad_amount"),
        ({"kind": "flat", "price": 1.0, "hours": "364"}, "rules.unknown_schedule"),
        ({"kind": "flat", "price": 1.0, "export": "low"}, "rules.bad_amount"),
        ({"kind": "residential", "voltage": "<6 kV"}, "rules.contract_ignores"),
        ({"kind": "dppa", "customer": "production", "voltage": ">=110 kV", "share": 0.5}, "rules.dppa_price"),
        ({"kind": "dppa", "customer": "production", "voltage": ">=110 kV", "share": 1.5, "price": 1.0}, "rules.bad_share"),
        ({"kind": "dppa", "customer": "production", "voltage": ">=110 kV", "share": 0.5, "strike": 1.0, "kpp": 0.0}, "rules.bad_loss"),
    ],
)  # fmt: skip
def test_a_contract_that_cannot_be_is_refused_with_a_name(terms, code):
    with pytest.raises(RuleError) as failed:
        Contract(**terms)
    assert failed.value.code == code
    assert failed.value.problem.text("vi") != failed.value.problem.text("en")


@pytest.mark.parametrize(
    ("starts", "hours", "use", "code"),
    [
        (MONDAY, 1.0, np.ones(23), "rules.wrong_length"),
        (MONDAY, 1.0, np.full(24, np.nan), "rules.not_finite"),
        (MONDAY, 1.0, -np.ones(24), "rules.negative_energy"),
        (np.delete(MONDAY, 5), 1.0, np.ones(23), "rules.gap_in_steps"),
        (MONDAY[::-1], 1.0, np.ones(24), "rules.gap_in_steps"),
        (MONDAY, 0.5, np.ones(24), "rules.gap_in_steps"),
        (MONDAY, 0.0, np.ones(24), "rules.bad_step"),
        (MONDAY, float("nan"), np.ones(24), "rules.bad_step"),
        ([], 1.0, [], "rules.bad_starts"),
        (["NaT"], 1.0, [1.0], "rules.bad_starts"),
        (["yesterday"], 1.0, [1.0], "rules.bad_starts"),
    ],
)
def test_series_that_cannot_be_billed_are_refused_with_the_place(starts, hours, use, code):
    with pytest.raises(RequestError) as failed:
        MILL.bills(starts, hours, VN, use)
    assert failed.value.code == code


def test_steps_that_do_not_divide_the_half_hour_have_no_billed_power():
    third = steps("2026-05-04", "2026-05-05", 1 / 3)
    with pytest.raises(RequestError) as failed:
        Contract("two_component", voltage="<6 kV").bills(third, 1 / 3, VN, np.ones(72))
    assert failed.value.code == "rules.step_not_in_window"
    assert MILL.bills(third, 1 / 3, VN, np.ones(72))


def test_what_the_rules_do_not_know_must_be_declared():
    future = steps("2027-03-01", "2027-03-02", 1.0)
    assert MILL.terms(future, 1.0, VN).vat is None
    with pytest.raises(RuleError) as failed:
        MILL.bills(future, 1.0, VN, np.ones(24))
    assert (failed.value.code, failed.value.problem.data["key"]) == ("rules.declare_price", "vat")
    assert replace(MILL, vat=0.1).bills(future, 1.0, VN, np.ones(24))[0].vat_rate == 0.1
    with pytest.raises(RuleError) as failed:
        replace(DPPA, fmp=None).terms(MONDAY, 1.0, VN)  # the mean of 2026 is not published
    assert (failed.value.code, failed.value.problem.data["key"]) == ("rules.declare_price", "fmp")


# --- declared contracts ---------------------------------------------------------------------------------------------

DECLARED = """\
name: Park
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: en
tariffs:
- {id: park, carrier: electricity, source: Contract 1, kind: tou, customer: production, voltage: 22-<110 kV, export: law}
- {id: mill-2025, carrier: electricity, source: Contract 2, kind: flat, price: 1900 VND/kWh, places: [Nhà máy giấy], valid_to: 2026-01-01}
- {id: mill, carrier: electricity, source: Contract 3, kind: two_component, voltage: 22-<110 kV, places: [mill], valid_from: 2026-01-01}
- {id: water, carrier: water, source: Contract 4}
- {id: gas, carrier: "fuel:natural_gas", source: Contract 5}
"""


def declared(folder: Path, text: str = DECLARED):
    (folder / "territory.yaml").write_text(text, encoding="utf-8")
    (folder / "places.csv").write_text(
        "id,name,kind,parent\npark,Park,park,\nmill,Nhà máy giấy,facility,park\nhall,Hall,building,mill\nshop,Shop,facility,park\n",
        encoding="utf-8",
    )
    (folder / "flows.csv").write_text("id,place,carrier,unit\npower,mill,electricity,kWh\n", encoding="utf-8")
    return load(folder)


def test_the_contract_of_the_nearest_place_holds(tmp_path):
    park = declared(tmp_path)
    day = date(2026, 5, 4)
    assert contracts.of(park, "shop", on=day).kind == "tou"
    assert contracts.of(park, "hall", on=day) == Contract(
        "two_component", voltage="22-<110 kV", name="mill", source="Contract 3"
    )
    assert contracts.of(park, "mill", on=date(2025, 12, 31)).price == 1900
    pinned = contracts.of(park, "shop", on=day, prices_on=day)
    assert (pinned.prices_on, pinned.export) == (day, "law")


def test_none_or_two_contracts_are_located_errors(tmp_path):
    park = declared(tmp_path)
    cases = (
        ("rules.two_contracts", {"place": "mill"}),  # without a day, both hold
        ("rules.no_contract", {"place": "mill", "carrier": "steam"}),
        ("rules.contract_without_kind", {"place": "mill", "carrier": "water"}),
    )
    for code, question in cases:
        with pytest.raises(RuleError) as failed:
            contracts.of(park, **question)
        assert failed.value.code == code
        assert failed.value.problem.where is not None
        assert failed.value.problem.where.file.endswith("territory.yaml")
    with pytest.raises(RequestError) as wrong:
        contracts.of(park, "mil")
    assert wrong.value.code == "territory.unknown_place"
    assert "mill" in str(wrong.value)


def test_the_bill_of_a_declared_contract_names_its_documents(tmp_path):
    contract = contracts.of(declared(tmp_path), "mill", on=date(2025, 12, 31))
    (bill,) = contract.bills(steps("2025-12-30", "2025-12-31", 1.0), 1.0, VN, np.ones(24))
    assert {line.document for line in bill.lines} == {"Contract 2"}
    assert bill.subtotal == 24 * 1900
    (line,) = bill.lines
    assert line.label == "energy"


def test_the_longest_step_and_a_single_step_are_priced():
    assert MILL.terms(["2026-05-03T17:00"], 24.0, VN).buy[0] * 24 == pytest.approx(4_963_100 / 100, rel=1e-12)
    month = MILL.terms(steps("2026-05-01", "2026-06-01", 24.0 * 31), 24.0 * 31, VN)
    assert month.shares.sum() == pytest.approx(1.0)
