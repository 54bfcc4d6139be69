# SPDX-License-Identifier: Apache-2.0
"""The verb on a territory: which site, which year, which weather, and the answer.

Comes in: a territory with a snapshot of its ledger, a span of whole days, weather files. Goes out: the `Case` of one site, or of
several weather years one after the other, and its `Sizing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.ledger import Snapshot
from mangrove.ledger.types import check_run
from mangrove.network.weather import WeatherYear
from mangrove.plan.declared import Wishes, case_of
from mangrove.plan.problem import Case
from mangrove.plan.result import Preview, Sizing
from mangrove.plan.sites import Site
from mangrove.plan.size import DAYS, size
from mangrove.plan.study import stacked
from mangrove.rules import contracts
from mangrove.territory.model import Territory
from mangrove.times import Span

_SHORTEST = 28
"""Days: every weekday four times and one billing month; less says nothing about a year."""
_YEAR = 365
_CHOSEN = ("max_capacity", "max_energy")


def size_site(
    territory: Territory,
    snapshot: Snapshot,
    span: Span,
    *,
    place: str = "",
    weather: Sequence[str | Path | WeatherYear] = (),
    wishes: Wishes | None = None,
    hours: str = "",
    days: int | None = DAYS,
    full: bool = True,
    shown: Callable[[Preview], None] | None = None,
) -> Sizing:
    """Sizes what a site may build.

    Args:
        territory: the declared territory.
        snapshot: its values.
        span: the days whose load and prices stand for every year of the study.
        place: of the site; may be left out when there is only one.
        weather: weather files or years; with several of them the sizes do for all of these years.
        wishes: money, limits, outages, name.
        hours: calendar of the time-of-use hours (`legacy`, `963`, `law`), in place of the declared one.
        days: typical days of the preview, None for none; full: whether every hour is optimized.
        full: see `days`.
        shown: called with the preview as soon as it is there.

    Raises:
        RequestError: `plan.no_site`, `plan.which_site`, `plan.short_span`, `plan.nothing_to_size`, and what `case_of` raises.
        LedgerError: `ledger.run` for a name that no run can have.
        DataQualityError: `plan.gaps`.
    """
    _check(territory, span, place or only_site(territory), wishes or Wishes())
    case = case_at(territory, snapshot, span, place=place, weather=weather, wishes=wishes, hours=hours)
    return size(case, days=days, full=full, timezone=territory.timezone, shown=shown)


def _check(territory: Territory, span: Span, place: str, wishes: Wishes) -> None:
    """What can be refused before a meter is read."""
    check_run(f"plan/{wishes.name}")
    if _days(territory, span) < _SHORTEST:
        raise RequestError("plan.short_span", days=_days(territory, span), least=_SHORTEST)
    if not offers(territory, place) and not any(supply.size is not None for supply in wishes.supplies):
        raise RequestError("plan.nothing_to_size", place=place)


def offers(territory: Territory, place: str) -> bool:
    """Whether something at the site may be sized: an asset that declares a largest size."""
    site = Site.of(territory, place)
    return any(name in values for values in (site.values, *(v for _, v in site.assets)) for name in _CHOSEN)


def _days(territory: Territory, span: Span) -> int:
    """Days of the period by the local calendar; a year has 365 or 366, whatever the clocks did in between."""
    first, last = (at.astimezone(territory.tz).replace(tzinfo=None) for at in (span.start, span.end))
    return (last - first).days


def case_at(
    territory: Territory,
    snapshot: Snapshot,
    span: Span,
    *,
    place: str = "",
    weather: Sequence[str | Path | WeatherYear] = (),
    wishes: Wishes | None = None,
    hours: str = "",
) -> Case:
    """The sizing problem of a site, see `size_site`; less than a year of days is told in its notes."""
    home = place or only_site(territory)
    contract = None
    if hours:
        on = span.start.astimezone(territory.tz).date()
        contract = contracts.of(territory, home, "electricity", on).with_hours(hours)
    cases = [
        case_of(
            territory, snapshot, home, span.start, span.end, weather=year, contract=contract, wishes=wishes
        )
        for year in _weather(weather)
    ]
    case = cases[0] if len(cases) == 1 else stacked(cases)
    days = _days(territory, span)
    if days >= _YEAR:
        return case
    part = Problem("plan.part_of_year", {"days": days}, severity="warning")
    return replace(case, notes=(part, *case.notes))


def only_site(territory: Territory) -> str:
    """The place of the only grid connection.

    Raises:
        RequestError: `plan.no_site` without one, `plan.which_site` with several.
    """
    places = sorted({asset.place for asset in territory.assets.values() if asset.type == "grid"})
    if not places:
        raise RequestError("plan.no_site", place=territory.name, options="-", hint=did_you_mean("", places))
    if len(places) > 1:
        raise RequestError("plan.which_site", options=", ".join(places))
    return places[0]


def _weather(years: Sequence[str | Path | WeatherYear]) -> list[WeatherYear | None]:
    """The weather of each year, read where it is a file; one None without any."""
    if not years:
        return [None]
    from mangrove.network.weather_files import read

    return [read(Path(one)) if isinstance(one, (str, Path)) else one for one in years]


def compared(
    case: Case, calendars: Sequence[str] = ("legacy", "963"), timezone: str = "UTC"
) -> dict[str, Case]:
    """The same site under several calendars of the time-of-use hours: name -> case.

    Raises:
        RequestError: `plan.no_contract` when no supply of the case is priced by a contract.
    """
    from mangrove.plan.prices import under

    priced = [one for one in case.supplies if one.contract is not None]
    if not priced:
        raise RequestError("plan.no_contract")
    found = {}
    for name in calendars:
        changed = {
            one.name: under(one, one.contract.with_hours(name), case.starts, case.hours, timezone)
            for one in priced
        }
        supplies = tuple(changed.get(one.name, one) for one in case.supplies)
        found[name] = replace(case, supplies=supplies, name=f"{case.name}-{name}")
    return found
