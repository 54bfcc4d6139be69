# SPDX-License-Identifier: Apache-2.0
"""Where a number comes from: the arithmetic of one cell of a measurement, its batches, its factors and their documents.

Comes in: an address such as `/why?period=2024-06&by=place&key=mill` (`by` and `key` name the columns of the cell and their
values, several separated by commas). Goes out: a `Proof`: the products that add up to the number, every factor with its document,
every batch with its source and hash. Who may not see the readings behind a number gets the total without its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mangrove.errors import RequestError
from mangrove.ledger.types import BatchInfo
from mangrove.measure.explain import Explanation, Part, explain_row
from mangrove.measure.question import FLOW_COLUMNS, GAS_COLUMNS
from mangrove.serve.state import Live
from mangrove.serve.view import View

_SHOWN = 60
"""Parts and batches listed on the page; all of them stand in the JSON twin."""


@dataclass(frozen=True)
class Proof:
    """The proof of one number.

    Attributes:
        columns: the columns of the cell with their values; co2e_kg, low, high: the number and its 95 % interval.
        explanation: None when the reader may not see what is behind it; command: how to get the same on a command line.
    """

    columns: tuple[tuple[str, str], ...]
    co2e_kg: float
    low: float
    high: float
    explanation: Explanation | None
    command: str

    @property
    def parts(self) -> Sequence[Part]:
        """The largest parts first."""
        found = self.explanation.parts if self.explanation else ()
        return sorted(found, key=lambda part: -abs(part.co2e_kg))[:_SHOWN]

    @property
    def more_parts(self) -> int:
        """How many parts are not listed."""
        return max(len(self.explanation.parts) - _SHOWN, 0) if self.explanation else 0

    @property
    def batches(self) -> Sequence[BatchInfo]:
        """The batches that gave most values first."""
        found = self.explanation.batches if self.explanation else ()
        return sorted(found, key=lambda batch: -batch.used)[:_SHOWN]

    @property
    def more_batches(self) -> int:
        """How many batches are not listed."""
        return max(len(self.explanation.batches) - _SHOWN, 0) if self.explanation else 0

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        whole = self.explanation.to_dict() if self.explanation else None
        return {
            "cell": dict(self.columns),
            "co2e_kg": self.co2e_kg,
            "low": self.low,
            "high": self.high,
            "proof": whole,
            "command": self.command,
        }


def prove(live: Live, view: View) -> Proof:
    """The proof that an address asks for.

    Raises:
        RequestError: `live.no_cell` when there is no such number, `live.not_yours` when it may not be seen.
    """
    by = tuple(part for part in view.params.get("by", "").split(",") if part)
    keys = tuple(part.strip() for part in view.params.get("key", "").split(",")) if by else ()
    if len(by) != len(keys) or len(set(by)) < len(by):
        raise RequestError("live.no_cell", cell=view.params.get("key", "")[:60])
    wanted = dict(zip(by, keys, strict=True))
    flows = _flows_of(live, wanted)
    detail = view.scope.whole or bool(flows and flows <= view.scope.flows)
    if not detail and (by or not view.scope.totals):  # said before anybody looks whether there is such a cell
        raise RequestError("live.not_yours", cell=", ".join(keys)[:60])
    run = view.params.get("run") or "measured"
    result = live.measure(view.period if run != "measured" else view.span, by=by, run=run)
    found = [
        row
        for row in result.to_arrow().to_pylist()
        if all(str(row[name] or "") == key for name, key in wanted.items())
    ]
    if not found:
        raise RequestError("live.no_cell", cell=", ".join(keys)[:60] or view.territory.name)
    row = found[0]
    start, end = (moment.astimezone(view.tz).isoformat() for moment in (view.span.start, view.span.end))
    command = f"mangrove measure {view.territory.path.name} --from {start} --to {end}" + (
        f" --by {','.join(by)}" if by else ""
    )
    return Proof(
        columns=tuple(wanted.items()),
        co2e_kg=row.get("co2e_kg", float("nan")),
        low=row.get("co2e_low", float("nan")),
        high=row.get("co2e_high", float("nan")),
        explanation=explain_row(result, row) if detail else None,
        command=command,
    )


def _flows_of(live: Live, wanted: dict[str, str]) -> frozenset[str]:
    """The flows that may stand behind a cell."""
    territory = live.territory
    found = set()
    for flow in territory.flows.values():
        for name, key in wanted.items():
            if name in GAS_COLUMNS:
                continue
            if name in FLOW_COLUMNS:
                own = flow.id if name == "flow" else str(getattr(flow, name) or "")
                if own != key:
                    break
            elif not territory.lies_in(flow.place, key):
                break
        else:
            found.add(flow.id)
    return frozenset(found)
