# SPDX-License-Identifier: Apache-2.0
"""What the pages of a live territory cost, beside the limits that they shall keep: bytes, first paint, open streams, questions.

A park of 40 companies with 200 hourly meters and a year of readings up to this hour is served by `mangrove serve` in a process of its
own; Chromium without a cache loads the first page; 500 streams of events are held open; one company's year is asked for.

    python benchmarks/pages.py [--companies 40] [--streams 500]
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.serve.access import SYSTEM, Accounts
from mangrove.testing import park_of

CHROMIUM = "/usr/bin/chromium"
METERS = ("power", "steam", "gas", "diesel", "water")
CARRIERS = {
    "power": ("electricity", "kWh", "2"),
    "steam": ("electricity", "kWh", "2"),
    "gas": ("fuel:natural_gas", "m3", "1"),
    "diesel": ("fuel:diesel", "L", "1"),
    "water": ("water:clean", "m3", ""),
}
SECTORS = ("steel", "food", "textile", "paper", "chemical", "machinery", "plastics", "electronics")
HOURS = 366 * 24
EVENT = b"event: moved"
SETTINGS = "access: {api_rate: 100000, api_burst: 100000}\n"


def park(folder: Path, companies: int) -> mg.Handle:
    """A park of companies with five hourly meters each, and a year of readings up to this hour."""
    flows = []
    for i in range(companies):
        for meter in METERS:
            carrier, unit, scope = CARRIERS[meter]
            row = {"id": f"c{i}.{meter}", "place": f"c{i}", "carrier": carrier, "unit": unit, "step": "1h"}
            flows.append(row | {"scope": scope, "sector": SECTORS[i % len(SECTORS)], "name": f"{meter} {i}"})
            if meter in {"gas", "diesel"}:
                flows[-1]["factor"] = "combustion/manufacturing/" + carrier.partition(":")[2]
    park_of(folder, flows)
    with (folder / "places.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [
            ["id", "name", "kind", "parent", "lon", "lat"],
            ["park", "Khu công nghiệp", "park", "", "", ""],
        ]
        rows += [
            [f"c{i}", f"Công ty số {i}", "facility", "park", 106.7 + i % 8 / 100, 20.9 + i // 8 / 100]
            for i in range(companies)
        ]
        csv.writer(file).writerows(rows)
    (folder / "settings.yaml.txt").write_text(SETTINGS, encoding="utf-8")
    opened = mg.open(folder)
    first = int(hour_now().timestamp()) * 1_000_000 - HOURS * 3_600_000_000
    starts = first + np.arange(HOURS, dtype=np.int64) * 3_600_000_000
    rng = np.random.default_rng(1)
    with opened.writer() as ledger:
        for i in range(companies):
            names = [f"c{i}.{meter}" for meter in METERS]
            table = pa.table(
                {
                    "flow": pa.array(np.repeat(names, HOURS)),
                    "start": pa.array(np.tile(starts, len(METERS))).cast(pa.timestamp("us", "UTC")),
                    "value": np.round(rng.gamma(3, 40, HOURS * len(METERS)), 2),
                    "quality": pa.array(np.zeros(HOURS * len(METERS), np.uint8)),
                }
            )
            ledger.append(table, Origin(f"file:c{i}", "1"))
        ledger.seal()
    return opened


def hour_now() -> datetime:
    """The hour that runs."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """The server in a process of its own: its address and its number."""
    options = [
        "--port",
        "0",
        "--no-work",
        "--guest",
        "operator",
        "--settings",
        str(folder / "settings.yaml.txt"),
    ]
    command = [sys.executable, "-m", "mangrove", "serve", str(folder), *options]
    said = folder / "said.txt"
    with said.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stderr=file)
    try:
        found = None
        while found is None:
            assert process.poll() is None, said.read_text(encoding="utf-8")
            time.sleep(0.1)
            found = re.search(r"http://127\.0\.0\.1:\d+", said.read_text(encoding="utf-8"))
        address = found.group()
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


def resident(pid: int) -> float:
    """Resident memory of a process, MB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1e3


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def post(address: str, key: str, hour: int) -> None:
    """One value of one meter, an hour that has none yet."""
    moment = (hour_now() + timedelta(hours=hour)).isoformat()
    document = {"flow": ["c0.power"], "ts": [moment], "value": [100.0 + hour]}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"{address}/api/v1/values", json.dumps(document).encode(), headers)
    urllib.request.urlopen(request, timeout=30).close()


def first_page(address: str, key: str) -> list[tuple[str, float, float, str]]:
    """Bytes and first contentful paint of the first page in a browser without a cache, and right after a value arrived."""
    from playwright.sync_api import sync_playwright

    paint: dict[str, list[float]] = {"warm": [], "new values": []}
    size: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for turn in range(11):
            kind = "new values" if turn % 2 else "warm"
            if kind == "new values":
                post(address, key, -HOURS - 1 - turn)
                time.sleep(8)
            context = browser.new_context()
            page = context.new_page()
            session = context.new_cdp_session(page)
            session.send("Network.enable")
            got: list[float] = []
            session.on("Network.loadingFinished", lambda said, got=got: got.append(said["encodedDataLength"]))
            page.goto(address, wait_until="load")
            page.wait_for_timeout(500)
            shown = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            if turn:  # the first one starts the server's engines
                paint[kind].append(shown / 1e3)
                size.append(sum(got) / 1e6)
            context.close()
        browser.close()
    rows = [("first page, all files, MB", 1.0, statistics.median(size), "")]
    for kind, seconds in paint.items():
        note = f"of {len(seconds)}: {min(seconds):.2f} to {max(seconds):.2f}"
        rows.append((f"first contentful paint, {kind}, s", 0.5, statistics.median(seconds), note))
    return rows


async def streams(address: str, pid: int, key: str, count: int) -> list[tuple[str, float, float, str]]:
    """Memory for open streams, and the time until each heard of a value."""
    host, port = address.removeprefix("http://").split(":")
    before = resident(pid)
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /events HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], head
        opened.append((reader, writer))
    await asyncio.sleep(1)
    grown = resident(pid) - before
    heard = [asyncio.create_task(_moved(reader)) for reader, _ in opened]
    await asyncio.sleep(0.5)
    begun, used = time.perf_counter(), cpu(pid)
    await asyncio.to_thread(post, address, key, -HOURS - 100)
    moments = await asyncio.wait_for(asyncio.gather(*heard), 60)
    rows = [
        (f"memory of {count} open streams, MB", 100.0, grown, f"{grown * 1e3 / count:.0f} kB each"),
        ("a value reaches all of them, s", 1.0, max(moments) - begun, f"CPU {cpu(pid) - used:.2f} s"),
    ]
    for _, writer in opened:
        writer.close()
    return rows


async def _moved(reader: asyncio.StreamReader) -> float:
    """When this stream heard that values arrived, after what it was told at its beginning."""
    seen = b""
    while True:
        seen += await reader.read(4096)
        if EVENT in seen:
            return time.perf_counter()


def best(work: Callable[[], object], times: int = 7) -> tuple[float, float]:
    """Least wall and CPU seconds of this process."""
    walls, cpus = [], []
    for _ in range(times):
        wall, used = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - used)
    return min(walls), min(cpus)


def questions(opened: mg.Handle) -> list[tuple[str, float, float, str]]:
    """One zone's year, its readings, and the year of all zones at once (which a server computes once for all who look)."""
    start, end = f"{hour_now() - timedelta(days=365):%Y-%m-%d}", f"{hour_now():%Y-%m-%d}"
    from mangrove.times import Span

    span = Span.asked(start, end, opened.territory.tz)
    names = [f"c1.{meter}" for meter in METERS]

    def values() -> object:
        with opened.reader() as ledger, ledger.snapshot() as snapshot:
            return snapshot.values(names, span.start, span.end)

    def asked(**how: Any) -> object:
        return mg.measure(opened, start, end, store=False, **how).to_arrow()

    rows = []
    for name, limit, work in (
        ("emissions of one zone's year, ms", 50.0, lambda: asked(place="c1")),
        ("the 43,800 readings of one zone's year, ms", 50.0, values),
        ("emissions of a year of the whole by zone, ms", 500.0, lambda: asked(by=["place"])),
    ):
        wall, used = best(work)
        rows.append((name, limit, wall * 1e3, f"CPU {used * 1e3:.0f} ms"))
    return rows


def main() -> None:
    """Prints one table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--companies", type=int, default=40)
    asked.add_argument("--streams", type=int, default=500)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        opened = park(Path(folder) / "park", options.companies)
        with Accounts(opened.territory.path) as accounts:
            key = accounts.keys.add("benchmark", "operator", by=SYSTEM)[1]
        rows = questions(opened)
        with served(opened.territory.path) as (address, pid):
            rows = first_page(address, key) + asyncio.run(streams(address, pid, key, options.streams)) + rows
    load = os.getloadavg()[0]
    print(
        f"{datetime.now(UTC):%Y-%m-%d} {platform.platform()} Python {platform.python_version()}, load {load:.1f}; "
        f"{options.companies} companies, {options.companies * len(METERS) * HOURS:,} readings"
    )
    for name, limit, found, note in rows:
        print(f"{name:48} {found:8.3g}  limit {limit:5g}  {found / limit:5.2f}  {note}")


if __name__ == "__main__":
    main()
