# SPDX-License-Identifier: Apache-2.0
"""The commands of a territory that is live: serve, work, live, and those that keep a server healthy and its users in order.

Comes in: words of the command line. Goes out: a running server, lines for people on stderr, data on stdout. The commands are added
to the application of `cli.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mangrove import cli_access, cli_keeping, messages
from mangrove.cli_words import Folder, From, Json, Lang, To, parts, say

Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (serve, work, live, budget, grid, basemap)
    for command in commands:
        app.command()(command)
    cli_access.add(app)
    cli_keeping.add(app)


def serve(
    folder: Folder,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    guest: Annotated[
        str, typer.Option("--guest", help="Role of visitors who do not sign in; on this machine only.")
    ] = "",
    mqtt: Annotated[str, typer.Option("--mqtt", metavar="HOST:PORT", help="Broker to listen to.")] = "",
    proxy: Annotated[
        str,
        typer.Option("--proxy", help="Addresses of reverse proxies whose headers are believed, with commas."),
    ] = "",
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="YAML file with the table 'access': signing in elsewhere, limits."),
    ] = None,
    workers: Annotated[
        bool, typer.Option("--work/--no-work", help="Also run the models in a process of their own.")
    ] = True,
    lang: Lang = "en",
) -> None:
    """Takes meters in and shows the territory as it is now, until stopped."""
    from mangrove import server

    options = server.Options(
        host=host,
        port=port,
        guest=guest,
        mqtt=mqtt,
        proxies=proxy,
        settings=settings,
        workers=workers,
        lang=lang,
    )
    server.serve(folder, options, say=say)


def work(
    folder: Folder,
    url: Annotated[
        str, typer.Option("--url", help="Address of the server that writes.")
    ] = "http://127.0.0.1:8000",
    once: Annotated[bool, typer.Option("--once", help="Run every job once and end.")] = False,
    lang: Lang = "en",
) -> None:
    """Runs screening, forecasts and schedules for a server; the key comes from MANGROVE_KEY."""
    from mangrove import worker

    worker.work(folder, url, once=once, say=say, lang=lang)


def live(
    out: Annotated[Path, typer.Option("--out", help="Folder of the demonstration.")] = Path("out"),
    examples: Annotated[Path, typer.Option("--examples", help="Folder of the examples.")] = Path("examples"),
    host: Host = "127.0.0.1",
    port: Port = 8000,
    speed: Annotated[
        float,
        typer.Option("--speed", min=0.1, max=3600, help="How much faster than real time its clock runs."),
    ] = 60.0,
    city: Annotated[
        bool, typer.Option("--city", help="Serve the example city with its generated twin.")
    ] = False,
    streets: Annotated[
        bool, typer.Option("--streets", help="Serve real streets with generated vehicles; needs SUMO.")
    ] = False,
    lang: Lang = "vi",
) -> None:
    """Serves the demonstration park, the city or streets with a replayed feed until stopped."""
    from mangrove import demo_live

    demo_live.run(
        out, examples=examples, host=host, port=port, speed=speed, say=say, lang=lang, city=city, streets=streets
    )  # fmt: skip


def budget(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV: flow,period,amount,unit.")],
    name: Annotated[
        str, typer.Option("--name", help="Name of the plan; that of the file when left out.")
    ] = "",
    lang: Lang = "en",
) -> None:
    """Takes planned amounts by flow and month or year, to compare with."""
    from mangrove import api
    from mangrove.plan import budget as budgets

    park = api.open(folder)
    adopted = api.budget(park, file, name=name)
    for code, facts in budgets.told(adopted, park.territory.tz):
        say(messages.render(f"plan.budget_{code}", lang, **facts))


def grid(
    folder: Folder,
    start: From,
    end: To = None,
    files: Annotated[
        Path | None, typer.Option("--files", help="Files of the dispatch center to take in first.")
    ] = None,
    allow: Annotated[
        str, typer.Option("--allow", help="Also accept official factors of these statuses or ids.")
    ] = "",
    voltage: Annotated[
        str, typer.Option("--voltage", help="Of the meter, such as '22-<110 kV': adds losses.")
    ] = "",
    forecast: Annotated[
        int,
        typer.Option(
            "--forecast", metavar="DAYS", help="The 1 to 7 days after the last published one.", min=0
        ),
    ] = 0,
    zones: Annotated[
        bool, typer.Option("--zones", help="The zones of the grid, with their exchanges traced.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep no record of the forecast.")] = False,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Carbon of the national grid by hour, beside the official factor."""
    from mangrove import grid as carbon

    carbon.grid_carbon(
        folder,
        start,
        end,
        files=files,
        allow=parts(allow),
        voltage=voltage,
        forecast=forecast,
        zones=zones,
        store=not dry_run,
        as_json=json,
        say=say,
        out=typer.echo,
        lang=lang,
    )


def basemap(
    folder: Folder,
    boundaries: Annotated[
        list[Path] | None,
        typer.Option("--boundaries", metavar="FILE", help="GeoJSON (WGS84) of places or of land around."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="File to write, .pmtiles.")
    ] = None,
    lang: Lang = "en",
) -> None:
    """Cuts boundaries into the tiles of a map of one's own."""
    from mangrove import api
    from mangrove.serve import basemap as tiles

    path = tiles.build(api.open(folder).territory, boundaries or (), out)
    size = max(round(path.stat().st_size / 1000), 1)
    typer.echo(messages.render("page_map.written", lang, path=path, size=size))
