# SPDX-License-Identifier: Apache-2.0
"""Solid waste in landfills: methane over the years after disposal, or all of it at once.

First-order decay is a method with memory: a deposit of one year keeps releasing methane for decades, so it gives a
`Response` over calendar years. The methane commitment books the whole potential in the year of disposal.
"""

from __future__ import annotations

import math

from mangrove.measure.methods.base import (
    CH4_PER_C,
    Context,
    Given,
    Method,
    MissingFactError,
    Parameter,
    complement,
    constant,
    fraction,
    mixture,
)
from mangrove.measure.types import Response, Term

_LONGEST_DELAY = 6.0  # months; a later start of the reaction would fall into the second year after disposal
_REMAINDER = 1e-6  # the kernel ends when this share of the methane is left
_ROUNDING = 1e-12


def solid_waste_decay(ctx: Context) -> None:
    """Emits one response per kind of waste: kilograms of methane in each calendar year after disposal."""
    with ctx.part():
        if ctx.flow.semantics not in ("sum", "counter"):
            raise MissingFactError("methods.needs_amounts", semantics=ctx.flow.semantics)
        for waste, share in _kinds(ctx):
            with ctx.part():
                rate = _decay(ctx, waste)
                terms = [*share, *_potential(ctx, waste)]
                closed = ctx.closed(terms)
                delay = ctx.fact("delay", "month", "landfill/delay", "CH4").to("month")
                total = math.prod(term.value**term.power for term in closed)
                kernel = tuple(total * part for part in decay_kernel(rate.value, delay.value))
                ctx.responses.append(Response("CH4", kernel, (*closed, rate.term("k"), delay.term("delay"))))


def methane_commitment(ctx: Context) -> None:
    """Emits the whole methane potential of what is disposed of, in the year of disposal."""
    with ctx.part():
        for waste, share in _kinds(ctx):
            with ctx.part():
                ctx.emit("CH4", [*share, *_potential(ctx, waste)])


def decay_kernel(rate: float, delay: float = 6.0) -> tuple[float, ...]:
    """The share of the degradable carbon that decays in each calendar year, from the year of disposal (index 0).

    `1 - e^(-k f)` in the year of disposal with `f = (6 - delay) / 12`, then `e^(-k f) e^(-k (n-1)) (1 - e^(-k))`: waste
    is put down evenly over the year, at its middle on average, and the reaction starts `delay` months later (IPCC
    2006 Guidelines, Volume 5, Chapter 3, Eq 3.4 to 3.6 and Annex 3A.1). With the default of six months nothing
    decays in the year of disposal.

    Args:
        rate: k, per year.
        delay: months from disposal to the start of the reaction, 0 to 6.

    Raises:
        MissingFactError: the rate is not positive, or the delay is out of its range.

    Example:
        >>> [round(part, 4) for part in decay_kernel(0.4)[:3]]
        [0.0, 0.3297, 0.221]
    """
    if rate <= 0.0:
        raise MissingFactError("methods.not_positive", parameter="k", value=rate)
    if not -_ROUNDING <= delay <= _LONGEST_DELAY + _ROUNDING:
        raise MissingFactError(
            "methods.out_of_range", parameter="delay", value=delay, low=0, high=_LONGEST_DELAY
        )
    first = math.exp(-rate * (_LONGEST_DELAY - delay) / 12.0)
    decaying = -math.expm1(-rate)
    years = math.ceil(-math.log(_REMAINDER) / rate)
    return (1.0 - first, *(first * math.exp(-rate * year) * decaying for year in range(years)))


def _kinds(ctx: Context) -> list[tuple[str, list[Term]]]:
    return mixture(ctx, "composition", ctx.flow.carrier.code)


def _potential(ctx: Context, waste: str) -> list[Term]:
    """The terms of L0, methane per waste: DOC x DOCf x MCF x F x 16/12 x (1 - R) x (1 - OX)."""
    recovered = ctx.declared("recovered_share", "1")
    cover = ctx.word("cover", "none")
    oxidation = ctx.fact(
        "oxidation", "1", "landfill/ox/covered" if cover == "covered" else "landfill/ox", "CH4"
    )
    return [
        fraction(ctx.fact("doc", "1", f"landfill/doc/{waste}", "CH4"), "DOC"),
        fraction(_dissimilated(ctx, waste), "DOCf"),
        fraction(_correction(ctx), "MCF"),
        fraction(ctx.fact("methane_fraction", "1", "landfill/f", "CH4"), "F"),
        constant("16/12", CH4_PER_C, "CH4 per C"),
        *([complement(recovered, "1-R")] if recovered else []),
        complement(oxidation, "1-OX"),
    ]


def _dissimilated(ctx: Context, waste: str) -> Given:
    """DOCf: stated, or by the kind of waste, or else the general value of all waste."""
    stated = ctx.declared("docf", "1")
    if stated:
        return stated
    try:
        return ctx.tabled(f"landfill/docf/{waste}", "CH4")
    except MissingFactError:
        return ctx.tabled("landfill/docf", "CH4")


def _correction(ctx: Context) -> Given:
    """MCF: stated, or by the type of the site."""
    return ctx.declared("mcf", "1") or ctx.tabled(f"landfill/mcf/{ctx.required_word('site')}", "CH4")


def _decay(ctx: Context, waste: str) -> Given:
    """k: stated, or by climate and kind of waste."""
    stated = ctx.declared("k", "1/yr")
    found = stated or ctx.tabled(f"landfill/k/{ctx.required_word('climate')}/{waste}", "CH4")
    return found.to("1/yr")


_SITE = (
    Parameter(
        "composition",
        "text",
        "Kinds of waste with shares of wet mass: 'food 60 % + paper 40 %'; the code of the carrier when absent",
        "Thành phần theo khối lượng ướt: 'food 60 % + paper 40 %'; mặc định là mã của dòng",
    ),
    Parameter(
        "site",
        "text",
        "Type of the landfill in the activity key (managed_anaerobic, unmanaged_deep, ...); needed without mcf",
        "Loại bãi chôn lấp trong khóa hoạt động (managed_anaerobic, unmanaged_deep, ...); cần khi không có mcf",
    ),
    Parameter("mcf", "1", "MCF: methane correction factor", "MCF: hệ số hiệu chỉnh metan"),
    Parameter(
        "doc",
        "1",
        "DOC: degradable organic carbon, of wet mass",
        "DOC: carbon hữu cơ phân hủy được, theo khối lượng ướt",
    ),
    Parameter(
        "docf", "1", "DOCf: share of DOC that decays without oxygen", "DOCf: tỷ lệ DOC phân hủy kỵ khí"
    ),
    Parameter(
        "methane_fraction", "1", "F: share of methane in landfill gas", "F: tỷ lệ metan trong khí bãi rác"
    ),
    Parameter(
        "recovered_share",
        "1",
        "R: share of the methane that is captured; none when absent",
        "R: tỷ lệ metan thu hồi; mặc định là không",
    ),
    Parameter("oxidation", "1", "OX: share oxidized in the cover", "OX: tỷ lệ oxy hóa trong lớp phủ"),
    Parameter(
        "cover",
        "text",
        "'covered' takes the oxidation factor of a covered site",
        "'covered' dùng hệ số oxy hóa của bãi có lớp phủ",
    ),
)
_SOURCE = "IPCC 2006 Guidelines, Volume 5, Chapter 3"

METHODS = (
    Method(
        name="solid_waste_decay",
        version="1",
        title_en="Landfill methane by first-order decay",
        title_vi="Metan bãi chôn lấp theo phân hủy bậc nhất",
        equation="DDOCm = W × DOC × DOCf × MCF;  E[n] = DDOCm × e^(−k (n−1)) × (1 − e^(−k)) × F × 16/12 × (1 − R) × (1 − OX), n = 1 in the year after disposal",
        units="W: waste disposed of (t, kg), as amounts per interval",
        source=f"{_SOURCE}, Eq 3.2 to 3.6 and Annex 3A.1; Decision 2626/QD-BTNMT, Appendix IV, items 1.1 to 1.20",
        carriers=(),
        parameters=(
            *_SITE,
            Parameter("climate", "text", "Climate of k in the activity key (tropical_wet, tropical_dry); needed without k", "Khí hậu của k trong khóa hoạt động (tropical_wet, tropical_dry); cần khi không có k"),
            Parameter("k", "1/yr", "k: rate of decay", "k: tốc độ phân hủy"),
            Parameter("delay", "month", "Months from disposal to the start of the reaction, 0 to 6", "Số tháng từ khi chôn đến khi bắt đầu phân hủy, 0 đến 6"),
        ),
        function=solid_waste_decay,
    ),
    Method(
        name="methane_commitment",
        version="1",
        title_en="Landfill methane as a commitment",
        title_vi="Metan bãi chôn lấp tính toàn bộ khi chôn",
        equation="E = W × DOC × DOCf × MCF × F × 16/12 × (1 − R) × (1 − OX)",
        units="W: waste disposed of (t, kg)",
        source=f"GPC 1.1, Eq 8.3 and 8.4; {_SOURCE}, Eq 3.2 and 3.3",
        carriers=(),
        parameters=_SITE,
        function=methane_commitment,
    ),
)  # fmt: skip
