# SPDX-License-Identifier: Apache-2.0
"""Steps follow the calendar of the territory, also when the clock changes and months are short; spans read what people write."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.times import Span, Step, instant, parse_date, zone

BERLIN, NEW_YORK, HANOI = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Ho_Chi_Minh")
)
ZONES = [BERLIN, NEW_YORK, HANOI, ZoneInfo("UTC"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Africa/Cairo")]
EVEN = ["1s", "1min", "5min", "15min", "30min", "1h", "1d", "2d", "1w", "1mo", "3mo", "1y"]
"""Steps whose length does not depend on the hour at which the clock changes."""
HOURS = ["2h", "3h", "4h", "6h", "8h", "12h"]
CHANGES = [
    datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC),  # Berlin
    datetime(2024, 3, 10, 7, tzinfo=UTC), datetime(2024, 11, 3, 6, tzinfo=UTC),  # New York
    datetime(2024, 4, 25, 22, tzinfo=UTC), datetime(2024, 10, 31, 21, tzinfo=UTC),  # Cairo, at midnight
]  # fmt: skip

zones = st.sampled_from(ZONES)
moments = st.one_of(
    st.integers(946_684_800, 2_051_222_400).map(
        lambda second: datetime.fromtimestamp(second, UTC)
    ),  # 2000 to 2034
    st.builds(
        lambda change, seconds: change + timedelta(seconds=seconds),
        st.sampled_from(CHANGES),
        st.integers(-40_000, 40_000),
    ),
)


def local(*clock: int, tz: ZoneInfo = HANOI) -> datetime:
    return datetime(*clock, tzinfo=tz).astimezone(UTC)


@given(moments, st.sampled_from(EVEN), zones)
def test_every_instant_lies_in_the_step_that_begins_before_it(moment, text, tz):
    step = Step.parse(text)
    start = step.floor(moment, tz)
    assert start <= moment < step.after(start, tz)
    assert step.floor(start, tz) == start
    assert start.tzinfo is UTC


@given(moments, st.sampled_from(EVEN + HOURS), zones, st.integers(1, 20 * 86_400))
@example(datetime(2024, 10, 26, 22, tzinfo=UTC), "6h", BERLIN, 86_400)
def test_buckets_tile_a_span_without_gap_or_overlap(moment, text, tz, seconds):
    step = Step.parse(text)
    span = Span(moment, moment + timedelta(seconds=min(seconds, 5_000 * step.seconds or seconds)))
    starts = step.starts(span, tz)
    assert starts[0] == span.start
    assert all(left < right for left, right in pairwise([*starts, span.end]))
    assert all(step.floor(start, tz) == start for start in starts[1:])
    for left, right in pairwise([*starts, span.end]):
        last = right - timedelta(microseconds=1)
        assert step.floor(last, tz) <= left <= last
        assert step.floor(left, tz) == step.floor(last, tz)


@given(moments, st.sampled_from(EVEN + HOURS), zones)
def test_a_step_leads_forward(moment, text, tz):
    assert Step.parse(text).after(moment, tz) > moment


@given(moments, st.sampled_from(HOURS), st.sampled_from([BERLIN, NEW_YORK]))
def test_a_bucket_of_hours_gains_or_loses_one_hour_when_the_clock_changes_and_a_value_does_not(
    moment, text, tz
):
    step = Step.parse(text)
    span = Span(step.floor(moment, tz), moment + timedelta(days=2))
    first, second = step.starts(span, tz)[:2]
    assert first <= moment < second
    before, after = ((first - timedelta(seconds=1)).astimezone(tz), second.astimezone(tz))
    change = after.utcoffset() - before.utcoffset()
    assert second - first in {timedelta(seconds=step.seconds), timedelta(seconds=step.seconds) - change}
    assert step.after(first, tz) - first == timedelta(seconds=step.seconds)


@pytest.mark.parametrize(
    ("tz", "day", "hours"),
    [
        (BERLIN, "2024-03-31", 23), (BERLIN, "2024-10-27", 25), (BERLIN, "2024-10-28", 24),
        (NEW_YORK, "2024-03-10", 23), (NEW_YORK, "2024-11-03", 25), (HANOI, "2024-03-31", 24),
    ],
)  # fmt: skip
def test_a_local_day_has_as_many_hours_as_the_clock_shows(tz, day, hours):
    span = Span.parse(day, tz)
    assert span.hours == hours
    assert len(Step.parse("1h").starts(span, tz)) == hours
    assert len(Step.parse("15min").starts(span, tz)) == 4 * hours
    assert len(Step.parse("1d").starts(span, tz)) == 1


def test_the_hour_that_comes_twice_is_two_hours():
    span = Span.parse("2024-10-27", BERLIN)
    clocks = [start.astimezone(BERLIN).hour for start in Step.parse("1h").starts(span, BERLIN)]
    assert clocks == [0, 1, 2, 2, *range(3, 24)]


def test_the_year_of_a_zone_has_as_many_days_as_its_calendar():
    for tz in ZONES:
        assert len(Step.parse("1d").starts(Span.parse("2024", tz), tz)) == 366
        assert len(Step.parse("1mo").starts(Span.parse("2023", tz), tz)) == 12


@pytest.mark.parametrize(
    ("step", "start", "end"),
    [
        ("1mo", (2024, 1, 31), (2024, 2, 29)), ("1mo", (2023, 1, 31), (2023, 2, 28)), ("1mo", (2024, 3, 31), (2024, 4, 30)),
        ("1mo", (2024, 12, 31), (2025, 1, 31)), ("1y", (2024, 2, 29), (2025, 2, 28)), ("4y", (2024, 2, 29), (2028, 2, 29)),
        ("3mo", (2024, 11, 30), (2025, 2, 28)), ("1mo", (2024, 1, 15), (2024, 2, 15)), ("1d", (2024, 2, 28), (2024, 2, 29)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tz", ZONES, ids=str)
def test_a_month_after_the_last_day_is_the_last_day_of_a_shorter_month(step, start, end, tz):
    assert Step.parse(step).after(local(*start, tz=tz), tz) == local(*end, tz=tz)


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(1, 36), zones)
def test_months_after_any_day_keep_the_day_or_end_the_month(day, months, tz):
    start = local(day.year, day.month, day.day, 12, tz=tz)
    after = Step(months=months).after(start, tz).astimezone(tz)
    assert (after.year * 12 + after.month) - (day.year * 12 + day.month) == months
    assert after.day == day.day or (after.day < day.day and (after + timedelta(days=1)).day == 1)
    assert after.hour == 12


@given(moments, zones)
def test_weeks_begin_on_monday(moment, tz):
    start = Step.parse("1w").floor(moment, tz).astimezone(tz)
    assert start.weekday() == 0
    assert start.date() <= moment.astimezone(tz).date() < start.date() + timedelta(days=7)


@given(st.integers(1, 400), st.sampled_from(["s", "min", "h", "d", "w", "mo", "y"]))
def test_a_step_is_read_as_it_is_written(count, unit):
    if unit == "y" and count > 100:
        return
    step = Step.parse(f"{count}{unit}")
    assert Step.parse(str(step)) == step
    assert bool(step.seconds) != bool(step.months)


def test_lengths_in_hours():
    assert [Step.parse(text).hours for text in ("15min", "1d", "1w", "1mo", "1y")] == [0.25, 24, 168, 730.5, 8766]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "1", "h", "0h", "-1h", "1.5h", "1H", "1m", "1 month", "²h", "٣h", "1h30min", "101y", "99999999999d", "9" * 40 + "mo"]
)  # fmt: skip
def test_what_is_no_step_is_refused(text):
    with pytest.raises(RequestError) as refused:
        Step.parse(text)
    assert refused.value.code == "base.not_a_step"


@pytest.mark.parametrize(
    ("text", "start", "hours"),
    [
        ("2024", (2024, 1, 1), 8784), ("2023", (2023, 1, 1), 8760), ("2024-02", (2024, 2, 1), 29 * 24), ("2024-12-31", (2024, 12, 31), 24),
        (" 2024-03-31 ", (2024, 3, 31), 24), ("2024-03-31T07:00", (2024, 3, 31, 7), 1 / 3600), ("2024-03-31 07:30", (2024, 3, 31, 7, 30), 1 / 3600),
    ],
)  # fmt: skip
def test_a_written_period_is_read_in_local_time(text, start, hours):
    span = Span.parse(text, HANOI)
    assert span.start == local(*start)
    assert span.hours == pytest.approx(hours)


def test_an_instant_with_an_offset_is_that_instant_everywhere():
    for text in ("2024-03-31T07:00Z", "2024-03-31T14:00+07:00", "2024-03-31 03:00-04:00"):
        for tz in ZONES:
            assert Span.parse(text, tz).start == datetime(2024, 3, 31, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "24", "2024-3", "2024-13", "2024-00", "2024-02-30", "2023-02-29", "31/12/2024", "2024-12-31T25:00", "2024-12-31T", "2024-12-31x",
     "20240301", "2024-W05", "2024-W05-1", "20240301T0700", "0000", "0001", "0001-01-01", "9999", "9999-12-31", "２０２４", "now", "2024 - 2025"],
)  # fmt: skip
def test_what_is_no_period_is_refused(text):
    with pytest.raises(RequestError) as refused:
        Span.parse(text, HANOI)
    assert refused.value.code == "base.not_a_period"


@given(st.text("0123456789-:TZ+ W", max_size=20))
def test_any_text_is_a_period_or_is_refused(text):
    try:
        span = Span.parse(text, BERLIN)
    except RequestError:
        return
    assert span.start < span.end


def test_a_span_runs_forward():
    with pytest.raises(RequestError) as refused:
        Span.between("2024-02", "2024-01", HANOI)
    assert refused.value.code == "base.period_reversed"
    with pytest.raises(RequestError):
        Span.between("2024", "2024-01-01", HANOI)


def test_a_span_between_periods_ends_where_the_last_one_begins():
    span = Span.between("2024-01", "2024-04", HANOI)
    assert span.hours == (31 + 29 + 31) * 24
    assert span == Span.between(date(2024, 1, 1), datetime.fromisoformat("2024-04-01"), HANOI)
    assert span == Span.between(datetime(2023, 12, 31, 17, tzinfo=UTC), "2024-04-01T00:00", HANOI)


def test_dates_and_naive_times_are_local():
    assert instant(date(2024, 3, 31), HANOI) == datetime(2024, 3, 30, 17, tzinfo=UTC)
    assert instant(datetime.fromisoformat("2024-03-31"), BERLIN) == datetime(2024, 3, 30, 23, tzinfo=UTC)
    assert instant("2024", NEW_YORK) == datetime(2024, 1, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "2024-02-30", "20241231", "2024-W01-1", "31/12/2024", "2024-12-31T00:00", "2024"]
)
def test_a_date_is_written_in_one_way(text):  # fmt: skip
    assert parse_date(" 2024-12-31 ") == date(2024, 12, 31)
    with pytest.raises(RequestError) as refused:
        parse_date(text)
    assert refused.value.code == "base.not_a_date"


@pytest.mark.parametrize("name", ["", "Asia", "Asia/Nowhere", "../etc/passwd", "/etc/passwd", "Hà Nội", "\0"])
def test_an_unknown_zone_is_refused(name):
    assert zone("Asia/Ho_Chi_Minh") == HANOI
    with pytest.raises(RequestError) as refused:
        zone(name)
    assert refused.value.code == "base.unknown_zone"
