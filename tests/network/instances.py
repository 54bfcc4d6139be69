"""Three classes of energy problems as plain seeded arrays: what the tests, the benchmarks and the peers of the benchmarks all build.

Only numpy is needed, so that a peer's own environment can read the same numbers. Rates are in kW, amounts in kWh, money in VND.
Prices are those of a Vietnamese factory at 22-110 kV (Decision 1279/QD-BCT: 1,833 / 1,190 / 3,398 VND/kWh normal, off-peak, peak;
two-part pilot 235,414 VND/kW-month; surplus 671 VND/kWh), hours those of Decision 963/QD-BCT. Loads, sun, wind and vehicles are
drawn; they resemble nobody.

    SiteDay     one factory, 24 h in steps of 15 min: load, PV, two batteries, EV sessions with deadlines, time-of-use, demand charge
    ParkWeek    firms behind a park bus, 168 h: wires with a fee, PV and batteries at some, one demand charge at the gate
    SizingYear  8,760 h: PV, wind, battery kW and kWh, electrolyzer, fuel cell, hydrogen tank and demand, 12 monthly peaks, export share, CO2 cap
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NORMAL, OFF_PEAK, PEAK = 1833.0, 1190.0, 3398.0
SURPLUS = 671.0
DEMAND = 235_414.0
GRID_FACTOR = 0.6592  # kg CO2e per kWh, official grid factor of 2023


def time_of_use(hours: Array) -> Array:
    """VND/kWh at these hours of a weekday: peak 17:30-22:30, off-peak 00:00-06:00."""
    hour = hours % 24
    return np.where(hour < 6, OFF_PEAK, np.where((hour >= 17.5) & (hour < 22.5), PEAK, NORMAL))


def sun(hours: Array) -> Array:
    """Clear sky in [0, 1] at these hours: 6:00 to 18:00."""
    return np.maximum(0.0, np.sin(np.pi * (hours % 24 - 6) / 12)) ** 1.3


@dataclass(frozen=True)
class Sessions:
    """Vehicles: plugged in from step `arrive` until before step `depart`; `energy` kWh wanted in the vehicle, `power` kW at the plug."""

    arrive: NDArray[np.int64]
    depart: NDArray[np.int64]
    energy: Array
    power: Array
    efficiency: float = 0.92

    def plugged(self, steps: int) -> NDArray[np.bool_]:
        """Which step each vehicle is there, (n, T)."""
        step = np.arange(steps)
        return (step >= self.arrive[:, None]) & (step < self.depart[:, None])


@dataclass(frozen=True)
class SiteDay:
    """One factory; leading axis of `load` and `pv` is the scenario where there is more than one."""

    hours: float  # of a step
    load: Array  # (S, T) kW
    pv: Array  # (S, T) kW that the roof could give
    buy: Array  # (T,) VND/kWh
    sell: Array  # (T,) VND/kWh
    demand: float  # VND per kW of the highest step
    metered: float  # kW already billed this month
    connection: float  # kW
    energy: Array  # (2,) kWh of each battery
    power: Array  # (2,) kW in and out
    start: Array  # (2,) kWh, also the least at the end
    efficiency: float  # each way
    wear: float  # VND per kWh discharged
    sessions: Sessions
    now: int = 0  # first steps in which what is decided is equal in all scenarios

    @property
    def steps(self) -> int:
        return self.load.shape[1]

    @property
    def scenarios(self) -> int:
        return self.load.shape[0]


def site_day(vehicles: int = 20, seed: int = 1) -> SiteDay:
    """The site day: a factory of about 1 MW, 800 kWp, 500 + 300 kWh of batteries, 20 vehicles."""
    rng = np.random.default_rng(seed)
    steps, hours = 96, 0.25
    hour = np.arange(steps) * hours
    shift = 1 / (1 + np.exp(-(hour - 7) * 1.5)) - 1 / (1 + np.exp(-(hour - 20) * 1.5))
    load = 350 + 600 * shift + 30 * rng.standard_normal(steps)
    pv = 800 * sun(hour) * np.clip(0.85 + 0.12 * rng.standard_normal(steps), 0.2, 1.0)
    arrive = rng.integers(24, 56, vehicles)
    stay = rng.integers(12, 36, vehicles)
    depart = np.minimum(arrive + stay, steps)
    power = rng.choice([7.0, 11.0, 22.0], vehicles)
    most = power * 0.92 * (depart - arrive) * hours
    return SiteDay(
        hours=hours,
        load=np.maximum(load, 50.0)[None],
        pv=pv[None],
        buy=time_of_use(hour),
        sell=np.full(steps, SURPLUS),
        demand=DEMAND / 30,
        metered=0.0,
        connection=2000.0,
        energy=np.array([500.0, 300.0]),
        power=np.array([250.0, 100.0]),
        start=np.array([200.0, 150.0]),
        efficiency=0.95,
        wear=150.0,
        sessions=Sessions(arrive, depart, np.minimum(rng.uniform(10, 50, vehicles), 0.9 * most), power),
    )


def stochastic_day(scenarios: int = 20, seed: int = 2) -> SiteDay:
    """The site day under scenarios of load and sun; what is decided in the first hour is the same in all."""
    rng = np.random.default_rng(seed)
    day = site_day()
    walk = np.cumsum(rng.standard_normal((scenarios, day.steps)), axis=1) * 0.01
    cloud = np.clip(1 + np.cumsum(rng.standard_normal((scenarios, day.steps)), axis=1) * 0.03, 0.2, 1.15)
    return replace(day, load=day.load * np.exp(walk), pv=day.pv * cloud, now=4)


@dataclass(frozen=True)
class ParkWeek:
    """Firms behind a park bus; row i of an (n, T) array is firm i."""

    hours: float
    load: Array  # (n, T) kW
    pv: Array  # (n, T) kW, zero rows for firms without a roof
    energy: Array  # (n,) kWh of battery, 0 for firms without
    power: Array  # (n,) kW
    wire: Array  # (n,) kW between firm and park, either way
    fee: float  # VND/kWh that a firm takes from the park bus
    buy: Array  # (T,) VND/kWh at the gate
    sell: Array  # (T,) VND/kWh at the gate
    demand: float  # VND per kW of the park's highest step
    efficiency: float = 0.95
    wear: float = 150.0

    @property
    def firms(self) -> int:
        return self.load.shape[0]

    @property
    def steps(self) -> int:
        return self.load.shape[1]


def park_week(firms: int = 50, steps: int = 168, seed: int = 3) -> ParkWeek:
    """Fifty firms from 100 kW to 1.5 MW: half with a roof, a third with a battery, each with its own rhythm."""
    rng = np.random.default_rng(seed)
    hour = np.arange(steps, dtype=float)
    size = rng.uniform(100, 1500, firms)[:, None]
    begin, end = rng.uniform(5, 9, (firms, 1)), rng.uniform(15, 23, (firms, 1))
    weekday = np.where(hour // 24 % 7 < 6, 1.0, 0.35)
    shift = ((hour % 24 >= begin) & (hour % 24 < end)) * weekday
    load = size * (0.25 + 0.65 * shift) * np.exp(0.08 * rng.standard_normal((firms, steps)))
    roof = size * rng.uniform(0.5, 2.0, (firms, 1)) * (rng.random((firms, 1)) < 0.5)
    cloud = np.repeat(rng.uniform(0.4, 1.0, steps // 24 + 1), 24)[:steps]
    pv = roof * sun(hour) * cloud * np.clip(1 + 0.05 * rng.standard_normal((firms, steps)), 0.0, 1.1)
    has_battery = rng.random(firms) < 0.33
    power = np.where(has_battery, 0.3 * size[:, 0], 0.0)
    return ParkWeek(
        hours=1.0,
        load=load,
        pv=pv,
        energy=2 * power,
        power=power,
        wire=2 * np.maximum(load, pv).max(axis=1),
        fee=40.0,
        buy=time_of_use(hour),
        sell=np.full(steps, SURPLUS),
        demand=DEMAND / 30 * steps / 24,
    )


def coalitions(week: ParkWeek, count: int = 150, seed: int = 4) -> NDArray[np.bool_]:
    """Sampled coalitions of the firms, (count, n): sizes from one firm to all but one."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, week.firms, count)
    return rng.random((count, week.firms)).argsort(axis=1) < sizes[:, None]


def only(week: ParkWeek, members: NDArray[np.bool_]) -> ParkWeek:
    """The week of some of the firms."""
    per_firm = {name: getattr(week, name)[members] for name in ("load", "pv", "energy", "power", "wire")}
    return replace(week, **per_firm)


@dataclass(frozen=True)
class Costs:
    """VND a year per unit of size: annuity of the investment plus yearly upkeep."""

    pv: float
    wind: float
    battery_power: float
    battery_energy: float
    electrolyzer: float
    fuel_cell: float
    tank: float


def annuity(investment: float, life: float, upkeep: float = 0.0, discount: float = 0.10) -> float:
    """VND a year per unit for USD of investment and yearly upkeep per unit, at 26,000 VND/USD."""
    return 26_000 * (investment * discount / (1 - (1 + discount) ** -life) + upkeep)


@dataclass(frozen=True)
class SizingYear:
    """A plant whose sizes are to be chosen."""

    hours: float
    load: Array  # (T,) kW
    hydrogen: Array  # (T,) kW of hydrogen (lower heating value) that a process takes
    sun: Array  # (T,) kW per kWp
    wind: Array  # (T,) kW per kW
    buy: Array  # (T,)
    sell: Array  # (T,)
    month: NDArray[np.int64]  # (T,) 0 to 11
    demand: float  # VND per kW and month
    connection: float  # kW
    export_share: float  # of generation
    co2_cap: float  # kg in the horizon
    factor: float  # kg/kWh of grid electricity
    most: dict[str, float]  # largest size of pv and wind, kW
    costs: Costs
    battery_efficiency: float = 0.95  # each way
    electrolyzer_efficiency: float = 0.65
    fuel_cell_efficiency: float = 0.5
    wear: float = 50.0

    @property
    def steps(self) -> int:
        return self.load.shape[0]


def sizing_year(steps: int = 8760, seed: int = 5) -> SizingYear:
    """A plant of 10 MW with a hydrogen process. Fewer steps: the first hours of the year, costs scaled to them."""
    rng = np.random.default_rng(seed)
    hour = np.arange(8760, dtype=float)
    day = np.arange(365)
    weekday = np.repeat(np.where(day % 7 < 6, 1.0, 0.7), 24)
    season = 1 + 0.1 * np.sin(2 * np.pi * (hour - 2500) / 8760)
    work = 0.6 + 0.4 * ((hour % 24 >= 7) & (hour % 24 < 21))
    load = 10_000 * season * weekday * work * np.exp(0.03 * rng.standard_normal(8760))
    cloud = np.repeat(np.clip(rng.beta(4, 1.6, 365), 0.15, 1), 24)
    clear = sun(hour) * (0.95 + 0.08 * np.sin(2 * np.pi * (hour - 1900) / 8760)) * cloud
    gust = np.zeros(8760)
    noise = rng.standard_normal(8760)
    for t in range(1, 8760):
        gust[t] = 0.97 * gust[t - 1] + 0.24 * noise[t]
    speed = 7.6 + 1.5 * np.cos(2 * np.pi * hour / 8760) + 2.2 * gust
    breeze = np.clip((speed - 3) / 9, 0, 1) ** 2.2
    days = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    share = steps / 8760
    price = time_of_use(hour)
    price[np.repeat(day % 7 == 6, 24) & (price == PEAK)] = NORMAL
    demand = 400 + 150 * ((hour % 24 >= 8) & (hour % 24 < 18)) * weekday
    return SizingYear(
        hours=1.0,
        load=load[:steps],
        hydrogen=demand[:steps],
        sun=clear[:steps],
        wind=breeze[:steps],
        buy=price[:steps],
        sell=np.full(steps, SURPLUS),
        month=np.searchsorted(days, hour[:steps] // 24, side="right") - 1,
        demand=DEMAND,
        connection=30_000.0,
        export_share=0.20,
        co2_cap=0.4 * GRID_FACTOR * float(load[:steps].sum()),
        factor=GRID_FACTOR,
        most={"pv": 40_000.0, "wind": 20_000.0},
        costs=Costs(
            pv=share * annuity(525, 25, 9),
            wind=share * annuity(1350, 25, 27),
            battery_power=share * annuity(100, 15),
            battery_energy=share * annuity(150, 15, 2),
            electrolyzer=share * annuity(900, 20, 18),
            fuel_cell=share * annuity(1100, 15, 22),
            tank=share * annuity(15, 25),
        ),
    )
