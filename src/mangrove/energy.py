# SPDX-License-Identifier: Apache-2.0
"""How the energy verbs are joined: a forecast feeds an operation, sessions of the ledger become vehicles.

Comes in: an opened territory, a moment or a period. Goes out: what `mangrove.api` returns. Verbs do not know each other; this
module, which stands with the doors, hands the arrays of one to the next.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove.errors import DataQualityError, Problem, RequestError
from mangrove.ledger import sessions as stays
from mangrove.rules import holidays
from mangrove.times import Span, instant, utc

if TYPE_CHECKING:
    from pathlib import Path

    from mangrove.handle import Handle
    from mangrove.ledger import Ledger, Snapshot
    from mangrove.network.weather import WeatherYear
    from mangrove.operate.backtest import Backtest
    from mangrove.operate.loop import Progress
    from mangrove.operate.outlook import Grid, Outlook
    from mangrove.operate.plan import Options
    from mangrove.operate.run import Schedule
    from mangrove.operate.site import Site
    from mangrove.operate.state import Session
    from mangrove.plan.problem import Outage

_MEMORY_DAYS = 56
"""Days of readings from which an operation forecasts: the span over which the forecasts were tested."""
_SECOND = np.timedelta64(1, "s")
_SEED = 1
GENERATED = "generated"
"""The word for a weather year from the generator, in the place of a file."""


def operate(
    park: Handle,
    at: str | date | datetime | None,
    *,
    places: Sequence[str] = (),
    options: Options,
    models: Sequence[str],
    store: bool,
) -> tuple[Schedule, ...]:
    """See `mangrove.api.operate`."""
    from mangrove.operate import run
    from mangrove.operate.site import sites
    from mangrove.operate.state import moment

    now = datetime.now(UTC) if at is None else instant(at, park.territory.tz)
    start = run.floor(moment(now), options.seconds)
    requests = {}
    with park.reader():
        pass  # without a ledger there is nothing to plan from, and none is made
    with park.writer() if store else park.reader() as ledger:
        for site in sites(park.territory):
            if not places or site.place in places:
                vehicles = vehicles_at(ledger, site, start, options.horizon)
                with ledger.snapshot() as snapshot:
                    outlook = _forecast_of(
                        park, snapshot, site, start, options=options, models=models, controlled=bool(vehicles)
                    )
                requests[site.place] = run.Request(outlook=outlook, options=options, sessions=vehicles)
        made = run.operate(
            park.territory, ledger, start, requests=requests, places=tuple(places), store=store
        )
    return tuple(_with_announced(one, requests[one.place].sessions) for one in made)


def _with_announced(schedule: Schedule, vehicles: Sequence[Session]) -> Schedule:
    """Says how many vehicles the plan reckons with that are not there yet: the ledger knows them, so they count as announced."""
    later = sum(one.arrive > schedule.at for one in vehicles)
    if not later:
        return schedule
    note = Problem("cli.announced", {"place": schedule.place, "count": later}, severity="note")
    return replace(schedule, problems=(*schedule.problems, note))


def _forecast_of(
    park: Handle,
    snapshot: Snapshot,
    site: Site,
    start: np.datetime64,
    *,
    options: Options,
    models: Sequence[str],
    controlled: bool,
) -> Outlook | None:
    """What the forecasting verb expects of a site's series; None when its readings are too few (then others stand in)."""
    try:
        grid = _memory(park, snapshot, site, start, options, controlled=controlled)
    except (DataQualityError, RequestError):
        return None
    if any(np.isnan(series).all() for series in grid.values.values()):
        return None
    return forecasting(park, grid, options, site, tuple(models))


def _memory(
    park: Handle, snapshot: Snapshot, site: Site, end: np.datetime64, options: Options, *, controlled: bool
) -> Grid:
    """The measured series of the weeks before `end`, from which forecasts are made."""
    from mangrove.operate.readings import Window, measured

    steps = _MEMORY_DAYS * 86_400 // options.seconds
    window = Window(end - steps * (options.seconds * _SECOND), options.seconds, steps)
    return measured(snapshot, park.territory, site, window, controlled=controlled, planned=True).grid


def _with_memory(past: Grid, grid: Grid) -> Grid:
    """Measured series with the weeks before them."""
    values = {name: np.concatenate([past.values[name], series]) for name, series in grid.values.items()}
    return replace(past, values=values)


def forecasting(
    park: Handle,
    grid: Grid,
    options: Options,
    site: Site,
    models: tuple[str, ...] = ("naive", "profile", "ridge"),
) -> Outlook:
    """The outlook of the forecasting verb on measured series; it reads a value only once its interval is over."""
    from mangrove.forecast.outlook import Outlook

    place = park.territory.places[site.place]
    sunny = {} if place.lon is None or place.lat is None else {
        name: (place.lat, place.lon) for name in site.generation if name in grid.values
    }  # fmt: skip
    return Outlook(
        grid.start,
        grid.seconds,
        grid.values,
        steps=int(options.horizon * 3600 // grid.seconds) + 1,
        tz=park.territory.tz,
        samples=options.scenarios,
        models=models,
        sites=sunny,
        holidays=holidays.days(park.territory.timezone),
    )


def vehicles_at(ledger: Ledger, site: Site, start: np.datetime64, hours: float) -> tuple[Session, ...]:
    """The vehicles that the ledger knows to be at the chargers of a site, or announced, within the next `hours`.

    A vehicle that is there already has got the share of its energy that its stay is over. It keeps its name from round to round.
    """
    from mangrove.operate.state import Session

    found = []
    first = utc(start)
    for charger in site.chargers:
        if not charger.flow:
            continue
        table = stays.read(ledger.root, charger.flow, first, first + timedelta(hours=hours))
        named: Counter[str] = Counter()
        for begin, end, amount in zip(*table.to_pydict().values(), strict=True):
            name = f"{charger.id}:{begin:%Y%m%dT%H%M%SZ}-{end:%H%M%SZ}"
            named[name] += 1
            over = max((first - begin) / (end - begin), 0.0)
            found.append(
                Session(
                    f"{name}-{named[name]}" if named[name] > 1 else name, charger.id, _moment(begin), _moment(end),
                    energy=amount, delivered=amount * over,
                )
            )  # fmt: skip
    return tuple(found)


def backtest(
    park: Handle,
    span: Span,
    *,
    place: str,
    options: Options,
    forecasts: str,
    rules: Sequence[str] | None,
    allow: Sequence[str],
    progress: Progress | None,
) -> Backtest:
    """See `mangrove.api.backtest`."""
    from mangrove.operate import outlook as outlooks
    from mangrove.operate.backtest import Setup
    from mangrove.operate.past import Question, backtest_on_ledger, simulated
    from mangrove.operate.site import site_at, sites

    site = site_at(park.territory, place) if place else sites(park.territory)[0]
    site = simulated(site)  # what the closed loop leaves in the load is part of it in the weeks before, too

    def made(grid: Grid, chosen: Options) -> Outlook:
        with park.reader() as ledger, ledger.snapshot() as before:
            past = _memory(park, before, site, grid.start, chosen, controlled=bool(vehicles))
        return forecasting(park, _with_memory(past, grid), chosen, site)

    def known(grid: Grid, chosen: Options) -> Outlook:
        return outlooks.perfect(grid, int(chosen.horizon * 3600 // grid.seconds) + 1)

    ways: dict[str, Any] = {"mix": made, "persistence": None, "perfect": known}
    if forecasts not in ways:
        raise RequestError("cli.unknown_forecasts", text=forecasts, options=", ".join(ways))
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        hours = (span.end - span.start) / timedelta(hours=1)
        vehicles = vehicles_at(ledger, site, _moment(span.start), hours)
        vehicles = tuple(one for one in vehicles if one.arrive >= _moment(span.start))
        asked = Question(
            place=site.place,
            outlook=ways[forecasts],
            options=options,
            setup=Setup(sessions=vehicles, announce=0.0),
            allow=allow,
        )
        if rules is not None:
            asked = replace(asked, rules=tuple(rules))
        return backtest_on_ledger(park.territory, snapshot, span, asked, progress=progress)


def each_site(
    verb: Callable[..., Any], folder: Path, places: Sequence[str], jobs: int, question: Mapping[str, Any]
) -> dict[str, Any]:
    """See `mangrove.api.each_site`."""
    from mangrove import api

    # `mangrove.plan` is also the package of that name, which is neither the function nor fit to be sent to another process.
    verb = getattr(api, verb.__name__.rpartition(".")[2])
    if verb is api.plan:
        question = {"store": False, **question}
    tasks = [(verb, folder, place, dict(question)) for place in places]
    if jobs == 1 or len(tasks) == 1:
        return dict(zip(places, map(_for_site, tasks), strict=True))
    # A process that is started anew holds no locks and no threads of this one; the solver wants its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
        return dict(zip(places, pool.map(_for_site, tasks), strict=True))


def _for_site(task: tuple[Callable[..., Any], Path, str, dict[str, Any]]) -> Any:
    """One site, in whatever process this runs."""
    from mangrove import api

    verb, folder, place, question = task
    return verb(api.open(folder), place=place, **question)


def weather_for(
    park: Handle, span: Span, place: str, words: Sequence[str | Path]
) -> list[str | Path | WeatherYear]:
    """Weather files as they are; the word `generated` becomes a year from the seeded generator, at the site's coordinates.

    Raises:
        RequestError: `cli.no_coordinates`, the site's place has none.
    """
    from mangrove.network import weather_made
    from mangrove.plan.verb import only_site

    found: list[str | Path | WeatherYear] = []
    for word in words:
        if str(word) != GENERATED:
            found.append(word)
            continue
        home = park.territory.places.get(place or only_site(park.territory))
        if home is None or home.lat is None or home.lon is None:
            raise RequestError("cli.no_coordinates", place=place)
        local = span.start.astimezone(park.territory.tz)
        zone = (local.utcoffset() or timedelta()) / timedelta(hours=1)
        found.append(weather_made.generate(local.year, home.lat, home.lon, _SEED, zone=zone))
    return found


def outages(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None,
    moments: Sequence[str],
    *,
    hours: float,
    critical: float,
) -> tuple[Outage, ...]:
    """Failures of the grid as a sizing takes them: counted in hours from the beginning of its period.

    Raises:
        RequestError: `cli.outage_outside`, a failure does not lie in the period.
    """
    from mangrove.plan.problem import ELECTRICITY, Outage

    span = Span.asked(start, end, park.territory.tz)
    found = []
    for moment in moments:
        at = (instant(moment, park.territory.tz) - span.start) / timedelta(hours=1)
        if not 0 <= at <= span.hours - hours:
            raise RequestError("cli.outage_outside", at=moment)
        found.append(Outage(int(at), hours, {ELECTRICITY: critical}))
    return tuple(found)


def _moment(at: datetime) -> np.datetime64:
    return np.datetime64(round(at.timestamp()), "s")
