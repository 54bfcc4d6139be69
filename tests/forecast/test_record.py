"""Every forecast is stored with its later score: against a naive made from what was known then, once, and read back as a table."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mangrove import testing
from mangrove.forecast.record import due, naive_quantiles, score_stored, scores, sums
from mangrove.forecast.run import forecast
from mangrove.forecast.score import score
from mangrove.ledger import Origin

CHEAP = ("naive", "ridge")
FIRST = datetime(2024, 3, 3, 17, tzinfo=UTC)
END = FIRST + timedelta(days=56)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEGIN = END - timedelta(days=4)


def happened(ledger):
    with ledger.snapshot() as snapshot:
        return snapshot.values(["office"], FIRST, END).column("value").to_numpy()


def test_a_forecast_whose_hours_are_over_is_scored_once_and_read_back(park):
    declared, ledger = park
    made = forecast(ledger, declared, ["office"], BEGIN, as_of=LATER, models=CHEAP).forecasts["office"]
    assert score_stored(ledger, ledger, declared, BEGIN + 47 * HOUR) == 0  # not over yet
    assert score_stored(ledger, ledger, declared, BEGIN + 48 * HOUR) == 1
    assert score_stored(ledger, ledger, declared, BEGIN + 480 * HOUR) == 0  # once
    rows = scores(ledger).to_pylist()
    assert [(row["from_hour"], row["to_hour"], row["steps"]) for row in rows] == [
        (0, 6, 6),
        (6, 24, 18),
        (24, 48, 24),
    ]
    actual = happened(ledger)[52 * 24 : 54 * 24]
    missed = np.abs(actual - made.median)
    for row, part in zip(rows, (slice(0, 6), slice(6, 24), slice(24, 48)), strict=True):
        assert row["mae"] == pytest.approx(missed[part].mean())
        assert row["model"] == "mix"
        week = happened(ledger)[45 * 24 : 47 * 24]
        assert row["naive_mae"] == pytest.approx(np.abs(actual - week)[part].mean())
        assert row["forecasts"] == 1
    inside = ((actual >= made.quantiles[0]) & (actual <= made.quantiles[2]))[24:].mean()
    assert rows[2]["coverage"] == pytest.approx(inside)


def test_a_later_forecast_of_the_same_hours_does_not_change_the_score_of_an_earlier_one(park):
    declared, ledger = park
    first = forecast(ledger, declared, ["office"], BEGIN, as_of=LATER, models=CHEAP).forecasts["office"]
    second = forecast(ledger, declared, ["office"], BEGIN + 24 * HOUR, as_of=LATER, models=CHEAP).forecasts[
        "office"
    ]
    assert not np.array_equal(first.median[24:], second.median[:24])
    assert score_stored(ledger, ledger, declared, END) == 2
    [day_after] = [row for row in scores(ledger).to_pylist() if row["from_hour"] == 24]
    actual = happened(ledger)
    missed = np.abs(actual[53 * 24 : 54 * 24] - first.median[24:]).sum()
    missed += np.abs(actual[54 * 24 : 55 * 24] - second.median[24:]).sum()
    assert day_after["mae"] == pytest.approx(missed / 48)
    assert day_after["forecasts"] == 2
    since = scores(ledger, since=BEGIN + HOUR).to_pylist()
    assert {row["forecasts"] for row in since} == {1}
    assert scores(ledger, ["price"]).num_rows == 0


def test_the_naive_is_what_was_known_then(park):
    declared, ledger = park
    starts = np.datetime64(BEGIN.replace(tzinfo=None), "s") + np.arange(48) * np.timedelta64(3600, "s")
    question = {"starts": starts, "levels": (0.1, 0.5, 0.9), "origin": BEGIN}
    with ledger.snapshot() as snapshot:
        then = naive_quantiles(snapshot, declared.flows["office"], declared, **question)
    np.testing.assert_array_equal(then[1], happened(ledger)[45 * 24 : 47 * 24])
    poison = [("office", BEGIN + i * HOUR, 1e6) for i in range(72)]
    ledger.append(testing.values(poison), Origin("file:poison.csv", "9"))
    with ledger.snapshot() as snapshot:
        after = naive_quantiles(snapshot, declared.flows["office"], declared, **question)
    np.testing.assert_array_equal(then, after)


def test_a_forecast_waits_for_values(park):
    declared, ledger = park
    forecast(ledger, declared, ["office"], models=CHEAP)
    assert list(due(ledger, declared, END + timedelta(days=9))) == []
    late = [("office", END + i * HOUR, 20.0) for i in range(48)]
    ledger.append(testing.values(late), Origin("file:late.csv", "7"))
    [document] = due(ledger, declared, END + timedelta(days=9))
    assert set(document["flows"]["office"]) == {"0-6", "6-24", "24-48"}


def test_sums_say_what_the_score_says():
    rng = np.random.default_rng(1)
    quantiles = np.sort(rng.gamma(2, 2, (3, 10, 24)), axis=0)
    quantiles[0, :, :8] = 0.0
    actual, naive = rng.gamma(2, 2, (10, 24)), np.sort(rng.gamma(2, 2, (3, 10, 24)), axis=0)
    whole = score(quantiles, (0.1, 0.5, 0.9), actual, naive, 1.0, lower=0.0)
    flat = sums(quantiles.reshape(3, -1), (0.1, 0.5, 0.9), actual.ravel(), naive.reshape(3, -1), 0.0)
    assert flat["pinball"] / flat["size"] == pytest.approx(whole.pinball)
    assert flat["absolute"] / flat["steps"] == pytest.approx(whole.mae)
    assert flat["inside"] / flat["told"] == pytest.approx(whole.coverage)
    assert flat["promised"] / flat["told"] == pytest.approx(whole.nominal) == pytest.approx(0.8 + 0.1 / 3)
    assert 1 - flat["naive_pinball"] / flat["size"] == pytest.approx(1 - whole.naive_pinball)
