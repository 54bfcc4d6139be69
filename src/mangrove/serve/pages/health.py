# SPDX-License-Identifier: Apache-2.0
"""Data health: which inputs are late, stuck or missing, those first that touch most of the reported total.

Comes in: the declared flows, what the ledger knows of them, the state of the connectors. Goes out: one row for each fault of an
input, with since when, how many values, how many tonnes of the reported total rest on this input, and what to do about it. The
reported total is the inventory of the local year so far; an input without any value of this year touches what it was planned to
emit, or nobody knows, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mangrove import messages
from mangrove.errors import Problem, RequestError
from mangrove.figures import Bar, Coverage, coverage_strip, interval_bars
from mangrove.ledger.types import COUNTED, Quality
from mangrove.measure.result import Emissions
from mangrove.serve import newest
from mangrove.serve.pages import now_model
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View, period_of
from mangrove.territory.model import Flow
from mangrove.times import Span, Step

if TYPE_CHECKING:
    from mangrove.ledger import Snapshot

KINDS = ("never", "late", "excluded", "missing", "device", "quarantine", "estimated")
"""Kinds of faults in the order in which they are told when they touch the same: code `page_health.kind_<kind>`."""
_ESTIMATED = KINDS[-1]
_FAULTY = {
    Quality.CALIBRATING: "calibrating", Quality.FAULT: "fault", Quality.RANGE: "range", Quality.SPIKE: "spike",
    Quality.STUCK: "stuck", Quality.CLOCK: "clock", Quality.MISSING: "gap",
}  # fmt: skip
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_LOOK_BACK = timedelta(days=400)
"""How far back the last value of a flow is looked for first; only of those that have none since then all values are looked at."""
_RARE = timedelta(days=28)
"""Inputs whose values stand for so long or longer are entered by people, not sent by meters."""
_FIRST = datetime(1900, 1, 1, tzinfo=UTC)
_SHORT_STEP = 3600
_PATIENCE = 2
"""Whole intervals of an hour or less that may be missing before an input counts as late: one may be on its way."""
_STRIPS = 16
_DAYS_SHOWN = 35
_COMPLETE = 0.9995
_LISTED = 50
"""Faults that the page lists; the table and the JSON have all."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with one input.

    Attributes:
        kind: one of `KINDS`; detail: what exactly, as a word of `page_health.detail_<detail>`, or empty.
        flow: id, empty for a device or a source; name, place: for people; place_id: to look it up.
        since: when it began, UTC; count: values or intervals concerned, None when they cannot be counted.
        touches: t CO2e of the reported total that rest on this input, None when nobody knows; share: of that total.
        planned: whether `touches` is from the plan because nothing was measured.
        problem: what the device or the door said; entered: whether people enter its values rather than meters send them.
    """

    kind: str
    flow: str
    name: str
    place: str
    place_id: str
    since: datetime | None = None
    count: int | None = None
    detail: str = ""
    touches: float | None = None
    share: float | None = None
    planned: bool = False
    problem: Problem | None = None
    entered: bool = False

    @property
    def remedy(self) -> str:
        """What to do about it: code `page_health.remedy_<remedy>`."""
        entered = self.entered and self.kind in {"never", "late"}
        return f"{self.kind}_entered" if entered else self.kind

    @property
    def rank(self) -> tuple[bool, float, int, str]:
        """What touches more comes first, what nobody knows before it; estimates, which are in the total, come last."""
        touched = math.inf if self.touches is None and self.kind == "never" else abs(self.touches or 0.0)
        return (self.kind == _ESTIMATED, -touched, KINDS.index(self.kind), self.flow)


@dataclass(frozen=True)
class Health:
    """The page.

    Attributes:
        faults: worst first; total: t CO2e of the year so far; year: the year; touched: t CO2e that rest on inputs with a fault,
            nan when too few companies have them to tell.
        inputs: how many flows are watched; fine: how many have no fault; strips: daily coverage of the worst inputs.
        first: first day of the strips; detailed: whether the reader may see single inputs; gross: t CO2e of
            the year so far, what takes away counted by its size.
    """

    faults: tuple[Fault, ...]
    total: float
    touched: float
    year: int
    inputs: int
    fine: int
    strips: tuple[Coverage, ...]
    first: datetime
    view: View
    detailed: bool = True
    gross: float = math.nan

    @property
    def share(self) -> float:
        """The share of what is reported that rests on inputs with a fault; removals count by their size in both."""
        return self.touched / self.gross if self.gross > 0 else math.nan

    @property
    def listed(self) -> tuple[Fault, ...]:
        """The worst faults: as many as a person reads on a page."""
        return self.faults[:_LISTED]

    @property
    def over(self) -> bool:
        """Whether the year is over."""
        return self.year < self.view.now.astimezone(self.view.tz).year

    @property
    def state(self) -> str:
        """`fine`, `touched` or `empty`."""
        if not self.inputs or math.isnan(self.total):
            return "empty"
        return "touched" if self.fine < self.inputs else "fine"

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        return {
            "year": self.year,
            "total_t_co2e": self.total,
            "touched_t_co2e": self.touched,
            "touched_share": self.share,
            "inputs": self.inputs,
            "inputs_fine": self.fine,
            "faults": self.tables()["faults"].to_pylist(),
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """The faults, worst first."""
        rows = self.faults if self.detailed else ()
        return {
            "faults": pa.table(
                {
                    "kind": pa.array([row.kind for row in rows], pa.string()),
                    "detail": pa.array([row.detail for row in rows], pa.string()),
                    "flow": pa.array([row.flow for row in rows], pa.string()),
                    "place": pa.array([row.place_id for row in rows], pa.string()),
                    "name": pa.array([row.name for row in rows], pa.string()),
                    "since": pa.array([row.since for row in rows], pa.timestamp("us", "UTC")),
                    "count": pa.array([row.count for row in rows], pa.int64()),
                    "touches_t_co2e": pa.array([row.touches for row in rows], pa.float64()),
                    "share": pa.array([row.share for row in rows], pa.float64()),
                }
            )
        }

    def figures(self, lang: str) -> Mapping[str, str]:
        """What each fault touches, and the daily coverage of the inputs with faults."""
        found = {}
        touched: dict[str, float] = {}
        for fault in self.faults if self.detailed else ():
            if fault.touches and fault.kind != _ESTIMATED:
                touched.setdefault(fault.name, fault.touches)
        if touched:
            bars = [Bar(name, tonnes) for name, tonnes in list(touched.items())[:_STRIPS]]
            title = messages.render("page_health.figure_touched", lang)
            found["touched"] = interval_bars(bars, title=title, lang=lang, heading=False)
        if self.strips:
            title = messages.render("page_health.figure_coverage", lang)
            found["coverage"] = coverage_strip(
                self.strips,
                start=self.first.astimezone(self.view.tz).date(),
                title=title,
                lang=lang,
                heading=False,
            )
        return found


def build(live: Live, view: View) -> Health:
    """The page for one view.

    Raises:
        RequestError: `live.not_yours`: too few companies are at the place in focus.
    """
    inspection = _Inspection(live, view)
    if view.place and not view.scope.tells([flow.id for flow in inspection.flows]):
        raise RequestError("live.not_yours", cell=view.place)
    return inspection.page()


class _Inspection:
    """Looks at every input that the reader may see."""

    def __init__(self, live: Live, view: View) -> None:
        self.live = live
        self.view = view
        self.now = view.now
        self.territory = live.territory
        self.flows = [flow for flow in self.territory.flows.values() if self._watched(flow)]
        self.year = self._year()

    def _year(self) -> Span:
        """The present year, or the newest one with values when an inventory that is made once a year has none of this one yet."""
        present = period_of("year", self.now, self.view.tz)
        counted = {f.id for f in self.territory.flows.values() if f.account == "inventory"}
        if not self.live.cut() or self.live.measure(Span(present.start, self._until(present))).leaves:
            return present
        return period_of(str(newest.year(self.live, self.now, counted)), self.now, self.view.tz)

    def _until(self, year: Span) -> datetime:
        """The end of the year as far as it is looked at."""
        end = max(min(self.view.span.end, year.end), year.start + timedelta(hours=1))
        return end if self.view.span.end > year.start else year.end

    def _watched(self, flow: Flow) -> bool:
        inside = not self.view.place or self.territory.lies_in(flow.place, self.view.place)
        seen = flow.id in self.view.scope.flows or self.view.scope.suppresses
        return flow.semantics != "state" and inside and seen and flow.basis != "assumed"

    def page(self) -> Health:
        faults = sorted(self._faults(), key=lambda fault: fault.rank) if self.live.cut() else []
        faulty = {
            fault.flow: abs(fault.touches or 0.0)
            for fault in faults
            if fault.flow and fault.kind != _ESTIMATED
        }
        return Health(
            faults=tuple(faults),
            total=self.total,
            touched=math.fsum(faulty.values()) if self.view.scope.tells(faulty) else math.nan,
            year=self.year.start.astimezone(self.view.tz).year,
            inputs=len(self.flows),
            fine=sum(flow.id not in faulty for flow in self.flows),
            strips=self._strips(faults),
            first=self._first_day,
            view=self.view,
            detailed=not self.view.scope.suppresses,
            gross=math.fsum(map(abs, self.tonnes.values())) if self.live.cut() else math.nan,
        )

    @cached_property
    def result(self) -> Emissions:
        """The inventory of the year so far, with what it says of every flow."""
        return self.live.measure(self._so_far)

    @cached_property
    def _so_far(self) -> Span:
        return Span(self.year.start, self._until(self.year))

    @cached_property
    def tonnes(self) -> dict[str, float]:
        """Tonnes CO2e of the year so far by flow."""
        found: dict[str, float] = {}
        for leaf in self.result.leaves:
            if leaf.account == "inventory":
                found[leaf.flow] = found.get(leaf.flow, 0.0) + leaf.co2e / 1000
        return found

    @cached_property
    def total(self) -> float:
        """Tonnes CO2e of the year so far, of the whole territory."""
        if not self.live.cut():
            return math.nan
        known = self.result.total()["co2e_kg"]
        return known / 1000 if math.isfinite(known) else math.nan

    # Faults

    def _faults(self) -> Iterator[Fault]:
        with self.live.snapshot() as snapshot:
            last = _last_values(snapshot, [flow.id for flow in self.flows], self.now)
            codes = _codes(snapshot, [flow.id for flow in self.flows], self.view)
        for flow in self.flows:
            yield from self._of_flow(flow, last.get(flow.id), codes.get(flow.id, {}))
        if self.view.scope.whole:
            yield from self._of_devices()
            yield from self._of_doors()

    def _of_flow(
        self, flow: Flow, last: datetime | None, codes: Mapping[int, tuple[int, datetime]]
    ) -> Iterator[Fault]:
        if last is None:
            yield self._fault("never", flow)
            return
        late = late_intervals(flow.step, last, self.now, self.view)
        if late:
            step = flow.step
            assert step is not None
            yield self._fault("late", flow, since=_after(step, last, self.view), count=late)
        for code, (count, since) in sorted(codes.items(), key=lambda item: -item[1][0]):
            if code in _FAULTY and not (late and code == Quality.MISSING and since >= last):
                yield self._fault("excluded", flow, since=since, count=count, detail=_FAULTY[Quality(code)])
        if Quality.FILLED in codes:
            count, since = codes[Quality.FILLED]
            yield self._fault("estimated", flow, since=since, count=count)
        missing = self._missing(flow, late)
        if missing:
            yield self._fault("missing", flow, count=missing)

    def _missing(self, flow: Flow, late: int) -> int:
        """Intervals of the view's span without any value, but for those at its end that are merely late."""
        step = flow.step
        if step is None or not step.seconds or not self.live.cut():
            return 0
        count = next((one for one in self._counts if one.flow == flow.id), None)
        if count is None or count.coverage is None or count.coverage >= _COMPLETE:
            return 0
        intervals = int(self.view.span.hours * 3600 // step.seconds)
        present: int = count.counted + count.excluded
        return max(intervals - present - late - 1, 0)

    @cached_property
    def _counts(self) -> Sequence[Any]:
        return self.live.measure(self.view.span).flows

    def _fault(self, kind: str, flow: Flow, **facts: Any) -> Fault:
        touches, planned = self._touched(flow)
        share = touches / self.total if touches is not None and self.total > 0 else None
        return Fault(
            kind,
            flow.id,
            flow.name or flow.id,
            self.territory.places[flow.place].name,
            flow.place,
            touches=touches,
            share=share,
            planned=planned,
            entered=self._entered(flow),
            **facts,
        )

    def _entered(self, flow: Flow) -> bool:
        """Whether people enter the values: no device is declared to send any, or they stand for months."""
        step = flow.step
        rare = step is not None and (step.months > 0 or timedelta(seconds=step.seconds) >= _RARE)
        return rare or not self.territory.points

    def _touched(self, flow: Flow) -> tuple[float | None, bool]:
        if flow.id in self.tonnes:
            return self.tonnes[flow.id], False
        if flow.account != "inventory" or flow.scope is None:
            return 0.0, False
        planned = self._planned.get(flow.id)
        return planned, planned is not None

    @cached_property
    def _planned(self) -> dict[str, float]:
        """Tonnes CO2e that the plan of the year expects so far, by flow; empty without a plan."""
        runs = sorted(run for run in now_model.runs(self.live).last if run.startswith("plan/"))
        if not runs:
            return {}
        found: dict[str, float] = {}
        for leaf in self.live.measure(self._so_far, run=runs[-1]).leaves:
            found[leaf.flow] = found.get(leaf.flow, 0.0) + leaf.co2e / 1000
        return found

    def _of_devices(self) -> Iterator[Fault]:
        """What the connectors say of devices that do not answer."""
        for states in self.live.health:
            for one in states():
                if one.status in {"failing", "late"}:
                    device = self.territory.devices.get(one.device)
                    place = self.territory.places.get(device.place) if device else None
                    flows = {point.flow for point in self.territory.points if point.device == one.device}
                    touches = math.fsum(self.tonnes.get(flow, 0.0) for flow in flows)
                    yield Fault(
                        "device",
                        "",
                        (device.name if device else "") or one.device,
                        place.name if place else "–",
                        place.id if place else "",
                        since=one.last,
                        touches=touches,
                        share=touches / self.total if self.total > 0 else None,
                        detail=one.status,
                        problem=one.problem,
                    )

    def _of_doors(self) -> Iterator[Fault]:
        """Rows that came in the view's span of recording and could not be read, by sender and reason."""
        from mangrove.ledger import records

        for source, code, count, since in records.refused(self.live.store):
            yield Fault("quarantine", "", source, code, "", since=since, count=count, touches=0.0, detail="")

    # Coverage

    @property
    def _first_day(self) -> datetime:
        end = self.now.astimezone(self.view.tz).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        return end - _DAYS_SHOWN * _DAY

    def _strips(self, faults: Sequence[Fault]) -> tuple[Coverage, ...]:
        """Daily coverage of the inputs with faults whose values come at least daily: none expected before the first value, today's hours so far."""
        wanted = list(dict.fromkeys(f.flow for f in faults if f.flow))
        fine = [
            f for f in wanted if (step := self.territory.flows[f].step) and 0 < step.seconds <= _DAY / _SECOND
        ]
        if not fine or self.view.scope.suppresses:
            return ()
        shares = {flow: np.zeros(_DAYS_SHOWN) for flow in fine[:_STRIPS]}
        with self.live.snapshot() as snapshot:
            rows = _daily(snapshot, list(shares), self._first_day, self.view)
            older = _older(snapshot, list(shares), self._first_day)
        so_far = (self.now - self._first_day) / timedelta(hours=1) - 24 * (_DAYS_SHOWN - 1)
        for flow, day, count in rows:
            if 0 <= day < _DAYS_SHOWN:
                hours: float = self.territory.flows[flow].step.hours  # type: ignore[union-attr]
                expected = 24.0 if day < _DAYS_SHOWN - 1 else max(hours * (so_far // hours - 1), hours)
                shares[flow][day] = min(count * hours / expected, 1.0)
        for flow, share in shares.items():
            if flow not in older and share.any():
                share[: int(np.flatnonzero(share)[0])] = math.nan
        return tuple(
            Coverage(self.territory.flows[flow].name or flow, list(share)) for flow, share in shares.items()
        )


def late_intervals(step: Step | None, last: datetime, now: datetime, view: View) -> int:
    """Whole intervals of a flow that are over and have not come, when they are so many that it counts as late.

    Args:
        step: of the flow; a flow without one is never late.
        last: start of its latest value.
        now: the present instant.
        view: its zone tells where days and months begin.

    Returns:
        0 while it is in time: up to `_PATIENCE` - 1 intervals of an hour or less may be on their way; of longer ones none.
    """
    if step is None:
        return 0
    if step.seconds:
        waiting = (now - last) // timedelta(seconds=step.seconds) - 1
        patience = _PATIENCE if step.seconds <= _SHORT_STEP else 1
    else:
        waiting, end = -1, last
        while end <= now:
            end = step.after(end, view.tz)
            waiting += 1
        waiting, patience = waiting - 1, 1
    return waiting if waiting >= patience else 0


def _after(step: Step, start: datetime, view: View) -> datetime:
    return start + timedelta(seconds=step.seconds) if step.seconds else step.after(start, view.tz)


def _quoted(keys: Sequence[str]) -> str:
    return ", ".join("'" + key.replace("'", "''") + "'" for key in keys) or "''"


def _last_values(snapshot: Snapshot, flows: Sequence[str], now: datetime) -> dict[str, datetime]:
    """The start of the latest value that was not a mark of a missing one, by flow."""
    found: dict[str, datetime] = {}
    for first, end in ((now - _LOOK_BACK, now + _DAY), (_FIRST, now - _LOOK_BACK)):
        wanted = [flow for flow in flows if flow not in found]
        rows = snapshot.connection.execute(
            "select f.key, max(r.start) from reading r join flow f on f.flow = r.flow "
            f"where f.key in ({_quoted(wanted)}) and r.start >= ? and r.start < ? and r.quality <> {int(Quality.MISSING)} group by f.key",
            [_naive(first), _naive(end)],
        ).fetchall()
        found |= {key: _aware(start) for key, start in rows}
    return found


def _codes(
    snapshot: Snapshot, flows: Sequence[str], view: View
) -> dict[str, dict[int, tuple[int, datetime]]]:
    """How many values of the span carry a quality that needs attention, and since when, by flow and code."""
    plain = ", ".join(str(int(code)) for code in COUNTED if code != Quality.FILLED)
    rows = snapshot.connection.execute(
        "select f.key, r.quality, count(*), min(r.start) from reading r join flow f on f.flow = r.flow "
        f"where f.key in ({_quoted(flows)}) and r.start >= ? and r.start < ? and r.quality not in ({plain}) "
        "group by f.key, r.quality",
        [_naive(view.span.start), _naive(view.span.end)],
    ).fetchall()
    found: dict[str, dict[int, tuple[int, datetime]]] = {}
    for key, code, count, since in rows:
        found.setdefault(key, {})[code] = (count, _aware(since))
    return found


def _daily(
    snapshot: Snapshot, flows: Sequence[str], first: datetime, view: View
) -> list[tuple[str, int, int]]:
    """Counted values by flow and local day, days numbered from the first."""
    counted = ", ".join(str(int(code)) for code in COUNTED)
    begin = _naive(first)
    rows = snapshot.connection.execute(
        "select f.key, cast(floor(epoch(r.start - cast(? as timestamp)) / 86400) as integer), count(*) "
        "from reading r join flow f on f.flow = r.flow "
        f"where f.key in ({_quoted(flows)}) and r.start >= ? and r.start < ? and r.quality in ({counted}) group by 1, 2",
        [begin, begin, _naive(view.now)],
    ).fetchall()
    return [(key, day, count) for key, day, count in rows]


def _older(snapshot: Snapshot, flows: Sequence[str], first: datetime) -> set[str]:
    """The flows that have values in the time before an instant."""
    rows = snapshot.connection.execute(
        "select distinct f.key from reading r join flow f on f.flow = r.flow "
        f"where f.key in ({_quoted(flows)}) and r.start >= ? and r.start < ?",
        [_naive(first - _LOOK_BACK), _naive(first)],
    ).fetchall()
    return {key for (key,) in rows}


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


SCREEN = Screen("health", order=40, model=build, template="health.html", period="month")
