# SPDX-License-Identifier: Apache-2.0
"""The record of the forecasters for people: one line a flow, model and stretch of hours ahead.

Comes in: the table of `mangrove.forecast.record.scores`. Goes out: text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import number, percent
from mangrove.printing import grid

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("flow", "model", "ahead", "forecasts", "mae", "naive_mae", "skill", "covered", "promised")


def scores_text(table: pa.Table, lang: str = "en") -> str:
    """The table with headings, shares in percent."""
    header = [messages.render(f"forecast.column_{name}", lang) for name in _COLUMNS]
    body = [_cells(row, lang) for row in table.to_pylist()]
    return "\n".join(grid(header, body, left={0, 1}))


def _cells(row: dict[str, Any], lang: str) -> list[str]:
    def share(name: str) -> str:
        return "-" if row[name] is None else percent(row[name], lang)

    def amount(name: str) -> str:
        return "-" if row[name] is None else number(row[name], lang)

    ahead = f"{row['from_hour']}-{row['to_hour']} h"
    return [
        row["flow"], row["model"], ahead, str(row["forecasts"]),
        amount("mae"), amount("naive_mae"), share("skill"), share("coverage"), share("promised"),
    ]  # fmt: skip
