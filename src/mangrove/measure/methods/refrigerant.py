# SPDX-License-Identifier: Apache-2.0
"""Refrigerants: what is bought to top up, or what a stock of equipment loses over its life.

Leak rates are printed as ranges (IPCC 2006 Guidelines, Volume 3, Table 7.9), and a range is no number: a flow states its own.
A blend keeps its own name ("R-410A") as a gas; GWP sets know blends by their composition.
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter, complement, fraction
from mangrove.measure.types import Term

_STAGES = ("assembly", "operation", "disposal")


def _gas(ctx: Context) -> str:
    if not ctx.flow.carrier.code:
        raise MissingFactError("methods.needs_gas")
    return ctx.flow.carrier.code


def refrigerant_top_up(ctx: Context) -> None:
    """Emits what was bought to replace losses: all of it escaped before."""
    with ctx.part():
        ctx.emit(_gas(ctx), [])


def refrigerant_life_cycle(ctx: Context) -> None:
    """Emits the losses of one stage of life of the charge that the flow measures."""
    with ctx.part():
        stage = ctx.required_word("stage")
        if stage not in _STAGES:
            raise MissingFactError(
                "methods.bad_parameter", parameter="stage", text=stage, expected=", ".join(_STAGES)
            )
        ctx.emit(_gas(ctx), _losses(ctx, stage))


def _losses(ctx: Context, stage: str) -> list[Term]:
    """The loss terms of one stage; the guidelines print ranges for them, so the flow must state each."""
    if stage == "assembly":
        return [fraction(ctx.required("assembly_loss", "1"), "k")]
    if stage == "operation":
        standing = ctx.flow.semantics in ("mean", "state")
        year = [Term("year", 1.0, "yr", -1, origin="unit")] if standing else []
        return [fraction(ctx.required("annual_loss", "1"), "x"), *year]
    return [
        fraction(ctx.required("remaining_charge", "1"), "y"),
        complement(ctx.required("recovery", "1"), "1-z"),
    ]


METHODS = (
    Method(
        name="refrigerant_top_up",
        version="1",
        title_en="Refrigerant bought to top up",
        title_vi="Môi chất lạnh mua bổ sung",
        equation="E = A",
        units="A: refrigerant bought to replace losses (kg)",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 2.1",
        carriers=("refrigerant",),
        parameters=(),
        function=refrigerant_top_up,
    ),
    Method(
        name="refrigerant_life_cycle",
        version="1",
        title_en="Refrigerant losses over the life of equipment",
        title_vi="Tổn thất môi chất lạnh theo vòng đời thiết bị",
        equation="assembly: E = C × k;  operation: E = C × x;  disposal: E = C × y × (1 − z)",
        units="C: charge assembled, in operation, or disposed of (kg); in operation per year, or a standing stock with semantics state",
        source="Circular 38/2023/TT-BCT, Appendix II, formula 2.2; IPCC 2006 Guidelines, Volume 3, Chapter 7, Eq 7.12 to 7.14",
        carriers=(),
        parameters=(
            Parameter("stage", "text", "assembly, operation or disposal", "assembly (nạp), operation (vận hành) hoặc disposal (thải bỏ)", required=True),
            Parameter("assembly_loss", "1", "k: loss when charging", "k: tổn thất khi nạp"),
            Parameter("annual_loss", "1", "x: loss per year in operation", "x: tổn thất mỗi năm khi vận hành"),
            Parameter("remaining_charge", "1", "y: share of the charge left at disposal", "y: tỷ lệ môi chất còn lại khi thải bỏ"),
            Parameter("recovery", "1", "z: share of it that is recovered", "z: tỷ lệ thu hồi"),
        ),
        function=refrigerant_life_cycle,
    ),
)  # fmt: skip
