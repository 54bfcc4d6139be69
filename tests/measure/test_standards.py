"""Scopes and ISO 14064-1 categories: the same cells in another order, with two views of scope 2 that never mix."""

import math

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.measure.reporting import AR5, FLOWS, RULES, cell, same, territory, written_rows, year

from mangrove.measure.cells import Weights, gas_group, in_view, spread
from mangrove.measure.standards import CATEGORIES, iso14064_table, scopes_table


def test_scope_2_stands_in_both_views_side_by_side():
    """Worked example S2-01: 10,000 MWh at 0.71; 4,000 MWh of PPA and 2,000 of certificates at 0, the rest at 0.8."""
    cells = [cell("grid", "CO2", 7100.0, view="location"), cell("grid", "CO2", 3200.0, view="market")]
    table = scopes_table(cells, territory(), RULES, "AR5")
    assert table.line("scope_2_location").sum.co2e == 7100.0
    assert table.line("scope_2_market").sum.co2e == 3200.0
    assert table.line("total_location").sum.co2e == 7100.0
    assert table.line("total_market").sum.co2e == 3200.0


def test_a_flow_without_an_instrument_keeps_the_grid_average_and_the_table_says_so():
    table = scopes_table(year(), territory(), RULES, "AR5")
    steam = 242.00188235294118
    assert table.line("scope_2_market").sum.co2e == pytest.approx(527.36 + 65.92 + steam)
    assert table.line("scope_2_location").sum.co2e == pytest.approx(659.2 + 65.92 + steam)
    problem = next(p for p in table.problems if p.code == "reports.grid_average_in_market")
    assert problem.data["flows"] == "shop"


def test_removals_biogenic_and_avoided_stand_outside_every_total():
    cells = [*year(), cell("grid", "CO2", 40.0, account="avoided")]
    table = scopes_table(cells, territory(), RULES, "AR5")
    apart = {line.code: line.sum.co2e for line in table.lines if not line.inside}
    assert apart == {"removals": 30.0, "biogenic": 12.0, "avoided": 40.0}
    assert (
        table.line("total_location").sum.co2e
        == scopes_table(year(), territory(), RULES, "AR5").line("total_location").sum.co2e
    )


def test_scopes_1_and_3_hold_what_was_declared():
    table = scopes_table(year(), territory(), RULES, "AR5")
    assert table.line("scope_1").sum.co2e == pytest.approx(989.775 + 134.2 + 13.0 + 80.0)
    assert table.line("scope_3").sum.co2e == 55.0
    assert table.line("scope_1").sum.gases["CH4"] == 0.1


def test_categories_follow_scopes_unless_declared():
    table = iso14064_table(year(), territory(), RULES, "AR5")
    scopes = scopes_table(year(), territory(), RULES, "AR5")
    assert table.line("category_1").sum.co2e == scopes.line("scope_1").sum.co2e
    assert table.line("category_2").sum.co2e == scopes.line("scope_2_location").sum.co2e
    assert table.line("category_3").sum.co2e == 55.0
    assert table.line("direct_and_indirect").sum.co2e == pytest.approx(scopes.line("total_location").sum.co2e)


def test_scope_3_without_a_category_is_named_and_not_placed():
    table = iso14064_table([cell("commute", "CO2", 5.0, category="")], territory(), RULES, "AR5")
    assert {p.code: p.data["kg"] for p in table.problems} == {"reports.no_category": 5000}
    assert all(table.line(f"category_{category}").sum.cells == 0 for category in CATEGORIES)


def test_a_line_without_any_number_is_a_dash_and_not_zero():
    table = iso14064_table(year(), territory(), RULES, "AR5")
    row = next(row for row in table.to_rows() if row["code"] == "category_5")
    assert row["co2e_t"] is None
    assert "–" in table.grids()[0].rows[4]


_CELLS = st.lists(
    st.builds(
        lambda name, gas, kg, scope, view: cell(name, gas, 0.0, kg=float(kg), scope=scope, view=view),
        st.sampled_from([flow.id for flow in FLOWS if flow.account == "inventory"]),
        st.sampled_from(sorted(AR5)),
        st.integers(-(10**7), 10**7),
        st.sampled_from([1, 2, 3, None]),
        st.sampled_from(["", "location", "market"]),
    ),
    max_size=30,
)


@given(_CELLS)
def test_scopes_add_up_to_each_total_and_filters_add_up_to_the_table(cells):
    table = scopes_table(cells, territory(), RULES, "AR5")
    for view in ("location", "market"):
        parts = [table.line("scope_1"), table.line(f"scope_2_{view}"), table.line("scope_3")]
        if view == "location":
            assert table.line("total_location").sum.co2e == pytest.approx(
                math.fsum(p.sum.co2e for p in parts), abs=1e-6
            )
    for column in ("gas", "flow", "place"):
        pieces = [
            scopes_table([c for c in cells if getattr(c, column) == value], territory(), RULES, "AR5")
            for value in {getattr(c, column) for c in cells}
        ]
        whole = table.line("total_location").sum.co2e
        assert whole == pytest.approx(math.fsum(p.line("total_location").sum.co2e for p in pieces), abs=1e-6)


@given(_CELLS)
def test_a_view_holds_every_flow_once(cells):
    for view in ("location", "market"):
        chosen = in_view(cells, view)
        other = "market" if view == "location" else "location"
        for name in {c.flow for c in chosen}:
            views = {c.view for c in chosen if c.flow == name}
            assert views <= {"", view} or (view == "market" and views <= {"", other})


def test_two_meters_on_one_grid_factor_are_correlated_and_two_fuels_are_not():
    weights = Weights(RULES, "AR5")
    grid = [
        cell("grid", "CO2", 100.0, relative=0.1, ids=["f"]),
        cell("shop", "CO2", 100.0, relative=0.1, ids=["f"]),
    ]
    fuels = [
        cell("coal", "CO2", 100.0, relative=0.1, ids=["a"]),
        cell("truck", "CO2", 100.0, relative=0.1, ids=["b"]),
    ]
    assert spread(grid, weights).half_width == pytest.approx(1.96 * 20)
    assert spread(fuels, weights).half_width == pytest.approx(1.96 * 10 * math.sqrt(2))


def test_the_share_without_a_stated_error_is_told_and_no_error_at_all_is_no_interval():
    weights = Weights(RULES, "AR5")
    half = [cell("coal", "CO2", 100.0, relative=0.1), cell("truck", "CO2", 300.0)]
    assert spread(half, weights).covered == 0.25
    assert spread(half[1:], weights) is None


def test_gases_stand_in_the_groups_of_inventories():
    written = ("CO2", "HFC-134a", "R-410A", "HCFC-22", "CF4", "CH4_fossil", "SF6")
    assert [gas_group(gas) for gas in written] == ["CO2", "HFC", "HFC", "HCFC", "PFC", "CH4", "SF6"]


@pytest.mark.parametrize("build", [scopes_table, iso14064_table])
@pytest.mark.parametrize("lang", ["en", "vi"])
def test_the_workbook_and_the_text_hold_what_the_table_says(tmp_path, build, lang):
    table = build(year(), territory(), RULES, "AR5", period="2024")
    table.write_xlsx(tmp_path / "table.xlsx", lang)
    grid = table.grids(lang)[0]
    sheet = openpyxl.load_workbook(tmp_path / "table.xlsx").worksheets[0]
    assert all(
        same(row, expected) for row, expected in zip(written_rows(sheet, grid, 1), grid.rows, strict=True)
    )
    assert all(line.name(lang) in table.text(lang) for line in table.lines)
    assert "reports." not in table.text(lang)


@pytest.mark.parametrize("build", [scopes_table, iso14064_table])
def test_air_pollutants_are_in_no_table_and_are_no_problem(build):
    table = build([*year(), cell("coal", "NOx", 3.0)], territory(), RULES, "AR5")
    assert table == build(year(), territory(), RULES, "AR5")
