# SPDX-License-Identifier: Apache-2.0
"""From a list of tenants to a first draft of an existing park: industries, possible offers and needs, likely exchanges.

Comes in: a CSV file with the names, sectors and products of the firms of a park, in Vietnamese or English, with or without codes. Goes
out: a `Draft`, each line of which names its source, and files that an operator corrects. Nothing here is a fact about a firm: quantities
are left blank, and `check` refuses the drafts until they are filled in.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mangrove import industry, messages
from mangrove.errors import (
    DeclarationError,
    MangroveError,
    Problem,
    RequestError,
    Where,
    did_you_mean,
)
from mangrove.industry import Guess
from mangrove.rules import classifications, sectors
from mangrove.rules.classifications import EWC, ISIC
from mangrove.territory import tables
from mangrove.territory.cells import identifier
from mangrove.territory.cells import name as composed
from mangrove.text import fold

WORDS: Mapping[str, float] = {
    "products": 1.0,
    "project": 1.0,
    "text": 0.85,
    "scale": 0.85,
    "sector": 0.7,
    "name": 0.75,
}
"""Columns of words and how much each tells about the industry: a choice; what is made says more than the name of the firm."""
CODES = ("isic", "vsic", "nace")
MOST = 1000
"""Tenants of one list: every two of them are compared, and the largest parks have some hundreds."""
_TAKERS = 10
"""Likely takers that are proposed for an offer, the likeliest ones: nobody reads hundreds."""
IGNORED = ("country", "label", "score", "second", "third", "note")
"""Columns that may stand there and are not read: those of `tenants.csv` that a draft writes, and what lists of parks usually have."""
COLUMNS = ("name", "place", "plot", *(column for column in WORDS if column != "name"), *CODES)
UNSURE = 0.45
"""Below this score nothing is proposed and the operator is asked to choose. A choice, on the side of asking."""
_HEADERS = {
    "ten": "name", "ten doanh nghiep": "name", "doanh nghiep": "name", "ten cong ty": "name", "cong ty": "name", "ten nha dau tu": "name",
    "nha dau tu": "name", "tenant": "name", "company": "name", "lo": "plot", "lo dat": "plot", "so lo": "plot", "vi tri": "plot",
    "lot": "plot", "dia diem": "place", "nganh": "sector", "nganh nghe": "sector", "linh vuc": "sector", "industry": "sector",
    "san pham": "products", "product": "products", "du an": "project", "ten du an": "project", "mo ta": "text", "noi dung": "text",
    "muc tieu": "text", "quy mo": "scale", "ma nganh": "vsic", "quoc gia": "country", "quoc tich": "country", "ghi chu": "note",
}  # fmt: skip
_FORMS = re.compile(
    r"^(chi nhanh|cong ty|cty|tnhh|co phan|cp|mtv|mot thanh vien|hai thanh vien|tap doan|tong cong ty|company|co|ltd|jsc)\b[ .,]*"
)
_ASKED = {"wastewater": "water", "water": "water", "heat": "heat", "electricity": "electricity"}
"""Question by kind of carrier; a waste has its own, the rest is asked as material."""
_LISTED, _SEEN, _MANY, _HEAT = 0.6, 0.4, 15, 0.5
"""Score of an exchange: 0.6 when the taker's list names the waste, up to 0.4 by published cases (15, the most of any, count in full); half
of that for heat, as long as nobody knows at which temperature. A choice of this program."""
_ANYONE = ("13", "14", "15", "16", "20")
"""Chapters of the list that are of no industry: that a division once took packaging says nothing about what it makes."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A firm of the list.

    Attributes:
        place: id of its place; name, plot: as written.
        guesses: the likeliest industries, best first; a code that was given stands alone, with the score 1.
        given: whether the industry was given as a code.
    """

    place: str
    name: str
    plot: str
    guesses: tuple[Guess, ...]
    given: bool
    words: str
    where: Where

    @property
    def activities(self) -> tuple[str, ...]:
        """The activities that proposals rest on: all that were given, else the likeliest; none below `UNSURE`."""
        chosen = self.guesses if self.given else self.guesses[:1]
        return tuple(one.isic for one in chosen if one.score >= UNSURE)

    @property
    def score(self) -> float:
        """How well the industry fits, 0 to 1."""
        return self.guesses[0].score if self.guesses else 0.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a tenant could give (`offer`) or could need; `source` is the key of the document that says so of its industry."""

    id: str
    place: str
    side: str
    carrier: str
    ewc: str
    hazardous: bool | None
    source: str

    def label(self, lang: str = "en") -> str:
        """What it is."""
        if self.ewc:
            return classifications.label(EWC, self.ewc, lang)
        key = re.sub(r"\W", "_", self.carrier)
        word = "waste_heat" if key == "heat" and self.side == "offer" else key
        return messages.render(f"tenants.carrier_{word}", lang)

    def ask(self, lang: str = "en") -> str:
        """What must be asked before it is more than a proposal."""
        kind = "waste_" + self.side if self.ewc else _ASKED.get(re.split(r"\W", self.carrier)[0], "material")
        return messages.render(f"tenants.ask_{kind}", lang)


@dataclass(frozen=True, slots=True)
class Likely:
    """An exchange that may make sense: `need` is empty where only published cases speak for it."""

    offer: str
    need: str
    giver: str
    taker: str
    carrier: str
    score: float
    cases: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Draft:
    """What a list of tenants suggests; `problems` are notes and warnings, for errors raise."""

    tenants: tuple[Tenant, ...]
    offers: tuple[Proposal, ...]
    needs: tuple[Proposal, ...]
    exchanges: tuple[Likely, ...]
    problems: tuple[Problem, ...] = field(default=())

    def text(self, lang: str = "en") -> str:
        """The draft as tables for people."""
        from mangrove.printing_tenants import text

        return text(self, lang)

    def document(self) -> dict[str, Any]:
        """The draft as plain values; `sources` are the documents behind the keys."""
        named = {one.source for one in (*self.offers, *self.needs)} | {sectors.PUBLISHED}
        return {
            "tenants": [
                {
                    "place": one.place, "name": one.name, "plot": one.plot, "given": one.given,
                    "industries": [asdict(guess) | {"label": guess.label()} for guess in one.guesses],
                }
                for one in self.tenants
            ],
            "offers": [asdict(one) | {"label": one.label()} for one in self.offers],
            "needs": [asdict(one) | {"label": one.label()} for one in self.needs],
            "exchanges": [asdict(one) for one in self.exchanges],
            "sources": {key: {"document": sectors.document(key), "status": sectors.status(key)} for key in sorted(named)},
            "problems": [problem.line() for problem in self.problems],
        }  # fmt: skip

    def write(self, folder: Path | str, lang: str = "en") -> tuple[Path, ...]:
        """Writes the drafts into a folder and gives their paths; raises `RequestError` rather than overwrite one."""
        from mangrove.printing_tenants import write

        return write(self, Path(folder), lang)


def draft(path: Path | str) -> Draft:
    """The first draft of a park from its list of tenants.

    Args:
        path: CSV with a header: `name`, `plot`, `place` and any of `sector`, `products`, `project`, `text`, `scale`, `isic`, `vsic`, `nace`;
            usual Vietnamese headers (`Tên doanh nghiệp`, `Lô`, `Ngành nghề`, `Sản phẩm`, `Mã ngành`) are known too.

    Raises:
        RequestError: `tenants.too_many`.
        DeclarationError: with every problem at its place: no such file, no known column, an unknown code, a tenant written twice.
    """
    file = Path(path)
    table, problems = tables.read_table(file, file.name)
    header = _header(table, problems)
    _stop(problems)
    rows = [
        {
            name: composed(" ".join(cell.replace("\u200b", "").split()))
            for name, cell in zip(header, row, strict=True)
        }
        for row in zip(*table.cells, strict=True)
    ]
    if len(rows) > MOST:
        raise RequestError("tenants.too_many", count=len(rows), most=MOST)
    tenants = _tenants(table, header, rows, problems)
    _stop(problems)
    offers = [one for tenant in tenants for one in _proposals(tenant, "offer")]
    needs = [one for tenant in tenants for one in _proposals(tenant, "need")]
    found = sorted(_likely(tenants, offers, needs), key=lambda one: (-one.score, one.offer, one.taker))
    return Draft(tuple(tenants), tuple(offers), tuple(needs), tuple(found), tuple(problems))


def _stop(problems: Sequence[Problem]) -> None:
    """Raises when anything is wrong; notes and warnings go on."""
    if any(problem.severity == "error" for problem in problems):
        raise DeclarationError([problem for problem in problems if problem.severity == "error"])


def _header(table: tables.Table, problems: list[Problem]) -> list[str]:
    """The columns by their known names; a column that is not known is told, and kept out by its own name."""
    if any(problem.severity == "error" for problem in problems):
        return []
    header = [_HEADERS.get(fold(name), fold(name)) for name in table.header]
    options = ", ".join(COLUMNS)
    for index, name in enumerate(header):
        if name in header[:index] and name in COLUMNS:
            problems.append(
                Problem("territory.duplicate_column", {"column": name}, table.header_where(index))
            )
        elif name not in (*COLUMNS, *IGNORED):
            data = {"column": table.header[index], "hint": did_you_mean(name, COLUMNS), "options": options}
            problems.append(Problem("tenants.unused_column", data, table.header_where(index), "warning"))
    start = Where(table.file, table.header_line, 1)
    if not {"name", "place", "plot"} & set(header):
        problems.append(Problem("territory.missing_column", {"column": "name"}, start))
    telling = [column for column in (*WORDS, *CODES) if column != "name"]
    if not set(telling) & set(header):
        problems.append(Problem("tenants.no_columns", {"options": ", ".join(telling)}, start))
    if not table.rows:
        problems.append(Problem("tenants.no_rows", {}, start))
    return header


def _tenants(
    table: tables.Table, header: Sequence[str], rows: Sequence[Mapping[str, str]], problems: list[Problem]
) -> list[Tenant]:
    """One tenant a row, with problems for those that stand twice, bear unknown codes or say nothing."""
    found: list[Tenant] = []
    seen: dict[tuple[str, ...], Where] = {}
    taken: dict[str, Where] = {}
    for row, cells in enumerate(rows):
        where = Where(table.file, table.starts[row])
        name, plot = cells.get("name") or cells.get("plot") or cells.get("place", ""), cells.get("plot", "")
        if not name:
            problems.append(Problem("tenants.no_name", {}, where))
            continue
        key = tuple(fold(word) for word in (name, plot, cells.get("place", "")))
        if key in seen:
            problems.append(Problem("tenants.duplicate", {"name": name, "first": str(seen[key])}, where))
        seen.setdefault(key, where)
        place = _place(cells, where, problems)
        if place and place in taken:
            problems.append(
                Problem("tenants.duplicate_place", {"name": place, "first": str(taken[place])}, where)
            )
        place = place or _slug(name, taken)
        taken.setdefault(place, where)
        given = list(_codes(table, header, row, cells, problems))
        texts = [(cells.get(column, ""), weight) for column, weight in WORDS.items()]
        guesses = tuple(given) or industry.guess(texts)
        words = "; ".join(dict.fromkeys(text for text, _ in texts[:-1] if text))
        tenant = Tenant(place, name, plot, guesses, bool(given), words, where)
        problems.extend(_doubts(tenant))
        found.append(tenant)
    return found


def _place(cells: Mapping[str, str], where: Where, problems: list[Problem]) -> str:
    """The id of the place that a row gives, or an empty text."""
    place = cells.get("place", "")
    try:
        return identifier(place) if place else ""
    except MangroveError as error:
        problems.append(Problem(error.code, error.problem.data, where))
        return ""


def _doubts(tenant: Tenant) -> Iterator[Problem]:
    if not tenant.guesses:
        yield Problem("tenants.no_words", {"name": tenant.name}, tenant.where, "warning")
    elif tenant.score < UNSURE:
        options = "; ".join(f"{one.isic} {one.label()}" for one in tenant.guesses)
        yield Problem("tenants.unsure", {"name": tenant.name, "options": options}, tenant.where, "warning")


def _codes(
    table: tables.Table, header: Sequence[str], row: int, cells: Mapping[str, str], problems: list[Problem]
) -> Iterator[Guess]:
    """The activities that a row gives as codes, carried to ISIC Rev. 4; unknown ones are problems at their cell."""
    done = set()
    for scheme in CODES:
        for code in re.split(r"[\s;,/]+", cells.get(scheme, "").strip()):
            if not code:
                continue
            try:
                same = classifications.equivalents(scheme, code, ISIC)
            except MangroveError as error:
                where = table.where(row, table.header[list(header).index(scheme)])
                problems.append(Problem(error.code, error.problem.data, where))
                continue
            for isic in same:
                if isic not in done:
                    done.add(isic)
                    yield Guess(isic, 1.0, code)


def _slug(name: str, taken: Mapping[str, Where]) -> str:
    """An id from a name: `Công ty TNHH Intel Products` becomes `intel_products`."""
    bare, before = fold(name), ""
    while bare != before:
        bare, before = _FORMS.sub("", bare), bare
    stem = "_".join(re.findall(r"\w+", bare or fold(name))[:5]) or "tenant"
    number = 1
    while (stem if number == 1 else f"{stem}_{number}") in taken:
        number += 1
    return stem if number == 1 else f"{stem}_{number}"


def _proposals(tenant: Tenant, side: str) -> Iterator[Proposal]:
    """What the industries of a tenant typically give or take; a carrier once."""
    look = sectors.outputs if side == "offer" else sectors.inputs
    typical: dict[str, sectors.Typical] = {}
    for activity in tenant.activities:
        for one in look(activity):
            typical.setdefault(one.carrier, one)
    for carrier, one in typical.items():
        word = re.sub(r"\W+", "_", carrier.removeprefix("waste:"))
        danger = classifications.hazardous(one.ewc) if one.ewc else None
        end = "out" if side == "offer" else "in"
        id_ = f"{tenant.place}.{end}.{word}"
        yield Proposal(id_, tenant.place, side, carrier, one.ewc, danger, one.source)


def _likely(
    tenants: Sequence[Tenant], offers: Sequence[Proposal], needs: Sequence[Proposal]
) -> Iterator[Likely]:
    """Offers that another tenant takes: its industry's list names the carrier, or published cases speak for it."""
    wanted: dict[str, dict[str, Proposal]] = {}
    for need in needs:
        wanted.setdefault(need.carrier, {})[need.place] = need
    by_place = {tenant.place: tenant for tenant in tenants if tenant.activities}
    for offer in offers:
        named = wanted.get(offer.carrier, {})
        found = [
            one
            for place, taker in by_place.items()
            if place != offer.place
            for one in _exchange(offer, named.get(place), by_place[offer.place], taker)
        ]
        yield from heapq.nlargest(_TAKERS, found, key=lambda one: one.score)


def _exchange(offer: Proposal, wish: Proposal | None, giver: Tenant, taker: Tenant) -> Iterator[Likely]:
    """The exchange, scored, or nothing; without a list, cases count neither for hazardous wastes nor for those that anyone has."""
    cases = _cases(giver, offer.ewc, taker)
    if wish is None and (not cases or offer.hazardous or offer.ewc[:2] in _ANYONE):
        return
    worth = _LISTED * (wish is not None) + _SEEN * min(1.0, math.log1p(cases) / math.log1p(_MANY))
    worth *= _HEAT if offer.carrier == "heat" else 1.0
    score = round(worth * giver.score * taker.score, 3)
    sources = ((wish.source,) if wish else ()) + ((sectors.PUBLISHED,) if cases else ())
    need = wish.id if wish else ""
    yield Likely(offer.id, need, giver.place, taker.place, offer.carrier, score, cases, sources)


def _cases(giver: Tenant, ewc: str, taker: Tenant) -> int:
    """The most published exchanges of a waste between the divisions of two tenants."""
    pairs = {(one[:2], two[:2]) for one in giver.activities for two in taker.activities}
    return max((sectors.cases(one, ewc, two) for one, two in pairs), default=0) if ewc else 0
