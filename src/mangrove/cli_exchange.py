# SPDX-License-Identifier: Apache-2.0
"""The commands of exchanges: the best new ones, who gains what, what breaks, what the running ones really do, heat and water reuse.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The group is added to the
application of `cli.py`; the work is done by `mangrove.exchange` and the verbs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mangrove import messages
from mangrove.cli_words import Folder, Json, Lang, To, parts, say, tell
from mangrove.errors import RequestError

exchange_app = typer.Typer(
    help="Exchanges between companies: the best new ones, shares, losses, proof, heat, water.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add(app: typer.Typer) -> None:
    """Adds the group to the application."""
    app.add_typer(exchange_app, name="exchange")


@exchange_app.command()
def heat(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Table of streams (CSV).", show_default=False)],
    dt: Annotated[str, typer.Option("--dt", help="Least temperature difference: 10K, 18degF.")] = "10K",
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="OUT.svg", help="Also draw the composite curves.")
    ] = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Finds how much heat plants can give each other: pinch, utilities, heat pump."""
    from mangrove import heat as work

    found = work.study(file, dt)
    tell(found.problems, lang)
    typer.echo(work.as_json(found) if json else work.as_text(found, lang))
    if figure is not None:
        figure.write_text(work.figure(found, lang), encoding="utf-8")


@exchange_app.command()
def verify(
    folder: Folder,
    start: Annotated[str, typer.Option("--from", help="First instant: 2024, 2024-03, 2024-03-31.")] = "",
    end: To = None,
    year: Annotated[
        int | None, typer.Option("--year", help="A whole year instead of --from and --to.")
    ] = None,
    exchange: Annotated[
        str, typer.Option("--exchange", help="Only this one, by month and with its arithmetic.")
    ] = "",
    gwp: Annotated[
        str | None, typer.Option("--gwp", help="GWP set; the territory's own when left out.")
    ] = None,
    allow: Annotated[
        str, typer.Option("--allow", help="Factors besides official ones: unofficial, or ids.")
    ] = "",
    circularity: Annotated[
        bool, typer.Option("--circularity", help="Also how circular the territory is.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep no record and no values.")] = False,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Shows what the running exchanges really do: metered, reconciled, saved, avoided."""
    from mangrove import api, printing_verified
    from mangrove.measure.symbiosis import circularity as circular
    from mangrove.measure.symbiosis import verify as check

    park = api.open(folder)
    if bool(year) == bool(start) or (year and end):
        raise RequestError("symbiosis.no_period")
    asked, only = str(year or start), [exchange] if exchange else []
    with park.reader() if dry_run else park.writer() as ledger:
        made = check(
            ledger,
            park.territory,
            asked,
            None if year else end,
            exchanges=only,
            gwp=gwp,
            allow=parts(allow),
            stored=not dry_run,
        )
        found = circular(ledger, park.territory, made.span.start, made.span.end) if circularity else None
    tell(made.problems, lang)
    if json:
        typer.echo(printing_verified.verified_json(made, lang, found))
        return
    typer.echo(printing_verified.verified_text(made, lang))
    if exchange:
        typer.echo("\n" + printing_verified.exchange_text(made, exchange, lang))
    if found:
        tell(found.problems, lang)
        typer.echo("\n" + printing_verified.circularity_text(found, lang))
    if made.record:
        say(messages.render("symbiosis.stored", lang, record=made.record[:12]))


@exchange_app.command()
def water(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Table of operations, sources, sinks (CSV).", show_default=False),
    ],
    method: Annotated[
        Literal["auto", "levels", "scip"], typer.Option("--method", help="Search where water mixes.")
    ] = "auto",
    objective: Annotated[
        Literal["fresh", "cost"], typer.Option("--objective", help="Least fresh water or least cost.")
    ] = "fresh",
    limit: Annotated[float, typer.Option("--time-limit", min=0.1, help="Seconds of the search.")] = 60.0,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Finds the least fresh water of plants that use each other's water."""
    from mangrove import reuse as work

    found = work.reuse(file, objective=objective, method=method, time_limit=limit)
    tell(found.problems, lang)
    typer.echo(work.as_json(found) if json else work.as_text(found, lang))


Radius = Annotated[
    float | None, typer.Option("--radius", min=0.1, help="Kilometers to the farthest partner.")
]
Transport = Annotated[
    float | None, typer.Option("--transport", min=0, help="Trucks, VND per tonne and kilometer.")
]


@exchange_app.command()
def plan(
    folder: Folder,
    radius: Radius = None,
    transport: Transport = None,
    transport_emissions: Annotated[
        float | None,
        typer.Option("--transport-emissions", min=0, help="Trucks, kg CO2e per tonne and kilometer."),
    ] = None,
    handling: Annotated[
        float | None, typer.Option("--handling", min=0, help="Loading, VND per tonne.")
    ] = None,
    carbon_price: Annotated[
        float | None, typer.Option("--carbon-price", min=0, help="VND per tonne of CO2e avoided.")
    ] = None,
    fixed_cost: Annotated[
        float | None, typer.Option("--fixed-cost", min=0, help="VND a year for each link opened.")
    ] = None,
    most_share: Annotated[
        str | None, typer.Option("--most-share", help="Most of a need from one giver: 60%.")
    ] = None,
    power_price: Annotated[
        float | None, typer.Option("--power-price", min=0, help="Electricity of treatment, VND/kWh.")
    ] = None,
    approach: Annotated[
        float | None, typer.Option("--approach", min=0, help="Kelvin that heat exchangers need: 10.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Finds the new exchanges of most worth, with reasons, amounts and what stays unused."""
    from mangrove import api
    from mangrove import exchange as work

    made = work.plan(
        api.open(folder),
        radius=radius or work.RADIUS,
        carbon_price=carbon_price,
        store=not dry_run,
        transport=transport,
        transport_carbon=transport_emissions,
        handling=handling,
        fixed_cost=fixed_cost,
        most_share=work.share(most_share),
        power_price=power_price,
        approach=approach,
    )
    tell(made.problems, lang)
    typer.echo(work.as_json(made) if json else made.text(lang))
    if made.record:
        say(messages.render("exchange.stored", lang, record=made.record[:12]))


@exchange_app.command()
def shares(
    folder: Folder,
    rule: Annotated[
        Literal["shapley", "core", "duals", "all"], typer.Option("--rule", help="How gains are shared.")
    ] = "all",
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Shows who gains what, on the terms of the plan stored last, and the prices for it."""
    from mangrove import api
    from mangrove import exchange as work

    made = work.shares(api.open(folder))
    tell(made.problems, lang)
    rules = ("shapley", "core", "duals") if rule == "all" else (rule,)
    typer.echo(work.as_json(made) if json else made.text(lang, rules))


@exchange_app.command()
def without(
    folder: Folder,
    place: Annotated[
        str,
        typer.Argument(metavar="[PLACE]", help="Id or name; each in turn when left out.", show_default=False),
    ] = "",
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Shows what breaks when a company leaves, on the terms of the plan stored last."""
    from mangrove import api, printing_exchange
    from mangrove import exchange as work

    made = work.without(api.open(folder), place)
    tell(made[0].problems if made else (), lang)
    typer.echo(work.as_json(*made) if json else printing_exchange.without_text(made, lang))


@exchange_app.command()
def hours(
    folder: Folder,
    day: Annotated[str, typer.Option("--day", help="First local day: 2024-06-05.", show_default=False)],
    days: Annotated[int, typer.Option("--days", help="How many days, at most 31.")] = 1,
    power_price: Annotated[
        float | None, typer.Option("--power-price", min=0, help="VND/kWh always, instead of the contracts.")
    ] = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Shows what flows hour by hour on some days, on the terms of the plan stored last."""
    from mangrove import api, exchange_hours
    from mangrove import exchange as work

    made = work.hours(api.open(folder), day, days, power_price=power_price)
    tell(made.problems, lang)
    typer.echo(exchange_hours.as_json(made) if json else made.text(lang))
