# SPDX-License-Identifier: Apache-2.0
"""Drafts from a list of tenants as tables for people and as files that an operator corrects.

Comes in: a `Draft`. Goes out: text, and CSV files: `tenants.csv` can be corrected and read again, `offers.draft.csv` and
`needs.draft.csv` have the columns of `offers.csv` and `needs.csv` with the quantity blank.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.figures.numbers import fixed
from mangrove.printing import grid
from mangrove.rules import sectors

if TYPE_CHECKING:
    from mangrove.tenants import Draft, Likely, Proposal, Tenant

_SHOWN, _WIDE = 20, 44
_LISTING = ("id", "place", "carrier", "name", "text", "codes", "quantity", "permits", "basis", "note")


def text(draft: Draft, lang: str = "en") -> str:
    """Tenants with their industries, and the likeliest exchanges."""
    counts = {
        "tenants": len(draft.tenants), "coded": sum(bool(one.activities) for one in draft.tenants),
        "offers": len(draft.offers), "needs": len(draft.needs), "exchanges": len(draft.exchanges),
    }  # fmt: skip
    said = [messages.render(f"tenants.{word}", lang) for word in ("tenant", "industry", "score")]
    body = [
        [_cut(one.name), one.guesses[0].isic if one.guesses else "", _cut(one.guesses[0].label(lang)) if one.guesses else "", _sure(one, lang)]
        for one in draft.tenants
    ]  # fmt: skip
    lines = [
        messages.render("tenants.title", lang, **counts),
        messages.render("tenants.not_measured", lang),
        "",
    ]
    lines += grid([said[0], "ISIC", said[1], said[2]], body, left={0, 1, 2})
    return "\n".join([*lines, "", *_exchanges(draft, lang)])


def _sure(tenant: Tenant, lang: str) -> str:
    if not tenant.guesses:
        return "-"
    return messages.render("tenants.given", lang) if tenant.given else fixed(tenant.score, lang, decimals=2)


def _cut(words: str) -> str:
    return words if len(words) <= _WIDE else words[: _WIDE - 1] + "…"


def _exchanges(draft: Draft, lang: str) -> list[str]:
    """One row for what a taker could take, with its best giver and how many others there are."""
    if not draft.exchanges:
        return [messages.render("tenants.no_exchanges", lang)]
    names = {one.place: one.name for one in draft.tenants}
    offers = {one.id: one for one in draft.offers}
    groups: dict[tuple[str, str], list[Likely]] = {}
    for one in draft.exchanges:
        groups.setdefault((one.taker, one.carrier), []).append(one)
    header = [
        messages.render(f"tenants.{word}", lang)
        for word in ("what", "giver", "others", "taker", "cases", "score")
    ]
    body = [
        [
            _cut(_named(offers[group[0].offer], lang)), _cut(names[group[0].giver]), f"+{len(group) - 1}" if len(group) > 1 else "",
            _cut(names[taker]), str(max(one.cases for one in group) or "-"), fixed(group[0].score, lang, decimals=2),
        ]
        for (taker, _), group in groups.items()
    ]  # fmt: skip
    more = [f"... +{len(body) - _SHOWN}"] if len(body) > _SHOWN else []
    table = grid(header, body[:_SHOWN], left={0, 1, 3})
    return [messages.render("tenants.exchanges_title", lang), *table, *more]


def _named(one: Proposal, lang: str) -> str:
    """What it is, with its code."""
    return f"{one.ewc} {one.label(lang)}".strip()


def write(draft: Draft, folder: Path, lang: str = "en") -> tuple[Path, ...]:
    """The files of a draft; nothing that exists is overwritten."""
    tables = {
        "tenants.csv": _tenant_rows(draft, lang),
        "places.draft.csv": _place_rows(draft),
        "offers.draft.csv": _listing_rows(draft.offers, lang),
        "needs.draft.csv": _listing_rows(draft.needs, lang),
        "exchanges.draft.csv": _likely_rows(draft.exchanges, lang),
    }
    paths = tuple(folder / name for name in tables)
    for path in paths:
        if path.exists():
            raise RequestError("tenants.exists", path=str(path))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, rows in zip(paths, tables.values(), strict=True):
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
    except OSError as error:
        raise RequestError("tenants.not_a_folder", path=str(folder), text=error.strerror or "") from error
    return paths


def _tenant_rows(draft: Draft, lang: str) -> Iterable[Sequence[str]]:
    yield ("place", "name", "plot", "text", "isic", "label", "score", "second", "third")
    for one in draft.tenants:
        best = [f"{guess.isic} {guess.label(lang)}" for guess in one.guesses[1:3]] if not one.given else []
        label = one.guesses[0].label(lang) if one.guesses else ""
        score = f"{one.score:.2f}" if one.guesses else ""
        second, third = (*best, "", "")[:2]
        chosen = " ".join(one.activities)
        yield (one.place, one.name, one.plot, one.words, chosen, label, score, second, third)


def _place_rows(draft: Draft) -> Iterable[Sequence[str]]:
    yield ("id", "name", "kind", "parent")
    yield from ((one.place, one.name, "facility", "") for one in draft.tenants)


def _listing_rows(proposals: Iterable[Proposal], lang: str) -> Iterable[Sequence[str]]:
    yield _LISTING
    for one in proposals:
        codes = f"ewc={one.ewc}" if one.ewc else ""
        said = [one.label(language) for language in (lang, "en" if lang == "vi" else "vi")]
        note = messages.render("tenants.note", lang, ask=one.ask(lang), source=_basis(one.source, lang))
        yield (one.id, one.place, one.carrier, *said, codes, "", "", "assumed", note)


def _basis(source: str, lang: str) -> str:
    """The document, and how surely it says so."""
    return (
        f"{sectors.document(source, lang)} ({messages.render(f'base.status_{sectors.status(source)}', lang)})"
    )


def _likely_rows(likely: Iterable[Likely], lang: str) -> Iterable[Sequence[str]]:
    yield ("giver", "taker", "carrier", "offer", "need", "score", "cases", "source")
    for one in likely:
        sources = "; ".join(_basis(source, lang) for source in one.sources)
        yield (
            one.giver,
            one.taker,
            one.carrier,
            one.offer,
            one.need,
            f"{one.score:.3f}",
            str(one.cases),
            sources,
        )
