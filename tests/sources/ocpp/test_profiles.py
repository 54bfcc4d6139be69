"""Charging profiles: declared limits, rates, periods that make sense, and schedules read from the ledger."""

from datetime import timedelta

import pyarrow as pa
import pytest
from tests.sources.ocpp.rig import NOON, charger_park

from mangrove.errors import DeclarationError, RequestError
from mangrove.ledger import Origin
from mangrove.sources.ocpp.profiles import (
    Charger,
    Period,
    default_profile,
    planned,
    profile,
    read_schedule,
    within,
)
from mangrove.territory.cells import parameters
from mangrove.territory.model import Device

HOUR = timedelta(hours=1)


def charger(text="power=22 kW; safe_power=4 kW"):
    return Charger.of(Device("CP1", "ocpp", "shop", parameters=parameters(text)))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pover=22 kW", "ocpp.bad_parameter"),
        ("power=22 kWh", "ocpp.bad_parameter"),
        ("power=22 kW; rate_unit=A", "ocpp.bad_rate_unit"),
        ("power=22 kW; rate_unit=kW", "ocpp.bad_rate_unit"),
        ("power=3 kW; safe_power=4 kW", "ocpp.safe_above_power"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(text, code):
    with pytest.raises(DeclarationError) as error:
        charger(text)
    assert [one.code for one in error.value.problems] == [code]


def test_amperes_are_per_phase_and_are_rounded_down():
    three = charger("power=22 kW; rate_unit=A; voltage=230; phases=3")
    assert three.rate(11.04) == 16.0  # 3 x 230 V x 16 A
    assert three.rate(11.1) == 16.0
    assert three.from_rate(16.0, "A") == pytest.approx(11.04)
    assert charger().rate(7.4) == 7400.0
    assert charger("power=7 kW").rate(0.12345) == 123.4


@pytest.mark.parametrize(
    "periods",
    [
        [],
        [Period(NOON, NOON, 1.0)],
        [Period(NOON, NOON + HOUR, float("nan"))],
        [Period(NOON, NOON + HOUR, 1.0), Period(NOON + 2 * HOUR, NOON + 3 * HOUR, 1.0)],
        [Period(NOON, NOON + 49 * HOUR, 1.0)],
    ],
)
def test_periods_that_make_no_sense_are_refused(periods):
    with pytest.raises(RequestError) as error:
        within(periods, charger())
    assert error.value.code == "ocpp.bad_periods"


def test_without_a_declared_power_nothing_is_sent():
    with pytest.raises(RequestError) as error:
        within([Period(NOON, NOON + HOUR, 1.0)], charger("phases=1"))
    assert error.value.code == "ocpp.no_power"
    assert default_profile(charger("power=7 kW")) is None


def test_powers_stay_in_the_limits_and_equal_neighbors_are_one_period():
    powers = [-3.0, 0.0, 30.0, 22.0, 5.0]
    asked = [Period(NOON + k * HOUR, NOON + (k + 1) * HOUR, power) for k, power in enumerate(powers)]
    found, reason = within(asked, charger())
    assert reason == "limit"
    assert [(one.start - NOON, one.power) for one in found] == [
        (0 * HOUR, 0.0),
        (2 * HOUR, 22.0),
        (4 * HOUR, 5.0),
    ]
    found, reason = within(asked, charger("power=22 kW; most_periods=2"))
    assert (found[-1].end, reason) == (NOON + 4 * HOUR, "short")


def test_a_profile_ends_and_reads_back_as_what_was_sent():
    said = profile(
        charger("power=22 kW; min_power=1.4 kW"),
        2,
        [Period(NOON, NOON + HOUR, 11.0), Period(NOON + HOUR, NOON + 2 * HOUR, 0.0)],
        None,
    )
    schedule = said["charging_schedule"]
    assert (schedule["duration"], schedule["min_charging_rate"]) == (7200, 1400.0)
    assert (said["charging_profile_purpose"], said["stack_level"], said["charging_profile_kind"]) == (
        "TxDefaultProfile",
        1,
        "Absolute",
    )
    back = read_schedule(charger(), NOON, schedule)
    assert back == (Period(NOON, NOON + HOUR, 11.0), Period(NOON + HOUR, NOON + 2 * HOUR, 0.0))
    assert "duration" not in default_profile(charger())["charging_schedule"]


def test_a_schedule_of_amounts_becomes_powers_and_ends_where_a_step_is_missing(tmp_path):
    park = charger_park(tmp_path)
    quarter = timedelta(minutes=15)
    starts = [NOON, NOON + quarter, NOON + 3 * quarter]
    rows = pa.table(
        {
            "flow": ["CP1.kwh"] * 3,
            "start": pa.array(starts, pa.timestamp("us", tz="UTC")),
            "value": [2.5, 1.0, 9.0],
            "quality": pa.array([0] * 3, pa.uint8()),
        }
    )
    with park.writer() as ledger:
        ledger.append(rows, Origin("operate:shop", "1", "schedule"))
        with ledger.snapshot() as snapshot:
            now = NOON + timedelta(minutes=5)
            found = planned(snapshot, park.territory, "CP1.kwh", now, now + 4 * HOUR)
    assert found == (Period(now, NOON + quarter, 10.0), Period(NOON + quarter, NOON + 2 * quarter, 4.0))
