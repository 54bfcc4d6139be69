# SPDX-License-Identifier: Apache-2.0
"""Virtual meters for a page: how good each one was, what drifted, and which reference measurements it asks for.

Comes in: records of kind `virtual`. Goes out: the newest of each flow that the reader may read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mangrove.serve import records
from mangrove.serve.records import Record
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Flow

KIND = "virtual"
_READ, _ASKED = 100, 5


@dataclass(frozen=True)
class Meter:
    """One virtual meter: its flow and its newest record."""

    flow: Flow
    record: Record

    @property
    def skill(self) -> float:
        """1 - its misses over those of repeating the last block of readings; not above 0: it is not used."""
        return float(self.record.document["card"]["skill"])

    @property
    def until(self) -> datetime:
        """The end of what it estimated."""
        return datetime.fromisoformat(str(self.record.document["end"]))

    @property
    def drifts(self) -> list[datetime]:
        """The campaigns that showed drift."""
        said: Sequence[Any] = self.record.document["campaigns"]
        return [datetime.fromisoformat(one["first"]) for one in said if one["drift"]][-_ASKED:]

    @property
    def requests(self) -> list[tuple[datetime, tuple[str, ...]]]:
        """From when a reference measurement is asked for, and why."""
        said: Sequence[Any] = self.record.document["requests"]
        return [(datetime.fromisoformat(one["from"]), tuple(one["reasons"])) for one in said][-_ASKED:]

    def json(self) -> dict[str, Any]:
        """What the page says."""
        document = self.record.document
        return {
            "flow": self.flow.id,
            "record": self.record.id,
            "until": self.until,
            "skill": self.skill,
            "estimates": document["estimates"],
            "outside": document["outside"],
            "drifts": self.drifts,
            "requests": [{"from": start, "reasons": list(reasons)} for start, reasons in self.requests],
        }


def meters(live: Live, view: View) -> tuple[Meter, ...]:
    """The newest record of each virtual meter that the reader may read."""
    declared = {one.flow for one in live.territory.virtual} & view.scope.flows
    found: dict[str, Meter] = {}
    for record in records.newest(live, KIND, _READ) if declared else ():
        flow = str(record.document["flow"])
        if flow in declared:
            found.setdefault(flow, Meter(live.territory.flows[flow], record))
    return tuple(found[name] for name in sorted(found))
