# SPDX-License-Identifier: Apache-2.0
"""Industrial processes: a product times its factor, and the few that need more than that.

Circular 38/2023 has no formula of its own for processes beyond "activity times factor" (formula 19). Decision 2626 and the
IPCC differ for some products (oxygen steel 2.47 and 1.46 t/t, nitric acid 8 and 7 kg/t): the rules choose by
priority and show the conflict. Cement states whether the kiln-dust correction is applied, because 1.02 on top of a factor
that already holds it counts dust twice.
"""

from __future__ import annotations

from mangrove.measure.methods.base import (
    CO2_PER_C,
    Context,
    Method,
    MissingFactError,
    Parameter,
    complement,
    constant,
    fraction,
)
from mangrove.measure.types import Term

_CLINKER = "process/cement/clinker"
_DUST = "process/cement/ckd"
_FEED = {"reforming": "natural_gas", "partial_oxidation": "coal"}


def process_factor(ctx: Context) -> None:
    """Emits every gas that the source states for the product, less what abatement destroys."""
    with ctx.part():
        activity = ctx.activity or f"process/{ctx.flow.carrier.code}"
        abated = _abatement(ctx)
        gases = ctx.gases(activity)
        if not gases:
            ctx.gap("methods.no_factor", activity=activity, gas="-", day=ctx.start.isoformat())
        for gas in gases:
            with ctx.part():
                ctx.emit(gas, [ctx.factor(activity, gas).term("EF"), *abated])


def _abatement(ctx: Context) -> list[Term]:
    """What passes an abatement unit: `1 - destruction x share of the time that it runs`; nothing when none is stated."""
    destruction = ctx.declared("destruction", "1")
    if destruction is None:
        return []
    running = fraction(ctx.required("utilization", "1"), "ASUF")
    product = fraction(destruction, "DF").value * running.value
    return [Term("1-DF*ASUF", 1.0 - product, "1", origin="parameter", note="destruction")]


def cement_clinker(ctx: Context) -> None:
    """Emits the CO2 of calcination, and says whether the correction for cement kiln dust is in it."""
    with ctx.part():
        factor = ctx.factor(ctx.activity or _CLINKER, "CO2")
        dust = ctx.word("ckd", "no")
        if dust == "no":
            ctx.emit("CO2", [factor.term("EF")], note="methods.ckd_not_applied")
            return
        correction = ctx.tabled(_DUST, "CO2") if dust == "rule" else ctx.required("ckd", "1")
        ctx.emit("CO2", [factor.term("EF"), correction.term("CF_ckd")], note="methods.ckd_applied")


def ammonia(ctx: Context) -> None:
    """Emits the CO2 of the feedstock carbon of ammonia, less what leaves in urea or is captured."""
    with ctx.part():
        route = ctx.word("route", "reforming")
        if route not in _FEED:
            raise MissingFactError(
                "methods.bad_parameter", parameter="route", text=route, expected=", ".join(_FEED)
            )
        base = f"process/ammonia/{route}"
        terms = [
            ctx.fact("fuel_requirement", "GJ/t", f"{base}/energy", "CO2").term("FR"),
            ctx.fact("carbon_content", "kg/GJ", f"process/ammonia/{_FEED[route]}/carbon", "CO2").term("CCF"),
            ctx.fact("oxidation", "1", f"{base}/oxidation", "CO2").term("COF"),
            constant("44/12", CO2_PER_C, "CO2 per C"),
        ]
        recovered = ctx.declared("recovered_share", "1")
        ctx.emit("CO2", [*terms, *([complement(recovered, "1-R")] if recovered else [])])


METHODS = (
    Method(
        name="process_factor",
        version="1",
        title_en="Industrial process by a factor per product",
        title_vi="Quá trình công nghiệp theo hệ số trên sản phẩm",
        equation="E[gas] = A × EF[gas] × (1 − DF × ASUF)",
        units="A: product made (t, kg), as the factor asks",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 19; Decision 2626/QD-BTNMT, Appendix II; IPCC 2006 Guidelines, Volume 3 (abatement: Chapter 3, Eq 3.6)",
        carriers=("process",),
        parameters=(
            Parameter("destruction", "1", "DF: share of the gas that abatement destroys while it runs", "DF: tỷ lệ khí bị phá hủy khi thiết bị xử lý chạy"),
            Parameter("utilization", "1", "ASUF: share of the production during which abatement runs; needed with destruction", "ASUF: tỷ lệ sản lượng khi thiết bị xử lý chạy; cần khi có destruction"),
        ),
        function=process_factor,
    ),
    Method(
        name="cement_clinker",
        version="1",
        title_en="Cement clinker",
        title_vi="Clinker xi măng",
        equation="E = A × EF × CF_ckd",
        units="A: clinker made (t)",
        source="IPCC 2006 Guidelines, Volume 3, Chapter 2, Eq 2.4; Decision 2626/QD-BTNMT, Appendix II, items 1.1 and 1.3",
        carriers=("process:cement/clinker",),
        parameters=(Parameter("ckd", "text", "Correction for kiln dust: 'no' (when absent), 'rule' (the tabled 1.02), or a ratio (1.02 t/t)", "Hiệu chỉnh bụi lò: 'no' (mặc định), 'rule' (1,02 theo bảng) hoặc tỷ số (1.02 t/t)"),),
        function=cement_clinker,
    ),
    Method(
        name="ammonia",
        version="1",
        title_en="Ammonia from hydrocarbons",
        title_vi="Sản xuất amoniac từ hydrocarbon",
        equation="E = A × FR × CCF × COF × 44/12 × (1 − R)",
        units="A: ammonia made (t)",
        source="IPCC 2006 Guidelines, Volume 3, Chapter 3, Eq 3.1; Decision 2626/QD-BTNMT, Appendix II, items 2.1 to 2.6",
        carriers=("process:ammonia",),
        parameters=(
            Parameter("route", "text", "reforming (of natural gas, when absent) or partial_oxidation (of coal)", "reforming (khí tự nhiên, mặc định) hoặc partial_oxidation (than)"),
            Parameter("fuel_requirement", "GJ/t", "FR: energy of fuel per ammonia", "FR: năng lượng nhiên liệu trên tấn amoniac"),
            Parameter("carbon_content", "kg/GJ", "CCF: carbon per energy of fuel", "CCF: lượng carbon trên năng lượng nhiên liệu"),
            Parameter("oxidation", "1", "COF: share of the carbon oxidized", "COF: tỷ lệ carbon bị oxy hóa"),
            Parameter("recovered_share", "1", "R: share of the CO2 recovered for urea or storage", "R: tỷ lệ CO2 thu hồi cho urê hoặc lưu giữ"),
        ),
        function=ammonia,
    ),
)  # fmt: skip
