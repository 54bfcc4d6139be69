# SPDX-License-Identifier: Apache-2.0
"""Sessions are spread over the steps they touch, and their energy is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.sources import Mapping, ingest
from mangrove.sources.sessions import spread

QUARTER = 900 * 10**6
MAPPING = """
files:
  - match: "*"
    unit: kWh
    sessions: {start: plugged, end: left, value: kwh, column: station, names: {A1: ev}}
"""


def test_a_session_is_spread_by_its_overlap_with_each_step() -> None:
    begin, end = np.array([10]) * 60_000_000, np.array([40]) * 60_000_000
    starts, amounts, estimated = spread(begin, end, np.array([6.0]), QUARTER)
    assert starts.tolist() == [0, QUARTER, 2 * QUARTER]
    assert amounts.tolist() == pytest.approx([1.0, 3.0, 2.0])
    assert estimated.tolist() == [True] * 3


def test_steps_without_a_session_hold_zero_or_nothing() -> None:
    begin, end, amount = np.array([0, 4 * QUARTER]), np.array([QUARTER, 5 * QUARTER]), np.array([1.0, 2.0])
    assert spread(begin, end, amount, QUARTER)[1].tolist() == [1.0, 0.0, 0.0, 0.0, 2.0]
    assert spread(begin, end, amount, QUARTER, zeros=False)[1].tolist() == [1.0, 2.0]
    assert not spread(begin, end, amount, QUARTER)[2].any()


@given(
    st.lists(
        st.tuples(st.integers(0, 10**11), st.integers(1, 10**10), st.floats(0, 100)), min_size=1, max_size=20
    )
)
def test_the_energy_of_all_sessions_is_kept(sessions: list[tuple[int, int, float]]) -> None:
    begin = np.array([b for b, _, _ in sessions])
    end = begin + np.array([length for _, length, _ in sessions])
    amount = np.array([a for _, _, a in sessions])
    starts, amounts, _ = spread(begin, end, amount, QUARTER)
    assert amounts.sum() == pytest.approx(amount.sum(), rel=1e-9, abs=1e-9)
    assert starts[0] <= begin.min()
    assert starts[-1] + QUARTER >= end.max()
    assert (amounts >= 0).all()


def test_impossible_sessions_are_quarantined_and_the_rest_goes_in(tmp_path, ledger, rows, world, flow):
    (tmp_path / "s.csv").write_text(
        "plugged,left,kwh,station\n2024-03-13 08:00,2024-03-13 08:30,4,A1\n2024-03-13 10:00,2024-03-13 09:00,4,A1\n"
        "2024-03-13 10:00,2024-03-13 11:00,-4,A1\n2024-03-13 10:00,2024-03-13 11:00,4,B7\n2024-03-13 10:00,2024-06-13 11:00,4,A1\n"
    )
    report = ingest(
        ledger, world(flow("ev")), [tmp_path / "s.csv"], mapping=Mapping.parse(MAPPING), screen=False
    )
    assert [(value, quality) for _, value, quality in rows("ev")] == [(2.0, 7), (2.0, 7)]
    assert dict(report.files[0].reasons) == {
        "sources.bad_session": 2,
        "sources.negative_session": 1,
        "sources.unknown_flow": 1,
    }


HEAD = "plugged,left,kwh,station,vehicle\n"
ROW = "2024-03-13 08:00,2024-03-13 08:30,4,A1,"


def test_a_row_that_stands_twice_in_the_file_counts_once_and_is_said(tmp_path, ledger, rows, world, flow):
    (tmp_path / "s.csv").write_text(
        HEAD + f"{ROW}van 1\n" * 2 + "2024-03-13 08:30,2024-03-13 08:45,1,A1,van 2\n"
    )
    report = ingest(
        ledger, world(flow("ev")), [tmp_path / "s.csv"], mapping=Mapping.parse(MAPPING), screen=False
    )
    assert [value for _, value, _ in rows("ev")] == [2.0, 2.0, 1.0]
    assert report.files[0].repeated == 1
    assert not report.files[0].reasons


def test_rows_that_differ_in_a_column_nobody_maps_are_two_vehicles(tmp_path, ledger, rows, world, flow):
    (tmp_path / "s.csv").write_text(HEAD + f"{ROW}van 1\n{ROW}van 2\n{ROW}\n")
    report = ingest(
        ledger, world(flow("ev")), [tmp_path / "s.csv"], mapping=Mapping.parse(MAPPING), screen=False
    )
    assert [value for _, value, _ in rows("ev")] == [6.0, 6.0]
    assert report.files[0].repeated == 0


@pytest.fixture
def _two_rows_at_a_time(monkeypatch):
    monkeypatch.setattr("mangrove.sources.tables.Table.chunks.__defaults__", (None, 2))


@pytest.mark.usefixtures("_two_rows_at_a_time")
def test_a_repetition_is_found_across_the_pieces_of_a_long_file_and_refused_rows_stay_refused(
    tmp_path, ledger, rows, world, flow
):
    wrong = "2024-03-13 10:00,2024-03-13 09:00,4,A1,van 3\n"
    (tmp_path / "s.csv").write_text(HEAD + f"{ROW}van 1\n{ROW}van 2\n{wrong}{ROW}van 1\n{wrong}")
    report = ingest(
        ledger, world(flow("ev")), [tmp_path / "s.csv"], mapping=Mapping.parse(MAPPING), screen=False
    )
    assert [value for _, value, _ in rows("ev")] == [4.0, 4.0]
    assert report.files[0].repeated == 1
    assert dict(report.files[0].reasons) == {"sources.bad_session": 2}
