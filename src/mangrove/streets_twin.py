# SPDX-License-Identifier: Apache-2.0
"""The twin of some streets: a real road network with a generated demand, its vehicles simulated one by one, and what cameras would have counted.

Comes in: a scenario of the package `sumo-rl` (Cologne, Ingolstadt), or with real data the streets of District 1 and 3; a seed. Goes out:
a territory on disk whose counts and speeds come from the simulation, the routes it drove, and the truth to compare estimates with.
The morning is driven vehicle by vehicle, in lateral strips where motorbikes filter; the same hours of three earlier working days, and the hours
after it when they are asked for, by SUMO's mesoscopic model. A camera sees everything and counts without error; one is silent for a while.
No figure of a twin was measured: streets and signal programs are real, vehicles are not.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove import messages, streets_demand, streets_files
from mangrove.errors import MissingExtraError, RequestError, SourceError, did_you_mean
from mangrove.streets_demand import HOUR, PEAK
from mangrove.streets_files import CELL, NET, ROUTES, Counts

if TYPE_CHECKING:
    from mangrove.traffic.links import Links
    from mangrove.traffic.outcome import Outcome
    from mangrove.traffic.sumo_net import SumoNet

Floats = npt.NDArray[np.float64]

SEED = 20260603
DAY = date(2026, 6, 3)
"""A Wednesday."""
EARLIER = (date(2026, 5, 29), date(2026, 6, 1), date(2026, 6, 2))
"""Working days before it: as many as a missing count needs for its mean (`measure.traffic.state.LEAST`)."""
NETS: Mapping[str, str] = {
    "cologne8": "Europe/Berlin", "cologne3": "Europe/Berlin", "ingolstadt7": "Europe/Berlin", "ingolstadt21": "Europe/Berlin",
}  # fmt: skip
"""Scenarios of `sumo-rl` that may be taken, and the clock of their city."""
REAL = "traffic/hcmc/district1_3"
"""Folder of the streets of District 1 and 3 in the real data: a network of OpenStreetMap, demand made from counts that nobody verified."""
SILENT = (20, 40)
"""Minutes after the start between which the busiest camera sends nothing."""
CAMERAS = 60
STUCK = 120.0
"""s after which a stuck vehicle is lifted away, and counted."""
_WARM = 900
"""s that the streets fill before the first count."""
_HISTORY = 3
"""Hours of the earlier days that are kept, at most."""
_RARELY = 600.0
"""s between two looks of SUMO at every vehicle (`Run.every`): nothing here reads what it sees."""
_LEAST_SHARE = 0.01
_TRUTH = ("CO2", "NOx")


@dataclass(frozen=True)
class Twin:
    """What was made.

    Attributes:
        folder: the territory; net, routes: its network and the demand of the morning (times are seconds since local midnight).
        start, end: of the counts of the day; values: the count feed, one file a day, the day of the twin last.
        links: edges with a camera; silent: flows that stop, and between which instants.
        truth: kg of each pollutant that SUMO's vehicles emitted on the streets with a camera in the first hour.
        whole: the same on all streets of the network.
        drive: the simulation of the morning; seed; real: whether the streets are those of the real data.
    """

    folder: Path
    net: Path
    routes: Path
    start: datetime
    end: datetime
    values: tuple[Path, ...]
    links: tuple[str, ...]
    silent: tuple[tuple[str, ...], datetime, datetime]
    truth: Mapping[str, float]
    whole: Mapping[str, float]
    drive: Outcome = field(repr=False)
    seed: int
    real: bool


def build(
    folder: Path,
    *,
    seed: int = SEED,
    net: str = "cologne8",
    data: Path | None = None,
    cameras: int = CAMERAS,
    until: int = PEAK + 1,
    earlier: int = len(EARLIER),
    all_day: bool = False,
    share: float = 1.0,
    silent: tuple[int, int] = SILENT,
    lang: str = "en",
    progress: Callable[[str], None] | None = None,
) -> Twin:
    """Makes the twin in a folder; the same seed makes the same twin.

    Args:
        folder: of the territory; its files are replaced.
        seed: of the demand and of the simulations.
        net: one of `NETS`, taken from the installed package.
        data: the folder of real data: the streets of District 1 and 3 in place of `net`.
        cameras: streets that are counted: those that lead to signals first, the busiest of them and then of the others.
        until: local hour at which the counts end; those after the first hour come from the mesoscopic model.
        earlier: working days before, of which the same hours are counted, 3 at most.
        all_day: cameras count from midnight on, and all hours of the earlier days: streets without gaps.
        share: of the demand that drives.
        silent: minutes after the start between which the busiest camera sends nothing.
        lang: of the names that are made.
        progress: is told each step: demand, drive, earlier, files.

    Raises:
        MissingExtraError: SUMO or `sumo-rl` is not installed. RequestError: `streets.unknown_net`, `streets.bad_hours`, `streets.too_small`.
        SourceError: `streets.no_data`, `streets.no_scenario`, and those of a simulation.
    """
    if not PEAK < until <= 24:  # noqa: PLR2004 - hours of a day
        raise RequestError("streets.bad_hours", first=PEAK + 1, hour=until)
    least = {
        "cameras": (cameras, 1),
        "earlier": (earlier, 0),
        "seed": (seed, 0),
        "share": (share, _LEAST_SHARE),
    }
    for name, (value, lowest) in least.items():
        if not lowest <= value < math.inf:
            raise RequestError("streets.too_small", name=name, value=value, least=lowest)
    say = progress or (lambda _: None)
    place = _source(net, data)
    folder.mkdir(parents=True, exist_ok=True)
    streets = streets_files.copied_net(place.net, folder / NET)
    say("demand")
    drive = _Drive(folder / NET, place.routes, seed, share)
    first = drive.micro(folder / ROUTES)
    say("drive")
    assert first.links is not None
    seen = _seen(first.links, _WARM // CELL)
    links = _cameras(streets, seen, cameras)
    begin, last = (0, 24) if all_day else (PEAK, min(until, PEAK + _HISTORY))
    days = {DAY: drive.day(DAY, begin, until, seen)}
    if earlier:
        say("earlier")
        days |= {day: drive.day(day, begin, last) for day in EARLIER[-earlier:]}
    say("files")
    tz = ZoneInfo(place.tz)
    made = streets_files.write(
        folder, streets, links, dict(sorted(days.items())),
        name=messages.render(f"streets.name_{place.key}", lang), note=messages.render(f"streets.{place.note}", lang), tz=tz, silent=silent, lang=lang,
    )  # fmt: skip
    start = datetime(DAY.year, DAY.month, DAY.day, PEAK, tzinfo=tz)
    at = [seen.ids.index(one) for one in links]
    return Twin(
        folder, folder / NET, folder / ROUTES, start, start + timedelta(hours=until - PEAK), made.values, links,
        (made.silent, start + timedelta(minutes=silent[0]), start + timedelta(minutes=silent[1])),
        seen.kilograms(at), seen.kilograms(slice(None)), first, seed, data is not None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the streets come from."""

    key: str
    net: Path
    routes: tuple[Path, ...]
    tz: str
    note: str = "note"


def _source(net: str, data: Path | None) -> _Place:
    """The network and the routes of the scenario.

    Raises:
        See `build`.
    """
    if data is not None:
        folder = data / REAL
        if not (folder / "before.net.xml").is_file():
            raise SourceError("streets.no_data", path=folder)
        net_file, routes = folder / "before.net.xml", (folder / "hcm.rou.xml",)
        return _Place("district1_3", net_file, routes, "Asia/Ho_Chi_Minh", "note_rebuilt")
    if net not in NETS:
        raise RequestError(
            "streets.unknown_net", net=net, options=", ".join(NETS), hint=did_you_mean(net, NETS)
        )
    folder = scenario(net)
    return _Place(net, folder / f"{net}.net.xml", (folder / f"{net}.rou.xml",), NETS[net])


def scenario(net: str) -> Path:
    """The folder of a scenario in the installed package `sumo-rl`.

    Raises:
        MissingExtraError: it is not installed. SourceError: `streets.no_scenario`.
    """
    found = find_spec("sumo_rl")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("traffic")
    folder = Path(found.submodule_search_locations[0]) / "nets" / "RESCO" / net
    if not (folder / f"{net}.net.xml").is_file():
        raise SourceError("streets.no_scenario", net=net)
    return folder


@dataclass(frozen=True)
class _Drive:
    """Simulations of the same streets on one day after the other."""

    net: Path
    routes: tuple[Path, ...]
    seed: int
    share: float

    def micro(self, out: Path) -> Outcome:
        """The first hour of the day vehicle by vehicle; its demand stays in `out`, that of the minutes before it does not."""
        from mangrove.traffic.demand_draws import STRIP
        from mangrove.traffic.simulate import Run, simulate

        self._demand(out, DAY, PEAK, PEAK + 1)
        with self._demanded(DAY, PEAK, PEAK + 1) as routes:
            begin, end, seed = PEAK * HOUR - _WARM, (PEAK + 1) * HOUR, self.seed % 2**31
            return simulate(
                Run(
                    self.net,
                    [routes],
                    begin,
                    end,
                    seed,
                    sublane=STRIP,
                    teleport=STUCK,
                    every=_RARELY,
                    cells=CELL,
                    kinds=True,
                )
            )

    def day(self, day: date, first: int, until: int, known: Counts | None = None) -> Counts:
        """What cameras on all streets count from hour `first` to `until`; `known` are some of these hours. At midnight streets begin empty."""
        from mangrove.traffic.simulate import Run, simulate

        if known is not None and (first, until) == (PEAK, PEAK + 1):
            return known
        warm = min(_WARM, first * HOUR)
        with self._demanded(day, first, until) as routes:
            begin, end = first * HOUR - warm, until * HOUR
            seed = (self.seed + day.toordinal()) % 2**31
            run = Run(
                self.net, [routes], begin, end, seed, meso=True, teleport=STUCK, every=_RARELY, cells=CELL, kinds=True
            )  # fmt: skip
            links = simulate(run).links
        assert links is not None
        found = _seen(links, warm // CELL, first)
        return found if known is None else found.around(known)

    @contextmanager
    def _demanded(self, day: date, first: int, until: int) -> Iterator[Path]:
        """The demand of a day from the hour before the first count (at midnight none), in a file that goes away."""
        with tempfile.TemporaryDirectory(prefix="mangrove-streets-") as name:
            out = Path(name) / "day.rou.xml"
            self._demand(out, day, max(first - 1, 0), until)
            yield out

    def _demand(self, out: Path, day: date, first: int, until: int) -> None:
        hours = streets_demand.shape(first, until)
        streets_demand.write(
            self.routes, out, seed=self.seed + day.toordinal(), hours=hours, share=self.share
        )


def _seen(links: Links, skip: int, first: int = PEAK) -> Counts:
    """What cameras on all streets would have counted, without the first intervals."""
    kept = slice(skip, None)
    mass = {name: links.emissions[kept, ..., at].sum(axis=2) for name, at in _pollutants().items()}
    return Counts(links.ids, links.kinds, links.vehicles[kept], links.speed[kept] * 3.6, mass, first)


def _pollutants() -> dict[str, int]:
    """The pollutants that the truth is kept of, by their place in SUMO's."""
    from mangrove.traffic.outcome import POLLUTANTS

    return {name: POLLUTANTS.index(name) for name in _TRUTH}


def _cameras(net: SumoNet, seen: Counts, count: int) -> tuple[str, ...]:
    """The streets that are counted: those before signals, then others, each kind by vehicles and kilometers; nobody counts empty ones."""
    moved = seen.vehicles.sum(axis=(0, 2)) * np.array([net.length[net.number[one]] for one in seen.ids])
    link = net.connections
    signaled = {net.ids[edge] for edge in np.unique(link.source[link.signal >= 0])}
    order = sorted(
        (at for at in range(len(seen.ids)) if moved[at] > 0),
        key=lambda at: (seen.ids[at] not in signaled, -moved[at]),
    )
    return tuple(seen.ids[at] for at in order[:count])
