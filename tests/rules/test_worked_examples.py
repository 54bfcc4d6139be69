# SPDX-License-Identifier: Apache-2.0
"""The published worked examples, read from the real file: prices, contracts, quotas and the factors behind Circular 38."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mangrove.rules import codes, load, tariffs
from mangrove.units import unit

RULES = load()
DAY = date(2026, 5, 1)
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def cases(data_dir: Path) -> dict[str, dict]:
    text = (data_dir / "rules" / "worked_examples.yaml").read_text(encoding="utf-8")
    return {case["id"]: case for case in yaml.safe_load(text)}


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-6)


def test_vn_01_anthracite(cases):
    given, expected = cases["VN-01"]["inputs"], cases["VN-01"]["expected"]
    tonnes = {}
    for gas, printed in given["EF_kg_per_TJ"].items():
        factor = RULES.select("combustion/manufacturing/anthracite", gas, DAY).chosen
        assert factor.value == printed
        tonnes[gas] = given["energy_TJ"] * factor.value * unit(factor.unit).to("t/TJ")
        assert tonnes[gas] == close(expected[f"{gas}_t"])
    for name in ("AR4", "AR5"):
        gwp = RULES.gwp(name)
        assert sum(gwp.value(gas).value * t for gas, t in tonnes.items()) == close(
            expected[f"total_{name}_t"]
        )


def test_vn_02_grid_electricity(cases):
    given, expected = cases["VN-02"]["inputs"], cases["VN-02"]["expected"]
    factor = RULES.select("grid/vn@2023", "CO2", DAY).chosen
    assert factor.value == given["EF"]
    assert given["MWh"] * factor.value == close(expected["tCO2"])


def test_vn_03_the_fuel_of_purchased_steam_is_diesel_of_the_decision(cases):
    given = cases["VN-03"]["inputs"]
    assert (
        RULES.select("combustion/manufacturing/diesel", "CO2", DAY).chosen.value == given["EF_fuel_kg_per_TJ"]
    )


def test_vn_05_the_density_of_captured_methane(cases):
    assert RULES.parameter("fugitive/coal/density").value == cases["VN-05"]["inputs"]["CF"]


def test_vn_06_refrigerant(cases):
    given, expected = cases["VN-06"]["inputs"], cases["VN-06"]["expected"]
    for name in ("AR4", "AR5", "AR6"):
        assert given["kg"] * RULES.gwp(name).value(given["gas"]).value / 1000 == close(expected[f"{name}_t"])


def test_tar_01_and_tar_03_bills(cases):
    first, third = cases["TAR-01"], cases["TAR-03"]
    assert tariffs.bill(first["inputs"], "production", ">=110 kV", DAY).total == close(
        first["expected"]["vnd"]
    )
    assert tariffs.bill(third["inputs"], "business", "<6 kV", DAY).total == close(third["expected"]["vnd"])


def test_tou_01_two_schedules(cases):
    given, expected = cases["TOU-01"]["inputs"], cases["TOU-01"]["expected"]
    monday, hour = datetime.fromisoformat("2026-05-04"), timedelta(hours=1)
    for name, key in (("legacy", "legacy_vnd"), ("963", "qd963_vnd")):
        energy = tariffs.schedule(name).split([(monday + h * hour, given["kW"]) for h in range(24)], hour)
        assert tariffs.bill(energy, "production", "6-<22 kV", DAY, vat=0).total == close(expected[key])


def test_dppa_01_and_dppa_02(cases):
    for name in ("DPPA-01", "DPPA-02"):
        given, expected = cases[name]["inputs"], cases[name]["expected"]
        terms = tariffs.DppaTerms(given["strike"], given["FMP"], given["CFMP"], given["Kpp"], given["adder"])
        if "load" not in given:
            assert tariffs.dppa_price(terms) == close(expected["vnd_per_kwh"])
            continue
        bill = tariffs.dppa_bill(given["load"], given["re"], given["retail"], terms)
        for line in bill.lines:
            assert line.amount == close(expected[line.label])
        assert bill.total == close(expected["total"])
        assert tariffs.average_price([bill], given["load"]) == close(expected["avg"])


def test_alloc_01_quotas(cases):
    expected, quotas = cases["ALLOC-01"]["expected"], codes.allocations()
    assert sum(q.quota_2025 for q in quotas) == expected["2025"]
    assert sum(q.quota_2026 for q in quotas) == expected["2026"]
    for sector, key in (
        ("thermal_power", "thermal_2025"),
        ("steel", "steel_2025"),
        ("cement", "cement_2025"),
    ):
        assert sum(q.quota_2025 for q in quotas if q.sector == sector) == expected[key]


def test_city_01_and_city_02_factors_are_those_of_ipcc(cases):
    lpg, coal = cases["CITY-01"]["inputs"]["kg_per_m3"], cases["CITY-02"]["inputs"]["per_kg"]
    density = RULES.parameter("fuel/lpg/density").value * 1000
    ours = {gas: RULES.select("combustion/residential/lpg", gas, DAY).chosen.value for gas in lpg}
    heat = RULES.parameter("fuel/lpg/ncv").value * 1e-6
    for gas, printed in lpg.items():
        assert ours[gas] * heat * density == pytest.approx(printed, rel=1e-3)
    heat = RULES.parameter("fuel/anthracite/ncv").value * 1e-6
    for gas, printed in coal.items():
        factor = RULES.select("combustion/residential/anthracite", gas, DAY).chosen
        assert factor.value * heat == pytest.approx(printed, rel=2e-3)


def test_fod_01_parameters_are_those_of_ipcc_and_the_decision_has_a_higher_docf(cases):
    given = cases["FOD-01"]["inputs"]
    assert RULES.parameter("landfill/doc/food").value == given["DOC"]
    assert RULES.parameter("landfill/docf").value == given["DOCf"]
    assert RULES.parameter("landfill/mcf/managed_anaerobic").value == given["MCF"]
    assert RULES.parameter("landfill/f").value == given["F"]
    assert RULES.parameter("landfill/k/tropical_wet/food").value == given["k"]
    assert RULES.parameter("landfill/ox").value == given["OX"]
    assert RULES.parameter("landfill/docf/food").value / given["DOCf"] == pytest.approx(1.4)
