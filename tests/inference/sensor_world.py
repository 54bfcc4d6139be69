"""A made-up city with sensors: zones in a square, two sectors with days of their own, winds that turn; the truth is known."""

from dataclasses import dataclass, replace

import numpy as np

from mangrove.inference.plume import Winds, projected
from mangrove.inference.sensor_model import Beliefs, Model, Scene

KM = 1000.0
TRAFFIC = np.array(
    [3, 2, 1, 1, 2, 6, 16, 22, 18, 13, 12, 13, 12, 12, 13, 15, 19, 22, 18, 12, 9, 7, 5, 4], dtype=float
)
INDUSTRY = np.array([8] * 7 + [11] * 11 + [8] * 6, dtype=float)


@dataclass
class World:
    """A scene without readings, and what is needed to make them."""

    scene: Scene
    beliefs: Beliefs
    model: Model


def build(*, stations=8, days=7, zones=3, cells=12, species=1, seed=0, beliefs=None, prior=100.0):
    """A city of `zones`^2 zones and `cells`^2 cells of 1 km, two sectors, `stations` sensors of each species."""
    random = np.random.default_rng(seed)
    hours = np.arange(24.0 * days)
    local = (hours % 24).astype(int)
    degrees = np.cumsum(random.normal(0, 18, len(hours))) + 90
    speed = 2.5 + 1.5 * np.sin((local - 8) / 24 * 2 * np.pi) ** 2 + random.uniform(0, 1, len(hours))
    mixing = np.where((local > 8) & (local < 18), 1200.0, 300.0)
    stable = np.where((local > 8) & (local < 18), 1, 4)
    winds = Winds.coming_from(speed, degrees, mixing=mixing, stability=stable)
    middle = (np.arange(cells) + 0.5) * KM
    grid = np.stack([np.tile(middle, cells), np.repeat(middle, cells), np.full(cells**2, 10.0)], axis=1)
    zone = (grid[:, 1] // (cells * KM / zones) * zones + grid[:, 0] // (cells * KM / zones)).astype(int)
    maps = np.zeros((cells**2, 2 * zones**2))
    for sector in range(2):
        density = random.gamma(2.0, 0.5, cells**2)
        for z in range(zones**2):
            mine = zone == z
            maps[mine, sector * zones**2 + z] = density[mine]
    maps *= prior / maps.sum()  # kg/s over the city
    at = np.concatenate(
        [random.uniform(0.1, 0.9, (stations, 2)) * cells * KM, np.full((stations, 1), 10.0)], axis=1
    )
    response = projected(at, grid, winds, maps, cell_size=KM) * 1e6  # mg/m3
    profile = np.stack([TRAFFIC, INDUSTRY])
    profile /= profile.mean(axis=1, keepdims=True)
    sector = np.repeat([0, 1], zones**2)
    response *= profile[sector][:, local].T[None, :, :]
    mix = np.array([[1.0, 1.0], [0.05, 0.01], [0.004, 0.006]])[:species]
    columns = np.concatenate([response * share[sector][None, None, :] for share in mix])
    series = np.repeat(np.arange(stations * species), len(hours))
    unit = np.array([1.0, 0.05, 0.005])[:species]
    of = np.repeat(np.arange(species), stations)
    scene = Scene(
        reading=np.zeros(len(series)),
        response=columns.reshape(len(series), -1),
        series=series,
        hour=np.tile(hours, stations * species),
        local_hour=np.tile(local, stations * species),
        wind=np.tile((degrees % 360 // 45).astype(int), stations * species),
        noise=2.0 * unit[of][series],
        background=np.zeros(len(series)),
        station=np.tile(np.arange(stations), species),
        species=of,
        sector=sector,
        zone=np.tile(np.arange(zones**2), 2),
        prior=maps.sum(axis=0) * 3600 * len(hours),
        positions=np.stack([np.tile(np.arange(zones), zones), np.repeat(np.arange(zones), zones)], axis=1)
        * cells
        / zones,
    )
    beliefs = beliefs or Beliefs()
    beliefs = replace(
        beliefs,
        background=5.0 * unit,
        background_rate=0.5 * unit,
        by_wind=1.0 * unit,
        offset=0.5 * unit,
        offset_rate=0.1 * unit,
    )
    return World(scene, beliefs, Model(scene, beliefs))


def truth(world, seed):
    """A state drawn from the prior."""
    random = np.random.default_rng(seed)
    parts = [
        part.mean + part.right(random.standard_normal((part.columns, 1)))[:, 0]
        for part in world.model.parts.values()
    ]
    return np.concatenate(parts)


def observed(world, state, seed):
    """The scene with readings of a state and noise as stated."""
    random = np.random.default_rng(seed + 10_000)
    reading = world.model.predict(state) + np.sqrt(world.model.noise) * random.standard_normal(
        len(world.scene.reading)
    )
    return replace(world.scene, reading=reading)


def true_total(world, state):
    """Emissions of the period in a state, with the mean change of each sector."""
    x = state[world.model.slices["multipliers"]].copy()
    change = state[world.model.slices["change"]].reshape(-1, world.model.sectors)
    x += (world.model.days[:, 1:].mean(axis=0) @ change)[world.scene.sector]
    return float(world.scene.prior @ np.exp(x))
