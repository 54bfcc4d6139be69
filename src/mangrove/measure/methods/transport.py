# SPDX-License-Identifier: Apache-2.0
"""Vehicle-kilometers: distance driven by a class of vehicles times a factor per kilometer."""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method, MissingFactError, Parameter


def vehicle_distance(ctx: Context) -> None:
    """Emits every gas that the source states per vehicle-kilometer; a stated factor replaces its CO2."""
    with ctx.part():
        activity = ctx.activity or (f"vehicle/{ctx.flow.carrier.code}" if ctx.flow.carrier.code else "")
        stated = ctx.declared("factor", "g/vehicle_km")
        if stated:
            ctx.emit("CO2", [stated.term("EF")])
            return
        if not activity:
            raise MissingFactError("methods.needs_parameter", parameter="class", expected="text")
        gases = ctx.gases(activity) or ("CO2",)
        for gas in gases:
            with ctx.part():
                ctx.emit(gas, [ctx.factor(activity, gas).term("EF")])


METHODS = (
    Method(
        name="vehicle_distance",
        version="1",
        title_en="Vehicle-kilometers",
        title_vi="Quãng đường xe chạy",
        equation="E[gas] = A × EF[gas]",
        units="A: distance driven by all vehicles of the class (vehicle_km)",
        source="IPCC 2006 Guidelines, Volume 2, Chapter 3, Eq 3.2.6 (distance-based); GPC 1.1, section 7.3",
        carriers=("vehicle_km",),
        parameters=(Parameter("factor", "g/vehicle_km", "CO2 per vehicle-kilometer of this fleet, with its source in the note of the flow", "CO2 trên xe-km của đội xe này, nguồn ghi ở cột ghi chú"),),
        function=vehicle_distance,
    ),
)  # fmt: skip
