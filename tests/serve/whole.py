# SPDX-License-Identifier: Apache-2.0
"""The whole application as `mangrove serve` builds it, over small worlds with values, with one principal of every kind.

Comes in: a folder. Goes out: a `Whole`: the application, its accounts and keys, and what belongs to whom.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI

import mangrove as mg
from mangrove import server
from mangrove.ledger.types import Origin
from mangrove.serve.access import SYSTEM, Access, Accounts, Settings
from mangrove.serve.access.passwords import Hasher
from mangrove.serve.clock import Clock
from mangrove.serve.sta import SensorThings
from mangrove.serve.state import Live
from mangrove.sources.intake import Intake
from mangrove.testing import energy_meters, energy_park, park_of, values

SCREENS = (
    "now", "forecast", "change", "map", "inventory", "surroundings", "health", "plans", "symbiosis", "traffic",
)  # fmt: skip
"""Screens that have a page, a JSON twin, tables and figures; an independent list, so that one which is lost is missed."""
PASSWORD = "correct horse battery"
NOW = datetime(2023, 6, 20, 3, tzinfo=UTC)
START = datetime(2023, 5, 31, 17, tzinfo=UTC)
COMPANIES = {
    "mill": ("Nhà máy thép Hoàng Gia", "steel", 7313.0),
    "forge": ("Lò rèn Bạch Đằng", "forging", 1187.0),
    "kiln": ("Lò vôi Thủy Nguyên", "cement", 2903.0),
    "dairy": ("Đường sữa Mộc Châu", "food", 613.0),
    "bakery": ("Bánh mì Phố Cổ", "food", 359.0),
    "brewery": ("Bia Sông Hồng", "food", 241.0),
}
"""Companies of the park: name, sector, mean kWh of an hour. Three of the four sectors have one company only."""
MINE, OTHERS = "mill", tuple(one for one in COMPANIES if one != "mill")
DEVICES = [
    {"id": f"{one}-gate", "protocol": "http", "place": one, "name": f"Cổng {name}"}
    for one, (name, *_) in COMPANIES.items()
]


@dataclass(frozen=True)
class Whole:
    """A built application with who may enter it.

    Attributes:
        keys: secrets of keys by what they are for; sessions: tokens of cookies of people.
    """

    app: FastAPI
    live: Live
    access: Access
    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    @property
    def accounts(self) -> Accounts:
        return self.access.accounts


def write(folder: Path, name: str, rows: list[dict[str, str]]) -> None:
    """A table of a declaration."""
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), restval="")
        table.writeheader()
        table.writerows(rows)


def six_companies(folder: Path) -> mg.Handle:
    """A park of six companies with 19 days of hourly electricity."""
    flows = [
        {
            "id": f"{one}.power",
            "place": one,
            "carrier": "electricity",
            "unit": "kWh",
            "step": "1h",
            "scope": "2",
            "sector": sector,
            "name": f"Điện {name}",
            "meter": f"PM-{one}-1",
        }
        for one, (name, sector, _) in COMPANIES.items()
    ]
    park_of(folder, flows)
    places: list[dict[str, str]] = [
        {"id": "park", "name": "Khu công nghiệp Thử", "kind": "park", "parent": "", "lon": "", "lat": ""}
    ]
    for i, (one, (name, *_)) in enumerate(COMPANIES.items()):
        places.append(
            {
                "id": one,
                "name": name,
                "kind": "facility",
                "parent": "park",
                "lon": f"{106.7 + i / 100}",
                "lat": "20.9",
            }
        )
    write(folder, "places.csv", places)
    write(folder, "devices.csv", DEVICES)
    park = mg.open(folder)
    with park.writer() as ledger:
        rows = [
            (f"{one}.power", START + timedelta(hours=i), rate * (1 + (i % 24) / 240))
            for one, (*_, rate) in COMPANIES.items()
            for i in range(19 * 24)
        ]
        ledger.append(values(rows), Origin("file:meters", "1"))
        ledger.seal()
    return park


def shared_energy(folder: Path) -> mg.Handle:
    """The energy park with two weeks of meters."""
    energy_park(folder)
    park = mg.open(folder)
    with park.writer():
        pass
    for path in energy_meters(folder.parent / "meters", days=14):
        mg.ingest(park, path)
    return park


@contextmanager
def built(park: mg.Handle, **settings: Any) -> Iterator[Whole]:
    """The application over a park, as the server builds it."""
    with ExitStack() as stack:
        accounts = stack.enter_context(Accounts(park.territory.path, hasher=Hasher(passes=1, memory=32)))
        told = {"login_burst": 1e6, "login_rate": 1e6, "api_burst": 1e6, "api_rate": 1e6, **settings}
        access = Access(accounts, park.territory, Settings.of(told))
        ledger = stack.enter_context(park.writer())
        intake = stack.enter_context(Intake(ledger, park.territory))
        live = Live(park, Clock(NOW, 0), intake)
        reading = stack.enter_context(park.reader())
        sta = stack.enter_context(
            SensorThings(park.territory, reading, live.store, intake=intake, clock=live.clock)
        )
        whole = Whole(server.build(live, access, sta), live, access, park.territory.path)
        people(whole)
        yield whole


def people(whole: Whole) -> None:
    """One key and one session for every kind of principal."""
    accounts, territory = whole.accounts, whole.live.territory
    facilities = [one.id for one in territory.places.values() if one.kind == "facility"]
    for role, place in (("admin", ""), ("operator", ""), ("tenant", facilities[0]), ("city", "")):
        made = accounts.users.add(f"{role} person", role, place, by=SYSTEM)
        whole.sessions[role] = accounts.sessions.open(made)
        if role != "admin":
            whole.keys[role] = accounts.keys.add(f"{role} key", role, place=place, by=SYSTEM)[1]
    whole.keys["other tenant"] = accounts.keys.add("other", "tenant", place=facilities[1], by=SYSTEM)[1]
    for device in list(territory.devices)[:1]:
        whole.keys["device"] = accounts.keys.add("gate", "device", device=device, by=SYSTEM)[1]
    revoked, whole.keys["revoked"] = accounts.keys.add("old", "operator", by=SYSTEM)
    accounts.keys.revoke(revoked.id, by=SYSTEM)
