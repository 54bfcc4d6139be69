# SPDX-License-Identifier: Apache-2.0
"""How the demo tells a story: numbered questions, each with the command that answers it, then the answer in short lines.

Comes in: questions with what makes their answers. Goes out: lines on stdout. An answer that cannot be made is told by its reason, and the
questions after it are asked all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mangrove.errors import MangroveError


class Part(NamedTuple):
    """One question: its name among the messages, the words of the command, and what makes the lines of the answer."""

    name: str
    command: str
    answer: Callable[[], Iterable[str]]


def tell(parts: Iterable[Part], say: Callable[[str], str], lang: str) -> None:
    """Asks every question and prints question, command and answer.

    Args:
        parts: in the order in which they are asked; an answer is made when its question has its turn.
        say: gives the text of a message by its name; that of a question is `ask_` and the name of the part.
        lang: of reasons why there is no answer.

    Example:
        >>> tell([Part("size", "emissions park", lambda: ["12 t"])], {"ask_size": "How much?"}.__getitem__, "en")
        <BLANKLINE>
        1. How much?
           $ mangrove emissions park
           12 t
        <BLANKLINE>
    """
    for position, part in enumerate(parts, start=1):
        lines = [f"\n{position}. {say(f'ask_{part.name}')}", f"   $ mangrove {part.command}"]
        try:
            lines += [f"   {line}" for line in part.answer()]
        except MangroveError as error:
            lines.append(f"   {error.problem.text(lang)}")
        print("\n".join(lines), flush=True)  # noqa: T201 - what the demo is for
    print()  # noqa: T201
