# SPDX-License-Identifier: Apache-2.0
"""Readings per second over HTTP with fsync, per core, beside a server that only reads the same bodies.

Both servers run under uvicorn in a process of their own, one after the other, with the same requests from the same senders (raw
sockets, keep-alive, each connection a gateway with meters of its own). The difference of their CPU per row is what decoding, checking, hashing, committing and
answering cost. The store is real: SQLite with a sync at every commit; sealing into Parquet is counted apart.

    python benchmarks/http_ingest.py [--rows 4000000] [--size 10000] [--form arrow|json|csv|lines]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import socket
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

FLOWS = 200
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1000
TYPES = {
    "arrow": "application/vnd.apache.arrow.stream",
    "json": "application/json",
    "csv": "text/csv",
    "lines": "text/plain",
}


def body(form: str, turn: int, size: int, gateway: int, gateways: int) -> bytes:
    """Request number `turn` of a gateway: `size` readings of its share of 200 flows, minute by minute, two decimals."""
    index = np.arange(turn * size, (turn + 1) * size)
    mine = FLOWS // gateways
    flow, minute = gateway * mine + index % mine, index // mine
    value = np.round(20 + 10 * np.sin(index / 7.0), 2)
    ts = START + minute * 60_000
    names = [f"flow-{i:04d}" for i in range(FLOWS)]
    if form == "arrow":
        table = pa.table(
            {
                "flow": pa.DictionaryArray.from_arrays(pa.array(flow, pa.int16()), names),
                "ts": pa.array(ts).cast(pa.timestamp("ms", "UTC")),
                "value": value,
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return sink.getvalue().to_pybytes()
    words = [names[i] for i in flow.tolist()]
    if form == "json":
        return orjson.dumps({"flow": words, "ts": ts.tolist(), "value": value.tolist()})
    rows = zip(words, ts.tolist(), value.tolist(), strict=True)
    if form == "csv":
        return ("flow,ts,value\n" + "".join(f"{f},{t},{v}\n" for f, t, v in rows)).encode()
    return "".join(f"{f} value={v} {t}000000\n" for f, t, v in rows).encode()


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers."""
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def serve(kind: str, folder: str, pipe: Any) -> None:
    """A server process: says its port, and at the end its CPU seconds."""
    import uvicorn

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    closing: list[Any] = []
    live = None
    if kind == "bare":
        app: Any = bare
    else:
        app, live = product(Path(folder), closing)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, http="httptools"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([sock])))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    begun = cpu()
    pipe.send(sock.getsockname()[1])
    pipe.recv()
    used = cpu() - begun
    counters = live.intake.counters if live is not None else None
    server.should_exit = True
    thread.join()
    begun = cpu()
    if live is not None:
        live.intake.stop()
        live.intake.ledger.seal()
    sealing = cpu() - begun
    for one in closing:
        one.__exit__(None, None, None)
    pipe.send((used, sealing, counters.rows if counters else 0, counters.commits if counters else 0))


def product(folder: Path, closing: list[Any]) -> tuple[Any, Any]:
    """The application with the routes that take values, and its live state."""
    from fastapi import FastAPI

    import mangrove as mg
    from mangrove.serve import ingest
    from mangrove.serve.scope import Principal
    from mangrove.serve.state import Live
    from mangrove.sources.intake import Intake
    from mangrove.testing import park_of

    class Access:
        """Lets everyone in: the price of looking up a key is not that of values."""

        @staticmethod
        def need(*_roles: str, **_options: bool) -> Any:
            async def operator() -> Principal:
                return Principal("1", "", "key", "operator")

            return operator

    flows = [
        {"id": f"flow-{i:04d}", "carrier": "electricity", "unit": "kWh", "step": "1min", "scope": "2"}
        for i in range(FLOWS)
    ]
    park = mg.open(park_of(folder, flows))
    writer = park.writer()
    ledger = writer.__enter__()
    closing.append(writer)
    intake = Intake(ledger, park.territory)
    intake.start()
    live = Live(park, intake=intake)
    app = FastAPI()
    app.include_router(ingest.router(live, Access()))
    return app, live


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def send(port: int, path: str, form: str, bodies: list[bytes]) -> int:
    """Sends requests over one connection, again after 429; returns how many 429 there were."""
    again = 0
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for one in bodies:
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {TYPES[form]}\r\ncontent-length: {len(one)}\r\n\r\n".encode()
            while True:
                sock.sendall(head + one)
                status, answer = response(sock)
                if status in {200, 204}:
                    if answer and b'"rejected":0' not in answer and answer != b"{}":
                        raise SystemExit(f"rows were refused: {answer[:300]!r}")
                    break
                if status != 429:
                    raise SystemExit(f"{status}: {answer[:300]!r}")
                again += 1
                time.sleep(0.02)
    return again


def response(sock: socket.socket) -> tuple[int, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        ),
        0,
    )
    while len(rest) < length:
        rest += sock.recv(65536)
    return int(head.split()[1]), rest


def run(kind: str, form: str, *, size: int, count: int, connections: int, folder: Path) -> dict[str, float]:
    """CPU and wall seconds of one server for `count` requests."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(kind, str(folder), theirs))
    process.start()
    port = ours.recv()
    path = "/api/v2/write" if form == "lines" else "/api/v1/values"
    shares = [
        [body(form, turn, size, gateway, connections) for turn in range(count // connections)]
        for gateway in range(connections)
    ]
    wall = time.perf_counter()
    threads = [threading.Thread(target=send, args=(port, path, form, share)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - wall
    ours.send("done")
    used, sealing, rows, commits = ours.recv()
    process.join()
    return {"cpu": used, "sealing": sealing, "wall": wall, "rows": rows, "commits": commits}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--form", choices=TYPES, default="arrow")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--dir", type=Path, help="where to write; default is the system's temporary folder")
    options = parser.parse_args()
    count = options.rows // options.size // options.connections * options.connections
    rows = count * options.size
    found = {}
    for kind in ("bare", "mangrove"):
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            found[kind] = run(
                kind,
                options.form,
                size=options.size,
                count=count,
                connections=options.connections,
                folder=Path(folder),
            )
    ours = found["mangrove"]
    if ours["rows"] != rows:
        raise SystemExit(f"{rows} sent, {ours['rows']} stored")
    per_row = {kind: one["cpu"] / rows * 1e6 for kind, one in found.items()}
    print(
        json.dumps(
            {
                "form": options.form,
                "rows a request": options.size,
                "requests": count,
                "commits": ours["commits"],
                "M rows/s per core": round(1 / per_row["mangrove"], 2),
                "CPU us/row": round(per_row["mangrove"], 3),
                "bare loop CPU us/row": round(per_row["bare"], 3),
                "times the bare loop": round(per_row["mangrove"] / per_row["bare"], 1),
                "wall M rows/s": round(rows / ours["wall"] / 1e6, 2),
                "sealing CPU us/row afterwards": round(ours["sealing"] / rows * 1e6, 3),
                "cores": os.cpu_count(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
