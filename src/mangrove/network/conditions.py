# SPDX-License-Identifier: Apache-2.0
"""Conditions on what flows into a node together, and costs of having a link at all: quality, shares, fixed costs.

Comes in: a network, one of its nodes and streams that flow into it. Goes out: rows, or an entry in the list of fixed costs. Which item
of a stream flows into which of the nodes is read from the stream itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import bounds, constraints
from mangrove.network.arrays import cube, finite, numbers, per_item
from mangrove.network.constraints import Arriving
from mangrove.network.core import Core
from mangrove.network.design import Openings
from mangrove.network.handles import Condition, Fixed, Limit, Node, Stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_TABLE = 2
"""Dimensions of a table, items x contaminants."""


def blend(
    net: Core, name: str, node: Node, parts: Sequence[tuple[Stream, Any]], *, limit: Any, sense: Any
) -> Condition:
    """See `Network.blend`."""
    net.claim(name)
    net.own(name, "node", node)
    limits = _table(name, "limit", limit, len(node))
    contents = [_table(name, stream.name, content, len(stream.columns)) for stream, content in parts]
    for (stream, _), content in zip(parts, contents, strict=True):
        finite(name, stream.name, content)
    kinds = max(table.shape[1] for table in (limits, *contents))
    tables = [
        _full(name, what, table, count, kinds)
        for what, table, count in (
            ("limit", limits, len(node)),
            *((s.name, c, len(s.columns)) for (s, _), c in zip(parts, contents, strict=True)),
        )
    ]
    found = [
        part for (s, _), c in zip(parts, tables[1:], strict=True) for part in _arriving(net, name, node, s, c)
    ]
    rows = constraints.blend(
        net.program,
        name,
        tuple(found),
        limit=tables[0],
        sign=constraints.signs(name, sense, kinds),
        shape=(net.scenarios, net.horizon.steps),
        owners=node.owners,
    )
    net.limits.append(Limit(name, "blend", rows, rows=True))
    return net.keep(Condition(name, rows))


def share(net: Core, name: str, node: Node, streams: Sequence[Stream], most: Any) -> Condition:
    """See `Network.share`."""
    net.claim(name)
    net.own(name, "node", node)
    shares = per_item(name, "most", most, len(node), least=0.0)
    if (shares > 1).any():
        raise RequestError("network.share_range", name=name, what="most", value=float(shares.max()))
    nothing = np.zeros((1, 0))
    found = [
        part
        for s in streams
        for part in _arriving(net, name, node, s, np.broadcast_to(nothing, (len(s.columns), 0)))
    ]
    if not found:
        raise RequestError("network.no_ports", name=name)
    shape = (net.scenarios, net.horizon.steps)
    rows = constraints.most_share(
        net.program, name, tuple(found), share=shares, shape=shape, owners=node.owners
    )
    net.limits.append(Limit(name, "share", rows, rows=True))
    return net.keep(Condition(name, rows))


def fixed(net: Core, name: str, stream: Stream, cost: Any, most: Any) -> Fixed:
    """See `Network.fixed`."""
    net.claim(name)
    net.own(name, "stream", stream)
    money = per_item(name, "cost", cost, len(stream.columns), least=0.0)
    finite(name, "cost", money)
    if any(one.stream is stream for one in net.fixes):
        raise RequestError("network.fixed_twice", name=name, stream=stream.name)
    if (net.program.lower[stream.columns] < 0).any():
        raise RequestError("network.two_ways", name=name, stream=stream.name)
    largest = None if most is None else cube(name, "most", most, stream.columns.shape, least=0.0)
    handle = net.keep(Fixed(name, stream, money, largest))
    net.fixes.append(handle)
    return handle


def hold(net: Core) -> None:
    """Writes the largest rates that came with fixed costs into the bounds of the program."""
    upper = net.program.upper
    for one in net.fixes:
        if one.most is not None:
            at = one.stream.columns
            np.minimum.at(upper, at, np.broadcast_to(one.most, at.shape))


def openings(net: Core) -> Openings:
    """The fixed costs of a network as it stands, with the tightest bounds that its rows imply.

    Raises:
        RequestError: `network.no_bound`.
    """
    implied = bounds.most(net.program)
    columns, items, largest = [], [], []
    start = 0
    for one in net.fixes:
        at = one.stream.columns
        endless = ~np.isfinite(implied[at]).all(axis=(1, 2))
        if endless.any():
            raise RequestError("network.no_bound", name=one.name, first=int(np.argmax(endless)))
        item = np.broadcast_to((start + np.arange(len(at)))[:, None, None], at.shape)
        once, where = np.unique(at, return_index=True)  # scenarios share the columns of the first steps
        columns.append(once)
        items.append(item.ravel()[where])
        largest.append(implied[once])
        start += len(at)
    cost = np.concatenate([one.cost for one in net.fixes])
    every = np.concatenate(columns)
    return Openings(every, np.concatenate(items), np.concatenate(largest), cost, np.zeros(len(every)))


def _arriving(net: Core, name: str, node: Node, stream: Stream, content: Floats) -> list[Arriving]:
    """The items of a stream that flow into some of the nodes.

    Raises:
        RequestError: `network.not_at_node`.
    """
    net.own(name, "stream", stream)
    here = node.rows[:, 0, 0]
    order = np.argsort(here)
    items = len(stream.columns)
    origin = net.program.height + stream.columns[:, 0, 0]
    for port, coefficient in stream.ports:
        if (coefficient < 0).all():
            origin = np.broadcast_to(port.rows[:, 0, 0], (items,))
            break
    found = []
    for port, coefficient in stream.ports:
        if not (coefficient > 0).any():
            continue
        row = np.broadcast_to(port.rows[:, 0, 0], (items,))
        to = order[np.minimum(np.searchsorted(here, row, sorter=order), len(here) - 1)]
        used = np.flatnonzero(here[to] == row)
        if len(used):
            gain = np.broadcast_to(coefficient, stream.columns.shape)[used]
            found.append(Arriving(stream.columns[used], to[used], gain, content[used], origin[used]))
    if not found:
        raise RequestError("network.not_at_node", name=name, stream=stream.name, node=node.name)
    return found


def _table(name: str, what: str, value: Any, count: int) -> Floats:
    """Numbers that are not negative as a table: (1, 1) for all; a list is one an item, of a single item one a contaminant."""
    array = numbers(name, what, value)
    if array.ndim == 1:
        array = array[:, None] if count > 1 else array[None]
    array = array.reshape(1, 1) if array.ndim == 0 else array
    if array.ndim != _TABLE or array.shape[0] not in (1, count) or not array.size:
        got = " x ".join(map(str, np.shape(value)))
        raise RequestError("network.bad_shape", name=name, what=what, got=got, wanted=f"{count} x Q")
    if (array < 0).any():
        at = int(np.argmax((array < 0).ravel()))
        raise RequestError("network.negative", name=name, what=what, first=at, value=float(array.ravel()[at]))
    return array


def _full(name: str, what: str, table: Floats, count: int, kinds: int) -> Floats:
    """A table as (count, kinds); only a single number stands for all contaminants."""
    if table.shape[1] != kinds and table.size > 1:
        got = " x ".join(map(str, table.shape))
        raise RequestError("network.bad_shape", name=name, what=what, got=got, wanted=f"{count} x {kinds}")
    return np.array(np.broadcast_to(table, (count, kinds)))
