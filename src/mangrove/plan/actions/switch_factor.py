# SPDX-License-Identifier: Apache-2.0
"""`switch_factor`: a flow is counted with another factor, or a factor of the whole territory changes from a day on.

Comes in: flows and `factor` (an activity key, for a `share` of what stays after all switches of technology), or `activity`, `gas` and
`value` (for everybody, as dated rows that stand above the territory's own while they hold). Goes out: shares, or rows.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

from mangrove.plan.actions.asked import Asked, KeyProblemError
from mangrove.territory import cells
from mangrove.territory.model import LocalFactor

NEEDS: tuple[str, ...] = ()
TAKES = ("flow", "place", "sector", "factor", "share", "activity", "gas", "value", "value_from")


def read(asked: Asked) -> dict[str, Any]:
    """The fields of the action."""
    keys = asked.keys
    if (keys["factor"] is None) == (keys["activity"] is None):
        raise KeyProblemError("scenario.factor_or_activity", "type")
    if keys["factor"] is not None:
        share = 1.0 if keys["share"] is None else keys["share"]
        return {"flows": asked.selected(), "factor": keys["factor"], "share": share}
    for key in ("gas", "value"):
        if keys[key] is None:
            raise KeyProblemError("territory.missing_key", "activity", key=key)
    return {"rows": tuple(_rows(asked))}


def _rows(asked: Asked) -> list[LocalFactor]:
    """One row from the first day on; along a ramp one for each calendar year, with the value in its middle."""
    keys = asked.keys
    last, first = keys["value"], keys["value_from"]
    unit = cells.mass_per_activity(last.unit.text)
    if keys["ramp"] == "step":
        return [_row(asked, last.value, keys["from"], keys["to"])]
    if first is None:
        raise KeyProblemError("scenario.needs_value_from", "ramp")
    begin, end, full = first.to(unit), last.value, keys["ramp_to"]
    edges = [keys["from"], *(date(year, 1, 1) for year in range(keys["from"].year + 1, full.year + 1)), full]
    edges = [edge for number, edge in enumerate(edges) if not number or edge > edges[number - 1]]
    found = []
    for start, stop in pairwise(edges):
        x = ((start - keys["from"]).days + (stop - start).days / 2) / (full - keys["from"]).days
        level = x if keys["ramp"] == "linear" else 3 * x**2 - 2 * x**3
        found.append(_row(asked, begin + level * (end - begin), start, stop))
    return [*found, _row(asked, end, full, keys["to"])]


def _row(asked: Asked, value: float, start: date, stop: date | None) -> LocalFactor:
    keys = asked.keys
    return LocalFactor(
        activity=keys["activity"],
        gas=keys["gas"],
        value=value,
        unit=cells.mass_per_activity(keys["value"].unit.text),
        source=keys["source"],
        valid_from=start,
        valid_to=stop,
        uncertainty=keys["uncertainty"] or None,
        note=keys["id"],
    )
