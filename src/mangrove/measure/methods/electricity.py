# SPDX-License-Identifier: Apache-2.0
"""Electricity: purchased from the grid in two views, lost in the network, generated, and sent out.

Location-based uses the factor of the grid; market-based uses what was contracted for the contracted share and the residual
mix for the rest. Both are written as parallel views of one flow and are never added to each other. Viet Nam publishes
no residual mix: without one the rest carries the grid factor, and the coefficient says so.
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Given, Method, MissingFactError, Parameter, fraction
from mangrove.measure.types import Term

GRID = "grid/vn"
_RESIDUAL = "grid/vn/residual"
_PER_KWH = "kg/kWh"


def _grid(ctx: Context) -> tuple[tuple[str, Given], ...]:
    """The grid factor of every gas that the source states (CO2 alone in Viet Nam)."""
    activity = ctx.activity or GRID
    return tuple((gas, ctx.factor(activity, gas)) for gas in ctx.gases(activity) or ("CO2",))


def grid_electricity(ctx: Context) -> None:
    """Emits the location-based and the market-based coefficients of purchased electricity."""
    with ctx.part():
        grid = _grid(ctx)
        for gas, factor in grid:
            ctx.emit(gas, [factor.term("EF")], view="location")
        _market(ctx, grid)


def _market(ctx: Context, grid: tuple[tuple[str, Given], ...]) -> None:
    """The market-based view: contracts, certificates, and the residual mix or the grid for what they leave."""
    covered, width = 0.0, 0.0
    for name in ("contract", "certificate"):
        share = ctx.declared(f"{name}_share", "1")
        if share is None:
            continue
        factor = ctx.required(f"{name}_factor", _PER_KWH)
        part = fraction(share, f"s_{name}")
        covered += share.value
        width += share.value * share.uncertainty
        ctx.emit("CO2", [part, factor.term(f"EF_{name}")], view="market")
    if covered > 1.0 + 1e-9:
        raise MissingFactError(
            "methods.not_a_fraction", parameter="contract_share + certificate_share", value=covered
        )
    rest = max(1.0 - covered, 0.0)
    if rest == 0.0:
        return
    terms = [
        Term(
            "1-s",
            rest,
            "1",
            origin="parameter",
            uncertainty=width / rest,
            shared=f"{ctx.flow.id}:1-s" if width else "",
        )
    ]
    shared = terms if covered else []
    residual = ctx.declared("residual_factor", _PER_KWH)
    if residual is None and ctx.gases(_RESIDUAL):
        residual = ctx.factor(_RESIDUAL, "CO2")
    if residual:
        ctx.emit("CO2", [*shared, residual.term("EF_residual")], view="market")
        return
    for gas, factor in grid:
        ctx.emit(gas, [*shared, factor.term("EF")], view="market", note="methods.no_residual_mix")


def grid_losses(ctx: Context) -> None:
    """Emits the losses of the network that belong to the electricity consumed."""
    with ctx.part():
        loss = fraction(ctx.required("loss_share", "1"), "l")
        for gas, factor in _grid(ctx):
            ctx.emit(gas, [loss, factor.term("EF")])


def own_generation(ctx: Context) -> None:
    """Emits nothing into the inventory; avoided emissions only against a stated counterfactual."""
    if not ctx.word("counterfactual"):
        return
    with ctx.part():
        if ctx.word("counterfactual") != "grid":
            factor = ctx.required("counterfactual", _PER_KWH)
            ctx.emit("CO2", [factor.term("EF_counterfactual")], account="avoided")
            return
        for gas, factor in _grid(ctx):
            ctx.emit(gas, [factor.term("EF_counterfactual")], account="avoided")


_COUNTERFACTUAL = Parameter(
    "counterfactual",
    "text",
    "What would have supplied the same energy: 'grid', or a factor such as '0.66 t/MWh'; without it nothing is avoided",
    "Nguồn lẽ ra đã cấp cùng lượng điện: 'grid' hoặc hệ số như '0.66 t/MWh'; không khai thì không tính phát thải tránh được",
)

METHODS = (
    Method(
        name="grid_electricity",
        version="1",
        title_en="Purchased electricity, location-based and market-based",
        title_vi="Điện mua từ lưới, theo vị trí và theo thị trường",
        equation="location: E = A × EF;  market: E = A × (s_contract × EF_contract + s_certificate × EF_certificate + (1 − s) × EF_residual)",
        units="A: electricity consumed (kWh, MWh), or a mean power (kW) with semantics mean",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 3; GHG Protocol Scope 2 Guidance (2015), Chapters 4 and 6",
        carriers=("electricity",),
        parameters=(
            Parameter("contract_share", "1", "Share of the electricity under a contract (PPA, DPPA)", "Tỷ lệ điện theo hợp đồng (PPA, DPPA)"),
            Parameter("contract_factor", _PER_KWH, "Factor of the contracted electricity; needed with its share", "Hệ số của điện theo hợp đồng; cần khi có tỷ lệ"),
            Parameter("certificate_share", "1", "Share covered by energy certificates", "Tỷ lệ điện có chứng chỉ năng lượng"),
            Parameter("certificate_factor", _PER_KWH, "Factor of the certificates; needed with their share", "Hệ số của chứng chỉ; cần khi có tỷ lệ"),
            Parameter("residual_factor", _PER_KWH, "Factor of the residual mix; Viet Nam publishes none", "Hệ số của cơ cấu điện còn lại; Việt Nam chưa công bố"),
        ),
        function=grid_electricity,
    ),
    Method(
        name="grid_losses",
        version="1",
        title_en="Losses of the electricity network",
        title_vi="Tổn thất trên lưới điện",
        equation="E = A × l × EF",
        units="A: electricity consumed (kWh, MWh)",
        source="GPC 1.1, section 6.3 (scope 3 of stationary energy)",
        carriers=(),
        parameters=(Parameter("loss_share", "1", "Losses as a share of the electricity consumed", "Tổn thất tính theo tỷ lệ điện tiêu thụ", required=True),),
        function=grid_losses,
    ),
    Method(
        name="own_generation",
        version="1",
        title_en="Electricity generated without fuel, used or sent out",
        title_vi="Điện tự sản xuất không dùng nhiên liệu, tự dùng hoặc đưa lên lưới",
        equation="inventory: none;  avoided: E = A × EF_counterfactual",
        units="A: electricity generated or sent out (kWh, MWh)",
        source="GHG Protocol Scope 2 Guidance (2015), Chapter 6; GHG Protocol for Project Accounting (avoided emissions stand apart)",
        carriers=(),
        parameters=(_COUNTERFACTUAL,),
        function=own_generation,
    ),
)  # fmt: skip
