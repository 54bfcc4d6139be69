# SPDX-License-Identifier: Apache-2.0
"""A traffic simulation with SUMO, with or without a controller of its signals.

Comes in: a network, routes and how to simulate them (`Run`), perhaps a `Control`. Goes out: an `Outcome` with every trip. A run without
control is one process of SUMO; a controlled one is a child interpreter that drives SUMO as a library. Both end when the caller is
interrupted. The same run with the same seed gives the same outcome.
"""

from __future__ import annotations

import math
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mangrove.errors import LedgerError, RequestError
from mangrove.traffic import links, outcome, sumo
from mangrove.traffic.outcome import Outcome

OURS = frozenset({
    "net-file", "route-files", "additional-files", "begin", "end", "seed", "step-length", "mesosim", "lateral-resolution",
    "time-to-teleport", "tripinfo-output", "tripinfo-output.write-unfinished", "tripinfo-output.write-undeparted",
    "statistic-output", "summary-output", "summary-output.period", "device.emissions.probability", "no-step-log",
})  # fmt: skip
"""Options of SUMO that a `Run` sets from its own fields."""


NARROWEST, WIDEST = 0.1, 100.0
"""m; narrower strips than this make lanes of hundreds of strips, which take hours and tell nothing; no lane is as wide as the widest."""
LONGEST = 31 * 86_400.0
"""s of a simulation: a month. What is longer is a slip of the pen, and would run for days."""
LATEST = 1e10
"""s of the simulated clock (three hundred years); later times are not known to the millisecond when they are written for SUMO."""
_DIGITS = 13
"""Of a time for SUMO: milliseconds until `LATEST`."""


class Control(Protocol):
    """What drives the signals of a running simulation; `sim` is the module libsumo (or traci, which has the same functions).

    A control travels to the process of the simulation, so that its class must stand in a module that can be imported. When it has a
    method `finish()`, what that returns comes back as `Outcome.control`.
    """

    def start(self, sim: Any) -> None:
        """Called once, before the first step."""

    def step(self, sim: Any, t: float) -> None:
        """Called each simulated second, before SUMO moves the vehicles."""


@dataclass(frozen=True)
class Run:
    """One simulation.

    Attributes:
        net: the network (`.net.xml`, may be zipped); routes: files with vehicles, trips or flows; additional: signal plans, detectors, ...
        begin, end: s; seed: of all random draws; step: s.
        meso: queues instead of single movements, some 20 times as fast, with signals at work; sublane: width of a lateral strip, m, for
            vehicles that filter through (0.8 suits motorbikes), None for whole lanes.
        teleport: seconds after which SUMO lifts a stuck vehicle away; -1: never.
        every: s between two rows of `Outcome.steps`; SUMO looks at every vehicle for each, which is half of the time of a large run in
            queues.
        emissions: whether emissions are computed; the class of each vehicle type is its `emissionClass` in the routes.
        cells: s of the intervals for which `Outcome.links` is told; None: not at all; the length of the run: once.
        kinds: whether streets are told by vehicle type.
        options: further options of SUMO by name, such as `{"random-depart-offset": "60"}`.
    """

    net: Path
    routes: Sequence[Path]
    begin: float
    end: float
    seed: int = 0
    step: float = 1.0
    meso: bool = False
    sublane: float | None = None
    teleport: float = -1
    additional: Sequence[Path] = ()
    every: float = 1.0
    emissions: bool = True
    cells: float | None = None
    kinds: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises RequestError or SourceError for what cannot be."""
        for fine, code, data in self._settings():
            if not fine:
                raise RequestError(code, **data)
        for path in (self.net, *self.routes, *self.additional):
            sumo.need_file(Path(path))

    def _settings(self) -> Iterator[tuple[bool, str, dict[str, Any]]]:
        """What must hold, with the code and the data of its error."""
        inf, begin, end = math.inf, float(self.begin), float(self.end)
        times = {"begin": f"{begin:.{_DIGITS}g}", "end": f"{end:.{_DIGITS}g}"}
        yield 0 <= begin < end <= LATEST, "traffic.run_times", {**times, "latest": f"{LATEST:.{_DIGITS}g}"}
        yield end - begin <= LONGEST, "traffic.run_long", {**times, "most": f"{LONGEST:.{_DIGITS}g}"}
        yield 0.0 < self.step <= 1.0, "traffic.run_step", {"step": float(self.step)}
        yield self.step <= self.every < inf, "traffic.run_every", {"every": float(self.every)}
        cells = self.step if self.cells is None else self.cells
        yield self.step <= cells < inf, "traffic.run_cells", {"cells": float(cells)}
        yield not self.kinds or self.cells is not None, "traffic.kinds_without_cells", {}
        yield not self.meso or self.sublane is None, "traffic.meso_sublane", {}
        width = NARROWEST if self.sublane is None else self.sublane
        data = {"width": float(width), "least": NARROWEST, "most": WIDEST}
        yield NARROWEST <= width <= WIDEST, "traffic.run_sublane", data
        yield -inf < self.teleport <= LONGEST, "traffic.run_teleport", {"seconds": float(self.teleport)}
        for option in sorted(OURS & set(self.options)):
            yield False, "traffic.run_option", {"option": option}

    def arguments(self, folder: Path) -> list[str]:
        """The command line of SUMO, with its results in `folder`."""
        given = {
            "net-file": str(self.net),
            "route-files": _files(self.routes),
            "additional-files": _files(
                (*self.additional, *([] if self.cells is None else [folder / links.ASKED]))
            ),
            "begin": f"{self.begin:.{_DIGITS}g}",
            "end": f"{self.end:.{_DIGITS}g}",
            "seed": str(self.seed),
            "step-length": f"{self.step:g}",
            "mesosim": "true" if self.meso else "",
            "meso-junction-control": "true" if self.meso else "",
            "lateral-resolution": "" if self.sublane is None else f"{self.sublane:g}",
            "time-to-teleport": f"{self.teleport:g}",
            "tripinfo-output": str(folder / "trips.xml"),
            "tripinfo-output.write-unfinished": "true",
            "tripinfo-output.write-undeparted": "true",
            "statistic-output": str(folder / "statistics.xml"),
            "summary-output": str(folder / "summary.xml"),
            "summary-output.period": f"{self.every:.12g}" if self.every > self.step else "",
            "device.emissions.probability": "1" if self.emissions else "",
            "xml-validation": "never",
            "step-log.period": "100",
        } | dict(self.options)
        return [part for name, value in given.items() if value for part in (f"--{name}", value)]


def simulate(
    run: Run,
    control: Control | None = None,
    *,
    progress: sumo.Progress | None = None,
    processes: sumo.Processes | None = None,
) -> Outcome:
    """Simulate `run` to its end.

    Args:
        run: what to simulate.
        control: drives the signals; without it they follow the programs of the network.
        progress: is called with the share that is done, 0 to 1; an exception that it raises ends the run.
        processes: the family of processes that end together.

    Raises:
        MissingExtraError: SUMO is not installed. SourceError: a file is missing or broken, routes do not fit the network, SUMO
        failed. LedgerError: no room for the results. RequestError: the run makes no sense.
    """
    run.check()
    asked, program = run, sumo.binary()
    share = _share(run, progress) if progress else None
    try:
        with tempfile.TemporaryDirectory(prefix="mangrove-sumo-") as name:
            folder = Path(name)
            run = _spelled(asked, folder)
            kinds = links.vehicle_types((*run.routes, *run.additional)) if run.kinds else links.WHOLE
            if run.cells is not None:
                links.ask(folder, run.cells, kinds)
            arguments = run.arguments(folder)
            if control is None:
                seconds = sumo.run([program, *arguments], folder, progress=share, processes=processes)
                return _told(run, folder, kinds, outcome.read(folder, seconds))
            sumo.need_control()
            job = folder / "job.pickle"
            job.write_bytes(pickle.dumps((program, arguments, run.begin, run.end, control)))
            command = [sys.executable, "-m", "mangrove.traffic.controlled", str(job)]
            seconds = sumo.run(command, folder, progress=share, processes=processes)
            report = pickle.loads((folder / "control.pickle").read_bytes())  # noqa: S301 - our own child wrote it
            return _told(run, folder, kinds, outcome.read(folder, seconds, report))
    except OSError as error:
        raise LedgerError("traffic.no_room", reason=error.strerror or str(error)) from None


def many(
    runs: Sequence[Run],
    workers: int = 2,
    *,
    controls: Sequence[Control | None] | None = None,
    progress: sumo.Progress | None = None,
) -> list[Outcome]:
    """Simulate several runs, `workers` at a time; outcomes in the order of the runs.

    The first failure, or an interruption, ends all of them.

    Args:
        runs: what to simulate.
        workers: processes at a time.
        controls: one for each run.
        progress: is called with the share of all simulated time that is done, by the calling thread.
    """
    if workers < 1:
        raise RequestError("traffic.workers", count=workers)
    if controls is not None and len(controls) != len(runs):
        raise RequestError("traffic.controls", count=len(controls), runs=len(runs))
    family = sumo.Processes()
    shares = [0.0] * len(runs)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="sumo")
    try:
        jobs = [
            pool.submit(
                simulate, run, controls[number] if controls else None,
                progress=partial(shares.__setitem__, number), processes=family,
            )
            for number, run in enumerate(runs)
        ]  # fmt: skip
        pending, told = set(jobs), -1.0
        while pending:
            done, pending = wait(pending, return_when=FIRST_EXCEPTION, timeout=0.2)
            for job in done:
                job.result()
            share = sum(1.0 if job.done() else part for job, part in zip(jobs, shares, strict=True)) / len(
                jobs
            )
            if progress and share > told:
                told = share
                progress(share)
        return [job.result() for job in jobs]
    finally:
        family.stop()
        pool.shutdown(wait=True, cancel_futures=True)


def _spelled(run: Run, folder: Path) -> Run:
    """The run with files that SUMO can name: it takes a comma for the end of a name."""

    def plain(path: Path) -> Path:
        path = Path(path)
        if "," not in str(path):
            return path
        link = folder / f"file{len(list(folder.iterdir()))}{''.join(path.suffixes[-3:]).replace(',', '')}"
        link.symlink_to(path.resolve())
        return link

    routes, more = ([plain(path) for path in paths] for paths in (run.routes, run.additional))
    return replace(run, net=plain(run.net), routes=routes, additional=more)


def _told(run: Run, folder: Path, kinds: Sequence[str], found: Outcome) -> Outcome:
    """The outcome with its streets, when they were asked for."""
    if run.cells is None:
        return found
    return replace(found, links=links.read(folder, run.net, kinds, (run.begin, run.end), run.cells))


def _share(run: Run, progress: sumo.Progress) -> Callable[[float], None]:
    """A listener for simulated seconds that tells the share done."""
    return lambda t: progress(min(max((t - run.begin) / (run.end - run.begin), 0.0), 1.0))


def _files(paths: Sequence[Path]) -> str:
    return ",".join(str(path) for path in paths)
