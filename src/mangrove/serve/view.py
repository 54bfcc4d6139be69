# SPDX-License-Identifier: Apache-2.0
"""What the address of a page says: which time, compared with what, whose values, which place, in which language, for whom.

Comes in: the query of a URL, the present instant, the principal. Goes out: a frozen `View`; links that keep what was chosen and
change one thing; the address of "where does this number come from?". All state of a page is in its address, so a link that is
sent to a colleague shows the same page, as far as that colleague may see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from mangrove.errors import RequestError, did_you_mean
from mangrove.ledger.types import RUNS
from mangrove.measure.question import known_run
from mangrove.messages import LANGUAGES
from mangrove.serve.scope import Principal, Scope
from mangrove.territory.model import Territory
from mangrove.times import Span, Step

COMPARISONS = ("plan", "previous", "year", "none")
WORDS = ("today", "week", "month", "year")
"""Periods that move with the clock; a week is the seven days to the end of today."""
LONGEST = 50
"""Years of a period that a page is asked about; what a page costs grows with its period, whoever asks."""
_DAY = timedelta(days=1)
_KEPT = ("period", "compare", "scenario", "place", "lang")
_STEPS = {"day": Step(seconds=86_400), "month": Step(months=1), "year": Step(months=12)}
_MONTHS = 12


@dataclass(frozen=True)
class View:
    """One look at a territory.

    Attributes:
        territory: what is looked at; scope, principal: for whom.
        lang: `vi` or `en`; now: the present instant, UTC.
        word: the period as written ("month", "2024-06"); period: the whole of it; span: the part of it until the
            last quarter of an hour.
        compare: one of `COMPARISONS`; scenario: whose values (a run of the ledger).
        place: id of the place in focus, empty for the territory; params: everything that the address says.
        screen: name of the screen that is looked at; keeps: choices of its own that its links keep.
    """

    territory: Territory
    principal: Principal
    scope: Scope
    now: datetime
    lang: str
    word: str
    period: Span
    span: Span
    compare: str = "plan"
    scenario: str = "measured"
    place: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    screen: str = ""
    keeps: tuple[str, ...] = ()

    @property
    def tz(self) -> ZoneInfo:
        """The territory's zone."""
        return self.territory.tz

    @property
    def key(self) -> tuple[object, ...]:
        """What decides about the content of a page, besides the values."""
        asked = tuple(
            sorted((name, text) for name, text in self.params.items() if name != "t" or name in self.keeps)
        )
        return (self.principal.key, self.lang, self.span, self.place, asked)

    @property
    def span_before(self) -> Span:
        """The span to compare with: the one before of the same kind, or the same one a year ago, as long as this one."""
        tz, length = self.tz, self.span.end - self.span.start
        step = _step_of(self.period, tz)
        local = self.period.start.astimezone(tz)
        if self.compare == "year":
            start = _years_back(local)
        elif step is not None and step.months:
            months = local.year * _MONTHS + local.month - 1 - step.months
            start = local.replace(year=months // _MONTHS, month=months % _MONTHS + 1)
        else:
            start = local - (self.period.end - self.period.start)
        begin = start.astimezone(UTC)
        return Span(begin, min(begin + length, max(self.period.start, begin + timedelta(seconds=1))))

    def query(self, **changes: str) -> str:
        """The query that says the same, with `changes`; what is at its default is left out."""
        said = {name: text for name, text in self.params.items() if name in _KEPT} | changes
        return urlencode({name: text for name, text in said.items() if text})

    @property
    def own(self) -> dict[str, str]:
        """The choices of this screen that stand in the address."""
        return {name: text for name, text in self.params.items() if name in self.keeps and text}

    def link(self, screen: str, **changes: str) -> str:
        """The address of a page that keeps what was chosen here.

        Example: `view.link("map", place="ward_1")` is `/map?period=month&place=ward_1`.
        """
        own = self.own if screen.partition(".")[0] == self.screen else {}
        query = self.query(**(own | changes))
        return f"/{screen}" + (f"?{query}" if query else "")

    def why(self, **question: str) -> str:
        """The address of the proof of a number: `by=sector&key=steel`, with `period` and `run` where they differ from here."""
        said = {
            "period": written(self.span, self.tz),
            "run": self.scenario,
            "lang": self.params.get("lang", ""),
        }
        said |= question
        return "/why?" + urlencode({name: text for name, text in said.items() if text})


def read(
    territory: Territory,
    params: Mapping[str, str],
    *,
    now: datetime,
    principal: Principal,
    lang: str = "",
    period: str = "month",
    compare: str = COMPARISONS[0],
    screen: str = "",
    keeps: tuple[str, ...] = (),
) -> View:
    """The view that an address asks for.

    Args:
        territory: what is looked at.
        params: the query of the address; keys that no page knows are left to the pages.
        now: the present instant.
        principal: who asks.
        lang: language of the reader when the address does not say one; the territory's when empty.
        period: the period when the address does not say one.
        compare: the comparison when the address does not say one.
        screen: name of the screen that is looked at.
        keeps: choices of its own that its links keep.

    Raises:
        RequestError: `live.bad_period`, `live.future_period`, `live.unknown_choice`, `live.no_place`.
    """
    scope = Scope(territory, principal)
    lang = params.get("lang") or lang or territory.lang
    choice("lang", lang, LANGUAGES)
    compare = params.get("compare") or compare
    choice("compare", compare, COMPARISONS)
    scenario = known_run(params.get("scenario") or RUNS[0])
    place = params.get("place") or ""
    if place and not scope.knows(place):
        known = [one for one in territory.places if scope.knows(one)]
        raise RequestError("live.no_place", place=place[:40], hint=did_you_mean(place, known))
    word = params.get("period") or period
    whole = period_of(word, now, territory.tz)
    if whole.start >= now and scenario == RUNS[0]:
        raise RequestError("live.future_period", period=word)
    end = min(whole.end, quarter(now)) if scenario == RUNS[0] else whole.end
    span = Span(whole.start, max(end, whole.start + timedelta(minutes=1)))
    return View(
        territory=territory,
        principal=principal,
        scope=scope,
        now=now,
        lang=lang,
        word=word,
        period=whole,
        span=span,
        compare=compare,
        scenario=scenario,
        place=place,
        params=dict(params),
        screen=screen,
        keeps=keeps,
    )


def period_of(word: str, now: datetime, tz: ZoneInfo) -> Span:
    """The period that a word or a date names.

    Raises:
        RequestError: `live.bad_period`; `limits.long_period`: longer than `LONGEST` years.

    Example:
        >>> from zoneinfo import ZoneInfo
        >>> span = period_of("today", datetime(2024, 6, 5, 3, tzinfo=UTC), ZoneInfo("Asia/Ho_Chi_Minh"))
        >>> span.start.isoformat(), span.hours
        ('2024-06-04T17:00:00+00:00', 24.0)
    """
    today = now.astimezone(tz).date()
    if word == "today":
        return Span.between(today, today + _DAY, tz)
    if word == "week":
        return Span.between(today - 6 * _DAY, today + _DAY, tz)
    if word == "month":
        return Span.parse(f"{today:%Y-%m}", tz)
    if word == "year":
        return Span.parse(f"{today:%Y}", tz)
    first, dots, last = word.partition("..")
    try:
        found = Span.between(first, last, tz) if dots else Span.parse(word, tz)
    except (RequestError, ValueError, OverflowError):
        raise RequestError("live.bad_period", period=word[:40], options=", ".join(WORDS)) from None
    if found.end - found.start > LONGEST * 366 * _DAY:
        raise RequestError("limits.long_period", most=LONGEST)
    return found


def written(span: Span, tz: ZoneInfo) -> str:
    """A span as a period of an address: local times without seconds.

    Example:
        >>> from zoneinfo import ZoneInfo
        >>> written(Span.parse("2024-06", ZoneInfo("Asia/Ho_Chi_Minh")), ZoneInfo("Asia/Ho_Chi_Minh"))
        '2024-06-01T00:00..2024-07-01T00:00'
    """
    start, end = (moment.astimezone(tz).strftime("%Y-%m-%dT%H:%M") for moment in (span.start, span.end))
    return f"{start}..{end}"


def choice(name: str, word: str, options: Sequence[str]) -> str:
    """What the address says of `name`, or the first option when it says nothing.

    Raises:
        RequestError: `live.unknown_choice`.
    """
    if word and word not in options:
        known = list(dict.fromkeys(options))
        hint = did_you_mean(word, known)
        raise RequestError(
            "live.unknown_choice", name=name, word=word[:40], options=", ".join(known), hint=hint
        )
    return word or options[0]


def quarter(now: datetime) -> datetime:
    """The last whole quarter of an hour: meters speak no finer, and pages asked for in between share one answer."""
    return now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)


def _step_of(period: Span, tz: ZoneInfo) -> Step | None:
    """Whether a period is a calendar month or year."""
    start, end = period.start.astimezone(tz), period.end.astimezone(tz)
    for step in (_STEPS["month"], _STEPS["year"]):
        if start.day == 1 and step.after(period.start, tz) == period.end:
            if step.months == _MONTHS and start.month != 1:
                continue
            assert end > start
            return step
    return None


def _years_back(local: datetime) -> datetime:
    day = min(local.day, 28) if local.month == 2 else local.day  # noqa: PLR2004 - February
    return local.replace(year=local.year - 1, day=day)
