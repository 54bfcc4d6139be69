# SPDX-License-Identifier: Apache-2.0
"""Generated readings for the example territories: a year of files as a real park would send them.

Comes in: the recipe of a territory (`generator/recipe.yaml`), a year and a seed. Goes out: a folder of files with everything
that makes real data hard (period-ending stamps, decimal commas, 24:00, a register that rolls over, an outage, a stuck
sensor, a file that is sent twice, a file that comes late), or one series as a table. The loads have the statistics
of real metered series; `docs/explanation/example-data.md` names every statistic and its source. The same seed gives the
same bytes on every platform: random numbers come from the raw output of PCG64 only, and values are rounded before they
are written.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa

from mangrove.sources import generator_calibration, generator_files, generator_models, generator_recipe
from mangrove.sources.generator_recipe import Charging, Load, Pv, Site, State

RED_RIVER_DELTA = Site(latitude=20.9, longitude=106.7)
"""Near Hải Phòng."""


def generate(
    spec: Load | Pv | State | Charging,
    year: int,
    seed: int,
    *,
    name: str = "series",
    step: int | None = None,
    site: Site = RED_RIVER_DELTA,
) -> pa.Table:
    """One generated series.

    Args:
        spec: the model and its amounts.
        year: a year for which the public holidays are known.
        seed: the same seed, name and year give the same series.
        name: separates series of one seed.
        step: seconds of one interval; that of the profile for loads, else 900, when not given. Charging has none.
        site: where the sun is computed.

    Returns:
        Columns `start` (UTC, seconds) and `value`; for charging also `end`, and the value is kWh of a session.

    Raises:
        RequestError: `generator.no_calendar`, `generator.unknown_profile`, `generator.bad_step`.

    Example:
        >>> table = generate(Load(model="load", profile="steel"), 2024, 1)
        >>> table.num_rows
        35136
    """
    calendar = generator_models.Calendar.of(year)
    shift = np.timedelta64(round(site.offset * 3600), "s")
    if isinstance(spec, Charging):
        stream = generator_models.Stream(seed, name)
        found = generator_models.charging(calendar, stream, spec.scale, spec.shift)
        times = {"start": found.starts - shift, "end": found.ends - shift}
        values = found.energy
    else:
        native = generator_models.native_step(spec.profile) if isinstance(spec, Load) else 900
        seconds = native if step is None else step
        values = generator_files.fill(spec, calendar, seed, name=name, step=seconds, site=site)
        times = {"start": calendar.starts(seconds) - shift}
    utc = pa.timestamp("s", tz="UTC")
    columns = {key: pa.array(at.astype("datetime64[s]")).cast(utc) for key, at in times.items()}
    return pa.table({**columns, "value": values})


def write_year(
    folder: str | Path,
    year: int | None = None,
    seed: int | None = None,
    *,
    without: Collection[str] = (),
) -> list[Path]:
    """Writes the files of one year into a territory, as its recipe says, and returns their paths in order.

    Args:
        folder: a territory with a `generator/recipe.yaml`.
        year: a year with known public holidays; that of the recipe when not given.
        seed: that of the recipe when not given.
        without: flows that real files bring, so nothing is generated for them.

    Raises:
        SourceError: `generator.no_recipe`, `generator.bad_recipe`.
        RequestError: `generator.no_calendar`, `generator.unknown_profile`.
    """
    root = Path(folder)
    recipe = generator_recipe.read(root)
    calendar = generator_models.Calendar.of(recipe.year if year is None else year)
    return generator_files.write(root, recipe, calendar, recipe.seed if seed is None else seed, without)


def date_homes(data: str | Path, folder: str | Path) -> list[Path]:
    """Writes dated copies of two real homes and returns their paths.

    The files of CityLearn have no dates: rows are the hours from 31 July 2016, 23:00. They are dated 364 days later, so
    that weekdays stay and the first seven months of 2018 are covered, beside the real steel works of 2018.

    Args:
        data: the folder of real files.
        folder: where the copies go; they are made when needed and belong to no repository.
    """
    written = []
    first = np.datetime64("2016-07-31T23:00", "s") + np.timedelta64(364, "D")
    for number in (1, 4):
        path = Path(folder) / f"citylearn_home_{number}.csv"
        rows = generator_calibration.read_rows(
            Path(data) / generator_calibration.HOME_FILE.format(number=number)
        )
        hours = first + np.arange(len(rows)) * np.timedelta64(1, "h")
        stamps = np.datetime_as_string(hours, unit="m").tolist()
        lines = [
            f"{at},{row['non_shiftable_load']},{row['solar_generation']}\n"
            for at, row in zip(stamps, rows, strict=True)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("start,load_kwh,pv_w_per_kw\n" + "".join(lines), encoding="utf-8")
        written.append(path)
    return written
