# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the options that mean the same everywhere, lists with commas, and how people are spoken to.

Comes in: text. Goes out: types for Typer, words, lines on stderr.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mangrove.errors import Problem

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the territory.", show_default=False)]
Lang = Annotated[
    Literal["en", "vi"], typer.Option("--lang", help="Language of messages.", envvar="MANGROVE_LANG")
]
From = Annotated[
    str, typer.Option("--from", help="First instant: 2024, 2024-03, 2024-03-31, 2024-03-31T07:00.")
]
To = Annotated[
    str | None,
    typer.Option("--to", help="First instant that no longer counts; without it --from is a whole period."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def parts(text: str) -> tuple[str, ...]:
    """The parts of a list with commas.

    Example:
        >>> parts("place, gas,")
        ('place', 'gas')
    """
    return tuple(word.strip() for word in text.split(",") if word.strip())


def say(text: str) -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def tell(problems: Iterable[Problem], lang: str) -> None:
    """A line for each problem, on stderr."""
    for problem in problems:
        say(problem.line(lang))
