# SPDX-License-Identifier: Apache-2.0
"""From a folder of plain files to a frozen `Territory`, or to all of its problems at once.

Comes in: the path of a folder with `territory.yaml`, `places.csv` or `places.geojson`, `flows.csv` and, when wanted,
`assets.csv`, `links.csv`, `factors.csv`, `crosswalk.csv`, `devices.csv`, `points.csv`, `drivers.csv`, `virtual.csv`,
`offers.csv`, `needs.csv`, `exchanges.csv`, `effects.csv`, `answers.csv`. Goes out: the territory, and every problem with its file, line and column, sorted. One error anywhere means no territory: nothing is guessed, nothing is dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mangrove.errors import DeclarationError, Problem, Where, did_you_mean
from mangrove.rules import clauses
from mangrove.territory import geojson, rows
from mangrove.territory.model import NotationKey, Place, Territory
from mangrove.territory.places import Names, place_with, read_places
from mangrove.territory.settings import FILE, Places, read_settings
from mangrove.territory.tables import Parsed

_OWN_FIELDS = ("name", "kind", "timezone", "currency", "lang", "gwp", "notation")
_FILES = (FILE, "places.geojson", *rows.FILES)
_HASHED_WHEN_THERE = (
    "devices.csv", "points.csv", "drivers.csv", "virtual.csv",
    "offers.csv", "needs.csv", "exchanges.csv", "effects.csv", "answers.csv",
)  # fmt: skip
"""Tables that came later: a territory without them keeps the hash that it had."""
_SAID_WHEN_THERE = ("symbiosis", "traffic")
"""Keys of `territory.yaml` that came later."""


def load(folder: Path) -> Territory:
    """The territory declared in `folder`.

    Raises:
        DeclarationError: with all problems, when any of them is an error.

    Example:
        >>> load(Path("examples/city")).timezone
        'Asia/Ho_Chi_Minh'
    """
    territory, problems = check(folder)
    if territory is None:
        raise DeclarationError(problems)
    return territory


def check(
    folder: Path,
    *,
    factor_exists: Callable[[str], bool] | None = None,
    method_exists: Callable[[str], bool] | None = None,
    fuels: Collection[str] = (),
    activities: Collection[str] = (),
) -> tuple[Territory | None, list[Problem]]:
    """Reads the declaration and lists all problems at once, sorted by place.

    Args:
        folder: the folder of the territory.
        factor_exists: says whether an activity key has a factor; without it, keys are not looked up.
        method_exists: says whether a measuring method exists; without it, names are not looked up.
        fuels: the fuels of the rules; without them, fuels are not looked up.
        activities: the activities of the rules; without them, own factors are not compared with them.

    Returns:
        The territory (None when any problem is an error) and all problems, notes and warnings included.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return None, [Problem("territory.no_folder", {"path": str(folder)}, Where(str(folder)))]
    settings, at, problems = read_settings(folder / FILE)
    problems += _strange_files(folder)
    places, names, parsed_places, said = read_places(folder, settings.get("place_columns") or ())
    problems += said
    tables = rows.read_tables(folder)
    problems += tables.problems
    nouns = rows.build(
        tables,
        places,
        names,
        rows.Lookups(settings.get("sectors") or {}, factor_exists, method_exists, fuels, activities),
    )
    problems += nouns.problems
    if settings:
        refused = {problem.where for problem in problems}
        problems += _contract_problems(settings["tariffs"], at, refused)
        problems += _settings_problems(settings, at, places, names, folder)
    problems.sort(key=lambda problem: (problem.where or Where(""), problem.code))
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    parsed = {"places.csv": parsed_places, **tables.parsed}
    return _assemble(folder, settings, places, nouns, _content_hash(settings, parsed, places)), problems


def attach_boundaries(territory: Territory, path: Path) -> tuple[Territory, list[Problem]]:
    """The same territory with the true boundaries of a GeoJSON file (WGS84) on its places.

    Features are matched by `id`, by GSO `code` among the places that exist today, or by name. What cannot be matched
    is reported as a warning; places that were drawn before keep their drawing when the file has none for them.

    Raises:
        DeclarationError: when the file is no valid GeoJSON.
    """
    path = Path(path)
    features, problems = geojson.read_features(path, path.name)
    if any(problem.severity == "error" for problem in problems):
        raise DeclarationError(problems)
    drawn, said = geojson.match(features, territory.places)
    places = {
        id_: place_with(place, drawn[id_].geometry or {}) if id_ in drawn else place
        for id_, place in territory.places.items()
    }
    digest = hashlib.sha256(territory.content_hash.encode())
    _hash_geometry(digest, places)
    return replace(territory, places=places, content_hash=digest.hexdigest()), problems + said


def write_boundaries(territory: Territory, path: Path) -> list[Problem]:
    """Writes the true boundaries of a GeoJSON file into the territory's folder, as `places.geojson` by place id.

    Features are matched as in `attach_boundaries`; what could not be matched is returned as warnings.

    Raises:
        DeclarationError: when the file is no valid GeoJSON.
    """
    drawn, problems = attach_boundaries(territory, path)
    features = [
        {"type": "Feature", "id": place.id, "properties": {}, "geometry": place.geometry}
        for place in drawn.places.values()
        if place.geometry
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    (territory.path / "places.geojson").write_text(text, encoding="utf-8")
    return problems


def _strange_files(folder: Path) -> Iterator[Problem]:
    """Files whose names nearly are names of the format: they would be overlooked silently."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".csv", ".yaml", ".yml", ".geojson") and path.name not in _FILES:
            hint = did_you_mean(path.name, _FILES)
            if hint:
                yield Problem("territory.strange_file", {"hint": hint}, Where(path.name), "warning")


def _settings_problems(
    settings: Mapping[str, Any], at: Places, places: Mapping[str, Place], names: Names, folder: Path
) -> Iterator[Problem]:
    """What `territory.yaml` says about places, sectors and files that do not exist, and keys given twice."""
    named = [(("boundary", "root"), settings["boundary"].get("root"))]
    for index, tariff in enumerate(settings["tariffs"]):
        named += [(("tariffs", index, "places", n), place) for n, place in enumerate(tariff["places"])]  # type: ignore[misc]
    for key, written in named:
        answer = names.find(written) if written and places else None
        if isinstance(answer, Problem):
            yield Problem(answer.code, answer.data, at.get(key))
    for index, target in enumerate(settings["targets"]):
        word, sectors = target["sector"], settings["sectors"]
        if word and sectors and word not in sectors:
            data = {"text": word, "options": ", ".join(sectors), "hint": did_you_mean(word, sectors)}
            yield Problem("territory.unknown_sector", data, at.get(("targets", index, "sector")))
    for index, file in enumerate(settings["values"]):
        if file and not (folder / file).is_file():
            yield Problem("territory.file_missing", {"file": file}, at.get(("values", index)), "warning")
    for section, key_name in (("targets", "id"), ("tariffs", "id"), ("notation", "gpc")):
        yield from _twice(settings[section], section, key_name, at)


def _contract_problems(
    tariffs: Sequence[Mapping[str, Any]], at: Places, refused: Collection[Where | None]
) -> Iterator[Problem]:
    """Contracts whose terms do not go together, or name a customer group or a voltage that no price list has.

    What could not be read (`refused`) is not reported again as missing.
    """
    for index, terms in enumerate(tariffs):
        here = ("tariffs", index)
        if not terms["kind"] or any(at.get((*here, key)) in refused for key in terms):
            continue
        for key, code, data in clauses.problems(terms):
            yield Problem(code, data, at.get((*here, key)) or at.get((*here, "kind")))


def _twice(
    records: Sequence[Mapping[str, Any]], section: str, key_name: str, at: Places
) -> Iterator[Problem]:
    """Records of a list that share their key."""
    first: dict[str, int] = {}
    for index, record in enumerate(records):
        key = record[key_name]
        if key and key in first:
            data = {"id": key, "first": str(at.get((section, first[key], key_name)))}
            yield Problem("territory.duplicate_id", data, at.get((section, index, key_name)))
        first.setdefault(key, index)


def _assemble(
    folder: Path,
    settings: Mapping[str, Any],
    places: Mapping[str, Place],
    nouns: rows.Nouns,
    content_hash: str,
) -> Territory:
    """The frozen whole."""
    return Territory(
        path=folder,
        name=settings["name"],
        kind=settings["kind"],
        timezone=settings["timezone"],
        currency=settings["currency"],
        lang=settings["lang"],
        gwp=settings["gwp"],
        places=places,
        flows=nouns.flows,
        assets=nouns.assets,
        links=nouns.links,
        factors=tuple(nouns.factors),
        devices=nouns.devices,
        points=tuple(nouns.points),
        drivers=tuple(nouns.drivers),
        virtual=tuple(nouns.virtual),
        offers=nouns.offers,
        needs=nouns.needs,
        exchanges=nouns.exchanges,
        effects=tuple(nouns.effects),
        answers=tuple(nouns.answers),
        crosswalk=tuple(nouns.crosswalk),
        notation=tuple(NotationKey(row["gpc"], row["key"], row["reason"]) for row in settings["notation"]),
        settings={key: value for key, value in settings.items() if key not in _OWN_FIELDS},
        content_hash=content_hash,
    )


def _content_hash(
    settings: Mapping[str, Any], parsed: Mapping[str, Parsed], places: Mapping[str, Place]
) -> str:
    """SHA-256 over the declaration as it was understood: the order of rows and columns and the spelling do not count."""
    told = {key: value for key, value in settings.items() if value or key not in _SAID_WHEN_THERE}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False, default=str).encode())
    for file in sorted(parsed):
        if file in _HASHED_WHEN_THERE and not parsed[file].table.header:
            continue
        digest.update(f"\x1d{file}\x1d".encode())
        lines = sorted(map("\x1f".join, zip(*parsed[file].texts, strict=True)))
        digest.update("\x1e".join(lines).encode())
    _hash_geometry(digest, places)
    return digest.hexdigest()


def _hash_geometry(digest: Any, places: Mapping[str, Place]) -> None:
    for id_ in sorted(places):
        geometry = places[id_].geometry
        if geometry is not None:
            digest.update(f"{id_}{json.dumps(geometry, sort_keys=True)}".encode())
