# SPDX-License-Identifier: Apache-2.0
"""How fast the ledger takes values, with fsync, deduplication and hash chain, beside the limit of the disk itself.

The limit is measured in the same run: the same arrays written to one file with numpy and fsync, once a batch. Values are
random walks of a meter with two decimals; starts carry milliseconds of jitter with `--jitter`.

    python benchmarks/append.py [--rows 5000000] [--jitter]
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from mangrove.ledger import Ledger, Origin

FLOWS = 2000
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def cpu() -> float:
    """CPU seconds of this process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def tables(rows: int, size: int, *, jitter: bool) -> list[pa.Table]:
    """`rows` values of 2,000 flows, minute by minute, in batches of `size`."""
    rng = np.random.default_rng(7)
    keys = pa.array([f"flow-{i:04d}" for i in range(FLOWS)])
    level = rng.uniform(1, 50, FLOWS)
    made, flows, starts, values = [], [], [], []
    for minute in range(-(-rows // FLOWS)):
        level = np.abs(level + rng.normal(0, 0.2, FLOWS))
        offset = rng.integers(0, 1000, FLOWS) * 1000 if jitter else 0
        flows.append(np.arange(FLOWS, dtype=np.int32))
        starts.append(np.full(FLOWS, START + minute * 60_000_000) + offset)
        values.append(np.round(level, 2))
    flow, start, value = (np.concatenate(parts)[:rows] for parts in (flows, starts, values))
    for low in range(0, rows, size):
        part = slice(low, low + size)
        made.append(
            pa.table(
                {
                    "flow": pa.DictionaryArray.from_arrays(pa.array(flow[part]), keys),
                    "start": pa.array(start[part]).cast(pa.timestamp("us", "UTC")),
                    "value": pa.array(value[part]),
                }
            )
        )
    return made


def limit(batches: list[pa.Table], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds to write the same columns raw, with one fsync a batch."""
    with (folder / "limit.bin").open("wb") as file:
        wall, used = time.perf_counter(), cpu()
        for batch in batches:
            for name in ("start", "value"):
                file.write(
                    batch.column(name).cast(pa.int64() if name == "start" else pa.float64()).to_numpy()
                )
            file.write(batch.column("flow").combine_chunks().indices.to_numpy())
            file.flush()
            os.fsync(file.fileno())
        return time.perf_counter() - wall, cpu() - used


def append(batches: list[pa.Table], ledger: Ledger, source: str) -> tuple[np.ndarray, float]:
    """Seconds of every append, and CPU seconds of all."""
    seconds, used = [], cpu()
    for index, batch in enumerate(batches):
        begin = time.perf_counter()
        ledger.append(batch, Origin(source, str(index)))
        seconds.append(time.perf_counter() - begin)
    return np.array(seconds), cpu() - used


def report(folder: Path, rows: int, size: int, *, jitter: bool) -> None:
    """One line of results for batches of `size` rows."""
    batches = tables(rows, size, jitter=jitter)
    raw_wall, raw_cpu = limit(batches, folder)
    root = folder / f"store-{size}"
    with Ledger.open(root) as ledger:
        seconds, used = append(batches, ledger, "bench")
        begin, before = time.perf_counter(), cpu()
        ledger.seal()
        last_seal, seal_cpu = time.perf_counter() - begin, cpu() - before
    files = sum(path.stat().st_size for path in root.rglob("*.parquet"))
    wall = seconds.sum() + last_seal
    print(
        f"{size:>7,} rows a batch: {rows / wall / 1e6:5.2f} M rows/s, all sealed "
        f"({size / np.median(seconds) / 1e6:.2f} M rows/s at the median commit); "
        f"commit p50 {np.percentile(seconds, 50) * 1e3:.1f} ms, p99 {np.percentile(seconds, 99) * 1e3:.1f} ms, "
        f"slowest (it seals) {seconds.max() * 1e3:.0f} ms; "
        f"CPU {(used + seal_cpu) / rows * 1e6:.2f} us/row; {files / rows:.2f} B/reading; "
        f"{wall / raw_wall:.1f}x the wall and {(used + seal_cpu) / raw_cpu:.1f}x the CPU of numpy + fsync "
        f"({rows / raw_wall / 1e6:.1f} M rows/s)"
    )


def main() -> None:
    """Runs batches of 10,000 and of 1,000 rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--jitter", action="store_true", help="milliseconds of jitter on every start")
    parser.add_argument("--dir", type=Path, help="where to write; default is the system's temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        report(Path(folder), options.rows, 10_000, jitter=options.jitter)
        report(Path(folder), min(options.rows, 1_000_000), 1_000, jitter=options.jitter)


if __name__ == "__main__":
    main()
