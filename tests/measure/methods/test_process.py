# SPDX-License-Identifier: Apache-2.0
"""Processes: tabled factors, the kiln-dust correction said aloud, ammonia from its carbon."""

import pytest


@pytest.mark.parametrize(
    ("carrier", "gas", "kg"),
    [
        ("process:steel/eaf", "CO2", 60.0),  # Decision 2626, II.3.2
        ("process:lime/high_calcium", "CO2", 750.0),  # II.1.4
        ("process:glass/float", "CO2", 210.0),  # II.1.6
        ("process:nitric_acid/medium_pressure", "N2O", 8.0),  # II.2.7
        ("process:nitric_acid/high_pressure", "N2O", 9.0),  # IPCC 2006 V3 Table 3.3
        ("process:iron/blast_furnace", "CO2", 1350.0),  # IPCC 2006 V3 Table 4.1
    ],
)
def test_a_product_times_its_printed_factor(ask, carrier, gas, kg):
    assert ask(carrier, "t").kg(gas) == pytest.approx(kg)


def test_a_correction_factor_can_never_be_multiplied_by_an_activity(ask):
    """Decision 2626, II.1.3 (1.02) and IV.1.9 (DOC of food) are corrections."""
    for key in ("process/cement/ckd", "landfill/doc/food"):
        measured = ask("process:x", "t", method="process_factor", factor=key)
        assert not measured.result.coefficients
        assert measured.result.gaps


def test_abatement_counts_only_while_it_runs(ask):
    acid = ask(
        "process:nitric_acid/medium_pressure", "t", parameters={"destruction": "90 %", "utilization": "80 %"}
    )
    assert acid.kg("N2O") == pytest.approx(8.0 * (1 - 0.9 * 0.8))


def test_clinker_says_whether_kiln_dust_is_in_it(ask):
    plain, corrected = (ask("process:cement/clinker", "t", parameters=p) for p in ({}, {"ckd": "rule"}))
    assert plain.kg("CO2") == pytest.approx(525.0)
    assert corrected.kg("CO2") == pytest.approx(525.0 * 1.02)
    assert "methods.ckd_not_applied" in plain.pick("CO2")[0].note.split()
    assert "methods.ckd_applied" in corrected.pick("CO2")[0].note.split()
    stated = ask("process:cement/clinker", "t", parameters={"ckd": "1.05 t/t"})
    assert stated.kg("CO2") == pytest.approx(525.0 * 1.05)


def test_ammonia_is_the_carbon_of_its_feedstock(ask):
    """37.5 GJ/t x 15.3 kg C/GJ x 44/12 = 2,103.75 kg CO2/t (Decision 2626, II.2.2, 2.4, 2.6)."""
    assert ask("process:ammonia", "t").kg("CO2") == pytest.approx(37.5 * 15.3 * 44 / 12)
    coal = ask("process:ammonia", "t", parameters={"route": "partial_oxidation", "recovered_share": "40 %"})
    assert coal.kg("CO2") == pytest.approx(42.5 * 21 * 44 / 12 * 0.6)
    assert ask("process:ammonia", "t", parameters={"route": "magic"}).codes == ["methods.bad_parameter"]
