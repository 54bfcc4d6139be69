# SPDX-License-Identifier: Apache-2.0
"""Electricity: two views that never mix, losses, own generation."""

import pytest

GRID_2023 = 659.2  # kg CO2/MWh, dispatch 1726/BDKH-PTCBT


def test_without_contracts_the_market_view_is_the_grid_and_says_so(ask):
    used = ask("electricity", "MWh", scope=2)
    (market,) = used.pick("CO2", view="market")
    assert market.value == pytest.approx(GRID_2023)
    assert "methods.no_residual_mix" in market.note.split()
    (location,) = used.pick("CO2", view="location")
    assert location.value == pytest.approx(GRID_2023)
    assert "methods.no_residual_mix" not in location.note


def test_a_contract_for_everything_leaves_nothing_to_the_grid(ask):
    used = ask(
        "electricity", "MWh", scope=2, parameters={"contract_share": "100 %", "contract_factor": "20 kg/MWh"}
    )
    assert used.kg("CO2", view="market") == pytest.approx(20)
    assert used.kg("CO2", view="location") == pytest.approx(GRID_2023)


def test_the_uncovered_rest_carries_the_grid_factor(ask):
    used = ask(
        "electricity", "MWh", scope=2, parameters={"contract_share": "30 %", "contract_factor": "0 kg/MWh"}
    )
    assert used.kg("CO2", view="market") == pytest.approx(0.7 * GRID_2023)


@pytest.mark.parametrize(
    "parameters",
    [
        {"contract_share": "80 %", "contract_factor": "0 t/MWh", "certificate_share": "30 %", "certificate_factor": "0 t/MWh"},
        {"contract_share": "130 %", "contract_factor": "0 t/MWh"},
    ],
)  # fmt: skip
def test_more_than_everything_cannot_be_contracted(ask, parameters):
    used = ask("electricity", "MWh", scope=2, parameters=parameters)
    assert used.codes == ["methods.not_a_fraction"]
    assert used.kg("CO2", view="location") == pytest.approx(GRID_2023)


def test_a_contract_without_a_factor_is_a_gap_and_not_zero(ask):
    used = ask("electricity", "MWh", scope=2, parameters={"contract_share": "30 %"})
    assert used.codes == ["methods.needs_parameter"]
    assert not used.pick("CO2", view="market")


def test_a_named_year_of_the_grid_holds_in_any_year(ask):
    """A report for 2023 that must use the factor of 2022 names it."""
    used = ask("electricity", "kWh", scope=2, factor="grid/vn@2022")
    assert used.kg("CO2", view="location") == pytest.approx(0.6766)


def test_two_meters_on_one_grid_factor_share_its_error(ask):
    shared = {
        ask("electricity", u, scope=2).pick("CO2", view="location")[0].terms[0].shared for u in ("kWh", "MWh")
    }
    assert shared == {"grid/vn/2023"}


def test_losses_are_a_share_of_the_consumption(ask):
    lost = ask("electricity", "MWh", scope=3, method="grid_losses", parameters={"loss_share": "6 %"})
    assert lost.kg("CO2") == pytest.approx(0.06 * GRID_2023)


def test_own_generation_emits_nothing_and_avoids_only_against_a_stated_counterfactual(ask):
    plain = ask("electricity", "kWh", method="own_generation", scope=None)
    assert (plain.result.coefficients, plain.result.gaps) == ((), ())
    against_grid = ask("electricity", "MWh", method="own_generation", parameters={"counterfactual": "grid"})
    assert against_grid.kg("CO2", account="avoided") == pytest.approx(GRID_2023)
    assert not against_grid.pick("CO2")
    against_factor = ask(
        "electricity", "MWh", method="own_generation", parameters={"counterfactual": "0.5 t/MWh"}
    )
    assert against_factor.kg("CO2", account="avoided") == pytest.approx(500)
