# SPDX-License-Identifier: Apache-2.0
"""What really runs: ways between positions, delays, canceled trips, alerts; faults of receivers and feeds."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from google.transit import gtfs_realtime_pb2 as pb
from tests.sources.feeds import FEED, KM, feed

from mangrove.errors import RequestError, SourceError
from mangrove.sources import gtfs, gtfs_flows, gtfs_realtime
from mangrove.times import Span

HCMC = ZoneInfo("Asia/Ho_Chi_Minh")
SEVEN = datetime(2026, 11, 16, 7, tzinfo=HCMC)


def message(at: datetime) -> pb.FeedMessage:
    found = pb.FeedMessage()
    found.header.gtfs_realtime_version = "2.0"
    found.header.timestamp = int(at.timestamp())
    return found


def vehicle(into: pb.FeedMessage, name: str, trip: str, at: datetime, lon: float) -> None:
    entity = into.entity.add(id=name)
    entity.vehicle.trip.trip_id, entity.vehicle.trip.start_date = trip, "20261116"
    entity.vehicle.vehicle.id = name
    entity.vehicle.timestamp = int(at.timestamp())
    entity.vehicle.position.latitude, entity.vehicle.position.longitude = 0.0, lon


def archive(folder: Path, *messages: pb.FeedMessage) -> Path:
    folder.mkdir(exist_ok=True)
    for number, one in enumerate(messages):
        (folder / f"{number:05d}.pb").write_bytes(one.SerializeToString())
    return folder


@pytest.fixture
def timetable(tmp_path):
    return gtfs.read(feed(tmp_path))


def drive(*rows: tuple[float, float], trip: str = "T1") -> list[pb.FeedMessage]:
    """A vehicle by minutes after seven and longitudes."""
    found = []
    for minute, lon in rows:
        one = message(SEVEN + timedelta(minutes=minute))
        vehicle(one, "bus-1", trip, SEVEN + timedelta(minutes=minute), lon)
        found.append(one)
    return found


def test_the_way_driven_is_that_between_the_positions(tmp_path, timetable):
    rows = [(5 * n, 106 + 0.005 * n) for n in range(19)]
    found = gtfs_realtime.read(archive(tmp_path / "rt", *drive(*rows)), timetable)
    assert found is not None
    assert found.start == SEVEN
    assert found.km[0] == pytest.approx([6 * KM, 3 * KM], rel=1e-4), "positions are single floats on the wire"
    assert np.isnan(found.km[1]).all()


def test_silence_jumps_and_noise_are_no_way(tmp_path, timetable):
    rows = [(0, 106.0), (5, 106.00004), (10, 106.0), (12, 106.2), (14, 106.0), (30, 106.05), (35, 106.06)]
    found = gtfs_realtime.read(archive(tmp_path / "rt", *drive(*rows)), timetable)
    assert found is not None
    assert np.nansum(found.km) == pytest.approx(KM, rel=1e-3)


def update(trip: str, at: datetime, delay: int | None = None, *, arrival: tuple[str, datetime] | None = None, gone: bool = False) -> pb.FeedMessage:  # fmt: skip
    one = message(at)
    entity = one.entity.add(id=trip)
    entity.trip_update.trip.trip_id, entity.trip_update.trip.start_date = trip, "20261116"
    if gone:
        entity.trip_update.trip.schedule_relationship = pb.TripDescriptor.CANCELED
    if delay is not None:
        entity.trip_update.stop_time_update.add(stop_id="S1").arrival.delay = delay
    if arrival is not None:
        entity.trip_update.stop_time_update.add(stop_id=arrival[0]).arrival.time = int(arrival[1].timestamp())
    return one


def test_delays_are_as_said_or_against_the_timetable(tmp_path, timetable):
    said = update("T1", SEVEN + timedelta(minutes=20), 120)
    told = update(
        "T3", SEVEN + timedelta(minutes=20), arrival=("S2", datetime(2026, 11, 16, 8, 35, tzinfo=HCMC))
    )
    found = gtfs_realtime.read(archive(tmp_path / "rt", said, told), timetable)
    assert found is not None
    assert found.delay[:2, 0].tolist() == [120, 300], "T3 should arrive at 8:30"


def test_the_share_of_trips_that_ran_counts_hours_that_were_heard_whole(tmp_path, timetable):
    first, last = message(SEVEN - timedelta(minutes=1)), message(SEVEN + timedelta(minutes=61))
    ran = update("T1", SEVEN + timedelta(minutes=20), 0)
    canceled = update("T3", SEVEN + timedelta(minutes=25), gone=True)
    found = gtfs_realtime.read(archive(tmp_path / "rt", first, ran, canceled, last), timetable)
    assert found is not None
    assert found.start == SEVEN - timedelta(hours=1)
    assert found.delivered[:2, 1].tolist() == [1.0, 0.0]
    assert np.isnan(found.delivered[:, [0, 2]]).all(), "six and eight o'clock were not heard whole"


def test_runs_by_frequency_are_told_apart_by_their_start(tmp_path, timetable):
    six = SEVEN - timedelta(hours=1)
    heard = [message(six - timedelta(minutes=1)), message(six + timedelta(minutes=61))]
    for minute in (0, 10, 30):
        one = update(
            "F1", six + timedelta(minutes=minute + 7), arrival=("S3", six + timedelta(minutes=minute + 7))
        )
        one.entity[0].trip_update.trip.start_time = f"06:{minute:02d}:00"
        heard.append(one)
    found = gtfs_realtime.read(archive(tmp_path / "rt", *heard), timetable)
    assert found is not None
    assert (found.scheduled[2, 1], found.ran[2, 1]) == (6, 3)
    assert found.delay[2, 1] == 60, "six minutes of way, arrived after seven"


def test_alerts_name_their_routes_and_text(tmp_path, timetable):
    one = message(SEVEN)
    alert = one.entity.add(id="a").alert
    alert.informed_entity.add(route_id="R1")
    alert.header_text.translation.add(text="Ngập đường", language="vi")
    alert.effect = pb.Alert.DETOUR
    found = gtfs_realtime.read(archive(tmp_path / "rt", one), timetable)
    assert found is not None
    assert [(a.routes, a.text, a.effect) for a in found.alerts] == [(("R1",), "Ngập đường", "DETOUR")]


def test_an_old_feed_unknown_trips_and_broken_messages_are_named(tmp_path, timetable):
    folder = archive(tmp_path / "rt", *drive((0, 106.0), trip="T77"))
    found = gtfs_realtime.read(folder, timetable, now=SEVEN + timedelta(hours=1))
    assert found is not None
    assert {one.code for one in found.problems} == {"gtfs.stale", "gtfs.unknown_trips"}
    (folder / "x.pb").write_bytes(b"\x0a\xff\xff")
    with pytest.raises(SourceError) as caught:
        gtfs_realtime.read(folder, timetable)
    assert caught.value.code == "gtfs.bad_message"
    assert str(caught.value.problem.where).endswith("x.pb")
    assert gtfs_realtime.read(archive(tmp_path / "none"), timetable) is None


def test_flows_take_the_routes_of_their_meter_or_the_rest_of_their_mode(tmp_path, ledger, flow, world, rows):
    from dataclasses import replace

    from mangrove.territory.model import Carrier

    def declared(id_: str, carrier: str, written: str, meter: str = "", semantics: str = "sum"):  # type: ignore[no-untyped-def]
        made = flow(id_, written, "1h", semantics=semantics)
        return replace(made, carrier=Carrier.parse(carrier), meter=meter)

    territory = world(
        declared("line1", "vehicle_km:bus", "vehicle_km", "01"), declared("others", "vehicle_km:bus", "vehicle_km"),
        declared("metro", "vehicle_km:metro", "vehicle_km"), declared("late", "index:delay", "min", "R1", "state"),
        declared("served", "index:service", "%", "R1,R2", "state"),
    )  # fmt: skip
    span = Span.parse("2026-11-16", HCMC)
    messages = [message(SEVEN - timedelta(minutes=1)), *drive((20, 106.0), (25, 106.01)), update("T1", SEVEN + timedelta(minutes=26), 180), message(SEVEN + timedelta(minutes=61))]  # fmt: skip
    folder = archive(tmp_path / "rt", *messages)
    report = gtfs_flows.ingest(ledger, territory, feed(tmp_path), span, realtime=folder)
    assert report.flows == {
        "line1": ("R1",),
        "others": ("R2",),
        "metro": ("M1",),
        "late": ("R1",),
        "served": ("R1", "R2"),
    }
    planned = {at: value for at, value, _ in rows("schedule/gtfs:line1")}
    assert planned["2026-11-16T00:00"] == pytest.approx(3 * KM)
    assert len(planned) == 24
    assert [(at, round(value / KM, 3)) for at, value, _ in rows("line1")] == [("2026-11-16T00:00", 1.0)]
    assert rows("late") == [("2026-11-16T00:00", 3.0, 0)]
    assert rows("served") == [("2026-11-16T00:00", 50.0, 0)]
    assert rows("others") == []
    again = gtfs_flows.ingest(ledger, territory, feed(tmp_path), span, realtime=folder)
    assert (again.rows, again.duplicate) == (0, True)


def test_a_territory_without_flows_for_it_is_told(tmp_path, ledger, flow, world):
    report = gtfs_flows.ingest(ledger, world(flow("meter")), feed(tmp_path), Span.parse("2026-11-16", HCMC))
    assert [one.code for one in report.problems] == ["gtfs.no_flows"]
    assert report.scheduled_km == pytest.approx((3.5 + 4 + 18) * KM)
    assert FEED["routes"].count("\n") - 1 == report.routes


def test_clocks_that_are_far_off_do_not_stretch_the_answer(tmp_path, timetable):
    one = message(SEVEN)
    vehicle(one, "a", "T1", SEVEN, 106.0)
    vehicle(one, "b", "T1", SEVEN + timedelta(days=4000), 106.0)
    one.entity.add(id="n").alert.active_period.add(start=1, end=2**64 - 1)
    found = gtfs_realtime.read(archive(tmp_path / "rt", one), timetable)
    assert found is not None
    assert found.km.shape[1] == 1, "the message's own time stands in"
    assert found.alerts[0].end is None
    one.header.timestamp = 2**63
    with pytest.raises(SourceError, match="timestamp"):
        gtfs_realtime.read(archive(tmp_path / "bad", one), timetable)
    with pytest.raises(RequestError):
        gtfs_realtime.read(
            archive(tmp_path / "long", message(SEVEN), message(SEVEN + timedelta(days=4000))), timetable
        )
