# SPDX-License-Identifier: Apache-2.0
"""Hourly emissions by place and gas over 100 million readings: the ledger's plans beside hand-written queries.

2,000 flows at 40 places, one reading a minute, 60 factor rows (10 activities, 3 gases, a change of validity in the
middle), 0.1 % of the readings with a device fault. Every variant runs in a process of its own over the same Parquet files;
all must give the same rows. CPU seconds count from after the imports to the result, all threads; memory is the
process's peak.

    python benchmarks/hourly_emissions.py [--readings 100000000] [--dir DIR] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

FLOWS, PLACES, ACTIVITIES, GASES = 2000, 40, 10, ("CO2", "CH4", "N2O")
PER_DAY = FLOWS * 1440
START = datetime(2024, 2, 29, 17, tzinfo=UTC)  # midnight in Việt Nam
MINUTES_A_BATCH = 50
BUILD = "build"

HAND_WRITTEN = """
with a as (
    select flow, date_trunc('hour', start) as start, sum(value) as total
    from read_parquet({files}) {where}
    group by flow, date_trunc('hour', start)
)
"""
JOIN = """
select s.place, f.gas, a.start, sum(a.total * f.value) as kg
from {activity} a
join stream s on s.flow = a.flow
join factor f on f.activity = s.activity and a.start >= f.valid_from and a.start < f.valid_to
group by s.place, f.gas, a.start
"""
COUNTED = "where quality = 0 or quality = 7 or quality = 8"
EVERYTHING = """
select s.place, f.gas, a.start, sum(a.total * f.value) as kg, sum(a.n) as n, sum(a.n_excluded) as n_excluded,
    sum(a.n_estimated) as n_estimated, max(a.batch_max) as batch_max
from {activity} a
join stream s on s.flow = a.flow
join factor f on f.activity = s.activity and a.start >= f.valid_from and a.start < f.valid_to
group by s.place, f.gas, a.start
"""


DECLARED: list[Any] = []
"""The territory of the child that runs the measure verb."""


def days(readings: int) -> int:
    """Whole days that hold about `readings`."""
    return max(1, round(readings / PER_DAY))


def middle(count: int) -> datetime:
    """The local midnight at which the factors change."""
    return START + timedelta(days=max(1, count // 2))


def streams() -> pa.Table:
    """Flow id, place and activity of every flow; ids follow the order of the first batch."""
    flow = np.arange(FLOWS)
    return pa.table(
        {
            "flow": pa.array(flow, pa.int32()),
            "place": pa.array(flow % PLACES, pa.int32()),
            "activity": pa.array(flow % ACTIVITIES, pa.int32()),
        }
    )


def factors(change: datetime) -> pa.Table:
    """Kilograms per unit by activity and gas, one row before the change and one after it."""
    far = datetime(2100, 1, 1, tzinfo=UTC)
    rows = [
        (activity, gas, 0.1 * (activity + 1) * (place + 1) * (1.02 if late else 1.0), *span)
        for activity in range(ACTIVITIES)
        for place, gas in enumerate(GASES)
        for late, span in enumerate(((datetime(1970, 1, 1, tzinfo=UTC), change), (change, far)))
    ]
    names = ("activity", "gas", "value", "valid_from", "valid_to")
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    for index, name in enumerate(("valid_from", "valid_to"), start=3):
        table = table.set_column(index, name, table.column(name).cast(pa.timestamp("us")))
    return table


def build(folder: Path, readings: int) -> None:
    """Makes the store (in a process of its own: a child's peak memory begins at its parent's)."""
    from mangrove.ledger import Ledger, Origin

    rng = np.random.default_rng(11)
    keys = pa.array([f"flow-{i:04d}" for i in range(FLOWS)])
    level = rng.uniform(1, 50, FLOWS)
    base = int(START.timestamp()) * 1_000_000
    begin = time.perf_counter()
    count = MINUTES_A_BATCH * FLOWS
    with Ledger.open(folder) as ledger:
        for first in range(0, days(readings) * 1440, MINUTES_A_BATCH):
            minutes = min(MINUTES_A_BATCH, days(readings) * 1440 - first)
            count = minutes * FLOWS
            walk = np.abs(level + np.cumsum(rng.normal(0, 0.2, (minutes, FLOWS)), axis=0))
            level = walk[-1]
            start = np.repeat(base + (first + np.arange(minutes)) * 60_000_000, FLOWS)
            values = pa.table(
                {
                    "flow": pa.DictionaryArray.from_arrays(
                        np.tile(np.arange(FLOWS, dtype=np.int32), minutes), keys
                    ),
                    "start": pa.array(start).cast(pa.timestamp("us", "UTC")),
                    "value": np.round(walk, 2).ravel(),
                    "quality": np.where(rng.random(count) < 0.001, 2, 0).astype(np.uint8),
                }
            )
            ledger.append(values, Origin("bench", str(first)))
        ledger.seal()
        ledger.compact()
    print(f"built in {time.perf_counter() - begin:.0f} s")


def segment_files(folder: Path, first: int | None = None) -> list[str]:
    """The listed segment files, oldest first."""
    from mangrove.ledger import catalog

    with catalog.reader(folder) as db:
        parts = sorted(catalog.parts(db, "segment"), key=lambda part: part.start_min)
    return [str(folder / part.path) for part in parts[:first]]


def stored_bytes(folder: Path) -> int:
    """Bytes of all listed segments and roll-ups; replaced files wait for their end and do not count."""
    from mangrove.ledger import catalog

    with catalog.reader(folder) as db:
        return sum(part.bytes for table in ("segment", "rollup") for part in catalog.parts(db, table))


def by_hand(folder: Path, count: int, where: str) -> list[tuple[Any, ...]]:
    """Pre-aggregate, then join, as an engineer who knows DuckDB writes it."""
    import duckdb

    db = duckdb.connect(config={"preserve_insertion_order": "false", "memory_limit": "700MB"})
    db.register("stream", streams())
    db.register("factor", factors(middle(count).replace(tzinfo=None)))
    query = HAND_WRITTEN.format(files=segment_files(folder), where=where) + JOIN.format(activity="a")
    return db.execute(query).fetchall()


def by_ledger(folder: Path, count: int, plan: str, question: str) -> list[tuple[Any, ...]]:
    """Our own snapshot, joined with the same tables."""
    from mangrove.ledger import Ledger

    change = middle(count)
    with Ledger.open(folder, read_only=True) as ledger, ledger.snapshot() as snapshot:
        db = snapshot.connection
        db.register("stream", streams())
        db.register("factor", factors(change.replace(tzinfo=None)))
        end = START + timedelta(days=count)
        view = snapshot.activity(START, end, edges=[change], plan=plan)
        return db.execute(question.format(activity=view)).fetchall()


def declare(folder: Path, count: int) -> Path:
    """A territory folder that declares the same places, flows and factors."""
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    change = middle(count).astimezone(zone).date()
    places = "".join(f"p{i},Place {i},facility,park\n" for i in range(PLACES))
    flows = "".join(
        f"flow-{i:04d},p{i % PLACES},process:a{i % ACTIVITIES},kg,1min,1,bench/a{i % ACTIVITIES},2 %\n"
        for i in range(FLOWS)
    )
    rows = factors(middle(count)).to_pylist()
    lines = [
        f"bench/a{row['activity']},{row['gas']},{row['value']!r},kg {row['gas']}/kg,benchmark,"
        + (f",{change}" if row["valid_from"].year == 1970 else f"{change},")
        for row in rows
    ]
    files = {
        "territory.yaml": "name: Bench\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: en\ngwp: AR5\n",
        "places.csv": f"id,name,kind,parent\npark,Park,park,\n{places}",
        "flows.csv": f"id,place,carrier,unit,step,scope,factor,uncertainty\n{flows}",
        "factors.csv": "activity,gas,value,unit,source,valid_from,valid_to\n" + "\n".join(lines) + "\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def by_measure(folder: Path, count: int, plan: str, *, with_uncertainty: bool) -> list[tuple[Any, ...]]:
    """The measure verb itself: methods, plan, query, table (the declaration is loaded before the clock starts)."""
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure.question import resolve
    from mangrove.measure.result import Emissions

    question = resolve(DECLARED[0], START, START + timedelta(days=count), by=["place", "gas"], every="1h")
    result = Emissions(plans.build(DECLARED[0], rules.load(), question), folder, 10**9, reading_plan=plan)
    table = result.table(by=["place", "gas"], every="1h", with_uncertainty=with_uncertainty)
    return [(None, None, None, kg) for kg in table.column("kg").to_pylist()]


def by_polars(folder: Path, count: int) -> list[tuple[Any, ...]]:
    """Polars, streaming, pre-aggregate then join."""
    import polars as pl

    change = middle(count).replace(tzinfo=None)
    hourly = (
        pl.scan_parquet(segment_files(folder))
        .filter(pl.col("quality").is_in([0, 7, 8]))
        .group_by("flow", pl.col("start").dt.truncate("1h"))
        .agg(pl.col("value").sum().alias("total"))
    )
    kg = (
        hourly.join(pl.from_arrow(streams()).lazy(), on="flow")
        .join(pl.from_arrow(factors(change)).lazy(), on="activity")
        .filter((pl.col("start") >= pl.col("valid_from")) & (pl.col("start") < pl.col("valid_to")))
        .group_by("place", "gas", "start")
        .agg((pl.col("total") * pl.col("value")).sum())
    )
    return kg.collect(engine="streaming").rows()


def by_pandas(folder: Path, count: int) -> list[tuple[Any, ...]]:
    """Pandas on the first files only: the whole would not fit a gigabyte ten times over."""
    import pandas as pd

    frame = pd.concat(
        pd.read_parquet(path, columns=["flow", "start", "value", "quality"])
        for path in segment_files(folder, 5)
    )
    frame = frame[frame.quality.isin([0, 7, 8])]
    hourly = frame.groupby(["flow", frame.start.dt.floor("h")]).value.sum().rename("total").reset_index()
    factor = factors(middle(count).replace(tzinfo=None)).to_pandas()
    kg = hourly.merge(streams().to_pandas(), on="flow").merge(factor, on="activity")
    kg = kg[(kg.start >= kg.valid_from) & (kg.start < kg.valid_to)]
    kg["kg"] = kg.total * kg.value
    result = kg.groupby(["place", "gas", "start"]).kg.sum().reset_index()
    return [*result.itertuples(index=False, name=None), len(frame)]


VARIANTS: dict[str, Callable[[Path, int], list[tuple[Any, ...]]]] = {
    "hand-written DuckDB": lambda folder, count: by_hand(folder, count, COUNTED),
    "hand-written DuckDB, quality ignored": lambda folder, count: by_hand(folder, count, ""),
    "ledger, roll-up plan": lambda folder, count: by_ledger(folder, count, "rollup", JOIN),
    "ledger, raw plan": lambda folder, count: by_ledger(folder, count, "raw", JOIN),
    "ledger, roll-up plan with counts": lambda folder, count: by_ledger(folder, count, "rollup", EVERYTHING),
    "ledger, raw plan with counts": lambda folder, count: by_ledger(folder, count, "raw", EVERYTHING),
    "measure verb, roll-up plan": lambda folder, count: by_measure(
        folder, count, "rollup", with_uncertainty=False
    ),
    "measure verb, raw plan": lambda folder, count: by_measure(folder, count, "raw", with_uncertainty=False),
    "measure verb, roll-up plan, intervals": lambda folder, count: by_measure(
        folder, count, "rollup", with_uncertainty=True
    ),
    "Polars streaming": by_polars,
    "pandas, five files": by_pandas,
}


def cpu() -> float:
    """CPU seconds of this process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_variant(name: str, folder: Path, count: int) -> None:
    """The child: runs one variant and prints what it took."""
    import duckdb  # noqa: F401 - imports are not counted
    import pandas as pd  # noqa: F401
    import polars as pl  # noqa: F401

    from mangrove import rules, territory

    rules.load()
    with tempfile.TemporaryDirectory() as declared:
        DECLARED.append(territory.load(declare(Path(declared), count)))
    used, begin = cpu(), time.perf_counter()
    rows = VARIANTS[name](folder, count)
    used, wall = cpu() - used, time.perf_counter() - begin
    read = rows.pop() if isinstance(rows[-1], int) else count * PER_DAY
    total = sum(row[3] for row in rows)
    print(json.dumps({"cpu": used, "wall": wall, "rows": len(rows), "kg": total, "read": read}))


def child_command(name: str, folder: Path, readings: int) -> list[str]:
    """This script again, for one task."""
    return [sys.executable, __file__, "--variant", name, "--dir", str(folder), "--readings", str(readings)]


def measure(name: str, folder: Path, readings: int) -> dict[str, float]:
    """The parent: one child for one variant, with its peak memory."""
    command = child_command(name, folder, readings)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        output = child.stdout.read() if child.stdout else ""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{name}: exit code {child.returncode}")
    return {**json.loads(output), "rss": usage.ru_maxrss / 1e6}


def compare(folder: Path, readings: int, repeat: int) -> None:
    """Runs all variants and prints them with their ratio to the hand-written query."""
    if not (folder / "catalog.db").is_file():
        subprocess.run(child_command(BUILD, folder, readings), check=True)
    names = list(VARIANTS)
    best = {
        name: min((measure(name, folder, readings) for _ in range(repeat)), key=lambda result: result["cpu"])
        for name in names
    }
    reference = best[names[0]]
    size = stored_bytes(folder)
    count = days(readings) * PER_DAY
    print(
        f"{count:,} readings, {size / count:.2f} B/reading with roll-ups, {int(reference['rows']):,} result rows"
    )
    print(f"{'':38} CPU s   wall s  ratio  peak GB")
    for name, result in best.items():
        scale = count / result["read"]
        print(
            f"{name:38} {result['cpu'] * scale:6.2f} {result['wall'] * scale:7.2f} "
            f"{result['cpu'] * scale / reference['cpu']:6.2f} {result['rss']:7.2f}"
            + (f"  (extrapolated x {scale:.1f})" if scale > 1 else "")
        )
        whole = scale == 1 and "ignored" not in name
        assert not whole or result["rows"] == reference["rows"], name
        assert not whole or abs(result["kg"] / reference["kg"] - 1) < 1e-9, name


def main() -> None:
    """Reads the arguments; a child is told its variant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readings", type=int, default=100_800_000)
    parser.add_argument("--dir", type=Path, help="where the store is made, or already is")
    parser.add_argument("--keep", action="store_true", help="do not remove the store")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each variant; the least CPU counts")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant == BUILD:
        build(options.dir, options.readings)
        return
    if options.variant:
        run_variant(options.variant, options.dir, days(options.readings))
        return
    folder = options.dir or Path(tempfile.mkdtemp(prefix="mangrove-bench-"))
    try:
        compare(folder, options.readings, options.repeat)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
