# SPDX-License-Identifier: Apache-2.0
"""Landfills: decay over the years sums to the commitment, and recurrences agree with the closed form."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.measure.methods.landfill import decay_kernel

SITE = {"site": "managed_anaerobic", "climate": "tropical_wet"}


@given(rate=st.floats(0.01, 2.0), delay=st.floats(0.0, 6.0))
def test_everything_decays_in_the_end(rate, delay):
    kernel = decay_kernel(rate, delay)
    assert sum(kernel) == pytest.approx(1.0, abs=2e-6)
    assert min(kernel) >= 0.0


@given(rate=st.floats(0.02, 1.0))
def test_the_kernel_is_the_recurrence_of_the_guidelines(rate):
    """DDOCma_T = DDOCma_(T-1) e^-k + deposit; decomposed_T = DDOCma_(T-1) (1 - e^-k): IPCC 2006 V5, Eq 3.4 and 3.5."""
    stored, released = 1.0, [0.0]
    kernel = decay_kernel(rate)
    for _ in range(len(kernel) - 1):
        released.append(stored * (1 - math.exp(-rate)))
        stored *= math.exp(-rate)
    assert kernel == pytest.approx(released)


def test_without_a_delay_half_a_year_decays_in_the_year_of_disposal():
    assert decay_kernel(0.4, 0.0)[0] == pytest.approx(1 - math.exp(-0.2))
    assert decay_kernel(0.4, 6.0)[0] == 0.0


@pytest.mark.parametrize("waste", ["food", "paper", "wood", "textiles", "garden", "nappies"])
def test_decay_releases_exactly_the_commitment(ask, waste):
    over_years = ask(f"waste:{waste}", "t", method="solid_waste_decay", parameters=SITE).result.responses
    at_once = ask(f"waste:{waste}", "t", method="methane_commitment", parameters=SITE)
    assert sum(over_years[0].kernel) == pytest.approx(at_once.kg("CH4"), rel=2e-6)


def test_the_commitment_by_hand(ask):
    """1 t paper in an unmanaged deep site: 0.40 x 0.5 x 0.8 x 0.5 x 16/12 = 106.67 kg CH4."""
    buried = ask("waste:paper", "t", method="methane_commitment", parameters={"site": "unmanaged_deep"})
    assert buried.kg("CH4") == pytest.approx(1000 * 0.40 * 0.5 * 0.8 * 0.5 * 16 / 12)


def test_a_mix_is_the_sum_of_its_parts(ask):
    mixed = ask(
        "waste", "t", method="solid_waste_decay", parameters={**SITE, "composition": "food 60 % + paper 40 %"}
    )
    parts = [ask(f"waste:{w}", "t", method="solid_waste_decay", parameters=SITE) for w in ("food", "paper")]
    for year in range(1, 30):
        expected = sum(
            share * part.result.responses[0].kernel[year]
            for share, part in zip((0.6, 0.4), parts, strict=True)
        )
        assert sum(r.kernel[year] for r in mixed.result.responses) == pytest.approx(expected)


def test_captured_and_oxidized_methane_does_not_escape(ask):
    plain = ask("waste:food", "t", method="methane_commitment", parameters=SITE)
    managed = ask(
        "waste:food",
        "t",
        method="methane_commitment",
        parameters={**SITE, "recovered_share": "50 %", "cover": "covered"},
    )
    assert managed.kg("CH4") == pytest.approx(0.5 * 0.9 * plain.kg("CH4"))


def test_the_unit_of_the_flow_does_not_matter(ask):
    tonnes = ask("waste:food", "t", method="solid_waste_decay", parameters=SITE).result.responses[0]
    kilograms = ask("waste:food", "kg", method="solid_waste_decay", parameters=SITE).result.responses[0]
    assert [1000 * kg for kg in kilograms.kernel] == pytest.approx(tonnes.kernel)


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"parameters": {"site": "managed_anaerobic"}}, "methods.needs_parameter"),
        ({"parameters": {"climate": "tropical_wet"}}, "methods.needs_parameter"),
        ({"parameters": SITE, "semantics": "state"}, "methods.needs_amounts"),
        ({"parameters": {**SITE, "delay": "9 month"}}, "methods.out_of_range"),
        ({"parameters": {**SITE, "k": "0 1/yr"}}, "methods.not_positive"),
        ({"parameters": {**SITE, "site": "volcano"}}, "rules.no_factor"),
    ],
)
def test_what_is_missing_is_a_gap(ask, columns, code):
    buried = ask("waste:food", "t", method="solid_waste_decay", **columns)
    assert buried.codes == [code]
    assert not buried.result.responses
