# SPDX-License-Identifier: Apache-2.0
"""The measuring methods: named, versioned functions from one declared flow to coefficients.

Comes in: a flow, its territory, the rules and a span of local days. Goes out: a `MethodResult`, with every coefficient cut
at the days on which one of its facts changes. A fact that is missing gives a gap row; nothing is guessed. One small
file per family declares its methods; this one finds the method of a flow and runs it through time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from mangrove.measure.methods import (
    combustion,
    cropland,
    electricity,
    fugitive,
    heat,
    land,
    landfill,
    livestock,
    process,
    refrigerant,
    reported,
    stack,
    thermal,
    transport,
    undeclared,
    wastewater,
)
from mangrove.measure.methods.base import Context, Method, Parameter
from mangrove.measure.types import Coefficient, Gap, MethodResult, Response
from mangrove.rules import Rules
from mangrove.territory.model import Flow, Territory
from mangrove.times import instant

_FAMILIES = (
    combustion, electricity, heat, fugitive, refrigerant, process, landfill, thermal, wastewater, cropland, livestock,
    land, transport, stack, reported, undeclared,
)  # fmt: skip

METHODS: dict[str, Method] = {method.name: method for family in _FAMILIES for method in family.METHODS}
"""Every method by name."""

_DEFAULTS = {carrier: method for method in METHODS.values() for carrier in method.carriers}
_SCOPES_OF_PURCHASE = (2, 3)
_SILENT_KINDS = frozenset({"water", "material", "hydrogen", "CO2"})
"""Carriers that emit nothing by themselves: a method must be named for them."""


def method_for(flow: Flow) -> Method | None:
    """The method of a flow: the one it names, or the default of its carrier.

    None for a flow that emits nothing: electricity outside scopes 2 and 3 without a factor (own generation, memo
    items), water, materials, hydrogen. A flow in the inventory whose carrier has no single default (waste can be
    buried or burnt) gets `undeclared`, which says so as a gap.
    """
    if flow.method:
        return METHODS.get(flow.method, METHODS["undeclared"])
    kind, code = flow.carrier.kind, flow.carrier.code
    if kind == "electricity" and flow.scope not in _SCOPES_OF_PURCHASE and not flow.factor:
        return None
    default = _DEFAULTS.get(f"{kind}:{code}") or _DEFAULTS.get(kind)
    if default is not None:
        return default
    if flow.factor:
        return METHODS["process_factor"]
    silent = kind in _SILENT_KINDS or flow.scope is None or flow.account != "inventory"
    return None if silent else METHODS["undeclared"]


def apply(
    flow: Flow,
    territory: Territory,
    rules: Rules,
    start: date,
    end: date,
    *,
    allow: Sequence[str] = (),
) -> MethodResult:
    """All that the flow's method says for the local days `[start, end)`.

    The method runs on `start`, then on each later day on which a fact that it read changes, so that every coefficient
    holds from one local midnight to another. A response has no validity of its own and takes the facts of the last
    such day. Equal neighbors are one coefficient.

    Args:
        flow: the declared flow.
        territory: where it stands; gives the time zone, its own factors and other flows.
        rules: the rule book.
        start: the first local day.
        end: the local day after the last one.
        allow: statuses or ids of rules that may be used besides official ones ("unofficial").

    Returns:
        Coefficients, responses and gaps; empty for a flow that emits nothing and for the meter of an exchange that has no scope
        (what an exchange avoids stands in its own account). Missing facts never raise.
    """
    method = method_for(flow)
    if method is None or start >= end or (flow.scope is None and flow.id in territory.exchange_meters):
        return MethodResult()
    coefficients: list[Coefficient] = []
    responses: tuple[Response, ...] = ()
    gaps: list[Gap] = []
    product_with = ""
    day = start
    while day < end:
        ctx = Context(flow, territory, rules, day, end, tuple(allow))
        method.function(ctx)
        coefficients.extend(_dated(ctx, day))
        responses = tuple(ctx.responses) or responses
        gaps.extend(gap for gap in ctx.gaps if gap not in gaps)
        product_with = ctx.product_with or product_with
        day = ctx.until
    return MethodResult(tuple(_joined(coefficients)), responses, tuple(gaps), product_with)


def _dated(ctx: Context, day: date) -> Iterable[Coefficient]:
    """The coefficients of one piece, valid between its local midnights."""
    first, last = instant(day, ctx.territory.tz), instant(ctx.until, ctx.territory.tz)
    return (replace(coefficient, valid_from=first, valid_to=last) for coefficient in ctx.coefficients)


def _joined(coefficients: Iterable[Coefficient]) -> list[Coefficient]:
    """Neighbors in time that say the same, as one."""
    joined: list[Coefficient] = []
    for coefficient in coefficients:
        for index, earlier in enumerate(joined):
            if earlier.valid_to == coefficient.valid_from and _same(earlier, coefficient):
                joined[index] = replace(earlier, valid_to=coefficient.valid_to)
                break
        else:
            joined.append(coefficient)
    return joined


def _same(left: Coefficient, right: Coefficient) -> bool:
    return replace(left, valid_from=None, valid_to=None) == replace(right, valid_from=None, valid_to=None)


__all__ = ["METHODS", "Context", "Method", "MethodResult", "Parameter", "apply", "method_for"]
