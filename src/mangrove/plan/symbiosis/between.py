# SPDX-License-Identifier: Apache-2.0
"""Which declared assets may stand between an offer and a need: treatment of water, and heat pumps.

Comes in: assets of a territory. Goes out: `Unit`s. What leaves a unit is known before anything is mixed in it, so that the program stays
linear: a fixed outlet, or what a removal ratio leaves of each offer by itself, which must then meet the need by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mangrove.network.assets.heat_pump import QUALITY, cop
from mangrove.plan.symbiosis.model import MONTHS, Unit
from mangrove.territory.model import Asset, Carrier
from mangrove.text import fold
from mangrove.units import Quantity

_HOURS = 8766.0 / MONTHS
_WATERS = ("water", "wastewater")


def units(assets: Mapping[str, Asset]) -> tuple[Unit, ...]:
    """The treatment units with a capacity and outlets or removals, and the heat pumps with a declared source of heat.

    Example:
        >>> size = Quantity.parse("10 m3/h")
        >>> plant = Asset("ro", "works", "water_treatment", {"capacity": size, "outlets": "COD=5 mg/L, TSS=2 mg/L"})
        >>> made = units({"ro": plant})[0]
        >>> made.capacity, str(made.outlet["cod"]), made.removal
        (7305.0, '5 mg/L', {})
    """
    return tuple(_made(assets))


def _made(assets: Mapping[str, Asset]) -> Iterator[Unit]:
    for one in assets.values():
        if one.type == "water_treatment":
            yield from _treatment(one)
        elif one.type == "heat_pump" and isinstance(one.parameters.get("source"), str):
            yield from _heat_pump(one)


def _treatment(one: Asset) -> Iterator[Unit]:
    """A unit of water; without outlets and removals nobody knows whose limits it meets, so it is none."""
    outlet, removal = (
        _pairs(one, "outlets"),
        {name: share.to("1") for name, share in _pairs(one, "removals").items()},
    )
    capacity = _number(one, "capacity", "m3/h") or _number(one, "max_capacity", "m3/h")
    if capacity and (outlet or removal):
        yield Unit(
            one.id, one.place, _WATERS, _WATERS, "m3", capacity * _HOURS, _number(one, "recovery", "1") or 1.0,
            _number(one, "consumption", "kWh/m3"), _number(one, "variable_cost", "VND/m3"), outlet, removal,
        )  # fmt: skip


def _pairs(one: Asset, name: str) -> dict[str, Quantity]:
    """`COD=30 mg/L, TSS=10 mg/L` as quantities by folded name."""
    text = one.parameters.get(name)
    parts = [part.partition("=") for part in text.split(",")] if isinstance(text, str) else []
    return {fold(word): Quantity.parse(value) for word, _, value in parts if value.strip()}


def _heat_pump(one: Asset) -> Iterator[Unit]:
    """A unit of heat: of one MWh of source heat leave COP / (COP - 1), with 1 / COP of electricity in each."""
    capacity, hot, cold = (
        _number(one, name, unit) for name, unit in (("capacity", "kW"), ("hot", "degC"), ("cold", "degC"))
    )
    if not capacity or not hot:
        return
    gain = _number(one, "cop", "1") or float(cop(hot, cold, _number(one, "quality", "1") or QUALITY))
    if gain <= 1.0:
        return
    source = Carrier.parse(str(one.parameters["source"]))
    yield Unit(
        one.id, one.place, (source.kind,), ("heat",), "MWh", capacity * _HOURS / 1000.0, gain / (gain - 1.0), 1000.0 / gain,
        _number(one, "variable_cost", "VND/MWh"), {}, {}, hot, cold or None,
    )  # fmt: skip


def _number(one: Asset, name: str, unit: str) -> float:
    """A parameter of an asset in `unit`; 0 when it is not declared or counts something else."""
    value = one.parameters.get(name)
    known = isinstance(value, Quantity) and value.unit.converts_to(unit)
    return value.to(unit) if known and isinstance(value, Quantity) else 0.0
