# SPDX-License-Identifier: Apache-2.0
"""Inversion of sensors: time for a week of a city, coverage of the truth, and what a drifting sensor does to the city total.

Run with `OPENBLAS_NUM_THREADS=1 python benchmarks/inversion.py`; prints one line a bar. CPU seconds.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.inference.sensor_world import KM, build, observed, true_total, truth

from mangrove.inference.covariance import Dense, Prior, Separable, Stacked, exponential
from mangrove.inference.gaussian import posterior
from mangrove.inference.inversion import invert
from mangrove.inference.nuisance import walk_basis
from mangrove.inference.plume import Winds, footprint, projected
from mangrove.inference.running import Running

SENSORS, HOURS, ACROSS, ALONG = 20, 168, 75, 90
RUNS = 200


def city(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Winds, np.ndarray]:
    """Receptors, cells of 75 x 90 km, a week of winds, and the local hour."""
    random = np.random.default_rng(seed)
    hour = np.arange(HOURS)
    winds = Winds.coming_from(
        2 + random.gamma(2, 1, HOURS), np.cumsum(random.normal(0, 15, HOURS)) + 90,
        mixing=np.where((hour % 24 > 8) & (hour % 24 < 18), 1200.0, 300.0), stability=3,
    )  # fmt: skip
    east, north = (np.arange(ACROSS) + 0.5) * KM, (np.arange(ALONG) + 0.5) * KM
    cells = np.stack([np.tile(east, ALONG), np.repeat(north, ACROSS), np.full(ACROSS * ALONG, 10.0)], axis=1)
    at = np.concatenate([random.uniform(20, 55, (SENSORS, 2)) * KM, np.full((SENSORS, 1), 10.0)], axis=1)
    return at, cells, winds, hour


def by_sector_and_zone() -> float:
    """The default route: 6,750 cells, 4 sectors x 36 zones, hourly background, drift of each sensor, scales from the data."""
    at, cells, winds, hour = city()
    random = np.random.default_rng(1)
    zone = (cells[:, 1] // (15 * KM) * 6 + cells[:, 0] // (12.5 * KM)).astype(int)
    maps = np.zeros((len(cells), 4 * 36))
    for sector in range(4):
        maps[np.arange(len(cells)), sector * 36 + zone] = random.gamma(0.5, 1.0, len(cells))
    maps *= 500 / maps.sum()
    world = build(stations=SENSORS, days=7, cells=2, zones=2)
    began = process_time()
    response = projected(at, cells, winds, maps, cell_size=KM) * 1e6
    sector = np.repeat(np.arange(4), 36)
    shape = 1 + 0.5 * np.sin((hour[:, None] % 24 - 6 * np.arange(4)[None, :]) / 24 * 2 * np.pi)
    response = (response * shape[:, sector][None]).reshape(-1, 144)
    footprints = process_time() - began
    scene = replace(
        world.scene,
        response=response,
        sector=sector,
        zone=np.tile(np.arange(36), 4),
        prior=maps.sum(axis=0),
        positions=None,
    )
    world = replace(world, scene=scene, model=type(world.model)(scene, world.beliefs))
    scene = observed(world, truth(world, 3), 3)
    began = process_time()
    found = invert(scene, world.beliefs)
    solved = process_time() - began
    say(
        "sector x zone",
        f"{footprints + solved:.2f} s CPU (footprints {footprints:.2f}, inversion {solved:.2f})",
        "5 s",
    )
    say("  degrees of freedom, chi2", f"{found.dofs:.0f}, {found.chi2:.3f}", "0.9-1.1")
    return footprints + solved


def by_cell() -> float:
    """Every cell a state: separable prior (L = 5 km, 50 %), hourly background, gain of each sensor; single precision and double."""
    at, cells, winds, _ = city()
    random = np.random.default_rng(2)
    emitted = random.gamma(0.5, 1.0, len(cells)) * 500 / len(cells) / 0.5
    axes = tuple(exponential(np.arange(float(n)) * 1.0, 5.0) for n in (ALONG, ACROSS))
    truth_ = (
        1
        + 0.5
        * Separable(np.zeros(len(cells)), np.ones(len(cells)), axes).right(
            random.standard_normal((len(cells), 1))
        )[:, 0]
    )
    for kind in (np.float64, np.float32):
        began = process_time()
        response = footprint(at, cells, winds, cell_size=KM, dtype=kind).reshape(-1, len(cells)) * (
            emitted * 1e6
        )[None].astype(kind)
        prepared = process_time() - began
        hours = np.tile(np.arange(float(HOURS)), SENSORS)
        air = walk_basis(hours, 1.0, HOURS - 1.0).astype(kind)
        expected = response.sum(axis=1)
        gains = (np.repeat(np.eye(SENSORS), HOURS, axis=0) * expected[:, None]).astype(kind)
        noise = np.full(len(hours), 9.0, dtype=kind)
        y = (response @ truth_.astype(kind) + random.normal(0, 3.0, len(hours))).astype(kind)
        began = process_time()
        ones = np.ones(len(cells), dtype=kind)
        prior = Stacked((
            Separable(ones, 0.5 * ones, tuple(axis.astype(kind) for axis in axes)),
            Dense(np.zeros(HOURS, dtype=kind), np.diag(np.r_[5.0, np.full(HOURS - 1, 0.5)]).astype(kind)),
            Prior.independent(np.zeros(SENSORS, dtype=kind), np.full(SENSORS, 0.05**2, dtype=kind)),
        ))  # fmt: skip
        found = posterior(np.concatenate([response, air, gains], axis=1), y, noise, prior)
        weight = np.concatenate([emitted, np.zeros(HOURS + SENSORS)]).astype(kind)[None]
        sd = float(found.sd(weight)[0])
        before = float(np.sqrt(np.sum(prior.left(weight) ** 2)))
        solved = process_time() - began
        total, true = float(weight[0] @ found.mean), float(emitted @ truth_)
        say(
            f"6,750 cells, {np.dtype(kind).name}",
            f"{prepared + solved:.2f} s CPU (footprints {prepared:.2f}, estimate {solved:.2f})",
            "5 s",
        )
        say(
            "  city total: truth, prior, posterior",
            f"{true:.0f}, {emitted.sum():.0f} +- {before:.0f}, {total:.0f} +- {sd:.0f}",
            "-",
        )
    return prepared + solved


def coverage() -> None:
    """Truth drawn from the prior, a week of 8 sensors, scales estimated anew each time."""
    world = build(stations=8, days=7)
    inside, single, chi = [], [], []
    for run in range(RUNS):
        state = truth(world, run)
        found = invert(observed(world, state, run), world.beliefs)
        city_total = found.amount()
        inside.append(city_total.low <= true_total(world, state) <= city_total.high)
        _, low, high = found.multipliers
        at = np.exp(found.sources @ state)
        single.append(np.mean((low <= at) & (at <= high)))
        chi.append(found.chi2)
    say(f"city total inside the 95 % interval, {RUNS} runs", f"{100 * np.mean(inside):.1f} %", "93-97 %")
    say("single multipliers inside theirs", f"{100 * np.mean(single):.1f} %", "93-97 %")
    say(
        "reduced chi-square: mean, least, most",
        f"{np.mean(chi):.3f}, {np.min(chi):.3f}, {np.max(chi):.3f}",
        "0.9-1.1",
    )


def drift() -> None:
    """One of 20 sensors reads more and more, up to 30 % too much, or jumps by 30 % on the fourth day: each sensor in turn."""
    world = build(stations=SENSORS, days=7, cells=20)
    scene = observed(world, truth(world, 1), 1)
    clean = invert(scene, world.beliefs).amount().mean
    stiff = replace(world.beliefs, gain=1e-4, gain_rate=1e-4, offset=1e-4, offset_rate=1e-4)
    without_clean = invert(scene, stiff).amount().mean
    for name in ("ramp", "jump"):
        moved, without = [], []
        for sensor in range(SENSORS):
            mine = scene.series == sensor
            factor = (
                np.where(scene.hour > 72, 1.3, 1.0)
                if name == "jump"
                else 1 + 0.3 * scene.hour / scene.hour.max()
            )
            wrong = replace(scene, reading=np.where(mine, scene.reading * factor, scene.reading))
            moved.append(invert(wrong, world.beliefs).amount().mean / clean - 1)
            without.append(invert(wrong, stiff).amount().mean / without_clean - 1)
        say(f"+30 % {name} of one sensor moves the total: median, most",
            f"{100 * np.median(np.abs(moved)):.2f} %, {100 * np.max(np.abs(moved)):.2f} % "
            f"(without drift states {100 * np.max(np.abs(without)):.1f} %)", "2 %")  # fmt: skip


def one_meter() -> None:
    """A new value of one meter: 6,750 states with 50 shared factors, the city total and its sd."""
    random = np.random.default_rng(0)
    m = 6750
    state = Running.factors(
        Prior(np.ones(m), 0.1 * random.normal(size=(m, 50)), np.ones(50), np.full(m, 0.25))
    )
    state.watch("city", np.ones(m))
    times = []
    for _ in range(200):
        at = [int(random.integers(m))]
        began = perf_counter()
        state.observe(at, [1.0], 1.1, 0.01)
        state.total("city")
        times.append(perf_counter() - began)
    revised = []
    for _ in range(200):
        began = perf_counter()
        state.revise(at, [1.0], 0.1, 0.01)
        state.total("city")
        revised.append(perf_counter() - began)
    say("a new fact moves the city total and its sd: median, 99 %",
        f"{1e3 * np.median(times):.2f} ms, {1e3 * np.quantile(times, 0.99):.2f} ms", "1 ms")  # fmt: skip
    say("a corrected value: median, 99 %",
        f"{1e3 * np.median(revised):.2f} ms, {1e3 * np.quantile(revised, 0.99):.2f} ms", "1 ms")  # fmt: skip


def say(job: str, figure: str, bar: str) -> None:
    """One line."""
    sys.stdout.write(f"{job:60s} {figure}   (bar: {bar})\n")
    sys.stdout.flush()


if __name__ == "__main__":
    chosen = sys.argv[1:]
    jobs = {
        "meter": one_meter,
        "week": by_sector_and_zone,
        "cells": by_cell,
        "drift": drift,
        "coverage": coverage,
    }
    for name, job in jobs.items():
        if not chosen or name in chosen:
            job()
