"""Reading CSV as people and Excel write it, and finding every cell again."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from mangrove.territory.tables import Table, cell_position, read_table, read_text

CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from(',;"\n ậ'), max_size=8
)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from(",;\t"))
def test_the_place_of_a_cell_is_where_its_text_begins(rows, delimiter):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    lines = list(io.StringIO(buffer.getvalue(), newline=""))
    start = 1
    for row in rows:
        for index, cell in enumerate(row):
            line, column = cell_position(lines, start, index, delimiter)
            rest = lines[line - 1][column - 1 :] + "".join(lines[line:])
            assert rest.startswith('"' + cell.replace('"', '""') + '"')
        start += 1 + sum(cell.count("\n") for cell in row)


def test_the_place_of_an_unquoted_cell_counts_characters():
    assert cell_position(["phường,b,c\n"], 1, 1, ",") == (1, 8)
    assert cell_position(['a"b,c\n'], 1, 1, ",") == (1, 5)


def test_a_cell_over_several_lines_keeps_the_lines_of_later_rows(tmp_path):
    (tmp_path / "a.csv").write_text('id,note\na,"x\ny\nz"\nb,w\n')
    table, problems = read_table(tmp_path / "a.csv", "a.csv")
    assert not problems
    assert list(table.starts) == [2, 5]
    assert str(table.where(1, "note")) == "a.csv:5:3"


def test_rows_without_content_are_skipped_but_counted(tmp_path):
    (tmp_path / "a.csv").write_text("\n\nid,note\n,\n \n,\na,b\n")
    table, problems = read_table(tmp_path / "a.csv", "a.csv")
    assert not problems
    assert (list(table.starts), table.header_line) == ([7], 3)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfid,note\r\na,b\r\n")
    table, problems = read_table(tmp_path / "a.csv", "a.csv")
    assert not problems
    assert (list(table.header), list(table.column("note"))) == (["id", "note"], ["b"])


def test_cells_separated_by_semicolons_or_tabs_are_read_and_said(tmp_path):
    for delimiter, name in ((";", ";"), ("\t", "TAB")):
        (tmp_path / "a.csv").write_text(f"id{delimiter}note\na{delimiter}1,5\n")
        table, problems = read_table(tmp_path / "a.csv", "a.csv")
        assert [(p.code, p.severity, p.data) for p in problems] == [
            ("territory.delimiter_assumed", "note", {"delimiter": name})
        ]
        assert table.decimal_comma


def test_a_table_of_one_column_is_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("id\na\n")
    table, problems = read_table(tmp_path / "a.csv", "a.csv")
    assert not problems
    assert table.column("id") == ("a",)


def test_the_bad_byte_of_another_encoding_is_located(tmp_path):
    (tmp_path / "a.csv").write_bytes("id,tên\na,".encode() + "phường".encode()[:3] + b"\xf5ng\n")
    problem = read_text(tmp_path / "a.csv", "a.csv")[1][0]
    assert (problem.where.line, problem.where.column) == (2, 5)
    assert problem.data == {"encoding": "Windows-1258"}


def test_an_empty_table_has_no_rows():
    assert Table("a.csv").rows == 0
