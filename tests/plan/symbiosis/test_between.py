"""Assets that stand between an offer and a need."""

import pytest
from tests.plan.symbiosis.parks import asset

from mangrove.plan.symbiosis import units


def made(**parameters):
    kind = parameters.pop("kind")
    return units({"u": asset("u", "works", kind, **parameters)})


def test_a_plant_without_outlets_and_removals_is_no_unit_because_nobody_knows_what_leaves_it():
    assert made(kind="water_treatment", capacity="10 m3/h", consumption="1 kWh/m3") == ()
    (one,) = made(kind="water_treatment", capacity="10 m3/h", removals="COD=90 %, TSS=95 %")
    assert one.removal == pytest.approx({"cod": 0.9, "tss": 0.95})


def test_a_heat_pump_that_takes_heat_from_the_air_takes_nothing_that_is_offered():
    assert made(kind="heat_pump", capacity="100 kW", hot="90 degC", cold="40 degC") == ()


def test_heat_out_of_a_pump_is_heat_in_and_electricity():
    (one,) = made(kind="heat_pump", capacity="100 kW", cop="5 1", hot="90 degC", source="heat@45degC")
    assert one.recovery == pytest.approx(1.25)
    assert 1 / one.recovery + one.power / 1000 == pytest.approx(1.0)
    assert one.capacity == pytest.approx(100 * 730.5 / 1000)


def test_the_cop_follows_the_temperatures_when_none_is_declared():
    (one,) = made(
        kind="heat_pump",
        capacity="100 kW",
        hot="90 degC",
        cold="40 degC",
        quality="50 %",
        source="heat@45degC",
    )
    assert 1000 / one.power == pytest.approx(0.5 * 363.15 / 50)


def test_other_assets_are_no_units():
    assert made(kind="battery", capacity="100 kWh") == ()
