# SPDX-License-Identifier: Apache-2.0
"""What an event changed (a road closed, a plant moved, a holiday, a rule in force), with control of false alarms over many series.

Comes in: flows with daily values and the day of the event. Goes out: for each flow the change against what calendar, warmth and the flows
that the event does not touch lead one to expect, and which of the changes may be called findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import MangroveError, Problem, RequestError, Sentence, did_you_mean
from mangrove.inference import events
from mangrove.inference.days import CLOSED, SATURDAY, SUNDAY, kinds
from mangrove.ledger import Snapshot
from mangrove.measure.why.days import CDD_BASE, HISTORY, Days, days_off, read
from mangrove.territory.model import Territory
from mangrove.times import Span

Floats = npt.NDArray[np.float64]
FALSE = 0.10
"""Share of the findings that may be false."""


@dataclass(frozen=True, eq=False)
class Event:
    """What changed with an event.

    Attributes:
        at: the day; effects: by flow; found: flows whose change is a finding at the false discovery rate `rate`.
        problems: flows of which nothing can be said, and why.
    """

    at: date
    effects: dict[str, events.Effect]
    found: frozenset[str]
    rate: float
    problems: tuple[Problem, ...]

    def table(self) -> pa.Table:
        """One row a flow: flow, change, low, high (95 %), p, placebos, days, finding."""
        names = list(self.effects)
        rows = [self.effects[name] for name in names]
        return pa.table(
            {
                "flow": names,
                **{
                    column: [getattr(row, column) for row in rows]
                    for column in ("change", "low", "high", "p", "placebos", "days")
                },
                "finding": [name in self.found for name in names],
            }
        )


def event(
    snapshot: Snapshot,
    territory: Territory,
    flows: Sequence[str],
    at: date,
    *,
    controls: Sequence[str] = (),
    after: int = 28,
    rate: float = FALSE,
) -> Event:
    """The change of flows from the day `at` on.

    Args:
        snapshot: of the ledger.
        territory: declares the flows.
        flows: ids of flows with a step of at most a day.
        at: the first day of the event, local.
        controls: ids of flows that the event cannot have touched; calendar and warmth always control.
        after: days after the beginning that count at most.
        rate: false discovery rate over all the flows.

    Raises:
        RequestError: `why.unknown_flow`; `why.control_is_flow`.
    """
    for name in (*flows, *controls):
        if name not in territory.flows:
            hint = did_you_mean(name, territory.flows)
            raise RequestError("why.unknown_flow", flow=name, hint=hint)
    both = set(flows) & set(controls)
    if both:
        raise RequestError("why.control_is_flow", flow=", ".join(sorted(both)))
    days = _read(snapshot, territory, [*flows, *controls], at, after)
    outside = _controls(territory, days, controls)
    first = (at - date(1970, 1, 1)).days
    found: dict[str, events.Effect] = {}
    problems = []
    for name in flows:
        if name not in days:
            problems.append(Problem("why.event_silent", {"flow": name}, severity="warning"))
            continue
        try:
            one = days[name]
            known = np.where(one.whole(), level(territory, name, one), np.nan)
            found[name] = events.effect(known, outside, first - int(one.days[0]), after=after)
        except MangroveError as error:
            problems.append(
                Problem(
                    "why.event_of",
                    {"flow": name, "reason": Sentence(error.code, tuple(error.problem.data.items()))},
                    severity="warning",
                )
            )
    chosen = events.discoveries([one.p for one in found.values()], rate)
    names = frozenset(name for name, one in zip(found, chosen, strict=True) if one)
    return Event(at, found, names, rate, tuple(problems))


def level(territory: Territory, name: str, days: Days) -> Floats:
    """The daily level of a flow: the mean of rates and states, the sum of amounts; (D,), NaN without values."""
    if territory.flows[name].semantics in ("state", "mean"):
        return days.mean
    return np.where(days.count > 0, days.total, np.nan)


def _read(
    snapshot: Snapshot, territory: Territory, flows: Sequence[str], at: date, after: int
) -> dict[str, Days]:
    warmth = [flow.id for flow in territory.flows.values() if str(flow.carrier) == "weather:temperature"]
    span = Span.asked(at - HISTORY, at + timedelta(days=after), territory.tz)
    wanted = [territory.flows[name] for name in dict.fromkeys([*flows, *warmth])]
    return read(snapshot, territory, wanted, span)


def _controls(territory: Territory, days: dict[str, Days], controls: Sequence[str]) -> Floats:
    """Calendar, warmth and the logarithms of the untouched flows, (D, C)."""
    if not days:
        return np.zeros((0, 0))
    numbers = next(iter(days.values())).days
    kind = kinds(numbers, days_off(territory))
    columns: list[Floats] = [np.asarray(kind == which, np.float64) for which in (SATURDAY, SUNDAY, CLOSED)]
    for flow in territory.flows.values():
        if str(flow.carrier) == "weather:temperature" and flow.id in days:
            columns.append(np.maximum(days[flow.id].mean - CDD_BASE, 0))
            break
    for name in controls:
        if name in days:
            known = level(territory, name, days[name])
            columns.append(np.log(np.where(known > 0, known, np.nan)))
    return np.column_stack(columns)
