# SPDX-License-Identifier: Apache-2.0
"""Reports as files: grids as Excel workbooks, documents as Word files in the form of a Vietnamese official paper.

Comes in: the frozen shapes of `report_model`. Goes out: .xlsx with numbers as numbers, .docx with numbers as people write
them. What is not known is a visible blank in both. Page and type follow Decree 30/2020/NĐ-CP, Appendix I: A4, Times New
Roman 13, margins 20 mm above and below, 30 mm left, 20 mm right.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove.measure.report_model import BLANK, DASH, Document, Grid, Section, Value

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

_FONT = "Times New Roman"
_BODY_PT, _TABLE_PT, _WIDE_TABLE_PT = 13, 10, 8
_TEXT_MM = 160
"""Width of the text: A4 less the margins."""
_WIDE = 7
"""From this many columns on, a table is set in smaller type."""
_SHEET_LETTERS = 31
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_WIDEST, _NARROWEST = 42, 6
_LINE_PT = 15.0


def write_xlsx(path: Path, grids: Sequence[Grid], heading: Sequence[str] = ()) -> None:
    """Writes one worksheet per grid: title, headings, rows, notes; `heading` lines stand above the first table."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    used: set[str] = set()
    for index, grid in enumerate(grids):
        sheet = book.create_sheet(_sheet_name(grid, used))
        _fill_sheet(sheet, grid, heading if index == 0 else ())
    book.save(path)


def _sheet_name(grid: Grid, used: set[str]) -> str:
    base = _FORBIDDEN.sub(" ", grid.sheet or grid.title).strip()[:_SHEET_LETTERS].strip()
    name, count = base, 1
    while name.casefold() in used:
        count += 1
        name = f"{base[: _SHEET_LETTERS - 4].strip()} ({count})"
    used.add(name.casefold())
    return name


def _printable(value: Value) -> Value:
    """A cell without the control characters that neither XML nor paper can hold."""
    return _CONTROL.sub(" ", value) if isinstance(value, str) else value


def _fill_sheet(sheet: Worksheet, grid: Grid, heading: Sequence[str]) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.properties import PageSetupProperties

    for line in (*heading, grid.title):
        sheet.append([_printable(line)])
        sheet.cell(sheet.max_row, 1).font = Font(name=_FONT, size=_BODY_PT, bold=True)
    top = sheet.max_row + 1
    widths = _widths(grid)
    for values in (grid.columns, *grid.rows):
        sheet.append([BLANK if value is None else _printable(value) for value in values])
        lines = max(
            _lines(grid.shown(value, "vi"), width) for value, width in zip(values, widths, strict=True)
        )
        sheet.row_dimensions[sheet.max_row].height = _LINE_PT * lines
        _dress(sheet[sheet.max_row], grid, is_heading=sheet.max_row == top)
    for note in grid.notes:
        sheet.append([_printable(note)])
        sheet.cell(sheet.max_row, 1).font = Font(name=_FONT, size=11, italic=True)
    for cell in (cell for row in sheet.iter_rows() for cell in row):
        if cell.data_type == "f":  # a name such as =HYPERLINK(...) is a name; reports hold no formulas
            cell.data_type = "s"
    for index, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(index)].width = width
    sheet.freeze_panes = f"A{top + 1}"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = 9  # A4
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = f"{top}:{top}"


def _dress(cells: Sequence[Any], grid: Grid, *, is_heading: bool) -> None:
    """Frames, type and number formats of one row; headings are shaded, sums bold, dashes and blanks centered."""
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

    thin = Side(style="thin", color="999999")
    bold = is_heading or not cells[0].value
    for cell in cells:
        centered = is_heading or cell.value in (BLANK, DASH)
        cell.font, cell.border = Font(name=_FONT, size=11, bold=bold), Border(thin, thin, thin, thin)
        cell.alignment = Alignment(wrap_text=True, vertical="top", horizontal="center" if centered else None)
        if is_heading:
            cell.fill = PatternFill("solid", fgColor="DDEBDD")
        elif isinstance(cell.value, float) and grid.decimals is not None:
            cell.number_format = "#,##0." + "0" * grid.decimals
        elif isinstance(cell.value, float):
            cell.number_format = "#,##0.0##" if abs(cell.value) >= 1 else "0.0#######"


def _widths(grid: Grid) -> list[float]:
    """Column widths in letters, from the longest word of a heading and the longest cell, within bounds."""
    widths = []
    for index, head in enumerate(grid.columns):
        cells = [grid.shown(row[index], "vi") for row in grid.rows]
        longest = max([len(word) for word in head.split()] + [len(cell) for cell in cells], default=0)
        widths.append(float(min(max(longest + 3, _NARROWEST), _WIDEST)))
    return widths


def _lines(text: str, width: float) -> int:
    """About how many lines a text takes in a column; spreadsheets do not fit heights by themselves when they print."""
    return max(1, len(textwrap.wrap(text, max(int(width), 4))))


def write_document_xlsx(path: Path, document: Document) -> None:
    """Writes all tables of a document as a workbook, the document's title above the first."""
    write_xlsx(path, document.grids(), document.title)


def write_document_docx(path: Path, document: Document) -> None:
    """Writes a document as .docx: head in two columns, title, sections with tables, place for the signature."""
    import docx
    from docx.enum.text import WD_ALIGN_PARAGRAPH as ALIGN

    paper = docx.Document()
    _set_up_page(paper)
    _line(paper, document.form, bold=True, align=ALIGN.RIGHT)
    _head(paper, document)
    for index, line in enumerate(document.title):
        _line(paper, line, bold=True, align=ALIGN.CENTER, size=_BODY_PT + 1, before=12 if index == 0 else 0)
    for section in document.sections:
        _section(paper, section, document.lang)
    for line in document.signature.split("\n"):
        end = _line(paper, line, bold=True, align=ALIGN.CENTER, before=24)
        end.paragraph_format.left_indent = docx.shared.Mm(80)
        end.paragraph_format.keep_with_next = True
    paper.save(str(path))


def _set_up_page(paper: Any) -> None:
    from docx.oxml.ns import qn
    from docx.shared import Mm, Pt, RGBColor

    page = paper.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.top_margin = page.bottom_margin = page.right_margin = Mm(20)
    page.left_margin = Mm(30)
    for name in ("Normal", "Heading 1", "Heading 2", "Heading 3"):
        style = paper.styles[name]
        style.font.name, style.font.size = _FONT, Pt(_BODY_PT)
        style.font.color.rgb = RGBColor(0, 0, 0)
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for script in ("w:ascii", "w:hAnsi", "w:eastAsia", "w:cs"):
            fonts.set(qn(script), _FONT)
        for theme in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
            fonts.attrib.pop(qn(theme), None)
        style.paragraph_format.space_before, style.paragraph_format.space_after = Pt(6), Pt(3)
    paper.styles["Heading 3"].font.italic = True
    _page_numbers(page)


def _page_numbers(page: Any) -> None:
    """A page number in the middle of the footer."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH as ALIGN
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    paragraph = page.footer.paragraphs[0]
    paragraph.alignment = ALIGN.CENTER
    run = paragraph.add_run()
    for kind, text in (("begin", ""), ("", "PAGE"), ("end", "")):
        part = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            part.set(qn("w:fldCharType"), kind)
        else:
            part.text = text
        run._r.append(part)  # noqa: SLF001 - python-docx has no public call for fields


def _line(
    paper: Any, text: str, *, bold: bool = False, align: Any = None, size: int = _BODY_PT, before: int = 0
) -> Any:
    from docx.shared import Pt

    paragraph = paper.add_paragraph()
    run = paragraph.add_run(text)
    run.bold, run.font.size = bold, Pt(size)
    paragraph.alignment = align
    if before:
        paragraph.paragraph_format.space_before = Pt(before)
    return paragraph


def _head(paper: Any, document: Document) -> None:
    """The two columns at the top, without borders: who reports, and the national motto."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH as ALIGN
    from docx.shared import Mm, Pt

    table = paper.add_table(rows=1, cols=2)
    table.autofit = False
    _set_widths(table, (Mm(64), Mm(_TEXT_MM - 64)))
    for cell, lines in zip(table.rows[0].cells, (document.left, document.right), strict=True):
        for index, line in enumerate(lines):
            paragraph = cell.paragraphs[0] if index == 0 else cell.add_paragraph()
            paragraph.alignment = ALIGN.CENTER
            paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(0)
            run = paragraph.add_run(line)
            run.bold, run.font.size = True, Pt(12)


def _section(paper: Any, section: Section, lang: str) -> None:
    paper.add_heading(section.heading, level=section.level)
    for text in section.paragraphs:
        _line(paper, text)
    for grid in section.grids:
        _table(paper, grid, lang)


def _table(paper: Any, grid: Grid, lang: str) -> None:
    from docx.shared import Mm, Pt

    caption = _line(paper, grid.title, bold=True, size=12, before=6)
    caption.paragraph_format.keep_with_next = True
    size = _WIDE_TABLE_PT if len(grid.columns) >= _WIDE else _TABLE_PT
    table = paper.add_table(rows=1, cols=len(grid.columns), style="Table Grid")
    table.autofit = False
    widths = _shares(grid)
    _row(table.rows[0], grid.columns, size=size, bold=True)
    _mark(table.rows[0], "w:tblHeader")
    for values in grid.rows:
        texts = [grid.shown(value, lang) for value in values]
        row = table.add_row()
        _row(
            row,
            texts,
            size=size,
            bold=values[0] == "",
            right=[isinstance(value, (int, float)) for value in values],
        )
        _mark(row, "w:cantSplit")
    _set_widths(table, [Mm(_TEXT_MM * share) for share in widths])
    for note in grid.notes:
        _line(paper, note, size=11).runs[0].italic = True
    _line(paper, "", size=6).paragraph_format.space_after = Pt(0)


def _row(
    row: Any, texts: Sequence[str], *, size: int, bold: bool = False, right: Sequence[bool] | None = None
) -> None:
    """Fills a row; headings and blanks are centered, numbers stand right."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH as ALIGN
    from docx.shared import Pt

    for index, (cell, text) in enumerate(zip(row.cells, texts, strict=True)):
        paragraph = cell.paragraphs[0]
        paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(1)
        run = paragraph.add_run(text or "\u00a0")  # an empty cell would take the height of body text
        run.bold, run.font.size = bold, Pt(size)
        if right is None or text in (BLANK, DASH):
            paragraph.alignment = ALIGN.CENTER
        elif right[index]:
            paragraph.alignment = ALIGN.RIGHT


def _set_widths(table: Any, widths: Sequence[Any]) -> None:
    """Sets the grid of a table and every cell; word processors differ in which of the two they read."""
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
        for cell in column.cells:
            cell.width = width


def _mark(row: Any, name: str) -> None:
    """A property of a row: `w:tblHeader` repeats it on every page, `w:cantSplit` keeps it whole."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    mark = OxmlElement(name)
    mark.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(mark)  # noqa: SLF001 - python-docx has no public call for this


def _shares(grid: Grid) -> list[float]:
    """Widths of the columns as shares of the page: by the longest word and the mean length, so that words stay whole."""
    weights = []
    for index, head in enumerate(grid.columns):
        cells = [grid.shown(row[index], "vi") for row in grid.rows]
        words = [len(word) for text in (head, *cells) for word in text.split()]
        mean = sum(min(len(text), 60) for text in cells) / max(len(cells), 1)
        weights.append(max(max(words, default=1) + 2, min(mean, 24)))
    return [weight / sum(weights) for weight in weights]
