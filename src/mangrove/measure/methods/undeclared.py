# SPDX-License-Identifier: Apache-2.0
"""The method of flows that name none and have no single default: a gap that says what to declare."""

from __future__ import annotations

from mangrove.measure.methods.base import Context, Method


def undeclared(ctx: Context) -> None:
    """Emits nothing but a gap."""
    if ctx.flow.method:
        ctx.gap("methods.unknown_method", method=ctx.flow.method)
    else:
        ctx.gap("methods.needs_method", carrier=str(ctx.flow.carrier))


METHODS = (
    Method(
        name="undeclared",
        version="1",
        title_en="No method declared",
        title_vi="Chưa khai phương pháp",
        equation="none: the flow is shown as a gap",
        units="any",
        source="Mangrove: what is not declared is not computed",
        carriers=(),
        parameters=(),
        function=undeclared,
    ),
)
