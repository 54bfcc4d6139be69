# SPDX-License-Identifier: Apache-2.0
"""Stores: levels that carry amounts from one step to the next, or across representative days.

Comes in: a network, a node and what is given of the store. Goes out: a `Store` with its levels and, but for a lean store, its two
streams. Everything is checked here: efficiencies, losses, bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import constraints
from mangrove.network.arrays import cube, finite, ordered, per_item
from mangrove.network.core import Core, Limited
from mangrove.network.handles import Capacity, Limit, Node, Pair, Store, Stream
from mangrove.network.program import FREE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_ONE = np.ones((1, 1, 1))


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of `Network.store`."""

    energy: Limited
    charge: Limited | None
    discharge: Limited | None
    efficiency: tuple[Any, Any]
    loss: float
    start: Any
    end: Any
    floor: Any
    wear: Any


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """Checked data: gain and yield (n, S, T), the share kept each step (1, 1, T), floor and largest level."""

    gain: Floats
    yield_: Floats
    keep: Floats
    least: Floats
    most: Floats


def add(net: Core, name: str, node: Node, given: Given) -> Store:
    """Builds a store; see `Network.store`."""
    band = _check(net, name, node, given)
    across = net.horizon.order is not None
    lean = given.charge is None and given.discharge is None
    level = _levels(net, name, node, band, across=across, lean=lean)
    if lean:
        if (band.gain != 1).any() or (band.yield_ != 1).any() or across:
            raise RequestError("network.lean_store", name=name)
        return net.keep(_lean(net, name, node, given, level=level, keep=band.keep))
    into = net.stream(f"{name} charge", [(node, -1.0)], **_sized(given.charge), decided=True)
    out = net.stream(
        f"{name} discharge", [(node, 1.0)], cost=given.wear, **_sized(given.discharge), decided=True
    )
    net.earlier.append(into.columns)
    net.pairs.append(Pair(name, into.columns, out.columns))
    hours = net.horizon.hours
    flows = ((into.columns, hours * band.gain), (out.columns, -hours / band.yield_))
    if across:
        return net.keep(_across(net, name, node, given, level, flows=flows, band=band, into=into, out=out))
    rows = constraints.store_level(
        net.program, name, level, flows, keep=band.keep, owners=node.owners, cyclic=given.start is None
    )
    first = None if given.start is None else rows[:, :, 0]
    store = Store(
        name, level, into, out, first, band.keep, _target(net, name, node, given, level),
        follows=_follows(given), size=_limit(net, name, node, given.energy, level),
    )  # fmt: skip
    if first is not None:
        set_start(net, store, given.start)
    return net.keep(store)


def set_start(net: Core, store: Store, start: Any) -> None:
    """The level before the first step, on the right-hand side of its row."""
    if store.first is None:
        raise RequestError("network.cannot_update", name=store.name, what="start", options="-", hint="")
    given = per_item(store.name, "start", start, len(store.level), least=0.0)[:, None]
    finite(store.name, "start", given)
    level = given * store.keep[..., 0]
    net.program.row_lower[store.first] = level
    net.program.row_upper[store.first] = level
    if store.follows:
        net.program.row_lower[store.end] = given


def _check(net: Core, name: str, node: Node, given: Given) -> _Band:
    shape = net.shape(len(node))
    if np.isscalar(given.efficiency) or len(given.efficiency) != 2:  # noqa: PLR2004 - in, out
        raise RequestError(
            "network.bad_shape",
            name=name,
            what="efficiency",
            got=str(np.size(given.efficiency)),
            wanted="2 (in, out)",
        )
    gain, yield_ = (cube(name, "efficiency", eta, shape, least=0.0) for eta in given.efficiency)
    for eta, bad in ((gain, gain > 1), (yield_, (yield_ > 1) | (yield_ <= 0))):
        if bad.any():
            worst = float(eta[bad].ravel()[0])
            raise RequestError("network.share_range", name=name, what="efficiency", value=worst)
    cube(name, "wear", given.wear, shape, least=0.0)
    if not 0 <= given.loss < 1:
        raise RequestError("network.share_range", name=name, what="loss", value=float(given.loss))
    sized = isinstance(given.energy, Capacity)
    most = np.full((1, 1, 1), FREE) if sized else cube(name, "energy", given.energy, shape, least=0.0)
    least = cube(name, "floor", given.floor, shape, least=0.0)
    ordered(name, least, most)
    finite(name, "floor", least)
    if isinstance(given.end, str) and given.end not in ("cyclic", "free"):
        raise RequestError("network.unknown_end", name=name, text=given.end)
    if net.horizon.order is not None and (given.start is not None or not isinstance(given.end, str)):
        raise RequestError("network.across_days", name=name)
    keep = ((1.0 - given.loss) ** net.horizon.hours)[None, None, :]
    return _Band(gain, yield_, keep, least, most)


def _sized(limit: Limited | None) -> dict[str, Any]:
    """A limit that is a number, a series, or a size that the plan chooses."""
    if isinstance(limit, Capacity):
        return {"capacity": limit}
    return {"upper": FREE if limit is None else limit}


def _levels(net: Core, name: str, node: Node, band: _Band, *, across: bool, lean: bool) -> Ints:
    """Levels: within floor and size, or of free sign inside representative days. Those of a lean store are what is decided."""
    level = net.rates(f"{name} level", len(node), node.owners, decided=lean)
    net.program.lower[level] = -FREE if across else band.least
    net.program.upper[level] = FREE if across else band.most
    if not across and (band.least > 0).any():
        net.wish(f"{name} level", "comfort", node.names, "floor", level)
    return level


def _limit(net: Core, name: str, node: Node, energy: Limited, level: Ints) -> Capacity | None:
    """The level stays within the size; returns the size when the plan chooses it."""
    if not isinstance(energy, Capacity):
        net.limits.append(Limit(name, "energy", level, rows=False))
        return None
    if len(energy.columns) not in (1, len(node)):
        got, wanted = str(len(energy.columns)), str(len(node))
        raise RequestError("network.bad_shape", name=name, what="capacity", got=got, wanted=wanted)
    constraints.within_capacity(
        net.program,
        f"{name} size",
        level,
        capacity=energy,
        profile=_ONE,
        horizon=net.horizon,
        owners=node.owners,
    )
    return energy


def _follows(given: Given) -> bool:
    """Whether the end is declared as "at least the start"."""
    return given.start is not None and isinstance(given.end, str) and given.end == "cyclic"


def _target(net: Core, name: str, node: Node, given: Given, level: Ints) -> Ints | None:
    """e_T >= what must be there at the end: the start of a store that begins with one, or a declared amount."""
    wanted = given.start if _follows(given) else given.end
    if wanted is None or isinstance(wanted, str):
        return None
    what = "start" if _follows(given) else "end"
    amount = per_item(name, what, wanted, len(node), least=0.0)
    finite(name, what, amount)
    rows = net.program.rows(
        f"{name} end", (len(node), net.scenarios), lower=amount[:, None], owners=node.owners
    )
    net.program.terms(rows, level[:, :, -1], 1.0)
    net.wish(f"{name} end", "comfort", node.names, "lower", rows)
    return rows


def _lean(net: Core, name: str, node: Node, given: Given, *, level: Ints, keep: Floats) -> Store:
    """A lossless store whose level stands in the balance: inflow - (e_t - k_t e_{t-1}) / h_t = demand."""
    lp, hours = net.program, net.horizon.hours
    lp.terms(node.rows, level, -1.0 / hours)
    lp.terms(node.rows[:, :, 1:], level[:, :, :-1], (keep / hours)[:, :, 1:])
    if given.start is not None:
        start = per_item(name, "start", given.start, len(node), least=0.0)
        finite(name, "start", start)
        net.shift(node.rows[:, :, 0], -keep[..., 0] * start[:, None] / hours[0])
    else:
        lp.terms(node.rows[:, :, :1], level[:, :, -1:], (keep / hours)[:, :, :1])
    size = _limit(net, name, node, given.energy, level)
    return Store(name, level, None, None, None, keep, _target(net, name, node, given, level), size=size)


def _across(
    net: Core,
    name: str,
    node: Node,
    given: Given,
    level: Ints,
    *,
    flows: tuple[tuple[Ints, Floats], ...],
    band: _Band,
    into: Stream,
    out: Stream,
) -> Store:
    """A store over representative days; it is cyclic over the year."""
    lp = net.program
    days, low, high = constraints.store_across_days(
        lp, name, level, flows, keep=band.keep, horizon=net.horizon, owners=node.owners
    )
    lp.lower[low] = band.least.max(
        axis=2, keepdims=True
    )  # a day's extremes know no hour: the tightest counts
    if not isinstance(given.energy, Capacity):
        lp.upper[high] = band.most.min(axis=2, keepdims=True)
    if (band.least > 0).any():
        net.wish(f"{name} level", "comfort", node.names, "floor", low)
    size = _limit(net, name, node, given.energy, high)
    return Store(name, level, into, out, None, band.keep, None, days, size=size)
