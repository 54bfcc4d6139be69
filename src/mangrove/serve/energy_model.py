# SPDX-License-Identifier: Apache-2.0
"""What an energy page shows, as plain data: a day of each site, sizings, a shared bill, a back-test.

Comes in: the results of the verbs as they are, and days as `energy_day` makes them. Goes out: frozen values for the page. A part that
could not be made is a `Missing` with the reason, never an empty figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem

if TYPE_CHECKING:
    from mangrove.network.result import Relaxation
    from mangrove.operate.backtest import Backtest
    from mangrove.plan.result import Sizing
    from mangrove.plan.study import Point
    from mangrove.settle.share import Sharing

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that could not be made: which one, and why."""

    part: str
    reason: Problem


@dataclass(frozen=True, slots=True)
class Worth:
    """What one more unit of a limit would save over the hours planned: its name, its kind, money, steps in which it binds."""

    name: str
    kind: str
    value: float
    steps: int


@dataclass(frozen=True, slots=True)
class Account:
    """Money before VAT, kg of CO2 (None without a factor) and kWh drawn of one day."""

    cost: float
    emissions: float | None
    drawn: float


@dataclass(frozen=True, eq=False)
class SiteDay:
    """One site on one day, T steps.

    Attributes:
        name: of the place; edges: (T + 1,) hours since local midnight.
        supply, use: (T,) kW by what it is (`grid`, `sun`, `battery`, `load`, `vehicles`, ...).
        period: (T,) 0 off-peak, 1 normal, 2 peak; price: (T,) money per kWh drawn.
        levels: (T,) kWh at the end of each step, by name of the battery.
        expected: lower, middle and upper quantile of the load (T,) kW, None when there was no forecast of it; bounds: their
            probabilities, lower and upper.
        measured: (T,) kW, what the meters said later (NaN where nothing), None when nothing meters it; of: what `measured` and
            `planned` are (`load` or `drawn`).
        planned: (T,) kW that the plan took for it.
        account, bare: of the plan, and of the same day without it; `against` says how (`no_battery`, `as_metered`, empty for none).
        relaxed, worth, notes: what gave way, what limits cost, what was guessed.
        hours: that the plan reached over.
        bases, metered: how the readings that the plan stands on, and those of `measured`, came about.
    """

    name: str
    edges: Floats
    supply: Mapping[str, Floats]
    use: Mapping[str, Floats]
    period: npt.NDArray[np.int64]
    price: Floats
    levels: Mapping[str, Floats]
    expected: tuple[Floats, Floats, Floats] | None
    bounds: tuple[float, float]
    measured: Floats | None
    of: str
    planned: Floats
    account: Account
    bare: Account | None
    against: str
    relaxed: Sequence[Relaxation]
    worth: Sequence[Worth]
    notes: Sequence[Problem]
    hours: float
    bases: Sequence[str] = ()
    metered: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Sizings:
    """One site sized under several calendars of hours: name of the calendar -> result.

    Attributes:
        name: of the place; names: of the assets, by id; points: of the frontier under the calendar `frontier_of`.
        weather: where the sun of the sizing comes from; costs: (asset, note) about the costs that are declared.
    """

    name: str
    results: Mapping[str, Sizing]
    names: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    frontier_of: str = ""
    weather: str = ""
    costs: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, eq=False)
class Past:
    """A back-test: of which site, from which day to which."""

    name: str
    first: date
    last: date
    result: Backtest


@dataclass(frozen=True, eq=False)
class EnergyModel:
    """Everything on the page.

    Attributes:
        territory: name; timezone; currency; day: whose dispatch is shown.
        days, sizings, sharing, past: the parts.
        statements: folder of the members' statements beside the page, empty for none.
        bases: how the readings came about (`measured`, `generated`, ...); factor: of the grid: kg CO2/kWh, its document and status; carbon: the declared price of a tonne of CO2, 0 for none.
        traded: lowest and highest price of a tonne on the exchange, its document and status.
        prices_on: the day whose prices hold throughout, None for those of each day.
        sources: (document, status) of the prices; records: ids in the ledger, by the verb that kept them; version: of the program.
    """

    territory: str
    timezone: str
    currency: str
    day: date
    days: Sequence[SiteDay | Missing]
    sizings: Sizings | Missing
    sharing: Sharing | Missing
    past: Past | Missing
    statements: str = ""
    bases: Sequence[str] = ()
    factor: tuple[float, str, str] | None = None
    carbon: float = 0.0
    prices_on: date | None = None
    traded: tuple[float, float, str, str] | None = None
    sources: Sequence[tuple[str, str]] = ()
    records: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
