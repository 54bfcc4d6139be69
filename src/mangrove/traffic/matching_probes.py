# SPDX-License-Identifier: Apache-2.0
"""Map matching: where probe vehicles drove on a network, and how fast each street was.

Comes in: positions in time of vehicles (taxis, buses, phones), a network of SUMO. Goes out: kilometers and hours by edge and interval,
whose ratio is the space-mean speed that emission curves want. The matching itself is `fastmm` (fast map matching with a hidden Markov
model; Yang and Gidofalvi 2018), which reads edges as lines from junction to junction.
"""

from __future__ import annotations

import csv
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import MissingExtraError, RequestError, SourceError, Where
from mangrove.times import instant
from mangrove.traffic.roads import Floats, Ints

if TYPE_CHECKING:
    from mangrove.traffic.sumo_net import SumoNet

RADIUS, GPS_ERROR, CANDIDATES, LONGEST = 40.0, 10.0, 8, 800.0
"""Meters around a position in which edges are candidates; standard deviation of positions, m; candidates of one; meters of the longest
way between two positions. Random drives on inner Ho Chi Minh City with 8 m of noise at 8 m/s: 98 % of edges found at one position in
5 s, 87 % at one in 20 s (160 m apart, turning at random); distance and speed within 2 %."""
LONGEST_GAP = 120.0
"""Seconds between two positions beyond which a drive is two."""
Piece = tuple[int, int, float, float, float]
"""Vehicle, edge, time, km, hours."""
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
        cell = ((self.time - start) // seconds).astype(np.int64)
        inside = (cell >= 0) & (cell < count)
        flat = cell[inside] * edges + self.edge[inside]
        size = count * edges
        km = np.bincount(flat, self.km[inside], size).reshape(count, edges)
        hours = np.bincount(flat, self.hours[inside], size).reshape(count, edges)
        pairs = np.unique(np.stack([flat, self.vehicle[inside].astype(np.int64)]), axis=1)[0]
        speed: Floats = np.full(km.shape, np.nan)
        np.divide(km, hours, out=speed, where=hours > 0)
        return (
            speed,
            np.asarray(km, dtype=np.float64),
            np.bincount(pairs, minlength=size).reshape(count, edges).astype(np.int32),
        )


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
    with tempfile.TemporaryDirectory() as folder:
        job = _Job(
            _lines(net),
            xy,
            probes.vehicle,
            probes.time,
            _drives(probes),
            (radius, gps_error),
            str(cache or folder),
        )
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_silent) as pool:
            try:
                pieces, matched = pool.submit(_match_all, job).result()
            except (BrokenProcessPool, RuntimeError) as error:
                raise RequestError(
                    "vehicles.matching_failed", reason=str(error) or type(error).__name__
                ) from None
    columns = np.array(pieces, dtype=np.float64).reshape(-1, 5).T
    vehicle, edge = columns[:2].astype(np.int32)
    return Drives(vehicle, edge, columns[2], columns[3], columns[4], len(probes), matched)


def read_probes(path: Path, tz: ZoneInfo) -> Probes:
    """Reads a CSV with the columns time, vehicle, lon and lat (others are left alone); local time unless it says otherwise.

    Raises:
        SourceError: `vehicles.probe_columns`, `vehicles.probe_row` (the first row that cannot be), `vehicles.probe_file`.
    """
    rows: list[tuple[str, float, float, float]] = []
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise SourceError(
                    "vehicles.probe_columns", where=Where(path.name, 1), columns=", ".join(missing)
                )
            rows = [_row(row, Where(path.name, reader.line_num), tz) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError("vehicles.probe_file", path=path, reason=str(error)) from None
    number = np.unique([row[0] for row in rows], return_inverse=True)[1]
    data = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 3)
    order = np.lexsort((data[:, 0], number))
    return Probes(number[order].astype(np.int32), data[order, 0], data[order, 1:])


def _row(row: dict[str, str], where: Where, tz: ZoneInfo) -> tuple[str, float, float, float]:
    try:
        when = instant(datetime.fromisoformat(row["time"].strip()), tz).timestamp()
        name, lon, lat = row["vehicle"].strip(), float(row["lon"]), float(row["lat"])
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise SourceError("vehicles.probe_row", where=where) from None
    if not (name and abs(lon) <= 180 and abs(lat) <= 90):  # noqa: PLR2004 - degrees of the globe
        raise SourceError("vehicles.probe_row", where=where)
    return name, when, lon, lat


def _lines(net: SumoNet) -> list[tuple[int, int, int, list[tuple[float, float]]]]:
    """Edges with their ends and lines: these begin and end at the junctions, or the graph of fastmm does not connect."""
    lines = []
    for edge in np.flatnonzero(net.lanes > 0).tolist():
        shape = net.points[net.pointers[edge] : net.pointers[edge + 1]]
        whole = np.vstack([net.xy[net.start[edge]], shape, net.xy[net.end[edge]]]).tolist()
        distinct = [tuple(point) for at, point in enumerate(whole) if not at or point != whole[at - 1]]
        if len(distinct) > 1:
            lines.append((edge, int(net.start[edge]), int(net.end[edge]), distinct))
    return lines


@dataclass(frozen=True)
class _Job:
    """What the process that matches gets: fastmm writes to stdout as it likes, which belongs to results."""

    lines: list[tuple[int, int, int, list[tuple[float, float]]]]
    xy: Floats
    vehicle: Ints
    time: Floats
    drives: list[tuple[int, int]]
    widths: tuple[float, float]
    cache: str


def _silent() -> None:
    """Sends what the library says about itself nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


def _match_all(job: _Job) -> tuple[list[Piece], int]:
    """Matches all drives; runs in a process of its own."""
    import fastmm

    network = fastmm.Network()
    for line in job.lines:
        network.add_edge(*line)
    network.finalize()
    shortest = fastmm.TransitionMode.SHORTEST
    matcher = fastmm.FastMapMatch(
        network, shortest, max_distance_between_candidates=LONGEST, cache_dir=job.cache
    )
    pieces: list[Piece] = []
    matched = 0
    for first, last in job.drives:
        drive = fastmm.Trajectory.from_xy_tuples([(x, y) for x, y in job.xy[first:last].tolist()])
        found = matcher.match(drive, CANDIDATES, *job.widths)
        matched += _add(found, int(job.vehicle[first]), job.time[first:last], pieces)
    return pieces, matched


def _drives(probes: Probes) -> list[tuple[int, int]]:
    """First and last of the positions of each drive: one vehicle, no long gap, two positions at least, no time twice."""
    if not len(probes):
        return []
    new = (np.diff(probes.vehicle) != 0) | (np.diff(probes.time) > LONGEST_GAP)
    edges = np.concatenate([[0], np.flatnonzero(new) + 1, [len(probes)]]).tolist()
    return [(first, last) for first, last in pairwise(edges) if last - first > 1]


def _add(found: Any, vehicle: int, time: Floats, pieces: list[Piece]) -> int:
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
                pieces.append((vehicle, edge.edge_id, (begin + end) / 2, length / 1000, hours))
    return matched


def speed_error(vehicles: npt.ArrayLike, spread: float = 0.3) -> Floats:
    """Relative standard deviation of a mean speed over some vehicles.

    Args:
        vehicles: how many drove.
        spread: relative standard deviation between vehicles in one interval: at a signal some wait and some do not.
    """
    error: Floats = spread / np.sqrt(np.maximum(np.asarray(vehicles, dtype=np.float64), 1.0))
    return error
