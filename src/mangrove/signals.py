# SPDX-License-Identifier: Apache-2.0
"""Signals of a road network: a better fixed-time plan, ways of control compared, plans for the field.

Comes in: a SUMO network, its routes, wishes. Goes out: `Searched` and `Comparison`, files of plans, tables. The work is done in
`mangrove.traffic`. A study needs no territory; a comparison may be kept in the ledger of one, as a record of kind `signals`.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove.errors import Problem, RequestError, SourceError, Where, did_you_mean
from mangrove.signal_words import SIMULATED

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Ledger
    from mangrove.traffic.fixed_plan import FixedPlan
    from mangrove.traffic.live_control import Driven
    from mangrove.traffic.movements import Movement
    from mangrove.traffic.plan_search import Found, Limits, Setting
    from mangrove.traffic.simulate import Run
    from mangrove.traffic.verdict import Comparison, Streets, Way

KIND = "signals"
"""Of the records of comparisons."""
CONTROLS = ("installed", "fixed:FILE", "actuated", "adaptive")
STUCK = 120.0
"""s after which a stuck vehicle is lifted away when ways are compared; every one is counted."""
_VERIFICATION = 7919
"""Sets the draws of a comparison apart from those of a search with the same seed."""


@dataclass(frozen=True)
class Searched:
    """What a search brought.

    Attributes:
        found: the plan, and how the search went.
        limits: least greens and bounds of the cycle that the plan keeps.
        movements: what the letters of each signal mean.
        verified: installed and new plan in the microscopic model on draws that the search never saw; None when not asked for.
        problems: signals left alone, and what of the installed plan breaks the limits.
    """

    found: Found
    limits: Limits
    movements: Mapping[str, tuple[Movement, ...]]
    verified: Comparison | None
    problems: tuple[Problem, ...]

    def rows(self, lang: str = "en") -> list[tuple[str, ...]]:
        """The plan as a table for the field."""
        from mangrove.traffic.plan_table import plan_rows

        return plan_rows(self.found.plan, self.movements, self.limits.least, lang)


def search(
    net: Path,
    routes: Sequence[Path],
    *,
    setting: Setting | None = None,
    minimum_green: float | None = None,
    pedestrians: str | float = "roads",
    cycle: tuple[float, float] | None = None,
    start: Path | None = None,
    verify: int = 3,
    sublane: float | str | None = SIMULATED,
    progress: Callable[[int, int, float], None] | None = None,
    verifying: Callable[[float], None] | None = None,
) -> Searched:
    """Searches a fixed-time plan and checks it in the microscopic model.

    Args:
        net: the network; its programs are the installed plan.
        routes: the demand.
        setting: how to search.
        minimum_green: s for every stage.
        pedestrians: roads, crossings, none, or a least green in s (`movements.least_greens`).
        cycle: lowest and highest cycle, s.
        start: an earlier plan to go on from; None: the installed one.
        verify: draws of the demand for the check; 0: none.
        sublane: width of lateral strips, m; None: lanes; "auto": as the routes need.
        progress: see `plan_search.search`.
        verifying: is called with the share of the check that is done.

    Raises:
        SourceError: a file is broken, has no signals or no vehicles. InfeasibleError: `signals.no_room`. RequestError: a wish makes
        no sense. MissingExtraError: SUMO or cma is not installed.
    """
    from mangrove.traffic import fixed_plan, movements, plan_search, progression
    from mangrove.traffic.plan_search import MOST_DRAWS, within
    from mangrove.traffic.simulate import LONGEST

    setting = setting or plan_search.Setting()
    green = movements.MINIMUM_GREEN if minimum_green is None else minimum_green
    within(verify=(verify, 0, MOST_DRAWS), minimum_green=(green, 1, LONGEST))
    plan = fixed_plan.read_plan(net)
    known = movements.read_movements(net)
    least = movements.least_greens(plan, known, green, pedestrians)
    limits = plan_search.Limits(least, cycle or plan_search.CYCLES)
    flows = plan_search.critical_flows(plan, known, routes)
    links = progression.links_of(net, plan, known, routes)
    found = plan_search.search(
        net, routes, _start(net, plan, start), limits, setting, flows=flows, links=links, progress=progress
    )
    problems = (*plan.left_out, *fixed_plan.problems_of(plan, least, limits.cycle))
    verified = None
    if verify and not found.interrupted:
        with tempfile.TemporaryDirectory(prefix="mangrove-verify-") as folder:
            file = Path(folder) / "plan.add.xml"
            fixed_plan.write_plan(found.plan, file)
            ways = ["installed", f"fixed:{file}"]
            times = (setting.begin, setting.end)
            verified = run(
                net, routes, ways, draws=verify, seed=setting.seed, period=times, sublane=sublane,
                names=("installed", "plan"), progress=verifying,
            )  # fmt: skip
    return Searched(found, limits, known, verified, problems)


def run(
    net: Path,
    routes: Sequence[Path],
    controls: Sequence[str],
    *,
    draws: int = 3,
    seed: int = 1,
    period: tuple[float | None, float | None] = (None, None),
    sublane: float | str | None = SIMULATED,
    teleport: float = STUCK,
    names: Sequence[str] = (),
    streets: bool = False,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Comparison:
    """Simulates ways of control on the same draws of the demand, with the same seeds.

    Args:
        net: the network.
        routes: the demand.
        controls: words of `CONTROLS`; the first is what the others are compared with.
        draws: of the demand.
        seed: of the draws; never those of a search.
        period: begin and end, s; None: from the first to the last departure.
        sublane: see `search`.
        teleport: s after which a stuck vehicle is lifted away; -1: never.
        names: for the ways; empty: the words themselves, a file without its folder.
        streets: whether each street is told of, too.
        workers: simulations at a time.
        progress: is called with the share done.

    Raises:
        RequestError: `signals.unknown_control`, `signals.bad_setting`, `signals.nobody` (no vehicle at that time). SourceError: a file or a simulation fails.
    """
    import numpy as np

    from mangrove.traffic import demand_draws, plan_search, verdict
    from mangrove.traffic.plan_search import MOST_DRAWS, within
    from mangrove.traffic.simulate import LONGEST, Run

    within(
        draws=(draws, 1, MOST_DRAWS),
        seed=(seed, 0, math.inf),
        teleport=(1 if teleport == -1 else teleport, 1, LONGEST),
    )
    elements = demand_draws.read_routes(routes)
    begin, end = plan_search.period(routes, *period)
    width = demand_draws.strip(elements) if sublane == SIMULATED else sublane
    states = np.random.SeedSequence((_VERIFICATION, seed)).generate_state(draws)
    seeds = [int(state >> 1) for state in states]
    with tempfile.TemporaryDirectory(prefix="mangrove-signals-") as name:
        folder = Path(name)
        ways = [_way(net, word, folder, named) for word, named in _named(controls, names)]
        files = plan_search.draws_of(routes, folder, seeds, begin)
        runs: list[Run] = [
            Run(
                net,
                [file],
                begin,
                end,
                seed=each,
                sublane=None if width is None else float(width),
                teleport=teleport,
                every=_RARELY,
                cells=end - begin if streets else None,
            )
            for file, each in zip(files, seeds, strict=True)
        ]
        compared = verdict.compare(runs, ways, workers=workers, progress=progress)
    if not compared.vehicles.any():
        raise RequestError("signals.nobody", begin=f"{begin:g}", end=f"{end:g}")
    return compared


def document(compared: Comparison, net: Path, name: str = "") -> dict[str, Any]:
    """A comparison with its streets and signals, as plain values: what a record holds.

    Returns:
        `name`, `made`, `net`, `names` of ways (the first is what the others are compared with), `measures`, `values` [way][draw][measure],
        `vehicles` [way][draw], `seeds`; `links`: `ids` of the edges that anybody used, and for each way `co2_kg_h`, `delay_h_h`
        (vehicle-hours lost per hour) and `speed_km_h`, null where nobody was; `signals`: each with its place and the sums over the edges
        that lead to it.

    Args:
        compared: with its streets.
        net: the network.
        name: what the record is called; empty: the name of the file.

    Raises:
        SourceError: the network cannot be read.
    """
    import numpy as np

    from mangrove.traffic.verdict import MEASURES

    streets = compared.streets
    assert streets is not None, "run(streets=True)"
    used = np.flatnonzero(np.isfinite(streets.speed).any(axis=0))
    links: dict[str, Any] = {"ids": [streets.ids[at] for at in used]}
    for way, *rows in zip(compared.names, streets.co2, streets.delay, streets.speed, strict=True):
        links[way] = {
            key: [_kept(row[at]) for at in used]
            for key, row in zip((*_SUMS, "speed_km_h"), rows, strict=True)
        }
    return {
        "name": name.strip() or Path(net).name.split(".")[0],
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "net": Path(net).name,
        "names": list(compared.names),
        "measures": list(MEASURES),
        "values": compared.values.tolist(),
        "vehicles": compared.vehicles.tolist(),
        "seeds": list(compared.seeds),
        "links": links,
        "signals": _signals(Path(net), compared.names, streets),
    }


def shelf(folder: Path, net: Path) -> Handle:
    """The territory in whose ledger a comparison on `net` will be kept.

    Raises:
        RequestError: `signals.no_network` (the territory names none), `signals.other_network` (its network lacks streets of `net`).
        DeclarationError, SourceError: the territory or a network cannot be read. LedgerError: its store cannot be written.
    """
    from mangrove import api, traffic_state
    from mangrove.traffic.sumo_net import read_net

    park = api.open(folder)
    theirs = traffic_state.network(park.territory)
    if theirs is None:
        raise RequestError("signals.no_network", folder=str(folder))
    ours = read_net(net)
    lacking = [name for name in ours.ids if name not in theirs.number]
    if lacking:
        raise RequestError(
            "signals.other_network", count=len(lacking), total=len(ours), edge=lacking[0],
            net=Path(net).name, known=theirs.path.name,
        )  # fmt: skip
    with park.writer():  # a store that refuses says so before the work, not after it
        return park


def keep(park: Handle, document: dict[str, Any]) -> str:
    """Stores a document of a comparison; the id of its record."""
    with park.writer() as ledger:
        return ledger.put_record(KIND, json.dumps(document, ensure_ascii=False, allow_nan=False).encode())


def stored(reader: Ledger) -> dict[str, dict[str, Any]]:
    """The newest comparison of each name, the newest name last."""
    found: dict[str, dict[str, Any]] = {}
    for id_, _ in reader.records(KIND):
        one = json.loads(reader.record(id_)[1])
        found.pop(one["name"], None)
        found[one["name"]] = one
    return found


def live(
    port: int,
    host: str = "localhost",
    *,
    net: Path | None = None,
    only: Sequence[str] = (),
    seconds: float | None = None,
    order: int | None = None,
    wait: float = 10.0,
    told: Callable[[dict[str, Any]], object] | None = None,
    stopping: Callable[[], None] = lambda: None,
) -> Driven:
    """Drives the signals of a SUMO that runs with `--remote-port`, until it ends or the process is told to stop.

    SIGINT and SIGTERM let every signal go back to its installed program over yellow and red; a second one leaves at once.

    Args:
        port: where SUMO listens.
        host: where it runs.
        net: its network, to be sure that it is the one that is meant.
        only: signals to control; empty: all.
        seconds: simulated s after which control ends.
        order: place among several clients.
        wait: s in which SUMO must answer.
        told: see `traffic.live_control.drive`.
        stopping: is called when the process is told to stop for the first time.

    Raises:
        SourceError, RequestError, MissingExtraError: those of `traffic.live_control`; `traffic.live_other_net` (SUMO runs another
        network), `signals.no_signals` (nothing to control in `net`).
    """
    from mangrove.stopping import told_to_stop
    from mangrove.traffic import live_control
    from mangrove.traffic.fixed_plan import read_plan
    from mangrove.traffic.signals import WaveController

    wanted = [signal.id for signal in read_plan(net).signals] if net else []
    asked = False

    def heard() -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stopping()

    connection = live_control.connect(port, host, wait=wait, order=order)
    try:
        with told_to_stop(heard):
            control = WaveController(only=frozenset(only) or None)
            return live_control.drive(
                connection, control, seconds=seconds, told=told, stop=lambda: asked, wanted=wanted
            )
    finally:
        live_control.part(connection)


def export(
    source: Path, net: Path | None = None, lang: str = "en"
) -> tuple[FixedPlan, list[tuple[str, ...]]]:
    """A plan from a network or an additional file, and its table for the field.

    Args:
        source: with the programs.
        net: tells which streets the movements join; None: `source` itself.
        lang: of the table.

    Raises:
        SourceError: `signals.no_movements` (`net` has no signals), and those of reading.
    """
    from mangrove.traffic import fixed_plan, movements, plan_table

    plan = fixed_plan.read_plan(source)
    known = movements.read_movements(net or source)
    if net is not None and not known:
        raise SourceError("signals.no_movements", where=Where(str(net)))
    least = movements.least_greens(plan, known)
    return plan, plan_table.plan_rows(plan, known, least if known else None, lang)


def _start(net: Path, installed: FixedPlan, start: Path | None) -> FixedPlan:
    """The plan that a search begins with; an earlier one must have the stages of the installed one."""
    from mangrove.traffic.fixed_plan import read_plan

    if start is None:
        return installed
    plan = read_plan(start)
    _fits(net, plan)
    stages = {s.id: [(stage.state, stage.clearing) for stage in s.stages] for s in installed.signals}
    for signal in plan.signals:
        if [(stage.state, stage.clearing) for stage in signal.stages] != stages[signal.id]:
            raise RequestError("signals.other_stages", signal=signal.id)
    return plan


_RARELY = 600.0
"""s between rows of the network's state, which no comparison reads."""
_SUMS = ("co2_kg_h", "delay_h_h")
_DIGITS, _PLACE = 6, 9
"""Significant digits of amounts and of degrees."""


def _signals(net: Path, names: Sequence[str], streets: Streets) -> list[dict[str, Any]]:
    """Each signal with its place and what the streets that lead to it add up to."""
    import numpy as np

    from mangrove.traffic.sumo_net import read_net

    roads = read_net(net)
    number = {name: at for at, name in enumerate(streets.ids)}
    try:
        places = roads.lonlat
    except SourceError:  # a network in a plane of its own has no place on earth
        places = np.full((len(roads.junctions), 2), np.nan)
    found = []
    for at, signal in enumerate(roads.signals):
        into = np.unique(roads.connections.source[roads.connections.signal == at])
        rows = [number[roads.ids[edge]] for edge in into]
        lon, lat = places[roads.end[into]].mean(axis=0) if rows else (math.nan, math.nan)
        one: dict[str, Any] = {"id": signal.id, "lon": _kept(lon, _PLACE), "lat": _kept(lat, _PLACE)}
        for way, *table in zip(names, streets.co2, streets.delay, strict=True):
            one[way] = {key: _kept(row[rows].sum()) for key, row in zip(_SUMS, table, strict=True)}
        found.append(one)
    return found


def _kept(value: float, digits: int = _DIGITS) -> float | None:
    """A number as a record holds it; None for what is not known."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _named(controls: Sequence[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Each way with its name; a name that comes again gets a number."""
    given = list(names) or [_without_folder(word) for word in controls]
    unique = [name if name not in given[:n] else f"{name} {n + 1}" for n, name in enumerate(given)]
    return list(zip(controls, unique, strict=True))


def _without_folder(word: str) -> str:
    """A way by its word; where its file lies is nobody's business."""
    return f"fixed:{Path(word.removeprefix('fixed:')).name}" if word.startswith("fixed:") else word


def _way(net: Path, word: str, folder: Path, name: str) -> Way:
    from mangrove.traffic.fixed_plan import read_plan, write_plan
    from mangrove.traffic.verdict import Way

    if word == "installed":
        return Way(name)
    kind, _, source = word.partition(":")
    if kind == "fixed" and source:
        file = Path(source)
        plan = read_plan(file)
        _fits(net, plan)
        if ".net.xml" in file.name:  # SUMO takes no second network: its programs stand in a file of their own
            file = folder / f"{len(list(folder.iterdir()))}.add.xml"
            write_plan(plan, file)
        return Way(name, (file,))
    if word == "actuated":
        file = folder / "actuated.add.xml"
        write_plan(read_plan(net), file, "actuated", actuated=_ACTUATED)
        return Way(name, (file,))
    if word == "adaptive":
        from mangrove.traffic.signals import WaveController

        return Way(name, control=WaveController)
    hint = did_you_mean(word, CONTROLS)
    raise RequestError("signals.unknown_control", text=word, options=", ".join(CONTROLS), hint=hint)


_ACTUATED = (7.0, 60.0)
"""s: least and most green of SUMO's actuated control, as it was measured with (7/60 s)."""


def _fits(net: Path, plan: FixedPlan) -> None:
    """Raises RequestError when a plan names a signal that the network lacks, or another number of movements."""
    from mangrove.traffic.fixed_plan import read_plan

    installed = {signal.id: signal for signal in read_plan(net).signals}
    for signal in plan.signals:
        known = installed.get(signal.id)
        if known is None:
            hint = did_you_mean(signal.id, installed)
            raise RequestError("signals.unknown_signal", signal=signal.id, hint=hint)
        have, want = len(signal.stages[0].state), len(known.stages[0].state)
        if have != want:
            raise RequestError("signals.other_movements", signal=signal.id, count=have, expected=want)
