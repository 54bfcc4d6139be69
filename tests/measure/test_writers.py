# SPDX-License-Identifier: Apache-2.0
"""What stands in a spreadsheet or a document is text as it was written, whatever it looks like."""

import openpyxl
import pytest

from mangrove.measure import writers
from mangrove.measure.report_model import Grid

HOSTILE = ['=HYPERLINK("http://x","y")', "=1+1", "+1+1", "@SUM(A1)", "-2+3"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_looks_like_a_formula_is_a_name(name, tmp_path):
    grid = Grid(f"Table {name}", ("name", "t"), ((name, 1.5),), (name,))
    writers.write_xlsx(tmp_path / "a.xlsx", [grid], [name])
    cells = [c for row in openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets[0].iter_rows() for c in row]
    assert "f" not in {cell.data_type for cell in cells}
    assert [cell.value for cell in cells].count(name) == 3


def test_control_characters_do_not_break_a_workbook(tmp_path):
    writers.write_xlsx(tmp_path / "a.xlsx", [Grid("Mill \x1b[31m", ("a\x00",), (("b\x07",),))])
    assert openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets[0]["A1"].value == "Mill  [31m"
