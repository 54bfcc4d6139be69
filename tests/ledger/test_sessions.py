# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from mangrove.ledger import Ledger, sessions

MORNING = datetime(2024, 3, 4, 1, tzinfo=UTC)


def table(*stays):
    """Stays as (hours after the morning, hours long, kWh)."""
    start = [MORNING + timedelta(hours=at) for at, _, _ in stays]
    end = [MORNING + timedelta(hours=at + long) for at, long, _ in stays]
    return pa.table({"start": start, "end": end, "amount": [kwh for *_, kwh in stays]})


def test_a_session_comes_back_as_it_was_reported(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        sessions.put(ledger, "cars", table((2, 8, 31.5), (0, 4, 12.0)), "file:a.csv")
    found = sessions.read(tmp_path, "cars", MORNING, MORNING + timedelta(hours=1))
    assert found.to_pylist() == [{"start": MORNING, "end": MORNING + timedelta(hours=4), "amount": 12.0}]


def test_a_session_reported_in_two_files_counts_once(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        sessions.put(ledger, "cars", table((0, 4, 12.0)), "file:a.csv")
        sessions.put(ledger, "cars", table((0, 4, 12.0), (5, 2, 3.0)), "file:b.csv")
        sessions.put(ledger, "bikes", table((0, 4, 1.0)), "file:b.csv")
    found = sessions.read(tmp_path, "cars", MORNING - timedelta(days=1), MORNING + timedelta(days=1))
    assert found.column("amount").to_pylist() == [12.0, 3.0]


def test_a_flow_without_sessions_has_none(tmp_path):
    with Ledger.open(tmp_path):
        pass
    assert sessions.read(tmp_path, "cars", MORNING, MORNING + timedelta(days=1)).num_rows == 0
