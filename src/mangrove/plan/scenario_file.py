# SPDX-License-Identifier: Apache-2.0
"""Reading a scenario file: strict keys, every problem with line and column, all of them at once.

Comes in: a YAML file and the territory that it speaks of. Goes out: a frozen `Scenario`, or a `DeclarationError`. Files are read by
the same reader as `territory.yaml`; what an action of each type may say stands in `mangrove.plan.actions`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from mangrove.errors import DeclarationError, MangroveError, Problem, Where, did_you_mean
from mangrove.ledger.types import check_run
from mangrove.plan.actions import COMMON, KINDS
from mangrove.plan.actions.asked import Asked
from mangrove.plan.scenario import Action, Baseline, Growth, Scenario
from mangrove.plan.scenario_schema import SCENARIO
from mangrove.territory.model import Flow, Territory
from mangrove.territory.places import Names
from mangrove.territory.settings import read_settings

_LONGEST = 60
"""Years of a horizon at most: two lives of a power plant."""
_EMPTY: tuple[object, ...] = (None, "", [], {}, 0.0, "step")


def read(territory: Territory, path: Path) -> Scenario:
    """The scenario of a file.

    Raises:
        DeclarationError: an unknown key, a missing place, a unit that does not convert, ...: all problems with line and column.
    """
    reader = _File(territory, Path(path))
    scenario = reader.scenario()
    if scenario is None or any(problem.severity == "error" for problem in reader.problems):
        raise DeclarationError(sorted(reader.problems, key=lambda p: (p.where or Where(""), p.code)))
    return scenario


@dataclass
class _File:
    """One file while it is read."""

    territory: Territory
    path: Path
    problems: list[Problem] = field(default_factory=list)
    at: dict[tuple[str | int, ...], Where] = field(default_factory=dict)

    def scenario(self) -> Scenario | None:
        """The scenario, once all of its parts make sense."""
        settings, self.at, said = read_settings(self.path, SCENARIO, self.path.name)
        self.problems += said
        if not settings:
            return None
        self._horizon(settings)
        own = self._flows(settings["flows"])
        flows = {**self.territory.flows, **{flow.id: flow for flow in own}}
        actions = [self._action(number, keys, flows) for number, keys in enumerate(settings["actions"])]
        self._twice(settings["actions"], "actions")
        if any(problem.severity == "error" for problem in self.problems):
            return None
        listed = tuple(sorted((a for a in actions if a), key=lambda a: (a.first, a.id)))
        self._overlapping(listed)
        baseline = self._baseline(settings)
        return Scenario(
            settings["name"],
            settings["title"],
            settings["note"],
            self.path.name,
            _digest(settings),
            settings["from"],
            settings["to"],
            baseline,
            tuple(own),
            listed,
        )

    def say(self, code: str, where: tuple[str | int, ...], **data: Any) -> None:
        """A problem at the nearest place that is known."""
        while where and where not in self.at:
            where = where[:-1]
        self.problems.append(Problem(code, data, self.at.get(where, Where(self.path.name))))

    def _horizon(self, settings: Mapping[str, Any]) -> None:
        first, last = settings["from"], settings["to"]
        if first and last and not first <= last < first + _LONGEST:
            self.say("scenario.horizon", ("to",), first=first, last=last, most=_LONGEST)
        baseline = settings["baseline"]
        year = baseline.get("year") if baseline else None
        if year and first and year >= first:
            self.say("scenario.base_after", ("baseline", "year"), year=year, first=first)
        if baseline:
            try:
                check_run(baseline["run"])
            except MangroveError as error:
                self.say(error.code, ("baseline", "run"), **error.problem.data)
        for number, row in enumerate(baseline.get("growth", ()) if baseline else ()):
            self._sector(row["sector"], ("baseline", "growth", number, "sector"))

    def _baseline(self, settings: Mapping[str, Any]) -> Baseline:
        given = settings["baseline"] or {}
        growth = tuple(
            Growth(r["sector"], r["rate"], r["uncertainty"], r["source"], r["status"])
            for r in given.get("growth", ())
        )
        year = given.get("year") or settings["from"] - 1
        return Baseline(year, given.get("run", "measured"), given.get("factors", "last"), growth)

    def _flows(self, rows: list[dict[str, Any]]) -> list[Flow]:
        """The flows that the scenario brings."""
        found = []
        for number, row in enumerate(rows):
            where = ("flows", number)
            if row["id"] in self.territory.flows:
                self.say("scenario.flow_declared", (*where, "id"), flow=row["id"])
            place = self._place(row["place"], (*where, "place"))
            self._sector(row["sector"], (*where, "sector"))
            if row["id"] and place and row["carrier"] and row["unit"]:
                found.append(Flow(**{**row, "place": place}, where=self.at.get((*where, "id"))))
        self._twice(rows, "flows")
        return found

    def _action(self, number: int, keys: dict[str, Any], flows: Mapping[str, Flow]) -> Action | None:
        """One action, or None when it has a problem."""
        where: tuple[str | int, ...] = ("actions", number)
        before = len(self.problems)
        kind = KINDS.get(keys["type"])
        if kind is None or not keys["id"] or not keys["from"]:
            return None
        self._keys(keys, kind, where)
        self._dates(keys, where)
        keys = {**keys, "place": self._place(keys["place"], (*where, "place"))}
        self._sector(keys["sector"], (*where, "sector"))
        if len(self.problems) > before:
            return None
        try:
            made = kind.read(Asked(keys, self.territory, flows))
        except MangroveError as error:
            key = getattr(error, "at", "id")
            steps = tuple(int(step) if step.isdigit() else step for step in key.split("/"))
            self.say(error.code, (*where, *steps), **error.problem.data)
            return None
        return Action(
            id=keys["id"], type=keys["type"], name=keys["name"], first=keys["from"], last=keys["to"], ramp=keys["ramp"],
            ramp_to=keys["ramp_to"], error=keys["uncertainty"], source=keys["source"], status=keys["status"],
            note=keys["note"], digest=_digest(keys), where=self.at.get((*where, "id")), **made,
        )  # fmt: skip

    def _keys(self, keys: Mapping[str, Any], kind: Any, where: tuple[str | int, ...]) -> None:
        """Keys that the type does not take, and keys that it needs and that are not there."""
        takes = {*COMMON, *kind.TAKES}
        for key, value in keys.items():
            if key not in takes and value not in _EMPTY:
                self.say(
                    "scenario.key_not_for",
                    (*where, key),
                    key=key,
                    type=keys["type"],
                    options=", ".join(kind.TAKES),
                )
        for key in kind.NEEDS:
            if keys[key] in _EMPTY[:4]:
                self.say("territory.missing_key", (*where, "id"), key=key)

    def _dates(self, keys: Mapping[str, Any], where: tuple[str | int, ...]) -> None:
        first: date = keys["from"]
        for key in ("to", "ramp_to"):
            if keys[key] and keys[key] <= first:
                self.say("territory.dates_reversed", (*where, key), end=keys[key], start=first)
        if (keys["ramp"] == "step") != (keys["ramp_to"] is None):
            self.say(
                "scenario.ramp_to", (*where, "ramp_to" if keys["ramp_to"] else "ramp"), ramp=keys["ramp"]
            )

    def _place(self, written: str | None, where: tuple[str | int, ...]) -> str | None:
        """The id of a place that is written by id or by name."""
        if not written:
            return None
        places = self.territory.places.values()
        answer = Names([p.id for p in places], [p.name for p in places]).find(written)
        if isinstance(answer, Problem):
            self.say(answer.code, where, **answer.data)
            return None
        return answer

    def _sector(self, word: str | None, where: tuple[str | int, ...]) -> None:
        declared: Any = self.territory.settings.get("sectors") or {}
        known = [*declared, *(flow.sector for flow in self.territory.flows.values() if flow.sector)]
        if word and known and word not in known:
            options = ", ".join(dict.fromkeys(known))
            self.say(
                "territory.unknown_sector", where, text=word, options=options, hint=did_you_mean(word, known)
            )

    def _twice(self, rows: list[dict[str, Any]], section: str) -> None:
        first: dict[str, int] = {}
        for number, row in enumerate(rows):
            if row["id"] in first:
                there = str(self.at.get((section, first[row["id"]], "id"), ""))
                self.say("territory.duplicate_id", (section, number, "id"), id=row["id"], first=there)
            elif row["id"]:
                first[row["id"]] = number

    def _overlapping(self, actions: tuple[Action, ...]) -> None:
        """Two actions that give one factor of the territory two values at one time."""
        rows = [(action, row) for action in actions for row in action.rows]
        for number, (action, row) in enumerate(rows):
            for other, earlier in rows[:number]:
                if other is not action and (row.activity, row.gas) == (earlier.activity, earlier.gas):
                    start, stop = row.valid_from or date.min, row.valid_to or date.max
                    if start < (earlier.valid_to or date.max) and (earlier.valid_from or date.min) < stop:
                        data = {"activity": row.activity, "gas": row.gas, "other": other.id, "id": action.id}
                        self.problems.append(Problem("scenario.two_values", data, action.where))
                        return


def without_actions(scenario: Scenario) -> Scenario:
    """What happens when nothing is done: the baseline of a scenario."""
    return replace(scenario, name="baseline", actions=(), flows=(), digest="")


def _digest(value: Mapping[str, Any]) -> str:
    """SHA-256 of what is said; neither the order of keys and lists nor spelling counts."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return sorted((_plain(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value if isinstance(value, float | int | bool) or value is None else str(value)
