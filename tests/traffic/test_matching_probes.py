"""Positions of vehicles find the streets they were driven on, and give back the speed they were driven at."""

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.measure.traffic.counted_city import write_net

from mangrove.errors import RequestError, SourceError
from mangrove.traffic.matching_probes import match, read_probes
from mangrove.traffic.sumo_net import read_net

pytest.importorskip("fastmm")
TZ = ZoneInfo("Asia/Ho_Chi_Minh")
BEGUN = 1_780_445_100.0  # 3 June 2026, 07:05 in Ho Chi Minh City
SPEEDS = {"main": 5.0, "side": 10.0, "third": 8.0}


@pytest.fixture
def net(tmp_path):
    write_net(tmp_path)
    return read_net(tmp_path / "small.net.xml")


def drive(net, vehicle: str, noise: float = 0.0, every: float = 4.0, start: float = BEGUN) -> list[str]:
    """Rows of one drive along main, side and third at their speeds."""
    random = np.random.default_rng(len(vehicle))
    where, when = [net.xy[net.start[net.number["main"]]]], [0.0]
    for edge, speed in SPEEDS.items():
        end = net.xy[net.end[net.number[edge]]]
        when.append(when[-1] + float(np.hypot(*(end - where[-1]))) / speed)
        where.append(end)
    at = np.arange(0, when[-1], every)
    xy = np.column_stack([np.interp(at, when, [point[k] for point in where]) for k in (0, 1)])
    lonlat = net.to_lonlat(xy + noise * random.standard_normal(xy.shape))
    rows = []
    for seconds, (lon, lat) in zip(at, lonlat, strict=True):
        time = np.datetime64(int((start + seconds) * 1000), "ms")
        rows.append(f"{time}+00:00,{vehicle},{lon:.7f},{lat:.7f}")
    return rows


def written(path: Path, rows: list[str]) -> Path:
    path.write_text("time,vehicle,lon,lat\n" + "\n".join(rows) + "\n")
    return path


def test_drives_give_back_streets_distances_and_speeds(net, tmp_path):
    rows = [row for name in ("a", "bb", "ccc") for row in drive(net, name, noise=4.0)]
    drives = match(net, read_probes(written(tmp_path / "probes.csv", rows), TZ))
    assert drives.points == len(rows)
    assert drives.matched / drives.points > 0.95
    speed, km, number = drives.speeds(BEGUN - BEGUN % 300, 1, 300, len(net))
    for edge, wanted in SPEEDS.items():
        at = net.number[edge]
        assert speed[0, at] == pytest.approx(3.6 * wanted, rel=0.15)
        assert number[0, at] == 3
    assert km[0, net.number["fourth"]] < 0.05 * km.sum(), "the same line the other way"
    assert km.sum() == pytest.approx(3 * 0.95, rel=0.05)


def test_a_long_silence_ends_a_drive(net, tmp_path):
    first = drive(net, "a")[:5]
    later = drive(net, "a", start=BEGUN + 3600)[:5]
    drives = match(net, read_probes(written(tmp_path / "probes.csv", first + later), TZ))
    assert drives.hours.sum() == pytest.approx(2 * 4 * 4 / 3600)


def test_times_without_a_zone_are_local_and_no_positions_give_no_drives(net, tmp_path):
    probes = read_probes(written(tmp_path / "probes.csv", ["2026-06-03T07:05:00,a,106.68,10.78"]), TZ)
    assert probes.time.tolist() == [BEGUN]
    assert len(match(net, probes).edge) == 0
    assert len(match(net, read_probes(written(tmp_path / "none.csv", []), TZ)).edge) == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("time,lon,lat\n", "vehicles.probe_columns"),
        ("time,vehicle,lon,lat\n2026-06-03T07:00:00,a,200,10\n", "vehicles.probe_row"),
        ("time,vehicle,lon,lat\nyesterday,a,106,10\n", "vehicles.probe_row"),
        ("time,vehicle,lon,lat\n2026-06-03T07:00:00,,106,10\n", "vehicles.probe_row"),
        ("time,vehicle,lon,lat\n2026-06-03T07:00:00,a,nan,10\n", "vehicles.probe_row"),
    ],
)
def test_a_file_that_holds_no_positions_is_refused_with_its_line(tmp_path, text, code):
    (tmp_path / "probes.csv").write_text(text)
    with pytest.raises(SourceError) as caught:
        read_probes(tmp_path / "probes.csv", TZ)
    assert caught.value.code == code
    assert caught.value.problem.where.line == text.count("\n")
    with pytest.raises(SourceError, match="gone"):
        read_probes(tmp_path / "gone.csv", TZ)


def test_widths_must_be_above_zero(net, tmp_path):
    probes = read_probes(written(tmp_path / "probes.csv", drive(net, "a")), TZ)
    with pytest.raises(RequestError):
        match(net, probes, radius=0)
