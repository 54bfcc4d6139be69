# SPDX-License-Identifier: Apache-2.0
"""The commands that read emissions out of sensors: inversion, location of a source, virtual meters, changes of a station.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from mangrove import messages
from mangrove.cli_words import Folder, From, Json, Lang, To, parts, say, tell

Terrain = Annotated[Literal["urban", "rural"], typer.Option("--terrain", help="How fast plumes widen.")]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (invert, locate, virtual, station_change)
    for command in commands:
        app.command()(command)


def invert(
    folder: Folder,
    start: From,
    end: To = None,
    species: Annotated[
        str, typer.Option("--species", help="What to use, with commas: co2,co,no2; all when left out.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="zone (sectors in zones) or sector.")] = "zone",
    zone: Annotated[
        str, typer.Option("--zone", help="Kind of place that is a zone: ward; what is drawn when left out.")
    ] = "",
    footprints: Annotated[
        list[Path] | None,
        typer.Option(
            "--footprints", help="NetCDF footprints, a file or a folder named after its station; repeat."
        ),
    ] = None,
    terrain: Terrain = "urban",
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Says from air sensors how far emissions differ from the inventory."""
    from json import dumps

    from mangrove import api
    from mangrove.measure import sensing

    report = sensing.invert(
        api.open(folder), start, end, species=parts(species), by=by, zone=zone, terrain=terrain,
        footprints=footprints or (), store=not dry_run,
    )  # fmt: skip
    tell(report.problems(), lang)
    typer.echo(dumps(report.document(), ensure_ascii=False) if json else report.text(lang))
    if report.record:
        say(messages.render("cli.stored_as", lang, record=report.record[:12]))
    raise typer.Exit(4 if any(one.severity == "error" for one in report.notes) else 0)


def locate(
    folder: Folder,
    species: Annotated[str, typer.Option("--species", help="What is measured in the air: ch4, co, so2.")],
    start: From,
    end: To = None,
    area: Annotated[
        str | None,
        typer.Option("--area", help="Id of the place to search; around the sensors when left out."),
    ] = None,
    height: Annotated[
        float, typer.Option("--height", min=0, max=1000, help="Height of the release, m.")
    ] = 1.0,
    sources: Annotated[int, typer.Option("--sources", min=1, max=3, help="How many to look for.")] = 1,
    terrain: Terrain = "urban",
    draws: Annotated[
        int, typer.Option("--draws", min=50, help="Draws of the posterior; more are finer.")
    ] = 600,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Finds where an unknown source is and how much it emits."""
    from mangrove import api
    from mangrove.locate import as_json, text
    from mangrove.locate import locate as find

    park = api.open(folder)
    report = find(
        park, species, start, end, area=area, height=height, sources=sources, terrain=terrain, draws=draws,
        store=not dry_run,
    )  # fmt: skip
    tell(report.problems(), lang)
    typer.echo(as_json(report) if json else text(report, lang, park.territory))
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
    from mangrove.virtual import virtual as estimate

    park = api.open(folder)
    report = estimate(park, flow, start, end, store=not (dry_run or validate))
    tell(report.problems(), lang)
    table = report.validation() if validate else report.to_arrow()
    if json or table.num_rows:
        text = printing.as_json(table) if json else printing.as_text(table, lang, park.territory.tz)
        typer.echo(text, nl=not json)
    for record in report.records.values():
        say(messages.render("cli.stored_as", lang, record=record[:12]))
    raise typer.Exit(0 if report.meters else 4)


def station_change(
    folder: Folder,
    station: Annotated[str, typer.Option("--station", help="Id of the place of the station.")],
    before: Annotated[str, typer.Option("--before", help="Period: 2024-03, or 2024-01-01..2024-03-15.")],
    after: Annotated[str, typer.Option("--after", help="The later period, written alike.")],
    species: Annotated[
        str, typer.Option("--species", help="Species or ids of flows, with commas; all when left out.")
    ] = "",
    model: Annotated[
        str, typer.Option("--model", help="ridge, boosted, or both with a comma: the better on unseen days.")
    ] = "ridge",
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Separates a change at a station from weather and instrument."""
    from mangrove import api
    from mangrove.station_change import as_json, text
    from mangrove.station_change import station_change as compare

    park = api.open(folder)
    report = compare(
        park, station, before, after, species=parts(species), models=parts(model), store=not dry_run
    )
    tell(report.notes, lang)
    typer.echo(as_json(report) if json else text(report, lang, park.territory))
    if report.record:
        say(messages.render("cli.stored_as", lang, record=report.record[:12]))
