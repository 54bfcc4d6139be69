# SPDX-License-Identifier: Apache-2.0
"""A back-test of a declared site on what its meters said: from the ledger to the arrays that `backtest` runs on.

Comes in: a territory, a snapshot of its ledger, a span. Goes out: the site, its measured series, its rates, and the `Backtest`. A
battery whose meters never said anything counts as planned: it was not there, and the back-test says what it would have done.
Swap stations and flexible loads stay in the load as they were metered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from mangrove.ledger import Snapshot
from mangrove.operate import readings
from mangrove.operate.account import rates_of
from mangrove.operate.backtest import Backtest, Setup, backtest
from mangrove.operate.loop import Progress
from mangrove.operate.outlook import Grid, Outlook
from mangrove.operate.plan import Options
from mangrove.operate.prices import Tariff
from mangrove.operate.readings import Window
from mangrove.operate.rules import RULES
from mangrove.operate.site import Site, site_at, sites
from mangrove.operate.state import SECOND, moment
from mangrove.operate.supplies import equip
from mangrove.operate.units import FLEXIBLE
from mangrove.territory.model import Territory
from mangrove.times import Span

HALF_HOUR = 1800


@dataclass(frozen=True, slots=True)
class Question:
    """What a back-test is asked.

    Attributes:
        place: of the site; empty: the first one that is declared.
        contract: in place of the declared one.
        outlook: makes the outlook from the measured series; None: persistence. It must not look ahead.
        options, setup, rules: see `mangrove.operate.backtest.backtest`; `carbon` is set from the declaration.
        allow: statuses of emission factors accepted besides official ones.
    """

    place: str = ""
    contract: Tariff | None = None
    outlook: Callable[[Grid, Options], Outlook] | None = None
    options: Options = field(default_factory=Options)
    setup: Setup = field(default_factory=Setup)
    rules: Sequence[str] = tuple(RULES)
    allow: Sequence[str] = ()


def backtest_on_ledger(
    territory: Territory,
    snapshot: Snapshot,
    span: Span,
    question: Question | None = None,
    *,
    progress: Progress | None = None,
) -> Backtest:
    """Runs a back-test of a declared site over a span of its readings.

    The span is cut to whole windows of the demand meter. Batteries begin at their floor unless `setup` says otherwise.

    Raises:
        DataQualityError: `operate.gap`, a series has steps without a value; repair it or choose another span.
        DeclarationError, RequestError, RuleError: see `mangrove.operate.site.sites` and `mangrove.operate.backtest.backtest`.
    """
    asked = question or Question()
    site = site_at(territory, asked.place) if asked.place else sites(territory)[0]
    day = span.start.astimezone(territory.tz).date()
    rates = rates_of(territory, site, day, contract=asked.contract, allow=asked.allow)
    site = equip(territory, site, day, carbon=rates.carbon, allow=asked.allow)
    site = simulated(site)
    window = steps_of(span, asked.options.seconds)
    controlled = bool(asked.setup.sessions)
    meters = readings.measured(snapshot, territory, site, window, controlled=controlled, planned=True)
    site = readings.heard(site, meters)
    options = replace(asked.options, carbon=rates.per_kwh)
    outlook = asked.outlook(meters.grid, options) if asked.outlook else None
    return backtest(
        site,
        meters.grid,
        rates,
        outlook=outlook,
        options=options,
        setup=asked.setup,
        rules=asked.rules,
        progress=progress,
    )


def simulated(site: Site) -> Site:
    """The site as the closed loop knows it: swap stations and flexible loads stay in the load as they were metered."""
    units = tuple(unit for unit in site.units if unit.kind not in FLEXIBLE)
    return replace(site, stations=(), units=units)


def steps_of(span: Span, seconds: int) -> Window:
    """The steps of a span from the first whole half hour (or longer step) in it to the last."""
    unit = max(HALF_HOUR, seconds)
    first = -(-_seconds(span.start) // unit) * unit
    last = _seconds(span.end) // unit * unit
    return Window(np.datetime64(first, "s"), seconds, max((last - first) // seconds, 0))


def _seconds(at: datetime) -> int:
    return int((moment(at) - np.datetime64(0, "s")) / SECOND)
