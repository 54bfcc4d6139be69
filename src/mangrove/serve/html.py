# SPDX-License-Identifier: Apache-2.0
"""Accessible HTML by hand: escaped text, tables with captions and scoped headers, numbered figures.

Comes in: words, numbers already formatted, SVG. Goes out: fragments of HTML in one language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from mangrove import messages
from mangrove.figures import numbers
from mangrove.figures.palette import BASES
from mangrove.figures.svg import escape

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a page may load: nothing but what stands in it."""
_SHORT = 8
"""Tables of at most so many rows are not broken between two printed pages."""

_CODE = re.compile(r"[a-z0-9]+\.[a-z0-9_]+")


def el(name: str, *children: str, **attributes: str | int | None) -> str:
    """An element around children that are HTML already; `class_` becomes `class`, None attributes are left out."""
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    return f"<{name}{''.join(parts)}>{''.join(children)}</{name}>"


def document(lang: str, title: str, sheet: str, style: str = "") -> str:
    """A whole page: no script, nothing from elsewhere, the common style sheet and `style` after it.

    Args:
        lang: of the page.
        title: safe words.
        sheet: the body as HTML; an element with the id `content` is where skipping leads.
        style: further CSS.
    """
    common = (resources.files("mangrove.serve") / "report.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{title}</title><style>{common}{style}</style>"
    )
    skip = el("a", text(messages.render("report.skip", lang)), href="#content", class_="skip")
    return f'<!doctype html>\n<html lang="{lang}"><head>{head}</head><body>{skip}{sheet}</body></html>\n'


def text(words: object) -> str:
    """Words made safe, with the formulas of gases typeset."""
    return escape(numbers.typeset(str(words)))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, its unit or explanation below, and how its cells are set.

    Attributes:
        kind: `text`, `number` (right-aligned, equal digits), `share` (a bar behind a percentage) or `code`.
    """

    head: str
    kind: str = "text"
    under: str = ""


class Page:
    """One document being written: its language, and the running numbers of its figures and tables."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._figures = 0
        self._tables = 0

    def say(self, code: str, **data: object) -> str:
        """The sentence of `report.<code>`, as HTML."""
        return text(messages.render(f"report.{code}", self.lang, **data))

    def words(self, code: str, **data: object) -> str:
        """The sentence of `report.<code>`, as plain text."""
        return messages.render(f"report.{code}", self.lang, **data)

    def word(self, label: str) -> str:
        """A label as plain text: the sentence of a message when it is the code of one, else the label itself."""
        if _CODE.fullmatch(label) and label in messages.codes(label.split(".", 1)[0]):
            return messages.render(label, self.lang)
        return label

    def basis(self, basis: str) -> str:
        """A small mark that says where a number comes from."""
        if not basis:
            return ""
        words = messages.render(f"figures.basis_{basis}", self.lang) if basis in BASES else basis
        kind = basis if basis in BASES else "assumed"
        return el("span", text(words), class_=f"basis basis-{kind}")

    def bases(self, found: Iterable[str]) -> str:
        """The marks of several bases, in their fixed order, each once."""
        unique = dict.fromkeys(basis for basis in found if basis)
        ordered = sorted(unique, key=lambda b: BASES.index(b) if b in BASES else len(BASES))
        return " ".join(self.basis(basis) for basis in ordered)

    def missing(self) -> str:
        """The words for a number that is not known, in the color of an alarm."""
        return el("span", text(numbers.no_data(self.lang)), class_="missing")

    def figure(self, svg: str, title: str, *, basis: Iterable[str] = (), note: str = "") -> str:
        """An SVG with its number, title, basis and note; the namespace is not needed inside HTML."""
        self._figures += 1
        number = el("b", self.say("figure", number=self._figures))
        head = el("p", f"{number} {text(title)} {self.bases(basis)}", class_="figure-title")
        drawn = svg.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)
        foot = el("p", text(note), class_="note") if note else ""
        return el("figure", el("figcaption", head), el("div", drawn, class_="drawing"), foot)

    def table(
        self,
        title: str,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        *,
        note: str = "",
        kind: str = "",
    ) -> str:
        """A table with a numbered caption; cells are HTML, the first of each row is its header."""
        self._tables += 1
        caption = el("caption", el("b", self.say("table", number=self._tables)), " ", text(title))
        head = "".join(self._head(column) for column in columns)
        body = "".join(self._row(columns, row) for row in rows)
        short = "short" if len(rows) <= _SHORT else ""
        classes = " ".join(part for part in (kind, short) if part) or None
        drawn = el("table", caption, el("thead", el("tr", head)), el("tbody", body), class_=classes)
        foot = el("p", text(note), class_="note") if note else ""
        # a table wider than a phone scrolls; the keyboard must reach it, so it is a named region in the tab order
        name = f"{self.words('table', number=self._tables)} {numbers.typeset(title)}"
        return el("div", drawn, foot, class_="table", role="region", tabindex=0, aria_label=name)

    def _head(self, column: Column) -> str:
        under = el("small", text(column.under)) if column.under else ""
        return el(
            "th",
            text(column.head),
            under,
            scope="col",
            class_=_align(column.kind) if column.kind != "code" else None,
        )

    def _row(self, columns: Sequence[Column], row: Sequence[str]) -> str:
        first = el("th", row[0], scope="row", class_=_align(columns[0].kind))
        rest = [el("td", cell, class_=_align(c.kind)) for c, cell in zip(columns[1:], row[1:], strict=True)]
        return el("tr", first, *rest)

    def share(self, value: float | None, whole: float | None) -> str:
        """A percentage of `whole` with a bar behind it; a dash where there is no meaningful share."""
        if (
            value is None
            or whole is None
            or not (numbers.is_number(value) and numbers.is_number(whole))
            or whole <= 0
        ):
            return "–"
        share = value / whole
        bar = min(max(share, 0.0), 1.0) * 100
        return el(
            "span", text(numbers.percent(share, self.lang)), class_="share", style=f"--share:{bar:.1f}%"
        )


def _align(kind: str) -> str | None:
    return {"number": "num", "share": "num sharecell", "code": "codecell"}.get(kind)
