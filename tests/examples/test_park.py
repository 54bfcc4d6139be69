# SPDX-License-Identifier: Apache-2.0
"""The example park is declared without a problem, every flow of it is computed, and every file of it has a reader."""

import shutil
from datetime import date
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from mangrove import api
from mangrove import rules as facts
from mangrove.measure import methods
from mangrove.sources import generator_recipe
from mangrove.sources.generator import write_year
from mangrove.sources.mapping import Mapping
from mangrove.territory import check

FOLDER = Path(__file__).parents[2] / "examples" / "park"


@pytest.fixture(scope="module")
def park():
    territory, problems = check(FOLDER, method_exists=methods.METHODS.__contains__)
    assert problems == []
    return territory


def test_the_declaration_has_no_problems(park):
    assert park.kind == "park"
    assert len(park.flows) > 30


def test_every_number_says_where_it_comes_from(park):
    assert all(flow.basis and flow.note for flow in park.flows.values())
    assert all(asset.basis and asset.note for asset in park.assets.values())


@pytest.mark.parametrize("year", [2018, 2024])
def test_no_method_leaves_a_gap(park, year):
    rules = facts.load()
    for flow in park.flows.values():
        said = methods.apply(flow, park, rules, date(year, 1, 1), date(year + 1, 1, 1))
        assert said.gaps == (), flow.id
        if flow.scope is not None:
            assert said.coefficients, flow.id


def test_the_grid_factor_of_2024_is_the_last_official_one_and_says_so(park):
    said = methods.apply(
        park.flows["steel_electricity"], park, facts.load(), date(2024, 1, 1), date(2025, 1, 1)
    )
    location = next(c for c in said.coefficients if c.view == "location")
    assert location.value == pytest.approx(0.6592)
    assert "2023" in str(location.terms[0].factor.source)


def test_water_swapped_packs_and_meters_of_exchanges_are_no_emissions(park):
    rules = facts.load()
    days = date(2024, 1, 1), date(2025, 1, 1)
    said = {flow.id: methods.apply(flow, park, rules, *days) for flow in park.flows.values()}
    silent = {id_ for id_, one in said.items() if not one.coefficients and not one.responses}
    assert silent == {
        "swap_demand",
        "wastewater_inflow",
        "wastewater_inlet_cod",
        "reuse_chloride",
        *(f"wastewater_outlet_{name}" for name in ("flow", "ph", "tss", "cod")),
        *park.exchange_meters,
    }
    assert len(park.exchange_meters) == 9


@pytest.mark.parametrize("name", ["generated", "real"])
def test_mappings_name_declared_flows_only(park, name):
    mapping = Mapping.read(FOLDER / "mappings" / f"{name}.yaml")
    assert mapping.unknown_flows(list(park.flows)) == []


def test_every_flow_is_generated_and_every_generated_file_is_mapped(park):
    recipe = generator_recipe.read(FOLDER)
    mapping = Mapping.read(FOLDER / "mappings" / "generated.yaml")
    assert {column.flow for file in recipe.files for column in file.columns} == set(park.flows)
    for file in recipe.files:
        entry = mapping.for_file(Path(file.path))
        assert entry is not None, file.path
        assert {flow for flow, _ in entry.flows()} == {column.flow for column in file.columns}


def test_real_files_stand_for_whole_generated_files():
    """A generated file is written with all its columns or not at all, because its mapping names all of them."""
    real = {
        flow for entry in Mapping.read(FOLDER / "mappings" / "real.yaml").files for flow, _ in entry.flows()
    }
    for file in generator_recipe.read(FOLDER).files:
        flows = {column.flow for column in file.columns}
        assert flows <= real or not flows & real, file.path


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """The year 2024 of a copy of the park: opened, generated and ingested."""
    folder = tmp_path_factory.mktemp("year") / "park"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("values", ".mangrove"))
    write_year(folder)
    values = folder / "values" / "2024"
    park = api.open(folder)
    mapping = folder / "mappings" / "generated.yaml"
    return park, api.ingest(park, values / "quan_trac", values, mapping=mapping)


def test_every_file_is_read_and_the_faults_are_found(year):
    _, report = year
    assert report.failed == []
    found = {(problem.code, problem.data["flow"], problem.data["rows"]) for problem in report.findings}
    assert ("inference.gap", "machine_electricity", 72 * 4) in found
    assert ("inference.stuck", "electronics_electricity", 26 * 4 - 1) in found
    assert ("inference.spike", "steel_electricity", 1) in found
    assert ("inference.stuck", "wastewater_outlet_flow", 14 * 12 - 1) in found
    assert len(found) == 4, "no false alarm"


def test_a_year_is_measured_and_only_the_wanted_gaps_remain(year):
    park, _ = year
    result = api.measure(park, "2024", by=["flow"], gwp="AR5", store=False).to_pandas().set_index("flow")
    assert (result["co2e_kg"] > 0).all()
    missing = result.index[result["coverage"] < 1 - 1e-9].tolist()
    assert missing == ["steel_electricity", "machine_electricity", "electronics_electricity"]
    assert result.loc["machine_electricity", "coverage"] == pytest.approx(1 - 72 / 8784, abs=1e-6)
    total = api.measure(park, "2024", gwp="AR5", store=False).to_pandas()["co2e_kg"].sum()
    assert total == pytest.approx(result["co2e_kg"].sum(), rel=1e-9)


def test_a_register_that_rolls_over_loses_nothing(year):
    park, _ = year
    lines = (park.territory.path / "values/2024/chi_so_kho_lanh.csv").read_text().splitlines()[1:]
    register = [float(line.split(",")[1]) for line in lines]
    used = register[-1] - register[0] + 1e7
    result = api.measure(park, "2024", by=["flow"], gwp="AR5", store=False).to_pandas().set_index("flow")
    assert result.loc["cold_store_electricity", "co2e_kg"] == pytest.approx(used * 0.6592, rel=1e-9)


def test_a_file_that_is_sent_again_changes_nothing(year):
    park, _ = year
    before = api.measure(park, "2024", by=["flow"], gwp="AR5", store=False).to_pandas().set_index("flow")
    values = park.territory.path / "values/2024"
    mapping = park.territory.path / "mappings/generated.yaml"
    again = api.ingest(park, values / "cong_to_phan_khu.csv", mapping=mapping)
    assert all(file.duplicate for file in again.files)
    after = api.measure(park, "2024", by=["flow"], gwp="AR5", store=False).to_pandas().set_index("flow")
    assert_frame_equal(before, after, rtol=1e-12)
