# SPDX-License-Identifier: Apache-2.0
"""The rule book answers by activity, gas and day."""

import math
import subprocess
import sys
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RuleError
from mangrove.rules import Selection, load
from mangrove.territory.model import LocalFactor
from mangrove.units import unit

RULES = load()
DAY = date(2024, 6, 1)
DAYS = st.dates(date(2010, 1, 1), date(2030, 12, 31))
KEYS = st.sampled_from(RULES.activities) | st.text(max_size=30)
GASES = st.sampled_from(["CO2", "CH4", "N2O", "", "SF6"])


def value(activity: str, gas: str, on: date = DAY) -> float:
    return RULES.select(activity, gas, on).chosen.value


@pytest.mark.parametrize(("gas", "expected"), [("CO2", 983.0), ("CH4", 0.1), ("N2O", 0.015)])
def test_ten_terajoules_of_anthracite_in_a_factory_emit_what_circular_38_prints(gas, expected):
    factor = RULES.select("combustion/manufacturing/anthracite", gas, DAY).chosen
    assert 10 * factor.value * unit(factor.unit).to("t/TJ") == pytest.approx(expected, rel=1e-12)
    assert factor.id.startswith("QD2626:")


@pytest.mark.parametrize(("gwp", "expected"), [("AR5", 989.775), ("AR4", 989.97)])
def test_its_co2e_follows_the_named_gwp_set(gwp, expected):
    chosen = RULES.gwp(gwp)
    total = sum(
        10 * value("combustion/manufacturing/anthracite", gas) / 1000 * chosen.value(gas).value
        for gas in ("CO2", "CH4", "N2O")
    )
    assert total == pytest.approx(expected, rel=1e-9)


def test_a_thousand_mwh_of_2023_emit_what_circular_38_prints():
    factor = RULES.select("grid/vn", "CO2", date(2023, 7, 1)).chosen
    assert 1000 * factor.value * unit(factor.unit).to("t/MWh") == pytest.approx(659.2, rel=1e-12)


@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (2014, 0.6612), (2015, 0.8154), (2016, 0.9185), (2017, 0.8649), (2018, 0.9130),
        (2019, 0.8458), (2020, 0.8041), (2021, 0.7221), (2022, 0.6766), (2023, 0.6592),
    ],
)  # fmt: skip
def test_a_report_uses_the_grid_factor_of_its_year(year, expected):
    assert value("grid/vn", "CO2", date(year, 1, 1)) == expected
    assert value("grid/vn", "CO2", date(year, 12, 31)) == expected
    assert value(f"grid/vn@{year}", "CO2", date(2025, 5, 5)) == expected


def test_a_year_without_an_official_grid_factor_is_a_gap_that_names_the_unofficial_value():
    with pytest.raises(RuleError) as error:
        RULES.select("grid/vn", "CO2", DAY)
    assert error.value.code == "rules.no_factor"
    assert "HUST:grid:2024 0.6811 t CO2/MWh (unofficial, 2024-01-01 - 2025-01-01)" in error.value.text()
    assert "HUST:grid:2024" in error.value.text("vi")


def test_the_unofficial_grid_factor_is_used_only_when_named():
    for choice in (
        RULES.select("grid/vn", "CO2", DAY, allow=("unofficial",)),
        RULES.select("grid/vn", "CO2", DAY, allow=("HUST:grid:2024",)),
        RULES.select("grid/vn@2024-unofficial", "CO2", date(2026, 1, 1)),
    ):
        assert choice.chosen.value == 0.6811
        assert choice.caution == "rules.caution_unofficial"
        assert "HUST" in choice.caution_text("vi")
    with pytest.raises(RuleError):
        RULES.select("grid/vn@2024", "CO2", DAY)


def test_a_third_party_value_of_the_same_year_is_shown_as_a_conflict():
    choice = RULES.select("grid/vn", "CO2", date(2022, 3, 1))
    assert choice.conflict
    assert "CFL:grid:2022" in [row.id for row in choice.alternatives]


def test_own_factors_stand_first_and_only_in_their_time():
    own = LocalFactor(
        "process/steel/eaf", "CO2", 0.05, unit("t CO2/t"), "lab report", valid_from=date(2024, 1, 1)
    )
    assert RULES.select("process/steel/eaf", "CO2", DAY, local=[own]).chosen.source.document == "lab report"
    assert RULES.select("process/steel/eaf", "CO2", date(2023, 1, 1), local=[own]).chosen.value == 0.06
    new = LocalFactor("process/unheard_of", "HFC-23", 1.0, unit("kg HFC-23/t"), "permit")
    assert RULES.select("process/unheard_of", "HFC-23", DAY, local=[new]).chosen.value == 1.0
    assert RULES.gases("process/unheard_of", local=[new]) == ("HFC-23",)


def test_a_parameter_can_be_declared_by_the_territory():
    own = LocalFactor("fuel/diesel/density", "", 0.835, unit("kg/L"), "delivery notes 2024")
    assert RULES.parameter("fuel/diesel/density", local=[own]).value == 0.835


def test_corrections_cannot_be_asked_for_as_factors():
    with pytest.raises(RuleError) as error:
        RULES.select("landfill/mcf/managed_anaerobic", "CH4", DAY)
    assert error.value.code == "rules.correction_used_as_factor"
    assert RULES.parameter("landfill/mcf/managed_anaerobic").value == 1.0


def test_factors_cannot_be_asked_for_as_parameters():
    with pytest.raises(RuleError) as error:
        RULES.parameter("grid/vn", date(2022, 1, 1))
    assert error.value.code == "rules.not_a_parameter"


def test_a_mistyped_key_gets_the_nearest_keys():
    with pytest.raises(RuleError) as error:
        RULES.select("combustion/manufacturing/antracite", "CO2", DAY)
    assert "combustion/manufacturing/anthracite?" in error.value.text()


def test_a_gas_that_an_activity_lacks_is_answered_with_those_it_has():
    with pytest.raises(RuleError) as error:
        RULES.select("process/steel/bof", "SF6", DAY)
    assert "process/steel/bof CO2 (direct)" in error.value.text()


def test_rows_for_all_fuels_of_aviation_serve_each_fuel():
    assert RULES.select("combustion/aviation/jet_kerosene", "N2O", DAY).chosen.id == "QD2626:I.1.45"
    assert RULES.gases("combustion/aviation/jet_kerosene") == ("CO2", "CH4", "N2O")
    with pytest.raises(RuleError):
        RULES.select("combustion/aviation/plutonium", "N2O", DAY)


def test_digestion_has_a_gap_for_n2o_and_a_factor_for_ch4():
    assert value("biological/digestion/wet", "CH4") == 0.8
    with pytest.raises(RuleError) as error:
        RULES.select("biological/digestion/wet", "N2O", DAY)
    assert error.value.code == "rules.not_printed"


def test_the_duplicate_label_of_the_rice_table_must_be_resolved_by_id():
    with pytest.raises(RuleError) as error:
        RULES.parameter("rice/roa/winter_spring/north")
    assert error.value.code == "rules.ambiguous"
    named = RULES.parameter("rice/roa/winter_spring/north", allow=("QD2626:III.3.46",))
    assert named.value == 0.57


@pytest.mark.parametrize(
    ("waste", "expected"), [("food", 0.7), ("garden", 0.7), ("paper", 0.5), ("wood", 0.1)]
)
def test_the_decomposing_fraction_is_found_by_waste(waste, expected):
    assert RULES.parameter(f"landfill/docf/{waste}").value == expected


def test_density_of_diesel_is_not_the_implausible_printed_one():
    assert RULES.parameter("fuel/diesel/density").value == 0.84


def test_periods_split_at_the_edges_of_validity_and_show_the_gap():
    pieces = RULES.periods("grid/vn", "CO2", date(2022, 7, 1), date(2024, 7, 1))
    assert [(str(a), str(b)) for a, b, _ in pieces] == [
        ("2022-07-01", "2023-01-01"),
        ("2023-01-01", "2024-01-01"),
        ("2024-01-01", "2024-07-01"),
    ]
    assert [piece[2].chosen.value for piece in pieces[:2]] == [0.6766, 0.6592]
    assert isinstance(pieces[-1][2], RuleError)


@settings(max_examples=60, deadline=None)
@given(activity=st.sampled_from(RULES.activities), gas=GASES, start=DAYS, length=st.integers(1, 2000))
def test_periods_cover_the_span_and_agree_with_the_choice_of_each_day(activity, gas, start, length):
    end = start + timedelta(days=length)
    try:
        pieces = RULES.periods(activity, gas, start, end)
    except RuleError:
        return
    assert pieces[0][0] == start
    assert pieces[-1][1] == end
    for left, right in pairwise(pieces):
        assert left[1] == right[0]
    for first, last, outcome in pieces:
        for day in (first, last - timedelta(days=1)):
            if isinstance(outcome, Selection):
                assert RULES.select(activity, gas, day).chosen == outcome.chosen
            else:
                with pytest.raises(RuleError):
                    RULES.select(activity, gas, day)


@settings(max_examples=300, deadline=None)
@given(
    activity=KEYS,
    gas=GASES,
    on=DAYS,
    allow=st.lists(st.sampled_from(["unofficial", "recalled", "alternate"])),
)
def test_a_selection_is_always_a_direct_valid_printed_row(activity, gas, on, allow):
    try:
        choice = RULES.select(activity, gas, on, allow=allow)
    except RuleError:
        return
    assert choice.chosen.kind == "direct"
    assert choice.chosen.valid_on(on)
    assert choice.chosen.printed
    assert (choice.caution == "") == (choice.chosen.status == "official")


@pytest.mark.parametrize(
    "activity",
    ["nothing", "landfill/f", "grid/vn", "biological/digestion/dry", "rice/roa/winter_spring/north"],
)
@pytest.mark.parametrize("lang", ["en", "vi"])
def test_every_refusal_is_a_full_sentence(activity, lang):
    with pytest.raises(RuleError) as error:
        RULES.select(activity, "N2O", DAY)
    assert "{" not in error.value.text(lang)
    assert activity in error.value.text(lang)


@pytest.mark.parametrize("activity", RULES.activities)
def test_every_activity_can_be_used_in_some_way(activity):
    gases = RULES.gases(activity)
    if gases:
        assert all(RULES.periods(activity, gas, date(2014, 1, 1), date(2026, 1, 1)) for gas in gases)
    else:
        allow = ("QD2626:III.3.39",)
        assert RULES.parameter(activity, allow=allow).kind in ("parameter", "correction")


def test_uncertainty_is_stated_or_a_default_with_its_status_or_none():
    stated = RULES.select("rice/ef/default", "CH4", DAY).chosen
    assert RULES.uncertainty(stated) == (pytest.approx(0.7 / 1.3, rel=1e-5), "stated")
    fuel = RULES.select("combustion/manufacturing/diesel", "CH4", DAY).chosen
    assert RULES.uncertainty(fuel) == (1.5, "recalled")
    width, origin = RULES.uncertainty(RULES.select("grid/vn", "CO2", date(2022, 1, 1)).chosen)
    assert math.isnan(width)
    assert origin == "none"


def test_fuels_know_their_names_and_whether_their_carbon_is_biogenic():
    assert RULES.fuel("biogas").biogenic
    assert not RULES.fuel("lpg").biogenic
    assert RULES.fuel("anthracite").name_vi == "Than antraxit"
    with pytest.raises(RuleError) as error:
        RULES.fuel("dieesel")
    assert "diesel" in error.value.text()


def test_the_book_and_every_row_have_a_stable_hash():
    assert load() is load()
    assert len(RULES.content_hash) == 64
    assert len({factor.content_hash for factor in RULES.factors}) == len(RULES.factors)


def test_loading_the_rules_imports_no_heavy_library():
    code = (
        "import sys; import mangrove.rules; mangrove.rules.load();"
        "bad = {'numpy', 'pandas', 'pyarrow', 'duckdb'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
