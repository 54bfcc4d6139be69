# SPDX-License-Identifier: Apache-2.0
"""Screening and repair over a ledger are later batches: nothing that came in is changed."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.inference.runs import as_table, limits_of, repair, screen_flows
from mangrove.inference.series import SECOND, Series
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Quality
from mangrove.territory.model import Carrier, Flow, Place, Territory
from mangrove.times import Span, Step
from mangrove.units import Quantity, unit

START = 1_704_042_000 * SECOND  # 2024-01-01 00:00 in Ha Noi
HOUR = 3600 * SECOND
SPAN = Span(datetime(2023, 12, 31, 17, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))


def flow(id_: str, **more) -> Flow:
    declared = {"step": Step(seconds=3600), **more}
    return Flow(id_, "park", Carrier("electricity"), unit("kWh"), **declared)


def park(*flows: Flow) -> Territory:
    place = {"park": Place("park", "Park", "park")}
    return Territory(
        Path("park"), "Park", "park", "Asia/Ho_Chi_Minh", "VND", "vi", None, place, {f.id: f for f in flows}
    )


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / ".mangrove") as opened:
        yield opened


def store(ledger: Ledger, id_: str, hours: int = 24 * 40, faults: bool = True) -> Series:
    at = np.arange(hours)
    value = 50 + 20 * np.sin(at / 24 * 2 * np.pi) + np.random.default_rng(0).normal(0, 1, hours)
    if faults:
        value[500] = 5000.0
    series = Series(START + at * HOUR, value, np.zeros(hours, np.uint8))
    keep = ~np.isin(at, [100, 101] if faults else [])
    ledger.append(as_table(id_, series.pick(keep)), Origin("file:m.csv", id_))
    return series


def values(ledger: Ledger, id_: str):
    with ledger.snapshot() as snapshot:
        return snapshot.values([id_], SPAN.start, SPAN.end).to_pylist()


def test_codes_are_a_later_batch_with_the_same_values(ledger):
    store(ledger, "a")
    before = ledger.cut()
    report = screen_flows(ledger, park(flow("a")), ["a"])
    found = values(ledger, "a")
    assert [row["quality"] for row in (found[100], found[101], found[500])] == [9, 9, 4]
    assert found[500]["value"] == 5000.0
    assert report.marked == 3
    assert {problem.code for problem in report.problems()} == {"inference.gap", "inference.spike"}
    assert all(problem.text("vi") for problem in report.problems())
    with ledger.snapshot(cut=before) as old:
        assert {row["quality"] for row in old.values(["a"], SPAN.start, SPAN.end).to_pylist()} == {0}
    batch = ledger.batches().to_pylist()[-1]
    assert (batch["source"], batch["model"], batch["run"]) == ("model:screening", "screening", "measured")


def test_screening_again_finds_nothing_new(ledger):
    store(ledger, "a")
    screen_flows(ledger, park(flow("a")), ["a"])
    batches = ledger.batches().num_rows
    again = screen_flows(ledger, park(flow("a")), ["a"])
    assert again.marked == 0
    assert ledger.batches().num_rows == batches


def test_a_late_value_takes_the_place_of_a_missing_one(ledger):
    series = store(ledger, "a")
    screen_flows(ledger, park(flow("a")), ["a"])
    ledger.append(as_table("a", series.pick(np.array([100]))), Origin("file:late.csv", "1"))
    assert values(ledger, "a")[100]["quality"] == Quality.GOOD


def test_only_what_came_in_is_marked_and_gaps_reach_back_to_the_row_before(ledger):
    store(ledger, "a")
    low, high = START + 102 * HOUR, START + 110 * HOUR
    report = screen_flows(ledger, park(flow("a")), {"a": (low, high)})
    assert report.marked == 2
    assert values(ledger, "a")[500]["quality"] == Quality.GOOD


def test_an_asked_span_without_any_value_is_all_missing(ledger):
    span = Span(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))
    assert screen_flows(ledger, park(flow("b")), ["b"], span).marked == 48


def test_repair_is_a_run_of_its_own_and_marks_its_estimates(ledger):
    series = store(ledger, "a")
    world = park(flow("a"))
    screen_flows(ledger, world, ["a"])
    report = repair(ledger, world, ["a"])
    found = values(ledger, "a")
    for place in (100, 101, 500):
        assert found[place]["quality"] == Quality.FILLED
    assert found[100]["value"] == pytest.approx(series.value[100], rel=0.2)
    assert report.filled == {"a": {"linear": 3}}
    batch = ledger.batches().to_pylist()[-1]
    assert (batch["run"], batch["model"]) == ("estimate", "repair")
    assert repair(ledger, world).rows == 0


def test_long_gaps_stay_and_are_told(ledger):
    series = store(ledger, "a", faults=False)
    ledger.append(
        as_table("b", series.pick((np.arange(len(series)) < 300) | (np.arange(len(series)) > 400))),
        Origin("f", "b"),
    )
    report = repair(ledger, park(flow("a"), flow("b")), ["b"], SPAN)
    assert report.rows == 0
    assert [problem.code for problem in report.problems()] == ["inference.left"]
    assert report.problems()[0].data["hours"] == "101"


def test_an_unknown_flow_is_answered_with_the_nearest_one(ledger):
    store(ledger, "mill")
    with pytest.raises(RequestError) as caught:
        repair(ledger, park(flow("mill")), ["mil"])
    assert "did you mean 'mill'" in caught.value.text("en")


def test_bounds_may_be_written_as_a_rate_for_a_flow_of_amounts():
    declared = flow("a", step=Step(seconds=900), parameters={"maximum": Quantity.parse("200 kW")})
    assert limits_of(declared).maximum == pytest.approx(50.0)
    assert limits_of(flow("a", parameters={"minimum": Quantity.parse("-1 MWh")})).minimum == -1000.0
    assert limits_of(flow("a", parameters={"maximum": Quantity.parse("5 m3")})).maximum is None


def test_flows_without_a_fixed_step_are_left_alone(ledger):
    store(ledger, "a")
    assert screen_flows(ledger, park(flow("a", step=None)), ["a"]).marked == 0
    assert repair(ledger, park(flow("a", step=Step(months=1)))).rows == 0
