# SPDX-License-Identifier: Apache-2.0
"""What the tests of the outer doors share: calling the command line in this process, and a measured year of the two-factory park."""

import csv
import io
import re
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

from mangrove import cli, testing

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
COMMAND = Path(sys.executable).with_name("mangrove")

HOURS, MILL, SHOP = 8760, 2000.0, 150.0
COAL, DIESEL = 40.0, 1200.0
GRID = 0.6592
"""t CO2/MWh of 2023: decision published by the Department of Climate Change (DCC), as in `docs/reference/rules.md`."""


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code, what it wrote to stdout and to stderr."""

    code: int
    out: str
    err: str


def mangrove(*words: object) -> Done:
    """Calls the entry point of the script with these words, in this process."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    code = 0
    try:
        with (
            mock.patch.object(sys, "argv", ["mangrove", *map(str, words)]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Done(code, out.getvalue(), err.getvalue())


def meters(folder: Path) -> list[Path]:
    """Meter files of 2023 for the two-factory park: steady loads, so that sums are plain products (screening would call them stuck)."""
    folder.mkdir(parents=True, exist_ok=True)
    first = datetime.fromisoformat("2023-01-01")
    tables = {
        "power.csv": [
            ["time", "mill.power", "shop.power"],
            *([first + timedelta(hours=i), MILL, SHOP] for i in range(HOURS)),
        ],
        "coal.csv": [["time", "mill.coal"], *([first + timedelta(days=i), COAL] for i in range(365))],
        "diesel.csv": [["time", "shop.diesel"], *([first.replace(month=m), DIESEL] for m in range(1, 13))],
    }
    for name, rows in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    return [folder / name for name in tables]


def measured_park(folder: Path) -> Path:
    """The two-factory park with its meter files of 2023 in the ledger."""
    testing.two_factory_park(folder / "park")
    done = mangrove("ingest", folder / "park", *meters(folder / "meters"), "--no-screen")
    assert done.code == 0, done.err
    return folder / "park"


def sharing_park(folder: Path) -> Path:
    """The park that shares its energy, with four weeks of June 2023 and the stays of its vehicles in the ledger."""
    testing.energy_park(folder / "park")
    done = mangrove("ingest", folder / "park", *testing.energy_meters(folder / "meters"), "--no-screen")
    assert done.code == 0, done.err
    return folder / "park"


def record_id(done: Done) -> str:
    """The id that `mangrove measure` said."""
    return next(line for line in done.err.splitlines() if line.startswith("measurement ")).split()[1]


STATION_FLOWS = [
    {
        "id": "stack.no2",
        "carrier": "stack:NO2",
        "unit": "mg/Nm3",
        "meter": "MILL/NO2",
        "parameters": "gas_flow=stack.gas",
    },
    {"id": "stack.gas", "carrier": "gas", "unit": "Nm3/h", "meter": "MILL/Flow"},
]


def station_park(folder: Path) -> Path:
    """A park with a monitoring station in a stack: nitrogen dioxide and the flow of gas, every five minutes."""
    return testing.park_of(folder, [{"step": "5min", "semantics": "mean", **flow} for flow in STATION_FLOWS])


VOID = {"meta", "br", "link", "input", "img", "hr"}


class Page(HTMLParser):
    """A page read strictly: every element closed in order; its words, ids, and the addresses that it names."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == [], f"{self.open} not closed"

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        self.addresses += [
            value for key, value in attrs if key in {"href", "src", "xlink:href", "action", "data"} and value
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script", "desc"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def stands_alone(self) -> bool:
        """Whether the page asks no other computer for anything, and its own references lead somewhere."""
        asks = [a for a in self.addresses if not a.startswith(("#", "data:"))]
        named = re.findall(r"url\(['\"]?([^'\")]+)|@import\s+(\S+)", self.source)
        inside = [a for a in self.addresses if a.startswith("#")]
        assert asks == []
        assert [
            address
            for pair in named
            for address in pair
            if address and not address.startswith(("#", "data:"))
        ] == []
        assert {address[1:] for address in inside} <= set(self.ids)
        assert len(set(self.ids)) == len(self.ids)
        assert "<script src" not in self.source
        return True
