# SPDX-License-Identifier: Apache-2.0
"""What happened and what was forecast, scheduled or planned stand in series of their own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.worlds import T0, at, series, table

from mangrove.errors import LedgerError
from mangrove.ledger import Ledger, Origin
from mangrove.ledger import series as key

RUNS = ("measured", "estimate", "forecast", "forecast/q10", "schedule", "plan", "plan/roof-2030")
BATCHES = st.lists(
    st.tuples(
        st.sampled_from(RUNS),
        st.dictionaries(st.integers(0, 4), st.integers(-9, 9).map(float), min_size=1),
        st.booleans(),
    ),
    max_size=12,
)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / ".mangrove") as opened:
        yield opened


def readings(ledger, flow):
    with ledger.snapshot() as snapshot:
        rows = snapshot.values([flow], at(-10), at(10_000)).to_pylist()
    return {row["start"]: row["value"] for row in rows}


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES)
def test_a_run_never_changes_the_series_of_another(tmp_path_factory, batches):
    expected = {}
    with Ledger.open(tmp_path_factory.mktemp("series") / ".mangrove") as ledger:
        for number, (run, values, sealed) in enumerate(batches):
            rows = [("mill", at(minute), value, 0) for minute, value in values.items()]
            ledger.append(table(rows), Origin("test", str(number), run))
            kept = expected.setdefault("mill" if run in ("measured", "estimate") else f"{run}:mill", {})
            kept.update({at(minute): value for minute, value in values.items()})
            if sealed:
                ledger.seal()
        for run in RUNS:
            assert readings(ledger, key("mill", run)) == expected.get(key("mill", run), {})
        assert ledger.verify() == []


def test_an_estimate_fills_the_series_of_the_readings(ledger):
    ledger.append(series("mill", [1.0]), Origin("meter", "1"))
    ledger.append(series("mill", [2.0]), Origin("model", "1", run="estimate"))
    assert readings(ledger, "mill") == {T0: 2.0}


def test_the_sums_of_a_schedule_are_asked_for_by_its_key(ledger):
    ledger.append(series("mill", [1.0, 1.0]), Origin("meter", "1"))
    ledger.append(series("mill", [5.0, 5.0]), Origin("operate", "1", run="schedule"))
    with ledger.snapshot() as snapshot:
        view = snapshot.activity(at(0), at(60), flows=[key("mill", "schedule")])
        rows = snapshot.connection.execute(f"select total, n from {view}").fetchall()
        history = snapshot.history(key("mill", "schedule"), at(0), at(60))
    assert rows == [(10.0, 2)]
    assert set(history.column("run").to_pylist()) == {"schedule"}


@pytest.mark.parametrize(
    "run", ["", "Schedule", "measured/again", "plan/", "plan/a b", "plan/a:b", "plan/a/b"]
)
def test_a_run_that_is_none_is_refused_and_nothing_is_stored(ledger, run):
    with pytest.raises(LedgerError) as refused:
        ledger.append(series("mill", [1.0]), Origin("meter", "1", run=run))
    assert refused.value.code == "ledger.run"
    with pytest.raises(LedgerError):
        ledger.append(series("mill", []), Origin("meter", "1", run=run))
    assert ledger.cut() == 0


@pytest.mark.parametrize("flow", ["schedule:mill", "plan/roof:mill", "forecast/q10:mill"])
def test_a_reading_cannot_be_sent_into_a_schedule(ledger, flow):
    for run in ("measured", "schedule"):
        with pytest.raises(LedgerError) as refused:
            ledger.append(series(flow, [1.0]), Origin("meter", "1", run=run))
        assert refused.value.code == "ledger.reserved_flow"
    assert ledger.cut() == 0


def test_a_flow_whose_name_only_begins_like_a_run_is_an_ordinary_flow(ledger):
    ledger.append(series("plant:mill", [1.0]), Origin("meter", "1"))
    assert readings(ledger, "plant:mill") == {T0: 1.0}


def test_a_forecast_that_an_older_version_stored_under_the_flow_stays_readable(tmp_path, monkeypatch):
    folder = tmp_path / ".mangrove"
    with monkeypatch.context() as patch, Ledger.open(folder) as ledger:
        patch.setattr("mangrove.ledger.store.series", lambda flow, run: flow)
        ledger.append(series("mill", [3.0]), Origin("model", "1", "forecast"))
    with Ledger.open(folder) as ledger:
        assert ledger.verify() == []
        ledger.append(series("mill", [4.0]), Origin("model", "2", "forecast"))
        assert readings(ledger, "mill") == {T0: 3.0}
        assert readings(ledger, key("mill", "forecast")) == {T0: 4.0}
