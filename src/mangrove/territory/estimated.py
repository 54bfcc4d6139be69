# SPDX-License-Identifier: Apache-2.0
"""What is declared about estimates: which live series drives which emissions, and which flow is estimated from which others.

Comes in: `drivers.csv`, `virtual.csv`, the flows and the sector words. Goes out: drivers and virtual meters in file order, and
problems: a target or a flow that is not declared, an estimate that would read itself, the same pair given twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from mangrove.errors import Problem, did_you_mean
from mangrove.territory.model import Driver, Flow, VirtualMeter
from mangrove.territory.tables import Parsed

_DRIVER_FIELDS = ("target", "index", "elasticity", "spread", "place", "note")
_VIRTUAL_FIELDS = ("flow", "inputs", "reference", "parameters", "note")


def build(
    drivers: Parsed, virtual: Parsed, flows: Mapping[str, Flow], sectors: Collection[str]
) -> tuple[list[Driver], list[VirtualMeter], list[Problem]]:
    """The nouns of both tables and what is wrong with them."""
    targets = {*flows, *sectors, *(f.gpc for f in flows.values()), *(f.sector for f in flows.values())} - {""}
    problems = [*_driver_problems(drivers, flows, targets), *_virtual_problems(virtual, flows)]
    return (
        list(map(Driver, *drivers.fields(_DRIVER_FIELDS))),
        list(map(VirtualMeter, *virtual.fields(_VIRTUAL_FIELDS))),
        problems,
    )


def _driver_problems(
    parsed: Parsed, flows: Mapping[str, Flow], targets: Collection[str]
) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], int] = {}
    values = parsed.values
    for row, (target, index) in enumerate(zip(values["target"], values["index"], strict=True)):
        if target and target not in targets:
            data = {"text": target, "hint": did_you_mean(target, targets)}
            yield Problem("territory.unknown_target", data, parsed.where(row, "target"))
        yield from _no_flow(parsed, row, "index", [index] if index else [], flows)
        if index and flows.get(index) is not None and target in (index, flows[index].gpc):
            yield Problem("territory.reads_itself", {"flow": index}, parsed.where(row, "index"))
        key = (target or "", index or "", values["place"][row] or "")
        if all(key[:2]) and key in seen:
            data = {"id": " ".join(key).strip(), "first": str(parsed.where(seen[key], "target"))}
            yield Problem("territory.duplicate_id", data, parsed.where(row, "target"))
        seen.setdefault(key, row)


def _virtual_problems(parsed: Parsed, flows: Mapping[str, Flow]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    values = parsed.values
    for row, (flow, inputs) in enumerate(zip(values["flow"], values["inputs"], strict=True)):
        reference = values["reference"][row]
        for column, named in (
            ("flow", [flow] if flow else []),
            ("inputs", inputs or []),
            ("reference", [reference] if reference else []),
        ):
            yield from _no_flow(parsed, row, column, named, flows)
        if flow and inputs and (flow in inputs or reference in inputs):
            yield Problem("territory.reads_itself", {"flow": flow}, parsed.where(row, "inputs"))
        if flow and flow in seen:
            data = {"id": flow, "first": str(parsed.where(seen[flow], "flow"))}
            yield Problem("territory.duplicate_id", data, parsed.where(row, "flow"))
        seen.setdefault(flow or "", row)


def _no_flow(
    parsed: Parsed, row: int, column: str, named: list[str], flows: Mapping[str, Flow]
) -> Iterator[Problem]:
    for name in named:
        if name not in flows:
            data = {"text": name, "hint": did_you_mean(name, flows)}
            yield Problem("territory.no_flow", data, parsed.where(row, column))
