# SPDX-License-Identifier: Apache-2.0
"""Where the real data files lie; a benchmark that needs them says so and ends when nobody names their folder."""

import os
import sys
from pathlib import Path


def folder(part: str) -> Path:
    """The folder `part` of the real files."""
    data = Path(os.environ.get("MANGROVE_DATA", ""))
    if not os.environ.get("MANGROVE_DATA") or not (data / part).is_dir():
        print("not run: MANGROVE_DATA names no folder of the real files, see docs/how-to/real-data.md")
        sys.exit(0)
    return data / part
