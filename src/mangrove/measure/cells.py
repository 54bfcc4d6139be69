# SPDX-License-Identifier: Apache-2.0
"""Cells: the smallest numbers that official tables are made of, and how they add up.

Comes in: one `Cell` per flow, gas, account and view of a period. Goes out: tonnes by gas, CO2 equivalents in one named
GWP set, and 95 % half-widths. Every official table (GPC, ISO 14064-1, GHG Protocol, Circular 38) is a sum of the same
cells, so the tables agree with each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mangrove.errors import Problem, RuleError
from mangrove.measure.plan import POLLUTANTS
from mangrove.rules import Rules

HALF_WIDTHS_PER_SD = 1.96
"""95 % half-width over standard deviation of a normal (IPCC 2006, Vol. 1, Ch. 3, section 3.1.3)."""
REPORTED = "CO2e"
"""The gas of a number that was reported in CO2 equivalents; the note of its cell names the GWP set."""
LOCATION_VIEWS = ("", "location")
_GROUPS = {
    "CH4": ("CH4_",),
    "HFC": ("HFC", "R-4", "R-5"),
    "HCFC": ("HCFC",),
    "PFC": ("PFC", "CF4", "C2F6", "C3F8"),
}
_GAS_ORDER = ("CO2", "CH4", "N2O", "HFC", "HCFC", "PFC", "SF6", "NF3")


@dataclass(frozen=True, slots=True)
class Cell:
    """One gas of one flow over the period of a report.

    Attributes:
        flow, place: ids in the territory.
        gas: "CO2", "CH4", "HFC-134a", ... or "CO2e" for a number reported so (then `note` is the name of its GWP set).
        kg: kilograms of the gas; sd: its standard deviation in kilograms, None when no error is stated.
        scope, sector, gpc, category: as declared on the flow.
        account: `inventory`, `memo` (biogenic CO2), `avoided` or `removal` (kilograms taken up, positive).
        view: empty for all views, or `location` or `market` for purchased energy.
        activity, activity_unit: the amount of the whole flow in the period, the same on all cells of a flow.
        factor_ids: the rules that enter the number; cells that name the same one move together.
        status: the weakest status among these rules (`official`, `unofficial`, `alternate`, `recalled`).
    """

    flow: str
    place: str
    gas: str
    kg: float
    sd: float | None = None
    scope: int | None = None
    sector: str = ""
    gpc: str = ""
    category: str = ""
    account: str = "inventory"
    view: str = ""
    activity: float = 0.0
    activity_unit: str = ""
    factor_ids: tuple[str, ...] = ()
    status: str = ""
    note: str = ""


class Weights:
    """CO2 equivalents of cells in one named GWP set; what the set cannot weigh is a problem, never a zero.

    Args:
        rules: where GWP sets are found.
        gwp: name of the set ("AR5").

    Raises:
        RuleError: the set does not exist.
    """

    def __init__(self, rules: Rules, gwp: str) -> None:
        self.name = gwp
        self._set = rules.gwp(gwp)
        self._known: dict[str, float | None] = {}

    def weight(self, gas: str, note: str = "") -> float | None:
        """Kilograms of CO2e per kilogram of `gas`; None when the set has no value for it."""
        if gas == REPORTED:
            return 1.0 if note == self.name else None
        if gas not in self._known:
            try:
                self._known[gas] = self._set.value(gas).value
            except RuleError:
                self._known[gas] = None
        return self._known[gas]

    def tonnes(self, cells: Iterable[Cell]) -> float:
        """Tonnes of CO2e of `cells`, the exactly rounded sum; cells without a weight are left out."""
        weighed = [(cell.kg, self.weight(cell.gas, cell.note)) for cell in cells]
        return math.fsum(kg * weight for kg, weight in weighed if weight is not None) / 1000

    def kilograms(self, cells: Iterable[Cell]) -> int:
        """Whole kilograms of CO2e, for sentences: a whole number reads the same in every language."""
        return round(1000 * self.tonnes(cells))

    def problems(self, cells: Iterable[Cell]) -> list[Problem]:
        """One problem for every flow and gas that the set cannot weigh."""
        found: dict[tuple[str, str], Problem] = {}
        for cell in cells:
            if self.weight(cell.gas, cell.note) is None:
                code = "reports.reported_in_another_set" if cell.gas == REPORTED else "reports.no_gwp"
                data = {"flow": cell.flow, "gas": cell.gas, "reported": cell.note or "?", "gwp": self.name}
                found.setdefault((cell.flow, cell.gas), Problem(code, data))
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Spread:
    """How uncertain a sum is.

    Attributes:
        half_width: of the 95 % interval, in tonnes of CO2e, of the part whose errors are stated.
        covered: share of the sum (by absolute size) whose errors are stated, 0 to 1.
    """

    half_width: float
    covered: float


def spread(cells: Sequence[Cell], weights: Weights) -> Spread | None:
    """The 95 % interval of a sum by IPCC Approach 1; None when no cell states an error.

    IPCC 2006, Vol. 1, Ch. 3, Eq 3.2 adds independent errors in quadrature, and section 3.2.3.1 asks to aggregate what
    is correlated first. Cells of one flow or with a common factor are therefore added up linearly (an upper bound), and
    only the groups that share nothing are combined in quadrature.
    """
    stated: list[tuple[Cell, float]] = []
    sizes: list[tuple[float, bool]] = []
    for cell in cells:
        weight = weights.weight(cell.gas, cell.note)
        if weight is None or not cell.kg:
            continue
        sizes.append((abs(cell.kg * weight), cell.sd is not None))
        if cell.sd is not None:
            stated.append((cell, abs(cell.sd * weight)))
    if not stated:
        return None
    groups = _groups([cell for cell, _ in stated])
    totals: dict[int, float] = {}
    for group, (_, deviation) in zip(groups, stated, strict=True):
        totals[group] = totals.get(group, 0.0) + deviation
    half_width = HALF_WIDTHS_PER_SD * math.hypot(*totals.values()) / 1000
    covered = math.fsum(size for size, known in sizes if known) / math.fsum(size for size, _ in sizes)
    return Spread(half_width, covered)


def _groups(cells: Sequence[Cell]) -> list[int]:
    """For each cell the number of its group: cells linked by a flow or a factor, directly or through others."""
    parent = list(range(len(cells)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    for index, cell in enumerate(cells):
        for name in (f"flow {cell.flow}", *(f"factor {factor}" for factor in cell.factor_ids)):
            parent[root(index)] = root(first.setdefault(name, index))
    return [root(index) for index in range(len(cells))]


def masses(cells: Iterable[Cell]) -> dict[str, float]:
    """Tonnes by gas, in the usual order of gases."""
    found: dict[str, list[float]] = {}
    for cell in cells:
        found.setdefault(cell.gas, []).append(cell.kg)
    return {gas: math.fsum(found[gas]) / 1000 for gas in sorted(found, key=gas_order)}


def gas_group(gas: str) -> str:
    """The group that inventories print a gas in: refrigerant blends ("R-410A") count as HFCs, CF4 and C2F6 as PFCs.

    Example:
        >>> gas_group("HFC-134a"), gas_group("R-410A"), gas_group("CH4")
        ('HFC', 'HFC', 'CH4')
    """
    for group, beginnings in _GROUPS.items():
        if gas.startswith(beginnings):
            return group
    return gas


def gas_order(gas: str) -> tuple[int, str]:
    """A key that sorts gases as inventories print them: CO2, CH4, N2O, HFCs, PFCs, SF6, NF3, others."""
    group = gas_group(gas)
    return (_GAS_ORDER.index(group) if group in _GAS_ORDER else len(_GAS_ORDER)), gas


def greenhouse_gases(cells: Iterable[Cell]) -> list[Cell]:
    """The cells without those of air pollutants, which are measured by the same formula and are in no inventory."""
    return [cell for cell in cells if cell.gas not in POLLUTANTS]


def in_view(cells: Iterable[Cell], view: str) -> list[Cell]:
    """The cells of one view of purchased energy.

    In the market-based view the `market` cells of a flow stand in the place of its `location` cells; a flow without any
    keeps its location-based number (GHG Protocol Scope 2 Guidance, 2015, Table 6.3: the grid average is the last resort).
    """
    chosen = list(cells)
    if view != "market":
        return [cell for cell in chosen if cell.view in LOCATION_VIEWS]
    contracted = {cell.flow for cell in chosen if cell.view == "market"}
    return [c for c in chosen if c.view in ("", "market") or c.flow not in contracted]


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of cells: tonnes by gas, tonnes of CO2e in the named set, and its 95 % interval."""

    gases: Mapping[str, float] = field(default_factory=dict)
    co2e: float = 0.0
    spread: Spread | None = None
    cells: int = 0


def add(cells: Sequence[Cell], weights: Weights) -> Sum:
    """The sum of `cells`."""
    return Sum(masses(cells), weights.tonnes(cells), spread(cells, weights), len(cells))
