# SPDX-License-Identifier: Apache-2.0
"""Direct measurement in a stack: concentration times the flow of gas, instant by instant.

Two flows take part: the concentration (this flow) and the gas flow, whose values the engine multiplies at equal times.
Their units must make a mass together; a concentration at a reference content of oxygen is brought to the oxygen of the
gas that was measured. Values of a device that calibrates or fails carry their state in the ledger and are not summed.
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter
from mangrove.measure.types import Term
from mangrove.units import unit

_AIR_OXYGEN = 20.9
"""Oxygen in dry air, percent by volume (QCVN 19:2009/BTNMT, reference content of oxygen)."""


def stack(ctx: Context) -> None:
    """Emits the gas of the carrier: this flow's concentration times the gas flow."""
    with ctx.part():
        gas = ctx.flow.carrier.code
        if not gas:
            raise MissingFactError("methods.needs_gas")
        name = ctx.required_word("gas_flow")
        other = ctx.territory.flows.get(name)
        if other is None:
            raise MissingFactError("methods.unknown_flow", flow=name)
        product = ctx.amount * other.unit
        terms = _oxygen(ctx)
        if product.dimension == (ctx.amount * unit("Nm3")).dimension and ctx.flow.semantics in (
            "mean",
            "state",
        ):
            terms.append(_interval(ctx))
        ctx.emit(gas, terms, amount=product)
        ctx.product_with = name


def _interval(ctx: Context) -> Term:
    """The hours of one value, divided out: amounts of gas per interval already hold their time."""
    if ctx.flow.step is None:
        raise MissingFactError("methods.needs_step")
    return Term("step", ctx.flow.step.hours, "h", -1, origin="unit")


def _oxygen(ctx: Context) -> list[Term]:
    """`(20.9 - O2 measured) / (20.9 - O2 reference)`: from the reference content to the gas in the stack."""
    reference = ctx.declared("o2_reference", "1")
    if reference is None:
        return []
    measured = ctx.required("o2_measured", "1")
    low, high = (_AIR_OXYGEN - 100.0 * given.value for given in (reference, measured))
    if low <= 0.0 or high <= 0.0:
        raise MissingFactError(
            "methods.out_of_range", parameter="o2", value=measured.value, low=0, high=_AIR_OXYGEN / 100
        )
    return [
        Term("O2", high / low, "1", origin="parameter", note="(20.9 - o2_measured) / (20.9 - o2_reference)")
    ]


METHODS = (
    Method(
        name="stack",
        version="1",
        title_en="Direct measurement in a stack",
        title_vi="Đo trực tiếp tại ống khói",
        equation="E = c × V × (20.9 − O2_measured) / (20.9 − O2_reference)",
        units="c: concentration (mg/Nm3) with semantics mean; V: the other flow, as a rate (Nm3/h, semantics mean) or an amount (Nm3, semantics sum)",
        source="IPCC 2006 Guidelines, Volume 2, Chapter 2 (tier 3, continuous measurement); Circular 10/2021/TT-BTNMT",
        carriers=("stack",),
        parameters=(
            Parameter("gas_flow", "text", "Id of the flow that measures the gas", "Mã của dòng đo lưu lượng khí", required=True),
            Parameter("o2_reference", "1", "Reference content of oxygen of the concentration; none when absent", "Hàm lượng oxy tham chiếu của nồng độ; mặc định là không"),
            Parameter("o2_measured", "1", "Content of oxygen in the gas; needed with o2_reference", "Hàm lượng oxy trong khí thải; cần khi có o2_reference"),
        ),
        function=stack,
    ),
)  # fmt: skip
