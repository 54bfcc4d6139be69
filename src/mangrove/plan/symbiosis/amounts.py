# SPDX-License-Identifier: Apache-2.0
"""In which unit a party is counted, how many units of a need one unit of an offer is, and what they are worth.

Comes in: listings. Goes out: parties, and the ratio of a pair. An offer in t meets a need in m3 only by a density, one in MWh only by a
heating value; both are declared as parameters of the offer or the need, never assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mangrove.errors import Problem, RuleError
from mangrove.plan.symbiosis.model import MONTHS, Floats, Party
from mangrove.territory.model import Listing
from mangrove.units import Quantity, Unit

COUNTED = ("t", "m3", "MWh", "Nm3", "item")
"""Units in which offers and needs are counted, by dimension."""
_PER = {frozenset(("t", "m3")): ("density", "t/m3"), frozenset(("t", "MWh")): ("heating_value", "MWh/t")}


def counted(rate: Unit) -> str:
    """The unit in which amounts of a rate are counted; the rate's own without its time when it is none of the usual ones.

    Example:
        >>> from mangrove.units import unit
        >>> counted(unit("kWh/month")), counted(unit("kg/d"))
        ('MWh', 't')
    """
    for name in COUNTED:
        if rate.converts_to(f"{name}/yr"):
            return name
    return rate.text.rsplit("/", 1)[0]


def parties(
    listings: Sequence[Listing], *, used: Mapping[str, Floats], carbon: Mapping[str, float | None]
) -> tuple[tuple[Party, ...], list[Problem]]:
    """Listings with quantities as parties, less what runs already, and what people should know about them.

    Args:
        listings: offers, or needs; a service has no quantity and is left out.
        used: (12,) units a month that run already, by id.
        carbon: kg CO2e per unit of what happens without an exchange, by id.
    """
    found, notes = [], []
    for one in listings:
        if one.quantity is None:
            continue
        unit = counted(one.quantity.unit)
        declared = np.array(one.quantity.months(unit))
        taken = np.asarray(used.get(one.id, np.zeros(MONTHS)), dtype=float)
        worth, origin = _worth(one, unit)
        if not origin:
            notes.append(Problem(f"exchange.no_worth_{one.side}", {"id": one.id}, one.where, "note"))
        left = np.maximum(declared - taken, 0.0)
        found.append(Party(one, unit, left, declared, worth, origin, carbon.get(one.id)))
    return tuple(found), notes


def _worth(one: Listing, unit: str) -> tuple[float, str]:
    """VND per unit that a place is spared: its declared cost without an exchange, else what it asks or would pay.

    An offer asked at a price is worth that much to its place, so parting with it costs the price; one that pays its taker
    (a price below zero) is spared what it would pay.
    """
    if one.otherwise_cost is not None:
        return one.otherwise_cost.to(f"VND/{unit}"), "otherwise_cost"
    if one.price is not None:
        asked = one.price.to(f"VND/{unit}")
        return (-asked if one.side == "offer" else asked), "price"
    return 0.0, ""


def ratio(offer: Party, need: Party) -> float | None:
    """Units of the need per unit of the offer: 1, or by a declared density or heating value; None when nothing converts them.

    A need may say how much of it one unit replaces (`replaces=0.93 t/t`).
    """
    replaces = _declared(need.listing, "replaces", "1")
    scale = 1.0 if replaces is None else replaces
    if offer.unit == need.unit:
        return scale
    name, per = _PER.get(frozenset((offer.unit, need.unit)), ("", ""))
    if not name:
        return None
    value = next(
        (v for one in (offer, need) if (v := _declared(one.listing, name, per)) is not None and v > 0), None
    )
    if value is None:
        return None
    # density is t per m3 and the heating value MWh per t: multiplied when going to their numerator
    return scale * (value if need.unit == per.split("/")[0] else 1.0 / value)


def tonnes(party: Party) -> float | None:
    """Tonnes of a unit of the party, for trucks; None when it is a volume without a density."""
    if party.unit == "t":
        return 1.0
    return _declared(party.listing, "density", "t/m3") if party.unit == "m3" else None


def _declared(one: Listing, name: str, unit: str) -> float | None:
    """A parameter of a listing in `unit`; None when it is not declared or is a word."""
    value = one.parameters.get(name)
    if not isinstance(value, Quantity):
        return None
    if not value.unit.converts_to(unit):
        raise RuleError("base.unit_mismatch", where=one.where, text=str(value), target=unit)
    return value.to(unit)


def storage(party: Party) -> float:
    """Units that the place can keep from month to month (`storage=200 t`); 0 when none is declared."""
    return _declared(party.listing, "storage", party.unit) or 0.0
