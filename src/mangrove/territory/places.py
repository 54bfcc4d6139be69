# SPDX-License-Identifier: Apache-2.0
"""The containment tree: places from `places.csv` or `places.geojson`, their parents, their validity, their geometry.

Comes in: the folder. Goes out: frozen places by id, with the dates that a child takes over from its parent, and all
problems of the tree: parents that do not exist, circles, dates that make no sense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from mangrove import text as words
from mangrove.errors import Problem, Where, did_you_mean
from mangrove.territory import geojson
from mangrove.territory.model import Place
from mangrove.territory.schema import PLACES
from mangrove.territory.tables import Parsed, Table, parse_table, read_table

_MANY_HINTS = 50  # suggestions are slow to find; after so many typing mistakes they no longer help


class Names:
    """Finds a place by what people write: its id, or its name when only one place has it."""

    def __init__(self, ids: Sequence[str], names: Sequence[str]) -> None:
        self._ids = set(filter(None, ids))
        self._spelled = list(filter(None, names))
        self._names: dict[str, list[str]] = {}
        for id_, name in zip(ids, names, strict=True):
            if not id_ or not name:
                continue
            self._names.setdefault(words.canonical(name).casefold(), []).append(id_)
        self._answers: dict[str, str | Problem] = {}

    def find(self, written: str) -> str | Problem:
        """The id, or the problem (without its place in a file) that says why there is none."""
        if written in self._ids:
            return written
        if written not in self._answers:
            self._answers[written] = self._search(written)
        return self._answers[written]

    def _search(self, written: str) -> str | Problem:
        found = self._names.get(words.canonical(written).casefold(), [])
        if len(found) == 1:
            return found[0]
        if found:
            return Problem("territory.ambiguous_place", {"text": written, "ids": ", ".join(found)})
        options = [*self._spelled, *self._ids] if len(self._answers) < _MANY_HINTS else []
        return Problem("territory.unknown_place", {"text": written, "hint": did_you_mean(written, options)})


def read_places(
    folder: Path, further: Sequence[str]
) -> tuple[dict[str, Place], Names, Parsed, list[Problem]]:
    """All places of the folder; `further` names the declared columns that are kept as text."""
    table, features, problems = _read(folder)
    parsed, said = parse_table(table, PLACES, further)
    problems += said
    ids: list[Any] = parsed.values["id"]
    problems += duplicates(parsed, "id")
    names = Names([id_ or "" for id_ in ids], [name or "" for name in parsed.values["name"]])
    parents, said = _parents(parsed, names)
    problems += said
    problems += _dates(parsed, parents)
    places = _build(parsed, parents, further)
    if isinstance(table, geojson.FeatureTable):
        drawn = {f: feature for f, feature in zip(ids, features, strict=False) if f and feature.geometry}
    else:
        drawn, said = geojson.match(features, places)
        problems += said
    return (
        {id_: _with_geometry(place, drawn.get(id_)) for id_, place in places.items()},
        names,
        parsed,
        problems,
    )


def _read(folder: Path) -> tuple[Table, list[geojson.Feature], list[Problem]]:
    """The table of places and the features that draw them."""
    features: list[geojson.Feature] = []
    problems: list[Problem] = []
    drawn, listed = folder / "places.geojson", folder / "places.csv"
    if drawn.is_file():
        features, problems = geojson.read_features(drawn, drawn.name)
    if listed.is_file() or not drawn.is_file():
        table, said = read_table(listed, listed.name)
        return table, features, problems + said
    return geojson.feature_table(features, drawn.name), features, problems


def duplicates(parsed: Parsed, column: str) -> list[Problem]:
    """Keys that stand on more than one row."""
    first: dict[str, int] = {}
    problems = []
    for row, key in enumerate(parsed.values[column]):
        if key is None:
            continue
        if key in first:
            data = {"id": key, "first": str(parsed.where(first[key], column))}
            problems.append(Problem("territory.duplicate_id", data, parsed.where(row, column)))
        else:
            first[key] = row
    return problems


def _parents(parsed: Parsed, names: Names) -> tuple[dict[str, str | None], list[Problem]]:
    """The parent of each place by id; unknown parents and circles become None and problems."""
    parents: dict[str, str | None] = {}
    rows: dict[str, int] = {}
    problems = []
    for row, (id_, written) in enumerate(zip(parsed.values["id"], parsed.values["parent"], strict=True)):
        answer = names.find(written) if written else None
        if isinstance(answer, Problem):
            problems.append(Problem(answer.code, answer.data, parsed.where(row, "parent")))
            answer = None
        if id_ is not None:
            rows.setdefault(id_, row)
            parents.setdefault(id_, answer)
    done: set[str] = set()
    for start in parents:
        path: list[str] = []
        current: str | None = start
        while current is not None and current not in done and current not in path:
            path.append(current)
            current = parents.get(current)
        if current is not None and current in path:
            chain = [*path[path.index(current) :], current]
            problems.append(
                Problem(
                    "territory.parent_circle",
                    {"chain": " > ".join(chain)},
                    parsed.where(rows[current], "parent"),
                )
            )
            parents[current] = None
        done.update(path)
    return parents, problems


def _dates(parsed: Parsed, parents: Mapping[str, str | None]) -> list[Problem]:
    """Takes over blank dates from the parent, in place; finds reversed dates and dates outside the parent's."""
    rows = {id_: row for row, id_ in reversed(list(enumerate(parsed.values["id"]))) if id_ is not None}
    starts, ends = parsed.values["valid_from"], parsed.values["valid_to"]
    problems = []
    done: set[str] = set()
    for id_ in rows:
        path = []
        current: str | None = id_
        while current is not None and current not in done:
            path.append(current)
            done.add(current)
            current = parents.get(current)
        for place in reversed(path):
            row, parent = rows[place], parents.get(place)
            if parent is not None:
                problems += _inherit(parsed, starts, ends, row, rows[parent])
            if starts[row] and ends[row] and starts[row] >= ends[row]:
                data = {"start": starts[row], "end": ends[row]}
                problems.append(Problem("territory.dates_reversed", data, parsed.where(row, "valid_to")))
    return problems


def _inherit(
    parsed: Parsed, starts: list[date | None], ends: list[date | None], row: int, parent: int
) -> list[Problem]:
    """The dates of one place within those of its parent."""
    problems = []
    starts[row] = starts[row] or starts[parent]
    ends[row] = ends[row] or ends[parent]
    start, end, first, last = starts[row], ends[row], starts[parent], ends[parent]
    for column, wrong in (
        ("valid_from", start and ((first and start < first) or (last and start >= last))),
        ("valid_to", end and ((last and end > last) or (first and end <= first))),
    ):
        if wrong:
            data = {"parent": parsed.values["id"][parent], "start": first or "…", "end": last or "…"}
            problems.append(Problem("territory.outside_parent_dates", data, parsed.where(row, column)))
    return problems


def _build(parsed: Parsed, parents: Mapping[str, str | None], further: Sequence[str]) -> dict[str, Place]:
    """The places, without geometry."""
    kept = [name for name in further if name in parsed.values]
    columns = [parsed.values[column.name] for column in PLACES]
    places: dict[str, Place] = {}
    for row, (id_, name, kind, _, start, end, area, population, lon, lat) in enumerate(
        zip(*columns, strict=True)
    ):
        if id_ is None or id_ in places:
            continue
        props = {key: parsed.values[key][row] for key in kept if parsed.values[key][row]}
        where = Where(parsed.table.file, parsed.table.starts[row])
        places[id_] = Place(
            id_,
            name or "",
            kind or "",
            parents[id_],
            start,
            end,
            area,
            population,
            lon,
            lat,
            None,
            props,
            where,
        )
    return places


def _with_geometry(place: Place, feature: geojson.Feature | None) -> Place:
    if feature is None or feature.geometry is None:
        return place
    return place_with(place, feature.geometry)


def place_with(place: Place, geometry: Mapping[str, object]) -> Place:
    """The same place, drawn."""
    return Place(
        place.id, place.name, place.kind, place.parent, place.valid_from, place.valid_to, place.area,
        place.population, place.lon, place.lat, geometry, place.props, place.where,
    )  # fmt: skip
