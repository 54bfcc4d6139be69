# SPDX-License-Identifier: Apache-2.0
"""Livestock: methane of digestion, methane and nitrous oxide of manure.

A herd is a standing stock: `head` with semantics `state` (the engine multiplies by the hours), or with semantics `sum` and a
step (heads counted once a step, over its length). A year of factors has 365.25 days.
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter, counted_time, fraction
from mangrove.measure.methods.fugitive import CH4_DENSITY
from mangrove.measure.types import Term

_NO_ENTERIC = frozenset({"poultry"})
"""Animals for which the IPCC has no enteric factor (2006 Guidelines, Volume 4, Table 10.10)."""


def livestock(ctx: Context) -> None:
    """Emits digestion and manure of the herd."""
    enteric_fermentation(ctx)
    manure_management(ctx)


def enteric_fermentation(ctx: Context) -> None:
    """Emits the methane of digestion."""
    with ctx.part():
        animal = _animal(ctx)
        if animal not in _NO_ENTERIC:
            ctx.emit("CH4", [*counted_time(ctx), ctx.factor(f"livestock/enteric/{animal}", "CH4").term("EF")])


def manure_management(ctx: Context) -> None:
    """Emits the methane and the direct nitrous oxide of manure in one management system."""
    with ctx.part():
        solids = _excreted(ctx, "vs", "CH4", "VS")
        correction = f"{ctx.required_word('manure_system')}/{ctx.required_word('climate')}"
        ctx.emit(
            "CH4",
            [
                *solids,
                ctx.fact("bo", "m3/kg", f"livestock/manure/bo/{_animal(ctx)}", "CH4").term("B0"),
                ctx.tabled(CH4_DENSITY, "CH4").term("rho"),
                fraction(ctx.fact("mcf", "1", f"livestock/manure/mcf/{correction}", "CH4"), "MCF"),
            ],
        )
    with ctx.part():
        nitrogen = _excreted(ctx, "nex", "N2O", "Nex")
        factor = ctx.factor(f"livestock/manure/ef3/{ctx.required_word('manure_system')}", "N2O")
        ctx.emit("N2O", [*nitrogen, factor.term("EF3")])


def _animal(ctx: Context) -> str:
    animal = ctx.activity.rsplit("/", 1)[-1] or ctx.flow.carrier.code
    if not animal:
        raise MissingFactError("methods.needs_parameter", parameter="animal", expected="text")
    return animal


def _excreted(ctx: Context, what: str, gas: str, symbol: str) -> list[Term]:
    """Heads x time x animal mass x excretion per mass and day, of volatile solids or nitrogen."""
    terms = counted_time(ctx)
    share = ctx.declared("manure_share", "1")
    return [
        *terms,
        ctx.required("animal_mass", "kg/head").term("TAM"),
        ctx.fact(what, "kg/kg/day", f"livestock/manure/{what}/{_animal(ctx)}", gas).term(symbol),
        *([fraction(share, "MS")] if share else []),
    ]


_MANURE = (
    Parameter("manure_system", "text", "Manure management in the activity key: composting, aerobic, deep_bedding, digester, pasture", "Hệ thống quản lý phân trong khóa hoạt động: composting, aerobic, deep_bedding, digester, pasture", required=True),
    Parameter("climate", "text", "temperate (15 to 25 degC) or warm (above 25 degC)", "temperate (15 đến 25 °C) hoặc warm (trên 25 °C)", required=True),
    Parameter("animal_mass", "kg/head", "TAM: mean mass of one animal", "TAM: khối lượng trung bình một con", required=True),
    Parameter("manure_share", "1", "MS: share of the manure in this system; all of it when absent", "MS: tỷ lệ phân vào hệ thống này; mặc định là toàn bộ"),
    Parameter("vs", "kg/kg/day", "VS: volatile solids excreted per animal mass and day", "VS: chất rắn bay hơi thải ra theo khối lượng vật nuôi và ngày"),
    Parameter("bo", "m3/kg", "B0: methane per volatile solids, at most", "B0: lượng metan tối đa trên chất rắn bay hơi"),
    Parameter("mcf", "1", "MCF: methane conversion factor of the system", "MCF: hệ số chuyển đổi metan của hệ thống"),
    Parameter("nex", "kg/kg/day", "Nex: nitrogen excreted per animal mass and day", "Nex: nitơ thải ra theo khối lượng vật nuôi và ngày"),
)  # fmt: skip
_UNITS = "A: animals (head) with semantics state, or sum with a step"
_SOURCE = "IPCC 2006 Guidelines, Volume 4, Chapter 10"

METHODS = (
    Method(
        name="livestock",
        version="1",
        title_en="Livestock: digestion and manure",
        title_vi="Chăn nuôi: lên men dạ cỏ và quản lý phân",
        equation="E[CH4] = A × EF + A × TAM × VS × MS × B0 × ρ × MCF;  E[N2O] = A × TAM × Nex × MS × EF3",
        units=_UNITS,
        source=f"{_SOURCE}, Eq 10.19, 10.23 and 10.25; Decision 2626/QD-BTNMT, Appendix III, items 1.1 to 1.45",
        carriers=("livestock",),
        parameters=_MANURE,
        function=livestock,
    ),
    Method(
        name="enteric_fermentation",
        version="1",
        title_en="Livestock: digestion",
        title_vi="Chăn nuôi: lên men dạ cỏ",
        equation="E[CH4] = A × EF",
        units=_UNITS,
        source=f"{_SOURCE}, Eq 10.19; Decision 2626/QD-BTNMT, Appendix III, items 1.1 to 1.7",
        carriers=(),
        parameters=(),
        function=enteric_fermentation,
    ),
    Method(
        name="manure_management",
        version="1",
        title_en="Livestock: manure",
        title_vi="Chăn nuôi: quản lý phân",
        equation="E[CH4] = A × TAM × VS × MS × B0 × ρ × MCF;  E[N2O] = A × TAM × Nex × MS × EF3",
        units=_UNITS,
        source=f"{_SOURCE}, Eq 10.23 and 10.25; Decision 2626/QD-BTNMT, Appendix III, items 1.8 to 1.45",
        carriers=(),
        parameters=_MANURE,
        function=manure_management,
    ),
)
