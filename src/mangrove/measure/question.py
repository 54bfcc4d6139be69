# SPDX-License-Identifier: Apache-2.0
"""The question that a measurement answers: which time, by what, how fine, in which GWP set, as known when.

Comes in: what a person writes on the command line or in Python. Goes out: a frozen `Question` in which everything is
checked and resolved, so that it can be stored beside its answer and asked again years later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from mangrove import messages, text
from mangrove.errors import LedgerError, RequestError, did_you_mean
from mangrove.ledger.types import HAPPENED, RUNS, check_run
from mangrove.rules.types import STATUSES
from mangrove.territory.model import Territory
from mangrove.times import Span, Step, instant

FLOW_COLUMNS = ("flow", "place", "sector", "scope", "gpc", "category", "carrier", "basis", "meter", "method")
"""Columns of the flow that a view can group by; any kind of place ("ward", "facility") is a column too."""
GAS_COLUMNS = ("gas", "account")
"""Columns that belong to the emission rather than to the flow."""
ACCOUNTS = ("inventory", "memo", "avoided", "removal")
VIEWS = ("location", "market")
MOST_BUCKETS = 1_000_000
"""A week of seconds and a year of minutes fit; a month of seconds needs more memory than a laptop has."""
BOTH_VIEWS = "both"
"""Not a question that people ask: official tables need the lines of both views, which never add up to one total."""


@dataclass(frozen=True, slots=True)
class Question:
    """A resolved question.

    Attributes:
        span: what time is asked about, UTC, half-open.
        by: columns to group by, in order; empty for one total.
        every: length of a time bucket; None for the whole span at once.
        gwp: name of the GWP set, or None when only masses of single gases are asked for.
        view: `location` or `market` for purchased electricity.
        accounts: accounts that are shown, never added up; the inventory alone unless asked otherwise.
        borders: the day whose places count.
        as_of: what was known then; None is everything known now.
        allow: statuses of factors accepted besides the default ones ("unofficial"), or ids of single factors.
        run: whose values: `measured` (what happened), or a `forecast`, `schedule` or `plan` (see `mangrove.ledger.series`).
        place: only flows at this place and inside it; empty for all.
    """

    span: Span
    by: tuple[str, ...] = ()
    every: Step | None = None
    gwp: str | None = None
    view: str = "location"
    accounts: tuple[str, ...] = ("inventory",)
    borders: date = date.min
    as_of: datetime | None = None
    allow: tuple[str, ...] = ()
    run: str = "measured"
    place: str = ""


def resolve(
    territory: Territory,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    by: Sequence[str] = (),
    every: str | Step | None = None,
    gwp: str | None = None,
    view: str = "location",
    accounts: Sequence[str] = ("inventory",),
    borders: str | date | None = None,
    as_of: str | date | datetime | None = None,
    allow: Sequence[str] = (),
    run: str = "measured",
    place: str = "",
) -> Question:
    """Checks a question against the territory and fills in what it leaves open.

    `start` alone names a whole period ("2024", "2024-03"); with `end` the span runs from the beginning of one to the
    beginning of the other. The GWP set falls back to the one that the territory declares. The borders are those of
    the day that the territory declares (`boundary.on`), or else of the last day of the span, unless a day is named.

    Raises:
        RequestError: `measure.unknown_place`, `measure.unknown_run`, `measure.unknown_column`, `measure.unknown_account`, `measure.unknown_view`, `measure.gwp_not_named`,
            `measure.step_does_not_fit`, `measure.too_many_steps`, or a date that cannot be read.
    """
    tz = territory.tz
    span = Span.asked(start, end, tz)
    _require(by, column_names(territory), "measure.unknown_column")
    _require(accounts, ACCOUNTS, "measure.unknown_account")
    _require([view], VIEWS, "measure.unknown_view")
    _require([word for word in allow if ":" not in word], STATUSES, "measure.unknown_status")
    if place and place not in territory.places:
        raise RequestError("measure.unknown_place", place=place, hint=did_you_mean(place, territory.places))
    if not accounts:
        raise RequestError("measure.no_account", options=", ".join(ACCOUNTS))
    gwp = gwp or territory.gwp
    if gwp is None and "gas" not in by:
        raise RequestError("measure.gwp_not_named")
    return Question(
        span=span,
        by=_columns(by, accounts),
        every=_bucket(every, span),
        gwp=gwp,
        view=view,
        accounts=tuple(dict.fromkeys(accounts)),
        borders=_declared_borders(territory) or span.last_day(tz)
        if borders is None
        else instant(borders, tz).astimezone(tz).date(),
        as_of=None if as_of is None else _moment(as_of, territory),
        allow=tuple(allow),
        run=known_run(run),
        place=place,
    )


def known_run(run: str) -> str:
    """A run of the ledger; what was estimated stands in the same series as what was measured."""
    try:
        return "measured" if check_run(run) in HAPPENED else run
    except LedgerError:
        hint = did_you_mean(run, RUNS)
        raise RequestError("measure.unknown_run", run=run, hint=hint, options=", ".join(RUNS)) from None


def _columns(by: Sequence[str], accounts: Sequence[str]) -> tuple[str, ...]:
    """The columns asked for; several accounts are never added up, so they have a column of their own."""
    separate = ["account"] if len(set(accounts)) > 1 else []
    return tuple(dict.fromkeys([*by, *separate]))


def _declared_borders(territory: Territory) -> date | None:
    """The day whose borders the territory's reports use (`boundary.on` of territory.yaml)."""
    boundary = territory.settings.get("boundary")
    day = boundary.get("on") if isinstance(boundary, Mapping) else None
    return day if isinstance(day, date) else None


def column_names(territory: Territory) -> tuple[str, ...]:
    """Every column that a view of this territory can group by."""
    kinds = dict.fromkeys(place.kind for place in territory.places.values())
    return (*FLOW_COLUMNS, *GAS_COLUMNS, *(kind for kind in kinds if kind not in FLOW_COLUMNS))


def _require(words: Sequence[str], known: Sequence[str], code: str) -> None:
    for word in words:
        if word not in known:
            near = text.suggest(word, known)
            hint = messages.render("base.did_you_mean", word=near) if near else ""
            raise RequestError(code, word=word, hint=hint, options=", ".join(known))


def _bucket(every: str | Step | None, span: Span) -> Step | None:
    """A step that divides an hour, or is whole hours, days or months; others would cut stored hours in pieces.

    A span of more than `MOST_BUCKETS` such steps is refused here, because it would fail for want of memory later.
    """
    step = Step.parse(every) if isinstance(every, str) else every
    if step is not None and step.seconds and 3600 % step.seconds and step.seconds % 3600:
        raise RequestError("measure.step_does_not_fit", step=str(step))
    if step is not None and (span.end - span.start) / timedelta(hours=step.hours) > MOST_BUCKETS:
        raise RequestError("measure.too_many_steps", step=str(step), most=f"{MOST_BUCKETS:,}")
    return step


def _moment(as_of: str | date | datetime, territory: Territory) -> datetime:
    """An instant of knowledge; a period counts to its end ("2025-03" is all that was known in March)."""
    if not isinstance(as_of, datetime):
        return Span.parse(str(as_of), territory.tz).end
    return (as_of if as_of.tzinfo else as_of.replace(tzinfo=territory.tz)).astimezone(UTC)
