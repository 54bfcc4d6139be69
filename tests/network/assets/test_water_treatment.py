"""A declared treatment plant as a treatment of water reuse, and what is refused of its outlets and removal ratios."""

import pytest

from mangrove.errors import DeclarationError, MangroveError
from mangrove.network.assets import water_treatment
from mangrove.network.water_reuse import Sink, Source, WaterProblem, reuse_water

BASE = "capacity=100 m3/h; consumption=0.6 kWh/m3; variable_cost=1000 VND/m3"


def test_a_plant_with_outlets_gives_water_of_that_quality(values):
    read = values("water_treatment", f"{BASE}; recovery=50 %; outlets='COD=30 mg/L, TSS=0.01 kg/m3'")
    made = water_treatment.treatment("works", read, ("TSS", "COD"), "park")
    assert made.outlet == (10.0, 30.0)
    assert (made.recovery, made.most, made.plant) == (0.5, 200.0, "park")
    assert (made.price, made.electricity) == (500.0, 0.3)  # per cubic meter taken
    problem = WaterProblem(
        sinks=[Sink("a", 10, (10.0, 30.0))], sources=[Source("b", 20, (500.0, 900.0))], treatments=[made], contaminants=("TSS", "COD")
    )  # fmt: skip
    plan = reuse_water(problem)
    assert (plan.fresh, plan.electricity) == (pytest.approx(0.0), pytest.approx(10 * 0.6))


def test_a_plant_with_removals_keeps_the_rest(values):
    read = values("water_treatment", f"{BASE}; removals='COD=90 %'")
    made = water_treatment.treatment("works", read, ("COD", "TSS"))
    assert made.outlet is None
    assert made.removal == (0.9, 0.0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("outlets='COD'", "reuse.bad_quality"),
        ("outlets='COD=30 kWh'", "reuse.not_ppm"),
        ("removals='COD=130 %'", "reuse.bad_quality"),
        ("removals='COD=30 mg/L'", "base.unit_mismatch"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_declaration(values, text, code):
    with pytest.raises(DeclarationError) as raised:
        values("water_treatment", f"{BASE}; {text}")
    assert [p.code for p in raised.value.problems] == [code]


def test_outlets_of_some_contaminants_only_are_no_fixed_outlet(values):
    read = values("water_treatment", f"{BASE}; outlets='COD=30 mg/L'")
    with pytest.raises(MangroveError) as raised:
        water_treatment.treatment("works", read, ("COD", "TSS"))
    assert raised.value.code == "reuse.outlet_missing"
