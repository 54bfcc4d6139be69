# SPDX-License-Identifier: Apache-2.0
"""Kills writers and servers many times and counts what was acknowledged and is not there, or is there in part or twice.

Three kinds: `lean` is ledger, intake, sealer and compaction in a process fed through a pipe; `power` is the same under a library that loses
every byte that was not synced, so each kill is a power loss; `server` is all of `mangrove serve`, with senders over HTTP and MQTT (needs Mosquitto). After
each kill the store is opened by the next process, and `ledger.verify` looks at every store as a whole.

    python benchmarks/crash.py --kind lean --kills 1000 --jobs 2 --minutes 20
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.faults.kills import Tally, kill_lean
from tests.ledger.crash.harness import compile_shim


def job(kind: str, kills: int, folder: str, seed: int, until: float) -> Tally:
    """One loop of kills in a folder of its own."""
    root = Path(folder) / f"job-{seed}"
    root.mkdir()
    if kind == "server":
        from tests.faults.whole import kill_server

        return kill_server(root, kills, seed=seed, until=until)
    return kill_lean(
        root, kills, seed=seed, shim=compile_shim(root) if kind == "power" else None, until=until
    )


def main() -> int:
    """Runs the jobs and prints one line for each, then their sum; 1 when something was not as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=["lean", "power", "server"], default="lean")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    os.nice(10)
    begun, total = time.monotonic(), Tally()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(told.jobs) as pool:
        share = [told.kills // told.jobs + (i < told.kills % told.jobs) for i in range(told.jobs)]
        until = begun + 60 * told.minutes
        for done in [
            pool.submit(job, told.kind, count, folder, told.seed + i, until) for i, count in enumerate(share)
        ]:
            print(done.result(), flush=True)
            total.add(done.result())
    print(f"{datetime.now(UTC):%Y-%m-%d} {platform.platform()} Python {platform.python_version()}")
    print(f"{told.kind} in {time.monotonic() - begun:.0f} s: {total}")
    return 0 if total.clean else 1


if __name__ == "__main__":
    sys.exit(main())
