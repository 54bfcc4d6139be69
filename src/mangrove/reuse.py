# SPDX-License-Identifier: Apache-2.0
"""Water reuse from a table: who needs and gives water comes in as a CSV file, the least fresh water and its matches go out.

Comes in: a file with a row for each operation, source, sink, fresh water, treatment (and contaminant). Goes out: a `WaterProblem`, its plan with
the pinch and, for several plants, what each would need alone; as text for people or JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.errors import DeclarationError, MangroveError, Problem, Where
from mangrove.figures.numbers import number, percent
from mangrove.network.water_problem import (
    Discharge,
    Fresh,
    Operation,
    Sink,
    Source,
    Treatment,
    WaterProblem,
    flow_of,
    ppm_of,
)
from mangrove.territory import cells
from mangrove.territory.tables import Column, Parsed, parse_table, read_table
from mangrove.units import Quantity

if TYPE_CHECKING:
    from mangrove.network.water_reuse import WaterPlan

MOST_PLANTS = 6
"""Above it the coalitions are too many to print."""


def reuse(
    path: str | Path, *, objective: str = "fresh", method: str = "auto", time_limit: float = 60.0
) -> Reuse:
    """Reads a file and finds the plan.

    Args:
        path: see `read_water`.
        objective: `fresh` or `cost`; method, time_limit: see `mangrove.network.water_reuse.reuse_water`.
        method: `auto`, `levels` or `scip`.
        time_limit: seconds of a search.

    Raises:
        DeclarationError: every problem of the file, with its place.
        InfeasibleError: no water is clean enough.
    """
    from mangrove.network.water_pinch import water_target
    from mangrove.network.water_reuse import reuse_water, water_game

    problem, notes = read_water(path)
    plan = reuse_water(problem, objective=objective, method=method, time_limit=time_limit)
    pinch = None
    if len(problem.contaminants) == len(problem.fresh) == 1:
        try:
            pinch = water_target(problem).pinch
        except MangroveError:  # only treatment makes water that is clean enough
            pinch = None
    alone: dict[str, float] = {}
    if 1 < len(problem.plants) <= MOST_PLANTS:
        _, value = water_game(problem, objective=objective, method=method)
        for plant in problem.plants:
            try:
                alone[plant] = value(frozenset([plant]))
            except MangroveError:
                alone[plant] = float("nan")
    return Reuse(problem, plan, objective, pinch, alone, notes)


@dataclass(frozen=True)
class Reuse:
    """A plan and what stands beside it.

    Attributes:
        problem, plan: see `mangrove.network.water_reuse`. objective: `fresh` (t/h) or `cost` (VND/h).
        pinch: ppm at which water is scarce (one contaminant, one fresh water, reuse alone); None: not known or none.
        alone: what each plant would need alone, in the unit of the objective (NaN: it cannot); empty for one plant.
        problems: notes about the file.
    """

    problem: WaterProblem
    plan: WaterPlan
    objective: str
    pinch: float | None
    alone: Mapping[str, float] = field(default_factory=dict)
    problems: Sequence[Problem] = ()


# --- the file -------------------------------------------------------------------------------------------------------------


def read_water(path: str | Path) -> tuple[WaterProblem, list[Problem]]:
    """The problem that a CSV file declares, and notes about it.

    Columns: kind, name, plant, contaminant, flow, load, inlet, outlet, removal, recovery, price, electricity; a name has one row for each
    contaminant. See docs/how-to/water-reuse.md.

    Raises:
        DeclarationError: all problems with line and column.
    """
    file = Path(path).name
    table, problems = read_table(Path(path), file)
    if not _stops(problems):
        parsed, more = parse_table(table, COLUMNS)
        problems += more
    if not _stops(problems):
        reader = _Reader(parsed, problems)
        made = reader.problem()
        if made is not None and not _stops(problems):
            return made, [p for p in problems if p.severity != "error"]
    raise DeclarationError([p for p in problems if p.severity == "error"])


def _stops(problems: Sequence[Problem]) -> bool:
    return any(p.severity == "error" for p in problems)


def _electricity(text: str) -> float:
    """Electricity per volume (or tonne) of water, in kWh/m3."""
    written = Quantity.parse(text)
    if written.value < 0:
        raise MangroveError("territory.negative", text=text)
    return written.to("kWh/t" if written.unit.converts_to("kWh/t") else "kWh/m3")


def _share(text: str) -> float:
    """`95 %` or 0.95, between 0 and 1."""
    value = Quantity.parse(text, "1").to("1")
    if not 0 <= value <= 1:
        raise MangroveError("territory.out_of_range", text=text, low="0 %", high="100 %")
    return value


def _load(text: str) -> float:
    """Mass per time, in kg/h."""
    value = Quantity.parse(text, "kg/h").to("kg/h")
    if value < 0:
        raise MangroveError("territory.negative", text=text)
    return value


KINDS = {
    "operation": (("load", "inlet", "outlet"), ()),
    "source": (("flow", "outlet"), ()),
    "sink": (("flow", "inlet"), ()),
    "fresh": ((), ("flow", "outlet", "price")),
    "treatment": ((), ("flow", "inlet", "outlet", "removal", "recovery", "price", "electricity")),
    "discharge": ((), ("flow", "inlet", "price")),
    "electricity": (("price",), ()),
}
"""What a row of each kind must and may say."""
COLUMNS = (
    Column("kind", cells.choice(tuple(KINDS)), "What the row is.", required=True),
    Column("name", cells.name, "Its name.", required=True),
    Column("plant", cells.name, "The plant where it stands.", default=""),
    Column(
        "contaminant",
        cells.name,
        "The contaminant that the row is about; blank when there is one.",
        default="",
    ),
    Column(
        "flow", flow_of, "Flow of water; of a fresh water, a treatment and the discharge the largest one."
    ),
    Column("load", _load, "What an operation adds to the water, mass per time."),
    Column("inlet", ppm_of, "Highest concentration that it takes."),
    Column("outlet", ppm_of, "Concentration that it gives; of an operation the highest one."),
    Column("removal", _share, "Removal ratio of a treatment."),
    Column("recovery", _share, "Treated water per water taken."),
    Column("price", cells.signed, "Money per volume of water, or per kWh of electricity."),
    Column("electricity", _electricity, "Electricity of a treatment per volume taken."),
)
"""The columns of the file; the reader and its messages follow from these rows."""
_NUMBERS = ("flow", "load", "inlet", "outlet", "removal", "recovery", "price", "electricity")
_BY_CONTAMINANT = ("load", "inlet", "outlet", "removal")


class _Reader:
    """The rows of a parsed file as nouns; problems are added to the list."""

    def __init__(self, parsed: Parsed, problems: list[Problem]) -> None:
        self.parsed, self.problems = parsed, problems
        values = parsed.values
        self.groups: dict[tuple[str, str], list[int]] = {}
        for row, key in enumerate(zip(values["kind"], values["name"], strict=True)):
            self.groups.setdefault(key, []).append(row)
        found = [c for row, c in enumerate(values["contaminant"]) if values["kind"][row] != "electricity"]
        named = dict.fromkeys(c for c in found if c)
        self.contaminants = tuple(named) or ("",)

    def report(self, code: str, row: int, cell: str = "", /, **data: Any) -> None:
        """A problem at a cell."""
        self.problems.append(Problem(code, data, self.parsed.where(row, cell)))

    def problem(self) -> WaterProblem | None:
        """The problem; None after errors."""
        if not self.groups:
            self.problems.append(Problem("reuse.nothing", {}, Where(self.parsed.table.file, 1)))
            return None
        rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for (kind, name), group in self.groups.items():
            rows[kind].append(self._one(kind, name, group))
        if _stops(self.problems):
            return None
        for kind in ("discharge", "electricity"):
            for extra in rows[kind][1:]:
                self.report("reuse.only_one", self.groups[kind, extra["name"]][0], "kind", kind=kind)
        if not rows["fresh"]:
            self.problems.append(Problem("reuse.clean_assumed", {}, None, "note"))
        try:
            return self._assembled(rows)
        except MangroveError as error:  # names, ranges and inlets: the row that has the name
            wrong = error.problem.data.get("name")
            where = next(
                (self.parsed.where(g[0], "name") for (_, n), g in self.groups.items() if n == wrong), None
            )
            self.problems.append(Problem(error.code, error.problem.data, where))
            return None

    def _assembled(self, rows: Mapping[str, list[dict[str, Any]]]) -> WaterProblem:
        wet = next(iter(rows["discharge"]), {})
        power = next(iter(rows["electricity"]), {})
        return WaterProblem(
            operations=[Operation(r["name"], r["load"], r["inlet"], r["outlet"], r["plant"]) for r in rows["operation"]],
            sources=[Source(r["name"], r["flow"], r["outlet"], r["plant"]) for r in rows["source"]],
            sinks=[Sink(r["name"], r["flow"], r["inlet"], r["plant"]) for r in rows["sink"]],
            fresh=[
                Fresh(r["name"], r.get("outlet", 0.0), r.get("price", 0.0), r.get("flow", float("inf")))
                for r in rows["fresh"]
            ] or (Fresh(messages.render("reuse.fresh_name")),),
            treatments=[_treatment(r) for r in rows["treatment"]],
            discharge=Discharge(wet.get("price", 0.0), wet.get("inlet"), wet.get("flow", float("inf"))),
            contaminants=self.contaminants,
            electricity_price=power.get("price", 0.0),
        )  # fmt: skip

    def _one(self, kind: str, name: str, group: list[int]) -> dict[str, Any]:
        """The values of one name: numbers by contaminant as tuples, the others once."""
        must, may = KINDS[kind]
        made: dict[str, Any] = {"name": name, "plant": self._once("plant", name, group)}
        order = self._by_contaminant(kind, name, group)
        for column in _NUMBERS:
            given = [row for row in group if self.parsed.values[column][row] is not None]
            if column not in (*must, *may):
                for row in given:
                    self.report("reuse.not_for_kind", row, column, kind=kind, column=column)
            elif given and column in _BY_CONTAMINANT:
                for row in [row for row in group if row not in given]:
                    self.report("reuse.needs", row, column, kind=kind, name=name, column=column)
                made[column] = tuple(
                    self.parsed.values[column][row] if row >= 0 else math.inf for row in order or ()
                )
            elif given:
                made[column] = self._once(column, name, given)
            elif column in must:
                self.report("reuse.needs", group[0], column, kind=kind, name=name, column=column)
        self._agrees(kind, made, group)
        return made

    def _agrees(self, kind: str, made: dict[str, Any], group: list[int]) -> None:
        """What the cells of one name must be together."""
        if "price" in made:
            made["price"] = self._price(kind, made["price"], group)
        if kind == "treatment" and ("outlet" in made) == ("removal" in made):
            self.report("reuse.outlet_or_removal", group[0], "outlet", name=made["name"])
        if kind == "operation":
            self._falls(made, group)

    def _once(self, column: str, name: str, rows: list[int]) -> Any:
        """What all rows of a name say alike."""
        values = self.parsed.values[column]
        for row in rows[1:]:
            if values[row] != values[rows[0]]:
                self.report("reuse.differs", row, column, name=name, column=column)
        return values[rows[0]]

    def _price(self, kind: str, price: Quantity, group: list[int]) -> float:
        """Money per kWh of electricity, per m3 or t of everything else."""
        targets = ("VND/kWh",) if kind == "electricity" else ("VND/m3", "VND/t")
        for target in targets:
            if price.unit.converts_to(target):
                return price.to(target)
        self.report("base.unit_mismatch", group[0], "price", text=str(price), target=targets[0])
        return 0.0

    def _falls(self, made: Mapping[str, Any], group: list[int]) -> None:
        """An operation whose inlet is not below its outlet."""
        values = self.parsed.values
        for row in group:
            inlet, outlet = values["inlet"][row], values["outlet"][row]
            if inlet is not None and outlet is not None and inlet >= outlet:
                self.report("reuse.inlet", row, "inlet", name=made["name"], inlet=inlet, outlet=outlet)

    def _by_contaminant(self, kind: str, name: str, group: list[int]) -> list[int] | None:
        """The rows of a name in the order of the contaminants; None after problems, and for what knows no contaminants."""
        found: dict[str, int] = {}
        for row in group:
            contaminant = self.parsed.values["contaminant"][row]
            if contaminant in found:
                self.report("reuse.row_twice", row, "name", name=name, contaminant=contaminant or "-")
            found[contaminant] = row
        if set(found) == {""} and (
            len(self.contaminants) == 1 or kind in {"fresh", "discharge", "electricity"}
        ):
            return [group[0]] * len(self.contaminants)
        if kind == "discharge":  # what it does not name has no limit
            return [found.get(c, -1) for c in self.contaminants]
        lacking = [c for c in self.contaminants if c not in found]
        if lacking:
            self.report(
                "reuse.contaminant_missing", group[0], "contaminant", name=name, options=", ".join(lacking)
            )
            return None
        return [found[c] for c in self.contaminants]


def _treatment(row: Mapping[str, Any]) -> Treatment:
    """A treatment of the values of its rows."""
    return Treatment(
        row["name"], row.get("outlet"), row.get("removal", 0.0), recovery=row.get("recovery", 1.0),
        inlet=row.get("inlet", float("inf")), most=row.get("flow", float("inf")), price=row.get("price", 0.0),
        electricity=row.get("electricity", 0.0), plant=row["plant"],
    )  # fmt: skip


# --- for people and programs ----------------------------------------------------------------------------------------------


def as_text(found: Reuse, lang: str = "en") -> str:
    """Key figures, matches, plants."""
    from mangrove.printing import grid

    def say(code: str, **data: Any) -> str:
        return messages.render(f"reuse.{code}", lang, **data)

    plan, body = found.plan, _figures(found, lang)
    lines = grid([say("figure"), say("value")], body, left={0})
    names = [f"ppm {name}".strip() for name in found.problem.contaminants]
    matches = [
        [
            _place(m.start, lang),
            _place(m.end, lang),
            _figure(m.flow, lang),
            *(_figure(c, lang) for c in m.ppm),
        ]
        for m in plan.matches
    ]
    if matches:
        lines += ["", *grid([say("from"), say("to"), "t/h", *names], matches, left={0, 1})]
    if found.alone:
        unit = "t/h" if found.objective == "fresh" else "VND/h"
        rows = [[plant or "-", _figure(value, lang)] for plant, value in found.alone.items()]
        rows += [
            [say("sum_alone"), _figure(sum(found.alone.values()), lang)],
            [say("together"), _figure(plan.value, lang)],
        ]
        lines += ["", *grid([say("plant"), unit], rows, left={0})]
    return "\n".join(lines)


def _figures(found: Reuse, lang: str) -> list[list[str]]:
    """Rows of name and value."""

    def say(code: str, **data: Any) -> str:
        return messages.render(f"reuse.{code}", lang, **data)

    plan = found.plan
    rows = [[say("fresh"), f"{_figure(plan.fresh, lang)} t/h"]]
    if len(plan.by_fresh) > 1:
        rows += [[f"  {name}", f"{_figure(flow, lang)} t/h"] for name, flow in plan.by_fresh.items()]
    rows.append([say("no_reuse"), f"{_figure(plan.no_reuse, lang)} t/h"])
    if plan.no_reuse > 0:
        rows.append([say("saved"), percent(plan.saved / plan.no_reuse, lang)])
    rows.append([say("waste"), f"{_figure(plan.waste, lang)} t/h"])
    rows += [[say("treated", name=name), f"{_figure(flow, lang)} t/h"] for name, flow in plan.treated.items()]
    if found.pinch is not None:
        rows.append([say("pinch"), f"{_figure(found.pinch, lang)} ppm"])
    if plan.electricity:
        rows.append([say("electricity"), f"{_figure(plan.electricity, lang)} kW"])
    if plan.cost:
        rows.append([say("cost"), f"{_figure(plan.cost, lang)} VND/h"])
    rows.append([say("method"), say(f"method_{plan.method}", gap=percent(plan.gap, lang))])
    return rows


def _figure(value: float, lang: str) -> str:
    """A number as a plan needs it: five digits, nothing below what a solver calls zero."""
    return number(round(value, 6) + 0.0, lang, digits=5)


def _place(name: str, lang: str) -> str:
    """A name, or the word for the discharge."""
    from mangrove.network.water_problem import WASTE

    return messages.render("reuse.discharged", lang) if name == WASTE else name


def as_json(found: Reuse) -> str:
    """The plan as JSON; what is not known is null."""
    plan = found.plan
    made = {
        "fresh_t_h": plan.fresh, "no_reuse_t_h": _known(plan.no_reuse),
        "by_fresh_t_h": dict(plan.by_fresh), "waste_t_h": plan.waste, "treated_t_h": dict(plan.treated),
        "pinch_ppm": found.pinch, "electricity_kw": plan.electricity, "cost_vnd_h": plan.cost, "objective": found.objective,
        "value": plan.value, "bound": plan.bound, "gap": plan.gap, "method": plan.method,
        "contaminants": list(found.problem.contaminants),
        "matches": [{"from": m.start, "to": m.end, "flow_t_h": m.flow, "ppm": list(m.ppm)} for m in plan.matches],
        "outlets_ppm": {name: list(ppm) for name, ppm in plan.outlets.items()}, "alone": {name: _known(value) for name, value in found.alone.items()},
    }  # fmt: skip
    return json.dumps(made, ensure_ascii=False, indent=1)


def _known(value: float) -> float | None:
    """A number, or None where there is none."""
    return value if math.isfinite(value) else None
