# SPDX-License-Identifier: Apache-2.0
"""What a server has answered is found again after kills and power losses, whole and once: a few kills here, thousands in `benchmarks/crash.py`."""

from __future__ import annotations

import json
import os

import pytest
from tests.faults import lean
from tests.faults.kills import found, kill_lean
from tests.faults.proxy import Reader
from tests.faults.whole import kill_server
from tests.ledger.crash.harness import compile_shim

pytestmark = pytest.mark.crash
KILLS = int(os.environ.get("MANGROVE_CRASH_KILLS", "10")) // 2


def test_a_killed_intake_loses_nothing_that_it_acknowledged(tmp_path):
    tally = kill_lean(tmp_path, KILLS, seed=1, acks=20)
    assert tally.clean, tally
    assert tally.kills == KILLS
    assert tally.acknowledged >= 20 * KILLS
    assert tally.recognized > KILLS
    assert tally.seals, "nothing was sealed meanwhile"


def test_an_intake_whose_power_fails_loses_nothing_that_it_acknowledged(tmp_path):
    tally = kill_lean(tmp_path, KILLS, seed=2, shim=compile_shim(tmp_path), acks=5)
    assert tally.clean, tally
    assert tally.acknowledged >= 5 * KILLS


def test_the_tally_sees_what_a_store_without_syncs_loses(tmp_path, monkeypatch):
    monkeypatch.setenv(lean.UNSYNCED, "1")
    tally = kill_lean(tmp_path, 3, seed=3, shim=compile_shim(tmp_path))
    assert not tally.clean


def test_the_tally_sees_a_batch_that_is_missing_and_one_that_is_torn(tmp_path):
    tally = kill_lean(tmp_path, 1, seed=4, keep=True)
    assert tally.clean
    store = tmp_path / "world-0" / "data"
    assert found(store, {10_000_000: lean.ROWS}).lost == 1
    kept = lean.ROWS
    lean.ROWS = kept + 1
    try:
        assert found(store, {}).torn == tally.stored
    finally:
        lean.ROWS = kept


@pytest.mark.mosquitto
def test_a_killed_server_loses_nothing_over_http_or_mqtt(tmp_path):
    tally = kill_server(tmp_path, 3, seed=5)
    assert tally.clean, tally
    assert tally.kills == 3
    assert tally.acknowledged > 500
    assert tally.recognized >= 3
    assert list((tmp_path / "park" / ".mangrove" / "segments").glob("*.parquet"))  # it sealed meanwhile


def test_the_tap_reads_frames_however_the_stream_is_cut():
    # Two PUBLISH packets of QoS 1 with packet ids 1 and 2, byte by byte (MQTT 3.1.1, 3.3).
    long = json.dumps({"value": 7, "note": "x" * 200}).encode()
    size = 2 + 3 + 2 + len(long)
    frames = b"\x32\x09\x00\x03a/b\x00\x01hi"
    frames += b"\x32" + bytes([size % 128 | 128, size // 128]) + b"\x00\x03a/b\x00\x02" + long
    seen = []
    reader = Reader(lambda head, body: seen.append((head, body)))
    for at in range(len(frames)):
        reader.feed(frames[at : at + 1])
    assert seen == [(0x32, b"\x00\x03a/b\x00\x01hi"), (0x32, b"\x00\x03a/b\x00\x02" + long)]
