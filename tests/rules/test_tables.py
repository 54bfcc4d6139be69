# SPDX-License-Identifier: Apache-2.0
"""The shipped tables: counts, statuses, units, and equality with the published lists they were re-keyed from."""

import csv
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from mangrove.rules import load, tables
from mangrove.rules.types import KINDS, STATUSES
from mangrove.units import unit

DECISION = [f for f in load().factors if f.id.startswith("QD2626:")]
NITROGEN, CARBON, CH4_DENSITY = 44 / 28, 44 / 12, 0.67


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_decision_2626_has_251_factors_and_71_corrections():
    kinds = Counter(factor.kind for factor in DECISION)
    assert len(DECISION) == 322
    assert kinds["correction"] == 71
    assert kinds["direct"] + kinds["parameter"] == 251


def test_decision_2626_has_the_rows_of_its_four_appendices():
    counts = Counter(factor.source.article for factor in DECISION)
    assert counts == {"Appendix I": 123, "Appendix II": 15, "Appendix III": 111, "Appendix IV": 73}


def test_ids_are_unique():
    ids = [factor.id for factor in load().factors]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("factor", load().factors, ids=lambda factor: factor.id)
def test_every_row_is_complete(factor):
    parsed = unit(factor.unit)
    assert factor.kind in KINDS
    assert factor.status in STATUSES
    assert factor.name_en
    assert factor.name_vi
    assert factor.source.document
    assert factor.shared
    assert factor.printed_unit
    if factor.kind == "direct":
        assert parsed.dimension[0] == 1 or parsed.of == factor.gas
        assert parsed.of == factor.gas


def test_every_shipped_table_says_where_its_rows_come_from():
    for name in tables.names():
        columns = set(tables.rows(name)[0])
        assert columns & {"source", "document", "law", "title_en"}, name
        for row in tables.rows(name):
            # defaults of street plans may be assumed: each says what to replace it by, and every verdict lists those it used
            assumed = ("assumed",) if name == "road_parameters" and row["document"] else ()
            assert row.get("status", "official") in (*STATUSES, *assumed, ""), (name, row)


def test_the_two_rows_printed_without_a_number_are_kept_as_gaps():
    blank = [factor.id for factor in DECISION if not factor.printed]
    assert blank == ["QD2626:IV.2.7", "QD2626:IV.2.8"]


def test_printed_oddities_keep_their_item_and_their_unit():
    by_id = {factor.id: factor for factor in DECISION}
    assert by_id["QD2626:III.3.39"].printed_value == "0.76"
    assert by_id["QD2626:III.3.46"].printed_value == "0.57"
    assert by_id["QD2626:III.3.39"].activity == by_id["QD2626:III.3.46"].activity
    assert by_id["QD2626:III.3.14"].printed_unit == "% kg N2O-N/kg N applied"
    assert "typo" in by_id["QD2626:III.3.28"].note
    assert by_id["QD2626:I.2.1"].printed_unit == "m3 CH4/t coal"


@pytest.mark.parametrize(
    ("item", "value", "written"),
    [
        ("III.2.6", 1.36 * 44 / 12, "t CO2/ha/yr"),
        ("III.3.10", 0.20 * 44 / 12, "t CO2/t urea"),
        ("III.3.11", 0.01 * 44 / 28, "kg N2O/kg N"),
        ("III.3.14", 0.34 / 100 * 44 / 28, "kg N2O/kg N"),
        ("I.2.1", 1.5789 * 0.67, "kg CH4/t coal"),
        ("IV.1.9", 0.15, "1"),
        ("IV.3.22.1", 47, "g N2O/t wet_waste"),
    ],
)
def test_carbon_nitrogen_volume_and_percent_become_mass_of_gas(item, value, written):
    factor = next(f for f in DECISION if f.id == f"QD2626:{item}")
    assert factor.value == pytest.approx(value, rel=1e-9)
    assert factor.unit == written


def test_the_same_fuel_and_gas_share_one_error_in_all_uses():
    rows = [
        f
        for f in load().factors
        if f.activity.startswith("combustion/") and f.activity.endswith("/anthracite")
    ]
    shared = {f.gas: {g.shared for g in rows if g.gas == f.gas} for f in rows}
    assert shared == {
        "CO2": {"ef/anthracite/CO2"},
        "CH4": {"ef/anthracite/CH4"},
        "N2O": {"ef/anthracite/N2O"},
    }


def independent(row: dict[str, str], ours) -> float:
    """The value that the printed unit asks for, from the unit text alone."""
    value, printed = float(row["value"]), row["unit"]
    if row["kind"] == "correction":
        return value / 100 if printed == "%" else value
    if ours.kind == "parameter":
        return value
    if printed.startswith("%"):
        value /= 100
    if "N2O-N" in printed:
        return value * NITROGEN
    if printed.startswith("t C/"):
        return value * CARBON
    if printed == "m3 CH4/t coal":
        return value * CH4_DENSITY
    return value


@pytest.mark.data
def test_every_row_of_decision_2626_equals_the_published_list(data_dir):
    listed = read(data_dir / "rules" / "vn_qd2626_factors.csv")
    by_id = {factor.id: factor for factor in DECISION}
    items = Counter((row["appendix"], row["item"]) for row in listed)
    for row in listed:
        several = items[row["appendix"], row["item"]] > 1
        sub = f".{row['sub']}" if several else ""
        ours = by_id.pop(f"QD2626:{row['appendix']}.{row['item']}{sub}")
        assert (ours.printed_value, ours.printed_unit) == (row["value"], row["unit"])
        assert (ours.kind == "correction") == (row["kind"] == "correction")
        assert ours.gas in (row["gas"], "")
        if row["value"]:
            assert ours.value == pytest.approx(independent(row, ours), rel=1e-9), ours.id
        else:
            assert math.isnan(ours.value)
    assert not by_id


@pytest.mark.data
def test_fuels_equal_the_published_table(data_dir):
    ours = {}
    for factor in load().factors:
        if factor.id.startswith("IPCC2006:ncv:"):
            ours.setdefault(round(factor.value, 6), set()).add(factor.activity.split("/")[1])
    rules = load()
    for row in read(data_dir / "rules" / "fuels_ipcc_ghgp.csv"):
        fuels = ours[round(float(row["ncv_TJ_per_Gg"]), 6)]
        carbon = {f.value for f in rules.factors if f.gas == "CO2" and f.id.startswith("IPCC2006:manufacturing:")
                  and f.activity.split("/")[2] in fuels}  # fmt: skip
        assert float(row["co2_kg_per_TJ"]) in carbon


@pytest.mark.data
def test_grid_factors_equal_the_published_series(data_dir):
    ours = [
        (f.valid_from.year, f.value, f.status)
        for f in load().factors
        if f.activity == "grid/vn" and f.valid_from
    ]
    for row in read(data_dir / "rules" / "vn_grid_factor.csv"):
        if not row["value"]:
            continue
        status = {"o": "official", "U": "unofficial", "T": "alternate"}[row["status"][0]]
        assert (int(row["year"]), float(row["value"]), status) in ours


EFDB_USES = {
    "I.1.1": "residential",
    "I.2.1": "commercial",
    "I.3.1": "manufacturing",
    "I.4.1": "energy_industries",
}
EFDB_FUELS = {
    "anthracite": "anthracite", "bitumen": "bitumen", "charcoal": "charcoal", "coke-oven-gas": "coke_oven_gas",
    "coking-coal": "coking_coal", "crude-oil": "crude_oil", "diesel-oil": "diesel", "firewood": "wood", "gas-oil": "diesel",
    "gasoline": "gasoline", "jet-kerosene": "jet_kerosene", "lignite": "lignite", "liquefied-petroleum-gases": "lpg",
    "naphtha": "naphtha", "natural-gas": "natural_gas", "natural-gas-liquids": "natural_gas_liquids",
    "other-kerosene": "kerosene", "peat": "peat", "refinery-gas": "refinery_gas", "residual-fuel-oil": "fuel_oil",
    "sub-bituminous-coal": "sub_bituminous_coal", "waste-oils": "waste_oils",
}  # fmt: skip


@pytest.mark.data
def test_methane_and_nitrous_oxide_per_co2_agree_with_an_export_of_the_ipcc_database(data_dir):
    exported: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in read(data_dir / "inventory" / "ipcc_efdb_EmissionsFactor.csv"):
        (fuel,) = json.loads(row["metadata"]).values()
        name = EFDB_FUELS.get(fuel.removeprefix("fuel-type-"))
        use = EFDB_USES.get(row["gpc_reference_number"])
        if name and use:
            cell = exported.setdefault((use, name, row["units"]), {})
            cell[row["gas"]] = float(row["emissions_per_activity"])
    ours = {factor.id: factor.value for factor in load().factors}
    compared = 0
    for (use, fuel, _), gases in exported.items():
        for gas in {"CH4", "N2O"} & gases.keys() if "CO2" in gases else ():
            ratio = ours[f"IPCC2006:{use}:{fuel}:{gas}"] / ours[f"IPCC2006:{use}:{fuel}:CO2"]
            assert gases[gas] / gases["CO2"] == pytest.approx(ratio, rel=0.01), (use, fuel, gas)
            compared += 1
    assert compared > 70
