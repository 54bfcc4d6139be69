# SPDX-License-Identifier: Apache-2.0
"""The rolling plan of a site: built once as a network, then only its data change and the next solve starts warm.

Comes in: a site, its prices and options; for each plan a `State` and an outlook. Goes out: a `Plan` with set-points for the next step,
what is expected of the rest, what had to give way, and what one more unit of each limit would save. The first day is planned in
short steps, what lies behind it in hours: the far steps only tell the near ones what energy will be worth.

The horizon begins at the last whole window of the demand meter. Steps of that window that are over stay in the plan as they were
metered, so that its mean is billed right, and so that the structure is the same at every step.

The connection, batteries, sun and wind are written here and not by the files of their kinds, for speed and for what only a rolling plan
knows: a month that may end inside the horizon, means that began before it, announced plans, what energy is worth at its end. A test
holds both to the same cost. All other units come from the files of their kinds, see `mangrove.operate.machines`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.operate.machines import MOVING, WEATHER, Machines, Moment, ends
from mangrove.operate.prices import Prices
from mangrove.operate.site import Battery, Site, Station
from mangrove.operate.state import HOUR_SECONDS, SECOND, Session, State
from mangrove.operate.timing import moment_of
from mangrove.operate.units import making
from mangrove.operate.vehicles import Vehicles

if TYPE_CHECKING:
    from mangrove.network import Network
    from mangrove.network import Plan as Solved

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
END_VALUE = 0.99
"""Energy left at the end is worth this share of what it would spare at the lowest price ahead: never worth charging for."""
_PAYABLE = 0.5
"""Share of the coming generation that a debt of exports may take before a plan stops selling."""
ANNOUNCED = 1e-3
"""Keeping to an announced plan is worth this share of a typical price: it decides between plans of nearly equal cost."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a site is planned.

    Attributes:
        seconds: length of a step; horizon: hours planned; fine: hours of them in single steps, the rest in hours.
        scenarios: S equally likely futures; now: steps whose set-points are equal in all of them.
        slots: vehicles that a plan has room for; it grows when there are more.
        carbon: money per kWh drawn, beside its price (an emission factor times a carbon price).
        time_limit: seconds after which a plan is given up.

    A site with a swap station or a batch is planned in single steps alone (`fine` hours): packs are counted in classes of one step, and
    a run takes a number of them.
    """

    seconds: int = 900
    horizon: float = 48.0
    fine: float = 24.0
    scenarios: int = 1
    now: int = 4
    slots: int = 0
    carbon: float = 0.0
    time_limit: float = 10.0

    def __post_init__(self) -> None:
        hour = HOUR_SECONDS
        whole = self.seconds > 0 and hour % self.seconds == 0
        if not whole or not 0 < self.fine <= self.horizon or self.scenarios < 1 or self.now < 1:
            raise RequestError("operate.bad_options", options=str(self))


@dataclass(frozen=True, eq=False)
class Layout:
    """The steps of a plan: N short ones, of which those behind the first day are joined to hours (T in all)."""

    seconds: int
    short: int
    joined: int
    each: int

    @classmethod
    def of(cls, options: Options) -> Layout:
        """The steps that the options ask for; a part of an hour at the end is left out."""
        each = HOUR_SECONDS // options.seconds
        short = round(options.fine * each)
        return cls(options.seconds, short, int(options.horizon - options.fine), each)

    @property
    def count(self) -> int:
        """N, the short steps of the horizon."""
        return self.short + self.joined * self.each

    @cached_property
    def hours(self) -> Floats:
        """(T,) length of each step."""
        lengths: Floats = np.r_[np.full(self.short, self.seconds / HOUR_SECONDS), np.ones(self.joined)]
        return lengths

    @cached_property
    def edges(self) -> Ints:
        """(T + 1,) where each step begins, in short steps."""
        begins: Ints = np.r_[np.arange(self.short), self.short + np.arange(self.joined + 1) * self.each]
        return begins

    def join(self, series: Floats) -> Floats:
        """(..., N) to (..., T): means of what is joined."""
        tail = series[..., self.short :].reshape(*series.shape[:-1], self.joined, self.each).mean(axis=-1)
        return np.concatenate([series[..., : self.short], tail], axis=-1)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a site is going to do.

    Attributes:
        at: the moment of planning; starts, hours: (T,) the steps; the first `lead` of them are over.
        imported, exported: (S, T) kW.
        powers: (S, T) kW by battery and swap station (positive charges) and by session.
        generated: (S, T) kW by generator that is used.
        levels: (S, T) kWh by battery or store (kg of hydrogen) at the end of each step.
        price: (S, T) money per kWh that one more kWh of load would cost.
        peak: kW that will be billed for the running month, as far as the plan sees; infinite when nobody bills them.
        window: steps over which the demand meter averages.
        missing: kWh by session that it will lack when it leaves, because its stay is too short for its charger.
        solved: the solution of the network: costs, shadow prices, iterations.
        machines: (S, T) by unit: kW (kg/h, m3/h) of its activity; of a flexible load what it draws, of a store what goes in.
        electric: (S, T) kW by unit that it takes from the bus (negative: gives).
        flows: (S, T) by declared flow of a unit or of a need, in units per hour.
        bought: (S, T) by carrier that is bought beside electricity, in units per hour.
        worth: (T,) by battery: money that one more kWh in it would save from the step on.
    """

    at: np.datetime64
    starts: npt.NDArray[np.datetime64]
    hours: Floats
    lead: int
    imported: Floats
    exported: Floats
    powers: Mapping[str, Floats]
    generated: Mapping[str, Floats]
    levels: Mapping[str, Floats]
    peak: float
    window: int
    missing: Mapping[str, float]
    solved: Solved
    _node: Any = field(repr=False)
    machines: Mapping[str, Floats] = field(default_factory=dict)
    electric: Mapping[str, Floats] = field(default_factory=dict)
    flows: Mapping[str, Floats] = field(default_factory=dict)
    bought: Mapping[str, Floats] = field(default_factory=dict)
    worth: Mapping[str, Floats] = field(default_factory=dict)

    def setpoints(self) -> dict[str, float]:
        """KW for the next step, by id: batteries and swap stations (positive charges), sessions, units (see `machines`)."""
        return self.orders(0)

    def orders(self, step: int) -> dict[str, float]:
        """The set-points of the step that is `step` later than the next one."""
        both = {**self.powers, **self.machines}
        return {name: float(series[0, self.lead + step]) for name, series in both.items()}

    def ceiling(self, step: int = 0) -> float:
        """KW that the import of the next step (or of one `step` later) may have before the billed peak rises.

        The demand meter averages over a window: what the other steps of it take, metered or planned, is left out.
        """
        at = self.lead + step
        first = at // self.window * self.window
        drawn = self.imported[:, first : first + self.window].mean(axis=0)
        return self.peak * self.window - float(drawn.sum() - drawn[at - first])

    @property
    def price(self) -> Floats:
        """(S, T) money per kWh that one more kWh of load would cost."""
        found: Floats = self.solved.price(self._node)[0]
        return found

    @property
    def relaxed(self) -> tuple[Any, ...]:
        """What had to give way; see `mangrove.network.Relaxation`."""
        return self.solved.relaxed


class Planner:
    """The plans of one site.

    Args:
        site: what is operated.
        prices: cover every step that will be planned.
        options: see `Options`.

    Invariants:
        The structure of the network depends on the site and the options alone; a plan changes data only. Sites with swap
        stations, shiftable loads, batches or series of temperatures are built anew each time.
    """

    def __init__(self, site: Site, prices: Prices, options: Options | None = None) -> None:
        self.site = site
        self.prices = prices
        self.options = options or Options(seconds=prices.seconds)
        if self.options.seconds != prices.seconds:
            raise RequestError("operate.other_steps", plan=self.options.seconds, prices=prices.seconds)
        if site.stations or any(unit.kind == "batch" for unit in site.units):
            self.options = replace(self.options, horizon=self.options.fine)
        self.layout = Layout.of(self.options)
        self.vehicles = Vehicles(site, self.layout, prices.hours, self.options.slots)
        self.rebuilds = bool(site.stations) or any(unit.kind in MOVING for unit in site.units)
        self._ways = making(site.units)
        self._net: Network | None = None
        self._machines: Machines | None = None
        self._h: dict[str, Any] = {}

    def replan(
        self, state: State, outlook: Mapping[str, Floats], *, announced: Mapping[str, Floats] | None = None
    ) -> Plan:
        """The plan of least expected cost from `state` on.

        Args:
            state: see `State`; its window holds the metered steps of the running window.
            outlook: name of a series of `site.inputs` -> (S, N) or (N,) kW for the N short steps from `state.at` on; also
                `<id>#temperature` (degrees Celsius) and `<id>#cop` of a heat pump or a chiller where they are known.
            announced: battery -> (T,) kW that was announced for the steps of this plan (NaN: nothing was); of two plans of nearly
                equal cost the one that keeps to it is taken.

        Raises:
            RequestError: a series is missing, too short, negative or not a number; the moment has no prices.
            InfeasibleError: what never gives way contradicts itself.
        """
        data = self._data(state, outlook)
        sessions = list(state.sessions)
        now: Moment = data["moment"]
        if self.vehicles.grow(sessions) or self._net is None or self.rebuilds or data["weather"]:
            self._build(data, state)
        elif self._machines is not None:
            self._machines.update(now)
        net, h = self._net, self._h
        assert net is not None
        net.update(h["import"], cost=data["buy"])
        if "export" in h:
            net.update(h["sale"], cost=-data["sell"])
        net.update(h["load"], amount=data["load"])
        for generator in self.site.generators:
            net.update(h[generator.id], upper=data[generator.id])
        self._update_batteries(net, state, data, announced or {})
        self._update_peak(net, state, data)
        self._update_allowance(net, state, data)
        self.vehicles.update(net, sessions, data["lead"], state.at)
        if self.options.scenarios > 1:
            net.solver = None  # far from the last optimum a warm start is slower than presolve (measured at 20 scenarios)
        return self._read(state, sessions, data, net.solve(time_limit=self.options.time_limit))

    # The data of one plan

    def _data(self, state: State, outlook: Mapping[str, Floats]) -> dict[str, Any]:
        """Series over the T steps, with the steps of the running window that are over in front."""
        prices, layout = self.prices, self.layout
        lead = len(state.window)
        if lead >= prices.window:
            raise RequestError("operate.window_over", steps=lead, window=prices.window)
        first = prices.index(state.at) - lead
        span = slice(max(first, 0), max(first, 0) + layout.count)
        if first < 0 or span.stop > len(prices.buy):
            raise RequestError("operate.no_prices", at=str(state.at), horizon=self.options.horizon)
        found: dict[str, Any] = {"lead": lead, "first": first}
        buy = prices.buy[span] + self.options.carbon
        found["buy"], found["sell"] = layout.join(buy), layout.join(prices.sell[span])
        found["month"] = prices.month[span][layout.edges[:-1]]
        found["cheapest"] = float(buy.min())
        site = self.site
        keys = ("load", *(one.id for one in site.generators), *(one.id for one in site.stations))
        for key, name in zip(keys, site.inputs, strict=False):
            series = self._expected(name, outlook)
            past = np.asarray(state.window) if key == "load" else np.zeros(lead)
            whole = np.concatenate([np.broadcast_to(past, (len(series), lead)), series], axis=-1)
            found[key] = layout.join(whole[:, : layout.count])[None]
        for generator in self.site.generators:
            found[generator.id] = np.minimum(found[generator.id], generator.capacity)
        others = {
            name: self._later(self._expected(name, outlook), lead, 0.0) for name in site.inputs[len(keys) :]
        }
        weather = {
            name: self._later(self._expected(name, outlook, least=-np.inf), lead, None)
            for unit in site.units
            for kind in WEATHER
            if (name := f"{unit.id}#{kind}") in outlook
        }
        found["weather"] = bool(weather)
        found["moment"] = moment_of(
            site, layout, state, others | weather, lead=lead, offset=prices.offset,
            worth=ends(site, self._ways, END_VALUE * found["cheapest"]),
        )  # fmt: skip
        return found

    def _later(self, series: Floats, lead: int, before: float | None) -> Floats:
        """(S, T) of an expected series; `before` stands in the steps that are over, or the first value (None)."""
        past = np.broadcast_to(series[:, :1] if before is None else before, (len(series), lead))
        return self.layout.join(np.concatenate([past, series], axis=-1)[:, : self.layout.count])

    def _expected(self, name: str, outlook: Mapping[str, Floats], least: float = 0.0) -> Floats:
        """(S, N) of one series, checked."""
        if name not in outlook:
            raise RequestError("operate.no_outlook", name=name, known=", ".join(outlook) or "-")
        series = np.atleast_2d(np.asarray(outlook[name], dtype=np.float64))
        wanted = (self.options.scenarios, self.layout.count)
        if len(series) not in (1, wanted[0]) or series.shape[1] < wanted[1]:
            got = " x ".join(map(str, series.shape))
            raise RequestError(
                "operate.outlook_shape", name=name, got=got, scenarios=wanted[0], steps=wanted[1]
            )
        series = series[:, : wanted[1]]
        bad = ~(np.isfinite(series) & (series >= least))
        if bad.any():
            at = int(np.argmax(bad.any(axis=0)))
            raise RequestError(
                "operate.outlook_value", name=name, step=at, value=str(series[bad.any(axis=1)][0, at])
            )
        return np.broadcast_to(series, wanted)

    # The network

    def _build(self, data: Mapping[str, Any], state: State) -> None:
        """The structure: one bus, the connection, and what is behind it."""
        from mangrove.network import Horizon, Network

        site, options, layout = self.site, self.options, self.layout
        count = options.scenarios
        now = min(options.now + self.prices.window - 1, layout.short)
        net = Network(
            Horizon.chronological(layout.hours),
            probabilities=np.full(count, 1.0 / count),
            here_and_now=now if count > 1 else 0,
        )
        bus = net.node(site.place)
        h: dict[str, Any] = {"bus": bus}
        h["import"] = net.source("import", bus, cost=data["buy"], upper=site.importing)
        if site.exporting > 0:
            h["export"], h["sale"] = feed_in(
                net, bus, site.exporting, data["sell"], capped=self.prices.cap is not None
            )
            net.exclusive(h["import"], h["export"])
        h["load"] = net.sink("load", bus, amount=data["load"])
        for generator in site.generators:
            h[generator.id] = net.source(generator.id, bus, upper=data[generator.id])
        for b in site.batteries:
            h[b.id] = net.store(
                b.id, bus, energy=b.energy, charge=b.charge, discharge=b.discharge, efficiency=b.efficiency,
                loss=b.loss, floor=b.floor, wear=b.wear, start=b.floor, end="free",
            )  # fmt: skip
            if b.taper is not None:
                _taper(net, b, h[b.id])
        for station in site.stations:
            h[station.id] = self._station(net, bus, station, data, state)
        if self.prices.has_demand():
            h["peak"] = self._peak(net, h["import"])
        if self.prices.cap is not None and "export" in h:
            cap = float(self.prices.cap[data["first"]])
            own = [(h[generator.id], -cap) for generator in site.generators]
            h["allowance"] = net.budget("export cap", [(h["sale"], 1.0), *own], upper=0.0)
            h["cap"] = cap
        self.vehicles.build(net, bus)
        self._machines = Machines(net, bus, site, data["moment"]) if site.units or site.needs else None
        self._net, self._h = net, h

    def _station(
        self, net: Network, bus: Any, station: Station, data: Mapping[str, Any], state: State
    ) -> Mapping[str, Any]:
        """The streams of a swap station; steps that are over stay without charging and swaps."""
        from mangrove.network.assets import KINDS, Setting

        now = {"packs": state.packs[station.id]} if station.id in state.packs else {}
        demand = data[station.id][0]
        demand[:, : data["lead"]] = 0.0
        setting = Setting(
            net, lambda _place, _carrier: bus, self.site.place, series={"demand": demand}, now=now
        )
        streams: Mapping[str, Any] = KINDS["swap_station"].build(setting, station.id, station.values).streams
        for role in ("charge", "discharge"):
            net.program.upper[streams[role].columns[:, :, : data["lead"]]] = 0.0
        return streams

    def _peak(self, net: Network, grid: Any) -> Any:
        """The highest mean power of the running month and of the next one: every block can count for either."""
        layout, window = self.layout, self.prices.window
        joined = layout.short // window + np.arange(layout.joined)
        block = np.r_[np.arange(layout.short) // window, joined]
        members = np.ones((2, len(block)))
        return net.peak("demand", [grid], price=np.zeros(2), group=members, window=block, metered=np.zeros(2))

    def _update_peak(self, net: Network, state: State, data: Mapping[str, Any]) -> None:
        """Lets each block count for its own month, above what is metered already."""
        if "peak" not in self._h:
            return
        peak, month = self._h["peak"], data["month"]
        layout, window = self.layout, self.prices.window
        of_block = np.r_[month[: layout.short : window], month[layout.short :]]
        running = int(month[0])
        never = np.where(of_block == running, 0.0, -np.inf)
        carry = np.r_[never, np.where(of_block > running, 0.0, -np.inf)]
        after = min(running + 1, len(self.prices.demand) - 1)
        metered = state.peak if state.month in (running, -1) else 0.0
        price = np.array([self.prices.demand[running], self.prices.demand[after]])
        net.update(peak, metered=np.array([metered, 0.0]), price=price, carry=carry)

    def _update_batteries(
        self, net: Network, state: State, data: Mapping[str, Any], announced: Mapping[str, Floats]
    ) -> None:
        """Levels now, no power in steps that are over, and what is left at the end."""
        lead, steps = data["lead"], len(data["buy"])
        typical = float(np.median(np.abs(data["buy"])))
        for b in self.site.batteries:
            store = self._h[b.id]
            if b.id not in state.levels:
                raise RequestError("operate.no_level", id=b.id)
            level = min(max(state.levels[b.id], 0.0), b.energy)
            keep = (1.0 - b.loss) ** (lead * self.prices.hours)
            charge, discharge = np.full(steps, b.charge), np.full(steps, b.discharge)
            charge[:lead] = discharge[:lead] = 0.0
            net.update(store, start=min(level / keep, b.energy), charge=charge, discharge=discharge)
            worth = END_VALUE * b.efficiency[1] * data["cheapest"] - b.wear
            net.program.cost[store.level[:, :, -1]] = -max(worth, 0.0) * net.probabilities
            if b.id in announced:
                bonus = ANNOUNCED * typical
                told = np.asarray(announced[b.id], dtype=np.float64)
                net.update(store.charging, cost=-bonus * (told > 0))
                net.update(store.discharging, cost=b.wear - bonus * (told < 0))

    def _update_allowance(self, net: Network, state: State, data: Mapping[str, Any]) -> None:
        """What may still be sold; a debt that this horizon's generation will hardly pay back leaves nothing to sell."""
        if "allowance" not in self._h:
            return
        coming = sum(
            float((data[g.id].min(axis=1)[0] * self.layout.hours).sum()) for g in self.site.generators
        )
        left = state.allowance or 0.0
        open_ = left > -_PAYABLE * self._h["cap"] * coming
        net.update(self._h["allowance"], upper=left if open_ else 0.0)
        net.update(self._h["sale"], upper=self.site.exporting if open_ else 0.0)

    def _read(self, state: State, sessions: list[Session], data: Mapping[str, Any], solved: Solved) -> Plan:
        """The arrays of a plan."""
        h, layout = self._h, self.layout
        powers = {}
        for b in self.site.batteries:
            powers[b.id] = solved.rate(h[b.id].charging)[0] - solved.rate(h[b.id].discharging)[0]
        for station in self.site.stations:
            into, out = (solved.rate(h[station.id][role]).sum(axis=0) for role in ("charge", "discharge"))
            powers[station.id] = into - out
        powers.update(self.vehicles.rates(sessions, solved))
        imported = solved.rate(h["import"])[0]
        peak = np.inf
        if "peak" in h:
            peak = float(np.max(np.atleast_2d(solved.peak(h["peak"]))[:, 0]))
        begin = state.at - data["lead"] * layout.seconds * SECOND
        levels = {b.id: solved.level(h[b.id])[0] for b in self.site.batteries}
        own: dict[str, Any] = {}
        if (m := self._machines) is not None:
            now = data["moment"]
            levels.update({id_: solved.level(store)[0] for id_, store in m.stores.items()})
            own = {
                name: read(solved, now)
                for name, read in (("machines", m.setpoints), ("electric", m.electric), ("flows", m.flows))
            }
            own["bought"] = {carrier: solved.rate(stream)[0] for carrier, stream in m.bought.items()}
        own["worth"] = {b.id: _worth(self._net, h[b.id], solved) for b in self.site.batteries}
        return Plan(
            state.at,
            begin + layout.edges[:-1] * (layout.seconds * SECOND),
            layout.hours,
            data["lead"],
            imported,
            solved.rate(h["export"])[0] if "export" in h else np.zeros_like(imported),
            powers,
            {g.id: solved.rate(h[g.id])[0] for g in self.site.generators},
            levels,
            peak,
            self.prices.window,
            self.vehicles.missing(sessions, state.at),
            solved,
            h["bus"],
            **own,
        )


def feed_in(net: Network, bus: Any, exporting: float, price: Any, *, capped: bool) -> tuple[Any, Any]:
    """What leaves the site, and what of it is paid; under a cap the rest may leave unpaid.

    Args:
        net: the network.
        bus: of the site.
        exporting: limit of the connection, kW.
        price: money per kWh, a number or a series.
        capped: whether only a share is paid.
    """
    if not capped:
        sold = net.sink("export", bus, cost=-price, upper=exporting)
        return sold, sold
    meter = net.node("feed-in")
    export = net.link("export", bus, meter, capacity=exporting)
    sale = net.sink("sale", meter, cost=-price, upper=exporting)
    net.sink("unpaid", meter)
    return export, sale


def _taper(net: Network, battery: Battery, store: Any) -> None:
    """u+_t + c e_t <= P + c a E with c = (P / E) (1 - r) / (1 - a): what the battery accepts near full."""
    assert battery.taper is not None
    begin, left = battery.taper
    slope = battery.charge / battery.energy * (1.0 - left) / (1.0 - begin)
    upper = battery.charge + slope * begin * battery.energy
    rows = net.program.rows(f"{battery.id} taper", store.charging.columns.shape, upper=upper)
    net.program.terms(rows, store.charging.columns, 1.0)
    net.program.terms(rows, store.level, slope)


def _worth(net: Any, store: Any, solved: Solved) -> Floats:
    """(T,) money per kWh of level, from the duals of the rows by which the level follows from the one before."""
    from mangrove.network import Node

    rows = store.first[:, :, None] + np.arange(net.horizon.steps)
    found: Floats = -(
        np.nan_to_num(solved.price(Node(store.name, (store.name,), rows, ("",)))[0]) * net.money
    ).sum(axis=0)
    return found
