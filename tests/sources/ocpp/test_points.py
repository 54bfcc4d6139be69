"""Points of chargers: addresses, units, means, wrong clocks, and declarations that are refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.sources.ocpp.rig import NOON, charger_park

from mangrove.errors import DeclarationError, MangroveError
from mangrove.ledger.types import Quality
from mangrove.sources.ocpp.points import POWER, REGISTER, Sample, Wiring, parse_address
from mangrove.territory.model import Point


@pytest.fixture
def territory(tmp_path):
    return charger_park(tmp_path).territory


def rows(table):
    return [(one["flow"], one["start"], one["value"], one["quality"]) for one in table.to_pylist()]


@pytest.mark.parametrize(
    "address",
    ["", "connector/1", "plug/1/SoC", "connector/x/SoC", "connector/1/Voltage", "connector/1/SoC/L1/2"],
)
def test_an_address_that_names_nothing_is_refused(address):
    with pytest.raises(MangroveError) as error:
        parse_address(address)
    assert error.value.code == "ocpp.bad_address"


def test_an_address_may_name_a_phase_and_another_place_of_the_meter():
    assert parse_address("evse/0/Power.Active.Import/L2@Inlet") == (0, POWER, "L2", "Inlet")


def test_a_register_for_a_flow_of_means_is_refused_with_all_other_problems(territory):
    wrong = (
        Point("CP1", f"connector/1/{REGISTER}", "CP1.kw"),
        Point("CP1", "connector/1/Energy.Active.Import.Interval", "CP1.kwh"),
        Point("CP1", "connector/1/Power", "CP1.kw"),
    )
    with pytest.raises(DeclarationError) as error:
        Wiring(replace(territory, points=wrong), "CP1", NOON)
    assert [one.code for one in error.value.problems] == [
        "ocpp.wrong_meaning", "ocpp.wrong_meaning", "ocpp.bad_address",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "kwh"), [(1500.0, "", 1.5), (1500.0, "Wh", 1.5), (1.5, "kWh", 1.5)]
)
def test_a_register_is_read_in_its_unit_and_in_wh_when_it_states_none(territory, value, unit, kwh):
    wiring = Wiring(territory, "CP1", NOON - timedelta(days=1))
    table, rejected = wiring.values([Sample(1, REGISTER, NOON, value, unit)], NOON)
    assert (rows(table), rejected) == ([("CP1.kwh", NOON, kwh, Quality.GOOD)], [])


def test_powers_of_one_step_become_their_mean_whatever_their_order_and_however_often_they_come(territory):
    wiring = Wiring(territory, "CP1", NOON - timedelta(days=1))
    minutes = [14, 1, 7, 1, 16]
    watts = [3000.0, 9000.0, 6000.0, 9000.0, 1000.0]
    last = {}
    for minute, power in zip(minutes, watts, strict=True):
        table, _ = wiring.values(
            [Sample(1, POWER, NOON + timedelta(minutes=minute), power)], NOON + timedelta(hours=1)
        )
        last |= {(flow, start): value for flow, start, value, _ in rows(table)}
    assert last == {("CP1.kw", NOON): 6.0, ("CP1.kw", NOON + timedelta(minutes=15)): 1.0}


def test_the_mean_of_a_step_that_was_under_way_when_listening_began_is_an_estimate(territory):
    wiring = Wiring(territory, "CP1", NOON + timedelta(minutes=5))
    found = []
    for minute in (6, 20):
        table, _ = wiring.values(
            [Sample(1, POWER, NOON + timedelta(minutes=minute), 1.0)], NOON + timedelta(hours=1)
        )
        found += [quality for *_, quality in rows(table)]
    assert found == [Quality.FILLED, Quality.GOOD]


@pytest.mark.parametrize(
    ("sample", "code"),
    [
        (Sample(1, POWER, NOON, float("nan"), "W"), "ocpp.bad_value"),
        (Sample(1, POWER, NOON, 5.0, "A"), "ocpp.bad_unit"),
        (Sample(1, POWER, NOON, 5.0, "Wh"), "ocpp.bad_unit"),
    ],
)
def test_a_sample_that_cannot_be_a_value_is_set_aside_with_its_reason(territory, sample, code):
    table, (rejected,) = Wiring(territory, "CP1", NOON).values([sample], NOON)
    assert (table.num_rows, rejected.reason.code) == (0, code)


def test_a_phase_or_an_inlet_is_not_taken_for_the_whole(territory):
    samples = [
        Sample(1, POWER, NOON, 1.0, phase="L1"),
        Sample(1, POWER, NOON, 1.0, location="Inlet"),
        Sample(2, POWER, NOON, 1.0),
    ]
    table, rejected = Wiring(territory, "CP1", NOON).values(samples, NOON)
    assert (table.num_rows, rejected) == (0, [])


def test_a_clock_that_was_never_set_marks_the_value(territory):
    never = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    table, _ = Wiring(territory, "CP1", NOON).values([Sample(1, REGISTER, never, 1.0)], NOON)
    assert rows(table)[0][3] == Quality.CLOCK


def test_an_old_backlog_gives_means_too_while_present_powers_are_remembered(territory):
    wiring = Wiring(territory, "CP1", NOON - timedelta(days=30))
    now = NOON + timedelta(hours=2)
    recent = [Sample(1, POWER, NOON + timedelta(minutes=15 * k), 1000.0) for k in range(6)]
    wiring.values(recent, now)
    old = [NOON - timedelta(days=20) + timedelta(minutes=minute) for minute in (1, 8, 14)]
    last = {}
    for at, power in zip(old, (3000.0, 6000.0, 9000.0), strict=True):
        table, _ = wiring.values([Sample(1, POWER, at, power)], now)
        last |= {start: value for _, start, value, _ in rows(table)}
    assert last == {NOON - timedelta(days=20): 6.0}
