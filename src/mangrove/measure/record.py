# SPDX-License-Identifier: Apache-2.0
"""Measurements that can be computed again: store, replay, compare.

A record binds by content hash everything that a measurement used: the question, the declaration (the files of the territory,
kept verbatim), every coefficient with its terms and factor rows, the GWP weights, the methods and their versions, and the
ledger up to a batch with its chain hash. `replay` computes the numbers again from the record and the ledger alone;
`diff` says how two measurements differ and which share of the difference is activity, factor or GWP.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from math import isclose, isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from mangrove.errors import DataQualityError, LedgerError, RequestError
from mangrove.ledger import Ledger
from mangrove.ledger.records import record_id
from mangrove.ledger.types import HAPPENED
from mangrove.measure.plan import Doubt, Line, Plan, in_run
from mangrove.measure.question import Question
from mangrove.measure.result import Emissions
from mangrove.measure.types import Gap, Response, Term
from mangrove.rules import Factor, Source
from mangrove.territory import Territory, load
from mangrove.times import Span, Step

_SHORTEST_ID = 8
_DECLARED = ("*.yaml", "*.csv", "*.geojson")
_TOLERANCE = 1e-9
"""Relative difference allowed between a stored and a replayed number: sums of doubles depend on their order."""


@dataclass(frozen=True, slots=True)
class Change:
    """How one gas of one flow differs between two measurements, in kg CO2e; the three effects add up to `after - before`."""

    flow: str
    gas: str
    before: float
    after: float
    activity: float
    factor: float
    gwp: float
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]

    @property
    def moved(self) -> bool:
        """Whether anything changed."""
        return any((self.activity, self.factor, self.gwp))


def store(result: Emissions, ledger: Ledger, rules_hash: str) -> str:
    """Stores a measurement with its declaration; returns its id. Storing the same again gives the same id.

    Raises:
        RequestError: `measure.declaration_changed`, the files are no longer those that the territory was opened from.
    """
    declaration = _store_declaration(result.plan.territory, ledger)
    document = _document(result, ledger, rules_hash, declaration)
    record = str(
        ledger.put_record("measurement", json.dumps(document, sort_keys=True, ensure_ascii=False).encode())
    )
    if not ledger.records(_answers(record)):
        leaves = json.dumps(_leaf_rows(result), ensure_ascii=False).encode()
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, result.to_arrow().schema) as writer:
            writer.write_table(result.to_arrow())
        ledger.put_record(_answers(record), leaves, sink.getvalue())
    return record


def _store_declaration(territory: Territory, ledger: Ledger) -> str:
    """Stores the files of a declaration, once they are known to say what was measured."""
    archive = _archive(territory.path)
    known = {id_ for id_, _ in ledger.records("declaration")}
    fresh = record_id("declaration", archive, b"") not in known
    if fresh and not _says_the_same(_territory(archive), territory):
        raise RequestError("measure.declaration_changed", path=territory.path)
    return ledger.put_record("declaration", archive)


def _says_the_same(left: Territory, right: Territory) -> bool:
    """Whether two declarations are equal but for their form and for drawn boundaries, which no number depends on."""
    if left.content_hash == right.content_hash:
        return True
    bare = [
        replace(
            territory,
            path=Path(),
            content_hash="",
            places={id_: replace(place, geometry=None) for id_, place in territory.places.items()},
        )
        for territory in (left, right)
    ]
    return bare[0] == bare[1]


def _answers(record: str) -> str:
    """The kind under which the numbers of a measurement are kept: its id binds what went in, not the last digit of a sum."""
    return f"answer:{record}"


def replay(folder: Path, record: str) -> Emissions:
    """Computes a stored measurement again, from its record and the ledger, and compares every number.

    Args:
        folder: the folder of the store.
        record: id of the measurement, or its first 8 digits or more.

    Raises:
        RequestError: `measure.not_a_record`.
        LedgerError: `measure.chain_broken`, the ledger does not hold the same batches any more.
        DataQualityError: `measure.replay_differs`, a number came out differently.
    """
    with Ledger.open(folder, read_only=True) as ledger:
        full, document, payload = _read(ledger, record)
        _check_chain(ledger, full, document)
        _, archive, _ = ledger.record(document["declaration"])
    territory = _territory(archive)
    result = Emissions(_plan(document, territory), folder, document["cut"], record=full)
    stored = pa.ipc.open_stream(payload).read_all()
    _compare(full, stored, result.to_arrow())
    return result


def diff(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What changed between two measurement documents (see `document_of`), largest change first.

    With amounts A, coefficients c and weights w: activity (A2 - A1) c1 w1, factor A2 (c2 - c1) w1, GWP A2 c2 (w2 - w1).
    Where a flow is only in one of the two, everything counts as activity; so does a method with memory, whose amount
    is what it releases. An effect below 1e-9 of the emission is the order of summation and counts as none.
    """
    old, new = _leaves(before), _leaves(after)
    changes = [_change(key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new])]
    return sorted(changes, key=lambda change: -abs(change.after - change.before))


def _change(key: tuple[str, str], a: dict[str, Any] | None, b: dict[str, Any] | None) -> Change:
    """The change of one flow and gas; None where a measurement does not have it."""
    was, is_ = a or _NOTHING, b or _NOTHING
    start, end = was["co2e"], is_["co2e"]
    least = _TOLERANCE * max(abs(start), abs(end))
    effects = _effects(a, b) if a and b else (end - start, 0.0, 0.0)
    activity, factor, gwp = (0.0 if abs(effect) <= least else effect for effect in effects)
    return Change(*key, start, end, activity, factor, gwp, tuple(was["rules"]), tuple(is_["rules"]))


def listed(folder: Path) -> list[tuple[str, datetime, dict[str, Any]]]:
    """The stored measurements, oldest first: id, when, and the question as plain data."""
    with Ledger.open(folder, read_only=True) as ledger:
        found = ledger.records("measurement")
        return [(id_, when, json.loads(ledger.record(id_)[1])["question"]) for id_, when in found]


def document_of(folder: Path, record: str) -> dict[str, Any]:
    """The stored document of a measurement; raises `RequestError` `measure.not_a_record`."""
    with Ledger.open(folder, read_only=True) as ledger:
        return _read(ledger, record)[1]


def document(result: Emissions) -> dict[str, Any]:
    """The document of a measurement that need not be stored, for `diff`."""
    return {"leaves": _leaf_rows(result)}


_NOTHING: dict[str, Any] = {"co2e": 0.0, "amount": 0.0, "kg": 0.0, "weight": 0.0, "rules": ()}


def _effects(a: dict[str, Any], b: dict[str, Any]) -> tuple[float, float, float]:
    c1 = a["kg"] / a["amount"] if a["amount"] else 0.0
    w1 = a["co2e"] / a["kg"] if a["kg"] else b["weight"] or 0.0
    activity = (b["amount"] - a["amount"]) * c1 * w1
    gwp = b["co2e"] - b["kg"] * w1
    return activity, b["co2e"] - a["co2e"] - activity - gwp, gwp


def _leaves(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Leaves added up per flow and gas (a flow may have several coefficients in time)."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for leaf in document["leaves"]:
        row = found.setdefault((leaf["flow"], leaf["gas"]), {**_NOTHING, "rules": []})
        for name in ("amount", "kg", "co2e"):
            row[name] += leaf[name]
        row["weight"] = leaf["weight"]
        row["rules"] = sorted({*row["rules"], *leaf["rules"]})
    return found


def _document(result: Emissions, ledger: Ledger, rules_hash: str, declaration: str) -> dict[str, Any]:
    plan = result.plan
    return {
        "mangrove": version("mangrove"),
        "territory": {"name": plan.territory.name, "hash": plan.territory.content_hash},
        "declaration": declaration,
        "question": _question_out(plan.question),
        "rules_hash": rules_hash,
        "gwp_hash": plan.gwp.content_hash if plan.gwp else "",
        "methods": list(plan.methods),
        "cut": result.cut,
        "chain": _chain(ledger, result.cut),
        "products": plan.products,
        "flows": list(plan.flows),
        "lines": [_line_out(line) for line in plan.lines],
        "gaps": [{"code": gap.code, "flow": gap.flow, "data": _words(gap.data)} for gap in plan.gaps],
        # Left out where no model says it, so that a measurement keeps the id that it always had.
        **({"doubts": [asdict(one) for one in plan.doubts]} if plan.doubts else {}),
    }


def _words(data: dict[str, object]) -> dict[str, object]:
    """Placeholders as plain JSON data."""
    return {key: value if isinstance(value, str | int | float) else str(value) for key, value in data.items()}


def _leaf_rows(result: Emissions) -> list[dict[str, Any]]:
    lines = result.plan.lines
    return [
        {
            "flow": leaf.flow,
            "gas": leaf.gas,
            "amount": leaf.amount,
            "kg": leaf.kg,
            "co2e": leaf.co2e,
            "weight": lines[leaf.line].weight,
            "rules": sorted({term.factor.id for term in lines[leaf.line].terms if term.factor}),
        }
        for leaf in result.leaves
    ]


def _chain(ledger: Ledger, cut: int) -> str:
    table = ledger.batches()
    hashes = dict(zip(table.column("batch").to_pylist(), table.column("hash").to_pylist(), strict=True))
    return str(hashes.get(cut, ""))


def _check_chain(ledger: Ledger, record: str, document: dict[str, Any]) -> None:
    found = _chain(ledger, document["cut"])
    if found != document["chain"]:
        raise LedgerError(
            "measure.chain_broken",
            id=record[:12],
            batch=document["cut"],
            expected=document["chain"][:12],
            found=found[:12] or "-",
        )


def _read(ledger: Ledger, record: str) -> tuple[str, dict[str, Any], bytes]:
    matches = (
        [row[0] for row in ledger.records("measurement") if row[0].startswith(record)]
        if len(record) >= _SHORTEST_ID
        else []
    )
    if len(matches) != 1:
        raise RequestError("measure.not_a_record", id=record)
    _, document, _ = ledger.record(matches[0])
    _, leaves, payload = ledger.record(ledger.records(_answers(matches[0]))[0][0])
    return matches[0], {**json.loads(document), "leaves": json.loads(leaves)}, payload


def _compare(record: str, stored: pa.Table, now: pa.Table) -> None:
    """Every row must be there again, and every number the same but for the order of summation."""
    if stored.num_rows != now.num_rows:
        raise DataQualityError(
            "measure.replay_differs", id=record[:12], row="*", then=stored.num_rows, now=now.num_rows
        )
    for name in stored.column_names:
        pairs = zip(stored.column(name).to_pylist(), now.column(name).to_pylist(), strict=True)
        for row, (then, again) in enumerate(pairs):
            if not _same(then, again):
                raise DataQualityError(
                    "measure.replay_differs", id=record[:12], row=row, then=then, now=again
                )


def _same(then: object, again: object) -> bool:
    if isinstance(then, float) and isinstance(again, float):
        return isclose(then, again, rel_tol=_TOLERANCE) or (isnan(then) and isnan(again))
    return then == again


def _archive(folder: Path) -> bytes:
    """The declaration files, zipped with fixed dates so that equal files give equal bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted({path for pattern in _DECLARED for path in folder.glob(pattern)}):
            info = zipfile.ZipInfo(path.name)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return sink.getvalue()


def _territory(archive: bytes) -> Territory:
    with TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            files.extractall(folder)
        return load(Path(folder))


def _question_out(question: Question) -> dict[str, Any]:
    return {
        "start": question.span.start.isoformat(),
        "end": question.span.end.isoformat(),
        "by": list(question.by),
        "every": str(question.every) if question.every else None,
        "gwp": question.gwp,
        "view": question.view,
        "accounts": list(question.accounts),
        "borders": question.borders.isoformat(),
        "as_of": question.as_of.isoformat() if question.as_of else None,
        "allow": list(question.allow),
        # Left out of what happened, so that a measurement keeps the id that it always had.
        **({} if question.run in HAPPENED else {"run": question.run}),
        **({"place": question.place} if question.place else {}),
    }


def question_in(data: dict[str, Any]) -> Question:
    """The question of a stored document."""
    return Question(
        span=Span(datetime.fromisoformat(data["start"]), datetime.fromisoformat(data["end"])),
        by=tuple(data["by"]),
        every=Step.parse(data["every"]) if data["every"] else None,
        gwp=data["gwp"],
        view=data["view"],
        accounts=tuple(data["accounts"]),
        borders=date.fromisoformat(data["borders"]),
        as_of=datetime.fromisoformat(data["as_of"]) if data["as_of"] else None,
        allow=tuple(data["allow"]),
        run=data.get("run", "measured"),
        place=data.get("place", ""),
    )


def _line_out(line: Line) -> dict[str, Any]:
    return {
        "flow": line.flow,
        "gas": line.gas,
        "account": line.account,
        "kg": line.kg,
        "weight": line.weight,
        "from": line.valid_from.isoformat(),
        "to": line.valid_to.isoformat(),
        "note": line.note,
        "view": line.view,
        "terms": [_term_out(term) for term in line.terms],
        "kernel": list(line.response.kernel) if line.response else None,
    }


def _term_out(term: Term) -> dict[str, Any]:
    data = asdict(term)
    data["factor"] = (
        {**_dates_out(asdict(term.factor)), "hash": term.factor.content_hash} if term.factor else None
    )
    return data


def _dates_out(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in data.items()}


def _plan(document: dict[str, Any], territory: Territory) -> Plan:
    """The plan as it was, with the rules of that day."""
    question = question_in(document["question"])
    return Plan(
        question=question,
        territory=territory,
        gwp=None,
        flows={name: in_run(territory.flows[name], question.run) for name in document["flows"]},
        lines=tuple(_line_in(index, data) for index, data in enumerate(document["lines"])),
        products=document["products"],
        methods=tuple(document["methods"]),
        gaps=tuple(Gap(gap["code"], gap["flow"], gap["data"]) for gap in document["gaps"]),
        doubts=tuple(Doubt(**one) for one in document.get("doubts", ())),
    )


def _line_in(index: int, data: dict[str, Any]) -> Line:
    terms = tuple(_term_in(term) for term in data["terms"])
    return Line(
        index=index,
        flow=data["flow"],
        gas=data["gas"],
        account=data["account"],
        kg=data["kg"],
        weight=data["weight"],
        valid_from=datetime.fromisoformat(data["from"]).astimezone(UTC),
        valid_to=datetime.fromisoformat(data["to"]).astimezone(UTC),
        terms=terms,
        response=Response(data["gas"], tuple(data["kernel"]), terms, data["account"])
        if data["kernel"]
        else None,
        note=data["note"],
        view=data["view"],
    )


def _term_in(data: dict[str, Any]) -> Term:
    factor = data["factor"]
    return Term(**{**data, "factor": _factor_in(factor) if factor else None})


def _factor_in(data: dict[str, Any]) -> Factor:
    fields = {key: value for key, value in data.items() if key != "hash"}
    for name in ("valid_from", "valid_to"):
        fields[name] = date.fromisoformat(fields[name]) if fields[name] else None
    return Factor(**{**fields, "source": Source(**fields["source"])})
