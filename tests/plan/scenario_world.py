# SPDX-License-Identifier: Apache-2.0
"""A small park with a year of readings, and scenario files about it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import mangrove as mg
from mangrove import testing
from mangrove.ledger import Origin

FLOWS = [
    {"id": "grid", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2", "sector": "power", "uncertainty": "2 %", "meter": "m1"},
    {"id": "pv", "carrier": "electricity", "unit": "kWh", "step": "1h", "sector": "power", "method": "own_generation",
     "parameters": "counterfactual=grid", "account": "avoided", "uncertainty": "2 %"},
    {"id": "diesel", "carrier": "fuel:diesel", "unit": "L", "step": "1mo", "scope": "1", "sector": "transport",
     "factor": "combustion/road/diesel", "method": "mobile_combustion", "uncertainty": "3 %"},
    {"id": "coal", "carrier": "fuel:anthracite", "unit": "t", "step": "1d", "scope": "1", "sector": "heat",
     "factor": "combustion/manufacturing/anthracite", "uncertainty": "5 %"},
    {"id": "boiler", "carrier": "electricity", "unit": "kW", "step": "1h", "semantics": "mean", "scope": "2", "sector": "heat", "uncertainty": "2 %"},
]  # fmt: skip
"""Hourly electricity, a roof, monthly diesel, daily coal, and a power."""
HEAD = """\
name: {name}
title: A test
from: 2026
to: 2028
baseline:
  year: 2024
"""
ROOF = """\
  - id: roof
    type: add_asset
    from: 2026-07-01
    ramp: linear
    ramp_to: 2027-07-01
    asset: roof_2
    kind: pv
    place: site
    parameters: capacity=100 kWp
    size: 100 kWp
    effects:
      - {flow: pv, amount: 1200 kWh/kWp/yr}
      - {flow: grid, amount: -1100 kWh/kWp/yr}
    uncertainty: 10 %
    source: assumed here
    status: assumed
"""
TRUCKS = """\
  - id: trucks
    type: switch_technology
    from: 2027-01-01
    flow: [diesel]
    share: 40 %
    into: grid
    ratio: 3 kWh/L
    uncertainty: 20 %
    ratio_uncertainty: 15 %
    source: assumed here
    status: assumed
"""
SAVING = """\
  - id: saving
    type: change_activity
    from: 2026-01-01
    ramp: s_curve
    ramp_to: 2028-01-01
    sector: transport
    change: -10 %
    uncertainty: 30 %
    source: assumed here
    status: assumed
"""
GRID = """\
  - id: cleaner
    type: switch_factor
    from: 2027-01-01
    activity: grid/vn
    gas: CO2
    value: 0.5 t CO2/MWh
    uncertainty: 8 %
    source: assumed here
    status: assumed
"""
FUEL = """\
  - id: briquettes
    type: switch_factor
    from: 2027-01-01
    flow: [coal]
    factor: combustion/manufacturing/wood
    share: 50 %
    source: assumed here
    status: assumed
"""
ALL = (ROOF, TRUCKS, SAVING, GRID, FUEL)


def park(folder: Path, year: int = 2024) -> mg.Handle:
    """The park with a year of readings, the same on every call."""
    opened = mg.open(testing.park_of(folder, FLOWS))
    store(opened, year)
    return opened


def store(opened: mg.Handle, year: int, scale: float = 1.0, seq: str = "") -> None:
    """Readings of a year, `scale` times those of the base year."""
    start = datetime(year - 1, 12, 31, 17, tzinfo=UTC)
    end = datetime(year, 12, 31, 17, tzinfo=UTC)
    hours, days = int((end - start) / timedelta(hours=1)), (end - start).days
    rows = [("grid", start + timedelta(hours=h), scale * (80 + h % 24)) for h in range(hours)]
    rows += [
        ("pv", start + timedelta(hours=h), scale * (5.0 if 6 <= h % 24 < 18 else 0.0)) for h in range(hours)
    ]
    rows += [("boiler", start + timedelta(hours=h), scale * 12.0) for h in range(hours)]
    rows += [("coal", start + timedelta(days=d), scale * (1 + d % 7)) for d in range(days)]
    months = [start, *(datetime(year, m, 1, tzinfo=UTC) - timedelta(hours=7) for m in range(2, 13))]
    rows += [("diesel", month, scale * (900.0 + 10 * n)) for n, month in enumerate(months)]
    with opened.writer() as ledger:
        ledger.append(testing.values(rows), Origin("test", seq or str(year)))


def write(folder: Path, *actions: str, name: str = "test", head: str = HEAD) -> Path:
    """A scenario file with these actions."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(
        head.format(name=name) + ("actions:\n" + "".join(actions) if actions else ""), encoding="utf-8"
    )
    return path
