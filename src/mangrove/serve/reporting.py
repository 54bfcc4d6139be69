# SPDX-License-Identifier: Apache-2.0
"""Parks that report to a city: what the replicas of their ledgers, kept beside the city's own, come to in their newest year.

Comes in: the live state of a city and the folders under `.mangrove/replicas`, each brought there by `mangrove replicate`. Goes out: one row
a park: its name, the total of its newest year, how far its ledger goes, whether its hash chain holds. The rows stand beside the city's
inventory and are never added to it: the city's own flows may already hold what a park emits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mangrove import api
from mangrove.errors import MangroveError, Problem
from mangrove.ledger import records, replica
from mangrove.ledger.catalog import CATALOG
from mangrove.serve import newest
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.times import Span

FOLDER = "replicas"
"""Where replicas lie, below the store of the city."""
ROLES = frozenset({"admin", "operator", "city", "worker"})
"""Roles that are told totals of parks; companies of the city are not."""
MOST = 50


@dataclass(frozen=True, slots=True)
class Reported:
    """One park that reports.

    Attributes:
        folder: of its replica; name: as it declares it; year: its newest year with values.
        total, low, high: t CO2e of that year so far with the 95 % interval, NaN where nothing is known; gwp: GWP set of the number.
        as_of: when the last batch of the replica was recorded, UTC; batch: its number.
        verified: whether its hash chain holds; problem: why it cannot be read, or what is wrong with the chain.
    """

    folder: str
    name: str
    year: int = 0
    total: float = math.nan
    low: float = math.nan
    high: float = math.nan
    gwp: str = ""
    as_of: datetime | None = None
    batch: int = 0
    verified: bool = False
    problem: Problem | None = None


def parks(live: Live, view: View) -> tuple[Reported, ...]:
    """The parks that report to the city, by name; none for readers who are not told, and none for a park."""
    root = live.store / FOLDER
    if live.territory.kind != "city" or view.principal.role not in ROLES or not root.is_dir():
        return ()
    folders = sorted(path for path in root.iterdir() if (path / "territory.yaml").is_file())[:MOST]
    found = [
        live.kept.get(_key(folder, view.span.end), partial(_reported, folder, live, view))
        for folder in folders
    ]
    return tuple(sorted(found, key=lambda one: (one.name, one.folder)))


def _key(folder: Path, end: datetime) -> tuple[object, ...]:
    """What decides about a row: the replica as it is now, and the hour."""
    catalog = folder / ".mangrove" / CATALOG
    state = catalog.stat() if catalog.is_file() else None
    changed = (state.st_mtime_ns, state.st_size, state.st_ino) if state else ()
    return ("reported", str(folder), changed, end.replace(minute=0))


def _reported(folder: Path, live: Live, view: View) -> Reported:
    try:
        return _measured(folder, live, view)
    except MangroveError as error:
        return Reported(folder.name, folder.name, problem=error.problems[0])


def _measured(folder: Path, live: Live, view: View) -> Reported:
    park = Live(api.open(folder), live.clock)
    catalog = park.store / CATALOG
    broken = replica.chain_problems(catalog)
    batches = records.batches(park.store)
    counted = [flow.id for flow in park.territory.flows.values() if flow.account == "inventory"]
    year = newest.year(park, view.now, counted)
    whole = Span.parse(str(year), park.territory.tz)
    span = Span(
        whole.start, max(whole.start, min(whole.end, view.now.replace(minute=0, second=0, microsecond=0)))
    )
    result = park.measure(span)
    total = result.total()
    last = max(batches["recorded_at"].to_pylist(), default=None)
    return Reported(
        folder.name,
        park.territory.name,
        year,
        total=_tonnes(total["co2e_kg"] if result.leaves else None),
        low=_tonnes(total["co2e_low"] if result.leaves else None),
        high=_tonnes(total["co2e_high"] if result.leaves else None),
        gwp=str(result.plan.question.gwp),
        as_of=None if last is None else last.astimezone(UTC),
        batch=replica.head(catalog).batch,
        verified=not broken,
        problem=broken[0] if broken else None,
    )


def _tonnes(kilograms: float | None) -> float:
    return math.nan if kilograms is None else kilograms / 1000
