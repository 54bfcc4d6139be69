# SPDX-License-Identifier: Apache-2.0
"""The command of eco-industrial parks: indicators, what is missing to certification, the annual forms.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The command is added to the
application of `cli.py`; the work is done by `measure/eip`.
"""

from __future__ import annotations

from collections.abc import Callable

import typer


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    commands: tuple[Callable[..., None], ...] = ()
    for command in commands:
        app.command()(command)
