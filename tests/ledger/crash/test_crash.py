# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged is found again after a kill, a power loss and a full disk: nothing lost, torn or twice.

`MANGROVE_CRASH_KILLS` sets the number of kills of each kind (default 10, a night's run 500).
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys

import pytest
from tests.ledger.crash import writer
from tests.ledger.crash.harness import HERE, Victim, acknowledged, compile_shim, moment

from mangrove.ledger import Ledger, Origin

pytestmark = pytest.mark.crash
KILLS = int(os.environ.get("MANGROVE_CRASH_KILLS", "10"))


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return compile_shim(tmp_path_factory.mktemp("shim"))


def sqlite_losses(folder, shim, synchronous):
    victim = Victim(folder, shim)
    acked = acknowledged(victim.kill_after("sqlite_writer.py", [synchronous], 0.3, acks=21))
    db = sqlite3.connect(victim.data / "plain.db")
    found = {n for (n,) in db.execute("select n from t")}
    db.close()
    return set(acked) - found


def test_the_shim_loses_what_sqlite_says_may_be_lost_without_syncs(tmp_path, shim):
    # A kill right after SQLite moved its log into the database loses nothing, so one of several must.
    assert any(sqlite_losses(tmp_path / str(attempt), shim, "normal") for attempt in range(5))


def test_the_shim_keeps_what_sqlite_synced(tmp_path, shim):
    assert not sqlite_losses(tmp_path, shim, "full")


def rows_by_value(folder):
    with Ledger.open(folder, read_only=True) as ledger, ledger.snapshot() as snapshot:
        counts = snapshot.connection.execute(
            "select cast(value as integer), count(*) from version group by 1"
        )
        found = dict(counts.fetchall())
        total = snapshot.connection.execute("select coalesce(sum(rows), 0) from batch").fetchone()[0]
    assert sum(found.values()) == total
    return found


def crash_in_a_loop(folder, shim, seed):
    """Phases of write, kill, check; each next phase resends the last five acknowledged batches."""
    rng = random.Random(seed)
    victim = Victim(folder, shim)
    acked, seals = [], 0
    for _ in range(KILLS):
        first = acked[-1] + 1 if acked else 0
        resend = ",".join(map(str, acked[-5:]))
        lines = victim.kill_after("writer.py", [str(first), resend], moment(rng))
        acked += acknowledged(lines)
        seals += sum(line.startswith("SEALED") and line != "SEALED 0" for line in lines)
        found = rows_by_value(victim.data)
        assert set(acked) <= set(found), "lost"
        assert set(found.values()) == {writer.ROWS}, "torn or twice"
        assert (
            len(found) <= len(acked) + KILLS
        )  # at most one batch a kill was stored and not yet acknowledged
    assert seals, "nothing was sealed between two kills"
    with Ledger.open(victim.data) as ledger:
        assert ledger.verify() == []
        listed = {path.name for kind in ("segments", "rollups") for path in (victim.data / kind).iterdir()}
        assert not [name for name in listed if name.endswith(".tmp")]


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path):
    crash_in_a_loop(tmp_path, None, seed=1)


def test_nothing_acknowledged_is_lost_when_the_power_fails(tmp_path, shim):
    crash_in_a_loop(tmp_path, shim, seed=2)


def fill(folder, *, limit=None, arguments=()):
    """Appends until the disk refuses; returns what was acknowledged and the code of the refusal."""

    def bound():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, str(HERE / "writer.py"), str(folder), "0", "", *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=bound, timeout=60
    )
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("REFUSED"), lines[-3:]
    return acknowledged(lines), lines[-1].split()[1]


def check_after_full_disk(folder, acked):
    found = rows_by_value(folder)
    assert set(acked) <= set(found)
    assert set(found.values()) == {writer.ROWS}
    following = max(found) + 1
    with Ledger.open(folder) as ledger:
        assert ledger.append(writer.batch(following), Origin("crash", str(following))).rows > 0
        ledger.seal()
        assert ledger.verify() == []


def test_a_file_that_may_not_grow_is_a_refusal_and_not_a_loss(tmp_path):
    acked, code = fill(tmp_path / "store", limit=1_500_000, arguments=["--no-seal"])
    assert code == "ledger.disk"
    assert acked
    check_after_full_disk(tmp_path / "store", acked)


def test_a_full_disk_is_a_refusal_and_not_a_loss(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(mount)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root; the test with a file size limit covers the rest")
    try:
        ballast = mount / "ballast"
        ballast.write_bytes(bytes(2_000_000))
        acked, code = fill(mount / "store", arguments=["--no-seal"])
        assert code == "ledger.disk"
        assert acked
        ballast.unlink()
        check_after_full_disk(mount / "store", acked)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
