# SPDX-License-Identifier: Apache-2.0
"""Stamps become the right UTC instants, whatever their form; a time that cannot be is marked, never moved."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.sources.stamps import (
    FINE,
    SKIPPED,
    TWICE,
    UNREADABLE,
    YEAR,
    StampStyle,
    instant_of,
    read_stamps,
    to_utc,
)

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
BERLIN = ZoneInfo("Europe/Berlin")


def utc(cells: list[str | None], style: StampStyle, tz: ZoneInfo = HANOI) -> list[str]:
    at, codes = to_utc(read_stamps(pa.array(cells, pa.string()), style), tz)
    return [
        instant_of(us).strftime("%Y-%m-%dT%H:%M:%S") if code == FINE else str(code)
        for us, code in zip(at.tolist(), codes.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("cell", "style", "expected"),
    [
        ("2024-03-01 07:00:00", StampStyle.of("ymd"), "2024-03-01T00:00:00"),
        ("2024-03-01T07:00", StampStyle.of("ymd"), "2024-03-01T00:00:00"),
        ("2024-03-01T07:00:00Z", StampStyle.of("ymd"), "2024-03-01T07:00:00"),
        ("2024-03-01T07:00:00+09:00", StampStyle.of("ymd"), "2024-02-29T22:00:00"),
        ("01/03/2024 07:00", StampStyle.of("dmy"), "2024-03-01T00:00:00"),
        ("1/3/2024 7:00", StampStyle.of("dmy"), "2024-03-01T00:00:00"),
        ("03/01/2024 7:00 AM", StampStyle.of("mdy"), "2024-03-01T00:00:00"),
        ("03/01/2024 12:00 AM", StampStyle.of("mdy"), "2024-02-29T17:00:00"),
        ("01.03.24 07h00", StampStyle.of("dmy"), "2024-03-01T00:00:00"),
        ("31/12/2018 24:00", StampStyle.of("dmy"), "2018-12-31T17:00:00"),
        ("20240301070000", StampStyle.of("ymd", compact=True), "2024-03-01T00:00:00"),
        ("01-03-2024 07:00", StampStyle.from_format("%d-%m-%Y %H:%M"), "2024-03-01T00:00:00"),
        ("01/03/0024 07:00", StampStyle.of("dmy", year_offset=2000), "2024-03-01T00:00:00"),
    ],
)
def test_every_usual_form_is_read(cell: str, style: StampStyle, expected: str) -> None:
    assert utc([cell], style) == [expected]
    assert utc(["?", cell, "2024"], style) == ["1", expected, "1"]


@pytest.mark.parametrize(
    "cell",
    [
        "",
        None,
        "31/02/2024 01:00",
        "01/13/2024",
        "32/01/2024",
        "00/01/2024",
        "01/01/2024 24:15",
        "01/01/2024 10:60",
        "abc",
    ],
)
def test_a_stamp_that_is_no_time_is_unreadable(cell: str | None) -> None:
    assert utc(["01/02/2024 10:00", cell], StampStyle.of("dmy"))[1] == str(UNREADABLE)


def test_a_year_like_0014_is_not_taken_for_a_year() -> None:
    assert utc(["0014-11-18 15:40:26"], StampStyle.of("ymd")) == [str(YEAR)]


def test_a_time_that_summer_time_skips_is_marked_but_the_change_itself_ends_an_interval() -> None:
    cells = ["2024-03-31 01:45", "2024-03-31 02:00", "2024-03-31 02:30", "2024-03-31 03:00"]
    found = utc(cells, StampStyle.of("ymd"), BERLIN)
    assert found == ["2024-03-31T00:45:00", "2024-03-31T01:00:00", str(SKIPPED), "2024-03-31T01:00:00"]


def test_a_time_shown_twice_is_told_apart_by_its_order_and_marked_when_it_stands_alone() -> None:
    cells = [
        "2024-10-27 02:00",
        "2024-10-27 02:30",
        "2024-10-27 02:00",
        "2024-10-27 02:30",
        "2024-10-27 02:45",
    ]
    found = utc(cells, StampStyle.of("ymd"), BERLIN)
    assert found[:4] == [
        "2024-10-27T00:00:00",
        "2024-10-27T00:30:00",
        "2024-10-27T01:00:00",
        "2024-10-27T01:30:00",
    ]
    assert found[4] == str(TWICE)


def test_a_time_shown_twice_is_told_apart_within_each_series() -> None:
    clock = read_stamps(pa.array(["2024-10-27 02:00"] * 4), StampStyle.of("ymd"))
    at, codes = to_utc(clock, BERLIN, np.array([0, 1, 0, 1]))
    assert codes.tolist() == [FINE] * 4
    assert at[0] == at[1]
    assert at[2] - at[0] == 3600 * 10**6


@pytest.mark.parametrize("written", ["%d/%m", "%Y-%m-%d %Q", "%Y-%m-%d %Y", "noon"])
def test_a_format_without_a_whole_date_is_none(written: str) -> None:
    assert StampStyle.from_format(written) is None


MOMENTS = st.datetimes(datetime(1975, 7, 1), datetime(2090, 1, 1), allow_imaginary=False)  # noqa: DTZ001


@given(
    st.lists(MOMENTS, min_size=1, max_size=30),
    st.sampled_from(["%d/%m/%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d%H%M%S"]),
)
def test_formatted_times_are_read_back_as_python_reads_them(moments: list[datetime], form: str) -> None:
    style = StampStyle.from_format(form)
    assert style is not None
    moments = [m.replace(microsecond=0) for m in moments]
    expected = [m.replace(tzinfo=HANOI).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") for m in moments]
    assert utc([m.strftime(form) for m in moments], style) == expected


@given(st.integers(0, 366 * 24 * 4 - 1))
def test_local_times_of_a_year_with_clock_changes_agree_with_python(quarter: int) -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
    local = moment.astimezone(BERLIN)
    found = utc([local.strftime("%Y-%m-%d %H:%M")], StampStyle.of("ymd"), BERLIN)[0]
    assert found == (
        str(TWICE)
        if 0 <= (moment - datetime(2024, 10, 27, tzinfo=UTC)).total_seconds() < 7200
        else moment.strftime("%Y-%m-%dT%H:%M:%S")
    )


@given(st.lists(st.text(max_size=25), max_size=20), st.sampled_from(["dmy", "mdy", "ymd"]))
def test_no_text_breaks_the_reader(cells: list[str], order: str) -> None:
    clock = read_stamps(pa.array(cells, pa.string()), StampStyle.of(order))
    assert len(clock.at) == len(cells)
