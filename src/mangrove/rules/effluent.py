# SPDX-License-Identifier: Apache-2.0
"""Limits of industrial effluents in Việt Nam, by version of QCVN 40, column, discharge and receiving water.

Comes in: a parameter and the terms of a discharge. Goes out: the limit with the arithmetic behind it and its status.

    Cmax = C Kq Kf

QCVN 40:2011/BTNMT: C from Table 1 (column A: water that may serve as a source of drinking water; B: other water), Kf by the discharge,
Kq by the receiving water; temperature, color, pH, coliforms and radioactivity are not scaled. QCVN 40:2025/BTNMT holds since 1 September
2025 and its table was not at hand: asking for it is an error, never a guess. Sites that existed may keep to the older one through
2031. A permit of its own stands above both: see `mangrove.measure.eip`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from math import inf

from mangrove.errors import RuleError, did_you_mean
from mangrove.rules import tables
from mangrove.units import Quantity

COLUMNS = ("A", "B")
PERMIT = "permit"
"""The version of a limit that a territory declares from its own permit."""


@dataclass(frozen=True, slots=True)
class Receiving:
    """The water that takes the effluent.

    Attributes:
        kind: `river`, `lake`, `coast` or `protected_coast`.
        size: mean flow of the river in the three driest months (m3/s), or volume of the lake (m3); None for the sea, and when it is
            not known: then the strictest band counts.

    Example:
        >>> Receiving.parse("river 120 m3/s")
        Receiving(kind='river', size=120.0)
    """

    kind: str
    size: float | None = None

    @classmethod
    def parse(cls, text: str) -> Receiving:
        """Reads `river 120 m3/s`, `lake 5000000 m3`, `coast`.

        Raises:
            RuleError: `eip.bad_receiving`.
        """
        kind, _, size = text.strip().partition(" ")
        kinds = {
            row["receiving"]: row["unit"]
            for row in tables.rows("effluent_coefficients")
            if row["coefficient"] == "kq"
        }
        if kind not in kinds or (size and not kinds[kind]):
            hint = did_you_mean(kind, kinds)
            raise RuleError("eip.bad_receiving", text=text, options=", ".join(kinds), hint=hint)
        quantity = Quantity.parse(size, kinds[kind]) if size else None
        if quantity is not None and quantity.value <= 0:
            raise RuleError("eip.bad_receiving", text=text, options=", ".join(kinds), hint="")
        return cls(kind, quantity.to(kinds[kind]) if quantity else None)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of QCVN 40: when it holds, until when existing sites may keep to it, and whether its table is here."""

    key: str
    valid_from: date | None
    valid_to: date | None
    existing_until: date | None
    has_table: bool
    document: str
    status: str
    note: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit and how it came about.

    Attributes:
        parameter: key (`COD`); low: lower bound (pH only); high: upper bound; unit: of both, as printed.
        base: C of the table; kq, kf: what it was multiplied with (1 where the rule does not scale).
        version: `2011`, or `permit` for a declared one; column: `A`, `B` or empty.
        document, status: where it stands; note: what a reader should know.
    """

    parameter: str
    high: float
    unit: str
    low: float | None = None
    base: float | None = None
    kq: float = 1.0
    kf: float = 1.0
    version: str = PERMIT
    column: str = ""
    document: str = ""
    status: str = ""
    note: str = ""

    def text(self) -> str:
        """`75 mg/L`, or `6 - 9` for pH."""
        if self.low is not None:
            return f"{self.low:g} - {self.high:g}"
        return f"{self.high:g} {self.unit}"


def limit(
    parameter: str,
    *,
    version: str = "2011",
    column: str = "A",
    flow: float | None = None,
    receiving: Receiving | None = None,
) -> Limit:
    """The limit of a parameter in an effluent.

    Args:
        parameter: `COD`, `BOD5`, `TSS`, `pH`, `NH4-N`, ...
        version: of QCVN 40.
        column: `A` or `B`.
        flow: discharge in m3 a day.
        receiving: the receiving water; where only its kind is known, the strictest band of the kind counts.

    Raises:
        RuleError: `eip.unknown_parameter`, `eip.unknown_version`, `eip.no_limit_table` (the table of that version is not here),
            `eip.unknown_column`, `eip.bad_discharge`; `eip.no_discharge` and `eip.no_receiving` when a coefficient needs what is not given.

    Example:
        >>> limit("COD", column="B", flow=300, receiving=Receiving("river", 120)).high
        165.0
    """
    known = {one.key: one for one in versions()}
    if version not in known:
        raise RuleError(
            "eip.unknown_version", text=version, options=", ".join(known), hint=did_you_mean(version, known)
        )
    if not known[version].has_table:
        raise RuleError("eip.no_limit_table", document=known[version].document, parameter=parameter)
    if column not in COLUMNS:
        raise RuleError("eip.unknown_column", text=column, options=", ".join(COLUMNS))
    if flow is not None and not 0 <= flow < inf:
        raise RuleError("eip.bad_discharge", text=f"{flow:g}")
    row = _row(parameter, version)
    base = float(row[column.lower()])
    low = tables.number(row[f"{column.lower()}_low"])
    kf = kq = 1.0
    if row["scaled"] == "yes":
        if flow is None:
            raise RuleError("eip.no_discharge", parameter=row["parameter"])
        if receiving is None:
            raise RuleError("eip.no_receiving", parameter=row["parameter"])
        kf = _coefficient(version, "kf", "discharge", flow)
        kq = _coefficient(version, "kq", receiving.kind, receiving.size)
    return Limit(
        row["parameter"], round(base * kq * kf, 9), row["unit"], low, base, kq, kf, version, column,
        f"{row['document']}, {row['article']}", row["status"], row["note"],
    )  # fmt: skip


def declared(parameter: str, high: float, document: str, *, low: float | None = None) -> Limit:
    """A limit of a permit, as the territory declares it, in the printed unit; `low` is the lower end of a range (pH).

    Raises:
        RuleError: `eip.unknown_parameter`.
    """
    row = _row(parameter, "2011")
    return Limit(row["parameter"], high, row["unit"], low, document=document, status="declared")


def unit_of(parameter: str) -> str:
    """The unit in which the limits of a parameter are printed."""
    return _row(parameter, "2011")["unit"]


def parameters() -> tuple[str, ...]:
    """The keys of all parameters.

    Example:
        >>> len(parameters()), parameters()[4]
        (33, 'COD')
    """
    return tuple(row["parameter"] for row in tables.rows("effluent_limits"))


def name_of(parameter: str, lang: str) -> str:
    """The parameter in words."""
    return _row(parameter, "2011")[f"name_{lang}"]


@cache
def versions() -> tuple[Version, ...]:
    """The versions of QCVN 40, oldest first."""
    return tuple(
        Version(
            row["version"],
            tables.day(row["valid_from"]),
            tables.day(row["valid_to"]),
            tables.day(row["existing_until"]),
            row["table"] == "yes",
            row["document"],
            row["status"],
            row["note"],
        )
        for row in tables.rows("effluent_versions")
    )


def version_on(day: date, *, existing: bool = True) -> Version:
    """The version that binds a site on a day; an existing site may keep to the older one during the transition.

    Example:
        >>> version_on(date(2026, 11, 22)).key, version_on(date(2026, 11, 22), existing=False).key
        ('2011', '2025')
        >>> version_on(date(2032, 1, 1)).key
        '2025'
    """
    for one in versions():
        last = one.existing_until if existing else None
        if (last is not None and day <= last) or one.valid_to is None or day < one.valid_to:
            return one
    return versions()[-1]


def _row(parameter: str, version: str) -> dict[str, str]:
    """The row of a parameter; case does not matter."""
    rows = {
        row["parameter"].casefold(): row
        for row in tables.rows("effluent_limits")
        if row["version"] == version
    }
    if parameter.casefold() not in rows:
        hint = did_you_mean(parameter, parameters())
        raise RuleError("eip.unknown_parameter", text=parameter, options=", ".join(parameters()), hint=hint)
    return rows[parameter.casefold()]


def _coefficient(version: str, name: str, kind: str, size: float | None) -> float:
    """The coefficient of the band that holds `size`, a band holds its upper end; the smallest when the size is not known."""
    rows = [row for row in _bands(version, name) if row["receiving"] == kind]
    if size is None:
        return min(float(row["value"]) for row in rows)
    inside = [row for row in rows if float(row["above"] or -inf) < size <= float(row["up_to"] or inf)]
    return float(inside[0]["value"])


def _bands(version: str, name: str) -> list[dict[str, str]]:
    return [
        row
        for row in tables.rows("effluent_coefficients")
        if row["version"] == version and row["coefficient"] == name
    ]
