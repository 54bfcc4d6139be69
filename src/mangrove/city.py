# SPDX-License-Identifier: Apache-2.0
"""What a city asks of its ledger besides the verbs: why its emissions changed, where they come from, what an event did.

Comes in: a handle and periods. Goes out: results that hold their numbers, intervals and reasons. This room opens the ledger and hands
what one room found to the next; the work is done by the rooms themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mangrove import api
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.measure.nowcast import Nowcast
    from mangrove.measure.why.event import Event
    from mangrove.measure.why.verb import Why
    from mangrove.measure.why.where import Hotspots


def nowcast(
    park: Handle,
    at: str | date | datetime | None = None,
    start: str | date | datetime | None = None,
    *,
    as_of: str | datetime | None = None,
    store: bool = True,
    **options: Any,
) -> Nowcast:
    """Hourly emissions to the present, with intervals: the inventory anchors the level, live series drive the change.

    Args:
        park: an opened territory with an inventory in its ledger.
        at: the present, local time; now when left out. What ended after it is not seen.
        start: the first instant; the beginning of the local year when left out.
        as_of: use only what was recorded until then.
        store: write the run `estimate/nowcast` and a record.
        **options: `priors`, `samples`, `seed`, see `mangrove.measure.nowcast.nowcast`.

    Raises:
        RequestError, DataQualityError: there is nothing to nowcast, or a series cannot drive anything.
        LedgerError: there is no store yet, or another process writes to it.
    """
    from mangrove import rules
    from mangrove.measure.nowcast import nowcast as estimate
    from mangrove.times import instant

    known = instant(as_of, park.territory.tz) if as_of is not None else None
    with park.writer() if store else park.reader() as ledger:
        return estimate(ledger, park.territory, rules.load(), at, start, as_of=known, stored=store, **options)


def why(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    against: str | date | datetime | None = None,
    **question: Any,
) -> Why:
    """Why the emissions of a period differ from those of another: causes that add up to the change exactly.

    Args:
        park: an opened territory with values in its ledger.
        start: a period ("2024-06"), or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        against: the period that it is compared with, or its first instant when `end` is given (it is then as long); the same time a
            year earlier when left out.
        **question: `gwp`, `run`, `place`, `borders`, `allow`, `as_of` as in `measure`.

    Raises:
        RequestError: the question makes no sense, or no flow has values in both periods.
        LedgerError: there is no store yet, or it is damaged.
    """
    from mangrove.measure.why.verb import explain_change

    tz = park.territory.tz
    span = Span.asked(start, end, tz)
    other = _against(span, against, tz, exact=end is not None)
    after, before = (api.measure(park, one.start, one.end, store=False, **question) for one in (span, other))
    with park.reader() as ledger:
        return explain_change(ledger, before, after)


def hotspots(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    by: Sequence[str] = ("place",),
    top: int = 10,
    share: float = 0.5,
    seed: int = 0,
    **question: Any,
) -> Hotspots:
    """Where most emissions of a period come from, with the chance of each place (sector, ...) to be among the first.

    Args:
        park: an opened territory with values in its ledger.
        start: a period, or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        by: columns to group by, as in `measure`.
        top: how many groups are the first.
        share: of the total that the smallest set of groups is to hold.
        seed: of the samples.
        **question: `gwp`, `run`, `place`, `borders`, `allow`, `as_of` as in `measure`.

    Raises:
        RequestError: the question makes no sense, or nothing was measured.
        LedgerError: there is no store yet, or it is damaged.
    """
    from mangrove.measure.plan import NOWCAST
    from mangrove.measure.why.where import hotspots as rank
    from mangrove.measure.why.where import ranked

    result = api.measure(park, start, end, by=by, store=False, **question)
    if result.plan.question.run == NOWCAST and len(result):  # its ranks carry the doubt of the nowcast itself
        span = result.plan.question.span
        made = nowcast(park, span.end, span.start, as_of=question.get("as_of"), store=False, seed=seed)
        keys, mean, drawn = made.groups(by)
        return ranked(tuple(by), keys, mean, drawn, top=top, share=share)
    return rank(result, by, top=top, share=share, seed=seed)


def event(
    park: Handle,
    flows: Sequence[str],
    at: str | date,
    *,
    controls: Sequence[str] = (),
    after: int = 28,
    rate: float = 0.1,
) -> Event:
    """What an event changed in daily series, with a false discovery rate over all of them.

    Args:
        park: an opened territory with values in its ledger.
        flows: ids of flows with a step of at most a day.
        at: the first day of the event, local.
        controls: ids of flows that the event cannot have touched.
        after: days after the beginning that count at most.
        rate: share of the findings that may be false on average.

    Raises:
        RequestError: an unknown flow.
        LedgerError: there is no store yet, or it is damaged.
    """
    from mangrove.measure.why.event import event as tell
    from mangrove.times import parse_date

    with park.reader() as ledger, ledger.snapshot() as snapshot:
        day = at if isinstance(at, date) else parse_date(at)
        return tell(snapshot, park.territory, flows, day, controls=controls, after=after, rate=rate)


def _against(span: Span, against: str | date | datetime | None, tz: Any, *, exact: bool) -> Span:
    """The period of comparison: named, or as long as `span` from a named instant, or the same time a year earlier."""
    if against is None:
        begin, end = (one.astimezone(tz) for one in (span.start, span.end))
        return Span(_year_before(begin), _year_before(end))
    if exact:
        from mangrove.times import instant

        first = instant(against, tz)
        return Span(first, first + (span.end - span.start))
    return Span.asked(against, None, tz)


def _year_before(moment: datetime) -> datetime:
    """The same local time a year earlier; 28 February for the 29th."""
    from datetime import UTC

    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(year=moment.year - 1, day=day).astimezone(UTC)
