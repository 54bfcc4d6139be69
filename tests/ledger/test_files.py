# SPDX-License-Identifier: Apache-2.0
"""Segments: whole days, named by their content."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mangrove.ledger import files, sealing
from mangrove.ledger.catalog import Part
from mangrove.ledger.columns import ROWS


def rows(minutes):
    start = pa.array(np.asarray(minutes, dtype=np.int64) * 60_000_000).cast(pa.timestamp("us"))
    count = len(minutes)
    arrays = [
        np.zeros(count, np.int32),
        start,
        np.ones(count),
        np.zeros(count, np.uint8),
        np.ones(count, np.int64),
    ]
    return pa.table([pa.array(array) for array in arrays], schema=ROWS)


def test_a_file_is_named_by_its_day_and_its_hash(tmp_path):
    folder = tmp_path / "segments"
    folder.mkdir()
    part = files.write(folder, rows([1440, 1441]), "base")
    body = (tmp_path / part.path).read_bytes()
    assert part.sha256 == hashlib.sha256(body).hexdigest()
    assert part.path == f"segments/1970-01-02.{part.sha256}.parquet"
    assert (part.rows, part.bytes, part.start_min, part.start_max) == (
        2,
        len(body),
        86_400_000_000,
        86_460_000_000,
    )


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.integers(1, 30))
def test_pieces_hold_whole_days_and_every_row_once(minutes, limit):
    table = rows(sorted(minutes))
    pieces = list(files.by_day(table, limit))
    found = [set((np.asarray(p.column("start").cast(pa.int64())) // files.DAY_US).tolist()) for p in pieces]
    assert sum(piece.num_rows for piece in pieces) == table.num_rows
    assert sum(map(len, found)) == len(set().union(*found))
    if table.num_rows > limit:
        assert all(
            piece.num_rows <= limit or len(days) == 1 for piece, days in zip(pieces, found, strict=True)
        )


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=12))
def test_clusters_share_no_day_and_lose_no_file(spans):
    day = files.DAY_US
    parts = [
        Part(str(i), "base", "", 0, 1, first * day + 5, (first + length) * day + 9, 1, 1)
        for i, (first, length) in enumerate(spans)
    ]
    clusters = sealing.clusters(parts)
    assert sorted(part.path for cluster in clusters for part in cluster) == sorted(
        part.path for part in parts
    )
    days = [{d for p in c for d in range(p.start_min // day, p.start_max // day + 1)} for c in clusters]
    assert sum(map(len, days)) == len(set().union(*days))
