# SPDX-License-Identifier: Apache-2.0
"""Findings of the doors: many problems as one error, hints for names, and how flows are known from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mangrove.errors import Problem, SourceError, Where, did_you_mean
from mangrove.territory.model import Flow
from mangrove.text import fold


class RejectedError(SourceError):
    """A mapping or a file has errors that stop the work; `problems` lists all of them."""

    def __init__(self, code: str, problems: Sequence[Problem]) -> None:
        self._problems = tuple(problems)
        super().__init__(code, count=len(self._problems))

    @property
    def problems(self) -> Sequence[Problem]:
        """Every finding, in file order."""
        return self._problems


def unknown_flow(
    flow: str, known: Iterable[str], where: Where | None, severity: str = "warning", rows: int = 0
) -> Problem:
    """The problem of a name that is no declared flow (`rows`: how many rows carry it)."""
    return Problem(
        "sources.unknown_flow",
        {"flow": flow, "hint": did_you_mean(flow, known), "rows": rows},
        where,
        severity,
    )


def names_of(flows: Iterable[Flow]) -> dict[str, str]:
    """Folded outside names (id, meter, name) to flow ids; a name that two flows share names neither.

    An id always names its flow, also when it is another flow's meter.
    """
    flows = list(flows)
    others = Counter(name for flow in flows for name in {fold(flow.meter), fold(flow.name)} if name)
    found = {
        name: flow.id for flow in flows for name in (fold(flow.name), fold(flow.meter)) if others[name] == 1
    }
    found.update({fold(flow.id): flow.id for flow in flows})
    return found
