# SPDX-License-Identifier: Apache-2.0
"""Land and carbon removal: growing forest, drained soils, captured CO2.

Removals are positive kilograms in the account `removal`; they never lessen the inventory silently.
"""

from __future__ import annotations

from mangrove.measure.methods.base import (
    CO2_PER_C,
    Context,
    Method,
    Parameter,
    constant,
    counted_time,
    fraction,
)
from mangrove.measure.types import Term

_CARBON = "land/forest/carbon_fraction"


def forest_growth(ctx: Context) -> None:
    """Emits the CO2 that growing forest takes up, in the account of removals."""
    with ctx.part():
        roots = ctx.declared("root_ratio", "1")
        below = (
            []
            if roots is None
            else [Term("1+R", 1.0 + roots.value, "1", origin="parameter", note="root_ratio")]
        )
        ctx.emit(
            "CO2",
            [
                *counted_time(ctx),
                *_increment(ctx),
                *below,
                fraction(ctx.fact("carbon_fraction", "1", _CARBON, "CO2"), "CF"),
                constant("44/12", CO2_PER_C, "CO2 per C"),
            ],
            account="removal",
        )


def _increment(ctx: Context) -> list[Term]:
    """Dry matter per area and year: stated, or a volume of wood times its conversion and expansion factor."""
    stated = ctx.declared("growth", "t/ha/yr")
    if stated:
        return [stated.term("G")]
    volume = ctx.required("increment", "m3/ha/yr")
    expansion = ctx.fact(
        "bcef", "t/m3", f"land/forest/bcef/{ctx.word('forest', ctx.flow.carrier.code)}", "CO2"
    )
    return [volume.term("Iv"), expansion.term("BCEF")]


def land_emission(ctx: Context) -> None:
    """Emits every gas that the source states for an area over time (drained organic soils)."""
    gases = ctx.gases(ctx.activity) if ctx.activity else ()
    if not gases:
        ctx.gap("methods.no_factor", activity=ctx.activity or "-", gas="-", day=ctx.start.isoformat())
    for gas in gases:
        with ctx.part():
            ctx.emit(gas, [*counted_time(ctx), ctx.factor(ctx.activity, gas).term("EF")])


def carbon_capture(ctx: Context) -> None:
    """Emits the CO2 that is captured and stays stored, in the account of removals."""
    with ctx.part():
        ctx.emit("CO2", [fraction(ctx.required("stored_share", "1"), "s")], account="removal")


METHODS = (
    Method(
        name="forest_growth",
        version="1",
        title_en="Carbon uptake of growing forest",
        title_vi="Hấp thụ carbon của rừng tăng trưởng",
        equation="removal = A × (G or Iv × BCEF) × (1 + R) × CF × 44/12",
        units="A: area (ha) with semantics state, or sum with a step",
        source="IPCC 2006 Guidelines, Volume 4, Chapter 2, Eq 2.9 and 2.10; Decision 2626/QD-BTNMT, Appendix III, items 2.1 to 2.5",
        carriers=("land:forest",),
        parameters=(
            Parameter("growth", "t/ha/yr", "G: dry matter grown above ground per area and year", "G: chất khô tăng trên mặt đất theo diện tích và năm"),
            Parameter("increment", "m3/ha/yr", "Iv: wood volume grown per area and year; needed without growth", "Iv: trữ lượng gỗ tăng theo diện tích và năm; cần khi không có growth"),
            Parameter("forest", "text", "Type of forest of BCEF in the activity key: natural_timber, bamboo, mixed, mangrove", "Loại rừng của BCEF trong khóa hoạt động: natural_timber, bamboo, mixed, mangrove"),
            Parameter("bcef", "t/m3", "BCEF: dry matter per wood volume", "BCEF: chất khô trên thể tích gỗ"),
            Parameter("root_ratio", "1", "R: mass below ground per mass above; above ground only when absent", "R: tỷ lệ sinh khối dưới/trên mặt đất; mặc định chỉ tính trên mặt đất"),
            Parameter("carbon_fraction", "1", "CF: carbon in dry matter", "CF: tỷ lệ carbon trong chất khô"),
        ),
        function=forest_growth,
    ),
    Method(
        name="land_emission",
        version="1",
        title_en="Emissions of an area of land",
        title_vi="Phát thải theo diện tích đất",
        equation="E[gas] = A × EF[gas]",
        units="A: area (ha) with semantics state, or sum with a step",
        source="IPCC 2006 Guidelines, Volume 4, Chapter 2, Eq 2.26; Decision 2626/QD-BTNMT, Appendix III, items 2.6, 2.11, 2.13, 3.27 and 3.28",
        carriers=(),
        parameters=(),
        function=land_emission,
    ),
    Method(
        name="carbon_capture",
        version="1",
        title_en="Captured and stored CO2",
        title_vi="CO2 thu giữ và lưu trữ",
        equation="removal = A × s",
        units="A: CO2 captured (t, kg)",
        source="Mass balance; IPCC 2006 Guidelines, Volume 2, Chapter 5",
        carriers=(),
        parameters=(Parameter("stored_share", "1", "s: share of the captured CO2 that stays stored", "s: tỷ lệ CO2 thu giữ được lưu trữ lâu dài", required=True),),
        function=carbon_capture,
    ),
)  # fmt: skip
