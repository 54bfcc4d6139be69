# SPDX-License-Identifier: Apache-2.0
"""Small tables of values for the tests of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

T0 = datetime(2024, 3, 1, tzinfo=UTC)
Row = tuple[str, datetime, float | None, int]


def at(minutes: float) -> datetime:
    """So many minutes after `T0`."""
    return T0 + timedelta(minutes=minutes)


def table(rows: Sequence[Row]) -> pa.Table:
    """Rows of (flow, start, value, quality) as the ledger takes them."""
    flow, start, value, quality = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "flow": pa.array(flow, pa.string()),
            "start": pa.array(start, pa.timestamp("us", "UTC")),
            "value": pa.array(value, pa.float64()),
            "quality": pa.array(quality, pa.uint8()),
        }
    )


def series(flow: str, values: Sequence[float], *, first: float = 0, every: float = 1) -> pa.Table:
    """Good values of one flow, one each `every` minutes from `first`."""
    return table([(flow, at(first + i * every), value, 0) for i, value in enumerate(values)])
