# SPDX-License-Identifier: Apache-2.0
"""The commands of climate and water: alerts, public transport, water supply, drainage.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, From, Json, Lang, To, say, tell

if TYPE_CHECKING:
    from mangrove.hydraulics import Drainage, Supply

At = Annotated[
    str | None, typer.Option("--at", help="The moment, local time: 2024-06-05T08:00; now when left out.")
]

Crs = Annotated[str, typer.Option("--crs", help="Reference system of the file's coordinates: EPSG:9210.")]
Gpkg = Annotated[Path | None, typer.Option("--gpkg", help="GeoPackage to write: nodes, links, areas.")]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (alerts, transit, water, drainage)
    for command in commands:
        app.command()(command)


def alerts(folder: Folder, at: At = None, json: Json = False, lang: Lang = "en") -> None:
    """Says what threatens now: water levels, air, rain, heat."""
    from mangrove import api, hazard

    park = api.open(folder)
    found = hazard.now(park, at)
    tell(found.problems, lang)
    typer.echo(hazard.as_json(found, lang) if json else hazard.as_text(found, park.territory, lang))


def water(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE.inp", help="Supply network of EPANET.")],
    start: Annotated[str, typer.Option("--from", help="First hour of the run, local time: 2026-06-01.")],
    hours: Annotated[
        float | None, typer.Option("--hours", min=1, max=87_600, help="Length; the file's own when left out.")
    ] = None,
    flow: Annotated[
        str, typer.Option("--flow", help="Electricity flow of pumps that have none of their own.")
    ] = "",
    crs: Crs = "",
    gpkg: Gpkg = None,
    declare: Annotated[
        Path | None,
        typer.Option("--declare", help="Folder for places.csv and flows.csv that the file suggests."),
    ] = None,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    lang: Lang = "en",
) -> None:
    """Simulates a supply network: pressure, pump energy, emissions."""
    from mangrove import api
    from mangrove import water as work

    park = api.open(folder)
    made = work.simulate(park, file, start, hours=hours, flow=flow, crs=crs, store=not dry_run)
    tell(made.problems, lang)
    typer.echo(work.supply_json(made) if json else work.supply_text(made, lang))
    if made.rows:
        say(messages.render("hydraulics.stored", lang, rows=made.rows, run=work.RUN))
    if declare is not None:
        root = next(one.id for one in park.territory.places.values() if one.parent is None)
        places, flows = work.write_declaration(made.supply.network, root, declare)
        say(messages.render("hydraulics.declared", lang, places=places, flows=flows, path=declare))
    _drawn(gpkg, made.supply, lang)


def drainage(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE.inp", help="Drainage network of SWMM.")],
    rain: Annotated[float | None, typer.Option("--rain", min=0, help="Design storm: mm in all.")] = None,
    hours: Annotated[
        float, typer.Option("--hours", min=0.1, max=720, help="Length of the design storm.")
    ] = 3.0,
    start: Annotated[
        str, typer.Option("--from", help="Measured rain from the ledger: a period, or its first instant.")
    ] = "",
    end: Annotated[str | None, typer.Option("--to", help="End of the measured rain.")] = None,
    flow: Annotated[
        str, typer.Option("--flow", help="Flow of the measured rain; the first one when left out.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="Kind of place that floods are added up for.")] = "ward",
    crs: Crs = "",
    gpkg: Gpkg = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Simulates drains under a rain: what floods, where, how long."""
    from mangrove import api
    from mangrove import water as work
    from mangrove.hydraulics import storm

    park = api.open(folder)
    fallen = work.measured_rain(park, start, end, flow) if start else None
    if rain is not None and fallen is None:
        fallen = storm(rain, hours, work.local_start("2026-09-01", park.territory))
    made = work.drain(park, file, fallen, crs=crs, by=by)
    tell(made.problems, lang)
    typer.echo(work.drain_json(made) if json else work.drain_text(made, park.territory, lang))
    _drawn(gpkg, made.drainage, lang)


def _drawn(path: Path | None, result: Supply | Drainage, lang: str) -> None:
    """Writes the GeoPackage that was asked for."""
    if path is not None:
        from mangrove.hydraulics import geopackage

        layers = geopackage.write(path, result.network, result)
        say(messages.render("hydraulics.written", lang, layers=len(layers), path=path))


def transit(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FEED", help="GTFS timetable: zip or folder.")],
    start: From,
    end: To = None,
    realtime: Annotated[
        Path | None, typer.Option("--realtime", help="GTFS-Realtime message, or a folder of them.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="The messages are of now: say when they are old.")
    ] = False,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Takes bus and train timetables and what really ran."""
    from mangrove import api
    from mangrove import transit as work

    made = work.take(api.open(folder), file, start, end, realtime=realtime, live=live)
    tell(made.problems, lang)
    typer.echo(work.as_json(made) if json else work.as_text(made, lang))
