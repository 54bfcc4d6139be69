# SPDX-License-Identifier: Apache-2.0
"""The electricity of street plans for the energy network: hourly values of what vehicles charge, as the run `plan/<name>`.

Comes in: a `Judged` with modes of charging, an opened territory with flows that ask for it, a period. Goes out: values of these flows, so that `mangrove size
--run plan/<name>` sizes with them, `mangrove measure --run plan/<name>` counts what power plants emit for them, and pages show them. A flow asks
with the carrier electricity and the parameter `charging`: `all`, a mode (`home`, `work`, `swap`, `depot`) or a vehicle class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mangrove.errors import Problem, RequestError
from mangrove.times import Span

if TYPE_CHECKING:
    import pyarrow as pa

    from mangrove.handle import Handle
    from mangrove.street_plans import Judged
    from mangrove.territory.model import Flow, Territory
    from mangrove.traffic.roads import Floats

PARAMETER = "charging"
MODEL = "plan/streets"
_ALL = "all"
_HOUR, _DAY = 3600, 24
_MOST_HOURS = 3660 * _DAY
"""Ten years: every day of them is the same one."""


@dataclass(frozen=True)
class Handed:
    """What was handed over: the run, its flows, how many values are new; problems: flows that could not be served."""

    run: str
    flows: tuple[str, ...]
    rows: int
    problems: tuple[Problem, ...] = ()


def hand_over(
    handle: Handle, judged: Judged, start: str | date | datetime, end: str | date | datetime | None = None
) -> tuple[Handed, ...]:
    """Writes what vehicles charge on every day of a period, for each plan; every day is the day that was judged.

    Args:
        handle: an opened territory.
        judged: with modes of charging, of a whole day.
        start: a period (`2030`), or its first instant.
        end: first instant that no longer counts.

    Raises:
        RequestError: `roads.load_hours`, `roads.load_modes`, `roads.load_flows` (no flow asks), `roads.load_name` (the name is that of another plan).
    """
    territory = handle.territory
    if not judged.verdict.daily:
        raise RequestError("roads.load_hours")
    asking, span = wanted(territory, start, end)
    missing = next((plan.name for plan in judged.plans if not judged.modes(plan.name)), None)
    if missing:
        raise RequestError("roads.load_modes", plan=missing)
    return tuple(_stored(handle, judged, plan.name, plan.digest, asking, span) for plan in judged.plans)


def wanted(
    territory: Territory, start: str | date | datetime, end: str | date | datetime | None = None
) -> tuple[list[Flow], Span]:
    """The flows that ask for what vehicles charge, and the period; whoever asks before a judgement need not wait for it to learn that there are none.

    Raises:
        RequestError: `roads.load_flows` (no flow asks), `roads.load_long`; what `Span.asked` raises when this is no period.
    """
    asking = [flow for flow in territory.flows.values() if PARAMETER in flow.parameters]
    if not asking:
        raise RequestError("roads.load_flows")
    span = Span.asked(start, end, territory.tz)
    if span.hours > _MOST_HOURS:
        raise RequestError("roads.load_long", days=f"{span.hours / _DAY:.0f}", most=_MOST_HOURS // _DAY)
    return asking, span


def _stored(  # noqa: PLR0917 - one plan of one judgement
    handle: Handle, judged: Judged, plan: str, digest: str, asking: list[Flow], span: Span
) -> Handed:
    from mangrove.ledger import Origin

    run, problems = f"plan/{plan}", []
    tables, flows = [], []
    for flow in asking:
        try:
            tables.append(_values(handle.territory, judged, plan, flow, span))
            flows.append(flow.id)
        except RequestError as error:
            problems.append(Problem(error.code, error.problem.data, flow.where, "warning"))
    if not tables:
        return Handed(run, (), 0, tuple(problems))
    import pyarrow as pa

    table = pa.concat_tables(tables)
    content = hashlib.sha256(digest.encode())
    for name in ("start", "value"):
        content.update(table.column(name).combine_chunks().buffers()[1])
    origin = Origin(
        "model:streets", f"{run}:{content.hexdigest()}", run, MODEL, version("mangrove"), (digest,), plan
    )
    with handle.writer() as ledger:
        others = ledger.batches().select(["run", "model"]).to_pylist()
        if any(row["run"] == run and row["model"] != MODEL for row in others):
            raise RequestError("roads.load_name", name=plan)
        receipt = ledger.append(table, origin)
    return Handed(run, tuple(flows), 0 if receipt.duplicate else receipt.rows, tuple(problems))


def _values(territory: Territory, judged: Judged, plan: str, flow: Flow, span: Span) -> pa.Table:
    """Rows of one flow: each hour of each day of the period by the local clock, parted evenly where its step is shorter."""
    import numpy as np
    import pyarrow as pa

    from mangrove.inference.power import amount

    day = _day(territory, judged, plan, flow)
    seconds = flow.step.seconds if flow.step is not None else None
    if not seconds or _HOUR % seconds:
        raise RequestError("roads.load_step", flow=flow.id)
    starts = np.arange(int(span.start.timestamp()), int(span.end.timestamp()), seconds)
    hours = np.array([at.hour for at in _local(territory, span)])[(starts - starts[0]) // _HOUR]
    rows = day[hours] * seconds / _HOUR / amount(flow)
    return pa.table(
        {
            "flow": pa.array([flow.id] * len(starts), pa.string()),
            "start": pa.array(starts * 1_000_000).cast(pa.timestamp("us", tz="UTC")),
            "value": pa.array(rows, pa.float64()),
        }
    )


def _local(territory: Territory, span: Span) -> Iterator[datetime]:
    """The hours of a span by the local clock."""
    from datetime import timedelta

    at = span.start
    while at < span.end:
        yield at.astimezone(territory.tz)
        at += timedelta(hours=1)


def _day(territory: Territory, judged: Judged, plan: str, flow: Flow) -> Floats:
    """(24,) kWh of the zones that a flow's place lies in or holds.

    Raises:
        RequestError: `roads.load_what`, `roads.load_place`.
    """
    asked: Any = str(flow.parameters[PARAMETER])
    verdict = judged.verdict
    known = {_ALL, *(mode.name for mode in judged.modes(plan)), *verdict.driven[verdict.plans.index(plan)]}
    known |= {mode.name for one in judged.plans for mode in judged.modes(one.name)} | {
        *verdict.first[0].flows.case.classes
    }
    if asked not in known:
        raise RequestError("roads.load_what", flow=flow.id, text=asked, options=", ".join(sorted(known)))
    columns = [
        at for at, zone in enumerate(verdict.zones[:-1])
        if territory.lies_in(zone, flow.place) or territory.lies_in(flow.place, zone)
    ]  # fmt: skip
    if not columns or flow.carrier.kind != "electricity":
        raise RequestError("roads.load_place", flow=flow.id)
    found = judged.charged(plan, "" if asked == _ALL else asked)
    assert found is not None
    whole: Floats = found[:, columns].sum(axis=1)
    return whole
