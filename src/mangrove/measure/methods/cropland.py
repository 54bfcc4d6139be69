# SPDX-License-Identifier: Apache-2.0
"""Cropland: methane of flooded rice, nitrous oxide of nitrogen in soils, CO2 of lime and urea, burnt biomass."""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter, constant, fraction
from mangrove.measure.types import Term
from mangrove.units import unit

_AREA = unit("ha").dimension
_VOLATILE = {"synthetic": "frac_gasf", "organic": "frac_gasm"}
_AMENDMENT_EXPONENT = 0.59
"""Exponent of the scaling factor for organic amendments (IPCC 2006 Guidelines, Volume 4, Chapter 5, Eq 5.3)."""


def rice(ctx: Context) -> None:
    """Emits the methane of a rice season: baseline factor x scaling factors x days."""
    with ctx.part():
        place = f"{ctx.word('season')}/{ctx.word('region')}"
        baseline = ctx.activity or (f"rice/ef/{place}" if place != "/" else "rice/ef/default")
        days = [ctx.required("days", "day").term("t")] if ctx.amount.dimension == _AREA else []
        ctx.emit(
            "CH4",
            [
                *days,
                ctx.factor(baseline, "CH4").term("EFc"),
                ctx.tabled(f"rice/sfw/{ctx.required_word('water')}", "CH4").term("SFw"),
                ctx.tabled(f"rice/sfp/{ctx.word('pre_season', 'under_180_days')}", "CH4").term("SFp"),
                *_amendment(ctx, place),
            ],
        )


def _amendment(ctx: Context, place: str) -> list[Term]:
    """SFo = (1 + ROA x CFOA)^0.59 for a stated amendment; nothing when none is stated (IPCC 2006 V4 Ch5, Eq 5.3)."""
    kind = ctx.word("amendment")
    if not kind:
        return []
    rate = ctx.fact("amendment_rate", "t/ha", f"rice/roa/{place}", "CH4").to("t/ha")
    conversion = ctx.tabled(f"rice/cfoa/{kind}", "CH4").to("1")
    factor = (1.0 + rate.value * conversion.value) ** _AMENDMENT_EXPONENT
    note = f"(1 + {rate.value:g} t/ha x {conversion.value:g})^0.59: IPCC 2006 V4 Ch5 Eq 5.3"
    return [constant("SFo", factor, note)]


def managed_soils(ctx: Context) -> None:
    """Emits the N2O of nitrogen put on soils: direct, from volatilized and from leached nitrogen."""
    with ctx.part():
        content = ctx.declared("nitrogen_content", "1")
        nitrogen = [fraction(content, "N")] if content else []
        crop = ctx.word("crop")
        direct = ctx.activity or (f"soils/n2o/{crop}" if crop else "soils/n2o/ef1")
        ctx.emit("N2O", [*nitrogen, ctx.factor(direct, "N2O").term("EF1")])
        for share, factor in ((_volatilized, "ef4"), (_leached, "ef5")):
            with ctx.part():
                ctx.emit(
                    "N2O",
                    [*nitrogen, share(ctx), ctx.factor(f"soils/n2o/{factor}", "N2O").term(factor.upper())],
                )


def _volatilized(ctx: Context) -> Term:
    """FracGASF or FracGASM, by the source of the nitrogen."""
    source = ctx.required_word("nitrogen_source")
    if source not in _VOLATILE:
        raise MissingFactError(
            "methods.bad_parameter", parameter="nitrogen_source", text=source, expected=", ".join(_VOLATILE)
        )
    return fraction(ctx.tabled(f"soils/n2o/{_VOLATILE[source]}"), "FracGAS")


def _leached(ctx: Context) -> Term:
    return fraction(ctx.fact("leached_share", "1", "soils/n2o/frac_leach"), "FracLEACH")


def soil_carbonates(ctx: Context) -> None:
    """Emits the CO2 of lime or urea put on soils."""
    with ctx.part():
        code = ctx.flow.carrier.code
        activity = ctx.activity or ("soils/urea" if code == "urea" else f"soils/liming/{code}")
        ctx.emit("CO2", [ctx.factor(activity, "CO2").term("EF")])


def biomass_burning(ctx: Context) -> None:
    """Emits the CH4 and N2O of biomass burnt in the field; its CO2 is balanced by regrowth and stands nowhere."""
    with ctx.part():
        kind = ctx.activity.rsplit("/", 1)[-1] or ctx.required_word("vegetation")
        terms: list[Term] = []
        if ctx.amount.dimension == _AREA:
            terms.append(ctx.required("fuel_load", "t/ha").term("MB"))
        if kind == "forest":
            factor = ctx.fact("combustion_factor", "1", "land/burning/forest/combustion_factor")
            terms.append(fraction(factor, "Cf"))
        elif ctx.amount.dimension == _AREA:
            terms.append(fraction(ctx.required("combustion_factor", "1"), "Cf"))
        for gas in ("CH4", "N2O"):
            ctx.emit(gas, [*terms, ctx.factor(f"land/burning/{kind}", gas).term("Gef")])


_SOURCE = "IPCC 2006 Guidelines, Volume 4, Chapter"
_DECISION = "Decision 2626/QD-BTNMT, Appendix III, items"

METHODS = (
    Method(
        name="rice",
        version="1",
        title_en="Rice cultivation",
        title_vi="Canh tác lúa",
        equation="E = A × t × EFc × SFw × SFp × SFo;  SFo = (1 + ROA × CFOA)^0.59",
        units="A: area harvested (ha) per season, or ha*day",
        source=f"{_SOURCE} 5, Eq 5.1 to 5.3; {_DECISION} 3.31 to 3.53",
        carriers=("cropland:rice",),
        parameters=(
            Parameter("water", "text", "Water regime in the activity key: continuous, single_aeration, multiple_aeration, rainfed, upland, ...", "Chế độ nước trong khóa hoạt động: continuous, single_aeration, multiple_aeration, rainfed, upland, ...", required=True),
            Parameter("days", "day", "t: days of cultivation; needed when the flow is an area", "t: số ngày canh tác; cần khi dòng là diện tích"),
            Parameter("season", "text", "winter_spring, summer_autumn or autumn_winter; the general factor when absent", "winter_spring (đông xuân), summer_autumn (hè thu, mùa) hoặc autumn_winter (thu đông); mặc định dùng hệ số chung"),
            Parameter("region", "text", "north, central or south; stated with season", "north, central hoặc south; khai cùng season"),
            Parameter("pre_season", "text", "Water before the season: under_180_days (when absent), over_180_days, flooded", "Nước trước vụ: under_180_days (mặc định), over_180_days, flooded"),
            Parameter("amendment", "text", "Organic amendment in the activity key (straw_under_30_days, compost, ...); none when absent", "Bổ sung hữu cơ trong khóa hoạt động (straw_under_30_days, compost, ...); mặc định là không"),
            Parameter("amendment_rate", "t/ha", "ROA: dry straw, or wet other amendments", "ROA: rơm khô, hoặc chất hữu cơ khác theo khối lượng ướt"),
        ),
        function=rice,
    ),
    Method(
        name="managed_soils",
        version="1",
        title_en="Nitrogen on managed soils",
        title_vi="Nitơ bón vào đất canh tác",
        equation="E[N2O] = A × N × (EF1 + FracGAS × EF4 + FracLEACH × EF5)",
        units="A: nitrogen (kg), or fertilizer (kg, t) with nitrogen_content",
        source=f"{_SOURCE} 11, Eq 11.1, 11.9 and 11.10; {_DECISION} 3.11 to 3.30",
        carriers=(),
        parameters=(
            Parameter("nitrogen_source", "text", "synthetic or organic", "synthetic (phân khoáng) hoặc organic (phân hữu cơ)", required=True),
            Parameter("nitrogen_content", "1", "N: nitrogen in the fertilizer; 1 when absent", "N: tỷ lệ nitơ trong phân; mặc định bằng 1"),
            Parameter("crop", "text", "Crop in the activity key, for a factor of its own (maize, coffee, rice/winter_spring/south)", "Cây trồng trong khóa hoạt động nếu có hệ số riêng (maize, coffee, rice/winter_spring/south)"),
            Parameter("leached_share", "1", "FracLEACH: share of the nitrogen lost by leaching", "FracLEACH: tỷ lệ nitơ bị rửa trôi"),
        ),
        function=managed_soils,
    ),
    Method(
        name="soil_carbonates",
        version="1",
        title_en="Lime and urea on soils",
        title_vi="Bón vôi và urê cho đất",
        equation="E[CO2] = A × EF",
        units="A: limestone, dolomite or urea (t, kg)",
        source=f"{_SOURCE} 11, Eq 11.12 and 11.13; {_DECISION} 3.8 to 3.10",
        carriers=(),
        parameters=(),
        function=soil_carbonates,
    ),
    Method(
        name="biomass_burning",
        version="1",
        title_en="Biomass burnt in the field",
        title_vi="Đốt sinh khối ngoài đồng",
        equation="E[gas] = A × MB × Cf × Gef[gas]",
        units="A: area (ha) with fuel_load, or dry matter burnt (t, kg)",
        source=f"{_SOURCE} 2, Eq 2.27; {_DECISION} 3.1 to 3.7",
        carriers=(),
        parameters=(
            Parameter("vegetation", "text", "crop_residues, grassland or forest; needed without an activity key", "crop_residues, grassland hoặc forest; cần khi không có khóa hoạt động"),
            Parameter("fuel_load", "t/ha", "MB: dry matter per area; needed when the flow is an area", "MB: chất khô trên diện tích; cần khi dòng là diện tích"),
            Parameter("combustion_factor", "1", "Cf: share that burns; needed for an area other than forest", "Cf: tỷ lệ cháy; cần khi dòng là diện tích không phải rừng"),
        ),
        function=biomass_burning,
    ),
)  # fmt: skip
