# SPDX-License-Identifier: Apache-2.0
"""Worlds with a known truth: a model in arrays whose emissions are drawn, and a city of three wards with an inventory and live series."""

from datetime import UTC, date, datetime, timedelta

import numpy as np

from mangrove import api, rules, testing
from mangrove.ledger import Origin
from mangrove.measure.nowcast import Annual, Priors, nowcast
from mangrove.measure.nowcast.drivers import Index
from mangrove.measure.nowcast.inputs import Daily, Total
from mangrove.measure.nowcast.model import Target, build
from mangrove.measure.nowcast.posterior import Posterior
from mangrove.territory.model import Carrier, Driver, Flow
from mangrove.times import Step
from mangrove.units import unit

PRIORS = Priors(annual={"": Annual(0.1, 0.05)}, day_sd=0.1, day_phi=0.8, inventory_sd=0.2, zone_sd=0.4)
ZONE = "Etc/UTC"
TURN = 91


def day(year: int, month: int = 1, on: int = 1) -> int:
    """The number of a day."""
    return (date(year, month, on) - date(1970, 1, 1)).days


def flow(name: str, gpc: str = "II.1.1", uncertainty: float = 0.1) -> Flow:
    """A yearly flow of an inventory."""
    return Flow(
        name,
        "city",
        Carrier("reported", "CO2e"),
        unit("t"),
        Step(months=12),
        gpc=gpc,
        uncertainty=uncertainty,
    )


def total(of: Flow, year: int, value: float) -> Total:
    """The inventory of a calendar year."""
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    return Total(of.id, day(year), day(year + 1), value, of.uncertainty / 1.96, of.meter or of.id, end)


class Twin:
    """Emissions of two flows drawn from the priors, for the year of the inventory and a later window.

    The generator is written out here on its own: levels step at New Year over 91 days, drivers act with a drawn elasticity, days are AR(1).
    """

    def __init__(
        self, seed: int, years: tuple[int, ...] = (2024,), window: tuple[int, int] = (2026, 30)
    ) -> None:
        draw = np.random.default_rng(seed)
        year, length = window
        self.years, self.flows = years, (flow("road"), flow("homes", "I.1.1"))
        spans = [np.arange(day(one), day(one + 1)) for one in years]
        self.days = np.unique(np.concatenate([*spans, day(year, 6) + np.arange(length)]))
        self.window = self.days >= day(year, 6)
        self.live = 0.3 * np.sin(self.days / 58.1) + 0.15 * (self.days >= day(year))
        self.live = self.live - self.live[np.isin(self.days, spans[-1])].mean()
        self.elasticity = 0.8 + 0.3 * draw.standard_normal()
        common = self._steps(draw, 0.05)
        self.x = np.array([self._logs(draw, level, common) for level in (8.0, 6.0)])
        self.x[0] += self.elasticity * self.live - (0.3 * self.live) ** 2 / 2
        self.totals = [self._inventories(draw, row) for row in range(2)]

    def _steps(self, draw: np.random.Generator, sd: float) -> np.ndarray:
        """A random walk of years, zero in the year of the newest inventory."""
        found = np.zeros(len(self.days))
        last = self.days[-1].astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
        scale = 1 / np.sqrt((1 - 2 * TURN / 8 / 365) ** 2 + 2 * (TURN / 8 / 365) ** 2)
        for year in range(self.years[0] + 1, last + 1):
            ramp = np.clip((self.days - day(year) + TURN / 2) / TURN, 0, 1)
            push, width = draw.standard_normal(), sd * scale
            part = ramp if year > self.years[-1] else 1 - ramp
            found += part * (push * width * (1 if year > self.years[-1] else -1) - width**2 / 2)
        return found

    def _logs(self, draw: np.random.Generator, level: float, common: np.ndarray) -> np.ndarray:
        gaps = np.diff(self.days, prepend=self.days[0])
        u, found = 0.0, np.empty(len(self.days))
        for at, gap in enumerate(gaps):
            share = 0.8**gap if at else 0.0
            u = share * u + np.sqrt(1 - share**2) * draw.standard_normal()
            found[at] = u
        return level + self._steps(draw, 0.1) + common + 0.1 * found - 0.1**2 / 2

    def _inventories(self, draw: np.random.Generator, row: int) -> list[Total]:
        sd, error = 0.1 / 1.96, draw.standard_normal()
        found = []
        for year in self.years:
            inside = (self.days >= day(year)) & (self.days < day(year + 1))
            true = np.exp(self.x[row, inside]).sum()
            found.append(total(self.flows[row], year, true * np.exp(sd**2 / 2 - sd * error)))
        return found

    @property
    def truth(self) -> float:
        """What was emitted in the window."""
        return float(np.exp(self.x[:, self.window]).sum())

    def targets(self, count: int | None = None) -> list[Target]:
        """The targets with their newest inventories."""
        driver = Driver("road", "live", 0.8, 0.3)
        still = np.zeros(len(self.days))
        return [
            Target(one, 1.0, tuple(self.totals[row][-(count or 9) :]), (driver,) if row == 0 else (), still)
            for row, one in enumerate(self.flows)
        ]

    def index(self) -> Index:
        """The live series, known exactly."""
        whole = Daily(
            int(self.days[0]),
            np.ones(1),
            np.ones((1, 24)),
            hourly=False,
            last=datetime(2026, 1, 1, tzinfo=UTC),
        )
        spans = (day(self.years[-1]), day(self.years[-1] + 1))
        return Index("live", self.live, np.zeros(len(self.days)), 0.5, 0.0, spans, whole=True, daily=whole)

    def posterior(self, *, driven: bool = True, count: int | None = None) -> Posterior:
        """The estimate."""
        indices = {"live": self.index()} if driven else {}
        return Posterior(build(self.days, self.targets(count), indices, PRIORS, ZONE))

    def samples(self, found: Posterior, pairs: int = 100, seed: int = 1) -> np.ndarray:
        """Samples of the window's total, shape (2 pairs,)."""
        at = np.flatnonzero(self.window)
        (drawn,), _ = found.samples(pairs, seed, [at])
        middle = found.mean[:, at]
        return np.exp(np.concatenate([middle + drawn, middle - drawn])).sum(axis=(1, 2))


# --- a city in a folder ------------------------------------------------------------------------------------------------

FLOWS = """\
id,place,carrier,unit,step,sector,scope,semantics,spread,gpc,uncertainty,account,method,parameters
homes,city,electricity,MWh,1y,residential,2,sum,population,I.1.2,5 %,inventory,,
road,city,reported:CO2e,t,1y,transport,1,sum,population,II.1.1,10 %,inventory,reported,gwp=AR5
waste,city,reported:CO2e,t,1y,waste,1,sum,population,III.1.1,,inventory,reported,gwp=AR5
forest,city,reported:CO2e,t,1y,land,1,sum,area,V.2,20 %,inventory,reported,gwp=AR5
market,hoa,electricity,kWh,1h,commercial,2,sum,,I.2.2,2 %,inventory,,
feeder,city,index:power,1,1h,,,state,,,2 %,memo,,
traffic,city,index:traffic,1,1h,,,state,,,2 %,memo,,
"""
FACTORS = """\
activity,gas,value,unit,source,valid_from,valid_to,uncertainty
grid/vn,CO2,0.66,t CO2/MWh,test,2020-01-01,2030-01-01,5 %
"""
DRIVERS = """\
target,index,elasticity,spread
I.1.2,feeder,1,0.2
II.1.1,traffic,0.8,0.2
"""
AT = "2026-08-15T10:00"
"""The present of the city of the tests."""
START = datetime(2024, 12, 31, 17, tzinfo=UTC)
TET = datetime(2026, 2, 16, 17, tzinfo=UTC)
"""The beginning, in UTC, of 17 February 2026: the first of the lunar year."""


def city(folder, *, drivers=DRIVERS, flows=FLOWS):
    """A city of three wards with an inventory of 2025; no live values yet."""
    testing.three_ward_city(folder)
    (folder / "flows.csv").write_text(flows, encoding="utf-8")
    (folder / "factors.csv").write_text(FACTORS, encoding="utf-8")
    if drivers:
        (folder / "drivers.csv").write_text(drivers, encoding="utf-8")
    return api.open(folder)


def inventory():
    """The totals of 2025."""
    return [
        (name, START, value)
        for name, value in (("homes", 1e5), ("road", 5e4), ("waste", 2e4), ("forest", -3e3))
    ]


def live(days=600, *, seed=0, names=("feeder", "traffic", "market"), first=0):
    """Hourly live series from 2025 on: a daily wave, Sundays, Tết without traffic, 10 % more in 2026."""
    draw = np.random.default_rng(seed)
    hours = np.arange(first * 24, days * 24)
    noise = draw.standard_normal((3, days * 24))[:, first * 24 :]
    starts = [START + timedelta(hours=int(hour)) for hour in hours]
    local = (hours % 24).astype(float)
    wave = 1 + 0.4 * np.exp(-(((local - 18) / 3) ** 2))
    sunday = np.array([(one + timedelta(hours=7)).weekday() == 6 for one in starts])
    tet = np.array([TET - timedelta(days=2) <= one < TET + timedelta(days=5) for one in starts])
    later = np.where(hours >= 365 * 24, 1.1, 1.0)
    level = {
        "feeder": 100 * wave * later * np.where(sunday, 0.9, 1.0) * np.where(tet, 0.6, 1.0),
        "traffic": wave * later * np.where(sunday, 0.8, 1.0) * np.where(tet, 0.4, 1.0),
        "market": 300 * wave,
    }
    rows = []
    for number, name in enumerate(("feeder", "traffic", "market")):
        if name in names:
            values = level[name] * np.exp(0.02 * noise[number])
            rows += list(zip([name] * len(starts), starts, values.tolist(), strict=True))
    return rows


def put(ledger, rows, seq):
    """Stores rows."""
    return ledger.append(testing.values(rows), Origin("test", seq))


def asked(ledger, park, at="2026-08-15T10:00", start=None, **more):
    """A nowcast that is not stored unless asked."""
    return nowcast(ledger, park.territory, rules.load(), at, start, **{"stored": False, **more})


def present(folder):
    """A city with an inventory of 2025 and live series to May 2026 in its ledger; the folder."""
    park = city(folder)
    with park.writer() as ledger:
        put(ledger, inventory(), "inventory")
        put(ledger, live(500), "live")
    return folder
