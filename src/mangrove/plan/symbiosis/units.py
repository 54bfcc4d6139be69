# SPDX-License-Identifier: Apache-2.0
"""Which declared assets may stand between an offer and a need: treatment of water, and heat pumps.

Comes in: assets of a territory. Goes out: `Unit`s. A unit has a fixed outlet: what leaves it has the declared quality (or temperature) whatever
went in, so that the program stays linear and nothing is promised that a mix would break.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mangrove.network.assets.heat_pump import QUALITY, cop
from mangrove.plan.symbiosis.model import MONTHS, Unit
from mangrove.territory.model import Asset, Carrier
from mangrove.text import fold
from mangrove.units import Quantity

TREATMENTS = ("water_treatment", "treatment", "regeneration")
OUTLET = "outlet_"
"""Beginning of the parameters that say what leaves a treatment unit: `outlet_COD=30 mg/L`."""
_HOURS = 8766.0 / MONTHS
_WATERS = ("water", "wastewater")


def units(assets: Mapping[str, Asset]) -> tuple[Unit, ...]:
    """The treatment units with a declared capacity and outlet, and the heat pumps with a declared source of heat.

    Example:
        >>> plant = Asset("ro", "works", "water_treatment", {"capacity": Quantity.parse("10 m3/h"), "outlet_COD": Quantity.parse("5 mg/L")})
        >>> made = units({"ro": plant})[0]
        >>> made.capacity, made.outlet
        (7305.0, {'cod': (5.0, 'mg/L')})
    """
    return tuple(_made(assets))


def _made(assets: Mapping[str, Asset]) -> Iterator[Unit]:
    for one in assets.values():
        if one.type in TREATMENTS:
            yield from _treatment(one)
        elif one.type == "heat_pump" and isinstance(one.parameters.get("source"), str):
            yield from _heat_pump(one)


def _treatment(one: Asset) -> Iterator[Unit]:
    """A unit of water; without an outlet nobody knows whose limits it meets, so it is none."""
    outlet = {
        fold(name.removeprefix(OUTLET)): (value.value, value.unit.text)
        for name, value in one.parameters.items()
        if name.startswith(OUTLET) and isinstance(value, Quantity)
    }
    capacity = _number(one, "capacity", "m3/h")
    if capacity and outlet:
        yield Unit(
            one.id, one.place, _WATERS, _WATERS, "m3", capacity * _HOURS, _number(one, "recovery", "1") or 1.0,
            _number(one, "consumption", "kWh/m3"), _number(one, "variable_cost", "VND/m3"), outlet,
        )  # fmt: skip


def _heat_pump(one: Asset) -> Iterator[Unit]:
    """A unit of heat: of one MWh of source heat leave COP / (COP - 1), with 1 / COP of electricity in each."""
    capacity, hot, cold = (_number(one, name, unit) for name, unit in (("capacity", "kW"), ("hot", "degC"), ("cold", "degC")))
    if not capacity or not hot:
        return
    gain = _number(one, "cop", "1") or float(cop(hot, cold, _number(one, "quality", "1") or QUALITY))
    if gain <= 1.0:
        return
    source = Carrier.parse(str(one.parameters["source"]))
    yield Unit(
        one.id, one.place, (source.kind,), ("heat",), "MWh", capacity * _HOURS / 1000.0, gain / (gain - 1.0), 1000.0 / gain,
        _number(one, "variable_cost", "VND/MWh"), {}, hot, cold or None,
    )  # fmt: skip


def _number(one: Asset, name: str, unit: str) -> float:
    """A parameter of an asset in `unit`; 0 when it is not declared or counts something else."""
    value = one.parameters.get(name)
    known = isinstance(value, Quantity) and value.unit.converts_to(unit)
    return value.to(unit) if known and isinstance(value, Quantity) else 0.0
