# SPDX-License-Identifier: Apache-2.0
"""Wastewater: methane from the organic load, nitrous oxide from the nitrogen of the effluent.

The flow may be a volume (with concentrations), a load (kg BOD, kg COD) or people (with loads per person and day).
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter, complement, fraction
from mangrove.measure.types import Term
from mangrove.units import unit

_EFFLUENT = "wastewater/domestic/ef_effluent"
_MASS, _VOLUME, _PEOPLE = unit("kg").dimension, unit("m3").dimension, (unit("person") * unit("day")).dimension


def domestic_wastewater(ctx: Context) -> None:
    """Emits the CH4 of the organic load (BOD) and the N2O of the effluent of households and services."""
    with ctx.part():
        ctx.emit("CH4", _methane(ctx, "domestic", "bod"))
    with ctx.part():
        effluent = ctx.declared("effluent_factor", "kg/kg") or ctx.factor(_EFFLUENT, "N2O")
        ctx.emit("N2O", [*_load(ctx, "nitrogen", itself=False), effluent.term("EF")])


def industrial_wastewater(ctx: Context) -> None:
    """Emits the CH4 of the organic load (COD) of industry."""
    with ctx.part():
        ctx.emit("CH4", _methane(ctx, "industrial", "cod"))


def _methane(ctx: Context, origin: str, organic: str) -> list[Term]:
    """Load x (1 - S) x B0 x MCF x (1 - R)."""
    sludge = ctx.declared("sludge_share", "1")
    recovered = ctx.declared("recovered_share", "1")
    correction = ctx.declared("mcf", "1")
    if correction is None:
        correction = ctx.tabled(f"wastewater/{origin}/mcf/{ctx.required_word('system')}", "CH4")
    return [
        *_load(ctx, organic, itself=True),
        *([complement(sludge, "1-S")] if sludge else []),
        ctx.fact("bo", "kg/kg", f"wastewater/{origin}/bo", "CH4").term("B0"),
        fraction(correction, "MCF"),
        *([complement(recovered, "1-R")] if recovered else []),
    ]


def _load(ctx: Context, substance: str, *, itself: bool) -> list[Term]:
    """What turns the amount into a mass of the substance.

    Args:
        ctx: the context.
        substance: name of the parameter: `bod`, `cod` or `nitrogen`.
        itself: whether a flow that is a mass measures this substance.
    """
    dimension = ctx.amount.dimension
    if dimension == _MASS:
        return [] if itself else [ctx.required(substance, "kg/kg").term(substance)]
    if dimension == _VOLUME:
        return [ctx.required(substance, "mg/L").term(substance)]
    if dimension == _PEOPLE:
        return [ctx.required(substance, "g/person/day").term(substance)]
    raise MissingFactError("methods.wrong_unit", unit=ctx.flow.unit.text, expected="m3, kg, person")


def _parameters(organic: str, system: str) -> tuple[Parameter, ...]:
    upper = organic.upper()
    return (
        Parameter(organic, "mg/L", f"{upper} of the water (per person and day for a flow of people); not for a flow that is a mass of {upper}", f"{upper} của nước thải (theo người và ngày nếu dòng là số người); không cần nếu dòng là khối lượng {upper}"),
        Parameter("system", "text", f"Treatment in the activity key: {system}; needed without mcf", f"Hệ thống xử lý trong khóa hoạt động: {system}; cần khi không có mcf"),
        Parameter("mcf", "1", "MCF: methane correction factor", "MCF: hệ số hiệu chỉnh metan"),
        Parameter("bo", "kg/kg", f"B0: methane per {upper}, at most", f"B0: lượng metan tối đa trên {upper}"),
        Parameter("sludge_share", "1", "S: share of the load removed with sludge; none when absent", "S: tỷ lệ tải lượng bị loại theo bùn; mặc định là không"),
        Parameter("recovered_share", "1", "R: share of the methane that is recovered; none when absent", "R: tỷ lệ metan thu hồi; mặc định là không"),
    )  # fmt: skip


METHODS = (
    Method(
        name="domestic_wastewater",
        version="1",
        title_en="Domestic wastewater",
        title_vi="Nước thải sinh hoạt",
        equation="E[CH4] = A × BOD × (1 − S) × B0 × MCF × (1 − R);  E[N2O] = A × N × EF",
        units="A: water (m3), organic load (kg BOD), or people (semantics state)",
        source="IPCC 2006 Guidelines, Volume 5, Chapter 6, Eq 6.1, 6.2 and 6.7; Decision 2626/QD-BTNMT, Appendix IV, items 4.1 to 4.5",
        carriers=("wastewater:domestic",),
        parameters=(
            *_parameters("bod", "aerobic, septic, untreated, ..."),
            Parameter("nitrogen", "mg/L", "Nitrogen of the effluent, in the same way as bod; N2O is a gap without it", "Nitơ trong nước thải sau xử lý, khai như bod; thiếu thì N2O để trống"),
            Parameter("effluent_factor", "kg/kg", "N2O (not N2O-N) per nitrogen of the effluent", "N2O (không phải N2O-N) trên nitơ trong nước thải"),
        ),
        function=domestic_wastewater,
    ),
    Method(
        name="industrial_wastewater",
        version="1",
        title_en="Industrial wastewater",
        title_vi="Nước thải công nghiệp",
        equation="E[CH4] = A × COD × (1 − S) × B0 × MCF × (1 − R)",
        units="A: water (m3), or organic load (kg COD)",
        source="IPCC 2006 Guidelines, Volume 5, Chapter 6, Eq 6.4 to 6.6; Decision 2626/QD-BTNMT, Appendix IV, items 4.6 to 4.10",
        carriers=("wastewater:industrial",),
        parameters=_parameters("cod", "aerobic, anaerobic_shallow, anaerobic_deep, untreated, ..."),
        function=industrial_wastewater,
    ),
)  # fmt: skip
