# SPDX-License-Identifier: Apache-2.0
"""The commands that bring offers and needs together: matches, and first drafts from a list of tenants.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, Json, Lang, say, tell


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (match, tenants)
    for command in commands:
        app.command()(command)


def match(
    folder: Folder,
    offer: Annotated[str | None, typer.Option("--offer", help="Only this offer.")] = None,
    need: Annotated[str | None, typer.Option("--need", help="Only this need.")] = None,
    radius: Annotated[
        str | None, typer.Option("--radius", help="Farthest partner; when left out 50 km, services any.")
    ] = None,
    keep: Annotated[int, typer.Option("--keep", help="Partners of each offer and of each need.")] = 20,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="FILE.csv", help="Past exchanges, as memory.")
    ] = None,
    service: Annotated[
        bool, typer.Option("--service", help="Technologies, experts and laboratories instead.")
    ] = False,
    refused: Annotated[bool, typer.Option("--refused", help="Also the pairs that a gate refuses.")] = False,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Ranks who could use whose by-product, water or heat."""
    from mangrove import api, matches

    park = api.open(folder)
    found = matches.match(
        park, offer=offer, need=need, radius=radius, keep=keep, cases=cases, service=service
    )
    tell(found.problems, lang)
    typer.echo(found.json(lang, refused=refused) if json else found.text(lang, refused=refused))


def tenants(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="List of the tenants of a park.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write the drafts, to be corrected.")
    ] = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Proposes industries, offers, needs and exchanges from a list of tenants."""
    from json import dumps

    from mangrove.tenants import draft

    found = draft(file)
    tell(found.problems, lang)
    typer.echo(dumps(found.document(), ensure_ascii=False, indent=1) if json else found.text(lang))
    if out is not None:
        files = ", ".join(path.name for path in found.write(out, lang))
        say(messages.render("tenants.written", lang, folder=out, files=files))
