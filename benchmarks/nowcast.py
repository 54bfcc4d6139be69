# SPDX-License-Identifier: Apache-2.0
"""Emissions to the present hour: how long a city of 34 flows and 168 wards takes, and how often the bands hold the truth.

    OPENBLAS_NUM_THREADS=1 python benchmarks/nowcast.py [--runs 400] [--only coverage]

The city has a yearly inventory of 34 flows, hourly indices of two years and a map of 168 wards, all made up; times are CPU seconds.
Coverage draws truths from the priors (see tests/measure/nowcast/twins.py) and counts how many lie in the bands.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from mangrove import api, rules, testing  # noqa: E402
from mangrove.ledger import Origin  # noqa: E402
from mangrove.measure.nowcast import Fact, nowcast  # noqa: E402

WARDS, DAYS = 168, 700
START = datetime(2024, 12, 31, 17, tzinfo=UTC)
GPC = [
    *(f"I.{i}.{scope}" for i in (1, 2, 3, 5) for scope in (1, 2, 3)), "I.8.1", "II.1.1", "II.1.2", "II.2.1", "II.3.1", "II.4.3",
    *(f"III.{i}.{part}" for i in (1, 2, 3, 4) for part in (1, 2)), "IV.1", "IV.2", "V.1", "V.3",
]  # fmt: skip
SECTORS = {"I": "stationary", "II": "transport", "III": "waste", "IV": "ippu", "V": "afolu"}


def city(folder: Path) -> Path:
    """A city of 168 wards, 34 flows and three indices."""
    testing.three_ward_city(folder)
    places = ["id,name,kind,parent,area_km2,population", "city,City,city,,1680,8000000"]
    places += [f"w{i},Ward {i},ward,city,10,{20_000 + 300 * i}" for i in range(WARDS)]
    (folder / "places.csv").write_text("\n".join(places) + "\n", encoding="utf-8")
    (folder / "crosswalk.csv").unlink()
    rows = [
        "id,place,carrier,unit,step,sector,scope,semantics,spread,gpc,uncertainty,account,method,parameters"
    ]
    many = (GPC * 2)[:34]
    for number, gpc in enumerate(many):
        scope = 2 if gpc.startswith("I.") and gpc.endswith(".2") else 1
        sector = SECTORS[gpc.split(".")[0]]
        rows.append(
            f"f{number},city,reported:CO2e,t,1y,{sector},{scope},sum,population,{gpc},10 %,inventory,reported,gwp=AR5"
        )
    rows += [f"{name},city,index:{name},1,1h,,,state,,,2 %,memo,," for name in ("power", "traffic", "refuse")]
    (folder / "flows.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "drivers.csv").write_text(
        "target,index,elasticity,spread\nstationary,power,0.9,0.2\ntransport,traffic,0.8,0.2\nwaste,refuse,1,0.3\n",
        encoding="utf-8",
    )
    return folder


def values() -> list[tuple[str, datetime, float]]:
    """The inventory of 2025 and hourly indices since then."""
    draw = np.random.default_rng(0)
    rows = [(f"f{number}", START, 1e6 / (number + 1)) for number in range(34)]
    starts = [START + timedelta(hours=hour) for hour in range(24 * DAYS)]
    wave = 1 + 0.3 * np.sin(2 * np.pi * (np.arange(24 * DAYS) % 24 - 9) / 24)
    for name in ("power", "traffic", "refuse"):
        made = wave * np.exp(0.02 * draw.standard_normal(len(wave)))
        rows += list(zip([name] * len(starts), starts, made.tolist(), strict=True))
    return rows


def timed(label: str, work, times: int = 1):
    """Runs `work`, prints the CPU seconds of one run and gives what it returned."""
    begin = time.process_time()
    for _ in range(times):
        found = work()
    spent = (time.process_time() - begin) / times
    print(f"{label:60} {1000 * spent:12.3f} ms")
    return found


def speed() -> None:
    """Times of building, asking and updating."""
    with tempfile.TemporaryDirectory() as root:
        park = api.open(city(Path(root) / "city"))
        with park.writer() as ledger:
            ledger.append(testing.values(values()), Origin("benchmark", "1"))
            book, at = rules.load(), "2026-12-01"
            nowcast(ledger, park.territory, book, at, samples=16, stored=False)
            made = timed(
                "34 flows, 11 months of hours, 256 samples",
                lambda: nowcast(ledger, park.territory, book, at, stored=False),
            )
            timed("the same, stored (273,000 values)", lambda: nowcast(ledger, park.territory, book, at))
        made.series("w1", "transport")
        timed("hours of one ward and sector, 11 months", lambda: made.series("w7", "transport"), 100)
        timed("168 wards x 5 sectors with bands", lambda: made.table(("ward", "sector")))
        timed("5 sectors by day with bands", lambda: made.table(("sector",), "1d"))
        timed("the city by hour with bands", lambda: made.table((), "1h"))
        first = int(made.live.days[0])
        facts = iter(
            [Fact(f"f{i % 34}", first + i, float(made.days.mean[i % 34, i]), 0.02) for i in range(200)]
        )
        before = made.live.figure()
        timed("one more fact to the city total (mean of 100)", lambda: made.update(next(facts)), 100)
        after = made.live.figure()
        print(
            f"width of the 95 % band: {before.high / before.low - 1:.3f}, after 100 facts {after.high / after.low - 1:.3f}"
        )


def coverage(runs: int) -> None:
    """How many drawn truths lie in the bands."""
    from tests.measure.nowcast.twins import Twin

    print(f"{'truths in the bands':40} {'80 %':>8} {'95 %':>8}   ({runs} runs)")
    for label, years, window in (
        ("inventory one year old", (2024,), (2025, 30)),
        ("inventory two years old", (2024,), (2026, 30)),
        ("inventories four and two years old", (2022, 2024), (2026, 30)),
        ("a week, inventory two years old", (2024,), (2026, 7)),
    ):
        inside = []
        for seed in range(runs):
            twin = Twin(10_000 + seed, years, window)
            drawn = np.sort(twin.samples(twin.posterior(), 128))
            share = np.searchsorted(drawn, twin.truth) / (len(drawn) + 1)
            inside.append((0.1 <= share < 0.9, 0.025 <= share < 0.975))
        found = 100 * np.mean(inside, axis=0)
        print(f"{label:40} {found[0]:7.1f}% {found[1]:7.1f}%")


def main() -> None:
    """Both tables."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--runs", type=int, default=400)
    ask.add_argument("--only", choices=("speed", "coverage"))
    given = ask.parse_args()
    if given.only != "coverage":
        speed()
    if given.only != "speed":
        coverage(given.runs)


if __name__ == "__main__":
    main()
