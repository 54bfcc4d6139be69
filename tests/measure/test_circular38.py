"""The facility report of Circular 38: source types, totals, blanks, and files that say what the model says."""

import math
from dataclasses import replace

import docx
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.measure.reporting import AR5, FLOWS, RULES, cell, flow, same, territory, written_rows, year

from mangrove.errors import Problem, RequestError
from mangrove.measure.circular38 import DIRECT, FACTS, INDIRECT, SOURCE_TYPES, circular38_report, source_type
from mangrove.measure.gpc_structure import plain_sum
from mangrove.measure.report_model import BLANK
from mangrove.territory.schema import SETTINGS

HEADINGS = [
    "I. Thông tin của cơ sở phải thực hiện kiểm kê khí nhà kính",
    "1. Tên cơ sở, địa chỉ, giấy phép kinh doanh",
    "2. Thông tin về người đại diện của cơ sở trước pháp luật",
    "3. Thông tin về lĩnh vực hoạt động kinh doanh, sản xuất",
    "II. Thông tin về hoạt động sản xuất kinh doanh và số liệu hoạt động của cơ sở",
    "1. Ranh giới và phạm vi hoạt động của cơ sở",
    "2. Cơ sở hạ tầng, công nghệ và hoạt động của cơ sở phải thực hiện kiểm kê khí nhà kính",
    "3. Các nguồn phát thải, bể hấp thụ khí nhà kính trong phạm vi hoạt động của cơ sở",
    "4. Hệ thống thông tin, dữ liệu về phát thải khí nhà kính của cơ sở, xác định nguyên nhân các hạn chế trong kiểm kê khí nhà kính của cơ sở",
    "III. Kết quả thực hiện kiểm kê phát thải khí nhà kính",
    "1. Mô tả phương pháp kiểm kê phát thải khí nhà kính (phương pháp thu thập số liệu, hệ số phát thải)",
    "2. Số liệu hoạt động liên quan đến phát thải khí nhà kính của cơ sở",
    "3. Kết quả kiểm kê khí nhà kính của cơ sở",
    "4. Độ tin cậy, tính đầy đủ, độ không chắc chắn của thông tin, số liệu về phát thải khí nhà kính và kết quả kiểm kê khí nhà kính của cơ sở",
]
"""Decree 06/2022/NĐ-CP, Appendix II, Form 06: three parts, eleven items."""


def report(cells=None, **more):
    given_cells = cells or {2024: year(), 2025: year(1.1)}
    land = more.pop("land", territory())
    return circular38_report(given_cells, land, RULES, "AR5", **more)


@pytest.mark.parametrize(
    ("carrier", "written", "scope", "factor", "expected"),
    [
        ("fuel:anthracite", "t", 1, "combustion/manufacturing/anthracite", "stationary"),
        ("fuel:diesel", "L", 1, "", "stationary"),
        ("fuel:diesel", "L", 1, "combustion/road/diesel", "mobile"),
        ("fuel:diesel", "L", 1, "combustion/off_road/diesel", "mobile"),
        ("vehicle_km:truck", "vehicle_km", 1, "vehicle/truck", "mobile"),
        ("process:clinker", "t", 1, "process/clinker", "process"),
        ("material:coal", "t", 1, "fugitive/coal/underground", "fugitive"),
        ("refrigerant:HFC-134a", "kg", 1, "", "refrigerant"),
        ("wastewater", "m3", 1, "", "waste"),
        ("waste:food", "t", 1, "landfill/doc/food", "waste"),
        ("electricity", "kWh", 2, "grid/vn", "electricity"),
        ("steam@180degC", "t", 2, "", "steam"),
        ("cooling", "kWh", 2, "", ""),
        ("electricity", "kWh", 3, "", ""),
        ("livestock:cattle", "head", 1, "", ""),
    ],
)
def test_flows_fall_into_the_eight_source_types_of_article_16(carrier, written, scope, factor, expected):
    assert source_type(flow("x", carrier, written, scope, factor=factor)) == expected


def test_the_use_of_a_fuel_and_a_declared_type_decide():
    assert source_type(flow("x", "fuel:diesel", "L", 1, parameters={"use": "road"})) == "mobile"
    assert source_type(flow("x", "stack", "kg", 1, parameters={"source_type": "process"})) == "process"
    assert source_type(flow("x", "stack", "kg", 1)) == ""


def test_results_reproduce_the_worked_examples_of_the_circular():
    """VN-01 coal 989.775 t (AR5), VN-02 electricity 659.2 t, VN-03 steam 242.002 t, VN-06 refrigerant 13.0 t."""
    first = report().years[0]
    found = {source: result.co2e for source, result in first.sources.items()}
    expected = {
        "stationary": 989.775, "mobile": 134.2, "process": 80.0, "refrigerant": 13.0, "electricity": 659.2 + 65.92,
        "steam": 242.00188235294118,
    }  # fmt: skip
    assert found == pytest.approx(expected)


def test_every_total_is_exactly_the_sum_of_its_sources():
    for result in report().years:
        assert result.direct == plain_sum(result.sources[s].co2e for s in DIRECT if s in result.sources)
        assert result.indirect == plain_sum(result.sources[s].co2e for s in INDIRECT if s in result.sources)
        assert result.total == result.direct + result.indirect


_CELLS = st.lists(
    st.builds(
        lambda name, gas, kg: cell(name, gas, 0.0, kg=float(kg)),
        st.sampled_from([f.id for f in FLOWS if f.account == "inventory"]),
        st.sampled_from(sorted(AR5)),
        st.integers(0, 10**7),
    ),
    max_size=25,
)


@given(_CELLS)
def test_parts_are_the_total_by_place_and_by_gas(cells):
    whole = report({2024: cells}).years[0].total
    by_place = [report({2024: cells}, place=place).years[0].total for place in ("mill", "office")]
    assert whole == pytest.approx(sum(by_place), abs=1e-6)
    by_gas = [report({2024: [c for c in cells if c.gas == gas]}).years[0].total for gas in AR5]
    assert whole == pytest.approx(math.fsum(by_gas), abs=1e-6)


@given(_CELLS)
def test_the_table_of_results_adds_up_by_rows_and_by_columns(cells):
    grid = next(
        g for g in report({2024: cells}).document.grids() if g.title.startswith("Kết quả năm 2024 theo nguồn")
    )
    amounts = [[0.0 if value == "–" else value for value in row[2:-1]] for row in grid.rows]
    for row in amounts:
        assert row[-1] == pytest.approx(math.fsum(row[:-1]), abs=1e-6)
    direct, indirect, total = amounts[6], amounts[9], amounts[10]
    for column in range(len(total)):
        assert direct[column] == pytest.approx(math.fsum(row[column] for row in amounts[:6]), abs=1e-6)
        assert indirect[column] == pytest.approx(math.fsum(row[column] for row in amounts[7:9]), abs=1e-6)
        assert total[column] == pytest.approx(direct[column] + indirect[column], abs=1e-6)


def test_scope_3_and_market_based_numbers_are_left_out_and_named():
    found = report()
    left_out = [p for p in found.problems if p.code == "reports.outside_article_16"]
    assert [(p.data["year"], p.data["kg"], p.data["flows"]) for p in left_out] == [
        (2024, 55000, "commute"),
        (2025, 60500, "commute"),
    ]
    assert all(c.view != "market" for result in found.years for c in result.counted)


def test_a_declared_source_without_a_number_is_named_and_is_no_zero():
    found = report()
    silent = next(p for p in found.problems if p.code == "reports.no_number")
    assert silent.data == {"year": 2024, "flows": "wastewater"}
    assert "waste" not in found.years[0].sources


def test_what_the_circular_has_no_formula_for_is_said():
    assert {p.code for p in report().problems} >= {"reports.no_formula_process"}
    text = everything(report())
    assert "không có công thức cho quá trình công nghiệp" in text
    assert "dẫn chiếu Thông tư 17/2022/TT-BTNMT" in text


@pytest.mark.parametrize("years", [[], [2023, 2025], [2022, 2023, 2024]])
def test_a_report_takes_one_year_or_two_consecutive_ones(years):
    with pytest.raises(RequestError, match="consecutive"):
        circular38_report({y: year() for y in years}, territory(), RULES, "AR5")


def test_one_year_alone_is_a_problem_under_decree_119():
    assert "reports.one_year" in {p.code for p in report({2024: year()}).problems}
    assert "reports.one_year" not in {p.code for p in report().problems}


def test_an_unknown_place_is_refused():
    with pytest.raises(RequestError, match="moon"):
        report(place="moon")


def everything(found):
    document = found.document
    lines = [*document.left, *document.right, *document.title, document.form, document.signature]
    for section in document.sections:
        lines += [section.heading, *section.paragraphs]
        for grid in section.grids:
            lines += [
                grid.title,
                *grid.columns,
                *grid.notes,
                *(str(value) for row in grid.rows for value in row),
            ]
    return "\n".join(lines)


def test_the_document_has_the_eleven_items_of_form_06_in_its_words():
    assert [section.heading for section in report().document.sections] == HEADINGS
    assert report().document.title[:2] == ("BÁO CÁO", "Kết quả kiểm kê khí nhà kính cho năm 2024 và năm 2025")
    assert report().document.signature.startswith("ĐẠI DIỆN CỦA CƠ SỞ")


def test_facts_that_nobody_declared_are_blanks():
    document = report().document
    one, two = document.sections[1].paragraphs, document.sections[2].paragraphs
    assert one == ("Tên cơ sở: Khu công nghiệp Thử", f"Địa chỉ: {BLANK}", f"Giấy phép kinh doanh: {BLANK}")
    assert two == (f"Họ và tên: {BLANK}", f"Chức vụ: {BLANK}")
    assert document.signature.endswith(BLANK)


def test_declared_facts_are_taken_from_the_territory_or_from_the_place():
    land = territory(
        settings={"facility": {"legal_representative": "Nguyễn Văn A", "licence": "0123", "address": None}}
    )
    sections = report(land=land).document.sections
    assert "Họ và tên: Nguyễn Văn A" in sections[2].paragraphs
    assert "Giấy phép kinh doanh: 0123" in sections[1].paragraphs
    assert f"Địa chỉ: {BLANK}" in sections[1].paragraphs
    mill = report(land=territory(props={"address": "Lô A1"}), place="mill").document
    assert mill.left[0] == "NHÀ MÁY THÉP"
    assert "Địa chỉ: Lô A1" in mill.sections[1].paragraphs


def test_activity_tables_hold_amounts_in_the_units_of_the_circular():
    found = report(ncv={"coal": 0.02681684}).document.grids()
    table = {g.sheet: g.rows for g in found}
    assert table["1.1 (2024)"][0][1:] == ("anthracite", 372.9, "t", 0.02681684, pytest.approx(10.0, rel=1e-4))
    assert table["1.2 (2024)"][0][3:] == ("diesel", 50000.0, None)
    assert table["2.1 (2024)"][0][1:] == ("HFC-134a", 10.0)
    assert table["2.2 (2024)"][0][4] == "R134a"
    assert table["2.2 (2024)"][0][5] == pytest.approx(409457, abs=1)
    assert table["3 (2024)"] == ()
    assert table["4.1 (2024)"][0][1:3] == (1000.0, "Điện lưới; mua trực tiếp (20 %)")
    assert table["4.2 (2024)"][0][1:] == (None, "180", None, 2776.0, None, 1000.0)


def test_a_net_calorific_value_that_is_not_known_is_a_blank_and_so_is_the_energy():
    table = {g.sheet: g.rows for g in report().document.grids()}
    assert table["1.1 (2024)"][0][4:] == (None, None)


def test_the_interval_is_that_of_approach_1_and_tells_what_it_covers():
    first = report().years[0]
    grid, coal = 0.04 * (659.2 + 65.92), 0.03 * 983 + 0.5 * (2.8 + 3.975)
    expected = 1.96 * math.hypot(grid, coal, 0.05 * 134.2, 0.1 * 13, 0.25 * 80)
    assert first.spread.half_width == pytest.approx(expected)
    assert first.spread.covered == pytest.approx(1 - 242.00188235294118 / first.total)
    section = report().document.sections[-1].paragraphs
    assert sum(line.startswith("Nhận xét của cơ sở") for line in section) == 6
    assert any(line.startswith("Năm 2024: ±") for line in section)


def test_without_stated_errors_the_report_says_so():
    bare = [replace(c, sd=None) for c in year()]
    text = report({2024: bare, 2025: bare}).document.sections[-1].paragraphs
    assert "Năm 2024: chưa nguồn nào có nêu độ không chắc chắn." in text


def test_gaps_of_the_measurement_stand_among_the_limitations():
    gap = Problem("measure.no_values", {"flow": "wastewater"})
    section = report(gaps=[gap]).document.sections[8]
    assert any("wastewater" in line and "không có số liệu" in line for line in section.paragraphs)


def test_the_word_file_says_what_the_model_says(tmp_path):
    found = report()
    found.write_docx(tmp_path / "report.docx")
    paper = docx.Document(str(tmp_path / "report.docx"))
    headings = [p.text for p in paper.paragraphs if p.style.name.startswith("Heading")]
    assert headings == HEADINGS
    texts = {p.text for p in paper.paragraphs}
    grids = [grid for section in found.document.sections for grid in section.grids]
    for section in found.document.sections:
        assert set(section.paragraphs) <= texts
    head, *tables = paper.tables
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in head.rows[0].cells[1].text
    for table, grid in zip(tables, grids, strict=True):
        written = [[cell.text.replace("\u00a0", "") for cell in row.cells] for row in table.rows]
        assert written[0] == list(grid.columns)
        assert written[1:] == [[grid.shown(value, "vi") for value in row] for row in grid.rows]


def test_the_workbook_says_what_the_model_says_and_its_details_add_up_to_the_total(tmp_path):
    found = report()
    found.write_xlsx(tmp_path / "report.xlsx")
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")
    for index, (sheet, grid) in enumerate(zip(book.worksheets, found.document.grids(), strict=True)):
        skip = 1 + (len(found.document.title) if index == 0 else 0)
        expected = [tuple(BLANK if value is None else value for value in row) for row in grid.rows]
        assert all(
            same(row, line) for row, line in zip(written_rows(sheet, grid, skip), expected, strict=True)
        )
    details = found.document.grids()[-1]
    for result in found.years:
        assert math.fsum(row[11] for row in details.rows if row[0] == result.year) == pytest.approx(
            result.total
        )


def test_every_source_type_is_listed_even_when_nothing_was_declared():
    grid = next(g for g in report().document.grids() if g.sheet == "Nguồn")
    assert len(grid.rows) == len(SOURCE_TYPES) == 8
    assert grid.rows[3][-1] == "không khai báo nguồn nào"


def test_every_fact_of_the_report_can_be_declared_in_territory_yaml():
    facility = next(key for key in SETTINGS if key.name == "facility")
    assert tuple(key.name for key in facility.keys) == FACTS


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_no_message_code_is_left_in_a_report(lang):
    text = everything(report(lang=lang))
    assert "reports." not in text
    assert "{" not in text


@pytest.mark.parametrize(("lang", "coal"), [("vi", "989,8"), ("en", "989.8")])
def test_the_text_for_a_terminal_shows_totals_sources_and_problems(lang, coal):
    text = report().text(lang)
    assert coal in text
    assert "wastewater" in text
    assert "reports." not in text


def test_every_factor_is_listed_with_its_own_document_and_status():
    """A recalled density beside an official factor does not make the official one look recalled."""
    ids = ["QD2626:I.1.1", "REF:density:diesel", "local:grid/vn:CO2:", "unknown"]
    mixed = [replace(c, factor_ids=tuple(ids), status="recalled") for c in year() if c.flow == "coal"]
    grid = next(g for g in report({2024: mixed}).document.grids() if g.sheet == "Hệ số")
    rows = {row[1]: row[3:] for row in grid.rows}
    assert rows["QD2626:I.1.1"][0].startswith("Decision 2626/QD-BTNMT")
    assert rows["QD2626:I.1.1"][1] == "chính thức"
    assert rows["REF:density:diesel"][1] == "chưa đối chiếu bản gốc"
    assert rows["local:grid/vn:CO2:"] == ("hệ số riêng đã khai báo (factors.csv)", "–")
    assert rows["unknown"] == ("–", "–")
