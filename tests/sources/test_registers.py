# SPDX-License-Identifier: Apache-2.0
"""Amounts between register readings: nothing is lost, roll-overs are seen, and the order of arrival does not matter."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mangrove.inference.series import Series
from mangrove.ledger import Ledger
from mangrove.ledger.types import Quality
from mangrove.sources import ingest
from mangrove.sources.registers import boundary_index, boundary_start, increments
from mangrove.times import Step

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
MINUTE = 60 * 10**6
QUARTER = Step(seconds=900)


def register(*readings: tuple[float, float]) -> Series:
    at, value = zip(*readings, strict=True)
    start = (np.array(at) * MINUTE).astype(np.int64)
    return Series(start, np.array(value, dtype=float), np.zeros(len(at), np.uint8))


def test_neighboring_readings_give_one_amount_per_step() -> None:
    found = increments(register((0, 100), (15, 103), (30, 107)), QUARTER, HANOI)
    assert found.series.value.tolist() == [3.0, 4.0]
    assert found.series.start.tolist() == [0, 15 * MINUTE]
    assert found.series.quality.tolist() == [Quality.GOOD] * 2


def test_readings_off_the_boundary_count_for_the_nearest_one() -> None:
    found = increments(register((0.1, 100), (14.9, 103), (15.2, 103.1), (30.05, 107)), QUARTER, HANOI)
    assert found.series.value.tolist() == [3.0, 4.0]


def test_a_distance_of_several_steps_is_spread_evenly_and_marked_as_filled() -> None:
    found = increments(register((0, 100), (60, 108)), QUARTER, HANOI)
    assert found.series.value.tolist() == [2.0] * 4
    assert found.series.quality.tolist() == [Quality.FILLED] * 4


def test_a_roll_over_adds_the_modulus() -> None:
    found = increments(register((0, 99_990), (15, 5)), QUARTER, HANOI)
    assert found.series.value.tolist() == [15.0]
    assert (found.rollovers, found.drops) == (1, 0)
    declared = increments(register((0, 4090), (15, 10)), QUARTER, HANOI, modulus=4096)
    assert declared.series.value.tolist() == [16.0]


def test_a_drop_that_no_roll_over_explains_enters_no_sum() -> None:
    found = increments(register((0, 5000), (15, 10), (30, 12)), QUARTER, HANOI)
    assert found.series.quality.tolist() == [Quality.SPIKE, Quality.GOOD]
    assert found.drops == 1


@pytest.mark.parametrize(
    "readings",
    [
        [5000, 5010, 0, 5031, 5043],
        [5000, 5010, 0, 0, 0, 5031, 5043],
        [5000, 5010, 99_999, 5031, 5043],
        [99_500, 99_510, 0, 99_531, 99_543],
        [99_500, 99_510, 3, 3, 99_531, 99_543],
    ],
)
def test_a_register_that_leaves_and_comes_back_adds_nothing_on_its_way(readings: list[float]) -> None:
    found = increments(register(*((15 * k, r) for k, r in enumerate(readings))), QUARTER, HANOI)
    good = found.series.quality == Quality.GOOD
    assert found.series.value[good].tolist() == [10.0, 12.0]
    assert found.rollovers == 0


def test_a_meter_that_was_changed_climbs_past_the_old_level_step_by_step() -> None:
    old, new = [80, 90, 100], [0, 30, 60, 90, 120]
    found = increments(register(*((15 * k, r) for k, r in enumerate([*old, *new]))), QUARTER, HANOI)
    assert found.series.quality.tolist() == [0, 0, Quality.SPIKE, 0, 0, 0, 0]


def test_a_small_register_may_roll_over_often() -> None:
    readings = np.arange(0, 20_000, 170) % 1000
    found = increments(register(*((15 * k, r) for k, r in enumerate(readings))), QUARTER, HANOI, modulus=1000)
    assert set(found.series.value[found.series.quality == Quality.GOOD]) == {170.0}


@pytest.mark.parametrize("step", [QUARTER, Step(seconds=3600), Step(seconds=86400), Step(months=1)])
def test_every_boundary_is_nearest_to_itself(step: Step) -> None:
    index = np.arange(600, 700)
    assert boundary_index(boundary_start(index, step, HANOI), step, HANOI).tolist() == index.tolist()


@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 50)), min_size=2, max_size=40, unique_by=lambda r: r[0]
    )
)
def test_the_amounts_of_a_growing_register_add_up_to_its_growth(steps: list[tuple[int, int]]) -> None:
    at = sorted(minute for minute, _ in steps)
    reading = np.cumsum([amount for _, amount in steps]).astype(float)
    readings = register(*zip(at, reading.tolist(), strict=True))
    found = increments(readings, QUARTER, HANOI)
    index = boundary_index(readings.start, QUARTER, HANOI)
    if len(set(index.tolist())) < 2:
        assert not len(found.series)
        return
    near = np.abs(readings.start - boundary_start(index, QUARTER, HANOI))
    ends = [min(np.flatnonzero(index == i), key=lambda j: (near[j], j)) for i in (index.min(), index.max())]
    assert found.series.value.sum() == pytest.approx(reading[ends[1]] - reading[ends[0]])
    assert np.diff(found.series.start).tolist() == [900 * 10**6] * (len(found.series) - 1)


START = datetime(2024, 3, 1)  # noqa: DTZ001


def text_of(readings: list[tuple[int, float]]) -> str:
    return "time,meter,value\n" + "".join(f"{START + timedelta(minutes=m)},mill,{v}\n" for m, v in readings)


def test_a_counter_keeps_its_register_and_gets_amounts_with_their_origin(tmp_path, ledger, rows, world, flow):
    (tmp_path / "m.csv").write_text(text_of([(0, 100.5), (15, 103.5), (45, 107.5)]))
    report = ingest(ledger, world(flow("mill", semantics="counter")), [tmp_path / "m.csv"], screen=False)
    assert [value for _, value, _ in rows("mill#register")] == [100.5, 103.5, 107.5]
    assert [(value, quality) for _, value, quality in rows("mill")] == [(3.0, 0), (2.0, 7), (2.0, 7)]
    derived = ledger.batches().to_pylist()[-1]
    assert (derived["model"], derived["run"]) == ("register", "measured")
    assert report.receipts[0].hash in derived["inputs"]
    batches = ledger.batches().num_rows
    ingest(ledger, world(flow("mill", semantics="counter")), [tmp_path / "m.csv"], screen=False)
    assert ledger.batches().num_rows == batches


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_order_in_which_readings_arrive_does_not_matter(data, tmp_path_factory, world, flow):
    readings = data.draw(
        st.lists(
            st.tuples(st.integers(0, 400), st.integers(0, 9)),
            min_size=3,
            max_size=12,
            unique_by=lambda r: r[0],
        )
    )
    total, grown = 100.0, []
    for minute, amount in sorted(readings):
        total += amount
        grown.append((minute, total))
    for broken in data.draw(st.lists(st.integers(0, len(grown) - 1), max_size=2)):
        grown[broken] = (grown[broken][0], data.draw(st.sampled_from([0.0, 999_999.0])))
    shuffled = data.draw(st.permutations(grown))
    cut = data.draw(st.integers(1, len(grown) - 1))
    park = world(flow("mill", semantics="counter"))
    results = []
    for parts in ([grown], [shuffled[:cut], shuffled[cut:]]):
        folder = tmp_path_factory.mktemp("order")
        with Ledger.open(folder / ".mangrove") as ledger:
            for number, part in enumerate(parts):
                (folder / f"{number}.csv").write_text("\ufeff" + text_of(sorted(part)))
                ingest(ledger, park, [folder / f"{number}.csv"], screen=False)
            with ledger.snapshot() as snapshot:
                span = (
                    datetime.fromisoformat("2024-01-01T00:00Z"),
                    datetime.fromisoformat("2024-12-01T00:00Z"),
                )
                results.append(
                    snapshot.values(["mill"], *span).select(["start", "value", "quality"]).to_pylist()
                )
    assert results[0] == results[1]
