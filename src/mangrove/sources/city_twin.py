# SPDX-License-Identifier: Apache-2.0
"""The city twin: stations, traffic, weather and water of a city, generated from a hidden truth that its tools can be held against.

Comes in: a working copy of a territory with a folder `twin` (what is declared besides, and `truth.yaml`). Goes out: its tables with the
twin's rows added, schematic outlines where none are drawn, and files of hourly values. Every added row has the basis `generated`. The
same seed gives the same bytes on every run. `python -m mangrove.sources.city_twin DIR` does it up to the present that the truth names.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mangrove.measure import profiles
from mangrove.sources import city_twin_air, city_twin_recipe, city_twin_weather
from mangrove.sources.city_twin_recipe import FOLDER, Times, Truth
from mangrove.sources.generator_models import Array
from mangrove.territory import load
from mangrove.territory.model import Territory
from mangrove.times import Span

VALUES = "values/twin"
_TABLES = ("places.csv", "flows.csv", "drivers.csv")
_DRAWN = "places.geojson"


def write(folder: str | Path, until: datetime | None = None) -> list[Path]:
    """Adds the twin to a working copy and gives the files to ingest, in order.

    Args:
        folder: a copy of a territory, which is changed; a second call changes nothing more.
        until: local; only hours that are over then are written. The whole time when None.

    Raises:
        SourceError: `twin.none`, `twin.bad`.
        DeclarationError: the tables do not fit together.
    """
    root = Path(folder)
    truth = city_twin_recipe.read(root)
    declare(root)
    territory = load(root)
    starts = truth.hours()
    long = city_twin_weather.hours(truth, starts, territory.tz)
    air = city_twin_air.stations(truth, territory, long, starts)
    gas = city_twin_air.methane(truth, territory, long, starts)
    late = starts[starts >= np.datetime64(truth.air_from, "h")]
    near = truth.hours(truth.source.from_)
    target = root / VALUES
    target.mkdir(parents=True, exist_ok=True)
    return [
        _table(target / "hours.csv", starts, long, until),
        _table(target / "air.csv", late, air, until),
        _table(target / "methane.csv", near, gas, until),
    ]


def truth(folder: str | Path) -> Truth:
    """The hidden truth of a territory's twin; raises `SourceError`: `twin.none`, `twin.bad`."""
    return city_twin_recipe.read(Path(folder))


def true_amount(territory: Territory, truth: Truth, sector: str, span: Span) -> float:
    """What a sector truly emits at the place (scope 1) in a period, kg CO2e: the inventory by its hours, the road by the truth."""
    hours = truth.hours()
    course = city_twin_weather.traffic(truth, hours, territory.tz)
    starts = city_twin_weather.utc(hours, territory.tz)
    first, end = (
        np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us") for moment in (span.start, span.end)
    )
    within = (starts >= first) & (starts < end)
    total = 0.0
    for name, rate in city_twin_air.rates(territory).items():
        flow = territory.flows[name]
        if flow.sector == sector and flow.scope == 1:
            road = flow.gpc == truth.road.gpc
            shape = course * truth.road.multiplier if road else profiles.shape(flow.gpc, starts, territory.tz)
            total += rate * 3600.0 * float(shape[within].sum())
    return total


def declare(root: Path) -> None:
    """Adds the twin's rows to the tables of a working copy, and schematic outlines where nothing is drawn."""
    for name in _TABLES:
        _append(root / name, root / FOLDER / name)
    if not (root / _DRAWN).is_file():
        features = city_twin_air.outlines(load(root))
        text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
        (root / _DRAWN).write_text(text, encoding="utf-8")


def _append(table: Path, more: Path) -> None:
    """Adds rows whose key is new; columns that only one of the tables has are left empty in the other."""
    rows, added = _rows(table), _rows(more)
    if not added:
        return
    columns = list(dict.fromkeys([*(rows[0] if rows else ()), *added[0]]))
    key = ("id",) if "id" in columns else ("target", "index")
    known = {tuple(row[name] for name in key) for row in rows}
    rows += [row for row in added if tuple(row[name] for name in key) not in known]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _table(path: Path, starts: Times, series: Mapping[str, Array], until: datetime | None) -> Path:
    """Writes hours as lines: local start, then a column for each flow; nothing where it was silent."""
    end = None if until is None else np.datetime64(until, "m")
    kept = np.ones(len(starts), bool) if end is None else starts + np.timedelta64(1, "h") <= end
    stamps = np.datetime_as_string(starts[kept], unit="m").tolist()
    columns = [
        ["" if value != value else f"{value:.5g}" for value in values[kept].tolist()]  # noqa: PLR0124 - a gap
        for values in series.values()
    ]
    lines = (",".join(row) for row in zip(stamps, *columns, strict=True))
    path.write_text("\n".join([",".join(["start", *series]), *lines]) + "\n", encoding="utf-8")
    return path


def main(words: Sequence[str]) -> None:
    """Writes the twin of the folder that the first word names, and says which files it wrote."""
    folder = Path(words[0])
    for path in write(folder, truth(folder).now):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
