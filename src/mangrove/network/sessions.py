# SPDX-License-Identifier: Apache-2.0
"""Vehicles at chargers: what a stay allows, and what must have been charged when it ends.

Comes in: arrays with one number a session (a slot may be empty). Goes out: charging columns that are fixed to zero outside the
stay, and one row a session for its energy; two-way vehicles also get discharging columns and a level. An update moves
stays without touching the structure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import constraints
from mangrove.network.arrays import finite, per_item
from mangrove.network.core import Core
from mangrove.network.handles import Limit, Node, Pair, Sessions, Stream

Floats = npt.NDArray[np.float64]
MOVED = ("arrive", "depart", "energy", "power", "usable", "level")
"""What can change in every block of sessions; `discharge` only where vehicles were two-way from the beginning."""
FIELDS = ("arrive", "depart", "energy", "power", "efficiency", "discharge", "usable", "level")


def add(
    net: Core, name: str, node: Node, tier: str | None, given: dict[str, Any], *, cost: Any, wear: Any
) -> Sessions:
    """Builds the block; see `Network.sessions`."""
    count = max([len(node), *(np.size(given[field]) for field in FIELDS)])
    settings = {field: per_item(name, field, given[field], count, least=0.0) for field in FIELDS}
    _check(name, settings, net.horizon.steps)
    if len(node) not in (1, count):
        raise RequestError(
            "network.bad_shape", name=name, what="nodes", got=str(len(node)), wanted=str(count)
        )
    owners = node.owners * count if len(node) == 1 else node.owners
    items = tuple(f"{name} {i + 1}" for i in range(count))
    columns = net.rates(f"{name} charge", count, owners, decided=True)
    charging = Stream(f"{name} charge", columns, None, decided=True)
    net.program.terms(node.rows, charging.columns, -1.0)
    net.set_cost(charging, cost)
    net.earlier.append(charging.columns)
    net.limits.append(Limit(name, "capacity", charging.columns, rows=False))
    gain = net.horizon.hours * settings["efficiency"][:, None, None]
    if not (settings["discharge"] > 0).any():
        need = constraints.session_energy(net.program, name, charging.columns, gain, owners)
        net.wish(name, tier, items, "lower", need)
        handle = Sessions(name, charging, None, need, None, settings)
    else:
        handle = _two_way(net, name, node, settings, charging=charging, owners=owners)
        assert handle.level is not None
        assert handle.discharging is not None
        net.set_cost(handle.discharging, wear)
        net.wish(name, tier, items, "floor", handle.level)
    place(net, handle)
    return handle


def _two_way(
    net: Core,
    name: str,
    node: Node,
    settings: dict[str, Floats],
    *,
    charging: Stream,
    owners: tuple[str, ...],
) -> Sessions:
    """Levels: e_t = e_{t-1} + h eta z - h d / eta + [t = arrival] level; e >= level + energy at departure."""
    count = len(settings["arrive"])
    columns = net.rates(f"{name} discharge", count, owners, decided=True)
    discharging = Stream(f"{name} discharge", columns, None, decided=True)
    net.program.terms(node.rows, columns, 1.0)
    level = net.program.columns(f"{name} level", net.shape(count), owners=owners)
    hours = net.horizon.hours
    eta = settings["efficiency"][:, None, None]
    keep = np.ones((1, 1, net.horizon.steps))
    flows = ((charging.columns, hours * eta), (columns, -hours / eta))
    rows = constraints.store_level(net.program, name, level, flows, keep=keep, owners=owners, cyclic=False)
    net.pairs.append(Pair(name, charging.columns, discharging.columns))
    return Sessions(name, charging, discharging, rows, level, settings)


def place(net: Core, handle: Sessions) -> None:
    """Writes the stays of `handle.settings` into bounds and right-hand sides."""
    lp, own = net.program, handle.settings
    steps = np.arange(net.horizon.steps)
    inside = (steps >= own["arrive"][:, None]) & (steps < own["depart"][:, None])
    lp.lower[handle.charging.columns] = 0.0
    lp.upper[handle.charging.columns] = np.where(inside, own["power"][:, None], 0.0)[:, None, :]
    if handle.discharging is None or handle.level is None:
        need = np.where(own["depart"] > own["arrive"], own["energy"], 0.0)
        room = np.where(np.isfinite(own["usable"]), own["usable"] - own["level"], need)
        lp.row_lower[handle.need] = need[:, None]
        lp.row_upper[handle.need] = np.maximum(room, need)[:, None]
        return
    lp.upper[handle.discharging.columns] = np.where(inside, own["discharge"][:, None], 0.0)[:, None, :]
    arriving = np.where((steps == own["arrive"][:, None]) & inside, own["level"][:, None], 0.0)[:, None, :]
    lp.row_lower[handle.need] = arriving
    lp.row_upper[handle.need] = arriving
    wanted = own["level"] + own["energy"]
    leaving = (steps == own["depart"][:, None] - 1) & inside
    room = np.maximum(own["usable"], wanted)
    lp.lower[handle.level] = np.where(leaving, wanted[:, None], 0.0)[:, None, :]
    lp.upper[handle.level] = np.where(steps >= own["arrive"][:, None], room[:, None], 0.0)[:, None, :]


def move(net: Core, handle: Sessions, data: dict[str, Any]) -> None:
    """Changes stays: any of arrive, depart, energy, power, usable, level, discharge; efficiency is structure."""
    count = len(handle.settings["arrive"])
    if "discharge" in data and handle.discharging is None:
        raise RequestError(
            "network.cannot_update", name=handle.name, what="discharge", options=", ".join(MOVED), hint=""
        )
    changed = {field: per_item(handle.name, field, value, count, least=0.0) for field, value in data.items()}
    _check(handle.name, handle.settings | changed, net.horizon.steps)
    handle.settings.update(changed)
    place(net, handle)


def _check(name: str, own: dict[str, Floats], steps: int) -> None:
    """Refuses stays that end before they begin or lie outside the horizon, and levels above what is usable."""
    for what in ("arrive", "depart"):
        broken = own[what] != np.floor(own[what])
        if broken.any():
            item = int(np.argmax(broken))
            raise RequestError(
                "network.not_a_step", name=name, what=what, item=item + 1, value=own[what][item]
            )
    for what in ("energy", "level"):
        finite(name, what, own[what])
    for bad, code in (
        (own["depart"] < own["arrive"], "network.session_reversed"),
        (own["depart"] > steps, "network.session_outside"),
        ((own["efficiency"] > 1) | (own["efficiency"] <= 0), "network.session_efficiency"),
        (own["level"] + own["energy"] > own["usable"] * (1 + 1e-9), "network.session_too_much"),
    ):
        if bad.any():
            raise RequestError(code, name=name, item=int(np.argmax(bad)) + 1, steps=steps)
