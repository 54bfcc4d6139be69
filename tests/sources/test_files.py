# SPDX-License-Identifier: Apache-2.0
"""Files of every shape give the same values, say what was assumed, and change nothing when they come again."""

import math
import unicodedata
from contextlib import suppress
from datetime import datetime
from datetime import time as clock
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mangrove.errors import SourceError
from mangrove.ledger import Ledger
from mangrove.sources import IngestReport, Mapping, ingest
from mangrove.sources.problems import RejectedError


def save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def codes(report: IngestReport) -> set[str]:
    return {problem.code for problem in report.problems()}


LONG = "time,meter,value\n2024-03-01 00:00,mill,1.5\n2024-03-01 00:15,mill,2.5\n2024-03-01 00:00,office,7\n"
WIDE = "time,mill,office\n2024-03-01 00:00,1.5,7\n2024-03-01 00:15,2.5,\n"
SEMICOLON = "thời gian;mill (kWh);office (kWh)\n01/03/2024 00:00;1,5;7,0\n01/03/2024 00:15;2,5;\n"


@pytest.mark.parametrize("text", [LONG, WIDE, SEMICOLON], ids=["long", "wide", "vietnamese"])
def test_long_wide_and_vietnamese_files_give_the_same_values(text, tmp_path, ledger, rows, world, flow):  # noqa: PLR0917 - fixtures
    park = world(flow("mill"), flow("office"))
    report = ingest(ledger, park, [save(tmp_path / "m.csv", text)], screen=False)
    assert report.stored == 3
    assert rows("mill") == [("2024-02-29T17:00", 1.5, 0), ("2024-02-29T17:15", 2.5, 0)]
    assert rows("office") == [("2024-02-29T17:00", 7.0, 0)]


def test_excel_and_parquet_give_the_same_values_as_text(tmp_path, ledger, rows, world, flow):
    from datetime import datetime

    park = world(flow("a"), flow("b"))
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Báo cáo điện năng"])
    sheet.append(["time", "a"])
    sheet.append([datetime(2024, 3, 1, 0, 0), 1.5])  # noqa: DTZ001
    sheet.append([datetime(2024, 3, 1, 0, 15), "2,5"])  # noqa: DTZ001
    book.save(tmp_path / "a.xlsx")
    times = pa.array([datetime(2024, 3, 1), datetime(2024, 3, 1, 0, 15)])  # noqa: DTZ001
    pq.write_table(pa.table({"time": times, "b": [1.5, 2.5]}), tmp_path / "b.parquet")
    report = ingest(ledger, park, [tmp_path / "a.xlsx", tmp_path / "b.parquet"], screen=False)
    assert rows("a") == rows("b") == [("2024-02-29T17:00", 1.5, 0), ("2024-02-29T17:15", 2.5, 0)]
    assert "sources.preamble" in codes(report)


def test_the_same_file_again_changes_nothing(tmp_path, ledger, world, flow):
    path = save(tmp_path / "m.csv", LONG + "2024-03-01 00:30,mill,?\n")
    park = world(flow("mill"), flow("office"))
    first = ingest(ledger, park, [path])
    batches, quarantine = ledger.batches().num_rows, ledger.quarantine().num_rows
    again = ingest(ledger, park, [path])
    assert not first.files[0].duplicate
    assert again.files[0].duplicate
    assert again.stored == 0
    assert (ledger.batches().num_rows, ledger.quarantine().num_rows) == (batches, quarantine)
    assert "nothing changed" in again.text("en")
    assert "không có gì thay đổi" in again.text("vi")


def test_a_poisoned_row_is_quarantined_with_its_text_and_the_rest_goes_in(
    tmp_path, ledger, rows, world, flow
):
    text = (
        "time,meter,value\n2024-03-01 00:00,mill,1\n2024-13-01 00:00,mill,2\n2024-03-01 00:15,mil,3\n"
        "2024-03-01 00:30,mill,#REF!\n2024-03-01 00:45,mill\n\n2024-03-01 01:00,mill,\n2024-03-01 01:15,mill,6\n"
        '2024-03-01 01:30,"mill,7\n0014-03-01 00:00,mill,8\n'
    )
    report = ingest(ledger, world(flow("mill")), [save(tmp_path / "m.csv", text)], screen=False)
    assert [value for _, value, _ in rows("mill")] == [1.0, 6.0]
    kept = {(row["line"], row["code"], row["raw"].decode()) for row in ledger.quarantine().to_pylist()}
    assert kept == {
        (3, "sources.bad_time", "2024-13-01 00:00,mill,2"),
        (4, "sources.unknown_flow", "2024-03-01 00:15,mil,3"),
        (5, "sources.bad_number", "2024-03-01 00:30,mill,#REF!"),
        (6, "sources.wrong_width", "2024-03-01 00:45,mill"),
        (10, "sources.wrong_width", '2024-03-01 01:30,"mill,7'),
        (11, "sources.bad_year", "0014-03-01 00:00,mill,8"),
    }
    assert report.files[0].empty == 1
    assert "did you mean 'mill'" in report.text("en")


def test_every_row_is_stored_empty_repeated_or_in_quarantine(tmp_path, ledger, world, flow):
    lines = ["time,meter,value"]
    lines += [
        f"2024-03-{d:02} 00:00,mill,{v}"
        for d, v in zip(range(1, 31), ["1", "", "x", "2.5", "1"] * 6, strict=True)
    ]
    lines += [*lines[1:6], "2024-03-01 00:00,mill,9"]
    report = ingest(
        ledger, world(flow("mill", step="1d")), [save(tmp_path / "m.csv", "\n".join(lines))], screen=False
    )
    one = report.files[0]
    assert one.rows == 36
    assert one.stored + one.empty + one.repeated + one.quarantined == one.rows


def test_the_last_of_two_values_for_one_time_counts_and_the_other_is_kept(
    tmp_path, ledger, rows, world, flow
):
    text = "time,meter,value\n2024-03-01 00:00,mill,1\n2024-03-01 00:00,mill,2\n2024-03-01 00:00,mill,2\n"
    report = ingest(ledger, world(flow("mill")), [save(tmp_path / "m.csv", text)], screen=False)
    assert rows("mill") == [("2024-02-29T17:00", 2.0, 0)]
    assert ledger.quarantine().column("code").to_pylist() == ["sources.repeated"]
    assert report.files[0].repeated == 1


def test_mean_power_becomes_energy_by_the_hours_of_the_step(tmp_path, ledger, rows, world, flow):
    path = save(
        tmp_path / "m.csv", "time,mill (kW)\n2024-03-01 00:00,100\n2024-03-01 00:15,200\n2024-03-01 00:30,0\n"
    )
    report = ingest(ledger, world(flow("mill", "MWh")), [path], screen=False)
    assert [value for _, value, _ in rows("mill")] == pytest.approx([0.025, 0.05, 0.0])
    assert "sources.power_to_energy" in codes(report)


def test_a_unit_column_converts_row_by_row_and_refuses_what_is_no_unit_of_the_flow(
    tmp_path, ledger, rows, world, flow
):
    text = "time,meter,value,unit\n2024-03-01 00:00,mill,2,MWh\n2024-03-01 00:15,mill,3,kWh\n2024-03-01 00:30,mill,4,m3\n"
    ingest(ledger, world(flow("mill")), [save(tmp_path / "m.csv", text)], screen=False)
    assert [value for _, value, _ in rows("mill")] == [2000.0, 3.0]
    assert ledger.quarantine().column("code").to_pylist() == ["sources.bad_unit"]


def test_a_header_unit_that_is_none_of_the_flow_refuses_the_file(tmp_path, ledger, world, flow):
    path = save(tmp_path / "m.csv", "time,mill (m3)\n2024-03-01 00:00,100\n2024-03-02 00:00,100\n")
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill")), [path])
    assert caught.value.problems[0].code == "base.unit_mismatch"


def test_midnight_of_the_same_day_at_its_end_is_found_and_moved(tmp_path, ledger, rows, world, flow):
    stamps = [f"{d:02}/03/2024 {h:02}:00" for d in (13, 14, 15) for h in [*range(1, 24), 0]]
    text = "time,mill\n" + "\n".join(f"{stamp},{i}" for i, stamp in enumerate(stamps))
    report = ingest(ledger, world(flow("mill", step="1h")), [save(tmp_path / "m.csv", text)], screen=False)
    assert "sources.midnight_same_day" in codes(report)
    found = rows("mill")
    assert found[0] == ("2024-03-12T17:00", 0.0, 0)
    assert [value for _, value, _ in found] == [float(i) for i in range(72)]


def test_24_00_means_that_stamps_end_their_interval(tmp_path, ledger, rows, world, flow):
    text = "time,mill\n2024-03-01 23:00,1\n2024-03-01 24:00,2\n2024-03-02 01:00,3\n"
    report = ingest(ledger, world(flow("mill", step="1h")), [save(tmp_path / "m.csv", text)], screen=False)
    assert {"sources.end_of_day", "sources.stamp_24"} <= codes(report)
    assert rows("mill") == [
        ("2024-03-01T15:00", 1.0, 0),
        ("2024-03-01T16:00", 2.0, 0),
        ("2024-03-01T17:00", 3.0, 0),
    ]


@pytest.mark.parametrize("text", ["1709226000,1\n1709229600,2\n", "1709226000000,1\n1709229600000,2\n"])
def test_unix_time_is_recognized(text, tmp_path, ledger, rows, world, flow):  # noqa: PLR0917 - fixtures
    report = ingest(ledger, world(flow("mill")), [save(tmp_path / "m.csv", "ts,mill\n" + text)], screen=False)
    assert "sources.epoch" in codes(report)
    assert rows("mill")[0] == ("2024-02-29T17:00", 1.0, 0)


def test_day_and_month_are_settled_by_any_row_of_the_file(tmp_path, ledger, rows, world, flow):
    days = [f"{d:02}/{m:02}/2024" for m in range(1, 5) for d in range(1, 13)] + ["13/04/2024"]
    path = save(tmp_path / "m.csv", "date,mill\n" + "\n".join(f"{day},1" for day in days))
    report = ingest(ledger, world(flow("mill", step="1d"), lang="en"), [path], screen=False)
    assert "sources.date_order_seen" in codes(report)
    assert rows("mill")[-1][0] == "2024-04-12T17:00"


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_an_unsettled_order_of_day_and_month_follows_vietnamese_or_is_refused(  # noqa: PLR0917 - fixtures
    lang, tmp_path, ledger, rows, world, flow
):
    path = save(tmp_path / "m.csv", "date,mill\n01/02/2024,1\n03/02/2024,1\n")
    park = world(flow("mill", step="1d"), lang=lang)
    if lang == "en":
        with pytest.raises(RejectedError) as caught:
            ingest(ledger, park, [path])
        assert caught.value.problems[0].code == "sources.ambiguous_date"
        mapping = Mapping.parse("files:\n  - match: '*.csv'\n    date_order: mdy\n")
        ingest(ledger, park, [path], mapping=mapping, screen=False)
        assert rows("mill")[0][0] == "2024-01-01T17:00"
    else:
        report = ingest(ledger, park, [path], screen=False)
        assert "sources.date_order_language" in codes(report)
        assert rows("mill")[0][0] == "2024-01-31T17:00"


def test_a_number_that_can_be_read_in_two_ways_refuses_the_file(tmp_path, ledger, world, flow):
    path = save(tmp_path / "m.csv", "date;mill\n13/02/2024;1.234\n14/02/2024;5.678\n")
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill", step="1d")), [path])
    assert caught.value.problems[0].code == "sources.ambiguous_number"
    assert "decimal" in caught.value.text("vi")


def test_several_series_under_each_other_are_refused(tmp_path, ledger, world, flow):
    text = "time,station,mill\n" + "".join(f"2024-03-01 {h:02}:00,{s},1\n" for s in (1, 2) for h in range(24))
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill", step="1h")), [save(tmp_path / "m.csv", text)])
    assert caught.value.problems[0].code == "sources.repeated_times"


def test_a_typing_mistake_in_a_header_is_answered_with_the_nearest_flow(tmp_path, ledger, world, flow):
    path = save(tmp_path / "m.csv", "time,mill_electricty\n2024-03-01,1\n2024-03-02,1\n")
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill_electricity")), [path])
    assert "did you mean 'mill_electricity'" in caught.value.text("en")


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("none.csv", None, "sources.no_file"),
        ("m.doc", b"x", "sources.unknown_format"),
        ("m.csv", b"", "sources.empty"),
        ("m.csv", b"a,b\n1,2\n", "sources.no_time_column"),
        ("m.csv", b"2024-03-01,1\n2024-03-02,2\n", "sources.no_header"),
        ("m.xlsx", b"not a workbook", "sources.unreadable"),
        ("m.parquet", b"not parquet", "sources.unreadable"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name, body, code, tmp_path, ledger, world, flow):  # noqa: PLR0917 - fixtures
    path = tmp_path / name
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill")), [path])
    assert [problem.code for problem in caught.value.problems] == [code]
    assert caught.value.exit_code == 1


def test_one_bad_file_does_not_stop_the_others(tmp_path, ledger, world, flow):
    good = save(tmp_path / "m.csv", LONG)
    report = ingest(ledger, world(flow("mill"), flow("office")), [tmp_path / "none.csv", good], screen=False)
    assert report.stored == 3
    assert [file.path.name for file in report.failed] == ["none.csv"]


def test_legacy_encodings_and_marks_are_read_and_said(tmp_path, ledger, rows, world, flow):
    park = world(flow("mill", name="Lò nung"))
    legacy = unicodedata.normalize("NFD", "time;Lò nung\n2024-03-03;2,5\n2024-03-04;2,5\n")
    (tmp_path / "a.csv").write_bytes("time\tLò nung\n2024-03-01\t1,5\n2024-03-02\t1,5\n".encode("utf-16"))
    (tmp_path / "b.csv").write_bytes(legacy.encode("cp1258"))
    report = ingest(ledger, park, [tmp_path / "a.csv", tmp_path / "b.csv"], screen=False)
    assert [value for _, value, _ in rows("mill")] == [1.5, 1.5, 2.5, 2.5]
    assert "sources.encoding" in codes(report)


def test_summer_time_is_resolved_by_order_and_a_lone_doubtful_hour_is_marked(
    tmp_path, ledger, rows, world, flow
):
    text = "time,mill\n2024-10-27 01:00,1\n2024-10-27 02:00,2\n2024-10-27 02:00,3\n2024-10-27 03:00,4\n2025-03-30 02:30,5\n2025-10-26 02:00,6\n"
    park = world(flow("mill", step="1h"), tz="Europe/Berlin", lang="en")
    ingest(ledger, park, [save(tmp_path / "m.csv", text)], screen=False)
    assert rows("mill") == [
        ("2024-10-26T23:00", 1.0, 0),
        ("2024-10-27T00:00", 2.0, 0),
        ("2024-10-27T01:00", 3.0, 0),
        ("2024-10-27T02:00", 4.0, 0),
        ("2025-10-26T00:00", 6.0, 6),
    ]
    assert ledger.quarantine().column("code").to_pylist() == ["sources.skipped_time"]


def test_months_and_days_begin_with_the_local_calendar(tmp_path, ledger, rows, world, flow):
    path = save(tmp_path / "m.csv", 'Date,mill\n31/1/2020,"3,066"\n29/2/2020,887\n')
    mapping = Mapping.parse("files:\n  - match: m.csv\n    decimal: '.'\n")
    ingest(ledger, world(flow("mill", step="1mo")), [path], mapping=mapping, screen=False)
    assert rows("mill") == [("2019-12-31T17:00", 3066.0, 0), ("2020-01-31T17:00", 887.0, 0)]


def test_a_mapping_names_columns_by_number_when_there_is_no_header(tmp_path, ledger, rows, world, flow):
    save(
        tmp_path / "mapping.yaml",
        'files:\n  - match: "*.csv"\n    header: false\n    time: "1"\n    columns: {mill: {column: "3", unit: MW, scale: 2}}\n',
    )
    path = save(tmp_path / "m.csv", "13/01/2021|23168,4|25424,5|\n14/01/2021|23168,4|1,5|\n")
    ingest(ledger, world(flow("mill", "MW", "1d", semantics="mean")), [path], screen=False)
    assert [value for _, value, _ in rows("mill")] == [50849.0, 3.0]


def test_a_mapping_that_names_an_unknown_flow_is_refused_with_its_place(tmp_path, ledger, world, flow):
    save(tmp_path / "mapping.yaml", "files:\n  - match: '*'\n    columns:\n      mil: mill\n")
    path = save(tmp_path / "m.csv", WIDE)
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill")), [path], mapping=tmp_path / "mapping.yaml")
    assert (
        caught.value.problems[0]
        .line("en")
        .endswith("mapping.yaml:4:12: 'mil' is not a declared flow (did you mean 'mill'?)")
    )


def test_screening_follows_an_ingest_and_is_stored_as_a_later_batch(tmp_path, ledger, rows, world, flow):
    text = "time,mill\n2024-03-01 00:00,1\n2024-03-01 01:00,-5\n2024-03-01 03:00,1\n"
    report = ingest(ledger, world(flow("mill", step="1h")), [save(tmp_path / "m.csv", text)])
    assert {"inference.gap", "inference.range"} <= codes(report)
    found = rows("mill")
    assert [quality for _, _, quality in found] == [0, 3, 9, 0]
    assert found[1][1] == -5.0
    assert math.isnan(found[2][1])


def test_large_files_are_stored_in_parts_that_add_up(tmp_path, ledger, rows, world, flow, monkeypatch):  # noqa: PLR0917 - fixtures
    monkeypatch.setattr("mangrove.sources.files.CHUNK_ROWS", 1000)
    lines = [f"2024-{1 + i // 672:02}-{1 + i % 672 // 24:02} {i % 24:02}:00,mill,{i}" for i in range(5000)]
    lines[1500], lines[4100] = "2024-03-05 xx,mill,1", "2024-07-01 00:00,mill,1,2"
    path = save(tmp_path / "m.csv", "time,meter,value\n" + "\n".join(lines))
    calls: list[int] = []
    report = ingest(
        ledger, world(flow("mill", step="1h")), [path], screen=False, progress=lambda _, n: calls.append(n)
    )
    assert len(report.receipts) == 5
    assert calls[-1] == 5000
    assert report.stored == 4998
    assert sorted(ledger.quarantine().column("line").to_pylist()) == [1502, 4102]
    assert sum(value for _, value, _ in rows("mill")) == sum(range(5000)) - 1500 - 4100


@pytest.mark.data
def test_the_midnight_trap_of_the_steel_file_is_repaired(data_dir, ledger, rows, world, flow):
    path = data_dir / "load" / "uci_steel_industry_2018_15min.csv"
    report = ingest(ledger, world(flow("Usage"), tz="Asia/Seoul"), [path])
    assert "sources.midnight_same_day" in codes(report)
    found = rows("Usage")
    assert len(found) == 35_040
    assert found[0] == ("2017-12-31T15:00", 3.17, 0)
    assert found[95] == ("2018-01-01T14:45", 3.42, 0)  # line 97 of the file: 01/01/2018 00:00
    assert found[-1] == ("2018-12-31T14:45", 3.67, 0)
    assert report.quarantined == 0


@pytest.mark.data
def test_charging_sessions_keep_their_energy(data_dir, ledger, rows, world, flow):
    text = "files:\n  - match: '*asensio*'\n    unit: kWh\n    year_offset: 2000\n    sessions: {start: created, end: ended, value: kwhTotal, flow: ev}\n"
    path = data_dir / "ev" / "workplace_ev_asensio.csv"
    report = ingest(
        ledger,
        world(flow("ev"), tz="America/New_York", lang="en"),
        [path],
        mapping=Mapping.parse(text),
        screen=False,
    )
    import csv

    with path.open(encoding="utf-8") as lines:
        total = sum(float(row["kwhTotal"]) for row in csv.DictReader(lines))
    assert report.quarantined == 0
    assert sum(value for _, value, _ in rows("ev")) == pytest.approx(total, rel=1e-9)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=400), st.text(max_size=300).map(str.encode), st.lists(st.lists(st.sampled_from(
    ["time", "mill", "2024-03-01", "01/02/2024 24:00", "1,5", "1.234", '"', "", "é", "\x00", "NaN", "9" * 30]), max_size=4), max_size=8)
    .map(lambda rows: "\n".join(",".join(row) for row in rows).encode())))  # fmt: skip
def test_no_file_breaks_the_door(body, tmp_path_factory, world, flow):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "m.csv").write_bytes(body)
    with Ledger.open(folder / ".mangrove") as ledger, suppress(SourceError):
        report = ingest(ledger, world(flow("mill")), [folder / "m.csv"])
        assert report.text("en") != report.text("vi")


def workbook(path: Path, *sheets: tuple[str, str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, state, cells in sheets:
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        for row in cells:
            sheet.append(row)
    book.active = len(sheets) - 1
    book.save(path)
    return path


def test_the_first_sheet_that_a_person_sees_is_read_and_the_others_are_named(
    tmp_path, ledger, rows, world, flow
):
    def cells(value: float) -> list[list[object]]:
        return [["time", "mill"], [datetime(2024, 3, 1), value], [datetime(2024, 3, 2), value]]  # noqa: DTZ001

    path = workbook(
        tmp_path / "m.xlsx",
        ("old", "hidden", cells(9.0)),
        ("March", "visible", cells(1.0)),
        ("April", "visible", cells(2.0)),
    )
    report = ingest(ledger, world(flow("mill", step="1d")), [path], screen=False)
    assert [value for _, value, _ in rows("mill")] == [1.0, 1.0]
    (said,) = (p for p in report.files[0].assumptions if p.code == "sources.one_sheet")
    assert said.data == {"sheet": "March", "others": "old, April"}


def test_a_date_and_a_time_of_day_in_two_spreadsheet_columns_are_one_time(
    tmp_path, ledger, rows, world, flow
):
    day = datetime(2024, 3, 1)  # noqa: DTZ001
    cells = [["Ngày", "Giờ", "mill"], *([day, clock(h), h] for h in range(24))]
    ingest(
        ledger,
        world(flow("mill", step="1h")),
        [workbook(tmp_path / "m.xlsx", ("a", "visible", cells))],
        screen=False,
    )
    assert [start for start, _, _ in rows("mill")][:2] == ["2024-02-29T17:00", "2024-02-29T18:00"]
    assert len(rows("mill")) == 24


def test_columns_without_a_name_are_not_worth_a_word(tmp_path, ledger, world, flow):
    path = save(tmp_path / "m.csv", "time,mill,,\n2024-03-14,1,,\n2024-03-15,2,,\n")
    report = ingest(ledger, world(flow("mill", step="1d")), [path], screen=False)
    assert "sources.column_ignored" not in codes(report)


def test_parquet_columns_of_the_same_name_are_refused(tmp_path, ledger, world, flow):
    table = pa.table([pa.array([datetime(2024, 3, 1)]), [1.0], [2.0]], names=["time", "mill", "mill"])  # noqa: DTZ001
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill")), [tmp_path / "m.parquet"])
    assert [p.code for p in caught.value.problems] == ["sources.same_name"]


def test_instants_outside_the_calendar_and_yes_or_no_go_to_quarantine(tmp_path, ledger, world, flow):
    far = pa.array([2**62, 0], pa.timestamp("us"))
    pq.write_table(pa.table({"time": far, "mill": [True, False]}), tmp_path / "m.parquet")
    ingest(ledger, world(flow("mill")), [tmp_path / "m.parquet"], screen=False)
    assert sorted(ledger.quarantine().column("code").to_pylist()) == [
        "sources.bad_number",
        "sources.bad_year",
    ]


def test_a_cell_of_a_million_letters_refuses_the_file_in_words(tmp_path, ledger, world, flow):
    path = save(tmp_path / "m.csv", "time,mill\n2024-03-14," + "9" * 1_000_000 + "\n")
    with pytest.raises(RejectedError) as caught:
        ingest(ledger, world(flow("mill")), [path])
    assert [problem.code for problem in caught.value.problems] == ["sources.unreadable"]
