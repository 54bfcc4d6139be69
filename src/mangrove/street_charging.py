# SPDX-License-Identifier: Apache-2.0
"""How vehicles charge, as `roads/roads.yaml` or a plan for streets says it.

Comes in: rows of `charging` as they were read from YAML. Goes out: modes of charging; what cannot be is a problem at its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mangrove.errors import Problem, RequestError, Where
from mangrove.street_words import measured, under
from mangrove.territory import cells
from mangrove.territory.schema import Key

if TYPE_CHECKING:
    from mangrove.traffic.charging import Mode

MODES = ("home", "work", "swap", "depot")
"""Ways to charge, see `traffic.charging`."""
CHARGING = (
    Key("mode", "how vehicles charge", cells.choice(MODES), required=True, options=MODES),
    Key("share", "part of the energy of its classes", cells.percentage, required=True),
    Key("power", "of a charger: `2 kW`", measured("kW"), required=True),
    Key("efficiency", "kWh driven per kWh charged: `85 %`", cells.percentage, required=True),
    Key("classes", "vehicle classes; left out: all electric ones", shape="list"),
    Key("zones", "ids of the zones of swap stations or depots", shape="list"),
    Key("delay", "between arrival or exchange and the begin of charging: `2 h`", measured("h")),
    Key("energy", "of one charge: `1.5 kWh`; left out: what a vehicle uses in a day", measured("kWh")),
    Key("source", "where the numbers come from", required=True),
)


def modes_of(
    rows: Sequence[Mapping[str, Any]], places: Mapping[Any, Where], problems: list[Problem]
) -> tuple[Mode, ...]:
    """Modes of charging of the rows of `CHARGING` in a file; what cannot be is a problem at its place."""
    from mangrove.traffic.charging import Mode

    found = []
    for number, row in enumerate(rows):
        if None in (row["mode"], row["share"], row["power"], row["efficiency"]):
            continue  # refused already
        try:
            found.append(
                Mode(
                    row["mode"], row["share"], row["power"], row["efficiency"], tuple(row["classes"] or ()), tuple(row["zones"] or ()),
                    row["delay"] or 0.0, row["energy"], row["source"] or "",
                )
            )  # fmt: skip
        except RequestError as error:
            key = str(error.problem.data["key"]).partition("/")[2]
            here = under(places, "charging", number)
            where = here.get(key) or here.get("mode")
            problems.append(Problem(error.code, error.problem.data, where))
    return tuple(found)
