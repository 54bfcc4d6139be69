# SPDX-License-Identifier: Apache-2.0
"""The command of observed traffic.

Comes in: words of the command line. Goes out: a table on stdout, what was left out, filled or assumed on stderr. The command is added to the
application of `cli.py`; the work is done by `traffic_state`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, From, Json, Lang, To, say, tell


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(traffic)


def traffic(
    folder: Folder,
    start: From,
    end: To = None,
    by: Annotated[
        str, typer.Option("--by", help="link, street, class, or a kind of place: ward, city.")
    ] = "link",
    pollutant: Annotated[
        str, typer.Option("--pollutant", help="CO2, CO, NOx, PM, HC, fuel or electricity.")
    ] = "CO2",
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="Factor curves: hbefa, copert, measured, consumption; the most trusted when left out.",
        ),
    ] = "",
    probes: Annotated[
        Path | None,
        typer.Option("--probes", help="CSV of positions (time, vehicle, lon, lat) to take first."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Estimate the streets of the network that nobody counts, too.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws of factors.")] = 0,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Says what streets emit, from counts and speeds of vehicles."""
    from mangrove import api, printing_traffic, traffic_state

    park = api.open(folder)
    if probes is not None:
        say(traffic_state.take_probes(park, probes, store=not dry_run).text(lang))
    made = traffic_state.traffic(
        park, start, end, by=by, pollutant=pollutant, source=source, whole=whole, seed=seed, store=not dry_run
    )
    tell(printing_traffic.summed(made.problems), lang)
    typer.echo(printing_traffic.as_json(made) if json else printing_traffic.as_text(made, lang))
    if made.record:
        say(messages.render("vehicles.stored", lang, count=made.stored, record=made.record[:12]))
