# SPDX-License-Identifier: Apache-2.0
"""Waste that is burnt or treated biologically: incineration, open burning, composting, digestion.

Only the fossil carbon of burnt waste counts in the inventory; the rest of its CO2 goes to the memo account.
"""

from __future__ import annotations

from mangrove.measure.methods.base import (
    CO2_PER_C,
    Context,
    Given,
    Method,
    Parameter,
    complement,
    constant,
    fraction,
    mixture,
)


def incineration(ctx: Context) -> None:
    """Emits CO2 by the carbon of each kind of waste, and CH4 and N2O by the technology of the plant."""
    with ctx.part():
        _carbon(ctx, ctx.fact("oxidation", "1", "incineration/oxidation", "CO2"))
    for gas in ("CH4", "N2O"):
        with ctx.part():
            ctx.emit(gas, [ctx.factor(f"incineration/ef/{ctx.required_word('technology')}", gas).term("EF")])


def open_burning(ctx: Context) -> None:
    """Emits CO2 by the carbon of each kind of waste, and CH4 and N2O of burning in the open."""
    with ctx.part():
        _carbon(ctx, ctx.fact("oxidation", "1", "open_burning/oxidation", "CO2"))
    for gas in ("CH4", "N2O"):
        with ctx.part():
            ctx.emit(gas, [ctx.factor("open_burning/ef", gas).term("EF")])


def _carbon(ctx: Context, oxidized: Given) -> None:
    """CO2 of fossil carbon in the flow's account, of biological carbon as a memo."""
    for waste, share in mixture(ctx, "composition", ctx.flow.carrier.code):
        with ctx.part():
            terms = [
                *share,
                fraction(ctx.fact("dry_matter", "1", f"incineration/dry_matter/{waste}", "CO2"), "dm"),
                fraction(ctx.fact("carbon", "1", f"incineration/carbon/{waste}", "CO2"), "CF"),
            ]
            fossil = ctx.fact("fossil_carbon", "1", f"incineration/fossil_carbon/{waste}", "CO2")
            rest = [fraction(oxidized, "OF"), constant("44/12", CO2_PER_C, "CO2 per C")]
            ctx.emit("CO2", [*terms, fraction(fossil, "FCF"), *rest])
            ctx.emit("CO2", [*terms, complement(fossil, "1-FCF"), *rest], account="memo")


def composting(ctx: Context) -> None:
    """Emits the CH4 and N2O of composting."""
    for gas in ("CH4", "N2O"):
        with ctx.part():
            ctx.emit(gas, [ctx.factor(f"biological/composting/{ctx.word('basis', 'wet')}", gas).term("EF")])


def anaerobic_digestion(ctx: Context) -> None:
    """Emits the CH4 that leaks from digesters; their N2O is printed as negligible, without a number."""
    with ctx.part():
        factor = ctx.factor(f"biological/digestion/{ctx.word('basis', 'wet')}", "CH4")
        recovered = ctx.declared("recovered_share", "1")
        ctx.emit("CH4", [factor.term("EF"), *([complement(recovered, "1-R")] if recovered else [])])


_BURNT = (
    Parameter(
        "composition",
        "text",
        "Kinds of waste with shares of wet mass: 'plastics 20 % + food 80 %'; the code of the carrier when absent",
        "Thành phần theo khối lượng ướt: 'plastics 20 % + food 80 %'; mặc định là mã của dòng",
    ),
    Parameter("dry_matter", "1", "dm: dry matter of the waste", "dm: tỷ lệ chất khô"),
    Parameter("carbon", "1", "CF: carbon in dry matter", "CF: tỷ lệ carbon trong chất khô"),
    Parameter("fossil_carbon", "1", "FCF: fossil share of the carbon", "FCF: tỷ lệ carbon hóa thạch"),
    Parameter("oxidation", "1", "OF: share of the carbon oxidized", "OF: tỷ lệ carbon bị oxy hóa"),
)
_BASIS = Parameter(
    "basis",
    "text",
    "'wet' (when absent) or 'dry': mass basis of the waste",
    "'wet' (mặc định) hoặc 'dry': khối lượng tính theo ướt hay khô",
)
_SOURCE = "IPCC 2006 Guidelines, Volume 5, Chapter"

METHODS = (
    Method(
        name="incineration",
        version="1",
        title_en="Waste incineration",
        title_vi="Đốt chất thải trong lò",
        equation="E[CO2] = W × Σ share × dm × CF × FCF × OF × 44/12;  E[CH4, N2O] = W × EF",
        units="W: wet waste burnt (t, kg)",
        source=f"{_SOURCE} 5, Eq 5.1, 5.2, 5.4 and 5.5; Decision 2626/QD-BTNMT, Appendix IV, items 3.1 to 3.22",
        carriers=(),
        parameters=(Parameter("technology", "text", "Technology in the activity key: continuous_stoker, batch_fluidised, ...", "Công nghệ trong khóa hoạt động: continuous_stoker, batch_fluidised, ...", required=True), *_BURNT),
        function=incineration,
    ),
    Method(
        name="open_burning",
        version="1",
        title_en="Open burning of waste",
        title_vi="Đốt chất thải lộ thiên",
        equation="E[CO2] = W × Σ share × dm × CF × FCF × OF × 44/12;  E[CH4, N2O] = W × EF",
        units="W: wet waste burnt (t, kg)",
        source=f"{_SOURCE} 5, Eq 5.1, 5.2, 5.4 and 5.5; Decision 2626/QD-BTNMT, Appendix IV, items 3.1 to 3.19 and 3.23 to 3.25",
        carriers=(),
        parameters=_BURNT,
        function=open_burning,
    ),
    Method(
        name="composting",
        version="1",
        title_en="Composting",
        title_vi="Ủ phân compost",
        equation="E[gas] = W × EF[gas]",
        units="W: organic waste treated (t, kg)",
        source=f"{_SOURCE} 4, Eq 4.1 and 4.2; Decision 2626/QD-BTNMT, Appendix IV, items 2.1 to 2.4",
        carriers=(),
        parameters=(_BASIS,),
        function=composting,
    ),
    Method(
        name="anaerobic_digestion",
        version="1",
        title_en="Anaerobic digestion at biogas plants",
        title_vi="Phân hủy kỵ khí tại công trình khí sinh học",
        equation="E[CH4] = W × EF × (1 − R)",
        units="W: organic waste treated (t, kg)",
        source=f"{_SOURCE} 4, Eq 4.1; Decision 2626/QD-BTNMT, Appendix IV, items 2.5 to 2.8",
        carriers=(),
        parameters=(_BASIS, Parameter("recovered_share", "1", "R: share of the leaked methane that is recovered", "R: tỷ lệ metan rò rỉ được thu hồi")),
        function=anaerobic_digestion,
    ),
)  # fmt: skip
