# SPDX-License-Identifier: Apache-2.0
"""Battery-swap station: packs counted by class of charge, moved up by chargers, out by swaps, and down to the grid.

With m_{k,t} packs of class k = 0 .. S-1 (S-1 is full), up and dn packs charged and discharged by one class in a step, q swaps:
    m_{k,t} = m_{k,t-1} + up_{k-1} - up_k + dn_{k+1} - dn_k - [k full] q_t + ret_k q_t
    up_k + dn_k + [k full] q_t <= m_{k,t-1}          only packs that are there when the step begins
    sum_k (up_k + dn_k) <= bays
    q_t + v_t = demand_t,   sum_t v_t <= (1 - service) sum_t demand_t        (tier promised)
    bus: - c / eta up / h + c eta dn / h in kW,  c the energy of a class;  wear per kWh discharged
    full packs at the end >= those at the start (tier comfort), when the start is known; else the horizon is cyclic
A class is what a charger puts into a pack in one step (or a little less, so that a pack has a whole number of them). The linear
program finds the optimum of whole packs where packs come back at a class (the tests hold a day of 60 packs), and stays within
1 % below it where a return level between two classes divides them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Floats, Input, Kind, Parameter, Setting, Values
from mangrove.network.assets.battery import REOPT, ROUND_TRIP, wear
from mangrove.network.handles import Limit, Wish

Ints = npt.NDArray[np.int64]
_MOST_CLASSES = 200


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of charge: how many, kWh in one, kW at the meter while a pack moves up or down by one, share of returns in each."""

    count: int
    energy: float
    up: float
    down: float
    returned: Floats


def classes(values: Values, hours: float) -> Classes:
    """The classes of a station whose steps last `hours`.

    Example:
        >>> station = Values({"pack_energy": 1.6, "charger": 0.4, "round_trip": 1.0, "return_level": 0.1})
        >>> found = classes(station, 0.25)
        >>> found.count, round(found.energy, 3), found.returned[:3].round(2).tolist()
        (17, 0.1, [0.0, 0.4, 0.6])
    """
    eta = values["round_trip"] ** 0.5
    pack, charger = values["pack_energy"], values["charger"]
    moves = max(1, int(np.ceil(pack / (charger * hours * eta) - 1e-9)))
    if moves >= _MOST_CLASSES:
        raise RequestError("assets.too_many_classes", have=moves + 1, want=_MOST_CLASSES)
    energy = pack / moves
    level = values["return_level"] * moves
    below = int(np.floor(level + 1e-12))
    returned = np.zeros(moves + 1)
    returned[below] += 1.0 - (level - below)
    returned[min(below + 1, moves)] += level - below
    return Classes(moves + 1, energy, energy / eta / hours, energy * eta / hours, returned)


@dataclass(frozen=True, slots=True)
class Station:
    """A station under construction: its setting, what it declared, its classes and its streams."""

    setting: Setting
    name: str
    values: Values
    own: Classes
    up: Any
    down: Any
    served: Any
    lost: Any

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner of one row."""
        return (self.setting.owner,)


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """Streams of power per class, swaps and unserved swaps, and the rows that keep count of the packs."""
    net, node, hours = setting.network, setting.at("electricity"), setting.hours
    if len(np.unique(np.round(hours, 9))) > 1:
        raise RequestError("assets.unequal_steps", asset=asset_id)
    demand = setting.read(asset_id, "demand")
    own = classes(values, float(hours[0]))
    each, most = node[[0] * (own.count - 1)], values["bays"]
    down_most = most * own.down if values.word("two_way") == "yes" else 0.0
    rate = demand / hours
    station = Station(
        setting, asset_id, values, own,
        up=net.converter(f"{asset_id} charge", [(each, -1.0)], upper=most * own.up),
        down=net.converter(f"{asset_id} discharge", [(each, 1.0)], upper=down_most, cost=wear(values)),
        served=net.converter(f"{asset_id} swaps", [(node, 0.0)], upper=rate, decided=False),
        lost=net.converter(
            f"{asset_id} unserved", [(node, 0.0)], upper=rate, cost=values["lost_swap"], decided=False
        ),
    )  # fmt: skip
    net.earlier.append(station.up.columns)
    inner = {id(stream.columns) for stream in (station.up, station.down, station.served, station.lost)}
    net.limits[:] = [limit for limit in net.limits if id(limit.at) not in inner]
    packs = count_packs(station)
    bays(station)
    service = promise(station, demand)
    streams = {
        "charge": station.up,
        "discharge": station.down,
        "swaps": station.served,
        "unserved": station.lost,
    }
    flows = values.flows(charge="flow", discharge="discharge_flow")
    return Built(streams, flows=flows, extra={"packs": packs, "classes": own, "service": service})


def count_packs(station: Station) -> Ints:
    """The count of packs by class (S, scenarios, T), its balance, and what is there to be moved."""
    setting, own, name = station.setting, station.own, station.name
    hours, lp = setting.hours, setting.network.program
    shape = (own.count, *station.up.columns.shape[1:])
    owners = station.owners * own.count
    packs: Ints = lp.columns(f"{name} packs", shape, upper=station.values["packs"], owners=owners)
    begin = start_of(station)
    if begin is not None:
        setting.chronological(name)
    rows = lp.rows(f"{name} packs", shape, lower=0.0, upper=0.0, owners=owners)
    there = lp.rows(f"{name} there", shape, upper=0.0, owners=owners)
    lp.terms(rows, packs, 1.0)
    first, before = steps_before(setting.network.horizon.period)
    for block in (rows, there):
        if begin is None:
            lp.terms(block, packs[:, :, before], -1.0)
        else:
            lp.terms(block[:, :, ~first], packs[:, :, before[~first]], -1.0)
    if begin is not None:
        lp.row_lower[rows[:, :, 0]] = lp.row_upper[rows[:, :, 0]] = begin[:, None]
        lp.row_upper[there[:, :, 0]] = begin[:, None]
    lower, upper = slice(None, -1), slice(1, None)
    for stream, power, taken, given in (
        (station.up, own.up, lower, upper),
        (station.down, own.down, upper, lower),
    ):
        lp.terms(rows[taken], stream.columns, 1.0 / power)
        lp.terms(rows[given], stream.columns, -1.0 / power)
        lp.terms(there[taken], stream.columns, 1.0 / power)
    lp.terms(rows[-1:], station.served.columns, hours)
    lp.terms(rows, station.served.columns, -own.returned[:, None, None] * hours)
    lp.terms(there[-1:], station.served.columns, hours)
    end_of(station, packs, begin)
    return packs


def steps_before(period: Ints) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Whether a step is the first of its (representative) day or horizon, and the step before it, going around, each (T,).

    Example:
        >>> first, before = steps_before(np.array([0, 0, 1, 1]))
        >>> first.tolist(), before.tolist()
        ([True, False, True, False], [1, 0, 3, 2])
    """
    first = np.r_[True, period[1:] != period[:-1]]
    last = np.r_[np.flatnonzero(first)[1:] - 1, len(period) - 1]
    before = np.arange(len(period)) - 1
    before[first] = last
    return first, before


def start_of(station: Station) -> Floats | None:
    """Packs of each class before the first step: counted, or all at one level; None: as at the end of the horizon."""
    setting, count = station.setting, station.own.count
    if "packs" in setting.now:
        counted = np.asarray(setting.now["packs"], dtype=np.float64)
        if counted.shape != (count,) or not np.isfinite(counted).all() or (counted < 0).any():
            raise RequestError("assets.packs", asset=station.name, have=counted.size, want=count)
        return counted
    if setting.start is None:
        return None
    level = setting.start * (count - 1)
    below = min(int(level), count - 2)
    begin = np.zeros(count)
    begin[below] = station.values["packs"] * (below + 1 - level)
    begin[below + 1] = station.values["packs"] * (level - below)
    return begin


def end_of(station: Station, packs: Ints, begin: Floats | None) -> None:
    """A cyclic horizon (each representative day) holds all packs at its end; a known start asks for as many full packs (or the declared share) at the end."""
    lp, scenarios, count = station.setting.network.program, packs.shape[1], station.values["packs"]
    if begin is None:
        first, before = steps_before(station.setting.network.horizon.period)
        last = before[first]
        total = lp.rows(
            f"{station.name} total",
            (1, scenarios, len(last)),
            lower=count,
            upper=count,
            owners=station.owners,
        )
        lp.terms(total, packs[:, :, last], 1.0)
        return
    wanted = station.values["full_at_end"] * count if "full_at_end" in station.values else begin[-1]
    full = lp.rows(f"{station.name} full at the end", (1, scenarios), lower=wanted, owners=station.owners)
    lp.terms(full, packs[-1:, :, -1], 1.0)
    wish = Wish(
        f"{station.name} full at the end", "comfort", (station.name,), "lower", full, np.ones((1, scenarios))
    )
    station.setting.network.wishes.append(wish)


def bays(station: Station) -> None:
    """Sum over k of (up_k + dn_k) <= bays, in every step: the one limit of the station that could be widened.

    The bounds of the streams of each class follow from it, or are the swaps that are asked for; a price on them says nothing.
    """
    net = station.setting.network
    lp = net.program
    shape = (1, *station.up.columns.shape[1:])
    rows = lp.rows(f"{station.name} bays", shape, upper=station.values["bays"], owners=station.owners)
    lp.terms(rows, station.up.columns, 1.0 / station.own.up)
    lp.terms(rows, station.down.columns, 1.0 / station.own.down)
    net.limits.append(Limit(f"{station.name} bays", "capacity", rows, rows=True))


def promise(station: Station, demand: Floats) -> Ints:
    """q_t + v_t = demand_t, and the promised share of all swaps (1, scenarios)."""
    net, hours = station.setting.network, station.setting.hours
    shape = station.served.columns.shape
    lp, scenarios = net.program, shape[1]
    rows = lp.rows(f"{station.name} demand", shape, lower=demand, upper=demand, owners=station.owners)
    for stream in (station.served, station.lost):
        lp.terms(rows, stream.columns, hours)
    times = net.horizon.weights
    total = (np.broadcast_to(demand, shape[1:]) * times).sum(axis=1)
    allowed = (1.0 - station.values["service"]) * total
    service: Ints = lp.rows(f"{station.name} service", (1, scenarios), upper=allowed, owners=station.owners)
    lp.terms(service[:, :, None], station.lost.columns, hours * times)
    wish = Wish(
        f"{station.name} service", "promised", (station.name,), "upper", service, np.ones((1, scenarios))
    )
    net.wishes.append(wish)
    return service


def check(values: Values) -> Iterator[Finding]:
    """More bays than packs never work at the same time; wear needs both its numbers."""
    if values["bays"] > values["packs"]:
        yield "assets.band", {"low": "bays", "high": "packs"}
    if "replacement" in values and "cycles" not in values:
        yield "assets.goes_with", {"name": "replacement", "other": "cycles"}


PARAMETERS = (
    Parameter("packs", "item", "Packs at the station", "Số pin tại trạm", minimum=1.0, required=True),
    Parameter("bays", "item", "Packs that can be charged at the same time", "Số khoang sạc cùng lúc", minimum=1.0, required=True),
    Parameter("pack_energy", "kWh", "Usable energy of a pack", "Dung lượng sử dụng của một pin", minimum=0.01, required=True),
    Parameter("charger", "kW", "Power of one bay at the meter", "Công suất mỗi khoang tại công tơ", minimum=0.001, required=True),
    Parameter("round_trip", "1", "Energy that comes back of what goes in", "Tỷ lệ năng lượng lấy ra trên năng lượng nạp vào", ROUND_TRIP,
              REOPT + "; stationary cells stand in for packs", minimum=0.01, maximum=1.0),
    base.share("return_level", "Charge that is left in returned packs; empty unless declared", "Mức pin còn lại khi trả; coi là cạn nếu không khai",
               default=0.0, source="the safe side: a returned pack is empty"),
    base.share("service", "Share of the swaps that is promised", "Tỷ lệ lượt đổi được cam kết", default=1.0, source="every swap"),
    Parameter("lost_swap", "VND/item", "Cost of a swap that is not served", "Thiệt hại cho mỗi lượt đổi không phục vụ được", 0.0),
    Parameter("two_way", "text", "yes: packs may also give energy to the site", "yes: pin có thể phát ngược cho cơ sở", "no", "one way unless declared", options=("yes", "no")),
    Parameter("full_at_end", "1", "Share of packs that must be full at the end; as at the start unless declared",
              "Tỷ lệ pin đầy khi hết kỳ; bằng lúc đầu nếu không khai", maximum=1.0),
    Parameter("replacement", "VND/kWh", "Cost of new cells per kWh, for wear by discharge to the site", "Chi phí thay tế bào trên mỗi kWh, để tính hao mòn khi phát ngược"),
    Parameter("cycles", "1", "Cycles until replacement", "Số chu kỳ đến khi thay", minimum=1.0),
    Parameter("depth", "1", "Depth of those cycles", "Độ sâu của các chu kỳ đó", 1.0, "full cycles", minimum=0.01, maximum=1.0),
    base.flow(about="Flow that meters the charging", about_vi="Dòng đo điện sạc"),
    base.flow("discharge_flow", "Flow that meters what comes back", "Dòng đo điện phát ngược"),
    base.flow("demand_flow", "Flow that counts the swaps", "Dòng đếm lượt đổi pin"),
)  # fmt: skip
KIND = Kind("swap_station", "Battery-swap station", "Trạm đổi pin", PARAMETERS, build, check=check,
            inputs=(Input("demand", "item", "Swaps wanted in each step", "Số lượt đổi cần trong từng bước"),),
            example="packs=60 item; bays=20 item; pack_energy=1.6 kWh; charger=400 W; demand_flow=swaps")  # fmt: skip
