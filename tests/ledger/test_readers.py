# SPDX-License-Identifier: Apache-2.0
"""Readers in other processes, while one process appends, seals and compacts."""

from __future__ import annotations

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
while time.monotonic() < end:
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
print(turns, cut)
"""


def test_every_snapshot_of_every_process_is_whole_while_a_writer_writes(tmp_path):
    folder, said = tmp_path / "store", tmp_path / "said"
    with (
        said.open("w") as out,
        subprocess.Popen([sys.executable, str(WRITER), str(folder), "0", ""], stdout=out) as writer,
    ):
        while "ACK" not in said.read_text():
            assert writer.poll() is None
            time.sleep(0.02)
        command = [sys.executable, "-c", READER, str(folder), "3"]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [reader.communicate()[0].split() for reader in readers]
        writer.kill()
    assert [reader.returncode for reader in readers] == [0, 0]
    assert all(int(turns) >= 3 and int(cut) > 10 for turns, cut in answers)
    assert (
        len(
            [
                line
                for line in said.read_text().splitlines()
                if line.startswith("SEALED") and line != "SEALED 0"
            ]
        )
        > 3
    )


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
        begin = time.monotonic()
        Ledger.open(tmp_path).close()
        assert time.monotonic() - begin < 2
        assert reader.wait() == 0
