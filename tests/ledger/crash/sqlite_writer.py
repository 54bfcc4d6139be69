# SPDX-License-Identifier: Apache-2.0
"""Commits one row at a time to a SQLite file, to check the power-loss shim against behavior that SQLite documents.

`python sqlite_writer.py FOLDER SYNCHRONOUS` says `ACK n` after each commit, until it is killed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path


def main() -> None:
    """Commits until killed."""
    db = sqlite3.connect(Path(sys.argv[1]) / "plain.db", isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute("create table if not exists t (n integer)")
    db.execute(f"pragma synchronous = {sys.argv[2]}")
    for number in range(1_000_000):
        db.execute("insert into t values (?)", (number,))
        os.write(1, f"ACK {number}\n".encode())


if __name__ == "__main__":
    main()
