# SPDX-License-Identifier: Apache-2.0
"""The commands that read emissions out of sensors: inversion, location of a source, virtual meters, changes of a station.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, From, Json, Lang, To, say, tell


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (locate, virtual)
    for command in commands:
        app.command()(command)


def locate(
    folder: Folder,
    species: Annotated[str, typer.Option("--species", help="What is measured in the air: ch4, co, so2.")],
    start: From,
    end: To = None,
    area: Annotated[
        str | None,
        typer.Option("--area", help="Id of the place to search; around the sensors when left out."),
    ] = None,
    height: Annotated[float, typer.Option("--height", min=0, help="Height of the release, m.")] = 1.0,
    sources: Annotated[int, typer.Option("--sources", min=1, max=3, help="How many to look for.")] = 1,
    terrain: Annotated[str, typer.Option("--terrain", help="urban or rural.")] = "urban",
    draws: Annotated[
        int, typer.Option("--draws", min=50, help="Draws of the posterior; more are finer.")
    ] = 600,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Finds where an unknown source is and how much it emits."""
    from mangrove import api
    from mangrove import locate as room

    park = api.open(folder)
    report = room.locate(
        park, species, start, end, area=area, height=height, sources=sources, terrain=terrain, draws=draws,
        store=not dry_run,
    )  # fmt: skip
    tell(report.problems(), lang)
    typer.echo(room.as_json(report) if json else room.text(report, lang, park.territory))
    if report.record:
        say(messages.render("cli.stored_as", lang, record=report.record[:12]))
    raise typer.Exit(4 if report.wind.severity == "error" else 0)


def virtual(
    folder: Folder,
    start: From,
    flow: Annotated[
        str | None, typer.Argument(metavar="FLOW", help="One estimated flow; all when left out.")
    ] = None,
    end: To = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Show how good it was on unseen time; store nothing.")
    ] = False,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Estimates stacks without an analyser from process data."""
    from mangrove import api, printing
    from mangrove import virtual as room

    park = api.open(folder)
    report = room.virtual(park, flow, start, end, store=not (dry_run or validate))
    tell(report.problems(), lang)
    table = report.validation() if validate else report.to_arrow()
    if json or table.num_rows:
        text = printing.as_json(table) if json else printing.as_text(table, lang, park.territory.tz)
        typer.echo(text, nl=not json)
    for record in report.records.values():
        say(messages.render("cli.stored_as", lang, record=record[:12]))
    raise typer.Exit(0 if report.meters else 4)
