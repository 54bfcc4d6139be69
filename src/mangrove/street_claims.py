# SPDX-License-Identifier: Apache-2.0
"""What the proposal of a plan for streets claims, as the file of the plan says it.

Comes in: rows of `claims` as they were read from YAML. Goes out: claims that can be judged; what cannot is a problem at its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mangrove.errors import MangroveError, Problem, Where
from mangrove.street_words import measured, part, under
from mangrove.territory import cells
from mangrove.territory.schema import Key

if TYPE_CHECKING:
    from mangrove.plan.traffic.claims import Claim

CLAIM = (
    Key("id", "unique key", cells.identifier, required=True),
    Key("class", "vehicle class", required=True),
    Key("vehicles", "how many", cells.not_negative),
    Key("avoided", "what they avoid in a year: `60000 t`", measured("t")),
    Key("pollutant", "of what", default="CO2"),
    Key("distance", "what each drives in a year, if the claim says so: `12000 km`", measured("km")),
    Key("electricity", "what they use in a year: `18 GWh`", measured("kWh")),
    Key("fleet", "vehicles of which these are a share", cells.not_negative),
    Key("share", "that share: `30 %`", part),
    Key("line", "length of a new line: `19.7 km`", measured("km")),
    Key("trips", "trips a day that it takes off the road", cells.not_negative),
    Key("trip", "length of such a trip: `8 km`", measured("km")),
    Key("occupancy", "persons in a vehicle, if the claim says so", cells.not_negative),
    Key("source", "who says so", required=True),
)


def claims_of(
    rows: Sequence[Mapping[str, Any]], places: Mapping[Any, Where], problems: list[Problem]
) -> tuple[Claim, ...]:
    """Claims of the rows of `CLAIM` in a file; what cannot be judged is a problem at its place."""
    return tuple(_claim(row, under(places, "claims", number), problems) for number, row in enumerate(rows))


def _claim(row: Mapping[str, Any], here: Mapping[Any, Where], problems: list[Problem]) -> Claim:
    """One claim."""
    from mangrove.plan.traffic.claims import Claim, judged

    claim = Claim(
        row["id"], row["class"], row["vehicles"], row["avoided"], row["pollutant"], row["distance"], row["source"],
        row["electricity"], row["fleet"], row["share"], row["line"], row["trips"], row["trip"], row["occupancy"],
    )  # fmt: skip
    try:
        judged(claim)
    except MangroveError as error:
        about = {"vehicles.unknown_class": "class", "vehicles.unknown_pollutant": "pollutant"}
        where = here.get(about.get(error.code, "id"))
        problems.append(Problem(error.code, error.problem.data, where))
    return claim
