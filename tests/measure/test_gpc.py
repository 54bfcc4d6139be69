"""The GPC table: what counts where, what is a gap, and 329 published inventories computed again."""

import math
import re
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.measure.reporting import AR5, FLOWS, RULES, cell, same, territory, written_rows, year

from mangrove.errors import RequestError, RuleError
from mangrove.measure.gpc import factor_quality, gpc_table
from mangrove.measure.gpc_structure import (
    BASIC,
    BASIC_PLUS,
    LEVELS,
    NOTATION_KEYS,
    REFERENCES,
    TERRITORIAL,
    Key,
    entry,
    plain_sum,
    total,
)
from mangrove.sources.c40 import read_c40

HCMC_2016 = {
    "I.1.1": 444456.00439946563, "I.1.2": 7500842.46918, "I.1.3": 312035.046717888, "I.2.1": 852353.7611895046,
    "I.2.2": 3670867.697172, "I.2.3": 152708.09620235517, "I.3.1": 2388573.9437212823, "I.3.2": 7414072.596132002,
    "I.3.3": 308425.41999909125, "I.4.1": "IE", "I.4.2": "IE", "I.4.3": "IE", "I.4.4": "NO", "I.5.1": 751704.8496074728,
    "I.5.2": 62859.453252, "I.5.3": 2614.9532552831997, "I.6.1": "NO", "I.6.2": "NO", "I.6.3": "NO", "I.7.1": "NO",
    "I.8.1": 67739.62214400001, "II.1.1": 19926289.411521345, "II.1.2": "NO", "II.1.3": "NE", "II.2.1": "IE",
    "II.2.2": "NO", "II.2.3": "NE", "II.3.1": 83624.48985650405, "II.3.2": "NO", "II.3.3": "NE", "II.4.1": "IE",
    "II.4.2": "NO", "II.4.3": 3973652.439965208, "II.5.1": "IE", "II.5.2": "IE", "II.5.3": "NE",
    "III.1.1": 1739521.9999999998, "III.1.2": "NO", "III.1.3": "NE", "III.2.1": 100724.00000000001, "III.2.2": "NO",
    "III.2.3": "NE", "III.3.1": 896266.540268764, "III.3.2": "NO", "III.3.3": "NE", "III.4.1": 986286.5680921429,
    "III.4.2": "NO", "III.4.3": "NE", "IV.1": 107735.22, "IV.2": 416.33799999999997, "V.1": 392617.05000222434,
    "V.2": -181103.3550335529, "V.3": 230359.28493809252,
}  # fmt: skip
"""Hồ Chí Minh City 2016 in t CO2e (C40 Greenhouse Gas Emissions Dashboard data, version 30.05.2023)."""
COLUMN = {BASIC: "BASIC", BASIC_PLUS: "BASIC+", TERRITORIAL: "Territorial"}
CONTRADICTS_ITSELF = {("Houston", 2020): (BASIC, BASIC_PLUS)}
"""Inventories whose headline totals in the workbook are not the sums of its own subsector columns."""


def numbers(entries):
    read = {ref: entry(written) for ref, written in entries.items()}
    return {ref: value for ref, value in read.items() if isinstance(value, (int, float))}


def test_hcmc_2016_gives_its_published_totals():
    values = numbers(HCMC_2016)
    assert total(values, BASIC).value == 46886183.40653648
    assert total(values, BASIC_PLUS).value == 52185643.90058307
    assert total(values, TERRITORIAL).value == 28787565.728707243


@pytest.mark.data
def test_all_inventories_of_the_c40_database_are_recomputed_without_any_difference(data_dir):
    """Bit for bit: 329 inventories x 3 totals; where a headline contradicts the workbook's own parts, the parts are met."""
    inventories = read_c40(data_dir / "inventory" / "C40_GPC_Database.xlsx")
    assert len(inventories) == 329
    different = {}
    for inventory in inventories:
        values = numbers(inventory.entries)
        for level in LEVELS:
            if total(values, level).value != inventory.totals[COLUMN[level]]:
                different.setdefault((inventory.city, inventory.year), []).append(level)
    assert {key: tuple(levels) for key, levels in different.items()} == CONTRADICTS_ITSELF


@pytest.mark.data
def test_subsector_columns_of_the_c40_database_show_which_headline_is_wrong(data_dir):
    """Of all inventories, only the headline of Houston 2020 differs from the sum of its own columns (by 9.8 and 11.1 Mt)."""
    for inventory in read_c40(data_dir / "inventory" / "C40_GPC_Database.xlsx"):
        values = numbers(inventory.entries)
        for level in (BASIC, BASIC_PLUS):
            printed = inventory.subsectors[level]
            own = math.fsum(printed.values())
            assert total(values, level).value == pytest.approx(own, rel=1e-15, abs=1e-6)
            told = math.isclose(own, inventory.totals[level], rel_tol=1e-12)
            assert told != (level in CONTRADICTS_ITSELF.get((inventory.city, inventory.year), ()))


@pytest.mark.data
def test_the_c40_database_names_every_reference_of_the_gpc(data_dir):
    inventories = read_c40(data_dir / "inventory" / "C40_GPC_Database.xlsx")
    assert all(list(inventory.entries) == list(REFERENCES) for inventory in inventories)
    hcmc = next(i for i in inventories if (i.city, i.year) == ("Ho Chi Minh City", 2016))
    assert numbers(hcmc.entries) == numbers(HCMC_2016)
    assert hcmc.population == 8441902


def test_the_gpc_has_53_references_and_one_that_inventories_add():
    assert len(REFERENCES) == 54
    by_level = {
        level: [ref for ref, r in REFERENCES.items() if r.level == level] for level in (BASIC, BASIC_PLUS)
    }
    assert len(by_level[BASIC]) == 32
    assert set(by_level[BASIC_PLUS]) >= {"I.1.3", "II.1.3", "IV.1", "IV.2", "V.1", "V.2", "V.3"}
    only_territorial = {ref for ref, r in REFERENCES.items() if r.level == TERRITORIAL}
    assert only_territorial == {"I.4.4", "III.1.3", "III.2.3", "III.3.3", "III.4.3"}


@given(st.dictionaries(st.sampled_from(list(REFERENCES)), st.integers(-(10**9), 10**9)))
def test_every_total_is_exactly_the_sum_of_its_parts_and_of_its_references(values):
    for level in LEVELS:
        whole = total(values, level)
        assert whole.value == plain_sum(whole.parts.values())
        assert whole.value == sum(v for ref, v in values.items() if REFERENCES[ref].counts_in(level))


@given(st.dictionaries(st.sampled_from(list(REFERENCES)), st.floats(-1e9, 1e9)))
def test_basic_plus_is_basic_and_what_basic_plus_adds(values):
    added = {ref: v for ref, v in values.items() if REFERENCES[ref].level == BASIC_PLUS}
    both = total(values, BASIC).value + math.fsum(added.values())
    assert total(values, BASIC_PLUS).value == pytest.approx(both, rel=1e-9, abs=1e-3)


def test_a_reference_without_a_value_is_absent_from_a_total_and_other_scope_3_is_in_none():
    assert total({}, BASIC).parts == {}
    assert all(total({"VI.1": 5.0}, level).value == 0 for level in LEVELS)


def test_unknown_references_and_levels_are_refused():
    with pytest.raises(RequestError, match=r"I\.9\.1"):
        total({"I.9.1": 1.0}, BASIC)
    with pytest.raises(RequestError, match="BASIC"):
        total({}, "CORE")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NO", Key(("NO",))),
        ("NO ", Key(("NO",))),
        ("NE; NE", Key(("NE",))),
        ("NO; IE", Key(("NO", "IE"))),
        ("IE (II.1.1)", Key(("IE",), "II.1.1")),
        ("", None),
        (None, None),
        (0, 0),
        (-3.5, -3.5),
    ],
)
def test_entries_are_numbers_keys_or_nothing(written, read):
    assert entry(written) == read


@given(st.from_regex(r"[A-Z0-9 ;()./]{1,10}", fullmatch=True).filter(str.strip))
def test_a_text_is_read_as_keys_only_when_it_names_nothing_but_keys(text):
    words = set(re.findall(r"[A-Z0-9]+", text.partition("(")[0]))
    try:
        found = entry(text)
    except RequestError:
        found = None
    if isinstance(found, Key):
        assert set(found.keys) == words <= set(NOTATION_KEYS)


@pytest.mark.parametrize("written", ["X", "N0", "1,234", "NO IE", True, [1]])
def test_other_things_are_refused_as_entries(written):
    with pytest.raises(RequestError) as caught:
        entry(written)
    assert caught.value.code == "reports.not_an_entry"


def test_the_table_puts_every_flow_on_its_reference_in_the_named_gwp_set():
    table = gpc_table(year(), territory(), RULES, "AR5")
    assert table.row("I.3.1").co2e == pytest.approx(989.775)
    assert table.row("I.3.1").sum.gases == {"CO2": 983.0, "CH4": 0.1, "N2O": 0.015}
    assert gpc_table(year(), territory(), RULES, "AR4").row("I.3.1").co2e == pytest.approx(989.97)
    assert len(table.rows) == 53


def test_co2_equivalents_need_a_gwp_set_that_exists():
    with pytest.raises(RuleError):
        gpc_table(year(), territory(), RULES, "AR99")


def test_scope_2_is_location_based_and_biogenic_co2_stands_apart():
    table = gpc_table(year(), territory(), RULES, "AR5")
    assert table.row("I.3.2").co2e == pytest.approx(659.2 + 242.00188235294118)
    assert table.row("I.3.1").biogenic == 12.0


def test_removals_are_deducted_from_land_only():
    table = gpc_table(year(), territory(), RULES, "AR5")
    assert table.row("V.2").co2e == -30.0
    assert table.row("V.2").problems[0].data["kg"] == 30000
    elsewhere = gpc_table([cell("forest", "CO2", 30.0, gpc="IV.1")], territory(), RULES, "AR5")
    assert elsewhere.row("IV.1").sum is None
    assert "reports.gpc_removal" in {p.code for p in elsewhere.row("IV.1").problems}


def test_totals_follow_the_reporting_levels():
    table = gpc_table(year(), territory(), RULES, "AR5", population=1000)
    basic = 989.775 + 134.2 + 659.2 + 242.00188235294118 + 65.92
    assert table.totals[BASIC].value == pytest.approx(basic)
    assert table.totals[BASIC_PLUS].value == pytest.approx(basic + 55 + 80 + 13 - 30)
    assert table.totals[TERRITORIAL].value == pytest.approx(989.775 + 134.2 + 80 + 13 - 30)


def test_a_reference_without_number_and_key_is_a_gap_and_not_zero():
    table = gpc_table(year(), territory([("I.1.1", "NO", "no homes")]), RULES, "AR5")
    assert table.row("I.1.1").key == Key(("NO",))
    assert not table.row("I.1.1").is_gap
    assert table.row("I.1.2").is_gap
    assert table.row("I.1.2").co2e is None
    assert "I.1.2" in table.missing(BASIC)
    assert "I.1.1" not in table.missing(BASIC)
    row = next(row for row in table.to_rows() if row["ref"] == "I.1.2")
    assert row["key"] == "neither estimated nor keyed"


def test_ie_must_say_where():
    table = gpc_table(
        year(), territory([("II.2.1", "IE", ""), ("II.3.1", "IE", "counted in II.1.1")]), RULES, "AR5"
    )
    assert {p.code for p in table.row("II.2.1").problems} == {"reports.gpc_ie_where"}
    assert table.row("II.3.1").key == Key(("IE",), "II.1.1")
    assert not table.row("II.3.1").problems


def test_a_confidential_reference_shows_no_number_and_enters_no_total():
    table = gpc_table(year(), territory([("IV.1", "C", "one plant only")]), RULES, "AR5")
    assert table.row("IV.1").co2e is None
    assert table.totals[BASIC_PLUS].parts["IV"] == pytest.approx(13.0)
    assert "80" not in str(table.row("IV.1"))


def test_a_number_beside_a_key_counts_and_is_reported():
    table = gpc_table(year(), territory([("IV.1", "NO", "")]), RULES, "AR5")
    assert table.row("IV.1").co2e == 80.0
    assert "reports.gpc_both" in {p.code for p in table.problems}


def test_cells_without_a_reference_are_named_with_their_amount():
    table = gpc_table(
        [cell("coal", "CO2", 5.0, gpc=""), cell("coal", "CO2", 7.0, gpc="I.9.9")], territory(), RULES, "AR5"
    )
    found = {p.code: p.data["kg"] for p in table.problems}
    assert found["reports.gpc_unassigned"] == 5000
    assert found["reports.gpc_unknown"] == 7000


def test_a_gas_outside_the_set_and_a_number_of_another_set_are_problems_not_zeros():
    cells = [
        cell("coal", "NF9", 1.0),
        cell("coal", "CO2e", 9.0, note="AR4"),
        cell("furnace", "CO2e", 4.0, note="AR5"),
    ]
    table = gpc_table(cells, territory(), RULES, "AR5")
    assert table.row("I.3.1").is_gap
    assert table.row("IV.1").co2e == 4.0
    assert {p.code for p in table.problems} == {"reports.no_gwp", "reports.reported_in_another_set"}


def test_a_flow_of_another_scope_than_its_reference_is_reported():
    table = gpc_table([cell("commute", "CO2", 5.0, gpc="II.1.1")], territory(), RULES, "AR5")
    assert "reports.gpc_scope" in {p.code for p in table.problems}


def test_data_quality_is_the_lowest_of_what_enters_a_reference():
    table = gpc_table(year(), territory(), RULES, "AR5")
    assert (table.row("I.3.1").activity_quality, table.row("I.3.1").factor_quality) == ("H", "M")
    assert (table.row("II.1.1").activity_quality, table.row("II.1.1").factor_quality) == ("L", "L")
    assert [factor_quality(name) for name in ("local:1", "DCC:2023", "GHGP:diesel", "x")] == [
        "H",
        "M",
        "L",
        "",
    ]


def test_sources_with_one_factor_move_together_in_the_interval():
    table = gpc_table(year(), territory(), RULES, "AR5")
    grid, coal, truck = (
        1.96 * 0.04 * (659.2 + 65.92),
        1.96 * (0.03 * 983 + 0.5 * (2.8 + 3.975)),
        1.96 * 0.05 * 134.2,
    )
    assert table.spreads[BASIC].half_width == pytest.approx(math.hypot(grid, coal, truck))
    assert table.spreads[BASIC].covered == pytest.approx(1 - 242.00188235294118 / table.totals[BASIC].value)


_CELLS = st.lists(
    st.builds(
        lambda name, gas, kg, ref: cell(name, gas, 0.0, kg=float(kg), gpc=ref),
        st.sampled_from([flow.id for flow in FLOWS if flow.account == "inventory"]),
        st.sampled_from(sorted(AR5)),
        st.integers(-(10**7), 10**7),
        st.sampled_from(list(REFERENCES)),
    ),
    max_size=30,
)


@given(_CELLS, st.sampled_from(["gas", "place", "flow", "scope", "gpc"]))
def test_parts_are_the_total_under_every_filter(cells, column):
    whole = gpc_table(cells, territory(), RULES, "AR5")
    parts = [
        gpc_table([c for c in cells if getattr(c, column) == value], territory(), RULES, "AR5")
        for value in {getattr(c, column) for c in cells}
    ]
    for level in LEVELS:
        apart = math.fsum(part.totals[level].value for part in parts)
        assert whole.totals[level].value == pytest.approx(apart, rel=1e-9, abs=1e-6)
        weighed = math.fsum(mass * AR5[gas] for gas, mass in whole.gases[level].items())
        assert whole.totals[level].value == pytest.approx(weighed, rel=1e-9, abs=1e-6)
        assert whole.totals[level].value == plain_sum(whole.totals[level].parts.values())


def test_the_weights_of_these_tests_are_those_of_the_rules():
    assert {gas: RULES.gwp("AR5").value(gas).value for gas in AR5} == AR5


@given(_CELLS)
def test_avoided_emissions_never_enter(cells):
    avoided = [cell("coal", "CO2", 1000.0, account="avoided")]
    assert (
        gpc_table(cells + avoided, territory(), RULES, "AR5").totals
        == gpc_table(cells, territory(), RULES, "AR5").totals
    )


def test_the_workbook_holds_what_the_table_says(tmp_path):
    table = gpc_table(year(), territory([("I.1.1", "NO", "")]), RULES, "AR5", population=1000, period="2024")
    table.write_xlsx(tmp_path / "gpc.xlsx")
    book = openpyxl.load_workbook(tmp_path / "gpc.xlsx")
    for sheet, grid in zip(book.worksheets, table.grids(), strict=True):
        assert sheet["A1"].value == grid.title
        assert tuple(cell.value for cell in sheet[2]) == grid.columns
        written = written_rows(sheet, grid, skip=1)
        assert all(same(row, expected) for row, expected in zip(written, grid.rows, strict=True))


@pytest.mark.parametrize("lang", ["en", "vi"])
def test_the_text_shows_every_reference_and_total_in_both_languages(lang):
    table = gpc_table(year(), territory(), RULES, "AR5", period="2024")
    text = table.text(lang)
    assert all(row.ref in text for row in table.rows)
    basic = {"en": "2,091.1", "vi": "2.091,1"}
    assert basic[lang] in text
    assert "reports." not in text


def test_the_code_of_the_how_to_page_runs():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "official-reports.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(page), "exec"), {})
