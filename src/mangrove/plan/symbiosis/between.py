# SPDX-License-Identifier: Apache-2.0
"""Which declared assets may stand between an offer and a need: treatment of water, and heat pumps.

Comes in: assets of a territory. Goes out: `Unit`s; those with a `max_capacity` are candidates that cost an annuity. What leaves a unit is known before anything is mixed in it, so that the program stays
linear: a fixed outlet, or what a removal ratio leaves of each offer by itself, which must then meet the need by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from mangrove.network.assets import KINDS
from mangrove.network.assets.base import Price, annuity, read
from mangrove.network.assets.heat_pump import QUALITY, cop
from mangrove.plan.symbiosis.model import MONTHS, Unit
from mangrove.territory.model import Asset, Carrier
from mangrove.text import fold
from mangrove.units import Quantity

HOURS = 8766.0 / MONTHS
"""Hours of a month: the twelfth part of a mean year of 365.25 days, as wherever rates are told by month."""
_WATERS = ("water", "wastewater")
UNIT_KINDS = ("water_treatment", "heat_pump")
"""Types of assets that may be such a unit."""


def units(assets: Mapping[str, Asset], discount: float = 0.0) -> tuple[Unit, ...]:
    """The treatment units with a capacity and outlets or removals, and the heat pumps with a declared source of heat.

    Args:
        assets: by id, as declared.
        discount: yearly rate at which the investment of candidates becomes an annuity over their life; 0 spreads it evenly.

    Raises:
        DeclarationError: a candidate does not say what it costs and how long it lives.

    Example:
        >>> size = Quantity.parse("10 m3/h")
        >>> plant = Asset("ro", "works", "water_treatment", {"capacity": size, "outlets": "COD=5 mg/L, TSS=2 mg/L"})
        >>> made = units({"ro": plant})[0]
        >>> made.capacity, str(made.outlet["cod"]), made.removal
        (7305.0, '5 mg/L', {})
    """
    for one in assets.values():
        if one.type in UNIT_KINDS and is_candidate(one):
            read(one, KINDS[one.type])
    return tuple(_made(assets, annuity(discount)))


def is_candidate(one: Asset) -> bool:
    """Whether an asset is to be built or widened: its largest capacity is declared, as wherever a size is a choice."""
    return "max_capacity" in one.parameters


def _made(assets: Mapping[str, Asset], price: Price) -> Iterator[Unit]:
    for one in assets.values():
        if one.type == "water_treatment":
            yield from _treatment(one, price)
        elif one.type == "heat_pump" and isinstance(one.parameters.get("source"), str):
            yield from _heat_pump(one, price)


def _choice(one: Asset, price: Price, rate: str, scale: float) -> dict[str, float]:
    """`most`, `price` and `fixed` of a candidate; `rate` is the unit of its capacity, of which `scale` are one a month."""
    if not is_candidate(one):
        return {}
    life = _number(one, "life", "yr") or math.inf
    money = rate.removesuffix("/h")
    per = f"VND*h/{money}" if rate.endswith("/h") else f"VND/{rate}"
    sized = price(_number(one, "cost", per), _number(one, "om", f"{per}/yr"), life)
    once = price(_number(one, "cost_fixed", "VND"), 0.0, life)
    return {"most": _number(one, "max_capacity", rate) * scale, "price": sized / scale, "fixed": once}


def _treatment(one: Asset, price: Price) -> Iterator[Unit]:
    """A unit of water; without outlets and removals nobody knows whose limits it meets, so it is none."""
    outlet, removal = (
        _pairs(one, "outlets"),
        {name: share.to("1") for name, share in _pairs(one, "removals").items()},
    )
    capacity = _number(one, "capacity", "m3/h")
    if (capacity or _number(one, "max_capacity", "m3/h")) and (outlet or removal):
        yield Unit(
            one.id, one.place, _WATERS, _WATERS, "m3", capacity * HOURS, _number(one, "recovery", "1") or 1.0,
            _number(one, "consumption", "kWh/m3"), _number(one, "variable_cost", "VND/m3"), outlet, removal, name=one.name,
            **_choice(one, price, "m3/h", HOURS),
        )  # fmt: skip


def _pairs(one: Asset, name: str) -> dict[str, Quantity]:
    """`COD=30 mg/L, TSS=10 mg/L` as quantities by folded name."""
    text = one.parameters.get(name)
    parts = [part.partition("=") for part in text.split(",")] if isinstance(text, str) else []
    return {fold(word): Quantity.parse(value) for word, _, value in parts if value.strip()}


def _heat_pump(one: Asset, price: Price) -> Iterator[Unit]:
    """A unit of heat: of one MWh of source heat leave COP / (COP - 1), with 1 / COP of electricity in each."""
    capacity, hot, cold = (
        _number(one, name, unit) for name, unit in (("capacity", "kW"), ("hot", "degC"), ("cold", "degC"))
    )
    if not (capacity or _number(one, "max_capacity", "kW")) or not hot:
        return
    gain = _number(one, "cop", "1") or float(cop(hot, cold, _number(one, "quality", "1") or QUALITY))
    if gain <= 1.0:
        return
    source = Carrier.parse(str(one.parameters["source"]))
    yield Unit(
        one.id, one.place, (source.kind,), ("heat",), "MWh", capacity * HOURS / 1000.0, gain / (gain - 1.0), 1000.0 / gain,
        _number(one, "variable_cost", "VND/MWh"), {}, {}, hot, cold or None, name=one.name,
        **_choice(one, price, "kW", HOURS / 1000.0),
    )  # fmt: skip


def _number(one: Asset, name: str, unit: str) -> float:
    """A parameter of an asset in `unit`; 0 when it is not declared or counts something else."""
    value = one.parameters.get(name)
    known = isinstance(value, Quantity) and value.unit.converts_to(unit)
    return value.to(unit) if known and isinstance(value, Quantity) else 0.0
