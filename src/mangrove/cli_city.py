# SPDX-License-Identifier: Apache-2.0
"""The commands of a city: what it emits now, where, why it changed.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mangrove.cli_words import Folder, From, Json, Lang, To, parts, tell

Run = Annotated[
    str, typer.Option("--run", help="Whose values: measured, estimate/nowcast, forecast, plan/NAME.")
]
Gwp = Annotated[
    str | None, typer.Option("--gwp", help="GWP set: AR4, AR5, AR6; that of the territory when left out.")
]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (why, hotspots, event, nowcast, raster)
    for command in commands:
        app.command()(command)


def why(
    folder: Folder,
    start: From,
    end: To = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="The period that it is compared with; a year earlier when left out."),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="Causes by sector, place, flow, scope, gpc or carrier.")
    ] = "sector",
    run: Run = "measured",
    gwp: Gwp = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Write a waterfall to this SVG file.")
    ] = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Why emissions changed: causes that add up to the change exactly."""
    from mangrove import api, city, printing_city

    found = city.why(api.open(folder), start, end, against=against, run=run, gwp=gwp)
    tell(found.notes, lang)
    typer.echo(printing_city.why_json(found) if json else printing_city.why_text(found, by, lang))
    if figure is not None:
        figure.write_text(printing_city.why_figure(found, lang), encoding="utf-8")


def hotspots(
    folder: Folder,
    start: From,
    end: To = None,
    by: Annotated[
        str, typer.Option("--by", help="Columns, with commas: ward, place, sector, flow, ...")
    ] = "place",
    top: Annotated[int, typer.Option("--top", min=1, help="How many are the first.")] = 10,
    share: Annotated[
        float, typer.Option("--share", help="Share of the total that the smallest set holds.")
    ] = 0.5,
    run: Run = "measured",
    gwp: Gwp = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Where most emissions come from, and how sure each rank is."""
    from mangrove import api, city, printing, printing_city

    park = api.open(folder)
    found = city.hotspots(park, start, end, by=parts(by), top=top, share=share, run=run, gwp=gwp)
    tell(found.problems, lang)
    typer.echo(
        printing.as_json(found.table()) if json else printing_city.hotspots_text(found, park.territory, lang),
        nl=not json,
    )


def event(
    folder: Folder,
    at: Annotated[str, typer.Option("--at", help="The first day of the event: 2024-06-05.")],
    flows: Annotated[
        str, typer.Option("--flows", help="Ids of flows with daily or finer values, with commas.")
    ],
    controls: Annotated[
        str, typer.Option("--controls", help="Ids of flows that the event cannot have touched, with commas.")
    ] = "",
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="Days after the beginning that count.")
    ] = 28,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """What an event changed, with control of false alarms."""
    from mangrove import api, city, printing, printing_city

    found = city.event(api.open(folder), parts(flows), at, controls=parts(controls), after=days)
    tell(found.problems, lang)
    if json or found.effects:
        text = printing.as_json(found.table()) if json else printing_city.event_text(found, lang)
        typer.echo(text, nl=not json)
    raise typer.Exit(0 if found.effects else 4)


def nowcast(
    folder: Folder,
    at: Annotated[
        str | None, typer.Option("--at", help="The present, local time: 2026-11-22T07:00; now when left out.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="First instant; the beginning of the local year when left out."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Use only what was recorded until then.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="Columns, with commas: ward, sector, flow, gpc; ward (or place) and sector when left out.",
        ),
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Time buckets of an hour or more: 1h, 1d, 1mo.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Groups shown, the largest first.")] = 10,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Estimates hourly emissions to the present, with intervals."""
    from mangrove import api, city, messages, printing
    from mangrove.cli_words import say
    from mangrove.measure.nowcast import words
    from mangrove.measure.nowcast.result import require_columns, whole_hours

    park = api.open(folder)
    drawn = "ward" if any(place.kind == "ward" for place in park.territory.places.values()) else "place"
    columns = (drawn, "sector") if by is None else parts(by)
    require_columns(park.territory, columns)  # before anything is stored
    whole_hours(every)
    made = city.nowcast(park, at, start, as_of=as_of, store=not dry_run)
    tell(made.notes, lang)
    table = words.largest(made.table(columns, every), columns, top)
    if json:
        typer.echo(words.as_json(made, table, lang))
        return
    typer.echo(
        "\n".join([*words.summary(made, lang, top), "", printing.as_text(table, lang, park.territory.tz)])
    )
    if made.record:
        say(messages.render("nowcast.stored", lang))


def raster(
    folder: Folder,
    start: From,
    out: Annotated[Path, typer.Option("--out", help="The file: .nc (NetCDF) or .parquet (GeoParquet).")],
    end: To = None,
    cell: Annotated[str, typer.Option("--cell", help="Size of the cells: 1km, 500m, 0.01deg.")] = "1km",
    by: Annotated[str, typer.Option("--by", help="grid, wards, or a kind of place.")] = "grid",
    every: Annotated[str, typer.Option("--every", help="Steps of the file: 1h, 1d, 1mo, 1y.")] = "1h",
    run: Run = "measured",
    gwp: Gwp = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Writes emissions on a grid or by wards for models and maps."""
    from mangrove import api
    from mangrove.raster import as_json, as_text
    from mangrove.raster import raster as write

    made = write(api.open(folder), start, end, out=out, cell=cell, by=by, every=every, run=run, gwp=gwp)
    tell(made.problems, lang)
    typer.echo(as_json(made) if json else as_text(made, lang))
