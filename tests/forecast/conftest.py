"""A made-up series with known structure, and the real ones that the benchmark reads."""

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from mangrove import territory, testing
from mangrove.ledger import Ledger, Origin

FIRST = datetime(2024, 3, 3, 17, tzinfo=UTC)


@pytest.fixture(scope="session")
def real(data_dir):
    """Reads one of the benchmark's real series by name."""
    path = Path(__file__).parent.parent.parent / "benchmarks" / "forecast.py"
    spec = importlib.util.spec_from_file_location("benchmark_forecast", path)
    benchmark = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # it imports its neighbors, as a script does
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


FLOWS = [
    {"id": "office", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"},
    {"id": "price", "carrier": "process", "unit": "1", "step": "1h", "semantics": "state"},
    {"id": "new", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"},
    {"id": "silent", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"},
    {"id": "bill", "carrier": "fuel:diesel", "unit": "L", "step": "1mo"},
    {
        "id": "register",
        "carrier": "electricity",
        "unit": "kWh",
        "step": "1h",
        "semantics": "counter",
        "scope": "2",
    },
]


@pytest.fixture
def park(tmp_path, office_in_saigon):
    """A park with an office of eight weeks, a price that may be negative, and flows that cannot be forecast."""
    _, values = office_in_saigon
    declared = territory.load(testing.park_of(tmp_path / "park", FLOWS))
    hours = [FIRST + timedelta(hours=i) for i in range(len(values))]
    rows = [("office", at, float(value)) for at, value in zip(hours, values, strict=True)]
    rows += [("price", at, float(value) - 20) for at, value in zip(hours, values, strict=True)]
    rows += [("new", at, 1.0) for at in hours[-100:]]
    with Ledger.open(tmp_path / "store") as ledger:
        ledger.append(testing.values(rows), Origin("file:a.csv", "1"))
        yield declared, ledger
