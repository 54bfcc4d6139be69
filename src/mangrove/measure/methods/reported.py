# SPDX-License-Identifier: Apache-2.0
"""Totals that somebody else computed: taken as they are, by gas, or as CO2e in the GWP set of their report.

CO2e of one GWP set cannot be turned into another, because the gases behind it are not known; the coefficient carries
the set so that a measurement in another set shows a gap.
"""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter


def reported(ctx: Context) -> None:
    """Emits the reported mass of the gas that the carrier names."""
    with ctx.part():
        gas = ctx.flow.carrier.code
        if not gas:
            raise MissingFactError("methods.needs_gas")
        ctx.emit(gas, [], note=ctx.required_word("gwp") if gas == "CO2e" else "")


METHODS = (
    Method(
        name="reported",
        version="1",
        title_en="Reported totals",
        title_vi="Số liệu phát thải đã báo cáo",
        equation="E = A",
        units="A: mass of the gas (t, kg), or of CO2e with its GWP set",
        source="The report that the note of the flow names",
        carriers=("reported",),
        parameters=(Parameter("gwp", "text", "GWP set of the report (AR4, AR5, AR6); needed for CO2e", "Bộ GWP của báo cáo (AR4, AR5, AR6); cần cho CO2e"),),
        function=reported,
    ),
)  # fmt: skip
