# SPDX-License-Identifier: Apache-2.0
"""The commands of climate and water: alerts, public transport, water supply, drainage.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from mangrove.cli_words import Folder, Json, Lang, tell

At = Annotated[
    str | None, typer.Option("--at", help="The moment, local time: 2024-06-05T08:00; now when left out.")
]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = (alerts,)
    for command in commands:
        app.command()(command)


def alerts(folder: Folder, at: At = None, json: Json = False, lang: Lang = "en") -> None:
    """Says what threatens now: water levels, air, rain, heat."""
    from mangrove import api, hazard

    park = api.open(folder)
    found = hazard.now(park, at)
    tell(found.problems, lang)
    typer.echo(hazard.as_json(found, lang) if json else hazard.as_text(found, park.territory, lang))
