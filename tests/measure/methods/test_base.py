# SPDX-License-Identifier: Apache-2.0
"""What every method stands on: dimensions, validity in local days, cautions, gaps instead of guesses."""

from datetime import UTC, date, datetime

import pytest

from mangrove import messages
from mangrove.measure.methods import METHODS, method_for
from mangrove.territory.model import Carrier, Flow, LocalFactor
from mangrove.units import unit


def test_a_coefficient_is_the_product_of_its_terms(ask):
    burnt = ask("fuel:diesel", "L")
    (coefficient,) = burnt.pick("CO2")
    product = 1.0
    for term in coefficient.terms:
        product *= term.value**term.power
    assert coefficient.value == pytest.approx(product)
    assert [term.symbol for term in coefficient.terms] == ["rho", "NCV", "EF", "units"]


def test_the_grid_factor_changes_at_local_midnight_of_the_new_year(ask):
    """31 December 17:00 UTC is the new year in Viet Nam."""
    used = ask("electricity", "MWh", scope=2, span=(date(2021, 6, 1), date(2023, 2, 1)))
    pieces = [(c.valid_from, c.valid_to, c.value) for c in used.pick("CO2", view="location")]
    assert [value for *_, value in pieces] == pytest.approx([722.1, 676.6, 659.2])
    assert pieces[0][0] == datetime(2021, 5, 31, 17, tzinfo=UTC)
    assert pieces[0][1] == pieces[1][0] == datetime(2021, 12, 31, 17, tzinfo=UTC)
    assert pieces[1][1] == pieces[2][0] == datetime(2022, 12, 31, 17, tzinfo=UTC)
    assert pieces[2][1] == datetime(2023, 1, 31, 17, tzinfo=UTC)


def test_a_fact_that_does_not_change_gives_one_coefficient_for_the_whole_span(ask):
    burnt = ask("fuel:anthracite", "t", span=(date(2010, 1, 1), date(2030, 1, 1)))
    assert len(burnt.pick("CO2")) == 1


def test_a_dated_local_density_cuts_the_coefficient_and_stands_above_the_tables(ask):
    own = LocalFactor(
        "fuel/gasoline/density",
        "",
        0.73,
        unit("kg/L"),
        "laboratory",
        valid_from=date(2023, 7, 1),
        uncertainty=0.01,
    )
    burnt = ask("fuel:gasoline", "L", factors=(own,))
    before, after = burnt.pick("CO2")
    assert before.valid_to == after.valid_from == datetime(2023, 6, 30, 17, tzinfo=UTC)
    assert before.value / after.value == pytest.approx(0.745342576 / 0.73)
    assert after.terms[0].uncertainty == 0.01


def test_the_facility_s_own_factor_stands_first(ask):
    own = LocalFactor("combustion/manufacturing/anthracite", "CO2", 95000, unit("kg CO2/TJ"), "approved 2023")
    burnt = ask("fuel:anthracite", "TJ", factors=(own,))
    assert burnt.kg("CO2") == pytest.approx(95000)


def test_a_conflict_between_sources_is_said(ask):
    """Oxygen steel: 2.47 t/t (Decision 2626) against 1.46 (IPCC 2006)."""
    steel = ask("process:steel/bof", "t")
    (coefficient,) = steel.pick("CO2")
    assert coefficient.value == pytest.approx(2470)
    assert "methods.sources_differ" in coefficient.note.split()


def test_a_fact_that_is_only_recalled_is_said(ask):
    (coefficient,) = ask("fuel:diesel", "L").pick("CO2")
    assert "rules.caution_recalled" in coefficient.note.split()


def test_terms_carry_the_error_that_they_share(ask):
    """Two flows of one fuel name the same error for the factor, and none of them carries its flow's id."""
    first, second = (ask("fuel:lpg", u).pick("CO2")[0] for u in ("t", "GJ"))
    shared = [next(t for t in c.terms if t.symbol == "EF").shared for c in (first, second)]
    assert shared[0] == shared[1] != ""
    assert next(t for t in first.terms if t.symbol == "EF").uncertainty == pytest.approx(0.07)


def test_a_declared_parameter_may_state_its_uncertainty(ask):
    steam = ask(
        "steam",
        "t",
        scope=2,
        parameters={
            "enthalpy": "2776 kJ/kg",
            "boiler_efficiency": "85 %",
            "boiler_efficiency_uncertainty": "5 %",
            "fuel": "diesel",
        },
    )
    term = next(t for t in steam.pick("CO2")[0].terms if t.symbol == "eta")
    assert (term.power, term.uncertainty, term.shared) == (-1, 0.05, "f:boiler_efficiency")


@pytest.mark.parametrize(
    ("carrier", "written", "columns", "code"),
    [
        ("fuel:unobtainium", "t", {}, "rules.no_factor"),
        ("fuel", "t", {}, "methods.needs_fuel"),
        ("fuel:anthracite", "L", {}, "rules.no_factor"),
        ("fuel:natural_gas", "Nm3", {}, "methods.needs_parameter"),
        ("fuel:diesel", "vehicle", {}, "methods.wrong_unit"),
        ("steam", "t", {"parameters": {"fuel": "diesel"}}, "methods.needs_parameter"),
        ("refrigerant", "kg", {}, "methods.needs_gas"),
        ("refrigerant:R-410A", "kWh", {}, "methods.not_a_mass"),
        ("waste:food", "t", {}, "methods.needs_method"),
        ("waste:food", "t", {"method": "burning"}, "methods.unknown_method"),
        ("livestock:swine", "head", {}, "methods.needs_step"),
        ("stack:CO2", "mg/Nm3", {}, "methods.needs_parameter"),
        ("reported:CO2e", "t", {}, "methods.needs_parameter"),
        ("process:no_such_product", "t", {}, "methods.no_factor"),
        ("vehicle_km:zeppelin", "vehicle_km", {}, "rules.no_factor"),
    ],
)
def test_a_missing_fact_is_a_gap_and_never_a_number(ask, carrier, written, columns, code):
    measured = ask(carrier, written, **columns)
    assert code in measured.codes
    assert not measured.result.coefficients
    for gap in measured.result.gaps:
        for lang in messages.LANGUAGES:
            assert "{" not in messages.render(gap.code, lang, **gap.data), gap


def test_a_gap_in_one_gas_leaves_the_others(ask):
    """A factor of the facility for CO2 alone: CH4 and N2O of its own fuel are gaps."""
    own = LocalFactor("combustion/manufacturing/tar", "CO2", 80000, unit("kg CO2/TJ"), "approved")
    burnt = ask("fuel:tar", "TJ", factors=(own,))
    assert burnt.kg("CO2") == pytest.approx(80000)
    assert [gap.data["gas"] for gap in burnt.result.gaps] == ["CH4", "N2O"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"boiler_efficiency": "185 %"}, "methods.not_a_fraction"),
        ({"boiler_efficiency": "85"}, "methods.not_a_fraction"),
        ({"boiler_efficiency": "85 kW"}, "methods.bad_parameter"),
        ({"boiler_efficiency": "85 %", "fuel": "diesel 60 % + wood 30 %"}, "methods.shares_not_one"),
        ({"boiler_efficiency": "85 %", "fuel": "diesel some + wood 30 %"}, "methods.bad_parameter"),
    ],
)
def test_a_parameter_that_cannot_be_is_a_gap(ask, parameters, code):
    steam = ask("heat", "GJ", scope=2, parameters={"fuel": "diesel", **parameters})
    assert code in steam.codes
    assert not steam.result.coefficients


@pytest.mark.parametrize(
    ("carrier", "columns", "name"),
    [
        ("fuel:diesel", {}, "combustion"),
        ("electricity", {"scope": 2}, "grid_electricity"),
        ("electricity", {}, None),
        ("electricity", {"account": "memo"}, None),
        ("water:treated", {}, None),
        ("waste:paper", {}, None),
        ("waste:paper", {"scope": 3}, "undeclared"),
        ("process:cement/clinker", {"scope": 1}, "cement_clinker"),
        ("process:steel/eaf", {"scope": 1}, "process_factor"),
        ("cropland:rice", {"scope": 1}, "rice"),
        ("cropland:maize", {"scope": 1, "factor": "soils/n2o/maize"}, "process_factor"),
    ],
)
def test_the_method_of_a_flow_is_named_or_follows_its_carrier(carrier, columns, name):
    found = method_for(Flow(id="f", place="p", carrier=Carrier.parse(carrier), unit=unit("t"), **columns))
    assert (found.name if found else None) == name


def test_a_flow_that_emits_nothing_has_an_empty_result(ask):
    result = ask("water:treated", "m3", scope=None).result
    assert (result.coefficients, result.responses, result.gaps) == ((), (), ())


def test_an_empty_span_has_an_empty_result(ask, book):
    burnt = ask("fuel:diesel", "t", span=(date(2023, 1, 1), date(2023, 1, 1)))
    assert burnt.result.coefficients == ()


def test_every_method_runs_on_an_empty_flow_without_raising(ask):
    """Whatever is missing becomes a gap: no method raises for a flow that states nothing."""
    for name in METHODS:
        for carrier, written in (("waste", "t"), ("material:x", "head"), ("land:forest", "ha")):
            measured = ask(carrier, written, method=name)
            assert measured.result.gaps or measured.result.coefficients or name == "own_generation", name
