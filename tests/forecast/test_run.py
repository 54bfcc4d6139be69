"""Forecasts over a ledger: read what was known, stored beside what happened, with score, inputs and reasons."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mangrove import testing
from mangrove.errors import DataQualityError, RequestError
from mangrove.forecast.run import forecast
from mangrove.ledger import Origin
from mangrove.ledger.types import series

CHEAP = ("naive", "ridge")
FIRST = datetime(2024, 3, 3, 17, tzinfo=UTC)
END = FIRST + timedelta(days=56)
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_flow_is_forecast_from_the_end_of_its_values_and_stored_beside_them(park):
    declared, ledger = park
    report = forecast(ledger, declared, ["office"], models=CHEAP)
    assert report.origin == END
    one = report.forecasts["office"]
    assert one.score.skill > 0.1
    with ledger.snapshot() as snapshot:
        for run, row in (("forecast/q10", 0), ("forecast", 1), ("forecast/q90", 2)):
            stored = snapshot.values([series("office", run)], END, END + timedelta(days=3))
            np.testing.assert_array_equal(stored.column("value").to_numpy(), one.quantiles[row])
            assert stored.column("start")[0].as_py() == END
        happened = snapshot.values(["office"], FIRST, END + timedelta(days=3))
        assert happened.num_rows == 56 * 24
        [batch] = snapshot.lineage([series("office", "forecast")], END, END + timedelta(days=3))
    assert batch.run == "forecast"
    assert "skill" in batch.note
    assert f"record:{report.record}" in batch.inputs
    document = json.loads(ledger.record(report.record)[1])
    assert document["flows"]["office"]["score"]["skill"] == one.score.skill


def test_flows_that_cannot_be_forecast_get_a_reason_in_two_languages(park):
    declared, ledger = park
    report = forecast(ledger, declared, list(declared.flows), models=CHEAP, store=False)
    assert list(report.forecasts) == ["office", "price"]
    assert {name: reason.code for name, reason in report.reasons.items()} == {
        "new": "forecast.flow_too_short", "silent": "forecast.no_values", "bill": "forecast.no_step",
        "register": "forecast.no_values",
    }  # fmt: skip
    assert report.receipts == []
    for problem in report.problems():
        for lang in ("en", "vi"):
            assert "{" not in problem.text(lang)


def test_a_state_may_be_negative(park):
    report = forecast(park[1], park[0], ["price"], models=CHEAP, store=False)
    assert report.forecasts["price"].quantiles.min() < 0


def test_the_same_question_gives_the_same_numbers_and_is_stored_once(park):
    declared, ledger = park
    first = forecast(ledger, declared, ["office"], models=CHEAP)
    again = forecast(ledger, declared, ["office"], origin=END, as_of=datetime.now(UTC), models=CHEAP)
    np.testing.assert_array_equal(first.forecasts["office"].quantiles, again.forecasts["office"].quantiles)
    with ledger.snapshot() as snapshot:
        stored = snapshot.history(series("office", "forecast"), END, END + timedelta(days=3))
    assert stored.num_rows == 48


def test_values_after_the_origin_change_nothing(park):
    declared, ledger = park
    origin = END - timedelta(days=3)
    before = forecast(ledger, declared, ["office"], origin, as_of=LATER, models=CHEAP, store=False)
    wild = [("office", origin + timedelta(hours=i), 1e6) for i in range(72)]
    ledger.append(testing.values(wild), Origin("file:b.csv", "2"))
    after = forecast(ledger, declared, ["office"], origin, as_of=LATER, models=CHEAP, store=False)
    np.testing.assert_array_equal(before.forecasts["office"].quantiles, after.forecasts["office"].quantiles)


def test_what_was_recorded_after_the_origin_was_not_known_then(park):
    declared, ledger = park
    report = forecast(ledger, declared, ["office"], END, models=CHEAP)
    assert report.forecasts == {}
    assert report.reasons["office"].code == "forecast.recorded_later"
    assert "as_of" in report.reasons["office"].text()


def test_values_of_bad_quality_are_left_out(park):
    declared, ledger = park
    before = forecast(ledger, declared, ["office"], END, as_of=LATER, models=CHEAP, store=False)
    stuck = [("office", END - timedelta(hours=i), 1e6) for i in range(1, 5)]
    ledger.append(testing.values(stuck, quality=5), Origin("model:screening", "1"))
    after = forecast(ledger, declared, ["office"], END, as_of=LATER, models=CHEAP, store=False)
    assert after.forecasts["office"].quantiles.max() < 1.5 * before.forecasts["office"].quantiles.max()


def test_an_old_last_value_is_said(park):
    declared, ledger = park
    report = forecast(
        ledger, declared, ["office"], END + timedelta(days=4), as_of=LATER, models=CHEAP, store=False
    )
    assert [note.code for note in report.notes] == ["forecast.stale"]


def test_samples_and_a_table_come_with_the_report(park):
    report = forecast(park[1], park[0], ["office", "price"], horizon="24h", models=CHEAP, store=False)
    drawn = report.samples(6, seed=1)
    assert {name: one.shape for name, one in drawn.items()} == {"office": (6, 24), "price": (6, 24)}
    table = report.to_arrow()
    assert table.column_names == ["flow", "start", "q10", "q50", "q90"]
    assert table.num_rows == 48


def test_a_wrong_question_is_refused(park):
    declared, ledger = park
    with pytest.raises(RequestError, match="office"):
        forecast(ledger, declared, ["offise"])
    with pytest.raises(RequestError, match="14 days"):
        forecast(ledger, declared, ["office"], horizon="30d")
    with pytest.raises(DataQualityError):
        forecast(ledger, declared, ["silent"])
