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
from mangrove.cli_words import Folder, Json, Lang, To, say, tell
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
    if not (year or start):
        raise RequestError("symbiosis.no_period")
    asked, only = str(year or start), [exchange] if exchange else []
    with park.reader() if dry_run else park.writer() as ledger:
        made = check(
            ledger, park.territory, asked, None if year else end, exchanges=only, gwp=gwp, stored=not dry_run
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
