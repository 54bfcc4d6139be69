# SPDX-License-Identifier: Apache-2.0
"""Communities for tests: firms with sun and batteries under Vietnamese prices (VND/kWh of Decision 1279, 22-110 kV; 671 for surplus)."""

from dataclasses import replace

import numpy as np

from mangrove.settle.community import Community, Storage


def park(n: int, steps: int, seed: int = 0, *, batteries: float = 0.4, **change) -> Community:
    """`n` firms over `steps` hours; `batteries` is the part of firms that has one."""
    rng = np.random.default_rng(seed)
    hour = np.arange(steps) % 24
    size = rng.uniform(50.0, 500.0, n)[:, None]
    load = size * (1 + 0.4 * np.sin((hour + rng.uniform(0, 24, n)[:, None]) * np.pi / 12))
    load *= rng.uniform(0.85, 1.15, (n, steps))
    roofs = np.where(rng.random(n) < 0.5, rng.uniform(0.5, 3.0, n), 0.0)[:, None]
    sun = roofs * size * np.maximum(np.sin((hour - 6) * np.pi / 12), 0.0) * rng.uniform(0.4, 1.0, steps)
    has = np.where(rng.random(n) < batteries, size[:, 0], 0.0)
    buy = np.where((hour >= 18) & (hour < 22), 3398.0, np.where(hour < 6, 1190.0, 1833.0))
    storage = Storage(2.0 * has, has, has, (0.95, 0.95), 30.0) if batteries else None
    names = tuple(f"firm {i:03d}" for i in range(n))
    made = Community(names, load, sun, buy, np.full(steps, 671.0), storage=storage, fee=20.0)
    return replace(made, **change)
