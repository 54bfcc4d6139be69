# SPDX-License-Identifier: Apache-2.0
"""A small city with counted streets for the page Traffic: two wards, a company's own gate, a network with names, stored comparisons.

Comes in: a folder. Goes out: a handle. Counts are round, so that a test can say what the page must show: six to eight in the morning of 5 June 2023.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.measure.traffic import counted_city

import mangrove as mg
from mangrove.traffic.verdict import MEASURES

DAY = "2023-06-05"
START = datetime(2023, 6, 4, 23, tzinfo=UTC)
"""06:00 of 5 June in Ho Chi Minh City, a Monday."""
HOURS = 2
COMPANIES = ("depot", "mill")
GATE = "\n".join(
    f"gate_{what},depot,{carrier},{unit},5min,{kind},,,,link=fourth,,memo"
    for what, carrier, unit, kind in (
        ("moto", "vehicles:motorbike", "vehicle", "sum"),
        ("speed", "speed", "km/h", "state"),
    )
)
USUAL = counted_city.USUAL | {"gate_moto": 24.0, "gate_speed": 12.0}
WAYS = ("installed", "plan", "adaptive")
DELAYS = {"installed": (100.0, 110.0, 90.0), "plan": (80.0, 86.0, 74.0), "adaptive": (95.0, 99.0, 91.0)}
LOST = {"installed": 10.0, "plan": 4.0, "adaptive": 25.0}
"""Delay of each draw (s), and vehicles that are left at the end, by way of control."""
LINK_DELAY = {"installed": (3.0, 2.0, 1.0), "plan": (1.0, 2.5, 1.0), "adaptive": (2.0, 1.0, None)}
"""Hours lost per hour on `main`, `side` and `third`."""


def streets(folder: Path, *, network: bool = True, records: bool = True) -> mg.Handle:
    """The city with two hours of counts."""
    folder.mkdir(parents=True, exist_ok=True)
    if network:
        counted_city.write_net(folder)
        file = folder / "small.net.xml"
        text = file.read_text()
        for edge, name in (
            ("main", "Lê Lợi"),
            ("side", "Lê Lợi"),
            ("third", "Hàm Nghi"),
            ("fourth", "Nội bộ"),
        ):
            text = text.replace(f'<edge id="{edge}"', f'<edge id="{edge}" name="{name}"')
        file.write_text(text, encoding="utf-8")
    more = "traffic: {network: small.net.xml}\n" if network else ""
    gate = GATE if network else GATE.replace("link=fourth", "link=fourth; length=900 m")
    counted_city.city(folder, counted_city.FLOWS + counted_city.RESULTS, more)
    places = json.loads((folder / "places.geojson").read_text())
    places["features"] += [
        {"type": "Feature", "properties": {"id": one, "name": one.title(), "kind": "facility", "parent": "east"}, "geometry": None}
        for one in COMPANIES
    ]  # fmt: skip
    (folder / "places.geojson").write_text(json.dumps(places))
    with (folder / "flows.csv").open("a", encoding="utf-8") as file:
        file.write(gate + "\n")
    park = mg.open(folder)
    for hour in range(HOURS):
        counted_city.fill(park, USUAL, START + timedelta(hours=hour))
    if records:
        with park.writer() as ledger:
            ledger.put_record("signals", json.dumps(study()).encode())
            ledger.put_record("street_plans", json.dumps(plans()).encode())
    return park


def study(name: str = "peak") -> dict[str, Any]:
    """A comparison of ways to control signals, as it is stored."""
    rows = []
    for way in WAYS:
        rows.append([])
        for delay in DELAYS[way]:
            known = {"delay": delay, "co2": delay * 2, "unfinished": LOST[way]}
            rows[-1].append([known.get(measure, 0.0) for measure in MEASURES])
    links: dict[str, Any] = {"ids": ["main", "side", "third"]}
    for way in WAYS:
        lost = list(LINK_DELAY[way])
        links[way] = {
            "co2_kg_h": [None if one is None else one * 10 for one in lost],
            "delay_h_h": lost,
            "speed_km_h": [None if one is None else 20.0 for one in lost],
        }
    tls = {
        "id": "b", "lon": 106.682, "lat": 10.78,
        **{way: {"co2_kg_h": LINK_DELAY[way][0] * 10, "delay_h_h": LINK_DELAY[way][0]} for way in WAYS},
    }  # fmt: skip
    other = {
        "id": "c", "lon": 106.684, "lat": 10.78,
        **{way: {"co2_kg_h": LINK_DELAY[way][1] * 10, "delay_h_h": LINK_DELAY[way][1]} for way in WAYS},
    }  # fmt: skip
    return {
        "name": name, "made": "2023-06-05T02:00:00+00:00", "net": "small.net.xml", "names": list(WAYS), "measures": list(MEASURES),
        "values": rows, "vehicles": [[200.0] * 3] * 3, "seeds": [1, 2, 3], "links": links, "signals": [tls, other],
    }  # fmt: skip


def plans() -> dict[str, Any]:
    """A comparison of road plans, as it is stored."""

    def differences(metro: float, swap: float, better: float | None) -> list[dict[str, Any]]:
        pairs = (("metro", "today", metro), ("swap", "today", swap), ("swap", "metro", swap - metro))
        return [
            {
                "plan": a, "against": b, "mean": mean, "low": mean - 5, "high": mean + 5, "relative": mean / 1000,
                "confidence": None if better is None else better if mean < 0 else 1 - better,
            }
            for a, b, mean in pairs
        ]  # fmt: skip

    hours = [1.0] * 24
    return {
        "territory": "Small city", "on": "2030-01-01", "seed": 0, "per": "day", "made": "2023-06-05T03:00:00+00:00",
        "plans": [{"name": "metro", "title": "Metro line 2", "digest": "a"}, {"name": "swap", "title": "", "digest": "b"}],
        "measures": [
            {"key": "minutes", "unit": "min/trip", "mean": {"today": 14.0, "metro": 13.0, "swap": 14.0}, "differences": differences(-1, 0.5, 0.97)},
            {"key": "CO2", "unit": "g/d", "mean": {"today": 9e6, "metro": 8e6, "swap": 8.5e6}, "differences": differences(-1e6, -5e5, 0.99)},
            {"key": "km", "unit": "km/d", "mean": {"today": 9e4, "metro": 8e4, "swap": 9e4}, "differences": differences(-1e4, 0.0, None)},
        ],
        "zones": [
            {"zone": "west", "CO2": {"today": 4e6, "metro": 3e6, "swap": 4.1e6}, "kwh_by_hour": {"today": hours, "metro": hours, "swap": [5.0] * 24}, "kwh_charged_by_hour": {"swap": [0.0] * 12 + [10.0] * 12}},
            {"zone": "east", "CO2": {"today": 4e6, "metro": 4.2e6, "swap": 3.5e6}, "kwh_by_hour": {"today": hours, "metro": hours, "swap": [7.0] * 24}},
            {"zone": None, "CO2": {"today": 1e6, "metro": 8e5, "swap": 9e5}, "kwh_by_hour": {"today": hours, "metro": hours, "swap": hours}},
        ],
        "claims": [
            {
                "id": "pilot", "kind": "vehicles", "each": 2.0, "low": 0.46, "high": 1.09, "holds": False,
                "kilometers": 9936.0, "needed": 18300.0, "sources": ["hbefa", "copert"],
                "text": {"en": "pilot does not add up: it says 2 t", "vi": "pilot không hợp lý: nêu 2 t"},
            }
        ],
        "assumptions": ["work_trips.motorbike"], "problems": ["roads.assumed: trips rest on assumed rates"],
    }  # fmt: skip
