# SPDX-License-Identifier: Apache-2.0
"""The energy park of the tests with four weeks of readings and a plan of the worker, for what shows and executes plans."""

from __future__ import annotations

from datetime import UTC, datetime

import mangrove as mg
from mangrove import worker
from mangrove.testing import energy_meters, energy_park

NOW = datetime(2023, 6, 26, 1, tzinfo=UTC)
"""Eight in the morning of a Monday in Viet Nam."""


class Still:
    """A clock that moves when it is told."""

    replays, speed, start = True, 0.0, NOW

    def __init__(self, at=NOW):
        self.at = at

    def now(self):
        return self.at

    def move(self, by):
        self.at += by


def planned_park(folder, devices=""):
    """The park with readings until `NOW`, a forecast, and the plans that the worker stores then."""
    energy_park(folder / "park")
    if devices:
        (folder / "park" / "devices.csv").write_text(devices, encoding="utf-8")
    park = mg.open(folder / "park")
    mg.ingest(park, *energy_meters(folder / "meters", days=27), screen=False)
    mg.forecast(park, ["works.sun"], NOW, horizon="48h", models=("naive",), as_of=datetime.now(UTC))
    worker._operate(park, NOW)
    return park
