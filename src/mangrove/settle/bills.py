# SPDX-License-Identifier: Apache-2.0
"""The bill of one site for a period, line by line, and the same use under other calendars of the time-of-use hours.

Comes in: a territory, a snapshot of its ledger, a period, a site. Goes out: one itemized bill a month, and a comparison whose
rows are lines and whose columns are calendars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mangrove.ledger import Snapshot
from mangrove.rules import contracts
from mangrove.rules.contracts import Comparison, Contract
from mangrove.rules.tariffs import Bill
from mangrove.settle.meters import read_site
from mangrove.territory.model import Territory
from mangrove.times import Span


@dataclass(frozen=True, slots=True)
class SiteBill:
    """What a site pays.

    Attributes:
        place: of the site; contract: by which it pays.
        bills: one a month; comparison: every line under each calendar asked for, empty when none was.
        imported, exported, generated: kWh of the period.
    """

    place: str
    contract: Contract
    bills: tuple[Bill, ...]
    comparison: tuple[Comparison, ...]
    imported: float
    exported: float
    generated: float

    @property
    def total(self) -> float:
        """What is to be paid for all months, VAT included."""
        return sum(bill.total for bill in self.bills)


def bill(
    territory: Territory, snapshot: Snapshot, span: Span, place: str, regimes: Sequence[str] = ()
) -> SiteBill:
    """The bills of a site from its meters.

    Args:
        territory: with `grid` assets and contracts under `tariffs`.
        snapshot: of its ledger.
        span: the period.
        place: of the `grid` asset.
        regimes: calendars to compare (`legacy`, `963`, `law`).

    Raises:
        RequestError: `settle.unknown_site`, `settle.no_meter`, ...
        DataQualityError: `settle.gap`.
        RuleError: no contract covers the site, or the rules say nothing for one of the days.
    """
    site = read_site(territory, snapshot, span, place)
    contract = contracts.of(territory, place, on=span.start.astimezone(territory.tz).date())
    of_use = (site.starts, site.step.hours, territory.tz, site.taken)
    energy: dict[str, Any] = {"exported": site.given, "generated": site.generated} if site.given.any() else {}
    compared = contracts.compare(contract, *of_use, regimes=regimes, **energy) if regimes else ()
    amounts = (
        float(part.sum()) if part is not None else 0.0 for part in (site.taken, site.given, site.generated)
    )
    return SiteBill(place, contract, contract.bills(*of_use, **energy), compared, *amounts)
