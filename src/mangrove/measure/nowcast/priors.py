# SPDX-License-Identifier: Apache-2.0
"""What is believed before any fact arrives: how far emissions move in a year, from day to day, at Tết, and how wrong a map can be.

Comes in: three small tables with their sources (`rules/data/annual_change.csv`, `annual_drift.csv`, `calendar_effects.csv`). Goes out:
frozen `Priors` that a caller may replace as a whole, for example by the figures of a back-test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import log, sqrt

from mangrove.rules import tables
from mangrove.territory.model import Flow

GRID = "grid"


@dataclass(frozen=True, slots=True)
class Annual:
    """How the yearly total of one kind of emission moves from one year to the next.

    Attributes:
        own: standard deviation of the log change that belongs to the one flow alone.
        common: of the part that all flows share; grid: of the part that all emissions of purchased energy share, because it is the grid's.
    """

    own: float
    common: float
    grid: float = 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """The log effect of a kind of day on the emissions of a sector: its mean and standard deviation."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Priors:
    """All standard deviations are of logs.

    Attributes:
        annual: by the beginning of a GPC reference ("I", "II.1"), the longest that fits; "" is for all others.
        drift: the log change a year that is expected before any is seen, by the beginning of a GPC reference as well; `grid` is for
            purchased energy that is reported as emissions. None without a row.
        effects: by kind of day (`holiday`, `tet`) and sector of the GPC ("I", "II", ...); "" is for all others.
        day_sd, day_phi: the AR(1) of what the drivers and the calendar leave open from day to day.
        inventory_sd: error of an inventory's number that states none.
        zone_sd: error of a map made from a proxy (population, area).
        provider_sd, provider_phi: drift of an index that states an uncertainty: its sd is what it states, its memory is this.

    `inventory_sd`: two inventories of the road traffic of Hồ Chí Minh City, 19.9 Mt (C40 GPC database, 2016) and 13.4 Mt (IER, 2019);
    the sd of one is |ln(19.9 / 13.4)| / sqrt(2). `zone_sd`: Climate TRACE states 50 % where nothing better is known (methodology v5.9),
    as a lognormal sqrt(ln(1 + 0.5^2)). `provider_phi`: a memory of about three months, assumed.
    """

    annual: dict[str, Annual] = field(default_factory=dict)
    drift: dict[str, float] = field(default_factory=dict)
    effects: dict[tuple[str, str], Effect] = field(default_factory=dict)
    day_sd: float = 0.073
    day_phi: float = 0.9
    inventory_sd: float = log(19.9 / 13.4) / sqrt(2)
    zone_sd: float = sqrt(log(1.25))
    provider_phi: float = 0.99

    def annual_of(self, flow: Flow) -> Annual:
        """The yearly movement of a flow; the grid's part only of purchased energy that is reported as emissions, not as energy."""
        found = self.annual[_longest(flow.gpc, self.annual)]
        return Annual(found.own, found.common, found.grid if _of_grid(flow) else 0.0)

    def drift_of(self, flow: Flow) -> float:
        """The expected log change of a flow a year."""
        kind = GRID if GRID in self.drift and _of_grid(flow) else _longest(flow.gpc, self.drift)
        return self.drift.get(kind, 0.0)

    def effect(self, kind: str, gpc: str) -> Effect:
        """The effect of a kind of day on a flow."""
        known = [sector for day, sector in self.effects if day == kind]
        return self.effects[kind, _longest(gpc, known)] if known else Effect(0.0, 0.0)


def _of_grid(flow: Flow) -> bool:
    """Whether a flow moves with the factor of the grid: purchased energy that is reported as emissions, not as energy."""
    return flow.scope == 2 and flow.carrier.kind == "reported"  # noqa: PLR2004 - scope 2


def _longest(gpc: str, known: object) -> str:
    """The longest beginning of a reference, by its parts, that is known; the empty one else."""
    parts = gpc.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((name for name in names if name in known), "")  # type: ignore[operator]


@cache
def default(income: str = "other") -> Priors:
    """The priors of the shipped tables.

    Args:
        income: `high` for a city of a country that the World Bank counts as of high income, `other` for any other; it chooses the drift.

    Example:
        >>> 0 < default().annual["II.1"].own < 1
        True
    """
    annual = {
        row["gpc"]: Annual(float(row["own_sd"]), float(row["common_sd"]), float(row["grid_sd"]))
        for row in tables.rows("annual_change")
    }
    drift = {row["gpc"]: float(row["mean"]) for row in tables.rows("annual_drift") if row["income"] == income}
    effects, days = {}, {}
    for row in tables.rows("calendar_effects"):
        if row["kind"] in ("day_sd", "day_phi"):
            days[row["kind"]] = float(row["mean"])
        else:
            effects[row["kind"], row["gpc"]] = Effect(float(row["mean"]), float(row["sd"]))
    return Priors(annual=annual, drift=drift, effects=effects, **days)
