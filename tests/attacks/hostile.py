# SPDX-License-Identifier: Apache-2.0
"""A park whose every name is an attack, as the server builds it, with one principal of every kind.

Comes in: an empty folder. Goes out: the application of `tests.serve.whole` over it; `MARK` stands in every text that a person may choose.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.serve.whole import START, write

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.testing import park_of, values

MARK = "\"'><xss id=x>&{{7*7}}</script><!--"
"""Breaks out of attributes, of elements, of scripts and of templates, wherever it is not escaped."""
FORMULA = '=HYPERLINK("http://evil.example","x")'
COMPANIES = ("mill", "forge", "kiln", "dairy")


def hostile_park(folder: Path) -> mg.Handle:
    """Four companies, each with electricity by the hour; names, meters, notes and sectors are hostile."""
    flows = [
        {
            "id": f"{one}.power", "place": one, "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2",
            "sector": f"s{i}", "name": f"{FORMULA}{MARK}" if i == 0 else f"+{MARK}", "meter": f"@{MARK}", "note": MARK,
        }
        for i, one in enumerate(COMPANIES)
    ]  # fmt: skip
    park_of(folder, flows)
    places = [{"id": "park", "name": f"Khu {MARK}", "kind": "park", "parent": "", "lon": "", "lat": ""}]
    for i, one in enumerate(COMPANIES):
        at = {"lon": f"{106.7 + i / 100}", "lat": "20.9"}
        places.append({"id": one, "name": f"={one}{MARK}", "kind": "facility", "parent": "park", **at})
    write(folder, "places.csv", places)
    devices = [
        {"id": f"{one}-gate", "protocol": "http", "place": one, "name": f"-{MARK}", "note": MARK}
        for one in COMPANIES
    ]
    write(folder, "devices.csv", devices)
    park = mg.open(folder)
    with park.writer() as ledger:
        rows = [
            (f"{one}.power", START + timedelta(hours=i), 100.0 + i % 24)
            for one in COMPANIES
            for i in range(19 * 24)
        ]
        ledger.append(values(rows), Origin(f"file:{MARK}", MARK, note=MARK))
        ledger.seal()
    return park
