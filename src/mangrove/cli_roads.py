# SPDX-License-Identifier: Apache-2.0
"""The commands about streets: plans compared, networks made of maps.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by `street_plans` and the traffic engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, Json, Lang, say, tell

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.street_plans import Judged

roads_app = typer.Typer(
    help="Streets: plans judged by equilibrium, networks made of maps.", no_args_is_help=True
)


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(roads_app, name="roads")


@roads_app.command()
def compare(
    folder: Folder,
    plans: Annotated[
        list[Path], typer.Argument(metavar="PLAN.yaml...", help="Plans to compare.", show_default=False)
    ],
    on: Annotated[
        str | None, typer.Option("--on", help="Day on which they are looked at: 2030-01-01.")
    ] = None,
    draws: Annotated[int | None, typer.Option("--draws", help="Draws of trips.", show_default=False)] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of all draws.")] = 0,
    load: Annotated[
        str | None,
        typer.Option("--load", help="Period, as 2030: store what vehicles charge in it as runs plan/NAME."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Judges plans for the streets against today and against each other."""
    from mangrove import api, street_load, street_plans
    from mangrove.times import parse_date

    park, day = api.open(folder), parse_date(on) if on else None
    if load and not dry_run:
        street_load.wanted(park.territory, load)
    found = street_plans.compare(park, plans, on=day, draws=draws, seed=seed)
    show(park, found, lang, json=json, keep=not dry_run)
    if load and not dry_run:
        _hand_over(park, found, load, lang)


def show(park: Handle, found: Judged, lang: str, *, json: bool, keep: bool) -> None:
    """Prints what was judged, and keeps it."""
    from mangrove import street_plans

    tell(found.problems, lang)
    typer.echo(found.json() if json else found.text(lang))
    if keep:
        record, problem = street_plans.store(park, found)
        tell((problem,) if problem else (), lang)
        if record:
            say(messages.render("roads.kept", lang, record=record[:12]))


def _hand_over(park: Handle, found: Judged, period: str, lang: str) -> None:
    """Stores what vehicles charge, and says where."""
    from mangrove import street_load

    for one in street_load.hand_over(park, found, period):
        tell(one.problems, lang)
        say(
            messages.render(
                "roads.handed", lang, run=one.run, rows=one.rows, flows=", ".join(one.flows) or "-"
            )
        )


@roads_app.command()
def extract(
    source: Annotated[
        Path, typer.Argument(metavar="MAP.osm.pbf", help="Extract of OpenStreetMap.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Argument(metavar="NET.net.xml.gz", help="Network to be made.", show_default=False)
    ],
    box: Annotated[str, typer.Option("--box", help="West,south,east,north in degrees.")],
    lang: Lang = "en",
) -> None:
    """Makes a road network of a box of a map."""
    from mangrove.street_words import box_of
    from mangrove.traffic.osm import extract as cut
    from mangrove.traffic.sumo_net import read_net

    net = read_net(cut(source, box_of(box), out))
    say(messages.render("roads.made", lang, file=out, edges=len(net), signals=len(net.signals)))
