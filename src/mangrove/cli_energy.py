# SPDX-License-Identifier: Apache-2.0
"""The energy commands: forecast, operate, backtest, size, share.

Comes in: words of the command line. Goes out: tables and statements on stdout, what people should know on stderr. The commands are
added to the application of `cli.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mangrove import messages
from mangrove.cli_words import Folder, From, Json, Lang, To, parts, say, tell

At = Annotated[str | None, typer.Option("--at", help="The moment, local time: 2024-06-05T08:00.")]
Place = Annotated[str, typer.Option("--place", help="Id of the site: the place of a grid connection.")]
Sites = Annotated[
    str, typer.Option("--place", help="Ids of sites, with commas; the first or only one when left out.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Sites at a time, each in a process of its own.")]
Places = Annotated[str, typer.Option("--places", help="Ids of sites, with commas; all when left out.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Store nothing.")]
Horizon = Annotated[float, typer.Option("--horizon", min=1, max=8784, help="Hours that a plan looks ahead.")]
Scenarios = Annotated[
    int, typer.Option("--scenarios", min=1, max=1000, help="Equally likely futures of a plan.")
]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (forecast, scores, operate, backtest, size, bill, share)
    for command in commands:
        app.command()(command)


def forecast(
    folder: Folder,
    flows: Annotated[
        str, typer.Option("--flows", help="Ids of flows, with commas; all that can be when left out.")
    ] = "",
    at: At = None,
    horizon: Annotated[str, typer.Option("--horizon", help="How far ahead: 24h, 48h, 7d.")] = "48h",
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Use what was recorded until then; the moment itself.")
    ] = None,
    no_reconcile: Annotated[
        bool, typer.Option("--no-reconcile", help="Leave totals and their parts as each was forecast.")
    ] = False,
    lagged_weather: Annotated[
        bool, typer.Option("--lagged-weather", help="Use the weather observed the day before too.")
    ] = False,
    json: Json = False,
    dry_run: DryRun = False,
    lang: Lang = "en",
) -> None:
    """Forecasts flows, with bands and a score against the naive."""
    from mangrove import api, printing

    park = api.open(folder)
    report = api.forecast(
        park,
        parts(flows),
        at,
        horizon=horizon,
        as_of=as_of,
        reconcile=not no_reconcile,
        lagged_weather=lagged_weather,
        store=not dry_run,
    )
    tell(report.problems(), lang)
    table = report.to_arrow()
    if json or table.num_rows:
        text = printing.as_json(table) if json else printing.as_text(table, lang, park.territory.tz)
        typer.echo(text, nl=not json)
    if report.record:
        say(messages.render("cli.stored_as", lang, record=report.record[:12]))
    raise typer.Exit(0 if table.num_rows else 4)


def scores(
    folder: Folder,
    flows: Annotated[str, typer.Option("--flows", help="Ids of flows, with commas; all when left out.")] = "",
    start: Annotated[
        str | None, typer.Option("--from", help="Forecasts made from then on: 2024, 2024-03, 2024-03-31.")
    ] = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Each forecaster's record: what it said against what happened."""
    from mangrove import api, outlook, printing, printing_scores

    table = outlook.scores(api.open(folder), parts(flows), start)
    if json:
        typer.echo(printing.as_json(table), nl=False)
    elif table.num_rows:
        typer.echo(printing_scores.scores_text(table, lang))
    if not table.num_rows:
        say(messages.render("forecast.no_scores", lang))
    raise typer.Exit(0 if table.num_rows else 4)


def operate(
    folder: Folder,
    at: At = None,
    places: Places = "",
    horizon: Horizon = 48.0,
    scenarios: Scenarios = 1,
    json: Json = False,
    dry_run: DryRun = False,
    lang: Lang = "en",
) -> None:
    """Plans batteries, chargers and swap stations from a moment on."""
    from mangrove import api, printing_energy

    park = api.open(folder)
    made = api.operate(
        park, at, places=parts(places), horizon=horizon, scenarios=scenarios, store=not dry_run
    )
    for schedule in made:
        tell(schedule.problems, lang)
    typer.echo(
        printing_energy.schedules_json(made)
        if json
        else printing_energy.schedules_text(made, lang, park.territory)
    )


def backtest(
    folder: Folder,
    start: From,
    end: To = None,
    place: Sites = "",
    horizon: Horizon = 48.0,
    scenarios: Scenarios = 1,
    forecasts: Annotated[
        str, typer.Option("--forecasts", help="What the plans expect: mix, persistence or perfect.")
    ] = "mix",
    jobs: Jobs = 1,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Runs the plan over a past period, beside foresight and rules."""
    from mangrove import api, printing_energy
    from mangrove.operate.site import sites

    park = api.open(folder)
    question: dict[str, Any] = {
        "start": start, "end": end, "horizon": horizon, "scenarios": scenarios, "forecasts": forecasts,
    }  # fmt: skip
    places = parts(place) or (sites(park.territory)[0].place,)
    if len(places) > 1:
        done = api.each_site(api.backtest, park, places=places, jobs=jobs, **question)
    else:
        told = printing_energy.progress(say, lang)
        done = {places[0]: api.backtest(park, place=places[0], progress=told, **question)}
    if json:
        typer.echo(printing_energy.backtests_json(done))
        return
    for name, one in done.items():
        if len(done) > 1:
            typer.echo(f"\n{park.territory.places[name].name}")
        typer.echo(printing_energy.backtest_text(one, lang, park.territory))


def size(
    folder: Folder,
    start: From,
    end: To = None,
    place: Place = "",
    weather: Annotated[
        list[Path] | None,
        typer.Option("--weather", help="Weather file (EPW, NSRDB, PVGIS) or: generated; repeat for years."),
    ] = None,
    hours: Annotated[
        str, typer.Option("--hours", help="Time-of-use calendars, with commas: law, legacy, 963.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Name of the plan in the ledger.")] = "plan",
    preview: Annotated[
        bool, typer.Option("--preview", help="Typical days only: an answer within seconds.")
    ] = False,
    max_co2: Annotated[float | None, typer.Option("--max-carbon", min=0, help="Most t CO2 a year.")] = None,
    max_money: Annotated[
        float | None, typer.Option("--max-money", min=0, help="Most money for what is built.")
    ] = None,
    renewable: Annotated[
        float | None,
        typer.Option("--renewable", min=0, max=1, help="Least renewable share of the electricity, 0 to 1."),
    ] = None,
    outage: Annotated[
        list[str] | None,
        typer.Option("--outage", help="Start of a grid failure to be survived: 2024-06-03T10:00; repeat."),
    ] = None,
    outage_hours: Annotated[
        float, typer.Option("--outage-hours", min=1, help="Length of each failure.")
    ] = 4.0,
    critical: Annotated[
        float, typer.Option("--critical", min=0, max=1, help="Share of the load kept up then, 0 to 1.")
    ] = 1.0,
    run: Annotated[
        str, typer.Option("--run", help="Run whose values count where it has any, as plan/metro.")
    ] = "",
    figures: Annotated[
        Path | None,
        typer.Option("--figures", help="Folder for figures: cost against CO2, sensitivity, cash, energy."),
    ] = None,
    json: Json = False,
    dry_run: DryRun = False,
    lang: Lang = "en",
) -> None:
    """Sizes what a site may build over a year: cost, savings, CO2."""
    from mangrove import api, energy, printing_energy
    from mangrove.plan.declared import Wishes
    from mangrove.plan.problem import Limits

    park = api.open(folder)
    found = []
    limits = Limits(co2=max_co2, renewable=renewable, money=max_money)
    failures = energy.outages(park, start, end, outage or (), hours=outage_hours, critical=critical)
    for calendar in parts(hours) or ("",):
        wishes = Wishes(
            name=f"{name}-{calendar}" if calendar else name, limits=limits, outages=failures, run=run
        )
        made = api.plan(
            park, start, end, place=place, weather=weather or (), wishes=wishes, hours=calendar,
            full=not preview, store=not dry_run,
        )  # fmt: skip
        found.append(made)
        if not json:
            typer.echo(printing_energy.sizing_text(made, lang, park.territory, calendar))
            if failures:
                typer.echo(printing_energy.survival_text(made, lang, critical, outage_hours))
        if figures is not None:
            drawn = printing_energy.sizing_figures(made, figures / made.case.name, lang, park.territory)
            say(messages.render("cli.figures_written", lang, count=len(drawn), path=figures / made.case.name))
        if made.record:
            say(messages.render("cli.stored_as", lang, record=made.record[:12]))
    if json:
        typer.echo(printing_energy.sizings_json(found))


def bill(
    folder: Folder,
    place: Annotated[str, typer.Argument(metavar="SITE", help="Id of the site.")],
    start: From,
    end: To = None,
    hours: Annotated[
        str, typer.Option("--hours", help="Time-of-use calendars side by side: legacy,963.")
    ] = "",
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Itemizes what a site pays, also under other hours."""
    from mangrove import api, printing_energy

    park = api.open(folder)
    made = api.bill(park, place, start, end, regimes=parts(hours))
    text = printing_energy.bill_json(made) if json else printing_energy.bill_text(made, lang, park.territory)
    typer.echo(text)


def share(
    folder: Folder,
    start: From,
    end: To = None,
    rule: Annotated[
        str,
        typer.Option("--rule", help="How members pay: duals, shapley, least_core, mmr, sdr, pro_rata, ..."),
    ] = "duals",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for one printable page a member.")] = None,
    json: Json = False,
    dry_run: DryRun = False,
    lang: Lang = "en",
) -> None:
    """Divides the cost of shared energy, with a statement a member."""
    from mangrove import api, printing_energy
    from mangrove.serve import statement

    park = api.open(folder)
    made = api.settle(park, start, end, rule=rule, store=not dry_run)
    typer.echo(printing_energy.sharing_json(made) if json else printing_energy.sharing_text(made, lang))
    if out is not None:
        paths = statement.write_statements(made, out, lang)
        say(messages.render("cli.statements_written", lang, count=len(paths), path=out))
    if made.record:
        say(messages.render("cli.stored_as", lang, record=made.record[:12]))
