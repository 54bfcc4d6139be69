# SPDX-License-Identifier: Apache-2.0
"""Offers and needs that people enter on a page: records of the ledger, read by the same cell parsers as the declared tables.

Comes in: the fields of one listing as text, by the column names of offers.csv and needs.csv. Goes out: a record of kind `listing`, and
declared and entered listings together. The newest record of an id holds; a withdrawn listing is gone. A record that cannot be read
any more (its place was renamed) is left out and named.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from mangrove.errors import DeclarationError, LedgerError, Problem, RequestError, Where, did_you_mean

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.territory.model import Listing, Territory

KIND = "listing"
FILES = {"offer": "offers.csv", "need": "needs.csv"}
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Nobody needs them in one line of text: a line break forges lines of a report, a change of direction turns the words of others around."""
_OWN = ("side", "author", "at", "withdrawn")


@dataclass(frozen=True)
class Listings:
    """Declared and entered offers and needs by id, and what was wrong with entered ones."""

    offers: Mapping[str, Listing]
    needs: Mapping[str, Listing]
    problems: tuple[Problem, ...] = ()


def known(handle: Handle) -> Listings:
    """Declared offers and needs together with those that were entered."""
    territory = handle.territory
    sides: dict[str, dict[str, Listing]] = {"offer": dict(territory.offers), "need": dict(territory.needs)}
    problems: list[Problem] = []
    for document in _newest(handle).values():
        if document.get("withdrawn") is True:
            continue
        try:
            one = parse(territory, document)
        except (DeclarationError, RequestError) as error:
            found = error.problems
            data = {
                "author": document.get("author", ""),
                "at": document.get("at", ""),
                "reason": found[0].line(),
            }
            problems.append(Problem("match.bad_listing", data, severity="warning"))
        else:
            sides[one.side][one.id] = one
    return Listings(sides["offer"], sides["need"], tuple(problems))


def enter(handle: Handle, side: str, fields: Mapping[str, str], *, author: str) -> str:
    """Checks one listing and stores it; returns the id of the record.

    Args:
        handle: an opened territory.
        side: `offer` or `need`.
        fields: texts by the column names of the table; `id`, `place` and `carrier` are needed.
        author: who enters it.

    Raises:
        RequestError: a side, a field or an id that cannot be.
        DeclarationError: cells that cannot be read, all of them.
    """
    document = {**fields, "side": side, "author": author, "at": _now(), "withdrawn": False}
    document["id"] = parse(handle.territory, document).id
    return _store(handle, document)


def current(side: Mapping[str, Listing], day: date) -> dict[str, Listing]:
    """The listings that are not over on a day."""
    return {id_: one for id_, one in side.items() if one.valid_to is None or one.valid_to > day}


def id_of(text: str) -> str:
    r"""The id that a written one stands for: the same however it was typed, so that nobody passes for another.

    Example:
        >>> id_of(" bu\u0323i ") == id_of("b\u1ee5i")
        True
    """
    return unicodedata.normalize("NFC", text.strip())


def revision(handle: Handle) -> tuple[int, str]:
    """How many records of listings there are, and the newest: it changes with every listing, while the cut of the ledger does not."""
    if not handle.store.is_dir():
        return 0, ""
    try:
        with handle.reader() as ledger:
            found = ledger.records(KIND)
    except LedgerError as error:
        if error.code != "ledger.missing":
            raise
        found = []
    return len(found), found[-1][0] if found else ""


def withdraw(handle: Handle, id: str, *, author: str) -> str:  # noqa: A002 - the field's word
    """Takes an entered listing back; returns the id of the record.

    Raises:
        RequestError: `match.no_listing` when nobody entered it.
    """
    entered = _newest(handle)
    if id not in entered:
        raise RequestError("match.no_listing", text=id, hint=did_you_mean(id, entered))
    return _store(handle, {**entered[id], "author": author, "at": _now(), "withdrawn": True})


def parse(territory: Territory, document: Mapping[str, Any]) -> Listing:
    """One entered listing as the declaration would read it.

    Raises:
        RequestError: a side, a field or an id that cannot be.
        DeclarationError: cells that cannot be read, all of them.
    """
    from mangrove.territory import symbiosis
    from mangrove.territory.schema import TABLES
    from mangrove.territory.tables import Table, parse_table

    fields = _checked(territory, document)
    side, id_ = str(document["side"]), fields["id"]
    table = Table(FILES[side], header=tuple(fields), starts=(1,), cells=[(text,) for text in fields.values()])
    parsed = {
        name: parse_table(Table(name), TABLES[name])[0]
        for name in (*FILES.values(), "exchanges.csv", "effects.csv", "answers.csv")
    }
    parsed[FILES[side]], problems = parse_table(table, TABLES[FILES[side]])
    problems += _place(territory, parsed[FILES[side]].values)
    found, said = symbiosis.build(parsed, territory.flows)
    problems = [Problem(one.code, one.data, Where(id_ or side), one.severity) for one in (*problems, *said)]
    if any(one.severity == "error" for one in problems):
        raise DeclarationError(problems)
    return (found[0] if side == "offer" else found[1])[id_]


def _checked(territory: Territory, document: Mapping[str, Any]) -> dict[str, str]:
    """The fields of the table as texts, without those of the record."""
    from mangrove.territory.schema import LISTINGS

    if document.get("side") not in FILES:
        raise RequestError("match.listing_side", text=document.get("side"))
    known = [column.name for column in LISTINGS]
    fields = {key: "" if value is None else value for key, value in document.items() if key not in _OWN}
    for key, value in fields.items():
        if key not in known:
            raise RequestError("match.listing_column", column=key, hint=did_you_mean(key, known))
        if not isinstance(value, str):
            raise RequestError("match.listing_text", column=key)
        control = _CONTROL.search(value)
        if control:
            raise RequestError("territory.control_character", text=f"U+{ord(control[0]):04X}")
    needed = [column.name for column in LISTINGS if column.required]
    if not all(fields.get(name, "").strip() for name in needed):
        raise RequestError("match.listing_fields", fields=", ".join(needed))
    id_ = fields["id"] = id_of(fields["id"])
    for declared, file in ((territory.offers, "offers.csv"), (territory.needs, "needs.csv")):
        if id_ in declared:
            raise RequestError("match.listing_declared", id=id_, file=file)
    return fields


def _place(territory: Territory, values: dict[str, list[Any]]) -> list[Problem]:
    """Turns the written place into an id, in place; a place that does not exist, and dates that end before they start, are problems."""
    from mangrove.territory.places import Names

    problems = []
    names = Names(list(territory.places), [place.name for place in territory.places.values()])
    written = values["place"][0]
    answer = names.find(written) if written else ""
    if isinstance(answer, Problem):
        problems.append(answer)
    else:
        values["place"][0] = answer
    start, end = values["valid_from"][0], values["valid_to"][0]
    if start and end and start >= end:
        problems.append(Problem("territory.dates_reversed", {"start": start, "end": end}))
    return problems


def _newest(handle: Handle) -> dict[str, dict[str, Any]]:
    """The newest document of each id; a store that does not exist yet holds none."""
    if not handle.store.is_dir():
        return {}
    found: dict[str, dict[str, Any]] = {}
    try:
        with handle.reader() as ledger:
            for record, _ in ledger.records(KIND):
                document = json.loads(ledger.record(record)[1])
                if isinstance(document, dict):
                    found[id_of(str(document.get("id", record)))] = document
    except LedgerError as error:
        if error.code != "ledger.missing":
            raise
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _store(handle: Handle, document: Mapping[str, Any]) -> str:
    """A record is one short transaction, so a store that another process writes to takes it as well."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
    try:
        with handle.reader() as ledger:
            return ledger.put_record(KIND, text)
    except LedgerError as error:
        if error.code != "ledger.missing":
            raise
    with handle.writer() as ledger:
        return ledger.put_record(KIND, text)
