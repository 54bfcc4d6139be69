# SPDX-License-Identifier: Apache-2.0
"""Purchased steam, heat and cooling: energy made from fuel or power outside the fence.

Steam arrives as a mass and needs its enthalpy; heat arrives as energy. Three mistakes that the printed formula of
Circular 38/2023 invites cannot be made here: Decision 334/QD-BCT divides by 10^9 (units do that here), an
efficiency of 85 % counts 0.85, and steam in t/h needs the hours.
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter, fraction, mixture
from mangrove.measure.methods.combustion import GASES, is_biogenic
from mangrove.measure.methods.electricity import GRID
from mangrove.measure.types import Term
from mangrove.units import unit

_ENERGY, _MASS = unit("J").dimension, unit("kg").dimension


def purchased_steam(ctx: Context) -> None:
    """Emits the gases of the fuels that made the steam or heat."""
    with ctx.part():
        supply = _supply(ctx)
        stated = ctx.declared("supplier_factor", "kg/kg" if _is_mass(ctx) else "kg/J")
        if stated:
            ctx.emit("CO2", [*supply, stated.term("EF")])
            return
        efficiency = fraction(ctx.required("boiler_efficiency", "1"), "eta", -1)
        if _is_mass(ctx):
            supply = [*supply, ctx.required("enthalpy", "kJ/kg").term("h")]
        fuels = _fuels(ctx)
    if ctx.gaps:
        return
    for fuel, share in fuels:
        activity = (
            ctx.activity
            if ctx.activity.startswith("combustion/")
            else f"combustion/{ctx.word('use', 'manufacturing')}/{fuel}"
        )
        for gas in GASES:
            with ctx.part():
                factor = ctx.factor(activity, gas)
                account = "memo" if gas == "CO2" and is_biogenic(ctx, fuel) else ""
                ctx.emit(gas, [*supply, *share, efficiency, factor.term("EF")], account=account)


def _is_mass(ctx: Context) -> bool:
    """Whether the flow is steam by mass or mass per time, rather than energy or power."""
    return ctx.flow.unit.dimension[0] == 1


def _supply(ctx: Context) -> list[Term]:
    """Nothing for an amount; the operating hours of one value for a rate that is declared as a sum (a nameplate t/h)."""
    if ctx.amount.dimension in (_ENERGY, _MASS):
        return []
    if (ctx.amount * unit("h")).dimension in (_ENERGY, _MASS):
        return [ctx.required("operating_hours", "h").term("hours")]
    raise MissingFactError("methods.wrong_unit", unit=ctx.flow.unit.text, expected="t, t/h, GJ, kWh")


def _fuels(ctx: Context) -> list[tuple[str, list[Term]]]:
    """The fuels of the boiler with their shares of its heat."""
    if ctx.activity.startswith("combustion/"):
        return [(ctx.activity.rsplit("/", 1)[-1], [])]
    return mixture(ctx, "fuel", "")


def purchased_cooling(ctx: Context) -> None:
    """Emits the grid electricity of the chillers that made the cooling."""
    with ctx.part():
        performance = ctx.required("cop", "1").term("COP", -1)
        factor = ctx.factor(ctx.activity or GRID, "CO2")
        ctx.emit("CO2", [performance, factor.term("EF")])


_USE = Parameter(
    "use",
    "text",
    "Sector of the boiler in the activity key; manufacturing when absent",
    "Lĩnh vực của lò hơi trong khóa hoạt động; mặc định là manufacturing",
)
_STEAM = (
    Parameter(
        "fuel",
        "text",
        "Fuel of the boiler, or shares: 'anthracite 60 % + wood 40 %'",
        "Nhiên liệu của lò hơi, hoặc tỷ lệ: 'anthracite 60 % + wood 40 %'",
    ),
    Parameter(
        "boiler_efficiency",
        "1",
        "Efficiency of the boiler (85 % counts 0.85); needed without supplier_factor",
        "Hiệu suất lò hơi (85 % tính là 0,85); cần khi không có supplier_factor",
    ),
    Parameter(
        "operating_hours",
        "h",
        "Hours per value, when a rate (t/h) is declared with semantics sum",
        "Số giờ vận hành mỗi giá trị, khi lưu lượng (t/h) khai là sum",
    ),
    Parameter(
        "supplier_factor",
        "kg/kg",
        "Factor stated by the seller with evidence, per mass or energy; replaces the formula",
        "Hệ số do bên bán cung cấp kèm minh chứng, theo khối lượng hoặc năng lượng; thay cho công thức",
    ),
    _USE,
)

METHODS = (
    Method(
        name="purchased_steam",
        version="1",
        title_en="Purchased steam",
        title_vi="Hơi nước mua ngoài",
        equation="E[gas] = A × h / η × EF_fuel[gas]",
        units="A: steam (t, kg), a mean rate (t/h) with semantics mean, or energy (GJ, kWh)",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 4, as corrected by Decision 334/QD-BCT (6/2/2025)",
        carriers=("steam",),
        parameters=(Parameter("enthalpy", "kJ/kg", "Specific enthalpy of the steam; needed when steam is a mass", "Enthalpy riêng của hơi; cần khi hơi tính theo khối lượng"), *_STEAM),
        function=purchased_steam,
    ),
    Method(
        name="purchased_heat",
        version="1",
        title_en="Purchased heat",
        title_vi="Nhiệt mua ngoài",
        equation="E[gas] = A / η × EF_fuel[gas]",
        units="A: heat (GJ, kWh, TJ), or a mean power (kW) with semantics mean",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 4; GHG Protocol Scope 2 Guidance (2015), Chapter 6",
        carriers=("heat",),
        parameters=_STEAM,
        function=purchased_steam,
    ),
    Method(
        name="purchased_cooling",
        version="1",
        title_en="Purchased cooling",
        title_vi="Lạnh mua ngoài",
        equation="E = A / COP × EF_grid",
        units="A: cooling (kWh, GJ, RT h), or a mean power (kW, RT) with semantics mean",
        source="GHG Protocol Scope 2 Guidance (2015), Chapter 6; coefficient of performance of the chillers",
        carriers=("cooling",),
        parameters=(Parameter("cop", "1", "Cooling delivered per electricity used (4.5 kWh/kWh)", "Lạnh cung cấp trên mỗi đơn vị điện tiêu thụ (4.5 kWh/kWh)", required=True),),
        function=purchased_cooling,
    ),
)  # fmt: skip
