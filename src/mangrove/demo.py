# SPDX-License-Identifier: Apache-2.0
"""The main job on the examples: open, ingest a year, measure, plan its energy, ask the city's and the streets' questions, print, report.

Comes in: the folder of example territories and, when given, the folder of real data files. Goes out: working copies under `out`,
text for people on stdout, one HTML report per territory, and the energy page of the park with its statements. The city's inventory is a
fact; its stations, traffic and water are a generated twin, which `demo_city` says; the streets of `demo_streets` are real, their vehicles
generated. Without real data the park's year comes from its seeded
generator and the city's wards are drawn as a schematic map; with them the same flows take the real metered files and
the true boundaries.
"""

from __future__ import annotations

import csv
import math
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa

from mangrove import api, demo_city, demo_energy, demo_streets, demo_symbiosis, messages
from mangrove.errors import RequestError
from mangrove.figures.numbers import number
from mangrove.handle import Handle
from mangrove.measure.result import Emissions
from mangrove.printing import as_text
from mangrove.serve import overview
from mangrove.sources import IngestReport, generator, generator_recipe
from mangrove.territory import write_boundaries

Say = Callable[[str], None]
_REAL_FLOWS = (
    "steel_electricity", "housing_1_electricity", "housing_2_electricity", "office_1_pv", "cold_store_pv", "ev_charging",
)  # fmt: skip
_REAL_FILES = ("load/uci_steel_industry_2018_15min.csv", "ev/workplace_ev_asensio.csv")
_TRUE_WARDS = "territory/wards_hcmc_post_merger.geojson"
_TOP = 10
_REPAIRED = ("steel_electricity",)
"""The mill is sized on every hour of its year, so its one lost reading is estimated."""
_SUNNY = (6, 5)
"""Month and day of the dispatch that is shown: a working day in the sunny season."""


def run(out: Path, *, data: Path | None, examples: Path, say: Say, lang: str) -> None:
    """Runs the whole demo.

    Args:
        out: where the working copies and reports go; earlier ones are replaced.
        data: folder of the real data files, or None for the generator and schematic wards.
        examples: folder with `park` and `city`.
        say: takes progress, line by line.
        lang: language of what is said and of the reports.

    Raises:
        RequestError: `cli.no_examples`, `cli.no_data`.
    """
    for folder in (examples / "park", examples / "city"):
        if not (folder / "territory.yaml").is_file():
            raise RequestError("cli.no_examples", path=folder)
    if data is not None and not data.is_dir():
        raise RequestError("cli.no_data", path=data)
    out.mkdir(parents=True, exist_ok=True)
    clock = time.monotonic()

    def progress(code: str, **facts: object) -> None:
        say(f"[{time.monotonic() - clock:5.1f} s] {messages.render(f'demo.{code}', lang, **facts)}")

    reports = [*_park(out, data, examples, progress, lang), _city(out, data, examples, progress, lang)]
    reports += demo_streets.show(out, data, progress, lang)
    for report in reports:
        progress("report", path=report.resolve())
    progress("live")
    progress("live_city")
    progress("live_streets")


Progress = Callable[..., None]


def _park(out: Path, data: Path | None, examples: Path, progress: Progress, lang: str) -> list[Path]:
    park, year = prepare(out / "park", data, examples, progress, lang)
    result = api.measure(park, str(year), by=["sector"])
    _show(park, result, "place", progress, lang)
    report = overview.write(result, out / "park.html", lang=lang)
    when = demo_energy.When(year, date(year, *_SUNNY))
    pages = [report, demo_energy.show(park, out, when, progress, lang)]
    progress("symbiosis")
    return [*pages, demo_symbiosis.show(park, out, year, lang)]


def prepare(
    target: Path, data: Path | None, examples: Path, progress: Progress, lang: str
) -> tuple[Handle, int]:
    """Makes a working copy of the example park with a year of values in its ledger; gives it and the year."""
    folder = _copy(examples / "park", target)
    if data is not None:
        _declare_real(folder / "flows.csv")
    park = api.open(folder)
    progress(
        "opened", name=park.territory.name, places=len(park.territory.places), flows=len(park.territory.flows)
    )
    year = 2024 if data is None else 2018
    generated = generator.write_year(folder, year, without=() if data is None else _REAL_FLOWS)
    progress("generated", files=len(generated), year=year, seed=generator_recipe.read(folder).seed)
    _ingested(
        api.ingest(park, folder / "values" / str(year), mapping=folder / "mappings" / "generated.yaml"),
        progress,
        lang,
    )
    if data is not None:
        generator.date_homes(data, folder / "values" / "real")
        files = [data / name for name in _REAL_FILES]
        _ingested(
            api.ingest(park, *files, folder / "values" / "real", mapping=folder / "mappings" / "real.yaml"),
            progress,
            lang,
        )
    repaired = api.repair(park, str(year), flows=_REPAIRED)
    progress(
        "repaired",
        flows=", ".join(_REPAIRED),
        count=sum(sum(ways.values()) for ways in repaired.filled.values()),
    )
    return park, year


def _city(out: Path, data: Path | None, examples: Path, progress: Progress, lang: str) -> Path:
    folder = _copy(examples / "city", out / "city")
    park = api.open(folder)
    if data is not None:
        unmatched = write_boundaries(park.territory, data / _TRUE_WARDS)
        park = api.open(folder)
        drawn = sum(place.geometry is not None for place in park.territory.places.values())
        progress("boundaries", count=drawn, unmatched=len(unmatched))
    progress(
        "opened", name=park.territory.name, places=len(park.territory.places), flows=len(park.territory.flows)
    )
    _ingested(api.ingest(park, folder / "values"), progress, lang)
    result = api.measure(park, "2016", by=["sector"])
    _show(park, result, "ward", progress, lang)
    report = overview.write(result, out / "city.html", lang=lang)
    demo_city.show(demo_city.prepare(folder, progress), lang)
    return report


def city(folder: Path, examples: Path, progress: Progress, lang: str) -> None:
    """Makes a working copy of the example city with its twin, and asks every question of it."""
    _copy(examples / "city", folder)
    _ingested(api.ingest(api.open(folder), folder / "values"), progress, lang)
    demo_city.show(demo_city.prepare(folder, progress), lang)


def _declare_real(path: Path) -> None:
    """Says of the flows that real files bring that they are derived: real meters, scaled to the park's sizes."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["id"] in _REAL_FLOWS:
            row["basis"] = "derived"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target, ignore=shutil.ignore_patterns(".mangrove")))


def _ingested(report: IngestReport, progress: Progress, lang: str) -> None:
    progress("ingested", files=len(report.files), rows=sum(file.stored for file in report.files))
    for finding in report.findings:
        progress("finding", text=finding.text(lang))


def _show(park: Handle, result: Emissions, level: str, progress: Progress, lang: str) -> None:
    """Prints the total with its interval, the scopes, the top sectors and places, and the gaps."""
    total = {key: value / 1000 for key, value in result.total().items()}
    progress("measured", name=park.territory.name, gwp=result.plan.question.gwp, record=result.record[:12])
    known = math.isfinite(total["co2e_low"])
    shown = {
        name: number(total[f"co2e_{key}"], lang, digits=6)
        for name, key in (("value", "kg"), ("low", "low"), ("high", "high"))
    }
    print(messages.render("demo.total" if known else "demo.total_bare", lang, **shown))  # noqa: T201 - what the demo is for
    for column in ("scope", "sector", level):
        table = result.table(by=[column]).sort_by([("co2e_kg", "descending")]).slice(0, _TOP)
        print(f"\n{as_text(_named(table, column, park), lang)}")  # noqa: T201
    print()  # noqa: T201
    for problem in result.problems:
        print(f"  - {problem.text(lang)}")  # noqa: T201


def _named(table: pa.Table, column: str, park: Handle) -> pa.Table:
    """The table with the names of places and sectors in the place of their keys."""
    names = dict(park.territory.sectors)
    names |= {place.id: place.name for place in park.territory.places.values()}
    labels = [names.get(key, key) for key in table.column(column).to_pylist()]
    return table.set_column(table.column_names.index(column), column, pa.array(labels, pa.string()))
