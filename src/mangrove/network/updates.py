# SPDX-License-Identifier: Apache-2.0
"""New data for an old structure: what may change between two solves, and where it is written.

Comes in: a network, one of its handles and named data. Goes out: changed costs, bounds and right-hand sides of its program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mangrove.errors import RequestError, did_you_mean
from mangrove.network import sessions, stores
from mangrove.network.arrays import by_year, cube, finite, numbers, ordered, per_item
from mangrove.network.core import Core
from mangrove.network.handles import Budget, Capacity, Demand, Fixed, Handle, Peak, Sessions, Store, Stream


def apply(net: Core, handle: Handle, data: Mapping[str, Any]) -> None:
    """See `Network.update`."""
    allowed = _ALLOWED.get(type(handle), ())
    for what in data:
        if what not in allowed:
            hint = did_you_mean(what, allowed)
            raise RequestError(
                "network.cannot_update",
                name=handle.name,
                what=what,
                options=", ".join(allowed) or "-",
                hint=hint,
            )
    _HOW[type(handle)](net, handle, data)


def _stream(net: Core, stream: Stream, data: Mapping[str, Any]) -> None:
    if "cost" in data:
        net.set_cost(stream, data["cost"])
    if stream.capacity is not None and ("upper" in data or "lower" in data):
        raise RequestError("network.cannot_update", name=stream.name, what="upper", options="cost", hint="")
    if "upper" in data or "lower" in data:
        lower = data.get("lower", net.program.lower[stream.columns])
        net.set_bounds(stream, lower, data.get("upper", net.program.upper[stream.columns]))


def _demand(net: Core, demand: Demand, data: Mapping[str, Any]) -> None:
    wanted = cube(demand.name, "amount", data["amount"], demand.amount.shape)
    finite(demand.name, "amount", wanted)
    net.shift(demand.rows, wanted - demand.amount)
    demand.amount[...] = wanted


def _store(net: Core, store: Store, data: Mapping[str, Any]) -> None:
    fixed = {
        "end": store.end is None,
        "energy": store.size is not None or store.days is not None,
        "wear": store.discharging is None,
        "charge": store.charging is None or store.charging.capacity is not None,
        "discharge": store.discharging is None or store.discharging.capacity is not None,
    }
    for what in data:
        if fixed.get(what, False):
            options = ", ".join(w for w in _ALLOWED[Store] if not fixed.get(w, False))
            raise RequestError("network.cannot_update", name=store.name, what=what, options=options, hint="")
    if "start" in data:
        stores.set_start(net, store, data["start"])
    if "end" in data:
        amount = per_item(store.name, "end", data["end"], len(store.level), least=0.0)[:, None]
        finite(store.name, "end", amount)
        net.program.row_lower[store.end] = amount
    if "energy" in data:
        most = cube(store.name, "energy", data["energy"], store.level.shape, least=0.0)
        ordered(store.name, net.program.lower[store.level], most)
        net.program.upper[store.level] = most
    if "wear" in data and store.discharging is not None:
        net.set_cost(store.discharging, data["wear"])
    for what, stream in (("charge", store.charging), ("discharge", store.discharging)):
        if what in data and stream is not None:
            net.set_bounds(stream, 0.0, data[what])


def _sessions(net: Core, handle: Sessions, data: Mapping[str, Any]) -> None:
    rest = dict(data)
    if "cost" in rest:
        net.set_cost(handle.charging, rest.pop("cost"))
    sessions.move(net, handle, rest)


def _peak(net: Core, peak: Peak, data: Mapping[str, Any]) -> None:
    """`carry` (K,) is what the steps of each block before the horizon already contribute to its mean."""
    groups = peak.columns.shape[1]
    for what in ("metered", "price"):
        if what in data:
            finite(peak.name, what, numbers(peak.name, what, data[what]))
    if "metered" in data:
        net.program.lower[peak.columns] = per_item(peak.name, "metered", data["metered"], groups, least=0.0)
    if "price" in data:
        price = per_item(peak.name, "price", data["price"], groups)
        net.program.cost[peak.columns] = net.probabilities[:, None] * price
    if "carry" in data:
        net.program.row_lower[peak.rows] = per_item(peak.name, "carry", data["carry"], peak.rows.shape[1])


def _budget(net: Core, budget: Budget, data: Mapping[str, Any]) -> None:
    held = net.program.row_lower[budget.rows], net.program.row_upper[budget.rows]
    lower, upper = (
        per_item(budget.name, what, data.get(what, old), len(budget.rows))
        for what, old in zip(("lower", "upper"), held, strict=True)
    )
    ordered(budget.name, lower, upper)
    net.program.row_lower[budget.rows], net.program.row_upper[budget.rows] = lower, upper


def _capacity(net: Core, capacity: Capacity, data: Mapping[str, Any]) -> None:
    """With one investment year the limits are bounds of what is built, with several they are rows."""
    lp, there = net.program, capacity.existing
    count, years = there.shape
    limit = next(one for one in net.limits if one.name == capacity.name and one.kind == "size")
    sides = (lp.row_lower, lp.row_upper) if limit.rows else (lp.lower, lp.upper)
    least, most = (side[limit.at] + there for side in sides)
    if "lower" in data:
        least = by_year(capacity.name, "lower", data["lower"], count, years, least=0.0)
    if "upper" in data:
        most = np.maximum(by_year(capacity.name, "upper", data["upper"], count, years, least=0.0), there)
    ordered(capacity.name, least, most)
    if "cost" in data:
        money = by_year(capacity.name, "cost", data["cost"], count, years)
        finite(capacity.name, "cost", money)
        lp.cost[capacity.columns] = money
    sides[0][limit.at] = least - there if limit.rows else np.maximum(least - there, 0.0)
    sides[1][limit.at] = most - there


def _fixed(_net: Core, fixed: Fixed, data: Mapping[str, Any]) -> None:
    money = per_item(fixed.name, "cost", data.get("cost", fixed.cost), len(fixed.cost), least=0.0)
    finite(fixed.name, "cost", money)
    fixed.cost[:] = money


_ALLOWED: dict[type, tuple[str, ...]] = {
    Stream: ("cost", "upper", "lower"),
    Demand: ("amount",),
    Store: ("start", "end", "energy", "charge", "discharge", "wear"),
    Sessions: ("arrive", "depart", "energy", "power", "discharge", "usable", "level", "cost"),
    Peak: ("metered", "price", "carry"),
    Budget: ("upper", "lower"),
    Capacity: ("cost", "upper", "lower"),
    Fixed: ("cost",),
}
_HOW: dict[type, Callable[[Core, Any, Mapping[str, Any]], None]] = {
    Stream: _stream,
    Demand: _demand,
    Store: _store,
    Sessions: _sessions,
    Peak: _peak,
    Budget: _budget,
    Capacity: _capacity,
    Fixed: _fixed,
}
