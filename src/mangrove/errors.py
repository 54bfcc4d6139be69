# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as data: a code, its placeholders and a place in a file.

Nothing here holds a sentence. A problem is a code with placeholders; the text comes from the message
catalogue in the reader's language (see `mangrove.messages`). The tree of exceptions:

    MangroveError                    exit code 1
    ├── DeclarationError             the folder of a territory has problems (all of them, at once)
    ├── SourceError                  a file or a message cannot be read as values
    ├── RuleError                    a factor, a GWP set or a unit does not exist or cannot be used so
    ├── LedgerError                  the store refuses: locked, full, damaged
    ├── RequestError                 an argument of a verb makes no sense
    ├── MissingExtraError            an optional library is not installed
    ├── InfeasibleError              exit code 3: wishes contradict each other
    └── DataQualityError             exit code 4: the data is not good enough for what was asked

Doors raise errors of their own below these (`sources.problems`, `serve.access.problems`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mangrove import messages
from mangrove import text as words


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in a file. Lines and columns count from 1; 0 means "the whole file" or "the whole line"."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file] + [str(n) for n in (self.line, self.column) if n]
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Hint:
    """A placeholder that is a sentence of its own: "did you mean `word`?", said in the reader's language."""

    word: str

    def text(self, lang: str = "en") -> str:
        """The hint in `lang`, with a leading space."""
        return messages.render("base.did_you_mean", lang, word=self.word)

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A placeholder that is another message, said in the reader's language."""

    code: str
    data: tuple[tuple[str, Any], ...] = ()

    def text(self, lang: str = "en") -> str:
        """The sentence in `lang`, and so are the sentences inside it."""
        return messages.render(self.code, lang, **_said(dict(self.data), lang))

    def __str__(self) -> str:
        return self.text()


def _said(data: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Placeholders with every sentence among them in the reader's language."""
    return {
        key: value.text(lang) if isinstance(value, Hint | Sentence) else value for key, value in data.items()
    }


def did_you_mean(word: str, options: Iterable[str]) -> Hint | str:
    """The hint that names the option nearest to `word`; an empty text when nothing is near."""
    near = words.suggest(word, options)
    return Hint(near) if near else ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: a message code, its placeholders, where it stands and whether it stops the work."""

    code: str
    data: dict[str, Any] = field(default_factory=dict)
    where: Where | None = None
    severity: str = "error"
    """`error`, `warning` or `note`."""

    def text(self, lang: str = "en") -> str:
        """The sentence in `lang` (`en` or `vi`), without the place."""
        return messages.render(self.code, lang, **_said(self.data, lang))

    def line(self, lang: str = "en") -> str:
        """The finding as one line: `file:line:column: sentence`."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.text(lang)}"


class MangroveError(Exception):
    """The root of all errors that Mangrove raises on purpose.

    Args:
        code: a code of the message catalogue.
        where: the place in a file, when there is one.
        **data: the placeholders of the message.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, *, where: Where | None = None, **data: Any) -> None:
        self.problem = Problem(code, data, where)
        super().__init__(code)

    @property
    def problems(self) -> Sequence[Problem]:
        """Every finding that this error carries; most carry one."""
        return (self.problem,)

    @property
    def code(self) -> str:
        """The message code."""
        return self.problem.code

    def text(self, lang: str = "en") -> str:
        """All findings in `lang`, one a line."""
        return "\n".join(problem.line(lang) for problem in self.problems)

    def __str__(self) -> str:
        return self.text()


class DeclarationError(MangroveError):
    """The declaration of a territory has errors; `problems` lists all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems = tuple(problems)
        errors = sum(problem.severity == "error" for problem in self._problems)
        super().__init__("territory.rejected", count=errors)

    @property
    def problems(self) -> Sequence[Problem]:
        """Every finding, in file order."""
        return self._problems


class SourceError(MangroveError):
    """A file or message cannot be read as values at all (single bad rows are quarantined instead)."""


class RuleError(MangroveError):
    """A rule does not exist, is not valid on that day, or must not be used in this way."""


class LedgerError(MangroveError):
    """The store refuses an operation; nothing was acknowledged."""


class RequestError(MangroveError):
    """An argument of a verb makes no sense."""


class MissingExtraError(MangroveError):
    """An optional library is missing; the message carries the exact pip line."""

    def __init__(self, extra: str) -> None:
        super().__init__("base.missing_extra", extra=extra)


class InfeasibleError(MangroveError):
    """Wishes contradict each other; the problems say which."""

    exit_code = 3


class DataQualityError(MangroveError):
    """The data is not good enough for what was asked."""

    exit_code = 4
