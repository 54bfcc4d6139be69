# SPDX-License-Identifier: Apache-2.0
"""`roads compare`: plans for the streets of a territory judged against today and against each other.

Comes in: an opened territory with `roads/roads.yaml`, plan files, a day. Goes out: a `Judged`: what each plan changes with intervals, the confidence
that one beats another, electricity by zone and hour, and claims that do not add up; as text and as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import messages, street_files
from mangrove.errors import Problem, RequestError
from mangrove.figures.numbers import number, percent

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.plan.traffic.claims import Finding
    from mangrove.plan.traffic.verdict import Difference, Verdict


@dataclass(frozen=True)
class Judged:
    """A verdict with what a reader needs beside it.

    Attributes:
        territory: its name; plans: as their files say them; verdict: see `plan.traffic.verdict`; findings: of the claims.
        rows: default rates (`rules.roads`) that the trips were made with; on: the day; seed: of the draws.
    """

    territory: str
    plans: tuple[street_files.Plan, ...]
    verdict: Verdict
    findings: tuple[Finding, ...]
    rows: tuple[str, ...]
    on: date | None
    seed: int

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What stands beside the result: trips without a way, defaults that are only assumed."""
        from mangrove.rules import roads as rules

        assumed = [row for row in self.rows if rules.parameters()[row].status == "assumed"]
        said = [Problem("roads.assumed", {"rows": ", ".join(assumed)}, severity="note")] if assumed else []
        return (*self.verdict.problems, *said)

    def text(self, lang: str = "en") -> str:
        """For people: a table for each pair of plans, claims, and the zones that change most."""
        lines = [messages.render("roads.title", lang, name=self.territory)]
        for plan, other in self._pairs():
            lines += [
                "",
                messages.render("roads.pair", lang, plan=plan, other=other),
                *self._table(plan, other, lang),
            ]
        for finding in self.findings:
            lines += ["", _claim(finding, lang)]
        return "\n".join(lines)

    def json(self) -> str:
        """Everything, with full precision."""
        return json.dumps(self.document(), ensure_ascii=False, indent=1)

    def document(self) -> dict[str, Any]:
        """The result as plain data."""
        verdict = self.verdict
        return {
            "territory": self.territory,
            "on": self.on.isoformat() if self.on else None,
            "seed": self.seed,
            "per": "day" if verdict.daily else "hour",
            "plans": [{"name": plan.name, "title": plan.title, "digest": plan.digest} for plan in self.plans],
            "measures": [
                {
                    "key": m.key, "unit": m.unit,
                    "mean": {name: verdict.mean(m.key, name) for name in verdict.plans},
                    "differences": [
                        {"plan": a, "against": b, **_plain(verdict.difference(m.key, a, b))} for a, b in self._pairs()
                    ],
                }
                for m in verdict.measures
            ],
            "zones": [
                {
                    "zone": zone or None,
                    **{key: dict(zip(verdict.plans, rows[:, at].tolist(), strict=True)) for key, rows in verdict.zone.items()},
                    "kwh_by_hour": {name: verdict.kwh[k, :, at].tolist() for k, name in enumerate(verdict.plans)},
                }
                for at, zone in enumerate(verdict.zones)
            ],
            "claims": [
                {
                    "id": f.claim.id, "each_t_per_year": f.each, "low": f.low, "high": f.high, "holds": f.holds,
                    "kilometers": f.kilometers, "kilometers_needed": f.needed, "sources": list(f.sources),
                }
                for f in self.findings
            ],
            "assumptions": list(self.rows),
            "problems": [problem.line() for problem in self.problems],
        }  # fmt: skip

    def _pairs(self) -> list[tuple[str, str]]:
        """Every plan against today, then each later plan against the first."""
        today, *names = self.verdict.plans
        return [(name, today) for name in names] + [(name, names[0]) for name in names[1:]]

    def _table(self, plan: str, other: str, lang: str) -> list[str]:
        from mangrove.printing import grid

        head = [
            messages.render(f"roads.column_{key}", lang)
            for key in ("measure", "before", "change", "interval", "better")
        ]
        body = []
        for measure in self.verdict.measures:
            found = self.verdict.difference(measure.key, plan, other)
            unit = measure.unit
            scale = 1.0
            if unit.startswith("g/"):
                scale, unit = 1e-3, f"k{unit}"
            body.append([
                f"{_named(measure.key, lang)} ({unit})",
                number(self.verdict.mean(measure.key, other) * scale, lang),
                f"{number(found.mean * scale, lang)} ({percent(found.relative, lang, decimals=2)})",
                f"{number(found.low * scale, lang)} … {number(found.high * scale, lang)}",
                "-" if found.confidence is None else percent(found.confidence, lang, decimals=0),
            ])  # fmt: skip
        return grid(head, body, left={0})


def compare(
    handle: Handle, plans: Sequence[Path], *, on: date | None = None, draws: int | None = None, seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Judged:  # fmt: skip
    """Judges plans against today and against each other.

    Args:
        handle: an opened territory with `roads/roads.yaml` in its folder.
        plans: one or more plan files.
        on: the day on which they are looked at; None: all edits hold.
        draws: of trips; None: the default.
        seed: of all draws.
        progress: is called with the number of equilibria done and their number in all.

    Raises:
        DeclarationError: problems of the files. SourceError: of the network. RequestError: of what was asked.
    """
    from mangrove.plan.traffic import verdict
    from mangrove.plan.traffic.claims import judge

    read = tuple(street_files.read_plan(Path(path)) for path in plans)
    names = [plan.name for plan in read]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RequestError("roads.plan_twice", plan=twice)
    count = verdict.DRAWS if draws is None else draws
    if count < 1:
        raise RequestError("roads.bad_value", key="draws", value=count)
    findings = tuple(judge(claim) for plan in read for claim in plan.claims)
    case, rows = street_files.read_case(handle.territory, read)
    found = verdict.compare(
        case, {plan.name: plan.edits for plan in read}, on=on, draws=count, seed=seed, progress=progress
    )
    return Judged(handle.territory.name, read, found, findings, rows, on, seed)


def _plain(found: Difference) -> dict[str, float | None]:
    return {
        "mean": found.mean, "low": found.low, "high": found.high, "relative": found.relative,
        "confidence": found.confidence,
    }  # fmt: skip


def _named(key: str, lang: str) -> str:
    """What a measure is called; pollutants go by their formulas."""
    if key in ("minutes", "hours", "km", "access", "exposure", "electricity"):
        return messages.render(f"roads.measure_{key}", lang)
    return key


def _claim(finding: Finding, lang: str) -> str:
    data = {
        "claim": finding.claim.id, "each": number(finding.each, lang), "low": number(finding.low, lang),
        "high": number(finding.high, lang), "distance": number(finding.kilometers, lang),
        "needed": number(finding.needed, lang), "pollutant": finding.claim.pollutant,
        "sources": ", ".join(finding.sources),
    }  # fmt: skip
    return messages.render("roads.claim_holds" if finding.holds else "roads.claim_fails", lang, **data)
