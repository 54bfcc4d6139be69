# SPDX-License-Identifier: Apache-2.0
"""Two air-quality stations in a street, with a change that is known: a road that was closed, or an instrument that drifts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from mangrove.ledger import Ledger, Origin
from mangrove.testing import values

FIRST = datetime(2024, 1, 31, 17, tzinfo=UTC)
"""1 February 2024, local midnight in Ho Chi Minh City."""
DAYS, CHANGED = 90, 60
SPECIES = ("co", "no2")
_ROAD = np.array([2, 1, 1, 1, 2, 4, 10, 18, 18, 14, 12, 12, 13, 14, 14, 16, 20, 20, 15, 11, 8, 6, 5, 3]) / 10


def stationed_city(folder: Path, *, cause: str = "activity", wind: bool = True) -> Path:
    """A territory with stations `a` and `b`; from 1 April 2024 on `a` reads 40 % less traffic, or its CO drifts by 30 %."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "territory.yaml").write_text(
        "name: Street\nkind: city\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: en\ngwp: AR5\nboundary:\n  root: city\n"
    )
    (folder / "places.csv").write_text(
        "id,name,kind,parent\ncity,City,city,\na,Station A,facility,city\nb,Station B,facility,city\n"
    )
    weather = {"temperature": "degC"} | ({"wind_speed": "m/s", "wind_from": "deg"} if wind else {})
    flows = [f"{s}.{p},{p},air:{s},ug/m3,1h,state" for p in "ab" for s in SPECIES]
    flows += [f"{name},a,weather:{name},{unit},1h,state" for name, unit in weather.items()]
    (folder / "flows.csv").write_text("\n".join(["id,place,carrier,unit,step,semantics", *flows, ""]))
    columns = _series(cause)
    rows = [
        (name, FIRST + timedelta(hours=i), float(value))
        for name, column in columns.items() if wind or not name.startswith("wind")
        for i, value in enumerate(column)
    ]  # fmt: skip
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(values(rows), Origin("file:air.csv", "1"))
    return folder


def _series(cause: str) -> dict[str, np.ndarray]:
    """Hourly values by flow."""
    rng = np.random.default_rng(5)
    count = 24 * DAYS
    hour, day = np.arange(count) % 24, np.arange(count) // 24
    speed = np.exp(
        0.7
        + rng.normal(0, 0.3, DAYS)[day]
        + 0.2 * np.sin(2 * np.pi * (hour - 9) / 24)
        + rng.normal(0, 0.15, count)
    )
    made = {
        "temperature": 28 + 3 * np.sin(2 * np.pi * (hour - 9) / 24) + rng.normal(0, 0.5, count),
        "wind_speed": speed, "wind_from": (180 + np.cumsum(rng.normal(0, 8, count))) % 360,
    }  # fmt: skip
    after = day >= CHANGED
    for place in "ab":
        less = 1 - 0.4 * after if cause == "activity" and place == "a" else 1.0
        for species, scale in zip(SPECIES, (800.0, 60.0), strict=True):
            level = (0.6 * _ROAD[hour] * less + 0.5) / speed**0.7
            drift = 1.3 if cause == "instrument" and (place, species) == ("a", "co") else 1.0
            made[f"{species}.{place}"] = (
                scale * level * np.where(after, drift, 1.0) * np.exp(rng.normal(0, 0.15, count))
            )
    return made
