# SPDX-License-Identifier: Apache-2.0
"""The same formula on what happened and on what was scheduled."""

from datetime import UTC, datetime, timedelta

import pytest

import mangrove as mg
from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.testing import assert_same_rows, steady, two_factory_park, values

START = datetime(2022, 12, 31, 17, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def park(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    measured = [*steady("mill.power", START, HOUR, 72, 500.0), *steady("mill.coal", START, DAY, 3, 2.5)]
    scheduled = [(flow, start, value / 2) for flow, start, value in measured]
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(values(measured), Origin("file:meters.csv", "1"))
        ledger.append(values(scheduled), Origin("operate", "1", run="schedule"))
        ledger.append(values(measured[:72]), Origin("plan", "1", run="plan/roof-2030"))
    return mg.open(folder)


def total(park, **options):
    return mg.measure(park, "2023-01-01", "2023-01-04", **options).total()["co2e_kg"]


def test_a_schedule_is_measured_by_the_same_formula(park):
    assert total(park, run="schedule") == pytest.approx(total(park) / 2, rel=1e-12)
    assert total(park, run="schedule", every="1h") == pytest.approx(total(park) / 2, rel=1e-12)
    assert total(park, run="plan/roof-2030") < total(park)
    assert total(park, run="estimate") == total(park)


def test_the_basis_of_a_schedule_is_not_measured(park):
    table = mg.measure(park, "2023-01-01", "2023-01-04", by=["basis"], run="schedule").to_arrow()
    assert table.column("basis").to_pylist() == ["schedule"]


def test_a_measurement_of_a_schedule_explains_and_replays_itself(park):
    result = mg.measure(park, "2023-01", by=["flow", "gas"], every="1d", run="schedule")
    explanation = result.explain(0)
    assert explanation.run == "schedule"
    assert "not measured" in explanation.text()
    assert "lịch vận hành" in explanation.text("vi")
    assert {batch.run for batch in explanation.batches} == {"schedule"}
    with Ledger.open(park.store) as ledger:
        ledger.append(values([("mill.power", START, 9999.0)]), Origin("file:late.csv", "1"))
    again = mg.replay(park, result.record)
    assert again.plan.question.run == "schedule"
    assert_same_rows(again.to_arrow(), result.to_arrow())
    assert_same_rows(again.table(by=["gas"]), result.table(by=["gas"]))


def test_a_schedule_and_what_happened_can_be_compared(park):
    before = mg.measure(park, "2023-01", run="schedule")
    after = mg.measure(park, "2023-01")
    assert before.record != after.record
    changes = mg.diff(park, before.record, after.record)
    assert sum(change.activity for change in changes) == pytest.approx(
        after.total()["co2e_kg"] - before.total()["co2e_kg"], rel=1e-9
    )


def test_the_readings_of_a_schedule_are_asked_for_by_run(park):
    rows = mg.readings(park, "mill.power", "2023-01-01", run="schedule").to_pylist()
    assert {row["run"] for row in rows} == {"schedule"}
    assert {row["value"] for row in rows} == {250.0}
    assert {row["value"] for row in mg.readings(park, "mill.power", "2023-01-01").to_pylist()} == {500.0}


def test_an_unknown_run_is_named(park):
    with pytest.raises(RequestError) as refused:
        mg.measure(park, "2023-01", run="shedule")
    assert refused.value.code == "measure.unknown_run"
    assert "schedule" in str(refused.value)
