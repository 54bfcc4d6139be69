# SPDX-License-Identifier: Apache-2.0
"""`roads compare`: plans for the streets of a territory judged against today and against each other.

Comes in: an opened territory with `roads/roads.yaml`, plan files, a day. Goes out: a `Judged`: what each plan changes with intervals, the confidence
that one beats another, electricity by zone and hour, and claims that do not add up; as text and as JSON.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import messages, street_files
from mangrove.errors import LedgerError, MangroveError, Problem, RequestError
from mangrove.figures.numbers import number, percent

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Ledger
    from mangrove.plan.traffic.claims import Finding
    from mangrove.plan.traffic.verdict import Difference, Verdict
    from mangrove.traffic.charging import Mode
    from mangrove.traffic.roads import Floats

KIND = "street_plans"
"""Kind of the record that `roads compare` keeps."""
MOST_DRAWS = 1000
"""Draws of trips: a mean of a thousand is known to 3 % of the spread of one, and each is an equilibrium of every plan."""
_TODAY = "baseline"


@dataclass(frozen=True)
class Judged:
    """A verdict with what a reader needs beside it.

    Attributes:
        territory: its name; plans: as their files say them; verdict: see `plan.traffic.verdict`; findings: of the claims.
        rows: default rates (`rules.roads`) that the trips were made with; on: the day; seed: of the draws.
        charging: how vehicles charge today, and in the plans that say nothing of it.
    """

    territory: str
    plans: tuple[street_files.Plan, ...]
    verdict: Verdict
    findings: tuple[Finding, ...]
    rows: tuple[str, ...]
    on: date | None
    seed: int
    charging: tuple[Mode, ...] = ()

    def modes(self, plan: str) -> tuple[Mode, ...]:
        """How vehicles charge in a plan (or `today`)."""
        return next((one.charging for one in self.plans if one.name == plan and one.charging), self.charging)

    def charged(self, plan: str, only: str = "") -> Floats | None:
        """(24, Z + 1) kWh charged by hour and zone; None when hours or modes of charging are not known. See `Verdict.charged`."""
        if not self.verdict.daily or not self.modes(plan):
            return None
        return self.verdict.charged(plan, self.modes(plan), only)

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
        lines += self._charging(lang)
        for finding in self.findings:
            lines += ["", finding.line(lang)]
        return "\n".join(lines)

    def json(self) -> str:
        """Everything, with full precision."""
        return json.dumps(self.document(), ensure_ascii=False, indent=1)

    def document(self) -> dict[str, Any]:
        """The result as plain data."""
        verdict = self.verdict
        power = {name: found for name in verdict.plans if (found := self.charged(name)) is not None}
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
                    "kwh_charged_by_hour": {name: found[:, at].tolist() for name, found in power.items()},
                }
                for at, zone in enumerate(verdict.zones)
            ],
            "claims": [
                {
                    "id": f.claim.id, "kind": f.kind, "each": f.each, "low": f.low, "high": f.high, "holds": f.holds,
                    "kilometers": f.kilometers, "needed": f.needed, "sources": list(f.sources),
                    "text": {lang: f.line(lang) for lang in messages.LANGUAGES},
                }
                for f in self.findings
            ],
            "charging": {name: [asdict(mode) for mode in self.modes(name)] for name in verdict.plans},
            "assumptions": list(self.rows),
            "problems": [problem.line() for problem in self.problems],
        }  # fmt: skip

    def _pairs(self) -> list[tuple[str, str]]:
        """Every plan against today, then each later plan against the first."""
        today, *names = self.verdict.plans
        return [(name, today) for name in names] + [(name, names[0]) for name in names[1:]]

    def _charging(self, lang: str) -> list[str]:
        """What vehicles charge in a day, and when most."""
        found = []
        for plan in self.verdict.plans:
            power = self.charged(plan)
            if power is not None and power.any():
                hours = power.sum(axis=1)
                data = {"kwh": number(float(hours.sum()), lang), "kw": number(float(hours.max()), lang)}
                found.append(
                    messages.render("roads.charges", lang, plan=plan, hour=int(hours.argmax()), **data)
                )
        return ["", *found] if found else []

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
            base = self.verdict.mean(measure.key, other)
            part = f" ({percent(found.relative, lang, decimals=2)})" if base else ""
            body.append([
                f"{_named(measure.key, lang)} ({unit})",
                number(base * scale, lang),
                f"{number(found.mean * scale, lang)}{part}",
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
    from mangrove.plan.traffic.claims import judged
    from mangrove.traffic import charging

    read = tuple(street_files.read_plan(Path(path)) for path in plans)
    names = [plan.name for plan in read]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RequestError("roads.plan_twice", plan=twice)
    count = verdict.DRAWS if draws is None else draws
    if not 1 <= count <= MOST_DRAWS:
        raise RequestError("roads.bad_value", key="draws", value=count)
    if seed < 0:
        raise RequestError("roads.bad_value", key="seed", value=seed)
    findings = tuple(found for plan in read for claim in plan.claims for found in judged(claim))
    case, rows = street_files.read_case(handle.territory, read, on)
    modes = street_files.read_charging(handle.territory)
    for stated in (modes, *(plan.charging for plan in read)):
        charging.checked(stated, case.classes, case.map.zones)
    found = verdict.compare(
        case, {plan.name: plan.edits for plan in read}, on=on, draws=count, seed=seed, progress=progress
    )
    return Judged(handle.territory.name, read, found, findings, rows, on, seed, modes)


def chosen(a: str, b: str) -> tuple[Path, ...]:
    """The plans for streets among two sides of a comparison; none when both are of another kind. `baseline` is today.

    Raises:
        RequestError: `roads.two_kinds`: one is a plan for streets, the other something else.
    """
    sides = [Path(side) for side in (a, b)]
    found = tuple(side for side in sides if street_files.is_plan(side))
    other = next((str(side) for side in sides if side not in found and str(side) != _TODAY), None)
    if found and other:
        raise RequestError("roads.two_kinds", file=other)
    return found


def of_scenario_command(
    handle: Handle, plans: Sequence[Path], on: str | None, options: Mapping[str, Any]
) -> Judged:  # fmt: skip
    """What `mangrove plan compare` says of plans for streets: on a day, without the options that only scenarios have.

    Raises:
        RequestError: `roads.plan_option`; and see `compare`.
    """
    from mangrove.times import parse_date

    wrong = next((option for option, value in options.items() if value), None)
    if wrong:
        raise RequestError("roads.plan_option", option=wrong)
    return compare(handle, plans, on=parse_date(on) if on else None)


def store(handle: Handle, judged: Judged) -> tuple[str, Problem | None]:
    """Keeps what was judged as a record; gives its id, or why it could not be kept: a store that cannot be written to is no reason to say nothing."""
    document = {**judged.document(), "made": datetime.now(UTC).isoformat(timespec="seconds")}
    text = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
    try:
        try:
            with (
                handle.reader() as ledger
            ):  # a record is one short transaction, another process may write values meanwhile
                return ledger.put_record(KIND, text), None
        except LedgerError as error:
            if error.code != "ledger.missing":
                raise
        with handle.writer() as ledger:
            return ledger.put_record(KIND, text), None
    except (MangroveError, OSError, sqlite3.Error) as error:
        reason = error.problem.text() if isinstance(error, MangroveError) else str(error)
        return "", Problem("roads.not_kept", {"text": reason}, severity="warning")


def newest(reader: Ledger) -> dict[str, Any] | None:
    """The newest judgement that was kept, as plain data with `made`; None without any."""
    stored = reader.records(KIND)
    found: dict[str, Any] | None = json.loads(reader.record(stored[-1][0])[1]) if stored else None
    return found


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
