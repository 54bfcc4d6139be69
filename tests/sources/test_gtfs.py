# SPDX-License-Identifier: Apache-2.0
"""Timetables: kilometers by hand, midnight, blanks, frequencies, and every fault with its line."""

import zipfile
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.sources.feeds import FEED, KM, feed

from mangrove.errors import SourceError
from mangrove.sources import gtfs
from mangrove.times import Span

HCMC = ZoneInfo("Asia/Ho_Chi_Minh")
MONDAY = Span.parse("2026-11-16", HCMC)


def row(found: gtfs.Service, route: int, hour: int) -> tuple[float, float]:
    """Km and trips of a route in a local hour of Monday."""
    at = int((datetime(2026, 11, 16, tzinfo=HCMC) - found.start).total_seconds()) // 3600 + hour
    return float(found.km[route, at]), float(found.trips[route, at])


def test_kilometers_and_trips_of_each_hour_are_those_counted_by_hand(tmp_path):
    read = gtfs.read(feed(tmp_path))
    found = gtfs.service(read, MONDAY)
    assert (read.names, read.modes) == (("01", "02", "M1"), ("bus", "bus", "metro"))
    assert row(found, 0, 7) == (pytest.approx(3 * KM), 1)
    bend = 2 * KM + 2 * KM  # north, east twice, south
    assert row(found, 1, 7) == (pytest.approx(bend / 2), 1), "half of the shape before eight"
    assert row(found, 1, 8) == (pytest.approx(bend / 2, rel=1e-6), 0)
    assert row(found, 2, 6) == (pytest.approx(6 * 3 * KM), 6), (
        "every ten minutes; the template itself does not run"
    )
    assert row(found, 2, 5) == (0, 0)


def test_a_trip_across_midnight_runs_in_both_days(tmp_path):
    read = gtfs.read(feed(tmp_path))
    found = gtfs.service(read, MONDAY)
    assert row(found, 0, 23)[0] == pytest.approx(KM / 2)
    tuesday = gtfs.service(read, Span.parse("2026-11-17", HCMC))
    assert tuesday.km[0, 0] == pytest.approx(KM / 2), "from Monday's service day"
    assert tuesday.trips[0, 0] == 0
    assert row(found, 0, 0)[0] == 0, "no service on Sunday, so nothing runs into Monday"


def test_exceptions_take_a_day_away_and_add_another(tmp_path):
    read = gtfs.read(feed(tmp_path))
    number = int(read.service[0])
    assert date(2026, 11, 20) not in read.days[number]
    assert date(2026, 11, 21) in read.days[number], "a Saturday"
    assert len(read.days[number]) == 21 - 1 + 1


def test_a_month_is_the_sum_of_its_days(tmp_path):
    read = gtfs.read(feed(tmp_path))
    found = gtfs.service(read, Span.parse("2026-11", HCMC))
    assert found.trips.sum(axis=1).tolist() == [2 * 21, 30, 6 * 30]
    last = KM / 2  # the last Monday's night bus ends in December
    assert found.km.sum() == pytest.approx(21 * 4 * KM - last + 30 * 4 * KM + 30 * 18 * KM)


def test_blank_times_are_filled_by_distance(tmp_path):
    read = gtfs.read(feed(tmp_path))
    own = read.segment_trip == 0
    assert read.arrive[own].tolist() == [7 * 3600 + 600, 7 * 3600 + 12 * 60 + 600, 7 * 3600 + 32 * 60]


def test_marks_along_a_shape_divide_its_length(tmp_path):
    times = FEED["stop_times"].replace("stop_sequence", "stop_sequence,shape_dist_traveled")
    lines = times.splitlines()
    marked = [lines[0]] + [
        line + ("," if not line.startswith("T3") else ",0" if "S0" in line else ",400") for line in lines[1:]
    ]
    marked.insert(8, "T3,7:45:00,7:45:00,S1,,300".replace("S1,,", "S1,1.5,"))
    found = gtfs.read(feed(tmp_path, stop_times="\n".join(marked) + "\n"))
    own = found.segment_trip == 2
    assert found.km[own] == pytest.approx([3 * KM, KM])


def test_a_day_on_which_clocks_change_counts_from_noon_minus_twelve_hours(tmp_path):
    berlin = FEED["agency"].replace("Asia/Ho_Chi_Minh", "Europe/Berlin")
    days = FEED["calendar"].replace("20261101,20261130", "20261001,20261130")
    read = gtfs.read(feed(tmp_path, agency=berlin, calendar=days))
    autumn = gtfs.service(read, Span.parse("2026-10-25", ZoneInfo("Europe/Berlin")))
    at = int((datetime(2026, 10, 25, 6, tzinfo=UTC) - autumn.start).total_seconds()) // 3600
    assert autumn.trips[1, at] == 1, "7:30 in winter time is 6:30 UTC"
    assert autumn.km.shape[1] == 25


@pytest.mark.parametrize(
    ("changed", "code", "place"),
    [
        ({"stops": None}, "gtfs.missing_file", "stops.txt"),
        ({"calendar": None, "calendar_dates": None}, "gtfs.no_calendar", "calendar.txt"),
        ({"stop_times": FEED["stop_times"].replace("07:10:00", "7h10")}, "gtfs.bad_time", "stop_times.txt:3"),
        ({"stop_times": FEED["stop_times"].replace("07:10:00", "07:60:00")}, "gtfs.bad_time", "stop_times.txt:3"),
        ({"stop_times": FEED["stop_times"].replace("S3,9", "S9,9")}, "gtfs.unknown", "stop_times.txt:5"),
        ({"stop_times": FEED["stop_times"].replace("T2,23", "T9,23")}, "gtfs.unknown", "stop_times.txt:6"),
        ({"stop_times": FEED["stop_times"].replace("07:32:00,07:32:00", ",")}, "gtfs.no_time", "stop_times.txt:5"),
        ({"stop_times": FEED["stop_times"].replace("24:10:00", "22:10:00")}, "gtfs.backwards", "stop_times.txt:7"),
        ({"stop_times": FEED["stop_times"].replace("S1,2\nT1", "S1,two\nT1")}, "gtfs.bad_number", "stop_times.txt:3"),
        ({"trips": FEED["trips"].replace("R2,DAILY", "R7,DAILY")}, "gtfs.unknown", "trips.txt:4"),
        ({"routes": FEED["routes"].replace("700", "bus")}, "gtfs.bad_number", "routes.txt:3"),
        ({"calendar": FEED["calendar"].replace("20261130\nD", "20261131\nD")}, "gtfs.bad_date", "calendar.txt:2"),
        ({"frequencies": FEED["frequencies"].replace("600", "0")}, "gtfs.bad_frequency", "frequencies.txt:2"),
        ({"stops": FEED["stops"].replace("stop_lon", "lon")}, "gtfs.missing_column", "stops.txt"),
        ({"stops": FEED["stops"] + "S4,x\n"}, "gtfs.bad_table", "stops.txt"),
        ({"stops": FEED["stops"].replace("S2,Bến 2,0,106.02", "S2,Bến 2,,")}, "gtfs.no_position", "stop_times.txt:4"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_file_and_line(tmp_path, changed, code, place):
    with pytest.raises(SourceError) as caught:
        gtfs.read(feed(tmp_path, **changed))
    assert caught.value.code == code
    assert str(caught.value.problem.where).endswith(place)


def test_a_zip_that_unpacks_to_far_too_much_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for table, text in FEED.items():
            packed.writestr(f"{table}.txt", text)
        packed.writestr("shapes2.txt", b"0" * 50_000_000)
    assert path.stat().st_size < 200_000
    with pytest.raises(SourceError) as caught:
        gtfs.read(path)
    assert caught.value.code == "gtfs.too_large"


def test_what_is_no_zip_and_a_damaged_zip_are_named(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(SourceError):
        gtfs.read(path)
    whole = feed(tmp_path).read_bytes()
    at = whole.index(b"stop_times.txt") + 60
    path.write_bytes(whole[:at] + bytes(b ^ 0x5A for b in whole[at : at + 20]) + whole[at + 20 :])
    with pytest.raises(SourceError) as caught:
        gtfs.read(path)
    assert caught.value.code == "gtfs.bad_zip"


def test_a_folder_with_byte_order_marks_and_quotes_reads_the_same(tmp_path):
    folder = tmp_path / "feed"
    folder.mkdir()
    for table, text in FEED.items():
        quoted = text.replace("stop_id,stop_name", '"stop_id","stop_name"').replace("Bến 1", '"Bến, một"')
        (folder / f"{table}.txt").write_text(
            "\ufeff" + quoted.replace("\n", "\r\n"), encoding="utf-8", newline=""
        )
    one, other = gtfs.read(folder), gtfs.read(feed(tmp_path))
    assert one.km == pytest.approx(other.km)
    assert one.routes == other.routes


def test_spreading_over_hours_keeps_every_amount():
    rng = np.random.default_rng(3)
    begin = rng.integers(0, 200_000, 500)
    end = begin + rng.integers(0, 20_000, 500)
    amount = rng.uniform(0, 9, 500)
    _, share, rows = gtfs.by_hour(begin, end, amount)
    assert np.bincount(rows, weights=share) == pytest.approx(amount)
