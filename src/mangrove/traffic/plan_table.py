# SPDX-License-Identifier: Apache-2.0
"""A fixed-time plan as a table for the people who set the controllers: one row for each stage of each signal.

Comes in: a plan, the movements of its signals, least greens. Goes out: rows of text in English or Vietnamese.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mangrove import messages
from mangrove.traffic.fixed_plan import FixedPlan, Stage, seconds
from mangrove.traffic.movements import Movement

COLUMNS = (
    "signal",
    "stage",
    "movements",
    "green",
    "yellow",
    "all_red",
    "least_green",
    "begins",
    "cycle",
    "offset",
    "state",
)
_ARROWS = {"s": "↑", "l": "←", "r": "→", "t": "↶"}


def plan_rows(
    plan: FixedPlan,
    movements: Mapping[str, Sequence[Movement]],
    least: Mapping[str, Sequence[float]] | None = None,
    lang: str = "en",
) -> list[tuple[str, ...]]:
    """One row of text for each stage, in the order of `COLUMNS`; times in s, `begins` counted from the first stage's green."""
    rows: list[tuple[str, ...]] = []
    for signal in plan.signals:
        begins = 0.0
        for number, stage in enumerate(signal.stages):
            minimum = seconds(least[signal.id][number]) if least else ""
            times = (seconds(stage.green), seconds(stage.yellow), seconds(stage.all_red), minimum)
            common = (seconds(begins), seconds(signal.cycle), seconds(signal.offset), stage.state)
            known = movements.get(signal.id, ())
            rows.append((signal.id, str(number + 1), _said(stage, known, lang), *times, *common))
            begins += stage.green + stage.lost
    return rows


def header(lang: str = "en") -> tuple[str, ...]:
    """Names of the columns."""
    return tuple(messages.render(f"signals.column_{name}", lang) for name in COLUMNS)


def _said(stage: Stage, movements: Sequence[Movement], lang: str) -> str:
    """The green movements of a stage in words: "Dien Bien Phu ↑→; crossing"."""
    turns: dict[str, list[str]] = {}
    crossings = 0
    for movement in movements:
        if movement.index >= len(stage.state) or stage.state[movement.index] not in "Gg":
            continue
        if movement.crossing is not None:
            crossings += 1
            continue
        name = movement.source_name or movement.source
        arrow = _ARROWS.get(movement.turn[:1], "↑")
        if arrow not in turns.setdefault(name, []):
            turns[name].append(arrow)
    words = [f"{name} {''.join(arrows)}" for name, arrows in turns.items()]
    if crossings:
        words.append(messages.render("signals.crossings", lang, count=crossings))
    return "; ".join(words)
