# SPDX-License-Identifier: Apache-2.0
"""Gases that escape: coal mines, oil and gas systems, captured methane that is burnt, direct releases.

Factors printed as a volume of methane become a mass with a density that is a fact of its own (0.67 kg/m3 at 20 degC and
1 atm); Circular 38/2023 prints that density in Gg/m3, but only kg/m3 gives tonnes.
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Given, Method, Parameter, complement, constant, fraction
from mangrove.measure.types import Term
from mangrove.units import unit

CH4_DENSITY = "fugitive/coal/density"
CO2_PER_CH4 = 44 / 16
"""Mass of CO2 per mass of methane burnt (Circular 38/2023/TT-BCT, Appendix II, formula 5.2)."""

_MASS, _VOLUME = unit("kg").dimension, unit("m3").dimension
_DENSITY = Parameter(
    "ch4_density",
    "kg/m3",
    "Density of methane at the conditions of the volume",
    "Khối lượng riêng của metan ở điều kiện đo thể tích",
)


def coal_mining(ctx: Context) -> None:
    """Emits the methane of mining and of handling after mining."""
    base = ctx.activity or f"fugitive/coal/{ctx.word('mine', ctx.flow.carrier.code)}"
    stages = (base,) if _is_stage(ctx, base) else (f"{base}/mining", f"{base}/post_mining")
    for activity in stages:
        with ctx.part():
            factor = ctx.factor(activity, "CH4")
            ctx.emit("CH4", [factor.term("EF"), *_to_mass(ctx, factor)])


def _is_stage(ctx: Context, activity: str) -> bool:
    return bool(ctx.gases(activity))


def _to_mass(ctx: Context, factor: Given) -> list[Term]:
    """The density of methane, when the factor counts volumes."""
    counted = (ctx.amount * factor.unit).dimension
    if counted != _VOLUME:
        return []
    return [ctx.fact("ch4_density", "kg/m3", CH4_DENSITY, "CH4").term("CF")]


def captured_methane(ctx: Context) -> None:
    """Emits the CO2 of captured methane that is burnt, and the methane that escapes the flame."""
    with ctx.part():
        amount = (
            []
            if ctx.amount.dimension == _MASS
            else [ctx.fact("ch4_density", "kg/m3", CH4_DENSITY, "CH4").term("CF")]
        )
        efficiency = ctx.required("combustion_efficiency", "1")
        burnt = fraction(efficiency, "CE")
        biogenic = ctx.word("origin") == "biogenic"
        ratio = constant("44/16", CO2_PER_CH4, "CO2 per CH4 burnt: Circular 38/2023, formula 5.2")
        ctx.emit("CO2", [*amount, burnt, ratio], account="memo" if biogenic else "")
        ctx.emit("CH4", [*amount, complement(efficiency, "1-CE")])


def fugitive_oil_gas(ctx: Context) -> None:
    """Emits every gas that the source states for leaks, venting or flaring of the flow's activity."""
    activity = ctx.activity or f"fugitive/{ctx.flow.carrier.code}"
    gases = ctx.gases(activity)
    if not gases:
        ctx.gap("methods.no_factor", activity=activity, gas="-", day=ctx.start.isoformat())
    for gas in gases:
        with ctx.part():
            ctx.emit(gas, [ctx.factor(activity, gas).term("EF")])


def direct_release(ctx: Context) -> None:
    """Emits the gas that the carrier names, as it escapes; `content` is its share in what is measured."""
    with ctx.part():
        gas = ctx.flow.carrier.code if ctx.flow.carrier.kind == "gas" else "CO2"
        if not gas:
            ctx.gap("methods.needs_gas")
            return
        content = ctx.declared("content", "1")
        terms = [fraction(content, "c")] if content else []
        if ctx.amount.dimension != _MASS:
            terms.append(_gas_density(ctx, gas).term("rho"))
        ctx.emit(gas, terms)


def _gas_density(ctx: Context, gas: str) -> Given:
    per = "kg/Nm3" if ctx.amount.dimension == unit("Nm3").dimension else "kg/m3"
    stated = ctx.declared("density", per)
    if stated or gas != "CH4" or per != "kg/m3":
        return stated or ctx.required("density", per)
    return ctx.tabled(CH4_DENSITY, "CH4")


METHODS = (
    Method(
        name="coal_mining",
        version="1",
        title_en="Methane from coal mining",
        title_vi="Metan từ khai thác than",
        equation="E = PQ × EF × CF",
        units="PQ: coal produced (t)",
        source="Circular 38/2023/TT-BCT, Appendix II, formulas 5.1 and 5.4; Decision 2626/QD-BTNMT, Appendix I, items 2.1 to 2.4",
        carriers=(),
        parameters=(Parameter("mine", "text", "Kind of mine: underground or surface", "Loại mỏ: underground (hầm lò) hoặc surface (lộ thiên)"), _DENSITY),
        function=coal_mining,
    ),
    Method(
        name="captured_methane",
        version="1",
        title_en="Captured methane that is burnt",
        title_vi="Metan thu hồi được đốt",
        equation="E[CO2] = AB × CF × CE × 44/16;  E[CH4] = AB × CF × (1 − CE)",
        units="AB: methane captured and burnt (m3, t, kg)",
        source="Circular 38/2023/TT-BCT, Appendix II, formulas 5.2 and 5.3",
        carriers=(),
        parameters=(
            Parameter("combustion_efficiency", "1", "Share of the methane that burns (98 % counts 0.98)", "Tỷ lệ metan cháy (98 % tính là 0,98)", required=True),
            _DENSITY,
            Parameter("origin", "text", "'biogenic' sends the CO2 to the memo account (landfill gas, biogas)", "'biogenic' đưa CO2 vào mục ghi nhớ (khí bãi rác, khí sinh học)"),
        ),
        function=captured_methane,
    ),
    Method(
        name="fugitive_oil_gas",
        version="1",
        title_en="Leaks, venting and flaring of oil and gas systems",
        title_vi="Rò rỉ, xả và đốt bỏ trong hệ thống dầu khí",
        equation="E[gas] = A × EF[gas]",
        units="A: oil produced (m3), gas produced or processed (m3), as the factor asks",
        source="IPCC 2006 Guidelines, Volume 2, Chapter 4, Eq 4.2.1; Decision 2626/QD-BTNMT, Appendix I, items 2.5 to 2.22",
        carriers=(),
        parameters=(),
        function=fugitive_oil_gas,
    ),
    Method(
        name="direct_release",
        version="1",
        title_en="Direct release of a gas",
        title_vi="Khí thải trực tiếp ra không khí",
        equation="E = A × c × ρ",
        units="A: what escapes (kg, t, m3, Nm3)",
        source="Mass balance: what escapes is emitted (IPCC 2006 Guidelines, Volume 2, Chapter 4, tier 3)",
        carriers=("gas",),
        parameters=(
            Parameter("content", "1", "Share of the gas in what is measured, by the unit of the flow; all of it when absent", "Tỷ lệ của khí trong lượng đo, theo đơn vị của dòng; mặc định là toàn bộ"),
            Parameter("density", "kg/m3", "Density of the gas, when the flow is a volume", "Khối lượng riêng của khí, khi dòng là thể tích"),
        ),
        function=direct_release,
    ),
)  # fmt: skip
