# SPDX-License-Identifier: Apache-2.0
"""What one visitor may occupy: streams, answers that are kept, rows that could not be read."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pyarrow as pa
from tests.attacks.hostile import MARK

from mangrove.ledger import records
from mangrove.serve import hub, state
from mangrove.serve.hub import Hub


def test_nobody_takes_the_streams_of_all_others(monkeypatch):
    monkeypatch.setattr(hub, "MOST_OF_ONE", 3)
    monkeypatch.setattr(hub, "MOST_STREAMS", 5)

    async def scene():
        streams, open_ = Hub(), []

        async def opened(owner):
            one = streams.stream(owner=owner)
            await anext(one)
            open_.append(one)

        for _ in range(3):
            assert not streams.full("k1")
            await opened("k1")
        assert streams.full("k1")
        assert not streams.full("k2")
        await opened("k2")
        await opened("k3")
        assert streams.full("k4")
        for one in open_:
            async with aclosing(one):
                pass
        assert len(streams) == 0
        assert not streams.full("k1")

    asyncio.run(scene())


def test_answers_are_kept_up_to_a_number_of_bytes():
    kept = state.Kept(most_bytes=10 << 20, every=0.0)
    for i in range(100):
        kept.get(i, lambda: pa.array(range(1 << 17)))  # 1 MiB
    assert 1 <= len(kept) <= 10
    made = []
    kept.get(99, lambda: made.append(1))
    assert not made, "the last one is still there"


def test_an_answer_that_is_larger_than_all_room_is_given_and_not_kept():
    kept = state.Kept(most_bytes=1 << 10, every=0.0)
    assert len(kept.get("large", lambda: pa.array(range(1000)))) == 1000
    assert len(kept) == 0


def test_the_state_of_quarantine_is_told_without_reading_its_rows(server, asks):
    body = f'[{{"flow": "mill.power", "ts": "?", "value": 1, "unit": "{"x" * 50}"}}]'
    assert (
        asks(
            "tenant", "POST", "/api/v1/values", content=body, headers={"content-type": "application/json"}
        ).status_code
        == 200
    )
    counts = records.refused(server.live.store)
    rows = records.quarantine(server.live.store)
    assert sum(count for _, _, count, _ in counts) == rows.num_rows > 0
    assert {source for source, *_ in counts} == set(rows.column("source").to_pylist())
    assert MARK not in asks("operator", "GET", "/health?period=2023-06", headers={"accept": "text/html"}).text
