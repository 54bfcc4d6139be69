"""A made-up series with known structure, and the real ones that the benchmark reads."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def real(data_dir):
    """Reads one of the benchmark's real series by name."""
    path = Path(__file__).parent.parent.parent / "benchmarks" / "forecast.py"
    spec = importlib.util.spec_from_file_location("benchmark_forecast", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    return lambda name: benchmark.SERIES[name](data_dir)


@pytest.fixture
def office():
    """Eight weeks of an office, hourly, local time UTC+7: high on working days, with noise; starts and values."""
    return make_office(56)


@pytest.fixture
def office_in_saigon():
    """The same office, closed on the day of the Hùng kings."""
    return make_office(56, closed=["2024-04-18"])


def make_office(days, seed=1, closed=()):
    starts = np.datetime64("2024-03-03T17", "s") + np.arange(days * 24) * np.timedelta64(3600, "s")
    local = starts + np.timedelta64(7 * 3600, "s")
    hour = local.astype("datetime64[h]").astype(int) % 24
    weekday = (local.astype("datetime64[D]").astype(int) + 3) % 7
    off = np.isin(local.astype("datetime64[D]"), np.array(closed, dtype="datetime64[D]"))
    busy = (hour >= 8) & (hour < 18) & (weekday < 5) & ~off
    noise = np.random.default_rng(seed).normal(0, 2, len(starts))
    return starts, np.maximum(10 + 40 * busy + noise, 0)
