# SPDX-License-Identifier: Apache-2.0
"""Numbers about streets and trips that a first study starts from, each with its row: capacities, motorcycle units, trip rates.

Comes in: a name and a subject. Goes out: a number that carries the row behind it. Many are assumed; whoever uses one shows its
status, and a study of its own replaces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from mangrove.errors import RuleError, did_you_mean
from mangrove.rules import tables


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row: `name/subject` with its value, unit, status (unofficial, recalled, assumed), document and note."""

    name: str
    subject: str
    value: float
    unit: str
    status: str
    document: str
    note: str

    @property
    def row(self) -> str:
        """The key of the row."""
        return f"{self.name}/{self.subject}"


@cache
def parameters() -> dict[str, Parameter]:
    """Every row by its key."""
    found = (
        Parameter(
            r["name"], r["subject"], float(r["value"]), r["unit"], r["status"], r["document"], r["note"]
        )
        for r in tables.rows("road_parameters")
    )
    return {row.row: row for row in found}


def parameter(name: str, subject: str) -> Parameter:
    """One row.

    Raises:
        RuleError: `roads.unknown_parameter`.

    Example:
        >>> parameter("capacity", "2").value
        13358.0
    """
    key = f"{name}/{subject}"
    if key not in parameters():
        raise RuleError("roads.unknown_parameter", key=key, hint=did_you_mean(key, parameters()))
    return parameters()[key]


def value(name: str, subject: str) -> float:
    """The number of one row; see `parameter`."""
    return parameter(name, subject).value


def motorcycle_units(vehicle: str) -> float:
    """How many motorbikes a vehicle of a class takes the room of; measured in Hanoi, or assumed where nobody measured.

    Raises:
        RuleError: `roads.unknown_parameter`.

    Example:
        >>> motorcycle_units("car")
        3.4
    """
    measured = {row["key"]: row["motorcycle_units"] for row in tables.rows("vehicle_classes")}
    return float(measured[vehicle]) if measured.get(vehicle) else value("motorcycle_units", vehicle)


def subjects(name: str) -> tuple[str, ...]:
    """Every subject of a name, in file order: the vehicle classes with motorcycle units, say."""
    return tuple(row.subject for row in parameters().values() if row.name == name)
