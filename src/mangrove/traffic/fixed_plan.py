# SPDX-License-Identifier: Apache-2.0
"""Fixed-time plans: for each signal the stages in their order, how long each is green, what clears it, and the offset.

Comes in: the programs of a SUMO network or of an additional file. Goes out: a `FixedPlan`, and from it the same programs as an
additional file. Greens may change; the states, the yellow and all-red that clear them and the order of stages never do.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from mangrove.errors import Problem, SourceError, Where

PROGRAM = "mangrove"
"""The programID under which plans are written."""
CLOCKED = ("static", "actuated", "delay_based")
"""Types of SUMO's signal programs that can be run by the clock; rail signals and others are left alone."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its green and what clears it.

    Attributes:
        state: letters of SUMO, one for each movement of the signal (G and g are green).
        green: s.
        clearing: (state, seconds) of the phases after the green: pedestrian clearance, yellow, all-red.
    """

    state: str
    green: float
    clearing: tuple[tuple[str, float], ...] = ()

    @property
    def yellow(self) -> float:
        """Seconds in which some movement shows yellow."""
        return _exact(sum(seconds for state, seconds in self.clearing if _has_yellow(state)))

    @property
    def all_red(self) -> float:
        """The other seconds between this green and the next: all-red, or only pedestrians stopped already."""
        return _exact(sum(seconds for state, seconds in self.clearing if not _has_yellow(state)))

    @property
    def lost(self) -> float:
        """All seconds between this green and the next."""
        return _exact(sum(seconds for _, seconds in self.clearing))


@dataclass(frozen=True, slots=True)
class SignalPlan:
    """The plan of one signal.

    Attributes:
        id: of the tlLogic.
        offset: the first stage becomes green at this second of the common clock, s.
        stages: in their order.
    """

    id: str
    offset: float
    stages: tuple[Stage, ...]

    @property
    def cycle(self) -> float:
        """Greens and clearing times of all stages, s."""
        return _exact(sum(stage.green + stage.lost for stage in self.stages))

    @property
    def lost(self) -> float:
        """Clearing times of all stages, s."""
        return _exact(sum(stage.lost for stage in self.stages))

    def timed(self, greens: Sequence[float], offset: float) -> SignalPlan:
        """The same stages with other greens and another offset."""
        stages = tuple(replace(s, green=float(g)) for s, g in zip(self.stages, greens, strict=True))
        return SignalPlan(self.id, float(offset), stages)


@dataclass(frozen=True, slots=True)
class FixedPlan:
    """The plans of all signals of a network that run by the clock.

    Attributes:
        signals: in the order of the file.
        left_out: a note for each signal that no fixed plan can run.
    """

    signals: tuple[SignalPlan, ...]
    left_out: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.signals)


def read_plan(path: Path) -> FixedPlan:
    """Reads the plan of a network (`.net.xml`, also with gzip) or of an additional file.

    Where a signal has several programs the last counts, as in SUMO.

    Raises:
        SourceError: `signals.unreadable` (with its line), `signals.no_signals`, `signals.bad_phase`.
    """
    programs: dict[str, Any] = {}
    for element in elements(path, ("tlLogic",)):
        programs[element.get("id", "")] = element
    if not programs:
        raise SourceError("signals.no_signals", where=Where(Path(path).name))
    signals, left = [], []
    for name, element in programs.items():
        phases = [_phase(Path(path).name, name, phase) for phase in element.iter("phase")]
        reason = _why_not(element, phases)
        if reason:
            left.append(Problem(reason, {"signal": name}, Where(Path(path).name), severity="note"))
        else:
            signals.append(_signal(name, float(element.get("offset", "0")), phases))
    if not signals:
        raise SourceError("signals.no_signals", where=Where(Path(path).name))
    return FixedPlan(tuple(signals), tuple(left))


def write_plan(
    plan: FixedPlan, path: Path, program: str = PROGRAM, *, actuated: tuple[float, float] | None = None
) -> None:
    """Writes a plan as an additional file of SUMO; loaded after the network it is the program that runs.

    Args:
        plan: what is written.
        path: the file.
        program: its programID.
        actuated: least and most green, s: SUMO's own actuated control with these stages instead of fixed times.
    """
    root = ET.Element("additional")
    kind = "actuated" if actuated else "static"
    for signal in plan.signals:
        words = {"id": signal.id, "type": kind, "programID": program, "offset": seconds(signal.offset)}
        logic = ET.SubElement(root, "tlLogic", words)
        for stage in signal.stages:
            bounds = {"minDur": seconds(actuated[0]), "maxDur": seconds(actuated[1])} if actuated else {}
            green = {"duration": seconds(stage.green), "state": stage.state, **bounds}
            ET.SubElement(logic, "phase", green)
            for state, length in stage.clearing:
                ET.SubElement(logic, "phase", {"duration": seconds(length), "state": state})
    ET.indent(root, "    ")
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def problems_of(
    plan: FixedPlan, least: Mapping[str, Sequence[float]], cycle: tuple[float, float]
) -> list[Problem]:
    """What of a plan breaks its limits: greens below their minimum, cycles outside their bounds.

    Args:
        plan: any plan.
        least: least green of each stage by signal, s.
        cycle: lowest and highest cycle, s.
    """
    found = []
    for signal in plan.signals:
        for number, (stage, minimum) in enumerate(zip(signal.stages, least[signal.id], strict=True), 1):
            if stage.green < minimum - 1e-9:
                data = {
                    "signal": signal.id,
                    "stage": number,
                    "green": seconds(stage.green),
                    "minimum": seconds(minimum),
                }
                found.append(Problem("signals.green_too_short", data, severity="warning"))
        if not cycle[0] - 1e-9 <= signal.cycle <= cycle[1] + 1e-9:
            data = {"signal": signal.id, "cycle": seconds(signal.cycle)}
            bounds = {"low": seconds(cycle[0]), "high": seconds(cycle[1])}
            found.append(Problem("signals.cycle_out_of_bounds", {**data, **bounds}, severity="warning"))
    return found


def elements(path: Path, tags: tuple[str, ...]) -> list[Any]:
    """The elements of some tags in an XML file, also with gzip.

    Raises:
        SourceError: `signals.unreadable`, with its line.
    """
    path = Path(path)
    found = []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for _, element in ET.iterparse(file):  # noqa: S314 - what SUMO would read
                if element.tag in tags:
                    found.append(element)
    except ET.ParseError as error:
        where = Where(path.name, error.position[0], error.position[1] + 1)
        raise SourceError("signals.unreadable", where=where, text=error.msg) from None
    except (OSError, EOFError) as error:
        raise SourceError("signals.unreadable", where=Where(str(path)), text=_reason(error)) from None
    return found


def seconds(value: float) -> str:
    """A duration as SUMO writes it: to the millisecond, without zeros at its end.

    Example:
        >>> seconds(42.0), seconds(3.25)
        ('42', '3.25')
    """
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _signal(name: str, offset: float, phases: Sequence[tuple[str, float]]) -> SignalPlan:
    """Phases as stages, turned so that the first begins with green; the offset moves along, so that the lights do not."""
    clears = [_clears(phases, at) for at in range(len(phases))]
    first = clears.index(False)
    order = [*range(first, len(phases)), *range(first)]
    stages: list[Stage] = []
    for at in order:
        state, length = phases[at]
        if clears[at]:
            stages[-1] = replace(stages[-1], clearing=(*stages[-1].clearing, (state, length)))
        else:
            stages.append(Stage(state, length))
    moved = offset + sum(length for _, length in phases[:first])
    cycle = sum(length for _, length in phases)
    return SignalPlan(name, _exact(moved % cycle), tuple(stages))


def _clears(phases: Sequence[tuple[str, float]], at: int) -> bool:
    """Whether a phase clears the stage before it: yellow, all-red, or a part of the green before it (its pedestrians stopped)."""
    state, before = phases[at][0], phases[at - 1][0]
    green = _green(state)
    return (
        _has_yellow(state)
        or not green
        or (len(phases) > 1 and green < _green(before) and not _has_yellow(before))
    )


def _why_not(element: Any, phases: Sequence[tuple[str, float]]) -> str | None:
    """The message that says why no fixed plan can run a signal; None when one can."""
    if element.get("type", "static") not in CLOCKED:
        return "signals.not_clocked"
    if any(phase.get("next") for phase in element.iter("phase")):
        return "signals.branches"
    if all(_clears(phases, at) for at in range(len(phases))):
        return "signals.never_green"
    return None


def _phase(file: str, signal: str, phase: Any) -> tuple[str, float]:
    state, text = phase.get("state", ""), phase.get("duration", "")
    try:
        length = float(text)
    except ValueError:
        length = -1.0
    if not state or not 0 < length < math.inf:
        raise SourceError("signals.bad_phase", where=Where(file), signal=signal, duration=text, state=state)
    return state, length


def _green(state: str) -> frozenset[int]:
    return frozenset(at for at, letter in enumerate(state) if letter in "Gg")


def _has_yellow(state: str) -> bool:
    return "y" in state or "Y" in state


def _exact(value: float) -> float:
    """Seconds to the millisecond, the clock of SUMO, so that sums of a plan are exact."""
    return round(float(value), 3)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
