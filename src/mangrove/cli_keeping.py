# SPDX-License-Identifier: Apache-2.0
"""The commands that keep a territory safe: `mangrove backup`, `mangrove restore`, `mangrove replicate`.

Comes in: words of the command line. Goes out: a line about what was done on stderr. The commands are added to the application of
`cli.py`; the work is done by `mangrove.backup` and `mangrove.replicate`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, Lang, say

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.", show_default=False)]
KEY = "MANGROVE_KEY"


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    for command in (backup, restore, replicate):
        app.command()(command)


def backup(folder: Folder, file: File, lang: Lang = "en") -> None:
    """Writes the territory with its ledger and accounts to one file; a server may run meanwhile."""
    from mangrove.backup import backup as save

    done = save(folder, file)
    facts = {"files": len(done.files), "bytes": done.bytes, "batch": done.batch}
    say(messages.render("keeping.backed_up", lang, path=file, **facts))


def restore(
    file: File,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.", show_default=False)],
    lang: Lang = "en",
) -> None:
    """Makes the territory of a backup again, and verifies all of it."""
    from mangrove.backup import restore as bring_back

    done = bring_back(file, folder)
    say(messages.render("keeping.restored", lang, path=folder, files=len(done.files), batch=done.batch))


def replicate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Folder of a territory, or address of its server.", show_default=False
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Folder of the replica.", show_default=False)
    ],
    lang: Lang = "en",
) -> None:
    """Brings a replica up to date; the key of a server comes from MANGROVE_KEY."""
    from dataclasses import asdict

    from mangrove.replicate import replicate as copy

    done = copy(source, target, os.environ.get(KEY, ""))
    say(messages.render("keeping.replicated", lang, path=target, **asdict(done)))
