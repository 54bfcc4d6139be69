# SPDX-License-Identifier: Apache-2.0
"""The message catalogue: every sentence that Mangrove says, by code, in English and in Vietnamese.

Each room keeps its sentences in one table beside this file (`territory.csv`, `ledger.csv`, ...) with the columns
`code,en,vi`; a code starts with the name of its table (`territory.unknown_key`). Placeholders are written
`{name}` and are the same in both languages; a test holds that, and that every code used in the code exists.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import Any

LANGUAGES = ("en", "vi")


@cache
def _table(room: str) -> dict[str, dict[str, str]]:
    """The sentences of one room, by code and language; empty when the room has no table."""
    path = resources.files(__name__) / f"{room}.csv"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {row["code"]: row for row in csv.DictReader(lines)}


def rooms() -> list[str]:
    """The names of all message tables, sorted."""
    folder = resources.files(__name__)
    return sorted(
        entry.name.removesuffix(".csv") for entry in folder.iterdir() if entry.name.endswith(".csv")
    )


def codes(room: str) -> dict[str, dict[str, str]]:
    """All rows of one room's table: `{code: {"en": ..., "vi": ...}}`."""
    return _table(room)


def render(code: str, lang: str = "en", **data: Any) -> str:
    """The sentence of `code` in `lang`, with its placeholders filled.

    An unknown code is shown as itself with its data, so that a missing sentence never hides a problem. A `float` is
    written with the decimal mark of the language.

    Example:
        >>> render("base.not_a_date", "en", text="31/02/2024")
        "'31/02/2024' is not a date; write 2024-12-31"
    """
    row = _table(code.split(".", 1)[0]).get(code)
    if row is None:
        return f"{code} {data}" if data else code
    said = {key: _number(value, lang) if isinstance(value, float) else value for key, value in data.items()}
    return row.get(lang, row["en"]).format_map(_Data(said))


def _number(value: float, lang: str) -> str:
    """A number inside a sentence, with the decimal mark of the language."""
    text = f"{value:.6g}"
    return text.replace(".", ",") if lang == "vi" else text


class _Data(dict[str, Any]):
    """Placeholders that stay visible when a caller forgot one."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"
