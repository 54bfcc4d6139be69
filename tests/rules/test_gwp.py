# SPDX-License-Identifier: Apache-2.0
"""GWP sets: published values, blends from their composition, gas names in any spelling."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import RuleError
from mangrove.rules import canonical_gas, load

RULES = load()


@pytest.mark.parametrize(
    ("name", "ch4", "n2o"), [("SAR", 21, 310), ("AR4", 25, 298), ("AR5", 28, 265), ("AR6", 27.9, 273)]
)
def test_methane_and_nitrous_oxide_follow_the_assessment_reports(name, ch4, n2o):
    gwp = RULES.gwp(name)
    assert (gwp.value("CH4").value, gwp.value("N2O").value, gwp.value("CO2").value) == (ch4, n2o, 1)


@pytest.mark.parametrize(("name", "tonnes"), [("AR4", 14.3), ("AR5", 13.0), ("AR6", 15.3)])
def test_ten_kilograms_of_hfc_134a(name, tonnes):
    assert 10 * RULES.gwp(name).value("HFC-134a").value / 1000 == pytest.approx(tonnes)


@pytest.mark.parametrize("name", ["SAR", "AR4", "AR5", "AR6"])
@pytest.mark.parametrize(
    ("blend", "composition"),
    [
        ("R-404A", {"HFC-125": 0.44, "HFC-143a": 0.52, "HFC-134a": 0.04}),
        ("R-407A", {"HFC-32": 0.2, "HFC-125": 0.4, "HFC-134a": 0.4}),
        ("R-407C", {"HFC-32": 0.23, "HFC-125": 0.25, "HFC-134a": 0.52}),
        ("R-410A", {"HFC-32": 0.5, "HFC-125": 0.5}),
        ("R-507A", {"HFC-125": 0.5, "HFC-143a": 0.5}),
    ],
)
def test_blends_are_the_mass_weighted_sum_of_their_components(name, blend, composition):
    gwp = RULES.gwp(name)
    assert sum(composition.values()) == pytest.approx(1)
    assert gwp.value(blend).value == pytest.approx(
        sum(x * gwp.value(g).value for g, x in composition.items())
    )


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("HFC134a", "HFC-134a"), ("hfc-134A", "HFC-134a"), ("R-134a", "HFC-134a"), ("R410A", "R-410A"), ("r 22", "HCFC-22"),
        ("CH4 (fossil)", "CH4_fossil"), ("ch4", "CH4"), ("HFC4310mee", "HFC-43-10mee"), ("N2O", "N2O"),
    ],
)  # fmt: skip
def test_gas_names_are_read_in_any_spelling(written, name):
    assert canonical_gas(written) == name
    assert canonical_gas(canonical_gas(written)) == name


def test_fossil_methane_is_marked_as_recalled_and_absent_where_no_set_prints_it():
    assert RULES.gwp("AR5").value("CH4_fossil").status == "recalled"
    assert RULES.gwp("AR6").value("CH4 fossil").value == 29.8
    with pytest.raises(RuleError) as error:
        RULES.gwp("AR4").value("CH4_fossil")
    assert error.value.code == "rules.gas_not_in_set"


def test_two_sources_of_sf6_in_ar6_are_both_shown():
    sf6 = RULES.gwp("AR6").value("SF6")
    assert sf6.value == 25200
    assert [other.value for other in sf6.alternatives] == [24300]


def test_unknown_sets_and_gases_get_a_suggestion():
    with pytest.raises(RuleError, match="AR5"):
        RULES.gwp("AR-5")
    with pytest.raises(RuleError, match="HFC-134a"):
        RULES.gwp("AR5").value("HFC-134b")
    assert RULES.gwp(" ar5 ").name == "AR5"


def test_each_set_has_its_own_hash():
    hashes = {RULES.gwp(name).content_hash for name in ("SAR", "AR4", "AR5", "AR6")}
    assert len(hashes) == 4


@given(st.text(max_size=40))
def test_any_text_is_a_gas_or_a_refusal(written):
    try:
        name = canonical_gas(written)
    except RuleError:
        return
    assert canonical_gas(name) == name
    assert any(name in RULES.gwp(set_name).values for set_name in ("SAR", "AR4", "AR5", "AR6"))


@pytest.mark.data
def test_every_value_equals_the_published_table(data_dir):
    with (data_dir / "rules" / "gwp100.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            for name in ("SAR", "AR4", "AR5", "AR6"):
                if row[name]:
                    assert RULES.gwp(name).value(row["gas"]).value == pytest.approx(
                        float(row[name]), abs=0.005
                    )
