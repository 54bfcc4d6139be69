# SPDX-License-Identifier: Apache-2.0
"""The rule book: every dated fact behind one object, asked by activity, gas and day.

Comes in: an activity key, a gas, a day, the territory's own factors. Goes out: the factor that holds and what else was on
offer; the periods in which each factor holds; parameters of formulas; GWP sets; matches of a search; conflicts between
sources. `load` builds the book once from the shipped tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from mangrove import text
from mangrove.errors import RuleError
from mangrove.rules import checks, choose, gwp, search, tables
from mangrove.rules.choose import Question
from mangrove.rules.types import Conflict, DensityCheck, Factor, Fuel, Match, Selection, Source

if TYPE_CHECKING:
    from mangrove.territory.model import LocalFactor

_YEAR = re.compile(r"(?P<activity>[^@]+)@(?P<year>\d{4})(?P<unofficial>-unofficial)?")
_USE = re.compile(r"combustion/(?P<use>[a-z_]+)/[a-z_]+")
_GASES = ("CO2", "CH4", "N2O")
_TABLES = ("factors", "fuels", "aliases", "gwp", "blends", "uncertainty_defaults")

Piece = tuple[date, date, "Selection | RuleError"]
"""A half-open period of days and what holds in it: a selection, or the reason why nothing does."""


@cache
def load() -> Rules:
    """The rule book of the shipped tables; read once per process.

    Example:
        >>> load().select("combustion/manufacturing/anthracite", "CO2", date(2024, 1, 1)).chosen.value
        98300.0
    """
    return Rules(tables.factors(), tables.digest(*_TABLES))


@dataclass(frozen=True, eq=False)
class Rules:
    """All factors, corrections and parameters, with the questions that one can ask of them.

    Attributes:
        factors: every row, in file order.
        content_hash: SHA-256 (hex) over the tables they come from.
    """

    factors: tuple[Factor, ...]
    content_hash: str
    _by_activity: dict[str, list[Factor]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index: dict[str, list[Factor]] = {}
        for factor in self.factors:
            index.setdefault(factor.activity, []).append(factor)
        object.__setattr__(self, "_by_activity", index)

    @property
    def activities(self) -> tuple[str, ...]:
        """Every activity key, sorted."""
        return tuple(sorted(self._by_activity))

    @property
    def fuels(self) -> tuple[str, ...]:
        """The keys of all fuels."""
        return tuple(tables.fuels())

    def fuel(self, key: str) -> Fuel:
        """The fuel `key`; raises `RuleError` (`rules.unknown_fuel`) with the nearest one."""
        known = tables.fuels()
        if key not in known:
            raise RuleError("rules.unknown_fuel", text=key, near=text.suggest(key, known) or "-")
        return known[key]

    def select(
        self,
        activity: str,
        gas: str,
        on: date,
        *,
        local: Sequence[LocalFactor] = (),
        allow: Sequence[str] = (),
    ) -> Selection:
        """The direct factor of `activity` and `gas` that holds on the day `on`.

        The territory's own rows (`local`) stand first, then Vietnamese official ones, then IPCC (see
        `mangrove.rules.choose`). `allow` names a status (`unofficial`) or the ids of rows. A key with a year
        (`grid/vn@2023`) is that year's row on any day; `grid/vn@2024-unofficial` also allows an unofficial one.

        Raises:
            RuleError: `rules.no_factor` (with what exists instead), `rules.correction_used_as_factor`,
                `rules.not_printed`, `rules.ambiguous`.
        """
        rows, allowed = self._rows(activity, gas, local, allow)
        direct = [row for row in rows if row.kind == "direct"]
        if rows and not direct:
            raise RuleError(
                "rules.correction_used_as_factor", activity=activity, id=rows[0].id, kind=rows[0].kind
            )
        if not direct:
            raise self._unknown(activity, gas, on, local)
        return choose.choose(Question(activity, gas, on, allowed), direct)

    def periods(
        self,
        activity: str,
        gas: str,
        start: date,
        end: date,
        *,
        local: Sequence[LocalFactor] = (),
        allow: Sequence[str] = (),
    ) -> list[Piece]:
        """What holds in `[start, end)`, cut at the days where that changes; pieces cover the span without gaps.

        A piece without a factor carries the `RuleError` that `select` would raise. An activity that does not exist at
        all raises it.
        """
        rows, _ = self._rows(activity, gas, local, allow)
        if not rows:
            raise self._unknown(activity, gas, start, local)
        edges = {
            edge for row in rows for edge in (row.valid_from, row.valid_to) if edge and start < edge < end
        }
        cuts = [start, *sorted(edges), end]
        pieces: list[Piece] = []
        for first, last in pairwise(cuts):
            outcome: Selection | RuleError
            try:
                outcome = self.select(activity, gas, first, local=local, allow=allow)
            except RuleError as error:
                outcome = error
            if pieces and _same(pieces[-1][2], outcome):
                pieces[-1] = (pieces[-1][0], last, pieces[-1][2])
            else:
                pieces.append((first, last, outcome))
        return pieces

    def gases(self, activity: str, *, local: Sequence[LocalFactor] = ()) -> tuple[str, ...]:
        """The gases for which `activity` has direct factors: CO2, CH4, N2O first, then by name."""
        rows, _ = self._rows(activity, None, local, ())
        found = {row.gas for row in rows if row.kind == "direct"}
        return tuple(g for g in _GASES if g in found) + tuple(sorted(found.difference(_GASES)))

    def parameter(
        self,
        activity: str,
        on: date | None = None,
        gas: str = "",
        *,
        local: Sequence[LocalFactor] = (),
        allow: Sequence[str] = (),
    ) -> Factor:
        """A number that a formula needs (NCV, density, MCF, DOC, k, ...): a row of kind `parameter` or `correction`.

        Percentages are given as fractions. `on` and `gas` may stay open.

        Raises:
            RuleError: as `select`; `rules.not_a_parameter` when the key names a direct factor.
        """
        rows, allowed = self._rows(activity, gas or None, local, allow)
        found = [row for row in rows if row.kind != "direct" or choose.authority(row) == 0]
        if rows and not found:
            raise RuleError("rules.not_a_parameter", activity=activity, id=rows[0].id)
        if not found:
            raise self._unknown(activity, gas, on, local)
        return choose.choose(Question(activity, gas, on, allowed), found).chosen

    def gwp(self, name: str) -> gwp.GwpSet:
        """The GWP set `name` (`SAR`, `AR4`, `AR5`, `AR6`, 100 years); `RuleError` with a suggestion otherwise."""
        return gwp.load(name)

    def uncertainty(self, factor: Factor) -> tuple[float, str]:
        """The 95 % half-width of `factor` as a fraction, and where it comes from.

        `stated` by the factor's own source; else the default of its family with the status of that default
        (`recalled`); else `(nan, "none")`.
        """
        if factor.uncertainty is not None:
            return factor.uncertainty, "stated"
        for row in tables.rows("uncertainty_defaults"):
            if factor.activity.split("/")[0] == row["family"] and factor.gas == row["gas"]:
                return float(row["half_width"]), row["status"]
        return math.nan, "none"

    def find(self, query: str, lang: str | None = None, limit: int = 20) -> list[Match]:
        """Activities whose names, keys or sources match `query`, best first.

        Accents and `đ` do not matter, typing mistakes are forgiven. `lang` (`en`, `vi`) narrows the names searched.
        """
        return search.find(self.factors, query, lang, limit)

    def conflicts(self, activity: str | None = None) -> list[Conflict]:
        """Where sources disagree by more than 0.5 % for the same activity, gas and time (all, or one activity)."""
        if activity is None:
            return choose.conflicts_of(self.factors)
        rows, _ = self._rows(activity, None, (), ())
        return choose.conflicts_of(rows)

    def volumetric_checks(self) -> list[DensityCheck]:
        """The density behind each volumetric factor and each printed density, against the band of its fuel."""
        return checks.densities(self.factors)

    def _rows(
        self, written: str, gas: str | None, local: Sequence[LocalFactor], allow: Sequence[str]
    ) -> tuple[list[Factor], tuple[str, ...]]:
        """All rows that speak of the key `written` (and of `gas`, when given), and what is allowed."""
        key = tables.aliases().get(written, written)
        own = [_declared(row) for row in local if row.activity in (written, key)]
        year = _YEAR.fullmatch(key)
        rows = self._of_year(year) if year else [*self._by_activity.get(key, ()), *self._of_all_fuels(key)]
        allowed = (*allow, "unofficial") if year and year["unofficial"] else tuple(allow)
        return [row for row in (*own, *rows) if gas is None or row.gas == gas], allowed

    def _of_year(self, year: re.Match[str]) -> list[Factor]:
        """The rows of one year, made valid on every day: the explicit choice of a factor year."""
        rows = self._by_activity.get(year["activity"], ())
        return [
            replace(row, activity=year[0], valid_from=None, valid_to=None)
            for row in rows
            if row.valid_from is not None and row.valid_from.year == int(year["year"])
        ]

    def _of_all_fuels(self, key: str) -> Iterable[Factor]:
        """Rows printed for all fuels of a use (Decision 2626, Appendix I, items 1.44 and 1.45)."""
        use = _USE.fullmatch(key)
        if not use or key not in self._by_activity:
            return ()
        return (
            self._by_activity.get(f"combustion/{use['use']}/all_fuels", ())
            if not key.endswith("/all_fuels")
            else ()
        )

    def _unknown(self, activity: str, gas: str, on: date | None, local: Sequence[LocalFactor]) -> RuleError:
        """The error for a key without any row: the nearest keys, or the gases that the key does have."""
        rows, _ = self._rows(activity, None, local, ())
        if rows:
            available = ", ".join(f"{activity} {row.gas or '-'} ({row.kind})" for row in rows)
        else:
            known = [*self._by_activity, *tables.aliases()]
            available = ", ".join(f"{near}?" for near in checks.nearest(activity, known)) or "-"
        return RuleError(
            "rules.no_factor", activity=activity, gas=gas or "-", on=on or "-", available=available
        )


def _same(left: Selection | RuleError, right: Selection | RuleError) -> bool:
    """Whether two neighboring pieces say the same."""
    if isinstance(left, Selection) and isinstance(right, Selection):
        return left.chosen == right.chosen and left.conflict == right.conflict
    if isinstance(left, RuleError) and isinstance(right, RuleError):
        return left.code == right.code
    return False


def _declared(row: LocalFactor) -> Factor:
    """A row of the territory's own table as a factor that stands above all others."""
    return Factor(
        id=f"local:{row.activity}:{row.gas}:{row.valid_from or ''}",
        activity=row.activity,
        gas=row.gas,
        value=row.value,
        unit=row.unit.text,
        kind="direct",
        status="official",
        source=Source(row.source),
        printed_value=repr(row.value),
        printed_unit=row.unit.text,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        uncertainty=row.uncertainty,
        shared=f"local:{row.activity}:{row.gas}:{row.valid_from or ''}",
        note=row.note,
    )
