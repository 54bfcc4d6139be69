# SPDX-License-Identifier: Apache-2.0
"""The SQL texts of the ledger and the few words of them that belong to DuckDB.

Comes in: the name of a file in `sql/` and the relations and constants to place in it. Goes out: SQL text. The files
keep to a subset that DuckDB, PostgreSQL and Spark read alike; everything that only DuckDB understands (reading Parquet
files, buckets shorter than an hour) stands in this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from mangrove.ledger.types import COUNTED

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MANY_ROWS = 3_000_000
MEMORY_LIMIT = "700MB"
HOUR_S = 3600
ROW = "flow, start, value, quality, batch"
_COUNTED = " or ".join(f"quality = {int(code)}" for code in COUNTED)


@cache
def text(name: str) -> str:
    """The text of `sql/<name>.sql` without its comments."""
    path = resources.files("mangrove.ledger") / "sql" / f"{name}.sql"
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.split(" -- ")[0] for line in lines if not line.startswith("--")).strip()


def fill(name: str, **words: object) -> str:
    """The text of `sql/<name>.sql` with `$word` replaced; relations are placed as they are."""
    return Template(text(name)).substitute(counted=_COUNTED, **words)


def files(paths: Iterable[str]) -> str:
    """A DuckDB relation over Parquet files; the paths are the ledger's own, quoted all the same."""
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def instant(us: int) -> str:
    """A UTC instant as a constant."""
    return f"make_timestamp({us})"


def unit(seconds: int) -> str:
    """The expression for the start of the unit of `seconds` (a divisor of an hour) that holds `start`."""
    hour = "date_trunc('hour', start)"
    if seconds == HOUR_S:
        return hour
    return f"time_bucket(interval '{seconds}' second, start)"


def arrow(db: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """The rows of a query, copied once; a relation of DuckDB must not be read twice, it would run again."""
    return db.sql(sql).to_arrow_table()


def connect(memory_limit: str = MEMORY_LIMIT, rows: int = MANY_ROWS) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory; what it spills goes to a folder of its own in the system's temporary folder.

    Over fewer than `MANY_ROWS` rows it uses one thread: more would not pay, and a sum of doubles then comes out the
    same to the last bit every time it is asked for.
    """
    import secrets
    import tempfile

    import duckdb

    config = {
        "memory_limit": memory_limit,
        "preserve_insertion_order": "false",
        "temp_directory": f"{tempfile.gettempdir()}/mangrove-{secrets.token_hex(8)}",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    return duckdb.connect(config=config | ({} if rows >= MANY_ROWS else {"threads": "1"}))
