# SPDX-License-Identifier: Apache-2.0
"""Adopted scenarios: their values in the ledger, and everything that they were computed from in one record.

Comes in: a pathway over a base year. Goes out: values of the run `plan/<name>`, and a record with the scenario file, the declaration as
it was, the amounts of the base year and the derived declaration. So a plan can be measured, explained and compared years later, also
when the declaration has changed and the base year was corrected.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from mangrove.errors import Problem, RequestError, Sentence, did_you_mean
from mangrove.ledger import Ledger, Origin, Quality, Receipt
from mangrove.ledger.types import series
from mangrove.plan import scenario_territory
from mangrove.plan.scenario import Base, Floats, Pathway, Scenario
from mangrove.plan.scenario_file import read
from mangrove.territory import load
from mangrove.territory.model import Territory

MODEL, KIND = "plan/scenario", "scenario"
FOLDER = "plans"
"""Where records are unpacked inside the store; it can be deleted at any time."""
_EARLIEST, _LATEST = 1900, 2300
_DECLARED = ("*.yaml", "*.csv", "*.geojson")
_FILE, _BASE = "scenario.yaml", "base.csv"
_KEYS = {"name": str, "title": str, "first": int, "last": int, "actions": list, "flows": list, "batch": int}
"""What a record says, whatever its version."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An adopted scenario: `document` is its record as plain data, without the files."""

    record: str
    adopted_at: datetime
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the plan."""
        return str(self.document["name"])


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of a file: the scenario, the receipt of its values, its record, and the number of flows with values."""

    scenario: Scenario
    receipt: Receipt
    record: str
    flows: int


def adopt(ledger: Ledger, declared: Territory, pathway: Pathway, base: Base, path: Path) -> Adopted:
    """Stores the values of a scenario and its record; the same scenario on the same base changes nothing.

    Args:
        ledger: open for writing.
        declared: the territory that the scenario was read against.
        pathway: the scenario over its base year, in the derived territory.
        base: the amounts of the base year.
        path: the scenario file.

    Raises:
        RequestError: `scenario.too_much`, `scenario.negative`, `scenario.name_taken`.
    """
    scenario = pathway.scenario
    batches = ledger.batches().select(["run", "model"]).to_pylist()
    if any(row["run"] == scenario.run and row["model"] != MODEL for row in batches):
        raise RequestError("scenario.name_taken", name=scenario.name)
    amounts = pathway.amounts(strict=True)
    payload = _archive(declared, pathway, base, path)
    digest = hashlib.sha256(payload).hexdigest()
    table = _with_withdrawn(ledger, values(pathway, amounts), scenario)
    origin = Origin(
        "model:scenario", f"{scenario.run}:{digest}", scenario.run, MODEL, version("mangrove"), (scenario.digest, digest),
        scenario.title,
    )  # fmt: skip
    receipt = ledger.append(table, origin)
    document = {
        "name": scenario.name,
        "title": scenario.title,
        "file": scenario.file,
        "digest": scenario.digest,
        "first": scenario.first,
        "last": scenario.last,
        "actions": [action.id for action in scenario.actions],
        "flows": list(pathway.flows),
        "batch": receipt.batch,
    }
    record = ledger.put_record(
        KIND, json.dumps(document, sort_keys=True, ensure_ascii=False).encode(), payload
    )
    return Adopted(scenario, receipt, record, len(pathway.flows))


def values(pathway: Pathway, amounts: Floats) -> pa.Table:
    """Amounts (F, T) as rows of values, by month: what a flow stores, so a rate is the amount over the hours."""
    rates = np.array([pathway.territory.flows[name].semantics in ("mean", "state") for name in pathway.flows])
    stored = np.where(rates[:, None], amounts / pathway.hours, amounts)
    count, months = stored.shape
    starts = pa.array(pathway.starts, pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "flow": pa.array(np.repeat(np.array(pathway.flows, dtype=object), months), pa.string()),
            "start": pa.concat_arrays([starts] * count),
            "value": pa.array(stored.ravel(), pa.float64()),
            "quality": pa.array(np.full(count * months, int(Quality.GOOD)), pa.uint8()),
        }
    )


def stored(ledger: Ledger, left_out: list[Problem] | None = None) -> list[Stored]:
    """The scenarios that hold, oldest first: of each name the one adopted last.

    Args:
        ledger: open.
        left_out: takes a `scenario.unreadable` for each record that cannot be read and that no later one of its name replaces.
    """
    found: dict[str, Stored] = {}
    torn: dict[str, Problem] = {}
    for record, when in ledger.records(KIND):
        document, name, reason = _document(ledger.record(record)[1])
        found.pop(name, None)
        torn.pop(name, None)
        if reason is None:
            found[name] = Stored(record, when, document)
        else:
            torn[name or record] = Problem(
                "scenario.unreadable", _told(name, record, reason), severity="warning"
            )
    if left_out is not None:
        left_out.extend(torn.values())
    return list(found.values())


def _document(text: bytes) -> tuple[dict[str, Any], str, Sentence | None]:
    """What a record says, the name that it gives itself, and why it cannot be read: None when it can."""
    try:
        read_ = json.loads(text)
    except ValueError:
        read_ = None
    if not isinstance(read_, dict):
        return {}, "", Sentence("scenario.record_text")
    name = read_.get("name")
    for key, kind in _KEYS.items():
        if not isinstance(read_.get(key), kind):
            own = name if isinstance(name, str) else ""
            return read_, own, Sentence("scenario.record_lacks", (("key", key),))
    return read_, str(name), None


def _told(name: str, record: str, reason: Sentence) -> dict[str, Any]:
    """What is said of a record that cannot be read."""
    return {"name": name or record[:12], "record": record[:12], "reason": reason}


def find(ledger: Ledger, name: str) -> Stored:
    """The adopted scenario called `name`; raises `RequestError` `scenario.no_such_plan`, `scenario.unreadable`."""
    left_out: list[Problem] = []
    known = {one.name: one for one in stored(ledger, left_out)}
    if name not in known:
        missed(name, left_out)
        raise RequestError("scenario.no_such_plan", name=name, hint=did_you_mean(name, known))
    return known[name]


def missed(name: str, left_out: Sequence[Problem]) -> None:
    """Raises RequestError `scenario.unreadable` when the record of that name is among those that cannot be read."""
    for problem in left_out:
        if problem.data["name"] == name:
            raise RequestError(problem.code, **problem.data)


def unpacked(ledger: Ledger, one: Stored) -> Path:
    """The folder with the files of a record; it is made again when it is not there.

    Raises:
        RequestError: `scenario.unreadable`: the record holds no such files.
    """
    folder = Path(ledger.root) / FOLDER / one.record[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as beside:
            try:
                with zipfile.ZipFile(io.BytesIO(ledger.record(one.record)[2])) as files:
                    files.extractall(Path(beside) / "all")
            except zipfile.BadZipFile:
                reason = Sentence("scenario.record_files")
                raise RequestError("scenario.unreadable", **_told(one.name, one.record, reason)) from None
            with suppress(OSError):  # another process was faster; what it wrote is the same
                (Path(beside) / "all").rename(folder)
    return folder


def derived_of(ledger: Ledger, one: Stored) -> Territory:
    """The derived territory of an adopted scenario, loaded from its own files."""
    return load(unpacked(ledger, one) / "derived")


def again(ledger: Ledger, one: Stored) -> tuple[Territory, Scenario, Base]:
    """The declaration, the scenario and the base year as they were when it was adopted."""
    folder = unpacked(ledger, one)
    declared = load(folder / "declared")
    return declared, read(declared, folder / _FILE), _base_in((folder / _BASE).read_text(encoding="utf-8"))


def _with_withdrawn(ledger: Ledger, table: pa.Table, scenario: Scenario) -> pa.Table:
    """The values, and rows that withdraw what an earlier scenario of the same name said beyond them."""
    earlier = {one.name: one for one in stored(ledger)}.get(scenario.name)
    if earlier is None:
        return table
    keys = [series(flow, scenario.run) for flow in earlier.document["flows"]]
    with ledger.snapshot() as snapshot:
        first, after = (datetime(year, 1, 1, tzinfo=UTC) for year in (_EARLIEST, _LATEST))
        rows = snapshot.values(keys, first, after)
    said = set(zip(table.column("flow").to_pylist(), table.column("start").to_pylist(), strict=True))
    names = dict(zip(keys, earlier.document["flows"], strict=True))
    gone = [
        (names[key], start)
        for key, start in zip(rows.column("flow").to_pylist(), rows.column("start").to_pylist(), strict=True)
        if (names[key], start) not in said
    ]
    if not gone:
        return table
    flows, starts = zip(*gone, strict=True)
    more = pa.table(
        {
            "flow": pa.array(flows, pa.string()),
            "start": pa.array(starts, pa.timestamp("us", tz="UTC")),
            "value": pa.array(np.full(len(gone), np.nan)),
            "quality": pa.array(np.full(len(gone), int(Quality.MISSING)), pa.uint8()),
        }
    )
    return pa.concat_tables([table, more])


def _archive(declared: Territory, pathway: Pathway, base: Base, path: Path) -> bytes:
    """All files, zipped with fixed dates so that equal files give equal bytes."""
    texts = {_FILE: path.read_bytes(), _BASE: _base_out(base).encode()}
    for file in sorted({one for pattern in _DECLARED for one in declared.path.glob(pattern)}):
        texts[f"declared/{file.name}"] = file.read_bytes()
    for name, text in scenario_territory.files(pathway.territory).items():
        texts[f"derived/{name}"] = text.encode()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(texts):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, texts[name])
    return sink.getvalue()


def _base_out(base: Base) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["", *map(repr, base.hours.tolist())])
    writer.writerows(
        [name, *map(repr, row)] for name, row in zip(base.flows, base.amounts.tolist(), strict=True)
    )
    return sink.getvalue()


def _base_in(text: str) -> Base:
    head, *rows = csv.reader(io.StringIO(text))
    amounts = np.array([[float(cell) for cell in row[1:]] for row in rows]).reshape(-1, 12)
    return Base(tuple(row[0] for row in rows), amounts, np.array([float(cell) for cell in head[1:]]))
