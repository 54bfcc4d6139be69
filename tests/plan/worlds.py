"""Small sizing problems whose answers are known, and a seeded year."""

import numpy as np

from mangrove.plan.finance import Money
from mangrove.plan.problem import Case, Limits, Size, Supply, battery, converter, pv, tank, wind

MONTHS = np.repeat(np.arange(12), np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * 24)
ONE_YEAR = Money(years=1, discount=0.0)


def seeded(days=365, seed=0):
    """Load, sun and time-of-use price of a factory, hour by hour."""
    rng = np.random.default_rng(seed)
    hour, day = np.arange(days * 24) % 24, np.arange(days * 24) // 24
    load = 700 + 500 * np.exp(-(((hour - 14) / 5.0) ** 2)) * np.where(day % 7 == 6, 0.5, 1.0)
    load *= rng.normal(1, 0.05, days * 24) * (1 + 0.1 * np.sin(2 * np.pi * day / 365))
    sun = np.clip(np.sin(np.pi * (hour - 6) / 12), 0, None) * np.repeat(rng.beta(4, 1.5, days), 24)
    price = np.where(hour >= 6, 1833.0, 1190.0)
    price[(hour >= 17) & (hour < 22) & (day % 7 != 6)] = 3398.0
    return load, sun, price


def factory(days=365, seed=0, *, candidates=None, money=None, **more):
    """A factory with a two-part tariff that may build a roof and a battery; VND."""
    load, sun, price = seeded(days, seed)
    grid = Supply(
        "grid",
        buy=price,
        sell=671.0,
        export=500.0,
        share=0.2,
        demand=235414.0,
        month=MONTHS[: days * 24],
        factor=0.6592,
    )
    if candidates is None:
        candidates = (
            pv("roof", sun, cost=16e6, om=2.4e5, life=25.0, most=4000.0, degradation=0.005, area=5.0),
            battery(
                "battery", power=Size(cost=3e6, life=12.0, most=3000.0), energy=Size(cost=4.5e6, life=12.0, most=9000.0),
                efficiency=(0.95, 0.95), floor=0.1,
            ),
        )  # fmt: skip
    money = money or Money(years=20, discount=0.10, tax=0.2, energy=0.04, om=0.03)
    return Case({"electricity": load}, (grid,), candidates, money=money, **more)


def with_hydrogen(days=28, **more):
    """Electricity and hydrogen: sun, wind, battery, electrolyzer, tank, and hydrogen by truck."""
    load, sun, price = seeded(days, 3)
    rng = np.random.default_rng(5)
    blow = np.repeat(rng.uniform(0, 1, days * 2), 12)
    need = np.full(days * 24, 20.0)
    grid = Supply("grid", buy=price, factor=0.6592, demand=200000.0, month=MONTHS[: days * 24])
    truck = Supply("truck", carrier="hydrogen", buy=9000.0)
    things = (
        pv("roof", sun, cost=14e6, life=25.0, most=3000.0),
        wind("wind", blow, cost=30e6, life=25.0, most=2000.0),
        converter("electrolyzer", {"electricity": -1.0, "hydrogen": 0.68}, cost=20e6, life=20.0, most=500.0),
        tank("tank", "hydrogen", cost=4e5, life=20.0, most=20000.0),
    )
    money = Money(years=20, discount=0.08, energy=0.03)
    return Case({"electricity": load, "hydrogen": need}, (grid, truck), things, money=money, **more)


def tiny(load, buy, candidates=(), *, money=ONE_YEAR, **more):
    """One day of prices and loads by hour; amounts are multiplied by 365."""
    grid = {
        key: more.pop(key)
        for key in ("sell", "export", "share", "upper", "factor", "demand", "month")
        if key in more
    }
    return Case({"electricity": np.asarray(load, float)}, (Supply(buy=np.asarray(buy, float), **grid),), candidates,
                money=money, **more)  # fmt: skip


__all__ = ["MONTHS", "ONE_YEAR", "Limits", "factory", "seeded", "tiny", "with_hydrogen"]
