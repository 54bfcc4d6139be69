# SPDX-License-Identifier: Apache-2.0
"""The nowcast against what cities published later: the C40 database year by year, with nothing that was not known by then.

Comes in: the workbook of the C40 dashboard and the yearly totals of Carbon Monitor Cities. Goes out: beliefs as of a year, and for each
city, year and age of its inventory what the nowcast of that year says beside what the city published of it.
"""

import csv
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.stats import binom

from mangrove import api, testing
from mangrove.ledger import Origin
from mangrove.measure.nowcast import Annual, Priors, default, nowcast
from mangrove.measure.nowcast.priors import GRID
from mangrove.rules import Rules
from mangrove.sources.c40 import CityInventory, read_c40

COUNTRIES = {
    "Argentina": "AR", "Australia": "AU", "Brazil": "BR", "Canada": "CA", "Colombia": "CO", "Greece": "GR", "Italy": "IT",
    "Malaysia": "MY", "Portugal": "PT", "South Africa": "ZA", "Spain": "ES", "Sweden": "SE", "Thailand": "TH",
    "The Netherlands": "NL", "Turkey": "TR", "USA": "US",
}  # fmt: skip
"""ISO codes of the countries with inventories of 2020 and later, as Carbon Monitor Cities writes them."""
HIGH = frozenset((
    "Australia", "Canada", "Chile", "Denmark", "France", "Germany", "Greece", "Israel", "Italy", "Japan", "Netherlands", "New Zealand",
    "Norway", "Poland", "Portugal", "South Korea", "Spain", "Sweden", "The Netherlands", "USA", "United Arab Emirates", "United Kingdom",
))  # fmt: skip
"""Countries of high income by the World Bank's classes of 2012 to 2022; all others of the database are `other`."""
SECTORS = {"I": "stationary", "II": "transport", "III": "waste"}
SPREAD = 0.3
"""Of the elasticity: what a city of a country emits need not move with what the country's other cities do."""


@dataclass(frozen=True)
class Guess:
    """What was said of a city's year beside what was published of it, in tonnes of CO2e (BASIC).

    Attributes:
        city, year; lag: years since the inventory it rests on.
        last: that inventory; true: what was published; mean: what was expected; band80, band95: where it was said to lie.
    """

    city: str
    year: int
    lag: int
    last: float
    true: float
    mean: float
    band80: tuple[float, float]
    band95: tuple[float, float]


def errors(these: list[Guess]) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors of the last inventory taken for the year, and of the nowcast."""
    last, mean, true = np.array([(one.last, one.mean, one.true) for one in these]).T
    return np.abs(last - true) / true, np.abs(mean - true) / true


def inside(these: list[Guess]) -> tuple[np.ndarray, np.ndarray]:
    """Which published totals lie in the bands of 80 and 95 %."""
    return tuple(
        np.array([low <= one.true <= high for one, (low, high) in zip(these, bands, strict=True)])
        for bands in ([one.band80 for one in these], [one.band95 for one in these])
    )


def bounds(level: float, count: int) -> tuple[float, float]:
    """Shares between which 95 % of runs lie when each case is inside with probability `level`, independent of the others.

    Example:
        >>> bounds(0.5, 100)
        (0.4, 0.6)
    """
    low, high = binom.ppf((0.025, 0.975), count, level) / count
    return float(low), float(high)


def basic(reference: str) -> bool:
    """Whether a reference counts under BASIC."""
    return reference.split(".", maxsplit=1)[0] in SECTORS and reference[-1] in "12"


def amounts(row: CityInventory) -> dict[str, float]:
    """The references of BASIC that have a number, t CO2e."""
    return {k: float(v) for k, v in row.entries.items() if isinstance(v, (int, float)) and v and basic(k)}


def by_city(path: Path) -> dict[str, dict[int, CityInventory]]:
    """All inventories by city and year."""
    found: dict[str, dict[int, CityInventory]] = defaultdict(dict)
    for row in read_c40(path):
        found[row.city][row.year] = row
    return found


def activity(path: Path) -> dict[str, dict[int, float]]:
    """By country and year, the median log change of its cities since the year before."""
    cities: dict[str, dict[int, float]] = defaultdict(dict)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cities[row["actor_id"]][int(row["year"])] = float(row["total_emissions"])
    changes: dict[tuple[str, int], list[float]] = defaultdict(list)
    for name, years in cities.items():
        for year, value in years.items():
            if year - 1 in years:
                changes[name[:2], year].append(float(np.log(value / years[year - 1])))
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for (country, year), those in changes.items():
        found[country][year] = float(np.median(those))
    return found


def pairs(cities: Mapping[str, Mapping[int, CityInventory]], lag: int) -> list[tuple[str, int]]:
    """City and year of all inventories that have one `lag` years before."""
    return [(city, year) for city, years in cities.items() for year in sorted(years) if year - lag in years]


# --- what was known by a year ------------------------------------------------------------------------------------------

ROWS = ("", "I", "I.1", "I.2", "I.3", "I.1.2", "I.2.2", "I.3.2", "II", "II.1", "II.2", "III", "IV", "V")
"""The rows of `annual_change.csv`."""
PSEUDO = 10
"""Changes that what is assumed before any change is seen counts for."""
CLIP = 0.4
"""Log change beyond which a reference was restated rather than moved; larger ones count as this."""
FLOOR = 0.05
"""The least that a reference moves on its own: what is left of purchased energy beside the grid's part is not to be told from nothing."""
START = {"own": 0.15, "common": 0.03, "grid": 0.1}


def _kind(reference: str) -> str:
    """The kind of emission that drifts together."""
    sector = reference.split(".", maxsplit=1)[0]
    return GRID if sector in ("I", "II") and reference.endswith(".2") else sector


@dataclass(frozen=True)
class Changes:
    """Changes of references between consecutive years.

    Attributes:
        reference, year, high: of each change; group: number of its city and year.
        log: of the ratio, clipped; share: of the reference in the BASIC total of its city the year before.
    """

    reference: np.ndarray
    year: np.ndarray
    high: np.ndarray
    group: np.ndarray
    log: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, cities: Mapping[str, Mapping[int, CityInventory]]) -> "Changes":
        """All changes of references that have a number of the same sign in both years; without those of BASIC+ in BASIC's sectors."""
        found = []
        for group, (city, year) in enumerate(pairs(cities, 1)):
            before, after = (cities[city][one] for one in (year - 1, year))
            total = sum(amounts(before).values())
            for name, value in before.entries.items():
                now = after.entries.get(name)
                both = isinstance(value, (int, float)) and isinstance(now, (int, float)) and value * now > 0
                if both and (basic(name) or name.split(".")[0] in ("IV", "V")):
                    log = float(np.clip(np.log(now / value), -CLIP, CLIP))
                    found.append((name, year, after.country in HIGH, group, log, abs(value) / total))
        return cls(*map(np.array, zip(*found, strict=True)))

    def known(self, year: int) -> "Changes":
        """Those that a city could know at the end of a year."""
        keep = self.year <= year
        return Changes(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))

    def beliefs(self) -> dict[str, Priors]:
        """Priors by income: mean squares and products of these changes, weighted such that they add up to those of the cities' totals."""
        kinds = np.array([_kind(name) for name in self.reference], dtype=object)
        drift: dict[str, float] = {}
        for kind in ("I", "II", "III", GRID):
            here = (kinds == kind) & self.high.astype(bool)
            drift[kind] = _shrunk(self.share[here], self.log[here], 0.0)
        expected = np.array(
            [
                drift[kind] if high and kind in drift else 0.0
                for kind, high in zip(kinds, self.high, strict=True)
            ]
        )
        left = self.log - expected
        counted = np.array([basic(name) for name in self.reference], dtype=bool)
        common = _products(left, self.share, self.group, counted, kinds == GRID)
        grid = max(_products(left, self.share, self.group, counted & (kinds == GRID), None) - common, 0.0)
        annual = {}
        for row in ROWS:
            bought = row.endswith(".2") and row.count(".") == 2
            here = (kinds == GRID) == bought
            if not bought:
                here &= np.array(
                    [f"{name}.".startswith(f"{row}." if row else "") for name in self.reference], dtype=bool
                )
            square = _shrunk(self.share[here] ** 2, left[here] ** 2, START["own"] ** 2)
            own = square - common - (grid if bought else 0.0)
            annual[row] = Annual(np.sqrt(max(own, FLOOR**2)), np.sqrt(common), np.sqrt(grid))
        plain = default()
        return {
            income: Priors(
                annual=annual, drift=moves, effects=plain.effects, day_sd=plain.day_sd, day_phi=plain.day_phi
            )
            for income, moves in (("high", {"": 0.0, **drift}), ("other", {"": 0.0}))
        }


def _shrunk(weight: np.ndarray, value: np.ndarray, start: float) -> float:
    """A weighted mean, drawn to what was assumed before as if that were `PSEUDO` values."""
    if not len(weight):
        return start
    count = weight.sum() ** 2 / (weight**2).sum()
    return float((weight @ value / weight.sum() * count + PSEUDO * start) / (count + PSEUDO))


def _products(
    left: np.ndarray, share: np.ndarray, group: np.ndarray, here: np.ndarray, without: np.ndarray | None
) -> float:
    """The mean product of changes of two references of one city and year; `without` those where both are of a kind."""
    size = int(group.max()) + 1 if len(group) else 0

    def sums(use: np.ndarray) -> tuple[np.ndarray, ...]:
        def over(values: np.ndarray) -> np.ndarray:
            return np.bincount(group[use], values[use], size)

        moved, two = share * left, share**2
        return (
            (over(moved) ** 2 - over(moved**2)) / 2,
            (over(share) ** 2 - over(two)) / 2,
            (over(two) ** 2 - over(two**2)) / 2,
        )

    found = sums(here)
    if without is not None:
        found = tuple(a - b for a, b in zip(found, sums(here & without), strict=True))
    product, weight, square = (float(one.sum()) for one in found)
    start = START["grid" if without is None else "common"] ** 2
    if weight <= 0:
        return start
    count = weight**2 / square
    return max((product / weight * count + PSEUDO * start) / (count + PSEUDO), 0.0)


# --- the nowcast of a year ---------------------------------------------------------------------------------------------

YAML = (
    "name: City\nkind: city\ntimezone: Etc/UTC\ncurrency: USD\nlang: en\ngwp: AR5\nboundary:\n  root: city\n"
)
FLOWS = "id,place,carrier,unit,step,sector,scope,semantics,gpc,uncertainty,account,method,parameters"


def guess(
    years: Mapping[int, CityInventory],
    year: int,
    lag: int,
    *,
    book: Rules,
    priors: Mapping[str, Priors],
    live: Mapping[str, Mapping[int, float]],
    samples: int = 200,
) -> Guess:
    """What the nowcast of a whole year says that knows the city's inventories until `year - lag`.

    Args:
        years: the inventories of the city, of which those after `year - lag` are not looked at.
        year: the one that is nowcast.
        lag: how many years old the inventory is.
        book: factors and GWP sets.
        priors: by income, as of `year - lag`.
        live: see `activity`.
        samples: of the nowcast.
    """
    last = years[year - lag]
    names = amounts(last)
    index = _index(live.get(COUNTRIES.get(last.country, ""), {}), year - lag, year)
    rows = [
        (name, datetime(one, 1, 1, tzinfo=UTC), value)
        for one, row in years.items()
        if year - lag - 5 < one <= year - lag
        for name, value in amounts(row).items()
        if name in names
    ]
    rows += [("activity", datetime(one, 1, 1, tzinfo=UTC), value) for one, value in index.items()]
    with tempfile.TemporaryDirectory() as folder:
        city = _declare(Path(folder) / "city", list(names), driven=bool(index))
        with city.writer() as ledger:
            ledger.append(testing.values(rows), Origin("c40", "1"))
            beliefs = priors["high" if last.country in HIGH else "other"]
            at, start = f"{year + 1}-01-01", f"{year}-01-01"
            made = nowcast(
                ledger, city.territory, book, at, start, priors=beliefs, samples=samples, stored=False
            )
    (row,) = made.table().to_pylist()
    low80, high80, low95, high95 = (
        row[f"co2e_{name}"] / 1000 for name in ("low80", "high80", "low95", "high95")
    )
    true = years[year].totals["BASIC"]
    return Guess(
        last.city,
        year,
        lag,
        last.totals["BASIC"],
        true,
        row["co2e_kg"] / 1000,
        (low80, high80),
        (low95, high95),
    )


def _index(changes: Mapping[int, float], base: int, year: int) -> dict[int, float]:
    """The level of activity by year, 1 in the year of the inventory or in 2019; empty when it says nothing of `year`."""
    if year not in changes:
        return {}
    first, level = max(base, 2019), 1.0
    found = {first: level}
    for one in range(first + 1, year + 1):
        level *= float(np.exp(changes[one]))
        found[one] = level
    return found


def _declare(folder: Path, names: list[str], *, driven: bool) -> api.Handle:
    """A city in a folder: its references as flows, and the index that drives what is burned in it."""
    folder.mkdir()
    (folder / "territory.yaml").write_text(YAML, encoding="utf-8")
    (folder / "places.csv").write_text("id,name,kind,parent\ncity,City,city,\n", encoding="utf-8")
    flows, drivers = [FLOWS], ["target,index,elasticity,spread"]
    for name in names:
        sector, _, part = name.split(".")
        scope = {"1": "1", "2": "3"}[part] if sector == "III" else part
        flows.append(
            f"{name},city,reported:CO2e,t,1y,{SECTORS[sector]},{scope},sum,{name},0 %,inventory,reported,gwp=AR5"
        )
        if driven and sector in ("I", "II") and part == "1":
            drivers.append(f"{name},activity,1,{SPREAD}")
    if len(drivers) > 1:
        flows.append("activity,city,index:activity,1,1y,,,state,,0 %,memo,,")
        (folder / "drivers.csv").write_text("\n".join(drivers) + "\n", encoding="utf-8")
    (folder / "flows.csv").write_text("\n".join(flows) + "\n", encoding="utf-8")
    return api.open(folder)
