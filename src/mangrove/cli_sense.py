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
    commands: tuple[Callable[..., None], ...] = (locate,)
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
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Finds where an unknown source is and how much it emits."""
    from mangrove import api
    from mangrove import locate as room

    park = api.open(folder)
    report = room.locate(
        park,
        species,
        start,
        end,
        area=area,
        height=height,
        sources=sources,
        terrain=terrain,
        store=not dry_run,
    )
    tell(report.problems(), lang)
    typer.echo(room.as_json(report) if json else room.text(report, lang, park.territory))
    if report.record:
        say(messages.render("cli.stored_as", lang, record=report.record[:12]))
    raise typer.Exit(4 if report.wind.severity == "error" else 0)
