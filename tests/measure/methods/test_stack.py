# SPDX-License-Identifier: Apache-2.0
"""Stacks: concentration times gas flow is a mass, whatever the units."""

import pytest

from mangrove.territory.model import Carrier, Flow
from mangrove.times import Step
from mangrove.units import unit


def gas(written, semantics):
    return Flow(
        id="flue",
        place="lot",
        carrier=Carrier("gas"),
        unit=unit(written),
        semantics=semantics,
        step=Step(seconds=300),
    )


def test_a_rate_of_gas_for_an_hour(ask):
    """100 mg/Nm3 x 50,000 Nm3/h is 5 kg/h; both rates last five minutes of the engine's hours."""
    measured = ask(
        "stack:NOx",
        "mg/Nm3",
        semantics="mean",
        step="5min",
        parameters={"gas_flow": "flue"},
        others=(gas("Nm3/h", "mean"),),
    )
    assert measured.result.product_with == "flue"
    assert 100 * 50_000 * measured.kg("NOx") == pytest.approx(5.0)


def test_an_amount_of_gas_already_holds_its_time(ask):
    """100 mg/Nm3 x 4,000 Nm3 in five minutes is 0.4 kg; the engine multiplies a rate by 1/12 h."""
    measured = ask(
        "stack:CO2",
        "g/Nm3",
        semantics="mean",
        step="5min",
        parameters={"gas_flow": "flue"},
        others=(gas("Nm3", "sum"),),
    )
    assert 0.1 * 4_000 * (5 / 60) * measured.kg("CO2") == pytest.approx(0.4)


def test_a_concentration_at_reference_oxygen_is_brought_to_the_stack(ask):
    """At 11 % measured and 6 % reference the real concentration is (20.9 - 11) / (20.9 - 6) of the printed one."""
    oxygen = {"gas_flow": "flue", "o2_reference": "6 %", "o2_measured": "11 %"}
    plain, corrected = (
        ask(
            "stack:SO2", "mg/Nm3", semantics="mean", step="5min", parameters=p, others=(gas("Nm3/h", "mean"),)
        )
        for p in ({"gas_flow": "flue"}, oxygen)
    )
    assert corrected.kg("SO2") / plain.kg("SO2") == pytest.approx(9.9 / 14.9)


@pytest.mark.parametrize(
    ("written", "semantics", "parameters", "code"),
    [
        ("Nm3/h", "mean", {"gas_flow": "elsewhere"}, "methods.unknown_flow"),
        ("m3/h", "mean", {"gas_flow": "flue"}, "methods.not_a_mass"),
        ("Nm3/h", "mean", {"gas_flow": "flue", "o2_reference": "6 %"}, "methods.needs_parameter"),
        (
            "Nm3/h",
            "mean",
            {"gas_flow": "flue", "o2_reference": "6 %", "o2_measured": "30 %"},
            "methods.out_of_range",
        ),
    ],
)
def test_what_makes_no_mass_is_a_gap(ask, written, semantics, parameters, code):
    """An actual cubic meter is no normal cubic meter."""
    measured = ask(
        "stack:CO2",
        "mg/Nm3",
        semantics="mean",
        step="5min",
        parameters=parameters,
        others=(gas(written, semantics),),
    )
    assert measured.codes == [code]
    assert not measured.result.coefficients
