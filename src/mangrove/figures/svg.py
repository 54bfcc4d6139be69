# SPDX-License-Identifier: Apache-2.0
"""SVG text, written by hand: elements, escaping, text widths, legends, and the accessible frame of a figure.

Comes in: coordinates and plain strings. Goes out: well-formed SVG with a title, a description and a language, the same
bytes for the same input. Identifiers carry a hash of the figure, so that several figures can stand in one page.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mangrove import messages
from mangrove.figures.numbers import typeset
from mangrove.figures.palette import BASES, FONT, INK, MUTED, PAPER, TEXTURES, Fills

_FORBIDDEN = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})

# Advance widths in thousandths of an em, rounded to 20 (Noto Sans Regular, table hmtx); accents add nothing.
_WIDTHS = {
    char: width
    for width, chars in {
        260: " !,.:;ijl·'", 280: "J`", 300: "()", 320: "-[]", 340: "If", 360: "t₂⁵", 380: "/\\{}", 400: '"', 420: "r°",
        440: "?_", 480: "csz", 500: "v–", 520: "FLxy", 540: "Sk", 560: "*ETYae|", 580: "$+0123456789<=>XZ^~×−", 600: "PVo",
        620: "KRbdghnpquđơ", 640: "#ABC", 680: "ư", 720: "DGĐ", 740: "&HU", 760: "N", 780: "OQwƠƯ", 800: "…", 840: "%",
        900: "@M", 920: "W", 940: "m",
    }.items()
    for char in chars
}  # fmt: skip
_UNKNOWN_WIDTH, _WIDE_WIDTH, _BOLD = 700, 1000, 1.07


def escape(text: object) -> str:
    """`text` safe for an attribute or an element; characters that XML forbids are dropped."""
    return _FORBIDDEN.sub("", str(text)).translate(_ESCAPES)


def num(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element; `stroke_width=1` becomes `stroke-width="1"`, None attributes are left out, floats are rounded."""
    parts = []
    for key, value in attributes.items():
        if value is not None:
            shown = num(value) if isinstance(value, float) else _attribute(str(value))
            parts.append(f' {key.rstrip("_").replace("_", "-")}="{shown}"')
    body = "".join(children)
    return f"<{name}{''.join(parts)}>{body}</{name}>" if body else f"<{name}{''.join(parts)}/>"


def _attribute(value: str) -> str:
    """Escapes, but keeps the marker of the figure's own identifiers (a control character that no text can hold)."""
    return (
        "\x01".join(escape(part) for part in value.split("\x01"))
        if value.startswith("url(#\x01")
        else escape(value)
    )


def rect(x: float, y: float, width: float, height: float, fill: str, *, tip: str = "", **more: object) -> str:
    """A rectangle, with a tooltip when `tip` is given."""
    children = [title(tip)] if tip else []
    return tag(
        "rect",
        *children,
        x=num(x),
        y=num(y),
        width=num(max(width, 0)),
        height=num(max(height, 0)),
        fill=fill,
        **more,
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **more: object) -> str:
    """A straight line."""
    return tag("line", x1=num(x1), y1=num(y1), x2=num(x2), y2=num(y2), stroke=stroke, **more)


def title(text: str) -> str:
    """A tooltip and accessible name of the element that holds it."""
    return f"<title>{escape(typeset(text))}</title>"


def label(
    x: float,
    y: float,
    text: str,
    *,
    size: float = 12,
    anchor: str = "start",
    fill: str = INK,
    bold: bool = False,
    halo: bool = False,
    limit: float = 0,
    strong: str = "",
    tip: str = "",
) -> str:
    """One line of text with its baseline at `y`; longer than `limit` pixels it ends in "…" and keeps a tooltip.

    `strong` follows in bold after a small space.
    """
    shown = clip(text, limit, size, bold=bold) if limit else text
    children = [escape(typeset(shown))]
    if strong:
        children.append(tag("tspan", escape(strong), dx=6, font_weight="600"))
    if tip or shown != text:
        children.append(title(tip or text))
    around = (
        {"paint_order": "stroke", "stroke": PAPER, "stroke_width": 3, "stroke_linejoin": "round"}
        if halo
        else {}
    )
    return tag(
        "text",
        *children,
        x=num(x),
        y=num(y),
        font_size=num(size) if size != 12 else None,  # noqa: PLR2004  12 is the size of the whole figure
        text_anchor=anchor if anchor != "start" else None,
        fill=fill if fill != INK else None,
        font_weight="600" if bold else None,
        **around,
    )


def text_width(text: str, size: float = 12, *, bold: bool = False) -> float:
    """An estimate of the width of `text` in pixels, on the safe side for the usual sans-serif fonts."""
    total = 0
    for char in unicodedata.normalize("NFD", text):
        if unicodedata.combining(char):
            continue
        wide = unicodedata.east_asian_width(char) in "WF"
        total += _WIDE_WIDTH if wide else _WIDTHS.get(char, _UNKNOWN_WIDTH)
    return total * size / 1000 * (_BOLD if bold else 1)


def clip(text: str, limit: float, size: float = 12, *, bold: bool = False) -> str:
    """`text`, cut with "…" so that it is at most `limit` pixels wide."""
    if text_width(text, size, bold=bold) <= limit:
        return text
    room = limit - text_width("…", size, bold=bold)
    kept = ""
    for char in unicodedata.normalize("NFC", text):
        if text_width(kept + char, size, bold=bold) > room:
            break
        kept += char
    return kept.rstrip() + "…"


def wrap(text: str, limit: float, size: float = 12, lines: int = 2) -> list[str]:
    """`text` broken at spaces into at most `lines` lines of `limit` pixels; the last one is cut when needed."""
    rows: list[str] = []
    words = text.split()
    while words and len(rows) < lines - 1:
        count = 1
        while count < len(words) and text_width(" ".join(words[: count + 1]), size) <= limit:
            count += 1
        rows.append(clip(" ".join(words[:count]), limit, size))
        words = words[count:]
    if words:
        rows.append(clip(" ".join(words), limit, size))
    return rows


def legend(
    items: Sequence[tuple[str, str]], x: float, y: float, width: float, *, size: float = 12
) -> tuple[str, float]:
    """Color boxes with words in rows that wrap at `width`; gives the SVG and the height it takes."""
    parts, left, row, step = [], x, 0, size + 8
    for fill, words in items:
        need = min(18 + text_width(words, size) + 16, width)
        if left > x and left + need > x + width:
            left, row = x, row + 1
        top = y + row * step
        parts.append(rect(left, top, 12, 12, fill, stroke=MUTED, stroke_width="0.5"))
        parts.append(label(left + 18, top + 10.5, words, size=size, fill=INK, limit=width - 18))
        left += need
    return "".join(parts), (row + 1) * step if items else 0.0


def textures(fills: Fills, color: str, used: Collection[str], lang: str) -> list[tuple[str, str]]:
    """Legend items for the bases in use: one box for each texture; nothing when all numbers are drawn plain."""
    groups: dict[str, list[str]] = {}
    for basis in sorted(used, key=lambda b: (BASES.index(b) if b in BASES else len(BASES), b)):
        if basis:
            words = messages.render(f"figures.basis_{basis}", lang) if basis in BASES else basis
            groups.setdefault(TEXTURES.get(basis, "dots"), []).append(words)
    if not groups.keys() - {"plain"}:
        return []
    example = {TEXTURES[basis]: basis for basis in BASES}
    return [(fills.fill(color, example[texture]), ", ".join(words)) for texture, words in groups.items()]


@dataclass(frozen=True, slots=True)
class Frame:
    """What every figure shares: size, language, and the words that name it.

    Attributes:
        title: what the figure shows; drawn on top when `heading` is set, always read out.
        subtitle: unit and basis, drawn below the title.
        summary: one or two sentences that stand for the figure where it cannot be seen.
    """

    width: float
    lang: str
    title: str
    subtitle: str = ""
    summary: str = ""
    heading: bool = True

    @property
    def top(self) -> float:
        """Where the drawing begins below the heading."""
        if not self.heading:
            return 20.0 if self.subtitle else 4.0
        return (24.0 if self.title else 4.0) + (18.0 if self.subtitle else 0.0)

    def document(self, body: str, height: float, fills: Fills | None = None) -> str:
        """The whole SVG; `body` is drawn below the heading."""
        heads, y = [], 0.0
        if self.heading and self.title:
            heads.append(label(0, y + 15, self.title, size=15, bold=True, limit=self.width))
            y += 24
        if self.subtitle:
            heads.append(label(0, y + 11, self.subtitle, size=12, fill=MUTED, limit=self.width))
        inner = "".join(heads) + (fills.defs() if fills else "") + body
        marker = "mg" + hashlib.sha256(inner.encode("utf-8", "replace")).hexdigest()[:10]
        inner = inner.replace("\x01", marker)
        name = escape(typeset(self.title or self.summary))
        size = (
            f'width="{num(self.width)}" height="{num(height)}" viewBox="0 0 {num(self.width)} {num(height)}"'
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" lang="{self.lang}" aria-label="{name}" '
            f'font-family="{FONT}" font-size="12" fill="{INK}" style="max-width:100%;height:auto">'
            f"<title>{name}</title><desc>{escape(typeset(self.summary))}</desc>{inner}</svg>"
        )
