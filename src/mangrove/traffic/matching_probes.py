# SPDX-License-Identifier: Apache-2.0
"""Map matching: where probe vehicles drove on a network, and how fast each street was.

Comes in: positions in time of vehicles (taxis, buses, phones), a network of SUMO. Goes out: kilometers and hours by edge and interval,
whose ratio is the space-mean speed that emission curves want. The matching itself is `fastmm` (fast map matching with a hidden Markov
model; Yang and Gidofalvi 2018), which reads edges as lines from junction to junction.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from array import array
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import MissingExtraError, RequestError, Sentence, SourceError, Where
from mangrove.times import instant
from mangrove.traffic.roads import Floats, Ints

if TYPE_CHECKING:
    from mangrove.traffic.sumo_net import SumoNet

RADIUS, GPS_ERROR, CANDIDATES, LONGEST = 40.0, 20.0, 8, 800.0
"""Meters around a position in which edges are candidates; standard deviation of positions, m; candidates of one; meters of the longest
way between two positions. Shortest ways over inner Ho Chi Minh City with 8 m of noise at 8 m/s: of the distance 99.5 % is found on its
edges at one position in 5 s, 98.8 % at one in 20 s, and speeds are off by less than 1 %. With an error of 10 m the noise along a street was read
as driving: speeds 2 % too high, twice as many wrong edges (benchmarks/traffic_probes.py)."""
LONGEST_GAP = 120.0
"""Seconds between two positions beyond which a drive is two."""
FASTEST, _ERRORS = 160 / 3.6, 6
"""m/s, and errors of positions beyond it, that nobody moves on a street: between such positions one is wrong."""
_PIECE = 5
"""Numbers of a piece: vehicle, edge, time, km, hours."""
_COLUMNS = ("time", "vehicle", "lon", "lat")


@dataclass(frozen=True)
class Probes:
    """Positions, sorted by vehicle and time.

    Attributes:
        vehicle: (n,) numbers; time: (n,) seconds since 1970; lonlat: (n, 2) WGS84 degrees.
    """

    vehicle: Ints
    time: Floats
    lonlat: Floats

    def __len__(self) -> int:
        return len(self.time)

    def only(self, kept: npt.NDArray[np.bool_]) -> Probes:
        """Some of the positions."""
        return Probes(self.vehicle[kept], self.time[kept], self.lonlat[kept])


@dataclass(frozen=True)
class Drives:
    """Pieces of matched drives: vehicle, edge, when (middle, seconds since 1970), km and hours; (k,) each.

    Attributes:
        points, matched: positions that came in, and those that lie on a matched drive.
    """

    vehicle: Ints
    edge: Ints
    time: Floats
    km: Floats
    hours: Floats
    points: int
    matched: int

    def speeds(self, start: float, count: int, seconds: float, edges: int) -> tuple[Floats, Floats, Ints]:
        """(count, edges) km/h, vehicle-km and number of vehicles by interval; NaN km/h where none drove."""
        found = self.means(start, seconds)
        inside = (found.interval >= 0) & (found.interval < count)
        at = found.interval[inside], found.edge[inside]
        speed, km = np.full((count, edges), np.nan), np.zeros((count, edges))
        vehicles = np.zeros((count, edges), dtype=np.int32)
        speed[at], km[at], vehicles[at] = found.speed[inside], found.km[inside], found.vehicles[inside]
        return speed, km, vehicles

    def means(self, start: float, seconds: float) -> Means:
        """Means by interval after `start` and edge, of those that somebody drove on, however long the time is."""
        interval = ((self.time - start) // seconds).astype(np.int64)
        width = int(self.edge.max(initial=0)) + 1
        key, row = np.unique(interval * width + self.edge, return_inverse=True)
        km: Floats = np.asarray(np.bincount(row, self.km, len(key)), dtype=np.float64)
        hours = np.bincount(row, self.hours, len(key))
        pairs = np.unique(np.stack([row.ravel(), self.vehicle.astype(np.int64)]), axis=1)[0]
        speed = np.full(len(key), np.nan)
        np.divide(km, hours, out=speed, where=hours > 0)
        return Means(key // width, key % width, speed, km, np.bincount(pairs, minlength=len(key)))


@dataclass(frozen=True)
class Means:
    """Speeds by interval and edge, (m,) each: numbers of both, km/h (NaN without time), vehicle-km, number of vehicles."""

    interval: npt.NDArray[np.int64]
    edge: npt.NDArray[np.int64]
    speed: Floats
    km: Floats
    vehicles: npt.NDArray[np.int64]


def match(
    net: SumoNet,
    probes: Probes,
    *,
    radius: float = RADIUS,
    gps_error: float = GPS_ERROR,
    cache: Path | None = None,
) -> Drives:
    """Matches drives to edges.

    Args:
        net: the network.
        probes: positions.
        radius: meters around a position in which edges are candidates.
        gps_error: standard deviation of positions, m.
        cache: folder in which the table of shortest ways is kept for the next time; none when left out.

    Raises:
        MissingExtraError: fastmm is not installed.
        RequestError: `vehicles.probe_numbers`, `vehicles.matching_failed`.
    """
    if not (radius > 0 and gps_error > 0):
        raise RequestError("vehicles.probe_numbers", radius=radius, error=gps_error)
    if find_spec("fastmm") is None:
        raise MissingExtraError("traffic")
    xy = net.to_xy(probes.lonlat) if len(probes) else np.zeros((0, 2))
    kept = _plausible(probes, xy, gps_error)
    probes, xy, points = probes.only(kept), xy[kept], len(probes)
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.npz"
        drives = np.array(_drives(probes, xy, gps_error), dtype=np.int64).reshape(-1, 2)
        widths = np.array([radius, gps_error])
        given: dict[str, Any] = {"xy": xy, "vehicle": probes.vehicle, "time": probes.time, **_lines(net)}
        np.savez(job, drives=drives, widths=widths, **given)
        _apart(job, cache or Path(folder))
        with np.load(job) as found:
            pieces, matched = found["pieces"].reshape(-1, _PIECE).T, int(found["matched"])
    vehicle, edge = pieces[:2].astype(np.int32)
    return Drives(vehicle, edge, pieces[2], pieces[3], pieces[4], points, matched)


def _apart(job: Path, cache: Path) -> None:
    """Has a process of its own match: fastmm writes to stdout as it likes, which belongs to results, and a fault in it is not ours."""
    command = [sys.executable, "-m", __name__, str(job), str(cache)]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise RequestError("vehicles.matching_failed", reason=last[0])


def read_probes(path: Path, tz: ZoneInfo) -> Probes:
    """Reads a CSV with the columns time, vehicle, lon and lat (others are left alone); local time unless it says otherwise.

    Words for vehicles become numbers here and go no further.

    Raises:
        SourceError: `vehicles.probe_columns`, `vehicles.probe_row` (the first row that cannot be), `vehicles.probe_file`.
    """
    numbers: dict[str, int] = {}
    vehicle, data = array("i"), array("d")
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            head = [word.strip() for word in next(reader, [])]
            missing = [name for name in _COLUMNS if name not in head]
            if missing:
                raise SourceError(
                    "vehicles.probe_columns", where=Where(path.name, 1), columns=", ".join(missing)
                )
            at = [head.index(name) for name in _COLUMNS]
            for row in filter(None, reader):
                name, *numeric = _row(row, at, path.name, reader.line_num, tz)
                vehicle.append(numbers.setdefault(name, len(numbers)))
                data.extend(numeric)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason: object = getattr(error, "strerror", None) or Sentence("vehicles.no_text")
        raise SourceError("vehicles.probe_file", path=path, reason=reason) from None
    number = np.frombuffer(vehicle, dtype=np.int32) if vehicle else np.zeros(0, np.int32)
    rows = np.frombuffer(data, dtype=np.float64).reshape(-1, 3) if data else np.zeros((0, 3))
    order = np.lexsort((rows[:, 0], number))
    return Probes(number[order], rows[order, 0], rows[order, 1:])


def _row(
    row: list[str], at: list[int], file: str, line: int, tz: ZoneInfo
) -> tuple[str, float, float, float]:
    try:
        when = instant(datetime.fromisoformat(row[at[0]].strip()), tz).timestamp()
        name, lon, lat = row[at[1]].strip(), float(row[at[2]]), float(row[at[3]])
    except (ValueError, IndexError, OverflowError):
        raise SourceError("vehicles.probe_row", where=Where(file, line)) from None
    if not (name and abs(lon) <= 180 and abs(lat) <= 90):  # noqa: PLR2004 - degrees of the globe
        raise SourceError("vehicles.probe_row", where=Where(file, line))
    return name, when, lon, lat


def _plausible(probes: Probes, xy: Floats, gps_error: float) -> npt.NDArray[np.bool_]:
    """(n,) positions without those at a time twice and those that jump away and back faster than anybody drives."""
    if len(probes) < 3:  # noqa: PLR2004 - nothing to jump back to
        return np.ones(len(probes), dtype=bool)
    fast = _too_fast(probes, xy, gps_error)
    same = probes.vehicle[2:] == probes.vehicle[:-2]
    jumps = np.concatenate([[False], fast[:-1] & fast[1:] & same, [False]])
    twice = np.concatenate([[False], (np.diff(probes.vehicle) == 0) & (np.diff(probes.time) <= 0)])
    kept: npt.NDArray[np.bool_] = ~jumps & ~twice & np.isfinite(xy).all(axis=1)
    return kept


def _too_fast(probes: Probes, xy: Floats, gps_error: float) -> npt.NDArray[np.bool_]:
    """(n - 1,) whether a vehicle would have had to fly from one position to the next."""
    far = np.hypot(*np.diff(xy, axis=0).T)
    found: npt.NDArray[np.bool_] = (np.diff(probes.vehicle) == 0) & (
        far > FASTEST * np.diff(probes.time) + _ERRORS * gps_error
    )
    return found


def _lines(net: SumoNet) -> dict[str, npt.NDArray[Any]]:
    """Edges with their ends and lines: these begin and end at the junctions, or the graph of fastmm does not connect."""
    ends, points, counts = [], [], []
    for edge in np.flatnonzero(net.lanes > 0).tolist():
        inner = net.points[net.pointers[edge] + 1 : net.pointers[edge + 1] - 1]
        line = np.vstack([net.xy[net.start[edge]], inner, net.xy[net.end[edge]]])
        line = line[np.concatenate([[True], np.abs(np.diff(line, axis=0)).any(axis=1)])]
        if len(line) > 1:
            ends.append((edge, int(net.start[edge]), int(net.end[edge])))
            points.append(line)
            counts.append(len(line))
    return {
        "ends": np.array(ends, dtype=np.int64).reshape(-1, 3),
        "points": np.vstack(points) if points else np.zeros((0, 2)),
        "pointers": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    }


def _match_all(path: Path, cache: str) -> None:
    """Matches all drives of a job and puts pieces in its place; runs in a process of its own."""
    import fastmm

    with np.load(path) as job:
        given = dict(job)
    network = fastmm.Network()
    for number, (edge, start, end) in enumerate(given["ends"].tolist()):
        line = given["points"][given["pointers"][number] : given["pointers"][number + 1]].tolist()
        network.add_edge(edge, start, end, [tuple(point) for point in line])
    network.finalize()
    matcher = fastmm.FastMapMatch(
        network, fastmm.TransitionMode.SHORTEST, max_distance_between_candidates=LONGEST, cache_dir=cache
    )
    pieces, matched = array("d"), 0
    for first, last in given["drives"].tolist():
        drive = fastmm.Trajectory.from_xy_tuples([(x, y) for x, y in given["xy"][first:last].tolist()])
        found = matcher.match(drive, CANDIDATES, *given["widths"].tolist())
        matched += _add(found, int(given["vehicle"][first]), given["time"][first:last], pieces)
    np.savez(path, pieces=np.frombuffer(pieces, dtype=np.float64) if pieces else np.zeros(0), matched=matched)


def _drives(probes: Probes, xy: Floats, gps_error: float) -> list[tuple[int, int]]:
    """First and last of the positions of each drive: one vehicle, no long gap, no jump, two positions at least."""
    if not len(probes):
        return []
    new = (np.diff(probes.vehicle) != 0) | (np.diff(probes.time) > LONGEST_GAP)
    new |= _too_fast(probes, xy, gps_error)
    edges = np.concatenate([[0], np.flatnonzero(new) + 1, [len(probes)]]).tolist()
    return [(first, last) for first, last in pairwise(edges) if last - first > 1]


def _add(found: Any, vehicle: int, time: Floats, pieces: array[float]) -> int:
    """Kilometers and hours on each edge between every two matched positions; how many positions were matched."""
    matched = 0
    for part in found.subtrajectories:
        if not part.segments:
            continue
        matched += part.end_index - part.start_index + 1
        for number, segment in enumerate(part.segments):
            begin, end = time[part.start_index + number], time[part.start_index + number + 1]
            lengths = [
                abs(edge.points[-1].edge_offset - edge.points[0].edge_offset) for edge in segment.edges
            ]
            whole = sum(lengths)
            for edge, length in zip(segment.edges, lengths, strict=True):
                share = length / whole if whole > 0 else 1 / len(lengths)
                hours = (end - begin) / 3600 * share
                pieces.extend((vehicle, edge.edge_id, (begin + end) / 2, length / 1000, hours))
    return matched


def speed_error(vehicles: npt.ArrayLike, spread: float = 0.3) -> Floats:
    """Relative standard deviation of a mean speed over some vehicles.

    Args:
        vehicles: how many drove.
        spread: relative standard deviation between vehicles in one interval: at a signal some wait and some do not.
    """
    error: Floats = spread / np.sqrt(np.maximum(np.asarray(vehicles, dtype=np.float64), 1.0))
    return error


if __name__ == "__main__":
    _match_all(Path(sys.argv[1]), sys.argv[2])
