# SPDX-License-Identifier: Apache-2.0
"""Past exchanges from a CSV file: the memory that a park, a program or a country has collected.

Comes in: a table with one exchange a row. Goes out: cases, or every problem with its line and column.
"""

from __future__ import annotations

from pathlib import Path

from mangrove.errors import DeclarationError, MangroveError, Problem, did_you_mean
from mangrove.matching.types import Case
from mangrove.rules import classifications
from mangrove.territory import cells
from mangrove.territory.tables import Column, parse_table, read_table

_EWC_DIGITS, _NACE_DIGITS = 6, (2, 3, 4)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.replace(".", "") for part in text.replace(";", " ").split())


def _wastes(text: str) -> tuple[str, ...]:
    """Six-digit waste codes: `100202`, or several with spaces or semicolons between them."""
    listed = _parts(text.replace("*", ""))
    for code in listed:
        if len(code) != _EWC_DIGITS or not classifications.exists("ewc", code):
            hint = did_you_mean(code, classifications.codes("ewc", _EWC_DIGITS))
            raise MangroveError("match.case_code", key=code, hint=hint)
    return listed


def _trades(text: str) -> tuple[str, ...]:
    """NACE codes of 2 to 4 digits, several with spaces or semicolons between them."""
    listed = _parts(text)
    for code in listed:
        if len(code) not in _NACE_DIGITS or not (code.isascii() and code.isdigit()):
            raise MangroveError("match.case_trade", key=code)
    return listed


COLUMNS = (
    Column("text", cells.name, "what was exchanged, in words", default=""),
    Column("ewc", _wastes, "waste codes of six digits", default=()),
    Column("nace_from", _trades, "industry of the giver by NACE code", default=()),
    Column("nace_to", _trades, "industry of the taker by NACE code", required=True),
    Column("use", cells.name, "what the taker made of it", default=""),
    Column("id", cells.name, "how the exchange is called", default=""),
    Column(
        "study",
        cells.name,
        "source of the row; rows of one study do not vouch for each other in tests",
        default="",
    ),
)
"""The columns of a file of past exchanges."""


def read_cases(path: Path) -> list[Case]:
    """The exchanges of a CSV file.

    Raises:
        DeclarationError: all problems, each with line and column.
    """
    path = Path(path)
    table, problems = read_table(path, path.name)
    parsed, said = parse_table(table, COLUMNS)
    problems += said
    cases = []
    for row, (text, ewc, nace_from, nace_to, use, id_, study) in enumerate(parsed.records()):
        if not text and not ewc:
            problems.append(Problem("match.case_empty", {}, parsed.where(row, "text")))
        cases.append(Case(nace_from, nace_to or (), text, ewc, use, id_ or str(row + 1), study))
    if any(problem.severity == "error" for problem in problems):
        raise DeclarationError(
            sorted(
                problems,
                key=lambda one: (str(one.where and one.where.file), one.where.line if one.where else 0),
            )
        )
    return cases
