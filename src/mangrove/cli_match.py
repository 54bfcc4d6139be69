# SPDX-License-Identifier: Apache-2.0
"""The commands that bring offers and needs together: matches, and first drafts from a list of tenants.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The commands are added to the
application of `cli.py`; the work is done by the verbs.
"""

from __future__ import annotations

from collections.abc import Callable

import typer


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    commands: tuple[Callable[..., None], ...] = ()
    for command in commands:
        app.command()(command)
