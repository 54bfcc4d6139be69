# SPDX-License-Identifier: Apache-2.0
"""Signal plans and comparisons as text, JSON, CSV and Markdown.

Comes in: what `mangrove.signals` returns. Goes out: text for stdout and for files.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.figures.numbers import number, percent
from mangrove.printing import grid, harmless
from mangrove.traffic.plan_table import header

if TYPE_CHECKING:
    from mangrove.signals import Searched
    from mangrove.traffic.fixed_plan import FixedPlan
    from mangrove.traffic.live_control import Driven
    from mangrove.traffic.verdict import Comparison

_MOST_SURE = 0.999
_CLOSE = ("delay", "co2", "stops")
"""Measures whose difference is said with its interval and probability."""


def searched_text(searched: Searched, lang: str = "en") -> str:
    """What a search brought, for people."""
    found = searched.found
    (delay, co2), (old_delay, old_co2) = found.figures
    data = {
        "signals": len(found.plan),
        "cycle": number(found.plan.signals[0].cycle, lang),
        "runs": number(found.evaluations, lang, digits=6),
        "delay": number(delay, lang),
        "old_delay": number(old_delay, lang),
        "co2": number(co2, lang),
        "old_co2": number(old_co2, lang),
    }
    lines = [messages.render("signals.found", lang, **data)]
    if searched.verified:
        seeds = number(len(searched.verified.seeds), lang)
        lines += ["", messages.render("signals.verified", lang, count=seeds), ""]
        lines.append(comparison_text(searched.verified, lang))
    return "\n".join(lines)


def searched_json(searched: Searched) -> str:
    """What a search brought, with the plan."""
    found = searched.found
    document = {
        "plan": plan_document(found.plan),
        "search": {
            "runs": found.evaluations,
            "interrupted": found.interrupted,
            "cost_s": {"installed": found.installed_cost, "plan": found.cost},
            "delay_s": {"installed": found.figures[1][0], "plan": found.figures[0][0]},
            "co2_g": {"installed": found.figures[1][1], "plan": found.figures[0][1]},
            "history": [{"runs": spent, "cost_s": cost} for spent, cost in found.history],
        },
        "limits": {
            "cycle_s": list(searched.limits.cycle),
            "least_green_s": {name: list(row) for name, row in searched.limits.least.items()},
        },
        "verified": comparison_document(searched.verified) if searched.verified else None,
        "problems": [problem.line() for problem in searched.problems],
    }
    return _json(document)


def plan_document(plan: FixedPlan) -> list[dict[str, Any]]:
    """A plan as plain values."""
    return [
        {
            "signal": signal.id,
            "cycle_s": signal.cycle,
            "offset_s": signal.offset,
            "stages": [
                {"state": s.state, "green_s": s.green, "yellow_s": s.yellow, "all_red_s": s.all_red}
                for s in signal.stages
            ],
        }
        for signal in plan.signals
    ]


def comparison_text(comparison: Comparison, lang: str = "en") -> str:
    """A table: a row for each measure, a column for each way; then how sure the differences are."""
    from mangrove.traffic.verdict import MEASURES

    names = comparison.names
    rows = []
    for measure in MEASURES:
        cells = [messages.render(f"signals.measure_{measure}", lang)]
        for at, way in enumerate(names):
            text = number(comparison.mean(way, measure), lang)
            spread = comparison.spread(way, measure)
            text += f" ± {number(spread, lang, digits=2)}" if math.isfinite(spread) else ""
            change = comparison.change(way, measure)
            cells.append(f"{text} ({_signed(change, lang)})" if at and math.isfinite(change) else text)
        rows.append(cells)
    lines = grid([messages.render("signals.measure", lang), *names], rows, left={0})
    for way in names[1:]:
        for measure in _CLOSE:
            low, high = comparison.interval(way, measure)
            if math.isfinite(low):
                data = {"way": way, "measure": messages.render(f"signals.measure_{measure}", lang)}
                data |= {"low": _signed(low, lang), "high": _signed(high, lang)}
                data["sure"] = _sure(comparison.better(way, measure), lang)
                lines.append(messages.render("signals.sure", lang, **data))
    return "\n".join(lines)


def comparison_json(comparison: Comparison, document: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Every measure of every run, with means, spread and probabilities, beside what a record of it holds."""
    return _json(dict(document) | comparison_document(comparison))


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain values; null for what one draw cannot say."""
    from mangrove.traffic.verdict import MEASURES

    ways = {}
    for at, way in enumerate(comparison.names):
        ways[way] = {
            measure: {
                "values": [float(value) for value in comparison.values[at, :, number_]],
                "mean": _known(comparison.mean(way, measure)),
                "sd": _known(comparison.spread(way, measure)),
                "change": _known(comparison.change(way, measure)),
                "interval_90": [_known(end) for end in comparison.interval(way, measure)],
                "probability_less": _known(comparison.better(way, measure)) if at else None,
            }
            for number_, measure in enumerate(MEASURES)
        }
        ways[way]["vehicles"] = {"values": [float(value) for value in comparison.vehicles[at]]}
    return {
        "against": comparison.names[0],
        "seeds": list(comparison.seeds),
        "cpu_s": comparison.seconds,
        "ways": ways,
    }


def driven_text(driven: Driven, lang: str = "en") -> str:
    """How live control went, for people."""
    data = {
        "signals": number(len(driven.signals), lang),
        "begin": number(driven.begin, lang, digits=9),
        "end": number(driven.end, lang, digits=9),
        "decisions": number(driven.decisions, lang, digits=9),
    }
    text = messages.render(f"signals.driven_{driven.why}", lang, **data)
    if driven.abrupt and driven.why != "ended":
        text += "\n" + messages.render("signals.abrupt", lang, signals=", ".join(driven.abrupt))
    return text


def decision_line(decision: Mapping[str, Any]) -> str:
    """A decision of live control as a line of JSON."""
    return json.dumps(decision, ensure_ascii=False, allow_nan=False) + "\n"


def plan_json(plan: FixedPlan) -> str:
    """A plan as JSON."""
    return _json(plan_document(plan))


def endings_of(path: Path) -> None:
    """Raises RequestError `signals.table_ending` when no table can be written under this name."""
    if path.suffix.lower() not in (".csv", ".md"):
        raise RequestError("signals.table_ending", file=path.name)


def table_as(path: Path, rows: Sequence[Sequence[str]], lang: str = "en") -> str:
    """The table of a plan as the ending of a file asks: Markdown for .md, CSV for .csv.

    Raises:
        RequestError: `signals.table_ending`.
    """
    endings_of(path)
    return rows_markdown(rows, lang) if path.suffix == ".md" else rows_csv(rows, lang)


def rows_csv(rows: Sequence[Sequence[str]], lang: str = "en") -> str:
    """The table of a plan as CSV with a header in the language; no cell is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header(lang))
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def rows_markdown(rows: Sequence[Sequence[str]], lang: str = "en") -> str:
    """The table of a plan as Markdown."""
    lines = [header(lang), ["---"] * len(header(lang)), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _signed(share: float, lang: str) -> str:
    return ("+" if share > 0 else "") + percent(share, lang)


def _sure(probability: float, lang: str) -> str:
    """A probability to the tenth of a percent; nothing is certain or impossible after a few draws."""
    if probability > _MOST_SURE:
        return f"> {percent(_MOST_SURE, lang)}"
    return (
        f"< {percent(1 - _MOST_SURE, lang)}" if probability < 1 - _MOST_SURE else percent(probability, lang)
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
