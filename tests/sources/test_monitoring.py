# SPDX-License-Identifier: Apache-2.0
"""Monitoring files are read line by line, written back the same, and taken in from a drop folder exactly once."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import SourceError
from mangrove.ledger.types import Quality
from mangrove.sources import ingest, monitoring
from mangrove.sources.monitoring import SYMBOLS, Record

AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
LINES = (
    "SO2\t118.0\tmg/Nm3\t20261121093000\t00\r\n"
    "NO\t176.2\tmg/Nm3\t20261121093000\t01\r\n"
    "CO\t\tmg/Nm3\t20261121093000\t02\r\n"
    "PM2,5\t21,4\tmg/Nm3\t20261121093000\t00\r\n"
)
NAME = "HP_NCK1_KHITHAI_20261121093000.txt"


def test_a_file_is_read_with_local_time_status_and_the_symbol_with_a_comma() -> None:
    file = monitoring.read(LINES.encode(), name=NAME)
    assert (file.station, file.at, file.official) == ("HP_NCK1_KHITHAI", AT, False)
    assert [record.symbol for record in file.records] == ["SO2", "NO", "CO", "PM2,5"]
    assert [record.value for record in file.records] == [118.0, 176.2, None, 21.4]
    assert [record.quality for record in file.records] == [
        Quality.GOOD,
        Quality.CALIBRATING,
        Quality.FAULT,
        Quality.GOOD,
    ]
    assert {record.at for record in file.records} == {AT}


def test_there_are_25_symbols() -> None:
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 25


@pytest.mark.parametrize(
    ("name", "station", "official"),
    [
        ("HP_NCK1_KHITHAI_20261121093000.txt", "HP_NCK1_KHITHAI", False),
        ("31_0042_KT0001_20261121093000.txt", "31_0042_KT0001", True),
        ("station.txt", "", False),
        ("ST_20261321093000.txt", "", False),
    ],
)
def test_both_forms_of_file_names_are_known(name: str, station: str, official: bool) -> None:
    found = monitoring.parse_name(name)
    assert (found[0], found[2]) == (station, official)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SO2\t1\tmg/Nm3\t20261121093000", "sources.monitoring_fields"),
        ("SOX\t1\tmg/Nm3\t20261121093000\t00", "sources.monitoring_symbol"),
        ("SO2\tx\tmg/Nm3\t20261121093000\t00", "sources.bad_number"),
        ("SO2\t1\tmg/Nm3\t20261121250000\t00", "sources.bad_time"),
        ("SO2\t1\tmg/Nm3\t20261121093000\t03", "sources.monitoring_status"),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason_and_the_rest_stands(line: str, code: str) -> None:
    file = monitoring.read(f"{line}\r\n{LINES}".encode(), name=NAME)
    assert [(row.reason.code, row.raw, row.line) for row in file.rejected] == [(code, line, 1)]
    assert len(file.records) == 4
    assert file.rejected[0].reason.text("vi")


RECORDS = st.builds(
    Record,
    symbol=st.sampled_from(SYMBOLS),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    unit=st.sampled_from(["mg/Nm3", "C", "%", "m3/h", "kPa", ""]),
    at=st.integers(315_532_800, 3_786_912_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    status=st.sampled_from(["00", "01", "02"]),
)


@given(st.lists(RECORDS, max_size=8))
def test_what_is_written_is_read_back_the_same(records: list[Record]) -> None:
    body = monitoring.write(records)
    file = monitoring.read(body, name=NAME)
    assert not file.rejected
    assert [(r.symbol, r.value, r.unit, r.at, r.status) for r in file.records] == [
        (r.symbol, r.value, r.unit, r.at, r.status) for r in records
    ]
    assert monitoring.write(file.records) == body


@given(
    st.binary(max_size=300)
    | st.text(st.sampled_from("SO2\t\r\n 0123456789.,mgN/é"), max_size=200).map(str.encode)
)
def test_no_bytes_break_the_reader(body: bytes) -> None:
    file = monitoring.read(body, name=NAME)
    assert all(row.reason.text("en") for row in file.rejected)


def test_a_value_that_is_not_a_number_is_written_as_an_empty_field() -> None:
    assert monitoring.write([Record("SO2", float("nan"), "mg/Nm3", AT, "02")]).split(b"\t")[1] == b""


def test_a_record_that_the_format_cannot_hold_is_refused() -> None:
    for wrong in (
        Record("XX", 1.0, "", AT, "00"),
        Record("SO2", 1.0, "a\tb", AT, "00"),
        Record("SO2", 1.0, "", AT, "9"),
    ):
        with pytest.raises(SourceError):
            monitoring.write([wrong])


@pytest.fixture
def station(world, flow):
    return world(
        flow("so2", "mg/Nm3", "5min", semantics="mean", meter="ST1/SO2"),
        flow("no", "mg/Nm3", "5min", semantics="mean", meter="ST1/NO"),
        flow("co", "mg/Nm3", "5min", semantics="mean", meter="ST1/CO"),
        flow("gas", "kNm3", "5min", meter="ST1/Flow"),
        flow("temp", "degC", "5min", semantics="mean", meter="ST1/Temp"),
    )


def test_a_file_is_stored_by_meter_with_quality_and_the_start_of_its_interval(
    station, tmp_path, ledger, rows
):
    path = tmp_path / "ST1_20261121093000.txt"
    path.write_text(LINES + "Temp\t142.3\tC\t20261121093000\t00\r\n", newline="")
    report = ingest(ledger, station, [path], screen=False)
    assert rows("so2") == [("2026-11-21T02:25", 118.0, 0)]
    assert rows("no") == [("2026-11-21T02:25", 176.2, 1)]
    assert rows("temp") == [("2026-11-21T02:25", 142.3, 0)]
    assert [quality for _, _, quality in rows("co")] == [2]
    assert report.files[0].reasons == {"sources.monitoring_flow": 1}


def old(path):
    """Makes a file look as if its upload ended a minute ago."""
    stamp = datetime.now(UTC).timestamp() - 60
    os.utime(path, (stamp, stamp))
    return path


def test_a_drop_folder_is_taken_oldest_first_and_files_move_after_the_commit(station, tmp_path, ledger, rows):
    drop = tmp_path / "drop"
    drop.mkdir()
    records = [Record("SO2", float(i), "mg/Nm3", AT + timedelta(minutes=5 * i), "00") for i in range(12)]
    for path in monitoring.write_files(drop, "ST1", records):
        old(path)
    old_bad = drop / "ST1_20261121100000x.txt"
    old_bad.write_text("junk")
    old(old_bad)
    (drop / "ST1_20261121235900.txt").write_text(LINES)
    report = monitoring.drop(ledger, station, drop, settle=30)
    assert [one.path.name for one in report.done] == sorted(one.path.name for one in report.done)
    assert len(report.done) == 12
    assert [path.name for path in report.waiting] == ["ST1_20261121235900.txt"]
    assert [value for _, value, _ in rows("so2")] == [float(i) for i in range(12)]
    assert len(list((drop / "done").iterdir())) == 12
    assert "STATION_" in (drop / "failed" / "ST1_20261121100000x.txt.reason").read_text()


def test_files_sent_again_in_any_order_change_nothing(station, tmp_path, ledger, rows):
    drop = tmp_path / "drop"
    drop.mkdir()
    records = [Record("SO2", float(i), "mg/Nm3", AT + timedelta(minutes=5 * i), "00") for i in range(6)]
    monitoring.write_files(drop, "ST1", records)
    monitoring.drop(ledger, station, drop, settle=0)
    before, batches = rows("so2"), ledger.batches().num_rows
    monitoring.write_files(drop, "ST1", reversed(records))
    again = monitoring.drop(ledger, station, drop, settle=0)
    assert all(one.duplicate for one in again.done)
    assert (rows("so2"), ledger.batches().num_rows) == (before, batches)
    assert len(list((drop / "done").iterdir())) == 12


@pytest.mark.data
def test_the_example_of_the_reference_data_is_read(data_dir):
    file = monitoring.read(data_dir / "rules" / "example_HP_NCK1_KHITHAI_20261121093000.txt")
    assert len(file.records) == 9
    assert not file.rejected
    assert [record.status for record in file.records].count("00") == 7
