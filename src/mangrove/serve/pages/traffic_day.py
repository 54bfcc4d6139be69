# SPDX-License-Identifier: Apache-2.0
"""The observed streets of one day for pages: their state each five minutes, what they emit, what of it is read and what is filled.

Comes in: the live state, a view, a pollutant. Goes out: a `Day`, kept for all who may see the same streets at the same cut. A street whose
meters stand at public places (wards, a city) is known to whoever sees totals; one that a company counts on its own ground only to who sees that
company. What a reader may not see is left out before anything is added up, so no sum holds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mangrove.errors import MangroveError, Problem
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Territory
from mangrove.times import Span, from_us

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mangrove.measure.traffic.ranking import Rates
    from mangrove.measure.traffic.state import LinkState
    from mangrove.measure.traffic.streets import Streets
    from mangrove.traffic.emissions import Amounts, Factors
    from mangrove.traffic.sumo_net import SumoNet

    Floats = npt.NDArray[np.float64]

CARBON = "CO2"
CELL = timedelta(minutes=5)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = timedelta(hours=26)
"""A day with the hour that summer time gives back; of a longer period its last day is shown."""
_ARRIVED = 0.8
"""Share of the usual number of streets that must have been read before a cell counts as the newest."""


@dataclass(frozen=True)
class Day:
    """The streets of one day (or of hours of it) that a reader may see.

    Attributes:
        span: what is looked at; state: T cells, L links, C classes; factors, amounts: of `CARBON` and of what is shown.
        hidden: how many streets the reader may not see; newest: the last cell that has arrived; problems: what to know.
    """

    span: Span
    state: LinkState
    factors: Factors
    amounts: Amounts
    hidden: int
    newest: int
    problems: tuple[Problem, ...]

    @property
    def streets(self) -> Streets:
        """The links."""
        return self.state.streets

    @cached_property
    def starts(self) -> tuple[datetime, ...]:
        """UTC of the cells."""
        return tuple(from_us(int(one)).astimezone(UTC) for one in self.state.starts)

    @cached_property
    def speed(self) -> Floats:
        """(T, L) km/h."""
        from mangrove.measure.traffic.ranking import mean_speed

        return mean_speed(self.state)

    def mass(self, pollutant: str) -> Floats:
        """(T, L, C) grams (kWh) of a pollutant."""
        found: Floats = self.amounts.mass[..., self.factors.pollutants.index(pollutant)]
        return found

    def rates(self, pollutant: str, cells: slice = slice(None)) -> Rates:
        """Means per hour; kg, or kWh of electricity."""
        from mangrove.measure.traffic.ranking import rates

        return rates(self.state, self.mass(pollutant), cells, grams=pollutant != "electricity")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(L,) name of each link's street; its id where the network has none."""
        net = self.streets.net
        if net is None:
            return self.streets.ids
        named = (net.names[edge] for edge in self.streets.edges)
        return tuple(name or own for name, own in zip(named, self.streets.ids, strict=True))


def hours_of(view: View, last: datetime | None = None) -> Span:
    """The hours that are shown: the period up to the last five minutes that have passed; of a long one the day of its `last` count."""
    past = datetime.fromtimestamp(view.now.timestamp() // 300 * 300, UTC)
    end = max(min(view.period.end, past), view.period.start + CELL)
    if end - view.period.start <= _LONGEST:
        return Span(view.period.start, end)
    local = (last or end - timedelta(microseconds=1)).astimezone(view.tz)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    start = max(view.period.start, midnight.astimezone(UTC))
    return Span(start, min(end, (midnight + timedelta(days=1)).astimezone(UTC)))


def last_count(live: Live, flows: Collection[str], start: datetime | None, end: datetime) -> datetime | None:
    """The start of the newest count of some flows in a time, UTC; None when there is none."""
    wanted = [one for one in flows if live.territory.flows[one].carrier.kind == "vehicles"]
    if not wanted or not live.cut():
        return None
    marks = ", ".join("?" for _ in wanted)
    query = f"select max(r.start) from reading r join flow f on f.flow = r.flow where f.key in ({marks}) and r.start < ? and r.start >= ?"
    first, until = ((one.astimezone(UTC).replace(tzinfo=None)) for one in (start or _EVER, end))
    with live.snapshot() as snapshot:
        row = snapshot.connection.execute(query, [*wanted, until, first]).fetchone()
    return row[0].replace(tzinfo=UTC) if row and row[0] is not None else None


def counts(territory: Territory) -> bool:
    """Whether anything counts vehicles."""
    return any(flow.carrier.kind == "vehicles" for flow in territory.flows.values())


def day(live: Live, view: View, pollutant: str) -> tuple[Day | None, tuple[Problem, ...]]:
    """The streets of the hours that a view shows; else what stands in the way."""
    if not counts(live.territory):
        return None, (Problem("vehicles.none_declared", severity="note"),)
    if not live.cut():
        return None, ()
    try:
        known = streets_of(live)
        kept, hidden = visible(known, view)
        if not kept.ids:
            code = "page_traffic.all_hidden" if hidden else "page_traffic.none_here"
            return None, (Problem(code, {"count": hidden} if hidden else {}, severity="note"),)
        span = hours_of(view, _last(live, view, kept))
        question = ("traffic", span, live.cut(), kept.ids, pollutant)
        return live.kept.get(question, lambda: _day(live, kept, span, pollutant, hidden, view.now)), ()
    except MangroveError as error:
        return None, tuple(error.problems)


def _last(live: Live, view: View, streets: Streets) -> datetime | None:
    """The last count of a long period."""
    period = view.period
    if period.end - period.start <= _LONGEST:
        return None
    end = min(period.end, view.now)
    flows = tuple(meter.flow.id for meter in streets.meters)
    question = ("last count", period, live.cut(), streets.ids, end.replace(minute=0, second=0, microsecond=0))
    return live.kept.get(question, lambda: last_count(live, flows, period.start, end))


def network_of(live: Live) -> SumoNet | None:
    """The network of the territory, read once for each version of its file."""
    from mangrove.traffic_state import network

    return live.kept.get(("network", *_version(live)), lambda: network(live.territory))


def streets_of(live: Live) -> Streets:
    """The counted streets."""
    from mangrove.measure.traffic import streets

    return live.kept.get(("streets", *_version(live)), lambda: streets(live.territory, network_of(live)))


def _version(live: Live) -> tuple[object, ...]:
    settings = live.territory.settings.get("traffic")
    named = str(settings.get("network") or "") if isinstance(settings, Mapping) else ""
    path = Path(live.territory.path) / named
    return live.territory.content_hash, path.stat().st_mtime_ns if named and path.is_file() else 0


def visible(streets: Streets, view: View) -> tuple[Streets, int]:
    """The streets in the place of the view that its reader may see, and how many others lie there."""
    import numpy as np

    scope, here = view.scope, np.ones(len(streets.ids), dtype=bool)
    if view.place:
        here = np.array([view.territory.lies_in(of, view.place) for of in streets.places], dtype=bool)
    flows: list[list[str]] = [[] for _ in streets.ids]
    for meter in streets.meters:
        flows[meter.link].append(meter.flow.id)
    shown = np.array(
        [
            scope.whole
            or all(one in scope.flows for one in own)
            or (scope.suppresses and not scope.companies(own))
            for own in flows
        ],
        dtype=bool,
    )
    hidden = int((here & ~shown).sum())
    return (streets if (here & shown).all() else only(streets, np.flatnonzero(here & shown))), hidden


def only(streets: Streets, links: npt.NDArray[np.int64]) -> Streets:
    """Some of the streets."""
    at = {int(link): number for number, link in enumerate(links)}
    meters = tuple(replace(meter, link=at[meter.link]) for meter in streets.meters if meter.link in at)
    return replace(
        streets,
        ids=tuple(streets.ids[link] for link in links),
        length=streets.length[links],
        limit=streets.limit[links],
        meters=meters,
        classes=tuple(dict.fromkeys(meter.vehicle for meter in meters if meter.vehicle)),
        edges=streets.edges[links],
        places=tuple(streets.places[link] for link in links),
    )


def _day(  # noqa: PLR0917 - private
    live: Live, streets: Streets, span: Span, pollutant: str, hidden: int, now: datetime
) -> Day:
    from mangrove.measure.traffic.emitted import emitted
    from mangrove.traffic_state import curves_for, remarks

    state = live.kept.get(
        ("traffic state", span, live.cut(), streets.ids), lambda: _observed(live, streets, span)
    )
    first, last = _known(state)
    if span.end + CELL > now:  # later cells have not arrived yet
        last = min(last, _newest(state) + 1)
    state = _between(state, first, last)
    span = Span(from_us(int(state.starts[0])), from_us(int(state.starts[-1])) + CELL)
    territory = live.territory
    factors = curves_for(territory, state.classes, tuple(dict.fromkeys((CARBON, pollutant))), "", span)
    problems = (*state.problems, *remarks(territory, factors, ""))
    return Day(span, state, factors, emitted(state, factors), hidden, _newest(state), problems)


def _observed(live: Live, streets: Streets, span: Span) -> LinkState:
    from mangrove.measure.traffic import observe

    with live.snapshot() as snapshot:
        return observe(live.territory, streets, span, snapshot)


def _newest(state: LinkState) -> int:
    """The last cell in which as many streets were read as usual."""
    import numpy as np

    from mangrove.measure.traffic.state import Basis

    read = (state.basis <= Basis.SHARED).sum(axis=1)
    some = np.flatnonzero(read)
    if not len(some):
        return len(read) - 1
    return int(np.flatnonzero(read >= _ARRIVED * np.median(read[some]))[-1])


def _known(state: LinkState) -> tuple[int, int]:
    """The first cell in which anything is known, and the one after the last."""
    import numpy as np

    from mangrove.measure.traffic.state import Basis

    some = np.flatnonzero((state.basis != Basis.MISSING).any(axis=1))
    return (int(some[0]), int(some[-1]) + 1) if len(some) else (0, len(state.starts))


def _between(state: LinkState, first: int, last: int) -> LinkState:
    """Some cells of a state."""
    names = ("starts", "flow", "speed", "flow_error", "speed_error", "basis")
    return replace(state, **{name: getattr(state, name)[first:last] for name in names})


def network_file(live: Live, name: str) -> SumoNet | None:
    """The network of the territory when it has this file name, else the file of that name in its folder; None without one."""
    from mangrove.traffic.sumo_net import read_net

    own = network_of(live)
    if own is not None and own.path.name == Path(name).name:
        return own
    path = Path(live.territory.path) / Path(name).name
    if not path.is_file():
        return own
    return live.kept.get(("network", str(path), path.stat().st_mtime_ns), lambda: read_net(path))
