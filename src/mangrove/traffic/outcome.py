# SPDX-License-Identifier: Apache-2.0
"""What a simulation did: every trip, every second, and the figures that plans are compared by.

Comes in: the files that SUMO wrote (trips with emissions, statistics, summary). Goes out: an `Outcome`. Delay is defined as in the
signal benchmark RESCO (Ault and Sharon 2021): lost time on the way plus waiting to enter, over all vehicles that wanted to drive,
those that never could enter included.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

import numpy as np
import numpy.typing as npt

from mangrove.errors import LedgerError, SourceError
from mangrove.traffic import sumo

if TYPE_CHECKING:
    from mangrove.traffic.links import Links

Floats = npt.NDArray[np.float64]

POLLUTANTS = ("CO2", "CO", "HC", "NOx", "PMx")
GRAM = 1e-3
"""SUMO writes milligrams."""
_TIMES = (
    "depart",
    "departDelay",
    "arrival",
    "duration",
    "routeLength",
    "waitingTime",
    "waitingCount",
    "timeLoss",
)


@dataclass(frozen=True, eq=False)
class Trips:
    """One row for each vehicle that wanted to drive, in the order in which SUMO wrote them.

    Attributes:
        ids, kinds: (N,) vehicle and its type; depart: (N,) s, -1 when it never entered; depart_delay: (N,) s of waiting to enter;
        arrival: (N,) s, -1 when not arrived; duration, waiting, time_loss: (N,) s on the way; length: (N,) m driven; stops: (N,) times.
        emissions: (N, 5) g of `POLLUTANTS`; electricity: (N,) Wh.
    """

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    depart: Floats
    depart_delay: Floats
    arrival: Floats
    duration: Floats
    length: Floats
    waiting: Floats
    stops: Floats
    time_loss: Floats
    emissions: Floats
    electricity: Floats

    @property
    def departed(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the vehicle entered the network."""
        return np.asarray(self.depart >= 0.0)

    @property
    def arrived(self) -> npt.NDArray[np.bool_]:
        """(N,) whether it reached its end."""
        return np.asarray(self.arrival >= 0.0)

    @property
    def delay(self) -> Floats:
        """(N,) s lost on the way and before it."""
        return self.time_loss + self.depart_delay


@dataclass(frozen=True, eq=False)
class Steps:
    """The network second by second: time (T,) s, running, waiting to enter, arrived so far, halting (T,) vehicles; speed (T,) m/s."""

    time: Floats
    running: Floats
    waiting: Floats
    arrived: Floats
    halting: Floats
    speed: Floats


@dataclass(frozen=True, eq=False)
class Teleports:
    """Vehicles that SUMO lifted out of the way: stuck in a jam, by yielding, on a wrong lane; `total` counts collisions too.

    The seconds in the air are in the duration of a trip, but neither in its lost time nor in its emissions, and on no street (`Links`): what a run
    loses and emits is too low by what the vehicles would have done there, so that these numbers stand beside every figure.
    """

    jam: int = 0
    yielding: int = 0
    wrong_lane: int = 0
    total: int = 0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run did.

    Attributes:
        trips, steps: the tables; teleports, collisions: what went wrong on the roads, to be shown beside every figure.
        seconds: of CPU; control: what the controller handed back, such as its log of decisions.
        links: what happened on each street, when the run asked for it (`Run.cells`).
    """

    trips: Trips
    steps: Steps
    teleports: Teleports
    collisions: int
    seconds: float
    control: Any = field(default=None, compare=False)
    links: Links | None = field(default=None, compare=False)

    @property
    def delay(self) -> float:
        """Mean delay of a vehicle, s: lost time plus waiting to enter, vehicles that never entered included."""
        return _mean(self.trips.delay)

    @property
    def stops(self) -> float:
        """Mean number of stops of a vehicle that entered."""
        return _mean(self.trips.stops[self.trips.departed])

    @property
    def co2_g_per_vehicle(self) -> float:
        """Mean CO2 of a vehicle that entered, g; the part of its trip until the end of the run."""
        return _mean(self.trips.emissions[self.trips.departed, 0])

    @property
    def departed(self) -> int:
        """Vehicles that entered."""
        return int(self.trips.departed.sum())

    @property
    def arrived(self) -> int:
        """Vehicles that reached their end."""
        return int(self.trips.arrived.sum())

    @property
    def unfinished(self) -> int:
        """Vehicles still on their way when the run ended."""
        return self.departed - self.arrived

    @property
    def never_departed(self) -> int:
        """Vehicles still waiting to enter when the run ended."""
        return len(self.trips.ids) - self.departed

    def text(self) -> str:
        """One line of figures; teleports and collisions always stand beside them."""
        lifted = self.teleports
        return (
            f"delay {self.delay:.1f} s, stops {self.stops:.2f}, CO2 {self.co2_g_per_vehicle:.1f} g/vehicle, "
            f"{self.departed} departed, {self.arrived} arrived, {self.unfinished} unfinished, "
            f"{self.never_departed} never departed, teleports {lifted.jam} jam {lifted.yielding} yield "
            f"{lifted.wrong_lane} wrong lane, {self.collisions} collisions, {self.seconds:.2f} s CPU"
        )


def read(folder: Path, seconds: float, control: Any = None) -> Outcome:
    """The outcome from the three files that a run left in `folder`.

    Raises:
        LedgerError: the disk was full; SourceError: a file is cut short.
    """
    trips = _trips(folder / "trips.xml")
    steps: list[tuple[float, ...]] = []
    marks = ("time", "running", "waiting", "ended", "halting", "meanSpeed")
    parse(folder / "summary.xml", {"step": lambda row: steps.append(tuple(float(row[m]) for m in marks))})
    said: dict[str, dict[str, str]] = {}
    watch = {name: _keeper(said, name) for name in ("teleports", "safety")}
    parse(folder / "statistics.xml", watch)
    lifted = said["teleports"]
    teleports = Teleports(*(int(lifted[name]) for name in ("jam", "yield", "wrongLane", "total")))
    table = np.array(steps, dtype=float).reshape(-1, len(marks)).T
    return Outcome(trips, Steps(*table), teleports, int(said["safety"]["collisions"]), seconds, control)


def _trips(path: Path) -> Trips:
    """The table of trips."""
    ids: list[str] = []
    kinds: list[str] = []
    times: list[list[float]] = []
    mass: list[list[float]] = []

    def trip(row: dict[str, str]) -> None:
        ids.append(row["id"])
        kinds.append(row["vType"])
        times.append([float(row[name]) for name in _TIMES])
        mass.append([0.0] * (len(POLLUTANTS) + 1))

    def emissions(row: dict[str, str]) -> None:
        mass[-1] = [float(row[f"{name}_abs"]) for name in (*POLLUTANTS, "electricity")]

    parse(path, {"tripinfo": trip, "emissions": emissions})
    depart, wait, arrival, duration, length, waiting, stops, loss = np.array(times).reshape(-1, len(_TIMES)).T
    gases = np.array(mass).reshape(-1, len(POLLUTANTS) + 1)
    return Trips(
        tuple(ids), tuple(kinds), depart, wait, arrival, duration, length, waiting, stops, loss,
        gases[:, :-1] * GRAM, gases[:, -1],
    )  # fmt: skip


def parse(path: Path, watch: dict[str, Callable[[dict[str, str]], Any]]) -> None:
    """Call the watcher of each element of a file that SUMO wrote.

    Raises:
        LedgerError: the disk was full; SourceError: `traffic.output_cut`.
    """
    parser = expat.ParserCreate()

    def begin(name: str, row: dict[str, str]) -> None:
        if name in watch:
            watch[name](row)

    parser.StartElementHandler = begin
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            parser.ParseFile(stream)
    except (expat.ExpatError, FileNotFoundError, gzip.BadGzipFile, EOFError, KeyError) as error:
        if sumo.full(path.parent):
            raise LedgerError("traffic.disk_full", folder=str(path.parent)) from None
        raise SourceError("traffic.output_cut", file=path.name, detail=str(error)) from None


def _keeper(said: dict[str, dict[str, str]], name: str) -> Callable[[dict[str, str]], None]:
    def keep(row: dict[str, str]) -> None:
        said[name] = row

    return keep


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0
