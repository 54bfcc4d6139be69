# SPDX-License-Identifier: Apache-2.0
"""The public verbs, the same in Python and on the command line.

Comes in: a folder, files, a question. Goes out: a `Handle`, a report of what was stored, a result that explains itself. Each
verb opens the ledger for as long as it works and closes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove.errors import Problem, RequestError
from mangrove.handle import STORE, Handle
from mangrove.times import Span, Step

if TYPE_CHECKING:
    import pyarrow as pa

    from mangrove.forecast.run import ForecastReport
    from mangrove.inference.runs import RepairReport
    from mangrove.measure.record import Change
    from mangrove.measure.result import Emissions
    from mangrove.operate.backtest import Backtest
    from mangrove.operate.loop import Progress
    from mangrove.operate.run import Schedule
    from mangrove.plan.budget import Adopted
    from mangrove.plan.declared import Wishes
    from mangrove.plan.result import Sizing
    from mangrove.settle.bills import SiteBill
    from mangrove.settle.share import Sharing
    from mangrove.sources import IngestReport
    from mangrove.territory.model import Territory


def open(folder: str | Path) -> Handle:  # noqa: A001 - the verb of the public surface, always used as mg.open
    """Opens the territory declared in `folder`.

    Raises:
        DeclarationError: the declaration has problems; all of them are listed.
    """
    from mangrove import territory

    path = Path(folder)
    return Handle(territory.load(path), path / STORE)


def check(folder: str | Path) -> list[Problem]:
    """All problems of the declaration in `folder`, with file, line and column; empty when there are none."""
    from mangrove import rules, territory, traffic_state
    from mangrove.measure import methods
    from mangrove.network import assets

    book = rules.load()
    known = set(book.activities)
    declared, problems = territory.check(
        Path(folder),
        factor_exists=lambda key: key.partition("@")[0] in known,
        method_exists=methods.METHODS.__contains__,
        fuels=book.fuels,
        activities=known,
    )
    if declared is None:
        return problems
    problems += assets.problems(declared)
    if declared.answers:
        from mangrove.measure import eip

        problems += eip.check_answers(declared)
    return problems + traffic_state.problems(declared)


def ingest(
    park: Handle, *paths: str | Path, mapping: str | Path | None = None, screen: bool = True
) -> IngestReport:
    """Reads meter files into the ledger and says what was assumed; bad rows are quarantined, the rest goes in.

    Args:
        park: an opened territory.
        *paths: CSV, Excel, Parquet or monitoring files, or folders of them.
        mapping: a mapping file (see docs/how-to/ingest.md); without one the import doctor guesses and says so.
        screen: look for gaps, stuck values, spikes and clock shifts afterwards and store the findings as quality codes.

    Raises:
        SourceError: a file cannot be read at all.
        LedgerError: the store refuses; nothing of the batch was acknowledged.
    """
    from mangrove import sources

    with park.writer() as ledger:
        return sources.ingest(
            ledger,
            park.territory,
            [Path(path) for path in paths],
            mapping=Path(mapping) if mapping else None,
            screen=screen,
        )


def measure(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    by: Sequence[str] = (),
    every: str | Step | None = None,
    gwp: str | None = None,
    view: str = "location",
    accounts: Sequence[str] = ("inventory",),
    borders: str | date | None = None,
    as_of: str | datetime | None = None,
    allow: Sequence[str] = (),
    run: str = "measured",
    place: str = "",
    store: bool = True,
) -> Emissions:
    """Measures emissions: flows x factors, by any columns, with 95 % intervals.

    Args:
        park: an opened territory with values in its ledger.
        start: a period ("2024", "2024-03"), or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        by: columns: flow, place, sector, scope, gpc, category, carrier, basis, meter, method, gas, account, or a kind of place ("ward").
        every: length of the time buckets ("1h", "1d", "1mo"); None for one number per group.
        gwp: GWP set (SAR, AR4, AR5, AR6); the territory's own when left out.
        view: `location` or `market` for purchased electricity.
        accounts: accounts to add up; only the inventory unless named.
        borders: the day whose places count; the last day of the span unless named.
        as_of: only what was known then.
        allow: statuses of factors accepted besides official and default ones ("unofficial").
        run: whose values: what was `measured`, or those of a `forecast`, `schedule` or `plan` ("plan/roof-2030").
        place: only what is measured at this place and inside it ("steel_mill"); everything when left out.
        store: keep the measurement, so that it can be replayed and compared.

    Raises:
        RequestError: the question makes no sense, or sums gases without a GWP set.
        LedgerError: there is no store yet, or it is damaged.
    """
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import question as questions
    from mangrove.measure import record
    from mangrove.measure.result import Emissions
    from mangrove.measure.traffic.doubts import with_doubts

    territory = park.territory if not run.startswith("plan/") else _planned(park, run)
    question = questions.resolve(
        territory,
        start,
        end,
        by=by,
        every=every,
        gwp=gwp,
        view=view,
        accounts=accounts,
        borders=borders,
        as_of=as_of,
        allow=allow,
        run=run,
        place=place,
    )
    book = rules.load()
    plan = plans.build(territory, book, question)
    with park.reader() as ledger:
        cut = ledger.cut(question.as_of)
        result = Emissions(with_doubts(plan, ledger, cut), park.store, cut)
        if store:
            result.record = record.store(result, ledger, book.content_hash)
    return result


def _planned(park: Handle, run: str) -> Territory:
    """The territory as an adopted scenario changes it."""
    from mangrove.compare import territory_of

    return territory_of(park, run)


def replay(park: Handle | str | Path, record: str) -> Emissions:
    """Computes a stored measurement again from its record and the ledger, and checks every number.

    A folder will do: the declaration that counts is the one kept with the record, so today's may be broken or gone.

    Raises:
        RequestError, LedgerError, DataQualityError: see `mangrove.measure.record.replay`.
    """
    from mangrove.measure import record as records

    store = park.store if isinstance(park, Handle) else Path(park) / STORE
    return records.replay(store, record)


def records(park: Handle | str | Path) -> list[tuple[str, datetime, dict[str, Any]]]:
    """The stored measurements, oldest first: id, when, and the question as plain data."""
    from mangrove.measure import record as kept

    return kept.listed(park.store if isinstance(park, Handle) else Path(park) / STORE)


def readings(
    park: Handle,
    flow: str,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    run: str = "measured",
) -> pa.Table:
    """The readings behind a number: every version of a flow's values, with its quality, batch, source and time of record.

    Columns: start (UTC), value, quality, batch, recorded_at, source, run; sorted by start, then batch. The last row of a
    start is the one that counts. `run` names another series of the flow: a `forecast`, a `schedule`, a `plan`.

    Raises:
        RequestError: `measure.unknown_flow`, `measure.unknown_run`, or a period that cannot be read.
    """
    from mangrove.errors import did_you_mean
    from mangrove.ledger import series
    from mangrove.measure import question as questions

    if flow not in park.territory.flows:
        raise RequestError("measure.unknown_flow", flow=flow, hint=did_you_mean(flow, park.territory.flows))
    tz = park.territory.tz
    span = Span.asked(start, end, tz)
    key = series(flow, questions.known_run(run))
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        table = snapshot.history(key, span.start, span.end)
    return table.select(["start", "value", "quality", "batch", "recorded_at", "source", "run"])


def diff(park: Handle, before: str, after: str | None = None) -> list[Change]:
    """What changed between two stored measurements, or between one and the same question asked now.

    Each change is split exactly into activity, factor and GWP. See `mangrove.measure.record.Change`.
    """
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import record as records
    from mangrove.measure.result import Emissions

    old = records.document_of(park.store, before)
    if after is not None:
        return records.diff(old, records.document_of(park.store, after))
    plan = plans.build(park.territory, rules.load(), records.question_in(old["question"]))
    with park.reader() as ledger:
        now = Emissions(plan, park.store, ledger.cut())
    return records.diff(old, records.document(now))


def repair(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    flows: Sequence[str] = (),
) -> RepairReport:
    """Estimates missing values (linear to 2 h, profile x local level to 2 days) and stores them, marked as estimates.

    Longer gaps stay gaps. Nothing is overwritten: estimates are a later batch with quality `filled`.

    Raises:
        LedgerError: there is no store yet, or another process writes to it.
    """
    from mangrove.inference import runs

    tz = park.territory.tz
    span = Span.asked(start, end, tz)
    with park.reader():
        pass  # without a ledger there is nothing to repair, and none is made
    with park.writer() as ledger:
        return runs.repair(ledger, park.territory, list(flows) or list(park.territory.flows), span)


def forecast(
    park: Handle,
    flows: Sequence[str] = (),
    at: str | date | datetime | None = None,
    *,
    horizon: str | Step = "48h",
    models: Sequence[str] = ("naive", "profile", "ridge", "boosted"),
    as_of: str | datetime | None = None,
    reconcile: bool = True,
    lagged_weather: bool = False,
    store: bool = True,
) -> ForecastReport:
    """Forecasts flows with quantiles and a score against the naive forecast; stores what was said as run `forecast`.

    Args:
        park: an opened territory with values in its ledger.
        flows: ids; all that can be forecast when left out.
        at: the first instant that is forecast, local time; the end of the newest value when left out.
        horizon: how far ahead, up to 14 days.
        models: of `naive`, `profile`, `ridge` and `boosted`; they are mixed by how well each did.
        as_of: use what was recorded until then. Values imported after `at` were not known then; only `as_of` lets them count.
        reconcile: make totals and their parts add up, where the measured values show that a flow is a total.
        lagged_weather: describe days by the weather observed on the day before as well, where the ledger holds no forecast of it.
        store: keep the forecasts and their record.

    Raises:
        RequestError: an unknown flow or a horizon that makes no sense.
        DataQualityError: `forecast.no_flows`.
        LedgerError: there is no store yet, or another process writes to it.
    """
    from mangrove.forecast.run import forecast as run
    from mangrove.times import instant

    moment = None if as_of is None else instant(as_of, park.territory.tz)
    with park.reader():
        pass  # without a ledger there is nothing to forecast from, and none is made
    with park.writer() if store else park.reader() as ledger:
        return run(
            ledger,
            park.territory,
            flows,
            at,
            horizon,
            as_of=moment,
            models=models,
            lagged_weather=lagged_weather,
            reconcile=reconcile,
            store=store,
        )


def operate(
    park: Handle,
    at: str | date | datetime | None = None,
    *,
    places: Sequence[str] = (),
    horizon: float = 48.0,
    scenarios: int = 1,
    models: Sequence[str] = ("naive", "profile", "ridge"),
    store: bool = True,
) -> tuple[Schedule, ...]:
    """Plans the sites of a territory from a moment on: set-points for the next step, a schedule for the rest.

    Args:
        park: an opened territory with `grid` assets, tariffs and metered values.
        at: the moment, local time; now when left out.
        places: sites; all of them when left out.
        horizon: hours that are planned: steps of 15 minutes for a day, hours after that.
        scenarios: equally likely futures; with more than one, set-points of the next hour are the same in all of them.
        models: of the forecast that the plan is made on.
        store: write the schedules to the ledger as run `schedule`.

    Raises:
        DeclarationError, RequestError: no site can be made of what is declared.
        RuleError: no contract covers a site.
        InfeasibleError: what never gives way contradicts itself.
        LedgerError: there is no store yet, or another process writes to it.
    """
    from mangrove import energy
    from mangrove.operate.plan import Options

    options = Options(horizon=horizon, fine=min(24.0, horizon), scenarios=scenarios)
    return energy.operate(park, at, places=places, options=options, models=models, store=store)


def backtest(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    place: str = "",
    horizon: float = 48.0,
    scenarios: int = 1,
    forecasts: str = "mix",
    rules: Sequence[str] | None = None,
    allow: Sequence[str] = (),
    progress: Progress | None = None,
) -> Backtest:
    """Runs the plan of a site in closed loop over a past period, beside perfect foresight and rules without a forecast.

    Args:
        park: an opened territory with values in its ledger.
        start: a period ("2024-06"), or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        place: the site; the first declared one when left out.
        horizon: hours that each plan looks ahead.
        scenarios: equally likely futures of each plan.
        forecasts: `mix` (the forecasting verb, fed as time goes on), `persistence` or `perfect`.
        rules: names of the rules to compare with; all of them when left out.
        allow: statuses of emission factors accepted besides official ones.
        progress: called with the policy, the steps done and the steps in all.

    Raises:
        DataQualityError: `operate.gap`: a series has steps without a value.
        DeclarationError, RequestError, RuleError: as for `operate`.
    """
    from mangrove import energy
    from mangrove.operate.plan import Options

    span = Span.asked(start, end, park.territory.tz)
    options = Options(horizon=horizon, fine=min(24.0, horizon), scenarios=scenarios)
    return energy.backtest(
        park,
        span,
        place=place,
        options=options,
        forecasts=forecasts,
        rules=rules,
        allow=allow,
        progress=progress,
    )


def plan(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    place: str = "",
    weather: Sequence[str | Path] = (),
    wishes: Wishes | None = None,
    hours: str = "",
    full: bool = True,
    store: bool = True,
) -> Sizing:
    """Sizes what a site may build (its assets with a `max_capacity` or `max_energy`) over a year.

    Args:
        park: an opened territory with values in its ledger.
        start: the period whose load and prices stand for every year of the study ("2024").
        end: the first instant that no longer counts.
        place: the site; may be left out when there is only one.
        weather: weather files, or the word `generated`; with several of them the sizes do for all of these years.
        wishes: money, limits, outages, the name of the plan; see `mangrove.plan.declared.Wishes`.
        hours: calendar of the time-of-use hours (`law`, `legacy`, `963`) in the place of the declared one.
        full: optimize every hour; else the sizes are those of typical days, run over the year.
        store: keep the result, and the planned year as run `plan/<name>`.

    Raises:
        RequestError: `plan.no_site`, `plan.which_site`, `plan.no_profile`, ...
        DataQualityError: `plan.gaps`.
        InfeasibleError: what never gives way contradicts itself.
    """
    from mangrove import energy
    from mangrove.plan import record as kept
    from mangrove.plan.verb import size_site

    span = Span.asked(start, end, park.territory.tz)
    years = energy.weather_for(park, span, place, weather)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        sizing = size_site(
            park.territory,
            snapshot,
            span,
            place=place,
            weather=years,
            wishes=wishes,
            hours=hours,
            full=full,
        )
    if store:
        with park.writer() as ledger:
            record, _ = kept.store(ledger, park.territory, sizing)
        sizing = replace(sizing, record=record)
    return sizing


def budget(park: Handle, file: str | Path, *, name: str = "") -> Adopted:
    """Takes a file of planned amounts (`flow,period,amount,unit`) as the plan `plan/<name>`, to compare with what happens.

    Args:
        park: an opened territory.
        file: the CSV file (see docs/how-to/budget.md); the same file again changes nothing.
        name: of the plan; the file's own without its ending when left out.

    Raises:
        DeclarationError: the file has problems; all of them are listed with line and column.
        LedgerError: the name cannot be one of a run, or another process writes to the ledger.
    """
    from mangrove.plan import budget as budgets

    with park.writer() as ledger:
        return budgets.adopt(ledger, park.territory, Path(file), name)


def settle(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    rule: str = "duals",
    store: bool = True,
) -> Sharing:
    """Divides the cost of the energy that the sites of a park shared over a period.

    Args:
        park: an opened territory with metered sites, tariffs and wires (`links.csv`).
        start: a period ("2024-06"), or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        rule: by which members pay: `duals`, `shapley`, `nearest_core`, `least_core`, `mmr`, `sdr`, `pro_rata` or `energy`; all are
            shown.
        store: keep the result as a record.

    Raises:
        RequestError: a site names no meter, an unknown rule, prices that cannot be shared.
        DataQualityError: a meter has gaps.
    """
    from mangrove.settle import share as sharing

    span = Span.asked(start, end, park.territory.tz)
    with park.reader() as ledger:
        with ledger.snapshot() as snapshot:
            made = sharing.share(park.territory, snapshot, span, rule=rule)
        if store:
            sharing.store(made, ledger)
    return made


def bill(
    park: Handle,
    place: str,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    regimes: Sequence[str] = (),
) -> SiteBill:
    """The itemized bills of a site from its meters and its contract, also under other calendars of the hours.

    Args:
        park: an opened territory with values in its ledger.
        place: the site.
        start: a period ("2024-06"), or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        regimes: calendars to set side by side: `legacy`, `963`, `law`.

    Raises:
        RequestError: an unknown site, or one without a meter.
        DataQualityError: `settle.gap`.
        RuleError: no contract covers the site.
    """
    from mangrove.settle import bills

    span = Span.asked(start, end, park.territory.tz)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return bills.bill(park.territory, snapshot, span, place, regimes)


def each_site(
    verb: Callable[..., Any], park: Handle, *, places: Sequence[str] = (), jobs: int = 1, **question: Any
) -> dict[str, Any]:
    """Runs `backtest` or `plan` for several sites, each in a process of its own.

    Args:
        verb: `mangrove.api.backtest` or `mangrove.api.plan`.
        park: an opened territory.
        places: sites; when left out all of them, or for `plan` those where something can be sized.
        jobs: processes at a time; 1 stays in this one.
        question: what the verb is asked, but for the place; nothing is stored (`store=False`).

    Raises:
        RequestError: `operate.unknown_site`, and what the verb raises for the first site that fails.

    Example:
        >>> import mangrove as mg
        >>> mg.each_site(mg.api.backtest, mg.open("examples/park"), places=["nowhere"], start="2024")
        Traceback (most recent call last):
        ...
        mangrove.errors.RequestError: ...
    """
    from mangrove import energy
    from mangrove.operate.site import site_at, sites

    known = [site.place for site in sites(park.territory)]
    for place in places:
        site_at(park.territory, place)
    if (
        getattr(verb, "__name__", "").rpartition(".")[2] == "plan"
    ):  # the function, or the package that can be called
        from mangrove.plan.verb import offers

        question = {"store": False, **question}
        known = [place for place in known if offers(park.territory, place)]
    return energy.each_site(verb, park.territory.path, list(places) or known, jobs, question)
