# SPDX-License-Identifier: Apache-2.0
"""Readers in other processes, while one process appends, seals and compacts."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

from mangrove.ledger import Ledger

WRITER = Path(__file__).parent / "crash" / "writer.py"
READER = """
import sys, time
from pathlib import Path
from mangrove.ledger import Ledger
cut, end = 0, time.monotonic() + float(sys.argv[2])
turns = 0
while time.monotonic() < end or turns < 3 or cut <= 10:
    with Ledger.open(Path(sys.argv[1]), read_only=True) as ledger, ledger.snapshot() as snapshot:
        db = snapshot.connection
        found = db.execute("select count(*), count(distinct batch) from version").fetchone()
        said = db.execute("select coalesce(sum(rows), 0), count(*) from batch").fetchone()
        torn = db.execute("select count(*) from (select batch from version group by batch having count(*) <> 500)")
        assert found == said, (found, said)
        assert torn.fetchone() == (0,)
        assert snapshot.cut >= cut
        cut = snapshot.cut
        turns += 1
"""


def test_every_snapshot_of_every_process_is_whole_while_a_writer_writes(tmp_path):
    folder, said = tmp_path / "store", tmp_path / "said"

    def seals() -> int:
        """How often the writer sealed something by now."""
        lines = said.read_text().splitlines()
        return sum(line.startswith("SEALED") and line != "SEALED 0" for line in lines)

    command = [sys.executable, "-c", READER, str(folder), "3"]
    with contextlib.ExitStack() as stack:
        writer = subprocess.Popen(
            [sys.executable, str(WRITER), str(folder), "0", ""], stdout=stack.enter_context(said.open("w"))
        )
        stack.callback(writer.kill)
        while "ACK" not in said.read_text():
            assert writer.poll() is None
            time.sleep(0.02)
        readers = [subprocess.Popen(command) for _ in range(2)]
        for reader in readers:
            stack.callback(reader.kill)
        while any(reader.poll() is None for reader in readers) or seals() < 4:
            assert writer.poll() is None
            assert not any(reader.poll() for reader in readers)
            time.sleep(0.02)
    for process in (writer, *readers):
        process.wait()


def test_a_writer_waits_for_the_milliseconds_of_a_reader(tmp_path):
    Ledger.open(tmp_path).close()
    code = (
        "import sys, time; from pathlib import Path; from mangrove.ledger import catalog\n"
        "with catalog.reader(Path(sys.argv[1])): print('reading', flush=True); time.sleep(0.3)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "reading\n"
        Ledger.open(tmp_path).close()
        assert reader.wait() == 0
