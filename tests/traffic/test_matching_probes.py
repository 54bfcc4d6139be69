"""Positions of vehicles find the streets they were driven on, and give back the speed they were driven at."""

import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.measure.traffic.counted_city import write_net

from mangrove.errors import RequestError, SourceError
from mangrove.traffic.matching_probes import Probes, match, read_probes
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


def test_a_position_that_jumps_away_and_back_and_a_time_twice_change_nothing(net, tmp_path):
    rows = drive(net, "a")
    far = rows[10].rsplit(",", 2)[0] + ",106.9000000,10.9000000"
    odd = [*rows[:10], far, *rows[11:], rows[5], rows[20].replace(",a,", ",a,", 1)]
    drives = match(net, read_probes(written(tmp_path / "probes.csv", odd), TZ))
    true = match(net, read_probes(written(tmp_path / "true.csv", rows), TZ))
    assert drives.points == len(rows) + 2
    assert drives.matched == len(rows) - 1
    assert drives.km.sum() == pytest.approx(true.km.sum(), rel=0.01)
    assert drives.hours.sum() == pytest.approx(true.hours.sum(), rel=0.01)


def test_a_jump_to_another_street_ends_a_drive_and_nobody_flies(net, tmp_path):
    rows = drive(net, "a")
    gone = rows[:8] + rows[28:]  # 400 m and more away, and by their times 4 s later
    times = [row.split(",", 1)[0] for row in rows]
    moved = [f"{time},{row.split(',', 1)[1]}" for time, row in zip(times, gone, strict=False)]
    drives = match(net, read_probes(written(tmp_path / "probes.csv", moved), TZ))
    driven = drives.hours > 0
    assert (drives.km[driven] / drives.hours[driven]).max() < 40
    assert drives.km.sum() == pytest.approx(7 * 0.02 + 7 * 0.032, rel=0.1), "nothing in between"


def test_positions_that_are_nowhere_on_the_network_match_nothing(net, tmp_path):
    rows = [
        f"2026-06-03T07:05:{n:02d},a,{lon},{lat}"
        for n, (lon, lat) in enumerate([(0, 0), (180, 90), (-180, -90), (106, 10)])
    ]
    drives = match(net, read_probes(written(tmp_path / "probes.csv", rows), TZ))
    assert (drives.points, drives.matched, len(drives.edge)) == (4, 0, 0)


def test_means_of_a_long_time_take_no_more_room_than_what_was_driven(net, tmp_path):
    rows = drive(net, "a") + drive(net, "b", start=BEGUN + 365 * 86_400)
    found = match(net, read_probes(written(tmp_path / "probes.csv", rows), TZ)).means(0.0, 300)
    assert len(found.speed) < 12
    assert set(found.vehicles.tolist()) == {1}
    assert found.interval.max() - found.interval.min() > 100_000


def test_matching_needs_no_guard_in_the_script_that_asks_for_it(net, tmp_path):
    path = written(tmp_path / "probes.csv", drive(net, "a"))
    script = tmp_path / "ask.py"
    script.write_text(
        "from pathlib import Path\nfrom zoneinfo import ZoneInfo\n"
        "from mangrove.traffic.matching_probes import match, read_probes\n"
        "from mangrove.traffic.sumo_net import read_net\n"
        f"net = read_net(Path({str(net.path)!r}))\n"
        f"print(match(net, read_probes(Path({str(path)!r}), ZoneInfo('UTC'))).matched)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) > 10, "and nothing else on stdout"


@pytest.mark.data
def test_shortest_ways_over_a_real_city_are_found_from_noisy_positions(data_dir):
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    net = read_net(data_dir / "traffic/hcmc/hcm_inner_2017.net.xml.gz")
    random = np.random.default_rng(2)
    used = np.flatnonzero(net.lanes > 0)
    order = used[np.argsort(-net.length[used])]
    best = {(int(net.start[e]), int(net.end[e])): int(e) for e in order}
    ends = np.array(list(best))
    graph = csr_array((net.length[list(best.values())] + 1e-6, ends.T), shape=(len(net.xy), len(net.xy)))
    vehicle, when, where, ways = [], [], [], []
    for number, origin in enumerate(random.choice(ends[:, 0], 60)):
        far, before = dijkstra(graph, indices=origin, return_predecessors=True)
        node, way = int(random.choice(np.flatnonzero(np.isfinite(far) & (far > 1)))), []
        while node != origin:
            way.append(best[int(before[node]), node])
            node = int(before[node])
        ways.append(way[::-1])
        line = np.vstack([net.points[net.pointers[e] : net.pointers[e + 1]] for e in ways[-1]])
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        at = np.arange(0.0, along[-1], 40.0)  # 8 m/s, every 5 s
        xy = np.column_stack([np.interp(at, along, line[:, k]) for k in (0, 1)])
        where.append(net.to_lonlat(xy + 8 * random.standard_normal(xy.shape)))
        when.append(BEGUN + at / 8)
        vehicle.append(np.full(len(at), number, dtype=np.int32))
    drives = match(net, Probes(np.concatenate(vehicle), np.concatenate(when), np.concatenate(where)))
    missed = [
        e
        for n, way in enumerate(ways)
        for e in set(way[1:-1]) - set(drives.edge[drives.vehicle == n].tolist())
    ]
    assert net.length[missed].sum() < 0.007 * sum(net.length[way].sum() for way in ways)
    assert drives.km.sum() / drives.hours.sum() == pytest.approx(8 * 3.6, rel=0.02)
