"""The weather around a flow: only what was known in time is used, and a poisoned future changes nothing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mangrove import territory, testing
from mangrove.forecast import features
from mangrove.forecast.calendar import Clock
from mangrove.forecast.outside import Outside
from mangrove.forecast.run import forecast
from mangrove.forecast.table import Table
from mangrove.ledger import Ledger, Origin, store
from mangrove.times import zone

FIRST = datetime(2024, 3, 3, 17, tzinfo=UTC)
DAYS = 70
END = FIRST + timedelta(days=DAYS)
CHEAP = ("naive", "ridge")
FLOWS = [
    {"id": "load", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"},
    {"id": "heat", "carrier": "weather:temperature", "unit": "degC", "step": "1h", "semantics": "state"},
]


@pytest.fixture
def clock_of_records(monkeypatch):
    """Sets the moment at which the ledger records."""

    class Clock:
        at = FIRST

    class Fake(datetime):
        @classmethod
        def now(cls, tz=None):
            return Clock.at.astimezone(tz)

    monkeypatch.setattr(store, "datetime", Fake)
    return Clock


def world(folder, clock):
    """A load that follows tomorrow's temperature, which was forecast with a small error at noon of the day before."""
    declared = territory.load(testing.park_of(folder / "park", FLOWS))
    rng = np.random.default_rng(1)
    daily = 28 + 4 * rng.standard_normal(DAYS + 3)
    ledger = Ledger.open(folder / "store")
    for day in range(DAYS + 1):
        midnight = FIRST + timedelta(days=day)
        hours = [midnight + timedelta(hours=h) for h in range(24)]
        clock.at = midnight - timedelta(hours=5)
        rows = [("heat", at, float(daily[day] + 0.2 * rng.standard_normal())) for at in hours]
        ledger.append(testing.values(rows), Origin("weather:office", f"f{day}", "forecast"))
        clock.at = midnight
        before = [at - timedelta(days=1) for at in hours]
        if day:
            rows = [("load", at, float(10 + 3 * daily[day - 1] + rng.standard_normal())) for at in before]
            rows += [("heat", at, float(daily[day - 1])) for at in before]
            ledger.append(testing.values(rows), Origin("file:a", f"a{day}"))
    return declared, ledger, daily


def test_a_forecast_of_the_weather_that_was_there_in_time_is_used(tmp_path, clock_of_records):
    declared, ledger, daily = world(tmp_path, clock_of_records)
    with ledger:
        origin, at = END + timedelta(minutes=2), END
        made = forecast(
            ledger, declared, ["load"], at, as_of=origin, horizon="24h", models=CHEAP, store=False
        )
        blind = forecast(
            ledger, declared, ["load"], at, as_of=origin, horizon="24h", models=CHEAP, store=False,
            weather={"load": (np.array(["2020-01-01"], dtype="datetime64[s]"), np.array([[0.0]]))},
        )  # fmt: skip
    truth = 10 + 3 * daily[DAYS]
    assert abs(made.forecasts["load"].median.mean() - truth) < 2.5
    assert abs(made.forecasts["load"].median.mean() - truth) < abs(
        blind.forecasts["load"].median.mean() - truth
    )
    assert made.forecasts["load"].score.mae < 0.5 * blind.forecasts["load"].score.mae


def test_a_poisoned_future_changes_nothing(tmp_path, clock_of_records):
    """Weather that was observed, or forecast, after the origin must not be seen: neither by what it says nor by when it says it."""
    declared, ledger, _ = world(tmp_path, clock_of_records)
    origin = END - timedelta(days=3)
    with ledger:
        question = {
            "as_of": origin,
            "horizon": "48h",
            "models": CHEAP,
            "store": False,
            "lagged_weather": True,
        }
        before = forecast(ledger, declared, ["load"], origin, **question)
        clock_of_records.at = END + timedelta(days=1)
        for run in ("measured", "forecast"):
            wild = [("heat", FIRST + timedelta(hours=h), 900.0) for h in range(24 * (DAYS + 1))]
            ledger.append(testing.values(wild), Origin("poison", run, run))
        after = forecast(ledger, declared, ["load"], origin, **question)
        later = forecast(ledger, declared, ["load"], origin, **question | {"as_of": END + timedelta(days=2)})
    np.testing.assert_array_equal(before.forecasts["load"].quantiles, after.forecasts["load"].quantiles)
    # With everything that is known now, forecasts of past days still count as they stood when those days began.
    np.testing.assert_array_equal(before.forecasts["load"].quantiles, later.forecasts["load"].quantiles)


def test_a_history_imported_in_one_piece_holds_no_forecasts_in_time(tmp_path, clock_of_records):
    declared = territory.load(testing.park_of(tmp_path / "park", FLOWS))
    clock_of_records.at = END
    with Ledger.open(tmp_path / "store") as ledger:
        for name, run in (("load", "measured"), ("heat", "measured"), ("heat", "forecast")):
            rows = [(name, FIRST + timedelta(hours=h), 20.0 + h % 7) for h in range(24 * DAYS)]
            ledger.append(testing.values(rows), Origin("file:all", f"{name}{run}", run))
        with ledger.snapshot() as snapshot:
            none = Outside(snapshot, declared, END, lagged=False).of(declared.flows["load"], 3600, 86_400)
            weather, observed = Outside(snapshot, declared, END, lagged=True).of(
                declared.flows["load"], 3600, 86_400
            )
    assert none == (None, None)
    assert weather is None
    assert observed is not None
    assert observed[1].shape == (24 * DAYS, 1)


def test_what_was_observed_describes_the_days_after_it_only():
    clock = Clock.of(1.0, zone("UTC"))
    table = Table(clock, 1)
    starts = np.datetime64("2024-01-01", "s") + np.arange(24 * 20) * np.timedelta64(3600, "s")
    table.put(starts, np.arange(24.0 * 20)[:, None])
    origin = np.array([table.first + 10])
    before = features.lately(table, origin)
    assert before.shape == (1, 24, 3)
    assert before[0, 0].tolist() == [9 * 24 + 11.5, 9 * 24 + 21.5, (3 * 24 + 10 * 24 - 1) / 2]
    table.put(starts[24 * 10 :], np.full((24 * 10, 1), 1e9))
    np.testing.assert_array_equal(features.lately(table, origin), before)


def test_shorter_steps_are_averaged_and_longer_ones_repeated(tmp_path):
    for step, expected in (("15min", [1.5, 5.5]), ("1d", [0.0, 0.0])):
        folder = tmp_path / step
        flows = [FLOWS[0], FLOWS[1] | {"step": step}]
        declared = territory.load(testing.park_of(folder / "park", flows))
        seconds = declared.flows["heat"].step.seconds
        rows = [
            ("heat", FIRST + timedelta(seconds=seconds * i), float(i)) for i in range(2 * 86_400 // seconds)
        ]
        with Ledger.open(folder / "store") as ledger:
            ledger.append(testing.values(rows), Origin("file:a", "1"))
            with ledger.snapshot() as snapshot:
                _, found = Outside(snapshot, declared, END, lagged=True).of(
                    declared.flows["load"], 3600, 86_400
                )
        assert found[1][:2, 0].tolist() == expected


def test_the_weather_is_forecast_only_when_it_is_asked_for(tmp_path, clock_of_records):
    declared, ledger, _ = world(tmp_path, clock_of_records)
    with ledger:
        question = {"as_of": END + timedelta(days=1), "horizon": "24h", "models": CHEAP, "store": False}
        assert list(forecast(ledger, declared, (), END, **question).forecasts) == ["load"]
        assert list(forecast(ledger, declared, ["heat"], END, **question).forecasts) == ["heat"]
